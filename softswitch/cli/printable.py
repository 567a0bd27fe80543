"""Text of foreign origin made fit for a terminal: what a phone calls itself must not move the cursor."""

from __future__ import annotations

from rich.text import Text

# Longer cells are cut: a display name may be as long as a SIP message.
MAX_CELL = 200


def printable(text: str, longest: int = MAX_CELL) -> str:
    r"""`text` with everything that isn't printable written as \xNN or \uNNNN: control characters (C0, C1, DEL), escape
    sequences, bidirectional overrides, lone surrogates, line and paragraph separators."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cell(text: str, style: str = "", longest: int = MAX_CELL) -> Text:
    """A table cell: printable, and never read as rich's [markup]."""
    return Text(printable(text, longest), style=style)

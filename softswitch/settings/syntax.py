"""YAML's syntax errors, said to whoever wrote the file: where the slip is rather than where the parser noticed it, and
what to write instead."""

from __future__ import annotations

import re
from typing import NamedTuple

from ruamel.yaml.error import MarkedYAMLError

LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")  # YAML 1.1 5.4, as the parser counts
_HAS_VALUE = re.compile(r":\s+[^\s#]")
_ENTRY = re.compile(r"\s*(?:-\s+)*")


class Slip(NamedTuple):
    """Line and column from 1."""

    line: int
    column: int
    message: str


def slip_of(error: MarkedYAMLError, text: str) -> Slip:
    """What is wrong in `text`, which the parser refused with `error`."""
    at = error.problem_mark or error.context_mark
    line, column = (1, 1) if at is None else (at.line + 1, at.column + 1)
    what = error.problem or ""
    # A place beyond the last line is the end of the file.
    lines = [*LINE_END.split(text), "", ""]
    if "'\\t'" in what:
        return Slip(line, column, "a tab: expected spaces, YAML takes no tabs here")
    if "cannot start any token" in what:
        return Slip(
            line, column, f"{lines[line - 1][column - 1 : column]!r} can't begin a text: expected quotes around it"
        )
    if "mapping values are not allowed" in what:
        return _misplaced_colon(lines, line, column)
    if error.context_mark is not None:
        begun = error.context_mark.line + 1, error.context_mark.column + 1
        if "unexpected end of stream" in what or "found unexpected document" in what:
            return Slip(*begun, "a quote that is never closed: expected another one where the text ends")
        if "flow" in (error.context or "") and "expected" in what:
            return _open_bracket(what, lines, begun, line, column)
    if "expected <block end>" in what:
        return _wrong_indentation(what, lines, line, column)
    told = " ".join(part for part in (error.context, error.problem) if part) or "not YAML"
    return Slip(line, column, f"syntax error: {told}")


def _misplaced_colon(lines: list[str], line: int, column: int) -> Slip:
    """A colon where none is expected: one too many in its line, or the line above lacks its own."""
    here = lines[line - 1]
    if ": " in here[: column - 1]:
        return Slip(line, column, "a second ': ' in one value: expected quotes around a text with a colon in it")
    above = next((n for n in range(line - 1, 0, -1) if lines[n - 1].partition("#")[0].strip()), 0)
    if not above:
        return Slip(line, column, "a ':' without a key: expected KEY: VALUE")
    before = lines[above - 1].partition(" #")[0].rstrip()
    start = _indentation(before)
    if _HAS_VALUE.search(before):
        return Slip(
            line,
            _indentation(here) + 1,
            f"indented deeper than line {above}, which has its value already: expected the same indentation",
        )
    # Nothing of the line is repeated: it may be one of secrets.yaml.
    missing = "a space after the ':'" if ":" in before else "a ':' after the key"
    return Slip(above, start + 1, f"expected {missing}, as in KEY: VALUE")


def _open_bracket(what: str, lines: list[str], begun: tuple[int, int], line: int, column: int) -> Slip:
    """Something between brackets that does not belong there: mostly the one that closes is missing."""
    bracket = lines[begun[0] - 1][begun[1] - 1 : begun[1]]
    closing = {"[": "]", "{": "}"}.get(bracket, "")
    found = what.partition("got ")[2] or what.partition("found ")[2]
    instead = f" instead of {found}" if found and not found.startswith("'<") else ""
    message = f"expected ',' or {closing!r}{instead} in what begins with {bracket!r} at {begun[0]}:{begun[1]}"
    quotes = ", or are quotes around a text with a colon" if found == "':'" else ""
    return Slip(line, column, f"{message}: is a {closing!r} missing{quotes}?")


def _wrong_indentation(what: str, lines: list[str], line: int, column: int) -> Slip:
    here = lines[line - 1]
    spaces = _indentation(here)
    if here[column - 1 : column] == ":":
        return Slip(line, column, "expected a space after the ':', as in KEY: VALUE")
    if spaces + 1 != column and not _ENTRY.fullmatch(here[: column - 1]):
        return Slip(line, column, "text after the end of a value: expected quotes around the whole of it")
    if "'-'" in what or "sequence" in what:
        return Slip(
            line, column, "a list's '-' among keys: expected it indented below the key that the list belongs to"
        )
    count = "1 space" if spaces == 1 else f"{spaces} spaces"
    message = f"indented by {count}, as no line above it: expected the indentation of the key or '-' it belongs to"
    return Slip(line, column, message)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" "))

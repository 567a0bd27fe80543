"""What was meant by a word that does not exist: one way to say it, for configuration files and for commands."""

from __future__ import annotations

import difflib
from collections.abc import Collection

ALIKE = 0.6
"""How like another word one has to be to count as its misspelling, as difflib measures it: from 0 to 1."""


def meant(word: str, known: Collection[str]) -> list[str]:
    """The one of `known` that `word` is a misspelling of; none where it is none."""
    return difflib.get_close_matches(word, list(known), 1, ALIKE)


def suggestion(word: str, known: Collection[str], otherwise: str) -> str:
    """What goes behind "unknown ...": the word that was meant, or what was expected."""
    close = meant(word, known)
    return f": did you mean {close[0]!r}?" if close else f": {otherwise}"


def unknown_word(kind: str, word: str, known: Collection[str]) -> str:
    """The message for a word of a command that does not exist, where there are few: all of them are named, too."""
    close = meant(word, known)
    asked = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown {kind} {word[:40]!r}: {asked}expected one of {', '.join(known)}"

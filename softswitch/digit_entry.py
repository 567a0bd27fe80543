"""Digits that somebody is asked for: a number or a PIN, until the hash key, a pause, or enough of them. Pure.

What has been dialled is in no repr and no log: it may be a secret.
"""

from __future__ import annotations

END = "#"


class DigitEntry:
    """One number being dialled. Whoever owns it minds the pauses."""

    __slots__ = ("_digits", "_longest")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._digits = ""

    def read(self, digit: str) -> bool:
        """One digit; whether the number is whole now. Letters (A to D) are no digits of a number."""
        if digit == END:
            return True
        if digit.isdigit() or digit == "*":
            self._digits += digit
        return len(self._digits) >= self._longest

    @property
    def number(self) -> str:
        """What has been dialled so far."""
        return self._digits

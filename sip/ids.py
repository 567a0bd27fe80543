"""Branches, tags, Call-IDs and other random values, from one injected source.

Unseeded, every character comes from the operating system's generator, drawn in large blocks: a slice of a block
costs a tenth of a system call. Seeded, the same values come in the same order, for tests and replays.
"""

from __future__ import annotations

import os
import random
from typing import Final

MAGIC_COOKIE: Final = "z9hG4bK"
"""RFC 3261 8.1.1.7: what the branch of every request that follows RFC 3261 begins with."""

BLOCK: Final = 4096
"""Bytes drawn from the source at a time."""

_BRANCH_DIGITS: Final = 20  # 80 bits: RFC 3261 asks for uniqueness over space and time
_TAG_DIGITS: Final = 12  # 48 bits: RFC 3261 19.3 asks for at least 32
_CALL_ID_DIGITS: Final = 32
_FLOAT_BITS: Final = 53


class Ids:
    """Random values. One per process half; not shared between threads."""

    __slots__ = ("_at", "_block", "_seeded")

    def __init__(self, seed: int | None = None) -> None:
        self._seeded = None if seed is None else random.Random(seed)
        self._block = ""
        self._at = 0

    def token(self, n: int) -> str:
        """`n` hexadecimal digits: 4 bits of randomness each."""
        start = self._at
        end = start + n
        if end > len(self._block):
            self._refill(n)
            start, end = 0, n
        self._at = end
        return self._block[start:end]

    def branch(self) -> str:
        return MAGIC_COOKIE + self.token(_BRANCH_DIGITS)

    def tag(self) -> str:
        return self.token(_TAG_DIGITS)

    def call_id(self, host: str = "") -> str:
        """RFC 3261 25.1: callid = word [ "@" word ]. An empty host leaves no trace of our address in it."""
        digits = self.token(_CALL_ID_DIGITS)
        return f"{digits}@{host}" if host else digits

    def number(self, bits: int) -> int:
        """A whole number from 0 to 2**bits - 1."""
        digits = (bits + 3) // 4
        return int(self.token(digits), 16) >> (digits * 4 - bits)

    def random(self) -> float:
        """A number from 0 up to but not including 1."""
        return self.number(_FLOAT_BITS) / (1 << _FLOAT_BITS)

    def _refill(self, at_least: int) -> None:
        size = max(BLOCK, at_least)
        seeded = self._seeded
        self._block = (os.urandom(size) if seeded is None else seeded.randbytes(size)).hex()

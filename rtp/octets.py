"""Words in network order, for compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtp.compiled import compiled

__all__ = ["put_word", "word"]


@compiled("i8(u4[:, ::1], i8, i8)")
def word(words: Any, row: int, at: int) -> int:
    """A 32-bit word in network order; `words` are those of this (little-endian) machine."""
    value = np.int64(words[row, at])
    return int((value & 0xFF) << 24 | (value & 0xFF00) << 8 | (value >> 8 & 0xFF00) | value >> 24)


@compiled("void(u4[:, ::1], i8, i8, i8)")
def put_word(words: Any, row: int, at: int, value: int) -> None:
    """Write the lower 32 bits of `value`."""
    swapped = (value & 0xFF) << 24 | (value & 0xFF00) << 8 | (value >> 8 & 0xFF00) | (value >> 24 & 0xFF)
    words[row, at] = np.uint32(swapped)

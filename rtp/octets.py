"""Big-endian words in rows of octets, for compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtp.compiled import compiled

__all__ = ["put_word", "word"]


@compiled("i8(u1[:, ::1], i8, i8)")
def word(data: Any, row: int, at: int) -> int:
    """The 32-bit word (network order) whose first octet is `data[row, at]`."""
    high = np.int64(data[row, at]) << 24 | np.int64(data[row, at + 1]) << 16
    return int(high | np.int64(data[row, at + 2]) << 8 | np.int64(data[row, at + 3]))


@compiled("void(u1[:, ::1], i8, i8, i8)")
def put_word(data: Any, row: int, at: int, value: int) -> None:
    """Write the lower 32 bits of `value`."""
    data[row, at] = value >> 24 & 0xFF
    data[row, at + 1] = value >> 16 & 0xFF
    data[row, at + 2] = value >> 8 & 0xFF
    data[row, at + 3] = value & 0xFF

"""Sums of audio, compiled: which sources each output signal is made of, at what gain, for a whole phase at once.

    sources (S, n) float32: row 0 is silence, then voices, players, music
    totals                  rows behind the sources: the sum of all talkers of a large room, made first
    signals (U, n) int16    each a short list of (row, gain)

A room of a hundred is one total, and each member hears the total less itself: two rows, however large it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from media.mixing_loop import mix

F32 = npt.NDArray[np.float32]
I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]

Sum = tuple[tuple[int, float], ...]
"""(row, linear gain) of what is added up."""

SILENCE = 0  # the row of `sources` that is always zero


class Mixture:
    """`signals` and `totals` as lists of (row, gain); a total may not hold a total. `size` is the number of sources,
    `rows` that of sources and totals."""

    __slots__ = ("_ends", "_gains", "_listed", "_signals", "_total", "_totals", "rows")

    def __init__(self, size: int, totals: Sequence[Sum], signals: Sequence[Sum], samples: int) -> None:
        self.rows = size + len(totals)
        self._totals = len(totals)
        sums = [*totals, *signals]
        self._ends: I64 = np.cumsum([len(each) for each in sums], dtype=np.int64)
        self._listed: I64 = np.array([row for each in sums for row, _ in each], np.int64)
        self._gains: F32 = np.array([gain for each in sums for _, gain in each], np.float32)
        self._total: F32 = np.zeros(samples, np.float32)
        self._signals: I16 = np.zeros((len(signals), samples), np.int16)

    def mix(self, sources: F32) -> I16:
        """The signals for one frame of the sources ((rows, n); the rows of totals are written here). The result is
        overwritten by the next call."""
        mix(sources, self._totals, self._ends, self._listed, self._gains, self._total, self._signals)
        return self._signals

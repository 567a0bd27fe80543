"""Sums of audio, compiled: which sources each output signal is made of, at what gain, for a whole phase at once.

    sources (S, n) float32: row 0 is silence, then voices, players, music
    totals                  rows behind the sources: the sum of all talkers of a large room, made first
    signals (U, n) int16    each a short list of (row, gain)

Signals are ordered by how many rows they are made of, so that the work is one pass per rank: the first row of all
signals, the second of those that have two, and so on. A room of a hundred is one total, and each member hears the total
less itself: three rows at most, however large it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]

Sum = tuple[tuple[int, float], ...]
"""(row, linear gain) of what is added up."""

SILENCE = 0  # the row of `sources` that is always zero

_LOW, _HIGH = np.array(-32767.0, np.float32), np.array(32767.0, np.float32)


class _Rank:
    """The k-th row of every signal that has so many."""

    __slots__ = ("count", "gains", "rows")

    def __init__(self, rows: list[int], gains: list[float]) -> None:
        self.count = len(rows)
        self.rows: I64 = np.array(rows, np.int64)
        plain = all(gain == 1.0 for gain in gains)
        self.gains: F32 | None = None if plain else np.array(gains, np.float32)[:, None]


class Mixture:
    """`signals` and `totals` as lists of (row, gain); a total may not hold a total. `size` is the number of sources.

    `place[i]` is the row of the result in which signal i is found.
    """

    __slots__ = ("_left", "_part", "_ranks", "_signals", "_totals", "place", "rows")

    def __init__(self, size: int, totals: Sequence[Sum], signals: Sequence[Sum], samples: int) -> None:
        self.rows = size + len(totals)
        self._totals: list[tuple[int, I64 | slice, F32]] = []
        for number, total in enumerate(totals):
            rows = [row for row, _ in total]
            chosen: I64 | slice = np.array(rows, np.int64)
            if rows and rows == list(range(rows[0], rows[0] + len(rows))):
                chosen = slice(rows[0], rows[0] + len(rows))
            self._totals.append((size + number, chosen, np.array([gain for _, gain in total], np.float32)))
        full = [signal or ((SILENCE, 1.0),) for signal in signals]
        order = sorted(range(len(full)), key=lambda index: -len(full[index]))
        self.place: I64 = np.zeros(len(full), np.int64)
        self.place[order] = np.arange(len(full))
        self._ranks: list[_Rank] = []
        for rank in range(len(full[order[0]]) if order else 0):
            having = [full[index][rank] for index in order if len(full[index]) > rank]
            self._ranks.append(_Rank([row for row, _ in having], [gain for _, gain in having]))
        self._signals: F32 = np.zeros((len(full), samples), np.float32)
        self._part: F32 = np.zeros((len(full), samples), np.float32)
        self._left: I16 = np.zeros((len(full), samples), np.int16)

    def mix(self, sources: F32) -> I16:
        """The signals for one frame of the sources ((rows, n); the rows of totals are written here). The result is
        overwritten by the next call."""
        for row, chosen, gains in self._totals:
            np.dot(gains, sources[chosen], out=sources[row])
        for number, rank in enumerate(self._ranks):
            count = rank.count
            if not number:
                np.take(sources, rank.rows, axis=0, out=self._signals[:count], mode="clip")
                if rank.gains is not None:
                    self._signals[:count] *= rank.gains
                continue
            part = self._part[:count]
            np.take(sources, rank.rows, axis=0, out=part, mode="clip")
            if rank.gains is not None:
                part *= rank.gains
            self._signals[:count] += part
        # -32768 is left out: it stands for "nothing there" elsewhere.
        np.clip(self._signals, _LOW, _HIGH, out=self._signals)
        np.copyto(self._left, self._signals, casting="unsafe")
        return self._left

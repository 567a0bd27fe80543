"""Packet loss concealment for decoded samples, in the manner of ITU-T G.711 Appendix I.

What was heard last is repeated in whole pitch periods:

    history ............|--- period ---|  erasure: period period period ... fading to silence   | real samples
                             lag        ^ joined without a step                                 ^ cross-faded

- The pitch lag is where the last 20 ms correlate best with what came 5 to 15 ms before them (200 to 66 Hz).
- One period is repeated for 10 ms, two for the next 10 ms, three from then on: a single one would sound like a tone.
  Periods overlap their successors by a quarter.
- Full level for 10 ms, then 20 % less every 10 ms: silence after 60 ms.
- Real samples fade in over a quarter of a period and 4 ms for every 10 ms of erasure, 10 ms at most.

Appendix I delays everything by 3.75 ms, to overlap the start of an erasure with what came before it. Nothing is delayed
here: the step between the last sample and the repeated period is taken out over a quarter of a period instead.

Samples are made up row by row in a compiled loop (`media.conceal_loop`): when a network drops out, thousands of rows
lack the same frame.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from media.conceal_loop import LONGEST, SEARCH_RATE, SHORTEST, WINDOW, conceal

I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

HISTORY = 3  # frames kept: three of the longest periods, and a quarter to overlap with
INITIAL_ROWS = 16


class Concealer:
    """Rows of one sampling rate (8000, 16000 or 48000 Hz), named by the numbers of their playout rows.

    Every tick: `conceal` fills what is missing in the frames, `heard` remembers them. By row, for who does the same for
    frames that are whole: `ages`, samples since an erasure began, 0: there is none; `history` (rows, HISTORY, n), or
    `frames` (rows * HISTORY, n), in which the `oldest` of a row is written next.
    """

    __slots__ = (
        "_capacity",
        "_coarse",
        "_fade",
        "_fine",
        "_lag",
        "_made",
        "_past",
        "_since",
        "_tail",
        "ages",
        "frames",
        "history",
        "n",
        "oldest",
        "rate",
    )

    def __init__(self, rate: int) -> None:
        if rate % SEARCH_RATE:
            raise ValueError(f"sampling rate {rate}: a multiple of {SEARCH_RATE} is needed")
        self.rate = rate
        self.n = n = rate // 50
        self._capacity = 0
        factor = rate // SEARCH_RATE
        self._made: F64 = np.zeros(n)
        self._coarse: I32 = np.zeros(WINDOW + LONGEST, np.int32)
        self._fine: I32 = np.zeros((WINDOW + LONGEST) * factor, np.int32)
        self.history = np.zeros((0, HISTORY, n), np.int16)
        self.oldest = np.zeros(0, np.int64)  # where the next frame goes: the oldest
        self.ages = np.zeros(0, np.int64)  # samples since the erasure began, 0: there is none
        self._since = np.zeros(0, np.int64)  # samples since it ended, while it fades out
        self._lag = np.ones(0, np.int64)
        self._fade = np.ones(0, np.int64)  # how long it fades out
        self._tail = np.zeros((0, HISTORY * n), np.int16)  # what is repeated
        self._grow(INITIAL_ROWS)

    def reset(self, row: int) -> None:
        """A new voice: nothing was heard."""
        if row >= self._capacity:
            self._grow(max(self._capacity, row + 1 - self._capacity))
        self.history[row] = 0
        self.ages[row] = self._since[row] = 0

    def heard(self, rows: I64, frames: I16) -> None:
        """The frames (k, n) that were played, concealment among them."""
        slot = self.oldest.take(rows)
        self.frames[rows * HISTORY + slot] = frames
        self.oldest[rows] = (slot + 1) % HISTORY

    def conceal(self, rows: I64, frames: I16, missing: Bool, holes: Bool) -> None:
        """Fill missing samples, and blend real ones in after them, in `frames` (k, n). `holes`: a line for each row
        that is `missing` some. Rows that lack nothing and lacked nothing cost nothing."""
        conceal(
            rows,
            frames,
            missing,
            holes,
            self.ages,
            self._since,
            self._lag,
            self._fade,
            self._tail,
            self._past,
            self.oldest,
            self._made,
            self._coarse,
            self._fine,
        )

    def _grow(self, more: int) -> None:
        self._capacity += more
        n = self.n
        self.history = np.concatenate((self.history, np.zeros((more, HISTORY, n), np.int16)))
        self.frames = self.history.reshape(-1, n)
        self._past = self.history.reshape(-1, HISTORY * n)  # `history` row by row
        self._tail = np.concatenate((self._tail, np.zeros((more, HISTORY * n), np.int16)))
        none: I64 = np.zeros(more, np.int64)
        self.oldest = np.concatenate((self.oldest, none))
        self.ages = np.concatenate((self.ages, none))
        self._since = np.concatenate((self._since, none))
        self._lag = np.concatenate((self._lag, none + SHORTEST * (self.rate // SEARCH_RATE)))
        self._fade = np.concatenate((self._fade, none + 1))

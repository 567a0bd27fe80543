"""Columns of a detector: one entry per row of the engine, as many as the highest row that came needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]
# Frames of 20 ms at 8000 Hz, (k, 160), on the scale of 16-bit samples whatever their type.
Frames = npt.NDArray[np.float32] | npt.NDArray[np.int16]

RATE = 8000
FRAME = 160
FRAME_SECONDS = FRAME / RATE
INITIAL_ROWS = 64


class Columns:
    """Columns named in FRESH, with what a row holds when nothing has happened: the element's type and value, and the
    shape of what each row has."""

    FRESH: ClassVar[Mapping[str, tuple[npt.DTypeLike, float, tuple[int, ...]]]] = {}

    def __init__(self) -> None:
        self.capacity = 0
        for name, (kind, _, shape) in self.FRESH.items():
            setattr(self, name, np.zeros((0, *shape), kind))
        self._grow(INITIAL_ROWS)

    def reset(self, row: int) -> None:
        """The row is another stream from now on."""
        if row >= self.capacity:
            return
        for name, (_, value, _) in self.FRESH.items():
            getattr(self, name)[row] = value

    def hold(self, rows: I64) -> None:
        """Have entries for these rows."""
        top = int(rows.max(initial=0))
        if top >= self.capacity:
            self._grow(max(self.capacity, top + 1 - self.capacity))

    def _grow(self, more: int) -> None:
        self.capacity += more
        for name, (kind, value, shape) in self.FRESH.items():
            setattr(self, name, np.concatenate((getattr(self, name), np.full((more, *shape), value, kind))))


# OpenBLAS lets several threads spin for a product of more multiplications than this: they cost many times what they
# save on products as small as ours.
_SINGLE_THREADED = 1 << 18


def correlate(waves: F32, samples: F32) -> F32:
    """(w, n) waves with (k, n) samples: (w, k). On one thread, however large k is."""
    count = len(samples)
    found = np.empty((len(waves), count), np.float32)
    step = _SINGLE_THREADED // waves.size
    for at in range(0, count, step):
        np.matmul(waves, samples[at : at + step].T, out=found[:, at : at + step])
    return found

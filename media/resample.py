"""From one rate to another: rows between 8000 and 16000 Hz frame by frame, and whole recordings.

G.711 in a room of 16000 Hz is doubled on its way in and halved on its way out. Both are one half-band low-pass filter
of 55 taps at 16000 Hz (Kaiser window): flat within 0.01 dB up to 3.4 kHz, 62 dB down from 4.6 kHz on. Each delays by
27 samples of 16000 Hz, 1.7 ms. All taps of a half-band filter at an even distance from its middle are 0, so every
second sample is a delayed one and the others are a filter of 28 taps at 8000 Hz.

That filter is a matrix product: a row is cut into blocks of 32 samples with the 27 before each, and all blocks of all
rows are multiplied by one banded matrix (59, 32). Of 64 rows one takes 0.6 us up and 0.75 us down; the product alone
would take 2.5 times as long for whole frames (187, 160), and 10 times as sums of shifted rows.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import soxr

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

FRAME: Final = 160
"""Samples of a frame (20 ms) at the lower rate."""
DELAY: Final = 27 / 16000
"""Seconds that each direction adds."""

_TAPS: Final = 55
_MIDDLE: Final = _TAPS // 2
_PHASE: Final = (_TAPS + 1) // 2  # taps that are not 0, the middle one aside
_HISTORY: Final = _PHASE - 1  # samples of 8000 Hz before a frame that it depends on
_MIDDLE_DELAY: Final = _MIDDLE // 2  # samples of 8000 Hz between a frame and its delayed half
_BLOCK: Final = 32
_BLOCKS: Final = FRAME // _BLOCK
_REACH: Final = _BLOCK + _HISTORY
_BETA: Final = 6.1  # of the Kaiser window


def half_band() -> npt.NDArray[np.float64]:
    """(55,) the filter at 16000 Hz, with a gain of 1 in its pass band."""
    distance = np.arange(_TAPS) - _MIDDLE
    taps = 0.5 * np.sinc(distance / 2) * np.kaiser(_TAPS, _BETA)
    taps[(distance % 2 == 0) & (distance != 0)] = 0.0
    # The two phases have the same gain at 0 Hz, so that no image of it is left at 8 kHz.
    side = taps[0::2]
    side *= 0.5 / side.sum()
    return taps


def _matrix(gain: float) -> F32:
    """(59, 32): a block of a row and the 27 samples before it, to the filtered block."""
    phase = gain * half_band()[0::2][::-1]
    matrix = np.zeros((_REACH, _BLOCK))
    for column in range(_BLOCK):
        matrix[column : column + _PHASE, column] = phase
    return matrix.astype(np.float32)


class _Rows:
    """What both directions share: the last samples of each row, and the matrix product."""

    __slots__ = ("_blocks", "_history", "_matrix", "_product")

    def __init__(self, gain: float, width: int, rows: int) -> None:
        self._matrix = _matrix(gain)
        self._history: F32 = np.zeros((rows, width), np.float32)
        self._blocks: F32 = np.zeros((0, _REACH), np.float32)
        self._product: F32 = np.zeros((0, _BLOCK), np.float32)

    def reset(self, row: int) -> None:
        """Silence was before what comes next in `row`."""
        if row < len(self._history):
            self._history[row] = 0.0
        else:
            self._grow(row + 1)

    def _grow(self, rows: int) -> None:
        more = max(rows, 2 * len(self._history)) - len(self._history)
        self._history = np.concatenate((self._history, np.zeros((more, self._history.shape[1]), np.float32)))

    def _before(self, rows: I64) -> F32:
        """(k, width) the history of `rows`."""
        try:
            return self._history[rows]
        except IndexError:
            self._grow(int(rows.max()) + 1)
            return self._history[rows]

    def _filtered(self, extended: F32) -> F32:
        """(k, 160) of (k, 187) samples, the 27 before the frame first. The result is used up at once."""
        count = len(extended)
        if len(self._blocks) < count * _BLOCKS:
            self._blocks = np.zeros((count * _BLOCKS, _REACH), np.float32)
            self._product = np.zeros((count * _BLOCKS, _BLOCK), np.float32)
        blocks, product = self._blocks[: count * _BLOCKS], self._product[: count * _BLOCKS]
        row, sample = extended.strides
        windows = np.lib.stride_tricks.as_strided(
            extended, (count, _BLOCKS, _REACH), (row, _BLOCK * sample, sample), writeable=False
        )
        np.copyto(blocks.reshape(count, _BLOCKS, _REACH), windows)
        np.matmul(blocks, self._matrix, out=product)
        return product.reshape(count, FRAME)


class Doubler(_Rows):
    """8000 to 16000 Hz, in frames of 20 ms. Rows are numbered by the caller; columns grow with the highest."""

    __slots__ = ()

    def __init__(self, rows: int = 64) -> None:
        # Between two samples stands a 0, which halves the level.
        super().__init__(2.0, _HISTORY, rows)

    def up(self, rows: I64, frames: F32) -> F32:
        """(k, 160) to (k, 320); `rows` (k,), no row twice."""
        extended = np.empty((len(rows), _HISTORY + FRAME), np.float32)
        extended[:, :_HISTORY] = self._before(rows)
        extended[:, _HISTORY:] = frames
        self._history[rows] = extended[:, FRAME:]
        doubled = np.empty((len(rows), 2 * FRAME), np.float32)
        doubled[:, 0::2] = self._filtered(extended)
        begin = _HISTORY - _MIDDLE_DELAY
        doubled[:, 1::2] = extended[:, begin : begin + FRAME]
        return doubled


class Halver(_Rows):
    """16000 to 8000 Hz, in frames of 20 ms. Rows are numbered by the caller; columns grow with the highest."""

    __slots__ = ()

    def __init__(self, rows: int = 64) -> None:
        # Of the odd samples, those that the middle tap still has to come to.
        super().__init__(1.0, _HISTORY + _MIDDLE_DELAY + 1, rows)

    def down(self, rows: I64, frames: F32) -> F32:
        """(k, 320) to (k, 160); `rows` (k,), no row twice."""
        before = self._before(rows)
        even = np.empty((len(rows), _HISTORY + FRAME), np.float32)
        even[:, :_HISTORY] = before[:, :_HISTORY]
        even[:, _HISTORY:] = frames[:, 0::2]
        odd = np.empty((len(rows), _MIDDLE_DELAY + 1 + FRAME), np.float32)
        odd[:, : _MIDDLE_DELAY + 1] = before[:, _HISTORY:]
        odd[:, _MIDDLE_DELAY + 1 :] = frames[:, 1::2]
        before[:, :_HISTORY] = even[:, FRAME:]
        before[:, _HISTORY:] = odd[:, FRAME:]
        self._history[rows] = before
        halved = odd[:, :FRAME] * np.float32(0.5)
        halved += self._filtered(even)
        return halved


Samples = TypeVar("Samples", npt.NDArray[np.float32], npt.NDArray[np.int16])


def convert(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """A whole recording (n,) at another rate, by soxr at high quality, without delay; of the same type, and itself if
    the rates are the same."""
    if samples.ndim != 1:
        raise ValueError(f"one channel is converted at a time, not an array of {samples.ndim} dimensions")
    if from_rate == to_rate:
        return samples
    converted: Samples = soxr.resample(samples, from_rate, to_rate, quality="HQ")
    return converted

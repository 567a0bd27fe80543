"""Automatic gain control: voices brought to a common level, in columns. Pure.

The level of speech is followed while somebody talks; the gain moves towards what the target asks for, slowly upwards
and faster downwards, within bounds. Silence changes nothing, so that noise is not raised between words.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

TARGET = 10 ** (-22 / 20) * 32768  # -22 dBov RMS: the level of speech that ITU-T P.56 tests are made at, near -26
TALKING = 10 ** (-45 / 20) * 32768  # below that nobody talks
MOST, LEAST = 10 ** (12 / 20), 10 ** (-12 / 20)
UP, DOWN = 10 ** (0.06 / 20), 10 ** (-0.4 / 20)  # a frame: 3 dB a second upwards, 20 downwards


class AutomaticGain:
    """A gain for each row of the stream table."""

    def __init__(self) -> None:
        self._gains: F32 = np.ones(64, np.float32)

    def reset(self, row: int) -> None:
        self._room_for(row)
        self._gains[row] = 1.0

    def apply(self, rows: I64, frames: F32) -> F32:
        """Frames (k, n) of these rows at their gains, which follow. Returns them, changed in place."""
        self._room_for(int(rows.max()))
        level = np.sqrt(np.einsum("ij,ij->i", frames, frames) / frames.shape[1])
        before = self._gains[rows]
        wanted = np.clip(TARGET / np.maximum(level, 1.0), LEAST, MOST)
        after = np.clip(wanted, before * DOWN, before * UP)
        after = np.where(level > TALKING, after, before).astype(np.float32)
        self._gains[rows] = after
        # From one gain to the other within the frame: a step would click.
        ramp = np.linspace(0.0, 1.0, frames.shape[1], dtype=np.float32)
        frames *= before[:, None] + (after - before)[:, None] * ramp
        return frames

    def _room_for(self, row: int) -> None:
        if row >= len(self._gains):
            more = max(row + 1, 2 * len(self._gains)) - len(self._gains)
            self._gains = np.concatenate((self._gains, np.ones(more, np.float32)))

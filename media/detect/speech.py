"""Speech or silence of all rows at once: energy against an adaptive noise floor, hangover.

The floor is the lowest level, smoothed over some frames, of the last one to two seconds: nobody speaks for so long
without a gap between words, and a noise that begins is known after that time. A frame is active where it is ONSET above
the floor (HOLD while somebody talks), louder than MIN_LEVEL, and not a hum: that changes its sign too rarely.

    silent -- ATTACK active frames in a row --> talking -- HANGOVER frames without an active one --> silent
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from media.detect.columns import F32, FRAME, I64, Bool, Columns, Frames

ONSET = 5.0  # dB above the floor
HOLD = 4.0
MIN_LEVEL = -52.0  # dBov: below that is no speech on any line
START_FLOOR = -50.0  # dBov, taken until the first second has told better
SILENCE_LEVEL = -96.0  # dBov told of digital silence: one step of 16 bits is -90
ATTACK = 3  # frames, 60 ms: a click is no speech
HANGOVER = 15  # frames, 300 ms: between words
FLOOR_FRAMES = 50  # in each of the two spans whose minimum is the floor
MIN_CROSSINGS = 4  # of zero in a frame: 100 Hz, above the hum of mains at 50 and 60

I16 = npt.NDArray[np.int16]

_SMOOTH = np.array(0.4, np.float32)
_SCALE = np.array(1 / (FRAME * 32768.0**2), np.float32)
_TINY = np.array(10 ** (SILENCE_LEVEL / 10), np.float32)
_TEN = np.array(10.0, np.float32)
_ONSET = np.array(ONSET, np.float32)
_EASIER = np.array(ONSET - HOLD, np.float32)
_LEAST = np.array(MIN_LEVEL, np.float32)
_ONE = np.array(1, np.int16)
_HANGOVER = np.array(HANGOVER, np.int16)
_ATTACK = np.array(ATTACK, np.int16)
_FLOOR_FRAMES = np.array(FLOOR_FRAMES, np.int16)
_CROSSINGS = np.array(MIN_CROSSINGS, np.int64)
_count = np.count_nonzero


class SpeechDetector(Columns):
    """Columns
    talking         somebody talks, hangover included
    active          the last frame was speech
    level           of the last frame, dBov (0: a square wave of full scale)
    smooth          the same, smoothed
    lowest, lowest_before, age
                    lowest `smooth` of this span and of the one before, dBov; frames of this span
    run             active frames in a row, or frames without one (negative)
    """

    talking: Bool
    active: Bool
    level: F32
    smooth: F32
    lowest: F32
    lowest_before: F32
    age: I16
    run: I16

    FRESH: ClassVar = {
        "talking": (np.bool_, False, ()),
        "active": (np.bool_, False, ()),
        "level": (np.float32, SILENCE_LEVEL, ()),
        "smooth": (np.float32, START_FLOOR, ()),
        "lowest": (np.float32, START_FLOOR, ()),
        "lowest_before": (np.float32, START_FLOOR, ()),
        "age": (np.int16, 0, ()),
        "run": (np.int16, 0, ()),
    }

    def process(self, rows: I64, frames: Frames) -> tuple[I64, I64]:
        """One frame of each of these rows, none twice. Returns rows where speech began, and where it ended."""
        if not len(rows):
            return rows, rows
        self.hold(rows)
        samples = np.ascontiguousarray(frames, np.float32)
        level = np.einsum("kn,kn->k", samples, samples)
        level *= _SCALE
        np.maximum(level, _TINY, out=level)
        np.log10(level, out=level)
        level *= _TEN
        talking = self.talking.take(rows)
        threshold = self._floor(rows, level) + _ONSET
        threshold -= talking * _EASIER
        np.maximum(threshold, _LEAST, out=threshold)
        active = level > threshold
        active &= _crossings(samples) >= _CROSSINGS
        run = self.run.take(rows)
        run = np.where(active, np.maximum(run, 0) + _ONE, np.minimum(run, 0) - _ONE)
        # It stays within 16 bits however long a row lasts.
        np.clip(run, -_HANGOVER, _ATTACK, out=run)
        starts = run >= _ATTACK
        starts &= ~talking
        ends = run <= -_HANGOVER
        ends &= talking
        self.level[rows] = level
        self.active[rows] = active
        self.run[rows] = run
        if not _count(starts) and not _count(ends):
            return rows[:0], rows[:0]
        started, ended = rows[starts], rows[ends]
        self.talking[started] = True
        self.talking[ended] = False
        return started, ended

    def _floor(self, rows: I64, level: F32) -> F32:
        smooth = self.smooth.take(rows)
        smooth += (level - smooth) * _SMOOTH
        lowest = np.minimum(self.lowest.take(rows), smooth)
        before = self.lowest_before.take(rows)
        age = self.age.take(rows) + _ONE
        old = np.flatnonzero(age >= _FLOOR_FRAMES)
        if old.size:
            self.lowest_before[rows[old]] = before[old] = lowest[old]
            lowest[old] = smooth[old]
            age[old] = 0
        self.smooth[rows] = smooth
        self.lowest[rows] = lowest
        self.age[rows] = age
        floor: F32 = np.minimum(lowest, before)
        return floor


def _crossings(samples: F32) -> I64:
    """How often each frame, (k, 160), changes its sign; one more or less, as its neighbour's end counts in."""
    signs = np.signbit(samples).reshape(-1)
    changes = np.zeros(signs.size, np.bool_)
    np.not_equal(signs[1:], signs[:-1], out=changes[1:])
    words = np.packbits(changes).view(np.uint32).reshape(len(samples), FRAME // 32)
    crossings: I64 = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return crossings

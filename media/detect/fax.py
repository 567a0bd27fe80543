"""Tones of fax machines (ITU-T T.30 4, V.25, V.8) of all rows at once.

    CNG   the calling machine: 1100 Hz +-38, 0.5 s on and 3 s off, each +-15 %
    CED   the called one: 2100 Hz +-15, 2.6 to 4 s; ANSam turns its phase every 450 ms and is modulated with 15 Hz

Every 10 ms are correlated with both frequencies. A window is a hit where the tone has half of its energy; over 10 ms a
tone 38 Hz beside 1100 keeps 0.61 of its power, one 46 Hz beside it 0.5, and one that fills part of the window as much.
Once a tone has lasted, it is judged as a whole: its frequency by how the phase moved from window to window, and, what
is lost by being beside the frequency put right, its share of the energy, by which notes with harmonics are none.

CNG is told 200 ms after a burst of 425-575 ms that silence follows: a note of that pitch in a melody is followed by the
next one. CED is told when it has lasted half a second, over two windows that a turn of the phase spoils.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from media.detect.columns import F32, FRAME, I64, RATE, Bool, Columns, Frames, correlate

CNG = "fax-cng"
CED = "fax-ced"
TONES = (CNG, CED)
FREQUENCIES = (1100, 2100)
HIT = 0.5  # share of a window's energy
SHARE = 0.8  # of the whole tone's energy
OFFSETS = (45.0, 25.0)  # Hz beside the frequency; 50 is as much as can be told
MIN_LEVEL = -43.0  # dBm0 (T.30: a receiver's least level)
WINDOW_MS = 10
# The tone's first and last window count where it fills half of them: 425 to 575 ms are 42 to 58, give or take one.
CNG_WINDOWS = (41, 59)
CNG_SILENCE = 20
CED_WINDOWS = 50
BRIDGED = 2  # windows without it that end no tone
QUIET = 0.1  # of the tone's energy: what follows is silence below that

_WINDOW = FRAME // 2
I16 = npt.NDArray[np.int16]


def _basis() -> F32:
    """(4, 80): cosine and sine of 1100 Hz, then of 2100 Hz. Both have whole periods in 10 ms."""
    angle = 2 * np.pi / RATE * np.array(FREQUENCIES)[:, None, None] * np.arange(_WINDOW)
    waves = np.concatenate((np.cos(angle), np.sin(angle)), axis=1)
    return waves.reshape(4, _WINDOW).astype(np.float32)


_WAVES = _basis()
# Correlation of a tone that is all of the energy: (A N/2)^2 to A^2 N/2.
_SHARE = np.float32(_WINDOW / 2)
_HIT = np.array(HIT * _WINDOW / 2, np.float32)
_TO_HZ = RATE / (2 * np.pi * _WINDOW)
_FLOOR = np.float32((32768 * 10 ** ((MIN_LEVEL - 3.14) / 20)) ** 2 / 2 * _WINDOW)


class FaxDetector(Columns):
    """Columns, for each of the two tones
    length, misses  windows that it lasted until its last hit, 0: no tone; since then
    strength        energy of its last hit
    spoiled         told already, or followed by sound
    power, energy   of its hits together: of the correlation, of the samples
    real, imaginary how the phase moves in a window, weighted by power
    """

    length: I16
    misses: I16
    strength: F32
    spoiled: Bool
    power: F32
    energy: F32
    real: F32
    imaginary: F32

    FRESH: ClassVar = {
        "length": (np.int16, 0, (2,)),
        "misses": (np.int16, 0, (2,)),
        "strength": (np.float32, 0, (2,)),
        "spoiled": (np.bool_, False, (2,)),
        "power": (np.float32, 0, (2,)),
        "energy": (np.float32, 0, (2,)),
        "real": (np.float32, 0, (2,)),
        "imaginary": (np.float32, 0, (2,)),
    }

    def process(self, rows: I64, frames: Frames) -> list[tuple[int, str]]:
        """One frame of each of these rows, none twice. Returns (row, CNG or CED) of what was recognised."""
        count = len(rows)
        if not count:
            return []
        self.hold(rows)
        windows = np.ascontiguousarray(frames, np.float32).reshape(count * 2, _WINDOW)
        found = correlate(_WAVES, windows).reshape(2, 2, count, 2)  # tone, cosine and sine, row, window
        power = np.square(found).sum(axis=1)
        energy = np.einsum("wn,wn->w", windows, windows).reshape(count, 2)
        hits = power > energy * _HIT
        hits &= energy > _FLOOR
        concerned = hits.any(axis=2) | (self.length.take(rows, axis=0).T > 0)
        told: list[tuple[int, str]] = []
        for tone, judge in ((0, self._cng), (1, self._ced)):
            at = np.flatnonzero(concerned[tone])
            if not at.size:
                continue
            whose = rows[at]
            for window in range(2):
                hit, loud = hits[tone, at, window], energy[at, window]
                self._count(whose, tone, hit, loud, power[tone, at, window])
                if window:
                    self._turn(whose, tone, found[tone][:, at], hit & hits[tone, at, 0])
                told += [(int(row), TONES[tone]) for row in judge(whose, hit, loud)]
        return told

    # -- windows, of rows that have or had a hit

    def _count(self, rows: I64, tone: int, hit: Bool, energy: F32, power: F32) -> None:
        before, gone = self.length[rows, tone], self.misses[rows, tone]
        going = (before > 0) & ~(hit & (gone > BRIDGED))
        begins = rows[hit & ~going]
        for column in (self.power, self.energy, self.real, self.imaginary):
            column[begins, tone] = 0
        self.spoiled[begins, tone] = False
        # Windows between two hits of one tone are part of it. No tone is asked for so many.
        length = np.minimum(np.where(hit, np.where(going, before + gone + 1, 1), before), 1000)
        self.length[rows, tone] = length
        self.misses[rows, tone] = np.where(hit, 0, gone + (before > 0))
        at, energy = rows[hit], energy[hit]
        self.strength[at, tone] = energy
        self.power[at, tone] += power[hit]
        self.energy[at, tone] += energy

    def _turn(self, rows: I64, tone: int, found: F32, both: Bool) -> None:
        """`found`: (cosine and sine, row, window); only rows where `both` windows are hits."""
        at = rows[both]
        (cos_1, cos_2), (sin_1, sin_2) = found[:, both].transpose(0, 2, 1)
        self.real[at, tone] += cos_1 * cos_2 + sin_1 * sin_2
        self.imaginary[at, tone] += cos_1 * sin_2 - sin_1 * cos_2

    def _pure(self, rows: I64, tone: int) -> Bool:
        """Whether what was heard is one tone near the frequency."""
        offset = np.arctan2(self.imaginary[rows, tone], self.real[rows, tone]) * _TO_HZ
        kept = np.square(np.sinc(offset * (_WINDOW / RATE)))
        share = self.power[rows, tone] / (self.energy[rows, tone] * _SHARE)
        pure: Bool = (np.abs(offset) <= OFFSETS[tone]) & (share >= SHARE * kept)
        return pure

    def _cng(self, rows: I64, hit: Bool, energy: F32) -> list[int]:
        misses = self.misses[rows, 0]
        spoiled = (misses > BRIDGED) & (energy > self.strength[rows, 0] * np.float32(QUIET))
        self.spoiled[rows[spoiled], 0] = True
        over = rows[misses >= CNG_SILENCE]
        length = self.length[over, 0]
        right = ~self.spoiled[over, 0] & (length >= CNG_WINDOWS[0]) & (length <= CNG_WINDOWS[1])
        self.length[over, 0] = 0
        over = over[right]
        recognised: list[int] = over[self._pure(over, 0)].tolist()
        return recognised

    def _ced(self, rows: I64, hit: Bool, energy: F32) -> list[int]:
        ready = rows[hit & (self.length[rows, 1] >= CED_WINDOWS) & ~self.spoiled[rows, 1]]
        ready = ready[self._pure(ready, 1)]
        self.spoiled[ready, 1] = True
        self.length[rows[self.misses[rows, 1] > BRIDGED], 1] = 0
        recognised: list[int] = ready.tolist()
        return recognised

"""The hold music that needs no file: a calm melody of plucked notes over four chords, written for this project. Pure.

It is made of sines whose tails run on over the end into the beginning, so that the loop has no seam, and stays below
3.4 kHz, so that every codec carries all of it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from media.playable import I16, frozen

BEATS_PER_MINUTE = 76
BEATS_PER_BAR = 4
RATE = 8000  # it is composed at; higher rates have nothing above
PEAK = 3300.0  # int16 units, about -20 dBm0 where it is loudest: behind a queue's announcements

# One chord a bar: the bass note, then what is broken above it, in MIDI numbers (60: middle C).
CHORDS = (
    (50, (57, 62, 66, 69)),
    (47, (54, 59, 62, 66)),
    (43, (55, 59, 62, 66)),
    (45, (57, 61, 64, 69)),
    (50, (57, 62, 66, 69)),
    (42, (57, 61, 64, 69)),
    (43, (55, 62, 67, 71)),
    (45, (57, 62, 64, 69)),
)
BROKEN = (0, 1, 2, 3, 2, 1, 2, 1)  # order of a chord's notes, in quavers
# Melody: (bar, beat, MIDI number, beats it lasts), over two rounds of the chords.
TUNE = (
    (0, 0, 78, 2), (0, 2, 76, 1), (0, 3, 74, 1), (1, 0, 71, 3), (1, 3, 73, 1),
    (2, 0, 74, 2), (2, 2, 71, 1), (2, 3, 67, 1), (3, 0, 69, 4),
    (4, 0, 78, 1), (4, 1, 81, 2), (4, 3, 78, 1), (5, 0, 76, 3), (5, 3, 73, 1),
    (6, 0, 74, 2), (6, 2, 76, 1), (6, 3, 74, 1), (7, 0, 74, 2), (7, 2, 73, 2),
    (9, 0, 78, 2), (9, 2, 74, 2), (10, 0, 79, 3), (10, 3, 78, 1), (11, 0, 76, 4),
    (12, 0, 74, 1), (12, 1, 76, 1), (12, 2, 78, 2), (13, 0, 76, 2), (13, 2, 73, 2),
    (14, 0, 71, 2), (14, 2, 74, 2), (15, 0, 73, 3),
)  # fmt: skip

_F64 = npt.NDArray[np.float64]
_BARS = 2 * len(CHORDS)
_BEAT = RATE * 60 // BEATS_PER_MINUTE
SIZE = _BARS * BEATS_PER_BAR * _BEAT  # samples of the whole at RATE


def _pluck(note: int, beats: float) -> _F64:
    """One note, dying away about as long as it lasts."""
    frequency = 440.0 * 2.0 ** ((note - 69) / 12.0)
    size = int(beats * _BEAT * 2.5)
    seconds = np.arange(size) / RATE
    wave = np.zeros(size)
    for harmonic, loudness in ((1, 1.0), (2, 0.30), (3, 0.12), (4, 0.05)):
        if frequency * harmonic < 3300:
            decay = np.exp(-seconds * (0.8 + 0.7 * harmonic) / max(beats * 0.45, 0.35))
            wave += loudness * decay * np.sin(2 * np.pi * frequency * harmonic * seconds)
    rise = min(size, RATE // 80)
    wave[:rise] *= np.linspace(0.0, 1.0, rise)
    fall = size // 5
    wave[size - fall :] *= np.linspace(1.0, 0.0, fall)
    return wave


@lru_cache(1)
def compose() -> _F64:
    """(SIZE,) at RATE, peak 1. Not to be written to."""
    whole = np.zeros(SIZE)

    def put(beat: float, note: int, beats: float, loudness: float) -> None:
        wave = _pluck(note, beats) * loudness
        places = (np.arange(len(wave)) + int(beat * _BEAT)) % SIZE
        whole[places] += wave

    for bar in range(_BARS):
        bass, notes = CHORDS[bar % len(CHORDS)]
        put(bar * BEATS_PER_BAR, bass, 3.0, 0.45)
        for quaver, place in enumerate(BROKEN):
            put(bar * BEATS_PER_BAR + quaver / 2, notes[place], 1.0, 0.22 if quaver else 0.28)
    for bar, beat, note, beats in TUNE:
        put(bar * BEATS_PER_BAR + beat, note, beats, 0.6)
    whole /= np.max(np.abs(whole))
    return whole


def samples(rate: int) -> I16:
    """One round at a multiple of 8000 Hz; it joins itself. Some tenths of a second of work."""
    whole = compose()
    if rate != RATE:  # a periodic signal is resampled exactly by its spectrum
        factor = rate // RATE
        whole = np.fft.irfft(np.fft.rfft(whole), SIZE * factor) * factor
    return frozen(np.rint(whole * PEAK).astype(np.int16))

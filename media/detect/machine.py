"""What tells an answering machine from a person: cues, for a dialler to judge. Nothing is decided here.

People say a short word and wait; machines talk for seconds and beep. Of a row that is listened to are told

    initial-silence         from the beginning until the first word
    word                    a burst of speech
    pause                   silence between two words
    greeting                from the first word to the end of the last one that no long silence came before
    after-greeting-silence  once it has lasted `Lengths.after_greeting`
    beep                    a steady tone after speech: 400-2500 Hz, 80 ms to 3 s

each when it is over, with when it began and how long it lasted. A dialler cannot wait for the end of a long initial
silence or greeting: those are also told once when they have reached a length, with the same begin.

Frames are speech where `media.detect.speech` finds it and no tone is in them. Rows run through Python only when a frame
differs from the one before, or a length is reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from media.detect.columns import F32, FRAME, FRAME_SECONDS, I64, RATE, Bool, Columns, Frames

INITIAL_SILENCE = "initial-silence"
WORD = "word"
PAUSE = "pause"
GREETING = "greeting"
AFTER_GREETING = "after-greeting-silence"
BEEP = "beep"

BEEP_HZ = (400.0, 2500.0)
BEEP_FRAMES = (3, 152)  # a tone of 80 ms fills three frames at least; of 3 s, with both frames that it has a part of
NARROW = 0.9  # of the energy within 50 Hz of the peak
STEADY_HZ = 12.0  # from frame to frame
BEEP_LEVEL = -45.0  # dBov at least

Cue = tuple[int, str, float, float]  # row, what, begin (seconds since listening began), seconds


@dataclass(frozen=True, slots=True)
class Lengths:
    """In seconds; multiples of the frame of 20 ms."""

    word: float = 0.10
    """A shorter burst is a noise."""
    pause: float = 0.10
    """A shorter silence is part of the word: stops of consonants last 50 to 90 ms."""
    after_greeting: float = 0.8
    """Longer than pauses between sentences."""
    long_initial: float = 2.5
    """An initial silence is told when it has lasted so long."""
    long_greeting: float = 2.0
    """A greeting is told when it has lasted so long."""


_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(FRAME) + 0.5) / FRAME)).astype(np.float32)
_BIN = RATE / FRAME
_FIRST, _LAST = int(BEEP_HZ[0] / _BIN), int(BEEP_HZ[1] / _BIN)
# Sum of the spectrum's power of a sine: (N/2)(A^2/2) times the mean of the squared window, 3/8.
_LEAST_POWER = np.float32(32768**2 * 10 ** (BEEP_LEVEL / 10) * FRAME**2 / 2 * 3 / 8)
_NEVER = 1 << 30


class _Listening:
    """One row's greeting so far. All times are frames since listening began; -1: none."""

    __slots__ = ("burst", "ended", "greeting", "in_word", "initial_told", "long_told", "quiet", "spoke", "trailing")

    def __init__(self) -> None:
        self.burst = -1  # begin of the present burst
        self.quiet = 0  # begin of the present frames without speech; -1: there is speech
        self.in_word = False  # the burst is long enough
        self.ended = 0  # end of the last word
        self.greeting = -1  # begin of the greeting
        self.spoke = False
        self.initial_told = False
        self.long_told = False
        self.trailing = False  # a greeting is over once silence has lasted


class MachineDetector(Columns):
    """Columns
    frame           frames heard
    speech          the last one was speech
    due             frame in which the row's `_Listening` wants to be asked
    tone, tone_hz   frames that a steady tone has lasted, and its frequency
    """

    frame: I64
    speech: Bool
    due: I64
    tone: I64
    tone_hz: F32

    FRESH: ClassVar = {
        "frame": (np.int64, 0, ()),
        "speech": (np.bool_, False, ()),
        "due": (np.int64, 0, ()),
        "tone": (np.int64, 0, ()),
        "tone_hz": (np.float32, 0, ()),
    }

    def __init__(self, lengths: Lengths | None = None) -> None:
        super().__init__()
        lengths = lengths or Lengths()
        self._word = _frames(lengths.word)
        self._pause = _frames(lengths.pause)
        self._after = _frames(lengths.after_greeting)
        self._long_initial = _frames(lengths.long_initial)
        self._long_greeting = _frames(lengths.long_greeting)
        self._listening: dict[int, _Listening] = {}

    def reset(self, row: int) -> None:
        super().reset(row)
        self._listening.pop(row, None)

    def process(self, rows: I64, frames: Frames, active: Bool) -> list[Cue]:
        """One frame of each of these rows, none twice; `active`: where the speech detector found speech in it."""
        if not len(rows):
            return []
        self.hold(rows)
        now = self.frame.take(rows)
        tonal, hz = _tones(np.ascontiguousarray(frames, np.float32))
        # The frame after a tone may hold the end of it.
        speech = active & ~tonal & (self.tone.take(rows) < 2)
        told: list[Cue] = []
        self._beeps(rows, now, tonal, hz, told)
        concerned = np.flatnonzero((speech != self.speech.take(rows)) | (now >= self.due.take(rows)))
        for at in concerned.tolist():
            row = int(rows[at])
            listening = self._listening.get(row)
            if listening is None:
                listening = self._listening[row] = _Listening()
            self._hear(row, listening, int(now[at]), bool(speech[at]), told)
            self.due[row] = self._next(listening, int(now[at]))
        self.speech[rows] = speech
        self.frame[rows] = now + 1
        return told

    # -- tones

    def _beeps(self, rows: I64, now: I64, tonal: Bool, hz: F32, told: list[Cue]) -> None:
        before = self.tone.take(rows)
        if not np.count_nonzero(tonal) and not np.count_nonzero(before):
            return
        goes_on = tonal & (before > 0) & (np.abs(hz - self.tone_hz.take(rows)) <= STEADY_HZ)
        for at in np.flatnonzero(~goes_on & (before >= BEEP_FRAMES[0]) & (before <= BEEP_FRAMES[1])).tolist():
            listening = self._listening.get(int(rows[at]))
            if listening is not None and listening.spoke:
                length = int(before[at])
                told.append((int(rows[at]), BEEP, (int(now[at]) - length) * FRAME_SECONDS, length * FRAME_SECONDS))
        self.tone[rows] = np.where(goes_on, before + 1, tonal)
        self.tone_hz[rows] = hz

    # -- words

    def _hear(self, row: int, it: _Listening, now: int, speech: bool, told: list[Cue]) -> None:
        """Frame `now` of one row is the first one of another kind, or something is due."""
        # First what is over or reached with the frame before.
        if it.burst >= 0:
            # A silence that may be part of the word counts once speech has come again.
            end = now if it.quiet < 0 else it.quiet
            if not it.in_word and end - it.burst >= self._word:
                self._begin_word(row, it, told)
            if it.quiet >= 0 and now - it.quiet >= self._pause:
                self._end_burst(row, it, told)
        if not it.spoke and not it.initial_told and it.burst < 0 and now >= self._long_initial:
            it.initial_told = True
            told.append(_cue(row, INITIAL_SILENCE, 0, now))
        if it.in_word and not it.long_told and now - it.greeting >= self._long_greeting:
            it.long_told = True
            told.append(_cue(row, GREETING, it.greeting, now))
        if it.trailing and it.burst < 0 and now - it.ended >= self._after:
            it.trailing = False
            told.append(_cue(row, GREETING, it.greeting, it.ended))
            told.append(_cue(row, AFTER_GREETING, it.ended, now))
        if speech:
            if it.burst < 0:
                it.burst = now
            it.quiet = -1
        elif it.quiet < 0:
            it.quiet = now

    def _begin_word(self, row: int, it: _Listening, told: list[Cue]) -> None:
        it.in_word = True
        told.append(_cue(row, PAUSE if it.spoke else INITIAL_SILENCE, it.ended, it.burst))
        it.spoke = True
        if not it.trailing:
            it.greeting = it.burst
            it.trailing = True
            it.long_told = False

    def _end_burst(self, row: int, it: _Listening, told: list[Cue]) -> None:
        if it.in_word:
            told.append(_cue(row, WORD, it.burst, it.quiet))
            it.ended = it.quiet
        it.in_word = False
        it.burst = -1

    def _next(self, it: _Listening, now: int) -> int:
        """The frame in which something is due, unless speech begins or ends before."""
        due = _NEVER
        if it.burst >= 0 and it.quiet >= 0:
            due = it.quiet + self._pause
        elif it.burst >= 0 and not it.in_word:
            due = it.burst + self._word
        elif it.trailing and it.burst < 0:
            due = it.ended + self._after
        elif not it.spoke and not it.initial_told:
            due = self._long_initial
        if it.in_word and not it.long_told:
            due = min(due, it.greeting + self._long_greeting)
        return max(due, now + 1)


def _frames(seconds: float) -> int:
    return max(1, round(seconds / FRAME_SECONDS))


def _cue(row: int, what: str, begin: int, end: int) -> Cue:
    return row, what, begin * FRAME_SECONDS, (end - begin) * FRAME_SECONDS


def _tones(samples: F32) -> tuple[Bool, F32]:
    """Which frames, (k, 160), are one tone that may be a beep, and the frequency of the strongest part of each."""
    spectrum = np.fft.rfft(samples * _HANN)
    power: npt.NDArray[np.float32] = np.square(spectrum.real) + np.square(spectrum.imag)
    total = power.sum(axis=1)
    peak = power[:, _FIRST : _LAST + 1].argmax(axis=1) + _FIRST
    index = np.arange(len(samples))
    left, middle, right = power[index, peak - 1], power[index, peak], power[index, peak + 1]
    narrow = left + middle + right
    # A tone d bins above the peak: neighbours of a Hann window are in the ratio (1 + d)/(2 - d).
    upper = right >= left
    ratio = np.sqrt(np.where(upper, right, left) / np.maximum(middle, np.float32(1)))
    beside = np.where(upper, 1, -1) * (2 * ratio - 1) / (ratio + 1)
    hz = ((peak + beside) * _BIN).astype(np.float32)
    tonal = (narrow >= total * np.float32(NARROW)) & (total >= _LEAST_POWER)
    tonal &= (hz >= BEEP_HZ[0] - 5) & (hz <= BEEP_HZ[1] + 5)
    return tonal, hz

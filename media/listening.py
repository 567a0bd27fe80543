"""Detectors of all voices: digits, fax tones, speech, machines, talkers of rooms. Pure.

Detectors work at 8000 Hz, in columns, on the rows that want them; what they find becomes events of the voice's stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from media.audio_commands import AudioEvent, Detect, Digit, Heard, Talking
from media.detect.dtmf import DtmfDetector
from media.detect.fax import FaxDetector
from media.detect.machine import Lengths, MachineDetector
from media.detect.speech import SpeechDetector
from media.resample import Halver
from media.voice import Voice

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

DTMF, FAX, SPEECH, MACHINE, TALKER = 1, 2, 4, 8, 16
FULL_BAND_FACTOR = 6  # 48000 Hz to 8000 Hz


class Listening:
    """`voices` by row of the stream table. `inband(stream, digit)` is told of each digit that was heard as a tone."""

    def __init__(self, voices: Mapping[int, Voice], events: list[AudioEvent]) -> None:
        self.inband: Callable[[int, str], None] = lambda _stream, _digit: None
        self._voices = voices
        self._events = events
        self._dtmf = DtmfDetector()
        self._fax = FaxDetector()
        self._speech = SpeechDetector()
        self._machine = MachineDetector(Lengths())
        self._halver = Halver()
        self._wants: U8 = np.zeros(64, np.uint8)
        self._since: dict[int, float] = {}
        self._rooms: dict[int, int] = {}

    # -- who is listened to

    def listen(self, row: int, command: Detect, now: float) -> None:
        """What of a voice is listened for, from now on."""
        wants = command.dtmf * DTMF | command.fax * FAX | command.speech * SPEECH | command.machine * MACHINE
        self._room_for(row)
        fresh = wants & ~int(self._wants[row])
        self._wants[row] = self._wants[row] & TALKER | wants
        self._since[row] = now
        if fresh & DTMF:
            self._dtmf.reset(row)
        if fresh & FAX:
            self._fax.reset(row)
        if fresh & SPEECH and not self._wants[row] & TALKER:
            self._speech.reset(row)
        if wants & MACHINE:
            self._machine.reset(row)

    def talker(self, row: int, room: int) -> None:
        """Whether a voice's talking is told, and of which room; 0: it is not."""
        self._room_for(row)
        was = self._rooms.pop(row, 0)
        if room:
            if not was:
                self._speech.reset(row)
            self._rooms[row] = room
            self._wants[row] |= TALKER
        else:
            self._wants[row] &= ~TALKER & 0xFF

    def forget(self, row: int) -> None:
        if row < len(self._wants):
            self._wants[row] = 0
        self._since.pop(row, None)
        self._rooms.pop(row, None)

    # -- every tick

    def process(self, rows: I64, frames: F32, rate: int, now: float) -> None:
        """One frame (k, rate / 50) of each of these voices."""
        if rate != 8000:
            frames = self._halved(rows, frames, rate)
        wants = self._wants.take(rows)
        at = np.flatnonzero(wants & DTMF)
        if at.size:
            for row, digit, duration_ms in self._dtmf.process(rows[at], frames[at]):
                stream = self._voices[row].stream
                self._events.append(Digit(stream, digit, duration_ms, "inband"))
                self.inband(stream, digit)
        at = np.flatnonzero(wants & FAX)
        if at.size:
            for row, what in self._fax.process(rows[at], frames[at]):
                self._events.append(Heard(self._voices[row].stream, what, self._elapsed(row, now)))
        at = np.flatnonzero(wants & (SPEECH | TALKER | MACHINE))
        if at.size:
            self._talk(rows[at], frames[at], wants[at], now)

    def _talk(self, rows: I64, frames: F32, wants: U8, now: float) -> None:
        started, ended = self._speech.process(rows, frames)
        for talking, changed in ((True, started), (False, ended)):
            for row in changed.tolist():
                stream = self._voices[row].stream
                room = self._rooms.get(row, 0)
                if room:
                    self._events.append(Talking(room, stream, talking))
                if self._wants[row] & SPEECH:
                    what = "speech-start" if talking else "speech-end"
                    self._events.append(Heard(stream, what, self._elapsed(row, now)))
        at = np.flatnonzero(wants & MACHINE)
        if at.size:
            of = rows[at]
            for row, what, begin, seconds in self._machine.process(of, frames[at], self._speech.active[of]):
                self._events.append(Heard(self._voices[row].stream, what, begin, seconds))

    def _elapsed(self, row: int, now: float) -> float:
        return now - self._since.get(row, now)

    def _halved(self, rows: I64, frames: F32, rate: int) -> F32:
        if rate == 16000:
            return self._halver.down(rows, np.ascontiguousarray(frames))
        # What is listened for lies below 3 kHz: a mean of six samples is filter enough.
        narrow: F32 = frames.reshape(len(frames), -1, FULL_BAND_FACTOR).mean(axis=2, dtype=np.float32)
        return narrow

    def _room_for(self, row: int) -> None:
        if row >= len(self._wants):
            more = max(row + 1, 2 * len(self._wants)) - len(self._wants)
            self._wants = np.concatenate((self._wants, np.zeros(more, np.uint8)))

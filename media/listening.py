"""Detectors of all voices: digits, fax tones, speech, machines, talkers of rooms. Pure.

Detectors work at 8000 Hz, in columns, on the rows that want them; what they find becomes events of the voice's stream.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from media.audio_commands import AudioEvent, Detect, Digit
from media.detect.dtmf import DtmfDetector
from media.voice import Voice

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]


class Listening:
    """`voices` by row of the stream table."""

    def __init__(self, voices: Mapping[int, Voice], events: list[AudioEvent]) -> None:
        self._voices = voices
        self._events = events
        self._dtmf = DtmfDetector()
        self._wants: dict[int, Detect] = {}

    def listen(self, row: int, command: Detect, now: float) -> None:
        self._wants[row] = command
        self._dtmf.reset(row)

    def talker(self, row: int, room: int) -> None:
        pass

    def forget(self, row: int) -> None:
        self._wants.pop(row, None)

    def process(self, rows: I64, frames: F32, rate: int, now: float) -> None:
        for row, digit, duration_ms in self._dtmf.process(rows, frames):
            self._events.append(Digit(self._voices[row].stream, digit, duration_ms, "inband"))

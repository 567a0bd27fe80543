"""Recordings of all rates, between the phases' buses and the recorder's columns. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from media.audio_commands import AudioEvent, PauseRecording, RecordingFailed, SetRecordingChannels, StartRecording
from media.recorder import AudioFiles, Recordings
from media.resample import Doubler, Halver

F32 = npt.NDArray[np.float32]
I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]

RATES = (8000, 16000)
"""What files are made at: telephony is worth no more."""


class RecordingDesk:
    """One bank of recordings a rate; a row here is (bank, row there) as one number."""

    def __init__(self, files: AudioFiles, events: list[AudioEvent]) -> None:
        self._banks = [Recordings(rate, files) for rate in RATES]
        self._events = events
        self._live: dict[int, tuple[int, tuple[tuple[int, int], ...]]] = {}  # recording -> bank, channels
        self._doubler = Doubler()
        self._halver = Halver()
        self._streams: dict[tuple[int, int], soxr.ResampleStream] = {}

    def __len__(self) -> int:
        return len(self._live)

    def start(self, command: StartRecording, now: float, wall: float) -> int:
        """Begin a recording; its row, for `advance`. The same again changes nothing."""
        bank = RATES.index(16000 if command.rate > 8000 else 8000)
        if command.recording not in self._live:
            self._live[command.recording] = (bank, command.channels)
        row = self._banks[bank].start(command.recording, command, now, wall)
        return row * len(RATES) + bank

    def channels(self, command: SetRecordingChannels) -> None:
        known = self._live.get(command.recording)
        if known is not None:
            self._live[command.recording] = (known[0], command.channels)
            self._banks[known[0]].channels(command.recording, command.channels, command.labels)

    def pause(self, command: PauseRecording) -> None:
        known = self._live.get(command.recording)
        if known is not None:
            self._banks[known[0]].pause(command.recording, command.paused)

    def stop(self, recording: int, now: float) -> None:
        known = self._live.pop(recording, None)
        if known is not None:
            self._banks[known[0]].stop(recording, now)

    def stop_all(self, now: float) -> None:
        for recording in list(self._live):
            self.stop(recording, now)

    def live(self) -> list[int]:
        return list(self._live)

    def by_stream(self) -> dict[int, tuple[tuple[int, int], ...]]:
        """(row, channel) pairs that each stream is recorded on."""
        found: dict[int, tuple[tuple[int, int], ...]] = {}
        for recording, (bank, channels) in self._live.items():
            row = self._banks[bank].row(recording)
            if row is None:
                continue
            for stream, channel in channels:
                found[stream] = (*found.get(stream, ()), (row * len(RATES) + bank, channel))
        return found

    def tend(self, now: float) -> list[int]:
        """Tell what has become of files; the recordings that failed, and are no more. A few times a second."""
        failed: list[int] = []
        for bank in self._banks:
            bank.tend(now)
            if bank.events:
                self._events += bank.events
                failed += [each.recording for each in bank.events if isinstance(each, RecordingFailed)]
                bank.events.clear()
        return failed

    # -- every tick

    def add(self, rows: I64, channels: I64, numbers: I64, frames: F32, rate: int) -> None:
        """Frames (k, n) at the bus's rate, of voices `numbers`, for channels of recordings."""
        for index, bank in enumerate(self._banks):
            which = np.flatnonzero(rows % len(RATES) == index)
            if which.size:
                converted = self._converted(numbers[which], frames[which], rate, bank.rate)
                np.clip(converted, -32767, 32767, out=converted)
                bank.add(rows[which] // len(RATES), channels[which], converted.astype(np.int16))

    def advance(self, rows: I64) -> None:
        for index, bank in enumerate(self._banks):
            of = rows[rows % len(RATES) == index]
            if of.size:
                bank.advance(of // len(RATES))

    def _converted(self, numbers: I64, frames: F32, rate: int, wanted: int) -> F32:
        if rate == wanted:
            return frames
        if rate == 48000:
            return self._from_full_band(numbers, frames, wanted)
        # A stream on several recordings is converted once: its history is one.
        unique, first, back = np.unique(numbers, return_index=True, return_inverse=True)
        chosen = np.ascontiguousarray(frames[first])
        done: F32 = (self._doubler.up if rate < wanted else self._halver.down)(unique, chosen)
        return done[back]

    def _from_full_band(self, numbers: I64, frames: F32, wanted: int) -> F32:
        out = np.zeros((len(numbers), wanted // 50), np.float32)
        done: dict[int, int] = {}
        for place, number in enumerate(numbers.tolist()):
            if number in done:
                out[place] = out[done[number]]
                continue
            done[number] = place
            stream = self._streams.get((number, wanted))
            if stream is None:
                stream = self._streams[number, wanted] = soxr.ResampleStream(48000, wanted, 1, dtype="float32")
            samples = stream.resample_chunk(frames[place])
            # The filter gives nothing at first, and then what fits on average.
            size = min(len(samples), out.shape[1])
            out[place, out.shape[1] - size :] = samples[:size]
        return out

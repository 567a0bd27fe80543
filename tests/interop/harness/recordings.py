"""A process that records tones in real time, to be killed or to run out of disk:

    python recordings.py DIRECTORY FORMAT RECORDINGS SECONDS

It prints the seconds recorded after every tick, each event as a line of JSON, and `done`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

import msgspec
import numpy as np

from media.audio_commands import StartRecording
from media.record_files import RecordingFiles, RecordingSettings
from media.recorder import TICKS, Recordings

RATE = 8000
N = RATE // TICKS
LEFT, RIGHT = 400.0, 1000.0  # Hz
LEVEL = 8000


def main(directory: Path, format: Literal["wav", "opus"], recordings: int, seconds: float) -> None:
    posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
    files = RecordingFiles(RecordingSettings(directory=directory, minimum_free_mb=0), posted.put)
    bank = Recordings(RATE, files)
    for recording in range(recordings):
        command = StartRecording(recording, f"{recording:08x}", ((1, 0), (2, 1)), format=format)
        bank.start(recording, command, time.monotonic(), time.time())
    rows = np.array([bank.row(recording) for recording in range(recordings)])
    both, channels = rows.repeat(2), np.tile(np.array([0, 1]), recordings)
    angles = 2 * np.pi * np.array([[LEFT], [RIGHT]]) / RATE
    begun = time.monotonic()
    for tick in range(int(seconds * TICKS)):
        tones = (np.sin(angles * np.arange(tick * N, (tick + 1) * N)) * LEVEL).astype(np.int16)
        bank.add(both, channels, np.tile(tones, (recordings, 1)))
        bank.advance(rows)
        print((tick + 1) / TICKS, flush=True)
        tell(bank, posted)
        time.sleep(max(0.0, begun + (tick + 1) / TICKS - time.monotonic()))
    bank.stop_all(time.monotonic())
    files.close(30.0)
    tell(bank, posted)
    print("done", flush=True)


def tell(bank: Recordings, posted: SimpleQueue[Callable[[], None]]) -> None:
    while not posted.empty():
        posted.get()()
    for event in bank.events:
        print(msgspec.json.encode(event).decode(), flush=True)
    bank.events.clear()


if __name__ == "__main__":
    _, where, kind, count, length = sys.argv
    assert kind in ("wav", "opus")
    main(Path(where), kind, int(count), float(length))  # type: ignore[arg-type]

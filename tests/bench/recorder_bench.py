"""CPU time of recordings that run at once through the real writer, per recording.

    python -m tests.bench.recorder_bench [--recordings N] [--seconds S] [--rate HZ] [--format wav|opus] [--mono]

Frames of noise for both channels of every recording in each tick of 20 ms, in real time. Told are the microseconds that
one recording costs in a tick (`add` and `advance`, on the loop's thread), and its CPU time in a second of audio: on the
loop's thread, on the writer's, and of the whole process, kernel included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from media.audio_commands import RecordingEnded, StartRecording
from media.record_files import RecordingFiles, RecordingSettings
from media.recorder import TICKS, Recordings
from tests.bench.rig import line

TICK_BUDGET_US = 1.0
NOISE_TICKS = 16


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recordings", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=8000)
    parser.add_argument("--format", choices=("wav", "opus"), default="wav")
    parser.add_argument("--mono", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        run(arguments, Path(directory))


def run(arguments: argparse.Namespace, directory: Path) -> None:
    count, ticks = arguments.recordings, int(arguments.seconds * TICKS)
    posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
    files = RecordingFiles(RecordingSettings(directory=directory, minimum_free_mb=0), posted.put)
    bank = Recordings(arguments.rate, files)
    for recording in range(count):
        command = StartRecording(recording, f"{recording:x}", (), not arguments.mono, arguments.format, arguments.rate)
        bank.start(recording, command, time.monotonic(), time.time())
    rows = np.array([bank.row(recording) for recording in range(count)])
    both, channels = rows.repeat(2), np.tile(np.array([0, 1]), count)
    shape = (NOISE_TICKS, 2 * count, arguments.rate // TICKS)
    noise = np.random.default_rng(1).integers(-8000, 8000, shape).astype(np.int16)
    costs = []
    cpu, loop, begun = time.process_time(), time.thread_time(), time.monotonic()
    for tick in range(ticks):
        frames = noise[tick % NOISE_TICKS]
        before = time.thread_time()
        bank.add(both, channels, frames)
        bank.advance(rows)
        costs.append(time.thread_time() - before)
        time.sleep(max(0.0, begun + (tick + 1) / TICKS - time.monotonic()))
    loop = time.thread_time() - loop
    bank.stop_all(time.monotonic())
    files.close(30.0)
    cpu = time.process_time() - cpu
    while not posted.empty():
        posted.get()()
    ended = [event for event in bank.events if isinstance(event, RecordingEnded)]
    whole = sum(event.seconds == ticks / TICKS for event in ended)
    size = sum(Path(event.path).stat().st_size for event in ended)
    name = f"recording-{arguments.format}-{arguments.rate}{'-mono' if arguments.mono else ''}"
    seconds = count * ticks / TICKS
    line(f"{name}-tick", sum(costs) / ticks / count * 1e6, "us/tick", f"<= {TICK_BUDGET_US}", f"{count} recordings")
    line(f"{name}-worst-tick", max(costs) * 1e3, "ms", "", "all of them")
    line(f"{name}-loop", loop / seconds * 1e6, "us/second", "", "")
    line(f"{name}-writer", (cpu - loop) / seconds * 1e6, "us/second", "", "with ending the files")
    line(f"{name}-process", cpu / seconds * 1e6, "us/second", "", f"{whole} files whole, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()

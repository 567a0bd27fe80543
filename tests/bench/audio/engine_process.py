"""The engine under test of the media benchmarks: in a process of its own, driven through its client.

usage: engine_process CASE UNITS FIRST_PORT DIRECTORY

Streams are arranged as the case says, for UNITS calls, conferences or listeners; stream i's peer is where
audio/load_generator.c has it. Prints "PORT SET" for each, as the load reads it, then "ready". On SIGUSR1 the
measured seconds begin, on the next one they end; on SIGTERM it prints "lateness" with the histogram of them,
"skipped N", and a line "second" for each of them with thousandths of the core used, ticks left out and histogram.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import uvloop

from media.audio_commands import Music, Play, PlayEnded, RecordingFailed, SetRoom, StartRecording
from media.commands import Format, MediaAddress, MediaSettings, StreamFailed, StreamSettings, StreamSilent
from media.in_process import InProcessMedia
from media.record_files import RecordingSettings
from media.shell import StudioSettings
from media.sound_settings import SoundSettings, SpeechSettings
from media.worker import GC_THRESHOLDS
from tests.bench.audio.payloads import G722, OPUS, PCMU, SETS, SILENT
from tests.bench.relay.secure import keys

SHARED_PORTS = 16
RTP_PORTS = (30000, 30999)
EVENTS: Format = (101, "telephone-event", 8000)
GROUPS = 20  # streams that share an address: audio/load_generator.c
SPREAD = 10  # units arranged before the loop has a turn, so that ticks that have begun are not held up

Arrange = Callable[[InProcessMedia, range, float], None]
"""Connect the streams of one unit."""


class Case(NamedTuple):
    formats: tuple[Format, ...]
    """Of the streams of one unit, in turn."""
    arrange: Arrange
    sends: bool = True
    suite: str = ""
    """Every even stream is SRTP (relay/secure.py)."""


def call(media: InProcessMedia, streams: range, now: float) -> None:
    media.bridge(streams[0], streams[1], now)


def recorded_call(media: InProcessMedia, streams: range, now: float) -> None:
    media.bridge(streams[0], streams[1], now)
    channels = ((streams[0], 0), (streams[1], 1))
    media.audio(StartRecording(streams[0] + 1, f"{streams[0]:x}", channels), now)


def conference(media: InProcessMedia, streams: range, now: float) -> None:
    media.audio(SetRoom(streams[0] + 1, tuple(streams)), now)


def hold_music(media: InProcessMedia, streams: range, now: float) -> None:
    media.audio(Play(streams[0] + 1, (Music("default"),), stream=streams[0]), now)


CASES = {
    "relay": Case((PCMU, PCMU), call),
    "srtp_relay": Case((PCMU, PCMU), call, suite="AES_CM_128_HMAC_SHA1_80"),
    "recorded_relay": Case((PCMU, PCMU), recorded_call),
    "conf3": Case((PCMU,) * 3, conference),
    "conf100": Case((PCMU,) * 100, conference),
    "moh_silent": Case((PCMU,), hold_music, sends=False),
    "moh_sending": Case((PCMU,), hold_music),
    "transcode_g722": Case((PCMU, G722), call),
    "transcode_opus": Case((PCMU, OPUS), call),
}


def peer(first_port: int, stream: int) -> MediaAddress:
    """Where the load has a stream; nobody hears its RTCP (port 9)."""
    block = 1 + stream // GROUPS
    return MediaAddress(f"127.1.{block >> 8}.{block & 0xFF}", first_port + stream % GROUPS, 9)


class Bench:
    def __init__(self, case: Case, units: int, first_port: int, directory: Path) -> None:
        self.case = case
        self.units = units
        self.first_port = first_port
        speech = SpeechSettings(engine="none", cache_directory=directory / "speech")
        studio = StudioSettings(
            sounds=SoundSettings(prompt_directories=(directory,), speech=speech),
            recordings=RecordingSettings(directory=directory / "recordings", minimum_free_mb=0),
        )
        settings = MediaSettings(rtp_ports=RTP_PORTS, shared_ports=SHARED_PORTS, hosts=("127.0.0.1",))
        self.media = InProcessMedia(settings, self.told, studio)
        self.lateness: list[int] = []
        self.skipped = 0
        self.seconds: list[str] = []
        self._since: tuple[float, float, int, list[int]] | None = None

    def told(self) -> None:
        """What went wrong spoils the figures."""
        for event in self.media.events:
            if isinstance(event, StreamFailed | StreamSilent | PlayEnded | RecordingFailed):
                sys.exit(f"the engine says: {event}")
        self.media.events.clear()

    def open(self, stream: int, format_: Format) -> None:
        remote, now = peer(self.first_port, stream), time.monotonic()
        local = self.media.open(stream, remote.host, remote, False, "127.0.0.1", now)
        secure = self.case.suite and stream % 2 == 0
        theirs, ours = keys(self.case.suite, stream) if secure else (None, None)
        settings = StreamSettings(
            remote=remote,
            formats=(format_, EVENTS),
            silence_after=60.0 if self.case.sends else None,
            crypto_in=theirs,
            crypto_out=ours,
        )
        self.media.configure(stream, settings, now)
        which = len(SETS) + stream // 2 if secure else SETS.index(format_)
        print(local.port, which if self.case.sends else SILENT)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        loop.add_signal_handler(signal.SIGUSR1, self.mark)
        media, size = self.media, len(self.case.formats)
        media.start()
        for stream in range(self.units * size):
            self.open(stream, self.case.formats[stream % size])
        for unit in range(self.units):
            self.case.arrange(media, range(unit * size, (unit + 1) * size), time.monotonic())
            if unit % SPREAD == 0:
                await asyncio.sleep(0.001)
        # As the worker does once it stands.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        print("ready", flush=True)
        await stopped.wait()
        print("lateness", *self.lateness)
        print("skipped", self.skipped)
        print("\n".join(self.seconds), flush=True)
        media.stop()

    def mark(self) -> None:
        """Take what has been counted since the last mark, and count anew."""
        self.lateness, self.skipped = list(self.media.lateness), self.media.skipped
        self.media.lateness[:] = [0] * len(self.media.lateness)
        self.media.skipped = 0
        if self._since is None:
            self._second()
        else:
            self._since = (0.0, 0.0, 0, [])  # it is over

    def _second(self) -> None:
        """Note what the second has used and how late its frames were, and begin another."""
        wall, cpu, skipped, lateness = time.monotonic(), time.process_time(), self.media.skipped, self.media.lateness
        if self._since is not None:
            since, used, left_out, before = self._since
            if not before:
                return
            busy = round((cpu - used) / (wall - since) * 1000)
            late = [now - then for now, then in zip(lateness, before, strict=True)]
            self.seconds.append(f"second {busy} {skipped - left_out} {' '.join(map(str, late))}")
        self._since = (wall, cpu, skipped, list(lateness))
        asyncio.get_running_loop().call_later(1.0, self._second)


if __name__ == "__main__":
    uvloop.run(Bench(CASES[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])).run())

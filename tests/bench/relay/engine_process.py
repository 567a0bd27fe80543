"""The relay under test of relay_bench.py: the media engine in a process of its own, driven through its client.

usage: engine_process PORTS STREAMS FIRST_SOURCE_PORT [SUITE]; as relay_reference, prints the port of each stream, then
"ready". With a suite every even stream is SRTP (srtp_bench.py).
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time

import uvloop

from media.client import InProcessMedia
from media.commands import MediaAddress, MediaSettings, StreamSettings
from tests.bench.relay.secure import keys

FORMATS = ((0, "PCMU", 8000), (101, "telephone-event", 8000))
RTP_PORTS = (30000, 30999)


async def run(ports: int, streams: int, first_source: int, suite: str) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    settings = MediaSettings(rtp_ports=RTP_PORTS, shared_ports=ports, hosts=("127.0.0.1",))
    media = InProcessMedia(settings, lambda: sys.exit("a stream failed or was silent"))
    media.start()
    for stream in range(streams):
        remote = MediaAddress("127.0.0.1", first_source + stream, 9)
        now = time.monotonic()
        local = media.open(stream, "127.0.0.1", remote, False, "127.0.0.1", now)
        theirs, ours = keys(suite, stream) if suite and stream % 2 == 0 else (None, None)
        agreed = StreamSettings(remote=remote, formats=FORMATS, silence_after=60.0, crypto_in=theirs, crypto_out=ours)
        media.configure(stream, agreed, now)
        if stream % 2:
            media.bridge(stream - 1, stream, now)
        print(local.port)
    print("ready", flush=True)
    await stopped.wait()
    media.stop()


if __name__ == "__main__":
    uvloop.run(run(*(int(argument) for argument in sys.argv[1:4]), "".join(sys.argv[4:])))

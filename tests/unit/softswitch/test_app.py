"""The switch as a whole, in a process of its own, since it changes what is one for each process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EARLY = """
import asyncio
import sys
from pathlib import Path

from media.commands import StreamSilent
from media.in_process import InProcessMedia
from softswitch.app import App

start = InProcessMedia.start


def start_and_tell(media):
    start(media)
    media.events.append(StreamSilent(7, 1.0))
    media._on_events()


async def main():
    InProcessMedia.start = start_and_tell
    app = App(Path(sys.argv[1]))
    await app.start()
    print("not heard:", app._media.events)
    app.stop()
    await app.run()


asyncio.run(main())
"""


def test_media_that_tells_something_before_the_switch_serves_is_heard_then(tmp_path: Path) -> None:
    """As workers do whose streams outlived the signalling process."""
    # An address of its own, so that its ports are free.
    (tmp_path / "a.yaml").write_text("sip: {listen: ['udp:127.63.18.1:5060']}\nmedia: {workers: 0, shared_ports: 1}\n")
    command = [sys.executable, "-c", EARLY, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert "not heard: []" in result.stdout.splitlines()

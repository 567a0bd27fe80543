"""Linphone's console client as a telephone without a sound card: files are its microphone and its ear, lines on
standard input its keys. Another stack than baresip's: liblinphone and belle-sip."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from types import TracebackType

from harness.audio import Tone, write_tone
from harness.ports import free_ports
from harness.waiting import wait_for

TONE_SECONDS = 60.0

CONFIG = """[sip]
sip_port={port}
sip_tcp_port={port}
sip_tls_port=0
bind_address={host}
use_ipv6=0
default_proxy=0
[rtp]
audio_rtp_port={rtp}-{rtp_last}
[proxy_0]
reg_proxy=<sip:{server};transport={transport}>
reg_identity=sip:{user}@{server}
reg_expires=300
reg_sendregister=1
[auth_info_0]
username={user}
passwd={password}
"""


class Linphone:
    """A registered phone that answers by itself and sends `tone` in its calls."""

    def __init__(
        self,
        directory: Path,
        user: str,
        password: str,
        server: str,
        tone: Tone,
        *,
        transport: str = "udp",
        host: str = "127.0.0.1",
    ) -> None:
        self.user = user
        self._server = server
        self._directory = directory / f"linphone-{user}"
        # Without a place for its database it opens no sockets.
        (self._directory / ".local/share/linphone").mkdir(parents=True)
        write_tone(self._directory / "tone.wav", tone, TONE_SECONDS)
        rtp = free_ports(20, even=True)
        text = CONFIG.format(
            host=host,
            port=free_ports(1, host),
            rtp=rtp,
            rtp_last=rtp + 19,
            server=server,
            transport=transport,
            user=user,
            password=password,
        )
        (self._directory / "config").write_text(text)
        self._recordings = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Linphone:
        try:
            self._switch_on()
            wait_for(lambda: "to [LinphoneRegistrationOk]" in self._log(), self._said, 20)
        except BaseException:
            self._switch_off()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._switch_off()

    # ---- keys --------------------------------------------------------------------------------------

    def listen(self) -> Path:
        """Where the next call will be recorded; the file is whole once the call has ended."""
        self._recordings += 1
        ear = f"ear{self._recordings}.wav"
        self._press(f"record {ear}")
        self._press("play tone.wav")
        # Lines are echoed as they are read, one after the other.
        wait_for(lambda: self._output().count("play tone.wav") == self._recordings, self._said)
        return self._directory / ear

    def call(self, number: str) -> None:
        self._press(f"call sip:{number}@{self._server}")

    def hang_up(self) -> None:
        self._press("terminate")

    def pause(self, call: int) -> None:
        """Hold a call; they are numbered from 1."""
        self._press(f"pause {call}")

    def transfer(self, call: int, other: int) -> None:
        """Attended transfer: leave two calls to each other."""
        self._press(f"transfer {call} --to-call {other}")

    def wait_talking(self, calls: int) -> None:
        """Until so many calls were answered."""
        wait_for(lambda: self._log().count("to LinphoneCallStreamsRunning") >= calls, self._said)

    def notified(self) -> list[int]:
        """The statuses that NOTIFYs have told of a transfer, in order."""
        bodies = re.findall(r"^NOTIFY sip:.*?\r?\n\r?\nSIP/2.0 (\d{3})", self._log(), re.M | re.S)
        return [int(status) for status in bodies]

    def wait_end(self, calls: int) -> None:
        """Until so many calls have ended."""
        wait_for(lambda: self._log().count("to LinphoneCallReleased") >= calls, self._said)

    # ---- process -----------------------------------------------------------------------------------

    def _switch_on(self) -> None:
        # Unbuffered: it writes to a file.
        words = ["stdbuf", "-o0", "linphonec", "-a", "-c", "config", "-d", "6", "-l", "log"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._directory), "TERM": "dumb"}
        with (self._directory / "output").open("wb") as output:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self._directory,
                env=environment,
            )
        self._press("soundcard use files")

    def _switch_off(self) -> None:
        """At once; it stays registered."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _press(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.poll() is None, self._said()
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def _output(self) -> str:
        return (self._directory / "output").read_text(errors="replace")

    def _log(self) -> str:
        file = self._directory / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _said(self) -> str:
        return f"Linphone {self.user}: {self._output()[-2000:]}\n{self._log()[-6000:]}"

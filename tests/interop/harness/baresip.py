"""baresip as a telephone without a sound card: a tone is its microphone, a file its ear, `ctrl_tcp` its keys."""

from __future__ import annotations

import json
import re
import select
import signal
import socket
import subprocess
import time
import wave
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.audio import Tone, write_tone
from harness.namespaces import connect_inside, inside
from harness.ports import free_ports
from harness.waiting import wait_for

MODULES = Path("/usr/lib/baresip/modules")
TONE_SECONDS = 60.0

MODULE_OF_CODEC = {"PCMA": "g711", "PCMU": "g711", "G722": "g722", "opus": "opus"}
FORMAT_OF_CODEC = {"PCMA": (8000, 1), "PCMU": (8000, 1), "G722": (16000, 1), "opus": (48000, 2)}
"""Rate and channels of what a phone records and plays."""

CONFIG = """poll_method epoll
sip_listen {host}:{port}
net_interface {interface}
audio_source aufile,{tone}
audio_player aubridge,ear
audio_srate 8000-48000
audio_channels 1-2
rtp_ports {rtp}-{rtp_last}
call_local_timeout 60
call_max_calls 4
module_path {modules}
{modules_of_codecs}module aufile.so
module aubridge.so
module sndfile.so
{more}module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
snd_path {ear}
"""

VIDEO = """module fakevideo.so
module vp8.so
video_source fakevideo,nil
video_display fakevideo,nil
video_size 320x240
video_bitrate 300000
video_fps 15
"""


class Phone:
    """A registered phone that sends `tone` in its calls. Entered as a context it is registered, left it is off."""

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
        interface: str = "",
        namespace: str = "",
        answers: bool = True,
        encryption: str = "",
        codecs: Sequence[str] = ("PCMA", "PCMU"),
        microphone: Path | None = None,
        contacts: Sequence[str] = (),
        watches_messages: bool = False,
        video: bool = False,
    ) -> None:
        """`encryption`: a `mediaenc` of baresip's: srtp (RTP/AVP with a=crypto), srtp-mand (RTP/SAVP). `microphone`: a
        WAV file to send instead of the tone, in the format of the first codec. `contacts`: lines of its contact list;
        with `;presence=p2p` it watches them. `watches_messages`: it subscribes to its mailbox. `video`: it has a
        camera, and VP8."""
        self.user = user
        self.tone = tone
        self.directory = directory / f"phone-{user}"
        self.ear = self.directory / "ear"
        self.ear.mkdir(parents=True)
        self._namespace = namespace
        self._events: list[dict[str, Any]] = []
        self._received = b""
        # baresip takes the port after its own for TLS.
        self.port = free_ports(3)
        rtp = free_ports(20, even=True)
        self.rtp_ports = range(rtp, rtp + 20)
        self._control = (host, self.port + 2)
        if microphone is None:
            microphone = self.directory / "tone.wav"
            write_tone(microphone, tone, TONE_SECONDS, *FORMAT_OF_CODEC[codecs[0]])
        text = CONFIG.format(
            host=host,
            port=self.port,
            interface=interface or host,
            tone=microphone,
            rtp=rtp,
            rtp_last=self.rtp_ports[-1],
            modules=MODULES,
            modules_of_codecs="".join(f"module {name}.so\n" for name in sorted({MODULE_OF_CODEC[c] for c in codecs})),
            control=self._control[1],
            ear=self.ear,
            more="".join(
                f"{kind} {name}.so\n"
                for kind, name, wanted in (
                    ("module", "srtp", encryption),
                    ("module_app", "contact", contacts),
                    ("module_app", "presence", contacts),
                    ("module_app", "mwi", watches_messages),
                )
                if wanted
            )
            + (VIDEO if video else ""),
        )
        (self.directory / "config").write_text(text)
        answer_mode = "auto" if answers else "manual"
        account = f"<sip:{user}@{server};transport={transport}>;auth_user={user};auth_pass={password}"
        account += f";mediaenc={encryption}" if encryption else ""
        (self.directory / "accounts").write_text(
            f"{account};regint=300;answermode={answer_mode};audio_codecs={','.join(codecs)}"
            f"{';mwi=yes' if watches_messages else ''}\n"
        )
        (self.directory / "contacts").write_text("".join(f"{each}\n" for each in contacts))
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Phone:
        try:
            self.switch_on()
            self.wait_registered()
        except BaseException:
            self.switch_off()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.switch_off()

    def switch_on(self) -> None:
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*inside(self._namespace), "baresip", "-f", str(self.directory), "-s"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._socket = wait_for(self._connect, self.log)

    def wait_registered(self, seconds: float = 10.0) -> None:
        """It says so in its log, perhaps before anyone could connect to it and hear of the event."""
        told = re.compile(rf"^{self.user}@\S+ \{{.*\}} 200 OK", re.M)
        wait_for(lambda: told.search(self.log()), lambda: f"phone {self.user} registered: {self.log()}", seconds)

    def _connect(self) -> socket.socket | None:
        assert self._process is not None
        assert self._process.poll() is None, f"baresip ended: {self.log()}"
        try:
            return connect_inside(self._namespace, self._control)
        except ConnectionRefusedError:
            return None

    def switch_off(self) -> None:
        """At once; it stays registered."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def sign_off(self) -> None:
        """Un-registers and ends."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(10)
        self.switch_off()

    # ---- keys --------------------------------------------------------------------------------------

    def press(self, command: str, parameter: str = "") -> None:
        """A command of baresip's menu module: dial, hangup, accept, hold, resume..."""
        assert self._socket is not None
        message = json.dumps({"command": command, "params": parameter}).encode()
        self._socket.sendall(b"%d:%s," % (len(message), message))

    def call(self, number: str) -> None:
        self.press("dial", number)

    def hang_up(self) -> None:
        self.press("hangup")

    # ---- what happens ------------------------------------------------------------------------------

    def wait_event(self, kind: str, seconds: float = 10.0, since: int = 0) -> dict[str, Any]:
        """The first event of this kind, from the one with the index `since` on."""

        def look() -> dict[str, Any] | None:
            self._read()
            return next((event for event in self._events[since:] if event.get("type") == kind), None)

        def said() -> str:
            kinds = [event.get("type") for event in self._events]
            return f"phone {self.user}: {kind}; it had {kinds}\n{self.log()[-4000:]}"

        return wait_for(look, said, seconds)

    def events(self) -> list[str]:
        self._read()
        return [str(event.get("type")) for event in self._events]

    def all_events(self, kind: str) -> list[dict[str, Any]]:
        self._read()
        return [event for event in self._events if event.get("type") == kind]

    def _read(self) -> None:
        assert self._socket is not None
        while select.select([self._socket], [], [], 0.001)[0]:
            data = self._socket.recv(65536)
            if not data:
                break  # the telephone is gone
            self._received += data
        while b":" in self._received:
            length, _, rest = self._received.partition(b":")
            if len(rest) <= int(length):
                return
            message = json.loads(rest[: int(length)])
            self._received = rest[int(length) + 1 :]
            if message.get("event"):
                self._events.append(message)

    def heard(self, index: int = -1) -> Path:
        """The recording of what came in during a call, once the telephone has closed it; by default the last one."""
        return wait_for(
            lambda: _closed(sorted(self.ear.glob("*-dec.wav"))[index]), "the end of a telephone's recording"
        )

    def log(self) -> str:
        file = self.directory / "log"
        return file.read_text(errors="replace")[-8000:] if file.exists() else ""


QUIET_SECONDS = 2.0  # a file that nobody has written to for so long is as long as it will be


def _closed(path: Path) -> Path | None:
    """The file, once its header tells how long it is, which it does when it is closed; or nothing more is written."""
    try:
        with wave.open(str(path), "rb") as file:
            done = file.getnframes() > 0 or time.time() - path.stat().st_mtime > QUIET_SECONDS
    except (wave.Error, EOFError):
        return None
    return path if done else None

"""SIPp as a process: a scenario of `sipp_scenarios/` or `scenarios/` here, its exit code, what it says went wrong."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from harness.audio import Tone, tone_in_pcma
from harness.ports import free_ports
from harness.waiting import wait_for

from softswitch.load import SCENARIOS, first_errors

# A warning that means nothing: all SIPps of a machine share 60 ports for a remote control, which we don't use.
NO_CONTROL = "Unable to bind remote control socket (tried"

# Where a call is talked in from: the ACK that is sent, or that comes.
ACKNOWLEDGED = re.compile(r'<send>(?:(?!</send>).)*?ACK \[next_url\].*?</send>|<recv request="ACK"/>', re.S)

# Those that only a test of this directory can use.
OWN_SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"


def _file_of(scenario: str) -> Path:
    own = OWN_SCENARIOS / f"{scenario}.xml"
    return own if own.exists() else SCENARIOS / own.name


class Sipp:
    """One SIPp. Started when made; `finish()` waits for the end and fails unless each call went as it should."""

    running: ClassVar[list[Sipp]] = []

    def __init__(
        self,
        directory: Path,
        scenario: str,
        local: tuple[str, int],
        remote: str = "",
        *,
        service: str = "",
        users: Path | None = None,
        calls: int = 1,
        transport: str = "udp",
        media_port: int = 0,
        receive_timeout: float = 10.0,
        options: Sequence[str] = (),
        tone: Tone | None = None,
    ) -> None:
        """`tone`: sent for ever, in PCMA and no other codec, from the ACK of the call on."""
        self.scenario = scenario
        self.media_port = media_port or free_ports(4, local[0], even=True)
        self.directory = directory
        self._stem = f"{scenario}-{local[0].replace(':', '.')}-{local[1]}"
        file = _file_of(scenario) if tone is None else self._with_tone(_file_of(scenario), tone)
        words = ["sipp", *([remote] if remote else []), "-sf", str(file), "-nostdin"]
        words += [
            "-i",
            local[0],
            "-p",
            str(local[1]),
            "-mp",
            str(self.media_port),
            "-m",
            str(calls),
        ]
        words += ["-t", {"udp": "u1", "tcp": "t1"}[transport], "-recv_timeout", str(round(receive_timeout * 1000))]
        words += [
            "-trace_err",
            "-error_file",
            str(self._file("err")),
            "-trace_msg",
            "-message_file",
            str(self._file("msg")),
        ]
        words += ["-s", service] if service else []
        words += ["-inf", str(users)] if users else []
        with self._file("out").open("wb") as output:
            self._process = subprocess.Popen(
                [*words, *options], cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        Sipp.running.append(self)
        if not remote:
            try:
                wait_for(lambda: self._listens(local, transport), f"{scenario} listens on {local[0]}:{local[1]}")
            except AssertionError:
                self.kill()
                raise

    def _file(self, kind: str) -> Path:
        return self.directory / f"{self._stem}.{kind}"

    def _with_tone(self, scenario: Path, tone: Tone) -> Path:
        """A copy of the scenario that sends it."""
        sound, copy = self._file("alaw"), self._file("xml")
        sound.write_bytes(tone_in_pcma(tone))
        text = scenario.read_text().replace("RTP/AVP 0 8", "RTP/AVP 8").replace("    a=rtpmap:0 PCMU/8000\n", "")
        nop = f'\n\n  <nop><action><exec rtp_stream="{sound.name},-1,8,PCMA/8000"/></action></nop>'
        text, sends = ACKNOWLEDGED.subn(lambda found: found[0] + nop, text, count=1)
        assert sends == 1, f"{scenario} has no ACK"
        copy.write_text(text)
        return copy

    def _listens(self, local: tuple[str, int], transport: str) -> bool:
        assert self._process.poll() is None, f"{self.scenario}: SIPp did not start: {self._said()}"
        if ":" in local[0]:
            return f":{local[1]:04X} " in Path(f"/proc/self/net/{transport}6").read_text()
        octets = "".join(f"{int(octet):02X}" for octet in reversed(local[0].split(".")))
        return f" {octets}:{local[1]:04X} " in Path(f"/proc/self/net/{transport}").read_text()

    def messages(self) -> str:
        """Every message sent and received."""
        return self._file("msg").read_text(errors="replace") if self._file("msg").exists() else ""

    def check_repeated(self, line: str, times: int) -> None:
        found = len(re.findall(line, self.messages())) if line else 0
        assert found >= times, (
            f"{self.scenario}: {line} came {found} times, expected {times}\n{self.messages()[-5000:]}"
        )

    def finish(self, seconds: float = 60.0) -> None:
        """Fails unless all calls succeeded."""
        try:
            code = self._process.wait(seconds)
            self.kill()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.scenario}: not ended after {seconds:g} s\n{self._said()}") from None
        assert code == 0, f"{self.scenario}: SIPp ended with {code}\n{self._said()}"

    def _said(self) -> str:
        errors = self._file("err").read_text(errors="replace") if self._file("err").exists() else ""
        told = (
            "\n".join(error for error in first_errors(errors) if NO_CONTROL not in error)
            or self._file("out").read_text(errors="replace")[-500:]
        )
        return f"{told}\n---- messages\n{self.messages()[-5000:]}"

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        with suppress(ValueError):  # killed before
            Sipp.running.remove(self)

    @classmethod
    def kill_those_of(cls, directory: Path) -> None:
        """What a failed test has left running."""
        for each in [each for each in cls.running if each.directory == directory]:
            each.kill()

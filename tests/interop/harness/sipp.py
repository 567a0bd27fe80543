"""SIPp as a process: a scenario of `sipp_scenarios/` or `scenarios/` here, its exit code, what it says went wrong."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from harness.ports import free_ports
from harness.waiting import wait_for

from softswitch.load import SCENARIOS, first_errors

# A warning that means nothing: all SIPps of a machine share 60 ports for a remote control, which we don't use.
NO_CONTROL = "Unable to bind remote control socket (tried"

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
    ) -> None:
        self.scenario = scenario
        self.directory = directory
        self._stem = f"{scenario}-{local[0].replace(':', '.')}-{local[1]}"
        words = ["sipp", *([remote] if remote else []), "-sf", str(_file_of(scenario)), "-nostdin"]
        words += [
            "-i",
            local[0],
            "-p",
            str(local[1]),
            "-mp",
            str(media_port or free_ports(4, local[0])),
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

"""The RFC 4475 messages against a switch of their own for each transport, beside the other tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.switch import Switch
from torture_files import SENDER

SENDERS = "127.0.9.0/24"
TRANSPORTS = ("udp", "tcp")


class TortureRuns:
    """Each transport against its own switch: the same messages twice would be merged requests (482)."""

    def __init__(self, directory: Path) -> None:
        self._switches = {}
        self._runs: dict[str, subprocess.Popen[str]] = {}
        self._outputs: dict[str, str] = {}
        for transport in TRANSPORTS:
            (directory / transport).mkdir()
            self._switches[transport] = Switch(directory / transport, trunks=[SENDERS])

    def start(self) -> None:
        if not SENDER.is_file():
            return
        for transport, switch in self._switches.items():
            switch.start()
            words = ["--host", switch.host, "--port", str(switch.port), "--proto", transport]
            self._runs[transport] = subprocess.Popen(
                [sys.executable, str(SENDER), *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )

    def output(self, transport: str) -> str:
        if transport not in self._outputs:
            self._outputs[transport] = self._runs[transport].communicate(timeout=150)[0]
        return self._outputs[transport]

    def check_logs(self) -> None:
        for transport, switch in self._switches.items():
            self.output(transport)
            switch.check_log()

    def stop(self) -> None:
        for transport, run in self._runs.items():
            if run.poll() is None:
                run.kill()
            run.wait()
            self._switches[transport].stop()

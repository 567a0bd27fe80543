"""A real switch: `softswitch init`, then `softswitch serve` as a process of its own, its log watched for faults."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import shipped
from harness.namespaces import inside, resolving_by
from harness.ports import free_ports
from harness.waiting import wait_for
from typer.testing import CliRunner

from softswitch.cli import make_app
from softswitch.control import SOCKET_NAME, StatusReport, ask, ask_status

COMMAND = [sys.executable, "-c", "from softswitch.cli import main; main()"]
ROOT = Path(__file__).resolve().parents[3]
RTP_PORTS = 128

WORKERS = os.environ.get("SOFTSWITCH_TEST_WORKERS", "")
"""Media workers of every switch of these tests that says nothing of them; "": as by default."""

# No OPTIONS to contacts: SIPp would take one for a call.
FOR_SIPP = """
sip:
  qualify: {interval: none}
"""


class Switch:
    """`softswitch serve` with a configuration of `softswitch init` and the text `extra` as one more YAML file.

    A context manager: entered, it is ready; left, it was stopped by SIGTERM, ended with 0 and logged no fault.
    """

    def __init__(
        self,
        directory: Path,
        *,
        extensions: int = 5,
        trunks: Sequence[str] = (),
        routes: Sequence[str] = (),
        routes_of_own: Sequence[str] = (),
        extra: str = FOR_SIPP,
        host: str = "127.0.0.1",
        namespace: str = "",
        nameserver: str = "",
        expected_errors: Sequence[str] = (),
    ) -> None:
        """`routes_of_own`: more of the dialplan, each a mapping in YAML's short form. `nameserver`: the address its
        resolv.conf has instead of the machine's."""
        self._prepare(directory, host, namespace, expected_errors)
        # One range, so that the port of SIP can't lie within those of RTP.
        self.first_rtp_port = free_ports(RTP_PORTS + 2, even=True)
        self.port = self.first_rtp_port + RTP_PORTS
        words = [
            *("init", str(self.config), "--extensions", str(extensions), "--sip", f"{host}:{self.port}"),
            *("--rtp-ports", f"{self.first_rtp_port}-{self.first_rtp_port + RTP_PORTS - 1}"),
        ]
        for trunk in trunks:
            words += ["--trunk", trunk]
        for route in routes:
            words += ["--route", route]
        self.run_here(*words)
        if routes_of_own:
            last = "answer_and_echo: true\n"
            self.replace("dialplan.yaml", last, last + "".join(f"      - {route}\n" for route in routes_of_own))
        self.write("interop.yaml", extra)
        if WORKERS and "workers" not in extra:
            self.write("interop-workers.yaml", f"media: {{workers: {WORKERS}}}\n")
        if nameserver:
            self._resolver = directory / "resolv.conf"
            self._resolver.write_text(f"nameserver {nameserver}\n")

    @classmethod
    def of_default_configuration(cls, directory: Path) -> Switch:
        """With the files of `config/` as a fresh clone has them, bar the SIP and RTP ports."""
        switch = cls.__new__(cls)
        switch._prepare(directory, "127.0.0.1", "", ())
        switch.first_rtp_port = free_ports(RTP_PORTS + 2, "0.0.0.0", even=True)
        switch.port = switch.first_rtp_port + RTP_PORTS
        switch.config.mkdir()
        ports = {
            "0.0.0.0:5060": f"0.0.0.0:{switch.port}",
            "10000-10127": f"{switch.first_rtp_port}-{switch.first_rtp_port + RTP_PORTS - 1}",
        }
        for file in shipped.CONFIG.glob("*.yaml"):
            text = file.read_text()
            for old, new in ports.items():
                text = text.replace(old, new)
            switch.write(file.name, text)
        return switch

    def _prepare(self, directory: Path, host: str, namespace: str, expected_errors: Sequence[str]) -> None:
        self.config = directory / "config"
        self.host = host
        self.namespace = namespace
        self.expected_errors = expected_errors
        self.log_file = directory / "switch.log"
        self.output_file = directory / "switch.out"
        self._resolver: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    # ---- configuration -----------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def users(self) -> Path:
        return self.config / "sipp-users.csv"

    def password(self, extension: str) -> str:
        for line in self.users.read_text().splitlines():
            if line.startswith(f"{extension};"):
                return line.split("password=")[1].split("]")[0]
        raise AssertionError(f"no extension {extension} in {self.users}")

    def passwords(self) -> dict[str, str]:
        """Of every extension."""
        found = re.findall(r"^(\d+);\[authentication [^]]*password=(\S+?)\]", self.users.read_text(), re.M)
        return dict(found)

    def new_password(self, extension: str) -> str:
        """The password that the first start made for an extension, as it was printed."""
        found = re.search(rf"^extension {extension}: new password (\S+)$", self.output(), re.M)
        assert found is not None, f"no password for {extension} in: {self.output()}"
        return found[1]

    def users_file(self, *extensions: str, password: str = "") -> Path:
        """A users file of these extensions alone, perhaps with another password."""
        lines = []
        for extension in extensions:
            secret = password or self.password(extension)
            lines.append(f"{extension};[authentication username={extension} password={secret}];{self.host}")
        name = f"users-{'-'.join(extensions)}{'-wrong' if password else ''}.csv"
        path = self.config.parent / name
        text = "\n".join(["SEQUENTIAL", *lines]) + "\n"
        if not path.exists() or path.read_text() != text:  # a SIPp that has just been started may be reading it
            path.write_text(text)
        return path

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.config / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new))

    def write(self, name: str, text: str) -> None:
        (self.config / name).write_text(text)

    def run(self, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """A command of the command line, to its end."""
        done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
        assert done.returncode == expect, f"softswitch {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    @staticmethod
    def run_here(*words: str) -> str:
        """The same within this process, which is a second faster; what it printed."""
        done = CliRunner().invoke(make_app(), words)
        assert done.exit_code == 0, f"softswitch {' '.join(words)}: {done.exit_code}\n{done.output}"
        return done.stdout

    # ---- life --------------------------------------------------------------------------------------

    def __enter__(self) -> Switch:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        if kind is not None:
            self._process.kill()
            self._process.wait()
            print(f"---- log of the switch (end)\n{self.log()[-6000:]}", file=sys.stderr)
            return
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        written = self.output_file.stat().st_size if self.output_file.exists() else 0
        environment = {**os.environ, "PYTHONWARNINGS": "default", "PYTHONUNBUFFERED": "1"}
        before = [*inside(self.namespace), *resolving_by(self._resolver)]
        with self.output_file.open("ab") as output, self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [*before, *COMMAND, "serve", "--config", str(self.config), "--log-json"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                cwd=ROOT,
                env=environment,
            )
        wait_for(lambda: self._ready(written), lambda: f"a ready switch; it said: {self.log()[-3000:]}", 20)

    def _ready(self, written: int) -> bool:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"the switch ended with {code}: {self.output()}{self.log()[-3000:]}"
        return b"softswitch ready" in self.output_file.read_bytes()[written:]

    def stop(self, seconds: float = 40.0) -> None:
        """SIGTERM; it must end with 0, and nothing in its log may be a fault."""
        self.signal(signal.SIGTERM)
        self.wait_end(seconds)

    def wait_end(self, seconds: float = 40.0) -> None:
        assert self._process is not None
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"not ended {seconds:g} s after SIGTERM: {self.log()[-3000:]}") from None
        self._process = None
        assert code == 0, f"the switch ended with {code}: {self.log()[-3000:]}"
        self.check_log()

    def kill(self) -> None:
        """SIGKILL: no chance to write anything."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"the switch died: {self.log()[-3000:]}"
        self._process.send_signal(number)

    # ---- what it says ------------------------------------------------------------------------------

    def status(self) -> StatusReport:
        return ask_status(self.config / "var" / SOCKET_NAME)

    def ask(self, command: str, **args: Any) -> Any:
        return ask(self.config / "var" / SOCKET_NAME, command, **args)

    def wait_calls(self, count: int, seconds: float = 10.0) -> StatusReport:
        def look() -> StatusReport | None:
            report = self.status()
            return report if len(report.calls) == count else None

        return wait_for(look, lambda: f"{count} calls; there are {self.status().calls}", seconds)

    def cdrs(self) -> list[dict[str, str]]:
        """The call records as `softswitch cdr --csv` writes them, latest first."""
        return list(csv.DictReader(self.run_here("cdr", "--config", str(self.config), "--csv").splitlines()))

    def output(self) -> str:
        return self.output_file.read_text(errors="replace")

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def check_log(self) -> None:
        """No error, no traceback, no warning of Python: everything on standard error is a log line below "error"."""
        faults = []
        for line in self.log().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                faults.append(line)
                continue
            told = entry.get("level") in ("error", "critical") or "exception" in entry
            if told and not any(expected in line for expected in self.expected_errors):
                faults.append(line)
        assert not faults, "faults in the log of the switch:\n" + "\n".join(faults[:60])

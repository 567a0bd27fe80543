"""Load runs: SIPp with a scenario of `sipp_scenarios/`, watched through its statistics file.

What `softswitch load` shows is made here; `cli/load.py` only draws it. SIPp (`-trace_stat`, `-trace_rtt`) writes one
row of its counters a second and one row for each measured response time; both are read from a directory of the
run's own. The switch's CPU time is what the kernel counted for its processes (utime + stime) during the run.
"""

from __future__ import annotations

import contextlib
import csv
import math
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from softswitch.spelling import meant

# SIPp's failure counters (its manual, "Statistics") and what they mean to whoever reads the table.
FAILURES = {
    "FailedCannotSendMessage": "could not send",
    "FailedMaxUDPRetrans": "no answer to a request, after all retransmissions",
    "FailedTcpConnect": "TCP connection refused or timed out",
    "FailedTcpClosed": "TCP connection closed by the target",
    "FailedUnexpectedMessage": "unexpected message",
    "FailedCallRejected": "call rejected",
    "FailedCmdNotSent": "command not sent",
    "FailedRegexpDoesntMatch": "message lacks what the scenario asks for",
    "FailedRegexpShouldntMatch": "message has what the scenario forbids",
    "FailedRegexpHdrNotFound": "header missing",
    "FailedOutboundCongestion": "congestion on our side",
    "FailedTimeoutOnRecv": "expected message never came",
    "FailedTimeoutOnSend": "message could not be sent in time",
    "FailedTestDoesntMatch": "a test of the scenario failed",
    "FailedTestShouldntMatch": "a test of the scenario failed",
    "FailedStrcmpDoesntMatch": "a comparison of the scenario failed",
    "FailedStrcmpShouldntMatch": "a comparison of the scenario failed",
}
STATISTICS = "statistics.csv"
ERRORS = "errors.log"
SCREEN = "screen.log"
# SIPp's exit code (its manual, "Exit codes"); all others say that something failed.
ALL_WELL = 0
SCENARIOS = Path(__file__).resolve().parents[1] / "sipp_scenarios"
# The log of what went wrong can be as long as the run; a few of its entries say it all.
ERRORS_READ = 256 * 1024
# How long SIPp may take to end its calls after Ctrl-C before it is killed.
STOP_SECONDS = 5.0


# What stands before an entry of SIPp's error file; the one before it need not end with a newline.
_ERROR_TIME = re.compile(r"\d{4}-\d\d-\d\d\t\d\d:\d\d:\d\d\.\d+\t\d+\.\d+: ")
_CALL_ID = re.compile(r"(?i)(?: for)? ?call(?:-id)?: ?'?[^\s,']+[,']? ?| for Call-Id '[^']*'")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FIELD = re.compile(r"\[field[0-9]")
USERS_FROM = "softswitch init writes one"


class LoadError(Exception):
    """The run can't start or broke down: one line for the operator."""


class LoadPlan(NamedTuple):
    """What to run. `rate` in calls per second, `hold` in seconds (None: as the scenario has it)."""

    scenario: Path
    target: str  # "host:port"
    rate: float
    calls: int
    limit: int | None = None
    users: Path | None = None
    service: str = ""
    transport: str = "udp"
    hold: float | None = None
    source: str = ""  # "host" or "host:port"
    media_port: int | None = None
    answer_timeout: float = 32.0
    extra: tuple[str, ...] = ()


class Progress(NamedTuple):
    """SIPp's counters at one moment; `elapsed` in seconds, `rate` in calls per second since the last row."""

    elapsed: float
    rate: float
    created: int
    current: int
    successful: int
    failed: int
    retransmissions: int
    causes: dict[str, int]  # by SIPp's name of the counter, only those above zero


class ResponseTimes(NamedTuple):
    """One measured response: how often, and milliseconds (SIPp measures whole ones)."""

    name: str
    measured: int
    p50: float
    p90: float
    p95: float
    p99: float
    longest: float


class LoadResult(NamedTuple):
    progress: Progress
    times: tuple[ResponseTimes, ...]
    errors: tuple[str, ...]  # the first different ones, raw: from the network
    cpu: float | None  # seconds of CPU time the switch used; None: not on this machine
    exit_code: int


def find_scenario(name: str) -> Path:
    """A scenario by path, or by the name of one in `sipp_scenarios/`, with or without ".xml"."""
    for path in (Path(name), SCENARIOS / name, SCENARIOS / f"{name}.xml"):
        if path.is_file():
            return path.resolve()
    if not SCENARIOS.is_dir():
        raise LoadError(f"no scenario {name!r}, and no {SCENARIOS} beside the installation: give a path")
    known = sorted(path.stem for path in SCENARIOS.glob("*.xml") if not path.stem.startswith("uas_"))
    close = meant(name, known)
    raise LoadError(
        f"no scenario {name!r}{f': did you mean {close[0]!r}?' if close else ';'} there is {', '.join(known)}"
    )


def lacking(plan: LoadPlan) -> str:
    """What the scenario asks for and the plan has not, with how to give it; "" where nothing is missing. SIPp would
    call a user named "service", or call with empty names."""
    try:
        text = _COMMENT.sub("", plan.scenario.read_text(errors="replace"))
    except OSError as error:
        raise LoadError(f"{plan.scenario}: {error.strerror}") from error
    name = plan.scenario.stem
    wanted = []
    if _FIELD.search(text) and plan.users is None and "-inf" not in plan.extra:
        wanted.append(f"{name} needs users: expected --inf FILE, or --config DIR with a sipp-users.csv ({USERS_FROM})")
    if "[service]" in text and not plan.service and "-s" not in plan.extra:
        wanted.append(f"{name} needs a number to call: expected --service NUMBER")
    return "; ".join(wanted)


def split_host_port(text: str, default_port: int | None = 5060) -> tuple[str, int | None]:
    """ "host", "host:port", "[::1]:port" """
    host, colon, port = text.rpartition(":") if not text.endswith("]") and text.count(":") != 0 else (text, "", "")
    if text.count(":") > 1 and "[" not in text:
        host, colon, port = text, "", ""
    if not colon:
        return host.strip("[]"), default_port
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536 or not host:
        raise LoadError(f"bad address {text!r}: expected HOST or HOST:PORT")
    return host.strip("[]"), int(port)


def command_line(plan: LoadPlan, sipp: str) -> list[str]:
    """The SIPp command for a plan; every argument is its own word, no shell reads it."""
    host, port = split_host_port(plan.target)
    remote = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [sipp, remote, "-sf", str(plan.scenario), "-nostdin"]
    # SIPp takes a whole number of calls per period: 0.5/s is 5 calls each 10 s.
    period = 1000
    while plan.rate * period / 1000 != int(plan.rate * period / 1000) and period < 100_000:
        period *= 10
    command += ["-r", str(max(1, round(plan.rate * period / 1000))), "-rp", str(period)]
    command += ["-m", str(plan.calls), "-t", {"udp": "u1", "tcp": "t1"}[plan.transport]]
    if plan.limit is not None:
        command += ["-l", str(plan.limit)]
    if plan.users is not None:
        command += ["-inf", str(plan.users)]
    if plan.service:
        command += ["-s", plan.service]
    if plan.hold is not None:
        command += ["-d", str(round(plan.hold * 1000))]
    if plan.source:
        local, local_port = split_host_port(plan.source, None)
        command += ["-i", local] + ([] if local_port is None else ["-p", str(local_port)])
    if plan.media_port is not None:
        command += ["-mp", str(plan.media_port)]
    command += ["-recv_timeout", str(round(plan.answer_timeout * 1000))]
    command += ["-trace_stat", "-fd", "1", "-stf", STATISTICS, "-trace_rtt", "-rtt_freq", "1"]
    return [*command, "-trace_err", "-error_file", ERRORS, *plan.extra]


def read_progress(header: str, row: str) -> Progress:
    """A row of SIPp's statistics file. (C) counts since the start, (P) since the row before."""
    fields = dict(zip(header.rstrip("\n").split(";"), row.rstrip("\n").split(";"), strict=False))
    try:
        causes = {name: int(fields[f"{name}(C)"]) for name in FAILURES if int(fields.get(f"{name}(C)", "0"))}
        return Progress(
            elapsed=_seconds(fields["StartTime"], fields["CurrentTime"]),
            rate=float(fields["CallRate(P)"]),
            created=int(fields["TotalCallCreated"]),
            current=int(fields["CurrentCall"]),
            successful=int(fields["SuccessfulCall(C)"]),
            failed=int(fields["FailedCall(C)"]),
            retransmissions=int(fields["Retransmissions(C)"]),
            causes=causes,
        )
    except (KeyError, ValueError) as error:
        raise LoadError(f"SIPp's statistics can't be read: {error}") from error


def _seconds(start: str, now: str) -> float:
    """SIPp writes a time as "date<TAB>time<TAB>seconds.microseconds"."""
    return float(now.split("\t")[-1]) - float(start.split("\t")[-1])


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of values in rising order."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summarise(rows: Iterable[Sequence[str]]) -> tuple[ResponseTimes, ...]:
    """Percentiles by name from rows (moment, milliseconds, name), in order of first appearance."""
    by_name: dict[str, list[float]] = {}
    for row in rows:
        if len(row) == 3 and row[0] != "Date_ms":
            with contextlib.suppress(ValueError):  # the last row of a killed SIPp may be torn
                by_name.setdefault(row[2], []).append(float(row[1]))
    times = []
    for name, values in by_name.items():
        values.sort()
        shares = (percentile(values, share) for share in (0.5, 0.9, 0.95, 0.99, 1.0))
        times.append(ResponseTimes(name, len(values), *shares))
    return tuple(times)


def first_errors(text: str, count: int = 5) -> tuple[str, ...]:
    """The first different entries of SIPp's error file, a line each, without what differs from call to call."""
    found: dict[str, None] = {}
    for entry in _ERROR_TIME.split(text)[1:]:
        line = _CALL_ID.sub("", entry.split("\n")[0]).strip()
        found.setdefault(line)
        if len(found) == count:
            break
    return tuple(found)


def cpu_seconds(pid: int) -> float:
    """CPU time (user and system) of a process and its descendants since they began; LoadError when it is gone."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0
    for process in (pid, *_descendants(pid)):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError) as error:
            if process == pid:
                raise LoadError(f"process {pid} is gone") from error
            continue
        total += int(fields[11]) + int(fields[12])  # utime, stime: fields 14 and 15 of proc(5), state being 3
    return total / ticks


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):  # a process that ends meanwhile has no children
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


class LoadRun:
    """A running SIPp. `poll()` gives new progress, `finish()` waits for nothing and reads the results. Raises
    `LoadError` where it can't run."""

    def __init__(self, plan: LoadPlan, directory: Path) -> None:
        sipp = shutil.which("sipp")
        if sipp is None:
            raise LoadError("SIPp is not installed; as root: apt-get install sip-tester")
        for file in (plan.scenario, plan.users):
            if file is not None and not file.is_file():
                raise LoadError(f"{file}: no such file")
        if why := lacking(plan):
            raise LoadError(why)
        self.directory = directory
        self._plan = plan._replace(users=plan.users.resolve() if plan.users else None)
        self._header = ""
        self.progress = Progress(0.0, 0.0, 0, 0, 0, 0, 0, {})
        with (directory / SCREEN).open("wb") as screen:
            # A session of its own: Ctrl-C is ours to pass on, so that the results are still read.
            self._process = subprocess.Popen(
                command_line(self._plan, sipp),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> LoadRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def wait(self, seconds: float) -> bool:
        """Waits for the end of the run, at most this long; True when it has ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def poll(self) -> Progress:
        """The newest counters."""
        with contextlib.suppress(FileNotFoundError):  # not yet written
            rows = (self.directory / STATISTICS).read_text(errors="replace").split("\n")[:-1]
            if len(rows) > 1:
                self.progress = read_progress(rows[0], rows[-1])
        return self.progress

    def stop(self) -> None:
        """No new calls, those there are go on to their end (SIGUSR1), and after a while all is dropped."""
        self._process.send_signal(signal.SIGUSR1)
        if not self.wait(STOP_SECONDS):
            self._process.kill()
            self._process.wait()

    def finish(self, cpu: float | None) -> LoadResult:
        """The result of the ended run; raises LoadError when SIPp itself broke down."""
        code = self._process.wait()
        progress = self.poll()
        errors = first_errors(self._read(ERRORS))
        if code != ALL_WELL and not progress.created:
            said = errors[0] if errors else self._last_words()
            raise LoadError(f"SIPp ended with exit code {code}: {said}")
        times: tuple[ResponseTimes, ...] = ()
        for file in self.directory.glob("*_rtt.csv"):
            with file.open(errors="replace", newline="") as rows:
                times += summarise(csv.reader(rows, delimiter=";"))
        return LoadResult(progress, times, errors, cpu, code)

    def _read(self, name: str) -> str:
        try:
            with (self.directory / name).open(errors="replace") as file:
                return file.read(ERRORS_READ)
        except FileNotFoundError:
            return ""

    def _last_words(self) -> str:
        lines = [line.strip() for line in self._read(SCREEN).split("\n") if line.strip()]
        return lines[-1] if lines else "it said nothing"

"""What the benchmark programs share: a switch on one core, load on the other, and the kernel's word for CPU time.

CPU time is that of the process's own clock, so kernel work done for it counts; wall-clock time proves nothing.
Each program prints one line per budget, `NAME VALUE UNIT BUDGET REFERENCE`, as the median of `RUNS` runs.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SWITCH_CORE = 0
LOAD_CORE = 1
RUNS = 3
READY_SECONDS = 20.0
CALLED_MEDIA_PORT = 40_000
"""SIPp's [auto_media_port] counts 10,000 up from here; the caller's from its default, 6,000. Nothing is sent there."""
PAGE = os.sysconf("SC_PAGE_SIZE")
SCENARIOS = Path(__file__).parent / "scenarios"
SOFTSWITCH = Path(sys.executable).with_name("softswitch")


def core(number: int) -> int:
    """The core that `SWITCH_CORE` or `LOAD_CORE` stands for on this machine."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[number % len(cores)]


def pinned(number: int, command: list[str]) -> list[str]:
    """`command`, kept on one core."""
    return ["taskset", "-c", str(core(number)), *command]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all threads and the kernel's work for it, in seconds: to the nanosecond, where
    /proc/PID/stat counts hundredths."""
    # clock_getcpuclockid(3), which Python has for threads only.
    return time.clock_gettime(~pid << 3 | 2)


def resident_kib(pid: int) -> float:
    """Resident memory of a process in KiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1024


def free_port(host: str = "127.0.0.1") -> int:
    """A UDP port nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def free_ports(count: int) -> int:
    """The first of `count` UDP ports in a row that nobody has, below the ephemeral ones."""
    for first in range(2048, 30000 - count, count):
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise RuntimeError(f"no {count} UDP ports in a row are free")


class Switch:
    """A running `softswitch serve`, pinned to its core."""

    def __init__(self, process: subprocess.Popen[str], directory: Path, port: int, called_port: int) -> None:
        self.process = process
        self.directory = directory
        self.port = port
        self.called_port = called_port

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def users(self) -> Path:
        return self.directory / "sipp-users.csv"


@contextlib.contextmanager
def switch(extensions: int = 10, rtp_ports: str = "20000-29999", extra: str = "") -> Iterator[Switch]:
    """A switch with a trunk that may come from loopback and a route for every number to `called_port`."""
    with tempfile.TemporaryDirectory(prefix="softswitch-bench-") as name:
        directory = Path(name) / "config"
        port, called_port = free_port(), free_port()
        init = [str(SOFTSWITCH), "init", str(directory), "--extensions", str(extensions)]
        init += ["--sip", f"127.0.0.1:{port}", "--rtp-ports", rtp_ports, "--trunk", "127.0.0.1/32"]
        init += ["--route", f"_9X.=127.0.0.1:{called_port}"]
        subprocess.run(init, check=True, stdout=subprocess.DEVNULL)
        if extra:
            (directory / "bench.yaml").write_text(extra)
        process = subprocess.Popen(
            pinned(SWITCH_CORE, [str(SOFTSWITCH), "serve", "--config", str(directory)]),
            stdout=subprocess.PIPE,
            stderr=(directory / "log").open("w"),
            text=True,
        )
        try:
            _wait_ready(process, directory / "log")
            yield Switch(process, directory, port, called_port)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                process.kill()
                process.wait()
        trouble = [line for line in (directory / "log").read_text().splitlines() if "Traceback" in line]
        if trouble:
            raise RuntimeError("the switch logged a traceback during the benchmark")


def _wait_ready(process: subprocess.Popen[str], log: Path) -> None:
    assert process.stdout is not None
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        line = process.stdout.readline()
        if "softswitch ready" in line:
            return
        if not line and process.poll() is not None:
            break
    raise RuntimeError(f"the switch did not start:\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def called(switch_: Switch) -> Iterator[subprocess.Popen[bytes]]:
    """SIPp as the called side, on the load's core."""
    with tempfile.TemporaryDirectory() as where:
        process = subprocess.Popen(
            pinned(LOAD_CORE, answering(switch_.called_port)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=where,
        )
        time.sleep(0.5)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def answering(port: int) -> list[str]:
    """SIPp as the called side, on `port`."""
    where = ["-i", "127.0.0.1", "-p", str(port), "-mp", str(CALLED_MEDIA_PORT)]
    return ["sipp", "-sf", str(SCENARIOS / "called.xml"), *where, "-nostdin"]


class Load:
    """What a finished SIPp run says of itself."""

    def __init__(self, successful: int, failed: int, retransmissions: int, cpu: float, seconds: float) -> None:
        self.successful = successful
        self.failed = failed
        self.retransmissions = retransmissions
        self.cpu = cpu
        self.seconds = seconds


def sipp(arguments: list[str], timeout: float) -> Load:
    """Run SIPp to its end on the load's core and read its last statistics row."""
    with tempfile.TemporaryDirectory() as where:
        statistics_file = Path(where) / "stat.csv"
        command = ["sipp", *arguments, "-i", "127.0.0.1", "-nostdin", "-trace_stat", "-stf", str(statistics_file)]
        before = os.times()
        began = time.monotonic()
        subprocess.run(
            pinned(LOAD_CORE, [*command, "-fd", "1", "-timeout", str(int(timeout)), "-timeout_error"]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=where,
            timeout=timeout + 30,
            check=False,
        )
        after = os.times()
        rows = statistics_file.read_text().strip().splitlines()
        last = dict(zip(rows[0].split(";"), rows[-1].split(";"), strict=False))
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return Load(
            int(last["SuccessfulCall(C)"]),
            int(last["FailedCall(C)"]),
            int(last["Retransmissions(C)"]),
            cpu,
            time.monotonic() - began,
        )


def line(name: str, value: float, unit: str, budget: str, reference: str) -> None:
    """One budget, as `make bench` prints it."""
    print(f"{name:28} {value:10.1f} {unit:12} {budget:16} {reference}", flush=True)


def median(values: list[float]) -> float:
    """The middle of several runs."""
    return statistics.median(values)


def number_in(text: str, pattern: str) -> float:
    """The first group of a pattern as a number."""
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"{pattern!r} is not in {text!r}")
    return float(found[1])

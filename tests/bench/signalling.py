"""CPU time of a registration and of a call through the B2BUA, and the calls per second that one core sustains.

    python -m tests.bench.signalling [register|call|sustained]

REGISTER: two requests, challenge and authentication, with SIPp at a steady rate. Call: the 14 messages of INVITE to BYE
on both legs, no media. The reference beside each is SIPp itself as the answering side of the same calls, in the same
minute.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from tests.bench import rig
from tests.bench.rig import (
    RUNS,
    SCENARIOS,
    SWITCH_CORE,
    Switch,
    called,
    cpu_seconds,
    free_port,
    line,
    median,
    pinned,
    resident_kib,
    sipp,
    switch,
)

REGISTER_RATE, REGISTRATIONS = 1500, 15_000
CALL_RATE, CALLS = 500, 5000
SUSTAINED_RATE, SUSTAINED_CALLS = 520, 104_000
REGISTER_SCENARIO = SCENARIOS / "register.xml"


def register_run(target: Switch, port: int) -> float:
    """CPU microseconds of the switch per registration; the phones are at `port`."""
    before = cpu_seconds(target.pid)
    load = sipp(
        [
            *("-sf", str(REGISTER_SCENARIO), "-inf", str(target.users), f"127.0.0.1:{target.port}"),
            *("-r", str(REGISTER_RATE), "-m", str(REGISTRATIONS), "-p", str(port)),
        ],
        60,
    )
    _check(load.successful, load.failed, REGISTRATIONS)
    return (cpu_seconds(target.pid) - before) / REGISTRATIONS * 1e6


def call_run(target: Switch, rate: int, calls: int) -> tuple[float, int]:
    """CPU microseconds of the switch per call, and the calls that failed."""
    before = cpu_seconds(target.pid)
    load = sipp([*_caller(target.port), "-r", str(rate), "-m", str(calls)], calls / rate + 60)
    return (cpu_seconds(target.pid) - before) / calls * 1e6, load.failed + calls - load.successful - load.failed


def reference_call() -> float:
    """CPU microseconds of SIPp per call when it answers the same load itself."""
    port = free_port()
    with tempfile.TemporaryDirectory() as where:
        answering = subprocess.Popen(
            pinned(SWITCH_CORE, rig.answering(port)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=where,
        )
        try:
            time.sleep(0.5)
            before = cpu_seconds(answering.pid)
            sipp([*_caller(port), "-r", str(CALL_RATE), "-m", str(CALLS)], 60)
            return (cpu_seconds(answering.pid) - before) / CALLS * 1e6
        finally:
            answering.kill()
            answering.wait()


def _caller(port: int) -> list[str]:
    return [
        *("-sf", str(SCENARIOS / "caller.xml"), "-s", "9123", "-d", "0", f"127.0.0.1:{port}"),
        *("-p", str(free_port()), "-l", "20000"),
    ]


def _check(successful: int, failed: int, expected: int) -> None:
    if successful != expected or failed:
        raise SystemExit(f"of {expected} attempts {successful} succeeded and {failed} failed")


def register() -> None:
    """The budget of a registration."""
    # The same phones again and again, as after a power cut, or for refreshes.
    port = free_port()
    with switch(extensions=500) as target:
        register_run(target, port)
        values = [register_run(target, port) for _ in range(RUNS)]
    line("register_auth", median(values), "us", "<=250 (aim 150)", f"sipp_uas_call {reference_call():.0f} us")


def call() -> None:
    """The budget of a call."""
    values = []
    with switch() as target, called(target):
        call_run(target, CALL_RATE, 500)
        for _ in range(RUNS):
            value, failed = call_run(target, CALL_RATE, CALLS)
            _check(CALLS - failed, failed, CALLS)
            values.append(value)
    line("call_signalling", median(values), "us", "<=1500 (aim 900)", f"sipp_uas_call {reference_call():.0f} us")


def sustained() -> None:
    """More than 500 calls a second on one core until 104,000 calls are through: none fails, memory stays.

    Memory is looked at after each fifth: it may step up when the machine stalls and calls pile up for a moment, but
    not with the number of calls.
    """
    with switch() as target, called(target):
        call_run(target, SUSTAINED_RATE, SUSTAINED_CALLS // 5)
        seconds, spent, failed, memory = 0.0, 0.0, 0, [resident_kib(target.pid)]
        for _ in range(5):
            started = time.monotonic()
            value, lost = call_run(target, SUSTAINED_RATE, SUSTAINED_CALLS // 5)
            seconds += time.monotonic() - started
            spent += value / 5
            failed += lost
            memory.append(resident_kib(target.pid))
    rate = SUSTAINED_CALLS / seconds
    line("sustained_calls", rate, "calls/s", ">=500", f"{failed} failed, {spent:.0f} us/call")
    fifths = ", ".join(f"{each:.0f}" for each in memory)
    line("memory_growth_100k_calls", memory[-1] - memory[0], "KiB", "none", f"KiB after each 20,800 calls: {fifths}")


def main() -> None:
    chosen = sys.argv[1:] or ["register", "call", "sustained"]
    for name in chosen:
        {"register": register, "call": call, "sustained": sustained}[name]()


if __name__ == "__main__":
    main()

"""Calls with audio both ways: none fails, less than 0.1 % of packets is lost, and everything returns to where it began.

    python -m tests.bench.soak [CALLS] [CALLS_PER_SECOND] [HOLD_SECONDS]        (3000 10 60)

Prints a table of what was measured and leaves with status 1 where a limit is broken. Memory per established call is
taken when the most calls are up.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from softswitch.control import ask
from tests.bench.rig import LOAD_CORE, Switch, core, cpu_seconds, line, resident_kib, switch
from tests.bench.soak.phones import Called, Caller, Media

BUILD = Path(__file__).parents[1] / "build"
LOSS_LIMIT = 0.001
MEMORY_LIMIT_KIB = 40.0
TRANSACTIONS = ("server transactions", "answered requests", "client transactions")
WARM_CALLS, WARM_RATE = 1000, 40.0
MEMORY_GROWTH = 1.02
"""What resident memory may be afterwards, in parts of what it was: the allocator's pages are never quite the same."""
SETTLE_SECONDS = 45.0
"""Longer than the longest SIP timer (64*T1 = 32 s): by then nothing of the calls may be left."""


def build_media() -> Path:
    """Compile `media.c`."""
    BUILD.mkdir(exist_ok=True)
    binary = BUILD / "soak-media"
    source = Path(__file__).with_name("media.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-o", str(binary), str(source)], check=True)
    return binary


def state(target: Switch) -> dict[str, Any]:
    """What the switch says of itself."""
    report = ask(target.directory / "var" / "control.sock", "status", limit=0)
    tables = report["tables"]
    return {
        "rows": report["media"]["rows"],
        "ports": report["media"]["ports"],
        "calls": report["totals"]["calls"],
        "timers": tables.get("timers", 0),
        "transactions": sum(tables.get(name, 0) for name in TRANSACTIONS),
        "descriptors": len(os.listdir(f"/proc/{target.pid}/fd")),
        "memory": resident_kib(target.pid),
    }


async def run(target: Switch, calls: int, rate: float, hold: float) -> tuple[Caller, Media, dict[str, float]]:
    """Make the calls; also what was measured with the most of them up."""
    loop = asyncio.get_running_loop()
    media = await Media.start(build_media())
    reader = asyncio.create_task(media.read())
    caller, called = Caller(("127.0.0.1", target.port), media), Called(media)
    await loop.create_datagram_endpoint(lambda: caller.socket, local_addr=("127.0.0.1", 0))
    await loop.create_datagram_endpoint(lambda: called.socket, local_addr=("127.0.0.1", target.called_port))
    began = loop.time()
    cpu = cpu_seconds(target.pid)
    peak: dict[str, float] = {"calls": 0.0}
    running: set[asyncio.Task[None]] = set()
    for number in range(calls):
        await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
        task = asyncio.create_task(caller.call(number, "9123", hold))
        running.add(task)
        task.add_done_callback(running.discard)
        if number % max(int(rate), 1) == 0 and len(running) >= peak["calls"]:
            peak = {"calls": float(len(running)), "memory": resident_kib(target.pid)}
    await asyncio.gather(*running)
    peak["cpu"] = (cpu_seconds(target.pid) - cpu) / (loop.time() - began)
    await asyncio.sleep(1.0)
    await media.end()
    await reader
    for end in (caller.socket, called.socket):
        if end.transport is not None:
            end.transport.close()
    return caller, media, peak


def main() -> int:
    calls, rate, hold = (float(text) for text in (sys.argv[1:] + ["3000", "10", "60"][len(sys.argv) - 1 :]))
    failures: list[str] = []
    with switch(rtp_ports="20000-20127") as target:
        os.sched_setaffinity(0, {core(LOAD_CORE)})
        cold = state(target)["memory"]
        # As many at once as will be: what is loaded and remembered once is there, and memory has its usual size.
        asyncio.run(run(target, WARM_CALLS, WARM_RATE, rate * hold / WARM_RATE))
        time.sleep(SETTLE_SECONDS)
        before = state(target)
        caller, media, peak = asyncio.run(run(target, int(calls), rate, hold))
        time.sleep(SETTLE_SECONDS)
        after = state(target)
    failed = int(calls) - caller.results["completed"]
    loss = media.lost / max(media.lost + media.received, 1)
    per_call = (peak["memory"] - cold) / max(peak["calls"], 1)
    line("soak_failed_calls", failed, "calls", "0", f"{dict(caller.results)}")
    line("soak_packet_loss", loss * 100, "%", "<0.1", f"{media.lost} of {media.lost + media.received}")
    line("soak_cpu", peak["cpu"] * 100, "%", "-", f"of one core, {peak['calls']:.0f} calls at most")
    line("memory_per_call", per_call, "KiB", "<=40", "at the most calls, above an idle switch; transactions included")
    for name in before:
        print(f"{name:24} before {before[name]:>10.0f}   after {after[name]:>10.0f}")
    failures += ["calls failed"] if failed else []
    failures += ["packets lost"] if loss >= LOSS_LIMIT else []
    failures += ["memory per call"] if per_call > MEMORY_LIMIT_KIB else []
    limits = {name: value * MEMORY_GROWTH if name == "memory" else value for name, value in before.items()}
    failures += [name for name in before if after[name] > limits[name]]
    if failures:
        print("NOT as wanted:", ", ".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""Blind and attended transfers under load: who is left without the other, how long it takes, what it costs.

    python -m tests.bench.transfers [COUNT [AT_ONCE]]

COUNT (500) transfers by REFER and as many by REFER with Replaces, AT_ONCE (16) at a time, while 10 calls a second come
and go beside them, all with audio of 50 packets a second each way. CPU time is that of the switch while the transfers
of a kind go on, less what the background alone costs: the two or three calls of each, with seconds of audio, are in
it. The reference beside it is a call of the background in the same minute, which has a second of audio.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "interop"), str(Path(__file__).parents[1])]

from harness.switch import Switch
from harness.telephones import Office
from harness.transfer_load import Kind, Tally, TransferLoad

from tests.bench.rig import LOAD_CORE, SWITCH_CORE, core, cpu_seconds, line

COUNT, AT_ONCE = 500, 16
TALKERS = 24
BACKGROUND_SECONDS = 10.0
FORGET_SECONDS = 45.0
"""Until the last transaction is forgotten: 64 * T1 = 32 s (RFC 3261 17.2.2), and 5 s more of a media port."""

KINDS: tuple[Kind, ...] = ("blind", "attended")


async def measure(switch: Switch, count: int, at_once: int) -> bool:
    """Whether nothing has gone wrong."""
    numbers = [str(101 + index) for index in range(3 * at_once + TALKERS)]
    async with Office((switch.host, switch.port)) as office:
        load = TransferLoad(office, at_once)
        await load.register({number: switch.password(number) for number in numbers}, TALKERS)
        await asyncio.sleep(1.0)
        before = switch.status()
        alone = await background_cost(switch, load)
        for kind in KINDS:
            began, spent = time.monotonic(), cpu_seconds(switch.pid)
            await load.run(kind, count)
            seconds, spent = time.monotonic() - began, cpu_seconds(switch.pid) - spent
            tell(kind, load.tallies[kind], seconds, spent - alone * seconds, alone / load.rate)
        left = await leftovers(switch, before.tables, office)
        calls, failed = load.background["calls"], load.background["failed"]
        line("background_calls", calls, "calls", "none fails", f"{failed} failed; audio late by {office.latest:.3f} s")
        line("left_of_transfers", sum(left.values()), "entries", "none", str(left or ""))
        told = [*load.problems, *office.problems]
        for tally in load.tallies.values():
            told += tally.failed + tally.one_way
        for problem in told[:40]:
            print(f"  {problem}", file=sys.stderr)
    return not told and not left


async def background_cost(switch: Switch, load: TransferLoad) -> float:
    """CPU seconds of the switch in a second of the background alone."""
    await load.talk_only(2.0)
    spent = cpu_seconds(switch.pid)
    await load.talk_only(BACKGROUND_SECONDS)
    return (cpu_seconds(switch.pid) - spent) / BACKGROUND_SECONDS


def tell(kind: Kind, tally: Tally, seconds: float, spent: float, call: float) -> None:
    name = f"{kind}_transfers"
    wrong = f"{len(tally.failed)} failed, {len(tally.one_way)} one-way, {tally.late} later than 1 s"
    line(name, tally.done, "transfers", "none fails", f"{wrong}; {tally.done / seconds:.1f} a second")
    line(f"{name}_heard", tally.part(0.5) * 1e3, "ms (median)", "<=1000", f"{tally.part(0.99) * 1e3:.0f} ms (99 %)")
    line(f"{name}_cpu", spent / tally.done * 1e3, "ms", "", f"call of one second {call * 1e3:.1f} ms")


async def leftovers(switch: Switch, before: dict[str, int], office: Office) -> dict[str, int]:
    """What is left of the calls in the switch, and in the telephones, once all is to be forgotten."""
    end = time.monotonic() + FORGET_SECONDS
    while True:
        report = switch.status()
        left = {"calls": len(report.calls), "streams": report.media.rows}
        left |= {name: report.tables[name] - before[name] for name in report.tables}
        for telephone in office.telephones:
            for what, count in telephone.left().items():
                left[f"telephones' {what}"] = left.get(f"telephones' {what}", 0) + count
        left = {what: count for what, count in left.items() if count > 0}
        if not left or time.monotonic() > end:
            return left
        await asyncio.sleep(0.5)


def main() -> None:
    count, at_once = [int(word) for word in sys.argv[1:3]] + [COUNT, AT_ONCE][len(sys.argv) - 1 :]
    with tempfile.TemporaryDirectory(prefix="softswitch-bench-") as name:
        switch = Switch(Path(name), extensions=3 * at_once + TALKERS)
        with switch:
            for thread in Path(f"/proc/{switch.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core(SWITCH_CORE)})
            load_core = core(LOAD_CORE)
            os.sched_setaffinity(0, {load_core})
            fine = asyncio.run(measure(switch, count, at_once))
    raise SystemExit(0 if fine else 1)


if __name__ == "__main__":
    main()

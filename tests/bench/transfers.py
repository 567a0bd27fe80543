"""Blind and attended transfers under load: who is left without the other, how long it takes, what it costs.

    python -m tests.bench.transfers [COUNT [AT_ONCE]]

COUNT (500) transfers by REFER, as many by REFER with Replaces, and a tenth of that by the same while the third rings,
AT_ONCE (16) at a time, while 10 calls a second come
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

# As pytest finds the harness of the interop tests.
sys.path[:0] = [str(Path(__file__).parents[1] / "interop"), str(Path(__file__).parents[1])]

from harness.switch import Switch  # noqa: E402
from harness.telephones import Office  # noqa: E402
from harness.transfer_load import Kind, LeftOver, Tally, TransferLoad  # noqa: E402

from tests.bench.rig import LOAD_CORE, SWITCH_CORE, core, cpu_seconds, line  # noqa: E402

COUNT, AT_ONCE = 500, 16
TALKERS = 24
BACKGROUND_SECONDS = 10.0
FORGET_SECONDS = 45.0
"""Until the last transaction is forgotten: 64 * T1 = 32 s (RFC 3261 17.2.2), and 5 s more of a media port."""

KINDS: dict[Kind, int] = {"blind": 1, "attended": 1, "ringing": 10}
"""What part of COUNT."""


async def measure(switch: Switch, count: int, at_once: int) -> bool:
    """Whether nothing has gone wrong."""
    async with Office((switch.host, switch.port)) as office:
        load = TransferLoad(office, at_once)
        await load.register(switch.passwords(), TALKERS)
        left_over = LeftOver(switch, office)
        alone = await background_cost(switch, load)
        for kind, part in KINDS.items():
            began, spent = time.monotonic(), spent_by(switch)
            await load.run(kind, max(1, count // part))
            seconds, spent = time.monotonic() - began, spent_by(switch) - spent
            tell(kind, load.tallies[kind], seconds, spent - alone * seconds, alone / load.rate)
        left = await left_over.after(FORGET_SECONDS)
        calls, failed = load.background["calls"], load.background["failed"]
        line("background_calls", calls, "calls", "none fails", f"{failed} failed")
        late = f"the telephones' own delay {office.latest * 1e3:.0f} ms"
        line("longest_silence_of_all", office.longest_silence * 1e3, "ms", "", late)
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
    spent = spent_by(switch)
    await load.talk_only(BACKGROUND_SECONDS)
    return (spent_by(switch) - spent) / BACKGROUND_SECONDS


def spent_by(switch: Switch) -> float:
    """CPU seconds of all processes of the switch."""
    return sum(cpu_seconds(process) for process in (switch.pid, *[w.process for w in switch.status().media.workers]))


def tell(kind: Kind, tally: Tally, seconds: float, spent: float, call: float) -> None:
    name = f"{kind}_transfers"
    wrong = f"{len(tally.failed)} failed, {len(tally.one_way)} one-way, {tally.late} later than 1 s"
    line(name, tally.done, "transfers", "none fails", f"{wrong}; {tally.done / seconds:.1f} a second")
    line(f"{name}_heard", tally.part(0.5) * 1e3, "ms (median)", "<=1000", f"{tally.part(0.99) * 1e3:.0f} ms (99 %)")
    line(f"{name}_pause", max(tally.gaps, default=0.0) * 1e3, "ms (longest)", "", "")
    line(f"{name}_cpu", spent / tally.done * 1e3, "ms", "", f"call of one second {call * 1e3:.1f} ms")


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

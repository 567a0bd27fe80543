"""CPU time per relayed G.711 packet, and how many calls one core relays, beside a C relay that batches the same way, in
the same minutes.

    python -m tests.bench.relay_bench [--calls N] [--seconds S] [--no-capacity]

1000 two-way calls are 2000 streams of 50 packets a second, each from an address of its own. The relay, the media engine
in a process with uvloop, has one core; the load, in C, the other. The two relays take turns; medians of three runs.

Capacity is the largest number of calls, in steps, with less than 0.1 % of all packets lost. A step that fails is tried
once more: another program's moment on the machine loses packets, too. Where the load's own core is full the load is
what gives way, and the line says so.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

from tests.bench.media_rig import Rig, Run
from tests.bench.rig import RUNS

CALLS = 1000
SECONDS = 8.0
BUDGET_US = 7.0
BUDGET_RATIO = 1.3
BUDGET_LOSS = 0.001
BUDGET_CALLS = 1200
CAPACITY_SECONDS = 3.0
CAPACITY_STEP = 200
MAX_CALLS = 4000  # what the load and the C relay have room for
ATTEMPTS = 2
LOAD_FULL = 0.93  # of the load's core


def line(name: str, value: float, unit: str, budget: str, reference: str) -> None:
    """One budget, as `make bench` prints it, with the decimals that a ratio needs."""
    print(f"{name:28} {value:10.2f} {unit:12} {budget:16} {reference}", flush=True)


def capacity(relay: Callable[[int], Run]) -> tuple[int, bool]:
    """Calls that are relayed with hardly a loss (0: not even one step of them), and whether the load was what ended
    the search."""
    calls = BUDGET_CALLS
    best, full = 0, False
    while CAPACITY_STEP <= calls <= MAX_CALLS:
        run = relay(calls)
        for _ in range(ATTEMPTS - 1):
            if run.loss >= BUDGET_LOSS:
                run = min(run, relay(calls), key=lambda each: each.loss)
        full = run.load > LOAD_FULL
        if run.loss < BUDGET_LOSS and not full:
            best = calls
            if calls < BUDGET_CALLS:
                break
            calls += CAPACITY_STEP
        elif best:
            break
        else:
            calls -= CAPACITY_STEP
    return best, full or calls > MAX_CALLS


def _calls(found: tuple[int, bool]) -> str:
    return f"{found[0]}{' or more: the load is at its end' if found[1] else ''}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--no-capacity", action="store_true", help="leave out the search for the most calls")
    options = parser.parse_args()
    ours: list[Run] = []
    reference: list[Run] = []
    with Rig() as rig:
        for _ in range(RUNS):
            reference.append(rig.relay_reference(options.calls, options.seconds))
            ours.append(rig.engine("relay", options.calls, options.seconds))
        packet = statistics.median(run.us_per_packet for run in ours)
        beside = statistics.median(run.us_per_packet for run in reference)
        loss, load = max(run.loss for run in ours), statistics.median(run.load for run in ours)
        line("relay_packet", packet, "us", f"<={BUDGET_US:g}", f"c_relay {beside:.2f} us")
        line("relay_packet_ratio", packet / beside, "x c_relay", f"<={BUDGET_RATIO:g}", "1")
        calls = f"{options.calls} two-way calls, load {load * 100:.0f} % of its core"
        line("relay_loss", loss * 100, "%", f"<={BUDGET_LOSS * 100:g}", calls)
        good = packet <= BUDGET_US and packet <= BUDGET_RATIO * beside
        if not options.no_capacity:
            theirs = capacity(lambda calls: rig.relay_reference(calls, CAPACITY_SECONDS))
            found = capacity(lambda calls: rig.engine("relay", calls, CAPACITY_SECONDS))
            said = ("or more, the load is at its end; " if found[1] else "") + f"c_relay {_calls(theirs)}"
            line("relay_capacity", found[0], "calls", f">={BUDGET_CALLS}", said)
            good = good and found[0] >= BUDGET_CALLS
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())

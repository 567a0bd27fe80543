"""How punctual the engine is: frames of conferences at four fifths of a core, packets of a relay under load.

    python -m tests.bench.schedule_bench [--seconds S] [--calls N]

As many three-party conferences as take 80 % of the engine's core are found by measuring. The engine counts by
milliseconds how late after their moment its frames have left (`EngineDriver.lateness`: all the work of their tick is
behind them), second by second, with what it used of the core in each. On a machine whose speed moves by half from one
second to the next the same conferences take 60 % of a core now and all of it then: the figure is that of the seconds
with 75 to 85 %, and beside it stand whole runs with that load on average. Then a ticker in C runs on the same core,
bare, and with work that took 80 % of every 5 ms in the second before: what it is late by is the machine's.

The relay's delay is told by the packets: the load writes the time into each payload and takes the kernel's time of the
packet that comes back. The C relay collects packets as long as ours does. Medians of three runs.
"""

from __future__ import annotations

import argparse
import statistics

from tests.bench.media_rig import Rig, Run, Second, parts, within
from tests.bench.relay_bench import line
from tests.bench.rig import RUNS

SECONDS = 10.0
SEARCH_SECONDS = 4.0
WARM_SECONDS = 5.0  # at so much load it takes long to recover from all conferences beginning at once
CALLS = 1000
BUSY = 0.8  # of the core
NEAR = 0.05  # is near enough
SEARCHES = 4  # runs that only look for the number of conferences
ATTEMPTS = 20
ENOUGH_SECONDS = 20  # near that load
LOST = 0.1  # of the packets, at most: in a spell at which nothing could have kept up
RECENT = 3  # runs that tell what a conference costs now
FIRST_CONFERENCES = 400
MOST_CONFERENCES = 3000
TICK_US = 5000
PUNCTUAL_MS = 5
BUDGET_PUNCTUAL = 0.999
BUDGET_MEDIAN_MS = 5.0
BUDGET_P999_MS = 15.0
_NOTHING = Second(0.0, 0, ())


def runs_at_load(rig: Rig, seconds: float) -> list[tuple[int, Run]]:
    """Runs with as many conferences as the runs before them say to take `BUSY` of the core; their number with each. As
    many runs as give enough seconds near it."""
    count = FIRST_CONFERENCES
    found: list[tuple[int, Run]] = []
    costs: list[float] = []
    for attempt in range(ATTEMPTS):
        searching = attempt < SEARCHES
        run = rig.engine("conf3", count, SEARCH_SECONDS if searching else seconds, warm=WARM_SECONDS)
        costs.append(run.cpu / run.seconds / count)
        if not searching:
            found.append((count, run))
            if len(found) >= RUNS and len(seconds_at_load(found)) >= ENOUGH_SECONDS:
                break
        count = max(1, min(MOST_CONFERENCES, round(BUSY / statistics.median(costs[-RECENT:]))))
    return found


def seconds_at_load(runs: list[tuple[int, Run]]) -> list[Second]:
    """Those near `BUSY` of the core, of runs in which the engine could keep up."""
    valid = [run for count, run in runs if not run.wrong(3 * count, LOST)]
    return [each for run in valid for each in run.each_second if abs(each.busy - BUSY) <= NEAR]


def frames(rig: Rig, seconds: float) -> bool:
    runs = runs_at_load(rig, seconds)
    bare: list[tuple[int, ...]] = []
    working: list[tuple[tuple[int, ...], float]] = []
    for _ in range(RUNS):
        bare.append(rig.ticker(TICK_US, seconds / 2, 0)[0])
        working.append(rig.ticker(TICK_US, seconds, round(TICK_US * BUSY)))
    chosen = seconds_at_load(runs)
    counts = sorted(count for count, _ in runs)
    said = (
        f"{counts[0]} to {counts[-1]} conferences; {len(chosen)} of {sum(len(r.each_second) for _, r in runs)} seconds"
    )
    line("schedule_load", statistics.fmean(each.busy for each in chosen or [_NOTHING]) * 100, "% of a core", "80", said)
    lateness = [sum(column) for column in zip(*(each.lateness for each in chosen), strict=True)]
    punctual = within(lateness, PUNCTUAL_MS)
    budget = f">={BUDGET_PUNCTUAL * 100:g}"
    line("schedule_within_5ms", punctual * 100, "%", budget, parts(lateness))
    line("schedule_left_out", sum(each.skipped for each in chosen), "ticks", "0", "in those seconds")
    whole = [
        f"{within(run.lateness, PUNCTUAL_MS) * 100:.2f} % (up to {max(s.busy for s in run.each_second) * 100:.0f})"
        for _, run in runs
        if abs(run.cpu / run.seconds - BUSY) < NEAR
    ]
    line("schedule_whole_runs", len(whole), "runs", "", f"the same, at that load on average: {', '.join(whole)}")
    line("ticker_bare", within(middle(bare), PUNCTUAL_MS) * 100, "%", "", parts(middle(bare)))
    middle_one = middle([counts for counts, _ in working])
    took = ", ".join(f"{busy * 100:.0f}" for _, busy in working)
    line(
        "ticker_working",
        within(middle_one, PUNCTUAL_MS) * 100,
        "%",
        "",
        f"{parts(middle_one)}; took {took} % of a core",
    )
    return bool(chosen) and punctual >= BUDGET_PUNCTUAL


def middle(histograms: list[tuple[int, ...]]) -> tuple[int, ...]:
    return sorted(histograms, key=lambda counts: within(counts, PUNCTUAL_MS))[len(histograms) // 2]


def delays(rig: Rig, calls: int, seconds: float) -> bool:
    ours: list[tuple[float, float, float]] = []
    beside: list[tuple[float, float, float]] = []
    for _ in range(RUNS):
        for found, run in (
            (beside, rig.relay_reference(calls, seconds, stamped=True)),
            (ours, rig.engine("relay", calls, seconds, stamped=True)),
        ):
            assert run.delay_ms is not None
            found.append(run.delay_ms)
    median, p999, most = (statistics.median(column) for column in zip(*ours, strict=True))
    c_median, c_p999, c_most = (statistics.median(column) for column in zip(*beside, strict=True))
    said = f"c_relay {c_median:.2f} ms; {calls} two-way calls"
    line("relay_delay_median", median, "ms", f"<{BUDGET_MEDIAN_MS:g}", said)
    said = f"c_relay {c_p999:.2f} ms; at most {most:.1f}, c_relay {c_most:.1f}"
    line("relay_delay_p999", p999, "ms", f"<{BUDGET_P999_MS:g}", said)
    return bool(median < BUDGET_MEDIAN_MS and p999 < BUDGET_P999_MS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--calls", type=int, default=CALLS, help="of the relay whose delay is measured")
    options = parser.parse_args()
    with Rig() as rig:
        punctual = frames(rig, options.seconds)
        quick = delays(rig, options.calls, options.seconds)
    return 0 if punctual and quick else 1


if __name__ == "__main__":
    raise SystemExit(main())

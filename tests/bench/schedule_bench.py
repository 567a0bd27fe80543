"""How punctual the engine is: frames of conferences at four fifths of a core, packets of a relay under load.

    python -m tests.bench.schedule_bench [--seconds S] [--calls N]

As many three-party conferences as take 80 % of the engine's core are found by measuring; runs in which they took less
than 75 or more than 85 % are left aside, as the machine's speed moves from one to the next. The engine counts by
milliseconds how late after their moment its frames have left (`EngineDriver.lateness`: all the work of their tick is
behind them). Then a ticker in C runs on the same core, bare, and busy for as large a part of
every 5 ms as the engine: what it is late by is the machine's.

The relay's delay is told by the packets: the load writes the time into each payload and takes the kernel's time of the
packet that comes back. The C relay collects packets as long as ours does. Medians of three runs.
"""

from __future__ import annotations

import argparse
import statistics

from tests.bench.media_rig import Rig, Run, parts, within
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
RECENT = 3  # runs that tell what a conference costs now
FIRST_CONFERENCES = 400
MOST_CONFERENCES = 3000
TICK_US = 5000
PUNCTUAL_MS = 5
BUDGET_PUNCTUAL = 0.999
BUDGET_MEDIAN_MS = 5.0
BUDGET_P999_MS = 15.0


def runs_at_load(rig: Rig, seconds: float) -> list[tuple[int, Run]]:
    """Runs in which the engine was busy for `BUSY` of the time, each with its number of conferences. The machine's own
    speed moves from one run to the next: one that missed says how many the next should have."""
    count = FIRST_CONFERENCES
    found: list[tuple[int, Run]] = []
    costs: list[float] = []
    for attempt in range(ATTEMPTS):
        run = rig.engine("conf3", count, seconds if attempt >= SEARCHES else SEARCH_SECONDS, warm=WARM_SECONDS)
        busy = run.cpu / run.seconds
        costs.append(busy / count)
        if abs(busy - BUSY) < NEAR and attempt >= SEARCHES:
            found.append((count, run))
            if len(found) == RUNS:
                break
        else:
            count = max(1, min(MOST_CONFERENCES, round(BUSY / statistics.median(costs[-RECENT:]))))
    return found


def frames(rig: Rig, seconds: float) -> bool:
    runs = runs_at_load(rig, seconds)
    bare: list[tuple[int, ...]] = []
    busy: list[tuple[int, ...]] = []
    for _ in range(RUNS):
        bare.append(rig.ticker(TICK_US, seconds / 2, 0))
        busy.append(rig.ticker(TICK_US, seconds / 2, round(TICK_US * BUSY)))
    middle = [sorted(each, key=lambda counts: within(counts, 1))[RUNS // 2] for each in (bare, busy)]
    if runs:
        runs.sort(key=lambda each: within(each[1].lateness, PUNCTUAL_MS))
        count, run = runs[len(runs) // 2]
        wrong = run.wrong(3 * count)
        said = f"{count} conferences, load {run.load * 100:.0f} %{f'; NOT VALID: {wrong}' if wrong else ''}"
        line("schedule_load", run.cpu / run.seconds * 100, "% of a core", f"{BUSY * 100:g}", said)
        punctual = within(run.lateness, PUNCTUAL_MS)
        line("schedule_within_5ms", punctual * 100, "%", f">={BUDGET_PUNCTUAL * 100:g}", parts(run.lateness))
        every = ", ".join(f"{within(each.lateness, PUNCTUAL_MS) * 100:.2f}" for _, each in runs)
        line(
            "schedule_left_out",
            sum(each.skipped for _, each in runs),
            "ticks",
            "0",
            f"runs of {seconds:g} s: {every} %",
        )
    else:
        print(f"schedule_load: in {ATTEMPTS} runs the machine was never near {BUSY * 100:g} % of a core")
    line("ticker_bare", within(middle[0], PUNCTUAL_MS) * 100, "%", "", parts(middle[0]))
    line("ticker_busy", within(middle[1], PUNCTUAL_MS) * 100, "%", "", parts(middle[1]))
    return bool(runs) and not wrong and punctual >= BUDGET_PUNCTUAL


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

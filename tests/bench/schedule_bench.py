"""How punctual the engine is: frames of conferences at four fifths of a core, packets of a relay under load.

    python -m tests.bench.schedule_bench [--seconds S] [--calls N]

As many three-party conferences as take 80 % of the engine's core are found by measuring. The engine then counts by
milliseconds how late after their moment its frames have left (`EngineDriver.lateness`: the whole tick of 5 ms is behind
them, its work included). Between its runs a ticker in C runs on the same core, bare, then busy for as large a part of
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
CALLS = 1000
BUSY = 0.8  # of the core
NEAR = 0.03  # is near enough
SEARCHES = 8
FIRST_CONFERENCES = 100
MOST_CONFERENCES = 3000
TICK_US = 5000
PUNCTUAL_MS = 5
BUDGET_PUNCTUAL = 0.999
BUDGET_MEDIAN_MS = 5.0
BUDGET_P999_MS = 15.0


def conferences(rig: Rig) -> int:
    """So many that the engine is busy for `BUSY` of the time."""
    low, low_busy, high = 0, 0.0, MOST_CONFERENCES
    count = FIRST_CONFERENCES
    for _ in range(SEARCHES):
        run = rig.engine("conf3", count, SEARCH_SECONDS)
        busy = run.cpu / run.seconds
        if run.skipped or run.wrong(3 * count):
            # More than it can do, or than this machine lets it: CPU time tells nothing then.
            high = count
            count = (low + high) // 2 if low else count // 2
            continue
        if abs(busy - BUSY) < NEAR:
            break
        if busy < BUSY:
            # Along the line through the last two points; ticks cost something without a conference, too.
            slope = (busy - low_busy) / (count - low)
            low, low_busy = count, busy
        else:
            slope, high = busy / count, count
        wanted = round(count + (BUSY - busy) / max(slope, busy / count / 2))
        count = max(low + 1, min(wanted, 3 * count, high - 1))
    return count


def frames(rig: Rig, seconds: float) -> bool:
    count = conferences(rig)
    runs: list[Run] = []
    bare: list[tuple[int, ...]] = []
    busy: list[tuple[int, ...]] = []
    for _ in range(RUNS):
        bare.append(rig.ticker(TICK_US, seconds / 2, 0))
        busy.append(rig.ticker(TICK_US, seconds / 2, round(TICK_US * BUSY)))
        runs.append(rig.engine("conf3", count, seconds))
    runs.sort(key=lambda run: within(run.lateness, PUNCTUAL_MS))
    run = runs[RUNS // 2]
    punctual = within(run.lateness, PUNCTUAL_MS)
    middle = [sorted(each, key=lambda counts: within(counts, 1))[RUNS // 2] for each in (bare, busy)]
    used = statistics.median(each.cpu / each.seconds for each in runs)
    load = statistics.median(each.load for each in runs)
    wrong = next((f"; NOT VALID: {each.wrong(3 * count)}" for each in runs if each.wrong(3 * count)), "")
    said = f"{count} conferences, load {load * 100:.0f} %{wrong}"
    line("schedule_load", used * 100, "% of a core", f"{BUSY * 100:g}", said)
    line("schedule_within_5ms", punctual * 100, "%", f">={BUDGET_PUNCTUAL * 100:g}", parts(run.lateness))
    line("schedule_left_out", sum(each.skipped for each in runs), "ticks", "0", f"{RUNS} runs of {seconds:g} s")
    line("ticker_bare", within(middle[0], PUNCTUAL_MS) * 100, "%", "", parts(middle[0]))
    line("ticker_busy", within(middle[1], PUNCTUAL_MS) * 100, "%", "", parts(middle[1]))
    return not wrong and punctual >= BUDGET_PUNCTUAL


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

"""A configuration over several runs, and what its KPIs are by queue and by interval of the day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from acd.config import Config
from acd.simulate.arrivals import DAY, MONDAY, Contacts, Habits, Plan, Recorded, draw, recorded
from acd.simulate.people import Watch
from acd.simulate.run import INTERVAL, run
from acd.simulate.statistics import CONFIDENCE, Difference, Estimate, Kpi, difference, parts, ratio
from acd.simulate.tally import ALL, Counts, Measures, intervals

Progress = Callable[[int], None]
"""So many more contacts have come."""


class Study(msgspec.Struct, frozen=True):
    """What is simulated, whatever the configuration. `events`: contacts that have really come, instead of a plan;
    `start`: a midnight, Unix seconds."""

    habits: Habits
    plan: Plan | None = None
    events: tuple[Recorded, ...] = ()
    days: float = 1.0
    runs: int = 10
    seed: int = 1
    interval: float = INTERVAL
    start: float = MONDAY

    def contacts(self, number: int) -> Contacts:
        """Of one run. Raises `ValueError` where they are too many."""
        if self.plan is None:
            return recorded(self.events, self.habits, self.seed, number, self.start)
        return draw(self.plan, self.habits, self.days, self.seed, number, self.start)

    @property
    def seconds(self) -> float:
        return self.days * DAY

    @property
    def expected(self) -> float:
        """Contacts in all runs."""
        if self.plan is None:
            return float(len(self.events) * self.runs)
        return sum(self.plan.expected(intervals(self.seconds, self.plan.interval))) * self.runs


class Found(NamedTuple):
    """What came of it. `runs`: for each the measures by queue, "" being all, over the intervals of one day; `left`:
    contacts that nobody had taken a day after the end, of all runs; `refused`: what the engine did not take."""

    runs: list[dict[str, Measures]]
    left: int
    refused: list[str]

    @property
    def queues(self) -> list[str]:
        return sorted({name for each in self.runs for name in each} - {ALL})

    def by_interval(self, kpi: Kpi, queue: str = ALL) -> list[tuple[list[float], list[float]]]:
        """Numerators and denominators by run, for each interval of the day."""
        above, below = (
            np.array(each) for each in zip(*(self._parts(run, kpi, queue) for run in self.runs), strict=True)
        )
        return [(above[:, at].tolist(), below[:, at].tolist()) for at in range(above.shape[1])]

    def in_all(self, kpi: Kpi, queue: str = ALL) -> tuple[list[float], list[float]]:
        """The same over the whole time."""
        sums = [[float(part.sum()) for part in self._parts(run, kpi, queue)] for run in self.runs]
        return [each[0] for each in sums], [each[1] for each in sums]

    def total(self, kpi: Kpi, queue: str = ALL, confidence: float = CONFIDENCE) -> Estimate:
        above, below = self.in_all(kpi, queue)
        if kpi == "offered":  # a number for each run, not a mean over intervals
            below = [1.0] * len(above)
        return ratio(above, below, confidence)

    def _parts(self, run: dict[str, Measures], kpi: Kpi, queue: str) -> tuple[Counts, Counts]:
        found = run.get(queue)
        if found is None:
            nothing = np.zeros(len(run[ALL].offered))
            return nothing, nothing
        return parts(found, kpi)


def simulate(
    config: Config,
    study: Study,
    staff: Sequence[int] | None = None,
    order: Sequence[str] | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Found:
    """All runs; `watch` is given all records of the first. Raises `ValueError` where they have too many contacts."""
    runs, left, refused = [], 0, []
    for number in range(study.runs):
        result = run(
            config,
            study.contacts(number),
            study.seconds,
            interval=study.interval,
            staff=staff,
            order=order,
            back=study.habits.back,
            start=study.start,
            progress=progress,
            watch=None if number else watch,
            expected=True,
            asks=True,
        )
        runs.append({name: over_a_day(each, study.interval) for name, each in result.queues.items()})
        left += result.left
        refused += result.refused
    return Found(runs, left, refused[:100])


def over_a_day(measures: Measures, interval: float) -> Measures:
    """Days laid over each other: the sums by interval of the day."""
    length = round(DAY / interval)
    return Measures(*(_folded(each, length) for each in measures))


def _folded(counts: Counts, length: int) -> Counts:
    if len(counts) <= length:
        return counts
    whole = np.concatenate([counts, np.zeros(-len(counts) % length)])
    return np.asarray(whole.reshape(-1, length).sum(axis=0))


def compare(first: Found, second: Found, kpi: Kpi, queue: str = ALL) -> Difference:
    """Of two configurations in the same study, run by run."""
    one, two = first.in_all(kpi, queue), second.in_all(kpi, queue)
    return difference(one, two)

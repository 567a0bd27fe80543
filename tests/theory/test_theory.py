"""The engine, run by the simulator, against queueing theory.

Without wrap-up and with telephones that are answered at once the engine is M/M/N and its relatives exactly. For each
model three things are shown:

1. The engine's run, cut into batches that are long against the time in which a queue forgets: what theory says lies in
   the 99.9 % interval.
2. Each contact of that run waited exactly as long as in `plain`, which is the model as a few lines of recursion.
3. What theory says lies in the 99.9 % interval of a run of `plain` so long that a theory which is 5 % off, either way
   and in any measure, does not. As the engine does with each contact what `plain` does, that interval is its own, too.

The seeds are fixed. Where a model is not stable there are many runs from empty instead of batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from acd.config import STRICT, Agent, Config, Group, Queue, Team, WrapUp
from acd.simulate.arrivals import DAY, NEVER, Contacts, Habits, Plan, Times, constant, draw
from acd.simulate.run import run
from acd.simulate.statistics import Estimate, ratio
from tests.theory import plain
from tests.theory.oracles import Design, cobham, design_waits, erlang_a, erlang_c, transient

CONFIDENCE = 0.999
BATCHES = 20
WARM_UP = 0.02
"""Of a run, at its beginning, that is not counted."""
OFF = 0.05
SERVICE = 240.0
THRESHOLD = 20.0
HOUR = 3600.0
PATIENCE = 120.0

Add = Callable[[tuple[int, int], str], None]
Floats = NDArray[np.float64]
Measure = Callable[[Floats], tuple[Floats, Floats]]
"""Of waits as `plain` gives them: numerator and denominator, by contact."""


def within(waits: Floats) -> tuple[Floats, Floats]:
    return ((waits >= 0.0) & (waits <= THRESHOLD)).astype(float), np.ones_like(waits)


def asa(waits: Floats) -> tuple[Floats, Floats]:
    return np.maximum(waits, 0.0), (waits >= 0.0).astype(float)


def at_once(waits: Floats) -> tuple[Floats, Floats]:
    return (waits == 0.0).astype(float), np.ones_like(waits)


def abandoned(waits: Floats) -> tuple[Floats, Floats]:
    return (waits < 0.0).astype(float), np.ones_like(waits)


class Line(NamedTuple):
    """A measure of the contacts of some queue, and what theory says."""

    of: str
    measure: Measure
    theory: float
    queue: str = "q"


class Sample(NamedTuple):
    """Contacts: waits, which of `parts` (batches or runs) each is of, -1: of none, and its queue."""

    waits: Floats
    part: NDArray[np.int64]
    parts: int
    queue: NDArray[np.str_]


def batched(waits: Sequence[float], queue: Sequence[str]) -> Sample:
    """Equal numbers of contacts in each batch, those at the beginning in none."""
    count = len(waits)
    skipped = int(count * WARM_UP)
    part = np.floor((np.arange(count) - skipped) * BATCHES / (count - skipped)).astype(np.int64)
    return Sample(np.array(waits), np.maximum(part, -1), BATCHES, np.array(queue))


def estimate(sample: Sample, line: Line) -> Estimate:
    chosen = (sample.queue == line.queue) & (sample.part >= 0)
    part = sample.part[chosen]
    above, below = (np.bincount(part, each, sample.parts) for each in line.measure(sample.waits[chosen]))
    return ratio(above.tolist(), below.tolist(), CONFIDENCE)


def is_told(seen: Estimate, theory: float) -> bool:
    """A theory that is off either way is outside of the interval."""
    return not seen.holds(theory * (1.0 + OFF)) and not seen.holds(theory * (1.0 - OFF))


def judge(add: Add, place: int, model: str, engine: Sample, long: Sample, lines: list[Line]) -> None:
    """Into the table with them all; then each has to hold."""
    found = [(line, estimate(engine, line), estimate(long, line)) for line in lines]
    for n, (line, seen, sharp) in enumerate(found):
        digits = 2 if line.theory >= 1.0 else 4
        spans = [f"{each.low:.{digits}f} to {each.high:.{digits}f}" for each in (seen, sharp)]
        add(
            (place, n),
            f"{model if not n else '':<42}{line.of:<12}{line.theory:>8.{digits}f}  {seen.value:>8.{digits}f}  "
            f"{spans[0]:<20}{spans[1]}",
        )
    for line, seen, sharp in found:
        assert seen.holds(line.theory), line
        assert sharp.holds(line.theory), line
        assert is_told(sharp, line.theory), line


def simulated(
    config: Config, rates: dict[str, float], habits: Habits, hours: float, seed: int
) -> tuple[Contacts, Floats]:
    """The engine's run; `rates` per second."""
    plan = Plan(HOUR, tuple(constant(rate * HOUR, HOUR, queue) for queue, rate in rates.items()))
    contacts = draw(plan, habits, hours * HOUR / DAY, seed, 0)
    result = run(config, contacts, hours * HOUR)
    assert not result.refused
    assert not result.left
    return contacts, np.array(result.waits)


def exponential(seed: int, mean: float, count: int) -> list[float]:
    """Drawn without the simulator."""
    times: list[float] = np.random.default_rng((seed, 999)).exponential(mean, count).tolist()
    return times


def poisson(seed: int, rate: float, count: int) -> list[float]:
    times: list[float] = np.cumsum(exponential(seed, 1.0 / rate, count)).tolist()
    return times


# ---- one queue


def one_queue(agents: int) -> Config:
    return Config(
        teams={"t": Team(name="t")},
        agents={f"a{n}": Agent(id=f"a{n}", team="t") for n in range(agents)},
        queues={"q": Queue(name="q", team="t", wrap_up=WrapUp(after="never"), target_seconds=THRESHOLD)},
    )


def of_one_queue(rate: float, agents: int, patience: float, hours: float, count: int, seed: int) -> list[Sample]:
    """The engine's run, whose contacts fare as in `plain`, and the long one."""
    habits = Habits(Times(mean=SERVICE), patience=Times(mean=patience) if patience else NEVER)
    contacts, waits = simulated(one_queue(agents), {"q": rate}, habits, hours, seed)
    expected = plain.one_queue(contacts.time, contacts.talk, contacts.patience, agents)
    np.testing.assert_allclose(waits, expected, atol=1e-5)
    long = plain.one_queue(
        poisson(seed, rate, count),
        exponential(seed + 100, SERVICE, count),
        exponential(seed + 200, patience, count) if patience else None,
        agents,
    )
    return [batched(waits.tolist(), contacts.queue), batched(long, ["q"] * count)]


@pytest.mark.parametrize(
    ("place", "name", "agents", "load", "hours", "count"),
    [(1, "low", 4, 0.5, 400.0, 2_000_000), (2, "high", 10, 0.85, 200.0, 3_000_000)],
)
def test_waits_are_those_of_erlang_c(
    in_table: Add, place: int, name: str, agents: int, load: float, hours: float, count: int
) -> None:
    rate = load * agents / SERVICE
    theory = erlang_c(rate, SERVICE, agents, THRESHOLD)
    lines = [Line("within 20 s", within, theory.within), Line("ASA, s", asa, theory.asa)]
    samples = of_one_queue(rate, agents, 0.0, hours, count, seed=place)
    judge(in_table, place, f"M/M/{agents}, {name}: load {load:.0%}", *samples, lines)


def test_waits_in_an_overload_are_those_of_the_growing_queue(in_table: Add) -> None:
    agents, load = 10, 1.2
    rate = load * agents / SERVICE
    habits, plan = Habits(Times(mean=SERVICE)), Plan(HOUR, (constant(rate * HOUR, HOUR, "q"),))

    def runs(seed: int, count: int, by_engine: bool) -> Sample:
        waits: list[float] = []
        sizes = []
        for n in range(count):
            if by_engine:
                contacts = draw(plan, habits, HOUR / DAY, seed, n)
                found = run(one_queue(agents), contacts, HOUR).waits
                expected = plain.one_queue(contacts.time, contacts.talk, None, agents)
                np.testing.assert_allclose(found, expected, atol=1e-5)
            else:
                times = [time for time in poisson(seed * 10_000 + n, rate, int(rate * HOUR * 2)) if time < HOUR]
                found = plain.one_queue(times, exponential(10**6 + n, SERVICE, len(times)), None, agents)
            waits += found
            sizes.append(len(found))
        return Sample(np.array(waits), np.repeat(np.arange(count), sizes), count, np.full(len(waits), "q"))

    theory = transient(rate, SERVICE, agents, THRESHOLD, HOUR)
    lines = [Line("within 20 s", within, theory.within), Line("ASA, s", asa, theory.asa)]
    model = f"M/M/{agents}, overload: {load:.0%}, 1 h from empty"
    judge(in_table, 3, model, runs(3, 60, by_engine=True), runs(4, 3000, by_engine=False), lines)


@pytest.mark.parametrize(
    ("place", "name", "load", "hours", "count"),
    [(4, "low", 0.7, 120.0, 2_000_000), (5, "high", 1.0, 100.0, 600_000), (6, "overload", 1.4, 80.0, 400_000)],
)
def test_with_patience_waits_and_abandons_are_those_of_erlang_a(
    in_table: Add, place: int, name: str, load: float, hours: float, count: int
) -> None:
    agents = 10
    rate = load * agents / SERVICE
    theory = erlang_a(rate, SERVICE, agents, PATIENCE, THRESHOLD)
    lines = [
        Line("within 20 s", within, theory.within),
        Line("ASA, s", asa, theory.asa),
        Line("abandoned", abandoned, theory.abandoned),
    ]
    samples = of_one_queue(rate, agents, PATIENCE, hours, count, seed=place)
    judge(in_table, place, f"M/M/{agents}+M, {name}: {load:.0%}, patience 120 s", *samples, lines)


# ---- two queues


def two_queues(design: Design) -> Config:
    """Of the rule of `Design`: who serves one queue alone is asked first, and A goes before B."""
    groups = {"own_a": (design.only_a, "a"), "own_b": (design.only_b, "b"), "both": (design.both, "ab")}
    return Config(
        teams={"t": Team(name="t", ageing=STRICT)},
        groups={name: Group(name=name, team="t") for name in groups},
        agents={
            f"{name}{n}": Agent(id=f"{name}{n}", team="t", groups=(name,))
            for name, (count, _) in groups.items()
            for n in range(count)
        },
        queues={
            queue: Queue(
                name=queue,
                team="t",
                groups=tuple(name for name, (_, serves) in groups.items() if queue in serves),
                strategy="fixed_order",
                priority=1.0 if queue == "a" else 0.0,
                wrap_up=WrapUp(after="never"),
            )
            for queue in "ab"
        },
    )


def of_two_queues(design: Design, hours: float, count: int, seed: int) -> list[Sample]:
    """The same as `of_one_queue`."""
    rates = dict(zip("ab", design.rates, strict=True))
    contacts, waits = simulated(two_queues(design), rates, Habits(Times(mean=design.service)), hours, seed)
    expected = plain.two_queues(contacts.time, contacts.talk, [each == "b" for each in contacts.queue], design)
    np.testing.assert_allclose(waits, expected, atol=1e-5)
    of_b = np.random.default_rng((seed, 998)).random(count) < design.rates[1] / sum(design.rates)
    times, talk = poisson(seed, sum(design.rates), count), exponential(seed + 100, design.service, count)
    long = plain.two_queues(times, talk, of_b.tolist(), design)
    return [batched(waits.tolist(), contacts.queue), batched(long, np.where(of_b, "b", "a").tolist())]


def test_two_priorities_wait_as_cobham_says(in_table: Add) -> None:
    agents, rates = 4, (0.3 * 4 / SERVICE, 0.4 * 4 / SERVICE)
    theory = cobham(rates, SERVICE, agents)
    lines = [Line("ASA first, s", asa, theory[0], "a"), Line("ASA second", asa, theory[1], "b")]
    samples = of_two_queues(Design(0, 0, agents, rates, SERVICE), 400.0, 1_500_000, seed=7)
    judge(in_table, 7, f"M/M/{agents}, two priorities, load 30 % + 40 %", *samples, lines)


@pytest.mark.parametrize(
    ("place", "name", "design", "hours", "count"),
    [
        (8, "N-design", Design(2, 0, 2, (0.6 * 2 / SERVICE, 0.5 * 2 / SERVICE), SERVICE), 500.0, 1_500_000),
        (9, "M-design", Design(2, 2, 2, (0.6 * 3 / SERVICE, 0.7 * 3 / SERVICE), SERVICE), 300.0, 3_000_000),
    ],
)
def test_skills_wait_as_the_chain_of_the_same_rule_says(
    in_table: Add, place: int, name: str, design: Design, hours: float, count: int
) -> None:
    waits, chances, cut = design_waits(design, most=40)
    assert cut < 1e-4
    lines = [
        Line("ASA A, s", asa, waits[0], "a"),
        Line("ASA B, s", asa, waits[1], "b"),
        Line("A at once", at_once, 1.0 - chances[0], "a"),
        Line("B at once", at_once, 1.0 - chances[1], "b"),
    ]
    model = f"{name}: {design.only_a} for A, {design.only_b} for B, {design.both} for both"
    judge(in_table, place, model, *of_two_queues(design, hours, count, seed=place), lines)

"""How many agents each interval needs: theory as a first guess, simulation to confirm.

The guess takes each interval as M/M/N+G in its steady state: Poisson arrivals, N agents, exponential handling, any
patience. With G(x) the chance that patience is over by x, the wait that a patient caller would have has the density
(Baccelli and Hebuterne, On queues with impatient customers, 1981)

    v(x) = rate p exp(rate integral_0^x (1 - G) - N x / service),     p: the chance of N - 1 busy agents,

from which comes who is answered in time. Without patience that is Erlang C, with exponential one Erlang A.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, assert_never

import msgspec
import numpy as np

from acd.config import Agent, Config
from acd.simulate.arrivals import DAY, Times
from acd.simulate.statistics import Estimate, ratio
from acd.simulate.study import Found, Progress, Study, simulate
from acd.simulate.tally import Counts, intervals

GRID = 4000
"""Points of the integral over waits."""
SPAN = 60.0
"""As many natural logarithms down the density of waits is nothing."""
MAX_AGENTS = 20_000
MAX_ROUNDS = 60


class Staffing(NamedTuple):
    """`staff`: agents by interval of the day; `guess`: what theory alone had said; `found`: the last simulation, whose
    service level is `levels`; `rounds`: simulations that it took; `met`: whether every interval reaches the target."""

    staff: list[int]
    guess: list[int]
    levels: list[Estimate]
    found: Found
    rounds: int
    met: bool


class Unreachable(Exception):
    """No number of agents reaches the target: one line that says why."""


# ---- the guess


def service_level(rate: float, service: float, agents: int, patience: Times, threshold: float) -> float:
    """The share of all who come that are answered within the threshold. `rate`: arrivals per second; seconds."""
    load = rate * service
    if load <= 0.0:
        return 1.0
    if agents < 1:
        return 0.0
    drain = agents / service
    if patience.kind == "never":
        if agents <= load:
            return 0.0
        far = SPAN / (drain - rate)
    else:
        far = max(SPAN / drain, threshold) + 20.0 * patience.average
    inverse = 1.0
    for n in range(1, agents):
        inverse = 1.0 + inverse * n / load
    far = max(far, 2.0 * threshold)
    near = np.linspace(0.0, threshold, GRID + 1)
    grid = np.concatenate([near, np.linspace(threshold, far, GRID + 1)[1:]])
    stays = _stays(patience, grid)
    step = np.diff(grid)
    waits = np.concatenate([[0.0], np.cumsum((stays[1:] + stays[:-1]) / 2.0 * step)])
    density = np.log(rate) + rate * waits - drain * grid - math.log(inverse)
    scale = max(float(density.max()), 0.0)
    v = np.exp(density - scale)
    free = math.exp(-scale)
    every = float(((v[1:] + v[:-1]) / 2.0 * step).sum())
    taken = v * stays
    in_time = float(((taken[1:] + taken[:-1]) / 2.0 * step)[:GRID].sum())
    return (free + in_time) / (free + every)


def _stays(patience: Times, at: Counts) -> Counts:
    """The chance that somebody would still wait at each of these times."""
    match patience.kind:
        case "never":
            return np.ones_like(at)
        case "exponential":
            return np.asarray(np.exp(-at / patience.mean))
        case "constant":
            return (at < patience.mean).astype(np.float64)
        case "empirical":
            return 1.0 - np.searchsorted(np.sort(patience.values), at, side="right") / len(patience.values)
        case "lognormal":
            variance = math.log1p(patience.spread**2)
            location = math.log(patience.mean) - variance / 2.0
            z = (np.log(np.maximum(at, 1e-300)) - location) / math.sqrt(2.0 * variance)
            return np.array([math.erfc(each) / 2.0 for each in z])
        case _:
            assert_never(patience.kind)


def needed(rate: float, service: float, patience: Times, share: float, threshold: float) -> int:
    """The least number of agents by theory. Raises `Unreachable`."""
    low, high = 0, 1
    while service_level(rate, service, high, patience, threshold) < share:
        low, high = high, high * 2
        if high > MAX_AGENTS:
            raise Unreachable(f"more than {MAX_AGENTS} agents would be needed")
    while high - low > 1:
        middle = (low + high) // 2
        if service_level(rate, service, middle, patience, threshold) < share:
            low = middle
        else:
            high = middle
    return high if rate > 0.0 else 0


# ---- more agents than there are


def enlarged(config: Config, count: int) -> tuple[Config, list[str]]:
    """At least so many agents, and the order in which they come. Agents who are alike (team, groups, skills, rules) are
    a profile; in whatever number they come, the profiles have the shares that they have in the configuration, by the
    divisors 1, 3, 5... (Sainte-Lague). Beyond those who are there come copies of them."""
    profiles: dict[bytes, list[Agent]] = {}
    for agent in config.agents.values():
        same = msgspec.json.encode(msgspec.structs.replace(agent, id="", name="", address=""))
        profiles.setdefault(same, []).append(agent)
    lists, taken = list(profiles.values()), [0] * len(profiles)
    order, copies = [], dict[str, list[Agent]]()
    for _ in range(max(count, len(config.agents))):
        best = max(range(len(lists)), key=lambda n: (len(lists[n]) / (2 * taken[n] + 1), -n))
        turn, member = divmod(taken[best], len(lists[best]))
        agent = lists[best][member]
        if turn:
            agent = msgspec.structs.replace(agent, id=f"{agent.id}+{turn}", address="")
            copies.setdefault(lists[best][member].id, []).append(agent)
        taken[best] += 1
        order.append(agent.id)
    agents = [each for agent in config.agents.values() for each in (agent, *copies.get(agent.id, ()))]
    return msgspec.structs.replace(config, agents={agent.id: agent for agent in agents}), order


# ---- the search


def find_staff(
    config: Config,
    study: Study,
    share: float,
    threshold: float,
    progress: Progress | None = None,
    told: Callable[[int, Sequence[int]], None] | None = None,
) -> Staffing:
    """The smallest numbers with which each interval of the day answers `share` of its contacts within `threshold`
    seconds, mean over runs: raised from the guess until all do, then lowered one by one as long as they still do, every
    other interval at a time, since what one interval leaves waiting the next one has to serve. Raises `Unreachable`
    where the configuration has no agents, or too many would be needed. `told`: of each round and its numbers."""
    if not config.agents:
        raise Unreachable("the configuration has no agents")
    queues = {
        name: msgspec.structs.replace(each, target_seconds=threshold, target_share=share)
        for name, each in config.queues.items()
    }
    config = msgspec.structs.replace(config, queues=queues)
    guess = _guess(config, study, share, threshold)
    search = _Search(config, study, share, progress, told)
    staff = search.raised(list(guess))
    staff, met = search.lowered(staff)
    found = search.found
    return Staffing(staff, guess, _levels(found), found, search.rounds, met)


def _guess(config: Config, study: Study, share: float, threshold: float) -> list[int]:
    count = min(intervals(DAY, study.interval), intervals(study.seconds, study.interval))
    expected = [0.0] * count
    if study.plan is None:
        for event in study.events:
            expected[int(event.at / study.interval) % count] += 1.0 / max(study.days, 1.0)
    else:
        means, width = (
            study.plan.expected(intervals(count * study.interval, study.plan.interval)),
            study.plan.interval,
        )
        for at in range(count):  # the part of each interval of the plan that lies in this one
            low, high = at * study.interval, (at + 1) * study.interval
            for n in range(int(low / width), min(math.ceil(high / width), len(means))):
                expected[at] += means[n] * (min(high, (n + 1) * width) - max(low, n * width)) / width
    habits = study.habits
    handling = habits.handling + (_wrap_up(config) if habits.wrap_up is None else 0.0)
    return [needed(mean / study.interval, handling, habits.patience, share, threshold) for mean in expected]


def _wrap_up(config: Config) -> float:
    """Mean seconds by the rules of the queues."""
    rules = [queue.wrap_up for queue in config.queues.values()]
    return sum(rule.seconds for rule in rules if rule.after != "never") / max(len(rules), 1)


def _levels(found: Found) -> list[Estimate]:
    return [ratio(*each) for each in found.by_interval("service_level")]


class _Search:
    """Rounds of simulation. `found`: of the latest one that was kept."""

    def __init__(
        self,
        config: Config,
        study: Study,
        share: float,
        progress: Progress | None,
        told: Callable[[int, Sequence[int]], None] | None,
    ) -> None:
        self._config, self._study, self._share = config, study, share
        self._progress, self._told = progress, told
        self.rounds = 0
        self.found = Found([], 0, [])

    def _try(self, staff: Sequence[int]) -> tuple[Found, list[bool]]:
        """Which intervals reach the target: those without contacts do."""
        self.rounds += 1
        if self._told is not None:
            self._told(self.rounds, staff)
        if max(staff) > MAX_AGENTS:
            raise Unreachable(f"more than {MAX_AGENTS} agents would be needed")
        config, order = enlarged(self._config, max(staff))
        found = simulate(config, self._study, staff, order, self._progress)
        return found, [not level.value < self._share for level in _levels(found)]

    def raised(self, staff: list[int]) -> list[int]:
        """Enough everywhere, or as near as the rounds allow."""
        while self.rounds < MAX_ROUNDS:
            self.found, reached = self._try(staff)
            if all(reached):
                break
            staff = [n if well else n + max(1, n // 20) for n, well in zip(staff, reached, strict=True)]
        return staff

    def lowered(self, staff: list[int]) -> tuple[list[int], bool]:
        """As few as still reach the target, and whether they do."""
        if not all(not level.value < self._share for level in _levels(self.found)):
            return staff, False
        open_ = {at for at, n in enumerate(staff) if n > 0}
        while open_ and self.rounds < MAX_ROUNDS:
            for half in (0, 1):
                tried = [at for at in sorted(open_) if at % 2 == half]
                if tried:
                    staff = self._lower(staff, tried, open_)
        return staff, True

    def _lower(self, staff: list[int], tried: list[int], open_: set[int]) -> list[int]:
        """One agent less in these, where they and the next interval can do without. Those who can't are closed; the
        rest is tried once more without them, and kept if that holds."""
        while tried and self.rounds < MAX_ROUNDS:
            fewer = [n - (at in tried) for at, n in enumerate(staff)]
            found, reached = self._try(fewer)
            wrong = {at for at, well in enumerate(reached) if not well}
            if not wrong:
                self.found = found
                open_ -= {at for at in tried if fewer[at] == 0}
                return fewer
            blamed = {at for at in tried if at in wrong or (at + 1) % len(staff) in wrong} or set(tried)
            open_ -= blamed
            tried = [at for at in tried if at not in blamed]
        return staff

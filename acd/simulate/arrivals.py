"""Contacts that come, and what each of them brings along: how long it would wait, talk, and keep its agent after.

All that chance decides about a contact is drawn before the run, each thing from a stream of its own, and never looks at
the configuration. So two configurations meet the very same contacts (common random numbers), and what differs between
them is their doing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, assert_never

import msgspec
import numpy as np

from acd import inputs as i
from acd.expression import ExpressionError, parse
from acd.facts import Why

DAY = 86_400.0
MONDAY = 1_767_571_200.0
"""2026-01-05 00:00 UTC, a Monday: the first second of simulated time."""
MAX_CONTACTS = 5_000_000
"""Of one run: what memory holds."""

BY_RULE = -1.0
"""Of a wrap-up: the rules end it, not the agent."""

ANSWERED: frozenset[Why] = frozenset(("finished", "customer_left"))
"""Why an agent wraps up who has talked to the contact."""

_PURPOSES = ("arrive", "talk", "wrap_up", "patience", "ring")
Purpose = Literal["arrive", "talk", "wrap_up", "patience", "ring"]
Generator = np.random.Generator


class Times(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A distribution of seconds. `spread`: the coefficient of variation, of `lognormal` alone; `values`: those that
    `empirical` draws from, with equal chances. `never`: so long that it does not happen."""

    kind: Literal["exponential", "lognormal", "empirical", "constant", "never"] = "exponential"
    mean: float = 0.0
    spread: float = 1.0
    values: tuple[float, ...] = ()

    def draw(self, generator: Generator, count: int) -> list[float]:
        """So many of them, seconds."""
        match self.kind:
            case "exponential":
                return list(map(float, generator.exponential(self.mean, count)))
            case "lognormal":
                variance = math.log1p(self.spread**2)
                location = math.log(self.mean) - variance / 2.0
                return list(map(float, generator.lognormal(location, math.sqrt(variance), count)))
            case "empirical":
                return list(map(float, generator.choice(np.array(self.values), count)))
            case "constant":
                return [self.mean] * count
            case "never":
                return [math.inf] * count
            case _:
                assert_never(self.kind)

    @property
    def average(self) -> float:
        """The mean, seconds."""
        match self.kind:
            case "empirical":
                return sum(self.values) / len(self.values)
            case "never":
                return math.inf
            case "exponential" | "lognormal" | "constant":
                return self.mean
            case _:
                assert_never(self.kind)


NEVER = Times(kind="never")
AT_ONCE = Times(kind="constant", mean=0.0)


class Habits(msgspec.Struct, frozen=True):
    """How people are. `talk`: from answer to hang-up; `wrap_up`: after-call work until the agent says ready, None: as
    the rules of the configuration end it; `patience`: until a caller hangs up who waits; `ring`: until an agent
    answers; `back`: until an agent who missed an offer says that it is there again."""

    talk: Times
    wrap_up: Times | None = None
    patience: Times = NEVER
    ring: Times = AT_ONCE
    back: float = 60.0

    @property
    def handling(self) -> float:
        """Mean seconds of an agent's time that a contact takes."""
        return self.talk.average + (0.0 if self.wrap_up is None else self.wrap_up.average)


class Stream(msgspec.Struct, frozen=True):
    """Contacts of one kind, a Poisson process. `means`: how many are expected in each interval from the first midnight
    on; at the end it begins anew. `talk`: of these, where it is not that of everybody."""

    queue: str
    means: tuple[float, ...]
    needs: str = ""
    priority: float = 0.0
    talk: Times | None = None


class Plan(msgspec.Struct, frozen=True):
    """All that is expected. `interval`: seconds that each of a stream's `means` stands for."""

    interval: float
    streams: tuple[Stream, ...]

    def expected(self, intervals: int) -> list[float]:
        """Contacts in each of so many intervals, all streams together."""
        return [sum(each.means[at % len(each.means)] for each in self.streams) for at in range(intervals)]


class Ring(NamedTuple):
    """What an agent does about an offer after so many seconds of it; infinite: nothing. `kept`: it was kept for a
    customer, and is rung since that one has answered."""

    seconds: float
    how: Literal["accepted", "rejected", "unreachable"] = "accepted"
    kept: bool = False


class During(NamedTuple):
    """So many seconds after the answer the agent puts the contact on hold or consults, or does so no more."""

    seconds: float
    what: type[i.Hold] | type[i.Consult]
    begins: bool


class Acted(NamedTuple):
    """What is known of a contact that has been through it once. `waited`: seconds, elsewhere; `rings`: of its first
    offers; `wraps`: seconds of wrap-up after such as were not taken, `BY_RULE` where the rules ended it."""

    waited: float = 0.0
    rings: tuple[Ring, ...] = ()
    wraps: tuple[float, ...] = ()
    during: tuple[During, ...] = ()


class Call(NamedTuple):
    """What becomes of the call to a customer who is called back, after so many seconds of ringing; `hung_up`: the agent
    has, meanwhile. Infinite: it rings for as long as the rules let it. `patience`: seconds that the customer waits on
    the line then, where no agent is."""

    seconds: float
    outcome: i.CallOutcome | Literal["hung_up"]
    patience: float = math.inf


class Contacts(NamedTuple):
    """The contacts of a run by columns, in the order of their coming. Times are Unix seconds. `wrap_up` None, or
    less than 0: as the configuration ends it. `ring`: of the first offer of each contact; those of further ones stand
    elsewhere in it. `acted`: by row, of contacts that have been through it once. Beyond those that come,
    with an infinite time, stand the attempts of callbacks, by the ids that the engine gives them, each with its call in
    `calls`."""

    id: list[str]
    time: list[float]
    queue: list[str]
    needs: list[str]
    priority: list[float]
    number: list[str]
    last_agent: list[str]
    talk: list[float]
    wrap_up: list[float] | None
    patience: list[float]
    ring: list[float]
    acted: dict[int, Acted] = {}
    calls: dict[int, Call] = {}


class Recorded(NamedTuple):
    """One contact that has really come. `at`: seconds after the first midnight; `talk`, `patience`: seconds, where they
    are known."""

    at: float
    queue: str
    needs: str = ""
    priority: float = 0.0
    number: str = ""
    talk: float | None = None
    patience: float | None = None


def constant(rate: float, interval: float, queue: str, needs: str = "", talk: Times | None = None) -> Stream:
    """`rate` contacts an hour, always."""
    return Stream(queue, (rate * interval / 3600.0,), needs, talk=talk)


def shared(stream: Stream, needs: str, share: float) -> tuple[Stream, Stream]:
    """The part of a stream that has these needs, too, and the rest. A Poisson process parts into such. Raises
    `ExpressionError`, `ValueError`."""
    parse(needs)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"bad share {share:g}: expected 0 to 1")
    both = f"({stream.needs}) and ({needs})" if stream.needs else needs
    means = np.array(stream.means)
    return (
        msgspec.structs.replace(stream, needs=both, means=tuple((means * share).tolist())),
        msgspec.structs.replace(stream, means=tuple((means * (1.0 - share)).tolist())),
    )


def generator(seed: int, run: int, stream: int, purpose: Purpose) -> Generator:
    """Of one purpose: what is drawn for one does not move the others."""
    return np.random.default_rng((seed, run, stream, _PURPOSES.index(purpose)))


def draw(plan: Plan, habits: Habits, days: float, seed: int, run: int, start: float = MONDAY) -> Contacts:
    """The contacts of one run. Raises `ValueError` where they are too many."""
    rows: list[tuple[float, int, float, float, float]] = []
    intervals = math.ceil(days * DAY / plan.interval - 1e-9)
    expected = sum(plan.expected(intervals))
    if expected > MAX_CONTACTS:
        raise ValueError(f"about {expected:.3g} contacts in a run: expected at most {MAX_CONTACTS}")
    for index, stream in enumerate(plan.streams):
        arrive = generator(seed, run, index, "arrive")
        means = np.resize(np.array(stream.means), intervals)
        counts = arrive.poisson(means)
        begins = np.repeat(np.arange(intervals) * plan.interval, counts)
        times = np.sort(begins + arrive.random(len(begins)) * plan.interval)
        times = times[times < days * DAY] + start
        count = len(times)
        wrap_up = AT_ONCE if habits.wrap_up is None else habits.wrap_up
        columns = (
            (stream.talk or habits.talk).draw(generator(seed, run, index, "talk"), count),
            wrap_up.draw(generator(seed, run, index, "wrap_up"), count),
            habits.patience.draw(generator(seed, run, index, "patience"), count),
        )
        rows += zip(times.tolist(), [index] * count, *columns, strict=True)
    rows.sort()
    streams = [plan.streams[row[1]] for row in rows]
    return Contacts(
        id=list(map(str, range(len(rows)))),
        time=[row[0] for row in rows],
        queue=[stream.queue for stream in streams],
        needs=[stream.needs for stream in streams],
        priority=[stream.priority for stream in streams],
        number=[""] * len(rows),
        last_agent=[""] * len(rows),
        talk=[row[2] for row in rows],
        wrap_up=None if habits.wrap_up is None else [row[3] for row in rows],
        patience=[row[4] for row in rows],
        ring=habits.ring.draw(generator(seed, run, 0, "ring"), len(rows)),
    )


def recorded(events: Sequence[Recorded], habits: Habits, seed: int, run: int, start: float = MONDAY) -> Contacts:
    """Contacts that have really come; what is not known of them is drawn."""
    events = sorted(events, key=lambda event: event.at)
    count = len(events)
    talk = habits.talk.draw(generator(seed, run, 0, "talk"), count)
    patience = habits.patience.draw(generator(seed, run, 0, "patience"), count)
    wrap_up = habits.wrap_up
    return Contacts(
        id=list(map(str, range(count))),
        time=[start + event.at for event in events],
        queue=[event.queue for event in events],
        needs=[event.needs for event in events],
        priority=[event.priority for event in events],
        number=[event.number for event in events],
        last_agent=[""] * count,
        talk=[drawn if event.talk is None else event.talk for event, drawn in zip(events, talk, strict=True)],
        wrap_up=None if wrap_up is None else wrap_up.draw(generator(seed, run, 0, "wrap_up"), count),
        patience=[
            drawn if event.patience is None else event.patience for event, drawn in zip(events, patience, strict=True)
        ],
        ring=habits.ring.draw(generator(seed, run, 0, "ring"), count),
    )


def needs_problem(needs: str) -> str:
    """What is wrong with a skill expression; "": nothing."""
    try:
        parse(needs)
    except ExpressionError as error:
        return f"character {error.column}: {error}"
    return ""

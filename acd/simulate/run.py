"""One run: the engine on a virtual clock, from the first caller until the last one has gone.

Three clocks say what comes next: contacts in the order of their coming, the people's heap of moments, and the engine's
next deadline. The earliest has its turn; at the same time the engine first, then people, then who comes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from acd import inputs as i
from acd.config import Config
from acd.engine import Engine
from acd.simulate.arrivals import DAY, MONDAY, Contacts
from acd.simulate.expected import Expected
from acd.simulate.people import People, Watch
from acd.simulate.tally import Measures, Tally, intervals

INTERVAL = 1800.0
BACK = 60.0
"""Seconds until an agent who missed an offer is there again."""
PATIENT = DAY
"""Seconds after the end for which those who still wait are served."""
STEP = 2000
"""Contacts between two words about how far it is."""


class Result(NamedTuple):
    """What came of a run. `queues`: counts by queue, "" is all; `waits`: of each contact, seconds before the answer,
    -1 less the seconds where it gave up, NaN where neither was; `left`: contacts that nobody had taken at the end;
    `refused`: inputs that the engine did not take, the first reasons."""

    queues: dict[str, Measures]
    waits: list[float]
    left: int
    refused: list[str]


def run(
    config: Config,
    contacts: Contacts,
    seconds: float,
    *,
    interval: float = INTERVAL,
    staff: Sequence[int] | None = None,
    order: Sequence[str] | None = None,
    orders: Sequence[tuple[float, i.AnyInput]] | None = None,
    away: Mapping[str, Mapping[float, float]] | None = None,
    back: float = BACK,
    warm_up: float = 0.0,
    start: float = MONDAY,
    watch: Watch | None = None,
    progress: Callable[[int], None] | None = None,
    expected: bool = False,
    asks: bool = False,
) -> Result:
    """Simulates `seconds` from `start` on. `staff`: how many of the agents, those first in `order`, are there in each
    interval, from the beginning again at its end; None: all. `order` None: that of the configuration. `warm_up`:
    seconds at the beginning that are not counted. `back`: seconds until an agent who missed an offer is there again.
    `orders`: what is told at which time, instead of `staff`; `away`: of each agent the times at which it was made not
    responding, after which an order brings it back, and for how long. `watch` is given all records, `progress` contacts
    that have come since it was called last. `expected`: expected waits are held against the waits. `asks`: who is
    sent to a callback asks for it and answers, which no journal has to say."""
    end = start + seconds
    engine = Engine()
    names = tuple(config.agents) if order is None else tuple(order)
    tally = Tally(start + warm_up, end, interval)
    watches = [*([Expected(engine, tally).watch] if expected else []), *([watch] if watch else [])]
    people = People(engine, contacts, tally, names, back, watches, away or {}, asks)
    people.tell(i.Configure(config), start)
    if orders is not None:
        for at, what in orders:
            people.order(at, what)
    elif staff is None:
        people.shift(start, len(names))
    else:
        before = -1
        for at in range(intervals(seconds, interval)):
            if staff[at % len(staff)] != before:
                before = staff[at % len(staff)]
                people.shift(start + at * interval, before)
    _drive(engine, people, contacts, end, progress)
    return Result(people.tally.close(), people.waits, people.active, people.refused)


def _drive(
    engine: Engine, people: People, contacts: Contacts, end: float, progress: Callable[[int], None] | None
) -> None:
    times = contacts.time
    count, row, last = len(times) - len(contacts.calls), 0, end + PATIENT
    deadlines = engine.state.deadlines
    while True:
        comes = times[row] if row < count else math.inf
        acts = people.next
        due = deadlines.next
        if due is not None and due <= comes and due <= acts:
            now = due
        else:
            now = min(comes, acts)
        if now > last or (row == count and not people.active and now > end):
            return
        if due is not None and due <= now:
            people.tick(due)
            deadlines = engine.state.deadlines
        elif acts <= comes:
            people.act()
        else:
            people.come(row)
            row += 1
            if progress is not None and (row % STEP == 0 or row == count):
                progress(STEP if row % STEP == 0 else row % STEP)

"""A recorded day under other rules: the same contacts and agents, and what differs, contact by contact.

Of the journal are taken: when contacts come, into which queue and with which needs; the keys that callers press, the
callbacks that they ask for, and what becomes of each call to them; what agents do about each offer of a contact, how
long they talk to it, hold it and wrap up; when they come, go and pause. Under its own rules the day comes out as it
was. What is not known is drawn, by seed: the talk of contacts that nobody answered, from those that were answered in
the same queue; and how long a caller would have waited who was answered. Of that it is known only that it is longer
than the caller did wait: patience is taken as exponential with the mean that makes the journal most likely, all seconds
waited by the number who gave up, and as it has no memory, what is drawn comes on top of the wait.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple, assert_never

import numpy as np

from acd import inputs as i
from acd.agent import HANDLING
from acd.config import Config
from acd.facts import OfferEnd, Record
from acd.simulate.arrivals import Acted, Call, Contacts, Ring
from acd.simulate.course import Course, Part
from acd.simulate.run import BACK, Result, run

SAME = 0.5
"""Seconds by which a wait may differ and is still the same."""

MAX_ATTEMPTS = 10
"""Of a callback, or as many as the journal has: what is prepared for. Any more are as the last of them."""
NEVER_TRIED = Call(5.0, "answered")
"""What a customer does who is called back, where no journal has any who was."""
LONGER = 1.0
"""Seconds for which an agent would have rung on at least whose offer was withdrawn: it did not answer just then."""


class Change(NamedTuple):
    """A contact that fared otherwise: in the journal, and under the other rules."""

    was: Part
    now: Part

    @property
    def seconds(self) -> float:
        """By how much longer it waited."""
        return self.now.waited - self.was.waited


class WhatIf(NamedTuple):
    """`was`: the journal, `now`: the same day under other rules; `changes`: the gravest first."""

    was: Course
    now: Course
    changes: list[Change]
    result: Result


def read(records: Iterable[Record]) -> Course:
    """The journal."""
    course = Course()
    for record in records:
        course.add(record)
    return course.close()


def what_if(
    was: Course,
    config: Config,
    seed: int = 1,
    progress: Callable[[int], None] | None = None,
    patience: float | None = None,
) -> WhatIf:
    """The day of a journal under another configuration. `patience`: mean seconds, instead of what the journal tells.
    Raises `ValueError` where no calls came."""
    if not was.parts:
        raise ValueError("no calls came into a queue in this journal")
    contacts = contacts_of(was, seed, patience)
    now = Course()

    def watch(records: list[Record]) -> None:
        for record in records:
            now.add(record)

    result = run(
        config,
        contacts,
        max(was.ended - was.began, 1.0),
        interval=max(was.ended - was.began, 1.0),
        orders=_orders(was, config),
        away=was.missing,
        back=_back(was),
        start=was.began,
        watch=watch,
        progress=progress,
    )
    changes = [Change(part, now.parts.get(name) or _unknown(part)) for name, part in was.parts.items()]
    changes = [each for each in changes if is_change(each)]
    changes.sort(key=lambda each: (each.was.fate == each.now.fate, -abs(_finite(each.seconds))))
    return WhatIf(was, now, changes, result)


def _unknown(part: Part) -> Part:
    """A contact that the engine did not take: there is no such queue any more."""
    return Part(part.id, part.came, part.entered, part.queue, left="unknown", left_at=part.came)


def is_change(change: Change) -> bool:
    """It was another fate, or another wait. Of those who still waited when the journal ended nobody knows."""
    if change.was.fate == "waiting":
        return False
    if change.was.fate != change.now.fate:
        return True
    return abs(_finite(change.seconds)) > SAME


def _finite(seconds: float) -> float:
    return seconds if math.isfinite(seconds) else 0.0


# ---- what is taken of the journal


def contacts_of(was: Course, seed: int, patience: float | None = None) -> Contacts:
    """The contacts of a journal, the attempts of its callbacks after them, and what is drawn of them."""
    parts = sorted(was.parts.values(), key=lambda part: part.came)
    attempts = _attempts(was)
    draw = np.random.default_rng((seed, 0))
    mean = mean_patience(was) if patience is None else patience
    known: dict[str, list[tuple[float, float, float]]] = {}
    for part in parts:
        if part.agent and not math.isnan(part.talk):
            known.setdefault(part.queue, []).append(_handled(part))
    every = [each for queue in known.values() for each in queue] or [(0.0, -1.0, 0.0)]
    tried = [part.call for part in attempts if part.call is not None] or [NEVER_TRIED]
    handled, waits, acted, calls = [], [], {}, {}
    for row, part in enumerate([*parts, *attempts]):
        more = float(draw.exponential(mean)) if mean < math.inf else math.inf
        others = known.get(part.queue, every)
        drawn = others[int(draw.random() * len(others))]
        handled.append(_handling(part, was.ended, drawn))
        acted[row] = Acted(
            part.entered.waited,
            tuple(_ring(seconds, how, drawn[2])._replace(kept=kept) for seconds, how, kept in part.rings),
            tuple(part.wraps),
            tuple(part.during),
        )
        waits.append(_patience(part, was.ended, more))
        if row >= len(parts):
            call = part.call or tried[int(draw.random() * len(tried))]
            calls[row] = call._replace(patience=_on_the_line(part, was.ended, more))
    rows = [*parts, *attempts]
    return Contacts(
        id=[part.id for part in rows],
        time=[part.came for part in parts] + [math.inf] * len(attempts),
        queue=[part.entered.queue for part in rows],
        needs=[part.entered.needs for part in rows],
        priority=[part.entered.priority for part in rows],
        number=[part.entered.number for part in rows],
        last_agent=[part.entered.last_agent for part in rows],
        talk=[each[0] for each in handled],
        wrap_up=[each[1] for each in handled],
        patience=waits,
        ring=[each[2] for each in handled],
        acted=acted,
        calls=calls,
    )


def _attempts(was: Course) -> list[Part]:
    """Of all callbacks that were asked for, those that the journal does not have included, as by other rules there may
    be more."""
    found = []
    known: Counter[str] = Counter()
    for callback, _, latest in (name.rpartition(".") for name in was.called):
        known[callback] = max(known[callback], int(latest))
    for _, order in was.orders:
        if isinstance(order, i.AskCallback):
            for number in range(1, max(MAX_ATTEMPTS, known[order.callback]) + 1):
                name = f"{order.callback}.{number}"
                unknown = Part(name, math.inf, i.Enqueue(name, order.queue, kind="callback"), order.queue)
                found.append(was.called.get(name, unknown))
    return found


def _handling(part: Part, ended: float, drawn: tuple[float, float, float]) -> tuple[float, float, float]:
    """Talk, wrap-up and ring: as they were, as far as they are known."""
    if not part.agent:
        return drawn
    if not math.isnan(part.talk):
        return _handled(part)
    if part.entered.kind == "call":  # still talking at the end
        return ended - part.answered + drawn[0], drawn[1], part.ring
    if math.isnan(part.reached):
        return drawn[0], part.wrap_up, part.ring
    return ended - max(part.answered, part.reached) + drawn[0], drawn[1], part.ring


def _patience(part: Part, ended: float, more: float) -> float:
    """Seconds after which a caller gives up: as it did, or `more` than it is known to have had. Who is called back has
    no end of it."""
    if part.fate == "abandoned" and math.isnan(part.reached):
        return part.waited
    if part.entered.kind != "call":
        return math.inf
    return (ended - part.came if part.fate == "waiting" else part.waited) + more


def _on_the_line(part: Part, ended: float, more: float) -> float:
    """The same of a customer who was called, from its answer on."""
    if math.isnan(part.reached):
        return more
    over = part.answered if part.agent else part.left_at if part.left else ended
    return max(over - part.reached, 0.0) + (0.0 if part.fate == "abandoned" else more)


def _handled(part: Part) -> tuple[float, float, float]:
    """Talk, wrap-up and ring of who was answered."""
    return part.talk, part.wrap_up, part.ring


def _ring(seconds: float, how: OfferEnd, more: float) -> Ring:
    """What an agent does about an offer that was one for so long: it has rung for longer where it was withdrawn, and
    would have for ever where it was missed."""
    match how:
        case "accepted" | "rejected" | "unreachable":
            return Ring(seconds, how)
        case "withdrawn":
            return Ring(seconds + max(more, LONGER))
        case "missed":
            return Ring(math.inf)
        case _:
            assert_never(how)


def mean_patience(was: Course) -> float:
    """Seconds, of an exponential distribution seen up to the answer; infinite where nobody gave up."""
    gave_up = sum(part.fate == "abandoned" for part in was.parts.values())
    return sum(_finite(part.waited) for part in was.parts.values()) / gave_up if gave_up else math.inf


def _orders(was: Course, config: Config) -> list[tuple[float, i.AnyInput]]:
    """What agents did, keys of callers, callbacks asked for; agents whom the configuration of the journal did not have
    are there all day."""
    orders = [each for each in was.orders if _is_known(each[1], config)]
    for part in was.parts.values():
        orders += [(at, i.PressKey(part.id, key)) for at, key in part.keys]
    for name, agent in config.agents.items():
        if name not in was.config.agents:
            orders.append((was.began, i.SignIn(name, agent.address or f"sim:{name}")))
    return orders


def _is_known(what: i.AnyInput, config: Config) -> bool:
    name = getattr(what, "agent", None)
    return not name or name in config.agents


def _back(was: Course) -> float:
    """Seconds until an agent is back who misses an offer that it took in the journal: the mean of those it tells of."""
    known = [seconds for times in was.missing.values() for seconds in times.values() if not math.isnan(seconds)]
    return sum(known) / len(known) if known else BACK


# ---- in all


class Totals(NamedTuple):
    """Of a course: contacts (parts, see `Part`), shares by KPI.md's defaults, ASA in seconds; NaN: of nothing."""

    contacts: int
    service_level: float
    asa: float
    abandoned: float
    occupancy: float


def totals(course: Course, end: float) -> Totals:
    """`end`: agents' time is counted until then."""
    parts = list(course.parts.values())
    answered = [part for part in parts if part.agent]
    queues = course.config.queues
    within = sum(part.waited <= queues[part.queue].target_seconds for part in answered)
    gave_up = [part for part in parts if part.fate == "abandoned"]
    short = sum(part.waited < queues[part.queue].short_abandon for part in gave_up if part.queue in queues)
    handling = idle = 0.0
    for stretches in course.agents.values():
        for at, stretch in enumerate(stretches):
            until = min(stretches[at + 1].since if at + 1 < len(stretches) else end, end)
            seconds = max(until - stretch.since, 0.0)
            handling += seconds if stretch.state in HANDLING else 0.0
            idle += seconds if stretch.state == "ready" else 0.0
    return Totals(
        len(parts),
        _share(within, len(parts) - short),
        _share(sum(part.waited for part in answered), len(answered)),
        _share(len(gave_up), len(parts)),
        _share(handling, handling + idle),
    )


def _share(above: float, below: float) -> float:
    return above / below if below else math.nan

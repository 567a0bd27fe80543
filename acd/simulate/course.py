"""What has become of each contact and each agent in a journal, recorded or simulated: a fold over its records."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import NamedTuple

import msgspec

from acd import facts as f
from acd import inputs as i
from acd.config import Config
from acd.facts import AgentStateName, Leaving, OfferEnd

BY_RULE = -1.0
"""Of a wrap-up: the rules ended it, not the agent."""


class Part(msgspec.Struct):
    """A contact's way through the queues, from when it came in until an agent or nobody had it. A contact that was
    sent back into a queue has another part, whose id says so: c7, c7#2. Times are Unix seconds; NaN: it was not so."""

    id: str
    came: float
    entered: i.Enqueue
    queue: str
    """The last one that it was in."""
    agent: str = ""
    answered: float = math.nan
    talk: float = math.nan
    wrap_up: float = BY_RULE
    rings: list[tuple[float, OfferEnd]] = []
    """Of each offer, in the order in which they were made: how long it was one, and how it ended."""
    left: Leaving | str = ""
    left_at: float = math.nan
    key: str = ""
    key_at: float = math.nan

    @property
    def waited(self) -> float:
        """Seconds until the answer, or until it left; NaN: it still waits."""
        return (self.answered if self.agent else self.left_at) - self.came

    @property
    def ring(self) -> float:
        """Seconds until the agent answered who has it; 0.0: nobody has."""
        return next((seconds for seconds, how in self.rings if how == "accepted"), 0.0)

    @property
    def fate(self) -> str:
        """In a word: answered, abandoned, ..., or waiting."""
        return "answered" if self.agent else self.left or "waiting"


class Stretch(NamedTuple):
    """An agent in a state, from `since` on. `contact`: whom it is about."""

    since: float
    state: AgentStateName
    contact: str
    reason: str


class Course:
    """`parts` by id; `orders`: what agents were told or told themselves, with times; `config`: the first one, `configs`
    how many there were; `other`: contacts that are not calls, by kind; `began`, `ended`: times of the first and last
    record."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.orders: list[tuple[float, i.AnyInput]] = []
        self.config = Config()
        self.configs = 0
        self.other = 0
        self.taken = 0
        self.began = self.ended = 0.0
        self.agents: dict[str, list[Stretch]] = {}
        self._now: dict[str, Part] = {}  # by contact: its latest part
        self._count: dict[str, int] = {}
        self._offers: dict[int, tuple[list[tuple[float, OfferEnd]], int, float]] = {}
        self._wraps: dict[str, tuple[Part, float]] = {}
        self._ordered = 0  # the record of the latest order
        self._came: tuple[int, str, Part | None] = (0, "", None)  # of the latest part, and what there was before it

    def add(self, record: f.Record) -> None:
        """The next record."""
        what, now = record.what, record.time
        self.began = self.began or now
        self.ended = now
        match what:
            case f.AgentChanged():
                self._agent(what, now)
            case i.Enqueue():
                self._enqueue(what, record)
            case f.Queued(contact=contact, queue=queue) if contact in self._now:
                self._now[contact].queue = queue
            case f.Offered(contact=contact) if contact in self._now:
                rings = self._now[contact].rings
                self._offers[record.id] = (rings, len(rings), now)
                rings.append((0.0, "withdrawn"))
            case f.OfferEnded(offer=offer, how=how) if offer in self._offers:
                rings, at, made = self._offers.pop(offer)
                rings[at] = (now - made, how)
            case f.Connected(contact=contact, agent=agent) if contact in self._now:
                part = self._now[contact]
                part.agent, part.answered = agent, now
            case f.HandleEnded(contact=contact, agent=agent) if contact in self._now:
                part = self._now[contact]
                if part.agent == agent and math.isnan(part.talk):
                    part.talk = now - part.answered
            case f.LeftQueue(contact=contact) if contact in self._now:
                part = self._now[contact]
                part.left, part.left_at = what.how, now
            case i.PressKey(contact=contact, key=key) if contact in self._now:
                part = self._now[contact]
                part.key, part.key_at = key, now
            case f.Refused():
                self._refused(record)
            case _:
                self._order(record)

    def at(self, agent: str, time: float) -> Stretch | None:
        """What an agent was doing just then; None: it had not come."""
        stretches = self.agents.get(agent, [])
        found = bisect_right(stretches, time, key=lambda each: each.since)
        return stretches[found - 1] if found else None

    # ---- inside

    def _enqueue(self, what: i.Enqueue, record: f.Record) -> None:
        if what.kind != "call":
            self.other += 1
            self._now.pop(what.contact, None)
            return
        count = self._count[what.contact] = self._count.get(what.contact, 0) + 1
        name = what.contact if count == 1 else f"{what.contact}#{count}"
        self._came = (record.id, name, self._now.get(what.contact))
        self.parts[name] = self._now[what.contact] = Part(name, record.time, what, what.queue)

    def _agent(self, what: f.AgentChanged, now: float) -> None:
        stretches = self.agents.setdefault(what.agent, [])
        before = stretches[-1].state if stretches else "signed_out"
        stretches.append(Stretch(now, what.state, what.contact, what.reason))
        if what.agent in self._wraps:
            part, began = self._wraps.pop(what.agent)
            if what.why != "wrap_up_over":
                part.wrap_up = now - began
        if what.state == "wrap_up" and what.contact in self._now:
            self._wraps[what.agent] = (self._now[what.contact], now)
        if what.why == "ready" and before in ("paused", "not_responding"):
            self.orders.append((now, i.Ready(what.agent)))

    def _order(self, record: f.Record) -> None:
        match record.what:
            case i.SignIn() | i.SignOut() | i.Pause() | i.SetMode() | i.Reachable() | i.DirectCall():
                self.orders.append((record.time, record.what))
                self._ordered = record.id
            case i.Configure(config=config):
                self.config = self.config if self.configs else config
                self.configs += 1
            case i.Take():
                self.taken += 1
            case _:
                pass

    def _refused(self, record: f.Record) -> None:
        """What was refused has not been."""
        if record.cause == self._ordered and self.orders:
            self.orders.pop()
            self._ordered = 0
        number, name, before = self._came
        if number and record.cause == number:
            contact = self.parts.pop(name).entered.contact
            self._count[contact] -= 1
            del self._now[contact]
            if before is not None:
                self._now[contact] = before

"""What has become of each contact and each agent in a journal, recorded or simulated: a fold over its records."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from acd import facts as f
from acd import inputs as i
from acd.config import Config
from acd.facts import AgentStateName, Leaving, OfferEnd
from acd.simulate.arrivals import ANSWERED, BY_RULE, Call, During

BEYOND = 1.0
"""Seconds by which a wrap-up outlasts the journal that an agent was in when it ended."""


class Part(msgspec.Struct, gc=False):
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
    """After the answer; `wraps`: after each offer that was not taken, as the rules may want."""
    wraps: list[float] = []
    during: list[During] = []
    rings: list[tuple[float, OfferEnd, bool]] = []
    """Of each offer, in the order in which they were made: how long it was one, and how it ended; whether an agent was
    kept whose customer has answered: since then."""
    left: Leaving | str = ""
    left_at: float = math.nan
    called: float = math.nan
    """When the customer was, of a callback; `call`: what became of that; `reached`: when it answered."""
    call: Call | None = None
    reached: float = math.nan
    keys: list[tuple[float, str]] = []
    """That it pressed, and when."""

    @property
    def waited(self) -> float:
        """Seconds until the answer, or until it left; NaN: it still waits."""
        return (self.answered if self.agent else self.left_at) - self.came

    @property
    def ring(self) -> float:
        """Seconds until the agent answered who has it; 0.0: nobody has."""
        return next((seconds for seconds, how, _ in self.rings if how == "accepted"), 0.0)

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


class Wrap(NamedTuple):
    """A wrap-up that goes on, since `began`. `at`: its place in the part's `wraps`, -1: it is that after the answer;
    `by_time`: it ends by itself."""

    part: Part
    at: int
    began: float
    by_time: bool


class Course:
    """`parts` by id; `called`: the attempts of callbacks, by the ids of their contacts; `orders`: what agents were told
    or told themselves, and callbacks asked for, with times; `missing`: at which times each agent was made not
    responding, and for how long; `config`: the first one, `configs` how many there were; `other`: reservations, and
    `taken`: transfers and pick-ups, how many; `began`, `ended`: times of the first and last record."""

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.called: dict[str, Part] = {}
        self.orders: list[tuple[float, i.AnyInput]] = []
        self.missing: dict[str, dict[float, float]] = {}
        self.config = Config()
        self.configs = 0
        self.other = 0
        self.taken = 0
        self.began = self.ended = 0.0
        self.agents: dict[str, list[Stretch]] = {}
        self._now: dict[str, Part] = {}  # by contact: its latest part
        self._count: dict[str, int] = {}
        self._offers: dict[int, tuple[list[tuple[float, OfferEnd, bool]], int, float]] = {}
        self._wraps: dict[str, Wrap] = {}
        self._waits: dict[str, str] = {}  # by callback: the contact by which it waits
        self._calls: dict[str, Part] = {}  # by callback: whose customer is being called
        self._latest: tuple[int, list[Any]] = (0, [])  # the record of what was noted last, and the list of it
        self._came: tuple[int, str, Part | None] = (0, "", None)  # of the latest part, and what there was before it

    def add(self, record: f.Record) -> None:
        """The next record."""
        if not self.began:
            self.began = record.time
        self.ended = record.time
        read = READ.get(type(record.what))
        if read is not None:
            read(self, record.what, record)

    def close(self) -> Course:
        """There are no more records: what goes on lasts longer than that."""
        for rings, at, made in self._offers.values():
            rings[at] = (self.ended - made, "withdrawn", rings[at][2])
        for part in self._calls.values():
            part.call = Call(self.ended - part.called + BEYOND, "answered")
        for wrap in self._wraps.values():
            if not wrap.by_time:
                _set_wrap(wrap, self.ended - wrap.began + BEYOND)
        return self

    def at(self, agent: str, time: float) -> Stretch | None:
        """What an agent was doing just then; None: it had not come."""
        stretches = self.agents.get(agent, [])
        found = bisect_right(stretches, time, key=lambda each: each.since)
        return stretches[found - 1] if found else None

    # ---- contacts

    def _enqueue(self, what: i.Enqueue, record: f.Record) -> None:
        if what.kind != "call":
            self.other += 1
            self._now.pop(what.contact, None)
            return
        count = self._count[what.contact] = self._count.get(what.contact, 0) + 1
        name = what.contact if count == 1 else f"{what.contact}#{count}"
        self._came = (record.id, name, self._now.get(what.contact))
        self.parts[name] = self._now[what.contact] = Part(name, record.time, what, what.queue)

    def _queued(self, what: f.Queued, record: f.Record) -> None:
        if what.kind == "callback" and what.contact not in self.called:
            asked = i.Enqueue(what.contact, what.queue, what.number, what.needs, what.priority, kind="callback")
            self.called[what.contact] = self._now[what.contact] = Part(what.contact, record.time, asked, what.queue)
            self._count[what.contact] = 1
            return
        part = self._now.get(what.contact)
        if part is not None:
            part.queue, part.left, part.left_at = what.queue, "", math.nan

    def _offered(self, what: f.Offered, record: f.Record) -> None:
        part = self._now.get(what.contact)
        if part is not None:
            self._offers[record.id] = (part.rings, len(part.rings), record.time)
            part.rings.append((0.0, "withdrawn", False))
            if what.by == "pick_up":
                self.orders.append((record.time, i.PickUp(part.id, what.agent)))

    def _customer_answered(self, what: f.CustomerAnswered, record: f.Record) -> None:
        """Who was kept is rung only now."""
        part = self._now.get(what.contact)
        for number, (rings, at, _) in self._offers.items():
            if part is not None and rings is part.rings:
                self._offers[number] = rings, at, record.time
                rings[at] = (0.0, "withdrawn", True)

    def _offer_ended(self, what: f.OfferEnded, record: f.Record) -> None:
        offer = self._offers.pop(what.offer, None)
        if offer is not None:
            rings, at, made = offer
            rings[at] = (record.time - made, what.how, rings[at][2])

    def _connected(self, what: f.Connected, record: f.Record) -> None:
        part = self._now.get(what.contact)
        if part is not None:
            part.agent, part.answered = what.agent, record.time

    def _handle_ended(self, what: f.HandleEnded, record: f.Record) -> None:
        part = self._now.get(what.contact)
        if part is not None and part.agent == what.agent and math.isnan(part.talk):
            if part.entered.kind == "call":
                part.talk = record.time - part.answered
            elif not math.isnan(part.reached):
                part.talk = record.time - max(part.answered, part.reached)

    def _left_queue(self, what: f.LeftQueue, record: f.Record) -> None:
        part = self._now.get(what.contact)
        if part is not None:
            part.left, part.left_at = what.how, record.time

    def _key(self, what: i.PressKey, record: f.Record) -> None:
        part = self._now.get(what.contact)
        if part is not None:
            self._note(part.keys, (record.time, what.key), record)

    def _during(self, what: i.Hold | i.Consult, record: f.Record) -> None:
        part = self._now.get(what.contact)
        if part is not None and part.agent == what.agent:
            begins = what.held if isinstance(what, i.Hold) else what.active
            self._note(part.during, During(record.time - part.answered, type(what), begins), record)

    # ---- callbacks

    def _ask(self, what: i.AskCallback, record: f.Record) -> None:
        """By the name of the part that asks for it."""
        part = self._now.get(what.contact)
        self._order(what if part is None else msgspec.structs.replace(what, contact=part.id), record)

    def _callback_queued(self, what: f.CallbackQueued, record: f.Record) -> None:
        self._waits[what.callback] = what.contact

    def _calling(self, what: f.CustomerCalling, record: f.Record) -> None:
        part = self._calls[what.callback] = self.called[self._waits[what.callback]]
        part.called = record.time

    def _customer(self, what: i.CustomerCalled, record: f.Record) -> None:
        part = self._calls.get(what.callback)
        if part is not None:
            part.call = Call(record.time - part.called, what.outcome)

    def _tried(self, what: f.CallbackTried, record: f.Record) -> None:
        """Without a word of the customer's telephone the time was over, or the agent hung up."""
        part = self._calls.pop(what.callback, None)
        if part is not None and part.call is None:
            over = what.outcome == "no_answer"
            part.call = Call(math.inf, "no_answer") if over else Call(record.time - part.called, "hung_up")

    def _callback_ended(self, what: f.CallbackEnded, record: f.Record) -> None:
        part = self._calls.pop(what.callback, None)
        if part is not None and what.how == "answered":
            part.reached = record.time

    # ---- agents

    def _agent(self, what: f.AgentChanged, record: f.Record) -> None:
        now = record.time
        stretches = self.agents.setdefault(what.agent, [])
        before = stretches[-1].state if stretches else "signed_out"
        stretches.append(Stretch(now, what.state, what.contact, what.reason))
        wrap = self._wraps.pop(what.agent, None)
        if wrap is not None and what.why != "wrap_up_over":
            _set_wrap(wrap, now - wrap.began)
        if what.state == "wrap_up" and what.contact in self._now:
            part = self._now[what.contact]
            at = -1 if what.why in ANSWERED else len(part.wraps)
            if at >= 0:
                part.wraps.append(BY_RULE)
            self._wraps[what.agent] = Wrap(part, at, now, what.until > 0.0)
        if before == "not_responding":
            self.missing[what.agent][stretches[-2].since] = now - stretches[-2].since
        if what.state == "not_responding":
            self.missing.setdefault(what.agent, {})[now] = math.nan
        if what.why == "ready" and before in ("paused", "not_responding"):
            self.orders.append((now, i.Ready(what.agent)))

    def _after_work(self, what: f.AfterWork, record: f.Record) -> None:
        """It has thought better of it."""
        if not what.state:
            self.orders.append((record.time, i.Ready(what.agent)))

    def _order(self, what: i.AnyInput, record: f.Record) -> None:
        self._note(self.orders, (record.time, what), record)

    def _take(self, what: i.Take, record: f.Record) -> None:
        self.taken += 1

    # ---- all

    def _note(self, to: list[Any], what: object, record: f.Record) -> None:
        """An input, unless it turns out to be refused."""
        to.append(what)
        self._latest = record.id, to

    def _configure(self, what: i.Configure, record: f.Record) -> None:
        self.config = self.config if self.configs else what.config
        self.configs += 1

    def _refused(self, what: f.Refused, record: f.Record) -> None:
        """What was refused has not been."""
        latest, noted = self._latest
        if record.cause == latest:
            noted.pop()
        number, name, before = self._came
        if number and record.cause == number:
            contact = self.parts.pop(name).entered.contact
            self._count[contact] -= 1
            del self._now[contact]
            if before is not None:
                self._now[contact] = before


def _set_wrap(wrap: Wrap, seconds: float) -> None:
    if wrap.at < 0:
        wrap.part.wrap_up = seconds
    else:
        wrap.part.wraps[wrap.at] = seconds


READ: dict[type, Callable[[Course, Any, f.Record], None]] = {
    i.Enqueue: Course._enqueue,
    f.Queued: Course._queued,
    f.Offered: Course._offered,
    f.CustomerAnswered: Course._customer_answered,
    f.OfferEnded: Course._offer_ended,
    f.Connected: Course._connected,
    f.HandleEnded: Course._handle_ended,
    f.LeftQueue: Course._left_queue,
    i.PressKey: Course._key,
    i.Hold: Course._during,
    i.Consult: Course._during,
    f.AfterWork: Course._after_work,
    i.ExtendWrapUp: Course._order,
    f.AgentChanged: Course._agent,
    i.SignIn: Course._order,
    i.SignOut: Course._order,
    i.Pause: Course._order,
    i.SetMode: Course._order,
    i.Reachable: Course._order,
    i.DirectCall: Course._order,
    i.Take: Course._take,
    i.AskCallback: Course._ask,
    i.CancelCallback: Course._order,
    i.CustomerCalled: Course._customer,
    f.CallbackQueued: Course._callback_queued,
    f.CustomerCalling: Course._calling,
    f.CallbackTried: Course._tried,
    f.CallbackEnded: Course._callback_ended,
    i.Configure: Course._configure,
    f.Refused: Course._refused,
}
"""By type, as a day has more than a million records; what is not here says nothing of a course."""

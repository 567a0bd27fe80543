"""Those who are on the telephones: the double that plays agents and callers against the engine.

A caller comes, waits as long as it has patience for, and hangs up; an agent's telephone rings, is answered after a
while, they talk, the agent wraps up and says that it is ready. What the engine asks for (`acd.effects`) is done, what
happens is told to it (`acd.inputs`), as the switch does with real telephones. All of it is on one heap of moments.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.agent import WORK
from acd.engine import Engine, Outcome
from acd.simulate.arrivals import ANSWERED, BY_RULE, Call, Contacts, Ring
from acd.simulate.tally import ALL, OFFERED, OUT, Tally

GIVES_UP, ANSWERS, DECLINES, FINISHES, READY_AGAIN, SHIFT, ORDER, CUSTOMER = range(8)

NEXT_RING = 7919
"""So far on in the times of ringing stands that of a contact's next offer; a prime."""
CUSTOMER_RINGS = 10.0
"""Seconds until a customer answers who is called back, or half of the time for which it is rung."""


class Moment(NamedTuple):
    """What happens next: `kind` to `what`, a contact's row, an offer's or an order's number; `who`: an agent; `since`:
    of the state that it is about, 0.0: whichever. `seq` puts those of one time in order."""

    at: float
    seq: int
    kind: int
    what: int
    who: str = ""
    since: float = 0.0


Watch = Callable[[list[f.Record]], None]


class People:
    """Everybody, and what becomes of them. `contacts` are rows; `entered`, `queue`: when and where each came in last;
    `waits`: seconds that it waited before the answer, negative less 1 where it gave up, NaN where neither was."""

    __slots__ = (
        "_acted",
        "_asked",
        "_asks",
        "_away",
        "_back",
        "_called",
        "_heap",
        "_instant",
        "_kept",
        "_names",
        "_offered",
        "_offers",
        "_order",
        "_orders",
        "_ring",
        "_rows",
        "_seq",
        "_strict",
        "_working",
        "_wrapped",
        "active",
        "contacts",
        "engine",
        "entered",
        "queue",
        "refused",
        "tally",
        "waiting",
        "waits",
        "watches",
    )

    def __init__(
        self,
        engine: Engine,
        contacts: Contacts,
        tally: Tally,
        order: tuple[str, ...],
        back: float,
        watches: Sequence[Watch] = (),
        away: Mapping[str, Mapping[float, float]] | None = None,
        asks: bool = False,
    ) -> None:
        """`asks`: who is sent to a callback asks for it, and answers."""
        count = len(contacts.id)
        self.engine, self.contacts, self.tally, self.watches = engine, contacts, tally, watches
        self._order = order
        self.waiting = bytearray(count)
        self.queue = [""] * count
        self.entered = [0.0] * count
        self.waits = [math.nan] * count
        self.active = 0
        """Contacts that wait or talk."""
        self.refused: list[str] = []
        """What the engine did not take, by reason; the first hundred."""
        self._rows = {name: row for row, name in enumerate(contacts.id)}
        self._heap: list[Moment] = []
        self._seq = 0
        self._back = back
        self._away = {name: frozenset(times) for name, times in (away or {}).items()}
        self._ring, self._acted = contacts.ring, contacts.acted
        self._offered = [0] * count  # how often each contact was
        self._asks = asks
        self._asked: dict[str, int] = {}  # the rows of callbacks that were asked for on the way out
        self._names: dict[int, str] = {}  # by row: the contact that waits for these now
        self._called: set[int] = set()  # rows of callbacks that wait, or that agents have
        self._wrapped: dict[int, int] = {}  # by row: after how many offers that were not taken agents wrapped up
        self._orders: list[i.AnyInput] = []
        self._offers: dict[int, int] = {}  # those that ring: the row of the contact
        self._kept: dict[int, int] = {}  # of those that keep an agent: how many its contact had before
        self._instant: list[int] = []
        self._working: set[str] = set()  # agents who are to be there
        self._strict: dict[tuple[str, str], bool] = {}

    # ---- what happens

    @property
    def next(self) -> float:
        """When the next thing happens that people do; infinite: nothing does."""
        return self._heap[0].at if self._heap else math.inf

    def shift(self, at: float, staff: int) -> None:
        """From then on the first so many agents in order are there."""
        self._push(at, SHIFT, staff)

    def order(self, at: float, what: i.AnyInput) -> None:
        """At that time the engine is told so, where it makes sense then (see `_makes_sense`)."""
        self._orders.append(what)
        self._push(at, ORDER, len(self._orders) - 1)

    def come(self, row: int) -> None:
        """A caller comes."""
        contacts = self.contacts
        now, patience = contacts.time[row], contacts.patience[row]
        self.active += 1
        self.waiting[row] = 1
        if patience < math.inf:
            self._push(now + patience, GIVES_UP, row)
        self.tell(
            i.Enqueue(
                contact=contacts.id[row],
                queue=contacts.queue[row],
                number=contacts.number[row],
                needs=contacts.needs[row],
                priority=contacts.priority[row],
                last_agent=contacts.last_agent[row],
                waited=self._acted[row].waited if row in self._acted else 0.0,
            ),
            now,
        )

    def act(self) -> None:
        """The next of the moments."""
        at, _, kind, what, who, since = heapq.heappop(self._heap)
        if kind == FINISHES:
            if what not in self._called:
                self.active -= 1
            self.tell(i.Finish(self._name(what), who), at)
        elif kind == GIVES_UP:
            if self.waiting[what] and what not in self._names:
                self.tell(i.HangUp(self.contacts.id[what]), at)
        elif kind == ANSWERS:
            if what in self._offers:
                self.tell(i.Accept(what), at)
        elif kind == DECLINES:
            if what in self._offers:
                self.tell(i.Reject(what) if who == "rejected" else i.Unreachable(what), at)
        elif kind == READY_AGAIN:
            state, began = self.tally.state(who)
            if began == since and state in ("wrap_up", "not_responding"):
                self.tell(i.Ready(who), at)
        elif kind == SHIFT:
            self._shift(what, at)
        elif kind == CUSTOMER:
            self._customer(what, who, at)
        elif kind == ORDER and self._makes_sense(self._orders[what]):
            self.tell(self._orders[what], at)

    def _makes_sense(self, order: i.AnyInput) -> bool:
        """Whether whoever gave an order in a recorded day would do so now, where that hangs on what came before."""
        match order:
            case i.PressKey(contact=contact):
                return self._waits(contact)
            case i.AskCallback(contact=contact) if contact:
                return self._waits(contact) or self.engine.state.asking_in(contact) is not None
            case i.PickUp(contact=contact, agent=name):
                agent = self.engine.state.agents[name]
                free = agent.state == "wrap_up" or not agent.contact
                return self._waits(contact) and agent.signed_in and free
            case i.Ready(agent=name):
                agent = self.engine.state.agents[name]
                return agent.state in ("paused", "not_responding") or bool(agent.after)
            case i.Hold(contact=contact, agent=name) | i.Consult(contact=contact, agent=name):
                agent = self.engine.state.agents[name]
                return agent.contact == contact and agent.state in WORK
            case _:
                return True

    def _waits(self, contact: str) -> bool:
        """One that the day has; who waited already when it began is not among them."""
        row = self._rows.get(contact)
        return row is not None and bool(self.waiting[row])

    def tick(self, now: float) -> None:
        """Something is due in the engine."""
        self._done(self.engine.tick(now), now)
        self._answer_at_once(now)

    def tell(self, what: i.AnyInput, now: float) -> None:
        """The engine hears of it, and is obeyed."""
        self._done(self.engine.handle(what, now), now)
        if self._instant:
            self._answer_at_once(now)

    # ---- what the engine makes of it

    def _answer_at_once(self, now: float) -> None:
        while self._instant:
            offer = self._instant.pop()
            if offer in self._offers:
                self._done(self.engine.handle(i.Accept(offer), now), now)

    def _done(self, outcome: Outcome, now: float) -> None:
        for record in outcome.records:
            what = record.what
            kind = type(what)
            if kind is f.AgentChanged:
                self._agent(what, record.time)  # type: ignore[arg-type]
            elif kind is f.Queued:
                self._queued(what)  # type: ignore[arg-type]
            elif kind is f.Connected:
                self._connected(what, record.time)  # type: ignore[arg-type]
            elif kind is f.LeftQueue:
                self._left(what, record.time)  # type: ignore[arg-type]
            elif kind is f.Ended:
                self._ended(what)  # type: ignore[arg-type]
            elif kind is f.Refused:
                self._refused(what, outcome.records)  # type: ignore[arg-type]
        for effect in outcome.effects:
            sort = type(effect)
            if sort is e.Offer:
                self._ring_for(effect, now)  # type: ignore[arg-type]
            elif sort is e.Withdraw:
                self._offers.pop(effect.offer, None)  # type: ignore[union-attr]
                self._kept.pop(effect.offer, None)  # type: ignore[union-attr]
            elif sort is e.CallCustomer:
                self._call(effect, now)  # type: ignore[arg-type]
            elif sort is e.SendTo and self._asks:
                self._sent(effect, now)  # type: ignore[arg-type]
        for watch in self.watches:
            watch(outcome.records)

    def _ring_for(self, offer: e.Offer, now: float) -> None:
        """The telephone of an agent, who may be kept for a customer first."""
        row = self._rows[offer.contact]
        self._offers[offer.offer] = row
        turn = self._kept.pop(offer.offer, None)
        was_kept = turn is not None
        if turn is None:
            turn = self._offered[row]
            self._offered[row] += 1
        own = self._acted[row].rings if row in self._acted else ()
        known = own[turn] if turn < len(own) else None
        if offer.kind == "reservation":
            self._kept[offer.offer] = turn
            if known is not None and known.how != "accepted" and not known.kept:
                self._push(now + known.seconds, DECLINES, offer.offer, known.how)
            return
        if known is None or (was_kept and not known.kept):
            known = Ring(self._ring[(row + turn * NEXT_RING) % len(self._ring)])
        if known.how != "accepted":
            self._push(now + known.seconds, DECLINES, offer.offer, known.how)
        elif known.seconds <= 0.0:
            self._instant.append(offer.offer)
        elif now + known.seconds < offer.deadline:
            self._push(now + known.seconds, ANSWERS, offer.offer)

    def _queued(self, fact: f.Queued) -> None:
        if fact.contact not in self._rows:
            self._called_again(fact.contact)
        row, at = self._rows[fact.contact], self.tally.at(fact.entered)
        self.queue[row], self.entered[row] = fact.queue, fact.entered
        if fact.kind == "callback":
            self._called_queued(row, fact)
            return
        self.tally.queue(fact.queue)[OFFERED][at] += 1.0
        if not fact.moves:
            self.tally.queue(ALL)[OFFERED][at] += 1.0

    def _connected(self, fact: f.Connected, now: float) -> None:
        row, tally = self._rows[fact.contact], self.tally
        self._offers.pop(fact.offer, None)
        self.waiting[row] = 0
        for each in self._acted[row].during if row in self._acted else ():
            self.order(now + each.seconds, each.what(fact.contact, fact.agent, each.begins))
        if row in self._called:
            if not self.engine.state.contacts[fact.contact].callback:  # else its customer is not there yet
                self._talk(row, fact.agent, now)
            return
        name = self.queue[row]
        target = self.engine.state.config.queues[name].target_seconds
        came = self.contacts.time[row]
        self.waits[row] = waited = now - came
        tally.answered(name, tally.at(self.entered[row]), fact.waited, target)
        tally.answered(ALL, tally.at(came), waited, target)
        self._talk(row, fact.agent, now)

    def _talk(self, row: int, agent: str, now: float) -> None:
        """The two talk, from now on."""
        self._push(now + self.contacts.talk[row], FINISHES, row, agent)

    def _left(self, fact: f.LeftQueue, now: float) -> None:
        row, tally = self._rows[fact.contact], self.tally
        if row in self._called:
            self.waiting[row] = fact.to == "queue"
            return
        came, at = self.contacts.time[row], tally.at(self.entered[row])
        if fact.how == "abandoned":
            short = self.engine.state.config.queues[fact.queue].short_abandon
            tally.abandoned(fact.queue, at, fact.waited, short)
            tally.abandoned(ALL, tally.at(came), now - came, short)
            self.waits[row] = -1.0 - (now - came)
        else:
            tally.queue(fact.queue)[OUT][at] += 1.0
            if fact.to == "queue":
                return  # the engine says where it goes on, or that it does not
            tally.queue(ALL)[OUT][tally.at(came)] += 1.0
        self._over(row)

    def _ended(self, fact: f.Ended) -> None:
        """Who was to go on in another queue goes nowhere: there is none, or it has gone through too many."""
        row = self._rows[fact.contact]
        if row in self._called:
            self._called.discard(row)
            self.waiting[row] = 0
        elif self.waiting[row]:
            self.tally.queue(ALL)[OUT][self.tally.at(self.contacts.time[row])] += 1.0
            self._over(row)

    # ---- customers who are called back

    def _called_again(self, contact: str) -> None:
        """A contact of a callback that no row is there for: one that was asked for on the way out has that of the
        caller, one that comes oftener than it was prepared for the latest of its own."""
        callback, _, number = contact.rpartition(".")
        before = int(number) - 1
        while callback not in self._asked and f"{callback}.{before}" not in self._rows:
            before -= 1
        row = self._asked[callback] if callback in self._asked else self._rows[f"{callback}.{before}"]
        self._rows[contact], self._names[row] = row, contact

    def _called_queued(self, row: int, fact: f.Queued) -> None:
        """It waits for an agent, not on the line: KPIs of callers do not have it, and no run lasts longer for it."""
        self.waiting[row] = 1
        if not fact.moves:
            self._called.add(row)
            if self.contacts.patience[row] < math.inf:
                self._push(fact.entered + self.contacts.patience[row], GIVES_UP, row)

    def _sent(self, sent: e.SendTo, now: float) -> None:
        """A caller who does not wait here any longer: for a callback, it says its number."""
        if sent.to.kind != "callback":
            return
        row = self._rows[sent.contact]
        callback = f"{sent.contact} back"
        self._asked[callback] = row
        number = self.contacts.number[row] or sent.contact
        self.order(now, i.AskCallback(callback, number, contact=sent.contact))

    def _name(self, row: int) -> str:
        return self._names.get(row, self.contacts.id[row])

    def _call(self, call: e.CallCustomer, now: float) -> None:
        """The telephone of a customer."""
        row = self._rows[call.contact]
        usual = Call(min(CUSTOMER_RINGS, call.ring_seconds / 2.0), "answered")
        seconds = self.contacts.calls.get(row, usual).seconds
        if seconds < math.inf:
            self._push(now + seconds, CUSTOMER, row, call.callback)

    def _customer(self, row: int, callback: str, now: float) -> None:
        """What becomes of the call to it, if it still goes on."""
        name = self._name(row)
        outcome = self.contacts.calls[row].outcome if row in self.contacts.calls else "answered"
        asked, contact = self.engine.state.callbacks.get(callback), self.engine.state.contacts.get(name)
        if asked is None or contact is None or asked.contact != name or not asked.calling:
            return
        agents = list(contact.agents)
        if outcome == "hung_up":
            if agents:  # else its patience is over
                self.tell(i.Finish(name, agents[0]), now)
            return
        self.tell(i.CustomerCalled(callback, outcome), now)
        if outcome != "answered":
            return
        if agents:
            self._talk(row, agents[0], now)
        elif row in self.contacts.calls and self.contacts.calls[row].patience < math.inf:
            self._push(now + self.contacts.calls[row].patience, GIVES_UP, row)

    def _over(self, row: int) -> None:
        self.waiting[row] = 0
        self.active -= 1

    def _refused(self, fact: f.Refused, records: Iterable[f.Record]) -> None:
        """A contact that the engine does not take is gone."""
        if len(self.refused) < 100:
            self.refused.append(fact.why)
        for record in records:
            if isinstance(record.what, i.Enqueue):
                row = self._rows[record.what.contact]
                self._over(row)
                self.tally.queue(ALL)[OFFERED][self.tally.at(record.time)] += 1.0
                self.tally.queue(ALL)[OUT][self.tally.at(record.time)] += 1.0

    # ---- agents

    def _agent(self, fact: f.AgentChanged, now: float) -> None:
        self.tally.agent(fact.agent, fact.state, now)
        if fact.state == "wrap_up":
            self._wraps_up(fact, now)
        elif fact.state == "not_responding":
            if now not in self._away.get(fact.agent, ()):
                self._push(now + self._back, READY_AGAIN, 0, fact.agent, now)
        elif fact.state == "signed_out" and fact.agent in self._working:
            self._push(now, SHIFT, len(self._working))

    def _wraps_up(self, fact: f.AgentChanged, now: float) -> None:
        """The agent says when it is through, where the rule lets it, or wants it to."""
        row = self._rows[fact.contact]
        queue = self.queue[row]
        seconds = self._wrap_up(row, fact.why)
        if seconds < 0.0:
            if fact.until:
                return
            config = self.engine.state.config
            rule = config.agents[fact.agent].wrap_up or config.queues[queue].wrap_up
            self._push(now + rule.seconds, READY_AGAIN, 0, fact.agent, now)
        elif not self._is_strict(fact.agent, queue):
            self._push(now + seconds, READY_AGAIN, 0, fact.agent, now)

    def _wrap_up(self, row: int, why: f.Why) -> float:
        """Seconds after which an agent is through with it; `BY_RULE`: when the rules say so."""
        if row in self._acted and why not in ANSWERED:
            turn = self._wrapped[row] = self._wrapped.get(row, -1) + 1
            wraps = self._acted[row].wraps
            return wraps[turn] if turn < len(wraps) else BY_RULE
        drawn = self.contacts.wrap_up
        return BY_RULE if drawn is None else drawn[row]

    def _is_strict(self, agent: str, queue: str) -> bool:
        found = self._strict.get((agent, queue))
        if found is None:
            config = self.engine.state.config
            rule = config.agents[agent].wrap_up or config.queues[queue].wrap_up
            found = self._strict[agent, queue] = rule.ends == "timeboxed_strict"
        return found

    def _shift(self, staff: int, now: float) -> None:
        """Who is to be there comes, the others go, after their work."""
        engine = self.engine
        wanted = set(self._order[:staff])
        left, self._working = self._working - wanted, wanted
        for name in self._order[:staff]:
            agent = engine.state.agents[name]
            if not agent.signed_in:
                address = engine.state.config.agents[name].address or f"sim:{name}"
                self.tell(i.SignIn(name, address), now)
                if engine.state.agents[name].state == "paused":
                    self.tell(i.Ready(name), now)
            elif agent.after == "signed_out" and agent.state != "wrap_up":
                self.tell(i.Ready(name), now)
        for name in sorted(left):
            if engine.state.agents[name].signed_in:
                self.tell(i.SignOut(name), now)

    def _push(self, at: float, kind: int, what: int, who: str = "", since: float = 0.0) -> None:
        self._seq += 1
        heapq.heappush(self._heap, Moment(at, self._seq, kind, what, who, since))

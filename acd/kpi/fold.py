"""The fold over the journal's facts: what is going on, and the pieces that each fact ends.

    fold = Fold()
    for record in records:
        for piece in fold.apply(record): ...

Inputs are looked past. A record whose id is not after the latest one has been folded already and does nothing, so that
a journal may be read again from any point before. What a fact names and the fold does not know, as after a journal's
beginning was cut away, is left out and counted in `unknown`; nothing here raises.

What is kept is what is open: contacts, offers and callbacks that are not over, agents, for the first contact resolution
the customers of the last `fcr_window` seconds, `MAX_CUSTOMERS` of them at most, and contacts whose customers may answer
a survey yet (`acd.kpi.surveys`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from acd import facts as f
from acd.agent import BEGINS, HANDLING
from acd.inputs import ContactKind, Parting
from acd.kpi.pieces import (
    Activity,
    Answered,
    AnyPiece,
    AttemptOver,
    CallbackStepped,
    DialOver,
    Handle,
    Journey,
    OfferOver,
    Repeated,
    Solved,
    Spell,
    Stay,
)
from acd.kpi.surveys import Over, Surveys
from acd.shape import shape

FCR_WINDOW = 7 * 86_400.0
"""Seconds within which a further contact of the same number shows that the earlier one has solved nothing."""
MAX_CUSTOMERS = 1_000_000
"""Contacts that are watched for a further one; the oldest are taken for solved first."""


class QueueRules(msgspec.Struct, frozen=True):
    """Of a queue as its configuration says: seconds, and the share that is the target."""

    team: str = ""
    threshold: float = 20.0
    target: float = 0.8
    short_abandon: float = 5.0


class Contact(msgspec.Struct):
    """One that is not over. `queue`: where it waits, "": nowhere; `served_in`: the queue it came by."""

    kind: ContactKind = "call"
    number: str = ""
    queue: str = ""
    served_in: str = ""
    entered: float = 0.0
    since: float = 0.0
    first_queue: str = ""
    came: float = 0.0
    inbound: bool = False
    """It came as a call; False: the switch has called, or a telephone was picked up."""
    connected: bool = False
    answered_by: str = ""
    had_by: str = ""
    """The agent who had it last; "": none yet. Of which team, and by which queue it came to it."""
    had_team: str = ""
    had_in: str = ""
    had_until: float = 0.0


class OpenHandle(msgspec.Struct):
    """An agent has a contact. `mark`: up to where its seconds are counted."""

    contact: str
    team: str
    queue: str
    outbound: bool
    answered: bool
    reached: bool
    mark: float
    how: Parting | Literal[""] = ""
    talk: float = 0.0
    hold: float = 0.0
    consult: float = 0.0
    wrap_up: float = 0.0
    dialling: float = 0.0

    def count(self, state: f.AgentStateName, now: float) -> None:
        """The seconds since `mark`, in this state."""
        seconds, self.mark = now - self.mark, now
        match state:
            case "talking":
                self.talk += seconds
            case "hold":
                self.hold += seconds
            case "consulting":
                self.consult += seconds
            case "wrap_up":
                self.wrap_up += seconds
            case _:
                pass

    def customer_reached(self) -> None:
        """What has gone before was dialling."""
        self.reached = True
        self.dialling = self.talk + self.hold + self.consult
        self.talk = self.hold = self.consult = 0.0


class Agent(msgspec.Struct):
    """One that is, or was, signed in."""

    team: str = ""
    state: f.AgentStateName = "signed_out"
    since: float = 0.0
    reason: str = ""
    contact: str = ""
    handle: OpenHandle | None = None

    @property
    def activity(self) -> Activity:
        return "direct" if self.state == "talking" and not self.contact else self.state


class OpenOffer(msgspec.Struct, frozen=True):
    agent: str
    queue: str


class Callback(msgspec.Struct):
    """`contact`: by which it waits for an agent, or an agent has it."""

    queue: str
    contact: str = ""


class Watched(msgspec.Struct, frozen=True, array_like=True):
    """A contact that is over, and whose customer may come again."""

    team: str
    number: str
    agent: str
    queue: str
    at: float


class Fold(msgspec.Struct):
    """All that is open. `now`: of the latest record."""

    fcr_window: float = FCR_WINDOW
    last_id: int = 0
    now: float = 0.0
    unknown: int = 0
    queues: dict[str, QueueRules] = {}
    """Also those that are in the configuration no more, as they were last."""
    agents: dict[str, Agent] = {}
    contacts: dict[str, Contact] = {}
    waiting: dict[str, dict[str, float]] = {}
    """By queue: the calls in it, and when each came into it."""
    offers: dict[int, OpenOffer] = {}
    callbacks: dict[str, Callback] = {}
    watched: dict[int, Watched] = {}
    """By the record that ended the contact, the oldest first."""
    customers: dict[tuple[str, str], list[int]] = {}
    """By team and number: its contacts in `watched`."""
    surveys: Surveys = msgspec.field(default_factory=Surveys)

    # ---- in

    def apply(self, record: f.Record) -> list[AnyPiece]:
        """The pieces that end by it."""
        if record.id <= self.last_id:
            return []
        self.last_id, self.now = record.id, max(record.time, self.now)
        return list(self._apply(record))

    # ---- out

    def open_spells(self, now: float) -> Iterator[Spell]:
        """What agents are doing, as if it were over at `now`."""
        for name in self.agents:
            yield from self._spell(name, max(now, self.now))

    def open_stays(self) -> Iterator[tuple[str, str, float, float]]:
        """Of each call that waits: team, queue, when it came into the queue, and since when its wait counts."""
        for queue, there in self.waiting.items():
            for contact in there:
                found = self.contacts[contact]
                yield self._team(queue), queue, found.entered, found.since

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode((shape(Fold), self))

    @classmethod
    def restore(cls, snapshot: bytes) -> Fold:
        """Raises `msgspec.ValidationError` where that is no snapshot of this version."""
        kept, fold = msgspec.msgpack.decode(snapshot, type=tuple[int, cls])  # type: ignore[valid-type]
        if kept != shape(Fold):
            raise msgspec.ValidationError("a snapshot of another version")
        return fold

    # ---- inside

    def _apply(self, record: f.Record) -> Iterator[AnyPiece]:
        match record.what:
            case f.AgentChanged():
                yield from self._agent_changed(record.what)
            case f.Queued():
                yield from self._queued(record.what)
            case f.Connected(contact=contact, agent=agent):
                yield from self._connected(contact, agent)
            case f.LeftQueue():
                yield from self._left(record.what)
            case f.HandleEnded():
                self._handle_ended(record.what)
            case f.Ended(contact=contact):
                yield from self._ended(contact)
            case f.Offered(agent=agent, queue=queue):
                self.offers[record.id] = OpenOffer(agent, queue)
            case f.OfferEnded():
                yield from self._offer_ended(record.what)
            case f.Taken(contact=contact):
                self.contacts.setdefault(contact, Contact())
            case f.Configured():
                yield from self._configured(record.what)
            case f.CallbackKept() | f.CallbackQueued() | f.CustomerCalling() | f.CallbackTried() | f.CallbackEnded():
                yield from self._callback(record.what)
            case f.Surveyed(contact=contact, question=question, score=score):
                if contact in self.contacts:
                    self.surveys.early_answer(contact, question, score)
                else:
                    yield from self.surveys.answer(contact, question, score, self.now)
            case f.Attempted(trunk=trunk, outcome=outcome, direction=direction):
                yield AttemptOver(trunk, self.now, outcome, direction)
            case f.Dialled(campaign=campaign, outcome=dialled, waited=waited):
                yield DialOver(campaign, self.now, dialled, waited)
            case _:
                pass  # an input, or what no KPI depends on

    # ---- agents

    def _configured(self, fact: f.Configured) -> Iterator[AnyPiece]:
        """An agent's time goes to the team that it is in; whom the configuration no longer has stays where it was."""
        for queue in fact.config.queues.values():
            rules = QueueRules(queue.team, queue.target_seconds, queue.target_share, queue.short_abandon)
            self.queues[queue.name] = rules
        for settings in fact.config.agents.values():
            agent = self.agents.setdefault(settings.id, Agent())
            if agent.team != settings.team:
                yield from self._spell(settings.id, self.now)
                agent.team, agent.since = settings.team, self.now

    def _spell(self, name: str, now: float) -> Iterator[Spell]:
        agent = self.agents[name]
        if agent.state != "signed_out" and now > agent.since:
            yield Spell(agent.team, name, agent.activity, agent.reason, agent.since, now)

    def _agent_changed(self, fact: f.AgentChanged) -> Iterator[AnyPiece]:
        agent = self.agents.setdefault(fact.agent, Agent())
        yield from self._spell(fact.agent, self.now)
        handle = agent.handle
        if handle is not None:
            handle.count(agent.state, self.now)
            if fact.why in BEGINS or fact.state not in HANDLING or fact.contact != handle.contact:
                agent.handle = None
                yield _over(handle, fact.agent, self.now)
        if fact.why in BEGINS:
            agent.handle = self._begin(fact, agent)
        agent.state, agent.since, agent.contact = fact.state, self.now, fact.contact
        agent.reason = fact.reason if fact.state == "paused" else ""

    def _begin(self, fact: f.AgentChanged, agent: Agent) -> OpenHandle:
        contact = self.contacts.get(fact.contact)
        if contact is None:
            self.unknown += 1
            contact = Contact()
        return OpenHandle(
            contact=fact.contact,
            team=agent.team,
            queue=contact.served_in,
            outbound=contact.kind != "call",
            answered=fact.why != "taken",
            reached=contact.kind != "callback" or contact.connected,
            mark=self.now,
        )

    def _handle_ended(self, fact: f.HandleEnded) -> None:
        agent, contact = self.agents.get(fact.agent), self.contacts.get(fact.contact)
        if agent is None or agent.handle is None or agent.handle.contact != fact.contact:
            self.unknown += 1
            return
        agent.handle.how = fact.how
        if contact is not None and agent.handle.reached:
            contact.had_by, contact.had_team, contact.had_in = fact.agent, agent.handle.team, agent.handle.queue
            contact.had_until = self.now

    def _offer_ended(self, fact: f.OfferEnded) -> Iterator[AnyPiece]:
        offer = self.offers.pop(fact.offer, None)
        if offer is None:
            self.unknown += 1
            return
        team = self.agents.get(offer.agent, Agent()).team
        yield OfferOver(team, offer.agent, offer.queue, self.now, fact.how)

    # ---- contacts

    def _team(self, queue: str) -> str:
        return self.queues.get(queue, QueueRules()).team

    def _queued(self, fact: f.Queued) -> Iterator[AnyPiece]:
        contact = self.contacts.get(fact.contact)
        if contact is None:
            contact = self.contacts[fact.contact] = Contact(inbound=fact.kind == "call")
            if fact.kind == "call":
                yield from self._come_again(self._team(fact.queue), fact.number)
        contact.kind, contact.queue, contact.served_in = fact.kind, fact.queue, fact.queue
        contact.number = fact.number or contact.number
        contact.entered, contact.since = fact.entered, min(fact.since, fact.entered)
        if fact.kind == "call":
            if not contact.first_queue:
                contact.first_queue, contact.came = fact.queue, fact.entered
            self.waiting.setdefault(fact.queue, {})[fact.contact] = fact.entered

    def _connected(self, name: str, agent: str) -> Iterator[AnyPiece]:
        contact = self.contacts.get(name)
        if contact is None:
            self.unknown += 1
            return
        yield from self._out(name, contact, "answered")
        contact.answered_by = agent
        if contact.kind != "callback" and not contact.connected:
            contact.connected = True
            yield from self._journey(contact, connected=True)

    def _journey(self, contact: Contact, connected: bool) -> Iterator[Journey]:
        """What came of a call is known."""
        if contact.inbound and contact.first_queue:
            yield Journey(self._team(contact.first_queue), contact.first_queue, contact.came, connected)

    def _left(self, fact: f.LeftQueue) -> Iterator[AnyPiece]:
        contact = self.contacts.get(fact.contact)
        if contact is None:
            self.unknown += 1
            return
        yield from self._out(fact.contact, contact, fact.how, fact.to)

    def _out(self, name: str, contact: Contact, how: f.Leaving | Answered, to: str = "") -> Iterator[AnyPiece]:
        """It waits in its queue no longer. Callbacks and reservations are no calls offered to it."""
        queue, contact.queue = contact.queue, ""
        if self.waiting.get(queue, {}).pop(name, None) is None:
            return
        if not self.waiting[queue]:
            del self.waiting[queue]
        yield Stay(self._team(queue), queue, contact.entered, contact.since, self.now, how, to)

    def _ended(self, name: str) -> Iterator[AnyPiece]:
        contact = self.contacts.pop(name, None)
        if contact is None:
            self.unknown += 1
            return
        if not contact.connected:
            yield from self._journey(contact, connected=False)
        if contact.had_by and contact.number:
            yield from self._watch(contact)
        over = Over(contact.had_team, contact.had_by, contact.had_in, contact.had_until, self.now)
        yield from self.surveys.contact_over(name, over if contact.had_by else None)

    # ---- customers who come again

    def _watch(self, contact: Contact) -> Iterator[AnyPiece]:
        """A contact that agents had is over."""
        self._forget()
        seen = Watched(contact.had_team, contact.number, contact.had_by, contact.had_in, contact.had_until)
        self.watched[self.last_id] = seen
        self.customers.setdefault((seen.team, seen.number), []).append(self.last_id)
        yield Solved(seen.team, seen.agent, seen.queue, seen.at)

    def _forget(self) -> None:
        """Those whose window is over, and the oldest where there are too many."""
        while self.watched:
            key, seen = next(iter(self.watched.items()))
            if seen.at + self.fcr_window >= self.now and len(self.watched) < MAX_CUSTOMERS:
                return
            del self.watched[key]
            customer = seen.team, seen.number
            self.customers[customer].remove(key)
            if not self.customers[customer]:
                del self.customers[customer]

    def _come_again(self, team: str, number: str) -> Iterator[AnyPiece]:
        """A customer has come: what it was told before has not been enough."""
        for key in self.customers.pop((team, number), ()):
            seen = self.watched.pop(key)
            if self.now <= seen.at + self.fcr_window:
                yield Repeated(team, seen.agent, seen.queue, seen.at)

    # ---- callbacks

    def _callback(
        self, fact: f.CallbackKept | f.CallbackQueued | f.CustomerCalling | f.CallbackTried | f.CallbackEnded
    ) -> Iterator[AnyPiece]:
        if isinstance(fact, f.CallbackKept):
            self.callbacks[fact.callback] = Callback(fact.queue)
            yield CallbackStepped(self._team(fact.queue), fact.queue, self.now, "asked")
            return
        found = self.callbacks.get(fact.callback)
        if found is None:
            self.unknown += 1
            return
        team, queue = self._team(found.queue), found.queue
        match fact:
            case f.CallbackQueued(contact=contact):
                found.contact = contact
            case f.CustomerCalling():
                yield CallbackStepped(team, queue, self.now, "attempt")
            case f.CallbackTried(outcome=outcome):
                yield CallbackStepped(team, queue, self.now, outcome)
            case f.CallbackEnded(how=how):
                del self.callbacks[fact.callback]
                yield CallbackStepped(team, queue, self.now, how)
                if how == "answered":
                    self._reached(found.contact)

    def _reached(self, name: str) -> None:
        """The customer of a callback has answered: for the agent who has been waiting for that, it was dialling."""
        contact = self.contacts.get(name)
        if contact is None:
            self.unknown += 1
            return
        contact.connected = True
        agent = self.agents.get(contact.answered_by)
        if agent is not None and agent.handle is not None and agent.handle.contact == name:
            agent.handle.count(agent.state, self.now)
            agent.handle.customer_reached()


def _over(handle: OpenHandle, agent: str, now: float) -> Handle:
    """An agent is through with a contact. Where no customer was reached, all but the wrap-up was dialling."""
    if not handle.reached:
        handle.customer_reached()
        handle.reached = False
    return Handle(
        team=handle.team,
        agent=agent,
        queue=handle.queue,
        ended=now,
        answered=handle.answered,
        reached=handle.reached,
        outbound=handle.outbound,
        how=handle.how,
        talk=handle.talk,
        hold=handle.hold,
        consult=handle.consult,
        wrap_up=handle.wrap_up,
        dialling=handle.dialling,
    )

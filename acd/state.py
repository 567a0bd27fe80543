"""The state of the engine: a fold over facts. `apply` decides nothing.

Agents, contacts, offers and callbacks are plain records, which a snapshot holds; roster and classes are columns and
sorted lists made from them, and `restore` makes them anew. `opened` and `freed` name the contacts and agents that have
become free for a match; whoever matches empties them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np

from acd import facts as f
from acd.agent import AT_WORK, HANDLING, WORK, AgentState
from acd.classes import Classes, ClassKey
from acd.config import Agent, Config, Queue, Team
from acd.contact import ASIDE, NOWHERE, CallbackState, ContactState, Handling, OfferState, Returning
from acd.deadlines import Deadlines, Due
from acd.expression import reread
from acd.matching import still_wanted
from acd.roster import Floats, Roster

MAX_RETURNING = 100_000
"""Callers who hung up whose places are kept; the oldest are forgotten first."""


class State:
    """All that the engine knows."""

    __slots__ = (
        "addresses",
        "agents",
        "callbacks",
        "carried",
        "classes",
        "config",
        "contacts",
        "deadlines",
        "freed",
        "handling",
        "last_id",
        "latest",
        "now",
        "offers",
        "opened",
        "returning",
        "roster",
        "unreachable",
    )

    def __init__(self) -> None:
        self.config = Config()
        self.carried: dict[str, Agent] = {}
        """Agents who are in the configuration no more, but still at work."""
        self.agents: dict[str, AgentState] = {}
        self.contacts: dict[str, ContactState] = {}
        self.offers: dict[int, OfferState] = {}
        self.callbacks: dict[str, CallbackState] = {}
        self.unreachable: set[str] = set()
        self.addresses: dict[str, str] = {}
        """Of the telephones of those who are signed in: whose they are."""
        self.handling: dict[str, Handling] = {}
        """By queue: how long agents have had its contacts lately."""
        self.latest: dict[str, str] = {}
        """By queue: the agent to whom a contact of it was offered last."""
        self.returning: dict[tuple[str, str], Returning] = {}
        self.last_id = 0
        self.now = 0.0
        self.roster = Roster(self.config)
        self.classes = Classes(self.roster)
        self.deadlines = Deadlines()
        self.opened: dict[str, None] = {}
        self.freed: dict[str, None] = {}

    # ---- look up

    def settings(self, agent: str) -> Agent:
        """Of an agent that is there, or still at work."""
        found = self.config.agents.get(agent)
        return self.carried[agent] if found is None else found

    def queue(self, name: str) -> Queue:
        return self.config.queues[name]

    def team(self, agent: str) -> Team:
        name = self.settings(agent).team
        return self.config.teams.get(name) or Team(name=name)

    def waiting(self, queue: str) -> int:
        """Contacts in a queue that no agent has, those that are being offered included."""
        return self.classes.length(queue)

    def position(self, contact: ContactState) -> int:
        """Of one that waits, from 1: how many of its queue have a place before it, and itself."""
        return self.classes.ahead(contact.queue, contact.waiter) + 1

    def class_of(self, contact: ContactState) -> ClassKey:
        """Of one that waits."""
        skipped = tuple(sorted(contact.skipped))
        return ClassKey(contact.queue, contact.asks, contact.widened, contact.only, skipped)

    def is_reachable(self, address: str) -> bool:
        return address not in self.unreachable

    # ---- the fold

    def apply(self, record: f.Record) -> None:
        """What is so from now on. Inputs change nothing but the clock and the count."""
        self.last_id, self.now = record.id, record.time
        match record.what:
            case f.AgentChanged():
                self._agent_changed(record.what, record)
            case f.Offered():
                self._offered(record.what, record)
            case f.OfferEnded():
                self._offer_ended(record.what)
            case f.Queued():
                self._queued(record.what, record)
            case f.Classed():
                self._classed(record.what)
            case f.Connected(contact=contact, agent=agent):
                self._connected(contact, agent)
            case f.HandleEnded(contact=contact, agent=agent):
                self._drop_agent(contact, agent)
            case f.LeftQueue():
                self._left(record.what)
            case _:
                self._apply_rare(record)

    def _apply_rare(self, record: f.Record) -> None:
        match record.what:
            case f.Configured(config=config):
                self._configure(config)
            case f.SignedIn(agent=agent, address=address, mode=mode):
                state = self.agents[agent]
                state.address, state.mode, state.misses = address, mode, 0
                self.addresses[address] = agent
                state.calls_share = state.talk_share = 1.0
                self._load_as_others(state, record.time)
            case f.ModeSet(agent=agent, mode=mode):
                self.agents[agent].mode = mode
                self._noted(self.agents[agent])
            case f.AfterWork(agent=agent, state=after, reason=reason, planned=planned):
                state = self.agents[agent]
                state.after, state.after_reason, state.after_planned = after, reason, planned
            case f.MissCounted(agent=agent, misses=misses):
                self.agents[agent].misses = misses
            case f.WrapUpExtended(agent=agent, until=until, extended=extended):
                state = self.agents[agent]
                state.until, state.extended = until, extended
                self.deadlines.add(until, "agent", agent)
            case f.AddressChanged(address=address, reachable=reachable):
                (self.unreachable.discard if reachable else self.unreachable.add)(address)
            case f.DirectCallChanged(agent=agent, active=active):
                self.agents[agent].direct = active
            case f.Taken(contact=contact, agent=agent):
                self.contacts.setdefault(contact, ContactState(contact)).agents.append(agent)
            case f.Ended(contact=contact):
                self.contacts.pop(contact, None)
            case f.Announced(contact=contact, index=index, again=again, high=high):
                self._announced(self.contacts[contact], index, again, high)
            case _:
                self._apply_callback(record)

    def _apply_callback(self, record: f.Record) -> None:
        match record.what:
            case f.CallbackKept():
                kept = record.what
                self.callbacks[kept.callback] = CallbackState(
                    kept.callback,
                    kept.number,
                    kept.queue,
                    kept.place,
                    kept.since,
                    kept.due,
                    kept.agent,
                    kept.needs,
                    kept.priority,
                )
                self.deadlines.add(kept.due, "callback", kept.callback)
            case f.CallbackQueued(callback=callback, contact=contact):
                self.callbacks[callback].contact = contact
                self.contacts[contact].callback = callback
            case f.CustomerCalling(callback=callback, attempt=attempt, deadline=deadline):
                state = self.callbacks[callback]
                state.attempts, state.calling = attempt, deadline
                self.deadlines.add(deadline, "callback", callback)
            case f.CallbackTried(callback=callback, outcome=outcome, due=due):
                state = self.callbacks[callback]
                state.calling, state.latest, state.contact, state.due = 0.0, outcome, "", due
                self.deadlines.add(due, "callback", callback)
            case f.CallbackEnded(callback=callback, how=how):
                reached = self.contacts.get(self.callbacks.pop(callback).contact)
                if reached is not None and how == "answered":
                    reached.kind = "call"
            case _:
                pass  # an input, or `Refused`

    # ---- agents

    def _agent_changed(self, fact: f.AgentChanged, record: f.Record) -> None:
        state = self.agents[fact.agent]
        before, now = state.state, record.time
        if before in WORK:
            self._load(state, now, talk=now - state.since)
        self._note_handling(state, fact, now)
        if before in AT_WORK and fact.state not in AT_WORK:
            self._leave_others(state, now)
        elif fact.state in AT_WORK and before not in AT_WORK and before != "signed_out":
            self._load_as_others(state, now)
        state.state, state.since, state.reason = fact.state, now, fact.reason
        state.until, state.contact, state.offer = fact.until, fact.contact, fact.offer
        if fact.contact in self.contacts:
            state.queue = self.contacts[fact.contact].served_in
        self.freed.pop(fact.agent, None)
        if fact.state == "ready":
            state.ready_seq = record.id
            self.freed[fact.agent] = None
        elif fact.state == "wrap_up":
            state.extended = 0.0
            self.deadlines.add(fact.until, "agent", fact.agent)
        elif fact.state in ("paused", "signed_out"):
            state.after = ""
        if fact.state == "signed_out":
            self.addresses.pop(state.address, None)
            state.address, state.direct = "", False
        self._noted(state)

    def _note_handling(self, state: AgentState, fact: f.AgentChanged, now: float) -> None:
        """From the answer to the end of wrap-up an agent has a contact."""
        begins = fact.why in ("accepted", "taken")
        if state.handling and (begins or fact.state not in HANDLING):
            self.handling.setdefault(state.queue, Handling()).note(now - state.handling)
            state.handling = 0.0
        if begins:
            state.handling = now

    def _noted(self, state: AgentState) -> None:
        self.roster.note(state)
        if state.state == "ready":
            self.freed[state.id] = None

    def _load(self, state: AgentState, now: float, calls: float = 0.0, talk: float = 0.0) -> None:
        """More work of an agent, on what is left of that in its window."""
        left = math.exp((state.loaded - now) / self.team(state.id).window)
        state.calls, state.talk, state.loaded = state.calls * left + calls, state.talk * left + talk, now

    def _mean(self, state: AgentState, column: Floats, now: float) -> float:
        """Of the agents of its team who are at work, without itself."""
        others = self.roster.team(self.settings(state.id).team) & self.roster.at_work
        others[self.roster.row[state.id]] = False
        rows = np.flatnonzero(others)
        if not len(rows):
            return 0.0
        return float(self.roster.loads(column, rows, self.team(state.id).window, now).mean())

    def _leave_others(self, state: AgentState, now: float) -> None:
        """It takes nothing for a while: how it stands to the others is kept."""
        self._load(state, now)
        calls, talk = self._mean(state, self.roster.calls, now), self._mean(state, self.roster.talk, now)
        state.calls_share = state.calls / calls if calls > 0.0 else 1.0
        state.talk_share = state.talk / talk if talk > 0.0 else 1.0

    def _load_as_others(self, state: AgentState, now: float) -> None:
        """It comes, or comes back: as it stood to the others."""
        state.calls = self._mean(state, self.roster.calls, now) * state.calls_share
        state.talk = self._mean(state, self.roster.talk, now) * state.talk_share
        state.loaded = now

    # ---- contacts

    def _queued(self, fact: f.Queued, record: f.Record) -> None:
        contact = self.contacts.setdefault(fact.contact, ContactState(fact.contact))
        contact.queue = contact.served_in = fact.queue
        contact.kind, contact.number, contact.needs, contact.priority = (
            fact.kind,
            fact.number,
            fact.needs,
            fact.priority,
        )
        contact.place, contact.seq, contact.entered, contact.since = fact.place, record.id, fact.entered, fact.since
        contact.moves, contact.row, contact.open, contact.told = fact.moves, NOWHERE, False, -1.0
        contact.asks = asks(self.queue(fact.queue), 0, fact.needs)
        contact.relaxed, contact.widened, contact.only, contact.patience, contact.skipped = 0, 0, "", 0.0, {}
        contact.announced = [fact.entered + each.first for each in self.queue(fact.queue).announcements]
        for due in contact.announced:
            self.deadlines.add(due, "announce", fact.contact)
        self.returning.pop((fact.queue, fact.number), None)

    def _classed(self, fact: f.Classed) -> None:
        contact = self.contacts[fact.contact]
        self._out_of_line(contact)
        contact.asks, contact.relaxed, contact.widened, contact.only = fact.needs, fact.relaxed, fact.widened, fact.only
        contact.patience, contact.skipped, contact.until = fact.patience, dict(fact.skipped), fact.until
        self.deadlines.add(fact.until, "contact", fact.contact)
        self._into_line(contact)

    def _into_line(self, contact: ContactState) -> None:
        """Open for an offer, or set aside while it is being offered: then it needs no class."""
        contact.open = still_wanted(self.queue(contact.queue), len(contact.offers)) > 0
        contact.row = self.classes.row(self.class_of(contact)) if contact.open else ASIDE
        if contact.open:
            self.classes.add(contact.row, contact.waiter)
            self.opened[contact.id] = None
        else:
            self.classes.set_aside(contact.queue, contact.waiter)
            self.opened.pop(contact.id, None)

    def _out_of_line(self, contact: ContactState) -> None:
        if contact.row == NOWHERE:
            return
        if contact.open:
            self.classes.remove(contact.row, contact.waiter)
        else:
            self.classes.take_back(contact.queue, contact.waiter)
        contact.row, contact.open = NOWHERE, False
        self.opened.pop(contact.id, None)

    def _offered(self, fact: f.Offered, record: f.Record) -> None:
        offer = OfferState(record.id, fact.contact, fact.agent, fact.queue, fact.deadline, record.time)
        self.offers[record.id] = offer
        self.deadlines.add(fact.deadline, "offer", record.id)
        self.latest[fact.queue] = fact.agent
        contact = self.contacts[fact.contact]
        contact.offers.append(record.id)
        if still_wanted(self.queue(fact.queue), len(contact.offers)) == 0:
            self._out_of_line(contact)
            self._into_line(contact)

    def _offer_ended(self, fact: f.OfferEnded) -> None:
        offer = self.offers.pop(fact.offer)
        contact = self.contacts[offer.contact]
        contact.offers.remove(fact.offer)
        if fact.how != "accepted" and not contact.open and contact.queue:
            self._out_of_line(contact)
            self._into_line(contact)

    def _connected(self, name: str, agent: str) -> None:
        contact = self.contacts[name]
        self._out_of_line(contact)
        contact.queue = ""
        contact.agents.append(agent)
        state = self.agents[agent]
        state.misses = 0
        self._load(state, self.now, calls=1.0)
        self.roster.note(state)

    def _drop_agent(self, name: str, agent: str) -> None:
        self.contacts[name].agents.remove(agent)

    def _left(self, fact: f.LeftQueue) -> None:
        contact = self.contacts[fact.contact]
        self._out_of_line(contact)
        contact.queue = ""
        queue = self.queue(fact.queue)
        if fact.how == "abandoned" and contact.number and queue.return_within > 0.0:
            while len(self.returning) >= MAX_RETURNING:
                del self.returning[next(iter(self.returning))]
            kept = Returning(contact.place, contact.since, self.now + queue.return_within)
            self.returning[fact.queue, contact.number] = kept

    def _announced(self, contact: ContactState, index: int, again: float, high: float) -> None:
        contact.announced[index] = again
        self.deadlines.add(again, "announce", contact.id)
        if high >= 0.0:
            contact.told = self.now + high

    # ---- the configuration

    def _configure(self, config: Config) -> None:
        """Columns and classes are made anew; who is where, and waits since when, is carried over."""
        gone = [agent for agent in self.agents.values() if agent.id not in config.agents]
        self.carried = {agent.id: self.settings(agent.id) for agent in gone if agent.signed_in}
        for agent in gone:
            if agent.id not in self.carried:
                del self.agents[agent.id]
        self.config = config
        for name in config.agents:
            self.agents.setdefault(name, AgentState(name))
        self._columns()

    def _columns(self) -> None:
        """Roster, classes and deadlines, out of the records."""
        self.roster = Roster(self.config, self.carried.values())
        self.classes = Classes(self.roster)
        self.opened.clear()
        self.freed.clear()
        for agent in self.agents.values():
            self._noted(agent)
        for contact in self.contacts.values():
            contact.row, contact.open = NOWHERE, False
            if contact.queue:
                queue = self.queue(contact.queue)
                contact.relaxed = min(contact.relaxed, len(queue.relax))
                contact.widened = min(contact.widened, len(queue.widen))
                contact.asks = asks(queue, contact.relaxed, contact.needs)
                del contact.announced[len(queue.announcements) :]
                contact.announced += [0.0] * (len(queue.announcements) - len(contact.announced))
                self._into_line(contact)
        self.deadlines = Deadlines(self._due())

    def _due(self) -> Iterator[Due]:
        """Every deadline there is."""
        for agent in self.agents.values():
            if agent.state == "wrap_up":
                yield Due(agent.until, "agent", agent.id)
        for offer in self.offers.values():
            yield Due(offer.deadline, "offer", offer.id)
        for contact in self.contacts.values():
            if contact.queue:
                yield Due(contact.until, "contact", contact.id)
                for again in contact.announced:
                    yield Due(again, "announce", contact.id)
        for callback in self.callbacks.values():
            yield Due(callback.calling or callback.due, "callback", callback.id)

    # ---- snapshot

    def snapshot(self) -> bytes:
        """All of it, for `restore`. Which row a class has hangs on who has looked at it: that is left out."""
        contacts = {name: msgspec.structs.replace(each, row=NOWHERE) for name, each in self.contacts.items()}
        return msgspec.msgpack.encode(
            Snapshot(
                self.config,
                self.carried,
                self.agents,
                contacts,
                self.offers,
                self.callbacks,
                sorted(self.unreachable),
                self.latest,
                self.handling,
                [(*key, kept) for key, kept in self.returning.items()],
                self.last_id,
                self.now,
            )
        )

    @classmethod
    def restore(cls, snapshot: bytes) -> State:
        """Raises `msgspec.ValidationError` where that is no snapshot of this version."""
        kept = msgspec.msgpack.decode(snapshot, type=Snapshot)
        state = cls()
        state.config, state.carried, state.agents, state.contacts = (
            kept.config,
            kept.carried,
            kept.agents,
            kept.contacts,
        )
        state.offers, state.callbacks, state.latest = kept.offers, kept.callbacks, kept.latest
        state.unreachable, state.handling = set(kept.unreachable), kept.handling
        state.returning = {(queue, number): each for queue, number, each in kept.returning}
        state.last_id, state.now = kept.last_id, kept.now
        state.addresses = {agent.address: agent.id for agent in state.agents.values() if agent.signed_in}
        state._columns()
        return state


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The records of a `State`."""

    config: Config
    carried: dict[str, Agent]
    agents: dict[str, AgentState]
    contacts: dict[str, ContactState]
    offers: dict[int, OfferState]
    callbacks: dict[str, CallbackState]
    unreachable: list[str]
    latest: dict[str, str]
    handling: dict[str, Handling]
    returning: list[tuple[str, str, Returning]]
    last_id: int
    now: float


def asks(queue: Queue, relaxed: int, needs: str) -> str:
    """The expression in force for a contact of a queue: what the queue asks for by now, and what the contact does."""
    base = queue.relax[relaxed - 1].needs if relaxed else queue.needs
    if not base.strip() or not needs.strip():
        return str(reread(base if base.strip() else needs))
    return str(reread(f"({base}) and ({needs})"))

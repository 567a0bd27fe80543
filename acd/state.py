"""The state of the engine: a fold over facts. `apply` decides nothing.

Agents, contacts, offers and callbacks are plain records, which a snapshot holds; roster and classes are columns and
sorted lists made from them, and `restore` makes them anew. `opened` and `freed` name the contacts and agents that have
become free for a match; whoever matches empties them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

import msgspec
import numpy as np

from acd.agent import AgentState
from acd.classes import Classes, ClassKey
from acd.config import BY_AGENTS, Agent, Config, Queue, Team
from acd.contact import Arrivals, Asking, CallbackState, ContactState, Handling, Impatience, OfferState, Returning
from acd.deadlines import Deadlines, Due
from acd.expression import Bools, reread
from acd.roster import Floats, Roster
from acd.shape import shape
from acd.strategy import still_wanted

MAX_SERVING = 4096
"""Answers to `State.serving` that are kept."""

MAX_SHARE = 2.0
"""How many times the mean, or how small a part of it, is kept of who stops taking contacts. Where the others have done
next to nothing for hours, as at the beginning of a day, a single call is thousands of times the mean."""

APART, ALONE = -1, -2
"""In place of a row: a contact is open for no offer, as it is being offered, or waits for one agent."""


class State:
    """All that the engine knows."""

    __slots__ = (
        "_serving",
        "addresses",
        "agents",
        "arrivals",
        "asking",
        "callbacks",
        "carried",
        "classes",
        "config",
        "contacts",
        "deadlines",
        "freed",
        "handling",
        "impatience",
        "kept",
        "last_id",
        "latest",
        "now",
        "offers",
        "opened",
        "returning",
        "roster",
        "rows",
        "unreachable",
        "urgent",
        "wanted",
        "watched",
        "watchful",
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
        self.impatience: dict[str, Impatience] = {}
        """By queue: how fast those who wait there give up lately."""
        self.arrivals: dict[str, Arrivals] = {}
        """By queue: how fast callers come lately."""
        self.latest: dict[str, str] = {}
        """By queue: the agent to whom a contact of it was offered last."""
        self.returning: dict[tuple[str, str], Returning] = {}
        self.asking: dict[str, Asking] = {}
        self.kept: Counter[tuple[str, str]] = Counter()
        """How many callbacks there are, by queue and number."""
        self.wanted: dict[str, dict[str, int]] = {}
        """By queue: what the contacts that wait there need besides, and how many each."""
        self.urgent: dict[str, list[Queue]] = {}
        """By team: its queues, those of the highest priority first."""
        self.watchful: list[Queue] = []
        """Queues that those who wait leave when there are no agents for them."""
        self.watched = np.zeros((0, 0), np.bool_)
        """Which agents might serve these: shape (agents, queues)."""
        self._serving: dict[tuple[str, str], Bools] = {}
        self.last_id = 0
        self.now = 0.0
        self.roster = Roster(self.config)
        self.classes = Classes(self.roster)
        self.deadlines = Deadlines()
        self.rows: dict[str, int] = {}
        """Of the contacts that wait: the row of their class, `APART` or `ALONE`."""
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

    def row_of(self, contact: ContactState) -> int:
        """Of the class of one that waits."""
        return self.classes.row(ClassKey(contact.queue, contact.asks, contact.widened))

    def serving(self, queue: Queue, needs: str) -> Bools:
        """Who might have a contact with such needs of its own, however far it is relaxed and the queue widened: shape
        (agents,)."""
        found = self._serving.get((queue.name, needs))
        if found is None:
            if len(self._serving) >= MAX_SERVING:
                self._serving.clear()
            widest, steps = len(queue.widen), range(len(queue.relax) + 1)
            masks = [self.roster.eligible(queue, reread(asks(queue, step, needs)), widest) for step in steps]
            found = self._serving[queue.name, needs] = np.asarray(np.logical_or.reduce(masks))
        return found

    def asking_in(self, contact: str, queue: str = "") -> Asking | None:
        """The place of who was sent from a queue, "" is any, to a callback lately."""
        found = self.asking.get(contact)
        if found is None or found.until <= self.now or queue not in ("", found.queue):
            return None
        return found

    def is_reachable(self, address: str) -> bool:
        return address not in self.unreachable

    # ---- agents

    def noted(self, agent: AgentState) -> None:
        """An agent has changed: so do the columns, and whether it is free for a match."""
        self.roster.note(agent)
        if agent.state == "ready":
            self.freed[agent.id] = None
        else:
            self.freed.pop(agent.id, None)

    def load(self, state: AgentState, now: float, calls: float = 0.0, talk: float = 0.0) -> None:
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

    def leave_others(self, state: AgentState, now: float) -> None:
        """It takes nothing for a while: how it stands to the others is kept."""
        self.load(state, now)
        state.calls_share = _share(state.calls, self._mean(state, self.roster.calls, now))
        state.talk_share = _share(state.talk, self._mean(state, self.roster.talk, now))

    def load_as_others(self, state: AgentState, now: float) -> None:
        """It comes, or comes back: as it stood to the others."""
        state.calls = self._mean(state, self.roster.calls, now) * state.calls_share
        state.talk = self._mean(state, self.roster.talk, now) * state.talk_share
        state.loaded = now

    # ---- contacts in line

    def begins(self, contact: ContactState) -> None:
        """A contact waits in its queue."""
        wanted = self.wanted.setdefault(contact.queue, {})
        wanted[contact.needs] = wanted.get(contact.needs, 0) + 1

    def ends(self, contact: ContactState) -> None:
        """It waits there no longer."""
        self.out_of_line(contact)
        wanted = self.wanted[contact.queue]
        wanted[contact.needs] -= 1
        if not wanted[contact.needs]:
            del wanted[contact.needs]
        contact.queue = ""

    def into_line(self, contact: ContactState) -> None:
        """Open for an offer, or apart while it is being offered."""
        if still_wanted(self.queue(contact.queue), len(contact.offers)) <= 0:
            self.classes.set_apart(contact.queue, contact.waiter)
            self.rows[contact.id] = APART
            return
        self.opened[contact.id] = None
        if contact.only:
            self.classes.add_alone(contact.only, contact.queue, contact.waiter)
            self.rows[contact.id] = ALONE
        else:
            row = self.rows[contact.id] = self.row_of(contact)
            self.classes.add(row, contact.waiter)

    def out_of_line(self, contact: ContactState) -> None:
        row = self.rows.pop(contact.id, None)
        if row is None:
            return
        if row == APART:
            self.classes.take_back(contact.queue, contact.waiter)
            return
        self.opened.pop(contact.id, None)
        if row == ALONE:
            self.classes.remove_alone(contact.only, contact.queue, contact.waiter)
        else:
            self.classes.remove(row, contact.waiter)

    # ---- the configuration

    def configure(self, config: Config) -> None:
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
        self._serving.clear()
        self.kept = Counter((each.queue, each.number) for each in self.callbacks.values())
        self.wanted.clear()
        self.urgent.clear()
        for queue in sorted(self.config.queues.values(), key=lambda each: -each.priority):
            self.urgent.setdefault(queue.team, []).append(queue)
        self.watchful = [
            queue
            for queue in self.config.queues.values()
            if any(limit.waiting and limit.of in BY_AGENTS for limit in queue.limits)
        ]
        masks = [self.serving(queue, "") for queue in self.watchful]
        self.watched = np.array(masks, np.bool_).reshape(len(masks), len(self.roster)).T.copy()
        self.rows.clear()
        self.opened.clear()
        self.freed.clear()
        for agent in self.agents.values():
            self.noted(agent)
        for contact in self.contacts.values():
            if contact.queue:
                queue = self.queue(contact.queue)
                contact.relaxed = min(contact.relaxed, len(queue.relax))
                contact.widened = min(contact.widened, len(queue.widen))
                contact.asks = asks(queue, contact.relaxed, contact.needs)
                del contact.announced[len(queue.announcements) :]
                contact.announced += [0.0] * (len(queue.announcements) - len(contact.announced))
                self.begins(contact)
                self.into_line(contact)
        self.deadlines = Deadlines(self.due())

    def due(self) -> Iterator[Due]:
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
        """All of it, for `restore`."""
        return msgspec.msgpack.encode(
            Snapshot(
                shape(Snapshot),
                self.config,
                self.carried,
                self.agents,
                self.contacts,
                self.offers,
                self.callbacks,
                sorted(self.unreachable),
                self.latest,
                self.handling,
                [(*key, kept) for key, kept in self.returning.items()],
                self.asking,
                self.last_id,
                self.now,
                self.impatience,
                self.arrivals,
            )
        )

    @classmethod
    def restore(cls, snapshot: bytes) -> State:
        """Raises `msgspec.ValidationError` where that is no snapshot of this version."""
        kept = msgspec.msgpack.decode(snapshot, type=Snapshot)
        if kept.shape != shape(Snapshot):
            raise msgspec.ValidationError("a snapshot of another version")
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
        state.asking, state.impatience, state.arrivals = kept.asking, kept.impatience, kept.arrivals
        state.last_id, state.now = kept.last_id, kept.now
        state.addresses = {agent.address: agent.id for agent in state.agents.values() if agent.signed_in}
        state._columns()
        return state


def _share(own: float, mean: float) -> float:
    """How one stands to the others."""
    return min(max(own / mean, 1.0 / MAX_SHARE), MAX_SHARE) if mean > 0.0 else 1.0


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The records of a `State`. `shape`: of these structs, see `acd.shape`."""

    shape: int
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
    asking: dict[str, Asking]
    last_id: int
    now: float
    impatience: dict[str, Impatience]
    arrivals: dict[str, Arrivals]


def asks(queue: Queue, relaxed: int, needs: str) -> str:
    """The expression in force for a contact of a queue: what the queue asks for by now, and what the contact does."""
    if not relaxed:
        return _both(queue.needs, needs)
    step = queue.relax[relaxed - 1]
    return _both(step.needs, needs if step.own else "")


@lru_cache(maxsize=4096)
def _both(base: str, needs: str) -> str:
    if not base.strip() or not needs.strip():
        return str(reread(base if base.strip() else needs))
    return str(reread(f"({base}) and ({needs})"))

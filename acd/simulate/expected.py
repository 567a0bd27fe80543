"""The expected wait held against the wait: of each contact that nobody is free for when it comes into a queue, what the
engine would say then, whether or not the queue announces it, and how long it waited for its answer.

Who gives up is judged by the wait that it would have had, with more patience: until an agent who might have had it, as
it stood when it left, answers a contact with a later place, or has nothing to do. So it is not that the impatient, who
leave the longest waits, make the others look well estimated. Who leaves the queue in another way is judged by nothing;
one that flows over into another queue comes in there anew.

All is read of records and state, and nothing is told to the engine: a run is the same with it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from typing import NamedTuple

from acd import facts as f
from acd.classes import ClassKey, Waiter
from acd.contact import ContactState
from acd.engine import Engine
from acd.simulate.tally import ALL, ESTIMATED, IN_RANGE, JUDGED, LINED_UP, OFF, REAL, TOO_LONG, Tally
from acd.wait_estimate import Wait, estimate


class Said(NamedTuple):
    """What was expected of a contact when it came into a queue, at `entered`."""

    contact: ContactState
    queue: str
    entered: float
    wait: Wait


class Gone(NamedTuple):
    """One who gave up and would wait still; in order of places."""

    waiter: Waiter
    key: ClassKey
    said: Said


class Expected:
    """Counts what becomes of estimates in a tally."""

    __slots__ = ("_engine", "_gone", "_said", "_tally")

    def __init__(self, engine: Engine, tally: Tally) -> None:
        self._engine, self._tally = engine, tally
        self._said: dict[str, Said] = {}
        self._gone: dict[str, list[Gone]] = {}  # by queue

    def watch(self, records: Iterable[f.Record]) -> None:
        """The records of an input or a tick, after it."""
        entered: dict[str, None] = {}
        idle = []
        for record in records:
            what = record.what
            kind = type(what)
            if kind is f.Queued:
                entered[what.contact] = None  # type: ignore[union-attr]
            elif kind is f.Connected:
                self._connected(what, record.time)  # type: ignore[arg-type]
            elif kind is f.LeftQueue:
                self._left(what)  # type: ignore[arg-type]
            elif kind is f.AgentChanged and what.state == "ready":  # type: ignore[union-attr]
                idle.append((what.agent, record.time))  # type: ignore[union-attr]
        for contact in entered:
            self._came(contact)
        if self._gone:
            for agent, now in idle:
                if self._engine.state.agents[agent].state == "ready":
                    self._served(agent, now)

    # ---- inside

    def _came(self, name: str) -> None:
        """A contact, unless somebody is rung for it already."""
        state = self._engine.state
        contact = state.contacts.get(name)
        if contact is None or not contact.queue or contact.offers or contact.kind != "call":
            return
        self._count(LINED_UP, contact.queue, contact.entered)
        wait = estimate(state, contact)
        if wait is not None:
            self._count(ESTIMATED, contact.queue, contact.entered)
            self._said[name] = Said(contact, contact.queue, contact.entered, wait)

    def _connected(self, fact: f.Connected, now: float) -> None:
        said = self._said.pop(fact.contact, None)
        if said is not None:
            self._judge(said, now)
        if self._gone:
            contact = self._engine.state.contacts.get(fact.contact)
            if contact is not None:
                self._served(fact.agent, now, contact)

    def _left(self, fact: f.LeftQueue) -> None:
        said = self._said.pop(fact.contact, None)
        if said is None or fact.how != "abandoned":
            return
        contact = said.contact
        key = ClassKey(said.queue, contact.asks, contact.widened)
        insort(self._gone.setdefault(said.queue, []), Gone(contact.waiter, key, said))

    def _served(self, agent: str, now: float, contact: ContactState | None = None) -> None:
        """An agent has that contact, or could have any: so it would those who would have been before it."""
        state = self._engine.state
        row = state.roster.row[agent]
        for queue, gone in list(self._gone.items()):
            if not state.agents[agent].takes(state.queue(queue).direction):
                continue
            kept = []
            for at, each in enumerate(gone):
                if contact is not None and each.waiter > contact.waiter:
                    kept += gone[at:]
                    break
                if state.classes.mask(state.classes.row(each.key))[row]:
                    self._judge(each.said, now)
                else:
                    kept.append(each)
            if kept:
                self._gone[queue] = kept
            else:
                del self._gone[queue]

    def _judge(self, said: Said, now: float) -> None:
        wait, (low, high) = now - said.entered, said.wait
        more = (low + high) / 2.0 - wait
        self._count(JUDGED, said.queue, said.entered)
        self._count(IN_RANGE, said.queue, said.entered, float(low <= wait <= high))
        self._count(OFF, said.queue, said.entered, abs(more))
        self._count(TOO_LONG, said.queue, said.entered, more)
        self._count(REAL, said.queue, said.entered, wait)

    def _count(self, measure: int, queue: str, entered: float, number: float = 1.0) -> None:
        """By the interval in which it came in."""
        at = self._tally.at(entered)
        self._tally.queue(queue)[measure][at] += number
        self._tally.queue(ALL)[measure][at] += number

"""Waiting contacts by class, and each class in order: `docs/acd.md`, "Whom a contact may go to".

A class is a row of `eligible` (classes x agents) and a column of `of_agent` (agents x classes), the same booleans
twice, so that either question reads one stretch of memory. Contacts that are open for an offer stand in the sorted list
of their class; `head` has the least place of each class, infinite where it is empty. Two kinds stand elsewhere: those
that wait for one agent alone, with that agent, and those that are being offered, aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sortedcontainers import SortedList

from acd.expression import Bools, reread
from acd.roster import Floats, Roster

MAX_CLASSES = 16_384
"""Classes that are kept although nobody waits in them; when there are more, the empty ones are forgotten."""
FIRST_ROWS = 64
NOBODY = np.inf


class ClassKey(NamedTuple):
    """What the contacts of a class have in common."""

    queue: str
    needs: str
    widened: int


class Waiter(NamedTuple):
    """A contact in order. `seq`: who came first among equals."""

    place: float
    seq: int
    contact: str


class Classes:
    """All classes over one roster."""

    __slots__ = (
        "_alone",
        "_apart",
        "_first",
        "_free",
        "_keys",
        "_overlaps",
        "_queue_index",
        "_roster",
        "_waiting",
        "count",
        "eligible",
        "head",
        "inbound",
        "of_agent",
        "queue",
        "queue_rows",
        "rows",
        "size",
        "tail",
    )

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.rows: dict[ClassKey, int] = {}
        self.queue_rows: dict[str, list[int]] = {}
        self._keys: list[ClassKey | None] = []
        self._waiting: list[SortedList[Waiter]] = []
        self._first: list[Waiter | None] = []  # of those waiting
        self._free: list[int] = []
        self._alone: dict[str, SortedList[Waiter]] = {}  # by agent: those that wait for that one
        self._apart: dict[str, SortedList[Waiter]] = {}  # by queue: these, and those that are being offered
        self.eligible = np.zeros((FIRST_ROWS, len(roster)), np.bool_)
        self.of_agent = np.zeros((len(roster), FIRST_ROWS), np.bool_)
        self.head: Floats = np.full(FIRST_ROWS, NOBODY)
        self.tail: Floats = np.full(FIRST_ROWS, NOBODY)
        self.count = np.zeros(FIRST_ROWS, np.int64)
        self.inbound: Bools = np.zeros(FIRST_ROWS, np.bool_)
        self.size = np.zeros(FIRST_ROWS, np.int64)  # eligible agents
        self.queue = np.zeros(FIRST_ROWS, np.intp)  # in the order of the configuration
        self._overlaps: dict[int, Floats] = {}
        self._queue_index = {name: index for index, name in enumerate(roster.config.queues)}

    # ---- rows

    def row(self, key: ClassKey) -> int:
        """The row of a class, made when it is first asked for."""
        found = self.rows.get(key)
        return self._make(key) if found is None else found

    def mask(self, row: int) -> Bools:
        """Who may have the contacts of a class: shape (agents,)."""
        return np.asarray(self.eligible[row])

    def key(self, row: int) -> ClassKey:
        """Of a class that there is."""
        found = self._keys[row]
        assert found is not None
        return found

    def _make(self, key: ClassKey) -> int:
        if len(self.rows) >= MAX_CLASSES:
            self._forget_empty()
        row = self._free.pop() if self._free else self._grow()
        queue = self._roster.config.queues[key.queue]
        mask = self._roster.eligible(queue, reread(key.needs), key.widened)
        self._keys[row] = key
        self.eligible[row] = mask
        self.of_agent[:, row] = mask
        self.size[row] = mask.sum()
        self.inbound[row] = queue.direction == "inbound"
        self.queue[row] = self._queue_index[key.queue]
        self._overlaps.clear()
        self.rows[key] = row
        self.queue_rows.setdefault(key.queue, []).append(row)
        return row

    def _grow(self) -> int:
        row, have = len(self._keys), len(self.head)
        self._keys.append(None)
        self._waiting.append(SortedList())
        self._first.append(None)
        if row == have:
            self.eligible = np.concatenate([self.eligible, np.zeros_like(self.eligible)])
            self.of_agent = np.concatenate([self.of_agent, np.zeros_like(self.of_agent)], axis=1)
            self.head = np.concatenate([self.head, np.full(have, NOBODY)])
            self.tail = np.concatenate([self.tail, np.full(have, NOBODY)])
            self.count = np.concatenate([self.count, np.zeros(have, np.int64)])
            self.inbound = np.concatenate([self.inbound, np.zeros(have, np.bool_)])
            self.size = np.concatenate([self.size, np.zeros(have, np.int64)])
            self.queue = np.concatenate([self.queue, np.zeros(have, np.intp)])
        return row

    def _forget_empty(self) -> None:
        for key, row in list(self.rows.items()):
            if not self._waiting[row]:
                del self.rows[key]
                self.queue_rows[key.queue].remove(row)
                self._keys[row] = None
                self._free.append(row)
                self._overlaps.clear()

    # ---- open for an offer

    def add(self, row: int, waiter: Waiter) -> None:
        """A contact may be offered to whoever may have those of its class."""
        self._waiting[row].add(waiter)
        self.count[row] += 1
        first = self._first[row]
        if first is None or waiter < first:
            self._first[row], self.head[row] = waiter, waiter.place
        if first is None or waiter.place > self.tail[row]:
            self.tail[row] = waiter.place

    def remove(self, row: int, waiter: Waiter) -> None:
        """It is open no more."""
        waiting = self._waiting[row]
        waiting.remove(waiter)
        self.count[row] -= 1
        if not waiting:
            self._first[row], self.head[row], self.tail[row] = None, NOBODY, NOBODY
            return
        if waiter == self._first[row]:
            first = self._first[row] = waiting[0]
            self.head[row] = first.place
        if waiter.place >= self.tail[row]:
            self.tail[row] = waiting[-1].place

    def first(self, row: int) -> Waiter | None:
        """Of those of a class."""
        return self._first[row]

    def waiting(self, row: int) -> SortedList[Waiter]:
        """Those of a class, in order."""
        return self._waiting[row]

    def add_alone(self, agent: str, queue: str, waiter: Waiter) -> None:
        """A contact waits for one agent and nobody else."""
        self._alone.setdefault(agent, SortedList()).add(waiter)
        self.set_apart(queue, waiter)

    def remove_alone(self, agent: str, queue: str, waiter: Waiter) -> None:
        self._alone[agent].remove(waiter)
        if not self._alone[agent]:
            del self._alone[agent]
        self.take_back(queue, waiter)

    def alone(self, agent: str) -> SortedList[Waiter] | tuple[()]:
        """Those that wait for an agent and nobody else, in order."""
        return self._alone.get(agent, ())

    # ---- in the queue

    def set_apart(self, queue: str, waiter: Waiter) -> None:
        """A contact keeps its place in a queue, and is in no class: it is being offered, say."""
        self._apart.setdefault(queue, SortedList()).add(waiter)

    def take_back(self, queue: str, waiter: Waiter) -> None:
        self._apart[queue].remove(waiter)

    def length(self, queue: str) -> int:
        """Contacts of a queue that no agent has."""
        return sum(map(len, self._lines(queue)))

    def ahead(self, queue: str, waiter: Waiter) -> int:
        """Of these, those before that one."""
        return sum(line.bisect_left(waiter) for line in self._lines(queue))

    def alone_before(self, row: int, waiter: Waiter) -> int:
        """Those before that one that wait for one agent alone, who may have the contacts of a class."""
        mask, rows = self.eligible[row], self._roster.row
        return sum(line.bisect_left(waiter) for agent, line in self._alone.items() if mask[rows[agent]])

    def everybody(self, queue: str) -> list[Waiter]:
        """All of them, in order."""
        return sorted(waiter for line in self._lines(queue) for waiter in line)

    def _lines(self, queue: str) -> Iterator[SortedList[Waiter]]:
        for row in self.queue_rows.get(queue, ()):
            yield self._waiting[row]
        if queue in self._apart:
            yield self._apart[queue]

    # ---- competition

    def overlap(self, row: int) -> Floats:
        """Of the agents of each class, which part may have the contacts of that one, too: shape (rows,)."""
        found = self._overlaps.get(row)
        if found is None:
            rows = len(self._keys)
            both = (self.eligible[:rows] & self.eligible[row]).sum(axis=1)
            found = self._overlaps[row] = both / np.maximum(self.size[:rows], 1)
        return found

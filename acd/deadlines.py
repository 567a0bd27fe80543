"""What is due when: one heap of names. Whoever takes a deadline that is due looks whether it still counts."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Literal, NamedTuple

Kind = Literal["agent", "offer", "contact", "announce", "callback"]


class Due(NamedTuple):
    """At `at` something may have to be done about the agent, offer, contact or callback of that name."""

    at: float
    kind: Kind
    key: str | int


SPARE = 10_000
"""Deadlines that may be added before it is looked whether those that are there count."""


class Deadlines:
    """All of them; those that count no more are among them until they are due, or there are too many."""

    __slots__ = ("_heap", "_many")

    def __init__(self, due: Iterable[Due] = ()) -> None:
        self._heap: list[Due] = []
        self.renew(due)

    def renew(self, due: Iterable[Due]) -> None:
        """These count, and no others."""
        self._heap[:] = [each for each in due if each.at > 0.0]
        heapq.heapify(self._heap)
        self._many = 2 * len(self._heap) + SPARE

    @property
    def too_many(self) -> bool:
        """Whether so many have been added that those which count no more may be the most by now."""
        return len(self._heap) > self._many

    def add(self, at: float, kind: Kind, key: str | int) -> None:
        """0.0: there is none."""
        if at > 0.0:
            heapq.heappush(self._heap, Due(at, kind, key))

    @property
    def next(self) -> float | None:
        """When the earliest is due; None: nothing is."""
        return self._heap[0].at if self._heap else None

    def take(self, now: float) -> Due | None:
        """The earliest that is due."""
        return heapq.heappop(self._heap) if self._heap and self._heap[0].at <= now else None

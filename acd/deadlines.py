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


class Deadlines:
    """All of them; those that count no more are among them until they are due."""

    __slots__ = ("_heap",)

    def __init__(self, due: Iterable[Due] = ()) -> None:
        self._heap = [each for each in due if each.at > 0.0]
        heapq.heapify(self._heap)

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

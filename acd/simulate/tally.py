"""What is counted of a run, by interval: contacts by the interval in which they came into a queue, agents' time by that
in which it passed. The meanings are those of the KPIs; they are few here, and counted from facts as they come.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acd.agent import HANDLING
from acd.facts import AgentStateName

Counts = NDArray[np.float64]

ALL = ""
"""The name under which a contact counts once, however many queues it has been in."""


class Measures(NamedTuple):
    """Counts by interval, each of shape (intervals,). `within`: answered within the threshold of the queue; `short`:
    abandoned sooner than is counted against it; `out`: flowed out; `waits`: sum of the seconds that the answered
    waited; `handling`, `idle`: seconds of agents in talk and wrap-up, and ready, of all queues together.

    Of the expected wait, where it is measured (`acd.simulate.expected`): `lined_up`: contacts that nobody was free for
    when they came in; `estimated`: those of whom it was known then; `judged`: those of whom it is known by now how long
    they waited, or would have; `in_range`: that lay within the estimate; `off`, `too_long`: by how many seconds the
    middle of it differed, and by how many more it was; `real`: the seconds that they waited."""

    offered: Counts
    answered: Counts
    within: Counts
    abandoned: Counts
    short: Counts
    out: Counts
    waits: Counts
    handling: Counts
    idle: Counts
    lined_up: Counts
    estimated: Counts
    judged: Counts
    in_range: Counts
    off: Counts
    too_long: Counts
    real: Counts


MEASURES = len(Measures._fields)
OFFERED, ANSWERED, WITHIN, ABANDONED, SHORT, OUT, WAITS, HANDLED, IDLE, *_EXPECTED = range(MEASURES)
LINED_UP, ESTIMATED, JUDGED, IN_RANGE, OFF, TOO_LONG, REAL = _EXPECTED


def intervals(seconds: float, width: float) -> int:
    """How many there are, the last one perhaps shorter."""
    return max(math.ceil(seconds / width - 1e-9), 1)


class Tally:
    """`begin`, `end`: Unix seconds; what comes before or after is not counted. `width`: seconds of an interval."""

    __slots__ = ("_since", "_states", "begin", "count", "end", "queues", "width")

    def __init__(self, begin: float, end: float, width: float) -> None:
        self.begin, self.end, self.width = begin, end, width
        self.count = intervals(end - begin, width)
        self.queues: dict[str, list[list[float]]] = {}
        self._states: dict[str, AgentStateName] = {}
        self._since: dict[str, float] = {}
        self.queue(ALL)

    def queue(self, name: str) -> list[list[float]]:
        """Its rows: measures x intervals, and one more for what is not counted."""
        rows = self.queues.get(name)
        if rows is None:
            rows = self.queues[name] = [[0.0] * (self.count + 1) for _ in range(MEASURES)]
        return rows

    def at(self, time: float) -> int:
        """The interval of a time."""
        if not self.begin <= time < self.end:
            return self.count
        return min(int((time - self.begin) / self.width), self.count - 1)

    def answered(self, name: str, at: int, waited: float, within: float) -> None:
        rows = self.queue(name)
        rows[ANSWERED][at] += 1.0
        rows[WAITS][at] += waited
        if waited <= within:
            rows[WITHIN][at] += 1.0

    def abandoned(self, name: str, at: int, waited: float, short: float) -> None:
        rows = self.queue(name)
        rows[ABANDONED][at] += 1.0
        if waited < short:
            rows[SHORT][at] += 1.0

    def agent(self, name: str, state: AgentStateName, now: float) -> None:
        """An agent's state ends, and another begins."""
        before = self._states.get(name)
        if before is not None:
            self._passed(before, self._since[name], now)
        self._states[name], self._since[name] = state, now

    def state(self, name: str) -> tuple[AgentStateName, float]:
        """Of an agent, and since when."""
        return self._states[name], self._since[name]

    def close(self) -> dict[str, Measures]:
        """By queue. States that go on count until the end."""
        for name, state in self._states.items():
            self._passed(state, self._since[name], self.end)
            self._since[name] = max(self._since[name], self.end)
        return {name: Measures(*(np.array(row[: self.count]) for row in rows)) for name, rows in self.queues.items()}

    def _passed(self, state: AgentStateName, since: float, until: float) -> None:
        """Time of an agent in a state, spread over the intervals that it lies in."""
        if state in HANDLING:
            row = self.queues[ALL][HANDLED]
        elif state == "ready":
            row = self.queues[ALL][IDLE]
        else:
            return
        since, until = max(since, self.begin), min(until, self.end)
        if since >= until:
            return
        first, last = self.at(since), int((until - self.begin) / self.width)
        if first == last:
            row[first] += until - since
            return
        for at in range(first, min(last, self.count - 1) + 1):
            low = self.begin + at * self.width
            row[at] += max(min(until, low + self.width) - max(since, low), 0.0)

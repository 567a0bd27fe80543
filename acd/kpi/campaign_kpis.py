"""KPIs of a dialler, by campaign: what became of the calls, and how many live answers were abandoned.

    answers   = live answers: somebody who is alive has answered
    connects  = answers to whom an agent came within AGENT_WITHIN seconds
    abandoned = all other answers: no agent came, or a later one, or the customer was gone before
    abandonment = abandoned / answers

Machines are no live answers. A customer who hangs up within the two seconds counts as abandoned, as the dialler had
nobody for it: so that the figure is never too small where a cap is held against it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from acd.inputs import CallOutcome
from acd.kpi.intervals import DAY, SLOT
from acd.kpi.policy import share

AGENT_WITHIN = 2.0
"""Seconds from a live answer, that still count, within which an agent has to come."""
MONTH = 30 * DAY

Counts = Mapping[str, int]
"""By outcome; live answers are connects, abandoned or late."""


class CampaignKpis(msgspec.Struct, frozen=True):
    """Counts, and shares from 0 to 1. None: nobody alive answered."""

    dialled: int
    answers: int
    connects: int
    abandoned: int
    abandoned_late: int
    """Of them those to whom an agent came after all."""
    machine: int
    busy: int
    no_answer: int
    failed: int
    abandonment: float | None
    """`abandoned / answers`."""
    abandonment_24h: float | None
    """The same of the 24 hours up to the end of the interval, or up to now."""
    abandonment_30d: float | None


def counted(outcome: CallOutcome, waited: float) -> str:
    """Under which name a dialled call counts. `waited` below 0: no agent came."""
    if outcome != "answered":
        return outcome
    if 0.0 <= waited <= AGENT_WITHIN:
        return "connects"
    return "late" if waited > AGENT_WITHIN else "abandoned"


class Answers(NamedTuple):
    """How many live answers there were, and how many of them were abandoned."""

    answers: int
    abandoned: int

    @classmethod
    def of(cls, counts: Counts) -> Answers:
        abandoned = counts.get("abandoned", 0) + counts.get("late", 0)
        return cls(counts.get("connects", 0) + abandoned, abandoned)


class Rolling:
    """Live answers of one campaign, slot by slot. `slots`: counts by the number of their slot; `now`: Unix seconds."""

    __slots__ = ("_now", "_slots", "_sums")

    def __init__(self, slots: Mapping[int, Counts], now: float) -> None:
        self._now = now
        self._slots = sorted(slots)
        self._sums = [Answers(0, 0)]
        for slot in self._slots:
            more, so_far = Answers.of(slots[slot]), self._sums[-1]
            self._sums.append(Answers(so_far.answers + more.answers, so_far.abandoned + more.abandoned))

    def abandonment(self, end: float, span: float) -> float | None:
        """Of the `span` seconds before `end`, which is that of a slot; where that is yet to come, of those before now:
        whole slots, and besides the one that is under way."""
        upto = min(end, self._now)
        first = bisect_left(self._slots, math.floor(upto / SLOT) - round(span / SLOT))
        last = bisect_left(self._slots, end / SLOT)
        before, after = self._sums[first], self._sums[last]
        return share(after.abandoned - before.abandoned, after.answers - before.answers)


def campaign_kpis(counts: Counts, lately: Callable[[float], float | None]) -> CampaignKpis:
    """`lately`: the abandonment in so many seconds up to the end of the interval, or up to now."""
    answers, abandoned = Answers.of(counts)
    return CampaignKpis(
        dialled=sum(counts.values()),
        answers=answers,
        connects=answers - abandoned,
        abandoned=abandoned,
        abandoned_late=counts.get("late", 0),
        machine=counts.get("machine", 0),
        busy=counts.get("busy", 0),
        no_answer=counts.get("no_answer", 0),
        failed=counts.get("failed", 0),
        abandonment=share(abandoned, answers),
        abandonment_24h=lately(DAY),
        abandonment_30d=lately(MONTH),
    )

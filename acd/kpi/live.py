"""KPIs while calls come in: now, the last 15, 30 and 60 minutes, and today.

    live = Live()
    for record in outcome.records: live.add(record)
    live.queue("sales", now); live.team("care", now); live.agent("ann", now)
    live.rows("queue", "15m", now)
    live = Live.restore(live.snapshot())    after a restart; then the records since, or more of them

The last 15 minutes are the 15 whole ones before now and the minute that is under way. What is kept does not grow with
the journal: an hour by minutes, a day by quarters of an hour (with each wait of its contacts, so that any threshold can
be asked for), thirty days of campaigns by quarters of an hour, and what is open.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Literal

import msgspec

from acd import facts as f
from acd.agent import WORK
from acd.config import Config
from acd.expression import parse
from acd.kpi.campaign_kpis import MONTH
from acd.kpi.cells import Cell, Cells
from acd.kpi.fold import Agent, Fold
from acd.kpi.intervals import SLOT, Offset, interval_of, utc
from acd.kpi.pieces import Activity, DialOver
from acd.kpi.queue_kpis import USUAL, Policy
from acd.kpi.report import By, Row, abandonment, rolling_of, rows
from acd.roster import Roster
from acd.shape import shape

MINUTE = 60.0
MINUTES_KEPT = 61
"""The last hour, and the minute under way."""
SLOTS_KEPT = 25 * 4
"""The longest day: that on which clocks go back."""
CAMPAIGN_SLOTS_KEPT = round(MONTH / SLOT) + 1
"""Thirty days, and the quarter of an hour under way."""

Span = Literal["15m", "30m", "60m", "today"]
MINUTES: dict[Span, int] = {"15m": 15, "30m": 30, "60m": 60}


class AgentsNow(msgspec.Struct, frozen=True):
    """How many agents are in which state. `busy`: in a contact or a direct call; `away`: not responding, or offline."""

    signed_in: int = 0
    ready: int = 0
    offered: int = 0
    busy: int = 0
    wrap_up: int = 0
    paused: int = 0
    away: int = 0


class QueueNow(msgspec.Struct, frozen=True):
    """One queue, or all of a team. `longest_wait`: seconds in the queue of the call that has been in it the longest,
    None: nobody waits; `callbacks`: customers who are to be called back. `agents`: of a queue who serves it at first,
    before its needs are relaxed and it is widened."""

    waiting: int
    longest_wait: float | None
    callbacks: int
    agents: AgentsNow


class AgentNow(msgspec.Struct, frozen=True):
    """One agent: what it does, why it pauses, with which contact, and for how many seconds it has been so."""

    team: str
    activity: Activity
    reason: str
    contact: str
    seconds: float


class LiveSnapshot(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What `Live` keeps. `shape`: of these structs, see `shape`."""

    shape: int
    config: Config
    fold: Fold
    minutes: Cells
    slots: Cells
    campaigns: Cells


class Live:
    """Fed with each record as it is made."""

    __slots__ = ("campaigns", "fold", "minutes", "roster", "slots")

    def __init__(self) -> None:
        self.fold = Fold()
        self.minutes = Cells(MINUTE, keep=MINUTES_KEPT)
        self.slots = Cells(SLOT, keep=SLOTS_KEPT)
        self.campaigns = Cells(SLOT, keep=CAMPAIGN_SLOTS_KEPT)
        """Of campaigns alone."""
        self.roster = Roster(Config())

    # ---- in

    def add(self, record: f.Record) -> None:
        pieces = self.fold.apply(record)
        self.minutes.pass_time(self.fold.now)
        self.slots.pass_time(self.fold.now)
        self.campaigns.pass_time(self.fold.now)
        for piece in pieces:
            self.minutes.add(piece)
            self.slots.add(piece)
            if isinstance(piece, DialOver):
                self.campaigns.add(piece)
        if isinstance(record.what, f.Configured):
            self.roster = Roster(record.what.config)

    # ---- snapshot

    def snapshot(self) -> bytes:
        """All of it, for `restore`."""
        kept = LiveSnapshot(
            shape(LiveSnapshot), self.roster.config, self.fold, self.minutes, self.slots, self.campaigns
        )
        return msgspec.msgpack.encode(kept)

    @classmethod
    def restore(cls, snapshot: bytes) -> Live:
        """Raises `msgspec.ValidationError` where that is no snapshot of this version: the journal of today, and of
        thirty days where there are campaigns, is to be folded again."""
        kept = msgspec.msgpack.decode(snapshot, type=LiveSnapshot)
        if kept.shape != shape(LiveSnapshot):
            raise msgspec.ValidationError("a snapshot of another version")
        live = cls()
        live.fold, live.minutes, live.slots, live.campaigns = kept.fold, kept.minutes, kept.slots, kept.campaigns
        live.roster = Roster(kept.config)
        return live

    # ---- out

    def queue(self, name: str, now: float) -> QueueNow | None:
        """None: the configuration has no such queue."""
        queue = self.roster.config.queues.get(name)
        if queue is None:
            return None
        serving = self.roster.eligible(queue, parse(queue.needs))
        agents = (self.fold.agents[self.roster.ids[row]] for row in serving.nonzero()[0])
        return self._now([name], agents, now)

    def team(self, name: str, now: float) -> QueueNow:
        """Its queues and agents together."""
        queues = [queue.name for queue in self.roster.config.queues.values() if queue.team == name]
        return self._now(queues, (agent for agent in self.fold.agents.values() if agent.team == name), now)

    def agent(self, name: str, now: float) -> AgentNow | None:
        """None: nothing is known of it."""
        agent = self.fold.agents.get(name)
        if agent is None:
            return None
        return AgentNow(agent.team, agent.activity, agent.reason, agent.contact, max(now - agent.since, 0.0))

    def rows(self, by: By, span: Span, now: float, policy: Policy = USUAL, offset: Offset = utc) -> list[Row]:
        """The KPIs of a time up to now, as a report of one interval has them. `offset`: as in `acd.kpi.intervals`, for
        when today began."""
        if span == "today":
            start = interval_of(now, "day", offset)[0]
            cell = self._since(self.slots, start, now)
        else:
            start = (math.floor(now / MINUTE) - MINUTES[span]) * MINUTE
            cell = self._since(self.minutes, start, now)
        rolling = rolling_of(self.campaigns, max(now, self.fold.now)) if by == "campaign" else {}
        lately = partial(abandonment, rolling, math.inf)
        return list(rows(cell, by, start, now, self.fold.queues, policy, lately))

    # ---- inside

    def _since(self, cells: Cells, start: float, now: float) -> Cell:
        """All since `start`, with what is not over yet."""
        found = cells.within(start, math.inf)
        for spell in self.fold.open_spells(now):
            seconds = spell.end - max(spell.start, start)
            if seconds > 0.0:
                found.agent(spell.team, spell.agent).add(spell, seconds)
        for team, queue, entered, since in self.fold.open_stays():
            if entered >= start:
                found.queue(team, queue).waiting.add(entered, since, max(now, self.fold.now))
        return found

    def _now(self, queues: Iterable[str], agents: Iterable[Agent], now: float) -> QueueNow:
        names = set(queues)
        there = [entered for name in names for entered in self.fold.waiting.get(name, {}).values()]
        return QueueNow(
            waiting=len(there),
            longest_wait=max(now - min(there), 0.0) if there else None,
            callbacks=sum(each.queue in names for each in self.fold.callbacks.values()),
            agents=_agents_now(agents),
        )


def _agents_now(agents: Iterable[Agent]) -> AgentsNow:
    states = [agent.state for agent in agents if agent.state != "signed_out"]
    return AgentsNow(
        signed_in=len(states),
        ready=states.count("ready"),
        offered=states.count("offered"),
        busy=sum(state in WORK for state in states),
        wrap_up=states.count("wrap_up"),
        paused=states.count("paused"),
        away=states.count("not_responding") + states.count("offline"),
    )

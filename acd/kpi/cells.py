"""Counters by slot of time: what pieces add up to, for each queue and each agent.

A slot is `width` seconds of Unix time, named by its number: `floor(time / width)`. Cells are sums, so that those of
several slots make that of a longer interval, and those of a team's queues that of the team. Waits are kept one by one:
any threshold can be held against them later.

Where a piece is counted: a stay and a journey by when the contact came, a handle where its wrap-up ends, an offer, a
step of a callback and a solved contact by when they were, an answer of a survey where the contact was solved, calls
of trunks and campaigns when it is known what became of them; a spell is divided among the slots that it touches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeVar, assert_never

import msgspec

from acd.inputs import SurveyQuestion
from acd.kpi import campaign_kpis, trunk_kpis
from acd.kpi.pieces import (
    AnyPiece,
    AttemptOver,
    CallbackStepped,
    DialOver,
    Handle,
    Journey,
    OfferOver,
    Rated,
    Repeated,
    Solved,
    Spell,
    Stay,
)

WaitFrom = Literal["entry", "total"]
"""What of a wait counts: that in this queue, or all of it, with what the contact has brought along from elsewhere."""

Number = TypeVar("Number", int, float)
Key = TypeVar("Key")
Kind = TypeVar("Kind")

QueueKey = tuple[str, str]
"""Team, queue."""
AgentKey = tuple[str, str]
"""Team, agent."""
HandleKey = tuple[str, str, str]
"""Team, agent, queue."""


MAX_NAMES = 1_000
"""Trunks, and campaigns, that are told apart in one slot or interval."""
OTHERS = "(others)"
"""All that are more."""


class Waits(msgspec.Struct):
    """Seconds that each contact waited: in this queue, and in all."""

    entry: list[float] = []
    total: list[float] = []

    def add(self, entered: float, since: float, ended: float) -> None:
        self.entry.append(ended - entered)
        self.total.append(ended - since)

    def of(self, wait_from: WaitFrom) -> list[float]:
        return self.entry if wait_from == "entry" else self.total

    def merge(self, other: Waits) -> None:
        self.entry += other.entry
        self.total += other.total


class QueueCell(msgspec.Struct, array_like=True):
    """Contacts that came into one queue. `waiting`: those who are still in it, where somebody has put them in."""

    answered: Waits = msgspec.field(default_factory=Waits)
    abandoned: Waits = msgspec.field(default_factory=Waits)
    out: Waits = msgspec.field(default_factory=Waits)
    waiting: Waits = msgspec.field(default_factory=Waits)
    out_by: dict[str, int] = {}
    """By how they left and where to: "overflow to queue"."""
    calls: int = 0
    connected: int = 0
    """Calls whose first queue it was, and those of them that any agent answered."""
    callbacks: dict[str, int] = {}
    """Steps of callbacks."""

    def merge(self, other: QueueCell) -> None:
        self.answered.merge(other.answered)
        self.abandoned.merge(other.abandoned)
        self.out.merge(other.out)
        self.waiting.merge(other.waiting)
        self.calls += other.calls
        self.connected += other.connected
        add_up(self.out_by, other.out_by)
        add_up(self.callbacks, other.callbacks)


class HandleCell(msgspec.Struct, array_like=True):
    """Handles of one agent that came by one queue. Seconds are those of handles with a customer."""

    handled: int = 0
    answered: int = 0
    outbound: int = 0
    talk: float = 0.0
    hold: float = 0.0
    consult: float = 0.0
    wrap_up: float = 0.0
    dialling: float = 0.0
    transfers: dict[str, int] = {}
    """By kind."""
    unreached: int = 0
    unreached_dialling: float = 0.0
    """Callbacks that reached nobody."""
    contacts: int = 0
    repeated: int = 0
    """Contacts of known customers that ended here, and those after which the customer came again."""
    surveys: dict[str, int] = {}
    """Answers of customers whose contacts ended here: "csat 5", "nps none"."""

    def add(self, handle: Handle) -> None:
        if not handle.reached:
            self.unreached += 1
            self.unreached_dialling += handle.dialling
            return
        self.handled += 1
        self.answered += handle.answered
        self.outbound += handle.outbound
        self.talk += handle.talk
        self.hold += handle.hold
        self.consult += handle.consult
        self.wrap_up += handle.wrap_up
        self.dialling += handle.dialling
        if handle.how and handle.how != "hangup":
            add_up(self.transfers, {handle.how: 1})

    def rate(self, rated: Rated) -> None:
        """In place of what was answered before."""
        add_up(self.surveys, {answer_name(rated.question, rated.score): 1})
        if rated.before is not None:
            add_up(self.surveys, {answer_name(rated.question, rated.before): -1})

    def merge(self, other: HandleCell) -> None:
        for name in other.__struct_fields__:
            if name not in ("transfers", "surveys"):
                setattr(self, name, getattr(self, name) + getattr(other, name))
        add_up(self.transfers, other.transfers)
        add_up(self.surveys, other.surveys)


class AgentCell(msgspec.Struct, array_like=True):
    """What one agent did: seconds by activity and by reason of pauses, and how offers to it ended."""

    seconds: dict[str, float] = {}
    pauses: dict[str, float] = {}
    offers: dict[str, int] = {}

    def add(self, spell: Spell, seconds: float) -> None:
        add_up(self.seconds, {spell.activity: seconds})
        if spell.activity == "paused":
            add_up(self.pauses, {spell.reason: seconds})

    def merge(self, other: AgentCell) -> None:
        add_up(self.seconds, other.seconds)
        add_up(self.pauses, other.pauses)
        add_up(self.offers, other.offers)


class Cell(msgspec.Struct, array_like=True):
    """All of one slot, or of several."""

    queues: dict[QueueKey, QueueCell] = {}
    handles: dict[HandleKey, HandleCell] = {}
    agents: dict[AgentKey, AgentCell] = {}
    trunks: dict[str, dict[str, int]] = {}
    """By name: attempts by `trunk_kpis.counted`."""
    campaigns: dict[str, dict[str, int]] = {}
    """By name: calls by `campaign_kpis.counted`."""

    def queue(self, team: str, name: str) -> QueueCell:
        return _there(self.queues, (team, name), QueueCell)

    def handle(self, team: str, agent: str, queue: str) -> HandleCell:
        return _there(self.handles, (team, agent, queue), HandleCell)

    def agent(self, team: str, name: str) -> AgentCell:
        return _there(self.agents, (team, name), AgentCell)

    def trunk(self, name: str) -> dict[str, int]:
        return _of_name(self.trunks, name)

    def campaign(self, name: str) -> dict[str, int]:
        return _of_name(self.campaigns, name)

    def merge(self, other: Cell) -> None:
        for (team, name), queue in other.queues.items():
            self.queue(team, name).merge(queue)
        for key, handle in other.handles.items():
            self.handle(*key).merge(handle)
        for (team, name), agent in other.agents.items():
            self.agent(team, name).merge(agent)
        for name, counts in other.trunks.items():
            add_up(self.trunk(name), counts)
        for name, counts in other.campaigns.items():
            add_up(self.campaign(name), counts)


class Cells(msgspec.Struct):
    """Cells by slot. `keep`: how many slots are remembered, the latest ones; 0: all."""

    width: float
    keep: int = 0
    slots: dict[int, Cell] = {}
    latest: int = 0

    # ---- in

    def add(self, piece: AnyPiece) -> None:
        """What falls in a slot that is no longer remembered is left out."""
        match piece:
            case Stay():
                self._stay(piece)
            case Journey():
                found = self.at(piece.came).queue(piece.team, piece.queue)
                found.calls += 1
                found.connected += piece.connected
            case Handle():
                self.at(piece.ended).handle(piece.team, piece.agent, piece.queue).add(piece)
            case Spell():
                for slot, seconds in self._slots(piece.start, piece.end):
                    self._cell(slot).agent(piece.team, piece.agent).add(piece, seconds)
            case OfferOver():
                add_up(self.at(piece.at).agent(piece.team, piece.agent).offers, {piece.how: 1})
            case CallbackStepped():
                add_up(self.at(piece.at).queue(piece.team, piece.queue).callbacks, {piece.step: 1})
            case Solved():
                self.at(piece.at).handle(piece.team, piece.agent, piece.queue).contacts += 1
            case Repeated():
                self.at(piece.at).handle(piece.team, piece.agent, piece.queue).repeated += 1
            case Rated():
                self.at(piece.at).handle(piece.team, piece.agent, piece.queue).rate(piece)
            case AttemptOver():
                name = trunk_kpis.counted(piece.direction, piece.outcome)
                add_up(self.at(piece.at).trunk(piece.trunk), {name: 1})
            case DialOver():
                name = campaign_kpis.counted(piece.outcome, piece.waited)
                add_up(self.at(piece.at).campaign(piece.campaign), {name: 1})
            case _:
                assert_never(piece)

    def pass_time(self, now: float) -> None:
        """Forget the slots that are too old by now."""
        slot = math.floor(now / self.width)
        if slot <= self.latest:
            return
        self.latest = slot
        if self.keep:
            for old in [each for each in self.slots if each <= slot - self.keep]:
                del self.slots[old]

    def at(self, time: float) -> Cell:
        """Of a time, to be added to."""
        return self._cell(math.floor(time / self.width))

    # ---- out

    def within(self, start: float, end: float) -> Cell:
        """The sum of the slots that begin in [start, end)."""
        found = Cell()
        for slot, cell in self.slots.items():
            if start <= slot * self.width < end:
                found.merge(cell)
        return found

    # ---- inside

    def _cell(self, slot: int) -> Cell:
        if self.keep and slot <= self.latest - self.keep:
            return Cell()
        return _there(self.slots, slot, Cell)

    def _slots(self, start: float, end: float) -> Iterator[tuple[int, float]]:
        """Each slot that a time touches, and how many seconds of it."""
        first, last = math.floor(start / self.width), math.floor(end / self.width)
        if self.keep:
            first = max(first, self.latest - self.keep + 1)
        for slot in range(first, last + 1):
            seconds = min(end, (slot + 1) * self.width) - max(start, slot * self.width)
            if seconds > 0.0:
                yield slot, seconds

    def _stay(self, stay: Stay) -> None:
        queue = self.at(stay.entered).queue(stay.team, stay.queue)
        match stay.how:
            case "answered":
                queue.answered.add(stay.entered, stay.since, stay.ended)
            case "abandoned":
                queue.abandoned.add(stay.entered, stay.since, stay.ended)
            case "overflow" | "exit" | "refused" | "callback" | "removed":
                queue.out.add(stay.entered, stay.since, stay.ended)
                add_up(queue.out_by, {f"{stay.how} to {stay.to}" if stay.to else stay.how: 1})
            case _:
                assert_never(stay.how)


def answer_name(question: SurveyQuestion, score: int) -> str:
    """Under which name an answer counts."""
    return f"{question} {score if score >= 0 else 'none'}"


def _there(cells: dict[Key, Kind], key: Key, kind: type[Kind]) -> Kind:
    """The one that is there, or a new one; made only then, as several are looked up for each record."""
    found = cells.get(key)
    if found is None:
        found = cells[key] = kind()
    return found


def _of_name(cells: dict[str, dict[str, int]], name: str) -> dict[str, int]:
    """What nobody has written in a configuration is bounded."""
    known = name in cells or len(cells) < MAX_NAMES
    return cells.setdefault(name if known else OTHERS, {})


def add_up(into: dict[str, Number], more: Mapping[str, Number]) -> None:
    for name, value in more.items():
        into[name] = into.get(name, 0) + value


def sum_of(cells: Iterable[HandleCell]) -> HandleCell:
    found = HandleCell()
    for cell in cells:
        found.merge(cell)
    return found

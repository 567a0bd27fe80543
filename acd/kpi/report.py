"""A report: rows by interval of queues, agents, teams, trunks or campaigns, under a policy.

tally = Tally()
for record in records: tally.add(record)
rows = report(tally, "queue", "30m", Policy(), now)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Literal, assert_never

import msgspec

from acd import facts as f
from acd.kpi.agent_kpis import AgentKpis, agent_kpis, scores
from acd.kpi.campaign_kpis import CampaignKpis, Rolling, campaign_kpis
from acd.kpi.cells import AgentCell, Cell, Cells, HandleCell, QueueCell
from acd.kpi.fold import Fold, QueueRules
from acd.kpi.handle_kpis import HandleKpis, handle_kpis
from acd.kpi.intervals import SLOT, IntervalName, Offset, interval_of, utc
from acd.kpi.policy import share
from acd.kpi.queue_kpis import USUAL, Policy, QueueKpis, queue_kpis
from acd.kpi.trunk_kpis import TrunkKpis, trunk_kpis

By = Literal["queue", "agent", "team", "trunk", "campaign"]


class Row(msgspec.Struct, frozen=True):
    """One queue, agent, team, trunk or campaign in one interval, Unix seconds. `team`: whose it is; "" of trunks and
    campaigns. `threshold`, `target`: those of the service level; None: there is none, or queues differ. `score`: of an
    agent against its team in this interval, see `acd.kpi.agent_kpis.scores`. KPIs that it does not have are None."""

    start: float
    end: float
    team: str
    name: str
    threshold: float | None = None
    target: float | None = None
    score: float | None = None
    contacts: QueueKpis | None = None
    handles: HandleKpis | None = None
    time: AgentKpis | None = None
    attempts: TrunkKpis | None = None
    dialled: CampaignKpis | None = None


class Tally(msgspec.Struct):
    """A fold and the counters of its pieces."""

    fold: Fold = msgspec.field(default_factory=Fold)
    cells: Cells = msgspec.field(default_factory=lambda: Cells(SLOT))

    def add(self, record: f.Record) -> None:
        for piece in self.fold.apply(record):
            self.cells.add(piece)
        self.cells.pass_time(self.fold.now)

    def so_far(self, now: float) -> Cells:
        """The counters, and in them what is not over yet as it is at `now`."""
        found = Cells(self.cells.width)
        for slot, cell in self.cells.slots.items():
            found.slots[slot] = Cell()
            found.slots[slot].merge(cell)
        with_open(found, self.fold, now)
        return found

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def restore(cls, snapshot: bytes) -> Tally:
        """Raises `msgspec.ValidationError` where that is no snapshot of this version."""
        return msgspec.msgpack.decode(snapshot, type=cls)


def with_open(cells: Cells, fold: Fold, now: float) -> None:
    """Adds what is not over yet: what agents are doing, and who waits, by when they came."""
    now = max(now, fold.now)
    for spell in fold.open_spells(now):
        cells.add(spell)
    for team, queue, entered, since in fold.open_stays():
        cells.at(entered).queue(team, queue).waiting.add(entered, since, now)


def report(
    tally: Tally,
    by: By,
    interval: IntervalName,
    policy: Policy = USUAL,
    now: float = 0.0,
    start: float = 0.0,
    end: float = float("inf"),
    offset: Offset = utc,
) -> list[Row]:
    """Rows in the order of time and names, of intervals and names of which there is anything to tell.

    `now`: up to when what is not over counts, at least the time of the latest record; `start`, `end`: slots of 15
    minutes that begin in between count.
    """
    grouped: dict[tuple[float, float], Cell] = {}
    so_far = tally.so_far(now)
    rolling = rolling_of(so_far, max(now, tally.fold.now)) if by == "campaign" else {}
    for slot, cell in sorted(so_far.slots.items()):
        at = slot * SLOT
        if start <= at < end:
            grouped.setdefault(interval_of(at, interval, offset), Cell()).merge(cell)
    return [
        row
        for (first, last), cell in sorted(grouped.items())
        for row in rows(cell, by, first, last, tally.fold.queues, policy, partial(abandonment, rolling, last))
    ]


OfTeams = Literal["queue", "agent", "team"]

Key = tuple[str, str]
"""Team, and name within it."""


Lately = Callable[[str, float], float | None]
"""The abandonment of a campaign in so many seconds before the end of an interval, or before now."""


def abandonment(rolling: Mapping[str, Rolling], end: float, name: str, span: float) -> float | None:
    return rolling[name].abandonment(end, span)


def rolling_of(cells: Cells, now: float) -> dict[str, Rolling]:
    """By campaign: its live answers, out of all slots."""
    found: defaultdict[str, dict[int, dict[str, int]]] = defaultdict(dict)
    for slot, cell in cells.slots.items():
        for name, counts in cell.campaigns.items():
            found[name][slot] = counts
    return {name: Rolling(slots, now) for name, slots in found.items()}


def rows(
    cell: Cell,
    by: By,
    start: float,
    end: float,
    rules: Mapping[str, QueueRules],
    policy: Policy,
    lately: Lately,
) -> Iterator[Row]:
    """Of one interval, by team and name. `lately`: of campaigns that there are in it."""
    match by:
        case "trunk":
            for name, counts in sorted(cell.trunks.items()):
                yield Row(start, end, "", name, attempts=trunk_kpis(counts))
        case "campaign":
            for name, counts in sorted(cell.campaigns.items()):
                yield Row(start, end, "", name, dialled=campaign_kpis(counts, partial(lately, name)))
        case _:
            yield from _of_teams(cell, by, start, end, rules, policy)


def _of_teams(
    cell: Cell, by: OfTeams, start: float, end: float, rules: Mapping[str, QueueRules], policy: Policy
) -> Iterator[Row]:
    """Queues, agents or teams."""
    queues: defaultdict[Key, list[tuple[str, QueueCell]]] = defaultdict(list)
    handles: defaultdict[Key, list[HandleCell]] = defaultdict(list)
    agents: defaultdict[Key, list[AgentCell]] = defaultdict(list)
    if by != "agent":
        for (team, queue), queue_cell in cell.queues.items():
            queues[team, team if by == "team" else queue].append((queue, queue_cell))
    if by != "queue":
        for (team, agent), agent_cell in cell.agents.items():
            agents[team, team if by == "team" else agent].append(agent_cell)
    for (team, agent, queue), handle_cell in cell.handles.items():
        handles[team, _name(by, team, agent, queue)].append(handle_cell)
    found = [
        Row(
            start=start,
            end=end,
            team=key[0],
            name=key[1],
            threshold=_only({policy.threshold_of(rules.get(name, QueueRules())) for name, _ in queues[key]}),
            target=_only({rules.get(name, QueueRules()).target for name, _ in queues[key]}),
            contacts=None if by == "agent" else queue_kpis(queues[key], rules, policy),
            handles=handle_kpis(handles[key]),
            time=None if by == "queue" else agent_kpis(agents[key]),
        )
        for key in sorted({*queues, *handles, *agents})
    ]
    yield from with_scores(found) if by == "agent" else found


def with_scores(agents: Iterable[Row]) -> Iterator[Row]:
    """Rows of agents, by team, with their scores among those of their team."""
    for _, team in groupby(agents, key=lambda row: row.team):
        members = list(team)
        found = scores({row.name: _figures(row) for row in members})
        for row in members:
            yield msgspec.structs.replace(row, score=found[row.name])


def _figures(row: Row) -> dict[str, float | None]:
    """What an agent's score is made of. `missed` is the share of its offers: an agent who has
    had none has missed none, which is no merit."""
    handles, time = row.handles, row.time
    return {
        "handled": None if handles is None else handles.handled,
        "aht": None if handles is None else handles.aht,
        "missed": None if time is None else share(time.missed, time.offers),
        "fcr": None if handles is None else handles.fcr,
    }


def _name(by: OfTeams, team: str, agent: str, queue: str) -> str:
    match by:
        case "queue":
            return queue
        case "agent":
            return agent
        case "team":
            return team
        case _:
            assert_never(by)


def _only(values: set[float]) -> float | None:
    """The one that all queues have."""
    return values.pop() if len(values) == 1 else None

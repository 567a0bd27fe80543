"""A floor of agents for journals counted by hand: the engine, told what happens at seconds after nine o'clock UTC."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import Agent, CallbackRules, Config, Limit, Queue, Team, WayOut, WrapUp
from acd.engine import Engine
from acd.kpi.cells import Cell
from acd.kpi.fold import Fold
from acd.kpi.intervals import IntervalName
from acd.kpi.queue_kpis import USUAL, Policy
from acd.kpi.report import By, Row, Tally, report

NINE = 1_767_603_600.0
"""2026-01-05 09:00 UTC, a Monday."""

WRAP_UP = WrapUp(ends="manual")


def config(**queues: Any) -> Config:
    """Agents ann and bob of team care, cid of team shop; queues with these fields each, of team care unless said."""
    settings = {"team": "care", "wrap_up": WRAP_UP, "skip": 600.0, "ring_seconds": 300.0}
    return Config(
        version="1",
        teams={"care": Team(name="care", misses=0), "shop": Team(name="shop", misses=0)},
        agents={
            name: Agent(id=name, team=team, address=f"ext:{name}", mode="both")
            for name, team in (("ann", "care"), ("bob", "care"), ("cid", "shop"))
        },
        queues={name: Queue(**(settings | {"name": name} | fields)) for name, fields in queues.items()},
    )


class Floor:
    """`at(10, Enqueue(...), ...)` tells the engine these at 09:00:10; `records` is the journal."""

    def __init__(self, **queues: Any) -> None:
        self.engine = Engine()
        self.records: list[f.Record] = []
        self.ringing: dict[str, int] = {}
        self.at(0, i.Configure(config(**(queues or {"help": {}}))))

    def at(self, second: float, *inputs: i.AnyInput) -> None:
        while (due := self.engine.next_deadline) is not None and due <= NINE + second:
            self._take(self.engine.tick(due))
        for each in inputs:
            self._take(self.engine.handle(each, NINE + second))

    def answer(self, second: float, agent: str) -> None:
        """Whatever this agent's telephone rings for."""
        self.at(second, i.Accept(self.ringing.pop(agent)))

    def reject(self, second: float, agent: str) -> None:
        self.at(second, i.Reject(self.ringing.pop(agent)))

    def _take(self, outcome: Any) -> None:
        self.records += outcome.records
        for effect in outcome.effects:
            if isinstance(effect, e.Offer):
                self.ringing[effect.agent] = effect.offer
        refused = [record.what.why for record in outcome.records if isinstance(record.what, f.Refused)]
        assert not refused, refused

    def rows(
        self,
        by: By,
        interval: IntervalName = "day",
        policy: Policy = USUAL,
        until: float = 0.0,
        fold: Fold | None = None,
    ) -> list[Row]:
        """`until`: up to when what is not over counts, seconds after nine."""
        tally = Tally() if fold is None else Tally(fold)
        for record in self.records:
            tally.add(record)
        return report(tally, by, interval, policy, NINE + until)

    def row(self, by: By, name: str, **more: Any) -> Row:
        """The only one of this name."""
        (found,) = [row for row in self.rows(by, **more) if row.name == name]
        return found


def journal(*facts: tuple[float, f.AnyFact]) -> list[f.Record]:
    """Facts at seconds after nine, in this order."""
    return [f.Record(number, NINE + second, 0, what) for number, (second, what) in enumerate(facts, 1)]


def tally_of(records: Iterable[f.Record]) -> Tally:
    tally = Tally()
    for record in records:
        tally.add(record)
    return tally


def whole(tally: Tally) -> Cell:
    """All its slots together."""
    found = Cell()
    for _, cell in sorted(tally.cells.slots.items()):
        found.merge(cell)
    return found


__all__ = ["NINE", "CallbackRules", "Floor", "Limit", "WayOut", "WrapUp", "config", "journal", "tally_of", "whole"]


def two_calls() -> Floor:
    """Ann signs in at 0. c1 rings 10 to 14, talk to 74, wrap-up to 84; c2 rings to 90, talk to 100, hold to 120,
    consultation to 125, talk to 150, ready at once."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    floor.at(10, i.Enqueue("c1", "help"))
    floor.answer(14, "ann")
    floor.at(30, i.Enqueue("c2", "help"))
    floor.at(74, i.Finish("c1", "ann"))
    floor.at(84, i.Ready("ann"))
    floor.answer(90, "ann")
    floor.at(100, i.Hold("c2", "ann", True))
    floor.at(120, i.Consult("c2", "ann", True))
    floor.at(125, i.Consult("c2", "ann", False))
    floor.at(150, i.Finish("c2", "ann"), i.Ready("ann"))
    return floor

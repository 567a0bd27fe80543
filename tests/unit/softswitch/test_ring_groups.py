"""Ring groups in the dialplan: whom they dial, in what order, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from softswitch.barring import ANYTHING
from softswitch.dialplan.decision import (
    ROUTING_ERROR,
    UNALLOCATED,
    Dial,
    ExtensionTarget,
    Reject,
    Ring,
    TrunkTarget,
    conference_in,
)
from softswitch.dialplan.routing import Dialplan
from softswitch.hunt_steps import Joining, Step
from softswitch.settings.models import Settings

EXTENSIONS = ("101", "102", "103")


def plan(random: Callable[[], float] | None = None, **groups: Any) -> Dialplan:
    """600 leads to the group `sales`."""
    written = Settings.model_validate(
        {
            "ring_groups": groups,
            "dialplan": {"internal": {"routes": [{"to": "600", "ring_group": "sales"}]}},
        }
    )
    return Dialplan(written.dialplan, EXTENSIONS, written.ring_groups, random or Random(3).random)


def dialled(dialplan: Dialplan) -> Dial:
    decision = dialplan.route("internal", "600", "0301", "")
    assert isinstance(decision, Dial)
    return decision


def order(dialplan: Dialplan) -> list[str]:
    return [each.number for each in dialled(dialplan).targets]


@pytest.mark.parametrize(
    ("strategy", "mode", "numbers"),
    [
        ("simultaneous", "parallel", ["101", "103", "102"]),
        ("sequential", "sequence", ["101", "103", "102"]),
        ("weighted_random", "sequence", ["101", "102", "103"]),
    ],
)
def test_the_order_of_each_strategy(strategy: str, mode: str, numbers: list[str]) -> None:
    dialplan = plan(sales={"members": ["101", "103", "102"], "strategy": strategy, "ring_time": "20s"})
    decision = dialled(dialplan)
    assert [each.number for each in decision.targets] == numbers
    assert (decision.mode, decision.ring_timeout, decision.route) == (mode, 20.0, "ring group sales")


def test_each_call_draws_its_order_anew_by_weight() -> None:
    members = [{"extension": "101", "weight": 8}, "102", "103"]
    dialplan = plan(Random(5).random, sales={"members": members, "strategy": "weighted_random"})
    first = [order(dialplan)[0] for _ in range(1000)]
    assert 0.75 < first.count("101") / 1000 < 0.85
    assert {"102", "103"} < set(first)


def test_a_memory_hunt_is_steps_that_each_adds_one() -> None:
    decision = dialled(plan(sales={"members": ["101", "199", "103"], "strategy": "memory_hunt", "ring_time": "15s"}))
    assert [each.number for each in decision.targets] == ["101", "103"]
    assert decision.steps == tuple(Step((Joining(ExtensionTarget(number), 1),), 15.0) for number in ("101", "103"))


def test_members_join_by_their_delay_and_may_have_to_confirm() -> None:
    mobile = {"trunk": "north", "number": "0170123", "delay": "5s", "confirm": True}
    decision = dialled(plan(sales={"members": ["101", mobile], "ring_time": "20s", "confirm_within": "8s"}))
    assert decision.steps == (
        Step((Joining(ExtensionTarget("101"), 1),), 5.0),
        Step((Joining(TrunkTarget("north", "0170123", allow=(ANYTHING,)), 1, 8.0),), 15.0),
    )
    assert dialled(plan(sales={"members": ["101", "102"], "ring_time": "20s"})).steps == ()


def test_members_in_turn_may_have_to_confirm() -> None:
    sales = {"members": ["101", {"extension": "102", "confirm": True}], "strategy": "weighted_random"}
    steps = dialled(plan(Random(1).random, sales=sales)).steps
    confirms = {each.target: each.confirm for step in steps for each in step.joining}
    assert confirms == {ExtensionTarget("101"): 0.0, ExtensionTarget("102"): 15.0}
    assert [(len(step.joining), step.lasts) for step in steps] == [(1, None), (1, None)]


def test_members_that_are_gone_are_left_out_and_trunks_may_be_members() -> None:
    members = ["101", "199", {"trunk": "north", "number": "0170123"}]
    ring = {"skip_busy": True, "cid_prefix": "Sales: ", "alert_info": "<http://localhost>;info=sales"}
    assert dialled(plan(sales={"members": members, **ring})).targets == (
        ExtensionTarget("101", Ring(True, "Sales: ", "<http://localhost>;info=sales")),
        TrunkTarget("north", "0170123", allow=(ANYTHING,)),
    )


def test_nobody_left_is_unavailable() -> None:
    assert plan(sales={"members": "199"}).route("internal", "600") == Reject(UNALLOCATED, route="ring group sales")
    group = {"members": "199", "on_unavailable": {"dial": "102"}}
    assert order(plan(sales=group)) == ["102"]


def test_a_group_leads_to_the_next_and_a_circle_ends() -> None:
    decision = dialled(
        plan(
            sales={"members": "101", "on_busy": {"reject": "busy"}, "on_no_answer": {"ring_group": "support"}},
            support={"members": "102", "on_no_answer": {"ring_group": "sales"}},
        )
    )
    assert decision.on_busy == Reject(17, route="ring group sales")
    rung = []
    following: Any = decision
    while isinstance(following, Dial):
        rung.append(following.targets[0].number)
        following = following.on_no_answer
    assert rung == ["101", "102"] * 8
    assert following == Reject(ROUTING_ERROR, route="ring group support")


def test_a_conference_that_a_group_falls_back_to_is_known() -> None:
    dialplan = plan(sales={"members": "101", "on_busy": {"answer_and_conference": "lobby"}})
    assert dialplan.conferences
    assert conference_in(dialled(dialplan)) == "lobby"


def test_a_group_that_is_not_there_is_refused() -> None:
    written = Settings.model_validate({"dialplan": {"internal": {"routes": [{"ring_group": "gone"}]}}})
    assert Dialplan(written.dialplan, EXTENSIONS).route("internal", "1") == Reject(UNALLOCATED, route="internal/1")

"""Agents as columns."""

import math

import numpy as np
from acd_world import agent, config, queue

from acd.agent import AgentState
from acd.config import Team, Widen
from acd.expression import parse
from acd.roster import Roster

SALES = queue("sales")
AGENTS = [
    agent("ann", skills={"es": 80}, groups=("one",), weights={"sales": 2.0}),
    agent("bob", skills={"es": 20, "de": 50}, groups=("two",)),
    agent("cid", groups=("one", "two")),
    agent("dan", team="other", skills={"es": 100}, groups=("one",)),
]


def roster() -> Roster:
    return Roster(config([SALES, queue("back")], AGENTS, teams=[Team(name="other")]))


def names(mask: np.ndarray) -> list[str]:
    return [AGENTS[row].id for row in np.flatnonzero(mask)]


def test_rows_are_in_the_order_of_the_configuration_and_those_carried_over_come_last() -> None:
    made = Roster(config([SALES], AGENTS[:2]), [AGENTS[2]])
    assert made.ids == ["ann", "bob", "cid"]
    assert made.row == {"ann": 0, "bob": 1, "cid": 2}


def test_a_queue_without_groups_is_served_by_its_team_and_by_nobody_else() -> None:
    assert names(roster().serving(SALES, 0)) == ["ann", "bob", "cid"]
    assert names(roster().serving(queue("x", team="other"), 0)) == ["dan"]


def test_a_queue_with_groups_is_served_by_more_of_them_as_it_widens() -> None:
    made = queue("x", groups=("two",), widen=(Widen(after=5.0, groups=("none",)), Widen(after=9.0, groups=("one",))))
    assert names(roster().serving(made, 0)) == ["bob", "cid"]
    assert names(roster().serving(made, 1)) == ["bob", "cid"]
    assert names(roster().serving(made, 2)) == ["ann", "bob", "cid"]


def test_a_queue_of_the_whole_team_has_nobody_to_widen_to() -> None:
    assert names(roster().serving(queue("x", widen=(Widen(after=5.0, groups=("two",)),)), 1)) == ["ann", "bob", "cid"]


def test_who_is_eligible_has_what_is_needed() -> None:
    made = roster()
    assert names(made.eligible(SALES, parse("es"))) == ["ann", "bob"]
    assert names(made.serving(SALES, 0)) == ["ann", "bob", "cid"], "columns that are kept are not written to"


def test_who_is_ready_is_free_in_the_direction_that_it_works_in() -> None:
    made = roster()
    for name, mode in (("ann", "inbound"), ("bob", "outbound"), ("cid", "both")):
        made.note(AgentState(name, "ready", mode=mode))  # type: ignore[arg-type]
    made.note(AgentState("dan", "paused"))
    assert names(made.free(SALES)) == ["ann", "cid"]
    assert names(made.free(queue("out", direction="outbound"))) == ["bob", "cid"]
    assert names(made.signed_in) == ["ann", "bob", "cid", "dan"]
    assert names(made.at_work) == ["ann", "bob", "cid"]
    made.note(AgentState("ann", "talking"))
    assert names(made.free(SALES)) == ["cid"]
    assert names(made.at_work) == ["ann", "bob", "cid"]
    made.note(AgentState("ann", "signed_out"))
    assert names(made.signed_in) == ["bob", "cid", "dan"]


def test_since_when_an_agent_is_idle_stays_until_it_is_ready_again() -> None:
    made = roster()
    made.note(AgentState("ann", "ready", since=10.0, ready_seq=3))
    made.note(AgentState("ann", "talking", since=20.0))
    assert (made.idle_since[0], made.idle_seq[0]) == (10.0, 3)


def test_what_lies_a_window_back_counts_one_part_in_e() -> None:
    made = roster()
    made.note(AgentState("ann", "ready", calls=4.0, talk=600.0, loaded=100.0))
    made.note(AgentState("bob", "ready", calls=4.0, talk=300.0, loaded=3700.0))
    rows = np.array([0, 1])
    assert np.allclose(made.loads(made.calls, rows, 3600.0, 3700.0), [4.0 / math.e, 4.0])
    assert np.allclose(made.loads(made.talk, rows, 3600.0, 3700.0), [600.0 / math.e, 300.0])


def test_weights_are_points_of_priority_and_shares_of_a_lot() -> None:
    made = roster()
    assert made.points(0) is not None
    assert np.allclose(made.points(0), [120.0, 0.0])  # type: ignore[arg-type]
    assert made.points(1) is None
    assert made.weights("sales", np.array([0, 1])).tolist() == [2.0, 1.0]
    none = Roster(config([SALES], [agent("ann", weights={"sales": 0.0})]))
    assert 0.0 < none.weights("sales", np.array([0]))[0] < 0.001

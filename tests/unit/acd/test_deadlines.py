"""Deadlines: the earliest first, and none that is none."""

import pytest
from acd_world import World, agent, queue

import acd.deadlines
from acd import inputs as i
from acd.config import CallbackRules
from acd.deadlines import Deadlines, Due


def test_the_earliest_is_taken_first_and_only_when_it_is_due() -> None:
    deadlines = Deadlines([Due(30.0, "offer", 7), Due(10.0, "agent", "ann")])
    deadlines.add(20.0, "contact", "c1")
    assert deadlines.next == 10.0
    assert deadlines.take(9.9) is None
    assert deadlines.take(10.0) == Due(10.0, "agent", "ann")
    assert [deadlines.take(99.0), deadlines.take(99.0)] == [Due(20.0, "contact", "c1"), Due(30.0, "offer", 7)]
    assert deadlines.take(99.0) is None
    assert deadlines.next is None


def test_zero_is_no_deadline() -> None:
    deadlines = Deadlines([Due(0.0, "agent", "ann")])
    deadlines.add(0.0, "contact", "c1")
    assert deadlines.next is None


def test_those_of_one_moment_come_in_an_order_of_their_own_whatever_their_names_are() -> None:
    due = [Due(5.0, "offer", 12), Due(5.0, "agent", "ann"), Due(5.0, "offer", 3), Due(5.0, "callback", "b1")]
    orders = []
    for these in (due, due[::-1]):
        deadlines = Deadlines(these)
        orders.append([deadlines.take(5.0) for _ in these])
    assert orders[0] == orders[1]
    assert set(orders[0]) == set(due)


def test_those_that_count_no_more_are_not_kept_for_as_long_as_they_would_have_been(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acd.deadlines, "SPARE", 20)
    world = World([queue("sales", callback=CallbackRules())], [agent("ann")])
    day = world.now + 86_400.0
    world.tell(i.AskCallback("kept", "+490", "sales", at=day))
    for number in range(500):
        world.tell(i.AskCallback(f"b{number}", "+491", "sales", at=day))
        world.tell(i.CancelCallback(f"b{number}"))
    left = 0
    while world.state.deadlines.take(day) is not None:
        left += 1
    assert 1 <= left <= 2 * 1 + 20 + 1


def test_a_deadline_that_counts_is_never_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acd.deadlines, "SPARE", 0)
    world = World([queue("sales", callback=CallbackRules())], [agent("ann")])
    for number in range(50):
        world.tell(i.AskCallback(f"b{number}", f"+49{number}", "sales", at=world.now + 100.0 + number))
    world.wait(150.0)
    assert len(world.state.contacts) == 50
    world.check()

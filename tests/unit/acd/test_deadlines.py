"""Deadlines: the earliest first, and none that is none."""

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

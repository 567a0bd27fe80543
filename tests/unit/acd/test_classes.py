"""Waiting contacts by class."""

import numpy as np
import pytest
from acd_world import World, agent, config, queue
from hypothesis import given
from hypothesis import strategies as st

import acd.classes
from acd.classes import FIRST_ROWS, NOBODY, Classes, ClassKey, Waiter
from acd.roster import Roster

AGENTS = [agent("ann", skills={"es": 80}), agent("bob", skills={"de": 50}), agent("cid", skills={"es": 1, "de": 1})]


def classes() -> Classes:
    queues = [queue("sales"), queue("out", direction="outbound")]
    return Classes(Roster(config(queues, AGENTS)))


def key(queue: str = "sales", needs: str = "") -> ClassKey:
    return ClassKey(queue, needs, 0)


def test_a_class_is_a_row_of_those_who_may_have_its_contacts_and_a_column_of_the_same() -> None:
    made = classes()
    row = made.row(key(needs="es"))
    assert made.mask(row).tolist() == [True, False, True]
    assert made.of_agent[:, row].tolist() == [True, False, True]
    assert made.row(key(needs="es")) == row
    assert made.inbound[row]
    assert not made.inbound[made.row(key("out"))]


def test_contacts_stand_by_place_and_equals_as_they_came() -> None:
    made = classes()
    row = made.row(key())
    for place, seq, contact in ((5.0, 2, "b"), (5.0, 1, "z"), (4.0, 9, "c")):
        made.add(row, Waiter(place, seq, contact))
    assert [each.contact for each in made.everybody("sales")] == ["c", "z", "b"]
    assert made.waiting(row)[0].contact == "c"
    assert (made.head[row], made.tail[row], made.count[row]) == (4.0, 5.0, 3)
    made.remove(row, Waiter(4.0, 9, "c"))
    assert made.head[row] == 5.0


def test_positions_count_all_classes_of_the_queue_and_those_being_offered() -> None:
    made = classes()
    made.add(made.row(key(needs="es")), Waiter(1.0, 1, "a"))
    made.set_apart("sales", Waiter(2.0, 2, "b"))
    made.add(made.row(key(needs="de")), Waiter(3.0, 3, "c"))
    made.add(made.row(key("out")), Waiter(0.0, 4, "d"))
    assert made.length("sales") == 3
    assert made.ahead("sales", Waiter(3.0, 3, "c")) == 2
    assert made.ahead("sales", Waiter(1.0, 1, "a")) == 0
    assert [each.contact for each in made.everybody("sales")] == ["a", "b", "c"]
    made.take_back("sales", Waiter(2.0, 2, "b"))
    assert made.length("sales") == 2
    assert made.length("nowhere") == 0


def test_who_waits_for_one_agent_stands_with_it_and_counts_in_the_queue() -> None:
    made = classes()
    made.add(made.row(key()), Waiter(2.0, 2, "b"))
    made.add_alone("ann", "sales", Waiter(1.0, 1, "a"))
    assert [each.contact for each in made.alone("ann")] == ["a"]
    assert list(made.alone("bob")) == []
    assert made.head[made.row(key())] == 2.0
    assert (made.length("sales"), made.ahead("sales", Waiter(2.0, 2, "b"))) == (2, 1)
    made.remove_alone("ann", "sales", Waiter(1.0, 1, "a"))
    assert (list(made.alone("ann")), made.length("sales")) == ([], 1)


def test_rows_grow_beyond_those_that_there_are_at_first() -> None:
    made = classes()
    rows = [made.row(key(needs=f"skill{n} or es")) for n in range(FIRST_ROWS + 1)]
    assert rows == list(range(FIRST_ROWS + 1))
    made.add(rows[-1], Waiter(1.0, 1, "a"))
    assert made.waiting(rows[-1])[0].contact == "a"
    assert made.mask(rows[0]).tolist() == made.mask(rows[-1]).tolist() == [True, False, True]
    assert np.array_equal(made.of_agent.T, made.eligible)


def test_when_there_are_too_many_classes_the_empty_ones_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acd.classes, "MAX_CLASSES", 3)
    made = classes()
    made.add(made.row(key(needs="a")), Waiter(1.0, 1, "x"))
    for needs in ("b", "c", "d"):
        made.row(key(needs=needs))
    assert set(made.rows) == {key(needs="a"), key(needs="d")}
    assert made.waiting(made.row(key(needs="a")))[0].contact == "x"


def test_contacts_that_agents_missed_leave_no_classes_behind() -> None:
    world = World([queue("sales", on_reject="ready", skip=30.0)], [agent("ann"), agent("bob")])
    world.sign_in("ann", "bob")
    for number in range(3):
        world.call(f"c{number}", "sales")
        (first,) = world.ringing
        world.reject(first)
        (second,) = world.ringing
        assert second != first
        world.serve(second, 10.0)
    assert len(world.state.classes.rows) == 1


def test_overlap_is_the_part_of_each_class_whose_agents_may_have_the_contact_too() -> None:
    made = classes()
    es, de, all_, out = (made.row(each) for each in (key(needs="es"), key(needs="de"), key(), key("out", needs="x")))
    found = made.overlap(es)
    assert [found[row] for row in (es, de, all_, out)] == [1.0, 0.5, 2 / 3, 0.0]
    more = made.row(key("out", needs="es and de"))
    assert made.overlap(es)[more] == 1.0, "also of a class that has come since"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5).map(float), st.booleans()), max_size=30), st.randoms())
def test_order_heads_and_counts_are_those_of_a_plain_list(arrivals: list[tuple[int, float, bool]], random) -> None:  # type: ignore[no-untyped-def]
    made = classes()
    rows = [made.row(key(needs=needs)) for needs in ("", "es", "de")]
    there = [(rows[at], Waiter(place, n, str(n)), aside) for n, (at, place, aside) in enumerate(arrivals)]
    for row, waiter, aside in there:
        made.set_apart("sales", waiter) if aside else made.add(row, waiter)
    gone = random.sample(there, len(there) // 2)
    for row, waiter, aside in gone:
        made.take_back("sales", waiter) if aside else made.remove(row, waiter)
    left = [each for each in there if each not in gone]
    in_order = sorted(waiter for _, waiter, _ in left)
    assert made.everybody("sales") == in_order
    assert [made.ahead("sales", waiter) for waiter in in_order] == list(range(len(in_order)))
    for row in rows:
        own = sorted(waiter for at, waiter, aside in left if at == row and not aside)
        assert made.count[row] == len(own)
        assert made.head[row] == (own[0].place if own else NOBODY)
        assert made.tail[row] == (own[-1].place if own else NOBODY)

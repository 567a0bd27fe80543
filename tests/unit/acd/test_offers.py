"""Offers: leases of one contact to one agent, and each of their ends."""

import pytest
from acd_world import World, agent, offered, queue

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import Team


def two(**settings: object) -> World:
    """Ann has been ready the longest, then Bob."""
    world = World([queue("sales", ring_seconds=20.0, skip=30.0, **settings)], [agent("ann"), agent("bob")])
    world.sign_in("ann", "bob")
    return world


def test_who_has_waited_the_longest_is_offered_to_who_has_been_ready_the_longest() -> None:
    world = World([queue("sales")], [agent("ann"), agent("bob")])
    world.call("c1", "sales")
    world.call("c2", "sales")
    world.sign_in("bob")
    assert world.rings() == {"bob": "c1"}
    world.sign_in("ann")
    assert world.rings() == {"bob": "c1", "ann": "c2"}
    world.check()


def test_an_offer_says_whom_to_ring_for_whom_and_until_when() -> None:
    world = two()
    world.call("c1", "sales")
    (made,) = world.of(e.Offer)
    assert (made.contact, made.agent, made.address) == ("c1", "ann", "sip:ann")
    assert made.deadline == world.now + 20.0
    assert made.kind == "call"


def test_an_answer_connects_the_two() -> None:
    world = two()
    world.call("c1", "sales")
    world.wait(5.0)
    world.answer("ann")
    assert [(each.contact, each.agent) for each in world.of(e.Connect)] == [("c1", "ann")]
    assert [each.waited for each in world.of(f.Connected)] == [5.0]
    assert (world.at("ann"), world.contact("c1").agents, world.rings()) == ("talking", ["ann"], {})


def test_a_rejected_contact_goes_to_the_next_agent_at_once_and_not_back_for_a_while() -> None:
    world = two()
    world.call("c1", "sales")
    world.reject("ann")
    assert world.rings() == {"bob": "c1"}
    assert world.at("ann") == "ready"
    world.reject("bob")
    assert world.rings() == {}
    world.wait(29.9)
    assert world.rings() == {}
    world.wait(0.1)
    assert world.rings() == {"ann": "c1"}, "skipped for 30 seconds"
    world.check()


def test_a_rejected_contact_goes_to_who_has_been_ready_the_longest_also_where_nobody_is_skipped() -> None:
    world = World([queue("sales", skip=0.0)], [agent("ann"), agent("bob"), agent("cid")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.sign_in("bob", "cid")
    world.reject("ann")
    assert world.rings() == {"bob": "c1"}
    assert [(each.by, each.ready) for each in world.of(f.Offered)] == [("contact", 3)]
    world.check()


def test_of_two_offers_that_end_together_neither_goes_past_who_has_been_ready_the_longest() -> None:
    """Ann and bob have missed a contact each, and would each take that of the other."""
    people = [agent(name) for name in ("ann", "bob", "cid", "dan")]
    world = World([queue("sales")], people, teams=[Team(name="t", misses=0)])
    world.sign_in("ann", "bob")
    world.call("c1", "sales")
    world.call("c2", "sales")
    world.wait(5.0)
    world.sign_in("cid", "dan")
    world.wait(15.0)
    assert world.rings() == {"cid": "c1", "dan": "c2"}
    world.check()


def test_a_contact_that_waits_is_before_one_that_is_open_again_where_it_has_an_earlier_place() -> None:
    world = World([queue("sales", skip=0.0)], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.call("c2", "sales", priority=1.0)
    world.reject("ann")
    assert world.rings() == {"ann": "c2"}


def test_who_rejects_is_not_responding_where_the_queue_says_so() -> None:
    world = two(on_reject="not_responding")
    world.call("c1", "sales")
    world.reject("ann")
    assert world.at("ann") == "not_responding"
    world.tell(i.Ready("ann"))
    assert world.at("ann") == "ready"


def test_a_missed_offer_is_taken_back_at_its_deadline_and_the_agent_is_not_responding() -> None:
    world = two()
    world.call("c1", "sales")
    world.wait(19.9)
    assert world.rings() == {"ann": "c1"}
    world.wait(0.1)
    assert [(each.agent, each.why) for each in world.of(e.Withdraw)] == [("ann", "missed")]
    assert world.rings() == {"bob": "c1"}
    assert world.at("ann") == "not_responding"


def test_agents_are_given_as_many_misses_in_a_row_as_the_team_allows() -> None:
    world = World([queue("sales", skip=0.0)], [agent("ann")], teams=[Team(name="t", misses=2)])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.wait(20.0)
    assert (world.at("ann"), world.agent("ann").misses) == ("offered", 1)
    world.answer("ann")
    assert world.agent("ann").misses == 0, "in a row"
    world.finish("ann")
    world.call("c2", "sales")
    world.wait(40.0)
    assert world.at("ann") == "not_responding"
    assert world.contact("c2").queue == "sales"


def test_a_team_may_allow_any_number_of_misses() -> None:
    world = World([queue("sales", skip=0.0)], [agent("ann")], teams=[Team(name="t", misses=0)])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.wait(200.0)
    assert (world.at("ann"), world.agent("ann").misses) == ("offered", 10)


def test_an_unreachable_telephone_counts_as_missed_and_says_why() -> None:
    world = two()
    world.call("c1", "sales")
    world.tell(i.Unreachable(world.ringing["ann"].offer, "486"))
    assert [(each.how, each.why) for each in world.of(f.OfferEnded)] == [("unreachable", "486")]
    assert world.at("ann") == "not_responding"
    assert world.rings() == {"bob": "c1"}


def test_a_contact_keeps_its_place_through_offers_that_fail() -> None:
    world = World([queue("sales", skip=0.0, on_reject="not_responding")], [agent("ann")])
    world.call("c1", "sales")
    world.call("c2", "sales")
    world.sign_in("ann")
    world.reject("ann")
    assert [world.state.position(world.contact(name)) for name in ("c1", "c2")] == [1, 2]
    world.tell(i.Ready("ann"))
    assert world.rings() == {"ann": "c1"}


def test_a_caller_who_hangs_up_while_it_rings_takes_the_offer_back() -> None:
    world = two()
    world.call("c1", "sales")
    world.tell(i.HangUp("c1"))
    assert [(each.agent, each.why) for each in world.of(e.Withdraw)] == [("ann", "caller_left")]
    assert (world.at("ann"), world.agent("ann").misses, world.state.contacts) == ("ready", 0, {})
    assert [each.how for each in world.of(f.LeftQueue)] == ["abandoned"]


def test_who_was_rung_in_vain_keeps_no_longer_idle_time_than_others() -> None:
    world = two()
    world.call("c1", "sales")
    world.tell(i.HangUp("c1"))
    world.call("c2", "sales")
    assert world.rings() == {"bob": "c2"}


@pytest.mark.parametrize("answer", [i.Accept, i.Reject, i.Unreachable])
def test_what_crosses_the_end_of_an_offer_is_absorbed(answer: type[i.Accept | i.Reject | i.Unreachable]) -> None:
    world = two()
    world.call("c1", "sales")
    number = world.ringing["ann"].offer
    world.tell(i.HangUp("c1"))
    assert world.refused(answer(number)) == f"offer {number} is over, or there was none"
    assert world.of(e.TooLate) == ([e.TooLate(number)] if answer is i.Accept else [])
    world.check()


def test_an_answer_at_the_deadline_is_too_late() -> None:
    world = two()
    world.call("c1", "sales")
    number = world.ringing["ann"].offer
    world.now += 20.0
    world.engine.handle(i.Accept(number), world.now)
    assert world.at("ann") == "not_responding"
    assert [(each.contact, each.agent) for each in world.state.offers.values()] == [("c1", "bob")]


def test_two_answers_to_one_offer_connect_once() -> None:
    world = two()
    world.call("c1", "sales")
    number = world.ringing["ann"].offer
    world.answer("ann")
    world.refused(i.Accept(number))
    assert world.of(e.TooLate) == [e.TooLate(number)]
    assert world.at("ann") == "talking"


# ---- several at once


def several(strategy: str, **settings: object) -> World:
    world = World([queue("sales", strategy=strategy, skip=30.0, **settings)], [agent(name) for name in "abcd"])
    world.sign_in("a", "b", "c")
    world.call("c1", "sales")
    return world


def test_ring_all_rings_all_who_are_ready_and_whoever_becomes_so() -> None:
    world = several("ring_all")
    assert world.rings() == {"a": "c1", "b": "c1", "c": "c1"}
    world.sign_in("d")
    assert world.ringing["d"].contact == "c1"


def test_the_first_answer_wins_and_the_others_stop_ringing() -> None:
    world = several("ring_all")
    late = world.ringing["c"].offer
    world.answer("b")
    assert [(each.agent, each.why) for each in world.of(e.Withdraw)] == [
        ("a", "answered_elsewhere"),
        ("c", "answered_elsewhere"),
    ]
    assert [world.at(name) for name in "abc"] == ["ready", "talking", "ready"]
    assert world.agent("a").misses == 0
    world.refused(i.Accept(late))
    assert world.of(e.TooLate) == [e.TooLate(late)]
    world.check()


def test_ring_all_offers_the_next_contact_to_those_who_are_left() -> None:
    world = several("ring_all")
    world.call("c2", "sales")
    assert set(world.rings().values()) == {"c1"}
    world.answer("b")
    assert world.rings() == {"a": "c2", "c": "c2"}


def test_ring_some_rings_so_many_at_a_time_the_longest_idle_first() -> None:
    world = several("ring_some", ring_count=2)
    assert world.rings() == {"a": "c1", "b": "c1"}
    world.reject("a")
    assert world.rings() == {"b": "c1", "c": "c1"}
    world.call("c2", "sales")
    assert world.rings() == {"a": "c2", "b": "c1", "c": "c1"}
    world.wait(20.0)
    assert "c1" not in world.rings().values(), "all three have declined it or missed it"
    world.check()


def test_no_agent_is_offered_two_contacts() -> None:
    world = several("ring_all")
    for number in range(2, 6):
        world.call(f"c{number}", "sales")
    assert len(list(offered(world.effects))) == 0
    assert len(world.state.offers) == 3

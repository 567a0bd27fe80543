"""Agents kept for outbound work: for calls that are under way, beside inbound ones."""

from acd_world import World, agent, queue

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import Limit, WayOut
from acd.offering import KEPT_AGAIN, RESERVED_SECONDS


def blended(**settings: object) -> World:
    world = World(
        [queue("sales"), queue("campaign", direction="outbound", **settings)],
        [agent("ann", mode="both"), agent("bob", mode="inbound"), agent("cid", mode="outbound")],
    )
    return world


def test_agents_are_kept_by_direction() -> None:
    world = blended()
    world.sign_in("bob", "ann", "cid")
    for number in range(3):
        world.call(f"o{number}", "campaign", kind="reservation")
    assert world.rings() == {"ann": "o0", "cid": "o1"}
    assert {each.kind for each in world.ringing.values()} == {"reservation"}
    world.call("c1", "sales")
    assert world.rings()["bob"] == "c1"
    world.check()


def test_who_is_kept_is_connected_when_the_call_is_answered() -> None:
    world = blended()
    world.sign_in("cid")
    world.call("o1", "campaign", kind="reservation")
    world.wait(5.0)
    world.answer("cid")
    assert [(each.contact, each.agent) for each in world.of(e.Connect)] == [("o1", "cid")]
    world.finish("cid")
    assert (world.at("cid"), world.state.contacts) == ("ready", {})


def test_who_is_kept_for_a_call_that_is_not_answered_is_free_and_has_missed_nothing() -> None:
    world = blended()
    world.sign_in("cid")
    world.call("o1", "campaign", kind="reservation")
    world.tell(i.HangUp("o1"))
    assert (world.at("cid"), world.agent("cid").misses) == ("ready", 0)


def test_nobody_is_kept_for_longer_than_a_minute_while_others_wait() -> None:
    world = blended()
    world.sign_in("ann")
    world.call("o1", "campaign", kind="reservation")
    world.wait(1.0)
    world.call("c1", "sales")
    assert world.rings() == {"ann": "o1"}
    world.wait(RESERVED_SECONDS - 1.0)
    assert [each.why for each in world.of(e.Withdraw)] == ["missed"]
    assert world.rings() == {"ann": "c1"}
    assert not world.all(f.MissCounted)
    world.serve("ann", 1.0)
    world.wait(KEPT_AGAIN)
    assert world.rings() == {"ann": "o1"}
    world.check()


def test_inbound_and_outbound_take_turns_by_their_places() -> None:
    world = blended()
    for number in range(2):
        world.call(f"o{number}", "campaign", kind="reservation")
        world.wait(1.0)
        world.call(f"c{number}", "sales")
        world.wait(1.0)
    world.sign_in("ann")
    served = []
    for _ in range(4):
        served.append(world.rings()["ann"])
        world.serve("ann", 1.0)
    assert served == ["o0", "c0", "o1", "c1"]


def test_limits_of_callers_do_not_hold_for_reservations() -> None:
    limits = (Limit(of="none_ready", to=WayOut(kind="hangup")), Limit(of="length", to=WayOut(kind="hangup")))
    world = blended(limits=limits)
    world.call("o1", "campaign", kind="reservation")
    assert world.contact("o1").queue == "campaign"


def test_a_transferred_contact_that_talks_to_another_agent_is_no_reservation() -> None:
    world = blended()
    world.sign_in("cid", "bob")
    world.call("o1", "campaign", kind="reservation")
    world.answer("cid")
    world.finish("cid", "queue_transfer")
    world.call("o1", "sales")
    assert world.ringing["bob"].kind == "call"
    world.check()

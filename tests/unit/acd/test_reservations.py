"""Agents kept for outbound work: for calls that are under way, beside inbound ones."""

from acd_world import World, agent, queue
from msgspec.structs import replace

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import Announcement, Limit, WayOut
from acd.offering import KEPT_AGAIN, RESERVED_SECONDS


def blended(**settings: object) -> World:
    world = World(
        [queue("sales"), queue("campaign", direction="outbound", **settings)],
        [agent("ann", mode="both"), agent("bob", mode="inbound"), agent("cid", mode="outbound")],
    )
    return world


def kept(**settings: object) -> World:
    """Cid is kept for the customer, whose telephone rings."""
    world = blended(**settings)
    world.sign_in("cid")
    world.call("o1", "campaign", kind="reservation")
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


def test_who_is_kept_is_rung_when_the_call_is_answered() -> None:
    world = kept()
    world.wait(5.0)
    before = world.ringing["cid"]
    world.tell(i.Answered("o1"))
    rung = replace(before, kind="call", deadline=world.now + 20.0)
    assert world.of(e.Offer) == [rung]
    assert (world.of(e.Connect), world.at("cid"), world.contact("o1").kind) == ([], "offered", "call")
    world.wait(3.0)
    world.answer("cid")
    assert [(each.contact, each.agent) for each in world.of(e.Connect)] == [("o1", "cid")]
    assert [each.waited for each in world.all(f.Connected)] == [8.0]
    world.finish("cid")
    assert (world.at("cid"), world.state.contacts) == ("ready", {})
    world.check()


def test_who_does_not_answer_for_a_customer_on_the_line_has_missed_it_and_the_next_is_rung() -> None:
    """The customer keeps its place. The minute for which the agent was kept counts no more."""
    world = blended()
    world.sign_in("cid", "ann")
    world.call("o1", "campaign", kind="reservation")
    assert world.rings() == {"cid": "o1"}
    world.wait(50.0)
    world.tell(i.Answered("o1"))
    world.call("o2", "campaign")
    world.wait(15.0)
    assert world.rings() == {"cid": "o1", "ann": "o2"}
    world.reject("ann")
    world.wait(5.0)
    assert [(each.why, each.agent) for each in world.of(e.Withdraw)] == [("missed", "cid")]
    assert (world.agent("cid").misses, world.rings()["ann"], world.ringing["ann"].kind) == (1, "o1", "call")
    assert not world.all(f.Connected)
    world.answer("ann")
    assert [(each.contact, each.agent) for each in world.of(e.Connect)] == [("o1", "ann")]
    world.check()


def test_who_is_kept_and_can_not_be_called_then_is_followed_by_the_next() -> None:
    world = blended()
    world.sign_in("cid", "ann")
    world.call("o1", "campaign", kind="reservation")
    world.tell(i.Answered("o1"))
    world.tell(i.Unreachable(world.ringing["cid"].offer, "480"))
    assert (world.rings(), world.agent("cid").misses) == ({"ann": "o1"}, 1)
    world.check()


def test_a_customer_who_hangs_up_while_the_agent_is_rung_leaves_it_free_without_a_miss() -> None:
    world = kept()
    world.tell(i.Answered("o1"))
    world.tell(i.HangUp("o1"))
    assert [each.how for each in world.of(f.LeftQueue)] == ["abandoned"]
    assert (world.at("cid"), world.agent("cid").misses, world.state.contacts) == ("ready", 0, {})
    world.check()


def test_all_who_are_kept_are_rung_and_the_first_has_it() -> None:
    world = blended(strategy="ring_all")
    world.sign_in("cid", "ann")
    world.call("o1", "campaign", kind="reservation")
    assert world.rings() == {"cid": "o1", "ann": "o1"}
    world.tell(i.Answered("o1"))
    assert {each.kind for each in world.ringing.values()} == {"call"}
    world.answer("ann")
    assert (world.at("ann"), world.at("cid")) == ("talking", "ready")
    assert [each.why for each in world.of(e.Withdraw)] == ["answered_elsewhere"]
    world.check()


def test_limits_and_announcements_of_callers_are_for_a_customer_on_the_line() -> None:
    """Its wait on the line counts."""
    limits = (Limit(of="waited", value=30.0, to=WayOut(kind="voicemail", name="sales")),)
    announcements = (Announcement(what="position", first=25.0),)
    world = kept(limits=limits, announcements=announcements)
    world.wait(40.0)
    world.tell(i.Answered("o1"))
    world.wait(20.0)
    assert [each.why for each in world.of(e.Withdraw)] == ["missed"]
    world.wait(5.0)
    assert [each.position for each in world.all(f.Announced)] == [1]
    assert world.contact("o1").queue == "campaign"
    world.wait(5.0)
    assert [each.to.kind for each in world.of(e.SendTo)] == ["voicemail"]
    world.check()


def test_what_is_told_twice_of_a_customer_is_no_answer_of_the_agent() -> None:
    world = kept()
    offer = world.ringing["cid"].offer
    assert world.refused(i.Accept(offer)) == "agent cid is kept for contact o1: expected the customer to answer first"
    world.tell(i.Answered("o1"))
    assert world.refused(i.Answered("o1")) == ("contact o1 is a call: expected a reservation, whose customer is called")
    assert world.at("cid") == "offered"
    world.answer("cid")
    assert world.refused(i.Answered("o1")) == "contact o1 waits in no queue"
    assert world.refused(i.Answered("none")) == "there is no contact 'none', or it is over"
    world.check()


def test_a_customer_for_whom_nobody_is_kept_any_more_waits_for_the_next() -> None:
    world = kept()
    world.tell(i.SignOut("cid"))
    world.wait(2.0)
    world.tell(i.Answered("o1"))
    assert (world.effects, world.contact("o1").kind) == ([], "call")
    world.wait(3.0)
    world.sign_in("ann")
    assert world.ringing["ann"].kind == "call"
    world.answer("ann")
    assert [each.waited for each in world.of(f.Connected)] == [5.0]
    world.check()


def test_who_is_kept_for_a_call_that_is_not_answered_is_free_and_has_missed_nothing() -> None:
    world = kept()
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
    world.tell(i.Answered("o1"))
    world.answer("cid")
    world.finish("cid", "queue_transfer")
    world.call("o1", "sales")
    assert world.ringing["bob"].kind == "call"
    world.check()

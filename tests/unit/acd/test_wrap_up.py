"""After-call work: after `answered`, `ring` or `never`; ending `manual`, `timeboxed` or `timeboxed_strict`."""

import pytest
from acd_world import World, agent, queue

from acd import inputs as i
from acd.config import WrapUp

TIMEBOXED = WrapUp(after="answered", ends="timeboxed", seconds=30.0, extension=60.0)
MANUAL = WrapUp(after="answered", ends="manual")
STRICT = WrapUp(after="answered", ends="timeboxed_strict", seconds=30.0)


def after_call(rule: WrapUp, own: WrapUp | None = None) -> World:
    """Ann has just finished a contact."""
    world = World([queue("sales", wrap_up=rule)], [agent("ann", wrap_up=own)])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.serve("ann", 60.0)
    return world


def test_timeboxed_wrap_up_ends_by_time() -> None:
    world = after_call(TIMEBOXED)
    assert (world.at("ann"), world.agent("ann").until) == ("wrap_up", world.now + 30.0)
    world.wait(29.9)
    assert world.at("ann") == "wrap_up"
    world.wait(0.1)
    assert world.at("ann") == "ready"
    world.check()


def test_timeboxed_wrap_up_ends_early_on_ready() -> None:
    world = after_call(TIMEBOXED)
    world.wait(5.0)
    world.tell(i.Ready("ann"))
    assert world.at("ann") == "ready"
    world.call("c2", "sales")
    world.serve("ann", 20.0)
    world.wait(6.0)
    assert world.at("ann") == "wrap_up", "the deadline of the first one counts no more"


def test_manual_wrap_up_ends_on_ready_alone() -> None:
    world = after_call(MANUAL)
    world.wait(10_000.0)
    assert world.at("ann") == "wrap_up"
    world.tell(i.Ready("ann"))
    assert world.at("ann") == "ready"


def test_strict_wrap_up_ends_by_time_alone() -> None:
    world = after_call(STRICT)
    world.wait(5.0)
    assert world.refused(i.Ready("ann")) == ("the wrap-up of agent ann ends by time: expected nothing before that")
    world.wait(25.0)
    assert world.at("ann") == "ready"


def test_a_pause_in_strict_wrap_up_begins_after_it_and_is_no_way_around() -> None:
    world = after_call(STRICT)
    world.tell(i.Pause("ann", "lunch", 60.0))
    assert world.at("ann") == "wrap_up"
    world.wait(30.0)
    assert (world.at("ann"), world.agent("ann").until) == ("paused", world.now + 60.0)
    other = after_call(STRICT)
    other.tell(i.Pause("ann"))
    other.tell(i.Ready("ann"))
    assert other.at("ann") == "wrap_up"
    other.wait(30.0)
    assert other.at("ann") == "ready"
    other.check()


@pytest.mark.parametrize("rule", [MANUAL, TIMEBOXED])
def test_a_pause_ends_any_other_wrap_up(rule: WrapUp) -> None:
    world = after_call(rule)
    world.tell(i.Pause("ann"))
    assert world.at("ann") == "paused"


def test_who_wraps_up_is_offered_nothing_and_gets_what_waits_afterwards() -> None:
    world = after_call(TIMEBOXED)
    world.call("c2", "sales")
    assert world.rings() == {}
    world.wait(30.0)
    assert world.rings() == {"ann": "c2"}


@pytest.mark.parametrize("ends", ["manual", "timeboxed"])
def test_wrap_up_of_no_seconds_is_none_unless_it_ends_by_hand(ends: str) -> None:
    world = after_call(WrapUp(ends=ends, seconds=0.0))  # type: ignore[arg-type]
    assert world.at("ann") == ("wrap_up" if ends == "manual" else "ready")


def test_never_is_never() -> None:
    assert after_call(WrapUp(after="never", ends="manual")).at("ann") == "ready"


def test_an_agents_own_rule_goes_before_that_of_the_queue() -> None:
    assert after_call(MANUAL, own=WrapUp(after="never")).at("ann") == "ready"
    assert after_call(WrapUp(after="never"), own=MANUAL).at("ann") == "wrap_up"


def test_when_the_customer_hangs_up_the_agent_wraps_up_just_so() -> None:
    world = World([queue("sales", wrap_up=TIMEBOXED)], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.answer("ann")
    world.tell(i.HangUp("c1"))
    assert (world.at("ann"), world.state.contacts) == ("wrap_up", {})


@pytest.mark.parametrize(("after", "state"), [("answered", "ready"), ("ring", "wrap_up"), ("never", "ready")])
def test_after_ring_an_offer_that_was_not_taken_is_wrapped_up_too(after: str, state: str) -> None:
    rule = WrapUp(after=after, seconds=30.0)  # type: ignore[arg-type]
    world = World([queue("sales", wrap_up=rule)], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.reject("ann")
    assert world.at("ann") == state
    world.wait(30.0)
    world.tell(i.HangUp("c1"))
    assert world.at("ann") == state, "it has rung again, and the caller has gone"
    world.check()


def test_wrap_up_may_be_made_longer_as_often_as_its_extension_lasts() -> None:
    world = after_call(TIMEBOXED)
    end = world.now + 30.0
    world.tell(i.ExtendWrapUp("ann", 20.0))
    world.tell(i.ExtendWrapUp("ann", 40.0))
    assert world.agent("ann").until == end + 60.0
    assert world.refused(i.ExtendWrapUp("ann", 1.0)) == (
        "agent ann may make this wrap-up longer by 0 s: expected no more, and more than 0"
    )
    world.wait(89.9)
    assert world.at("ann") == "wrap_up"
    world.wait(0.1)
    assert world.at("ann") == "ready"
    world.call("c2", "sales")
    world.serve("ann", 1.0)
    world.tell(i.ExtendWrapUp("ann", 60.0))
    world.check()


def test_wrap_up_without_an_end_is_not_made_longer() -> None:
    world = after_call(MANUAL)
    assert world.refused(i.ExtendWrapUp("ann", 1.0)) == "agent ann is in no wrap-up that ends by time"


def test_a_transfer_to_another_queue_is_wrapped_up_by_the_queue_it_came_from() -> None:
    world = World([queue("sales", wrap_up=TIMEBOXED), queue("help")], [agent("ann", skills={"s": 1}), agent("bob")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.answer("ann")
    world.finish("ann", "queue_transfer")
    assert world.at("ann") == "wrap_up"
    world.call("c1", "help")
    world.sign_in("bob")
    assert world.rings() == {"bob": "c1"}
    world.check()

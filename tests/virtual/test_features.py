"""Do not disturb, call waiting and forwards set while the switch runs, on the whole switch."""

from __future__ import annotations

import pytest

from sip.ua_events import SessionAnswered, SessionFailed
from softswitch.features import FeatureChange, FeatureRefused
from tests.virtual.network import World, settings


@pytest.mark.parametrize("by", ["settings", "phone"])
def test_do_not_disturb_is_busy_without_ringing(by: str) -> None:
    world = World(settings(extensions={"102": {"do_not_disturb": by == "settings"}}))
    if by == "phone":
        world.switch.set_feature("102", "dnd", "on")
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(1.0)
    assert not ben.got("INVITE")
    assert ann.last(SessionFailed).status == 486
    [record] = world.assert_over()
    assert record.cause == 17


def test_a_phone_that_is_not_to_be_disturbed_still_calls_and_its_busy_forward_counts() -> None:
    world = World(settings(extensions={"102": {"forward": {"busy": "103"}}}))
    world.switch.set_feature("102", "dnd", "on")
    ann, ben, cid = world.phone("101"), world.phone("102"), world.phone("103")
    ann.dial("102")
    world.run(0.5)
    assert not ben.got("INVITE")
    assert cid.got("INVITE")
    cid.refuse(486)
    world.run(0.5)
    ben.dial("101")
    world.run(0.5)
    assert ann.got("INVITE")


def test_what_was_set_wins_over_the_settings_until_it_is_cleared() -> None:
    world = World(settings(extensions={"102": {"do_not_disturb": True, "forward": {"busy": "103"}}}))
    book, set_feature = world.switch.book, world.switch.set_feature
    assert (book.do_not_disturb("102"), book.forward("102", "busy")) == (True, "103")
    set_feature("102", "dnd", "off")
    set_feature("102", "forward_busy", "104")
    assert (book.do_not_disturb("102"), book.forward("102", "busy")) == (False, "104")
    set_feature("102", "forward_busy", "off")
    assert book.forward("102", "busy") is None
    set_feature("102", "dnd", None)
    set_feature("102", "forward_busy", None)
    assert (book.do_not_disturb("102"), book.forward("102", "busy")) == (True, "103")
    assert (book.do_not_disturb("199"), book.forward("199", "busy"), book.call_waiting("199")) == (False, None, True)


def test_forwards_set_in_a_circle_end_with_482() -> None:
    world = World()
    world.switch.set_feature("102", "forward_always", "103")
    world.switch.set_feature("103", "forward_always", "102")
    ann = world.phone("101")
    ann.dial("102")
    world.run(1.0)
    assert ann.last(SessionFailed).status == 482
    world.assert_over()


@pytest.mark.parametrize("route_says", [False, True])
def test_no_answer_has_its_own_ring_time_where_the_route_has_none(route_says: bool) -> None:
    routes = [{"to": "102", "dial": "102", "ring_timeout": "20s"}] if route_says else []
    forward = {"no_answer": "103", "no_answer_after": 8}
    world = World(settings(routes=routes, extensions={"102": {"ring_timeout": 30, "forward": forward}}))
    ann, ben, cid = world.phone("101"), world.phone("102"), world.phone("103")
    ann.dial("102")
    world.run(0.5)
    ben.ring()
    world.run(7.0)
    assert not ben.got("CANCEL")
    world.run(1.0)
    assert bool(ben.got("CANCEL")) is not route_says
    world.run(12.0)
    assert cid.got("INVITE")


def test_the_ring_time_set_at_the_phone_counts_first_and_only_with_a_forward() -> None:
    world = World(settings(extensions={"102": {"ring_timeout": 30, "forward": {"no_answer_after": 20}}}))
    world.switch.set_feature("102", "no_answer_after", "5")
    ann, ben, cid = world.phone("101"), world.phone("102"), world.phone("103")
    ann.dial("102")
    world.run(0.5)
    ben.ring()
    world.run(25.0)
    assert not ben.got("CANCEL")
    world.run(5.0)
    assert ann.last(SessionFailed).status == 480
    world.switch.set_feature("102", "forward_no_answer", "103")
    ann.dial("102")
    world.run(0.5)
    ben.ring()
    world.run(5.0)
    assert cid.got("INVITE")


@pytest.mark.parametrize("by", ["settings", "phone"])
def test_without_call_waiting_a_second_call_finds_the_extension_busy(by: str) -> None:
    world = World(settings(extensions={"102": {"call_waiting": by != "settings", "call_limit": 5}}))
    if by == "phone":
        world.switch.set_feature("102", "call_waiting", "off")
    ann, ben, cid = world.phone("101"), world.phone("102"), world.phone("103")
    session = ann.dial("102")
    world.run(0.5)
    ben.answer()
    world.run(0.5)
    assert ann.last(SessionAnswered)
    cid.dial("102")
    world.run(0.5)
    assert len(ben.got("INVITE")) == 1
    assert cid.last(SessionFailed).status == 486
    ben.dial("104")  # its own calls are not concerned
    world.run(0.5)
    assert ben.last(SessionFailed).status == 480
    ann.do(session.hangup)
    world.run(0.5)
    cid.dial("102")
    world.run(0.5)
    assert len(ben.got("INVITE")) == 2


def test_each_change_is_written_and_read_back_at_the_next_start() -> None:
    world = World()
    changes: list[FeatureChange] = []
    world.switch.write_feature = changes.append
    world.switch.set_feature("102", "dnd", "on")
    world.switch.set_feature("103", "dnd", "on")
    world.switch.set_feature("103", "dnd", None)
    with pytest.raises(FeatureRefused):
        world.switch.set_feature("199", "dnd", "on")
    assert changes == [
        FeatureChange("102", "dnd", "on"),
        FeatureChange("103", "dnd", "on"),
        FeatureChange("103", "dnd", None),
    ]
    later = World()
    later.switch.start(settings(), (), later.now, changes[:1])
    assert later.switch.book.do_not_disturb("102")


def test_a_reload_without_the_extension_forgets_what_was_set() -> None:
    world = World(settings(extensions={"200": {}}))
    changes: list[FeatureChange] = []
    world.switch.set_feature("200", "forward_always", "103")
    world.switch.write_feature = changes.append
    world.switch.configure(settings(), world.now)
    assert changes == [FeatureChange("200", "forward_always", None)]

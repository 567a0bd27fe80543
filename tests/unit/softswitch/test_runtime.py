"""The runtime's tables and what it does with events nobody waits for; calls are tested in tests/virtual."""

from __future__ import annotations

from typing import get_args

from media.commands import StreamClosed, StreamFailed, StreamLatched, StreamSilent, StreamStats
from sip.ua_events import SessionAnswered, SessionEnded, SessionFailed
from softswitch.causes import Cause
from softswitch.vocabulary import AnyEffect
from tests.virtual.network import World


def test_every_effect_of_a_call_is_carried_out_by_somebody() -> None:
    assert set(World().runtime._does) == set(get_args(AnyEffect))


def test_events_of_streams_that_are_gone_are_nothing() -> None:
    world = World()
    for event in (
        StreamClosed(99, StreamStats()),
        StreamSilent(99, 60.0),
        StreamFailed(99, "why"),
        StreamLatched(99, "192.0.2.9", 4000),
    ):
        world.runtime.media_event(event, world.now)
    assert world.node.leftovers() == {}


def test_events_of_sessions_that_are_no_legs_are_nothing() -> None:
    world = World()
    ann = world.phone("101")
    session = ann.dial("999")
    world.run(0.5)
    world.runtime.session_event(SessionEnded(session, "bye", 0, ""), world.now)
    session.user = 77
    world.runtime.session_event(SessionEnded(session, "bye", 0, ""), world.now)
    world.assert_over()


def test_a_stream_that_fails_ends_the_call() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    world.establish(ann, ben)
    world.media.events.append(StreamFailed(world.legs()[1], "no address"))
    world.link.settle()
    world.run(0.5)
    assert ann.last(SessionEnded).cause == "bye"
    [record] = world.assert_over()
    assert (record.cause, record.ended_by) == (Cause.RESOURCE_UNAVAILABLE, "media")


def test_a_stream_that_fails_while_it_rings_costs_only_its_leg() -> None:
    world = World()
    ann, desk, mobile = world.phone("101"), world.phone("102"), world.phone("102", "192.0.2.202")
    session = ann.dial("102")
    world.run(0.5)
    world.media.events.append(StreamFailed(world.legs()[1], "no address"))
    world.link.settle()
    world.run(0.5)
    assert len(desk.got("CANCEL")) + len(mobile.got("CANCEL")) == 1
    (desk if mobile.got("CANCEL") else mobile).answer()
    world.run(0.5)
    assert ann.last(SessionAnswered)
    ann.do(session.hangup)
    world.assert_over()


def test_ids_of_contacts_are_unique_and_sort_by_time() -> None:
    world = World()
    ann = world.phone("101")
    for _ in range(20):
        ann.dial("999")
        world.run(0.1)
    assert ann.last(SessionFailed).status == 404
    contacts = [record.contact for record in world.assert_over(20)]
    assert sorted(contacts) == contacts
    assert len(set(contacts)) == 20

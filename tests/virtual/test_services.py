"""Callers whom the switch answers itself: announcements, music, conferences, on the whole switch."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import CloseRoom, File, Music, Play, PlayEnded, Say, SetRoom, Silence, StopPlay, Tone
from sip.ua_events import AnswerReceived, Offered, OfferFailed, SessionAnswered, SessionEnded, SessionFailed
from softswitch.call_alone import LAST_HEARD
from softswitch.report import call_row
from tests.virtual.network import EVENTS, G722, PCMA, PCMU, World, settings

G729 = "18 G729/8000"
ROUTES = [
    {
        "to": "*50",
        "answer_and_play": ["welcome", {"silence": 0.5}, {"say": "{caller}"}, {"tone": "busy", "seconds": 3}],
    },
    {"to": "*51", "answer_and_music": "jazz"},
    {"to": "_8XX", "answer_and_conference": "room{number}"},
    {"to": "7", "dial": "104", "on_unavailable": {"answer_and_conference": "late"}},
    {"to": "6", "dial": {"trunk": "north"}, "on_unavailable": {"answer_and_play": "sorry"}},
]


def serving(**sections: Any) -> World:
    return World(settings(routes=ROUTES, **sections))


def tell(world: World, event: Any) -> None:
    world.media.events.append(event)
    world.link.settle()
    world.run(0.5)


def played(world: World) -> Play:
    [play] = world.media.asked(Play)
    return play


def test_an_announcement_is_played_and_the_call_is_over() -> None:
    world = serving()
    ann = world.phone("101")
    ann.dial("*50")
    world.run(0.5)
    assert ann.last(SessionAnswered)
    [leg] = world.legs()
    play = played(world)
    assert play.stream == leg
    assert play.sources == (File("welcome"), Silence(0.5), Say("digits", "101"), Tone("busy", "", 3.0), LAST_HEARD)
    [active] = world.runtime.calls.values()
    assert call_row(active, world.now).state == "playing"
    world.run(4.0)
    tell(world, PlayEnded(play.play, "done"))
    assert ann.last(SessionEnded).cause == "bye"
    [record] = world.assert_over()
    assert (record.destination, record.ended_by, record.cause) == ("announcement", "switch", 16)
    assert record.billsec > 4.0
    assert [segment.kind for segment in world.node.contacts[0].segments] == ["route", "announcement"]


def test_an_announcement_that_can_not_be_played_ends_the_call_as_a_failure() -> None:
    world = serving()
    ann = world.phone("101")
    ann.dial("*50")
    world.run(0.5)
    tell(world, PlayEnded(played(world).play, "failed", "no file 'welcome'"))
    assert ann.last(SessionEnded).cause == "bye"
    [record] = world.assert_over()
    assert (record.ended_by, record.cause) == ("media", 41)


def test_the_caller_may_hang_up_before() -> None:
    world = serving()
    ann = world.phone("101")
    session = ann.dial("*50")
    world.run(0.5)
    ann.do(session.hangup)
    world.run(0.5)
    tell(world, PlayEnded(played(world).play, "stopped"))
    [record] = world.assert_over()
    assert record.ended_by == "caller"
    assert world.media.asked(StopPlay) == [], "a player goes with its stream"


def test_music_has_no_end() -> None:
    world = serving()
    ann = world.phone("101")
    session = ann.dial("*51")
    world.run(0.5)
    assert played(world).sources == (Music("jazz"), LAST_HEARD)
    tell(world, PlayEnded(12345, "done"))  # another's
    assert not ann.of(SessionEnded)
    ann.do(session.hangup)
    world.assert_over()


def test_what_is_played_must_be_in_a_codec_that_can_be_encoded() -> None:
    world = serving(extensions={"101": {"codecs": ["G729", "PCMU"]}})
    ann = world.phone("101")
    ann.dial("*50", ann.sdp((G729,)))
    world.run(0.5)
    assert ann.last(SessionFailed).status == 488
    session = ann.dial("*50", ann.sdp((G729, PCMU, EVENTS)))
    world.run(0.5)
    [leg] = world.legs()
    stream = world.media.streams[leg]
    assert stream is not None
    assert [name for _, name, _ in stream.formats] == ["PCMU", "telephone-event"]
    ann.do(session.offer, ann.sdp((G729,)))
    world.run(0.5)
    assert ann.last(OfferFailed).status == 488
    ann.do(session.offer, ann.sdp((PCMU,), "sendonly"))
    world.run(0.5)
    assert b"a=recvonly" in ann.last(AnswerReceived).sdp
    ann.do(session.hangup)
    world.assert_over(2)


def test_a_caller_without_an_offer_hears_it_once_it_has_answered_ours() -> None:
    world = serving()
    ann = world.phone("101")
    ann.on_event = lambda event, now: (
        event.session.answer(ann.sdp((G722,)), now) if isinstance(event, Offered) else None
    )
    world.link.fate = lambda seen: [0.4] if seen.what == "ACK" and seen.sender == ann.host else [0.01]
    session = ann.dial("*51", None)
    world.run(0.2)
    assert world.media.asked(Play) == []
    world.run(1.0)
    assert played(world)
    ann.do(session.hangup)
    world.assert_over()


def test_an_announcement_after_a_trunk_has_failed() -> None:
    """What early media agreed stands: the player speaks that."""
    world = serving()
    ann = world.phone("101")
    first, second = world.gateway("192.0.2.51"), world.gateway("192.0.2.52")
    session = ann.dial("6")
    world.run(0.2)
    first.ring(183, first.sdp((PCMA, EVENTS)))
    world.run(0.2)
    first.refuse(503)
    world.run(0.2)
    second.refuse(503)
    world.run(0.5)
    assert ann.last(SessionAnswered)
    assert played(world).sources == (File("sorry"), LAST_HEARD)
    stream = world.media.streams[world.legs()[0]]
    assert stream is not None
    assert stream.formats[0][1] == "PCMA"
    ann.do(session.hangup)
    world.assert_over()


# ---- conferences


def rooms(world: World) -> list[tuple[int, tuple[int, ...]]]:
    return [(command.room, command.members) for command in world.media.asked(SetRoom)]


def test_callers_of_one_conference_hear_each_other() -> None:
    world = serving()
    ann, ben, cem = (world.phone(number) for number in ("101", "102", "103"))
    sessions = []
    for phone in (ann, ben, cem):
        sessions.append(phone.dial("800"))
        world.run(0.5)
    a, b, c = world.legs()
    [room] = {number for number, _ in rooms(world)}
    assert [members for _, members in rooms(world)] == [(a,), (a, b), (a, b, c)]
    beeps = world.media.asked(Play)
    assert [(play.room, play.sources, play.over) for play in beeps] == 3 * [(room, (Tone("beep"),), True)]
    assert len({play.play for play in beeps}) == 3
    assert world.runtime.rooms.members("room800") == (a, b, c)
    assert {world.media.groups[leg] for leg in (a, b, c)} == {"conference room800"}
    ben.do(sessions[1].hangup)
    world.run(0.5)
    assert rooms(world)[-1] == (room, (a, c))
    assert len(world.media.asked(Play)) == 4
    ann.do(sessions[0].hangup)
    cem.do(sessions[2].hangup)
    world.run(0.5)
    assert world.media.asked(CloseRoom) == [CloseRoom(room)]
    records = world.assert_over(3)
    assert {record.destination for record in records} == {"conference"}


def test_conferences_of_other_names_are_apart_and_an_empty_one_begins_anew() -> None:
    world = serving()
    ann, ben = world.phone("101"), world.phone("102")
    first, second = ann.dial("800"), ben.dial("801")
    world.run(0.5)
    assert len({number for number, _ in rooms(world)}) == 2
    assert len(set(world.media.groups.values())) == 2
    ann.do(first.hangup)
    world.run(0.5)
    again = ann.dial("800")
    world.run(0.5)
    assert len({number for number, _ in rooms(world)}) == 3
    ann.do(again.hangup)
    ben.do(second.hangup)
    world.assert_over(3)


def test_the_legs_of_one_call_are_on_one_worker_and_calls_apart() -> None:
    world = serving()
    ann, ben, cem, deb = (world.phone(number) for number in ("101", "102", "103", "104"))
    sessions = [world.establish(ann, ben), world.establish(cem, deb)]
    a, b, c, d = world.legs()
    groups = world.media.groups
    assert groups[a] == groups[b] != groups[c] == groups[d]
    ann.do(sessions[0].hangup)
    cem.do(sessions[1].hangup)
    world.assert_over(2)


def test_a_conference_that_is_reached_as_a_fallback_is_on_its_worker_from_the_start() -> None:
    world = serving()
    ann = world.phone("101")
    session = ann.dial("7")
    world.run(0.5)
    assert ann.last(SessionAnswered)
    assert world.media.groups[world.legs()[0]] == "conference late"
    assert world.runtime.rooms.members("late") == tuple(world.legs())
    ann.do(session.hangup)
    world.assert_over()


def test_the_hold_of_a_member_is_its_own_affair() -> None:
    world = serving()
    ann, ben = world.phone("101"), world.phone("102")
    sessions = [ann.dial("800"), ben.dial("800")]
    world.run(0.5)
    ann.do(sessions[0].offer, ann.sdp(direction="sendonly"))
    world.run(0.5)
    assert b"a=recvonly" in ann.last(AnswerReceived).sdp
    assert not ben.of(Offered)
    ann.do(sessions[0].hangup)
    ben.do(sessions[1].hangup)
    world.assert_over(2)


@pytest.mark.parametrize("formats", [(PCMU,), (G722,), ("111 opus/48000/2",)])
def test_members_may_have_any_codec_of_the_engine(formats: tuple[str, ...]) -> None:
    world = serving()
    ann = world.phone("101")
    session = ann.dial("800", ann.sdp(formats))
    world.run(0.5)
    assert ann.last(SessionAnswered)
    ann.do(session.hangup)
    world.assert_over()

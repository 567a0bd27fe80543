"""Media workers die under callers whom the switch itself has answered: conferences meet again, announcements go on."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from media.audio_commands import AudioCommand, CloseRoom, Digit, File, Play, PlayEnded, SetRoom, SetVolume, Tone
from sip.invite import InviteSession
from sip.ua_events import Offered, SessionEnded
from softswitch.call_alone import HEARD_TWICE, LAST_HEARD
from softswitch.causes import Cause
from tests.virtual.line_media import AccountEngine
from tests.virtual.network import Phone
from tests.virtual.test_changes import direction, obliging
from tests.virtual.test_media_workers import WorkersWorld

ROUTES = [
    {"to": "*50", "answer_and_play": ["welcome", {"tone": "busy", "seconds": 3}]},
    {"to": "*51", "answer_and_music": "jazz"},
    {"to": "_8XX", "answer_and_conference": "room{number}"},
    {"to": "7", "dial": "104", "on_unavailable": {"answer_and_conference": "late"}},
]
BEEP = (Tone("beep"),)


def asked(engine: AccountEngine, kind: type[Any]) -> list[Any]:
    return [command for command in engine.audios if isinstance(command, kind)]


def beeps(engine: AccountEngine) -> int:
    return sum(play.over and play.sources[:1] == BEEP for play in asked(engine, Play))


def members(engine: AccountEngine) -> tuple[int, ...]:
    """Who is in the one room of this engine."""
    rooms = {command.room: command.members for command in asked(engine, SetRoom)}
    for closed in asked(engine, CloseRoom):
        rooms.pop(closed.room, None)
    [found] = rooms.values()
    return tuple(found)


def muted(engine: AccountEngine) -> set[int]:
    """Whom nobody hears there."""
    volumes = {command.stream: command for command in asked(engine, SetVolume)}
    return {stream for stream, volume in volumes.items() if volume.muted}


def new_home(world: WorkersWorld) -> AccountEngine:
    """The one worker that has streams."""
    [engine] = [each for each in world.workers.engines if each.streams]
    return engine


def lasting(world: WorkersWorld, phone: Phone, seconds: float) -> None:
    """It takes every offer, but so many seconds after it came."""

    def heard(event: Any, now: float) -> None:
        if isinstance(event, Offered):
            world.link._later(now + seconds, lambda: phone.do(event.session.answer, phone.sdp()))

    phone.on_event = heard


class Meeting:
    """A conference of phones 101, 102..."""

    def __init__(self, workers: int = 2, phones: int = 3, number: str = "800") -> None:
        self.world = WorkersWorld(workers, routes=ROUTES)
        self.phones = [self.world.phone(str(101 + n)) for n in range(phones)]
        self.sessions: list[InviteSession] = []
        self.legs: list[int] = []
        for phone in self.phones:
            self.sessions.append(phone.dial(number))
            self.world.run(0.5)
            [leg] = set(self.world.legs()) - set(self.legs)
            self.legs.append(leg)
            obliging(phone)

    def kill(self, restart: bool = False) -> int:
        home = self.world.home()
        self.world.kill(home, restart)
        return home

    def hang_up(self, *others: int) -> None:
        for n in others or range(len(self.phones)):
            self.phones[n].do(self.sessions[n].hangup)
            self.world.run(0.2)


def test_a_conference_meets_again_on_another_worker() -> None:
    """All on the same one, in the same room, without a beep; the ends have the new address; then all is as ever."""
    meeting = Meeting()
    world = meeting.world
    before = meeting.kill()
    world.run(0.5)
    engine = new_home(world)
    assert world.home() == 1 - before
    assert set(engine.streams) == set(meeting.legs)
    assert all(settings is not None for settings in engine.streams.values())
    assert members(engine) == tuple(meeting.legs)
    assert beeps(engine) == 0
    for phone in meeting.phones:
        [offer] = phone.of(Offered)
        assert direction(offer.sdp) == "sendrecv"
    meeting.hang_up(1)
    assert members(engine) == (meeting.legs[0], meeting.legs[2])
    assert beeps(engine) == 1
    deb = world.phone("104")
    late = deb.dial("800")
    world.run(0.5)
    [fourth] = set(world.legs()) - set(meeting.legs)
    assert members(engine) == (meeting.legs[0], meeting.legs[2], fourth)
    assert beeps(engine) == 2
    deb.do(late.hangup)
    meeting.hang_up(0, 2)
    assert len(asked(engine, CloseRoom)) == 1
    records = world.assert_over(4)
    assert {record.cause for record in records} == {Cause.NORMAL_CLEARING}


@pytest.mark.parametrize("order", list(itertools.permutations((0.05, 0.4, 1.5))))
def test_they_meet_in_whatever_order_their_ends_answer(order: tuple[float, ...]) -> None:
    meeting = Meeting()
    world = meeting.world
    for phone, seconds in zip(meeting.phones, order, strict=True):
        lasting(world, phone, seconds)
    meeting.kill()
    world.run(3.0)
    engine = new_home(world)
    assert members(engine) == tuple(meeting.legs)
    assert set(engine.streams) == set(meeting.legs)
    assert beeps(engine) == 0
    meeting.hang_up()
    world.assert_over(3)


def test_a_conference_waits_for_the_only_worker() -> None:
    """It is started anew some seconds later; who hangs up or comes meanwhile does so."""
    meeting = Meeting(1)
    world = meeting.world
    meeting.kill()
    world.run(1.0)
    meeting.hang_up(0)
    world.run(1.0)
    world.workers.restart(0)
    world.run(1.0)
    engine = new_home(world)
    assert members(engine) == tuple(meeting.legs[1:])
    assert beeps(engine) == 0
    assert not meeting.phones[1].of(SessionEnded)
    meeting.hang_up(1, 2)
    records = world.assert_over(3)
    assert {record.cause for record in records} == {Cause.NORMAL_CLEARING}


def test_a_conference_for_which_no_worker_comes_ends() -> None:
    meeting = Meeting(1)
    meeting.kill()
    meeting.world.run(9.0)
    assert not meeting.phones[0].of(SessionEnded)
    meeting.world.run(3.0)
    records = meeting.world.assert_over(3)
    assert {(record.cause, record.ended_by) for record in records} == {(Cause.TEMPORARY_FAILURE, "media")}


def test_who_refuses_to_move_is_out_and_the_others_stay() -> None:
    """They hear the beep of a leave."""
    meeting = Meeting()
    world = meeting.world
    meeting.phones[1].on_event = lambda event, now: (
        event.session.reject_offer(488, now) if isinstance(event, Offered) else None
    )
    meeting.kill()
    world.run(1.0)
    engine = new_home(world)
    assert members(engine) == (meeting.legs[0], meeting.legs[2])
    assert set(engine.streams) == {meeting.legs[0], meeting.legs[2]}
    assert beeps(engine) == 1
    [out] = world.records
    assert (out.cause, out.ended_by) == (Cause.TEMPORARY_FAILURE, "media")
    assert [leg.endpoint for leg in out.legs] == ["102"]
    meeting.hang_up(0, 2)
    world.assert_over(3)


def test_who_is_asked_at_a_bad_moment_is_asked_again() -> None:
    """RFC 3261 14.1: 491. It is in the room all the while."""
    meeting = Meeting()
    world = meeting.world
    times = []

    def busy_at_first(event: Any, now: float) -> None:
        if isinstance(event, Offered):
            times.append(now)
            if len(times) == 1:
                event.session.reject_offer(491, now)
            else:
                event.session.answer(meeting.phones[2].sdp(), now)

    meeting.phones[2].on_event = busy_at_first
    meeting.kill()
    world.run(3.0)
    assert len(times) == 2
    assert members(new_home(world)) == tuple(meeting.legs)
    meeting.hang_up()
    world.assert_over(3)


def test_who_holds_comes_back_holding() -> None:
    meeting = Meeting(phones=2)
    world, ann = meeting.world, meeting.phones[0]
    ann.do(meeting.sessions[0].offer, ann.sdp(direction="sendonly"))
    world.run(0.5)
    ann.events.clear()
    meeting.kill()
    world.run(0.5)
    assert direction(ann.last(Offered).sdp) == "recvonly"
    assert members(new_home(world)) == tuple(meeting.legs)
    assert muted(new_home(world)) == {meeting.legs[0]}, "what its telephone plays is heard at no worker"
    ann.do(meeting.sessions[0].offer, ann.sdp())
    world.run(0.5)
    assert muted(new_home(world)) == set()
    meeting.hang_up()
    world.assert_over(2)


def test_who_came_by_a_route_of_its_own_moves_with_the_others() -> None:
    """Into one room by the fallback of a route and directly."""
    world = WorkersWorld(2, routes=[*ROUTES, {"to": "_6XX", "answer_and_conference": "late"}])
    ann, ben = world.phone("101"), world.phone("102")
    sessions = [ann.dial("7")]
    world.run(0.5)
    sessions.append(ben.dial("600"))
    world.run(0.5)
    legs = world.legs()
    obliging(ann)
    obliging(ben)
    world.kill(world.home())
    world.run(0.5)
    assert members(new_home(world)) == tuple(legs)
    ann.do(sessions[0].hangup)
    ben.do(sessions[1].hangup)
    world.assert_over(2)


def test_conferences_meet_again_however_often_their_worker_dies() -> None:
    meeting = Meeting()
    world = meeting.world
    for n in range(12):
        meeting.kill(restart=True)
        world.run((0.0, 0.01, 0.3, 2.0)[n % 4])
    world.run(5.0)
    assert members(new_home(world)) == tuple(meeting.legs)
    assert beeps(new_home(world)) == 0
    meeting.hang_up()
    records = world.assert_over(3)
    assert {record.cause for record in records} == {Cause.NORMAL_CLEARING}


# ---- announcements and music


def announced(number: str = "*50", workers: int = 2) -> tuple[WorkersWorld, Phone, InviteSession]:
    world = WorkersWorld(workers, routes=ROUTES)
    ann = world.phone("101")
    session = ann.dial(number)
    world.run(0.5)
    obliging(ann)
    return world, ann, session


def tell(world: WorkersWorld, event: PlayEnded) -> None:
    """The worker that has the stream says so."""
    new_home(world).events.append(event)
    for virtual in world.workers.virtual:
        if virtual is not None:
            virtual.tell()
    world.workers.carry()
    world.link.settle()
    world.run(0.5)


def playing(world: WorkersWorld) -> Play:
    """What the worker that has the stream was asked to play."""
    commands: list[AudioCommand] = new_home(world).audios
    [play] = [command for command in commands if isinstance(command, Play)]
    return play


def begun(world: WorkersWorld) -> float:
    [contact] = [active.call.contact for active in world.runtime.calls.values()]
    assert contact.answered is not None
    return contact.answered


def test_an_announcement_goes_on_where_it_was() -> None:
    """At another worker, once the caller's telephone knows the new address; its end is the end of the call."""
    world, ann, _ = announced()
    first = playing(world)
    assert first.start == 0.0
    lasting(world, ann, 0.4)
    world.run(2.0)
    died = world.now
    world.kill(world.home())
    world.run(0.3)
    assert [command for command in new_home(world).audios if isinstance(command, Play)] == []
    world.run(0.5)
    again = playing(world)
    assert again.play != first.play
    assert again.stream == first.stream
    assert again.sources == (File("welcome"), Tone("busy", "", 3.0), LAST_HEARD)
    assert again.start == pytest.approx(died - begun(world) - HEARD_TWICE)
    assert not ann.of(SessionEnded)
    tell(world, PlayEnded(again.play, "done"))
    [record] = world.assert_over()
    assert (record.destination, record.ended_by, record.cause) == ("announcement", "switch", Cause.NORMAL_CLEARING)


def test_an_announcement_that_moves_twice_counts_what_was_heard() -> None:
    world, ann, session = announced()
    started = begun(world)
    world.run(2.0)
    first_death = world.now
    world.kill(world.home(), restart=True)
    world.run(1.0)
    first = playing(world)
    [second_began] = [seen.at for seen in world.link.wire if seen.what == "200 INVITE" and seen.sender == ann.host]
    world.run(1.0)
    second_death = world.now
    world.kill(world.home(), restart=True)
    world.run(1.0)
    again = playing(world)
    assert first.start == pytest.approx(first_death - started - HEARD_TWICE)
    assert again.start == pytest.approx(first.start + second_death - second_began - HEARD_TWICE, abs=0.05)
    ann.do(session.hangup)
    world.assert_over()


def test_an_announcement_waits_for_the_only_worker_and_skips_nothing() -> None:
    world, ann, session = announced(workers=1)
    world.run(1.0)
    died = world.now
    world.kill(0)
    world.run(4.0)
    world.workers.restart(0)
    world.run(1.0)
    assert playing(world).start == pytest.approx(died - begun(world) - HEARD_TWICE)
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.cause == Cause.NORMAL_CLEARING


def test_an_announcement_for_which_no_worker_comes_ends() -> None:
    world, ann, _ = announced(workers=1)
    world.kill(0)
    world.run(9.0)
    assert not ann.of(SessionEnded)
    world.run(3.0)
    [record] = world.assert_over()
    assert (record.cause, record.ended_by) == (Cause.TEMPORARY_FAILURE, "media")


def test_music_is_played_again_and_a_failure_of_it_still_ends_the_call() -> None:
    world, ann, _ = announced("*51")
    first = playing(world)
    world.kill(world.home())
    world.run(0.5)
    again = playing(world)
    assert again.sources == first.sources
    assert not ann.of(SessionEnded)
    tell(world, PlayEnded(again.play, "failed", "no music"))
    [record] = world.assert_over()
    assert (record.cause, record.ended_by) == (Cause.TEMPORARY_FAILURE, "media")


def test_a_listener_that_refuses_to_move_is_hung_up() -> None:
    world, ann, _ = announced()
    ann.on_event = lambda event, now: event.session.reject_offer(488, now) if isinstance(event, Offered) else None
    world.kill(world.home())
    world.run(0.5)
    [record] = world.assert_over()
    assert (record.cause, record.ended_by) == (Cause.TEMPORARY_FAILURE, "media")


@pytest.mark.parametrize("heard", [False, True])
def test_a_question_is_asked_again_and_what_was_dialled_is_not_forgotten(heard: bool) -> None:
    own = {"101": {"pin": "2580", "pin_for": ["international"]}}
    world = WorkersWorld(extensions=own, trunks={"north": {"gateways": ["192.0.2.51"], "options_interval": "none"}})
    north, ann = world.gateway("192.0.2.51"), world.phone("101")
    obliging(ann)
    session = ann.dial("00033140205050")
    world.run(1.0)
    first = playing(world)
    if heard:
        tell(world, PlayEnded(first.play, "done"))
    [leg] = world.legs()

    def dial(digits: str) -> None:
        for digit in digits:
            world.workers.events.append(Digit(leg, digit, 100, "rfc4733"))
            world.link.settle()
            world.run(0.2)

    if not heard:
        dial("25")
    world.kill(world.home())
    world.run(0.5)
    assert playing(world).sources == first.sources, "at the new place"
    dial("2580#" if heard else "80#")
    world.run(0.5)
    assert north.got("INVITE")
    ann.do(session.hangup)
    world.run(0.5)
    [record] = world.assert_over()
    assert record.ended_by == "caller"


@pytest.mark.parametrize("mode", ["one-way", "two-way"])
def test_a_page_goes_on_with_those_who_hear_it(mode: str) -> None:
    """Who hears whom is as it was; who has not answered yet is let go, and nobody hears the tone again."""
    world = WorkersWorld(
        2,
        routes=[{"to": "500", "page": "office"}],
        paging={"office": {"members": ["102", "103", "104"], "mode": mode, "ring_time": 30}},
    )
    ann, ben, cyd, dan = phones = [world.phone(number) for number in ("101", "102", "103", "104")]
    session = ann.dial("500")
    world.run(0.3)
    for phone in (ben, cyd):
        phone.answer()
    world.run(0.3)
    legs = [leg.id for leg in world.runtime.legs.values() if leg.endpoint != "104"]
    for phone in phones:
        obliging(phone)
    world.kill(world.home())
    world.run(0.5)
    engine = new_home(world)
    assert set(engine.streams) == set(members(engine)) == set(legs)
    assert dan.got("CANCEL")
    assert beeps(engine) == 0
    rooms = [each for each in asked(engine, SetRoom) if len(each.members) == 3]
    pager = legs[0]
    wanted = {(leg, pager, 1.0) for leg in legs[1:]} if mode == "one-way" else set()
    assert {(room.gain, frozenset(room.gains)) for room in rooms} == {
        (0.0 if mode == "one-way" else 1.0, frozenset(wanted))
    }
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.cause == Cause.NORMAL_CLEARING

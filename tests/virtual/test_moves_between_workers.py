"""Legs come into calls whose media is at another worker: both sides hear each other all the same."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Music, Play
from sip.ua import UaSettings
from sip.ua_events import ReferAnswered, ReferProgress, SessionFailed
from softswitch.call_commands import Consult, Park, Supervise, Transfer
from tests.virtual.joined_floor import LOT
from tests.virtual.network import Phone
from tests.virtual.test_changes import obliging
from tests.virtual.test_media_workers import WorkersWorld

TEAM = {
    "101": {"groups": ["all"], "supervises": ["all"]},
    "102": {"groups": ["all"]},
    "103": {"groups": ["all"], "supervises": ["all"]},
}


def desks(**more: Any) -> tuple[WorkersWorld, list[Phone]]:
    world = WorkersWorld(2, extensions=TEAM, **more)
    phones = [world.phone(f"10{n}", agent=UaSettings(refer=True)) for n in (1, 2, 3, 4)]
    for phone in phones:
        obliging(phone)
    return world, phones


def workers_of(world: WorkersWorld) -> dict[str, int]:
    """Where the stream of each extension is."""
    streams = world.workers._streams
    return {leg.endpoint: streams[leg.id].worker.index for leg in world.runtime.legs.values() if leg.id in streams}


def joined(world: WorkersWorld, *numbers: str) -> None:
    """These are in one call, at one worker, bridged, and where their telephones send to."""
    legs = {leg.endpoint: leg for leg in world.runtime.legs.values()}
    assert set(legs) == set(numbers)
    assert len(world.runtime.calls) == 1
    assert len(set(workers_of(world).values())) == 1
    if len(numbers) == 2:
        one, other = (legs[number].id for number in numbers)
        assert world.media.bridges == {one: other, other: one}


@pytest.mark.parametrize("how", ["retrieve", "pick up", "supervise"])
def test_who_is_not_answered_yet_comes_to_the_other_worker(how: str) -> None:
    world, (ann, ben, cyd, _) = desks(**LOT) if how != "supervise" else desks()
    if how == "pick up":
        session = ann.dial("102")
        world.run(0.2)
        ben.ring()
    else:
        session = world.establish(ann, ben)
        if how == "retrieve":
            [contact] = world.runtime.calls
            world.runtime.command(Park(contact, "102"), world.now)
            world.run(0.3)
            ben.do(ben.called_session().hangup)
    world.run(0.3)
    home = workers_of(world)["101"]
    if how == "retrieve":
        cyd.dial("701")
    else:
        ringing = ben.called_session()
        call_id, local_tag, remote_tag = ringing.dialog.id
        value = f"{call_id};to-tag={remote_tag};from-tag={local_tag}"
        cyd.dial("102", headers=(("Join" if how == "supervise" else "Replaces", value),))
    world.run(1.0)
    assert not cyd.of(SessionFailed)
    joined(world, *(["101", "102", "103"] if how == "supervise" else ["101", "103"]))
    assert workers_of(world)["101"] == home
    [leg] = [leg for leg in world.runtime.legs.values() if leg.endpoint == "103"]
    assert f"m=audio {leg.media.local.port} ".encode() in cyd.got("200 INVITE")[-1].body
    ann.do(session.hangup)
    world.run(0.5)
    for phone in (ben, cyd):
        for left in list(phone.ua.sessions.values()):
            phone.do(left.hangup)
    world.assert_over(1)


def refer(world: WorkersWorld, phone: Phone, session: Any, other: Any) -> list[int]:
    """A telephone leaves its two calls to each other; what it is told."""
    call_id, local_tag, remote_tag = other.dialog.id
    escaped = f"{call_id}%3Bto-tag%3D{remote_tag}%3Bfrom-tag%3D{local_tag}".replace("@", "%40")
    phone.do(session.refer, f"<sip:anybody@192.0.2.1?Replaces={escaped}>", None)
    world.run(1.0)
    told = [event.status for event in phone.events if isinstance(event, ReferAnswered)]
    return told + [event.status for event in phone.events if isinstance(event, ReferProgress) and event.status > 100]


def two_calls(world: WorkersWorld, ann: Phone, ben: Phone, cyd: Phone, rings: bool) -> tuple[Any, Any]:
    """Ann has called Ben, who has called Cyd: at the other worker."""
    world.establish(ann, ben)
    first = ben.called_session()
    second = ben.dial("103")
    world.run(0.2)
    cyd.ring()
    world.run(0.2)
    if not rings:
        cyd.answer()
        world.run(0.5)
    at = workers_of(world)
    assert at["101"] != at["103"]
    return first, second


def test_two_calls_at_two_workers_become_one() -> None:
    world, (ann, ben, cyd, _) = desks()
    first, second = two_calls(world, ann, ben, cyd, rings=False)
    assert refer(world, ben, first, second) == [202, 200]
    joined(world, "101", "103")
    ann.do(ann.called_session().hangup)
    world.assert_over(2)


@pytest.mark.parametrize("answers", [True, False])
def test_who_rings_at_another_worker(answers: bool) -> None:
    """The one who waits goes where the other rings: that one has been told where to send to."""
    world, (ann, ben, cyd, _) = desks()
    first, second = two_calls(world, ann, ben, cyd, rings=True)
    assert refer(world, ben, first, second) == [202, 180]
    assert len(world.runtime.calls) == 1
    if answers:
        cyd.answer()
        world.run(1.0)
        joined(world, "101", "103")
    else:
        cyd.refuse(486)
        world.run(1.0)
        joined(world, "101", "102")
    ann.do(ann.called_session().hangup)
    world.assert_over(2)


# ---- a worker is lost while others are called for somebody who is answered ------------------------------


@pytest.mark.parametrize("what", ["consult", "transfer", "transfer, alone"])
def test_who_is_answered_stays_while_others_are_called(what: str) -> None:
    """Ringing telephones have been told an address that is gone, and are let go; nobody who is answered is."""
    world, (ann, ben, cyd, _) = desks()
    session = world.establish(ann, ben)
    [contact] = world.runtime.calls
    command = Consult(contact, "102", "103") if what == "consult" else Transfer(contact, "102", "103")
    world.runtime.command(command, world.now)
    world.run(0.2)
    cyd.ring()
    world.run(0.2)
    if what == "transfer, alone":
        ben.do(ben.called_session().hangup)
        world.run(0.5)
    world.kill(world.home())
    world.run(2.0)
    assert not cyd.ua.sessions
    if what == "transfer, alone":
        ben.answer()  # it is rung again
        world.run(1.0)
    joined(world, "101", "102")
    for phone in (ann, ben):
        [leg] = [leg for leg in world.runtime.legs.values() if leg.endpoint == phone.number]
        assert leg.media.agreed is not None
        assert leg.id in world.media.streams
    ann.do(session.hangup)
    world.assert_over(1)


def test_who_waits_hears_music_again() -> None:
    """Ann's transferor has gone, and is rung again."""
    world, (ann, ben, _, _) = desks()
    session = world.establish(ann, ben)
    [contact] = world.runtime.calls
    world.runtime.command(Transfer(contact, "102", "103"), world.now)
    world.run(0.2)
    ben.do(ben.called_session().hangup)
    world.run(0.3)
    world.kill(world.home())
    world.run(1.0)
    plays = [each for each in world.workers.engines[0].audios if isinstance(each, Play)]
    [leg] = [leg.id for leg in world.runtime.legs.values() if leg.endpoint == "101"]
    assert (plays[-1].stream, plays[-1].sources) == (leg, (Music("default"),))
    ann.do(session.hangup)
    world.assert_over(1)


def test_a_supervisor_who_rings_is_let_go_and_the_call_goes_on() -> None:
    world, (ann, ben, cyd, _) = desks()
    session = world.establish(ann, ben)
    world.runtime.command(Supervise("102", "103", to="102"), world.now)
    world.run(0.2)
    cyd.ring()
    world.run(0.2)
    world.kill(world.home())
    world.run(1.0)
    assert not cyd.ua.sessions
    joined(world, "101", "102")
    ann.do(session.hangup)
    world.assert_over(1)


def test_who_hears_where_it_has_parked_is_let_go_and_the_caller_waits() -> None:
    world, (ann, ben, cyd, _) = desks(**LOT)
    session = world.establish(ann, ben)
    [contact] = world.runtime.calls
    world.runtime.command(Park(contact, "102"), world.now)
    world.run(0.2)
    assert ben.ua.sessions
    world.kill(world.home())
    world.run(1.0)
    assert not ben.ua.sessions
    cyd.dial("701")
    world.run(1.0)
    joined(world, "101", "103")
    ann.do(session.hangup)
    world.assert_over(1)

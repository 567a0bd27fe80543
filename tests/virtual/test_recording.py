"""Which calls are recorded, how long, who is on which channel, and what the record says, on the whole switch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from media.audio_commands import (
    PauseRecording,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    SetRecordingChannels,
    StartRecording,
    StopRecording,
)
from sip.ua_events import Offered, SessionAnswered
from softswitch.call_commands import AnyCallCommand, Complete, Conference, Consult, Drop, Swap, Transfer
from softswitch.call_control import NoSuchCall
from softswitch.call_recording import RecordingRefused
from softswitch.report import call_row
from tests.virtual.network import EVENTS, PCMA, Phone, World, settings


def world_of(**sections: Any) -> World:
    return World(settings(**sections))


def started(world: World) -> StartRecording:
    [command] = world.media.asked(StartRecording)
    return command


def tell(world: World, *events: Any) -> None:
    world.media.events.extend(events)
    world.link.settle()


def by_trunk(world: World) -> tuple[Phone, Phone]:
    """Phone 101 and the trunk's gateway, talking."""
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    session = ann.dial("0123")
    world.run(0.2)
    gateway.answer()
    world.run(0.5)
    assert session.over is False
    return ann, gateway


def test_never_unless_somebody_says_so() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    assert world.media.commands == []
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert (record.recording, record.recording_started, record.recording_failed) == ("", None, "")


@pytest.mark.parametrize("who", ["101", "102"])
def test_always_from_the_answer_to_the_end(who: str) -> None:
    world = world_of(extensions={who: {"record": "always"}}, media={"recordings": {"format": "opus", "rate": 16000}})
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.2)
    ben.ring()
    world.run(0.2)
    assert world.media.asked(StartRecording) == []
    ben.answer()
    world.run(0.5)
    a, b = world.legs()
    command = started(world)
    [contact] = world.runtime.calls
    assert (command.contact, command.channels) == (contact, ((a, 0), (b, 1)))
    assert (command.stereo, command.format, command.rate) == (True, "opus", 16000)
    about = dict(command.label)
    assert about.pop("started") == datetime.fromtimestamp(
        world.runtime.calls[contact].call.contact.wall, UTC
    ).isoformat(timespec="milliseconds")
    assert about == {"caller": "101", "caller_name": "Phone 101", "dialled": "102"}
    assert {stream: dict(who) for stream, who in command.labels} == {
        a: {"role": "caller", "number": "101", "name": "Phone 101", "extension": "101"},
        b: {"role": "called", "number": "102", "name": "Phone 102", "extension": "102"},
    }
    tell(world, RecordingStarted(command.recording, "/var/rec/1.opus"))
    world.run(5.0)
    assert world.media.asked(StopRecording) == []
    ann.do(session.hangup)
    world.run(0.5)
    assert world.media.asked(StopRecording) == [StopRecording(command.recording)]
    assert world.records == [], "the recording's last word is waited for"
    tell(world, RecordingEnded(command.recording, "/var/rec/1.opus", 5.0))
    [record] = world.records
    assert record.recording == "/var/rec/1.opus"
    assert record.recording_started is not None
    assert record.answered is not None
    assert 0 <= record.recording_started - record.answered < 1.0
    world.assert_over()


def test_a_hold_does_not_end_it() -> None:
    world = world_of(extensions={"101": {"record": "always"}})
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    ben.on_event = lambda event, now: (
        event.session.answer(ben.sdp(direction="recvonly"), now) if isinstance(event, Offered) else None
    )
    ann.do(session.offer, ann.sdp(direction="sendonly"))
    world.run(0.5)
    assert [type(command) for command in world.media.commands] == [StartRecording]
    ann.do(session.hangup)
    world.assert_over()


def test_the_trunks_side_is_the_customer() -> None:
    world = world_of(extensions={"101": {"record": "always"}})
    ann, _ = by_trunk(world)
    a, b = world.legs()
    assert started(world).channels == ((b, 0), (a, 1))
    assert dict(dict(started(world).labels)[b]) == {"role": "called", "number": "123", "trunk": "north"}
    ann.do(ann.called_session().hangup)
    world.assert_over()


def test_the_trunks_side_is_the_customer_when_it_calls() -> None:
    world = world_of(trunks={"south": {"record": "always"}})
    ben, gateway = world.phone("102"), world.gateway("192.0.2.60")
    session = gateway.dial("102")
    world.run(0.2)
    ben.answer()
    world.run(0.5)
    a, b = world.legs()
    assert started(world).channels == ((a, 0), (b, 1))
    who = dict(dict(started(world).labels)[a])
    assert (who["role"], who["trunk"]) == ("caller", "south")
    gateway.do(session.hangup)
    world.assert_over()


RULES = [
    # route, extension, trunk -> recorded
    (None, None, "always", True),
    (None, "never", "always", False),
    (None, "always", "never", True),
    ("never", "always", "always", False),
    ("always", "never", "never", True),
    ("on-demand", "always", "always", False),
    (None, None, None, False),
    (None, "on-demand", "always", False),
]


@pytest.mark.parametrize(("route", "extension", "trunk", "recorded"), RULES)
def test_the_most_specific_word_decides(
    route: str | None, extension: str | None, trunk: str | None, recorded: bool
) -> None:
    """The route's, then the extension's, then the trunk's."""
    dial = {"to": "_0.", "dial": {"trunk": "north"}, "strip": 1} | ({"record": route} if route else {})
    world = world_of(
        routes=[dial],
        extensions={"101": {"record": extension} if extension else {}},
        trunks={"north": {"record": trunk} if trunk else {}},
    )
    ann, _ = by_trunk(world)
    assert len(world.media.asked(StartRecording)) == recorded
    ann.do(ann.called_session().hangup)
    world.assert_over()


def test_on_demand() -> None:
    world = world_of(extensions={"101": {"record": "on-demand"}})
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.2)
    with pytest.raises(RecordingRefused, match="the call is not answered yet"):
        world.runtime.record("101", "start", world.now)
    ben.answer()
    world.run(0.5)
    assert world.media.commands == []
    runtime = world.runtime
    for action in ("pause", "resume", "stop"):
        with pytest.raises(RecordingRefused, match="not recorded"):
            runtime.record("102", action, world.now)
    [contact] = runtime.calls
    told: list[Any] = []
    assert runtime.record("102", "start", world.now) == (contact, started(world).recording)
    recording = started(world).recording
    runtime.audio.await_word(recording, told.append)
    tell(world, RecordingStarted(recording, "/r/1.wav"))
    assert told == [RecordingStarted(recording, "/r/1.wav")]
    assert row(world).recording == "on"
    with pytest.raises(RecordingRefused, match="recorded already"):
        runtime.record(contact, "start", world.now)
    assert runtime.record(contact, "pause", world.now) == (contact, 0)
    assert row(world).recording == "paused"
    with pytest.raises(RecordingRefused, match="paused already"):
        runtime.record(contact, "pause", world.now)
    runtime.record(contact, "resume", world.now)
    with pytest.raises(RecordingRefused, match="not paused"):
        runtime.record(contact, "resume", world.now)
    assert world.media.asked(PauseRecording) == [PauseRecording(recording, True), PauseRecording(recording, False)]
    runtime.record(contact, "stop", world.now)
    assert world.media.asked(StopRecording) == [StopRecording(recording)]
    assert row(world).recording == ""
    tell(world, RecordingEnded(recording, "/r/1.wav", 3.0))
    runtime.record(contact, "start", world.now)
    again = world.media.asked(StartRecording)[-1].recording
    assert again != recording
    tell(world, RecordingStarted(again, "/r/2.wav"))
    ann.do(session.hangup)
    world.run(0.5)
    tell(world, RecordingEnded(again, "/r/2.wav", 1.0))
    [record] = world.assert_over()
    assert record.recording == "/r/1.wav, /r/2.wav"


def row(world: World) -> Any:
    """The call in `softswitch status`."""
    [active] = world.runtime.calls.values()
    return call_row(active, world.now)


def test_a_call_that_may_not_be_recorded_is_not_recorded_on_demand() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    with pytest.raises(RecordingRefused, match="may not be recorded"):
        world.runtime.record("101", "start", world.now)
    ann.do(session.hangup)
    world.assert_over()


def test_a_call_must_be_named_so_that_there_is_one() -> None:
    world = world_of(extensions={"104": {"record": "on-demand"}})
    ann, ben, cem, deb = (world.phone(number) for number in ("101", "102", "103", "104"))
    sessions = [ann.dial("104"), cem.dial("104")]
    del ben
    world.run(0.2)
    with pytest.raises(NoSuchCall, match="'999' is neither a call nor an extension"):
        world.runtime.record("999", "start", world.now)
    with pytest.raises(NoSuchCall, match="more than one call") as refused:
        world.runtime.record("104", "start", world.now)
    assert all(contact in str(refused.value) for contact in world.runtime.calls)
    assert deb.called()
    ann.do(sessions[0].hangup)
    cem.do(sessions[1].hangup)
    world.assert_over(2)


def test_a_recording_that_fails_ends_no_call_and_may_be_tried_again() -> None:
    world = world_of(extensions={"101": {"record": "always"}})
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    recording = started(world).recording
    tell(world, RecordingStarted(recording, "/r/1.wav"), RecordingFailed(recording, "/r/1.wav", "disk full"))
    assert world.runtime.counters["recordings failed"] == 1
    world.run(5.0)
    assert len(world.media.bridges) == 2
    world.runtime.record("101", "start", world.now)
    again = world.media.asked(StartRecording)[-1].recording
    told: list[Any] = []
    world.runtime.audio.await_word(again, told.append)
    tell(world, RecordingFailed(again, "", "disk full"))
    assert told == [RecordingFailed(again, "", "disk full")]
    ann.do(session.hangup)
    world.run(0.5)
    assert world.media.asked(StopRecording) == []
    [record] = world.assert_over()
    assert (record.recording, record.recording_failed) == ("/r/1.wav", "disk full")
    assert record.cause == 16


def test_an_engine_that_never_says_more_keeps_no_record_back_for_ever() -> None:
    world = world_of(extensions={"101": {"record": "always"}})
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    tell(world, RecordingStarted(started(world).recording, "/r/1.wav"))
    ann.do(session.hangup)
    world.run(4.0)
    assert world.records == []
    [record] = world.assert_over()
    assert record.recording == "/r/1.wav"
    tell(world, RecordingEnded(started(world).recording, "/r/1.wav", 1.0))  # too late, and nobody's
    assert world.node.leftovers() == {}


def test_a_caller_without_an_offer_is_recorded_from_its_answer_on() -> None:
    world = world_of(extensions={"101": {"record": "always"}})
    ann, ben = world.phone("101"), world.phone("102")
    ann.on_event = lambda event, now: (
        event.session.answer(ann.sdp((PCMA, EVENTS)), now) if isinstance(event, Offered) else None
    )
    session = ann.dial("102", None)
    world.run(0.2)
    ben.answer()
    world.run(0.5)
    assert len(started(world).channels) == 2
    ann.do(session.hangup)
    world.assert_over()


# ---- channels of those who come and go ------------------------------------------------------------------


class Recorded:
    """A customer by trunk `south` talks to agent 102; the legs by name."""

    def __init__(self, caller: str = "south") -> None:
        defaults = {number: {"record": "always"} for number in ("101", "102", "103", "104")}
        self.world = world_of(extensions=defaults)
        self.phones = {number: self.world.phone(number) for number in ("101", "102", "103", "104")}
        gateway = self.world.gateway("192.0.2.60")
        self.far = self.world.gateway("192.0.2.51")
        self.phones["south"] = gateway
        self.world.establish(self.phones[caller], self.phones["102"])
        [self.contact] = self.world.runtime.calls
        self.names = dict(zip(self.world.legs(), (caller, "102"), strict=True))

    def do(self, command: AnyCallCommand, name: str = "") -> None:
        """`name`: of whoever is called for it, and answers."""
        before = set(self.world.legs())
        self.world.runtime.command(command, self.world.now)
        self.world.link.settle()
        self.world.run(0.3)
        if name:
            [leg] = set(self.world.legs()) - before
            self.names[leg] = name
            (self.far if name == "north" else self.phones[name]).answer()
            self.world.run(0.5)

    def channels(self) -> tuple[str, str]:
        """Who is on the first and the second, as the engine was told last."""
        asked = [each for each in self.world.media.commands if isinstance(each, StartRecording | SetRecordingChannels)]
        sides: tuple[list[str], list[str]] = ([], [])
        for leg, channel in asked[-1].channels:
            sides[channel].append(self.names[leg])
        return " ".join(sorted(sides[0])), " ".join(sorted(sides[1]))


@pytest.mark.parametrize(("number", "third"), [("103", "103"), ("0123", "north")])
def test_whom_an_agent_consults_is_not_on_the_customers_channel(number: str, third: str) -> None:
    """Nor is the agent, while the customer waits."""
    call = Recorded()
    assert call.channels() == ("south", "102")
    call.do(Consult(call.contact, "102", number), third)
    assert call.channels() == ("", f"102 {third}")
    call.do(Swap(call.contact, "102"))
    assert call.channels() == ("south", "102")
    call.do(Conference(call.contact, "102"))
    assert call.channels() == ("south", f"102 {third}")
    call.do(Drop(call.contact, "102", "102"))
    assert call.channels() == ("south", third)
    call.phones["south"].do(call.phones["south"].last(SessionAnswered).session.hangup)
    call.world.assert_over()


def test_who_is_left_by_the_caller_stays_on_its_channel() -> None:
    """The caller's is for whoever comes next."""
    call = Recorded("101")
    call.do(Consult(call.contact, "101", "103"), "103")
    assert call.channels() == ("101", "103")
    call.do(Complete(call.contact, "101"))
    assert call.channels() == ("", "102 103")
    call.do(Transfer(call.contact, "102", "104"), "104")
    assert call.channels() == ("104", "103")
    call.phones["104"].do(call.phones["104"].called_session().hangup)
    call.world.assert_over()

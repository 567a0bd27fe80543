"""Digits between ends with telephone-events, SIP INFO and tones, each set as its owner says, on the whole switch."""

from __future__ import annotations

import itertools

import pytest

from media.audio_commands import Detect, Digit, SendDigits
from sip.invite import InviteSession
from sip.ua_events import InfoReceived
from tests.virtual.network import EVENTS, PCMA, PCMU, Phone, World, settings

MODES = ("auto", "rfc4733", "info", "inband")


def talking(a: str, b: str, events: tuple[str, str] = (EVENTS, EVENTS)) -> tuple[World, Phone, Phone, InviteSession]:
    """A call between an end of mode `a` and one of mode `b`; phones name what `events` say."""
    world = World(settings(extensions={"101": {"dtmf": a}, "102": {"dtmf": b}}))
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", ann.sdp((PCMA, PCMU, *filter(None, events[:1]))))
    world.run(0.2)
    ben.answer(ben.sdp((PCMA, PCMU, *filter(None, events[1:]))))
    world.run(0.5)
    ann.events.clear()
    ben.events.clear()
    return world, ann, ben, session


def has_events(world: World, which: int) -> bool:
    stream = world.media.streams[world.legs()[which]]
    assert stream is not None
    return "telephone-event" in [name for _, name, _ in stream.formats]


def press(world: World, which: int, digit: str, source: str) -> None:
    """The engine tells of a digit of leg 0 (caller) or 1 (called)."""
    world.media.events.append(Digit(world.legs()[which], digit, 100, source))  # type: ignore[arg-type]
    world.link.settle()
    world.run(0.2)


def by_info(phone: Phone) -> list[bytes]:
    """The digits that came to a phone by INFO."""
    return [event.body for event in phone.of(InfoReceived)]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(MODES, repeat=2)))
def test_telephone_events_are_agreed_with_ends_that_have_them_alone(a: str, b: str) -> None:
    world, ann, _, session = talking(a, b)
    assert has_events(world, 0) == (a in ("auto", "rfc4733"))
    assert has_events(world, 1) == (b in ("auto", "rfc4733"))
    first, second = (world.media.streams[leg] for leg in world.legs())
    assert first is not None
    assert second is not None
    # Tones are put into the audio of those alone that take digits so.
    assert (first.tones, second.tones) == (a in ("auto", "inband"), b in ("auto", "inband"))
    assert [each.stream for each in world.media.asked(Detect)] == [
        leg for leg, mode in zip(world.legs(), (a, b), strict=True) if mode == "inband"
    ]
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize(("mode", "agreed"), [("auto", True), ("rfc4733", False), ("info", True), ("inband", True)])
def test_a_callers_events_are_agreed_where_something_can_be_made_of_them(mode: str, agreed: bool) -> None:
    """The called one answers without any: it hears tones, or gets INFO. Where its owner wants events alone it gets
    nothing, and then the caller's own tones may pass."""
    world, ann, _, session = talking("auto", mode, (EVENTS, ""))
    assert (has_events(world, 0), has_events(world, 1)) == (agreed, False)
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize(("a", "b"), list(itertools.product(MODES, repeat=2)))
@pytest.mark.parametrize("source", ["info", "rfc4733", "inband"])
def test_each_digit_reaches_the_other_end_once(a: str, b: str, source: str) -> None:
    """In both directions: by INFO to an end of that mode, by the engine where it came by INFO, else in the media."""
    world, ann, ben, session = talking(a, b)
    for which, (phone, other, mode) in enumerate(((ann, ben, b), (ben, ann, a))):
        world.media.commands.clear()
        other.events.clear()
        if source == "info":
            phone.do(phone.called_session().send_info, "application/dtmf-relay", b"Signal=7\r\nDuration=250\r\n")
            world.run(0.2)
            assert phone.got("200 INFO")
        else:
            press(world, which, "7", source)
        duration = 250 if source == "info" else 100
        target = world.legs()[1 - which]
        if mode == "info":
            assert by_info(other) == [f"Signal=7\r\nDuration={duration}\r\n".encode()]
            assert world.media.asked(SendDigits) == []
        else:
            assert by_info(other) == []
            wanted = [SendDigits(target, "7", 250)] if source == "info" else []
            assert world.media.asked(SendDigits) == wanted
    ann.do(session.hangup)
    world.assert_over()


def test_a_phone_that_sends_digits_both_ways_is_heard_once() -> None:
    world, ann, _, session = talking("auto", "auto")
    press(world, 0, "1", "rfc4733")
    ann.do(session.send_info, "application/dtmf-relay", b"Signal=1\r\n")
    world.run(0.2)
    assert ann.got("200 INFO")
    assert world.media.asked(SendDigits) == []
    ann.do(session.hangup)
    world.assert_over()


def test_a_callers_events_reach_an_end_of_info_that_names_none_itself() -> None:
    world, ann, ben, session = talking("auto", "info", (EVENTS, ""))
    assert has_events(world, 0)
    press(world, 0, "#", "rfc4733")
    assert by_info(ben) == [b"Signal=#\r\nDuration=100\r\n"]
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/dtmf", b"5", 200),
        ("application/dtmf-relay", b"", 200),
        ("application/dtmf-relay", b"Signal=\r\n", 400),
        ("application/dtmf", b"what", 400),
        ("application/media_control+xml", b"<x/>", 415),
    ],
)
def test_what_an_info_is_answered(content_type: str, body: bytes, status: int) -> None:
    world, ann, _, session = talking("auto", "auto")
    ann.do(session.send_info, content_type, body)
    world.run(0.2)
    [answer] = ann.got(f"{status} INFO")
    assert (answer.get("Accept") == "application/dtmf-relay, application/dtmf") == (status == 415)
    assert [each.digits for each in world.media.asked(SendDigits)] == (["5"] if body == b"5" else [])
    ann.do(session.hangup)
    world.assert_over()


def test_digits_before_the_answer_pass_in_the_media_or_not_at_all() -> None:
    """Early media: a dialog that is not established takes no INFO."""
    world = World(settings(extensions={"102": {"dtmf": "info"}}))
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.2)
    ben.ring(183, ben.sdp(), reliable=True)
    world.run(0.2)
    press(world, 0, "9", "rfc4733")
    assert not ben.of(InfoReceived)
    assert world.runtime.counters["digits not passed on"] == 1
    ben.answer()
    world.run(0.5)
    press(world, 0, "9", "rfc4733")
    assert len(ben.of(InfoReceived)) == 1
    ann.do(session.hangup)
    world.assert_over()


def test_digits_of_streams_that_are_gone_are_nothing() -> None:
    world = World()
    world.runtime.media_event(Digit(99, "1", 100, "rfc4733"), world.now)
    assert world.node.leftovers() == {}


def test_the_digits_of_a_caller_alone_go_nowhere() -> None:
    world = World()
    ann = world.phone("101")
    session = ann.dial("*43")
    world.run(0.5)
    ann.do(session.send_info, "application/dtmf", b"1")
    world.run(0.2)
    assert world.media.asked(SendDigits) == []
    ann.do(session.hangup)
    world.assert_over()

"""Calls that want a PIN: asked for, right, wrong, guessed at, never written down."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from media.audio_commands import Detect, Digit, Play, PlayEnded, SendDigits, StartRecording, StopPlay, Tone
from sip.ua_events import Offered, SessionAnswered, SessionEnded, SessionFailed, SessionProgress
from softswitch.call_asking import FIRST_DIGIT, NEXT_DIGIT, PIN_TRIES
from softswitch.call_commands import Consult, Transfer
from softswitch.call_transfer import TransferRefused
from softswitch.feature_speech import sentence
from softswitch.pins import FADE, MAX_WRONG
from softswitch.security_log import LINES_PER_WINDOW
from tests.virtual.network import G722, PCMA, PCMU, Phone, World, settings
from tests.virtual.test_feature_codes import dial_digits, heard, play_out, tell

PIN = "2580"
ABROAD = "00033140205050"  # through the trunk: 0033..., international
ASKED = (sentence("ask_pin", "en"),)
AGAIN = (f"{sentence('pin_wrong', 'en')} {sentence('ask_pin', 'en')}",)
REFUSED = ("special-information", sentence("pin_refused", "en"))


def guarded(**more: Any) -> World:
    """101 wants its PIN for numbers abroad."""
    own = {"pin": PIN, "pin_for": ["international"], **more.pop("own", {})}
    return World(settings(extensions={"101": own, **more.pop("others", {})}, **more))


def ask(world: World, number: str = ABROAD) -> tuple[Phone, Any]:
    ann = world.phone("101")
    session = ann.dial(number)
    world.run(0.5)
    assert ann.last(SessionAnswered)
    assert heard(world) == ASKED
    return ann, session


def ringing(world: World) -> bool:
    return any(each.sources == (Tone("ringback"),) for each in world.media.asked(Play))


def test_the_right_pin_calls() -> None:
    world = guarded()
    north = world.gateway("192.0.2.51")
    ann, session = ask(world)
    assert not north.got("INVITE")
    dial_digits(world, f"{PIN}#")
    world.run(0.5)
    assert north.invited().request_uri.user == ABROAD[1:]
    assert not ringing(world)
    north.ring()
    world.run(2.0)
    assert ringing(world)
    north.answer()
    world.run(0.5)
    first, second = world.legs()
    assert world.media.bridges == {first: second, second: first}
    assert [each.play for each in world.media.asked(StopPlay)][-1] == world.media.asked(Play)[-1].play
    world.run(9.5)
    ann.do(session.hangup)
    world.run(0.5)
    [record] = world.assert_over()
    assert (record.dialled, record.destination, record.cause, record.ended_by) == (ABROAD, "north", 16, "caller")
    assert record.billsec == pytest.approx(10.0, abs=0.1), "from the moment at which somebody answers"
    assert [each.kind for each in world.node.contacts[0].segments] == ["route", "pin", "ring", "talk"]
    assert world.runtime.counters["transfers"] == 0


@pytest.mark.parametrize(
    ("answer", "offers"), [((PCMA,), 0), ((PCMA, PCMU), 0), ((PCMU, PCMA), 1), ((PCMU,), 0), ((G722,), 0)]
)
def test_a_relay_costs_one_offer_to_the_other_end_and_none_to_the_caller(answer: tuple[str, ...], offers: int) -> None:
    world = guarded()
    north = world.gateway("192.0.2.51")
    ann, session = ask(world)
    dial_digits(world, f"{PIN}#")
    world.run(0.5)
    north.answer(north.sdp(answer))
    world.run(0.5)
    assert [len(ann.of(Offered)), len(north.of(Offered))] == [0, offers]
    for event in north.of(Offered):
        assert b"RTP/AVP 8\r\n" in event.sdp.replace(b" 101\r\n", b"\r\n")
        north.do(event.session.answer, north.sdp((PCMA,)))
    world.run(0.5)
    assert [len(ann.of(Offered)), len(north.of(Offered))] == [0, offers]
    ann.do(session.hangup)
    world.run(0.5)
    assert world.assert_over()[0].cause == 16


def test_a_pause_ends_the_pin_too_and_each_way_of_digits_will_do() -> None:
    world = guarded(own={"dtmf": "inband"})
    north = world.gateway("192.0.2.51")
    ask(world)
    [leg] = world.legs()
    assert world.media.asked(Detect) == [Detect(leg, dtmf=True)]
    play_out(world)
    dial_digits(world, PIN, "inband")
    world.run(NEXT_DIGIT + 0.5)
    assert north.got("INVITE")


@pytest.mark.parametrize("wrong", ["2581", "258", "25800", "", "*"])
def test_a_wrong_pin_may_be_tried_again(wrong: str) -> None:
    world = guarded()
    north = world.gateway("192.0.2.51")
    ask(world)
    dial_digits(world, f"{wrong}#")
    assert heard(world) == AGAIN
    assert not north.got("INVITE")
    dial_digits(world, f"{PIN}#")
    world.run(0.5)
    assert north.got("INVITE")


def test_three_wrong_ones_end_the_call() -> None:
    world = guarded()
    north = world.gateway("192.0.2.51")
    ann, _ = ask(world)
    for _ in range(PIN_TRIES):
        dial_digits(world, "1111#")
    assert heard(world) == REFUSED
    dial_digits(world, f"{PIN}#")
    play_out(world)
    assert ann.last(SessionEnded).cause == "bye"
    assert not north.got("INVITE")
    [record] = world.assert_over()
    assert (record.cause, record.status, record.billsec, record.ended_by) == (52, 403, 0.0, "switch")


def test_whoever_says_nothing_is_asked_no_longer() -> None:
    world = guarded()
    ann, _ = ask(world)
    for _ in range(PIN_TRIES):
        play_out(world)
        world.run(FIRST_DIGIT + 0.5)
    assert heard(world) == REFUSED
    play_out(world)
    assert ann.last(SessionEnded).cause == "bye"
    assert world.switch.pins.may_try("101", world.now), "nothing dialled is nothing guessed"


def test_guessing_backs_off_and_is_told_without_what_was_guessed() -> None:
    world = guarded()
    ann = world.phone("101")
    with capture_logs() as logs:
        for _ in range(-(-MAX_WRONG // PIN_TRIES)):
            ann.dial(ABROAD)
            world.run(0.5)
            for _ in range(PIN_TRIES):
                dial_digits(world, "9182#")
            assert heard(world) == REFUSED
            play_out(world)
    told = [each for each in logs if each["event"] in ("wrong PIN", "backed off")]
    assert [each["event"] for each in told] == ["wrong PIN"] * LINES_PER_WINDOW + ["backed off"]
    assert {each["extension"] for each in told} == {"101"}
    assert "9182" not in str(logs)
    assert PIN not in str(logs)
    ann.dial(ABROAD)
    world.run(0.5)
    assert ann.last(SessionFailed).status == 403, "it is not even asked"
    assert ann.of(SessionFailed)
    world.run(FADE)
    ann.dial(ABROAD)
    world.run(0.5)
    dial_digits(world, f"{PIN}#")
    assert len(world.legs()) == 2


def test_the_pin_is_in_no_record_and_no_recording_and_goes_to_nobody() -> None:
    world = guarded(own={"pin": "918273", "record": "always"})
    north = world.gateway("192.0.2.51")
    with capture_logs() as logs:
        ann, session = ask(world)
        assert world.media.asked(StartRecording) == []
        dial_digits(world, "918273#")
        world.run(0.5)
        assert world.media.asked(StartRecording) == []
        north.answer()
        world.run(0.5)
    assert len(world.media.asked(StartRecording)) == 1
    assert world.media.asked(SendDigits) == []
    ann.do(session.hangup)
    world.run(10.0)
    assert "918273" not in str(logs)
    assert "918273" not in repr(world.node.contacts[0].legs) + repr(world.node.contacts[0].segments)
    assert all("918273" not in repr(record) for record in world.records)
    assert "918273" not in repr(settings(extensions={"101": {"pin": "918273"}}))


def test_only_the_classes_that_it_is_for() -> None:
    world = guarded(own={"may_call": ["premium"]})
    ann, ben, north = world.phone("101"), world.phone("102"), world.gateway("192.0.2.51")
    for number in ("0030123", "00900123456", "0112", "102"):
        ann.dial(number)
        world.run(0.5)
    assert len(north.got("INVITE")) == 3
    assert ben.got("INVITE")
    assert world.media.asked(Play) == []
    ben.dial(ABROAD)
    world.run(0.5)
    assert ben.last(SessionFailed).status == 403, "who has neither PIN nor leave"


@pytest.mark.parametrize("allow", [[], ["international"]])
def test_it_is_for_that_class_whatever_else_opens_it(allow: list[str]) -> None:
    routes = [{"to": "_00.", "strip": 1, "dial": {"trunk": "north"}, "allow": allow}]
    world = guarded(own={"may_call": ["international"]}, routes=routes)
    ask(world)
    dial_digits(world, f"{PIN}#")
    assert len(world.legs()) == 2


def test_no_pin_set_is_no_way_out() -> None:
    world = World(settings(extensions={"101": {"pin_for": ["international"]}}))
    ann = world.phone("101")
    ann.dial(ABROAD)
    world.run(0.5)
    assert ann.last(SessionFailed).status == 403


def test_a_route_may_want_it() -> None:
    routes = [{"to": "900", "dial": "102", "pin": True, "on_unavailable": {"dial": "104"}}]
    world = World(settings(routes=routes, extensions={"101": {"pin": PIN}}))
    ben, cid = world.phone("102"), world.phone("103")
    south = world.gateway("192.0.2.60")
    for other in (cid, south):
        other.dial("900")
        world.run(0.5)
        assert other.last(SessionFailed).status == 403
    ann = world.phone("101")
    session = ann.dial("900")
    world.run(0.5)
    assert heard(world) == ASKED
    dial_digits(world, f"{PIN}#")
    ben.answer()
    world.run(0.5)
    assert world.records[-1].cause == 52
    assert len(world.media.bridges) == 2
    ann.do(session.hangup)
    world.run(0.5)
    world.assert_over(3)


def test_forwards_and_transfers_have_nobody_to_ask() -> None:
    world = guarded()
    ann, ben = world.phone("101"), world.phone("102")
    world.switch.set_feature("101", "forward_always", ABROAD)
    ben.dial("101")
    world.run(0.5)
    assert ben.last(SessionFailed).status == 403
    assert world.media.asked(Play) == []
    world.switch.set_feature("101", "forward_always", "off")
    ben.dial("101")
    world.run(0.5)
    ann.answer()
    world.run(0.5)
    [contact] = world.runtime.calls
    world.runtime.command(Transfer(contact, "101", ABROAD), world.now)
    world.link.settle()
    world.run(0.5)
    [active] = world.runtime.calls.values()
    assert len(active.call.legs()) == 2, "the two talk to each other again"
    assert len(world.media.bridges) == 2
    world.runtime.command(Consult(contact, "101", ABROAD), world.now)
    world.link.settle()
    world.run(0.5)
    assert len(active.call.legs()) == 2, "nor is who consults"
    with pytest.raises(TransferRefused):
        world.runtime.command(Transfer(contact, "199", "102"), world.now)


def test_who_is_not_reached_is_heard_and_written_down() -> None:
    world = guarded()
    north = world.gateway("192.0.2.51")
    ann, _ = ask(world)
    dial_digits(world, f"{PIN}#")
    world.run(0.5)
    north.refuse(486)
    world.run(0.5)
    assert heard(world) == ("busy",)
    play_out(world)
    assert ann.last(SessionEnded).cause == "bye"
    [record] = world.assert_over()
    assert (record.cause, record.status, record.billsec) == (17, 486, 0.0)


def test_the_caller_hangs_up_at_any_time() -> None:
    for moment in ("asked", "half", "called", "rings"):
        world = guarded()
        north = world.gateway("192.0.2.51")
        ann, session = ask(world)
        if moment == "half":
            dial_digits(world, "25")
        elif moment != "asked":
            dial_digits(world, f"{PIN}#")
            world.run(0.5)
            if moment == "rings":
                north.ring()
            world.run(0.5)
        ann.do(session.hangup)
        world.run(0.5)
        [record] = world.assert_over()
        assert (record.ended_by, record.billsec) == ("caller", 0.0)


def test_without_an_offer_the_far_end_is_offered_what_the_caller_took() -> None:
    world = guarded()
    north = world.gateway("192.0.2.51")
    ann = world.phone("101")
    session = ann.dial(ABROAD, None)
    world.run(0.2)
    ann.do(session.answer, ann.sdp((PCMU, PCMA)))
    world.run(0.5)
    assert heard(world) == ASKED
    dial_digits(world, f"{PIN}#")
    world.run(0.5)
    north.answer()
    world.run(0.5)
    assert len(world.media.bridges) == 2
    ann.do(session.hangup)
    world.run(0.5)
    [record] = world.assert_over()
    assert record.billsec > 0


def test_nothing_is_said_of_early_media_and_no_183_either() -> None:
    world = guarded()
    ann, _ = ask(world)
    assert not ann.of(SessionProgress)


def test_what_can_not_be_heard_is_not_asked() -> None:
    world = guarded(own={"codecs": ["G729"]})
    ann = world.phone("101")
    ann.dial(ABROAD, ann.sdp(("18 G729/8000",)))
    world.run(0.5)
    assert ann.last(SessionFailed).status == 488
    world.assert_over()


def test_a_new_pin_counts_from_the_reload_on() -> None:
    world = guarded()
    ask(world)
    again = settings(extensions={"101": {"pin": "4711", "pin_for": ["international"]}})
    world.switch.configure(again, world.now)
    dial_digits(world, f"{PIN}#")
    assert heard(world) == AGAIN
    dial_digits(world, "4711#")
    assert len(world.legs()) == 2


def test_a_prompt_that_is_lost_is_asked_for_by_a_tone() -> None:
    world = guarded()
    ask(world)
    tell(world, PlayEnded(world.media.asked(Play)[-1].play, "failed", "no engine"))
    assert heard(world) == ("dial",)
    [leg] = world.legs()
    tell(world, Digit(leg, "2", 100, "rfc4733"))
    dial_digits(world, "580#")
    assert len(world.legs()) == 2

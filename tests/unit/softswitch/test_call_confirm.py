"""Confirmation by a key, and who has sent a call on: the call as a reducer."""

from __future__ import annotations

import pytest

from media.audio_commands import Detect, Play, PlayEnded, Speech, StopPlay, Tone
from softswitch.call_hunting import MAX_DIVERSIONS
from softswitch.call_media import State
from softswitch.causes import Cause
from softswitch.dialplan.decision import AnyTarget, Dial, ExtensionTarget, NumberTarget, TrunkTarget
from softswitch.hunt_steps import Member, scheduled
from softswitch.vocabulary import (
    Accept,
    Answer,
    Answered,
    Audio,
    Bridge,
    CancelTimer,
    DigitDialled,
    Diverted,
    MediaSilent,
    Originate,
    Party,
    Payer,
    Progress,
    Progressed,
    Redirected,
    RefuseOffer,
    Release,
    Released,
    Reoffered,
    SetTimer,
)
from tests.unit.softswitch.test_call import PCMA, Bench, Book, offer, session

DESK, MOBILE, OTHER = 2, 3, 4
PRESS = "0171555"


def find_me(*numbers: str, delay: float = 0.0, lasts: float = 30.0, **forwards: str) -> Bench:
    """102 has a telephone, and these numbers, each of which has to confirm."""
    book = Book()
    members: list[Member[AnyTarget]] = [Member(ExtensionTarget("102"), lasts=20.0)]
    members += [Member(NumberTarget("102", each), after=delay, lasts=lasts, confirm=15.0) for each in numbers]
    book.found_at["102"] = scheduled(members)
    book.forwards = {("102", kind): number for kind, number in forwards.items()}
    return Bench(sdp=offer(), book=book)


def press(leg: int, digit: str) -> DigitDialled:
    return DigitDialled(leg, digit, 100, "rfc4733")


def plays(bench: Bench) -> list[Play]:
    return [each.command for each in bench.last if isinstance(each, Audio) and isinstance(each.command, Play)]


def test_who_answers_is_asked_and_the_caller_hears_ringing_until_the_key() -> None:
    bench = find_me(PRESS)
    assert [each.endpoint.name for each in bench.of(Originate)] == ["102", "north"]
    effects = bench.say(Answered(MOBILE, session()))
    [play] = plays(bench)
    assert (play.stream, play.sources[0], play.loop) == (MOBILE, Speech("press 1"), True)
    assert Audio(Detect(MOBILE, dtmf=True)) in effects
    assert SetTimer(f"confirm {MOBILE}", bench.now + 15.0) in effects
    assert Progress(1, 180) in effects
    assert not any(isinstance(each, Accept | Bridge | Release) for each in effects)
    assert bench.call.contact.leg(MOBILE).answered == 0.0  # type: ignore[union-attr]
    effects = bench.say(press(MOBILE, "1"))
    assert Release(DESK, Cause.ANSWERED_ELSEWHERE, 0, "") in effects
    assert Bridge(1, MOBILE) in effects
    assert Audio(StopPlay(play.play)) in effects
    assert Audio(Detect(MOBILE)) in effects
    assert CancelTimer(f"confirm {MOBILE}") in effects
    assert bench.call.state is State.TALKING
    assert bench.book.paying == [("north", Payer("extension", "102", True))]


def test_a_wrong_key_changes_nothing_and_2_lets_go() -> None:
    bench = find_me(PRESS)
    bench.say(Answered(MOBILE, session()))
    assert bench.say(press(MOBILE, "5")) == []
    assert Release(MOBILE, Cause.NORMAL_CLEARING, 0, "not confirmed") in bench.say(press(MOBILE, "2"))
    assert bench.say(press(MOBILE, "1")) == []
    assert bench.say(Released(MOBILE, 16, by_peer=False)) == []
    assert Bridge(1, DESK) in bench.say(Answered(DESK, session()))
    assert bench.book.paying == [("102", Payer("extension", "101"))]


def test_a_mailbox_is_let_go_and_the_hunt_ends_as_not_answered() -> None:
    bench = find_me(PRESS, no_answer="103")
    bench.say(Answered(MOBILE, session()))
    bench.say(Released(DESK, Cause.USER_BUSY, 486))
    bench.last = bench.call.timer_fired(f"confirm {MOBILE}", 16.0)
    assert Release(MOBILE, Cause.NORMAL_CLEARING, 0, "not confirmed") in bench.last
    assert bench.of(Release)[-1] == Release(1, Cause.USER_BUSY, 486)
    bench = find_me(PRESS, no_answer="103")
    bench.say(Answered(MOBILE, session()))
    bench.last = bench.call.timer_fired("ring", 20.0)  # the telephone has rung long enough
    assert bench.of(Release) == [Release(DESK, Cause.NO_ANSWER, 0, "")]
    bench.last = bench.call.timer_fired("ring", 30.0)
    assert CancelTimer("ring") in bench.last  # nobody rings: only the key is waited for
    assert bench.of(Release) == []
    bench.last = bench.call.timer_fired(f"confirm {MOBILE}", 31.0)
    assert [each.endpoint.name for each in bench.of(Originate)] == ["103", "103"]


@pytest.mark.parametrize(
    "event", [Released(MOBILE, Cause.NORMAL_CLEARING), MediaSilent(MOBILE, 30.0), Released(MOBILE, 16, 0, False)]
)
def test_who_hangs_up_while_he_is_asked_has_not_answered(event: Released | MediaSilent) -> None:
    bench = find_me(PRESS, no_answer="103")
    bench.say(Answered(MOBILE, session()))
    bench.last = bench.call.timer_fired("ring", 20.0)
    bench.say(event)
    assert [each.endpoint.name for each in bench.of(Originate)] == ["103", "103"]
    assert bench.call.timer_fired(f"confirm {MOBILE}", 35.0) == []


def test_two_are_asked_and_the_first_key_counts() -> None:
    bench = find_me(PRESS, "0172666")
    bench.say(Answered(MOBILE, session()))
    bench.say(Answered(OTHER, session()))
    effects = bench.say(press(OTHER, "1"))
    assert Bridge(1, OTHER) in effects
    assert {each.leg for each in bench.of(Release)} == {DESK, MOBILE}  # type: ignore[attr-defined]
    assert bench.say(press(MOBILE, "1")) == []


def test_the_caller_hangs_up_while_one_is_asked() -> None:
    bench = find_me(PRESS)
    bench.say(Answered(MOBILE, session()))
    bench.say(Released(1, Cause.NORMAL_CLEARING, 487))
    assert {each.leg for each in bench.of(Release)} == {DESK, MOBILE}  # type: ignore[attr-defined]
    assert bench.say(press(MOBILE, "1")) == []


def test_no_early_media_of_who_has_to_confirm() -> None:
    bench = find_me(PRESS)
    assert bench.say(Progressed(MOBILE, 183, session())) == [Progress(1, 180)]
    assert Bridge(1, DESK) in bench.say(Progressed(DESK, 183, session()))


def test_ringing_comes_from_us_once_early_media_has_silenced_the_callers_phone() -> None:
    bench = find_me(PRESS)
    bench.say(Progressed(DESK, 183, session()))
    bench.say(Answered(MOBILE, session()))
    assert [play.stream for play in plays(bench)] == [MOBILE]
    bench.say(Released(DESK, Cause.USER_BUSY, 486))
    [ringing] = plays(bench)
    assert (ringing.stream, ringing.sources) == (1, (Tone("ringback"),))
    assert Audio(StopPlay(ringing.play)) in bench.say(press(MOBILE, "1"))


def test_without_speech_a_tone_asks() -> None:
    bench = find_me(PRESS)
    bench.say(Answered(MOBILE, session()))
    [play] = plays(bench)
    bench.last = bench.call.audio_event(PlayEnded(play.play, "failed", "no engine"), bench.now)
    [beep] = plays(bench)
    assert (beep.stream, beep.sources[0]) == (MOBILE, Tone("beep"))
    bench.last = bench.call.audio_event(PlayEnded(beep.play, "stopped"), bench.now)
    assert bench.last == []


def test_who_is_asked_may_change_its_media() -> None:
    bench = find_me(PRESS)
    bench.say(Answered(MOBILE, session()))
    [answer] = bench.say(Reoffered(MOBILE, offer("sendonly", (PCMA,))))
    assert isinstance(answer, Answer)
    assert answer.direction == "recvonly"
    assert bench.say(Reoffered(DESK, offer())) == [RefuseOffer(DESK, 491)]


def test_a_delay_and_a_phone_that_answers_first() -> None:
    bench = find_me(PRESS, delay=10.0)
    assert [each.endpoint.name for each in bench.of(Originate)] == ["102"]
    bench.last = bench.call.timer_fired("ring", 10.0)
    assert [each.endpoint.name for each in bench.of(Originate)] == ["north"]
    assert bench.of(Release) == []
    effects = bench.say(Answered(DESK, session()))
    assert Release(MOBILE, Cause.ANSWERED_ELSEWHERE, 0, "") in effects
    assert Bridge(1, DESK) in effects


# ---- who has sent the call on


def told(bench: Bench) -> tuple[Diverted, ...]:
    return bench.of(Originate)[-1].diverted  # type: ignore[attr-defined, no-any-return]


def test_a_find_me_number_is_told_whose_it_is_and_a_telephone_nothing() -> None:
    desk, mobile = find_me(PRESS).of(Originate)
    assert desk.diverted == ()  # type: ignore[attr-defined]
    assert mobile.diverted == (Diverted("102", "follow-me", own=True),)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "event", "reason"),
    [
        ("always", None, "unconditional"),
        ("busy", Released(2, Cause.USER_BUSY, 486), "user-busy"),
        ("unavailable", Released(2, Cause.TEMPORARY_FAILURE, 503), "unavailable"),
        ("no_answer", Released(2, Cause.NO_ANSWER, 480), "no-answer"),
        ("", Redirected(2, "0123", 31), "deflection"),
    ],
)
def test_who_diverts_and_why(kind: str, event: Released | Redirected | None, reason: str) -> None:
    book = Book()
    book.forwards[("102", kind)] = "0123"
    book.routes["0123"] = Dial((TrunkTarget("north", "0123"),))
    bench = Bench(sdp=offer(), book=book)
    if event is not None:
        bench.say(event)
    assert told(bench) == (Diverted("102", reason, own=True),)
    assert bench.call.contact.diverted == told(bench)


def test_what_came_with_the_call_goes_on_with_it_and_a_round_is_ended() -> None:
    before = (Diverted("030123", "user-busy"),)
    book = Book()
    book.forwards[("102", "always")] = "103"
    bench = Bench(sdp=offer(), book=book, diverted=before, diversions=1)
    assert told(bench) == (Diverted("102", "unconditional", own=True), *before)
    refused = Release(1, Cause.EXCHANGE_ROUTING_ERROR, 482)
    assert Bench(sdp=offer(), book=book, diversions=MAX_DIVERSIONS - 1).of(Release) == []
    assert Bench("103", offer(), diversions=MAX_DIVERSIONS).last == [refused]
    book.forwards[("103", "always")] = "102"
    assert Bench(sdp=offer(), book=book, diversions=MAX_DIVERSIONS - 1).of(Release) == [refused]


def test_a_transferred_call_is_told_nothing_of_before() -> None:
    bench = Bench(sdp=offer(), diverted=(Diverted("030123", "user-busy"),), diversions=1).talking()
    bench.last = bench.call.transfer(2, "103", bench.now)
    assert told(bench) == ()
    assert bench.call.setup.caller == Party("101", "Ann")

"""Feature codes on the whole switch: dialled, heard, and what calls find then."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Digit, Play, PlayEnded, Say, Speech, StopPlay, Tone
from sip.ua_events import SessionAnswered, SessionEnded, SessionFailed
from softswitch.call_alone import LAST_HEARD
from softswitch.call_asking import FIRST_DIGIT, FIRST_HEARD, LONGEST_QUESTION, NEXT_DIGIT
from softswitch.feature_speech import ERROR_TONE, SENTENCES, sentence
from softswitch.features import FeatureChange
from softswitch.report import call_row
from tests.virtual.network import G722, PCMU, Phone, World, settings

CODES = {
    "dnd_on": "*78",
    "dnd_off": "*79",
    "dnd_toggle": "*76",
    "dnd_query": "*77",
    "forward_always_on": "*72",
    "forward_always_off": "*73",
    "forward_always_query": "*74",
    "forward_busy_on": "*90",
    "forward_no_answer_on": "*92",
    "forward_unavailable_on": "*94",
    "forward_unavailable_off": "*95",
    "call_waiting_on": "*53",
    "call_waiting_off": "*54",
    "call_waiting_query": "*55",
    "pick_up_group": "*8",
    "pick_up": "**",
    "intercom": "*80",
    "listen": "*31",
    "record_call": "*97",
    "last_caller": "*69",
    "own_number": "*65",
}


def coded(**sections: Any) -> World:
    return World(settings(**{"feature_codes": CODES, **sections}))


def tell(world: World, event: Any, seconds: float = 0.5) -> None:
    world.media.events.append(event)
    world.link.settle()
    world.run(seconds)


def heard(world: World) -> tuple[str, ...]:
    """What the last play says."""
    *sources, last = world.media.asked(Play)[-1].sources
    assert last == LAST_HEARD
    words = []
    for each in sources[1:] if sources[0] == FIRST_HEARD else sources:
        assert isinstance(each, Speech | Say | Tone)
        words.append(each.text if isinstance(each, Speech) else each.value if isinstance(each, Say) else each.name)
    return tuple(words)


def play_out(world: World) -> None:
    tell(world, PlayEnded(world.media.asked(Play)[-1].play, "done"))


def use(world: World, phone: Phone, code: str) -> tuple[str, ...]:
    """Dial a code, hear to the end what is said, and be hung up on."""
    ended = len(phone.of(SessionEnded))
    phone.dial(code)
    world.run(0.5)
    assert phone.last(SessionAnswered)
    words = heard(world)
    play_out(world)
    assert len(phone.of(SessionEnded)) == ended + 1
    return words


def dial_digits(world: World, digits: str, source: Any = "rfc4733") -> None:
    [leg] = world.legs()
    for digit in digits:
        tell(world, Digit(leg, digit, 100, source), 0.1)


def test_do_not_disturb_is_heard_and_then_found() -> None:
    world = coded()
    ann, ben = world.phone("101"), world.phone("102")
    assert use(world, ben, "*78") == ("Do not disturb is on.",)
    ann.dial("102")
    world.run(0.5)
    assert not ben.got("INVITE")
    assert ann.last(SessionFailed).status == 486
    assert use(world, ben, "*77") == ("Do not disturb is on.",)
    assert use(world, ben, "*76") == ("Do not disturb is off.",)
    assert use(world, ben, "*76") == ("Do not disturb is on.",)
    assert use(world, ben, "*79") == ("Do not disturb is off.",)
    ann.dial("102")
    world.run(0.5)
    assert ben.got("INVITE")
    ben.refuse(486)
    first, *_ = world.assert_over(7)
    assert (first.dialled, first.destination, first.ended_by, first.cause) == ("*78", "feature", "switch", 16)


def test_codes_and_the_command_line_set_the_same_and_both_are_written() -> None:
    world = coded()
    written: list[FeatureChange] = []
    world.switch.write_feature = written.append
    ben = world.phone("102")
    use(world, ben, "*78")
    world.switch.set_feature("102", "dnd", "on")
    use(world, ben, "*54")
    assert written == [FeatureChange("102", "dnd", "on"), FeatureChange("102", "call_waiting", "off")]
    assert use(world, ben, "*55") == ("Call waiting is off.",)
    assert use(world, ben, "*53") == ("Call waiting is on.",)


@pytest.mark.parametrize("dialled", ["*72103", "*72*103#", "%2A72103"])
def test_a_forward_to_the_number_that_follows(dialled: str) -> None:
    world = coded()
    ann, ben, cid = world.phone("101"), world.phone("102"), world.phone("103")
    assert use(world, ben, dialled) == ("All calls are forwarded to", "103")
    ann.dial("102")
    world.run(0.5)
    assert not ben.got("INVITE")
    assert cid.got("INVITE")
    cid.refuse(486)
    world.run(0.5)
    assert use(world, ben, "*74") == ("All calls are forwarded to", "103")
    assert use(world, ben, "*73") == ("Calls are not forwarded.",)
    assert use(world, ben, "*74") == ("Calls are not forwarded.",)
    assert world.switch.book.forward("102", "always") is None


@pytest.mark.parametrize(
    ("code", "kind"), [("*90", "busy"), ("*92", "no_answer"), ("*94", "unavailable"), ("*72", "always")]
)
def test_a_number_that_does_not_follow_is_asked_for(code: str, kind: str) -> None:
    world = coded()
    ben = world.phone("102")
    ben.dial(code)
    world.run(0.5)
    assert heard(world) == (sentence("ask_number", "en"),)
    [active] = world.runtime.calls.values()
    assert call_row(active, world.now).state == "asked"
    question = world.media.asked(Play)[-1].play
    dial_digits(world, "10")
    assert [each.play for each in world.media.asked(StopPlay)] == [question]
    tell(world, PlayEnded(question, "stopped"))
    dial_digits(world, "3#")
    assert heard(world)[1] == "103"
    assert world.switch.book.forward("102", kind) == "103"
    play_out(world)
    assert ben.last(SessionEnded).cause == "bye"
    [record] = world.assert_over()
    assert [segment.kind for segment in world.node.contacts[0].segments] == ["route", "feature"]
    assert record.billsec > 0


def test_a_pause_ends_the_number_and_silence_the_question() -> None:
    world = coded()
    ben = world.phone("102")
    ben.dial("*72")
    world.run(0.5)
    play_out(world)
    dial_digits(world, "104")
    world.run(NEXT_DIGIT + 0.1)
    assert heard(world) == ("All calls are forwarded to", "104")
    play_out(world)
    ben.dial("*72")
    world.run(0.5)
    play_out(world)
    world.run(FIRST_DIGIT + 0.1)
    assert heard(world) == ("special-information", sentence("no_number", "en"))
    play_out(world)
    ben.dial("*72")
    world.run(LONGEST_QUESTION + 1.0)  # and nobody says how the question ended
    assert heard(world) == ("special-information", sentence("no_number", "en"))
    play_out(world)
    world.assert_over(3)


def test_a_digit_that_comes_two_ways_counts_once() -> None:
    world = coded()
    ben = world.phone("102")
    ben.dial("*72")
    world.run(0.5)
    [leg] = world.legs()
    for digit in "103#":
        tell(world, Digit(leg, digit, 100, "rfc4733"), 0.05)
        tell(world, Digit(leg, digit, 100, "inband"), 0.05)
    assert heard(world) == ("All calls are forwarded to", "103")


@pytest.mark.parametrize("number", ["102", "999", "*78", "1" * 33])
def test_numbers_that_lead_nowhere_are_refused_and_nothing_changes(number: str) -> None:
    world = coded(routes=[{"to": "999", "reject": "barred"}])
    ben = world.phone("102")
    assert use(world, ben, f"*72{number}") == ("special-information", sentence("bad_number", "en"))
    assert world.switch.features.of("102") == {}


def test_a_caller_hangs_up_while_asked() -> None:
    world = coded()
    ben = world.phone("102")
    session = ben.dial("*72")
    world.run(0.5)
    dial_digits(world, "1")
    ben.do(session.hangup)
    world.run(0.5)
    [record] = world.assert_over()
    assert record.ended_by == "caller"
    assert world.switch.features.of("102") == {}


def test_who_can_not_speak_is_heard_by_tones() -> None:
    world = coded()
    ben = world.phone("102")
    ben.dial("*78")
    world.run(0.5)
    tell(world, PlayEnded(world.media.asked(Play)[-1].play, "failed", "no engine"))
    assert heard(world) == ("beep",)
    play_out(world)
    assert ben.last(SessionEnded).cause == "bye"
    ben.dial("*72102")
    world.run(0.5)
    tell(world, PlayEnded(world.media.asked(Play)[-1].play, "failed", "no engine"))
    assert heard(world) == (ERROR_TONE.name,)
    play_out(world)
    ben.dial("*72")
    world.run(0.5)
    tell(world, PlayEnded(world.media.asked(Play)[-1].play, "failed", "no engine"))
    assert heard(world) == ("dial",)
    play_out(world)
    dial_digits(world, "103#")
    assert world.switch.book.forward("102", "always") == "103"
    tell(world, PlayEnded(world.media.asked(Play)[-1].play, "failed", "no engine"))
    tell(world, PlayEnded(world.media.asked(Play)[-1].play, "failed", "no tones either"))
    assert world.assert_over(3)[-1].cause == 41


def test_what_nobody_could_hear_is_not_done() -> None:
    world = coded(extensions={"102": {"codecs": ["G729"]}})
    ben = world.phone("102")
    ben.dial("*78", ben.sdp(("18 G729/8000",)))
    world.run(0.5)
    assert ben.last(SessionFailed).status == 488
    assert not world.switch.book.do_not_disturb("102")


def test_without_an_offer_the_answer_to_ours_begins_it() -> None:
    world = coded()
    ben = world.phone("102")
    session = ben.dial("*78", None)
    world.run(0.2)
    assert world.media.asked(Play) == []
    ben.do(session.answer, ben.sdp((PCMU,)))
    world.run(0.5)
    assert heard(world) == ("Do not disturb is on.",)


def test_codes_belong_to_the_class_of_service() -> None:
    codes = {"101": ("none",), "102": ("dnd_on", "own_number")}
    world = coded(extensions={number: {"codes": allowed} for number, allowed in codes.items()})
    refusal = ("special-information", sentence("not_allowed", "en"))
    assert use(world, world.phone("101"), "*78") == refusal
    ben = world.phone("102")
    assert use(world, ben, "*78") == ("Do not disturb is on.",)
    assert use(world, ben, "*79") == refusal
    assert use(world, ben, "*65") == ("Your number is", "102")
    assert use(world, ben, "*72") == refusal, "and no number is asked for"
    assert use(world, ben, "*31101") == refusal
    assert not world.switch.book.do_not_disturb("101")


@pytest.mark.parametrize("code", ["*8", "**102"])
def test_a_call_that_rings_elsewhere_is_picked_up(code: str) -> None:
    world = coded(extensions={"102": {"groups": ["sales"]}, "103": {"groups": ["sales"]}})
    ann, ben, cid = world.phone("101"), world.phone("102"), world.phone("103")
    ann.dial("102")
    world.run(0.5)
    ben.ring()
    cid.dial(code)
    world.run(0.5)
    assert ben.got("CANCEL")
    assert ann.last(SessionAnswered)
    assert cid.last(SessionAnswered)
    assert len(world.media.bridges) == 2


@pytest.mark.parametrize("groups", [(), ("sales",)])
def test_a_supervisor_listens_to_those_whom_it_supervises(groups: tuple[str, ...]) -> None:
    world = coded(extensions={"102": {"groups": ["sales"]}, "103": {"supervises": groups}})
    ann, ben, cid = world.phone("101"), world.phone("102"), world.phone("103")
    world.establish(ann, ben)
    cid.dial("*31102")
    world.run(0.5)
    if groups:
        assert cid.last(SessionAnswered)
        assert len(world.legs()) == 3
    else:
        assert cid.last(SessionFailed).status == 403


def test_what_one_has_no_right_to_is_refused_by_its_cause() -> None:
    """No common group: nobody's telephone answers by itself."""
    world = coded()
    ann = world.phone("101")
    ann.dial("*80102")
    world.run(0.5)
    assert ann.last(SessionFailed).status == 403
    [record] = world.assert_over()
    assert record.cause == 29


@pytest.mark.parametrize("code", ["**", "*80", "*97"])
def test_a_number_that_must_follow(code: str) -> None:
    world = coded()
    assert use(world, world.phone("101"), code) == ("special-information", sentence("no_number", "en"))


@pytest.mark.parametrize("code", ["**101", "**199", "*80101", "*80abc", "*80*43"])
def test_an_extension_that_must_follow(code: str) -> None:
    world = coded()
    assert use(world, world.phone("101"), code) == ("special-information", sentence("bad_number", "en"))


def test_the_last_caller_is_called_back() -> None:
    world = coded()
    ann, ben = world.phone("101"), world.phone("102")
    assert use(world, ben, "*69") == ("special-information", sentence("no_caller", "en"))
    use(world, ben, "*78")
    ann.dial("102")
    world.run(0.5)
    assert ann.last(SessionFailed).status == 486, "whom it has missed, too"
    ben.dial("*69")
    world.run(0.5)
    assert ann.got("INVITE")
    assert ann.invited().from_.uri.user == "102"


def test_codes_are_for_extensions_that_dial_them_only() -> None:
    world = coded(extensions={"102": {"forward": {"always": "*78"}}})
    ann, south = world.phone("101"), world.gateway("192.0.2.60")
    ann.dial("102")
    world.run(0.5)
    assert ann.last(SessionFailed).status == 404
    south.dial("*78")
    world.run(0.5)
    assert south.last(SessionFailed).status == 404
    assert not world.switch.book.do_not_disturb("102")
    assert len(world.switch.features) == 0


@pytest.mark.parametrize(
    ("caller", "called", "route", "ends"),
    [
        ("on-demand", None, None, True),
        ("on-demand", "never", "never", True),
        ("always", None, None, False),
        ("always", None, "on-demand", True),
        ("on-demand", "always", None, False),
        ("on-demand", None, "always", False),
    ],
)
def test_who_has_had_a_call_recorded_may_end_that_where_nothing_else_wants_it(
    caller: str, called: str | None, route: str | None, ends: bool
) -> None:
    codes = CODES | {"in_call": {"record": "*1"}}
    routes = [{"to": "_1XX", "dial": "{number}"} | ({"record": route} if route else {})]
    world = coded(
        feature_codes=codes,
        extensions={"101": {"record": caller}, "102": {"record": called}},
        dialplan={"internal": {"routes": routes}},
    )
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("*97102")
    world.run(0.5)
    ben.answer()
    world.run(0.5)
    [active] = world.runtime.calls.values()
    assert active.call.recording == "on"
    for digit in "*1":
        tell(world, Digit(active.call.a, digit, 100, "rfc4733"), 0.1)
    assert active.call.recording == ("" if ends else "on")
    if ends:
        for digit in "*1":
            tell(world, Digit(active.call.a, digit, 100, "rfc4733"), 0.1)
        assert active.call.recording == "on"
    ann.do(session.hangup)
    world.run(10.0)


@pytest.mark.parametrize("rule", ["always", "on-demand", "never", None])
def test_a_call_that_is_recorded_on_demand(rule: str | None) -> None:
    world = coded(extensions={"101": {"record": rule}})
    ann, ben = world.phone("101"), world.phone("102")
    if rule not in ("always", "on-demand"):
        assert use(world, ann, "*97102") == ("special-information", sentence("not_allowed", "en"))
        return
    session = ann.dial("*97102")
    world.run(0.5)
    ben.answer()
    world.run(0.5)
    [active] = world.runtime.calls.values()
    assert active.call.recording == "on"
    ann.do(session.hangup)
    world.run(10.0)


def test_a_dialled_number_that_is_no_code_is_routed_as_ever() -> None:
    world = coded()
    ann = world.phone("101")
    for number in ("*43", "*7", "*785"):
        ann.dial(number)
        world.run(0.5)
    assert [failed.status for failed in ann.of(SessionFailed)] == [404, 404]
    assert len(ann.of(SessionAnswered)) == 1
    plain = World(settings())
    ben = plain.phone("101")
    ben.dial("*78")
    plain.run(0.5)
    assert ben.last(SessionFailed).status == 404, "without the section there are none"


def test_a_reload_brings_codes_and_their_language() -> None:
    world = World(settings())
    ann = world.phone("101")
    world.switch.configure(settings(feature_codes=CODES, media={"sounds": {"language": "de"}}), world.now)
    assert use(world, ann, "*78") == (SENTENCES["de"]["dnd_on"],)


def test_a_held_question_goes_on() -> None:
    world = coded()
    ann = world.phone("101")
    session = ann.dial("*72", ann.sdp((PCMU, G722)))
    world.run(0.5)
    ann.do(session.offer, ann.sdp((PCMU,), "sendonly"))
    world.run(0.5)
    ann.do(session.offer, ann.sdp((PCMU,)))
    world.run(0.5)
    dial_digits(world, "103#")
    assert heard(world) == ("All calls are forwarded to", "103")

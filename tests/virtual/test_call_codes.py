"""Codes dialled in a call, on the whole switch: what they do, what is heard meanwhile, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Digit, Music, Play, StartRecording, StopRecording, Tone
from softswitch.call_coded import NUMBER_WANTED, RECORDING_OFF, RECORDING_ON
from softswitch.feature_speech import ERROR_TONE
from tests.virtual.test_consult import Desk, all_of, ended, pair

CODES = {
    "record": "*1",
    "attended_transfer": "*2",
    "three_way": "*3",
    "swap": "*4",
    "park": "*5",
    "return": "*0",
    "blind_transfer": "##",
}
LOT = {"parking": {"main": {"slots": "701", "announce": False}}}
WAITING = {"101": Music("default")}


class Keys(Desk):
    """Ben's keys are codes."""

    def __init__(self, in_call: dict[str, Any] | None = None, **configured: Any) -> None:
        super().__init__(feature_codes={"in_call": CODES | (in_call or {})}, **configured)

    def dial(self, digits: str, by: str = "102", source: str = "rfc4733") -> None:
        [leg] = [leg for leg, number in self.numbers().items() if number == by]
        for digit in digits:
            self.world.media.events.append(Digit(leg, digit, 100, source))
            self.world.link.settle()
            self.world.run(0.2)

    def numbers(self) -> dict[int, str]:
        return {leg: number for number, leg in self.legs.items()}

    def beeps(self) -> list[tuple[str, tuple[object, ...]]]:
        """What was mixed with what somebody hears, in order."""
        numbers = self.numbers()
        return [(numbers[each.stream], each.sources) for each in self.world.media.asked(Play) if each.over]

    def answers(self) -> None:
        """Cyd does."""
        [self.legs["103"]] = set(self.world.legs()) - set(self.legs.values())
        self.cyd.answer()
        self.world.run(0.5)


@pytest.mark.parametrize("by", ["101", "102"])
def test_an_attended_transfer_by_keys(by: str) -> None:
    desk = Keys()
    customer = "101" if by == "102" else "102"
    waits = {customer: Music("default")}
    desk.dial("*2", by)
    assert (desk.hearing(), desk.music()) == ({}, {**waits, by: NUMBER_WANTED})
    desk.dial("1", by)
    assert desk.music() == waits, "the tone ends with the first digit"
    desk.dial("03#", by)
    desk.answers()
    assert (desk.hearing(), desk.music()) == (pair(by, "103"), waits)
    desk.hang_up(desk.ben if by == "102" else desk.ann)
    assert (desk.hearing(), desk.music()) == (pair(customer, "103"), {})
    desk.hang_up(desk.cyd)
    desk.over(["hold", "consult", "talk"])


def test_a_blind_transfer_by_keys_whose_number_ends_with_a_pause() -> None:
    desk = Keys()
    desk.dial("##103")
    assert not desk.cyd.ua.sessions
    desk.world.run(4.5)
    assert desk.music() == WAITING
    desk.answers()
    assert ended(desk.ben)
    assert desk.hearing() == pair("101", "103")
    desk.hang_up(desk.cyd)
    desk.over(["hold", "ring", "talk"])


def test_swap_three_way_and_return_by_keys() -> None:
    desk = Keys()
    desk.dial("*2103#")
    desk.answers()
    desk.dial("*4")
    assert (desk.hearing(), desk.music()) == (pair("101", "102"), {"103": Music("default")})
    desk.dial("*4*3")
    assert (desk.hearing(), desk.music()) == (all_of("101", "102", "103"), {})
    desk.hang_up(desk.cyd)
    desk.dial("*2103#")
    desk.dial("*0")
    assert (desk.hearing(), desk.music()) == (pair("101", "102"), {})
    assert not desk.cyd.ua.sessions
    desk.hang_up(desk.ann)
    desk.over(["hold", "consult", "conference", "talk", "hold", "consult", "talk"])


def test_park_by_keys_in_the_lot_that_is_set_where_there_are_several() -> None:
    lots = {name: {"slots": slot, "announce": False} for name, slot in (("main", "701"), ("side", "702"))}
    desk = Keys(parking=lots, in_call={"park_lot": "side"})
    desk.dial("*5")
    assert desk.world.switch.book.parking.parked() == [("702", desk.contact)]
    desk.hang_up(desk.ann)
    desk.over(["park"])


def test_park_by_keys() -> None:
    desk = Keys(**LOT)
    desk.dial("*5")
    assert ended(desk.ben)
    assert (desk.hearing(), desk.music()) == ({}, WAITING)
    assert desk.world.switch.book.parking.parked() == [("701", desk.contact)]
    desk.hang_up(desk.ann)
    desk.over(["park"])


def test_recording_by_keys() -> None:
    desk = Keys(extensions={"102": {"record": "on-demand"}})
    desk.dial("*1")
    [begun] = desk.world.media.asked(StartRecording)
    assert desk.beeps() == [("102", RECORDING_ON)]
    desk.dial("*1")
    assert [each.recording for each in desk.world.media.asked(StopRecording)] == [begun.recording]
    assert desk.beeps()[1:] == [("102", RECORDING_OFF)]
    desk.hang_up(desk.ann)
    desk.world.run(10.0)
    desk.over([])


def test_what_is_always_recorded_nobody_in_the_call_ends() -> None:
    desk = Keys(extensions={"101": {"record": "always"}})
    desk.dial("*1")
    assert desk.beeps() == [("102", (ERROR_TONE,))]
    assert not desk.world.media.asked(StopRecording)
    desk.hang_up(desk.ann)
    desk.world.run(10.0)
    desk.over([])


def test_what_was_begun_by_hand_is_ended_so_also_where_the_rule_is_always() -> None:
    desk = Keys(extensions={"101": {"record": "always"}})
    desk.world.runtime.record(desk.contact, "stop", desk.world.now)
    desk.dial("*1*1")
    assert desk.beeps() == [("102", RECORDING_ON), ("102", RECORDING_OFF)]
    always, by_hand = desk.world.media.asked(StartRecording)
    assert [each.recording for each in desk.world.media.asked(StopRecording)] == [always.recording, by_hand.recording]
    desk.hang_up(desk.ann)
    desk.world.run(10.0)
    desk.over([])


@pytest.mark.parametrize(
    "digits", ["*3", "*4", "*0", "*5", "*1", "*2#", "##999#", "*2102#", "##102#"], ids=lambda digits: digits
)
def test_what_can_not_be_done_is_told_and_all_is_as_before(digits: str) -> None:
    """No consultation, no lot, no recording allowed, no number, nobody there, itself."""
    desk = Keys()
    desk.dial(digits)
    desk.world.run(0.5)
    assert (desk.hearing(), desk.music()) == (pair("101", "102"), {})
    assert desk.beeps() == [("102", (ERROR_TONE,))]
    desk.hang_up(desk.ann)
    desk.world.assert_over()


def test_a_number_that_never_comes() -> None:
    desk = Keys()
    desk.dial("*2")
    desk.world.run(9.0)
    assert (desk.hearing(), desk.music()) == (pair("101", "102"), {})
    assert desk.beeps() == [("102", (ERROR_TONE,))]
    desk.hang_up(desk.ann)
    desk.over(["hold", "talk"])


def test_a_telephone_that_sends_each_digit_in_two_ways() -> None:
    desk = Keys()
    [leg] = [leg for leg, number in desk.numbers().items() if number == "102"]
    for digit in "*2103#":
        for source in ("rfc4733", "info"):
            desk.world.media.events.append(Digit(leg, digit, 100, source))
            desk.world.link.settle()
    desk.world.run(0.3)
    desk.answers()
    assert desk.hearing() == pair("102", "103")
    desk.hang_up(desk.cyd)
    desk.hang_up(desk.ann)
    desk.over(["consult", "talk"])


@pytest.mark.parametrize("what", ["customer hangs up", "dialler hangs up"])
def test_who_hangs_up_while_a_number_is_dialled(what: str) -> None:
    desk = Keys()
    desk.dial("*21")
    desk.hang_up(desk.ann if what == "customer hangs up" else desk.ben)
    assert not desk.ann.ua.sessions
    assert not desk.ben.ua.sessions
    desk.world.assert_over()


def test_codes_that_an_extension_may_not_use_are_digits() -> None:
    desk = Keys(extensions={"102": {"codes": ["dnd_on"]}})
    desk.dial("*2103#")
    assert desk.hearing() == pair("101", "102")
    assert not desk.cyd.ua.sessions
    desk.hang_up(desk.ann)
    desk.over([])


def test_a_trunk_dials_no_codes() -> None:
    desk = Keys()
    desk.hang_up(desk.ann)
    gateway = desk.world.gateway("192.0.2.60")
    before = set(desk.world.legs())
    desk.world.establish(gateway, desk.cyd)
    trunk, _ = sorted(set(desk.world.legs()) - before)
    for digit in "*5":
        desk.world.media.events.append(Digit(trunk, digit, 100, "rfc4733"))
        desk.world.link.settle()
    assert not [each for each in desk.world.media.asked(Play) if each.over]
    desk.hang_up(desk.cyd)
    desk.world.assert_over(2)


def test_the_dial_tone_is_no_dial_tone_for_long() -> None:
    """What is played while a number is wanted has a name that the engine knows."""
    assert Tone("dial") == NUMBER_WANTED

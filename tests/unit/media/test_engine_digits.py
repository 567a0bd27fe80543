"""Digits through the engine: passed, sent, told, each exactly once."""

from __future__ import annotations

import numpy as np
import pytest
from audio_world import (
    EVENTS,
    EVENTS_48,
    G722,
    HOST,
    OPUS,
    PCMA,
    PCMU,
    TICK,
    Phone,
    World,
    studio,
    tone_level,
    tones_code,
)

from media.audio_commands import Detect, Music, Play, SendDigits, SetRoom, StopPlay, Tone
from media.commands import Format, MediaAddress
from rtp.address import sockaddr
from rtp.telephone_event import EventReceiver

EVENTS_96: Format = (96, "telephone-event", 8000)


def codes(phone: Phone, format_: Format = EVENTS) -> str:
    return "".join("0123456789*#ABCD"[code] for code, _, _ in phone.digits(format_))


def received(phone: Phone, format_: Format = EVENTS) -> str:
    """What a receiver makes of the events that a phone was sent."""
    receiver = EventReceiver()
    told = []
    for each in phone.packets:
        if each.type == format_[0]:
            told += receiver.receive(1, each.seq, each.stamp, each.marker, each.payload, each.at)
    return "".join(digit for digit, _, over in told if over)


@pytest.mark.parametrize("partner", [PCMU, PCMA], ids=["relayed", "mixed"])
@pytest.mark.parametrize("at", range(4))
def test_digits_sent_are_seen_once_by_the_other_side(partner: Format, at: int) -> None:
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(partner, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5 + at * 2 * TICK)
    world.do(SendDigits(1, "12,#"))
    world.run(2.5)
    assert received(ann) == "12#"
    assert codes(ann) == "12#"
    assert all(duration == 800 for _, _, duration in ann.digits())
    # 2.5.1.1.1: "the initial packet ... MUST have the marker bit set"
    firsts = [each for each in ann.packets if each.type == 101 and each.marker]
    assert len(firsts) == 3
    assert not codes(ben)
    assert not ann.gaps()
    assert max(map(abs, ann.stamp_errors())) <= 0.021
    assert ann.level(700.0) > 7000
    assert ben.level(500.0) > 7000
    assert bool(world.engine.mixer.voices) == (partner != PCMU)
    assert not world.digits


@pytest.mark.parametrize("room", [False, True])
def test_digits_to_a_stream_alone(room: bool) -> None:
    world = World(studio())
    ann = world.phone(PCMU, 500.0)
    if room:
        world.do(SetRoom(7, (1,), gains=((1, 1, 0.0),)))
    world.run(0.5)
    world.do(SendDigits(1, "907"))
    world.run(2.0)
    assert received(ann) == "907"
    assert not ann.gaps()
    if not room:
        assert not world.engine.mixer.voices


def test_digits_while_something_plays_and_others_are_in_the_phase() -> None:
    world = World(studio())
    ann = world.phone(PCMU, 500.0)
    ben, _ = world.phone(PCMA, 700.0), world.phone(PCMU, 900.0)
    world.engine.bridge(2, 3)
    world.do(Play(1, (Tone("1500", seconds=3.0),), stream=1))
    world.run(0.5)
    world.do(SendDigits(1, "5"), SendDigits(2, "6"))
    world.run(1.0)
    assert received(ann) == "5"
    assert received(ben) == "6"
    assert ann.level(1500.0) > 7000


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("format_", [PCMU, G722, OPUS], ids=lambda each: each[1])
def test_digits_in_packets_of_any_length(format_: Format, ptime: int) -> None:
    if format_ == OPUS and ptime in (10, 30):
        ptime *= 2
    world = World(studio())
    ann, ben = world.phone(format_, 500.0, ptime), world.phone(PCMA, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    world.do(SendDigits(1, "12"))
    ann.press("7")
    world.run(2.0)
    assert received(ann) == "12"
    assert received(ben) == "7"
    assert not ann.gaps()
    assert max(map(abs, ann.stamp_errors())) <= 0.021 + ptime / 1000
    assert ann.level(700.0) > 7000
    assert world.digits == [(1, "7", "rfc4733")]
    audio = [each for each in ann.packets if each.type == format_[0]]
    assert [each.marker for each in ann.packets].count(True) == 3
    assert audio[0].marker


@pytest.mark.parametrize("to", ["none", "voices"])
def test_digits_are_tones_where_the_peer_takes_no_events(to: str) -> None:
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0, formats=(PCMU,)), world.phone(PCMU, 700.0, formats=(PCMU,))
    if to == "voices":
        world.engine.bridge(1, 2)
    world.do(Detect(2, dtmf=True))
    world.run(0.5)
    world.do(SendDigits(1, "5"))
    world.run(0.3)
    sound = ann.heard()[-2400:]
    strongest = max(range(0, len(sound) - 640, 80), key=lambda at: tone_level(sound[at : at + 640], 8000, 770.0))
    part = sound[strongest : strongest + 640]
    assert tone_level(part, 8000, 770.0) > 2000
    assert tone_level(part, 8000, 1336.0) > 2000
    assert not ben.digits()
    world.run(1.0)
    assert not ann.gaps()
    if to == "voices":
        assert ann.level(700.0) > 7000


@pytest.mark.parametrize(
    ("a", "b", "a_events", "b_events"),
    [
        (PCMU, PCMA, EVENTS, EVENTS_96),
        (PCMU, OPUS, EVENTS, EVENTS_48),
        (OPUS, PCMU, EVENTS_48, EVENTS_96),
        (G722, OPUS, EVENTS, EVENTS),
        (PCMU, PCMU, EVENTS, EVENTS_96),
    ],
    ids=["mixed", "up", "down", "own clock", "relayed"],
)
def test_events_cross_a_bridge_once_on_the_other_sides_clock(
    a: Format, b: Format, a_events: Format, b_events: Format
) -> None:
    if b_events == EVENTS_96 and b == OPUS:
        b_events = EVENTS
    world = World(studio())
    ann = world.phone(a, 500.0, formats=(a, a_events))
    ben = world.phone(b, 700.0, formats=(b, b_events))
    world.engine.bridge(1, 2)
    world.run(0.5)
    for digit in "15#":
        ann.press(digit, a_events)
        world.run(0.5)
    assert received(ben, b_events) == "15#"
    assert [code for code, _, _ in ben.digits(b_events)] == [tones_code(digit) for digit in "15#"]
    assert all(duration == b_events[2] // 10 for _, _, duration in ben.digits(b_events))
    assert world.digits == [(1, digit, "rfc4733") for digit in "15#"]
    ben.press("9", b_events)
    world.run(0.5)
    assert received(ann, a_events) == "9"
    assert world.digits[-1] == (2, "9", "rfc4733")
    assert not ben.gaps()
    # An event's timestamp is when it began, on the line of the audio around it.
    for phone, events in ((ann, a_events), (ben, b_events)):
        first = next(each for each in phone.packets if each.type == events[0])
        before = [each for each in phone.packets if each.seq == (first.seq - 1) & 0xFFFF][-1]
        assert 0 < first.stamp - before.stamp & 0xFFFFFFFF <= 0.045 * phone.format[2]
    world.run(1.0)
    assert max(map(abs, ben.stamp_errors())) <= 0.021


@pytest.mark.parametrize("b", [PCMU, PCMA], ids=["relayed", "mixed"])
def test_an_event_is_heard_as_a_tone_by_a_partner_without_events(b: Format) -> None:
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(b, 700.0, formats=(b,))
    world.engine.bridge(1, 2)
    world.do(Detect(2, dtmf=True))
    world.run(0.5)
    ann.press("5")
    world.run(0.35)
    sound = ben.heard()[-2800:]
    assert max(tone_level(sound[begin : begin + 480], 8000, 770.0) for begin in range(0, 2300, 80)) > 2000
    assert world.digits == [(1, "5", "rfc4733")]
    world.run(1.0)
    assert ben.level(500.0) > 7000
    # The packet by which the relay learns of it is dropped.
    assert ben.gaps() in ([], [2])
    assert bool(ben.gaps()) == (b == PCMU)


def test_a_tone_is_no_digit_while_events_tell_of_it_already() -> None:
    world = World(studio())
    ann, _ = world.phone(PCMU, 500.0), world.phone(PCMA, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("5")
    world.run(1.0)
    assert world.digits == [(1, "5", "rfc4733")]


def test_an_event_of_a_new_source_is_none_of_the_old_one() -> None:
    """RFC 3550 8: another SSRC has its own timestamps, which may be before those of the last one."""
    world = World(studio())
    ann, _ = world.phone(PCMU, 500.0), world.phone(PCMA, 700.0)
    ann.stamp = 0x40000000
    ann.seq = 40000
    world.engine.bridge(1, 2)
    world.run(0.3)
    for digit in "123456789":
        ann.press(digit)
        world.run(0.3)
    ann.talks = False
    world.run(0.2)
    ann.talks, ann.ssrc, ann.stamp, ann.seq = True, 77, 1000, 30000
    world.run(0.1)
    ann.press("0")
    world.run(0.5)
    assert "".join(digit for _, digit, _ in world.digits) == "1234567890"


def run_until_told(world: World) -> None:
    while not world.digits:
        world.run(TICK)


@pytest.mark.parametrize("partner", [PCMU, PCMA], ids=["relayed", "mixed"])
def test_what_plays_because_of_a_digit_does_not_repeat_it(partner: Format) -> None:
    """RFC 4733 2.5.1.4: the final packet is repeated, and is the same event still."""
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(partner, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("5")
    run_until_told(world)
    world.do(Play(1, (Tone("1500", seconds=0.2),), stream=1, over=True))
    world.run(1.0)
    assert received(ben) == "5"
    assert [each.marker for each in ben.packets if each.type == 101].count(True) == 1
    assert len([each for each in ben.packets if each.type == 101]) == 8
    assert ben.level(500.0) > 7000


@pytest.mark.parametrize("packets", range(1, 9))
@pytest.mark.parametrize("seconds", [0.02, 0.06, 0.4])
def test_a_digit_is_one_whenever_something_begins_and_ends_to_play(packets: int, seconds: float) -> None:
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("5")
    world.run(0.02 * packets)
    world.do(Play(1, (Tone("1500", seconds=seconds),), stream=1, over=True))
    world.run(0.5)
    ann.press("6")
    world.run(0.5)
    assert received(ben) == "56"
    assert codes(ben) == "56"
    assert [duration for _, _, duration in ben.digits()] == [800, 800]
    assert max(map(abs, ben.stamp_errors())) <= 0.041
    assert not world.engine.mixer.voices


@pytest.mark.parametrize("third", [PCMU, PCMA], ids=["relayed", "mixed"])
@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize("packets", range(1, 9))
def test_whom_a_digit_leads_to_is_not_passed_its_end(third: Format, audio: bool, packets: int) -> None:
    """`audio`: some telephones send their audio besides the event."""
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    cat = world.phone(third, 900.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("4")
    world.run(0.02 * packets)
    world.engine.unbridge(1)
    world.engine.bridge(1, 3)
    if audio:
        world.send(ann, ann.audio())
    world.run(0.5)
    ann.press("7")
    world.run(0.5)
    assert received(cat) == "7"
    assert codes(ben) == "4"
    assert cat.packets[0].marker
    assert cat.level(500.0) > 7000
    assert world.digits == [(1, "4", "rfc4733"), (1, "7", "rfc4733")]


def test_an_end_that_is_overtaken_by_the_next_digit_is_none_of_its_own() -> None:
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMA, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("4")
    world.run(0.14)
    late = ann.packet()
    world.run(0.1)
    ann.press("7")
    world.run(0.06)
    world.send(ann, late)
    world.run(0.5)
    assert received(ben) == codes(ben) == "47"


def test_the_first_digit_that_the_relay_has_no_number_for_is_passed_on() -> None:
    """The relay learns of it by a packet that it drops, and mixes from then on."""
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0, formats=(PCMU, EVENTS_48))
    world.engine.bridge(1, 2)
    world.run(0.5)
    assert not world.engine.mixer.voices
    for digit in "15":
        ann.press(digit)
        world.run(0.5)
    assert received(ben, EVENTS_48) == codes(ben, EVENTS_48) == "15"
    assert [each.marker for each in ben.packets if each.type == EVENTS_48[0]].count(True) == 2


@pytest.mark.parametrize("packets", range(1, 9))
def test_whom_a_swap_brings_back_from_music_is_not_passed_the_digit_of_it(packets: int) -> None:
    world = World(studio())
    ann, ben, cat = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0), world.phone(PCMU, 900.0)
    world.engine.bridge(1, 2)
    world.do(Play(1, (Music("default"),), stream=3))
    world.run(0.5)
    ann.press("4")
    world.run(0.02 * packets)
    world.do(SetRoom(9, (1, 3)), Play(2, (Music("default"),), stream=2), StopPlay(1))
    world.run(0.5)
    ann.press("4")
    world.run(0.02 * packets)
    world.do(SetRoom(10, (1, 2)), Play(3, (Music("default"),), stream=3), StopPlay(2))
    world.run(1.0)
    assert codes(ben) == codes(cat) == "4"
    assert world.digits == [(1, "4", "rfc4733")] * 2
    assert ben.level(500.0) > 7000


@pytest.mark.parametrize("packets", range(1, 9))
def test_whom_a_digit_leads_to_is_not_passed_its_end_on_another_clock(packets: int) -> None:
    """The relay has no number for it, and mixes because of it."""
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    cat = world.phone(PCMU, 900.0, formats=(PCMU, EVENTS_48))
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("4")
    world.run(0.02 * packets)
    world.engine.bridge(1, 3)
    world.run(0.5)
    ann.press("7")
    world.run(0.5)
    assert received(cat, EVENTS_48) == codes(cat, EVENTS_48) == "7"
    assert codes(ben) == "4"


@pytest.mark.parametrize("third", [PCMU, PCMA], ids=["relayed", "mixed"])
@pytest.mark.parametrize("packets", [*range(1, 9), 20])
def test_whom_a_digit_leads_to_is_not_passed_it_as_a_tone(third: Format, packets: int) -> None:
    """But the next one. 20 packets: all is over, as a check of the measure."""
    world = World(studio())
    ann = world.phone(PCMU)
    world.phone(PCMU)
    cat = world.phone(third, formats=(third,))
    ann.sound = np.zeros(8000, np.int16)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("4")
    world.run(0.02 * packets)
    world.engine.bridge(1, 3)
    world.run(0.6)
    assert tone_level(cat.heard(), 8000, 770.0) < 10
    ann.press("5")
    world.run(0.6)
    assert tone_level(cat.heard()[-4800:], 8000, 770.0) > 500


@pytest.mark.parametrize("packets", range(1, 9))
def test_a_digit_is_one_where_its_telephone_moves_meanwhile(packets: int) -> None:
    """A re-INVITE with another address: the relay looks at the next packet as at the first of a source."""
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("4")
    world.run(0.02 * packets)
    ann.address = sockaddr(HOST, 4444)
    world.configure(ann, remote=MediaAddress(HOST, 4444, 4445))
    world.run(0.5)
    assert received(ben) == codes(ben) == "4"
    assert ben.digits()[0][2] == 800
    assert not ben.gaps()
    assert max(map(abs, ben.stamp_errors())) <= 0.021


@pytest.mark.parametrize("third", [PCMU, PCMA], ids=["relayed", "mixed"])
@pytest.mark.parametrize("packets", range(1, 22))
def test_of_two_digits_in_a_row_each_goes_to_whom_it_began_with(packets: int, third: Format) -> None:
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    cat = world.phone(third, 900.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("4")
    ann.press("7")
    world.run(0.02 * packets)
    world.engine.bridge(1, 3)
    world.run(0.7)
    ann.press("8")
    world.run(0.5)
    assert codes(ben) + codes(cat) == "478"
    assert received(cat) == codes(cat)
    assert codes(cat).endswith("8")
    assert world.digits == [(1, digit, "rfc4733") for digit in "478"]


def test_who_has_the_row_of_one_that_is_gone_is_not_passed_its_digit() -> None:
    world = World(studio())
    ann, _ = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("4")
    world.run(0.06)
    world.engine.close(2)
    cat = world.phone(PCMU, 900.0)
    world.engine.bridge(1, 3)
    world.run(0.5)
    assert not codes(cat)
    assert cat.level(500.0) > 7000


def test_a_digit_whose_first_packets_are_lost_is_none_of_the_one_before() -> None:
    """As a tone: what is heard of it first, the end of the other, tells of both."""
    world = World(studio())
    ann, ben = world.phone(PCMU), world.phone(PCMA, formats=(PCMA,))
    cat = world.phone(PCMA, formats=(PCMA,))
    ann.sound = np.zeros(8000, np.int16)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("4", packets=3)
    world.run(0.06)
    ann.event.clear()  # its end is lost
    world.engine.bridge(1, 3)
    ann.press("5")
    world.run(0.6)
    assert tone_level(cat.heard(), 8000, 1209.0) < 100, "no 4"
    assert tone_level(cat.heard()[-4800:], 8000, 1336.0) > 500, "but 5"
    assert not ben.digits()
    assert world.digits == [(1, "4", "rfc4733"), (1, "5", "rfc4733")]


def test_two_digits_that_come_at_once_are_two() -> None:
    """After a gap in the network: of the first its end alone, of the second all."""
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    ann.press("4")
    for _ in range(7):
        ann.packet()
    last = ann.packet()
    ann.press("7")
    for packet in (last, ann.packet()):
        world.send(ann, packet)
    world.run(0.5)
    assert received(ben) == codes(ben) == "47"

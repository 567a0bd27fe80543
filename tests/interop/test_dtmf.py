"""Digits as telephone-events (RFC 4733), judged on the wire by Wireshark's dissector: what one end sends, the other
gets, under the payload type that it asked for."""

from __future__ import annotations

from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from harness.audio import Tone
from harness.baresip import Phone
from harness.capture import Capture, EventPacket
from harness.cases import CALLED
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import RTP_PORTS, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

LOW, HIGH = Tone(440.0, -12.0), Tone(1000.0, -18.0)
# RFC 4733 table 3: events 0 to 15 in this order.
DIGITS = "0123456789*#ABCD"


class Digit(NamedTuple):
    """An event with all its packets."""

    digit: str
    durations: tuple[int, ...]  # of its packets, in timestamp units (1/8000 s)
    ends: int  # packets with the end bit
    marked: bool  # the first packet has the marker bit, as RFC 4733 2.5.1.2 wants it


def digits(packets: list[EventPacket]) -> list[Digit]:
    """Packets of one event have one timestamp (RFC 4733 2.2.1)."""
    found = []
    for _, group in groupby(packets, key=lambda packet: packet.timestamp):
        event = list(group)
        assert len({packet.event for packet in event}) == 1, event
        assert not any(packet.marker for packet in event[1:]), event
        durations = tuple(packet.duration for packet in event)
        assert list(durations) == sorted(durations), event
        found.append(Digit(DIGITS[event[0].event], durations, sum(packet.end for packet in event), event[0].marker))
    return found


def spacing(packets: list[EventPacket]) -> list[int]:
    """Between the beginnings of the events, in timestamp units."""
    stamps = list(dict.fromkeys(packet.timestamp for packet in packets))
    return [(later - earlier) % 2**32 for earlier, later in pairwise(stamps)]


class Passage(NamedTuple):
    """The events of one direction: as the switch got them, and as it sent them on."""

    came: list[EventPacket]
    went: list[EventPacket]

    def check(self, expected: str, types: tuple[int, int]) -> list[Digit]:
        """The same digits on both legs, packet for packet, each leg with its payload type."""
        assert "".join(digit.digit for digit in digits(self.came)) == expected
        assert digits(self.went) == digits(self.came)
        assert spacing(self.went) == spacing(self.came)
        assert ({p.payload_type for p in self.came}, {p.payload_type for p in self.went}) == ({types[0]}, {types[1]})
        return digits(self.went)


def passage(capture: Capture, switch: Switch, sender: range, receiver: range) -> Passage:
    """From the RTP ports of the one end to those of the other."""
    ours = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)
    packets = capture.telephone_events(ours, (96, 101))
    return Passage(
        [packet for packet in packets if packet.source in sender and packet.destination in ours],
        [packet for packet in packets if packet.source in ours and packet.destination in receiver],
    )


def rtp_capture(directory: Path, switch: Switch) -> Capture:
    last = switch.first_rtp_port + RTP_PORTS - 1
    return Capture(directory / "digits.pcapng", f"udp portrange {switch.first_rtp_port}-{last}")


def digits_heard(phone: Phone, count: int) -> str:
    """What a phone says it was sent, once there are so many."""
    wait_for(lambda: len(phone.all_events("CALL_DTMF_START")) >= count, f"{count} digits at {phone.user}")
    return "".join(str(event["param"]) for event in phone.all_events("CALL_DTMF_START"))


def talk_on(switch: Switch, seconds: float) -> None:
    """Lets the last event end: a phone tells when it hears one begin."""
    until = (switch.status().calls[0].talking or 0) + seconds
    wait_for(lambda: (switch.status().calls[0].talking or 0) >= until, f"{seconds:g} s more of talk")


def test_digits_pass_between_two_phones_both_ways(tmp_path: Path) -> None:
    """Keys pressed on one telephone are heard by the other, and the other way round, with audio before and after."""
    switch = Switch(tmp_path)
    with (
        rtp_capture(tmp_path, switch) as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, HIGH) as ben,
    ):
        anna.call("102")
        for phone in (anna, ben):
            phone.wait_event("CALL_ESTABLISHED")
            phone.wait_event("CALL_RTPESTAB")
        anna.press("sndcode", "1593#")
        assert digits_heard(ben, 5) == "1593#"
        ben.press("sndcode", "*0A")
        assert digits_heard(anna, 3) == "*0A"
        talk_on(switch, 0.5)
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
    for sender, receiver, expected in ((anna, ben, "1593#"), (ben, anna, "*0A")):
        there = passage(capture, switch, sender.rtp_ports, receiver.rtp_ports).check(expected, (101, 101))
        for digit in there:
            # RFC 4733 2.5.1.4: "The final packet for each event ... SHOULD be sent a total of three times".
            assert digit.marked
            assert digit.ends == 3
            assert len(set(digit.durations[-3:])) == 1
            assert digit.durations[-1] >= 320


def test_each_leg_has_a_payload_type_of_its_own(tmp_path: Path) -> None:
    """The telephone calls telephone-events 101, the trunk wants them as 96: both are obeyed, both ways."""
    port, media = free_ports(1, CALLED), free_ports(4, CALLED, even=True)
    switch = Switch(tmp_path, routes=[f"_9X.={CALLED}:{port}"])
    with (
        rtp_capture(tmp_path, switch) as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW) as anna,
    ):
        called = Sipp(tmp_path, "uas_dtmf", (CALLED, port), media_port=media, receive_timeout=30)
        anna.call("900")
        anna.wait_event("CALL_ESTABLISHED")
        assert digits_heard(anna, 2) == "7#"
        anna.press("sndcode", "28D")
        # baresip's digits take 0.2 s each.
        talk_on(switch, 1.5)
        anna.hang_up()
        called.finish()
        switch.wait_calls(0)
    trunk = range(media, media + 4)
    for digit in passage(capture, switch, anna.rtp_ports, trunk).check("28D", (101, 96)):
        assert digit.ends == 3
    # One event of the capture: 280 ms in steps of 40, the last packet three times with one sequence number.
    steps = (0, 320, 640, 960, 1280, 1600, 1920, 2240, 2240, 2240)
    assert passage(capture, switch, trunk, anna.rtp_ports).check("7#", (101, 101)) == [
        Digit("7", steps, 3, True),
        Digit("#", steps, 3, True),
    ]

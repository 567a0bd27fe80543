"""Digits as telephone-events (RFC 4733), judged on the wire by Wireshark's dissector: what one end sends, the other
gets, under the payload type that it asked for; and as tones or SIP INFO where the ends differ."""

from __future__ import annotations

import wave
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from harness.audio import RATE, Tone, decode_alaw, read_wave
from harness.baresip import Phone
from harness.capture import Capture, EventPacket
from harness.cases import CALLED
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import FOR_SIPP, RTP_PORTS, Switch
from harness.waiting import wait_for

from media.detect.dtmf import DtmfDetector

pytestmark = pytest.mark.interop

LOW, HIGH = Tone(440.0, -12.0), Tone(1000.0, -18.0)
SILENT = Tone(500.0, -90.0)
LOW_TONES, HIGH_TONES = (697, 770, 852, 941), (1209, 1336, 1477)
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


def tones_in(samples: npt.NDArray[np.float64]) -> str:
    """The digits that are heard in audio of 8000 Hz."""
    detector, row = DtmfDetector(), np.array([0])
    detector.reset(0)
    found = ""
    for frame in (samples[: len(samples) // 160 * 160] * 32767).astype(np.float32).reshape(-1, 1, 160):
        found += "".join(digit for _, digit, _ in detector.process(row, frame))
    return found


@pytest.mark.parametrize("workers", [0, 1])
def test_a_phone_that_takes_tones_hears_events_and_its_tones_become_events(tmp_path: Path, workers: int) -> None:
    """101 sends and gets telephone-events; 102 has none, and its owner says that its digits are tones."""
    extra = FOR_SIPP + f'media: {{workers: {workers}}}\nextensions:\n  "102": {{dtmf: inband}}\n'
    microphone = tmp_path / "keys.wav"
    write_keys(microphone, "2580", 3.0)
    switch = Switch(tmp_path, extra=extra)
    with (
        rtp_capture(tmp_path, switch) as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, SILENT) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, SILENT, microphone=microphone) as ben,
    ):
        anna.call("102")
        for phone in (anna, ben):
            phone.wait_event("CALL_ESTABLISHED")
            phone.wait_event("CALL_RTPESTAB")
        anna.press("sndcode", "1593#")
        assert digits_heard(anna, 4) == "2580"
        talk_on(switch, 1.5)
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
    assert tones_in(read_wave(ben.heard())) == "1593#"
    there = passage(capture, switch, ben.rtp_ports, anna.rtp_ports)
    assert there.came == []
    assert "".join(digit.digit for digit in digits(there.went)) == "2580"
    assert all(digit.ends == 3 and digit.marked for digit in digits(there.went))


def write_keys(path: Path, keys: str, at: float) -> None:
    """A file of 8000 Hz in which keys are pressed from that second on, 0.12 s each, with 0.2 s between."""
    samples = np.zeros(int((at + 30) * RATE))
    time = np.arange(int(0.12 * RATE)) / RATE
    for index, key in enumerate(keys):
        low, high = LOW_TONES["147*2580369#".index(key) % 4], HIGH_TONES["147*2580369#".index(key) // 4]
        first = int((at + index * 0.32) * RATE)
        samples[first : first + len(time)] = 0.2 * (np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())


def test_an_end_without_telephone_events_hears_tones(tmp_path: Path) -> None:
    """The trunk's answer names PCMA alone; what goes to it is read off the wire."""
    port, media = free_ports(1, CALLED), free_ports(4, CALLED, even=True)
    switch = Switch(tmp_path, routes=[f"_9X.={CALLED}:{port}"])
    with (
        rtp_capture(tmp_path, switch) as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, SILENT) as anna,
    ):
        called = Sipp(tmp_path, "uas_no_events", (CALLED, port), media_port=media, receive_timeout=30)
        anna.call("900")
        anna.wait_event("CALL_ESTABLISHED")
        switch.wait_calls(1)
        talk_on(switch, 0.5)
        anna.press("sndcode", "28D")
        talk_on(switch, 2.0)
        anna.hang_up()
        called.finish()
        switch.wait_calls(0)
    ours = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)
    [packets] = [packets for (_, to), packets in capture.audio_from(ours).items() if to == media]
    assert tones_in(np.concatenate([decode_alaw(payload) for _, payload in packets])) == "28D"


def test_digits_between_sip_info_and_telephone_events(tmp_path: Path) -> None:
    """The telephone's events reach the trunk as SIP INFO, the trunk's INFO the telephone as events."""
    port, media = free_ports(1, CALLED), free_ports(4, CALLED, even=True)
    switch = Switch(tmp_path, routes=[f"_9X.={CALLED}:{port}"])
    switch.replace("trunks.yaml", "    options_interval", "    dtmf: info\n    options_interval")
    with (
        rtp_capture(tmp_path, switch) as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW) as anna,
    ):
        called = Sipp(tmp_path, "uas_info", (CALLED, port), media_port=media, receive_timeout=30)
        anna.call("900")
        anna.wait_event("CALL_ESTABLISHED")
        anna.press("sndcode", "4*")
        assert digits_heard(anna, 2) == "7#"
        talk_on(switch, 0.5)
        anna.hang_up()
        called.finish()
        switch.wait_calls(0)
    went = digits(passage(capture, switch, range(media, media + 4), anna.rtp_ports).went)
    assert [(digit.digit, digit.ends, digit.marked) for digit in went] == [("7", 3, True), ("#", 3, True)]
    # Durations as INFO has them, in milliseconds, and here in timestamp units.
    assert [digit.durations[-1] for digit in went] == [120 * 8, 200 * 8]
    assert passage(capture, switch, anna.rtp_ports, range(media, media + 4)).went == []

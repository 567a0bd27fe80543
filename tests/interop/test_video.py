"""Video through the switch: packet by packet between two ends of our own, and between two baresips with VP8."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import av
import pytest
from harness.audio import Tone
from harness.baresip import Phone
from harness.capture import Capture
from harness.cases import CALLED, CALLERS
from harness.ears import wait_hears
from harness.evidence import Traces
from harness.ports import free_ports
from harness.switch import FOR_SIPP, RTP_PORTS, Switch
from harness.waiting import wait_for
from harness.watchers import Watching

pytestmark = pytest.mark.interop

PICTURES, PARTS = 60, 12

TONES = {"101": Tone(440.0, -12.0), "102": Tone(1000.0, -18.0), "103": Tone(1400.0, -18.0)}
PHONES = """
extensions:
  "101": {video: true}
  "102": {video: true, groups: [sales]}
  "103": {supervises: [sales]}
defaults: {extension: {record: always}}
"""


def switch_with_video(directory: Path, workers: int, called_port: int) -> Switch:
    """Who is called hears music on hold."""
    route = f"_9X.={CALLED}:{called_port}"
    switch = Switch(directory, trunks=[CALLERS], routes=[route], extra=FOR_SIPP + f"media: {{workers: {workers}}}\n")
    switch.replace("trunks.yaml", "  peers:\n", "  peers:\n    video: true\n")
    switch.replace("trunks.yaml", "  outside:\n", "  outside:\n    video: true\n    music_on_hold: default\n")
    return switch


def both_see(watching: Watching) -> None:
    """Pictures both ways; nothing is changed but the number of the payload type."""
    for sender, receiver in ((watching.caller, watching.called), (watching.called, watching.caller)):
        # The answer may be here before a media worker has heard of it.
        wait_for(lambda: list(sender.picture(1)) and not receiver.nothing_seen(0.02), "video passes")  # noqa: B023
        while not receiver.nothing_seen(0.1):
            pass
        for _ in range(PICTURES):
            for data in list(sender.picture(PARTS)):
                came = receiver.seen()
                assert came[1] == data[1] & 0x80 | receiver.number
                assert came[:1] + came[2:] == data[:1] + data[2:]
        asked = receiver.ask_picture(0x20000 + sender.ssrc)
        assert sender.reported() == asked
    watching.caller.hear(watching.called)
    watching.called.hear(watching.caller)


@pytest.mark.parametrize("workers", [0, 1])
def test_every_packet_and_every_request_for_a_picture_arrives_as_it_is(tmp_path: Path, workers: int) -> None:
    """Then video is dropped by a re-INVITE, brought back, and held."""
    called = (CALLED, free_ports(1, CALLED))
    switch = switch_with_video(tmp_path, workers, called[1])
    last = switch.first_rtp_port + RTP_PORTS - 1
    packets = f"port {switch.port} or udp portrange {switch.first_rtp_port}-{last}"
    with Capture(tmp_path / "video.pcapng", packets) as capture, switch:
        callers = (CALLERS, free_ports(1, CALLERS))
        with Watching((switch.host, switch.port), callers, called) as watching:
            ann, ben = watching.caller, watching.called
            assert "m=video" in ben.heard
            assert f"a=rtcp-fb:{ann.number} nack pli\r\n" in ben.heard
            assert "b=AS:2000\r\n" in ann.heard
            both_see(watching)

            ann.invite(ann.sdp(video=""))
            assert "m=video 0 " in ben.asked()
            ben.answer(ben.sdp(video=""))
            assert "m=video 0 " in ann.accepted()
            ann.hear(ben)

            ben.invite(ben.sdp())
            assert ann.asked().count("m=video 0 ") == 0
            ann.answer(ann.sdp())
            ben.accepted()
            both_see(watching)

            ann.invite(ann.sdp(video="sendonly", direction="sendonly"))
            assert "a=inactive" in ann.accepted().partition("m=video")[2]
            assert ben.asked_nothing()
            list(ann.picture(3))
            assert ben.nothing_seen()
            ann.invite(ann.sdp())
            assert "a=sendrecv" in ann.accepted().partition("m=video")[2]
            both_see(watching)
            ann.hang_up()
        switch.wait_calls(0)
    counts = capture.check(switch.port, (switch.first_rtp_port, last))
    # Three times both ways, in and out; dumpcap may be stopped before it has written the last ones.
    assert counts["rtp"] >= 0.9 * 3 * 2 * 2 * PICTURES * PARTS
    asked = capture.requests_for_pictures(range(switch.first_rtp_port, last + 1))
    assert set(asked) == {0x20001, 0x20002}
    assert min(asked.values()) >= 2 * 2


def test_two_phones_see_each_other(tmp_path: Path) -> None:
    """baresip with VP8 of a source that needs no camera: what leaves for one is what came from the other, and it can be
    decoded. The audio is recorded."""
    switch = Switch(tmp_path, extra=FOR_SIPP + PHONES)
    ports = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)
    packets = f"port {switch.port} or udp portrange {ports.start}-{ports.stop - 1}"
    with (
        Capture(tmp_path / "video.pcapng", packets) as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, TONES["101"], video=True) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, TONES["102"], video=True) as ben,
    ):
        anna.call("102")
        anna.wait_event("CALL_ESTABLISHED")
        ben.wait_event("CALL_ESTABLISHED")
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 3.0, "three seconds of talk")
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
    assert Traces.of(switch, record, TONES) == Traces("ring talk", "101 102", "101", "102")
    streams = {at: packets for at, packets in capture.rtp_of(ports).items() if packets[0][1] & 0x7F >= 96}
    inward = {at: packets for at, packets in streams.items() if at[1] in ports}
    assert len(inward) == 2
    for (came_from, _), came in inward.items():
        receiver = ben if came_from in anna.rtp_ports else anna
        [left] = [packets for at, packets in streams.items() if at[0] in ports and at[1] in receiver.rtp_ports]
        # The first ones may come before the answer that says where from, the last ones when the call is over.
        first = came.index(left[0])
        assert left == came[first : first + len(left)]
        assert first <= 4
        assert len(came) - len(left) <= 6
        assert decoded(left) >= 15


def test_video_is_dropped_while_three_talk(tmp_path: Path) -> None:
    """No video leaves the switch while 103 has barged in, and then the two see each other again. Whoever consults is
    told that there is none, and so there is none until either offers it, in a conference or not."""
    switch = Switch(tmp_path, extra=FOR_SIPP + PHONES)
    ports = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)
    sent = f"udp src portrange {ports.start}-{ports.stop - 1}"
    shown: list[int] = []

    def look() -> None:
        """To how many telephones there is video."""
        with Capture(tmp_path / f"{len(shown)}.pcapng", sent) as capture:
            begun = switch.status().calls[0].age
            wait_for(lambda: switch.status().calls[0].age >= begun + 0.7, "some of it")
        streams = [packets for packets in capture.rtp_of(ports).values() if packets[0][1] & 0x7F >= 96]
        shown.append(sum(len(packets) > 5 for packets in streams))

    def do(*words: str) -> None:
        switch.run_here("call", *words, "--config", str(switch.config))

    with switch, ExitStack() as stack:
        anna, ben, cyd = (
            stack.enter_context(Phone(tmp_path, user, switch.password(user), switch.address, tone, video=user != "103"))
            for user, tone in TONES.items()
        )
        anna.call("102")
        wait_hears(ben, {"101"}, TONES)
        look()
        do("barge", "102", "--by", "103")
        wait_hears(ben, {"101", "103"}, TONES)
        look()
        cyd.hang_up()
        wait_hears(ben, {"101"}, TONES)
        look()
        do("consult", "102", "103")
        wait_hears(ben, {"103"}, TONES)
        do("conference", "102")
        wait_hears(ben, {"101", "103"}, TONES)
        look()
        do("drop", "102", "103")
        wait_hears(ben, {"101"}, TONES)
        look()
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
    assert shown == [2, 0, 2, 0, 0]
    # Whoever barges in, consults or is consulted is on the channel of those who are called.
    traces, legs = Traces.of(switch, record, TONES), "101 102 103 103"
    others = "102 102+103 102 102+103 102"
    assert traces == Traces("ring talk consult conference talk", legs, "101 101", others)


def test_a_secure_phone_and_a_plain_one_see_each_other(tmp_path: Path) -> None:
    """SRTP with keys of its own for the video (SDES): what comes sealed from one can be decoded where it leaves for the
    other, and what goes to the secure one is sealed; it would say in its log what it can't decipher."""
    lines = {
        "101": "{video: true}",
        "102": "{video: true, srtp: required, srtp_over_insecure_signalling: true}",
    }
    extensions = "".join([f'  "{number}": {line}\n' for number, line in lines.items()])
    switch = Switch(tmp_path, extra=FOR_SIPP + "extensions:\n" + extensions)
    ports = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)
    tones = Tone(440.0, -12.0), Tone(1000.0, -18.0)
    packets = f"port {switch.port} or udp portrange {ports.start}-{ports.stop - 1}"
    with (
        Capture(tmp_path / "sealed.pcapng", packets) as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, tones[0], video=True) as anna,
        Phone(
            tmp_path, "102", switch.password("102"), switch.address, tones[1], video=True, encryption="srtp-mand"
        ) as ben,
    ):
        anna.call("102")
        ben.wait_event("CALL_ESTABLISHED")
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 3.0, "three seconds of talk")
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        assert "decrypt" not in ben.log()
        assert "inline:" not in switch.log_file.read_text()
    streams = {at: packets for at, packets in capture.rtp_of(ports).items() if packets[0][1] & 0x7F >= 96}
    [to_anna] = [packets for at, packets in streams.items() if at[0] in ports and at[1] in anna.rtp_ports]
    [to_ben] = [packets for at, packets in streams.items() if at[0] in ports and at[1] in ben.rtp_ports]
    [from_anna] = [packets for at, packets in streams.items() if at[0] in anna.rtp_ports]
    assert decoded(to_anna) >= 15
    plain = {packet[2:4]: packet for packet in from_anna}
    for sealed in to_ben:
        # RFC 3711: a tag of ten octets behind a payload of the same length, and another one.
        packet = plain[sealed[2:4]]
        assert len(sealed) == len(packet) + 10
        assert sealed[:12] == packet[:12]
        assert sealed[12:-10] != packet[12:]


def decoded(packets: list[bytes]) -> int:
    """How many pictures of VP8 (RFC 7741) these RTP packets hold from the first key picture on, each decoded whole."""
    decoder = av.CodecContext.create("vp8", "r")
    count = 0
    picture = b""
    for packet in packets:
        assert packet[0] == 0x80
        payload = packet[12:]
        # 4.2: X, then by its octet I (one or two octets), L, and T or K, one each.
        at = 1
        if payload[0] & 0x80:
            present = payload[1]
            at = 2
            if present & 0x80:
                at += 2 if payload[at] & 0x80 else 1
            at += bool(present & 0x40) + bool(present & 0x30)
        picture += payload[at:]
        if packet[1] & 0x80:
            # RFC 6386 9.1: the first bit of a key picture is 0. Whoever has missed the first one asks for another.
            if count or not picture[0] & 1:
                for frame in decoder.decode(av.Packet(picture)):
                    assert (frame.width, frame.height) == (320, 240)
                    count += 1
            picture = b""
    return count

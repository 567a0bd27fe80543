"""Video in the engine: relayed as it comes, with the reports beside it, and never anything else."""

from __future__ import annotations

import random
import struct

import msgspec
import numpy as np
import pytest
from pylibsrtp import Policy, Session

from media.commands import MediaAddress, StreamClosed, StreamKey, StreamSettings, StreamStats
from media.engine import MediaEngine
from rtp.address import FAMILY_V4, sockaddr
from rtp.columns import Slots
from rtp.ports import PortPool
from rtp.srtp import MAX_SOURCES

A, B = "192.0.2.1", "192.0.2.2"
RTP, RTCP = 1, 2
H264, VP8 = "h264;1;constrained-baseline", "vp8"
SSRC_A, SSRC_B = 0xAAAA0001, 0xBBBB0002


def packet(seq: int, stamp: int, ssrc: int = SSRC_A, number: int = 97, marker: bool = False) -> bytes:
    head = struct.pack("!BBHII", 0x80, marker << 7 | number, seq & 0xFFFF, stamp & 0xFFFFFFFF, ssrc)
    return head + bytes([seq & 0xFF]) * (900 + seq % 300)


def picture_loss(sender: int, media: int) -> bytes:
    """RFC 4585 6.3.1, alone as RFC 5506 allows it."""
    return struct.pack("!BBHII", 0x81, 206, 2, sender, media)


def generic_nack(sender: int, media: int, lost: int) -> bytes:
    """RFC 4585 6.2.1, behind the receiver report that RFC 3550 6.1 asks for."""
    report = struct.pack("!BBHI", 0x80, 201, 1, sender)
    return report + struct.pack("!BBHIIHH", 0x81, 205, 3, sender, media, lost, 0)


class Screen:
    """Two video streams that are joined, A's H.264 under 97, B's under 120; VP8 is A's alone."""

    def __init__(self, **changes: object) -> None:
        self.now = 1000.0
        self.engine = MediaEngine(random.Random(9), self.now, 1_700_000_000.0)
        self.slots = Slots(128)
        self.settings = {
            1: StreamSettings(
                remote=MediaAddress(A, 4002, 4003), formats=((97, H264, 90000), (98, VP8, 90000)), as_is=True
            ),
            2: StreamSettings(remote=MediaAddress(B, 5002, 5003), formats=((120, H264, 90000),), as_is=True),
        }
        for stream in (1, 2):
            self.engine.open(stream, RTP, RTCP, FAMILY_V4)
            self.configure(stream, **changes)
        self.engine.bridge(1, 2)

    def configure(self, stream: int, **changes: object) -> None:
        self.settings[stream] = msgspec.structs.replace(self.settings[stream], **changes)
        self.engine.configure(stream, self.settings[stream], self.now)

    def batch(self, *packets: tuple[str, int, bytes], socket: int = RTP) -> list[tuple[int, bytes]]:
        """(stream, packet) of what goes out."""
        self.slots.clear()
        for host, port, data in packets:
            self.slots.put(data, sockaddr(host, port), socket, socket == RTCP)
        outgoing = self.engine.packets(self.slots, self.now)
        peers = self.engine.latch.peers
        out = zip(outgoing.slots.tolist(), outgoing.targets.tolist(), outgoing.lengths.tolist(), strict=True)
        sent = [(peers[row].stream, self.slots.data[slot, :length].tobytes()) for slot, row, length in out]
        self.now += 0.01
        return sent

    def report(self, host: str, port: int, data: bytes, socket: int = RTCP) -> list[tuple[int, bytes]]:
        """(stream, report) of what is passed on."""
        assert self.batch((host, port, data), socket=socket) == []
        passed = self.engine.passed
        rows, lengths = passed.rows[: passed.count].tolist(), passed.lengths[: passed.count].tolist()
        out = enumerate(zip(rows, lengths, strict=True))
        found = [(self.engine.latch.peers[row].stream, passed.data[i, :size].tobytes()) for i, (row, size) in out]
        passed.count = 0
        return found

    def closed(self, stream: int) -> StreamStats:
        self.engine.close(stream)
        event = self.engine.events.pop()
        assert isinstance(event, StreamClosed)
        return event.stats


def test_packets_pass_as_they_come_but_for_their_number() -> None:
    screen = Screen()
    seq, stamp = 65500, 0xFFFFFF00
    for picture in range(30):
        for part in range(4):
            sent = packet(seq, stamp + 3000 * picture, marker=part == 3)
            expected = bytes([sent[0], sent[1] & 0x80 | 120]) + sent[2:]
            assert screen.batch((A, 4002, sent)) == [(2, expected)]
            seq += 1
    # An answer comes the other way, with an SSRC and numbers of its own.
    back = packet(7, 1, SSRC_B, 120, marker=True)
    assert screen.batch((B, 5002, back)) == [(1, bytes([0x80, 0x80 | 97]) + back[2:])]
    stats = screen.closed(2)
    assert (stats.packets_sent, stats.packets_received, stats.local_ssrc) == (120, 1, SSRC_A)
    assert screen.closed(1).lost == 0


def test_what_the_other_side_has_no_codec_for_is_dropped() -> None:
    screen = Screen()
    assert screen.batch((A, 4002, packet(1, 0, number=98))) == []
    assert screen.closed(1).unknown_payload == 1


def test_header_extensions_and_padding_pass() -> None:
    screen = Screen()
    plain = packet(1, 0)
    screen.batch((A, 4002, plain))
    extended = bytes([0x90]) + packet(2, 0)[1:12] + struct.pack("!HHI", 0xBEDE, 1, 0x10203040) + bytes(50)
    assert screen.batch((A, 4002, extended)) == [(2, extended[:1] + bytes([120]) + extended[2:])]


def test_a_sender_that_begins_anew_or_is_replaced_is_passed_on_as_it_is() -> None:
    """No marker is set, no number shifted: a decoder sees what the other end made."""
    screen = Screen()
    screen.batch((A, 4002, packet(100, 0)))
    screen.now += 1.0
    other = packet(3000, 77, 0xCCCC)
    assert screen.batch((A, 4002, other)) == [(2, other[:1] + bytes([120]) + other[2:])]
    screen.engine.unbridge(1)
    assert screen.batch((A, 4002, packet(3001, 78, 0xCCCC))) == []
    screen.engine.bridge(1, 2)
    late = packet(3002, 79, 0xCCCC)
    assert screen.batch((A, 4002, late)) == [(2, late[:1] + bytes([120]) + late[2:])]


@pytest.mark.parametrize("data", [picture_loss(SSRC_B, SSRC_A), generic_nack(SSRC_B, SSRC_A, 17), picture_loss(1, 2)])
def test_rfc_4585_feedback_reaches_the_sender_untouched(data: bytes) -> None:
    """Whatever SSRC it comes under: an end that only watches has none of its own, and libraries write 1."""
    screen = Screen()
    screen.batch((A, 4002, packet(1, 0)), (B, 5002, packet(9, 0, SSRC_B, 120)))
    assert screen.report(B, 5003, data) == [(1, data)]
    assert screen.report(A, 4003, picture_loss(SSRC_A, SSRC_B)) == [(2, picture_loss(SSRC_A, SSRC_B))]
    assert screen.closed(2).rtcp_received == 1


def test_reports_of_others_and_broken_ones_are_not_passed_on() -> None:
    screen = Screen()
    screen.batch((A, 4002, packet(1, 0)), (B, 5002, packet(9, 0, SSRC_B, 120)))
    assert screen.report("192.0.2.66", 5003, picture_loss(SSRC_B, SSRC_A)) == []
    assert screen.report(B, 5003, picture_loss(SSRC_B, SSRC_A)[:-4]) == []
    assert screen.engine.counters["stray_rtcp"] == screen.engine.counters["bad_rtcp"] == 1


def test_reports_share_the_port_where_that_was_agreed() -> None:
    screen = Screen(rtcp_mux=True)
    screen.batch((A, 4002, packet(1, 0)))
    data = picture_loss(SSRC_B, SSRC_A)
    assert screen.report(B, 5002, data, socket=RTP) == [(1, data)]
    table = screen.engine.table
    row = next(row for row, peer in screen.engine.latch.peers.items() if peer.stream == 1)
    assert table.control_address[row].tobytes() == sockaddr(A, 4002)


def test_video_on_hold_passes_neither_packets_nor_reports() -> None:
    screen = Screen()
    screen.batch((A, 4002, packet(1, 0)), (B, 5002, packet(9, 0, SSRC_B, 120)))
    screen.configure(1, send=False, receive=False)
    assert screen.batch((A, 4002, packet(2, 0)), (B, 5002, packet(10, 0, SSRC_B, 120))) == []
    assert screen.report(B, 5003, picture_loss(SSRC_B, SSRC_A)) == []
    # Seen from one side alone: what asks for a picture still comes to whoever sends.
    screen.configure(1, receive=True)
    assert len(screen.batch((A, 4002, packet(3, 0)), (B, 5002, packet(11, 0, SSRC_B, 120)))) == 1
    assert screen.report(B, 5003, picture_loss(SSRC_B, SSRC_A)) == [(1, picture_loss(SSRC_B, SSRC_A))]


def test_a_phone_behind_nat_is_latched_and_its_reports_answered_where_they_come_from() -> None:
    screen = Screen()
    screen.configure(2, remote=MediaAddress("10.0.0.2", 5002, 5003), nat=True, signalled_host=B)
    screen.batch((A, 4002, packet(1, 0)))
    assert len(screen.batch((B, 61000, packet(9, 0, SSRC_B, 120)))) == 1
    assert screen.report(B, 61777, picture_loss(SSRC_B, SSRC_A)) == [(1, picture_loss(SSRC_B, SSRC_A))]
    row = next(row for row, peer in screen.engine.latch.peers.items() if peer.stream == 2)
    assert screen.engine.table.control_address[row].tobytes() == sockaddr(B, 61777)
    assert screen.engine.table.address[row].tobytes() == sockaddr(B, 61000)


def test_no_reports_of_ours_and_no_scores() -> None:
    screen = Screen()
    for seq in range(50):
        screen.batch((A, 4002, packet(seq, 3000 * seq)), (B, 5002, packet(seq, 3000 * seq, SSRC_B, 120)))
    for _ in range(60):
        screen.now += 0.5
        assert screen.engine.tick(screen.now).count == 0
    assert screen.engine.events == []
    stats = screen.closed(1)
    assert (stats.mos, stats.rtcp_sent) == (None, 0)


def test_audio_beside_it_keeps_its_ssrc_though_the_peer_uses_it_for_video() -> None:
    """An SSRC of ours on an audio row, used by a peer's video: reports about either find their way, rows are freed."""
    screen = Screen()
    engine = screen.engine
    engine.open(3, 3, 4, FAMILY_V4)
    audio = StreamSettings(remote=MediaAddress(A, 4000, 4001), formats=((0, "PCMU", 8000),))
    engine.configure(3, audio, screen.now)
    own = engine.stats(3).local_ssrc
    screen.batch((A, 4002, packet(1, 0, own)))
    assert engine.stats(2).local_ssrc == own
    engine.close(2)
    block = struct.pack("!IIIIII", own, 0, 5, 0, 0, 0)
    screen.batch((A, 4001, struct.pack("!BBHI", 0x81, 201, 7, 5) + block), socket=4)
    assert engine.stats(3).rtcp_received == 1
    engine.close(1)
    engine.close(3)
    assert len(engine) == 0
    assert engine._by_ssrc == {}


KEYS = {"in": bytes(range(30)), "out": bytes(range(100, 130))}
SUITE = "AES_CM_128_HMAC_SHA1_80"


def test_srtp_seals_video_and_reports_under_their_own_ssrcs() -> None:
    screen = Screen()
    screen.configure(2, crypto_in=StreamKey(SUITE, KEYS["in"]), crypto_out=StreamKey(SUITE, KEYS["out"]))
    theirs = Session(Policy(KEYS["in"], Policy.SSRC_ANY_OUTBOUND))
    ours = Session(Policy(KEYS["out"], Policy.SSRC_ANY_INBOUND))
    for seq in range(5):
        sent = packet(seq, 3000 * seq, marker=True)
        [(stream, sealed)] = screen.batch((A, 4002, sent))
        assert stream == 2
        assert ours.unprotect(sealed) == bytes([0x80, 0x80 | 120]) + sent[2:]
    back = packet(9, 5, SSRC_B, 120)
    assert screen.batch((B, 5002, theirs.protect(back))) == [(1, bytes([0x80, 97]) + back[2:])]
    asked = generic_nack(SSRC_B, SSRC_A, 3)
    assert screen.report(B, 5003, theirs.protect_rtcp(asked)) == [(1, asked)]
    [(stream, sealed)] = screen.report(A, 4003, picture_loss(SSRC_A, SSRC_B))
    assert stream == 2
    assert ours.unprotect_rtcp(sealed) == picture_loss(SSRC_A, SSRC_B)


def test_sources_that_are_sealed_for_are_bounded() -> None:
    screen = Screen()
    screen.configure(2, crypto_in=StreamKey(SUITE, KEYS["in"]), crypto_out=StreamKey(SUITE, KEYS["out"]))
    for ssrc in range(1, 3 * MAX_SOURCES):
        assert len(screen.batch((A, 4002, packet(1, 0, ssrc)))) == 1
        screen.now += 0.1
    [context] = screen.engine.srtp._send.values()
    assert len(context._sources) == MAX_SOURCES


def test_ports_of_one_description_differ() -> None:
    pool = PortPool(10_000, 10_009, 2)
    port = pool.open(1, A, (A, 4000), nat=False)
    beside = [pool.open(stream, A, (A, 4000 + stream), False, beside=1) for stream in range(2, 6)]
    assert port not in beside
    assert np.unique(beside).size == 1

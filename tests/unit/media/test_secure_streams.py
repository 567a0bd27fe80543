"""SRTP through the whole engine: relays between plain and secure streams, what is believed of whom, latching, RTCP."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from media.commands import MediaAddress, StreamFailed, StreamKey, StreamLatched, StreamSettings
from media.engine import MediaEngine
from media.reports import REPORT_SECONDS
from rtp import rtcp
from rtp.address import FAMILY_V4, host_and_port, sockaddr
from rtp.columns import Slots
from rtp.latch import RELATCH_SILENCE
from rtp.srtp import SUITES, Srtp
from rtp.table import StreamTable

A, B, ELSEWHERE = "192.0.2.1", "192.0.2.2", "203.0.113.9"
RTP, RTCP = 1, 2
FORMATS = ((0, "PCMU", 8000),)
SUITE = "AES_CM_128_HMAC_SHA1_80"


def key(seed: int, suite: str = SUITE) -> StreamKey:
    return StreamKey(suite, random.Random(seed).randbytes(SUITES[suite].octets))


THEIRS, OURS, OTHER = key(1), key(2), key(3)


def rtp(seq: int, ssrc: int = 0xA, body: bytes = b"v" * 160, head: int = 0x80) -> bytes:
    return struct.pack("!BBHII", head, 0, seq & 0xFFFF, 160 * seq & 0xFFFFFFFF, ssrc) + body


class Far:
    """The far end of a secure stream: seals with its own keys, opens with the switch's."""

    def __init__(self, own: StreamKey = THEIRS, switch: StreamKey = OURS, ssrc: int = 0xA) -> None:
        self.table = StreamTable()
        self.table.own_ssrc[1] = ssrc
        self.srtp = Srtp(self.table)
        self.srtp.send_with(1, own.suite, own.key)
        self.srtp.receive_with(1, switch.suite, switch.key)
        self.ssrc = ssrc

    def seal(self, packet: bytes, report: bool = False) -> bytes:
        data = np.zeros((1, 1600), np.uint8)
        data[0, : len(packet)] = np.frombuffer(packet, np.uint8)
        protect = self.srtp.protect_reports if report else self.srtp.protect
        [length] = protect(data, np.array([0]), np.array([len(packet)]), np.array([1])).tolist()
        assert length
        return data[0, :length].tobytes()

    def rtp(self, seq: int, **more: int | bytes) -> bytes:
        return self.seal(rtp(seq, self.ssrc, **more))  # type: ignore[arg-type]


class Rig:
    """An engine with stream 1 of A, secure, bridged to stream 2 of B, plain."""

    def __init__(self, **changes: object) -> None:
        self.now = 1000.0
        self.engine = MediaEngine(random.Random(9), self.now, 1_700_000_000.0)
        self.slots = Slots(256)
        self.settings: dict[int, StreamSettings] = {}
        self.far = Far()
        self.stream(1, A, 4000, **({"crypto_in": THEIRS, "crypto_out": OURS} | changes))
        self.stream(2, B, 5000)
        self.engine.bridge(1, 2)

    def stream(self, stream: int, host: str, port: int, **changes: object) -> None:
        self.engine.open(stream, RTP, RTCP, FAMILY_V4)
        self.configure(stream, remote=MediaAddress(host, port, port + 1), formats=FORMATS, **changes)

    def configure(self, stream: int, **changes: object) -> None:
        before = self.settings.get(stream)
        known = {name: getattr(before, name) for name in before.__struct_fields__} if before is not None else {}
        self.settings[stream] = StreamSettings(**(known | changes))
        self.engine.configure(stream, self.settings[stream], self.now)

    def batch(self, *packets: tuple[str, int, bytes], socket: int = RTP, step: float = 0.02) -> list[tuple[int, bytes]]:
        """(stream, packet) of what goes out."""
        self.slots.clear()
        for host, port, packet in packets:
            self.slots.put(packet, sockaddr(host, port), socket, socket == RTCP)
        out = self.engine.packets(self.slots, self.now)
        self.now += step
        return [
            (self.engine.latch.peers[target].stream, self.slots.data[slot, :length].tobytes())
            for slot, target, length in zip(out.slots.tolist(), out.targets.tolist(), out.lengths.tolist(), strict=True)
        ]

    def row(self, stream: int) -> int:
        return next(row for row, peer in self.engine.latch.peers.items() if peer.stream == stream)


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_a_secure_and_a_plain_stream_are_relayed_both_ways(suite: str) -> None:
    theirs, ours = key(4, suite), key(5, suite)
    rig = Rig(crypto_in=theirs, crypto_out=ours)
    far = Far(theirs, ours)
    for seq in range(5):
        [(stream, packet)] = rig.batch((A, 4000, far.rtp(seq, body=bytes([seq]) * 160)))
        assert (stream, packet[12:]) == (2, bytes([seq]) * 160)
        [(stream, packet)] = rig.batch((B, 5000, rtp(seq, 0xB, bytes([seq]) * 80)))
        assert stream == 1
        assert len(packet) > 92
        opened = far.srtp.open_packet(1, packet)
        assert opened is not None
        assert opened[12:] == bytes([seq]) * 80
        assert int.from_bytes(opened[8:12], "big") == rig.engine.stats(1).local_ssrc
    stats = rig.engine.stats(1)
    assert (stats.packets_received, stats.octets_received) == (5, 800)
    assert (stats.auth_failed, stats.replayed, stats.secure) == (0, 0, True)
    assert not rig.engine.stats(2).secure


def test_two_engines_back_to_back() -> None:
    """A plain phone, a switch, SRTP between the switches, another switch, a plain phone: a whole batch at once, with
    a sequence number that wraps."""
    near = Rig(crypto_in=THEIRS, crypto_out=OURS)
    far = Rig(crypto_in=OURS, crypto_out=THEIRS)
    for start in range(65500, 65600, 20):
        spoken = [rtp(seq, 0xB, seq.to_bytes(4, "big") * 40) for seq in range(start, start + 20)]
        between = near.batch(*[(B, 5000, packet) for packet in spoken])
        assert [stream for stream, _ in between] == [1] * 20
        heard = far.batch(*[(A, 4000, packet) for _, packet in between])
        assert [(stream, packet[12:]) for stream, packet in heard] == [(2, packet[12:]) for packet in spoken]
        back = far.batch((B, 5000, rtp(start, 0xC)))
        assert [packet[12:] for _, packet in near.batch((A, 4000, back[0][1]))] == [b"v" * 160]


def test_two_secure_streams_have_keys_of_their_own() -> None:
    rig = Rig()
    rig.configure(2, crypto_in=key(7), crypto_out=key(8))
    other = Far(key(7), key(8), 0xB)
    [(_, packet)] = rig.batch((A, 4000, rig.far.rtp(1)))
    opened = other.srtp.open_packet(1, packet)
    assert opened is not None
    assert opened[12:] == b"v" * 160
    assert rig.far.srtp.open_packet(1, packet) is None


def test_threats_27_what_does_not_authenticate_is_counted_and_nothing_else() -> None:
    """Neither passed on nor heard: not received, no SSRC, no silence ended; a plain packet is one of them."""
    rig = Rig(silence_after=10.0)
    wrong = Far(OTHER)
    for seq in range(10):
        assert rig.batch((A, 4000, wrong.rtp(seq)), (A, 4000, rtp(seq))) == []
    stats = rig.engine.stats(1)
    assert (stats.auth_failed, stats.packets_received, stats.bad_packets) == (20, 0, 0)
    assert (stats.ssrcs, stats.first_packet_at) == ((), None)
    assert rig.engine.events == []
    rig.now += 10.0
    rig.engine.tick(rig.now)
    assert [type(event).__name__ for event in rig.engine.events] == ["StreamSilent"]


def test_replays_are_dropped_and_counted() -> None:
    rig = Rig()
    packets = [rig.far.rtp(seq) for seq in range(5)]
    assert len(rig.batch(*[(A, 4000, packet) for packet in packets])) == 5
    assert rig.batch(*[(A, 4000, packet) for packet in packets]) == []
    stats = rig.engine.stats(1)
    assert (stats.replayed, stats.packets_received, stats.misordered) == (5, 5, 0)


def test_good_and_bad_packets_of_a_batch_are_told_apart() -> None:
    rig = Rig()
    rig.batch((A, 4000, rig.far.rtp(0)), (B, 5000, rtp(0, 0xB)))
    bad = bytearray(rig.far.rtp(1))
    bad[50] ^= 1
    sent = rig.batch(
        (A, 4000, rig.far.rtp(2)), (A, 4000, bytes(bad)), (B, 5000, rtp(1, 0xB)), (ELSEWHERE, 1, rtp(9)),
        (A, 4000, rig.far.rtp(3)),
    )  # fmt: skip
    assert sorted(stream for stream, _ in sent) == [1, 2, 2]
    assert rig.engine.stats(1).auth_failed == 1
    assert rig.engine.counters["wrong_source"] == 1


def test_padding_and_extensions_are_judged_after_opening() -> None:
    rig = Rig()
    padded = rig.far.rtp(1, body=b"v" * 20 + b"\0\0\0\4", head=0xA0)
    extended = rig.far.rtp(2, body=struct.pack("!HHI", 0xBEDE, 1, 0) + b"v" * 20, head=0x90)
    assert len(rig.batch((A, 4000, padded))) == 1
    assert len(rig.batch((A, 4000, extended))) == 1
    assert rig.engine.stats(1).bad_packets == 0


# -- latching


def natted() -> Rig:
    rig = Rig()
    rig.configure(1, remote=MediaAddress("10.0.0.7", 4000, 4001), nat=True, signalled_host=A)
    return rig


def latched(rig: Rig) -> list[tuple[str, int]]:
    found = [(event.host, event.port) for event in rig.engine.events if isinstance(event, StreamLatched)]
    rig.engine.events.clear()
    return found


def test_a_waiting_stream_is_latched_by_an_authentic_packet_alone() -> None:
    rig = natted()
    assert rig.batch((A, 31000, rtp(1)), (A, 31001, Far(OTHER).rtp(1))) == []
    assert latched(rig) == []
    assert [stream for stream, _ in rig.batch((A, 31002, rig.far.rtp(1)))] == [2]
    assert latched(rig) == [(A, 31002)]
    assert rig.engine.stats(1).auth_failed == 2
    [(stream, _)] = rig.batch((B, 5000, rtp(1, 0xB)))
    assert stream == 1
    assert host_and_port(rig.engine.table.address[rig.row(1)].tobytes()) == (A, 31002)


def test_an_authentic_packet_moves_the_latch_at_once_to_another_port_or_host() -> None:
    rig = natted()
    rig.batch((A, 31000, rig.far.rtp(1)))
    for seq, (host, port) in enumerate([(A, 31001), (ELSEWHERE, 700), (A, 31000)], 2):
        assert [stream for stream, _ in rig.batch((host, port, rig.far.rtp(seq)))] == [2]
        assert [stream for stream, _ in rig.batch((host, port, rig.far.rtp(seq + 50)))] == [2]
    assert latched(rig) == [(A, 31000), (A, 31001), (ELSEWHERE, 700), (A, 31000)]


def test_several_packets_from_a_new_source_in_one_batch() -> None:
    rig = natted()
    rig.batch((A, 31000, rig.far.rtp(1)))
    bad = bytearray(rig.far.rtp(2))
    bad[-1] ^= 1
    packets = [rig.far.rtp(3), bytes(bad), rig.far.rtp(4), rtp(5), rig.far.rtp(6)]
    assert len(rig.batch(*[(ELSEWHERE, 700, packet) for packet in packets])) == 3
    assert latched(rig) == [(A, 31000), (ELSEWHERE, 700)]
    assert rig.engine.stats(1).auth_failed == 2


def test_a_replay_from_elsewhere_moves_nothing() -> None:
    rig = natted()
    packets = [rig.far.rtp(seq) for seq in range(5)]
    rig.batch(*[(A, 31000, packet) for packet in packets])
    latched(rig)
    rig.now += RELATCH_SILENCE + 1
    assert rig.batch(*[(ELSEWHERE, 700, packet) for packet in packets], (A, 31009, packets[0])) == []
    assert latched(rig) == []


def test_a_stranger_with_the_right_ssrc_is_not_believed_after_a_silence() -> None:
    """What moves a plain stream behind NAT, the same SSRC after a silence, moves no secure one."""
    rig = natted()
    rig.batch((A, 31000, rig.far.rtp(1)))
    latched(rig)
    rig.now += RELATCH_SILENCE + 1
    assert rig.batch((A, 31001, rtp(2)), (A, 31002, Far(OTHER).rtp(2))) == []
    assert latched(rig) == []


def test_a_stream_that_is_not_behind_nat_is_heard_from_its_signalled_address_alone() -> None:
    rig = Rig()
    rig.batch((A, 4000, rig.far.rtp(1)))
    assert rig.batch((A, 4002, rig.far.rtp(2)), (ELSEWHERE, 1, rig.far.rtp(3))) == []
    assert rig.engine.counters["wrong_source"] == 2


def test_a_plain_phone_behind_the_same_nat_is_latched_as_ever() -> None:
    rig = natted()
    rig.batch((A, 31000, rig.far.rtp(1)))
    rig.configure(2, remote=MediaAddress("10.0.0.8", 4000, 4001), nat=True, signalled_host=A)
    assert [stream for stream, _ in rig.batch((A, 32000, rtp(1, 0xB)))] == [1]
    assert rig.engine.stats(1).auth_failed == 0


# -- RTCP


def report_of(ssrc: int, about: int) -> bytes:
    block = struct.pack("!IIIIII", about, 0x40000000 | 7, 100, 80, 0, 0)
    return struct.pack("!BBHI", 0x81, 201, 7, ssrc) + block


@pytest.mark.parametrize("mux", [False, True])
def test_reports_are_sealed_and_opened(mux: bool) -> None:
    rig = Rig(rtcp_mux=mux)
    socket = RTP if mux else RTCP
    rig.batch((A, 4000, rig.far.rtp(1)), (B, 5000, rtp(1, 0xB)))
    own = rig.engine.stats(1).local_ssrc
    port = 4000 if mux else 4001
    assert rig.batch((A, port, rig.far.seal(report_of(0xA, own), report=True)), socket=socket) == []
    assert rig.engine.stats(1).remote_lost == 7
    rig.now += 2 * REPORT_SECONDS
    reports = rig.engine.tick(rig.now)
    assert reports.count == 2
    sent = {int(reports.rows[at]): reports.data[at, : int(reports.lengths[at])].tobytes() for at in range(2)}
    opened = rig.far.srtp.open_report(1, sent[rig.row(1)])
    assert opened is not None
    assert rtcp.parse(opened).ssrc == own
    assert rtcp.parse(sent[rig.row(2)]).ssrc == rig.engine.stats(2).local_ssrc


def test_a_plain_a_forged_and_a_repeated_report_say_nothing_about_a_secure_stream() -> None:
    rig = Rig()
    rig.batch((A, 4000, rig.far.rtp(1)))
    own = rig.engine.stats(1).local_ssrc
    sealed = rig.far.seal(report_of(0xA, own), report=True)
    forged = Far(OTHER).seal(report_of(0xA, own), report=True)
    for packet in (report_of(0xA, own), forged, sealed[:-1], b"", b"\x81\xc9"):
        rig.batch((A, 4001, packet), socket=RTCP)
    assert rig.engine.stats(1).remote_lost is None
    assert rig.engine.stats(1).auth_failed == 3
    rig.batch((A, 4001, sealed), (A, 4001, sealed), socket=RTCP)
    assert rig.engine.stats(1).rtcp_received == 1


def test_a_report_of_who_has_not_been_heard_is_found_by_its_host() -> None:
    rig = Rig()
    own = rig.engine.stats(1).local_ssrc
    rig.batch((A, 4001, rig.far.seal(report_of(0xA, own), report=True)), socket=RTCP)
    assert rig.engine.stats(1).remote_lost == 7


def test_reports_of_plain_streams_are_read_beside_secure_ones() -> None:
    rig = Rig()
    rig.batch((B, 5000, rtp(1, 0xB)))
    rig.batch((B, 5001, report_of(0xB, rig.engine.stats(2).local_ssrc)), socket=RTCP)
    assert rig.engine.stats(2).remote_lost == 7


# -- keys


def test_the_same_key_keeps_its_context_and_a_new_one_replaces_it() -> None:
    rig = Rig()
    packets = [rig.far.rtp(seq) for seq in range(3)]
    rig.batch((A, 4000, packets[0]), (A, 4000, packets[1]))
    rig.configure(1, remote=MediaAddress(A, 4500, 4501))
    assert rig.batch((A, 4500, packets[0])) == []
    assert len(rig.batch((A, 4500, packets[2]))) == 1
    rig.configure(1, crypto_in=OTHER)
    assert rig.batch((A, 4500, rig.far.rtp(10))) == []
    assert len(rig.batch((A, 4500, Far(OTHER).rtp(11)))) == 1
    assert (rig.engine.stats(1).replayed, rig.engine.stats(1).auth_failed) == (1, 1)


def test_a_closed_row_leaves_no_keys_to_the_next() -> None:
    rig = Rig()
    rig.engine.close(1)
    assert (rig.engine.srtp.receives, rig.engine.srtp.sends) == (0, 0)
    rig.stream(3, A, 4000)
    rig.engine.bridge(3, 2)
    assert [stream for stream, _ in rig.batch((A, 4000, rtp(1)))] == [2]


def test_keys_that_can_not_be_used_fail_the_stream_and_pass_nothing() -> None:
    rig = Rig()
    rig.configure(1, crypto_in=StreamKey(SUITE, b"short"))
    [event] = rig.engine.events
    assert isinstance(event, StreamFailed)
    assert "expected 30" in event.why
    assert rig.batch((A, 4000, rig.far.rtp(1)), (B, 5000, rtp(1, 0xB))) == []
    rig.configure(1, crypto_in=THEIRS)
    assert len(rig.batch((A, 4000, rig.far.rtp(2)))) == 1


def test_no_text_shows_a_key() -> None:
    secret = StreamKey(SUITE, b"S" * 30)
    settings = StreamSettings(remote=MediaAddress(A, 1, 2), crypto_in=secret, crypto_out=secret)
    for text in (repr(secret), str(secret), repr(settings), f"{settings}", repr([settings])):
        assert "SSSS" not in text
        assert SUITE in text


def test_threats_27_noise_on_a_secure_stream_raises_nothing() -> None:
    rig = Rig()
    rng = random.Random(11)
    good = rig.far.rtp(1)
    for _ in range(60):
        packets = []
        for _ in range(20):
            packet = bytearray(rng.choice((good, rtp(rng.randrange(65536)), rng.randbytes(rng.randrange(1600)))))
            for _ in range(rng.randrange(4)):
                if packet:
                    packet[rng.randrange(len(packet))] = rng.randrange(256)
            packets.append((rng.choice((A, B, ELSEWHERE)), rng.choice((4000, 4001, 5000)), bytes(packet)))
        rig.batch(*packets, socket=rng.choice((RTP, RTCP)))
    stats = rig.engine.stats(1)
    assert stats.auth_failed + stats.replayed > 20
    assert stats.packets_received <= 1  # `good`, where it came unchanged

"""The vectorised pass on synthetic batches: whose packets, how counted, how rewritten."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from rtp.address import LENGTH, Keys, family, sockaddr
from rtp.columns import SLOT, Slots
from rtp.latch import RELATCH_SILENCE, Latch, Peer
from rtp.relay import MAX_DROPOUT, MAX_REPORTS, MAX_STRANGERS, SSRC_SILENCE, Outgoing, Relay
from rtp.table import UNTIMED, StreamTable

A, B = "192.0.2.1", "192.0.2.2"
FRAME = 0.02


def rtp(
    seq: int, stamp: int = 0, ssrc: int = 0xA, payload_type: int = 0, head: int = 0x80, body: bytes = b"x" * 160
) -> bytes:
    return struct.pack("!BBHII", head, payload_type, seq & 0xFFFF, stamp & 0xFFFFFFFF, ssrc) + body


class Header:
    """The fixed header of a packet, read back."""

    def __init__(self, packet: bytes) -> None:
        self.head, second, self.seq, self.stamp, self.ssrc = struct.unpack_from("!BBHII", packet)
        self.marker, self.payload_type = second >> 7, second & 0x7F


class Rig:
    """Table, latch and relay, and packets put in by hand. Streams get rows 1, 2..., all on socket 1."""

    def __init__(self) -> None:
        self.table = StreamTable()
        keys = Keys(random.Random(1).getrandbits(192))
        self.latch = Latch(self.table, keys)
        self.relay = Relay(self.table, self.latch, keys)
        self.slots = Slots(256)
        self.now = 1000.0

    def stream(self, host: str, port: int, nat: str = "", socket: int = 1) -> Peer:
        row = self.table.take()
        peer = Peer(row, row, socket)
        self.latch.peers[row] = peer
        address = sockaddr(host, port)
        if nat:
            assert self.latch.wait(peer, address, sockaddr(nat, 0))
        else:
            assert self.latch.fix(peer, address)
        self.table.address_length[row] = LENGTH[family(address)]
        self.table.own_ssrc[row] = 0xF000 + row
        self.table.own_top[row] = 500
        self.table.own_stamp[row] = 90_000
        self.table.payload[row, 0] = 0
        self.table.payload[row, 101] = 96 | UNTIMED
        return peer

    def pair(self) -> tuple[Peer, Peer]:
        a, b = self.stream(A, 4000), self.stream(B, 5000)
        self.relay.direct(a, b.row)
        self.relay.direct(b, a.row)
        return a, b

    def batch(self, *packets: tuple[str, int, bytes], socket: int = 1, control: bool = False) -> Outgoing:
        self.slots.clear()
        for host, port, packet in packets:
            self.slots.put(packet, sockaddr(host, port), socket, control)
        return self.relay.process(self.slots, self.now)

    def sent(self, outgoing: Outgoing) -> list[Header]:
        return [Header(self.slots.packet(slot)) for slot in outgoing.slots.tolist()]

    def play(
        self, seqs: list[int], ssrc: int = 0xA, host: str = A, port: int = 4000, step: float = FRAME
    ) -> list[Header]:
        """One packet a batch, `step` seconds apart; what was passed on."""
        passed: list[Header] = []
        for seq in seqs:
            passed += self.sent(self.batch((host, port, rtp(seq, 160 * seq, ssrc))))
            self.now += step
        return passed


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_header_is_rewritten_and_payload_is_not(rig: Rig) -> None:
    a, b = rig.pair()
    outgoing = rig.batch((A, 4000, rtp(7, 1000, body=b"payload")))
    [header] = rig.sent(outgoing)
    assert (header.ssrc, header.seq, header.stamp, header.payload_type) == (0xF000 + b.row, 501, 90_000, 0)
    assert outgoing.targets.tolist() == [b.row]
    assert rig.slots.packet(0)[12:] == b"payload"
    assert int(rig.table.received[a.row]) == int(rig.table.sent[b.row]) == 1
    assert int(rig.table.octets[a.row]) == int(rig.table.sent_octets[b.row]) == 7


def test_sequence_and_timestamp_go_on_evenly(rig: Rig) -> None:
    rig.pair()
    headers = rig.play([10, 11, 12, 13])
    assert [h.seq for h in headers] == [501, 502, 503, 504]
    assert [h.stamp for h in headers] == [90_000, 90_160, 90_320, 90_480]
    assert [h.marker for h in headers] == [1, 0, 0, 0]


def test_rfc3550_a1_sequence_wrap(rig: Rig) -> None:
    a, _ = rig.pair()
    headers = rig.play([65533, 65534, 65535, 0, 1, 2])
    assert [h.seq for h in headers] == [501, 502, 503, 504, 505, 506]
    assert int(rig.table.top[a.row]) == 65536 + 2
    assert int(rig.table.received[a.row]) == 6
    assert int(rig.table.late[a.row]) == 0


def test_loss_and_reordering_pass_through_as_they_are(rig: Rig) -> None:
    a, _ = rig.pair()
    headers = rig.play([1, 2, 5, 4, 6])
    assert [h.seq for h in headers] == [501, 502, 505, 504, 506]
    assert int(rig.table.late[a.row]) == 1
    assert int(rig.table.top[a.row] - rig.table.base[a.row]) + 1 == 6


def test_several_packets_of_a_row_in_one_batch_count_as_one_after_another() -> None:
    """Sequence, misordering and jitter (RFC 3550 A.8) do not depend on how packets fall into batches."""
    rng = random.Random(3)
    seqs = [65530 + n for n in range(40)]
    for _ in range(6):
        at = rng.randrange(2, 38)
        seqs[at], seqs[at + 1] = seqs[at + 1], seqs[at]
    seqs[20] = seqs[19]
    packets = [(A, 4000, rtp(seq, 160 * seq + rng.randrange(200), 0xA)) for seq in seqs]
    other = [(B, 5000, rtp(seq, 160 * seq, 0xB)) for seq in seqs]
    one, together = Rig(), Rig()
    results = []
    for each in (one, together):
        a, _ = each.pair()
        each.batch(packets[0], other[0])
        results.append((each, a))
    for first, second in zip(packets[1:], other[1:], strict=True):
        one.batch(first)
        one.batch(second)
    for start in range(1, 40, 13):
        together.batch(
            *(
                p
                for pair in zip(packets, other, strict=True)
                for p in pair
                if p in packets[start : start + 13] + other[start : start + 13]
            )
        )
    for name in ("received", "top", "late", "octets", "sent", "transit"):
        column_one, column_together = getattr(one.table, name), getattr(together.table, name)
        assert column_one.tolist() == column_together.tolist(), name
    np.testing.assert_allclose(one.table.jitter, together.table.jitter, rtol=1e-9)
    assert float(one.table.jitter[1]) > 1


def test_rfc3550_a8_jitter(rig: Rig) -> None:
    a, _ = rig.pair()
    rig.batch((A, 4000, rtp(1, 160)))
    expected = 0.0
    for seq, late in ((2, 0.005), (3, 0.0), (4, 0.011)):
        rig.now = 1000.0 + (seq - 1) * FRAME + late
        before = int(rig.table.transit[a.row])
        rig.batch((A, 4000, rtp(seq, 160 * seq)))
        expected += (abs(int(rig.table.transit[a.row]) - before) - expected) / 16
        assert float(rig.table.jitter[a.row]) == pytest.approx(expected)
    assert expected > 5


def test_telephone_events_pass_and_leave_jitter_alone(rig: Rig) -> None:
    """RFC 4733 2.5.1.2: all packets of an event bear the timestamp of its beginning."""
    a, _ = rig.pair()
    rig.play([1, 2, 3])
    jitter = float(rig.table.jitter[a.row])
    for seq in range(4, 12):
        [header] = rig.sent(rig.batch((A, 4000, rtp(seq, 640, payload_type=101))))
        assert header.payload_type == 96
        rig.now += FRAME
    assert float(rig.table.jitter[a.row]) == jitter
    assert int(rig.table.received[a.row]) == 11


def test_the_marker_bit_passes(rig: Rig) -> None:
    rig.pair()
    rig.play([1])
    [header] = rig.sent(rig.batch((A, 4000, rtp(2, 320, payload_type=0x80 | 101))))
    assert (header.marker, header.payload_type) == (1, 96)


def test_payload_types_that_were_not_agreed_are_dropped_and_counted(rig: Rig) -> None:
    a, _ = rig.pair()
    rig.play([1])
    assert rig.batch((A, 4000, rtp(2, 320, payload_type=18))).slots.size == 0
    assert int(rig.table.unknown[a.row]) == 1
    assert int(rig.table.received[a.row]) == 2


def test_nothing_passes_without_a_target(rig: Rig) -> None:
    a = rig.stream(A, 4000)
    assert rig.play([1, 2]) == []
    assert int(rig.table.received[a.row]) == 2


def test_echo(rig: Rig) -> None:
    a = rig.stream(A, 4000)
    rig.relay.direct(a, a.row)
    headers = rig.play([1, 2])
    assert [(h.seq, h.ssrc) for h in headers] == [(501, 0xF000 + a.row), (502, 0xF000 + a.row)]


def test_a_new_ssrc_after_the_old_one_fell_silent_goes_on_in_one_stream(rig: Rig) -> None:
    a, _ = rig.pair()
    rig.play([1, 2, 3])
    rig.now += 0.08
    headers = rig.play([40_000, 40_001], ssrc=0xC)
    assert [h.seq for h in headers] == [504, 505]
    assert headers[0].marker == 1
    # The timestamp went on by the time that passed: the last packet was 100 ms ago.
    assert headers[0].stamp == pytest.approx(90_000 + 2 * 160 + 800, abs=2)
    assert a.ssrcs == (0xA, 0xC)
    assert a.expected_before == 3
    assert int(rig.table.base[a.row]) == 40_000


def test_a_foreign_ssrc_is_not_heard_while_the_locked_one_talks(rig: Rig) -> None:
    a, _ = rig.pair()
    rig.play([1, 2])
    for seq in range(3, 10):
        outgoing = rig.batch(
            (A, 4000, rtp(900 + seq, 0, 0xEE)), (A, 4000, rtp(seq, 160 * seq)), (A, 4000, rtp(901 + seq, 0, 0xEE))
        )
        assert [h.seq for h in rig.sent(outgoing)] == [500 + seq]
        rig.now += FRAME
    assert int(rig.table.foreign[a.row]) == 14
    assert SSRC_SILENCE > 2 * FRAME


def test_an_announced_change_needs_no_silence(rig: Rig) -> None:
    a, _ = rig.pair()
    rig.play([1, 2])
    rig.relay.unlock_ssrc(a)
    assert [h.seq for h in rig.play([70, 71], ssrc=0xD)] == [503, 504]


def test_rfc3550_a1_a_leap_is_taken_when_the_next_packet_confirms_it(rig: Rig) -> None:
    a, _ = rig.pair()
    rig.play([1, 2])
    leap = 2 + MAX_DROPOUT + 1
    assert rig.play([leap]) == []
    assert int(rig.table.bad[a.row]) == 1
    assert [h.seq for h in rig.play([leap + 1, leap + 2])] == [503, 504]
    assert a.expected_before == 2
    # A gap up to the limit is loss.
    assert [h.seq for h in rig.play([leap + 2 + MAX_DROPOUT])] == [504 + MAX_DROPOUT]


def test_a_single_leap_is_dropped(rig: Rig) -> None:
    rig.pair()
    rig.play([1, 2])
    assert rig.play([30_000]) == []
    assert [h.seq for h in rig.play([3])] == [503]


def test_first_packets_of_a_stream_in_one_batch_stay_in_order(rig: Rig) -> None:
    a, _ = rig.pair()
    headers = rig.sent(rig.batch(*((A, 4000, rtp(seq, 160 * seq)) for seq in (9, 10, 11))))
    assert [h.seq for h in headers] == [501, 502, 503]
    assert [h.marker for h in headers] == [1, 0, 0]
    assert int(rig.table.received[a.row]) == 3


def test_a_new_bridge_keeps_each_side_continuous(rig: Rig) -> None:
    a, b = rig.pair()
    c = rig.stream("192.0.2.3", 6000)
    rig.play([1, 2, 3])
    rig.relay.direct(a, 0)
    rig.relay.direct(b, 0)
    rig.play([4, 5])
    rig.relay.direct(c, b.row)
    headers = rig.play([7000, 7001], ssrc=0xCC, host="192.0.2.3", port=6000)
    assert [h.seq for h in headers] == [504, 505]
    assert {h.ssrc for h in headers} == {0xF000 + b.row}
    # Two packets of a that went nowhere took 40 ms.
    assert headers[0].stamp == pytest.approx(90_000 + 2 * 160 + 3 * 160, abs=2)
    # And a, which nobody fed so far, begins with b's first packet.
    rig.relay.direct(b, a.row)
    assert [h.seq for h in rig.play([1], ssrc=0xB, host=B, port=5000)] == [501]


def test_pause_and_go_on_leaves_no_gap(rig: Rig) -> None:
    """A direction that was shut (hold) and opened again: the sequence goes on by one, the time by what passed."""
    a, b = rig.pair()
    rig.play([1, 2])
    rig.relay.direct(a, 0)
    rig.play(list(range(3, 50)))
    rig.relay.direct(a, b.row)
    [header] = rig.play([50])
    assert header.seq == 503
    assert header.stamp == pytest.approx(90_000 + 160 + 48 * 160, abs=2)


# -- what is no sound packet


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x80",
        rtp(2, 320, body=b"")[:11],
        rtp(2, 320, head=0x00),
        rtp(2, 320, head=0x40),
        rtp(2, 320, head=0xC0),
        rtp(2, 320, head=0x8F, body=b"x" * 59),
        rtp(2, 320, head=0x90, body=b"\xbe\xde"),
        rtp(2, 320, head=0x90, body=b"\xbe\xde\x00\x02" + bytes(7)),
        rtp(2, 320, head=0xA0, body=b"abc\x00"),
        rtp(2, 320, head=0xA0, body=b"abc\x05"),
        bytes([0x80, 0]) + bytes(SLOT - 2),
    ],
    ids=["empty", "one", "short", "v0", "v1", "v3", "csrc", "x4", "xlen", "pad0", "pad5", "full-slot"],
)
def test_rfc3550_a1_validity_checks(rig: Rig, packet: bytes) -> None:
    a, _ = rig.pair()
    rig.play([1])
    assert rig.batch((A, 4000, packet)).slots.size == 0
    assert int(rig.table.bad[a.row]) == 1
    assert int(rig.table.received[a.row]) == 1


@pytest.mark.parametrize(
    "packet",
    [
        rtp(2, 320, head=0x82, body=bytes(8) + b"x" * 160),
        rtp(2, 320, head=0x90, body=b"\xbe\xde\x00\x01" + bytes(4) + b"x" * 160),
        rtp(2, 320, head=0xA0, body=b"x" * 156 + b"\0\0\0\x04"),
        rtp(2, 320, body=b""),
    ],
    ids=["csrc", "extension", "padding", "empty"],
)
def test_optional_parts_of_the_header_pass(rig: Rig, packet: bytes) -> None:
    rig.pair()
    rig.play([1])
    outgoing = rig.batch((A, 4000, packet))
    [header] = rig.sent(outgoing)
    assert header.head == packet[0]
    assert header.seq == 502
    assert rig.slots.packet(0)[12:] == packet[12:]
    assert int(outgoing.lengths[0]) == len(packet)


def test_rfc5761_rtcp_on_the_rtp_port_is_told_apart(rig: Rig) -> None:
    a, _ = rig.pair()
    rig.play([1])
    report = struct.pack("!BBHI", 0x80, 201, 1, 0xA)
    outgoing = rig.batch((A, 4000, report), (A, 4000, rtp(2, 320)))
    assert outgoing.reports == [0]
    assert outgoing.slots.tolist() == [1]
    assert int(rig.table.bad[a.row]) == 0


def test_what_comes_by_an_rtcp_socket_is_never_rtp(rig: Rig) -> None:
    rig.pair()
    outgoing = rig.batch((A, 4000, rtp(1)), socket=2, control=True)
    assert outgoing.reports == [0]
    assert outgoing.slots.size == 0


# -- whose packets


def test_not_behind_nat_only_the_signalled_address_is_heard(rig: Rig) -> None:
    a, _ = rig.pair()
    rig.play([1])
    outgoing = rig.batch((A, 4002, rtp(2, 320)), ("192.0.2.66", 4000, rtp(3, 480)), (A, 4000, rtp(4, 640)))
    assert [h.seq for h in rig.sent(outgoing)] == [504]
    assert rig.relay.counters["wrong_source"] == 2
    assert int(rig.table.received[a.row]) == 2


def test_the_same_address_on_another_socket_is_a_stranger(rig: Rig) -> None:
    rig.pair()
    assert rig.batch((A, 4000, rtp(1)), socket=3).slots.size == 0
    assert rig.relay.counters["wrong_source"] == 1


def test_what_comes_after_the_end_of_a_stream_is_counted_apart(rig: Rig) -> None:
    a, b = rig.pair()
    rig.play([1])
    for peer in (a, b):
        rig.latch.release(peer)
        rig.table.free(peer.row)
    outgoing = rig.batch((A, 4000, rtp(2)), (B, 5000, rtp(9)), (A, 4002, rtp(3)), ("192.0.2.66", 4000, rtp(3)))
    assert outgoing.slots.size == 0
    assert rig.relay.counters == {"wrong_source": 2, "ended": 2, "overload": 0}


def test_late_packets_of_an_ended_call_are_not_told_of_another_stream_of_that_host(rig: Rig) -> None:
    a, _ = nat_pair(rig)
    rig.play([1], port=33333)
    other = rig.stream("10.0.0.5", 4002, nat=A)
    rig.play([1], port=44444, ssrc=0xC)
    rig.latch.release(a)
    rig.table.free(a.row)
    rig.batch((A, 33333, rtp(2)), (A, 55555, rtp(2)))
    assert rig.relay.counters["ended"] == 1
    assert other.strayed == 1


def test_late_packets_of_an_ended_call_do_not_begin_another_behind_the_same_nat(rig: Rig) -> None:
    """Who has hung up and still sends is not heard by whom another telephone of that host calls."""
    a, _ = nat_pair(rig)
    rig.play([1, 2], port=33333)
    rig.latch.release(a)
    rig.table.free(a.row)
    other = rig.stream("10.0.0.6", 4000, nat=A)
    rig.play([3, 4], port=33333)
    assert other.waiting
    rig.play([900], port=44444, ssrc=0xC)
    assert other.address == sockaddr(A, 44444)


def test_a_telephone_of_one_ssrc_calls_again(rig: Rig) -> None:
    """From the same port, with the same SSRC: another sequence number begins another call."""
    a, _ = nat_pair(rig)
    rig.play([1, 2], port=33333)
    rig.latch.release(a)
    rig.table.free(a.row)
    other = rig.stream("10.0.0.5", 4000, nat=A)
    rig.play([30_000], port=33333)
    assert other.address == sockaddr(A, 33333)


def nat_pair(rig: Rig) -> tuple[Peer, Peer]:
    a, b = rig.stream("10.0.0.5", 4000, nat=A), rig.stream(B, 5000)
    rig.relay.direct(a, b.row)
    rig.relay.direct(b, a.row)
    return a, b


def test_behind_nat_the_first_packet_from_the_signalling_host_locks(rig: Rig) -> None:
    a, _ = nat_pair(rig)
    headers = rig.sent(rig.batch((A, 33333, rtp(1, 160)), (A, 33333, rtp(2, 320))))
    assert [h.seq for h in headers] == [501, 502]
    assert a.latched
    assert rig.latch.moved == [a]
    assert a.address == sockaddr(A, 33333)
    # What is sent to it goes there from now on.
    assert bytes(rig.table.address[a.row]) == sockaddr(A, 33333)


def test_behind_nat_the_signalled_media_address_locks_too(rig: Rig) -> None:
    a, _ = nat_pair(rig)
    assert len(rig.play([1, 2], host="10.0.0.5")) == 2
    assert a.latched
    assert a.address == sockaddr("10.0.0.5", 4000)


def test_before_the_latch_packets_go_to_the_signalled_address(rig: Rig) -> None:
    a, _ = nat_pair(rig)
    outgoing = rig.batch((B, 5000, rtp(1, ssrc=0xB)))
    assert outgoing.targets.tolist() == [a.row]
    assert bytes(rig.table.address[a.row]) == sockaddr("10.0.0.5", 4000)


def test_after_the_latch_not_one_packet_from_elsewhere(rig: Rig) -> None:
    """RTP bleed and injection: other ports of the same host, other hosts, the private address, right SSRC or not."""
    a, _ = nat_pair(rig)
    rig.play([1, 2], port=33333)
    for seq in range(3, 30):
        outgoing = rig.batch(
            (A, 33334, rtp(seq, 160 * seq)),
            (A, 4000, rtp(seq, 160 * seq, 0xBAD)),
            ("10.0.0.5", 4000, rtp(seq, 160 * seq)),
            ("203.0.113.9", 33333, rtp(seq, 160 * seq)),
            (A, 33333, rtp(seq, 160 * seq)),
        )
        assert outgoing.slots.tolist() == [4]
        rig.now += FRAME
    assert a.address == sockaddr(A, 33333)
    assert a.strayed == 27 * 2
    assert rig.relay.counters["wrong_source"] == 27 * 2


def test_an_attacker_between_signalling_and_first_packet_has_to_own_the_host(rig: Rig) -> None:
    a, _ = nat_pair(rig)
    assert rig.batch(("203.0.113.9", 4000, rtp(1)), ("203.0.113.9", 33333, rtp(1))).slots.size == 0
    assert a.waiting
    assert len(rig.play([1], port=33333)) == 1


def test_a_flood_of_strange_ports_is_looked_at_within_bounds(rig: Rig) -> None:
    a, _ = nat_pair(rig)
    rig.play([1], port=33333)
    rig.batch(*((A, 10_000 + n, rtp(n)) for n in range(MAX_STRANGERS + 50)))
    assert a.strayed == MAX_STRANGERS
    assert rig.relay.counters["overload"] == 50


def test_floods_of_reports_are_read_within_bounds(rig: Rig) -> None:
    report = struct.pack("!BBHI", 0x80, 201, 1, 0xA)
    outgoing = rig.batch(*((A, 4001, report) for _ in range(MAX_REPORTS + 10)), socket=2, control=True)
    assert len(outgoing.reports) == MAX_REPORTS
    assert rig.relay.counters["overload"] == 10


def test_the_same_ssrc_after_silence_may_move_within_its_host(rig: Rig) -> None:
    a, _ = nat_pair(rig)
    rig.play([1, 2], port=33333)
    # Too early, a foreign SSRC, or another host: no.
    assert rig.play([3], port=44444) == []
    rig.now += RELATCH_SILENCE
    assert rig.play([3], port=44444, ssrc=0xBAD) == []
    assert rig.play([3], host="203.0.113.9", port=44444) == []
    assert [h.seq for h in rig.play([3, 4], port=44444)] == [503, 504]
    assert a.address == sockaddr(A, 44444)
    assert rig.play([5], port=33333) == []


def test_two_nat_streams_of_one_host_on_a_port_wait_in_turn(rig: Rig) -> None:
    a, _ = nat_pair(rig)
    rig.play([1], port=33333)
    second = rig.stream("10.0.0.6", 4000, nat=A)
    rig.play([1], port=33400, ssrc=0xD)
    assert second.address == sockaddr(A, 33400)
    assert a.address == sockaddr(A, 33333)
    third = rig.table.take()
    peer = Peer(third, third, 1)
    rig.latch.peers[third] = peer
    fourth = rig.table.take()
    other = Peer(fourth, fourth, 1)
    assert rig.latch.wait(peer, sockaddr("10.0.0.7", 4000), sockaddr(A, 0))
    assert not rig.latch.wait(other, sockaddr("10.0.0.8", 4000), sockaddr(A, 0))
    assert other.key == 0


def test_a_latched_stream_keeps_its_source_when_it_would_have_to_wait_behind_another(rig: Rig) -> None:
    a, _ = nat_pair(rig)
    rig.play([1, 2], port=33333)
    second = rig.stream("10.0.0.6", 4000, nat=A)
    # Its re-INVITE names a new address while the second one still waits for a packet from that host.
    assert rig.latch.wait(a, sockaddr("10.0.0.5", 4444), sockaddr(A, 0))
    assert len(rig.play([3], port=33333)) == 1
    assert rig.play([1], port=33400, ssrc=0xD) == []
    assert second.address == sockaddr(A, 33400)
    assert a.address == sockaddr(A, 33333)
    # Now it may.
    assert rig.latch.wait(a, sockaddr("10.0.0.5", 4444), sockaddr(A, 0))
    assert rig.play([4], port=33333) != []
    assert rig.latch.moved == [a, second, a]


def test_a_fixed_address_has_one_owner(rig: Rig) -> None:
    rig.pair()
    row = rig.table.take()
    peer = Peer(row, row, 1)
    assert not rig.latch.fix(peer, sockaddr(A, 4000))
    rig.latch.release(rig.latch.peers[1])
    assert rig.latch.fix(peer, sockaddr(A, 4000))


def test_release_forgets_every_key(rig: Rig) -> None:
    a, b = nat_pair(rig)
    rig.play([1], port=33333)
    for peer in (a, b):
        rig.relay.direct(peer, 0)
        rig.latch.release(peer)
        rig.table.free(peer.row)
    assert len(rig.table.keys) == len(rig.latch.hosts) == rig.table.rows == 0
    assert rig.batch((A, 33333, rtp(2)), (B, 5000, rtp(2))).slots.size == 0


def test_ipv6_sources_are_compared_by_address_not_by_hash_alone(rig: Rig) -> None:
    a, b = rig.stream("2001:db8::1", 4000), rig.stream(B, 5000, socket=2)
    rig.relay.direct(a, b.row)
    outgoing = rig.batch(("2001:db8::1", 4000, rtp(1)), ("2001:db8::2", 4000, rtp(1)), ("2001:db8::1", 4001, rtp(1)))
    assert outgoing.slots.tolist() == [0]
    # Whatever the hash says: a row whose address differs is not the packet's.
    rig.table.address[a.row] = np.frombuffer(sockaddr("2001:db8::9", 4000), np.uint8)
    assert rig.batch(("2001:db8::1", 4000, rtp(2, 160))).slots.size == 0


def test_ipv4_and_ipv6_in_one_batch(rig: Rig) -> None:
    six, four = rig.stream("2001:db8::1", 4000), rig.stream(A, 4000)
    rig.relay.direct(six, four.row)
    rig.relay.direct(four, six.row)
    outgoing = rig.batch((A, 4000, rtp(1)), ("2001:db8::1", 4000, rtp(1, ssrc=0xB)))
    assert outgoing.targets.tolist() == [six.row, four.row]


def test_ipv6_behind_nat_latches_by_host(rig: Rig) -> None:
    a, b = rig.stream("fd00::5", 4000, nat="2001:db8::1"), rig.stream(B, 5000)
    rig.relay.direct(a, b.row)
    assert rig.play([1], host="2001:db8::2", port=7777) == []
    assert len(rig.play([1, 2], host="2001:db8::1", port=7777)) == 2
    assert a.address == sockaddr("2001:db8::1", 7777)


def test_the_table_grows_while_streams_flow(rig: Rig) -> None:
    rig.pair()
    rig.play([1, 2])
    peers = [rig.stream("192.0.2.77", 10_000 + n) for n in range(300)]
    assert [h.seq for h in rig.play([3, 4])] == [503, 504]
    assert rig.table.rows == 302
    outgoing = rig.batch(*(("192.0.2.77", 10_000 + n, rtp(1)) for n in range(200)))
    assert outgoing.slots.size == 0
    assert int(rig.table.received.sum()) == 4 + 200
    assert len({peer.row for peer in peers}) == 300


def test_own_stamps_go_on_with_time(rig: Rig) -> None:
    a, b = rig.pair()
    rows = np.array([a.row, b.row])
    assert rig.relay.own_stamps(rows, rig.now).tolist() == [90_000, 90_000]
    rig.play([1, 2])
    stamps = rig.relay.own_stamps(rows, rig.now + 1.0).tolist()
    # b's last packet bore 90160 and is 1.02 s old; nothing was ever sent to a.
    assert stamps == [90_000, pytest.approx(90_160 + 8160, abs=2)]

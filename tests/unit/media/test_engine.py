"""The media engine on synthetic batches: commands, gates, reports, silences, statistics."""

from __future__ import annotations

import random
import struct

import msgspec
import numpy as np
import pytest

from media.audio_commands import Play, PlayEnded, Silence
from media.commands import (
    Format,
    MediaAddress,
    StreamClosed,
    StreamFailed,
    StreamLatched,
    StreamSettings,
    StreamSilent,
    StreamStats,
)
from media.engine import MAX_ROUND_TRIP, MediaEngine
from media.reports import REPORT_SECONDS, REPORTS_PER_TICK
from rtp import rtcp
from rtp.address import FAMILY_V4, sockaddr
from rtp.columns import Slots

A, B = "192.0.2.1", "192.0.2.2"
RTP, RTCP = 1, 2  # socket indexes
PCMU: Format = (0, "PCMU", 8000)
PCMA: Format = (8, "PCMA", 8000)
G722: Format = (9, "G722", 8000)
EVENTS: Format = (101, "telephone-event", 8000)
NOISE: Format = (13, "CN", 8000)


def rtp(seq: int, stamp: int = 0, ssrc: int = 0xA, payload_type: int = 0) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, seq & 0xFFFF, stamp, ssrc) + bytes(160)


class Rig:
    """An engine, and what a client would do with it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.engine = MediaEngine(random.Random(9), self.now, 1_700_000_000.0)
        self.slots = Slots(64)
        self.seqs: dict[str, int] = {}

    def stream(self, stream: int, host: str, port: int, **changes: object) -> StreamSettings:
        settings = StreamSettings(remote=MediaAddress(host, port, port + 1), formats=(PCMU, EVENTS))
        settings = msgspec.structs.replace(settings, **changes)
        self.engine.open(stream, RTP, RTCP, FAMILY_V4)
        self.engine.configure(stream, settings, self.now)
        return settings

    def pair(self, a: tuple[Format, ...] = (PCMU, EVENTS), b: tuple[Format, ...] = (PCMU, EVENTS)) -> None:
        self.stream(1, A, 4000, formats=a)
        self.stream(2, B, 5000, formats=b)
        self.engine.bridge(1, 2)

    def batch(self, *packets: tuple[str, int, bytes], socket: int = RTP) -> list[tuple[int, int, int]]:
        """(stream, payload type, sequence) of what goes out."""
        self.slots.clear()
        for host, port, packet in packets:
            self.slots.put(packet, sockaddr(host, port), socket, socket == RTCP)
        outgoing = self.engine.packets(self.slots, self.now)
        sent = []
        for slot, target in zip(outgoing.slots.tolist(), outgoing.targets.tolist(), strict=True):
            packet = self.slots.packet(slot)
            stream = self.engine.latch.peers[target].stream
            sent.append((stream, packet[1] & 0x7F, int.from_bytes(packet[2:4], "big")))
        return sent

    def talk(
        self, host: str = A, port: int = 4000, count: int = 1, payload_type: int = 0
    ) -> list[tuple[int, int, int]]:
        """`count` packets in turn, 20 ms apart; what goes out."""
        sent = []
        for _ in range(count):
            seq = self.seqs[host] = self.seqs.get(host, 0) + 1
            ssrc = int(host[-1])
            sent += self.batch((host, port, rtp(seq, 160 * seq, ssrc, payload_type)))
            self.now += 0.02
        return sent

    def closed(self, stream: int) -> StreamStats:
        self.engine.close(stream)
        event = self.engine.events.pop()
        assert isinstance(event, StreamClosed)
        assert event.stream == stream
        return event.stats

    def reports(self) -> dict[int, bytes]:
        """RTCP that is due now, by stream."""
        reports = self.engine.tick(self.now)
        return {
            self.engine.latch.peers[int(reports.rows[at])].stream: reports.data[
                at, : int(reports.lengths[at])
            ].tobytes()
            for at in range(reports.count)
        }


@pytest.fixture
def rig() -> Rig:
    return Rig()


# -- bridges


def test_a_bridge_passes_both_ways(rig: Rig) -> None:
    rig.pair()
    assert [stream for stream, _, _ in rig.talk(A, 4000) + rig.talk(B, 5000)] == [2, 1]


def test_payload_types_are_translated_by_name(rig: Rig) -> None:
    rig.pair(a=(PCMA, EVENTS), b=((118, "pcma", 8000), (96, "Telephone-Event", 8000)))
    assert [kind for _, kind, _ in rig.talk(A, 4000, payload_type=8) + rig.talk(A, 4000, payload_type=101)] == [118, 96]
    assert [kind for _, kind, _ in rig.talk(B, 5000, payload_type=118)] == [8]


def test_what_the_other_leg_lacks_is_dropped_once_and_decoded_from_then_on(rig: Rig) -> None:
    rig.pair(a=(PCMU, G722, NOISE), b=(PCMU, NOISE))
    assert [kind for _, kind, _ in rig.talk(A, 4000, payload_type=13)] == [13]
    assert not rig.engine.mixer.voices
    assert rig.talk(A, 4000, payload_type=9) == []
    assert set(rig.engine.mixer.voices) == {1, 2}
    assert rig.closed(1).unknown_payload == 1


def test_a_codec_that_is_only_relayed_stays_relayed_when_something_is_to_play(rig: Rig) -> None:
    rig.pair(a=((18, "G729", 8000),), b=((18, "G729", 8000),))
    rig.engine.audio(Play(5, (Silence(1.0),), stream=1), rig.now)
    ended = [event for event in rig.engine.events if isinstance(event, PlayEnded)]
    assert [(event.play, event.how) for event in ended] == [(5, "failed")]
    assert [kind for _, kind, _ in rig.talk(A, 4000, payload_type=18)] == [18]


def test_what_nobody_here_can_decode_is_dropped(rig: Rig) -> None:
    rig.pair(a=(PCMU, (18, "G729", 8000)), b=(PCMU,))
    assert rig.talk(A, 4000, payload_type=18) == []
    assert not rig.engine.mixer.voices
    assert [kind for _, kind, _ in rig.talk(A, 4000)] == [0]


def test_one_name_with_two_clocks_is_two_formats(rig: Rig) -> None:
    wide: Format = (102, "telephone-event", 48000)
    rig.pair(a=(PCMU, wide, EVENTS), b=(PCMU, EVENTS))
    assert [kind for _, kind, _ in rig.talk(A, 4000, payload_type=101)] == [101]
    assert rig.talk(A, 4000, payload_type=102) == []
    # From one clock to the other it takes more than a relay.
    assert set(rig.engine.mixer.voices) == {1, 2}


def test_rfc5761_4_payload_types_of_rtcp_are_never_used(rig: Rig) -> None:
    rig.pair(a=((72, "PCMU", 8000),), b=(PCMU,))
    assert rig.talk(A, 4000, payload_type=72) == []


def test_rfc3264_6_1_an_answerer_may_receive_under_numbers_of_its_own(rig: Rig) -> None:
    """B answered opus as 111 where 96 was offered: it is sent 111, and sends 96. Some send what they receive."""
    opus = "opus", 48000
    rig.stream(1, A, 4000, formats=((107, *opus),))
    rig.stream(2, B, 5000, formats=((111, *opus),), receives=((96, *opus), (111, *opus)))
    rig.engine.bridge(1, 2)
    assert rig.talk(A, 4000, payload_type=107)[0][:2] == (2, 111)
    assert rig.talk(B, 5000, payload_type=96)[0][:2] == (1, 107)
    assert rig.talk(B, 5000, payload_type=111)[0][:2] == (1, 107)
    assert rig.talk(B, 5000, payload_type=107) == []


def test_new_formats_on_one_leg_change_the_map_of_both(rig: Rig) -> None:
    rig.pair()
    settings = StreamSettings(remote=MediaAddress(B, 5000, 5001), formats=((97, "PCMU", 8000),))
    rig.engine.configure(2, settings, rig.now)
    assert [kind for _, kind, _ in rig.talk(A, 4000)] == [97]
    assert [kind for _, kind, _ in rig.talk(B, 5000, payload_type=97)] == [0]


def test_a_bridge_before_the_other_side_is_known(rig: Rig) -> None:
    rig.stream(1, A, 4000)
    rig.engine.open(2, RTP, RTCP, FAMILY_V4)
    rig.engine.bridge(1, 2)
    assert rig.talk(A, 4000, 3) == []
    rig.engine.configure(2, StreamSettings(remote=MediaAddress(B, 5000, 5001), formats=(PCMU,)), rig.now)
    assert [stream for stream, _, _ in rig.talk(A, 4000, 2)] == [2, 2]
    stats = rig.closed(1)
    assert (stats.packets_received, stats.unknown_payload, stats.lost) == (5, 0, 0)


def test_hold_stops_packets_and_unhold_goes_on(rig: Rig) -> None:
    rig.pair()
    before = rig.talk(A, 4000, 2)
    settings = StreamSettings(remote=MediaAddress(B, 5000, 5001), formats=(PCMU, EVENTS))
    rig.engine.configure(2, msgspec.structs.replace(settings, send=False), rig.now)
    assert rig.talk(A, 4000, 3) == []
    assert rig.talk(B, 5000, 1) != []
    rig.engine.configure(2, msgspec.structs.replace(settings, receive=False), rig.now)
    assert rig.talk(B, 5000, 1) == []
    rig.engine.configure(2, settings, rig.now)
    after = rig.talk(A, 4000, 1)
    assert after[0][2] == before[-1][2] + 1


def test_rfc3264_8_4_hold_by_an_unspecified_address(rig: Rig) -> None:
    rig.pair()
    rig.talk(A, 4000)
    settings = StreamSettings(remote=MediaAddress("0.0.0.0", 5000, 5001), formats=(PCMU, EVENTS))
    rig.engine.configure(2, settings, rig.now)
    assert rig.talk(A, 4000) == []
    # Whoever was heard may still be (music on hold of the peer).
    assert [stream for stream, _, _ in rig.talk(B, 5000)] == [1]
    assert rig.engine.events == []


def test_another_bridge_takes_both_out_of_theirs(rig: Rig) -> None:
    rig.pair()
    rig.stream(3, "192.0.2.3", 6000)
    rig.talk(A, 4000)
    rig.engine.bridge(1, 3)
    assert [stream for stream, _, _ in rig.talk(A, 4000)] == [3]
    assert rig.talk(B, 5000) == []


def test_unbridge_and_echo(rig: Rig) -> None:
    rig.pair()
    rig.engine.unbridge(1)
    assert rig.talk(A, 4000) + rig.talk(B, 5000) == []
    rig.engine.echo(1)
    assert [stream for stream, _, _ in rig.talk(A, 4000)] == [1]
    rig.engine.bridge(1, 2)
    assert [stream for stream, _, _ in rig.talk(A, 4000)] == [2]


def test_closing_one_side_leaves_the_other_alone(rig: Rig) -> None:
    rig.pair()
    rig.talk(A, 4000)
    rig.talk(B, 5000)
    rig.engine.close(1)
    assert rig.talk(B, 5000) == []
    rig.stream(3, A, 4000)
    rig.engine.bridge(2, 3)
    assert [stream for stream, _, _ in rig.talk(B, 5000)] == [3]


def test_commands_on_streams_that_are_gone_are_ignored(rig: Rig) -> None:
    rig.stream(1, A, 4000)
    settings = StreamSettings(remote=MediaAddress(B, 5000, 5001))
    rig.engine.configure(9, settings, rig.now)
    rig.engine.bridge(1, 9)
    rig.engine.bridge(1, 1)
    rig.engine.echo(9)
    rig.engine.unbridge(9)
    rig.engine.close(9)
    assert rig.engine.events == []
    assert rig.talk(A, 4000) == []


def test_a_stream_is_opened_once(rig: Rig) -> None:
    rig.stream(1, A, 4000)
    with pytest.raises(ValueError, match="stream 1"):
        rig.engine.open(1, RTP, RTCP, FAMILY_V4)


# -- sources


def test_configure_is_idempotent(rig: Rig) -> None:
    settings = rig.stream(1, "10.0.0.5", 4000, nat=True, signalled_host=A)
    rig.engine.echo(1)
    rig.talk(A, 33333)
    rig.engine.configure(1, settings, rig.now)
    rig.engine.configure(1, msgspec.structs.replace(settings, ptime=30, formats=(PCMU,)), rig.now)
    assert rig.engine.events == [StreamLatched(1, A, 33333)]
    assert len(rig.talk(A, 33333)) == 1


def test_a_changed_remote_address_unlocks(rig: Rig) -> None:
    settings = rig.stream(1, "10.0.0.5", 4000, nat=True, signalled_host=A)
    rig.engine.echo(1)
    rig.talk(A, 33333)
    rig.engine.configure(1, msgspec.structs.replace(settings, remote=MediaAddress("10.0.0.5", 4444, 4445)), rig.now)
    rig.batch((A, 44444, rtp(900, 0, 0xDD)))
    assert rig.engine.events == [StreamLatched(1, A, 33333), StreamLatched(1, A, 44444)]
    assert rig.talk(A, 33333) == []
    stats = rig.closed(1)
    assert (stats.remote, stats.latched, stats.wrong_source, stats.ssrcs) == ((A, 44444), True, 1, (1, 0xDD))
    assert stats.lost == 0


def test_not_behind_nat_a_reinvite_moves_the_source(rig: Rig) -> None:
    settings = rig.stream(1, A, 4000)
    rig.engine.echo(1)
    rig.talk(A, 4000, 2)
    rig.engine.configure(1, msgspec.structs.replace(settings, remote=MediaAddress(B, 7000, 7001)), rig.now)
    assert rig.talk(A, 4000) == []
    sent = rig.talk(B, 7000)
    assert [stream for stream, _, _ in sent] == [1]
    assert bytes(rig.engine.table.address[1]) == sockaddr(B, 7000)


def test_two_streams_with_one_source_fail(rig: Rig) -> None:
    rig.stream(1, A, 4000)
    rig.stream(2, A, 4000)
    [failed] = rig.engine.events
    assert isinstance(failed, StreamFailed)
    assert failed.stream == 2
    rig.engine.echo(2)
    rig.engine.echo(1)
    assert [stream for stream, _, _ in rig.talk(A, 4000)] == [1]


@pytest.mark.parametrize(
    ("remote", "why"),
    [("media.example.org", "does not appear"), ("2001:db8::1", "another address family"), ("fe80::1%2", "scoped")],
)
def test_addresses_that_cannot_be_used_fail(rig: Rig, remote: str, why: str) -> None:
    rig.stream(1, remote, 4000)
    [failed] = rig.engine.events
    assert isinstance(failed, StreamFailed)
    assert why in failed.why
    # A re-INVITE with a usable one heals it.
    rig.engine.configure(1, StreamSettings(remote=MediaAddress(A, 4000, 4001), formats=(PCMU,)), rig.now)
    rig.engine.echo(1)
    assert len(rig.talk(A, 4000)) == 1


@pytest.mark.parametrize("host", ["224.0.0.1", "255.255.255.255", "0.0.0.0"])
def test_nothing_is_sent_to_many(rig: Rig, host: str) -> None:
    rig.stream(1, A, 4000)
    rig.stream(2, host, 5000)
    rig.engine.bridge(1, 2)
    assert rig.talk(A, 4000) == []


def test_before_configure_nothing_is_heard_and_nothing_sent(rig: Rig) -> None:
    rig.engine.open(1, RTP, RTCP, FAMILY_V4)
    rig.engine.echo(1)
    assert rig.talk(A, 4000) == []
    rig.now += 60
    assert rig.reports() == {}
    ours = rig.engine.stats(1).local_ssrc
    assert rig.closed(1) == StreamStats(local_ssrc=ours)


# -- statistics


def test_statistics_of_a_stream(rig: Rig) -> None:
    rig.pair()
    began = rig.now
    rig.talk(A, 4000, 3)
    rig.seqs[A] += 2
    rig.talk(A, 4000, 3)
    rig.batch((A, 4000, rtp(4, 640, 1)))
    live = rig.engine.stats(1)
    stats = rig.closed(1)
    assert live == stats
    assert (stats.packets_received, stats.octets_received, stats.lost, stats.misordered) == (7, 7 * 160, 1, 1)
    assert (stats.first_packet_at, stats.last_packet_at) == (began, rig.now)
    assert stats.remote == (A, 4000)
    assert stats.ssrcs == (1,)
    other = rig.closed(2)
    assert (other.packets_sent, other.octets_sent, other.packets_received) == (7, 7 * 160, 0)
    assert (other.first_packet_at, other.last_packet_at) == (None, None)


def test_rows_come_back_as_new(rig: Rig) -> None:
    rig.pair()
    rig.talk(A, 4000, 5)
    rig.talk(B, 5000, 5)
    fresh = MediaEngine(random.Random(1), 0.0, 0.0).table
    for stream in (1, 2):
        rig.engine.close(stream)
    table = rig.engine.table
    assert (
        table.rows
        == len(table.keys)
        == len(rig.engine.latch.hosts)
        == len(rig.engine.latch.peers)
        == len(rig.engine)
        == 0
    )
    for name in ("ssrc", "expect", "received", "target", "fed_by", "sent", "heard", "report_at", "limit", "payload"):
        assert getattr(table, name)[1:3].tolist() == getattr(fresh, name)[1:3].tolist(), name


def test_a_row_takes_less_than_two_kilobytes(rig: Rig) -> None:
    table = rig.engine.table
    columns = [value for value in vars(table).values() if isinstance(value, np.ndarray) and value.base is None]
    assert 0 < sum(column.nbytes for column in columns) / table.capacity <= 2048


# -- silence


def test_silence_is_told_once_and_again_after_packets(rig: Rig) -> None:
    rig.stream(1, A, 4000, silence_after=10.0)
    rig.talk(A, 4000)
    told: list[object] = []
    for _ in range(60):
        rig.now += 0.5
        rig.engine.tick(rig.now)
        told += rig.engine.events
        rig.engine.events.clear()
    [silent] = told
    assert isinstance(silent, StreamSilent)
    assert silent.seconds == pytest.approx(10.0, abs=1.6)
    rig.talk(A, 4000)
    rig.now += 12
    rig.engine.tick(rig.now)
    assert len(rig.engine.events) == 1


def test_silence_counts_from_the_moment_packets_are_expected(rig: Rig) -> None:
    settings = rig.stream(1, A, 4000, silence_after=10.0, receive=False)
    rig.now += 100
    rig.engine.tick(rig.now)
    assert rig.engine.events == []
    rig.engine.configure(1, msgspec.structs.replace(settings, receive=True), rig.now)
    rig.now += 9
    rig.engine.tick(rig.now)
    assert rig.engine.events == []
    rig.now += 2
    rig.engine.tick(rig.now)
    assert rig.engine.events == [StreamSilent(1, pytest.approx(11))]


def test_no_limit_no_silence(rig: Rig) -> None:
    rig.stream(1, A, 4000)
    rig.now += 1e6
    rig.engine.tick(rig.now)
    assert rig.engine.events == []


# -- reports


def until_reports(rig: Rig) -> dict[int, bytes]:
    rig.now += 1.5 * REPORT_SECONDS
    return rig.reports()


def test_rfc3550_6_4_reports_of_a_call(rig: Rig) -> None:
    rig.pair()
    rig.talk(A, 4000, 10)
    rig.seqs[A] += 10
    rig.talk(A, 4000, 10)
    reports = {stream: rtcp.parse(packet) for stream, packet in until_reports(rig).items()}
    ssrcs = {stream: rig.engine.stats(stream).local_ssrc for stream in (1, 2)}
    # To a, who sent: RR with a block on it. To b, who got packets of ours: SR without.
    assert reports[1].ssrc == ssrcs[1]
    assert reports[1].sender_ntp is None
    [block] = reports[1].blocks
    assert (block.ssrc, block.lost, block.highest) == (1, 10, 30)
    assert block.fraction_lost == pytest.approx(1 / 3, abs=0.01)
    assert reports[2].sender_ntp is not None
    assert reports[2].blocks == ()
    assert reports[1].cname == reports[2].cname != ""
    # 6.4.1: the fraction is of the interval since the last report.
    rig.talk(A, 4000, 10)
    again = rtcp.parse(until_reports(rig)[1]).blocks[0]
    assert (again.fraction_lost, again.lost) == (0.0, 10)


def test_rfc3550_6_4_sr_only_when_something_was_sent_since(rig: Rig) -> None:
    rig.pair()
    rig.talk(A, 4000, 2)
    assert until_reports(rig)[2][1] == 200
    assert until_reports(rig)[2][1] == 201


def test_rfc3550_6_2_intervals_are_random_within_half_to_one_and_a_half(rig: Rig) -> None:
    rig.stream(1, A, 4000)
    times = []
    for _ in range(2000):
        rig.now += 0.05
        if rig.reports():
            times.append(rig.now)
    gaps = np.diff(times)
    assert gaps.min() >= 0.5 * REPORT_SECONDS - 0.06
    assert gaps.max() <= 1.5 * REPORT_SECONDS + 0.06
    assert gaps.max() - gaps.min() > 1


def test_reports_of_a_tick_are_bounded(rig: Rig) -> None:
    for n in range(REPORTS_PER_TICK + 20):
        rig.stream(n, A, 10_000 + n)
    rig.now += 60
    written = []
    for behind in (True, False, False):
        written.append(len(rig.reports()))
        assert rig.engine.behind == behind
    assert written == [REPORTS_PER_TICK, 20, 0]


def test_sender_report_carries_time_and_counts(rig: Rig) -> None:
    rig.pair()
    rig.talk(A, 4000, 5)
    packet = until_reports(rig)[2]
    _, _, _, _, ntp, stamp, packets, octets = struct.unpack_from("!BBHIQIII", packet)
    assert (packets, octets) == (5, 800)
    assert ntp == rtcp.ntp(1_700_000_000.0 + rig.now - 1000.0)
    assert stamp != 0


def report_from_peer(rig: Rig, sender: bytes, host: str = A, port: int = 4001, socket: int = RTCP) -> None:
    rig.batch((host, port, sender), socket=socket)


def block_about(ssrc: int, last_sr: int, delay: int, fraction: int = 64) -> bytes:
    return struct.pack("!BBHI", 0x81, 201, 7, 1) + struct.pack(
        "!IIIIII", ssrc, fraction << 24 | 7, 0, 80, last_sr, delay
    )


def test_rfc3550_6_4_1_round_trip_and_the_peers_view(rig: Rig) -> None:
    rig.pair()
    rig.talk(A, 4000, 2)
    rig.talk(B, 5000, 5)
    sent = rtcp.parse(until_reports(rig)[1])
    assert sent.sender_ntp is not None
    rig.now += 0.25
    report_from_peer(rig, block_about(sent.ssrc, rtcp.middle(sent.sender_ntp), int(0.2 * 65536)))
    stats = rig.engine.stats(1)
    assert stats.round_trip_ms == pytest.approx(50, abs=0.1)
    assert (stats.remote_loss_fraction, stats.remote_lost, stats.remote_jitter_ms) == (0.25, 7, 10.0)
    assert (stats.rtcp_received, stats.rtcp_sent) == (1, 1)


def test_round_trips_that_cannot_be_are_not_believed(rig: Rig) -> None:
    rig.pair()
    rig.talk(B, 5000, 5)
    rig.talk(A, 4000, 2)
    sent = rtcp.parse(until_reports(rig)[1])
    assert sent.sender_ntp is not None
    middle = rtcp.middle(sent.sender_ntp)
    report_from_peer(rig, block_about(sent.ssrc, 0, 0))
    report_from_peer(rig, block_about(sent.ssrc, middle - 1, 0))
    report_from_peer(rig, block_about(sent.ssrc, middle, 65536))
    rig.now += MAX_ROUND_TRIP + 1
    report_from_peer(rig, block_about(sent.ssrc, middle, 0))
    assert rig.engine.stats(1).round_trip_ms is None
    assert rig.engine.stats(1).rtcp_received == 4


def test_lsr_and_dlsr_answer_the_peers_sender_report(rig: Rig) -> None:
    rig.pair()
    rig.talk(A, 4000, 2)
    sender = struct.pack("!BBHIQIII", 0x80, 200, 6, 1, 0x1122334455667788, 0, 2, 320)
    report_from_peer(rig, sender)
    came = rig.now
    [block] = rtcp.parse(until_reports(rig)[1]).blocks
    assert block.last_sr == 0x33445566
    assert block.delay == pytest.approx((rig.now - came) * 65536, abs=2)


def test_a_report_before_the_first_packet_is_known_by_its_address(rig: Rig) -> None:
    """Telephones open a way through NAT with an empty report."""
    rig.pair()
    report = struct.pack("!BBHI", 0x80, 201, 1, 1)
    for host, port in ((A, 4001), (A, 4003), (B, 4001)):
        report_from_peer(rig, report, host=host, port=port)
    assert rig.engine.stats(1).rtcp_received == 1
    assert rig.engine.stats(2).rtcp_received == 0
    assert rig.engine.counters["stray_rtcp"] == 2
    rig.talk(A, 4000)
    report_from_peer(rig, struct.pack("!BBHI", 0x80, 201, 1, 0xBAD))
    assert rig.engine.counters["stray_rtcp"] == 3


def test_goodbyes_after_the_end_of_a_call_are_counted_apart(rig: Rig) -> None:
    """RFC 3550 6.3.7: who leaves sends a BYE; by then the stream is closed, as SIP's BYE comes first."""
    rig.pair()
    rig.talk(A, 4000, 2)
    ours = rig.engine.stats(2).local_ssrc
    rig.closed(1)
    rig.closed(2)
    goodbye = struct.pack("!BBHI", 0x80, 201, 1, 1) + struct.pack("!BBHI", 0x81, 203, 1, 1)
    report_from_peer(rig, goodbye)
    report_from_peer(rig, block_about(ours, 0, 0), host=B, port=5001)  # it has never sent RTP
    report_from_peer(rig, struct.pack("!BBHI", 0x80, 201, 9, 1) + bytes(16))  # sealed, or broken
    assert rig.talk(A, 4000) == []
    counters = rig.engine.counters
    assert (counters["ended_rtcp"], counters["stray_rtcp"], counters["bad_rtcp"]) == (3, 0, 0)
    assert (counters["ended"], counters["wrong_source"]) == (1, 0)
    report_from_peer(rig, goodbye, host="203.0.113.9")
    assert counters["stray_rtcp"] == 1
    for _ in range(20):
        rig.now += 1.0
        rig.reports()
    report_from_peer(rig, goodbye)
    rig.talk(A, 4000)
    assert (counters["ended_rtcp"], counters["stray_rtcp"], counters["wrong_source"]) == (3, 2, 1)


@pytest.mark.parametrize(
    ("host", "socket", "packet"),
    [
        ("203.0.113.9", RTCP, b""),
        (A, 7, b""),
        (A, RTCP, struct.pack("!BBHI", 0x80, 201, 1, 0xBAD)),
    ],
    ids=["another host", "another socket", "nobody's SSRC"],
)
def test_reports_from_elsewhere_are_not_believed(rig: Rig, host: str, socket: int, packet: bytes) -> None:
    rig.pair()
    rig.talk(A, 4000, 2)
    ours = rig.engine.stats(1).local_ssrc
    report_from_peer(rig, packet or block_about(ours, 0, 0), host=host, socket=socket)
    assert rig.engine.stats(1).remote_lost is None
    assert rig.engine.counters["stray_rtcp"] == 1


def test_malformed_rtcp_is_counted(rig: Rig) -> None:
    rig.pair()
    report_from_peer(rig, b"\x80\xc9")
    assert rig.engine.counters["bad_rtcp"] == 1


def test_rfc5761_muxed_reports_go_to_and_come_by_the_rtp_port(rig: Rig) -> None:
    settings = rig.stream(1, A, 4000, rtcp_mux=True)
    rig.talk(A, 4000)
    table, row = rig.engine.table, rig.engine.latch.peers[1].row
    assert bytes(table.control_address[row]) == sockaddr(A, 4000)
    assert int(table.control_socket[row]) == RTP
    report_from_peer(rig, block_about(rig.engine.stats(1).local_ssrc, 0, 0), port=4000, socket=RTP)
    assert rig.engine.stats(1).rtcp_received == 1
    rig.engine.configure(1, msgspec.structs.replace(settings, rtcp_mux=False), rig.now)
    assert bytes(table.control_address[row]) == sockaddr(A, 4001)
    assert int(table.control_socket[row]) == RTCP


def test_rfc3605_reports_go_to_the_port_that_was_signalled(rig: Rig) -> None:
    rig.stream(1, A, 4000, remote=MediaAddress(A, 4000, 4711))
    row = rig.engine.latch.peers[1].row
    assert bytes(rig.engine.table.control_address[row]) == sockaddr(A, 4711)


def test_behind_nat_reports_follow_the_latch_and_then_the_peers_own(rig: Rig) -> None:
    rig.stream(1, "10.0.0.5", 4000, nat=True, signalled_host=A)
    row = rig.engine.latch.peers[1].row
    table = rig.engine.table
    assert bytes(table.control_address[row]) == sockaddr("10.0.0.5", 4001)
    rig.talk(A, 33333)
    assert bytes(table.control_address[row]) == sockaddr(A, 33334)
    report_from_peer(rig, block_about(rig.engine.stats(1).local_ssrc, 0, 0), port=50505)
    assert bytes(table.control_address[row]) == sockaddr(A, 50505)

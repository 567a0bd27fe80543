"""Packets made by senders: headers, order, time, and what takes the place of audio."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from media.codecs import table
from media.outbound import Encoder, FramedSender, Listener, Override, PacedSender, Sender, TableSender
from rtp.table import NEVER, StreamTable

OCTETS = 160
SIGNALS = (np.arange(2 * OCTETS).reshape(2, OCTETS) * 50 % 16000).astype(np.int16)
EVENT = struct.pack("!BBH", 5, 10, 160)


class Sent(NamedTuple):
    row: int
    marker: bool
    type: int
    seq: int
    stamp: int
    ssrc: int
    payload: bytes


class ToyCodec:
    """A codec whose payload is the first sample; silence is not sent."""

    rate = 8000
    clock = 8000

    def encode(self, frame: np.ndarray) -> bytes:
        return b"" if not frame.any() else struct.pack("!hH", int(frame[-1]), len(frame))

    def close(self) -> None:
        pass


def streams(count: int = 3) -> tuple[StreamTable, list[int]]:
    found = StreamTable()
    rows = [found.take() for _ in range(count)]
    for row in rows:
        found.own_ssrc[row] = 1000 + row
        found.own_top[row] = 0xFFFE
        found.own_stamp[row] = 0xFFFFFFFF - 200
    return found, rows


def pcmu(frames: np.ndarray) -> np.ndarray:
    return table.encode("PCMU", frames)


def pcmu_octets(frame: np.ndarray) -> bytes:
    return table.encode("PCMU", frame[None]).tobytes()


def sent(sender: Sender, now: float, overrides: dict[int, Override] | None = None, signals=SIGNALS) -> list[Sent]:
    found = []
    for batch in sender.packets(signals, overrides or {}, now):
        for at, length, row in zip(batch.at.tolist(), batch.lengths.tolist(), batch.rows.tolist(), strict=True):
            packet = batch.data[at, :length].tobytes()
            first, kind, seq, stamp, ssrc = struct.unpack_from("!BBHII", packet)
            assert first == 0x80
            found.append(Sent(row, kind >= 0x80, kind & 0x7F, seq, stamp, ssrc, packet[12:]))
    return found


def test_rows_of_one_table_codec_get_their_signals_under_their_own_headers() -> None:
    found, rows = streams()
    listeners = [Listener(rows[0], 0, 1), Listener(rows[1], 18, 0), Listener(rows[2], 0, 1)]
    sender = TableSender(found, "PCMU", listeners)
    sender.begin(5.0, frozenset())
    first, second = sent(sender, 5.0), sent(sender, 5.02)
    payloads = [pcmu_octets(SIGNALS[signal]) for signal in (1, 0, 1)]
    assert [each.payload for each in first] == [each.payload for each in second] == payloads
    assert [(each.row, each.type, each.ssrc) for each in first] == [
        (row, kind, 1000 + row) for row, kind in zip(rows, (0, 18, 0), strict=True)
    ]
    # Both wrap: 16 bits of sequence, 32 of timestamp.
    assert {(each.marker, each.seq, each.stamp) for each in first} == {(True, 0xFFFF, 0xFFFFFFFF - 40)}
    assert {(each.marker, each.seq, each.stamp) for each in second} == {(False, 0, 119)}
    assert found.sent[rows].tolist() == [2, 2, 2]
    assert found.sent_octets[rows].tolist() == [320, 320, 320]


def test_an_event_takes_the_place_of_one_rows_audio_only_once() -> None:
    found, rows = streams()
    sender = TableSender(found, "PCMU", [Listener(row, 0, 0) for row in rows])
    sender.begin(5.0, frozenset(rows))
    before = sent(sender, 5.0)
    events = sent(sender, 5.02, {rows[1]: Override(EVENT, 101, True, behind=160), 99: Override(EVENT, 101, True)})
    after = sent(sender, 5.04)
    assert [each.type for each in events] == [0, 101, 0]
    assert events[1].payload == EVENT
    assert events[1].marker
    assert events[1].stamp == before[1].stamp
    assert [each.type for each in after] == [0, 0, 0]
    assert [len(each.payload) for each in after] == [OCTETS] * 3
    assert [(each.seq - first.seq) & 0xFFFF for first, each in zip(before, after, strict=True)] == [2, 2, 2]
    assert found.sent_octets[rows].tolist() == [480, 324, 480]


@pytest.mark.parametrize("gap", [0.0, 0.005, 0.02, 1.0])
def test_who_was_fed_otherwise_goes_on_by_time(gap: float) -> None:
    found, (row, *_) = streams()
    found.own_at[row], found.own_stamp[row] = 4.0, 1000
    sender = TableSender(found, "PCMU", [Listener(row, 0, 0)])
    sender.begin(4.0 + gap, frozenset())
    (packet,) = sent(sender, 4.0 + gap)
    assert packet.stamp - 1000 == pytest.approx(max(160, gap * 8000), abs=1)
    assert packet.marker
    again = TableSender(found, "PCMU", [Listener(row, 0, 0)])
    again.begin(9.0, frozenset([row]))
    (following,) = sent(again, 9.0)
    assert (following.stamp - packet.stamp, following.marker) == (160, False)


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
def test_packets_of_another_length_carry_every_octet_in_time(ptime: int) -> None:
    found, (row, *_) = streams()
    sender = PacedSender(found, pcmu_octets, 8000, ptime, Listener(row, 0, 1))
    sender.begin(5.0, frozenset())
    packets = [each for tick in range(12) for each in sent(sender, 5.0 + tick * 0.02)]
    assert len(packets) == 240 // ptime
    assert {len(each.payload) for each in packets} == {ptime * 8}
    assert b"".join(each.payload for each in packets) == pcmu_octets(SIGNALS[1]) * 12
    assert [each.marker for each in packets] == [True] + [False] * (len(packets) - 1)
    for one, other in pairwise(packets):
        assert (other.seq - one.seq) & 0xFFFF == 1
        assert (other.stamp - one.stamp) & 0xFFFFFFFF == ptime * 8


@pytest.mark.parametrize("ptime", [10, 30, 40, 60])
@pytest.mark.parametrize("at", range(4))
def test_events_among_packets_of_another_length_break_neither_sequence_nor_time(ptime: int, at: int) -> None:
    found, (row, *_) = streams()
    sender = PacedSender(found, pcmu_octets, 8000, ptime, Listener(row, 0, 0))
    sender.begin(5.0, frozenset([row]))
    packets = []
    for tick in range(20):
        events = {row: Override(EVENT, 101, tick == at, behind=160 * (tick - at))} if at <= tick < at + 5 else {}
        packets += [(each, tick) for each in sent(sender, 5.0 + tick * 0.02, events)]
    for (one, _), (other, _) in pairwise(packets):
        assert (other.seq - one.seq) & 0xFFFF == 1
    begun = {each.stamp for each, _ in packets if each.type == 101}
    assert len(begun) == 1
    base = (begun.pop() - at * 160) & 0xFFFFFFFF
    for each, tick in packets:
        if each.type == 0 and ptime > 10:
            # A packet is sent when its last frame is there, and bears the time of its first sample.
            begin = (each.stamp - base) & 0xFFFFFFFF
            assert tick * 160 - ptime * 8 < begin <= tick * 160


def test_discontinuous_transmission_keeps_the_sequence_and_marks_what_follows() -> None:
    found, (row, other, _) = streams()
    encoder, second = Encoder(ToyCodec()), Encoder(ToyCodec())
    second.signal = 1
    sender = FramedSender(
        found, 8000, [Listener(row, 96, 0), Listener(other, 96, 1)], [(encoder, range(1)), (second, range(1, 2))]
    )
    sender.begin(5.0, frozenset())
    quiet = np.stack((np.zeros(OCTETS, np.int16), SIGNALS[1]))
    told = [sent(sender, 5.0 + tick * 0.02, signals=quiet if tick in (0, 3, 4) else SIGNALS) for tick in range(8)]
    mine = [each for batch in told for each in batch if each.row == row]
    theirs = [each for batch in told for each in batch if each.row == other]
    assert [len(batch) for batch in told] == [1, 2, 2, 1, 1, 2, 2, 2]
    assert [each.marker for each in mine] == [True, False, True, False, False]
    assert [each.marker for each in theirs] == [True] + [False] * 7
    assert [(each.seq - mine[0].seq) & 0xFFFF for each in mine] == [0, 1, 2, 3, 4]
    assert [((each.stamp - mine[0].stamp) & 0xFFFFFFFF) // 160 for each in mine] == [0, 1, 4, 5, 6]
    assert found.sent[row] == 5
    # An event goes out though its audio would not.
    event = sent(sender, 5.2, {row: Override(EVENT, 101, True)}, signals=quiet)
    assert {each.type for each in event if each.row == row} == {101}


def test_packets_of_several_frames_have_a_marker_first_and_count_none_that_is_not_whole() -> None:
    found, (row, *_) = streams()
    sender = FramedSender(found, 48000, [Listener(row, 96, 0)], [(Encoder(ToyCodec(), 3), range(1))])
    sender.begin(5.0, frozenset())
    told = [sent(sender, 5.0 + tick * 0.02) for tick in range(9)]
    assert [len(batch) for batch in told] == [0, 0, 1] * 3
    packets = [each for batch in told for each in batch]
    assert [each.marker for each in packets] == [True, False, False]
    assert [(each.stamp - packets[0].stamp) & 0xFFFFFFFF for each in packets] == [0, 2880, 5760]
    assert [(each.seq - packets[0].seq) & 0xFFFF for each in packets] == [0, 1, 2]
    assert struct.unpack("!hH", packets[0].payload)[1] == 3 * OCTETS


def test_a_new_row_was_never_sent_anything() -> None:
    found, (row, *_) = streams()
    assert found.own_at[row] == NEVER

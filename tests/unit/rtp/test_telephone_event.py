"""RFC 4733: events counted once whatever the network does; what is sent."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest

from rtp.telephone_event import DIGITS, MAX_PACKED, MEMORY, REMEMBERED, SILENCE, EventReceiver, EventSender, Told

STEP = 160
ROW = 7


def block(digit: str, duration: int, end: bool = False) -> bytes:
    return struct.pack("!BBH", DIGITS.index(digit), 10 | end << 7, duration)


class Line:
    """Packets to one receiver, a packet's time by its place."""

    def __init__(self) -> None:
        self.receiver = EventReceiver()
        self.seq = 65_530
        self.now = 100.0

    def put(self, stamp: int, payload: bytes, marker: bool = False, behind: int = 0) -> list[Told]:
        """`behind`: how many packets later than in its turn it comes."""
        if not behind:
            self.seq += 1
        self.now += 0.02
        return self.receiver.receive(ROW, self.seq - behind, stamp, marker, payload, self.now)


def sent(digits: str, **lengths: int) -> Iterator[tuple[int, int, bool, bytes]]:
    """(sequence number, timestamp, marker, payload) of what a sender gives in each tick; audio takes numbers, too."""
    sender = EventSender()
    sender.queue(ROW, digits, **lengths)
    step = lengths.get("clock", 8000) // 50
    seq, stamp = 65_000, 0xFFFFF000
    while ROW in sender.rows:
        packet = sender.packet(ROW)
        if packet is not None:
            payload, marker, offset = packet
            yield seq & 0xFFFF, stamp + offset & 0xFFFFFFFF, marker, payload
        seq += 1
        stamp += step


def blocks(digits: str, **lengths: int) -> list[tuple[int, bool, int, bool]]:
    """(timestamp since the first, marker, duration, end) of each packet sent."""
    packets = list(sent(digits, **lengths))
    first = packets[0][1]
    return [(stamp - first & 0xFFFFFFFF, marker, *_durations(payload)) for _, stamp, marker, payload in packets]


def _durations(payload: bytes) -> tuple[int, bool]:
    _, flags, duration = struct.unpack("!BBH", payload)
    return duration, bool(flags & 0x80)


# ---- sent


def test_a_digit_is_sent_with_growing_duration_and_its_last_packet_three_times() -> None:
    """RFC 4733 2.5.1.4: the final packet three times; 2.5.1.2: the marker on the first."""
    assert blocks("5") == [
        (0, True, 160, False),
        (0, False, 320, False),
        (0, False, 480, False),
        (0, False, 640, False),
        (0, False, 800, True),
        (0, False, 800, True),
        (0, False, 800, True),
    ]


def test_a_duration_that_is_no_multiple_of_the_packet_time_is_sent_as_it_is() -> None:
    assert blocks("5", duration_ms=50)[-3:] == [(0, False, 400, True)] * 3
    assert [b[2] for b in blocks("5", duration_ms=10)] == [160, 320, 320, 320], "40 ms at least"


@pytest.mark.parametrize(("gap_ms", "ticks"), [(60, 3), (0, 2), (100, 5), (50, 3)])
def test_the_gap_counts_from_the_event_and_holds_its_repeats(gap_ms: int, ticks: int) -> None:
    stamps = [b[0] for b in blocks("12", gap_ms=gap_ms)]
    assert stamps == [0] * 7 + [(5 + ticks) * STEP] * 7


def test_a_comma_pauses() -> None:
    assert blocks("1,2")[-1][0] == (5 + 3 + 25) * STEP
    assert list(sent(",")) == []


def test_a_long_event_is_sent_in_segments() -> None:
    """RFC 4733 2.5.1.3: a segment of 0xFFFF without end bit, then a contiguous one without marker."""
    told = blocks("1", duration_ms=9000)
    cut = next(n for n, b in enumerate(told) if b[0])
    assert told[cut - 1] == (0, False, 0xFFFF, False)
    assert told[cut] == (0xFFFF, False, 411 * STEP - 0xFFFF, False)
    assert told[-1] == (0xFFFF, False, 72_000 - 0xFFFF, True)
    assert [b[1] for b in told].count(True) == 1


def test_an_event_whose_last_tick_fills_a_segment_ends_in_the_next_one() -> None:
    told = blocks("1", duration_ms=8195)
    assert told[-4:] == [(0, False, 0xFFFF, False)] + [(0xFFFF, False, 8195 * 8 - 0xFFFF, True)] * 3


def test_each_row_has_its_queue_and_a_row_without_one_sends_audio() -> None:
    sender = EventSender()
    assert sender.next([1, 2]) == []
    sender.queue(1, "7")
    sender.queue(3, "8", clock=48_000)
    assert sender.next([1, 2]) == [(1, (block("7", 160), True, 0))]
    assert sender.packet(3) == (block("8", 960), True, 0)
    assert sender.next([1, 2, 3]) == [(1, (block("7", 320), False, -160)), (3, (block("8", 1920), False, -960))]
    assert sender.packet(2) is None
    sender.cancel(1)
    assert sender.rows == [3]
    sender.queue(3, "")
    sender.queue(3, "9", clock=48_000)
    rest = [sender.packet(3) for _ in range(14)]
    assert [n for n, packet in enumerate(rest) if packet and packet[1]] == [6]
    assert rest[6:13] == [
        *((block("9", 960 * (n + 1)), not n, -960 * n) for n in range(4)),
        *((block("9", 4800, True), False, -960 * n) for n in range(4, 7)),
    ]


def test_what_is_no_digit_is_refused_whole() -> None:
    sender = EventSender()
    with pytest.raises(ValueError, match="'Ex'"):
        sender.queue(1, "1xE")
    assert sender.rows == []


# ---- received


@pytest.mark.parametrize("clock", [8000, 48_000])
def test_what_is_sent_is_received(clock: int) -> None:
    receiver = EventReceiver()
    told = []
    for n, (seq, stamp, marker, payload) in enumerate(sent("0123456789*#ABCD!", clock=clock)):
        told += receiver.receive(ROW, seq, stamp, marker, payload, n * 0.02)
    assert [t for t in told if t[2]] == [(digit, clock // 10, True) for digit in "0123456789*#ABCD!"]
    assert [t for t in told if not t[2]] == [(digit, clock // 50, False) for digit in "0123456789*#ABCD!"]
    assert receiver.counters == {"malformed": 0, "other": 0, "late": 0}


def test_an_event_counts_from_any_of_its_packets() -> None:
    for packet in (block("5", 160), block("5", 640), block("5", 800, True)):
        line = Line()
        told = line.put(1000, packet)
        told += [row[1:] for row in line.receiver.expire(line.now + SILENCE)]
        assert [t[0] for t in told if t[2]] == ["5"]


def test_an_event_without_end_ends_when_the_next_one_begins() -> None:
    line = Line()
    line.put(1000, block("5", 160), True)
    line.put(1000, block("5", 480))
    assert line.put(3000, block("5", 160), True) == [("5", 480, True), ("5", 160, False)]
    assert line.put(1000, block("5", 800, True), behind=1) == []


def test_silence_ends_an_event_once() -> None:
    line = Line()
    line.put(1000, block("5", 320), True)
    assert line.receiver.expire(line.now + SILENCE - 0.01) == []
    assert line.receiver.expire(line.now + SILENCE + 0.01) == [(ROW, "5", 320, True)]
    assert line.receiver.expire(line.now + SILENCE + 0.03) == []
    assert line.put(1000, block("5", 800, True)) == []
    assert line.put(3000, block("5", 800, True)) == [("5", 800, True)]


def test_an_event_overtaken_by_the_next_one_is_told_before_it() -> None:
    line = Line()
    line.put(1000, block("1", 160), True)
    line.seq += 3
    assert line.put(5000, block("3", 160), True) == [("1", 160, True), ("3", 160, False)]
    assert line.put(3000, block("2", 800, True), behind=2) == [("2", 800, True)]
    assert line.put(3000, block("2", 800, True), behind=1) == []
    assert line.put(5000, block("3", 800, True)) == [("3", 800, True)]


@pytest.mark.parametrize("lost", [(), (1,), (2,), (1, 2)])
def test_segments_of_a_long_event_are_one_digit(lost: tuple[int, ...]) -> None:
    """RFC 4733 2.5.1.3, with the packets lost that stand around the border."""
    line = Line()
    packets = [(1000, block("5", 0xFFFF - 400)), (1000, block("5", 0xFFFF)), (1000 + 0xFFFF, block("5", 200))]
    packets += [(1000 + 0xFFFF, block("5", 5000, True))] * 3
    told = []
    for n, (stamp, payload) in enumerate(packets):
        if n not in lost:
            told += line.put(stamp, payload)
    assert told == [("5", 0xFFFF - 400, False), ("5", 0xFFFF + 5000, True)]


def test_a_long_event_that_was_told_by_silence_is_not_told_again_by_its_next_segment() -> None:
    line = Line()
    line.put(1000, block("5", 0xFFFF - 4000), True)
    assert len(line.receiver.expire(line.now + 0.5)) == 1
    line.now += 0.6
    assert line.put(1000 + 0xFFFF, block("5", 800)) == []
    assert line.put(1000 + 0xFFFF, block("5", 1800, True)) == []
    assert line.put(90_000, block("5", 160), True) == [("5", 160, False)]


def test_a_segment_s_distance_alone_makes_no_segment() -> None:
    for first, marker in ((block("5", 800), False), (block("5", 0xFFFF), True), (block("5", 60_000, True), False)):
        line = Line()
        line.put(1000, first, True)
        told = line.put(1000 + 0xFFFF, block("5", 160), marker)
        assert told[-1] == ("5", 160, False)


def test_events_in_one_packet_are_consecutive() -> None:
    """RFC 4733 2.5.1.5."""
    line = Line()
    told = line.put(1000, block("1", 400, True) + block("2", 400, True) + block("3", 100), True)
    assert told == [("1", 400, True), ("2", 400, True), ("3", 100, False)]
    assert line.put(1400, block("2", 400, True)) == []
    assert line.put(1800, block("3", 400, True)) == [("3", 400, True)]


def test_what_is_malformed_or_no_digit_is_counted() -> None:
    line = Line()
    for payload in (b"", b"\x01\x80\x00", bytes(5), bytes(4 * MAX_PACKED + 4)):
        assert line.put(1000, payload) == []
    assert line.receiver.counters["malformed"] == 4
    assert line.put(1000, block("1", 0) + block("1", 400)) == [("1", 0, False)]
    assert line.receiver.counters["malformed"] == 5
    assert line.put(2000, b"\x20\x0a\x01\x90") == []
    assert line.receiver.counters["other"] == 1


def test_what_is_older_than_all_that_is_remembered_is_late() -> None:
    line = Line()
    for n in range(1, REMEMBERED + 2):
        line.put(1000 * n, block("1", 400, True))
    assert line.put(1000, block("1", 400, True), behind=9) == []
    assert line.put(500, block("4", 400, True), behind=10) == []
    assert line.receiver.counters["late"] == 2


def test_a_sender_that_begins_its_timestamps_anew_is_heard() -> None:
    line = Line()
    for n in range(1, REMEMBERED + 2):
        line.put(2_000_000 + 1000 * n, block("1", 400, True))
    assert line.put(50, block("2", 400, True), True) == [("2", 400, True)], "newer by its sequence number"
    line.now += MEMORY
    assert line.put(20, block("3", 160), True, behind=5) == [("3", 160, False)], "nothing is late after so long"
    line.now += MEMORY
    assert line.put(20, block("3", 160), True) == [("3", 160, True), ("3", 160, False)]
    line.receiver.reset(ROW)
    assert line.receiver.expire(line.now + 1) == []
    assert line.put(20, block("3", 160), True) == [("3", 160, False)]


# ---- over a network

EVENTS = 10_000
SPREAD = 0.06  # seconds by which packets are delayed at most: they overtake each other by three


def over_a_network(loss: float, seed: int) -> tuple[list[str], list[str], int]:
    """Digits of which a packet got through, digits told, and how many were sent."""
    rng = random.Random(seed)
    digits = [rng.choice(DIGITS) for _ in range(EVENTS)]
    arrivals = []
    survived = set()
    event = -1
    for n, (seq, stamp, marker, payload) in enumerate(sent("".join(digits), duration_ms=80)):
        event += marker
        # Six packets an event, in seven ticks.
        at = (n // 6 * 7 + n % 6) * 0.02
        copies = (rng.random() >= loss) + (rng.random() < 0.1)
        for _ in range(copies):
            survived.add(event)
            arrivals.append((at + rng.random() * SPREAD, seq, stamp, marker, payload))
    arrivals.sort(key=lambda arrival: arrival[0])
    receiver = EventReceiver()
    told = []
    for at, seq, stamp, marker, payload in arrivals:
        told += [row[1:] for row in receiver.expire(at)]
        told += receiver.receive(ROW, seq, stamp, marker, payload, at)
    told += [row[1:] for row in receiver.expire(arrivals[-1][0] + 1)]
    return [digits[n] for n in sorted(survived)], [t[0] for t in told if t[2]], receiver.counters["late"]


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.1, 0.3, 0.6])
def test_no_event_is_lost_or_doubled_whatever_the_network_does(loss: float) -> None:
    """10,000 events of 80 ms and 60 ms gap, random loss, every tenth packet doubled, delays of 0-60 ms."""
    through, told, late = over_a_network(loss, seed=int(loss * 100))
    assert told == through
    assert len(through) == EVENTS if loss <= 0.1 else len(through) > 0.95 * EVENTS
    assert late == 0

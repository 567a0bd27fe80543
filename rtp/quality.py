"""How streams sound, estimated by the E-model: of each interval, and of the whole call.

    StreamQuality   rows of a jitter buffer: loss after it, its delay, how losses cluster
    RelayQuality    streams that are passed on undecoded: what the relay counts, and an assumed jitter buffer
    Scores          what the intervals of each stream come to

Loss counts after the jitter buffer: packets that never came, that came too late, or were not believed. Delay is what a
packet needs from mouth to ear: packetisation and look-ahead, half the round trip, the jitter buffer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtp import emodel
from rtp.playout import PlayoutBank
from rtp.playout_bursts import burst_ratio
from rtp.playout_columns import F64, I64, Bool
from rtp.table import EARS_AUDIO, NOBODY, StreamTable

INTERVAL_SECONDS = 5.0
FEWEST_PACKETS = 10  # an interval with fewer says nothing: the peer was silent
LEAST_PACKETS = 50  # an interval with fewer, the last one of a call, is no call's worst: one loss would be much of it
INITIAL_ROWS = 16
MAX_BURST_RATIO = 2.0  # beyond it G.107 7.5 has not been verified
ASSUMED_BUFFER_MS = 20.0  # a telephone's jitter buffer holds so much at least, and twice the jitter
POOR_MOS = 3.6  # "many users dissatisfied" below it (ITU-T G.109: R of 70)
CHANGED_MOS = 0.3  # a change that is heard
BEST_MOS = 4.41  # R of 93.2: what everybody expects until told otherwise

_WHOLE = ("_expected", "_bad", "_missed", "_runs")
_REAL = ("_ie", "_bpl", "_look_ahead")


class Interval(NamedTuple):
    """Columns of one interval, in the order of the rows asked for."""

    heard: Bool
    """Enough packets were expected to tell; the others are 0 where this is False."""
    packets: I64
    """Expected."""
    mos: F64
    """Conversational (MOS-CQ of RFC 3611 4.7.5)."""
    listening: F64
    """The same without what delay costs (MOS-LQ)."""
    rating: F64
    """R of the E-model."""
    loss: F64
    """Fraction."""
    delay_ms: F64
    """One way, mouth to ear."""
    burst_ratio: F64


class Summary(NamedTuple):
    """One stream, all intervals; 0 where none told anything."""

    intervals: int
    last: float
    mean: float
    """By packets."""
    least: float


def estimate(packets: I64, loss: F64, delay_ms: F64, ie: F64, bpl: F64, ratio: F64) -> Interval:
    """One interval of streams that expected so many packets."""
    heard = packets >= FEWEST_PACKETS
    # Without echo delay is all that is between listening and conversing.
    listening = emodel.rating(0.0, ie, bpl, loss, ratio)
    rating = np.maximum(listening - emodel.delay(delay_ms), 0.0)
    columns = (emodel.mos(rating), emodel.mos(listening), rating, loss, delay_ms, ratio)
    return Interval(heard, packets * heard, *(column * heard for column in columns))


class StreamQuality:
    """Estimates for the rows of one bank; row numbers are the bank's."""

    __slots__ = ("_bad", "_bank", "_bpl", "_capacity", "_expected", "_ie", "_look_ahead", "_missed", "_runs")

    def __init__(self, bank: PlayoutBank) -> None:
        self._bank = bank
        self._capacity = 0
        self._expected = self._bad = self._missed = self._runs = np.zeros(0, np.int64)
        self._ie = self._bpl = self._look_ahead = np.zeros(0)
        self._grow(INITIAL_ROWS)

    def open(self, row: int, codec: emodel.Codec) -> None:
        """A new stream, its row just opened in the bank."""
        if row >= self._capacity:
            self._grow(max(self._capacity, row + 1 - self._capacity))
        for column in (self._expected, self._bad, self._missed, self._runs):
            column[row] = 0
        self.recode(row, codec)

    def recode(self, row: int, codec: emodel.Codec) -> None:
        """The peer sends another codec from now on."""
        self._ie[row], self._bpl[row], self._look_ahead[row] = codec

    def measure(self, rows: I64, round_trip_ms: F64) -> Interval:
        """The time since these rows were measured last. `round_trip_ms`: of the network, 0 where it is not known."""
        bank, c = self._bank, self._bank.columns
        expected = bank.expected(rows)
        bad = bank.lost(rows) + c.late[rows] + c.strange[rows]
        new = expected - self._expected[rows]
        # Reordering over the edge of an interval gives back what it took: below 0 it is none.
        loss = np.clip((bad - self._bad[rows]) / np.maximum(new, 1), 0.0, 1.0)
        packet = c.packet[rows]
        ratio = burst_ratio(
            c.missed[rows] - self._missed[rows], c.bursts[rows] - self._runs[rows], packet / bank.n, loss
        )
        ratio = np.minimum(ratio, MAX_BURST_RATIO)
        delay = bank.delay_ms(rows) + round_trip_ms / 2 + packet * (1000 / bank.rate) + self._look_ahead[rows]
        interval = estimate(new, loss, delay, self._ie[rows], self._bpl[rows], ratio)
        heard = interval.heard
        told = rows[heard]
        self._expected[told] = expected[heard]
        self._bad[told] = bad[heard]
        self._missed[told] = c.missed[told]
        self._runs[told] = c.bursts[told]
        return interval

    def _grow(self, more: int) -> None:
        self._capacity += more
        for name in _WHOLE:
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(more, np.int64))))
        for name in _REAL:
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(more))))


class RelayQuality:
    """Estimates for streams that are only relayed, by row of the stream table. What the far end's jitter buffer does is
    assumed: it delays by twice the jitter, at least ASSUMED_BUFFER_MS, and nothing comes too late for it."""

    __slots__ = ("_bpl", "_ie", "_look_ahead", "_received", "_ssrc", "_table", "_top", "packet_ms")

    def __init__(self, table: StreamTable) -> None:
        self._table = table
        self._ssrc: I64 = np.zeros(0, np.int64)
        self._top: I64 = np.zeros(0, np.int64)
        self._received: I64 = np.zeros(0, np.int64)
        self.packet_ms = self._ie = self._bpl = self._look_ahead = np.zeros(0)
        self._grow()

    def open(self, row: int) -> None:
        """A new stream."""
        if row >= len(self._ssrc):
            self._grow()
        self._ssrc[row] = -1

    def recode(self, row: int, codec: emodel.Codec, packet_ms: float) -> None:
        """What its peer sends from now on."""
        self._ie[row], self._bpl[row], self._look_ahead[row] = codec
        self.packet_ms[row] = packet_ms

    def measure(self, rows: I64) -> tuple[I64, Interval]:
        """The time since these rows were measured last: those of them that are relayed now, and their interval."""
        table = self._table
        rows = rows[table.ssrc[rows] >= 0]
        expected, received = table.progress(rows, self._ssrc, self._top, self._received)
        relayed = (table.target[rows] != NOBODY) & (table.ears[rows] & EARS_AUDIO == 0)
        rows, expected, received = rows[relayed], expected[relayed], received[relayed]
        loss = np.clip((expected - received) / np.maximum(expected, 1), 0.0, 1.0)
        jitter_ms = table.jitter[rows] / table.clock[rows] * 1000
        buffer_ms = np.maximum(2 * jitter_ms, ASSUMED_BUFFER_MS)
        # From the talker to here, and on to the listener.
        trips = table.round_trip[rows].clip(0) + table.round_trip[table.target[rows]].clip(0)
        delay = self.packet_ms[rows] + self._look_ahead[rows] + buffer_ms + trips * 500
        return rows, estimate(expected, loss, delay, self._ie[rows], self._bpl[rows], np.ones(len(rows)))

    def _grow(self) -> None:
        more = self._table.capacity - len(self._ssrc)
        self._ssrc = np.concatenate((self._ssrc, np.full(more, -1, np.int64)))
        for name in ("_top", "_received"):
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(more, np.int64))))
        for name in ("packet_ms", *_REAL):
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(more))))


class Scores:
    """What the intervals of each stream come to, by row of the stream table.

    last, listening, rating     of the latest interval that told anything; -1: there was none
    least                       the worst interval
    """

    __slots__ = ("_count", "_packets", "_sum", "_told", "last", "least", "listening", "rating")

    def __init__(self, capacity: int) -> None:
        self.last = self.listening = self.rating = self.least = self._sum = self._told = np.zeros(0)
        self._count: I64 = np.zeros(0, np.int64)
        self._packets: I64 = np.zeros(0, np.int64)
        self._grow(capacity)

    def open(self, row: int) -> None:
        """A new stream."""
        if row >= len(self._count):
            self._grow(max(len(self._count), row + 1 - len(self._count)))
        self._count[row] = self._packets[row] = 0
        self._sum[row] = 0.0
        self._told[row] = BEST_MOS
        self.least[row] = np.inf
        self.last[row] = self.listening[row] = self.rating[row] = -1.0

    def add(self, rows: I64, interval: Interval) -> I64:
        """Take an interval of each row. Which of them (indexes) tell news: worse than POOR_MOS, where it had been
        better, or otherwise by CHANGED_MOS than what was news before."""
        heard = interval.heard.nonzero()[0]
        rows, packets, mos = rows[heard], interval.packets[heard], interval.mos[heard]
        self._sum[rows] += mos * packets
        self._packets[rows] += packets
        self.last[rows], self.listening[rows], self.rating[rows] = (
            mos,
            interval.listening[heard],
            interval.rating[heard],
        )
        counts = (packets >= LEAST_PACKETS) | (self._count[rows] == 0)
        self.least[rows[counts]] = np.minimum(self.least[rows[counts]], mos[counts])
        self._count[rows] += 1
        told = self._told[rows]
        news = (np.abs(mos - told) > CHANGED_MOS) | ((mos < POOR_MOS) & (told >= POOR_MOS))
        self._told[rows[news]] = mos[news]
        chosen: I64 = heard[news]
        return chosen

    def summary(self, row: int) -> Summary:
        count = int(self._count[row])
        if not count:
            return Summary(0, 0.0, 0.0, 0.0)
        return Summary(count, float(self.last[row]), float(self._sum[row] / self._packets[row]), float(self.least[row]))

    def _grow(self, more: int) -> None:
        for name in ("last", "listening", "rating", "least", "_sum", "_told"):
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(more))))
        for name in ("_count", "_packets"):
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(more, np.int64))))

"""How streams sound, estimated by the E-model: of each interval, and of the whole call.

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

INTERVAL_SECONDS = 5.0
FEWEST_PACKETS = 10  # an interval with fewer says nothing: the peer was silent
INITIAL_ROWS = 16
MAX_BURST_RATIO = 2.0  # beyond it G.107 7.5 has not been verified


class Interval(NamedTuple):
    """Columns of one interval, in the order of the rows asked for."""

    heard: Bool
    """Enough packets were expected to tell; the others are 0 where this is False."""
    mos: F64
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
    least: float


class StreamQuality:
    """Estimates for the rows of one bank; row numbers are the bank's."""

    __slots__ = (
        "_bad",
        "_bank",
        "_bpl",
        "_capacity",
        "_count",
        "_expected",
        "_ie",
        "_last",
        "_least",
        "_look_ahead",
        "_missed",
        "_runs",
        "_sum",
    )

    def __init__(self, bank: PlayoutBank) -> None:
        self._bank = bank
        self._capacity = 0
        self._expected = self._bad = self._missed = self._runs = self._count = np.zeros(0, np.int64)
        self._ie = self._bpl = self._look_ahead = self._last = self._least = self._sum = np.zeros(0)
        self._grow(INITIAL_ROWS)

    def open(self, row: int, codec: emodel.Codec) -> None:
        """A new stream, its row just opened in the bank."""
        if row >= self._capacity:
            self._grow(max(self._capacity, row + 1 - self._capacity))
        for column in (self._expected, self._bad, self._missed, self._runs, self._count, self._sum, self._last):
            column[row] = 0
        self._least[row] = np.inf
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
        rating = emodel.rating(delay, self._ie[rows], self._bpl[rows], loss, ratio)
        score = emodel.mos(rating)
        heard = new >= FEWEST_PACKETS
        told = rows[heard]
        self._expected[told] = expected[heard]
        self._bad[told] = bad[heard]
        self._missed[told] = c.missed[told]
        self._runs[told] = c.bursts[told]
        self._count[told] += 1
        self._sum[told] += score[heard]
        self._last[told] = score[heard]
        self._least[told] = np.minimum(self._least[told], score[heard])
        return Interval(heard, score * heard, rating * heard, loss * heard, delay * heard, ratio * heard)

    def summary(self, row: int) -> Summary:
        count = int(self._count[row])
        if not count:
            return Summary(0, 0.0, 0.0, 0.0)
        return Summary(count, float(self._last[row]), float(self._sum[row]) / count, float(self._least[row]))

    def _grow(self, more: int) -> None:
        self._capacity += more
        for name in ("_expected", "_bad", "_missed", "_runs", "_count"):
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(more, np.int64))))
        for name in ("_ie", "_bpl", "_look_ahead", "_last", "_least", "_sum"):
            setattr(self, name, np.concatenate((getattr(self, name), np.zeros(more))))

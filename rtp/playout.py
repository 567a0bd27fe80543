"""Playout: packets that come when they like become a frame every 20 ms, for all rows of a bank at once.

    arrived    when does each packet play?            rtp.playout_arrival
    write      decoded samples into the ring
    play       the next frame of every row, what is missing in it, and the delay adapted    rtp.playout_frame

A row is one received voice. Its ring holds decoded samples by position, MISSING where nothing came. `play` reads a
frame a tick and clears it. The delay grows by an *insertion*, a tick in which the row stands still and concealment is
heard, and shrinks by a *drop*, two frames read in one tick: where the frame is silent or missing anyway, forced (one
fades into the other) only after long, or when the delay is beyond its maximum.

A row plays, or it idles: before its first packet, and after a peer has fallen silent. Idle rows give silence that
counts as nothing; their timeline runs on, so that a peer that was silent comes back with the delay it had.

    renew --first packet--> waits 20-40 ms --> plays --IDLE_FRAMES missing, nothing behind them--> idles
                                                 ^---------------- next packet ------------------------'
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtp.playout_arrival import MARGIN_PARTS, MAX_DELAY_SECONDS, arrive_all
from rtp.playout_columns import (
    BUCKETS,
    F64,
    FAR,
    FRAME_SECONDS,
    I16,
    I64,
    INITIAL_ROWS,
    RING,
    RING_MASK,
    Bool,
    PlayoutColumns,
)
from rtp.playout_frame import HOLED, IDLING, next_frames

ROLL_TICKS = 100  # a part of the window: 2 s, the whole window 8 s

_LOUDEST = np.array(-32767, np.int16)
_RING_MASK = np.array(RING_MASK)
_RING = np.array(RING)
_ZERO = np.array(0)
_count = np.count_nonzero


class Played(NamedTuple):
    """What `play` gives, in the order of the rows asked for."""

    frames: I16
    """(k, n); 0 where samples are missing. The caller's to change."""
    missing: Bool
    """(k,): some or all samples are not there and are to be concealed."""
    started: Bool
    """(k,): the row plays; where not, its frame is silence and nothing is missing."""
    holes: Bool
    """(number of missing, n): which samples, for the missing ones in order."""


class PlayoutBank:
    """Jitter buffers of one sampling rate. See `PlayoutColumns` for what is counted for each row.

    All rows that are open are played every tick; those played at the same `now` are of the same tick.
    """

    __slots__ = ("_margin", "columns", "max_delay", "n", "rate")

    def __init__(self, rate: int, max_delay: float = MAX_DELAY_SECONDS, capacity: int = INITIAL_ROWS) -> None:
        self.columns = PlayoutColumns(rate, capacity)
        self.rate = rate
        self.n = self.columns.n
        self.max_delay = round(max_delay * rate)
        """Samples."""
        self._margin = self.n // MARGIN_PARTS

    # -- rows

    @property
    def rows(self) -> int:
        """Rows taken."""
        return self.columns.rows

    def take(self) -> int:
        """A row of nobody's, to be opened."""
        return self.columns.take()

    def free(self, row: int) -> None:
        """Give a row back. ValueError when it is not taken."""
        self.columns.free(row)

    def open(self, row: int, clock: int) -> None:
        """Begin anew, statistics too, with an RTP clock of `clock` Hz (8000 for G.722 in a bank of 16000 Hz)."""
        self.columns.renewed(row, clock)

    def reset(self, row: int) -> None:
        """Another SSRC follows: sequence numbers and timestamps begin anew. What is buffered still plays; the delay
        learned and the statistics stay."""
        c = self.columns
        if c.seq_top[row] >= 0:
            c.expected_before[row] += c.seq_top[row] - c.seq_base[row] + 1
        c.seq_top[row] = -1
        c.shift[row] = FAR
        c.renew[row] = 1

    # -- packets

    def arrived(self, rows: I64, stamps: I64, seqs: I64, marks: Bool, counts: I64, now: float) -> I64:
        """Packets in order of arrival, a row as often as it has any: RTP timestamps, sequence numbers, marker bits, and
        the samples at the bank's rate in each. The position of each one's first sample, -1: not to be written.

        Packets without audio (telephone-event, comfort noise) come with 0 samples: they keep the sequence whole.
        """
        c = self.columns
        positions: I64 = np.empty(len(rows), np.int64)
        bank = c.whole, c.lows, c.delay, c.due, c.frames, c.bucket, self.max_delay
        arrive_all(rows, stamps, seqs, marks, counts, *bank, now, positions)
        return positions

    def write(self, rows: I64, positions: I64, samples: I16, bounded: bool = False) -> None:
        """Decoded packets of one length, samples (k, m), to positions that `arrived` gave; -1 is passed over. Samples
        that were due before, or do not fit the ring, are left out. `bounded`: the decoder never gives MISSING."""
        c = self.columns
        n, size = self.n, samples.shape[1]
        if not size:
            return
        if not bounded:
            samples = np.maximum(samples, _LOUDEST)
        ahead = positions - c.head.take(rows) * n
        fits = ahead.view(np.uint64) <= np.uint64(RING * n - size) if size <= RING * n else ahead < _ZERO
        whole = bool(_count(fits) == len(rows))
        unit = self._unit(positions, size)
        if whole and unit == n == size:
            at = (positions // n & _RING_MASK) + rows * _RING
            c.frames[at] = samples
            return
        count = size // unit
        steps = np.arange(count)
        at = (positions // unit)[:, None] + steps
        at %= RING * n // unit
        at += (rows * (RING * n // unit))[:, None]
        cells = c.ring.reshape(-1, unit)
        parts = samples.reshape(len(rows), count, unit)
        if whole:
            cells[at] = parts
            return
        # Units that begin before what is read next were due; MISSING after a drop or a resync is no concern of theirs.
        begins = ahead[:, None] + steps * unit
        inside = (begins >= 0) & (begins < RING * n) & (positions >= 0)[:, None]
        cells[at[inside]] = parts[inside]

    def until(self, rows: I64) -> I64:
        """The positions that are read next."""
        return self.columns.head.take(rows) * self.n

    def wanted(self, rows: I64) -> I64:
        """The positions up to which the next `play` may read: a frame, two where one may be dropped. For decoders that
        run at playout, in order."""
        c = self.columns
        frames: I64 = c.head.take(rows) + (c.spare.take(rows) > 0) + 1
        return frames * self.n

    # -- every tick

    def begin(self, now: float) -> None:
        """A tick begins, if it has not yet."""
        if now > self.columns.next_tick - FRAME_SECONDS / 8:
            self._begin_tick(now)

    def play(self, rows: I64, now: float) -> Played:
        """The next frame of each of these rows, none twice."""
        c, size = self.columns, len(rows)
        self.begin(now)
        frames: I16 = np.empty((size, self.n), np.int16)
        kinds: I64 = np.empty(size, np.int64)
        holes: Bool = np.empty((size + 1, self.n), np.bool_)
        bank = c.whole, c.lows, c.delay, c.due, c.frames, c.bucket, c.tick, self.max_delay
        missing = next_frames(rows, *bank, now, frames, kinds, holes)
        return Played(frames, kinds == HOLED, kinds != IDLING, holes[:missing])

    # -- statistics

    def expected(self, rows: I64) -> I64:
        """Packets that were sent, as far as sequence numbers tell."""
        c = self.columns
        top = c.seq_top[rows]
        current: I64 = np.where(top >= 0, top - c.seq_base[rows] + 1, 0)
        return c.expected_before[rows] + current

    def lost(self, rows: I64) -> I64:
        """Packets that never came."""
        return self.expected(rows) - self.columns.received[rows]

    def delay_ms(self, rows: I64) -> F64:
        """Mean time that packets wait for their playout, in ms."""
        delay: F64 = np.maximum(self.columns.delay[rows], 0.0) * (1000.0 / self.rate)
        return delay

    # -- below

    def _unit(self, positions: I64, size: int) -> int:
        """The largest part of a frame that positions and size are multiples of."""
        for parts in (1, 2, 4):
            unit = self.n // parts
            if size % unit == 0 and not _count(positions % unit * (positions >= 0)):
                return unit
        return 1

    def _begin_tick(self, now: float) -> None:
        c = self.columns
        c.tick += 1
        c.next_tick = now + FRAME_SECONDS
        if c.tick % ROLL_TICKS == 0:
            self._roll()

    def _roll(self) -> None:
        """A part of the window is over: what may the delay shrink by?"""
        c = self.columns
        low = c.lows.min(axis=0)
        known = np.count_nonzero(c.lows < FAR // 2, axis=0) >= BUCKETS - 1
        spare = np.where(known, np.maximum((low - self._margin) // self.n, 0), 0)
        waits = (spare > 0) & (c.spare == 0)
        c.changed[waits] = c.tick
        c.spare[:] = spare
        c.busy[spare > 0] = 1
        c.bucket = (c.bucket + 1) % BUCKETS
        c.lows[c.bucket] = FAR

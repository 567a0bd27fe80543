"""Playout: packets that come when they like become a frame every 20 ms, for all rows of a bank at once.

    arrived    when does each packet play?            rtp.playout_arrival
    write      decoded samples into the ring
    play       the next frame of every row, what is missing in it, and the delay adapted

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
import numpy.typing as npt

from rtp.playout_arrival import MARGIN_SECONDS, MAX_DELAY_SECONDS, Arrivals
from rtp.playout_bursts import losses
from rtp.playout_columns import (
    BUCKETS,
    CALM_TICKS,
    F64,
    FAR,
    FORCE_TICKS,
    FRAME_SECONDS,
    HURRY_TICKS,
    I16,
    I64,
    INITIAL_ROWS,
    MISSING,
    RING,
    RING_MASK,
    SILENT_RMS,
    Bool,
    PlayoutColumns,
)

ROLL_TICKS = 100  # a part of the window: 2 s, the whole window 8 s
IDLE_FRAMES = 10  # missing in a row with nothing behind them: concealment has been silent for long
INSERT_TICKS = 4  # between insertions in speech: 25 % slower is hardly noticed

_MISSING = np.array(MISSING, np.int16)
_LOUDEST = np.array(-32767, np.int16)
_RING_MASK = np.array(RING_MASK)
_RING = np.array(RING)
_ZERO = np.array(0)
_ONE = np.array(1)
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

    __slots__ = ("_arrivals", "_fade", "_margin", "_max_delay", "columns", "longest", "n", "rate")

    def __init__(self, rate: int, max_delay: float = MAX_DELAY_SECONDS, capacity: int = INITIAL_ROWS) -> None:
        self.columns = PlayoutColumns(rate, capacity)
        self.rate = rate
        self.n = self.columns.n
        self._arrivals = Arrivals(self.columns, max_delay)
        self._max_delay = round(max_delay * rate)
        self.longest = float(self._max_delay + self.n)
        """Samples: a row whose delay is longer is to be shortened at once."""
        self._margin = round(MARGIN_SECONDS * rate)
        self._fade = np.arange(self.n, dtype=np.float32) / np.float32(self.n)

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
        return self._arrivals.arrived(rows, stamps, seqs, marks, counts, now)

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
        c = self.columns
        self.begin(now)
        size = len(rows)
        head = c.head.take(rows)
        at = (head & _RING_MASK) + rows * _RING
        frames = c.frames.take(at, axis=0)
        c.frames[at] = _MISSING
        c.head[rows] = head + _ONE
        c.due[rows] = now + FRAME_SECONDS
        close = frames.min(axis=1, initial=0) == _MISSING
        close |= (c.busy.take(rows) != _ZERO) | (c.delay.take(rows) > self.longest)
        missing = np.zeros(size, np.bool_)
        started = np.ones(size, np.bool_)
        near = np.flatnonzero(close)
        holes: Bool = np.zeros((0, self.n), np.bool_)
        if near.size:
            frames[near], missing[near], started[near], holes = self._closely(rows[near], head[near], frames[near])
        return Played(frames, missing, started, holes)

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

    def _closely(self, rows: I64, head: I64, frames: I16) -> tuple[I16, Bool, Bool, Bool]:
        """Rows that miss samples, idle, or are to be lengthened or shortened; `head` frames have been read already."""
        c, n = self.columns, self.n
        over = c.delay[rows] > self.longest
        if _count(over):
            long = rows[over]
            excess = np.ceil((c.delay[long] - self._max_delay) / n).astype(np.int64)
            c.spare[long] = np.maximum(c.spare[long], excess)
        holes = frames == _MISSING
        absent = _counted(holes)
        begin = c.begin[rows]
        playing = head >= begin
        inserted = playing & (c.pending[rows] > 0)
        dropped = (playing | (begin == FAR)) & (c.spare[rows] > 0)
        if _count(inserted) or _count(dropped):
            calm = absent == n
            calm |= (absent == 0) & _silent(frames)
            waited = c.tick - c.changed[rows]
            inserted &= calm | (waited >= INSERT_TICKS)
            if _count(inserted):
                self._insert(rows[inserted], head[inserted], frames[inserted])
            hurried = (c.delay[rows] > self._max_delay) & (c.top[rows] - head * n > self._max_delay)
            ready = np.where(hurried, waited >= HURRY_TICKS, waited >= FORCE_TICKS)
            ready |= (absent == n) | (calm & (waited >= CALM_TICKS))
            dropped &= ready & ~inserted
            # What came late since the window was judged needs the delay as it is; no excuse while it is too long.
            dropped &= hurried | (c.lows[c.bucket, rows] >= n + self._margin)
            if _count(dropped):
                self._drop(rows, head, frames, absent, dropped)
                holes = frames == _MISSING
                absent = _counted(holes)
        absent[inserted] = n
        self._account(rows, head, absent, playing, inserted)
        missing = playing & (absent > 0)
        holes[inserted] = True
        frames *= ~holes
        return frames, missing, playing, holes if _count(missing) == len(rows) else holes[missing]

    def _insert(self, rows: I64, head: I64, frames: I16) -> None:
        """Stand still for a tick: put back what was read."""
        c = self.columns
        c.frames[(head & RING_MASK) + rows * RING] = frames
        c.head[rows] = head
        c.pending[rows] -= 1
        c.inserted[rows] += 1
        c.concealed[rows] += self.n
        c.changed[rows] = c.tick

    def _drop(self, rows: I64, head: I64, frames: I16, absent: I64, which: Bool) -> None:
        """Read a second frame; `frames` and `head` become those of the last one read."""
        c, n = self.columns, self.n
        at = np.flatnonzero(which)
        index = (head[at] + 1 & RING_MASK) + rows[at] * RING
        following = c.frames[index]
        gone = absent[at] == n
        # One present frame fades into another; a missing one is passed over, whatever follows.
        able = gone | ((absent[at] == 0) & (following.min(axis=1) != MISSING))
        at, index, following, gone = at[able], index[able], following[able], gone[able]
        chosen = rows[at]
        mixed = frames[at] + (following.astype(np.float32) - frames[at]) * self._fade
        # What is passed over was missing all the same.
        c.run[chosen] += gone & (head[at] >= c.begin[chosen]) & (head[at] * n >= c.quiet[chosen])
        frames[at] = np.where(gone[:, None], following, mixed.astype(np.int16))
        head[at] += 1
        c.frames[index] = MISSING
        c.head[chosen] = head[at] + 1
        c.spare[chosen] -= 1
        c.dropped[chosen] += 1
        c.changed[chosen] = c.tick
        c.delay[chosen] -= n
        lows = c.lows[:, chosen]
        c.lows[:, chosen] = np.where(lows < FAR // 2, lows - n, lows)

    def _account(self, rows: I64, head: I64, absent: I64, playing: Bool, inserted: Bool) -> None:
        """Count what is missing; find rows that fall idle."""
        c, n = self.columns, self.n
        read = playing & ~inserted
        gone = read & (absent == n)
        # Where the peer was silent nothing is lost.
        run = c.run[rows] + (gone & (head * n >= c.quiet[rows]))
        partly = np.flatnonzero(read & (absent > 0) & (absent < n))
        c.concealed[rows[partly]] += absent[partly]
        over = np.flatnonzero(read & (absent < n) & (run > 0))
        if over.size:
            c.concealed[rows[over]] += run[over] * n
            losses(c, rows[over], head[over] - run[over], run[over])
            run[over] = 0
        idles = gone & (run >= IDLE_FRAMES) & (c.top[rows] <= (head + 1) * n)
        run[idles] = 0
        c.begin[rows[idles]] = FAR
        c.run[rows] = run
        c.busy[rows] = ~playing | idles | (run > 0) | (c.pending[rows] > 0) | (c.spare[rows] > 0)


def _counted(holes: Bool) -> I64:
    """How many are true in each line."""
    # Of shorts: several times as fast as numpy's own count along an axis.
    counted: I64 = np.add.reduce(holes, axis=1, dtype=np.int16).astype(np.int64)
    return counted


def _silent(frames: npt.NDArray[np.int16]) -> Bool:
    real = frames.astype(np.float32)
    silent: Bool = np.einsum("ij,ij->i", real, real) < SILENT_RMS * SILENT_RMS * frames.shape[1]
    return silent

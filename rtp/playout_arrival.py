"""When packets are played: timestamps to positions, and the delay that lets them come in time.

    packet -> regular: the next in sequence, its samples follow the last ones, not yet due -- nearly all: playout_loop
       |
    duplicate? -> dropped                  no samples in it (DTMF event, comfort noise)? -> counted in sequence only
       |
    no timeline yet, or one that cannot be right -> given a new place (resync); in the midst of a stream only when a
       |                                            second packet agrees
    late -> the delay grows; where nothing was heard since it had been due, play goes back to it, else it is dropped
       |
    a gap before it without a gap in sequence: the peer was silent, nothing was lost (RFC 3550 5.1, marker and DTX)

The measure of everything is a packet's *slack*: the time from its arrival until its first sample is due. The least
slack in a window of some seconds is what the delay can shrink by, a negative one what it has to grow by. As nothing but
differences count, clocks that drift against each other need no estimate: slack shrinks or grows with them.
"""

from __future__ import annotations

import numpy as np

from rtp.playout_columns import FAR, I64, MISSING, RING, Bool, PlayoutColumns
from rtp.playout_loop import MAX_PACKET_FRAMES, SMOOTHING, arrive

MAX_DELAY_SECONDS = 0.2
MARGIN_SECONDS = 0.01  # slack that is kept: arrivals are seen in batches 5 ms apart
MAX_DROPOUT = 3000  # RFC 3550 A.1: a larger gap in sequence is a leap
MAX_MISORDER = 100  # RFC 3550 A.1: later than that is a leap, too
SEEN = 64  # sequence numbers in which duplicates are found: what comes even later is none that could be played
MAX_PER_BATCH = 64  # packets of one row looked at in a batch: as much as the ring holds
BEHIND_SECONDS = 1  # later than that: the timeline is in doubt, not the network
AHEAD_FRAMES = 5  # a gap of more, to a packet that is not due for longer than the largest delay, is a jump
GROWTH = 2  # frames that one late packet lets the delay grow by: an outlier does not cost more
LATE_RUN = 4  # packets late one after another, though the delay may grow no more: the timeline has moved

_HALF = np.array(0x80000000)
_STAMP = np.array(0xFFFFFFFF)
_NONE: I64 = np.zeros(0, np.int64)
_count = np.count_nonzero


class Arrivals:
    """Arrival of packets in the rows of one bank."""

    __slots__ = ("_c", "_emptied", "_margin", "_max_delay", "_n")

    def __init__(self, columns: PlayoutColumns, max_delay: float) -> None:
        self._c = columns
        self._n = columns.n
        self._max_delay = round(max_delay * columns.rate)
        self._margin = round(MARGIN_SECONDS * columns.rate)
        self._emptied = _NONE  # rows whose ring was emptied in the latest round

    def arrived(self, rows: I64, stamps: I64, seqs: I64, marks: Bool, counts: I64, now: float) -> I64:
        """See `PlayoutBank.arrived`."""
        c = self._c
        size = len(rows)
        positions: I64 = np.empty(size, np.int64)
        odd: I64 = np.empty(size, np.int64)
        left = arrive(
            rows, stamps, seqs, counts, c.whole, c.lows, c.delay, c.due, c.bucket, self._n, now, positions, odd
        )
        if not left:
            return positions
        todo = odd[:left]
        # How long it is until each row plays, in samples: the engine plays rows at different moments of the 20 ms.
        until = (c.due[rows] - now) * c.rate
        phase = np.rint(until.clip(0, self._n)).astype(np.int64)
        # The first packet of each row is settled in a first round; the second ones follow, and so on.
        self._emptied = _NONE
        for _ in range(MAX_PER_BATCH):
            first = self._first(rows[todo])
            at = todo[first]
            positions[at] = self._examine(rows[at], stamps[at], seqs[at], marks[at], counts[at], phase[at])
            if self._emptied.size:
                # What came before in this batch is yet to be written: it was of the timeline that is gone.
                gone = np.isin(rows, self._emptied)
                gone[at] = False
                positions[gone] = -1
                self._emptied = _NONE
            todo = todo[~first]
            if not todo.size:
                return positions
        np.add.at(c.strange, rows[todo], 1)
        positions[todo] = -1
        return positions

    def _first(self, rows: I64) -> Bool:
        """Which packets are the first of their row."""
        mark, index = self._c.mark, np.arange(len(rows))
        mark[rows[::-1]] = index[::-1]
        first: Bool = mark.take(rows) == index
        return first

    # -- those that are not regular

    def _examine(self, rows: I64, stamps: I64, seqs: I64, marks: Bool, counts: I64, phase: I64) -> I64:
        """Packets that need a decision, one a row. Their positions, -1: dropped."""
        c, n = self._c, self._n
        ahead = ((seqs - c.seq_top[rows] + 0x8000) & 0xFFFF) - 0x8000
        before = c.stamp[rows]
        stamp = before + ((stamps - before + _HALF) & _STAMP) - _HALF
        newer, fresh = self._sequence(rows, seqs, ahead)
        positions: I64 = np.full(len(rows), -1)
        timed = fresh & (counts > 0)
        unfit = timed & (counts > MAX_PACKET_FRAMES * n)
        c.strange[rows[unfit]] += 1
        timed &= ~unfit

        position = self._scaled(rows, stamp) + c.shift[rows]
        head = c.head[rows] * n
        top = c.top[rows]
        slack = position - head
        idle = c.begin[rows] == FAR
        late = slack < 0
        sane = (slack >= -BEHIND_SECONDS * c.rate) & (position + counts <= head + RING * n)
        sane &= (slack <= self._max_delay + MAX_PACKET_FRAMES * n) | (position <= top + AHEAD_FRAMES * n)
        # A talk spurt: nothing is playing, or its first packet says so and nothing is left of the one before.
        spurt = newer & (idle | (marks & (position >= top) & (top <= head)))
        anew = (c.renew[rows] != 0) | (spurt & (late | ~sane))
        odd = timed & ~sane & ~anew
        if _count(odd):
            # The next packet in sequence that says itself that it begins anew is believed; else it takes two. An older
            # one moves nothing: what followed it is waiting already, and would be heard before it.
            believed = newer & ((marks & (ahead == 1)) | self._agrees(rows, stamps, seqs))
            anew |= odd & believed
            c.strange[rows[odd & ~believed]] += 1
            self._doubt(rows, stamps, seqs, odd & ~believed & newer)
            timed &= ~(odd & ~believed)
        anew &= timed
        timed &= ~anew
        # What was sent before the packet that moved the timeline must not mix with what still plays of the old one.
        stale = timed & (position < c.floor[rows])
        c.late[rows[stale]] += 1
        timed &= ~stale
        at = np.flatnonzero(timed & late)
        if at.size:
            positions[at] = self._late(
                rows[at], seqs[at], position[at], counts[at], slack[at], phase[at], newer[at], anew, at
            )
        at = np.flatnonzero(timed & ~late)
        if at.size:
            self._in_time(rows[at], stamp[at], position[at], counts[at], slack[at], (ahead == 1)[at], phase[at])
            positions[at] = position[at]
        at = np.flatnonzero(timed & late & (positions >= 0))
        if at.size:
            self._follow(rows[at], stamp[at], position[at], counts[at])
        at = np.flatnonzero(anew)
        if at.size:
            positions[at] = self._place(rows[at], stamp[at], counts[at], phase[at])
        return positions

    def _sequence(self, rows: I64, seqs: I64, ahead: I64) -> tuple[Bool, Bool]:
        """Count packets in their sequence (RFC 3550 A.1): which are newer than all before, which are no duplicates.

        `ahead` is set to 1 for nobody: what begins a sequence is no sequel.
        """
        c = self._c
        top = c.seq_top[rows]
        none = top < 0
        leap = ~none & ((ahead > MAX_DROPOUT) | (ahead < -MAX_MISORDER))
        begins = none | leap
        at = rows[leap]
        c.expected_before[at] += c.seq_top[at] - c.seq_base[at] + 1
        at = rows[begins]
        # A cycle up, so that packets from before the first one have numbers, too.
        c.seq_top[at] = c.seq_base[at] = seqs[begins] + 0x10000
        c.seen[at] = 1
        ahead[begins] = 0
        newer = begins | (ahead > 0)
        at = np.flatnonzero(ahead > 0)
        if at.size:
            by = ahead[at]
            c.seq_top[rows[at]] = top[at] + by
            c.seen[rows[at]] = np.where(by < SEEN, c.seen[rows[at]] << np.minimum(by, SEEN - 1), 0) | 1
        fresh = np.ones(len(rows), np.bool_)
        at = np.flatnonzero((ahead <= 0) & ~begins)
        if at.size:
            back = -ahead[at]
            bit = np.where(back < SEEN, 1 << np.minimum(back, SEEN - 1), 0)
            seen = c.seen[rows[at]]
            # Further behind than is remembered it might have been received before: it counts as if it had been.
            new = (bit != 0) & (seen & bit == 0)
            fresh[at] = new
            c.seen[rows[at]] = seen | bit
            # A packet from before the first one: it was expected all the same.
            first = rows[at[new]]
            c.seq_base[first] = np.minimum(c.seq_base[first], (top[at] - back)[new])
        c.received[rows] += fresh
        c.duplicate[rows] += ~fresh
        return newer & fresh, fresh

    def _agrees(self, rows: I64, stamps: I64, seqs: I64) -> Bool:
        """Which packets confirm the one that was not believed: the next in sequence, less than a second from it."""
        c = self._c
        apart = ((stamps - c.odd_stamp[rows] + _HALF) & _STAMP) - _HALF
        second = c.divide[rows] * c.rate // c.multiply[rows]
        agrees: Bool = (c.odd_seq[rows] == (seqs - 1) & 0xFFFF) & (np.abs(apart) < second)
        return agrees

    def _doubt(self, rows: I64, stamps: I64, seqs: I64, which: Bool) -> None:
        c = self._c
        rows = rows[which]
        c.odd_stamp[rows] = stamps[which]
        c.odd_seq[rows] = seqs[which]

    def _in_time(self, rows: I64, stamp: I64, position: I64, counts: I64, slack: I64, sequel: Bool, phase: I64) -> None:
        """Packets whose samples are not due yet, not just behind the last ones."""
        c = self._c
        # Nothing is missing in the sequence: what is missing in time was never sent.
        pause = sequel & (position > c.top[rows])
        at = rows[pause]
        c.quiet[at] = position[pause]
        c.run[at] = 0
        self._follow(rows, stamp, position, counts)
        self._measure(rows, slack, phase)

    def _follow(self, rows: I64, stamp: I64, position: I64, counts: I64) -> None:
        c = self._c
        further = position + counts > c.top[rows]
        c.stamp[rows[further]] = stamp[further]
        c.top[rows[further]] = (position + counts)[further]
        c.packet[rows] = counts
        c.begin[rows] = np.minimum(c.begin[rows], position // self._n)

    def _late(
        self,
        rows: I64,
        seqs: I64,
        position: I64,
        counts: I64,
        slack: I64,
        phase: I64,
        newer: Bool,
        anew: Bool,
        at: I64,
    ) -> I64:
        """Packets whose first sample was due before they came; `anew[at]` is set for those to be placed anew."""
        c, n = self._c, self._n
        behind = -(slack // n)  # frames, rounded up
        room = np.maximum((self._max_delay - c.delay[rows]) // n, 0).astype(np.int64)
        playing = c.begin[rows] <= c.head[rows]
        # Nothing but concealment was heard since the packet was due: that was an insertion, and play goes on with it.
        back = playing & (c.run[rows] >= behind) & (behind <= room)
        grown = np.where(back, behind, 0)
        c.head[rows] -= grown
        c.run[rows] -= grown
        c.inserted[rows] += grown
        c.concealed[rows] += grown * n
        # Otherwise frames are to be inserted for those that follow; those that are to be inserted anyway count.
        ahead = slack + phase + c.pending[rows] * n
        wanted = np.where(playing & ~back, -(ahead // n), 0)
        wanted = np.clip(wanted, 0, np.minimum(room, GROWTH))
        c.pending[rows] += wanted
        c.busy[rows] = 1
        self._shifted(rows, (grown + wanted) * n)
        self._measure(rows, slack + grown * n, phase)
        taken: Bool = back | (position + counts > c.head[rows] * n)
        lost = ~taken
        sequel = c.late_seq[rows] == (seqs - 1) & 0xFFFF
        run = np.where(lost, np.where(sequel, c.late_run[rows], 0) + 1, 0)
        c.late_run[rows] = run
        c.late_seq[rows] = np.where(lost, seqs, -1)
        moved = newer & (run >= LATE_RUN)
        anew[at[moved]] = True
        c.late[rows[lost & ~moved]] += 1
        return np.where(taken & ~moved, position, -1)

    def _shifted(self, rows: I64, by: I64) -> None:
        """The delay has changed by so many samples: what was measured before is as if it had been so then."""
        c = self._c
        c.delay[rows] += by
        lows = c.lows[:, rows]
        c.lows[:, rows] = np.where(lows < FAR // 2, lows + by, lows)

    def _place(self, rows: I64, stamp: I64, counts: I64, phase: I64) -> I64:
        """New positions: behind what is waiting to be played, or as late as the jitter known so far demands, the
        first packet after 20 to 40 ms. On frame boundaries: 20 ms packets stay whole."""
        c, n = self._c, self._n
        low = c.lows[:, rows].min(axis=0)
        spread = np.where(low < FAR // 2, c.delay[rows] - low, 0.0)
        delay = np.clip(spread + self._margin, n, max(self._max_delay, n))
        head = c.head[rows]
        place = (head + np.ceil((delay - phase) / n).astype(np.int64)) * n
        behind = -(-c.top[rows] // n) * n
        waiting = behind > place
        joins = waiting & (behind - head * n + phase <= self._max_delay)
        emptied = rows[waiting & ~joins]
        if emptied.size:
            c.ring[emptied] = MISSING
            c.emptied[emptied] += 1
            self._emptied = emptied
        c.floor[rows] = np.where(waiting & ~joins, 0, c.top[rows])
        place = np.where(joins, behind, place)
        again = c.resyncs[rows] + (c.shift[rows] != FAR)
        c.resyncs[rows] = again
        c.shift[rows] = place - self._scaled(rows, stamp)
        c.stamp[rows] = stamp
        c.top[rows] = place + counts
        c.packet[rows] = counts
        c.quiet[rows] = place
        c.begin[rows] = np.minimum(c.begin[rows], place // n)
        slack = place - head * n + phase
        self._shifted(rows, (slack - c.delay[rows]).astype(np.int64))
        c.delay[rows] = slack
        c.lows[c.bucket, rows] = np.minimum(c.lows[c.bucket, rows], slack)
        for column in (c.renew, c.pending, c.spare, c.run, c.late_run):
            column[rows] = 0
        c.odd_seq[rows] = -1
        c.late_seq[rows] = -1
        c.busy[rows] = 1
        return place

    def _scaled(self, rows: I64, stamp: I64) -> I64:
        """Timestamps in samples at the bank's rate. A new array where it may be written to."""
        c = self._c
        scaled: I64 = stamp.copy()
        if c.scaled:
            scaled *= c.multiply.take(rows)
            scaled //= c.divide.take(rows)
        return scaled

    def _measure(self, rows: I64, slack: I64, phase: I64) -> None:
        """Take packets that came in time into the window and into the mean delay."""
        c = self._c
        # Frames that will be inserted count as if they were: play stands still for them.
        slack = slack + c.pending.take(rows) * self._n
        slack += phase
        low = c.lows[c.bucket]
        low[rows] = np.minimum(low.take(rows), slack)
        delay = c.delay.take(rows)
        delay += (slack - delay) * SMOOTHING
        c.delay[rows] = delay

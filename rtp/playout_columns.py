"""The columns of a bank of playout rows, and the ring of samples beside them.

A position counts samples at the bank's rate; a frame is 20 ms of them. Positions of a row begin at 0 and never wrap.
"""

from __future__ import annotations

from math import gcd

import numpy as np
import numpy.typing as npt

I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

RATES = (8000, 16000, 48000)
FRAMES_PER_SECOND = 50
FRAME_SECONDS = 0.02
RING = 64  # frames that a row holds, 1.28 s; a power of two
RING_MASK = RING - 1
MISSING = -32768  # a sample that was not received; G.711 never decodes to it, other decoders are clipped to -32767
BUCKETS = 4  # the window in which lateness is remembered, in parts
FAR = 1 << 60  # beyond every position
CALM_TICKS = 10  # between drops of silent frames
FORCE_TICKS = 500  # a drop that has waited so long for silence is made anyway
HURRY_TICKS = 2  # between drops while the delay is above its maximum
INSERT_TICKS = 4  # between insertions in speech: 25 % slower is hardly noticed
IDLE_FRAMES = 10  # missing in a row with nothing behind them: concealment has been silent for long
SILENT_RMS = 130.0  # -48 dBov: below any speech, above the noise of a line
INITIAL_ROWS = 16  # doubled whenever all are taken


class PlayoutColumns:
    """Columns of all rows of one sampling rate, whole numbers unless said otherwise: `whole` holds them, a line each
    (WHOLE).

    Statistics, for as long as the row is open
        received            packets, duplicates left out
        late                of them: came after all their samples had been due
        strange             of them: dropped because their timestamps were not believed, or were too many at once
        duplicate           packets that had been received before, or are so far behind that nobody knows
        expected_before     packets expected under earlier SSRCs and before leaps in sequence
        resyncs             times that the timestamps were given new positions
        inserted, dropped   frames that the delay grew and shrank by while it played
        concealed           samples that were not there when they were due, inserted frames among them
        missed, bursts      whole frames that were not there when due, and how many runs of them there were
        burst_frames, burst_missed, burst_count
                            of the bursts of RFC 3611 4.7.2: their lengths, what was missing in them, their number
        due                 float: when the row's next `play` is expected; minus infinity before the first
        delay               float: samples, mean time from a packet's arrival to its playout
    Sequence
        seq_top, seq_base   extended numbers, highest and first; -1: none yet
        seen                bit i: seq_top - i was received
    Timing
        multiply, divide    samples at the bank's rate in a unit of the RTP clock, as a fraction
        stamp               unwrapped timestamp of the packet furthest ahead
        shift               position less timestamp (in samples)
        top                 position behind the last sample received
        packet              samples in the last packet
        head                frame that is played next
        begin               frame that the row plays from, FAR: it idles
        quiet               gaps before this position are the peer's silence
        floor               end of what was written before the timeline moved: nothing is written below it
        emptied             times that what was waiting was thrown away, for what follows to be heard soon enough
        renew               the next packet is given a new position whatever its timestamp
        lows                (BUCKETS, rows): least slack of packets in each part of the window, FAR: none
        odd_stamp, odd_seq  last packet whose timestamp was not believed; odd_seq -1: none
        late_seq, late_run  last packet that came late, and how many in a row
    Playout
        run                 frames missing up to `head`, not yet known to be losses
        pending             frames to be inserted
        spare               frames that may be dropped
        changed             tick of the last insertion or drop, or since when `spare` waits
        busy                not 0: `play` must look closely
        lost_at             frame behind the last loss
        cluster, cluster_missed
                            length of the burst that may go on, what was missing in it
    """

    received: I64
    late: I64
    strange: I64
    duplicate: I64
    expected_before: I64
    resyncs: I64
    inserted: I64
    dropped: I64
    concealed: I64
    missed: I64
    bursts: I64
    burst_frames: I64
    burst_missed: I64
    burst_count: I64
    seq_top: I64
    seq_base: I64
    seen: I64
    multiply: I64
    divide: I64
    stamp: I64
    shift: I64
    top: I64
    packet: I64
    head: I64
    begin: I64
    quiet: I64
    floor: I64
    emptied: I64
    renew: I64
    odd_stamp: I64
    odd_seq: I64
    late_seq: I64
    late_run: I64
    run: I64
    pending: I64
    spare: I64
    changed: I64
    busy: I64
    lost_at: I64
    cluster: I64
    cluster_missed: I64
    lows: I64
    delay: F64
    due: F64
    ring: I16
    frames: I16
    samples: I16
    mark: I64

    def __init__(self, rate: int, capacity: int = INITIAL_ROWS) -> None:
        if rate not in RATES:
            raise ValueError(f"sampling rate {rate}: one of {RATES} is needed")
        self.rate = rate
        self.n = rate // FRAMES_PER_SECOND
        self.capacity = 0
        self.scaled = 0  # rows whose RTP clock is not the bank's rate
        self.bucket = 0  # the part of the window that is being filled
        self.tick = 0
        self.next_tick = 0.0  # when the next tick of the bank begins
        self._free: list[int] = []
        self._taken: set[int] = set()
        self.whole = np.zeros((len(_WHOLE), 0), np.int64)
        self.lows = np.zeros((BUCKETS, 0), np.int64)
        self.delay = np.zeros(0)
        self.due = np.zeros(0)
        self.ring = np.zeros((0, RING, self.n), np.int16)
        self._grow(capacity)

    @property
    def rows(self) -> int:
        """Rows in use."""
        return len(self._taken)

    def take(self) -> int:
        if not self._free:
            self._grow(self.capacity)
        row = self._free.pop()
        self._taken.add(row)
        return row

    def free(self, row: int) -> None:
        if row not in self._taken:
            raise ValueError(f"row {row} is not taken: it was freed before, or never taken")
        self._taken.remove(row)
        self.renewed(row, self.rate)
        self._free.append(row)

    def renewed(self, row: int, clock: int) -> None:
        """Every column as new, for an RTP clock of `clock` Hz."""
        if clock <= 0:
            raise ValueError(f"RTP clock of {clock} Hz: a positive number is needed")
        self.scaled -= int(self.multiply[row] != self.divide[row])
        self.whole[:, row] = _FRESH
        common = gcd(self.rate, clock)
        self.multiply[row] = self.rate // common
        self.divide[row] = clock // common
        self.scaled += int(self.rate != clock)
        self.lows[:, row] = FAR
        self.delay[row] = 0.0
        self.due[row] = -np.inf
        self.ring[row] = MISSING

    def _grow(self, more: int) -> None:
        old = self.capacity
        self.capacity = old + more
        # One block for all columns: a row is made new with one assignment.
        self.whole = np.concatenate((self.whole, np.tile(_FRESH[:, None], more)), axis=1)
        for name, whole in zip(_WHOLE, self.whole, strict=True):
            setattr(self, name, whole)
        self.lows = np.concatenate((self.lows, np.full((BUCKETS, more), FAR, np.int64)), axis=1)
        self.delay = np.concatenate((self.delay, np.zeros(more)))
        self.due = np.concatenate((self.due, np.full(more, -np.inf)))
        self.ring = np.concatenate((self.ring, np.full((more, RING, self.n), MISSING, np.int16)))
        self.frames = self.ring.reshape(-1, self.n)  # the same, frame by frame: row * RING + frame % RING
        self.samples = self.ring.reshape(self.capacity, -1)  # and row by row
        self.mark = np.zeros(self.capacity, np.int64)
        # Lowest first, so that the rows in use stay close together.
        self._free.extend(range(self.capacity - 1, old - 1, -1))


# Columns and what they hold when nothing has happened. A `shift` of FAR: no timestamp has a place by accident.
_WHOLE = {
    "received": 0,
    "late": 0,
    "strange": 0,
    "duplicate": 0,
    "expected_before": 0,
    "resyncs": 0,
    "inserted": 0,
    "dropped": 0,
    "concealed": 0,
    "missed": 0,
    "bursts": 0,
    "burst_frames": 0,
    "burst_missed": 0,
    "burst_count": 0,
    "seq_top": -1,
    "seq_base": 0,
    "seen": 0,
    "multiply": 1,
    "divide": 1,
    "stamp": 0,
    "shift": FAR,
    "top": 0,
    "packet": 0,
    "head": 0,
    "begin": FAR,
    "quiet": 0,
    "floor": 0,
    "emptied": 0,
    "renew": 1,
    "odd_stamp": 0,
    "odd_seq": -1,
    "late_seq": -1,
    "late_run": 0,
    "run": 0,
    "pending": 0,
    "spare": 0,
    "changed": 0,
    "busy": 1,
    "lost_at": 0,
    "cluster": 0,
    "cluster_missed": 0,
}
WHOLE = {name: number for number, name in enumerate(_WHOLE)}
"""Which line of `PlayoutColumns.whole` a column is."""
_FRESH: I64 = np.array(list(_WHOLE.values()), np.int64)

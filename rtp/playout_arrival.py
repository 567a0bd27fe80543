"""When packets are played: timestamps to positions, and the delay that lets them come in time. Compiled.

    packet -> the next in sequence, its samples follow the last ones, not yet due -- nearly all --> `arrive` is done
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

from typing import Any

import numpy as np

from rtp.compiled import compiled
from rtp.playout_columns import BUCKETS, FAR, MISSING, RING, WHOLE
from rtp.relay_loop import nearest16, nearest32

MAX_DELAY_SECONDS = 0.2
MARGIN_PARTS = 2  # slack that is kept, as a part of a frame: 10 ms, as arrivals are seen in batches 5 ms apart
MAX_DROPOUT = 3000  # RFC 3550 A.1: a larger gap in sequence is a leap
MAX_MISORDER = 100  # RFC 3550 A.1: later than that is a leap, too
SEEN = 64  # sequence numbers in which duplicates are found: what comes even later is none that could be played
MAX_PACKET_FRAMES = 6  # 120 ms, the longest packet of Opus (RFC 7587 4.2)
BEHIND_SECONDS = 1  # later than that: the timeline is in doubt, not the network
AHEAD_FRAMES = 5  # a gap of more, to a packet that is not due for longer than the largest delay, is a jump
GROWTH = 2  # frames that one late packet lets the delay grow by: an outlier does not cost more
LATE_RUN = 4  # packets late one after another, though the delay may grow no more: the timeline has moved
SMOOTHING = 1 / 16
DROPPED = -1

_RECEIVED, _LATE, _STRANGE, _DUPLICATE = WHOLE["received"], WHOLE["late"], WHOLE["strange"], WHOLE["duplicate"]
_EXPECTED_BEFORE, _RESYNCS = WHOLE["expected_before"], WHOLE["resyncs"]
_INSERTED, _CONCEALED, _EMPTIED = WHOLE["inserted"], WHOLE["concealed"], WHOLE["emptied"]
_SEQ_TOP, _SEQ_BASE, _SEEN = WHOLE["seq_top"], WHOLE["seq_base"], WHOLE["seen"]
_MULTIPLY, _DIVIDE, _STAMP, _SHIFT = WHOLE["multiply"], WHOLE["divide"], WHOLE["stamp"], WHOLE["shift"]
_TOP, _PACKET, _HEAD, _BEGIN = WHOLE["top"], WHOLE["packet"], WHOLE["head"], WHOLE["begin"]
_QUIET, _FLOOR, _RENEW = WHOLE["quiet"], WHOLE["floor"], WHOLE["renew"]
_ODD_STAMP, _ODD_SEQ = WHOLE["odd_stamp"], WHOLE["odd_seq"]
_LATE_SEQ, _LATE_RUN = WHOLE["late_seq"], WHOLE["late_run"]
_RUN, _PENDING, _SPARE, _BUSY = WHOLE["run"], WHOLE["pending"], WHOLE["spare"], WHOLE["busy"]


@compiled("i8(f8, i8, f8)")
def _until(due: float, n: int, now: float) -> int:
    """Samples until a row plays its next frame of `n`: the engine plays rows at different moments of the 20 ms."""
    return int(np.rint(min(max((due - now) * n * 50.0, 0.0), float(n))))


@compiled("i8(i8[:, ::1], i8, i8)")
def _placed_at(whole: Any, row: int, stamp: int) -> int:
    """Position of an unwrapped timestamp."""
    return int(stamp * whole[_MULTIPLY, row] // whole[_DIVIDE, row] + whole[_SHIFT, row])


@compiled("void(i8[:, ::1], i8[:, ::1], f8[::1], i8, i8, i8, i8)")
def _measure(whole: Any, lows: Any, delay: Any, bucket: int, n: int, row: int, slack: int) -> None:
    """Take a packet's slack into the window and into the mean delay."""
    # Frames that will be inserted count as if they were: play stands still for them.
    slack += whole[_PENDING, row] * n
    lows[bucket, row] = min(lows[bucket, row], slack)
    delay[row] += (slack - delay[row]) * SMOOTHING


@compiled("void(i8[:, ::1], f8[::1], i8, i8)")
def _shifted(lows: Any, delay: Any, row: int, by: int) -> None:
    """The delay has changed by so many samples: what was measured before is as if it had been so then."""
    delay[row] += by
    for bucket in range(BUCKETS):
        if lows[bucket, row] < FAR // 2:
            lows[bucket, row] += by


@compiled("void(i8[:, ::1], i8, i8, i8, i8, i8)")
def _follow(whole: Any, n: int, row: int, stamp: int, position: int, count: int) -> None:
    """A packet has its place."""
    if position + count > whole[_TOP, row]:
        whole[_STAMP, row] = stamp
        whole[_TOP, row] = position + count
    whole[_PACKET, row] = count
    whole[_BEGIN, row] = min(whole[_BEGIN, row], position // n)


@compiled("UniTuple(b1, 3)(i8[:, ::1], i8, i8)")
def _sequence(whole: Any, row: int, seq: int) -> tuple[bool, bool, bool]:
    """Count a packet in its sequence (RFC 3550 A.1): whether it is newer than all before, whether it is no duplicate,
    and whether it is the very next one. What begins a sequence is no sequel."""
    top = whole[_SEQ_TOP, row]
    ahead = nearest16(seq - top)
    leap = top >= 0 and (ahead > MAX_DROPOUT or ahead < -MAX_MISORDER)
    if leap:
        whole[_EXPECTED_BEFORE, row] += top - whole[_SEQ_BASE, row] + 1
    begins = top < 0 or leap
    fresh = True
    if begins:
        # A cycle up, so that packets from before the first one have numbers, too.
        whole[_SEQ_TOP, row] = whole[_SEQ_BASE, row] = seq + 0x10000
        whole[_SEEN, row] = 1
    elif ahead > 0:
        whole[_SEQ_TOP, row] = top + ahead
        whole[_SEEN, row] = (whole[_SEEN, row] << ahead if ahead < SEEN else 0) | 1
    else:
        bit = 1 << -ahead if -ahead < SEEN else 0
        # Further behind than is remembered it might have been received before: it counts as if it had been.
        fresh = bit != 0 and whole[_SEEN, row] & bit == 0
        whole[_SEEN, row] |= bit
        if fresh:
            # A packet from before the first one: it was expected all the same.
            whole[_SEQ_BASE, row] = min(whole[_SEQ_BASE, row], top + ahead)
    whole[_RECEIVED if fresh else _DUPLICATE, row] += 1
    return fresh and (begins or ahead > 0), fresh, not begins and ahead == 1


@compiled("b1(i8[:, ::1], i8, i8, i8, i8)")
def _confirms(whole: Any, n: int, row: int, stamp: int, seq: int) -> bool:
    """Whether a packet confirms the one that was not believed: the next in sequence, less than a second from it."""
    second = whole[_DIVIDE, row] * n * 50 // whole[_MULTIPLY, row]
    return bool(whole[_ODD_SEQ, row] == seq - 1 & 0xFFFF and abs(nearest32(stamp - whole[_ODD_STAMP, row])) < second)


@compiled("b1(i8[:, ::1], i8[:, ::1], f8[::1], i8, i8, i8, i8, i8, i8, i8, i8, b1)")
def _late(
    whole: Any,
    lows: Any,
    delay: Any,
    bucket: int,
    n: int,
    max_delay: int,
    row: int,
    seq: int,
    position: int,
    count: int,
    until: int,
    newer: bool,
) -> bool:
    """A packet whose first sample was due before it came: whether it is of use all the same. Where the timeline has
    moved, `renew` asks for a new one."""
    slack = position - whole[_HEAD, row] * n
    behind = -(slack // n)  # frames, rounded up
    room = max(int(np.floor((max_delay - delay[row]) / n)), 0)
    playing = whole[_BEGIN, row] <= whole[_HEAD, row]
    grown = wanted = 0
    # Nothing but concealment was heard since the packet was due: that was an insertion, and play goes on with it.
    back = playing and whole[_RUN, row] >= behind and behind <= room
    if back:
        grown = behind
        whole[_HEAD, row] -= grown
        whole[_RUN, row] -= grown
        whole[_INSERTED, row] += grown
        whole[_CONCEALED, row] += grown * n
    elif playing:
        # Frames are to be inserted for those that follow; those that are to be inserted anyway count.
        wanted = -((slack + until + whole[_PENDING, row] * n) // n)
        wanted = min(max(wanted, 0), room, GROWTH)
        whole[_PENDING, row] += wanted
    whole[_BUSY, row] = 1
    _shifted(lows, delay, row, (grown + wanted) * n)
    _measure(whole, lows, delay, bucket, n, row, slack + grown * n + until)
    if back or position + count > whole[_HEAD, row] * n:
        whole[_LATE_RUN, row] = 0
        whole[_LATE_SEQ, row] = -1
        return True
    whole[_LATE_RUN, row] = whole[_LATE_RUN, row] + 1 if whole[_LATE_SEQ, row] == seq - 1 & 0xFFFF else 1
    whole[_LATE_SEQ, row] = seq
    if newer and whole[_LATE_RUN, row] >= LATE_RUN:
        whole[_RENEW, row] = 1
    else:
        whole[_LATE, row] += 1
    return False


@compiled("i8(i8[:, ::1], i8[:, ::1], f8[::1], i2[:, ::1], i8, i8, i8, i8, i8, i8)")
def _place(
    whole: Any,
    lows: Any,
    delay: Any,
    frames: Any,
    bucket: int,
    max_delay: int,
    row: int,
    stamp: int,
    count: int,
    until: int,
) -> int:
    """A new position: behind what is waiting to be played, or as late as the jitter known so far demands, the first
    packet after 20 to 40 ms. On frame boundaries: 20 ms packets stay whole."""
    n = frames.shape[1]
    low = lows[0, row]
    for each in range(1, BUCKETS):
        low = min(low, lows[each, row])
    spread = delay[row] - low if low < FAR // 2 else 0.0
    wait = min(max(spread + n // MARGIN_PARTS, float(n)), float(max(max_delay, n)))
    head = whole[_HEAD, row]
    place = (head + int(np.ceil((wait - until) / n))) * n
    behind = -(-whole[_TOP, row] // n) * n
    whole[_FLOOR, row] = whole[_TOP, row]
    if behind > place:
        if behind - head * n + until <= max_delay:
            place = behind
        else:
            ring = frames[row * RING : (row + 1) * RING]
            ring[:] = MISSING
            whole[_EMPTIED, row] += 1
            whole[_FLOOR, row] = 0
    if whole[_SHIFT, row] != FAR:
        whole[_RESYNCS, row] += 1
    whole[_SHIFT, row] = place - stamp * whole[_MULTIPLY, row] // whole[_DIVIDE, row]
    whole[_STAMP, row] = stamp
    whole[_TOP, row] = place + count
    whole[_PACKET, row] = count
    whole[_QUIET, row] = place
    whole[_BEGIN, row] = min(whole[_BEGIN, row], place // n)
    slack = place - head * n + until
    _shifted(lows, delay, row, int(slack - delay[row]))
    delay[row] = slack
    lows[bucket, row] = min(lows[bucket, row], slack)
    for column in (_RENEW, _PENDING, _SPARE, _RUN, _LATE_RUN):
        whole[column, row] = 0
    whole[_ODD_SEQ, row] = -1
    whole[_LATE_SEQ, row] = -1
    whole[_BUSY, row] = 1
    return int(place)


@compiled("i8(i8[:, ::1], i8[:, ::1], f8[::1], f8[::1], i2[:, ::1], i8, i8, i8, i8, i8, b1, i8, f8)")
def _decide(
    whole: Any,
    lows: Any,
    delay: Any,
    due: Any,
    frames: Any,
    bucket: int,
    max_delay: int,
    row: int,
    stamp: int,
    seq: int,
    mark: bool,
    count: int,
    now: float,
) -> int:
    """The position of a packet of which nothing is known, DROPPED: it has none."""
    n = frames.shape[1]
    until = _until(due[row], n, now)
    unwrapped = whole[_STAMP, row] + nearest32(stamp - whole[_STAMP, row])
    newer, fresh, sequel = _sequence(whole, row, seq)
    if not fresh or count < 1:
        return DROPPED
    if count > MAX_PACKET_FRAMES * n:
        whole[_STRANGE, row] += 1
        return DROPPED
    position = _placed_at(whole, row, unwrapped)
    head, top = whole[_HEAD, row] * n, whole[_TOP, row]
    slack = position - head
    sane = (
        slack >= -BEHIND_SECONDS * n * 50
        and position + count <= head + RING * n
        and (slack <= max_delay + MAX_PACKET_FRAMES * n or position <= top + AHEAD_FRAMES * n)
    )
    # A talk spurt: nothing is playing, or its first packet says so and nothing is left of the one before.
    spurt = newer and (whole[_BEGIN, row] == FAR or (mark and position >= top and top <= head))
    anew = whole[_RENEW, row] != 0 or (spurt and (slack < 0 or not sane))
    if not sane and not anew:
        # The next packet in sequence that says itself that it begins anew is believed; else it takes two. An older one
        # moves nothing: what followed it is waiting already, and would be heard before it.
        anew = newer and ((mark and sequel) or _confirms(whole, n, row, stamp, seq))
        if not anew:
            whole[_STRANGE, row] += 1
            if newer:
                whole[_ODD_STAMP, row] = stamp
                whole[_ODD_SEQ, row] = seq
            return DROPPED
    if not anew and position < whole[_FLOOR, row]:
        # What was sent before the packet that moved the timeline must not mix with what still plays of the old one.
        whole[_LATE, row] += 1
        return DROPPED
    if not anew and slack < 0:
        if _late(whole, lows, delay, bucket, n, max_delay, row, seq, position, count, until, newer):
            _follow(whole, n, row, unwrapped, position, count)
            return int(position)
        anew = whole[_RENEW, row] != 0
        if not anew:
            return DROPPED
    if anew:
        return int(_place(whole, lows, delay, frames, bucket, max_delay, row, unwrapped, count, until))
    if sequel and position > top:
        # Nothing is missing in the sequence: what is missing in time was never sent.
        whole[_QUIET, row] = position
        whole[_RUN, row] = 0
    _follow(whole, n, row, unwrapped, position, count)
    _measure(whole, lows, delay, bucket, n, row, slack + until)
    return int(position)


@compiled("i8(i8[:, ::1], i8[:, ::1], f8[::1], f8[::1], i2[:, ::1], i8, i8, i8, i8, i8, b1, i8, f8)")
def arrive(
    whole: Any,
    lows: Any,
    delay: Any,
    due: Any,
    frames: Any,
    bucket: int,
    max_delay: int,
    row: int,
    stamp: int,
    seq: int,
    mark: bool,
    count: int,
    now: float,
) -> int:
    """A packet of `count` samples has come for a row: the position of its first one, DROPPED: it is not to be written.

    The columns of the bank: `whole`, `lows`, `delay`, `due`, `frames` (rows * RING, n), the `bucket` that is being
    filled, its largest delay in samples.
    """
    n = frames.shape[1]
    top_seq = whole[_SEQ_TOP, row]
    before = whole[_STAMP, row]
    unwrapped = before + nearest32(stamp - before)
    position = _placed_at(whole, row, unwrapped)
    slack = position - whole[_HEAD, row] * n
    if (
        nearest16(seq - top_seq) != 1
        or not 0 < count <= MAX_PACKET_FRAMES * n
        or position != whole[_TOP, row]
        or not 0 <= slack < (RING - MAX_PACKET_FRAMES) * n
    ):
        return int(_decide(whole, lows, delay, due, frames, bucket, max_delay, row, stamp, seq, mark, count, now))
    # Nearly all: the next in sequence, whose samples follow the last ones and are not due yet.
    whole[_SEQ_TOP, row] = top_seq + 1
    whole[_SEEN, row] = whole[_SEEN, row] << 1 | 1
    whole[_STAMP, row] = unwrapped
    whole[_TOP, row] = position + count
    whole[_PACKET, row] = count
    whole[_RECEIVED, row] += 1
    _measure(whole, lows, delay, bucket, n, row, slack + _until(due[row], n, now))
    return int(position)


@compiled(
    "void(i8[:], i8[:], i8[:], b1[:], i8[:], i8[:, ::1], i8[:, ::1], f8[::1], f8[::1], i2[:, ::1], i8, i8, f8, i8[::1])"
)
def arrive_all(
    rows: Any,
    stamps: Any,
    seqs: Any,
    marks: Any,
    counts: Any,
    whole: Any,
    lows: Any,
    delay: Any,
    due: Any,
    frames: Any,
    bucket: int,
    max_delay: int,
    now: float,
    positions: Any,
) -> None:
    """Packets in order of arrival, to be written when all have their `positions`."""
    for index in range(len(rows)):
        row = rows[index]
        emptied = whole[_EMPTIED, row]
        positions[index] = arrive(
            whole,
            lows,
            delay,
            due,
            frames,
            bucket,
            max_delay,
            row,
            stamps[index],
            seqs[index],
            marks[index],
            counts[index],
            now,
        )
        if whole[_EMPTIED, row] != emptied:
            # What came before in this batch is yet to be written: it was of the timeline that is gone.
            for earlier in range(index):
                if rows[earlier] == row:
                    positions[earlier] = DROPPED

"""The next frame of a row: read, or made to wait, or passed over; what is missing counted. Compiled.

    pending, and a good moment -> inserted: play stands still for a tick, concealment is heard
    spare, and a good moment   -> dropped: two frames are read, one fades into the other; a missing one is passed over
    otherwise                  -> read

A good moment is a frame that is silent or missing anyway; insertions wait for one a little (INSERT_TICKS), drops long
(FORCE_TICKS) unless the delay is beyond its maximum (HURRY_TICKS).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtp.compiled import compiled
from rtp.playout_arrival import MARGIN_PARTS
from rtp.playout_bursts import lost
from rtp.playout_columns import (
    BUCKETS,
    CALM_TICKS,
    FAR,
    FORCE_TICKS,
    FRAME_SECONDS,
    HURRY_TICKS,
    IDLE_FRAMES,
    INSERT_TICKS,
    MISSING,
    RING,
    RING_MASK,
    SILENT_RMS,
    WHOLE,
)

IDLING, WHOLE_FRAME, HOLED = range(3)
"""What a frame is: silence of a row that does not play; all there; some or all of it missing."""

_INSERTED, _DROPPED, _CONCEALED = WHOLE["inserted"], WHOLE["dropped"], WHOLE["concealed"]
_TOP, _HEAD, _BEGIN, _QUIET = WHOLE["top"], WHOLE["head"], WHOLE["begin"], WHOLE["quiet"]
_RUN, _PENDING, _SPARE, _CHANGED = WHOLE["run"], WHOLE["pending"], WHOLE["spare"], WHOLE["changed"]
_BUSY = WHOLE["busy"]


@compiled("b1(i2[::1])")
def silent(frame: Any) -> bool:
    """No louder than the noise of a line."""
    energy = 0
    for sample in range(len(frame)):
        energy += int(np.int32(frame[sample]) * np.int32(frame[sample]))
    return bool(energy < SILENT_RMS * SILENT_RMS * len(frame))


@compiled("i8(i2[::1], b1[::1])")
def _absent(frame: Any, holes: Any) -> int:
    """Which samples are missing, and how many."""
    count = 0
    for sample in range(min(len(frame), len(holes))):
        holes[sample] = frame[sample] == MISSING
        count += int(holes[sample])
    return count


@compiled("b1(i8[:, ::1], i8[:, ::1], f8[::1], i8, i8, i8, i8, i8, b1, i8, i8)")
def _may_drop(
    whole: Any,
    lows: Any,
    delay: Any,
    bucket: int,
    n: int,
    max_delay: int,
    row: int,
    head: int,
    calm: bool,
    absent: int,
    waited: int,
) -> bool:
    hurried = delay[row] > max_delay and whole[_TOP, row] - head * n > max_delay
    ready = waited >= (HURRY_TICKS if hurried else FORCE_TICKS)
    ready = ready or absent == n or (calm and waited >= CALM_TICKS)
    # What came late since the window was judged needs the delay as it is; no excuse while it is too long.
    return bool(ready and (hurried or lows[bucket, row] >= n + n // MARGIN_PARTS))


@compiled("b1(i8[:, ::1], i8[:, ::1], f8[::1], i2[:, ::1], i8, i8, i8, i8, i2[::1])")
def _drop(
    whole: Any, lows: Any, delay: Any, frames: Any, tick: int, row: int, head: int, absent: int, frame: Any
) -> bool:
    """Read the frame behind `head`, too, if that can be done; `frame` becomes what is heard."""
    n = len(frame)
    following = frames[(head + 1 & RING_MASK) + row * RING]
    gone = absent == n
    if not gone:
        # One present frame fades into another; a missing one is passed over, whatever follows.
        least = np.int16(0)
        for sample in range(len(following)):
            least = min(least, following[sample])
        if absent or least == MISSING:
            return False
    # What is passed over was missing all the same.
    whole[_RUN, row] += int(gone and head >= whole[_BEGIN, row] and head * n >= whole[_QUIET, row])
    for sample in range(min(n, len(following))):
        if gone:
            frame[sample] = following[sample]
        else:
            part = np.float32(sample) / np.float32(n)
            heard = np.float32(frame[sample])
            frame[sample] = np.int16(heard + (np.float32(following[sample]) - heard) * part)
        following[sample] = MISSING
    whole[_HEAD, row] = head + 2
    whole[_SPARE, row] -= 1
    whole[_DROPPED, row] += 1
    whole[_CHANGED, row] = tick
    delay[row] -= n
    for each in range(BUCKETS):
        if lows[each, row] < FAR // 2:
            lows[each, row] -= n
    return True


@compiled("void(i8[:, ::1], i8, i8, i8, i8, b1, b1)")
def _account(whole: Any, n: int, row: int, head: int, absent: int, playing: bool, inserted: bool) -> None:
    """Count what is missing in frame `head`; find whether the row falls idle."""
    read = playing and not inserted
    gone = read and absent == n
    # Where the peer was silent nothing is lost.
    run = whole[_RUN, row] + int(gone and head * n >= whole[_QUIET, row])
    if read and 0 < absent < n:
        whole[_CONCEALED, row] += absent
    if read and absent < n and run > 0:
        whole[_CONCEALED, row] += run * n
        lost(whole, row, head - run, run)
        run = 0
    idles = gone and run >= IDLE_FRAMES and whole[_TOP, row] <= (head + 1) * n
    if idles:
        run = 0
        whole[_BEGIN, row] = FAR
    whole[_RUN, row] = run
    busy = not playing or idles or run > 0 or whole[_PENDING, row] > 0 or whole[_SPARE, row] > 0
    whole[_BUSY, row] = int(busy)


@compiled("i8(i8[:, ::1], i8[:, ::1], f8[::1], f8[::1], i2[:, ::1], i8, i8, i8, i8, f8, i2[::1], b1[::1])")
def next_frame(
    whole: Any,
    lows: Any,
    delay: Any,
    due: Any,
    frames: Any,
    bucket: int,
    tick: int,
    max_delay: int,
    row: int,
    now: float,
    frame: Any,
    holes: Any,
) -> int:
    """Into `frame` (n,), 0 where samples are missing, and which those are into `holes` (n,). IDLING, WHOLE_FRAME or
    HOLED.

    The columns of the bank as for `rtp.playout_arrival.arrive`, and its `tick`.
    """
    n = frames.shape[1]
    head = whole[_HEAD, row]
    stored = frames[(head & RING_MASK) + row * RING]
    for sample in range(min(len(frame), len(stored))):
        frame[sample] = stored[sample]
        stored[sample] = MISSING
    whole[_HEAD, row] = head + 1
    due[row] = now + FRAME_SECONDS
    if delay[row] > max_delay + n:
        # To be shortened at once.
        whole[_SPARE, row] = max(whole[_SPARE, row], int(np.ceil((delay[row] - max_delay) / n)))
    absent = _absent(frame, holes)
    playing = head >= whole[_BEGIN, row]
    idle = whole[_BEGIN, row] == FAR
    inserted = False
    if (playing and whole[_PENDING, row] > 0) or ((playing or idle) and whole[_SPARE, row] > 0):
        calm = absent == n or (absent == 0 and silent(frame))
        waited = tick - whole[_CHANGED, row]
        if playing and whole[_PENDING, row] > 0 and (calm or waited >= INSERT_TICKS):
            inserted = True
            # Stand still for a tick: put back what was read.
            for sample in range(min(len(frame), len(stored))):
                stored[sample] = frame[sample]
                frame[sample] = MISSING
            whole[_HEAD, row] = head
            whole[_PENDING, row] -= 1
            whole[_INSERTED, row] += 1
            whole[_CONCEALED, row] += n
            whole[_CHANGED, row] = tick
            absent = _absent(frame, holes)
        elif (
            (playing or idle)
            and whole[_SPARE, row] > 0
            and _may_drop(whole, lows, delay, bucket, n, max_delay, row, head, calm, absent, waited)
            and _drop(whole, lows, delay, frames, tick, row, head, absent, frame)
        ):
            head += 1
            absent = _absent(frame, holes)
    _account(whole, n, row, head, absent, playing, inserted)
    if absent:
        for sample in range(min(len(frame), len(holes))):
            if holes[sample]:
                frame[sample] = 0
    if not playing:
        return IDLING
    return HOLED if absent else WHOLE_FRAME


@compiled(
    "i8(i8[:], i8[:, ::1], i8[:, ::1], f8[::1], f8[::1], i2[:, ::1], i8, i8, i8, f8, i2[:, ::1], i8[::1], b1[:, ::1])"
)
def next_frames(
    rows: Any,
    whole: Any,
    lows: Any,
    delay: Any,
    due: Any,
    frames: Any,
    bucket: int,
    tick: int,
    max_delay: int,
    now: float,
    out: Any,
    kinds: Any,
    holes: Any,
) -> int:
    """`next_frame` for each of these rows, into `out` (k, n) and `kinds` (k,); `holes` has those of the HOLED ones, in
    order. How many those are."""
    left = 0
    for index in range(len(rows)):
        kinds[index] = next_frame(
            whole, lows, delay, due, frames, bucket, tick, max_delay, rows[index], now, out[index], holes[left]
        )
        if kinds[index] == HOLED:
            left += 1
    return left

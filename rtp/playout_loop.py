"""Packets of jitter buffers that need no decision, compiled. The others are left to `rtp.playout_arrival`, which says
what is done and why."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtp.compiled import compiled
from rtp.playout_columns import RING, WHOLE
from rtp.relay_loop import nearest16, nearest32

MAX_PACKET_FRAMES = 6  # 120 ms, the longest packet of Opus (RFC 7587 4.2)
SMOOTHING = 1 / 16
ODD = -1

_RECEIVED, _SEQ_TOP, _SEEN, _STAMP = WHOLE["received"], WHOLE["seq_top"], WHOLE["seen"], WHOLE["stamp"]
_MULTIPLY, _DIVIDE, _SHIFT, _TOP = WHOLE["multiply"], WHOLE["divide"], WHOLE["shift"], WHOLE["top"]
_PACKET, _HEAD, _PENDING = WHOLE["packet"], WHOLE["head"], WHOLE["pending"]


@compiled("i8(f8, i8, f8, f8)")
def until_due(due: float, n: int, rate: float, now: float) -> int:
    """Samples until a row plays its next frame of `n`."""
    return int(np.rint(min(max((due - now) * rate, 0.0), float(n))))


@compiled("i8(i8[:, ::1], i8[:, ::1], f8[::1], f8[::1], i8, i8, i8, i8, i8, i8, f8)")
def regular(
    whole: Any,
    lows: Any,
    delay: Any,
    due: Any,
    bucket: int,
    n: int,
    row: int,
    stamp: int,
    seq: int,
    count: int,
    now: float,
) -> int:
    """Take a packet of `count` samples that is the next in sequence, whose samples follow the last ones and are not due
    yet. Their position; ODD: it is none of that kind, and nothing was done."""
    top_seq = whole[_SEQ_TOP, row]
    if nearest16(seq - top_seq) != 1 or count < 1 or count > MAX_PACKET_FRAMES * n:
        return ODD
    before = whole[_STAMP, row]
    stamp = before + nearest32(stamp - before)
    position = stamp * whole[_MULTIPLY, row] // whole[_DIVIDE, row] + whole[_SHIFT, row]
    slack = position - whole[_HEAD, row] * n
    if position != whole[_TOP, row] or slack < 0 or slack >= (RING - MAX_PACKET_FRAMES) * n:
        return ODD
    whole[_SEQ_TOP, row] = top_seq + 1
    whole[_SEEN, row] = whole[_SEEN, row] << 1 | 1
    whole[_STAMP, row] = stamp
    whole[_TOP, row] = position + count
    whole[_PACKET, row] = count
    whole[_RECEIVED, row] += 1
    # Frames that will be inserted count as if they were: play stands still for them.
    slack += whole[_PENDING, row] * n + until_due(due[row], n, n * 50.0, now)
    lows[bucket, row] = min(lows[bucket, row], slack)
    delay[row] += (slack - delay[row]) * SMOOTHING
    return int(position)


@compiled("i8(i8[:], i8[:], i8[:], i8[:], i8[:, ::1], i8[:, ::1], f8[::1], f8[::1], i8, i8, f8, i8[::1], i8[::1])")
def arrive(
    rows: Any,
    stamps: Any,
    seqs: Any,
    counts: Any,
    whole: Any,
    lows: Any,
    delay: Any,
    due: Any,
    bucket: int,
    n: int,
    now: float,
    positions: Any,
    odd: Any,
) -> int:
    """Take the regular ones of these packets: `positions` of all, ODD for the others, which `odd` lists; how many they
    are."""
    left = 0
    for index in range(len(rows)):
        position = regular(
            whole, lows, delay, due, bucket, n, rows[index], stamps[index], seqs[index], counts[index], now
        )
        positions[index] = position
        if position == ODD:
            odd[left] = index
            left += 1
    return left

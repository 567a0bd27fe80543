"""How losses cluster: mean run length for the E-model's BurstR, bursts and gaps of RFC 3611 4.7.2.

RFC 3611 4.7.2: a burst is "the longest sequence that (a) starts with a lost or discarded packet, (b) does not contain
any occurrences of Gmin or more consecutively received (and not discarded) packets, and (c) ends with a lost or
discarded packet". Here its unit is the frame of 20 ms. What is not in a burst is in a gap: single losses, too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rtp.compiled import compiled
from rtp.playout_columns import F64, I64, WHOLE, PlayoutColumns

GMIN = 16  # RFC 3611 4.7.2, the recommended value


_MISSED, _BURSTS, _LOST_AT = WHOLE["missed"], WHOLE["bursts"], WHOLE["lost_at"]
_BURST_FRAMES, _BURST_MISSED, _BURST_COUNT = WHOLE["burst_frames"], WHOLE["burst_missed"], WHOLE["burst_count"]
_CLUSTER, _CLUSTER_MISSED = WHOLE["cluster"], WHOLE["cluster_missed"]


@compiled("void(i8[:, ::1], i8, i8, i8)")
def lost(whole: Any, row: int, start: int, run: int) -> None:
    """A run of `run` missing frames that began at frame `start` is over; `whole`: `PlayoutColumns`."""
    whole[_MISSED, row] += run
    whole[_BURSTS, row] += 1
    since = start - whole[_LOST_AT, row]
    if since >= GMIN or whole[_CLUSTER, row] == 0:
        if whole[_CLUSTER_MISSED, row] > 1:
            whole[_BURST_COUNT, row] += 1
            whole[_BURST_FRAMES, row] += whole[_CLUSTER, row]
            whole[_BURST_MISSED, row] += whole[_CLUSTER_MISSED, row]
        whole[_CLUSTER, row] = whole[_CLUSTER_MISSED, row] = 0
    else:
        whole[_CLUSTER, row] += since
    whole[_CLUSTER, row] += run
    whole[_CLUSTER_MISSED, row] += run
    whole[_LOST_AT, row] = start + run


class Bursts(NamedTuple):
    """Columns of RFC 3611 4.7.2, since the row was opened."""

    burst_density: F64
    """Fraction missing within bursts."""
    gap_density: F64
    burst_ms: F64
    """Mean length of bursts, 0: there was none."""
    gap_ms: F64
    """Mean length of gaps."""


def bursts(c: PlayoutColumns, rows: I64, expected: I64) -> Bursts:
    """`expected`: packets expected, of the length of the last one."""
    n = c.n
    total = expected * np.maximum(c.packet[rows], 1) / n
    open_ = c.cluster_missed[rows] > 1
    count = c.burst_count[rows] + open_
    frames = c.burst_frames[rows] + np.where(open_, c.cluster[rows], 0)
    missed = c.burst_missed[rows] + np.where(open_, c.cluster_missed[rows], 0)
    gaps = np.maximum(total - frames, 0.0)
    alone = np.maximum(c.missed[rows] - missed, 0)
    return Bursts(
        missed / np.maximum(frames, 1),
        np.minimum(alone / np.maximum(gaps, 1.0), 1.0),
        frames * 20.0 / np.maximum(count, 1),
        gaps * 20.0 / (count + 1),
    )


def burst_ratio(missed: I64, runs: I64, packet_frames: F64, loss: F64) -> F64:
    """BurstR (ITU-T G.107 7.5): mean length of runs of lost packets over that of random loss, 1 / (1 - loss). At least
    1; of `missed` frames in `runs`, packets of so many frames. 1 where nothing was missed."""
    mean = missed / np.maximum(runs, 1) / np.maximum(packet_frames, 1.0)
    ratio: F64 = np.maximum(np.where(runs > 0, mean * (1.0 - loss), 1.0), 1.0)
    return ratio

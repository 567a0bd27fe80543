"""Intervals of a report: 15, 30 or 60 minutes, or a day, as the clock on the wall has them.

Counters are kept in slots of 15 minutes of Unix time; every zone that is in use is off UTC by a multiple of that, so
that longer intervals are sums of slots. `offset` says by how many seconds the wall is ahead of UTC at a time; a day on
which clocks change has 23 or 25 hours, and an hour that comes twice is two intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

SLOT = 900.0
"""Seconds."""
DAY = 86_400.0

IntervalName = Literal["15m", "30m", "60m", "day"]
SECONDS: dict[IntervalName, float] = {"15m": SLOT, "30m": 1800.0, "60m": 3600.0, "day": DAY}

Offset = Callable[[float], float]


def utc(time: float) -> float:
    """The offset of UTC."""
    return 0.0


def interval_of(time: float, interval: IntervalName, offset: Offset = utc) -> tuple[float, float]:
    """From when, and up to when, the interval goes that a time lies in: Unix seconds."""
    if interval != "day":
        width = SECONDS[interval]
        start = math.floor((time + offset(time)) / width) * width - offset(time)
        return start, start + width
    day = math.floor((time + offset(time)) / DAY)
    return _midnight(day, time, offset), _midnight(day + 1, time, offset)


def _midnight(day: int, near: float, offset: Offset) -> float:
    """When a day of the wall begins; `near`: some time about then."""
    wall = day * DAY
    guess = wall - offset(near)
    return wall - offset(guess)

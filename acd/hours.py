"""Opening hours: by day of the week in a time zone, less single days."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from acd.config import Hours

DAYS_AHEAD = 370
"""How far the next change is looked for."""


@lru_cache(256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def is_open(hours: Hours, now: float) -> bool:
    """At `now`, Unix seconds."""
    local = datetime.fromtimestamp(now, _zone(hours.zone))
    if local.date().isoformat() in hours.closed:
        return False
    seconds = local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6
    return any(local.weekday() in span.days and span.start <= seconds < span.end for span in hours.spans)


def next_change(hours: Hours, now: float) -> float:
    """When it opens or closes next, Unix seconds; 0.0: not within a year."""
    zone = _zone(hours.zone)
    today = datetime.fromtimestamp(now, zone).date()
    before = is_open(hours, now)
    for ahead in range(DAYS_AHEAD):
        for at in sorted(_edges(hours, today + timedelta(ahead), zone)):
            if at > now and is_open(hours, at) != before:
                return at
    return 0.0


def _edges(hours: Hours, day: date, zone: ZoneInfo) -> set[float]:
    """When it may open or close on a day: midnight, the ends of spans and, where the clock is changed that day, every
    quarter of an hour, at one of which that is. An hour that comes twice has its edges twice."""
    midnight = datetime.combine(day, time(0), zone)
    seconds = {0.0}
    for span in hours.spans:
        if day.weekday() in span.days:
            seconds |= {span.start, span.end}
    if midnight.utcoffset() != (midnight + timedelta(1)).utcoffset():
        seconds |= {quarter * 900.0 for quarter in range(96)}
    walls = [midnight + timedelta(seconds=each) for each in seconds]
    return {wall.replace(fold=fold).timestamp() for wall in walls for fold in (0, 1)}

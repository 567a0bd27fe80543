"""Intervals as the wall has them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from acd.kpi.intervals import DAY, IntervalName, interval_of, utc

BERLIN = ZoneInfo("Europe/Berlin")
KATHMANDU = ZoneInfo("Asia/Kathmandu")


def seconds(zone: ZoneInfo, text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def offset(zone: ZoneInfo):  # type: ignore[no-untyped-def]
    return lambda time: datetime.fromtimestamp(time, zone).utcoffset().total_seconds()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("interval", "begins", "ends"),
    [
        ("15m", "2026-03-10T10:45", "2026-03-10T11:00"),
        ("30m", "2026-03-10T10:30", "2026-03-10T11:00"),
        ("60m", "2026-03-10T10:00", "2026-03-10T11:00"),
        ("day", "2026-03-10T00:00", "2026-03-11T00:00"),
    ],
)
@pytest.mark.parametrize("zone", [BERLIN, KATHMANDU, ZoneInfo("UTC"), ZoneInfo("America/St_Johns")])
def test_an_interval_begins_where_the_clock_says(
    interval: IntervalName, begins: str, ends: str, zone: ZoneInfo
) -> None:
    for at in ("2026-03-10T10:45", "2026-03-10T10:59:59.9"):
        found = interval_of(seconds(zone, at), interval, offset(zone))
        assert found == (seconds(zone, begins), seconds(zone, ends))


def test_days_on_which_clocks_change_have_23_or_25_hours() -> None:
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)):
        for hour in ("T00:00", "T01:30", "T12:00", "T23:59"):
            start, end = interval_of(seconds(BERLIN, day + hour), "day", offset(BERLIN))
            assert start == seconds(BERLIN, day)
            assert end - start == hours * 3600


def test_the_hour_that_comes_twice_is_two_intervals() -> None:
    first = interval_of(seconds(BERLIN, "2026-10-25T02:30", 0), "60m", offset(BERLIN))
    second = interval_of(seconds(BERLIN, "2026-10-25T02:30", 1), "60m", offset(BERLIN))
    assert second[0] == first[1] == first[0] + 3600


def test_utc_is_no_offset() -> None:
    assert interval_of(5 * DAY + 1, "day", utc) == (5 * DAY, 6 * DAY)

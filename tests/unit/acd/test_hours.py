"""Opening hours: time zones, changes of the clock, midnight, single days."""

from datetime import datetime
from zoneinfo import ZoneInfo

from acd.config import Hours, Span
from acd.hours import is_open, next_change

HOUR = 3600.0
WORKDAYS = (0, 1, 2, 3, 4)
ALL = tuple(range(7))
BERLIN = Hours(zone="Europe/Berlin", spans=(Span(days=WORKDAYS, start=9 * HOUR, end=17 * HOUR),))


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def test_it_opens_with_the_first_second_and_closes_with_the_last() -> None:
    assert not is_open(BERLIN, at("2026-01-05T08:59:59"))
    assert is_open(BERLIN, at("2026-01-05T09:00:00"))
    assert is_open(BERLIN, at("2026-01-05T16:59:59") + 0.999)
    assert not is_open(BERLIN, at("2026-01-05T17:00:00"))
    assert not is_open(BERLIN, at("2026-01-03T12:00:00")), "a Saturday"


def test_spans_may_end_at_any_second() -> None:
    hours = Hours(spans=(Span(days=ALL, start=9 * HOUR + 61.0, end=10 * HOUR + 90.5),))
    assert not is_open(hours, at("2026-01-05T09:01:00", "UTC"))
    assert is_open(hours, at("2026-01-05T09:01:01", "UTC"))
    assert is_open(hours, at("2026-01-05T10:01:30", "UTC") + 0.25)
    assert not is_open(hours, at("2026-01-05T10:01:30", "UTC") + 0.5)
    assert next_change(hours, at("2026-01-05T10:00:00", "UTC")) == at("2026-01-05T10:01:30", "UTC") + 0.5


def test_hours_are_those_of_the_zone() -> None:
    noon = at("2026-01-05T12:00:00", "UTC")
    assert is_open(BERLIN, noon)
    assert not is_open(Hours(zone="America/New_York", spans=BERLIN.spans), noon)


def test_the_next_change_is_the_opening_or_the_closing() -> None:
    assert next_change(BERLIN, at("2026-01-05T08:00:00")) == at("2026-01-05T09:00:00")
    assert next_change(BERLIN, at("2026-01-05T09:00:00")) == at("2026-01-05T17:00:00")
    assert next_change(BERLIN, at("2026-01-09T17:00:00")) == at("2026-01-12T09:00:00"), "over the weekend"


def test_what_never_opens_or_never_closes_has_no_next_change() -> None:
    assert next_change(Hours(), at("2026-01-05T08:00:00")) == 0.0
    assert not is_open(Hours(), at("2026-01-05T08:00:00"))
    always = Hours(spans=(Span(days=ALL, start=0.0, end=24 * HOUR),))
    assert is_open(always, at("2026-01-05T23:59:59"))
    assert next_change(always, at("2026-01-05T08:00:00")) == 0.0


def test_a_closed_day_is_closed_from_midnight_to_midnight_in_the_zone() -> None:
    hours = Hours(zone="Europe/Berlin", spans=(Span(days=ALL, start=0.0, end=24 * HOUR),), closed=("2026-12-25",))
    assert is_open(hours, at("2026-12-24T23:59:59"))
    assert not is_open(hours, at("2026-12-25T00:00:00"))
    assert next_change(hours, at("2026-12-24T12:00:00")) == at("2026-12-25T00:00:00")
    assert next_change(hours, at("2026-12-25T12:00:00")) == at("2026-12-26T00:00:00")


def test_two_spans_that_meet_at_midnight_are_one() -> None:
    night = Hours(
        zone="Europe/Berlin",
        spans=(Span(days=ALL, start=22 * HOUR, end=24 * HOUR), Span(days=ALL, start=0.0, end=6 * HOUR)),
    )
    assert is_open(night, at("2026-01-05T23:59:59"))
    assert is_open(night, at("2026-01-06T00:00:00"))
    assert next_change(night, at("2026-01-05T22:00:00")) == at("2026-01-06T06:00:00")


def test_spans_that_overlap_are_one() -> None:
    hours = Hours(spans=(Span(days=ALL, start=9 * HOUR, end=13 * HOUR), Span(days=ALL, start=12 * HOUR, end=18 * HOUR)))
    assert next_change(hours, at("2026-01-05T10:00:00", "UTC")) == at("2026-01-05T18:00:00", "UTC")


def test_hours_follow_the_clock_when_summer_time_begins_and_ends() -> None:
    hours = Hours(zone="Europe/Berlin", spans=(Span(days=ALL, start=9 * HOUR, end=17 * HOUR),))
    for day, before in (("2026-03-29", "2026-03-28"), ("2026-10-25", "2026-10-24")):
        assert next_change(hours, at(f"{before}T18:00:00")) == at(f"{day}T09:00:00")
        assert next_change(hours, at(f"{day}T09:00:00")) - at(f"{day}T09:00:00") == 8 * HOUR
    assert at("2026-03-29T09:00:00") - at("2026-03-28T09:00:00") == 23 * HOUR


def test_an_opening_in_the_hour_that_is_left_out_comes_when_the_clock_has_gone_on() -> None:
    hours = Hours(zone="Europe/Berlin", spans=(Span(days=ALL, start=2.5 * HOUR, end=4 * HOUR),))
    opens = at("2026-03-29T03:00:00")  # 02:00 is 03:00
    assert not is_open(hours, opens - 1.0)
    assert is_open(hours, opens)
    assert next_change(hours, at("2026-03-29T01:00:00")) == opens


def test_the_hour_that_comes_twice_opens_and_closes_twice() -> None:
    hours = Hours(zone="Europe/Berlin", spans=(Span(days=ALL, start=1 * HOUR, end=2.5 * HOUR),))
    first, again, over = (
        at("2026-10-25T02:30:00"),
        at("2026-10-25T02:00:00", fold=1),
        at("2026-10-25T02:30:00", fold=1),
    )
    assert next_change(hours, at("2026-10-25T01:30:00")) == first
    assert not is_open(hours, first)
    assert is_open(hours, again)
    assert next_change(hours, first) == again
    assert next_change(hours, again) == over

"""CDRs as CSV: complete, in ISO times, and harmless in a spreadsheet."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from softswitch.store import CdrRecord, LegRecord, Quality, SegmentRecord
from softswitch.store.export import (
    CONTACT_COLUMNS,
    CONTACTS,
    LEG_COLUMNS,
    LEGS,
    SEGMENTS,
    contact_row,
    leg_rows,
    safe,
    segment_rows,
)
from softswitch.store.records import sides
from softswitch.store.rows import CDR_COLUMNS, cdr_row, read_cdr, segments_text, text
from softswitch.store.rows import LEG_COLUMNS as STORED_LEG_COLUMNS
from softswitch.store.rows import leg_rows as stored_leg_rows

RECORD = CdrRecord(
    "c1",
    1_700_000_000.5,
    1_700_000_060.0,
    1_700_000_010.25,
    "inbound",
    "4930123",
    'Ann, "the" caller',
    "100",
    "101",
    "default",
    "carrier",
    16,
    200,
    "caller",
    59.5,
    49.75,
    Quality(0.0125, 2.34, None),
    None,
    (
        LegRecord("trunk", "carrier", 1_700_000_000.5, "in", "4930123", "192.0.2.1:5060", "id1", jitter_ms=2.34),
        LegRecord("extension", "101", 1_700_000_001.0, rang=1_700_000_002.0, codec="PCMU", packets_in=7, cause=16),
    ),
)


def test_a_contact_is_a_line_with_every_column() -> None:
    row = dict(zip(CONTACT_COLUMNS, contact_row(RECORD, UTC), strict=True))
    assert row == {
        "contact": "c1",
        "started": "2023-11-14T22:13:20.500+00:00",
        "answered": "2023-11-14T22:13:30.250+00:00",
        "ended": "2023-11-14T22:14:20.000+00:00",
        "direction": "inbound",
        "caller_number": "4930123",
        "caller_name": 'Ann, "the" caller',
        "dialled": "100",
        "destination": "101",
        "context": "default",
        "trunk": "carrier",
        "cause": "16",
        "status": "200",
        "ended_by": "caller",
        "duration": "59.500",
        "billsec": "49.750",
        "caller_loss": "0.0125",
        "caller_jitter_ms": "2.3",
        "caller_rtt_ms": "",
        "caller_mos": "",
        "caller_mos_min": "",
        "callee_loss": "",
        "callee_jitter_ms": "",
        "callee_rtt_ms": "",
        "callee_mos": "",
        "callee_mos_min": "",
        "legs": "2",
        "recording": "",
        "recording_started": "",
        "recording_failed": "",
        "diverted": "",
        "segments": "",
        "joined": "",
    }


def test_what_a_contact_was_made_of() -> None:
    segments = (SegmentRecord("ring", 1.5, 3.75), SegmentRecord("talk", 3.75, 60.0), SegmentRecord("=hold", 60.0, 61.5))
    record = CdrRecord("c", 1.0, 62.0, segments=segments, joined="-d")
    row = dict(zip(CONTACT_COLUMNS, contact_row(record, UTC), strict=True))
    assert row["segments"] == "ring 2.250, talk 56.250, =hold 1.500"
    assert row["joined"] == "'-d"
    header, rows = SEGMENTS
    assert [len(each) for each in rows(record)] == [len(header)] * 3
    assert segment_rows(record, UTC)[2] == [
        "c",
        "2",
        "'=hold",
        "1970-01-01T00:01:00.000+00:00",
        "1970-01-01T00:01:01.500+00:00",
        "1.500",
    ]


def test_segments_are_kept_to_the_last_digit_and_as_many_as_there_is_room_for() -> None:
    segments = tuple(
        [SegmentRecord("conference", 1_700_000_000.123456 + n, 1_700_000_001.123456 + n) for n in range(100)]
    )
    record = CdrRecord("c", 1.0, 2.0, segments=segments, joined="d")
    read = read_cdr(cdr_row(record), ())
    assert (read.segments, read.joined) == (segments, "d")
    many = segments * 5
    written = segments_text(many)
    assert written is not None
    assert len(written) <= 8192
    read = read_cdr(cdr_row(CdrRecord("c", 1.0, 2.0, segments=many)), ())
    assert len(read.segments) >= 100
    assert read.segments == many[: len(read.segments)]
    assert read_cdr(cdr_row(CdrRecord("c", 1.0, 2.0)), ()).segments == ()


def test_how_each_side_sounded() -> None:
    leg = LegRecord("extension", "101", 1.0, "in", packets_in=50, mos=4.318, mos_min=3.1)
    record = CdrRecord("c", 1.0, 2.0, caller=leg.quality(), legs=(leg,))
    row = dict(zip(CONTACT_COLUMNS, contact_row(record, UTC), strict=True))
    assert [row[name] for name in ("caller_mos", "caller_mos_min", "callee_mos")] == ["4.32", "3.10", ""]
    legs = dict(zip(LEG_COLUMNS, leg_rows(record, UTC)[0], strict=True))
    assert (legs["mos"], legs["mos_min"]) == ("4.32", "3.10")


def test_where_a_recording_lies_and_what_went_wrong_with_it() -> None:
    record = CdrRecord("c", 1.0, 2.0, recording="/var/=a.wav", recording_started=1.5, recording_failed="-disk full")
    row = dict(zip(CONTACT_COLUMNS, contact_row(record, UTC), strict=True))
    assert row["recording"] == "/var/=a.wav"
    assert row["recording_started"] == "1970-01-01T00:00:01.500+00:00"
    assert row["recording_failed"] == "'-disk full"


def test_what_a_leg_that_went_on_elsewhere_had_is_counted_there() -> None:
    leg = LegRecord("extension", "102", 1.0, answered=2.0, codec="PCMU", joined="c2")
    row = dict(zip(LEG_COLUMNS, leg_rows(CdrRecord("c", 1.0, 3.0, legs=(leg,)), UTC)[0], strict=True))
    assert [row[name] for name in ("packets_in", "packets_out", "lost", "joined")] == ["", "", "", "c2"]
    assert not leg.silent


IN = LegRecord("extension", "101", 1.0, "in", answered=2.0)
NO_ANSWER = LegRecord("extension", "102", 1.0)
CALLED = LegRecord("extension", "103", 1.0, answered=2.0)
CAME = LegRecord("extension", "104", 1.0, "in", answered=2.0)


@pytest.mark.parametrize(
    ("legs", "expected"),
    [
        ((IN, NO_ANSWER, CALLED), (IN, CALLED)),
        ((IN, NO_ANSWER, CAME), (IN, CAME)),
        ((NO_ANSWER, CALLED, CAME), (CALLED, CAME)),
        ((IN,), (IN, None)),
        ((LegRecord("trunk", "north", 1.0, "in"), NO_ANSWER), (LegRecord("trunk", "north", 1.0, "in"), None)),
        ((), (None, None)),
    ],
    ids=["called", "picked up", "begun by the switch", "alone", "not answered", "none"],
)
def test_who_the_two_sides_are(legs: tuple[LegRecord, ...], expected: tuple[LegRecord | None, ...]) -> None:
    assert sides(legs) == expected


def test_each_leg_is_a_line_of_its_own() -> None:
    first, second = (dict(zip(LEG_COLUMNS, row, strict=True)) for row in leg_rows(RECORD, UTC))
    assert (first["contact"], first["seq"], first["address"], first["jitter_ms"]) == (
        "c1",
        "0",
        "192.0.2.1:5060",
        "2.3",
    )
    assert (second["seq"], second["rang"], second["answered"]) == ("1", "2023-11-14T22:13:22.000+00:00", "")
    assert (second["codec"], second["packets_in"], second["jitter_ms"]) == ("PCMU", "7", "")


def test_times_are_in_the_zone_asked_for() -> None:
    zone = timezone(timedelta(hours=2))
    assert contact_row(RECORD, zone)[1] == "2023-11-15T00:13:20.500+02:00"
    here = datetime.fromisoformat(contact_row(RECORD)[1])
    assert here.timestamp() == RECORD.started


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", "＋", "－", "＠", " =", "\u3000@"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert safe(f"{start}cmd|' /C calc'!A0").startswith("'")


@pytest.mark.parametrize("control", ["\t=1", "\r=1", "\n=1", "\x00", "\x1b[2J", "\u202e", "\x7f", "\x9b1m", "\udcff"])
def test_control_characters_are_gone(control: str) -> None:
    assert safe(f"{control}x").isprintable()
    assert safe(f"{control}x").startswith("\ufffd")


def test_ordinary_text_is_as_it_was() -> None:
    for value in ("", "4930123", "Ann Smith", "Jörg", "呼び出し", "a=b", "a-b"):
        assert safe(value) == value


def test_every_cell_of_a_strangers_is_made_safe() -> None:
    evil = "=HYPERLINK(1)"
    names = (
        "contact",
        "direction",
        "caller_number",
        "caller_name",
        "dialled",
        "destination",
        "context",
        "trunk",
        "ended_by",
    )
    record = CdrRecord("x", 0.0, 0.0)
    for name in names:
        setattr(record, name, evil)
    record.legs = (LegRecord(evil, evil, 0.0, evil, evil, evil, evil, codec=evil),)
    for header, rows in (CONTACTS, LEGS):
        for row in rows(record):
            assert len(row) == len(header)
            assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]
            assert [cell for cell in row if cell.startswith("'=")]


def test_a_written_file_reads_back_whatever_the_cells_hold() -> None:
    out = io.StringIO()
    header, rows = CONTACTS
    csv.writer(out).writerows([header, *rows(RECORD)])
    _, line = csv.reader(io.StringIO(out.getvalue()))
    assert dict(zip(header, line, strict=True))["caller_name"] == 'Ann, "the" caller'


def test_rows_have_a_value_for_every_column() -> None:
    assert len(cdr_row(RECORD)) == len(CDR_COLUMNS)
    assert dict(zip(CDR_COLUMNS, cdr_row(RECORD), strict=True))["billsec"] == 49.75
    assert [len(row) for row in stored_leg_rows(RECORD)] == [len(STORED_LEG_COLUMNS)] * 2
    assert dict(zip(STORED_LEG_COLUMNS, stored_leg_rows(RECORD)[1], strict=True))["codec"] == "PCMU"


def test_quality_needs_something_heard() -> None:
    assert LegRecord("extension", "1", 0.0, lost=5).quality() is None
    assert LegRecord("extension", "1", 0.0, packets_in=15, lost=5).quality() == Quality(0.25, None, None)


def test_text_is_cut_and_printable() -> None:
    assert text("abcdef", 3) == "abc"
    assert text("a\nb", 10) == "a\ufffdb"
    assert text("山田\u3000太郎\u00a0", 10) == "山田 太郎 "


def test_every_column_is_explained() -> None:
    told = (Path(__file__).parents[3] / "docs/call-records.md").read_text()
    contact, leg = told.split("## A leg")
    assert {name for name in {*CONTACT_COLUMNS, *CDR_COLUMNS} if f"`{name}`" not in contact} == set()
    assert {name for name in {*LEG_COLUMNS, *STORED_LEG_COLUMNS} if f"`{name}`" not in leg} == set()

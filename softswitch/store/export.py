"""CDRs as CSV (RFC 4180), fit to be opened in a spreadsheet: what a caller calls itself must not become a formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo

from softswitch.store.records import CdrRecord, LegRecord, Quality, SegmentRecord
from softswitch.store.rows import text

MAX_CELL = 4096

# Spreadsheets take a cell for a formula by its first character; some accept the full-width forms as well.
FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")

_NO_QUALITY = Quality()

CONTACT_COLUMNS = (
    "contact",
    "started",
    "answered",
    "ended",
    "direction",
    "caller_number",
    "caller_name",
    "dialled",
    "destination",
    "context",
    "trunk",
    "cause",
    "status",
    "ended_by",
    "duration",
    "billsec",
    "caller_loss",
    "caller_jitter_ms",
    "caller_rtt_ms",
    "caller_mos",
    "caller_mos_min",
    "callee_loss",
    "callee_jitter_ms",
    "callee_rtt_ms",
    "callee_mos",
    "callee_mos_min",
    "legs",
    "recording",
    "recording_started",
    "recording_failed",
    "diverted",
    "segments",
    "joined",
)
LEG_COLUMNS = (
    "contact",
    "seq",
    "direction",
    "kind",
    "endpoint",
    "number",
    "address",
    "call_id",
    "started",
    "rang",
    "answered",
    "ended",
    "cause",
    "status",
    "codec",
    "packets_in",
    "packets_out",
    "lost",
    "jitter_ms",
    "rtt_ms",
    "mos",
    "mos_min",
    "joined",
)
SEGMENT_COLUMNS = ("contact", "seq", "kind", "started", "ended", "seconds")


def safe(value: str) -> str:
    """A cell of text: printable, and an apostrophe in front of what a spreadsheet would calculate."""
    value = text(value, MAX_CELL)
    return f"'{value}" if value.lstrip().startswith(FORMULA_STARTS) else value


def contact_row(record: CdrRecord, zone: tzinfo | None = None) -> list[str]:
    """The cells of one contact, times in `zone` (None: the machine's)."""
    return [
        safe(record.contact),
        _time(record.started, zone),
        _time(record.answered, zone),
        _time(record.ended, zone),
        safe(record.direction),
        safe(record.caller_number),
        safe(record.caller_name),
        safe(record.dialled),
        safe(record.destination),
        safe(record.context),
        safe(record.trunk),
        str(record.cause),
        str(record.status),
        safe(record.ended_by),
        f"{record.duration:.3f}",
        f"{record.billsec:.3f}",
        *_quality(record.caller),
        *_quality(record.callee),
        str(len(record.legs)),
        safe(record.recording),
        _time(record.recording_started, zone),
        safe(record.recording_failed),
        safe(record.diverted),
        safe(course(record.segments)),
        safe(record.joined),
    ]


def course(segments: Sequence[SegmentRecord]) -> str:
    """The segments in one cell, each with its seconds: "ring 2.310, talk 61.004, hold 5.120"."""
    return ", ".join([f"{each.kind} {each.ended - each.started:.3f}" for each in segments])


def segment_rows(record: CdrRecord, zone: tzinfo | None = None) -> list[list[str]]:
    """The cells of each segment of one contact."""
    return [
        [
            safe(record.contact),
            str(seq),
            safe(each.kind),
            _time(each.started, zone),
            _time(each.ended, zone),
            f"{each.ended - each.started:.3f}",
        ]
        for seq, each in enumerate(record.segments)
    ]


def leg_rows(record: CdrRecord, zone: tzinfo | None = None) -> list[list[str]]:
    """The cells of each leg of one contact."""
    return [_leg_row(record.contact, seq, leg, zone) for seq, leg in enumerate(record.legs)]


def _leg_row(contact: str, seq: int, leg: LegRecord, zone: tzinfo | None) -> list[str]:
    return [
        safe(contact),
        str(seq),
        safe(leg.direction),
        safe(leg.kind),
        safe(leg.endpoint),
        safe(leg.number),
        safe(leg.address),
        safe(leg.call_id),
        _time(leg.started, zone),
        _time(leg.rang, zone),
        _time(leg.answered, zone),
        _time(leg.ended, zone),
        str(leg.cause),
        str(leg.status),
        safe(leg.codec),
        *(str(count) if not leg.joined else "" for count in (leg.packets_in, leg.packets_out, leg.lost)),
        _number(leg.jitter_ms, ".1f"),
        _number(leg.rtt_ms, ".1f"),
        _number(leg.mos, ".2f"),
        _number(leg.mos_min, ".2f"),
        safe(leg.joined),
    ]


def _time(moment: float | None, zone: tzinfo | None) -> str:
    """ISO 8601 with milliseconds and the offset from UTC."""
    if moment is None:
        return ""
    return datetime.fromtimestamp(moment, zone).astimezone(zone).isoformat(timespec="milliseconds")


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _quality(quality: Quality | None) -> tuple[str, ...]:
    quality = quality or _NO_QUALITY
    return (
        _number(quality.loss, ".4f"),
        _number(quality.jitter_ms, ".1f"),
        _number(quality.rtt_ms, ".1f"),
        _number(quality.mos, ".2f"),
        _number(quality.mos_min, ".2f"),
    )


Table = tuple[tuple[str, ...], Callable[[CdrRecord], list[list[str]]]]

CONTACTS: Table = (CONTACT_COLUMNS, lambda record: [contact_row(record)])
LEGS: Table = (LEG_COLUMNS, leg_rows)
SEGMENTS: Table = (SEGMENT_COLUMNS, segment_rows)

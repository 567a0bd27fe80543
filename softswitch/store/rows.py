"""Records to table rows and back. Text is made harmless here, whoever wrote it.

A row is a tuple in the order of the table's columns (`CDR` without its serial id).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unicodedata import category

import msgspec

from softswitch.store.records import BindingRecord, CdrRecord, FeatureChange, LegRecord, Quality, SegmentRecord, sides
from softswitch.store.schema import CDR, CDR_LEG, ID, NAME, NUMBER, PATH, SEGMENTS, WORD

Row = tuple[Any, ...]

CDR_COLUMNS = [column.name for column in CDR.columns if column.name != "id"]
LEG_COLUMNS = [column.name for column in CDR_LEG.columns]

MAX_INTEGER = 2**63 - 1
MAX_SMALL = 32767

# Spaces of other widths (between Japanese names) are not printable in Python's sense; they are spaces all the same.
_REPLACED = {"Zs": " "}

_NO_QUALITY = Quality()
_encode_path = msgspec.json.Encoder().encode
_decode_path = msgspec.json.Decoder(tuple[str, ...]).decode
_encode_segments = msgspec.json.Encoder().encode
_decode_segments = msgspec.json.Decoder(tuple[SegmentRecord, ...]).decode


def text(value: str, longest: int) -> str:
    """`value` cut to `longest`, and whatever is not printable (control characters, line ends, escapes, overrides of
    the writing direction, halves of surrogates) replaced: it goes to terminals, spreadsheets and logs, and no database
    takes all of it."""
    if len(value) > longest:
        value = value[:longest]
    if value.isprintable():
        return value
    return "".join([char if char.isprintable() else _REPLACED.get(category(char), "\ufffd") for char in value])


def cdr_row(record: CdrRecord) -> Row:
    """A row of `CDR`."""
    first, second = [leg.quality() if leg is not None else None for leg in sides(record.legs)]
    caller, callee = record.caller or first or _NO_QUALITY, record.callee or second or _NO_QUALITY
    return (
        text(record.contact, ID),
        record.started,
        record.answered,
        record.ended,
        text(record.direction, WORD),
        text(record.caller_number, NUMBER),
        text(record.caller_name, NAME),
        text(record.dialled, NUMBER),
        text(record.destination, NUMBER),
        text(record.context, NUMBER),
        text(record.trunk, NUMBER),
        min(record.cause, MAX_SMALL),
        min(record.status, MAX_SMALL),
        text(record.ended_by, WORD),
        record.duration,
        record.billsec,
        caller.loss,
        caller.jitter_ms,
        caller.rtt_ms,
        callee.loss,
        callee.jitter_ms,
        callee.rtt_ms,
        text(record.recording, PATH) or None,
        record.recording_started,
        text(record.recording_failed, NAME) or None,
        caller.mos,
        caller.mos_min,
        callee.mos,
        callee.mos_min,
        text(record.diverted, NAME) or None,
        segments_text(record.segments),
        text(record.joined, ID) or None,
    )


def segments_text(segments: Sequence[SegmentRecord]) -> str | None:
    """Segments as the column has them: JSON, `[["ring", started, ended], ...]`; the first ones where there is no room
    for all. None for none."""
    if not segments:
        return None
    written = _encode_segments(segments).decode()
    while len(written) > SEGMENTS:
        segments = segments[: len(segments) * SEGMENTS // len(written)]
        written = _encode_segments(segments).decode()
    return written


def leg_rows(record: CdrRecord) -> list[Row]:
    """The rows of `CDR_LEG`."""
    contact = text(record.contact, ID)
    return [
        (
            contact,
            seq,
            text(leg.kind, WORD),
            text(leg.endpoint, NUMBER),
            leg.started,
            text(leg.direction, WORD),
            text(leg.number, NUMBER),
            text(leg.address, NUMBER),
            text(leg.call_id, NAME),
            leg.rang,
            leg.answered,
            leg.ended,
            min(leg.cause, MAX_SMALL),
            min(leg.status, MAX_SMALL),
            min(leg.packets_in, MAX_INTEGER),
            min(leg.packets_out, MAX_INTEGER),
            min(leg.lost, MAX_INTEGER),
            leg.jitter_ms,
            leg.rtt_ms,
            text(leg.codec, WORD),
            leg.mos,
            leg.mos_min,
            text(leg.joined, ID) or None,
        )
        for seq, leg in enumerate(record.legs)
    ]


def read_cdr(row: Sequence[Any], legs: Sequence[Sequence[Any]]) -> CdrRecord:
    """The record of a row and its legs' rows, which are in order."""
    return CdrRecord(
        contact=row[0],
        started=row[1],
        answered=row[2],
        ended=row[3],
        direction=row[4],
        caller_number=row[5],
        caller_name=row[6],
        dialled=row[7],
        destination=row[8],
        context=row[9],
        trunk=row[10],
        cause=row[11],
        status=row[12],
        ended_by=row[13],
        duration=row[14],
        billsec=row[15],
        caller=_quality((*row[16:19], *row[25:27])),
        callee=_quality((*row[19:22], *row[27:29])),
        legs=tuple([_read_leg(leg) for leg in legs]),
        recording=row[22] or "",
        recording_started=row[23],
        recording_failed=row[24] or "",
        diverted=row[29] or "",
        segments=_decode_segments(row[30]) if row[30] else (),
        joined=row[31] or "",
    )


def _quality(values: Sequence[Any]) -> Quality | None:
    return None if all(value is None for value in values) else Quality(*values)


def _read_leg(row: Sequence[Any]) -> LegRecord:
    values = (*row[2:22], row[22] or "")
    return LegRecord(*values)


def binding_row(record: BindingRecord) -> Row:
    """A row of `BINDING`. Its text is kept as it is, so that the key is found again and the contact stays callable; the
    registrar has bounded it. Raises UnicodeEncodeError for what no database takes."""
    "".join((record.aor, record.contact, record.params, record.call_id, *record.path)).encode()
    return (
        record.aor,
        record.contact,
        record.params,
        record.q,
        record.expires_at,
        record.call_id,
        min(record.cseq, MAX_INTEGER),
        record.transport,
        record.local_host,
        record.local_port,
        record.remote_host,
        record.remote_port,
        _encode_path(record.path).decode(),
        text(record.user_agent, 1024),
    )


def read_binding(row: Sequence[Any]) -> BindingRecord:
    """The record of a row."""
    values = list(row)
    values[12] = _decode_path(values[12])
    return BindingRecord(*values)


def read_feature(row: Sequence[Any]) -> FeatureChange:
    """What a row says. Rows are made of a feature's key and value as they are: the switch has checked them."""
    return FeatureChange(*row)

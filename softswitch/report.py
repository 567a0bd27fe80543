"""What the switch tells of itself: the status report, and a contact as a call detail record."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from media.commands import Quiet
from media.workers import MediaWorkers, WorkerReport
from softswitch.active_call import Active
from softswitch.call import Call
from softswitch.call_floor import State
from softswitch.contact import Contact
from softswitch.contact import LegRecord as LegNotes
from softswitch.control import (
    CallRow,
    GatewayRow,
    MediaReport,
    PartyRow,
    RegistrationRow,
    StatusReport,
    SubscriptionRow,
    TrunkRow,
    WorkerRow,
)
from softswitch.diverting import summary
from softswitch.registrations import BindingStatus
from softswitch.store.records import CdrRecord, LegRecord, SegmentRecord

if TYPE_CHECKING:
    from media.in_process import InProcessMedia
    from softswitch.subscriptions import WatchStatus
    from softswitch.trunk_registration import RegistrationStatus
    from softswitch.trunks import TrunkStatus

MAX_ROWS = 10_000
"""Rows of one list in a report where the asker names no number."""

MISSING_SECONDS = 5.0
"""From the answer, or from the end of a hold, until it is told that no audio comes or goes."""

NONE_QUIET: Mapping[int, Quiet] = {}

MAX_PARTIES = 32
"""Of one call in a report: a page may have a hundred."""

_STATES = {
    State.ROUTING: "routing",
    State.HUNTING: "ringing",
    State.PAGING: "paging",
    State.OFFERING: "connecting",
    State.TALKING: "talking",
    State.PARKED: "parked",
    State.ECHO: "echo",
    State.ANNOUNCING: "playing",
    State.ASKING: "asked",
    State.ENDING: "ending",
}


_WHILE_TALKING = {"conference": "conference", "hold": "on hold"}
"""By the segment that the contact has come to."""

_IN_ROOM = {
    "": "connecting",
    "pin": "asked",
    "name": "asked",
    "lobby": "waiting",
    "waiting": "waiting",
    "in": "conference",
    "leaving": "ending",
}
"""By how the caller stands in its room."""


def cdr_of(contact: Contact) -> CdrRecord:
    """The record of an ended contact."""
    wall = contact.wall_of
    trunks = [leg.endpoint for leg in contact.legs if leg.kind == "trunk"]
    ended = contact.ended or contact.started
    direction = contact.direction
    if direction == "internal" and trunks:
        direction = "outbound"
    return CdrRecord(
        contact=contact.id,
        started=contact.wall,
        ended=contact.wall + (ended - contact.started),
        answered=wall(contact.answered),
        direction=direction,
        caller_number=contact.caller.number,
        caller_name=contact.caller.name,
        dialled=contact.dialled,
        destination=contact.destination,
        context=contact.context,
        trunk=trunks[-1] if trunks else "",
        cause=contact.cause,
        status=contact.status,
        ended_by=contact.ended_by,
        duration=ended - contact.started,
        billsec=ended - contact.answered if contact.answered else 0.0,
        legs=tuple([_leg(contact, leg) for leg in contact.legs]),
        diverted=summary(contact.diverted),
        recording=", ".join([each.path for each in contact.recordings if each.path]),
        recording_started=next((wall(each.started) for each in contact.recordings if each.started), None),
        recording_failed=next((each.failed for each in contact.recordings if each.failed), ""),
        segments=_segments(contact, ended),
        joined=contact.joined,
    )


def _segments(contact: Contact, ended: float) -> tuple[SegmentRecord, ...]:
    """Rounded as `wall_of` rounds, for the same reason as the times of legs."""
    zero, wall = contact.started, contact.wall
    return tuple(
        [
            SegmentRecord(each.kind, wall + (each.started - zero), wall + ((each.ended or ended) - zero))
            for each in contact.segments
        ]
    )


def _leg(contact: Contact, leg: LegNotes) -> LegRecord:
    wall = contact.wall_of
    stats = leg.stats
    return LegRecord(
        kind=leg.kind,
        endpoint=leg.endpoint,
        # Rounded as `wall_of` rounds, so that what happened at one moment has one time.
        started=contact.wall + (leg.started - contact.started),
        direction=leg.direction,
        number=leg.number,
        address=leg.address,
        call_id=leg.call_id,
        rang=wall(leg.rang),
        answered=wall(leg.answered),
        ended=wall(leg.ended),
        cause=leg.cause,
        status=leg.status,
        packets_in=stats.packets_received if stats is not None else 0,
        packets_out=stats.packets_sent if stats is not None else 0,
        lost=stats.lost if stats is not None else 0,
        jitter_ms=stats.jitter_ms if stats is not None and stats.packets_received else None,
        rtt_ms=stats.round_trip_ms if stats is not None else None,
        codec=leg.codec,
        mos=stats.mos if stats is not None else None,
        mos_min=stats.mos_min if stats is not None else None,
        joined=leg.joined,
    )


def status_report(
    *,
    now: float,
    started: float,
    config: str,
    listening: list[str],
    draining: bool,
    limit: int | None,
    bindings: list[BindingStatus],
    trunks: list[TrunkStatus],
    trunk_registrations: list[RegistrationStatus],
    trunk_calls: dict[str, int],
    gateway_rtt: dict[tuple[str, str], float | None],
    calls: Iterable[Active],
    counters: dict[str, int],
    tables: dict[str, int],
    media: MediaReport,
    subscriptions: Sequence[WatchStatus] = (),
    quiet: Iterable[Quiet] = (),
) -> StatusReport:
    """Everything an operator sees with `softswitch status`; lists are cut to `limit` rows."""
    silent = {each.stream: each for each in quiet}
    rows = MAX_ROWS if limit is None else max(0, min(limit, MAX_ROWS))
    active = list(calls)
    registered = {each.trunk: str(each.state) for each in trunk_registrations}
    return StatusReport(
        version=version("softswitch"),
        pid=os.getpid(),
        uptime=now - started,
        registrations=[_registration(each) for each in bindings[:rows]],
        trunks=[_trunk(each, registered, trunk_calls, gateway_rtt) for each in trunks[:rows]],
        calls=[call_row(each, now, silent) for each in active[:rows]],
        subscriptions=[_subscription(each) for each in subscriptions[:rows]],
        counters=counters,
        tables=tables,
        media=media,
        totals={
            "registrations": len(bindings),
            "trunks": len(trunks),
            "calls": len(active),
            "subscriptions": len(subscriptions),
        },
        listening=listening,
        config=config,
        draining=draining,
    )


def media_report(media: InProcessMedia | MediaWorkers) -> MediaReport:
    """What the media engine does, wherever it runs."""
    report = MediaReport(
        rows=media.streams, ports=media.ports, packets_in=media.packets_in, packets_out=media.packets_out
    )
    if isinstance(media, MediaWorkers):
        report.dropped = media.dropped
        report.adopted = media.adopted
        report.workers = [_worker(each) for each in media.report()]
    else:
        report.dropped = dict(media.counters)
    return report


def _worker(worker: WorkerReport) -> WorkerRow:
    return WorkerRow(
        name=worker.name,
        process=worker.process,
        linked=worker.linked,
        cpu=worker.cpu,
        streams=worker.streams,
        adopted=worker.adopted,
        ports=worker.ports,
        packets_in=worker.packets_in,
        packets_out=worker.packets_out,
        late_ms=worker.late_ms,
        restarts=worker.restarts,
    )


def _registration(binding: BindingStatus) -> RegistrationRow:
    return RegistrationRow(
        aor=binding.extension,
        contact=binding.contact,
        transport=binding.transport,
        source=binding.source,
        user_agent=binding.user_agent,
        expires_in=binding.expires_in,
        q=binding.q,
        reachable=binding.reachable,
        rtt_ms=None if binding.rtt is None else binding.rtt * 1000,
    )


def _subscription(watch: WatchStatus) -> SubscriptionRow:
    return SubscriptionRow(
        watcher=watch.watcher,
        package=watch.package,
        resource=watch.resource,
        state=watch.state,
        source=watch.source,
        expires_in=watch.expires_in,
    )


def _trunk(
    trunk: TrunkStatus,
    registered: dict[str, str],
    calls: dict[str, int],
    rtt: dict[tuple[str, str], float | None],
) -> TrunkRow:
    gateways = []
    for gateway in trunk.gateways:
        took = rtt.get((trunk.name, gateway.gateway))
        if not gateway.reachable:
            state = "down"
        else:
            state = "unknown" if took is None else "up"
        gateways.append(GatewayRow(gateway.gateway, state, None if took is None else took * 1000))
    state = registered.get(trunk.name, "")
    kind = "register" if state else {"address": "address", "credentials": "digest"}.get(trunk.inbound, "")
    limit = trunk.max_calls or None
    return TrunkRow(trunk.name, kind, state, gateways, calls.get(trunk.name, 0), limit)


def call_row(active: Active, now: float, quiet: Mapping[int, Quiet] = NONE_QUIET) -> CallRow:
    """A call in progress, as the status report has it. `quiet`: by stream, which is the leg's id."""
    call = active.call
    contact = call.contact
    return CallRow(
        contact=contact.id,
        state=_state(call),
        caller=contact.caller.number,
        called=contact.dialled,
        parties=_parties(call, now, quiet),
        slot=call.parked_in,
        age=now - contact.started,
        talking=now - contact.answered if contact.answered else None,
        codec=contact.legs[0].codec,
        recording=call.recording,
    )


def _state(call: Call) -> str:
    if call.consults:
        return "consultation"
    if call.transfers:
        return "transfer"
    if call.state is State.CONFERRING:
        return _IN_ROOM[call.stand]
    kind = call.contact.segments[-1].kind
    if call.state is State.TALKING and kind in _WHILE_TALKING:
        return _WHILE_TALKING[kind]
    return _STATES[call.state]


def _parties(call: Call, now: float, quiet: Mapping[int, Quiet]) -> list[PartyRow]:
    rows = []
    for leg, does in call.roles()[:MAX_PARTIES]:
        end = call.end(leg)
        row = PartyRow(f"{end.kind} {end.name}", call.party(leg).number, does)
        found = quiet.get(leg)
        if found is not None and call.sounds(leg, does):
            # What was before the answer says nothing: early media need not be.
            record = call.contact.leg(leg)
            answered = record.answered if record is not None and record.answered else call.contact.answered
            # And what was found a second ago may be of a hold, or of a consultation, that is over now.
            talks = now - max(answered, call.contact.segments[-1].started)
            row.unheard, row.unsent = (_missing(seconds, talks) for seconds in (found.unheard, found.unsent))
        rows.append(row)
    if any(row.unheard is not None for row in rows):
        for row in rows:
            row.unsent = None  # there is nothing to send: one cause is told, not its consequences
    return rows


def _missing(seconds: float, talks: float) -> float | None:
    return min(seconds, talks) if seconds and talks >= MISSING_SECONDS else None

"""Calls that come in: a new INVITE of somebody who is admitted becomes a leg, a contact and a call, or is refused.

INVITE --> terms, setup, offer --> call limit --> stream --> call begins, or comes into another (Replaces, Join)
"""

from __future__ import annotations

import structlog

from media.commands import NoMediaPorts
from media.negotiate import AudioOffer
from media.sdp import SdpError
from sip.errors import SipError
from sip.message import Request
from sip.ua_events import SessionArrived
from softswitch.active_call import Active
from softswitch.admission import Known
from softswitch.call import Call
from softswitch.call_limits import CallLimits
from softswitch.call_mover import CallMover
from softswitch.call_streams import CallStreams
from softswitch.call_tables import CallRunner, CallTables
from softswitch.call_transfer import TransferRefused
from softswitch.contact import Contact, LegRecord
from softswitch.directory import PhoneBook
from softswitch.directory_entries import TrunkEntry, behind_nat
from softswitch.leg_maker import LegMaker
from softswitch.room_calls import conference_group
from softswitch.sdes_policy import keyed
from softswitch.sip_leg import SipLeg
from softswitch.sip_reasons import warning
from softswitch.vocabulary import SeekFailed, Setup

log = structlog.get_logger("calls")

RETRY_AFTER = 10
"""Seconds told with a 503 for want of room: load that passes."""


class Arrivals:
    """See the module."""

    __slots__ = ("_book", "_limits", "_maker", "_mover", "_runner", "_streams", "_tables")

    def __init__(
        self,
        runner: CallRunner,
        tables: CallTables,
        streams: CallStreams,
        maker: LegMaker,
        mover: CallMover,
        book: PhoneBook,
        limits: CallLimits,
    ) -> None:
        self._runner = runner
        self._tables = tables
        self._streams = streams
        self._maker = maker
        self._mover = mover
        self._book = book
        self._limits = limits

    def admitted(self, event: SessionArrived, known: Known, passed: tuple[str, ...], now: float) -> None:
        """An INVITE of somebody who may call. `passed`: names of headers that the called legs get as they are."""
        session, request, flow = event.session, event.request, event.flow
        leg_id = self._maker.next_leg()
        host = flow.remote[0]
        contact_id = self._maker.contact_id()
        try:
            terms = self._book.terms(known)
            nat = behind_nat(terms, request, flow)
            setup = self._book.setup(known, request, flow, _passed(request, passed))
            policy = keyed(terms.policy, flow)
            leg = self._maker.make(leg_id, True, setup.kind, setup.endpoint, policy, nat, host, terms.reliable)
            group = self._group(setup, contact_id)
            offer = leg.arrived(session.remote_offer)
            limit = terms.channels if isinstance(terms, TrunkEntry) else terms.call_limit
            if not self._limits.acquire(f"{setup.kind}:{setup.endpoint}", limit, contact_id):
                self._tables.counters["calls refused: call limit"] += 1
                session.reject(486 if setup.kind == "extension" else 503, "Call limit reached", [], now)
                return
            self._streams.open(leg, group, offer.remote if offer is not None else None, now)
        except (SdpError, SipError) as error:
            headers = warning(error, self._maker.announce(host)) if isinstance(error, SdpError) else []
            if error.status == 488:
                log.warning("call refused", contact=contact_id, source=host, why=error.reason)
            session.reject(error.status, error.reason, headers, now)
            return
        except NoMediaPorts:
            self._limits.release(contact_id)
            self._tables.counters["calls refused: no media ports"] += 1
            session.reject(503, "No media ports", [("Retry-After", str(RETRY_AFTER))], now)
            return
        leg.session = session
        session.user = leg_id
        if nat or flow.connection:
            session.destination = flow
        contact = Contact(contact_id, now, self._maker.wall(), setup.caller, setup.dialled)
        self._begin(event, contact, leg, setup, offer, now, group)

    def _group(self, setup: Setup, contact: str) -> str:
        """Whose streams must be where this call's are: those of the conference that it leads to, or only its own."""
        conference = self._book.conference(setup)
        return conference_group(conference) if conference else contact

    def _begin(
        self,
        event: SessionArrived,
        contact: Contact,
        leg: SipLeg,
        setup: Setup,
        offer: AudioOffer | None,
        now: float,
        group: str,
    ) -> None:
        call_id = event.session.call_id
        contact.context = setup.context
        contact.kind = setup.kind
        contact.endpoint = setup.endpoint
        contact.direction = "inbound" if setup.kind == "trunk" else "internal"
        contact.add_leg(
            LegRecord(leg.id, "in", setup.kind, setup.endpoint, setup.caller.number, now, setup.address, call_id)
        )
        call = Call(contact, leg.id, setup, offer, leg.media.policy, self._book, self._maker.next_leg)
        leg.call = contact.id
        self._tables.legs[leg.id] = leg
        active = self._tables.calls[contact.id] = Active(call, {}, group=group)
        self._streams.belongs(leg.id, active)
        self._tables.counters["calls"] += 1
        if event.replaces is not None or event.join is not None:
            self._come_into(active, leg, event, now)
            self._runner.work(now)
        else:
            self._runner.carry_out(active, call.begin(now), now)

    def _come_into(self, active: Active, leg: SipLeg, event: SessionArrived, now: float) -> None:
        """The INVITE names a dialog of ours, to take its place (RFC 3891) or to talk along (RFC 3911)."""
        other = event.matched.user if event.matched is not None else None
        active.call.contact.enter("route", now)
        try:
            if not isinstance(other, int):
                raise TransferRefused("there is no such dialog", 481)
            self._mover.replacing(active, leg.id, other, event.join is not None, now)
        except TransferRefused as refused:
            log.info("call not joined", contact=leg.call, why=str(refused))
            self._tables.tell(active, SeekFailed(leg.id, refused.status, str(refused)))


def _passed(request: Request, wanted: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple([(name, value) for name, value in request.headers if name in wanted]) if wanted else ()

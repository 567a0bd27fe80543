"""The legs of calls: called where a call wants others, told what it wants of them, forgotten when their dialog is over.

Originate --INVITE--> (again, without SRTP or video, where that was refused) --> effects and events --> over
"""

from __future__ import annotations

import structlog

from media.commands import NoMediaPorts
from sip.message import Request
from sip.ua import UserAgent
from softswitch.active_call import Active
from softswitch.call_limits import CallLimits
from softswitch.call_streams import CallStreams
from softswitch.call_tables import CallTables
from softswitch.causes import Cause
from softswitch.directory import PhoneBook
from softswitch.directory_entries import DialAddress
from softswitch.leg_maker import LegMaker
from softswitch.sdes_policy import in_the_clear, keyed
from softswitch.sip_leg import SipLeg
from softswitch.vocabulary import (
    Accept,
    Answer,
    AskTransfer,
    MoveMedia,
    NotMoved,
    Offer,
    Originate,
    Progress,
    RefuseOffer,
    Release,
    Released,
    ReofferRefused,
    TransferAnswered,
)

log = structlog.get_logger("calls")


class CallLegs:
    """What calls want of their legs, one method for each such effect."""

    __slots__ = ("_book", "_limits", "_maker", "_streams", "_tables", "_ua")

    def __init__(
        self,
        tables: CallTables,
        streams: CallStreams,
        maker: LegMaker,
        ua: UserAgent,
        book: PhoneBook,
        limits: CallLimits,
    ) -> None:
        self._tables = tables
        self._streams = streams
        self._maker = maker
        self._ua = ua
        self._book = book
        self._limits = limits

    # ---- legs that we call ------------------------------------------------------------------------------

    def originate(self, active: Active, effect: Originate, now: float) -> None:
        """Call an endpoint."""
        endpoint = effect.endpoint
        address = endpoint.address
        assert isinstance(address, DialAddress)
        policy = keyed(endpoint.policy, address.destination)
        why = in_the_clear(policy, address)
        if why:
            self._tables.counters["legs failed: signalling in the clear"] += 1
            log.warning("not called", **{endpoint.kind: endpoint.name}, why=why)
            released = Released(effect.leg, Cause.INCOMPATIBLE_DESTINATION, 488, by_peer=False, text=why)
            self._tables.tell(active, released)
            return
        leg = self._maker.make(effect.leg, False, endpoint.kind, endpoint.name, policy, address.nat, address.host)
        try:
            self._streams.open(leg, active.group, None, now)
        except NoMediaPorts:
            self._tables.counters["legs failed: no media ports"] += 1
            self._tables.tell(active, Released(effect.leg, Cause.RESOURCE_UNAVAILABLE, 503, by_peer=False))
            return
        self._streams.belongs(leg.id, active)
        # The directory has seen that there is room. Counted by leg, so that failover to another gateway keeps the
        # channel that the failed leg has given back a moment ago.
        self._limits.acquire(f"{endpoint.kind}:{endpoint.name}", 0, active.call.contact.id)
        leg.call = active.call.contact.id
        self._tables.legs[effect.leg] = leg
        active.originated[effect.leg] = effect
        self._streams.open_video(active, leg, effect.video, now)
        self._invite(active, leg, effect, now)

    def invited_again(self, leg: SipLeg, status: int, now: float) -> bool:
        """The far end does not take SRTP that is not required, or no video: call it once more without."""
        active = self._tables.calls.get(leg.call)
        effect = active.originated.get(leg.id) if active is not None else None
        if active is None or effect is None:
            return False
        if not leg.media.offers_plain(status):
            if not leg.media.offers_audio(status):
                return False
            effect.video = None
        self._invite(active, leg, effect, now)
        return True

    def _invite(self, active: Active, leg: SipLeg, effect: Originate, now: float) -> None:
        """Send the INVITE of an outbound leg."""
        endpoint = effect.endpoint
        address = endpoint.address
        assert isinstance(address, DialAddress)
        sdp = leg.media.offer(effect.codecs, effect.direction, effect.video)
        diversions = self._book.diversions(endpoint, effect.diverted, leg.media.origin.host)
        told = [*diversions, *self._book.referred_by(endpoint, effect.referred_by, leg.media.origin.host)]
        written = {name for name, _ in told}
        request = Request(
            "INVITE",
            address.uri,
            [
                *self._book.identity(address, effect.caller, leg.media.origin.host),
                ("Max-Forwards", str(effect.hops)),
                *[each for each in effect.headers if each[0] not in written],
                *told,
                ("Content-Type", "application/sdp"),
            ],
            sdp,
        )
        session = self._ua.invite(request, now, address.destination, endpoint.name, address.credentials)
        session.user = effect.leg
        if address.nat:
            session.destination = address.destination
        leg.session = session
        record = active.call.contact.leg(effect.leg)
        if record is not None:
            record.call_id = session.call_id
            record.address = address.uri

    # ---- offer and answer -------------------------------------------------------------------------------

    def progress(self, active: Active, effect: Progress, now: float) -> None:
        leg = self._tables.legs.get(effect.leg)
        if leg is not None:
            self._streams.open_video(active, leg, effect.video, now)
            leg.progress(effect.status, effect.codecs, effect.direction, now, effect.video)
            self._agreed(active, leg)

    def accept(self, active: Active, effect: Accept, now: float) -> None:
        leg = self._tables.legs.get(effect.leg)
        if leg is not None:
            self._streams.open_video(active, leg, effect.video, now)
            leg.accept(effect.codecs, effect.direction, now, effect.video)
            self._agreed(active, leg)

    def offer(self, active: Active, effect: Offer, now: float) -> None:
        leg = self._tables.legs.get(effect.leg)
        if leg is not None:
            self._streams.open_video(active, leg, effect.video, now)
        if leg is None or not leg.offer(effect.codecs, effect.direction, now, effect.video):
            self._tables.tell(active, ReofferRefused(effect.leg, 491))

    def answer(self, active: Active, effect: Answer, now: float) -> None:
        leg = self._tables.legs.get(effect.leg)
        if leg is not None:
            self._streams.open_video(active, leg, effect.video, now)
            leg.answer(effect.codecs, effect.direction, now, effect.video)
            self._agreed(active, leg)

    def refuse_offer(self, active: Active, effect: RefuseOffer, now: float) -> None:
        leg = self._tables.legs.get(effect.leg)
        if leg is not None:
            leg.refuse_offer(effect.status, now)

    def move_media(self, active: Active, effect: MoveMedia, now: float) -> None:
        leg = self._tables.legs.get(effect.leg)
        if leg is None:
            return
        if self._streams.is_lost(leg) and not self._streams.open_again(active, leg, now):
            self._tables.tell(active, NotMoved(leg.id))
            return
        self._streams.open_video(active, leg, effect.video, now)
        if not leg.offer(effect.codecs, effect.direction, now, effect.video):
            self._tables.tell(active, NotMoved(leg.id))

    @staticmethod
    def _agreed(active: Active, leg: SipLeg) -> None:
        if leg.media.agreed is not None:
            active.call.session_agreed(leg.id, leg.media.agreed)

    # ---- REFER, BYE -------------------------------------------------------------------------------------

    def ask_transfer(self, active: Active, effect: AskTransfer, now: float) -> None:
        leg = self._tables.legs.get(effect.leg)
        if leg is None:
            return
        host = leg.media.origin.host
        by = effect.by.replace("{host}", f"[{host}]" if ":" in host else host)
        if not leg.ask_transfer(effect.target, by, now):
            self._tables.tell(active, TransferAnswered(effect.leg, 405))

    def release(self, active: Active, effect: Release, now: float) -> None:
        leg = self._tables.legs.get(effect.leg)
        if leg is not None:
            if leg.inbound and effect.status == 488 and effect.text:
                contact = active.call.contact
                log.warning("call refused", contact=contact.id, **{contact.kind: contact.endpoint}, why=effect.text)
            leg.release(effect.cause, effect.status, effect.text, effect.retry_after, now)

    def over(self, leg: SipLeg, now: float) -> None:
        """The dialog has ended: what the leg had is free again."""
        del self._tables.legs[leg.id]
        active = self._tables.calls.get(leg.call)
        if active is None:
            return
        self._streams.leave(active, leg, now)
        active.originated.pop(leg.id, None)
        holder = (leg.kind, leg.endpoint)
        if not any((other.kind, other.endpoint) == holder for other in self._tables.legs_of(active)):
            self._limits.release(leg.call, f"{leg.kind}:{leg.endpoint}")

"""What every INVITE session is made of: its state, and the writing of its messages.

The deciding is in `invite.py` (and `invite_uac.py`, `invite_uas.py`, `reoffer.py`); what is here does as it is told,
and keeps the two things that go on by themselves: the retransmission of a 2xx until its ACK, and our ACK for a 2xx
that comes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar, Literal

from sip.digest import DigestClient
from sip.message import Request, Response, response_to
from sip.outgoing import InDialog, Kind
from sip.session_timer import Settled, header
from sip.ua_events import EndCause, OfferedIn
from sip.uas import SDP

if TYPE_CHECKING:
    from sip import reoffer
    from sip.dialog import Dialog
    from sip.digest import Credentials
    from sip.effects import Destination, FailureCause
    from sip.server_transaction import ServerTransaction
    from sip.timers import Timer
    from sip.ua import UserAgent

Header = tuple[str, str]
Headers = Sequence[Header]

SDP_TYPE: Header = ("Content-Type", SDP)


class State(Enum):
    """Where a session stands; read-only for the application."""

    CALLING = auto()  # UAC: INVITE sent. UAS: INVITE came, nothing said but 100
    EARLY = auto()  # a provisional response with a tag was received (UAC) or sent (UAS)
    ACCEPTED = auto()  # UAC: 2xx came, our ACK waits for answer(). UAS: accepted, the ACK not yet here
    CONFIRMED = auto()  # ACK sent (UAC) or received (UAS)
    ENDING = auto()  # over for the application; BYE, CANCEL or late responses still on the wire
    ENDED = auto()  # nothing left


class Pending:
    """The peer's offer (or its offerless re-INVITE) that waits for the application's answer."""

    __slots__ = ("credentials", "dialog", "number", "offerless", "settled", "transaction", "where")

    def __init__(self, where: OfferedIn, dialog: Dialog, transaction: ServerTransaction | None) -> None:
        self.where = where
        self.dialog = dialog
        self.transaction = transaction  # INVITE, UPDATE, PRACK: owed a response
        self.offerless = False
        self.number = 0  # "2xx": CSeq of the ACK; "18x": CSeq of the INVITE that its PRACK names (RSeq is the dialog's)
        self.credentials: tuple[Header, ...] = ()  # of the INVITE, for the ACK
        self.settled: tuple[Settled, bool] | None = None


class Unacked:
    """A 2xx of ours on the wire, retransmitted until its ACK comes."""

    __slots__ = ("cseq", "deadline", "interval", "offers", "timer", "transaction")

    def __init__(self, transaction: ServerTransaction, cseq: int, offers: bool) -> None:
        self.transaction = transaction
        self.cseq = cseq
        self.offers = offers  # it holds our offer: the ACK must hold the answer
        self.interval = 0.0
        self.deadline = 0.0
        self.timer: Timer | None = None

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class SessionCore:
    """State of a session, and what it writes: responses, requests, acknowledgements. `InviteSession` decides."""

    __slots__ = (
        "_ack",
        "_digest",
        "_expires_at",
        "_min_se",
        "_pending",
        "_reoffer",
        "_settled",
        "_timer",
        "_unacked",
        "contact_user",
        "credentials",
        "destination",
        "dialog",
        "id",
        "remote_offer",
        "state",
        "ua",
        "user",
    )

    role: ClassVar[Literal["uac", "uas"]]

    def __init__(self, ua: UserAgent, session_id: int, dialog: Dialog, contact_user: str) -> None:
        self.ua = ua
        self.id = session_id
        self.state = State.CALLING
        # The application's own mark (its leg id); never read here.
        self.user: object = None
        # The peer's offer while it waits for our answer.
        self.remote_offer: bytes | None = None
        # Where requests inside the dialog and the ACK go. None: RFC 3263 from route set and remote target. The
        # application sets the Flow here when the peer is behind a NAT (its Contact can't be reached).
        self.destination: Destination = None
        # User part of the Contact that the stack writes for us.
        self.contact_user = contact_user
        # For challenges inside the dialog.
        self.credentials: Credentials | None = None
        # The dialog; of several early ones that of the latest provisional response.
        self.dialog = dialog
        self._digest: DigestClient | None = None
        self._pending: Pending | None = None
        self._reoffer: reoffer.Reoffer | None = None
        self._unacked: Unacked | None = None
        self._ack: tuple[int, bytes | None, tuple[Header, ...]] | None = None  # CSeq, SDP, credentials of our ACK
        self._settled: Settled | None = None
        self._timer: Timer | None = None  # the session timer's (RFC 4028)
        self._expires_at = 0.0
        self._min_se = 0  # what a 422 demanded

    def __repr__(self) -> str:
        return f"<{self.role} session {self.id} {self.state.name}>"

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def call_id(self) -> str:
        return self.dialog.call_id

    @property
    def local_tag(self) -> str:
        return self.dialog.local_tag

    @property
    def remote_tag(self) -> str:
        """The peer's tag; "" until the first response that has one."""
        return self.dialog.remote_tag

    @property
    def over(self) -> bool:
        """Whether the session is of no more use: its last event has been given out, or follows a cancel()."""
        return self.state is State.ENDING or self.state is State.ENDED

    # --- sending: responses ---------------------------------------------------------------------------------

    def _reply(
        self, transaction: ServerTransaction, status: int, now: float, headers: Headers = (), reason: str | None = None
    ) -> None:
        """A final response without body to a request that is not answered yet."""
        self.ua.reply(transaction, status, reason, headers, now, self.dialog.local_tag)

    def _reply_with_sdp(
        self,
        transaction: ServerTransaction,
        sdp: bytes | None,
        settled: tuple[Settled, bool] | None,
        now: float,
    ) -> None:
        """200 to an UPDATE or PRACK."""
        request = transaction.request
        if request is None:
            return
        response = response_to(request, 200)
        contact: str | None = None
        if request.method == "UPDATE":
            # RFC 3311 5.2: UPDATE is a target refresh, also by the Contact of its 2xx
            contact = self.contact_user
            response.headers += self.ua.ok_headers
            self._write_settled(response, settled, now)
        if sdp is not None:
            response.headers.append(SDP_TYPE)
            response.body = sdp
        self.ua.stack.respond(transaction, response, now, contact)

    def _send_2xx(
        self,
        transaction: ServerTransaction,
        sdp: bytes | None,
        offers: bool,
        settled: tuple[Settled, bool] | None,
        headers: Headers,
        now: float,
    ) -> None:
        """200 to an INVITE, retransmitted until its ACK (RFC 3261 13.3.1.4)."""
        request = transaction.request
        if request is None:
            return
        response = response_to(request, 200, to_tag=self.dialog.local_tag)
        response.headers += self.ua.ok_headers
        response.headers += headers
        self._write_settled(response, settled, now)
        if sdp is not None:
            response.headers.append(SDP_TYPE)
            response.body = sdp
        unacked = self._unacked = Unacked(transaction, request.cseq.number, offers)
        timers = self.ua.timer_config
        # "an interval that starts at T1 seconds and doubles for each retransmission until it reaches T2 seconds"
        unacked.interval = timers.t1
        unacked.deadline = now + 64 * timers.t1
        unacked.timer = self.ua.timers.schedule(now + timers.t1, self._ack_missing)
        transaction.user = None
        self.ua.stack.respond(transaction, response, now, self.contact_user)

    def _ack_missing(self, now: float) -> None:
        unacked = self._unacked
        if unacked is None:
            return
        if now >= unacked.deadline:
            # "If the server retransmits the 2xx response for 64*T1 seconds without receiving an ACK, the dialog is
            # confirmed, but the session SHOULD be terminated. This is accomplished with a BYE".
            self._unacked = None
            if self.state is State.ENDING:
                self._acked_while_ending(now)
                return
            self._break_off("no-ack", now)
            return
        self.ua.stack.retransmit(unacked.transaction, now)
        unacked.interval = min(2 * unacked.interval, self.ua.timer_config.t2)
        unacked.timer = self.ua.timers.schedule(min(now + unacked.interval, unacked.deadline), self._ack_missing)

    def _acked_while_ending(self, now: float) -> None:
        self._send_bye(now, None)

    def _write_settled(self, response: Response, settled: tuple[Settled, bool] | None, now: float) -> None:
        """Session-Expires of a 2xx to an INVITE or UPDATE, and the timer it sets."""
        if settled is None:
            return
        timer, required = settled
        response.headers.append(("Session-Expires", header(timer, "uas")))
        if required:
            # RFC 4028 9: with refresher=uac "the UAS MUST place a Require header field into the response with the
            # value 'timer'"
            response.headers.append(("Require", "timer"))
        self._arm(timer, now)

    # --- the session timer (RFC 4028; what it does when it fires: reoffer.py) -------------------------------

    def _arm(self, settled: Settled, now: float) -> None:
        """An INVITE or UPDATE with its 2xx has settled the session timer: (re)start it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.over:
            return
        self._settled = settled
        self._expires_at = now + settled.expires_after
        after = settled.refresh_after if settled.ours else settled.expires_after
        self._timer = self.ua.timers.schedule(now + after, self._timer_due)

    # --- sending: requests ----------------------------------------------------------------------------------

    def _send_inside(
        self,
        kind: Kind,
        dialog: Dialog,
        method: str,
        now: float,
        headers: Headers = (),
        body: bytes = b"",
    ) -> InDialog:
        request = dialog.request(method, headers, body)
        request.headers += self.ua.request_headers
        inside = InDialog(self, dialog, kind, request)
        inside.send(now)
        return inside

    def _send_prack(self, dialog: Dialog, invite_cseq: int, sdp: bytes | None, now: float) -> None:
        # RFC 3262 7.2: RAck names the RSeq, and the CSeq of the INVITE it answers
        headers: list[Header] = [("RAck", f"{dialog.rseq} {invite_cseq} INVITE")]
        if sdp is not None:
            headers.append(SDP_TYPE)
        self._send_inside(Kind.PRACK, dialog, "PRACK", now, headers, sdp or b"")

    def _send_ack(self, cseq: int, sdp: bytes | None, now: float, credentials: tuple[Header, ...] = ()) -> None:
        """ACK a 2xx and remember it for the 2xx's retransmissions."""
        ack = self._ack = (cseq, sdp, credentials)
        self._write_ack(ack, now)

    def _write_ack(self, ack: tuple[int, bytes | None, tuple[Header, ...]], now: float) -> None:
        cseq, sdp, headers = ack
        if sdp is not None:
            headers = (*headers, SDP_TYPE)
        request = self.dialog.request("ACK", headers, sdp or b"", cseq)
        self.ua.stack.send_ack(request, now, self.destination)

    def _send_bye(self, now: float, reason: str | None) -> None:
        """BYE; the session is gone when it is answered, or given up."""
        headers: Headers = (("Reason", reason),) if reason else ()
        self._send_inside(Kind.BYE, self.dialog, "BYE", now, headers)

    def _credentials_for(self, response: Response, request: Request) -> Header | None:
        """The header that answers a challenge to a request of this session; None where we have none for that realm."""
        if self.credentials is None:
            return None
        if self._digest is None:
            self._digest = DigestClient(self.ua.ids)
        return self._digest.answer(response.headers, request.method, request.uri, self.credentials, request.body)

    # --- decided by InviteSession ---------------------------------------------------------------------------

    def _provisional_inside(self, inside: InDialog, response: Response, now: float) -> None:
        """A 1xx to a request inside the dialog."""
        raise NotImplementedError

    def _answered_inside(self, inside: InDialog, response: Response, now: float) -> None:
        """A final response to a request inside; challenges have been dealt with."""
        raise NotImplementedError

    def _failed_inside(self, inside: InDialog, cause: FailureCause, now: float) -> None:
        """No final response to a request inside."""
        raise NotImplementedError

    def _timer_due(self, now: float) -> None:
        """The session timer has fired."""
        raise NotImplementedError

    def _break_off(self, cause: EndCause, now: float, status: int = 0) -> None:
        """End the session for what the peer did or did not do."""
        raise NotImplementedError

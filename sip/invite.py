"""INVITE sessions: what the application holds in its hand for one leg (RFC 3261 13, 14, 15).

    CALLING --1xx with tag--> EARLY --2xx--> ACCEPTED --ACK--> CONFIRMED --BYE--> ENDING --answered--> ENDED
       \\                        \\--failed, cancelled, rejected---------------------^ (or ENDED at once)

Here is what both roles do once there is a dialog: offers, answers, acknowledgements, requests of the peer, the end.
`invite_uac.py` and `invite_uas.py` hold what comes before; `reoffer.py` our own re-INVITEs, UPDATEs and session
refreshes.

Ownership: the user agent owns sessions by id; a session owns its dialogs and timers; a request in flight owns its
session (through its transaction's `user`). A session that has ended is in no table and no timer, so its last
reference frees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sip import reoffer
from sip.errors import SipError
from sip.message import Request, Response
from sip.offer_answer import Exchange, WrongState
from sip.outgoing import InDialog, Kind, credentials_of
from sip.reliable import is_reliable, rseq
from sip.session_core import Header, Headers, Pending, State
from sip.session_refer import ReferringSession
from sip.session_timer import Settled, settle_as_uas
from sip.ua_events import (
    AnswerReceived,
    EndCause,
    InfoReceived,
    Offered,
    OfferWithdrawn,
    SessionConfirmed,
    SessionEnded,
)
from sip.uas import Refused, sdp_in, sdp_of

if TYPE_CHECKING:
    from sip.dialog import Dialog
    from sip.effects import FailureCause
    from sip.server_transaction import ServerTransaction

__all__ = ["Headers", "InviteSession", "State", "WrongState"]

# Responses to a request inside a dialog that end the session with it. RFC 3261 12.2.1.2: "If the response for a
# request within a dialog is a 481 (Call/Transaction Does Not Exist) or a 408 (Request Timeout), the UAC SHOULD
# terminate the dialog." RFC 5057 5.1 adds the codes which say that the peer itself, not this request, can't be
# reached.
ENDS_SESSION = frozenset({404, 408, 410, 416, 480, 481, 482, 484, 485, 502, 604})


class InviteSession(ReferringSession):
    """One INVITE dialog usage, from the first INVITE to the last BYE.

    Made by `UserAgent.invite` (role "uac") or by an arriving INVITE (role "uas"). A method called in a state where
    it means nothing (answer() without an offer, progress() after accept()) raises `WrongState`: our own mistake,
    not the peer's. On a session that is over every method does nothing: its last event may still be on its way to
    the application.
    """

    __slots__ = ()

    # --- what it allows -------------------------------------------------------------------------------------

    @property
    def offer_pending(self) -> bool:
        """Whether an `Offered` waits for answer() or reject_offer() (an OfferWithdrawn or the end takes it back)."""
        return self._pending is not None

    @property
    def unheard_progress(self) -> int:
        """Reliable provisional responses of ours that wait for their PRACK, or for their turn to be sent."""
        return 0

    @property
    def can_offer(self) -> bool:
        """Whether offer() is allowed now: no offer of either side waits for its answer, and a way to send one
        exists.
        """
        if self._reoffer is not None or self._pending is not None or self._unacked is not None:
            return False
        if self.state is State.CONFIRMED:
            return self.dialog.exchange.quiet
        return self.state is State.EARLY and self.dialog.peer_updates and self.dialog.exchange.state is Exchange.STABLE

    # --- UAS: answering the INVITE --------------------------------------------------------------------------

    def progress(
        self, status: int, sdp: bytes | None, now: float, reliable: bool | None = None, headers: Headers = ()
    ) -> None:
        """Send 101-199. `reliable` None: where the peer requires 100rel, and for responses with SDP where it
        supports it
        (by settings); it is never done to a peer without 100rel.

        `sdp` answers the INVITE's offer, or is our offer when the INVITE had none (then it is left out of a response
        that can't be reliable). It is left out too when the answer is out already.
        """
        raise WrongState(f"progress() on {self}")

    def accept(self, sdp: bytes | None, now: float, headers: Headers = ()) -> None:
        """Send 200. `sdp`: the answer, or our offer for an offerless INVITE; left out when a reliable 18x carried
        it already.

        None: the description that progress() sent. The 200 is held back while a PRACK, or the answer to an early
        UPDATE, is due.
        """
        raise WrongState(f"accept() on {self}")

    def reject(self, status: int, reason: str | None, headers: Headers, now: float) -> None:
        """Send a final 3xx-6xx to the INVITE; `SessionEnded(cause="rejected")` follows."""
        raise WrongState(f"reject() on {self}")

    # --- UAC ------------------------------------------------------------------------------------------------

    def cancel(self, now: float, reason: str | None = None) -> None:
        """CANCEL the INVITE (now, or after its first 1xx). `reason`: a Reason header value.

        `SessionFailed` follows: with 487, or with what the peer answered first. A 2xx that crosses is ACKed and
        BYEd inside.
        """
        raise WrongState(f"cancel() on {self}")

    # --- both -----------------------------------------------------------------------------------------------

    def offer(self, sdp: bytes | None, now: float, method: Literal["INVITE", "UPDATE"] | None = None) -> None:
        """Offer a new description: `AnswerReceived` or `OfferFailed` follows.

        By re-INVITE when the dialog is confirmed, by UPDATE where asked for or in an early dialog (the peer must
        allow it). `sdp` None: an offerless re-INVITE, the peer's offer comes as `Offered`. One at a time: a second
        offer while one is under way, either side's, raises `WrongState`; `can_offer` tells.
        """
        if self.over:
            return
        if not self.can_offer:
            raise WrongState(f"offer() on {self}")
        if method is None:
            method = "INVITE" if self.state is State.CONFIRMED else "UPDATE"
        if method == "UPDATE" and (sdp is None or not self.dialog.peer_updates):
            method = "INVITE"
        if method == "INVITE" and self.state is not State.CONFIRMED:
            raise WrongState(f"re-INVITE on {self}")
        reoffer.start(self, method, sdp, now)

    def answer(self, sdp: bytes, now: float) -> None:
        """Answer the pending `Offered`, wherever it came (re-INVITE, UPDATE, PRACK, 2xx: in our ACK, reliable 18x:
        in our PRACK).
        """
        if self.over:
            return
        pending = self._pending
        if pending is None:
            raise WrongState(f"answer() on {self} without an offer")
        self._pending = self.remote_offer = None
        exchange = pending.dialog.exchange
        if pending.offerless:
            exchange.offer_sent(sdp)
        else:
            exchange.answer_sent(sdp)
        transaction = pending.transaction
        if pending.where == "2xx":
            self._send_ack(pending.number, sdp, now, pending.credentials)
            self.state = State.CONFIRMED
        elif pending.where == "18x":
            self._send_prack(pending.dialog, pending.number, sdp, now)
        elif transaction is not None and pending.where == "INVITE":
            self._send_2xx(transaction, sdp, pending.offerless, pending.settled, (), now)
        elif transaction is not None:
            self._reply_with_sdp(transaction, sdp, pending.settled, now)
        self._exchange_done(now)

    def reject_offer(self, status: int, now: float, headers: Headers = ()) -> None:
        """Refuse the pending `Offered` with 488, 491...; what was agreed before stands. An offer in a 2xx or 18x:
        ends the session.
        """
        if self.over:
            return
        pending = self._pending
        if pending is None:
            raise WrongState(f"reject_offer() on {self} without an offer")
        transaction = pending.transaction
        if transaction is None:
            # An offer in a response can't be refused by a message of its own. RFC 3261 13.2.2.4 has it answered in
            # the ACK and followed by a BYE; before the 2xx there is CANCEL.
            self.hangup(now)
            return
        self._pending = self.remote_offer = None
        if not pending.offerless:
            pending.dialog.exchange.withdraw()
        self._reply(transaction, status, now, headers)
        self._exchange_done(now)

    def hangup(self, now: float, reason: str | None = None, status: int = 487) -> None:
        """End the session in whatever state: CANCEL (UAC early), final `status` (UAS early), BYE. `reason`: a
        Reason header value.
        """
        if self.over:
            return
        pending = self._pending
        if pending is not None and pending.where == "2xx":
            # RFC 3261 13.2.2.4: "the UAC core MUST generate a valid answer in the ACK and then send a BYE
            # immediately". We have no answer to give: the ACK goes without.
            self._send_ack(pending.number, None, now, pending.credentials)
        self._end("local", now, reason=reason or "")
        self._send_bye(now, reason)

    def send_info(self, content_type: str, body: bytes, now: float) -> None:
        """Send INFO inside the confirmed dialog (RFC 6086 legacy usage); its answer matters only when it ends the
        dialog.
        """
        if self.over:
            return
        if self.state is not State.CONFIRMED:
            raise WrongState(f"send_info() on {self}")
        self._send_inside(Kind.INFO, self.dialog, "INFO", now, (("Content-Type", content_type),), body)

    # --- from the peer, by the user agent -------------------------------------------------------------------

    def receive(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A request inside the dialog. What is wrong with it is raised as SipError and answered by the user agent."""
        dialog = self._dialog_of(request.from_tag)
        if not dialog.in_order(request.cseq.number):
            # RFC 3261 12.2.2: out of order requests "MUST be rejected with a 500 (Server Internal Error) response"
            raise SipError(500, "CSeq out of order")
        method = request.method
        if method == "BYE":
            self._on_bye(transaction, request, now)
        elif method == "PRACK":
            self._on_prack(transaction, request, dialog, now)
        elif self.over:
            raise SipError(481, "Call/Transaction Does Not Exist")
        elif method == "INVITE":
            self._on_reinvite(transaction, request, dialog, now)
        elif method == "UPDATE":
            self._on_update(transaction, request, dialog, now)
        else:
            self._on_info(transaction, request, now)

    def receive_ack(self, request: Request, now: float) -> None:
        """An ACK to a 2xx; one that acknowledges nothing that waits is a repetition."""
        unacked = self._unacked
        if unacked is None or request.cseq.number != unacked.cseq:
            return
        unacked.stop()
        self._unacked = None
        self.ua.stack.release(unacked.transaction)
        if self.state is State.ENDING:
            # RFC 3261 15: "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK
            # for its 2xx response or until the server transaction times out." It has it now.
            self._acked_while_ending(now)
            return
        initial = self.state is State.ACCEPTED
        self.state = State.CONFIRMED
        self.dialog.confirmed = True
        if unacked.offers:
            answer = sdp_in(request)
            if answer is None:
                # RFC 3261 13.2.1: an offer in the 2xx: "the answer MUST be in the acknowledgement for that message"
                self._end("bad-sdp", now)
                self._send_bye(now, None)
                return
            self.dialog.exchange.answer_received(answer)
            self.ua.events.append(AnswerReceived(self, answer))
        if initial:
            self.ua.events.append(SessionConfirmed(self))

    def receive_repeated_2xx(self, response: Response, now: float) -> None:
        """RFC 3261 13.2.2.4: "The ACK MUST be passed to the client transport every time a retransmission of the 2xx
        final
        response that triggered the ACK arrives." """
        ack = self._ack
        if ack is not None and ack[0] == response.cseq.number:
            self._write_ack(ack, now)

    def receive_cancel(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A CANCEL of a re-INVITE (UAS sessions: of the INVITE too); RFC 3261 9.2: the INVITE is answered 487."""
        pending = self._pending
        if pending is None or pending.transaction is not transaction:
            return
        self._pending = self.remote_offer = None
        if not pending.offerless:
            pending.dialog.exchange.withdraw()
        self._reply(transaction, 487, now)
        self.ua.events.append(OfferWithdrawn(self))

    # --- requests of the peer -------------------------------------------------------------------------------

    def _on_bye(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        # RFC 3261 15.1.2: "the UAS core ... MUST generate a 2xx response to the BYE", also to one that crosses ours.
        self._reply(transaction, 200, now)
        self._end("bye", now, reason=request.get("Reason") or "")
        self._finish()

    def _on_prack(self, transaction: ServerTransaction, request: Request, dialog: Dialog, now: float) -> None:
        # RFC 3262 3: "If a PRACK request is received by the UA core that does not match any unacknowledged reliable
        # provisional response, the UAS MUST respond to the PRACK with a 481 response." Only a UAS has such responses.
        raise SipError(481, "Call/Transaction Does Not Exist")

    def _on_info(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        if request.has("Info-Package"):
            # RFC 6086: a package that we did not list in Recv-Info gets 469 with the packages we take: none.
            raise Refused(469, "Bad Info Package", ("Recv-Info", ""))
        self.ua.judge_info(request.content_type, request.body)
        self._reply(transaction, 200, now)
        self.ua.events.append(InfoReceived(self, request.content_type, request.body))

    def _on_reinvite(self, transaction: ServerTransaction, request: Request, dialog: Dialog, now: float) -> None:
        pending = self._pending
        if self._invite_unanswered or (pending is not None and pending.transaction is not None):
            # RFC 3261 14.2: "A UAS that receives a second INVITE before it sends the final response to a first
            # INVITE with a lower CSeq sequence number on the same dialog MUST return a 500 (Server Internal Error)
            # response to the second INVITE and MUST include a Retry-After header field with a randomly chosen value
            # of between 0 and 10".
            raise self._busy()
        if self.state is not State.CONFIRMED or self._unacked is not None or self._offer_in_flight:
            # RFC 3261 14.2: "A UAS that receives an INVITE on a dialog while an INVITE it had sent on that dialog
            # is in progress MUST return a 491"; RFC 5407 3.1.4: likewise while the ACK to our 2xx is on its way.
            raise SipError(491, "Request Pending")
        sdp = sdp_of(request)
        pending = Pending("INVITE", dialog, transaction)
        pending.settled = self._settle(request)
        pending.offerless = sdp is None
        transaction.user = self  # a CANCEL finds us by it
        dialog.refresh_target(request)
        dialog.note_allow(request)
        self._offered(pending, sdp, now)

    def _on_update(self, transaction: ServerTransaction, request: Request, dialog: Dialog, now: float) -> None:
        sdp = sdp_of(request)
        pending = self._pending
        if pending is not None and pending.where == "UPDATE":
            # RFC 3311 5.2: "A UAS that receives an UPDATE before it has generated a final response to a previous
            # UPDATE on the same dialog MUST return a 500 response to the new UPDATE, and MUST include a Retry-After
            # header field".
            raise self._busy()
        if sdp is not None:
            state = dialog.exchange.state
            if state is Exchange.LOCAL or self._offer_in_flight:
                # RFC 3311 5.2: "If an UPDATE is received that contains an offer, and the UAS has generated an offer
                # (in an UPDATE, PRACK or INVITE) to which it has not yet received an answer, the UAS MUST reject
                # the UPDATE with a 491".
                raise SipError(491, "Request Pending")
            if state is not Exchange.STABLE or pending is not None:
                # RFC 3311 5.2: an offer while theirs waits for our answer: 500 with Retry-After
                raise self._busy()
        settled = self._settle(request) if self.state is State.CONFIRMED else None
        dialog.refresh_target(request)
        dialog.note_allow(request)
        if sdp is None:
            self._reply_with_sdp(transaction, None, settled, now)
            return
        pending = Pending("UPDATE", dialog, transaction)
        pending.settled = settled
        self._offered(pending, sdp, now)

    def _busy(self) -> Refused:
        return Refused(500, "Request Pending", ("Retry-After", str(int(self.ua.ids.random() * 11))))

    @property
    def _invite_unanswered(self) -> bool:
        """UAS: the INVITE that made the session has no final response yet."""
        return False

    def _offers_in(self, dialog: Dialog) -> bool:
        """Whether a re-INVITE or UPDATE of ours with an offer is under way in that dialog."""
        return self._offer_in_flight and self._reoffer is not None and self._reoffer.dialog is dialog

    @property
    def _offer_in_flight(self) -> bool:
        return self._reoffer is not None and self._reoffer.in_flight is not None

    def _settle(self, request: Request) -> tuple[Settled, bool] | None:
        settings = self.ua.settings
        return settle_as_uas(request, settings.session_expires, settings.min_se)

    # --- offers of the peer ---------------------------------------------------------------------------------

    def _offered(self, pending: Pending, sdp: bytes | None, now: float) -> None:
        """Put the peer's offer before the application; one that repeats what is agreed is answered with what is
        agreed.
        """
        exchange = pending.dialog.exchange
        self._pending = pending
        if sdp is not None:
            repeated = exchange.repeats(sdp)
            exchange.offer_received(sdp)
            if repeated and exchange.local is not None:
                self.answer(exchange.local, now)
                return
        self.remote_offer = sdp
        self.ua.events.append(Offered(self, sdp, pending.where))

    def _timer_due(self, now: float) -> None:
        reoffer.due(self, now)

    def _exchange_done(self, now: float) -> None:
        """An exchange has ended: what waited for that may go on (UAS: a 2xx held back)."""

    def _offered_in_2xx(
        self, dialog: Dialog, cseq: int, credentials: tuple[Header, ...], sdp: bytes, now: float
    ) -> None:
        """The 2xx to our INVITE without offer holds theirs: the ACK waits for the application's answer."""
        pending = Pending("2xx", dialog, None)
        pending.number = cseq
        pending.credentials = credentials
        self._offered(pending, sdp, now)

    def _reliable_provisional(
        self, dialog: Dialog, response: Response, now: float, offerless: bool, answers: bool
    ) -> bool:
        """Take an 18x with Require: 100rel of an INVITE of ours; False when it is a repetition or out of order (RFC
        3262 4).

        `offerless`: our INVITE had no offer and none has come from the peer. `answers`: its offer still waits.
        """
        number = rseq(response)
        if number is None or (dialog.rseq and number != dialog.rseq + 1):
            return False
        sdp = sdp_in(response)
        exchange = dialog.exchange
        offers = offerless and sdp is not None and exchange.quiet
        if offers and self._pending is not None:
            # Another early dialog's offer waits for its answer. This one comes again: it is retransmitted until our
            # PRACK.
            return False
        dialog.rseq = number
        cseq = response.cseq.number
        if sdp is not None and offers:
            # RFC 3262 5: an offer in the reliable 18x to an INVITE without one; "the UAC ... generate an answer in
            # the PRACK"
            pending = Pending("18x", dialog, None)
            pending.number = cseq
            self._offered(pending, sdp, now)
            return True
        if sdp is not None and answers:
            exchange.answer_received(sdp)
        self._send_prack(dialog, cseq, None, now)
        return True

    # --- responses to requests inside -----------------------------------------------------------------------

    def _provisional_inside(self, inside: InDialog, response: Response, now: float) -> None:
        """A 1xx to a re-INVITE matters only when it wants a PRACK."""
        if self.over or inside.request.method != "INVITE":
            return
        if is_reliable(response):
            reoffer.provisional(self, inside, response, now)

    def _answered_inside(self, inside: InDialog, response: Response, now: float) -> None:
        """A final response to a request inside; challenges have been dealt with."""
        if inside.kind is Kind.BYE:
            # RFC 3261 15.1.1: the session is over whatever the answer
            self._finish()
        elif self._is_stale(inside):
            return
        elif self.over:
            if inside.request.method == "INVITE" and response.status < 300:
                self._send_ack(response.cseq.number, None, now, credentials_of(inside.request))
        elif response.status in ENDS_SESSION and not (inside.kind is Kind.PRACK and response.status != 481):
            self._lost(inside.dialog, "gone" if response.status != 408 else "timeout", response.status, now)
        elif inside.kind is Kind.OFFER:
            reoffer.answered(self, inside, response, now)
        elif inside.kind is Kind.REFRESH:
            reoffer.refreshed(self, inside, response, now)

    def _failed_inside(self, inside: InDialog, cause: FailureCause, now: float) -> None:
        if inside.kind is Kind.BYE:
            self._finish()
        elif not self.over and not self._is_stale(inside):
            # RFC 3261 12.2.1.2: "A UAC SHOULD also terminate a dialog if no response at all is received for the
            # request (the client transaction would inform the TU about the timeout.)" So too where a re-INVITE met a
            # provisional response, then neither a final one nor a 487 after our CANCEL.
            timed_out = cause == "timeout"
            self._lost(inside.dialog, "timeout" if timed_out else "transport", 408 if timed_out else 503, now)

    def _is_stale(self, inside: InDialog) -> bool:
        """A PRACK or UPDATE of an early dialog that did not win: what becomes of it says nothing of the session."""
        return inside.dialog is not self.dialog and self.dialog.confirmed

    def _lost(self, dialog: Dialog, cause: EndCause, status: int, now: float) -> None:
        """The peer does not know the dialog, or can't be reached."""
        # RFC 3261 12.2.1.2: "For INVITE initiated dialogs, terminating the dialog consists of sending a BYE."
        self._break_off(cause, now, status)

    def _break_off(self, cause: EndCause, now: float, status: int = 0) -> None:
        """End the session for what the peer did or did not do."""
        self._end(cause, now, status)
        self._send_bye(now, None)

    # --- the end --------------------------------------------------------------------------------------------

    def _end(self, cause: EndCause, now: float, status: int = 0, reason: str = "") -> None:
        """Tell the application, once, that the session is over, and stop all that could still tell it something."""
        if self.over:
            return
        self._close(now)
        self.ua.events.append(SessionEnded(self, cause, status, reason))

    def _close(self, now: float) -> None:
        """Enter ENDING: nothing is negotiated any more."""
        self.state = State.ENDING
        pending, self._pending = self._pending, None
        self.remote_offer = None
        if pending is not None and pending.transaction is not None:
            # RFC 3261 15.1.2: "The UAS MUST still respond to any pending requests received for that dialog. It is
            # RECOMMENDED that a 487 (Request Terminated) response be generated to those pending requests."
            self._reply(pending.transaction, 487, now)
        if self._reoffer is not None:
            self._reoffer.abandon(self, now)
            self._reoffer = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.ua.usages.session_over(self, now)

    def _finish(self) -> None:
        """Leave every table: nothing is left to say."""
        if self.state is State.ENDED:
            return
        self.state = State.ENDED
        if self._unacked is not None:
            self._unacked.stop()
            self._unacked = None
        self.ua.forget(self)

    def _dialog_of(self, remote_tag: str) -> Dialog:
        """The dialog with that remote tag (UAC: one of the early ones)."""
        return self.dialog

    def dialogs(self) -> list[Dialog]:
        """The dialogs under whose ids the user agent keeps this session."""
        return [self.dialog]

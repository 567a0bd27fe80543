"""The calling side of a session until its 2xx (RFC 3261 13.2, 9.1; RFC 3262 4 as UAC; RFC 4028 7).

    CALLING --1xx, To tag--> EARLY (a dialog per tag) --2xx--> its dialog wins --ACK--> CONFIRMED
       |                        |                         \\--held our offer's answer? no: ACK, BYE
       |-- 401, 407, 422: sent again (CSeq + 1)            \\--an offer: ACCEPTED, ACK waits for answer()
       \\-- cancel(): ENDING; final: SessionFailed; a 2xx that crosses: ACK, BYE

2xx of other branches, early or late, are ACKed and BYEd by the user agent: they find no session under their tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip import reoffer, session_timer
from sip.dialog import Dialog
from sip.errors import SipError
from sip.invite import InviteSession, State
from sip.message import Request, Response
from sip.offer_answer import Exchange, WrongState
from sip.outgoing import MAX_AUTH_TRIES, Owner, again, credentials_of
from sip.reliable import is_reliable
from sip.ua_events import (
    EndCause,
    OfferFailed,
    OfferWithdrawn,
    SessionAnswered,
    SessionFailed,
    SessionProgress,
)
from sip.uas import sdp_in

if TYPE_CHECKING:
    from sip.client_transaction import ClientTransaction
    from sip.effects import Destination, FailureCause
    from sip.server_transaction import ServerTransaction
    from sip.timers import Timer
    from sip.ua import UserAgent

# Early dialogs of one INVITE; responses with further tags are told to the application, but have no dialog.
MAX_EARLY_DIALOGS = 32
# Sendings of one INVITE that meet 422: each names a longer interval, so two are enough for a chain of proxies.
MAX_422 = 2

_FAILURES: dict[str, tuple[int, str]] = {
    # RFC 3261 8.1.3.1: a timeout "MUST be treated as if a 408 (Request Timeout) status code has been received"; a
    # fatal transport error "MUST be treated as a 503 (Service Unavailable) status code".
    "timeout": (408, "Request Timeout"),
    "transport": (503, "Service Unavailable"),
    "unresolved": (503, "Destination Not Resolved"),
}


class UacSession(InviteSession, Owner):
    """A session that we began."""

    __slots__ = (
        "_auth_tries",
        "_branches",
        "_expiry",
        "_first_destination",
        "_interval",
        "_invite",
        "_offerless",
        "_told",
        "_transaction",
        "_tries_422",
    )

    role = "uac"

    def __init__(self, ua: UserAgent, session_id: int, dialog: Dialog, contact_user: str, invite: Request) -> None:
        super().__init__(ua, session_id, dialog, contact_user)
        self._invite: Request | None = invite  # until it is answered
        self._offerless = not invite.body
        if invite.body:
            dialog.exchange.offer_sent(invite.body)
        self._interval = 0  # Session-Expires as sent
        self._branches: dict[str, Dialog] | None = None  # early dialogs by remote tag
        self._transaction: ClientTransaction | None = None
        self._first_destination: Destination = None
        self._auth_tries = 0
        self._tries_422 = 0
        self._expiry: Timer | None = None
        self._told = False  # the application has had its last event

    # --- send -----------------------------------------------------------------------------------------------

    def start(self, now: float, destination: Destination, interval: int, expires: float | None) -> None:
        """Send the INVITE."""
        self._first_destination = destination
        self._interval = interval
        if expires is not None:
            # RFC 3261 13.2.1: "If the time indicated in the Expires header field is reached and no final answer for
            # the INVITE has been received, the UAC core SHOULD generate a CANCEL request for the INVITE, as per
            # Section 9."
            self._expiry = self.ua.timers.schedule(now + expires, self._expired)
        self._send_invite(now)

    def _send_invite(self, now: float) -> None:
        invite = self._invite
        if invite is None:
            return
        transaction = self.ua.stack.send(invite, now, self._first_destination, self.contact_user)
        self._transaction = transaction
        transaction.user = self

    def _expired(self, now: float) -> None:
        self._expiry = None
        self.cancel(now)

    def cancel(self, now: float, reason: str | None = None) -> None:
        if self.over:
            return
        if self.state is not State.CALLING and self.state is not State.EARLY:
            raise WrongState(f"cancel() on {self}")
        self._close(now)
        transaction = self._transaction
        if transaction is not None:
            self.ua.stack.cancel(transaction, now, reason)

    def hangup(self, now: float, reason: str | None = None, status: int = 487) -> None:
        if self.over:
            return
        if self.state is State.CALLING or self.state is State.EARLY:
            self.cancel(now, reason)
            return
        super().hangup(now, reason, status)

    # --- receive: the INVITE's transaction ------------------------------------------------------------------

    def response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A response to the INVITE."""
        status = response.status
        if status < 200:
            if status > 100 and not self.over:
                self._provisional(response, now)
            return
        # From here on the transaction is of no interest: further 2xx are found by their dialog, or have none.
        transaction.user = None
        self._transaction = None
        if status < 300:
            self._succeeded(response, now)
        elif not self._sent_again(response, now):
            self._failed_with(status, response.reason, response.headers)

    def failed(self, cause: FailureCause, now: float) -> None:
        """The INVITE had no final response."""
        status, reason = _FAILURES[cause]
        self._transaction = None
        if self.over:
            # Cancelled: RFC 3261 9.1, no final response came in 64*T1.
            status, reason = 487, "Request Terminated"
        self._failed_with(status, reason, [])

    def _failed_with(self, status: int, reason: str, headers: list[tuple[str, str]]) -> None:
        self._tell_failed(status, reason, headers)
        self._finish()

    def _tell_failed(self, status: int, reason: str, headers: list[tuple[str, str]]) -> None:
        if not self._told:
            self._told = True
            self.ua.events.append(SessionFailed(self, status, reason, headers))

    # --- provisional responses ------------------------------------------------------------------------------

    def _provisional(self, response: Response, now: float) -> None:
        tag = response.to_tag
        dialog = self._branch(tag, response) if tag else None
        sdp = sdp_in(response)
        if dialog is not None:
            self.state = State.EARLY
            self.dialog = dialog
            # An early UPDATE of ours is another offer: an 18x never answers that.
            answers = dialog.exchange.state is Exchange.LOCAL and not self._offers_in(dialog)
            if is_reliable(response):
                offerless = self._offerless and dialog.exchange.state is Exchange.NONE
                if not self._reliable_provisional(dialog, response, now, offerless, answers):
                    # RFC 3262 4: "If the UAC receives another reliable provisional response to the same request,
                    # and its RSeq value is not one higher than the value of the sequence number, that response MUST
                    # NOT be acknowledged ..., and MUST NOT be processed further".
                    return
                if not answers:
                    sdp = None
            elif answers:
                if dialog.preview is None:
                    dialog.preview = sdp
            else:
                # Not reliable: neither an offer (RFC 3261 13.2.1) nor news after the answer.
                sdp = None
        self.ua.events.append(SessionProgress(self, response.status, response.reason, sdp, tag, response))

    def _branch(self, tag: str, response: Response) -> Dialog | None:
        """The early dialog of that remote tag, made by its first response (RFC 3261 12.1.2, 13.2.2.1)."""
        branches = self._branches
        if branches is None:
            branches = self._branches = {}
        dialog = branches.get(tag)
        if dialog is None:
            if len(branches) >= MAX_EARLY_DIALOGS:
                return None
            try:
                if branches:
                    dialog = self._template.fork(response)
                else:
                    dialog = self.dialog
                    dialog.adopt(response)
            except SipError:
                # A Contact or Record-Route that can't be read makes no dialog; the response still tells how the
                # call goes.
                return None
            branches[tag] = dialog
            self.ua.keep(dialog, self)
        return dialog

    @property
    def _template(self) -> Dialog:
        """What every branch starts from: our side of the INVITE, and nothing of any peer."""
        dialog = self.dialog
        invite = self._invite
        to = invite.get("To") if invite is not None else None
        template = Dialog(dialog.call_id, dialog.local_tag, dialog.local, "", to or dialog.remote)
        template.local_cseq = invite.cseq.number if invite is not None else dialog.local_cseq
        template.secure = dialog.secure
        if invite is not None:
            template.remote_target = invite.uri
            if invite.body:
                template.exchange.offer_sent(invite.body)
        return template

    # --- final responses ------------------------------------------------------------------------------------

    def _succeeded(self, response: Response, now: float) -> None:
        """The first 2xx: its dialog is the session's; the other early dialogs end here (RFC 3261 13.2.2.4)."""
        invite = self._invite
        dialog = self._confirm(response, now)
        if dialog is None or invite is None:
            # No Contact to send an ACK to: nothing can be said to this peer.
            self._failed_with(502, "Bad Response", [])
            return
        cseq = response.cseq.number
        credentials = credentials_of(invite)
        self._invite = None
        if self.over:
            # RFC 3261 9.1, 15: a 2xx has crossed our CANCEL: the session exists and is ended with a BYE.
            self._send_ack(cseq, None, now, credentials)
            self._tell_failed(487, "Request Terminated", [])
            self._send_bye(now, None)
            return
        self._stop_expiry()
        reoffer.settle(self, response, self._interval, now)
        sdp = sdp_in(response)
        exchange = dialog.exchange
        if exchange.state is Exchange.NONE and sdp is not None:
            # RFC 3261 13.2.1: our INVITE had no offer, so the 2xx holds it and our ACK the answer.
            self.state = State.ACCEPTED
            self._offered_in_2xx(dialog, cseq, credentials, sdp, now)
            self.ua.events.append(SessionAnswered(self, None, response))
            return
        self._send_ack(cseq, None, now, credentials)
        answer = None
        if exchange.state is Exchange.LOCAL and not self._offer_in_flight:
            # RFC 3261 13.2.1: "The UAC MUST treat the first session description it receives as the answer": one in an
            # unreliable 18x counts when the 2xx has none. Where both have one it should be the same; peers do change
            # it (the 18x came from an announcement), and mean the 2xx.
            answer = sdp if sdp is not None else dialog.preview
            if answer is not None:
                exchange.answer_received(answer)
        dialog.preview = None
        if self._initial_exchange_open(exchange.state):
            # The 2xx had to hold the answer, or the offer that our INVITE left to the peer.
            self._end("bad-sdp", now)
            self._send_bye(now, None)
            return
        self.state = State.CONFIRMED
        self.ua.events.append(SessionAnswered(self, answer, response))

    def _initial_exchange_open(self, state: Exchange) -> bool:
        """Whether what the INVITE began is not agreed. An early UPDATE that is still under way is another exchange."""
        if state is Exchange.REMOTE:
            return self._pending is None or self._pending.where == "18x"
        return state is Exchange.NONE or (state is Exchange.LOCAL and not self._offer_in_flight)

    def _confirm(self, response: Response, now: float) -> Dialog | None:
        """The dialog of a 2xx, confirmed; None when the 2xx makes none that can be used."""
        tag = response.to_tag
        branches, self._branches = self._branches, None
        dialog = branches.pop(tag, None) if branches else None
        try:
            if dialog is not None:
                dialog.learn(response)
            else:
                if branches or self.dialog.remote_tag:
                    dialog = self._template.fork(response)
                else:
                    dialog = self.dialog
                    dialog.adopt(response)
                self.ua.keep(dialog, self)
        except SipError:
            dialog = None
        for other in (branches or {}).values():
            self.ua.drop(other)
        if dialog is not None:
            dialog.confirmed = True
            self.dialog = dialog
            self._leave_exchanges_but_of([dialog], now)
        return dialog

    def _leave_exchanges_but_of(self, dialogs: list[Dialog], now: float) -> None:
        """An offer under way in an early dialog that is gone comes to nothing."""
        offer, pending = self._reoffer, self._pending
        if offer is not None and offer.dialog not in dialogs:
            offer.abandon(self, now)
            self._reoffer = None
            self.ua.events.append(OfferFailed(self, 481))
        if pending is not None and pending.dialog not in dialogs:
            self._pending = self.remote_offer = None
            if pending.transaction is not None:
                self._reply(pending.transaction, 487, now)
            self.ua.events.append(OfferWithdrawn(self))

    def _sent_again(self, response: Response, now: float) -> bool:
        """Whether a final response only made us send the INVITE again: 401, 407 with credentials, 422."""
        invite = self._invite
        if self.over or invite is None:
            return False
        status = response.status
        if status == 401 or status == 407:
            if self._auth_tries >= MAX_AUTH_TRIES:
                return False
            header = self._credentials_for(response, invite)
            if header is None:
                return False
            self._auth_tries += 1
            self._again(again(invite, invite.cseq.number + 1, header), now)
            return True
        return status == 422 and self._longer_interval(invite, response, now)

    def _longer_interval(self, invite: Request, response: Response, now: float) -> bool:
        """RFC 4028 7.3: retry with a Session-Expires and a Min-SE not below the Min-SE of the 422."""
        try:
            wanted = session_timer.min_se(response)
        except SipError:
            return False
        if self._tries_422 >= MAX_422 or not self._interval or wanted <= self._min_se:
            return False
        self._tries_422 += 1
        self._min_se = wanted
        self._interval = max(self._interval, wanted)
        request = again(invite, invite.cseq.number + 1, ("Min-SE", str(wanted)))
        request.set("Session-Expires", str(self._interval))
        self._again(request, now)
        return True

    def _again(self, request: Request, now: float) -> None:
        """RFC 3261 8.1.3.5: the same Call-ID, To and From; CSeq one higher. Early dialogs of the failed one are
        gone.
        """
        template = self._template
        for dialog in (self._branches or {}).values():
            self.ua.drop(dialog)
        self._branches = None
        template.local_cseq = request.cseq.number
        self.dialog = template
        self.state = State.CALLING
        self._invite = request
        self._send_invite(now)

    # --- the early dialog -----------------------------------------------------------------------------------

    def _dialog_of(self, remote_tag: str) -> Dialog:
        branches = self._branches
        if branches is not None:
            return branches.get(remote_tag, self.dialog)
        return self.dialog

    def dialogs(self) -> list[Dialog]:
        branches = self._branches
        return [self.dialog] if branches is None else [*branches.values()]

    def _on_bye(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        invite = self._transaction
        if invite is None:
            super()._on_bye(transaction, request, now)
            return
        # RFC 3261 15 forbids the callee a BYE on an early dialog; it comes when its 2xx, and all their repetitions,
        # were lost.
        self._reply(transaction, 200, now)
        if not self.over:
            self._told = True
            self._end("bye", now, reason=request.get("Reason") or "")
            self.ua.stack.cancel(invite, now)

    def _lost(self, dialog: Dialog, cause: EndCause, status: int, now: float) -> None:
        if self.state is not State.CALLING and self.state is not State.EARLY:
            super()._lost(dialog, cause, status, now)
            return
        # A PRACK or UPDATE that fails ends its early dialog, and the INVITE with the last of them.
        branches = self._branches or {}
        branches.pop(dialog.remote_tag, None)
        self.ua.drop(dialog)
        if not branches:
            self._break_off(cause, now, status)
            return
        self.dialog = next(iter(branches.values()))
        self._leave_exchanges_but_of(list(branches.values()), now)

    def _break_off(self, cause: EndCause, now: float, status: int = 0) -> None:
        if self.state is State.CALLING or self.state is State.EARLY:
            # How the INVITE then ends is the peer's last word: `SessionFailed`.
            self.cancel(now)
            return
        super()._break_off(cause, now, status)

    def _stop_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _close(self, now: float) -> None:
        self._stop_expiry()
        super()._close(now)

    def _finish(self) -> None:
        if self._transaction is not None:
            self._transaction.user = None
            self._transaction = None
        self._stop_expiry()
        super()._finish()

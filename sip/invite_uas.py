"""The called side of a session until the ACK of its 2xx (RFC 3261 13.3, 9.2; RFC 3262 3; RFC 4028 9).

CALLING --progress--> EARLY --accept--> ACCEPTED [2xx held back: PRACK due] --2xx, ACK--> CONFIRMED
   |                    |                  \\-- no ACK in 64*T1: BYE
   \\-- reject, CANCEL (487), Expires (487), no PRACK in 64*T1 (504), BYE of the caller (487) --> ENDED
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip import reliable
from sip.invite import InviteSession
from sip.message import Request, Response, response_to
from sip.offer_answer import Exchange, WrongState
from sip.reliable import FIRST_RSEQ_BITS, REPEAT_PROGRESS, REPEAT_RELIABLE, Reliable, ReliableQueue
from sip.session_core import SDP_TYPE, Headers, Pending, State
from sip.ua_events import AnswerReceived, Cancelled, EndCause, SessionEnded
from sip.uas import sdp_of

if TYPE_CHECKING:
    from sip.dialog import Dialog
    from sip.server_transaction import ServerTransaction
    from sip.session_timer import Settled
    from sip.timers import Timer
    from sip.ua import UserAgent

# How the INVITE allows 18x to be sent reliably (RFC 3262 3).
_NEVER, _MAY, _MUST = 0, 1, 2


class UasSession(InviteSession):
    """A session that the peer began."""

    __slots__ = (
        "_accepting",
        "_answering",
        "_expiry",
        "_invite_cseq",
        "_preview",
        "_progress",
        "_queue",
        "_reliability",
        "_repeat",
        "_settled_offer",
        "_transaction",
    )

    role = "uas"

    def __init__(
        self, ua: UserAgent, session_id: int, dialog: Dialog, transaction: ServerTransaction, contact_user: str
    ) -> None:
        super().__init__(ua, session_id, dialog, contact_user)
        self._transaction: ServerTransaction | None = transaction  # the INVITE's, until it is answered
        self._invite_cseq = dialog.remote_cseq
        self._reliability = _NEVER
        self._queue: ReliableQueue | None = None
        self._accepting = False  # accept() was called, its 2xx may be held back
        self._answering: tuple[bytes | None, Headers] = (None, ())  # of that accept()
        self._preview: bytes | None = None  # SDP that an unreliable 18x showed
        self._progress: Response | None = None  # the last unreliable 18x, for its repetition
        self._repeat: Timer | None = None
        self._expiry: Timer | None = None
        self._settled_offer: tuple[Settled, bool] | None = None

    def arrive(self, request: Request, sdp: bytes | None, settled: tuple[Settled, bool] | None, now: float) -> None:
        """Take what the INVITE says; the user agent has checked it."""
        self._settled_offer = settled
        if "100rel" in request.required:
            self._reliability = _MUST
        elif "100rel" in request.supported:
            self._reliability = _MAY
        if sdp is not None:
            self.dialog.exchange.offer_received(sdp)
            self.remote_offer = sdp
        expires = request.expires
        if expires is not None:
            # RFC 3261 13.3.1: "If the request is an INVITE that contains an Expires header field, the UAS core sets
            # a timer for the number of seconds indicated in the header field value. When the timer fires, the
            # invitation is considered to be expired. ... a 487 (Request Terminated) response SHOULD be generated."
            self._expiry = self.ua.timers.schedule(now + expires, self._expired)

    # --- send -----------------------------------------------------------------------------------------------

    def progress(
        self, status: int, sdp: bytes | None, now: float, reliable: bool | None = None, headers: Headers = ()
    ) -> None:
        if self.over:
            return
        transaction = self._transaction
        if self._accepting or transaction is None or transaction.request is None:
            raise WrongState(f"progress() on {self}")
        if not 101 <= status <= 199:
            raise ValueError(f"progress({status})")
        sends_reliably = self._sends_reliably(reliable, sdp)
        exchange = self.dialog.exchange
        if exchange.state is Exchange.REMOTE and sdp is not None and self._pending is None:
            if sends_reliably:
                exchange.answer_sent(sdp)
                self.remote_offer = None
            else:
                # RFC 3261 13.2.1: only a preview: "that same exact answer MAY also be placed in any provisional
                # responses"
                self._preview = sdp
        elif exchange.state is Exchange.NONE and sdp is not None and sends_reliably:
            exchange.offer_sent(sdp)
        else:
            sdp = None
        self.state = State.EARLY
        response = response_to(transaction.request, status, to_tag=self.dialog.local_tag)
        # RFC 3311 5.1: Allow in a reliable provisional response tells that UPDATE may be sent in the early dialog.
        response.headers += self.ua.ok_headers if sends_reliably else self.ua.response_headers
        response.headers += headers
        if sdp is not None:
            response.headers.append(SDP_TYPE)
            response.body = sdp
        self._stop_repeat()
        if sends_reliably:
            self._queue_reliable(response, sdp, now)
        else:
            self.ua.stack.respond(transaction, response, now, self.contact_user)
            self._progress = response
        after = REPEAT_RELIABLE if sends_reliably else REPEAT_PROGRESS
        self._repeat = self.ua.timers.schedule(now + after, self._progress_again)

    def accept(self, sdp: bytes | None, now: float, headers: Headers = ()) -> None:
        if self.over:
            return
        if self._accepting:
            raise WrongState(f"accept() on {self}")
        state = self.dialog.exchange.state
        if sdp is None:
            sdp = self._preview
        if sdp is None and state in (Exchange.NONE, Exchange.REMOTE) and self._pending is None:
            raise WrongState(f"accept() on {self} without SDP")
        self._accepting = True
        self._answering = (sdp, headers)
        self.state = State.ACCEPTED
        self._stop_waiting()
        self._send_held_2xx(now)

    def reject(self, status: int, reason: str | None, headers: Headers, now: float) -> None:
        if self.over:
            return
        transaction = self._transaction
        if transaction is None:
            raise WrongState(f"reject() on {self}")
        if not 300 <= status <= 699:
            raise ValueError(f"reject({status})")
        self._refuse(status, now, headers, reason)
        why = next((value for name, value in headers if name == "Reason"), "")
        self.ua.events.append(SessionEnded(self, "rejected", status, why))

    def hangup(self, now: float, reason: str | None = None, status: int = 487) -> None:
        if self.over:
            return
        if self._transaction is not None:
            headers: Headers = (("Reason", reason),) if reason else ()
            self.reject(status, None, headers, now)
            return
        if self.state is State.ACCEPTED:
            # RFC 3261 15: "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK
            # for its 2xx response or until the server transaction times out." `receive_ack` or `_ack_missing` sends
            # it.
            self._answering = (None, (("Reason", reason),) if reason else ())
            self._end("local", now, reason=reason or "")
            return
        super().hangup(now, reason, status)

    @property
    def unheard_progress(self) -> int:
        return self._queue.unheard if self._queue is not None else 0

    @property
    def can_offer(self) -> bool:
        # RFC 3311 5.1: before the 2xx the callee may offer once the PRACK of the 18x with its answer has come.
        queue = self._queue
        if self.state is State.EARLY and queue is not None and queue.withholds_2xx:
            return False
        return super().can_offer

    # --- reliable provisional responses ---------------------------------------------------------------------

    def _sends_reliably(self, wanted: bool | None, sdp: bytes | None) -> bool:
        if self._reliability is _NEVER:
            return False
        if self._reliability is _MUST:
            # RFC 3262 3: "The UAS MUST send any non-100 provisional response reliably if the initial request
            # contained a Require header field with the option tag 100rel."
            return True
        if wanted is not None:
            return wanted
        return sdp is not None and self.ua.settings.reliable_progress

    def _queue_reliable(self, response: Response, sdp: bytes | None, now: float) -> None:
        queue = self._queue
        if queue is None:
            # RFC 3262 3: "the value of the header field for the first reliable provisional response in a
            # transaction MUST be between 1 and 2**31 - 1 ... RECOMMENDED that it be chosen uniformly in this
            # range."
            queue = self._queue = ReliableQueue(1 + self.ua.ids.number(FIRST_RSEQ_BITS))
        response.headers.append(("Require", "100rel"))
        if not queue.add(Reliable(response, sdp)):
            raise WrongState(f"too many reliable responses wait on {self}")
        self._send_next_reliable(now)

    def _send_next_reliable(self, now: float) -> None:
        queue = self._queue
        transaction = self._transaction
        if queue is None or transaction is None:
            return
        each = queue.next(now, self.ua.timer_config.t1)
        if each is None:
            return
        self.ua.stack.respond(transaction, each.response, now, self.contact_user)
        queue.timer = self.ua.timers.schedule(now + queue.interval, self._prack_missing)

    def _prack_missing(self, now: float) -> None:
        queue = self._queue
        transaction = self._transaction
        if queue is None or queue.unacked is None or transaction is None:
            return
        queue.timer = None
        if now >= queue.deadline:
            # RFC 3262 3: "If a reliable provisional response is retransmitted for 64*T1 seconds without reception
            # of a corresponding PRACK, the UAS SHOULD reject the original request with a 5xx response."
            self._refuse(504, now)
            self.ua.events.append(SessionEnded(self, "no-prack", 504, ""))
            return
        # "the interval ... doubles for each retransmission", without the limit that a 2xx has.
        self.ua.stack.respond(transaction, queue.unacked.response, now)
        queue.interval *= 2
        queue.timer = self.ua.timers.schedule(min(now + queue.interval, queue.deadline), self._prack_missing)

    def _on_prack(self, transaction: ServerTransaction, request: Request, dialog: Dialog, now: float) -> None:
        number, cseq, method = reliable.rack(request)
        sdp = sdp_of(request)
        queue = self._queue
        acked = None
        if queue is not None and method == "INVITE" and cseq == self._invite_cseq:
            acked = queue.acknowledge(number)
        if acked is None:
            super()._on_prack(transaction, request, dialog, now)
            return
        exchange = dialog.exchange
        if self.over:
            self._reply(transaction, 200, now)
        elif acked.sdp is not None and exchange.state is Exchange.LOCAL:
            self._reply(transaction, 200, now)
            if sdp is None:
                # RFC 3262 5: "If the UAC receives a reliable provisional response with an offer ..., it MUST
                # generate an answer in the PRACK."
                self._break_off("bad-sdp", now, 488)
                return
            exchange.answer_received(sdp)
            self.ua.events.append(AnswerReceived(self, sdp))
        elif sdp is None:
            self._reply(transaction, 200, now)
        elif exchange.state is Exchange.STABLE and self._pending is None:
            self._offered(Pending("PRACK", dialog, transaction), sdp, now)
        else:
            # An offer while theirs, or ours, still waits: RFC 3264 4 forbids it; as RFC 3311 5.2 answers it.
            self._reply(transaction, 491 if exchange.state is Exchange.LOCAL else 500, now, (("Retry-After", "1"),))
        self._send_next_reliable(now)
        self._exchange_done(now)

    # --- the final response ---------------------------------------------------------------------------------

    def _send_held_2xx(self, now: float) -> None:
        """Send the 2xx of accept(), once nothing holds it back."""
        transaction = self._transaction
        if not self._accepting or transaction is None:
            return
        queue = self._queue
        if queue is not None:
            if queue.withholds_2xx:
                return
            queue.drop_waiting()
            queue.stop()
        exchange = self.dialog.exchange
        if self._pending is not None or self._reoffer is not None:
            # An exchange of an early UPDATE or PRACK is under way: it ends first, so that two never overlap (RFC
            # 3264 4).
            return
        sdp, headers = self._answering
        offers = False
        if exchange.state is Exchange.REMOTE and sdp is not None:
            exchange.answer_sent(sdp)
            self.remote_offer = None
        elif exchange.state is Exchange.NONE and sdp is not None:
            # RFC 3261 13.2.1: no offer in the INVITE: the 2xx holds ours, the ACK the answer.
            exchange.offer_sent(sdp)
            offers = True
        else:
            sdp = None
        self._answering = (None, ())
        self._preview = None
        settled, self._settled_offer = self._settled_offer, None
        self._transaction = None
        self._send_2xx(transaction, sdp, offers, settled, headers, now)

    def _exchange_done(self, now: float) -> None:
        self._send_held_2xx(now)

    def _acked_while_ending(self, now: float) -> None:
        headers: Headers = self._answering[1]
        self._send_bye(now, headers[0][1] if headers else None)

    def _refuse(self, status: int, now: float, headers: Headers = (), reason: str | None = None) -> None:
        """The final non-2xx to the INVITE: nothing is left of the session. The event is the caller's."""
        transaction, self._transaction = self._transaction, None
        self._close(now)
        if transaction is not None:
            self._reply(transaction, status, now, headers, reason)
        self._finish()

    # --- receive --------------------------------------------------------------------------------------------

    def receive_cancel(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        if transaction is not self._transaction:
            super().receive_cancel(transaction, request, now)
            return
        # RFC 3261 9.2: "If the original request was an INVITE, the UAS SHOULD immediately respond to the INVITE
        # with a 487 (Request Terminated)." A 2xx that is held back has not been sent.
        self._refuse(487, now)
        self.ua.events.append(Cancelled(self, request.get("Reason") or ""))

    def _expired(self, now: float) -> None:
        self._expiry = None
        if self._transaction is None or self.over:
            return
        self._refuse(487, now)
        self.ua.events.append(Cancelled(self, ""))

    def _on_bye(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        if self._transaction is not None and not self.over:
            # RFC 3261 15.1.2: pending requests, here the INVITE itself, get 487.
            self._reply(transaction, 200, now)
            self._refuse(487, now)
            self.ua.events.append(SessionEnded(self, "bye", 0, request.get("Reason") or ""))
            return
        super()._on_bye(transaction, request, now)

    def _break_off(self, cause: EndCause, now: float, status: int = 0) -> None:
        if self._transaction is None:
            super()._break_off(cause, now, status)
            return
        # RFC 3261 15: no BYE from the callee on an early dialog.
        self._refuse(488 if cause == "bad-sdp" else 500, now)
        self.ua.events.append(SessionEnded(self, cause, status, ""))

    @property
    def _invite_unanswered(self) -> bool:
        return self._transaction is not None

    # --- repetition, timers ---------------------------------------------------------------------------------

    def _progress_again(self, now: float) -> None:
        transaction, response = self._transaction, self._progress
        if transaction is None:
            return
        if response is None:
            # The last one was reliable, and so is this: it needs a number of its own.
            self.progress(183, None, now, reliable=True)
            return
        self.ua.stack.respond(transaction, response, now)
        self._repeat = self.ua.timers.schedule(now + REPEAT_PROGRESS, self._progress_again)

    def _stop_repeat(self) -> None:
        self._progress = None
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None

    def _stop_waiting(self) -> None:
        """Nothing more is to be said but the 2xx."""
        self._stop_repeat()
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _close(self, now: float) -> None:
        self._stop_waiting()
        if self._queue is not None:
            self._queue.stop()
            self._queue.drop_waiting()
        super()._close(now)

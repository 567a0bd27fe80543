"""The notifier's side of an event usage: a REFER of the peer (RFC 3515), or its SUBSCRIBE (RFC 6665 4.2).

    ASKED --accept--> PENDING, ACTIVE --terminate, expiry, unsubscribe, over--> CLOSING --last NOTIFY answered--> ENDED
      \\-- reject, never answered --> ENDED     \\-- NOTIFY failed (481, no answer) --> ENDED

One NOTIFY is on the wire at a time: what changes meanwhile is told by the next, which says the latest state only. So
NOTIFYs arrive in order, and a peer that is slow is sent no more than it answers.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum, auto
from math import ceil
from typing import TYPE_CHECKING, Final

from sip.effects import Flow
from sip.errors import SipError
from sip.event_headers import SIPFRAG, EventType, SubscriptionState, write_sipfrag
from sip.message import Request, Response, response_to
from sip.offer_answer import WrongState
from sip.outgoing import InDialog, Kind
from sip.transfer_headers import wants_subscription
from sip.ua_events import ReferSubscriptionEnded, SubscriptionEnded, SubscriptionRefreshed, UsageEnd
from sip.uas import Refused
from sip.usage import REFER, RETRY_AFTER, Header, Usage, asked_expires

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sip.effects import FailureCause
    from sip.server_transaction import ServerTransaction
    from sip.timers import Timer
    from sip.ua import UserAgent
    from sip.usages import DialogUsages

# RFC 6665 4.2.2: a NOTIFY that fails with one of these ends the subscription: its list of codes for which the usage, or
# the dialog, is lost (RFC 5057 5.1), and 408.
ENDS_USAGE: Final = frozenset({404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 502, 604})

OWED_WITHIN: Final = 0.5
"""Seconds that the application has for its first notify() after accept(). RFC 6665 4.2.1.2 wants a NOTIFY immediately:
after that time one without a body goes."""


class Stage(Enum):
    """Where a usage stands; read-only for the application."""

    ASKED = auto()  # accept() or reject() is due
    PENDING = auto()  # accepted, not yet authorised
    ACTIVE = auto()
    CLOSING = auto()  # over for the application; the last NOTIFY is owed or on its way
    ENDED = auto()


class Notifier(Usage):
    """What a `ReceivedRefer` and a `Subscription` have in common."""

    __slots__ = (
        "_body", "_content_type", "_limit", "_owed", "_sending", "_stale", "_termination", "_timer", "_transaction",
        "event", "expires_at", "stage",
    )  # fmt: skip

    def __init__(
        self,
        ua: UserAgent,
        here: DialogUsages,
        transaction: ServerTransaction,
        event: EventType,
        limit: int,
        now: float,
    ) -> None:
        super().__init__(ua, here)
        self.event = event
        self.stage = Stage.ASKED
        self.expires_at = 0.0
        self._limit = limit  # seconds it lasts at most from one refresh to the next
        self._transaction: ServerTransaction | None = transaction
        self._content_type = ""
        self._body = b""
        self._owed = False  # accepted, and nothing told yet
        self._sending = False  # a NOTIFY waits for its answer
        self._stale = False  # what it says is not the latest state
        self._termination = SubscriptionState("terminated")
        # The transaction layer gives up a request that nobody has answered for so long.
        self._timer: Timer | None = ua.timers.schedule(now + 64 * ua.timer_config.t1, self._unanswered)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.event} {self.stage.name}>"

    @property
    def over(self) -> bool:
        return self.stage is Stage.CLOSING or self.stage is Stage.ENDED

    # --- from the application -------------------------------------------------------------------------------

    def reject(self, status: int, now: float, headers: Sequence[Header] = ()) -> None:
        """Answer with a final 3xx-6xx; nothing is left. 489 gets its Allow-Events. Nothing on one that is over."""
        if self.over:
            return
        if self.stage is not Stage.ASKED:
            raise WrongState(f"reject() on {self}")
        if not 300 <= status <= 699:
            raise ValueError(f"reject({status})")
        if status == 489:
            headers = (*headers, self.ua.allow_events)
        self._answer(status, headers, now)
        self._leave()
        self._tell_ended("rejected")

    def _accepted(self, status: int, headers: Sequence[Header], now: float) -> None:
        if self.stage is not Stage.ASKED:
            raise WrongState(f"accept() on {self}")
        self._answer(status, headers, now)

    def _state_is(self, content_type: str, body: bytes, now: float) -> None:
        """Tell the peer the state, and keep it for refreshes."""
        self._content_type, self._body = content_type, body
        self._notify(now)

    def _close(self, termination: SubscriptionState, cause: UsageEnd, now: float) -> None:
        """Tell the peer, with the latest state, that this was the last of it."""
        self.stage = Stage.CLOSING
        self._termination = termination
        self._stop()
        self._notify(now)
        self._tell_ended(cause)

    # --- from the peer --------------------------------------------------------------------------------------

    def refreshed(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A SUBSCRIBE of this usage: it is prolonged, or ended by Expires 0 (RFC 6665 4.2.1.4)."""
        if self.over:
            raise SipError(481, "Subscription does not exist")
        if self.stage is Stage.ASKED:
            raise Refused(500, "Request Pending", RETRY_AFTER)
        expires = min(asked_expires(self.ua, request), self._limit)
        here = self._here
        here.dialog.refresh_target(request)
        if here.session is None and isinstance(here.destination, Flow):
            # Behind a NAT, or on a connection: what led to it before may not do so any more.
            here.destination = transaction.flow
        self._transaction = transaction
        self._answer(200, (("Expires", str(expires)),), now)
        if not expires:
            self._close(SubscriptionState("terminated", reason="timeout"), "unsubscribed", now)
            return
        self._last(expires, now)
        self._tell_refreshed(expires, request)
        self._notify(now)

    def session_over(self, now: float) -> None:
        """The session of the dialog has ended: a request that still waits for us is answered 487."""
        if self.stage is Stage.ASKED:
            self._answer(487, (), now)
            self._leave()
            self._tell_ended("session-over")

    # --- NOTIFY ---------------------------------------------------------------------------------------------

    def _notify(self, now: float) -> None:
        if self._owed:
            self._owed = False
            if self.stage is not Stage.CLOSING:
                self._arm(now)
        if self._sending:
            self._stale = True
            return
        self._sending, self._stale = True, False
        self._renew(now)
        headers: list[Header] = [("Event", str(self.event)), ("Subscription-State", str(self._state(now)))]
        if self._body:
            headers.append(("Content-Type", self._content_type))
        dialog = self._here.dialog
        request = dialog.request("NOTIFY", headers, self._body)
        request.headers += self.ua.request_headers
        InDialog(self, dialog, Kind.NOTIFY, request).send(now)

    def _renew(self, now: float) -> None:
        """Bring the body up to date: a NOTIFY goes."""

    def _state(self, now: float) -> SubscriptionState:
        if self.stage is Stage.CLOSING:
            return self._termination
        return SubscriptionState(self.stage.name.lower(), max(0, ceil(self.expires_at - now)))

    def _answered_inside(self, inside: InDialog, response: Response, now: float) -> None:
        self._sending = False
        if response.status in ENDS_USAGE:
            self._lost("timeout" if response.status == 408 else "gone")
            return
        if response.status < 300:
            with suppress(SipError):  # a Contact that can't be read refreshes nothing
                self._here.dialog.refresh_target(response)
        if self._stale:
            self._notify(now)
        elif self.stage is Stage.CLOSING:
            self._leave()

    def _failed_inside(self, inside: InDialog, cause: FailureCause, now: float) -> None:
        self._sending = False
        self._lost("timeout" if cause == "timeout" else "transport")

    def _lost(self, cause: UsageEnd) -> None:
        """RFC 6665 4.2.2: the subscriber is not there any more."""
        told = self.over
        self._leave()
        if not told:
            self._tell_ended(cause)

    # --- time -----------------------------------------------------------------------------------------------

    def _last(self, expires: int, now: float) -> None:
        """It lasts so many seconds from now."""
        self.expires_at = now + expires
        self._arm(now)

    def _arm(self, now: float) -> None:
        self._stop()
        if self._owed:
            self._timer = self.ua.timers.schedule(now + OWED_WITHIN, self._notify)
        else:
            self._timer = self.ua.timers.schedule(self.expires_at, self._expired)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self, now: float) -> None:
        # RFC 6665 4.1.3: the reason of a subscription that was not refreshed in time
        self._close(SubscriptionState("terminated", reason="timeout"), "expired", now)

    def _unanswered(self, now: float) -> None:
        self._leave()
        self._tell_ended("timeout")

    # --- private --------------------------------------------------------------------------------------------

    def _answer(self, status: int, headers: Sequence[Header], now: float) -> None:
        """The response to the REFER or SUBSCRIBE that waits; a 2xx has our Contact."""
        transaction, self._transaction = self._transaction, None
        request = transaction.request if transaction is not None else None
        if transaction is None or request is None:
            return
        response = response_to(request, status, to_tag=self._here.dialog.local_tag)
        response.headers += headers
        response.headers += self.ua.response_headers
        if status == 401:
            self.ua.stack.challenge(transaction, response, now)
        else:
            self.ua.stack.respond(transaction, response, now, self.contact_user if status < 300 else None)

    def _leave(self) -> None:
        """Be in no table and on no timer."""
        if self.stage is Stage.ENDED:
            return
        self.stage = Stage.ENDED
        self._transaction = None
        self._stop()
        self.ua.usages.drop(self._here, self)

    def _tell_ended(self, cause: UsageEnd) -> None:
        raise NotImplementedError

    def _tell_refreshed(self, expires: int, request: Request) -> None:
        raise NotImplementedError


class ReceivedRefer(Notifier):
    """A REFER of the peer, inside a session's dialog or in its own. `token`: the CSeq number that tells it from others
    of its dialog (RFC 3515 2.4.6).
    """

    __slots__ = ("_wants_sub", "token")

    def __init__(
        self, ua: UserAgent, here: DialogUsages, transaction: ServerTransaction, request: Request, now: float
    ) -> None:
        token = request.cseq.number
        super().__init__(ua, here, transaction, EventType(REFER, str(token)), ua.settings.refer_expires, now)
        self.token = token
        self._wants_sub = wants_subscription(request)

    def accept(self, now: float) -> None:
        """Send 202, and the first NOTIFY: 100 Trying (RFC 3515 2.4.4).

        A peer that wants no NOTIFY gets "Refer-Sub: false" (RFC 4488 4.3), and there is nothing more to tell.
        """
        if self.over:
            return
        if not self._wants_sub:
            self._accepted(202, (("Refer-Sub", "false"),), now)
            self._leave()
            return
        self._accepted(202, (), now)
        self.stage = Stage.ACTIVE
        self._last(self._limit, now)
        self.notify(100, None, now)

    def notify(self, status: int, reason: str | None, now: float, over: bool | None = None) -> None:
        """Tell what becomes of the reference. `over` None: with a final status. Nothing on one that is over."""
        if self.over:
            return
        if self.stage is Stage.ASKED:
            raise WrongState(f"notify() on {self}")
        self._content_type, self._body = SIPFRAG, write_sipfrag(status, reason)
        if over if over is not None else status >= 200:
            # RFC 3515 2.4.7: the last NOTIFY says "terminated", with the reason "noresource"
            self._close(SubscriptionState("terminated", reason="noresource"), "local", now)
        else:
            self._notify(now)

    def _tell_ended(self, cause: UsageEnd) -> None:
        if cause != "local" and cause != "rejected":
            self.ua.events.append(ReferSubscriptionEnded(self._here.session, self, cause))

    def _tell_refreshed(self, expires: int, request: Request) -> None:
        """The application has nothing to do about it."""


class Subscription(Notifier):
    """A subscription of the peer to an event package of ours."""

    __slots__ = ("_fetches", "content")

    def __init__(
        self,
        ua: UserAgent,
        here: DialogUsages,
        transaction: ServerTransaction,
        event: EventType,
        expires: int,
        now: float,
    ) -> None:
        super().__init__(ua, here, transaction, event, expires, now)
        self._fetches = False  # Expires 0: the state is told once
        self.content: Callable[[float], tuple[str, bytes]] | None = None
        """Asked with the time for content type and body whenever a NOTIFY goes, refreshes and the last one included:
        each then says the newest state, and documents that are numbered leave no number out. None: what was given to
        notify() is told."""

    @property
    def call_id(self) -> str:
        return self._here.dialog.call_id

    def accept(self, expires: int, now: float, pending: bool = False) -> None:
        """Send 200; call notify() with the state at once. `expires`: seconds, at most what was asked for; later
        refreshes get no more than that either. `pending`: it is not authorised yet (`approve` follows).
        """
        if self.over:
            return
        # RFC 6665 4.2.1.1: the notifier may shorten the interval, and must not lengthen it.
        expires = max(0, min(expires, self._limit))
        self._accepted(200, (("Expires", str(expires)),), now)
        self.stage = Stage.PENDING if pending else Stage.ACTIVE
        self._fetches = not expires
        self._limit = expires
        self._owed = True
        self._last(expires, now)

    def approve(self, now: float) -> None:
        """A pending subscription is authorised; its state as last given to notify() is told."""
        if self.stage is Stage.PENDING:
            self.stage = Stage.ACTIVE
            self._notify(now)

    def notify(self, content_type: str, body: bytes, now: float) -> None:
        """Tell the state. One NOTIFY at a time is on its way; of several states meanwhile the latest is told."""
        if self.over:
            return
        if self.stage is Stage.ASKED:
            raise WrongState(f"notify() on {self}")
        self._state_is(content_type, body, now)

    def tell(self, now: float) -> None:
        """As notify(), with what `content` says when the NOTIFY goes. Nothing on one that is over."""
        if self.over:
            return
        if self.stage is Stage.ASKED:
            raise WrongState(f"tell() on {self}")
        self._notify(now)

    def terminate(
        self, reason: str, now: float, retry_after: int | None = None, content: tuple[str, bytes] | None = None
    ) -> None:
        """End it from our side. `reason`: "noresource", "deactivated", "rejected", "giveup", "probation", "invariant"
        (RFC 6665 4.1.3). `content`: content type and body of the last NOTIFY, else the state as told.
        """
        if self.over:
            return
        if self.stage is Stage.ASKED:
            raise WrongState(f"terminate() on {self}")
        if content is not None:
            self._content_type, self._body = content
            self.content = None
        self._close(SubscriptionState("terminated", None, reason, retry_after), "local", now)

    def _notify(self, now: float) -> None:
        if self._fetches and self.stage is not Stage.CLOSING:
            # RFC 6665 4.4.3: a SUBSCRIBE with Expires 0 fetches the state, by a single NOTIFY
            self._close(SubscriptionState("terminated", reason="timeout"), "unsubscribed", now)
            return
        super()._notify(now)

    def _renew(self, now: float) -> None:
        if self.content is not None:
            self._content_type, self._body = self.content(now)

    def _tell_ended(self, cause: UsageEnd) -> None:
        self.ua.events.append(SubscriptionEnded(self, cause))

    def _tell_refreshed(self, expires: int, request: Request) -> None:
        self.ua.events.append(SubscriptionRefreshed(self, expires, request))

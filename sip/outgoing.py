"""Requests of ours on their way, inside a dialog and outside, and the one place where challenges are answered.

RFC 3261 22.2, 22.3: a 401 or 407 makes the request go again with credentials, the same Call-ID, From and To and a
CSeq one higher. At most `MAX_AUTH_TRIES` times, whatever the peer asks for (an endless challenge is an attack, or a
wrong password).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from sip.digest import DigestClient
from sip.effects import Flow
from sip.message import Request
from sip.reliable import REPEAT_PROGRESS, REPEAT_RELIABLE, is_reliable
from sip.ua_events import RequestAnswered, RequestFailed

if TYPE_CHECKING:
    from sip.client_transaction import ClientTransaction
    from sip.dialog import Dialog
    from sip.digest import Credentials
    from sip.effects import Destination, FailureCause
    from sip.message import Response
    from sip.timers import Timer
    from sip.ua import UserAgent

Header = tuple[str, str]

# Sendings with credentials of one request: the first, and one more when the nonce was stale.
MAX_AUTH_TRIES = 2

# How many T1 a re-INVITE waits after its last provisional response. RFC 3261 sets no limit there; this is what it
# gives every other request (Timer F): a peer answers a change of media by itself. One that says more than 100 is due
# to say it again in a minute (13.3.1.1), and gets that minute too.
PATIENCE_IN_T1 = 64

_CREDENTIALS = ("Authorization", "Proxy-Authorization")


def again(request: Request, cseq: int, header: Header) -> Request:
    """The request once more under a new CSeq, with `header` in place of the credentials of that name it had."""
    headers = [
        (name, f"{cseq} {request.method}" if name == "CSeq" else value)
        for name, value in request.headers
        if name != header[0]
    ]
    headers.append(header)
    return Request(request.method, request.uri, headers, request.body)


def credentials_of(request: Request) -> tuple[Header, ...]:
    """RFC 3261 13.2.2.4: "The ACK MUST contain the same credentials as the INVITE." """
    return tuple(header for header in request.headers if header[0] in _CREDENTIALS)


class Owner:
    """Who is told how a client transaction goes: the transaction's `user`."""

    __slots__ = ()

    def response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Any response, 100 included."""
        raise NotImplementedError

    def failed(self, cause: FailureCause, now: float) -> None:
        """No final response; the transaction does not point here any more."""
        raise NotImplementedError


class Kind(Enum):
    """What a request inside a dialog is for."""

    BYE = auto()
    PRACK = auto()
    OFFER = auto()  # re-INVITE, or UPDATE with an offer
    REFRESH = auto()  # UPDATE without an offer (RFC 4028)
    INFO = auto()
    REFER = auto()
    NOTIFY = auto()


# RFC 3261 12.2.1.1: "A UAC SHOULD include a Contact header field in any target refresh requests within a dialog";
# RFC 3515 2.2 and RFC 6665 8.1.1 require it of REFER and NOTIFY.
WITH_CONTACT = frozenset({Kind.OFFER, Kind.REFRESH, Kind.REFER, Kind.NOTIFY})


class DialogUser(Protocol):
    """Whose requests go inside a dialog: an INVITE session, or an event usage."""

    @property
    def ua(self) -> UserAgent: ...

    @property
    def contact_user(self) -> str: ...

    @property
    def destination(self) -> Destination: ...

    @destination.setter
    def destination(self, destination: Destination) -> None: ...

    def _credentials_for(self, response: Response, request: Request) -> Header | None: ...

    def _provisional_inside(self, inside: InDialog, response: Response, now: float) -> None: ...

    def _answered_inside(self, inside: InDialog, response: Response, now: float) -> None: ...

    def _failed_inside(self, inside: InDialog, cause: FailureCause, now: float) -> None: ...


class InDialog(Owner):
    """A request inside a dialog. It holds the session while it is under way, not the other way round (bar
    `Reoffer`).

    Timer B ends a re-INVITE that nothing answers, Timer F any other request. A re-INVITE that has met a provisional
    response has no timer of the transaction layer any more: it is cancelled after `_patience`, and has failed when the
    487 does not come in 64*T1 either (RFC 3261 9.1).
    """

    __slots__ = ("_deadline", "cancelled", "dialog", "kind", "request", "session", "transaction", "tries")

    def __init__(self, session: DialogUser, dialog: Dialog, kind: Kind, request: Request) -> None:
        self.session = session
        self.dialog = dialog
        self.kind = kind
        self.request = request
        self.tries = 0
        self.transaction: ClientTransaction | None = None
        self.cancelled = False  # whatever comes now but a 2xx, it does not go again
        self._deadline: Timer | None = None  # of a re-INVITE that was answered provisionally

    def send(self, now: float) -> None:
        session = self.session
        contact = session.contact_user if self.kind in WITH_CONTACT else None
        transaction = session.ua.stack.send(self.request, now, session.destination, contact)
        transaction.user = self
        self.transaction = transaction

    def cancel(self, now: float) -> None:
        """CANCEL a re-INVITE that is under way; a final response, or `failed`, still follows."""
        self._stop_waiting()
        self.cancelled = True
        if self.transaction is not None:
            self.session.ua.stack.cancel(self.transaction, now)

    def response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status < 200:
            if transaction.method == "INVITE" and not self.cancelled:
                self._stop_waiting()
                self._deadline = self.session.ua.timers.schedule(now + self._patience(response), self.cancel)
            self.session._provisional_inside(self, response, now)
            return
        self._stop_waiting()
        transaction.user = self.transaction = None
        challenged = response.status == 401 or response.status == 407
        if challenged and not self.cancelled and self._authenticate(response, now):
            return
        self.session._answered_inside(self, response, now)

    def failed(self, cause: FailureCause, now: float) -> None:
        self._stop_waiting()
        transaction, self.transaction = self.transaction, None
        session = self.session
        if isinstance(session.destination, Flow) and transaction is not None and not transaction.branch:
            # The connection was gone before the request could be written. RFC 3261 12.2.1.1 sends it to the remote
            # target: a dialog outlives its connections.
            session.destination = None
            self.send(now)
            return
        session._failed_inside(self, cause, now)

    def _patience(self, response: Response) -> float:
        """Seconds that a re-INVITE may wait for a further response after this provisional one."""
        patience = PATIENCE_IN_T1 * self.session.ua.timer_config.t1
        if response.status > 100:
            patience += REPEAT_RELIABLE if is_reliable(response) else REPEAT_PROGRESS
        return patience

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _authenticate(self, response: Response, now: float) -> bool:
        if self.tries >= MAX_AUTH_TRIES:
            return False
        header = self.session._credentials_for(response, self.request)
        if header is None:
            return False
        self.tries += 1
        self.dialog.local_cseq += 1
        self.request = again(self.request, self.dialog.local_cseq, header)
        self.send(now)
        return True


class OutOfDialog(Owner):
    """A request outside dialogs (REGISTER, OPTIONS, MESSAGE); the application knows it by `token`."""

    __slots__ = (
        "_client", "_contact_user", "_credentials", "_destination", "_request", "_sent", "_tries", "_ua", "token",
    )  # fmt: skip

    def __init__(
        self,
        ua: UserAgent,
        token: int,
        request: Request,
        destination: Destination,
        contact_user: str | None,
        credentials: Credentials | None,
    ) -> None:
        self._ua = ua
        self.token = token
        self._request = request
        self._destination = destination
        self._contact_user = contact_user
        self._credentials = credentials
        self._client: DigestClient | None = None
        self._tries = 0
        self._sent = 0.0

    def send(self, now: float) -> None:
        self._sent = now
        transaction = self._ua.stack.send(self._request, now, self._destination, self._contact_user)
        transaction.user = self

    def response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        if response.status < 200:
            return
        transaction.user = None
        if (response.status == 401 or response.status == 407) and self._authenticate(response, now):
            return
        self._ua.events.append(RequestAnswered(self.token, response, now - self._sent))

    def failed(self, cause: FailureCause, now: float) -> None:
        self._ua.events.append(RequestFailed(self.token, cause))

    def _authenticate(self, response: Response, now: float) -> bool:
        credentials = self._credentials
        if credentials is None or self._tries >= MAX_AUTH_TRIES:
            return False
        if self._client is None:
            self._client = DigestClient(self._ua.ids)
        request = self._request
        header = self._client.answer(response.headers, request.method, request.uri, credentials, request.body)
        if header is None:
            return False
        self._tries += 1
        self._request = again(request, request.cseq.number + 1, header)
        self.send(now)
        return True

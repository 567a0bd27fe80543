"""The user agent: RFC 3261's UAC and UAS cores (8.1, 8.2) over the transaction layer.

    stack event --> checks (sip/uas.py) --> session of the dialog --> events for the application
                                    \\--> RequestArrived, SessionArrived

It owns the tables: sessions by id, dialogs by (Call-ID, our tag, their tag). A transaction points to its owner by its
`user` mark, so that what is answered is found without a look-up and forgotten with the transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec

from sip.client_transaction import ClientTransaction
from sip.dialog import FIRST_CSEQ, MAX_FORWARDS, Dialog, DialogId, Header
from sip.digest import Credentials
from sip.effects import (
    AckReceived,
    CancelReceived,
    ConnectionLost,
    Destination,
    Flow,
    RequestReceived,
    ResponseReceived,
    StackEvent,
    TransactionFailed,
)
from sip.errors import SipError
from sip.ids import Ids
from sip.invite import Headers, InviteSession
from sip.invite_uac import UacSession
from sip.invite_uas import UasSession
from sip.message import Request, Response, response_to
from sip.outgoing import OutOfDialog, Owner
from sip.replacing import match_dialog
from sip.server_transaction import ServerTransaction
from sip.session_timer import FLOOR, TooBrief, settle_as_uas
from sip.stack import Stack
from sip.transfer_headers import join_of, replaces_of
from sip.ua_events import RequestArrived, SessionArrived, UaEvent
from sip.uas import (
    ACCEPT,
    ACCEPT_ENCODING,
    DIALOG_METHODS,
    SDP,
    Abilities,
    Refused,
    check_accept,
    check_head,
    sdp_of,
)
from sip.usage import REFER
from sip.usages import EVENT_METHODS, Usages

__all__ = ["UaSettings", "UserAgent"]

# Option tags that the session layer understands (Supported, Require), and those of what the settings turn on.
OPTIONS_UNDERSTOOD = ("100rel", "timer")
# Seconds, in the 503 that is sent when the table of sessions is full.
RETRY_AFTER_FULL = "5"

# Headers of an INVITE that the user agent or the stack writes itself.
_WRITTEN = frozenset({"Max-Forwards", "From", "To", "Call-ID", "CSeq", "Via", "Contact", "Content-Length"})


def _take_any(_content_type: str, _body: bytes) -> None:
    """Every INFO is taken."""


class UaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the user agent offers and insists on."""

    user_agent: str = "softswitch"  # User-Agent and Server; "" sends none
    allow: tuple[str, ...] = (
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "PRACK",
        "UPDATE",
        "INFO",
        "OPTIONS",
        "REGISTER",
    )
    register_options: tuple[str, ...] = ("path",)  # option tags the application understands in a REGISTER's Require
    answer_options: bool = True  # OPTIONS is answered inside: 200, or 503 while draining
    refer: bool = False  # REFER is taken in and outside dialogs; NOTIFY too, so session.refer() needs it
    replaces: bool = False  # Replaces of an INVITE is read (RFC 3891)
    join: bool = False  # Join of an INVITE is read (RFC 3911)
    event_packages: tuple[str, ...] = ()  # packages whose SUBSCRIBE is taken, in lower case ("dialog", "presence"...)
    refer_expires: int = 180  # seconds that a REFER of the peer is told of at most
    subscription_expires: int = 3600  # seconds a subscription lasts at most, and where none are asked for
    min_subscription: int = 60  # seconds; a shorter one gets 423
    max_subscriptions: int = 20_000  # event usages in all (REFERs of both sides count): more: 503
    accept_tel: bool = False  # tel: Request-URIs; otherwise 416
    reliable_progress: bool = True  # 18x with SDP is sent reliably where the peer supports 100rel (RFC 3262)
    session_expires: int = 1800  # seconds asked for in RFC 4028; 0: never ask, only go along
    min_se: int = 90  # seconds; a shorter Session-Expires gets 422
    max_sessions: int = 100_000  # more: 503 with Retry-After


def _switched_on(settings: UaSettings) -> tuple[list[str], list[str], list[str]]:
    """Methods of Allow, option tags of Supported, packages of Allow-Events."""
    methods, options, packages = list(settings.allow), list(OPTIONS_UNDERSTOOD), list(settings.event_packages)
    if settings.refer:
        methods.append("REFER")
        options.append("norefersub")
        packages.insert(0, REFER)
    if packages:
        # RFC 3515 2.4.4: the subscription that a REFER makes is refreshed and ended by SUBSCRIBE, as any other
        methods += ["SUBSCRIBE", "NOTIFY"]
    if settings.replaces:
        options.append("replaces")
    if settings.join:
        options.append("join")
    return list(dict.fromkeys(methods)), options, packages


class UserAgent:
    """Dialogs and INVITE sessions over one stack. Feed it the stack's events, drain `events`."""

    def __init__(self, stack: Stack, settings: UaSettings, ids: Ids) -> None:
        self.events: list[UaEvent] = []
        # OPTIONS is answered 503; what to do with new INVITEs is the application's.
        self.draining = False
        self.judge_info: Callable[[str, bytes], None] = _take_any
        """Asked about the content type and body of every INFO inside a dialog before it is answered with 200: raises
        `SipError` (415, 400...) for what the application does not take."""
        # Shared with sessions and requests in flight:
        self.stack = stack
        self.settings = settings
        self.ids = ids
        self.timers = stack.timers
        self.timer_config = stack.timer_config
        self.sessions: dict[int, InviteSession] = {}
        self.dialogs: dict[DialogId, InviteSession] = {}
        self.usages = Usages(self)
        self._last_id = 0
        self._prepare_headers()

    def _prepare_headers(self) -> None:
        """The headers that every message of a kind carries, made once."""
        settings = self.settings
        agent = settings.user_agent
        methods, options, packages = _switched_on(settings)
        allow: Header = ("Allow", ", ".join(methods))
        supported: Header = ("Supported", ", ".join(options))
        self.allow_events: Header = ("Allow-Events", ", ".join(packages))
        events: tuple[Header, ...] = (self.allow_events,) if packages else ()
        self.request_headers: tuple[Header, ...] = (("User-Agent", agent),) if agent else ()
        self.response_headers: tuple[Header, ...] = (("Server", agent),) if agent else ()
        self.ability_headers: tuple[Header, ...] = (allow, supported, *events)
        self.ok_headers: tuple[Header, ...] = (*self.ability_headers, *self.response_headers)
        self._options_headers: tuple[Header, ...] = (
            allow,
            ACCEPT,
            ACCEPT_ENCODING,
            ("Accept-Language", "en"),
            *self.ok_headers[1:],
        )
        self._able = Abilities(
            allow=frozenset(methods),
            allow_header=allow,
            options=frozenset(options),
            register_options=frozenset(settings.register_options),
            accept_tel=settings.accept_tel,
        )
        # Outside a dialog SUBSCRIBE and NOTIFY of nobody's are the application's to refuse, as it refuses strangers.
        self._usages_begin = EVENT_METHODS if settings.event_packages else {"REFER"} if settings.refer else frozenset()
        interval = max(settings.session_expires, settings.min_se) if settings.session_expires else 0
        self._interval = interval
        added: list[Header] = [*self.ability_headers, *self.request_headers]
        if interval:
            # RFC 4028 7.1: "The UAC MAY include a Session-Expires header field"; Min-SE only where it is not the
            # default
            added.append(("Session-Expires", str(interval)))
            if settings.min_se > FLOOR:
                added.append(("Min-SE", str(settings.min_se)))
        self._invite_headers = tuple(added)

    # --- receive --------------------------------------------------------------------------------------------

    def handle(self, event: StackEvent, now: float) -> None:
        """Take one event of the stack to its end; what the application must know is appended to `events`."""
        match event:
            case ResponseReceived():
                transaction, response = event.transaction, event.response
                owner = transaction.user
                if isinstance(owner, Owner):
                    owner.response(transaction, response, now)
                elif 200 <= response.status < 300 and transaction.method == "INVITE":
                    self._on_further_2xx(response, now)
            case RequestReceived():
                self._on_request(event.transaction, event.request, event.flow, now)
            case AckReceived():
                request = event.request
                session = self.dialogs.get((request.call_id, request.to_tag, request.from_tag))
                if session is not None:
                    session.receive_ack(request, now)
            case CancelReceived():
                invited = event.transaction.user
                if isinstance(invited, InviteSession):
                    invited.receive_cancel(event.transaction, event.request, now)
            case TransactionFailed():
                failed = event.transaction
                owner, failed.user = failed.user, None
                # Of our responses: a 2xx without ACK is the session's own timer's, the others leave nothing to do.
                if isinstance(owner, Owner) and isinstance(failed, ClientTransaction):
                    owner.failed(event.cause, now)
            case ConnectionLost():
                pass  # requests over it fail by themselves, and a session may go on over another connection
            case _:
                assert_never(event)

    def _on_request(self, transaction: ServerTransaction, request: Request, flow: Flow, now: float) -> None:
        """The checks of RFC 3261 8.2, in their order, then to whom the request is for."""
        try:
            check_head(request, flow.transport, self._able)
            method = request.method
            if method != "INVITE" and self.settings.replaces and request.has("Replaces"):
                raise SipError(400, "Replaces outside an INVITE")  # RFC 3891 3
            tag = request.to_tag
            if tag and method != "REGISTER":
                session = self.dialogs.get((request.call_id, tag, request.from_tag))
                if method in EVENT_METHODS:
                    self.usages.receive(session, transaction, request, now)
                    return
                if session is None:
                    # RFC 3261 12.2.2: "If the UAS wishes to reject the request because it does not wish to recreate
                    # the dialog, it MUST respond to the request with a 481"
                    raise SipError(481, "Call/Transaction Does Not Exist")
                if method == "INVITE" or method in DIALOG_METHODS:
                    session.receive(transaction, request, now)
                    return
            elif method == "INVITE":
                self._arrive(transaction, request, flow, now)
                return
            elif (method == "REFER" and self.settings.refer) or (
                method in EVENT_METHODS and self.settings.event_packages
            ):
                self.usages.arrive(transaction, request, flow, now)
                return
            elif method in DIALOG_METHODS:
                raise SipError(481, "Call/Transaction Does Not Exist")
            if method == "OPTIONS" and self.settings.answer_options:
                self._answer_options(transaction, now)
            else:
                self.events.append(RequestArrived(transaction, request, flow))
        except Refused as refused:
            self.reply(transaction, refused.status, refused.reason, refused.headers, now)
        except TooBrief as brief:
            # RFC 4028 9: the 422 "MUST contain a Min-SE header field with the minimum timer for that UAS"
            self.reply(transaction, 422, brief.reason, (("Min-SE", str(brief.min_se)),), now)
        except SipError as error:
            # RFC 6665 8.3.2: a 489 names the packages that would do
            headers = (self.allow_events,) if error.status == 489 else ()
            self.reply(transaction, error.status, error.reason, headers, now)

    def _arrive(self, transaction: ServerTransaction, request: Request, flow: Flow, now: float) -> None:
        """A new INVITE."""
        if len(self.sessions) >= self.settings.max_sessions:
            raise Refused(503, "Service Unavailable", ("Retry-After", RETRY_AFTER_FULL))
        sdp = sdp_of(request)
        check_accept(request)
        settings = self.settings
        replaces = replaces_of(request) if settings.replaces else None
        join = join_of(request) if settings.join else None
        matched = match_dialog(self.dialogs, replaces, join)
        settled = settle_as_uas(request, self._interval, self.settings.min_se)
        uri = request.request_uri
        dialog = Dialog.of_uas(request, self.ids.tag(), secure=uri.scheme == "sips")
        session = UasSession(self, self.next_id(), dialog, transaction, uri.username)
        session.arrive(request, sdp, settled, now)
        transaction.user = session
        self.sessions[session.id] = session
        self.keep(dialog, session)
        self.events.append(SessionArrived(session, request, flow, replaces, join, matched))

    def _answer_options(self, transaction: ServerTransaction, now: float) -> None:
        # RFC 3261 11.2: "The response code chosen MUST be the same that would have been chosen had the request been
        # an INVITE. ... a 200 (OK) would be returned if the UAS is ready to accept a call". Max-Forwards 0 ends
        # here, with us.
        if self.draining:
            self.reply(transaction, 503, None, self._options_headers, now)
        else:
            self.reply(transaction, 200, None, self._options_headers, now)

    def _on_further_2xx(self, response: Response, now: float) -> None:
        """A 2xx to an INVITE after the first: its repetition, or that of another branch (RFC 3261 13.2.2.4)."""
        session = self.dialogs.get((response.call_id, response.from_tag, response.to_tag))
        if session is not None:
            session.receive_repeated_2xx(response, now)
            return
        # "If, after acknowledging any 2xx response to an INVITE, the UAC does not want to continue with that
        # dialog, then the UAC MUST terminate the dialog by sending a BYE request". The BYE's outcome changes
        # nothing: nobody owns it. A repetition of the 2xx (our ACK was lost) is met in the same way; the second BYE
        # then gets 481.
        try:
            dialog = Dialog.of_2xx(response)
        except SipError:
            return  # no Contact to send an ACK to
        self.stack.send_ack(dialog.request("ACK", cseq=response.cseq.number), now)
        self.stack.send(dialog.request("BYE", self.request_headers), now)

    # --- send -----------------------------------------------------------------------------------------------

    def invite(
        self,
        request: Request,
        now: float,
        destination: Destination = None,
        contact_user: str = "",
        credentials: Credentials | None = None,
        expires: float | None = None,
    ) -> InviteSession:
        """Start a session. `request`: method INVITE, Request-URI, From, To, the application's own headers, SDP
        offer or no body.

        Call-ID, From tag, CSeq, Max-Forwards, Allow, Supported, Session-Expires and the Content-Type of SDP are
        added where absent; Via and Contact are the stack's. `expires`: seconds after which an unanswered INVITE is
        cancelled (sent as Expires too). A `destination` that is a Flow is kept for the requests inside the dialog
        (`session.destination`).
        """
        local = request.get("From") or ""
        local_tag = request.from_tag if "tag" in local.lower() else ""
        if not local_tag:
            local_tag = self.ids.tag()
            local = f"{local};tag={local_tag}"
        remote = request.get("To") or ""
        call_id = request.get("Call-ID") or self.ids.call_id()
        given = {name for name, _ in request.headers}
        number = request.cseq.number if "CSeq" in given else FIRST_CSEQ
        headers: list[Header] = [("Max-Forwards", request.get("Max-Forwards") or MAX_FORWARDS[1])]
        headers += [("From", local), ("To", remote), ("Call-ID", call_id), ("CSeq", f"{number} INVITE")]
        headers += [header for header in request.headers if header[0] not in _WRITTEN]
        headers += [header for header in self._invite_headers if header[0] not in given]
        if expires is not None and "Expires" not in given:
            headers.append(("Expires", str(max(1, int(expires)))))
        if request.body and "Content-Type" not in given:
            headers.append(("Content-Type", SDP))
        dialog = Dialog(call_id, local_tag, local, "", remote)
        dialog.remote_target = request.uri
        dialog.local_cseq = number
        dialog.secure = request.uri.startswith("sips:")
        invite = Request("INVITE", request.uri, headers, request.body)
        session = UacSession(self, self.next_id(), dialog, contact_user, invite)
        session.credentials = credentials
        if isinstance(destination, Flow):
            session.destination = destination
        self.sessions[session.id] = session
        session.start(now, destination, self._interval, expires)
        return session

    def request(
        self,
        request: Request,
        now: float,
        destination: Destination = None,
        contact_user: str | None = None,
        credentials: Credentials | None = None,
    ) -> int:
        """Send a request outside dialogs (REGISTER, OPTIONS, MESSAGE); `RequestAnswered` or `RequestFailed` with
        the returned token
        follows.

        Call-ID, From tag, CSeq, Max-Forwards and User-Agent are added where absent (a REGISTER client gives its own
        Call-ID and CSeq, RFC 3261 10.2). The CSeq counts up when a challenge is answered: read it from the
        response.
        """
        headers = list(request.headers)
        given = {name for name, _ in headers}
        if not request.from_tag:
            tag = self.ids.tag()
            headers = [(n, f"{v};tag={tag}" if n == "From" else v) for n, v in headers]
        if "Max-Forwards" not in given:
            headers.insert(0, MAX_FORWARDS)
        if "Call-ID" not in given:
            headers.append(("Call-ID", self.ids.call_id()))
        if "CSeq" not in given:
            headers.append(("CSeq", f"{FIRST_CSEQ} {request.method}"))
        headers += [header for header in self.request_headers if header[0] not in given]
        token = self.next_id()
        owned = Request(request.method, request.uri, headers, request.body)
        OutOfDialog(self, token, owned, destination, contact_user, credentials).send(now)
        return token

    def respond(
        self, transaction: ServerTransaction, response: Response, now: float, contact_user: str | None = None
    ) -> None:
        """Answer a `RequestArrived`. A challenge is kept only while there is room."""
        if response.status == 401:
            self.stack.challenge(transaction, response, now)
        else:
            self.stack.respond(transaction, response, now, contact_user)

    # --- look up --------------------------------------------------------------------------------------------

    def session(self, session_id: int) -> InviteSession | None:
        """The session of that id while anything of it is left."""
        return self.sessions.get(session_id)

    # --- for sessions ---------------------------------------------------------------------------------------

    def reply(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str | None,
        headers: Headers,
        now: float,
        to_tag: str = "",
    ) -> None:
        """A response without body; nothing where a final one was given already."""
        request = transaction.request
        if request is None:
            return
        response = response_to(request, status, reason, to_tag or self.ids.tag())
        response.headers += headers
        if not any(name == "Server" for name, _ in headers):
            response.headers += self.response_headers
        transaction.user = None
        self.stack.respond(transaction, response, now)

    def keep(self, dialog: Dialog, session: InviteSession) -> None:
        """Requests with this dialog's id are for the session."""
        self.dialogs[dialog.id] = session

    def drop(self, dialog: Dialog) -> None:
        """The dialog is over; its session may go on (another early dialog won)."""
        self.dialogs.pop(dialog.id, None)

    def forget(self, session: InviteSession) -> None:
        """The session has ended: it is in no table any more (bar the event usages of its dialog)."""
        self.sessions.pop(session.id, None)
        for dialog in session.dialogs():
            self.dialogs.pop(dialog.id, None)

    def next_id(self) -> int:
        """For a session, or a request that the application knows by its token."""
        self._last_id += 1
        return self._last_id

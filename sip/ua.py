"""The user agent: RFC 3261's UAC and UAS cores over the transaction layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from sip.digest import Credentials
    from sip.effects import Destination, StackEvent
    from sip.ids import Ids
    from sip.invite import InviteSession
    from sip.message import Request, Response
    from sip.server_transaction import ServerTransaction
    from sip.stack import Stack
    from sip.ua_events import UaEvent


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
    answer_options: bool = True  # OPTIONS is answered inside: 200, or 503 while draining
    accept_tel: bool = False  # tel: Request-URIs; otherwise 416
    reliable_progress: bool = True  # 18x with SDP is sent reliably where the peer supports 100rel (RFC 3262)
    session_expires: int = 1800  # seconds asked for in RFC 4028; 0: never ask, only go along
    min_se: int = 90  # seconds; shorter Session-Expires gets 422
    max_sessions: int = 100_000  # more: 503 with Retry-After


class UserAgent:
    """Dialogs and INVITE sessions over one stack. Feed it the stack's events, drain `events`."""

    draining: bool  # OPTIONS is answered 503; what to do with new INVITEs is the application's

    def __init__(self, stack: Stack, settings: UaSettings, ids: Ids) -> None:
        self.events: list[UaEvent] = []
        raise NotImplementedError

    # --- receive ----------------------------------------------------------------------------------------------------------
    def handle(self, event: StackEvent, now: float) -> None:
        """Take one event of the stack to its end; what the application must know is appended to `events`."""
        raise NotImplementedError

    # --- send -------------------------------------------------------------------------------------------------------------
    def invite(
        self,
        request: Request,
        now: float,
        destination: Destination = None,
        contact_user: str = "",
        credentials: Credentials | None = None,
        expires: float | None = None,
    ) -> InviteSession:
        """Start a session. `request`: method INVITE, Request-URI, From, To, the application's own headers, SDP offer (with Content-Type) or no body.

        Call-ID, From tag, CSeq, Max-Forwards, Allow, Supported, Session-Expires are added where absent. `expires`: seconds after which
        an unanswered INVITE is cancelled (sent as Expires too).
        """
        raise NotImplementedError

    def request(
        self,
        request: Request,
        now: float,
        destination: Destination = None,
        contact_user: str | None = None,
        credentials: Credentials | None = None,
    ) -> int:
        """Send a request outside dialogs (REGISTER, OPTIONS, MESSAGE); `RequestAnswered` or `RequestFailed` with the returned token follows."""
        raise NotImplementedError

    def respond(
        self, transaction: ServerTransaction, response: Response, now: float, contact_user: str | None = None
    ) -> None:
        """Answer a `RequestArrived`."""
        raise NotImplementedError

    # --- look up ----------------------------------------------------------------------------------------------------------
    def session(self, session_id: int) -> InviteSession | None:
        """The session of that id while anything of it is left."""
        raise NotImplementedError

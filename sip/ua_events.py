"""What the user agent tells the application: events, in order, in `UserAgent.events`.

Shape of a session's life as the application sees it:

    UAC:  SessionProgress*  ->  [Offered]  SessionAnswered  ->  exchanges*  ->  SessionEnded
                            ->  SessionFailed
    UAS:  SessionArrived    ->  Cancelled or SessionEnded
                            ->  SessionConfirmed  ->  exchanges*  ->  SessionEnded

    exchanges:  Offered, OfferWithdrawn, AnswerReceived, OfferFailed, InfoReceived

**Exactly one** of `SessionFailed`, `Cancelled` and `SessionEnded` ends every session, also one that the application
ended itself (`SessionEnded(cause="local")` at once after `hangup()`, `cause="rejected"` after `reject()`). What
then still has to be said on the wire (BYE and its answer, ACKs of late 2xx) happens inside, and no event of that
session follows. `Offered` and `AnswerReceived` may also come before the 2xx (reliable provisional responses, PRACK,
early UPDATE).

SDP travels as the bytes of the body; a multipart body arrives as its SDP part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from sip.effects import Flow
    from sip.invite import InviteSession
    from sip.message import Request, Response
    from sip.server_transaction import ServerTransaction

EndCause = Literal[
    "bye",  # the peer's BYE
    "local",  # our hangup()
    "rejected",  # our reject() of an INVITE, or of an early UAS session by hangup()
    "no-ack",  # our 2xx was never ACKed in 64*T1 (RFC 3261 13.3.1.4); BYE is sent
    "no-prack",  # our reliable provisional response was never PRACKed (RFC 3262 3); a 5xx is sent
    "session-expired",  # RFC 4028 10; BYE is sent
    "timeout",  # 408, or no answer at all, to a request inside the dialog (RFC 5057)
    "gone",  # 481 to a request inside the dialog (RFC 5057)
    "transport",  # a request inside the dialog could not be sent
    "bad-sdp",  # the peer broke offer/answer (2xx or ACK without the answer it owed); BYE is sent
]

OfferedIn = Literal["INVITE", "UPDATE", "PRACK", "2xx", "18x"]


class SessionArrived(msgspec.Struct, gc=False):
    """A new INVITE. The application authenticates, decides, and calls progress(), accept() or reject().

    The offer, if any, is `session.remote_offer`; None means that our reliable 18x or 2xx must carry the offer.
    `request` is the message as it came: it is not kept by the session.
    """

    session: InviteSession
    request: Request
    flow: Flow


class SessionProgress(msgspec.Struct, gc=False):
    """A provisional response other than 100. `branch`: the early dialog it belongs to (the remote tag, "" without
    one).

    `sdp`: the answer to our offer, or early media's description in an unreliable response (a preview of the answer:
    the binding one follows in a reliable 18x or the 2xx, and is the same for one branch); None without a body. An
    *offer* in a reliable 18x comes as `Offered` first.
    """

    session: InviteSession
    status: int
    reason: str
    sdp: bytes | None
    branch: str
    response: Response | None = None


class SessionAnswered(msgspec.Struct, gc=False):
    """A 2xx. `sdp`: the answer; None when the answer came earlier, or when the 2xx held an offer (`Offered` came
    just before:
    the ACK waits for answer())."""

    session: InviteSession
    sdp: bytes | None
    response: Response | None = None


class SessionFailed(msgspec.Struct, gc=False):
    """The INVITE failed: its final non-2xx response (authentication was retried inside), 408 when nobody answered,
    503 when it
    could not be sent, 487 after cancel(). `headers`: of the response (contacts of a 3xx, Reason, Retry-After), else
    empty."""

    session: InviteSession
    status: int
    reason: str
    headers: list[tuple[str, str]]


class SessionConfirmed(msgspec.Struct, gc=False):
    """UAS: the ACK of our 2xx came. An answer in it comes as `AnswerReceived` before this event."""

    session: InviteSession


class Cancelled(msgspec.Struct, gc=False):
    """UAS: the CANCEL came (or the INVITE's Expires passed), 487 is sent. `reason`: the Reason header's value, ""
    without.
    """

    session: InviteSession
    reason: str


class Offered(msgspec.Struct, gc=False):
    """The peer's offer, to be met with answer() or reject_offer(). `sdp` None: an offerless re-INVITE, answer()
    then takes *our* offer.

    While it is not answered the session owes the peer a response: `where` tells which message brought it. An offer
    in a 2xx or a reliable 18x can't be rejected by a response: reject_offer() then ends the session.
    """

    session: InviteSession
    sdp: bytes | None
    where: OfferedIn = "INVITE"


class OfferWithdrawn(msgspec.Struct, gc=False):
    """The peer took its `Offered` back (CANCEL of its re-INVITE): it must not be answered; what was agreed before
    stands.
    """

    session: InviteSession


class AnswerReceived(msgspec.Struct, gc=False):
    """The answer to our offer(), or to an offer that we put in a 2xx or reliable 18x."""

    session: InviteSession
    sdp: bytes


class OfferFailed(msgspec.Struct, gc=False):
    """Our offer() was refused; what was agreed before stands. 491 is retried inside (RFC 3261 14.1), as are 401,
    407 and 422.
    """

    session: InviteSession
    status: int


class InfoReceived(msgspec.Struct, gc=False):
    """An INFO inside the dialog, which `UserAgent.judge_info` has taken; it has been answered with 200. `content_type`
    in lower case without parameters."""

    session: InviteSession
    content_type: str
    body: bytes


class SessionEnded(msgspec.Struct, gc=False):
    """The session is over. `status`: of the response that ended it, or that we sent (0 for BYE). `reason`: the
    Reason header's value, "" without.
    """

    session: InviteSession
    cause: EndCause
    status: int
    reason: str


class RequestArrived(msgspec.Struct, gc=False):
    """A request outside a dialog that is neither INVITE nor answered inside; it passed the checks of RFC 3261 8.2.

    The application answers with `ua.respond(transaction, response, now)`.
    """

    transaction: ServerTransaction
    request: Request
    flow: Flow


class RequestAnswered(msgspec.Struct, gc=False):
    """The final response to ua.request() (authentication was retried inside). `rtt`: seconds from the last
    sending's request() to this response.
    """

    token: int
    response: Response
    rtt: float


class RequestFailed(msgspec.Struct, gc=False):
    """No response to ua.request(). `cause`: "timeout", "transport" or "unresolved"."""

    token: int
    cause: str


UaEvent = (
    SessionArrived
    | SessionProgress
    | SessionAnswered
    | SessionFailed
    | SessionConfirmed
    | Cancelled
    | Offered
    | OfferWithdrawn
    | AnswerReceived
    | OfferFailed
    | InfoReceived
    | SessionEnded
    | RequestArrived
    | RequestAnswered
    | RequestFailed
)

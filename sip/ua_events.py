"""What the user agent tells the application: events, in order, in `UserAgent.events`.

Shape of a session's life as the application sees it:

    UAC:  SessionProgress*  ->  [Offered]  SessionAnswered  ->  exchanges*  ->  SessionEnded
                            ->  SessionFailed
    UAS:  SessionArrived    ->  Cancelled or SessionEnded
                            ->  SessionConfirmed  ->  exchanges*  ->  SessionEnded

    exchanges:  Offered, OfferWithdrawn, AnswerReceived, OfferFailed, InfoReceived, ReferReceived

REFER and SUBSCRIBE make usages that outlive the session of their dialog (RFC 5057): `ReferProgress`, `ReferAnswered`
and `ReferSubscriptionEnded` may follow its `SessionEnded`.

    subscription:   SubscriptionArrived  ->  SubscriptionRefreshed*  ->  SubscriptionEnded

**Exactly one** of `SessionFailed`, `Cancelled` and `SessionEnded` ends every session, also one that the application
ended itself (`SessionEnded(cause="local")` at once after `hangup()`, `cause="rejected"` after `reject()`). What
then still has to be said on the wire (BYE and its answer, ACKs of late 2xx) happens inside, and no event of that
session follows but those of refers. `Offered` and `AnswerReceived` may also come before the 2xx (reliable provisional
responses, PRACK, early UPDATE).

SDP travels as the bytes of the body; a multipart body arrives as its SDP part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from sip.effects import Flow
    from sip.headers import NameAddr
    from sip.invite import InviteSession
    from sip.message import Request, Response
    from sip.notifier import ReceivedRefer, Subscription
    from sip.server_transaction import ServerTransaction
    from sip.transfer_headers import Join, ReferTo, Replaces

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

UsageEnd = Literal[
    "local",  # our terminate()
    "rejected",  # our reject()
    "unsubscribed",  # the subscriber's SUBSCRIBE with Expires 0
    "expired",  # not refreshed in time (RFC 6665 4.2.2), or a refer that went on for too long
    "timeout",  # a NOTIFY that got no answer, or a SUBSCRIBE or REFER that the application did not answer
    "gone",  # a NOTIFY that got 481, or another answer which ends the usage (RFC 6665 4.2.2)
    "transport",  # a NOTIFY that could not be sent
    "session-over",  # the session ended before its REFER was answered; 487 is sent (RFC 3261 15.1.2)
]

OfferedIn = Literal["INVITE", "UPDATE", "PRACK", "2xx", "18x"]


class SessionArrived(msgspec.Struct, gc=False):
    """A new INVITE. The application authenticates, decides, and calls progress(), accept() or reject().

    The offer, if any, is `session.remote_offer`; None means that our reliable 18x or 2xx must carry the offer.
    `request` is the message as it came: it is not kept by the session.

    `replaces`, `join`: what the INVITE names, where the settings have us understand it; `matched` the session of that
    dialog, None when there is none (RFC 3891 3, RFC 3911 4: to be answered 481 then). Whether the sender may do that is
    the application's to say, as is ending the session that is replaced.
    """

    session: InviteSession
    request: Request
    flow: Flow
    replaces: Replaces | None = None
    join: Join | None = None
    matched: InviteSession | None = None


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
    value of the Reason header that came with the end or that we sent with it, "" without.
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


class ReferReceived(msgspec.Struct, gc=False):
    """A REFER inside the session's dialog, to be met with `refer.accept(now)` or `refer.reject(status, now)`, then
    `refer.notify(...)`; or by the session's accept_refer(), reject_refer(), notify_refer() with `refer.token`.

    `wants_sub` False: the peer wants no NOTIFY (RFC 4488), the refer is done with once it is accepted.
    """

    session: InviteSession
    refer: ReceivedRefer
    refer_to: ReferTo
    referred_by: NameAddr | None
    wants_sub: bool
    request: Request


class ReferArrived(msgspec.Struct, gc=False):
    """A REFER outside any dialog: as `ReferReceived`; the refer has a dialog of its own."""

    refer: ReceivedRefer
    refer_to: ReferTo
    referred_by: NameAddr | None
    wants_sub: bool
    request: Request
    flow: Flow


class ReferSubscriptionEnded(msgspec.Struct, gc=False):
    """The peer will hear no more of that refer, though the application has not ended it (`refer.notify(over=True)`,
    `refer.reject`). Its notify() does nothing from now on. `session` None: it was outside any session.
    """

    session: InviteSession | None
    refer: ReceivedRefer
    cause: UsageEnd


class ReferAnswered(msgspec.Struct, gc=False):
    """The final response to our session.refer(); 408 when there was none, 503 when it could not be sent.

    `subscribed`: `ReferProgress` follows, until one that is over. It may come before this event, too.
    """

    session: InviteSession
    token: int
    status: int
    reason: str
    subscribed: bool


class ReferProgress(msgspec.Struct, gc=False):
    """The peer's NOTIFY about our refer. `status`, `reason`: what it says of the reference, 0 while nothing was said.

    `over`: the last one, also when the peer stopped telling (it never began to, or let the subscription expire).
    """

    session: InviteSession
    token: int
    status: int
    reason: str
    over: bool


class SubscriptionArrived(msgspec.Struct, gc=False):
    """A SUBSCRIBE for one of the packages of the settings: to be met with subscription.accept(), then notify() at once;
    or reject().

    `expires`: seconds asked for, the settings' default where the peer names none; 0 asks for the state once.
    `accept`: values of its Accept header, [] without.
    """

    subscription: Subscription
    package: str
    id: str
    accept: list[str]
    expires: int
    request: Request
    flow: Flow


class SubscriptionRefreshed(msgspec.Struct, gc=False):
    """The subscriber has prolonged it; it was answered, and told the state as last given to notify()."""

    subscription: Subscription
    expires: int
    request: Request


class SubscriptionEnded(msgspec.Struct, gc=False):
    """Exactly one ends every subscription that arrived, also one that the application ended itself."""

    subscription: Subscription
    cause: UsageEnd


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
    | ReferReceived
    | ReferArrived
    | ReferSubscriptionEnded
    | ReferAnswered
    | ReferProgress
    | SubscriptionArrived
    | SubscriptionRefreshed
    | SubscriptionEnded
)

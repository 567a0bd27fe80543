"""What crosses the edges of the stack: addresses, events upwards, effects downwards.

Events (`StackEvent`) tell the user of the stack (the user agent) what arrived; effects (`Effect`) tell the
driver what to do. Both are closed unions of plain values, appended in order to `Stack.events` and
`Stack.effects`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from sip.client_transaction import ClientTransaction
    from sip.locate import Question
    from sip.message import Request, Response
    from sip.server_transaction import ServerTransaction

FailureCause = Literal["timeout", "transport", "unresolved"]


class Transport(NamedTuple):
    """What the core must know of a transport protocol (RFC 3261 section 18)."""

    name: str  # as in Flow.transport and a URI's transport parameter, lower case
    via: str  # sent-protocol of Via
    reliable: bool  # no retransmission, zero-length wait timers
    secure: bool
    default_port: int


# RFC 3261 18, 19.1.2 (default ports) and 26.2; RFC 7118 5.2 for ws and wss.
TRANSPORTS: dict[str, Transport] = {
    "udp": Transport("udp", "UDP", False, False, 5060),
    "tcp": Transport("tcp", "TCP", True, False, 5060),
    "tls": Transport("tls", "TLS", True, True, 5061),
    "ws": Transport("ws", "WS", True, False, 80),
    "wss": Transport("wss", "WSS", True, True, 443),
}


class Flow(NamedTuple):
    """Where a message came from or goes to: a pair of addresses, and the connection for streams.

    Hosts are IP literals without brackets. `local` is the listener's bound address (its port 0 means
    "whichever listener of that transport reaches `remote`"). `connection` is 0 for datagrams.
    """

    transport: str
    local: tuple[str, int]
    remote: tuple[str, int]
    connection: int


class Target(NamedTuple):
    """A place to send a request to (RFC 3263: the outcome of locating a server); `host` is an IP literal."""

    transport: str
    host: str
    port: int


# None: located by RFC 3263 from the first Route or the Request-URI.
Destination = Flow | Target | tuple[Target, ...] | None

# Local address of a Flow made from a Target: the driver picks the socket.
ANY_LOCAL = ("", 0)


# --- events: up ---------------------------------------------------------------------------------------------


class RequestReceived(msgspec.Struct):
    """A new request (never ACK or CANCEL, never a retransmission); answer it with `Stack.respond`."""

    transaction: ServerTransaction
    request: Request
    flow: Flow


class CancelReceived(msgspec.Struct):
    """A CANCEL, answered already, for an INVITE without final response; the user answers that with 487."""

    transaction: ServerTransaction  # the INVITE's
    request: Request  # the CANCEL


class AckReceived(msgspec.Struct, gc=False):
    """An ACK that belongs to no non-2xx response: the acknowledgement of a 2xx, or a stray."""

    request: Request
    flow: Flow


class ResponseReceived(msgspec.Struct):
    """A response to a request of ours, 100 too. Of the final ones: every 2xx to INVITE, else the first."""

    transaction: ClientTransaction
    response: Response
    flow: Flow


class TransactionFailed(msgspec.Struct):
    """A transaction ended without a final response (client), or its response could not be delivered (server).

    Server side: "timeout" is Timer H (no ACK to a non-2xx), "transport" a send error.
    """

    transaction: ClientTransaction | ServerTransaction
    cause: FailureCause
    detail: str


class ConnectionLost(msgspec.Struct, gc=False):
    """A connection, whoever opened it, is gone; requests over it without any answer fail by themselves."""

    flow: Flow


StackEvent = RequestReceived | CancelReceived | AckReceived | ResponseReceived | TransactionFailed | ConnectionLost


# --- effects: down ------------------------------------------------------------------------------------------


class Send(msgspec.Struct, gc=False):
    """Write `data` to `flow`: one datagram, or bytes of an open connection."""

    data: bytes
    flow: Flow


class Connect(msgspec.Struct, gc=False):
    """Open a connection; `Stack.connected(flow, now)` or `Stack.send_failed(target, now, why)` follows."""

    target: Target


class Resolve(msgspec.Struct, gc=False):
    """Ask the DNS all `questions`; `Stack.resolved(query, answers, now)` follows, answers in that order."""

    query: int
    questions: tuple[Question, ...]


class Close(msgspec.Struct, gc=False):
    """Close the connection after what is written; `Stack.disconnected` may follow, but need not."""

    flow: Flow


Effect = Send | Connect | Resolve | Close

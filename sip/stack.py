"""The stack: bytes in, events up; messages down, effects out. It wires transactions, connections and look-ups.

    receive(data, flow, now)  ->  parse  ->  transaction found by its key  ->  events
    send, respond, cancel     ->  transaction  ->  transmit_*  ->  effects (Send, Connect, Resolve, Close)

What it answers by itself: malformed requests, requests that came by two ways (482), CANCEL (200 or 481),
requests that come again, 100 Trying to INVITE, and 503 when the table of server transactions is full. What it
drops it counts in `counters`, by cause. Nothing here reads a clock or waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final
from zlib import crc32

import msgspec

from sip import server_transaction as server
from sip.connections import Connection, Connections
from sip.effects import (
    TRANSPORTS,
    AckReceived,
    CancelReceived,
    Close,
    ConnectionLost,
    Destination,
    Effect,
    FailureCause,
    Flow,
    RequestReceived,
    Send,
    StackEvent,
    Target,
    TransactionFailed,
)
from sip.errors import ParseError, SipError
from sip.framing import PONG, KeepAlive, StreamError
from sip.locate import Answer, is_numeric
from sip.matching import ack_keys, has_magic, merge_key, server_key
from sip.message import Request, Response, response_to
from sip.outbound import Outbound, SentBy, contact_value
from sip.parser import LIMITS, Limits, check_request, parse
from sip.server_transaction import (
    AnsweredRequest,
    InviteServerTransaction,
    NonInviteServerTransaction,
    ServerTransaction,
)
from sip.timers import Timer, TimerConfig, TimerHeap

if TYPE_CHECKING:
    from sip.client_transaction import ClientTransaction
    from sip.ids import Ids

__all__ = ["SentBy", "Stack", "StackSettings"]

# Share of the table of server transactions kept for requests inside dialogs: calls must end under overload
# too.
IN_DIALOG_HEADROOM: Final = 1.25
# Share of it in which challenged requests may wait for their repetitions.
CHALLENGED_SHARE: Final = 0.5


# Seconds a connection that can't be read any more stays open for answers to what it brought before.
ANSWER_TIME: Final = 0.5


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and choices of the transaction and transport layers."""

    timers: TimerConfig = TimerConfig()
    limits: Limits = LIMITS
    transports: tuple[str, ...] = ("udp", "tcp")  # those requests may go out by, in order of preference
    families: tuple[str, ...] = ("A", "AAAA")  # address records asked for, in order of preference
    max_server_transactions: int = 100_000  # above: 503; those of UDP stay for 32 s after the answer
    retry_after: int = 5  # seconds, in that 503
    try_time: float = 4.0  # seconds a target has for its first response while there are others to try
    avoid_failed: float = 30.0  # seconds for which a target that failed is tried after the others
    large_over_tcp: bool = True  # 18.1.1: requests over 1300 bytes, where the transport was ours to choose
    obey_maddr: bool = False  # 18.2.2: answer to the Via's maddr; anyone could aim our responses at others by it
    first_message_time: float = 10.0  # seconds a new connection has for its first whole message
    message_time: float = 3.0  # seconds a message may take on a connection from its first byte to its last
    idle_time: float = 3_900.0  # seconds without a byte; more than the longest registration


Gate = Callable[[Request, Flow, float], int | None]
"""(request, where from, now) -> whether it is served: None yes; seconds of a Retry-After: 503; 0: not even answered."""


class Stack:
    """One per signalling process. `events` and `effects` are emptied by the driver; `timers` is everybody's heap.

    sent_by(transport, remote host) -> (host, port): what Via and Contact say of us towards that host.
    """

    def __init__(self, ids: Ids, sent_by: SentBy, settings: StackSettings | None = None) -> None:
        self.settings = settings = settings or StackSettings()
        self.events: list[StackEvent] = []
        self.effects: list[Effect] = []
        self.timers = TimerHeap()
        self.timer_config = settings.timers
        self.gate: Gate | None = None
        """Asked of every new request but ACK before anything is kept of it; of CANCEL where it cancels nothing."""
        self.counters: dict[str, int] = {}
        self._ids = ids
        self._sent_by = sent_by
        self._last_id = 0
        self._tag_salt = ids.token(16).encode()
        self._servers: dict[str, ServerTransaction] = {}
        self._answered: dict[str, AnsweredRequest] = {}  # by the same keys
        self._sweep: Timer | None = None
        self._record_over = self._lingered  # bound once: each record holds it
        self._merged: dict[str, str] = {}  # merge key -> key, of what is going on
        self._connections = Connections(
            self.effects,
            self.timers,
            self._overdue,
            settings.first_message_time,
            settings.message_time,
            settings.idle_time,
            settings.limits,
        )
        self._outbound = Outbound(
            settings,
            ids,
            sent_by,
            self._next_id,
            self._connections,
            self.timers,
            self.events,
            self.effects,
        )

    # --- from the network -----------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram."""
        # RFC 5626 3.5.1 and common practice: CRLFs, or a few zero bytes, keep a NAT binding open and say
        # nothing.
        if len(data) <= 4 and not data.strip(b"\r\n\0 "):
            self._count("keep-alive")
            return
        self._receive(data, flow, now)

    def receive_stream(self, data: bytes, flow: Flow, now: float) -> None:
        """Take bytes of a connection, however they are cut."""
        connection = self._connections.get(flow)
        if connection is None:
            self._count("connection is closed")
            return
        connection.active_at = now
        framer = connection.framer
        error: StreamError | None = None
        try:
            items = framer.feed(data)
        except StreamError as failed:
            items, error = failed.items, failed
        if KeepAlive.PING in items:
            # RFC 5626 4.4.1: a ping is answered at once. One answer for all that came in one piece: a peer
            # that sends nothing else must not make us write as much as it does.
            self.effects.append(Send(PONG, flow))
        for item in items:
            if item is not KeepAlive.PING:
                connection.proven = True
                self._receive(item, flow, now)
        if error is not None:
            self._refuse(error, flow)
            connection.partial_since = None
            if items:
                # What came before the error is good, and its answers still have to go out.
                self.timers.schedule(now + ANSWER_TIME, lambda _: self._close(flow))
            else:
                self._close(flow)
        elif not framer.pending:
            connection.partial_since = None
        elif items or connection.partial_since is None:
            connection.partial_since = now

    def connected(self, flow: Flow, now: float) -> None:
        """A connection is open, whoever opened it; what waited for one to that address is sent."""
        self._outbound.connected(flow)
        self._connections.opened(flow, now)

    def disconnected(self, flow: Flow, now: float, why: str = "connection closed") -> None:
        """A connection is gone."""
        if self._connections.closed(flow):
            self._outbound.connection_lost(flow, why, now)
            self.events.append(ConnectionLost(flow))

    def send_failed(self, where: Flow | Target, now: float, why: str) -> None:
        """A datagram could not be sent or was refused by ICMP, or a connection could not be opened."""
        self._count("send failed")
        if isinstance(where, Target):
            for transaction in self._connections.opening_failed(where):
                transaction.transport_failed(why)
            self._outbound.send_failed(where.transport, (where.host, where.port), why, now)
        else:
            self._outbound.send_failed(where.transport, where.remote, why, now)

    def resolved(self, query: int, answers: Sequence[Answer], now: float) -> None:
        """The answers to the questions of `Resolve`, in their order."""
        self._outbound.resolved(query, answers, now)

    # --- from the user --------------------------------------------------------------------------------------

    def send(
        self,
        request: Request,
        now: float,
        destination: Destination = None,
        contact_user: str | None = None,
    ) -> ClientTransaction:
        """Send a request, neither ACK nor CANCEL. It is not changed: Via and Contact are written on the wire only.

        Its end is a final ResponseReceived or a TransactionFailed, also when it fails at once.
        """
        return self._outbound.send(request, now, destination, contact_user)

    def send_ack(
        self,
        request: Request,
        now: float,
        destination: Destination = None,
        contact_user: str | None = None,
    ) -> None:
        """Send the ACK to a 2xx, once for each time the 2xx comes (13.2.2.4)."""
        self._outbound.send_ack(request, now, destination, contact_user)

    def cancel(self, transaction: ClientTransaction, now: float, reason: str | None = None) -> None:
        """CANCEL an INVITE, now or after its first provisional response. `reason`: value of the Reason header.

        Its end comes as ever: 487, what the peer answered first, or a failure after 64*T1.
        """
        self._outbound.cancel(transaction, now, reason)

    def respond(
        self,
        transaction: ServerTransaction,
        response: Response,
        now: float,
        contact_user: str | None = None,
    ) -> None:
        """Send a response; with `contact_user`, with a Contact of that user (set in `response`).

        Where the transaction has no use for it any more (a final response was given) it is dropped and
        counted.
        """
        if contact_user is not None:
            transport, _, remote, _ = transaction.flow
            sent_by = self._sent_by(transport, remote[0])
            response.set("Contact", contact_value(contact_user, transport, sent_by))
        status = response.status
        if transaction.method == "INVITE":
            if status > 100 and not transaction.to_tag:
                transaction.to_tag = response.to_tag
            if status >= 300:
                self._unmerge(transaction.key, transaction.merge_key)
        if not transaction.respond(status, response.encode(), now):
            self._count("late response")

    def challenge(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Answer a request other than INVITE with a challenge; when the tables fill, keep nothing of it.

        As a stateless UAS (8.2.7) then: a flood of unauthenticated requests finds no table to fill, and a repetition is
        challenged anew. In quiet times a repetition gets the same challenge again, which simple clients expect.
        """
        limit = self.settings.max_server_transactions * CHALLENGED_SHARE
        if len(self._answered) < limit and len(self._servers) < limit:
            self.respond(transaction, response, now)
        elif transaction.state is server.TRYING:
            transaction.sent = response.encode()
            self.transmit_response(transaction)
            transaction.terminate()

    def retransmit(self, transaction: ServerTransaction, now: float) -> None:
        """Send the last response again: a 2xx not yet acknowledged (13.3.1.4), a reliable provisional (RFC 3262)."""
        if transaction.state is not server.TERMINATED and transaction.sent:
            self.transmit_response(transaction)

    def release(self, transaction: ServerTransaction) -> None:
        """The ACK to the 2xx is here: its user has no more to say."""
        if transaction.state is server.ACCEPTED:
            transaction.sent = b""
            if transaction.key in self._answered:
                self._servers.pop(transaction.key, None)

    # --- for status and tests -------------------------------------------------------------------------------

    def sizes(self) -> dict[str, int]:
        """Entries of every table."""
        return {
            "server transactions": len(self._servers),
            "answered requests": len(self._answered),
            "merged requests": len(self._merged),
            "timers": len(self.timers),
            **self._outbound.sizes(),
            **self._connections.sizes(),
        }

    # --- what server transactions ask (ServerSurroundings) --------------------------------------------------

    def transmit_response(self, transaction: ServerTransaction) -> None:
        reply = transaction.reply
        if not transaction.reliable:
            self.effects.append(Send(transaction.sent, reply))
            return
        # 18.2.2: "If the "sent-protocol" is a reliable transport protocol such as TCP or SCTP, or TLS over
        # those, the response MUST be sent using the existing connection to the source of the original request
        # that created the transaction, if that connection is still open. ... If that connection is no longer
        # open, the server SHOULD open a connection to the IP address in the "received" parameter, if present,
        # using the port in the "sent-by" value, or the default port for that transport, if no port is
        # specified."
        if self._connections.get(reply) is not None:
            self.effects.append(Send(transaction.sent, reply))
        elif transaction.fallback is None or not self._connections.send(
            transaction.sent, transaction.fallback, transaction
        ):
            transaction.transport_failed("the connection is gone")

    def server_failed(self, transaction: ServerTransaction, cause: FailureCause, detail: str) -> None:
        self.events.append(TransactionFailed(transaction, cause, detail))

    def server_started(self, transaction: ServerTransaction, now: float) -> None:
        # No timer for each: nearly all are answered in the moment they come, and a flood must leave nothing behind.
        if self._sweep is None:
            self._sweep = self.timers.schedule(transaction.deadline, self._sweep_unanswered)

    def server_completed(self, transaction: ServerTransaction, now: float) -> None:
        key, invite = transaction.key, transaction.method == "INVITE"
        if not invite:
            self._servers.pop(key, None)
            self._unmerge(key, transaction.merge_key)
            # Where there is no room, what comes again is taken for new, and is answered by whoever answered it before.
            if len(self._answered) >= self.settings.max_server_transactions:
                return
        record = AnsweredRequest(
            key,
            transaction.reply,
            b"" if invite else transaction.sent,
            transaction.merge_key if invite else "",
            transaction.to_tag,
            self._record_over,
        )
        transaction.record = self._answered[key] = record
        self.timers.linger(self.timer_config.b, record, now)

    def server_terminated(self, transaction: ServerTransaction) -> None:
        self._servers.pop(transaction.key, None)
        self._unmerge(transaction.key, transaction.merge_key)

    # --- private: what lingers ------------------------------------------------------------------------------

    def _lingered(self, record: AnsweredRequest, now: float) -> None:
        """Timer J or L."""
        key = record.key
        if self._answered.get(key) is record:
            del self._answered[key]
            self._unmerge(key, record.merge_key)
        transaction = self._servers.get(key)
        if transaction is not None and transaction.record is record:
            transaction.terminate()

    def _sweep_unanswered(self, now: float) -> None:
        """Give up requests other than INVITE that nobody has answered; look again when the next is due."""
        self._sweep = None
        waiting = [each for each in self._servers.values() if each.method != "INVITE"]
        for transaction in waiting:
            transaction.lingered(now)
        left = [each.deadline for each in waiting if each.state is not server.TERMINATED]
        if left:
            self._sweep = self.timers.schedule(min(left), self._sweep_unanswered)

    def _unmerge(self, key: str, merged: str) -> None:
        """A request that comes by another way is not the same any more."""
        if merged and self._merged.get(merged) == key:
            del self._merged[merged]

    # --- private: messages ----------------------------------------------------------------------------------

    def _receive(self, data: bytes, flow: Flow, now: float) -> None:
        try:
            message = parse(data, self.settings.limits)
            if isinstance(message, Request):
                self._receive_request(message, flow, now)
            else:
                dropped = self._outbound.receive(message, flow, now)
                if dropped:
                    self._count(dropped)
        except ParseError as error:
            self._refuse(error, flow)
        except SipError:
            # Only of responses: requests are checked as a whole before anything in them is used.
            self._count("malformed, dropped")

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        check_request(request)
        request.mark_source(*flow.remote)
        method = request.method
        if method == "ACK":
            self._receive_ack(request, flow, now)
            return
        key = _key(flow, server_key(request))
        transaction = self._servers.get(key)
        if transaction is not None:
            self._count("repeated request")
            transaction.receive_again(now)
        elif (answered := self._answered.get(key)) is not None:
            self._count("repeated request")
            if answered.sent:
                self.effects.append(Send(answered.sent, answered.reply))
        elif method == "CANCEL":
            self._receive_cancel(request, key, flow, now)
        else:
            self._begin(request, key, flow, now)

    def _begin(self, request: Request, key: str, flow: Flow, now: float) -> None:
        limit: float = self.settings.max_server_transactions
        in_dialog = request.to_tag != ""
        if self.gate is not None and (wait := self.gate(request, flow, now)) is not None:
            if wait:
                self._unavailable(request, wait, flow)
            return
        if len(self._servers) >= (limit * IN_DIALOG_HEADROOM if in_dialog else limit):
            # 21.5.4: "The server is temporarily unable to process the request due to a temporary
            # overloading".
            self._count("overload")
            self._unavailable(request, self.settings.retry_after, flow)
            return
        transaction = self._transaction(request, key, flow, now)
        if not in_dialog:
            # 8.2.2.2: "If the request has no tag in the To header field, the UAS core MUST check the request
            # against ongoing transactions. If the From tag, Call-ID, and CSeq exactly match those associated
            # with an ongoing transaction, but the request does not match that transaction (based on the
            # matching rules in Section 17.2.3), the UAS core SHOULD generate a 482 (Loop Detected) response
            # and pass it to the server transaction."
            # Ongoing: a transaction that only waits for repetitions of a request it has answered is not; what comes
            # again then by another way gets the same answer once more. An accepted INVITE is: its call goes on.
            merged = merge_key(request)
            if merged in self._merged:
                self._count("merged request")
                self.respond(transaction, self._stateless(request, 482, None), now)
                return
            self._merged[merged] = key
            transaction.merge_key = merged
        if transaction.method == "INVITE":
            # 17.2.1: "The server transaction MUST generate a 100 (Trying) response unless it knows that the
            # TU will generate a provisional or final response within 200 ms". At once: cheaper than a timer.
            transaction.respond(100, response_to(request, 100).encode(), now)
        self.events.append(RequestReceived(transaction, request, flow))

    def _receive_ack(self, request: Request, flow: Flow, now: float) -> None:
        for key in ack_keys(request):
            transaction = self._servers.get(_key(flow, key))
            if transaction is None:
                continue
            if not has_magic(request.via) and transaction.to_tag != request.to_tag:
                continue
            if transaction.receive_ack(now):
                return
        # 17.2.1 and 13.3.1.4: the ACK to a 2xx is the user agent's.
        self.events.append(AckReceived(request, flow))

    def _receive_cancel(self, request: Request, key: str, flow: Flow, now: float) -> None:
        invite_key = _key(flow, server_key(request, "INVITE"))
        invite = self._servers.get(invite_key) or self._answered.get(invite_key)
        if invite is None:
            if self.gate is not None and self.gate(request, flow, now) is not None:
                return
            # 9.2: "If the UAS did not find a matching transaction for the CANCEL according to the procedure
            # above, it SHOULD respond to the CANCEL with a 481 (Call Leg/Transaction Does Not Exist)."
            self._count("CANCEL of nothing")
            self._write(self._stateless(request, 481, None), self._reply(request, flow))
            return
        # 9.2: "Regardless of the method of the original request, as long as the CANCEL matched an existing
        # transaction, the UAS answers the CANCEL request itself with a 200 (OK) response. ... the To tag of
        # the response to the CANCEL and the To tag in the response to the original request SHOULD be the
        # same."
        transaction = self._transaction(request, key, flow, now)
        response = response_to(request, 200, to_tag=invite.to_tag or self._stateless_tag(request))
        self.respond(transaction, response, now)
        # "If the UAS has already sent a final response for the original request, its CANCEL has no effect".
        if isinstance(invite, ServerTransaction) and invite.state is server.PROCEEDING:
            self.events.append(CancelReceived(invite, request))

    def _transaction(self, request: Request, key: str, flow: Flow, now: float) -> ServerTransaction:
        reliable = TRANSPORTS[flow.transport].reliable
        fallback = None
        if reliable:
            reply = flow
            port = request.via.port or TRANSPORTS[flow.transport].default_port
            fallback = Target(flow.transport, flow.remote[0], port)
        else:
            reply = self._reply(request, flow)
        kind = InviteServerTransaction if request.method == "INVITE" else NonInviteServerTransaction
        self._last_id += 1
        transaction = kind(self, self._last_id, key, request, flow, reply, reliable, fallback)
        self._servers[key] = transaction
        transaction.start(now)
        return transaction

    def _reply(self, request: Request, flow: Flow) -> Flow:
        """Where responses to `request` go (18.2.2, RFC 3581 section 4)."""
        if flow.connection:
            return flow
        via = request.via
        maddr = via.params.get("maddr")
        if maddr and self.settings.obey_maddr and is_numeric(maddr.strip("[]")):
            # 18.2.2: "Otherwise, if the Via header field value contains a "maddr" parameter, the response
            # MUST be forwarded to the address listed there, using the port indicated in "sent-by", or port
            # 5060 if none is present."
            return flow._replace(remote=(maddr.strip("[]"), via.port or 5060))
        if via.wants_rport:
            # RFC 3581 4: "the response MUST be sent to the IP address indicated in the "received" parameter
            # and the port indicated in the "rport" parameter": the source of the request, from the address it
            # came to.
            return flow
        # 18.2.2: "using the port indicated in the "sent-by" value, or using port 5060 if none is specified
        # explicitly."
        port = via.port or TRANSPORTS[flow.transport].default_port
        return flow if port == flow.remote[1] else flow._replace(remote=(flow.remote[0], port))

    # --- private: answers without a transaction -------------------------------------------------------------

    def _refuse(self, error: ParseError, flow: Flow) -> None:
        """Answer what can't be taken where it can be answered; else silence."""
        request = error.request
        if request is None or request.method == "ACK":
            self._count("malformed, dropped")
            return
        self._count("malformed, answered")
        try:
            request.mark_source(*flow.remote)
            reply = self._reply(request, flow)
            self._write(self._stateless(request, error.status, error.reason), reply)
        except (SipError, ValueError):
            # So broken that not even its Via or its other headers can be sent back.
            self._count("malformed, not answerable")

    def _unavailable(self, request: Request, retry_after: int, flow: Flow) -> None:
        """503, by a stateless UAS (8.2.7): a repetition is judged anew."""
        # 21.5.4: "The server MAY indicate when the client should retry the request in a Retry-After header field."
        response = self._stateless(request, 503, None)
        response.add("Retry-After", str(retry_after))
        self._write(response, self._reply(request, flow))

    def _stateless(self, request: Request, status: int, reason: str | None) -> Response:
        return response_to(request, status, reason, self._stateless_tag(request))

    def _stateless_tag(self, request: Request) -> str:
        # 8.2.7: "A stateless UAS ... MUST generate the same To tag for requests that come again"; from the
        # branch, and a salt, so that nobody can tell it beforehand.
        text = f"{request.get('Via')}\n{request.get('Call-ID')}"
        return f"{crc32(text.encode('utf-8', 'surrogateescape'), crc32(self._tag_salt)):08x}"

    def _write(self, response: Response, reply: Flow) -> None:
        self.effects.append(Send(response.encode(), reply))

    # --- private: connections and counting ------------------------------------------------------------------

    def _overdue(self, connection: Connection, now: float) -> None:
        """A connection past one of its deadlines."""
        self._count("connection too slow")
        flow = connection.flow
        if connection.partial_since is not None:
            self._refuse(connection.framer.unfinished(), flow)
        self._close(flow)
        self.disconnected(flow, now, "too slow")

    def _close(self, flow: Flow) -> None:
        self.effects.append(Close(flow))

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _count(self, cause: str) -> None:
        self.counters[cause] = self.counters.get(cause, 0) + 1


def _key(flow: Flow, key: str) -> str:
    """The key of 17.2.3 with the way the request came: transport and source address.

    17.2.3: "The sent-by value is used as part of the matching process because there could be accidental or malicious
    duplication of branch parameters from different clients." Where it comes from is harder to duplicate than what it
    says. A repetition, an ACK or a CANCEL comes from where the request came from, though perhaps, behind a NAT, from
    another port.
    """
    return f"{flow.transport} {flow.remote[0]}\n{key}"

"""The client side of the stack: which target a request goes to, and what happens when it does not get through.

    destination given  -> its targets
    None               -> RFC 3263, by effect Resolve
    each target        -> a branch, Via and Contact with our address on the way there, a client transaction
    timeout, transport error, 503 -> the next target (RFC 3263 4.3), else TransactionFailed or the 503 itself

A target that failed, or asked by Retry-After to be left alone, is remembered and taken last for a while.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2s
from typing import TYPE_CHECKING, Final

from sip.client_transaction import (
    CALLING,
    COMPLETED,
    PROCEEDING,
    TERMINATED,
    UNSENT,
    ClientTransaction,
    InviteClientTransaction,
    NonInviteClientTransaction,
    bracketed,
    cancel_bytes,
    via_line,
    via_start,
)
from sip.connections import Connections
from sip.effects import (
    ANY_LOCAL,
    TRANSPORTS,
    Destination,
    Effect,
    FailureCause,
    Flow,
    Resolve,
    ResponseReceived,
    Send,
    StackEvent,
    Target,
    TransactionFailed,
)
from sip.errors import SipError
from sip.locate import Answer, LocateError, Lookup, is_numeric, numeric_target
from sip.parser import check_response
from sip.timers import TimerHeap
from sip.uri import escape_user

if TYPE_CHECKING:
    from sip.ids import Ids
    from sip.message import Request, Response
    from sip.stack import StackSettings
    from sip.uri import Uri

# (transport, remote host) -> (host, port): what Via and Contact say of us to that host.
SentBy = Callable[[str, str], tuple[str, int]]

# RFC 3261 18.1.1: "If a request is within 200 bytes of the path MTU, or if it is larger than 1300 bytes and
# the path MTU is unknown, the request MUST be sent using an RFC 2914 [43] congestion controlled transport
# protocol, such as TCP."
MAX_DATAGRAM_REQUEST: Final = 1300
# A branch, rport and a long host name: what our Via adds, for that comparison.
VIA_ROOM: Final = 100

# Targets remembered as failed; when full the oldest is forgotten.
MAX_AVOIDED: Final = 1_024
# The longest Retry-After of a target that is obeyed, seconds: a mistaken peer must not shut itself off for
# days.
MAX_RETRY_AFTER: Final = 3_600.0

# Contacts of ours kept written: a user of ours has one for each way out.
CACHED_CONTACTS: Final = 4_096
# Flows kept: a peer has one.
CACHED_FLOWS: Final = 4_096

# What a peer adds to our Via, after the branch (18.2.1, RFC 3581 section 4).
_OWN_PARAM: Final = r"(?:rport(?:=[0-9]{1,5})?|received=[0-9A-Fa-f.:\[\]]+)"
_OWN_PARAMS: Final = re.compile(rf"{_OWN_PARAM}(?:;{_OWN_PARAM})?")

_RETRY_AFTER: Final = re.compile(r"\s*(\d{1,9})\b")


class Outbound:
    """Client transactions in progress, look-ups, and targets to be avoided. Part of `Stack`, which owns the lists."""

    def __init__(
        self,
        settings: StackSettings,
        ids: Ids,
        sent_by: SentBy,
        next_id: Callable[[], int],
        connections: Connections,
        timers: TimerHeap,
        events: list[StackEvent],
        effects: list[Effect],
    ) -> None:
        self.timers = timers
        self.timer_config = settings.timers
        self.transactions: dict[str, ClientTransaction] = {}
        # Sent and without any response: those that a broken connection or an ICMP error fails.
        self._unanswered: set[ClientTransaction] = set()
        self._lookups: dict[int, tuple[Lookup, Callable[[Lookup, float], None]]] = {}
        self._avoided: dict[Target, float] = {}  # until when
        self._settings = settings
        self._ids = ids
        self._ack_key = ids.token(32).encode()
        self._sent_by = sent_by
        self._next_id = next_id
        self._connections = connections
        self._events = events
        self._effects = effects

    # --- receive --------------------------------------------------------------------------------------------

    def receive(self, response: Response, flow: Flow, now: float) -> str:
        """Take a response; the cause for which it is dropped, "" when it is not.

        17.1.3: "1. If the response has the same value of the branch parameter in the top Via header field as
        the branch parameter in the top Via header field of the request that created the transaction. 2. If
        the method parameter in the CSeq header field matches the method of the request that created the
        transaction."
        """
        # Nearly every peer sends our Via back as we wrote it, or with no more than values of rport and received:
        # then there is nothing to read in it.
        sent_by, _, rest = (response.get("Via") or "").partition(";branch=")
        branch, _, params = rest.partition(";")
        transaction = self.transactions.get(branch + response.cseq.method)
        own = (
            transaction is not None
            and transaction.flow is not None
            and sent_by == via_start(transaction.flow.transport, transaction.sent_by)
            and (params == "rport" or not params or _OWN_PARAMS.fullmatch(params) is not None)
            and not response.repeats
        )
        if not own:
            transaction = self.transactions.get(response.via.branch + response.cseq.method)
            dropped = "stray response" if transaction is None else _foreign(response, transaction)
            if dropped:
                return dropped
        assert transaction is not None
        check_response(response, own)
        self._unanswered.discard(transaction)
        return "" if transaction.receive(response, flow, now) else "repeated response"

    def connected(self, flow: Flow) -> None:
        """Requests that waited for this connection now go over it."""
        waiting = Flow(flow.transport, ANY_LOCAL, flow.remote, 0)
        for transaction in self._unanswered:
            if transaction.flow == waiting:
                transaction.flow = flow

    def connection_lost(self, flow: Flow, why: str, now: float) -> None:
        """Requests over it that have no response yet may never have arrived. Others may be answered over a new
        connection (18.2.2) and wait on."""
        number = flow.connection
        for transaction in [t for t in self._unanswered if t.flow is not None and t.flow.connection == number]:
            self._failed(transaction, "transport", why, now)

    def send_failed(self, transport: str, remote: tuple[str, int], why: str, now: float) -> None:
        """Nothing can be sent there: ICMP, a socket error, no connection."""
        for transaction in [t for t in self._unanswered if t.flow is not None and t.flow.remote == remote]:
            if transaction.flow is not None and transaction.flow.transport == transport:
                self._failed(transaction, "transport", why, now)

    def resolved(self, query: int, answers: Sequence[Answer], now: float) -> None:
        """Take the answers of one round; ask the next, or go on with the targets."""
        entry = self._lookups.pop(query, None)
        if entry is None:
            return
        lookup, then = entry
        lookup.answer(answers)
        self._ask(query, lookup, then, now)

    # --- send -----------------------------------------------------------------------------------------------

    def send(
        self, request: Request, now: float, destination: Destination, contact_user: str | None
    ) -> ClientTransaction:
        method = request.method
        kind = InviteClientTransaction if method == "INVITE" else NonInviteClientTransaction
        transaction = kind(self, self._next_id(), method, request)
        transaction.contact_user = contact_user
        if isinstance(destination, Flow):
            self._send_to_flow(transaction, destination, now)
        elif isinstance(destination, Target):
            self._try(transaction, destination, now)
        elif destination is not None:
            transaction.targets = destination
            self._next_target(transaction, "no target", now)
        else:
            target = self._numeric(request)
            if target is not None:
                transaction.explicit_transport = False
                self._try(transaction, target, now)
                return transaction
            transaction.hold(now)
            self._locate(
                request,
                transaction.id,
                lambda lookup, then: self._located(transaction, lookup, then),
                lambda why: self._give_up(transaction, "unresolved", why),
                now,
            )
        return transaction

    def send_ack(self, request: Request, now: float, destination: Destination, contact_user: str | None) -> None:
        if isinstance(destination, Flow):
            self._write_ack(request, destination, contact_user)
        elif isinstance(destination, Target):
            self._write_ack(request, _flow_to(destination), contact_user)
        elif destination is not None:
            self._write_ack(request, _flow_to(self._choose(destination, now)), contact_user)
        elif (target := self._numeric(request)) is not None:
            self._write_ack(request, _flow_to(target), contact_user)
        else:
            self._locate(
                request,
                self._next_id(),
                lambda lookup, then: self._ack_located(request, contact_user, lookup, then),
                _ignore,
                now,
            )

    def cancel(self, transaction: ClientTransaction, now: float, reason: str | None) -> None:
        transaction.cancel_reason = reason
        if transaction.state is UNSENT:
            self._give_up(transaction, "unresolved", "cancelled before it was sent")
        elif transaction.state is CALLING:
            transaction.cancel_wanted = True
        elif transaction.state is PROCEEDING and not transaction.cancel_wanted:
            transaction.cancel_wanted = True
            self.send_cancel(transaction, now)

    def sizes(self) -> dict[str, int]:
        return {
            "client transactions": len(self.transactions),
            "unanswered requests": len(self._unanswered),
            "look-ups": len(self._lookups),
        }

    # --- what transactions ask (ClientSurroundings) ---------------------------------------------------------

    def transmit_request(self, transaction: ClientTransaction, data: bytes, now: float) -> None:
        flow = transaction.flow
        assert flow is not None
        if not transaction.reliable or self._connections.get(flow) is not None:
            self._effects.append(Send(data, flow))
        elif not self._connections.send(data, Target(flow.transport, *flow.remote)):
            self._failed(transaction, "transport", "too much waits for connections", now)

    def deliver(self, transaction: ClientTransaction, response: Response, flow: Flow, now: float) -> None:
        status = response.status
        if transaction.silent:
            return
        if status == 503:
            self._remember_busy(transaction, response, now)
            # RFC 3263 4.3: "a 503 (Service Unavailable) response"... "the next". Not once the peer has shown
            # progress to the user: then it is the call that failed.
            if transaction.targets and not transaction.cancel_wanted and not transaction.progressed:
                self._restart(transaction, response.reason, now)
                return
        elif 100 < status < 200:
            transaction.progressed = True
        self._events.append(ResponseReceived(transaction, response, flow))

    def client_timed_out(self, transaction: ClientTransaction, now: float) -> None:
        if transaction.state is UNSENT:
            self._give_up(transaction, "unresolved", "no answer from the DNS")
        else:
            self._failed(transaction, "timeout", f"no answer from {_where(transaction)}", now)

    def send_cancel(self, transaction: ClientTransaction, now: float) -> None:
        if not isinstance(transaction, InviteClientTransaction) or transaction.cancel_sent:
            return
        assert transaction.request is not None
        assert transaction.flow is not None
        transaction.cancel_sent = True
        data = cancel_bytes(transaction.request, transaction.via(), transaction.cancel_reason)
        cancel = NonInviteClientTransaction(self, self._next_id(), "CANCEL", None)
        cancel.silent = True
        # 9.1: "The destination address, port, and transport for the CANCEL MUST be identical to those used to
        # send the original request."
        cancel.aim(transaction.flow, transaction.branch, transaction.sent_by)
        self._start(cancel, data, self.timer_config.b, now)
        transaction.limit_wait(now)

    def client_terminated(self, transaction: ClientTransaction) -> None:
        self._unanswered.discard(transaction)
        self._lookups.pop(transaction.id, None)
        if self.transactions.get(transaction.key) is transaction:
            del self.transactions[transaction.key]

    # --- targets --------------------------------------------------------------------------------------------

    def _numeric(self, request: Request) -> Target | None:
        """The target of a request to an address, where nothing need be asked."""
        try:
            return numeric_target(next_hop(request), self._settings.transports)
        except SipError:
            return None  # `Lookup` says what is wrong

    def _locate(
        self,
        request: Request,
        query: int,
        then: Callable[[Lookup, float], None],
        failed: Callable[[str], None],
        now: float,
    ) -> None:
        settings = self._settings
        try:
            lookup = Lookup(next_hop(request), settings.transports, self._ids.random, settings.families)
        except (LocateError, SipError) as error:
            failed(str(error))
            return
        self._ask(query, lookup, then, now)

    def _ask(self, query: int, lookup: Lookup, then: Callable[[Lookup, float], None], now: float) -> None:
        if lookup.done:
            then(lookup, now)
        else:
            self._lookups[query] = (lookup, then)
            self._effects.append(Resolve(query, lookup.questions))

    def _located(self, transaction: ClientTransaction, lookup: Lookup, now: float) -> None:
        if transaction.state is not UNSENT:
            return
        transaction.rewind()
        transaction.targets = lookup.targets
        transaction.explicit_transport = lookup.explicit
        self._next_target(transaction, "; ".join(lookup.problems), now)

    def _ack_located(self, request: Request, contact_user: str | None, lookup: Lookup, now: float) -> None:
        if lookup.targets:
            self._write_ack(request, _flow_to(self._choose(lookup.targets, now)), contact_user)

    def _choose(self, targets: Sequence[Target], now: float) -> Target:
        """The first that is not to be avoided; where all are, the first: the user asked for nothing else."""
        avoided = self._avoided
        if avoided:
            for target in targets:
                if avoided.get(target, 0.0) <= now:
                    return target
        return targets[0]

    def _avoid(self, target: Target, until: float) -> None:
        self._avoided.pop(target, None)
        while len(self._avoided) >= MAX_AVOIDED:
            del self._avoided[next(iter(self._avoided))]
        self._avoided[target] = until

    def _remember_busy(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        # 21.5.4: "The server MAY indicate when the client should retry the request in a Retry-After header
        # field. ... The client (proxy or UAC) receiving a 503 (Service Unavailable) SHOULD attempt to forward
        # the request to an alternate server. It SHOULD NOT forward any other requests to that server for the
        # duration specified in the Retry-After header field, if present."
        found = _RETRY_AFTER.match(response.get("Retry-After") or "")
        if found is not None and transaction.flow is not None:
            target = Target(transaction.flow.transport, *transaction.flow.remote)
            self._avoid(target, now + min(float(found[1]), MAX_RETRY_AFTER))

    def _next_target(self, transaction: ClientTransaction, why: str, now: float) -> None:
        targets = transaction.targets
        if not targets:
            self._give_up(transaction, "unresolved", why or "no target")
            return
        target = self._choose(targets, now)
        transaction.targets = tuple([other for other in targets if other != target])
        self._try(transaction, target, now)

    def _try(self, transaction: ClientTransaction, target: Target, now: float) -> None:
        assert transaction.request is not None
        if not is_numeric(target.host):
            # Ours to locate, not the socket's: there it would stop the whole switch for as long as the DNS takes.
            self._give_up(transaction, "unresolved", f"{target.host} is no address")
            return
        data = transaction.request.encode()
        if target.transport == "udp" and not transaction.explicit_transport:
            larger = Target("tcp", target.host, target.port)
            if self._wants_stream(len(data)) and self._avoided.get(larger, 0.0) <= now:
                # 18.1.1: "If an element sends a request over TCP because of these message size constraints,
                # and that request would have otherwise been sent over UDP, if the attempt to establish the
                # connection generates either an ICMP Protocol Not Supported, or results in a TCP reset, the
                # element SHOULD retry the request, using UDP."
                transaction.targets = (target, *transaction.targets)
                target = larger
        flow = _flow_to(target)
        if TRANSPORTS[target.transport].reliable:
            connection = self._connections.to(target)
            if connection is not None:
                flow = connection.flow
        self._send(transaction, data, flow, now)

    def _wants_stream(self, size: int) -> bool:
        settings = self._settings
        return settings.large_over_tcp and "tcp" in settings.transports and size > MAX_DATAGRAM_REQUEST - VIA_ROOM

    def _send_to_flow(self, transaction: ClientTransaction, flow: Flow, now: float) -> None:
        assert transaction.request is not None
        if flow.connection and self._connections.get(flow) is None:
            self._give_up(transaction, "transport", "the connection is gone")
            return
        self._send(transaction, transaction.request.encode(), flow, now)

    def _send(self, transaction: ClientTransaction, data: bytes, flow: Flow, now: float) -> None:
        sent_by = self._sent_by(flow.transport, flow.remote[0])
        transaction.aim(flow, self._ids.branch(), sent_by)
        wait = self.timer_config.b
        if transaction.targets:
            wait = min(wait, self._settings.try_time)
        self._start(transaction, _spliced(data, transaction.via(), _contact(transaction, sent_by)), wait, now)

    def _start(self, transaction: ClientTransaction, data: bytes, wait: float, now: float) -> None:
        self.transactions[transaction.key] = transaction
        self._unanswered.add(transaction)
        transaction.start(data, wait, now)

    # --- failure --------------------------------------------------------------------------------------------

    def _failed(self, transaction: ClientTransaction, cause: FailureCause, why: str, now: float) -> None:
        """This try has failed: the next target, or the user is told."""
        if transaction.state is TERMINATED or transaction.state is COMPLETED:
            return
        flow = transaction.flow
        if flow is not None and not transaction.silent:
            self._avoid(Target(flow.transport, *flow.remote), now + self._settings.avoid_failed)
        if transaction.targets and not transaction.cancel_wanted and not transaction.progressed:
            self._restart(transaction, why, now)
        else:
            self._give_up(transaction, cause, why)

    def _restart(self, transaction: ClientTransaction, why: str, now: float) -> None:
        """RFC 3263 4.3: "If the request is to be retried, it is a new transaction": a new branch, another target."""
        self._withdraw(transaction)
        self._unanswered.discard(transaction)
        del self.transactions[transaction.key]
        if isinstance(transaction, InviteClientTransaction) and transaction.has_remnant:
            left = transaction.remnant(self._next_id(), now)
            self.transactions[left.key] = left
        transaction.rewind()
        self._next_target(transaction, why, now)

    def _give_up(self, transaction: ClientTransaction, cause: FailureCause, why: str) -> None:
        if transaction.state is TERMINATED:
            return
        self._withdraw(transaction)
        transaction.terminate()
        if not transaction.silent:
            self._events.append(TransactionFailed(transaction, cause, why))

    def _withdraw(self, transaction: ClientTransaction) -> None:
        """A request that is given up must not go out when its connection opens at last: nobody would hear of it."""
        data, flow = transaction.waiting, transaction.flow
        if data and flow is not None:
            self._connections.withdraw(data, Target(flow.transport, *flow.remote))

    # --- writing --------------------------------------------------------------------------------------------

    def _write_ack(self, request: Request, flow: Flow, contact_user: str | None) -> None:
        # 17: "the ACK for a 2xx response ... is not considered part of the transaction"; 13.2.2.4: it has a
        # branch of its own, and is passed straight to the transport layer. "The ACK MUST be passed to the client
        # transport every time a retransmission of the 2xx final response ... arrives": the same ACK, so its branch is
        # drawn from what it acknowledges.
        if not is_numeric(flow.remote[0]):
            return
        sent_by = self._sent_by(flow.transport, flow.remote[0])
        named = "\n".join([request.get(name) or "" for name in ("Call-ID", "From", "To", "CSeq")])
        branch = blake2s(named.encode("utf-8", "surrogateescape"), key=self._ack_key, digest_size=10).hexdigest()
        via = via_line(flow.transport, sent_by, f"z9hG4bK{branch}")
        contact = "" if contact_user is None else contact_line(contact_user, flow.transport, sent_by)
        data = _spliced(request.encode(), via, contact)
        if not TRANSPORTS[flow.transport].reliable or self._connections.get(flow) is not None:
            self._effects.append(Send(data, flow))
        else:
            # It comes again with the next 2xx: nobody need be told when there is no room.
            self._connections.send(data, Target(flow.transport, *flow.remote))


def next_hop(request: Request) -> Uri:
    """8.1.2: the topmost Route, else the Request-URI ("If the first element in the route set indicated a strict router
    ... the procedures MUST be applied to the Request-URI": the user agent has put it there)."""
    if request.has("Route"):
        routes = request.routes
        if routes and "lr" in routes[0].uri.params:
            return routes[0].uri
    return request.request_uri


def contact_line(user: str, transport: str, sent_by: tuple[str, int]) -> str:
    """A Contact header line of ours, with its line end: where requests to `user` reach us (8.1.1.8)."""
    return f"Contact: {contact_value(user, transport, sent_by)}\r\n"


@lru_cache(CACHED_CONTACTS)
def contact_value(user: str, transport: str, sent_by: tuple[str, int]) -> str:
    """The name-addr of `contact_line`."""
    host, port = sent_by
    at = f"{escape_user(user)}@" if user else ""
    # 19.1.1: udp is what a sip URI means without the parameter.
    parameter = "" if transport == "udp" else f";transport={transport}"
    return f"<sip:{at}{bracketed(host)}:{port}{parameter}>"


def _spliced(data: bytes, via: str, contact: str) -> bytes:
    """An encoded request with our Via and Contact on top of its headers."""
    start = data.index(b"\r\n") + 2
    return data[:start] + (via + contact).encode() + data[start:]


def _contact(transaction: ClientTransaction, sent_by: tuple[str, int]) -> str:
    if transaction.contact_user is None or transaction.flow is None:
        return ""
    return contact_line(transaction.contact_user, transaction.flow.transport, sent_by)


def _foreign(response: Response, transaction: ClientTransaction) -> str:
    """Why a response of that branch is nevertheless not for the transaction; "" when it is."""
    via = response.via
    host, port = transaction.sent_by
    # 18.1.2: "If there is a match ... [else] If the value of the "sent-by" parameter in the top Via does not
    # correspond to a value that the client transport is configured to insert into requests, the response MUST be
    # silently discarded."
    if via.port != port and (via.port or _default_port(transaction)) != port:
        return "response not for us"
    if via.host != host and via.host.lower() != host.lower():
        return "response not for us"
    # 8.1.3.3: "If more than one Via header field value is present in a response, the UAC SHOULD discard the
    # message."
    return "response of several Via" if _has_several_vias(response) else ""


def _has_several_vias(response: Response) -> bool:
    fields = [value for name, value in response.headers if name == "Via"]
    return len(fields) > 1 or ("," in fields[0] and len(response.values("Via")) > 1)


@lru_cache(CACHED_FLOWS)
def _flow_to(target: Target) -> Flow:
    return Flow(target.transport, ANY_LOCAL, (target.host, target.port), 0)


def _default_port(transaction: ClientTransaction) -> int:
    assert transaction.flow is not None
    return TRANSPORTS[transaction.flow.transport].default_port


def _where(transaction: ClientTransaction) -> str:
    flow = transaction.flow
    return "nowhere" if flow is None else f"{flow.transport}:{bracketed(flow.remote[0])}:{flow.remote[1]}"


def _ignore(_: str) -> None:
    """An ACK that can't be located: the 2xx comes again, or the peer ends the call."""

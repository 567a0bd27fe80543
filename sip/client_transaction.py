r"""Client transactions: RFC 3261 section 17.1 as amended by RFC 6026.

INVITE (17.1.1, RFC 6026 7.2):

                 INVITE from the user / send
                          |
        Timer A / resend  v       Timer B, transport error / next target or tell user
                  +---> CALLING ------------------------------------------+
                  +-------|  |   \                                        |
                    1xx / |  |    \ 2xx / pass it up                      |
               pass it up v  |     +---------------+                      |
             1xx /   PROCEEDING ---------------+   |                      |
             pass up      |  | 300-699 /   2xx |   |                      |
                          |  | ACK, pass up    v   v                      |
                          +--+-> COMPLETED   ACCEPTED  2xx / pass it up   |
            300-699 / ACK again     | Timer D   | Timer M                 |
                                    v           v                         v
                                   TERMINATED <----------------------------

Others (17.1.2):

    TRYING ---1xx / pass up---> PROCEEDING ---final / pass up---> COMPLETED ---Timer K---> TERMINATED
    Timer E / resend in TRYING (T1, doubling to T2) and PROCEEDING (T2).   Timer F / next target or tell user

Where a request has several targets (RFC 3263 4.3), each try is a transaction with a branch of its own, but
the user holds one object: `restart` begins the next try, and what the old branch may still have to do
(acknowledge a 503 that comes again, cancel an INVITE that is answered late) is left to a `remnant` of which
the user hears nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from sip.effects import TRANSPORTS, Flow, Target
from sip.timers import Timer, TimerConfig, TimerHeap

if TYPE_CHECKING:
    from sip.message import Request, Response


class ClientState(Enum):
    """States of both client machines; UNSENT is before there is a target and a connection."""

    UNSENT = auto()
    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    ACCEPTED = auto()
    TERMINATED = auto()


UNSENT = ClientState.UNSENT
CALLING = ClientState.CALLING
TRYING = ClientState.TRYING
PROCEEDING = ClientState.PROCEEDING
COMPLETED = ClientState.COMPLETED
ACCEPTED = ClientState.ACCEPTED
TERMINATED = ClientState.TERMINATED

# Max-Forwards of what the transaction layer itself makes (ACK to non-2xx, CANCEL): RFC 3261 8.1.1.6.
MAX_FORWARDS: Final = 70

# Ways out whose Via is kept written: one for each address of ours and transport.
CACHED_VIAS: Final = 256


class ClientSurroundings(Protocol):
    """What a client transaction needs of the stack."""

    timers: TimerHeap
    timer_config: TimerConfig

    def transmit_request(self, transaction: ClientTransaction, data: bytes, now: float) -> None:
        """Write `data` to where the request went."""

    def deliver(self, transaction: ClientTransaction, response: Response, flow: Flow, now: float) -> None:
        """Pass a response up, or try the next target for a 503."""

    def client_timed_out(self, transaction: ClientTransaction, now: float) -> None:
        """Timer B or F fired: try the next target or tell the user."""

    def send_cancel(self, transaction: ClientTransaction, now: float) -> None:
        """A provisional response has come and the user wants the INVITE cancelled."""

    def client_terminated(self, transaction: ClientTransaction) -> None:
        """Strike it from the tables."""


class ClientTransaction:
    """One request of ours; the two machines are its subclasses.

    id: unique in the stack, shared with server transactions. user: the user's own mark, never read here.
    request: as given to `Stack.send`, never changed; None once a final response has come. flow: where the
    request went, None until known. branch: of the present try. sent_by: host and port written in Via (and
    Contact).
    """

    __slots__ = (
        "_data",
        "_deadline",
        "_interval",
        "_stack",
        "_timer",
        "branch",
        "cancel_reason",
        "cancel_sent",
        "cancel_wanted",
        "contact_user",
        "explicit_transport",
        "flow",
        "id",
        "key",
        "method",
        "progressed",
        "reliable",
        "request",
        "sent_by",
        "silent",
        "state",
        "targets",
        "user",
    )

    def __init__(self, stack: ClientSurroundings, id_: int, method: str, request: Request | None) -> None:
        self._stack = stack
        self.id = id_
        self.method = method
        self.request = request
        self.user: object = None
        self.state = UNSENT
        self.flow: Flow | None = None
        # Still to be tried, after the present one.
        self.targets: tuple[Target, ...] = ()
        self.explicit_transport = True
        self.contact_user: str | None = None
        self.branch = ""
        self.sent_by = ("", 0)
        self.key = ""
        self.reliable = False
        # Nothing of it is told to the user: CANCEL, and remnants of earlier tries.
        self.silent = False
        self.cancel_wanted = False
        self.cancel_sent = False
        self.cancel_reason: str | None = None
        self.progressed = False  # a provisional response above 100 was passed up
        self._data = b""  # the request; in COMPLETED, of INVITE: the ACK
        self._timer: Timer | None = None
        self._deadline = 0.0
        self._interval = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.method} {self.state.name}>"

    # --- receive --------------------------------------------------------------------------------------------

    def receive(self, response: Response, flow: Flow, now: float) -> bool:
        """A response to this branch; False where it is of no use and dropped."""
        raise NotImplementedError

    # --- send -----------------------------------------------------------------------------------------------

    def aim(self, flow: Flow, branch: str, sent_by: tuple[str, int]) -> None:
        """Set where the next try goes and what its Via says."""
        self.flow = flow
        self.branch = branch
        self.sent_by = sent_by
        self.key = branch + self.method
        self.reliable = TRANSPORTS[flow.transport].reliable

    def start(self, data: bytes, wait: float, now: float) -> None:
        """Send `data` for the first time, to what was aimed at; wait that many seconds for any response."""
        self._data = data
        self._deadline = now + wait
        self.state = CALLING if self.method == "INVITE" else TRYING
        if self.reliable:
            # 17.1.1.2: "If an unreliable transport is being used, the client transaction MUST start timer A
            # with a value of T1. If a reliable transport is being used, the client transaction SHOULD NOT
            # start timer A"; 17.1.2.2 says the same of Timer E.
            self._arm(self._deadline)
        else:
            self._interval = self._stack.timer_config.t1
            self._arm(min(now + self._interval, self._deadline))
        self._stack.transmit_request(self, data, now)

    def hold(self, now: float) -> None:
        """Wait for a target, not longer than for a response."""
        self._deadline = now + self._stack.timer_config.b
        self._arm(self._deadline)

    def rewind(self) -> None:
        """Back to UNSENT, for the next try. The tables are the caller's business."""
        self._disarm()
        self.state = UNSENT
        self._data = b""

    def lingered(self, now: float) -> None:
        """Timer D, K or M fires; one that was set before a `rewind` means nothing any more."""
        if (self.state is COMPLETED or self.state is ACCEPTED) and now >= self._deadline:
            self.terminate()

    def terminate(self) -> None:
        """Forget everything at once."""
        self._disarm()
        if self.state is not TERMINATED:
            self.state = TERMINATED
            self._drop_request()
            self._data = b""
            self._stack.client_terminated(self)

    @property
    def waiting(self) -> bytes:
        """The request, while it waits for a connection to open; b"" when it does not."""
        flow = self.flow
        return self._data if self.reliable and flow is not None and not flow.connection else b""

    def via(self) -> str:
        """The Via header line of this try, with its line end."""
        assert self.flow is not None
        return via_line(self.flow.transport, self.sent_by, self.branch)

    # --- private --------------------------------------------------------------------------------------------

    def _arm(self, at: float) -> None:
        self._timer = self._stack.timers.schedule(at, self._fire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _linger(self, seconds: float, now: float) -> None:
        """Stay for what may come again, and end after that time."""
        self._deadline = now + seconds
        self._stack.timers.linger(seconds, self, now)

    def _drop_request(self) -> None:
        self.request = None
        self.targets = ()

    def _fire(self, now: float) -> None:
        raise NotImplementedError


class InviteClientTransaction(ClientTransaction):
    """RFC 3261 17.1.1 with the Accepted state of RFC 6026."""

    __slots__ = ()

    def receive(self, response: Response, flow: Flow, now: float) -> bool:
        status = response.status
        if self.state is CALLING or self.state is PROCEEDING:
            if status < 200:
                self._take_provisional(response, flow, now)
            elif status < 300:
                self._accept(response, flow, now)
            else:
                self._complete(response, flow, now)
            return True
        if self.state is ACCEPTED and 200 <= status < 300:
            # RFC 6026 7.2: 2xx responses that arrive in "Accepted" are passed up, each to be acknowledged by
            # the user.
            self._stack.deliver(self, response, flow, now)
            return True
        if self.state is COMPLETED and status >= 300:
            # 17.1.1.2: "Any retransmissions of the final response that are received while in the "Completed"
            # state MUST cause the ACK to be re-passed to the transport layer for retransmission, but the
            # newly received response MUST NOT be passed up to the TU."
            self._stack.transmit_request(self, self._data, now)
            return True
        return False

    def limit_wait(self, now: float) -> None:
        """The CANCEL is sent: end the wait for a final response.

        9.1: "If there is no final response for the original request in 64*T1 seconds ... the client SHOULD
        then consider the original transaction cancelled and SHOULD destroy the client transaction".
        """
        self._disarm()
        self._deadline = now + self._stack.timer_config.b
        self._arm(self._deadline)

    @property
    def has_remnant(self) -> bool:
        """Whether this branch is known to the peer and may hear from it again, or find it ringing."""
        if self.state is COMPLETED:
            return not self.reliable
        return self.state is CALLING and self.flow is not None and (self.flow.connection != 0 or not self.reliable)

    def remnant(self, id_: int, now: float) -> InviteClientTransaction:
        """What the present branch still has to do, as a transaction of its own that the user never sees.

        COMPLETED: acknowledge the final response whenever it comes again. CALLING: cancel the INVITE if a
        provisional response comes late; it is not sent again. The caller puts it in the tables and rewinds
        this one.
        """
        left = InviteClientTransaction(self._stack, id_, self.method, self.request)
        assert self.flow is not None
        left.aim(self.flow, self.branch, self.sent_by)
        left.silent = True
        left.state = self.state
        left._data = self._data
        if self.state is CALLING:
            left.cancel_wanted = True
            left._deadline = now + self._stack.timer_config.b
        else:
            left.request = None
            left._deadline = self._deadline
        left._arm(left._deadline)
        return left

    # --- private --------------------------------------------------------------------------------------------

    def _take_provisional(self, response: Response, flow: Flow, now: float) -> None:
        if self.state is CALLING:
            # 17.1.1.2: "If the client transaction receives a provisional response while in the "Calling"
            # state, it transitions to the "Proceeding" state. In the "Proceeding" state, the client
            # transaction SHOULD NOT retransmit the request any longer." Timer B applies to "Calling" only.
            self._disarm()
            self.state = PROCEEDING
        self._stack.deliver(self, response, flow, now)
        if self.cancel_wanted and not self.cancel_sent:
            # 9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather,
            # the client MUST wait for the arrival of a provisional response before sending the request."
            self._stack.send_cancel(self, now)

    def _accept(self, response: Response, flow: Flow, now: float) -> None:
        # RFC 6026 7.2: a 2xx in "Calling" or "Proceeding" leads to "Accepted", and Timer M is started with
        # 64*T1.
        self._disarm()
        self.state = ACCEPTED
        self._drop_request()
        self._data = b""
        self._linger(self._stack.timer_config.b, now)
        self._stack.deliver(self, response, flow, now)

    def _complete(self, response: Response, flow: Flow, now: float) -> None:
        # 17.1.1.2: "When in either the "Calling" or "Proceeding" states, reception of a response with status
        # code from 300-699 MUST cause the client transaction to transition to "Completed". The client
        # transaction MUST pass the received response up to the TU, and the client transaction MUST generate
        # an ACK request, even if the transport is reliable".
        self._disarm()
        self.state = COMPLETED
        assert self.request is not None
        self._data = ack_bytes(self.request, response, self.via())
        self._stack.transmit_request(self, self._data, now)
        # "The client transaction SHOULD start timer D ... with a value of at least 32 seconds for unreliable
        # transports, and a value of zero seconds for reliable transports."
        if not self.reliable:
            self._linger(self._stack.timer_config.d, now)
        self._stack.deliver(self, response, flow, now)
        if self.state is COMPLETED:  # not on its way to the next target
            self._drop_request()
            if self.reliable:
                self.terminate()

    def _fire(self, now: float) -> None:
        self._timer = None
        if self.state is COMPLETED:
            self.terminate()  # a remnant's
        elif now >= self._deadline:
            # 17.1.1.2: "If the client transaction is still in the "Calling" state when timer B fires, the
            # client transaction SHOULD inform the TU that a timeout has occurred." In "Proceeding": see
            # `limit`.
            self._stack.client_timed_out(self, now)
        else:
            # "When timer A fires, the client transaction MUST retransmit the request by passing it to the
            # transport layer, and MUST reset the timer with a value of 2*T1", then 4*T1 and so on.
            self._interval *= 2
            self._arm(min(now + self._interval, self._deadline))
            self._stack.transmit_request(self, self._data, now)


class NonInviteClientTransaction(ClientTransaction):
    """RFC 3261 17.1.2."""

    __slots__ = ()

    def receive(self, response: Response, flow: Flow, now: float) -> bool:
        if self.state is not TRYING and self.state is not PROCEEDING:
            # COMPLETED is there "to buffer any additional response retransmissions that may be received".
            return False
        if response.status < 200:
            # 17.1.2.2: "If a provisional response is received while in the "Trying" state, the response MUST
            # be passed to the TU, and then the client transaction SHOULD move to the "Proceeding" state."
            # Timer F goes on.
            self.state = PROCEEDING
            self._stack.deliver(self, response, flow, now)
            return True
        # "Once the client transaction enters the "Completed" state, it MUST set Timer K to fire in T4 seconds
        # for unreliable transports, and zero seconds for reliable transports."
        self._disarm()
        self.state = COMPLETED
        self._data = b""
        if not self.reliable:
            self._linger(self._stack.timer_config.t4, now)
        self._stack.deliver(self, response, flow, now)
        if self.state is COMPLETED:  # not on its way to the next target
            self._drop_request()
            if self.reliable:
                self.terminate()
        return True

    def _fire(self, now: float) -> None:
        self._timer = None
        if now >= self._deadline:
            # "If Timer F fires while the client transaction is still in the "Trying" state, the client
            # transaction SHOULD inform the TU about the timeout"; and likewise in "Proceeding".
            self._stack.client_timed_out(self, now)
        else:
            # "When the timer fires ... the timer is reset to a value of MIN(2*T1, T2)" and doubles up to T2;
            # in "Proceeding", "Timer E MUST be reset with a value of T2 seconds".
            t2 = self._stack.timer_config.t2
            self._interval = t2 if self.state is PROCEEDING else min(2 * self._interval, t2)
            self._arm(min(now + self._interval, self._deadline))
            self._stack.transmit_request(self, self._data, now)


def bracketed(host: str) -> str:
    """`host` as it is written in a URI or a Via: RFC 3261 25.1, IPv6reference = "[" IPv6address "]"."""
    return f"[{host}]" if ":" in host else host


def via_line(transport: str, sent_by: tuple[str, int], branch: str) -> str:
    """Our Via, with its line end."""
    # RFC 3581 section 3: the client asks for the response to come back to its source port by an rport
    # parameter without value. Connections need none.
    rport = "" if TRANSPORTS[transport].reliable else ";rport"
    return f"Via: {via_start(transport, sent_by)};branch={branch}{rport}\r\n"


@lru_cache(CACHED_VIAS)
def via_start(transport: str, sent_by: tuple[str, int]) -> str:
    """Our Via up to the branch."""
    return f"SIP/2.0/{TRANSPORTS[transport].via} {bracketed(sent_by[0])}:{sent_by[1]}"


def ack_bytes(request: Request, response: Response, via: str) -> bytes:
    """The ACK to a non-2xx (17.1.1.3).

    "The ACK request constructed by the client transaction MUST contain values for the Call-ID, From, and
    Request-URI that are equal to the values of those header fields in the request passed to the transport by
    the client transaction ... The To header field in the ACK MUST equal the To header field in the response
    being acknowledged ... MUST contain a single Via header field, and this MUST be equal to the top Via
    header field of the original request."
    """
    return _hop_request("ACK", request, response.get("To") or "", via, "")


def cancel_bytes(request: Request, via: str, reason: str | None) -> bytes:
    """The CANCEL of an INVITE (9.1); `reason`: value of the Reason header (RFC 3326).

    "The Request-URI, Call-ID, To, the numeric part of CSeq, and From header fields in the CANCEL request MUST
    be identical to those in the request being cancelled, including tags. A CANCEL constructed by a client
    MUST have only a single Via header field value matching the top Via value in the request being cancelled."
    """
    if reason and ("\r" in reason or "\n" in reason):
        raise ValueError("CR or LF inside a header")
    return _hop_request("CANCEL", request, request.get("To") or "", via, f"Reason: {reason}\r\n" if reason else "")


def _hop_request(method: str, request: Request, to: str, via: str, more: str) -> bytes:
    # 17.1.1.3 and 9.1: the Route header fields of the original request are copied, so that it takes the same
    # way.
    routes = "".join([f"Route: {value}\r\n" for name, value in request.headers if name == "Route"])
    text = (
        f"{method} {request.uri} SIP/2.0\r\n{via}{routes}Max-Forwards: {MAX_FORWARDS}\r\n"
        f"From: {request.get('From') or ''}\r\nTo: {to}\r\nCall-ID: {request.call_id}\r\n"
        f"CSeq: {request.cseq.number} {method}\r\n{more}Content-Length: 0\r\n\r\n"
    )
    return text.encode("utf-8", "surrogateescape")

"""Server transactions: RFC 3261 section 17.2 as amended by RFC 6026.

INVITE (17.2.1, RFC 6026 7.1):

                      INVITE / pass it up, send 100
                                 |
            INVITE / resend      v        101-199 from the user / send
               last 1xx   +------------+
                  +------>| PROCEEDING |<------+
                          +------------+
          300-699 from    |            |   2xx from
          the user / send |            |   the user / send
                          v            v
   INVITE, Timer G / +-----------+   +----------+   INVITE / nothing
          resend     | COMPLETED |   | ACCEPTED |   ACK / pass it up
                     +-----------+   +----------+   2xx from the user / send
              ACK / -  |      |            |
                       v      | Timer H /  | Timer L / -
               +-----------+  | tell user  |
         ACK / | CONFIRMED |  |            |
           -   +-----------+  |            |
             Timer I / -|     v            v
                        +-> TERMINATED <---+

Others (17.2.2):

    TRYING ---1xx / send---> PROCEEDING ---final / send---> COMPLETED ---Timer J / - ---> TERMINATED
    request again:   TRYING: nothing.   PROCEEDING: resend last 1xx.   COMPLETED: resend the final response

A machine asks its surroundings (`ServerSurroundings`: the stack) to write its last response or to strike it
from the tables; it never sees a socket. Every machine has at most one timer armed. The long waits at the end, in which
nothing is left to decide (Timers I, J and L), are lanes of the heap; in those of 64*T1 the stack keeps an
`AnsweredRequest` in the place of the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

import msgspec

from sip.effects import FailureCause, Flow, Target
from sip.timers import Timer, TimerConfig, TimerHeap

if TYPE_CHECKING:
    from sip.message import Request


class ServerState(Enum):
    """States of both server machines."""

    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    ACCEPTED = auto()
    TERMINATED = auto()


TRYING = ServerState.TRYING
PROCEEDING = ServerState.PROCEEDING
COMPLETED = ServerState.COMPLETED
CONFIRMED = ServerState.CONFIRMED
ACCEPTED = ServerState.ACCEPTED
TERMINATED = ServerState.TERMINATED


class ServerSurroundings(Protocol):
    """What a server transaction needs of the stack."""

    timers: TimerHeap
    timer_config: TimerConfig

    def transmit_response(self, transaction: ServerTransaction) -> None:
        """Write `transaction.sent` to where its responses go."""

    def server_failed(self, transaction: ServerTransaction, cause: FailureCause, detail: str) -> None:
        """Tell the user."""

    def server_started(self, transaction: ServerTransaction, now: float) -> None:
        """It is not to be without a final response for ever: call its `lingered` in 64*T1."""

    def server_completed(self, transaction: ServerTransaction, now: float) -> None:
        """It lingers for 64*T1 (Timer J, Timer L): call its `lingered` then, or do its work in its place."""

    def server_terminated(self, transaction: ServerTransaction) -> None:
        """Strike it from the tables."""


class AnsweredRequest(msgspec.Struct, gc=False):
    """What is left of a transaction whose user has no more to say: a few hundred bytes for the rest of 64*T1."""

    key: str
    reply: Flow
    sent: bytes
    """The final response, sent again when the request comes again; b"" where a repetition is only absorbed (a 2xx to
    INVITE is the user's to repeat)."""
    merge_key: str
    to_tag: str
    """Of the response to an INVITE, for a CANCEL that comes too late."""
    over: Callable[[AnsweredRequest, float], None]

    def lingered(self, now: float) -> None:
        self.over(self, now)


class ServerTransaction:
    """One request being answered; the two machines are its subclasses.

    id: unique in the stack, shared with client transactions. method, flow: of the request. user: the user's
    own mark, never read here. state, status: for the user to look at; status is that of the last response, 0
    before. sent: its bytes, kept for retransmission.
    """

    __slots__ = (
        "_deadline",
        "_interval",
        "_stack",
        "_timer",
        "fallback",
        "flow",
        "id",
        "key",
        "merge_key",
        "method",
        "record",
        "reliable",
        "reply",
        "request",
        "sent",
        "state",
        "status",
        "to_tag",
        "user",
    )

    def __init__(
        self,
        stack: ServerSurroundings,
        id_: int,
        key: str,
        request: Request,
        flow: Flow,
        reply: Flow,
        reliable: bool,
        fallback: Target | None = None,
    ) -> None:
        """`reply`: where responses go. `fallback`: where to connect when that connection is gone (18.2.2)."""
        self._stack = stack
        self.id = id_
        self.key = key
        self.merge_key = ""
        self.method = request.method
        # Dropped with the final response: what lingers for retransmissions must be small.
        self.request: Request | None = request
        self.flow = flow
        self.reply = reply
        self.reliable = reliable
        self.fallback = fallback
        self.state = TRYING
        self.status = 0
        self.sent = b""
        self.to_tag = ""
        self.user: object = None
        self.record: AnsweredRequest | None = None  # the stack's: what is left of it
        self._timer: Timer | None = None
        self._deadline = 0.0
        self._interval = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.method} {self.state.name} {self.status}>"

    @property
    def deadline(self) -> float:
        """When it ends by itself, as far as that is decided."""
        return self._deadline

    # --- receive --------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        raise NotImplementedError

    def receive_again(self, now: float) -> None:
        """The request came again."""
        raise NotImplementedError

    def receive_ack(self, now: float) -> bool:
        """An ACK matched; whether it ends here. Otherwise it is for the user."""
        return True

    def transport_failed(self, detail: str) -> None:
        """The response could not be written."""
        raise NotImplementedError

    # --- send -----------------------------------------------------------------------------------------------

    def respond(self, status: int, data: bytes, now: float) -> bool:
        """Send a response of the user; False where the state has no use for it."""
        raise NotImplementedError

    def lingered(self, now: float) -> None:
        """Timer I, J or L fires: "the server transaction MUST transition to the "Terminated" state"."""
        if now >= self._deadline:
            self.terminate()

    def terminate(self) -> None:
        """Forget everything at once."""
        self._disarm()
        if self.state is not TERMINATED:
            self.state = TERMINATED
            self.request = None
            self._stack.server_terminated(self)

    # --- private --------------------------------------------------------------------------------------------

    def _transmit(self, status: int, data: bytes) -> None:
        self.status = status
        self.sent = data
        self._stack.transmit_response(self)

    def _arm(self, at: float) -> None:
        self._timer = self._stack.timers.schedule(at, self._fire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self, now: float) -> None:
        raise NotImplementedError


class InviteServerTransaction(ServerTransaction):
    """RFC 3261 17.2.1 with the Accepted state of RFC 6026."""

    __slots__ = ()

    def start(self, now: float) -> None:
        # 17.2.1: "When a server transaction is constructed for a request, it enters the "Proceeding" state."
        # No timer ends this state: how long the phone rings is the user's to say.
        self.state = PROCEEDING

    def receive_again(self, now: float) -> None:
        # 17.2.1, Proceeding: "If a request retransmission is received while in the "Proceeding" state, the
        # most recent provisional response that was received from the TU MUST be passed to the transport layer
        # for retransmission." Completed: "while in the "Completed" state, if a request retransmission is
        # received, the server SHOULD pass the response to the transport for retransmission." RFC 6026 7.1,
        # Accepted: retransmissions of the INVITE are absorbed, the 2xx is the user's to repeat.
        if self.sent and (self.state is PROCEEDING or self.state is COMPLETED):
            self._stack.transmit_response(self)

    def receive_ack(self, now: float) -> bool:
        if self.state is COMPLETED:
            # 17.2.1: "If an ACK is received while the server transaction is in the "Completed" state, the
            # server transaction MUST transition to the "Confirmed" state. As Timer G is ignored in this
            # state, any retransmissions of the response will cease." "Timer I is set to fire in T4 seconds
            # for unreliable transports, and zero seconds for reliable transports."
            self._disarm()
            self.sent = b""
            if self.reliable:
                self.terminate()
            else:
                self.state = CONFIRMED
                self._deadline = now + self._stack.timer_config.t4
                self._stack.timers.linger(self._stack.timer_config.t4, self, now)
            return True
        # RFC 6026 7.1: "any ACKs received from the network while in the "Accepted" state MUST be passed
        # directly to the TU and not absorbed."
        return self.state is not ACCEPTED

    def respond(self, status: int, data: bytes, now: float) -> bool:
        if self.state is PROCEEDING:
            self._transmit(status, data)
            if status >= 200:
                self._complete(status, now)
            return True
        if self.state is ACCEPTED and 200 <= status < 300:
            # RFC 6026 7.1: "While in the "Accepted" state, if the TU passes a 2xx response, the server
            # transaction MUST pass the response to the transport layer for transmission."
            self._transmit(status, data)
            return True
        # 17.2.1: "any other final responses passed by the TU to the server transaction MUST be discarded
        # while in the "Completed" state."
        return False

    def transport_failed(self, detail: str) -> None:
        # RFC 6026 7.1: "A server transaction MUST NOT discard transaction state based only on encountering a
        # non-recoverable transport error when sending a response. Instead, the associated INVITE server
        # transaction state machine MUST remain in its current state."
        if self.state is not TERMINATED and self.state is not CONFIRMED:
            self._stack.server_failed(self, "transport", detail)

    def _complete(self, status: int, now: float) -> None:
        timers = self._stack.timer_config
        self.request = None
        self._deadline = now + timers.b
        if status < 300:
            # RFC 6026 7.1: Timer L "MUST be set to fire in 64*T1" for all transports.
            self.state = ACCEPTED
            self._stack.server_completed(self, now)
            return
        self.state = COMPLETED
        if self.reliable:
            # "If the transport is reliable, timer G is not set" but Timer H is, for all transports.
            self._arm(self._deadline)
        else:
            # "For unreliable transports, timer G is set to fire in T1 seconds".
            self._interval = timers.t1
            self._arm(now + timers.t1)

    def _fire(self, now: float) -> None:
        self._timer = None
        if now >= self._deadline:
            # Timer H: "it implies that the ACK was never received. In this case, the server transaction MUST
            # transition to the "Terminated" state, and MUST indicate to the TU that a transaction failure has
            # occurred."
            self._stack.server_failed(self, "timeout", f"no ACK to the {self.status}")
            self.terminate()
        else:
            # "If timer G fires, the response is passed to the transport layer once more for retransmission,
            # and timer G is set to fire in MIN(2*T1, T2) seconds", then doubling up to T2.
            self._stack.transmit_response(self)
            self._interval = min(2 * self._interval, self._stack.timer_config.t2)
            self._arm(min(now + self._interval, self._deadline))


class NonInviteServerTransaction(ServerTransaction):
    """RFC 3261 17.2.2."""

    __slots__ = ()

    def start(self, now: float) -> None:
        # The RFC has no timer here, it trusts the user to answer. But a request that is never answered must
        # not stay for ever, and its client gives up at Timer F; RFC 4320 4.2 forbids a 408 then.
        self._deadline = now + self._stack.timer_config.b
        self._stack.server_started(self, now)

    def receive_again(self, now: float) -> None:
        # 17.2.2: "Once in the "Trying" state, any further request retransmissions are discarded." Proceeding:
        # "the most recently sent provisional response MUST be passed to the transport layer for
        # retransmission", and likewise the final response in Completed.
        if self.sent:
            self._stack.transmit_response(self)

    def respond(self, status: int, data: bytes, now: float) -> bool:
        # 17.2.2: "Any other final responses passed by the TU to the server transaction MUST be discarded
        # while in the "Completed" state."
        if self.state is not TRYING and self.state is not PROCEEDING:
            return False
        self._transmit(status, data)
        if self.state is TERMINATED:  # the write failed at once
            return True
        if status < 200:
            self.state = PROCEEDING
            return True
        self.state = COMPLETED
        self.request = None
        # "it MUST set Timer J to fire in 64*T1 seconds for unreliable transports, and zero seconds for reliable
        # transports."
        if self.reliable:
            self.terminate()
        else:
            self._deadline = now + self._stack.timer_config.b
            self._stack.server_completed(self, now)
        return True

    def transport_failed(self, detail: str) -> None:
        # Figure 8: "Transport Err. Inform TU" leads to Terminated.
        if self.state is not TERMINATED:
            self._stack.server_failed(self, "transport", detail)
            self.terminate()

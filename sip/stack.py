"""The stack: bytes in, events up; messages down, effects out. Pure: no clock, no socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from sip.effects import Destination, Effect, Flow, StackEvent, Target
from sip.timers import TimerConfig, TimerHeap

if TYPE_CHECKING:
    from sip.client_transaction import ClientTransaction
    from sip.ids import Ids
    from sip.locate import Answer
    from sip.message import Request, Response
    from sip.server_transaction import ServerTransaction

# (transport, remote host) -> (host, port) to write in Via and Contact.
SentBy = Callable[[str, str], tuple[str, int]]


class StackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and choices of the transaction and transport layers."""

    timers: TimerConfig = TimerConfig()
    max_server_transactions: int = 100_000


class Stack:
    events: list[StackEvent]
    effects: list[Effect]
    timers: TimerHeap
    counters: dict[str, int]

    def __init__(self, ids: Ids, sent_by: SentBy, settings: StackSettings | None = None) -> None: ...

    # --- from the network -------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> None: ...

    def receive_stream(self, data: bytes, flow: Flow, now: float) -> None: ...

    def connected(self, flow: Flow, now: float) -> None: ...

    def disconnected(self, flow: Flow, now: float) -> None: ...

    def send_failed(self, where: Flow | Target, now: float, why: str) -> None: ...

    def resolved(self, query: int, answers: tuple[Answer, ...], now: float) -> None: ...

    # --- from the user ----------------------------------------------------------------------------------------

    def send(
        self,
        request: Request,
        now: float,
        destination: Destination = None,
        contact_user: str | None = None,
    ) -> ClientTransaction:
        """Send a request; never ACK or CANCEL. `request` is not changed (Via and Contact go on the wire only)."""
        ...

    def send_ack(
        self, request: Request, now: float, destination: Destination = None, contact_user: str | None = None
    ) -> None:
        """Send the ACK to a 2xx, which is no transaction (RFC 3261 13.2.2.4)."""
        ...

    def cancel(self, transaction: ClientTransaction, now: float, reason: str | None = None) -> None:
        """CANCEL an INVITE, now or after its first provisional response; `reason` is the Reason header's value."""
        ...

    def respond(
        self,
        transaction: ServerTransaction,
        response: Response,
        now: float,
        contact_user: str | None = None,
    ) -> None: ...

    def retransmit(self, transaction: ServerTransaction, now: float) -> None:
        """Send the last response again: a 2xx without ACK (13.3.1.4), a reliable provisional (RFC 3262)."""
        ...

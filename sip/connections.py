"""Connections of stream transports: which are open, what waits for one to open, and which have earned being closed.

A connection is known by the number the driver gave it, and found by its remote address, so that a request for
that address uses it whoever opened it. Every message carries its own transport state; a connection has only
its framer and three times, looked at by one sweep for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sip.effects import Connect, Effect, Flow, Send, Target
from sip.framing import StreamFramer
from sip.parser import Limits

if TYPE_CHECKING:
    from sip.server_transaction import ServerTransaction
    from sip.timers import Timer, TimerHeap

# How often connections are looked at, seconds; deadlines are kept within this.
SWEEP: Final = 1.0

# What may wait for one connection to open: messages, and connections being opened.
MAX_WAITING: Final = 256
MAX_OPENING: Final = 1_024


class Connection:
    """One open connection."""

    __slots__ = ("active_at", "flow", "framer", "partial_since", "proven")

    def __init__(self, flow: Flow, framer: StreamFramer, now: float) -> None:
        self.flow = flow
        self.framer = framer
        self.active_at = now
        self.partial_since: float | None = None  # a message has begun and not ended
        self.proven = False  # a whole message has come


class Connections:
    """The table.

    give_up(connection, now) is called for a connection past a deadline. `first`, `partial`, `idle`: seconds a
    connection may go without its first message, with a message begun and not ended, and without any byte.
    """

    __slots__ = (
        "_by_id",
        "_by_remote",
        "_effects",
        "_give_up",
        "_limits",
        "_opening",
        "_timer",
        "_timers",
        "first",
        "idle",
        "partial",
    )

    def __init__(
        self,
        effects: list[Effect],
        timers: TimerHeap,
        give_up: Callable[[Connection, float], None],
        first: float,
        partial: float,
        idle: float,
        limits: Limits,
    ) -> None:
        self._effects = effects
        self._timers = timers
        self._give_up = give_up
        self.first = first
        self.partial = partial
        self.idle = idle
        self._limits = limits
        self._by_id: dict[int, Connection] = {}
        self._by_remote: dict[Target, Connection] = {}
        self._opening: dict[Target, list[tuple[bytes, ServerTransaction | None]]] = {}
        self._timer: Timer | None = None

    def sizes(self) -> dict[str, int]:
        return {"connections": len(self._by_id), "connections opening": len(self._opening)}

    def get(self, flow: Flow) -> Connection | None:
        return self._by_id.get(flow.connection)

    def to(self, target: Target) -> Connection | None:
        """An open connection to that very address and port."""
        return self._by_remote.get(target)

    # --- opening and closing --------------------------------------------------------------------------------

    def opened(self, flow: Flow, now: float) -> None:
        """Take it in and send what waited for it."""
        connection = Connection(flow, StreamFramer(self._limits), now)
        target = Target(flow.transport, *flow.remote)
        self._by_id[flow.connection] = connection
        self._by_remote[target] = connection
        waiting = self._opening.pop(target, None)
        if waiting is not None:
            # We opened it: it is for the peer to answer in the transaction's time, not to prove itself.
            connection.proven = True
            for data, _ in waiting:
                self._effects.append(Send(data, flow))
        if self._timer is None:
            self._timer = self._timers.schedule(now + SWEEP, self._sweep)

    def closed(self, flow: Flow) -> bool:
        """Forget it; whether it was known."""
        connection = self._by_id.pop(flow.connection, None)
        if connection is None:
            return False
        target = Target(flow.transport, *connection.flow.remote)
        if self._by_remote.get(target) is connection:
            del self._by_remote[target]
        if not self._by_id and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return True

    def opening_failed(self, target: Target) -> list[ServerTransaction]:
        """Nothing will come of it; the transactions whose responses waited."""
        waiting = self._opening.pop(target, ())
        return [transaction for _, transaction in waiting if transaction is not None]

    def send(self, data: bytes, target: Target, transaction: ServerTransaction | None = None) -> bool:
        """Write to that address, over a connection that is opened first where there is none.

        False when too much waits already. `transaction`: the one to tell when the connection can't be opened.
        """
        connection = self._by_remote.get(target)
        if connection is not None:
            self._effects.append(Send(data, connection.flow))
            return True
        waiting = self._opening.get(target)
        if waiting is None:
            if len(self._opening) >= MAX_OPENING:
                return False
            waiting = self._opening[target] = []
            self._effects.append(Connect(target))
        if len(waiting) >= MAX_WAITING:
            return False
        waiting.append((data, transaction))
        return True

    def withdraw(self, data: bytes, target: Target) -> None:
        """Those very bytes are not to be sent any more, when the connection opens."""
        waiting = self._opening.get(target)
        if waiting is not None:
            waiting[:] = [entry for entry in waiting if entry[0] is not data]

    # --- deadlines ------------------------------------------------------------------------------------------

    def _sweep(self, now: float) -> None:
        self._timer = None
        for connection in [c for c in self._by_id.values() if self._overdue(c, now)]:
            self._give_up(connection, now)
        if self._by_id:
            self._timer = self._timers.schedule(now + SWEEP, self._sweep)

    def _overdue(self, connection: Connection, now: float) -> bool:
        if connection.partial_since is not None and now - connection.partial_since > self.partial:
            return True
        return now - connection.active_at > (self.idle if connection.proven else self.first)

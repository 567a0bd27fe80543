"""Connections of stream transports: a protocol for both directions, counted and bounded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, cast

from sip.effects import Flow

if TYPE_CHECKING:
    from collections import Counter

# Bytes that may wait for a peer that does not read; beyond it, the connection is given up.
MAX_UNSENT: Final = 1 << 20


class StreamOwner(Protocol):
    """What a connection needs of the driver."""

    sources: Counter[str]  # connections opened by each remote host
    accepted: int

    def may_accept(self, host: str) -> bool:
        """Whether one more connection from that host is allowed."""

    def next_connection(self) -> int:
        """A number for it."""

    def stream_opened(self, stream: StreamConnection) -> None: ...

    def stream_received(self, stream: StreamConnection, data: bytes) -> None: ...

    def stream_closed(self, stream: StreamConnection, why: str) -> None: ...


class StreamConnection(asyncio.Protocol):
    """One connection. `outgoing` is the address we connected to, None when the peer connected to us."""

    def __init__(self, owner: StreamOwner, transport: str, outgoing: tuple[str, int] | None = None) -> None:
        self._owner = owner
        self._name = transport
        self._outgoing = outgoing
        self._io: asyncio.Transport | None = None
        self._open = False
        self._why = "closed by the peer"
        self.flow = Flow(transport, ("", 0), outgoing or ("", 0), 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        io = self._io = cast(asyncio.Transport, transport)
        peer = io.get_extra_info("peername")
        local = io.get_extra_info("sockname")
        if not peer or not local:  # gone already
            io.abort()
            return
        remote = self._outgoing or (str(peer[0]), int(peer[1]))
        owner = self._owner
        if self._outgoing is None:
            if not owner.may_accept(remote[0]):
                io.abort()
                return
            owner.accepted += 1
            owner.sources[remote[0]] += 1
        self.flow = Flow(self._name, (str(local[0]), int(local[1])), remote, owner.next_connection())
        self._open = True
        owner.stream_opened(self)

    def data_received(self, data: bytes) -> None:
        if self._open:
            self._owner.stream_received(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._open:
            return
        self._open = False
        owner = self._owner
        if self._outgoing is None:
            owner.accepted -= 1
            host = self.flow.remote[0]
            owner.sources[host] -= 1
            if not owner.sources[host]:
                del owner.sources[host]
        owner.stream_closed(self, str(exc) if exc else self._why)

    def send(self, data: bytes) -> None:
        io = self._io
        if io is None or io.is_closing():
            return
        if io.get_write_buffer_size() + len(data) > MAX_UNSENT:
            self._why = "the peer does not read"
            io.abort()
            return
        io.write(data)

    def close(self) -> None:
        """After what is written."""
        if self._io is not None:
            self._why = "closed"
            self._io.close()

    def abort(self) -> None:
        if self._io is not None:
            self._io.abort()

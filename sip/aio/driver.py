"""The shell around the stack: sockets, connections, DNS and one timer. It executes effects and decides nothing.

    socket readable -> stack.receive -> on_events until there are no events -> effects -> next datagram -> ... -> timer
    timer due       -> stack.timers.fire_due -> the same
    anything else (a command of the API) -> call the stack, then `drain()`

All of it runs in the loop's thread, each input to completion. No task is made for a message; one is made to open a
connection and for a name that is not in the cache.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Final

import msgspec

from sip.aio.addresses import REFRESH, LocalAddresses, SipListen
from sip.aio.dns import DnsClient
from sip.aio.stream import StreamConnection
from sip.aio.udp import UdpListener, report_icmp, size_buffers
from sip.effects import Close, Connect, Flow, Resolve, Send, Target
from sip.stack import Stack

# Connections waiting to be accepted, for each listener.
BACKLOG: Final = 1_024
# Timers that fire before what they caused is carried out.
TIMERS_AT_ONCE: Final = 64
# Remote hosts whose UDP listener is remembered.
MAX_REMEMBERED: Final = 4_096


class ListenError(OSError):
    """A listener can't be opened; the text is one line for the operator."""

    def __str__(self) -> str:
        return str(self.args[-1])


class DriverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the I/O shell."""

    connect_time: float = 5.0  # seconds to open a connection
    max_connections: int = 10_000  # that peers opened, in total
    max_connections_per_source: int = 256  # by one address: an office of phones behind one NAT


class Driver:
    """Drives one stack. `on_events(now)` must empty `stack.events`."""

    def __init__(
        self,
        stack: Stack,
        addresses: LocalAddresses,
        on_events: Callable[[float], None],
        settings: DriverSettings | None = None,
        resolver: DnsClient | None = None,
    ) -> None:
        self.stack = stack
        self.addresses = addresses
        self.settings = settings or DriverSettings()
        # Of streams: see StreamOwner.
        self.sources: Counter[str] = Counter()
        self.accepted = 0
        self.refused = 0
        self._on_events = on_events
        self._resolver = resolver
        self._loop: asyncio.AbstractEventLoop | None = None
        self._now: Callable[[], float] = _not_started
        self._udp: dict[tuple[str, int], UdpListener] = {}
        self._udp_towards: dict[str, UdpListener | None] = {}
        self._servers: list[asyncio.Server] = []
        self._streams: dict[int, StreamConnection] = {}
        self._last_connection = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._addresses_at = 0.0
        self._serving = False
        self._closed = False

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open every listener, or none (ListenError), and serve."""
        await self.open()
        self.serve()

    async def open(self) -> None:
        """Open every listener, or none: ListenError. What comes in waits until `serve`."""
        loop = self._loop = asyncio.get_running_loop()
        # The loop's own clock under uvloop counts whole milliseconds: too coarse for a round-trip time on a local
        # network. Both are CLOCK_MONOTONIC, so that deadlines may be handed to the loop.
        self._now = time.monotonic
        self._addresses_at = loop.time()
        if self._resolver is None:
            self._resolver = DnsClient(loop.time)
        try:
            for index, listen in enumerate(self.addresses.listen):
                await self._listen(loop, index, listen)
        except OSError:
            await self.close()
            raise

    def serve(self) -> None:
        """Begin: with what has come in since `open`, and what the layers above want by now."""
        self._serving = True
        self.drain()

    async def close(self) -> None:
        """Close everything at once; nothing more is sent."""
        self._closed = True
        for udp in self._udp.values():
            udp.close()
        self._udp.clear()
        self._udp_towards.clear()
        for server in self._servers:
            server.close()
        self._servers.clear()
        for stream in list(self._streams.values()):
            stream.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._resolver is not None:
            await self._resolver.close()

    def now(self) -> float:
        """The stack's time: seconds of the monotonic clock."""
        return self._now()

    def address_towards(self, host: str) -> str:
        """Our own address on the way to `host`."""
        return self.addresses.address_towards(host)

    def drain(self) -> None:
        """Carry out what the stack wants: after every use of the stack from outside of its events. Before `serve`
        nothing is carried out."""
        if self._serving:
            self._settle(self._now())
            self._arm()

    # --- what streams ask (StreamOwner) -------------------------------------------------------------------------

    def may_accept(self, host: str) -> bool:
        settings = self.settings
        allowed = self.accepted < settings.max_connections and self.sources[host] < settings.max_connections_per_source
        if not allowed:
            self.refused += 1
        return allowed

    def next_connection(self) -> int:
        self._last_connection += 1
        return self._last_connection

    def stream_opened(self, stream: StreamConnection) -> None:
        self._streams[stream.flow.connection] = stream
        self.stack.connected(stream.flow, self._now())
        self.drain()

    def stream_received(self, stream: StreamConnection, data: bytes) -> None:
        self.stack.receive_stream(data, stream.flow, self._now())
        self.drain()

    def stream_closed(self, stream: StreamConnection, why: str) -> None:
        del self._streams[stream.flow.connection]
        self.stack.disconnected(stream.flow, self._now(), why)
        self.drain()

    # --- private: listening -------------------------------------------------------------------------------------

    async def _listen(self, loop: asyncio.AbstractEventLoop, index: int, listen: SipListen) -> None:
        sock = _bound_socket(listen)
        port = int(sock.getsockname()[1])
        if listen.port == 0:
            self.addresses.bound(index, port)
        if listen.transport == "udp":
            udp = UdpListener(loop, sock, self._received, self.drain, self._not_sent)
            self._udp[udp.local] = udp
            return
        transport = listen.transport
        server = await loop.create_server(lambda: StreamConnection(self, transport), sock=sock, backlog=BACKLOG)
        self._servers.append(server)

    # --- private: inputs ----------------------------------------------------------------------------------------

    def _received(self, data: bytes, flow: Flow) -> None:
        now = self._now()
        self.stack.receive(data, flow, now)
        self._settle(now)

    def _not_sent(self, flow: Flow, why: str) -> None:
        self.stack.send_failed(flow, self._now(), why)

    def _due(self) -> None:
        self._timer = None
        # A loop that counts milliseconds may be early by a part of one: what it was armed for is due.
        now = max(self._now(), self._timer_at)
        timers = self.stack.timers
        try:
            while timers.fire_due(now, TIMERS_AT_ONCE):
                self._settle(now)
        finally:
            self._arm()

    def _settle(self, now: float) -> None:
        """Events up and effects down until there are none.

        Upwards first, even where the stack has no event: a timer may have left one in a layer above it.
        """
        if not self._serving:
            return
        stack = self.stack
        self._on_events(now)
        while stack.events or stack.effects:
            if stack.events:
                self._on_events(now)
            if stack.effects:
                effects = stack.effects[:]
                stack.effects.clear()
                for effect in effects:
                    if type(effect) is Send:
                        self._send(effect.data, effect.flow)
                    elif type(effect) is Connect:
                        self._spawn(self._connect(effect.target))
                    elif type(effect) is Resolve:
                        self._resolve(effect)
                    elif type(effect) is Close:
                        self._close(effect.flow)

    def _arm(self) -> None:
        """One call for the earliest deadline. A later one than armed is not worth the change."""
        deadline = self.stack.timers.next_wake()
        loop = self._loop
        if deadline is None or loop is None or self._closed:
            return
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer = loop.call_at(deadline, self._due)
        self._timer_at = deadline

    # --- private: effects ---------------------------------------------------------------------------------------

    def _send(self, data: bytes, flow: Flow) -> None:
        if flow.connection:
            stream = self._streams.get(flow.connection)
            if stream is not None:
                stream.send(data)
            return
        udp = self._udp.get(flow.local) or self._listener_towards(flow.remote[0])
        if udp is None:
            self._not_sent(flow, "no UDP listener of that address family")
        else:
            udp.send(data, flow)

    def _listener_towards(self, host: str) -> UdpListener | None:
        now = self._now()
        if now - self._addresses_at > REFRESH or len(self._udp_towards) >= MAX_REMEMBERED:
            self._addresses_at = now
            self.addresses.forget()
            self._udp_towards.clear()
        if host in self._udp_towards:
            return self._udp_towards[host]
        listen = self.addresses.choose("udp", host)
        udp = None if listen is None else self._udp.get((listen.host, listen.port))
        self._udp_towards[host] = udp
        return udp

    def _close(self, flow: Flow) -> None:
        stream = self._streams.get(flow.connection)
        if stream is not None:
            stream.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        assert self._loop is not None
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, target: Target) -> None:
        assert self._loop is not None
        where = (target.host, target.port)
        try:
            async with asyncio.timeout(self.settings.connect_time):
                await self._loop.create_connection(
                    lambda: StreamConnection(self, target.transport, where), target.host, target.port
                )
        except TimeoutError:
            why = "no connection in time"
        except (OSError, OverflowError) as error:
            why = f"no connection: {_text(error)}"
        else:
            return
        self.stack.send_failed(target, self._now(), why)
        self.drain()

    def _resolve(self, effect: Resolve) -> None:
        assert self._resolver is not None
        answers = self._resolver.known(effect.questions)
        if answers is not None:
            self.stack.resolved(effect.query, answers, self._now())
        else:
            self._spawn(self._ask(effect))

    async def _ask(self, effect: Resolve) -> None:
        assert self._resolver is not None
        answers = await self._resolver.ask(effect.questions)
        self.stack.resolved(effect.query, answers, self._now())
        self.drain()


def _bound_socket(listen: SipListen) -> socket.socket:
    datagrams = listen.transport == "udp"
    family = listen.family
    sock = socket.socket(family, socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if datagrams:
            size_buffers(sock)
            report_icmp(sock)
        else:
            # A restart must not wait for connections of the last run. Not for datagrams: there it would let two
            # programs share the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((listen.host, listen.port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise ListenError(getattr(error, "errno", None), _listen_error(listen, error)) from error
    return sock


def _listen_error(listen: SipListen, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"cannot listen on {listen}: the port is in use by another program"
    if number == errno.EACCES:
        return f"cannot listen on {listen}: no permission for this port"
    if number == errno.EADDRNOTAVAIL:
        return f"cannot listen on {listen}: this machine has no such address"
    return f"cannot listen on {listen}: {_text(error)}"


def _text(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


def _not_started() -> float:
    raise RuntimeError("the driver is not started")

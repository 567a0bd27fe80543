"""What the signalling says to the media engine, and the client that runs the engine in this process."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable
from random import SystemRandom
from typing import Protocol

import numpy as np

from media.audio_commands import AudioCommand
from media.commands import (
    MediaAddress,
    MediaEvent,
    MediaSettings,
    NoMediaPorts,
    StreamLatched,
    StreamSettings,
    StreamStats,
)
from media.engine import MediaEngine
from rtp.address import canonical, family_of
from rtp.batch import BatchSockets, allow_sockets
from rtp.columns import Slots
from rtp.ports import PortPool

TICK_SECONDS = 0.006  # packets are collected for so long under load: the delay it adds at most
BUSY_SECONDS = 0.006  # batches closer together than this are load
MIND_SECONDS = 0.25  # reports, silences and idle ports are looked after so often
SHRINK_SECONDS = 10.0

__all__ = ["InProcessMedia", "MediaAddress", "MediaClient", "MediaSettings", "NoMediaPorts"]


class MediaClient(Protocol):
    """Streams are named by the caller: any int that no open stream has. Commands on a stream that is not
    open are ignored (its close may have crossed them), `open` apart.

    Events pile up in `events`; whoever drains it empties the list (`events.clear()`). The client calls its
    `on_events` from the loop, never from inside a command, when there are some left.
    """

    events: list[MediaEvent]

    def open(
        self,
        stream: int,
        peer_host: str,
        remote: MediaAddress | None,
        nat: bool,
        local_host: str,
        now: float,
        group: str = "",
    ) -> MediaAddress:
        """Take a row and a port; tells the address for our SDP (host is `local_host` as given).

        `peer_host` is where the peer's signalling comes from or goes to. `remote` is the address in its
        offer, None when we make the offer. Nothing is sent or passed on before `configure`. Streams that are ever to
        hear each other share a `group`.
        Raises NoMediaPorts.
        """

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        """Apply what was agreed; idempotent. A changed `remote` unlocks the source, the same one keeps it."""

    def bridge(self, a: int, b: int, now: float) -> None:
        """Pass packets between two streams; takes both out of any bridge or echo they were in. Payload types
        are translated by name and clock of `formats`, anew at each `configure`."""

    def unbridge(self, stream: int, now: float) -> None:
        """Stop passing packets from and to this stream (bridge or echo)."""

    def echo(self, stream: int, now: float) -> None:
        """Send what the peer sends back to it."""

    def close(self, stream: int, now: float) -> None:
        """Free the row and the port; `StreamClosed` with the statistics follows."""

    def audio(self, command: AudioCommand, now: float) -> None:
        """Rooms, players, recordings, detectors and digits (`media.audio_commands`)."""


class InProcessMedia:
    """A `MediaClient` whose engine runs in the caller's event loop.

    `start()` inside a running loop opens the sockets (OSError when none can be bound); `stop()` closes everything.

    Packets are handled as they come while there are few. When batches follow each other closely, the loop stops
    watching the sockets and a timer collects what came in `TICK_SECONDS`, so that the cost of a wake-up is shared by
    many packets; the first empty tick ends that. A batch is bounded (`rtp.columns.SLOTS`), so signalling in the same
    loop waits a few milliseconds at most.
    """

    def __init__(self, settings: MediaSettings, on_events: Callable[[], None]) -> None:
        self.events: list[MediaEvent] = []
        self._settings = settings
        self._on_events = on_events
        first, last = settings.rtp_ports
        self._pool = PortPool(first, last, settings.shared_ports)
        self._hosts = [canonical(host) for host in settings.hosts]
        self._families = [family_of(host) for host in self._hosts]
        self._slots = Slots()
        self._sockets = BatchSockets(self._slots)
        self._engine = MediaEngine(SystemRandom(), time.monotonic(), time.time())
        self._engine.events = self.events
        # Indexes of the RTP and RTCP sockets of each host, by RTP port.
        self._bound: dict[int, list[tuple[int, int]]] = {}
        self._placed: dict[int, tuple[str, int, bool, str]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._minder: asyncio.TimerHandle | None = None
        self._told = False
        self.packets_in = 0
        """RTP and RTCP packets that came, whosever they were."""
        self.packets_out = 0
        """RTP packets passed on."""
        self._last_batch = 0.0
        self._shrunk = 0.0

    # -- life

    def start(self) -> None:
        """Open the shared ports. Raises OSError when a host is none of ours, or every port is taken."""
        self._loop = asyncio.get_running_loop()
        allow_sockets(2 * self._pool.pairs * len(self._hosts))
        for port in self._pool.opened:
            self._bind_shared(port)
        if not self._bound:
            first, last = self._settings.rtp_ports
            raise OSError(errno.EADDRINUSE, f"no pair of RTP ports is free in {first}-{last}")
        self._loop.add_reader(self._sockets.fileno(), self._ready)
        self._minder = self._loop.call_later(MIND_SECONDS, self._mind)

    def stop(self) -> None:
        """Close all sockets; streams that are open are forgotten."""
        if self._loop is None:
            return
        self._loop.remove_reader(self._sockets.fileno())
        for timer in (self._timer, self._minder):
            if timer is not None:
                timer.cancel()
        self._timer = self._minder = self._loop = None
        self._sockets.close_all()
        self._bound.clear()

    @property
    def counters(self) -> dict[str, int]:
        """Packets dropped that were no stream's, by cause."""
        return self._engine.counters | self._sockets.counters

    @property
    def streams(self) -> int:
        return len(self._engine)

    @property
    def ports(self) -> int:
        """Pairs of ports that are open."""
        return len(self._bound)

    def stats(self, stream: int) -> StreamStats:
        """Where a live stream stands; KeyError when there is none."""
        return self._engine.stats(stream)

    # -- commands

    def open(
        self,
        stream: int,
        peer_host: str,
        remote: MediaAddress | None,
        nat: bool,
        local_host: str,
        now: float,
        group: str = "",
    ) -> MediaAddress:
        peer = _comparable(peer_host)
        address = None
        if remote is not None and _placeable(remote):
            address = (_comparable(remote.host), remote.port)
        host = self._host_for(local_host, peer if address is None else address[0])
        port = self._take_port(stream, peer, address, nat, now)
        rtp, rtcp = self._bound[port][host]
        self._engine.open(stream, rtp, rtcp, self._families[host])
        if address is not None:
            self._placed[stream] = (*address, nat, peer)
        return MediaAddress(local_host, port, port + 1)

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        if self._engine.settings(stream) == settings or not self._engine.has(stream):
            return
        remote = settings.remote
        if _placeable(remote):
            place = (_comparable(remote.host), remote.port, settings.nat, _comparable(settings.signalled_host))
            if self._placed.get(stream) != place:
                self._placed[stream] = place
                # What the pool finds taken the engine finds taken, too, and tells; the pool learns from it.
                self._pool.remote_changed(stream, (place[0], place[1]), settings.nat, place[3])
        self._engine.configure(stream, settings, now)
        self._tell()

    def bridge(self, a: int, b: int, now: float) -> None:
        self._engine.bridge(a, b)

    def unbridge(self, stream: int, now: float) -> None:
        self._engine.unbridge(stream)

    def echo(self, stream: int, now: float) -> None:
        self._engine.echo(stream)

    def close(self, stream: int, now: float) -> None:
        self._engine.close(stream)
        self._pool.close(stream, now)
        self._placed.pop(stream, None)
        self._tell()

    def audio(self, command: AudioCommand, now: float) -> None:
        self._engine.audio(command, now)
        self._tell()

    # -- packets

    def _ready(self) -> None:
        """A socket is readable, and the loop watches them."""
        loop = self._loop
        assert loop is not None
        now = time.monotonic()
        if now - self._last_batch < BUSY_SECONDS:
            loop.remove_reader(self._sockets.fileno())
            self._timer = loop.call_later(TICK_SECONDS, self._collect)
        self._last_batch = now
        self._drain(now)

    def _collect(self) -> None:
        """The timer of a busy time."""
        loop = self._loop
        assert loop is not None
        self._last_batch = now = time.monotonic()
        self._timer = None
        count = 1
        # Whatever goes wrong in a batch, the next one is collected.
        try:
            count = self._drain(now)
        finally:
            if count == 0:
                loop.add_reader(self._sockets.fileno(), self._ready)
            else:
                # A full batch left some behind: go on as soon as everybody else had a turn.
                delay = 0 if count == self._slots.capacity else TICK_SECONDS
                self._timer = loop.call_later(delay, self._collect)

    def _drain(self, now: float) -> int:
        count = self._sockets.receive()
        if count:
            told = len(self.events)
            outgoing = self._engine.packets(self._slots, now)
            self.packets_in += count
            self.packets_out += outgoing.slots.size
            if outgoing.slots.size:
                table, to = self._engine.table, outgoing.targets
                self._sockets.send(
                    self._slots.data,
                    outgoing.slots,
                    outgoing.lengths,
                    table.socket[to],
                    table.address_at,
                    to,
                    table.address_length[to],
                )
            for event in self.events[told:]:
                if isinstance(event, StreamLatched):
                    self._pool.latched(event.stream, (event.host, event.port))
            self._tell()
        return count

    def _mind(self) -> None:
        """Reports, silences, idle ports."""
        loop = self._loop
        assert loop is not None
        self._minder = loop.call_later(MIND_SECONDS, self._mind)
        now = time.monotonic()
        reports = self._engine.tick(now)
        if reports.count:
            table, rows = self._engine.table, reports.rows[: reports.count]
            self._sockets.send(
                reports.data,
                np.arange(reports.count),
                reports.lengths[: reports.count],
                table.control_socket[rows],
                table.control_address_at,
                rows,
                table.control_length[rows],
            )
        if now - self._shrunk >= SHRINK_SECONDS:
            self._shrunk = now
            for port in self._pool.shrink(now):
                self._unbind(port)
        self._tell()

    # -- below

    def _tell(self) -> None:
        if self.events and not self._told and self._loop is not None:
            self._told = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._told = False
        if self.events:
            self._on_events()

    def _host_for(self, local_host: str, peer: str) -> int:
        """The bound host that `local_host` is, or a wildcard of the peer's family, or any of that family."""
        try:
            family = family_of(peer)
        except ValueError:
            family = self._families[0]
        if len(self._hosts) == 1 and self._families[0] == family:
            return 0
        local = _comparable(local_host)
        fitting = [index for index, other in enumerate(self._families) if other == family]
        for index in fitting:
            if self._hosts[index] == local:
                return index
        for index in fitting:
            if self._hosts[index] in ("0.0.0.0", "::"):
                return index
        if fitting:
            return fitting[0]
        raise NoMediaPorts(f"no media socket of the address family of {peer}")

    def _take_port(self, stream: int, peer: str, address: tuple[str, int] | None, nat: bool, now: float) -> int:
        while True:
            port = self._pool.open(stream, peer, address, nat)
            if port in self._bound:
                return port
            try:
                self._bind(port)
            except OSError as problem:
                self._pool.close(stream, now)
                if problem.errno != errno.EADDRINUSE:
                    raise NoMediaPorts(f"port {port}: {problem.strerror}") from problem
                self._pool.unusable(port)
            else:
                return port

    def _bind_shared(self, port: int) -> None:
        """Open a port that is always open, or another one in its place while there are some."""
        while True:
            try:
                self._bind(port)
            except OSError as problem:
                if problem.errno != errno.EADDRINUSE:
                    raise
                self._pool.unusable(port)
            else:
                return
            try:
                port = self._pool.replace_broken()
            except NoMediaPorts:
                return

    def _bind(self, port: int) -> None:
        opened: list[int] = []
        try:
            for host in self._hosts:
                opened.append(self._sockets.open(host, port, control=False))
                opened.append(self._sockets.open(host, port + 1, control=True))
        except OSError:
            for index in opened:
                self._sockets.close(index)
            raise
        self._bound[port] = list(zip(opened[::2], opened[1::2], strict=True))

    def _unbind(self, port: int) -> None:
        for pair in self._bound.pop(port, ()):
            for index in pair:
                self._sockets.close(index)


def _placeable(remote: MediaAddress) -> bool:
    """Whether it is an address that a stream can be told by: RFC 3264 8.4 has 0.0.0.0 for hold."""
    return remote.port != 0 and remote.host not in ("0.0.0.0", "::")


def _comparable(host: str) -> str:
    """The one spelling of an IP literal; anything else as it stands."""
    try:
        return canonical(host)
    except ValueError:
        return host

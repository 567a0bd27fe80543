"""The client whose engine runs in this process, in the loop of the signalling."""

from __future__ import annotations

import errno
from collections.abc import Callable

from media.addresses import comparable, host_for, placeable
from media.commands import MediaAddress, MediaSettings, NoMediaPorts, StreamLatched, StreamSettings
from media.driver import EngineDriver
from media.shell import StudioSettings
from rtp.batch import allow_sockets
from rtp.ports import PortPool

SHRINK_SECONDS = 10.0


class InProcessMedia(EngineDriver):
    """A `MediaClient` whose engine runs in the caller's event loop, with ports of one pool."""

    def __init__(
        self, settings: MediaSettings, on_events: Callable[[], None], studio: StudioSettings | None = None
    ) -> None:
        super().__init__(settings.hosts, on_events, studio, settings.rtcp_xr)
        self._settings = settings
        first, last = settings.rtp_ports
        self._pool = PortPool(first, last, settings.shared_ports)
        self._placed: dict[int, tuple[str, int, bool, str]] = {}
        self._shrunk = 0.0

    # -- life

    def start(self) -> None:
        """Open the shared ports and begin. Raises OSError when a host is none of ours, or every port is taken."""
        super().start()
        allow_sockets(2 * self._pool.pairs * len(self._hosts))
        for port in self._pool.opened:
            self._bind_shared(port)
        if not self._bound:
            first, last = self._settings.rtp_ports
            raise OSError(errno.EADDRINUSE, f"no pair of RTP ports is free in {first}-{last}")

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
        beside: int | None = None,
    ) -> MediaAddress:
        peer = comparable(peer_host)
        address = None
        if remote is not None and placeable(remote):
            address = (comparable(remote.host), remote.port)
        host = host_for(self._hosts, local_host, peer if address is None else address[0])
        port = self._take_port(stream, peer, address, nat, now, beside)
        self.open_at(stream, port, host)
        if address is not None:
            self._placed[stream] = (*address, nat, peer)
        return MediaAddress(local_host, port, port + 1)

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        if self._engine.settings(stream) == settings or not self._engine.has(stream):
            return
        remote = settings.remote
        if placeable(remote):
            place = (comparable(remote.host), remote.port, settings.nat, comparable(settings.signalled_host))
            if self._placed.get(stream) != place:
                self._placed[stream] = place
                # What the pool finds taken the engine finds taken, too, and tells; the pool learns from it.
                self._pool.remote_changed(stream, (place[0], place[1]), settings.nat, place[3])
        super().configure(stream, settings, now)

    def regroup(self, stream: int, group: str, now: float) -> bool:
        return True  # all streams are here

    def close(self, stream: int, now: float) -> None:
        super().close(stream, now)
        self._pool.close(stream, now)
        self._placed.pop(stream, None)

    # -- below

    def _latched(self, event: StreamLatched) -> None:
        self._pool.latched(event.stream, (event.host, event.port))

    def _minded(self, now: float) -> None:
        if now - self._shrunk >= SHRINK_SECONDS:
            self._shrunk = now
            for port in self._pool.shrink(now):
                self.unbind(port)

    def _take_port(
        self, stream: int, peer: str, address: tuple[str, int] | None, nat: bool, now: float, beside: int | None
    ) -> int:
        while True:
            port = self._pool.open(stream, peer, address, nat, beside)
            if port in self._bound:
                return port
            try:
                self.bind(port)
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
                self.bind(port)
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

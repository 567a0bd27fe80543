"""A media worker: a process with an engine and its sockets, commanded over a line (I/O).

It listens on a Unix socket (mode 0600: who may open the file may command it) or on TCP (whoever knows the secret may).
Streams go on whatever happens to the line. Without a signalling process for `orphan_time` it closes all of them, and
ends where it was spawned by one. SIGTERM closes them in order and ends it; it has a session of its own, so that neither
Ctrl-C in the terminal of its parent nor the end of that parent concerns it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import time
from pathlib import Path
from typing import cast

import msgspec
import structlog

from media.driver import EngineDriver
from media.line import LINK_SILENCE, WorkerEnd, WorkerLink
from media.sessions import Sessions
from media.shell import StudioSettings
from media.unix import listener_at
from media.wire import Inventory, LineEvent, WorkerLoad
from rtp.batch import allow_sockets

log = structlog.get_logger("media-worker")

BEAT_SECONDS = 1.0
PROBE_SECONDS = 0.1  # how late the loop is, is looked at so often
GREETING_SECONDS = 5.0
MAX_CONNECTIONS = 16  # one is the line; others greet, or come from a mistake
GOODBYE_SECONDS = 1.0  # for the last events to be taken
# Reference counts free what a stream is made of; looking for cycles costs audio time.
GC_THRESHOLDS = (100_000, 50, 100)


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told when it is started."""

    socket: Path | None = None
    listen: tuple[str, int] | None = None
    """One of the two."""
    secret: bytes = b""
    hosts: tuple[str, ...] = ("0.0.0.0",)
    orphan_time: float = 60.0
    studio: StudioSettings | None = None
    """Without it nothing can be played or recorded."""
    rtcp_xr: bool = False
    """Reports tell how the peer sounds (RFC 3611)."""
    spawned: bool = False


class MediaWorker:
    """One worker. `run()` serves until it is told to end."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._driver = EngineDriver(options.hosts, self._engine_has_events, options.studio, options.rtcp_xr)
        self._sessions = Sessions(self._driver, self._tell)
        who = (os.getpid(), options.hosts)
        self._end = WorkerEnd(secrets.token_hex(8), options.secret, secrets.token_bytes, who, self._inventory)
        self._connections: set[_Connection] = set()
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._alone_since = self._loop.time()
        self._cpu = time.process_time()
        self._reported = self._loop.time()
        self._late = 0.0

    async def run(self) -> None:
        """Raises OSError where it can't listen."""
        server, file = await self._listen()
        loop = self._loop
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        allow_sockets(1 << 16)
        self._driver.start()
        probe = loop.call_later(PROBE_SECONDS, self._probe, loop.time() + PROBE_SECONDS)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        log.info("media worker ready", process=os.getpid(), socket=str(self._options.socket or self._options.listen))
        try:
            while not self._stopping.is_set():
                try:
                    async with asyncio.timeout(BEAT_SECONDS):
                        await self._stopping.wait()
                except TimeoutError:
                    self._beat(loop.time())
            await self._say_goodbye()
        finally:
            probe.cancel()
            server.close()
            for connection in list(self._connections):
                connection.close()
            self._driver.stop()
            if file is not None:
                _remove(*file)
        log.info("media worker stopped", process=os.getpid())

    # -- line

    async def _listen(self) -> tuple[asyncio.Server, tuple[Path, int] | None]:
        options = self._options
        if options.socket is None:
            assert options.listen is not None
            host, port = options.listen
            return await self._loop.create_server(lambda: _Connection(self), host, port), None
        listener = listener_at(options.socket)
        inode = options.socket.stat().st_ino
        server = await self._loop.create_unix_server(lambda: _Connection(self), sock=listener)
        return server, (options.socket, inode)

    def connected(self, connection: _Connection) -> WorkerLink | None:
        """A new connection; None when there are too many."""
        if len(self._connections) >= MAX_CONNECTIONS:
            return None
        self._connections.add(connection)
        return self._end.accept(self._loop.time())

    def disconnected(self, connection: _Connection, link: WorkerLink) -> None:
        self._connections.discard(connection)
        if self._end.link is link:
            self._end.dropped(link)
            self._alone_since = self._loop.time()
            if not self._stopping.is_set():
                log.warning("signalling process gone: streams go on", streams=len(self._sessions))

    def received(self, link: WorkerLink, data: bytes) -> None:
        """Octets of a connection: commands are carried out, and the answer written."""
        now = time.monotonic()
        was = self._end.line, link.ready
        for command in link.receive(data, self._loop.time()):
            try:
                self._sessions.carry_out(command, now)
            except Exception:
                # A fault of ours in one stream's command must not silence all others.
                log.error("command failed", command=type(command).__name__, exc_info=True)
        if link.ready and not was[1]:
            took_over = was[0] not in ("", self._end.line)
            log.info("signalling process connected", line=self._end.line, new=took_over, streams=len(self._sessions))
        self._flush()

    def _tell(self, event: LineEvent) -> None:
        self._end.tell(event)

    def _engine_has_events(self) -> None:
        self._collect()
        self._flush()

    def _collect(self) -> None:
        """What the engine has to say, into the line."""
        events = self._driver.events
        for event in events:
            self._sessions.heard(event)
        events.clear()

    def _inventory(self) -> list[Inventory]:
        self._collect()  # a stream that is gone has been told before it is missed
        return self._sessions.inventory()

    def _flush(self) -> None:
        for connection in list(self._connections):
            connection.flush()

    # -- time

    def _beat(self, now: float) -> None:
        for connection in list(self._connections):
            connection.check(now)
        if self._end.link is not None:
            self._end.tell(self._load(now))
            self._flush()
        elif now - self._alone_since >= self._options.orphan_time:
            self._orphaned(now)

    def _load(self, now: float) -> WorkerLoad:
        cpu, driver = time.process_time(), self._driver
        load = WorkerLoad(
            cpu=max(0.0, (cpu - self._cpu) / max(now - self._reported, 0.001)),
            streams=driver.streams,
            ports=driver.ports,
            packets_in=driver.packets_in,
            packets_out=driver.packets_out,
            late_ms=self._late * 1000,
            counters=dict(driver.counters),
            quiet=driver.quiet,
        )
        self._cpu, self._reported, self._late = cpu, now, 0.0
        return load

    def _probe(self, due: float) -> None:
        """See how late the loop comes to a timer."""
        now = self._loop.time()
        self._late = max(self._late, now - due)
        if not self._stopping.is_set():
            self._loop.call_later(PROBE_SECONDS, self._probe, now + PROBE_SECONDS)

    def _orphaned(self, now: float) -> None:
        if len(self._sessions):
            log.warning("no signalling process came: all streams are closed", streams=len(self._sessions))
            self._sessions.close_all(time.monotonic())
        if self._options.spawned:
            self._stopping.set()
        self._alone_since = now

    async def _say_goodbye(self) -> None:
        """Close all streams; whoever listens hears of it."""
        self._sessions.close_all(time.monotonic())
        self._engine_has_events()
        end = self._loop.time() + GOODBYE_SECONDS
        while self._end.link is not None and len(self._end.outbox) and self._loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class _Connection(asyncio.Protocol):
    """A connection to the worker."""

    def __init__(self, worker: MediaWorker) -> None:
        self._worker = worker
        self._transport: asyncio.Transport | None = None
        self._link: WorkerLink | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._link = self._worker.connected(self)
        if self._link is None:
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._link is not None:
            self._worker.disconnected(self, self._link)

    def data_received(self, data: bytes) -> None:
        if self._link is not None:
            self._worker.received(self._link, data)

    def flush(self) -> None:
        """Write what there is, and hang up where that is the end."""
        if self._transport is None or self._link is None:
            return
        data = self._link.take_output()
        if data:
            self._transport.write(data)
        if self._link.over:
            if not self._transport.is_closing():
                log.warning("connection refused", why=self._link.over)
            self.close()

    def check(self, now: float) -> None:
        """Hang up on whoever greets for too long, or is silent."""
        link = self._link
        if link is None or self._transport is None:
            return
        if (not link.ready and now - link.since > GREETING_SECONDS) or now - link.heard > LINK_SILENCE:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _remove(path: Path, inode: int) -> None:
    """Remove the socket's file, if it is still ours."""
    try:
        if path.stat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        log.debug("socket file gone before", socket=str(path))

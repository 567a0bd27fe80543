"""Media workers run and watched: a `MediaClient` over engines in processes of their own (I/O).

Local workers are spawned, found again after a restart of this process by their sockets, watched by their process
descriptors, and started anew, with growing pauses, when they end. Remote ones are connected to over TCP and count as
lost after `LOST_SECONDS` without a connection. Where streams go, and what becomes of those of a lost worker, is
`media.placement`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import structlog

from media.line import LINK_SILENCE, Phase, SignallingEnd
from media.placement import Placement
from media.unix import connection_to, process_of
from media.wire import LineError, OtherVersion, OtherWorker
from media.worker_view import Adoption, Worker, WorkerTerms
from rtp.address import canonical

log = structlog.get_logger("media")

MIND_SECONDS = 1.0
RETRY_SECONDS = 0.05  # to the next try to connect to a worker that is being started
START_SECONDS = 20.0  # a worker that does not answer by then is ended
FALSE_STARTS = 3  # in a row: the switch does not start
HUNG_SECONDS = 10.0  # a local worker that says nothing for so long is ended
LOST_SECONDS = 10.0  # a remote one counts as lost
STEADY_SECONDS = 30.0  # a worker that lived for so long is started again without a pause
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # between two starts of one that does not
REMOTE_RETRY_SECONDS = 1.0
REMOTE_WAIT_SECONDS = 3.0  # at the start
STOP_SECONDS = 5.0  # for a worker to end in order
CONNECT_SECONDS = 5.0

_SOCKET = re.compile(r"media-(\d{1,4})\.sock")


class LocalWorkers(msgspec.Struct, frozen=True, kw_only=True):
    """Workers of this machine, as many as `terms`. `command` starts one; options are appended."""

    terms: tuple[WorkerTerms, ...] = ()
    command: tuple[str, ...] = ()
    directory: Path = Path()
    hosts: tuple[str, ...] = ("0.0.0.0",)
    orphan_time: float = 60.0


class RemoteWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker of another machine."""

    terms: WorkerTerms
    address: tuple[str, int]


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """One worker as status shows it."""

    name: str
    process: int
    linked: bool
    cpu: float
    streams: int
    adopted: int
    ports: int
    packets_in: int
    packets_out: int
    late_ms: float
    restarts: int


class MediaWorkers(Placement):
    """See the module. `on_events` is called from the loop when `events` has some."""

    def __init__(
        self,
        local: LocalWorkers,
        remote: tuple[RemoteWorker, ...],
        adoption: Adoption,
        on_events: Callable[[], None],
    ) -> None:
        # One name for all lines of this process, and a number for each run of one.
        self._process_name = secrets.token_hex(6)
        self._lines = 0
        terms = [*local.terms, *(each.terms for each in remote)]
        super().__init__(terms, adoption, self._new_line, self._wake)
        self._on_events = on_events
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = False
        self._minder: asyncio.TimerHandle | None = None
        self._watches: list[_Watch] = []
        self._local = local
        self._remote = remote

    # -- life

    async def start(self) -> None:
        """Find or start the workers and wait for them. OSError: a local one can't be had."""
        self._loop = loop = asyncio.get_running_loop()
        local = self._local
        if local.terms:
            end_workers(local.directory, keep=len(local.terms))
        for index, worker in enumerate(self.workers):
            if index < len(local.terms):
                self._watches.append(_LocalWatch(self, worker, local, local.directory / f"media-{index}.sock"))
            else:
                self._watches.append(_RemoteWatch(self, worker, self._remote[index - len(local.terms)].address))
        for watch in self._watches:
            watch.start()
        self._minder = loop.call_later(MIND_SECONDS, self._mind)
        here = [watch.worker for watch in self._watches if watch.local]
        await self._wait(
            lambda: all(worker.settled for worker in here) or any(worker.restarts >= FALSE_STARTS for worker in here),
            START_SECONDS,
        )
        await self._wait(lambda: all(worker.settled for worker in self.workers), REMOTE_WAIT_SECONDS)
        for watch in self._watches:
            if not watch.worker.settled:
                name, why = watch.worker.terms.name, watch.problem or "no answer"
                if watch.local:
                    raise OSError(f"media worker {name} did not start: {why}")
                log.error("media worker not reached", worker=name, why=why)
            elif not watch.worker.pool.opened:
                first, last = watch.worker.terms.rtp_ports
                raise OSError(f"no pair of RTP ports is free in {first}-{last} ({watch.worker.terms.name})")

    async def stop(self) -> None:
        """Close all streams and end the local workers in order."""
        loop = self._loop
        if loop is None:
            return
        if self._minder is not None:
            self._minder.cancel()
        self.close_all(loop.time())
        self._flush()
        await self._wait(lambda: all(worker.settled or not worker.linked for worker in self.workers), 1.0)
        self._loop = None
        await asyncio.gather(*(watch.stop() for watch in self._watches))
        self._watches.clear()

    # -- what there is

    @property
    def streams(self) -> int:
        return len(self)

    @property
    def ports(self) -> int:
        """Pairs of ports that are open."""
        return sum(worker.load.ports for worker in self.workers if worker.load is not None)

    @property
    def packets_in(self) -> int:
        return sum(worker.load.packets_in for worker in self.workers if worker.load is not None)

    @property
    def packets_out(self) -> int:
        return sum(worker.load.packets_out for worker in self.workers if worker.load is not None)

    @property
    def dropped(self) -> dict[str, int]:
        """Packets dropped that were no stream's, by cause."""
        total: dict[str, int] = {}
        for worker in self.workers:
            for what, count in (worker.load.counters if worker.load is not None else {}).items():
                total[what] = total.get(what, 0) + count
        return total

    def report(self) -> list[WorkerReport]:
        """A line for each worker."""
        return [_report(worker) for worker in self.workers]

    # -- below

    def _new_line(self, terms: WorkerTerms) -> SignallingEnd:
        self._lines += 1
        return SignallingEnd(f"{self._process_name}.{self._lines}", terms.secret, secrets.token_bytes)

    def _wake(self) -> None:
        """Something is to be written or told, once whoever is at it has done."""
        if not self._woken and self._loop is not None:
            self._woken = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._woken = False
        for watch in self._watches:
            watch.flush()
        if self.events and self._loop is not None:
            self._on_events()

    def _mind(self) -> None:
        loop = self._loop
        if loop is None:
            return
        self._minder = loop.call_later(MIND_SECONDS, self._mind)
        now = loop.time()
        for watch in self._watches:
            watch.check(now)
        self.mind(now)

    @staticmethod
    async def _wait(done: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class _Connection(asyncio.Protocol):
    """One connection to a worker; what comes after it was given up is nobody's."""

    def __init__(self, watch: _Watch) -> None:
        self._watch = watch
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._watch.connected(self)

    def data_received(self, data: bytes) -> None:
        if self._watch.connection is self:
            self._watch.received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._watch.connection is self:
            self._watch.hang_up()


class _Watch:
    """One worker and its connection, which is made again whenever it is gone."""

    local = False

    def __init__(self, media: MediaWorkers, worker: Worker) -> None:
        self.media = media
        self.worker = worker
        self.problem = ""
        """Why there is no connection."""
        self.loop = asyncio.get_running_loop()
        self.apart_since = self.loop.time()
        self.stopping = False
        self.connection: _Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()

    def start(self) -> None:
        self._task = self.loop.create_task(self._attend())

    async def stop(self) -> None:
        self.stopping = True
        self.hang_up()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    # -- connection

    async def _attend(self) -> None:
        """Connect, and again when the connection is gone, for ever."""
        raise NotImplementedError

    def connected(self, connection: _Connection) -> None:
        self.hang_up()
        self.connection = connection
        self._gone.clear()
        self.worker.end.connect(self.loop.time())
        self.flush()

    def received(self, data: bytes) -> None:
        try:
            self.media.receive(self.worker, data, self.loop.time())
        except LineError as error:
            self.problem = str(error)
            log.warning("media worker's line broken", worker=self.worker.terms.name, why=str(error))
            self.hang_up()
            self.line_error(error)
        else:
            if self.worker.linked:
                self.problem = ""
            self.flush()

    def flush(self) -> None:
        """Write what there is."""
        transport = self.connection.transport if self.connection is not None else None
        if transport is not None and not transport.is_closing():
            data = self.worker.end.take_output()
            if data:
                transport.write(data)

    def hang_up(self) -> None:
        """No connection from now on."""
        connection, self.connection = self.connection, None
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
            self.apart_since = self.loop.time()
        if self.worker.end.phase is not Phase.APART:
            self.worker.end.disconnect()
        self._gone.set()

    def line_error(self, error: LineError) -> None:
        """The connection ended with this."""
        if isinstance(error, OtherWorker):
            self.media.lost(self.worker, str(error), dead=True)

    def check(self, now: float) -> None:
        """Once a second: is it alive?"""
        if self.worker.end.overrun:
            self.give_up("it does not take its commands", now)
        elif self.connection is not None and now - self.worker.end.heard > LINK_SILENCE:
            self.silent(now)

    def silent(self, now: float) -> None:
        """It says nothing on its connection."""
        raise NotImplementedError

    def give_up(self, why: str, now: float) -> None:
        """It is of no use as it is."""
        raise NotImplementedError


class _RemoteWatch(_Watch):
    """A worker of another machine."""

    def __init__(self, media: MediaWorkers, worker: Worker, address: tuple[str, int]) -> None:
        super().__init__(media, worker)
        self._address = address

    async def _attend(self) -> None:
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self.loop.create_connection(lambda: _Connection(self), *self._address)
            except (OSError, TimeoutError) as error:
                self.problem = f"{self._address[0]}:{self._address[1]}: {error or 'no answer'}"
            else:
                await self._gone.wait()
            await asyncio.sleep(REMOTE_RETRY_SECONDS)

    def check(self, now: float) -> None:
        super().check(now)
        if self.connection is None and self.worker.streams and now - self.apart_since > LOST_SECONDS:
            self.give_up(self.problem or "it can't be reached", now)

    def silent(self, now: float) -> None:
        self.problem = "it says nothing"
        self.hang_up()

    def give_up(self, why: str, now: float) -> None:
        self.hang_up()
        self.media.lost(self.worker, why, dead=False)


class _LocalWatch(_Watch):
    """A worker of this machine, of which there always is to be one."""

    local = True

    def __init__(self, media: MediaWorkers, worker: Worker, local: LocalWorkers, path: Path) -> None:
        super().__init__(media, worker)
        self._settings = local
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._descriptor = -1  # of the process, readable when it has ended
        self._since = 0.0
        self._pause = 0.0
        self._died = asyncio.Event()

    # -- process

    async def _attend(self) -> None:
        while not self.stopping:
            if await self._connect():
                await self._gone.wait()
                await asyncio.sleep(RETRY_SECONDS)
            elif self._descriptor < 0:
                if self._pause:
                    await asyncio.sleep(self._pause)
                self._spawn()
            else:
                await asyncio.sleep(RETRY_SECONDS)
                if self.loop.time() - max(self._since, self.apart_since) > START_SECONDS:
                    self.problem = "it does not answer"
                    self._kill()

    async def _connect(self) -> bool:
        try:
            connection = connection_to(self._path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError as problem:
            self.problem = f"{self._path}: {problem.strerror}"
            return False
        self._watch(process_of(connection))
        if self._descriptor < 0:
            connection.close()  # it ended just now
            return False
        await self.loop.create_unix_connection(lambda: _Connection(self), sock=connection)
        return True

    def _spawn(self) -> None:
        settings = self._settings
        words = [*settings.command, "--socket", str(self._path), "--spawned"]
        words += ["--orphan-time", f"{settings.orphan_time:g}"]
        for host in settings.hosts:
            words += ["--host", host]
        self._since = self.loop.time()
        try:
            # A session of its own: Ctrl-C in our terminal, and our end, are none of its business.
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as problem:
            self.problem = f"{words[0]}: {problem.strerror}"
            self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
            log.error("media worker can't be started", worker=self.worker.terms.name, why=self.problem)
            return
        self._process = process
        self._watch(process.pid)

    def _watch(self, pid: int) -> None:
        """Be told when this process ends."""
        if self._descriptor >= 0:
            if pid == self._pid:
                return
            self._forget()
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        self._pid = pid
        self._died.clear()
        if not self._since:
            self._since = self.loop.time()
        self.loop.add_reader(self._descriptor, self._ended)

    def _ended(self) -> None:
        code = self._forget()
        now = self.loop.time()
        steady = now - self._since >= STEADY_SECONDS
        self._pause = 0.0 if steady else min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        why = f"its process {self._pid} ended" + ("" if code is None else f" with {code}")
        self.problem = self.problem or why
        self._since = 0.0
        self.hang_up()
        if self.stopping:
            return
        log.warning("media worker ended", worker=self.worker.terms.name, why=why)
        self.media.lost(self.worker, why, dead=True)

    def _forget(self) -> int | None:
        """Watch the process no longer; its exit code where it was ours."""
        self.loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        self._died.set()
        process, self._process = self._process, None
        return None if process is None else process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    # -- connection

    def received(self, data: bytes) -> None:
        before = self.worker.welcome
        super().received(data)
        welcome = self.worker.welcome
        if welcome is None or welcome is before:
            return
        if [*map(canonical, welcome.hosts)] != [*map(canonical, self._settings.hosts)]:
            # Left from before the settings changed.
            self.problem = f"it binds {', '.join(welcome.hosts)}"
            log.warning("media worker of other settings is ended", worker=self.worker.terms.name, why=self.problem)
            self.hang_up()
            self._signal(signal.SIGTERM)

    def line_error(self, error: LineError) -> None:
        super().line_error(error)
        if isinstance(error, OtherVersion):
            self._signal(signal.SIGTERM)

    def silent(self, now: float) -> None:
        if now - self.worker.end.heard > HUNG_SECONDS:
            self.give_up("it says nothing", now)

    def give_up(self, why: str, now: float) -> None:
        log.error("media worker is ended", worker=self.worker.terms.name, why=why)
        self.problem = why
        self._kill()

    async def stop(self) -> None:
        self.stopping = True
        # Only one that is ours: another signalling process may live, which it serves.
        ours = self._process is not None or self.worker.met
        if self._descriptor >= 0 and ours:
            self._signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._died.wait()
            except TimeoutError:
                log.error("media worker did not end in order", worker=self.worker.terms.name)
                self._kill()
                await self._died.wait()
        await super().stop()
        if self._descriptor >= 0:
            self._forget()


def end_workers(directory: Path, keep: int = 0) -> None:
    """End the workers of an earlier configuration: those with a number from `keep` on."""
    for path in directory.glob("media-*.sock"):
        named = _SOCKET.fullmatch(path.name)
        if named is None or int(named[1]) < keep:
            continue
        try:
            with connection_to(path) as connection:
                pid = process_of(connection)
                log.warning("media worker of an earlier configuration is ended", socket=path.name, process=pid)
                os.kill(pid, signal.SIGTERM)
        except OSError as problem:
            log.info("left behind by a media worker", socket=path.name, why=problem.strerror)
            path.unlink(missing_ok=True)


def _report(worker: Worker) -> WorkerReport:
    load = worker.load
    return WorkerReport(
        name=worker.terms.name,
        process=worker.welcome.pid if worker.welcome is not None else 0,
        linked=worker.linked,
        cpu=load.cpu if load is not None else 0.0,
        streams=len(worker.streams),
        adopted=worker.adopted_streams,
        ports=load.ports if load is not None else 0,
        packets_in=load.packets_in if load is not None else 0,
        packets_out=load.packets_out if load is not None else 0,
        late_ms=load.late_ms if load is not None else 0.0,
        restarts=worker.restarts,
    )

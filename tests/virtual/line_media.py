"""Media workers without processes: the real placement, lines and sessions, carried at once, over engines of the tests,
or the real one without packets.

A worker can be killed, started again, and cut off; a signalling process can be replaced by another that finds the
workers as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

from media.audio_commands import AudioCommand, SetRoom
from media.commands import MediaEvent, StreamClosed, StreamSettings, StreamStats
from media.engine import MediaEngine
from media.line import SignallingEnd, WorkerEnd, WorkerLink
from media.placement import Placement
from media.sessions import Engine, Sessions
from media.wire import Inventory
from media.worker_view import Adoption, Worker, WorkerTerms
from rtp.address import FAMILY_V4

SECRET = b"a secret of the tests"


class AccountEngine:
    """An engine that keeps accounts. `taken`: ports that another program has."""

    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self.streams: dict[int, StreamSettings | None] = {}
        self.at: dict[int, tuple[int, int]] = {}
        self.bridges: dict[int, int] = {}
        self.audios: list[AudioCommand] = []
        self.bound: set[int] = set()
        self.taken: set[int] = set()

    def open_at(self, stream: int, port: int, host: int) -> None:
        assert port in self.bound
        assert stream not in self.streams
        self.streams[stream] = None
        self.at[stream] = (port, host)

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        self.streams[stream] = settings

    def bridge(self, a: int, b: int, now: float) -> None:
        self._part(a)
        self._part(b)
        self.bridges[a], self.bridges[b] = b, a

    def unbridge(self, stream: int, now: float) -> None:
        self._part(stream)

    def echo(self, stream: int, now: float) -> None:
        self._part(stream)
        self.bridges[stream] = stream

    def close(self, stream: int, now: float) -> None:
        self._part(stream)
        del self.streams[stream]
        del self.at[stream]
        self.events.append(StreamClosed(stream, StreamStats(packets_received=1)))

    def audio(self, command: AudioCommand, now: float) -> None:
        self.audios.append(command)
        if isinstance(command, SetRoom):
            for stream in command.members:
                self._part(stream)

    def bind(self, port: int) -> None:
        if port in self.taken:
            raise OSError(98, "Address already in use")
        self.bound.add(port)

    def unbind(self, port: int) -> None:
        self.bound.discard(port)

    def _part(self, stream: int) -> None:
        other = self.bridges.pop(stream, None)
        if other is not None:
            self.bridges.pop(other, None)


class NumberedEngine:
    """The real engine, on sockets that are numbers."""

    def __init__(self, engine: MediaEngine) -> None:
        self.engine = engine
        self.bound: set[int] = set()

    def open_at(self, stream: int, port: int, host: int) -> None:
        self.engine.open(stream, port, port + 1, FAMILY_V4)

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        self.engine.configure(stream, settings, now)

    def bridge(self, a: int, b: int, now: float) -> None:
        self.engine.bridge(a, b)

    def unbridge(self, stream: int, now: float) -> None:
        self.engine.unbridge(stream)

    def echo(self, stream: int, now: float) -> None:
        self.engine.echo(stream)

    def close(self, stream: int, now: float) -> None:
        self.engine.close(stream)

    def audio(self, command: AudioCommand, now: float) -> None:
        self.engine.audio(command, now)

    def bind(self, port: int) -> None:
        self.bound.add(port)

    def unbind(self, port: int) -> None:
        self.bound.discard(port)


class VirtualWorker:
    """A worker process, as far as it is not I/O."""

    numbers = itertools.count(1)

    def __init__(self, engine: Engine, events: list[MediaEvent]) -> None:
        self.engine = engine
        self.events = events
        """The engine's."""
        self.end = WorkerEnd(f"worker{next(self.numbers)}", SECRET, _nonce, (1, ("0.0.0.0",)), self.inventory)
        self.sessions = Sessions(engine, self.end.tell)
        self.link: WorkerLink | None = None

    def inventory(self) -> list[Inventory]:
        return self.sessions.inventory()

    def tell(self) -> None:
        """What the engine has to say goes out."""
        events = self.events[:]
        self.events.clear()
        for event in events:
            self.sessions.heard(event)


class VirtualWorkers(Placement):
    """A signalling process's view of virtual workers, `found` as they are or made anew. Octets are carried at once,
    after each command; `now` is asked for the time."""

    lines = itertools.count(1)

    def __init__(
        self,
        count: int,
        make_worker: Callable[[], VirtualWorker],
        now: Callable[[], float] = lambda: 0.0,
        *,
        ports: tuple[int, int] = (10_000, 19_999),
        shared: int = 4,
        found: list[VirtualWorker | None] | None = None,
        adoption: Adoption | None = None,
    ) -> None:
        size = (ports[1] - ports[0] + 1) // count // 2 * 2
        terms = [
            WorkerTerms(
                name=f"media-{n}",
                rtp_ports=(ports[0] + n * size, ports[0] + (n + 1) * size - 1),
                shared_ports=shared,
                secret=SECRET,
            )
            for n in range(count)
        ]
        self._carrying = False
        self._ready = False
        self._again = False
        self._now = now
        super().__init__(terms, adoption or Adoption(), self._line, self.carry)
        self.make_worker = make_worker
        self.virtual: list[VirtualWorker | None] = found or [make_worker() for _ in range(count)]
        self._ready = True
        for index in range(count):
            self.connect(index)

    def _line(self, terms: WorkerTerms) -> SignallingEnd:
        return SignallingEnd(f"line{next(self.lines)}", SECRET, _nonce)

    # -- what the tests do

    def connect(self, index: int) -> None:
        worker = self.virtual[index]
        if worker is not None:
            self.workers[index].end.connect(self._now())
            worker.link = worker.end.accept(self._now())
            self.carry()

    def cut(self, index: int) -> None:
        """The connection is gone, both processes live."""
        self.workers[index].end.disconnect()
        worker = self.virtual[index]
        assert worker is not None
        if worker.link is not None:
            worker.end.dropped(worker.link)
            worker.link = None

    def kill(self, index: int, restart: bool = False) -> None:
        """The worker is dead."""
        self.workers[index].end.disconnect()
        self.virtual[index] = None
        self.lost(self.workers[index], "killed", dead=True)
        if restart:
            self.restart(index)

    def restart(self, index: int) -> None:
        self.virtual[index] = self.make_worker()
        self.connect(index)

    def vanish(self) -> list[VirtualWorker | None]:
        """The signalling process is dead: the workers, for the next one."""
        for worker in self.virtual:
            if worker is not None and worker.link is not None:
                worker.end.dropped(worker.link)
                worker.link = None
        self._ready = False
        return self.virtual

    def carry(self) -> None:
        """Octets both ways, until there are none."""
        if not self._ready:
            return
        self._again = True
        if self._carrying:
            return
        self._carrying = True
        try:
            while self._again:
                self._again = False
                for worker, virtual in zip(self.workers, self.virtual, strict=True):
                    if virtual is not None and virtual.link is not None:
                        self._exchange(worker, virtual, virtual.link)
        finally:
            self._carrying = False

    def _exchange(self, worker: Worker, virtual: VirtualWorker, link: WorkerLink) -> None:
        now = self._now()
        while True:
            down = worker.end.take_output()
            for command in link.receive(down, now):
                virtual.sessions.carry_out(command, now)
            virtual.tell()
            up = link.take_output()
            if not down and not up:
                return
            self.receive(worker, up, now)


def account_worker() -> VirtualWorker:
    engine = AccountEngine()
    return VirtualWorker(engine, engine.events)


_nonces = itertools.count(1)


def _nonce(octets: int) -> bytes:
    return next(_nonces).to_bytes(octets, "big")

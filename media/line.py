"""The two ends of the line between signalling and a media worker, without sockets and clocks.

Each direction numbers what it carries from 1 on. The sender keeps everything until it is acknowledged, the receiver
knows the last number it has had. A connection may break at any moment: the next one begins with both telling what they
have had (`Hello.seen`, `Welcome.applied`), the sender goes on from there, and what comes twice is passed over. So each
command is applied once and in order, and each event heard once and in order, however often the connection breaks.

    SignallingEnd   commands out, events in; one connection at a time, made by us
    WorkerEnd       events out, commands in; outlives its connections, each of which is a `WorkerLink`

    no connection --connect--> GREETING --Welcome--> WELCOMED --last Inventory--> LINKED
                        ^          |Refused, LineError   |                          |
                        +----------+---------------------+--------- lost -----------+

Nothing grows without bound. Commands: beyond `BUSY_COMMANDS` or `BUSY_OCTETS` unacknowledged the end is `busy` and
whoever places streams refuses new ones; beyond four times that it is `overrun`, and the worker counts as lost. Events:
beyond `MAX_EVENTS` the oldest that are not essential are replaced by a `Gap` that counts them, and where essential ones
alone are too many, those go, too: the inventory of the next connection tells what stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum, auto

import msgspec

from media.audio_commands import Digit, MusicFailed, PlayEnded, RecordingEnded, RecordingFailed, RecordingStarted
from media.commands import StreamClosed, StreamFailed, StreamLatched
from media.wire import (
    MAX_FRAME,
    NONCE_OCTETS,
    VERSION,
    Ack,
    Challenge,
    Commands,
    Events,
    Frame,
    FrameReader,
    Gap,
    Hello,
    Inventory,
    LineCommand,
    LineError,
    LineEvent,
    OtherVersion,
    OtherWorker,
    PortFailed,
    Proof,
    Refused,
    Welcome,
    frame,
    proof,
    proved,
    read_command,
    read_event,
    write,
)

BUSY_COMMANDS = 10_000
BUSY_OCTETS = 8 << 20
OVERRUN = 4  # times that
MAX_EVENTS = 50_000  # kept for a signalling process that does not take them: some minutes of a full worker
WINDOW_OCTETS = 1 << 20  # on the way without an acknowledgement: what a socket has to hold at most
BATCH_OCTETS = 64 << 10  # of one frame of commands or events
LINK_SILENCE = 5.0  # seconds without a frame after which a connection is dead; each side sends one a second

ESSENTIAL = (
    StreamClosed,
    StreamFailed,
    StreamLatched,
    PortFailed,
    PlayEnded,
    Digit,
    MusicFailed,
    RecordingStarted,
    RecordingEnded,
    RecordingFailed,
)
"""Events that change what a call does or what is written down; the others are about the moment."""


class _Entry(msgspec.Struct, gc=False):
    """Something numbered that waits for its acknowledgement: a gap bears several numbers."""

    first: int
    span: int
    raw: bytes
    essential: bool = True
    lost: int = 0  # of a gap: how many essential ones it stands for
    gap: bool = False


class Outbox:
    """What one end sends, numbered, until it is acknowledged."""

    __slots__ = ("_flying", "_limit", "_sent", "_unsent", "octets", "top")

    def __init__(self, limit: int | None = None) -> None:
        """`limit`: entries kept at most, the oldest inessential ones replaced by gaps; None: whoever fills it looks."""
        self.top = 0
        """The number given last."""
        self.octets = 0
        """Of all entries that are kept."""
        self._limit = limit
        self._sent: deque[_Entry] = deque()
        self._unsent: deque[_Entry] = deque()
        self._flying = 0  # octets of those sent

    def __len__(self) -> int:
        return len(self._sent) + len(self._unsent)

    def push(self, raw: bytes, essential: bool = True) -> int:
        """Number it and keep it; the number."""
        self.top += 1
        self._unsent.append(_Entry(self.top, 1, raw, essential))
        self.octets += len(raw)
        if self._limit is not None and len(self._unsent) > self._limit:
            self._thin(self._limit * 3 // 4)
        return self.top

    def acked(self, through: int) -> None:
        """The other end has had everything up to this number. LineError where it was never sent."""
        if through > self.top:
            raise LineError(f"number {through} was acknowledged, but {self.top} is the last one there is")
        for queue in (self._sent, self._unsent):
            while queue and queue[0].first + queue[0].span - 1 <= through:
                size = len(queue.popleft().raw)
                self.octets -= size
                if queue is self._sent:
                    self._flying -= size

    def rewind(self) -> None:
        """The connection is another one: what is not acknowledged is sent again."""
        self._unsent.extendleft(reversed(self._sent))
        self._sent.clear()
        self._flying = 0

    def take(self) -> tuple[int, list[msgspec.Raw]] | None:
        """The next batch: (number of the first, each as written); None when there is none, or the window is full."""
        batch: list[msgspec.Raw] = []
        first = octets = 0
        unsent = self._unsent
        while unsent and self._flying < WINDOW_OCTETS:
            entry = unsent[0]
            if batch and octets + len(entry.raw) > BATCH_OCTETS:
                break
            if not batch:
                first = entry.first
            unsent.popleft()
            self._sent.append(entry)
            batch.append(msgspec.Raw(entry.raw))
            octets += len(entry.raw)
            self._flying += len(entry.raw)
        return (first, batch) if batch else None

    def restart(self) -> None:
        """Another reader from now on, who has had nothing: only what is essential is kept for it, from 1 on."""
        self.rewind()
        kept = [entry for entry in self._unsent if entry.essential and not entry.gap]
        self._unsent.clear()
        self.top = self.octets = 0
        for entry in kept:
            self.push(entry.raw)

    def _thin(self, size: int) -> None:
        """Leave out what is oldest and not essential, then what is oldest, until so many entries are left."""
        thinned = self._unsent
        excess = sum(not entry.gap for entry in thinned) - size
        for essentials in (False, True):
            kept: deque[_Entry] = deque()
            for entry in thinned:
                if not entry.gap and excess > 0 and entry.essential is essentials:
                    excess -= 1
                    entry = _Entry(entry.first, entry.span, b"", True, int(essentials), True)
                if entry.gap and kept and kept[-1].gap:
                    before = kept[-1]
                    before.span += entry.span
                    before.lost += entry.lost
                else:
                    kept.append(entry)
            thinned = kept
        for entry in thinned:
            if entry.gap:
                entry.raw = write(Gap(entry.span, entry.lost))
        self._unsent = thinned
        self.octets = self._flying + sum(len(entry.raw) for entry in thinned)


class Inbox:
    """What one end has had."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen = 0
        """The number of the last one."""

    def commands(self, batch: Commands) -> Iterator[LineCommand]:
        """Those that are new. Raises LineError where some are missing before them."""
        self._follows(batch.first)
        for raw in batch.commands[self.seen + 1 - batch.first :]:
            command = read_command(raw)
            self.seen += 1
            yield command

    def events(self, batch: Events) -> Iterator[LineEvent]:
        """Those that are new; of a gap, as much as is. Raises LineError where some are missing before them."""
        self._follows(batch.first)
        number = batch.first
        for raw in batch.events:
            event = read_event(raw)
            end = number + (max(1, event.dropped) if isinstance(event, Gap) else 1)
            if end - 1 > self.seen:
                if isinstance(event, Gap):
                    event = Gap(end - 1 - self.seen, event.essential)
                self.seen = end - 1
                yield event
            number = end

    def _follows(self, first: int) -> None:
        if not 1 <= first <= self.seen + 1:
            raise LineError(f"a batch begins with number {first}, but {self.seen + 1} would be next")


# ---- the signalling process's end


class Phase(Enum):
    """Where a connection stands."""

    APART = auto()
    GREETING = auto()
    WELCOMED = auto()
    LINKED = auto()


class SignallingEnd:
    """The line to one worker. `line` is a name that no other line ever has; `nonce` gives random octets.

    `connect()`, then carry octets both ways: `receive` and `take_output`; `disconnect()` when the connection is gone.
    """

    __slots__ = ("_inbox", "_line", "_nonce", "_nonces", "_output", "_reader", "_secret", "heard", "outbox", "phase",
                 "worker")  # fmt: skip

    def __init__(self, line: str, secret: bytes, nonce: Callable[[int], bytes]) -> None:
        self.phase = Phase.APART
        self.worker = ""
        """Name of the worker process that this line has spoken with: never another."""
        self.heard = 0.0
        """When a frame came last."""
        self.outbox = Outbox()
        self._line = line
        self._secret = secret
        self._nonce = nonce
        self._nonces = (b"", b"")  # ours, the worker's
        self._inbox = Inbox()
        self._reader = FrameReader()
        self._output: list[bytes] = []

    # -- state

    @property
    def seen(self) -> int:
        """The number of the last event had."""
        return self._inbox.seen

    @property
    def busy(self) -> bool:
        """So much is unacknowledged that no new stream should be put there."""
        return len(self.outbox) >= BUSY_COMMANDS or self.outbox.octets >= BUSY_OCTETS

    @property
    def overrun(self) -> bool:
        """So much is unacknowledged that the worker is of no use any more."""
        return len(self.outbox) >= OVERRUN * BUSY_COMMANDS or self.outbox.octets >= OVERRUN * BUSY_OCTETS

    # -- to the worker

    def connect(self, now: float) -> None:
        """A connection is there: say who we are."""
        self.heard = now
        self.phase = Phase.GREETING
        self._reader = FrameReader()
        self._nonces = (self._nonce(NONCE_OCTETS), b"")
        self._output = [frame(Hello(VERSION, self._line, self._nonces[0], self._inbox.seen, self.worker))]

    def disconnect(self) -> None:
        """The connection is gone."""
        self.phase = Phase.APART
        self._output = []
        self.outbox.rewind()

    def send(self, command: LineCommand) -> int:
        """Have a command carried out; its number. LineError when it is too long to be sent at all."""
        raw = write(command)
        if len(raw) > MAX_FRAME - 64:
            raise LineError(f"a {type(command).__name__} of {len(raw)} octets is too long for the line")
        return self.outbox.push(raw)

    def beat(self) -> None:
        """Show that we are there; once a second."""
        if self.phase is Phase.LINKED:
            self._output.append(frame(Ack(self._inbox.seen)))

    def take_output(self) -> bytes:
        """What is to be written to the connection now."""
        if self.phase is Phase.LINKED:
            while (batch := self.outbox.take()) is not None:
                self._output.append(frame(Commands(*batch)))
        data = b"".join(self._output)
        self._output.clear()
        return data

    # -- from the worker

    def receive(self, data: bytes, now: float) -> Iterator[LineEvent | Welcome | Inventory]:
        """Events, each once and in order, and what a new connection begins with. Raises LineError: hang up then."""
        self._reader.feed(data)
        before = self._inbox.seen
        while (what := self._reader.next()) is not None:
            self.heard = now
            yield from self._frame(what)
        if self._inbox.seen != before:
            self._output.append(frame(Ack(self._inbox.seen)))

    def _frame(self, what: Frame) -> Iterator[LineEvent | Welcome | Inventory]:
        match self.phase, what:
            case _, Refused(why=why, version=version):
                raise LineError(why) if version == VERSION else OtherVersion(why)
            case Phase.GREETING, Challenge():
                self._challenged(what)
            case Phase.GREETING, Welcome():
                self._welcomed(what)
                yield what
            case Phase.WELCOMED, Inventory():
                if what.last:
                    self.phase = Phase.LINKED
                yield what
            case Phase.LINKED, Events():
                yield from self._inbox.events(what)
            case Phase.LINKED, Ack(through=through):
                self.outbox.acked(through)
            case _:
                raise LineError(f"a {type(what).__name__} came out of turn")

    def _challenged(self, what: Challenge) -> None:
        if what.version != VERSION:
            raise OtherVersion(f"the worker speaks version {what.version} of the line, this is version {VERSION}")
        if self.worker not in ("", what.worker):
            raise OtherWorker("another worker process answers there now")
        self.worker = what.worker
        self._nonces = (self._nonces[0], what.nonce)
        self._output.append(frame(Proof(self._proof("signalling"))))

    def _welcomed(self, what: Welcome) -> None:
        if not self._nonces[1] or not proved(what.mac, self._proof("worker")):
            raise LineError("the worker does not know the secret")
        self.outbox.acked(what.applied)
        self.outbox.rewind()
        self.phase = Phase.WELCOMED
        self._reader.limit = MAX_FRAME

    def _proof(self, role: str) -> bytes:
        return proof(self._secret, role, self.worker, self._line, self._nonces[1], self._nonces[0])


# ---- the worker's end


class WorkerEnd:
    """The line as the worker has it: what was applied, what is to be told, and which connection is the one.

    `inventory` tells what there is, in parts that fit into a frame each.
    """

    __slots__ = ("inbox", "inventory", "line", "link", "nonce", "outbox", "secret", "welcome", "worker")

    def __init__(
        self,
        worker: str,
        secret: bytes,
        nonce: Callable[[int], bytes],
        welcome: tuple[int, tuple[str, ...]],
        inventory: Callable[[], list[Inventory]],
    ) -> None:
        """`welcome`: process id and hosts."""
        self.worker = worker
        self.secret = secret
        self.nonce = nonce
        self.welcome = welcome
        self.inventory = inventory
        self.line = ""
        """The line whose commands are counted."""
        self.inbox = Inbox()
        self.outbox = Outbox(MAX_EVENTS)
        self.link: WorkerLink | None = None

    def accept(self, now: float) -> WorkerLink:
        """A connection has come; whose, its greeting will tell."""
        return WorkerLink(self, now)

    def tell(self, event: LineEvent) -> None:
        """Have an event heard."""
        self.outbox.push(write(event), isinstance(event, ESSENTIAL))

    def dropped(self, link: WorkerLink) -> None:
        """A connection is gone."""
        if self.link is link:
            self.link = None

    def take_over(self, link: WorkerLink, hello: Hello, now: float) -> str:
        """Make this the connection; "" or why not."""
        other = self.link
        same = hello.line == self.line
        if other is not None and not same and now - other.heard < LINK_SILENCE:
            return (
                f"another signalling process ({self.line}) is connected to this worker and alive; "
                "end it first, or give each its own workers"
            )
        if other is not None:
            other.over = "another connection took over"
        if not same:
            self.line = hello.line
            self.inbox = Inbox()
            self.outbox.restart()
        if same and hello.of == self.worker:
            self.outbox.acked(hello.seen)
        self.outbox.rewind()
        self.link = link
        return ""


class WorkerLink:
    """One connection, from the worker's side. `over`: why it is to be closed, once its output is written."""

    __slots__ = ("_end", "_hello", "_nonce", "_output", "_reader", "_ready", "heard", "over", "since")

    def __init__(self, end: WorkerEnd, now: float) -> None:
        self.over = ""
        self.heard = self.since = now
        self._end = end
        self._hello: Hello | None = None
        self._nonce = b""
        self._ready = False
        self._reader = FrameReader()
        self._output: list[bytes] = []

    @property
    def ready(self) -> bool:
        """The greeting is over: commands may come."""
        return self._ready

    def receive(self, data: bytes, now: float) -> Iterator[LineCommand]:
        """Commands to be carried out, each once and in order. What is wrong ends in `over`."""
        self._reader.feed(data)
        applied = False
        try:
            while not self.over and (what := self._reader.next()) is not None:
                self.heard = now
                if isinstance(what, Commands) and self._ready:
                    for command in self._end.inbox.commands(what):
                        applied = True
                        yield command
                else:
                    self._frame(what, now)
        except LineError as error:
            self._refuse(str(error))
        if applied and not self.over:
            self._output.append(frame(Ack(self._end.inbox.seen)))

    def take_output(self) -> bytes:
        """What is to be written to the connection now."""
        if self._ready and not self.over:
            while (batch := self._end.outbox.take()) is not None:
                self._output.append(frame(Events(*batch)))
        data = b"".join(self._output)
        self._output.clear()
        return data

    def _frame(self, what: Frame, now: float) -> None:
        match what:
            case Hello() if self._hello is None:
                if what.version != VERSION:
                    raise LineError(f"this worker speaks version {VERSION} of the line, not {what.version}")
                self._hello = what
                self._nonce = self._end.nonce(NONCE_OCTETS)
                self._output.append(frame(Challenge(VERSION, self._end.worker, self._nonce)))
            case Proof() if self._hello is not None and not self._ready:
                self._prove(what, self._hello, now)
            case Ack(through=through) if self._ready:
                self._end.outbox.acked(through)
            case _:
                raise LineError(f"a {type(what).__name__} came out of turn")

    def _prove(self, what: Proof, hello: Hello, now: float) -> None:
        end = self._end
        nonces = (self._nonce, hello.nonce)
        if not proved(what.mac, proof(end.secret, "signalling", end.worker, hello.line, *nonces)):
            raise LineError("wrong secret: media.remote_workers and the worker's secret file must hold the same")
        why = end.take_over(self, hello, now)
        if why:
            raise LineError(why)
        self._ready = True
        self._reader.limit = MAX_FRAME
        mac = proof(end.secret, "worker", end.worker, hello.line, *nonces)
        inventory = [frame(part) for part in end.inventory()]  # first: making it may bring out events that it includes
        self._output.append(frame(Welcome(mac, end.inbox.seen, end.outbox.top, *end.welcome)))
        self._output += inventory

    def _refuse(self, why: str) -> None:
        self.over = why
        self._output.append(frame(Refused(why[:1000])))

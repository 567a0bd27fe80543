"""Which worker carries which stream: a `MediaClient` over the lines to several workers, without sockets and clocks.

Each worker has ports of its own (a slice of the range, or those of another machine), chosen here, so that opening a
stream gives its address at once. A new stream goes to the worker with the least load; streams of one group go together,
since only streams of one worker can hear each other.

A worker that is gone takes its streams along: `StreamLost` for each, which whoever owns them may open again. A worker
that is there before us (this process was restarted) brings streams that nobody here knows: they are adopted. Their
calls have no signalling any more, so all that can be done for them is to let them talk: an adopted stream is closed,
and its partner with it, once one of the two has been silent for `Adoption.silence` seconds (where neither is to be
heard, on hold, that long after the adoption), and after `Adoption.longest` seconds at the latest. Meanwhile it holds
its port and address like any other.

Whoever runs it (`media.workers`) connects the lines, carries their octets, says when a worker is gone and calls `mind`
about once a second.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import msgspec
import structlog

from media.addresses import comparable, host_for, placeable
from media.audio_commands import (
    AudioCommand,
    CloseRoom,
    PauseRecording,
    Play,
    PlayEnded,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    SetRecordingChannels,
    SetRoom,
    StartRecording,
    StopPlay,
    StopRecording,
)
from media.commands import (
    MediaAddress,
    MediaEvent,
    NoMediaPorts,
    Quiet,
    StreamClosed,
    StreamFailed,
    StreamLatched,
    StreamLost,
    StreamSettings,
    StreamSilent,
    StreamStats,
)
from media.line import SignallingEnd
from media.wire import (
    BindPorts,
    Bridge,
    Close,
    Configure,
    Echo,
    Gap,
    Inventory,
    LineCommand,
    LineError,
    LineEvent,
    Open,
    PortFailed,
    Session,
    UnbindPorts,
    Unbridge,
    Welcome,
    WorkerLoad,
)
from media.worker_view import Adoption, Placed, Worker, WorkerTerms, announced_host, burden
from rtp.address import canonical

log = structlog.get_logger("media")

SHRINK_SECONDS = 10.0


class Placement:
    """See the module. `line` names a new line, `notify` is called when `events` or a worker's output has something new.

    counters: streams lost and adopted, events left out, since the start.
    """

    def __init__(
        self,
        terms: list[WorkerTerms],
        adoption: Adoption,
        new_end: Callable[[WorkerTerms], SignallingEnd],
        notify: Callable[[], None],
    ) -> None:
        self.events: list[MediaEvent] = []
        self.counters: Counter[str] = Counter()
        self.workers = [Worker(index, each, new_end(each)) for index, each in enumerate(terms)]
        self._adoption = adoption
        self._new_end = new_end
        self._notify = notify
        self._streams: dict[int, Placed] = {}
        self._lost: set[int] = set()  # streams that were told lost and are neither opened again nor closed
        self._groups: dict[str, tuple[Worker, set[int]]] = {}
        self._rooms: dict[int, Worker] = {}
        self._plays: dict[int, Worker] = {}
        self._recordings: dict[int, tuple[Worker, str]] = {}  # and the path, once it is told
        self._shrunk = 0.0

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
        if stream in self._streams:
            raise ValueError(f"stream {stream} is open")
        peer = comparable(peer_host)
        address = None
        if remote is not None and placeable(remote):
            address = (comparable(remote.host), remote.port)
        problem = NoMediaPorts("no media worker is there")
        for worker in self._candidates(group):
            try:
                if worker.end.busy:
                    raise NoMediaPorts(f"worker busy: {worker.terms.name} does not keep up")
                host = host_for(worker.hosts, local_host, peer if address is None else address[0])
                announced = announced_host(worker, host, local_host)
                port = worker.pool.open(stream, peer, address, nat, beside)
            except NoMediaPorts as full:
                problem = full
                continue
            placed = Placed(worker, group)
            placed.place = None if address is None else (*address, nat, peer)
            placed.opened = worker.end.outbox.top + 1
            worker.fresh += 1
            self._keep(stream, placed)
            self._send(worker, Open(stream, port, host))
            return MediaAddress(announced, port, port + 1)
        raise problem

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        placed = self._live(stream)
        if placed is None or placed.settings == settings:
            return
        remote = settings.remote
        if placeable(remote):
            place = (comparable(remote.host), remote.port, settings.nat, comparable(settings.signalled_host))
            if placed.place != place:
                placed.place = place
                # What the pool finds taken the engine finds taken, too, and tells.
                placed.worker.pool.remote_changed(stream, (place[0], place[1]), settings.nat, place[3])
        placed.settings = settings
        self._send(placed.worker, Configure(stream, settings))

    def bridge(self, a: int, b: int, now: float) -> None:
        first, second = self._live(a), self._live(b)
        if first is None or second is None:
            return
        if first.worker is second.worker:
            self._send(first.worker, Bridge(a, b))
        else:
            self._apart(a, [first.worker, second.worker])

    def unbridge(self, stream: int, now: float) -> None:
        self._about(stream, Unbridge(stream))

    def echo(self, stream: int, now: float) -> None:
        self._about(stream, Echo(stream))

    def close(self, stream: int, now: float) -> None:
        placed = self._live(stream)
        if placed is not None:
            self._close(stream, placed, now)
        elif stream in self._lost:
            self._lost.discard(stream)
            self._tell(StreamClosed(stream, StreamStats()))

    def regroup(self, stream: int, group: str, now: float) -> bool:
        placed = self._live(stream)
        if placed is None or placed.group == group:
            return stream not in self._lost
        there = self._groups.get(group)
        if there is not None and there[0] is not placed.worker:
            self._leave(stream, placed, now)
            return False
        self._leave_group(stream, placed)
        placed.group = group
        self._enter_group(stream, placed)
        return True

    def audio(self, command: AudioCommand, now: float) -> None:
        match command:
            case SetRoom(room=room, members=members):
                worker = self._together(members)
                if worker is not None:
                    self._rooms[room] = worker
                    # Those that went with a worker, and are not open again yet, are none of this one's streams.
                    there = tuple([stream for stream in members if self._worker_of(stream) is worker])
                    command = msgspec.structs.replace(command, members=there)
            case CloseRoom(room=room):
                worker = self._rooms.pop(room, None)
            case Play(play=play):
                worker = self._rooms.get(command.room) if command.room else self._worker_of(command.stream)
                if worker is None:
                    self._tell(PlayEnded(play, "lost", "its stream or room is on no media worker"))
                    return
                self._plays[play] = worker
            case StopPlay(play=play):
                worker = self._plays.get(play)
            case StartRecording(recording=recording, channels=channels):
                worker = self._together(tuple([stream for stream, _ in channels]))
                if worker is None:
                    self._tell(RecordingFailed(recording, "", "its streams are on no media worker"))
                    return
                self._recordings[recording] = (worker, "")
            case (
                SetRecordingChannels(recording=recording)
                | PauseRecording(recording=recording)
                | StopRecording(recording=recording)
            ):
                worker, _ = self._recordings.get(recording, (None, ""))
            case _:
                worker = self._worker_of(command.stream)
        if worker is not None:
            self._send(worker, command)

    # -- what there is

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def quiet(self) -> tuple[Quiet, ...]:
        """Streams that nothing comes from, or goes to, although it should, as their workers have told last."""
        loads = [(worker, worker.load) for worker in self.workers if worker.linked and worker.load is not None]
        return tuple([each for worker, load in loads for each in load.quiet if each.stream in worker.streams])

    @property
    def adopted(self) -> int:
        """Streams taken over from before a restart of this process."""
        return sum(worker.adopted_streams for worker in self.workers)

    def close_all(self, now: float) -> None:
        """Close every stream, adopted ones too."""
        for stream, placed in list(self._streams.items()):
            if not placed.closing:
                self._close(stream, placed, now)

    # -- from the workers

    def receive(self, worker: Worker, data: bytes, now: float) -> None:
        """Octets of a worker's connection. LineError: it is to be hung up."""
        try:
            for item in worker.end.receive(data, now):
                self._heard(worker, item, now)
        finally:
            self._notify()
        missing = worker.missing
        if missing is not None and worker.end.seen >= missing[0]:
            worker.missing = None
            for stream in missing[1]:
                self._is_gone(worker, stream, "the worker has it no more")

    def lost(self, worker: Worker, why: str, dead: bool) -> None:
        """A worker is gone, or (not `dead`) can't be reached any more: so are its streams."""
        worker.restarts += 1
        if worker.streams:
            self.counters["streams lost"] += len(worker.streams)
            log.error("media worker lost", worker=worker.terms.name, why=why, streams=len(worker.streams))
        if dead:
            worker.abandoned.clear()
        else:
            worker.abandoned.update(worker.streams, worker.leaving)
        for stream in list(worker.streams):
            self._is_gone(worker, stream, why)
        for play in [play for play, on in self._plays.items() if on is worker]:
            del self._plays[play]
            self._tell(PlayEnded(play, "lost", f"media worker {worker.terms.name} lost: {why}"))
        for recording, path in [(each, path) for each, (on, path) in self._recordings.items() if on is worker]:
            del self._recordings[recording]
            self._tell(RecordingFailed(recording, path, f"media worker {worker.terms.name} lost: {why}"))
        for room in [room for room, on in self._rooms.items() if on is worker]:
            del self._rooms[room]
        worker.begin(self._new_end(worker.terms))

    # -- deadlines

    def mind(self, now: float) -> None:
        """About once a second: signs of life, idle ports, adopted streams whose time has come."""
        shrink = now - self._shrunk >= SHRINK_SECONDS
        if shrink:
            self._shrunk = now
        for worker in self.workers:
            worker.end.beat()
            if shrink and worker.met and (idle := worker.pool.shrink(now)):
                self._send(worker, UnbindPorts(tuple(idle)))
            for stream, placed in list(worker.streams.items()):
                if placed.adopted is not None and not placed.closing:
                    age = now - placed.adopted
                    if age >= self._adoption.longest or (age >= self._adoption.silence and self._unheard(placed)):
                        self._let_go(stream, placed, now)
        self._notify()

    # -- below: commands

    def _candidates(self, group: str) -> list[Worker]:
        """Workers that may take a stream of this group, the best one first."""
        if group in self._groups:
            return [worker for worker in (self._groups[group][0],) if worker.linked]
        linked = [worker for worker in self.workers if worker.linked]
        return linked if len(linked) < 2 else sorted(linked, key=burden)

    def _keep(self, stream: int, placed: Placed) -> None:
        self._streams[stream] = placed.worker.streams[stream] = placed
        self._lost.discard(stream)
        self._enter_group(stream, placed)

    def _enter_group(self, stream: int, placed: Placed) -> None:
        if placed.group:
            self._groups.setdefault(placed.group, (placed.worker, set()))[1].add(stream)

    def _forget(self, stream: int) -> Placed:
        placed = self._streams.pop(stream)
        placed.worker.streams.pop(stream)
        self._leave_group(stream, placed)
        for key, left in list(placed.worker.adopted.items()):
            left.discard(stream)
            if not left:
                del placed.worker.adopted[key]
                self._send(placed.worker, StopRecording(key[1]) if key[0] else CloseRoom(key[1]))
        return placed

    def _leave_group(self, stream: int, placed: Placed) -> None:
        if placed.group:
            members = self._groups[placed.group][1]
            members.discard(stream)
            if not members:
                del self._groups[placed.group]

    def _live(self, stream: int) -> Placed | None:
        placed = self._streams.get(stream)
        return None if placed is None or placed.closing else placed

    def _worker_of(self, stream: int) -> Worker | None:
        placed = self._live(stream)
        return None if placed is None else placed.worker

    def _about(self, stream: int, command: LineCommand) -> None:
        worker = self._worker_of(stream)
        if worker is not None:
            self._send(worker, command)

    def _close(self, stream: int, placed: Placed, now: float) -> None:
        # Commands are carried out in order: whoever gets the port next is opened after this one is closed.
        placed.closing = placed.worker.end.outbox.top + 1
        placed.worker.pool.close(stream, now)
        self._send(placed.worker, Close(stream))

    def _leave(self, stream: int, placed: Placed, now: float) -> None:
        """Close a stream that is to be opened on another worker: whoever owns it is not told of this end. All is as it
        will be before the command goes: its answer may be here before this returns."""
        worker = placed.worker
        self._forget(stream)
        worker.pool.close(stream, now)
        worker.leaving[stream] += 1
        self._lost.add(stream)
        self._send(worker, Close(stream))

    def _together(self, streams: tuple[int, ...]) -> Worker | None:
        """The worker that has all of these streams; those that are gone don't count. Told where there are several."""
        workers = {worker.index: worker for worker in map(self._worker_of, streams) if worker is not None}
        if len(workers) > 1:
            self._apart(streams[0], list(workers.values()))
            return None
        return next(iter(workers.values()), None)

    def _apart(self, stream: int, workers: list[Worker]) -> None:
        names = " and ".join(worker.terms.name for worker in workers)
        log.error("streams on different media workers can't hear each other", stream=stream, workers=names)
        self._tell(StreamFailed(stream, f"it can't be joined with a stream on another media worker ({names})"))

    def _send(self, worker: Worker, command: LineCommand) -> None:
        worker.end.send(command)
        self._notify()

    def _tell(self, event: MediaEvent) -> None:
        self.events.append(event)
        self._notify()

    # -- below: from the workers

    def _heard(self, worker: Worker, item: LineEvent | Welcome | Inventory, now: float) -> None:
        match item:
            case Welcome():
                worker.welcome = item
                worker.hosts = [canonical(host) for host in item.hosts]
                worker.inventory = []
            case Inventory():
                worker.inventory.append(item)
                if item.last:
                    self._take_stock(worker, now)
            case WorkerLoad():
                worker.load = item
                worker.fresh = 0
            case PortFailed():
                self._port_failed(worker, item)
            case Gap(dropped=dropped, essential=essential):
                self.counters["events of media workers left out"] += dropped
                if essential:
                    # What these were can be told from what stands: begin anew.
                    worker.leaving.clear()
                    raise LineError(f"{essential} events that matter were left out")
            case StreamClosed(stream=stream):
                self._closed(worker, stream, item)
            case StreamLatched(stream=stream):
                placed = worker.streams.get(stream)
                if placed is not None and placed.leased and not placed.closing:
                    worker.pool.latched(stream, (item.host, item.port))
                if placed is not None and placed.adopted is None:
                    self.events.append(item)
            case StreamSilent(stream=stream):
                placed = worker.streams.get(stream)
                if placed is not None and placed.adopted is not None:
                    self._let_go(stream, placed, now)
                elif placed is not None:
                    self.events.append(item)
            case _:
                self._pass_on(worker, item)

    def _pass_on(self, worker: Worker, event: MediaEvent) -> None:
        match event:
            case PlayEnded(play=play):
                self._plays.pop(play, None)
            case RecordingStarted(recording=recording):
                if recording in self._recordings:
                    self._recordings[recording] = (worker, event.path)
            case RecordingEnded(recording=recording) | RecordingFailed(recording=recording):
                self._recordings.pop(recording, None)
            case StreamFailed(stream=stream):
                placed = worker.streams.get(stream)
                if placed is not None and placed.adopted is not None:
                    log.warning("adopted stream failed", stream=stream, why=event.why)
                    return
        self.events.append(event)

    def _port_failed(self, worker: Worker, event: PortFailed) -> None:
        log.warning("RTP port can't be bound", worker=worker.terms.name, port=event.port, why=event.why)
        shared = event.port in worker.pool.opened
        worker.pool.unusable(event.port)
        if shared and event.taken:
            try:
                self._send(worker, BindPorts((worker.pool.replace_broken(),)))
            except NoMediaPorts as none:
                log.warning("fewer RTP ports than configured", worker=worker.terms.name, why=str(none))

    def _closed(self, worker: Worker, stream: int, event: StreamClosed) -> None:
        if worker.leaving[stream]:
            worker.leaving -= Counter((stream,))  # it may be here again already
            return
        placed = worker.streams.get(stream)
        if placed is None:
            return
        self._forget(stream)
        if not placed.closing:
            worker.pool.close(stream, 0.0)  # it had been without us for too long, and closed everything
        if placed.adopted is not None:
            return
        if placed.closing:
            self.events.append(event)
        else:
            self._lost.add(stream)
            self.events.append(StreamLost(stream, "the worker had been alone for too long"))

    def _is_gone(self, worker: Worker, stream: int, why: str) -> None:
        """A stream is not there any more, and the worker will tell nothing of it."""
        if stream not in worker.streams:
            return
        placed = self._forget(stream)
        if not placed.closing:
            worker.pool.close(stream, 0.0)
        if placed.adopted is not None:
            return
        if placed.closing:
            self._tell(StreamClosed(stream, StreamStats()))
        else:
            self._lost.add(stream)
            self._tell(StreamLost(stream, why))

    def _take_stock(self, worker: Worker, now: float) -> None:
        """A connection is up: what of ours does the worker have, and what of others?"""
        parts, worker.inventory = worker.inventory, []
        welcome = worker.welcome
        assert welcome is not None
        sessions = {session.stream: session for part in parts for session in part.sessions}
        missing = [
            stream
            for stream, placed in worker.streams.items()
            if placed.opened <= welcome.applied and stream not in sessions
        ]
        worker.missing = (welcome.told, missing) if missing else None
        if worker.met:
            for stream in sessions.keys() - worker.streams.keys():
                self._send(worker, Close(stream))
            return
        worker.met = True
        adopted = 0
        for stream, session in sessions.items():
            if stream in self._streams or stream in self._lost or stream in worker.abandoned or not session.settings:
                self._send(worker, Close(stream))
            else:
                self._adopt(worker, session, session.settings, now)
                adopted += 1
        worker.abandoned.clear()
        if adopted:
            self.counters["streams adopted"] += adopted
            log.warning("streams adopted: their media goes on", worker=worker.terms.name, streams=adopted)
        taken = [port for part in parts for port in part.ports]
        self._reserve(worker, taken)
        self._send(worker, BindPorts(tuple(port for port in worker.pool.opened if port not in taken)))
        self._adopt_audio(worker, parts)

    def _adopt(self, worker: Worker, session: Session, settings: StreamSettings, now: float) -> None:
        placed = Placed(worker, "")
        placed.adopted = now
        placed.partner = session.partner
        remote, waiting = session.source, ""
        if remote is None and placeable(settings.remote):
            remote = (comparable(settings.remote.host), settings.remote.port)
            waiting = comparable(settings.signalled_host) if settings.nat else ""
        host = remote[0] if remote is not None else comparable(settings.signalled_host)
        placed.leased = worker.pool.adopt(session.stream, session.port, host, remote, waiting)
        self._keep(session.stream, placed)
        limit = min(settings.silence_after or self._adoption.silence, self._adoption.silence)
        placed.settings = msgspec.structs.replace(settings, silence_after=limit)
        self._send(worker, Configure(session.stream, placed.settings))

    def _reserve(self, worker: Worker, ports: list[int]) -> None:
        """Ports that a worker has bound on this machine are none of another's, whatever the slices are now."""
        own = worker.terms.rtp_ports
        for other in self.workers:
            if other is worker or not (other.local and worker.local):
                continue
            first, last = other.terms.rtp_ports
            for port in ports:
                if first <= port <= last and not own[0] <= port <= own[1]:
                    other.pool.unusable(port)

    def _adopt_audio(self, worker: Worker, parts: list[Inventory]) -> None:
        """Rooms and recordings end with the last of their streams; those of which no stream was adopted at once: a room
        that lived on elsewhere may come back under its number."""
        found = [(False, room.room, room.members) for part in parts for room in part.rooms]
        for recording in itertools.chain.from_iterable(part.recordings for part in parts):
            found.append((True, recording.recording, tuple([stream for stream, _ in recording.channels])))
        for is_recording, number, streams in found:
            left = {stream for stream in streams if stream in worker.streams and not worker.streams[stream].closing}
            if left:
                worker.adopted[is_recording, number] = left
            else:
                self._send(worker, StopRecording(number) if is_recording else CloseRoom(number))

    def _unheard(self, placed: Placed) -> bool:
        """Whether neither an adopted stream nor its partner is to be heard."""
        partner = self._streams.get(placed.partner) if placed.partner is not None else None
        sides = (placed, partner) if partner is not None else (placed,)
        return not any(side.settings is not None and side.settings.receive for side in sides)

    def _let_go(self, stream: int, placed: Placed, now: float) -> None:
        """Close an adopted stream and its partner."""
        for each in {stream, stream if placed.partner is None else placed.partner}:
            found = self._live(each)
            if found is not None and found.adopted is not None:
                self._close(each, found, now)

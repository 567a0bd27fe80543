"""The worker's side of the line: commands carried out on an engine, and an account of what there is. Pure.

The account (streams, whom each is bridged with, ports, rooms, recordings) is what a signalling process is told when it
connects: it may be another than the one whose commands made all that.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Protocol

import msgspec

from media.audio_commands import (
    AudioCommand,
    CloseRoom,
    RecordingEnded,
    RecordingFailed,
    SetRecordingChannels,
    SetRoom,
    StartRecording,
    StopRecording,
)
from media.commands import (
    MediaEvent,
    StreamClosed,
    StreamFailed,
    StreamLatched,
    StreamSettings,
    StreamStats,
)
from media.wire import (
    BindPorts,
    Bridge,
    Close,
    Configure,
    Echo,
    Inventory,
    LineCommand,
    LineEvent,
    Open,
    PortFailed,
    Session,
    UnbindPorts,
    Unbridge,
)

SESSIONS_PER_PART = 200  # of an inventory; each is some hundred octets, a few thousand at worst


class Engine(Protocol):
    """What carries the streams: `media.client.EngineDriver`."""

    def open_at(self, stream: int, port: int, host: int) -> None: ...
    def configure(self, stream: int, settings: StreamSettings, now: float) -> None: ...
    def bridge(self, a: int, b: int, now: float) -> None: ...
    def unbridge(self, stream: int, now: float) -> None: ...
    def echo(self, stream: int, now: float) -> None: ...
    def close(self, stream: int, now: float) -> None: ...
    def audio(self, command: AudioCommand, now: float) -> None: ...
    def bind(self, port: int) -> None: ...
    def unbind(self, port: int) -> None: ...


class _Stream:
    """A stream that was opened and is not closed, whether or not the engine could take it."""

    __slots__ = ("host", "partner", "port", "settings", "source", "there")

    def __init__(self, port: int, host: int) -> None:
        self.port = port
        self.host = host
        self.there = True
        self.settings: StreamSettings | None = None
        self.source: tuple[str, int] | None = None
        self.partner: int | None = None


class Sessions:
    """Streams, rooms and recordings of one worker. `tell` takes events that the engine does not tell itself; the
    engine's own go through `heard` on their way."""

    __slots__ = ("_engine", "_ports", "_recordings", "_rooms", "_streams", "_tell")

    def __init__(self, engine: Engine, tell: Callable[[LineEvent], None]) -> None:
        self._engine = engine
        self._tell = tell
        self._streams: dict[int, _Stream] = {}
        self._ports: set[int] = set()
        self._rooms: dict[int, SetRoom] = {}
        self._recordings: dict[int, StartRecording] = {}

    def __len__(self) -> int:
        return len(self._streams)

    # -- from the signalling

    def carry_out(self, command: LineCommand, now: float) -> None:
        """One command."""
        match command:
            case Open():
                self._open(command)
            case Configure(stream=stream, settings=settings):
                if (found := self._streams.get(stream)) is not None:
                    found.settings = settings
                    self._engine.configure(stream, settings, now)
            case Bridge(a=a, b=b):
                self._bridge(a, b, now)
            case Unbridge(stream=stream):
                self._part(stream)
                self._engine.unbridge(stream, now)
            case Echo(stream=stream):
                if stream in self._streams:
                    self._part(stream)
                    self._streams[stream].partner = stream
                    self._engine.echo(stream, now)
            case Close(stream=stream):
                self._close(stream, now)
            case BindPorts(ports=ports):
                for port in ports:
                    self._bind(port)
            case UnbindPorts(ports=ports):
                for port in ports:
                    self._ports.discard(port)
                    self._engine.unbind(port)
            case _:
                self._audio(command, now)

    def close_all(self, now: float) -> None:
        """Nobody asks for any of this any more."""
        for recording in list(self._recordings):
            self._engine.audio(StopRecording(recording), now)
        for room in list(self._rooms):
            self._audio(CloseRoom(room), now)
        for stream in list(self._streams):
            self._close(stream, now)

    # -- from the engine

    def heard(self, event: MediaEvent) -> None:
        """An event of the engine, which goes to the signalling."""
        match event:
            case StreamLatched(stream=stream, host=host, port=port):
                if stream in self._streams:
                    self._streams[stream].source = (host, port)
            case RecordingEnded(recording=recording) | RecordingFailed(recording=recording):
                self._recordings.pop(recording, None)
        self._tell(event)

    # -- what there is

    def inventory(self) -> list[Inventory]:
        """Everything, in parts that fit into a frame each."""
        sessions = [
            Session(stream, each.port, each.host, each.settings, each.source, each.partner)
            for stream, each in self._streams.items()
        ]
        parts = [
            Inventory(tuple(sessions[at : at + SESSIONS_PER_PART])) for at in range(0, len(sessions), SESSIONS_PER_PART)
        ]
        parts += [Inventory(rooms=(room,)) for room in self._rooms.values()]
        parts += [Inventory(recordings=(recording,)) for recording in self._recordings.values()]
        return [*parts, Inventory(ports=tuple(sorted(self._ports)), last=True)]

    # -- below

    def _open(self, command: Open) -> None:
        stream, port = command.stream, command.port
        if stream in self._streams:
            return
        self._streams[stream] = _Stream(port, command.host)
        if self._bind(port):
            self._engine.open_at(stream, port, command.host)
        else:
            self._streams[stream].there = False
            self._tell(StreamFailed(stream, f"RTP port {port} can't be bound"))

    def _bind(self, port: int) -> bool:
        if port in self._ports:
            return True
        try:
            self._engine.bind(port)
        except OSError as problem:
            self._tell(PortFailed(port, problem.strerror or str(problem), problem.errno == errno.EADDRINUSE))
            return False
        self._ports.add(port)
        return True

    def _bridge(self, a: int, b: int, now: float) -> None:
        first, second = self._streams.get(a), self._streams.get(b)
        if first is None or second is None or first is second:
            return
        self._part(a)
        self._part(b)
        first.partner, second.partner = b, a
        self._engine.bridge(a, b, now)

    def _part(self, stream: int) -> None:
        found = self._streams.get(stream)
        if found is None or found.partner is None:
            return
        other = self._streams.get(found.partner)
        found.partner = None
        if other is not None:
            other.partner = None

    def _close(self, stream: int, now: float) -> None:
        self._part(stream)
        found = self._streams.pop(stream, None)
        if found is None:
            return
        if found.there:
            self._engine.close(stream, now)
        else:
            self._tell(StreamClosed(stream, StreamStats()))

    def _audio(self, command: AudioCommand, now: float) -> None:
        match command:
            case SetRoom(room=room, members=members):
                for stream in members:
                    self._part(stream)
                self._rooms[room] = command
            case CloseRoom(room=room):
                self._rooms.pop(room, None)
            case StartRecording(recording=recording):
                self._recordings[recording] = command
            case SetRecordingChannels(recording=recording, channels=channels):
                if (before := self._recordings.get(recording)) is not None:
                    # A stream without a label keeps the one that it had.
                    labels = {**dict(before.labels), **dict(command.labels)}
                    kept = tuple([(stream, labels[stream]) for stream, _ in channels if stream in labels])
                    self._recordings[recording] = msgspec.structs.replace(before, channels=channels, labels=kept)
        self._engine.audio(command, now)

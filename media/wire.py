"""What crosses the line between the signalling process and a media worker: structs, and how they are framed. Pure.

A frame is a length (4 octets, big-endian) and that many octets of MessagePack: one struct, told from others by its
tag. A connection begins with a handshake, in which each side proves that it knows the secret (HMAC-SHA256 over both
nonces and both names; an empty secret where the file system says who may connect):

    signalling -> worker   Hello       version, who I am, how many events of which worker I have had
    worker -> signalling   Challenge   version, who I am, a nonce
    signalling -> worker   Proof
    worker -> signalling   Welcome     its own proof, how many commands were applied; Inventory follows
                           Refused     at any time: why, and the end of the connection

Then numbered commands go one way and numbered events the other, each in batches and acknowledged cumulatively (`Ack`).
What numbers are for, and what happens after a reconnect, stands in `media.line`.
"""

from __future__ import annotations

import hmac
from typing import Any

import msgspec

from media.audio_commands import AudioCommand, SetRoom, StartRecording
from media.commands import MediaEvent, Quiet, StreamSettings

VERSION = 1
"""Of everything here. Both ends are of one version, or they don't talk."""

MAX_FRAME = 1 << 20
"""Octets of a frame. The longest legitimate one is a batch (`media.line.BATCH_OCTETS`) or a room of thousands."""

MAX_GREETING = 4096
"""Octets of a frame before the other side has proved who it is."""

NONCE_OCTETS = 32
_LENGTH_OCTETS = 4


class LineError(Exception):
    """The other end does not speak this protocol, or not in order: the connection is over. The text says what came."""


class OtherVersion(LineError):
    """The other end is of another version of this program."""


class OtherWorker(LineError):
    """Another worker process answers where the one of this line did: that one is gone."""


# ---- handshake


class Hello(msgspec.Struct, frozen=True, gc=False, tag=True):
    """`line` names one run of numbers of one signalling process: commands count from 1 for each. `seen` is the number
    of the last event had of the worker `of` ("" before the first one)."""

    version: int
    line: str
    nonce: bytes
    seen: int = 0
    of: str = ""


class Challenge(msgspec.Struct, frozen=True, gc=False, tag=True):
    """`worker` names one run of a worker process."""

    version: int
    worker: str
    nonce: bytes


class Proof(msgspec.Struct, frozen=True, gc=False, tag=True):
    """That the signalling side knows the secret."""

    mac: bytes


class Welcome(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The worker takes this connection. `mac`: that it knows the secret, too. `applied`: the number of the last command
    of this line that was carried out. `told`: of the last event that has happened; what the inventory says is later
    than that event and earlier than the next. `hosts`: the addresses it binds, which `Open.host` is an index of."""

    mac: bytes
    applied: int
    told: int
    pid: int
    hosts: tuple[str, ...]


class Refused(msgspec.Struct, frozen=True, gc=False, tag=True):
    """No: `why` is one line for an operator."""

    why: str
    version: int = VERSION


# ---- inventory


class Session(msgspec.Struct, frozen=True, gc=False):
    """One stream as the worker has it. `source`: where a NATed one was latched to. `partner`: whom it is bridged with,
    itself for an echo."""

    stream: int
    port: int
    host: int
    settings: StreamSettings | None = None
    source: tuple[str, int] | None = None
    partner: int | None = None


class Inventory(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A part of what the worker has, after `Welcome`; `last` ends it."""

    sessions: tuple[Session, ...] = ()
    ports: tuple[int, ...] = ()
    rooms: tuple[SetRoom, ...] = ()
    recordings: tuple[StartRecording, ...] = ()
    last: bool = False


# ---- commands


class Open(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A stream on a port (bound now, if it is not), of the host with this index. StreamFailed where that can't be."""

    stream: int
    port: int
    host: int


class Configure(msgspec.Struct, frozen=True, gc=False, tag=True):
    stream: int
    settings: StreamSettings


class Bridge(msgspec.Struct, frozen=True, gc=False, tag=True):
    a: int
    b: int


class Unbridge(msgspec.Struct, frozen=True, gc=False, tag=True):
    stream: int


class Echo(msgspec.Struct, frozen=True, gc=False, tag=True):
    stream: int


class Close(msgspec.Struct, frozen=True, gc=False, tag=True):
    stream: int


class BindPorts(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Open these pairs (each named by its RTP port); PortFailed for those that can't be."""

    ports: tuple[int, ...]


class UnbindPorts(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Close these pairs: no stream is on them."""

    ports: tuple[int, ...]


LineCommand = Open | Configure | Bridge | Unbridge | Echo | Close | BindPorts | UnbindPorts | AudioCommand


# ---- events


class PortFailed(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A pair of ports can't be bound. `taken`: another program has it; else the host is none of this machine's, or the
    process may open no more sockets."""

    port: int
    why: str
    taken: bool


class WorkerLoad(msgspec.Struct, frozen=True, gc=False, tag=True):
    """How a worker does, about once a second. `cpu`: of one core, since the last one. `late_ms`: how much later than
    due its loop came to its timers, at worst."""

    cpu: float
    streams: int
    ports: int
    packets_in: int
    packets_out: int
    late_ms: float = 0.0
    counters: dict[str, int] = {}
    quiet: tuple[Quiet, ...] = ()


class Gap(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Stands for events that were left out because the other end did not take them; `essential` of them mattered. It
    bears as many numbers as it left out."""

    dropped: int
    essential: int = 0


LineEvent = MediaEvent | PortFailed | WorkerLoad | Gap


# ---- numbered batches


class Commands(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Commands numbered from `first` on, each written by itself."""

    first: int
    commands: list[msgspec.Raw]


class Events(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Events numbered from `first` on; a `Gap` among them bears several numbers."""

    first: int
    events: list[msgspec.Raw]


class Ack(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Everything up to this number has come. Sent when something has, and every second as a sign of life."""

    through: int


Frame = Hello | Challenge | Proof | Welcome | Refused | Inventory | Commands | Events | Ack

_encode = msgspec.msgpack.Encoder().encode
_frame = msgspec.msgpack.Decoder(Frame)
_command = msgspec.msgpack.Decoder(LineCommand)
_event = msgspec.msgpack.Decoder(LineEvent)


def frame(what: Frame) -> bytes:
    """A frame, ready to be sent. LineError when it would be too long."""
    body = _encode(what)
    if len(body) > MAX_FRAME:
        raise LineError(f"a {type(what).__name__} of {len(body)} octets is more than a frame may hold ({MAX_FRAME})")
    return len(body).to_bytes(_LENGTH_OCTETS, "big") + body


def write(what: LineCommand | LineEvent) -> bytes:
    """One command or event, for a batch."""
    return _encode(what)


def read_command(raw: msgspec.Raw) -> LineCommand:
    """Raises LineError."""
    found: LineCommand = _read(_command, raw)
    return found


def read_event(raw: msgspec.Raw) -> LineEvent:
    """Raises LineError."""
    found: LineEvent = _read(_event, raw)
    return found


class FrameReader:
    """Cuts a stream of octets into frames. `limit` is the longest one taken, to be raised once the peer is known."""

    __slots__ = ("_at", "_buffer", "limit")

    def __init__(self, limit: int = MAX_GREETING) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> None:
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def next(self) -> Frame | None:
        """The next whole frame. Raises LineError, after which the stream has no meaning any more."""
        buffer, start = self._buffer, self._at + _LENGTH_OCTETS
        if len(buffer) < start:
            return None
        length = int.from_bytes(buffer[self._at : start], "big")
        if length > self.limit:
            raise LineError(f"a frame of {length} octets came where at most {self.limit} are allowed")
        if len(buffer) < start + length:
            return None
        self._at = start + length
        found: Frame = _read(_frame, bytes(buffer[start : self._at]))
        return found


def proof(secret: bytes, role: str, worker: str, line: str, worker_nonce: bytes, line_nonce: bytes) -> bytes:
    """What `role` ("signalling" or "worker") shows to the other, who can compute the same. The role keeps one side's
    proof from being given back to it as the other's."""
    parts = [role.encode(), worker.encode(), line.encode(), worker_nonce, line_nonce]
    message = b"softswitch media line\0" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(secret, message, "sha256")


def proved(shown: bytes, expected: bytes) -> bool:
    """Compared in a time that tells nothing."""
    return hmac.compare_digest(shown, expected)


def _read(decoder: msgspec.msgpack.Decoder[Any], data: bytes | msgspec.Raw) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(f"not of this protocol: {error}") from error

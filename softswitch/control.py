"""The control socket: how `softswitch status`, `reload`, `record` and `load` talk to a running switch.

A Unix stream socket in the state directory, mode 0600: who may open the file may command the switch,
nobody else. One request a line, one answer a line, both JSON:

    {"command": "status", "args": {"limit": 100}}
    {"ok": true, "result": ...}
    {"ok": false, "error": "one line", "details": ["config/routes.yaml:7:3: unknown key ..."]}

The server side (`ControlServer`) lives on the switch's event loop; the client side (`ask`) is synchronous,
for the command line. What `status` answers is `StatusReport`, made of plain values only.
"""

import asyncio
import contextlib
import errno
import inspect
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

SOCKET_NAME = "control.sock"
# A request names a command and a few arguments; nothing legitimate comes near this.
MAX_REQUEST_BYTES = 64 * 1024
# A status answer holds a row of some 300 bytes per registration and call: room for 100,000 of them.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
# Operators' terminals and one monitoring probe; more is a mistake that must not eat descriptors of calls.
MAX_CLIENTS = 16
# A client that connects and says nothing (or takes no answer) loses its place after this many seconds.
CLIENT_SECONDS = 10.0
# Seconds before accepting is tried again when the process has no descriptor left.
ACCEPT_PAUSE = 1.0
# sizeof(sockaddr_un.sun_path) on Linux, its closing NUL included.
SUN_PATH_BYTES = 108

Handler = Callable[[dict[str, Any]], Any]
log = structlog.get_logger("control")


class ControlError(Exception):
    """A request that was not carried out: one line for the operator, and perhaps more lines below it."""

    def __init__(self, message: str, details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.details = details


class NotRunning(ControlError):
    """No switch listens on that socket."""


class AlreadyRunning(ControlError):
    """Another switch serves this state directory."""


class ControlRefused(ControlError):
    """Raised by a handler to refuse a command: the client sees the message and the details."""


# ---- what `status` answers -------------------------------------------------------------------------------


class RegistrationRow(msgspec.Struct, gc=False):
    """One binding. `expires_in` in seconds; `rtt_ms` of the last answered OPTIONS, None before the first."""

    aor: str
    contact: str
    transport: str = "udp"
    source: str = ""  # "host:port" the REGISTER came from
    user_agent: str = ""
    expires_in: float = 0.0
    q: float = 1.0
    reachable: bool = True
    rtt_ms: float | None = None


class GatewayRow(msgspec.Struct, gc=False):
    """One address of a trunk. `state` is "up", "down" or "unknown" (never asked)."""

    address: str
    state: str = "unknown"
    rtt_ms: float | None = None


class TrunkRow(msgspec.Struct):
    """One trunk. `registration` is "" where we don't register, else "registered", "trying" or "failed"."""

    name: str
    kind: str = ""  # "register", "digest" or "address"
    registration: str = ""
    gateways: list[GatewayRow] = []
    calls: int = 0
    channels: int | None = None  # the limit; None: unlimited


class PartyRow(msgspec.Struct, gc=False):
    """One who is in a call now. `does`: "talks", "waits", "rings"...; docs/call-control.md has all of them. `unheard`,
    `unsent`: seconds for which no audio has come from there, or gone there; None: it does, or is not expected to."""

    end: str  # "extension 101", "trunk north"
    number: str
    does: str
    unheard: float | None = None
    unsent: float | None = None


class CallRow(msgspec.Struct, gc=False):
    """One contact in progress; durations in seconds, `talking` None before the answer. `caller`, `called`: how it
    began; `parties`: who is there now."""

    contact: str
    state: str
    caller: str
    called: str
    parties: list[PartyRow] = []
    slot: str = ""  # where it is parked
    age: float = 0.0
    talking: float | None = None
    codec: str = ""
    recording: str = ""  # "on", "paused", "" for none


class SubscriptionRow(msgspec.Struct, gc=False):
    """One subscription: `watcher` is told by NOTIFY how `resource` stands. `state` as it was told last."""

    watcher: str
    package: str  # "dialog", "presence", "message-summary"
    resource: str
    state: str = ""
    source: str = ""  # "host:port" the SUBSCRIBE came from
    expires_in: float = 0.0


class WorkerRow(msgspec.Struct, gc=False):
    """One media process. `cpu` of one core; `late_ms` its worst delay in the last second; `adopted` streams are of
    calls from before a restart of the signalling process; `restarts` since our start."""

    name: str
    process: int = 0
    linked: bool = True
    cpu: float = 0.0
    streams: int = 0
    adopted: int = 0
    ports: int = 0
    packets_in: int = 0
    packets_out: int = 0
    late_ms: float = 0.0
    restarts: int = 0


class MediaReport(msgspec.Struct):
    """What the media engine does now (`rows`, `ports`, `adopted`) and did since the start (the rest). `workers`: its
    processes, none where it runs in the signalling process."""

    rows: int = 0
    ports: int = 0
    packets_in: int = 0
    packets_out: int = 0
    dropped: dict[str, int] = {}  # by cause
    adopted: int = 0
    workers: list[WorkerRow] = []


class StatusReport(msgspec.Struct):
    """The whole answer. The lists may be cut to the `limit` asked for; `totals` always counts everything."""

    version: str
    pid: int
    uptime: float
    registrations: list[RegistrationRow] = []
    trunks: list[TrunkRow] = []
    calls: list[CallRow] = []
    subscriptions: list[SubscriptionRow] = []
    counters: dict[str, int] = {}  # since the start
    tables: dict[str, int] = {}  # entries now: transactions, timers
    media: MediaReport = msgspec.field(default_factory=MediaReport)
    totals: dict[str, int] = {}  # "registrations", "trunks", "calls", "subscriptions"
    listening: list[str] = []  # "udp 127.0.0.1:5060"
    config: str = ""
    draining: bool = False


# ---- wire ------------------------------------------------------------------------------------------------


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    command: str
    args: dict[str, Any] = {}


class _Answer(msgspec.Struct, omit_defaults=True):
    ok: bool
    result: Any = None
    error: str = ""
    details: tuple[str, ...] = ()


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_encode = msgspec.json.Encoder().encode


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """The path as bind() and connect() take it: a long one goes through its directory's descriptor."""
    name = str(path)
    if len(os.fsencode(name)) < SUN_PATH_BYTES:
        yield name
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


# ---- the switch's side -----------------------------------------------------------------------------------


class ControlServer:
    """Serves `handlers` (command -> callable taking the arguments, plain or async) on the socket `path`.

    A handler answers anything msgspec can write, and refuses by raising `ControlRefused`. "ping" is built in.
    `start()` raises `AlreadyRunning` when another switch answers there, `ControlError` where it can't listen.
    """

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self.path = path
        self.handlers: dict[str, Handler] = {"ping": lambda _args: {"pid": os.getpid()}, **handlers}
        self._listener: socket.socket | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._inode = 0

    async def start(self) -> None:
        self._listener = _listen(self.path)
        self._inode = self.path.stat().st_ino
        self._watch()

    async def stop(self) -> None:
        """Closes the socket, removes its file (only if it is still ours) and drops the clients."""
        if self._listener is None:
            return
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self._listener = None
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()

    def _watch(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        """A client waits. Accepted here, not by asyncio.Server, which (Python 3.11) loses a connection in the
        making when it is closed."""
        loop = asyncio.get_running_loop()
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptor left: the client stays in the queue, to be asked for again
            log.warning("control client not accepted", why=os.strerror(error.errno or errno.EIO))
            loop.remove_reader(listener)
            loop.call_later(ACCEPT_PAUSE, self._watch)
            return
        connection.setblocking(False)
        client = loop.create_task(self._serve(connection, len(self._clients) >= MAX_CLIENTS))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)
        client.add_done_callback(lambda _client: connection.close())

    async def _serve(self, connection: socket.socket, busy: bool) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MAX_REQUEST_BYTES)
        try:
            while await self._exchange(reader, writer, busy):
                pass
            async with asyncio.timeout(CLIENT_SECONDS):
                writer.close()
                await writer.wait_closed()  # the rest of the answer may still be on its way
        except (ConnectionError, TimeoutError):
            log.debug("control client left")
        finally:
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, busy: bool) -> bool:
        """One request and its answer; False when the client is done or can't be understood."""
        async with asyncio.timeout(CLIENT_SECONDS):
            try:
                line = await reader.readline()
            except ValueError:  # the line passes `limit`: no telling where the next request begins
                await _send(writer, _Answer(False, error=f"a request is at most {MAX_REQUEST_BYTES} bytes"))
                return False
        if not line.endswith(b"\n"):
            return False
        if busy:  # said only after the request is read: closing on unread bytes would reset the connection under it
            await _send(writer, _Answer(False, error="too many control clients"))
            return False
        await _send(writer, await self._carry_out(line))
        return True

    async def _carry_out(self, line: bytes) -> _Answer:
        try:
            request = _decode_request(line)
        except msgspec.MsgspecError as error:
            return _Answer(False, error=f"not a request: {error}")
        handler = self.handlers.get(request.command)
        if handler is None:
            return _Answer(False, error=f"no command {request.command!r}; there is {', '.join(sorted(self.handlers))}")
        try:
            result = handler(request.args)
            if inspect.isawaitable(result):
                result = await result
        except ControlError as refused:
            return _Answer(False, error=str(refused), details=refused.details)
        except Exception:  # one command's fault must not end the switch; the log has its traceback
            log.exception("control command failed", command=request.command)
            return _Answer(False, error=f"{request.command} failed inside the switch; its log says more")
        return _Answer(True, result=result)


async def _send(writer: asyncio.StreamWriter, answer: _Answer) -> None:
    line = _encode(answer) + b"\n"
    if len(line) > MAX_ANSWER_BYTES:
        line = _encode(_Answer(False, error="the answer is too long; ask with a limit")) + b"\n"
    writer.write(line)
    async with asyncio.timeout(CLIENT_SECONDS):
        await writer.drain()


def _listen(path: Path) -> socket.socket:
    """A bound socket of mode 0600 at `path`, in place of one left behind by a switch that was killed."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        # The file takes the mode of the socket's own inode less the umask, so there is no moment at which
        # others could connect, as there is between bind() and chmod().
        os.fchmod(listener.fileno(), 0o600)
        with _address(path) as name:
            listener.bind(name)
        listener.listen(MAX_CLIENTS)
    except OSError as error:
        listener.close()
        raise ControlError(f"{path}: {os.strerror(error.errno or errno.EIO)}") from error
    return listener


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ControlError(f"{path}: {os.strerror(error.errno or errno.EIO)}") from error
    if not stat.S_ISSOCK(mode):
        raise ControlError(f"{path}: is in the way of the control socket and is not a socket")
    try:
        pid = switch_pid(path)
    except NotRunning:
        path.unlink(missing_ok=True)
        return
    raise AlreadyRunning(f"{path.parent}: another switch runs here, process {pid}")


# ---- the command line's side -----------------------------------------------------------------------------


def ask(path: Path, command: str, timeout: float = 10.0, **args: Any) -> Any:
    """Has the running switch carry out `command`; returns its result.

    Raises `NotRunning` when nobody listens, `ControlRefused` when it refuses, `ControlError` for the rest.
    """
    with _connect(path, timeout) as connection:
        try:
            connection.sendall(_encode(_Request(command, args)) + b"\n")
            line = _read_line(connection)
        except TimeoutError as error:
            raise ControlError(f"{path}: the switch did not answer within {timeout:g} s") from error
        except OSError as error:
            raise ControlError(f"{path}: the switch hung up ({os.strerror(error.errno or errno.EIO)})") from error
    try:
        answer = _decode_answer(line)
    except msgspec.MsgspecError as error:
        raise ControlError(f"{path}: not an answer of a switch: {error}") from error
    if not answer.ok:
        raise ControlRefused(answer.error, answer.details)
    return answer.result


def ask_status(path: Path, timeout: float = 10.0, **args: Any) -> StatusReport:
    """`ask(path, "status")`, as a `StatusReport`."""
    try:
        return msgspec.convert(ask(path, "status", timeout, **args), StatusReport)
    except msgspec.ValidationError as error:
        raise ControlError(f"{path}: the switch runs another version: {error}") from error


def switch_pid(path: Path, timeout: float = 2.0) -> int:
    """The process that listens on the socket, as the kernel knows it (SO_PEERCRED); raises `NotRunning`."""
    with _connect(path, timeout) as connection:
        size = struct.calcsize("3i")
        pid, _uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(pid)


def _connect(path: Path, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connection.settimeout(timeout)
    try:
        with _address(path) as name:
            connection.connect(name)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        connection.close()
        raise NotRunning(f"no switch is running here ({path}); start one with: softswitch serve") from error
    except OSError as error:
        connection.close()
        raise ControlError(f"{path}: {os.strerror(error.errno or errno.EIO)}") from error
    return connection


def _read_line(connection: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        if len(received) > MAX_ANSWER_BYTES:
            raise ControlError("the switch's answer is too long")
        data = connection.recv(1 << 18)
        if not data:
            raise ControlError("the switch closed the connection before it answered")
        received += data
    return bytes(received)

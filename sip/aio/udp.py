"""A UDP listener: one non-blocking socket, drained when readable, written at once."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from typing import Final

from sip.effects import Flow

# Datagrams taken at one wake-up, so that timers and connections get their turn under a flood.
MAX_BATCH: Final = 64
# A wake-up costs as much as several datagrams, and more on a machine whose caches others use in between. When there
# were this many in a WINDOW, the loop stops watching the socket, and a timer collects what has come every TICK_SECONDS
# until a window brings fewer. An idle switch answers at once; a busy one within a tick.
BUSY_WAKE_UPS: Final = 40
WINDOW_SECONDS: Final = 0.1
TICK_SECONDS: Final = 0.004
# Larger than any datagram.
MAX_DATAGRAM: Final = 65_535
# Datagrams that wait for the socket to take more; what is beyond is lost, as on any full link. RFC 3261
# resends.
MAX_QUEUED: Final = 1_024
# Peers whose Flow is kept, one for all their messages; all are forgotten when full.
MAX_FLOWS: Final = 4_096
# ICMP errors taken at once.
MAX_ERRORS: Final = 64
# Bytes of kernel buffers: a burst of a second's messages must not be lost while Python is busy.
RECEIVE_BUFFER: Final = 4 << 20
SEND_BUFFER: Final = 1 << 20


class UdpListener:
    """Calls receive(data, flow) for every datagram, then drained(); failed(flow, why) for one that can't be sent.

    That is also when the other side's ICMP says so (RFC 3261 18.4), where the system tells it (Linux).
    """

    __slots__ = (
        "_closed",
        "_drained",
        "_failed",
        "_flows",
        "_loop",
        "_queue",
        "_receive",
        "_rewatching",
        "_sock",
        "_taken",
        "_timer",
        "_window",
        "local",
        "lost",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        receive: Callable[[bytes, Flow], None],
        drained: Callable[[], None],
        failed: Callable[[Flow, str], None],
    ) -> None:
        """`sock`: bound and non-blocking; closed by `close`."""
        self._loop = loop
        self._sock = sock
        self._receive = receive
        self._drained = drained
        self._failed = failed
        self._flows: dict[tuple[str, int], Flow] = {}  # by remote address
        self._queue: deque[tuple[bytes, Flow]] = deque()
        self._rewatching = False
        self._closed = False
        self._window = 0.0  # when the running window began
        self._taken = 0  # wake-ups in it; datagrams in a busy time
        self._timer: asyncio.TimerHandle | None = None  # of a busy time: the loop does not watch the socket
        self.local: tuple[str, int] = sock.getsockname()[:2]
        self.lost = 0  # datagrams not sent because the queue was full
        loop.add_reader(sock.fileno(), self._readable)

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._queue.clear()
        self._sock.close()

    def send(self, data: bytes, flow: Flow) -> None:
        if self._queue:
            self._put(data, flow)
        elif not self._write(data, flow):
            self._loop.add_writer(self._sock.fileno(), self._writable)
            self._put(data, flow)

    # --- private --------------------------------------------------------------------------------------------

    def _put(self, data: bytes, flow: Flow) -> None:
        if len(self._queue) < MAX_QUEUED:
            self._queue.append((data, flow))
        else:
            self.lost += 1

    def _write(self, data: bytes, flow: Flow) -> bool:
        """False when the socket takes no more now."""
        try:
            self._sock.sendto(data, flow.remote)
        except BlockingIOError:
            return False
        except (OSError, OverflowError) as error:
            # It may be the ICMP answer to an earlier datagram: then this one is not sent, and nothing is
            # wrong with it.
            if not self._reap():
                self._failed(flow, _text(error))
                return True
            try:
                self._sock.sendto(data, flow.remote)
            except BlockingIOError:
                return False
            except OSError as again:
                self._failed(flow, _text(again))
        return True

    def _readable(self) -> None:
        """The loop watches the socket, and something has come."""
        now = self._loop.time()
        if now - self._window > WINDOW_SECONDS:
            self._window = now
            self._taken = 0
        self._taken += 1
        self._take()
        if self._taken >= BUSY_WAKE_UPS and not self._closed:
            self._loop.remove_reader(self._sock.fileno())
            self._timer = self._loop.call_later(TICK_SECONDS, self._collect)

    def _collect(self) -> None:
        """The timer of a busy time."""
        self._timer = None
        self._taken += self._take()
        if self._closed:
            return
        now = self._loop.time()
        if now - self._window > WINDOW_SECONDS:
            if self._taken < BUSY_WAKE_UPS:
                self._window = 0.0
                self._loop.add_reader(self._sock.fileno(), self._readable)
                return
            self._window = now
            self._taken = 0
        self._timer = self._loop.call_later(TICK_SECONDS, self._collect)

    def _take(self) -> int:
        """Hand over what is there, within MAX_BATCH; how many there were."""
        recvfrom, receive, local, flows = self._sock.recvfrom, self._receive, self.local, self._flows
        taken = 0
        try:
            for _ in range(MAX_BATCH):
                try:
                    data, remote = recvfrom(MAX_DATAGRAM)
                except BlockingIOError:
                    break
                except OSError:
                    self._reap()
                    continue
                taken += 1
                flow = flows.get(remote)
                if flow is None:
                    if len(flows) >= MAX_FLOWS:
                        flows.clear()
                    flow = flows[remote] = Flow("udp", local, remote[:2], 0)
                receive(data, flow)
        finally:
            self._drained()
        return taken

    def _writable(self) -> None:
        queue = self._queue
        while queue:
            data, flow = queue[0]
            if not self._write(data, flow):
                return
            queue.popleft()
        self._loop.remove_writer(self._sock.fileno())
        self._drained()

    def _reap(self) -> bool:
        """Take ICMP errors off the socket and tell whom they concern; whether there were any."""
        found = False
        for _ in range(MAX_ERRORS):
            try:
                _, notes, _, remote = self._sock.recvmsg(0, ERROR_SPACE, MSG_ERRQUEUE | socket.MSG_DONTWAIT)
            except OSError:
                break
            found = True
            number = _icmp_errno(notes)
            if number in UNREACHABLE and remote:
                self._failed(Flow("udp", self.local, remote[:2], 0), os.strerror(number))
        if not self._rewatching:
            # uvloop stops watching a socket that has shown an error, also when the error was taken by a send
            # before its turn came: watch anew, after the events that the loop already holds.
            self._rewatching = True
            self._loop.call_soon(self._watch_again)
        return found

    def _watch_again(self) -> None:
        self._rewatching = False
        if self._closed:
            return
        number = self._sock.fileno()
        if self._timer is None:
            self._loop.remove_reader(number)
            self._loop.add_reader(number, self._readable)
        if self._queue:
            self._loop.remove_writer(number)
            self._loop.add_writer(number, self._writable)


# Linux, ip(7): the numbers are not in the socket module of every version.
IP_RECVERR: Final = 11
IPV6_RECVERR: Final = 25
MSG_ERRQUEUE: Final = 0x2000
# struct sock_extended_err: errno, origin (1 local, 2 ICMP, 3 ICMPv6), type, code, pad, info, data; the
# address of the host that complained follows.
EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")
ERROR_SPACE: Final = 256
# RFC 3261 18.4: "Host, network, port or protocol unreachable errors, or parameter problem errors SHOULD cause
# the transport layer to inform the transport user of a failure in sending. Source quench and TTL exceeded
# ICMP errors SHOULD be ignored." So is "fragmentation needed": the kernel fragments the next one.
UNREACHABLE: Final = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOPROTOOPT, errno.EPROTO}
)
_TTL_EXCEEDED: Final = {(2, 11), (3, 3)}  # (origin, ICMP type)


def report_icmp(sock: socket.socket) -> None:
    """Have the system queue ICMP errors on the socket, where it can."""
    if sys.platform != "linux":
        return
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def _icmp_errno(notes: list[tuple[int, int, bytes]]) -> int:
    """The errno of an ICMP error, 0 when it is none or one to be ignored."""
    for level, kind, data in notes:
        if (level, kind) not in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
            continue
        number, origin, icmp, *_ = EXTENDED_ERROR.unpack_from(data)
        if (origin, icmp) not in _TTL_EXCEEDED:
            return int(number)
    return 0


def _text(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


def size_buffers(sock: socket.socket) -> None:
    """Large kernel buffers: beyond the system's limit where we may, up to it where we may not."""
    for forced, usual, size in (
        ("SO_RCVBUFFORCE", socket.SO_RCVBUF, RECEIVE_BUFFER),
        ("SO_SNDBUFFORCE", socket.SO_SNDBUF, SEND_BUFFER),
    ):
        option = _FORCED.get(forced)
        try:
            if option is None:
                raise PermissionError
            sock.setsockopt(socket.SOL_SOCKET, option, size)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, usual, size)


# Linux only; not in the socket module. Numbers of asm-generic/socket.h.
_FORCED: Final = {"SO_RCVBUFFORCE": 33, "SO_SNDBUFFORCE": 32} if hasattr(socket, "SO_PEERCRED") else {}

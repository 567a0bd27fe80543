"""A UDP listener: one non-blocking socket, drained when readable, written at once."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from sip.effects import Flow

# Datagrams taken at one wake-up, so that timers and connections get their turn under a flood.
MAX_BATCH: Final = 64
# Larger than any datagram.
MAX_DATAGRAM: Final = 65_535
# Datagrams that wait for the socket to take more; what is beyond is lost, as on any full link. RFC 3261 resends.
MAX_QUEUED: Final = 1_024
# Bytes of kernel buffers: a burst of a second's messages must not be lost while Python is busy.
RECEIVE_BUFFER: Final = 4 << 20
SEND_BUFFER: Final = 1 << 20


class UdpListener:
    """Calls receive(data, flow) for every datagram, then drained(); failed(flow, why) when one can't be sent."""

    __slots__ = ("_drained", "_failed", "_loop", "_queue", "_receive", "_sock", "local", "lost")

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
        self._queue: deque[tuple[bytes, Flow]] = deque()
        self.local: tuple[str, int] = sock.getsockname()[:2]
        self.lost = 0  # datagrams not sent because the queue was full
        loop.add_reader(sock.fileno(), self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._queue.clear()
        self._sock.close()

    def send(self, data: bytes, flow: Flow) -> None:
        if self._queue:
            self._put(data, flow)
            return
        try:
            self._sock.sendto(data, flow.remote)
        except BlockingIOError:
            self._loop.add_writer(self._sock.fileno(), self._writable)
            self._put(data, flow)
        except (OSError, OverflowError) as error:
            self._failed(flow, str(error))

    def _put(self, data: bytes, flow: Flow) -> None:
        if len(self._queue) < MAX_QUEUED:
            self._queue.append((data, flow))
        else:
            self.lost += 1

    def _readable(self) -> None:
        recvfrom, receive, local = self._sock.recvfrom, self._receive, self.local
        try:
            for _ in range(MAX_BATCH):
                try:
                    data, remote = recvfrom(MAX_DATAGRAM)
                except BlockingIOError:
                    break
                except OSError:
                    # An error of some earlier datagram that the kernel reports here; the socket is well.
                    continue
                receive(data, Flow("udp", local, remote[:2], 0))
        finally:
            self._drained()

    def _writable(self) -> None:
        queue = self._queue
        while queue:
            data, flow = queue[0]
            try:
                self._sock.sendto(data, flow.remote)
            except BlockingIOError:
                return
            except (OSError, OverflowError) as error:
                self._failed(flow, str(error))
            queue.popleft()
        self._loop.remove_writer(self._sock.fileno())
        self._drained()


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

"""UDP sockets read and written many packets at a time: recvmmsg and sendmmsg of libc on preallocated columns.

The only file of `rtp` that does I/O, by the loops of rtp/batch_loop.py. Every iovec, msghdr and sockaddr is prepared
once; a wake-up asks the kernel which sockets are ready, and drains them into one `Slots`.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from rtp.address import FAMILY_V4, SOCKADDR, family_of
from rtp.batch_loop import (
    COUNT,
    COUNT_V4,
    EVENT_WORDS,
    FAILED,
    FULL,
    MORE,
    MSGHDR_OCTETS,
    REFUSED,
    SENT,
    deliver,
    drain,
)
from rtp.columns import SLOT, SLOTS, Slots

RECEIVE_BUFFER = 4 << 20  # octets asked for per socket: a second of 200 streams while the process is held up
SEND_BUFFER = 1 << 20
MAX_SOCKETS = 0xFFFF  # a socket's index is 16 bits of a source's key
IP_MTU_DISCOVER, IP_PMTUDISC_PROBE = 10, 3  # Linux, ip(7): not in the socket module of every version
MIN_SHARE = 16  # packets taken from a socket at least, so that a call into the kernel is worth it

# struct mmsghdr { struct msghdr { void *name; socklen_t namelen; struct iovec *iov; size_t iovlen; void *control;
# size_t controllen; int flags; }; unsigned int len; } of 64-bit Linux, and struct iovec { void *base; size_t len; }.
_MMSGHDR = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "len"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": MSGHDR_OCTETS,
    }
)
_IOVEC_OCTETS = 16

_FEW = 64  # places in a new column

I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
_Kind = TypeVar("_Kind", bound=np.generic)

SPARE_DESCRIPTORS = 1024  # for everything else in the process: signalling, files, databases


def allow_sockets(count: int) -> int:
    """Let the process have `count` sockets beside what else it opens, as far as its hard limit goes; how many there
    may be. The soft limit, often 1024, is there for programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return count if soft == resource.RLIM_INFINITY else max(0, soft - SPARE_DESCRIPTORS)


class BatchSockets:
    """A set of UDP sockets, each with an index that is stable while it is open.

    counters: packets that the kernel did not take, by cause.
    """

    def __init__(self, slots: Slots) -> None:
        self.counters = {"send_failed": 0, "send_full": 0, "receive_failed": 0}
        self.more = False
        """The latest `receive` left something, as far as is known."""
        self._slots = slots
        self._epoll = select.epoll()
        self._sockets: list[socket.socket | None] = [None]  # index 0 stays empty: an unset column is 0
        # By a socket's index: its descriptor, whether it is one of IPv6, whether RTCP comes by it.
        self._descriptors: I64 = np.full(_FEW, -1, np.int64)
        self._six: Bool = np.zeros(_FEW, np.bool_)
        self._controls: Bool = np.zeros(_FEW, np.bool_)
        self._indexes: I64 = np.zeros(_FEW, np.int64)  # by descriptor
        self._any_v6 = False
        self._open = 0
        self._free: list[int] = []
        capacity = slots.capacity
        self._in = np.zeros(capacity, _MMSGHDR)
        self._in_iov = np.zeros((capacity, 2), np.uint64)
        place = np.arange(capacity, dtype=np.uint64)
        self._in_iov[:, 0] = slots.data.ctypes.data + place * np.uint64(SLOT)
        self._in_iov[:, 1] = SLOT
        self._in["name"] = slots.names.ctypes.data + place * np.uint64(SOCKADDR)
        self._in["namelen"] = SOCKADDR
        self._in["iov"] = self._in_iov.ctypes.data + place * np.uint64(_IOVEC_OCTETS)
        self._in["iovlen"] = 1
        self._in_at: int = self._in.ctypes.data
        self._out = np.zeros(capacity, _MMSGHDR)
        self._out_iov = np.zeros((capacity, 2), np.uint64)
        self._out["iov"] = self._out_iov.ctypes.data + place * np.uint64(_IOVEC_OCTETS)
        self._out["iovlen"] = 1
        self._out_at: int = self._out.ctypes.data
        self._events = np.zeros((capacity, EVENT_WORDS), np.uint32)
        self._received: I64 = np.zeros(4, np.int64)
        self._sent: I64 = np.zeros(3, np.int64)
        # Views made once: a field of a record array costs more than the arithmetic on it.
        self._places: I64 = np.zeros(MAX_SOCKETS + 1, np.int64)
        self._runs: I64 = np.zeros((2, capacity), np.int64)
        self._in_length = self._in["len"]
        self._in_namelen = self._in["namelen"]
        self._out_name = self._out["name"]
        self._out_namelen = self._out["namelen"]

    def fileno(self) -> int:
        """A descriptor that is readable while a socket is."""
        return self._epoll.fileno()

    def __len__(self) -> int:
        return self._open

    def open(self, host: str, port: int, control: bool) -> int:
        """Bind a socket; its index. `control`: what comes by it is RTCP. Raises OSError."""
        family = socket.AF_INET if family_of(host) == FAMILY_V4 else socket.AF_INET6
        if self._open >= MAX_SOCKETS - 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        new = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if family == socket.AF_INET6:
                new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            new.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            new.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            if family == socket.AF_INET:
                # Audio is never fragmented (and the kernel need not draw an identification for each packet), whatever
                # an ICMP message claims of the path.
                new.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
            new.bind((host, port))
            self._epoll.register(new.fileno(), select.EPOLLIN)
        except OSError:
            new.close()
            raise
        if self._free:
            index = self._free.pop()
        else:
            index = len(self._sockets)
            self._sockets.append(None)
        descriptor = new.fileno()
        self._indexes = _long_enough(self._indexes, descriptor, 0)
        self._descriptors = _long_enough(self._descriptors, index, -1)
        self._six, self._controls = _long_enough(self._six, index, 0), _long_enough(self._controls, index, 0)
        self._sockets[index] = new
        self._indexes[descriptor] = index
        self._descriptors[index] = descriptor
        self._controls[index] = control
        self._six[index] = family == socket.AF_INET6
        self._any_v6 = self._any_v6 or family == socket.AF_INET6
        self._open += 1
        return index

    def close(self, index: int) -> None:
        closing = self._sockets[index]
        if closing is None:
            return
        self._epoll.unregister(closing.fileno())
        closing.close()
        self._sockets[index] = None
        self._descriptors[index] = -1
        self._open -= 1
        self._free.append(index)

    def close_all(self) -> None:
        for index in range(1, len(self._sockets)):
            self.close(index)
        self._epoll.close()

    def receive(self, limit: int = SLOTS) -> int:
        """Drain what is ready into the slots, up to their number or `limit`, each socket its share; how many there are.
        `more` tells whether some socket had its whole share, or none.

        The kernel lists ready sockets in turn, so that one with more than its share does not keep others from theirs.
        """
        slots, told = self._slots, self._received
        drain(
            self._epoll.fileno(),
            min(limit, slots.capacity),
            MIN_SHARE,
            self._events,
            self._indexes,
            self._descriptors,
            self._six,
            self._controls,
            self._any_v6,
            self._in_at,
            self._in_length,
            self._in_namelen,
            slots.lengths,
            slots.sockets,
            slots.control,
            told,
        )
        slots.count, slots.count_v4 = int(told[COUNT]), int(told[COUNT_V4])
        self.more = bool(told[MORE])
        self.counters["receive_failed"] += int(told[FAILED])
        return slots.count

    def send(
        self,
        data: npt.NDArray[np.uint8],
        at: I64,
        lengths: I64,
        rows: I64,
        sockets: I64,
        names_at: int,
        name_lengths: I64,
    ) -> int:
        """Send `lengths` octets of `data[at]` to `rows`: by the socket that `sockets` says, to the sockaddr that lies
        SOCKADDR times the row behind address `names_at` and is as long as `name_lengths` says; to one of no length
        nothing is sent. How many the kernel took; what it refuses is counted.
        """
        capacity, told = self._slots.capacity, self._sent
        told[:] = 0
        for begin in range(0, len(at), capacity):
            try:
                deliver(
                    begin,
                    min(len(at), begin + capacity),
                    data,
                    at,
                    lengths,
                    rows,
                    sockets,
                    name_lengths,
                    names_at,
                    self._out_iov,
                    self._out_name,
                    self._out_namelen,
                    self._places,
                    self._runs,
                    self._descriptors,
                    self._out_at,
                    told,
                )
            except IndexError:
                self._places[:] = 0  # as the next call wants it
                raise
        self.counters["send_full"] += int(told[FULL])
        self.counters["send_failed"] += int(told[REFUSED])
        return int(told[SENT])


def _long_enough(column: npt.NDArray[_Kind], index: int, fill: int) -> npt.NDArray[_Kind]:
    """The column, or a longer one that has this index, too."""
    if index < len(column):
        return column
    return np.concatenate((column, np.full(max(len(column), index + 1 - len(column)), fill, column.dtype)))

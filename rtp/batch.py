"""UDP sockets read and written many packets at a time: recvmmsg and sendmmsg of libc on preallocated columns.

The only file of `rtp` that does I/O. Every iovec, msghdr and sockaddr is prepared once; a wake-up asks the
kernel which sockets are ready, and drains them into one `Slots`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select
import socket

import numpy as np
import numpy.typing as npt

from rtp.address import FAMILY_V4, SOCKADDR, family_of
from rtp.batch_loop import lay_out, note
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
        "itemsize": 64,
    }
)
_MSGHDR_OCTETS = 64
_IOVEC_OCTETS = 16

I64 = npt.NDArray[np.int64]

# PyDLL keeps the interpreter's lock: the calls never block, and giving the lock away could cost a switch interval.
_libc = ctypes.PyDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]


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
        self._fds: list[int] = [-1]
        self._index_of: dict[int, int] = {}
        self._controls: npt.NDArray[np.bool_] = np.zeros(64, np.bool_)
        self._v6: list[bool] = [False]
        self._any_v6 = False
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
        # Views made once: a field of a record array costs more than the arithmetic on it.
        self._ready: I64 = np.zeros(capacity, np.int64)
        self._counts: I64 = np.zeros(capacity, np.int64)
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
        return len(self._index_of)

    def open(self, host: str, port: int, control: bool) -> int:
        """Bind a socket; its index. `control`: what comes by it is RTCP. Raises OSError."""
        family = socket.AF_INET if family_of(host) == FAMILY_V4 else socket.AF_INET6
        if len(self._index_of) >= MAX_SOCKETS - 1:
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
            self._fds.append(-1)
            if index == len(self._controls):
                self._controls = np.concatenate((self._controls, np.zeros(index, np.bool_)))
            self._v6.append(False)
        self._sockets[index] = new
        self._fds[index] = new.fileno()
        self._controls[index] = control
        self._v6[index] = family == socket.AF_INET6
        self._any_v6 = self._any_v6 or self._v6[index]
        self._index_of[new.fileno()] = index
        return index

    def close(self, index: int) -> None:
        closing = self._sockets[index]
        if closing is None:
            return
        self._epoll.unregister(closing.fileno())
        del self._index_of[closing.fileno()]
        closing.close()
        self._sockets[index] = None
        self._fds[index] = -1
        self._free.append(index)

    def close_all(self) -> None:
        for index in list(self._index_of.values()):
            self.close(index)
        self._epoll.close()

    def receive(self, limit: int = SLOTS) -> int:
        """Drain what is ready into the slots, up to their number or `limit`, each socket its share; how many there are.
        `more` tells whether some socket had its whole share, or none.

        The kernel lists ready sockets in turn, so that one with more than its share does not keep others from theirs.
        """
        slots = self._slots
        slots.count = slots.count_v4 = 0
        capacity = min(limit, slots.capacity)
        self.more = False
        ready = self._epoll.poll(0, capacity)
        if not ready:
            return 0
        indexes = [self._index_of[fd] for fd, _ in ready]
        if self._any_v6:
            indexes.sort(key=self._v6.__getitem__)
        share = max(MIN_SHARE, capacity // len(ready))
        at = 0
        fds, base = self._fds, self._in_at
        listed, counts = self._ready, self._counts
        for place, index in enumerate(indexes):
            room = capacity - at
            if room > share:
                room = share
            got: int = _recvmmsg(fds[index], base + at * _MSGHDR_OCTETS, room, 0, None) if room else 0
            if got < 0:
                got = 0
                # An ICMP error or a spurious wake-up: nothing was read.
                if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
                    self.counters["receive_failed"] += 1
            listed[place] = index
            counts[place] = got
            if got == room:
                self.more = True
            at += got
        slots.count = slots.count_v4 = at
        if self._any_v6:
            four = [place for place, index in enumerate(indexes) if not self._v6[index]]
            slots.count_v4 = int(counts[four].sum())
        if at:
            note(
                len(indexes),
                listed,
                counts,
                self._in_length,
                self._controls,
                slots.lengths,
                slots.sockets,
                slots.control,
            )
            if self._any_v6:
                # The kernel wrote how long each name is: a slot that held an IPv4 one has room for IPv6 again.
                self._in_namelen[:at] = SOCKADDR
        return at

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
        sent = 0
        capacity = self._slots.capacity
        for begin in range(0, len(at), capacity):
            try:
                runs = lay_out(
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
                )
            except IndexError:
                self._places[:] = 0  # as the next call wants it
                raise
            done = 0
            for index, want in zip(*self._runs[:, :runs].tolist(), strict=True):
                sent += self._send_by(self._fds[index], done, want)
                done += want
        return sent

    def _send_by(self, fd: int, start: int, count: int) -> int:
        """Send `count` prepared messages by one socket. A message that the kernel refuses is skipped."""
        sent = 0
        while count:
            got: int = _sendmmsg(fd, self._out_at + start * _MSGHDR_OCTETS, count, 0)
            if got == count:
                return sent + got
            if got > 0:
                sent += got
                start += got
                count -= got
                continue
            problem = ctypes.get_errno()
            if problem == errno.EINTR:
                continue
            if problem in (errno.EAGAIN, errno.ENOBUFS):
                # The socket's buffer is full: audio that waits is of no use to anybody.
                self.counters["send_full"] += count
                return sent
            self.counters["send_failed"] += 1
            start += 1
            count -= 1
        return sent

"""Many sockets read and written in one call, compiled (`rtp.batch`): the kernel's interfaces on prepared columns.

A call into the kernel is made without the interpreter in between, which costs as much again as the call itself when a
hundred sockets have a packet each.
"""

from __future__ import annotations

import errno
import platform
from typing import Any

import numba

from rtp.address import SOCKADDR
from rtp.compiled import compiled, external

MSGHDR_OCTETS = 64  # struct mmsghdr of 64-bit Linux
EVENT_WORDS = 3 if platform.machine() == "x86_64" else 4
"""Words of 32 bits of a struct epoll_event, { uint32_t events; epoll_data_t data; }: packed on x86-64 alone."""
_DESCRIPTOR = EVENT_WORDS - 2  # the first word of its data

COUNT, COUNT_V4, MORE, FAILED = range(4)
"""What `drain` tells."""
SENT, FULL, REFUSED = range(3)
"""What `deliver` tells."""

_EAGAIN, _EINTR, _ENOBUFS = errno.EAGAIN, errno.EINTR, errno.ENOBUFS
_ALL, _ONLY_V4, _ONLY_V6 = range(3)

_library: Any = numba
_epoll_wait = external("epoll_wait", "i4(i4, i8, i4, i4)")
_recvmmsg = external("recvmmsg", "i4(i4, i8, u4, i4, i8)")
_sendmmsg = external("sendmmsg", "i4(i4, i8, u4, i4)")
_errno_location = external("__errno_location", "CPointer(i4)()")


@compiled("i8()")
def _problem() -> int:
    """errno of this thread."""
    return int(_library.carray(_errno_location(), 1)[0])


@compiled(
    "void(i8, i8, i8, u4[:, ::1], i8[::1], i8[::1], b1[::1], b1[::1], b1, i8, u4[:], u4[:], i8[::1], u8[::1], b1[::1],"
    " i8[::1])"
)
def drain(
    epoll: int,
    limit: int,
    least: int,
    events: Any,
    indexes: Any,
    descriptors: Any,
    six: Any,
    controls: Any,
    any_six: bool,
    messages: int,
    received: Any,
    names: Any,
    lengths: Any,
    sockets: Any,
    control: Any,
    told: Any,
) -> None:
    """Read what `epoll` says is ready, `limit` messages at most, each socket its share but `least` in any case; those
    of IPv4 first. `told`: how many came (COUNT, COUNT_V4), MORE than 0 where a socket had all of its share or none, how
    many sockets FAILED.

    `events` has room for `limit` of them. `indexes` of sockets are by descriptor; by index are `descriptors`, `six`
    (of IPv6) and `controls`. `messages` is the address of struct mmsghdr's, whose lengths are `received` and whose
    names have the lengths `names`. `lengths`, `sockets`, `control` are columns of the slots.
    """
    told[:] = 0
    ready = _epoll_wait(epoll, events.ctypes.data, limit, 0)
    if ready <= 0:
        return
    share = max(least, limit // ready)
    slot = 0
    for families in range(_ONLY_V4, _ONLY_V6 + 1) if any_six else range(_ALL, _ALL + 1):
        for event in range(ready):
            index = indexes[int(events[event, _DESCRIPTOR])]
            if families != _ALL and six[index] != (families == _ONLY_V6):
                continue
            room = min(limit - slot, share)
            got = 0
            if room:
                got = int(_recvmmsg(descriptors[index], messages + slot * MSGHDR_OCTETS, room, 0, 0))
            if got < 0:
                got = 0
                # An ICMP error or a spurious wake-up: nothing was read.
                problem = _problem()
                if problem not in (_EAGAIN, _EINTR):
                    told[FAILED] += 1
            if got == room:
                told[MORE] += 1
            for _ in range(got):
                lengths[slot] = received[slot]
                sockets[slot] = index
                control[slot] = controls[index]
                # The kernel wrote how long the name is: a slot that held an IPv4 one has room for IPv6 again.
                names[slot] = SOCKADDR
                slot += 1
        if families != _ONLY_V6:
            told[COUNT_V4] = slot
    told[COUNT] = slot


@compiled(
    "i8(i8, i8, u1[:, ::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8, u8[:, ::1], u8[:], u4[:], i8[::1],"
    " i8[:, ::1])"
)
def _lay_out(
    begin: int,
    end: int,
    data: Any,
    at: Any,
    lengths: Any,
    rows: Any,
    sockets: Any,
    name_lengths: Any,
    names_at: int,
    vectors: Any,
    names: Any,
    sizes: Any,
    places: Any,
    runs: Any,
) -> int:
    """Messages `begin` to `end` in the order of their sockets: iovec, name and length of each. `runs` (2, n) are the
    sockets and how many messages each has; how many runs is told."""
    begins, stride = data.ctypes.data, data.shape[1]
    count = 0
    for message in range(begin, end):
        row = rows[message]
        if name_lengths[row] == 0:
            continue
        socket = sockets[row]
        if places[socket] == 0:
            runs[0, count] = socket
            count += 1
        places[socket] += 1
    place = 0
    for run in range(count):
        socket = runs[0, run]
        runs[1, run] = places[socket]
        places[socket] = place
        place += runs[1, run]
    for message in range(begin, end):
        row = rows[message]
        if name_lengths[row] == 0:
            continue
        place = places[sockets[row]]
        places[sockets[row]] = place + 1
        vectors[place, 0] = begins + at[message] * stride
        vectors[place, 1] = lengths[message]
        names[place] = names_at + row * SOCKADDR
        sizes[place] = name_lengths[row]
    for run in range(count):
        places[runs[0, run]] = 0
    return count


@compiled("void(i8, i8, i8, i8[::1])")
def _send(descriptor: int, messages: int, count: int, told: Any) -> None:
    """`count` prepared messages by one socket. One that the kernel refuses is skipped."""
    while count:
        got = int(_sendmmsg(descriptor, messages, count, 0))
        if got > 0:
            told[SENT] += got
            messages += got * MSGHDR_OCTETS
            count -= got
            continue
        problem = _problem()
        if problem == _EINTR:
            continue
        if problem in (_EAGAIN, _ENOBUFS):
            # The socket's buffer is full: audio that waits is of no use to anybody.
            told[FULL] += count
            return
        told[REFUSED] += 1
        messages += MSGHDR_OCTETS
        count -= 1


@compiled(
    "void(i8, i8, u1[:, ::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8, u8[:, ::1], u8[:], u4[:], i8[::1],"
    " i8[:, ::1], i8[::1], i8, i8[::1])"
)
def deliver(
    begin: int,
    end: int,
    data: Any,
    at: Any,
    lengths: Any,
    rows: Any,
    sockets: Any,
    name_lengths: Any,
    names_at: int,
    vectors: Any,
    names: Any,
    sizes: Any,
    places: Any,
    runs: Any,
    descriptors: Any,
    messages: int,
    told: Any,
) -> None:
    """Send messages `begin` to `end` of these columns (`BatchSockets.send`), those of a socket in one call. A row
    without a name gets nothing. Added to `told`: how many the kernel took (SENT), how many found a socket's buffer
    FULL, how many it REFUSED.

    `sockets` and `name_lengths` are columns by row, `descriptors` and `places` by socket; `places` is 0, and is so
    again. `vectors`, `names`, `sizes` are parts of the struct mmsghdr's that lie at address `messages`.
    """
    count = _lay_out(
        begin,
        end,
        data,
        at,
        lengths,
        rows,
        sockets,
        name_lengths,
        names_at,
        vectors,
        names,
        sizes,
        places,
        runs,
    )
    for run in range(count):
        _send(descriptors[runs[0, run]], messages, runs[1, run], told)
        messages += runs[1, run] * MSGHDR_OCTETS

"""Columns of a batch to and from what the kernel reads and writes, compiled (`rtp.batch`)."""

from __future__ import annotations

from typing import Any

from rtp.address import SOCKADDR
from rtp.compiled import compiled


@compiled("void(i8, i8[::1], i8[::1], u4[:], b1[::1], i8[::1], u8[::1], b1[::1])")
def note(
    ready: int, indexes: Any, counts: Any, received: Any, controls: Any, lengths: Any, sockets: Any, control: Any
) -> None:
    """`counts[k]` packets came by socket `indexes[k]`, for `ready` sockets, with the lengths `received`: into the
    columns of the slots. `controls` by socket."""
    slot = 0
    for k in range(ready):
        index = indexes[k]
        for _ in range(counts[k]):
            lengths[slot] = received[slot]
            sockets[slot] = index
            control[slot] = controls[index]
            slot += 1


@compiled(
    "i8(i8, i8, u1[:, ::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8, u8[:, ::1], u8[:], u4[:], i8[::1],"
    " i8[:, ::1])"
)
def lay_out(
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
    sockets and how many messages each has; how many runs is told. A row without a name gets nothing.

    `sockets` and `name_lengths` are columns by row, `places` one by socket that is 0, and is so again.
    """
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

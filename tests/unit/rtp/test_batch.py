"""recvmmsg and sendmmsg on real sockets."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from rtp.address import LENGTH, SOCKADDR, family, sockaddr
from rtp.batch import SPARE_DESCRIPTORS, BatchSockets, allow_sockets
from rtp.columns import SLOT, Slots


@pytest.fixture
def sockets() -> Iterator[tuple[BatchSockets, Slots]]:
    slots = Slots(32)
    batch = BatchSockets(slots)
    yield batch, slots
    batch.close_all()


def endpoint(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.settimeout(1)
    return made


def bound(batch: BatchSockets, host: str, control: bool = False) -> tuple[int, int]:
    """Index and port of a new socket on any free port."""
    probe = endpoint(host)
    port = probe.getsockname()[1]
    probe.close()
    return batch.open(host, port, control), port


def send(batch: BatchSockets, slots: Slots, what: list[tuple[int, int, bytes]]) -> int:
    """Send slots by sockets to sockaddrs."""
    names = np.zeros((len(what), SOCKADDR), np.uint8)
    for row, (_, _, address) in enumerate(what):
        names[row] = np.frombuffer(address, np.uint8)
    at = np.array([slot for slot, _, _ in what])
    return batch.send(
        slots.data,
        at,
        slots.lengths[at],
        np.arange(len(what)),
        np.array([index for _, index, _ in what]),
        names.ctypes.data,
        np.array([LENGTH[family(address)] for _, _, address in what]),
    )


def test_what_is_received_lies_in_slots_with_its_source(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, slots = sockets
    four, port_four = bound(batch, "127.0.0.1")
    six, port_six = bound(batch, "::1", control=True)
    assert batch.receive() == 0
    sender_four, sender_six = endpoint("127.0.0.1"), endpoint("::1")
    sender_six.sendto(b"six", ("::1", port_six))
    for n in range(3):
        sender_four.sendto(b"four%d" % n, ("127.0.0.1", port_four))
    assert batch.receive() == 4
    assert (slots.count, slots.count_v4) == (4, 3)
    assert [slots.packet(n) for n in range(4)] == [b"four0", b"four1", b"four2", b"six"]
    assert slots.sockets[:4].tolist() == [four] * 3 + [six]
    assert slots.control[:4].tolist() == [False] * 3 + [True]
    assert slots.source(0) == sockaddr("127.0.0.1", sender_four.getsockname()[1])
    assert slots.source(3) == sockaddr("::1", sender_six.getsockname()[1])
    # The same slots again, the other family first in line.
    sender_six.sendto(b"again", ("::1", port_six))
    assert batch.receive() == 1
    assert slots.source(0) == sockaddr("::1", sender_six.getsockname()[1])
    for each in (sender_four, sender_six):
        each.close()


def test_a_batch_is_bounded_and_the_rest_comes_next(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, slots = sockets
    _, port = bound(batch, "127.0.0.1")
    sender = endpoint("127.0.0.1")
    for n in range(40):
        sender.sendto(bytes([n]), ("127.0.0.1", port))
    assert batch.receive() == slots.capacity == 32
    assert batch.receive() == 8
    assert slots.packet(7) == bytes([39])
    sender.close()


def test_a_crowded_socket_leaves_others_their_share(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, slots = sockets
    opened = [bound(batch, "127.0.0.1") for _ in range(2)]
    sender = endpoint("127.0.0.1")
    for n in range(60):
        sender.sendto(bytes([n]), ("127.0.0.1", opened[0][1]))
    sender.sendto(b"x", ("127.0.0.1", opened[1][1]))
    batch.receive()
    assert opened[1][0] in slots.sockets[: slots.count].tolist()
    sender.close()


def test_a_row_that_is_not_there_is_an_error_and_leaves_nothing_behind(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, slots = sockets
    index, _ = bound(batch, "127.0.0.1")
    receiver = endpoint("127.0.0.1")
    address = sockaddr("127.0.0.1", receiver.getsockname()[1])
    slots.put(b"packet", address, index)
    one = np.zeros(1, np.int64)
    with pytest.raises(IndexError):
        batch.send(slots.data, one, slots.lengths[:1], one + 5, one + index, 0, one + 16)
    assert send(batch, slots, [(0, index, address)]) == 1
    assert receiver.recv(100) == b"packet"
    receiver.close()


def test_oversized_datagrams_fill_their_slot(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, slots = sockets
    _, port = bound(batch, "127.0.0.1")
    sender = endpoint("127.0.0.1")
    sender.sendto(bytes(9000), ("127.0.0.1", port))
    assert batch.receive() == 1
    assert int(slots.lengths[0]) == SLOT
    sender.close()


def test_sends_go_by_the_right_socket_to_the_right_address(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, slots = sockets
    first, port_first = bound(batch, "127.0.0.1")
    second, port_second = bound(batch, "127.0.0.1")
    a, b = endpoint("127.0.0.1"), endpoint("127.0.0.1")
    to_a, to_b = sockaddr("127.0.0.1", a.getsockname()[1]), sockaddr("127.0.0.1", b.getsockname()[1])
    for n in range(3):
        slots.put(b"packet%d" % n, to_a, 1)
    assert send(batch, slots, [(0, second, to_a), (1, first, to_b), (2, second, to_b)]) == 3
    assert a.recvfrom(100) == (b"packet0", ("127.0.0.1", port_second))
    assert sorted([b.recvfrom(100), b.recvfrom(100)]) == [
        (b"packet1", ("127.0.0.1", port_first)),
        (b"packet2", ("127.0.0.1", port_second)),
    ]
    for each in (a, b):
        each.close()


def test_a_packet_that_the_kernel_refuses_does_not_stop_the_others(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, slots = sockets
    index, _ = bound(batch, "127.0.0.1")
    a = endpoint("127.0.0.1")
    good = sockaddr("127.0.0.1", a.getsockname()[1])
    refused = sockaddr("127.0.0.1", 0)
    for n in range(3):
        slots.put(b"packet%d" % n, good, 1)
    assert send(batch, slots, [(0, index, refused), (1, index, good), (2, index, refused)]) == 1
    assert a.recv(100) == b"packet1"
    assert batch.counters["send_failed"] == 2
    a.close()


def test_more_than_the_slots_are_sent_in_parts(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, slots = sockets
    index, _ = bound(batch, "127.0.0.1")
    a = endpoint("127.0.0.1")
    to = sockaddr("127.0.0.1", a.getsockname()[1])
    slots.put(b"packet", to, 1)
    assert send(batch, slots, [(0, index, to)] * 70) == 70
    assert [a.recv(100) for _ in range(70)] == [b"packet"] * 70
    a.close()


def test_indexes_of_closed_sockets_are_used_again(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, _ = sockets
    index, _ = bound(batch, "127.0.0.1")
    batch.close(index)
    batch.close(index)
    assert len(batch) == 0
    assert bound(batch, "127.0.0.1")[0] == index
    assert index != 0


def test_nothing_leaves_by_a_socket_that_is_closed(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, slots = sockets
    opened = [bound(batch, "127.0.0.1")[0] for _ in range(70)]
    batch.close(opened[-1])
    a = endpoint("127.0.0.1")
    to = sockaddr("127.0.0.1", a.getsockname()[1])
    slots.put(b"packet", to, 1)
    assert send(batch, slots, [(0, opened[-1], to), (0, 100, to), (0, opened[0], to)]) == 1
    assert batch.counters["send_failed"] == 2
    assert a.recv(100) == b"packet"
    a.close()


def test_what_is_left_behind_is_told(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, slots = sockets
    (first, port), (second, port_second) = (bound(batch, "127.0.0.1") for _ in range(2))
    sender = endpoint("127.0.0.1")
    for n in range(5):
        sender.sendto(bytes([n]), ("127.0.0.1", port))
    sender.sendto(b"other", ("127.0.0.1", port_second))
    assert batch.receive(3) == 3
    assert batch.more
    assert [batch.receive(20), batch.more] == [3, False]
    assert sorted(slots.sockets[:3].tolist()) == [first, first, second]
    sender.close()


def test_a_port_that_is_taken_is_an_error_and_leaks_nothing(sockets: tuple[BatchSockets, Slots]) -> None:
    batch, _ = sockets
    taken = endpoint("127.0.0.1")
    with pytest.raises(OSError) as problem:
        batch.open("127.0.0.1", taken.getsockname()[1], False)
    assert problem.value.errno == errno.EADDRINUSE
    assert len(batch) == 0
    taken.close()


def test_the_soft_limit_of_descriptors_is_raised_when_needed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lower = min(soft, SPARE_DESCRIPTORS + 10)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lower, hard))
    try:
        assert allow_sockets(lower - SPARE_DESCRIPTORS) == lower - SPARE_DESCRIPTORS
        assert allow_sockets(lower) >= lower - SPARE_DESCRIPTORS
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == (
            lower + SPARE_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(lower + SPARE_DESCRIPTORS, hard)
        )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

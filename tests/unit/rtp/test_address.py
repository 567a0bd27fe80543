"""Socket addresses as bytes and keys."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from rtp.address import FAMILY_V4, FAMILY_V6, LENGTH, Keys, canonical, host_and_port, sendable, sockaddr
from rtp.columns import Slots
from rtp.table import KeyTable


def test_the_families_are_the_kernels() -> None:
    assert (FAMILY_V4, FAMILY_V6) == (socket.AF_INET, socket.AF_INET6)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"])
def test_round_trip(host: str) -> None:
    assert host_and_port(sockaddr(host, 4000)) == (host, 4000)


def test_one_spelling_of_each_address() -> None:
    assert canonical("2001:DB8:0::0:1") == "2001:db8::1"


@pytest.mark.parametrize("host", ["example.org", "", "192.0.2", "0192.0.2.1", "fe80::1%eth0", "1.2.3.4.5"])
def test_what_is_no_literal_is_refused(host: str) -> None:
    with pytest.raises(ValueError):
        sockaddr(host, 4000)


def test_ports_are_bounded() -> None:
    with pytest.raises(ValueError, match="port 65536"):
        sockaddr("192.0.2.1", 65536)


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        ("192.0.2.1", True),
        ("127.0.0.1", True),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("ff02::1", False),
        ("2001:db8::1", True),
    ],
)
def test_only_single_hosts_are_sent_to(host: str, fine: bool) -> None:
    assert sendable(host) is fine


def test_scalar_and_column_keys_agree() -> None:
    keys = Keys(0x0123456789ABCDEF_FEDCBA9876543210_1122334455667788)
    sources = [("192.0.2.1", 4000), ("192.0.2.1", 4001), ("192.0.2.2", 4000)]
    sources_v6 = [("2001:db8::1", 4000), ("2001:db8::1", 4001), ("2001:db8::2", 4000)]
    slots = Slots(16)
    for n, (host, port) in enumerate(sources + sources_v6):
        slots.put(b"x", sockaddr(host, port), n % 2 + 1)
    assert slots.count_v4 == 3
    four = keys.sources(slots.sources[:3], slots.sockets[:3]).tolist()
    six = keys.sources_v6(slots.sources[3:6], slots.sockets[3:6]).tolist()
    hosts = keys.hosts_v6(slots.sources[3:6], slots.sockets[3:6]).tolist()
    expected = [keys.source(sockaddr(*each), n % 2 + 1) for n, each in enumerate(sources + sources_v6)]
    assert four + six == expected
    assert len(set(expected)) == 6
    assert hosts == [keys.host(sockaddr(*each), (n + 3) % 2 + 1) for n, each in enumerate(sources_v6)]


def test_a_slots_source_is_normal_whatever_the_kernel_left_there() -> None:
    slots = Slots(4)
    slots.put(b"x", sockaddr("2001:db8::1", 4000), 1)
    slots.names[0, 4:8] = 7  # a flow label
    slots.names[0, 28:] = 9
    assert slots.source(0) == sockaddr("2001:db8::1", 4000)
    slots.names[0, :8] = np.frombuffer(sockaddr("192.0.2.1", 4000)[:8], np.uint8)
    assert slots.source(0) == sockaddr("192.0.2.1", 4000)


def test_lengths_are_the_kernels() -> None:
    assert LENGTH == {2: 16, 10: 28}


def test_key_table_finds_what_was_inserted() -> None:
    table = KeyTable()
    for key in (50, 10, 30, 2**63):
        table.insert(key, key % 97 + 1)
    asked = np.array([10, 11, 50, 30, 2**63, 0, 2**64 - 1], np.uint64)
    assert table.lookup(asked).tolist() == [11, 0, 51, 31, 2**63 % 97 + 1, 0, 0]
    assert (table.get(30), table.get(31), table.get(2**64 - 1)) == (31, 0, 0)
    table.delete(30)
    table.delete(31)
    assert table.get(30) == 0
    assert len(table) == 3
    assert table.lookup(asked).tolist() == [11, 0, 51, 0, 2**63 % 97 + 1, 0, 0]

"""The allocator of shared ports: nobody's packets may have two owners, nothing leaks."""

from __future__ import annotations

import pytest

from rtp.ports import FULL_PORT, IDLE_PORT_SECONDS, NoMediaPorts, PortPool

HOST = "192.0.2.1"


def test_shared_ports_are_filled_one_after_the_other_and_then_in_turn() -> None:
    pool = PortPool(10000, 10099, 2)
    ports = [pool.open(stream, "192.0.2.1", ("192.0.2.1", 4000 + stream), False) for stream in range(2 * FULL_PORT)]
    assert ports == [10000] * FULL_PORT + [10002] * FULL_PORT
    more = [pool.open(stream, "192.0.2.1", ("192.0.2.1", 4000 + stream), False) for stream in range(1000, 1004)]
    assert sorted(more) == [10000, 10000, 10002, 10002]
    pool.close(0, 0.0)
    assert pool.open(2000, "192.0.2.1", ("192.0.2.1", 9000), False) in (10000, 10002)


def test_the_first_port_of_a_pair_is_even() -> None:
    assert PortPool(10001, 10010, 1).open(1, HOST, None, False) == 10002


def test_a_range_without_a_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="no pair"):
        PortPool(10001, 10002, 1)


def test_one_address_never_twice_on_a_port() -> None:
    pool = PortPool(10000, 10099, 2)
    ports = [pool.open(n, HOST, (HOST, 4000), False) for n in range(5)]
    assert len(set(ports)) == 5
    assert len(pool.opened) == 5


def test_none_left() -> None:
    pool = PortPool(10000, 10003, 1)
    pool.open(1, HOST, (HOST, 4000), False)
    pool.open(2, HOST, (HOST, 4000), False)
    with pytest.raises(NoMediaPorts, match="all 2 pairs"):
        pool.open(3, HOST, (HOST, 4000), False)
    pool.close(1, 0.0)
    assert pool.open(3, HOST, (HOST, 4000), False) == 10000


def test_a_stream_is_opened_once() -> None:
    pool = PortPool(10000, 10003, 1)
    pool.open(1, HOST, None, False)
    with pytest.raises(ValueError, match="stream 1"):
        pool.open(1, HOST, None, False)


def test_one_unlatched_nat_stream_per_port_and_host() -> None:
    pool = PortPool(10000, 10099, 1)
    first = pool.open(1, HOST, ("10.0.0.1", 4000), True)
    second = pool.open(2, HOST, ("10.0.0.2", 4000), True)
    elsewhere = pool.open(3, "192.0.2.9", ("10.0.0.3", 4000), True)
    assert first != second
    assert elsewhere == first
    # Latched, it waits no longer: its port is free for the next one of that host.
    pool.latched(1, (HOST, 33333))
    assert pool.open(4, HOST, ("10.0.0.4", 4000), True) == first


def test_neighbours_behind_one_nat_are_kept_apart_while_there_is_room() -> None:
    pool = PortPool(10000, 10099, 3)
    ports = []
    for n in range(4):
        ports.append(pool.open(n, HOST, ("10.0.0.1", 4000 + n), True))
        pool.latched(n, (HOST, 30_000 + n))
    assert len(set(ports[:3])) == 3
    assert ports[3] in ports[:3]


def test_a_latched_source_is_owned() -> None:
    pool = PortPool(10000, 10099, 1)
    port = pool.open(1, HOST, ("10.0.0.1", 4000), True)
    pool.latched(1, (HOST, 33333))
    assert pool.open(2, HOST, (HOST, 33333), False) != port


def test_unknown_remote_avoids_ports_with_that_host_while_it_can() -> None:
    pool = PortPool(10000, 10099, 3)
    ports = [pool.open(n, HOST, None, False) for n in range(3)]
    assert len(set(ports)) == 3
    # Then it shares: most hosts have a port per call.
    assert pool.open(3, HOST, None, False) in ports
    assert len(pool.opened) == 3


def test_a_host_that_reuses_one_address_is_learned() -> None:
    """As a load tester does that answers every call with one port."""
    pool = PortPool(10000, 10999, 2)
    ports = []
    for n in range(200):
        ports.append(pool.open(n, HOST, None, False))
        assert not pool.remote_changed(n, (HOST, 6000), False, HOST)
    assert pool.reuses_addresses(HOST)
    assert len(set(ports)) == 200


def test_an_answer_that_collides_is_told() -> None:
    pool = PortPool(10000, 10001, 1)
    pool.open(1, HOST, None, False)
    assert not pool.remote_changed(1, (HOST, 6000), False, HOST)
    pool.open(2, HOST, None, False)
    assert pool.remote_changed(2, (HOST, 6000), False, HOST)
    assert pool.reuses_addresses(HOST)
    # The owner leaves: the same answer fits.
    pool.close(1, 0.0)
    assert not pool.remote_changed(2, (HOST, 6000), False, HOST)


def test_nat_streams_with_one_private_address_are_told_apart_by_host() -> None:
    pool = PortPool(10000, 10001, 1)
    pool.open(1, "192.0.2.1", None, True)
    pool.open(2, "192.0.2.2", None, True)
    assert not pool.remote_changed(1, ("10.0.0.1", 4000), True, "192.0.2.1")
    assert not pool.remote_changed(2, ("10.0.0.1", 4000), True, "192.0.2.2")
    assert pool.remote_changed(2, ("10.0.0.1", 4000), True, "192.0.2.1")


def test_extra_ports_are_closed_when_idle_for_a_while() -> None:
    pool = PortPool(10000, 10099, 1)
    for n in range(3):
        pool.open(n, HOST, (HOST, 4000), False)
    for n in range(3):
        pool.close(n, 100.0)
    assert pool.shrink(100.0 + IDLE_PORT_SECONDS - 1) == []
    assert sorted(pool.shrink(100.0 + IDLE_PORT_SECONDS)) == [10002, 10004]
    assert pool.opened == [10000]


def test_an_extra_port_in_use_again_stays() -> None:
    pool = PortPool(10000, 10099, 1)
    pool.open(0, HOST, (HOST, 4000), False)
    pool.open(1, HOST, (HOST, 4000), False)
    pool.close(1, 0.0)
    assert pool.open(2, HOST, (HOST, 4000), False) == 10002
    assert pool.shrink(1000.0) == []


def test_an_unusable_port_is_never_chosen_again() -> None:
    pool = PortPool(10000, 10005, 1)
    pool.unusable(10000)
    assert pool.replace_broken() == 10002
    assert [pool.open(n, HOST, (HOST, 4000), False) for n in range(2)] == [10002, 10004]
    with pytest.raises(NoMediaPorts):
        pool.open(2, HOST, (HOST, 4000), False)


def test_closing_what_is_not_open_is_ignored() -> None:
    pool = PortPool(10000, 10005, 1)
    pool.close(7, 0.0)
    assert len(pool) == 0

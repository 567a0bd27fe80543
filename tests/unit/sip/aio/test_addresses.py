"""Our own addresses, and how a given host sees us."""

from __future__ import annotations

import socket

import pytest

from sip.aio.addresses import MAX_REMEMBERED, LocalAddresses, SipListen


def test_a_specific_listener_is_named_as_it_is() -> None:
    addresses = LocalAddresses((SipListen("udp", "127.0.0.1", 5070), SipListen("tcp", "127.0.0.1", 5071)))
    assert addresses.sent_by("udp", "127.0.0.9") == ("127.0.0.1", 5070)
    assert addresses.sent_by("tcp", "127.0.0.9") == ("127.0.0.1", 5071)


def test_a_wildcard_listener_is_named_by_the_way_to_the_host() -> None:
    addresses = LocalAddresses((SipListen("udp", "0.0.0.0", 5070),))
    assert addresses.sent_by("udp", "127.0.0.9") == ("127.0.0.1", 5070)
    assert addresses.address_towards("127.0.0.9") == "127.0.0.1"


def test_behind_a_nat_the_advertised_address_is_named() -> None:
    addresses = LocalAddresses((SipListen("udp", "0.0.0.0", 5060, "203.0.113.1", 15_060),))
    assert addresses.sent_by("udp", "127.0.0.9") == ("203.0.113.1", 15_060)


def test_the_listener_on_the_way_wins_then_the_one_for_all() -> None:
    other = SipListen("udp", "127.0.0.2", 5061)
    right = SipListen("udp", "127.0.0.1", 5062)
    every = SipListen("udp", "0.0.0.0", 5063)
    six = SipListen("udp", "::1", 5064)
    assert LocalAddresses((other, every, right, six)).choose("udp", "127.0.0.9") == right
    assert LocalAddresses((other, every, six)).choose("udp", "127.0.0.9") == every
    assert LocalAddresses((other, six)).choose("udp", "127.0.0.9") == other
    assert LocalAddresses((other, six)).choose("udp", "::1") == six
    assert LocalAddresses((other,)).choose("udp", "::1") is None
    assert LocalAddresses((other,)).choose("tcp", "127.0.0.9") is None


def test_no_way_to_a_host_is_a_loopback_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(self: socket.socket, address: object) -> None:
        raise OSError("Network is unreachable")

    class Unreachable(socket.socket):
        connect = unreachable

    monkeypatch.setattr(socket, "socket", Unreachable)
    addresses = LocalAddresses(())
    assert addresses.address_towards("192.0.2.1") == "127.0.0.1"
    assert addresses.address_towards("2001:db8::1") == "::1"


def test_what_is_remembered_is_bounded_and_can_be_forgotten() -> None:
    addresses = LocalAddresses((SipListen("udp", "0.0.0.0", 5060),))
    for n in range(MAX_REMEMBERED + 10):
        addresses.sent_by("udp", f"127.{n // 65_536}.{n // 256 % 256}.{n % 256}")
    assert len(addresses._sent_by) <= MAX_REMEMBERED
    assert len(addresses._towards) <= MAX_REMEMBERED
    addresses.forget()
    assert not addresses._sent_by


def test_a_port_that_the_system_chose_is_written_in() -> None:
    addresses = LocalAddresses((SipListen("udp", "127.0.0.1", 0),))
    assert addresses.sent_by("udp", "127.0.0.9") == ("127.0.0.1", 0)
    addresses.bound(0, 4711)
    assert addresses.sent_by("udp", "127.0.0.9") == ("127.0.0.1", 4711)

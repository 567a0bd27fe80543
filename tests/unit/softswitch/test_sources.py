"""Address lists: longest prefix, ports, families."""

from __future__ import annotations

import pytest

from softswitch.sources import CACHED_HOSTS, Rule, Sources, network_of


@pytest.mark.parametrize(
    ("text", "network", "port"),
    [
        ("192.0.2.7", "192.0.2.7/32", None),
        ("192.0.2.0/24", "192.0.2.0/24", None),
        ("192.0.2.7:5080", "192.0.2.7/32", 5080),
        ("192.0.2.0/24:5060", "192.0.2.0/24", 5060),
        ("2001:db8::1", "2001:db8::1/128", None),
        ("2001:db8::/32", "2001:db8::/32", None),
        ("[2001:db8::1]:5060", "2001:db8::1/128", 5060),
        ("[2001:db8::1]", "2001:db8::1/128", None),
        ("[2001:db8::/32]:5060", "2001:db8::/32", 5060),
        ("[2001:db8::]/32:5060", "2001:db8::/32", 5060),
    ],
)
def test_rules_as_written(text: str, network: str, port: int | None) -> None:
    rule = Rule(text)
    assert (str(rule.network), rule.port) == (network, port)


@pytest.mark.parametrize("text", ["", "host.example", "192.0.2.7/24", "192.0.2.7:0", "192.0.2.7:70000", "192.0.2.7:x"])
def test_bad_rules(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Rule(text)


def test_longest_prefix_wins_and_a_port_before_none() -> None:
    sources = Sources(
        [
            ("0.0.0.0/0", "world"),
            ("192.0.2.0/24", "net"),
            ("192.0.2.7", "host"),
            ("192.0.2.7:5080", "port"),
            ("192.0.2.8:5080", "only-port"),
        ]
    )
    assert sources.find("192.0.2.7", 5060) == "host"
    assert sources.find("192.0.2.7", 5080) == "port"
    assert sources.find("192.0.2.8", 5080) == "only-port"
    assert sources.find("192.0.2.8", 5060) == "net"
    assert sources.find("198.51.100.1", 5060) == "world"


def test_families_do_not_mix_but_mapped_addresses_are_ipv4() -> None:
    sources = Sources([("192.0.2.7", "four"), ("::/0", "six")])
    assert sources.find("::ffff:192.0.2.7", 1) == "four"
    assert sources.find("2001:db8::1%eth0", 1) == "six"
    assert sources.find("192.0.2.8", 1) is None
    assert sources.find("not an address", 1) is None


def test_an_address_has_one_owner() -> None:
    with pytest.raises(ValueError, match="two owners"):
        Sources([("192.0.2.7", "a"), ("192.0.2.7/32", "b")])
    assert Sources([("192.0.2.7", "a"), ("192.0.2.7/32", "a")]).find("192.0.2.7", 1) == "a"


def test_many_sources_do_not_fill_memory() -> None:
    sources = Sources([("10.0.0.0/8", "ten")])
    for number in range(CACHED_HOSTS + 10):
        assert sources.find(f"10.1.{number >> 8}.{number & 255}", 1) == "ten"
    assert len(sources._found) <= CACHED_HOSTS


def test_failures_of_ipv6_count_for_the_64() -> None:
    assert network_of("2001:db8:1:2:aaaa::1") == network_of("2001:db8:1:2:bbbb::9") == "2001:db8:1:2::/64"
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7") == "192.0.2.7"

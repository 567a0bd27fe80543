"""Address lists: which owner a source address belongs to. Longest prefix first, an entry with a port before one
without."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Generic, TypeVar

CACHED_HOSTS = 4096
"""Hosts whose owners are kept found; emptied when full, so that a flood of sources costs time, not memory."""

OwnerT = TypeVar("OwnerT")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Rule:
    """ "192.0.2.7", "192.0.2.0/24", "192.0.2.7:5080", "192.0.2.0/24:5060", "2001:db8::/32", "[2001:db8::1]:5060".

    ValueError when it is none of these, or host bits are set.
    """

    __slots__ = ("network", "port")

    def __init__(self, text: str) -> None:
        host, port = text, ""
        if text.startswith("["):
            host, _, rest = text[1:].partition("]")
            # "[2001:db8::]/32" and "[2001:db8::/32]" both mean the network.
            length, _, port = rest.rpartition(":") if ":" in rest else (rest, "", "")
            host += length
        elif text.count(":") == 1:
            host, _, port = text.partition(":")
        self.network: _Network = ipaddress.ip_network(host)
        self.port: int | None = _port(port, text) if port else None


class Sources(Generic[OwnerT]):
    """Rules and their owners. Two owners of the same rule are a ValueError: a call would belong to either."""

    __slots__ = ("_found", "_lengths", "_owners")

    def __init__(self, rules: Iterable[tuple[str, OwnerT]]) -> None:
        # (version, prefix length) -> network address as number -> port -> owner
        self._owners: dict[tuple[int, int], dict[int, dict[int | None, OwnerT]]] = {}
        self._found: dict[str, tuple[dict[int | None, OwnerT], ...]] = {}
        for text, owner in rules:
            rule = Rule(text)
            network = rule.network
            by_port = self._owners.setdefault((network.version, network.prefixlen), {}).setdefault(
                int(network.network_address), {}
            )
            if by_port.setdefault(rule.port, owner) != owner:
                raise ValueError(f"address {text} belongs to two owners")
        self._lengths = sorted(self._owners, reverse=True)

    def find(self, host: str, port: int) -> OwnerT | None:
        """The owner of an address; None when there is none, or the host is not an IP literal."""
        if not self._lengths:
            return None
        found = self._found.get(host)
        if found is None:
            if len(self._found) >= CACHED_HOSTS:
                self._found.clear()
            found = self._found[host] = self._matching(host)
        for by_port in found:
            owner = by_port.get(port)
            if owner is None:
                owner = by_port.get(None)
            if owner is not None:
                return owner
        return None

    def __bool__(self) -> bool:
        return bool(self._lengths)

    def _matching(self, host: str) -> tuple[dict[int | None, OwnerT], ...]:
        address = read_address(host)
        if address is None:
            return ()
        value, bits = int(address), address.max_prefixlen
        matching = []
        for version, length in self._lengths:
            if version == address.version:
                by_port = self._owners[version, length].get(value >> (bits - length) << (bits - length))
                if by_port is not None:
                    matching.append(by_port)
        return tuple(matching)


@lru_cache(CACHED_HOSTS)
def read_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IP literal without zone, IPv4-mapped IPv6 as IPv4; None for anything else."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(CACHED_HOSTS)
def network_of(host: str) -> str:
    """What failures are counted for: an IPv4 address, or the /64 of an IPv6 one, which is a single subscriber's."""
    address = read_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Address(int(address) >> 64 << 64)) + "/64"
    return host if address is None else str(address)


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535):
        raise ValueError(f"bad port in {whole!r}")
    return int(text)

"""Socket addresses as bytes and as 64-bit keys, so that a column of sources can be compared at once.

A sockaddr is kept as the kernel writes it (struct sockaddr_in, 16 octets; struct sockaddr_in6, 28 octets),
padded to `SOCKADDR` octets. The key of a source is exact for IPv4 (address, port and socket fit in 64 bits)
and a keyed hash for IPv6, so whoever finds a row by an IPv6 key compares the address itself before believing
it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from ipaddress import ip_address

import numpy as np
import numpy.typing as npt

SOCKADDR = 32  # octets kept per address: struct sockaddr_in6 rounded up to whole words
FAMILY_V4, FAMILY_V6 = 2, 10  # AF_INET and AF_INET6 of Linux
LENGTH = {FAMILY_V4: 16, FAMILY_V6: 28}
SOCKET_MASK = 0xFFFF  # low bits of a key: the index of the socket that the packet came by
PORT_MASK = 0xFFFF0000
_U64 = 0xFFFFFFFFFFFFFFFF

U64 = npt.NDArray[np.uint64]


@lru_cache(maxsize=4096)
def packed(host: str) -> bytes:
    """The 4 or 16 octets of an IP literal; ValueError for anything else (names, scoped addresses)."""
    address = ip_address(host)
    if getattr(address, "scope_id", None):
        raise ValueError(f"{host!r} is a scoped address")
    return address.packed


def canonical(host: str) -> str:
    """One text for each address, so that texts can be compared; ValueError for what is no IP literal."""
    return host_text(packed(host))


@lru_cache(maxsize=4096)
def host_text(octets: bytes) -> str:
    return str(ip_address(octets))


@lru_cache(maxsize=4096)
def sendable(host: str) -> bool:
    """Whether media may be sent to it: one host, neither unspecified, multicast nor broadcast."""
    octets = packed(host)
    if len(octets) == 4:
        return 0 < octets[0] < 224
    return octets[0] != 0xFF and any(octets)


def family_of(host: str) -> int:
    return FAMILY_V4 if len(packed(host)) == 4 else FAMILY_V6


def sockaddr(host: str, port: int) -> bytes:
    """`SOCKADDR` octets for an IP literal and a port; ValueError when it is none."""
    octets = packed(host)
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port} is out of range")
    if len(octets) == 4:
        return _V4 + port.to_bytes(2, "big") + octets + bytes(24)
    return _V6 + port.to_bytes(2, "big") + bytes(4) + octets + bytes(8)


def host_and_port(address: bytes) -> tuple[str, int]:
    """The reverse of `sockaddr`."""
    return host_text(host_octets(address)), int.from_bytes(address[2:4], "big")


def family(address: bytes) -> int:
    """FAMILY_V4 or FAMILY_V6."""
    return int.from_bytes(address[:2], sys.byteorder)


def host_octets(address: bytes) -> bytes:
    return address[4:8] if address[:2] == _V4 else address[8:24]


_V4 = FAMILY_V4.to_bytes(2, sys.byteorder)
_V6 = FAMILY_V6.to_bytes(2, sys.byteorder)


class Keys:
    """Keys of sources. `secret` (192 bits) makes IPv6 hashes unpredictable: nobody can choose colliding
    addresses."""

    __slots__ = ("_high", "_low", "_port", "secrets")

    def __init__(self, secret: int) -> None:
        self._high = secret & _U64 | 1
        self._low = secret >> 64 & _U64 | 1
        self._port = secret >> 128 & _U64 | 1
        self.secrets: U64 = np.array([self._high, self._low, self._port], np.uint64)

    def source(self, address: bytes, socket: int) -> int:
        """The key of packets from `address` that come by socket number `socket`."""
        if address[:2] == _V4:
            return int.from_bytes(address[:8], "little") & ~SOCKET_MASK | socket
        high = int.from_bytes(address[8:16], "little")
        low = int.from_bytes(address[16:24], "little")
        port = int.from_bytes(address[2:4], "little")
        mixed = high * self._high + low * self._low + port * self._port & _U64
        return (mixed ^ mixed >> 32) & ~SOCKET_MASK | socket

    def host(self, address: bytes, socket: int) -> int:
        """The key of any port of that host."""
        return self.source(address[:2] + b"\0\0" + address[4:], socket)

    def sources(self, names: U64, sockets: U64) -> U64:
        """Keys of a column of IPv4 sources; `names` (n, 4) is sockaddrs as words."""
        keys: U64 = (names[:, 0] & np.uint64(_U64 ^ SOCKET_MASK)) | sockets
        return keys

    def sources_v6(self, names: U64, sockets: U64) -> U64:
        return self._mix(names, names[:, 0] >> np.uint64(16) & np.uint64(0xFFFF), sockets)

    def hosts_v6(self, names: U64, sockets: U64) -> U64:
        return self._mix(names, np.zeros(len(names), np.uint64), sockets)

    def _mix(self, names: U64, ports: U64, sockets: U64) -> U64:
        mixed = names[:, 1] * np.uint64(self._high) + names[:, 2] * np.uint64(self._low)
        mixed += ports * np.uint64(self._port)
        mixed ^= mixed >> np.uint64(32)
        keys: U64 = (mixed & np.uint64(_U64 ^ SOCKET_MASK)) | sockets
        return keys

"""Our own addresses: what we listen on, and how a given host sees us."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Final

import msgspec

# Remote hosts whose way is remembered; all are forgotten when full, and every REFRESH seconds, because addresses of
# ours come and go (DHCP, a VPN).
MAX_REMEMBERED: Final = 4_096
REFRESH: Final = 60.0

_WILDCARDS: Final = ("0.0.0.0", "::")
# Nothing is sent there: connecting a datagram socket only asks the routing table. Any port will do.
_ANY_PORT: Final = 9


class SipListen(msgspec.Struct, frozen=True):
    """One listener. host: an IP literal without brackets, 0.0.0.0 or :: for all. port: 0 lets the system choose.

    advertise_host, advertise_port: what Via and Contact say instead, for a switch behind a NAT that forwards; "" and 0
    say what we have.
    """

    transport: str
    host: str
    port: int
    advertise_host: str = ""
    advertise_port: int = 0

    @property
    def family(self) -> int:
        return family_of(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport} {host}:{self.port}"


class LocalAddresses:
    """What we listen on, and what to say of it. `Driver.start` writes in the ports that the system chose."""

    def __init__(self, listen: tuple[SipListen, ...]) -> None:
        self.listen = list(listen)
        self._towards: dict[str, str] = {}
        self._sent_by: dict[tuple[str, str], tuple[str, int]] = {}

    def sent_by(self, transport: str, remote_host: str) -> tuple[str, int]:
        """Host and port of the listener of that transport that `remote_host` can reach us at."""
        known = self._sent_by.get((transport, remote_host))
        if known is not None:
            return known
        listen = self.choose(transport, remote_host)
        if listen is None:
            # We only send by that transport: the peer answers over the connection.
            host, port = self.address_towards(remote_host), 5060
        else:
            wildcard = listen.host in _WILDCARDS
            host = listen.advertise_host or (self.address_towards(remote_host) if wildcard else listen.host)
            port = listen.advertise_port or listen.port
        if len(self._sent_by) >= MAX_REMEMBERED:
            self._sent_by.clear()
        self._sent_by[transport, remote_host] = (host, port)
        return host, port

    def choose(self, transport: str, remote_host: str) -> SipListen | None:
        """The listener to use towards that host: bound to our address on the way there, else to all, else any."""
        family = family_of(remote_host)
        fitting = [x for x in self.listen if x.transport == transport and x.family == family]
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        towards = self.address_towards(remote_host)
        exact = [x for x in fitting if x.host == towards]
        return (exact or [x for x in fitting if x.host in _WILDCARDS] or fitting)[0]

    def address_towards(self, host: str) -> str:
        """Our own address on the way to `host` (an IP literal); a loopback address when there is no way."""
        known = self._towards.get(host)
        if known is not None:
            return known
        address = _ask_routing(host)
        if len(self._towards) >= MAX_REMEMBERED:
            self._towards.clear()
        self._towards[host] = address
        return address

    def bound(self, index: int, port: int) -> None:
        """The system chose this port for a listener that left it open."""
        self.listen[index] = msgspec.structs.replace(self.listen[index], port=port)
        self.forget()

    def forget(self) -> None:
        """Ask the routing table afresh from now on."""
        self._towards.clear()
        self._sent_by.clear()


def family_of(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _ask_routing(host: str) -> str:
    family = family_of(host)
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, _ANY_PORT))
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"
        address = str(probe.getsockname()[0])
    # Canonical text, without a scope.
    return str(ip_address(address.partition("%")[0]))

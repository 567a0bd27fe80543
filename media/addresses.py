"""Addresses of streams as they are compared, and the local one that fits a peer."""

from __future__ import annotations

from media.commands import MediaAddress, NoMediaPorts
from rtp.address import canonical, family_of


def host_for(hosts: list[str], local_host: str, peer: str) -> int:
    """Index of the bound host that `local_host` is, or of a wildcard of the peer's family, or of any of that family.
    `hosts` are canonical. Raises NoMediaPorts."""
    families = [family_of(host) for host in hosts]
    try:
        family = family_of(peer)
    except ValueError:
        family = families[0]
    if len(hosts) == 1 and families[0] == family:
        return 0
    local = comparable(local_host)
    fitting = [index for index, other in enumerate(families) if other == family]
    for index in fitting:
        if hosts[index] == local:
            return index
    for index in fitting:
        if hosts[index] in ("0.0.0.0", "::"):
            return index
    if fitting:
        return fitting[0]
    raise NoMediaPorts(f"no media socket of the address family of {peer}")


def placeable(remote: MediaAddress) -> bool:
    """Whether it is an address that a stream can be told by: RFC 3264 8.4 has 0.0.0.0 for hold."""
    return remote.port != 0 and remote.host not in ("0.0.0.0", "::")


def comparable(host: str) -> str:
    """The one spelling of an IP literal; anything else as it stands."""
    try:
        return canonical(host)
    except ValueError:
        return host

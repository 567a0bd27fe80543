"""Whether SRTP keys may stand in the descriptions of a leg (RFC 4568): where its signalling goes by TLS. Pure."""

from __future__ import annotations

import msgspec

from media.negotiate import AudioPolicy
from media.sdes import KEYS_IN_CLEAR
from sip.effects import TRANSPORTS, Destination, Flow, Target
from softswitch.directory_entries import DialAddress


def secure(way: Destination) -> bool:
    """Whether signalling that goes this way can be read by nobody else: TLS to the next hop."""
    hops = way if isinstance(way, tuple) and not isinstance(way, Flow | Target) else (way,)
    return bool(hops) and all(hop is not None and TRANSPORTS[hop.transport].secure for hop in hops)


def keyed(policy: AudioPolicy, way: Destination) -> AudioPolicy:
    """The policy of a leg whose signalling goes this way: over TLS, SRTP keys may stand in its descriptions."""
    if policy.srtp == "never" or policy.sdes or not secure(way):
        return policy
    return msgspec.structs.replace(policy, sdes=True)


def in_the_clear(policy: AudioPolicy, address: DialAddress) -> str:
    """Why an endpoint must not be called without TLS; "" where it may be."""
    if policy.srtp == "required" and not policy.sdes:
        return KEYS_IN_CLEAR
    # RFC 3261 26.2.2, RFC 5630 3.1.1: a sips resource is reached over TLS or not at all.
    if address.uri[:5].lower() == "sips:" and address.destination is not None and not secure(address.destination):
        return "its address is a sips one, which needs TLS"
    return ""

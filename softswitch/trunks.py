"""Trunks: gateways, channels, numbers, caller identity (structs first, for whoever maps settings onto them)."""

from __future__ import annotations

from typing import Literal

import msgspec

from softswitch.trunk_registration import TrunkRegistrationConfig


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One place a trunk's calls can go."""

    host: str
    """Host name (resolved by RFC 3263) or IP literal, IPv6 without brackets."""
    port: int | None = None
    """None: SRV decides for a name, 5060 for a literal."""
    transport: str = ""
    """"udp", "tcp"; "" lets RFC 3263 choose."""
    priority: int = 0
    """Lower is tried first."""
    weight: int = 1
    """Share among gateways of one priority, 0..65535 (RFC 2782: 0 is nearly never first)."""


class NumberRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rewriting rule; the first rule whose `match` fits is applied, the others are not looked at."""

    match: str = ""
    """Regular expression that the whole number must match; "" matches every number."""
    strip: int = 0
    """Characters taken off the front (before `prepend`)."""
    prepend: str = ""
    """Text put in front."""
    replace: str | None = None
    """Replacement template of `match` (\\1, \\g<name>) applied first; None leaves the number."""


class CallerRules(msgspec.Struct, frozen=True, kw_only=True):
    """How callers are shown to a trunk, and which of its words about callers are believed."""

    trusted: bool = False
    """RFC 3325 trust domain: identity headers are sent to it and believed from it."""
    send: Literal["none", "p-asserted-identity", "remote-party-id", "p-preferred-identity"] = "none"
    """Identity header of outgoing calls; the first two only where `trusted`."""
    believe: tuple[Literal["p-asserted-identity", "remote-party-id", "from"], ...] = (
        "p-asserted-identity",
        "remote-party-id",
        "from",
    )
    """Order in which an incoming call's identity is looked for; where not `trusted`, only "from" counts."""
    number: str = ""
    """Fixed caller number of outgoing calls; "" passes the caller's own."""
    name: str | None = None
    """Fixed display name of outgoing calls; None passes the caller's own, "" sends none."""
    default_number: str = ""
    """Number for callers whose own does not match `allowed`."""
    allowed: str = ""
    """Regular expression for caller numbers that may be shown whole; "" allows every number."""
    from_user: str = ""
    """Fixed From user (providers that want the account there); the caller then shows in the identity header only."""
    from_domain: str = ""
    """Host of From and of identity headers; "" takes the gateway's host."""
    rewrite_outbound: tuple[NumberRule, ...] = ()
    """Applied to the caller number of outgoing calls, before `allowed`."""
    rewrite_inbound: tuple[NumberRule, ...] = ()
    """Applied to the caller number of incoming calls."""


class TrunkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One trunk. Secrets are not printed."""

    name: str
    """Unique name."""
    inbound: Literal["none", "address", "credentials"] = "none"
    """How its calls to us are recognised: by `sources` alone, by digest, or not at all."""
    sources: tuple[str, ...] = ()
    """"192.0.2.7", "192.0.2.0/24", "192.0.2.7:5080", "2001:db8::/32", "[2001:db8::1]:5060".
    With inbound "address" they identify; with "credentials" they restrict (empty: any source)."""
    inbound_username: str = ""
    """Digest user name the trunk calls us with (inbound "credentials")."""
    inbound_password: str = ""
    """Its password."""
    gateways: tuple[GatewayConfig, ...] = ()
    """Where calls to the trunk go; empty: it cannot be called."""
    username: str = ""
    """Digest user name we answer its challenges with; "" never answers a challenge."""
    password: str = ""
    """Its password."""
    realm: str = ""
    """Realm those credentials are bound to; "" binds them to the peer's first challenge."""
    registration: TrunkRegistrationConfig | None = None
    """Outbound registration, if any."""
    max_calls: int = 0
    """Concurrent calls, both directions; 0: no limit of its own."""
    rewrite_outbound: tuple[NumberRule, ...] = ()
    """Applied to the dialled number of calls to the trunk."""
    rewrite_inbound: tuple[NumberRule, ...] = ()
    """Applied to the dialled number (DID) of calls from the trunk."""
    caller: CallerRules = CallerRules()
    """Caller identity."""
    failover_statuses: frozenset[int] = frozenset()
    """Statuses that go to the next gateway besides the built-in ones (see `Trunks.fails_over`)."""
    cooling: float = 30.0
    """Seconds a gateway rests after a 503 without Retry-After."""
    qualify: float = 60.0
    """Seconds between OPTIONS to each gateway; 0: none."""
    context: str = ""
    """Dialplan context of its incoming calls: carried, not read here."""

    def __repr__(self) -> str:
        return f"TrunkConfig(name={self.name!r}, inbound={self.inbound!r})"

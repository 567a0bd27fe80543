"""Trunks: which gateway a call goes to, with what number and caller identity; their health.

    attempts()    gateways in the order they are tried: by priority (lower first), within one priority by weighted
                  chance (RFC 2782); without those that do not answer OPTIONS or rest after a 503, unless all do
    failed()      what a failure says about the gateway: 503 and silence make it rest
    fails_over()  which failures are the gateway's (try the next one), which the callee's word (end the call)

Incoming calls are recognised by `softswitch.admission`; what they say of number and caller is read here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import msgspec

from sip.digest import Credentials
from sip.effects import Destination, Target
from sip.uri import escape_user
from softswitch import diverting
from softswitch.caller_identity import CallerIdentity, CallerRules, NumberRule, Numbers
from softswitch.qualify import PingTarget
from softswitch.trunk_registration import TrunkRegistrationConfig

if TYPE_CHECKING:
    from sip.headers import NameAddr
    from sip.ids import Ids
    from sip.message import Request
    from softswitch.vocabulary import Diverted, Party

MAX_RETRY_AFTER = 600.0
"""Seconds: the longest rest that a gateway's Retry-After earns it."""

FINAL_SERVER_ERRORS = frozenset((501, 505, 513, 555, 580))
"""5xx that another gateway of the trunk would answer alike: they are about the request, not about the server."""

GatewayPlace = tuple[str, str]
"""Trunk name and gateway label: the key of a gateway in `softswitch.qualify`."""


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One place a trunk's calls can go."""

    host: str
    """Host name (resolved by RFC 3263) or IP literal, IPv6 without brackets."""
    port: int | None = None
    """None: SRV decides for a name, 5060 for a literal."""
    transport: str = ""
    """"udp", "tcp"; "" lets RFC 3263 choose (udp for a literal)."""
    priority: int = 0
    """Lower is tried first."""
    weight: int = 1
    """Share among gateways of one priority, 0..65535 (RFC 2782: 0 is nearly never first)."""


class TrunkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One trunk. Secrets are not printed."""

    name: str
    """Unique name."""
    inbound: Literal["none", "address", "credentials"] = "none"
    """How its calls to us are recognised: by `sources` alone, by digest, or not at all."""
    sources: tuple[str, ...] = ()
    """"192.0.2.7", "192.0.2.0/24", "192.0.2.7:5080", "192.0.2.0/24:5060", "2001:db8::/32", "[2001:db8::1]:5060".
    With inbound "address" they identify; with "credentials" they restrict (empty: any source)."""
    inbound_username: str = ""
    """Digest user name the trunk calls us with (inbound "credentials")."""
    inbound_password: str = ""
    """Its password."""
    gateways: tuple[GatewayConfig, ...] = ()
    """Where calls to the trunk go; empty: it cannot be called."""
    outbound_proxy: str = ""
    """URI of a proxy through which calls go to the gateways (a Route header), "" for none."""
    username: str = ""
    """Digest user name we answer its challenges with; "" never answers a challenge."""
    password: str = ""
    """Its password."""
    realm: str = ""
    """Realm those credentials are bound to; "" binds them to the peer's first challenge."""
    registration: TrunkRegistrationConfig | None = None
    """Outbound registration, if any."""
    max_calls: int = 0
    """Concurrent calls, both directions; 0: no limit of its own. Counted in `softswitch.call_limits`."""
    rewrite_outbound: tuple[NumberRule, ...] = ()
    """Applied to the dialled number of calls to the trunk."""
    rewrite_inbound: tuple[NumberRule, ...] = ()
    """Applied to the dialled number (DID) of calls from the trunk."""
    caller: CallerRules = CallerRules()
    """Caller identity."""
    failover_statuses: frozenset[int] = frozenset()
    """Statuses that go to the next gateway besides the built-in ones (see `Trunks.fails_over`)."""
    cooling: float = 30.0
    """Seconds a gateway rests after a 503 without Retry-After, or after silence."""
    qualify: float = 60.0
    """Seconds between OPTIONS to each gateway; 0: none."""
    context: str = ""
    """Dialplan context of its incoming calls: carried, not read here."""

    def __repr__(self) -> str:
        return f"TrunkConfig(name={self.name!r}, inbound={self.inbound!r})"


class GatewayAttempt(msgspec.Struct):
    """One INVITE to one gateway."""

    trunk: str
    gateway: str
    """Label of the gateway, for failed(), succeeded() and the record of the call."""
    uri: str
    """Request-URI."""
    destination: Destination
    """None: located by RFC 3263 from Route or Request-URI."""
    headers: list[tuple[str, str]]
    """From (without tag), To, and what the caller rules ask for."""
    number: str
    """The dialled number as sent, after rewriting."""
    credentials: Credentials | None


class GatewayStatus(msgspec.Struct, frozen=True):
    """One gateway in `status`."""

    gateway: str
    reachable: bool
    resting_for: float
    """Seconds it still rests; 0 when it does not."""


class TrunkStatus(msgspec.Struct, frozen=True):
    """One trunk in `status`."""

    name: str
    inbound: str
    max_calls: int
    gateways: tuple[GatewayStatus, ...]


class _Gateway:
    """A gateway with what is known of it."""

    __slots__ = ("config", "destination", "host_part", "label", "reachable", "rests_until", "suffix")

    def __init__(self, config: GatewayConfig) -> None:
        self.config = config
        literal = _literal(config.host)
        host = f"[{config.host}]" if literal == 6 else config.host
        self.host_part = host
        self.suffix = f"@{host}"
        if config.port is not None:
            self.suffix += f":{config.port}"
        if config.transport and config.transport != "udp":
            self.suffix += f";transport={config.transport}"
        self.label = f"{host}:{config.port or 5060}/{config.transport or 'udp'}" if literal else self.suffix[1:]
        self.destination: Destination = (
            Target(config.transport or "udp", config.host, config.port or 5060) if literal else None
        )
        self.reachable = True
        self.rests_until = float("-inf")


class _Trunk:
    """A trunk's settings, compiled."""

    __slots__ = ("config", "credentials", "dialled", "did", "gateways", "identity", "priorities", "route")

    def __init__(self, config: TrunkConfig, known: dict[str, _Gateway]) -> None:
        self.config = config
        self.dialled = Numbers(config.rewrite_outbound)
        self.did = Numbers(config.rewrite_inbound)
        self.identity = CallerIdentity(config.caller)
        self.route = _route(config.outbound_proxy)
        self.credentials = Credentials(config.username, config.password, config.realm) if config.username else None
        self.gateways: dict[str, _Gateway] = {}
        for wanted in config.gateways:
            gateway = _Gateway(wanted)
            before = known.get(gateway.label)
            if before is not None:
                gateway.reachable = before.reachable
                gateway.rests_until = before.rests_until
            self.gateways[gateway.label] = gateway
        by_priority: dict[int, list[_Gateway]] = {}
        for gateway in self.gateways.values():
            by_priority.setdefault(gateway.config.priority, []).append(gateway)
        self.priorities = [by_priority[priority] for priority in sorted(by_priority)]

    def ping(self, gateway: _Gateway) -> PingTarget:
        return PingTarget(f"sip:{gateway.suffix[1:]}", None if self.route else gateway.destination, self.route)


class Trunks:
    """All trunks. Settings are swapped whole; what is known of a gateway survives a reload that keeps it."""

    __slots__ = ("_ids", "_trunks")

    def __init__(self, configs: Iterable[TrunkConfig], ids: Ids) -> None:
        self._ids = ids
        self._trunks: dict[str, _Trunk] = {}
        self.configure(configs)

    def configure(self, configs: Iterable[TrunkConfig]) -> None:
        """Take over new settings, all or (re.error of a bad pattern) none."""
        trunks: dict[str, _Trunk] = {}
        for config in configs:
            before = self._trunks.get(config.name)
            trunks[config.name] = _Trunk(config, {} if before is None else before.gateways)
        self._trunks = trunks

    def config(self, trunk: str) -> TrunkConfig | None:
        """Settings of a trunk."""
        known = self._trunks.get(trunk)
        return None if known is None else known.config

    # Outgoing calls

    def attempts(self, trunk: str, number: str, caller: Party, now: float) -> list[GatewayAttempt]:
        """The INVITEs to try, in order; empty when the trunk is unknown, has no gateway, or no number is left."""
        known = self._trunks.get(trunk)
        if known is None:
            return []
        number = known.dialled.rewrite(number)
        if not number:
            return []
        return [self._attempt(known, gateway, number, caller) for gateway in self._order(known, now)]

    def fails_over(self, trunk: str, status: int, alerted: bool = False) -> bool:
        """Whether the next gateway is worth a try after `status` (408: nobody answered, 503: could not be sent).

        Busy (486), not found (404), declined (6xx), refused (4xx), redirected (3xx) are answers to the call and
        end it. 408 and most 5xx are the gateway's own trouble; once the callee was `alerted`, a 408 is his silence.
        """
        if status == 408:
            return not alerted
        if 500 <= status < 600 and status not in FINAL_SERVER_ERRORS:
            return True
        known = self._trunks.get(trunk)
        return known is not None and status in known.config.failover_statuses

    def failed(self, trunk: str, gateway: str, status: int, retry_after: float | None, now: float) -> None:
        """An INVITE to the gateway failed with `status` before anybody was alerted."""
        found = self._gateway(trunk, gateway)
        if found is None:
            return
        known, there = found
        # RFC 3261 21.5.4: a client that gets a 503 "SHOULD NOT forward any other requests to that server for
        # the duration specified in the Retry-After header field, if present."
        if status == 503 and retry_after is not None:
            there.rests_until = now + min(max(retry_after, 0.0), MAX_RETRY_AFTER)
        elif status in (408, 503):
            there.rests_until = now + known.config.cooling

    def succeeded(self, trunk: str, gateway: str) -> None:
        """The gateway gave a call progress or an answer: its rest is over."""
        found = self._gateway(trunk, gateway)
        if found is not None:
            found[1].rests_until = float("-inf")

    # Incoming calls

    def dialled(self, trunk: str, number: str) -> str:
        """The number a call of this trunk asks for, rewritten."""
        known = self._trunks.get(trunk)
        return number if known is None else known.did.rewrite(number)

    def caller(self, trunk: str, request: Request) -> Party:
        """Who calls, by those words of the request that this trunk is believed."""
        known = self._trunks.get(trunk)
        identity = _STRANGER if known is None else known.identity
        return identity.read(request)

    def diverted(self, trunk: str, request: Request) -> tuple[tuple[Diverted, ...], int]:
        """Who has sent a call of this trunk on before, newest first, where it is believed; and how often that was."""
        known = self._trunks.get(trunk)
        identity = _STRANGER if known is None else known.identity
        diverted, count = diverting.read(request, identity.rewritten)
        return (diverted if known is not None and known.config.caller.trusted else ()), count

    def address(self, trunk: str, gateway: str, party: Party) -> NameAddr | None:
        """How somebody who has sent a call on is shown to a gateway; None: not at all."""
        found = self._gateway(trunk, gateway)
        return None if found is None else found[0].identity.address(party, found[1].host_part)

    # Health

    def places(self) -> list[tuple[GatewayPlace, PingTarget, float]]:
        """Gateways to be asked with OPTIONS, and how often (seconds; 0: not), for `Qualify.watch`."""
        return [
            ((name, gateway.label), known.ping(gateway), known.config.qualify)
            for name, known in self._trunks.items()
            for gateway in known.gateways.values()
        ]

    def health(self, place: GatewayPlace, reachable: bool) -> None:
        """OPTIONS have found the gateway dead, or alive again."""
        found = self._gateway(*place)
        if found is not None:
            found[1].reachable = reachable

    def status(self, now: float) -> list[TrunkStatus]:
        """One entry per trunk."""
        return [
            TrunkStatus(
                name,
                known.config.inbound,
                known.config.max_calls,
                tuple(
                    GatewayStatus(gateway.label, gateway.reachable, max(gateway.rests_until - now, 0.0))
                    for gateway in known.gateways.values()
                ),
            )
            for name, known in self._trunks.items()
        ]

    # Inside

    def _gateway(self, trunk: str, gateway: str) -> tuple[_Trunk, _Gateway] | None:
        known = self._trunks.get(trunk)
        there = None if known is None else known.gateways.get(gateway)
        return None if known is None or there is None else (known, there)

    def _order(self, known: _Trunk, now: float) -> list[_Gateway]:
        fit: list[_Gateway] = []
        everyone: list[_Gateway] = []
        for group in known.priorities:
            drawn = group if len(group) == 1 else self._draw(group)
            everyone += drawn
            fit += [gateway for gateway in drawn if gateway.reachable and gateway.rests_until <= now]
        # All dead or resting: a call that fails is no worse than a call that is not tried.
        return fit or everyone

    def _draw(self, group: list[_Gateway]) -> list[_Gateway]:
        """RFC 2782: "Larger weights SHOULD be given a proportionately higher probability of being selected." """
        left = list(group)
        drawn: list[_Gateway] = []
        while len(left) > 1:
            # Weight 0 keeps "a very small chance": a ten-thousandth of the smallest share.
            mark = self._ids.random() * sum(gateway.config.weight or 1e-4 for gateway in left)
            for gateway in left:
                mark -= gateway.config.weight or 1e-4
                if mark < 0:
                    break
            drawn.append(gateway)
            left.remove(gateway)
        return drawn + left

    @staticmethod
    def _attempt(known: _Trunk, gateway: _Gateway, number: str, caller: Party) -> GatewayAttempt:
        # Whatever was dialled stays inside the user part, escaped: "101;x=y@evil" is a user, not a host.
        user = escape_user(number)
        headers = known.identity.write(caller, gateway.host_part)
        headers.append(("To", f"<sip:{user}@{gateway.host_part}>"))
        headers += [("Route", value) for value in known.route]
        return GatewayAttempt(
            known.config.name,
            gateway.label,
            f"sip:{user}{gateway.suffix}",
            None if known.route else gateway.destination,
            headers,
            number,
            known.credentials,
        )


_STRANGER = CallerIdentity(CallerRules())


def _route(proxy: str) -> tuple[str, ...]:
    if not proxy:
        return ()
    # RFC 3261 16.12: a Route without ;lr would ask for strict routing.
    return (f"<{proxy if ';lr' in proxy else proxy + ';lr'}>",)


def _literal(host: str) -> int:
    """4 or 6 for an IP literal, 0 for a name."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return 0

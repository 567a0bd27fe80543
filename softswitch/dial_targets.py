"""What dial targets come to at this moment: endpoints with their addresses, or why there is none.

It joins what is set with the registrations, the gateways, and what limits and toll guard let pass.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest

from msgspec.structs import replace

from sip.effects import Destination, Flow
from sip.effects import Target as SipTarget
from sip.uri import Uri
from softswitch import auto_answer
from softswitch.call_limits import CallLimits
from softswitch.dialplan.decision import AnyTarget, Decision, Dial, ExtensionTarget, NumberTarget, Ring, TrunkTarget
from softswitch.directory_entries import DialAddress, TrunkEntry
from softswitch.extension_wishes import ExtensionWishes
from softswitch.hunt import BARRED, BUSY, NO_CHANNEL, NO_ROUTE, UNAVAILABLE, Target
from softswitch.registrations import Registrations
from softswitch.toll import TollGuard
from softswitch.trunk_refer import ReferRequest
from softswitch.trunks import Trunks
from softswitch.vocabulary import Endpoint, Party, Payer

NO_RING = Ring()


class DialTargets:
    """Those of all calls. `route`: the dialplan, for numbers that stand for others."""

    __slots__ = (
        "_last_callers",
        "_limits",
        "_registrations",
        "_route",
        "_toll",
        "_trunk_entries",
        "_trunks",
        "_wishes",
    )

    def __init__(
        self,
        wishes: ExtensionWishes,
        trunk_entries: dict[str, TrunkEntry],
        route: Callable[[str, str, Party, str], Decision],
        registrations: Registrations,
        trunks: Trunks,
        limits: CallLimits,
        toll: TollGuard,
    ) -> None:
        self._wishes = wishes
        self._trunk_entries = trunk_entries
        self._route = route
        self._registrations = registrations
        self._trunks = trunks
        self._limits = limits
        self._toll = toll
        self._last_callers: dict[str, Party] = {}  # by extension

    def configure(self, trunk_entries: dict[str, TrunkEntry]) -> None:
        """Swap the settings of trunks; those of extensions have been swapped."""
        self._trunk_entries = trunk_entries
        for gone in [each for each in self._last_callers if each not in self._wishes.entries]:
            del self._last_callers[gone]

    def last_caller(self, extension: str) -> Party | None:
        """Who has called an extension last."""
        return self._last_callers.get(extension)

    def target(self, target: AnyTarget, caller: Party, payer: Payer, contact: str, now: float) -> Target:
        """The endpoints of a dial target, in groups; none where its owner or the payer has as many calls as it may."""
        if isinstance(target, NumberTarget):
            return self._number(target, caller, contact, now)
        if isinstance(target, ExtensionTarget):
            if target.number in self._wishes.entries:
                self._last_callers[target.number] = caller
            return self._extension(target.number, target.ring or NO_RING, contact, now)
        return self._trunk(target, caller, payer, contact, now)

    def reachable(self, extension: str, now: float) -> bool:
        """Whether a call to an extension would find a telephone."""
        return bool(self._registrations.targets(extension, now))

    def refer(
        self, endpoint: Endpoint, plan: Dial, caller: Party, payer: Payer, contact: str, now: float
    ) -> ReferRequest | None:
        """How to ask a trunk for a transfer to a number that is called by that trunk anyway; None where the switch does
        it: no such rule, another target, a route that is recorded always, an emergency, or nothing that the payer may
        call (which the call finds out again)."""
        entry = self._trunk_entries.get(endpoint.name) if endpoint.kind == "trunk" else None
        first = plan.targets[0]
        if entry is None or entry.refer is None or not isinstance(first, TrunkTarget) or first.trunk != entry.name:
            return None
        if plan.steps or (len(plan.targets) > 1 and plan.mode == "parallel") or plan.record == "always":
            return None
        if self._toll.is_emergency(first) or self.needs_pin(plan, caller, payer, contact, now):
            return None
        attempts = self._trunks.attempts(entry.name, first.number, caller, now)
        if not attempts or not self._may_forward(payer.name, contact):
            return None
        if self._toll.why_not(first, attempts[0].number, payer, contact, now):
            return None
        there = next((each for each in attempts if each.gateway == endpoint.gateway), attempts[0])
        return entry.refer.request(there.number, Uri.parse(there.uri), payer.name)

    def needs_pin(self, plan: Dial, caller: Party, payer: Payer, contact: str, now: float) -> bool:
        """Whether a call must not be made before its payer has proved by PIN that it is himself."""
        if plan.pin and not self._toll.granted(payer, contact):
            return not any(self._toll.is_emergency(each) for each in plan.targets)
        if not self._toll.asks_pin(payer):
            return False
        for target in plan.targets:
            if isinstance(target, TrunkTarget):
                attempts = self._trunks.attempts(target.trunk, target.number, caller, now)
                sent = attempts[0].number if attempts else target.number
                if self._toll.needs_pin(target, sent, payer, contact):
                    return True
        return False

    # ---- one target -------------------------------------------------------------------------------------

    def _extension(self, number: str, ring: Ring, contact: str, now: float) -> Target:
        entry = self._wishes.entries.get(number)
        if entry is None:
            return Target(number, (), 1.0, NO_ROUTE)
        if self._wishes.do_not_disturb(number):
            return Target(number, (), entry.ring_timeout, BUSY)
        contacts = self._registrations.targets(number, now)
        if not contacts:
            return Target(number, (), entry.ring_timeout, UNAVAILABLE)
        limit = entry.call_limit if self._wishes.call_waiting(number) and not ring.skip_busy else 1
        if not self._limits.has_room(f"extension:{number}", limit, contact):
            return Target(number, (), entry.ring_timeout, BUSY)
        alert = [("Alert-Info", ring.alert_info)] if ring.alert_info else []
        if ring.auto_answer:
            alert += auto_answer.headers(entry.auto_answer)
        endpoints = tuple(
            [
                Endpoint(
                    "extension",
                    number,
                    entry.policy,
                    DialAddress(
                        each.uri,
                        each.destination,
                        each.host,
                        each.nat if entry.nat == "auto" else entry.nat == "yes",
                        number,
                        (*[("Route", route) for route in each.route], *alert),
                        cid_prefix=ring.cid_prefix,
                    ),
                )
                for each in contacts
            ]
        )
        return Target(number, (endpoints,), entry.ring_timeout, UNAVAILABLE, self._wishes.forward_after(number))

    def _trunk(self, target: TrunkTarget, caller: Party, payer: Payer, contact: str, now: float) -> Target:
        name = target.trunk
        entry = self._trunk_entries.get(name)
        if entry is None:
            return Target(name, (), 1.0, NO_ROUTE)
        attempts = self._trunks.attempts(name, target.number, caller, now)
        if not attempts:
            return Target(name, (), entry.ring_timeout, NO_ROUTE)
        if not self._limits.has_room(f"trunk:{name}", entry.channels, contact):
            return Target(name, (), entry.ring_timeout, NO_CHANNEL)
        if payer.forwarded and not self._may_forward(payer.name, contact):
            return Target(name, (), entry.ring_timeout, BUSY)
        if self._toll.refuses(target, attempts[0].number, payer, contact, now):
            return Target(name, (), entry.ring_timeout, BARRED)
        groups = tuple(
            [
                (
                    Endpoint(
                        "trunk",
                        name,
                        entry.policy,
                        DialAddress(
                            each.uri,
                            each.destination,
                            _host_of(each.destination),
                            entry.nat == "yes",
                            "",
                            tuple(each.headers),
                            each.credentials,
                        ),
                        each.number,
                        each.gateway,
                    ),
                )
                for each in attempts
            ]
        )
        return Target(name, groups, entry.ring_timeout, UNAVAILABLE)

    def _number(self, target: NumberTarget, caller: Party, contact: str, now: float) -> Target:
        """What a number of a find-me list comes to, by the routes and on the account of the extension that has it.

        Where it comes to nothing, barred or not, the extension is not to be found there, which says nothing of it.
        """
        own = target.extension  # whose telephones ring anyway
        payer = Payer("extension", own, forwarded=True)
        entry = self._wishes.entries.get(own)
        dialling = entry.caller if entry is not None else caller
        decision = self._route(self._wishes.context_of(own), target.number, dialling, "")
        there = decision.targets if isinstance(decision, Dial) else ()
        others = [each for each in there if not isinstance(each, ExtensionTarget) or each.number != own]
        found = [self.target(each, caller, payer, contact, now) for each in others]
        if isinstance(decision, Dial) and decision.mode == "parallel":
            together = list(zip_longest(*[each.groups for each in found], fillvalue=()))
        else:
            together = [(group,) for each in found for group in each.groups]
        groups = tuple([tuple([replace(e, payer=payer) for group in each for e in group]) for each in together])
        ring_time = max([each.ring_timeout for each in found], default=1.0)
        return Target(target.number, groups, ring_time, UNAVAILABLE)

    def _may_forward(self, extension: str, contact: str) -> bool:
        """Forwards count apart from its own calls: one that is sent on for `call_limit` must not fail for it too."""
        entry = self._wishes.entries.get(extension)
        limit = entry.call_limit if entry is not None else 0
        return self._limits.acquire(f"forward:{extension}", limit, contact)


def _host_of(destination: Destination) -> str:
    """The address a destination names; "" where the DNS has yet to say."""
    if isinstance(destination, Flow):
        return destination.remote[0]
    return destination.host if isinstance(destination, SipTarget) else ""

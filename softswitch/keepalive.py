"""Keeping in touch: OPTIONS to contacts and gateways, our registrations at trunks, bindings that expire.

The machines that decide when (`qualify`, `trunk_registration`, `sip.registrar`) are pure; this joins them to the user
agent and to the one deadline heap: one timer, armed for whichever of them is next.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from sip.message import Request
from sip.timers import Timer, TimerHeap
from sip.ua import UserAgent
from sip.ua_events import RequestAnswered, RequestFailed
from softswitch.qualify import Ping, Qualify
from softswitch.registrations import ContactPlace, Registrations
from softswitch.trunk_registration import RegistrationState, SendRegister, TrunkRegistrations
from softswitch.trunks import GatewayPlace, Trunks

log = structlog.get_logger("keepalive")

LEAST_WAIT = 0.02
"""Seconds between two rounds at least: what is due within it is done in one."""


class _ContactPing(msgspec.Struct, gc=False):
    ping: int


class _GatewayPing(msgspec.Struct, gc=False):
    ping: int


class KeepAlive:
    """Sends what is due, and hands answers to whoever asked."""

    __slots__ = (
        "_bindings_changed",
        "_contacts",
        "_gateways",
        "_pending",
        "_registrations",
        "_timer",
        "_timers",
        "_trunk_registrations",
        "_trunks",
        "_ua",
    )

    def __init__(
        self,
        ua: UserAgent,
        timers: TimerHeap,
        registrations: Registrations,
        contacts: Qualify[ContactPlace],
        trunks: Trunks,
        gateways: Qualify[GatewayPlace],
        trunk_registrations: TrunkRegistrations,
        bindings_changed: Callable[[float], None],
    ) -> None:
        self._ua = ua
        self._timers = timers
        self._registrations = registrations
        self._contacts = contacts
        self._trunks = trunks
        self._gateways = gateways
        self._trunk_registrations = trunk_registrations
        self._bindings_changed = bindings_changed
        self._timer: Timer | None = None
        self._pending: dict[int, _ContactPing | _GatewayPing | SendRegister] = {}

    def watch_gateways(self, now: float) -> None:
        """Ask the gateways of the trunks as they are now set, and no others."""
        places = {place: (target, interval) for place, target, interval in self._trunks.places()}
        for place in self._gateways.places():
            if place not in places:
                self._gateways.unwatch(place)
        for place, (target, interval) in places.items():
            self._gateways.watch(place, target, now, interval)
        self.arm(now)

    def arm(self, now: float) -> None:
        """Set the timer for whatever is due first; call it after anything that may have moved that."""
        deadlines = (
            self._contacts.next_deadline(),
            self._gateways.next_deadline(),
            self._trunk_registrations.next_deadline(),
            self._registrations.next_deadline(),
        )
        nearest = min((at for at in deadlines if at is not None), default=None)
        if self._timer is not None:
            if nearest is not None and self._timer.at <= nearest:
                return
            self._timer.cancel()
            self._timer = None
        if nearest is not None:
            self._timer = self._timers.schedule(max(nearest, now + LEAST_WAIT), self._due)

    def expiry_moved(self, now: float) -> None:
        """Bindings were refreshed, as nearly every REGISTER does, and nothing else: cheaper than `arm`."""
        expiry = self._registrations.next_deadline()
        if self._timer is None or (expiry is not None and expiry < self._timer.at):
            self.arm(now)

    def _due(self, now: float) -> None:
        self._timer = None
        self._registrations.expire(now)
        self._bindings_changed(now)
        for ping in self._contacts.due(now):
            self._ping(ping, _ContactPing(ping.id), now)
        for gateway_ping in self._gateways.due(now):
            self._ping(gateway_ping, _GatewayPing(gateway_ping.id), now)
        for register in self._trunk_registrations.due(now):
            self._register(register, now)
        self._note_changes()
        self.arm(now)

    def _ping(
        self, ping: Ping[ContactPlace] | Ping[GatewayPlace], mark: _ContactPing | _GatewayPing, now: float
    ) -> None:
        target = ping.target
        headers = [("Route", route) for route in target.route]
        headers += [
            ("From", "<sip:keepalive@softswitch.invalid>"),
            ("To", f"<{target.uri}>"),
            ("Accept", "application/sdp"),
        ]
        request = Request("OPTIONS", target.uri, headers)
        self._pending[self._ua.request(request, now, target.destination, "keepalive")] = mark

    def _register(self, send: SendRegister, now: float) -> None:
        request = Request("REGISTER", send.registrar, list(send.headers))
        token = self._ua.request(request, now, None, send.contact_user, send.credentials)
        self._pending[token] = send

    # ---- answers -------------------------------------------------------------------------------------

    def answered(self, event: RequestAnswered, now: float) -> None:
        """A request of ours was answered."""
        match self._pending.pop(event.token, None):
            case _ContactPing(ping=ping):
                self._contacts.answered(ping, event.response.status, event.rtt, now)
            case _GatewayPing(ping=ping):
                self._gateways.answered(ping, event.response.status, event.rtt, now)
            case SendRegister() as send:
                self._trunk_registrations.answered(send, event.response, now)
            case None:
                return
        self._note_changes()
        self.arm(now)

    def failed(self, event: RequestFailed, now: float) -> None:
        """A request of ours got no answer."""
        match self._pending.pop(event.token, None):
            case _ContactPing(ping=ping):
                self._contacts.failed(ping, now)
            case _GatewayPing(ping=ping):
                self._gateways.failed(ping, now)
            case SendRegister() as send:
                self._trunk_registrations.failed(send, event.cause, now)
            case None:
                return
        self._note_changes()
        self.arm(now)

    def _note_changes(self) -> None:
        """Carry changes of mind to whoever acts on them, and into the log."""
        contacts = self._contacts.changes
        for change in contacts:
            self._registrations.health(change.place, change.reachable)
            log.info(
                "contact reachable" if change.reachable else "contact unreachable",
                extension=change.place[0],
                contact=change.place[1],
            )
        contacts.clear()
        gateways = self._gateways.changes
        for found in gateways:
            self._trunks.health(found.place, found.reachable)
            trunk, gateway = found.place
            log.info("gateway reachable" if found.reachable else "gateway unreachable", trunk=trunk, gateway=gateway)
        gateways.clear()
        changes = self._trunk_registrations.changes
        for state in changes:
            say = log.info if state.state is RegistrationState.REGISTERED else log.warning
            say("trunk registration", trunk=state.trunk, state=str(state.state), status=state.status, why=state.detail)
        changes.clear()

"""One switch without its surroundings: every part made from the settings and joined, with no socket, loop or clock.

    stack.events -> ua -> runtime, registrations, keep-alive       (pump carries events upwards until none is left)
    media.events -> runtime

`softswitch/app.py` puts sockets, the store and signals around it; tests put a virtual network there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from media.client import MediaClient
from sip.binding import BindingChange, BindingRecord
from sip.effects import ConnectionLost, StackEvent
from sip.ids import Ids
from sip.stack import SentBy, Stack
from sip.ua import UserAgent
from sip.ua_events import (
    ReferArrived,
    ReferReceived,
    ReferSubscriptionEnded,
    RequestAnswered,
    RequestArrived,
    RequestFailed,
    SessionArrived,
    SubscriptionArrived,
    SubscriptionEnded,
    SubscriptionRefreshed,
)
from softswitch import info_digits, wiring
from softswitch.admission import Admission
from softswitch.call_limits import CallLimits
from softswitch.click_to_dial import ClickToDial
from softswitch.contact import Contact
from softswitch.dialplan.decision import Confer
from softswitch.dialplan.routing import Dialplan
from softswitch.directory import PhoneBook
from softswitch.directory_entries import behind_nat
from softswitch.features import FeatureChange, Features
from softswitch.keepalive import KeepAlive
from softswitch.line_states import conference_state, lines_of, parked_line
from softswitch.message_summary import STORED_AS, SetMailboxes
from softswitch.pins import Pins
from softswitch.presence import Presence, ResourceState, conference_resource
from softswitch.qualify import Qualify
from softswitch.registrations import ContactPlace, Registrations
from softswitch.runtime import Runtime
from softswitch.security_log import SecurityLog
from softswitch.settings.models import Settings
from softswitch.subscriptions import Subscriptions, Watch
from softswitch.throttle import Throttle
from softswitch.toll import TollGuard
from softswitch.trunk_registration import TrunkRegistrations
from softswitch.trunks import GatewayPlace, Trunks
from softswitch.vocabulary import Party


class Switch:
    """All parts of one switch, joined. Whoever feeds `stack` and `media` calls `pump` afterwards."""

    def __init__(
        self,
        settings: Settings,
        ids: Ids,
        media: MediaClient,
        sent_by: SentBy,
        media_address: Callable[[str], str],
        wall: Callable[[], float],
        record: Callable[[Contact], None],
        write_binding: Callable[[BindingChange], None],
    ) -> None:
        """`sent_by`, `media_address`: our own addresses towards a host, for Via and Contact, for SDP. `wall`: Unix
        seconds. `record` takes each contact that has ended, `write_binding` each change of a binding.
        """
        self.media = media
        self.fault: Callable[[object, Exception], None] = _raise
        """Told of every exception that is no peer's doing, with the event that brought it about; raises by default."""
        self._wall = wall
        self._write_binding = write_binding
        self.stack = Stack(ids, sent_by, wiring.stack_settings(settings))
        self.ua = UserAgent(self.stack, wiring.ua_settings(settings), ids)
        self.ua.judge_info = info_digits.judge
        self.security = SecurityLog(self.stack.timers)
        self.admission = Admission(wiring.admission_settings(settings), ids, self.security)
        self.throttle = Throttle(wiring.throttle_settings(settings), self.ua, self.admission, self.security)
        self.stack.gate = self.throttle.judge
        self.registrations = Registrations(wiring.registrar_settings(settings), self.admission, ids)
        trunk_configs = wiring.trunk_configs(settings)
        self.trunks = Trunks(trunk_configs, ids)
        self.trunk_registrations = TrunkRegistrations(ids)
        self.features = Features(settings.extensions.keys())
        self.write_feature: Callable[[FeatureChange], None] = _forget
        """Takes each change of what people set at their phones; they last as long as the switch where nobody does."""
        self.mailboxes = SetMailboxes(settings.extensions.keys())
        self.limits = CallLimits()
        self.toll = TollGuard(wiring.toll_settings(settings), self.stack.timers, self.security)
        self.pins = Pins(wiring.pins(settings), self.security)
        self.book = PhoneBook(
            wiring.entries(settings),
            _dialplan(settings),
            self.registrations,
            self.trunks,
            self.limits,
            self.toll,
            self.features,
            self.pins,
            settings.sip.max_forwards,
        )
        self.book.set_feature = self.set_feature
        self.features.dead_end = self.book.dead_end
        self.features.has_list = self.book.has_find_me
        self.admission.configure(wiring.accounts(settings), trunk_configs)
        self.runtime = Runtime(
            wiring.runtime_settings(settings),
            self.ua,
            media,
            self.stack.timers,
            self.admission,
            self.book,
            self.limits,
            self.toll,
            ids,
            media_address,
            wall,
            record,
        )
        self.runtime.rooms.configure(settings.conferences, settings.media.sounds.language)
        self.runtime.rooms.guessed = self.security.pin_refused
        self.click_to_dial = ClickToDial(self.runtime, self.admission, self.book)
        self.presence: Presence[Watch] = Presence(self.book)
        self._watched_rooms: set[str] = set()  # names of conferences that are, or may be, watched
        self._changed_rooms: set[str] = set()
        self.runtime.rooms.told = lambda name, _told: self._changed_rooms.add(name)
        self._slots: dict[str, bool] = {}  # parking slots that watchers know of, and whether anybody is in them
        self.subscriptions = Subscriptions(
            wiring.watch_settings(settings),
            self.admission,
            self.presence,
            self.mailboxes,
            self.stack.timers,
            lambda known, request, flow: behind_nat(self.book.terms(known), request, flow),
            self._conference_of,
        )
        pace = wiring.qualify_settings(settings)
        self.contacts: Qualify[ContactPlace] = Qualify(pace, ids)
        self.gateways: Qualify[GatewayPlace] = Qualify(pace, ids)
        self.keepalive = KeepAlive(
            self.ua,
            self.stack.timers,
            self.registrations,
            self.contacts,
            self.trunks,
            self.gateways,
            self.trunk_registrations,
            self.bindings_changed,
        )

    # ---- life ----------------------------------------------------------------------------------------

    def start(
        self, settings: Settings, bindings: Iterable[BindingRecord], now: float, features: Iterable[FeatureChange] = ()
    ) -> int:
        """Take back the bindings and features of before a restart and begin to keep in touch; how many bindings still
        count."""
        kept = list(features)
        self.mailboxes.restore([each for each in kept if each.feature == STORED_AS])
        self.features.restore([each for each in kept if each.feature != STORED_AS])
        self._features_changed()
        self._tell_slots()
        restored = self.registrations.restore(bindings, now, self._wall())
        self.registrations.watch(self.contacts, now)
        self.keepalive.watch_gateways(now)
        self.trunk_registrations.configure(wiring.registrations(settings), now)
        self.keepalive.arm(now)
        return restored

    def configure(self, settings: Settings, now: float) -> None:
        """Apply new settings whole, or (ValueError) not at all; calls in progress go on."""
        dialplan = _dialplan(settings)
        entries = wiring.entries(settings)
        trunk_configs = wiring.trunk_configs(settings)
        runtime_settings = wiring.runtime_settings(settings)
        registrar_settings = wiring.registrar_settings(settings)
        registrations = wiring.registrations(settings)
        watch_settings = wiring.watch_settings(settings)
        accounts = self.admission.accounts
        self.trunks.configure(trunk_configs)
        self.admission.configure(wiring.accounts(settings), trunk_configs, wiring.admission_settings(settings))
        self.throttle.configure(wiring.throttle_settings(settings))
        self.toll.configure(wiring.toll_settings(settings), now)
        self.pins.configure(wiring.pins(settings))
        self.features.configure(settings.extensions.keys())
        self.mailboxes.configure(settings.extensions.keys())
        self._features_changed()
        self.book.configure(entries, dialplan)
        self._tell_slots()
        self.runtime.settings = runtime_settings
        self.runtime.rooms.configure(settings.conferences, settings.media.sounds.language)
        self.trunk_registrations.configure(registrations, now)
        self.registrations.configure(registrar_settings)
        self.bindings_changed(now)
        self.subscriptions.configure(watch_settings, accounts.changed_extensions(self.admission.accounts), now)
        self._changed_rooms |= self._watched_rooms
        self.keepalive.watch_gateways(now)

    def drain(self, now: float) -> None:
        """Take no new calls, and sign off from the trunks."""
        self.runtime.draining = True
        self.ua.draining = True
        self.subscriptions.drain(now)
        self.trunk_registrations.stop(now)
        self.keepalive.arm(now)

    def saying_goodbye(self) -> bool:
        """Whether a BYE, an un-REGISTER or the last NOTIFY of ours still waits for its answer."""
        return bool(self.ua.sessions) or not self.trunk_registrations.stopped() or self.subscriptions.saying_goodbye()

    def set_feature(self, extension: str, feature: str, value: str | None) -> None:
        """Set what an extension wants of its calls, or (None) let the settings count again. Raises FeatureRefused."""
        if value is None:
            self.features.clear(extension, feature)
        else:
            self.features.set(extension, feature, value)
        self._features_changed()

    def set_mailbox(self, extension: str, new: int, old: int) -> None:
        """Say how many messages wait for an extension. Raises MailboxRefused."""
        self.mailboxes.set(extension, new, old)
        self._features_changed()

    def _features_changed(self) -> None:
        for changes in (self.features.changes, self.mailboxes.changes):
            for change in changes:
                self.write_feature(change)
                self.presence.touch(change.extension)
            changes.clear()

    # ---- events up -----------------------------------------------------------------------------------

    def pump(self, now: float) -> None:
        """Carry events upwards until every layer has none left.

        An exception out of one event's handling is a fault of ours: `fault` is told, the call that the event belongs to
        is ended, and all other calls go on.
        """
        stack, ua, media = self.stack.events, self.ua.events, self.media.events
        while stack or ua or media:
            if stack:
                batch = stack[:]
                stack.clear()
                for event in batch:
                    try:
                        self._stack_event(event, now)
                    except Exception as error:  # noqa: BLE001
                        self.fault(event, error)
            if ua:
                heard = ua[:]
                ua.clear()
                for each in heard:
                    try:
                        self._ua_event(each, now)
                    except Exception as error:  # noqa: BLE001
                        self.fault(each, error)
                        self._give_up(each, now)
            if media:
                streams = media[:]
                media.clear()
                for each_stream in streams:
                    try:
                        self.runtime.media_event(each_stream, now)
                    except Exception as error:  # noqa: BLE001
                        self.fault(each_stream, error)

        try:
            self._tell_watchers(now)
        except Exception as error:  # noqa: BLE001
            self.fault(self.subscriptions, error)

    def _tell_watchers(self, now: float) -> None:
        """Once for all that an input has changed."""
        runtime, presence = self.runtime, self.presence
        contacts, runtime.touched = runtime.touched, set()
        for contact in contacts:
            active = runtime.calls.get(contact)
            presence.follow(contact, lines_of(active.call, runtime.legs) if active is not None else ())
        if contacts:
            self._tell_slots()
        if self._changed_rooms:
            self._tell_rooms()
        for extension in self.registrations.touched:
            presence.touch(extension)
        self.registrations.touched.clear()
        self.subscriptions.tell(now)

    def _tell_slots(self) -> None:
        """Parking slots are watched as extensions are: somebody is in one, or nobody."""
        parking, calls, before = self.book.parking, self.runtime.calls, self._slots
        if not len(parking) and not any(before.values()) and before.keys() == set(parking.slots):
            return
        taken = {slot: calls[contact].call for slot, contact in parking.parked() if contact in calls}
        self._slots = {slot: slot in taken for slot in (*parking.slots, *taken)}
        for slot, occupied in self._slots.items():
            self.presence.set(slot, ResourceState((parked_line(taken[slot]),)) if occupied else ResourceState())
        for gone in before.keys() - self._slots.keys():
            self.presence.set(gone, None)

    def _conference_of(self, extension: str, number: str) -> str:
        """The conference that an extension reaches by a number; it can be watched from now on."""
        decision = self.book.route(self.book.context_of(extension), number, Party(extension), "")
        if not isinstance(decision, Confer):
            return ""
        if decision.name not in self._watched_rooms:
            self._changed_rooms |= self._watched_rooms  # some may be watched no more
            self._watched_rooms.add(decision.name)
            self._changed_rooms.add(decision.name)
            self._tell_room(decision.name)
        return decision.name

    def _tell_rooms(self) -> None:
        """Conferences are watched as extensions are: somebody is in, or nobody. Those that nobody watches are left."""
        changed, self._changed_rooms = self._changed_rooms, set()
        for name in changed & self._watched_rooms:
            if self.presence.watchers(conference_resource(name)):
                self._tell_room(name)
            else:
                self._watched_rooms.discard(name)
                self.presence.set(conference_resource(name), None)

    def _tell_room(self, name: str) -> None:
        resource = conference_resource(name)
        self.presence.set(resource, conference_state(resource, self.runtime.rooms.view(name)))

    def _stack_event(self, event: StackEvent, now: float) -> None:
        if type(event) is ConnectionLost:
            self.registrations.connection_lost(event.flow, now)
            self.registrations.watch(self.contacts, now)
        self.ua.handle(event, now)

    def _give_up(self, event: Any, now: float) -> None:
        """End the session of an event that could not be handled."""
        session = getattr(event, "session", None)
        if session is not None:
            try:
                session.hangup(now)
            except Exception as error:  # noqa: BLE001
                self.fault(event, error)

    def bindings_changed(self, now: float) -> None:
        """Bindings were made, refreshed or lost: write them down and bring the keep-alive up to date."""
        changes = self.registrations.changes
        if not changes:
            return
        for change in changes:
            self._write_binding(change)
        changes.clear()
        if self.registrations.watch(self.contacts, now):
            self.keepalive.arm(now)
        else:
            self.keepalive.expiry_moved(now)

    def _ua_event(self, event: Any, now: float) -> None:
        kind = type(event)
        if kind is SessionArrived:
            self.runtime.session_arrived(event, now)
        elif kind is RequestArrived:
            self._request_arrived(event, now)
        elif kind is RequestAnswered:
            self.keepalive.answered(event, now)
        elif kind is RequestFailed:
            self.keepalive.failed(event, now)
        elif kind is ReferReceived:
            self.runtime.refer_received(event, now)
        elif kind is ReferSubscriptionEnded:
            self.runtime.referrals.ended(event.refer)
        elif kind is SubscriptionArrived:
            self.subscriptions.arrived(event, now)
        elif kind is SubscriptionEnded:
            self.subscriptions.ended(event)
        elif kind is SubscriptionRefreshed:
            pass  # answered, and told the state, by the user agent
        elif kind is ReferArrived:
            self.click_to_dial.arrived(event, now)
        else:
            self.runtime.session_event(event, now)

    def _request_arrived(self, event: RequestArrived, now: float) -> None:
        request = event.request
        if request.method == "REGISTER":
            response = self.registrations.handle_register(request, event.flow, now, self._wall())
            self.ua.respond(event.transaction, response, now)
            self.bindings_changed(now)
            return
        # Nothing else is served outside a dialog: who may ask learns 405, whoever may not is challenged first.
        self.ua.respond(event.transaction, self.admission.refuse_other(request, event.flow, now), now)


def _forget(_change: FeatureChange) -> None:
    """Nothing is written."""


def _raise(_event: object, error: Exception) -> None:
    raise error


def _dialplan(settings: Settings) -> Dialplan:
    return Dialplan(settings.dialplan, settings.extensions.keys(), settings.ring_groups, paging=settings.paging)

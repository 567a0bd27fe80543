"""Registrations of extensions: admission before the registrar, and what dialling needs of the bindings.

    REGISTER -> admission (who is it, may he speak for this address of record) -> registrar -> response
                                                                                 -> `changes` for the store
                                                                                 -> `watch` for the keep-alive
    targets(extension) -> where to call it now: reachable contacts, best first

The address of record is the extension's number, whatever domain the phone writes: it knows this switch by one of its
addresses or names, and all of them are the same switch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from sip.binding import Binding, BindingChange, BindingRecord, BindingStored
from sip.effects import Destination, Flow, Target
from sip.errors import SipError
from sip.message import Request, Response, response_to
from sip.registrar import Registrar, RegistrarSettings
from softswitch.admission import Accounts, Admission, Challenge, ExtensionAccount, Known, Refuse
from softswitch.qualify import PingTarget, Qualify

if TYPE_CHECKING:
    from sip.ids import Ids

ContactPlace = tuple[str, str]
"""Extension and contact URI: the key of a contact in `softswitch.qualify`."""


class ContactTarget(msgspec.Struct, frozen=True):
    """Where one contact of an extension is called."""

    uri: str
    """Request-URI."""
    destination: Destination
    route: tuple[str, ...]
    """Route values in order (RFC 3327 5.3)."""
    nat: bool
    """The contact's own address is not where its requests come from."""
    host: str
    """IP address the request goes to."""


class BindingStatus(msgspec.Struct, frozen=True):
    """One contact in `status`."""

    extension: str
    contact: str
    transport: str
    source: str
    """"host:port" its REGISTER came from."""
    nat: bool
    reachable: bool
    rtt: float | None
    """Seconds of the last answered OPTIONS."""
    expires_in: float
    q: float
    user_agent: str


class Registrations:
    """Bindings of the extensions of this switch."""

    __slots__ = ("_admission", "_ids", "_known", "_pending", "_registrar", "touched")

    def __init__(self, settings: RegistrarSettings, admission: Admission, ids: Ids) -> None:
        self._registrar = Registrar(settings)
        self._admission = admission
        self._ids = ids
        self._known: Accounts | None = None
        # Contacts to be watched anew: True where a REGISTER has just come from there.
        self._pending: dict[ContactPlace, bool] = {}
        self.touched: set[str] = set()
        """Extensions that may be reachable now and were not, or the other way; whoever has looked at them clears it."""

    @property
    def changes(self) -> list[BindingChange]:
        """For the store to write, in order; whoever has written them clears the list."""
        return self._registrar.changes

    def __len__(self) -> int:
        """Contacts bound."""
        return len(self._registrar)

    # Receive

    def handle_register(self, request: Request, flow: Flow, now: float, wall: float) -> Response:
        """The response to a REGISTER."""
        tag = self._ids.tag()
        try:
            identity = self._admission.identify(request, flow, now)
        except SipError as error:
            return response_to(request, error.status, error.reason, tag)
        match identity:
            case Known(account=ExtensionAccount() as account):
                at = len(self.changes)
                response = self._registrar.register(
                    account.extension, request, flow, now, wall, max_contacts=account.max_contacts, to_tag=tag
                )
                self._note(at)
            case Challenge(headers=headers, status=status):
                response = response_to(request, status, None, tag)
                response.headers.extend(headers)
            case Refuse(status=status, reason=reason):
                response = response_to(request, status, reason, tag)
            case _:
                # Trunks are recognised for calls; here is nothing for them to register.
                response = response_to(request, 403, None, tag)
        return response

    def connection_lost(self, flow: Flow, now: float) -> None:
        """A stream was closed: contacts that only it leads to are not called until they register again."""
        for binding in self._registrar.connection_lost(flow.connection):
            self._pending[binding.aor, binding.uri] = False
            self.touched.add(binding.aor)

    def health(self, place: ContactPlace, reachable: bool) -> None:
        """OPTIONS have found a contact dead, or alive again."""
        self._registrar.set_reachable(*place, reachable)
        self.touched.add(place[0])

    # Look up

    def targets(self, extension: str, now: float) -> list[ContactTarget]:
        """Reachable contacts of an extension, the preferred first; empty when it can't be called now."""
        return [self._target(binding) for binding in self._registrar.lookup(extension, now)]

    def status(self, now: float, contacts: Qualify[ContactPlace] | None = None) -> list[BindingStatus]:
        """Every contact, with the round-trip times that `contacts` has measured."""
        return [
            BindingStatus(
                binding.aor,
                binding.uri,
                binding.flow.transport,
                _address(binding.flow),
                binding.nat,
                binding.reachable,
                None if contacts is None else contacts.rtt((binding.aor, binding.uri)),
                binding.expires_at - now,
                binding.q,
                binding.user_agent,
            )
            for binding in self._registrar.all(now)
        ]

    # Time

    def next_deadline(self) -> float | None:
        """When expire() may have something to do, in monotonic seconds."""
        return self._registrar.next_deadline()

    def expire(self, now: float) -> None:
        """Remove what has run out (told in `changes`)."""
        at = len(self.changes)
        self._registrar.expire(now)
        self._note(at)

    def watch(self, contacts: Qualify[ContactPlace], now: float) -> bool:
        """Bring the keep-alive up to date with what has changed since this was last called; whether anything had."""
        if not self._pending:
            return False
        for place, registered in self._pending.items():
            binding = self._binding(place, now)
            if binding is None or binding.lost:
                contacts.unwatch(place)
                continue
            target = self._target(binding)
            contacts.watch(place, PingTarget(target.uri, target.destination, target.route), now)
            if registered:
                contacts.heard(place, now)
        self._pending.clear()
        return True

    # Store and settings

    def restore(self, records: Iterable[BindingRecord], now: float, wall: float) -> int:
        """Take over the bindings of before a restart; returns how many. Call watch() after it."""
        restored = self._registrar.restore(records, now, wall)
        self._known = self._admission.accounts
        self._drop(lambda extension: extension not in self._admission.accounts.extensions)
        for binding in self._registrar.all(now):
            self._admission.signed_in_at(binding.aor, binding.flow)
            self._pending[binding.aor, binding.uri] = False
        return min(restored, len(self._registrar))

    def snapshot(self, now: float, wall: float) -> list[BindingRecord]:
        """Every binding as it is stored."""
        return self._registrar.snapshot(now, wall)

    def configure(self, settings: RegistrarSettings) -> None:
        """After admission took over new accounts: bindings of extensions that are gone, or whose password is another
        (whoever held the old one shall not be called any more), are removed."""
        self._registrar.settings = settings
        accounts = self._admission.accounts
        changed = set() if self._known is None else set(self._known.changed_extensions(accounts))
        self._known = accounts
        self._drop(lambda extension: extension in changed or extension not in accounts.extensions)

    # Inside

    def _drop(self, unwanted: Callable[[str], bool]) -> None:
        at = len(self.changes)
        for extension in self._registrar.aors():
            if unwanted(extension):
                self._registrar.remove(extension)
        self._note(at)

    def _note(self, at: int) -> None:
        """Remember whom the changes from the `at`-th on concern."""
        for change in self.changes[at:]:
            self.touched.add(change.record.aor if isinstance(change, BindingStored) else change.aor)
            if isinstance(change, BindingStored):
                if not change.again:
                    self._pending[change.record.aor, change.record.contact] = True
            else:
                self._pending[change.aor, change.contact] = False

    def _binding(self, place: ContactPlace, now: float) -> Binding | None:
        extension, uri = place
        return next((found for found in self._registrar.bindings(extension, now) if found.uri == uri), None)

    def _target(self, binding: Binding) -> ContactTarget:
        account = self._admission.accounts.extensions.get(binding.aor)
        nat, destination = binding.nat, binding.destination
        if account is not None and account.nat != "auto" and not binding.flow.connection:
            nat = account.nat == "yes"
            destination = binding.flow if nat else binding.own_destination
        return ContactTarget(_request_uri(binding), destination, binding.path, nat, _host(destination, binding.flow))


def _request_uri(binding: Binding) -> str:
    contact = binding.contact
    # RFC 3261 19.1.1, table 1: neither headers nor a method parameter may stand in a Request-URI.
    if not contact.headers and "method" not in contact.params:
        return binding.uri
    params = {name: value for name, value in contact.params.items() if name != "method"}
    return str(msgspec.structs.replace(contact, headers={}, params=params))


def _host(destination: Destination, flow: Flow) -> str:
    return destination.host if isinstance(destination, Target) else flow.remote[0]


def _address(flow: Flow) -> str:
    host, port = flow.remote
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

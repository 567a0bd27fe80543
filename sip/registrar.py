"""Registrar: which contacts an address of record is bound to (RFC 3261 10.3), pure.

A binding is a contact address with its lifetime, the flow its REGISTER came over, and the Path in front of it.
Register, refresh, remove, expire; nothing else changes bindings. Whoever calls has authenticated the request and
decided which address of record it speaks for (10.3 steps 1 to 5); steps 6 to 8 are here.

    REGISTER, contact not bound ---> bound until now + expires
    REGISTER, contact bound     ---> newer (other Call-ID, or higher CSeq): refreshed, or removed where expires is 0
                                     older: refused, nothing changes
    expires_at reached          ---> removed
    connection lost             ---> unreachable where only the connection leads there

All is atomic: a request is worked out on a copy first, and one bad contact leaves everything as it was.

Lifetimes run on monotonic time, so that a clock set an hour ahead ends no binding. Wall-clock time stands only in
what is stored (`changes`, `snapshot`) and is turned back at `restore`. NAT: a request goes to where the contact's
own REGISTER came from whenever the contact's address is not that very host (see `Binding.destination`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from email.utils import formatdate

import msgspec

from sip.binding import Binding, BindingChange, BindingRecord, BindingRemoved, BindingStored, binding_of, record_of
from sip.effects import Flow
from sip.errors import SipError
from sip.grammar import digits
from sip.headers import NameAddr, write_params
from sip.message import Request, Response, delta_seconds, response_to

MALFORMED_EXPIRES = 3600
"""RFC 3261 10.2.1.1: "Malformed values SHOULD be treated as equivalent to 3600." """

MAX_STORED_TEXT = 512
"""Characters of a Contact, of a User-Agent and of a Path as kept; a longer Contact or Path is refused."""

MAX_PATHS = 8
"""Path values of one binding."""

MAX_CONTACT_VALUES = 64
"""Contacts in one request, removals included, whatever the settings allow to be bound."""

COMPACT_FROM = 256
"""Entries the expiry heap may hold beyond two per binding before it is swept."""

FULL_RETRY_AFTER = 120
"""Seconds in Retry-After when no more bindings can be held."""


class RegistrarSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of bindings."""

    default_expires: int = 3600
    """Seconds granted where the request names none."""
    min_expires: int = 60
    """Shorter than this is answered 423 (RFC 3261 10.3: only values below one hour may be)."""
    max_expires: int = 7200
    """Longer than this is shortened."""
    max_contacts: int = 10
    """Contacts of one address of record, where `register` names no other number."""
    max_bindings: int = 50_000
    """Contacts of all addresses of record."""


class Registrar:
    """Bindings of many addresses of record."""

    __slots__ = (
        "_bindings",
        "_by_connection",
        "_count",
        "_date",
        "_date_second",
        "_heap",
        "_serial",
        "changes",
        "settings",
    )

    def __init__(self, settings: RegistrarSettings) -> None:
        self.settings = settings
        self.changes: list[BindingChange] = []
        """For the store to write, in order; whoever drains it clears it."""
        self._bindings: dict[str, list[Binding]] = {}
        self._heap: list[tuple[float, int, Binding]] = []
        self._by_connection: dict[int, dict[int, Binding]] = {}
        self._count = 0
        self._serial = 0
        self._date = ""
        self._date_second = -1

    # Receive

    def register(
        self,
        aor: str,
        request: Request,
        flow: Flow,
        now: float,
        wall: float,
        *,
        max_contacts: int | None = None,
        to_tag: str = "",
    ) -> Response:
        """Steps 6 to 8 of RFC 3261 10.3 for a REGISTER that may speak for `aor`. Never raises for a bad request."""
        try:
            headers = [value for name, value in request.headers if name == "Contact"]
            if not headers:
                pass  # a query
            elif len(headers) > 1 or not self._refresh(aor, request, headers[0], flow, now, wall):
                if "*" in [header.strip() for header in headers]:
                    self._remove_all(aor, request, headers)
                else:
                    self._update(aor, request, headers, flow, now, wall, max_contacts)
        except SipError as error:
            response = response_to(request, error.status, error.reason, to_tag)
            if error.status == 423:
                # RFC 3261 10.3 item 7: the response "MUST contain a Min-Expires header field that states the
                # minimum expiration interval the registrar is willing to honor."
                response.add("Min-Expires", str(self.settings.min_expires))
            elif error.status == 503:
                response.add("Retry-After", str(FULL_RETRY_AFTER))
            return response
        return self._ok(aor, request, now, wall, to_tag)

    def connection_lost(self, connection: int) -> list[Binding]:
        """A stream was closed: bindings that only it leads to become unreachable, and are returned."""
        lost: list[Binding] = []
        for binding in self._by_connection.pop(connection, {}).values():
            flow = binding.flow
            binding.flow = flow._replace(connection=0)
            binding.raw = ""
            if binding.lost:
                binding.reachable = False
                lost.append(binding)
        return lost

    def set_reachable(self, aor: str, uri: str, reachable: bool) -> None:
        """OPTIONS have found a contact dead, or alive."""
        for binding in self._bindings.get(aor, ()):
            if binding.uri == uri:
                binding.reachable = reachable

    def remove(self, aor: str) -> None:
        """Remove every contact of an address of record, which is no longer ours to serve."""
        if aor in self._bindings:
            self._commit(aor, [])

    # Look up

    def lookup(self, aor: str, now: float) -> list[Binding]:
        """Reachable contacts, highest q first, then the most recently refreshed (RFC 3261 16.6, 10.2.1.2)."""
        bindings = self._bindings.get(aor)
        if not bindings:
            return []
        found = [binding for binding in bindings if binding.reachable and binding.expires_at > now]
        if len(found) > 1:
            found.sort(key=lambda binding: (-binding.q, -binding.expires_at))
        return found

    def bindings(self, aor: str, now: float) -> list[Binding]:
        """Every contact, unreachable ones too, in the order they were bound."""
        return [binding for binding in self._bindings.get(aor, ()) if binding.expires_at > now]

    def aors(self) -> list[str]:
        """Addresses of record with bindings."""
        return list(self._bindings)

    def all(self, now: float) -> Iterator[Binding]:
        """Every contact of every address of record."""
        for bindings in self._bindings.values():
            for binding in bindings:
                if binding.expires_at > now:
                    yield binding

    def __len__(self) -> int:
        """Bindings held."""
        return self._count

    # Time

    def next_deadline(self) -> float | None:
        """When expire() may have something to do, in monotonic seconds."""
        return self._heap[0][0] if self._heap else None

    def expire(self, now: float) -> list[Binding]:
        """Remove what has run out, and return it.

        A binding stands in the heap once: a refresh moves `expires_at` only, and the entry is renewed when it comes up.
        """
        expired: list[Binding] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, binding = heapq.heappop(heap)
            if binding.scheduled != at:
                continue
            binding.scheduled = 0.0
            if binding.expires_at > now:
                self._schedule(binding)
                continue
            bindings = self._bindings.get(binding.aor, [])
            if binding in bindings:
                self._commit(binding.aor, [other for other in bindings if other is not binding])
                expired.append(binding)
        return expired

    # Store

    def snapshot(self, now: float, wall: float) -> list[BindingRecord]:
        """Every binding as it is stored."""
        return [record_of(binding, now, wall) for binding in self.all(now)]

    def restore(self, records: Iterable[BindingRecord], now: float, wall: float) -> int:
        """Take over stored bindings that have not run out; returns how many. To be called before any register().

        Expiry is bounded by the settings, should the clock have been set back meanwhile. Connections do not survive
        a restart: a contact that only one leads to stays unreachable until it registers again. What has run out
        or can't be read is taken out of the store (`changes`).
        """
        restored = 0
        for record in records:
            left = min(record.expires_at - wall, float(self.settings.max_expires))
            if left <= 0 or self._count >= self.settings.max_bindings:
                self.changes.append(BindingRemoved(record.aor, record.contact))
                continue
            try:
                binding = binding_of(record, now + left)
            except SipError:
                self.changes.append(BindingRemoved(record.aor, record.contact))
                continue
            bindings = self._bindings.setdefault(record.aor, [])
            if any(other.uri == binding.uri for other in bindings):
                continue
            bindings.append(binding)
            self._count += 1
            self._schedule(binding)
            restored += 1
        return restored

    # Inside: the three kinds of change

    def _refresh(self, aor: str, request: Request, header: str, flow: Flow, now: float, wall: float) -> bool:
        """The usual case without reading the contact: the very header of before, from the same place, and newer.

        Newer is what has another Call-ID, or the same one and a higher CSeq (10.3 item 7).
        """
        for binding in self._bindings.get(aor, ()):
            if binding.raw == header:
                break
        else:
            return False
        expires = self._lifetime(request.get("Expires") if binding.lifetime is None else binding.lifetime)
        if (
            binding.flow != flow
            or (binding.call_id == request.call_id and request.cseq.number <= binding.cseq)
            or not self.settings.min_expires <= expires
            or binding.path
            or request.get("Path") is not None
            or binding.expires_at <= now
        ):
            return False
        binding.call_id = request.call_id
        binding.cseq = request.cseq.number
        binding.user_agent = (request.get("User-Agent") or "")[:MAX_STORED_TEXT]
        was_reachable, binding.reachable = binding.reachable, True
        self._set_expiry(binding, now + min(expires, self.settings.max_expires))
        self.changes.append(BindingStored(record_of(binding, now, wall), was_reachable))
        return True

    def _remove_all(self, aor: str, request: Request, headers: list[str]) -> None:
        """Contact: * (RFC 3261 10.3 item 6)."""
        # "If the request has additional Contact fields or an expiration time other than zero, the request is
        # invalid, and the server MUST return a 400 (Invalid Request)".
        if len(headers) > 1:
            raise SipError(400, "Contact * is not alone")
        expires = request.get("Expires")
        if expires is None or not digits(expires) or int(expires[:20]) != 0:
            raise SipError(400, "Contact * without Expires 0")
        bindings = self._bindings.get(aor, [])
        for binding in bindings:
            _check_order(binding, request)
        if bindings:
            self._commit(aor, [])

    def _update(
        self,
        aor: str,
        request: Request,
        headers: list[str],
        flow: Flow,
        now: float,
        wall: float,
        max_contacts: int | None,
    ) -> None:
        """Contacts one by one on a copy of the list (RFC 3261 10.3 item 7), then all at once."""
        contacts = request.contacts
        if len(contacts) > MAX_CONTACT_VALUES:
            raise SipError(403, "Too Many Contacts")
        path = _read_path(request)
        working = [binding for binding in self._bindings.get(aor, ()) if binding.expires_at > now]
        fresh: list[Binding] = []
        for contact in contacts:
            expires = self._granted(contact, request)
            at = _find(working, contact)
            if at is not None and not any(binding is working[at] for binding in fresh):
                _check_order(working[at], request)
            if expires == 0:
                if at is not None:
                    fresh = [binding for binding in fresh if binding is not working[at]]
                    del working[at]
                continue
            binding = self._bind(aor, contact, request, flow, path)
            binding.expires_at = now + expires
            if at is None:
                working.append(binding)
            else:
                fresh = [other for other in fresh if other is not working[at]]
                working[at] = binding
            fresh.append(binding)
        if len(headers) == 1 and len(contacts) == 1 and fresh:
            fresh[0].raw = headers[0]
        held = len(self._bindings.get(aor, ()))
        limit = self.settings.max_contacts if max_contacts is None else max_contacts
        # Whoever has more than the limit, since it was lowered, may go on refreshing them.
        if len(working) > max(limit, held):
            working = _fit(working, fresh, limit)
        if len(working) > held and self._count + len(working) - held > self.settings.max_bindings:
            raise SipError(503, "Too Many Registrations")
        self._commit(aor, working)
        for binding in fresh:
            self.changes.append(BindingStored(record_of(binding, now, wall)))

    # Inside: reading

    def _granted(self, contact: NameAddr, request: Request) -> int:
        """Seconds for one contact: its expires parameter, else the Expires header, else the default (10.3 item 7)."""
        if not contact.uri.is_sip:
            raise SipError(400, "Bad Contact: not a SIP URI")
        own = _expires_param(contact)
        expires = self._lifetime(request.get("Expires") if own is None else own)
        # "If and only if the requested expiration interval is greater than zero AND smaller than one hour AND less
        # than a registrar-configured minimum, the registrar MAY reject the registration with a response of 423".
        if 0 < expires < 3600 and expires < self.settings.min_expires:
            raise SipError(423, "Interval Too Brief")
        return min(expires, self.settings.max_expires)

    def _lifetime(self, text: str | None) -> int:
        if text is None:
            return self.settings.default_expires
        return delta_seconds(text) if digits(text) else MALFORMED_EXPIRES

    @staticmethod
    def _bind(aor: str, contact: NameAddr, request: Request, flow: Flow, path: tuple[str, ...]) -> Binding:
        params, q = contact.params, 1.0
        if params:
            if "q" in params:
                q = _read_q(params["q"])
            params = {name: value for name, value in params.items() if name not in ("expires", "q")}
        binding = Binding(aor, contact.uri, write_params(params) if params else "", q, flow, path)
        if len(binding.text) > MAX_STORED_TEXT:
            raise SipError(400, "Bad Contact: too long")
        binding.lifetime = _expires_param(contact)
        binding.call_id = request.call_id
        binding.cseq = request.cseq.number
        binding.user_agent = (request.get("User-Agent") or "")[:MAX_STORED_TEXT]
        if params:
            binding.instance = params.get("+sip.instance") or ""
            binding.reg_id = params.get("reg-id") or ""
        return binding

    # Inside: writing

    def _commit(self, aor: str, working: list[Binding]) -> None:
        """Put `working` in the place of the address of record's bindings, and everything that hangs on them."""
        before = self._bindings.get(aor)
        if before:
            kept = {binding.uri for binding in working}
            for binding in before:
                if binding not in working:
                    self._forget_connection(binding)
                    binding.scheduled = 0.0
                    if binding.uri not in kept:
                        self.changes.append(BindingRemoved(aor, binding.uri))
            self._count -= len(before)
        for binding in working:
            if binding.scheduled == 0.0:
                self._schedule(binding)
                if binding.flow.connection:
                    self._by_connection.setdefault(binding.flow.connection, {})[id(binding)] = binding
        self._count += len(working)
        if working:
            self._bindings[aor] = working
        else:
            self._bindings.pop(aor, None)

    def _forget_connection(self, binding: Binding) -> None:
        connection = binding.flow.connection
        over = self._by_connection.get(connection)
        if over is not None:
            over.pop(id(binding), None)
            if not over:
                del self._by_connection[connection]

    def _set_expiry(self, binding: Binding, at: float) -> None:
        binding.expires_at = at
        if at < binding.scheduled:
            self._schedule(binding)

    def _schedule(self, binding: Binding) -> None:
        heap = self._heap
        if len(heap) > 2 * self._count + COMPACT_FROM:
            # Entries of bindings long removed: whoever registers and unregisters all day must not fill memory.
            heap[:] = [entry for entry in heap if entry[2].scheduled == entry[0]]
            heapq.heapify(heap)
        self._serial += 1
        binding.scheduled = binding.expires_at
        heapq.heappush(heap, (binding.expires_at, self._serial, binding))

    def _ok(self, aor: str, request: Request, now: float, wall: float, to_tag: str) -> Response:
        """RFC 3261 10.3 item 8."""
        response = response_to(request, 200, None, to_tag)
        headers = response.headers
        # "The response MUST contain Contact header field values enumerating all current bindings. Each Contact value
        # MUST feature an "expires" parameter indicating its expiration interval chosen by the registrar."
        for binding in self._bindings.get(aor, ()):
            left = binding.expires_at - now
            if left > 0:
                headers.append(("Contact", f"{binding.text};expires={int(left + 0.5) or 1}"))
        # RFC 3327 5.3: the registrar copies the Path values into the 200; to a client that has not said it knows
        # them they mean nothing.
        if request.get("Path") is not None and "path" in request.supported:
            headers += [header for header in request.headers if header[0] == "Path"]
        # "The response SHOULD include a Date header field." (RFC 3261 20.17: GMT, RFC 1123 form)
        second = int(wall)
        if second != self._date_second:
            self._date_second = second
            self._date = formatdate(second, usegmt=True)
        headers.append(("Date", self._date))
        return response


def _check_order(binding: Binding, request: Request) -> None:
    """RFC 3261 10.3: within one Call-ID the CSeq must be higher, "if not, the update MUST be aborted and the
    request fails"."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        # The status that 12.2.2 names for a CSeq out of order; 10.3 names none.
        raise SipError(500, "CSeq Out of Order")


def _find(bindings: list[Binding], contact: NameAddr) -> int | None:
    """Which binding a contact means: the same URI by RFC 3261 19.1.4, or the same flow of the same device."""
    uri = contact.uri
    for at, binding in enumerate(bindings):
        if binding.contact is uri or binding.contact.equals(uri):
            return at
    # RFC 5626 6: "If there is a "+sip.instance" and "reg-id" ... the registrar MUST ... replace" a binding with the
    # same two: the device has come back from another address.
    instance, reg_id = contact.params.get("+sip.instance"), contact.params.get("reg-id")
    if instance and reg_id:
        for at, binding in enumerate(bindings):
            if binding.instance == instance and binding.reg_id == reg_id:
                return at
    return None


def _fit(working: list[Binding], fresh: list[Binding], limit: int) -> list[Binding]:
    """At most `limit` contacts: dead ones give way to new ones, live ones never do."""
    excess = len(working) - limit
    dead = [binding for binding in working if not binding.reachable and binding not in fresh]
    if len(dead) < excess:
        raise SipError(403, "Too Many Contacts")
    dead.sort(key=lambda binding: binding.expires_at)
    return [binding for binding in working if binding not in dead[:excess]]


def _expires_param(contact: NameAddr) -> str | None:
    """The expires parameter, "" when it has no value, None when absent."""
    if "expires" not in contact.params:
        return None
    return contact.params["expires"] or ""


def _read_path(request: Request) -> tuple[str, ...]:
    if request.get("Path") is None:
        return ()
    if not all(path.uri.is_sip for path in request.paths):
        raise SipError(400, "Bad Path: not a SIP URI")
    values = request.values("Path")
    if len(values) > MAX_PATHS or sum(map(len, values)) > MAX_STORED_TEXT:
        raise SipError(400, "Bad Path: too long")
    return tuple(values)


def _read_q(text: str | None) -> float:
    # RFC 3261 25.1: qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
    if text is None or len(text) > 5 or not digits(text.replace(".", "", 1)) or text[0] == ".":
        raise SipError(400, "Bad Contact: q")
    q = float(text)
    if q > 1.0:
        raise SipError(400, "Bad Contact: q")
    return q

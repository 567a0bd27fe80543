"""Outbound registration: one machine per trunk that registers with a provider (RFC 3261 10.2).

            start                     2xx                        refresh time
    IDLE ----------> REGISTERING ------------> REGISTERED ----------------------> REGISTERING
                      |  ^  ^  \\ 423: asks again at once, with Min-Expires
                      |  |  +--+
       5xx, timeout,  |  | `retry_base` * 2^n, jittered, capped (RFC 5626 4.5), or Retry-After
       transport      +--+ RETRYING
                      |  ^
       401 403 404 407|  | `rejected_retry`: hammering would not help, and some providers ban for it
                      +--+ REJECTED
    any ---stop()---> STOPPING (Expires: 0 where something may be bound) ---any answer---> STOPPED

Digest is the user agent's work (`ua.request(credentials=...)`): a 401 that arrives here means that our
credentials were refused. Pure: `due(now)` says which REGISTERs to send, `answered` and `failed` say what came of
them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from sip.digest import Credentials
from sip.errors import SipError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip.ids import Ids
    from sip.message import Response

MAX_EXPIRES = 86_400
"""Seconds: neither a 423 nor a 200 makes us ask for, or believe in, more than a day."""
MIN_EXPIRES = 10
"""Seconds: a shorter grant is treated as this, so that no registrar makes us register all the time."""
MAX_RETRY_AFTER = 7200.0
"""Seconds: the longest Retry-After that is obeyed."""
MAX_TOO_BRIEF = 2
"""423 answers in a row that are followed; the next one is a failure like any other."""
REFRESH_LEAD = 60.0
"""Seconds before expiry at which a long registration is refreshed: room for one failed attempt (32 s)."""
CSEQ_STEP = 8
"""CSeq room left after an attempt without answer: the user agent may have counted up for its retries."""
REFUSED_STATUSES = frozenset((401, 403, 404, 407, 604))
"""The account or its password is refused: repeating the same words soon is pointless (RFC 3261 21.4.4)."""
ANSWER_TIMEOUT = 40.0
"""Seconds after which an attempt nobody reported on counts as timed out (longer than 64*T1)."""


class RegistrationState(StrEnum):
    """As shown by `status`."""

    IDLE = "idle"
    REGISTERING = "registering"
    REGISTERED = "registered"
    RETRYING = "retrying"
    REJECTED = "rejected"
    STOPPING = "stopping"
    STOPPED = "stopped"


class TrunkRegistrationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What one trunk registers, where, and how often. Secrets are not printed."""

    trunk: str
    """Name of the trunk."""
    registrar: str
    """Request-URI of the REGISTER: "sip:provider.example" or "sip:192.0.2.9:5070;transport=tcp"."""
    aor: str
    """Address of record, without angle brackets: "sip:user@provider.example"."""
    username: str
    """Digest user name; also the user part of our Contact where `contact_user` is empty."""
    password: str
    """Digest password."""
    realm: str = ""
    """Realm the credentials are bound to; "" binds them to the first challenge (sip.digest.Credentials)."""
    contact_user: str = ""
    """User part of the Contact; "" takes `username`."""
    expires: int = 3600
    """Seconds asked for."""
    outbound_proxy: str = ""
    """URI of a proxy through which the REGISTER goes (a Route header), "" for none."""
    retry_base: float = 30.0
    """Seconds: base of the back-off (RFC 5626 4.5 base-time when all flows failed)."""
    retry_max: float = 1800.0
    """Seconds: cap of the back-off (RFC 5626 4.5 max-time)."""
    rejected_retry: float = 3600.0
    """Seconds between attempts after the registrar refused the credentials or the account."""

    def __repr__(self) -> str:
        return f"TrunkRegistrationConfig(trunk={self.trunk!r}, registrar={self.registrar!r})"


class SendRegister(msgspec.Struct):
    """Send this REGISTER with `ua.request(..., contact_user, credentials)`; report `attempt` back."""

    trunk: str
    attempt: int
    registrar: str
    """Request-URI."""
    contact_user: str
    headers: list[tuple[str, str]]
    """From, To, Call-ID, CSeq, Expires, and Route where there is an outbound proxy."""
    config: TrunkRegistrationConfig

    @property
    def credentials(self) -> Credentials:
        """For the registrar's challenge."""
        return Credentials(self.config.username, self.config.password, self.config.realm)


class RegistrationChanged(msgspec.Struct):
    """A registration changed its state. A run of failures tells this once, not at each attempt."""

    trunk: str
    state: RegistrationState
    status: int
    """Status that brought it about; 0 when there was no response."""
    detail: str
    """Reason phrase, or the transport's words."""


class RegistrationStatus(msgspec.Struct, frozen=True):
    """One line of `status`."""

    trunk: str
    registrar: str
    state: RegistrationState
    expires_in: float | None
    """Seconds until the registrar forgets us; None when not registered."""
    next_in: float | None
    """Seconds until the next attempt; None while one is under way."""
    failures: int
    status: int
    detail: str


class TrunkRegistration:
    """The machine of one trunk."""

    __slots__ = (
        "_awaiting_until",
        "_call_id",
        "_changes",
        "_cseq",
        "_expires",
        "_expires_at",
        "_failures",
        "_ids",
        "_may_be_bound",
        "_next_at",
        "_taking_back",
        "_too_brief",
        "attempt",
        "config",
        "detail",
        "state",
        "status",
    )

    def __init__(self, config: TrunkRegistrationConfig, ids: Ids, changes: list[RegistrationChanged]) -> None:
        self.config = config
        self.state = RegistrationState.IDLE
        self.status = 0
        self.detail = ""
        self.attempt = 0
        self._ids = ids
        self._changes = changes
        # RFC 3261 10.2: "All registrations from a UAC SHOULD use the same Call-ID header field value for
        # registrations sent to a particular registrar."
        self._call_id = ids.call_id()
        self._cseq = 1
        self._expires = config.expires
        self._expires_at: float | None = None
        self._next_at: float | None = None
        self._awaiting_until: float | None = None
        self._failures = 0
        self._too_brief = 0
        self._may_be_bound = False
        self._taking_back = False

    # Orders

    def start(self, now: float, spread: float = 0.0) -> None:
        """Register, within `spread` seconds."""
        if self.state is RegistrationState.IDLE:
            self._next_at = now + spread * self._ids.random()

    def stop(self, now: float) -> None:
        """Take the binding back (RFC 3261 10.2.2); finished when `state` is STOPPED."""
        if self.state in (RegistrationState.STOPPING, RegistrationState.STOPPED):
            return
        if not self._may_be_bound:
            self._finish(0, "")
            return
        self._become(RegistrationState.STOPPING, 0, "")
        # RFC 3261 10.2: "UAs MUST NOT send a new registration ... until they have received a final response
        # from the registrar for the previous one or the previous REGISTER request has timed out."
        self._next_at = now if self._awaiting_until is None else None

    def retry_now(self, now: float) -> None:
        """Register soon: the flow of the registration broke, or the operator asked for it."""
        if self.state in (
            RegistrationState.REGISTERED,
            RegistrationState.RETRYING,
            RegistrationState.REJECTED,
        ):
            # A broken flow is one failure in RFC 5626 4.5: jittered, so that many trunks don't return at once.
            self._next_at = now + self._ids.random()

    # Time

    def next_deadline(self) -> float | None:
        """When due() has something to do, in monotonic seconds."""
        return self._next_at if self._awaiting_until is None else self._awaiting_until

    def due(self, now: float) -> SendRegister | None:
        """The REGISTER to send now, if any."""
        if self._awaiting_until is not None:
            if self._awaiting_until > now:
                return None
            self.failed(self.attempt, "no answer", now)
        if self._expires_at is not None and self._expires_at <= now:
            self._expires_at = None
        if self._next_at is None or self._next_at > now:
            return None
        return self._send(now)

    # What came back

    def answered(self, attempt: int, response: Response, now: float) -> None:
        """The final response to attempt `attempt`; a late one of an older attempt is ignored."""
        if attempt != self.attempt or self._awaiting_until is None:
            return
        self._awaiting_until = None
        # RFC 3261 10.2: "A UA MUST increment the CSeq value by one for each REGISTER request with the same
        # Call-ID." The retries with credentials have counted too.
        self._cseq = max(self._cseq, response.cseq.number) + 1
        status = response.status
        if self.state is RegistrationState.STOPPING:
            self._stop_step(status, response.reason, now)
        elif 200 <= status < 300:
            self._granted(response, now)
        elif status == 423 and self._too_brief < MAX_TOO_BRIEF and self._longer(response):
            # RFC 3261 10.2.8: the UA "MAY retry the registration after making the expiration interval ...
            # equal to or greater than the expiration interval within the Min-Expires header field".
            self._too_brief += 1
            self._next_at = now
        elif status in REFUSED_STATUSES:
            self._refused(status, response.reason, now)
        else:
            self._back_off(status, response.reason, _seconds(response.get("Retry-After")), now)

    def failed(self, attempt: int, detail: str, now: float) -> None:
        """Attempt `attempt` timed out or could not be sent."""
        if attempt != self.attempt or self._awaiting_until is None:
            return
        self._awaiting_until = None
        self._cseq += CSEQ_STEP
        if self.state is RegistrationState.STOPPING:
            self._stop_step(0, detail, now)
        else:
            self._back_off(0, detail, None, now)

    def line(self, now: float) -> RegistrationStatus:
        """For `status`."""
        held = self._expires_at is not None and self._expires_at > now
        return RegistrationStatus(
            self.config.trunk,
            self.config.registrar,
            self.state,
            self._expires_at - now if held and self._expires_at is not None else None,
            None if self._next_at is None else max(self._next_at - now, 0.0),
            self._failures,
            self.status,
            self.detail,
        )

    # Inside

    def _send(self, now: float) -> SendRegister:
        self.attempt += 1
        self._next_at = None
        self._awaiting_until = now + ANSWER_TIMEOUT
        stopping = self.state is RegistrationState.STOPPING
        if self.state is RegistrationState.IDLE:
            self._become(RegistrationState.REGISTERING, 0, "")
        self._may_be_bound = True
        config = self.config
        headers = [
            ("From", f"<{config.aor}>"),
            ("To", f"<{config.aor}>"),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} REGISTER"),
            # The Contact is written by the stack, which knows our address towards the registrar: the lifetime
            # therefore goes into Expires (RFC 3261 10.2.1.1).
            ("Expires", "0" if stopping else str(self._expires)),
        ]
        if config.outbound_proxy:
            proxy = config.outbound_proxy
            headers.append(("Route", f"<{proxy if ';lr' in proxy else proxy + ';lr'}>"))
        self._taking_back = stopping
        user = config.contact_user or config.username
        return SendRegister(config.trunk, self.attempt, config.registrar, user, headers, config)

    def _granted(self, response: Response, now: float) -> None:
        granted = min(max(self._lifetime(response), MIN_EXPIRES), MAX_EXPIRES)
        self._failures = 0
        self._too_brief = 0
        self._expires_at = now + granted
        lead = min(REFRESH_LEAD, granted / 3)
        self._next_at = now + granted - lead * (1.0 + 0.5 * self._ids.random())
        self._become(RegistrationState.REGISTERED, response.status, response.reason)

    def _lifetime(self, response: Response) -> int:
        """Seconds granted to our Contact.

        RFC 3261 10.3 item 8: the response "MUST contain Contact header field values enumerating all current
        bindings", each with its expires parameter. Ours is told by its user part; of several (an older address
        of ours among them) the freshest lasts longest.
        """
        user = self.config.contact_user or self.config.username
        try:
            contacts = response.contacts
        except SipError:
            # Somebody's binding can't be read; the registrar has granted ours all the same.
            contacts = []
        ours = [
            seconds
            for contact in contacts
            if contact.uri.username == user and (seconds := _seconds(contact.params.get("expires"))) is not None
        ]
        if ours:
            return int(max(ours))
        header = _seconds(response.get("Expires"))
        return self._expires if header is None else int(header)

    def _longer(self, response: Response) -> bool:
        wanted = _seconds(response.get("Min-Expires"))
        if wanted is None or not self._expires < wanted <= MAX_EXPIRES:
            return False
        self._expires = int(wanted)
        return True

    def _refused(self, status: int, reason: str, now: float) -> None:
        self._failures += 1
        self._too_brief = 0
        self._expires_at = None
        self._may_be_bound = False
        self._next_at = now + self.config.rejected_retry * (0.9 + 0.2 * self._ids.random())
        self._become(RegistrationState.REJECTED, status, reason)

    def _back_off(self, status: int, detail: str, retry_after: float | None, now: float) -> None:
        # RFC 5626 4.5: wait-time upper bound = min(max-time, base-time * 2^consecutive-failures), "a uniform
        # random time between 50 and 100% of the upper-bound wait time".
        bound = min(self.config.retry_max, self.config.retry_base * 2.0 ** min(self._failures, 16))
        pause = bound * (0.5 + 0.5 * self._ids.random())
        if retry_after is not None:
            # RFC 3261 20.33; bounded, or one response could silence a trunk for years.
            pause = max(pause, min(retry_after, MAX_RETRY_AFTER))
        self._failures += 1
        self._too_brief = 0
        self._next_at = now + pause
        self._become(RegistrationState.RETRYING, status, detail)

    def _stop_step(self, status: int, detail: str, now: float) -> None:
        """An attempt ended while stopping: the one that took the binding back, or one that was under way."""
        if self._taking_back:
            self._finish(status, detail)
        else:
            self._next_at = now

    def _finish(self, status: int, detail: str) -> None:
        self._next_at = None
        self._awaiting_until = None
        self._expires_at = None
        self._may_be_bound = False
        self._become(RegistrationState.STOPPED, status, detail)

    def _become(self, state: RegistrationState, status: int, detail: str) -> None:
        changed = state is not self.state
        self.state = state
        self.status = status
        self.detail = detail
        if changed:
            self._changes.append(RegistrationChanged(self.config.trunk, state, status, detail))


class TrunkRegistrations:
    """The machines of all trunks that register."""

    __slots__ = ("_ids", "_leaving", "_machines", "changes")

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._machines: dict[str, TrunkRegistration] = {}
        self._leaving: list[TrunkRegistration] = []
        self.changes: list[RegistrationChanged] = []

    def configure(self, configs: Iterable[TrunkRegistrationConfig], now: float, spread: float = 1.0) -> None:
        """Take over new settings: machines whose settings are unchanged go on untouched."""
        wanted = {config.trunk: config for config in configs}
        for trunk, machine in list(self._machines.items()):
            if wanted.get(trunk) != machine.config:
                machine.stop(now)
                self._leaving.append(self._machines.pop(trunk))
        for trunk, config in wanted.items():
            if trunk not in self._machines:
                machine = self._machines[trunk] = TrunkRegistration(config, self._ids, self.changes)
                machine.start(now, spread)
        self._forget_stopped()

    def stop(self, now: float) -> None:
        """Shutdown: take every binding back."""
        for machine in self._machines.values():
            machine.stop(now)
            self._leaving.append(machine)
        self._machines.clear()
        self._forget_stopped()

    def stopped(self) -> bool:
        """Nothing is registered or being taken back."""
        return not self._machines and not self._leaving

    def next_deadline(self) -> float | None:
        """When due() has something to do, in monotonic seconds."""
        deadlines = [
            at for machine in (*self._machines.values(), *self._leaving) if (at := machine.next_deadline()) is not None
        ]
        return min(deadlines, default=None)

    def due(self, now: float) -> list[SendRegister]:
        """The REGISTERs to send now."""
        sends = [
            send for machine in (*self._machines.values(), *self._leaving) if (send := machine.due(now)) is not None
        ]
        self._forget_stopped()
        return sends

    def answered(self, send: SendRegister, response: Response, now: float) -> None:
        """The final response to `send`."""
        if (machine := self._of(send)) is not None:
            machine.answered(send.attempt, response, now)
            self._forget_stopped()

    def failed(self, send: SendRegister, detail: str, now: float) -> None:
        """`send` timed out or could not be sent."""
        if (machine := self._of(send)) is not None:
            machine.failed(send.attempt, detail, now)
            self._forget_stopped()

    def retry_now(self, trunk: str, now: float) -> None:
        """The flow of `trunk`'s registration broke, or the operator asked for it."""
        if (machine := self._machines.get(trunk)) is not None:
            machine.retry_now(now)

    def status(self, now: float) -> list[RegistrationStatus]:
        """One line per trunk that registers."""
        return [machine.line(now) for machine in self._machines.values()]

    def _of(self, send: SendRegister) -> TrunkRegistration | None:
        machine = self._machines.get(send.trunk)
        if machine is not None and machine.config is send.config:
            return machine
        return next((leaving for leaving in self._leaving if leaving.config is send.config), None)

    def _forget_stopped(self) -> None:
        self._leaving = [m for m in self._leaving if m.state is not RegistrationState.STOPPED]


def _seconds(text: str | None) -> float | None:
    """A delta-seconds value (RFC 3261 20.10, 20.33: parameters and comments of Retry-After ignored)."""
    if text is None:
        return None
    digits = text.strip().split(";", 1)[0].split("(", 1)[0].strip()
    if not digits.isascii() or not digits.isdigit():
        return None
    return float(min(int(digits[:12]), 2**31))

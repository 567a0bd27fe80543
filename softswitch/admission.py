"""Admission: who is calling. Default deny: whoever is not recognised is challenged, never served.

    source address of a trunk with inbound "address"   that trunk; credentials are not looked at (not for REGISTER)
    valid digest credentials                           their owner: an extension, or a trunk with inbound "credentials"
    credentials that fail, or none                     401 with a challenge: the same for unknown users, wrong
                                                       passwords, forbidden sources and users backed off from
    a source that has failed too often                 403 without a look at anything (see softswitch.guessing)

A trunk is recognised by address or by credentials, never by either. Who calls is whom the credentials belong to,
whatever From says. 403 to a source that failed too often is no oracle: it depends on that source's failures alone,
is given before anything is checked, and no phone has ever signed in from there.

The password of one who is backed off from is not compared with its own but with one that nobody has: the answer and
the time are those of a wrong password, whether it was right or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from sip.digest import NONCE_LIFETIME, OK, REPLAYED, STALE, DigestServer, ha1
from sip.effects import Flow
from sip.ids import Ids
from sip.message import Request, Response, response_to
from softswitch.guessing import Guessing
from softswitch.security_log import Reason, SecurityLog
from softswitch.sources import Sources, network_of
from softswitch.trunks import TrunkConfig

NEVER_CHALLENGED = frozenset(("ACK", "CANCEL"))
"""RFC 3261 22.1: ACK and CANCEL must not be challenged; they belong to an INVITE that was."""

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REGISTER, REFER, SUBSCRIBE, NOTIFY"
"""Methods that are served."""

MAX_USERNAME = 64
"""Characters of a digest user name that are remembered of a failure."""


class AdmissionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of guessing. A failure adds one to the score of its source and of its user; scores fade with time."""

    realm: str = "softswitch"
    """Digest realm; HA1s are made with it."""
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    """Digest algorithms offered, best first."""
    source_failures: float = 20.0
    """Failures after which a source is not tried; also those of a host and user that have signed in before."""
    user_failures: float = 50.0
    """Failures after which a user is not tried from places it has never signed in from."""
    fade: float = 0.1
    """Failures forgotten per second."""
    nonce_lifetime: float = NONCE_LIFETIME
    """Seconds a challenge may be answered for; later answers are told to try again (stale)."""


class ExtensionAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One extension that may register and call. Secrets are not printed."""

    extension: str
    """The number: user part of its address of record, and the key of its bindings."""
    password: str
    """Digest password."""
    username: str = ""
    """Digest user name; "" takes `extension`."""
    sources: tuple[str, ...] = ()
    """Addresses it may come from, written as in TrunkConfig.sources; empty: any."""
    transports: tuple[str, ...] = ()
    """Transports it may come over: "udp", "tcp"; empty: any."""
    max_contacts: int | None = None
    """Contacts it may bind; None: the registrar's number."""
    max_calls: int = 0
    """Concurrent calls, both directions; 0: no limit of its own. Counted in `softswitch.call_limits`."""
    nat: Literal["auto", "yes", "no"] = "auto"
    """Whether it is behind NAT: "auto" compares its Contact with where it comes from."""

    def __repr__(self) -> str:
        return f"ExtensionAccount(extension={self.extension!r})"

    @property
    def login(self) -> str:
        return self.username or self.extension


class Known(msgspec.Struct, frozen=True):
    """Recognised: `account` is an extension's or a trunk's."""

    account: ExtensionAccount | TrunkConfig

    @property
    def kind(self) -> Literal["extension", "trunk"]:
        return "extension" if isinstance(self.account, ExtensionAccount) else "trunk"

    @property
    def name(self) -> str:
        """Extension number or trunk name."""
        account = self.account
        return account.extension if isinstance(account, ExtensionAccount) else account.name


class Challenge(msgspec.Struct, frozen=True):
    """Answer with `status` and these headers."""

    headers: list[tuple[str, str]]
    status: int = 401


class Refuse(msgspec.Struct, frozen=True, gc=False):
    """Answer with this status."""

    status: int
    reason: str


Identity = Known | Challenge | Refuse

_FORBIDDEN = Refuse(403, "Forbidden")


class _Login:
    """What a digest user name leads to."""

    __slots__ = ("ha1s", "known", "sources", "transports")

    def __init__(
        self, known: Known, ha1s: Mapping[str, str], sources: tuple[str, ...], transports: tuple[str, ...]
    ) -> None:
        self.known = known
        self.ha1s = ha1s
        self.sources = Sources((text, True) for text in sources)
        self.transports = transports

    def may_come_from(self, flow: Flow) -> bool:
        if self.transports and flow.transport not in self.transports:
            return False
        return not self.sources or self.sources.find(*flow.remote) is not None


class Accounts:
    """Every extension and trunk that may call, indexed. Immutable: a reload makes a new one and swaps it in.

    ValueError when two accounts share a digest user name, two trunks share an address, or an address can't be read.
    """

    __slots__ = ("_logins", "_trunks", "extensions", "realm")

    def __init__(
        self,
        extensions: Iterable[ExtensionAccount],
        trunks: Iterable[TrunkConfig],
        settings: AdmissionSettings,
    ) -> None:
        self.realm = settings.realm
        algorithms = settings.algorithms
        self.extensions = {account.extension: account for account in extensions}
        self._logins: dict[str, _Login] = {}
        by_address: list[tuple[str, Known]] = []
        for account in self.extensions.values():
            self._enter(
                account.login,
                account.password,
                Known(account),
                account.sources,
                account.transports,
                algorithms,
            )
        for trunk in trunks:
            known = Known(trunk)
            if trunk.inbound == "credentials":
                self._enter(trunk.inbound_username, trunk.inbound_password, known, trunk.sources, (), algorithms)
            elif trunk.inbound == "address":
                by_address += [(text, known) for text in trunk.sources]
        self._trunks: Sources[Known] = Sources(by_address)

    def trunk_at(self, flow: Flow) -> Known | None:
        """The trunk whose address list holds the source of a request."""
        return self._trunks.find(*flow.remote)

    def login(self, username: str) -> _Login | None:
        return self._logins.get(username)

    def changed_users(self, later: Accounts) -> list[str]:
        """Digest user names whose password is another in `later`, or that are not there."""
        return [
            username
            for username, login in self._logins.items()
            if (other := later.login(username)) is None or other.ha1s != login.ha1s
        ]

    def changed_extensions(self, later: Accounts) -> list[str]:
        """Extensions whose password is another in `later`."""
        changed = set(self.changed_users(later))
        return [account.extension for account in self.extensions.values() if account.login in changed]

    def _enter(
        self,
        username: str,
        password: str,
        known: Known,
        sources: tuple[str, ...],
        transports: tuple[str, ...],
        algorithms: tuple[str, ...],
    ) -> None:
        # An empty password would let everybody in who leaves it out.
        if not username or not password:
            raise ValueError("an account needs a digest user name and a password")
        if username in self._logins:
            raise ValueError(f"digest user name {username!r} belongs to two accounts")
        ha1s = {algorithm: ha1(username, self.realm, password, algorithm) for algorithm in algorithms}
        self._logins[username] = _Login(known, ha1s, sources, transports)


class Admission:
    """Recognises who sends a request outside a dialog."""

    __slots__ = (
        "_accounts",
        "_attempt",
        "_digest",
        "_flow",
        "_guessing",
        "_host",
        "_ids",
        "_now",
        "_reason",
        "_security",
        "_settings",
        "counters",
    )

    def __init__(self, settings: AdmissionSettings, ids: Ids, security: SecurityLog | None = None) -> None:
        """Nobody is known yet: see configure(). `security` is told of failures."""
        self._settings = settings
        self._security = security
        self._ids = ids
        self._accounts = Accounts((), (), settings)
        self._digest = _digest_server(settings, ids)
        self._guessing = Guessing(settings.source_failures, settings.user_failures, settings.fade)
        self.counters = dict.fromkeys(
            ("challenged", "stale", "replayed", "failed", "backed_off", "source_refused", "known"), 0
        )
        # The login under way, for `_secrets_of`, which the digest calls back while it compares.
        self._flow: Flow | None = None
        self._host = ""
        self._now = 0.0
        self._attempt = ""
        self._reason: Reason = "unreadable"

    def configure(
        self,
        extensions: Iterable[ExtensionAccount],
        trunks: Iterable[TrunkConfig],
        settings: AdmissionSettings | None = None,
    ) -> None:
        """Take over new accounts (and realm, algorithms and life of nonces) all at once, or, by ValueError, none.

        Failures are not forgotten; the limits on them are those of the start.
        """
        fresh = self._settings if settings is None else settings
        accounts = Accounts(extensions, trunks, fresh)
        for username in self._accounts.changed_users(accounts):
            self._guessing.forget_user(username[:MAX_USERNAME])
        before = self._settings
        if (fresh.realm, fresh.algorithms, fresh.nonce_lifetime) != (
            before.realm,
            before.algorithms,
            before.nonce_lifetime,
        ):
            self._digest = _digest_server(fresh, self._ids)
        self._settings = fresh
        self._accounts = accounts

    @property
    def accounts(self) -> Accounts:
        """Those in force."""
        return self._accounts

    def signed_in_at(self, extension: str, flow: Flow) -> None:
        """A binding of the extension, restored after a restart, came from there: its phone is not locked out."""
        account = self._accounts.extensions.get(extension)
        if account is not None:
            self._guessing.succeeded(account.login[:MAX_USERNAME], network_of(flow.remote[0]), flow.remote[1])

    def identify(self, request: Request, flow: Flow, now: float) -> Identity:
        """Who sends `request`. For a REGISTER, also whether he may register the address of record in To.

        SipError(400) when To of a REGISTER can't be read.
        """
        method = request.method
        if method in NEVER_CHALLENGED:
            return _FORBIDDEN
        if method != "REGISTER":
            # Trunks don't register here; a phone may, even from inside a trunk's network.
            trunk = self._accounts.trunk_at(flow)
            if trunk is not None:
                self.counters["known"] += 1
                return trunk
        host, port = network_of(flow.remote[0]), flow.remote[1]
        if self._guessing.source_refused(host, now):
            self.counters["source_refused"] += 1
            return _FORBIDDEN
        header = self._credentials(request)
        if header is None:
            self.counters["challenged"] += 1
            return self._challenge(now, host)
        self._flow, self._host, self._now, self._attempt, self._reason = flow, host, now, "", "unreadable"
        verdict = self._digest.verify(header, method, request.uri, self._secrets_of, now, request.body, host)
        if isinstance(verdict, OK):
            login = self._accounts.login(verdict.username)
            if login is not None:
                self._guessing.succeeded(self._attempt, host, port)
                self.counters["known"] += 1
                return login.known if method != "REGISTER" else self._may_register(login.known, request, flow, now)
        if verdict is STALE:
            # RFC 7616 3.3: the password was right, so the phone may answer the new challenge without asking its user.
            self.counters["stale"] += 1
            return self._challenge(now, host, stale=True)
        if verdict is REPLAYED:
            # The password was right here too: a phone that lost count gets on, whoever replays does not.
            self.counters["replayed"] += 1
            return self._challenge(now, host, stale=True)
        self._failed(request, flow, now)
        return self._challenge(now, host)

    def refuse_other(self, request: Request, flow: Flow, now: float) -> Response:
        """The answer to a request that nobody serves: 405 to those who are known, a challenge to all others.

        So a stranger learns nothing from MESSAGE, SUBSCRIBE or PUBLISH that he would not learn from INVITE.
        """
        match self.identify(request, flow, now):
            case Known():
                # RFC 3261 21.4.6: "The response MUST include an Allow header field containing a list of valid methods"
                response = response_to(request, 405, None, self._ids.tag())
                response.add("Allow", ALLOW)
            case Challenge(headers=headers, status=status):
                response = response_to(request, status, None, self._ids.tag())
                response.headers.extend(headers)
            case Refuse(status=status, reason=reason):
                response = response_to(request, status, reason, self._ids.tag())
        return response

    # Inside

    def _failed(self, request: Request, flow: Flow, now: float) -> None:
        """Credentials were wrong: count and tell it."""
        self.counters["failed"] += 1
        attempt, security = self._attempt, self._security
        if security is not None:
            security.authentication_failed(flow, request.method, attempt, self._reason, now)
        # Credentials for another realm, or in a form that can't be checked, are no guess.
        for full in self._guessing.failed(attempt, self._host, now) if attempt else ():
            if security is not None:
                security.backed_off(full, flow, attempt, now)

    def _challenge(self, now: float, host: str, stale: bool = False) -> Challenge:
        # RFC 3261 22.1: UASs and registrars challenge with 401 and WWW-Authenticate, proxies with 407.
        return Challenge([("WWW-Authenticate", value) for value in self._digest.challenge(now, stale, host)])

    def _credentials(self, request: Request) -> str | None:
        """The Authorization for our realm; the only one, whatever its realm, when there is one."""
        first = request.get("Authorization")
        if first is None:
            return None
        realm = self._accounts.realm
        if realm in first:
            return first
        return next((value for value in request.values("Authorization") if realm in value), first)

    def _secrets_of(self, username: str) -> Mapping[str, str] | None:
        """HA1s of a digest user name; None for an unknown one, and for one that may not try from here now."""
        flow = self._flow
        attempt = self._attempt = username[:MAX_USERNAME]
        login = self._accounts.login(username)
        if flow is None or not self._guessing.may_try(attempt, self._host, flow.remote[1], self._now):
            self.counters["backed_off"] += 1
            self._reason = "backed-off"
            return None
        if login is None:
            self._reason = "unknown-user"
            return None
        if not login.may_come_from(flow):
            self._reason = "source-not-allowed"
            return None
        self._reason = "wrong-password"
        return login.ha1s

    def _may_register(self, known: Known, request: Request, flow: Flow, now: float) -> Known | Refuse:
        """RFC 3261 10.3 item 4: whether "the authenticated user is authorized to modify registrations for this
        address-of-record", else 403."""
        account = known.account
        if isinstance(account, ExtensionAccount) and request.to.uri.username == account.extension:
            return known
        if self._security is not None:
            self._security.authentication_failed(flow, request.method, self._attempt, "other-extension", now)
        return _FORBIDDEN


def _digest_server(settings: AdmissionSettings, ids: Ids) -> DigestServer:
    secret = bytes.fromhex(ids.token(64))
    return DigestServer(settings.realm, secret, settings.nonce_lifetime, settings.algorithms)

"""Digest authentication as server and as client (RFC 7616, RFC 8760, RFC 3261 section 22).

Server. A nonce is its time of issue, a count and a keyed hash of both: nothing is kept for a challenge. Only a nonce
that was used with the right password takes a place in the table of nonce counts, and the table is bounded: what is
pushed out of it makes every older nonce that is not in it stale. So a count is taken exactly once, whatever comes.

Stored credentials are HA1 = H(username:realm:password) per algorithm, never the password.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hmac import compare_digest
from typing import Final, Protocol

import msgspec

from sip.errors import SipError
from sip.grammar import QUOTED_STRING, TOKEN_CLASS, quote, unquote
from sip.ids import Ids
from sip.uri import Uri


class _Hash(Protocol):
    def hexdigest(self) -> str: ...


# RFC 8760 2.2: SHA-256 before MD5. The strongest first; the order is that of preference on both sides.
_HASHES: Final[dict[str, Callable[[bytes], _Hash]]] = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
_DIGITS: Final = {"SHA-256": 64, "MD5": 32}

ALGORITHMS: Final = tuple(_HASHES)
"""Every algorithm known here, in order of preference."""

NONCE_LIFETIME: Final = 300.0
"""Seconds a nonce may be used. A phone that comes later is told stale=true and asks its user nothing."""

NONCES_KEPT: Final = 16_384
"""Nonces in use at a time: at 500 logins per second half a minute of them, in about 2.5 MB."""

_WINDOW: Final = 64
"""Nonce counts below the highest still taken, once each: requests overtake each other on UDP."""
_WINDOW_MASK: Final = (1 << _WINDOW) - 1

_SERIAL_DIGITS: Final = 16
_MAC_DIGITS: Final = 24  # 96 bits, guessed over the network only
_COUNT_BITS: Final = 20
_CLOCK_SLACK: Final = 1.0  # seconds a nonce may come from the future: rounding, never more

# auth-param = token EQUAL ( token / quoted-string ), separated by commas
_AUTH_PARAM: Final = re.compile(
    rf"[ \t]*([{TOKEN_CLASS}]+)[ \t]*=[ \t]*({QUOTED_STRING}|[^\s,\"]++)[ \t]*(?:,|\Z)", re.DOTALL
)


def ha1(username: str, realm: str, password: str, algorithm: str) -> str:
    """H(username:realm:password) in hexadecimal digits (RFC 7616 3.4.2): what is stored instead of the password."""
    return _hash(algorithm, f"{username}:{realm}:{password}")


def read_auth(value: str) -> tuple[str, dict[str, str]]:
    """A challenge or credentials: scheme in lower case, parameters unquoted, their names in lower case.

    SipError(400) when malformed. Of a parameter that comes twice, the last counts.
    """
    scheme, _, rest = value.strip(" \t").partition(" ")
    return scheme.lower(), _split_auth(rest) or _read_auth_params(rest)


def _split_auth(text: str) -> dict[str, str] | None:
    """The parameters when no comma, quote or backslash stands inside one, as nearly always; None otherwise."""
    params: dict[str, str] = {}
    if "\\" in text:
        return None
    for part in text.split(","):
        name, _, value = part.strip(" \t").partition("=")
        if value[:1] == '"' and value[-1] == '"' and len(value) > 1:
            value = value[1:-1]
        elif not value or " " in value:
            return None
        if '"' in value or not name.isalnum():
            return None
        params[name.lower()] = value
    return params


def _read_auth_params(text: str) -> dict[str, str]:
    """The full grammar."""
    params: dict[str, str] = {}
    at, end = 0, len(text)
    while at < end:
        found = _AUTH_PARAM.match(text, at)
        if found is None:
            raise SipError(400, "Bad authentication parameter")
        params[found[1].lower()] = unquote(found[2])
        at = found.end()
    return params


# What verify() says


class OK(msgspec.Struct, frozen=True, gc=False):
    """The password is right and the count is new. `username` as sent."""

    username: str


class Refusal(enum.Enum):
    """STALE: right, but the nonce is too old: challenge with stale=true. FAILED: wrong, or nothing that can be checked.
    REPLAYED: right, but this nonce count was used before."""

    STALE = enum.auto()
    FAILED = enum.auto()
    REPLAYED = enum.auto()


STALE: Final = Refusal.STALE
FAILED: Final = Refusal.FAILED
REPLAYED: Final = Refusal.REPLAYED

Verdict = OK | Refusal

CredentialsOf = Callable[[str], Mapping[str, str] | None]
"""username -> HA1 by algorithm ("SHA-256", "MD5"), None for an unknown user."""


class DigestServer:
    """One realm. `secret`: at least 16 random bytes, fresh at each start, since `now` begins anew then.

    `algorithms`: those offered and taken, in the order offered. `userless_uri`: whether credentials may name the
    host and port alone of the Request-URI (see `_names`).
    """

    __slots__ = (
        "_count",
        "_floor",
        "_heads",
        "_keyed",
        "_lifetime",
        "_nobody",
        "_order",
        "_realm",
        "_seen",
        "_userless",
    )

    def __init__(
        self,
        realm: str,
        secret: bytes,
        nonce_lifetime: float = NONCE_LIFETIME,
        algorithms: Sequence[str] = ALGORITHMS,
        userless_uri: bool = True,
    ) -> None:
        if len(secret) < 16:
            raise ValueError("the secret must have 16 bytes or more")
        unknown = set(algorithms) - set(ALGORITHMS)
        if unknown or not algorithms:
            raise ValueError(f"unknown digest algorithms: {sorted(unknown)}" if unknown else "no digest algorithm")
        self._realm = realm
        self._lifetime = nonce_lifetime
        self._userless = userless_uri
        self._keyed = hashlib.blake2s(key=secret[:32], digest_size=_MAC_DIGITS // 2, person=b"nonce")
        # RFC 8760 2.3: "The UAS MUST add these header fields ... in order of most-preferred first".
        self._heads = {
            name: (f'Digest realm={quote(realm)}, nonce="', f'", algorithm={name}, qop="auth"') for name in algorithms
        }
        # The HA1 an unknown user is checked against, so that it takes the same time; it matches no password.
        self._nobody = {name: "0" * _DIGITS[name] for name in ALGORITHMS}
        self._seen: dict[int, int] = {}  # serial of a nonce -> highest count << _WINDOW | counts taken below it
        self._order: deque[int] = deque()  # the serials in the table, the one longest there first
        self._floor = -1  # nonces up to this serial that are not in the table are stale
        self._count = 0

    def challenge(self, now: float, stale: bool = False, source: str = "") -> list[str]:
        """Values of WWW-Authenticate or Proxy-Authenticate, one per algorithm, in the order they were given.

        The nonce holds for whoever is at `source` (RFC 7616 3.3 has it depend on the client's address): one obtained at
        one place is of no use in packets forged under another's address.
        """
        self._count += 1
        serial = (int(now * 1000.0) << _COUNT_BITS) | (self._count & ((1 << _COUNT_BITS) - 1))
        text = f"{serial:016x}"
        nonce = text + self._mac(text, source)
        end = ", stale=true" if stale else ""
        return [f"{before}{nonce}{after}{end}" for before, after in self._heads.values()]

    def verify(
        self,
        header_value: str,
        method: str,
        uri: str,
        credentials_of: CredentialsOf,
        now: float,
        body: bytes = b"",
        source: str = "",
    ) -> Verdict:
        """Check the value of Authorization or Proxy-Authorization of a request with that method and Request-URI.

        First the nonce: under one that we did not give to `source`, or that is too old, no password is looked at, so
        nothing can be guessed, and whoever forges packets under other people's addresses brings no failures upon them.
        Its count is taken only when everything else is right: a stranger can't use up a phone's.
        """
        try:
            scheme, params = read_auth(header_value)
        except SipError:
            return FAILED  # nothing to check is the same as the wrong password, to whoever sent it
        algorithm = params.get("algorithm", "MD5").upper()
        if scheme != "digest" or algorithm not in self._heads or params.get("realm") != self._realm:
            return FAILED
        count = params.get("nc", "")
        qop = params.get("qop", "").lower()
        # RFC 7616 3.4: qop "MUST be sent" by the client since we offer it; without it no count protects from replay.
        if (qop != "auth" and qop != "auth-int") or len(count) != 8 or not _HEX.fullmatch(count):
            return FAILED
        username, nonce, answer = params.get("username", ""), params.get("nonce", ""), params.get("response", "")
        serial = self._serial(nonce, source)
        if serial is None or self._is_old(serial, now):
            # RFC 7616 3.3: stale "indicating that the previous request from the client was rejected because the nonce
            # value was stale": phones keep the nonces of before our restart, and ask nobody then.
            return STALE
        stored = credentials_of(username)
        known = None if stored is None else stored.get(algorithm)
        secret = self._nobody[algorithm] if known is None else known
        expected = _response(
            algorithm, secret, method, params.get("uri", ""), nonce, (count, params.get("cnonce", "")), qop, body
        )
        right = compare_digest(expected.encode(), answer.lower().encode("utf-8", "surrogateescape"))
        if not right or known is None or not self._names(params.get("uri", ""), uri):
            return FAILED
        return self._use(serial, int(count, 16), now) or OK(username)

    def _is_old(self, serial: int, now: float) -> bool:
        age = now - (serial >> _COUNT_BITS) / 1000.0
        return age > self._lifetime or age < -_CLOCK_SLACK or (serial <= self._floor and serial not in self._seen)

    def _use(self, serial: int, count: int, now: float) -> Refusal | None:
        """Take one count of a nonce; None when it was free."""
        seen = self._seen
        state = seen.get(serial)
        if state is None:
            self._make_room(now)
            seen[serial] = count << _WINDOW | 1
            self._order.append(serial)
            return None if count else REPLAYED
        highest, taken = state >> _WINDOW, state & _WINDOW_MASK
        if count > highest:
            ahead = count - highest
            taken = (taken << ahead | 1) & _WINDOW_MASK if ahead < _WINDOW else 1
            seen[serial] = count << _WINDOW | taken
            return None
        behind = highest - count
        if behind >= _WINDOW or taken >> behind & 1 or not count:
            return REPLAYED
        seen[serial] = state | 1 << behind
        return None

    def _make_room(self, now: float) -> None:
        """Drop the two oldest entries when their nonces are too old anyway; one in any case when the table is full."""
        seen, order = self._seen, self._order
        too_old = int((now - self._lifetime) * 1000.0) << _COUNT_BITS
        for _ in range(2):
            if not order or order[0] >= too_old:
                break
            del seen[order.popleft()]
        if len(order) >= NONCES_KEPT:
            oldest = order.popleft()
            del seen[oldest]
            self._floor = max(self._floor, oldest)

    def _serial(self, nonce: str, source: str) -> int | None:
        """The serial of a nonce that we gave to `source`, None of any other."""
        text, mac = nonce[:_SERIAL_DIGITS], nonce[_SERIAL_DIGITS:]
        if not nonce.isascii() or not compare_digest(self._mac(text, source), mac):
            return None
        return int(text, 16)

    def _mac(self, text: str, source: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(f"{text}{source}".encode())
        return keyed.hexdigest()

    def _names(self, said: str, uri: str) -> bool:
        """Whether the digest-uri names the resource of the Request-URI.

        RFC 7616 3.4.6: "The authenticating server MUST assure that the resource designated by the "uri" parameter is
        the same as the resource specified in the Request-Line".
        Lenient: parameters are not compared (clients leave transport out), a port left out is the default one; and by
        `userless_uri` a digest-uri without user part covers the users of its host and port, since SIPp and some
        gateways never put the user there. The count of the nonce still makes it good for one request only.
        """
        if said == uri:
            return True
        try:
            ours, theirs = Uri.parse(uri), Uri.parse(said)
        except SipError:
            return False
        if not ours.is_sip:
            return ours.equals(theirs)
        return (
            ours.scheme == theirs.scheme
            and (ours.username == theirs.username or (self._userless and not theirs.user))
            and ours.host.lower() == theirs.host.lower()
            and _port(ours) == _port(theirs)
        )


# The client


class Credentials(msgspec.Struct, frozen=True, gc=False):
    """What we answer challenges with. `realm` "": that of the peer's first challenge."""

    username: str
    password: str
    realm: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, password=<hidden>, realm={self.realm!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("username", self.username), ("password", "<hidden>"), ("realm", self.realm)]


class _Challenge(msgspec.Struct, gc=False):
    """The challenge in use: what answers need, and how many were made."""

    header: str  # of the answer
    realm: str
    nonce: str
    algorithm: str
    named: bool  # whether the challenge named its algorithm
    opaque: str | None
    qop: str  # "" for RFC 2069 servers
    count: int = 0


_ANSWERS: Final = {"WWW-Authenticate": "Authorization", "Proxy-Authenticate": "Proxy-Authorization"}


class DigestClient:
    """Our side towards one peer: the challenge in use, its count of answers, the realm we are bound to.

    How often a request is tried again is the user agent's decision: this answers whatever it is given.
    """

    __slots__ = ("_current", "_ids", "_realm", "_secret", "_secret_of")

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._current: _Challenge | None = None
        self._realm: str | None = None
        self._secret = ""  # HA1 of `_secret_of`, so that one hash is saved per answer
        self._secret_of: tuple[Credentials, str, str] | None = None

    def answer(
        self,
        challenges: Iterable[tuple[str, str]],
        method: str,
        uri: str,
        credentials: Credentials,
        body: bytes = b"",
    ) -> tuple[str, str] | None:
        """(header name, value) for the strongest challenge of our realm, None when there is none we can answer.

        `challenges`: (header name, value) pairs, the response's `headers` as they are.
        """
        best: _Challenge | None = None
        for name, value in challenges:
            header = _ANSWERS.get(name)
            if header is None:
                continue
            offered = _read_challenge(header, value)
            if offered is None or not self._is_ours(offered.realm, credentials):
                continue
            # RFC 8760 2.4: of several challenges, the topmost that is supported; here the strongest, which no one on
            # the way can change by reordering.
            if best is None or _rank(offered.algorithm) < _rank(best.algorithm):
                best = offered
        if best is None:
            return None
        if not credentials.realm:
            self._realm = best.realm
        current = self._current
        if current is not None and (current.nonce, current.realm) == (best.nonce, best.realm):
            best.count = current.count
        self._current = best
        return self._write(best, method, uri, credentials, body)

    def again(self, method: str, uri: str, credentials: Credentials, body: bytes = b"") -> tuple[str, str] | None:
        """Credentials for a further request with the nonce in use, unasked (RFC 3261 22.3). None before a challenge."""
        current = self._current
        if current is None or not self._is_ours(current.realm, credentials) or not current.qop:
            return None
        return self._write(current, method, uri, credentials, body)

    def learn(self, authentication_info: str) -> None:
        """Take the next nonce from an Authentication-Info value (RFC 7616 3.5)."""
        current = self._current
        if current is None:
            return
        try:
            # No scheme stands before these parameters.
            _, params = read_auth("digest " + authentication_info)
        except SipError:
            return  # it only spares a challenge
        nonce = params.get("nextnonce")
        if nonce and nonce != current.nonce:
            current.nonce, current.count = nonce, 0

    def _is_ours(self, realm: str, credentials: Credentials) -> bool:
        if credentials.realm:
            return realm == credentials.realm
        return self._realm is None or realm == self._realm

    def _write(
        self, challenge: _Challenge, method: str, uri: str, credentials: Credentials, body: bytes
    ) -> tuple[str, str]:
        challenge.count += 1
        algorithm, qop = challenge.algorithm, challenge.qop
        secret_of = (credentials, challenge.realm, algorithm)
        if self._secret_of != secret_of:
            self._secret = ha1(credentials.username, challenge.realm, credentials.password, algorithm)
            self._secret_of = secret_of
        counted = (f"{challenge.count:08x}", self._ids.token(16)) if qop else None
        response = _response(algorithm, self._secret, method, uri, challenge.nonce, counted, qop, body)
        text = (
            f"Digest username={quote(credentials.username)}, realm={quote(challenge.realm)}, "
            f'nonce={quote(challenge.nonce)}, uri="{uri}", response="{response}"'
        )
        if challenge.named:
            text += f", algorithm={algorithm}"
        if challenge.opaque is not None:
            text += f", opaque={quote(challenge.opaque)}"
        if counted:
            # RFC 7616 3.4: qop and nc "MUST NOT" be quoted, cnonce is
            text += f', qop={qop}, nc={counted[0]}, cnonce="{counted[1]}"'
        return challenge.header, text


def _read_challenge(header: str, value: str) -> _Challenge | None:
    """A challenge we can answer; None for other schemes, algorithms and protections, and for what can't be read."""
    try:
        scheme, params = read_auth(value)
    except SipError:
        return None
    algorithm = params.get("algorithm", "MD5").upper()
    if scheme != "digest" or algorithm not in _HASHES or "realm" not in params or "nonce" not in params:
        return None
    offered = [part.strip().lower() for part in params.get("qop", "").split(",")]
    qop = next((kind for kind in ("auth", "auth-int") if kind in offered), "")
    if not qop and offered != [""]:
        return None
    return _Challenge(
        header, params["realm"], params["nonce"], algorithm, "algorithm" in params, params.get("opaque"), qop
    )


# What both sides compute

_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_DEFAULT_PORT: Final = {"sip": 5060, "sips": 5061}


def _hash(algorithm: str, text: str) -> str:
    return _HASHES[algorithm](text.encode("utf-8", "surrogateescape")).hexdigest()


# A2 is the same in every REGISTER to a domain, and there is no secret in it.
_KEPT: Final = 256
_KEPT_LENGTH: Final = 160
_hash_kept = lru_cache(_KEPT)(_hash)


def _response(
    algorithm: str,
    secret: str,
    method: str,
    uri: str,
    nonce: str,
    counted: tuple[str, str] | None,
    qop: str,
    body: bytes,
) -> str:
    """RFC 7616 3.4.1: KD(H(A1), nonce:nc:cnonce:qop:H(A2)); RFC 2069 when there is no qop. counted: nc and cnonce."""
    if qop == "auth-int":
        # RFC 7616 3.4.3: A2 = Method ":" request-uri ":" H(entity-body)
        second = _hash(algorithm, f"{method}:{uri}:{_HASHES[algorithm](body).hexdigest()}")
    else:
        text = f"{method}:{uri}"
        second = _hash_kept(algorithm, text) if len(text) <= _KEPT_LENGTH else _hash(algorithm, text)
    if counted is None:
        return _hash(algorithm, f"{secret}:{nonce}:{second}")
    return _hash(algorithm, f"{secret}:{nonce}:{counted[0]}:{counted[1]}:{qop}:{second}")


def _rank(algorithm: str) -> int:
    return ALGORITHMS.index(algorithm)


def _port(uri: Uri) -> int:
    return _DEFAULT_PORT[uri.scheme] if uri.port is None else uri.port

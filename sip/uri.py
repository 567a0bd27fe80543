"""SIP, SIPS and other URIs (RFC 3261 section 19.1, RFC 3966 for tel).

A `Uri` is a value: it is never changed in place, because equal texts share one (parsing keeps the last
`CACHED_URIS` of them). To change one, `msgspec.structs.replace(uri, host="192.0.2.1")`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from sip.errors import SipError
from sip.grammar import BAD_ESCAPE, HOST, MAX_PORT

CACHED_URIS: Final = 1024
"""URIs kept parsed: those of registered phones, trunks and ourselves come again and again."""

CACHED_LENGTH: Final = 160
"""Longest text kept, in characters, so that the table stays below a megabyte whatever peers send."""

_NOTHING: Final[Mapping[str, str | None]] = {}
_NO_HEADERS: Final[Mapping[str, str]] = {}

# userinfo         = ( user / telephone-subscriber ) [ ":" password ] "@"
# user             = 1*( unreserved / escaped / user-unreserved )
# user-unreserved  = "&" / "=" / "+" / "$" / "," / ";" / "?" / "/"
# password         = *( unreserved / escaped / "&" / "=" / "+" / "$" / "," )
# uri-parameters   = *( ";" uri-parameter);  headers = "?" header *( "&" header )
# Lenient in user: "#", which phones dial without escaping it, and UTF-8. Both are escaped when written.
_USER = r"[^\x00-\x20\x7f\"<>\\^`{|}\[\]:@]"
_PASSWORD = r"[^\x00-\x20\x7f\"<>\\^`{|}\[\]:@;?/]"
_URI_PARAM = r"[^\x00-\x20\x7f\"<>\\;?@,]"
_SIP_URI: Final = re.compile(
    rf"([Ss][Ii][Pp][Ss]?):(?:({_USER}+)(?::({_PASSWORD}*))?@)?({HOST})(?::([0-9]{{1,5}}))?"
    rf"((?:;{_URI_PARAM}+)*+)(?:\?([^\x00-\x20\x7f\"<>\\]*))?"
)
# absoluteURI = scheme ":" ( hier-part / opaque-part ); scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
_ABSOLUTE_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):([^\x00-\x20\x7f\"<>\\]+)")

# What may stand unescaped in a user part, a parameter and a header (without ";?," in the user part: legal
# there, but so often read wrongly that we write them escaped only where they came escaped).
_PLAIN_USER: Final = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})*")
_ESCAPED_USER: Final = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-_.!~*'()&=+$,;?/]")
_ESCAPED: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_NOT_USER: Final = re.compile(r"[^A-Za-z0-9\-_.!~*'()&=+$,]")
_NOT_PARAM: Final = re.compile(r"[^A-Za-z0-9\-_.!~*'()\[\]/:&+$]")
_PLAIN_PARAM: Final = re.compile(r"[A-Za-z0-9\-_.!~*'()\[\]/:&+$]*")
_NOT_HEADER: Final = re.compile(r"[^A-Za-z0-9\-_.!~*'()\[\]/?:+$]")

# RFC 3261 19.1.4: "A user, ttl, or method uri-parameter appearing in only one URI never matches ... A URI that
# includes an maddr parameter will not match a URI that contains no maddr parameter." transport is of that kind
# in the examples of the same section: sip:bob@biloxi.com is not sip:bob@biloxi.com;transport=udp.
_NEVER_IGNORED: Final = ("user", "ttl", "method", "maddr", "transport")


class Uri(msgspec.Struct, frozen=True, gc=False):
    """One URI. Of schemes other than sip and sips, `opaque` is all after the colon; of tel, `user` is the number.

    user, password: as on the wire, escapes kept (`username` is unescaped). host: an IPv6 address without its
    brackets. params: names in lower case, both unescaped, value None where there is no "=". headers: names as
    sent, both unescaped.
    """

    scheme: str = "sip"
    user: str = ""
    password: str = ""
    host: str = ""
    port: int | None = None
    params: Mapping[str, str | None] = _NOTHING
    headers: Mapping[str, str] = _NO_HEADERS
    opaque: str = ""

    @staticmethod
    def parse(text: str) -> Uri:
        """The URI in `text`, without brackets or white space. SipError(400) when it is malformed."""
        return _cached(text) if len(text) <= CACHED_LENGTH else _parse(text)

    @property
    def is_sip(self) -> bool:
        return self.scheme == "sip" or self.scheme == "sips"

    @property
    def username(self) -> str:
        """The user part unescaped."""
        return unescape(self.user) if "%" in self.user else self.user

    @property
    def transport(self) -> str:
        """The transport parameter in lower case, "" when absent."""
        value = self.params.get("transport")
        return value.lower() if value else ""

    def aor(self) -> str:
        """What bindings are kept under: "user@host", the host in lower case, the user unescaped (RFC 3261 10.3)."""
        if not self.host:
            return self.username or self.opaque
        host = self.host.lower()
        return f"{self.username}@{host}" if self.user else host

    def equals(self, other: Uri) -> bool:
        """RFC 3261 19.1.4: whether both mean the same resource. `==` compares the parts as written."""
        if self.scheme != other.scheme:
            return False
        if not self.is_sip:
            return self.user == other.user and self.opaque == other.opaque
        return (
            self.port == other.port
            and self.host.lower() == other.host.lower()
            and unescape(self.user) == unescape(other.user)
            and unescape(self.password) == unescape(other.password)
            and _same_params(self.params, other.params)
            and _lower_keys(self.headers) == _lower_keys(other.headers)
        )

    def __str__(self) -> str:
        if not self.is_sip:
            return f"{self.scheme}:{self.opaque}"
        host = self.host
        text = f"[{host}]" if ":" in host else host
        if self.port is not None:
            text = f"{text}:{self.port}"
        user = self.user
        if user:
            if not _PLAIN_USER.fullmatch(user):
                user = _escape_user(user)
            text = f"{user}:{self.password}@{text}" if self.password else f"{user}@{text}"
        if self.params:
            text += _write_params(self.params)
        if self.headers:
            pairs = (f"{_escape(_NOT_HEADER, n)}={_escape(_NOT_HEADER, v)}" for n, v in self.headers.items())
            text += "?" + "&".join(pairs)
        return f"{self.scheme}:{text}"

    def __hash__(self) -> int:
        return hash((self.scheme, self.user, self.host, self.port, self.opaque))


def unescape(text: str) -> str:
    """%HH resolved, the bytes read as UTF-8 (surrogateescape). A "%" that begins no escape stands for itself."""
    if "%" not in text:
        return text
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "surrogateescape"), text)


def escape_user(text: str) -> str:
    """Any text (a dialled number, say) as the user part of a URI."""
    return _escape(_NOT_USER, text)


def _escape(forbidden: re.Pattern[str], text: str) -> str:
    return forbidden.sub(_percent, text)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape"))


def _escape_user(user: str) -> str:
    return _ESCAPED_USER.sub(lambda found: found[0] if len(found[0]) == 3 else _percent(found), user)


def _write_params(params: Mapping[str, str | None]) -> str:
    text = ""
    for name, value in params.items():
        if not _PLAIN_PARAM.fullmatch(name):
            name = _escape(_NOT_PARAM, name)
        if value is None:
            text += f";{name}"
        elif _PLAIN_PARAM.fullmatch(value):
            text += f";{name}={value}"
        else:
            text += f";{name}={_escape(_NOT_PARAM, value)}"
    return text


def _parse(text: str) -> Uri:
    found = _SIP_URI.fullmatch(text)
    if found is None:
        return _parse_other(text)
    scheme, user, password, host, port_text, params_text, headers_text = found.groups()
    if "%" in text and BAD_ESCAPE.search(text):
        raise SipError(400, "Bad URI: broken escape")
    port = None
    if port_text is not None:
        port = int(port_text)
        if port > MAX_PORT:
            raise SipError(400, "Bad URI: port out of range")
    return Uri(
        scheme.lower(),
        user or "",
        password or "",
        host[1:-1] if host[0] == "[" else host,
        port,
        _read_params(params_text) if params_text else _NOTHING,
        _read_headers(headers_text) if headers_text else _NO_HEADERS,
    )


_cached = lru_cache(CACHED_URIS)(_parse)


def _parse_other(text: str) -> Uri:
    found = _ABSOLUTE_URI.fullmatch(text)
    if found is None:
        raise SipError(400, "Bad URI")
    scheme, opaque = found[1].lower(), found[2]
    if scheme == "sip" or scheme == "sips":
        raise SipError(400, "Bad URI: malformed SIP URI")
    if scheme != "tel":
        return Uri(scheme, opaque=opaque)
    number, semicolon, params = opaque.partition(";")
    return Uri(scheme, number, params=_read_params(semicolon + params) if params else _NOTHING, opaque=opaque)


def _read_params(text: str) -> dict[str, str | None]:
    params: dict[str, str | None] = {}
    for part in text[1:].split(";"):
        name, equals, value = part.partition("=")
        if "%" in part:
            name, value = unescape(name), unescape(value)
        # RFC 3261 19.1.1: "any given parameter-name MUST NOT appear more than once"
        name = name.lower()
        if name in params:
            raise SipError(400, "Bad URI: parameter twice")
        params[name] = value if equals else None
    return params


def _read_headers(text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise SipError(400, "Bad URI: malformed headers")
        headers[unescape(name)] = unescape(value)
    return headers


def _same_params(ours: Mapping[str, str | None], theirs: Mapping[str, str | None]) -> bool:
    if not ours and not theirs:
        return True
    for name in ours.keys() & theirs.keys():
        if (ours[name] or "").lower() != (theirs[name] or "").lower():
            return False
    return all((name in ours) == (name in theirs) for name in _NEVER_IGNORED)


def _lower_keys(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}

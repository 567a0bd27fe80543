"""Header names, lists of values, and the typed values most of SIP turns on: Via, name-addr, CSeq.

Names: `canonical("i") == "Call-ID"`. Values are parsed by one regular expression for the shape nearly every message
has; what does not fit goes through the full grammar (folded white space, escapes, quoted parameters).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from sip.errors import SipError
from sip.grammar import (
    HOST,
    MAX_PORT,
    PARAM,
    PARAM_VALUE_CLASS,
    PLAIN_PARAMS_PATTERN,
    QUOTED_STRING,
    TOKEN_CLASS,
    digits,
    quote,
    unquote,
)
from sip.uri import Uri

# RFC 3261 7.3.3 and the registry of the RFCs named: compact form -> name
_COMPACT: Final = {
    "a": "Accept-Contact",  # RFC 3841
    "b": "Referred-By",  # RFC 3892
    "c": "Content-Type",
    "d": "Request-Disposition",  # RFC 3841
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",  # RFC 3841
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",  # RFC 4474
    "o": "Event",  # RFC 6665
    "r": "Refer-To",  # RFC 3515
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",  # RFC 6665
    "v": "Via",
    "x": "Session-Expires",  # RFC 4028
    "y": "Identity",  # RFC 8224
}

# Names of which every value may stand in one field, separated by commas (the "1#" and "*(COMMA" rules).
LISTS: Final = frozenset(
    {
        "Accept", "Accept-Contact", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Allow-Events",
        "Call-Info", "Contact", "Content-Encoding", "Content-Language", "Diversion", "Error-Info", "Geolocation",
        "History-Info", "In-Reply-To", "P-Asserted-Identity", "P-Associated-URI", "P-Preferred-Identity", "Path",
        "Permission-Missing", "Proxy-Require", "Reason", "Record-Route", "Recv-Info", "Reject-Contact", "Require",
        "Resource-Priority", "Route", "Security-Client", "Security-Server", "Security-Verify", "Service-Route",
        "Supported", "Unsupported", "User-To-User", "Via", "Warning",
    }
)  # fmt: skip

# Names that may stand once only in a message (RFC 3261 7.3.1: several fields of one name are allowed "if, and only
# if, the entire field-value for that header field is defined as a comma-separated list").
SINGLES: Final = frozenset(
    {
        "Call-ID", "Content-Disposition", "Content-Length", "Content-Transfer-Encoding", "Content-Type", "CSeq", "Date",
        "Event", "Expires", "From", "Join", "Max-Forwards", "MIME-Version", "Min-Expires", "Min-SE", "Organization",
        "Priority", "RAck", "Refer-Sub", "Refer-To", "Referred-By", "Replaces", "Reply-To", "Retry-After", "RSeq",
        "Server", "Session-Expires", "SIP-ETag", "SIP-If-Match", "Subject", "Subscription-State", "Timestamp", "To",
        "User-Agent",
    }
)  # fmt: skip

_OTHERS: Final = frozenset(
    {
        "Authentication-Info", "Authorization", "Identity", "Identity-Info", "Info-Package", "Max-Breadth",
        "P-Access-Network-Info", "P-Charging-Vector", "Privacy", "Proxy-Authenticate", "Proxy-Authorization",
        "Request-Disposition", "Remote-Party-ID", "WWW-Authenticate",
    }
)  # fmt: skip

METHODS: Final = frozenset(
    {
        "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER",
        "REGISTER", "SUBSCRIBE", "UPDATE",
    }
)  # fmt: skip

MAX_CSEQ: Final = 2**31 - 1
MAX_DIGITS: Final = 20
"""Longest number read at all: leading zeros to spare, and the cost of reading stays flat."""

_KNOWN: Final = LISTS | SINGLES | _OTHERS


def _spellings() -> Iterable[tuple[str, str]]:
    for name in _KNOWN:
        yield name, name
        yield name.lower(), name
        yield name.upper(), name
        yield "-".join(part.capitalize() for part in name.split("-")), name
    for letter, name in _COMPACT.items():
        yield letter, name
        yield letter.upper(), name


_LOWER: Final[dict[str, str]] = {name.lower(): name for name in _KNOWN} | _COMPACT


def canonical(name: str) -> str:
    """The one spelling used inside: "Call-ID" for "i", "call-id", "CALL-ID"; "X-Some-Thing" for unknown names."""
    known = NAMES.get(name)
    if known is not None:
        return known
    known = _LOWER.get(name.lower())
    return known if known is not None else _title(name)


def learn(name: str) -> str:
    """The canonical form of a token, remembered while there is room: a vendor's headers come in its every message."""
    known = canonical(name)
    if len(NAMES) < _NAMES_KEPT and len(name) <= _NAME_KEPT:
        NAMES[name] = known
    return known


def _title(name: str) -> str:
    return "-".join([part.capitalize() for part in name.split("-")])


NAMES: Final[dict[str, str]] = dict(_spellings())
"""Spellings of header names -> the canonical one: all usual ones of those we know, and those learnt."""

_NAMES_KEPT: Final = len(NAMES) + 512
_NAME_KEPT: Final = 64


# One element of a list: quoted strings and <...> are taken whole. A quote or bracket that is never closed matches
# the last branch and ends the reading at once.
_LIST_PART: Final = re.compile(rf'{QUOTED_STRING}|<[^>]*+>|[^,"<]++|,|["<]', re.DOTALL)


def split_list(text: str, name: str = "list") -> list[str]:
    """The elements of a comma-separated list, blanks around them removed; [] when there is nothing at all.

    Commas inside quoted strings and angle brackets separate nothing. SipError(400) for an unbalanced one.
    """
    if "," not in text:
        text = text.strip(" \t")
        return [text] if text else []
    if '"' not in text and "<" not in text:
        return [part.strip(" \t") for part in text.split(",")]
    parts, start, at = [], 0, 0
    for found in _LIST_PART.finditer(text):
        part = found[0]
        if part == ",":
            parts.append(text[start:at].strip(" \t"))
            start = at + 1
        elif part == '"' or part == "<":
            raise SipError(400, f"Bad {name}: unbalanced quote or bracket")
        at = found.end()
    parts.append(text[start:].strip(" \t"))
    return parts


def read_params(text: str, name: str) -> dict[str, str | None]:
    """*( SEMI generic-param ): names in lower case, values as written (quotes kept: `unquote`), None without "="."""
    if text[:5] == ";tag=" and text[5:].isalnum():
        return {"tag": text[5:]}
    if PLAIN_PARAMS_PATTERN.fullmatch(text):
        return _split_params(text)
    params: dict[str, str | None] = {}
    at, end = 0, len(text)
    while at < end:
        found = PARAM.match(text, at)
        if found is None:
            if not text[at:].strip(" \t"):
                break
            raise SipError(400, f"Bad {name}: malformed parameter")
        params[found[1].lower()] = found[2]
        at = found.end()
    return params


def _split_params(text: str) -> dict[str, str | None]:
    """What `PLAIN_PARAMS` has matched."""
    params: dict[str, str | None] = {}
    if not text:
        return params
    for part in text[1:].split(";"):
        name, equals, value = part.partition("=")
        params[name.lower()] = value if equals else None
    return params


def write_params(params: Mapping[str, str | None]) -> str:
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params.items()])


class CSeq(msgspec.Struct, frozen=True, gc=False):
    """RFC 3261 20.16. number: 0 to 2**31 - 1."""

    number: int
    method: str

    @staticmethod
    def parse(text: str) -> CSeq:
        return _cseq_kept(text) if len(text) <= _KEPT_LENGTH else _parse_cseq(text)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def _parse_cseq(text: str) -> CSeq:
    found = _CSEQ.fullmatch(text)
    if found is None:
        raise SipError(400, "Bad CSeq")
    number = int(found[1]) if len(found[1]) <= MAX_DIGITS else MAX_CSEQ + 1
    # RFC 3261 8.1.1.5: "The sequence number value MUST be expressible as a 32-bit unsigned integer and MUST be less
    # than 2**31."
    if number > MAX_CSEQ:
        raise SipError(400, "Bad CSeq: number out of range")
    return CSeq(number, found[2])


# Most peers count from 1 and most addresses come again: what is equal for all of them is read once.
_KEPT: Final = 1024
_KEPT_LENGTH: Final = 160  # characters, so that a table stays below half a megabyte whatever peers send
_cseq_kept = lru_cache(_KEPT)(_parse_cseq)

# CSeq = "CSeq" HCOLON 1*DIGIT LWS Method
_CSEQ: Final = re.compile(rf"([0-9]+)[ \t]+([{TOKEN_CLASS}]+)")


# name-addr = [ display-name ] LAQUOT addr-spec RAQUOT;  display-name = *(token LWS) / quoted-string
# Lenient: an unquoted display name may hold anything but the separators (phones put UTF-8 and brackets there).
_ADDRESS: Final = re.compile(r'(?:"([^"\\]*)"[ \t]*|([^"<>,;:\\]*))<([^<>\s"]+)')
_NAME_ADDR_FULL: Final = re.compile(rf'[ \t]*+(?:({QUOTED_STRING})[ \t]*|([^"<>,;:\\]*))<([^<>\s"]+)>(.*)', re.DOTALL)
# RFC 3261 20: "Even if the 'display-name' is empty, the 'name-addr' form MUST be used if the 'addr-spec' contains a
# comma, semicolon, or question mark." What follows a semicolon without brackets is a header parameter.
_ADDR_SPEC: Final = re.compile(r'([A-Za-z][A-Za-z0-9+.\-]*:[^\s"<>,;?]+)[ \t]*(;.*)?', re.DOTALL)

_NO_PARAMS: Final[Mapping[str, str | None]] = {}


class NameAddr(msgspec.Struct, frozen=True, gc=False):
    """The value of From, To, Contact, Route, Record-Route, Path, P-Asserted-Identity, Refer-To.

    display: unquoted and unescaped, "" when absent. params: those of the header (tag, q, expires), names in lower
    case, values as written. A value: `msgspec.structs.replace` makes a changed one.
    """

    display: str
    uri: Uri
    params: Mapping[str, str | None] = _NO_PARAMS

    @staticmethod
    def parse(text: str, name: str = "address") -> NameAddr:
        """SipError(400, "Bad <name>...") when malformed."""
        address, bracket, params = text.rpartition(">")
        if not bracket or len(address) > _KEPT_LENGTH:
            return _parse_name_addr(text, name)
        try:
            plain = _address_kept(address)
        except SipError as error:
            raise SipError(error.status, f"Bad {name}: {error.reason}") from error
        if plain is None:
            return _parse_name_addr(text, name)
        if not params:
            return plain
        return NameAddr(plain.display, plain.uri, read_params(params, name))

    @property
    def tag(self) -> str:
        """The tag parameter, "" when absent."""
        return self.params.get("tag") or ""

    def param(self, name: str) -> str:
        """The value of a parameter unquoted, "" when it is absent or has none."""
        value = self.params.get(name)
        return unquote(value) if value else ""

    def __str__(self) -> str:
        text = f"{quote(self.display)} <{self.uri}>" if self.display else f"<{self.uri}>"
        return text + write_params(self.params) if self.params else text


def _parse_address(text: str) -> NameAddr | None:
    """The usual shape, up to the bracket that closes it; None when it is another."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return None
    quoted, plain, uri = found.groups()
    return NameAddr(quoted or (plain or "").strip(" \t"), Uri.parse(uri))


_address_kept = lru_cache(_KEPT)(_parse_address)


def _parse_name_addr(text: str, name: str) -> NameAddr:
    try:
        found = _NAME_ADDR_FULL.fullmatch(text)
        if found is not None:
            quoted, plain, uri, params = found.groups()
            display = unquote(quoted) if quoted else (plain or "").strip(" \t")
            return NameAddr(display, Uri.parse(uri), read_params(params, name))
        found = _ADDR_SPEC.fullmatch(text)
        if found is not None:
            return NameAddr("", Uri.parse(found[1]), read_params(found[2] or "", name))
    except SipError as error:
        reason = error.reason if error.reason.startswith("Bad " + name) else f"Bad {name}: {error.reason}"
        raise SipError(error.status, reason) from error
    raise SipError(400, f"Bad {name}")


# via-parm = sent-protocol LWS sent-by *( SEMI via-params );  sent-by = host [ COLON port ]
_SENT_BY: Final = re.compile(rf"SIP/2\.0/([A-Z]+) ({HOST})(?::([0-9]{{1,5}}))?")
# sent-protocol = protocol-name SLASH protocol-version SLASH transport, white space allowed around each separator
_SENT_BY_FULL: Final = re.compile(
    rf"[ \t]*[{TOKEN_CLASS}]+[ \t]*/[ \t]*[{TOKEN_CLASS}]+[ \t]*/[ \t]*([{TOKEN_CLASS}]+)[ \t]+"
    rf"({HOST})(?:[ \t]*:[ \t]*([0-9]{{1,5}}))?[ \t]*"
)


def _parse_sent_by(text: str) -> tuple[str, str, int | None]:
    """Transport, host and port of a Via, from what stands before its parameters."""
    found = _SENT_BY.fullmatch(text) or _SENT_BY_FULL.fullmatch(text)
    if found is None:
        raise SipError(400, "Bad Via")
    transport, host, port_text = found.groups()
    port = None if port_text is None else int(port_text)
    if port is not None and port > MAX_PORT:
        raise SipError(400, "Bad Via: port out of range")
    return transport.upper(), host[1:-1] if host[0] == "[" else host, port


# What clients write (8.1.1.7, RFC 3581 section 3).
_USUAL_PARAMS: Final = re.compile(rf"branch=([^{PARAM_VALUE_CLASS}]+)(;rport)?")
_SENT_BY_END: Final = re.compile("[;,]")
_SALVAGED: Final = 1024  # characters of a malformed Via that are looked at
_sent_by_kept = lru_cache(_KEPT)(_parse_sent_by)


class Via(msgspec.Struct, gc=False):
    """One Via. transport in capitals; host an IPv6 address without its brackets; params as in `NameAddr`.

    The one typed value that is changed in place: by `Request.mark_source`.
    """

    transport: str
    host: str
    port: int | None
    params: dict[str, str | None]

    @staticmethod
    def parse(text: str) -> Via:
        sent_by, semicolon, params = text.partition(";")
        read = _sent_by_kept if len(sent_by) <= _KEPT_LENGTH else _parse_sent_by
        transport, host, port = read(sent_by)
        usual = _USUAL_PARAMS.fullmatch(params)
        if usual is None:
            return Via(transport, host, port, read_params(semicolon + params, "Via"))
        branch, rport = usual.groups()
        return Via(transport, host, port, {"branch": branch, "rport": None} if rport else {"branch": branch})

    @staticmethod
    def salvage(text: str) -> Via:
        """What of a malformed Via is enough to answer by: sent-by, and the parameters that can be read."""
        end = _SENT_BY_END.search(text)
        transport, host, port = _parse_sent_by(text if end is None else text[: end.start()])
        params: dict[str, str | None] = {}
        for part in text[:_SALVAGED].split(";")[1:]:
            found = PARAM.fullmatch(";" + part)
            if found is not None:
                params[found[1].lower()] = found[2]
        return Via(transport, host, port, params)

    @property
    def branch(self) -> str:
        """ "" when absent, as RFC 2543 peers send it."""
        return self.params.get("branch") or ""

    @property
    def received(self) -> str:
        """The address the request came from, IPv6 without brackets, "" when absent (RFC 3261 18.2.1)."""
        return (self.params.get("received") or "").strip("[]")

    @property
    def rport(self) -> int | None:
        """The port the request came from (RFC 3581 4); None when absent, without a value or malformed."""
        value = self.params.get("rport")
        if not value or len(value) > 5 or not digits(value):
            return None
        port = int(value)
        return port if 0 < port <= MAX_PORT else None

    @property
    def wants_rport(self) -> bool:
        """Whether the client asks for the port to be filled in: an rport parameter, with or without value."""
        return "rport" in self.params

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {host}{port}{write_params(self.params)}"

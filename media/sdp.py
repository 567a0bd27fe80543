"""Session descriptions (RFC 4566, obsoleted by RFC 8866 with the same grammar): text to structure and back.

Nothing is judged here but the form: which line is taken and what is agreed is decided in
`media/negotiate.py`.

    v= o= s= [c=] t= [a=...]        the session
    m= [c=] [a=...]                 each medium, in an order that lasts as long as the session (RFC 3264
    section 8)

Reading is lenient in four named places: lines may end with LF alone (RFC 4566 section 5 asks for it), empty
lines at the end are ignored, `s=` and `t=` may be missing, and lines of types that are not ours to understand
(i=, u=, e=, p=, b=, z=, k=, r=) are skipped wherever they stand. Everything we write is in the order of the
grammar, with CRLF.
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

import msgspec

from media.codec import Codec as Codec
from media.codec import PayloadType as PayloadType

# Bounds of a description. WebRTC browsers send up to 10 kB and 300 lines; telephones under 1 kB.
MAX_BYTES: Final = 32_768
MAX_LINES: Final = 600
MAX_MEDIA: Final = 16
MAX_FORMATS: Final = 64

# Sections longer than this are read anew each time instead of being remembered, so that what a stranger sends
# can't fill memory: SECTIONS_KEPT of them at most.
SECTION_REMEMBERED: Final = 1024
SECTIONS_KEPT: Final = 512
ADDRESSES_KEPT: Final = 4096

CRYPTO: Final = "crypto:"  # RFC 4568: the attribute that holds SRTP keys

HELD_HOSTS: Final = frozenset({"0.0.0.0", "::"})

# RFC 3261 20.43, codes of the Warning header of a refused description.
INCOMPATIBLE_TRANSPORT: Final = 302  # "one or more transport protocols ... are not available"
INCOMPATIBLE_FORMAT: Final = 305  # "one or more media formats ... are not available"
MISCELLANEOUS: Final = 399

NO_COMMON_CODEC: Final = "No common codec"

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+")
_PROTO = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+(?:/[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+)*")
_TIMING = re.compile(r"[0-9]{1,20} [0-9]{1,20}")
_TYPE = re.compile(r"[a-z]=")


class SdpError(Exception):
    """The peer's description can't be used. `status` answers its request: 400 malformed, 488 well-formed but
    not acceptable here (RFC 3261 section 21.4.26). `reason` is fit for the reason phrase or a Warning: ASCII,
    no line ends. `warning`: the code for a Warning header."""

    warning = MISCELLANEOUS

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class NoCommonCodec(SdpError):
    """Nothing in the offer that the policy, or the other leg, takes."""

    warning = INCOMPATIBLE_FORMAT

    def __init__(self, reason: str = NO_COMMON_CODEC) -> None:
        super().__init__(488, reason)


class Section(msgspec.Struct, frozen=True, gc=False):
    """The lines below an `m=`: the address of its `c=` ("" when it has none) and its `a=` values in order."""

    host: str
    attributes: tuple[str, ...]


class MediaDescription(msgspec.Struct, gc=False):
    """One `m=` with its lines. `formats` is the list as written; `text` the lines below, read by `section`, apart from
    `a=crypto`, whose values are in `crypto`: no two calls have the same, and nothing but `str` shows them."""

    kind: str
    port: int
    proto: str
    formats: str
    text: str = ""
    crypto: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<{self.line()!r}, {len(self.crypto)} a=crypto>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("m", self.line())]

    @property
    def section(self) -> Section:
        return section(self.text)

    def line(self) -> str:
        return f"m={self.kind} {self.port} {self.proto} {self.formats}"

    def __str__(self) -> str:
        text = self.text.rstrip("\n").replace("\n", "\r\n")
        keys = "".join([f"a={CRYPTO}{value}\r\n" for value in self.crypto])
        return f"{self.line()}\r\n{text}\r\n{keys}" if text else f"{self.line()}\r\n{keys}"


class SessionDescription(msgspec.Struct, gc=False):
    """`origin`, `name` and `timing` are the values of o=, s= and t=; `host` the session's c= ("" when it has
    none); `attributes` the session's a= values."""

    origin: str
    name: str
    host: str
    timing: str
    attributes: tuple[str, ...]
    media: tuple[MediaDescription, ...]

    def __str__(self) -> str:
        head = [f"v=0\r\no={self.origin}\r\ns={self.name}\r\n"]
        if self.host:
            head.append(f"c={connection(self.host)}\r\n")
        head.append(f"t={self.timing}\r\n")
        head.extend(f"a={value}\r\n" for value in self.attributes)
        head.extend(map(str, self.media))
        return "".join(head)


class Origin(msgspec.Struct, gc=False):
    """Our o= line on one leg, for as long as the leg lasts (RFC 4566 section 5.2).

    `session_id` and the first `version` are numbers below 2**63 (RFC 3264 section 5), `host` an address of
    ours, the same to the end of the session whatever becomes of the media address. `last` is the description
    that went out last.
    """

    session_id: int
    version: int
    user: str
    host: str
    last: str = ""

    def describe(self, rest: str) -> bytes:
        """The whole description for these lines below o=.

        RFC 3264 section 8: "If the version in the origin line does not increment, the SDP MUST be identical
        to the SDP with that version number", and "the version [...] MUST increment by one from the previous
        SDP" when it changes.
        """
        if rest != self.last:
            if self.last:
                self.version += 1
            self.last = rest
        host = self.host
        family = "IP6" if ":" in host else "IP4"
        return f"v=0\r\no={self.user} {self.session_id} {self.version} IN {family} {host}\r\n{rest}".encode("ascii")


def parse(data: bytes) -> SessionDescription:
    """Read a description. Raises `SdpError` (400 malformed, 488 beyond our bounds)."""
    if len(data) > MAX_BYTES:
        raise SdpError(488, "SDP too large")
    # Free text may be in any character set (RFC 4566 `a=charset`); what we use of it is ASCII and is checked
    # where it is used.
    text = data.decode("latin-1")
    # RFC 4566 section 5: "parsers SHOULD be tolerant and also accept records terminated with a single
    # newline".
    if "\r\n" in text:
        text = text.replace("\r\n", "\n")
    if len(text) > 2 * MAX_LINES and text.count("\n") > MAX_LINES:
        raise SdpError(488, "SDP has too many lines")
    head, *blocks = text.rstrip("\r\n").split("\nm=")
    if len(blocks) > MAX_MEDIA:
        raise SdpError(488, "SDP has too many media lines")
    # RFC 4566 section 5: v= and o= come first, in this order.
    if not head.startswith("v=0\no="):
        raise SdpError(400, "Bad SDP: does not begin with v=0 and o=")
    # o=<username> <sess-id> <sess-version> <nettype> <addrtype> <unicast-address>
    origin, _, rest = head[6:].partition("\n")
    if origin.count(" ") != 5:
        raise SdpError(400, "Bad SDP: malformed o=")
    # RFC 4568 5: keys stand below an m= alone. Elsewhere they are nothing, and not remembered.
    rest, _ = _without_keys(rest)
    name, host, timing, attributes = _head(rest) if len(rest) <= SECTION_REMEMBERED else _read_head(rest)
    return SessionDescription(origin, name, host, timing, attributes, tuple([_media(block) for block in blocks]))


def _read_head(text: str) -> tuple[str, str, str, tuple[str, ...]]:
    """The values of the lines between `o=` and the first `m=`: s=, address of c=, t=, a=. Raises
    `SdpError`."""
    host = ""
    name = "-"
    timing = "0 0"
    attributes = []
    for line in text.split("\n") if text else ():
        kind = line[:2]
        if kind == "a=":
            attributes.append(line[2:])
        elif kind == "c=":
            host = connection_host(line[2:])
        elif kind == "t=":
            timing = line[2:]
            if _TIMING.fullmatch(timing) is None:
                raise SdpError(400, "Bad SDP: malformed t=")
        elif kind == "s=":
            name = line[2:]
        elif _TYPE.match(kind) is None:
            raise SdpError(400, "Bad SDP: a line is not <type>=<value>")
    return name, host, timing, tuple(attributes)


_head = lru_cache(maxsize=SECTIONS_KEPT)(_read_head)


def _media(block: str) -> MediaDescription:
    """m=<media> <port>[/<number of ports>] <proto> <fmt> ..."""
    line, _, text = block.partition("\n")
    parts = line.split(" ", 3)
    if len(parts) != 4:
        raise SdpError(400, "Bad SDP: malformed m=")
    kind, port, proto, formats = parts
    if "/" in port:
        port, _, count = port.partition("/")
        if not (count.isascii() and count.isdigit()):
            raise SdpError(400, "Bad SDP: malformed port in m=")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and (number := int(port)) <= 65535):
        raise SdpError(400, "Bad SDP: malformed port in m=")
    if (kind != "audio" and _TOKEN.fullmatch(kind) is None) or (proto != "RTP/AVP" and _PROTO.fullmatch(proto) is None):
        raise SdpError(400, "Bad SDP: malformed m=")
    text, crypto = _without_keys(text)
    section(text)
    return MediaDescription(kind, number, proto, formats, text, crypto)


def _without_keys(text: str) -> tuple[str, tuple[str, ...]]:
    """These lines without `a=crypto`, and the values of those."""
    if f"a={CRYPTO}" not in text:
        return text, ()
    start = f"a={CRYPTO}"
    lines = text.split("\n")
    kept = [line for line in lines if not line.startswith(start)]
    return "\n".join(kept), tuple([line[len(start) :] for line in lines if line.startswith(start)])


def section(text: str) -> Section:
    """Read the lines below an `m=` (ended by LF, no LF at the end). Sections repeat from call to call, since
    a telephone writes the same lines each time: the latest are remembered. Raises `SdpError`."""
    if not text:
        return _NO_LINES
    return _section(text) if len(text) <= SECTION_REMEMBERED else _section.__wrapped__(text)


@lru_cache(maxsize=SECTIONS_KEPT)
def _section(text: str) -> Section:
    host = ""
    attributes = []
    for line in text.split("\n"):
        kind = line[:2]
        if kind == "a=":
            attributes.append(line[2:])
        elif kind == "c=":
            # "multiple c= lines" are for layered multicast only (RFC 4566 section 5.7): the first is ours.
            host = host or connection_host(line[2:])
        elif _TYPE.match(kind) is None:
            raise SdpError(400, "Bad SDP: a line is not <type>=<value>")
    return Section(host, tuple(attributes))


_NO_LINES = Section("", ())


@lru_cache(maxsize=ADDRESSES_KEPT)
def connection_host(value: str) -> str:
    """The address of a `c=` value, in its usual spelling.

    Raises `SdpError`: 400 where it is none, 488 for a host name (names are not looked up: RFC 4566 allows
    them, and a stranger's name would make the switch ask a stranger's name server) and for addresses that
    stand for many hosts.
    """
    parts = value.split(" ")
    if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
        raise SdpError(400, "Bad SDP: malformed c=")
    host = parts[2].partition("/")[0]
    try:
        address = ip_address(host)
    except ValueError:
        raise SdpError(488, "Connection address is not an IP address") from None
    if isinstance(address, IPv6Address) != (parts[1] == "IP6") or "%" in host:
        raise SdpError(400, "Bad SDP: address of c= does not fit its type")
    # One call must not make the switch send to a whole network.
    if address.is_multicast or host == "255.255.255.255":
        raise SdpError(488, "Connection address is not unicast")
    return str(address)


def connection(host: str) -> str:
    """The value of `c=` for an address."""
    return f"IN IP6 {host}" if ":" in host else f"IN IP4 {host}"


def refused_line(media: MediaDescription) -> str:
    """The `m=` that refuses `media`.

    RFC 3264 section 6: "To reject an offered stream, the port number in the corresponding stream in the
    answer MUST be set to zero. Any media formats listed are ignored. At least one MUST be present, as
    specified by SDP."
    """
    form = media.formats.split(" ", 1)[0]
    if _TOKEN.fullmatch(form) is None:
        raise SdpError(400, "Bad SDP: malformed format in m=")
    return f"m={media.kind} 0 {media.proto} {form}\r\n"

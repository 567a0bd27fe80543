"""Requests and responses: ordered raw headers, typed values read at first use and kept.

`headers` is a list of (canonical name, raw value). Read it freely; change it through `add`, `set`, `prepend`, `remove`
and `replace_top` only, because an index and the typed values are kept beside it. A malformed value is a
SipError(400) where it is first used, never earlier.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

from sip.errors import SipError
from sip.grammar import digits
from sip.headers import LISTS, NAMES, CSeq, NameAddr, Via, canonical, split_list
from sip.status import reason_of
from sip.uri import Uri

MAX_FORWARDS_LIMIT: Final = 255
"""RFC 3261 20.22: "an integer in the range 0-255"."""

MAX_DELTA_SECONDS: Final = 2**32 - 1
"""RFC 3261 20.19: "The value of this field is an integral number of seconds (in decimal) between 0 and (2**32)-1"."""

_HOPS: Final = {str(hops): hops for hops in range(MAX_FORWARDS_LIMIT + 1)}

_Value = TypeVar("_Value")


class Message:
    """What requests and responses have in common. Equal when start line, headers (but Content-Length) and body are."""

    __slots__ = ("_cseq", "_from", "_index", "_to", "_typed", "_via", "body", "headers")

    headers: list[tuple[str, str]]
    body: bytes
    _index: dict[str, str] | None  # canonical name -> first raw value
    _via: Via | None
    _from: NameAddr | None
    _to: NameAddr | None
    _cseq: CSeq | None
    _typed: dict[str, Any] | None  # canonical name -> any other typed value

    # Raw values

    def get(self, name: str) -> str | None:
        """The first raw value, None when absent. Any spelling of the name will do; the canonical one is quickest."""
        index = self._index
        if index is None:
            index = self._make_index()
        value = index.get(name)
        if value is None:
            known = NAMES.get(name)
            if known != name:
                return index.get(known or canonical(name))
        return value

    def has(self, name: str) -> bool:
        return self.get(name) is not None

    def values(self, name: str) -> list[str]:
        """Every value in order, those of list headers split at their commas."""
        name = canonical(name)
        first = self.get(name)
        if first is None:
            return []
        if len(cast(dict[str, str], self._index)) == len(self.headers):
            raw = [first]  # no name stands twice
        else:
            raw = [value for key, value in self.headers if key == name]
        if name not in LISTS:
            return raw
        if len(raw) == 1:
            return split_list(raw[0], name)
        return [part for value in raw for part in split_list(value, name)]

    @property
    def repeats(self) -> bool:
        """Whether any name stands twice."""
        index = self._index
        if index is None:
            index = self._make_index()
        return len(index) != len(self.headers)

    def add(self, name: str, value: str) -> None:
        """Append a header."""
        name = canonical(name)
        self.headers.append((name, value))
        if self._index is not None:
            self._index.setdefault(name, value)
        self._forget(name)

    def prepend(self, name: str, value: str) -> None:
        """Insert a header before the first of its name, or before all others."""
        name = canonical(name)
        headers = self.headers
        at = next((i for i, header in enumerate(headers) if header[0] == name), 0)
        headers.insert(at, (name, value))
        if self._index is not None:
            self._index[name] = value
        self._forget(name)

    def set(self, name: str, value: str) -> None:
        """Replace every header of that name by one, in the place of the first; append when there is none."""
        name = canonical(name)
        headers = self.headers
        names = [header[0] for header in headers]
        if name not in names:
            self.add(name, value)
            return
        at = names.index(name)
        headers[at] = (name, value)
        self._index = None
        self._forget(name)
        if name in names[at + 1 :]:
            headers[at + 1 :] = [header for header in headers[at + 1 :] if header[0] != name]

    def remove(self, name: str) -> None:
        """Remove every header of that name."""
        name = canonical(name)
        if self.get(name) is None:
            return
        self.headers[:] = [header for header in self.headers if header[0] != name]
        self._index = None
        self._forget(name)

    def replace_top(self, name: str, value: str) -> None:
        """Replace the first value of a list header and keep the others, also those of the same line."""
        name = canonical(name)
        first = self._need(name)
        rest = split_list(first, name)[1:] if "," in first else []
        self._replace_line(name, ", ".join([value, *rest]) if rest else value)

    def _replace_line(self, name: str, value: str) -> None:
        """Replace the first header of a canonical name that is there."""
        headers = self.headers
        at = next(i for i, header in enumerate(headers) if header[0] == name)
        headers[at] = (name, value)
        if self._index is not None:
            self._index[name] = value
        self._forget(name)

    # Typed values

    def read_head(self) -> None:
        """Read what every message must have: From, To and CSeq. SipError(400) when one is bad or missing."""
        # Each property would look again for what is here at hand: this is done for every message.
        index = self._index
        if index is None:
            index = self._make_index()
        try:
            from_, to, cseq = index["From"], index["To"], index["CSeq"]
        except KeyError as missing:
            raise SipError(400, f"Missing {missing.args[0]}") from None
        if self._from is None:
            self._from = NameAddr.parse(from_, "From")
        if self._to is None:
            self._to = NameAddr.parse(to, "To")
        if self._cseq is None:
            self._cseq = CSeq.parse(cseq)

    @property
    def via(self) -> Via:
        """The top Via."""
        via = self._via
        if via is None:
            raw = self._need("Via")
            if "," in raw:
                raw = split_list(raw, "Via")[0]
            via = self._via = Via.parse(raw)
        return via

    @property
    def vias(self) -> list[Via]:
        return [Via.parse(raw) for raw in self.values("Via")]

    @property
    def from_(self) -> NameAddr:
        value = self._from
        if value is None:
            value = self._from = NameAddr.parse(self._need("From"), "From")
        return value

    @property
    def to(self) -> NameAddr:
        value = self._to
        if value is None:
            value = self._to = NameAddr.parse(self._need("To"), "To")
        return value

    @property
    def from_tag(self) -> str:
        return self.from_.params.get("tag") or ""

    @property
    def to_tag(self) -> str:
        return self.to.params.get("tag") or ""

    @property
    def call_id(self) -> str:
        return self._need("Call-ID")

    @property
    def cseq(self) -> CSeq:
        value = self._cseq
        if value is None:
            value = self._cseq = CSeq.parse(self._need("CSeq"))
        return value

    @property
    def contacts(self) -> list[NameAddr]:
        """Every Contact; [] when there is none or it is "*"."""
        return self._kept("Contact", _read_contacts)

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact."""
        contacts = self.contacts
        return contacts[0] if contacts else None

    @property
    def contact_is_star(self) -> bool:
        return self.get("Contact") == "*"

    @property
    def max_forwards(self) -> int | None:
        """0 to 255, None when absent (RFC 2543 peers)."""
        raw = self.get("Max-Forwards")
        if raw is None:
            return None
        hops = _HOPS.get(raw)
        if hops is None:
            hops = _HOPS.get(raw.lstrip("0") or "0") if digits(raw) else None
            if hops is None:
                raise SipError(400, "Bad Max-Forwards")
        return hops

    @property
    def expires(self) -> int | None:
        """Seconds; what is over 2**32 - 1 counts as that."""
        raw = self.get("Expires")
        if raw is None:
            return None
        if not digits(raw):
            raise SipError(400, "Bad Expires")
        return delta_seconds(raw)

    @property
    def content_type(self) -> str:
        """ "type/subtype" in lower case without parameters, "" when absent."""
        raw = self.get("Content-Type")
        if raw is None:
            return ""
        return raw.partition(";")[0].replace(" ", "").replace("\t", "").lower()

    @property
    def routes(self) -> list[NameAddr]:
        return self._kept("Route", _read_routes)

    @property
    def record_routes(self) -> list[NameAddr]:
        return self._kept("Record-Route", _read_record_routes)

    @property
    def paths(self) -> list[NameAddr]:
        return self._kept("Path", _read_paths)

    @property
    def supported(self) -> frozenset[str]:
        """Option tags of Supported, in lower case."""
        return self._tags("Supported")

    @property
    def required(self) -> frozenset[str]:
        """Option tags of Require, in lower case."""
        return self._tags("Require")

    @property
    def allow(self) -> frozenset[str]:
        """Methods of Allow. Empty also when the header is absent: `has("Allow")` tells."""
        if self.get("Allow") is None:
            return _NO_TAGS
        return frozenset([value for value in self.values("Allow") if value])

    # Writing

    def encode(self) -> bytes:
        """The message on the wire. Content-Length is written here, whatever the headers say of it.

        ValueError when a start line or header of ours holds CR or LF: never sent, so nothing can be smuggled.
        """
        body = self.body
        headers = self.headers
        text = "\r\n".join(map(": ".join, headers))
        if "Content-Length: " in text or not headers:
            headers = [header for header in headers if header[0] != "Content-Length"]
            text = "".join([f"{name}: {value}\r\n" for name, value in headers])
            text = f"{self._start_line()}\r\n{text}Content-Length: {len(body)}\r\n\r\n"
        else:
            text = f"{self._start_line()}\r\n{text}\r\nContent-Length: {len(body)}\r\n\r\n"
        count = len(headers) + 3
        if text.count("\n") != count or text.count("\r") != count:
            raise ValueError("CR or LF inside a header")
        head = text.encode("utf-8", "surrogateescape")
        return head + body if body else head

    def _start_line(self) -> str:
        raise NotImplementedError

    # Keeping

    def _make_index(self) -> dict[str, str]:
        # Reversed, so that the first of several headers of one name is the one that stays.
        index = self._index = dict(self.headers[::-1])
        return index

    def _need(self, name: str) -> str:
        index = self._index
        if index is None:
            index = self._make_index()
        value = index.get(name)
        if value is None:
            raise SipError(400, f"Missing {name}")
        return value

    def _kept(self, name: str, read: Callable[[Message], _Value]) -> _Value:
        typed = self._typed
        if typed is None:
            typed = self._typed = {}
        elif name in typed:
            return cast(_Value, typed[name])
        value = typed[name] = read(self)
        return value

    def _tags(self, name: str) -> frozenset[str]:
        first = self.get(name)
        if first is None:
            return _NO_TAGS
        if len(cast(dict[str, str], self._index)) == len(self.headers) and len(first) <= _TAGS_LENGTH:
            return _read_tags(first)
        return frozenset([value.lower() for value in self.values(name) if value])

    def _forget(self, name: str) -> None:
        if name == "Via":
            self._via = None
        elif name == "From":
            self._from = None
        elif name == "To":
            self._to = None
        elif name == "CSeq":
            self._cseq = None
        elif self._typed is not None:
            self._typed.pop(name, None)

    def _same(self, other: Message) -> bool:
        ours, theirs = self.headers, other.headers
        return self.body == other.body and (
            ours == theirs
            or [h for h in ours if h[0] != "Content-Length"] == [h for h in theirs if h[0] != "Content-Length"]
        )


class Request(Message):
    """A request. `uri` is the Request-URI as written; `request_uri` the parsed one."""

    __slots__ = ("_uri", "method", "uri")

    def __init__(self, method: str, uri: str, headers: list[tuple[str, str]] | None = None, body: bytes = b"") -> None:
        """`headers` becomes the message's own list; its names are canonical already."""
        self.method = method
        self.uri = uri
        self.headers = [] if headers is None else headers
        self.body = body
        self._uri: Uri | None = None
        self._index = self._via = self._from = self._to = self._cseq = self._typed = None

    @property
    def request_uri(self) -> Uri:
        uri = self._uri
        if uri is None:
            try:
                uri = self._uri = Uri.parse(self.uri)
            except SipError as error:
                raise SipError(error.status, f"Bad Request-URI: {error.reason}") from error
        return uri

    def set_uri(self, uri: Uri | str) -> None:
        """Another Request-URI (`uri` is read once, so assigning it later is not enough)."""
        self._uri = None
        self.uri = str(uri)

    def mark_source(self, host: str, port: int) -> None:
        """Write into the top Via where the request came from, `host` an address literal without brackets.

        RFC 3261 18.2.1: "If the host portion of the "sent-by" parameter contains a domain name, or if it contains an
        IP address that differs from the packet source address, the server MUST add a "received" parameter".
        RFC 3581 4: "it MUST set the value of this parameter to the source port of the request ... the server MUST
        also insert a "received" parameter ... even if it is identical to the value of the sent-by component."
        """
        via = self.via
        if "rport" in via.params:
            via.params["rport"] = str(port)
        elif via.host == host and "received" not in via.params:
            return
        via.params["received"] = host
        self.replace_top("Via", str(via))
        self._via = via

    def mend_via(self) -> None:
        """Put in place of a top Via that cannot be read what can be read of it. SipError(400) when that is nothing."""
        self._replace_line("Via", str(Via.salvage(self._need("Via"))))

    def copy(self) -> Request:
        """The same message with its own list of headers; nothing typed is kept."""
        return Request(self.method, self.uri, list(self.headers), self.body)

    def _start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Request):
            return NotImplemented
        return self.method == other.method and self.uri == other.uri and self._same(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri} of {len(self.headers)} headers, {len(self.body)} bytes>"


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str | None = None,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
    ) -> None:
        """`headers` becomes the message's own list; its names are canonical already."""
        self.status = status
        self.reason = reason_of(status) if reason is None else reason
        self.headers = [] if headers is None else headers
        self.body = body
        self._index = self._via = self._from = self._to = self._cseq = self._typed = None

    def copy(self) -> Response:
        """The same message with its own list of headers; nothing typed is kept."""
        return Response(self.status, self.reason, list(self.headers), self.body)

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Response):
            return NotImplemented
        return self.status == other.status and self.reason == other.reason and self._same(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason} of {len(self.headers)} headers, {len(self.body)} bytes>"


# RFC 3261 8.2.6.2: "The From field of the response MUST equal the From header field of the request", likewise
# Call-ID, CSeq and Via, which "MUST maintain the same ordering"; To too, plus a tag.
_COPIED: Final = frozenset({"Via", "From", "To", "Call-ID", "CSeq"})
# RFC 3261 8.2.6.1: "When a 100 (Trying) response is generated, any Timestamp header field present in the request MUST
# be copied into this 100 (Trying) response."
_COPIED_TRYING: Final = _COPIED | {"Timestamp"}
# RFC 3261 12.1.1: "When a UAS responds to a request with a response that establishes a dialog (such as a 2xx to
# INVITE), the UAS MUST copy all Record-Route header field values from the request into the response"
_COPIED_DIALOG: Final = _COPIED | {"Record-Route"}
_DIALOG_FORMING: Final = frozenset({"INVITE", "SUBSCRIBE", "REFER"})


def response_to(request: Request, status: int, reason: str | None = None, to_tag: str = "") -> Response:
    """A response without body, by RFC 3261 8.2.6. `to_tag` is added when the request has none and never to a 100.

    Raw values are reused, so that even a request that is malformed is answered with what it held.
    """
    if status == 100:
        wanted = _COPIED_TRYING
    elif status < 300 and request.method in _DIALOG_FORMING:
        wanted = _COPIED_DIALOG
    else:
        wanted = _COPIED
    headers = [header for header in request.headers if header[0] in wanted]
    if to_tag and status != 100 and not _has_to_tag(request):
        for at, (name, value) in enumerate(headers):
            if name == "To":
                headers[at] = (name, f"{value};tag={to_tag}")
    return Response(status, reason, headers)


def _has_to_tag(request: Request) -> bool:
    raw = request.get("To")
    if raw is None:
        return True
    # Most have no "tag" anywhere: then there is nothing to read.
    if "tag" not in raw.lower():
        return False
    try:
        return request.to_tag != ""
    except SipError:
        return True  # malformed: it goes back as it came


def delta_seconds(text: str) -> int:
    """1*DIGIT already checked as seconds; what is over 2**32 - 1 counts as that."""
    return min(int(text), MAX_DELTA_SECONDS) if len(text) <= 20 else MAX_DELTA_SECONDS


_NO_TAGS: Final[frozenset[str]] = frozenset()
_TAGS_KEPT: Final = 256
_TAGS_LENGTH: Final = 256


@lru_cache(_TAGS_KEPT)
def _read_tags(raw: str) -> frozenset[str]:
    """Every phone of a kind sends the same list in every message."""
    return frozenset([value.lower() for value in split_list(raw) if value])


def _read_contacts(message: Message) -> list[NameAddr]:
    if message.get("Contact") == "*":
        return []
    return [NameAddr.parse(raw, "Contact") for raw in message.values("Contact")]


def _read_routes(message: Message) -> list[NameAddr]:
    return [NameAddr.parse(raw, "Route") for raw in message.values("Route")]


def _read_record_routes(message: Message) -> list[NameAddr]:
    return [NameAddr.parse(raw, "Record-Route") for raw in message.values("Record-Route")]


def _read_paths(message: Message) -> list[NameAddr]:
    return [NameAddr.parse(raw, "Path") for raw in message.values("Path")]

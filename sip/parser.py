"""Bytes to messages, and what every message must keep before anyone looks closer.

`parse` reads the start line, splits the head into (canonical name, raw value) and checks the length of the body: no
header value is read. `check_request` and `check_response` verify what RFC 3261 asks of every message.
Both raise `ParseError`, carrying what can be answered. Nothing here takes more time than the message is long.
"""

from __future__ import annotations

from typing import Final, NoReturn

import msgspec

from sip.errors import ParseError, SipError
from sip.grammar import FOLD, VERSION, digits, is_token
from sip.headers import MAX_DIGITS, METHODS, NAMES, SINGLES, canonical, learn
from sip.message import Request, Response


class Limits(msgspec.Struct, frozen=True):
    """The largest message taken. Each refuses before the work it bounds is done."""

    message: int = 65_536
    """Bytes of a message, head and body: what a UDP datagram can hold, and RFC 3261 18.1.1 asks to handle."""

    line: int = 8_192
    """Characters of one header after unfolding; long Identity and Route headers stay below a half of it."""

    uri: int = 2_048
    """Characters of the Request-URI: 414 above (RFC 3261 21.4.12)."""

    headers: int = 256
    """Header lines; RFC 4475 3.1.1.7 sends 46, 34 of them Via."""

    salvaged: int = 64
    """Header lines read of a message that is refused, to answer it."""


LIMITS: Final = Limits()


def parse(data: bytes, limits: Limits = LIMITS) -> Request | Response:
    """One whole message: a datagram, or what `StreamFramer` cut out of a stream. ParseError when it cannot be read."""
    if len(data) > limits.message:
        _refuse(413, "Message too large", data, limits)
    if data[:2] == b"\r\n":
        # RFC 3261 7.5: "Implementations processing SIP messages over stream-oriented transports MUST ignore any CRLF
        # appearing before the start-line." Datagrams that are nothing else keep NAT bindings alive.
        data = data.lstrip(b"\r\n")
    head, blank, body = data.partition(b"\r\n\r\n")
    if not blank:
        _refuse(400, "No empty line after the headers", data, limits)
    text = head.decode("utf-8", "surrogateescape")
    count = text.count("\n")
    if count > limits.headers:
        _refuse(400, "Too many headers", data, limits)
    lines = text.split("\r\n")
    if len(lines) - 1 != count or text.count("\r") != count:
        _refuse(400, "Bare CR or LF", data, limits)
    if len(text) > limits.line and max(map(len, lines)) > limits.line:
        _refuse(400, "Header too long", data, limits)
    start = lines[0]
    del lines[0]
    headers = []
    names = NAMES
    try:
        for line in lines:
            name, _, value = line.partition(": ")
            headers.append((names[name], value.strip(" \t")))
    except KeyError:
        # A fold, no space after the colon or one before it, an unknown name: all begin in what is no known name.
        headers = _split_fully(text, data, limits)
    message = _start(start, headers, data, limits)
    index = message._make_index()
    length = index.get("Content-Length")
    if length is None or (length == str(len(body)) and len(index) == len(headers)):
        message.body = body
    else:
        message.body = _sized(message, body, data, limits)
    return message


def _split_fully(text: str, data: bytes, limits: Limits) -> list[tuple[str, str]]:
    """The headers of any head: message-header = field-name HCOLON field-value, HCOLON = *( SP / HTAB ) ":" SWS."""
    if "\r\n " in text or "\r\n\t" in text:
        text = FOLD.sub(" ", text)
        if len(text) > limits.line and max(map(len, text.split("\r\n"))) > limits.line:
            _refuse(400, "Header too long", data, limits)
    headers = []
    for line in text.split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        known = NAMES.get(name)
        if known is None:
            if not colon or not is_token(name):
                _refuse(400, "Bad header name", data, limits)
            known = learn(name)
        headers.append((known, value.strip(" \t")))
    return headers


def _sized(message: Request | Response, body: bytes, data: bytes, limits: Limits) -> bytes:
    """The body as long as Content-Length says."""
    if sum([name == "Content-Length" for name, _ in message.headers]) > 1:
        _refuse(400, "Content-Length twice", data, limits)
    length = message.get("Content-Length") or ""
    if not digits(length) or len(length) > MAX_DIGITS:
        _refuse(400, "Bad Content-Length", data, limits)
    size = int(length)
    # RFC 3261 18.3: "If the transport packet ends before the end of the message body, this is considered an error. ...
    # If the message is a request, it SHOULD generate a 400 (Bad Request) response."
    if size > len(body):
        _refuse(400, "Content-Length longer than the body", data, limits)
    # "If there are additional bytes in the transport packet beyond the end of the body, they MUST be discarded."
    return body if size == len(body) else body[:size]


def check_request(request: Request) -> None:
    """What RFC 3261 asks of every request, read from its headers. ParseError carries the request to answer."""
    try:
        _check_common(request)
        request.via  # noqa: B018
        if request.cseq.method != request.method:
            # RFC 3261 8.1.1.5: "For non-REGISTER requests outside of a dialog ... The method MUST match that of the
            # request."
            raise SipError(400, "CSeq method is not that of the request")
        request.max_forwards  # noqa: B018 (raises when out of range; absent in RFC 2543)
        uri = request.request_uri
        if uri.headers:
            # RFC 3261 19.1.1, table 1: headers are not allowed in a Request-URI
            raise SipError(400, "Bad Request-URI: it has headers")
    except SipError as error:
        raise ParseError(error.status, error.reason, answerable(request)) from error


def check_response(response: Response, own_via: bool = False) -> None:
    """What RFC 3261 asks of every response. ParseError (without request: responses are dropped in silence).

    `own_via`: the top Via is known to be the one we wrote, and need not be read.
    """
    try:
        _check_common(response)
        if not own_via:
            response.via  # noqa: B018
    except SipError as error:
        raise ParseError(error.status, error.reason) from error


def answerable(request: Request) -> Request | None:
    """The request itself when a response to it would find its way: any but ACK, with a top Via that names a sender.

    A top Via that is malformed further on is mended: RFC 4475 3.1.2.1 wants even that request answered.
    """
    if request.method == "ACK":
        return None
    try:
        request.via  # noqa: B018
    except SipError:
        try:
            request.mend_via()
        except SipError:
            return None
    return request


# RFC 3261 8.1.1: "A valid SIP request formulated by a UAC MUST, at a minimum, contain the following header fields: To,
# From, CSeq, Call-ID, Max-Forwards, and Via" (Max-Forwards is younger than RFC 2543)
_MANDATORY: Final = frozenset({"Via", "From", "To", "Call-ID", "CSeq"})


def _check_common(message: Request | Response) -> None:
    index = message._index
    if index is None:
        index = message._make_index()
    if not index.keys() >= _MANDATORY:
        missing = next(name for name in ("Via", "From", "To", "Call-ID", "CSeq") if name not in index)
        raise SipError(400, f"Missing {missing}")
    if len(index) != len(message.headers):
        seen: set[str] = set()
        for name, _ in message.headers:
            if name in SINGLES:
                if name in seen:
                    raise SipError(400, f"{name} twice")
                seen.add(name)
    if not index["Call-ID"]:
        raise SipError(400, "Bad Call-ID")
    message.read_head()


def _start(start: str, headers: list[tuple[str, str]], data: bytes, limits: Limits) -> Request | Response:
    parts = start.split(" ")
    if len(parts) == 3 and parts[2] == "SIP/2.0":
        method, uri, _ = parts
        if len(uri) > limits.uri:
            _refuse(414, "Request-URI too long", data, limits)
        if method not in METHODS and not is_token(method):
            _refuse(400, "Bad method", data, limits)
        if not uri:
            _refuse(400, "Bad start line", data, limits)
        return Request(method, uri, headers)
    if start[:8] == "SIP/2.0 ":
        # Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF; Status-Code = 3DIGIT
        code, _, reason = start[8:].partition(" ")
        if len(code) == 3 and digits(code) and "100" <= code <= "699":
            return Response(int(code), reason, headers)
        raise ParseError(400, "Bad status code")
    return _odd_start(start, headers, data, limits)


def _odd_start(start: str, headers: list[tuple[str, str]], data: bytes, limits: Limits) -> Request | Response:
    first, _, rest = start.partition(" ")
    if VERSION.fullmatch(first):
        # RFC 3261 7.1: "The SIP-Version string is case-insensitive, but implementations MUST send upper-case."
        if first.upper() == "SIP/2.0":
            return _start("SIP/2.0 " + rest, headers, data, limits)
        raise ParseError(505, "Version Not Supported")
    rest, _, version = rest.rpartition(" ")
    if VERSION.fullmatch(version):
        if version.upper() != "SIP/2.0":
            _refuse(505, "Version Not Supported", data, limits)
        if version != "SIP/2.0":
            return _start(f"{first} {rest} SIP/2.0", headers, data, limits)
    _refuse(400, "Bad start line", data, limits)


def _refuse(status: int, reason: str, data: bytes, limits: Limits) -> NoReturn:
    raise ParseError(status, reason, salvage(data, limits))


def salvage(data: bytes, limits: Limits = LIMITS) -> Request | None:
    """What can be read of a request that is refused: its first lines, those without a name left out. None when it
    cannot be answered."""
    head = data[: limits.message].lstrip(b"\r\n").partition(b"\r\n\r\n")[0]
    text = FOLD.sub(" ", head.decode("utf-8", "surrogateescape"))
    lines = text.split("\r\n", limits.salvaged + 1)[: limits.salvaged + 1]
    words = lines[0].split()
    if len(words) < 3 or not is_token(words[0]) or not VERSION.fullmatch(words[-1]):
        return None
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        # Bare CR and LF would not survive writing, and a line too long is not worth sending back.
        if colon and is_token(name) and len(line) <= limits.line and "\r" not in line and "\n" not in line:
            headers.append((canonical(name), value.strip(" \t")))
    return answerable(Request(words[0], " ".join(words[1:-1])[: limits.uri], headers))

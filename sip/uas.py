"""What a UAS checks in any request before it acts on it (RFC 3261 8.2), and the answers to what fails.

    8.2.1 method          501 unknown, 405 known but not allowed (Allow)
    8.2.2.1 Request-URI   416 for schemes other than sip, and for sips over a transport that is not secure
    8.2.2.3 Require       420 (Unsupported)
    12.2.2 dialog         481 (by the user agent, between Require and the body)
    8.2.3 body            415 (Accept, Accept-Encoding), 400 for a multipart that can't be taken apart
    20.1 Accept           406 when the peer takes no application/sdp in the answer to its INVITE

RFC 3261 8.2 puts authentication first, "then inspecting the method, the header fields, and so on". Here it comes
after: it is the application's, and these answers tell a stranger nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sip.effects import TRANSPORTS
from sip.errors import SipError
from sip.message import Message, Request

Header = tuple[str, str]

# Registered methods: what is not among them is answered 501, not 405.
KNOWN_METHODS = frozenset(
    {
        "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER",
        "REGISTER", "SUBSCRIBE", "UPDATE",
    }
)  # fmt: skip

# Methods whose body we read, and whose body must therefore be one that we know.
SDP_METHODS = frozenset({"INVITE", "PRACK", "UPDATE"})

# Methods that live only inside a dialog.
DIALOG_METHODS = frozenset({"BYE", "INFO", "PRACK", "UPDATE"})

SDP = "application/sdp"
ACCEPT: Header = ("Accept", "application/sdp, multipart/mixed")
ACCEPT_ENCODING: Header = ("Accept-Encoding", "identity")

# RFC 5621 lets multiparts nest; a call's SDP is one or two levels deep.
MAX_MULTIPART_DEPTH = 3
MAX_PARTS = 32

# RFC 2046 5.1.1: boundary := 0*69<bchars> bcharsnospace
_BOUNDARY = re.compile(r""";\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))""", re.IGNORECASE)
_PART_END = re.compile(rb"\r?\n\r?\n")


class Refused(SipError):
    """A request that fails a check; `headers` go into the response."""

    def __init__(self, status: int, reason: str, *headers: Header) -> None:
        super().__init__(status, reason)
        self.headers = headers


class Abilities(NamedTuple):
    """What the checks measure requests against."""

    allow: frozenset[str]
    allow_header: Header
    options: frozenset[str]  # option tags understood in Require
    register_options: frozenset[str]  # and in a REGISTER, where the registrar is the one to understand
    accept_tel: bool


def check_head(request: Request, transport: str, able: Abilities) -> None:
    """Method, Request-URI and Require, in this order. Raises Refused, or SipError(400) for what can't be read."""
    method = request.method
    if method not in able.allow:
        # RFC 3261 8.2.1: "If the UAS recognizes but does not support the method of a request, it MUST generate a
        # 405 (Method Not Allowed) response. ... The 405 response MUST include an Allow header field"; 21.5.2: 501
        # "when a UAS does not recognize the request method"
        if method in KNOWN_METHODS:
            raise Refused(405, "Method Not Allowed", able.allow_header)
        raise Refused(501, "Not Implemented", able.allow_header)
    scheme = request.uri.partition(":")[0].lower()
    if scheme != "sip" and not (
        (scheme == "sips" and TRANSPORTS[transport].secure) or (scheme == "tel" and able.accept_tel)
    ):
        # RFC 3261 8.2.2.1: "If the Request-URI uses a scheme not supported by the UAS, it SHOULD reject the request
        # with a 416"; a sips resource must not be reached without TLS (26.2.2)
        raise Refused(416, "Unsupported URI Scheme")
    _ = request.request_uri  # SipError(400) when it can't be read
    if request.has("Require"):
        known = able.register_options if method == "REGISTER" else able.options
        unknown = request.required - known
        if unknown:
            # RFC 3261 8.2.2.3: "If a UAS does not understand an option-tag listed in a Require header field, it
            # MUST respond by generating a response with status code 420 (Bad Extension)." "the UAS MUST add an
            # Unsupported header field"
            raise Refused(420, "Bad Extension", ("Unsupported", ", ".join(sorted(unknown))))


def sdp_of(request: Request) -> bytes | None:
    """The SDP in the body of an INVITE, UPDATE or PRACK; None without a body. Raises Refused for what we can't read.

    RFC 3261 8.2.3: "If there are any bodies whose type (indicated by the Content-Type), language ... or encoding
    ... are not understood, and that body part is not optional (as indicated by the Content-Disposition header
    field), the UAS MUST reject the request with a 415".
    """
    if not request.body:
        return None
    encoding = request.get("Content-Encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise Refused(415, "Unsupported Content-Encoding", ACCEPT, ACCEPT_ENCODING)
    content_type = request.content_type
    if content_type == SDP:
        return request.body
    if content_type.startswith("multipart/"):
        return _sdp_in_parts(request.body, request.get("Content-Type") or "", MAX_MULTIPART_DEPTH)
    if not content_type:
        # RFC 3261 7.4.1: "The Internet media type of the message body MUST be given by the Content-Type header
        # field."
        raise Refused(400, "Missing Content-Type", ACCEPT)
    if "handling=optional" in _squeezed(request.get("Content-Disposition") or ""):
        return None
    raise Refused(415, "Unsupported Media Type", ACCEPT, ACCEPT_ENCODING)


def sdp_in(message: Message) -> bytes | None:
    """The SDP of a response or ACK, which can't be refused: None when there is none that we can read."""
    if not message.body:
        return None
    content_type = message.content_type
    if content_type == SDP:
        return message.body
    if content_type.startswith("multipart/"):
        try:
            return _sdp_in_parts(message.body, message.get("Content-Type") or "", MAX_MULTIPART_DEPTH)
        except Refused:
            return None
    return None


def check_accept(request: Request) -> None:
    """RFC 3261 20.1: an INVITE whose Accept admits no application/sdp can't be answered: 406 (21.4.7)."""
    if not request.has("Accept"):
        # "If no Accept header field is present, the server SHOULD assume a default value of application/sdp."
        return
    for media_range in request.values("Accept"):
        kind, _, params = media_range.partition(";")
        if kind.strip().lower() in (SDP, "application/*", "*/*") and not _weight_is_zero(params):
            return
    raise Refused(406, "Not Acceptable", ("Accept", SDP))


def _weight_is_zero(params: str) -> bool:
    for param in _squeezed(params).split(";"):
        if param.startswith("q="):
            return not param[2:].strip("0.")
    return False


def _squeezed(text: str) -> str:
    return "".join(text.split()).lower()


def _sdp_in_parts(body: bytes, content_type: str, depth: int) -> bytes | None:
    """The first SDP part (RFC 5621 3.1: each part is handled by its Content-Disposition and type)."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        # RFC 2046 5.1.1: the boundary parameter is required
        raise Refused(400, "Bad Content-Type: multipart without boundary")
    if depth == 0:
        raise Refused(415, "Multipart too deep", ACCEPT)
    boundary = b"--" + (found[1] or found[2]).encode("utf-8", "surrogateescape")
    pieces = (b"\r\n" + body).split(b"\r\n" + boundary, MAX_PARTS + 1)
    if len(pieces) < 2:
        raise Refused(400, "Bad multipart: boundary not found")
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        kind, disposition, content = _part(piece)
        if kind.partition(";")[0].strip().lower() == SDP:
            return content
        if kind.strip().lower().startswith("multipart/"):
            inner = _sdp_in_parts(content, kind, depth - 1)
            if inner is not None:
                return inner
        elif "handling=required" in _squeezed(disposition):
            # RFC 5621 8.3 / RFC 3204: a part that says it must be understood, and is not
            raise Refused(415, "Unsupported Media Type", ACCEPT)
    return None


def _part(piece: bytes) -> tuple[str, str, bytes]:
    """Content-Type ("text/plain" by default, RFC 2046 5.1), Content-Disposition and content of one body part."""
    # The delimiter line may end in blanks ("transport padding"), then CRLF; a part without headers begins with an
    # empty line.
    _, _, content = piece.partition(b"\n")
    if content.startswith((b"\r\n", b"\n")):
        return "text/plain", "", content.lstrip(b"\r").removeprefix(b"\n")
    end = _PART_END.search(content)
    if end is None:
        return "text/plain", "", b""
    kind, disposition = "text/plain", ""
    for line in content[: end.start()].decode("utf-8", "surrogateescape").splitlines():
        name, _, value = line.partition(":")
        match name.strip().lower():
            case "content-type" | "c":
                kind = value
            case "content-disposition":
                disposition = value
            case _:
                pass
    return kind, disposition, content[end.end() :]

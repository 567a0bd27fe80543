"""What transfer is written with: Refer-To, Refer-Sub, Referred-By, Replaces and Join.

RFC 3515 2.1 (Refer-To), RFC 4488 4 (Refer-Sub), RFC 3892 (Referred-By), RFC 3891 6.1 (Replaces), RFC 3911 7.1 (Join).
Reading raises SipError(400) and nothing else; what it yields can be written again without an escape of the peer's
reaching a header line of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Self

import msgspec
from msgspec.structs import replace

from sip.errors import SipError
from sip.grammar import PARAM_VALUE_CLASS, is_token
from sip.headers import NameAddr, read_params
from sip.message import Message
from sip.uri import Uri

# callid = word [ "@" word ]. Lenient: anything visible but what separates; it is compared, not read.
_CALL_ID: Final = re.compile(r"[^\x00-\x20\x7f;,]+")
_TAG: Final = re.compile(rf"[^{PARAM_VALUE_CLASS}]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

MAX_URI_HEADERS: Final = 16
"""Headers in the URI of a Refer-To: each is one that the peer would have us write."""


class DialogName(msgspec.Struct, frozen=True, gc=False):
    """A dialog as a third party names it. Tags as its recipient sees them: `to_tag` is the recipient's own."""

    call_id: str
    to_tag: str
    from_tag: str

    def __str__(self) -> str:
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}"


class Replaces(DialogName, frozen=True, gc=False):
    """RFC 3891 6.1. `early_only`: a confirmed dialog must not be replaced."""

    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        call_id, to_tag, from_tag, params = _dialog_name(text, "Replaces")
        return cls(call_id, to_tag, from_tag, "early-only" in params)

    def __str__(self) -> str:
        text = f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}"
        return text + ";early-only" if self.early_only else text


class Join(DialogName, frozen=True, gc=False):
    """RFC 3911 7.1."""

    @classmethod
    def parse(cls, text: str) -> Self:
        call_id, to_tag, from_tag, _ = _dialog_name(text, "Join")
        return cls(call_id, to_tag, from_tag)


def _dialog_name(text: str, name: str) -> tuple[str, str, str, Mapping[str, str | None]]:
    """Call-ID, to-tag, from-tag and all parameters."""
    call_id, semicolon, rest = text.partition(";")
    call_id = call_id.strip(" \t")
    if not _CALL_ID.fullmatch(call_id):
        raise SipError(400, f"Bad {name}: no Call-ID")
    names = [part.partition("=")[0].strip(" \t").lower() for part in rest.split(";")]
    if names.count("to-tag") != 1 or names.count("from-tag") != 1:
        # RFC 3891 6.1, RFC 3911 7.1: exactly one of each
        raise SipError(400, f"Bad {name}: needs one to-tag and one from-tag")
    params = read_params(semicolon + rest, name)
    to_tag, from_tag = params.get("to-tag") or "", params.get("from-tag") or ""
    if not _TAG.fullmatch(to_tag) or not _TAG.fullmatch(from_tag):
        raise SipError(400, f"Bad {name}: malformed tag")
    return call_id, to_tag, from_tag, params


class ReferTo(msgspec.Struct, frozen=True, gc=False):
    """RFC 3515 2.1. `uri` is the target itself, without method and headers; both stand beside it.

    `method`: "INVITE" where the peer names none. `replaces`: of the URI's headers. `headers`: the others, unescaped,
    names as sent; free of control characters.
    """

    uri: Uri
    method: str = "INVITE"
    replaces: Replaces | None = None
    headers: Mapping[str, str] = {}
    display: str = ""

    @staticmethod
    def parse(text: str) -> ReferTo:
        address = _refer_address(text)
        uri = address.uri
        method = (uri.params.get("method") or "INVITE").upper()
        if not is_token(method):
            raise SipError(400, "Bad Refer-To: malformed method")
        if len(uri.headers) > MAX_URI_HEADERS:
            raise SipError(400, "Bad Refer-To: too many headers in the URI")
        replaces, headers = None, {}
        for name, value in uri.headers.items():
            if not is_token(name) or _CONTROL.search(value):
                # An escaped line end would begin a header of the peer's choice in a message of ours.
                raise SipError(400, "Bad Refer-To: malformed header in the URI")
            if name.lower() != "replaces":
                headers[name] = value
            elif replaces is not None:
                raise SipError(400, "Bad Refer-To: Replaces twice")
            else:
                replaces = Replaces.parse(value)
        if uri.headers or "method" in uri.params:
            params = {name: value for name, value in uri.params.items() if name != "method"}
            uri = replace(uri, headers={}, params=params)
        return ReferTo(uri, method, replaces, headers, address.display)

    def __str__(self) -> str:
        uri = self.uri
        params, headers = dict(uri.params), dict(self.headers)
        if self.method != "INVITE":
            params["method"] = self.method
        if self.replaces is not None:
            headers["Replaces"] = str(self.replaces)
        return str(NameAddr(self.display, replace(uri, params=params, headers=headers)))


def _refer_address(text: str) -> NameAddr:
    text = text.strip(" \t")
    if "<" not in text and "?" in text:
        # RFC 3261 20 wants brackets around a URI with "?"; phones leave them out, and mean all of it as the URI.
        try:
            return NameAddr("", Uri.parse(text))
        except SipError as error:
            raise SipError(error.status, f"Bad Refer-To: {error.reason}") from error
    return NameAddr.parse(text, "Refer-To")


def refer_to_of(message: Message) -> ReferTo:
    """The Refer-To of a REFER. RFC 3515 2.4.2: SipError(400) where there is none or more than one."""
    values = message.values("Refer-To")
    if len(values) != 1:
        raise SipError(400, "Missing Refer-To" if not values else "More than one Refer-To")
    return ReferTo.parse(values[0])


def referred_by_of(message: Message) -> NameAddr | None:
    """RFC 3892 3. None when absent, or when it can't be read: it is a claim, and nothing hangs on it."""
    raw = message.get("Referred-By")
    if raw is None:
        return None
    try:
        return NameAddr.parse(raw.strip(" \t"), "Referred-By")
    except SipError:
        return None


def wants_subscription(message: Message) -> bool:
    """RFC 4488 4: of a REFER, whether its sender wants to hear of the outcome; of its 2xx, whether it will."""
    raw = message.get("Refer-Sub")
    return raw is None or raw.partition(";")[0].strip(" \t").lower() != "false"


def replaces_of(message: Message) -> Replaces | None:
    """The Replaces of an INVITE. SipError(400) where it is malformed or there are several (RFC 3891 3)."""
    raw = _only(message, "Replaces")
    return None if raw is None else Replaces.parse(raw)


def join_of(message: Message) -> Join | None:
    """The Join of an INVITE. SipError(400) where it is malformed or there are several (RFC 3911 4)."""
    raw = _only(message, "Join")
    return None if raw is None else Join.parse(raw)


def _only(message: Message, name: str) -> str | None:
    if not message.has(name):
        return None
    values = message.values(name)
    if len(values) > 1:
        raise SipError(400, f"More than one {name}")
    return values[0]

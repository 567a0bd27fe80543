"""What event notification is written with: Event, Subscription-State, and the message/sipfrag of a REFER's outcome.

RFC 6665 8.2.1 (Event), 8.2.3 (Subscription-State), RFC 3515 2.4.5 and RFC 3420 (message/sipfrag). Reading raises
SipError and nothing else.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from sip.errors import SipError
from sip.grammar import digits, is_token, unquote
from sip.headers import read_params
from sip.message import MAX_DELTA_SECONDS, Message, delta_seconds
from sip.status import reason_of

SIPFRAG: Final = "message/sipfrag;version=2.0"
SIPFRAG_TYPE: Final = "message/sipfrag"

# Status-Line = SIP-Version SP Status-Code SP Reason-Phrase. Lenient: blank lines before it, the reason left out.
_STATUS_LINE: Final = re.compile(rb"\s{0,8}SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t]+([^\r\n]{0,200}))?", re.IGNORECASE)
_ID: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")


class EventType(msgspec.Struct, frozen=True, gc=False):
    """RFC 6665 8.2.1: package (with templates) in lower case, and the id that tells subscriptions apart; "" without."""

    package: str
    id: str = ""

    @staticmethod
    def parse(text: str) -> EventType:
        package, semicolon, rest = text.partition(";")
        package = package.strip(" \t").lower()
        if not is_token(package):
            raise SipError(400, "Bad Event")
        params = read_params(semicolon + rest, "Event")
        event_id = params.get("id") or ""
        if event_id and not _ID.fullmatch(event_id):
            raise SipError(400, "Bad Event: malformed id")
        return EventType(package, event_id)

    def __str__(self) -> str:
        return f"{self.package};id={self.id}" if self.id else self.package


def event_of(message: Message) -> EventType:
    """RFC 6665 4.1.2.1: SUBSCRIBE and NOTIFY have exactly one Event. SipError(489) without."""
    raw = message.get("Event")
    if raw is None:
        raise SipError(489, "Bad Event")
    return EventType.parse(raw)


class SubscriptionState(msgspec.Struct, frozen=True, gc=False):
    """RFC 6665 8.2.3. state in lower case: "active", "pending", "terminated" or another. Seconds, None when absent."""

    state: str
    expires: int | None = None
    reason: str = ""
    retry_after: int | None = None

    @staticmethod
    def parse(text: str) -> SubscriptionState:
        state, semicolon, rest = text.partition(";")
        state = state.strip(" \t").lower()
        if not is_token(state):
            raise SipError(400, "Bad Subscription-State")
        params = read_params(semicolon + rest, "Subscription-State")
        return SubscriptionState(
            state,
            _seconds(params.get("expires")),
            unquote(params.get("reason") or "").lower(),
            _seconds(params.get("retry-after")),
        )

    def __str__(self) -> str:
        text = self.state
        if self.reason:
            text += f";reason={self.reason}"
        if self.expires is not None:
            text += f";expires={self.expires}"
        if self.retry_after is not None:
            text += f";retry-after={self.retry_after}"
        return text

    @property
    def over(self) -> bool:
        return self.state == "terminated"


def _seconds(raw: str | None) -> int | None:
    """Lenient: a number that can't be read is one that was not given."""
    if raw is None or not digits(raw):
        return None
    return min(delta_seconds(raw), MAX_DELTA_SECONDS)


def subscription_state_of(message: Message) -> SubscriptionState:
    """RFC 6665 8.2.3: every NOTIFY has one. SipError(400) without."""
    raw = message.get("Subscription-State")
    if raw is None:
        raise SipError(400, "Missing Subscription-State")
    return SubscriptionState.parse(raw)


def write_sipfrag(status: int, reason: str | None) -> bytes:
    """RFC 3515 2.4.5: the body of a NOTIFY begins with a status line. A reason of the peer's may come in: line ends in
    it become blanks.
    """
    text = " ".join((reason_of(status) if reason is None else reason).split())
    return f"SIP/2.0 {status} {text}\r\n".encode("utf-8", "surrogateescape")


def read_sipfrag(body: bytes) -> tuple[int, str] | None:
    """Status and reason of the status line that `body` begins with; None when it begins with another thing."""
    found = _STATUS_LINE.match(body)
    if found is None:
        return None
    return int(found[1]), (found[2] or b"").decode("utf-8", "replace").strip()

"""Why a leg ends or is refused, in SIP headers: Reason (RFC 3326), Warning, what a 3xx or 503 brings. Pure."""

from __future__ import annotations

import re

from media.sdp import SdpError
from sip.errors import SipError
from sip.headers import NameAddr
from softswitch.causes import Cause, cause_of_reason

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
"""RFC 3326 section 3.1: the Reason of a CANCEL to the legs that lost."""

_ELSEWHERE = re.compile(r"(?:^|,)\s*SIP\s*;(?:[^,]*;)?\s*cause\s*=\s*200\b", re.IGNORECASE)

_PRINTABLE = re.compile(r"[^ !#-\[\]-~]")


def reason_header(cause: int, text: str = "") -> str:
    """`Q.850;cause=16;text="..."` (RFC 3326); characters that need quoting are left out of the text."""
    if not text:
        return f"Q.850;cause={cause}"
    return f'Q.850;cause={cause};text="{_PRINTABLE.sub("", text)}"'


def warning(error: SdpError, host: str) -> list[tuple[str, str]]:
    """The Warning header (RFC 3261 20.43) that tells why a description is refused; `host` is ours."""
    return [warning_header(error.warning, error.reason, host)]


def warning_header(code: int, text: str, host: str) -> tuple[str, str]:
    agent = f"[{host}]" if ":" in host else host
    return "Warning", f'{code} {agent} "{_PRINTABLE.sub("", text)}"'


def cause_of_cancel(reason: str) -> int:
    """Why the caller gave up. RFC 3326 3.1: `SIP;cause=200` says that another took the call, which the phones that
    rang for this leg must learn too, or they count it as missed.
    """
    if _ELSEWHERE.search(reason) is not None:
        return Cause.ANSWERED_ELSEWHERE
    return cause_of_reason(reason) or Cause.NORMAL_CLEARING


def first_contact(headers: list[tuple[str, str]]) -> str:
    """The user part of the first Contact of a 3xx; "" when there is none that can be used."""
    for name, value in headers:
        if name == "Contact":
            try:
                # RFC 3261 19.1.2: escapes stand for characters; 19.1.1: a telephone-subscriber may bring parameters.
                return NameAddr.parse(value).uri.username.partition(";")[0]
            except SipError:
                return ""
    return ""


def delta_seconds(retry_after: str | None) -> float | None:
    """The delta-seconds of a Retry-After header (RFC 3261 20.33)."""
    if retry_after is None:
        return None
    digits = re.match(r"\s*(\d{1,9})", retry_after)
    return float(digits[1]) if digits else None

"""DTMF digits in SIP INFO: `application/dtmf-relay` and `application/dtmf`, one digit a request.

No RFC describes them (RFC 6086 calls such use of INFO "legacy"); telephones agree on

    application/dtmf-relay    Signal=5 CRLF Duration=160 CRLF       the duration in milliseconds
    application/dtmf          5

with the key as itself (0-9 * # A-D) or as its event number of RFC 4733 (10 is *, 11 is #, 12 to 15 are A to D, 16 is
hook flash). Reading is lenient about spaces, case, line ends and order; what we write is the first form.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sip.errors import SipError
from sip.uas import Refused

RELAY = "application/dtmf-relay"
PLAIN = "application/dtmf"
ACCEPT = ("Accept", f"{RELAY}, {PLAIN}")

MAX_BODY = 256  # octets; what is longer is no digit
DEFAULT_MS = 160
SHORTEST_MS = 40  # RFC 4733 2.5.1.1 and ITU-T Q.24: shorter tones need not be heard
LONGEST_MS = 5000  # a key held down; the engine is kept from sending one for minutes

KEYS = "0123456789*#ABCD"
FLASH = 16

_LINE = re.compile(r"(signal|duration)\s*=\s*(\S+)", re.IGNORECASE)


class InfoDigit(NamedTuple):
    """A digit and how long its key was held, in milliseconds."""

    digit: str
    duration_ms: int


def read(content_type: str, body: bytes) -> InfoDigit | None:
    """The digit in an INFO; None where there is nothing to be passed on (no body, hook flash).

    Raises `Refused` (415) for another body than a digit's, `SipError` (400) for one that makes no sense.
    """
    if not body:
        return None
    if content_type not in (RELAY, PLAIN):
        # RFC 3261 8.2.3: a body of a type that is not understood gets 415, and Accept lists those that are.
        raise Refused(415, "Unsupported Media Type", ACCEPT)
    if len(body) > MAX_BODY:
        raise SipError(400, "INFO body too long for a digit")
    text = body.decode("latin-1").strip()
    fields = {match[1].lower(): match[2] for match in reversed(list(_LINE.finditer(text)))}
    key = _key(fields.get("signal", text if content_type == PLAIN else ""))
    if key == FLASH:
        return None
    written = fields.get("duration", "")
    duration = int(written) if written.isascii() and written.isdigit() and len(written) <= 6 else DEFAULT_MS
    return InfoDigit(KEYS[key], min(max(duration, SHORTEST_MS), LONGEST_MS))


def _key(text: str) -> int:
    """The event number (RFC 4733 3.2) of a key. Raises SipError (400)."""
    if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= FLASH:
        return int(text)
    if text == "!":
        return FLASH
    if len(text) == 1 and text.upper() in KEYS:
        return KEYS.index(text.upper())
    raise SipError(400, "INFO without a digit")


def judge(content_type: str, body: bytes) -> None:
    """Raises what `read` raises: for `UserAgent.judge_info`."""
    read(content_type, body)


def write(digit: str, duration_ms: int) -> tuple[str, bytes]:
    """Content type and body of the INFO that carries a digit."""
    return RELAY, f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()

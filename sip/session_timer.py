"""Session timers (RFC 4028): who refreshes, how often, and when a silent session is given up.

Both roles are settled anew by every INVITE and UPDATE with its 2xx. All figures are whole seconds as in the headers.

    UAC asks:   Supported: timer, Session-Expires: N [;refresher=]         (7.1)
    UAS:        422 with Min-SE when N is too small for it                (9)
                2xx with Session-Expires: n;refresher=uac|uas, n <= N     (9, table 2)
    refresher:  a refresh at n/2                                          (7.2, 10)
    the other:  BYE at n - min(32, n/3)                                   (10)
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from sip.errors import SipError

if TYPE_CHECKING:
    from sip.message import Message, Request, Response

# RFC 4028 5: "The absolute minimum for the Session-Expires header field is 90 seconds."
FLOOR = 90
# A day: longer intervals than this are treated as this one (delta-seconds may be up to 2**32-1).
CEILING = 86_400


class Asked(NamedTuple):
    """A Session-Expires header. `refresher` "" when the header leaves it open."""

    interval: int
    refresher: str


class Settled(NamedTuple):
    """What an exchange settled. `ours`: we refresh, else the peer must."""

    interval: int
    ours: bool

    @property
    def refresh_after(self) -> float:
        """RFC 4028 7.2: "it is RECOMMENDED that this refresh be sent once half the session interval has elapsed." """
        return self.interval / 2

    @property
    def expires_after(self) -> float:
        """RFC 4028 10: BYE "slightly before the session expiration. The minimum of 32 seconds and one third of the
        session interval is RECOMMENDED." """
        return self.interval - min(32.0, self.interval / 3)


class TooBrief(SipError):
    """422 Session Interval Too Small; `min_se` goes into the Min-SE header of the response."""

    def __init__(self, min_se: int) -> None:
        super().__init__(422, "Session Interval Too Small")
        self.min_se = min_se


def asked(message: Message) -> Asked | None:
    """The Session-Expires header, or None without one. SipError(400) when it is not delta-seconds."""
    value = message.get("Session-Expires")
    if value is None:
        return None
    return _read(value)


@lru_cache(64)
def _read(value: str) -> Asked:
    interval, _, params = value.partition(";")
    refresher = ""
    for param in params.split(";"):
        name, _, text = param.partition("=")
        if name.strip().lower() == "refresher":
            refresher = text.strip().lower()
    return Asked(min(_delta_seconds(interval, "Session-Expires"), CEILING), refresher)


def min_se(message: Message) -> int:
    """The Min-SE header; 90 when it is absent (RFC 4028 5)."""
    value = message.get("Min-SE")
    if value is None:
        return FLOOR
    return min(max(_delta_seconds(value.partition(";")[0], "Min-SE"), FLOOR), CEILING)


def settle_as_uas(request: Request, wanted: int, minimum: int) -> tuple[Settled, bool] | None:
    """What our 2xx says to `request` (INVITE or UPDATE), and whether it must say `Require: timer`. None: no session
    timer.

    `wanted`: our own interval, 0 to go along only with the peer's. Raises TooBrief, or SipError(400) for a
    malformed header.
    """
    ask = asked(request)
    if ask is None and not wanted:
        return None
    peer_can = "timer" in request.supported
    if ask is None:
        # RFC 4028 9, table 2, no refresher asked for: ours to choose. We do it: a peer that is gone is then found
        # out.
        return Settled(max(wanted, min_se(request)), True), False
    if ask.interval < minimum and peer_can:
        # RFC 4028 9: an interval below our minimum, of a UAC that supports timer, may be refused with 422; one that
        # does not support it would not know what to do with that.
        raise TooBrief(minimum)
    interval = max(min(ask.interval, wanted or ask.interval), min(min_se(request), ask.interval), FLOOR)
    # RFC 4028 9, table 2: a UAC without "timer" can't refresh; a refresher it names stands; left open, the UAC does
    # it.
    ours = not peer_can or ask.refresher == "uas"
    return Settled(interval, ours), not ours


def settle_as_uac(response: Response, sent: int) -> Settled | None:
    """What a 2xx to our INVITE or UPDATE settled. `sent`: the interval we asked for, 0 for none."""
    try:
        got = asked(response)
    except SipError:
        # Our own request stands; a mangled header in a response can't be complained about.
        got = None
    if got is None:
        # RFC 4028 7.2: the peer supports no session timer, "there is no session expiration": we refresh for our own
        # sake, so that a peer that is gone is found out.
        return Settled(max(sent, FLOOR), True) if sent else None
    return Settled(max(got.interval, FLOOR), got.refresher != "uas")


def header(settled: Settled, side: Literal["uac", "uas"]) -> str:
    """The Session-Expires value that `side` (our side of this transaction) writes."""
    other = "uas" if side == "uac" else "uac"
    return f"{settled.interval};refresher={side if settled.ours else other}"


def _delta_seconds(text: str, name: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise SipError(400, f"Bad {name}: not delta-seconds")
    return int(text)

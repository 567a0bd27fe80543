"""Who has sent a call on, between headers and the call: Diversion (RFC 5806) and History-Info (RFC 7044).

    read(INVITE)             -> who has, newest first, and how often it was sent on by anybody's word
    write(style, who, where) -> the headers of an INVITE that goes there

Both headers tell the same in their own words: Diversion names a reason, History-Info the SIP status that made each
target give way to the next (by RFC 4458 for what had none). History-Info is written of calls that were sent on, and
of no others. Who withholds its number is counted in both, and named in neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeVar

from sip.diversion import MAX_ENTRIES, Diversion, HistoryEntry
from sip.errors import SipError
from sip.headers import NameAddr
from sip.message import Request
from sip.uri import Uri
from softswitch.caller_identity import is_anonymous, number_of, shown_name
from softswitch.vocabulary import Diverted

DiversionStyle = Literal["none", "diversion", "history-info", "both"]

UNNAMED: Final = NameAddr("", Uri("sip", "anonymous", host="anonymous.invalid"))
"""RFC 7044 10.1.2: an entry whose URI is private keeps its place as sip:anonymous@anonymous.invalid."""

_STATUS: Final = {
    "unconditional": 302,
    "user-busy": 486,
    "no-answer": 408,
    "unavailable": 480,
    "deflection": 302,
    "follow-me": 302,
    "do-not-disturb": 480,
    "out-of-service": 480,
    "away": 480,
    "time-of-day": 302,
}
_REASON: Final = {
    302: "unconditional",
    404: "unavailable",
    408: "no-answer",
    480: "unavailable",
    486: "user-busy",
    487: "deflection",
    503: "unavailable",
    600: "user-busy",
}
_SIP_CAUSE: Final = re.compile(r"(?:^|,)\s*SIP\s*;(?:[^,]*;)?\s*cause\s*=\s*([1-6][0-9]{2})\b", re.IGNORECASE)
_HIDDEN: Final = frozenset({"full", "uri"})  # RFC 5806 4, diversion-privacy

Entry = TypeVar("Entry")


def read(request: Request, rewrite: Callable[[str], str]) -> tuple[tuple[Diverted, ...], int]:
    """What an INVITE says, newest first; Diversion is taken where both are there. `rewrite`: of the numbers.

    Entries that can't be read are passed over: no call is worth losing for what only describes it (lenient).
    """
    diversions = _entries(request, "Diversion", Diversion.parse, newest_first=True)
    history = _entries(request, "History-Info", HistoryEntry.parse, newest_first=False)
    all_hidden = _asks(request.get("Privacy") or "", "history")
    found = [_diverted(each, rewrite) for each in diversions]
    left = [_left(each, all_hidden, rewrite) for each in reversed(history) if _SIP_CAUSE.search(each.reason)]
    count = max(sum(each.counter for each in diversions), len(left))
    return tuple(found or left), count


def write(style: DiversionStyle, diverted: Sequence[tuple[Diverted, NameAddr]], target: Uri) -> list[tuple[str, str]]:
    """The headers of an INVITE to `target`. `diverted`: newest first, each with the address that is shown for it, or
    `UNNAMED`."""
    headers: list[tuple[str, str]] = []
    newest = list(diverted[:MAX_ENTRIES])
    if not newest:
        return headers
    if style in ("diversion", "both"):
        headers += [("Diversion", str(_written(who, address))) for who, address in newest]
    if style in ("history-info", "both"):
        headers += [("History-Info", str(each)) for each in _history(newest, target)]
    return headers


def summary(diverted: Sequence[Diverted]) -> str:
    """For the call record: `102 no-answer, 030123 user-busy`, newest first."""
    return ", ".join(f"{each.number or 'anonymous'} {each.reason}" for each in diverted)


def _entries(request: Request, name: str, parse: Callable[[str], Entry], newest_first: bool) -> list[Entry]:
    values = request.values(name)
    found = []
    for value in values[:MAX_ENTRIES] if newest_first else values[-MAX_ENTRIES:]:
        try:
            found.append(parse(value))
        except SipError:
            continue
    return found


def _asks(privacy: str, wanted: str) -> bool:
    return wanted in {value.strip().lower() for value in re.split(r"[;,]", privacy)}


def _diverted(entry: Diversion, rewrite: Callable[[str], str]) -> Diverted:
    uri = entry.address.uri
    hidden = entry.privacy in _HIDDEN or is_anonymous(uri)
    return Diverted(rewrite(number_of(uri)), _word(entry.reason), shown_name(entry.address.display), hidden)


def _left(entry: HistoryEntry, all_hidden: bool, rewrite: Callable[[str], str]) -> Diverted:
    found = _SIP_CAUSE.search(entry.reason)
    assert found is not None
    hidden = all_hidden or any(_asks(entry.privacy, each) for each in ("history", "header", "id"))
    hidden = hidden or is_anonymous(entry.uri)
    reason = _REASON.get(int(found[1]), "unknown")
    return Diverted(rewrite(number_of(entry.uri)), reason, shown_name(entry.display), hidden)


def _word(reason: str) -> str:
    return reason if reason in _STATUS else "unknown"


def _written(who: Diverted, address: NameAddr) -> Diversion:
    hidden = address is UNNAMED
    # RFC 5806 4, diversion-screen: "yes" is said of numbers that are known to be right, which are ours.
    screen = "yes" if who.own and not hidden else ""
    return Diversion(address, who.reason, privacy="full" if hidden else "off", screen=screen)


def _history(newest_first: Sequence[tuple[Diverted, NameAddr]], target: Uri) -> list[HistoryEntry]:
    """RFC 7044 10.3: each target a level below the one that was left for it, which `mp` names (another user)."""
    entries = []
    index: tuple[int, ...] = ()
    change = ""
    for who, address in reversed(newest_first):
        status = _STATUS.get(who.reason)
        index = (*index, 1)
        reason = "" if status is None else f"SIP;cause={status}"
        privacy = "history" if address is UNNAMED else ""
        entries.append(HistoryEntry(address.uri, index, reason, privacy, change, address.display))
        change = "mp=" + ".".join(map(str, index))
    return [*entries, HistoryEntry(target, (*index, 1), change=change)]

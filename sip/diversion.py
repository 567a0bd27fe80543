"""How a call came to be sent on: Diversion (RFC 5806) and History-Info (RFC 7044).

Both are lists, newest Diversion first, oldest History-Info first. Reading raises SipError(400) for an entry whose
address can't be read; parameters that can't be read are taken as absent.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec.structs import replace

from sip.errors import SipError
from sip.grammar import digits, is_token, quote
from sip.headers import NameAddr, write_params
from sip.message import Message
from sip.uri import Uri

MAX_ENTRIES: Final = 32
"""Entries read of one message: a call that was sent on more often is a loop."""

MAX_COUNTER: Final = 1_000_000
MAX_INDEX_LEVELS: Final = 16

# index-val = 1*DIGIT *( DOT 1*DIGIT )
_INDEX: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Diversion(msgspec.Struct, frozen=True, gc=False):
    """RFC 5806 4. `reason`: "user-busy", "no-answer", "unconditional"..., "unknown" when absent."""

    address: NameAddr  # display name and URI of who diverted; no parameters
    reason: str = "unknown"
    counter: int = 1  # diversions that this entry stands for
    privacy: str = ""
    screen: str = ""

    @staticmethod
    def parse(text: str) -> Diversion:
        address = NameAddr.parse(text.strip(" \t"), "Diversion")
        counter = address.param("counter")
        return Diversion(
            NameAddr(address.display, address.uri),
            address.param("reason").strip().lower() or "unknown",
            min(int(counter), MAX_COUNTER) if digits(counter) and len(counter) <= 9 else 1,
            address.param("privacy").lower(),
            address.param("screen").lower(),
        )

    def __str__(self) -> str:
        reason = self.reason if is_token(self.reason) else quote(self.reason)
        text = f"{self.address};reason={reason};counter={self.counter}"
        if is_token(self.privacy):
            text += f";privacy={self.privacy}"
        if is_token(self.screen):
            text += f";screen={self.screen}"
        return text


class HistoryEntry(msgspec.Struct, frozen=True, gc=False):
    """RFC 7044 5. `reason` is the Reason header in the URI ("SIP;cause=302"), `change` how the target came about."""

    uri: Uri  # without its headers
    index: tuple[int, ...] = ()  # 1.2 is (1, 2); () when absent or malformed
    reason: str = ""
    privacy: str = ""
    change: str = ""  # "rc=1", "mp=1.1", "np=1": parameter and the index it points to
    display: str = ""

    @staticmethod
    def parse(text: str) -> HistoryEntry:
        address = NameAddr.parse(text.strip(" \t"), "History-Info")
        uri = address.uri
        carried = {name.lower(): value for name, value in uri.headers.items()}
        reason, privacy = carried.get("reason", ""), carried.get("privacy", "")
        if _CONTROL.search(reason) or _CONTROL.search(privacy):
            raise SipError(400, "Bad History-Info: malformed header in the URI")
        change = ""
        for name in ("rc", "mp", "np"):
            value = address.params.get(name)
            if value and _INDEX.fullmatch(value):
                change = f"{name}={value}"
        if uri.headers:
            uri = replace(uri, headers={})
        return HistoryEntry(uri, _read_index(address.param("index")), reason, privacy, change, address.display)

    def __str__(self) -> str:
        headers = {}
        if self.reason:
            headers["Reason"] = self.reason
        if self.privacy:
            headers["Privacy"] = self.privacy
        params: dict[str, str | None] = {}
        if self.index:
            params["index"] = ".".join(map(str, self.index))
        if self.change:
            name, _, value = self.change.partition("=")
            params[name] = value
        uri = replace(self.uri, headers=headers) if headers else self.uri
        return str(NameAddr(self.display, uri)) + write_params(params)


def _read_index(text: str) -> tuple[int, ...]:
    if not _INDEX.fullmatch(text):
        return ()
    return tuple(int(part) for part in text.split(".")[:MAX_INDEX_LEVELS])


def diversions_of(message: Message) -> list[Diversion]:
    """The newest `MAX_ENTRIES` of them, newest first."""
    return [Diversion.parse(value) for value in message.values("Diversion")[:MAX_ENTRIES]]


def history_of(message: Message) -> list[HistoryEntry]:
    """The newest `MAX_ENTRIES` of them, oldest first."""
    return [HistoryEntry.parse(value) for value in message.values("History-Info")[-MAX_ENTRIES:]]

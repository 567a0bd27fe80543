"""What waits to be written: records of the last moment, and those that the database would not take.

    add ---> fresh ---- take ---> Group ---> written
               |                    |
               +--> spool <- put_back (away, locked, full)

Fresh records are kept as they are; spooled ones packed, a third of the size, since ten minutes of a busy switch may
pile up. Nothing waits in any order but its own: records oldest first, of a binding only the latest word.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

import msgspec

from softswitch.store.records import BindingRecord, CdrRecord

MAX_CDRS = 300_000
"""Records waiting: ten minutes at 500 calls/s, some 150 MB packed. Beyond that new ones are lost, and counted."""

MAX_BINDINGS = 200_000
"""Bindings with news; four times what a registrar holds."""

BindingKey = tuple[str, str]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CdrRecord).decode


class Group(msgspec.Struct, gc=False):
    """What goes into one transaction. A binding's value is None where it is to be forgotten."""

    cdrs: list[CdrRecord]
    bindings: dict[BindingKey, BindingRecord | None]


class Pending:
    """Bounded; what does not fit is counted in `lost_cdrs` and `lost_bindings`."""

    __slots__ = ("_bindings", "_fresh", "_max_bindings", "_max_cdrs", "_spool", "lost_bindings", "lost_cdrs")

    def __init__(self, max_cdrs: int = MAX_CDRS, max_bindings: int = MAX_BINDINGS) -> None:
        self.lost_cdrs = 0
        self.lost_bindings = 0
        self._fresh: list[CdrRecord] = []
        self._spool: deque[bytes] = deque()
        self._bindings: dict[BindingKey, BindingRecord | None] = {}
        self._max_cdrs = max_cdrs
        self._max_bindings = max_bindings

    def __len__(self) -> int:
        return len(self._fresh) + len(self._spool) + len(self._bindings)

    @property
    def spooled(self) -> int:
        """Records that wait because the database would not take them."""
        return len(self._spool)

    def add_cdr(self, record: CdrRecord) -> None:
        if len(self._fresh) + len(self._spool) >= self._max_cdrs:
            self.lost_cdrs += 1
            return
        self._fresh.append(record)

    def add_binding(self, key: BindingKey, record: BindingRecord | None) -> None:
        bindings = self._bindings
        if len(bindings) >= self._max_bindings and key not in bindings:
            self.lost_bindings += 1
            return
        bindings[key] = record

    def take(self, most: int) -> Group:
        """The next group: at most so many records, the oldest first, and as many bindings."""
        spool = self._spool
        cdrs = [_decode(spool.popleft()) for _ in range(min(most, len(spool)))]
        fresh = self._fresh
        room = most - len(cdrs)
        if len(fresh) <= room:
            cdrs += fresh
            self._fresh = []
        else:
            cdrs += fresh[:room]
            del fresh[:room]
        bindings = self._bindings
        if len(bindings) <= most:
            self._bindings = {}
        else:
            chosen = list(islice(bindings, most))
            self._bindings, bindings = bindings, {key: bindings.pop(key) for key in chosen}
        return Group(cdrs, bindings)

    def put_back(self, group: Group) -> None:
        """The database did not take it: it goes first next time. Newer words on a binding stay."""
        self._spool.extendleft([_encode(record) for record in reversed(group.cdrs)])
        self._spool.extend([_encode(record) for record in self._fresh])
        self._fresh.clear()
        self._bindings = {**group.bindings, **self._bindings}

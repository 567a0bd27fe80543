"""What waits to be written: records of the last moment, and those that the database would not take.

    add ---> fresh ---- take ---> Group ---> written
               |                    |
               +--> spool <- put_back (away, locked, full)

Fresh records are kept as they are; spooled ones packed, a third of the size, since ten minutes of a busy switch may
pile up. Nothing waits in any order but its own: records oldest first, of a binding or a
feature only the latest word.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TypeVar

import msgspec

from softswitch.store.records import BindingRecord, CdrRecord

MAX_CDRS = 300_000
"""Records waiting: ten minutes at 500 calls/s, some 150 MB packed. Beyond that new ones are lost, and counted."""

MAX_BINDINGS = 200_000
"""Bindings with news; four times what a registrar holds."""

MAX_FEATURES = 400_000
"""Features with news; more than the extensions of a switch can have."""

BindingKey = tuple[str, str]
FeatureKey = tuple[str, str]

Key = TypeVar("Key")
Value = TypeVar("Value")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CdrRecord).decode


class Group(msgspec.Struct, gc=False):
    """What goes into one transaction. The value of a binding or a feature is None where it is to be forgotten."""

    cdrs: list[CdrRecord]
    bindings: dict[BindingKey, BindingRecord | None]
    features: dict[FeatureKey, str | None] = {}


class Pending:
    """Bounded; what does not fit is counted in `lost_cdrs`, `lost_bindings` and `lost_features`."""

    __slots__ = (
        "_bindings",
        "_features",
        "_fresh",
        "_max_bindings",
        "_max_cdrs",
        "_max_features",
        "_spool",
        "lost_bindings",
        "lost_cdrs",
        "lost_features",
    )

    def __init__(
        self, max_cdrs: int = MAX_CDRS, max_bindings: int = MAX_BINDINGS, max_features: int = MAX_FEATURES
    ) -> None:
        self.lost_cdrs = 0
        self.lost_bindings = 0
        self.lost_features = 0
        self._fresh: list[CdrRecord] = []
        self._spool: deque[bytes] = deque()
        self._bindings: dict[BindingKey, BindingRecord | None] = {}
        self._features: dict[FeatureKey, str | None] = {}
        self._max_cdrs = max_cdrs
        self._max_bindings = max_bindings
        self._max_features = max_features

    def __len__(self) -> int:
        return len(self._fresh) + len(self._spool) + len(self._bindings) + len(self._features)

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

    def add_feature(self, key: FeatureKey, value: str | None) -> None:
        features = self._features
        if len(features) >= self._max_features and key not in features:
            self.lost_features += 1
            return
        features[key] = value

    def take(self, most: int) -> Group:
        """The next group: at most so many records, the oldest first, and as many bindings and features."""
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
        bindings, self._bindings = _split(self._bindings, most)
        features, self._features = _split(self._features, most)
        return Group(cdrs, bindings, features)

    def put_back(self, group: Group) -> None:
        """The database did not take it: it goes first next time. Newer words on a binding or a feature stay."""
        self._spool.extendleft([_encode(record) for record in reversed(group.cdrs)])
        self._spool.extend([_encode(record) for record in self._fresh])
        self._fresh.clear()
        self._bindings = {**group.bindings, **self._bindings}
        self._features = {**group.features, **self._features}


def _split(waiting: dict[Key, Value], most: int) -> tuple[dict[Key, Value], dict[Key, Value]]:
    """The first `most` of what waits, and the rest."""
    if len(waiting) <= most:
        return waiting, {}
    return {key: waiting.pop(key) for key in list(islice(waiting, most))}, waiting

"""Concurrent calls counted by holder (an extension, a trunk), and their limits.

Counted by call id, so that nothing leaks: `release(call)` frees whatever the call held, however often it is said,
and whichever of its legs failed half-way. This is the first brake on toll fraud: a stolen password is worth no more
than its owner's limit.
"""

from __future__ import annotations


class CallLimits:
    """Holders and the calls they hold. A holder is named by the caller: "extension:101", "trunk:carrier"."""

    __slots__ = ("_calls", "_held")

    def __init__(self) -> None:
        self._held: dict[str, set[str]] = {}
        self._calls: dict[str, list[str]] = {}

    def acquire(self, holder: str, limit: int, call: str) -> bool:
        """Count `call` for `holder`; False, and nothing counted, when it has `limit` calls (0: no limit).

        A call counts once for a holder, however many of its legs are there: failover to another gateway of the
        trunk takes no second channel.
        """
        calls = self._held.get(holder)
        if calls is None:
            calls = self._held[holder] = set()
        elif call in calls:
            return True
        elif 0 < limit <= len(calls):
            return False
        calls.add(call)
        holders = self._calls.get(call)
        if holders is None:
            self._calls[call] = [holder]
        else:
            holders.append(holder)
        return True

    def has_room(self, holder: str, limit: int, call: str) -> bool:
        """Whether acquire() would count the call."""
        calls = self._held.get(holder)
        return limit <= 0 or calls is None or call in calls or len(calls) < limit

    def release(self, call: str, holder: str | None = None) -> None:
        """The call ended, or (`holder` given) has left that holder. Unknown calls are fine."""
        holders = self._calls.get(call)
        if holders is None:
            return
        for name in list(holders) if holder is None else [holder] if holder in holders else []:
            calls = self._held[name]
            calls.discard(call)
            if not calls:
                del self._held[name]
            holders.remove(name)
        if not holders:
            del self._calls[call]

    def held(self, holder: str) -> int:
        """Calls of `holder` now."""
        calls = self._held.get(holder)
        return 0 if calls is None else len(calls)

    def __len__(self) -> int:
        """Calls that hold anything."""
        return len(self._calls)

"""Timer values of RFC 3261 (Table 4) and the one heap of deadlines.

Time is monotonic seconds and always an argument. The heap is shared by every layer of the signalling process;
the driver arms one `call_at` for `next_deadline()` and calls `fire_due(now)`.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

import msgspec

Fire = Callable[[float], None]

# Below this many entries a heap is not worth compacting.
COMPACT_FLOOR = 64


class TimerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Base values, seconds; the others follow from them (RFC 3261 17.1.1.1, 17.1.2.1, Table 4; RFC 6026)."""

    t1: float = 0.5  # round-trip time estimate
    t2: float = 4.0  # maximum retransmit interval for non-INVITE requests and INVITE responses
    t4: float = 5.0  # maximum duration a message will remain in the network

    @property
    def b(self) -> float:
        """64*T1: Timers B, F, H, J, L and M, and the wait for a final response after CANCEL."""
        return 64 * self.t1

    @property
    def d(self) -> float:
        """Timer D over unreliable transports: at least 32 s, and not less than Timer H of the other side."""
        return max(32.0, 64 * self.t1)


class Timer:
    """A deadline in a heap. When it fires or is cancelled it drops its callback, so that no cycle is left."""

    __slots__ = ("_fire", "_heap", "at")

    def __init__(self, at: float, fire: Fire, heap: TimerHeap) -> None:
        self.at = at
        self._fire: Fire | None = fire
        self._heap = heap

    @property
    def active(self) -> bool:
        return self._fire is not None

    def cancel(self) -> None:
        """Forget it: O(1), harmless when it has fired or is cancelled already."""
        if self._fire is not None:
            self._fire = None
            self._heap.note_cancelled()


class TimerHeap:
    """Deadlines in order; equal deadlines fire in the order they were scheduled.

    A cancelled entry stays until it is due, but never are more than half of the entries (above a floor)
    cancelled ones: then the heap is rebuilt, so memory follows the number of live timers.
    """

    __slots__ = ("_cancelled", "_entries", "_sequence")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._cancelled = 0

    def __len__(self) -> int:
        """Timers that are still to fire."""
        return len(self._entries) - self._cancelled

    def schedule(self, at: float, fire: Fire) -> Timer:
        """`fire(now)` is called by the first `fire_due(now)` with now >= at."""
        timer = Timer(at, fire, self)
        self._sequence += 1
        heappush(self._entries, (at, self._sequence, timer))
        return timer

    def next_deadline(self) -> float | None:
        entries = self._entries
        while entries:
            at, _, timer = entries[0]
            if timer._fire is not None:
                return at
            heappop(entries)
            self._cancelled -= 1
        return None

    def fire_due(self, now: float, limit: int | None = None) -> int:
        """Call what is due, at most `limit`, and say how many were called.

        A timer scheduled by a callback for a moment not after `now` is called too.
        """
        entries = self._entries
        fired = 0
        while entries and entries[0][0] <= now and fired != limit:
            timer = heappop(entries)[2]
            fire = timer._fire
            if fire is None:
                self._cancelled -= 1
                continue
            timer._fire = None
            fired += 1
            fire(now)
        return fired

    def note_cancelled(self) -> None:
        """One more entry is dead weight (told by `Timer.cancel`)."""
        self._cancelled += 1
        entries = self._entries
        if self._cancelled * 2 > len(entries) > COMPACT_FLOOR:
            # In place: fire_due may hold the list.
            entries[:] = [entry for entry in entries if entry[2]._fire is not None]
            heapify(entries)
            self._cancelled = 0

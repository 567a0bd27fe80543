"""Timer values of RFC 3261 (Table 4) and the one heap of deadlines.

Time is monotonic seconds and always an argument. The heap is shared by every layer of the signalling process;
the driver arms one `call_at` for `next_deadline()` and calls `fire_due(now)`.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final

import msgspec

Fire = Callable[[float], None]

# Below this many cancelled entries nothing is worth compacting.
COMPACT_FLOOR: Final = 64

# Deadlines further off lie unordered, by slots of that many seconds: most are cancelled, and those of 32 s would make
# the heap deep. A power of two, so that the border of a slot is exact.
SLOT: Final = 0.125


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


_Entry = tuple[float, int, Timer]


class TimerHeap:
    """Deadlines in order; equal deadlines fire in the order they were scheduled.

    A deadline lies in its slot until the slot begins, then in the heap. A cancelled entry stays until its slot begins
    or it is due, but never are more than half of the entries (above a floor) cancelled ones: then all are looked
    through, so memory follows the number of live timers.
    """

    __slots__ = ("_begun", "_cancelled", "_entries", "_live", "_sequence", "_slots", "_waiting")

    def __init__(self) -> None:
        self._entries: list[_Entry] = []  # a heap: of the slots that have begun
        self._slots: dict[int, list[_Entry]] = {}  # of the others, by number
        self._waiting: list[int] = []  # their numbers, a heap
        self._begun = -1  # the slot of the last fire_due
        self._sequence = 0
        self._live = 0
        self._cancelled = 0

    def __len__(self) -> int:
        """Timers that are still to fire."""
        return self._live

    def schedule(self, at: float, fire: Fire) -> Timer:
        """`fire(now)` is called by the first `fire_due(now)` with now >= at."""
        timer = Timer(at, fire, self)
        self._sequence += 1
        self._live += 1
        number = int(at / SLOT)
        if number <= self._begun:
            heappush(self._entries, (at, self._sequence, timer))
            return timer
        slot = self._slots.get(number)
        if slot is None:
            self._slots[number] = [(at, self._sequence, timer)]
            heappush(self._waiting, number)
        else:
            slot.append((at, self._sequence, timer))
        return timer

    def next_deadline(self) -> float | None:
        """The earliest deadline, None when nothing is to fire."""
        entries, waiting = self._entries, self._waiting
        while True:
            while entries and entries[0][2]._fire is None:
                heappop(entries)
                self._cancelled -= 1
            if not waiting or (entries and entries[0][0] < waiting[0] * SLOT):
                return entries[0][0] if entries else None
            self._begin()

    def next_wake(self) -> float | None:
        """When `fire_due` is to be called next: at most SLOT before the earliest deadline, and cheaper to say."""
        if self._entries:
            at = self._entries[0][0]
            return min(at, self._waiting[0] * SLOT) if self._waiting else at
        return self._waiting[0] * SLOT if self._waiting else None

    def fire_due(self, now: float, limit: int | None = None) -> int:
        """Call what is due, at most `limit`, and say how many were called.

        A timer scheduled by a callback for a moment not after `now` is called too.
        """
        entries, waiting = self._entries, self._waiting
        self._begun = max(self._begun, int(now / SLOT))
        while waiting and waiting[0] <= self._begun:
            self._begin()
        fired = 0
        while entries and entries[0][0] <= now and fired != limit:
            timer = heappop(entries)[2]
            fire = timer._fire
            if fire is None:
                self._cancelled -= 1
                continue
            timer._fire = None
            self._live -= 1
            fired += 1
            fire(now)
        return fired

    def note_cancelled(self) -> None:
        """One more entry is dead weight (told by `Timer.cancel`)."""
        self._live -= 1
        self._cancelled += 1
        if self._cancelled > max(self._live, COMPACT_FLOOR):
            self._compact()

    def _begin(self) -> None:
        """Move what is left of the next slot into the heap."""
        for entry in self._slots.pop(heappop(self._waiting)):
            if entry[2]._fire is None:
                self._cancelled -= 1
            else:
                heappush(self._entries, entry)

    def _compact(self) -> None:
        # In place: fire_due may hold the lists.
        self._entries[:] = [entry for entry in self._entries if entry[2]._fire is not None]
        heapify(self._entries)
        for number, slot in list(self._slots.items()):
            slot[:] = [entry for entry in slot if entry[2]._fire is not None]
            if not slot:
                del self._slots[number]
        self._waiting[:] = self._slots
        heapify(self._waiting)
        self._cancelled = 0

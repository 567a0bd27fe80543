"""Timer values of RFC 3261 (Table 4) and the one heap of deadlines.

Time is monotonic seconds and always an argument. The heap is shared by every layer of the signalling process;
the driver arms one `call_at` for `next_deadline()` and calls `fire_due(now)`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final, Protocol

import msgspec

Fire = Callable[[float], None]


class Lingering(Protocol):
    """What is kept for a fixed time after its work is done, and then told so."""

    def lingered(self, now: float) -> None:
        """The time is over."""


# Below this many cancelled entries nothing is worth compacting.
COMPACT_FLOOR: Final = 64

# Deadlines further off lie unordered, by slots of that many seconds: most are cancelled, and those of 32 s would make
# the heap deep. A power of two, so that the border of a slot is exact.
SLOT: Final = 0.125

# How much later than its deadline something that lingers may be told under load, so that one wake-up serves many.
LANE_GRAIN: Final = 0.05


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


class Lane:
    """What lingers for one and the same time: a queue in the order of deadlines, with no heap and no Timer for each.

    An entry can't be cancelled: `lingered` of what has ended meanwhile does nothing.
    """

    __slots__ = ("_deadlines", "_items")

    def __init__(self) -> None:
        self._deadlines: deque[float] = deque()
        self._items: deque[Lingering] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def add(self, at: float, item: Lingering) -> None:
        """`at` is not before any deadline that was added earlier."""
        self._deadlines.append(at)
        self._items.append(item)

    def next_deadline(self) -> float | None:
        return self._deadlines[0] if self._deadlines else None

    def fire_due(self, now: float, limit: int | None) -> int:
        """Tell what is due, at most `limit`, and say how many were told."""
        deadlines, items = self._deadlines, self._items
        fired = 0
        while deadlines and deadlines[0] <= now and fired != limit:
            deadlines.popleft()
            fired += 1
            items.popleft().lingered(now)
        return fired


class TimerHeap:
    """Deadlines in order; equal deadlines fire in the order they were scheduled.

    A deadline lies in its slot until the slot begins, then in the heap. A cancelled entry stays until its slot begins
    or it is due, but never are more than half of the entries (above a floor) cancelled ones: then all are looked
    through, so memory follows the number of live timers. What lingers (`linger`) lies in lanes beside it.
    """

    __slots__ = ("_begun", "_cancelled", "_entries", "_lanes", "_live", "_sequence", "_slots", "_waiting")

    def __init__(self) -> None:
        self._entries: list[_Entry] = []  # a heap: of the slots that have begun
        self._slots: dict[int, list[_Entry]] = {}  # of the others, by number
        self._waiting: list[int] = []  # their numbers, a heap
        self._lanes: dict[float, Lane] = {}  # by the time they last: as many as there are such constants
        self._begun = -1  # the slot of the last fire_due
        self._sequence = 0
        self._live = 0
        self._cancelled = 0

    def __len__(self) -> int:
        """Timers that are still to fire, and what lingers."""
        return self._live + sum(map(len, self._lanes.values()))

    def linger(self, seconds: float, item: Lingering, now: float) -> None:
        """Tell `item` when it has lingered so long. For the few constant times of the protocol, not for others."""
        lane = self._lanes.get(seconds)
        if lane is None:
            lane = self._lanes[seconds] = Lane()
        lane.add(now + seconds, item)

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
        nearest = self._next_scheduled()
        for lane in self._lanes.values():
            at = lane.next_deadline()
            if at is not None and (nearest is None or at < nearest):
                nearest = at
        return nearest

    def next_wake(self) -> float | None:
        """When `fire_due` is to be called next, and cheaper to say: at most SLOT before the earliest deadline, at most
        LANE_GRAIN after the earliest of what lingers."""
        nearest = self._entries[0][0] if self._entries else None
        if self._waiting and (nearest is None or self._waiting[0] * SLOT < nearest):
            nearest = self._waiting[0] * SLOT
        for lane in self._lanes.values():
            at = lane.next_deadline()
            if at is not None and (nearest is None or at + LANE_GRAIN < nearest):
                nearest = at + LANE_GRAIN
        return nearest

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
        for lane in tuple(self._lanes.values()):
            if fired == limit:
                break
            fired += lane.fire_due(now, None if limit is None else limit - fired)
        return fired

    def note_cancelled(self) -> None:
        """One more entry is dead weight (told by `Timer.cancel`)."""
        self._live -= 1
        self._cancelled += 1
        if self._cancelled > max(self._live, COMPACT_FLOOR):
            self._compact()

    def _next_scheduled(self) -> float | None:
        entries, waiting = self._entries, self._waiting
        while True:
            while entries and entries[0][2]._fire is None:
                heappop(entries)
                self._cancelled -= 1
            if not waiting or (entries and entries[0][0] < waiting[0] * SLOT):
                return entries[0][0] if entries else None
            self._begin()

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

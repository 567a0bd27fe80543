"""OPTIONS keep-alive ("qualify") of registered contacts and of trunk gateways.

A place that is watched gets an OPTIONS now and then; whoever answers anything is alive, and the time from
request to answer is kept as its round trip. Pure: `due(now)` says which OPTIONS to send, the answers come
back through `answered` and `failed`, and changes of mind are appended to `changes`.

      watch                due                 answered (alive)
    ---------> WAITING ----------> IN FLIGHT ------------------> WAITING, reachable, next after `interval`
                  ^                    |
                  |                    | failed, answered 408 or 503, or no report within `timeout`
                  +--------------------+ failure counted, next after `retry`; unreachable at `failures`

RFC 3261 11.2: "The response code chosen MUST be the same that would have been chosen had the request been an
INVITE", so 404, 405, 486 and 501 are all signs of life. 503 says that nothing can be done there now, and 408
that a proxy on the way heard nothing from the place.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from sip.effects import Destination
    from sip.ids import Ids

JITTER = 0.1
"""Share of an interval by which the next OPTIONS is moved, so that places watched together drift apart."""

DEAD_STATUSES = frozenset((408, 503))
"""Answers that do not show the place to be alive."""

PlaceT = TypeVar("PlaceT", bound=Hashable)


class QualifySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Pace of the keep-alive."""

    interval: float = 60.0
    """Seconds between two OPTIONS to one place where `watch` names none."""
    retry: float = 10.0
    """Seconds to the next OPTIONS after a failure, until the place counts as unreachable."""
    failures: int = 2
    """Failures in a row after which a place is unreachable."""
    in_flight: int = 500
    """OPTIONS awaiting an answer at one time; a dead place holds one for 32 s (64*T1)."""
    timeout: float = 40.0
    """Seconds after which an OPTIONS nobody reported on counts as failed (longer than 64*T1)."""


class PingTarget(msgspec.Struct, frozen=True):
    """Where an OPTIONS goes: Request-URI, destination as in Stack.send, and Route values in order."""

    uri: str
    destination: Destination = None
    route: tuple[str, ...] = ()


class Ping(msgspec.Struct, Generic[PlaceT]):
    """Send an OPTIONS now; report `id` to answered() or failed()."""

    id: int
    place: PlaceT
    target: PingTarget


class HealthChanged(msgspec.Struct, Generic[PlaceT]):
    """A place went dead or came back. `rtt` in seconds, None when no answer told it."""

    place: PlaceT
    reachable: bool
    rtt: float | None


class Health(msgspec.Struct, gc=False):
    """What is known of a place. Not yet asked counts as reachable."""

    reachable: bool = True
    rtt: float | None = None
    """Seconds of the last answered OPTIONS."""
    failures: int = 0
    """Failures since the last answer."""
    answered_at: float | None = None
    """Monotonic seconds of the last answer."""


class _Watched(msgspec.Struct):
    target: PingTarget
    interval: float
    health: Health
    turn: int
    """The heap entry or the ping that holds for this place; an older one is void."""


class Qualify(Generic[PlaceT]):
    """Keep-alive of many places. A place is any hashable key of the caller's."""

    __slots__ = ("_flying", "_ids", "_places", "_settings", "_timeouts", "_turn", "_waiting", "changes")

    def __init__(self, settings: QualifySettings, ids: Ids) -> None:
        self._settings = settings
        self._ids = ids
        self._places: dict[PlaceT, _Watched] = {}
        self._waiting: list[tuple[float, int, PlaceT]] = []
        self._flying: dict[int, PlaceT] = {}
        self._timeouts: deque[tuple[float, int]] = deque()
        self._turn = 0
        self.changes: list[HealthChanged[PlaceT]] = []

    # What is watched

    def watch(self, place: PlaceT, target: PingTarget, now: float, interval: float | None = None) -> None:
        """Ask `place` every `interval` seconds (None: the settings'; 0: never), or change where or how often.

        The first OPTIONS comes at a random moment of the first interval, so that ten thousand contacts
        restored at start are not asked in one burst.
        """
        interval = self._settings.interval if interval is None else interval
        watched = self._places.get(place)
        if interval <= 0:
            self.unwatch(place)
            return
        if watched is None:
            watched = _Watched(target, interval, Health(), 0)
            self._places[place] = watched
            self._wait(place, watched, now + interval * self._ids.random())
            return
        changed = watched.interval != interval
        watched.target = target
        watched.interval = interval
        if changed and watched.turn not in self._flying:
            self._wait(place, watched, now + interval * self._ids.random())

    def heard(self, place: PlaceT, now: float) -> None:
        """The place has just spoken to us (it registered): a dead one gets another chance and is asked at once."""
        watched = self._places.get(place)
        if watched is None or watched.health.reachable:
            return
        health = watched.health
        health.reachable = True
        # One failure from being dead again.
        health.failures = self._settings.failures - 1
        self.changes.append(HealthChanged(place, True, None))
        if watched.turn not in self._flying:
            self._wait(place, watched, now)

    def unwatch(self, place: PlaceT) -> None:
        """Forget a place; an answer still to come is ignored."""
        watched = self._places.pop(place, None)
        if watched is not None:
            self._flying.pop(watched.turn, None)

    def places(self) -> list[PlaceT]:
        """Everything that is watched."""
        return list(self._places)

    def health(self, place: PlaceT) -> Health | None:
        """What is known of a place; None when it is not watched."""
        watched = self._places.get(place)
        return None if watched is None else watched.health

    def rtt(self, place: PlaceT) -> float | None:
        """Seconds of the last answered OPTIONS; None before one, while it is dead, and when it is not watched."""
        watched = self._places.get(place)
        return None if watched is None else watched.health.rtt

    def reachable(self, place: PlaceT) -> bool:
        """False only for a place known to be dead."""
        watched = self._places.get(place)
        return watched is None or watched.health.reachable

    # Time

    def next_deadline(self) -> float | None:
        """When due() has something to do next, in monotonic seconds."""
        timeouts, flying = self._timeouts, self._flying
        while timeouts and timeouts[0][1] not in flying:
            timeouts.popleft()
        deadline = timeouts[0][0] if timeouts else None
        if len(flying) < self._settings.in_flight:
            self._drop_void()
            if self._waiting and (deadline is None or self._waiting[0][0] < deadline):
                deadline = self._waiting[0][0]
        return deadline

    def due(self, now: float) -> list[Ping[PlaceT]]:
        """The OPTIONS to send now; those that nobody reported on in time are counted as failed first."""
        timeouts = self._timeouts
        while timeouts and timeouts[0][0] <= now:
            self.failed(timeouts.popleft()[1], now)
        pings: list[Ping[PlaceT]] = []
        while self._waiting and self._waiting[0][0] <= now and len(self._flying) < self._settings.in_flight:
            _, turn, place = heapq.heappop(self._waiting)
            watched = self._places.get(place)
            if watched is None or watched.turn != turn:
                continue
            self._flying[turn] = place
            timeouts.append((now + self._settings.timeout, turn))
            pings.append(Ping(turn, place, watched.target))
        return pings

    # What came back

    def answered(self, ping: int, status: int, rtt: float, now: float) -> None:
        """A final response came `rtt` seconds after the request."""
        if status in DEAD_STATUSES:
            self.failed(ping, now)
            return
        place = self._flying.pop(ping, None)
        if place is None:
            return
        watched = self._places[place]
        health = watched.health
        health.rtt = rtt
        health.failures = 0
        health.answered_at = now
        if not health.reachable:
            health.reachable = True
            self.changes.append(HealthChanged(place, True, rtt))
        self._wait(place, watched, now + self._jittered(watched.interval))

    def failed(self, ping: int, now: float) -> None:
        """The OPTIONS timed out or could not be sent."""
        place = self._flying.pop(ping, None)
        if place is None:
            return
        watched = self._places[place]
        health = watched.health
        health.failures += 1
        if health.failures >= self._settings.failures and health.reachable:
            health.reachable = False
            health.rtt = None
            self.changes.append(HealthChanged(place, False, None))
        pause = min(self._settings.retry, watched.interval) if health.reachable else watched.interval
        self._wait(place, watched, now + self._jittered(pause))

    # Inside

    def _wait(self, place: PlaceT, watched: _Watched, at: float) -> None:
        self._turn += 1
        watched.turn = self._turn
        heapq.heappush(self._waiting, (at, self._turn, place))

    def _drop_void(self) -> None:
        """Take entries off the heap's top whose place is gone or was scheduled anew."""
        waiting = self._waiting
        while waiting:
            _, turn, place = waiting[0]
            watched = self._places.get(place)
            if watched is not None and watched.turn == turn:
                return
            heapq.heappop(waiting)

    def _jittered(self, seconds: float) -> float:
        return seconds * (1.0 - JITTER + 2.0 * JITTER * self._ids.random())

"""All conferences by name: each exists while somebody is in it, or is being called into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from softswitch.conference.room import Conference
from softswitch.conference.settings import ConferenceRoom
from softswitch.conference.vocabulary import (
    AnyCommand,
    AnyEffect,
    AnyEvent,
    AnyMemberEvent,
    AnyOutcome,
    Barred,
    Dial,
    ForgetName,
    Join,
    Kick,
    NameRecorded,
    Place,
    Refused,
    Replaced,
    RoomView,
    Tick,
)


class Conferences:
    """Rooms that are in use. `new_id` gives ids that no stream, room, play or recording has; `language` is that of
    rooms without one. `rooms` are their settings; a conference of another name (two calls that became one) is as all
    rooms are by default."""

    __slots__ = ("_by_id", "_by_member", "_by_name", "_due", "_language", "_new_id", "_rooms")

    def __init__(self, rooms: Mapping[str, ConferenceRoom], new_id: Callable[[], int], language: str = "") -> None:
        self._rooms = rooms
        self._new_id = new_id
        self._language = language
        self._by_name: dict[str, Conference] = {}
        self._by_id: dict[int, Conference] = {}
        self._by_member: dict[int, Conference] = {}
        self._due = inf

    def __len__(self) -> int:
        return len(self._by_id)

    def configure(self, rooms: Mapping[str, ConferenceRoom], language: str) -> None:
        """Other settings, which rooms have that open from now on."""
        self._rooms = rooms
        self._language = language

    # ---- receive

    def arrived(self, name: str, event: Join | Place | Barred, now: float) -> list[AnyEffect]:
        """Somebody comes into the conference of that name. Who is in one already leaves it first by `Leave`. A call
        that no conference waits for any more is kicked."""
        there = self._by_name.get(name)
        if isinstance(event, Place) and event.dial and (there is None or not there.awaits(event.dial)):
            return [Kick(0 if there is None else there.id, event.member, "ended")]
        if event.member in self._by_member:
            return []
        room = there or self._opened(name)
        self._by_member[event.member] = room
        return self._handled(room, event, now)

    def member(self, event: AnyMemberEvent, now: float) -> list[AnyEffect]:
        """Something about somebody who is in a conference; of others it means nothing."""
        room = self._by_member.get(event.member)
        if room is None:
            return []
        if isinstance(event, Replaced):
            if event.stream in self._by_member:
                return []
            self._by_member[event.stream] = room
        return self._handled(room, event, now)

    def outcome(self, event: AnyOutcome, now: float) -> list[AnyEffect]:
        """What came of an effect. The file of a name that comes after its room has closed is deleted."""
        room = self._by_id.get(event.room)
        if room is not None:
            return self._handled(room, event, now)
        return [ForgetName(event.room, event.path)] if isinstance(event, NameRecorded) else []

    def command(self, name: str, command: AnyCommand, now: float) -> list[AnyEffect]:
        """Of a host or the operator. To dial somebody opens the room."""
        room = self._by_name.get(name)
        if room is None and isinstance(command, Dial) and not command.by:
            room = self._opened(name)
        if room is None:
            return [Refused(0, command.by, f"nobody is in conference {name!r}")]
        return self._handled(room, command, now)

    def tick(self, now: float) -> list[AnyEffect]:
        due = [room for room in self._by_id.values() if room.deadline is not None and room.deadline <= now]
        effects = [effect for room in due for effect in self._handled(room, Tick(), now)]
        exact = self.deadline
        self._due = inf if exact is None else exact
        return effects

    # ---- next deadline

    @property
    def deadline(self) -> float | None:
        """When `tick` is wanted, None: never."""
        return min((at for room in self._by_id.values() if (at := room.deadline) is not None), default=None)

    @property
    def due(self) -> float:
        """`deadline`, or a moment before it, without looking at every room; infinite: never."""
        return self._due if self._by_id else inf

    # ---- view

    def names(self) -> list[str]:
        """Of the rooms that are in use."""
        return sorted(self._by_name)

    def name_of(self, room: int) -> str:
        """Of a room that is in use by its id, "" for none."""
        found = self._by_id.get(room)
        return "" if found is None else found.name

    def asks(self, name: str) -> bool:
        """Whether callers of that conference are asked for a PIN."""
        there = self._by_name.get(name)
        settings = there.settings if there is not None else self._rooms.get(name)
        return settings is not None and (settings.pin is not None or settings.host_pin is not None)

    def conference(self, member: int) -> str:
        """The name of the conference that a stream is in, "" for none."""
        room = self._by_member.get(member)
        return "" if room is None else room.name

    def view(self, name: str) -> RoomView | None:
        room = self._by_name.get(name)
        return None if room is None else room.view()

    # ---- private

    def _opened(self, name: str) -> Conference:
        settings = self._rooms.get(name) or ConferenceRoom()
        room = Conference(name, self._new_id(), settings, self._new_id, self._language)
        self._by_name[name] = self._by_id[room.id] = room
        return room

    def _handled(self, room: Conference, event: AnyEvent, now: float) -> list[AnyEffect]:
        effects = room.handle(event, now)
        self._due = min(self._due, inf if room.deadline is None else room.deadline)
        if room.ended and self._by_name.get(room.name) is room:
            del self._by_name[room.name]  # who comes now begins another one
        for member in room.gone():
            del self._by_member[member]
        if room.is_empty:
            del self._by_id[room.id]
        return effects

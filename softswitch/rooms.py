"""Conferences by name: who is in which room of the media engine, and what tells them so.

Pure: a leg enters or leaves, and the commands for the engine come back. A room exists while somebody is in it.
"""

from __future__ import annotations

from collections.abc import Callable

from media.audio_commands import AudioCommand, CloseRoom, Play, SetRoom, Tone

BEEP = Tone("beep")


class Room:
    """One conference."""

    __slots__ = ("id", "members", "name")

    def __init__(self, name: str, room: int) -> None:
        self.name = name
        self.id = room
        self.members: list[int] = []

    def stated(self) -> SetRoom:
        return SetRoom(self.id, tuple(self.members))


class Rooms:
    """All conferences. `new_id` gives ids that no other room or play has."""

    __slots__ = ("_by_member", "_by_name", "_new_id")

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id
        self._by_name: dict[str, Room] = {}
        self._by_member: dict[int, Room] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def members(self, name: str) -> tuple[int, ...]:
        """Who is in that conference."""
        room = self._by_name.get(name)
        return tuple(room.members) if room is not None else ()

    def conference(self, stream: int) -> str:
        """The name of the conference that a stream is in, "" for none."""
        room = self._by_member.get(stream)
        return room.name if room is not None else ""

    def enter(self, name: str, stream: int) -> list[AudioCommand]:
        """A stream joins, and everybody hears a beep. One that is in it already was lost with its media process, and is
        back: the room is stated anew, and nobody is told."""
        there = self._by_member.get(stream)
        if there is not None:
            return [there.stated()]
        room = self._by_name.get(name)
        if room is None:
            room = self._by_name[name] = Room(name, self._new_id())
        room.members.append(stream)
        self._by_member[stream] = room
        return self._changed(room)

    def leave(self, stream: int) -> list[AudioCommand]:
        """A stream is about to close: whoever stays hears a beep. Nothing for one that is in no conference."""
        room = self._by_member.pop(stream, None)
        if room is None:
            return []
        room.members.remove(stream)
        if room.members:
            return self._changed(room)
        del self._by_name[room.name]
        return [CloseRoom(room.id)]

    def _changed(self, room: Room) -> list[AudioCommand]:
        return [
            room.stated(),
            Play(self._new_id(), (BEEP,), room=room.id, over=True),
        ]

"""Who hears whom: rooms and their members, and what each member's signal is made of. Pure.

A room is a matrix of gains (media/audio_commands.SetRoom). From it, what plays, and who is muted or deaf, follows one
list of (source, gain) per listener; those with equal lists share one signal, which is mixed and encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from media.mixture import Sum

if TYPE_CHECKING:
    from media.phase import Phase
    from media.player import Player

TOTAL_FROM = 5
"""Talkers from which a room is summed up as a whole, and each member takes itself out."""


class Member(Protocol):
    """A stream as its room sees it."""

    stream: int
    source: int
    """Its row among the sources; 0: it says nothing."""
    hears: float
    deaf: bool

    @property
    def silent(self) -> bool:
        """Nobody hears it."""


class Playing(Protocol):
    """What plays to a member, or to all of a room."""

    source: int
    """Its row among the sources; 0: nothing plays."""
    over: bool
    """Together with everything else, not in its stead."""


class Room:
    """A room's matrix. `members` by stream, in the order of their coming."""

    __slots__ = ("_by_listener", "gain", "gains", "id", "members", "phase", "player", "talkers")

    def __init__(self, room: int) -> None:
        self.id = room
        self.members: tuple[int, ...] = ()
        self.gain = 1.0
        self.gains: dict[tuple[int, int], float] = {}
        self.talkers = False
        self.phase: Phase | None = None
        self.player: Player | None = None
        self._by_listener: dict[int, list[tuple[int, float]]] = {}

    def set(self, members: tuple[int, ...], gain: float, gains: Iterable[tuple[int, int, float]]) -> None:
        self.members = tuple(dict.fromkeys(members))
        self.gain = gain
        self.gains = {(listener, talker): value for listener, talker, value in gains}
        self._by_listener = {}
        for (listener, talker), value in self.gains.items():
            self._by_listener.setdefault(listener, []).append((talker, value))

    def without(self, streams: Iterable[int]) -> None:
        """These are members no more: they are gone, or in another room."""
        gone = set(streams)
        if not gone.isdisjoint(self.members):
            self.members = tuple(stream for stream in self.members if stream not in gone)

    @property
    def plain(self) -> bool:
        """Every member hears every other one, and nothing else."""
        return self.gain > 0 and not self.gains and self.player is None

    def between(self, listener: int, talker: int) -> float:
        """At what gain one member hears another, or itself."""
        given = self.gains.get((listener, talker))
        if given is not None:
            return given
        return 0.0 if listener == talker else self.gain

    def sums(
        self,
        members: Mapping[int, Member],
        playing: Callable[[int], Playing | None],
        all_hear: Playing | None,
        total: Callable[[Sum], int],
    ) -> Iterable[tuple[int, Sum]]:
        """(stream, what it hears) of each member that is in `members`. `playing` gives what plays to one stream alone,
        `all_hear` what plays to all; `total` makes a row of a sum and tells its number."""
        present = [members[stream] for stream in self.members if stream in members]
        talkers = [member for member in present if member.source and not member.silent]
        talking = {member.stream: member for member in talkers}
        whole = 0
        if len(talkers) >= TOTAL_FROM and self.gain:
            whole = total(tuple((member.source, 1.0) for member in talkers))
        for member in present:
            yield member.stream, self._sum(member, talking, whole, playing(member.stream), all_hear)

    def _sum(
        self,
        member: Member,
        talking: Mapping[int, Member],
        whole: int,
        own: Playing | None,
        all_hear: Playing | None,
    ) -> Sum:
        volume = member.hears
        played = [each for each in (own, all_hear) if each is not None and each.source]
        sums: list[tuple[int, float]] = []
        if not member.deaf and all(each.over for each in played):
            if whole:
                sums = self._of_total(member, whole, talking)
            else:
                for talker in talking.values():
                    gain = self.between(member.stream, talker.stream)
                    if gain:
                        sums.append((talker.source, gain * volume))
        # What plays to one alone comes before what plays to all.
        for each in played:
            sums.append((each.source, volume))
            if not each.over:
                break
        return tuple(sums)

    def _of_total(self, member: Member, whole: int, talking: Mapping[int, Member]) -> list[tuple[int, float]]:
        gain, volume = self.gain, member.hears
        sums = [(whole, gain * volume)]
        differing = dict(self._by_listener.get(member.stream, ()))
        differing.setdefault(member.stream, 0.0)
        for stream, wanted in differing.items():
            talker = talking.get(stream)
            if talker is None or wanted == gain:
                continue
            sums.append((talker.source, (wanted - gain) * volume))
        return sums

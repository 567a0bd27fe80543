"""The floor of a conference: who is on it, what is played there, and what the media engine has been told.

Everything else changes members and flags; `_settled`, called after every event, states the difference. So nobody is
heard because some branch forgot to say that it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from media.audio_commands import Music, Silence, Source, Tone
from softswitch.conference.member import HOLDS_A_PLACE, Member, State
from softswitch.conference.phrases import Line, Voice
from softswitch.conference.settings import ConferenceRoom
from softswitch.conference.vocabulary import (
    OPERATOR,
    AnyEffect,
    CancelDial,
    Closed,
    ForgetName,
    Kick,
    Level,
    Matrix,
    PauseRecording,
    PlayAll,
    PlayEnded,
    PlayTo,
    RecordingMembers,
    RecordRoom,
    Stands,
    StopPlay,
    StopRecording,
    Told,
    What,
    Why,
)

ENTRY_TONE = Line((Tone("beep"),))
EXIT_TONE = Line((Tone("beep"), Silence(0.1), Tone("beep")))
LAST_WORDS_SECONDS = 15.0
"""A member is kicked after this although the play that tells it why has not ended."""


class Playing(NamedTuple):
    """A play under way. `member` 0: to everybody. `then` is called with the member when it has ended."""

    member: int
    text: str
    """Spoken where the sources fail; "": nothing is."""
    then: Callable[[Member, float], None] | None
    forget: str = ""
    """A file that is needed no more after it."""


class Floor:
    """Members, plays and the recording of one room."""

    __slots__ = (
        "_dials",
        "_effects",
        "_gone",
        "_guests_muted",
        "_locked",
        "_members",
        "_new_id",
        "_plays",
        "_recorded",
        "_recording",
        "_recording_paused",
        "_recording_wanted",
        "_stated",
        "_voice",
        "ended",
        "id",
        "name",
        "settings",
    )

    def __init__(
        self, name: str, room: int, settings: ConferenceRoom, new_id: Callable[[], int], language: str
    ) -> None:
        self.name = name
        self.id = room
        self.settings = settings
        self.ended = False
        """It takes nobody any more; those in it hear the last words."""
        self._new_id = new_id
        self._voice = Voice(settings.language, language)
        self._members: dict[int, Member] = {}  # in order of arrival
        self._gone: list[int] = []  # members no more, not yet asked for
        self._plays: dict[int, Playing] = {}
        self._dials: dict[int, int] = {}  # under way: the member that wanted it
        self._locked = settings.lock
        self._guests_muted = settings.mute_guests
        self._stated: tuple[int, ...] = ()  # the matrix
        self._recording_wanted = settings.record
        self._recording_paused = False
        self._recording = 0
        self._recorded: tuple[int, ...] = ()
        self._effects: list[AnyEffect] = []

    # ---- who is there

    def _on_floor(self) -> list[Member]:
        return [member for member in self._members.values() if member.state is State.IN]

    def _hosts(self) -> list[Member]:
        return [member for member in self._on_floor() if member.is_host]

    def _in_state(self, state: State) -> list[Member]:
        return [member for member in self._members.values() if member.state is state]

    def _places_taken(self) -> int:
        return sum(member.state in HOLDS_A_PLACE for member in self._members.values())

    def _tell(self, what: What, member: int = 0, by: int = OPERATOR, text: str = "") -> None:
        self._effects.append(Told(self.id, what, member, by, text))

    # ---- what is heard

    def _say(
        self,
        member: Member,
        line: Line,
        then: Callable[[Member, float], None] | None = None,
        *,
        hush: bool = True,
    ) -> None:
        """Play to one member, instead of what plays to it now or (not `hush`) after it."""
        if hush:
            self._hush(member)
        if line.sources:
            self._play_to(member, line.sources, line.text, then)

    def _play_to(
        self, member: Member, sources: tuple[Source, ...], text: str, then: Callable[[Member, float], None] | None
    ) -> None:
        play = self._new_id()
        self._plays[play] = Playing(member.stream, text, then)
        member.plays.add(play)
        self._effects.append(PlayTo(self.id, play, member.stream, sources))

    def _say_to_all(self, line: Line, forget: str = "") -> None:
        """Play to everybody on the floor; with nobody there nothing plays. `forget`: a file to be deleted after it."""
        if not self._on_floor() or not line.sources:
            self._forget_name(forget)
            return
        play = self._new_id()
        self._plays[play] = Playing(0, line.text, None, forget)
        self._effects.append(PlayAll(self.id, play, line.sources))

    def _music(self, member: Member, now: float) -> None:
        """Without an end, until it is hushed."""
        self._say(member, Line((Music(self.settings.music),)))

    def _hush(self, member: Member) -> None:
        for play in sorted(member.plays):
            del self._plays[play]
            self._effects.append(StopPlay(self.id, play))
        member.plays.clear()

    def _play_ended(self, event: PlayEnded, now: float) -> None:
        """The text is spoken where the sound files failed; then goes on what waited for the end."""
        playing = self._plays.pop(event.play, None)
        if playing is None:
            return
        member = self._members.get(playing.member)
        if member is not None:
            member.plays.discard(event.play)
        if event.failed and playing.text:
            again = Line((self._voice.speech(playing.text),))
            if member is not None:
                self._play_to(member, again.sources, "", playing.then)
            else:
                self._say_to_all(again, playing.forget)
            return
        self._forget_name(playing.forget)
        if member is not None and playing.then is not None:
            playing.then(member, now)

    def _forget_name(self, path: str) -> None:
        if path:
            self._effects.append(ForgetName(self.id, path))

    # ---- going

    def _stands(self, member: Member, state: State) -> None:
        member.state = state
        self._effects.append(Stands(self.id, member.stream, state.value))

    def _turn_away(self, member: Member, why: Why, line: Line, now: float) -> None:
        """Off the floor at once; its call ends when it has heard why."""
        self._stands(member, State.LEAVING)
        member.why = why
        member.menu = False
        member.deadline = now + LAST_WORDS_SECONDS
        self._say(member, line, self._kicked)

    def _kicked(self, member: Member, now: float) -> None:
        why = member.why
        self._remove(member)
        self._effects.append(Kick(self.id, member.stream, why))

    def _remove(self, member: Member) -> None:
        """Nothing of it is left but its name, which whoever stays may still hear."""
        del self._members[member.stream]
        self._gone.append(member.stream)
        self._remove_plays(member)
        self._tell("left", member.stream)
        if not self._members:
            self.ended = True  # calls under way into it would find nobody

    def _reset(self, member: Member) -> None:
        """Its stream is, or may be, needed elsewhere: as streams are at first, and without what plays to it."""
        self._hush(member)
        if member.level is not None and member.level != Level(self.id, member.stream):
            self._effects.append(Level(self.id, member.stream))
        member.level = None

    def _remove_plays(self, member: Member) -> None:
        """They ended with its stream."""
        for play in member.plays:
            del self._plays[play]
        member.plays.clear()

    def _cancel_dials(self) -> None:
        self._effects += [CancelDial(self.id, dial) for dial in self._dials]
        self._dials.clear()

    # ---- what the media engine is told

    def _settled(self) -> list[AnyEffect]:
        """All effects of an event: the floor first, then what is played there and told."""
        others, self._effects = self._effects, []
        members = list(self._members.values())
        on_floor = [member for member in members if member.state is State.IN]
        # Muted before it is connected, disconnected before it is unmuted.
        for member in on_floor:
            self._state_level(member)
        streams = tuple(member.stream for member in on_floor)
        if streams != self._stated:
            self._stated = streams
            self._effects.append(Matrix(self.id, streams, self.settings.talkers))
        for member in members:
            if member.state is not State.IN:
                self._state_level(member)
        self._state_recording(streams, tuple(member.stream for member in on_floor if not member.lost))
        effects, self._effects = self._effects + others, []
        if not members and (self.ended or not self._dials):
            self._cancel_dials()
            effects += (*self._effects, *self._closing())
            self._effects = []
        return effects

    def _state_level(self, member: Member) -> None:
        level = member.level_in(self.id)
        if level != (member.level or Level(self.id, member.stream)):
            member.level = level
            self._effects.append(level)
        if member.talking and (member.state is not State.IN or level.muted):
            member.talking = False
            self._tell("quiet", member.stream)

    def _state_recording(self, on_floor: tuple[int, ...], streams: tuple[int, ...]) -> None:
        """`streams`: those of them that are not lost; with none of them no recording can begin."""
        if not self._recording_wanted or self.ended or not on_floor:
            if self._recording:
                self._effects.append(StopRecording(self.id, self._recording))
            self._recording = 0
            self._recording_paused = False
        elif not self._recording:
            if not streams:
                return
            self._recording = self._new_id()
            self._recorded = streams
            self._effects.append(RecordRoom(self.id, self._recording, streams))
            if self._recording_paused:
                self._effects.append(PauseRecording(self.id, self._recording, True))
        elif (streams or on_floor) != self._recorded:
            self._recorded = streams or on_floor
            self._effects.append(RecordingMembers(self.id, self._recording, self._recorded))

    def _closing(self) -> Iterator[AnyEffect]:
        self.ended = True
        yield from (ForgetName(self.id, playing.forget) for playing in self._plays.values() if playing.forget)
        self._plays.clear()
        yield Closed(self.id)

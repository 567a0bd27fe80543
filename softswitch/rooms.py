"""Conference rooms in calls: legs and what they press go to `softswitch.conference`, whose effects are carried out.

    leg enters, leaves, presses, is lost, is replaced --> Conferences --effects--> media engine, and `RoomCalls`
    plays and recordings of rooms end             --> Conferences                  (kick, call a number)

A leg is in one room at most. Effects are carried out in the order in which the rooms wanted them, even where carrying
out one of them is what brings the next about.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from math import inf
from typing import Protocol

import msgspec
import structlog

from media.audio_commands import (
    Detect,
    PlayEnded,
    RecordingFailed,
    RecordingStarted,
    SetRecordingChannels,
    StartRecording,
    StreamLabels,
    label,
)
from media.client import MediaClient
from sip.timers import Timer, TimerHeap
from softswitch.audio_line import RecordingForm
from softswitch.call_recording import RecordingEvent
from softswitch.conference import vocabulary as v
from softswitch.conference.audio import command_of
from softswitch.conference.conferences import Conferences
from softswitch.conference.settings import ConferenceRoom
from softswitch.contact import Contact, RecordingNote
from softswitch.pace import Pace
from softswitch.recording_labels import leg_label
from softswitch.vocabulary import Party

log = structlog.get_logger("conferences")

TELEPHONE_DIGITS = frozenset("0123456789*#")

QUIET = frozenset(("talking", "quiet", "volume"))
"""What is not logged but for whoever debugs."""


PINS_AT_ONCE = 30.0
PINS_PER_SECOND = 1 / 60
"""Wrong PINs for one room from one extension or trunk. Beyond these its callers are turned away until some time has
passed: a PIN of six digits takes more than a year to be guessed so. Who comes from elsewhere notices nothing."""


class ConferenceRefused(ValueError):
    """A command that was not carried out: `args[0]` says why."""


class Occupant(msgspec.Struct):
    """Who is on a leg. `tones`: its digits come as tones in the audio; `holds`: its telephone holds."""

    contact: Contact
    party: Party
    kind: str
    endpoint: str
    tones: bool = False
    holds: bool = False


class RoomCalls(Protocol):
    """What rooms want of calls."""

    def occupant(self, leg: int) -> Occupant | None:
        """None: there is no such leg any more."""

    def stands(self, leg: int, stand: v.Stand, now: float) -> None:
        """How a leg that is in a conference stands there."""

    def hang_up(self, leg: int, why: v.Why, now: float) -> None:
        """End the call of a leg."""

    def dial(self, conference: str, effect: v.DialOut, now: float) -> None:
        """Call a number into a room. `Rooms.expect` and the leg's arrival answer it, or `Rooms.dial_failed`."""

    def cancel_dial(self, dial: int, now: float) -> None:
        """End that call; nothing answers it."""


class Rooms:
    """All conferences. `new_id` gives ids that no leg, room, play or recording has."""

    __slots__ = (
        "_at_engine",
        "_calls",
        "_carrying",
        "_conferences",
        "_expected",
        "_failed",
        "_form",
        "_guesses",
        "_media",
        "_names",
        "_new_id",
        "_pending",
        "_plays",
        "_recordings",
        "_room_names",
        "_timer",
        "_timers",
        "_toned",
        "counters",
        "delete_file",
        "guessed",
        "told",
    )

    def __init__(
        self,
        media: MediaClient,
        timers: TimerHeap,
        new_id: Callable[[], int],
        calls: RoomCalls,
        form: Callable[[], RecordingForm],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.told: Callable[[str, v.Told], None] = _nobody
        """Takes all that goes on, with the name of the conference, for whoever shows it."""
        self.delete_file: Callable[[str], None] = _keep
        """Deletes the recording of a name, and what stands beside it."""
        self.guessed: Callable[[str, str, str, str, float], None] = _unseen
        """Told of each wrong PIN: kind and name of the endpoint, conference, contact, now."""
        self._guesses = Pace(PINS_PER_SECOND, PINS_AT_ONCE)
        self._media = media
        self._timers = timers
        self._new_id = new_id
        self._calls = calls
        self._form = form
        self._conferences = Conferences({}, new_id)
        self._plays: dict[int, tuple[int, int]] = {}  # under way: room, and who alone hears it (0: all)
        self._names: dict[int, int] = {}  # recordings of names by their rooms, until the engine's last word
        self._recordings: dict[int, _Recording] = {}
        self._expected: dict[int, tuple[v.Role, int, int]] = {}  # legs that were dialled, until they enter: room, dial
        self._at_engine: set[int] = set()  # rooms that the engine knows
        self._toned: set[int] = set()  # legs whose tones are listened for
        self._pending: deque[v.AnyEffect] = deque()
        self._room_names: dict[int, str] = {}  # until all is carried out that a room wanted
        self._carrying = False
        self._failed: list[str] | None = None  # why calls failed at once that the command under way wants
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """Everything that is under way."""
        return len(self._conferences) + len(self._plays) + len(self._expected) + len(self._toned)

    def configure(self, rooms: Mapping[str, ConferenceRoom], language: str) -> None:
        """Other settings, for rooms that open from now on. `language`: of prompts where a room has none of its own."""
        self._conferences.configure(rooms, language)

    # ---- who is where

    def has(self, leg: int) -> bool:
        return bool(self._conferences.conference(leg))

    def conference(self, leg: int) -> str:
        """The name of the conference that a leg is in, "" for none."""
        return self._conferences.conference(leg)

    def members(self, name: str) -> tuple[int, ...]:
        """The legs in a conference, in order of arrival, whether they are let in yet or not."""
        view = self._conferences.view(name)
        return () if view is None else tuple(member.member for member in view.members)

    def view(self, name: str) -> v.RoomView | None:
        """A conference as it is now, None where nobody is in it."""
        return self._conferences.view(name)

    def names(self) -> list[str]:
        """Of all conferences that somebody is in, or is being called into."""
        return self._conferences.names()

    # ---- legs

    def enter(self, name: str, leg: int, now: float) -> None:
        """A leg comes by the dialplan, or because a room has called it. One that is there already was lost with its
        media process, and is back: all is stated anew, and nobody is told."""
        there = self._conferences.conference(leg)
        if there == name:
            self._listen(leg, self._calls.occupant(leg), now)
            self._handled(self._conferences.member(v.Reopened(leg), now), now)
            return
        expected = self._expected.pop(leg, None)
        if expected is not None:
            role, _, dial = expected
            self._arrive(name, leg, role, dial, now)
            return
        self.leave(leg, now)
        occupant = self._calls.occupant(leg)
        if occupant is None:
            return
        party = _shown(occupant.party)
        if self._conferences.asks(name) and self._guesses.wait(_guesser(occupant, name), now):
            self.counters["conference callers turned away: too many wrong PINs"] += 1
            self._handled(self._conferences.arrived(name, v.Barred(leg, party.name, party.number), now), now)
        else:
            self._listen(leg, occupant, now)
            event = v.Join(leg, party.name, party.number, occupant.holds)
            self._handled(self._conferences.arrived(name, event, now), now)

    def add(self, leg: int, name: str, role: v.Role, now: float) -> None:
        """Somebody is put into a room by a command or by a transfer: nothing is asked, and neither lock nor limit keeps
        it out. It leaves the one that it is in."""
        self._arrive(name, leg, role, 0, now)

    def replace(self, old: int, new: int, now: float) -> bool:
        """Another leg takes the place of one that is in a room, with its role and what hosts have set for it; the old
        one is in the room no more. False, and nothing done, where `old` is in none, or `new` is in one."""
        occupant = self._calls.occupant(new)
        if occupant is None or not self.has(old) or self.has(new):
            return False
        party = _shown(occupant.party)
        self._listen(new, occupant, now)
        self._handled(
            self._conferences.member(v.Replaced(old, new, party.name, party.number, occupant.holds), now), now
        )
        self._unlisten(old, now)
        return True

    def leave(self, leg: int, now: float) -> None:
        """A leg is about to close, or goes elsewhere. Nothing for one that is in no conference."""
        expected = self._expected.pop(leg, None)
        if expected is not None:
            _, room, dial = expected
            self.dial_failed(room, dial, "it has hung up", now)
        if self.has(leg):
            self._handled(self._conferences.member(v.Leave(leg), now), now)
        self._unlisten(leg, now)

    def lost(self, leg: int, now: float) -> None:
        """Its stream is gone with its media process; `enter` or `leave` follows."""
        name = self._conferences.conference(leg)
        if name:
            for recording in self._recordings.values():
                recording.doubtful = recording.doubtful or leg in recording.members
            self._handled(self._conferences.member(v.Lost(leg), now), now)

    def pressed(self, leg: int, digit: str, now: float) -> bool:
        """A digit of a leg; False where that is in no conference."""
        if not self.has(leg):
            return False
        if digit in TELEPHONE_DIGITS:
            self._handled(self._conferences.member(v.Digit(leg, digit), now), now)
        return True

    def talking(self, leg: int, talking: bool, now: float) -> None:
        self._handled(self._conferences.member(v.Talking(leg, talking), now), now)

    def holds(self, leg: int, holds: bool, now: float) -> None:
        """The telephone of a leg has put its room on hold, or is back; of others this means nothing."""
        self._handled(self._conferences.member(v.Holds(leg, holds), now), now)

    # ---- calls that rooms make

    def expect(self, leg: int, role: v.Role, room: int, dial: int) -> None:
        """A call of a room is answered: its leg enters next, as that, or leaves."""
        self._expected[leg] = (role, room, dial)

    def dial_failed(self, room: int, dial: int, why: str, now: float) -> None:
        """Nobody took the call; of one that has come in since, or is awaited no more, this means nothing."""
        if self._failed is not None:
            self._failed.append(why)
        self._handled(self._conferences.outcome(v.DialFailed(room, dial, why), now), now)

    # ---- commands

    def command(self, name: str, command: v.AnyCommand, now: float) -> None:
        """Of a host or the operator. Raises `ConferenceRefused`."""
        effects = self._conferences.command(name, command, now)
        why = next((effect.why for effect in effects if isinstance(effect, v.Refused)), "")
        failed: list[str] = []
        self._failed = failed if isinstance(command, v.Dial) else None
        try:
            self._handled(effects, now)
        finally:
            self._failed = None
        if isinstance(command, v.Dial) and failed:
            why = f"{command.number!r} can't be called: {failed[0]}"
        if why:
            raise ConferenceRefused(why)

    # ---- what the engine tells

    def heard(self, event: PlayEnded | RecordingEvent, now: float) -> bool:
        """What became of a play or a recording; False where it is none of a room's."""
        if isinstance(event, PlayEnded):
            return self._play_ended(event, now)
        if event.recording in self._names:
            self._name_told(event, now)
            return True
        recording = self._recordings.get(event.recording)
        if recording is not None:
            self._recording_told(recording, event, now)
        return recording is not None

    def _play_ended(self, event: PlayEnded, now: float) -> bool:
        play = self._plays.pop(event.play, None)
        if play is None:
            return False
        room, alone = play
        # Whoever was to hear a lost one is asked anew when its stream is back, or is gone.
        effects: list[v.AnyEffect] = []
        if event.how != "lost" or not alone:
            effects = self._conferences.outcome(v.PlayEnded(room, event.play, event.how == "failed"), now)
        if event.how == "failed":
            spoken = any(isinstance(effect, v.PlayTo | v.PlayAll) for effect in effects)
            write = log.debug if spoken else log.warning
            write("not played", conference=self._name(room), why=event.why, spoken=spoken)
        self._handled(effects, now)
        return True

    def _name_told(self, event: RecordingEvent, now: float) -> None:
        if isinstance(event, RecordingStarted):
            return
        room = self._names.pop(event.recording)
        if isinstance(event, RecordingFailed):
            log.error("name not recorded", conference=self._name(room), why=event.why)
            if event.path:
                self.delete_file(event.path)
            outcome: v.AnyOutcome = v.NameFailed(room, event.recording)
        else:
            outcome = v.NameRecorded(room, event.recording, event.path)
        self._handled(self._conferences.outcome(outcome, now), now)

    def _recording_told(self, recording: _Recording, event: RecordingEvent, now: float) -> None:
        if isinstance(event, RecordingStarted):
            recording.path = event.path
            log.info("conference recorded", conference=recording.conference, path=event.path)
            self._note(event.recording, recording, now)
            return
        del self._recordings[event.recording]
        if isinstance(event, RecordingFailed):
            log.error("recording failed", conference=recording.conference, path=event.path, why=event.why)
            self.counters["recordings failed"] += 1
            failed = v.RecordingFailed(recording.room, event.recording, event.why, recording.doubtful)
            self._handled(self._conferences.outcome(failed, now), now)

    def _note(self, number: int, recording: _Recording, now: float) -> None:
        """The call records of all who are recorded name the file."""
        for leg in recording.members if recording.path else ():
            occupant = self._calls.occupant(leg)
            if occupant is not None and all(each.recording != number for each in occupant.contact.recordings):
                occupant.contact.recordings.append(RecordingNote(number, recording.path, now, over=True))

    # ---- private: effects

    def _arrive(self, name: str, leg: int, role: v.Role, dial: int, now: float) -> None:
        self.leave(leg, now)
        occupant = self._calls.occupant(leg)
        if occupant is None:
            return
        self._listen(leg, occupant, now)
        party = _shown(occupant.party)
        place = v.Place(leg, role, party.name, party.number, dial, occupant.holds)
        self._handled(self._conferences.arrived(name, place, now), now)

    def _listen(self, leg: int, occupant: Occupant | None, now: float) -> None:
        if occupant is not None and occupant.tones:
            self._toned.add(leg)
            self._media.audio(Detect(leg, dtmf=True), now)

    def _unlisten(self, leg: int, now: float) -> None:
        if leg in self._toned:
            self._toned.discard(leg)
            self._media.audio(Detect(leg), now)

    def _handled(self, effects: list[v.AnyEffect], now: float) -> None:
        """Carry these out, after those that are being carried out."""
        for effect in effects:
            if effect.room and effect.room not in self._room_names:
                self._room_names[effect.room] = self._conferences.name_of(effect.room)
            self._pending.append(effect)
        if self._carrying:
            return
        self._carrying = True
        try:
            while self._pending:
                self._carry(self._pending.popleft(), now)
        finally:
            self._carrying = False
        self._arm()

    def _carry(self, effect: v.AnyEffect, now: float) -> None:
        match effect:
            case v.Kick(member=leg, why=why):
                self._calls.hang_up(leg, why, now)
            case v.DialOut():
                self._calls.dial(self._name(effect.room), effect, now)
            case v.CancelDial(dial=dial):
                self._calls.cancel_dial(dial, now)
            case v.RecordName():
                self._record_name(effect, now)
            case v.RecordRoom():
                self._record_room(effect, now)
            case v.ForgetName(path=path):
                self.delete_file(path)
            case v.Told():
                self._tell(effect, now)
            case v.Stands(member=leg, stand=stand):
                self._calls.stands(leg, stand, now)
            case v.Refused():
                pass  # `command` has raised it
            case _:
                self._carry_to_engine(effect, now)

    def _carry_to_engine(self, effect: v.AnyEffect, now: float) -> None:
        match effect:
            case v.Matrix(room=room, members=members):
                if not members and room not in self._at_engine:
                    return
                (self._at_engine.add if members else self._at_engine.discard)(room)
            case v.PlayTo(play=play, room=room, member=member):
                self._plays[play] = (room, member)
            case v.PlayAll(play=play, room=room):
                self._plays[play] = (room, 0)
            case v.StopPlay(play=play):
                self._plays.pop(play, None)
            case v.RecordingMembers(recording=number, members=members):
                recording = self._recordings.get(number)
                if recording is not None:
                    recording.members = members
                    self._note(number, recording, now)
                labels = self._member_labels(members)
                self._media.audio(SetRecordingChannels(number, tuple((leg, 0) for leg in members), labels), now)
                return
            case v.Closed(room=room):
                self._room_names.pop(room, None)
                for play in [play for play, (of, _) in self._plays.items() if of == room]:
                    del self._plays[play]
                if room not in self._at_engine:
                    return
                self._at_engine.discard(room)
            case _:
                pass
        command = command_of(effect)
        assert command is not None, effect
        self._media.audio(command, now)

    def _record_name(self, effect: v.RecordName, now: float) -> None:
        occupant = self._calls.occupant(effect.member)
        if occupant is None:
            return  # its end is on the way
        self._names[effect.recording] = effect.room
        told = label(what="name", conference=self._name(effect.room))
        command = StartRecording(
            effect.recording, occupant.contact.id, ((effect.member, 0),), stereo=False, rate=16000, label=told
        )
        self._media.audio(command, now)

    def _record_room(self, effect: v.RecordRoom, now: float) -> None:
        """Under the contact of who has been on the floor longest; the record beside it says who the others are."""
        conference = self._name(effect.room)
        occupants = (self._calls.occupant(leg) for leg in effect.members)
        contact = next((occupant.contact.id for occupant in occupants if occupant is not None), "")
        self._recordings[effect.recording] = _Recording(effect.room, conference, effect.members)
        form = self._form()
        command = StartRecording(
            effect.recording,
            contact,
            tuple((leg, 0) for leg in effect.members),
            stereo=False,
            format=form.format,
            rate=form.rate,
            label=label(conference=conference),
            labels=self._member_labels(effect.members),
        )
        self._media.audio(command, now)

    def _member_labels(self, members: tuple[int, ...]) -> StreamLabels:
        found = [(leg, occupant) for leg in members if (occupant := self._calls.occupant(leg)) is not None]
        return tuple(
            (leg, leg_label("member", each.kind, each.endpoint, each.party.number, each.party.name))
            for leg, each in found
        )

    def _tell(self, told: v.Told, now: float) -> None:
        name = self._name(told.room)
        fields = {"leg": told.member, "by": told.by, "text": told.text}
        write = log.debug if told.what in QUIET else log.info
        write("conference", name=name, what=told.what, **{key: each for key, each in fields.items() if each})
        if told.what == "pin-failed":
            self._wrong_pin(told.member, name, now)
        self.told(name, told)

    def _wrong_pin(self, leg: int, name: str, now: float) -> None:
        self.counters["conference PINs refused"] += 1
        occupant = self._calls.occupant(leg)
        if occupant is None:
            return
        self.guessed(occupant.kind, occupant.endpoint, name, occupant.contact.id, now)
        if not self._guesses.take(_guesser(occupant, name), now):
            self._handled(self._conferences.member(v.Barred(leg), now), now)

    def _name(self, room: int) -> str:
        return self._room_names.get(room, "")

    # ---- private: time

    def _arm(self) -> None:
        due = self._conferences.due
        if self._timer is not None:
            if due < inf and self._timer.at <= due:
                return  # it looks again then
            self._timer.cancel()
            self._timer = None
        if due < inf:
            self._timer = self._timers.schedule(due, self._tick)

    def _tick(self, now: float) -> None:
        self._timer = None
        self._handled(self._conferences.tick(now), now)


class _Recording:
    """One that runs, until the engine's last word."""

    __slots__ = ("conference", "doubtful", "members", "path", "room")

    def __init__(self, room: int, conference: str, members: tuple[int, ...]) -> None:
        self.room = room
        self.conference = conference
        self.members = members
        self.path = ""  # not told yet
        self.doubtful = False  # a stream of it was lost, perhaps with the process that writes it


def _shown(party: Party) -> Party:
    """What others hear of somebody."""
    return Party("") if party.withheld else party


def _guesser(occupant: Occupant, name: str) -> str:
    return f"{occupant.kind} {occupant.endpoint} {name}"


def _unseen(_kind: str, _endpoint: str, _conference: str, _contact: str, _now: float) -> None:
    """Nobody looks."""


def _nobody(_conference: str, _told: v.Told) -> None:
    """Nobody listens."""


def _keep(_path: str) -> None:
    """The file stays."""

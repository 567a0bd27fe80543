"""Conferences: whatever comes in whatever order, who hears whom is what a small model says, nobody is heard before it
is admitted, and nothing is left when all have gone."""

from __future__ import annotations

import itertools

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pydantic import SecretStr

from softswitch.conference import vocabulary as v
from softswitch.conference.conferences import Conferences
from softswitch.conference.settings import ConferenceRoom

LONG = 60.0  # seconds: every deadline of a conference is over
NAME = "board"

configurations = st.builds(
    ConferenceRoom,
    pin=st.sampled_from([None, SecretStr("1111")]),
    host_pin=st.just(SecretStr("9999")),
    dial_as=st.just("100"),
    wait_for_host=st.booleans(),
    lobby=st.booleans(),
    limit=st.sampled_from([0, 2, 3]),
    lock=st.booleans(),
    entry=st.sampled_from(["tones", "names", "none"]),
    end_with_host=st.booleans(),
    record=st.booleans(),
    announce_count=st.booleans(),
    mute_guests=st.booleans(),
    talkers=st.booleans(),
)


class Person:
    def __init__(self, stream: int, room: ModelRoom) -> None:
        self.stream = stream
        self.room = room
        self.state = "pin"
        self.host = False
        self.placed = False
        self.admitted = False
        self.tries = 0
        self.typed = ""  # of its PIN, since the question or a `*`
        self.stage = 0
        self.muted = False
        self.silenced = False
        self.deaf = False
        self.menu = False


class ModelRoom:
    """What a conference shall be, without anything that is heard in it."""

    def __init__(self, settings: ConferenceRoom) -> None:
        self.settings = settings
        self.people: list[Person] = []
        self.locked = settings.lock
        self.guests_muted = settings.mute_guests
        self.ended = False

    def on_floor(self) -> list[Person]:
        return [person for person in self.people if person.state == "in"]

    def hosted(self) -> bool:
        return any(person.host for person in self.on_floor())

    def pin(self, person: Person, text: str) -> None:
        person.typed = ""
        if text == "9999":
            person.host = True
        elif not (text == "1111" and self.settings.pin) and not (text == "" and not self.settings.pin):
            person.tries += 1
            if person.tries == 3:
                person.state = "leaving"
            return
        taken = sum(other.state in ("name", "lobby", "waiting", "in") for other in self.people)
        if not person.host and (self.locked or 0 < self.settings.limit <= taken):
            person.state = "leaving"
        elif self.settings.entry == "names":
            person.state = "name"
        else:
            self.seek(person)

    def seek(self, person: Person) -> None:
        if not person.host and not person.placed:
            if self.settings.lobby and not person.admitted:
                person.state = "lobby"
                return
            if self.settings.wait_for_host and not self.hosted():
                person.state = "waiting"
                return
        self.enter(person)

    def enter(self, person: Person) -> None:
        person.state = "in"
        person.silenced = person.silenced or (self.guests_muted and not person.host)
        if person.host:
            for other in self.people:
                if other.state == "waiting":
                    self.enter(other)

    def off(self, person: Person) -> None:
        """It is on the floor no more."""
        if not person.host or self.hosted():
            return
        if self.settings.end_with_host:
            self.end()
        elif self.settings.wait_for_host:
            for other in self.on_floor():
                if not other.placed:
                    other.state = "waiting"
                    other.menu = False

    def end(self) -> None:
        self.ended = True
        for person in self.people:
            person.state = "leaving"

    def kick(self, person: Person) -> None:
        was_in = person.state == "in"
        person.state = "leaving"
        if was_in:
            self.off(person)


class ConferenceMachine(RuleBasedStateMachine):
    @initialize(settings=configurations)
    def begin(self, settings: ConferenceRoom) -> None:
        self.settings = settings
        self.ids = itertools.count(1)
        self.now = 0.0
        self.conferences = Conferences({NAME: settings}, lambda: next(self.ids))
        self.people: dict[int, Person] = {}
        self.room: ModelRoom | None = None
        # What the carrier has been told.
        self.matrices: dict[int, tuple[int, ...]] = {}
        self.levels: dict[int, v.Level] = {}
        self.plays: dict[int, int] = {}  # under way: room
        self.play_of: dict[int, int] = {}
        self.names: dict[int, int] = {}  # recordings of names: room
        self.files: set[str] = set()
        self.recordings: dict[int, tuple[int, ...]] = {}
        self.recording_of: dict[int, int] = {}  # its room
        self.dials: set[int] = set()
        self.arrived: set[int] = set()

    # ---- the carrier

    def do(self, effects: list[v.AnyEffect]) -> list[v.AnyEffect]:
        for effect in effects:
            self.carry(effect)
        return effects

    def carry(self, effect: v.AnyEffect) -> None:
        match effect:
            case v.Matrix():
                self.matrices[effect.room] = effect.members
            case v.Closed():
                assert not self.matrices.pop(effect.room, ())
                for play in [play for play, room in self.plays.items() if room == effect.room]:
                    del self.plays[play]
            case v.Level():
                self.levels[effect.member] = effect
            case v.PlayTo():
                assert effect.member in self.people
                assert effect.play not in self.plays
                assert effect.sources
                self.plays[effect.play] = effect.room
            case v.PlayAll():
                assert self.matrices[effect.room]
                self.plays[effect.play] = effect.room
            case v.StopPlay():
                self.plays.pop(effect.play, None)
            case v.RecordName():
                person = self.people[effect.member]
                assert (person.state, person.stage) == ("name", 0)
                person.stage = 1
                self.names[effect.recording] = effect.room
                self.play_of[effect.recording] = effect.member
            case v.StopName():
                assert effect.recording in self.names
                person_or_none = self.people.get(self.play_of[effect.recording])
                if person_or_none is not None and person_or_none.stage == 1:
                    person_or_none.stage = 2
            case v.ForgetName():
                self.files.remove(effect.path)
            case v.RecordRoom() | v.RecordingMembers():
                assert effect.members
                self.recordings[effect.recording] = effect.members
                self.recording_of[effect.recording] = effect.room
            case v.StopRecording():
                del self.recordings[effect.recording]
            case v.DialOut():
                self.dials.add(effect.dial)
            case v.CancelDial():
                self.dials.remove(effect.dial)
            case v.Kick():
                self.kicked(effect.member)
            case v.Told():
                if effect.what == "arrived":
                    self.arrived.add(effect.member)
                elif effect.what == "left":
                    self.arrived.remove(effect.member)
            case _:
                pass

    def kicked(self, member: int) -> None:
        person = self.people.pop(member)
        assert person.state == "leaving"
        person.room.people.remove(person)
        if not person.room.people:
            person.room.ended = True

    def member(self, event: v.AnyMemberEvent) -> None:
        self.do(self.conferences.member(event, self.now))

    def type(self, person: Person, digits: str) -> None:
        for digit in digits:
            self.member(v.Digit(person.stream, digit))

    def in_state(self, *states: str) -> list[Person]:
        return [person for person in self.people.values() if person.state in states]

    def pick(self, data: st.DataObject, *states: str) -> Person | None:
        people = self.in_state(*states)
        return data.draw(st.sampled_from(people)) if people else None

    # ---- coming

    def new_person(self) -> Person:
        if self.room is None or self.room.ended:
            self.room = ModelRoom(self.settings)
        person = Person(next(self.ids), self.room)
        self.people[person.stream] = person
        self.room.people.append(person)
        return person

    @precondition(lambda self: len(self.people) < 8)
    @rule()
    def join(self) -> None:
        person = self.new_person()
        self.do(self.conferences.arrived(NAME, v.Join(person.stream, "", "12"), self.now))

    @precondition(lambda self: len(self.people) < 8)
    @rule(role=st.sampled_from(["guest", "host"]))
    def place(self, role: v.Role) -> None:
        person = self.new_person()
        person.placed, person.host = True, role == "host"
        person.room.enter(person)
        self.do(self.conferences.arrived(NAME, v.Place(person.stream, role), self.now))

    @precondition(lambda self: len(self.people) < 8)
    @rule(host=st.booleans())
    def come_in(self, host: bool) -> None:
        """All at once: what is asked is answered, the name is said."""
        self.join()
        person = next(reversed(self.people.values()))
        text = "9999" if host else "1111" if self.settings.pin else ""
        person.room.pin(person, text)
        self.type(person, f"{text}#")
        if person.state == "name":
            self.type(person, "5#")
            self.named(next(reversed(self.names)), failed=False)

    @rule(data=st.data(), text=st.sampled_from(["1111", "9999", "", "2"]))
    def pin(self, data: st.DataObject, text: str) -> None:
        person = self.pick(data, "pin")
        if person is not None:
            person.room.pin(person, text)
            self.type(person, f"*{text}#")

    @rule(data=st.data())
    def half_a_pin(self, data: st.DataObject) -> None:
        person = self.pick(data, "pin")
        if person is not None:
            person.typed += "1"  # four of them are the PIN
            self.type(person, "1")

    @rule(data=st.data(), failed=st.booleans())
    def name(self, data: st.DataObject, failed: bool) -> None:
        if not self.names:
            return
        self.named(data.draw(st.sampled_from(sorted(self.names))), failed)

    def named(self, recording: int, failed: bool) -> None:
        room = self.names.pop(recording)
        person = self.people.get(self.play_of[recording])
        if person is not None and person.state == "name":
            person.room.seek(person)
        if failed:
            self.do(self.conferences.outcome(v.NameFailed(room, recording), self.now))
            return
        self.files.add(f"/names/{recording}")
        self.do(self.conferences.outcome(v.NameRecorded(room, recording, f"/names/{recording}"), self.now))

    @rule(data=st.data(), failed=st.booleans())
    def play_ends(self, data: st.DataObject, failed: bool) -> None:
        if self.plays:
            play = data.draw(st.sampled_from(sorted(self.plays)))
            self.do(self.conferences.outcome(v.PlayEnded(self.plays.pop(play), play, failed), self.now))

    # ---- while there

    @rule(data=st.data(), digit=st.sampled_from("0123456789#*"))
    def menu(self, data: st.DataObject, digit: str) -> None:
        person = self.pick(data, "in")
        if person is None:
            return
        room = person.room
        person.menu = digit == "*"
        if digit == "1" and not person.silenced:
            person.muted = not person.muted
        elif person.host:
            self.host_chose(room, digit)
        self.type(person, f"*{digit}")

    def host_chose(self, room: ModelRoom, digit: str) -> None:
        if digit == "2":
            room.locked = not room.locked
        elif digit == "3":
            guests = [each for each in room.on_floor() if not each.host]
            if guests:
                room.kick(guests[-1])
        elif digit == "5":
            self.mute_all(room, not room.guests_muted)
        elif digit == "9":
            lobby = [each for each in room.people if each.state == "lobby"]
            if lobby:
                lobby[0].admitted = True
                room.seek(lobby[0])

    def mute_all(self, room: ModelRoom, muted: bool) -> None:
        room.guests_muted = muted
        for each in room.people:
            if not each.host:
                each.silenced = muted

    @rule(data=st.data(), by_guest=st.booleans(), what=st.sampled_from(["mute", "deaf", "kick", "volume"]))
    def command(self, data: st.DataObject, by_guest: bool, what: str) -> None:
        person = self.pick(data, "pin", "name", "lobby", "waiting", "in")
        if person is None or person.room.ended:
            return
        flag = data.draw(st.booleans())
        guests = [each.stream for each in person.room.people if not (each.host and each.state == "in")]
        by = guests[0] if by_guest and guests else v.OPERATOR
        commands: dict[str, v.AnyCommand] = {
            "mute": v.Mute(member=person.stream, muted=flag, by=by),
            "deaf": v.Deafen(member=person.stream, deaf=flag, by=by),
            "kick": v.Remove(member=person.stream, by=by),
            "volume": v.SetVolume(member=person.stream, hears=99, by=by),
        }
        if not by:
            if what == "mute":
                person.silenced = flag
            elif what == "deaf":
                person.deaf = flag
            elif what == "kick":
                person.room.kick(person)
        effects = self.do(self.conferences.command(NAME, commands[what], self.now))
        assert any(isinstance(effect, v.Refused) for effect in effects) == bool(by)

    @rule(data=st.data())
    def kick_a_host(self, data: st.DataObject) -> None:
        hosts = [person for person in self.in_state("in") if person.host]
        if hosts:
            host = data.draw(st.sampled_from(hosts))
            host.room.kick(host)
            self.do(self.conferences.command(NAME, v.Remove(member=host.stream, by=host.stream), self.now))

    @rule(what=st.sampled_from(["start", "stop", "pause", "resume", "lock", "unlock", "end", "admit", "dial", "roll"]))
    def operator(self, what: str) -> None:
        room = self.room if self.room is not None and not self.room.ended else None
        command: v.AnyCommand
        if what in ("lock", "unlock"):
            command = v.Lock(locked=what == "lock")
            if room is not None:
                room.locked = command.locked
        elif what == "end":
            command = v.End()
            if room is not None:
                room.end()
        elif what == "admit":
            command = v.Admit()
            if room is not None:
                lobby = [each for each in room.people if each.state == "lobby"]
                if lobby:
                    lobby[0].admitted = True
                    room.seek(lobby[0])
        elif what == "dial":
            command = v.Dial(number="123")
            if room is None:
                self.room = ModelRoom(self.settings)
        elif what == "roll":
            command = v.RollCall()
        else:
            command = v.Record(what=what)  # type: ignore[arg-type]
        self.do(self.conferences.command(NAME, command, self.now))
        if what == "end" and room is not None and not room.people:
            assert not self.dials

    @rule(data=st.data(), answered=st.booleans())
    def dialled(self, data: st.DataObject, answered: bool) -> None:
        if not self.dials:
            return
        dial = data.draw(st.sampled_from(sorted(self.dials)))
        self.dials.remove(dial)
        if answered:
            person = self.new_person()
            person.placed = True
            person.room.enter(person)
            self.do(self.conferences.arrived(NAME, v.Place(person.stream, "guest", dial=dial), self.now))
            return
        assert self.room is not None
        if not self.room.people and not self.dials:
            self.room.ended = True
        # Dials are of the room that has not ended.
        view = self.conferences.view(NAME)
        assert view is not None
        self.do(self.conferences.outcome(v.DialFailed(view.room, dial), self.now))

    @rule(data=st.data(), talking=st.booleans())
    def talks(self, data: st.DataObject, talking: bool) -> None:
        person = self.pick(data, "pin", "lobby", "waiting", "in", "leaving")
        if person is not None:
            self.member(v.Talking(person.stream, talking))

    @rule(data=st.data())
    def stream_lost(self, data: st.DataObject) -> None:
        person = self.pick(data, "waiting", "in")
        if person is not None:
            self.member(v.Lost(person.stream))

    @rule(data=st.data(), told=st.booleans())
    def stream_lost_and_back(self, data: st.DataObject, told: bool) -> None:
        """Its plays have ended unheard; the stream begins as streams do."""
        person = self.pick(data, "lobby", "waiting", "in", "leaving")
        if person is not None:
            self.levels.pop(person.stream, None)
            if told:
                self.member(v.Lost(person.stream))
            self.member(v.Reopened(person.stream))

    @rule(data=st.data(), lost=st.booleans())
    def recording_fails(self, data: st.DataObject, lost: bool) -> None:
        if self.recordings:
            recording = data.draw(st.sampled_from(sorted(self.recordings)))
            del self.recordings[recording]
            self.do(
                self.conferences.outcome(v.RecordingFailed(self.recording_of[recording], recording, "", lost), self.now)
            )
            if not lost:
                assert all(self.recording_of[each] != self.recording_of[recording] for each in self.recordings)

    @rule(data=st.data())
    def replaced(self, data: st.DataObject) -> None:
        """Another stream in its place; what it was asked begins anew."""
        person = self.pick(data, "pin", "lobby", "waiting", "in", "leaving")
        if person is None:
            return
        old, person.stream = person.stream, next(self.ids)
        self.people = {each.stream: each for each in self.people.values()}
        person.muted = person.menu = False
        person.typed = ""
        self.member(v.Replaced(old, person.stream))
        assert self.level(old) == v.Level(self.level(old).room, old)
        self.levels.pop(old, None)
        assert self.conferences.member(v.Leave(old), self.now) == []

    @rule()
    def time_passes(self) -> None:
        self.now += LONG
        for person in list(self.people.values()):
            if person.state == "pin":
                person.room.pin(person, person.typed)
                person.stage = -1 if person.state == "name" else 0
        due = [person for person in self.people.values() if person.state == "name" and person.stage == 2]
        for person in self.in_state("name"):
            person.stage = max(person.stage, 0)
        for person in due:
            person.room.seek(person)
        self.do(self.conferences.tick(self.now))

    # ---- going

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        person = self.pick(data, "pin", "name", "lobby", "waiting", "in", "leaving")
        if person is not None:
            self.vanish(person)

    def vanish(self, person: Person) -> None:
        del self.people[person.stream]
        person.room.people.remove(person)
        if person.state == "in":
            person.room.off(person)
        if not person.room.people:
            person.room.ended = True
        self.member(v.Leave(person.stream))
        self.levels.pop(person.stream, None)

    # ---- always

    @invariant()
    def who_hears_whom(self) -> None:
        if not hasattr(self, "matrices"):
            return
        told = {
            (listener, talker)
            for members in self.matrices.values()
            for listener, talker in itertools.permutations(members, 2)
            if not self.level(listener).deaf and not self.level(talker).muted
        }
        meant = {
            (listener.stream, talker.stream)
            for listener, talker in itertools.permutations(self.in_state("in"), 2)
            if listener.room is talker.room and not listener.deaf and not talker.muted and not talker.silenced
        }
        assert told == meant

    @invariant()
    def only_those_on_the_floor_are_recorded(self) -> None:
        if hasattr(self, "matrices"):
            on_floor = {person.stream for person in self.in_state("in")}
            assert all(set(members) <= on_floor for members in self.recordings.values())

    def level(self, stream: int) -> v.Level:
        return self.levels.get(stream) or v.Level(0, stream)

    def teardown(self) -> None:
        if not hasattr(self, "people"):
            return
        for person in list(self.people.values()):
            if person.stream in self.people:
                self.vanish(person)
        for dial in sorted(self.dials):
            view = self.conferences.view(NAME)
            assert view is not None
            self.dials.remove(dial)
            self.do(self.conferences.outcome(v.DialFailed(view.room, dial), self.now))
        for recording, room in self.names.items():
            self.files.add(f"/names/{recording}")
            self.do(self.conferences.outcome(v.NameRecorded(room, recording, f"/names/{recording}"), self.now))
        assert len(self.conferences) == 0
        assert self.conferences.deadline is None
        assert self.conferences.view(NAME) is None
        assert (self.matrices, self.plays, self.recordings) == ({}, {}, {})
        assert (self.files, self.dials, self.arrived) == (set(), set(), set())


ConferenceMachine.TestCase.settings = hypothesis_settings(max_examples=200, stateful_step_count=50, deadline=None)
TestConferences = ConferenceMachine.TestCase

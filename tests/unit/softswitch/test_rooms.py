"""What conference rooms tell the engine and the calls, and in which order."""

from __future__ import annotations

import itertools

import pytest

from media.audio_commands import CloseRoom, Detect, File, Play, PlayEnded, SetRoom, SetVolume, StopPlay
from sip.timers import TimerHeap
from softswitch.audio_line import RecordingForm
from softswitch.conference import vocabulary as v
from softswitch.conference.settings import ConferenceRoom
from softswitch.contact import Contact
from softswitch.rooms import ConferenceRefused, Occupant, Rooms
from softswitch.vocabulary import Party
from tests.virtual.network import FakeMedia


class Calls:
    """Legs 1 to 9, of which those from 5 on have no telephone-events; dials fail at once where `fails` says so."""

    def __init__(self) -> None:
        self.hung_up: list[tuple[int, str]] = []
        self.dialled: list[v.DialOut] = []
        self.cancelled: list[int] = []
        self.fails = False
        self.rooms: Rooms
        self.stand: dict[int, v.Stand] = {}
        self.contacts = {leg: Contact(f"c{leg}", 0.0, 0.0, Party(f"10{leg}"), "800") for leg in range(1, 10)}

    def occupant(self, leg: int) -> Occupant | None:
        contact = self.contacts.get(leg)
        if contact is None:
            return None
        return Occupant(contact, Party(f"10{leg}", f"Leg {leg}", leg == 4), "extension", f"10{leg}", leg >= 5)

    def stands(self, leg: int, stand: v.Stand, now: float) -> None:
        self.stand[leg] = stand

    def hang_up(self, leg: int, why: v.Why, now: float) -> None:
        self.hung_up.append((leg, why))

    def dial(self, conference: str, effect: v.DialOut, now: float) -> None:
        self.dialled.append(effect)
        if self.fails:
            self.rooms.dial_failed(effect.room, effect.dial, "busy", now)

    def cancel_dial(self, dial: int, now: float) -> None:
        self.cancelled.append(dial)


class House:
    def __init__(self, **board: object) -> None:
        ids = itertools.count(100)
        self.media, self.timers, self.calls = FakeMedia(), TimerHeap(), Calls()
        self.rooms = Rooms(self.media, self.timers, lambda: next(ids), self.calls, RecordingForm)
        self.calls.rooms = self.rooms
        room = ConferenceRoom.model_validate({"dial_as": "101"} | board)
        self.rooms.configure({"board": room}, "de")

    def kinds(self) -> list[str]:
        kinds = [type(command).__name__ for command in self.media.commands]
        self.media.commands.clear()
        return kinds


def test_a_room_is_made_with_its_first_member_and_closed_with_its_last() -> None:
    house = House()
    rooms = house.rooms
    rooms.enter("board", 1, 0.0)
    assert house.kinds() == ["SetRoom", "Play"]
    rooms.enter("board", 2, 0.0)
    [stated] = house.media.asked(SetRoom)
    assert stated.members == (1, 2)
    rooms.leave(1, 0.0)
    rooms.leave(1, 0.0)
    rooms.leave(2, 0.0)
    assert house.media.asked(CloseRoom) == [CloseRoom(stated.room)]
    assert len(rooms) == 0
    assert rooms.members("board") == ()
    assert house.timers.next_deadline() is None


def test_who_is_in_a_room_already_comes_back_without_a_beep() -> None:
    house = House()
    house.rooms.enter("board", 1, 0.0)
    house.rooms.enter("board", 2, 0.0)
    house.rooms.command("board", v.Mute(member=1, muted=True), 0.0)
    house.media.commands.clear()
    house.rooms.lost(1, 1.0)
    assert house.kinds() == []
    house.rooms.enter("board", 1, 1.0)
    [muted] = house.media.asked(SetVolume)
    assert (muted.stream, muted.muted) == (1, True)
    [stated] = house.media.asked(SetRoom)
    assert stated.members == (1, 2)
    assert house.media.asked(Play) == []
    assert house.rooms.conference(1) == "board"


def test_a_member_that_goes_elsewhere_is_as_it_came() -> None:
    """Nothing plays to it, it is heard, and nobody listens for its tones."""
    house = House()
    house.rooms.enter("board", 5, 0.0)
    house.rooms.enter("board", 1, 0.0)
    assert house.media.asked(Detect) == [Detect(5, dtmf=True)]
    house.rooms.command("board", v.Mute(member=5, muted=True), 0.0)
    [play] = [each for each in house.media.asked(Play) if each.stream == 5]
    house.media.commands.clear()
    house.rooms.leave(5, 0.0)
    assert StopPlay(play.play) in house.media.commands
    assert house.media.asked(SetVolume) == [SetVolume(5)]
    assert house.media.asked(Detect) == [Detect(5)]
    assert not house.rooms.heard(PlayEnded(play.play, "stopped"), 0.0)


def test_who_withholds_its_number_is_nobody() -> None:
    house = House()
    house.rooms.enter("board", 4, 0.0)
    view = house.rooms.view("board")
    assert view is not None
    assert [(each.name, each.number) for each in view.members] == [("", "")]


def test_what_one_effect_brings_about_comes_after_the_others() -> None:
    """A call of the room that fails while it is being made."""
    house = House(host_pin="0815")
    house.calls.fails = True
    told: list[str] = []
    house.rooms.told = lambda name, each: told.append(each.what)
    house.rooms.add(1, "board", "host", 0.0)
    with pytest.raises(ConferenceRefused, match="'9' can't be called: busy"):
        house.rooms.command("board", v.Dial(number="9", by=1), 0.0)
    assert told[-2:] == ["dialling", "dial-failed"]
    assert house.calls.dialled[0].by == 1


def test_whoever_answers_a_room_and_is_gone_before_it_enters_is_awaited_no_more() -> None:
    house = House()
    house.rooms.command("board", v.Dial(number="9"), 0.0)
    [dial] = house.calls.dialled
    house.rooms.expect(3, "guest", dial.room, dial.dial)
    house.rooms.leave(3, 0.0)
    assert len(house.rooms) == 0
    house.rooms.enter("board", 3, 0.0)
    assert house.rooms.members("board") == (3,)


def test_time_is_asked_for_only_while_somebody_waits_for_it() -> None:
    house = House(pin="4711")
    house.rooms.enter("board", 1, 0.0)
    for at in (20.0, 40.0, 60.0, 75.0):
        assert house.timers.next_deadline() is not None
        house.timers.fire_due(at)
    assert house.calls.hung_up == [(1, "no-pin")]
    assert house.timers.next_deadline() is None
    assert len(house.rooms) == 0


def test_guessing_is_bounded_for_each_endpoint_however_often_it_calls() -> None:
    house = House(pin="4711")
    guesses: list[tuple[str, ...]] = []
    house.rooms.guessed = lambda *about: guesses.append(about[:3])
    now = 0.0
    for _ in range(12):
        house.rooms.enter("board", 1, now)
        for _ in range(3):
            house.rooms.pressed(1, "1", now)
            house.rooms.pressed(1, "#", now)
        house.rooms.leave(1, now)
    assert len(guesses) == 30
    assert set(guesses) == {("extension", "101", "board")}
    assert house.calls.hung_up == []
    house.rooms.enter("board", 1, now)
    assert house.calls.stand[1] == "leaving"
    assert [each.name for each in house.media.asked(Play)[-1].sources if isinstance(each, File)] == [
        "conference/wrong-pin",
        "conference/goodbye",
    ]
    house.rooms.heard(PlayEnded(house.media.asked(Play)[-1].play, "finished"), now)
    assert house.calls.hung_up == [(1, "pin")]
    assert house.rooms.counters["conference callers turned away: too many wrong PINs"] == 3
    house.rooms.enter("board", 2, now)
    assert house.rooms.members("board") == (2,), "others come in as ever"
    house.rooms.enter("board", 1, 3600.0)
    assert house.rooms.members("board") == (2, 1)


def test_many_calls_at_once_guess_no_more() -> None:
    house = House(pin="4711")
    guesses: list[tuple[str, ...]] = []
    house.rooms.guessed = lambda *about: guesses.append(about[:3])
    for leg in range(1, 10):
        house.calls.contacts[leg] = house.calls.contacts[1]
    one = house.calls.occupant(1)
    house.calls.occupant = lambda leg: one  # type: ignore[method-assign]
    legs = range(1, 20)
    for leg in legs:
        house.rooms.enter("board", leg, 0.0)
    for leg in legs:
        for digit in "1#1#":
            house.rooms.pressed(leg, digit, 0.0)
    assert [leg for leg in legs if house.calls.stand[leg] == "leaving"] == list(range(16, 20))
    assert len(guesses) == 34, "whoever is turned away is not listened to"


def test_silence_locks_nobody_out() -> None:
    house = House(pin="4711")
    guesses: list[tuple[str, ...]] = []
    house.rooms.guessed = lambda *about: guesses.append(about[:3])
    now = 0.0
    for _ in range(12):
        house.rooms.enter("board", 1, now)
        for _ in range(4):
            now += 0.001
            house.timers.fire_due(now := now + 20.0)
    assert not guesses
    assert house.calls.hung_up == [(1, "no-pin")] * 12
    assert not house.rooms.counters


def test_refused_commands_say_why() -> None:
    house = House()
    with pytest.raises(ConferenceRefused, match="nobody is in conference 'board'"):
        house.rooms.command("board", v.Lock(locked=True), 0.0)
    assert len(house.rooms) == 0


def test_a_lost_play_to_one_is_asked_for_again_when_the_stream_is_back() -> None:
    house = House(pin="4711")
    house.rooms.enter("board", 1, 0.0)
    [play] = house.media.asked(Play)
    house.media.commands.clear()
    house.rooms.lost(1, 1.0)
    assert house.rooms.heard(PlayEnded(play.play, "lost"), 1.0)
    assert house.kinds() == []
    house.rooms.enter("board", 1, 2.0)
    [again] = house.media.asked(Play)
    assert again.sources == play.sources

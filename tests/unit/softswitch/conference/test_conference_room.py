"""A conference room: joining, waiting, menus, commands, recording, going; each by its events and effects."""

from __future__ import annotations

import itertools
from typing import TypeVar

import pytest
from pydantic import SecretStr

from media.audio_commands import CloseRoom, File, Music, Play, Say, SetRoom, Speech, Tone
from softswitch.conference import vocabulary as v
from softswitch.conference.audio import command_of
from softswitch.conference.conferences import Conferences
from softswitch.conference.settings import ConferenceRoom

PIN, HOST_PIN = SecretStr("1234"), SecretStr("9876")
E = TypeVar("E", bound=v.Effect)


class World:
    """One room under test, and the last effects of it."""

    def __init__(self, **settings: object) -> None:
        self.ids = itertools.count(1000)
        room = ConferenceRoom.model_validate({"dial_as": "100"} | settings)
        self.conferences = Conferences({"board": room}, lambda: next(self.ids), "en")
        self.now = 0.0
        self.last: list[v.AnyEffect] = []

    def join(self, member: int, name: str = "", number: str = "") -> None:
        self.last = self.conferences.arrived("board", v.Join(member, name, number), self.now)

    def place(self, member: int, role: v.Role = "guest", dial: int = 0) -> None:
        self.last = self.conferences.arrived("board", v.Place(member, role, dial=dial), self.now)

    def host(self, member: int) -> None:
        self.place(member, "host")

    def type(self, member: int, digits: str) -> None:
        effects: list[v.AnyEffect] = []
        for digit in digits:
            effects += self.conferences.member(v.Digit(member, digit), self.now)
        self.last = effects

    def leave(self, member: int) -> None:
        self.last = self.conferences.member(v.Leave(member), self.now)

    def do(self, command: v.AnyCommand) -> None:
        self.last = self.conferences.command("board", command, self.now)

    def outcome(self, event: v.AnyOutcome) -> None:
        self.last = self.conferences.outcome(event, self.now)

    def ended(self, play: int, failed: bool = False) -> None:
        self.outcome(v.PlayEnded(self.view().room, play, failed))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.last = self.conferences.tick(self.now)

    def view(self) -> v.RoomView:
        view = self.conferences.view("board")
        assert view is not None
        return view

    def of(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.last if isinstance(effect, kind)]

    def one(self, kind: type[E]) -> E:
        [effect] = self.of(kind)
        return effect

    def heard_by(self, member: int) -> list[str]:
        """What plays to that member alone, in the words of `spoken`."""
        return [word for play in self.of(v.PlayTo) if play.member == member for word in spoken(play.sources)]

    def heard_by_all(self) -> list[str]:
        return [word for play in self.of(v.PlayAll) for word in spoken(play.sources)]

    def told(self) -> list[str]:
        return [told.what for told in self.of(v.Told)]

    def state(self, member: int) -> str:
        return next(each.state for each in self.view().members if each.member == member)

    def muted(self, member: int) -> bool:
        return next(each.muted for each in self.view().members if each.member == member)


def spoken(sources: tuple[object, ...]) -> list[str]:
    words = []
    for source in sources:
        match source:
            case File(name):
                words.append(name.removeprefix("conference/"))
            case Say(kind, value):
                words.append(f"{kind} {value}")
            case Speech(text):
                words.append(f"speech {text}")
            case Music(name):
                words.append(f"music {name}")
            case Tone(name):
                words.append(f"tone {name}")
    return words


# ---- joining


def test_two_hear_each_other_and_a_tone() -> None:
    world = World()
    world.join(1)
    assert world.one(v.Matrix).members == (1,)
    world.join(2)
    assert world.one(v.Matrix).members == (1, 2)
    assert world.heard_by_all() == ["tone beep"]
    # The room is stated before anything plays in it.
    kinds = [type(effect) for effect in world.last]
    assert kinds.index(v.Matrix) < kinds.index(v.PlayAll)


def test_the_pin_of_guests() -> None:
    world = World(pin=PIN, host_pin=HOST_PIN)
    world.join(1)
    assert world.heard_by(1) == ["enter-pin"]
    assert world.of(v.Matrix) == []
    world.type(1, "1234#")
    assert world.one(v.Matrix).members == (1,)
    assert world.view().members[0].role == "guest"


def test_the_pin_of_hosts() -> None:
    world = World(pin=PIN, host_pin=HOST_PIN)
    world.join(1)
    world.type(1, "9876#")
    assert world.view().members[0].role == "host"


def test_guests_without_a_pin_press_hash_or_wait() -> None:
    world = World(host_pin=HOST_PIN)
    world.join(1)
    assert world.heard_by(1) == ["enter-pin-or-hash"]
    world.type(1, "#")
    world.join(2)
    world.wait(20.0)
    assert [world.state(1), world.state(2)] == ["in", "in"]


def test_a_star_begins_the_pin_again() -> None:
    world = World(pin=PIN)
    world.join(1)
    world.type(1, "77*1234#")
    assert world.state(1) == "in"


def test_three_wrong_pins_end_the_call() -> None:
    world = World(pin=PIN)
    world.join(1)
    for _ in range(2):
        world.type(1, "1111#")
        assert world.heard_by(1) == ["wrong-pin", "enter-pin"]
    world.type(1, "12341#")
    assert world.heard_by(1) == ["wrong-pin", "goodbye"]
    assert world.state(1) == "leaving"
    world.ended(world.one(v.PlayTo).play)
    assert world.one(v.Kick).why == "pin"
    assert isinstance(world.last[-1], v.Closed)
    assert len(world.conferences) == 0


def test_a_pin_that_is_never_ended_counts_when_time_is_up() -> None:
    world = World(pin=PIN)
    world.join(1)
    world.type(1, "1234")
    world.wait(6.9)
    assert world.state(1) == "pin"
    world.wait(0.2)
    assert world.state(1) == "in"


def test_silence_is_no_wrong_pin() -> None:
    world = World(pin=PIN)
    world.join(1)
    for _ in range(2):
        world.wait(20.0)
        assert world.heard_by(1) == ["enter-pin"]
        assert world.told() == []
    world.wait(20.0)
    assert world.heard_by(1) == ["no-pin", "goodbye"]
    assert world.told() == ["no-pin"]
    assert world.state(1) == "leaving"
    # Nothing more comes of its play: it is kicked all the same.
    world.wait(15.0)
    assert (world.one(v.Kick).member, world.one(v.Kick).why) == (1, "no-pin")
    assert world.conferences.deadline is None


def test_what_is_entered_and_not_ended_is_a_try() -> None:
    world = World(pin=PIN)
    world.join(1)
    world.type(1, "111")
    world.wait(7.0)
    assert world.told() == ["pin-failed"]
    assert world.heard_by(1) == ["wrong-pin", "enter-pin"]


def test_a_pin_that_is_begun_again_and_left_is_no_try() -> None:
    world = World(pin=PIN)
    world.join(1)
    world.type(1, "111*")
    world.wait(7.0)
    assert world.told() == []
    assert world.heard_by(1) == ["enter-pin"]


def test_silence_and_wrong_pins_by_turns_come_to_an_end() -> None:
    world = World(pin=PIN)
    world.join(1)
    for _ in range(2):
        world.wait(20.0)
        world.type(1, "1111#")
    world.wait(20.0)
    assert world.state(1) == "leaving"


@pytest.mark.parametrize("asked", [False, True])
def test_who_may_guess_no_more_hears_what_a_wrong_pin_is_told_with(asked: bool) -> None:
    world = World(pin=PIN)
    if asked:
        world.join(1)
    world.last = world.conferences.arrived("board", v.Barred(1), world.now)
    if asked:
        world.last = world.conferences.member(v.Barred(1), world.now)
    assert world.heard_by(1) == ["wrong-pin", "goodbye"]
    assert world.one(v.Stands).stand == "leaving"
    play = world.one(v.PlayTo).play
    assert world.conferences.member(v.Barred(1), world.now) == []
    world.type(1, "1234#")
    assert world.last == []
    world.ended(play)
    assert world.one(v.Kick).why == "pin"
    assert len(world.conferences) == 0


def test_no_pin_and_no_digit_is_in_any_text() -> None:
    world = World(pin=PIN)
    world.join(1)
    texts = [repr(world.last), repr(v.Digit(1, "7"))]
    for digits in ("7777#", "1234#"):
        world.type(1, digits)
        texts.append(repr(world.last))
    assert not any(digits in text for text in texts for digits in ("7777", "1234", "'7'"))


def test_waiting_for_the_host_with_music() -> None:
    world = World(host_pin=HOST_PIN, wait_for_host=True, music="jazz")
    world.join(1)
    world.type(1, "#")
    assert world.heard_by(1) == ["wait-for-host"]
    world.ended(world.one(v.PlayTo).play)
    assert world.heard_by(1) == ["music jazz"]
    music = world.one(v.PlayTo).play
    world.join(2)
    world.type(2, "9876#")
    assert world.one(v.Matrix).members == (1, 2)
    assert music in [stop.play for stop in world.of(v.StopPlay)]


def test_guests_wait_again_when_the_last_host_leaves() -> None:
    world = World(host_pin=HOST_PIN, wait_for_host=True)
    world.host(9)
    world.join(1)
    world.type(1, "#")
    world.place(2)
    world.leave(9)
    assert world.heard_by(1) == ["host-left", "wait-for-host"]
    # Whom the operator put in stays.
    assert world.one(v.Matrix).members == (2,)


def test_the_lobby() -> None:
    world = World(host_pin=HOST_PIN, lobby=True)
    world.host(9)
    world.join(1, "Ada", "101")
    world.type(1, "#")
    assert world.heard_by(1) == ["wait-in-lobby"]
    assert world.heard_by(9) == ["speech Ada", "waits"]
    assert world.of(v.Matrix) == []
    world.type(9, "*9")
    assert world.one(v.Matrix).members == (9, 1)
    assert world.heard_by(9) == ["admitted"]
    world.type(9, "*9")
    assert world.heard_by(9) == ["nobody-waits"]


def test_a_host_who_comes_is_told_who_waits() -> None:
    world = World(host_pin=HOST_PIN, lobby=True)
    world.join(1, "", "101")
    world.type(1, "#")
    world.host(9)
    assert world.heard_by(9) == ["digits 101", "waits"]


def test_refused_in_the_lobby() -> None:
    world = World(host_pin=HOST_PIN, lobby=True)
    world.join(1)
    world.type(1, "#")
    world.do(v.Refuse(member=1))
    assert world.heard_by(1) == ["refused", "goodbye"]
    world.ended(world.one(v.PlayTo).play)
    assert world.one(v.Kick).why == "refused"


def test_admitted_before_the_host_is_there() -> None:
    world = World(host_pin=HOST_PIN, lobby=True, wait_for_host=True)
    world.join(1)
    world.type(1, "#")
    world.do(v.Admit(member=1))
    assert world.state(1) == "waiting"
    world.host(9)
    assert world.state(1) == "in"


def test_a_full_room_takes_hosts_only() -> None:
    world = World(limit=1, host_pin=HOST_PIN)
    world.join(1)
    world.type(1, "#")
    world.join(2)
    world.type(2, "#")
    assert world.heard_by(2) == ["full", "goodbye"]
    world.join(3)
    world.type(3, "9876#")
    assert world.state(3) == "in"
    world.wait(15.0)
    assert world.one(v.Kick) == v.Kick(world.view().room, 2, "full")


def test_a_locked_room_takes_hosts_and_those_they_bring() -> None:
    world = World(lock=True, host_pin=HOST_PIN)
    world.join(1)
    world.type(1, "#")
    assert world.heard_by(1) == ["is-locked", "goodbye"]
    world.join(2)
    world.type(2, "9876#")
    world.place(3)
    assert [world.state(2), world.state(3)] == ["in", "in"]


def test_newcomers_are_told_how_many_are_there() -> None:
    world = World(announce_count=True, record=True, mute_guests=True, entry="none")
    world.join(1)
    assert world.heard_by(1) == ["alone", "is-recorded", "you-are-muted"]
    world.join(2)
    assert world.heard_by(2)[0] == "one-other"
    world.join(3)
    assert world.heard_by(3)[:3] == ["there-are", "number 2", "others"]
    assert world.of(v.PlayAll) == []


def test_an_operator_makes_a_conference_of_a_call() -> None:
    ids = itertools.count(50)
    conferences = Conferences({}, lambda: next(ids))
    conferences.arrived("ad-hoc", v.Place(1, "host"), 0.0)
    effects = conferences.arrived("ad-hoc", v.Place(2), 0.0)
    assert v.Matrix(50, (1, 2)) in effects
    assert conferences.conference(2) == "ad-hoc"


# ---- names


def test_names_are_recorded_played_and_deleted() -> None:
    world = World(entry="names")
    world.place(9)
    world.join(1, "Ada")
    assert world.heard_by(1) == ["say-name", "tone beep"]
    world.ended(world.one(v.PlayTo).play)
    recording = world.one(v.RecordName).recording
    world.type(1, "#")
    assert world.one(v.StopName).recording == recording
    world.outcome(v.NameRecorded(world.view().room, recording, "/names/1.wav"))
    assert world.heard_by_all() == ["/names/1.wav", "has-joined"]
    assert world.state(1) == "in"
    world.leave(1)
    assert world.heard_by_all() == ["/names/1.wav", "has-left"]
    assert world.of(v.ForgetName) == []
    world.ended(world.one(v.PlayAll).play)
    assert world.one(v.ForgetName).path == "/names/1.wav"


def test_a_name_that_is_playing_when_all_leave_is_deleted() -> None:
    world = World(entry="names")
    world.place(9)
    world.join(1)
    world.type(1, "5#")
    recording = world.of(v.RecordName)[0].recording
    world.outcome(v.NameRecorded(world.view().room, recording, "/names/1.wav"))
    world.leave(1)
    world.leave(9)
    assert world.one(v.ForgetName).path == "/names/1.wav"


def test_a_name_is_not_waited_for_without_an_end() -> None:
    world = World(entry="names")
    world.join(1)
    world.wait(20.0)
    recording = world.one(v.RecordName).recording
    world.wait(5.0)
    assert world.one(v.StopName).recording == recording
    world.wait(5.0)
    assert world.state(1) == "in"
    world.outcome(v.NameRecorded(world.view().room, recording, "/names/late.wav"))
    assert world.one(v.ForgetName).path == "/names/late.wav"


def test_without_its_name_the_display_name_is_spoken() -> None:
    world = World(entry="names")
    world.place(9)
    world.join(1, "Ada")
    world.type(1, "5")
    world.outcome(v.NameFailed(world.view().room, world.one(v.RecordName).recording))
    assert world.heard_by_all() == ["speech Ada", "has-joined"]


def test_a_name_that_comes_when_all_have_gone_is_deleted() -> None:
    world = World(entry="names")
    world.join(1)
    room = world.view().room
    world.type(1, "#")
    recording = world.one(v.RecordName).recording
    world.leave(1)
    assert world.one(v.StopName).recording == recording
    assert len(world.conferences) == 0
    world.outcome(v.NameRecorded(room, recording, "/names/1.wav"))
    assert world.last == [v.ForgetName(room, "/names/1.wav")]


# ---- what is said


def test_what_has_no_sound_file_is_spoken_once() -> None:
    world = World(pin=PIN)
    world.join(1)
    world.ended(world.one(v.PlayTo).play, failed=True)
    assert world.heard_by(1) == ["speech Please enter the PIN, then press hash."]
    world.ended(world.one(v.PlayTo).play, failed=True)
    assert world.of(v.PlayTo) == []


def test_what_waits_for_the_end_of_a_line_comes_after_its_speech() -> None:
    world = World(host_pin=HOST_PIN, lobby=True)
    world.join(1)
    world.type(1, "#")
    world.ended(world.one(v.PlayTo).play, failed=True)
    world.ended(world.one(v.PlayTo).play)
    assert world.heard_by(1) == ["music default"]


# ---- menus


def test_mute_oneself() -> None:
    world = World()
    world.join(1)
    world.join(2)
    world.type(1, "*1")
    assert world.one(v.Level).muted
    assert world.heard_by(1) == ["you-are-muted"]
    assert world.heard_by(2) == []
    world.type(1, "*1")
    assert not world.one(v.Level).muted


def test_volume_of_what_one_hears() -> None:
    world = World()
    world.join(1)
    world.type(1, "*4")
    assert world.one(v.Level).hears == pytest.approx(0.7079, abs=1e-3)
    assert world.heard_by(1) == ["volume", "number 4"]
    world.type(1, "*6" * 20)
    assert world.heard_by(1)[-1] == "number 9"
    assert world.view().members[0].hears == 4


def test_digits_without_the_star_and_after_leaving_the_menu_do_nothing() -> None:
    world = World()
    world.join(1)
    for digits in ("1", "#", "*#1"):
        world.type(1, digits)
        assert world.last == []
    world.type(1, "*")
    world.wait(5.0)
    world.type(1, "1")
    assert world.last == []


def test_guests_have_no_menu_of_hosts() -> None:
    world = World()
    world.join(1)
    world.type(1, "*2")
    assert world.heard_by(1) == ["not-possible"]
    assert not world.view().locked


def test_help_names_what_there_is() -> None:
    world = World(guest_menu={"1": "mute", "8": "leave"})
    world.join(1)
    world.type(1, "*0")
    assert world.heard_by(1) == ["not-possible"]
    world = World()
    world.join(1)
    world.type(1, "*0")
    heard = world.heard_by(1)
    assert heard[:3] == ["press-star", "digits 1", "to-mute"]
    assert heard[-1] == "leave-menu"


def test_leave_by_the_menu() -> None:
    world = World(guest_menu={"8": "leave"})
    world.place(2)
    world.join(1)
    world.type(1, "*8")
    assert world.one(v.Matrix).members == (2,)
    world.ended(next(play.play for play in world.of(v.PlayTo)))
    assert world.one(v.Kick).why == "left"


def test_the_menu_of_hosts() -> None:
    world = World()
    world.host(9)
    world.join(1, "Ada")
    world.join(2, "", "102")
    world.type(9, "*2")
    assert (world.view().locked, world.heard_by(9)) == (True, ["now-locked"])
    world.type(9, "*2")
    assert (world.view().locked, world.heard_by(9)) == (False, ["now-unlocked"])
    world.type(9, "*5")
    assert [world.muted(each) for each in (9, 1, 2)] == [False, True, True]
    assert (world.heard_by(1), world.heard_by(9)) == (["muted-by-host"], ["guests-muted"])
    world.type(9, "*8")
    assert world.heard_by(9) == ["roll-call", "somebody", "speech Ada", "digits 102"]
    world.type(9, "*3")
    assert world.heard_by(2) == ["kicked", "goodbye"]
    assert world.one(v.Matrix).members == (9, 1)
    world.type(9, "*3")
    world.type(9, "*3")
    assert world.heard_by(9) == ["nobody-to-remove"]


def test_a_long_roll_call_ends_with_how_many_more_there_are() -> None:
    world = World()
    world.host(9)
    for member in range(10, 43):
        world.join(member)
    world.type(9, "*8")
    heard = world.heard_by(9)
    assert heard.count("somebody") == 30
    assert heard[-2:] == ["number 4", "others"]


# ---- commands


def test_whom_a_host_has_muted_cannot_unmute_itself() -> None:
    world = World()
    world.host(9)
    world.join(1)
    world.do(v.Mute(member=1, muted=True, by=9))
    assert world.heard_by(1) == ["muted-by-host"]
    world.type(1, "*1")
    assert world.heard_by(1) == ["muted-by-host"]
    world.do(v.Mute(member=1, muted=False, by=9))
    assert not world.muted(1)


def test_who_muted_itself_stays_so() -> None:
    world = World()
    world.join(1)
    world.type(1, "*1")
    world.do(v.Mute(member=1, muted=True))
    world.do(v.Mute(member=1, muted=False))
    assert world.muted(1)
    assert world.heard_by(1) == ["you-are-muted"]


def test_guests_begin_muted() -> None:
    world = World(mute_guests=True)
    world.host(9)
    world.join(1)
    kinds = [type(effect) for effect in world.last]
    # Never heard, not for a frame.
    assert kinds.index(v.Level) < kinds.index(v.Matrix)
    assert world.one(v.Level) == v.Level(world.view().room, 1, muted=True)
    world.type(9, "*5")
    assert not world.muted(1)


def test_deaf_and_volume() -> None:
    world = World()
    world.join(1)
    world.do(v.Deafen(member=1, deaf=True))
    assert world.one(v.Level).deaf
    world.do(v.SetVolume(member=1, heard=-2, hears=99))
    assert world.one(v.Level).heard == pytest.approx(0.5012, abs=1e-3)
    assert world.view().members[0].hears == 4


def test_only_hosts_and_the_operator_command() -> None:
    world = World()
    world.join(1)
    world.join(2)
    for command in (v.Remove(member=2, by=1), v.End(by=1), v.Lock(locked=True, by=77)):
        world.do(command)
        assert "only a host" in world.one(v.Refused).why
        assert world.one(v.Refused).by == command.by
    world.do(v.Mute(member=5, muted=True))
    assert "no member 5" in world.one(v.Refused).why


def test_kick_all_but_oneself() -> None:
    world = World(end_with_host=True, host_pin=HOST_PIN)
    world.host(8)
    world.host(9)
    world.place(1)
    world.do(v.RemoveAll(by=9))
    assert world.one(v.Matrix).members == (9,)
    assert (world.heard_by(1), world.heard_by(8)) == (["kicked", "goodbye"], ["kicked", "goodbye"])


def test_end_is_for_all_and_who_comes_now_begins_another() -> None:
    world = World()
    world.host(9)
    world.join(1)
    first = world.view().room
    world.do(v.End(by=9))
    assert world.one(v.Matrix).members == ()
    assert world.heard_by(1) == ["ended", "goodbye"]
    world.join(2)
    assert world.view().room != first
    world.wait(15.0)
    assert [kick.why for kick in world.of(v.Kick)] == ["ended", "ended"]
    assert v.Closed(first) in world.last
    assert len(world.conferences) == 1


def test_end_with_host() -> None:
    world = World(end_with_host=True, host_pin=HOST_PIN)
    world.host(8)
    world.host(9)
    world.place(1)
    world.leave(9)
    assert world.state(1) == "in"
    world.leave(8)
    assert world.heard_by(1) == ["ended", "goodbye"]


def test_to_kick_the_last_host_ends_it_too() -> None:
    world = World(end_with_host=True, host_pin=HOST_PIN)
    world.host(9)
    world.place(1)
    world.do(v.Remove(member=9))
    assert (world.heard_by(9), world.heard_by(1)) == (["kicked", "goodbye"], ["ended", "goodbye"])


def test_a_kick_is_heard_by_those_who_stay() -> None:
    world = World()
    world.join(1)
    world.join(2)
    world.do(v.Remove(member=2))
    assert world.heard_by_all() == ["tone beep", "tone beep"]


def test_dial_out() -> None:
    world = World(lock=True)
    world.host(9)
    world.do(v.Dial(number="+4930123", by=9))
    dial = world.one(v.DialOut)
    assert (dial.number, dial.by) == ("+4930123", 9)
    world.place(1, dial=dial.dial)
    assert world.one(v.Matrix).members == (9, 1)
    world.do(v.Dial(number="1", by=9))
    world.outcome(v.DialFailed(world.view().room, world.one(v.DialOut).dial, "busy"))
    assert world.heard_by(9) == ["call-failed"]


def test_a_dial_opens_a_room_for_the_operator_and_ends_with_it() -> None:
    world = World()
    world.do(v.Dial(number="1"))
    first = world.one(v.DialOut)
    world.outcome(v.DialFailed(first.room, first.dial))
    assert isinstance(world.last[-1], v.Closed)
    world.host(9)
    world.do(v.Dial(number="1", by=9))
    dial = world.one(v.DialOut).dial
    world.leave(9)
    assert world.one(v.CancelDial).dial == dial
    assert len(world.conferences) == 0
    # It was answered at the same moment.
    world.place(1, dial=dial)
    assert world.last == [v.Kick(0, 1, "ended")]
    world.do(v.Lock(locked=True))
    assert "nobody is in" in world.one(v.Refused).why


# ---- recording


def test_recorded_from_the_first_member_to_the_last() -> None:
    world = World(record=True)
    world.join(1)
    recording = world.one(v.RecordRoom)
    assert recording.members == (1,)
    world.join(2)
    assert world.one(v.RecordingMembers) == v.RecordingMembers(recording.room, recording.recording, (1, 2))
    world.leave(1)
    world.leave(2)
    assert world.one(v.StopRecording).recording == recording.recording


def test_record_pause_resume_stop() -> None:
    world = World()
    world.host(9)
    world.type(9, "*7")
    assert world.heard_by_all() == ["recording-began"]
    recording = world.one(v.RecordRoom).recording
    world.do(v.Record(what="pause", by=9))
    assert world.one(v.PauseRecording) == v.PauseRecording(world.view().room, recording, True)
    assert world.view().recording == "paused"
    world.do(v.Record(what="pause", by=9))
    assert world.one(v.Refused).why == "there is no recording to pause"
    world.do(v.Record(what="resume", by=9))
    assert world.view().recording == "yes"
    world.type(9, "*7")
    assert world.heard_by_all() == ["recording-ended"]
    assert world.one(v.StopRecording).recording == recording
    assert world.view().recording == "no"


def test_a_recording_that_fails_is_told_and_not_begun_again() -> None:
    world = World(record=True)
    world.host(9)
    recording = world.one(v.RecordRoom)
    world.outcome(v.RecordingFailed(recording.room, recording.recording, "disk full"))
    assert world.heard_by(9) == ["recording-failed"]
    assert world.told() == ["recording-failed"]
    world.join(1)
    assert world.of(v.RecordRoom) == []


def test_a_recording_that_goes_with_its_process_goes_on_with_those_who_are_back() -> None:
    world = World(record=True)
    for member in (1, 2):
        world.join(member)
    room = world.view().room
    recording = world.one(v.RecordingMembers).recording
    world.do(v.Record(what="pause"))
    for member in (1, 2):
        world.last = world.conferences.member(v.Lost(member), 0.0)
        assert world.last == [] or world.of(v.RecordRoom) == []
    world.outcome(v.RecordingFailed(room, recording, "worker lost", lost=True))
    assert world.last == [], "nobody is there to be recorded"
    world.last = world.conferences.member(v.Reopened(2), 0.0)
    again = world.one(v.RecordRoom)
    assert again.members == (2,)
    assert world.one(v.PauseRecording) == v.PauseRecording(room, again.recording, True), "as it was"
    assert world.view().recording == "paused"
    world.last = world.conferences.member(v.Reopened(1), 0.0)
    assert world.one(v.RecordingMembers).members == (1, 2)


# ---- talkers, loss, leaving


def test_talkers_are_told_and_a_muted_one_is_quiet() -> None:
    world = World(talkers=True)
    world.join(1)
    assert world.one(v.Matrix).talkers
    world.last = world.conferences.member(v.Talking(1, True), 0.0)
    assert world.told() == ["talking"]
    assert world.view().members[0].talking
    world.type(1, "*1")
    assert "quiet" in world.told()
    world.last = world.conferences.member(v.Talking(1, True), 0.0)
    assert world.last == []


def test_a_stream_that_is_back_is_told_all_again() -> None:
    world = World()
    world.join(1)
    world.type(1, "*1")
    world.last = world.conferences.member(v.Reopened(1), 0.0)
    assert world.one(v.Level).muted
    assert world.one(v.Matrix).members == (1,)


def test_another_stream_takes_a_place() -> None:
    """Role, place and what hosts have set stay; what the one before did itself goes with it."""
    world = World(host_pin=HOST_PIN, lobby=True)
    world.host(1)
    world.join(2)
    world.type(2, "#")
    world.type(1, "*1")
    world.do(v.Dial(number="5", by=1))
    world.last = world.conferences.member(v.Replaced(1, 11, "Ann", "101"), 0.0)
    assert world.one(v.Matrix).members == (11,)
    assert world.one(v.Level) == v.Level(world.view().room, 1), "the one that has gone is as it came"
    assert world.told() == ["left", "arrived", "joined"]
    assert [(each.member, each.role, each.muted) for each in world.view().members] == [
        (11, "host", False),
        (2, "guest", False),
    ]
    world.type(11, "*9")
    assert world.one(v.Matrix).members == (11, 2)
    world.last = world.conferences.member(v.Replaced(2, 11), 0.0)
    assert world.last == [], "it is there already"
    world.last = world.conferences.member(v.Leave(1), 0.0)
    assert world.last == []


@pytest.mark.parametrize(("digits", "asked"), [("", "enter-pin"), ("1234#", "say-name")])
def test_who_takes_a_place_is_asked_what_the_other_was(digits: str, asked: str) -> None:
    world = World(pin=PIN, entry="names")
    world.join(1)
    world.type(1, digits)
    world.last = world.conferences.member(v.Replaced(1, 2), 0.0)
    assert world.heard_by(2)[0] == asked
    assert world.of(v.StopPlay)


def test_the_operator_needs_rights_to_have_somebody_called() -> None:
    world = World(dial_as=None)
    world.join(1)
    world.do(v.Dial(number="5"))
    assert "dial_as" in world.one(v.Refused).why
    world.do(v.Dial(number="5", rights="104"))
    assert world.one(v.DialOut).rights == "104"


@pytest.mark.parametrize("digits", ["", "12", "1234#", "1234##"])
def test_who_vanishes_leaves_nothing(digits: str) -> None:
    world = World(pin=PIN, entry="names", record=True, talkers=True)
    world.join(1)
    world.type(1, digits)
    world.leave(1)
    assert isinstance(world.last[-1], v.Closed)
    assert len(world.conferences) == 0
    assert world.conferences.deadline is None
    assert world.conferences.view("board") is None
    world.leave(1)
    assert world.last == []


def test_effects_as_commands_of_the_media_engine() -> None:
    assert command_of(v.Matrix(5, (1, 2), True)) == SetRoom(5, (1, 2), talkers=True)
    assert command_of(v.Matrix(5, ())) == CloseRoom(5)
    assert command_of(v.PlayTo(5, 7, 1, (Tone("beep"),))) == Play(7, (Tone("beep"),), stream=1)
    assert command_of(v.PlayAll(5, 7, (Tone("beep"),))) == Play(7, (Tone("beep"),), room=5, over=True)
    assert command_of(v.Kick(5, 1, "ended")) is None

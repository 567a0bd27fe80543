"""Conference rooms on the whole switch: who is let in, who hears whom, what hosts and the operator do."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest
from structlog.testing import capture_logs

from media.audio_commands import (
    AudioCommand,
    CloseRoom,
    Detect,
    Digit,
    File,
    Music,
    Play,
    PlayEnded,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    SetRecordingChannels,
    SetRoom,
    SetVolume,
    Source,
    Speech,
    StartRecording,
    StopRecording,
    Talking,
)
from media.audio_commands import PauseRecording as Pause
from media.commands import StreamLost
from sip.invite import InviteSession
from sip.ua_events import SessionAnswered, SessionEnded
from softswitch.causes import Cause
from softswitch.conference import vocabulary as v
from softswitch.conference.commands import carry_out, list_all, read_request
from softswitch.conference.texts import TEXTS
from softswitch.rooms import ConferenceRefused
from tests.virtual.network import EVENTS, PCMA, FakeMedia, Phone, World, settings
from tests.virtual.test_changes import obliging

ROUTES = [{"to": "800", "answer_and_conference": "board"}, {"to": "801", "answer_and_conference": "plain"}]
PIN, HOST_PIN = "4711", "0815"
Asked = TypeVar("Asked", bound=AudioCommand)


class Office:
    """Phones 101 to 104 and the room `board`, which is as said."""

    def __init__(self, more: dict[str, Any] | None = None, **board: Any) -> None:
        self.world = World(settings(routes=ROUTES, conferences={"board": board}, **(more or {})))
        assert isinstance(self.world.media, FakeMedia), "these tests speak for the engine"
        self.media = self.world.media
        self.rooms = self.world.runtime.rooms
        self.phones: dict[str, Phone] = {}
        self.sessions: dict[str, InviteSession] = {}
        self.leg: dict[str, int] = {}

    def phone(self, number: str) -> Phone:
        if number not in self.phones:
            self.phones[number] = self.world.phone(number)
        return self.phones[number]

    def call(self, number: str, digits: str = "", dialled: str = "800", **more: Any) -> int:
        """A phone calls the room, and presses these. Its leg."""
        phone = self.phone(number)
        before = set(self.world.legs())
        self.sessions[number] = phone.dial(dialled, **more)
        self.world.run(0.3)
        assert phone.last(SessionAnswered)
        [leg] = set(self.world.legs()) - before
        self.leg[number] = leg
        self.press(number, digits)
        return leg

    def press(self, number: str, digits: str) -> None:
        for digit in digits:
            self.tell(Digit(self.leg[number], digit, 100, "rfc4733"))

    def tell(self, event: Any) -> None:
        """What the engine says."""
        self.media.events.append(event)
        self.world.link.settle()

    def direct(self, number: str, direction: str) -> None:
        """Its telephone asks for this direction by re-INVITE: it holds, or is back."""
        phone = self.phones[number]
        phone.do(self.sessions[number].offer, phone.sdp(direction=direction))
        self.world.run(0.3)

    def hang_up(self, *numbers: str) -> None:
        for number in numbers:
            self.phones[number].do(self.sessions[number].hangup)
            self.world.run(0.3)

    def ended(self, number: str) -> bool:
        return bool(self.phones[number].of(SessionEnded))

    # ---- what the engine was told

    def talk(self) -> set[str]:
        """Who is with others on the floor, as the engine was told last."""
        rooms: dict[int, tuple[int, ...]] = {}
        for command in self.media.commands:
            if isinstance(command, SetRoom):
                rooms[command.room] = command.members
            elif isinstance(command, CloseRoom):
                rooms.pop(command.room, None)
        number_of = {leg: number for number, leg in self.leg.items()}
        return {number_of[leg] for members in rooms.values() for leg in members}

    def plays(self, number: str) -> list[Play]:
        return [play for play in self.media.asked(Play) if play.stream == self.leg[number]]

    def heard(self, number: str) -> list[str]:
        """All that was played to it alone."""
        return [word for play in self.plays(number) for word in map(words, play.sources)]

    def played(self, number: str, how: str = "done") -> None:
        """What it heard last has ended."""
        self.tell(PlayEnded(self.plays(number)[-1].play, how))  # type: ignore[arg-type]

    def volume(self, number: str) -> SetVolume:
        return [each for each in self.media.asked(SetVolume) if each.stream == self.leg[number]][-1]

    def do(self, action: str, member: str = "", **more: Any) -> Any:
        request = read_request({"conference": "board", "action": action, "member": member, **more})
        try:
            return carry_out(self.rooms, request, self.world.now)
        finally:
            self.world.link.settle()

    def over(self, calls: int) -> list[Any]:
        return self.world.assert_over(calls)


def segments(record: Any) -> str:
    return " ".join(segment.kind for segment in record.segments)


def words(source: Source) -> str:
    match source:
        case File(name=name):
            return name.removeprefix("conference/")
        case Music(name=name):
            return f"music {name}"
        case Speech(text=text):
            return text
        case _:
            return type(source).__name__


# ---- coming in


def test_a_pin_lets_in_and_three_wrong_ones_do_not() -> None:
    office = Office(pin=PIN)
    office.call("101")
    assert office.heard("101") == ["enter-pin"]
    assert office.talk() == set()
    office.press("101", PIN + "#")
    assert office.talk() == {"101"}
    office.call("102", "1#2#")
    assert not office.ended("102")
    office.press("102", "3#")
    assert office.heard("102")[-2:] == ["wrong-pin", "goodbye"]
    office.played("102")
    office.world.run(0.3)
    assert office.ended("102")
    assert office.talk() == {"101"}
    assert office.rooms.counters["conference PINs refused"] == 3
    office.hang_up("101")
    records = {record.caller_number: record for record in office.over(2)}
    assert {number: record.cause for number, record in records.items()} == {
        "101": Cause.NORMAL_CLEARING,
        "102": Cause.CALL_REJECTED,
    }
    assert {number: segments(record) for number, record in records.items()} == {
        "101": "route lobby conference",
        "102": "route lobby",
    }


def test_a_prompt_that_is_missing_is_spoken() -> None:
    """The log warns of what nobody hears, and not of what is spoken instead."""
    office = Office(pin=PIN)
    office.call("101")
    with capture_logs() as lines:
        office.played("101", "failed")
        office.played("101", "failed")
    assert [(each["log_level"], each["spoken"]) for each in lines] == [("debug", True), ("warning", False)]
    assert office.plays("101")[-1].sources == (Speech(TEXTS["en"]["enter-pin"], "en"),)
    office.hang_up("101")
    office.over(1)


def test_nothing_pressed_ends_the_call_by_time() -> None:
    office = Office(pin=PIN)
    office.call("101")
    office.world.run(90.0)
    assert office.ended("101")
    assert not office.rooms.counters
    [record] = office.over(1)
    assert record.cause == Cause.CALL_REJECTED


def test_who_may_guess_no_more_is_told_so_in_the_lobby() -> None:
    office = Office(pin=PIN)
    for _ in range(10):
        office.call("102", "1#2#3#")
        office.played("102")
        office.world.run(0.3)
    office.call("102")
    assert office.heard("102")[-2:] == ["wrong-pin", "goodbye"]
    assert len(office.phone("102").of(SessionEnded)) == 10
    office.played("102")
    office.world.run(0.3)
    assert len(office.phone("102").of(SessionEnded)) == 11
    record = office.world.assert_over(11, 70.0)[-1]  # the log tells of what it has left out after a minute
    assert record.cause == Cause.CALL_REJECTED
    assert segments(record) == "route lobby"


def test_guests_wait_for_the_host_and_all_end_with_the_last() -> None:
    office = Office(pin=PIN, host_pin=HOST_PIN, wait_for_host=True, end_with_host=True, music="default")
    for number in ("101", "102"):
        office.call(number, PIN + "#")
        office.played(number)
        assert office.heard(number)[-2:] == ["wait-for-host", "music default"]
    assert office.talk() == set()
    office.call("103", HOST_PIN + "#")
    assert office.talk() == {"101", "102", "103"}
    office.hang_up("103")
    assert office.talk() == set()
    for number in ("101", "102"):
        assert office.heard(number)[-2:] == ["ended", "goodbye"]
        office.played(number)
    office.world.run(0.3)
    assert office.ended("101")
    assert office.ended("102")
    office.over(3)


def test_the_lobby_is_opened_by_the_host_or_the_operator() -> None:
    office = Office(host_pin=HOST_PIN, lobby=True)
    office.call("101", HOST_PIN + "#")
    office.call("102", "#")
    office.call("103", "#")
    assert office.talk() == {"101"}
    assert "waits" in office.heard("101")
    office.press("101", "*9")
    assert office.talk() == {"101", "102"}
    office.do("admit", "103")
    assert office.talk() == {"101", "102", "103"}
    office.hang_up("101", "102", "103")
    office.over(3)


def test_a_locked_room_and_a_full_one() -> None:
    office = Office(limit=2)
    office.call("101")
    office.do("lock")
    office.call("102")
    assert office.heard("102") == ["is-locked", "goodbye"]
    office.world.run(20.0)
    assert office.ended("102")
    office.do("unlock")
    office.call("103")
    office.call("104")
    assert office.talk() == {"101", "103"}
    assert office.heard("104")[-2:] == ["full", "goodbye"]
    office.hang_up("101", "103")
    office.world.run(20.0)
    assert office.ended("104")
    records = {record.caller_number: record for record in office.over(4)}
    assert {number: (record.cause, segments(record)) for number, record in records.items()} == {
        "101": (Cause.NORMAL_CLEARING, "route conference"),
        "102": (Cause.CALL_REJECTED, "route lobby"),
        "103": (Cause.NORMAL_CLEARING, "route conference"),
        "104": (Cause.USER_BUSY, "route lobby"),
    }


def test_who_is_removed_has_been_in_the_conference_to_its_end() -> None:
    """The last words that it hears are no lobby."""
    office = Office()
    office.call("101")
    office.call("102")
    office.do("kick", "102")
    office.world.run(5.0)
    office.played("102")
    office.world.run(0.3)
    office.hang_up("101")
    records = office.over(2)
    assert [segments(record) for record in records] == ["route conference"] * 2


def test_who_does_not_speak_events_is_listened_to() -> None:
    office = Office(pin=PIN)
    leg = office.call("101", offer=office.phone("101").sdp((PCMA,)))
    assert Detect(leg, dtmf=True) in office.media.commands
    other = office.call("102", offer=office.phone("102").sdp((PCMA, EVENTS)))
    assert all(command.stream != other for command in office.media.asked(Detect))
    office.hang_up("101", "102")
    office.over(2)


def test_a_room_without_settings_is_open() -> None:
    office = Office(pin=PIN)
    office.call("101", dialled="801")
    office.call("102", dialled="801")
    assert office.talk() == {"101", "102"}
    assert office.heard("101") == []
    office.hang_up("101", "102")
    office.over(2)


# ---- while there


def test_menus_of_guests_and_hosts() -> None:
    office = Office(host_pin=HOST_PIN)
    office.call("101", HOST_PIN + "#")
    office.call("102", "#")
    office.press("102", "*1")
    assert office.volume("102").muted
    assert office.heard("102")[-1] == "you-are-muted"
    office.press("102", "*1")
    assert not office.volume("102").muted
    office.press("102", "*2")
    assert office.heard("102")[-1] == "not-possible"
    office.press("101", "*5")
    assert office.volume("102").muted
    office.press("101", "*3")
    assert office.heard("102")[-2:] == ["kicked", "goodbye"]
    assert office.talk() == {"101"}
    office.played("102")
    office.world.run(0.3)
    assert office.ended("102")
    assert not office.ended("101")
    office.hang_up("101")
    assert office.over(2)[0].ended_by == "switch"


def test_the_operator_mutes_deafens_kicks_and_ends() -> None:
    office = Office()
    for number in ("101", "102", "103"):
        office.call(number)
    office.do("mute", "102")
    assert office.volume("102").muted
    office.do("deaf", "102")
    assert office.volume("102").deaf
    [view] = office.do("undeaf", "102").conferences
    assert [(each.number, each.muted, each.deaf) for each in view.members] == [
        ("101", False, False),
        ("102", True, False),
        ("103", False, False),
    ]
    office.do("kick", str(office.leg["102"]))
    office.played("102")
    office.world.run(0.3)
    assert office.ended("102")
    office.do("end")
    assert office.talk() == set()
    office.world.run(20.0)
    assert office.ended("101")
    assert office.ended("103")
    assert list_all(office.rooms).conferences == ()
    office.over(3)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"conference": "bored", "action": "lock"}, "nobody is in conference 'bored': expected one of board"),
        ({"conference": "board", "action": "kick", "member": "109"}, "no member '109' .*: expected one of 101"),
        ({"conference": "board", "action": "kick"}, "which member of conference 'board'[?] expected one of 101"),
        ({"conference": "board", "action": "dance"}, "unknown action 'dance': expected one of list, mute, .*, end"),
        ({"conference": "board", "action": "lockk"}, "unknown action 'lockk': did you mean 'lock'[?] expected one of"),
        ({"conference": "board"}, "unknown action 'None'"),
        (
            {"conference": "board", "action": "kick-all", "member": "101"},
            "'kick-all' is about no member: expected none",
        ),
        ({"conference": "board", "action": "dial", "number": "102"}, "rights of an extension.*--by.*'dial_as'"),
        (
            {"conference": "board", "action": "dial", "number": "102", "rights": "199"},
            "no extension '199' with whose rights to call",
        ),
        ({"conference": "board", "action": "dial", "number": ""}, "expected a number to call"),
        ({"conference": "board", "action": "record-stop"}, "it is not recorded"),
        ({"conference": "board", "action": "admit"}, "nobody waits"),
    ],
)
def test_commands_that_are_refused(request_: dict[str, str], why: str) -> None:
    office = Office()
    office.call("101")
    with pytest.raises(ConferenceRefused, match=why):
        carry_out(office.rooms, read_request(request_), office.world.now)
    office.hang_up("101")
    office.over(1)


def test_who_talks_is_told() -> None:
    office = Office(talkers=True)
    told: list[tuple[str, str]] = []
    office.rooms.told = lambda name, each: told.append((name, each.what))
    leg = office.call("101")
    [room] = office.media.asked(SetRoom)
    assert room.talkers
    office.tell(Talking(room.room, leg, True))
    assert told[-1] == ("board", "talking")
    office.hang_up("101")
    assert told[-1] == ("board", "left")
    office.over(1)


def test_digits_by_info_count_too() -> None:
    office = Office({"extensions": {"101": {"dtmf": "info"}}}, pin=PIN)
    office.call("101", offer=office.phone("101").sdp((PCMA,)))
    for digit in PIN + "#":
        info = f"Signal={digit}\r\nDuration=160\r\n".encode()
        office.phones["101"].do(office.sessions["101"].send_info, "application/dtmf-relay", info)
        office.world.run(0.2)
    assert office.talk() == {"101"}
    office.hang_up("101")
    office.over(1)


# ---- recording


def recording(office: Office) -> StartRecording:
    return office.media.asked(StartRecording)[-1]


def test_a_room_is_recorded_and_the_records_name_the_file() -> None:
    office = Office(host_pin=HOST_PIN)
    a = office.call("101", HOST_PIN + "#")
    office.call("102", "#")
    office.press("101", "*7")
    begun = recording(office)
    assert [stream for stream, _ in begun.channels] == [a, office.leg["102"]]
    assert dict(begun.label) == {"conference": "board"}
    office.tell(RecordingStarted(begun.recording, "/r/board.wav"))
    c = office.call("103", "#")
    came = office.media.asked(SetRecordingChannels)[-1]
    assert [s for s, _ in came.channels] == [a, office.leg["102"], c]
    # Who comes in later is told of in the record beside the file as those are who were there.
    assert {stream: dict(label)["extension"] for stream, label in begun.labels} == {a: "101", office.leg["102"]: "102"}
    assert {stream: (dict(label)["role"], dict(label)["extension"]) for stream, label in came.labels} == {
        a: ("member", "101"),
        office.leg["102"]: ("member", "102"),
        c: ("member", "103"),
    }
    assert office.heard("103")[-1] == "is-recorded"
    office.do("record-pause")
    assert office.media.asked(Pause)[-1] == Pause(begun.recording, True)
    office.press("101", "*7")
    assert office.media.asked(StopRecording) == [StopRecording(begun.recording)]
    office.tell(RecordingEnded(begun.recording, "/r/board.wav", 5.0))
    office.call("104", "#")
    office.hang_up("101", "102", "103", "104")
    records = {record.caller_number: record.recording for record in office.over(4)}
    assert records == {"101": "/r/board.wav", "102": "/r/board.wav", "103": "/r/board.wav", "104": ""}


def test_a_recording_that_fails_ends_and_one_whose_worker_is_lost_goes_on() -> None:
    office = Office(record=True)
    office.call("101")
    obliging(office.phones["101"])
    first = recording(office)
    leg = office.leg["101"]
    del office.media.streams[leg]
    office.tell(StreamLost(leg, "killed"))
    office.tell(RecordingFailed(first.recording, "/r/1.wav", "media worker lost"))
    office.world.run(1.0)
    second = recording(office)
    assert second.recording != first.recording
    assert second.channels == ((leg, 0),)
    office.tell(RecordingFailed(second.recording, "/r/2.wav", "disk full"))
    assert recording(office) == second
    assert office.rooms.counters["recordings failed"] == 2
    office.hang_up("101")
    office.over(1)


def test_names_are_said_heard_and_deleted() -> None:
    office = Office(entry="names")
    deleted: list[str] = []
    office.rooms.delete_file = deleted.append
    office.call("101")
    office.played("101")
    named = recording(office)
    assert named.channels == ((office.leg["101"], 0),)
    office.press("101", "#")
    assert office.media.asked(StopRecording)[-1] == StopRecording(named.recording)
    office.tell(RecordingEnded(named.recording, "/r/ann.wav", 1.0))
    assert office.talk() == {"101"}
    office.call("102", "5#")
    other = recording(office)
    office.tell(RecordingFailed(other.recording, "", "disk full"))
    assert office.talk() == {"101", "102"}
    office.hang_up("101")
    left = office.media.asked(Play)[-1]
    assert left.room
    assert left.sources[0] == File("/r/ann.wav")
    assert deleted == []
    office.tell(PlayEnded(left.play, "done"))
    assert deleted == ["/r/ann.wav"]
    office.hang_up("102")
    records = office.over(2)
    assert [record.recording for record in records] == ["", ""]


# ---- calls out, other legs


def test_the_operator_has_somebody_called_in() -> None:
    office = Office(dial_as="101", pin=PIN, host_pin=HOST_PIN, lock=True)
    ben = office.phone("102")
    office.do("dial", number="102", role="host")
    office.world.run(0.2)
    assert ben.invited().from_.uri.user == "101"
    ben.ring()
    office.world.run(0.2)
    ben.answer()
    office.world.run(0.3)
    [leg] = office.world.legs()
    office.leg["102"] = leg
    assert office.talk() == {"102"}
    assert office.media.groups[leg] == "conference board"
    [view] = list_all(office.rooms).conferences
    assert [(each.number, each.role, each.state) for each in view.members] == [("102", "host", "in")]
    office.press("102", "*2")
    assert office.heard("102")[-1] == "now-unlocked"
    ben.do(ben.called().hangup)
    office.world.run(0.3)
    [record] = office.over(1)
    assert (record.caller_number, record.dialled, record.destination) == ("101", "102", "conference")
    assert record.answered is not None


@pytest.mark.parametrize("status", [486, 603])
def test_whoever_does_not_come_is_told_to_the_host(status: int) -> None:
    office = Office(host_pin=HOST_PIN)
    office.phone("102")
    office.call("101", HOST_PIN + "#")
    told: list[v.Told] = []
    office.rooms.told = lambda name, each: told.append(each)
    office.rooms.command("board", v.Dial(number="102", by=office.leg["101"]), office.world.now)
    office.world.run(0.2)
    office.phones["102"].refuse(status)
    office.world.run(0.3)
    assert [each.what for each in told] == ["dialling", "dial-failed"]
    assert office.heard("101")[-1] == "call-failed"
    office.hang_up("101")
    records = office.over(2)
    assert records[0].cause in (Cause.USER_BUSY, Cause.CALL_REJECTED)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("999", "no route to destination"),
        ("*43", "the number leads to nobody who could be called"),
        ("104", "subscriber absent"),
        ("801", "the number leads to nobody who could be called"),
    ],
)
def test_numbers_that_lead_to_no_telephone(number: str, why: str) -> None:
    office = Office(dial_as="101")
    with pytest.raises(ConferenceRefused) as caught:
        office.do("dial", number=number)
    assert str(caught.value) == f"{number!r} can't be called: {why}"
    office.world.run(0.3)
    assert list_all(office.rooms).conferences == ()
    [record] = office.world.records or [None]
    assert record is None or not record.answered
    office.world.run(40.0)
    assert office.world.node.leftovers() == {}


def test_a_call_that_is_awaited_no_more_is_ended() -> None:
    office = Office(dial_as="101")
    ben = office.phone("102")
    office.call("103")
    office.do("dial", number="102")
    office.world.run(0.2)
    ben.ring()
    office.do("end")
    office.world.run(0.3)
    assert ben.got("CANCEL")
    office.world.run(20.0)
    office.over(2)


def test_a_trunk_has_no_rights_to_have_others_called() -> None:
    office = Office(host_pin=HOST_PIN)
    world = office.world
    gateway = world.gateway("192.0.2.60")
    session = gateway.dial("800")
    world.run(0.3)
    [leg] = world.legs()
    office.leg["gateway"] = leg
    office.press("gateway", HOST_PIN + "#")
    with pytest.raises(ConferenceRefused, match="'0123' can't be called: only a host at an extension"):
        office.rooms.command("board", v.Dial(number="0123", by=leg), world.now)
    world.run(0.3)
    assert office.heard("gateway")[-1] == "call-failed"
    gateway.do(session.hangup)
    office.over(1)


@pytest.mark.parametrize("way", ["sendonly", "inactive"])
def test_who_holds_is_not_heard_in_the_room_until_it_is_back(way: str) -> None:
    """Its telephone may send its own music. What a host has muted, or it has muted itself, stays so."""
    office = Office(host_pin=HOST_PIN)
    office.call("101", HOST_PIN + "#")
    office.call("102", "#")

    def held() -> list[tuple[str, bool, bool]]:
        [view] = office.do("list").conferences
        return [(each.number, each.holding, each.muted) for each in view.members]

    office.direct("102", way)
    assert office.volume("102").muted
    assert held() == [("101", False, False), ("102", True, False)]
    office.direct("102", "sendrecv")
    assert not office.volume("102").muted
    assert held()[1] == ("102", False, False)
    office.do("mute", "102")
    office.direct("102", way)
    office.direct("102", "sendrecv")
    assert office.volume("102").muted, "by the host"
    office.direct("102", way)
    office.do("unmute", "102")
    assert office.volume("102").muted, "it holds still"
    office.direct("102", "sendrecv")
    assert not office.volume("102").muted
    office.direct("101", way)
    office.press("101", "*1")
    office.direct("101", "sendrecv")
    assert office.volume("101").muted, "by itself"
    office.hang_up("101", "102")
    office.over(2)


def test_who_comes_into_a_room_on_hold_is_not_heard_there() -> None:
    office = Office()
    office.call("101")
    office.call("102", offer=office.phone("102").sdp(direction="sendonly"))
    assert office.volume("102").muted
    office.direct("102", "sendrecv")
    assert not office.volume("102").muted
    assert office.do("list").conferences[0].members[1].holding is False
    office.hang_up("101", "102")
    office.over(2)


def test_whoever_is_called_in_and_answers_with_a_hold_is_not_heard_until_it_is_back() -> None:
    office = Office(dial_as="101")
    office.call("101")
    ben = office.phone("102")
    office.do("dial", number="102")
    office.world.run(0.2)
    ben.answer(ben.sdp(direction="sendonly"))
    office.world.run(0.3)
    office.sessions["102"] = ben.called()
    [office.leg["102"]] = set(office.world.legs()) - {office.leg["101"]}
    assert office.talk() == {"101", "102"}
    assert office.volume("102").muted
    office.direct("102", "sendrecv")
    assert not office.volume("102").muted
    office.hang_up("101", "102")
    office.over(2)


def test_whoever_answers_our_offer_with_a_hold_holds() -> None:
    """A re-INVITE without an offer: the telephone's direction stands in its ACK."""
    office = Office()
    office.call("101")
    office.call("102")
    phone, session = office.phone("102"), office.sessions["102"]
    phone.do(session.offer, None, method="INVITE")
    office.world.run(0.3)
    phone.do(session.answer, phone.sdp(direction="sendonly"))
    office.world.run(0.3)
    assert office.volume("102").muted
    office.direct("102", "sendrecv")
    assert not office.volume("102").muted
    office.hang_up("101", "102")
    office.over(2)


def test_whoever_takes_the_place_of_one_who_holds_is_heard() -> None:
    """As after an attended transfer out of the room: the one who transfers holds."""
    office = Office()
    a = office.call("101")
    office.call("102")
    c = office.call("103")
    office.rooms.leave(c, office.world.now)
    office.direct("101", "sendonly")
    assert office.rooms.replace(a, c, office.world.now)
    view = office.rooms.view("board")
    assert view is not None
    assert [(each.number, each.holding) for each in view.members] == [("103", False), ("102", False)]
    assert not [each for each in office.media.asked(SetVolume) if each.stream == c and each.muted]
    office.hang_up("101", "102", "103")
    office.over(3)


def test_another_leg_takes_a_place() -> None:
    """As after an attended transfer out of the room: role and what hosts have set go over."""
    office = Office(pin=PIN, host_pin=HOST_PIN)
    a = office.call("101", HOST_PIN + "#")
    office.call("102", PIN + "#")
    c = office.call("103")  # asked for the PIN: somewhere else, as far as this is concerned
    office.rooms.leave(c, office.world.now)
    office.press("101", "*1")
    assert office.rooms.replace(a, c, office.world.now)
    assert office.talk() == {"103", "102"}
    assert not office.volume("101").muted
    assert office.rooms.conference(a) == ""
    view = office.rooms.view("board")
    assert view is not None
    assert [(each.number, each.role, each.muted) for each in view.members] == [
        ("103", "host", False),
        ("102", "guest", False),
    ]
    assert not office.rooms.replace(a, c, office.world.now)
    assert not office.rooms.replace(c, office.leg["102"], office.world.now)
    office.press("103", "*2")
    assert office.heard("103")[-1] == "now-locked"
    office.hang_up("101", "102", "103")
    office.over(3)


def test_a_leg_is_put_into_another_room() -> None:
    office = Office(pin=PIN, lock=True)
    a = office.call("101", dialled="801")
    office.call("102", dialled="801")
    office.rooms.add(a, "board", "guest", office.world.now)
    assert office.rooms.members("plain") == (office.leg["102"],)
    assert office.rooms.members("board") == (a,)
    assert office.talk() == {"101", "102"}
    office.hang_up("101", "102")
    office.over(2)


def test_a_reload_is_for_rooms_that_open_later() -> None:
    office = Office(pin=PIN)
    office.call("101", PIN + "#")
    fresh = settings(routes=ROUTES, conferences={"board": {}})
    office.world.switch.configure(fresh, office.world.now)
    office.call("102")
    assert office.heard("102") == ["enter-pin"]
    office.hang_up("101", "102")
    office.world.run(1.0)
    office.call("103")
    assert office.talk() == {"103"}
    office.hang_up("103")
    office.over(3)

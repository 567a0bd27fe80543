"""Conference rooms on the whole switch: who is let in, who hears whom, what hosts and the operator do."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from media.audio_commands import (
    Detect,
    File,
    Play,
    PlayEnded,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    SetRecordingChannels,
    SetRoom,
    Speech,
    StartRecording,
    StopRecording,
    Talking,
)
from media.audio_commands import PauseRecording as Pause
from media.commands import StreamLost
from sip.ua_events import SessionEnded
from softswitch.causes import Cause
from softswitch.conference.commands import carry_out, list_all, read_request
from softswitch.conference.texts import TEXTS
from softswitch.rooms import ConferenceRefused
from tests.virtual.conference_office import HOST_PIN, PIN, Office, segments
from tests.virtual.network import EVENTS, PCMA
from tests.virtual.test_changes import obliging

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

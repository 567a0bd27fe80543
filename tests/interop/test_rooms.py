"""Conference rooms with real telephones, step by step: who hears whom and which prompt, what hosts and the operator do,
the record of each call, and the recording of the room."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness.baresip import Phone
from harness.evidence import Ears, Recorded, kinds, legs
from harness.meeting import BEEP, TONES, Meeting, RoomRecording, prompts_as_tones
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

CONFIGURED = (
    FOR_SIPP
    + """
media: {workers: 1, sounds: {prompt_directories: [PROMPTS]}}
defaults: {extension: {record: always}}
extensions: {"101": {name: ""}, "102": {name: ""}, "103": {name: Cyd Charisse}, "104": {name: ""}}
feature_codes: {in_call: {attended_transfer: "*2", three_way: "*3", blind_transfer: "##"}}
conferences:
  board: {pin: "471", host_pin: "081", wait_for_host: true, end_with_host: true, record: true}
  lobby: {host_pin: "081", lobby: true, wait_for_host: true, entry: none, limit: 3}
  names:
    entry: names
    dial_as: "104"
    announce_count: true
    mute_guests: true
    guest_menu: {"1": leave, "2": mute}
    host_menu: {"1": roll-call, "3": end}
  menus: {host_pin: "081", entry: none}
  plain: {record: true, entry: none}
"""
)
ROUTES = (
    '{to: "800", answer_and_conference: board}',
    '{to: "801", answer_and_conference: lobby}',
    '{to: "802", answer_and_conference: names}',
    '{to: "803", answer_and_conference: plain}',
    '{to: "804", answer_and_conference: menus}',
)
PROMPTS = (
    "enter-pin",
    "enter-pin-or-hash",
    "wrong-pin",
    "goodbye",
    "wait-for-host",
    "host-left",
    "wait-in-lobby",
    "waits",
    "is-recorded",
    "recording-began",
    "recording-paused",
    "recording-ended",
    "you-are-muted",
    "you-are-unmuted",
    "muted-by-host",
    "guests-muted",
    "now-locked",
    "is-locked",
    "full",
    "admitted",
    "refused",
    "removed",
    "kicked",
    "ended",
    "not-possible",
    "roll-call",
    "press-star",
    "to-mute",
    "say-name",
    "has-joined",
    "has-left",
    "alone",
    "one-other",
    "there-are",
    "others",
    "volume",
)
GUEST, HOST = "471#", "081#"


class Office:
    """A switch, its telephones, and their tones and the prompts'."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        prompts = directory / "tones"
        self.tones = {**TONES, **BEEP, **prompts_as_tones(prompts, PROMPTS)}
        softer = {f"{number}-": tone._replace(level=tone.level - 3.0) for number, tone in TONES.items()}
        self.live = self.tones | softer
        configured = CONFIGURED.replace("PROMPTS", str(prompts))
        self.switch = stack.enter_context(Switch(directory, routes_of_own=ROUTES, extra=configured))
        self.phones = {
            number: stack.enter_context(
                Phone(directory, number, self.switch.password(number), self.switch.address, tone, codecs=("PCMA",))
            )
            for number, tone in TONES.items()
        }

    def names(self) -> list[Path]:
        """Recordings of names."""
        found = (self.switch.config / "var" / "recordings").rglob("*.wav")
        return [
            path for path in found if json.loads(path.with_suffix(".json").read_text())["call"].get("what") == "name"
        ]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(tmp_path_factory.mktemp("rooms"), stack)


@pytest.fixture
def meeting(office: Office, tmp_path: Path) -> Iterator[Meeting]:
    with Ears(tmp_path, office.switch, office.tones) as ears:
        yield Meeting(office.switch, office.phones, ears, office.live)
    for call in office.switch.status().calls:  # of a test that failed
        office.switch.run_here("call", "hangup", call.contact, "--config", str(office.switch.config))
    office.switch.wait_calls(0)


def calls(meeting: Meeting, number: str, room: str, pin: str) -> None:
    """A telephone calls a room that asks hosts for their PIN, and answers."""
    meeting.call(number, room)
    meeting.told(number, "enter-pin-or-hash")
    meeting.press(number, pin)


def test_guests_wait_for_the_host_and_all_end_with_it(office: Office, meeting: Meeting) -> None:
    meeting.room = "board"
    meeting.call("104", "800")
    meeting.told("104", "enter-pin")
    meeting.press("104", "9#9#9#")
    meeting.call("101", "800")
    meeting.told("101", "enter-pin")
    meeting.press("101", "9#")
    meeting.told("101", "wrong-pin")
    meeting.press("101", GUEST)
    meeting.told("101", "wait-for-host")
    meeting.hear({"101": "music"})
    meeting.gone("104")
    meeting.call("102", "800")
    meeting.told("102", "enter-pin")
    meeting.press("102", GUEST)
    meeting.told("102", "wait-for-host")
    meeting.hear({"101": "music", "102": "music"})
    meeting.call("103", "800")
    meeting.told("103", "enter-pin")
    meeting.press("103", HOST)
    meeting.hear({"101": "102+103", "102": "101+103", "103": "101+102"})
    meeting.do("mute", "102")
    meeting.told("102", "muted-by-host")
    meeting.hear({"101": "103", "102": "101+103", "103": "101"})
    meeting.do("deaf", "101")
    meeting.hear({"101": "", "102": "101+103", "103": "101"})
    meeting.do("undeaf", "101")
    meeting.do("unmute", "102")
    meeting.hear({"101": "102+103", "102": "101+103", "103": "101+102"})
    meeting.do("record", "pause")
    meeting.told("101", "102+103+recording-paused")
    meeting.hear({"101": "102+103", "103": "101+102"})
    meeting.do("record", "resume")
    meeting.told("101", "102+103+recording-began")
    meeting.hear({"101": "102+103", "102": "101+103"})
    meeting.do("kick", "102")
    meeting.gone("102")
    meeting.hear({"101": "103", "103": "101"})
    meeting.hang_up("103")
    meeting.gone("101")
    records = meeting.over(4)
    refused = office.switch.status().counters["conference PINs refused"]
    assert refused == 4
    told = {number: meeting.heard(number) for number in TONES}
    # It is asked again after a wrong PIN, and heard so where the next digit takes a moment.
    told["101"] = told["101"].replace("wrong-pin enter-pin", "wrong-pin")
    assert told == {
        "101": "enter-pin wrong-pin wait-for-host music is-recorded 102+103+beep 102+103 103 102+103 "
        "102+103+recording-paused 102+103 102+103+recording-began 102+103 103+beep 103 ended goodbye",
        "102": "enter-pin wait-for-host music is-recorded 101+103+beep 101+103 muted-by-host 101+103 you-are-unmuted "
        "101+103 101+103+recording-paused 101+103 101+103+recording-began 101+103 kicked goodbye",
        "103": "enter-pin is-recorded 101+102+beep 101+102 101 101+102 101+102+recording-paused 101+102 "
        "101+102+recording-began 101+102 101+beep 101",
        "104": "enter-pin wrong-pin goodbye",
    }
    ended = {"101": "switch", "102": "switch", "103": "caller", "104": "switch"}
    for number, [record] in records.items():
        came_in = number != "104"
        assert (record["dialled"], record["destination"], record["ended_by"]) == ("800", "conference", ended[number])
        assert record["cause"] == ("16" if came_in else "21")
        assert meeting.parts(record) == ("lobby conference" if came_in else "lobby", number)
    [path] = {records[number][0]["recording"] for number in ("101", "102", "103")}
    assert records["104"][0]["recording"] == "", "it never came in"
    recording = RoomRecording(path, office.tones, "board", muted=("102",))
    # A pause is silence: what is heard before and after it is the same.
    assert recording.line == "101+102+103 101+103 101+102+103 101+103"
    assert sorted(recording.who()) == ["101", "102", "103"]
    [[begin, end]] = recording.content["pauses"]
    assert recording.silences() == [pytest.approx((begin, end), abs=0.2)]
    left = {each["who"]["extension"]: each["to"] for each in recording.stretches}
    assert end < left["102"] < left["101"] == left["103"] == recording.content["seconds"]


def test_a_lobby_a_limit_and_a_lock(office: Office, meeting: Meeting) -> None:
    meeting.room = "lobby"
    calls(meeting, "103", "801", HOST)
    meeting.is_in("103", "in")
    # Admitted by the host, and by the operator.
    calls(meeting, "101", "801", "#")
    meeting.told("103", "waits")
    meeting.hear({"101": "music"})
    meeting.press("103", "*9")
    meeting.told("103", "admitted")
    meeting.hear({"101": "103", "103": "101"})
    calls(meeting, "102", "801", "#")
    meeting.told("103", "waits")
    meeting.hear({"102": "music", "103": "101"})
    meeting.do("admit", "102")
    meeting.hear({"101": "102+103", "102": "101+103", "103": "101+102"})
    calls(meeting, "104", "801", "#")
    meeting.told("104", "full", "goodbye")
    meeting.gone("104")
    meeting.press("103", "*2")
    meeting.told("103", "now-locked")
    calls(meeting, "104", "801", "#")
    meeting.told("104", "is-locked", "goodbye")
    meeting.gone("104")
    meeting.do("unlock")
    # One goes, and comes again; the operator does not admit it.
    meeting.hang_up("102")
    calls(meeting, "102", "801", "#")
    meeting.told("103", "waits")
    meeting.hear({"102": "music", "103": "101"})
    meeting.do("refuse")
    meeting.gone("102")
    meeting.hang_up("103")
    meeting.told("101", "host-left", "wait-for-host")
    meeting.hear({"101": "music"})
    meeting.do("kick-all")
    meeting.gone("101")
    records = meeting.over(6)
    assert {number: meeting.heard(number) for number in TONES} == {
        "101": "enter-pin-or-hash wait-in-lobby music 103 102+103 103 host-left wait-for-host music kicked goodbye",
        "102": "enter-pin-or-hash wait-in-lobby music 101+103 enter-pin-or-hash wait-in-lobby music refused goodbye",
        "103": "enter-pin-or-hash d1 d0 d1 waits admitted 101 d1 d0 d2 waits 101 101+102 now-locked 101+102 "
        "101 d1 d0 d2 waits 101",
        "104": "enter-pin-or-hash full goodbye enter-pin-or-hash is-locked goodbye",
    }
    assert {number: [each["ended_by"] for each in made] for number, made in records.items()} == {
        "101": ["switch"],
        "102": ["caller", "switch"],
        "103": ["caller"],
        "104": ["switch", "switch"],
    }
    # Full and locked rooms refuse with causes of their own.
    assert {number: sorted((each["cause"], *kinds(each)) for each in made) for number, made in records.items()} == {
        "101": [("16", "lobby", "conference", "lobby")],
        "102": [("16", "lobby", "conference"), ("21", "lobby")],
        "103": [("16", "lobby", "conference")],
        "104": [("17", "lobby"), ("21", "lobby")],
    }
    for number, made in records.items():
        assert {(each["destination"], each["recording"]) for each in made} == {("conference", "")}
        assert {tuple(legs(office.switch, each)) for each in made} == {(number,)}


def test_the_menus_of_guests_and_hosts(office: Office, meeting: Meeting) -> None:
    meeting.room = "menus"
    for number, pin in (("103", HOST), ("101", "#"), ("102", "#")):
        calls(meeting, number, "804", pin)
        meeting.is_in(number, "in")
    meeting.hear({"101": "102+103", "102": "101+103", "103": "101+102"})
    # Muted by itself, and by the host, which is not to be undone.
    meeting.press("101", "*1")
    meeting.told("101", "you-are-muted")
    meeting.hear({"101": "102+103", "102": "103", "103": "102"})
    meeting.press("101", "*1")
    meeting.told("101", "you-are-unmuted")
    meeting.hear({"101": "102+103", "102": "101+103", "103": "101+102"})
    meeting.press("103", "*5")
    meeting.told("103", "guests-muted")
    meeting.hear({"101": "103", "102": "103", "103": ""})
    meeting.press("101", "*1")
    meeting.told("101", "muted-by-host")
    meeting.hear({"101": "103"})
    meeting.do("unmute-guests")
    meeting.hear({"101": "102+103", "102": "101+103", "103": "101+102"})
    # What is no guest's; its own volume, in which it hears prompts, too; help, and out of the menu.
    meeting.press("102", "*2")
    meeting.told("102", "not-possible")
    meeting.hear({"102": "101+103"})
    meeting.press("102", "*4")
    meeting.hear({"102": "101-+103-"})
    meeting.press("102", "*6")
    meeting.told("102", "volume", "d5")
    meeting.hear({"102": "101+103"})
    meeting.press("102", "*0")
    meeting.told("102", "press-star", "d1", "to-mute")
    meeting.press("102", "*#")
    meeting.hear({"102": "101+103"})
    # The roll, the recording, the last guest.
    meeting.press("103", "*8")
    meeting.told("103", "roll-call", "d2")
    meeting.hear({"103": "101+102"})
    meeting.press("103", "*7")
    meeting.told("101", "102+103+recording-began")
    meeting.hear({"101": "102+103"})
    meeting.press("103", "*7")
    meeting.told("101", "102+103+recording-ended")
    meeting.hear({"101": "102+103"})
    meeting.press("103", "*3")
    meeting.told("103", "removed")
    meeting.gone("102")
    meeting.hear({"101": "103", "103": "101"})
    meeting.hang_up("101", "103")
    records = meeting.over(3)
    told = {number: meeting.heard(number) for number in ("101", "102", "103")}
    # The host begins alone, the first guest with the host; of help, what it took to press `*#`.
    alone = told["103"].replace(" 101 101+102", " 101+102", 1)
    helped = told["102"].replace("to-mute press-star", "to-mute")
    assert told | {"103": alone, "102": helped} == {
        "101": "enter-pin-or-hash 103 102+103 you-are-muted 102+103 you-are-unmuted 102+103 muted-by-host 103 "
        "muted-by-host 103 you-are-unmuted 102+103 102+103+recording-began 102+103 102+103+recording-ended 102+103 103",
        "102": "enter-pin-or-hash 101+103 103 101+103 muted-by-host 103 you-are-unmuted 101+103 not-possible 101+103 "
        "music volume d5 101+103 press-star d1 to-mute 101+103 101+103+recording-began 101+103 "
        "101+103+recording-ended 101+103 kicked goodbye",
        "103": "enter-pin-or-hash 101+102 102 101+102 guests-muted 101+102 roll-call music d1 d0 d1 d0 "
        "d2 101+102 101+102+recording-began 101+102 101+102+recording-ended 101+102 removed 101",
    }
    ended = {"101": "caller", "102": "switch", "103": "caller"}
    for number, [record] in records.items():
        assert (record["destination"], record["cause"], record["ended_by"]) == ("conference", "16", ended[number])
        assert meeting.parts(record) == ("lobby conference", number)
    [path] = {record["recording"] for [record] in records.values()}
    recording = RoomRecording(path, office.tones, "menus")
    assert (recording.line, sorted(recording.who())) == ("101+102+103", ["101", "102", "103"])


def test_names_and_whom_the_operator_calls_in(office: Office, meeting: Meeting) -> None:
    """Two say their names, which are their tones, so that whose name is said is heard; guests are muted."""
    meeting.room = "names"
    meeting.call("101", "802")
    meeting.told("101", "say-name")
    meeting.hear({"101": ""})  # the beep is over: it is recorded
    meeting.press("101", "#")
    meeting.told("101", "alone", "you-are-muted")
    meeting.do("dial", "103", "--host")
    meeting.there("103")
    meeting.told("103", "one-other")
    meeting.told("101", "103+has-joined")
    meeting.call("102", "802")
    meeting.told("102", "say-name")
    meeting.hear({"102": ""})
    assert len(office.names()) == 2
    meeting.press("102", "#")
    meeting.hear({"101": "103", "102": "103", "103": ""})
    meeting.press("103", "*1")
    meeting.told("103", "roll-call", "101", "music", "102")
    meeting.press("102", "*1")
    meeting.gone("102")
    meeting.told("103", "102", "has-left")
    wait_for(lambda: len(office.names()) == 1, "its name is deleted when it was said")
    meeting.hear({"101": "103"})
    meeting.press("103", "*3")
    meeting.gone("101", "103")
    records = meeting.over(3)
    told = {number: meeting.heard(number) for number in ("101", "102", "103")}
    greeted = told["103"].replace("one-other music", "one-other")  # what is left of its own name
    # A name that nobody has said is spoken: where 103 talks it is not told apart.
    assert told | {"103": greeted} == {
        "101": "say-name beep alone you-are-muted 103 103+has-joined 103 102+103 103+has-joined 103 "
        "102+103 103+has-left 103 ended goodbye",
        "102": "say-name beep there-are d2 others you-are-muted 103 goodbye",
        "103": "one-other has-joined 102 has-joined roll-call 101 music 102 has-left ended goodbye",
    }
    wait_for(lambda: not office.names(), "no name is left")
    # Who was called in: by the extension that the room dials as.
    assert {number: meeting.parts(record) for number, [record] in records.items()} == {
        "101": ("lobby conference", "101"),
        "102": ("lobby conference", "102"),
        "104": ("ring conference", "103"),
    }
    for [record] in records.values():
        assert (record["destination"], record["cause"], record["ended_by"]) == ("conference", "16", "switch")
        assert record["recording"] == "", "names are nobody's recording"


def test_three_talk_and_one_goes_on_in_a_room(office: Office, meeting: Meeting) -> None:
    """By codes: somebody is consulted, all three talk, and one is sent to a room."""
    meeting.room = "plain"
    meeting.call("103", "803")
    meeting.told("103", "is-recorded")
    meeting.call("101", "102")
    meeting.hear({"101": "102", "102": "101", "103": ""})
    meeting.press("102", "*2104#")
    meeting.there("104")
    meeting.hear({"101": "music", "102": "104", "104": "102"})
    meeting.press("102", "*3")
    meeting.hear({"101": "102+104", "102": "101+104", "104": "101+102"})
    meeting.hang_up("104")
    meeting.hear({"101": "102", "102": "101"})
    meeting.press("102", "##803#")
    meeting.gone("102")
    meeting.told("101", "is-recorded")
    meeting.hear({"101": "103", "103": "101"})
    meeting.hang_up("103", "101")
    records = meeting.over(2)
    told = {number: meeting.heard(number) for number in TONES}
    dialling = told["102"].replace("101 music 104", "101 104")  # a tone, for as long as its telephone takes to dial
    assert told | {"102": dialling} == {
        "101": "102 music 102+104 102 music is-recorded 103",
        "102": "101 104 101+104 101",
        "103": "is-recorded 101",
        "104": "102 101+102",
    }
    [host], [sent] = records["103"], records["101"]
    assert (meeting.parts(host), host["ended_by"]) == (("conference", "103"), "caller")
    segments = "ring talk hold consult conference talk hold conference"
    assert (meeting.parts(sent), sent["ended_by"]) == ((segments, "101 102 104"), "caller")
    # Two recordings: that of the call, until it came into the room, and the room's.
    [of_call, of_room] = sent["recording"].split(", ")
    assert (sent["recording_failed"], host["recording"]) == ("", of_room)
    call = Recorded(Path(of_call), office.tones, 2)
    # 101 hears music meanwhile, and is not recorded.
    assert call.channels == ["101 101", "102 102+104 102"]
    room = RoomRecording(of_room, office.tones, "plain")
    assert room.line == "103 101+103"
    assert room.who() == ["103", "101"]

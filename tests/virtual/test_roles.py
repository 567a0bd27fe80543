"""What the status report says of calls: how each stands, who is there now, and what each of them does."""

from __future__ import annotations

import pytest

from media.audio_commands import Play, RecordingEnded, Say, StartRecording
from media.commands import Quiet
from sip.ua_events import Offered
from softswitch.call_commands import (
    AnyCallCommand,
    Complete,
    Conference,
    Consult,
    Drop,
    Hold,
    Park,
    Resume,
    Return,
    Supervise,
    Swap,
    Transfer,
)
from softswitch.report import call_row
from tests.virtual.conference_office import HOST_PIN, PIN, Office, segments
from tests.virtual.joined_floor import LOT, TEAM, Floor
from tests.virtual.network import World, settings
from tests.virtual.test_consult import Desk
from tests.virtual.test_paging import Pages


def told(world: World) -> str:
    """Of the only call: its state, and who is there. A trunk is told by its name and whose number is behind it."""
    [active] = world.runtime.calls.values()
    row = call_row(active, world.now)
    parties = [f"{each.end.removeprefix('extension ')} {each.does}" for each in row.parties]
    numbers = [each.number for each in row.parties]
    assert numbers == [each.end.split(" ")[1] for each in row.parties], "an extension is shown by its number"
    return f"{row.state} {row.slot}".rstrip() + ": " + ", ".join(parties)


def test_from_the_first_ring_to_the_end() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.3)
    assert told(world) == "ringing: 101 calls, 102 rings"
    ben.answer()
    world.run(0.3)
    assert told(world) == "talking: 101 talks, 102 talks"
    ann.do(session.hangup)
    world.run(0.5)
    assert not world.runtime.calls


def test_a_consultation() -> None:
    desk = Desk()
    desk.do(Consult(desk.contact, "102", "103"))
    assert told(desk.world) == "consultation: 102 consults, 101 waits, 103 rings"
    desk.cyd.answer()
    desk.world.run(0.5)
    assert told(desk.world) == "consultation: 102 consults, 103 talks, 101 waits"
    desk.do(Swap(desk.contact, "102"))
    assert told(desk.world) == "consultation: 102 consults, 101 talks, 103 waits"
    desk.do(Conference(desk.contact, "102"))
    assert told(desk.world) == "conference: 102 talks, 101 talks, 103 talks"
    desk.do(Consult(desk.contact, "102", "104"))
    desk.dan.answer()
    desk.world.run(0.5)
    assert told(desk.world) == "consultation: 102 consults, 104 talks, 101 talks aside, 103 talks aside"
    desk.do(Return(desk.contact, "102"))
    desk.do(Drop(desk.contact, "102", "101"))
    desk.world.run(0.5)
    assert told(desk.world) == "talking: 102 talks, 103 talks"


def test_a_consultation_is_completed() -> None:
    desk = Desk()
    desk.consult()
    desk.do(Complete(desk.contact, "102"))
    desk.world.run(0.5)
    assert told(desk.world) == "talking: 101 talks, 103 talks"


@pytest.mark.parametrize("by", ["101", "102"])
def test_a_hold_by_command(by: str) -> None:
    desk = Desk()
    does = {"101": "is held", "102": "is held", by: "holds"}
    desk.do(Hold(desk.contact, by))
    assert told(desk.world) == f"on hold: 101 {does['101']}, 102 {does['102']}"
    desk.do(Resume(desk.contact, by))
    assert told(desk.world) == "talking: 101 talks, 102 talks"


@pytest.mark.parametrize("music", [True, False])
def test_a_hold_by_the_telephone(music: bool) -> None:
    """Whether the other one hears music, or is asked to hold as well."""
    world = World(settings(extensions={"101": {"music_on_hold": "default"}} if music else {}))
    ann, ben = world.phone("101"), world.phone("102")
    world.establish(ann, ben)
    session = ben.called_session()
    ben.do(session.offer, ben.sdp(direction="sendonly"))
    world.run(0.3)
    if not music:
        ann.do(ann.last(Offered).session.answer, ann.sdp(direction="recvonly"))
        world.run(0.3)
    assert told(world) == "on hold: 101 is held, 102 holds"
    ben.do(session.offer, ben.sdp())
    world.run(0.3)
    if not music:
        ann.do(ann.last(Offered).session.answer, ann.sdp())
        world.run(0.3)
    assert told(world) == "talking: 101 talks, 102 talks"


def test_a_trunk_is_told_with_the_number_behind_it() -> None:
    world = World()
    caller, ben = world.gateway("192.0.2.60"), world.phone("102")
    world.establish(caller, ben)
    [active] = world.runtime.calls.values()
    assert [(each.end, each.does) for each in call_row(active, world.now).parties] == [
        ("trunk south", "talks"),
        ("extension 102", "talks"),
    ]


def test_a_page() -> None:
    office = Pages()
    office.dial()
    assert told(office.world) == "paging: 101 pages, 102 rings, 103 rings, 104 rings"
    office.answer()
    heard = "102 hears the page, 103 hears the page, 104 hears the page"
    assert told(office.world) == f"talking: 101 pages, {heard}"


def test_a_transfer() -> None:
    desk = Desk()
    desk.do(Transfer(desk.contact, "102", "103"))
    assert told(desk.world) == "transfer: 101 waits, 102 transfers, 103 rings"
    desk.cyd.answer()
    desk.world.run(0.5)
    assert told(desk.world) == "talking: 101 talks, 103 talks"


def test_a_parked_caller() -> None:
    desk = Desk(**LOT)
    desk.do(Park(desk.contact, "102"))
    assert told(desk.world) == "parked 701: 101 is parked, 102 parks"
    [play] = [each for each in desk.world.media.asked(Play) if Say("digits", "701") in each.sources]
    desk.world.media.play_ends(play.play)
    desk.world.run(0.3)
    assert told(desk.world) == "parked 701: 101 is parked"


def test_a_supervisor() -> None:
    floor = Floor(extensions=TEAM)
    floor.call("101", "102")
    for mode, does in (("listen", "listens to"), ("whisper", "whispers to"), ("barge", "barges in on")):
        command: AnyCallCommand = Supervise("102", "104", mode)  # type: ignore[arg-type]
        floor.world.runtime.command(command, floor.world.now)
        floor.world.run(0.3)
        if mode == "listen":
            assert told(floor.world) == "talking: 101 talks, 102 talks, 104 rings"
            floor["104"].answer()
            floor.world.run(0.5)
        assert told(floor.world) == f"talking: 101 talks, 102 talks, 104 {does} 102"


def test_a_room() -> None:
    """Who is asked, waits, talks, and is on its way out; nobody waits in silence that is worth telling."""
    office = Office(pin=PIN, host_pin=HOST_PIN, lobby=True, wait_for_host=True)

    def told() -> list[str]:
        quiet = {leg: Quiet(leg, 12.4, 0.0) for leg in office.leg.values()}
        rows = [call_row(active, office.world.now, quiet) for active in office.world.runtime.calls.values()]
        assert all(row.state == "conference" or row.parties[0].unheard is None for row in rows)
        return [f"{row.state}: {row.parties[0].number} {row.parties[0].does}" for row in rows]

    office.call("101")
    assert told() == ["asked: 101 is asked"]
    office.world.run(14.0)
    office.press("101", PIN + "#")
    assert told() == ["waiting: 101 waits"]  # in the lobby
    office.direct("101", "sendonly")
    assert told() == ["waiting: 101 waits"], "whether it holds or not"
    office.direct("101", "sendrecv")
    office.do("admit", "101")
    assert told() == ["waiting: 101 waits"]  # for the host
    office.call("102", HOST_PIN + "#")
    assert told() == ["conference: 101 talks", "conference: 102 talks"]
    office.hang_up("102")
    assert told() == ["waiting: 101 waits"]  # for the next host
    office.do("kick", "101")
    assert told() == ["ending: 101 leaves"]
    office.played("101")
    office.world.run(0.3)
    assert told() == []
    records = {record.caller_number: segments(record) for record in office.over(2)}
    assert records == {"101": "route lobby conference lobby", "102": "route lobby conference"}


def test_who_says_its_name_in_a_room() -> None:
    office = Office(entry="names")
    office.call("101")
    assert told(office.world) == "asked: 101 is asked"
    office.played("101")
    office.press("101", "#")
    office.tell(RecordingEnded(office.media.asked(StartRecording)[-1].recording, "/r/ann.wav", 1.0))
    assert told(office.world) == "conference: 101 talks"
    office.hang_up("101")
    office.over(1)


def test_who_holds_a_room() -> None:
    office = Office()
    office.call("101")
    for way, does in (("sendonly", "holds"), ("sendrecv", "talks"), ("inactive", "holds"), ("sendrecv", "talks")):
        office.direct("101", way)
        assert told(office.world) == f"conference: 101 {does}"
        [active] = office.world.runtime.calls.values()
        office.world.run(6.0)
        quiet = {office.leg["101"]: Quiet(office.leg["101"], 6.0, 0.0)}
        assert (call_row(active, office.world.now, quiet).parties[0].unheard is None) == (does == "holds")
    office.hang_up("101")
    office.over(1)

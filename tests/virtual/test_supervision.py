"""Supervisors: who hears whom in each mode, who is recorded, when they are let go."""

from __future__ import annotations

import pytest

from media.audio_commands import Play, SetRecordingChannels, StartRecording, Tone
from sip.ua_events import SessionArrived
from softswitch.call_commands import Complete, Consult, HangUp, Supervise
from softswitch.call_transfer import TransferRefused
from tests.virtual.joined_floor import HEARS_BOTH, TEAM, Floor, all_of, pair, supervised
from tests.virtual.network import World, settings

pytestmark = pytest.mark.usefixtures("workers")


HEARD = {
    "listen": {**pair("101", "102"), **HEARS_BOTH},
    "whisper": {"101": {"102"}, "102": {"101", "104"}, **HEARS_BOTH},
    "barge": all_of("101", "102", "104"),
}


@pytest.mark.parametrize("mode", list(HEARD))
def test_supervision(mode: str) -> None:
    floor = supervised(mode)
    assert floor.hearing() == HEARD[mode]
    [beep] = [each for each in floor.world.media.asked(Play) if each.over]
    assert (floor.legs[beep.stream], beep.sources) == ("102", (Tone("beep"),))
    floor.hang_up(floor.sessions("104")[0])
    assert floor.hearing() == pair("101", "102")
    assert floor.world.media.bridges
    floor.hang_up(floor.sessions("101")[0])
    floor.over("caller")
    [record] = floor.world.records
    assert [each.kind for each in record.segments] == ["route", "ring", "talk"], "no conference, whatever its mode"


def test_a_supervisor_whose_number_is_that_of_the_customer_on_a_trunk() -> None:
    """Two sites number their extensions alike."""
    world = World(settings(extensions=TEAM))
    ben, dan, other_site = world.phone("102"), world.phone("104"), world.gateway("192.0.2.60")
    session = other_site.dial("102", caller="<sip:104@192.0.2.60>")
    world.run(0.3)
    ben.answer()
    world.run(0.5)
    [contact] = world.runtime.calls
    world.runtime.command(Supervise(contact, "104", "listen"), world.now)
    world.run(0.3)
    dan.answer()
    world.run(0.5)
    [supervisor] = [leg for leg, others in world.media.hearing().items() if len(others) == 2]
    assert world.runtime.legs[supervisor].endpoint == "104"
    other_site.do(session.hangup)
    world.assert_over(1)


@pytest.mark.parametrize("how", ["command", "digits"])
def test_modes_change_live(how: str) -> None:
    from media.audio_commands import Digit

    floor = supervised()
    leg = next(leg for leg, number in floor.legs.items() if number == "104")
    for mode, digit in (("whisper", "5"), ("barge", "6"), ("listen", "4")):
        if how == "command":
            floor.world.runtime.command(Supervise("102", "104", mode), floor.world.now)  # type: ignore[arg-type]
        else:
            floor.world.media.events.append(Digit(leg, digit, 100, "rfc4733"))
            floor.world.link.settle()
        assert floor.hearing() == HEARD[mode]
    floor.hang_up(floor.sessions("102")[0])
    assert not floor.sessions("104"), "nobody is left to be supervised"
    floor.over("callee")


def test_a_supervisor_is_recorded_while_the_customer_hears_it() -> None:
    """Barging in, on the agent's channel; whoever only listens or whispers is on none."""
    recorded = {"102": {"groups": ["sales"], "record": "always"}, "104": {"supervises": ["sales"]}}
    floor = supervised(extensions=recorded)
    [begun] = floor.world.media.asked(StartRecording)
    assert [(floor.legs[leg], channel) for leg, channel in begun.channels] == [("101", 0), ("102", 1)]
    for mode, on in (("whisper", []), ("barge", ["104"]), ("listen", []), ("barge", ["104"])):
        floor.world.runtime.command(Supervise("102", "104", mode), floor.world.now)  # type: ignore[arg-type]
        asked = floor.world.media.asked(SetRecordingChannels)
        channels = asked[-1].channels if asked else begun.channels
        assert [floor.legs[leg] for leg, channel in channels if channel == 1] == ["102", *on]
    [who] = [dict(labels) for leg, labels in asked[-1].labels if floor.legs[leg] == "104"]
    assert (who["role"], who["extension"]) == ("supervisor", "104")
    floor.hang_up(floor.sessions("104")[0])
    [*_, last] = floor.world.media.asked(SetRecordingChannels)
    assert last.channels == begun.channels
    assert len(floor.world.media.asked(SetRecordingChannels)) == 4, "nothing is asked for where nothing changes"
    floor.hang_up(floor.sessions("101")[0])
    floor.over("caller")


def test_a_supervisor_who_barges_in_by_a_command_is_recorded_at_once() -> None:
    recorded = {"102": {"groups": ["sales"], "record": "always"}, "104": {"supervises": ["sales"]}}
    floor = supervised("barge", extensions=recorded)
    [last] = floor.world.media.asked(SetRecordingChannels)
    assert [(floor.legs[leg], channel) for leg, channel in last.channels] == [("101", 0), ("102", 1), ("104", 1)]
    floor.hang_up(floor.sessions("102")[0])
    floor.over("callee")


def test_supervision_is_silent_where_it_is_set_so() -> None:
    team = {"102": {"groups": ["sales"], "supervision": "silent"}, "104": {"supervises": ["sales"]}}
    floor = Floor(extensions=team)
    floor.call("101", "102")
    floor.world.runtime.command(Supervise("102", "104"), floor.world.now)
    floor.world.run(0.3)
    floor["104"].answer()
    floor.world.run(0.3)
    assert not [each for each in floor.world.media.asked(Play) if each.over]
    floor.hang_up(floor.sessions("102")[0])
    floor.over("callee")


def test_who_may_not_supervise() -> None:
    floor = Floor(extensions=TEAM)
    floor.call("101", "102")
    with pytest.raises(TransferRefused, match="103 may not supervise '102'"):
        floor.world.runtime.command(Supervise("101", "103", to="102"), floor.world.now)
    with pytest.raises(TransferRefused, match="104 may not supervise '101'"):
        floor.world.runtime.command(Supervise("102", "104", to="101"), floor.world.now)
    with pytest.raises(TransferRefused, match="'105' does not talk in that call"):
        floor.world.runtime.command(Supervise("101", "104", to="105"), floor.world.now)
    assert not floor["104"].of(SessionArrived)
    floor.hang_up(floor.sessions("101")[0])
    floor.over("caller")


def test_a_supervisor_whose_telephone_has_no_codec_that_can_be_mixed() -> None:
    floor = Floor(extensions={**TEAM, "104": {"supervises": ["sales"], "codecs": ["G729"]}})
    floor.call("101", "102")
    with pytest.raises(TransferRefused, match="No common codec"):
        floor.world.runtime.command(Supervise("102", "104"), floor.world.now)
    floor.hang_up(floor.sessions("101")[0])
    floor.over("caller")


def test_a_supervisor_stays_through_a_consultation_and_goes_with_its_agent() -> None:
    floor = supervised()
    [contact] = floor.world.runtime.calls
    before = set(floor.world.legs())
    floor.world.runtime.command(Consult(contact, "102", "103"), floor.world.now)
    floor.world.run(0.3)
    floor.name(before, "103")
    floor["103"].answer()
    floor.world.run(0.3)
    assert floor.hearing() == {**pair("102", "103"), "104": {"102", "103"}}
    floor.world.runtime.command(Complete(contact, "102"), floor.world.now)
    floor.world.run(0.5)
    assert floor.hearing() == pair("101", "103")
    assert not floor.sessions("104")
    floor.hang_up(floor.sessions("101")[0])
    floor.over("caller")


@pytest.mark.parametrize("does", ["refuses", "is silent", "call ends"])
def test_the_supervisors_telephone_does_not_answer(does: str) -> None:
    floor = Floor(extensions=TEAM)
    floor.call("101", "102")
    floor.world.runtime.command(Supervise("102", "104"), floor.world.now)
    floor.world.run(0.3)
    if does == "refuses":
        floor["104"].refuse(486)
    elif does == "is silent":
        floor["104"].ring()
        floor.world.run(31.0)
    else:
        floor.world.runtime.command(HangUp("102"), floor.world.now)
    floor.world.run(0.5)
    assert not floor.sessions("104")
    if does != "call ends":
        assert floor.hearing() == pair("101", "102")
        floor.hang_up(floor.sessions("101")[0])
    floor.over("switch" if does == "call ends" else "caller")

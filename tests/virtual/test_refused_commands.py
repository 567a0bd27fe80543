"""What is said where a command for a call can't be carried out: each case in words of its own."""

from __future__ import annotations

from typing import Any

import pytest

from softswitch.call_commands import (
    MAX_TEXT,
    NAMES,
    AnyCallCommand,
    CommandRefused,
    Conference,
    Consult,
    Drop,
    HangUp,
    Hold,
    Park,
    PickUp,
    Supervise,
    Transfer,
    read_command,
)
from softswitch.call_control import NoSuchCall
from softswitch.call_recording import RecordingRefused
from softswitch.call_transfer import TransferRefused
from softswitch.features import FeatureRefused
from tests.virtual.conference_office import Office
from tests.virtual.network import World, settings

GONE = "01234567890-0123456789abcdef"
IN_ROOM = "the call is in conference room 'board': expected 'softswitch conference'"
ANSWERED = "the call is not answered yet"


def refused(world: World, command: AnyCallCommand) -> str:
    with pytest.raises((NoSuchCall, TransferRefused)) as caught:
        world.runtime.command(command, world.now)
    return str(caught.value)


def test_a_call_that_is_over_an_extension_in_no_call_and_a_word_that_is_neither() -> None:
    world = World()
    shown = "'softswitch status' shows the calls in progress"
    assert refused(world, Hold(GONE)) == f"call {GONE} is over, or there was none: {shown}"
    assert refused(world, Hold("104")) == f"extension 104 is in no call: {shown}"
    assert refused(world, HangUp("north")) == f"trunk north is in no call: {shown}"
    assert refused(world, HangUp("199")) == (
        "'199' is neither a call nor an extension: expected an id out of 'softswitch status', or an extension that is "
        "in a call"
    )
    for call, why in ((GONE, "is over"), ("104", "extension 104 is in no call"), ("199", "neither a call nor")):
        with pytest.raises(NoSuchCall, match=why):
            world.runtime.record(call, "start", world.now)


def test_while_it_rings_nothing_can_be_done_to_those_who_talk() -> None:
    world = World(settings(extensions={"103": {"groups": ["a"], "supervises": ["a"]}, "101": {"groups": ["a"]}}))
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.3)
    assert ben.called()
    [contact] = world.runtime.calls
    commands = [kind(contact, by) for kind in (Hold, Park) for by in ("101", "102")]
    commands += [Transfer(contact, "101", "103"), Consult(contact, "102", "103"), Hold("101"), Hold("102")]
    for command in commands:
        assert refused(world, command) == ANSWERED, command
    assert refused(world, Supervise(contact, "103", to="101")) == ANSWERED
    with pytest.raises(RecordingRefused, match=ANSWERED):
        world.runtime.record(contact, "start", world.now)
    ann.do(session.cancel)
    world.assert_over()


def test_two_telephones_of_an_extension_ring_and_neither_has_answered() -> None:
    world = World()
    ann, one, other = world.phone("101"), world.phone("102"), world.phone("102", "192.0.2.112")
    session = ann.dial("102")
    world.run(0.3)
    assert one.called()
    assert other.called()
    assert refused(world, Hold("102")) == ANSWERED
    ann.do(session.cancel)
    world.assert_over()


def test_who_does_it_must_be_in_the_call() -> None:
    world = World(settings(extensions={"103": {"supervises": ["a"]}, "101": {"groups": ["a"]}}))
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    [contact] = world.runtime.calls
    assert refused(world, Hold(contact)) == "which extension does it? expected 'by' (--by) to be one of 101, 102"
    assert refused(world, Hold(contact, "104")) == "'104' is not in that call: expected one of 101, 102"
    assert refused(world, Drop(contact, "104", "101")) == "'104' is not in that call: expected one of 101, 102"
    assert refused(world, Drop(contact, "", "104")) == "'104' is not in that call: expected one of 101, 102"
    assert refused(world, Conference(contact, "101")) != ANSWERED
    assert refused(world, PickUp(contact, "103")) == "nobody rings in that call"
    nobody = "there is no extension '199': expected 'by' (--by) to be one"
    assert refused(world, PickUp(contact, "199")) == nobody
    assert refused(world, Supervise(contact, "199", to="101")) == nobody
    assert refused(world, Supervise(contact, "103", to="104")) == (
        "'104' does not talk in that call: expected 'to' (--to) to be one of 101, 102"
    )
    assert refused(world, Supervise(contact, "103")) == (
        "which extension of that call is to be supervised? expected 'to' (--to) to be one of 101, 102"
    )
    assert refused(world, Supervise(contact, "103", to="102")).startswith("103 may not supervise '102'")
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize("pin", ["", "4711"])
def test_what_is_done_with_the_room_is_not_done_with_a_call_in_it(pin: str) -> None:
    """Whether it is let in yet or not."""
    supervisor = {"103": {"groups": ["a"], "supervises": ["a"]}, "101": {"groups": ["a"]}}
    office = Office({"extensions": supervisor}, **({"pin": pin} if pin else {}))
    office.call("101")
    office.phone("103")
    world = office.world
    [contact] = world.runtime.calls
    commands: list[AnyCallCommand] = [Hold("101"), Park("101"), Transfer("101", "101", "102")]
    commands += [Consult("101", "101", "102"), Supervise(contact, "103", to="101")]
    for command in commands:
        assert refused(world, command) == IN_ROOM, command
    with pytest.raises(RecordingRefused, match=IN_ROOM):
        world.runtime.record(contact, "start", world.now)
    world.runtime.command(Drop(contact, "", "101") if pin else HangUp("101"), world.now)
    world.run(0.5)
    office.over(1)


def test_one_of_a_call_is_dropped_without_saying_who_does_it() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    world.establish(ann, ben)
    [contact] = world.runtime.calls
    world.runtime.command(Drop(contact, "", "102"), world.now)
    world.run(0.5)
    world.assert_over()


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"do": "holdd", "call": "101"}, f"unknown command 'holdd': did you mean 'hold'[?] expected one of {NAMES[0]}"),
        ({"call": "101"}, "unknown command 'None'"),
        ({"do": "hold", "call": "1" * (MAX_TEXT + 1)}, f"'1{{20}}'... is too long: expected at most {MAX_TEXT}"),
        ({"do": "hold"}, "not the command 'hold'"),
        ({"do": "supervise", "call": "101", "mode": "shout"}, "not the command 'supervise'"),
    ],
)
def test_what_is_no_command(args: dict[str, Any], why: str) -> None:
    with pytest.raises(CommandRefused, match=why):
        read_command(args)


def test_a_forward_that_leads_nowhere_is_refused_however_it_is_set() -> None:
    world = World(settings(routes=[{"to": "0900", "reject": "barred", "name": "dear"}]))
    for number, why in (
        ("999", "no route of context 'internal' leads there"),
        ("0900", "route 'dear' of context 'internal' rejects it"),
    ):
        with pytest.raises(FeatureRefused, match=f"101 can't be forwarded to '{number}': {why}"):
            world.switch.set_feature("101", "forward_always", number)
    assert world.switch.features.of("101") == {}
    world.switch.set_feature("101", "forward_always", "102")
    world.switch.set_feature("101", "forward_busy", "off")
    assert world.switch.features.of("101") == {"forward_always": "102", "forward_busy": "off"}
    with pytest.raises(FeatureRefused, match="there is no extension '199'"):
        world.switch.set_feature("199", "forward_always", "999")
    with pytest.raises(FeatureRefused, match="did you mean 'forward_always'"):
        world.switch.set_feature("101", "forward_alway", "102")


def test_a_forward_that_depends_on_who_calls_leads_somewhere() -> None:
    world = World(settings(routes=[{"to": "600", "from": "101", "dial": "102"}]))
    world.switch.set_feature("101", "forward_always", "600")
    with pytest.raises(FeatureRefused, match="no route"):
        world.switch.set_feature("102", "forward_always", "600")


def test_a_forward_that_was_set_stays_when_its_number_leads_nowhere_any_more() -> None:
    world = World(settings(routes=[{"to": "600", "dial": "102"}]))
    world.switch.set_feature("101", "forward_always", "600")
    world.switch.configure(settings(), world.now)
    assert world.switch.features.of("101") == {"forward_always": "600"}

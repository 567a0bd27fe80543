"""Parked callers: fetched, forgotten, turned away by a full lot."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Music, Play, Say
from softswitch.call_commands import Park
from softswitch.call_transfer import TransferRefused
from tests.virtual.joined_floor import LOT, Floor, pair

pytestmark = pytest.mark.usefixtures("workers")


def parked(how: str, **more: Any) -> Floor:
    """Ben has parked Ann in slot 701, and has heard so."""
    floor = Floor(**LOT, **more)
    floor.call("101", "102")
    [contact] = floor.world.runtime.calls
    if how == "command":
        floor.world.runtime.command(Park(contact, "102"), floor.world.now)
    else:
        floor["102"].do(floor.sessions("102")[0].refer, "<sip:700@192.0.2.1>", None)
    floor.world.run(0.3)
    [play] = [each for each in floor.world.media.asked(Play) if Say("digits", "701") in each.sources]
    assert floor.legs[play.stream] == "102"
    assert floor.sessions("102"), "it hears the slot first"
    floor.world.media.play_ends(play.play)
    floor.world.run(0.3)
    assert not floor.sessions("102")
    assert floor.told("102") == ([] if how == "command" else [202, 200])
    assert (floor.hearing(), floor.music()) == ({}, {"101": Music("default")})
    assert floor.world.switch.book.parking.parked() == [("701", contact)]
    return floor


@pytest.mark.parametrize("how", ["command", "refer"])
def test_a_parked_caller_is_fetched(how: str) -> None:
    floor = parked(how)
    floor.dial("103", "701")
    assert (floor.hearing(), floor.music()) == (pair("101", "103"), {})
    floor.hang_up(floor.sessions("103")[0])
    floor.over("callee")
    [contact] = floor.world.node.contacts
    assert [segment.kind for segment in contact.segments][-2:] == ["park", "talk"]


def test_a_slot_with_nobody() -> None:
    floor = parked("command")
    floor.dial("103", "702")
    assert floor.outcome("103") == 404
    floor.hang_up(floor.sessions("101")[0])
    assert len(floor.world.switch.book.parking) == 0
    floor.world.assert_over(2)


@pytest.mark.parametrize("answers", [True, False])
def test_nobody_fetches_the_caller(answers: bool) -> None:
    lot = {"main": {"slots": "701-702", "timeout": 60, "fallback": "104"}}
    floor = parked("command", **{**{}, "transfers": {}})
    floor = Floor(**{**LOT, "parking": lot})
    floor.call("101", "102")
    [contact] = floor.world.runtime.calls
    floor.world.runtime.command(Park(contact, "102"), floor.world.now)
    floor.world.run(0.3)
    [play] = [each for each in floor.world.media.asked(Play) if Say("digits", "701") in each.sources]
    floor.world.media.play_ends(play.play)
    before = set(floor.world.legs())
    floor.world.run(60.0)
    assert floor.music() == {"101": Music("default")}
    assert len(floor.world.switch.book.parking) == 0
    before = before & set(floor.world.legs())
    if answers:
        floor.name(before, "102")
        floor["102"].answer()
        floor.world.run(0.5)
        assert (floor.hearing(), floor.music()) == (pair("101", "102"), {})
    else:
        floor["102"].refuse(486)
        floor.world.run(0.5)
        floor.name(before, "104")
        floor["104"].answer()
        floor.world.run(0.5)
        assert (floor.hearing(), floor.music()) == (pair("101", "104"), {})
    floor.hang_up(floor.sessions("101")[0])
    floor.over("caller")


def test_a_full_lot_brings_the_caller_back() -> None:
    floor = Floor(**{**LOT, "parking": {"main": {"slots": "701", "announce": False}}})
    floor.call("101", "102")
    floor["102"].do(floor.sessions("102")[0].refer, "<sip:700@192.0.2.1>", None)
    floor.world.run(0.3)
    floor.call("103", "104")
    floor["104"].do(floor.sessions("104")[0].refer, "<sip:700@192.0.2.1>", None)
    floor.world.run(0.3)
    assert floor.told("104") == [202, 486]
    assert floor.hearing() == pair("103", "104")
    contact = next(each for each, active in floor.world.runtime.calls.items() if active.call.state.name == "TALKING")
    with pytest.raises(TransferRefused, match="parking lot main is full"):
        floor.world.runtime.command(Park(contact, "104"), floor.world.now)
    for number in ("101", "103"):
        floor.hang_up(floor.sessions(number)[0])
    floor.world.assert_over(2)


def test_nobody_is_to_be_parked() -> None:
    floor = Floor(**LOT)
    floor.dial("101", "700")
    assert floor.outcome("101") == 403
    floor.world.assert_over(1)

"""Conference rooms: whom they call in, who holds, whose place another leg takes."""

from __future__ import annotations

import pytest

from media.audio_commands import (
    SetVolume,
)
from softswitch.causes import Cause
from softswitch.conference import vocabulary as v
from softswitch.conference.commands import list_all
from softswitch.rooms import ConferenceRefused
from tests.virtual.conference_office import HOST_PIN, PIN, ROUTES, Office
from tests.virtual.network import settings


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


def comes_back(office: Office) -> None:
    """102, who holds, does so no more; then both hang up."""
    office.direct("102", "sendrecv")
    assert not office.volume("102").muted
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
    comes_back(office)


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
    comes_back(office)


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

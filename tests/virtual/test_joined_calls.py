"""Legs that move between calls, on the whole switch: attended transfer, Replaces, Join, parking, supervision."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Tone
from sip.ua import UaSettings
from sip.ua_events import Offered
from softswitch.call_commands import Conference, Consult, PickUp
from softswitch.report import call_row
from softswitch.store.records import sides
from tests.virtual import network
from tests.virtual.joined_floor import LOT, Floor, all_of, pair
from tests.virtual.network import EVENTS, PCMU, Phone
from tests.virtual.test_changes import obliging
from tests.virtual.test_consult import shown

pytestmark = pytest.mark.usefixtures("workers")


# ---- attended transfer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("calls_customer", [True, False])
@pytest.mark.parametrize("calls_third", [True, False])
@pytest.mark.parametrize("refers_third", [True, False])
def test_a_telephone_leaves_its_two_calls_to_each_other(
    calls_customer: bool, calls_third: bool, refers_third: bool
) -> None:
    """Whoever called whom, and whichever of its two calls it sends away."""
    floor = Floor()
    floor.call(*(("102", "101") if calls_customer else ("101", "102")))
    [first] = floor.sessions("102")
    floor.call(*(("102", "103") if calls_third else ("103", "102")))
    [second] = [each for each in floor.sessions("102") if each is not first]
    told = floor.transfer("102", *((second, first) if refers_third else (first, second)))
    assert told == [202, 200]
    assert (floor.hearing(), floor.music()) == (pair("101", "103"), {})
    assert not floor.sessions("102")
    assert len(floor.world.runtime.calls) == 1
    offered = [number for number, phone in floor.phones.items() if phone.of(Offered)]
    assert offered in ([["101"], ["103"]] if network.WORKERS else [[]]), "who moves hears of it, the other one nothing"
    floor.hang_up(floor.sessions("101")[0])
    floor.over("transfer", "callee" if calls_customer else "caller")
    kept = max(floor.world.node.contacts, key=lambda contact: contact.ended)
    assert {leg.endpoint for leg in kept.legs} == {"101", "102", "103"}
    [gone] = [record for record in floor.world.records if record.ended_by == "transfer"]
    [rest] = [record for record in floor.world.records if record.ended_by != "transfer"]
    assert (gone.joined, rest.joined) == (kept.id, "")
    assert [segment.kind for segment in gone.segments] == ["route", "ring", "talk"]
    assert rest.segments[0].started == rest.started
    assert rest.segments[-1].ended == rest.ended


def test_both_were_held_and_hear_each_other() -> None:
    """As every telephone does it: hold, call, hold, REFER."""
    floor = Floor()
    obliging(floor["101"])
    obliging(floor["103"])
    floor.call("101", "102")
    [first] = floor.sessions("102")
    floor["102"].do(first.offer, floor["102"].sdp(direction="sendonly"))
    floor.world.run(0.3)
    second = floor.call("102", "103")
    floor["102"].do(second.offer, floor["102"].sdp(direction="sendonly"))
    floor.world.run(0.3)
    assert floor.transfer("102", first, second) == [202, 200]
    floor.world.run(0.3)
    assert floor.hearing() == pair("101", "103")
    [active] = floor.world.runtime.calls.values()
    for leg in active.call.talkers:
        session = active.call._session_of(leg)
        assert session is not None
        assert session.direction == session.peer_direction == "sendrecv"
    floor.hang_up(floor.sessions("101")[0])
    floor.over("transfer", "caller")


def test_a_leg_that_went_on_elsewhere_says_where() -> None:
    """There all of its packets are counted; each other leg has its own."""
    floor = Floor()
    floor.call("101", "102")
    [first] = floor.sessions("102")
    second = floor.call("102", "103")
    floor.transfer("102", first, second)
    floor.hang_up(floor.sessions("101")[0])
    gone, kept = sorted(floor.world.assert_over(2), key=lambda record: not record.joined)
    assert [(leg.endpoint, leg.joined) for leg in gone.legs] == [("102", ""), ("103", kept.contact)]
    assert [(leg.endpoint, leg.joined) for leg in kept.legs] == [("101", ""), ("102", ""), ("103", "")]
    assert {leg.codec for leg in (*gone.legs, *kept.legs)} == {"PCMA"}


@pytest.mark.parametrize("way", ["code", "code without an offer", "command"])
def test_who_picks_up_is_the_other_side(way: str) -> None:
    """With its codec, whichever way its dialog was begun."""
    office = {number: {"groups": ["sales"]} for number in ("102", "103")}
    floor = Floor(extensions=office, feature_codes={"pick_up": "**"})
    floor.dial("101", "102")
    if way == "code":
        floor["103"].dial("**102")
    elif way == "code without an offer":
        obliging(floor["103"])
        floor["103"].dial("**102", None)
    else:
        floor.world.runtime.command(PickUp("102", "103"), floor.world.now)
        floor.world.run(0.3)
        floor["103"].answer()
    floor.world.run(0.5)
    floor.hang_up(floor.sessions("101")[0])
    [record] = floor.world.assert_over(1)
    caller, callee = sides(record.legs)
    assert caller is not None
    assert callee is not None
    assert [(leg.endpoint, leg.codec) for leg in (caller, callee)] == [("101", "PCMA"), ("103", "PCMA")]


@pytest.mark.parametrize("answers", [True, False])
def test_semi_attended_while_it_rings(answers: bool) -> None:
    floor = Floor()
    floor.call("101", "102")
    [first] = floor.sessions("102")
    second = floor.dial("102", "103")
    floor["103"].ring()
    floor.world.run(0.2)
    assert floor.transfer("102", first, second) == [202, 180]
    assert floor.music() == {"101": Tone("ringback")}
    assert floor["102"].got("487 INVITE")
    assert floor.sessions("102") == [first]
    if answers:
        floor["103"].answer()
        floor.world.run(0.5)
        assert (floor.hearing(), floor.music()) == (pair("101", "103"), {})
        assert not floor.sessions("102")
        floor.hang_up(floor.sessions("103")[0])
        floor.over("transfer", "callee")
    else:
        floor["103"].refuse(486)
        floor.world.run(0.5)
        assert (floor.hearing(), floor.music()) == (pair("101", "102"), {})
        assert floor.told("102")[-1] == 486
        floor.hang_up(first)
        floor.over("transfer", "callee")


@pytest.mark.parametrize(("by", "waits"), [("102", "101"), ("101", "102")])
def test_who_sent_it_on_while_it_rang_and_is_rung_again_is_called_by_who_waits(by: str, waits: str) -> None:
    floor = Floor()
    floor.call("101", "102")
    [first] = floor.sessions(by)
    second = floor.dial(by, "103")
    floor["103"].ring()
    floor.world.run(0.2)
    assert floor.transfer(by, first, second) == [202, 180]
    floor.hang_up(first)
    floor["103"].refuse(486)
    floor.world.run(0.5)
    assert f"<sip:{waits}@" in shown(floor[by])
    floor[by].answer()
    floor.world.run(0.5)
    floor.hang_up(floor.sessions("101")[0])
    floor.over("transfer", "caller" if by == "102" else "callee")


def test_the_timer_of_the_ringing_moves_along() -> None:
    floor = Floor(extensions={"103": {"ring_timeout": 10}})
    floor.call("101", "102")
    [first] = floor.sessions("102")
    second = floor.dial("102", "103")
    floor["103"].ring()
    floor.world.run(5.0)
    floor.transfer("102", first, second)
    floor.world.run(6.0)
    assert floor.hearing() == pair("101", "102")
    assert floor.told("102")[-1] == 480
    floor.hang_up(first)
    floor.over("transfer", "callee")


def test_a_caller_is_left_to_a_conference() -> None:
    floor = Floor(**LOT)
    floor.call("101", "102")
    [first] = floor.sessions("102")
    second = floor.dial("102", "8001")
    floor.dial("104", "8001")
    assert floor.transfer("102", first, second) == [202, 200]
    assert floor.hearing() == pair("101", "104")
    for number in ("101", "104"):
        floor.hang_up(floor.sessions(number)[0])
    floor.over("transfer", "caller", "caller")


LEFT_TO_A_ROOM = [
    pytest.param({}, "", "conference", "conference: 101 talks", id="talks"),
    pytest.param({"pin": "4711"}, "", "lobby", "asked: 101 is asked", id="pin"),
    pytest.param({"lobby": True, "host_pin": "0815"}, "#", "lobby", "waiting: 101 waits", id="lobby"),
]


def test_a_caller_is_left_to_a_conference_with_a_pin() -> None:
    """Ben, its host, has entered the PIN: Ann has his place, and is asked for none."""
    floor = Floor(conferences={"sales": {"pin": "4711", "host_pin": "0815"}}, **LOT)
    floor.call("101", "102")
    [ann] = [leg for leg, number in floor.legs.items() if number == "101"]
    [first] = floor.sessions("102")
    second = floor.dial("102", "8001")
    rooms = floor.world.runtime.rooms
    [ben] = rooms.members("sales")
    for digit in "0815#":
        rooms.pressed(ben, digit, floor.world.now)
    assert floor.transfer("102", first, second) == [202, 200]
    view = rooms.view("sales")
    assert view is not None
    assert [(each.member, each.number, each.role, each.state) for each in view.members] == [(ann, "101", "host", "in")]
    floor.hang_up(floor.sessions("101")[0])
    floor.over("transfer", "caller")


@pytest.mark.parametrize(("room", "digits", "segment", "does"), LEFT_TO_A_ROOM)
def test_who_is_left_to_a_conference_stands_there_as_the_one_who_left_it(
    room: dict[str, Any], digits: str, segment: str, does: str
) -> None:
    """Ben, who holds both, leaves Ann to the room: what he did there himself is over."""
    floor = Floor(conferences={"sales": room}, **LOT)
    for phone in floor.phones.values():
        obliging(phone)
    ben = floor["102"]
    floor.call("101", "102")
    [first] = floor.sessions("102")
    ben.do(first.offer, ben.sdp(direction="sendonly"))
    floor.world.run(1.0)
    second = floor.dial("102", "8001")
    rooms = floor.world.runtime.rooms
    for digit in digits:
        rooms.pressed(rooms.members("sales")[0], digit, floor.world.now)
    ben.do(second.offer, ben.sdp(direction="sendonly"))
    floor.world.run(1.0)
    assert floor.transfer("102", first, second) == [202, 200]
    [active] = floor.world.runtime.calls.values()
    row = call_row(active, floor.world.now)
    assert f"{row.state}: {', '.join(f'{each.number} {each.does}' for each in row.parties)}" == does
    floor.hang_up(floor.sessions("101")[0])
    records = sorted(floor.world.assert_over(2), key=lambda record: not record.joined)
    assert [[each.kind for each in record.segments] for record in records] == [
        ["route", segment],
        ["route", "ring", "talk", "hold", segment],
    ]


def test_from_a_conference_of_a_call() -> None:
    """Ben, in a conference of three and in a call with Dan, leaves Dan to the conference."""
    floor = Floor()
    floor.call("101", "102")
    [contact] = floor.world.runtime.calls
    before = set(floor.world.legs())
    floor.world.runtime.command(Consult(contact, "102", "103"), floor.world.now)
    floor.world.run(0.3)
    floor["103"].answer()
    floor.world.run(0.3)
    floor.name(before, "103")
    floor.world.runtime.command(Conference(contact, "102"), floor.world.now)
    floor.world.run(0.3)
    [first] = floor.sessions("102")
    second = floor.call("102", "104")
    assert floor.transfer("102", first, second) == [202, 200]
    assert floor.hearing() == all_of("101", "103", "104")
    floor.hang_up(floor.sessions("101")[0])
    floor.hang_up(floor.sessions("103")[0])
    floor.over("transfer", "callee")


def test_the_dialog_of_another_is_not_to_be_had() -> None:
    floor = Floor()
    floor.call("101", "102")
    [first] = floor.sessions("102")
    other = floor.call("103", "104")
    assert floor.transfer("102", first, other) == [202, 403]
    assert floor.hearing() == {**pair("101", "102"), **pair("103", "104")}
    floor.hang_up(first)
    floor.hang_up(other)
    floor.over("callee", "caller")


def test_a_dialog_that_is_over() -> None:
    floor = Floor()
    floor.call("101", "102")
    [first] = floor.sessions("102")
    second = floor.call("102", "103")
    floor.hang_up(second)
    assert floor.transfer("102", first, second) == [202, 481]
    assert floor.hearing() == pair("101", "102")
    floor.hang_up(first)
    floor.over("caller", "callee")


def test_its_own_dialog() -> None:
    floor = Floor()
    floor.call("101", "102")
    [first] = floor.sessions("102")
    assert floor.transfer("102", first, first) == [202, 403]
    assert floor.hearing() == pair("101", "102")
    floor.hang_up(first)
    floor.over("callee")


def test_another_codec_is_offered_for_a_relay() -> None:
    floor = Floor()
    floor.call("101", "102")
    [first] = floor.sessions("102")
    before = set(floor.world.legs())
    second = floor["102"].dial("103", floor["102"].sdp((PCMU, EVENTS)))
    floor.world.run(0.2)
    floor["103"].answer(floor["103"].sdp((PCMU, EVENTS)))
    floor.world.run(0.5)
    floor.name(before, "102", "103")
    assert floor.transfer("102", first, second) == [202, 200]
    if not network.WORKERS:
        [offered] = floor["101"].of(Offered)
        floor["101"].do(offered.session.answer, floor["101"].sdp((PCMU, EVENTS)))
    floor.world.run(0.3)
    assert floor.hearing() == pair("101", "103")
    floor.hang_up(floor.sessions("101")[0])
    floor.over("transfer", "caller")


# ---- INVITE with Replaces, and with Join ----------------------------------------------------------------


@pytest.mark.parametrize("side", ["101", "102"])
def test_rfc3891_a_second_telephone_of_the_extension_takes_the_call_over(side: str) -> None:
    floor = Floor()
    floor.call("101", "102")
    [session] = floor.sessions(side)
    spare = Phone(floor.world, "192.0.2.201", side, UaSettings())
    floor.phones["spare"] = spare
    floor.replace("spare", side, session)
    other = "102" if side == "101" else "101"
    assert floor.hearing() == pair("spare", other)
    assert not floor.sessions(side)
    floor.hang_up(floor.sessions("spare")[0])
    # The contact goes on; that of the telephone which came is nobody's.
    [record] = floor.world.assert_over(1)
    assert record.ended_by == ("caller" if side == "101" else "callee"), "the same one, at another telephone"


def test_rfc3891_a_call_that_rings_is_picked_up() -> None:
    floor = Floor(extensions={"102": {"groups": ["sales"]}, "103": {"groups": ["sales"]}})
    floor.dial("101", "102")
    floor["102"].ring()
    floor.world.run(0.2)
    ringing = floor["102"].called()
    floor.replace("103", "102", ringing, more=";early-only")
    assert floor.hearing() == pair("101", "103")
    assert not floor.sessions("102")
    floor.hang_up(floor.sessions("103")[0])
    [record] = floor.world.assert_over(1)
    assert [leg.endpoint for leg in record.legs] == ["101", "102", "103"]
    assert record.destination == "103"


@pytest.mark.parametrize("who", ["104", "stranger"])
def test_a_call_that_rings_is_not_everybodys(who: str) -> None:
    floor = Floor(extensions={"102": {"groups": ["sales"]}, "104": {"groups": ["support"]}})
    floor.dial("101", "102")
    floor["102"].ring()
    floor.world.run(0.2)
    if who == "stranger":
        floor.phones[who] = floor.world.gateway("192.0.2.60")
    floor.replace(who, "102", floor["102"].called())
    assert floor.outcome(who) == 403
    floor["102"].answer()
    floor.world.run(0.3)
    assert floor.hearing() == pair("101", "102")
    floor.hang_up(floor.sessions("101")[0])
    floor.world.assert_over(2)


def test_rfc3891_3_what_can_not_be_replaced() -> None:
    floor = Floor()
    session = floor.call("101", "102")
    floor.replace("103", "101", session)
    assert floor.outcome("103") == 403, "of another extension, that talks"
    floor.replace("101", "101", session, more=";early-only")
    assert floor.outcome("101") == 486
    floor["103"].dial("101", headers=(("Replaces", "nobody@nowhere;to-tag=a;from-tag=b"),))
    floor.world.run(0.3)
    assert floor.outcome("103") == 481
    assert floor.hearing() == pair("101", "102")
    floor.hang_up(session)
    floor.world.assert_over(3)


def test_rfc3911_a_second_telephone_of_the_extension_joins() -> None:
    floor = Floor()
    floor.call("101", "102")
    [session] = floor.sessions("102")
    floor.phones["spare"] = Phone(floor.world, "192.0.2.201", "102", UaSettings())
    floor.replace("spare", "102", session, "Join")
    assert floor.hearing() == all_of("101", "102", "spare")
    floor.replace("103", "102", session, "Join")
    assert floor.outcome("103") == 403
    floor.hang_up(session)
    assert floor.hearing() == pair("101", "spare")
    floor.hang_up(floor.sessions("101")[0])
    floor.world.assert_over(2)


def test_who_comes_hangs_up_before_its_ack() -> None:
    """The call that it was to pick up ends, as after a callee that hangs up at once; nothing is left."""
    floor = Floor(extensions={"102": {"groups": ["sales"]}, "103": {"groups": ["sales"]}})
    floor.dial("101", "102")
    floor["102"].ring()
    floor.world.run(0.2)
    floor.world.link.loss = 0.0
    floor.replace("103", "102", floor["102"].called())
    floor.hang_up(floor.sessions("103")[0])
    assert not floor.sessions("101")
    floor.world.assert_over(1)

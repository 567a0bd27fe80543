"""Consultation, conference and hold by command, on the whole switch: who hears whom, who hears music, what is left."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Music, Tone
from sip.ua import UaSettings
from sip.ua_events import Offered, SessionArrived, SessionEnded
from softswitch.call_commands import (
    AnyCallCommand,
    Complete,
    Conference,
    Consult,
    Drop,
    Hold,
    Resume,
    Return,
    Swap,
    Transfer,
)
from softswitch.call_transfer import TransferRefused
from softswitch.report import call_row
from tests.virtual.network import EVENTS, PCMA, PCMU, WALL, Phone, World, settings


class Desk:
    """Ann has called Ben, and they talk; Cyd and Dan are there, too."""

    def __init__(
        self, agent: UaSettings | None = None, formats: tuple[str, ...] = (PCMA, PCMU, EVENTS), **configured: Any
    ) -> None:
        self.world = World(settings(**configured))
        phones = [self.world.phone(f"10{n}", agent=agent) for n in (1, 2, 3, 4)]
        self.ann, self.ben, self.cyd, self.dan = phones
        self.world.establish(self.ann, self.ben, offer=self.ann.sdp(formats))
        self.legs = dict(zip(("101", "102"), self.world.legs(), strict=True))
        [self.contact] = self.world.runtime.calls

    def do(self, command: AnyCallCommand) -> None:
        self.world.runtime.command(command, self.world.now)
        self.world.link.settle()
        self.world.run(0.3)

    def consult(self, phone: Phone | None = None, by: str = "102") -> None:
        """Ben calls Cyd, who answers."""
        phone = phone or self.cyd
        before = set(self.world.legs())
        self.do(Consult(self.contact, by, phone.number))
        [self.legs[phone.number]] = set(self.world.legs()) - before
        phone.answer()
        self.world.run(0.5)

    def hearing(self) -> dict[str, set[str]]:
        """Whom each hears, by number; those that hear nobody are left out."""
        numbers = {leg: number for number, leg in self.legs.items()}
        heard = self.world.media.hearing()
        return {numbers[leg]: {numbers[each] for each in others} for leg, others in heard.items() if others}

    def music(self) -> dict[str, object]:
        numbers = {leg: number for number, leg in self.legs.items()}
        playing = self.world.media.playing()
        assert all(len(sources) == 1 for sources in playing.values())
        return {numbers[leg]: sources[0] for leg, sources in playing.items()}

    def directions(self) -> list[str]:
        """Ours, of the two who talk."""
        [active] = self.world.runtime.calls.values()
        sessions = [active.call._session_of(leg) for leg in active.call.talkers]
        return [session.direction for session in sessions if session is not None]

    def hang_up(self, phone: Phone) -> None:
        phone.do(phone.called_session().hangup)
        self.world.run(0.5)

    def over(self, segments: list[str]) -> None:
        self.world.assert_over()
        [contact] = self.world.node.contacts
        assert [segment.kind for segment in contact.segments] == ["route", "ring", "talk", *segments]


def pair(one: str, other: str) -> dict[str, set[str]]:
    return {one: {other}, other: {one}}


def shown(phone: Phone) -> str:
    """Who a telephone is called by, as the latest INVITE has it."""
    return next(value for name, value in phone.of(SessionArrived)[-1].request.headers if name == "From")


def ended(phone: Phone) -> bool:
    return any(isinstance(event, SessionEnded) for event in phone.events)


def all_of(*numbers: str) -> dict[str, set[str]]:
    return {number: set(numbers) - {number} for number in numbers}


WAITING = {"101": Music("default")}


def test_while_it_rings() -> None:
    desk = Desk()
    desk.do(Consult(desk.contact, "102", "103"))
    [desk.legs["103"]] = set(desk.world.legs()) - set(desk.legs.values())
    assert (desk.hearing(), desk.music()) == ({}, WAITING)
    assert "<sip:102@" in next(value for name, value in desk.cyd.invited().headers if name == "From")
    desk.cyd.ring()
    desk.world.run(0.3)
    assert desk.music() == {**WAITING, "102": Tone("ringback")}
    desk.cyd.answer()
    desk.world.run(0.5)
    assert (desk.hearing(), desk.music()) == (pair("102", "103"), WAITING)
    desk.hang_up(desk.cyd)
    assert (desk.hearing(), desk.music()) == (pair("101", "102"), {})
    desk.hang_up(desk.ann)
    desk.over(["consult", "talk"])


@pytest.mark.parametrize("by", ["101", "102"])
def test_complete(by: str) -> None:
    desk = Desk()
    desk.consult(by=by)
    customer = "101" if by == "102" else "102"
    assert (desk.hearing(), desk.music()) == (pair(by, "103"), {customer: Music("default")})
    desk.do(Complete(desk.contact, by))
    assert (desk.hearing(), desk.music()) == (pair(customer, "103"), {})
    assert ended(desk.ben if by == "102" else desk.ann)
    assert not [event for phone in (desk.ann, desk.ben, desk.cyd) for event in phone.events if type(event) is Offered]
    desk.hang_up(desk.cyd)
    desk.over(["consult", "talk"])
    [contact] = desk.world.node.contacts
    assert [leg.endpoint for leg in contact.legs] == ["101", "102", "103"]


def test_the_consulter_hangs_up() -> None:
    """As in any office: that completes the transfer."""
    desk = Desk()
    desk.consult()
    desk.hang_up(desk.ben)
    assert (desk.hearing(), desk.music()) == (pair("101", "103"), {})
    desk.hang_up(desk.ann)
    desk.over(["consult", "talk"])


@pytest.mark.parametrize("hangs_up", [True, False])
@pytest.mark.parametrize("answers", [True, False])
def test_the_consulter_leaves_while_it_rings(hangs_up: bool, answers: bool) -> None:
    desk = Desk()
    desk.do(Consult(desk.contact, "102", "103"))
    desk.cyd.ring()
    [desk.legs["103"]] = set(desk.world.legs()) - set(desk.legs.values())
    if hangs_up:
        desk.hang_up(desk.ben)
    else:
        desk.do(Complete(desk.contact, "102"))
    assert ended(desk.ben)
    assert desk.music() == {"101": Tone("ringback")}
    if answers:
        desk.cyd.answer()
        desk.world.run(0.5)
        assert (desk.hearing(), desk.music()) == (pair("101", "103"), {})
    else:
        desk.cyd.refuse(486)
        desk.world.run(0.3)
        assert "<sip:101@" in shown(desk.ben), "rung again, by the one who waits"
        desk.ben.answer()
        desk.world.run(0.5)
        [desk.legs["102"]] = set(desk.world.legs()) - {desk.legs["101"]}
        assert (desk.hearing(), desk.music()) == (pair("101", "102"), {})
    desk.hang_up(desk.ann)
    desk.over(["consult", "ring", "talk"])


@pytest.mark.parametrize("answered", [True, False])
def test_return(answered: bool) -> None:
    desk = Desk()
    if answered:
        desk.consult()
    else:
        desk.do(Consult(desk.contact, "102", "103"))
    desk.do(Return(desk.contact, "102"))
    assert (desk.hearing(), desk.music()) == (pair("101", "102"), {})
    assert not desk.cyd.ua.sessions
    desk.hang_up(desk.ann)
    desk.over(["consult", "talk"])


@pytest.mark.parametrize(("number", "rings"), [("103", True), ("104", False)])
def test_nobody_answers(number: str, rings: bool) -> None:
    desk = Desk(extensions={"104": {"do_not_disturb": True}})
    desk.do(Consult(desk.contact, "102", number))
    if rings:
        desk.cyd.refuse(486)
        desk.world.run(0.3)
    assert (desk.hearing(), desk.music()) == (pair("101", "102"), {})
    desk.hang_up(desk.ben)
    desk.over(["consult", "talk"])


def test_swap_and_swap_back() -> None:
    desk = Desk()
    desk.consult()
    desk.do(Swap(desk.contact, "102"))
    assert (desk.hearing(), desk.music()) == (pair("101", "102"), {"103": Music("default")})
    desk.do(Swap(desk.contact, "102"))
    assert (desk.hearing(), desk.music()) == (pair("102", "103"), WAITING)
    desk.do(Swap(desk.contact, "102"))
    desk.do(Complete(desk.contact, "102"))
    assert (desk.hearing(), desk.music()) == (pair("101", "103"), {})
    desk.hang_up(desk.ann)
    desk.over(["consult", "talk"])


@pytest.mark.parametrize("leaves", ["101", "102", "103"])
@pytest.mark.parametrize("how", ["hangs up", "dropped", "silent"])
def test_conference_and_each_may_go_alone(leaves: str, how: str) -> None:
    desk = Desk()
    desk.consult()
    desk.do(Conference(desk.contact, "102"))
    assert (desk.hearing(), desk.music()) == (all_of("101", "102", "103"), {})
    phones = {"101": desk.ann, "102": desk.ben, "103": desk.cyd}
    if how == "hangs up":
        desk.hang_up(phones[leaves])
    elif how == "dropped":
        by = "102" if leaves != "102" else "101"
        desk.do(Drop(desk.contact, by, leaves))
    else:
        desk.world.silence(desk.legs[leaves], 60.0)
        desk.world.run(0.3)
    assert ended(phones[leaves])
    one, other = (number for number in phones if number != leaves)
    assert (desk.hearing(), desk.music()) == (pair(one, other), {})
    assert desk.world.media.bridges, "two are bridged again"
    desk.hang_up(phones[one])
    desk.over(["consult", "conference", "talk"])


def test_four() -> None:
    desk = Desk()
    desk.consult()
    desk.do(Conference(desk.contact, "102"))
    desk.consult(desk.dan, by="103")
    # Those left aside talk on.
    assert (desk.hearing(), desk.music()) == ({**pair("101", "102"), **pair("103", "104")}, {})
    with pytest.raises(TransferRefused, match="a consultation is under way"):
        desk.do(Consult(desk.contact, "103", "104"))
    desk.do(Swap(desk.contact, "103"))
    assert (desk.hearing(), desk.music()) == (all_of("101", "102", "103"), {"104": Music("default")})
    desk.do(Conference(desk.contact, "103"))
    assert (desk.hearing(), desk.music()) == (all_of("101", "102", "103", "104"), {})
    desk.hang_up(desk.ann)
    assert desk.hearing() == all_of("102", "103", "104")
    desk.hang_up(desk.ben)
    assert desk.hearing() == pair("103", "104")
    desk.hang_up(desk.cyd)
    desk.over(["consult", "conference", "consult", "conference", "talk"])


def test_one_of_a_conference_leaves_it_to_whom_it_has_called() -> None:
    desk = Desk()
    desk.consult()
    desk.do(Conference(desk.contact, "102"))
    desk.consult(desk.dan, by="102")
    desk.do(Complete(desk.contact, "102"))
    assert desk.hearing() == all_of("101", "103", "104")
    desk.hang_up(desk.ann)
    desk.hang_up(desk.dan)
    desk.over(["consult", "conference", "consult", "conference", "talk"])


@pytest.mark.parametrize("answered", [True, False])
def test_who_waits_hangs_up(answered: bool) -> None:
    """Ben and Cyd talk on, or come to it."""
    desk = Desk()
    if answered:
        desk.consult()
        desk.hang_up(desk.ann)
    else:
        desk.do(Consult(desk.contact, "102", "103"))
        desk.hang_up(desk.ann)
        [desk.legs["103"]] = set(desk.world.legs()) - set(desk.legs.values())
        desk.cyd.answer()
        desk.world.run(0.5)
    del desk.legs["101"]
    assert (desk.hearing(), desk.music()) == (pair("102", "103"), {})
    with pytest.raises(TransferRefused, match="no consultation"):
        desk.do(Complete(desk.contact, "102"))
    desk.hang_up(desk.cyd)
    desk.over(["consult", "talk"])


def test_everybody_but_the_consulter_hangs_up() -> None:
    desk = Desk()
    desk.do(Consult(desk.contact, "102", "103"))
    desk.hang_up(desk.ann)
    desk.cyd.refuse(486)
    desk.world.run(0.3)
    assert ended(desk.ben)
    desk.over(["consult"])


def test_a_telephone_holds_in_a_conference() -> None:
    """Nobody hears its music, and it hears nothing; afterwards all is as before."""
    desk = Desk()
    desk.consult()
    desk.do(Conference(desk.contact, "102"))
    desk.cyd.do(desk.cyd.called_session().offer, desk.cyd.sdp(direction="sendonly"))
    desk.world.run(0.3)
    heard = desk.hearing()
    assert (heard["101"], heard["102"]) == ({"102"}, {"101"})
    desk.cyd.do(desk.cyd.called_session().offer, desk.cyd.sdp())
    desk.world.run(0.3)
    assert desk.hearing() == all_of("101", "102", "103")
    assert not desk.ann.of(Offered)
    for phone in (desk.ann, desk.ben):
        desk.hang_up(phone)
    desk.over(["consult", "conference", "talk"])


def test_who_was_held_by_its_telephone_is_offered_to_talk_again() -> None:
    """Ann was told of the hold by a re-INVITE, since there is no music for her: that must not outlive the transfer."""
    desk = Desk()
    desk.ben.do(desk.ben.called_session().offer, desk.ben.sdp(direction="sendonly"))
    desk.world.run(0.3)
    [held] = desk.ann.of(Offered)
    desk.ann.do(held.session.answer, desk.ann.sdp(direction="recvonly"))
    desk.world.run(0.3)
    desk.consult()
    desk.do(Complete(desk.contact, "102"))
    back = desk.ann.of(Offered)[-1]
    assert b"a=sendrecv" in back.sdp
    desk.ann.do(back.session.answer, desk.ann.sdp())
    desk.world.run(0.5)
    assert desk.hearing() == pair("101", "103")
    assert desk.directions() == ["sendrecv", "sendrecv"]
    desk.hang_up(desk.ann)
    desk.over(["hold", "consult", "talk"])


def test_hold_and_resume() -> None:
    desk = Desk()
    desk.do(Hold(desk.contact, "102"))
    assert (desk.hearing(), desk.music()) == ({}, WAITING)
    with pytest.raises(TransferRefused, match="holds that call already"):
        desk.do(Hold(desk.contact, "102"))
    desk.do(Hold(desk.contact, "101"))
    assert (desk.hearing(), desk.music()) == ({}, {})
    desk.do(Resume(desk.contact, "102"))
    assert (desk.hearing(), desk.music()) == ({}, {"102": Music("default")})
    desk.do(Resume(desk.contact, "101"))
    assert (desk.hearing(), desk.music()) == (pair("101", "102"), {})
    with pytest.raises(TransferRefused, match="does not hold"):
        desk.do(Resume(desk.contact, "101"))
    assert not [event for phone in (desk.ann, desk.ben) for event in phone.events if type(event) is Offered]
    desk.hang_up(desk.ann)
    desk.over(["hold", "talk"])


def test_hold_in_a_conference() -> None:
    desk = Desk()
    desk.consult()
    desk.do(Conference(desk.contact, "102"))
    desk.do(Hold(desk.contact, "102"))
    assert desk.hearing() == pair("101", "103")
    desk.do(Resume(desk.contact, "102"))
    assert desk.hearing() == all_of("101", "102", "103")
    desk.do(Hold(desk.contact, "102"))
    desk.hang_up(desk.cyd)
    assert (desk.hearing(), desk.music()) == ({}, WAITING)
    desk.hang_up(desk.ann)
    desk.over(["consult", "conference", "hold"])


def test_a_third_with_another_codec_is_offered_the_others() -> None:
    """Two who can relay are asked to; the offer goes to the one who stays."""
    desk = Desk()
    desk.do(Consult(desk.contact, "102", "103"))
    [desk.legs["103"]] = set(desk.world.legs()) - set(desk.legs.values())
    desk.cyd.answer(desk.cyd.sdp((PCMU, EVENTS)))
    desk.world.run(0.5)
    [offered] = desk.ben.of(Offered)
    desk.ben.do(offered.session.answer, desk.ben.sdp((PCMU, EVENTS)))
    desk.world.run(0.5)
    desk.do(Complete(desk.contact, "102"))
    [offered] = desk.ann.of(Offered)
    desk.ann.do(offered.session.answer, desk.ann.sdp((PCMU, EVENTS)))
    desk.world.run(0.5)
    assert desk.hearing() == pair("101", "103")
    desk.hang_up(desk.ann)
    desk.over(["consult", "talk"])


def test_an_offer_that_waits_when_its_partner_goes_is_refused() -> None:
    """Cyd holds, and Ben leaves her to Ann before he has answered that: she is told, and may ask again."""
    desk = Desk()
    desk.consult()
    desk.cyd.do(desk.cyd.called_session().offer, desk.cyd.sdp((PCMU,), direction="sendonly"))
    desk.world.run(0.3)
    assert desk.ben.of(Offered)
    desk.hang_up(desk.ben)
    assert desk.cyd.got("488 INVITE")
    assert desk.hearing() == pair("101", "103")
    desk.hang_up(desk.ann)
    desk.over(["consult", "talk"])


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (Consult("", "102", "999"), "can't be reached"),
        (Consult("", "102", "102"), "nobody who can be consulted"),
        (Consult("", "102", "*43"), "nobody who can be consulted"),
        (Consult("", "103", "104"), "not in that call: expected one of 101, 102"),
        (Complete("", "102"), "no consultation"),
        (Swap("", "102"), "no consultation"),
        (Return("", "102"), "no consultation"),
        (Conference("", "102"), "no consultation"),
        (Drop("", "102", "103"), "not in that call"),
    ],
)
def test_what_is_refused_leaves_all_as_it_was(command: AnyCallCommand, why: str) -> None:
    desk = Desk()
    command.call = desk.contact
    with pytest.raises(TransferRefused, match=why):
        desk.do(command)
    assert (desk.hearing(), desk.music()) == (pair("101", "102"), {})
    desk.hang_up(desk.ann)
    desk.over([])


def test_what_is_refused_during_a_consultation() -> None:
    desk = Desk()
    desk.do(Consult(desk.contact, "102", "103"))
    for command in (Swap(desk.contact, "102"), Conference(desk.contact, "102")):
        with pytest.raises(TransferRefused, match="has not answered yet"):
            desk.do(command)
    with pytest.raises(TransferRefused, match="nobody talks"):
        desk.do(Transfer(desk.contact, "102", "104"))
    [desk.legs["103"]] = set(desk.world.legs()) - set(desk.legs.values())
    desk.cyd.answer()
    desk.world.run(0.5)
    with pytest.raises(TransferRefused, match="a consultation is under way"):
        desk.do(Transfer(desk.contact, "102", "104"))
    with pytest.raises(TransferRefused, match="no consultation"):
        desk.do(Complete(desk.contact, "103"))
    desk.hang_up(desk.ann)
    desk.hang_up(desk.ben)
    desk.over(["consult", "talk"])


@pytest.mark.parametrize("leaves", ["waiting", "consulting"])
def test_a_contact_whose_caller_has_left_others_who_talk_lasts_until_they_have_gone(leaves: str) -> None:
    """Its own end is in its leg; who is there now is in the status, which goes on naming it as who called."""
    desk = Desk()
    desk.consult(by="102" if leaves == "waiting" else "101")
    if leaves == "waiting":
        desk.hang_up(desk.ann)
    else:
        desk.do(Complete(desk.contact, "101"))
    left = desk.world.now
    desk.world.run(30.0)
    [active] = desk.world.runtime.calls.values()
    row = call_row(active, desk.world.now)
    assert (row.state, row.caller) == ("talking", "101")
    assert sorted(f"{each.end} {each.does}" for each in row.parties) == ["extension 102 talks", "extension 103 talks"]
    desk.hang_up(desk.cyd)
    [record] = desk.world.assert_over()
    caller, *others = record.legs
    assert caller.ended is not None
    assert caller.ended - WALL <= left
    assert record.answered is not None
    assert record.ended == max(each.ended or 0.0 for each in others) > caller.ended + 29.0
    assert record.billsec == pytest.approx(record.ended - record.answered)
    assert (record.ended_by, record.cause) == ("callee", 16)


def three_with_two_on_a_trunk() -> tuple[World, Phone, Phone, str]:
    """Ann, 30123 and 30124, both of them by the trunk north, talk: the world, Ann, the gateway, the call."""
    world = World()
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    world.establish(ann, gateway, "030123")
    [contact] = world.runtime.calls
    world.runtime.command(Consult(contact, "101", "030124"), world.now)
    world.run(0.3)
    gateway.answer()
    world.run(0.5)
    world.runtime.command(Conference(contact, "101"), world.now)
    world.run(0.3)
    return world, ann, gateway, contact


def parties(world: World) -> list[tuple[str, str]]:
    [active] = world.runtime.calls.values()
    return sorted((each.end, each.number) for each in call_row(active, world.now).parties)


@pytest.mark.parametrize("number", ["30123", "30124"])
@pytest.mark.parametrize("by", ["", "101", "30123"])
def test_one_of_two_on_the_same_trunk_is_dropped_by_the_number_that_status_shows(number: str, by: str) -> None:
    world, ann, _, contact = three_with_two_on_a_trunk()
    stays = ({"30123", "30124"} - {number}).pop()
    assert parties(world) == [("extension 101", "101"), ("trunk north", "30123"), ("trunk north", "30124")]
    world.runtime.command(Drop(contact, by, number), world.now)
    world.run(0.5)
    assert parties(world) == [("extension 101", "101"), ("trunk north", stays)]
    world.runtime.command(Drop("101", "", "north"), world.now)
    world.run(0.5)
    assert ended(ann)
    world.assert_over()


def test_whoever_names_a_trunk_that_two_are_on_is_told_their_numbers() -> None:
    world, ann, _, contact = three_with_two_on_a_trunk()
    expected = "expected one of 101, 30123, 30124"
    for command, why in (
        (Drop(contact, "", "north"), f"'north' is in that call more than once: {expected}"),
        (Drop(contact, "north", "101"), f"'north' is in that call more than once: {expected}"),
        (Drop(contact, "", "30125"), f"'30125' is not in that call: {expected}"),
        (Hold(contact), f"which extension does it? expected 'by' (--by) to be one of {expected.split(' of ')[1]}"),
    ):
        with pytest.raises(TransferRefused) as refused:
            world.runtime.command(command, world.now)
        assert str(refused.value) == why
    ann.do(ann.called_session().hangup)
    world.run(0.5)
    world.runtime.command(Drop(contact, "", "30123"), world.now)
    world.assert_over()

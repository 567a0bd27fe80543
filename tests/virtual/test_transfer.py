"""Blind transfer done by the switch, on the whole switch: who is joined with whom, who hears what, what is left."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from media.audio_commands import Music, Play, StopPlay, Tone
from sip.message import Request
from sip.ua import UaSettings
from sip.ua_events import Offered, ReferAnswered, ReferProgress, RequestAnswered, SessionArrived, SessionEnded
from softswitch.call_commands import Transfer
from softswitch.call_transfer import TransferRefused
from tests.virtual.network import EVENTS, PCMU, Phone, World, settings


class Office:
    """Ann has called Ben, and they talk; Cyd is there, too."""

    def __init__(self, way: str = "command", **configured: Any) -> None:
        """`way` of transfers: by command, by a telephone's REFER, or by one that wants no NOTIFY."""
        self.way = way
        self.world = World(settings(**configured))
        agent = UaSettings(refer=True)
        self.ann, self.ben, self.cyd = (self.world.phone(number, agent=agent) for number in ("101", "102", "103"))
        self.world.establish(self.ann, self.ben)
        self.leg_ann, self.leg_ben = self.world.legs()
        self.phones = {"101": self.ann, "102": self.ben, "103": self.cyd}

    def transfer(self, by: str, number: str) -> None:
        world, phone = self.world, self.phones[by]
        if self.way == "command":
            [contact] = world.runtime.calls
            world.runtime.command(Transfer(contact, by, number), world.now)
            world.link.settle()
        else:
            phone.do(phone.called_session().refer, f"<sip:{number}@192.0.2.1>", None, sub=self.way == "refer")
        world.run(0.3)

    def told(self, by: str) -> list[int]:
        """What a telephone has been told of its REFER, the answer first."""
        events = self.phones[by].events
        told = [event.status for event in events if isinstance(event, ReferAnswered)]
        return told + [event.status for event in events if isinstance(event, ReferProgress) and event.status > 100]

    def hang_up(self, phone: Phone) -> None:
        phone.do(phone.called_session().hangup)
        self.world.run(0.5)

    def playing(self) -> dict[int, object]:
        """What is played to which stream."""
        media = self.world.media
        stopped = {command.play for command in media.asked(StopPlay)}
        plays = [command for command in media.asked(Play) if command.play not in stopped]
        return {command.stream: command.sources[0] for command in plays if command.stream in media.streams}

    def joined(self) -> dict[int, int]:
        return dict(self.world.media.bridges)

    def is_as_it_was(self) -> bool:
        together = {self.leg_ann: self.leg_ben, self.leg_ben: self.leg_ann}
        return self.joined() == together and not self.playing() and not ended(self.ann) and not ended(self.ben)

    def over(self, cause: int = 16) -> None:
        [record] = self.world.assert_over()
        assert record.cause == cause
        for phone in self.phones.values():
            assert not phone.ua.sessions


def ended(phone: Phone) -> bool:
    return any(isinstance(event, SessionEnded) for event in phone.events)


WAYS = ["command", "refer", "refer without a subscription"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", ["101", "102"])
def test_either_side_sends_the_other_to_a_third(by: str, way: str) -> None:
    office = Office(way)
    transferor, stays = (office.ann, office.ben) if by == "101" else (office.ben, office.ann)
    leg = office.leg_ben if by == "101" else office.leg_ann
    office.transfer(by, "103")
    assert office.joined() == {}
    assert office.playing() == {leg: Music("default")}
    assert not ended(transferor)
    assert f"<sip:{stays.number}@" in next(value for name, value in office.cyd.invited().headers if name == "From")
    office.cyd.ring()
    office.world.run(0.2)
    assert office.playing() == {leg: Tone("ringback")}
    office.cyd.answer()
    office.world.run(0.5)
    assert office.playing() == {}
    assert ended(transferor)
    assert not ended(stays)
    [third] = [each for each in office.world.legs() if each not in (office.leg_ann, office.leg_ben)]
    assert office.joined() == {leg: third, third: leg}
    assert not [event for phone in office.phones.values() for event in phone.events if isinstance(event, Offered)]
    assert office.told(by) == {"command": [], "refer": [202, 180, 200]}.get(way, [202])
    office.hang_up(office.cyd)
    assert ended(stays)
    office.over()
    [contact] = office.world.node.contacts
    assert [segment.kind for segment in contact.segments] == ["route", "ring", "talk", "ring", "talk"]
    assert [leg.endpoint for leg in contact.legs] == ["101", "102", "103"]
    assert contact.ended_by == "callee"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", ["101", "102"])
@pytest.mark.parametrize(("number", "status"), [("103", 486), ("104", 480), ("999", 404)])
def test_whom_nobody_takes_is_back_with_who_sent_it(by: str, number: str, status: int, way: str) -> None:
    """Busy, not registered, no such number: of a command that alone is known at once."""
    office = Office(way)
    refused = way == "command" and number == "999"
    with pytest.raises(TransferRefused) if refused else nullcontext():
        office.transfer(by, number)
    if number == "103":
        office.cyd.refuse(486)
        office.world.run(0.5)
    assert office.is_as_it_was()
    assert office.world.runtime.counters["transfers failed"] == (0 if refused else 1)
    assert office.told(by) == {"command": [], "refer": [202, status]}.get(way, [202])
    office.transfer(by, "103")
    office.cyd.answer()
    office.world.run(0.5)
    assert ended(office.phones[by])
    office.hang_up(office.cyd)
    office.over()


def test_after_a_transfer_to_a_trunk_the_number_is_in_the_leg() -> None:
    office = Office()
    gateway = office.world.gateway("192.0.2.51")
    office.transfer("102", "030124")
    gateway.answer()
    office.world.run(0.5)
    office.hang_up(office.ann)
    [record] = office.world.assert_over()
    assert (record.dialled, record.destination, record.trunk) == ("102", "north", "north")
    assert [(leg.endpoint, leg.number) for leg in record.legs][2:] == [("north", "30124")]


def test_nobody_answers_in_time() -> None:
    office = Office(extensions={"103": {"ring_timeout": 5}})
    office.transfer("102", "103")
    office.cyd.ring()
    office.world.run(6)
    assert office.is_as_it_was()
    office.hang_up(office.ann)
    office.over()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", ["101", "102"])
def test_the_transferor_hangs_up_at_once(by: str, way: str) -> None:
    """As telephones do that do not wait for how it ends; they are told all the same (RFC 5057)."""
    office = Office(way)
    office.transfer(by, "103")
    office.hang_up(office.phones[by])
    stays, leg = (office.ben, office.leg_ben) if by == "101" else (office.ann, office.leg_ann)
    assert not ended(stays)
    office.cyd.answer()
    office.world.run(0.5)
    assert leg in office.joined()
    assert office.playing() == {}
    assert office.told(by) == {"command": [], "refer": [202, 200]}.get(way, [202])
    office.hang_up(stays)
    office.over()


def test_the_transferor_has_gone_and_nobody_answers() -> None:
    office = Office(transfers={"recall": False})
    office.transfer("102", "103")
    office.hang_up(office.ben)
    office.cyd.refuse(486)
    office.world.run(0.5)
    assert ended(office.ann)
    office.over(17)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answers", [True, False])
def test_the_transferor_has_gone_and_is_rung_again_then_the_fallback(answers: bool, way: str) -> None:
    office = Office(way, transfers={"fallback": "104"})
    dan = office.world.phone("104")
    office.transfer("102", "103")
    office.hang_up(office.ben)
    office.cyd.refuse(486)
    office.world.run(0.3)
    office.ben.ring()
    office.world.run(0.3)
    assert office.playing() == {office.leg_ann: Tone("ringback")}
    if answers:
        office.ben.answer()
    else:
        office.ben.refuse(480)
        office.world.run(0.3)
        dan.answer()
    office.world.run(0.5)
    assert office.playing() == {}
    assert office.leg_ann in office.joined()
    # Told once, of what was asked for.
    assert office.told("102") == {"command": [], "refer": [202, 486]}.get(way, [202])
    office.hang_up(office.ann)
    office.over()


def test_nobody_at_all() -> None:
    office = Office(transfers={"fallback": "999"})
    office.transfer("102", "103")
    office.hang_up(office.ben)
    office.cyd.refuse(486)
    office.world.run(0.3)
    office.ben.refuse(486)
    office.world.run(0.3)
    assert ended(office.ann)
    office.over(3)


@pytest.mark.parametrize("by", ["101", "102"])
def test_who_waits_hangs_up(by: str) -> None:
    office = Office()
    office.transfer(by, "103")
    office.cyd.ring()
    office.hang_up(office.ben if by == "101" else office.ann)
    assert ended(office.phones[by])
    office.over()


def test_a_transferor_that_falls_silent_is_let_go_alone() -> None:
    office = Office()
    office.transfer("102", "103")
    office.world.silence(office.leg_ben, 60.0)
    office.world.run(0.3)
    assert ended(office.ben)
    assert not ended(office.ann)
    office.cyd.answer()
    office.world.run(0.5)
    assert office.leg_ann in office.joined()
    office.hang_up(office.ann)
    office.over()


@pytest.mark.parametrize("method", ["REFER", "SUBSCRIBE"])
def test_what_comes_without_a_call_is_challenged(method: str) -> None:
    """A stranger learns nothing from it that he would not learn from an INVITE, and nobody is called."""
    office = Office()
    headers = [
        ("To", "<sip:101@192.0.2.1>"),
        ("From", "<sip:x@y>;tag=1"),
        ("Refer-To", "<sip:103@192.0.2.1>"),
        ("Event", "dialog"),
    ]
    request = Request(method, "sip:101@192.0.2.1", headers, b"")
    token = office.ben.ua.request(request, office.world.now, office.ben.switch)
    office.world.run(0.5)
    answers = [event for event in office.ben.events if isinstance(event, RequestAnswered) and event.token == token]
    assert [answer.response.status for answer in answers] == [401]
    assert answers[0].response.has("WWW-Authenticate")
    assert not office.cyd.of(SessionArrived)
    office.hang_up(office.ann)
    office.over()


def test_what_is_refused() -> None:
    office = Office()
    [contact] = office.world.runtime.calls

    def transfer(contact: str, by: str, number: str, now: float) -> None:
        office.world.runtime.command(Transfer(contact, by, number), now)

    with pytest.raises(TransferRefused, match="is the extension that transfers"):
        transfer(contact, "102", "102", office.world.now)
    with pytest.raises(TransferRefused, match="'105' is not in that call: expected one of 101, 102"):
        transfer(contact, "105", "103", office.world.now)
    with pytest.raises(TransferRefused, match="'999' can't be reached: no route of context 'internal' leads there"):
        transfer(contact, "102", "999", office.world.now)
    assert office.is_as_it_was()
    office.transfer("102", "103")
    with pytest.raises(TransferRefused, match="nobody talks"):
        transfer(contact, "102", "104", office.world.now)
    office.hang_up(office.ann)
    office.over()


def test_a_trunk_may_not_transfer() -> None:
    office = Office()
    office.hang_up(office.ann)
    gateway = office.world.gateway("192.0.2.60")
    office.world.establish(gateway, office.cyd)
    contact = next(each for each, active in office.world.runtime.calls.items() if active.call.contact.kind == "trunk")
    with pytest.raises(TransferRefused, match="trunk south may not transfer"):
        office.world.runtime.command(Transfer(contact, "south", "102"), office.world.now)
    office.hang_up(office.cyd)
    office.world.assert_over(2)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("<sip:103@192.0.2.1;method=BYE>", [501]),
        ("<sip:192.0.2.1>", [501]),
        ("<sip:103@192.0.2.1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>", [202, 481]),
        ("<sip:102@192.0.2.1>", [403]),
    ],
)
def test_what_a_telephone_is_refused(target: str, told: list[int]) -> None:
    """Another method, no number, a dialog that there is not, itself."""
    office = Office("refer")
    office.ben.do(office.ben.called_session().refer, target, None)
    office.world.run(0.3)
    assert office.told("102") == told
    assert office.is_as_it_was()
    office.hang_up(office.ann)
    office.over()


@pytest.mark.parametrize("way", ["refer", "refer without a subscription"])
def test_who_waits_hangs_up_and_the_telephone_is_told(way: str) -> None:
    office = Office(way)
    office.transfer("102", "103")
    office.cyd.ring()
    office.hang_up(office.ann)
    assert office.told("102") == ([202, 180, 487] if way == "refer" else [202])
    office.over()


def test_into_a_conference() -> None:
    office = Office(routes=[{"to": "8001", "answer_and_conference": "sales"}])
    office.transfer("102", "8001")
    assert ended(office.ben)
    assert not ended(office.ann)
    assert office.world.runtime.rooms.members("sales") == (office.leg_ann,)
    office.hang_up(office.ann)
    office.over()


def test_a_third_with_another_codec() -> None:
    """One that both have: it is offered to the one who stays, so that nothing need be decoded."""
    office = Office()
    office.transfer("102", "103")
    office.cyd.answer(office.cyd.sdp((PCMU, EVENTS)))
    office.world.run(0.2)
    [offered] = [event for event in office.ann.events if isinstance(event, Offered)]
    office.ann.do(offered.session.answer, office.ann.sdp((PCMU, EVENTS)))
    office.world.run(0.5)
    assert len(office.joined()) == 2
    office.hang_up(office.ann)
    office.over()


def test_who_holds_and_transfers_meanwhile() -> None:
    """As telephones do: hold, send on, and hang up."""
    both = {"music_on_hold": "default"}
    office = Office(extensions={"101": both, "102": both})
    office.ben.do(office.ben.called_session().offer, office.ben.sdp(direction="sendonly"))
    office.world.run(0.3)
    assert office.playing() == {office.leg_ann: Music("default")}
    office.transfer("102", "103")
    assert office.playing() == {office.leg_ann: Music("default")}
    office.cyd.refuse(486)
    office.world.run(0.5)
    # Back where it was: Ben still holds.
    assert office.playing() == {office.leg_ann: Music("default")}
    [active] = office.world.runtime.calls.values()
    assert active.call.contact.segments[-1].kind == "hold"
    office.transfer("102", "103")
    office.cyd.answer()
    office.world.run(0.5)
    assert office.playing() == {}
    office.hang_up(office.ann)
    office.over()

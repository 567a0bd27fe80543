"""Blind transfer from a conference of a call: the others talk on, and whoever answers talks along."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Music, SetRecordingChannels, Tone
from sip.ua import UaSettings
from sip.ua_events import ReferAnswered, ReferProgress, SessionAnswered
from softswitch.call_commands import Complete, Conference, Consult, Transfer
from softswitch.call_transfer import TransferRefused
from tests.virtual.network import EVENTS, PCMA, PCMU, Phone
from tests.virtual.test_consult import Desk, all_of, ended, pair

G729 = "18 G729/8000"
RELAYED = {number: {"codecs": ["PCMA", "PCMU", "G729"]} for number in ("101", "102", "103", "104")}
"""Extensions that have a codec which can be relayed and not mixed."""
ROOM = {"to": "800", "answer_and_conference": "board"}
EXTENSIONS = {"to": "_1XX", "dial": "{number}"}


class Meeting(Desk):
    """Ann, Ben and Cyd talk, each by a telephone that may send REFER; Dan is there, too."""

    def __init__(self, **configured: Any) -> None:
        super().__init__(UaSettings(refer=True), **configured)
        self.consult()
        self.do(Conference(self.contact, "102"))
        assert self.hearing() == all_of("101", "102", "103")

    def called(self, phone: Phone) -> None:
        """The leg of a telephone that rings now."""
        [self.legs[phone.number]] = set(self.world.legs()) - set(self.legs.values())

    def answers(self, phone: Phone) -> None:
        self.called(phone)
        phone.answer()
        self.world.run(0.5)

    def phone(self, number: str) -> Phone:
        return {"101": self.ann, "102": self.ben, "103": self.cyd}[number]


@pytest.mark.parametrize("by", ["101", "102", "103"])
def test_the_others_talk_on_and_who_answers_talks_along(by: str) -> None:
    meeting = Meeting()
    others = [number for number in ("101", "102", "103") if number != by]
    meeting.do(Transfer(meeting.contact, by, "104"))
    assert (meeting.hearing(), meeting.music()) == (pair(*others), {})
    meeting.dan.ring()
    meeting.world.run(0.3)
    assert (meeting.hearing(), meeting.music()) == (pair(*others), {})
    assert not ended(meeting.phone(by))
    meeting.answers(meeting.dan)
    assert (meeting.hearing(), meeting.music()) == (all_of(*others, "104"), {})
    assert ended(meeting.phone(by))
    meeting.hang_up(meeting.phone(others[0]))
    assert meeting.hearing() == pair(others[1], "104")
    meeting.hang_up(meeting.dan)
    meeting.over(["consult", "conference", "ring", "conference", "talk"])


def test_it_is_told_as_any_transfer() -> None:
    """REFER by telephone: 202, 180, 200."""
    meeting = Meeting()
    meeting.ben.do(meeting.ben.called_session().refer, "<sip:104@192.0.2.1>", None)
    meeting.world.run(0.3)
    meeting.dan.ring()
    meeting.world.run(0.3)
    meeting.answers(meeting.dan)
    [answered] = meeting.ben.of(ReferAnswered)
    told = [event.status for event in meeting.ben.of(ReferProgress)]
    assert (answered.status, told) == (202, [100, 180, 200])
    assert meeting.hearing() == all_of("101", "103", "104")
    for phone in (meeting.ann, meeting.dan):
        meeting.hang_up(phone)
    meeting.world.assert_over()


@pytest.mark.parametrize("waits", [True, False])
def test_nobody_takes_it(waits: bool) -> None:
    """Whoever has sent it on is back; where it has hung up, its extension is not rung: two talk, and nobody waits."""
    meeting = Meeting()
    meeting.do(Transfer(meeting.contact, "102", "104"))
    if not waits:
        meeting.hang_up(meeting.ben)
        assert meeting.hearing() == pair("101", "103")
    meeting.dan.refuse(486)
    meeting.world.run(0.5)
    assert meeting.hearing() == (all_of("101", "102", "103") if waits else pair("101", "103"))
    if waits:
        meeting.hang_up(meeting.ben)
    assert meeting.world.media.bridges, "two are bridged"
    meeting.hang_up(meeting.ann)
    meeting.world.assert_over()


@pytest.mark.parametrize("first", ["101", "103"])
def test_they_go_one_by_one_while_it_rings(first: str) -> None:
    """The last one waits, as in any transfer."""
    meeting = Meeting()
    last = "103" if first == "101" else "101"
    meeting.do(Transfer(meeting.contact, "102", "104"))
    meeting.dan.ring()
    meeting.world.run(0.3)
    meeting.hang_up(meeting.phone(first))
    assert (meeting.hearing(), meeting.music()) == ({}, {last: Tone("ringback")})
    meeting.answers(meeting.dan)
    assert (meeting.hearing(), meeting.music()) == (pair(last, "104"), {})
    assert ended(meeting.ben)
    meeting.hang_up(meeting.dan)
    meeting.over(["consult", "conference", "ring", "talk"])


def test_all_go_while_it_rings() -> None:
    meeting = Meeting()
    meeting.do(Transfer(meeting.contact, "102", "104"))
    for phone in (meeting.ann, meeting.cyd):
        meeting.hang_up(phone)
    assert meeting.dan.got("CANCEL")
    assert ended(meeting.ben)
    meeting.world.assert_over()


@pytest.mark.parametrize("number", ["800", "700"])
def test_what_can_not_talk_along(number: str) -> None:
    """A room, a parking lot: whoever has sent it on is back."""
    meeting = Meeting(
        conferences={"board": {}},
        parking={"lot": {"slots": ["701"]}},
        dialplan={"internal": {"routes": [ROOM, {"to": "700", "park": "lot"}, EXTENSIONS]}},
    )
    meeting.do(Transfer(meeting.contact, "102", number))
    meeting.world.run(0.5)
    assert (meeting.hearing(), meeting.music()) == (all_of("101", "102", "103"), {})
    for phone in (meeting.ann, meeting.ben):
        meeting.hang_up(phone)
    meeting.world.assert_over()


def test_who_is_called_is_offered_what_can_be_mixed() -> None:
    """Not what the caller could have relayed. It has never waited for anybody here: the conference is by Join."""
    desk = Desk(UaSettings(refer=True), (PCMA, G729, EVENTS), extensions=RELAYED)
    second = desk.world.phone("102", "192.0.2.99")
    call_id, local, remote = desk.ben.called_session().dialog.id
    joined = second.dial("102", headers=(("Join", f"{call_id};to-tag={remote};from-tag={local}"),))
    desk.world.run(0.5)
    assert second.of(SessionAnswered)
    [desk.legs["2"]] = set(desk.world.legs()) - set(desk.legs.values())
    desk.ben.do(desk.ben.called_session().refer, "<sip:104@192.0.2.1>", None)
    desk.world.run(0.3)
    assert b"PCMU" in desk.dan.invited().body
    assert b"G729" not in desk.dan.invited().body
    [desk.legs["104"]] = set(desk.world.legs()) - set(desk.legs.values())
    desk.dan.answer(desk.dan.sdp((PCMU, EVENTS)))
    desk.world.run(0.5)
    assert desk.hearing() == all_of("101", "2", "104")
    second.do(joined.hangup)
    desk.world.run(0.5)
    desk.hang_up(desk.ann)
    desk.world.assert_over()


def test_who_rings_already_and_takes_what_can_not_be_mixed_is_let_go() -> None:
    """Whoever was called for one telephone was offered what that has; then it was left to a conference."""
    meeting = Meeting(extensions=RELAYED)
    first = meeting.ben.called_session()
    second = meeting.ben.dial("104", meeting.ben.sdp((PCMA, G729, EVENTS)))
    meeting.world.run(0.3)
    assert b"G729" in meeting.dan.invited().body
    meeting.dan.ring()
    meeting.world.run(0.3)
    call_id, local, remote = second.dialog.id
    replaces = f"{call_id}%3Bto-tag%3D{remote}%3Bfrom-tag%3D{local}".replace("@", "%40")
    meeting.ben.do(first.refer, f"<sip:104@192.0.2.1?Replaces={replaces}>", None)
    meeting.world.run(0.3)
    assert meeting.hearing() == pair("101", "103")
    meeting.dan.answer(meeting.dan.sdp((G729, EVENTS)))
    meeting.world.run(0.5)
    assert ended(meeting.dan)
    assert [event.status for event in meeting.ben.of(ReferProgress)][-1] == 488
    assert meeting.hearing() == all_of("101", "102", "103")
    for phone in (meeting.ann, meeting.cyd):
        meeting.hang_up(phone)
    meeting.world.assert_over(calls=2)


def test_a_consultation_is_completed_while_it_rings() -> None:
    """From a conference: the others, who have talked on, go on to, and whoever answers talks along."""
    meeting = Meeting()
    meeting.do(Consult(meeting.contact, "102", "104"))
    assert meeting.hearing() == pair("101", "103")
    meeting.do(Complete(meeting.contact, "102"))
    assert ended(meeting.ben)
    assert meeting.hearing() == pair("101", "103")
    meeting.answers(meeting.dan)
    assert (meeting.hearing(), meeting.music()) == (all_of("101", "103", "104"), {})
    for phone in (meeting.dan, meeting.ann):
        meeting.hang_up(phone)
    meeting.over(["consult", "conference", "consult", "ring", "conference", "talk"])


@pytest.mark.parametrize("replaced", ["101", "103"])
def test_another_telephone_takes_over_meanwhile(replaced: str) -> None:
    """RFC 3891, by a second telephone of the extension."""
    meeting = Meeting()
    second = meeting.world.phone(replaced, "192.0.2.99")
    meeting.do(Transfer(meeting.contact, "102", "104"))
    call_id, local, remote = meeting.phone(replaced).called_session().dialog.id
    session = second.dial(replaced, headers=(("Replaces", f"{call_id};to-tag={remote};from-tag={local}"),))
    meeting.world.run(0.5)
    assert second.of(SessionAnswered)
    assert ended(meeting.phone(replaced))
    other = "103" if replaced == "101" else "101"
    meeting.legs.pop(replaced)
    meeting.legs["104"], meeting.legs["2"] = sorted(set(meeting.world.legs()) - set(meeting.legs.values()))
    assert meeting.hearing() == pair(other, "2")
    meeting.dan.answer()
    meeting.world.run(0.5)
    assert meeting.hearing() == all_of(other, "2", "104")
    second.do(session.hangup)
    meeting.world.run(0.5)
    meeting.hang_up(meeting.dan)
    meeting.world.assert_over()


def test_not_while_somebody_is_consulted() -> None:
    meeting = Meeting()
    meeting.consult(meeting.dan)
    with pytest.raises(TransferRefused, match="a consultation is under way"):
        meeting.do(Transfer(meeting.contact, "102", "101"))
    assert meeting.hearing() == {**pair("102", "104"), **pair("101", "103")}
    assert Music("default") not in meeting.music().values()
    for phone in (meeting.ann, meeting.cyd, meeting.ben):
        meeting.hang_up(phone)
    meeting.world.assert_over()


@pytest.mark.parametrize("talk", ["two", "three"])
def test_who_has_sent_it_on_is_recorded_no_more(talk: str) -> None:
    """Its telephone may be still there, and hear what is said in the room that it is in."""
    everybody = {"1" + str(n).zfill(2): {"record": "always"} for n in (1, 2)}
    desk = Meeting(extensions=everybody) if talk == "three" else Desk(extensions=everybody)
    stay = ["101", "103"] if talk == "three" else ["101"]
    desk.do(Transfer(desk.contact, "102", "104"))
    assert recorded(desk) == stay
    [desk.legs["104"]] = set(desk.world.legs()) - set(desk.legs.values())
    desk.dan.answer()
    desk.world.run(0.5)
    assert recorded(desk) == [*stay, "104"]
    desk.hang_up(desk.ann)
    if talk == "three":
        desk.hang_up(desk.dan)
    desk.world.assert_over()


def recorded(desk: Desk) -> list[str]:
    """Who is on the recording's channels, as the engine was told last."""
    asked = [each for each in desk.world.media.commands if isinstance(each, SetRecordingChannels)]
    numbers = {leg: number for number, leg in desk.legs.items()}
    return sorted(numbers[leg] for leg, _ in asked[-1].channels)

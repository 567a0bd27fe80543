"""Intercom and paging on the whole switch: who is called how, who hears whom, how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Digit, Play, SetRecordingChannels, SetRoom, StartRecording, Tone
from sip.ua_events import SessionAnswered, SessionEnded, SessionFailed
from softswitch.call_commands import Consult, Park, Transfer
from softswitch.call_transfer import TransferRefused
from softswitch.hunt import MAX_LEGS_AT_ONCE
from tests.virtual.network import G722, PCMU, Phone, World, settings

EVERYBODY = ["101", "102", "103", "104"]
OFFICE = {number: {"groups": ["office"]} for number in EVERYBODY}


def asked_to_answer(phone: Phone) -> list[tuple[str, str]]:
    names = ("Call-Info", "Alert-Info", "Answer-Mode", "Require")
    return [header for header in phone.invited().headers if header[0] in names]


ALL_STYLES = [
    ("Call-Info", "<sip:localhost>;answer-after=0"),
    ("Alert-Info", "<http://localhost>;info=alert-autoanswer;delay=0"),
    ("Answer-Mode", "Auto"),
]


def tones(world: World) -> list[tuple[int, Tone]]:
    """What was mixed with what a stream hears, and to which one."""
    return [
        (play.stream, each)
        for play in world.media.asked(Play)
        if play.over
        for each in play.sources
        if isinstance(each, Tone)
    ]


class Intercoms:
    """Ann calls Ben by `*80102`."""

    def __init__(self, **sections: Any) -> None:
        configured = {"feature_codes": {"intercom": "*80"}, "extensions": OFFICE} | sections
        self.world = World(settings(**configured))
        self.ann, self.ben, self.cyd = (self.world.phone(number) for number in ("101", "102", "103"))

    def dial(self, seconds: float = 0.5) -> None:
        self.ann.dial("*80102")
        self.world.run(seconds)


def test_an_intercom_call_is_talked_on_and_both_hear_that_it_begins() -> None:
    office = Intercoms()
    office.dial()
    assert asked_to_answer(office.ben) == ALL_STYLES
    office.ben.answer()
    office.world.run(0.5)
    ann, ben = office.world.legs()
    assert office.world.media.hearing() == {ann: {ben}, ben: {ann}}
    assert sorted(tones(office.world), key=lambda each: each[0]) == [(ann, Tone("beep")), (ben, Tone("beep"))]
    office.ann.do(office.ann.called_session().hangup)
    [record] = office.world.assert_over()
    assert (record.dialled, record.destination, record.cause) == ("*80102", "102", 16)


@pytest.mark.parametrize(
    ("style", "headers"),
    [
        ("call-info", ALL_STYLES[:1]),
        ("alert-info", ALL_STYLES[1:2]),
        ("answer-mode", ALL_STYLES[2:]),
        ("ring-answer", [("Alert-Info", "Ring Answer")]),
    ],
)
def test_styles(style: str, headers: list[tuple[str, str]]) -> None:
    office = Intercoms(extensions={**OFFICE, "102": {"groups": ["office"], "auto_answer": style}})
    office.dial()
    assert asked_to_answer(office.ben) == headers
    office.ben.refuse(486)
    office.cyd.dial("102")
    office.world.run(0.3)
    assert asked_to_answer(office.ben) == []
    office.ben.refuse(486)
    office.world.assert_over(2)


@pytest.mark.parametrize(
    ("mine", "theirs", "allowed"),
    [
        ({}, {}, False),
        ({"groups": ["a"]}, {"groups": ["b"]}, False),
        ({"groups": ["a"], "may_intercom": "none"}, {"groups": ["a"]}, False),
        ({"may_intercom": "all"}, {}, True),
        ({"groups": ["a", "b"]}, {"groups": ["b"]}, True),
    ],
)
def test_permission(mine: dict[str, Any], theirs: dict[str, Any], allowed: bool) -> None:
    office = Intercoms(extensions={"101": mine, "102": theirs})
    office.dial()
    assert len(office.ben.got("INVITE")) == allowed
    if allowed:
        office.ben.refuse(486)
    else:
        failed = office.ann.last(SessionFailed)
        assert failed.status == 403
    office.world.assert_over()


@pytest.mark.parametrize("kind", ["always", "busy", "no_answer", "unavailable"])
def test_an_intercom_call_is_never_forwarded(kind: str) -> None:
    office = Intercoms(
        extensions={
            **OFFICE,
            "102": {"groups": ["office"], "forward": {kind: "103"}, "find_me": ["103"], "ring_timeout": 5},
        }
    )
    office.dial()
    assert asked_to_answer(office.ben) == ALL_STYLES
    if kind == "busy":
        office.ben.refuse(486)
    elif kind == "unavailable":
        office.ben.refuse(503)
    else:
        office.ben.ring()
    office.world.run(31.0)
    assert not office.cyd.got("INVITE")
    assert office.ann.last(SessionFailed).status in (480, 486, 503)
    office.world.assert_over()


def test_a_302_of_an_intercom_call_is_not_followed() -> None:
    office = Intercoms()
    office.dial()
    office.ben.refuse(302, (("Contact", "<sip:103@192.0.2.1>"),))
    office.world.run(0.5)
    assert not office.cyd.got("INVITE")
    assert office.ann.last(SessionFailed).status == 480
    office.world.assert_over()


@pytest.mark.parametrize("why", ["in a call", "do not disturb"])
def test_who_is_busy_is_left_alone(why: str) -> None:
    more = {"do_not_disturb": True} if why == "do not disturb" else {"forward": {"busy": "104"}}
    office = Intercoms(extensions={**OFFICE, "102": {"groups": ["office"], **more}})
    if why == "in a call":
        office.ben.dial("103")
        office.world.run(0.3)
        office.cyd.answer()
        office.world.run(0.3)
    office.dial()
    assert not office.ben.got("INVITE")
    assert office.ann.last(SessionFailed).status == 486


def test_one_of_several_telephones_has_the_intercom_call() -> None:
    office = Intercoms()
    other = office.world.phone("102", "192.0.2.202")
    office.dial()
    office.ben.answer()
    other.answer()
    office.world.run(1.0)
    assert len(office.world.legs()) == 2
    assert not other.ua.sessions
    office.ann.do(office.ann.called_session().hangup)
    office.world.assert_over()


class Pages:
    """Ann pages the office by 500."""

    def __init__(self, group: dict[str, Any] | None = None, phones: int = 4, **sections: Any) -> None:
        configured: dict[str, Any] = {
            "routes": [{"to": "500", "page": "office"}],
            "paging": {"office": {"members": EVERYBODY} | (group or {})},
        } | sections
        self.world = World(settings(**configured))
        self.phones = [self.world.phone(number) for number in EVERYBODY[:phones]]
        self.ann, *self.others = self.phones
        self.legs: dict[int, str] = {}

    def dial(self, **more: Any) -> None:
        self.ann.dial("500", **more)
        self.world.run(0.3)

    def answer(self, *phones: Phone) -> None:
        for phone in phones or self.others:
            phone.answer()
        self.world.run(0.5)

    def hearing(self) -> dict[str, set[str]]:
        """Whom each hears, by number."""
        self.legs |= {leg.id: leg.endpoint for leg in self.world.runtime.legs.values()}
        heard = self.world.media.hearing()
        return {self.legs[leg]: {self.legs[each] for each in others} for leg, others in heard.items() if others}

    def hang_up(self, phone: Phone) -> None:
        phone.do(phone.called_session().hangup)
        self.world.run(0.5)

    def over(self, segments: tuple[str, ...] = ("route", "ring", "page")) -> Any:
        [record] = self.world.assert_over()
        [contact] = self.world.node.contacts
        assert tuple(segment.kind for segment in contact.segments) == segments
        return record


def test_who_is_paged_hears_the_pager_and_nobody_hears_them() -> None:
    office = Pages()
    office.dial()
    for phone in office.others:
        assert asked_to_answer(phone) == ALL_STYLES
    assert not office.ann.got("200 INVITE")
    office.answer(office.others[0])
    assert office.ann.of(SessionAnswered)
    assert office.hearing() == {"102": {"101"}}
    office.answer(*office.others[1:])
    assert office.hearing() == {"102": {"101"}, "103": {"101"}, "104": {"101"}}
    told = tones(office.world)
    assert [tone for _, tone in told] == [Tone("beep")] * 4
    assert [office.legs[stream] for stream, _ in told] == EVERYBODY
    office.hang_up(office.ann)
    assert all(phone.of(SessionEnded) for phone in office.others)
    record = office.over()
    assert (record.dialled, record.destination, record.cause, record.ended_by) == ("500", "office", 16, "caller")
    assert [leg.endpoint for leg in record.legs] == EVERYBODY


def test_two_way_they_hear_each_other() -> None:
    office = Pages({"mode": "two-way", "tone": "none"})
    office.dial()
    office.answer(office.others[0])
    assert office.hearing() == {"101": {"102"}, "102": {"101"}}
    office.answer(*office.others[1:])
    assert office.hearing() == {number: set(EVERYBODY) - {number} for number in EVERYBODY}
    assert tones(office.world) == []
    office.hang_up(office.others[0])
    office.hang_up(office.others[1])
    assert office.hearing() == {"101": {"104"}, "104": {"101"}}
    office.hang_up(office.ann)
    office.over()


def test_whoever_does_not_answer_in_time_is_let_go() -> None:
    office = Pages({"ring_time": 5, "tone": "confirmation"})
    ben, cyd, dan = office.others
    office.dial()
    ben.answer()
    cyd.ring()
    dan.refuse(486)
    office.world.run(4.0)
    assert not cyd.got("CANCEL")
    office.world.run(2.0)
    assert cyd.got("CANCEL")
    assert office.hearing() == {"102": {"101"}}
    assert tones(office.world)[0][1] == Tone("confirmation", seconds=1.0)
    office.hang_up(office.ann)
    record = office.over()
    assert {leg.endpoint: leg.cause for leg in record.legs}["104"] == 17


def test_a_page_ends_by_itself() -> None:
    office = Pages({"timeout": 20})
    office.dial()
    office.answer()
    office.world.run(18.0)
    assert not office.ann.of(SessionEnded)
    office.world.run(2.0)
    assert all(phone.of(SessionEnded) for phone in office.phones)
    assert office.over().ended_by == "switch"


def test_those_who_hang_up_leave_the_others_and_the_last_ends_it() -> None:
    office = Pages({"ring_time": 20})
    ben, cyd, dan = office.others
    office.dial()
    office.answer(ben)
    office.hang_up(ben)
    assert office.hearing() == {}
    assert not office.ann.of(SessionEnded)
    office.answer(cyd)
    assert office.hearing() == {"103": {"101"}}
    dan.refuse(480)
    office.hang_up(cyd)
    assert office.ann.of(SessionEnded)
    office.over()


@pytest.mark.parametrize("skip_busy", [True, False])
def test_who_is_busy_or_not_to_be_disturbed(skip_busy: bool) -> None:
    office = Pages({"skip_busy": skip_busy}, extensions={"104": {"do_not_disturb": True}})
    ben, cyd, dan = office.others
    gate = office.world.gateway("192.0.2.60")
    gate.dial("103")
    office.world.run(0.3)
    cyd.answer()
    office.world.run(0.3)
    office.dial()
    assert (len(ben.got("INVITE")), len(cyd.got("INVITE")), len(dan.got("INVITE"))) == (1, 1 if skip_busy else 2, 0)
    office.answer(ben)
    assert office.hearing()["102"] == {"101"}
    assert office.hearing()["103"] != {"101"}
    office.hang_up(office.ann)
    gate.do(gate.called_session().hangup)
    office.world.assert_over(2)


@pytest.mark.parametrize(
    ("refusals", "status"), [((486, 480, 603), 486), ((480, 480, 480), 480), ((302, 302, 302), 480), ((), 480)]
)
def test_nobody_takes_it(refusals: tuple[int, ...], status: int) -> None:
    office = Pages({"ring_time": 5})
    office.dial()
    assert [answer.status for answer in office.ann.got("180 INVITE")] == [180]
    for phone, refusal in zip(office.others, refusals, strict=False):
        phone.refuse(refusal, (("Contact", "<sip:101@192.0.2.1>"),))
    office.world.run(0.5 if refusals else 6.0)
    assert office.ann.last(SessionFailed).status == status
    office.over(("route", "ring"))


def test_nobody_is_there() -> None:
    office = Pages(phones=1)
    office.dial()
    assert office.ann.last(SessionFailed).status == 480
    office.over(("route", "ring"))


def test_the_pager_gives_up() -> None:
    office = Pages()
    office.dial()
    office.ann.do(office.ann.called_session().cancel)
    office.world.run(0.5)
    assert all(phone.got("CANCEL") for phone in office.others)
    office.over(("route", "ring"))


def test_one_of_several_telephones_hears_the_page() -> None:
    office = Pages()
    other = office.world.phone("102", "192.0.2.202")
    office.dial()
    office.answer(office.others[0], other, *office.others[1:])
    assert office.hearing() == {"102": {"101"}, "103": {"101"}, "104": {"101"}}
    assert len(office.world.legs()) == 4
    assert [len(phone.ua.sessions) for phone in (office.others[0], other)] == [1, 0]
    office.hang_up(office.ann)
    office.over()


def test_a_pager_without_an_offer_is_heard_from_its_ack_on() -> None:
    office = Pages()
    call = office.ann.dial("500", None)
    office.world.run(0.3)
    office.answer(*office.others[:2])
    assert office.ann.of(SessionAnswered)
    assert office.hearing() == {}
    office.ann.do(call.answer, office.ann.sdp())
    office.world.run(0.3)
    assert office.hearing() == {"102": {"101"}, "103": {"101"}}
    office.answer(office.others[2])
    office.hang_up(office.ann)
    office.over()


def test_those_who_answer_another_codec_hear_it_too() -> None:
    office = Pages(sip={}, extensions={"103": {"codecs": ["G722"]}})
    office.dial(offer=office.ann.sdp((PCMU,)))
    office.others[0].answer(office.others[0].sdp((PCMU,)))
    office.others[1].answer(office.others[1].sdp((G722,)))
    office.world.run(0.5)
    assert office.hearing() == {"102": {"101"}, "103": {"101"}}
    office.hang_up(office.ann)
    office.over()


def test_hold_of_the_pager_and_of_one_who_hears_concerns_nobody_else() -> None:
    office = Pages()
    ben = office.others[0]
    office.dial()
    office.answer()
    before = len(office.others[1].got("INVITE"))
    ben.do(ben.called_session().offer, ben.sdp(direction="sendonly"))
    office.world.run(0.3)
    assert office.hearing() == {"102": {"101"}, "103": {"101"}, "104": {"101"}}
    call = office.ann.called_session()
    office.ann.do(call.offer, office.ann.sdp(direction="sendonly"))
    office.world.run(0.3)
    assert office.hearing() == {}
    office.ann.do(call.offer, office.ann.sdp())
    office.world.run(0.3)
    assert office.hearing() == {"102": {"101"}, "103": {"101"}, "104": {"101"}}
    assert len(office.others[1].got("INVITE")) == before
    assert office.world.media.playing() == {}
    office.hang_up(office.ann)
    office.over()


def test_nobody_is_sent_on_from_a_page_or_comes_into_it() -> None:
    office = Pages(
        {"members": ["102", "103"]},
        extensions={"104": {"supervises": ["office"]}, "102": {"groups": ["office"]}},
        feature_codes={"listen": "*31", "pick_up": "**"},
    )
    office.dial()
    dan = office.others[2]
    dan.dial("**102")
    office.world.run(0.3)
    assert dan.last(SessionFailed).status == 480
    office.answer(office.others[0])
    [contact] = office.world.runtime.calls
    for command in (Transfer(contact, "101", "104"), Consult(contact, "102", "104"), Park(contact, "101", "")):
        with pytest.raises(TransferRefused):
            office.world.runtime.command(command, office.world.now)
    dan.dial("*31102")
    office.world.run(0.3)
    assert dan.last(SessionFailed).status == 480
    assert office.hearing() == {"102": {"101"}}
    office.hang_up(office.ann)
    office.world.assert_over(3)


def test_nobody_is_transferred_into_a_page() -> None:
    office = Pages()
    ben = office.others[0]
    office.world.establish(office.ann, ben)
    [contact] = office.world.runtime.calls
    office.world.runtime.command(Transfer(contact, "102", "500"), office.world.now)
    office.world.run(0.5)
    assert not office.others[1].got("INVITE")
    assert office.hearing() == {"101": {"102"}, "102": {"101"}}
    office.hang_up(office.ann)
    office.world.assert_over()


@pytest.mark.parametrize("mode", ["one-way", "two-way"])
def test_a_page_is_recorded_where_the_pager_is(mode: str) -> None:
    """Of those who are paged only who can be heard."""
    office = Pages({"mode": mode}, extensions={"101": {"record": "always"}})
    office.dial()
    office.answer()
    office.hearing()  # names the legs
    [begun] = office.world.media.asked(StartRecording)
    last = [begun, *office.world.media.asked(SetRecordingChannels)][-1]
    sides = sorted((office.legs[leg], channel) for leg, channel in last.channels)
    paged = [(number, 1) for number in EVERYBODY[1:]]
    assert sides == [("101", 0), *(paged if mode == "two-way" else [])]
    office.hang_up(office.ann)
    office.over()


def test_a_trunk_may_page_where_its_context_says_so() -> None:
    office = Pages()
    gate = office.world.gateway("192.0.2.60")
    gate.dial("500")
    office.world.run(0.3)
    for phone in office.phones:
        phone.answer()
    office.world.run(0.5)
    assert {who for who, others in office.hearing().items() if others} == set(EVERYBODY)
    gate.do(gate.called_session().hangup)
    office.over()


def test_a_stream_that_fails_takes_nobody_along() -> None:
    office = Pages()
    office.dial()
    office.answer()
    legs = {leg.endpoint: leg.id for leg in office.world.runtime.legs.values()}
    office.world.silence(legs["102"], 60.0)
    office.world.run(0.5)
    assert office.others[0].of(SessionEnded)
    assert office.hearing() == {"103": {"101"}, "104": {"101"}}
    office.world.silence(legs["101"], 60.0)
    office.world.run(0.5)
    assert office.ann.of(SessionEnded)
    office.over()


def test_paging_equipment_that_only_sends_does_not_hold() -> None:
    office = Pages()
    office.dial(offer=office.ann.sdp(direction="sendonly"))
    office.answer()
    assert b"a=recvonly" in office.ann.got("200 INVITE")[-1].body
    assert office.hearing() == {"102": {"101"}, "103": {"101"}, "104": {"101"}}
    office.hang_up(office.ann)
    office.over()


def test_a_forward_may_lead_to_a_page() -> None:
    office = Pages(extensions={"102": {"forward": {"always": "500"}}})
    gate = office.world.gateway("192.0.2.60")
    gate.dial("102")
    office.world.run(0.3)
    office.answer(*office.phones)
    gate.do(gate.called_session().hangup)
    record = office.over()
    assert (record.dialled, record.destination, record.diverted) == ("102", "office", "102 unconditional")


@pytest.mark.parametrize("offerless", [False, True])
def test_a_telephone_that_only_sends_another_codec_to_the_pager(offerless: bool) -> None:
    """What is relayed and never mixed can't be paged with: 488, and nobody is called."""
    office = Pages(extensions={"101": {"codecs": ["G729"]}})
    office.dial(offer=None if offerless else office.ann.sdp(("18 G729/8000",)))
    assert office.ann.last(SessionFailed).status == 488
    assert not office.others[0].got("INVITE")
    office.over(("route",))


def test_a_large_office_is_called_whole_before_second_telephones() -> None:
    numbers = [str(number) for number in range(110, 150)]
    world = World(
        settings(
            routes=[{"to": "500", "page": "all"}],
            paging={"all": {"members": numbers}},
            extensions={number: {} for number in numbers},
        )
    )
    ann = world.phone("101")
    first = [world.phone(number) for number in numbers]
    second = [world.phone(number, f"198.51.100.{number}") for number in numbers]
    ann.dial("500")
    world.run(0.5)
    assert all(phone.got("INVITE") for phone in first) != all(phone.got("INVITE") for phone in second)
    called = [phone for phone in first + second if phone.got("INVITE")]
    assert len(called) == MAX_LEGS_AT_ONCE
    assert {phone.number for phone in called} == set(numbers)
    for phone in {phone.number: phone for phone in called}.values():
        phone.answer()
    world.run(1.0)
    room = world.media.asked(SetRoom)[-1]
    assert (len(room.members), len(room.gains), room.gain) == (41, 40, 0.0)
    [pager] = {mouth for _, mouth, _ in room.gains}
    heard = world.media.hearing()
    assert all(others == {pager} for leg, others in heard.items() if leg != pager)
    assert heard[pager] == set()
    ann.do(ann.called_session().hangup)
    world.assert_over()


def test_codes_that_are_dialled_in_a_page_do_nothing() -> None:
    office = Pages({"ring_time": 30}, feature_codes={"in_call": {"blind_transfer": "##", "park": "#7"}})
    office.dial()
    office.answer(*office.others[:2])
    heard = office.hearing()
    legs = {leg.endpoint: leg.id for leg in office.world.runtime.legs.values()}
    for who in ("101", "102"):
        for digit in "##104##7":
            office.world.media.events.append(Digit(legs[who], digit, 100, "rfc4733"))
            office.world.link.settle()
    assert office.hearing() == heard == {"102": {"101"}, "103": {"101"}}
    assert office.world.media.playing() == {}
    office.hang_up(office.ann)
    office.over()


def test_a_late_offer_of_a_pager_that_wants_reliable_answers() -> None:
    office = Pages(extensions={"101": {"reliable_provisional": "required"}})
    call = office.ann.dial("500", None)
    office.world.run(0.5)
    office.answer(*office.others[:2])
    office.ann.do(call.answer, office.ann.sdp())
    office.world.run(1.0)
    assert office.hearing() == {"102": {"101"}, "103": {"101"}}
    office.hang_up(office.ann)
    office.over()

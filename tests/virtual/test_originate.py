"""Calls that the switch itself begins, on the whole switch."""

from __future__ import annotations

import pytest

from media.audio_commands import Music, Play, Tone
from sip.ua_events import Offered, SessionEnded
from softswitch.causes import Cause
from softswitch.dialplan.decision import Announce, Dial, ExtensionTarget
from softswitch.originate import OriginateRefused, Origination
from tests.virtual.network import EVENTS, G722, PCMA, PCMU, Phone, World, settings

CALLBACK = Dial((ExtensionTarget("102"),))


class Desk:
    """Phones 101 and 102; 101 is called and then connected to 102 (click to call)."""

    def __init__(self, then: Dial | Announce = CALLBACK, number: str = "101", **more: object) -> None:
        self.world = World(settings(**more))
        self.ann, self.ben = self.world.phone("101"), self.world.phone("102")
        self.told: list[tuple[bool, str]] = []
        self.contact = self.world.runtime.originate(
            Origination(
                number=number,
                extension="101",
                then=then,
                told=lambda leg, why, now: self.told.append((bool(leg), why)),
            ),
            self.world.now,
        )
        self.world.run(0.2)

    def answer(self, phone: Phone, *formats: str) -> None:
        phone.ring()
        self.world.run(0.2)
        phone.answer(phone.sdp(formats or (PCMA, PCMU, EVENTS)))
        self.world.run(0.5)

    def sources(self) -> list[object]:
        return [source for play in self.world.media.asked(Play) for source in play.sources]  # type: ignore[union-attr]


def test_the_one_who_is_called_first_hears_the_other_being_called() -> None:
    desk = Desk()
    desk.answer(desk.ann)
    assert desk.told == [(True, "")]
    assert desk.sources() == [Music("default")]
    desk.ben.ring()
    desk.world.run(0.2)
    assert desk.sources()[-1] == Tone("ringback")
    desk.ben.answer()
    desk.world.run(0.5)
    a, b = desk.world.legs()
    assert desk.world.media.bridges == {a: b, b: a}
    desk.ben.do(desk.ben.called().hangup)
    desk.world.run(0.5)
    assert desk.ann.of(SessionEnded)
    [record] = desk.world.assert_over(1)
    assert (record.caller_number, record.destination, record.cause) == ("101", "102", Cause.NORMAL_CLEARING)
    assert [leg.direction for leg in record.legs] == ["out", "out"]
    assert desk.told == [(True, "")]


def test_codecs_that_do_not_go_together_are_offered_anew() -> None:
    desk = Desk()
    desk.answer(desk.ann, PCMA, PCMU, EVENTS)
    desk.answer(desk.ben, PCMU, EVENTS)
    offered = desk.ann.of(Offered)
    assert offered
    desk.ann.do(offered[-1].session.answer, desk.ann.sdp((PCMU, EVENTS)))
    desk.world.run(0.5)
    assert len(desk.world.media.bridges) == 2
    desk.ann.do(desk.ann.called().hangup)
    desk.world.assert_over(1)


@pytest.mark.parametrize("status", [486, 404, 603])
def test_nobody_takes_the_first_call(status: int) -> None:
    desk = Desk()
    desk.ann.refuse(status)
    desk.world.run(0.5)
    assert [reached for reached, _ in desk.told] == [False]
    assert desk.told[0][1]
    [record] = desk.world.assert_over(1)
    assert record.answered is None


def test_nobody_takes_the_second_call() -> None:
    desk = Desk()
    desk.answer(desk.ann)
    desk.ben.refuse(486)
    desk.world.run(0.5)
    assert desk.ann.of(SessionEnded)
    [record] = desk.world.assert_over(1)
    assert record.cause == Cause.USER_BUSY


def test_it_does_not_answer_in_time() -> None:
    desk = Desk()
    desk.ann.ring()
    desk.world.run(40.0)
    assert desk.told == [(False, "no answer")]
    desk.world.assert_over(1)


@pytest.mark.parametrize("number", ["*43", "777"])
def test_numbers_that_are_no_telephone(number: str) -> None:
    desk = Desk(number=number)
    assert [reached for reached, _ in desk.told] == [False]
    desk.world.run(40.0)
    assert desk.world.node.leftovers() == {}
    [record] = desk.world.records
    assert (record.answered, record.legs) == (None, ())


def test_an_announcement_to_whoever_answers() -> None:
    desk = Desk(Announce((Tone("beep"),)))
    desk.answer(desk.ann, G722, EVENTS)
    assert desk.sources()[0] == Tone("beep")
    desk.ann.do(desk.ann.called().hangup)
    [record] = desk.world.assert_over(1)
    assert record.destination == "announcement"


def test_a_gateway_that_fails_is_followed_by_the_next() -> None:
    world = World(settings(extensions={"101": {"may_call": ["international"]}}))
    first, second = world.gateway("192.0.2.51"), world.gateway("192.0.2.52")
    told: list[bool] = []
    wanted = Origination(
        number="0030123456",
        extension="101",
        then=Announce((Tone("beep"),)),
        told=lambda leg, why, now: told.append(bool(leg)),
    )
    world.runtime.originate(wanted, world.now)
    world.run(0.2)
    first.refuse(503)
    world.run(0.5)
    second.ring(183, second.sdp())
    world.run(0.2)
    second.answer()
    world.run(0.3)
    assert told == [True]
    second.do(second.called().hangup)
    world.assert_over(1)


def test_what_can_not_be_begun_is_refused() -> None:
    world = World(settings())
    wanted = Origination(number="101", extension="999", then=CALLBACK, told=lambda leg, why, now: None)
    with pytest.raises(OriginateRefused, match="no extension '999'"):
        world.runtime.originate(wanted, world.now)
    world.runtime.draining = True
    with pytest.raises(OriginateRefused, match="shutting down"):
        world.runtime.originate(wanted, world.now)
    assert world.node.leftovers() == {}

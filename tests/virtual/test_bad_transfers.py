"""Transfers that go wrong: asked for twice or too late, in circles, by or to telephones that vanish in mid-transfer.
In the end nothing is left: no leg, no subscription, no reference that waits."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Music
from sip.invite import State
from sip.ua import UaSettings
from sip.ua_events import ReferAnswered, SessionArrived
from softswitch.call_commands import Consult
from softswitch.contact import MAX_LEGS_KEPT
from tests.virtual.network import Phone, World, settings
from tests.virtual.test_transfer import Office, ended

REFERRING = UaSettings(refer=True)


def vanish(world: World, phone: Phone) -> None:
    """Nothing comes through to it or from it any more, and what is on its way is lost."""
    del world.link.nodes[phone.host]


def nothing_is_left(world: World, calls: int = 1) -> None:
    world.assert_over(calls)
    assert not len(world.runtime.referrals)
    assert not len(world.node.ua.usages)


class Offices(Office):
    """With Dan, who has number 104."""

    def __init__(self, way: str = "refer", **configured: Any) -> None:
        super().__init__(way, **configured)
        self.dan = self.world.phone("104")

    def invitations(self, phone: Phone) -> int:
        return len(phone.of(SessionArrived))


# ---- twice, too early, too late --------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["103", "104"])
def test_refer_twice_at_once(number: str) -> None:
    """Only the first counts, and is told how it ends; be the second one the same over again."""
    office = Offices()
    session = office.ben.called_session()
    office.ben.do(session.refer, "<sip:103@192.0.2.1>", None)
    office.ben.do(session.refer, f"<sip:{number}@192.0.2.1>", None)
    office.world.run(0.3)
    assert [event.status for event in office.ben.of(ReferAnswered)] == [202, 403]
    assert office.invitations(office.cyd) == 1
    assert office.invitations(office.dan) == 0
    office.cyd.answer()
    office.world.run(0.5)
    assert office.told("102")[-1] == 200
    office.hang_up(office.cyd)
    nothing_is_left(office.world)


def test_both_sides_refer_at_once() -> None:
    """Whoever comes first is obeyed; the other one is about to be sent on itself."""
    office = Offices()
    office.ann.do(office.ann.called_session().refer, "<sip:103@192.0.2.1>", None)
    office.ben.do(office.ben.called_session().refer, "<sip:104@192.0.2.1>", None)
    office.world.run(0.3)
    assert office.told("101") == [202]
    assert office.told("102") == [403]
    assert office.invitations(office.dan) == 0
    office.cyd.answer()
    office.world.run(0.5)
    assert office.told("101") == [202, 200]
    office.hang_up(office.cyd)
    nothing_is_left(office.world)


def test_a_refer_to_a_dialog_does_not_take_the_place_of_one_to_a_number() -> None:
    """The one that waits is told how it ends, whatever else is asked for meanwhile."""
    office = Offices()
    office.transfer("102", "103")
    office.ben.do(office.ben.called_session().refer, "<sip:104@192.0.2.1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>", None)
    office.world.run(0.3)
    assert office.told("102") == [202, 491]
    office.cyd.answer()
    office.world.run(0.5)
    assert office.told("102") == [202, 491, 200]
    office.hang_up(office.cyd)
    nothing_is_left(office.world)


@pytest.mark.parametrize("by", ["caller", "called"])
def test_refer_while_it_rings(by: str) -> None:
    """RFC 3515 2.4.2 lets it come in any dialog; there is nobody yet who could be sent on."""
    world = World(settings())
    ann, ben, cyd = (world.phone(number, agent=REFERRING) for number in ("101", "102", "103"))
    session = ann.dial("102")
    world.run(0.2)
    ben.ring()
    world.run(0.2)
    phone, sends = (ann, session) if by == "caller" else (ben, ben.called())
    # A user agent that does not wait for the answer.
    before, sends.state = sends.state, State.CONFIRMED
    phone.do(sends.refer, "<sip:103@192.0.2.1>", None)
    sends.state = before
    world.run(0.2)
    assert [event.status for event in phone.of(ReferAnswered)] == [403]
    assert not cyd.of(SessionArrived)
    ben.answer()
    world.run(0.5)
    assert len(world.media.bridges) == 2
    ann.do(session.hangup)
    nothing_is_left(world)


def test_refer_after_the_customer_has_hung_up() -> None:
    """Both are on their way at once: RFC 3261 12.2.2, the dialog is gone."""
    office = Offices()
    ben = office.ben.called_session()
    office.ann.do(office.ann.called_session().hangup)
    office.ben.do(ben.refer, "<sip:103@192.0.2.1>", None)
    office.world.run(0.5)
    assert office.told("102") == [481]
    assert office.invitations(office.cyd) == 0
    nothing_is_left(office.world)


# ---- circles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [True, False])
def test_the_target_is_forwarded_back_to_the_transferor(answers: bool) -> None:
    """Its telephone rings a second time, which it may take or not."""
    office = Offices(extensions={"103": {"forward": {"always": "102"}}})
    first = office.ben.called_session()
    office.transfer("102", "103")
    assert office.invitations(office.ben) == 2
    if answers:
        office.ben.answer()
        office.world.run(0.5)
        assert first.over
        assert office.told("102") == [202, 200]
    else:
        office.ben.refuse(486)
        office.world.run(0.5)
        assert not first.over
        assert office.told("102") == [202, 486]
    assert len(office.joined()) == 2
    office.hang_up(office.ann)
    nothing_is_left(office.world)


@pytest.mark.parametrize("forwards", [{"103": "103"}, {"103": "104", "104": "103"}])
def test_the_target_is_forwarded_in_a_circle(forwards: dict[str, str]) -> None:
    office = Offices(extensions={number: {"forward": {"always": to}} for number, to in forwards.items()})
    office.transfer("102", "103")
    assert office.told("102") == [202, 482]
    assert office.is_as_it_was()
    office.hang_up(office.ann)
    nothing_is_left(office.world)


def test_a_302_back_to_the_transferor() -> None:
    office = Offices()
    first = office.ben.called_session()
    office.transfer("102", "103")
    office.cyd.refuse(302, (("Contact", "<sip:102@192.0.2.1>"),))
    office.world.run(0.3)
    assert office.invitations(office.ben) == 2
    office.ben.refuse(486)
    office.world.run(0.3)
    assert not first.over
    assert office.joined() == {office.leg_ann: office.leg_ben, office.leg_ben: office.leg_ann}
    office.hang_up(office.ann)
    nothing_is_left(office.world)


def test_three_telephones_send_the_caller_round_in_circles() -> None:
    """Fifty times: what is kept of the call has its bound, and each transferor is let go."""
    world = World(settings())
    ann, *round_about = (world.phone(number, agent=REFERRING) for number in ("101", "102", "103", "104"))
    world.establish(ann, round_about[0])
    [contact] = world.runtime.calls
    for turn in range(50):
        by, to = round_about[turn % 3], round_about[(turn + 1) % 3]
        by.do(by.called_session().refer, f"<sip:{to.number}@192.0.2.1>", None)
        world.run(0.2)
        to.answer()
        world.run(0.5)
        assert not by.ua.sessions
        assert len(world.media.bridges) == len(world.runtime.legs) == 2
    assert list(world.runtime.calls) == [contact]
    assert not ended(ann)
    assert world.runtime.counters["transfers"] == 50
    ann.do(ann.called_session().hangup)
    nothing_is_left(world)
    assert len(world.node.contacts[0].legs) <= MAX_LEGS_KEPT


# ---- telephones that vanish ------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("noticed", [True, False])
def test_the_transferor_vanishes(noticed: bool, answers: bool) -> None:
    """No NOTIFY and no BYE is answered. `noticed`: its RTP was missed before the third says anything. Where nobody
    takes the caller, who is back with a dead telephone, that is hung up for its silence, as any call."""
    office = Offices(transfers={"recall": False})
    office.transfer("102", "103")
    vanish(office.world, office.ben)
    office.cyd.ring()
    office.world.run(1.0)
    if noticed:
        office.world.silence(office.leg_ben, 60.0)
    office.world.run(1.0)
    if answers:
        office.cyd.answer()
        office.world.run(0.5)
        assert office.leg_ann in office.joined()
        office.world.run(40.0)
        assert len(office.world.runtime.legs) == 2
        assert not len(office.world.node.ua.usages)
        office.hang_up(office.ann)
    else:
        office.cyd.refuse(486)
        office.world.run(0.5)
        assert ended(office.ann) == noticed
        if not noticed:
            office.world.silence(office.leg_ben, 60.0)
    office.world.run(40.0)
    assert ended(office.ann)
    nothing_is_left(office.world)


def test_a_transferor_that_vanishes_is_rung_no_longer_than_any_telephone() -> None:
    """Nobody takes the caller, the transferor is dead, and its number is rung again, in vain, then the fallback."""
    office = Offices(transfers={"fallback": "104"}, extensions={"102": {"ring_timeout": 5}})
    office.transfer("102", "103")
    vanish(office.world, office.ben)
    office.world.silence(office.leg_ben, 60.0)
    office.cyd.refuse(486)
    office.world.run(6.0)
    assert office.invitations(office.dan) == 1
    office.dan.answer()
    office.world.run(0.5)
    assert office.leg_ann in office.joined()
    office.world.run(40.0)
    office.hang_up(office.ann)
    nothing_is_left(office.world)


def test_the_third_vanishes_right_after_its_200() -> None:
    """No ACK comes through to it: the call stands for all that the switch can know, until the third is missed."""
    office = Offices()
    office.transfer("102", "103")
    office.cyd.ring()
    office.world.run(0.2)
    office.cyd.answer()
    vanish(office.world, office.cyd)
    office.world.run(0.5)
    assert office.told("102") == [202, 180, 200]
    assert ended(office.ben)
    [third] = [leg for leg in office.world.legs() if leg != office.leg_ann]
    office.world.run(60.0)
    office.world.silence(third, 60.0)
    office.world.run(0.5)
    assert ended(office.ann)
    nothing_is_left(office.world)


def test_the_third_vanishes_while_it_rings() -> None:
    office = Offices(extensions={"103": {"ring_timeout": 5}})
    office.transfer("102", "103")
    office.cyd.ring()
    office.world.run(0.2)
    vanish(office.world, office.cyd)
    office.world.run(6.0)
    assert office.is_as_it_was()
    office.hang_up(office.ann)
    nothing_is_left(office.world)


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
def test_the_caller_vanishes(when: str) -> None:
    """Before the REFER, while the third rings, and after it has answered: missed by its RTP each time."""
    office = Offices()
    if when == "before":
        vanish(office.world, office.ann)
    office.transfer("102", "103")
    office.cyd.ring()
    office.world.run(0.2)
    if when == "meanwhile":
        vanish(office.world, office.ann)
    if when == "after":
        office.cyd.answer()
        office.world.run(0.5)
        vanish(office.world, office.ann)
    office.world.silence(office.leg_ann, 60.0)
    office.world.run(0.5)
    assert not office.cyd.ua.sessions
    assert not office.ben.ua.sessions
    assert office.told("102") == [202, 180, 200 if when == "after" else 487]
    nothing_is_left(office.world)


def test_all_vanish() -> None:
    office = Offices()
    office.transfer("102", "103")
    for phone in (office.ann, office.ben, office.cyd):
        vanish(office.world, phone)
    office.world.silence(office.leg_ann, 60.0)
    nothing_is_left(office.world)


# ---- with two calls, and in a consultation ---------------------------------------------------------------


def test_the_transferor_of_two_calls_vanishes_after_its_refer() -> None:
    """It is not needed: both are joined at once, and neither NOTIFY nor BYE is ever answered."""
    office = Offices()
    first = office.ben.called_session()
    office.world.establish(office.ben, office.cyd)
    [second] = [each for each in office.ben.ua.sessions.values() if each is not first]
    call_id, local_tag, remote_tag = second.dialog.id
    replaces = f"{call_id}%3Bto-tag%3D{remote_tag}%3Bfrom-tag%3D{local_tag}".replace("@", "%40")
    office.ben.do(first.refer, f"<sip:103@192.0.2.1?Replaces={replaces}>", None)
    vanish(office.world, office.ben)
    office.world.run(1.0)
    assert len(office.joined()) == 2
    assert not ended(office.ann)
    assert not ended(office.cyd)
    office.world.run(40.0)
    assert len(office.world.runtime.legs) == 2
    assert not len(office.world.node.ua.usages)
    office.hang_up(office.ann)
    nothing_is_left(office.world, 2)


@pytest.mark.parametrize("answered", [True, False])
def test_the_consulter_vanishes(answered: bool) -> None:
    """As if it had hung up: the customer is left to whom was consulted."""
    office = Offices()
    [contact] = office.world.runtime.calls
    office.world.runtime.command(Consult(contact, "102", "103"), office.world.now)
    office.world.run(0.3)
    office.cyd.ring()
    office.world.run(0.2)
    if answered:
        office.cyd.answer()
        office.world.run(0.5)
    vanish(office.world, office.ben)
    office.world.silence(office.leg_ben, 60.0)
    office.world.run(0.5)
    assert not ended(office.ann)
    if not answered:
        office.cyd.answer()
        office.world.run(0.5)
    [third] = [leg for leg in office.joined() if leg != office.leg_ann]
    assert office.joined() == {office.leg_ann: third, third: office.leg_ann}
    office.world.run(40.0)
    office.hang_up(office.ann)
    nothing_is_left(office.world)


def test_the_consulted_vanishes() -> None:
    """The consulter is back with the customer."""
    office = Offices()
    [contact] = office.world.runtime.calls
    office.world.runtime.command(Consult(contact, "102", "103"), office.world.now)
    office.world.run(0.3)
    office.cyd.answer()
    office.world.run(0.5)
    assert office.playing() == {office.leg_ann: Music("default")}
    [third] = [leg for leg in office.joined() if leg != office.leg_ben]
    vanish(office.world, office.cyd)
    office.world.silence(third, 60.0)
    office.world.run(0.5)
    assert office.is_as_it_was()
    office.world.run(40.0)
    office.hang_up(office.ann)
    nothing_is_left(office.world)

"""Who is told that a call is a transfer (RFC 3892), trunks that are asked to do one themselves (RFC 3515), and calls that
are begun by a REFER outside any call, on the whole switch."""

from __future__ import annotations

from typing import Any

import pytest

from sip.ua import UaSettings
from tests.virtual.network import Phone, World, settings

AGENT = UaSettings(refer=True)


def referred_by(phone: Phone) -> list[str]:
    return [str(value) for value in phone.invited().values("Referred-By")]


# ---- Referred-By ----------------------------------------------------------------------------------------


def in_a_call(**configured: Any) -> tuple[World, Phone, Phone]:
    """101 has called 102; both are telephones that may send REFER."""
    world = World(settings(**configured))
    ann, ben = world.phone("101", agent=AGENT), world.phone("102", agent=AGENT)
    world.establish(ann, ben)
    return world, ann, ben


@pytest.mark.parametrize("by", ["caller", "called"])
def test_rfc3892_a_telephone_is_told_who_has_sent_the_caller(by: str) -> None:
    """Whatever the transferor's telephone says of itself: another's number would be believed."""
    world, ann, ben = in_a_call()
    assert referred_by(ben) == []  # no transfer
    cyd = world.phone("103")
    transferor = ann if by == "caller" else ben
    claim = '"The director" <sip:100@192.0.2.1>'
    transferor.do(transferor.called_session().refer, "<sip:103@192.0.2.1>", claim)
    world.run(0.3)
    assert referred_by(cyd) == [f"<sip:{transferor.number}@192.0.2.1>"]
    cyd.answer()
    world.run(0.5)
    cyd.do(cyd.called_session().hangup)
    world.assert_over()


@pytest.mark.parametrize("told", [True, False])
def test_a_trunk_is_told_where_it_is_set_so(told: bool) -> None:
    """The number is the one that the trunk is shown of the extension."""
    world, _, ben = in_a_call(
        trunks={"north": {"referred_by": told}}, extensions={"102": {"caller_id": {"number": "030100102"}}}
    )
    north = world.gateway("192.0.2.51")
    ben.do(ben.called_session().refer, "<sip:00171@192.0.2.1>", "<sip:100@192.0.2.1>")
    world.run(0.3)
    assert referred_by(north) == (["<sip:030100102@192.0.2.51>"] if told else [])
    north.answer()
    world.run(0.5)
    north.do(north.called_session().hangup)
    world.assert_over()


def test_whom_the_transferor_has_not_asked_for_is_told_nothing() -> None:
    """Its own telephone, which rings again, and the fallback."""
    world, ann, ben = in_a_call(transfers={"fallback": "104"})
    dan = world.phone("104")
    ben.do(ben.called_session().refer, "<sip:103@192.0.2.1>", None)
    world.run(0.3)
    ben.do(ben.called_session().refer, "<sip:104@192.0.2.1>", None)
    world.run(0.3)
    assert referred_by(dan) == ["<sip:102@192.0.2.1>"]
    ben.do(ben.called_session().hangup)
    dan.refuse(486)
    world.run(0.3)
    assert referred_by(ben) == []
    ben.refuse(486)
    world.run(0.3)
    assert referred_by(dan) == []
    dan.answer()
    world.run(0.5)
    ann.do(ann.called_session().hangup)
    world.assert_over()


def test_a_consultation_that_is_left_while_it_rings_is_a_transfer_from_then_on() -> None:
    """The second gateway is told what the first one, called on behalf of the consulter, was not."""
    world, ann, ben = in_a_call(trunks={"north": {"referred_by": True}})
    first, second = world.gateway("192.0.2.51"), world.gateway("192.0.2.52")
    [active] = world.runtime.calls.values()
    leg = active.call.leg_of("102")
    assert leg is not None
    world.runtime.carry_out(active, active.call.consult(leg, "00171", world.now), world.now)
    world.run(0.2)
    assert referred_by(first) == []
    world.runtime.carry_out(active, active.call.complete(leg, world.now), world.now)
    world.run(0.2)
    first.refuse(503)
    world.run(0.3)
    assert referred_by(second) == ["<sip:102@192.0.2.52>"]
    second.answer()
    world.run(0.5)
    assert ben.ua.sessions == {}
    ann.do(ann.called_session().hangup)
    world.assert_over()

"""Basic sessions: RFC 3261 13, 15 from INVITE to BYE, and what is on the wire."""

from __future__ import annotations

from virtual_link import ANSWER, OFFER, Link

from sip.invite import State
from sip.ua_events import SessionAnswered, SessionArrived, SessionEnded


def test_call_and_bye() -> None:
    """RFC 3261 4, 13, 15: INVITE 180 200 ACK BYE 200."""
    link = Link()
    alice, bob = link.node("192.0.2.1"), link.node("192.0.2.2")
    caller = alice.call(bob)
    link.run(0.1)
    callee = bob.session()
    (arrived,) = bob.of(SessionArrived)
    assert arrived.session is callee
    assert callee.remote_offer == OFFER
    bob.do(callee.progress, 180, None)
    link.run(0.1)
    assert caller.state is State.EARLY
    bob.do(callee.accept, ANSWER)
    link.run(0.1)
    (answered,) = alice.of(SessionAnswered)
    assert answered.sdp == ANSWER
    assert caller.state is callee.state is State.CONFIRMED
    alice.do(caller.hangup, reason="Q.850;cause=16")
    link.run(0.1)
    assert link.said() == ["INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"]
    assert alice.kinds() == ["SessionProgress", "SessionAnswered", "SessionEnded"]
    assert bob.kinds() == ["SessionArrived", "SessionConfirmed", "SessionEnded"]
    assert bob.of(SessionEnded)[0].reason == "Q.850;cause=16"
    link.run(64)
    alice.assert_idle()
    bob.assert_idle()

"""Session timers (RFC 4028): negotiation as values, then refreshes and expiry over the virtual link."""

from __future__ import annotations

import pytest
from virtual_link import ANSWER, OFFER, Link, Node, answer_by_hand

from sip.errors import SipError
from sip.invite import InviteSession, State
from sip.message import Request, Response
from sip.session_timer import Settled, TooBrief, asked, header, min_se, settle_as_uac, settle_as_uas
from sip.ua import UaSettings
from sip.ua_events import SessionEnded, SessionFailed

NO_UPDATE = ("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "INFO", "OPTIONS")


def invite(**headers: str) -> Request:
    return Request("INVITE", "sip:x@y", [(name.replace("_", "-"), value) for name, value in headers.items()])


@pytest.mark.parametrize(
    ("headers", "wanted", "result"),
    [
        # RFC 4028 9, table 2: (UAC supports timer, refresher asked) -> refresher in the 2xx
        ({"Session_Expires": "1800"}, 1800, (Settled(1800, True), False)),
        ({"Session_Expires": "1800", "Supported": "timer"}, 1800, (Settled(1800, False), True)),
        ({"Session_Expires": "1800;refresher=uas", "Supported": "timer"}, 1800, (Settled(1800, True), False)),
        ({"Session_Expires": "1800;refresher=uac", "Supported": "timer"}, 1800, (Settled(1800, False), True)),
        # never longer than asked for, never shorter than its Min-SE
        ({"Session_Expires": "600", "Supported": "timer"}, 1800, (Settled(600, False), True)),
        ({"Session_Expires": "3600", "Supported": "timer"}, 1800, (Settled(1800, False), True)),
        ({"Session_Expires": "3600", "Min_SE": "2000", "Supported": "timer"}, 1800, (Settled(2000, False), True)),
        # going along only
        ({"Session_Expires": "3600", "Supported": "timer"}, 0, (Settled(3600, False), True)),
        ({}, 0, None),
        # the UAC asked for nothing: we refresh
        ({}, 1800, (Settled(1800, True), False)),
        ({"Supported": "timer"}, 1800, (Settled(1800, True), False)),
        # a UAC without timer can't be told 422: the floor holds (a proxy asked)
        ({"Session_Expires": "30"}, 1800, (Settled(90, True), False)),
    ],
)
def test_settle_as_uas(headers: dict[str, str], wanted: int, result: tuple[Settled, bool] | None) -> None:
    """RFC 4028 9."""
    assert settle_as_uas(invite(**headers), wanted, 90) == result


def test_too_brief() -> None:
    """RFC 4028 9: 422 with Min-SE to a UAC that supports timer."""
    with pytest.raises(TooBrief) as caught:
        settle_as_uas(invite(Session_Expires="60", Supported="timer"), 1800, 120)
    assert (caught.value.status, caught.value.min_se) == (422, 120)


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "99999999999"])
def test_malformed(value: str) -> None:
    with pytest.raises(SipError):
        asked(invite(Session_Expires=value))
    with pytest.raises(SipError):
        min_se(invite(Min_SE=value))


def test_settle_as_uac() -> None:
    """RFC 4028 7.2: the 2xx names the refresher; without the header the peer has no timer, and we refresh."""
    ok = Response(200, None, [("Session-Expires", "600;refresher=uas")])
    assert settle_as_uac(ok, 1800) == Settled(600, False)
    assert settle_as_uac(Response(200, None, [("Session-Expires", "600;refresher=uac")]), 1800) == Settled(600, True)
    assert settle_as_uac(Response(200), 1800) == Settled(1800, True)
    assert settle_as_uac(Response(200), 0) is None
    assert settle_as_uac(Response(200, None, [("Session-Expires", "nonsense")]), 0) is None


def test_deadlines_and_header() -> None:
    """RFC 4028 7.2 (half the interval), 10 (BYE before the end)."""
    assert Settled(1800, True).refresh_after == 900
    assert Settled(1800, False).expires_after == 1768
    assert Settled(90, False).expires_after == 60
    assert header(Settled(90, True), "uac") == "90;refresher=uac"
    assert header(Settled(90, False), "uac") == "90;refresher=uas"
    assert header(Settled(90, False), "uas") == "90;refresher=uac"


# --- over the link ---------------------------------------------------------------------------------------------------


def talking(
    alice_settings: UaSettings, bob_settings: UaSettings, headers: tuple[tuple[str, str], ...] = ()
) -> tuple[Link, Node, Node, InviteSession, InviteSession]:
    link = Link()
    alice, bob = link.node("192.0.2.1", alice_settings), link.node("192.0.2.2", bob_settings)
    caller = alice.call(bob, OFFER, headers)
    link.run(0.05)
    callee = bob.session()
    bob.do(callee.accept, ANSWER)
    link.run(0.1)
    assert caller.state is callee.state is State.CONFIRMED
    alice.take()
    bob.take()
    return link, alice, bob, caller, callee


def test_refresh_by_update_keeps_the_session_for_hours() -> None:
    """RFC 4028 7.4: UPDATE without an offer where the peer allows it, at half the interval; roles stay."""
    link, alice, bob, caller, callee = talking(UaSettings(session_expires=600), UaSettings(session_expires=600))
    ok = link.seen("200 INVITE")[0].message
    assert ok.get("Session-Expires") == "600;refresher=uac"
    assert "timer" in ok.required
    link.run(7200)
    updates = link.seen("UPDATE")
    assert {seen.sender for seen in updates} == {alice.host}
    assert 23 <= len(updates) <= 24
    assert {seen.message.body for seen in updates} == {b""}
    assert {seen.message.get("Session-Expires") for seen in updates} == {"600;refresher=uac"}
    assert alice.kinds() == bob.kinds() == []
    assert caller.state is callee.state is State.CONFIRMED


def test_refresh_by_reinvite_with_the_same_sdp() -> None:
    """RFC 4028 7.4: no UPDATE: a re-INVITE with the description as it was; no application hears of it."""
    plain = UaSettings(session_expires=600, allow=NO_UPDATE)
    link, alice, bob, _, _ = talking(plain, plain)
    link.run(1000)
    invites = link.seen("INVITE")
    assert len(invites) == 4
    assert {seen.message.body for seen in invites} == {OFFER}
    assert {seen.message.body for seen in link.seen("200 INVITE")} == {ANSWER}
    assert alice.kinds() == bob.kinds() == []


def test_callee_refreshes_for_a_caller_without_timer() -> None:
    """A peer that knows no session timer: we refresh, so that its silence is found out."""
    link, alice, bob, _, _ = talking(
        UaSettings(session_expires=0), UaSettings(session_expires=600), headers=(("Supported", "100rel"),)
    )
    ok = link.seen("200 INVITE")[0].message
    assert ok.get("Session-Expires") == "600;refresher=uas"
    assert "timer" not in ok.required
    link.run(400)
    assert {seen.sender for seen in link.seen("UPDATE")} == {bob.host}
    link.nodes.pop(alice.host)
    link.run(700)
    assert [event.cause for event in bob.of(SessionEnded)] == ["timeout"]
    link.run(70)
    bob.assert_idle()


def test_expiry_when_the_refresher_is_silent() -> None:
    """RFC 4028 10: no refresh in time: BYE, `session-expired`."""
    link, alice, bob, _, callee = talking(UaSettings(session_expires=600), UaSettings(session_expires=600))
    link.lose("UPDATE")
    link.nodes.pop(alice.host)
    link.run(567)
    assert callee.state is State.CONFIRMED
    link.run(2)
    (ended,) = bob.of(SessionEnded)
    assert ended.cause == "session-expired"
    assert link.said(bob)[-1] == "BYE"
    link.run(70)
    bob.assert_idle()


def test_reinvite_restarts_the_timer() -> None:
    """RFC 4028 7.4, 10: any INVITE or UPDATE with its 2xx refreshes."""
    link, alice, bob, caller, callee = talking(UaSettings(session_expires=600), UaSettings(session_expires=600))
    link.run(250)
    alice.do(caller.offer, OFFER + b"a=x\r\n")
    link.run(0.05)
    bob.do(callee.answer, ANSWER + b"a=x\r\n")
    link.run(270)
    assert link.seen("UPDATE") == []
    link.run(40)
    assert len(link.seen("UPDATE")) == 1


def test_too_brief_is_422_with_min_se_and_the_call_succeeds_at_the_second_try() -> None:
    """RFC 4028 9 (422 with Min-SE), 7.3 (retry)."""
    link = Link()
    alice = link.node("192.0.2.1", UaSettings(session_expires=300))
    bob = link.node("192.0.2.2", UaSettings(min_se=900))
    alice.call(bob)
    link.run(0.1)
    assert link.seen("422 INVITE")[0].message.get("Min-SE") == "900"
    assert link.seen("INVITE")[1].message.get("Session-Expires") == "900"
    assert bob.kinds() == ["SessionArrived"]


def test_malformed_session_expires_is_400() -> None:
    link = Link()
    alice, bob = link.node("192.0.2.1"), link.node("192.0.2.2")
    alice.call(bob, headers=(("Session-Expires", "soon"),))
    link.run(0.1)
    assert [event.status for event in alice.of(SessionFailed)] == [400]
    assert bob.kinds() == []


def test_422_to_a_refresh() -> None:
    """RFC 4028 7.4: the refresh goes again with the interval asked for."""
    link, alice, bob, caller, _ = talking(UaSettings(session_expires=600), UaSettings(session_expires=600))
    link.nodes.pop(bob.host)
    link.run(300.1)
    answer_by_hand(alice, link.seen("UPDATE")[0], 422, "", headers=(("Min-SE", "1200"),))
    link.run(0.01)
    again = [seen for seen in link.seen("UPDATE") if seen.message.get("Min-SE")]
    assert again[0].message.get("Session-Expires") == "1200;refresher=uac"
    answer_by_hand(alice, again[0], 200, "", headers=(("Session-Expires", "1200;refresher=uac"),))
    link.run(590)
    assert caller.state is State.CONFIRMED


def test_update_refused_as_unknown_falls_back_to_reinvite() -> None:
    """A peer that lists UPDATE and does not take it."""
    link, alice, bob, caller, _ = talking(UaSettings(session_expires=600), UaSettings(session_expires=600))
    link.nodes.pop(bob.host)
    link.run(300.1)
    answer_by_hand(alice, link.seen("UPDATE")[0], 501, "")
    link.run(0.01)
    invites = link.seen("INVITE")
    assert len(invites) == 2
    assert invites[1].message.body == OFFER
    answer_by_hand(alice, invites[1], 200, "", ANSWER, (("Session-Expires", "600;refresher=uac"),))
    assert alice.kinds() == []
    assert caller.state is State.CONFIRMED


@pytest.mark.parametrize("status", [491, 500])
def test_refresh_that_meets_a_passing_failure_is_tried_again(status: int) -> None:
    link, alice, bob, _, _ = talking(UaSettings(session_expires=600), UaSettings(session_expires=600))
    link.nodes.pop(bob.host)
    link.run(300.1)
    answer_by_hand(alice, link.seen("UPDATE")[0], status, "")
    link.run(5.1)
    assert len({seen.message.cseq.number for seen in link.seen("UPDATE")}) == 2

"""Requests inside a dialog that are answered provisionally and then never: each has an end (RFC 3261 9.1, 12.2.1.2,
17.1.2)."""

from __future__ import annotations

import pytest
from virtual_link import OFFER, Link, Node, Seen, answer_by_hand, sdp

from sip.digest import Credentials
from sip.invite import InviteSession, State
from sip.ua import UaSettings
from sip.ua_events import AnswerReceived, OfferFailed, SessionEnded
from tests.unit.sip.test_invite_reoffer import NO_UPDATE, talking


def hanging(status: int = 100, headers: tuple[tuple[str, str], ...] = ()) -> tuple[Link, Node, InviteSession, Seen]:
    """A call in which our re-INVITE has met that provisional response, and nothing else comes by itself."""
    link, alice, bob, caller, _ = talking()
    link.nodes.pop(bob.host)
    alice.do(caller.offer, sdp("a", 2))
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, status, "", headers=headers)
    return link, alice, caller, invite


RELIABLE = (("Require", "100rel"), ("RSeq", "1"))


@pytest.mark.parametrize(("status", "headers", "patience"), [(100, (), 32.0), (180, (), 92.0), (183, RELIABLE, 182.0)])
def test_reinvite_without_final_response_is_cancelled(
    status: int, headers: tuple[tuple[str, str], ...], patience: float
) -> None:
    """RFC 3261 9.1, 13.3.1.1, RFC 3262 3: CANCEL after the patience that the provisional response asks for; its 487
    leaves the session as it was (14.1)."""
    link, alice, caller, invite = hanging(status, headers)
    for prack in link.seen("PRACK"):
        answer_by_hand(alice, prack, 200, "")
    link.run(patience - 0.5)
    assert link.seen("CANCEL") == []
    link.run(1.0)
    (cancel,) = {seen.data: seen for seen in link.seen("CANCEL")}.values()
    assert cancel.message.cseq.number == invite.message.cseq.number
    answer_by_hand(alice, invite, 487, "")
    assert [event.status for event in alice.of(OfferFailed)] == [487]
    assert caller.state is State.CONFIRMED
    assert caller.dialog.exchange.local == OFFER
    assert caller.can_offer


@pytest.mark.parametrize("sign_of_life", [False, True])
def test_reinvite_that_even_its_cancel_does_not_end_ends_the_session(sign_of_life: bool) -> None:
    """RFC 3261 12.2.1.2: no final response, 64*T1 after the CANCEL neither: a timeout, BYE. Another 1xx changes
    nothing."""
    link, alice, caller, invite = hanging()
    link.run(40.0)
    if sign_of_life:
        answer_by_hand(alice, invite, 180, "")
    link.run(23.5)
    assert link.seen("BYE") == []
    assert caller.state is State.CONFIRMED
    link.run(1.0)
    assert link.seen("BYE")
    assert [(event.cause, event.status) for event in alice.of(SessionEnded)] == [("timeout", 408)]
    assert alice.kinds() == ["SessionEnded"]
    link.run(40.0)
    alice.assert_idle()


def test_every_provisional_response_renews_the_patience_with_a_reinvite() -> None:
    """RFC 3261 13.3.1.1: a UAS that still works on it says so every minute."""
    link, alice, _, invite = hanging(180)
    for _ in range(4):
        link.run(60.0)
        answer_by_hand(alice, invite, 180, "")
    assert link.seen("CANCEL") == []
    answer_by_hand(alice, invite, 200, "", sdp("b", 2))
    assert [event.sdp for event in alice.of(AnswerReceived)] == [sdp("b", 2)]
    link.run(200.0)
    assert link.seen("CANCEL") == []


def test_2xx_that_crosses_the_cancel_of_a_reinvite_counts() -> None:
    """RFC 3261 9.1: a CANCEL has no effect on a request that has its final response."""
    link, alice, caller, invite = hanging()
    link.run(32.5)
    assert link.seen("CANCEL")
    answer_by_hand(alice, invite, 200, "", sdp("b", 2))
    assert [event.sdp for event in alice.of(AnswerReceived)] == [sdp("b", 2)]
    assert link.said(alice)[-1] == "ACK"
    assert caller.can_offer


@pytest.mark.parametrize(("status", "header"), [(491, ""), (500, "Retry-After"), (401, "WWW-Authenticate")])
def test_cancelled_reinvite_does_not_go_again(status: int, header: str) -> None:
    """We have waited long enough: what would make it go again is now its end."""
    link, alice, caller, invite = hanging()
    caller.credentials = Credentials("alice", "secret", "pbx")
    link.run(32.5)
    value = "1" if header == "Retry-After" else 'Digest realm="pbx", nonce="n", algorithm=MD5'
    answer_by_hand(alice, invite, status, "", headers=((header, value),) if header else ())
    assert [event.status for event in alice.of(OfferFailed)] == [status]
    link.run(60.0)
    assert {seen.message.cseq.number for seen in link.seen("INVITE")} == {invite.message.cseq.number}
    assert caller.state is State.CONFIRMED


def test_challenged_reinvite_has_a_patience_of_its_own() -> None:
    """The wait that the first sending's 100 began does not cut the second one's short."""
    link, alice, caller, invite = hanging()
    caller.credentials = Credentials("alice", "secret", "pbx")
    link.run(20.0)
    challenge = ("WWW-Authenticate", 'Digest realm="pbx", nonce="n", algorithm=MD5')
    answer_by_hand(alice, invite, 401, "", headers=(challenge,))
    answer_by_hand(alice, link.seen("INVITE")[-1], 100, "")
    link.run(31.5)
    assert link.seen("CANCEL") == []
    link.run(1.0)
    assert link.seen("CANCEL")


def test_hangup_while_a_reinvite_hangs_leaves_nothing() -> None:
    """RFC 3261 9.1 after 15.1.1: CANCEL and BYE; unanswered, both are forgotten after 64*T1."""
    link, alice, caller, invite = hanging(180)
    alice.do(caller.hangup)
    assert link.said(alice)[-2:] == ["CANCEL", "BYE"]
    answer_by_hand(alice, invite, 401, "", headers=(("WWW-Authenticate", 'Digest realm="pbx", nonce="n"'),))
    link.run(33.0)
    alice.assert_idle()
    assert len(link.seen("INVITE")) == 1


def test_hanging_refresh_is_cancelled_and_told_to_nobody() -> None:
    """RFC 4028 10: a refresh that fails leaves the session to its expiry."""
    agent = UaSettings(allow=NO_UPDATE.allow, session_expires=200)
    link, alice, bob, _, _ = talking(agent)
    link.nodes.pop(bob.host)
    link.run(100.5)
    (invite,) = {seen.data: seen for seen in link.seen("INVITE")}.values()
    answer_by_hand(alice, invite, 100, "")
    link.run(32.5)
    assert link.seen("CANCEL")
    answer_by_hand(alice, invite, 487, "")
    assert alice.kinds() == []
    link.run(40.0)
    assert [event.cause for event in alice.of(SessionEnded)] == ["session-expired"]


@pytest.mark.parametrize("method", ["UPDATE", "PRACK", "INFO"])
def test_timer_f_ends_a_request_that_is_only_answered_100(method: str) -> None:
    """RFC 3261 17.1.2.2: Timer F runs on in "Proceeding"; 12.2.1.2: the dialog ends with its request."""
    if method == "PRACK":
        link, alice, caller, _ = hanging(183, RELIABLE)
    else:
        link, alice, bob, caller, _ = talking()
        link.nodes.pop(bob.host)
        if method == "UPDATE":
            alice.do(caller.offer, sdp("a", 2), method="UPDATE")
        else:
            alice.do(caller.send_info, "text/plain", b"x")
    answer_by_hand(alice, link.seen(method)[0], 100, "")
    link.run(31.5)
    assert alice.kinds() == []
    link.run(1.0)
    assert [(event.cause, event.status) for event in alice.of(SessionEnded)] == [("timeout", 408)]
    assert link.said(alice)[-1] == "BYE"
    link.run(65.0)
    alice.assert_idle()

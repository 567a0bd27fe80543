"""Offers in a running session: re-INVITE and UPDATE, glare, refusals (RFC 3261 14, RFC 3311)."""

from __future__ import annotations

import pytest
from virtual_link import ANSWER, OFFER, Link, Node, answer_by_hand, sdp

from sip.digest import Credentials
from sip.invite import InviteSession, State
from sip.offer_answer import WrongState
from sip.ua import UaSettings
from sip.ua_events import (
    AnswerReceived,
    Offered,
    OfferFailed,
    OfferWithdrawn,
    SessionEnded,
)

NO_UPDATE = UaSettings(allow=("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "INFO", "OPTIONS"))


def talking(settings: UaSettings | None = None) -> tuple[Link, Node, Node, InviteSession, InviteSession]:
    """An established call."""
    link = Link()
    alice, bob = link.node("192.0.2.1", settings), link.node("192.0.2.2", settings)
    caller = alice.call(bob, OFFER)
    link.run(0.05)
    callee = bob.session()
    bob.do(callee.accept, ANSWER)
    link.run(0.1)
    assert caller.state is callee.state is State.CONFIRMED
    alice.take()
    bob.take()
    link.wire.clear()
    return link, alice, bob, caller, callee


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_offer_and_answer(method: str, side: str) -> None:
    """RFC 3261 14.1, RFC 3311 5: the 2xx answers the offer of a re-INVITE or UPDATE, of either side."""
    link, alice, bob, caller, callee = talking()
    (one, mine), (other, theirs) = ((alice, caller), (bob, callee))
    if side == "callee":
        (one, mine), (other, theirs) = (other, theirs), (one, mine)
    one.do(mine.offer, sdp("x", 2), method=method)
    assert not mine.can_offer
    with pytest.raises(WrongState):
        mine.offer(sdp("x", 3), link.now)
    link.run(0.05)
    (offered,) = other.of(Offered)
    assert (offered.sdp, offered.where) == (sdp("x", 2), method)
    assert theirs.remote_offer == sdp("x", 2)
    assert not theirs.can_offer
    other.do(theirs.answer, sdp("y", 2))
    link.run(0.05)
    assert [event.sdp for event in one.of(AnswerReceived)] == [sdp("y", 2)]
    assert mine.can_offer
    assert theirs.can_offer
    assert other.kinds() == ["Offered"]


def test_offerless_reinvite() -> None:
    """RFC 3261 14.2, 13.2.1: our offer in the 2xx, the peer's answer in its ACK."""
    link, alice, bob, caller, callee = talking()
    alice.do(caller.offer, None)
    link.run(0.05)
    assert bob.of(Offered)[0].sdp is None
    assert callee.offer_pending
    bob.do(callee.answer, sdp("b", 2))
    link.run(0.05)
    assert [(event.sdp, event.where) for event in alice.of(Offered)] == [(sdp("b", 2), "2xx")]
    assert link.seen("ACK") == []
    alice.do(caller.answer, sdp("a", 2))
    link.run(0.05)
    assert link.seen("ACK")[0].message.body == sdp("a", 2)
    assert [event.sdp for event in bob.of(AnswerReceived)] == [sdp("a", 2)]
    assert caller.can_offer
    assert callee.can_offer


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_refused_offer_leaves_all_as_it_was(method: str) -> None:
    """RFC 3261 14.1: "the session parameters MUST remain unchanged, as if no re-INVITE had been issued"."""
    link, alice, bob, caller, callee = talking()
    alice.do(caller.offer, sdp("a", 2), method=method)
    link.run(0.05)
    bob.do(callee.reject_offer, 488, headers=(("Warning", '305 x "no"'),))
    link.run(0.05)
    assert [event.status for event in alice.of(OfferFailed)] == [488]
    assert link.seen(f"488 {method}")[0].message.get("Warning") == '305 x "no"'
    assert caller.state is callee.state is State.CONFIRMED
    assert caller.dialog.exchange.local == OFFER
    assert caller.can_offer
    assert callee.can_offer


def test_glare_is_491_and_retried_by_the_owner_of_the_call_id_later() -> None:
    """RFC 3261 14.1: the owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s; 14.2: 491."""
    link, alice, bob, caller, callee = talking()
    alice.do(caller.offer, sdp("a", 2))
    bob.do(callee.offer, sdp("b", 2))
    link.run(0.05)
    assert sorted(link.said()) == ["491 INVITE", "491 INVITE", "ACK", "ACK", "INVITE", "INVITE"]
    start = link.now
    link.run(2.05)
    (again,) = [seen for seen in link.seen("INVITE") if seen.at >= start]
    assert again.sender == bob.host
    assert alice.of(Offered)[0].sdp == sdp("b", 2)
    alice.do(caller.answer, sdp("a", 3))
    link.run(2.1)
    (offered,) = bob.of(Offered)
    assert offered.sdp == sdp("a", 2)
    bob.do(callee.answer, sdp("b", 3))
    link.run(0.1)
    assert alice.kinds() == ["Offered", "AnswerReceived"]
    assert bob.kinds() == ["AnswerReceived", "Offered"]


def test_reinvite_while_another_waits_is_500_with_retry_after() -> None:
    """RFC 3261 14.2: a second INVITE before the final response to the first: 500, Retry-After 0 to 10."""
    link, alice, bob, caller, callee = talking()
    alice.do(caller.offer, sdp("a", 2))
    link.run(0.05)
    alice.stack.send(caller.dialog.request("INVITE", (("Content-Type", "application/sdp"),), sdp("a", 3)), link.now)
    link.run(0.05)
    refusal = link.seen("500 INVITE")[0].message
    assert 0 <= int(refusal.get("Retry-After") or -1) <= 10
    bob.do(callee.answer, sdp("b", 2))
    link.run(0.05)
    assert [event.sdp for event in alice.of(AnswerReceived)] == [sdp("b", 2)]


def test_update_rules_of_3311() -> None:
    """RFC 3311 5.2: 491 while our offer is out, 500 with Retry-After while theirs or an UPDATE waits."""
    link, alice, bob, caller, callee = talking()
    content = (("Content-Type", "application/sdp"),)
    bob.do(callee.offer, sdp("b", 2))
    alice.stack.send(caller.dialog.request("UPDATE", content, sdp("a", 2)), link.now)
    link.run(0.05)
    assert link.seen("491 UPDATE")
    alice.do(caller.answer, sdp("a", 2))
    link.run(0.05)
    alice.do(caller.offer, sdp("a", 3), method="UPDATE")
    link.run(0.05)
    alice.stack.send(caller.dialog.request("UPDATE"), link.now)
    link.run(0.05)
    assert link.seen("500 UPDATE")[0].message.has("Retry-After")


def test_reinvite_before_the_ack_of_our_2xx() -> None:
    """RFC 5407 3.1.4: the ACK is on its way: 491, and the peer tries again."""
    link, alice, bob, caller, callee = talking()
    link.lose("ACK", times=1)
    alice.do(caller.offer, sdp("a", 2))
    link.run(0.05)
    bob.do(callee.answer, sdp("b", 2))
    link.run(0.05)
    alice.do(caller.offer, sdp("a", 3))
    link.run(0.05)
    assert link.seen("491 INVITE")
    link.run(4.1)
    assert [event.sdp for event in bob.of(Offered)] == [sdp("a", 2), sdp("a", 3)]


def test_update_without_body_refreshes_the_target() -> None:
    """RFC 3311 5.2: 200 at once; the Contact is the new remote target (12.2.2)."""
    link, alice, bob, caller, callee = talking()
    alice.stack.send(caller.dialog.request("UPDATE", (("Contact", "<sip:moved@192.0.2.1:5070>"),)), link.now)
    link.run(0.05)
    assert link.seen("200 UPDATE")[0].message.get("Contact") == "<sip:bob@192.0.2.2:5060>"
    assert callee.dialog.remote_target == "sip:moved@192.0.2.1:5070"
    assert bob.kinds() == []


def test_repeated_description_is_answered_inside() -> None:
    """RFC 3264 8: the same description changes nothing: answered with what is agreed, unseen by the application."""
    link, alice, bob, caller, _ = talking()
    alice.do(caller.offer, OFFER)
    link.run(0.1)
    assert bob.kinds() == []
    assert [event.sdp for event in alice.of(AnswerReceived)] == [ANSWER]


def test_cancelled_reinvite() -> None:
    """RFC 3261 9.2 for a re-INVITE: 487, the session stands."""
    link, alice, bob, caller, callee = talking()
    alice.do(caller.offer, sdp("a", 2))
    link.run(0.05)
    reoffer = caller._reoffer
    assert reoffer is not None
    assert reoffer.in_flight is not None
    alice.stack.cancel(reoffer.in_flight.transaction, link.now)
    link.run(0.1)
    assert bob.kinds() == ["Offered", "OfferWithdrawn"]
    assert isinstance(bob.events[1], OfferWithdrawn)
    assert not callee.offer_pending
    assert [event.status for event in alice.of(OfferFailed)] == [487]
    assert caller.state is callee.state is State.CONFIRMED


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_bye_while_an_offer_waits(method: str) -> None:
    """RFC 3261 15.1.2: pending requests get 487 when the BYE comes."""
    link, alice, bob, caller, callee = talking()
    alice.do(caller.offer, sdp("a", 2), method=method)
    link.run(0.05)
    alice.do(caller.hangup)
    link.run(0.05)
    assert f"487 {method}" in link.said(bob)
    assert [event.cause for event in bob.of(SessionEnded)] == ["bye"]
    link.run(70)
    alice.assert_idle()
    bob.assert_idle()
    assert callee.state is State.ENDED


def test_hangup_of_the_side_that_owes_the_answer() -> None:
    """RFC 3261 15: BYE; the pending re-INVITE is answered 487."""
    link, alice, bob, caller, callee = talking()
    alice.do(caller.offer, sdp("a", 2))
    link.run(0.05)
    bob.do(callee.hangup)
    link.run(0.1)
    assert link.said(bob) == ["487 INVITE", "BYE"]
    assert alice.kinds() == ["OfferFailed", "SessionEnded"]
    link.run(70)
    alice.assert_idle()
    bob.assert_idle()


def test_2xx_to_a_reinvite_without_the_answer() -> None:
    """RFC 3261 13.2.1: treated as an error: ACK, BYE."""
    link, alice, bob, caller, _ = talking()
    link.nodes.pop(bob.host)
    alice.do(caller.offer, sdp("a", 2))
    answer_by_hand(alice, link.seen("INVITE")[0], 200, "")
    assert link.said(alice) == ["INVITE", "ACK", "BYE"]
    assert [event.cause for event in alice.of(SessionEnded)] == ["bad-sdp"]


def test_500_with_retry_after_is_retried() -> None:
    """RFC 3261 14.2: the peer asks for a moment's patience; a long one is the application's to know."""
    link, alice, bob, caller, _ = talking()
    link.nodes.pop(bob.host)
    alice.do(caller.offer, sdp("a", 2))
    answer_by_hand(alice, link.seen("INVITE")[0], 500, "", headers=(("Retry-After", "3"),))
    link.run(4.1)
    assert len(link.seen("INVITE")) >= 2
    second = next(s for s in link.seen("INVITE") if s.message.cseq != link.seen("INVITE")[0].message.cseq)
    answer_by_hand(alice, second, 500, "", headers=(("Retry-After", "300"),))
    assert [event.status for event in alice.of(OfferFailed)] == [500]


def test_reinvite_491_for_ever_is_given_up() -> None:
    """A bound on 14.1's retries."""
    link, alice, bob, caller, _ = talking()
    bob.on_event = None
    link.nodes.pop(bob.host)
    alice.do(caller.offer, sdp("a", 2))
    answered = set()
    for _ in range(400):
        for seen in link.seen("INVITE"):
            number = seen.message.cseq.number
            if number not in answered:
                answered.add(number)
                answer_by_hand(alice, seen, 491, "")
        link.run(0.1)
    assert 2 < len(answered) <= 8
    assert [event.status for event in alice.of(OfferFailed)] == [491]
    assert caller.state is State.CONFIRMED


def test_update_falls_back_to_reinvite() -> None:
    """RFC 3311 4: no UPDATE to a peer whose Allow does not list it."""
    link, alice, _, caller, _ = talking(NO_UPDATE)
    alice.do(caller.offer, sdp("a", 2), method="UPDATE")
    assert link.said(alice) == ["INVITE"]


def test_reliable_18x_answers_a_reinvite() -> None:
    """RFC 3262 5 inside a dialog: the answer in a reliable 18x, PRACK, a 2xx without SDP."""
    link, alice, bob, caller, _ = talking()
    link.nodes.pop(bob.host)
    alice.do(caller.offer, sdp("a", 2))
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 183, "", sdp("b", 2), (("Require", "100rel"), ("RSeq", "1")))
    assert link.said(alice) == ["INVITE", "PRACK"]
    assert [event.sdp for event in alice.of(AnswerReceived)] == [sdp("b", 2)]
    answer_by_hand(alice, invite, 200, "")
    assert link.said(alice) == ["INVITE", "PRACK", "ACK"]
    assert caller.state is State.CONFIRMED
    assert caller.can_offer


def test_2xx_of_a_reinvite_crossing_our_bye_is_acked() -> None:
    """RFC 3261 13.2.2.4: every 2xx is ACKed, also when the session is over."""
    link, alice, bob, caller, _ = talking()
    link.nodes.pop(bob.host)
    alice.do(caller.offer, sdp("a", 2))
    alice.do(caller.hangup)
    answer_by_hand(alice, link.seen("INVITE")[0], 200, "", sdp("b", 2))
    assert link.said(alice)[-1] == "ACK"


# --- challenges inside the dialog (22.2, 22.3) -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_challenged_offer_goes_again(method: str) -> None:
    """RFC 3261 22.2: the same offer with credentials and a higher CSeq, one answer; the ACK carries them too."""
    link, alice, bob, caller, _ = talking()
    link.nodes.pop(bob.host)
    caller.credentials = Credentials("alice", "secret", "pbx")
    alice.do(caller.offer, sdp("a", 2), method=method)
    challenge = ("WWW-Authenticate", 'Digest realm="pbx", nonce="n", algorithm=MD5, qop="auth"')
    answer_by_hand(alice, link.seen(method)[0], 401, "", headers=(challenge,))
    first, second = link.seen(method)
    assert second.message.cseq.number == first.message.cseq.number + 1
    assert second.message.body == first.message.body == sdp("a", 2)
    assert second.message.get("Contact") == first.message.get("Contact")
    answer_by_hand(alice, second, 200, "", sdp("b", 2))
    assert [event.sdp for event in alice.of(AnswerReceived)] == [sdp("b", 2)]
    if method == "INVITE":
        ack = link.seen("ACK")[-1].message
        assert ack.get("Authorization") == second.message.get("Authorization")


def test_challenge_without_credentials_refuses_the_offer() -> None:
    link, alice, bob, caller, _ = talking()
    link.nodes.pop(bob.host)
    alice.do(caller.offer, sdp("a", 2))
    challenge = ("WWW-Authenticate", 'Digest realm="pbx", nonce="n", algorithm=MD5')
    answer_by_hand(alice, link.seen("INVITE")[0], 401, "", headers=(challenge,))
    assert [event.status for event in alice.of(OfferFailed)] == [401]
    assert caller.state is State.CONFIRMED

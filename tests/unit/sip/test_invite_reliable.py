"""Reliable provisional responses, both roles (RFC 3262), and early UPDATE (RFC 3311)."""

from __future__ import annotations

from virtual_link import ANSWER, OFFER, Link, Node, answer_by_hand, sdp

from sip.invite import InviteSession, State
from sip.ua import UaSettings
from sip.ua_events import AnswerReceived, Offered, SessionAnswered, SessionEnded, SessionFailed, SessionProgress

REQUIRED = (("Require", "100rel"),)


def ringing(
    offer: bytes = OFFER, headers: tuple[tuple[str, str], ...] = ()
) -> tuple[Link, Node, Node, InviteSession, InviteSession]:
    link = Link()
    alice, bob = link.node("192.0.2.1"), link.node("192.0.2.2")
    caller = alice.call(bob, offer, headers)
    link.run(0.05)
    return link, alice, bob, caller, bob.session()


def test_answer_in_a_reliable_183() -> None:
    """RFC 3262 3, 4, 5: 183 with Require: 100rel and RSeq, PRACK with RAck, 200; the 2xx then has no SDP."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.progress, 183, ANSWER)
    link.run(0.1)
    (progress,) = link.seen("183 INVITE")
    rseq = int(progress.message.get("RSeq") or 0)
    assert 1 <= rseq < 2**31
    assert "100rel" in progress.message.required
    (prack,) = link.seen("PRACK")
    cseq = link.seen("INVITE")[0].message.cseq.number
    assert prack.message.get("RAck") == f"{rseq} {cseq} INVITE"
    assert [event.sdp for event in alice.of(SessionProgress)] == [ANSWER]
    bob.do(callee.accept, None)
    link.run(0.1)
    assert link.said() == ["INVITE", "183 INVITE", "PRACK", "200 PRACK", "200 INVITE", "ACK"]
    assert link.seen("200 INVITE")[0].message.body == b""
    assert alice.of(SessionAnswered)[0].sdp is None
    assert caller.state is callee.state is State.CONFIRMED


def test_retransmitted_doubling_without_limit_until_prack() -> None:
    """RFC 3262 3: the interval starts at T1 and doubles for each retransmission; no T2 bounds it."""
    link, _, bob, _, callee = ringing()
    link.lose("PRACK")
    start = link.now
    bob.do(callee.progress, 183, ANSWER)
    link.run(31)
    at = [round(seen.at - start, 1) for seen in link.seen("183 INVITE")]
    assert at == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5]


def test_never_pracked_rejects_with_5xx() -> None:
    """RFC 3262 3: after 64*T1 without PRACK "the UAS SHOULD reject the original request with a 5xx response"."""
    link, alice, bob, _, callee = ringing()
    link.lose("PRACK")
    bob.do(callee.progress, 183, ANSWER)
    link.run(33)
    assert [(event.cause, event.status) for event in bob.of(SessionEnded)] == [("no-prack", 504)]
    assert [event.status for event in alice.of(SessionFailed)] == [504]
    link.lose()
    link.run(100)
    alice.assert_idle()
    bob.assert_idle()


def test_second_reliable_waits_for_the_first_prack() -> None:
    """RFC 3262 3: "The UAS MUST NOT send a second reliable provisional response until the first is acknowledged."."""
    link, alice, bob, _, callee = ringing(headers=REQUIRED)
    link.lose("PRACK", times=1)
    bob.do(callee.progress, 180, None)
    bob.do(callee.progress, 183, ANSWER)
    link.run(0.2)
    assert link.seen("183 INVITE") == []
    link.run(1)
    first, second = link.seen("180 INVITE")[0].message, link.seen("183 INVITE")[0].message
    assert int(second.get("RSeq") or 0) == int(first.get("RSeq") or 0) + 1
    assert [event.status for event in alice.of(SessionProgress)] == [180, 183]


def test_2xx_is_held_back_while_sdp_is_unacknowledged() -> None:
    """RFC 3262 3: no 2xx while a reliable 18x with a session description is unacknowledged."""
    link, _, bob, caller, callee = ringing()
    link.lose("PRACK", times=1)
    bob.do(callee.progress, 183, ANSWER)
    bob.do(callee.accept, None)
    link.run(0.2)
    assert link.seen("200 INVITE") == []
    assert callee.state is State.ACCEPTED
    link.run(1)
    assert len(link.seen("200 INVITE")) == 1
    assert caller.state is callee.state is State.CONFIRMED


def test_2xx_does_not_wait_for_a_prack_without_sdp() -> None:
    """RFC 3262 3: it MAY go out; the 18x is retransmitted no more, its PRACK is still answered 200."""
    link, _, bob, _, callee = ringing(headers=REQUIRED)
    link.lose("PRACK", times=1)
    bob.do(callee.progress, 180, None)
    bob.do(callee.accept, ANSWER)
    link.run(3)
    assert len(link.seen("180 INVITE")) == 1
    assert link.seen("200 PRACK")
    assert callee.state is State.CONFIRMED


def test_cancel_while_the_2xx_is_held_back() -> None:
    """The 2xx has not been sent: 487 (RFC 3261 9.2)."""
    link, alice, bob, caller, callee = ringing()
    link.lose("PRACK")
    bob.do(callee.progress, 183, ANSWER)
    bob.do(callee.accept, None)
    link.run(0.1)
    alice.do(caller.cancel)
    link.run(0.1)
    assert bob.kinds() == ["SessionArrived", "Cancelled"]
    assert [event.status for event in alice.of(SessionFailed)] == [487]


def test_never_reliable_to_a_peer_without_100rel() -> None:
    """RFC 3262 3: only where the request's Supported or Require has 100rel."""
    link = Link()
    alice, bob = link.node("192.0.2.1"), link.node("192.0.2.2")
    alice.call(bob, headers=(("Supported", "timer"),))
    link.run(0.05)
    callee = bob.session()
    bob.do(callee.progress, 183, ANSWER, reliable=True)
    link.run(0.1)
    assert link.seen("183 INVITE")[0].message.get("RSeq") is None
    assert link.seen("PRACK") == []


def test_required_100rel_makes_every_provisional_reliable() -> None:
    """RFC 3262 3: "MUST send any non-100 provisional response reliably if ... Require ... 100rel"."""
    link, _, bob, _, callee = ringing(headers=REQUIRED)
    bob.do(callee.progress, 180, None, reliable=False)
    assert link.seen("180 INVITE")[0].message.get("RSeq")


def test_offer_in_18x_answer_in_prack() -> None:
    """RFC 3262 5: no offer in the INVITE: the reliable 18x may have it, its PRACK the answer."""
    link, alice, bob, caller, callee = ringing(offer=b"", headers=REQUIRED)
    bob.do(callee.progress, 183, OFFER)
    link.run(0.1)
    assert alice.kinds() == ["Offered", "SessionProgress"]
    assert alice.of(Offered)[0].where == "18x"
    assert link.seen("PRACK") == []
    alice.do(caller.answer, ANSWER)
    link.run(0.1)
    assert link.seen("PRACK")[0].message.body == ANSWER
    assert bob.kinds() == ["SessionArrived", "AnswerReceived"]
    bob.do(callee.accept, None)
    link.run(0.1)
    assert caller.state is callee.state is State.CONFIRMED
    assert alice.of(SessionAnswered)[0].sdp is None


def test_prack_without_the_answer_it_owes() -> None:
    """RFC 3262 5: the PRACK had to answer: the INVITE is refused."""
    link = Link()
    alice, bob = link.node("192.0.2.1"), link.node("192.0.2.2")
    caller = alice.call(bob, b"", REQUIRED)
    link.run(0.05)
    callee = bob.session()
    bob.do(callee.progress, 183, OFFER)
    link.run(0.05)
    alice.do(caller._send_prack, caller.dialog, link.seen("INVITE")[0].message.cseq.number, None)
    link.run(0.1)
    assert [event.cause for event in bob.of(SessionEnded)] == ["bad-sdp"]
    assert [event.status for event in alice.of(SessionFailed)] == [488]


def test_offer_in_the_prack() -> None:
    """RFC 3262 5: a PRACK may hold a new offer, its 2xx the answer; the 2xx to the INVITE waits for that."""
    link, alice, bob, caller, callee = ringing()
    cseq = link.seen("INVITE")[0].message.cseq.number
    send_prack = caller._send_prack
    link.lose("PRACK", times=1)
    bob.do(callee.progress, 183, ANSWER)
    link.run(0.1)
    (first,) = link.seen("PRACK")
    link.nodes["192.0.2.1"].stack._outbound.transactions.clear()  # the PRACK without offer never gets there
    caller.dialog.exchange.offer_sent(sdp("a", 2))
    alice.do(send_prack, caller.dialog, cseq, sdp("a", 2))
    link.run(0.1)
    assert first.message.body == b""
    assert bob.of(Offered)[0].where == "PRACK"
    bob.do(callee.accept, None)
    assert link.seen("200 INVITE") == []
    bob.do(callee.answer, sdp("b", 2))
    assert link.said(bob)[-2:] == ["200 PRACK", "200 INVITE"]
    assert link.seen("200 PRACK")[0].message.body == sdp("b", 2)


def test_prack_that_matches_nothing_is_481() -> None:
    """RFC 3262 3: a PRACK "that does not match any unacknowledged reliable provisional response": 481."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.progress, 183, ANSWER)
    link.run(0.1)
    cseq = link.seen("INVITE")[0].message.cseq.number
    rseq = caller.dialog.rseq
    for rack in (f"{rseq} {cseq} INVITE", f"{rseq + 1} {cseq} INVITE", f"{rseq} {cseq + 1} INVITE"):
        alice.stack.send(caller.dialog.request("PRACK", (("RAck", rack),)), link.now)
        link.run(0.1)
        assert link.said(bob)[-1] == "481 PRACK"
    alice.stack.send(caller.dialog.request("PRACK", (("RAck", "nonsense"),)), link.now)
    link.run(0.1)
    assert link.said(bob)[-1] == "400 PRACK"


def test_uac_acknowledges_in_order_and_once() -> None:
    """RFC 3262 4: a repeated or out-of-order RSeq is neither acknowledged nor processed."""
    link = Link()
    alice, peer = link.node("192.0.2.1"), link.node("192.0.2.77")
    link.nodes.pop(peer.host)
    alice.call(peer)
    (invite,) = link.seen("INVITE")

    def provisional(rseq: int, status: int) -> None:
        answer_by_hand(alice, invite, status, "t", headers=(("Require", "100rel"), ("RSeq", str(rseq))))

    provisional(7, 180)
    provisional(7, 180)
    provisional(9, 183)
    provisional(8, 181)
    provisional(9, 183)
    cseq = invite.message.cseq.number
    assert [seen.message.get("RAck") for seen in link.seen("PRACK")] == [f"{n} {cseq} INVITE" for n in (7, 8, 9)]
    assert [event.status for event in alice.of(SessionProgress)] == [180, 181, 183]


def test_forks_count_rseq_apart() -> None:
    """RFC 3262 4: RSeq is per early dialog."""
    link = Link()
    alice, peer = link.node("192.0.2.1"), link.node("192.0.2.77")
    link.nodes.pop(peer.host)
    alice.call(peer)
    (invite,) = link.seen("INVITE")
    for tag, rseq in (("one", 5), ("two", 900)):
        answer_by_hand(alice, invite, 183, tag, ANSWER, (("Require", "100rel"), ("RSeq", str(rseq))))
    assert [seen.message.to_tag for seen in link.seen("PRACK")] == ["one", "two"]
    assert len({seen.message.cseq.number for seen in link.seen("PRACK")}) == 1


def test_early_update_both_ways() -> None:
    """RFC 3311 5.1, 5.2: an offer before the 2xx, once the first exchange is over; the 2xx waits for its end."""
    link, alice, bob, caller, callee = ringing()
    assert not caller.can_offer
    assert not callee.can_offer
    bob.do(callee.progress, 183, ANSWER)
    assert not callee.can_offer  # RFC 3311 5.1: not before the PRACK
    link.run(0.1)
    alice.do(caller.offer, sdp("a", 2))
    link.run(0.05)
    assert bob.of(Offered)[0].where == "UPDATE"
    bob.do(callee.accept, None)
    assert link.seen("200 INVITE") == []
    bob.do(callee.answer, sdp("b", 2))
    link.run(0.1)
    assert alice.of(AnswerReceived)[0].sdp == sdp("b", 2)
    assert caller.state is callee.state is State.CONFIRMED


def test_callee_updates_early() -> None:
    """RFC 3311 5.1, the callee."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.progress, 183, ANSWER)
    link.run(0.1)
    bob.do(callee.offer, sdp("b", 2))
    link.run(0.05)
    bob.do(callee.accept, None)
    assert link.seen("200 INVITE") == []
    alice.do(caller.answer, sdp("a", 2))
    link.run(0.1)
    assert [event.sdp for event in bob.of(AnswerReceived)] == [sdp("a", 2)]
    assert caller.state is callee.state is State.CONFIRMED


def test_early_update_while_the_first_offer_is_unanswered() -> None:
    """RFC 3311 5.2: 500 with Retry-After while their own offer waits for our answer."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.progress, 180, None)
    link.run(0.1)
    alice.stack.send(caller.dialog.request("UPDATE", (("Content-Type", "application/sdp"),), sdp("a", 2)), link.now)
    link.run(0.1)
    answer = link.seen("500 UPDATE")[0].message
    assert 0 <= int(answer.get("Retry-After") or -1) <= 10


def test_reliable_by_default_only_with_sdp() -> None:
    """UaSettings.reliable_progress: 18x with SDP; a plain 180 stays unreliable."""
    link, _, bob, _, callee = ringing()
    bob.do(callee.progress, 180, None)
    assert link.seen("180 INVITE")[0].message.get("RSeq") is None
    off = UaSettings(reliable_progress=False)
    other = Link()
    alice, carol = other.node("192.0.2.1"), other.node("192.0.2.3", off)
    alice.call(carol)
    other.run(0.05)
    carol.do(carol.session().progress, 183, ANSWER)
    assert other.seen("183 INVITE")[0].message.get("RSeq") is None


def test_reliable_progress_is_renewed() -> None:
    """RFC 3262 3: a provisional response every two and a half minutes keeps the proxies on the way patient."""
    link, alice, bob, _, callee = ringing()
    bob.do(callee.progress, 183, ANSWER)
    link.run(320)
    assert len(link.seen("183 INVITE")) == 3
    assert len(link.seen("200 PRACK")) == 3
    assert [seen.message.body for seen in link.seen("183 INVITE")] == [ANSWER, b"", b""]
    assert len(alice.of(SessionProgress)) == 3


def test_early_update_answered_without_sdp() -> None:
    """RFC 3311 5.1: a 2xx without the answer breaks the session off: the callee, still early, by a final response."""
    link, alice, bob, _caller, callee = ringing()
    bob.do(callee.progress, 183, ANSWER)
    link.run(0.1)
    link.nodes.pop(alice.host)
    bob.do(callee.offer, sdp("b", 2))
    answer_by_hand(bob, link.seen("UPDATE")[0], 200, "")
    assert link.said(bob)[-1] == "488 INVITE"
    assert "BYE" not in link.said()
    assert [event.cause for event in bob.of(SessionEnded)] == ["bad-sdp"]


def test_early_update_of_the_caller_answered_without_sdp() -> None:
    """The caller cancels: how the INVITE ends is the peer's word."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.progress, 183, ANSWER)
    link.run(0.1)
    link.nodes.pop(bob.host)
    alice.do(caller.offer, sdp("a", 2))
    answer_by_hand(alice, link.seen("UPDATE")[0], 200, "")
    assert link.said(alice)[-1] == "CANCEL"
    link.nodes[bob.host] = bob
    link.run(1)
    assert [event.status for event in alice.of(SessionFailed)] == [487]

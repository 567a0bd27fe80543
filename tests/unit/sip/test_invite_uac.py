"""The calling side: forks, several 2xx, ACKs, CANCEL, challenges (RFC 3261 13.2, 9.1, 22; RFC 4028 7)."""

from __future__ import annotations

import pytest
from virtual_link import ANSWER, OFFER, Link, Node, answer_by_hand, sdp

from sip.digest import Credentials
from sip.effects import Flow, Target
from sip.invite import State
from sip.message import Request
from sip.offer_answer import WrongState
from sip.ua import UaSettings
from sip.ua_events import (
    Offered,
    SessionAnswered,
    SessionEnded,
    SessionFailed,
    SessionProgress,
)

PEER = "192.0.2.77"


def alone(settings: UaSettings | None = None) -> tuple[Link, Node, Node]:
    """One user agent, and a peer that says nothing by itself (its stack is never there)."""
    link = Link()
    alice = link.node("192.0.2.1", settings)
    peer = link.node(PEER)
    link.nodes.pop(PEER)
    return link, alice, peer


def requests_of(link: Link, method: str) -> list[Request]:
    return [seen.message for seen in link.wire if isinstance(seen.message, Request) and seen.message.method == method]


def test_invite_has_what_8_1_1_requires() -> None:
    """RFC 3261 8.1.1: To, From, CSeq, Call-ID, Max-Forwards, Via; 13.2.1: Allow, Supported; Contact (8.1.1.8)."""
    link, alice, peer = alone()
    alice.call(peer, headers=(("X-Account", "7"),))
    (invite,) = requests_of(link, "INVITE")
    assert invite.max_forwards == 70
    assert invite.from_tag
    assert not invite.to_tag
    assert invite.cseq.method == "INVITE"
    assert invite.contact is not None
    assert str(invite.contact.uri) == "sip:alice@192.0.2.1:5060"
    assert {"UPDATE", "PRACK", "BYE", "INFO"} <= invite.allow
    assert invite.supported == {"100rel", "timer"}
    assert invite.content_type == "application/sdp"
    assert invite.body == OFFER
    assert invite.get("X-Account") == "7"
    assert invite.get("Session-Expires") == "1800"


def test_own_call_id_cseq_and_tag_are_kept() -> None:
    """What the application set (8.1.1) is not replaced."""
    link, alice, _ = alone()
    request = Request(
        "INVITE",
        f"sip:bob@{PEER}",
        [
            ("From", "<sip:a@192.0.2.1>;tag=mine"),
            ("To", f"<sip:b@{PEER}>"),
            ("Call-ID", "own"),
            ("CSeq", "9 INVITE"),
            ("Max-Forwards", "12"),
        ],
    )
    session = alice.ua.invite(request, link.now, Target("udp", PEER, 5060), "alice")
    link.settle()
    (invite,) = requests_of(link, "INVITE")
    assert (invite.call_id, invite.cseq.number, invite.from_tag, invite.max_forwards) == ("own", 9, "mine", 12)
    assert session.local_tag == "mine"
    assert session.call_id == "own"


def test_forked_early_dialogs_then_one_wins() -> None:
    """RFC 3261 12.1.2, 13.2.2.4: a dialog per To tag; the 2xx's is the session's, the others end."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 180, "one")
    answer_by_hand(alice, invite, 183, "two", sdp("two", 1))
    assert [event.branch for event in alice.of(SessionProgress)] == ["one", "two"]
    assert alice.of(SessionProgress)[1].sdp == sdp("two", 1)
    assert len(alice.ua.dialogs) == 2
    answer_by_hand(alice, invite, 200, "one", ANSWER)
    assert session.state is State.CONFIRMED
    assert session.remote_tag == "one"
    assert list(alice.ua.dialogs) == [(session.call_id, session.local_tag, "one")]
    (ack,) = requests_of(link, "ACK")
    assert ack.uri == f"sip:one@{PEER}"
    assert ack.to_tag == "one"
    assert ack.cseq.number == invite.message.cseq.number


def test_second_2xx_of_another_branch_is_acked_and_byed() -> None:
    """RFC 3261 13.2.2.4: "If ... the UAC does not want to continue with that dialog, [it] MUST terminate the dialog by
    sending a BYE"."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 200, "one", ANSWER)
    answer_by_hand(alice, invite, 200, "two", ANSWER, contact=f"<sip:other@{PEER}:5090>")
    assert [r.to_tag for r in requests_of(link, "ACK")] == ["one", "two"]
    (bye,) = requests_of(link, "BYE")
    assert bye.to_tag == "two"
    assert bye.uri == f"sip:other@{PEER}:5090"
    assert session.state is State.CONFIRMED
    assert alice.kinds() == ["SessionAnswered"]


def test_each_2xx_retransmission_is_acked_again() -> None:
    """RFC 3261 13.2.2.4: the ACK goes out "every time a retransmission of the 2xx final response ... arrives"."""
    link, alice, peer = alone()
    alice.call(peer)
    (invite,) = link.seen("INVITE")
    for _ in range(3):
        answer_by_hand(alice, invite, 200, "one", ANSWER)
    acks = [seen for seen in link.wire if seen.what == "ACK"]
    assert len(acks) == 3
    assert len(requests_of(link, "BYE")) == 0
    assert alice.kinds() == ["SessionAnswered"]


def test_route_set_is_the_2xx_record_route_reversed() -> None:
    """RFC 3261 12.1.2: "taken in reverse order"; 13.2.2.4: recomputed from the 2xx; 12.2.1.1 loose routing."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 180, "t", headers=(("Record-Route", "<sip:early.example;lr>"),))
    answer_by_hand(
        alice, invite, 200, "t", ANSWER, headers=(("Record-Route", "<sip:192.0.2.50;lr>, <sip:192.0.2.51;lr>"),)
    )
    (ack,) = requests_of(link, "ACK")
    assert ack.values("Route") == ["<sip:192.0.2.51;lr>", "<sip:192.0.2.50;lr>"]
    assert ack.uri == f"sip:t@{PEER}"
    alice.do(session.hangup)
    (bye,) = [seen for seen in link.wire if seen.what == "BYE"]
    assert bye.receiver == "192.0.2.51"


def test_strict_router() -> None:
    """RFC 3261 12.2.1.1: a first route without lr goes into the Request-URI, the remote target to the end of Route."""
    link, alice, peer = alone()
    alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(
        alice, invite, 200, "t", ANSWER, headers=(("Record-Route", "<sip:192.0.2.50;lr>, <sip:192.0.2.51>"),)
    )
    (ack,) = requests_of(link, "ACK")
    assert ack.uri == "sip:192.0.2.51"
    assert ack.values("Route") == ["<sip:192.0.2.50;lr>", f"<sip:t@{PEER}>"]


def test_ack_waits_for_the_answer_to_an_offer_in_the_2xx() -> None:
    """RFC 3261 13.2.1: an offer in the 2xx: the answer is in its ACK, which therefore waits."""
    link, alice, peer = alone()
    session = alice.call(peer, offer=b"")
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 200, "t", ANSWER)
    assert alice.kinds() == ["Offered", "SessionAnswered"]
    assert alice.of(Offered)[0].where == "2xx"
    assert session.remote_offer == ANSWER
    assert session.state is State.ACCEPTED
    assert requests_of(link, "ACK") == []
    answer_by_hand(alice, invite, 200, "t", ANSWER)
    assert requests_of(link, "ACK") == []
    alice.do(session.answer, OFFER)
    (ack,) = requests_of(link, "ACK")
    assert ack.body == OFFER
    assert ack.content_type == "application/sdp"
    assert session.state is State.CONFIRMED
    answer_by_hand(alice, invite, 200, "t", ANSWER)
    assert [r.body for r in requests_of(link, "ACK")] == [OFFER, OFFER]


def test_refused_offer_in_the_2xx_is_ack_and_bye() -> None:
    """RFC 3261 13.2.2.4: ACK, "and then send a BYE immediately"."""
    link, alice, peer = alone()
    session = alice.call(peer, offer=b"")
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 200, "t", ANSWER)
    alice.do(session.reject_offer, 488)
    assert link.said(alice)[-2:] == ["ACK", "BYE"]
    assert alice.kinds()[-1] == "SessionEnded"


@pytest.mark.parametrize("offer", [OFFER, b""])
def test_2xx_without_sdp_ends_the_session(offer: bytes) -> None:
    """RFC 3261 13.2.1: the 2xx must hold the answer, or the offer: else ACK and BYE."""
    link, alice, peer = alone()
    alice.call(peer, offer=offer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 200, "t")
    assert link.said(alice)[-2:] == ["ACK", "BYE"]
    assert alice.kinds() == ["SessionEnded"]
    assert alice.of(SessionEnded)[0].cause == "bad-sdp"


def test_first_description_counts_when_the_2xx_has_none() -> None:
    """RFC 3261 13.2.1: "The UAC MUST treat the first session description it receives as the answer"."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 183, "t", ANSWER)
    answer_by_hand(alice, invite, 200, "t")
    assert session.state is State.CONFIRMED
    assert alice.of(SessionAnswered)[0].sdp == ANSWER


def test_failure_is_told_with_its_headers() -> None:
    """3xx and others reach the application with their headers (Contact, Retry-After, Reason)."""
    link, alice, peer = alone()
    alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 302, "t", contact="<sip:elsewhere@192.0.2.9>;q=0.5")
    (failed,) = alice.of(SessionFailed)
    assert failed.status == 302
    assert ("Contact", "<sip:elsewhere@192.0.2.9>;q=0.5") in failed.headers
    link.run(64)
    alice.assert_idle()


def test_no_answer_at_all_is_408() -> None:
    """RFC 3261 8.1.3.1: a timeout is treated as 408."""
    link, alice, peer = alone()
    alice.call(peer)
    link.run(40)
    assert alice.of(SessionFailed)[0].status == 408
    alice.assert_idle()


# --- CANCEL (9.1) ------------------------------------------------------------------------------------------------


def test_cancel_before_any_response_waits_for_the_first() -> None:
    """RFC 3261 9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent"."""
    link, alice, peer = alone()
    session = alice.call(peer)
    alice.do(session.cancel, reason='SIP;cause=200;text="Call completed elsewhere"')
    link.run(0.2)
    assert "CANCEL" not in link.said()
    (invite, *_) = link.seen("INVITE")
    answer_by_hand(alice, invite, 180, "t")
    (cancel,) = requests_of(link, "CANCEL")
    assert cancel.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    answer_by_hand(alice, invite, 487, "t")
    assert alice.kinds() == ["SessionFailed"]
    assert alice.of(SessionFailed)[0].status == 487
    link.run(64)
    alice.assert_idle()


def test_2xx_crossing_the_cancel_is_acked_and_byed() -> None:
    """RFC 3261 9.1, 15: the 2xx made a session; it is ended with BYE, and the application hears of a 487."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 180, "t")
    alice.do(session.hangup)
    answer_by_hand(alice, invite, 200, "t", ANSWER)
    assert link.said(alice) == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert [event.status for event in alice.of(SessionFailed)] == [487]
    answer_by_hand(alice, invite, 200, "t", ANSWER)
    assert link.said(alice)[-1] == "ACK"
    answer_by_hand(alice, link.seen("BYE")[0], 200, "t")
    link.run(64)
    alice.assert_idle()
    assert alice.kinds() == ["SessionProgress", "SessionFailed"]


def test_failure_crossing_the_cancel_is_told_as_it_is() -> None:
    """RFC 3261 9.1: a CANCEL has no effect on a request that has its final response."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 180, "t")
    alice.do(session.cancel)
    answer_by_hand(alice, invite, 486, "t")
    assert [event.status for event in alice.of(SessionFailed)] == [486]


def test_no_final_response_after_cancel() -> None:
    """RFC 3261 9.1: "If there is no final response for the original request in 64*T1 seconds ..., the client
    SHOULD then consider the original transaction cancelled"."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 180, "t")
    alice.do(session.cancel)
    link.run(40)
    assert [event.status for event in alice.of(SessionFailed)] == [487]
    alice.assert_idle()


def test_expires_cancels() -> None:
    """RFC 3261 13.2.1: the time of Expires reached without a final answer: CANCEL."""
    link, alice, peer = alone()
    alice.call(peer, expires=20)
    (invite,) = link.seen("INVITE")
    assert invite.message.expires == 20
    answer_by_hand(alice, invite, 180, "t")
    link.run(19)
    assert "CANCEL" not in link.said()
    link.run(2)
    assert "CANCEL" in link.said()


def test_methods_after_the_end_do_nothing() -> None:
    """The application may act before it has seen the last event."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 486, "t")
    count = len(link.wire)
    for act in (session.cancel, session.hangup):
        alice.do(act)
    session.answer(ANSWER, link.now)
    session.offer(ANSWER, link.now)
    session.reject_offer(488, link.now)
    session.send_info("text/plain", b"", link.now)
    assert len(link.wire) == count


def test_wrong_calls_are_our_mistake() -> None:
    """Roles and states: WrongState, never a message on the wire."""
    link, alice, peer = alone()
    session = alice.call(peer)
    count = len(link.wire)
    for wrong in (
        lambda: session.progress(180, None, link.now),
        lambda: session.accept(None, link.now),
        lambda: session.reject(486, None, (), link.now),
        lambda: session.answer(ANSWER, link.now),
        lambda: session.reject_offer(488, link.now),
        lambda: session.offer(ANSWER, link.now),
        lambda: session.send_info("text/plain", b"", link.now),
    ):
        with pytest.raises(WrongState):
            wrong()
    link.settle()
    assert len(link.wire) == count


# --- challenges (22), 422 --------------------------------------------------------------------------------------------

CHALLENGE = ("Proxy-Authenticate", 'Digest realm="trunk", nonce="n1", algorithm=MD5, qop="auth"')


def test_challenged_invite_goes_again_and_ack_carries_the_credentials() -> None:
    """RFC 3261 22.3, 8.1.3.5: CSeq one higher, same Call-ID and From; 13.2.2.4: the same credentials in the ACK."""
    link, alice, peer = alone()
    session = alice.call(peer, credentials=Credentials("alice", "secret", "trunk"))
    (first,) = link.seen("INVITE")
    answer_by_hand(alice, first, 407, "t", headers=(CHALLENGE,))
    _, second = link.seen("INVITE")
    assert second.message.cseq.number == first.message.cseq.number + 1
    assert second.message.call_id == first.message.call_id
    assert second.message.from_tag == first.message.from_tag
    assert second.message.body == OFFER
    credentials = second.message.get("Proxy-Authorization")
    assert credentials is not None
    assert 'realm="trunk"' in credentials
    answer_by_hand(alice, second, 200, "u", ANSWER)
    ack = requests_of(link, "ACK")[-1]
    assert ack.get("Proxy-Authorization") == credentials
    assert ack.cseq.number == second.message.cseq.number
    assert session.state is State.CONFIRMED
    alice.do(session.hangup)
    bye = link.seen("BYE")[0]
    assert bye.message.cseq.number == second.message.cseq.number + 1
    answer_by_hand(alice, bye, 407, "u", headers=(CHALLENGE,))
    assert len(link.seen("BYE")) == 2
    assert "nc=0000000" in (link.seen("BYE")[1].message.get("Proxy-Authorization") or "")


def test_endless_challenges_end_after_two_tries() -> None:
    """THREATS 8: two tries with credentials at most."""
    link, alice, peer = alone()
    alice.call(peer, credentials=Credentials("alice", "wrong", "trunk"))
    for n in range(6):
        invites = link.seen("INVITE")
        if len(invites) <= n:
            break
        nonce = CHALLENGE[1].replace("n1", f"n{n}")
        answer_by_hand(alice, invites[n], 407, "t", headers=(("Proxy-Authenticate", nonce),))
    assert len(link.seen("INVITE")) == 3
    assert [event.status for event in alice.of(SessionFailed)] == [407]


def test_another_realm_gets_no_credentials() -> None:
    """THREATS 7: credentials only for the realm they are bound to."""
    link, alice, peer = alone()
    alice.call(peer, credentials=Credentials("alice", "secret", "trunk"))
    (first,) = link.seen("INVITE")
    challenge = ("Proxy-Authenticate", 'Digest realm="evil", nonce="n", algorithm=MD5')
    answer_by_hand(alice, first, 407, "t", headers=(challenge,))
    assert len(link.seen("INVITE")) == 1
    assert [event.status for event in alice.of(SessionFailed)] == [407]


def test_first_realm_binds_the_session() -> None:
    """Credentials of any realm answer the first challenge's realm only, also in the BYE (THREATS 7)."""
    link, alice, peer = alone()
    session = alice.call(peer, credentials=Credentials("alice", "secret", ""))
    answer_by_hand(alice, link.seen("INVITE")[0], 407, "t", headers=(CHALLENGE,))
    answer_by_hand(alice, link.seen("INVITE")[1], 200, "u", ANSWER)
    alice.do(session.hangup)
    challenge = ("WWW-Authenticate", 'Digest realm="other", nonce="n", algorithm=MD5')
    answer_by_hand(alice, link.seen("BYE")[0], 401, "u", headers=(challenge,))
    assert len(link.seen("BYE")) == 1


def test_422_is_retried_with_its_min_se() -> None:
    """RFC 4028 7.3: the request again with Session-Expires and Min-SE of at least that."""
    link, alice, peer = alone(UaSettings(session_expires=600))
    session = alice.call(peer)
    answer_by_hand(alice, link.seen("INVITE")[0], 422, "t", headers=(("Min-SE", "1200"),))
    second = link.seen("INVITE")[1].message
    assert second.get("Session-Expires") == "1200"
    assert second.get("Min-SE") == "1200"
    answer_by_hand(alice, link.seen("INVITE")[1], 422, "t", headers=(("Min-SE", "1200"),))
    assert len(link.seen("INVITE")) == 2
    assert session.state is State.ENDED


# --- requests of the callee before the 2xx ---------------------------------------------------------------------------


def test_bye_before_the_2xx() -> None:
    """All 2xx were lost and the callee gave up: 200 to its BYE, the INVITE is cancelled, one SessionEnded."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 180, "t")
    alice.inject(
        "BYE sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKbye;rport\r\n"
        f"From: <sip:bob@{PEER}>;tag=t\r\nTo: <sip:alice@192.0.2.1>;tag={session.local_tag}\r\n"
        f"Call-ID: {session.call_id}\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\nReason: Q.850;cause=31\r\n"
        "Content-Length: 0\r\n\r\n",
        sender=PEER,
    )
    assert link.said(alice)[-2:] == ["200 BYE", "CANCEL"]
    assert [(event.cause, event.reason) for event in alice.of(SessionEnded)] == [("bye", "Q.850;cause=31")]
    answer_by_hand(alice, invite, 487, "t")
    link.run(64)
    alice.assert_idle()
    assert len(alice.of(SessionFailed)) == 0


def test_flow_destination_is_kept_for_the_dialog() -> None:
    """A phone behind a NAT is reached by its flow, whatever its Contact says."""
    link, alice, _ = alone()
    flow = Flow("udp", ("192.0.2.1", 5060), ("203.0.113.9", 33000), 0)
    request = Request("INVITE", "sip:bob@10.0.0.5", [("From", "<sip:a@x>"), ("To", "<sip:b@y>")], OFFER)
    session = alice.ua.invite(request, link.now, flow, "alice")
    link.settle()
    answer_by_hand(alice, link.seen("INVITE")[0], 200, "t", ANSWER, contact="<sip:bob@10.0.0.5>")
    alice.do(session.hangup)
    assert {seen.receiver for seen in link.wire} == {"203.0.113.9"}
    assert link.seen("BYE")[0].message.uri == "sip:bob@10.0.0.5"


# --- exchanges in early dialogs that lose ---------------------------------------------------------------------------

RELIABLE = (("Require", "100rel"), ("RSeq", "1"), ("Allow", "INVITE, ACK, BYE, PRACK, UPDATE"))


def test_offer_of_a_losing_branch_is_void() -> None:
    """RFC 3261 13.2.2.4: the other early dialogs are gone with the 2xx, and so are their offers, either way."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 183, "one", sdp("one", 1), RELIABLE)
    alice.do(session.offer, sdp("a", 2))
    answer_by_hand(alice, invite, 200, "two", sdp("two", 1))
    assert alice.kinds() == ["SessionProgress", "OfferFailed", "SessionAnswered"]
    assert session.can_offer
    answer_by_hand(alice, link.seen("UPDATE")[0], 481, "one")
    answer_by_hand(alice, link.seen("PRACK")[0], 481, "one")
    assert session.state is State.CONFIRMED


def test_offer_of_the_peer_in_a_losing_branch_is_withdrawn() -> None:
    link, alice, peer = alone()
    session = alice.call(peer, offer=b"")
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 183, "one", sdp("one", 1), RELIABLE)
    assert session.offer_pending
    # Another branch's offer waits its turn: its 18x is not acknowledged, so it will come again (RFC 3262 4).
    answer_by_hand(alice, invite, 183, "three", sdp("three", 1), RELIABLE)
    assert alice.kinds() == ["Offered", "SessionProgress"]
    answer_by_hand(alice, invite, 200, "two", sdp("two", 1))
    assert alice.kinds()[2:] == ["OfferWithdrawn", "Offered", "SessionAnswered"]
    alice.do(session.answer, OFFER)
    assert session.state is State.CONFIRMED
    assert link.seen("PRACK") == []


def test_18x_during_an_early_update_is_not_its_answer() -> None:
    """RFC 3311: the answer to an UPDATE is in its own 2xx."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 183, "one", sdp("one", 1), RELIABLE)
    alice.do(session.offer, sdp("a", 2))
    second = (("Require", "100rel"), ("RSeq", "2"))
    answer_by_hand(alice, invite, 183, "one", sdp("one", 1), second)
    answer_by_hand(alice, invite, 200, "one")
    assert session.state is State.CONFIRMED
    assert not session.can_offer
    answer_by_hand(alice, link.seen("UPDATE")[0], 200, "one", sdp("one", 2))
    assert alice.kinds()[-1] == "AnswerReceived"
    assert session.can_offer


def test_challenged_prack_goes_again() -> None:
    """RFC 3261 22.2 for PRACK."""
    link, alice, peer = alone()
    alice.call(peer, credentials=Credentials("alice", "secret", "trunk"))
    answer_by_hand(alice, link.seen("INVITE")[0], 183, "t", ANSWER, RELIABLE)
    answer_by_hand(alice, link.seen("PRACK")[0], 407, "t", headers=(CHALLENGE,))
    first, second = link.seen("PRACK")
    assert second.message.get("RAck") == first.message.get("RAck")
    assert second.message.get("Proxy-Authorization")


def test_one_branch_of_a_fork_lost_leaves_the_others() -> None:
    """RFC 5057 5: 481 ends that early dialog; the INVITE goes on while another is left, else it is cancelled."""
    link, alice, peer = alone()
    session = alice.call(peer)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 183, "one", ANSWER, RELIABLE)
    answer_by_hand(alice, invite, 183, "two", ANSWER, RELIABLE)
    answer_by_hand(alice, link.seen("PRACK")[1], 481, "two")
    assert session.remote_tag == "one"
    assert session.state is State.EARLY
    assert len(alice.ua.dialogs) == 1
    answer_by_hand(alice, link.seen("PRACK")[0], 481, "one")
    assert "CANCEL" in link.said(alice)


def test_too_many_early_dialogs() -> None:
    """A bound on what one INVITE may make: later tags are told, and have no dialog."""
    link, alice, peer = alone()
    alice.call(peer)
    (invite,) = link.seen("INVITE")
    for n in range(40):
        answer_by_hand(alice, invite, 180, f"t{n}")
    assert len(alice.ua.dialogs) == 32
    assert len(alice.of(SessionProgress)) == 40


def test_unreadable_contact_in_a_2xx() -> None:
    """No dialog can be made: the call fails, and nothing is left."""
    link, alice, peer = alone()
    alice.call(peer)
    answer_by_hand(alice, link.seen("INVITE")[0], 200, "t", ANSWER, contact="<sip:>")
    assert [event.status for event in alice.of(SessionFailed)] == [502]
    link.run(64)
    alice.assert_idle()

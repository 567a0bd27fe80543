"""The called side: 2xx until ACK, CANCEL, BYE, rejections (RFC 3261 13.3, 9.2, 15)."""

from __future__ import annotations

import pytest
from virtual_link import ANSWER, OFFER, Link, Node, Seen

from sip.errors import SipError
from sip.invite import InviteSession, State
from sip.offer_answer import WrongState
from sip.ua import UaSettings
from sip.ua_events import (
    AnswerReceived,
    Cancelled,
    SessionEnded,
    SessionFailed,
)
from sip.uas import Refused


def ringing(
    offer: bytes = OFFER, settings: UaSettings | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> tuple[Link, Node, Node, InviteSession, InviteSession]:
    """A call from alice that has arrived at bob."""
    link = Link()
    alice, bob = link.node("192.0.2.1"), link.node("192.0.2.2", settings)
    caller = alice.call(bob, offer, headers)
    link.run(0.05)
    return link, alice, bob, caller, bob.session()


def test_2xx_is_retransmitted_until_the_ack() -> None:
    """RFC 3261 13.3.1.4: "an interval that starts at T1 seconds and doubles ... until it reaches T2 seconds"."""
    link, _, bob, _, callee = ringing()
    link.lose("ACK")
    start = link.now
    bob.do(callee.accept, ANSWER)
    link.run(12.2)
    at = [round(seen.at - start, 1) for seen in link.seen("200 INVITE")]
    assert at == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5]
    link.lose()
    link.run(4.1)
    assert callee.state is State.CONFIRMED
    assert len(link.seen("200 INVITE")) == 7
    assert bob.kinds() == ["SessionArrived", "SessionConfirmed"]


def test_2xx_never_acked_ends_with_bye_after_64_t1() -> None:
    """RFC 3261 13.3.1.4: "If the server retransmits the 2xx response for 64*T1 seconds without receiving an ACK, the
    dialog is confirmed, but the session SHOULD be terminated. This is accomplished with a BYE"."""
    link, alice, bob, _, callee = ringing()
    link.lose("ACK")
    bob.do(callee.accept, ANSWER)
    link.run(31.9)
    assert "SessionEnded" not in bob.kinds()
    link.run(0.3)
    assert [event.cause for event in bob.of(SessionEnded)] == ["no-ack"]
    assert "BYE" in link.said(bob)
    link.run(70)
    alice.assert_idle()
    bob.assert_idle()


def test_hangup_between_2xx_and_ack_waits_for_the_ack() -> None:
    """RFC 3261 15: "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK for its 2xx
    response or until the server transaction times out."."""
    link, alice, bob, _, callee = ringing()
    link.lose("ACK", times=2)
    bob.do(callee.accept, ANSWER)
    bob.do(callee.hangup, reason="Q.850;cause=41")
    assert bob.kinds()[-1] == "SessionEnded"
    link.run(0.1)
    assert "BYE" not in link.said(bob)
    link.run(3)
    (bye,) = link.seen("BYE")
    assert bye.sender == bob.host
    assert bye.message.get("Reason") == "Q.850;cause=41"
    assert "SessionConfirmed" not in bob.kinds()
    assert alice.kinds()[-1] == "SessionEnded"
    link.run(64)
    bob.assert_idle()


def test_caller_may_bye_before_its_ack_arrives() -> None:
    """A BYE that overtakes the ACK ends the session: no more 2xx (RFC 3261 15.1.2)."""
    link, alice, bob, caller, callee = ringing()
    link.lose("ACK")
    bob.do(callee.accept, ANSWER)
    link.run(0.05)
    alice.do(caller.hangup)
    link.run(0.05)
    count = len(link.seen("200 INVITE"))
    link.run(40)
    assert len(link.seen("200 INVITE")) == count
    assert [event.cause for event in bob.of(SessionEnded)] == ["bye"]


def test_cancel_while_ringing() -> None:
    """RFC 3261 9.2: 200 to the CANCEL, 487 to the INVITE; RFC 3326: its Reason reaches the application."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.progress, 180, None)
    link.run(0.05)
    alice.do(caller.cancel, reason='SIP;cause=200;text="Call completed elsewhere"')
    link.run(0.1)
    assert link.said(bob)[-2:] == ["200 CANCEL", "487 INVITE"]
    assert [event.reason for event in bob.of(Cancelled)] == ['SIP;cause=200;text="Call completed elsewhere"']
    assert [event.status for event in alice.of(SessionFailed)] == [487]
    tags = {seen.message.to_tag for seen in link.wire if seen.sender == bob.host and not seen.what.startswith("100")}
    assert len(tags) == 1
    link.run(64)
    alice.assert_idle()
    bob.assert_idle()


def test_cancel_crossing_the_2xx() -> None:
    """RFC 3261 9.2: a CANCEL after the final response has no effect; the caller then ACKs and BYEs."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.progress, 180, None)
    link.run(0.05)
    bob.do(callee.accept, ANSWER)
    alice.do(caller.cancel)
    link.run(0.2)
    assert bob.kinds() == ["SessionArrived", "SessionConfirmed", "SessionEnded"]
    assert [event.status for event in alice.of(SessionFailed)] == [487]
    link.run(64)
    alice.assert_idle()
    bob.assert_idle()


def test_actions_after_cancel_do_nothing() -> None:
    """The CANCEL may have come before the application has seen it."""
    link, alice, _bob, caller, callee = ringing()
    alice.do(caller.cancel)
    link.run(0.1)
    count = len(link.wire)
    for act in (
        lambda: callee.progress(180, None, link.now),
        lambda: callee.accept(ANSWER, link.now),
        lambda: callee.reject(486, None, (), link.now),
        lambda: callee.hangup(link.now),
    ):
        act()
    link.settle()
    assert len(link.wire) == count


def test_reject() -> None:
    """A final response with the application's headers; `SessionEnded(cause="rejected")`."""
    link, alice, bob, _, callee = ringing()
    bob.do(callee.reject, 503, "Draining", (("Retry-After", "30"), ("Reason", "Q.850;cause=42")))
    link.run(0.1)
    (failed,) = alice.of(SessionFailed)
    assert (failed.status, failed.reason) == (503, "Draining")
    assert ("Retry-After", "30") in failed.headers
    [ended] = bob.of(SessionEnded)
    assert (ended.cause, ended.status, ended.reason) == ("rejected", 503, "Q.850;cause=42")
    assert not bob.ua.sessions


def test_hangup_of_a_ringing_uas_is_a_final_response() -> None:
    """RFC 3261 15: "the callee's UA MUST NOT send a BYE on [an early dialog]"."""
    link, alice, bob, _, callee = ringing()
    bob.do(callee.progress, 180, None)
    bob.do(callee.hangup, status=480, reason="Q.850;cause=18")
    link.run(0.1)
    (failed,) = alice.of(SessionFailed)
    assert failed.status == 480
    assert ("Reason", "Q.850;cause=18") in failed.headers


def test_bye_on_the_early_dialog() -> None:
    """RFC 3261 15.1.2: 200 to the BYE, 487 to the pending INVITE."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.progress, 180, None)
    link.run(0.05)
    bye = caller.dialog.request("BYE", (("Reason", "Q.850;cause=16"),))
    alice.stack.send(bye, link.now)
    link.run(0.1)
    assert link.said(bob)[-2:] == ["200 BYE", "487 INVITE"]
    assert [(event.cause, event.reason) for event in bob.of(SessionEnded)] == [("bye", "Q.850;cause=16")]


def test_offer_in_the_2xx_is_answered_in_the_ack() -> None:
    """RFC 3261 13.2.1: no offer in the INVITE: the 2xx has it, the ACK the answer."""
    link, alice, bob, caller, callee = ringing(offer=b"")
    assert callee.remote_offer is None
    with pytest.raises(WrongState):
        callee.accept(None, link.now)
    bob.do(callee.accept, OFFER)
    link.run(0.05)
    alice.do(caller.answer, ANSWER)
    link.run(0.05)
    assert bob.kinds() == ["SessionArrived", "AnswerReceived", "SessionConfirmed"]
    assert bob.of(AnswerReceived)[0].sdp == ANSWER


def test_ack_without_the_answer_ends_the_session() -> None:
    """RFC 3261 13.2.1: the ACK had to hold the answer: BYE."""
    link, alice, bob, caller, callee = ringing(offer=b"")
    bob.do(callee.accept, OFFER)
    link.run(0.05)
    alice.do(caller.hangup)  # ACK without SDP, then BYE; the BYE is lost
    link.lose("BYE", times=1)
    link.run(0.1)
    assert [event.cause for event in bob.of(SessionEnded)] == ["bad-sdp"] or bob.of(SessionEnded)[0].cause == "bye"


def test_expires_of_the_invite() -> None:
    """RFC 3261 13.3.1: the invitation expires: 487."""
    link, alice, bob, _, callee = ringing(headers=(("Expires", "10"),))
    bob.do(callee.progress, 180, None)
    link.run(11)
    assert bob.kinds() == ["SessionArrived", "Cancelled"]
    assert [event.status for event in alice.of(SessionFailed)] == [487]


def test_provisional_is_repeated_every_minute() -> None:
    """RFC 3261 13.3.1.1: "the UAS MUST send a non-100 provisional response at every minute"."""
    link, _, bob, _, callee = ringing()
    bob.do(callee.progress, 180, None)
    link.run(150)
    assert len(link.seen("180 INVITE")) == 3
    bob.do(callee.reject, 486, None, ())
    link.run(70)
    assert len(link.seen("180 INVITE")) == 3


def test_answer_shown_before_is_sent_in_the_2xx() -> None:
    """RFC 3261 13.2.1: the answer of an unreliable 18x is the same in the 2xx."""
    link, alice, bob, caller, callee = ringing(settings=UaSettings(reliable_progress=False))
    bob.do(callee.progress, 183, ANSWER)
    bob.do(callee.accept, None)
    link.run(0.1)
    assert [seen.message.body for seen in link.wire if seen.what in ("183 INVITE", "200 INVITE")] == [ANSWER, ANSWER]
    assert caller.state is State.CONFIRMED
    assert alice.of(SessionFailed) == []


def test_out_of_order_cseq_is_500() -> None:
    """RFC 3261 12.2.2: a lower CSeq than the last "MUST be rejected with a 500"."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.accept, ANSWER)
    link.run(0.1)
    info = caller.dialog.request("INFO", cseq=1)
    info.set("CSeq", f"{callee.dialog.remote_cseq - 1} INFO")
    alice.stack.send(info, link.now)
    link.run(0.1)
    assert link.said(bob)[-1] == "500 INFO"


def test_tags_and_call_id_must_match() -> None:
    """RFC 3261 12.2.2: no dialog of that Call-ID and both tags: 481, and the session goes on."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.accept, ANSWER)
    link.run(0.1)
    for header, value in (
        ("Call-ID", "another"),
        ("From", "<sip:alice@192.0.2.1>;tag=another"),
        ("To", "<sip:bob@192.0.2.2>;tag=another"),
    ):
        bye = caller.dialog.request("BYE")
        bye.set(header, value)
        alice.stack.send(bye, link.now)
        link.run(0.1)
        assert link.said(bob)[-1] == "481 BYE"
    assert callee.state is State.CONFIRMED


def test_info_is_answered_and_told() -> None:
    """RFC 6086: legacy INFO 200; an Info-Package that we did not ask for 469."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.accept, ANSWER)
    link.run(0.1)
    alice.do(caller.send_info, "application/dtmf-relay", b"Signal=5\r\n")
    link.run(0.1)
    assert link.said(bob)[-1] == "200 INFO"
    (told,) = [event for event in bob.events if type(event).__name__ == "InfoReceived"]
    assert (told.content_type, told.body) == ("application/dtmf-relay", b"Signal=5\r\n")
    alice.stack.send(caller.dialog.request("INFO", (("Info-Package", "x"),)), link.now)
    link.run(0.1)
    assert link.said(bob)[-1] == "469 INFO"


def test_info_that_the_application_refuses_gets_its_status() -> None:
    """RFC 3261 8.2.3: 415 for a body that is not understood; the application is not told of it."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.accept, ANSWER)
    link.run(0.1)

    def judge(content_type: str, body: bytes) -> None:
        if content_type != "application/dtmf":
            raise Refused(415, "Unsupported Media Type", ("Accept", "application/dtmf"))
        if body != b"1":
            raise SipError(400, "no digit")

    bob.ua.judge_info = judge
    for content_type, body, status in (("text/plain", b"1", 415), ("application/dtmf", b"x", 400)):
        alice.do(caller.send_info, content_type, body)
        link.run(0.1)
        assert link.said(bob)[-1] == f"{status} INFO"
    assert not [event for event in bob.events if type(event).__name__ == "InfoReceived"]
    alice.do(caller.send_info, "application/dtmf", b"1")
    link.run(0.1)
    assert link.said(bob)[-1] == "200 INFO"
    assert callee.state is State.CONFIRMED
    assert caller.state is State.CONFIRMED


@pytest.mark.parametrize(("status", "cause"), [(481, "gone"), (408, "timeout"), (404, "gone")])
def test_response_that_ends_the_dialog(status: int, cause: str) -> None:
    """RFC 3261 12.2.1.2 and RFC 5057 5.1: 481, 408 and the like to a request inside end the session, with a BYE."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.accept, ANSWER)
    link.run(0.1)
    link.nodes.pop(bob.host)
    alice.do(caller.send_info, "text/plain", b"x")
    (info,) = link.seen("INFO")
    respond(alice, info, status)
    assert [(event.cause, event.status) for event in alice.of(SessionEnded)] == [(cause, status)]
    assert link.said(alice)[-1] == "BYE"


def test_no_answer_to_a_request_inside_ends_the_session() -> None:
    """RFC 3261 12.2.1.2: no response at all: as 408."""
    link, alice, bob, caller, callee = ringing()
    bob.do(callee.accept, ANSWER)
    link.run(0.1)
    link.nodes.pop(bob.host)
    alice.do(caller.send_info, "text/plain", b"x")
    link.run(33)
    assert [event.cause for event in alice.of(SessionEnded)] == ["timeout"]
    link.run(70)
    alice.assert_idle()


def respond(node: Node, request: Seen, status: int) -> None:
    from virtual_link import answer_by_hand

    answer_by_hand(node, request, status, "")


def test_contact_of_ours_is_the_called_user() -> None:
    """RFC 3261 12.1.1: Contact in 18x and 2xx; Record-Route copied; Allow and Supported in the 2xx (13.3.1.4)."""
    link, _, bob, _, callee = ringing(headers=(("Record-Route", "<sip:192.0.2.60;lr>, <sip:192.0.2.61;lr>"),))
    bob.do(callee.progress, 180, None)
    bob.do(callee.accept, ANSWER)
    for what in ("180 INVITE", "200 INVITE"):
        message = link.seen(what)[0].message
        assert message.get("Contact") == "<sip:bob@192.0.2.2:5060>"
        assert message.values("Record-Route") == ["<sip:192.0.2.60;lr>", "<sip:192.0.2.61;lr>"]
    assert "UPDATE" in link.seen("200 INVITE")[0].message.allow
    assert callee.dialog.routes == ("<sip:192.0.2.60;lr>", "<sip:192.0.2.61;lr>")

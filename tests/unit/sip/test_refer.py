"""REFER in and outside a session's dialog (RFC 3515, RFC 4488, RFC 5057), two user agents back to back."""

from __future__ import annotations

import gc

import pytest
from virtual_link import ANSWER, Link, Node, Seen, answer_by_hand

from sip.digest import Credentials
from sip.effects import Flow
from sip.errors import SipError
from sip.invite import InviteSession, WrongState
from sip.message import Request
from sip.notifier import ReceivedRefer
from sip.outgoing import InDialog
from sip.referral import Referral
from sip.timers import TimerConfig
from sip.transfer_headers import Replaces
from sip.ua import UaSettings
from sip.ua_events import (
    ReferAnswered,
    ReferArrived,
    ReferProgress,
    ReferReceived,
    ReferSubscriptionEnded,
    SessionEnded,
)
from sip.usages import MAX_PER_DIALOG, DialogUsages

REFERRING = UaSettings(refer=True)
STRANGER = Request("X", "", [("From", "<sip:x@192.0.2.99>;tag=x"), ("To", "<sip:bob@192.0.2.2>"), ("Call-ID", "c")])
TARGET = "<sip:carol@192.0.2.3>"


def talking(bobs: UaSettings = REFERRING) -> tuple[Link, Node, Node, InviteSession, InviteSession]:
    """Alice called Bob, who has answered."""
    link = Link()
    alice, bob = link.node("192.0.2.1", REFERRING), link.node("192.0.2.2", bobs)
    caller = alice.call(bob)
    link.run(0.05)
    callee = bob.session()
    bob.do(callee.accept, ANSWER)
    link.run(0.1)
    alice.take()
    bob.take()
    link.wire.clear()
    return link, alice, bob, caller, callee


def refer(link: Link, session: InviteSession, refer_to: str = TARGET, **more: object) -> int:
    token = session.refer(refer_to, "<sip:alice@192.0.2.1>", link.now, **more)  # type: ignore[arg-type]
    link.run(0.05)
    return token


def told(node: Node) -> list[tuple[int, bool]]:
    return [(event.status, event.over) for event in node.of(ReferProgress)]


def states(link: Link) -> list[str]:
    return [seen.message.get("Subscription-State") or "" for seen in link.seen("NOTIFY")]


def ended_idle(link: Link, *nodes: Node, seconds: float = 64) -> None:
    link.run(seconds)
    for node in nodes:
        node.assert_idle()


def test_blind_transfer() -> None:
    """RFC 3515 4.1: REFER, 202, NOTIFY 100, NOTIFY 200; the session stays until it is ended."""
    link, alice, bob, caller, callee = talking()
    token = refer(link, caller)
    (received,) = bob.of(ReferReceived)
    assert received.session is callee
    assert (str(received.refer_to.uri), received.refer_to.method) == ("sip:carol@192.0.2.3", "INVITE")
    assert received.referred_by is not None
    assert str(received.referred_by.uri) == "sip:alice@192.0.2.1"
    assert received.wants_sub
    assert alice.events == []
    bob.do(callee.accept_refer)
    link.run(0.1)
    bob.do(callee.notify_refer, received.refer.token, 180, None)
    link.run(0.1)
    bob.do(callee.notify_refer, received.refer.token, 200, "OK")
    link.run(0.1)
    (answered,) = alice.of(ReferAnswered)
    assert (answered.token, answered.status, answered.subscribed) == (token, 202, True)
    assert told(alice) == [(100, False), (180, False), (200, True)]
    assert link.said() == ["REFER", "202 REFER", *["NOTIFY", "200 NOTIFY"] * 3]
    cseq = link.seen("REFER")[0].message.cseq.number
    first, _, last = link.seen("NOTIFY")
    assert first.message.get("Event") == f"refer;id={cseq}"
    assert first.message.get("Content-Type") == "message/sipfrag;version=2.0"
    assert first.message.body == b"SIP/2.0 100 Trying\r\n"
    assert first.message.contact is not None
    assert states(link) == ["active;expires=180", "active;expires=180", "terminated;reason=noresource"]
    assert last.message.body == b"SIP/2.0 200 OK\r\n"
    assert link.seen("202 REFER")[0].message.contact is not None
    assert not bob.of(ReferSubscriptionEnded)
    assert not len(alice.ua.usages)
    assert not len(bob.ua.usages)
    alice.do(caller.hangup)
    ended_idle(link, alice, bob)


def test_notifies_go_on_after_the_bye() -> None:
    """RFC 5057 3: the dialog outlives the session while the subscription is there, on both sides."""
    link, alice, bob, caller, callee = talking()
    refer(link, caller)
    (received,) = bob.of(ReferReceived)
    bob.do(received.refer.accept)
    link.run(0.1)
    alice.do(caller.hangup)
    link.run(0.1)
    assert not alice.ua.sessions
    assert not bob.ua.sessions
    bob.do(callee.notify_refer, received.refer.token, 180, "Ringing")
    link.run(0.1)
    bob.do(received.refer.notify, 603, "Decline")
    link.run(0.1)
    assert told(alice) == [(100, False), (180, False), (603, True)]
    assert "481 NOTIFY" not in link.said()
    ended_idle(link, alice, bob)


def test_rejected() -> None:
    link, alice, bob, caller, callee = talking()
    token = refer(link, caller)
    bob.do(callee.reject_refer, 603)
    link.run(0.1)
    assert [(e.token, e.status, e.subscribed) for e in alice.of(ReferAnswered)] == [(token, 603, False)]
    assert not len(bob.ua.usages)
    # An answer after the answer does nothing.
    bob.do(callee.accept_refer)
    bob.do(bob.of(ReferReceived)[0].refer.accept)
    bob.do(callee.notify_refer, 1, 200, None)
    assert link.said() == ["REFER", "603 REFER"]
    alice.do(caller.hangup)
    ended_idle(link, alice, bob)


def test_no_subscription_wanted() -> None:
    """RFC 4488 4: Refer-Sub: false in the 2xx, and no NOTIFY."""
    link, alice, bob, caller, callee = talking()
    refer(link, caller, sub=False)
    (received,) = bob.of(ReferReceived)
    assert not received.wants_sub
    bob.do(callee.accept_refer)
    bob.do(received.refer.notify, 200, None)
    link.run(0.1)
    assert link.said() == ["REFER", "202 REFER"]
    assert link.seen("202 REFER")[0].message.get("Refer-Sub") == "false"
    assert [e.subscribed for e in alice.of(ReferAnswered)] == [False]
    alice.do(caller.hangup)
    ended_idle(link, alice, bob)


def test_several_at_once_have_ids() -> None:
    """RFC 3515 2.4.6: the CSeq number of the REFER tells its NOTIFYs from others."""
    link, alice, bob, caller, callee = talking()
    one, two = refer(link, caller), refer(link, caller, "<sip:dave@192.0.2.4>")
    first, second = [event.refer for event in bob.of(ReferReceived)]
    assert first.token != second.token
    bob.do(callee.accept_refer, token=second.token)
    bob.do(callee.accept_refer)
    link.run(0.1)
    bob.do(second.notify, 404, None)
    bob.do(first.notify, 200, None)
    link.run(0.1)
    last = {event.token: event.status for event in alice.of(ReferProgress) if event.over}
    assert last == {one: 200, two: 404}
    alice.do(caller.hangup)
    ended_idle(link, alice, bob)


def test_one_notify_at_a_time_and_the_latest_state() -> None:
    link, alice, bob, caller, callee = talking()
    refer(link, caller)
    bob.do(callee.accept_refer)
    for status in (180, 183, 200):
        bob.do(callee.notify_refer, bob.of(ReferReceived)[0].refer.token, status, None)
    assert link.said(bob) == ["202 REFER", "NOTIFY"]
    link.run(0.1)
    assert told(alice) == [(100, False), (200, True)]
    alice.do(caller.hangup)
    ended_idle(link, alice, bob)


@pytest.mark.parametrize("status", [481, 489, 404])
def test_notify_refused_ends_it(status: int) -> None:
    """RFC 6665 4.2.2: the subscription is removed; the session goes on (RFC 5057 5.1: the usage alone)."""
    link, alice, bob, caller, callee = talking()
    refer(link, caller)
    link.nodes.pop(alice.host)
    bob.do(callee.accept_refer)
    answer_by_hand(bob, link.seen("NOTIFY")[0], status, "")
    (ended,) = bob.of(ReferSubscriptionEnded)
    assert (ended.session, ended.cause) == (callee, "gone")
    assert not callee.over
    assert not len(bob.ua.usages)
    bob.do(ended.refer.notify, 200, None)
    assert len(link.seen("NOTIFY")) == 1


def test_notify_without_answer_ends_it() -> None:
    link, alice, bob, caller, callee = talking()
    refer(link, caller)
    link.lose("NOTIFY")
    bob.do(callee.accept_refer)
    alice.do(caller.hangup)
    link.run(64)
    assert [event.cause for event in bob.of(ReferSubscriptionEnded)] == ["timeout"]
    # Alice has waited for a NOTIFY in vain (RFC 6665 4.1.2.4).
    assert told(alice) == [(0, True)]
    ended_idle(link, alice, bob)


def test_a_refer_ends_in_time() -> None:
    """Nobody tells the outcome: the subscription expires, on both sides."""
    link, alice, bob, caller, callee = talking()
    refer(link, caller)
    bob.do(callee.accept_refer)
    link.run(200)
    assert [event.cause for event in bob.of(ReferSubscriptionEnded)] == ["expired"]
    assert told(alice) == [(100, False), (100, True)]
    assert states(link)[-1] == "terminated;reason=timeout"
    alice.do(caller.hangup)
    ended_idle(link, alice, bob)


def test_a_refer_that_nobody_answers() -> None:
    link, alice, bob, caller, _callee = talking()
    refer(link, caller)
    link.run(40)
    assert [event.cause for event in bob.of(ReferSubscriptionEnded)] == ["timeout"]
    (answered,) = alice.of(ReferAnswered)
    assert (answered.status, answered.subscribed) == (408, False)
    # RFC 5057 5.1: that is the end of the usage; the call goes on
    assert not alice.of(SessionEnded)
    alice.do(caller.hangup)
    ended_idle(link, alice, bob)


def test_bye_before_the_answer() -> None:
    """RFC 3261 15.1.2: 487 to the REFER that waits."""
    link, alice, bob, caller, callee = talking()
    refer(link, caller)
    alice.do(caller.hangup)
    link.run(0.1)
    assert [event.cause for event in bob.of(ReferSubscriptionEnded)] == ["session-over"]
    assert [event.status for event in alice.of(ReferAnswered)] == [487]
    bob.do(callee.accept_refer)
    ended_idle(link, alice, bob)


def test_refer_by_who_is_gone() -> None:
    """481 to our REFER: the peer does not know the dialog, so the session ends too (RFC 5057 5.1)."""
    link, alice, bob, caller, _callee = talking()
    bob.ua.dialogs.clear()
    refer(link, caller)
    assert [event.status for event in alice.of(ReferAnswered)] == [481]
    assert [event.cause for event in alice.of(SessionEnded)] == ["gone"]


def test_refer_in_the_wrong_state() -> None:
    link = Link()
    alice, bob = link.node("192.0.2.1", REFERRING), link.node("192.0.2.2", REFERRING)
    caller = alice.call(bob)
    with pytest.raises(WrongState):
        caller.refer(TARGET, None, link.now)
    link.run(0.05)
    alice.do(caller.hangup)
    assert caller.refer(TARGET, None, link.now) == 0
    ended_idle(link, alice, bob)


def test_loss() -> None:
    """Every message lost once: retransmissions carry it through, nothing is told twice."""
    link, alice, bob, caller, callee = talking()
    lost: set[tuple[str, str | None, int]] = set()

    def fate(seen: Seen) -> list[float]:
        key = (seen.what, seen.sender, seen.message.cseq.number)
        if key in lost:
            return [0.01]
        lost.add(key)
        return []

    link.fate = fate
    refer(link, caller)
    link.run(3)
    bob.do(callee.accept_refer)
    link.run(5)
    bob.do(callee.notify_refer, bob.of(ReferReceived)[0].refer.token, 200, None)
    link.run(5)
    assert len(bob.of(ReferReceived)) == 1
    assert len(alice.of(ReferAnswered)) == 1
    assert told(alice) == [(100, False), (200, True)]
    alice.do(caller.hangup)
    ended_idle(link, alice, bob)


def test_notify_before_the_202() -> None:
    """RFC 6665 4.1.2.4: the subscription begins with the request."""
    link, alice, bob, caller, callee = talking()
    refer(link, caller)
    link.lose("202 REFER", times=1)
    bob.do(callee.accept_refer)
    link.run(0.1)
    assert told(alice) == [(100, False)]
    assert not alice.of(ReferAnswered)
    bob.do(callee.notify_refer, bob.of(ReferReceived)[0].refer.token, 200, None)
    link.run(5)
    assert told(alice) == [(100, False), (200, True)]
    assert [event.subscribed for event in alice.of(ReferAnswered)] == [False]
    alice.do(caller.hangup)
    ended_idle(link, alice, bob)


def test_bounded() -> None:
    """So many in a dialog, so many in all."""
    link, alice, bob, caller, callee = talking(UaSettings(refer=True, max_subscriptions=3))
    for _ in range(5):
        refer(link, caller)
    assert len(bob.of(ReferReceived)) == len(bob.ua.usages) == 3
    assert [event.status for event in alice.of(ReferAnswered)] == [503, 503]
    bob.do(callee.hangup)
    link.run(1)
    assert {event.status for event in alice.of(ReferAnswered)} == {503, 487}
    ended_idle(link, alice, bob)


def test_bounded_in_a_dialog() -> None:
    link, alice, bob, caller, callee = talking()
    for _ in range(MAX_PER_DIALOG):
        refer(link, caller)
    with pytest.raises(SipError):
        refer(link, caller)
    dialog = inside(link, alice, bob, caller)
    bob.inject(raw("REFER", dialog, 100, "Refer-To: <sip:a@b>"), alice.host)
    assert link.said(bob) == ["503 REFER"]
    bob.do(callee.hangup)
    ended_idle(link, alice, bob)


def raw(method: str, dialog: Request, cseq: int, *headers: str, body: str = "") -> str:
    """A request in the dialog of Alice's `dialog` request."""
    lines = [
        f"{method} sip:bob@192.0.2.2 SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKraw{cseq}",
        "Max-Forwards: 70",
        f"From: {dialog.get('From')}",
        f"To: {dialog.get('To')}",
        f"Call-ID: {dialog.call_id}",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:alice@192.0.2.1>",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def inside(link: Link, alice: Node, bob: Node, caller: InviteSession) -> Request:
    """A request that shows the dialog's From and To as Alice writes them."""
    alice.do(caller.send_info, "text/plain", b"x")
    link.run(0.1)
    message = link.seen("INFO")[0].message
    assert isinstance(message, Request)
    link.wire.clear()
    return message


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("REFER", (), 400),
        ("REFER", ("Refer-To: <sip:a@b>", "Refer-To: <sip:c@d>"), 400),
        ("REFER", ("Refer-To: <sip:a@b?Replaces=x>",), 400),
        ("REFER", ("Refer-To: <sip:a@b>", "Replaces: a;to-tag=1;from-tag=2"), 400),
        ("NOTIFY", ("Event: refer;id=1", "Subscription-State: active"), 481),
        ("NOTIFY", ("Event: dialog", "Subscription-State: active"), 481),
        ("NOTIFY", (), 489),
        ("SUBSCRIBE", ("Event: refer;id=9",), 481),
        ("SUBSCRIBE", ("Event: dialog",), 489),
    ],
)
def test_refused_inside(method: str, headers: tuple[str, ...], status: int) -> None:
    link, alice, bob, caller, _ = talking(UaSettings(refer=True, replaces=True))
    dialog = inside(link, alice, bob, caller)
    bob.inject(raw(method, dialog, 100, *headers), alice.host)
    assert link.said(bob) == [f"{status} {method}"]
    assert not bob.of(ReferReceived)
    assert not len(bob.ua.usages)


def test_out_of_order_inside() -> None:
    """RFC 3261 12.2.2."""
    link, alice, bob, caller, _ = talking()
    dialog = inside(link, alice, bob, caller)
    bob.inject(raw("REFER", dialog, 0, "Refer-To: <sip:a@b>"), alice.host)
    assert link.said(bob) == ["500 REFER"]


def test_subscribe_ends_a_refer() -> None:
    """RFC 3515 2.4.4: the subscription is refreshed, and ended, by SUBSCRIBE."""
    link, alice, bob, caller, callee = talking()
    dialog = inside(link, alice, bob, caller)
    refer(link, caller)
    bob.do(callee.accept_refer)
    link.run(0.1)
    bob.inject(raw("SUBSCRIBE", dialog, 100, "Event: refer", "Expires: 600"), alice.host)
    link.run(0.1)
    assert link.seen("200 SUBSCRIBE")[0].message.get("Expires") == "180"
    assert not bob.of(ReferSubscriptionEnded)
    bob.inject(raw("SUBSCRIBE", dialog, 101, "Event: refer", "Expires: 0"), alice.host)
    link.run(0.1)
    assert states(link)[-1] == "terminated;reason=timeout"
    assert [event.cause for event in bob.of(ReferSubscriptionEnded)] == ["unsubscribed"]
    assert not len(bob.ua.usages)


def test_outside_a_dialog() -> None:
    """RFC 3515 2.4.4: the REFER makes a dialog, in which the NOTIFYs go."""
    link = Link()
    bob = link.node("192.0.2.2", REFERRING)
    request = raw(
        "REFER",
        STRANGER,
        1,
        "Refer-To: <sip:carol@192.0.2.3?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>",
        "Record-Route: <sip:192.0.2.98;lr>",
    )
    bob.inject(request)
    (arrived,) = bob.of(ReferArrived)
    assert arrived.refer_to.replaces == Replaces("a", "1", "2")
    bob.do(arrived.refer.accept)
    (response,) = link.seen("202 REFER")
    assert response.message.to_tag
    assert response.message.record_routes
    (notify,) = link.seen("NOTIFY")
    assert notify.receiver == "192.0.2.98"
    assert notify.message.from_tag == response.message.to_tag
    assert notify.message.to_tag == "x"
    answer_by_hand(bob, notify, 200, "")
    bob.do(arrived.refer.notify, 200, None)
    answer_by_hand(bob, link.seen("NOTIFY")[1], 200, "")
    ended_idle(link, bob)


def test_outside_a_dialog_refused() -> None:
    link = Link()
    bob = link.node("192.0.2.2", UaSettings(refer=True, event_packages=("dialog",)))
    bob.inject(raw("REFER", STRANGER, 1, "Refer-To: <sip:carol@192.0.2.3>"))
    bob.do(bob.of(ReferArrived)[0].refer.reject, 403)
    bob.inject(raw("NOTIFY", STRANGER, 2, "Event: refer", "Subscription-State: active"))
    bob.inject(raw("SUBSCRIBE", STRANGER, 3, "Event: refer"))
    bob.ua.draining = True
    bob.inject(raw("REFER", STRANGER, 4, "Refer-To: <sip:carol@192.0.2.3>"))
    assert link.said() == ["403 REFER", "481 NOTIFY", "403 SUBSCRIBE", "503 REFER"]
    ended_idle(link, bob)


def test_off_by_default() -> None:
    """Without the setting REFER and NOTIFY are not allowed at all; with it Allow and Supported say so."""
    link, alice, _, caller, _ = talking(UaSettings())
    refer(link, caller)
    (answered,) = alice.of(ReferAnswered)
    assert answered.status == 405
    request = link.seen("REFER")[0].message
    assert {"REFER", "NOTIFY", "SUBSCRIBE"} <= request.allow
    assert "norefersub" in request.supported
    assert not link.seen("405 REFER")[0].message.allow & {"REFER", "NOTIFY", "SUBSCRIBE"}


def test_flood_of_notifies_tells_once_it_is_over() -> None:
    link = Link()
    alice = link.node("192.0.2.1", REFERRING, TimerConfig())
    bob = link.node("192.0.2.2", REFERRING)
    caller = alice.call(bob)
    link.run(0.05)
    bob.do(bob.session().accept, ANSWER)
    link.run(0.1)
    refer(link, caller)
    bob.do(bob.ua.sessions[1].accept_refer)
    link.run(0.1)
    (notify,) = link.seen("NOTIFY")
    message = notify.message
    assert isinstance(message, Request)
    for n, (state, body) in enumerate(
        [("terminated;reason=noresource", "SIP/2.0 200 OK\r\n"), ("active", "SIP/2.0 180 Ringing\r\n")]
    ):
        alice.inject(
            raw("NOTIFY", message, 500 + n, f"Event: {message.get('Event')}", f"Subscription-State: {state}",
                "Content-Type: message/sipfrag", body=body), bob.host
        )  # fmt: skip
    assert told(alice) == [(100, False), (200, True)]
    assert link.said(alice)[-2:] == ["200 NOTIFY", "481 NOTIFY"]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (("Subscription-State: active", "Content-Type: text/plain"), "SIP/2.0 200 OK", 415),
        (("Subscription-State: active", "Content-Type: message/sipfrag"), "nonsense", 400),
        (("Content-Type: message/sipfrag",), "SIP/2.0 200 OK", 400),
        (("Subscription-State: active",), "", 200),
    ],
)
def test_notify_that_says_nothing(headers: tuple[str, ...], body: str, status: int) -> None:
    link, alice, bob, caller, callee = talking()
    refer(link, caller)
    bob.do(callee.accept_refer)
    link.run(0.1)
    message = link.seen("NOTIFY")[0].message
    assert isinstance(message, Request)
    alice.inject(raw("NOTIFY", message, 500, "Event: refer", *headers, body=body), bob.host)
    assert link.said(alice)[-1] == f"{status} NOTIFY"
    assert told(alice) == [(100, False)]


CHALLENGE = ("WWW-Authenticate", 'Digest realm="pbx", nonce="n1", algorithm=SHA-256, qop="auth"')


def test_challenged_refer_has_another_id() -> None:
    """RFC 3261 22.2: it goes again with a higher CSeq, which is then the id of its NOTIFYs (RFC 3515 2.4.6)."""
    link, alice, bob, caller, _ = talking()
    caller.credentials = Credentials("alice", "secret", "")
    link.nodes.pop(bob.host)
    token = refer(link, caller)
    answer_by_hand(alice, link.seen("REFER")[0], 401, "", headers=(CHALLENGE,))
    first, second = link.seen("REFER")
    assert second.message.cseq.number == first.message.cseq.number + 1
    assert second.message.get("Authorization")
    there, here = second.message.get("To") or "", second.message.get("From") or ""
    peer = Request("X", "", [("From", there), ("To", here), ("Call-ID", caller.call_id)])
    body = "SIP/2.0 200 OK\r\n"
    for cseq, number in ((500, first.message.cseq.number), (501, second.message.cseq.number)):
        headers = (f"Event: refer;id={number}", "Subscription-State: terminated", "Content-Type: message/sipfrag")
        alice.inject(raw("NOTIFY", peer, cseq, *headers, body=body), bob.host)
    assert link.said(alice)[-2:] == ["481 NOTIFY", "200 NOTIFY"]
    answer_by_hand(alice, second, 202, "")
    assert [(event.token, event.status) for event in alice.of(ReferProgress)] == [(token, 200)]
    assert not len(alice.ua.usages)


def test_challenged_notify() -> None:
    """A NOTIFY in a session's dialog is answered for with the session's credentials."""
    link, alice, bob, caller, callee = talking()
    callee.credentials = Credentials("bob", "secret", "")
    refer(link, caller)
    link.nodes.pop(alice.host)
    bob.do(callee.accept_refer)
    answer_by_hand(bob, link.seen("NOTIFY")[0], 401, "", headers=(CHALLENGE,))
    _, second = link.seen("NOTIFY")
    assert second.message.get("Authorization")
    answer_by_hand(bob, second, 200, "")
    assert not bob.of(ReferSubscriptionEnded)


def test_notify_finds_another_way_when_the_connection_is_gone() -> None:
    """RFC 3261 12.2.1.1: the session's Flow is lost, the NOTIFY goes to the remote target."""
    link, alice, bob, caller, callee = talking()
    callee.destination = Flow("tcp", (bob.host, 5060), (alice.host, 40_000), 77)
    refer(link, caller)
    bob.do(callee.accept_refer)
    link.run(1)
    assert told(alice) == [(100, False)]
    assert callee.destination is None
    bob.do(callee.notify_refer, None, 200, None)
    link.run(0.1)
    bob.do(callee.hangup)
    ended_idle(link, alice, bob)


def test_out_of_dialog_refer_is_challenged() -> None:
    link = Link()
    bob = link.node("192.0.2.2", REFERRING)
    bob.inject(raw("REFER", STRANGER, 1, "Refer-To: <sip:carol@192.0.2.3>"))
    bob.do(bob.of(ReferArrived)[0].refer.reject, 401, headers=(CHALLENGE,))
    (response,) = link.seen("401 REFER")
    assert response.message.get("WWW-Authenticate") == CHALLENGE[1]
    ended_idle(link, bob)


def test_what_has_ended_is_freed_by_its_last_reference() -> None:
    """No cycle is left of a transfer."""
    kinds = (ReceivedRefer, Referral, DialogUsages, InDialog, InviteSession)
    gc.collect()
    gc.disable()
    try:
        others = [each for each in gc.get_objects() if isinstance(each, kinds)]  # of other tests
        link, alice, bob, caller, callee = talking()
        refer(link, caller)
        bob.do(callee.accept_refer)
        link.run(0.1)
        bob.do(callee.notify_refer, None, 200, None)
        link.run(0.1)
        alice.do(caller.hangup)
        link.run(64)
        alice.take()
        bob.take()
        link.wire.clear()
        del caller, callee
        assert len([each for each in gc.get_objects() if isinstance(each, kinds)]) == len(others)
    finally:
        gc.enable()

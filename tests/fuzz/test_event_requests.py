"""REFER, SUBSCRIBE, NOTIFY and INVITE with Replaces, damaged in every way, at a user agent in the midst of a transfer.

Nothing but responses may come of them, and the usages that are there stay bounded and end.
"""

from __future__ import annotations

import random

import pytest
from virtual_link import ANSWER, Link

from sip.message import Request, Response
from sip.ua import UaSettings
from sip.ua_events import ReferArrived, ReferReceived, SubscriptionArrived

ROUNDS = 400
SETTINGS = UaSettings(
    refer=True, replaces=True, join=True, event_packages=("dialog",), max_subscriptions=20, session_expires=0
)
PIECES = (
    b"\r\n", b" ", b";", b",", b'"', b"\\", b"<", b">", b"@", b"%", b"%0D%0A", b"%3B", b"\x00", b"\xff", b"=", b"?",
    b"&", b"id=", b"refer", b"dialog", b"terminated", b"expires=", b"Expires: 0\r\n", b"99999999999999999999",
    b"to-tag=", b"from-tag=", b"early-only", b"Refer-Sub: false\r\n", b"Event: dialog\r\n", b"method=", b"SIP/2.0 200",
    b";" * 90,
)  # fmt: skip
HEADERS = {
    "REFER": "Refer-To: <sip:c@192.0.2.3?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&X=y>\r\nReferred-By: <sip:a@b>\r\n",
    "SUBSCRIBE": "Event: dialog;id=1\r\nExpires: 60\r\nAccept: a/b\r\n",
    "NOTIFY": "Event: refer;id=2\r\nSubscription-State: active;expires=60\r\nContent-Type: message/sipfrag\r\n",
    "INVITE": "Replaces: a;to-tag=1;from-tag=2;early-only\r\nContent-Type: application/sdp\r\n",
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.choice((0, 1, 2, 8)))
        changed[at:end] = chance.choice((chance.choice(PIECES), b"", chance.randbytes(end - at)))
    return bytes(changed)


@pytest.mark.parametrize("seed", range(5))
def test_damaged_requests(seed: int) -> None:
    chance = random.Random(seed)
    link = Link(seed)
    alice, bob = link.node("192.0.2.1", SETTINGS), link.node("192.0.2.2", SETTINGS)
    caller = alice.call(bob)
    link.run(0.05)
    bob.do(bob.session().accept, ANSWER)
    link.run(0.1)
    caller.refer("<sip:c@192.0.2.3>", None, link.now)
    link.run(0.1)
    shown = link.seen("REFER")[0].message
    assert isinstance(shown, Request)
    inside = (shown.get("From"), shown.get("To"), shown.call_id)
    outside = ("<sip:x@192.0.2.9>;tag=x", "<sip:bob@192.0.2.2>", "c")
    link.nodes.pop(alice.host)
    for number in range(ROUNDS):
        method = chance.choice(tuple(HEADERS))
        sender, receiver, call_id = chance.choice((inside, outside))
        body = "SIP/2.0 180 Ringing\r\n" if method == "NOTIFY" else ""
        text = (
            f"{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKf{number}\r\n"
            f"From: {sender}\r\nTo: {receiver}\r\nCall-ID: {call_id}{'' if sender == inside[0] else number}\r\n"
            f"CSeq: {number + 10} {method}\r\nContact: <sip:x@192.0.2.9>\r\n{HEADERS[method]}\r\n{body}"
        )
        bob.inject(damaged(text.encode(), chance), "192.0.2.9")
        for event in bob.take():
            if isinstance(event, (ReferReceived, ReferArrived)):
                bob.do(event.refer.accept)
            elif isinstance(event, SubscriptionArrived):
                bob.do(event.subscription.accept, 600)
        assert len(bob.ua.usages) <= SETTINGS.max_subscriptions
        link.run(chance.choice((0.0, 0.1, 5.0)))
    replies = [seen.message for seen in link.wire if seen.sender == bob.host and isinstance(seen.message, Response)]
    assert {200, 202, 400, 481} <= {response.status for response in replies}
    for session in tuple(bob.ua.sessions.values()):
        bob.do(session.hangup)
    link.run(1000)
    assert not len(bob.ua.usages)
    assert not bob.ua.usages.dialogs

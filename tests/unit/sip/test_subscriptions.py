"""SUBSCRIBE, and the NOTIFYs that follow (RFC 6665 4.2): our user agent is the notifier, the subscriber is by hand."""

from __future__ import annotations

import pytest
from virtual_link import Link, Node, Seen, answer_by_hand

from sip.effects import Flow
from sip.invite import WrongState
from sip.message import Request
from sip.notifier import Stage, Subscription
from sip.ua import UaSettings
from sip.ua_events import SubscriptionArrived, SubscriptionEnded, SubscriptionRefreshed

PEER = "192.0.2.99"
SETTINGS = UaSettings(event_packages=("dialog", "message-summary"), max_subscriptions=2)
STATE = "application/dialog-info+xml"


class Phone:
    """A subscriber, as text."""

    def __init__(self, settings: UaSettings = SETTINGS) -> None:
        self.link = Link()
        self.node: Node = self.link.node("192.0.2.2", settings)
        self.cseq = self.said = 0
        self.call_id = "sub1"
        self.to = "<sip:bob@192.0.2.2>"

    def say(self, method: str, *headers: str, port: int = 5060) -> None:
        self.cseq += 1
        self.said += 1
        lines = [
            f"{method} sip:bob@192.0.2.2 SIP/2.0",
            f"Via: SIP/2.0/UDP {PEER}:5060;branch=z9hG4bK{self.said}",
            "Max-Forwards: 70",
            f"From: <sip:x@{PEER}>;tag=x",
            f"To: {self.to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {method}",
            f"Contact: <sip:x@{PEER}:{port}>",
            *headers,
            "Content-Length: 0",
        ]
        self.node.inject("\r\n".join(lines) + "\r\n\r\n", PEER)

    def subscribe(self, expires: str = "600", event: str = "dialog", *headers: str) -> Subscription:
        """An accepted subscription, its NOTIFY not yet sent."""
        self.say("SUBSCRIBE", f"Event: {event}", f"Expires: {expires}", *headers)
        subscription = self.node.of(SubscriptionArrived)[-1].subscription
        assert isinstance(subscription, Subscription)
        self.node.do(subscription.accept, int(expires))
        self.to = self.link.seen("200 SUBSCRIBE")[-1].message.get("To") or ""
        return subscription

    def answer(self, status: int = 200, contact: str = "") -> Seen:
        """Answer the last NOTIFY."""
        notify = self.link.seen("NOTIFY")[-1]
        answer_by_hand(self.node, notify, status, "", contact=contact or f"<sip:x@{PEER}>")
        return notify

    @property
    def notified(self) -> list[tuple[str, bytes]]:
        return [(seen.message.get("Subscription-State") or "", seen.message.body) for seen in self.link.seen("NOTIFY")]

    @property
    def ended(self) -> list[str]:
        return [event.cause for event in self.node.of(SubscriptionEnded)]

    def idle(self) -> None:
        self.link.run(64)
        self.node.assert_idle()


def test_life_of_a_subscription() -> None:
    """RFC 6665 4.2.1: SUBSCRIBE 200 NOTIFY 200, a change, the end by Expires 0."""
    phone = Phone()
    phone.say("SUBSCRIBE", "Event: dialog;id=7", "Expires: 600", f"Accept: {STATE}, text/plain")
    (arrived,) = phone.node.of(SubscriptionArrived)
    assert (arrived.package, arrived.id, arrived.expires) == ("dialog", "7", 600)
    assert arrived.accept == [STATE, "text/plain"]
    subscription = arrived.subscription
    phone.node.do(subscription.accept, 3600)
    phone.node.do(subscription.notify, STATE, b"one")
    (accepted,) = phone.link.seen("200 SUBSCRIBE")
    assert accepted.message.get("Expires") == "600"  # never longer than was asked for
    assert accepted.message.contact is not None
    phone.to = accepted.message.get("To") or ""
    notify = phone.answer()
    assert isinstance(notify.message, Request)
    assert notify.message.uri == f"sip:x@{PEER}:5060"
    assert notify.message.get("Event") == "dialog;id=7"
    assert notify.message.get("Content-Type") == STATE
    assert (notify.message.call_id, notify.message.to_tag) == ("sub1", "x")
    assert notify.message.contact is not None
    phone.link.run(100)
    phone.node.do(subscription.notify, STATE, b"two")
    phone.answer()
    phone.say("SUBSCRIBE", "Event: dialog;id=7", "Expires: 0")
    assert phone.link.seen("200 SUBSCRIBE")[-1].message.get("Expires") == "0"
    assert phone.ended == ["unsubscribed"]
    phone.answer()
    assert phone.notified == [
        ("active;expires=600", b"one"),
        ("active;expires=500", b"two"),
        ("terminated;reason=timeout", b"two"),
    ]
    phone.node.do(subscription.notify, STATE, b"three")
    phone.node.do(subscription.terminate, "noresource")
    phone.node.do(subscription.accept, 60)
    phone.node.do(subscription.reject, 403)
    assert len(phone.notified) == 3
    phone.idle()


def test_latest_state_wins() -> None:
    """One NOTIFY at a time; what changes while it is under way is told once."""
    phone = Phone()
    subscription = phone.subscribe()
    for body in (b"1", b"2", b"3", b"4"):
        phone.node.do(subscription.notify, STATE, body)
    assert [body for _, body in phone.notified] == [b"1"]
    phone.answer()
    assert [body for _, body in phone.notified] == [b"1", b"4"]
    phone.answer()
    assert len(phone.notified) == 2
    phone.node.do(subscription.terminate, "noresource", content=(STATE, b"5"))
    phone.answer()
    assert phone.notified[-1] == ("terminated;reason=noresource", b"5")
    assert phone.ended == ["local"]
    phone.idle()


def test_refresh() -> None:
    """RFC 6665 4.2.1.4: 200, the state again, the time anew, and a target refresh."""
    phone = Phone()
    subscription = phone.subscribe("100")
    phone.node.do(subscription.notify, STATE, b"state")
    phone.answer()
    phone.link.run(90)
    phone.say("SUBSCRIBE", "Event: dialog", "Expires: 3600", port=5099)
    (refreshed,) = phone.node.of(SubscriptionRefreshed)
    assert (refreshed.subscription, refreshed.expires) == (subscription, 100)
    notify = phone.answer(contact=f"<sip:x@{PEER}:5099>")
    assert isinstance(notify.message, Request)
    assert notify.message.uri == f"sip:x@{PEER}:5099"
    phone.link.run(90)
    assert phone.ended == []
    phone.link.run(15)
    assert phone.ended == ["expired"]
    phone.answer()
    assert phone.notified[-1] == ("terminated;reason=timeout", b"state")
    phone.idle()


def test_state_is_told_even_if_the_application_is_silent() -> None:
    """RFC 6665 4.2.1.2: a NOTIFY follows every acceptance."""
    phone = Phone()
    phone.subscribe()
    phone.link.run(1)
    assert phone.notified[:1] == [("active;expires=600", b"")]
    assert phone.link.seen("NOTIFY")[0].message.get("Content-Type") is None
    phone.answer(481)
    assert phone.ended == ["gone"]
    phone.idle()


@pytest.mark.parametrize("silent", [False, True])
def test_fetch(silent: bool) -> None:
    """RFC 6665 4.4.3: Expires 0 gets one NOTIFY, and that is the last."""
    phone = Phone()
    subscription = phone.subscribe("0")
    if silent:
        phone.link.run(1)
    else:
        phone.node.do(subscription.notify, STATE, b"now")
    phone.answer()
    assert set(phone.notified) == {("terminated;reason=timeout", b"" if silent else b"now")}
    assert phone.ended == ["unsubscribed"]
    phone.idle()


def test_pending() -> None:
    """RFC 6665 4.2.1.2: pending until it is authorised."""
    phone = Phone()
    phone.say("SUBSCRIBE", "Event: dialog")
    subscription = phone.node.of(SubscriptionArrived)[0].subscription
    assert phone.node.of(SubscriptionArrived)[0].expires == 3600
    phone.node.do(subscription.accept, 300, pending=True)
    phone.node.do(subscription.notify, "", b"")
    phone.answer()
    phone.node.do(subscription.approve)
    phone.answer()
    assert [state for state, _ in phone.notified] == ["pending;expires=300", "active;expires=300"]
    phone.node.do(subscription.terminate, "probation", retry_after=60)
    phone.answer()
    assert phone.notified[-1][0] == "terminated;reason=probation;retry-after=60"
    phone.idle()


@pytest.mark.parametrize(("status", "cause"), [(481, "gone"), (408, "timeout"), (489, "gone")])
def test_notify_that_fails_ends_it(status: int, cause: str) -> None:
    """RFC 6665 4.2.2."""
    phone = Phone()
    subscription = phone.subscribe()
    phone.node.do(subscription.notify, STATE, b"1")
    phone.node.do(subscription.notify, STATE, b"2")
    phone.answer(status)
    assert phone.ended == [cause]
    assert subscription.stage is Stage.ENDED
    assert len(phone.notified) == 1
    phone.idle()


def test_notify_without_answer_ends_it() -> None:
    phone = Phone()
    subscription = phone.subscribe()
    phone.node.do(subscription.notify, STATE, b"1")
    phone.link.run(33)
    assert phone.ended == ["timeout"]
    phone.idle()


def test_notify_that_can_wait() -> None:
    """A 503 says nothing of the subscription: the next state is sent."""
    phone = Phone()
    subscription = phone.subscribe()
    phone.node.do(subscription.notify, STATE, b"1")
    phone.answer(500)
    phone.node.do(subscription.notify, STATE, b"2")
    phone.answer()
    assert phone.ended == []
    phone.node.do(subscription.terminate, "noresource")
    phone.answer(481)
    assert phone.ended == ["local"]
    phone.idle()


@pytest.mark.parametrize(
    ("headers", "status", "header", "value"),
    [
        ((), 489, "Allow-Events", "dialog, message-summary"),
        (("Event: presence",), 489, "Allow-Events", "dialog, message-summary"),
        (("Event: refer",), 489, "Allow-Events", "dialog, message-summary"),
        (("Event: dialog;id=\x01",), 400, "", ""),
        (("Event: dialog", "Expires: 10"), 423, "Min-Expires", "60"),
        (("Event: dialog", "Expires: soon"), 400, "", ""),
        (("Event: dialog", "Require: eventlist"), 420, "Unsupported", "eventlist"),
    ],
)
def test_refused_inside(headers: tuple[str, ...], status: int, header: str, value: str) -> None:
    """RFC 6665 4.2.1.1."""
    phone = Phone()
    phone.say("SUBSCRIBE", *headers)
    (response,) = phone.link.seen(f"{status} SUBSCRIBE")
    if header:
        assert response.message.get(header) == value
    assert phone.node.events == []
    phone.idle()


@pytest.mark.parametrize("status", [403, 489, 423])
def test_rejected_by_the_application(status: int) -> None:
    phone = Phone()
    phone.say("SUBSCRIBE", "Event: dialog")
    subscription = phone.node.of(SubscriptionArrived)[0].subscription
    with pytest.raises(WrongState):
        subscription.notify(STATE, b"", phone.link.now)
    with pytest.raises(ValueError, match="reject"):
        subscription.reject(200, phone.link.now)
    phone.node.do(subscription.reject, status, headers=(("Min-Expires", "90"),) if status == 423 else ())
    (response,) = phone.link.seen(f"{status} SUBSCRIBE")
    assert response.message.get("Allow-Events") == ("dialog, message-summary" if status == 489 else None)
    assert response.message.get("Min-Expires") == ("90" if status == 423 else None)
    assert phone.ended == ["rejected"]
    phone.idle()


def test_nobody_answers() -> None:
    phone = Phone()
    phone.say("SUBSCRIBE", "Event: dialog")
    phone.link.run(40)
    assert phone.ended == ["timeout"]
    phone.idle()


def test_inside_the_dialog() -> None:
    """RFC 6665 4.5.1: the Event with its id says which; another one is none of ours. CSeq must not go back."""
    phone = Phone()
    subscription = phone.subscribe("600", "dialog;id=1")
    phone.say("SUBSCRIBE", "Event: dialog;id=2")
    phone.say("SUBSCRIBE", "Event: message-summary")
    phone.say("SUBSCRIBE", "Event: presence")
    phone.say("SUBSCRIBE", "Event: dialog;id=1", "Expires: 5")
    phone.say("REFER", "Refer-To: <sip:a@b>")
    phone.say("OPTIONS")
    phone.cseq -= 4
    phone.say("SUBSCRIBE", "Event: dialog;id=1")
    assert phone.link.said(phone.node) == [
        "200 SUBSCRIBE",
        "481 SUBSCRIBE",
        "481 SUBSCRIBE",
        "489 SUBSCRIBE",
        "423 SUBSCRIBE",
        "405 REFER",
        "481 OPTIONS",
        "500 SUBSCRIBE",
    ]
    phone.cseq += 4
    phone.node.do(subscription.terminate, "deactivated")
    phone.answer()
    phone.say("SUBSCRIBE", "Event: dialog;id=1", "Expires: 600")
    assert phone.link.said(phone.node)[-1] == "481 SUBSCRIBE"
    phone.idle()


def test_bounded() -> None:
    """More than `max_subscriptions`: 503 with Retry-After."""
    phone = Phone()
    for number in range(4):
        phone.call_id = f"c{number}"
        phone.say("SUBSCRIBE", "Event: dialog")
    assert len(phone.node.of(SubscriptionArrived)) == len(phone.node.ua.usages) == 2
    assert [seen.message.get("Retry-After") for seen in phone.link.seen("503 SUBSCRIBE")] == ["5", "5"]
    for event in phone.node.of(SubscriptionArrived):
        phone.node.do(event.subscription.reject, 480)
    phone.idle()


def test_challenge_of_a_notify_without_credentials() -> None:
    phone = Phone()
    subscription = phone.subscribe()
    phone.node.do(subscription.notify, STATE, b"1")
    phone.answer(401)
    assert phone.ended == []
    phone.node.do(subscription.terminate, "noresource")
    phone.answer()
    phone.idle()


def test_abilities() -> None:
    """RFC 6665 4.4.4: Allow-Events and Allow say what is taken."""
    phone = Phone()
    phone.say("OPTIONS")
    (response,) = phone.link.seen("200 OPTIONS")
    assert response.message.get("Allow-Events") == "dialog, message-summary"
    assert {"SUBSCRIBE", "NOTIFY"} <= response.message.allow
    assert "REFER" not in response.message.allow
    plain = Phone(UaSettings())
    plain.say("SUBSCRIBE", "Event: dialog")
    assert plain.link.said() == ["405 SUBSCRIBE"]


def test_loss() -> None:
    """A NOTIFY and its answer are lost: the retransmission carries it through, and it is sent once."""
    phone = Phone()
    subscription = phone.subscribe()
    phone.node.do(subscription.notify, STATE, b"1")
    phone.link.run(4)
    copies = {seen.data for seen in phone.link.seen("NOTIFY")}
    assert len(phone.link.seen("NOTIFY")) > 2
    assert len(copies) == 1
    phone.answer()
    phone.answer()
    phone.node.do(subscription.terminate, "noresource")
    phone.answer()
    phone.idle()


def test_content_is_asked_when_a_notify_goes() -> None:
    """Of states that change while a NOTIFY is under way the newest is written, once; so is that of a refresh, and of
    the end: documents that are numbered leave no number out."""
    phone = Phone()
    subscription = phone.subscribe()
    state = ["a"]
    written = iter(range(100))
    subscription.content = lambda now: (STATE, f"{next(written)} {state[0]}".encode())
    phone.node.do(subscription.tell)
    for each in ("b", "c"):
        state[0] = each
        phone.node.do(subscription.tell)
    assert [body for _, body in phone.notified] == [b"0 a"]
    phone.answer()
    assert [body for _, body in phone.notified] == [b"0 a", b"1 c"]
    phone.answer()
    phone.say("SUBSCRIBE", "Event: dialog", "Expires: 600")
    phone.answer()
    phone.node.do(subscription.terminate, "deactivated")
    phone.answer()
    assert phone.notified[2:] == [("active;expires=600", b"2 c"), ("terminated;reason=deactivated", b"3 c")]
    phone.node.do(subscription.tell)
    assert len(phone.notified) == 4
    phone.idle()


def test_content_of_the_end_wins() -> None:
    phone = Phone()
    subscription = phone.subscribe()
    subscription.content = lambda now: (STATE, b"state")
    phone.node.do(subscription.tell)
    phone.answer()
    phone.node.do(subscription.terminate, "noresource", content=(STATE, b"gone"))
    phone.answer()
    assert [body for _, body in phone.notified] == [b"state", b"gone"]
    phone.idle()


def test_tell_before_accept() -> None:
    phone = Phone()
    phone.say("SUBSCRIBE", "Event: dialog", "Expires: 600")
    subscription = phone.node.of(SubscriptionArrived)[0].subscription
    with pytest.raises(WrongState):
        subscription.tell(phone.link.now)
    phone.node.do(subscription.reject, 403)
    phone.idle()


def test_a_refresh_from_elsewhere_moves_the_flow() -> None:
    """A peer that is reached by the way it came: after a NAT has given it another address, by that one."""
    phone = Phone()
    subscription = phone.subscribe()
    subscription.destination = Flow("udp", ("192.0.2.2", 5060), ("198.51.100.7", 5060), 0)
    phone.node.do(subscription.notify, STATE, b"one")
    assert phone.link.seen("NOTIFY")[-1].receiver == "198.51.100.7"
    phone.answer()
    phone.say("SUBSCRIBE", "Event: dialog", "Expires: 600")
    assert phone.link.seen("NOTIFY")[-1].receiver == PEER
    phone.answer()
    subscription.destination = None
    phone.say("SUBSCRIBE", "Event: dialog", "Expires: 600")
    assert subscription.destination is None
    phone.answer()
    phone.node.do(subscription.terminate, "noresource")
    phone.answer()
    phone.idle()

"""Event, Subscription-State and message/sipfrag (RFC 6665 8.2, RFC 3515 2.4.5)."""

from __future__ import annotations

import pytest

from sip.errors import SipError
from sip.event_headers import (
    EventType,
    SubscriptionState,
    event_of,
    read_sipfrag,
    subscription_state_of,
    write_sipfrag,
)
from sip.message import Request


def test_event() -> None:
    assert EventType.parse("refer;id=93809824") == EventType("refer", "93809824")
    assert EventType.parse(" Dialog ; sla ; ID=7;ma") == EventType("dialog", "7")
    assert EventType.parse("presence.winfo") == EventType("presence.winfo")
    assert str(EventType("refer", "2")) == "refer;id=2"
    assert str(EventType("dialog")) == "dialog"


@pytest.mark.parametrize("text", ["", ";id=1", "a b", "dialog;id=\x01", 'dialog;id="a\r\nb"', "dialog;;"])
def test_event_refused(text: str) -> None:
    with pytest.raises(SipError) as caught:
        EventType.parse(text)
    assert caught.value.status == 400


def test_missing() -> None:
    """RFC 6665: a SUBSCRIBE without Event names no package we know; a NOTIFY without a state is malformed."""
    request = Request("NOTIFY", "sip:a@b")
    for read, status in ((event_of, 489), (subscription_state_of, 400)):
        with pytest.raises(SipError) as caught:
            read(request)
        assert caught.value.status == status


def test_subscription_state() -> None:
    assert SubscriptionState.parse("active;expires=60") == SubscriptionState("active", 60)
    ended = SubscriptionState.parse("Terminated ; reason=noresource;retry-after=5")
    assert ended == SubscriptionState("terminated", None, "noresource", 5)
    assert ended.over
    assert SubscriptionState.parse("active;expires=soon").expires is None
    assert SubscriptionState.parse("active;expires=" + "9" * 5000).expires == 2**32 - 1
    assert str(SubscriptionState("terminated", None, "timeout")) == "terminated;reason=timeout"
    for text in ("", ";expires=1", "a b"):
        with pytest.raises(SipError):
            SubscriptionState.parse(text)


def test_sipfrag() -> None:
    """RFC 3515 2.4.5, RFC 3420."""
    assert write_sipfrag(100, None) == b"SIP/2.0 100 Trying\r\n"
    assert write_sipfrag(200, "fine\r\nVia: x") == b"SIP/2.0 200 fine Via: x\r\n"
    assert read_sipfrag(b"SIP/2.0 603 Declined\r\nRemote-Party-ID: x\r\n") == (603, "Declined")
    assert read_sipfrag(b"\r\nsip/2.0 180") == (180, "")
    for body in (b"", b"INVITE sip:a@b SIP/2.0", b"SIP/2.0 99 x", b"SIP/2.0 abc"):
        assert read_sipfrag(body) is None

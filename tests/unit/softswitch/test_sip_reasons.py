"""Why a leg ends, out of headers and into them; its sessions are tested in tests/virtual."""

from __future__ import annotations

import pytest

from softswitch.causes import Cause
from softswitch.sip_reasons import cause_of_cancel, delta_seconds, first_contact, reason_header


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("", "Q.850;cause=16"),
        ("RTP timeout", 'Q.850;cause=16;text="RTP timeout"'),
        ('a"b\\c\r\nX: 1', 'Q.850;cause=16;text="abcX: 1"'),
        ("Grüße\x00", 'Q.850;cause=16;text="Gre"'),
    ],
)
def test_rfc3326_reason(text: str, header: str) -> None:
    assert reason_header(16, text) == header


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ('SIP;cause=200;text="Call completed elsewhere"', Cause.ANSWERED_ELSEWHERE),
        ('sip ; text="x" ; cause = 200', Cause.ANSWERED_ELSEWHERE),
        ('Q.850;cause=26;text="x", SIP;cause=200', Cause.ANSWERED_ELSEWHERE),
        ("SIP;cause=2000", Cause.NORMAL_CLEARING),
        ("SIP;cause=487", Cause.NORMAL_CLEARING),
        ("Q.850;cause=31", Cause.NORMAL_UNSPECIFIED),
        ("Q.850;cause=999", Cause.NORMAL_CLEARING),
        ("", Cause.NORMAL_CLEARING),
        ("\x00;;;,,,", Cause.NORMAL_CLEARING),
    ],
)
def test_rfc3326_3_1_why_a_caller_cancelled(reason: str, cause: int) -> None:
    assert cause_of_cancel(reason) == cause


@pytest.mark.parametrize(
    ("contact", "number"),
    [
        ("<sip:103@192.0.2.9>;q=0.5", "103"),
        ("sip:%2A77@x", "*77"),
        ("<sip:+4930123;phone-context=x@y;user=phone>", "+4930123"),
        ("<sip:192.0.2.9>", ""),
        ("<sip:", ""),
        ("*", ""),
    ],
)
def test_the_number_a_phone_sends_its_caller_to(contact: str, number: str) -> None:
    assert first_contact([("Via", "x"), ("Contact", contact), ("Contact", "<sip:999@z>")]) == number


def test_no_contact_is_no_number() -> None:
    assert first_contact([("Via", "x")]) == ""


@pytest.mark.parametrize(
    ("header", "seconds"), [("30", 30.0), (" 5 (busy);duration=3", 5.0), ("soon", None), ("-1", None), (None, None)]
)
def test_rfc3261_20_33_retry_after(header: str | None, seconds: float | None) -> None:
    assert delta_seconds(header) == seconds

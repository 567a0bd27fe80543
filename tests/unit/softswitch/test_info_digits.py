"""Digits in SIP INFO, as telephones write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.errors import SipError
from sip.uas import Refused
from softswitch.info_digits import KEYS, LONGEST_MS, PLAIN, RELAY, SHORTEST_MS, InfoDigit, judge, read, write


@pytest.mark.parametrize(
    ("content_type", "body", "digit"),
    [
        (RELAY, b"Signal=5\r\nDuration=250\r\n", InfoDigit("5", 250)),
        (RELAY, b"Signal= 5\nDuration= 250\n", InfoDigit("5", 250)),
        (RELAY, b"duration=250\r\nsignal = *", InfoDigit("*", 250)),
        (RELAY, b"Signal=#", InfoDigit("#", 160)),
        (RELAY, b"Signal=d\r\nDuration=soon", InfoDigit("D", 160)),
        (RELAY, b"Signal=11\r\nDuration=1", InfoDigit("#", SHORTEST_MS)),
        (RELAY, b"Signal=15\r\nDuration=999999", InfoDigit("D", LONGEST_MS)),
        (RELAY, b"Signal=1\r\nSignal=2\r\n", InfoDigit("1", 160)),
        (PLAIN, b"7", InfoDigit("7", 160)),
        (PLAIN, b" 7\r\n", InfoDigit("7", 160)),
        (PLAIN, b"10", InfoDigit("*", 160)),
        (PLAIN, b"Signal=3\r\nDuration=100\r\n", InfoDigit("3", 100)),
        (RELAY, b"Signal=16\r\n", None),
        (RELAY, b"Signal=!\r\n", None),
        (RELAY, b"", None),
        ("", b"", None),
    ],
)
def test_what_is_understood(content_type: str, body: bytes, digit: InfoDigit | None) -> None:
    assert read(content_type, body) == digit


@pytest.mark.parametrize("body", [b"Signal=", b"Duration=100", b"Signal=17", b"Signal=55", b"Signal=\xb2", b"x" * 257])
def test_a_body_without_a_digit_is_400(body: bytes) -> None:
    with pytest.raises(SipError) as caught:
        judge(RELAY, body)
    assert caught.value.status == 400


def test_rfc3261_8_2_3_another_body_is_415_with_what_is_taken() -> None:
    with pytest.raises(Refused) as caught:
        judge("application/vnd.other", b"x")
    assert caught.value.status == 415
    assert caught.value.headers == (("Accept", "application/dtmf-relay, application/dtmf"),)


@given(st.sampled_from(KEYS), st.integers(SHORTEST_MS, LONGEST_MS))
def test_what_is_written_is_read(digit: str, duration: int) -> None:
    assert read(*write(digit, duration)) == InfoDigit(digit, duration)


@given(st.sampled_from([RELAY, PLAIN]), st.binary(max_size=300))
def test_whatever_comes_is_a_digit_nothing_or_refused(content_type: str, body: bytes) -> None:
    found = None
    with contextlib.suppress(SipError):
        found = read(content_type, body)
    assert found is None or (found.digit in KEYS and SHORTEST_MS <= found.duration_ms <= LONGEST_MS)

"""What a trunk is asked by REFER."""

from __future__ import annotations

import pytest

from sip.transfer_headers import ReferTo
from sip.uri import Uri
from softswitch.trunk_refer import ReferRule


@pytest.mark.parametrize(
    ("gateway", "expected"),
    [
        ("sip:x@sbc.example.com", "<sip:0171@sbc.example.com>"),
        ("sip:x@192.0.2.51:5080;transport=tcp", "<sip:0171@192.0.2.51:5080>"),
        ("sip:x@[2001:db8::1]:5080", "<sip:0171@[2001:db8::1]:5080>"),
        ("sip:x@[2001:db8::1]", "<sip:0171@[2001:db8::1]>"),
    ],
)
def test_the_gateway_that_the_trunk_is_called_at(gateway: str, expected: str) -> None:
    request = ReferRule("sip:{number}@{host}", "", 32.0).request("0171", Uri.parse(gateway), "102")
    assert (request.refer_to, request.referred_by, request.timeout) == (expected, "", 32.0)
    assert str(ReferTo.parse(request.refer_to)) == expected


def test_our_own_address_is_put_in_later() -> None:
    request = ReferRule("tel:{number}", "<sip:{extension}@{host}>", 5.0).request("+49171", Uri.parse("sip:x@y"), "102")
    assert (request.refer_to, request.referred_by) == ("<tel:+49171>", "<sip:102@{host}>")


def test_what_is_no_user_part_is_escaped() -> None:
    request = ReferRule("sip:{number}@{host}", "", 5.0).request("#21>x", Uri.parse("sip:x@y"), "102")
    assert request.refer_to == "<sip:%2321%3Ex@y>"

"""Which transaction a request belongs to: RFC 3261 17.2.3, with and without the magic cookie."""

from __future__ import annotations

import pytest

from sip.matching import ack_keys, has_magic, merge_key, server_key
from sip.message import Request


def request(
    method: str = "INVITE",
    via: str = "SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKabc",
    uri: str = "sip:bob@example.com",
    to: str = "<sip:bob@example.com>",
    from_: str = "<sip:alice@example.com>;tag=1",
    call_id: str = "call",
    cseq: int = 1,
) -> Request:
    return Request(
        method,
        uri,
        [("Via", via), ("From", from_), ("To", to), ("Call-ID", call_id), ("CSeq", f"{cseq} {method}")],
    )


def test_branch_sent_by_and_method_make_the_key() -> None:
    key = server_key(request())
    # What the rest of the message says does not matter.
    assert server_key(request(uri="sip:other@example.com", call_id="other", cseq=7)) == key
    assert server_key(request(via="SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bKabcd")) != key
    assert server_key(request(via="SIP/2.0/UDP 192.0.2.8:5062;branch=z9hG4bKabc")) != key
    assert server_key(request(via="SIP/2.0/UDP 192.0.2.9:5063;branch=z9hG4bKabc")) != key
    assert server_key(request("OPTIONS")) != key


def test_tokens_and_hosts_are_compared_without_regard_to_case_and_default_ports_are_filled_in() -> None:
    """7.3.1: "Unless otherwise stated ... field values, parameter names, and parameter values are case-insensitive"."""
    a = request(via="SIP/2.0/UDP pc33.Atlanta.example;branch=z9hG4bKAbC")
    b = request(via="SIP/2.0/UDP PC33.atlanta.example:5060;branch=Z9HG4BKaBc")
    assert server_key(a) == server_key(b)


def test_ack_and_cancel_find_their_invite() -> None:
    key = server_key(request())
    assert ack_keys(request("ACK")) == (key,)
    assert server_key(request("CANCEL"), "INVITE") == key
    assert server_key(request("CANCEL")) != key


@pytest.mark.parametrize(
    ("via", "magic"),
    [
        ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", True),
        ("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK", False),  # RFC 4475 3.1.2.17 (badbranch)
        ("SIP/2.0/UDP 192.0.2.9;branch=1", False),
        ("SIP/2.0/UDP 192.0.2.9", False),  # RFC 4475 3.4.1 (inv2543)
    ],
)
def test_only_a_branch_with_something_after_the_cookie_identifies(via: str, magic: bool) -> None:
    assert has_magic(request(via=via).via) == magic


OLD = "SIP/2.0/UDP 192.0.2.9"


def test_rfc_2543_matching_takes_everything_into_account() -> None:
    key = server_key(request(via=OLD))
    assert server_key(request(via=OLD)) == key
    for other in (
        request(via=OLD + ":5062"),
        request(via=OLD, uri="sip:other@example.com"),
        request(via=OLD, to="<sip:bob@example.com>;tag=2"),
        request(via=OLD, from_="<sip:alice@example.com>;tag=2"),
        request(via=OLD, call_id="other"),
        request(via=OLD, cseq=2),
        request("OPTIONS", via=OLD),
    ):
        assert server_key(other) != key


def test_rfc_2543_matching_ignores_what_we_wrote_into_the_via() -> None:
    marked = request(via=OLD + ";rport")
    plain = server_key(marked)
    marked.mark_source("198.51.100.1", 999)
    assert server_key(marked) == plain


def test_rfc_2543_ack_is_looked_for_without_and_with_its_to_tag() -> None:
    initial = server_key(request(via=OLD))
    again = server_key(request(via=OLD, to="<sip:bob@example.com>;tag=2"))
    assert ack_keys(request("ACK", via=OLD, to="<sip:bob@example.com>;tag=2")) == (initial, again)


def test_8_2_2_2_the_ways_of_a_forked_request_share_the_merge_key() -> None:
    key = merge_key(request(via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa"))
    assert merge_key(request(via="SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKb")) == key
    assert merge_key(request(cseq=2)) != key
    assert merge_key(request(call_id="x")) != key
    assert merge_key(request(from_="<sip:alice@example.com>;tag=2")) != key


def test_no_part_of_a_key_can_pass_for_another() -> None:
    a = request(via=OLD, from_="<sip:a@b>;tag=1", call_id="2")
    b = request(via=OLD, from_="<sip:a@b>;tag=12", call_id="")
    assert server_key(a) != server_key(b)

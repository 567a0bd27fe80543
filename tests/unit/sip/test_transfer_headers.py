"""Refer-To, Replaces, Join, Refer-Sub, Referred-By: the RFCs' examples, and what phones make of them."""

from __future__ import annotations

import pytest

from sip.errors import SipError
from sip.message import Request
from sip.transfer_headers import (
    Join,
    ReferTo,
    Replaces,
    join_of,
    refer_to_of,
    referred_by_of,
    replaces_of,
    wants_subscription,
)
from sip.uri import Uri


def refer(*headers: tuple[str, str]) -> Request:
    return Request("REFER", "sip:b@192.0.2.2", list(headers))


def test_refer_to_examples() -> None:
    """RFC 3515 2.1: the examples (with the "=" that one of them lacks)."""
    plain = ReferTo.parse("sip:alice@atlanta.example.com")
    assert (str(plain.uri), plain.method, plain.replaces) == ("sip:alice@atlanta.example.com", "INVITE", None)
    accept = ReferTo.parse(
        "<sip:bob@biloxi.example.net?Accept-Contact=sip:bobsdesk.biloxi.example.net"
        "&Call-ID=55432%40alicepc.atlanta.example.com>"
    )
    assert accept.headers["Accept-Contact"] == "sip:bobsdesk.biloxi.example.net"
    assert accept.headers["Call-ID"] == "55432@alicepc.atlanta.example.com"
    assert str(accept.uri) == "sip:bob@biloxi.example.net"


def test_refer_to_method() -> None:
    parsed = ReferTo.parse("<sip:carol@cleveland.example.org;method=SUBSCRIBE>")
    assert parsed.method == "SUBSCRIBE"
    assert str(parsed.uri) == "sip:carol@cleveland.example.org"
    assert str(parsed) == "<sip:carol@cleveland.example.org;method=SUBSCRIBE>"


@pytest.mark.parametrize(
    "text",
    [
        # RFC 5589 7: escaped as it must be
        "<sip:c@192.0.2.3?Replaces=090459243588173445%40192.0.2.1%3Bto-tag%3D9m2n3wq%3Bfrom-tag%3D763231>",
        # and as phones send it: nothing escaped, no brackets
        "<sip:c@192.0.2.3?Replaces=090459243588173445@192.0.2.1;to-tag=9m2n3wq;from-tag=763231>",
        "sip:c@192.0.2.3?replaces=090459243588173445%40192.0.2.1%3bfrom-tag%3d763231%3Bto-tag%3D9m2n3wq",
        '"Carol" <sip:c@192.0.2.3;method=INVITE?Replaces=090459243588173445%40192.0.2.1%3Bto-tag%3D9m2n3wq%3B'
        "from-tag%3D763231>",
    ],
)
def test_refer_to_replaces(text: str) -> None:
    """RFC 3891 5: Replaces in the URI of a Refer-To."""
    parsed = ReferTo.parse(text)
    assert parsed.replaces == Replaces("090459243588173445@192.0.2.1", "9m2n3wq", "763231")
    assert parsed.method == "INVITE"
    assert parsed.headers == {}
    assert str(parsed.uri) == "sip:c@192.0.2.3"
    assert ReferTo.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "<sip:c@192.0.2.3?Replaces=a%40b>",
        "<sip:c@192.0.2.3?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>",
        "<sip:c@192.0.2.3?X=a%0D%0AVia:%20x>",  # an escaped line end must not reach a header of ours
        "<sip:c@192.0.2.3?X%0D%0AY=a>",
        "<sip:c@192.0.2.3;method=%20>",
        "<sip:c@192.0.2.3?" + "&".join(f"h{n}=1" for n in range(17)) + ">",
        "sip:c@192.0.2.3?nothing",
        "",
    ],
)
def test_refer_to_refused(text: str) -> None:
    with pytest.raises(SipError) as caught:
        ReferTo.parse(text)
    assert caught.value.status == 400


def test_refer_to_must_be_one() -> None:
    """RFC 3515 2.4.2: none, or more than one: 400."""
    assert refer_to_of(refer(("Refer-To", "<sip:a@b>"))).uri == Uri.parse("sip:a@b")
    for request in (refer(), refer(("Refer-To", "<sip:a@b>"), ("Refer-To", "<sip:c@d>"))):
        with pytest.raises(SipError) as caught:
            refer_to_of(request)
        assert caught.value.status == 400


def test_replaces_examples() -> None:
    """RFC 3891 6.1: the examples."""
    assert Replaces.parse("98732@sip.example.com ;from-tag=r33th4x0r ;to-tag=ff87ff") == Replaces(
        "98732@sip.example.com", "ff87ff", "r33th4x0r"
    )
    early = Replaces.parse("12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only")
    assert early.early_only
    assert Replaces.parse(str(early)) == early
    assert Replaces.parse("87134@171.161.34.23;to-tag=24796;from-tag=0").from_tag == "0"


def test_join_example() -> None:
    """RFC 3911 7.1: the examples."""
    parsed = Join.parse("12adf2f34456gs5;to-tag=12345;from-tag=54321")
    assert parsed == Join("12adf2f34456gs5", "12345", "54321")
    assert Join.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";to-tag=1;from-tag=2",
        "a",
        "a;to-tag=1",
        "a;from-tag=1",
        "a;to-tag=1;to-tag=2;from-tag=3",
        "a b;to-tag=1;from-tag=2",
        "a;to-tag=;from-tag=2",
        "a;to-tag;from-tag=2",
        'a;to-tag="1";from-tag=2',
        "a;to-tag=1;from-tag=2, b;to-tag=1;from-tag=2",
        "a\r\nVia: b;to-tag=1;from-tag=2",
    ],
)
def test_dialog_names_refused(text: str) -> None:
    for parse in (Replaces.parse, Join.parse):
        with pytest.raises(SipError) as caught:
            parse(text)
        assert caught.value.status == 400


def test_one_replaces_in_an_invite() -> None:
    """RFC 3891 3: more than one is 400."""
    name = "a;to-tag=1;from-tag=2"
    request = Request("INVITE", "sip:b@c", [("Replaces", name)])
    assert replaces_of(request) == Replaces("a", "1", "2")
    assert join_of(request) is None
    request.add("Replaces", name)
    request.add("Join", name)
    request.add("Join", name)
    for read in (replaces_of, join_of):
        with pytest.raises(SipError):
            read(request)


def test_refer_sub() -> None:
    """RFC 4488 4: "false" alone asks for none."""
    assert wants_subscription(refer())
    assert wants_subscription(refer(("Refer-Sub", "true")))
    assert not wants_subscription(refer(("Refer-Sub", "False ;x=y")))


def test_referred_by() -> None:
    """RFC 3892 3; one that can't be read is none."""
    found = referred_by_of(refer(("Referred-By", '<sip:r@ref.example>;cid="2UWQFN309shb3@ref.example"')))
    assert found is not None
    assert found.uri == Uri.parse("sip:r@ref.example")
    assert found.param("cid") == "2UWQFN309shb3@ref.example"
    assert referred_by_of(refer(("Referred-By", "sip:r@ref.example"))) is not None
    assert referred_by_of(refer(("Referred-By", "<<"))) is None
    assert referred_by_of(refer()) is None

"""URIs (RFC 3261 section 19.1, RFC 3966)."""

import msgspec
import pytest

from sip.errors import SipError
from sip.uri import CACHED_LENGTH, Uri, escape_user, unescape


def test_every_part_is_read() -> None:
    uri = Uri.parse("sips:alice:secret@Atlanta.com:5061;Transport=tcp;lr?Subject=Hi%20you&X=")
    assert uri == Uri(
        "sips",
        "alice",
        "secret",
        "Atlanta.com",
        5061,
        {"transport": "tcp", "lr": None},
        {"Subject": "Hi you", "X": ""},
    )
    assert uri.transport == "tcp"
    assert uri.is_sip


# RFC 3261 19.1.3 and RFC 4475, RFC 5118
@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "sip:user;par=u%40example.net@example.com",
        "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
        "sip:null-%00-null@example.com",
        "sip:[2001:db8::10]",
        "sip:alice@[2001:db8::10]:5070;lr",
        "sip:my_host:5060",
        "tel:+1-201-555-0123;phone-context=example.com",
        "nobodyKnowsThisScheme:totallyopaquecontent".lower(),
        "soap.beep://192.0.2.103:3002",
        "http://www.example.com",
        "sip:user@host;maddr=[2001:db8::1]",
    ],
)
def test_what_is_read_is_written_again(text: str) -> None:
    assert str(Uri.parse(text)) == text


def test_ipv6_hosts_lose_their_brackets() -> None:
    assert Uri.parse("sip:[2001:db8::10]:5060").host == "2001:db8::10"


def test_schemes_are_case_insensitive() -> None:
    assert Uri.parse("SIP:alice@atlanta.com").scheme == "sip"
    assert Uri.parse("TEL:+1201").scheme == "tel"


def test_parameters_are_unescaped_and_lower_case() -> None:
    # RFC 4475 3.1.1.3: "%6C%72" is "lr"
    uri = Uri.parse("sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31")
    assert uri.params == {"lr": None, "name": "value%41"}
    assert uri.username == "caller"
    assert Uri.parse(str(uri)) == msgspec.structs.replace(uri)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip:@host",
        "alice@atlanta.com",
        "sip:a@b@c",
        "sip:alice@atlanta.com:70000",
        "sip:alice@atlanta.com:",
        "sip:alice@atlanta.com:50x",
        "sip:alice@atlanta.com;",
        "sip:alice@atlanta.com;;lr",
        "sip:alice@atlanta.com;lr;lr",
        "sip:al ice@atlanta.com",
        "sip:alice@atlanta.com; lr",
        "sip:alice@[2001:db8::10",
        "sip:alice@%41",
        "sip:al%ice@atlanta.com",
        "sip:al%4@atlanta.com",
        "sip:alice@atlanta.com?novalue",
        "sip:alice@atlanta.com>",
        '"sip:alice@atlanta.com"',
        "<sip:alice@atlanta.com>",
        "sip:alice\r\n@atlanta.com",
        "sip:alice@atlanta.com\x00",
        "1sip:alice",
        "*",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(SipError) as caught:
        Uri.parse(text)
    assert caught.value.status == 400
    assert caught.value.reason.startswith("Bad URI")


def test_lenient_user_parts_are_written_escaped() -> None:
    assert str(Uri.parse("sip:*#31#@example.com")) == "sip:*%2331%23@example.com"
    assert str(Uri.parse("sip:jürgen@example.com")) == "sip:j%C3%BCrgen@example.com"


def test_users_and_parameters_of_ours_are_escaped() -> None:
    assert str(Uri("sip", escape_user("a@b;c\r\n"), host="h")) == "sip:a%40b%3Bc%0D%0A@h"
    assert str(Uri("sip", "evil@x\r\nVia:", host="h")) == "sip:evil%40x%0D%0AVia%3A@h"
    assert str(Uri(host="h", params={"x y": "a;b=c"})) == "sip:h;x%20y=a%3Bb%3Dc"
    assert str(Uri(host="h", headers={"a b": "c&d"})) == "sip:h?a%20b=c%26d"


def test_unescape() -> None:
    assert unescape("a%20b%c3%bc%") == "a bü%"
    assert unescape("%FF").encode("utf-8", "surrogateescape") == b"\xff"
    assert unescape("plain") == "plain"


def test_the_address_of_record() -> None:
    # RFC 3261 10.3: "all URI parameters MUST be removed (including the user-param), and any escaped characters MUST be
    # converted to their unescaped form"
    assert Uri.parse("sip:%61lice:pw@Atlanta.COM:5080;user=phone").aor() == "alice@atlanta.com"
    assert Uri.parse("sip:Atlanta.COM").aor() == "atlanta.com"
    assert Uri.parse("tel:+1201;ext=5").aor() == "+1201"


# RFC 3261 19.1.4: "The URIs within each of the following sets are equivalent"
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+1201", "TEL:+1201"),
    ],
)
def test_rfc_3261_19_1_4_equivalent(one: str, other: str) -> None:
    assert Uri.parse(one).equals(Uri.parse(other))
    assert Uri.parse(other).equals(Uri.parse(one))


# "The URIs within each of the following sets are not equivalent"
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob@biloxi.com;maddr=192.0.2.1", "sip:bob@biloxi.com"),
        ("tel:+1201", "tel:+1202"),
    ],
)
def test_rfc_3261_19_1_4_not_equivalent(one: str, other: str) -> None:
    assert not Uri.parse(one).equals(Uri.parse(other))
    assert not Uri.parse(other).equals(Uri.parse(one))


def test_uris_can_be_kept_in_sets() -> None:
    assert len({Uri.parse("sip:a@b;x=1"), Uri.parse("sip:a@b;x=1"), Uri.parse("sip:a@b;x=2")}) == 2


def test_uris_are_not_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        Uri.parse("sip:a@b").host = "c"  # type: ignore[misc]


def test_long_uris_are_read_but_not_kept() -> None:
    text = f"sip:{'a' * CACHED_LENGTH}@b"
    assert Uri.parse(text) == Uri.parse(text)
    assert Uri.parse(text) is not Uri.parse(text)
    assert Uri.parse("sip:short@b") is Uri.parse("sip:short@b")

"""Header names, lists, Via, name-addr, CSeq."""

import time

import pytest

from sip.errors import SipError
from sip.headers import (
    LISTS,
    MAX_CSEQ,
    METHODS,
    NAMES,
    SINGLES,
    CSeq,
    NameAddr,
    Via,
    canonical,
    learn,
    read_params,
    split_list,
)
from sip.uri import Uri


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("i", "Call-ID"),
        ("I", "Call-ID"),
        ("call-id", "Call-ID"),
        ("CALL-ID", "Call-ID"),
        ("cAlL-iD", "Call-ID"),
        ("m", "Contact"),
        ("e", "Content-Encoding"),
        ("l", "Content-Length"),
        ("c", "Content-Type"),
        ("f", "From"),
        ("s", "Subject"),
        ("k", "Supported"),
        ("t", "To"),
        ("v", "Via"),
        ("x", "Session-Expires"),
        ("o", "Event"),
        ("r", "Refer-To"),
        ("u", "Allow-Events"),
        ("b", "Referred-By"),
        ("cseq", "CSeq"),
        ("www-authenticate", "WWW-Authenticate"),
        ("min-se", "Min-SE"),
        ("rack", "RAck"),
        ("x-some-THING", "X-Some-Thing"),
    ],
)
def test_rfc_3261_7_3_1_names_are_case_insensitive_and_have_compact_forms(name: str, known: str) -> None:
    assert canonical(name) == known
    assert canonical(known) == known


def test_learnt_names_are_bounded() -> None:
    before = len(NAMES)
    for n in range(2_000):
        assert learn(f"x-unheard-{n}") == f"X-Unheard-{n}"
    assert len(NAMES) - before <= 512
    assert learn("x-" + "y" * 100) not in NAMES


def test_a_header_is_a_list_or_single_never_both() -> None:
    assert not LISTS & SINGLES


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("  ", []),
        ("a", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        ('"a,b" <sip:c>, <sip:d,e>;x="f,g" ', ['"a,b" <sip:c>', '<sip:d,e>;x="f,g"']),
        (r'"a\",b", c', [r'"a\",b"', "c"]),
        ("a,,b", ["a", "", "b"]),
        ("<a>,", ["<a>", ""]),
    ],
)
def test_lists_are_split_outside_quotes_and_brackets(text: str, parts: list[str]) -> None:
    assert split_list(text) == parts


@pytest.mark.parametrize("text", ['a, "b', "a, <b", '<a>, "b\\"', 'a,"b" "'])
def test_unbalanced_lists_are_refused(text: str) -> None:
    with pytest.raises(SipError, match="Bad Contact: unbalanced"):
        split_list(text, "Contact")


def test_params_keep_quotes_and_lose_the_case_of_names() -> None:
    assert read_params(';Q=0.5 ; Foo="a;b\\"c" ;lr', "Contact") == {"q": "0.5", "foo": '"a;b\\"c"', "lr": None}
    assert read_params("", "Contact") == {}
    assert read_params("  ", "Contact") == {}
    assert read_params(";received=2001:db8::1;rport=5060", "Via") == {"received": "2001:db8::1", "rport": "5060"}


@pytest.mark.parametrize("text", [";", ";;", ";a;", ";a=", ";a==b", ';a="b', ";a b", "a", ";a,b", ";é=1", ";a=\x01"])
def test_malformed_params_are_refused(text: str) -> None:
    if text == ";a==b":
        assert read_params(text, "Contact") == {"a": "=b"}  # lenient: "=" inside values
        return
    with pytest.raises(SipError, match="Bad Contact: malformed parameter"):
        read_params(text, "Contact")


class TestCSeq:
    @pytest.mark.parametrize(
        ("text", "number", "method"),
        [
            ("1 INVITE", 1, "INVITE"),
            ("0009   INVITE", 9, "INVITE"),
            ("0 \t ACK", 0, "ACK"),
            ("2147483647 NEWMETHOD", MAX_CSEQ, "NEWMETHOD"),
            ("29344 RE%47IST%45R", 29344, "RE%47IST%45R"),
        ],
    )
    def test_read(self, text: str, number: int, method: str) -> None:
        assert CSeq.parse(text) == CSeq(number, method)

    @pytest.mark.parametrize(
        "text", ["", "1", "INVITE", "1INVITE", "-1 INVITE", "1 IN VITE", "1 INVITE;x", "1.0 INVITE", "١ INVITE", "1 "]
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(SipError, match=r"^400 Bad CSeq$"):
            CSeq.parse(text)

    @pytest.mark.parametrize("number", ["2147483648", "4294967296", "36893488147419103232", "9" * 5_000])
    def test_rfc_3261_8_1_1_5_numbers_are_less_than_2_to_the_31(self, number: str) -> None:
        with pytest.raises(SipError, match="number out of range"):
            CSeq.parse(f"{number} REGISTER")

    def test_written(self) -> None:
        assert str(CSeq(4711, "BYE")) == "4711 BYE"


class TestNameAddr:
    @pytest.mark.parametrize(
        ("text", "display", "uri", "params"),
        [
            ("<sip:a@b>", "", "sip:a@b", {}),
            ("<sip:a@b>;tag=x", "", "sip:a@b", {"tag": "x"}),
            ('"Alice" <sip:a@b>;tag=x', "Alice", "sip:a@b", {"tag": "x"}),
            ('"Alice"<sip:a@b>', "Alice", "sip:a@b", {}),
            ("Alice Smith <sip:a@b>", "Alice Smith", "sip:a@b", {}),
            ("caller<sip:caller@example.com>;tag=323", "caller", "sip:caller@example.com", {"tag": "323"}),
            ("A. Bell <sip:a@b>", "A. Bell", "sip:a@b", {}),
            ("Jürgen (Büro) <sip:a@b>", "Jürgen (Büro)", "sip:a@b", {}),
            (r'"J Rosenberg \\\""       <sip:a@b> ; tag = 98asjd8', 'J Rosenberg \\"', "sip:a@b", {"tag": "98asjd8"}),
            ('"a <b>, c;d" <sip:a@b>', "a <b>, c;d", "sip:a@b", {}),
            ('""<sip:a@b>', "", "sip:a@b", {}),
            ("sip:a@b", "", "sip:a@b", {}),
            ("sip:a@b;tag=x", "", "sip:a@b", {"tag": "x"}),
            ("sip:a@b ;   tag    = 1918181833n", "", "sip:a@b", {"tag": "1918181833n"}),
            ("<sip:a@b;lr>;x", "", "sip:a@b;lr", {"x": None}),
            (
                '<sip:a@b>;+sip.instance="<urn:uuid:1>";q=0.5',
                "",
                "sip:a@b",
                {"+sip.instance": '"<urn:uuid:1>"', "q": "0.5"},
            ),
            ("<sip:a@[2001:db8::1]:5062>", "", "sip:a@[2001:db8::1]:5062", {}),
            ("isbn:2983792873", "", "isbn:2983792873", {}),
            ("<http://www.example.com>;tag=3234233", "", "http://www.example.com", {"tag": "3234233"}),
            ("\t <sip:a@b>", "", "sip:a@b", {}),
        ],
    )
    def test_read(self, text: str, display: str, uri: str, params: dict[str, str | None]) -> None:
        assert NameAddr.parse(text) == NameAddr(display, Uri.parse(uri), params)
        written = str(NameAddr.parse(text))
        assert NameAddr.parse(written) == NameAddr.parse(text)
        assert str(NameAddr.parse(written)) == written

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "a",
            "<>",
            "<sip:a@b",
            "sip:a@b>",
            '"Mr. J. User <sip:j.user@example.com>',
            "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
            "< sip:t.watson@example.org >",
            '"Joe" <sip:joe@example.org>;;;;',
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "<sip:a@b> <sip:c@d>",
            "<sip:a@b>tag=x",
            "<sip:a@b:99999>",
            "sip:a@b x",
            "*",
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(SipError, match=r"^400 Bad From"):
            NameAddr.parse(text, "From")

    def test_long_ones_are_read_all_the_same(self) -> None:
        text = f'"{"x" * 300}" <sip:{"a" * 300}@b>;tag=y'
        assert NameAddr.parse(text) == NameAddr("x" * 300, Uri("sip", "a" * 300, host="b"), {"tag": "y"})

    def test_tag_and_other_parameters(self) -> None:
        value = NameAddr.parse('<sip:a@b>;TAG=x;+sip.instance="<urn:uuid:\\"1>";lr')
        assert value.tag == "x"
        assert value.param("+sip.instance") == '<urn:uuid:"1>'
        assert value.param("lr") == value.param("nothing") == ""
        assert NameAddr.parse("<sip:a@b>").tag == ""

    def test_display_names_are_written_inert(self) -> None:
        value = NameAddr('a"\r\nVia: x\\', Uri.parse("sip:a@b"))
        assert str(value) == '"a\\"  Via: x\\\\" <sip:a@b>'
        assert NameAddr.parse(str(value)).display == 'a"  Via: x\\'


class TestVia:
    @pytest.mark.parametrize(
        ("text", "transport", "host", "port", "params"),
        [
            ("SIP/2.0/UDP a.b:5060;branch=z9hG4bKx;rport", "UDP", "a.b", 5060, {"branch": "z9hG4bKx", "rport": None}),
            ("SIP/2.0/TCP 192.0.2.1", "TCP", "192.0.2.1", None, {}),
            ("SIP/2.0/tls a.b;branch=1", "TLS", "a.b", None, {"branch": "1"}),
            ("SIP  / 2.0  / TCP     spindle.com   ;  branch  =   z9hG4bK9", "TCP", "spindle.com", None,
             {"branch": "z9hG4bK9"}),
            ("SIP/2.0/UDP [2001:db8::9:1]:5060;received=[2001:db8::9:255]", "UDP", "2001:db8::9:1", 5060,
             {"received": "[2001:db8::9:255]"}),
            ("SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw", "UDP", "c.example.com", None, {"branch": "z9hG4bKkdjuw"}),
            ("SIP/2.0/UNKNOWN t4 : 5070 ;x", "UNKNOWN", "t4", 5070, {"x": None}),
        ],
    )  # fmt: skip
    def test_read(self, text: str, transport: str, host: str, port: int | None, params: dict[str, str | None]) -> None:
        assert Via.parse(text) == Via(transport, host, port, params)
        assert Via.parse(str(Via.parse(text))) == Via.parse(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "UDP a.b",
            "SIP/2.0 a.b",
            "SIP/2.0/UDP a.b:",
            "SIP/2.0/UDP a.b:99999",
            "SIP/2.0/UDP a.b:123456",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP a.b;;,;,,",
            "SIP/2.0/UDP a.b;branch=",
            ";branch=x",
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(SipError, match=r"^400 Bad Via"):
            Via.parse(text)

    def test_each_is_one_of_its_own(self) -> None:
        Via.parse("SIP/2.0/UDP a.b;branch=1").params["received"] = "192.0.2.1"
        assert Via.parse("SIP/2.0/UDP a.b;branch=1").received == ""

    def test_rfc_4475_3_1_2_1_what_is_enough_to_answer_is_salvaged(self) -> None:
        assert Via.salvage("SIP/2.0/UDP 192.0.2.15;;,;,,") == Via("UDP", "192.0.2.15", None, {})
        assert Via.salvage('SIP/2.0/UDP a:5;;branch=x;y="') == Via("UDP", "a", 5, {"branch": "x"})
        with pytest.raises(SipError):
            Via.salvage(";;")

    def test_rfc_5118_4_5_received_with_and_without_brackets(self) -> None:
        assert Via.parse("SIP/2.0/UDP a;received=[2001:db8::9:255]").received == "2001:db8::9:255"
        assert Via.parse("SIP/2.0/UDP a;received=2001:db8::9:255").received == "2001:db8::9:255"

    @pytest.mark.parametrize(
        ("param", "rport", "wanted"),
        [
            (";rport", None, True),
            (";rport=5062", 5062, True),
            (";rport=0", None, True),
            (";rport=99999", None, True),
            (";rport=x", None, True),
            ("", None, False),
        ],
    )
    def test_rfc_3581_rport(self, param: str, rport: int | None, wanted: bool) -> None:
        via = Via.parse("SIP/2.0/UDP a;branch=z" + param)
        assert (via.rport, via.wants_rport, via.branch) == (rport, wanted, "z")


def test_every_method_is_a_token_in_capitals() -> None:
    assert all(method.isalpha() and method.isupper() for method in METHODS)


@pytest.mark.parametrize(
    "text",
    [
        " " * 8_000,
        ";" * 8_000,
        "\\" * 8_000,
        '"' * 7_999,
        '"\\' * 4_000,
        "<" * 8_000,
        "a" * 8_000,
        ":" * 8_000,
        "@" * 8_000,
        "%41" * 2_600,
        "sip:" + "a:" * 4_000,
        "sip:" + "a;" * 4_000,
        '<sip:a>;a="\\' + '";a="\\' * 1_300,
        "SIP/2.0/UDP a" + " ;" * 4_000,
        "SIP/2.0/UDP a" + " " * 8_000,
        ";a=" * 2_700,
        '"a" ' * 2_000,
        "1 " * 4_000,
    ],
)
def test_no_value_takes_longer_than_it_is_long(text: str) -> None:
    began = time.process_time()
    for read in (NameAddr.parse, Via.parse, Via.salvage, CSeq.parse, Uri.parse, split_list):
        for value in (text, text + "x", text + ">"):
            try:
                read(value)
            except SipError:
                continue
    # 18 readings of 8 kB: a quadratic one alone takes seconds
    assert time.process_time() - began < 0.5

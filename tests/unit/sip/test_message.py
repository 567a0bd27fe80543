"""Messages: raw and typed headers, responses, writing."""

from __future__ import annotations

import pytest

from sip.errors import SipError
from sip.headers import CSeq, NameAddr, Via
from sip.message import Message, Request, Response, delta_seconds, response_to
from sip.parser import parse
from sip.uri import Uri


def invite() -> Request:
    return Request(
        "INVITE",
        "sip:bob@biloxi.com",
        [
            ("Via", "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds, SIP/2.0/TCP b.example.com"),
            ("Via", "SIP/2.0/UDP c.example.com;branch=z9hG4bKc"),
            ("Max-Forwards", "70"),
            ("Record-Route", "<sip:p2;lr>,<sip:p1;lr>"),
            ("To", "Bob <sip:bob@biloxi.com>"),
            ("From", "Alice <sip:alice@atlanta.com>;tag=1928301774"),
            ("Call-ID", "a84b4c76e66710@pc33.atlanta.com"),
            ("CSeq", "314159 INVITE"),
            ("Contact", "<sip:alice@pc33.atlanta.com>"),
            ("Timestamp", "54"),
        ],
        b"v=0\r\n",
    )


class TestRaw:
    def test_any_spelling_finds_a_header(self) -> None:
        request = invite()
        for name in ("Call-ID", "call-id", "i", "I"):
            assert request.get(name) == "a84b4c76e66710@pc33.atlanta.com"
            assert request.has(name)
        assert request.get("Subject") is None
        assert request.get("x-unheard-of-here") is None
        assert not request.has("s")

    def test_get_is_the_first_and_values_are_all(self) -> None:
        request = invite()
        assert request.values("v") == [
            "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds",
            "SIP/2.0/TCP b.example.com",
            "SIP/2.0/UDP c.example.com;branch=z9hG4bKc",
        ]
        assert request.get("Via") == request.headers[0][1]
        assert request.values("Subject") == []

    def test_values_of_headers_that_are_no_lists_stay_whole(self) -> None:
        message = Request("OPTIONS", "sip:a", [("Subject", "a, b"), ("Date", "Sat, 13 Nov 2010 23:29:00 GMT")])
        assert message.values("Subject") == ["a, b"]
        assert message.values("Date") == ["Sat, 13 Nov 2010 23:29:00 GMT"]
        challenged = Response(401, None, [("WWW-Authenticate", 'Digest a="b", c="d"'), ("WWW-Authenticate", "X y")])
        assert challenged.values("WWW-Authenticate") == ['Digest a="b", c="d"', "X y"]

    def test_values_of_one_list_header_are_split_whether_or_not_others_repeat(self) -> None:
        alone = Request("OPTIONS", "sip:a", [("Supported", "100rel, timer")])
        assert alone.values("Supported") == ["100rel", "timer"]
        alone.add("x-a", "1")
        alone.add("x-a", "2")
        assert alone.values("Supported") == ["100rel", "timer"]

    def test_changes_keep_raw_and_typed_values_together(self) -> None:
        request = invite()
        assert request.from_tag == "1928301774"
        assert request.via.host == "pc33.atlanta.com"
        assert request.cseq.number == 314159
        assert request.to_tag == ""
        assert request.contact == NameAddr("", Uri.parse("sip:alice@pc33.atlanta.com"))
        request.set("f", "<sip:carol@atlanta.com>;tag=2")
        request.set("CSeq", "2 INVITE")
        request.set("To", "<sip:bob@biloxi.com>;tag=3")
        request.set("Contact", "<sip:new@host>")
        request.prepend("Via", "SIP/2.0/UDP new.example.com;branch=z9hG4bKn")
        assert request.from_tag == "2"
        assert request.cseq == CSeq(2, "INVITE")
        assert request.to_tag == "3"
        assert request.contact is not None
        assert request.contact.uri.user == "new"
        assert request.via.host == "new.example.com"
        assert [via.host for via in request.vias] == [
            "new.example.com",
            "pc33.atlanta.com",
            "b.example.com",
            "c.example.com",
        ]
        request.remove("Contact")
        assert request.contact is None
        assert request.contacts == []
        request.add("Contact", "<sip:third@host>")
        assert [contact.uri.user for contact in request.contacts] == ["third"]

    def test_set_leaves_one_in_the_place_of_the_first(self) -> None:
        request = invite()
        request.set("via", "SIP/2.0/UDP x")
        assert [name for name, _ in request.headers].count("Via") == 1
        assert request.headers[0] == ("Via", "SIP/2.0/UDP x")
        request.set("subject", "hello")
        assert request.headers[-1] == ("Subject", "hello")
        assert request.get("s") == "hello"

    def test_prepend_goes_before_the_first_of_its_name_or_to_the_top(self) -> None:
        request = invite()
        request.prepend("record-route", "<sip:p3;lr>")
        assert [route.uri.host for route in request.record_routes] == ["p3", "p2", "p1"]
        request.prepend("Route", "<sip:r;lr>")
        assert request.headers[0] == ("Route", "<sip:r;lr>")

    def test_add_keeps_the_first_as_the_one_got(self) -> None:
        request = invite()
        assert request.get("Contact") == "<sip:alice@pc33.atlanta.com>"
        request.add("m", "<sip:other@host>")
        assert request.get("Contact") == "<sip:alice@pc33.atlanta.com>"
        assert len(request.contacts) == 2

    def test_remove_takes_every_one_and_forgives_none(self) -> None:
        request = invite()
        request.remove("v")
        request.remove("Subject")
        assert not request.has("Via")
        with pytest.raises(SipError, match="400 Missing Via"):
            _ = request.via

    def test_replace_top_keeps_the_rest_of_the_line(self) -> None:
        request = invite()
        request.replace_top("Via", "SIP/2.0/UDP x")
        assert request.headers[0] == ("Via", "SIP/2.0/UDP x, SIP/2.0/TCP b.example.com")
        assert request.get("Via") == request.headers[0][1]
        assert len(request.vias) == 3

    def test_a_copy_shares_nothing_that_changes(self) -> None:
        for message in (invite(), response_to(invite(), 200)):
            copy = message.copy()
            assert copy == message
            copy.add("Subject", "x")
            assert not message.has("Subject")
            assert copy != message


class TestTyped:
    def test_all_of_the_rfc_example(self) -> None:
        request = invite()
        assert request.via == Via("UDP", "pc33.atlanta.com", None, {"branch": "z9hG4bK776asdhds"})
        assert request.to == NameAddr("Bob", Uri.parse("sip:bob@biloxi.com"))
        assert request.from_ == NameAddr("Alice", Uri.parse("sip:alice@atlanta.com"), {"tag": "1928301774"})
        assert request.call_id == "a84b4c76e66710@pc33.atlanta.com"
        assert request.cseq == CSeq(314159, "INVITE")
        assert request.max_forwards == 70
        assert request.request_uri == Uri.parse("sip:bob@biloxi.com")
        assert request.expires is None
        assert request.content_type == ""
        assert request.supported == request.required == request.allow == frozenset()
        assert request.routes == request.paths == []

    def test_typed_values_are_read_once(self) -> None:
        request = invite()
        assert request.via is request.via
        assert request.contacts is request.contacts
        assert request.request_uri is request.request_uri

    def test_option_tags_and_methods(self) -> None:
        request = invite()
        request.add("k", "100rel, Timer")
        request.add("Supported", "path,")
        request.add("Require", "")
        request.add("Allow", "INVITE, ACK")
        request.add("Allow", "BYE")
        assert request.supported == {"100rel", "timer", "path"}
        assert request.required == frozenset()
        assert request.allow == {"INVITE", "ACK", "BYE"}
        assert Response(200, None, [("Supported", "Outbound,, gruu")]).supported == {"outbound", "gruu"}

    def test_contact_star(self) -> None:
        request = Request("REGISTER", "sip:a", [("Contact", "*")])
        assert request.contact_is_star
        assert request.contacts == []
        assert request.contact is None

    @pytest.mark.parametrize(("raw", "hops"), [("0", 0), ("70", 70), ("0068", 68), ("255", 255), ("000", 0)])
    def test_max_forwards(self, raw: str, hops: int) -> None:
        assert Request("OPTIONS", "sip:a", [("Max-Forwards", raw)]).max_forwards == hops

    @pytest.mark.parametrize("raw", ["256", "300", "-1", "", "x", "7 0", "١", "9" * 5_000])
    def test_rfc_3261_20_22_max_forwards_is_0_to_255(self, raw: str) -> None:
        with pytest.raises(SipError, match="400 Bad Max-Forwards"):
            _ = Request("OPTIONS", "sip:a", [("Max-Forwards", raw)]).max_forwards

    def test_rfc_3261_20_19_expires(self) -> None:
        def expires(raw: str) -> int | None:
            return Request("REGISTER", "sip:a", [("Expires", raw)]).expires

        assert expires("3600") == 3600
        assert expires("0") == 0
        assert expires("1" + "0" * 100) == 2**32 - 1
        for raw in ("-1", "", "soon", "3600.5"):
            with pytest.raises(SipError, match="400 Bad Expires"):
                expires(raw)
        assert delta_seconds("9" * 5_000) == delta_seconds(str(2**32)) == 2**32 - 1

    @pytest.mark.parametrize(
        ("raw", "kind"),
        [
            ("application/sdp", "application/sdp"),
            ("Application / SDP ; charset=utf-8", "application/sdp"),
            ("multipart/mixed;boundary=x", "multipart/mixed"),
        ],
    )
    def test_content_type(self, raw: str, kind: str) -> None:
        assert Request("INVITE", "sip:a", [("Content-Type", raw)]).content_type == kind

    def test_routes_of_several_lines_are_one_list(self) -> None:
        request = Request(
            "INVITE",
            "sip:a",
            [("Route", "<sip:a;lr>, <sip:b;lr>"), ("Path", "<sip:x>"), ("Route", "<sip:c>"), ("Path", "<sip:y>")],
        )
        assert [str(route.uri) for route in request.routes] == ["sip:a;lr", "sip:b;lr", "sip:c"]
        assert [str(path.uri) for path in request.paths] == ["sip:x", "sip:y"]

    @pytest.mark.parametrize(
        ("name", "read"),
        [
            ("Via", lambda m: m.via),
            ("Via", lambda m: m.vias),
            ("From", lambda m: m.from_),
            ("To", lambda m: m.to_tag),
            ("CSeq", lambda m: m.cseq),
            ("Contact", lambda m: m.contacts),
            ("Route", lambda m: m.routes),
            ("Record-Route", lambda m: m.record_routes),
            ("Path", lambda m: m.paths),
        ],
    )
    def test_malformed_values_are_the_peers_mistake_at_first_use(self, name: str, read: object) -> None:
        request = Request("INVITE", "sip:a", [(name, "<<>>")])
        assert callable(read)
        with pytest.raises(SipError, match=f"^400 Bad {name}"):
            read(request)

    def test_a_malformed_request_uri_is_named(self) -> None:
        with pytest.raises(SipError, match="400 Bad Request-URI"):
            _ = Request("INVITE", "<sip:a>").request_uri

    def test_another_request_uri(self) -> None:
        request = invite()
        assert request.request_uri.user == "bob"
        request.set_uri(Uri.parse("sip:carol@chicago.com;lr"))
        assert request.uri == "sip:carol@chicago.com;lr"
        assert request.request_uri.user == "carol"


class TestMarkSource:
    @staticmethod
    def marked(via: str, host: str = "192.0.2.9", port: int = 40_000) -> str:
        request = Request("OPTIONS", "sip:a", [("Via", via), ("Via", "SIP/2.0/UDP other")])
        request.mark_source(host, port)
        assert request.headers[1] == ("Via", "SIP/2.0/UDP other")
        assert request.via == Via.parse(request.values("Via")[0])
        return request.headers[0][1]

    def test_rfc_3261_18_2_1_received_where_the_sent_by_differs(self) -> None:
        assert self.marked("SIP/2.0/UDP a.b;branch=z") == "SIP/2.0/UDP a.b;branch=z;received=192.0.2.9"
        assert self.marked("SIP/2.0/UDP 192.0.2.8") == "SIP/2.0/UDP 192.0.2.8;received=192.0.2.9"

    def test_none_where_it_is_the_same(self) -> None:
        assert self.marked("SIP/2.0/UDP 192.0.2.9:5060;branch=z") == "SIP/2.0/UDP 192.0.2.9:5060;branch=z"

    def test_rfc_3581_4_rport_always_with_received(self) -> None:
        assert (
            self.marked("SIP/2.0/UDP 192.0.2.9;rport;branch=z")
            == "SIP/2.0/UDP 192.0.2.9;rport=40000;branch=z;received=192.0.2.9"
        )

    def test_what_the_peer_claims_of_itself_is_overwritten(self) -> None:
        assert self.marked("SIP/2.0/UDP a;received=1.2.3.4;rport=1") == "SIP/2.0/UDP a;received=192.0.2.9;rport=40000"
        assert self.marked("SIP/2.0/UDP 192.0.2.9;received=1.2.3.4") == "SIP/2.0/UDP 192.0.2.9;received=192.0.2.9"

    def test_ipv6_and_the_other_values_of_the_line(self) -> None:
        assert (
            self.marked("SIP/2.0/TCP [2001:db8::1]:5060;branch=z, SIP/2.0/UDP b", "2001:db8::2")
            == "SIP/2.0/TCP [2001:db8::1]:5060;branch=z;received=2001:db8::2, SIP/2.0/UDP b"
        )

    def test_twice_is_once(self) -> None:
        request = Request("OPTIONS", "sip:a", [("Via", "SIP/2.0/UDP a;rport")])
        request.mark_source("192.0.2.9", 5)
        first = request.headers[0]
        request.mark_source("192.0.2.9", 5)
        assert request.headers == [first]


class TestResponse:
    def test_rfc_3261_8_2_6_2_headers_of_the_request_are_copied(self) -> None:
        request = invite()
        response = response_to(request, 404, to_tag="t1")
        assert (response.status, response.reason, response.body) == (404, "Not Found", b"")
        assert response.headers == [
            request.headers[0],
            request.headers[1],
            ("To", "Bob <sip:bob@biloxi.com>;tag=t1"),
            ("From", "Alice <sip:alice@atlanta.com>;tag=1928301774"),
            ("Call-ID", "a84b4c76e66710@pc33.atlanta.com"),
            ("CSeq", "314159 INVITE"),
        ]

    def test_raw_values_are_shared_not_copied(self) -> None:
        request = invite()
        response = response_to(request, 200)
        assert response.headers[0] is request.headers[0]

    def test_rfc_3261_8_2_6_1_a_100_has_the_timestamp_and_no_tag(self) -> None:
        response = response_to(invite(), 100, to_tag="t1")
        assert response.get("Timestamp") == "54"
        assert response.to_tag == ""
        assert not response.has("Record-Route")
        assert not response_to(invite(), 180).has("Timestamp")

    @pytest.mark.parametrize(
        ("method", "status", "copied"),
        [("INVITE", 180, True), ("INVITE", 200, True), ("SUBSCRIBE", 200, True), ("INVITE", 486, False),
         ("BYE", 200, False), ("REGISTER", 200, False)],
    )  # fmt: skip
    def test_rfc_3261_12_1_1_record_route(self, method: str, status: int, copied: bool) -> None:
        request = invite()
        request.method = method
        assert response_to(request, status).has("Record-Route") is copied

    @pytest.mark.parametrize("to", ["<sip:a@b>;tag=old", "sip:a@b ; TAG = old", "<sip:a@b>;x;tag=old"])
    def test_a_tag_that_is_there_stays_the_only_one(self, to: str) -> None:
        request = invite()
        request.set("To", to)
        response = response_to(request, 200, to_tag="new")
        assert response.get("To") == to
        assert response.to_tag == "old"

    @pytest.mark.parametrize("to", ["<sip:tag@b>", '"tag" <sip:a@b>', "sip:a@tag"])
    def test_the_word_tag_elsewhere_is_no_tag(self, to: str) -> None:
        request = invite()
        request.set("To", to)
        assert response_to(request, 200, to_tag="new").to_tag == "new"

    def test_malformed_requests_can_be_answered(self) -> None:
        request = Request("INVITE", "sip:a", [("Via", "SIP/2.0/UDP a"), ("To", '"tag <sip:a@b>'), ("CSeq", "x")])
        assert response_to(request, 400, "Bad To", "t1").headers == request.headers
        assert response_to(Request("INVITE", "sip:a", []), 400, to_tag="t1").headers == []

    def test_reasons(self) -> None:
        assert response_to(invite(), 400, "Bad CSeq").reason == "Bad CSeq"
        assert Response(486).reason == "Busy Here"
        assert Response(200, "").reason == ""


class TestEncode:
    def test_a_request(self) -> None:
        request = Request("MESSAGE", "sip:a@b", [("Via", "SIP/2.0/UDP x"), ("Subject", "ünï")], "grüße".encode())
        assert (
            request.encode()
            == (
                "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nSubject: ünï\r\nContent-Length: 7\r\n\r\ngrüße"
            ).encode()
        )

    def test_a_response(self) -> None:
        assert Response(200, None, [("CSeq", "1 BYE")]).encode() == (
            b"SIP/2.0 200 OK\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
        )
        assert Response(200, "").encode() == b"SIP/2.0 200 \r\nContent-Length: 0\r\n\r\n"

    def test_content_length_is_written_from_the_body_whatever_the_header_says(self) -> None:
        message = Request("INFO", "sip:a", [("Content-Length", "99"), ("X-Y", "Content-Length: 3")], b"12345")
        assert message.encode() == b"INFO sip:a SIP/2.0\r\nX-Y: Content-Length: 3\r\nContent-Length: 5\r\n\r\n12345"
        only = Request("INFO", "sip:a", [("Content-Length", "99")])
        assert only.encode() == b"INFO sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n"

    @pytest.mark.parametrize(
        "message",
        [
            Request("INFO", "sip:a", [("Subject", "a\r\nVia: SIP/2.0/UDP evil")]),
            Request("INFO", "sip:a", [("Subject", "a\n")]),
            Request("INFO", "sip:a", [("Subject", "a\r")]),
            Request("INFO", "sip:a\r\n", []),
            Request("INFO\n", "sip:a", []),
            Request("INFO", "sip:a", [("X\r\nY", "z")]),
            Response(200, "OK\r\nX: y"),
        ],
    )
    def test_nothing_can_be_smuggled_into_what_we_send(self, message: Message) -> None:
        with pytest.raises(ValueError, match="CR or LF"):
            message.encode()

    def test_bytes_that_are_no_utf_8_come_out_as_they_came_in(self) -> None:
        data = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nSubject: \xff\xfe\r\nContent-Length: 0\r\n\r\n"
        assert parse(data).encode() == data


def test_equality_looks_at_what_is_sent() -> None:
    assert invite() == invite()
    assert invite() != Response(200)
    assert Response(200) == Response(200)
    assert Response(200) != Response(201)
    assert Response(200) != invite()
    longer = invite()
    longer.add("Content-Length", "5")
    assert longer == invite()
    longer.add("Subject", "x")
    assert longer != invite()


def test_the_repr_shows_no_header() -> None:
    request = invite()
    request.add("Authorization", 'Digest response="0123"')
    assert repr(request) == "<Request INVITE sip:bob@biloxi.com of 11 headers, 5 bytes>"
    assert repr(Response(180)) == "<Response 180 Ringing of 0 headers, 0 bytes>"

"""What a UAS checks before it acts (RFC 3261 8.2): status, headers, order; bodies (RFC 5621)."""

from __future__ import annotations

import pytest
from torture_files import MESSAGES, needs_torture
from virtual_link import ANSWER, OFFER, Link, Node, Seen

from sip.message import Request, Response
from sip.ua import UaSettings
from sip.uas import Refused, check_accept, sdp_of


def request(method: str = "INVITE", uri: str = "sip:bob@192.0.2.2", body: bytes = OFFER, **headers: str) -> str:
    fields = {
        "Via": "SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bKtest",
        "Max-Forwards": "70",
        "From": "<sip:x@192.0.2.99>;tag=x",
        "To": "<sip:bob@192.0.2.2>",
        "Call-ID": "c",
        "CSeq": f"1 {method}",
        "Contact": "<sip:x@192.0.2.99>",
    }
    if body:
        fields["Content-Type"] = "application/sdp"
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"{method} {uri} SIP/2.0\r\n{head}Content-Length: {len(body)}\r\n\r\n{body.decode()}"


def ask(text: str, settings: UaSettings | None = None) -> tuple[Node, list[Response]]:
    link = Link()
    bob = link.node("192.0.2.2", settings)
    bob.inject(text)
    return bob, [seen.message for seen in link.wire if isinstance(seen.message, Response) and seen.message.status > 100]


@pytest.mark.parametrize(
    ("text", "status", "header", "value"),
    [
        # 8.2.1
        (request("NOTIFY", body=b""), 405, "Allow", "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS, REGISTER"),
        (request("FROBNICATE", body=b""), 501, "Allow", None),
        # 8.2.2.1
        (request(uri="soap.beep://192.0.2.103:3002"), 416, "", None),
        (request(uri="tel:+15551234"), 416, "", None),
        (request(uri="sips:bob@192.0.2.2"), 416, "", None),
        # 8.2.2.3
        (request(Require="nothing, 100rel, magic"), 420, "Unsupported", "magic, nothing"),
        (request("REGISTER", body=b"", Require="gruu"), 420, "Unsupported", "gruu"),
        # 12.2.2, and methods that live in dialogs only
        (request(To="<sip:bob@192.0.2.2>;tag=gone"), 481, "", None),
        (request("BYE", body=b""), 481, "", None),
        (request("PRACK", body=b"", RAck="1 1 INVITE"), 481, "", None),
        (request("UPDATE", body=b""), 481, "", None),
        (request("INFO", body=b""), 481, "", None),
        (request("OPTIONS", body=b"", To="<sip:bob@192.0.2.2>;tag=gone"), 481, "", None),
        # 8.2.3
        (request(Content_Type="application/unknown"), 415, "Accept", "application/sdp, multipart/mixed"),
        (request(Content_Encoding="gzip"), 415, "Accept-Encoding", "identity"),
        (request(Content_Type=""), 400, "Accept", "application/sdp, multipart/mixed"),
        (request(Content_Type="multipart/mixed"), 400, "", None),
        # 20.1
        (request(Accept="text/html, application/sdp;q=0.0"), 406, "Accept", "application/sdp"),
        # RFC 4028
        (request(Session_Expires="10", Supported="timer"), 422, "Min-SE", "90"),
    ],
)
def test_refusals(text: str, status: int, header: str, value: str | None) -> None:
    """Each check of RFC 3261 8.2 has its status and the headers it must bring; the application hears of none."""
    bob, responses = ask(text)
    (response,) = responses
    assert response.status == status
    if header:
        assert response.get(header)
    if value is not None:
        assert response.get(header) == value
    assert response.to_tag
    assert bob.events == []
    assert not bob.ua.sessions


def test_order_of_the_checks() -> None:
    """RFC 3261 8.2: method, then headers, then content."""
    every = {"Require": "magic", "Content_Type": "application/unknown"}
    assert ask(request("NOTIFY", "soap:x", **every))[1][0].status == 405
    assert ask(request("INVITE", "soap:x", **every))[1][0].status == 416
    assert ask(request("INVITE", **every))[1][0].status == 420
    assert ask(request("INVITE", Content_Type="application/unknown"))[1][0].status == 415


@pytest.mark.parametrize(
    "text",
    [
        request(Accept="application/*"),
        request(Accept="text/plain, */*;q=0.1"),
        request(Require="timer", Supported="timer"),
        request(body=b"Hi", Content_Type="text/plain", Content_Disposition="icon ; Handling = Optional"),
        request(Contact="", body=b""),  # RFC 2543 peers
    ],
)
def test_acceptable(text: str) -> None:
    bob, responses = ask(text)
    assert responses == []
    assert bob.kinds() == ["SessionArrived"]


def test_tel_by_setting() -> None:
    bob, _ = ask(request(uri="tel:+15551234"), UaSettings(accept_tel=True))
    assert bob.kinds() == ["SessionArrived"]
    assert bob.session().contact_user == "+15551234"


def test_path_is_understood_in_register_only() -> None:
    """RFC 3327: a REGISTER may require path."""
    bob, _ = ask(request("REGISTER", body=b"", Require="path"))
    assert bob.kinds() == ["RequestArrived"]
    assert ask(request(Require="path"))[1][0].status == 420


@pytest.mark.parametrize("max_forwards", ["0", "70"])
def test_options_is_answered_inside(max_forwards: str) -> None:
    """RFC 3261 11.2: 200 with Allow, Accept, Accept-Encoding, Accept-Language, Supported; Max-Forwards 0 ends here."""
    bob, (response,) = ask(request("OPTIONS", body=b"", Max_Forwards=max_forwards))
    assert response.status == 200
    for name in ("Allow", "Accept", "Accept-Encoding", "Accept-Language", "Supported"):
        assert response.has(name)
    assert bob.events == []


def test_options_while_draining_and_by_the_application() -> None:
    link = Link()
    bob = link.node("192.0.2.2")
    bob.ua.draining = True
    bob.inject(request("OPTIONS", body=b""))
    assert link.said() == ["503 OPTIONS"]
    carol = link.node("192.0.2.3", UaSettings(answer_options=False))
    carol.inject(request("OPTIONS", body=b""))
    assert carol.kinds() == ["RequestArrived"]


def test_full_table_of_sessions() -> None:
    """A flood of INVITEs gets 503 with Retry-After, memory stays flat (THREATS 9)."""
    link = Link()
    bob = link.node("192.0.2.2", UaSettings(max_sessions=2))
    for n in range(5):
        bob.inject(request(Call_ID=f"c{n}", Via=f"SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bK{n}"))
    assert len(bob.ua.sessions) == 2
    refused = link.seen("503 INVITE")
    assert len(refused) == 3
    assert refused[0].message.has("Retry-After")


# --- bodies -------------------------------------------------------------------------------------------------


def multipart(*parts: bytes, boundary: str = "b1") -> bytes:
    mark = b"--" + boundary.encode()
    return b"preamble\r\n" + b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\nepilogue"


def of(body: bytes, content_type: str) -> bytes | None:
    return sdp_of(Request("INVITE", "sip:x@y", [("Content-Type", content_type)], body))


SDP_PART = b"Content-Type: application/sdp\r\n\r\n" + OFFER
TEXT_PART = b"Content-Type: text/plain\r\n\r\nHello"


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/mixed;boundary=b1",
        'Multipart/Mixed; charset=x; Boundary="b1"',
        "multipart/alternative ;boundary = b1",
    ],
)
def test_multipart(content_type: str) -> None:
    """RFC 5621: the SDP part is taken out, byte for byte."""
    assert of(multipart(TEXT_PART, SDP_PART), content_type) == OFFER
    assert of(multipart(SDP_PART, TEXT_PART), content_type) == OFFER
    assert of(multipart(b"\r\njust text"), content_type) is None


def test_nested_multipart() -> None:
    inner = b"c: multipart/alternative;boundary=b2\r\n\r\n" + multipart(TEXT_PART, SDP_PART, boundary="b2")
    assert of(multipart(inner), "multipart/mixed;boundary=b1") == OFFER


def test_part_that_must_be_understood() -> None:
    """RFC 5621 8.3: handling=required of a part that we don't know: 415."""
    part = b"Content-Type: x/y\r\nContent-Disposition: signal;handling=required\r\n\r\n..."
    with pytest.raises(Refused) as caught:
        of(multipart(part, SDP_PART), "multipart/mixed;boundary=b1")
    assert caught.value.status == 415


def test_bad_multiparts() -> None:
    """THREATS 17: no boundary, boundary not there, depth."""
    for content_type in ("multipart/mixed", "multipart/mixed;boundary=", "multipart/mixed;boundary=other"):
        with pytest.raises(Refused) as caught:
            of(multipart(SDP_PART), content_type)
        assert caught.value.status == 400
    body = SDP_PART
    for depth in range(6):
        body = f"Content-Type: multipart/mixed;boundary=n{depth}\r\n\r\n".encode() + multipart(
            body, boundary=f"n{depth}"
        )
    with pytest.raises(Refused) as caught:
        of(multipart(body), "multipart/mixed;boundary=b1")
    assert caught.value.status == 415


def test_multipart_offer_in_a_call() -> None:
    body = multipart(TEXT_PART, SDP_PART)
    bob, _ = ask(request(body=body, Content_Type="multipart/mixed;boundary=b1"))
    assert bob.session().remote_offer == OFFER


def test_accept_absent_means_sdp() -> None:
    """RFC 3261 20.1: no Accept: "the server SHOULD assume a default value of application/sdp"."""
    check_accept(Request("INVITE", "sip:x@y"))
    with pytest.raises(Refused):
        check_accept(Request("INVITE", "sip:x@y", [("Accept", "")]))


# --- RFC 4475 -----------------------------------------------------------------------------------------------


@needs_torture
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("invut", {415}), ("sdp01", {406}), ("bext01", {420}), ("unkscm", {416}), ("novelsc", {416}),
        ("intmeth", {405, 501}), ("esc02", {405, 501}), ("zeromf", {200}), ("inv2543", {0}), ("wsinv", {481}),
        ("mpart01", {405}), ("semiuri", {200}), ("transports", {200}), ("longreq", {0}), ("cparam01", {0}),
    ],
)  # fmt: skip
def test_torture_messages(name: str, wanted: set[int]) -> None:
    """RFC 4475; 0: no final answer of ours, the application has it."""
    link = Link()
    bob = link.node("192.0.2.2")
    bob.inject((MESSAGES / f"{name}.dat").read_bytes())
    finals = [seen.message.status for seen in link.wire if final(seen)]
    assert set(finals or [0]) <= wanted
    assert len(bob.events) == (1 if not finals else 0)


def final(seen: Seen) -> bool:
    return isinstance(seen.message, Response) and seen.message.status >= 200


def test_answer_body_is_what_a_response_may_hold() -> None:
    """Bodies of responses can't be refused: what is no SDP counts as none."""
    from sip.uas import sdp_in

    assert sdp_in(Response(200, None, [("Content-Type", "application/sdp")], ANSWER)) == ANSWER
    assert sdp_in(Response(200, None, [("Content-Type", "text/plain")], b"x")) is None
    assert sdp_in(Response(200, None, [("Content-Type", "multipart/mixed")], b"x")) is None
    assert sdp_in(Response(200)) is None

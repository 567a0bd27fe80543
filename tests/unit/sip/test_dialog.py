"""Dialogs as values (RFC 3261 12)."""

from __future__ import annotations

import pytest

from sip.dialog import MAX_ROUTES, Dialog
from sip.errors import SipError
from sip.message import Request, Response
from sip.offer_answer import Exchange, OfferAnswer, WrongState


def invite(*headers: tuple[str, str], contact: str = "<sip:a@192.0.2.1:5070;ob>") -> Request:
    return Request(
        "INVITE",
        "sip:b@192.0.2.2",
        [
            ("From", '"A" <sip:a@x>;tag=at'),
            ("To", "<sip:b@y>"),
            ("Call-ID", "c"),
            ("CSeq", "7 INVITE"),
            ("Contact", contact),
            *headers,
        ],
    )


def test_uas_dialog() -> None:
    """RFC 3261 12.1.1: remote sequence number, tags, URIs, route set in order, remote target."""
    dialog = Dialog.of_uas(invite(("Record-Route", "<sip:p1;lr>, <sip:p2;lr>")), "bt", secure=False)
    assert dialog.id == ("c", "bt", "at")
    assert dialog.remote_cseq == 7
    assert dialog.remote_target == "sip:a@192.0.2.1:5070;ob"
    bye = dialog.request("BYE")
    assert bye.get("From") == "<sip:b@y>;tag=bt"
    assert bye.get("To") == '"A" <sip:a@x>;tag=at'
    assert bye.values("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert bye.uri == "sip:a@192.0.2.1:5070;ob"
    assert bye.get("Max-Forwards") == "70"


def test_sequence_numbers() -> None:
    """RFC 3261 12.2.1.1: ours up by one; ACK has the INVITE's. 12.2.2: theirs must not go back."""
    dialog = Dialog.of_uas(invite(), "bt", secure=False)
    assert [dialog.request(m).cseq.number for m in ("BYE", "INFO")] == [1, 2]
    assert dialog.request("ACK", cseq=1).cseq.number == 1
    assert dialog.request("BYE").cseq.number == 3
    assert dialog.in_order(7)
    assert dialog.in_order(12)
    assert not dialog.in_order(11)


def test_uac_forks_share_nothing_but_the_invite() -> None:
    """RFC 3261 12.1.2: each To tag its own dialog."""
    template = Dialog("c", "at", "<sip:a@x>;tag=at", "", "<sip:b@y>")
    template.local_cseq = 3
    template.exchange.offer_sent(b"offer")

    def response(tag: str) -> Response:
        return Response(
            180, None, [("To", f"<sip:b@y>;tag={tag}"), ("Contact", f"<sip:{tag}@z>"), ("Allow", "INVITE, UPDATE")]
        )

    one, two = template.fork(response("1")), template.fork(response("2"))
    one.exchange.answer_received(b"answer")
    assert (one.exchange.state, two.exchange.state) == (Exchange.STABLE, Exchange.LOCAL)
    assert (one.remote_target, two.remote_target) == ("sip:1@z", "sip:2@z")
    assert one.peer_updates
    assert one.request("PRACK").cseq.number == two.request("PRACK").cseq.number == 4


def test_target_refresh() -> None:
    """RFC 3261 12.2.1.2, 12.2.2; 19.1.1: headers and method of a Contact stay out of the Request-URI."""
    dialog = Dialog.of_uas(invite(), "bt", secure=False)
    dialog.refresh_target(Request("UPDATE", "x", [("Contact", "<sip:n@w;method=INVITE;x=1?Subject=hi>")]))
    assert dialog.remote_target == "sip:n@w;x=1"
    dialog.refresh_target(Request("UPDATE", "x"))
    assert dialog.remote_target == "sip:n@w;x=1"
    with pytest.raises(SipError):
        dialog.refresh_target(Request("UPDATE", "x", [("Contact", "<sip:>")]))


def test_peer_without_contact() -> None:
    """RFC 2543 peers: their From is the target."""
    request = invite()
    request.remove("Contact")
    assert Dialog.of_uas(request, "bt", secure=False).remote_target == "sip:a@x"


def test_too_many_routes() -> None:
    """A bound: every request inside would carry them."""
    routes = ", ".join(f"<sip:p{n};lr>" for n in range(MAX_ROUTES + 1))
    with pytest.raises(SipError):
        Dialog.of_uas(invite(("Record-Route", routes)), "bt", secure=False)


# --- offer/answer (RFC 3264) -----------------------------------------------------------------------------------------


def test_exchange_of_both_sides() -> None:
    exchange = OfferAnswer()
    exchange.offer_sent(b"o1")
    exchange.answer_received(b"a1")
    assert exchange.local == b"o1"
    assert exchange.repeats(b"a1")
    exchange.offer_received(b"o2")
    exchange.answer_sent(b"a2")
    assert exchange.local == b"a2"
    assert exchange.repeats(b"o2")
    assert not exchange.repeats(b"a1")


def test_offers_never_overlap() -> None:
    """RFC 3264 4: no new offer while one waits for its answer, either way."""
    for begin in (OfferAnswer.offer_sent, OfferAnswer.offer_received):
        exchange = OfferAnswer()
        begin(exchange, b"1")
        for second in (OfferAnswer.offer_sent, OfferAnswer.offer_received):
            with pytest.raises(WrongState):
                second(exchange, b"2")


def test_answers_need_offers() -> None:
    exchange = OfferAnswer()
    with pytest.raises(WrongState):
        exchange.answer_sent(b"1")
    with pytest.raises(WrongState):
        exchange.answer_received(b"1")
    exchange.offer_sent(b"1")
    with pytest.raises(WrongState):
        exchange.answer_sent(b"1")


def test_withdrawn_offer_leaves_what_was_agreed() -> None:
    exchange = OfferAnswer()
    exchange.offer_sent(b"o")
    exchange.withdraw()
    assert exchange.state is Exchange.NONE
    exchange.offer_sent(b"o")
    exchange.answer_received(b"a")
    exchange.offer_received(b"o2")
    exchange.withdraw()
    assert exchange.state is Exchange.STABLE
    assert exchange.local == b"o"


@pytest.mark.parametrize(
    ("headers", "updates", "refers"),
    [
        ((), False, True),
        ((("Allow", "INVITE, UPDATE"),), True, False),
        ((("Allow", "INVITE, REFER"),), False, True),
        ((("Allow", "INVITE"), ("Allow", "REFER, UPDATE")), True, True),
    ],
)
def test_what_the_peer_takes(headers: tuple[tuple[str, str], ...], updates: bool, refers: bool) -> None:
    """RFC 3261 20.5: an Allow lists what is taken; where there is none, nothing is said."""
    dialog = Dialog.of_uas(invite(*headers), "bt", secure=False)
    assert (dialog.peer_updates, dialog.peer_refers) == (updates, refers)

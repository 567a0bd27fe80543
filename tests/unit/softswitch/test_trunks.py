"""Trunks: order of gateways, failover, health, numbers and identity of calls."""

from __future__ import annotations

import re
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.effects import Target
from sip.ids import Ids
from sip.message import Request
from sip.uri import Uri
from softswitch.caller_identity import CallerRules, NumberRule
from softswitch.qualify import PingTarget
from softswitch.trunks import MAX_RETRY_AFTER, GatewayConfig, TrunkConfig, Trunks
from softswitch.vocabulary import Party

CALLER = Party("101", "Alice")


def gateway(host: str, **rest: object) -> GatewayConfig:
    return GatewayConfig(host=host, **rest)  # type: ignore[arg-type]


def make(*gateways: GatewayConfig, **config: object) -> Trunks:
    return Trunks([TrunkConfig(name="t", gateways=gateways, **config)], Ids(9))  # type: ignore[arg-type]


def labels(trunks: Trunks, now: float = 0.0) -> list[str]:
    return [attempt.gateway for attempt in trunks.attempts("t", "500", CALLER, now)]


A, B, C = (gateway(f"192.0.2.{number}") for number in (1, 2, 3))
LABEL_A, LABEL_B, LABEL_C = ("192.0.2.1:5060/udp", "192.0.2.2:5060/udp", "192.0.2.3:5060/udp")


def test_an_attempt() -> None:
    trunks = make(gateway("192.0.2.1", port=5070), username="u", password="secret", realm="r")
    (attempt,) = trunks.attempts("t", "500", CALLER, 0.0)
    assert attempt.uri == "sip:500@192.0.2.1:5070"
    assert attempt.destination == Target("udp", "192.0.2.1", 5070)
    assert attempt.headers == [("From", '"Alice" <sip:101@192.0.2.1>'), ("To", "<sip:500@192.0.2.1>")]
    assert attempt.credentials is not None
    assert (attempt.credentials.username, attempt.credentials.realm) == ("u", "r")
    assert (attempt.trunk, attempt.gateway, attempt.number) == ("t", "192.0.2.1:5070/udp", "500")
    assert "secret" not in repr(attempt)
    assert "secret" not in repr(trunks.config("t"))


@pytest.mark.parametrize(
    ("config", "uri", "destination"),
    [
        (gateway("192.0.2.1"), "sip:500@192.0.2.1", Target("udp", "192.0.2.1", 5060)),
        (gateway("192.0.2.1", transport="tcp"), "sip:500@192.0.2.1;transport=tcp", Target("tcp", "192.0.2.1", 5060)),
        (gateway("2001:db8::1", port=5070), "sip:500@[2001:db8::1]:5070", Target("udp", "2001:db8::1", 5070)),
        (gateway("gw.example"), "sip:500@gw.example", None),
        (gateway("gw.example", port=5070, transport="tcp"), "sip:500@gw.example:5070;transport=tcp", None),
    ],
)
def test_where_a_gateway_is(config: GatewayConfig, uri: str, destination: object) -> None:
    (attempt,) = make(config).attempts("t", "500", CALLER, 0.0)
    assert (attempt.uri, attempt.destination) == (uri, destination)
    assert str(Uri.parse(attempt.uri)) == uri


def test_no_credentials_no_answer_to_challenges() -> None:
    (attempt,) = make(A).attempts("t", "500", CALLER, 0.0)
    assert attempt.credentials is None


def test_an_outbound_proxy_leads() -> None:
    trunks = make(A, outbound_proxy="sip:proxy.example")
    (attempt,) = trunks.attempts("t", "500", CALLER, 0.0)
    assert attempt.destination is None
    assert ("Route", "<sip:proxy.example;lr>") in attempt.headers
    ((_, target, _),) = trunks.places()
    assert target == PingTarget("sip:192.0.2.1", None, ("<sip:proxy.example;lr>",))


def test_unknown_trunk_and_trunk_without_gateways() -> None:
    assert make().attempts("t", "500", CALLER, 0.0) == []
    assert make(A).attempts("other", "500", CALLER, 0.0) == []


def test_no_number_no_call() -> None:
    """An empty user part would be another URI altogether: the gateway itself."""
    assert make(A).attempts("t", "", CALLER, 0.0) == []
    assert make(A, rewrite_outbound=(NumberRule(strip=3),)).attempts("t", "500", CALLER, 0.0) == []


def test_priority_first() -> None:
    trunks = make(gateway("192.0.2.1", priority=2), gateway("192.0.2.2", priority=1), gateway("192.0.2.3", priority=1))
    for _ in range(20):
        order = labels(trunks)
        assert order[2] == LABEL_A
        assert set(order[:2]) == {LABEL_B, LABEL_C}


def test_rfc2782_weights_are_shares() -> None:
    """RFC 2782: larger weights are proportionately more often first; every gateway stands once in the order."""
    trunks = make(gateway("192.0.2.1", weight=3), gateway("192.0.2.2", weight=1), gateway("192.0.2.3", weight=0))
    first = Counter(labels(trunks)[0] for _ in range(4000))
    assert 0.70 < first[LABEL_A] / 4000 < 0.80
    assert 0.20 < first[LABEL_B] / 4000 < 0.30
    assert first[LABEL_C] < 20
    assert sorted(labels(trunks)) == [LABEL_A, LABEL_B, LABEL_C]


def test_all_weights_zero_is_an_even_draw() -> None:
    trunks = make(gateway("192.0.2.1", weight=0), gateway("192.0.2.2", weight=0))
    assert 400 < Counter(labels(trunks)[0] for _ in range(1000))[LABEL_A] < 600


def test_dead_gateways_are_skipped_unless_all_are() -> None:
    trunks = make(A, gateway("192.0.2.2", priority=1))
    trunks.health(("t", LABEL_A), False)
    assert labels(trunks) == [LABEL_B]
    trunks.health(("t", LABEL_B), False)
    assert labels(trunks) == [LABEL_A, LABEL_B]
    trunks.health(("t", LABEL_A), True)
    assert labels(trunks) == [LABEL_A]
    trunks.health(("t", "gone"), False)
    trunks.health(("x", LABEL_A), False)


def test_rfc3261_21_5_4_a_503_rests_the_gateway_for_its_retry_after() -> None:
    """21.5.4: no other requests to that server for the duration in Retry-After."""
    trunks = make(A, gateway("192.0.2.2", priority=1), cooling=30.0)
    trunks.failed("t", LABEL_A, 503, 120.0, 10.0)
    assert labels(trunks, 129.0) == [LABEL_B]
    assert labels(trunks, 130.0) == [LABEL_A, LABEL_B]
    trunks.failed("t", LABEL_A, 503, None, 200.0)
    assert labels(trunks, 229.0) == [LABEL_B]
    assert labels(trunks, 230.0) == [LABEL_A, LABEL_B]
    trunks.failed("t", LABEL_A, 503, 1e9, 300.0)
    assert labels(trunks, 300.0 + MAX_RETRY_AFTER) == [LABEL_A, LABEL_B]
    trunks.failed("t", LABEL_A, 503, -5.0, 2000.0)
    assert labels(trunks, 2000.0) == [LABEL_A, LABEL_B]


def test_silence_rests_a_gateway_and_a_call_that_works_ends_the_rest() -> None:
    trunks = make(A, gateway("192.0.2.2", priority=1))
    trunks.failed("t", LABEL_A, 408, None, 0.0)
    assert labels(trunks, 1.0) == [LABEL_B]
    trunks.succeeded("t", LABEL_A)
    assert labels(trunks, 1.0) == [LABEL_A, LABEL_B]
    for status in (404, 486, 500, 603):
        trunks.failed("t", LABEL_A, status, 60.0, 2.0)
    assert labels(trunks, 2.0) == [LABEL_A, LABEL_B]
    trunks.failed("x", "y", 503, None, 0.0)
    trunks.succeeded("x", "y")


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
def test_the_gateways_own_trouble_goes_to_the_next(status: int) -> None:
    assert make(A).fails_over("t", status)


@pytest.mark.parametrize(
    "status", [301, 302, 401, 403, 404, 480, 484, 486, 487, 488, 501, 505, 513, 600, 603, 604, 606]
)
def test_the_callees_word_ends_the_call(status: int) -> None:
    assert not make(A).fails_over("t", status)


def test_after_ringing_silence_is_the_callees() -> None:
    assert not make(A).fails_over("t", 408, alerted=True)
    assert make(A).fails_over("t", 503, alerted=True)


def test_more_statuses_by_setting() -> None:
    trunks = make(A, failover_statuses=frozenset((403, 486)))
    assert trunks.fails_over("t", 403)
    assert not trunks.fails_over("t", 404)
    assert not trunks.fails_over("unknown", 403)


def test_numbers_and_identity_of_outgoing_calls() -> None:
    trunks = make(
        gateway("gw.example"),
        rewrite_outbound=(NumberRule(match="0[1-9].*", strip=1, prepend="+49"),),
        caller=CallerRules(trusted=True, send="p-asserted-identity", rewrite_outbound=(NumberRule(prepend="+4930"),)),
    )
    (attempt,) = trunks.attempts("t", "0171", Party("101", "", True), 0.0)
    assert (attempt.uri, attempt.number) == ("sip:+49171@gw.example", "+49171")
    assert attempt.headers == [
        ("From", '"Anonymous" <sip:anonymous@anonymous.invalid>'),
        ("P-Asserted-Identity", "<sip:+4930101@gw.example>"),
        ("Privacy", "id"),
        ("To", "<sip:+49171@gw.example>"),
    ]


@pytest.mark.parametrize(
    "dialled", ["1;x=y", "1@evil.example", "1?Route=x", "a&b=c", "${x}", "../1", "%00", "1\r\nX: y", "#31#1", "ä", " "]
)
def test_what_is_dialled_is_literal(dialled: str) -> None:
    (attempt,) = make(gateway("gw.example")).attempts("t", dialled, CALLER, 0.0)
    uri = Uri.parse(attempt.uri)
    assert (uri.username, uri.host, dict(uri.params), dict(uri.headers)) == (dialled, "gw.example", {}, {})


@given(st.text(min_size=1, max_size=60))
def test_whatever_is_dialled_stays_in_its_line(dialled: str) -> None:
    (attempt,) = make(gateway("gw.example")).attempts("t", dialled, CALLER, 0.0)
    request = Request("INVITE", attempt.uri, attempt.headers)
    assert request.encode().count(b"\n") == len(attempt.headers) + 3
    assert request.request_uri.username == request.to.uri.username == dialled
    assert re.fullmatch(r"sip:[A-Za-z0-9\-_.!~*'()&=+$,%]+@gw\.example", attempt.uri) is not None


def test_incoming_calls() -> None:
    trunks = make(
        rewrite_inbound=(NumberRule(match=r"\+4930555(.*)", replace=r"\1"),),
        caller=CallerRules(trusted=True),
        inbound="address",
    )
    assert trunks.dialled("t", "+4930555101") == "101"
    assert trunks.dialled("unknown", "+4930555101") == "+4930555101"
    request = Request(
        "INVITE", "sip:1@h", [("From", "<sip:9@h>;tag=1"), ("P-Asserted-Identity", '"Carol" <sip:+49172@far.example>')]
    )
    assert trunks.caller("t", request) == Party("+49172", "Carol")
    # whom nobody trusts is believed his From at most
    assert trunks.caller("unknown", request) == Party("9")


def test_reload_keeps_what_is_known_of_gateways_that_stay() -> None:
    trunks = make(A, B)
    trunks.health(("t", LABEL_A), False)
    trunks.failed("t", LABEL_B, 503, 60.0, 0.0)
    config = trunks.config("t")
    assert config is not None
    trunks.configure([msgspec.structs.replace(config, gateways=(A, B, C), max_calls=5)])
    assert labels(trunks, 1.0) == [LABEL_C]
    with pytest.raises(re.error):
        trunks.configure([msgspec.structs.replace(config, rewrite_outbound=(NumberRule(match="("),))])
    assert labels(trunks, 1.0) == [LABEL_C]
    trunks.configure([])
    assert labels(trunks) == []
    assert trunks.config("t") is None


def test_places_to_ask_and_status() -> None:
    trunks = make(A, gateway("gw.example"), qualify=15.0, max_calls=7)
    assert trunks.places() == [
        (("t", LABEL_A), PingTarget("sip:192.0.2.1", Target("udp", "192.0.2.1", 5060)), 15.0),
        (("t", "gw.example"), PingTarget("sip:gw.example"), 15.0),
    ]
    trunks.health(("t", LABEL_A), False)
    trunks.failed("t", "gw.example", 503, 60.0, 0.0)
    (line,) = trunks.status(20.0)
    assert (line.name, line.max_calls) == ("t", 7)
    assert [(each.gateway, each.reachable, each.resting_for) for each in line.gateways] == [
        (LABEL_A, False, 0.0),
        ("gw.example", True, 40.0),
    ]

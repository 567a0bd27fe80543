"""RFC 3263: the choice of targets over given answers."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from sip.effects import Target
from sip.locate import (
    MAX_HOSTS,
    MAX_SERVICES,
    MAX_TARGETS,
    Answer,
    LocateError,
    Lookup,
    Naptr,
    Question,
    Srv,
    weighted_order,
)
from sip.uri import Uri

Zone = dict[tuple[str, str], Answer]


def run(uri: str, zone: Zone, transports: tuple[str, ...] = ("udp", "tcp")) -> tuple[Lookup, list[Question]]:
    """Answer from `zone` until the look-up is done; what was asked."""
    lookup = Lookup(Uri.parse(uri), transports, random.Random(1).random)
    asked: list[Question] = []
    while not lookup.done:
        questions = lookup.questions
        asked += questions
        lookup.answer([zone.get((q.kind, q.name), ()) for q in questions])
    return lookup, asked


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        # 4.1: numeric without transport: UDP; 4.2: default port of the transport
        ("sip:alice@192.0.2.7", Target("udp", "192.0.2.7", 5060)),
        ("sip:alice@192.0.2.7:5070", Target("udp", "192.0.2.7", 5070)),
        ("sip:192.0.2.7;transport=tcp", Target("tcp", "192.0.2.7", 5060)),
        ("sip:192.0.2.7;transport=TCP", Target("tcp", "192.0.2.7", 5060)),
        ("sip:[2001:db8::9]:5070", Target("udp", "2001:db8::9", 5070)),
        # 4: "TARGET is the value of the maddr parameter of the URI, if present"
        ("sip:alice@example.com;maddr=192.0.2.8", Target("udp", "192.0.2.8", 5060)),
    ],
)
def test_numeric_hosts_need_no_dns(uri: str, target: Target) -> None:
    lookup, asked = run(uri, {})
    assert asked == []
    assert lookup.targets == (target,)
    assert lookup.explicit == ("transport" in uri)


def test_an_explicit_port_asks_for_addresses_only() -> None:
    zone: Zone = {("A", "example.com"): ("192.0.2.1", "192.0.2.2"), ("AAAA", "example.com"): ("2001:db8::1",)}
    lookup, asked = run("sip:alice@Example.COM.:5080", zone)
    assert asked == [Question("example.com", "A"), Question("example.com", "AAAA")]
    assert lookup.targets == (
        Target("udp", "192.0.2.1", 5080),
        Target("udp", "192.0.2.2", 5080),
        Target("udp", "2001:db8::1", 5080),
    )


def test_rfc_3263_section_4_1_example() -> None:
    """NAPTR -> SRV -> A, in the order that the records ask for."""
    zone: Zone = {
        ("NAPTR", "example.com"): (
            Naptr(90, 50, "s", "SIP+D2U", "_sip._udp.example.com"),
            Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com"),
            Naptr(60, 50, "S", "sip+d2t", "_sip._tcp.example.com"),
            Naptr(10, 50, "u", "E2U+sip", "nothing.example.com"),
        ),
        ("SRV", "_sip._tcp.example.com"): (
            Srv(1, 1, 5061, "server2.example.com."),
            Srv(0, 1, 5060, "server1.example.com"),
        ),
        ("SRV", "_sip._udp.example.com"): (Srv(0, 1, 5062, "server1.example.com"),),
        ("A", "server1.example.com"): ("192.0.2.1",),
        ("A", "server2.example.com"): ("192.0.2.2",),
    }
    lookup, asked = run("sip:user@example.com", zone)
    assert asked[0] == Question("example.com", "NAPTR")
    assert asked[1:3] == [Question("_sip._tcp.example.com", "SRV"), Question("_sip._udp.example.com", "SRV")]
    assert lookup.targets == (
        Target("tcp", "192.0.2.1", 5060),
        Target("tcp", "192.0.2.2", 5061),
        Target("udp", "192.0.2.1", 5062),
    )
    assert not lookup.explicit


def test_without_naptr_every_transport_we_have_is_asked_for() -> None:
    zone: Zone = {
        ("SRV", "_sip._tcp.example.com"): (Srv(0, 0, 5060, "a.example.com"),),
        ("A", "a.example.com"): ("192.0.2.1",),
    }
    lookup, asked = run("sip:example.com", zone)
    assert [q.kind for q in asked[:3]] == ["NAPTR", "SRV", "SRV"]
    assert lookup.targets == (Target("tcp", "192.0.2.1", 5060),)


def test_without_any_service_the_addresses_of_the_domain_itself() -> None:
    lookup, asked = run("sip:example.com", {("A", "example.com"): ("192.0.2.1",)})
    assert [q.kind for q in asked] == ["NAPTR", "SRV", "SRV", "A", "AAAA"]
    assert lookup.targets == (Target("udp", "192.0.2.1", 5060),)


def test_an_explicit_transport_asks_for_its_service_only_and_keeps_it() -> None:
    lookup, asked = run("sip:example.com;transport=tcp", {("A", "example.com"): ("192.0.2.1",)})
    assert asked[0] == Question("_sip._tcp.example.com", "SRV")
    assert lookup.targets == (Target("tcp", "192.0.2.1", 5060),)
    assert lookup.explicit


def test_errors_are_gone_past_and_told() -> None:
    zone: Zone = {("NAPTR", "example.com"): "no answer in time", ("A", "example.com"): ("192.0.2.1",)}
    lookup, _ = run("sip:example.com", zone)
    assert lookup.targets == (Target("udp", "192.0.2.1", 5060),)
    assert lookup.problems == ["NAPTR example.com: no answer in time"]


def test_nothing_found_says_so() -> None:
    lookup, _ = run("sip:nowhere.example", {("A", "nowhere.example"): "SERVFAIL"})
    assert lookup.targets == ()
    assert "nowhere.example has no address" in lookup.problems
    assert any("SERVFAIL" in problem for problem in lookup.problems)


def test_a_target_of_a_dot_means_no_service_here() -> None:
    """RFC 2782: 'A Target of "." means that the service is decidedly not available at this domain.'"""
    zone: Zone = {("SRV", "_sip._udp.example.com"): (Srv(0, 0, 0, "."),), ("A", "example.com"): ("192.0.2.1",)}
    lookup, _ = run("sip:example.com;transport=udp", zone)
    assert lookup.targets == ()
    assert "not available" in lookup.problems[0]


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("sips:alice@example.com", "TLS"),
        ("tel:+431234", "tel"),
        ("sip:alice@example.com;transport=sctp", "sctp"),
        ("sip:alice@example.com;transport=tls", "tls"),
    ],
)
def test_what_we_do_not_serve_is_refused(uri: str, says: str) -> None:
    with pytest.raises(LocateError, match=says):
        Lookup(Uri.parse(uri), ("udp", "tcp"), random.random)


def test_a_poisoned_zone_is_bounded() -> None:
    zone: Zone = {
        ("NAPTR", "evil.example"): tuple(Naptr(1, i, "s", "SIP+D2U", f"s{i}.evil.example") for i in range(50)),
        **{
            ("SRV", f"s{i}.evil.example"): tuple(Srv(0, 0, 5060, f"h{i}-{j}.evil.example") for j in range(50))
            for i in range(50)
        },
        **{
            ("A", f"h{i}-{j}.evil.example"): tuple(f"192.0.2.{n}" for n in range(100))
            for i in range(50)
            for j in range(50)
        },
    }
    lookup, asked = run("sip:evil.example", zone)
    assert len([q for q in asked if q.kind == "SRV"]) == MAX_SERVICES
    assert len([q for q in asked if q.kind == "A"]) == MAX_HOSTS
    assert len(lookup.targets) == MAX_TARGETS


def test_rfc_2782_priority_then_weight() -> None:
    records = [Srv(1, 0, 1, "last"), Srv(0, 3, 1, "heavy"), Srv(0, 1, 1, "light"), Srv(0, 0, 1, "zero")]
    rng = random.Random(3)
    first = Counter(weighted_order(records, rng.random)[0].target for _ in range(5_000))
    orders = [weighted_order(records, rng.random) for _ in range(50)]
    assert all(order[-1].target == "last" for order in orders)
    assert all(sorted(order) == sorted(records) for order in orders)
    # In proportion to the weight, with RFC 2782's small chance for weight 0: of 0..4 inclusive, 0 draws "zero".
    assert 0.15 < first["zero"] / 5_000 < 0.25
    assert 0.15 < first["light"] / 5_000 < 0.25
    assert 0.55 < first["heavy"] / 5_000 < 0.65


def test_a_service_that_names_a_literal_needs_no_more_questions() -> None:
    zone: Zone = {("SRV", "_sip._udp.example.com"): (Srv(0, 0, 5061, "192.0.2.77"),)}
    lookup, asked = run("sip:example.com;transport=udp", zone)
    assert lookup.targets == (Target("udp", "192.0.2.77", 5061),)
    assert len(asked) == 1

"""The phone book: endpoints, limits, forwards, identity, NAT."""

from __future__ import annotations

import msgspec
import pytest

from sip.effects import Flow
from sip.message import Request
from softswitch.dialplan.decision import ExtensionTarget, TrunkTarget
from softswitch.directory_entries import DialAddress, ExtensionEntry, behind_nat
from softswitch.hunt import BUSY, NO_CHANNEL, NO_ROUTE, UNAVAILABLE, Failure
from softswitch.vocabulary import Endpoint, Party, Payer
from tests.virtual.network import World, settings

ANN = Party("101", "Ann")
ME = Payer("extension", "101")


def test_who_is_not_there_says_why() -> None:
    world = World(settings(extensions={"101": {"call_limit": 1}}, trunks={"north": {"channels": 1}}))
    world.phone("101")
    book, limits = world.switch.book, world.switch.limits
    assert book.target(ExtensionTarget("199"), ANN, ME, "c", world.now).absent == NO_ROUTE
    assert book.target(ExtensionTarget("102"), ANN, ME, "c", world.now).absent == UNAVAILABLE
    assert book.target(TrunkTarget("gone", "1"), ANN, ME, "c", world.now).absent == NO_ROUTE
    assert book.target(TrunkTarget("north", ""), ANN, ME, "c", world.now).absent == NO_ROUTE
    assert len(book.target(ExtensionTarget("101"), ANN, ME, "c", world.now).groups) == 1
    limits.acquire("extension:101", 1, "other")
    limits.acquire("trunk:north", 1, "other")
    assert book.target(ExtensionTarget("101"), ANN, ME, "c", world.now).absent == BUSY
    assert book.target(TrunkTarget("north", "1"), ANN, ME, "c", world.now).absent == NO_CHANNEL
    assert len(book.target(TrunkTarget("north", "1"), ANN, ME, "other", world.now).groups) == 2


def test_contacts_ring_together_and_gateways_in_turn() -> None:
    world = World()
    world.phone("101")
    world.phone("101", "192.0.2.201")
    book = world.switch.book
    assert [len(group) for group in book.target(ExtensionTarget("101"), ANN, ME, "c", 0.0).groups] == [2]
    assert [len(group) for group in book.target(TrunkTarget("north", "1"), ANN, ME, "c", 0.0).groups] == [1, 1]


def test_only_gateways_fail_over() -> None:
    world = World()
    book = world.switch.book
    phone = Endpoint("extension", "101", world.switch.book._entries.extensions["101"].policy, None)
    assert not book.may_fail_over(phone, Failure(41, 503), False, world.now)
    [first, _] = book.target(TrunkTarget("north", "1"), ANN, ME, "c", world.now).groups
    assert book.may_fail_over(first[0], Failure(41, 503, 20.0), False, world.now)
    [now_first] = book.target(TrunkTarget("north", "1"), ANN, ME, "c", world.now).groups
    assert now_first[0].gateway != first[0].gateway  # the other one rests
    book.reached(first[0])
    assert len(book.target(TrunkTarget("north", "1"), ANN, ME, "c", world.now).groups) == 2


def test_identity_of_calls_to_phones() -> None:
    book = World().switch.book
    to_phone = DialAddress("sip:102@192.0.2.9", None, "192.0.2.9", False, "102", (("Route", "<sip:192.0.2.7;lr>"),))
    assert book.identity(to_phone, ANN, "2001:db8::1") == [
        ("From", '"Ann" <sip:101@[2001:db8::1]>'),
        ("To", "<sip:102@[2001:db8::1]>"),
        ("Route", "<sip:192.0.2.7;lr>"),
    ]
    hidden = dict(book.identity(to_phone, Party("101", "Ann", True), "192.0.2.1"))
    assert "101" not in hidden["From"]
    assert hidden["Privacy"] == "id"


@pytest.mark.parametrize(
    ("setting", "contact", "nat"),
    [
        ("auto", "<sip:101@192.0.2.9>", False),
        ("auto", "<sip:101@10.0.0.1>", True),
        ("yes", "<sip:101@192.0.2.9>", True),
        ("no", "<sip:101@10.0.0.1>", False),
    ],
)
def test_behind_nat(setting: str, contact: str, nat: bool) -> None:
    entries = World(settings(extensions={"101": {"nat": setting}})).switch.book._entries
    terms = entries.extensions["101"]
    assert isinstance(terms, ExtensionEntry)
    request = Request("INVITE", "sip:102@192.0.2.1", [("Contact", contact)])
    assert behind_nat(terms, request, Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060), 0)) is nat


def test_a_forward_is_looked_up_by_kind_and_context_by_owner() -> None:
    book = World(settings(extensions={"102": {"forward": {"busy": "103"}}})).switch.book
    assert book.forward("102", "busy") == "103"
    assert book.forward("102", "always") is None
    assert book.forward("999", "busy") is None
    assert (book.context_of("102"), book.context_of("999")) == ("internal", "")


@pytest.mark.parametrize(
    ("rule", "number", "obeyed"),
    [
        ("always", "103", True),
        ("always", "00900", True),
        ("internal", "103", True),
        ("internal", "*43", True),
        ("internal", "00900", False),
        ("internal", "55", False),
        ("never", "103", False),
    ],
)
def test_whether_a_302_is_followed_is_its_owners_rule(rule: str, number: str, obeyed: bool) -> None:
    # 55 is an extension, but a trunk is its fallback.
    route = {"to": "55", "dial": "103", "on_busy": {"dial": "103", "on_unavailable": {"dial": {"trunk": "north"}}}}
    book = World(settings(routes=[route])).switch.book
    entries = book._entries
    ruled = msgspec.structs.replace(entries.extensions["102"], obey_redirects=rule)
    book.configure(
        msgspec.structs.replace(entries, extensions={**entries.extensions, "102": ruled}),
        book._numbers,
    )
    assert book.obeys_redirect("102", number, ANN) is obeyed
    assert not book.obeys_redirect("999", number, ANN)

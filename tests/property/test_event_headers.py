"""Headers of transfer and events: what is written is read again; whatever comes, SipError is all that comes out."""

from __future__ import annotations

import string
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.diversion import Diversion, HistoryEntry
from sip.errors import SipError
from sip.event_headers import EventType, SubscriptionState, read_sipfrag, write_sipfrag
from sip.headers import NameAddr
from sip.message import Request
from sip.parser import parse
from sip.transfer_headers import Join, ReferTo, Replaces
from sip.uri import Uri, escape_user

TOKENS = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=20)
DISPLAYS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
HOSTS = st.sampled_from(["example.com", "192.0.2.1", "2001:db8::1"])
URI_PARAMS = st.dictionaries(TEXTS.filter(bool).map(str.lower), st.none() | TEXTS.filter(bool), max_size=3)
PLAIN_URIS = st.builds(Uri, st.just("sip"), TEXTS.map(escape_user), st.just(""), HOSTS, st.none(), URI_PARAMS)
CALL_IDS = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~()<>:\\\"/[]?{}@", min_size=1, max_size=20)
REPLACES = st.builds(Replaces, CALL_IDS, TOKENS, TOKENS, st.booleans())
METHODS = st.sampled_from(["INVITE", "SUBSCRIBE", "BYE", "MESSAGE"])
HEADER_NAMES = TOKENS.filter(lambda name: name.lower() != "replaces")
HEADER_VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
TARGETS = PLAIN_URIS.filter(lambda uri: "method" not in uri.params)
REFER_TOS = st.builds(
    ReferTo,
    TARGETS,
    METHODS,
    st.none() | REPLACES,
    st.dictionaries(HEADER_NAMES, HEADER_VALUES, max_size=3),
    DISPLAYS,
)
LOWER = TOKENS.map(str.lower)
SECONDS = st.none() | st.integers(0, 2**32 - 1)
INDEXES = st.lists(st.integers(0, 999_999), max_size=6).map(tuple)
CHANGES = st.just("") | st.builds(
    lambda kind, n: f"{kind}={n}.1", st.sampled_from(["rc", "mp", "np"]), st.integers(0, 99)
)
ADDRESSES = st.builds(NameAddr, DISPLAYS, TARGETS)
REASONS = st.text(string.ascii_letters + string.digits + string.punctuation + " ", max_size=20).map(
    lambda t: t.strip().lower()
)

PARSERS: list[Callable[[str], object]] = [
    ReferTo.parse,
    Replaces.parse,
    Join.parse,
    EventType.parse,
    SubscriptionState.parse,
    Diversion.parse,
    HistoryEntry.parse,
]
PIECES = [
    "<", ">", "sip:a@b", "?", "&", "=", ";", ",", '"', "\\", "%", "%0D%0A", "Replaces=", "to-tag=1", "from-tag=2",
    "method=", "index=1.1", "reason=", "counter=9", "expires=", "id=", "refer", "active", "\r\n", " ", "\t", "\udc80",
    "٣", "9" * 5000, ";" * 500,
]  # fmt: skip
ANYTHING = st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@given(REPLACES)
def test_replaces(value: Replaces) -> None:
    assert Replaces.parse(str(value)) == value
    assert Join.parse(str(value)) == Join(value.call_id, value.to_tag, value.from_tag)


@given(REFER_TOS)
def test_refer_to(value: ReferTo) -> None:
    read = ReferTo.parse(str(value))
    assert read == value
    # It survives the way through a message, and a line end never gets out of it.
    message = parse(Request("REFER", "sip:b@c", [("Refer-To", str(value))]).encode())
    assert ReferTo.parse(message.get("Refer-To") or "") == value


@given(st.builds(EventType, LOWER, st.just("") | TOKENS))
def test_event(value: EventType) -> None:
    assert EventType.parse(str(value)) == value


@given(st.builds(SubscriptionState, LOWER, SECONDS, st.just("") | LOWER, SECONDS))
def test_subscription_state(value: SubscriptionState) -> None:
    assert SubscriptionState.parse(str(value)) == value


@given(
    st.builds(
        Diversion, ADDRESSES, REASONS.map(lambda r: r or "unknown"), st.integers(0, 1_000_000), st.just("") | LOWER
    )
)
def test_diversion(value: Diversion) -> None:
    read = Diversion.parse(str(value))
    assert (read.address, read.counter, read.privacy) == (value.address, value.counter, value.privacy)


@given(st.builds(HistoryEntry, TARGETS, INDEXES, REASONS, st.just("") | LOWER, CHANGES, DISPLAYS))
def test_history(value: HistoryEntry) -> None:
    assert HistoryEntry.parse(str(value)) == value


@given(st.integers(100, 699), st.text(max_size=40))
def test_sipfrag(status: int, reason: str) -> None:
    body = write_sipfrag(status, reason.encode("utf-8", "replace").decode())
    assert body.count(b"\n") == body.count(b"\r") == 1
    read = read_sipfrag(body)
    assert read is not None
    assert read[0] == status


@given(st.binary(max_size=60) | st.binary(max_size=20).map(lambda rest: b"SIP/2.0 200" + rest))
def test_any_sipfrag(body: bytes) -> None:
    read = read_sipfrag(body)
    assert read is None or (100 <= read[0] <= 699 and "\n" not in read[1])


@pytest.mark.parametrize("read", PARSERS)
@given(text=ANYTHING)
def test_whatever_comes(read: Callable[[str], object], text: str) -> None:
    """A value that can be written in one line and read again, or SipError."""
    value = None
    with suppress(SipError):
        value = read(text)
    line = str(value)
    if isinstance(value, (ReferTo, Replaces, Join, EventType)):
        assert "\r" not in line
        assert "\n" not in line
        assert read(line) == value


def test_refer_to_of_a_uri_alone() -> None:
    assert str(ReferTo(Uri.parse("sip:a@b"))) == "<sip:a@b>"

"""How many requests a source may send: who is counted, what those beyond get, what it costs and keeps."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from sip.effects import Flow, RequestReceived, Send
from sip.message import Response
from sip.parser import parse
from softswitch.pace import MAX_KEYS
from softswitch.throttle import ANSWERED, RETRY_AFTER, RETRY_SPREAD
from tests.virtual.network import SWITCH, World, settings

STRANGER = "198.51.100.66"


class Feed:
    """Datagrams into a switch, and what it would send."""

    def __init__(self, **limits: Any) -> None:
        trunks = limits.pop("trunks", {})
        self.world = World(settings(sip={"limits": limits}, trunks=trunks))
        self.switch = self.world.switch
        self.number = 0

    def send(self, method: str = "REGISTER", host: str = STRANGER, now: float = 1.0, tag: str = "") -> list[int]:
        """Statuses of the answers to one request."""
        self.receive(method, host, now, tag)
        self.switch.pump(now)
        return [answer.status for answer in self.answers()]

    def receive(self, method: str, host: str, now: float, tag: str = "") -> None:
        self.number += 1
        uri = f"sip:{SWITCH}" if method == "REGISTER" else f"sip:102@{SWITCH}"
        text = (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-{self.number}\r\n"
            f"From: <sip:101@{SWITCH}>;tag=f{self.number}\r\nTo: <sip:101@{SWITCH}>{tag}\r\nMax-Forwards: 70\r\n"
            f"Call-ID: c{self.number}\r\nCSeq: 1 {method}\r\nContact: <sip:101@192.0.2.9>\r\nContent-Length: 0\r\n\r\n"
        )
        self.switch.stack.receive(text.encode(), Flow("udp", (SWITCH, 5060), (host, 5060), 0), now)

    def answers(self) -> list[Response]:
        effects, self.switch.stack.effects[:] = list(self.switch.stack.effects), []
        sent = [parse(effect.data) for effect in effects if isinstance(effect, Send)]
        self.last = [message for message in sent if isinstance(message, Response)]
        return self.last

    def transactions(self) -> int:
        sizes = self.switch.stack.sizes()
        return sizes["server transactions"] + sizes["answered requests"]


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE", "BYE"])
def test_served_then_refused_then_silence(method: str) -> None:
    """THREATS 9: 503 with Retry-After, and nothing kept of those refused."""
    feed = Feed(requests_per_source=2, requests_at_once=3)
    for _ in range(3):
        assert feed.send(method)[-1] != 503
    kept = feed.transactions()
    for _ in range(int(3 * ANSWERED)):
        assert feed.send(method)[-1] == 503
        [refusal] = [message for message in feed.last if message.status == 503]
        assert RETRY_AFTER <= int(refusal.get("Retry-After") or "") < RETRY_AFTER + RETRY_SPREAD
        assert refusal.to_tag
    for _ in range(100):
        assert feed.send(method) == []
    assert feed.transactions() == kept
    assert feed.switch.throttle.counters == {"throttled": 112, "throttled_in_silence": 100}
    assert feed.send(method, host="198.51.100.67")[-1] != 503
    assert feed.send(method, now=2.0)[-1] != 503


def test_only_the_silenced_are_silent_where_several_came_in_one_wake_up() -> None:
    feed = Feed(requests_per_source=1, requests_at_once=1)
    while feed.send("INVITE"):
        pass
    for host in ("198.51.100.67", STRANGER, "198.51.100.68"):
        feed.receive("INVITE", host, 1.0)
    feed.switch.pump(1.0)
    assert [answer.status for answer in feed.answers()] == [100, 100, 401, 401]


def test_a_dialog_that_is_not_there_is_no_way_around() -> None:
    feed = Feed(requests_per_source=1, requests_at_once=2)
    statuses = [feed.send("BYE", tag=";tag=made-up") for _ in range(4)]
    assert statuses == [[481], [481], [503], [503]]
    assert feed.send("REGISTER", tag=";tag=x") == [503]


def test_an_ipv6_subscriber_is_one_source() -> None:
    feed = Feed(requests_per_source=1, requests_at_once=2)
    assert [feed.send(host=f"2001:db8::{n}")[0] for n in range(1, 5)] == [401, 401, 503, 503]
    assert feed.send(host="2001:db8:0:1::1") == [401]


def test_none_means_no_limit() -> None:
    feed = Feed(requests_per_source="none")
    assert {feed.send()[0] for _ in range(2000)} == {401}
    assert len(feed.switch.throttle) == 0


def test_trunks_known_by_address_are_exempt_bar_their_own_limit() -> None:
    feed = Feed(requests_per_source=1, requests_at_once=1)
    assert 503 not in {feed.send("INVITE", "192.0.2.60")[-1] for _ in range(50)}
    assert [feed.send("REGISTER", "192.0.2.60")[0] for _ in range(3)] == [401, 503, 503]
    feed = Feed(requests_per_source=1, trunks={"south": {"calls_per_second": 5}})
    assert [feed.send("INVITE", "192.0.2.60")[-1] == 503 for _ in range(7)] == [False] * 5 + [True] * 2
    assert feed.send("INVITE", "192.0.2.60", now=1.2)[-1] != 503
    assert feed.send("OPTIONS", "192.0.2.60") == [200]


def test_a_reload_changes_the_limits_and_forgives_nothing() -> None:
    feed = Feed(requests_per_source=1, requests_at_once=1)
    assert [feed.send()[0] for _ in range(2)] == [401, 503]
    feed.switch.configure(settings(sip={"limits": {"requests_per_source": 1, "requests_at_once": 3}}), 1.0)
    assert [feed.send()[0] for _ in range(3)] == [401, 401, 503]
    feed.switch.configure(settings(sip={"limits": {"requests_per_source": "none"}}), 1.0)
    assert feed.send() == [401]


def test_an_office_comes_back_after_a_power_cut() -> None:
    """200 phones behind one address, a REGISTER and its answer to the challenge each, at once: all are served."""
    feed = Feed()
    assert {feed.send()[0] for _ in range(400)} == {401}


def test_it_is_logged_within_bounds() -> None:
    feed = Feed(requests_per_source=1, requests_at_once=1)
    with capture_logs() as entries:
        for _ in range(100):
            feed.send()
    throttled = [entry for entry in entries if entry["event"] == "source throttled"]
    assert len(throttled) == 5
    assert throttled[0]["source"] == STRANGER


def test_memory_is_bounded_whoever_comes() -> None:
    feed = Feed(requests_per_source=1, requests_at_once=1)
    throttle = feed.switch.throttle
    event = _arrived(feed)
    for n in range(60_000):
        flow = Flow("udp", (SWITCH, 5060), (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 5060), 0)
        throttle.judge(event.request, flow, 1.0)
        assert len(throttle) <= 2 * MAX_KEYS


def _arrived(feed: Feed) -> RequestReceived:
    """A request as the stack tells of it."""
    feed.receive("REGISTER", STRANGER, 1.0)
    [event] = feed.switch.stack.events
    feed.switch.stack.events.clear()
    assert isinstance(event, RequestReceived)
    return event

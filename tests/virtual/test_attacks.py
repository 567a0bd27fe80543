"""Guessers, floods and toll fraud against the whole switch."""

from __future__ import annotations

from collections import Counter

import pytest
from structlog.testing import capture_logs

from sip.digest import Credentials
from sip.effects import Flow, Send, Target
from sip.message import Request, Response
from sip.parser import parse
from sip.ua_events import SessionEnded
from tests.virtual.network import SWITCH, Phone, World, settings

# ---- guessing ------------------------------------------------------------------------------------------------


def guess(phone: Phone, password: str, user: str = "101") -> None:
    """One REGISTER with that password."""
    address = f"<sip:{user}@{SWITCH}>"
    request = Request("REGISTER", f"sip:{SWITCH}", [("From", address), ("To", address), ("Expires", "60")])
    phone.ua.request(request, phone.link.now, Target("udp", SWITCH, 5060), user, Credentials(user, password))
    phone.world.run(0.2)


def test_a_guesser_is_logged_within_bounds_and_the_phone_is_not_locked_out() -> None:
    """THREATS 5: back-off per source and per user; the real phone at its own address is not locked out."""
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    guesser = world.gateway("198.51.100.66")
    with capture_logs() as entries:
        for n in range(60):
            guess(guesser, f"guess {n}")
        world.run(60.0)
    lines = [entry for entry in entries if entry.get("log_level") == "warning"]
    events = [entry["event"] for entry in lines]
    assert events[:6] == ["authentication failed"] * 5 + ["backed off"]
    assert set(events[6:]) == {"backed off", "and more"}
    assert len(events) <= 9
    assert {entry["source"] for entry in lines if "source" in entry} == {guesser.host}
    assert lines[-1]["left_out"] >= 15  # twenty were looked at, the others not even that
    assert "guess 1" not in str(lines)
    session = world.establish(ann, ben)
    ann.register()
    ann.do(session.hangup)
    world.run(1.0)
    assert ben.of(SessionEnded)
    world.assert_over()


# ---- floods --------------------------------------------------------------------------------------------------


def datagram(method: str, number: int, host: str) -> bytes:
    uri = f"sip:{SWITCH}" if method == "REGISTER" else f"sip:102@{SWITCH}"
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bK-{number}\r\n"
        f"From: <sip:101@{SWITCH}>;tag=f{number}\r\nTo: <sip:101@{SWITCH}>\r\nMax-Forwards: 70\r\n"
        f"Call-ID: flood-{number}\r\nCSeq: 1 {method}\r\nContact: <sip:101@{host}>\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def flood(world: World, method: str, hosts: list[str], count: int, per_second: float) -> Counter[int]:
    """Requests without credentials from these hosts in turn; how often each status was given, 0 for none."""
    statuses: Counter[int] = Counter()
    switch = world.switch
    for number in range(count):
        host = hosts[number % len(hosts)]
        switch.stack.receive(datagram(method, number, host), Flow("udp", (SWITCH, 5060), (host, 5060), 0), world.now)
        switch.pump(world.now)
        answered = False
        for effect in [each for each in switch.stack.effects if isinstance(each, Send)]:
            if effect.flow.remote[0] == host:
                switch.stack.effects.remove(effect)
                message = parse(effect.data)
                assert isinstance(message, Response)
                assert message.status != 503 or message.has("Retry-After")
                statuses[message.status] += 1
                answered = True
        statuses[0] += not answered
        if number % 20 == 19:
            world.run(20 / per_second)
    return statuses


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
def test_a_flood_from_one_source_is_refused_and_calls_go_on(method: str) -> None:
    """THREATS 9: memory flat, 503 with Retry-After, calls in progress keep their audio, new calls of others come."""
    world = World(settings(sip={"qualify": {"interval": "none"}, "limits": {"requests_at_once": 100}}))
    ann, ben, cat = world.phone("101"), world.phone("102"), world.phone("103")
    session = world.establish(ann, ben)
    bridges = dict(world.media.bridges)
    statuses = flood(world, method, ["198.51.100.66"], 3000, per_second=3000)
    assert statuses[503] in range(400, 1000)  # four times 100 a second, for a second, and 400 at once
    assert statuses[0] > 1800
    assert statuses[401] + statuses[200] < 300
    assert world.switch.stack.sizes()["server transactions"] < 320
    assert world.media.bridges == bridges
    other = world.establish(cat, world.phone("104"))
    ann.do(session.offer, ann.sdp(direction="sendonly"))
    world.run(0.5)
    ann.do(session.hangup)
    cat.do(other.hangup)
    world.run(1.0)
    assert ben.of(SessionEnded)
    world.assert_over(2, after=65.0)  # the line that sums up waits for a minute


def test_a_flood_from_everywhere_fills_no_table() -> None:
    limits = {"transactions": 500, "requests_at_once": 100}
    world = World(settings(sip={"qualify": {"interval": "none"}, "limits": limits}))
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    hosts = [f"198.51.{n >> 8}.{n & 255}" for n in range(3000)]
    statuses = flood(world, "INVITE", hosts, 3000, per_second=3000)
    assert statuses[503] > 2000
    assert world.switch.stack.sizes()["server transactions"] <= 500
    assert len(world.runtime.calls) == 1
    ann.do(session.hangup)
    world.run(1.0)
    assert ben.of(SessionEnded)
    world.assert_over()

"""Calls in which everybody has video, now and then: whatever all do in whatever order, nothing is left of it."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

import pytest

from tests.virtual.network import Phone, World
from tests.virtual.network import settings as configured
from tests.virtual.test_random_calls import LIKELY, ROUTES, Players

SEEN: dict[str, Any] = {
    "routes": ROUTES,
    "extensions": {
        "101": {"video": True, "music_on_hold": "default"},
        "102": {"video": True},
        "103": {"video": True, "music_on_hold": "default"},
    },
    "trunks": {"north": {"video": True, "channels": 2}, "south": {"video": True}},
}


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_left_of_random_calls_with_video(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    world = World(configured(**deepcopy(SEEN)), ports=dice.choice((3, 1_000)), seed=seed)
    players = Players(world, dice, SEEN)
    plain = Phone.sdp

    def sdp(phone: Phone, *args: Any, **more: Any) -> bytes:
        """Of what a phone says, most has a video line, and most of those have video in it."""
        body = plain(phone, *args, **more)
        if dice.random() < 0.2:
            return body
        number, port = dice.choice((97, 112)), dice.choice((0, 2, 2, 2, 4))
        way = dice.choice(("sendrecv", "sendrecv", "recvonly", "inactive"))
        line = (
            f"m=video {phone.port + port if port else 0} RTP/AVP {number}\r\na=rtpmap:{number} VP8/90000\r\na={way}\r\n"
        )
        return body + line.encode()

    monkeypatch.setattr(Phone, "sdp", sdp)
    for _ in range(dice.randrange(10, 40)):
        players.act(dice.choice(LIKELY))
        world.run(dice.choice((0.0, 0.02, 0.1, 0.5)))
        # Streams of video belong to legs that are there, and are joined two by two.
        legs = world.runtime.legs
        live = {leg.media.video[0]: leg for leg in legs.values() if leg.media.video is not None}
        pairs = {stream: other for stream, other in world.media.bridges.items() if stream in live and other != stream}
        assert all(pairs[other] == stream for stream, other in pairs.items())
        assert all(live[stream].call == live[other].call for stream, other in pairs.items())
    world.run(100.0)
    began = world.runtime.counters["calls"]
    world.runtime.hang_up_all(38, world.now, "end")
    world.link.settle()
    world.run(600.0)
    assert world.node.leftovers() == {}
    assert len(world.runtime.streams.video) == 0
    assert len(world.records) == began

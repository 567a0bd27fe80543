"""How streams sound: relayed ones and voices, events where it is news, statistics at the end."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from media.audio_commands import Quality, SetVolume
from media.commands import Format, MediaAddress, StreamClosed, StreamSettings, StreamStats
from media.engine import MediaEngine
from media.quality import impairment
from rtp import emodel
from rtp.address import FAMILY_V4, sockaddr
from rtp.columns import Slots

PCMU: Format = (0, "PCMU", 8000)
G729: Format = (18, "G729", 8000)


class Calls:
    """Two peers, bridged: every 20 ms one packet of each, where `lost(stream, number)` does not say otherwise."""

    def __init__(self, format_: Format = PCMU) -> None:
        self.now = 100.0
        self.engine = MediaEngine(random.Random(3), self.now, 1_700_000_000.0)
        self.slots = Slots(16)
        self.tick = self.sent = 0
        self.type = format_[0]
        for stream in (1, 2):
            remote = MediaAddress("192.0.2.1", 4000 + 2 * stream, 4001 + 2 * stream)
            self.engine.open(stream, 1, 2, FAMILY_V4)
            self.engine.configure(stream, StreamSettings(remote=remote, formats=(format_,)), self.now)
        self.engine.bridge(1, 2)

    def run(self, seconds: float, loss: float = 0.0, talks: tuple[int, ...] = (1, 2)) -> None:
        """`loss`: fraction of stream 1, evenly."""
        for _ in range(round(seconds * 50)):
            self.slots.clear()
            for stream in talks:
                if stream == 2 or int(self.sent * loss) == int((self.sent - 1) * loss):
                    head = struct.pack("!BBHII", 0x80, self.type, self.sent & 0xFFFF, self.sent * 160, stream)
                    self.slots.put(head + bytes(160), sockaddr("192.0.2.1", 4000 + 2 * stream), 1)
            self.sent += 1
            self.engine.packets(self.slots, self.now)
            for _ in range(4):
                self.engine.mix(self.tick, self.now)
                self.tick += 1
                self.now += 0.005
            if self.sent % 12 == 0:
                self.engine.tick(self.now)

    def news(self) -> list[Quality]:
        found = [each for each in self.engine.events if isinstance(each, Quality)]
        self.engine.events.clear()
        return found

    def closed(self, stream: int) -> StreamStats:
        self.engine.close(stream)
        return next(
            each.stats for each in self.engine.events if isinstance(each, StreamClosed) and each.stream == stream
        )


@pytest.mark.parametrize("mixed", [False, True])
def test_a_stream_that_gets_worse_is_told_once_and_told_at_its_end(mixed: bool) -> None:
    calls = Calls()
    if mixed:
        calls.engine.audio(SetVolume(1, heard=0.9), calls.now)
        assert len(calls.engine.mixer) == 2
    calls.run(11)
    assert calls.news() == []
    calls.run(15, loss=0.1)
    (news,) = calls.news()
    assert news.stream == 1
    assert news.mos == news.mos_min < 3.6
    assert 0.02 < news.loss <= 0.11
    assert 40 <= news.delay_ms <= 100
    stats = calls.closed(1)
    assert stats.mos_min is not None
    assert stats.mos is not None
    assert stats.mos_min < 3.6 < stats.mos < 4.35
    other = calls.closed(2)
    assert other.mos == pytest.approx(4.41, abs=0.02)
    assert other.mos_min == pytest.approx(4.41, abs=0.02)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_call_shorter_than_an_interval_is_rated_whether_unbridged_before_or_not(mixed: bool) -> None:
    calls = Calls()
    if mixed:
        calls.engine.audio(SetVolume(1, heard=0.9), calls.now)
    calls.run(2)
    if not mixed:
        calls.engine.unbridge(1)
    for stream in (1, 2):
        assert calls.closed(stream).mos == pytest.approx(4.41, abs=0.02)


def test_who_is_not_heard_has_no_score() -> None:
    calls = Calls()
    calls.run(11, talks=(2,))
    assert calls.closed(1).mos is None
    assert calls.closed(2).mos is not None
    # Nor has who is heard by nobody.
    lone = Calls()
    lone.engine.unbridge(1)
    lone.run(11)
    assert lone.closed(1).mos is lone.closed(2).mos is None


def test_a_relayed_codec_of_others_costs_what_g113_says() -> None:
    calls = Calls(G729)
    calls.run(6)
    expected = float(emodel.mos(emodel.rating(20 + 20 + 5.0, 11, 19)))
    assert calls.closed(1).mos == pytest.approx(expected, abs=0.01)


def test_impairments_of_our_codecs_and_of_others() -> None:
    assert impairment((0, "pcmu", 8000)) == (0, 25.1, 0)
    assert impairment((9, "G722", 8000)) == (3.3, 7.1, 1.5)
    assert impairment((96, "OPUS", 48000)) == (6.8, 19.7, 6.5)
    assert impairment((18, "g729", 8000)) == (11, 19, 5)
    assert impairment((99, "unheard-of", 8000)) == emodel.CODECS["PCMU"]


def test_the_round_trip_counts_half() -> None:
    calls = Calls()
    calls.run(6)
    near = calls.engine.quality.summary(1).last
    calls.engine.table.round_trip[:3] = np.array([-1.0, 0.8, -1.0])
    calls.run(6)
    assert calls.engine.quality.summary(1).last < near - 0.3

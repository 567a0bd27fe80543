"""How streams sound: relayed ones and voices, events where it is news, statistics at the end."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from media.audio_commands import Quality, SetVolume
from media.commands import Format, MediaAddress, StreamClosed, StreamSettings, StreamStats
from media.engine import MediaEngine
from media.mixer import FRAME_SECONDS, PHASES
from media.quality import impairment
from rtp import emodel, rtcp, rtcp_xr
from rtp.address import FAMILY_V4, sockaddr
from rtp.columns import Slots

PCMU: Format = (0, "PCMU", 8000)
G729: Format = (18, "G729", 8000)


class Calls:
    """Two peers, bridged: every 20 ms one packet of each, where `lost(stream, number)` does not say otherwise."""

    def __init__(self, format_: Format = PCMU, extended: bool = False) -> None:
        self.now = 100.0
        self.engine = MediaEngine(random.Random(3), self.now, 1_700_000_000.0, extended=extended)
        self.reports: dict[int, bytes] = {}  # the latest of each stream
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
            for _ in range(PHASES):
                self.engine.mix(self.tick, self.now)
                self.tick += 1
                self.now += FRAME_SECONDS / PHASES
            if self.sent % 12 == 0:
                reports = self.engine.tick(self.now)
                for at in range(reports.count):
                    stream = self.engine.latch.peers[int(reports.rows[at])].stream
                    self.reports[stream] = reports.data[at, : int(reports.lengths[at])].tobytes()

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


# ---- RTCP XR (RFC 3611)


def test_rfc3611_4_7_reports_tell_how_a_relayed_peer_sounds() -> None:
    calls = Calls(extended=True)
    calls.engine.table.round_trip[1:3] = 0.1
    calls.run(30, loss=0.1)
    (found,) = rtcp_xr.parse(calls.reports[1]).voip
    assert rtcp.parse(calls.reports[1]).ssrc == rtcp_xr.parse(calls.reports[1]).ssrc
    assert found.ssrc == 1
    assert found.loss == pytest.approx(0.1, abs=0.01)
    assert (found.discard, found.plc, found.adaptive, found.buffer_ms, found.round_trip_ms) == (0, 0, 0, 0, 100)
    assert found.mos_lq is not None
    assert found.mos_cq is not None
    assert 3.3 < found.mos_cq <= found.mos_lq < 3.6
    assert rtcp_xr.parse(calls.reports[2]).voip[0].mos_lq == 4.4


def test_rfc3611_4_7_reports_tell_how_a_voice_sounds_after_its_jitter_buffer() -> None:
    calls = Calls(extended=True)
    calls.engine.audio(SetVolume(1, heard=0.9), calls.now)
    calls.run(30, loss=0.1)
    (found,) = rtcp_xr.parse(calls.reports[1]).voip
    assert found.loss == pytest.approx(0.1, abs=0.01)
    # Every tenth frame is missing: one burst, as there are never sixteen in a row.
    assert found.burst_density == pytest.approx(0.1, abs=0.01)
    assert found.burst_ms > 10_000
    assert 20 <= found.buffer_ms <= 60
    assert found.end_system_ms == pytest.approx(found.buffer_ms + 20, abs=1)
    assert (found.plc, found.adaptive, found.buffer_limit_ms) == (rtcp_xr.STANDARD_PLC, rtcp_xr.ADAPTIVE, 200)
    assert found.r_factor is not None
    assert 60 < found.r_factor < 75


def test_nothing_is_told_before_the_first_interval_nor_where_it_is_not_wanted() -> None:
    calls = Calls(extended=True)
    calls.run(4.9)
    assert calls.reports
    assert not any(rtcp_xr.parse(each).voip for each in calls.reports.values())
    plain = Calls()
    plain.run(20)
    assert not any(rtcp.parse(each).extended for each in plain.reports.values())


def metrics_about(ssrc: int, mos_lq: float = 4.1, mos_cq: float = -1.0) -> bytes:
    one = np.ones(1)
    data = np.zeros((1, 128), np.uint8)
    words, peer = data.view(">u4"), np.array([1])
    end = rtcp.write(words, peer, None, None, rtcp.cname_words("x")) // 4
    voip = rtcp_xr.VoipColumns(
        np.array([ssrc]), *[one * 0.25] * 4, *[one * 100] * 4, 16, one * 80, one * mos_lq, one * mos_cq,
        *[one * 40] * 3, np.array([True]),
    )  # fmt: skip
    return data[0, : 4 * rtcp_xr.write(words, end, peer, voip=voip)].tobytes()


def test_what_the_peer_tells_of_us_is_in_the_statistics() -> None:
    calls = Calls()
    calls.run(0.2)
    own = int(calls.engine.table.own_ssrc[1])
    for packet in (metrics_about(own), metrics_about(own + 1, 1.5)):
        calls.slots.clear()
        calls.slots.put(packet, sockaddr("192.0.2.1", 4003), 2, True)
        calls.engine.packets(calls.slots, calls.now)
    stats = calls.engine.stats(1)
    assert (stats.remote_mos, stats.remote_mos_cq, stats.remote_burst_loss) == (4.1, None, 0.25)
    assert stats.rtcp_received == 2


def test_an_extended_report_that_lies_is_counted_and_the_rest_of_it_read() -> None:
    calls = Calls()
    calls.run(0.2)
    packet = bytearray(metrics_about(int(calls.engine.table.own_ssrc[1])))
    packet[-34] = 99  # the block's length
    calls.slots.clear()
    calls.slots.put(bytes(packet), sockaddr("192.0.2.1", 4003), 2, True)
    calls.engine.packets(calls.slots, calls.now)
    stats = calls.engine.stats(1)
    assert (stats.rtcp_received, stats.remote_mos, calls.engine.counters["bad_rtcp"]) == (1, None, 1)

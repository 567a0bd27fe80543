"""Estimates of quality per interval."""

from __future__ import annotations

import numpy as np
import pytest

from rtp import emodel
from rtp.playout import PlayoutBank
from rtp.playout_bursts import GMIN, burst_ratio, bursts
from rtp.quality import StreamQuality

NONE = np.zeros(1)


class Call:
    """One stream of 20 ms packets; `lost` says which never come."""

    def __init__(self, codec: emodel.Codec = emodel.CODECS["PCMU"]) -> None:
        self.bank = PlayoutBank(8000)
        self.row = self.bank.take()
        self.bank.open(self.row, 8000)
        self.rows = np.array([self.row])
        self.quality = StreamQuality(self.bank)
        self.quality.open(self.row, codec)
        self.sent = 0
        self.now = 5.0

    def run(self, packets: int, lost: frozenset[int] = frozenset()) -> None:
        samples = np.full((1, 160), 3000, np.int16)
        for k in range(packets):
            if k not in lost:
                stamp, seq = np.array([self.sent * 160]), np.array([self.sent & 0xFFFF])
                at = self.bank.arrived(self.rows, stamp, seq, np.zeros(1, np.bool_), np.array([160]), self.now + 0.01)
                self.bank.write(self.rows, at, samples)
            self.sent += 1
            self.now += 0.02
            self.bank.play(self.rows, self.now)


def test_without_loss_the_score_is_the_best_of_the_narrow_band() -> None:
    call = Call()
    call.run(250)
    interval = call.quality.measure(call.rows, NONE)
    assert interval.heard[0]
    assert interval.loss[0] == 0
    assert interval.mos[0] == pytest.approx(4.41, abs=0.01)


def test_each_interval_counts_its_own_loss_and_the_call_keeps_least_mean_and_last() -> None:
    call = Call()
    call.run(250)
    good = call.quality.measure(call.rows, NONE).mos[0]
    call.run(250, frozenset(range(10, 250, 10)))
    bad = call.quality.measure(call.rows, NONE)
    assert bad.loss[0] == pytest.approx(24 / 250, abs=0.005)
    assert bad.burst_ratio[0] == pytest.approx(1.0, abs=0.01)
    assert bad.mos[0] < 3.6
    call.run(250)
    again = call.quality.measure(call.rows, NONE).mos[0]
    summary = call.quality.summary(call.row)
    assert (summary.intervals, summary.last, summary.least) == (3, again, bad.mos[0])
    assert summary.mean == pytest.approx((good + bad.mos[0] + again) / 3)


def test_delay_is_packet_look_ahead_half_the_round_trip_and_jitter_buffer() -> None:
    call = Call(emodel.CODECS["G729"])
    call.run(250)
    interval = call.quality.measure(call.rows, np.array([300.0]))
    buffer = call.bank.delay_ms(call.rows)[0]
    assert 10 <= buffer <= 60
    assert interval.delay_ms[0] == pytest.approx(20 + 5 + 150 + buffer)
    expected = emodel.rating(interval.delay_ms[0], 11, 19)
    assert interval.rating[0] == pytest.approx(float(expected))


def test_an_interval_without_packets_says_nothing() -> None:
    call = Call()
    call.run(250)
    call.quality.measure(call.rows, NONE)
    for _ in range(250):
        call.now += 0.02
        call.bank.play(call.rows, call.now)
    interval = call.quality.measure(call.rows, NONE)
    assert not interval.heard[0]
    assert interval.mos[0] == 0
    assert call.quality.summary(call.row).intervals == 1
    assert call.quality.summary(call.row).least > 4


def test_a_stream_opened_anew_has_no_summary() -> None:
    call = Call()
    call.run(250)
    call.quality.measure(call.rows, NONE)
    call.quality.open(call.row, emodel.CODECS["PCMA"])
    assert call.quality.summary(call.row) == (0, 0.0, 0.0, 0.0)


def test_rows_beyond_the_first_ones_have_columns() -> None:
    call = Call()
    call.quality.open(100, emodel.CODECS["PCMA"])
    assert call.quality.summary(100).intervals == 0


def test_g107_7_5_burst_ratio_is_mean_run_over_that_of_random_loss() -> None:
    one = np.array([1.0])
    assert burst_ratio(np.array([30]), np.array([10]), one, np.array([0.1])) == pytest.approx(2.7)
    # Packets of 60 ms miss three frames each.
    assert burst_ratio(np.array([30]), np.array([10]), one * 3, np.array([0.1])) == pytest.approx(1.0)
    assert burst_ratio(np.array([0]), np.array([0]), one, np.array([0.0])) == 1.0


def test_loss_in_runs_is_rated_worse_than_the_same_loss_alone() -> None:
    alone, runs = Call(), Call()
    alone.run(500, frozenset(range(20, 440, 20)))
    runs.run(500, frozenset(k for k in range(20, 480) if k % 60 < 3))
    first, second = (call.quality.measure(call.rows, NONE) for call in (alone, runs))
    assert first.loss[0] == second.loss[0]
    assert second.burst_ratio[0] == 2.0
    assert second.mos[0] < first.mos[0]


def test_rfc3611_4_7_2_bursts_and_gaps() -> None:
    call = Call()
    # A burst of frames 100 to 109 that misses four; later two single losses, far apart.
    call.run(400, frozenset({100, 102, 105, 109, 200, 300}))
    c = call.bank.columns
    found = bursts(c, call.rows, call.bank.expected(call.rows))
    assert GMIN == 16
    assert found.burst_ms[0] == 200
    assert found.burst_density[0] == pytest.approx(0.4)
    assert found.gap_density[0] == pytest.approx(2 / 390)
    assert found.gap_ms[0] == pytest.approx(390 * 20 / 2)

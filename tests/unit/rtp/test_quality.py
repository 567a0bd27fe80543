"""Estimates of quality per interval."""

from __future__ import annotations

import numpy as np
import pytest

from rtp import emodel
from rtp.playout import PlayoutBank
from rtp.playout_bursts import GMIN, burst_ratio, bursts
from rtp.quality import Interval, RelayQuality, Scores, StreamQuality, estimate
from rtp.table import EARS_AUDIO, NOBODY, StreamTable

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


def test_each_interval_counts_its_own_loss() -> None:
    call = Call()
    call.run(250)
    good = call.quality.measure(call.rows, NONE).mos[0]
    call.run(250, frozenset(range(10, 250, 10)))
    bad = call.quality.measure(call.rows, NONE)
    assert bad.loss[0] == pytest.approx(24 / 250, abs=0.005)
    assert bad.burst_ratio[0] == pytest.approx(1.0, abs=0.01)
    assert bad.mos[0] < 3.6
    call.run(250)
    assert call.quality.measure(call.rows, NONE).mos[0] > good - 0.1


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
    assert interval.mos[0] == interval.listening[0] == interval.loss[0] == 0


def test_rows_beyond_the_first_ones_have_columns() -> None:
    call = Call()
    call.bank.columns.take()
    call.quality.open(100, emodel.CODECS["PCMA"])
    call.run(250)
    assert call.quality.measure(call.rows, NONE).heard[0]


def test_listening_is_conversing_without_delay() -> None:
    call = Call()
    call.run(250, frozenset(range(10, 250, 40)))
    interval = call.quality.measure(call.rows, np.array([800.0]))
    assert interval.listening[0] == pytest.approx(
        float(emodel.mos(emodel.rating(0.0, loss=interval.loss[0]))), abs=0.02
    )
    assert interval.mos[0] < interval.listening[0] - 0.5


# ---- relayed


def relayed(streams: int = 1) -> tuple[StreamTable, RelayQuality, np.ndarray]:
    """Rows that are passed to one another's, of G.711."""
    table = StreamTable()
    rows = np.array([table.take() for _ in range(2 * streams)])
    quality = RelayQuality(table)
    for row in rows.tolist():
        quality.open(row)
        quality.recode(row, emodel.CODECS["PCMU"], 20.0)
    table.ssrc[rows] = 77
    table.base[rows] = 100
    table.top[rows] = 99
    table.target[rows] = rows.reshape(-1, 2)[:, ::-1].reshape(-1)
    return table, quality, rows


def test_a_relayed_stream_is_rated_by_what_the_relay_counts() -> None:
    table, quality, rows = relayed()
    table.top[rows] += 250
    table.received[rows] += np.array([250, 225])
    table.jitter[rows] = np.array([80.0, 320.0])  # 10 and 40 ms
    table.round_trip[rows] = np.array([0.1, -1.0])
    measured, interval = quality.measure(rows)
    assert measured.tolist() == rows.tolist()
    assert interval.loss.tolist() == [0.0, 0.1]
    # Packet, jitter buffer, half the round trip of both sides together.
    assert interval.delay_ms.tolist() == [20 + 20 + 50, 20 + 80 + 50]
    assert interval.mos[1] == pytest.approx(float(emodel.mos(emodel.rating(150.0, 0, 25.1, 0.1))))
    # The next interval is its own.
    table.top[rows] += 250
    table.received[rows] += 250
    assert quality.measure(rows)[1].loss.tolist() == [0.0, 0.0]


def test_a_source_that_begins_anew_is_counted_from_its_first_packet() -> None:
    table, quality, rows = relayed()
    table.top[rows] += 250
    table.received[rows] += 250
    quality.measure(rows)
    table.base_received[rows] = table.received[rows]
    table.base[rows], table.top[rows] = 40_000, 40_099
    table.received[rows] += np.array([100, 75])
    _, interval = quality.measure(rows)
    assert interval.packets.tolist() == [100, 100]
    assert interval.loss.tolist() == [0.0, 0.25]


def test_what_is_mixed_or_goes_nowhere_is_not_rated_as_relayed() -> None:
    table, quality, rows = relayed(2)
    table.top[rows] += 250
    table.received[rows] += 250
    table.ears[rows[0]] = EARS_AUDIO
    table.target[rows[1]] = NOBODY
    table.ssrc[rows[2]] = -1
    measured, _ = quality.measure(rows)
    assert measured.tolist() == [rows[3]]


def test_rows_of_a_table_that_grew_have_columns() -> None:
    table, quality, _ = relayed(200)
    assert table.capacity > 64
    row = table.take()
    quality.open(row)
    assert quality.measure(np.array([row]))[0].size == 0


# ---- what intervals come to


def interval_of(*packets_and_loss: tuple[int, float]) -> Interval:
    packets, loss = (np.array(column) for column in zip(*packets_and_loss, strict=True))
    one = np.ones(len(packets))
    return estimate(packets, loss, one * 60, one * 0, one * 25.1, one)


def test_a_call_keeps_mean_by_packets_least_and_last() -> None:
    scores = Scores(64)
    scores.open(5)
    rows = np.array([5])
    assert scores.summary(5) == (0, 0.0, 0.0, 0.0)
    marks = []
    for packets, loss in ((250, 0.0), (250, 0.1), (125, 0.02), (5, 0.9)):
        interval = interval_of((packets, loss))
        scores.add(rows, interval)
        marks.append(float(interval.mos[0]))
    found = scores.summary(5)
    assert (found.intervals, found.last, found.least) == (3, marks[2], marks[1])
    assert found.mean == pytest.approx((2 * marks[0] + 2 * marks[1] + marks[2]) / 5)
    # A last interval of less than a second is no worst one.
    scores.add(rows, interval_of((20, 0.5)))
    assert scores.summary(5).least == marks[1]
    scores.open(5)
    assert scores.summary(5).intervals == 0


def test_news_is_what_falls_below_3_6_or_changes_by_0_3() -> None:
    scores = Scores(64)
    rows = np.array([1, 2, 3])
    for row in rows.tolist():
        scores.open(row)
    good, fair, worse, poor = (250, 0.0), (250, 0.04), (250, 0.06), (250, 0.085)
    assert interval_of(good, fair, worse, poor).mos.round(2).tolist() == [4.41, 4.03, 3.82, 3.56]
    assert scores.add(rows, interval_of(good, fair, worse)).tolist() == [1, 2]
    assert scores.add(rows, interval_of(good, fair, worse)).tolist() == []
    # Silence is no news; a little worse is some only where it becomes poor.
    assert scores.add(rows, interval_of((3, 0.9), (250, 0.045), poor)).tolist() == [2]
    assert scores.add(rows, interval_of(good, (250, 0.02), (250, 0.09))).tolist() == []
    assert scores.add(rows, interval_of(good, good, good)).tolist() == [1, 2]


def test_scores_grow_with_the_table() -> None:
    scores = Scores(2)
    scores.open(100)
    scores.add(np.array([100]), interval_of((250, 0.0)))
    assert scores.summary(100).intervals == 1


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

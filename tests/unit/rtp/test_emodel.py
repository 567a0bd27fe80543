"""The E-model (ITU-T G.107)."""

from __future__ import annotations

import numpy as np
import pytest

from rtp import emodel


def test_g107_7_7_r_is_93_2_by_default() -> None:
    assert float(emodel.rating()) == pytest.approx(93.2, abs=0.05)


@pytest.mark.parametrize(
    ("r", "score"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58), (100, 4.5), (0, 1.0), (93.2, 4.41)]
)
def test_g107_annex_b_mos_of_r(r: float, score: float) -> None:
    assert float(emodel.mos(r)) == pytest.approx(score, abs=0.01)


def test_g107_7_4_no_impairment_by_delay_up_to_100_ms() -> None:
    assert emodel.delay(np.array([0.0, 50.0, 100.0])).tolist() == [0.0, 0.0, 0.0]


def test_g107_7_4_delay_of_200_ms_is_one_octave_above_100() -> None:
    # X = 1: 25 (2^(1/6) - 3 (1 + 3^-6)^(1/6) + 2)
    assert float(emodel.delay(200.0)) == pytest.approx(3.044, abs=0.001)
    # X = 2 by hand: 25 (65^(1/6) - 3 (1 + (2/3)^6)^(1/6) + 2)
    assert float(emodel.delay(400.0)) == pytest.approx(25 * (65 ** (1 / 6) - 3 * (1 + 64 / 729) ** (1 / 6) + 2))


def test_g114_150_ms_with_echo_controlled_satisfies_300_ms_does_not() -> None:
    """G.114 by way of G.109: R above 80 satisfies users, below 70 many are dissatisfied."""
    fine, middling, long_ = emodel.rating(one_way_ms=np.array([150.0, 300.0, 450.0]))
    assert fine > 90
    assert 70 < middling < 80
    assert long_ < 70


def test_echo_of_65_db_talker_echo_loudness_costs_with_delay() -> None:
    delays = np.array([1.0, 50.0, 150.0, 300.0])
    with_echo, without = emodel.rating(delays, echo_ms=delays), emodel.rating(delays)
    assert (with_echo <= without + 0.2).all()
    assert without[3] - with_echo[3] > 3
    assert (np.diff(without - with_echo) > 0).all()


@pytest.mark.parametrize(
    ("ie", "bpl", "percent", "effective"),
    [
        (0, 4.3, 0, 0.0),
        (0, 4.3, 1, 95 / 5.3),
        (0, 25.1, 1, 95 / 26.1),
        (0, 25.1, 5, 475 / 30.1),
        # G.113 appendix I: G.729A with VAD, Ie 11; 2 % loss: 19, 4 %: 26
        (11, 19, 2, 19.0),
        (11, 19, 4, 25.6),
    ],
)
def test_g107_7_5_effective_equipment_impairment(ie: float, bpl: float, percent: float, effective: float) -> None:
    assert float(emodel.equipment(ie, bpl, percent / 100)) == pytest.approx(effective, abs=0.05)


def test_g107_7_5_bursts_cost_more_than_random_loss() -> None:
    random, bursty = emodel.equipment(0.0, 25.1, 0.05, np.array([1.0, 2.0]))
    assert bursty > random
    assert bursty == pytest.approx(95 * 5 / (2.5 + 25.1))


def test_columns_and_single_values_mix() -> None:
    ratings = emodel.rating(np.array([0.0, 200.0]), 0.0, 25.1, np.array([0.1, 0.0]), 1.0)
    assert ratings.shape == (2,)
    assert ratings[0] == pytest.approx(93.206 - 950 / 35.1, abs=0.01)


def test_the_worst_is_0_and_the_best_100() -> None:
    assert float(emodel.rating(10000.0, 95.0, 1.0, 1.0)) == 0.0
    assert float(emodel.rating(advantage=20.0)) == 100.0


def test_every_codec_stands_in_the_range_of_g113() -> None:
    for codec in emodel.CODECS.values():
        assert 0 <= codec.ie <= 40
        assert codec.bpl >= 1
        assert codec.look_ahead_ms >= 0

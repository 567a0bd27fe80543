"""Sums of sources."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from media.mixture import Mixture, Sum

N = 8
terms = st.tuples(st.integers(1, 6), st.sampled_from([-1.0, 0.25, 1.0, 2.0]))
sums = st.lists(terms, max_size=5).map(tuple)


@given(
    st.lists(sums, min_size=1, max_size=12), st.lists(st.lists(terms, min_size=1, max_size=5).map(tuple), max_size=2)
)
def test_each_signal_is_its_sum(signals: list[Sum], totals: list[Sum]) -> None:
    sources = np.zeros((7 + len(totals), N), np.float32)
    sources[1:7] = np.random.default_rng(3).integers(-3000, 3000, (6, N))
    signals = [*signals, *(((7 + index, 1.0), (1, -1.0)) for index in range(len(totals)))]
    mixture = Mixture(7, totals, signals, N)
    assert mixture.rows == len(sources)
    found = mixture.mix(sources)
    rows = [*sources[:7], *(sum(gain * sources[row] for row, gain in total) for total in totals)]
    for place, signal in enumerate(signals):
        expected = sum((gain * rows[row] for row, gain in signal), np.zeros(N))
        assert np.abs(found[place] - np.clip(expected, -32767, 32767)).max() <= 1.01


def test_a_sum_saturates_on_either_side() -> None:
    sources = np.array([[0, 0], [30000, -30000], [30000, -30000]], np.float32)
    mixture = Mixture(3, [], [((1, 1.0), (2, 1.0))], 2)
    assert mixture.mix(sources).tolist() == [[32767, -32767]]


def test_a_signal_of_nothing_is_silence_however_often_it_is_mixed() -> None:
    sources = np.array([[0, 0], [7, 8]], np.float32)
    mixture = Mixture(2, [], [(), ((1, 1.0),)], 2)
    for _ in range(3):
        found = mixture.mix(sources)
        assert found[0].tolist() == [0, 0]
        assert found[1].tolist() == [7, 8]

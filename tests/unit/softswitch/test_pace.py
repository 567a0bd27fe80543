"""Token buckets: rate, burst, bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.pace import Pace


def test_a_burst_then_the_rate() -> None:
    pace = Pace(2.0, 4)
    assert [pace.take("a", 10.0) for _ in range(5)] == [True] * 4 + [False]
    assert pace.wait("a", 10.0) == pytest.approx(0.5)
    assert not pace.take("a", 10.4)
    assert pace.take("a", 10.5)
    assert not pace.take("a", 10.5)
    assert pace.take("b", 10.5)
    assert [pace.take("a", 100.0) for _ in range(5)] == [True] * 4 + [False]


def test_refusals_cost_nothing() -> None:
    pace = Pace(1.0, 1)
    assert pace.take("a", 0.0)
    assert not any(pace.take("a", n / 100) for n in range(100))
    assert pace.take("a", 1.0)


def test_another_rate_from_now_on() -> None:
    pace = Pace(1.0, 2)
    assert pace.take("a", 0.0)
    assert pace.take("a", 0.0)
    pace.configure(10.0, 20)
    assert not pace.take("a", 0.0)  # 2 s of the old rate are still owed
    assert pace.take("a", 0.2)


def test_memory_is_bounded_and_the_busy_are_remembered() -> None:
    pace = Pace(1.0, 3, max_keys=100)
    for n in range(10_000):
        pace.take(f"stranger {n}", 0.0)
        pace.take("busy", 0.0)
        assert len(pace) <= 100
    assert not pace.take("busy", 0.0)


@given(st.floats(0.1, 100), st.integers(1, 50), st.lists(st.floats(0, 5), min_size=1, max_size=200), st.floats(0, 1e6))
def test_never_more_than_rate_and_burst(rate: float, burst: int, gaps: list[float], start: float) -> None:
    pace = Pace(rate, burst)
    now, taken = start, 0
    for gap in gaps:
        now += gap
        taken += pace.take("x", now)
        assert taken <= burst + (now - start) * rate + 1e-3
        assert taken >= 1

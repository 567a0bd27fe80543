"""Confidence intervals, differences of paired runs, and staffing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from acd.config import Agent, Config, Queue, Team, WrapUp
from acd.simulate.arrivals import NEVER, Habits, Plan, Stream, Times
from acd.simulate.staffing import Unreachable, enlarged, find_staff, needed, service_level
from acd.simulate.statistics import difference, ratio, student, student_quantile
from acd.simulate.study import Study, compare, simulate
from tests.theory.oracles import erlang_a, erlang_c


@pytest.mark.parametrize(
    ("chance", "freedom", "t"),
    [(0.975, 1, 12.7062), (0.975, 9, 2.26216), (0.9995, 19, 3.88341), (0.95, 5, 2.01505), (0.975, 1000, 1.96234)],
)
def test_students_t_is_that_of_the_tables(chance: float, freedom: int, t: float) -> None:
    assert student_quantile(chance, freedom) == pytest.approx(t, rel=1e-5)
    assert student(t, freedom) == pytest.approx(chance, abs=1e-6)
    assert student(-t, freedom) == pytest.approx(1.0 - chance, abs=1e-6)


def test_a_mean_of_equal_denominators_has_the_textbook_interval() -> None:
    found = ratio([1.0, 2.0, 3.0, 4.0], [1.0] * 4)
    assert found.value == 2.5
    assert found.half == pytest.approx(3.18245 * 1.290994 / 2.0, rel=1e-5)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        below = generator.poisson(50, 8).astype(float)
        above = generator.binomial(below.astype(int), 0.7).astype(float)
        held += ratio(above.tolist(), below.tolist()).holds(0.7)
    assert 925 <= held <= 975


def test_one_run_has_no_interval_and_nothing_has_no_value() -> None:
    assert math.isnan(ratio([1.0], [2.0]).half)
    assert math.isnan(ratio([0.0], [0.0]).value)


def test_pairs_show_a_difference_that_would_drown_otherwise() -> None:
    chance = np.random.default_rng(2).normal(100.0, 20.0, 10)
    ones = [1.0] * 10
    better = (chance + 2.0 + np.random.default_rng(3).normal(0.0, 0.5, 10)).tolist()
    paired = difference((chance.tolist(), ones), (better, ones))
    assert paired.significant
    assert paired.p < 0.001
    assert paired.value == pytest.approx(2.0, abs=0.5)
    alone = difference((chance.tolist(), ones), (better[::-1], ones))
    assert not alone.significant


def test_the_same_is_no_difference() -> None:
    found = difference(([1.0, 2.0, 5.0], [1.0] * 3), ([1.0, 2.0, 5.0], [1.0] * 3))
    assert (found.value, found.p, found.significant) == (0.0, 1.0, False)


# ---- staffing


@pytest.mark.parametrize("load", [0.7, 1.0, 1.4])
def test_the_guess_with_patience_is_erlang_a(load: float) -> None:
    rate = load * 10 / 240.0
    found = service_level(rate, 240.0, 10, Times(mean=120.0), 20.0)
    assert found == pytest.approx(erlang_a(rate, 240.0, 10, 120.0, 20.0).within, abs=1e-4)


@pytest.mark.parametrize(("agents", "load"), [(1, 0.5), (4, 0.5), (10, 0.85), (200, 0.97)])
def test_the_guess_without_patience_is_erlang_c(agents: int, load: float) -> None:
    rate = load * agents / 240.0
    found = service_level(rate, 240.0, agents, NEVER, 20.0)
    assert found == pytest.approx(erlang_c(rate, 240.0, agents, 20.0).within, abs=1e-4)


def test_the_guess_is_the_least_number_that_suffices() -> None:
    found = needed(200.0 / 3600.0, 240.0, NEVER, 0.8, 20.0)
    assert service_level(200.0 / 3600.0, 240.0, found, NEVER, 20.0) >= 0.8
    assert service_level(200.0 / 3600.0, 240.0, found - 1, NEVER, 20.0) < 0.8
    assert needed(0.0, 240.0, NEVER, 0.8, 20.0) == 0


def team(skills: list[dict[str, int]]) -> Config:
    return Config(
        teams={"t": Team(name="t")},
        agents={f"a{n}": Agent(id=f"a{n}", team="t", skills=each, address=f"x{n}") for n, each in enumerate(skills)},
        queues={"q": Queue(name="q", team="t", wrap_up=WrapUp(after="never"))},
    )


def test_more_agents_than_there_are_have_the_same_mix_of_skills() -> None:
    config, order = enlarged(team([{"es": 50}] * 2 + [{}] * 4), 12)
    assert len(config.agents) == len(set(order)) == 12
    for count in (3, 6, 9, 12):
        assert sum("es" in config.agents[name].skills for name in order[:count]) == count // 3
    addresses = [agent.address for agent in config.agents.values() if agent.address]
    assert len(addresses) == len(set(addresses)) == 6


def study(means: list[float], runs: int = 4, days: float = 2.0) -> Study:
    return Study(Habits(Times(mean=180.0), patience=Times(mean=90.0)), Plan(3600.0, (Stream("q", tuple(means)),)), (),
                 days, runs, 1, 3600.0)  # fmt: skip


def test_staffing_reaches_the_target_with_no_agent_too_many() -> None:
    means = [0.0] * 8 + [20.0, 60.0, 40.0] + [0.0] * 13
    found = find_staff(team([{}]), study(means), 0.8, 20.0)
    assert found.met
    assert all(level.value >= 0.8 for level, mean in zip(found.levels, means, strict=True) if mean)
    assert [n for n, mean in zip(found.staff, means, strict=True) if not mean] == [0] * 21
    config, order = enlarged(team([{}]), max(found.staff))
    for at in (8, 9, 10):
        fewer = [n - (n_at == at) for n_at, n in enumerate(found.staff)]
        levels = [ratio(*each) for each in simulate(config, study(means), fewer, order).by_interval("service_level")]
        assert any(level.value < 0.8 for level in levels), at


def test_a_time_that_is_no_multiple_of_the_interval_has_a_shorter_last_one() -> None:
    found = find_staff(team([{}]), study([20.0] * 24, runs=2, days=0.15), 0.8, 20.0)
    assert len(found.staff) == len(found.guess) == len(found.levels) == 4
    counts = found.found.runs[0][""].offered
    assert 0 < counts[3] < counts[:3].mean()


def test_nobody_at_all_can_not_be_staffed() -> None:
    with pytest.raises(Unreachable, match="no agents"):
        find_staff(team([]), study([10.0]), 0.8, 20.0)


def test_a_second_configuration_meets_the_same_contacts() -> None:
    few, more = (simulate(team([{}] * n), study([60.0] * 24, days=0.5)) for n in (3, 4))
    assert few.in_all("offered")[0] == more.in_all("offered")[0]
    assert compare(few, more, "service_level").significant
    assert compare(few, few, "service_level").value == 0.0

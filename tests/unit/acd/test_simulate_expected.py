"""The expected wait held against the wait: counted by hand, and without a trace in the run."""

from __future__ import annotations

from typing import Any

import pytest

from acd.config import Agent, Config, Limit, Queue, Team, WayOut, WrapUp
from acd.facts import Record
from acd.simulate.arrivals import Contacts, Habits, Plan, Recorded, Times, constant, draw, recorded
from acd.simulate.run import run
from acd.simulate.statistics import parts
from acd.simulate.study import Study, compare, simulate
from acd.simulate.tally import ALL, Measures

SERVED = [Recorded(20.0 * n, "q") for n in range(5)]
"""So many that the queue's handling time is known, 10 s each; nobody waits."""


def config(agents: int = 1, skills: dict[str, int] | None = None, **of_queue: Any) -> Config:
    names = ("q", "other")
    return Config(
        teams={"t": Team(name="t")},
        agents={f"a{n}": Agent(id=f"a{n}", team="t", skills=skills or {}) for n in range(agents)},
        queues={name: Queue(name=name, team="t", wrap_up=WrapUp(after="never"), **of_queue) for name in names},
    )


def come(*events: Recorded) -> Contacts:
    return recorded([*SERVED, *events], Habits(Times(kind="constant", mean=10.0)), 1, 0)


def measured(rules: Config, *events: Recorded) -> dict[str, Measures]:
    return run(rules, come(*events), 3600.0, interval=3600.0, expected=True).queues


def counts(found: Measures) -> list[float]:
    """Of those who had to wait: all, with an estimate, whose wait is known, within the range."""
    return [float(each.sum()) for each in (found.lined_up, found.estimated, found.judged, found.in_range)]


def test_who_has_to_wait_is_estimated_when_it_comes_and_judged_when_it_is_answered() -> None:
    found = measured(config(), Recorded(100.0, "q"), Recorded(101.0, "q"), Recorded(102.0, "q"))
    assert counts(found["q"]) == counts(found[ALL]) == [2, 2, 2, 2]
    assert found["q"].real.sum() == pytest.approx(9.0 + 18.0)
    above, below = parts(found["q"], "estimate_bias")
    assert float(above.sum() / below.sum()) == pytest.approx(found["q"].too_long.sum() / 2)
    assert found["q"].off.sum() >= abs(found["q"].too_long.sum())


def test_before_enough_is_known_there_is_no_estimate() -> None:
    habits = Habits(Times(kind="constant", mean=10.0))
    found = run(config(), recorded([Recorded(0.0, "q"), Recorded(1.0, "q")], habits, 1, 0), 60.0, expected=True)
    assert counts(found.queues["q"]) == [1, 0, 0, 0]


def test_a_wait_out_of_the_range_is_missed_by_as_much() -> None:
    long = Recorded(100.0, "q", talk=100.0)
    found = measured(config(), long, Recorded(101.0, "q"))
    assert counts(found["q"]) == [1, 1, 1, 0]
    assert found["q"].off.sum() == -found["q"].too_long.sum() > 70.0


@pytest.mark.parametrize("later", [True, False])
def test_who_gives_up_is_judged_by_the_wait_that_it_would_have_had(later: bool) -> None:
    """Until somebody after it is answered, or the agent has nothing to do."""
    more = [Recorded(103.0, "q")] if later else []
    events = (Recorded(100.0, "q"), Recorded(101.0, "q"), Recorded(102.0, "q", patience=5.0), *more)
    found = measured(config(), *events)
    assert counts(found["q"])[2] == 2 + later
    assert found["q"].real.sum() == pytest.approx(9.0 + 18.0 + (17.0 if later else 0.0))


def test_an_agent_who_could_not_have_served_who_gave_up_does_not_judge_it() -> None:
    """Agent a1, who is free at 111, has no skill; a0, who has it, talks from 100 to 600."""
    rules = config(1, {"es": 1})
    rules = Config(teams=rules.teams, agents=rules.agents | {"a1": Agent(id="a1", team="t")}, queues=rules.queues)
    found = measured(
        rules,
        Recorded(100.0, "q", needs="es", talk=500.0),
        Recorded(101.0, "q"),
        Recorded(102.0, "q", needs="es", patience=5.0),
        Recorded(103.0, "q"),
    )
    assert counts(found["q"])[:3] == [2, 2, 2]
    assert found["q"].real.sum() == pytest.approx(498.0 + 8.0)


def test_who_goes_elsewhere_is_judged_by_nothing() -> None:
    away = Limit(of="waited", value=5.0, to=WayOut(kind="voicemail"))
    found = measured(config(limits=(away,)), Recorded(100.0, "q"), Recorded(101.0, "q"))
    assert counts(found["q"]) == [1, 1, 0, 0]


def test_who_flows_over_is_estimated_anew() -> None:
    over = Limit(of="waited", value=5.0, to=WayOut(kind="queue", name="other"))
    rules = config(limits=(over,))
    rules = Config(teams=rules.teams, agents=rules.agents, queues=rules.queues | {"other": config().queues["other"]})
    found = measured(rules, Recorded(100.0, "q"), Recorded(101.0, "q"))
    assert counts(found["q"])[:3] == [1, 1, 0]
    assert counts(found["other"])[:2] == [1, 0], "it has handled nobody yet"


def test_estimates_leave_no_trace_in_the_run() -> None:
    rules = config(3)
    plan = Plan(3600.0, (constant(70.0, 3600.0, "q", "es or not es"), constant(40.0, 3600.0, "other")))
    habits = Habits(Times(mean=90.0), patience=Times(mean=100.0))
    contacts = draw(plan, habits, 0.25, 1, 0)
    seen: list[list[Record]] = []
    for expected in (False, True):
        records: list[Record] = []
        run(rules, contacts, 21_600.0, watch=records.extend, expected=expected)
        seen.append(records)
    assert seen[0] == seen[1]


def test_studies_measure_it_and_compare_it() -> None:
    plan = Plan(1800.0, (constant(70.0, 1800.0, "q"),))
    study = Study(Habits(Times(mean=90.0)), plan, days=0.25, runs=3)
    found = simulate(config(2), study)
    held = found.total("estimate_held")
    assert 0.5 < held.value < 1.0
    assert held.low < held.value < held.high
    assert found.total("estimate_known").value > 0.9
    assert found.total("estimate_error").value >= abs(found.total("estimate_bias").value)
    assert compare(found, found, "estimate_bias").value == 0.0

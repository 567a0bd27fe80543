"""The ACD engine against its model: 50,000 steps by hypothesis, and as many by lot, which favours a busy floor."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.stateful import run_state_machine_as_test

import acd.deadlines
from acd import inputs as i
from acd.config import Config
from tests.property.acd_configs import AGENTS, NEEDS, QUEUES, configs
from tests.property.acd_model import NONSENSE, Acd
from tests.searches import shard_of

SHARDS = 5
EXAMPLES = 130  # of STEPS at most each, in each shard: more than 50,000 steps, some sequences being shorter
STEPS = 100
LOTS = 12
LOT_STEPS = 4_000

ALWAYS = list(HealthCheck)


@pytest.fixture(autouse=True)
def deadlines_are_looked_through_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acd.deadlines, "SPARE", 5)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_agents_and_contacts_meet_as_the_model_says(shard: int) -> None:
    run_state_machine_as_test(
        shard_of(Acd, shard),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=ALWAYS,
        ),
    )


WEIGHTS = {
    "time_passes": 8.0,
    "time_passes_unnoticed": 1.0,
    "clock_jumps_back": 1.0,
    "the_engine_dies_and_another_goes_on": 0.3,
    "sign_in": 4.0,
    "sign_out": 2.0,
    "ready": 8.0,
    "pause": 3.0,
    "set_mode": 1.0,
    "extend": 1.0,
    "telephone": 2.0,
    "direct_call": 2.0,
    "arrive": 6.0,
    "arrive_plainly": 8.0,
    "arrive_again": 1.0,
    "hang_up": 4.0,
    "press": 2.0,
    "answered": 3.0,
    "accept": 14.0,
    "decline": 3.0,
    "answer_something": 1.0,
    "finish": 8.0,
    "hold_or_consult": 4.0,
    "take": 2.0,
    "pick_up": 1.0,
    "wants_to_be_called": 1.0,
    "wants_to_be_called_by": 1.0,
    "would_rather_wait": 1.0,
    "wants_it_no_more": 0.3,
    "customer": 4.0,
    "told_for_the_figures": 1.0,
    "nonsense": 0.5,
    "reload": 0.15,
}
"""How often each rule is drawn: as on a floor where calls are answered."""


def arguments(lot: Random, pool: list[Config], name: str) -> tuple[Any, ...]:
    """Of a rule, by lot."""
    which, agent = lot.randrange(10_000), lot.choice(AGENTS)
    of: dict[str, tuple[Any, ...]] = {
        "time_passes": (lot.choice([1.0, 5.0, 20.0, 60.0]),),
        "time_passes_unnoticed": (lot.choice([1.0, 20.0]),),
        "sign_in": (which, lot.choice(["", "", "inbound", "both"]), lot.choice(["", "a0"])),
        "ready": (which, lot.choice(["", "a0", "a1"])),
        "pause": (agent, lot.choice([0.0, 5.0])),
        "set_mode": (agent, lot.choice(["inbound", "outbound", "both"])),
        "extend": (which, lot.choice([1.0, 100.0])),
        "telephone": (agent, lot.random() < 0.7),
        "direct_call": (agent,),
        "arrive": (
            lot.choice(QUEUES),
            lot.choice(["", "7", "8"]),
            lot.choice(list(NEEDS)),
            lot.choice([0.0, 1.0, -2.0]),
            lot.choice(["", *AGENTS]),
            lot.choice(["call", "call", "call", "reservation"]),
        ),
        "arrive_plainly": (lot.choice(["sales", "support"]), which),
        "arrive_again": (which, lot.choice(QUEUES)),
        "press": (which, lot.choice(["1", "2"])),
        "decline": (which, lot.choice([i.Reject, i.Unreachable])),
        "answer_something": (which % 60, lot.choice([i.Accept, i.Reject])),
        "finish": (which, lot.choice(["hangup", "hangup", "blind_transfer", "queue_transfer"])),
        "hold_or_consult": (which, lot.choice([i.Hold, i.Consult]), lot.random() < 0.6),
        "take": (which, agent),
        "pick_up": (which, agent),
        "wants_to_be_called": (which, lot.choice(["7", "9"]), lot.choice([0.0, 0.0, 1_200.0])),
        "wants_to_be_called_by": (lot.choice(QUEUES), lot.choice(["", *AGENTS]), which % 99),
        "would_rather_wait": (which, lot.choice(QUEUES)),
        "customer": (which, lot.choice(["answered", "answered", "busy", "no_answer"])),
        "told_for_the_figures": (which, lot.choice(["csat", "nps", "attempt", "dialled"])),
        "nonsense": (lot.choice(NONSENSE),),
        "reload": (lot.choice(pool),),
        "clock_jumps_back": (),
        "the_engine_dies_and_another_goes_on": (),
    }
    return of.get(name, (which,))


@pytest.fixture(scope="module")
def pool() -> list[Config]:
    """Configurations to draw from."""
    found: list[Config] = []

    @seed(1)
    @settings(max_examples=60, database=None, deadline=None, suppress_health_check=ALWAYS, phases=[Phase.generate])
    @given(config=configs())
    def collect(config: Config) -> None:
        found.append(config)

    collect()
    return found


@pytest.mark.parametrize("lot", range(LOTS))
def test_by_lot(lot: int, pool: list[Config]) -> None:
    """A hundred and more configurations in turn, each for a while; hypothesis seldom gets agents into calls."""
    random = Random(lot)
    for _ in range(LOT_STEPS // 400):
        machine = Acd()
        begin = Acd.begin.hypothesis_stateful_initialize_rule  # type: ignore[attr-defined]
        begin.function(machine, random.choice(pool), random.sample(AGENTS, 4))
        done: list[tuple[str, tuple[Any, ...]]] = []
        try:
            for _ in range(400):
                [name] = random.choices(list(WEIGHTS), list(WEIGHTS.values()))
                chosen = getattr(Acd, name).hypothesis_stateful_rule
                if all(ok(machine) for ok in chosen.preconditions):
                    done.append((name, arguments(random, pool, name)))
                    chosen.function(machine, *done[-1][1])
                    machine.check_invariants_now()
            machine.teardown()
        except AssertionError as error:
            raise AssertionError(f"{error}\nlast steps: {done[-5:]}") from error

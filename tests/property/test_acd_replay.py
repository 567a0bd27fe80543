"""Under its own rules a recorded day comes out as it was, contact by contact, whatever the rules and whatever people
did."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from acd.config import Config
from acd.simulate.course import Course, Part
from acd.simulate.whatif import read, what_if
from acd.simulate.why import Words
from tests.property.acd_configs import configs
from tests.property.acd_day import MONDAY, Day

CONFIGS = 24
SHARDS = 4
SECONDS = 1_800.0
EXACT = 1e-6
"""Seconds."""


@pytest.fixture(scope="module")
def pool() -> list[Config]:
    """Configurations to draw from."""
    found: list[Config] = []

    @seed(2)
    @settings(
        max_examples=CONFIGS, database=None, deadline=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(config=configs())
    def collect(config: Config) -> None:
        found.append(config)

    collect()
    return found


@pytest.mark.parametrize("shard", range(SHARDS))
def test_each_contact_fares_as_it_did(shard: int, pool: list[Config]) -> None:
    for number in range(shard, len(pool), SHARDS):
        config = pool[number]
        was = read(Day(config, number, SECONDS, polite=draws_lots(config)).records)
        if was.parts:
            found = what_if(was, config)
            assert differences(was, found.now) == [], number
            assert found.changes == []


def test_under_other_rules_each_contact_has_a_fate_and_each_change_a_reason(pool: list[Config]) -> None:
    for number, (config, other) in enumerate(pairwise(pool)):
        was = read(Day(config, number, SECONDS / 2.0).records)
        if was.parts:
            found = what_if(was, other)
            assert found.now.parts.keys() <= was.parts.keys()
            assert all(part.entered.queue in other.queues for part in found.now.parts.values())
            missing = [was.parts[name] for name in was.parts.keys() - found.now.parts.keys()]
            assert all(part.entered.queue not in other.queues for part in missing)
            words = Words(found, lambda time: f"{time - MONDAY:.0f}")
            assert all(words.why(change).startswith(f"contact {change.was.id} ") for change in found.changes)


def draws_lots(config: Config) -> bool:
    """A lot is drawn by the number of the record, and so hangs on everything that was told before."""
    return any(queue.strategy == "weighted_random" for queue in config.queues.values())


def differences(was: Course, now: Course) -> list[str]:
    """Contacts that fared otherwise, callbacks among them, the first one first."""
    parts = sorted([*was.parts.values(), *was.called.values()], key=lambda part: part.came)
    then = now.parts | now.called
    return [f"{each}, now {then.get(each.id)}" for each in parts if not same(each, then.get(each.id), was.ended)]


def same(was: Part, now: Part | None, end: float) -> bool:
    """In everything that people notice, up to the end of the journal."""
    if was.entered.kind == "callback" and not was.agent:
        return now is None or not now.agent or now.answered > end - EXACT
    if now is None:
        return False
    if was.fate == "waiting":
        return now.fate == "waiting" or now.came + now.waited > end - EXACT
    return (was.fate, was.agent, was.queue) == (now.fate, now.agent, now.queue) and math.isclose(
        was.waited, now.waited, abs_tol=EXACT
    )

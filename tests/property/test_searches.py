"""Shards of a state machine search from different beginnings, and each from the same one each time."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.searches import shard_of

FEW = settings(max_examples=20, stateful_step_count=5, database=None)
drawn: list[int] = []


class Draws(RuleBasedStateMachine):
    """It notes what it is given."""

    @rule(number=st.integers(0, 10**9))
    def draws(self, number: int) -> None:
        drawn.append(number)


def of_shard(shard: int) -> list[int]:
    drawn.clear()
    run_state_machine_as_test(shard_of(Draws, shard), settings=FEW)  # type: ignore[no-untyped-call]
    return list(drawn)


def test_shards() -> None:
    first = of_shard(0)
    assert len(first) > 20
    assert of_shard(1) != first
    if settings.default is not None and settings.default.derandomize:
        assert of_shard(0) == first

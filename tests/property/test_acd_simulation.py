"""The simulator plays people against whatever configuration: nobody is lost, and the day replays as it was."""

from __future__ import annotations

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acd.config import Config
from acd.facts import Record
from acd.simulate.arrivals import Habits, Plan, Stream, Times, draw
from acd.simulate.run import run
from acd.simulate.tally import ALL
from acd.simulate.whatif import read, what_if
from acd.simulate.why import Words
from tests.property.test_acd import NEEDS, configs

SECONDS = 1800.0


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(rules=configs(), other=configs(), needs=st.sampled_from(list(NEEDS)), wraps_up=st.booleans())
def test_every_contact_is_counted_once_and_every_change_is_told(
    rules: Config, other: Config, needs: str, wraps_up: bool
) -> None:
    plan = Plan(SECONDS, tuple(Stream(name, (8.0,), needs, talk=None) for name in rules.queues))
    who = Habits(
        Times(mean=60.0),
        Times(mean=8.0) if wraps_up else None,
        Times(mean=90.0),
        Times(kind="lognormal", mean=4.0),
    )
    contacts = draw(plan, who, SECONDS / 86_400.0, 1, 0)
    records: list[Record] = []
    result = run(rules, contacts, SECONDS, interval=600.0, watch=records.extend)
    found = result.queues[ALL]
    assert found.offered.sum() == len(contacts.id)
    assert found.answered.sum() + found.abandoned.sum() + found.out.sum() + result.left == len(contacts.id)
    assert found.answered.sum() == sum(wait >= 0.0 for wait in result.waits)
    assert (found.handling + found.idle).max() <= 600.0 * len(rules.agents) + 1e-6
    if contacts.id:
        was = read(records)
        later = what_if(was, other)
        words = Words(later, lambda time: f"{time % 86_400:.0f}")
        assert all(words.why(each) for each in later.changes)
        assert len(later.was.parts) == len(contacts.id)
        assert not math.isnan(sum(part.came for part in later.now.parts.values()))

"""One run of the simulator: who comes, who answers, what is counted."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from acd import facts as f
from acd.config import Agent, CallbackRules, Config, Limit, Queue, Team, WayOut, WrapUp
from acd.simulate.arrivals import (
    MONDAY,
    Habits,
    Plan,
    Recorded,
    Stream,
    Times,
    constant,
    draw,
    recorded,
    shared,
)
from acd.simulate.run import Result, run
from acd.simulate.tally import ALL, Tally

NO_WRAP_UP = WrapUp(after="never")


def config(agents: int = 1, *more: Queue, **of_queue: Any) -> Config:
    queue = Queue(**{"name": "q", "team": "t", "wrap_up": NO_WRAP_UP, **of_queue})
    return Config(
        teams={"t": Team(name="t")},
        agents={f"a{n}": Agent(id=f"a{n}", team="t") for n in range(agents)},
        queues={each.name: each for each in (queue, *more)},
    )


def habits(talk: float = 10.0, wrap_up: float | None = None, ring: float = 0.0) -> Habits:
    return Habits(
        Times(kind="constant", mean=talk),
        None if wrap_up is None else Times(kind="constant", mean=wrap_up),
        ring=Times(kind="constant", mean=ring),
    )


def play(rules: Config, who: Habits, *events: Recorded, seconds: float = 3600.0, **more: Any) -> Result:
    return run(rules, recorded(events, who, 1, 0), seconds, interval=more.pop("interval", seconds), **more)


def come(*times: float, **of_all: Any) -> list[Recorded]:
    return [Recorded(at, "q", **of_all) for at in times]


# ---- arrivals


def test_runs_are_the_same_by_seed_and_number() -> None:
    plan, who = Plan(1800.0, (constant(100.0, 1800.0, "q"),)), Habits(Times(mean=60.0))
    assert draw(plan, who, 1, 5, 0) == draw(plan, who, 1, 5, 0)
    assert draw(plan, who, 1, 5, 0).time != draw(plan, who, 1, 5, 1).time
    assert draw(plan, who, 1, 5, 0).time != draw(plan, who, 1, 6, 0).time


def test_what_is_drawn_for_one_purpose_does_not_move_the_others() -> None:
    plan = Plan(1800.0, (constant(100.0, 1800.0, "q"),))
    one = draw(plan, Habits(Times(mean=60.0)), 1, 5, 0)
    other = draw(plan, Habits(Times(mean=60.0), Times(mean=5.0), Times(kind="lognormal", mean=9.0)), 1, 5, 0)
    assert one.time == other.time
    assert one.talk == other.talk
    assert one.patience != other.patience


def test_contacts_come_as_often_as_each_interval_says_and_begin_anew_when_the_plan_ends() -> None:
    plan = Plan(3600.0, (Stream("q", tuple([0.0] * 9 + [5000.0] + [0.0] * 14)),))
    times = np.array(draw(plan, Habits(Times(mean=1.0)), 2, 1, 0).time) - MONDAY
    hours = (times // 3600).astype(int)
    assert set(hours) == {9, 33}
    assert (hours == 9).sum() == pytest.approx(5000, abs=5 * math.sqrt(5000))
    assert times.tolist() == sorted(times)


def test_a_share_of_a_stream_has_the_skill_and_no_contact_is_lost() -> None:
    stream = Stream("q", (100.0,), needs="es")
    with_it, without = shared(stream, "fr>=50 or de", 0.25)
    assert (with_it.means, without.means) == ((25.0,), (75.0,))
    assert (with_it.needs, without.needs) == ("(es) and (fr>=50 or de)", "es")
    with pytest.raises(ValueError, match="0 to 1"):
        shared(stream, "fr", 1.5)


@pytest.mark.parametrize(
    "times",
    [Times(mean=100.0), Times(kind="lognormal", mean=100.0, spread=0.5), Times(kind="empirical", values=(50.0, 150.0))],
)
def test_times_have_the_mean_that_they_should(times: Times) -> None:
    drawn = np.array(times.draw(np.random.default_rng(1), 40_000))
    assert drawn.mean() == pytest.approx(100.0, abs=5 * drawn.std() / 200)
    assert times.average == 100.0
    if times.kind == "lognormal":
        assert drawn.std() / drawn.mean() == pytest.approx(0.5, abs=0.02)


def test_more_contacts_than_memory_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        draw(Plan(1800.0, (constant(1e7, 1800.0, "q"),)), habits(), 10, 1, 0)


# ---- one run, counted by hand


def test_contacts_wait_for_the_one_agent_in_turn() -> None:
    result = play(config(), habits(talk=10.0), *come(0.0, 4.0, 5.0, 100.0))
    assert result.waits == [0.0, 6.0, 15.0, 0.0]
    found = result.queues[ALL]
    assert (found.offered.sum(), found.answered.sum(), found.waits.sum()) == (4, 4, 21)
    assert (found.handling.sum(), found.idle.sum()) == (40, 3560)


def test_telephones_ring_before_they_are_answered() -> None:
    result = play(config(), habits(talk=10.0, ring=3.0), *come(0.0, 4.0))
    assert result.waits == pytest.approx([3.0, 12.0])
    assert result.queues[ALL].handling.sum() == 20


def test_agents_are_not_ready_while_they_wrap_up() -> None:
    result = play(config(wrap_up=WrapUp(ends="manual")), habits(talk=10.0, wrap_up=5.0), *come(0.0, 4.0))
    assert result.waits == [0.0, 11.0]
    assert result.queues[ALL].handling.sum() == 30


def test_wrap_up_by_time_goes_by_the_rule_where_nothing_else_is_said() -> None:
    assert play(config(wrap_up=WrapUp(seconds=7.0)), habits(), *come(0.0, 4.0)).waits == [0.0, 13.0]


def test_who_goes_through_too_many_queues_is_out() -> None:
    there, back = (Limit(of="waited", value=1.0, to=WayOut(kind="queue", name=to)) for to in ("other", "q"))
    result = play(config(1, Queue(name="other", team="t", limits=(back,)), limits=(there,)), habits(60.0), *come(0, 1))
    assert result.left == 0
    found = result.queues[ALL]
    assert (found.offered.sum(), found.answered.sum(), found.out.sum()) == (2, 1, 1)


def test_a_strict_rule_is_not_cut_short() -> None:
    rule = WrapUp(ends="timeboxed_strict", seconds=7.0)
    result = play(config(wrap_up=rule), habits(wrap_up=1.0), *come(0.0, 4.0))
    assert result.waits == [0.0, 13.0]
    assert not result.refused


def test_callers_give_up_when_their_patience_is_over() -> None:
    result = play(config(), habits(talk=60.0), *come(0.0), *come(1.0, patience=20.0), *come(2.0, patience=3.0))
    assert result.waits == [0.0, -21.0, -4.0]
    found = result.queues["q"]
    assert (found.abandoned.sum(), found.short.sum(), found.answered.sum()) == (2, 1, 1)


def test_an_agent_who_missed_an_offer_is_back_after_a_while() -> None:
    records: list[f.Record] = []
    rules, who = config(ring_seconds=5.0, skip=0.0), habits(ring=9.0)
    result = play(rules, who, *come(0.0, patience=50.0), back=30.0, watch=records.extend)
    assert result.waits == [-51.0]
    offered = [record.time - MONDAY for record in records if isinstance(record.what, f.Offered)]
    assert offered == [0.0, 35.0]


def test_overflow_counts_in_both_queues_and_once_in_all() -> None:
    limit = Limit(of="waited", value=10.0, to=WayOut(kind="queue", name="other"))
    other = Queue(name="other", team="t", wrap_up=NO_WRAP_UP)
    result = play(config(1, other, limits=(limit,)), habits(talk=60.0), *come(0.0, 1.0))
    assert [result.queues[name].offered.sum() for name in ("q", "other", ALL)] == [2, 1, 2]
    assert [result.queues[name].out.sum() for name in ("q", ALL)] == [1, 0]
    assert result.queues[ALL].answered.sum() == 2
    assert result.waits == [0.0, 59.0]


def test_a_way_out_ends_a_contact() -> None:
    limit = Limit(of="waited", value=10.0, to=WayOut(kind="voicemail", name="box"))
    result = play(config(limits=(limit,)), habits(talk=60.0), *come(0.0, 1.0))
    assert result.queues[ALL].out.sum() == 1
    assert math.isnan(result.waits[1])
    assert not result.left


def test_what_the_engine_refuses_is_told() -> None:
    result = play(config(), habits(), Recorded(1.0, "nowhere"), *come(2.0))
    assert result.refused == ["there is no queue 'nowhere'"]
    assert (result.queues[ALL].out.sum(), result.queues[ALL].answered.sum()) == (1, 1)


def test_who_is_never_served_is_counted_at_the_end() -> None:
    result = play(msgspec.structs.replace(config(), agents={}), habits(), *come(0.0, 1.0))
    assert result.left == 2


def test_agents_come_and_go_by_interval_and_finish_what_they_have() -> None:
    result = play(
        config(2), habits(talk=100.0), *come(50.0, 60.0, 110.0, 210.0), seconds=300.0, interval=100.0, staff=[2, 1, 2]
    )
    assert result.waits == [0.0, 0.0, 40.0, 0.0]
    found = result.queues[ALL]
    assert found.handling.tolist() == [90.0, 160.0, 140.0]
    assert found.idle.tolist() == [110.0, 0.0, 60.0]


def test_an_agent_who_is_to_go_while_it_wraps_up_comes_back_when_it_is_to() -> None:
    rules, who = config(wrap_up=WrapUp(ends="manual")), habits(talk=20.0, wrap_up=100.0)
    result = play(rules, who, *come(90.0, 250.0), seconds=300.0, interval=100.0, staff=[1, 0, 1])
    assert result.waits == [0.0, 0.0]
    assert result.queues[ALL].idle.tolist() == [90.0, 0.0, 40.0]


def test_the_beginning_is_not_counted_where_it_is_left_out() -> None:
    result = play(config(), habits(talk=10.0), *come(0.0, 40.0, 60.0), seconds=100.0, interval=50.0, warm_up=50.0)
    found = result.queues[ALL]
    assert found.offered.tolist() == [1.0]
    assert (found.handling.tolist(), found.idle.tolist()) == ([10.0], [40.0])


def test_the_same_contacts_give_the_same_journal() -> None:
    def journal() -> bytes:
        records: list[f.Record] = []
        plan = Plan(1800.0, (constant(60.0, 1800.0, "q"),))
        contacts = draw(plan, Habits(Times(mean=200.0), patience=Times(mean=60.0)), 0.2, 3, 0)
        run(config(3), contacts, 17280.0, watch=records.extend)
        return msgspec.msgpack.encode(records)

    assert journal() == journal()


def test_time_is_spread_over_the_intervals_that_it_lies_in() -> None:
    tally = Tally(1000.0, 1030.0, 10.0)
    for state, at in (("ready", 990.0), ("talking", 1005.0), ("paused", 1022.0), ("wrap_up", 1029.0)):
        tally.agent("a", state, at)  # type: ignore[arg-type]
    found = tally.close()[ALL]
    assert found.idle.tolist() == [5.0, 0.0, 0.0]
    assert found.handling.tolist() == [5.0, 10.0, 3.0]


# ---- callers who are sent to a callback


@pytest.mark.parametrize("first", ["agent", "customer"])
def test_who_is_sent_to_a_callback_is_called_back_and_takes_an_agents_time(first: Any) -> None:
    limit = Limit(of="length", value=1.0, to=WayOut(kind="callback"))
    rules = config(limits=(limit,), callback=CallbackRules(first=first))
    records: list[f.Record] = []
    result = play(rules, habits(talk=100.0), *come(0.0, 10.0, 20.0, 30.0), asks=True, watch=records.extend)
    facts = [record.what for record in records]
    assert [each.how for each in facts if isinstance(each, f.CallbackEnded)] == ["answered", "answered"]
    assert result.refused == []
    all_ = result.queues[ALL]
    assert (all_.offered.sum(), all_.answered.sum(), all_.out.sum()) == (4.0, 2.0, 2.0), "KPIs are those of callers"
    dialled = 10.0 if first == "agent" else 0.0
    assert all_.handling.sum() == 4 * 100.0 + 2 * dialled
    assert result.left == 0


def test_nobody_asks_for_a_callback_of_whom_a_journal_says_what_it_did() -> None:
    limit = Limit(of="length", value=1.0, to=WayOut(kind="callback"))
    rules = config(limits=(limit,), callback=CallbackRules())
    result = play(rules, habits(talk=100.0), *come(0.0, 10.0, 20.0))
    assert result.queues[ALL].handling.sum() == 200.0


def test_who_gives_up_easily_on_the_line_is_called_back_all_the_same() -> None:
    limit = Limit(of="length", value=1.0, to=WayOut(kind="callback"))
    rules = config(limits=(limit,), callback=CallbackRules())
    events = [Recorded(0.0, "q"), Recorded(10.0, "q"), Recorded(20.0, "q", patience=30.0)]
    result = play(rules, habits(talk=100.0), *events, asks=True)
    assert (result.queues[ALL].handling.sum(), result.refused) == (310.0, [])

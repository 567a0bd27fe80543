"""A recorded day under other rules: what is taken of the journal, what differs, and why."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec
import pytest

from acd import inputs as i
from acd.config import Agent, CallbackRules, Config, Group, Limit, Queue, Relax, Team, WayOut, WrapUp
from acd.effects import Offer
from acd.engine import Engine, Outcome
from acd.facts import Record
from acd.simulate.arrivals import Call, Habits, Plan, Times, constant, draw
from acd.simulate.course import Course
from acd.simulate.run import run
from acd.simulate.whatif import MAX_ATTEMPTS, WhatIf, contacts_of, mean_patience, read, totals, what_if
from acd.simulate.why import Words

WORK = {"a0": ("g",), "a1": ("g", "h"), "a2": ("h",)}


def config(groups: tuple[str, ...] = ("g",), team: dict[str, Any] | None = None, **of_queue: Any) -> Config:
    names = ("sales", "support")
    return Config(
        teams={"t": Team(name="t", **(team or {}))},
        groups={name: Group(name=name, team="t") for name in "gh"},
        agents={
            name: Agent(id=name, team="t", groups=of, skills={"es": 80} if name == "a0" else {})
            for name, of in WORK.items()
        },
        queues={
            name: Queue(
                **{
                    "name": name,
                    "team": "t",
                    "groups": groups if name == "sales" else ("h",),
                    "wrap_up": WrapUp(ends="manual"),
                    **of_queue,
                }
            )
            for name in names
        },
    )


def simulated_day(rules: Config) -> list[Record]:
    records: list[Record] = []
    plan = Plan(3600.0, (constant(25.0, 3600.0, "sales"), constant(20.0, 3600.0, "support")))
    who = Habits(
        Times(mean=150.0), Times(mean=30.0), Times(mean=80.0), Times(kind="lognormal", mean=6.0, spread=1.0)
    )  # fmt: skip
    run(rules, draw(plan, who, 0.5, 1, 0), 43_200.0, watch=records.extend)
    return records


def told(rules: Config, *steps: tuple[float, i.AnyInput]) -> list[Record]:
    """A journal of what is told at these times, offers being accepted at once."""
    engine = Engine()
    records: list[Record] = []

    def accept(outcome: Outcome, at: float) -> None:
        records.extend(outcome.records)
        for effect in outcome.effects:
            if isinstance(effect, Offer):
                records.extend(engine.handle(i.Accept(effect.offer), at).records)

    for at, what in [(0.0, i.Configure(rules)), *steps]:
        while (due := engine.next_deadline) is not None and due < 1e9 + at:
            accept(engine.tick(due), due)
        accept(engine.handle(what, 1e9 + at), 1e9 + at)
    return records


def words(found: WhatIf) -> list[str]:
    explain = Words(found, lambda time: f"{time - 1e9:.0f}")
    return [explain.why(each) for each in found.changes]


@pytest.mark.parametrize("team", [{"misses": 0}, {"misses": 2}])
def test_a_day_under_its_own_rules_is_the_same_day(team: dict[str, Any]) -> None:
    rules = config(team=team, skip=5.0)
    was = read(simulated_day(rules))
    found = what_if(was, rules)
    assert len(was.parts) > 400
    assert sum(part.fate == "abandoned" for part in was.parts.values()) > 30
    assert found.changes == []
    assert totals(found.was, was.ended) == pytest.approx(totals(found.now, was.ended), rel=1e-6)


def test_other_rules_change_the_fate_of_contacts() -> None:
    was = read(simulated_day(config()))
    found = what_if(was, config(groups=("g", "h")))
    before, after = totals(found.was, was.ended), totals(found.now, was.ended)
    assert after.contacts == before.contacts
    assert after.service_level > before.service_level
    fates = [each.was.fate == each.now.fate for each in found.changes]
    assert fates == sorted(fates), "another fate is graver than another wait"
    assert len(words(found)) == len(found.changes)


def busy(*steps: tuple[float, i.AnyInput], rules: Config | None = None) -> list[Record]:
    """Agent a0 talks to c1 from 10 on, c2 comes at 20 and is served at 55, all others being away."""
    usual: tuple[tuple[float, i.AnyInput], ...] = (
        (0.0, i.SignIn("a0", "x0")),
        (10.0, i.Enqueue("c1", "sales")),
        (20.0, i.Enqueue("c2", "sales")),
        (50.0, i.Finish("c1", "a0")),
        (55.0, i.Ready("a0")),
        (100.0, i.Finish("c2", "a0")),
        (103.0, i.Ready("a0")),
    )
    return told(rules or config(), *sorted((*usual, *steps), key=lambda step: step[0]))


def test_what_agents_did_and_how_long_it_took_is_taken_of_the_journal() -> None:
    contacts = contacts_of(read(busy()), seed=1)
    assert contacts.id == ["c1", "c2"]
    assert contacts.talk == [40.0, 45.0]
    assert contacts.wrap_up == [5.0, 3.0]
    assert contacts.patience == [math.inf, math.inf]
    found = what_if(read(busy()), config())
    assert [part.waited for part in found.now.parts.values()] == pytest.approx([0.0, 35.0])


def test_an_agent_who_serves_the_queue_by_other_rules_shortens_a_wait_and_it_is_told_why() -> None:
    found = what_if(read(busy((0.0, i.SignIn("a2", "x2")))), config(groups=("g", "h"), strategy="fixed_order"))
    assert words(found) == [
        "contact c2 (sales, 20) waited 0 s instead of 35 s: agent a2, to whom it was offered at 20 under these rules, "
        "was ready, but did not serve sales in the journal, where a0 answered at 55."
    ]


def test_skills_that_are_wanting_are_named() -> None:
    rules = config(groups=("g", "h"), relax=(Relax(after=300.0, needs=""),), needs="es>=50")
    found = what_if(read(busy((0.0, i.SignIn("a2", "x2")), rules=rules)), config(groups=("g", "h")))
    assert "agent a2" in words(found)[0]
    assert "was ready, but lacked the skills: es>=50 in the journal" in words(found)[0]


def test_who_is_busy_by_other_rules_lengthens_a_wait() -> None:
    journal = told(
        config(),
        (0.0, i.SignIn("a1", "x1")),
        (10.0, i.Enqueue("c1", "support")),
        (12.0, i.Enqueue("c2", "sales")),
        (30.0, i.Finish("c1", "a1")),
        (31.0, i.Ready("a1")),
        (90.0, i.Finish("c2", "a1")),
        (91.0, i.Enqueue("c3", "sales")),
        (92.0, i.Ready("a1")),
        (95.0, i.Finish("c3", "a1")),
        (96.0, i.Ready("a1")),
    )
    slow = config(wrap_up=WrapUp(ends="timeboxed_strict", seconds=20.0))
    found = what_if(read(journal), slow)
    late, later = words(found)
    assert late == (
        "contact c3 (sales, 91) waited 38 s instead of 1 s: agent a1, to whom it was offered at 92 in the journal, "
        "was talking to contact c2 (sales) from 50 on under these rules."
    )
    assert later == (
        "contact c2 (sales, 12) waited 38 s instead of 19 s: agent a1, to whom it was offered at 31 in the journal, "
        "was wrapping up contact c1 (support) from 30 on under these rules."
    )


def test_a_wrap_up_that_ended_by_time_ends_by_the_time_of_the_other_rules() -> None:
    journal = told(
        config(wrap_up=WrapUp(seconds=20.0)),
        (0.0, i.SignIn("a0", "x0")),
        (10.0, i.Enqueue("c1", "sales")),
        (20.0, i.Enqueue("c2", "sales")),
        (50.0, i.Finish("c1", "a0")),
        (80.0, i.Finish("c2", "a0")),
    )
    found = what_if(read(journal), config(wrap_up=WrapUp(seconds=45.0)))
    assert [(each.was.waited, each.now.waited) for each in found.changes] == [(50.0, 75.0)]


def test_pauses_are_taken_of_the_journal() -> None:
    found = what_if(
        read(busy((1.0, i.SignIn("a1", "x1")), (2.0, i.Pause("a1", "lunch")), (30.0, i.Ready("a1")))), config()
    )
    assert found.changes == []
    assert [each.state for each in found.now.agents["a1"]][:3] == ["ready", "paused", "ready"]


def test_an_agent_of_the_new_rules_alone_is_there_all_day() -> None:
    rules = config()
    more = msgspec.structs.replace(rules, agents=rules.agents | {"new": Agent(id="new", team="t", groups=("g",))})
    found = what_if(read(busy()), more)
    assert (
        "agent new, to whom it was offered at 20 under these rules, was not signed in in the journal" in words(found)[0]
    )


def test_a_queue_that_is_not_there_takes_nobody() -> None:
    rules = config()
    less = msgspec.structs.replace(rules, queues={"support": rules.queues["support"]})
    found = what_if(read(busy()), less)
    assert words(found) == [
        "contact c2 (sales, 20) came into a queue that is not there instead of an answer after 35 s.",
        "contact c1 (sales, 10) came into a queue that is not there instead of an answer after 0 s.",
    ]


def test_patience_is_estimated_from_those_who_were_answered_too() -> None:
    journal = told(
        config(),
        (0.0, i.Enqueue("c1", "sales")),
        (10.0, i.Enqueue("c2", "sales")),
        (30.0, i.HangUp("c1")),
        (40.0, i.SignIn("a0", "x0")),
        (50.0, i.Finish("c2", "a0")),
    )
    assert mean_patience(read(journal)) == 60.0
    contacts = contacts_of(read(journal), seed=1)
    assert contacts.patience[0] == 30.0
    assert contacts.patience[1] > 30.0


def test_what_was_refused_is_not_taken_for_a_contact_or_an_order() -> None:
    was = read(busy((1.0, i.SignIn("a0", "x0")), (11.0, i.Enqueue("c1", "sales")), (12.0, i.Enqueue("c9", "nowhere"))))
    assert list(was.parts) == ["c1", "c2"]
    assert len(was.orders) == 1


def test_a_key_is_pressed_again_where_the_caller_still_waits() -> None:
    rules = config(exits={"1": WayOut(kind="voicemail", name="box")})
    journal = told(
        rules,
        (0.0, i.SignIn("a0", "x0")),
        (10.0, i.Enqueue("c1", "sales")),
        (20.0, i.Enqueue("c2", "sales")),
        (40.0, i.PressKey("c2", "1")),
        (50.0, i.Finish("c1", "a0")),
    )
    assert what_if(read(journal), rules).changes == []
    more = msgspec.structs.replace(rules, agents=rules.agents | {"new": Agent(id="new", team="t", groups=("g",))})
    found = what_if(read(journal), more)
    assert [(each.was.fate, each.now.fate) for each in found.changes] == [("exit", "answered")]


def test_a_contact_that_comes_into_a_queue_again_is_two_parts() -> None:
    was = read(
        told(
            config(),
            (0.0, i.SignIn("a0", "x0")),
            (10.0, i.Enqueue("c1", "sales")),
            (20.0, i.Finish("c1", "a0", "queue_transfer")),
            (20.0, i.Enqueue("c1", "support")),
            (30.0, i.SignIn("a2", "x2")),
            (40.0, i.Finish("c1", "a2")),
        )
    )
    assert [(part.id, part.queue, part.agent, part.talk) for part in was.parts.values()] == [
        ("c1", "sales", "a0", 10.0),
        ("c1#2", "support", "a2", 10.0),
    ]


def test_a_journal_without_calls_can_not_be_replayed() -> None:
    with pytest.raises(ValueError, match="no calls"):
        what_if(read(told(config())), config())


def test_whoever_answers_first_of_several_who_are_rung_does_so_again() -> None:
    rules = config(groups=("g", "h"), strategy="ring_all")
    was = read(simulated_day(rules))
    assert max(len(part.rings) for part in was.parts.values()) > 1
    assert what_if(was, rules).changes == []


def test_an_agent_who_was_not_responding_is_back_when_it_was() -> None:
    rules = config(team={"misses": 1})
    engine = Engine()
    steps = (
        (0.0, i.Configure(rules)),
        (1.0, i.SignIn("a0", "x0")),
        (5.0, i.Enqueue("c1", "sales")),
        (25.0, i.Tick()),
        (225.0, i.Ready("a0")),
    )
    was = read(record for at, what in steps for record in engine.handle(what, 1e9 + at).records)
    assert was.missing == {"a0": {1e9 + 25.0: 200.0}}
    found = what_if(was, rules)
    assert found.now.agents["a0"][:5] == was.agents["a0"]
    assert [each.state for each in was.agents["a0"]] == ["ready", "offered", "not_responding", "ready", "offered"]
    sooner = what_if(was, config(team={"misses": 1}, ring_seconds=5.0)).now.agents["a0"]
    missed, back = sooner[2:4]
    assert (missed.state, missed.since - 1e9) == ("not_responding", 10.0)
    assert (back.state, back.since - 1e9) == ("ready", 210.0), "as long after a miss that the journal does not know"


def test_who_has_thought_better_of_a_pause_takes_none() -> None:
    was = read(busy((20.0, i.Pause("a0", "lunch")), (30.0, i.Ready("a0"))))
    assert what_if(was, config()).changes == []


def test_a_return_from_a_pause_ends_no_wrap_up() -> None:
    """By the other rules there is no such pause, and the agent is in wrap-up when it ended."""
    journal = busy((1.0, i.SignIn("a1", "x1")), (2.0, i.Pause("a1", "lunch")), (66.0, i.Ready("a1")))
    found = what_if(read(journal), config(team={"pause_reasons": ("tea",)}))
    latest = found.now.agents["a1"][-2:]
    assert [(each.since - 1e9, each.state) for each in latest] == [(65.0, "wrap_up"), (68.0, "ready")]


# ---- what still went on at the end, and who answered first


def test_what_still_rang_at_the_end_rings_on() -> None:
    engine = Engine()
    steps = ((0.0, i.Configure(config())), (1.0, i.SignIn("a0", "x0")), (5.0, i.Enqueue("c1", "sales")),
             (20.0, i.Enqueue("c2", "support")))  # fmt: skip
    was = read(record for at, what in steps for record in engine.handle(what, 1e9 + at).records)
    assert what_if(was, config()).now.parts["c1"].answered > was.ended


@pytest.mark.parametrize("seed", range(4))
def test_whose_offer_was_withdrawn_would_not_have_answered_just_then(seed: int) -> None:
    """As little as others in this queue have rung: c0 was answered at once."""
    rules = config(groups=("g", "h"), strategy="ring_all")
    engine = Engine()
    records: list[Record] = []

    def handle(at: float, what: i.AnyInput) -> list[Offer]:
        outcome = engine.handle(what, 1e9 + at)
        records.extend(outcome.records)
        return [each for each in outcome.effects if isinstance(each, Offer)]

    for at, what in ((0.0, i.Configure(rules)), (1.0, i.SignIn("a0", "x0"))):
        handle(at, what)
    handle(2.0, i.Accept(handle(2.0, i.Enqueue("c0", "sales"))[0].offer))
    for at, told_ in ((3.0, i.Finish("c0", "a0")), (4.0, i.Ready("a0")), (5.0, i.SignIn("a1", "x1"))):
        handle(at, told_)
    second = handle(10.0, i.Enqueue("c1", "sales"))[1]
    handle(15.0, i.Accept(second.offer))
    handle(20.0, i.Finish("c1", second.agent))
    found = what_if(read(records), rules, seed=seed)
    assert found.now.parts["c1"].agent == second.agent == "a1"


# ---- callbacks


CALLBACK = CallbackRules(retry={"busy": 100.0, "no_answer": 100.0, "failed": 100.0})


def callback(*steps: tuple[float, i.AnyInput], first: Literal["agent", "customer"] = "agent") -> Course:
    """Agent a0 talks to c1 from 10 to 50 and is ready at 55, c2 asks at 30 to be called back as b1."""
    rules = config(callback=msgspec.structs.replace(CALLBACK, first=first))
    usual: tuple[tuple[float, i.AnyInput], ...] = (
        (0.0, i.SignIn("a0", "x0")),
        (10.0, i.Enqueue("c1", "sales")),
        (20.0, i.Enqueue("c2", "sales")),
        (30.0, i.AskCallback("b1", "7", contact="c2")),
        (50.0, i.Finish("c1", "a0")),
        (55.0, i.Ready("a0")),
    )
    return read(told(rules, *sorted((*usual, *steps), key=lambda step: step[0])))


def under(was: Course, **of_queue: Any) -> WhatIf:
    return what_if(was, config(**{"callback": CALLBACK, **of_queue}))


SERVED = (
    (60.0, i.CustomerCalled("b1", "answered")),
    (70.0, i.Enqueue("c3", "sales")),
    (90.0, i.Finish("b1.1", "a0")),
    (95.0, i.Ready("a0")),
    (99.0, i.Finish("c3", "a0")),
)


def test_who_asked_for_a_callback_asks_again_and_talks_for_as_long() -> None:
    was = callback(*SERVED)
    assert (was.called["b1.1"].talk, was.called["b1.1"].call) == (30.0, Call(5.0, "answered"))
    found = under(was)
    assert found.changes == []
    assert found.now.parts["c2"].fate == "callback"
    assert found.now.called == was.called
    assert found.now.parts["c3"].waited == 25.0, "the agent was with the callback"
    assert (found.result.left, found.result.refused) == (0, [])
    assert found.now.agents["a0"][: len(was.agents["a0"])] == was.agents["a0"]


def test_who_waits_no_longer_asks_for_nothing() -> None:
    was = callback(*SERVED)
    rules = config(callback=CALLBACK)
    more = msgspec.structs.replace(rules, agents=rules.agents | {"new": Agent(id="new", team="t", groups=("g",))})
    found = what_if(was, more)
    assert [(each.was.fate, each.now.fate) for each in found.changes] == [("callback", "answered"), ("answered",) * 2]
    assert (found.now.called, found.result.refused) == ({}, [])


def test_where_there_are_no_callbacks_the_caller_waits_on() -> None:
    found = under(callback(*SERVED), callback=None)
    assert found.now.parts["c2"].waited == 35.0
    assert found.now.called == {}


@pytest.mark.parametrize(
    ("end", "call", "again"),
    [
        ((60.0, i.CustomerCalled("b1", "busy")), Call(5.0, "busy"), 160.0),
        ((100.0, i.Tick()), Call(math.inf, "no_answer"), 185.0),
        ((62.0, i.Finish("b1.1", "a0")), Call(7.0, "hung_up"), 162.0),
    ],
)
def test_each_attempt_ends_as_it_did(end: tuple[float, i.AnyInput], call: Call, again: float) -> None:
    was = callback(
        end,
        (130.0, i.Ready("a0")),
        (again + 2.0, i.CustomerCalled("b1", "answered")),
        (again + 9.0, i.Finish("b1.2", "a0")),
        (again + 12.0, i.Ready("a0")),
    )
    assert was.called["b1.1"].call == call
    assert was.called["b1.2"].reached == 1e9 + again + 2.0
    found = under(was)
    assert found.now.called == was.called
    assert found.now.agents["a0"][: len(was.agents["a0"])] == was.agents["a0"]


def test_an_agent_is_kept_for_a_customer_who_is_called_first() -> None:
    was = callback(*SERVED, first="customer")
    assert was.called["b1.1"].answered == was.called["b1.1"].reached == 1e9 + 60.0
    found = under(was, callback=msgspec.structs.replace(CALLBACK, first="customer"))
    assert found.now.called == was.called
    assert found.result.refused == [], "nothing rings that could be answered"
    assert [each.state for each in found.now.agents["a0"]][5:8] == ["offered", "talking", "wrap_up"]


def test_an_attempt_that_the_journal_does_not_have_ends_as_one_that_it_has() -> None:
    contacts = contacts_of(callback((60.0, i.CustomerCalled("b1", "busy"))), seed=1)
    assert {call.outcome for call in contacts.calls.values()} == {"busy"}
    assert contacts.id[-MAX_ATTEMPTS:] == [f"b1.{number + 1}" for number in range(MAX_ATTEMPTS)]


@pytest.mark.parametrize(("end", "outcome"), [(i.CustomerCalled("b1", "busy"), "busy"), (i.HangUp("b1.1"), "hung_up")])
def test_a_customer_who_is_called_first_and_not_reached_keeps_no_agent(end: i.AnyInput, outcome: str) -> None:
    was = callback((60.0, end), (70.0, i.Enqueue("c3", "sales")), first="customer")
    assert was.called["b1.1"].call == Call(5.0, outcome)  # type: ignore[arg-type]
    found = under(was, callback=msgspec.structs.replace(CALLBACK, first="customer"))
    assert (found.changes, found.result.left) == ([], 0)
    assert found.now.called["b1.1"] == was.called["b1.1"]
    assert found.now.parts["c3"].waited == 0.0
    assert found.now.parts["c3"].talk > 0.0, "until the last caller has gone"


def test_a_customer_who_rang_at_the_end_is_not_reached_before() -> None:
    was = callback((70.0, i.Enqueue("c3", "sales")))
    assert was.called["b1.1"].call == Call(16.0, "answered")
    assert under(was).now.called["b1.1"].reached == 1e9 + 71.0


def test_who_comes_into_a_queue_again_asks_as_who_it_is_then() -> None:
    again = ((51.0, i.Enqueue("c1", "support")), (56.0, i.AskCallback("b2", "8", contact="c1")))
    was = callback(*SERVED[:1], *again, *SERVED[1:])
    assert was.parts["c1#2"].fate == "callback"
    assert under(was).changes == []


def test_who_is_called_back_has_no_end_of_patience_and_no_run_lasts_for_it() -> None:
    later = (56.0, i.AskCallback("b2", "8", "sales", at=1e9 + 5_000.0))
    was = callback(*SERVED[:1], later, *SERVED[1:])
    assert set(contacts_of(was, seed=1, patience=60.0).patience[-MAX_ATTEMPTS:]) == {math.inf}
    assert list(under(was).now.called) == ["b1.1"]


def test_who_was_sent_to_a_callback_asks_for_it_again() -> None:
    rules = config(callback=CALLBACK, exits={"1": WayOut(kind="callback")})
    was = read(
        told(
            rules,
            (0.0, i.SignIn("a0", "x0")),
            (10.0, i.Enqueue("c1", "sales")),
            (20.0, i.Enqueue("c2", "sales")),
            (25.0, i.PressKey("c2", "1")),
            (40.0, i.AskCallback("b1", "7", contact="c2")),
            (50.0, i.Finish("c1", "a0")),
            (55.0, i.Ready("a0")),
            (60.0, i.CustomerCalled("b1", "answered")),
            (90.0, i.Finish("b1.1", "a0")),
        )
    )
    found = what_if(was, rules)
    assert found.changes == []
    assert found.now.called["b1.1"].talk == 30.0
    assert found.result.refused == []


def test_who_was_picked_up_out_of_the_queue_is_picked_up_again() -> None:
    was = read(
        told(
            config(),
            (0.0, i.SignIn("a0", "x0")),
            (5.0, i.SignIn("a1", "x1")),
            (6.0, i.Pause("a1")),
            (10.0, i.Enqueue("c1", "sales")),
            (20.0, i.Enqueue("c2", "sales")),
            (30.0, i.PickUp("c2", "a1")),
            (70.0, i.Finish("c2", "a1")),
            (80.0, i.Finish("c1", "a0")),
        )
    )
    found = what_if(was, config())
    assert found.changes == []
    assert (found.now.parts["c2"].agent, found.now.parts["c2"].waited, found.now.parts["c2"].talk) == ("a1", 10.0, 40.0)
    assert found.result.refused == []


def test_who_wraps_up_picks_up_as_it_did() -> None:
    """c3, although c2 has waited for longer."""
    was = read(
        told(
            config(),
            (0.0, i.SignIn("a0", "x0")),
            (10.0, i.Enqueue("c1", "sales")),
            (20.0, i.Enqueue("c2", "sales")),
            (25.0, i.Enqueue("c3", "sales")),
            (30.0, i.Finish("c1", "a0")),
            (35.0, i.PickUp("c3", "a0")),
            (75.0, i.Finish("c3", "a0")),
            (80.0, i.Ready("a0")),
            (90.0, i.Finish("c2", "a0")),
        )
    )
    found = what_if(was, config())
    assert found.changes == []
    assert (found.now.parts["c3"].agent, found.now.parts["c3"].waited, found.now.parts["c3"].talk) == ("a0", 10.0, 40.0)
    assert found.result.refused == []


def test_the_contact_by_which_a_callback_waits_need_not_have_the_number_of_its_attempt() -> None:
    """It is sent out of the queue once, as nobody is at work, before the customer is called for the first time."""
    limit = Limit(of="none_ready", to=WayOut(kind="hangup"), waiting=True)
    rules = config(callback=CALLBACK, limits=(limit,))
    was = read(
        told(
            rules,
            (0.0, i.SignIn("a0", "x0")),
            (5.0, i.DirectCall("a0", True)),
            (10.0, i.AskCallback("b1", "7", "sales")),
            (20.0, i.SignOut("a0")),
            (100.0, i.SignIn("a0", "x0")),
            (125.0, i.CustomerCalled("b1", "answered")),
            (165.0, i.Finish("b1.2", "a0")),
            (170.0, i.Ready("a0")),
            (180.0, i.Enqueue("c1", "sales")),
            (190.0, i.Finish("c1", "a0")),
        )
    )
    assert (was.called["b1.1"].call, was.called["b1.2"].call) == (None, Call(5.0, "answered"))
    assert was.called["b1.2"].talk == 40.0
    found = what_if(was, rules)
    assert found.now.called == was.called
    assert found.result.refused == []


def test_a_callback_that_comes_oftener_than_was_prepared_for_comes_all_the_same() -> None:
    was = callback((60.0, i.CustomerCalled("b1", "busy")), (500.0, i.SignIn("a1", "x1")))
    retry = {"busy": 1.0, "no_answer": 1.0}
    found = under(was, callback=msgspec.structs.replace(CALLBACK, retry=retry, attempts=100, ring_seconds=6.0))
    assert list(found.now.called) == [f"b1.{number + 1}" for number in range(len(found.now.called))]
    assert len(found.now.called) > 2 * MAX_ATTEMPTS
    assert found.result.refused == []


def test_all_attempts_of_a_journal_come_out_as_they_were() -> None:
    rules = config(callback=msgspec.structs.replace(CALLBACK, retry={"busy": 20.0}, attempts=100))
    steps: list[tuple[float, i.AnyInput]] = [(0.0, i.SignIn("a0", "x0")), (10.0, i.AskCallback("b1", "7", "sales"))]
    at = 10.0
    for attempt in range(15):
        outcome: Literal["busy", "answered"] = "answered" if attempt == 14 else "busy"
        at += 1.0 + attempt % 3
        steps += [(at, i.CustomerCalled("b1", outcome))]
        at += 20.0
    steps += [(at, i.Finish("b1.15", "a0")), (at + 5.0, i.Ready("a0")), (at + 9.0, i.Enqueue("c1", "sales"))]
    was = read(told(rules, *steps, (at + 20.0, i.Finish("c1", "a0"))))
    assert [part.call.seconds for part in was.called.values() if part.call] == [1.0, 2.0, 3.0] * 5
    found = what_if(was, rules)
    assert (found.now.called, found.changes, found.result.refused) == (was.called, [], [])

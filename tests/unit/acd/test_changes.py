"""What a new configuration would change, told before it does: queues, agents, contacts that wait."""

from __future__ import annotations

from msgspec.structs import replace

from acd.changes import changes
from acd.config import Agent, CallbackRules, Config, Group, Hours, Queue, Relax, Span, Team, WayOut
from acd.engine import Engine
from acd.inputs import Accept, AskCallback, Configure, DirectCall, Enqueue, SignIn

OFFICE = Hours(zone="UTC", spans=(Span(days=(0, 1, 2, 3, 4), start=0.0, end=86400.0),))


def rules(**more: Queue) -> Config:
    """Agents a (es 80), b (es 40), c; queue es needs es>=60, all needs nothing."""
    return Config(
        teams={"t": Team(name="t")},
        groups={"g": Group(name="g", team="t")},
        agents={
            "a": Agent(id="a", team="t", skills={"es": 80}, address="1"),
            "b": Agent(id="b", team="t", skills={"es": 40}, address="2"),
            "c": Agent(id="c", team="t", address="3"),
        },
        queues={
            "es": Queue(name="es", team="t", needs="es>=60", callback=CallbackRules()),
            "all": Queue(name="all", team="t", emptied_to=WayOut(kind="queue", name="es")),
        }
        | more,
        skills=("es",),
        hours={"office": OFFICE},
    )


def with_agents(config: Config, *agents: Agent) -> Config:
    """Those of the same id replaced, others added."""
    return replace(config, agents=config.agents | {each.id: each for each in agents})


def without(config: Config, agent: str = "", queue: str = "") -> Config:
    return replace(
        config,
        agents={name: each for name, each in config.agents.items() if name != agent},
        queues={name: each for name, each in config.queues.items() if name != queue},
    )


def running(config: Config) -> Engine:
    engine = Engine()
    engine.handle(Configure(config), 0.0)
    return engine


def told(engine: Engine, new: Config) -> list[str]:
    return changes(engine.state.config, new, engine.state)


def test_nothing_is_told_of_the_same_rules_under_another_version() -> None:
    engine = running(rules())
    assert told(engine, replace(rules(), version="another")) == []


def test_a_queue_that_is_gone_says_how_many_wait_and_where_they_go() -> None:
    engine = running(rules())
    for number in range(3):
        engine.handle(Enqueue(f"k{number}", "all"), 1.0)
    assert told(engine, without(rules(), queue="all")) == ["queue all: gone; 3 contacts wait there and go to queue es"]


def test_one_who_waits_for_a_queue_that_is_gone_as_is_its_way_out() -> None:
    engine = running(rules())
    engine.handle(Enqueue("k", "all"), 1.0)
    assert told(engine, replace(rules(), queues={})) == [
        "queue es: gone; nobody waits there",
        "queue all: gone; 1 contact waits there and goes nowhere: queue es is gone, too",
    ]


def test_callbacks_of_a_queue_that_is_gone() -> None:
    engine = running(rules())
    engine.handle(AskCallback("x", "0301234", queue="es", at=5000.0), 1.0)
    assert told(engine, without(rules(), queue="es")) == [
        "queue es: gone; nobody waits there; 1 callback of it is given up"
    ]


def test_a_new_queue_says_how_many_may_serve_it() -> None:
    engine = running(rules())
    assert told(engine, rules(new=Queue(name="new", team="t", needs="es"))) == [
        "queue new: new; 2 agents may serve it at once"
    ]


def test_a_queue_that_is_changed_says_what_of_it() -> None:
    new = rules(all=replace(rules().queues["all"], ring_seconds=5.0, exits={"1": WayOut(kind="hangup")}))
    assert told(running(rules()), new) == ["queue all: ring_seconds 20 -> 5, exits"]


def test_an_agent_that_is_gone_is_told_by_what_it_does() -> None:
    engine = running(rules())
    assert told(engine, without(rules(), agent="a")) == ["agent a: gone; not signed in"]
    engine.handle(SignIn("a"), 1.0)
    assert told(engine, without(rules(), agent="a")) == ["agent a: gone; is ready, and signs out at once"]
    engine.handle(Enqueue("k", "es"), 2.0)
    assert told(engine, without(rules(), agent="a"))[0] == (
        "agent a: gone; signs out at once; contact k, which it is being offered, goes to others"
    )
    engine.handle(Accept(engine.state.agents["a"].offer), 3.0)
    assert told(engine, without(rules(), agent="a")) == ["agent a: gone; has contact k, and signs out after it"]


def test_new_agents_stand_in_one_line() -> None:
    agents = [Agent(id=f"n{number}", team="t") for number in range(10)]
    assert told(running(rules()), with_agents(rules(), *agents)) == [
        "agents n0, n1, n2, n3, n4, n5, n6, n7 and 2 more: new"
    ]


def test_skills_that_are_changed_and_contacts_that_lose_or_gain_agents() -> None:
    engine = running(rules())
    engine.handle(Enqueue("k1", "es"), 1.0)
    engine.handle(Enqueue("k2", "es", needs="es>=90"), 1.0)
    weaker = with_agents(rules(), Agent(id="a", team="t", skills={"es": 50}, address="1"))
    assert told(engine, weaker) == [
        "agent a: skills es 80 -> 50",
        "queue es: of 2 contacts waiting 1 loses agents who may have them (1 all of them)",
    ]
    stronger = with_agents(rules(), Agent(id="b", team="t", skills={"es": 95, "fr": 1}, address="2"))
    assert told(engine, stronger) == [
        "agent b: skills es 40 -> 95, fr 1 new",
        "queue es: of 2 contacts waiting 2 gain such agents",
    ]


def test_losing_some_and_gaining_others_is_both() -> None:
    engine = running(rules())
    engine.handle(Enqueue("k", "es"), 1.0)
    swapped = with_agents(
        rules(),
        Agent(id="a", team="t", address="1"),
        Agent(id="b", team="t", skills={"es": 60}, address="2"),
    )
    assert told(engine, swapped)[-1] == (
        "queue es: of 1 contact waiting 1 loses agents who may have them and 1 gains such agents"
    )


def test_mode_and_telephone_count_from_the_next_sign_in_on() -> None:
    engine = running(rules())
    new = with_agents(rules(), Agent(id="c", team="t", mode="both", direct_calls="free"))
    assert told(engine, new) == ["agent c: mode inbound -> both; telephone 3 -> none; direct_calls busy -> free"]
    engine.handle(SignIn("c"), 1.0)
    assert told(engine, new) == [
        "agent c: mode inbound -> both, from its next sign-in on; telephone 3 -> none, from its next sign-in on; "
        "direct_calls busy -> free"
    ]


def test_hours_say_which_queues_go_by_them() -> None:
    by_hours = rules(all=replace(rules().queues["all"], hours="office"))
    engine = running(by_hours)
    new = replace(by_hours, hours={"office": replace(OFFICE, closed=("2026-12-25",))})
    assert told(engine, new) == ["hours office: closed; they are those of queue all"]


def test_teams_groups_skills_and_order() -> None:
    new = replace(
        rules(),
        teams={"t": Team(name="t", misses=3), "u": Team(name="u")},
        groups={},
        skills=("fr",),
        agents=dict(reversed(rules().agents.items())),
    )
    assert told(running(rules()), new) == [
        "team t: misses 1 -> 3",
        "team u: new",
        "skill es: gone",
        "skill fr: new",
        "group g: gone",
        "agents: in another order",
    ]


def test_what_is_told_comes_about() -> None:
    """The engine does with those who wait what was told of them."""
    engine = running(rules())
    engine.handle(Enqueue("k", "all"), 1.0)
    [line] = told(engine, without(rules(), queue="all"))
    engine.handle(Configure(without(rules(), queue="all")), 2.0)
    assert line.endswith("go to queue es") or line.endswith("goes to queue es")
    assert engine.state.contacts["k"].queue == "es"


def test_the_engine_leaves_mode_and_telephone_until_the_next_sign_in() -> None:
    engine = running(rules())
    engine.handle(SignIn("c"), 1.0)
    engine.handle(Configure(with_agents(rules(), Agent(id="c", team="t", mode="both", address="9"))), 2.0)
    assert (engine.state.agents["c"].mode, engine.state.agents["c"].address) == ("inbound", "3")


def test_every_contact_counts_and_who_keeps_some_agents_gains_none() -> None:
    engine = running(rules(es=replace(rules().queues["es"], needs="es")))
    for number in range(3):
        engine.handle(Enqueue(f"k{number}", "es"), 1.0)
    new = replace(engine.state.config, agents={**rules().agents, "b": Agent(id="b", team="t", address="2")})
    assert told(engine, new)[-1] == "queue es: of 3 contacts waiting 3 lose agents who may have them"


def test_a_contact_that_is_relaxed_already_is_held_against_the_step_it_is_at() -> None:
    relaxing = replace(rules().queues["es"], relax=(Relax(after=5.0, needs="es>=30"),))
    engine = running(rules(es=relaxing))
    engine.handle(Enqueue("k", "es"), 1.0)
    engine.tick(6.0)
    stricter = replace(relaxing, relax=(Relax(after=5.0, needs="es>=50"),))
    assert told(engine, rules(es=stricter)) == [
        "queue es: relax",
        "queue es: of 1 contact waiting 1 loses agents who may have them",
    ], "b, whom the first needs would not have let have it"
    first_only = replace(relaxing, needs="es>=90")
    assert told(engine, rules(es=first_only)) == ["queue es: needs es>=60 -> es>=90"], "it waits for less by now"


def test_an_agent_that_is_gone_in_a_direct_call_signs_out_at_once() -> None:
    engine = running(rules())
    engine.handle(SignIn("a"), 1.0)
    engine.handle(DirectCall("a", True), 2.0)
    [line] = told(engine, without(rules(), agent="a"))
    assert line == "agent a: gone; is talking, and signs out at once"
    engine.handle(Configure(without(rules(), agent="a")), 3.0)
    assert "a" not in engine.state.agents


def test_a_callback_that_waits_for_an_agent_goes_on_in_another_queue_or_is_given_up() -> None:
    engine = running(rules(all=replace(rules().queues["all"], callback=CallbackRules())))
    engine.handle(AskCallback("x", "0301234", queue="es"), 1.0)
    engine.handle(AskCallback("y", "0301234", queue="all"), 1.0)
    assert told(engine, replace(engine.state.config, queues={"es": rules().queues["es"]})) == [
        "queue all: gone; 1 contact waits there and goes to queue es"
    ]
    new = replace(engine.state.config, queues={"all": engine.state.config.queues["all"]})
    assert told(engine, new) == ["queue es: gone; nobody waits there; 1 callback of it is given up"]
    engine.handle(Configure(new), 2.0)
    while engine.next_deadline is not None:
        engine.tick(engine.next_deadline)
    assert list(engine.state.callbacks) == ["y"]

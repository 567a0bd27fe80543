"""The one decision, against a look at everybody."""

import numpy as np
from acd_world import World, agent, config, queue
from hypothesis import given
from hypothesis import strategies as st

from acd import facts as f
from acd import inputs as i
from acd.agent import AgentState
from acd.config import Queue, Team
from acd.contact import ContactState
from acd.matching import CANDIDATES, NOTHING, able, agents_for, contact_for
from acd.state import State
from acd.strategy import Asked, still_wanted

NEEDS = {"": lambda has: True, "es": lambda has: has.get("es", 0) > 0, "not de": lambda has: not has.get("de", 0)}

agents = st.lists(
    st.fixed_dictionaries(
        {
            "skills": st.dictionaries(st.sampled_from(["es", "de"]), st.integers(1, 9)),
            "weights": st.dictionaries(st.sampled_from(["q0", "q1", "out"]), st.integers(0, 3).map(float)),
            "mode": st.sampled_from(["inbound", "outbound", "both"]),
            "team": st.sampled_from(["t", "t", "t", "u"]),
            "ready": st.booleans(),
        }
    ),
    min_size=1,
    max_size=6,
)
waiting = st.lists(
    st.tuples(
        st.sampled_from(["q0", "q1", "out"]),
        st.sampled_from(list(NEEDS)),
        st.integers(0, 4).map(lambda place: 60.0 * place),
        st.none() | st.integers(0, 5),
    ),
    max_size=12,
)


def made(people: list[dict]) -> State:  # type: ignore[type-arg]
    queues = [queue("q0"), queue("q1"), queue("out", direction="outbound")]
    state = State()
    state.configure(
        config(
            queues,
            [
                agent(f"a{n}", team=each["team"], skills=each["skills"], weights=each["weights"])
                for n, each in enumerate(people)
            ],
            teams=[Team(name="u", ageing=10.0)],
        )
    )
    for n, each in enumerate(people):
        seq = (5 * n + 2) % 7
        does = "ready" if each["ready"] else "talking"
        name = f"a{n}"
        state.agents[name] = AgentState(name, does, since=float(seq), ready_seq=seq, mode=each["mode"])  # type: ignore[arg-type]
        state.noted(state.agents[name])
    return state


def stands(state: State, n: int, name: str, needs: str, place: float, skipped: int | None) -> None:
    """A contact, which waits."""
    skips = {} if skipped is None else {f"a{skipped}": 1e9}
    contact = ContactState(f"c{n}", queue=name, place=place, seq=n, asks=needs, skipped=skips)
    state.contacts[contact.id] = contact
    state.into_line(contact)


@given(agents, waiting)
def test_an_agent_gets_the_contact_that_a_look_at_all_of_them_finds(people, contacts) -> None:  # type: ignore[no-untyped-def]
    state = made(people)
    for n, (name, needs, place, skipped) in enumerate(contacts):
        stands(state, n, name, needs, place, skipped)
    for row, each in enumerate(people):
        best = min(
            (
                (place - each["weights"].get(name, 0.0) * 60.0, n, f"c{n}")
                for n, (name, needs, place, skipped) in enumerate(contacts)
                if each["team"] == "t"
                and each["mode"] in ("both", "outbound" if name == "out" else "inbound")
                and NEEDS[needs](each["skills"])
                and skipped != row
            ),
            default=None,
        )
        choice = contact_for(state, state.agents[f"a{row}"])
        assert choice.names == (() if best is None else (best[2],))
        if best is not None:
            assert choice.candidates[0] == f.Candidate(best[2], best[0])


@given(agents, st.sampled_from(["q0", "out"]), st.sampled_from(list(NEEDS)), st.integers(1, 7))
def test_a_contact_gets_the_agents_that_a_look_at_all_of_them_finds(people, name, needs, count) -> None:  # type: ignore[no-untyped-def]
    state = made(people)
    stands(state, 0, name, needs, 0.0, None)
    eligible = [n for n, each in enumerate(people) if each["team"] == "t" and NEEDS[needs](each["skills"])]
    mode = "outbound" if name == "out" else "inbound"
    ready = [n for n in eligible if people[n]["ready"] and people[n]["mode"] in ("both", mode)]
    order = sorted(ready, key=lambda n: (5 * n + 2) % 7)
    choice = agents_for(state, state.contacts["c0"], Asked(state.queue(name), needs, 0.0), count)
    assert choice.names == tuple(f"a{n}" for n in order[:count])
    if not ready:
        assert choice == NOTHING
        return
    assert (choice.eligible, choice.ready) == (len(eligible), len(ready))
    assert [each.agent for each in choice.candidates] == [f"a{n}" for n in order[:CANDIDATES]]


@given(agents, st.none() | st.integers(0, 6), st.sets(st.integers(0, 6)))
def test_who_may_have_a_contact_is_the_only_one_and_is_not_skipped(people, only, skipped) -> None:  # type: ignore[no-untyped-def]
    state = made(people)
    stands(state, 0, "q0", "es", 0.0, None)
    state.contacts["c0"].only = "" if only is None else f"a{only}"
    state.contacts["c0"].skipped = {f"a{n}": 1e9 for n in skipped}
    before = state.classes.eligible.copy()
    assert np.flatnonzero(able(state, state.contacts["c0"])).tolist() == [
        n
        for n, each in enumerate(people)
        if each["team"] == "t" and NEEDS["es"](each["skills"]) and only in (None, n) and n not in skipped
    ]
    assert np.array_equal(before, state.classes.eligible), "what is kept of classes is not written to"


def test_how_many_more_are_wanted_hangs_on_the_strategy() -> None:
    def wanted(offered: int, **settings: object) -> int:
        return still_wanted(Queue(name="q", team="t", **settings), offered)  # type: ignore[arg-type]

    assert [wanted(0), wanted(1)] == [1, 0]
    assert [wanted(n, strategy="ring_some", ring_count=2) for n in (0, 1, 2, 3)] == [2, 1, 0, 0]
    assert wanted(50, strategy="ring_all") > 100_000


def test_a_point_of_priority_is_worth_so_much_waiting() -> None:
    world = World([queue("sales")], [agent("ann")], teams=[Team(name="t", ageing=60.0)])
    world.call("early", "sales")
    world.wait(61.0)
    world.call("plain", "sales")
    world.wait(59.0)
    world.call("important", "sales", priority=1.0)
    served = []
    world.sign_in("ann")
    for _ in range(3):
        served.append(world.rings()["ann"])
        world.serve("ann", 1.0)
    assert served == ["early", "important", "plain"]
    world.check()


def test_weights_bring_the_contacts_of_a_queue_forward_for_that_agent_alone() -> None:
    world = World(
        [queue("sales"), queue("help")], [agent("ann", weights={"help": 2.0}), agent("bob")], teams=[Team(name="t")]
    )
    for contact in ("s1", "s2"):
        world.call(contact, "sales")
    world.wait(100.0)
    for contact in ("h1", "h2"):
        world.call(contact, "help")
    world.sign_in("ann", "bob")
    assert world.rings() == {"ann": "h1", "bob": "s1"}
    (made,) = [each for each in world.all(f.Offered) if each.agent == "ann"]
    assert [each.agent for each in made.rivals] == ["h1", "s1"]


def test_a_decision_names_its_candidates_the_best_first_and_the_version_of_the_rules() -> None:
    names = [f"a{n}" for n in range(7)]
    world = World([queue("sales")], [agent(name) for name in [*names, "away"]], version="v7")
    for name in reversed(names):
        world.sign_in(name)
        world.wait(1.0)
    world.sign_in("away")
    world.tell(i.Pause("away"))
    world.call("c1", "sales")
    (made,) = world.of(f.Offered)
    assert (made.agent, made.by, made.version) == ("a6", "contact", "v7")
    assert (made.eligible, made.ready) == (8, 7)
    assert [each.agent for each in made.candidates] == ["a6", "a5", "a4", "a3", "a2"]


def test_of_many_lines_with_equal_places_the_one_that_came_first_goes_first() -> None:
    names = [f"q{n}" for n in range(3 * CANDIDATES)]
    world = World([queue(name) for name in names], [agent("ann")])
    for name in names:
        world.call(f"early-{name}", name)
        world.tell(i.HangUp(f"early-{name}"))
    for name in reversed(names):
        world.call(name, name)
    world.sign_in("ann")
    served = []
    for _ in names:
        served.append(world.rings()["ann"])
        world.serve("ann", 0.0)
    assert served == names[::-1]

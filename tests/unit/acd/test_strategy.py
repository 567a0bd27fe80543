"""Which of the ready agents: each strategy by itself."""

import numpy as np
import pytest
from acd_world import NO_WRAP_UP, World, agent, config, queue
from hypothesis import given
from hypothesis import strategies as st

from acd import facts as f
from acd import inputs as i
from acd.agent import AgentState
from acd.config import StrategyName, Team
from acd.roster import Roster
from acd.strategy import SORTED_WHOLE, Asked, first, keys

FEW, MANY = 5, 200


def team(count: int, strategy: StrategyName, **more: object) -> tuple[Roster, Asked]:
    """`count` ready agents: a0 the most idle... but for a permutation, so that no order is that of the rows."""
    order = [(7 * n + 3) % count for n in range(count)]
    agents = [
        agent(f"a{n}", skills={"es": 1 + order[n] % 100, "de": 30}, weights={"sales": float(n % 3)})
        for n in range(count)
    ]
    roster = Roster(config([queue("sales", strategy=strategy)], agents, seed=5))
    for n in range(count):
        roster.note(
            AgentState(
                f"a{n}",
                "ready",
                since=100.0 + order[n],
                ready_seq=order[n] + 1,
                calls=float(order[(n + 1) % count]),
                talk=60.0 * order[(n + 2) % count],
                loaded=1_000.0,
            )
        )
    asked = Asked(roster.config.queues["sales"], "es>=1 and not de>=40", 1_000.0, **more)  # type: ignore[arg-type]
    return roster, asked


def chosen(roster: Roster, asked: Asked, count: int = 5) -> list[int]:
    rows = np.arange(len(roster))
    return rows[first(keys(asked, roster, rows), roster.idle_seq[rows], count)].tolist()


@pytest.mark.parametrize("count", [FEW, MANY])
def test_longest_idle_and_those_that_ring_several_go_by_who_is_ready_the_longest(count: int) -> None:
    for strategy in ("longest_idle", "ring_all", "ring_some"):
        roster, asked = team(count, strategy)
        assert chosen(roster, asked) == np.argsort(roster.idle_since)[:5].tolist()


@pytest.mark.parametrize("count", [FEW, MANY])
def test_round_robin_goes_on_after_the_latest_one_and_begins_again_at_the_end(count: int) -> None:
    roster, asked = team(count, "round_robin", latest=1)
    assert chosen(roster, asked, 3) == [2, 3, 4]
    roster, asked = team(count, "round_robin", latest=count - 2)
    assert chosen(roster, asked, 3) == [count - 1, 0, 1]
    roster, asked = team(count, "round_robin")
    assert chosen(roster, asked, 2) == [0, 1], "nobody was served yet"


@pytest.mark.parametrize("count", [FEW, MANY])
def test_fixed_order_is_that_of_the_configuration(count: int) -> None:
    assert chosen(*team(count, "fixed_order")) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [FEW, MANY])
def test_least_calls_and_least_talk_time_go_by_the_loads(count: int) -> None:
    roster, asked = team(count, "least_calls")
    assert chosen(roster, asked) == np.argsort(roster.calls)[:5].tolist()
    roster, asked = team(count, "least_talk_time")
    assert chosen(roster, asked) == np.argsort(roster.talk)[:5].tolist()


@pytest.mark.parametrize("count", [FEW, MANY])
def test_most_and_least_skilled_go_by_the_levels_that_are_asked_for(count: int) -> None:
    roster, asked = team(count, "most_skilled")
    order = sorted(range(count), key=lambda row: (-roster.agents[row].skills["es"], roster.idle_seq[row]))
    assert chosen(roster, asked) == order[:5]
    roster, asked = team(count, "least_skilled")
    order = sorted(range(count), key=lambda row: (roster.agents[row].skills["es"], roster.idle_seq[row]))
    assert chosen(roster, asked) == order[:5]


@pytest.mark.parametrize("count", [FEW, MANY])
@pytest.mark.parametrize("strategy", ["longest_idle", "least_calls", "least_talk_time"])
def test_ties_go_to_whoever_has_been_ready_the_longest(count: int, strategy: StrategyName) -> None:
    roster, asked = team(count, strategy)
    for column in (roster.calls, roster.talk, roster.idle_since):
        column[:] = 7.0
    assert chosen(roster, asked) == np.argsort(roster.idle_seq)[:5].tolist()


def test_a_load_long_ago_weighs_less_than_one_of_now() -> None:
    roster, asked = team(2, "least_calls")
    roster.calls[:], roster.loaded[:] = [4.0, 2.0], [1_000.0 - 3_600.0, 1_000.0]
    assert chosen(roster, asked, 1) == [0], "4 / e < 2"


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_lot_is_another_one_for_each_decision_and_the_same_when_it_is_replayed(count: int) -> None:
    drawn = [chosen(*team(count, "weighted_random", lot=lot)) for lot in (*range(20), *range(20))]
    assert drawn[:20] == drawn[20:]
    assert len(set(map(tuple, drawn))) > 5


def test_who_is_drawn_hangs_on_nothing_that_has_happened_elsewhere() -> None:
    def drawn(refused: int) -> list[str]:
        world = World([queue("sales", strategy="weighted_random")], [agent(f"a{number}") for number in range(9)])
        world.sign_in(*world.state.agents)
        for _ in range(refused):
            world.refused(i.HangUp("nobody"))
        for number in range(9):
            world.wait(1.0)
            world.call(f"c{number}", "sales")
        return [offer.agent for offer in world.all(f.Offered)]

    assert drawn(0) == drawn(5)
    assert drawn(0) != sorted(drawn(0))


def test_a_contact_that_is_offered_again_is_drawn_for_anew() -> None:
    world = World([queue("sales", strategy="weighted_random", skip=0.0)], [agent(f"a{number}") for number in range(9)])
    world.sign_in(*world.state.agents)
    world.call("c1", "sales")
    drawn = set()
    for _ in range(9):
        (name,) = world.ringing
        drawn.add(name)
        world.wait(1.0)
        world.reject(name)
    assert len(drawn) > 2


def test_lots_fall_by_weight() -> None:
    weights = [1.0, 2.0, 5.0, 2.0]
    agents = [agent(f"a{n}", weights={"sales": weight}) for n, weight in enumerate(weights)]
    roster = Roster(config([queue("sales", strategy="weighted_random")], agents, seed=1))
    asked = Asked(roster.config.queues["sales"], "", 0.0)
    draws = 4_000
    counts = np.bincount([chosen(roster, asked._replace(lot=lot), 1)[0] for lot in range(draws)], minlength=4)
    expected = np.array(weights) / sum(weights) * draws
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 16.27, "a thousandth of fair lots lie beyond that, of three degrees of freedom"


def test_who_has_no_weight_gets_nothing_as_long_as_there_is_somebody_else() -> None:
    agents = [agent("none", weights={"sales": 0.0}), agent("some", weights={"sales": 1.0})]
    roster = Roster(config([queue("sales", strategy="weighted_random")], agents))
    asked = Asked(roster.config.queues["sales"], "", 0.0)
    assert {chosen(roster, asked._replace(lot=lot), 1)[0] for lot in range(300)} == {1}


@given(
    st.lists(st.integers(0, 6).map(float), min_size=1, max_size=3 * SORTED_WHOLE),
    st.integers(1, SORTED_WHOLE + 20),
    st.randoms(),
)
def test_the_first_ones_are_those_of_a_whole_sort(ranks: list[float], count: int, random) -> None:  # type: ignore[no-untyped-def]
    sequence = list(range(len(ranks)))
    random.shuffle(sequence)
    whole = sorted(range(len(ranks)), key=lambda at: (ranks[at], sequence[at]))
    assert first(np.array(ranks), np.array(sequence), count).tolist() == whole[:count]


# ---- loads, in the engine, over an hour


def an_hour(strategy: StrategyName, comes_back: str = "") -> dict[str, int]:
    """Calls of each of three agents in half an hour of 30-second calls every 12 seconds, after one joins the others,
    who have worked for half an hour; or comes back after a pause of that length."""
    world = World(
        [queue("sales", strategy=strategy, wrap_up=NO_WRAP_UP)],
        [agent(name) for name in ("ann", "bob", "new")],
    )
    world.sign_in("ann", "bob")
    if comes_back:
        world.sign_in("new")
        minutes(world, 10.0)
        world.tell(i.Pause("new"))
    minutes(world, 30.0)
    world.tell(i.Ready("new") if comes_back else i.SignIn("new"))
    return minutes(world, 30.0)


def minutes(world: World, minutes: float) -> dict[str, int]:
    taken: dict[str, int] = {}
    busy: list[tuple[float, str]] = []
    for step in range(int(minutes * 5)):
        while busy and busy[0][0] <= world.now:
            world.finish(busy.pop(0)[1])
            answer_all(world, busy, taken)
        world.call(f"c{world.state.last_id}.{step}", "sales")
        answer_all(world, busy, taken)
        world.wait(12.0)
    while busy:
        world.wait(max(busy[0][0] - world.now, 0.0))
        world.finish(busy.pop(0)[1])
        answer_all(world, busy, taken)
    return taken


def answer_all(world: World, busy: list[tuple[float, str]], taken: dict[str, int]) -> None:
    for name in list(world.ringing):
        world.answer(name)
        taken[name] = taken.get(name, 0) + 1
        busy.append((world.now + 24.0, name))


@pytest.mark.parametrize("strategy", ["least_calls", "least_talk_time"])
def test_newcomers_are_neither_flooded_nor_spared(strategy: StrategyName) -> None:
    taken = an_hour(strategy)
    assert sum(taken.values()) == 150
    assert all(46 <= count <= 54 for count in taken.values()), taken


@pytest.mark.parametrize("strategy", ["least_calls", "least_talk_time"])
def test_who_returns_from_a_pause_is_neither_flooded_nor_spared(strategy: StrategyName) -> None:
    taken = an_hour(strategy, comes_back="new")
    assert sum(taken.values()) == 150
    assert all(46 <= count <= 54 for count in taken.values()), taken


def test_who_had_talked_less_than_the_others_before_a_pause_still_has_afterwards() -> None:
    world = World(
        [queue("sales", strategy="least_talk_time"), queue("own")],
        [agent("ann"), agent("bob"), agent("new")],
        teams=[Team(name="t", window=36_000.0)],
    )
    world.sign_in("ann", "bob", "new")
    for name, seconds in (("ann", 100.0), ("bob", 100.0), ("new", 50.0)):
        world.call(f"c-{name}", "own")
        assert list(world.ringing) == [name]
        world.serve(name, seconds)
    world.tell(i.Pause("new"))
    for round_ in range(4):
        for name in ("ann", "bob"):
            for other in ("ann", "bob"):
                if other != name:
                    world.busy(other)
            world.call(f"d-{name}{round_}", "own")
            world.serve(name, 100.0)
            world.free("bob" if name == "ann" else "ann")
    world.tell(i.Ready("new"))
    loads = {name: world.agent(name).talk for name in ("ann", "bob", "new")}
    mean = (loads["ann"] + loads["bob"]) / 2
    assert 0.45 < loads["new"] / mean < 0.55, loads


@pytest.mark.parametrize("strategy", ["least_calls", "least_talk_time"])
@pytest.mark.parametrize("first", ["new", "ann"])
def test_who_pauses_early_in_the_day_is_neither_flooded_nor_spared(strategy: StrategyName, first: str) -> None:
    """With one call, when of the others' nothing is left since yesterday: thousands of times their mean. Or with none,
    when they have had one."""
    names = ("ann", "bob", "new")
    world = World([queue("sales", strategy=strategy), queue("own", skip=0.0)], [agent(name) for name in names])
    world.sign_in(*names)

    def serves(name: str) -> None:
        others = [other for other in names if other != name]
        for other in others:
            world.busy(other)
        world.call(f"c{world.state.last_id}", "own")
        world.serve(name, 24.0)
        for other in others:
            world.free(other)

    serves("ann")
    world.wait(10 * 3600.0)
    serves(first)
    world.tell(i.Pause("new"))
    minutes(world, 30.0)
    world.tell(i.Ready("new"))
    taken = minutes(world, 30.0)
    assert 10 <= taken.get("new", 0) <= 100, taken

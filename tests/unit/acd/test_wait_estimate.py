"""How long a contact is likely to wait: the range by hand."""

import math
from typing import Any

import numpy as np
import pytest
from acd_world import World, agent, queue

from acd import inputs as i
from acd.config import CallbackRules, Group, Limit, Relax, WayOut
from acd.contact import CAME, COMING, Arrivals, Impatience
from acd.state import State
from acd.wait_estimate import (
    ENOUGH,
    SPREAD,
    InClass,
    Moments,
    Wait,
    ahead,
    before,
    estimate,
    overtaken,
    overtaking,
    passage,
    until,
)


def world(served: int = ENOUGH, agents: int = 1, seconds: float = 100.0) -> World:
    """Contacts of `seconds` each were served; all agents are in direct calls now."""
    people = [agent(f"a{n}", skills={"es": 1} if n % 2 == 0 else {}) for n in range(agents)]
    made = World([queue("sales"), queue("help")], people)
    made.sign_in("a0")
    for number in range(served):
        made.call(f"s{number}", "sales")
        made.serve("a0", seconds)
    made.busy("a0")
    for n in range(1, agents):
        made.sign_in(f"a{n}")
        made.busy(f"a{n}")
    return made


def expected(turns: float, each: float) -> Wait:
    """The middle 80 % of so many exponential intervals."""
    spread = SPREAD * math.sqrt(turns) * each
    return Wait(max(turns * each - spread, 0.0), turns * each + spread)


def turns(made: World, name: str) -> float:
    """Contacts before one."""
    contact = made.contact(name)
    row = made.state.row_of(contact)
    return ahead(made.state, contact, row, before(made.state, contact, row))


def middle(found: Wait | None) -> float:
    assert found is not None
    return (found.low + found.high) / 2.0


def test_nothing_is_known_before_enough_contacts_were_served_or_when_nobody_is_there() -> None:
    made = world(served=ENOUGH - 1)
    made.call("c1", "sales")
    assert estimate(made.state, made.contact("c1")) is None
    made = world()
    made.call("c1", "sales")
    assert estimate(made.state, made.contact("c1")) is not None
    made.tell(i.SignOut("a0"))
    assert estimate(made.state, made.contact("c1")) is None


def test_agents_who_work_in_the_other_direction_serve_nobody() -> None:
    made = World([queue("sales")], [agent("a0"), agent("out", mode="outbound")])
    made.sign_in("a0", "out")
    for number in range(ENOUGH):
        made.call(f"s{number}", "sales")
        made.serve("a0", 100.0)
    made.busy("a0")
    made.call("c1", "sales")
    assert estimate(made.state, made.contact("c1")) == pytest.approx(expected(1.0, 100.0))


@pytest.mark.parametrize("agents", [1, 2, 5])
def test_it_is_a_turn_for_each_contact_before_and_one_for_itself(agents: int) -> None:
    made = world(agents=agents)
    for number in range(4):
        made.call(f"c{number}", "sales")
    for number in range(4):
        found = estimate(made.state, made.contact(f"c{number}"))
        assert found is not None
        assert found == pytest.approx(expected(number + 1.0, 100.0 / agents))


def test_contacts_of_other_queues_count_as_far_as_the_same_agents_may_have_them() -> None:
    made = world(agents=4)
    for number in range(10):
        made.call(f"h{number}", "help", needs="es" if number < 4 else "")
        made.wait(1.0)
    made.call("c1", "sales", needs="es")
    assert turns(made, "c1") == pytest.approx(4 * 1.0 + 6 * 0.5), "two of four agents"
    made.call("c2", "sales")
    assert turns(made, "c2") == pytest.approx(10.0 + 1.0)


def test_contacts_of_other_queues_with_later_places_do_not_count() -> None:
    made = world()
    made.call("c1", "sales", priority=5.0)
    made.call("h1", "help")
    assert turns(made, "c1") == 0.0


def test_wrap_up_belongs_to_the_handling_time() -> None:
    made = world(seconds=60.0)
    assert made.state.handling["sales"].mean == pytest.approx(60.0)
    assert made.state.handling["sales"].count == ENOUGH


def test_other_needs_in_the_same_queue_count_as_far_as_the_same_agents_may_have_them() -> None:
    made = world(agents=4)
    for number in range(6):
        made.call(f"p{number}", "sales")
    made.call("c1", "sales", needs="es")
    assert turns(made, "c1") == pytest.approx(6 * 0.5), "the other two take half of them"


def test_who_is_being_rung_for_is_in_nobodys_way() -> None:
    made = world()
    made.free("a0")
    made.call("c1", "sales")
    assert made.rings() == {"a0": "c1"}
    made.call("c2", "sales")
    assert estimate(made.state, made.contact("c2")) == pytest.approx(expected(1.0, 100.0))


def test_who_waits_for_one_agent_alone_takes_a_turn_of_it() -> None:
    people = [agent("a0"), agent("a1", skills={"es": 1})]
    made = World([queue("sales", affinity=900.0)], people)
    made.sign_in("a0", "a1")
    made.busy("a0")
    made.busy("a1")
    made.call("c1", "sales", last_agent="a0")
    made.call("c2", "sales")
    made.call("c3", "sales", needs="es")
    assert (turns(made, "c2"), turns(made, "c3")) == (1.0, 0.5), "which a1 has not, who alone may have c3"


def test_agents_who_are_lost_to_a_longer_line_serve_nobody_else() -> None:
    """Two of four agents have ten contacts before them that only they may have: the others serve one who needs
    nothing, who would wait for eleven turns of all four else."""
    made = world(agents=4)
    for number in range(10):
        made.call(f"s{number}", "sales", needs="es")
    made.call("c1", "sales")
    assert turns(made, "c1") == 10.0
    assert estimate(made.state, made.contact("c1")) == pytest.approx(expected(1.0, 100.0 / 2))
    made.call("c2", "sales", needs="es")
    assert estimate(made.state, made.contact("c2")) == pytest.approx(expected(10.5 + 1.0, 100.0 / 2))


def known(made: World) -> World:
    """As many have been served in 100 s each as is needed, and all agents are in direct calls."""
    for number in range(ENOUGH):
        made.call(f"k{number}", "sales")
        made.serve(next(iter(made.ringing)), 100.0)
    for each in made.state.agents:
        made.busy(each)
    return made


def test_a_line_that_is_longer_still_but_shares_no_agents_hides_nothing() -> None:
    people = [agent("a0", skills={"es": 1, "de": 1}), agent("a1", skills={"es": 1}), agent("a2", skills={"fr": 1})]
    made = World([queue("sales")], people)
    made.sign_in("a0", "a1", "a2")
    known(made)
    for number in range(20):
        made.call(f"f{number}", "sales", needs="fr")
    for number in range(10):
        made.call(f"d{number}", "sales", needs="de")
    made.call("c1", "sales", needs="es")
    assert estimate(made.state, made.contact("c1")) == pytest.approx(expected(1.0, 100.0))


def test_what_the_lost_agents_would_have_served_of_others_is_left_to_the_rest() -> None:
    people = [agent("a0", skills={"es": 1, "de": 1}), agent("a1", skills={"es": 1}), agent("a2")]
    made = World([queue("sales")], people)
    made.sign_in("a0", "a1", "a2")
    known(made)
    for number in range(4):
        made.call(f"e{number}", "sales", needs="es")
    for number in range(20):
        made.call(f"d{number}", "sales", needs="de")
    made.call("c1", "sales")
    assert estimate(made.state, made.contact("c1")) == pytest.approx(expected(4.0 + 1.0, 100.0 / 2))


@pytest.mark.parametrize("leaving", [0.0, 1e-9, 0.001, 0.01, 0.03])
@pytest.mark.parametrize("turns", [0, 1, 7, 400])
def test_those_before_it_go_by_service_or_give_up(turns: int, leaving: float) -> None:
    served = 0.02
    rates = [served + each * leaving for each in range(turns + 1)]
    mean, variance = passage(turns, served, leaving)
    assert mean == pytest.approx(sum(1.0 / rate for rate in rates), rel=0.02)
    assert variance == pytest.approx(sum(1.0 / rate**2 for rate in rates), rel=0.05)


def test_where_callers_give_up_the_wait_is_shorter() -> None:
    made = world()
    for number in range(10):
        made.call(f"c{number}", "sales")
    patient = middle(estimate(made.state, made.contact("c9")))
    made.wait(30.0)
    for number in range(1, 5):
        made.tell(i.HangUp(f"c{number}"))
    assert made.state.impatience["sales"].rate == pytest.approx(4 / 120.0, rel=0.05)
    for number in range(10, 14):
        made.call(f"c{number}", "sales")
    assert turns(made, "c13") == 9.0
    assert middle(estimate(made.state, made.contact("c13"))) < patient / 2.0
    assert State.restore(made.state.snapshot()).impatience == made.state.impatience
    made.check()


def test_what_lies_back_counts_less_in_the_rate_of_giving_up() -> None:
    lately = Impatience()
    for _ in range(2_000):
        lately.note(10.0, gave_up=True)
    assert lately.rate == pytest.approx(0.1)
    for _ in range(2_000):
        lately.note(10.0, gave_up=False)
    assert lately.rate < 0.001


# ---- those who come later, and are served sooner


def test_callers_come_at_the_rate_at_which_they_lately_did() -> None:
    lately = Arrivals(0.0, 0.0)
    for number in range(CAME - 1):
        lately.note(10.0 * number)
        assert lately.rate(10.0 * number + 1.0) == 0.0, "not known"
    lately.note(40.0)
    assert lately.rate(40.0) == pytest.approx(0.1, rel=0.02), "from the first one on"
    for number in range(CAME, 2_000):
        lately.note(10.0 * number)
    assert lately.rate(20_000.0) == pytest.approx(0.1, rel=0.01)
    lately.note(20_000.0)
    lately.forget()
    assert lately.rate(20_000.0) == pytest.approx(0.1, rel=0.01)
    assert lately.rate(20_000.0 + COMING) == pytest.approx(0.1 / math.e, rel=0.01), "none has come for a while"


def passed(turns: int, served: float, coming: list[tuple[float, float]]) -> tuple[float, float]:
    """Mean and variance of the time until one with so many before it is served, event by event."""
    random, waits = np.random.default_rng(1), []
    for _ in range(2_000):
        now, left = 0.0, turns + 1
        while left:
            rates = [served, *(rate if now < ends else 0.0 for rate, ends in coming)]
            after = now + random.exponential(1.0 / sum(rates))
            change = min((ends for _, ends in coming if ends > now), default=math.inf)
            if after > change:
                now = change
            else:
                now = after
                left += -1 if random.random() * sum(rates) < served else 1
        waits.append(now)
    return float(np.mean(waits)), float(np.var(waits))


@pytest.mark.parametrize("turns", [0, 5, 40])
@pytest.mark.parametrize(
    "coming",
    [
        [(0.01, 1e9)],
        [(0.016, 1e9), (0.004, 1e9)],
        [(0.05, 60.0)],
        [(0.01, 100.0), (0.02, 300.0)],
        [(0.06, 600.0)],
    ],
)
def test_those_who_overtake_take_a_turn_each(turns: int, coming: list[tuple[float, float]]) -> None:
    mean, variance = passed(turns, 0.04, coming)
    found = overtaken(turns, 0.04, 0.0, coming)
    assert found.turns == pytest.approx(0.04 * found.mean, rel=1e-3)
    # Whether others come before the first of all is served is chance.
    assert found.mean == pytest.approx(mean, rel=0.05 if turns else 0.2)
    assert math.sqrt(found.variance) == pytest.approx(math.sqrt(variance), rel=0.15 if turns else 0.3)


def test_nobody_overtakes_where_nobody_comes() -> None:
    assert overtaken(7.0, 0.02, 0.001, []) == InClass(8.0, *passage(7.0, 0.02, 0.001))
    assert overtaken(7.0, 0.02, 0.001, [(0.0, 60.0)]) == pytest.approx(InClass(8.0, *passage(7.0, 0.02, 0.001)))


def gold_and_plain() -> World:
    """Two agents, one of whom may have what comes into queue gold, in a direct call each; a caller into each of the
    queues every 60 s for an hour. A point of priority counts as a minute."""
    agents = [agent("a0", groups=("all", "gold")), agent("a1", groups=("all",))]
    queues = [queue("gold", priority=5.0, groups=("gold",)), queue("plain", groups=("all",))]
    made = World(queues, agents, groups=[Group(name=each, team="t") for each in ("all", "gold")])
    made.sign_in("a0", "a1")
    for number in range(ENOUGH):
        made.call(f"p{number}", "plain")
        made.serve(next(iter(made.rings())), 100.0)
    made.busy("a0")
    made.busy("a1")
    for number in range(60):
        for name in ("gold", "plain"):
            made.call(f"{name}{number}", name)
        made.wait(10.0)
        for name in ("gold", "plain"):
            made.tell(i.HangUp(f"{name}{number}"))
        made.wait(50.0)
    return made


def test_who_comes_later_with_more_priority_overtakes_for_as_long_as_that_counts() -> None:
    made = gold_and_plain()
    made.call("c1", "plain")
    contact = made.contact("c1")
    plain = made.state.queue("plain")
    [(rate, seconds)] = overtaking(made.state, contact, plain, made.state.row_of(contact))
    assert rate == pytest.approx(1 / 60.0, rel=0.05)
    assert seconds == pytest.approx(300.0)
    first = middle(estimate(made.state, contact))
    assert first > middle(expected(1.0, 100.0 / 2)) * (1.0 + rate * 50.0 / 2), "about half of those who could"
    made.wait(299.0)
    made.tell(i.Reachable("elsewhere", True))
    [(_, seconds)] = overtaking(made.state, contact, plain, made.state.row_of(contact))
    assert seconds == pytest.approx(1.0)
    made.wait(1.0)
    made.tell(i.Reachable("elsewhere", True))
    assert overtaking(made.state, contact, plain, made.state.row_of(contact)) == []
    assert State.restore(made.state.snapshot()).arrivals == made.state.arrivals
    made.check()


def test_those_with_the_most_priority_are_overtaken_by_nobody_and_others_of_theirs_are() -> None:
    made = gold_and_plain()
    made.call("c1", "gold")
    assert overtaking(made.state, made.contact("c1"), made.state.queue("gold"), 0) == []
    made.call("c2", "gold", priority=-1.0)
    contact = made.contact("c2")
    found = overtaking(made.state, contact, made.state.queue("gold"), made.state.row_of(contact))
    assert [seconds for _, seconds in found] == pytest.approx([60.0])


def test_who_is_sent_elsewhere_by_a_limit_overtakes_nobody() -> None:
    full = Limit(of="length", to=WayOut(kind="hangup"), value=0.0)
    made = World([queue("sales", limits=(full,))], [agent("a0")])
    for number in range(10):
        made.call(f"c{number}", "sales")
        made.wait(1.0)
    assert made.state.arrivals == {}


def test_callbacks_and_those_who_never_waited_say_nothing_of_patience() -> None:
    made = World([queue("sales", callback=CallbackRules())], [agent("a0")])
    made.sign_in("a0")
    made.call("c1", "sales")
    made.answer("a0")
    made.tell(i.AskCallback("b1", "7", "sales"))
    made.wait(60.0)
    made.tell(i.CancelCallback("b1"))
    assert made.state.impatience == {}


def test_a_direct_call_after_a_contact_is_no_part_of_its_handling_time() -> None:
    here = World([queue("sales")], [agent("ann")])
    here.sign_in("ann")
    here.call("c1", "sales")
    here.answer("ann")
    here.busy("ann")
    here.wait(60.0)
    here.finish("ann")
    assert here.at("ann") == "talking"
    here.wait(3_600.0)
    here.free("ann")
    assert here.state.handling["sales"].mean == 60.0
    here.check()


# ---- steps to come


@pytest.mark.parametrize("turns", [1, 3, 12])
@pytest.mark.parametrize("seconds", [5.0, 40.0, 200.0])
def test_a_wait_that_becomes_another_after_a_while(turns: int, seconds: float) -> None:
    """Against drawn ones: a sum of `turns` times of 10 s each, and from then on 30 s more, and no less."""
    drawn = np.random.default_rng(7).exponential(10.0, (200_000, turns)).sum(axis=1)
    real = np.where(drawn < seconds, drawn, seconds + 30.0)
    own = InClass(float(turns), 10.0 * turns, 100.0 * turns)
    found = until(own, seconds, Moments(30.0, 900.0))
    assert found.mean == pytest.approx(real.mean(), rel=0.01)
    assert found.square == pytest.approx((real**2).mean(), rel=0.02)


def test_of_many_turns_it_is_known_whether_they_are_over_by_then() -> None:
    after = Moments(30.0, 900.0)
    assert until(InClass(5_000.0, 50_000.0, 500_000.0), 100.0, after).mean == 130.0
    assert until(InClass(3.0, 30.0, 300.0), 1e6, after).mean == 30.0
    assert until(None, 100.0, after).mean == 130.0


def busy_and_idle(**steps: Any) -> World:
    """ann, who serves the queue, is busy for 100 s with each contact; bob could from a step on, and is idle."""
    world = World(
        [queue("sales", needs="es", groups=("own",), **steps)],
        [agent("ann", groups=("own",), skills={"es": 50}), agent("bob", groups=("own", "other"))],
        groups=[Group(name=name, team="t") for name in ("own", "other")],
    )
    world.sign_in("ann")
    for number in range(6):
        world.call(f"s{number}", "sales")
        world.serve("ann", 100.0)
    world.busy("ann")
    return world


def test_where_somebody_is_idle_who_may_have_it_after_a_step_it_waits_no_longer_than_that() -> None:
    world = busy_and_idle(relax=(Relax(after=30.0, needs=""),))
    world.call("c1", "sales")
    before = estimate(world.state, world.contact("c1"))
    assert before is not None
    assert before.low + before.high > 150.0, "bob is not there"
    world.sign_in("bob")
    wait = estimate(world.state, world.contact("c1"))
    assert wait is not None
    assert (wait.low + wait.high) / 2.0 == pytest.approx(100.0 * (1.0 - math.exp(-0.3)))
    world.wait(20.0)
    world.tell(i.Reachable("sip:bob", True))
    later = estimate(world.state, world.contact("c1"))
    assert later is not None
    assert later.high < 15.0


def test_a_step_that_brings_the_first_agents_makes_a_wait_known() -> None:
    world = busy_and_idle(relax=(Relax(after=30.0, needs=""),))
    world.sign_in("bob")
    world.free("ann")
    world.tell(i.SignOut("ann"))
    world.call("c1", "sales")
    assert estimate(world.state, world.contact("c1")) == (30.0, 30.0)

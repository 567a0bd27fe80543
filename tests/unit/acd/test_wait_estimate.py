"""How long a contact is likely to wait: the range by hand."""

import math

import pytest
from acd_world import World, agent, queue

from acd import inputs as i
from acd.wait_estimate import ENOUGH, SPREAD, Wait, ahead, estimate


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
    assert ahead(made.state, made.contact("c1"), made.state.row_of(made.contact("c1"))) == pytest.approx(
        4 * 1.0 + 6 * 0.5
    ), "two of four agents"
    made.call("c2", "sales")
    assert ahead(made.state, made.contact("c2"), made.state.row_of(made.contact("c2"))) == pytest.approx(10.0 + 1.0)


def test_contacts_of_other_queues_with_later_places_do_not_count() -> None:
    made = world()
    made.call("c1", "sales", priority=5.0)
    made.call("h1", "help")
    assert ahead(made.state, made.contact("c1"), made.state.row_of(made.contact("c1"))) == 0.0


def test_wrap_up_belongs_to_the_handling_time() -> None:
    made = world(seconds=60.0)
    assert made.state.handling["sales"].mean == pytest.approx(60.0)
    assert made.state.handling["sales"].count == ENOUGH

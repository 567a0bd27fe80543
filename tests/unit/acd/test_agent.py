"""The machine of an agent's states: each of its changes happens, and no other."""

from collections import Counter
from collections.abc import Callable
from typing import get_args

import pytest
from acd_world import World, agent, queue

from acd import facts as f
from acd import inputs as i
from acd.agent import AT_WORK, HANDLING, REST, TRANSITIONS, WORK, allowed
from acd.config import CallbackRules, Config, Team, WrapUp

Change = tuple[str, str, str]

ALL = {
    (before, why, after) for before, causes in TRANSITIONS.items() for why, states in causes.items() for after in states
}


def test_every_state_and_cause_is_in_the_table_and_no_other() -> None:
    states = set(get_args(f.AgentStateName))
    assert set(TRANSITIONS) == states
    assert {after for _, _, after in ALL} | {"signed_out"} == states
    assert {why for _, why, _ in ALL} == set(get_args(f.Why))


def test_sets_of_states() -> None:
    assert WORK < HANDLING < AT_WORK | {"wrap_up"}
    assert "not_responding" not in AT_WORK
    assert set(REST) <= set(TRANSITIONS)
    assert allowed("ready", "offer", "offered")
    assert not allowed("paused", "offer", "offered")
    assert not allowed("signed_out", "ready", "ready")


# ---- stories that go through it


class Seen:
    """Worlds whose agent is `ann`, and what became of her."""

    def __init__(self) -> None:
        self.worlds: list[World] = []

    def world(self, team: Team | None = None, **settings: object) -> World:
        sales = queue("sales", **{"ring_seconds": 20.0, "on_reject": "ready", **settings})
        world = World(
            [sales, queue("out", direction="outbound", callback=CallbackRules())],
            [agent("ann", mode="self")],
            teams=[team or Team(name="t")],
        )
        self.worlds.append(world)
        return world

    def changes(self) -> Counter[Change]:
        found: Counter[Change] = Counter()
        for world in self.worlds:
            before = "signed_out"
            for fact in world.all(f.AgentChanged):
                found[before, fact.why, fact.state] += 1
                before = fact.state
            world.check()
        return found


def gone(world: World) -> None:
    world.tell(i.Reachable("sip:ann", False))


def there(world: World) -> None:
    world.tell(i.Reachable("sip:ann", True))


def direct(world: World) -> None:
    world.tell(i.DirectCall("ann", True))


def pause(world: World) -> None:
    world.tell(i.Pause("ann", "lunch"))


def sign_out(world: World) -> None:
    world.tell(i.SignOut("ann"))


def removed(world: World) -> None:
    world.tell(i.Configure(Config(teams={"t": Team(name="t")}, queues=world.state.config.queues)))


RESTS: dict[str, list[Callable[[World], None]]] = {
    "ready": [],
    "offline": [gone],
    "talking": [direct],
    "paused": [pause],
    "signed_out": [sign_out],
}


def to_ready(seen: Seen, **settings: object) -> World:
    world = seen.world(**settings)
    world.sign_in("ann")
    return world


def to_offered(seen: Seen, **settings: object) -> World:
    world = to_ready(seen, **settings)
    world.call("c1", "sales")
    return world


def to_talking(seen: Seen, **settings: object) -> World:
    world = to_offered(seen, **settings)
    world.answer("ann")
    return world


def to_hold(seen: Seen, **settings: object) -> World:
    world = to_talking(seen, **settings)
    world.tell(i.Hold("c1", "ann", True))
    return world


def to_consulting(seen: Seen, **settings: object) -> World:
    world = to_talking(seen, **settings)
    world.tell(i.Consult("c1", "ann", True))
    return world


def to_wrap_up(seen: Seen, **settings: object) -> World:
    world = to_talking(seen, wrap_up=WrapUp(seconds=30.0), **settings)
    world.finish("ann")
    return world


def to_paused(seen: Seen) -> World:
    world = to_ready(seen)
    pause(world)
    return world


def to_not_responding(seen: Seen) -> World:
    world = to_offered(seen)
    world.wait(20.0)
    world.tell(i.HangUp("c1"))
    return world


def to_offline(seen: Seen) -> World:
    world = to_ready(seen)
    gone(world)
    return world


SITUATIONS = {
    "ready": to_ready,
    "paused": to_paused,
    "offered": to_offered,
    "talking": to_talking,
    "hold": to_hold,
    "consulting": to_consulting,
    "wrap_up": to_wrap_up,
    "not_responding": to_not_responding,
    "offline": to_offline,
}


def work_ends(seen: Seen, to: Callable[..., World]) -> None:
    """By the agent and by the customer, into wrap-up and into each state of rest."""
    for end in (lambda world: world.finish("ann"), lambda world: world.tell(i.HangUp("c1"))):
        end(to(seen, wrap_up=WrapUp(seconds=30.0)))
        for meanwhile in RESTS.values():
            world = to(seen)
            for each in meanwhile:
                each(world)
            end(world)


def offer_ends(seen: Seen) -> None:
    ends: list[Callable[[World], object]] = [
        lambda world: world.reject("ann"),
        lambda world: world.wait(20.0),
        lambda world: world.tell(i.Unreachable(world.ringing["ann"].offer, "486")),
        lambda world: world.tell(i.HangUp("c1")),
    ]
    for end in ends:
        end(to_offered(seen, wrap_up=WrapUp(after="ring"), team=Team(name="t", misses=0)))
        end(to_offered(seen, on_reject="not_responding"))
        for name, meanwhile in RESTS.items():
            if name == "signed_out":
                continue  # who signs out takes back the offer itself
            world = to_offered(seen, team=Team(name="t", misses=0))
            for each in meanwhile:
                each(world)
            end(world)
    to_offered(seen).answer("ann")


def rest_is_left(seen: Seen) -> None:
    """Pauses, wrap-ups and silences end, while the telephone is gone or in a call."""
    for to in (to_paused, to_wrap_up, to_not_responding):
        for meanwhile in ([], [gone], [direct]):
            for end in (lambda world: world.tell(i.Ready("ann")), lambda world: world.wait(30.0)):
                world = to(seen)
                for each in meanwhile:
                    each(world)
                end(world)
    world = to_talking(seen, wrap_up=WrapUp(ends="timeboxed_strict", seconds=30.0))
    world.finish("ann")
    pause(world)
    world.wait(30.0)
    for meanwhile in ([], [direct]):
        world = to_offline(seen)
        for each in meanwhile:
            each(world)
        there(world)
    for meanwhile in ([], [gone], [pause], [sign_out]):
        world = to_ready(seen)
        direct(world)
        for each in meanwhile:
            each(world)
        if world.agent("ann").signed_in:
            world.free("ann")


def takes(world: World) -> None:
    world.tell(i.Take("elsewhere", "ann"))


def picks_up(world: World) -> None:
    """Who waits for somebody else."""
    world.call("c9", "out")
    world.tell(i.PickUp("c9", "ann"))


def orders(seen: Seen) -> None:
    for to in SITUATIONS.values():
        for order in (sign_out, removed, pause):
            world = to(seen)
            order(world)
            if "c1" in world.state.contacts and world.contact("c1").agents:
                world.finish("ann")
    world = to_ready(seen)
    direct(world)
    removed(world)
    for has in (takes, picks_up):
        for to in SITUATIONS.values():
            world = to(seen)
            if not world.agent("ann").contact or world.at("ann") == "wrap_up":
                has(world)
        world = to_ready(seen)
        direct(world)
        has(world)


def in_a_call(seen: Seen) -> None:
    world = to_talking(seen)
    world.tell(i.Hold("c1", "ann", True))
    world.tell(i.Hold("c1", "ann", False))
    world.tell(i.Hold("c1", "ann", True))
    world.tell(i.Consult("c1", "ann", True))
    world.tell(i.Hold("c1", "ann", True))
    world.tell(i.Consult("c1", "ann", True))
    world.tell(i.Consult("c1", "ann", False))


def sign_ins(seen: Seen) -> None:
    seen.world(team=Team(name="t", sign_in_as="paused")).sign_in("ann")
    world = seen.world()
    gone(world)
    world.sign_in("ann")


NEVER: set[Change] = {
    # With a contact an agent signs out after it, by its end.
    ("hold", "sign_out", "signed_out"),
    ("consulting", "sign_out", "signed_out"),
    # The offer is taken back first.
    ("offered", "configured", "signed_out"),
    # Who signs out, or is out of the configuration, is gone at once in these states: nothing waits for the end of them.
    *(
        (state, why, "signed_out")
        for state, why in (
            ("paused", "ready"),
            ("wrap_up", "ready"),
            ("wrap_up", "wrap_up_over"),
            ("not_responding", "ready"),
            ("offline", "phone_back"),
            ("talking", "direct_call_over"),
            *(("offered", how) for how in ("rejected", "missed", "unreachable", "withdrawn")),
        )
    ),
    # A pause that is asked for in these states begins at once.
    *(
        (state, why, "paused")
        for state, why in (
            ("paused", "ready"),
            ("wrap_up", "ready"),
            ("not_responding", "ready"),
            ("offline", "phone_back"),
        )
    ),
    # It has come back with `phone_back`.
    ("offline", "phone_back", "offline"),
    # It was another's call that ended: DirectCall says that there is none left.
    ("talking", "direct_call_over", "talking"),
    # An offer that is taken back is no fault of the agent.
    ("offered", "withdrawn", "not_responding"),
}


def test_each_change_of_the_table_happens() -> None:
    seen = Seen()
    work_ends(seen, to_talking)
    work_ends(seen, to_hold)
    work_ends(seen, to_consulting)
    for story in (offer_ends, rest_is_left, orders, in_a_call, sign_ins):
        story(seen)
    found = set(seen.changes())
    assert found <= ALL
    assert not (missing := sorted(ALL - found - NEVER)), missing
    assert not (stated := sorted(found & NEVER)), stated


@pytest.mark.parametrize("state", SITUATIONS)
def test_situations_are_what_they_are_called(state: str) -> None:
    world = SITUATIONS[state](Seen())
    assert world.at("ann") == state

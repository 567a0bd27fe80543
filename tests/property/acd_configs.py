"""Configurations of the ACD to draw from: small, and with all that there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from hypothesis import strategies as st

from acd.config import (
    STRICT,
    Agent,
    Announcement,
    CallbackRules,
    Config,
    Group,
    Limit,
    Queue,
    Relax,
    StrategyName,
    Team,
    WayOut,
    Widen,
    WrapUp,
)

AGENTS = [f"a{n}" for n in range(6)]
QUEUES = ["sales", "support", "night", "out"]
NEEDS: dict[str, Callable[[dict[str, int]], bool]] = {
    "": lambda has: True,
    "es": lambda has: has.get("es", 0) >= 1,
    "es>=50 and not sales": lambda has: has.get("es", 0) >= 50 and not has.get("sales", 0),
    "sales or es>=80": lambda has: has.get("sales", 0) >= 1 or has.get("es", 0) >= 80,
}
STRATEGIES: tuple[StrategyName, ...] = get_args(StrategyName)

agents = st.sampled_from(AGENTS)
numbers = st.integers(0, 9_999)
needs = st.sampled_from(["", "", "", *NEEDS])
seconds = st.sampled_from([1.0, 5.0, 20.0, 60.0])
ways = st.builds(
    WayOut,
    kind=st.sampled_from(["queue", "number", "voicemail", "ivr", "callback", "callback", "hangup"]),
    name=st.sampled_from(QUEUES),
    keep_wait=st.booleans(),
)
limits = st.builds(
    Limit,
    of=st.sampled_from(["no_agents", "none_ready", "length", "waited"]),
    to=ways,
    value=st.sampled_from([1.0, 3.0, 30.0]),
    waiting=st.booleans(),
)
wrap_ups = st.builds(
    WrapUp,
    after=st.sampled_from(["answered", "ring", "never"]),
    ends=st.sampled_from(["manual", "timeboxed", "timeboxed_strict"]),
    seconds=st.sampled_from([0.0, 10.0]),
)


@st.composite
def queues(draw: st.DrawFn, name: str) -> Queue:
    outbound, plain = name == "out", name == "sales"
    return Queue(
        name=name,
        team="one" if name != "night" else draw(st.sampled_from(["one", "two"])),
        needs="" if plain else draw(needs),
        relax=()
        if plain
        else tuple(
            Relax(after=10.0 * n, needs=draw(needs), own=draw(st.booleans())) for n in range(1, draw(st.integers(1, 3)))
        ),
        groups=() if plain else draw(st.sampled_from([(), ("g0",), ("g0", "g1")])),
        widen=tuple(Widen(after=15.0 * n, groups=("g1",)) for n in range(1, draw(st.integers(1, 2)) + 1)),
        strategy=draw(st.sampled_from(STRATEGIES)),
        ring_count=draw(st.integers(1, 3)),
        ring_seconds=draw(seconds),
        priority=draw(st.sampled_from([0.0, 1.0, 5.0])),
        vip=("7",),
        direction="outbound" if outbound else "inbound",
        wrap_up=draw(wrap_ups),
        affinity=draw(st.sampled_from([0.0, 20.0])),
        skip=draw(st.sampled_from([0.0, 10.0])),
        on_reject=draw(st.sampled_from(["ready", "not_responding"])),
        limits=() if plain else tuple(draw(st.lists(limits, max_size=2))),
        exits={"1": draw(ways)},
        emptied_to=draw(ways),
        return_within=draw(st.sampled_from([0.0, 60.0])),
        announcements=tuple(
            Announcement(what=what, first=3.0, every=every)
            for what, every in draw(
                st.sampled_from([(), (("position", 10.0),), (("welcome", 0.0), ("expected_wait", 7.0))])
            )
        ),
        callback=draw(
            st.sampled_from([CallbackRules(), CallbackRules(first="customer", attempts=2, retry={"busy": 5.0})])
        ),
    )


@st.composite
def configs(draw: st.DrawFn) -> Config:
    kept = [name for name in AGENTS if name == "a0" or draw(st.integers(0, 9))]
    there = [name for name in QUEUES if name == "sales" or draw(st.integers(0, 9))]
    return Config(
        version=str(draw(st.integers(0, 99))),
        seed=draw(st.integers(0, 9)),
        teams={
            "one": Team(
                name="one",
                ageing=draw(st.sampled_from([0.0, 10.0, STRICT])),
                window=100.0,
                misses=draw(st.integers(0, 2)),
            ),
            "two": Team(name="two", sign_in_as="paused"),
        },
        groups={"g0": Group(name="g0", team="one", administrators=("a0",))},
        agents={
            name: Agent(
                id=name,
                team="one" if name != "a5" else "two",
                groups=tuple(draw(st.sampled_from([("g0",), ("g1",), ("g0", "g1")]))),
                skills=draw(st.dictionaries(st.sampled_from(["es", "sales"]), st.integers(0, 100))),
                weights=draw(st.dictionaries(st.sampled_from(QUEUES), st.sampled_from([1.0, 3.0, 0.0]), max_size=2)),
                mode=draw(st.sampled_from(["inbound", "both", "both", "outbound", "self"])),
                wrap_up=draw(st.none() | wrap_ups),
                address=f"ext:{name}",
                direct_calls=draw(st.sampled_from(["busy", "free"])),
            )
            for name in kept
        },
        queues={name: draw(queues(name)) for name in there},
    )

"""docs/acd-contract.md holds: each sequence is played with the double of the switch, each input and effect is there."""

import re
from pathlib import Path
from typing import Any, NamedTuple, assert_never, get_args

import msgspec
import pytest
from acd_world import World, agent, config, queue

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import Announcement, CallbackRules, Config, Limit, Queue, WayOut
from acd.engine import Engine
from acd.resume import resume

DOCUMENT = (Path(__file__).parents[3] / "docs/acd-contract.md").read_text()
INPUTS: dict[str, Any] = {each.__name__: each for each in get_args(i.AnyInput)}
OF_OFFERS = (i.Accept, i.Reject, i.Unreachable)


def floor() -> tuple[list[Queue], list[Any]]:
    """As the document says."""
    queues = [
        queue("sales", callback=CallbackRules(), exits={"1": WayOut(kind="queue", name="help")}),
        queue(
            "help",
            strategy="ring_all",
            announcements=(Announcement(what="welcome"), Announcement(what="position", first=30.0)),
        ),
        queue("later", callback=CallbackRules(first="customer")),
        queue("campaign", direction="outbound"),
        queue("full", limits=(Limit(of="waited", value=60.0, to=WayOut(kind="voicemail", name="full")),)),
    ]
    return queues, [agent(name, mode="both") for name in ("ann", "bob")]


def without(gone: str) -> Config:
    queues, agents = floor()
    return config([each for each in queues if each.name != gone], agents)


# ---- sequences, read


class Step(NamedTuple):
    """`said`: an input as it is written, or seconds; `expected`: effects as they are written; `refused`: why."""

    said: str
    expected: list[str]
    refused: list[str]


def sequences() -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    sections = DOCUMENT.partition("\n## Sequences\n")[2].split("\n### ")[1:]
    for section in sections:
        title, _, rest = section.partition("\n")
        steps = found[title] = []
        for line in rest.partition("```\n")[2].partition("```")[0].splitlines():
            if told := re.search(r"(\w+\([^)]*\)) +-->$", line):
                steps.append(Step(told[1], [], []))
            elif waited := re.fullmatch(r"\.\.\. ([0-9]+) s", line):
                steps.append(Step(waited[1], [], []))
            elif done := re.search(r"<-- +(\w+\([^)]*\))$", line):
                steps[-1].expected.append(done[1])
            else:
                steps[-1].refused.append(line.strip().removeprefix("refused: "))
    return found


def read(written: str, offers: dict[tuple[str, str], int]) -> i.AnyInput:
    name, _, rest = written.removesuffix(")").partition("(")
    kind = INPUTS[name]
    words = [each.strip() for each in rest.split(",")]
    if kind is i.Configure:
        return i.Configure(without(words[0].removeprefix("without ")))
    if kind in OF_OFFERS:
        words = [str(offers[words[0], words[1]]), *words[2:]]
    named = dict(each.split("=") for each in words if "=" in each)
    positional = dict(zip(kind.__struct_fields__, [each for each in words if "=" not in each], strict=False))
    found: i.AnyInput = msgspec.convert({"type": name, **positional, **named}, kind, strict=False)
    return found


def written(effect: e.AnyEffect, offers: dict[int, tuple[str, str]]) -> str:
    match effect:
        case e.Offer():
            kind = "" if effect.kind == "call" else f", {effect.kind}"
            return f"Offer({effect.contact}, {effect.agent}{kind})"
        case e.Withdraw():
            return f"Withdraw({effect.contact}, {effect.agent}, {effect.why})"
        case e.Connect():
            return f"Connect({effect.contact}, {effect.agent})"
        case e.TooLate():
            return f"TooLate({', '.join(offers[effect.offer])})"
        case e.Announce():
            return f"Announce({effect.contact}, {effect.what})"
        case e.StopAnnouncing():
            return f"StopAnnouncing({effect.contact})"
        case e.SendTo():
            return f"SendTo({effect.contact}, {f'{effect.to.kind} {effect.to.name}'.strip()})"
        case e.CallCustomer():
            return f"CallCustomer({effect.callback}, {effect.contact}, {effect.agent or '-'})"
        case e.StopCalling():
            return f"StopCalling({effect.callback}, {effect.contact})"
        case _:
            assert_never(effect)


# ---- sequences, played


@pytest.mark.parametrize("title", sequences())
def test_the_engine_does_as_the_document_says(title: str) -> None:
    world = World(*floor())
    offers: dict[tuple[str, str], int] = {}
    for step in sequences()[title]:
        if step.said.isdigit():
            world.wait(float(step.said))
        elif step.refused:
            why = world.refused(read(step.said, offers))
            assert [re.sub(r"^offer [0-9]+", "offer N", why)] == step.refused
        else:
            world.tell(read(step.said, offers))
        offers |= {(each.contact, each.agent): each.offer for each in world.of(e.Offer)}
        names = {number: name for name, number in offers.items()}
        assert [written(each, names) for each in world.effects] == step.expected, step.said
    world.check()


def test_every_input_and_effect_is_in_the_document_and_in_a_sequence() -> None:
    tables, _, played = DOCUMENT.partition("\n## Sequences\n")
    for name in (*INPUTS, *(each.__name__ for each in get_args(e.AnyEffect))):
        assert f"\n| `{name}` |" in tables, name
    unplayed = {name for name in INPUTS if f" {name}(" not in played}
    assert unplayed == {"SignOut", "SetMode", "ExtendWrapUp", "Reachable", "CancelCallback", "Tick"}
    assert all(f"<--  {each.__name__}(" in played for each in get_args(e.AnyEffect))
    assert len(sequences()) == 14


# ---- restart


def busy() -> World:
    """Ann is rung, bob is on the line for a customer who is being called, c2 and b2 wait."""
    world = World(*floor())
    world.sign_in("bob")
    world.tell(i.AskCallback("b1", "+491", "sales"))
    world.answer("bob")
    world.sign_in("ann")
    world.call("c1", "sales")
    world.call("c2", "sales")
    world.tell(i.AskCallback("b2", "+492", "sales"))
    assert world.rings() == {"ann": "c1"}
    return world


def test_after_a_restart_calls_that_are_gone_are_told_at_the_time_of_the_latest_record() -> None:
    world = busy()
    world.engine = Engine(type(world.state).restore(world.state.snapshot()))
    there = list(world.state.contacts.values())
    gone = [each.id for each in there if each.kind != "callback" or each.offers or each.agents]
    assert gone == ["b1.1", "c1", "c2"]
    for contact in gone:
        world.tell(i.HangUp(contact))
    assert world.state.now == world.now
    assert not world.all(f.MissCounted)
    assert [(each.agent, each.contact) for each in resume(world.state, world.now)] == [("ann", "b2.1")], "who is left"
    world.now += 3600.0
    world.tell(i.Configure(world.state.config))
    assert world.state.callbacks.keys() == {"b1", "b2"}
    world.check()


def test_what_is_in_force_after_a_recovery_is_what_there_was() -> None:
    world = busy()
    state = type(world.state).restore(world.state.snapshot())
    ring, call = resume(state, world.now)
    assert ring == world.ringing["ann"]
    assert isinstance(call, e.CallCustomer)
    assert (call.callback, call.contact, call.number, call.agent) == ("b1", "b1.1", "+491", "bob")
    assert call.ring_seconds == CallbackRules().ring_seconds
    world.wait(10.0)
    assert [each.ring_seconds for each in resume(world.state, world.now) if isinstance(each, e.CallCustomer)] == [20.0]
    world.tell(i.CustomerCalled("b1", "answered"))
    assert [each for each in resume(world.state, world.now) if isinstance(each, e.Connect)] == [
        e.Connect(0, "b1.1", "bob")
    ]

"""What a new configuration would change, in words: one line for each thing, with who is affected by it.

    for line in changes(engine.state.config, new, engine.state): print(line)

Nothing is changed by it. `acd.reconfigure` does what is told here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from acd.agent import WORK
from acd.config import Agent, Config, Queue, Value, WayOut
from acd.contact import ContactState
from acd.expression import parse, reread
from acd.roster import Roster
from acd.state import State, asks

MAX_NAMES = 8
"""Names in one line; the others are counted."""
MAX_SHOWN = 60
"""Characters of a value."""

_AT_SIGN_IN = {"mode": "mode", "address": "telephone"}
"""Settings of an agent that count from its next sign-in on."""


def changes(old: Config, new: Config, state: State) -> list[str]:
    """From `old`, by whose rules `state` has come about, to `new`; empty where nothing changes."""
    return [
        *_in_section("team", old.teams, new.teams),
        *_skills(old, new),
        *_in_section("group", old.groups, new.groups),
        *_hours(old, new),
        *_queues(old, new, state),
        *_agents(old, new, state),
        *_order(old, new),
        *_contacts(old, new, state),
    ]


# ---- queues


def _queues(old: Config, new: Config, state: State) -> Iterator[str]:
    for name, queue in old.queues.items():
        if name not in new.queues:
            yield f"queue {name}: gone; {_emptied(name, queue, new, state)}"
        elif queue != new.queues[name]:
            yield f"queue {name}: {_differences(queue, new.queues[name])}"
    roster = Roster(new)
    for name, queue in new.queues.items():
        if name not in old.queues:
            able = int(roster.eligible(queue, parse(queue.needs)).sum())
            yield f"queue {name}: new; {_count(able, 'agent')} may serve it at once"


def _emptied(name: str, queue: Queue, new: Config, state: State) -> str:
    """Callbacks go on in another queue only where they wait for an agent, and the queue's way out is one."""
    way = queue.emptied_to
    moved = way.kind == "queue" and way.name in new.queues
    there = [contact for contact in state.contacts.values() if contact.queue == name]
    waiting = sum(moved or contact.kind != "callback" for contact in there)
    lost = sum(not moved and contact.kind == "callback" for contact in there)
    lost += sum(each.queue == name and not each.contact for each in state.callbacks.values())
    told = f"{_waits(waiting)}{_goes(waiting, way, new)}"
    if lost:
        told += f"; {_count(lost, 'callback')} of it {'is' if lost == 1 else 'are'} given up"
    return told


def _waits(waiting: int) -> str:
    if not waiting:
        return "nobody waits there"
    return f"{_count(waiting, 'contact')} {'waits' if waiting == 1 else 'wait'} there"


def _goes(waiting: int, way: WayOut, new: Config) -> str:
    if not waiting:
        return ""
    verb = " and goes" if waiting == 1 else " and go"
    match way.kind:
        case "hangup":
            return " and is hung up" if waiting == 1 else " and are hung up"
        case "queue" if way.name not in new.queues:
            return f"{verb} nowhere: queue {way.name} is gone, too"
        case _:
            return f"{verb} to {way.kind} {way.name}".rstrip()


# ---- agents


def _agents(old: Config, new: Config, state: State) -> Iterator[str]:
    for name, agent in old.agents.items():
        if name not in new.agents:
            yield f"agent {name}: gone; {_left(name, state)}"
        elif agent != new.agents[name]:
            yield f"agent {name}: {'; '.join(_of_agent(agent, new.agents[name], state))}"
    added = [name for name in new.agents if name not in old.agents]
    if added:
        yield f"{'agent' if len(added) == 1 else 'agents'} {_listed(added)}: new"


def _left(name: str, state: State) -> str:
    agent = state.agents.get(name)
    if agent is None or not agent.signed_in:
        return "not signed in"
    if agent.state in WORK and agent.contact:
        return f"has contact {agent.contact}, and signs out after it"
    if agent.state == "offered":
        return f"signs out at once; contact {agent.contact}, which it is being offered, goes to others"
    return f"is {agent.state.replace('_', ' ')}, and signs out at once"


def _of_agent(old: Agent, new: Agent, state: State) -> Iterator[str]:
    if old.skills != new.skills:
        yield f"skills {_levels(old.skills, new.skills)}"
    if old.weights != new.weights:
        yield f"weights {_levels(old.weights, new.weights)}"
    signed_in = old.id in state.agents and state.agents[old.id].signed_in
    for field, name in _AT_SIGN_IN.items():
        one, two = getattr(old, field), getattr(new, field)
        if one != two:
            yield f"{name} {_shown(one)} -> {_shown(two)}{', from its next sign-in on' if signed_in else ''}"
    same = {field: getattr(old, field) for field in ("skills", "weights", *_AT_SIGN_IN)}
    if rest := _differences(old, msgspec.structs.replace(new, **same)):
        yield rest


def _levels(old: Mapping[str, float], new: Mapping[str, float]) -> str:
    parts = [f"{name} {value:g} -> {new[name]:g}" for name, value in old.items() if new.get(name, value) != value]
    parts += [f"{name} gone" for name in old if name not in new]
    parts += [f"{name} {value:g} new" for name, value in new.items() if name not in old]
    return ", ".join(parts) or "in another order"


# ---- contacts


class _Asking(NamedTuple):
    """What decides who may have a contact, by the rules alone."""

    queue: str
    asks: str
    needs: str
    relaxed: int
    widened: int
    only: str


def _contacts(old: Config, new: Config, state: State) -> Iterator[str]:
    """Those who wait in queues that go on, for whom other agents count than before."""
    before, after = Roster(old), Roster(new)
    asking: dict[str, dict[_Asking, int]] = {}
    for contact in state.contacts.values():
        if contact.queue in old.queues and contact.queue in new.queues:
            counts = asking.setdefault(contact.queue, {})
            key = _asking(contact)
            counts[key] = counts.get(key, 0) + 1
    for name, counts in asking.items():
        lose = gain = alone = 0
        for key, count in counts.items():
            one = _able(before, old.queues[name], key.asks, key)
            queue = new.queues[name]
            needs = asks(queue, min(key.relaxed, len(queue.relax)), key.needs)
            # Who waits for one agent alone that may have it no more waits for anybody.
            two = _able(after, queue, needs, key) or _able(after, queue, needs, key._replace(only=""))
            lose += count * bool(one - two)
            gain += count * bool(two - one)
            alone += count * bool(one and not two)
        parts = []
        if lose:
            whole = f" ({alone} all of them)" if alone else ""
            parts.append(f"{lose} {'loses' if lose == 1 else 'lose'} agents who may have them{whole}")
        if gain:
            parts.append(f"{gain} {'gains' if gain == 1 else 'gain'} such agents")
        if parts:
            yield f"queue {name}: of {_count(sum(counts.values()), 'contact')} waiting {' and '.join(parts)}"


def _asking(contact: ContactState) -> _Asking:
    return _Asking(contact.queue, contact.asks, contact.needs, contact.relaxed, contact.widened, contact.only)


def _able(roster: Roster, queue: Queue, needs: str, key: _Asking) -> set[str]:
    """Agents who may have such a contact, were they free."""
    mask = roster.eligible(queue, reread(needs), min(key.widened, len(queue.widen)))
    return {name for name in (roster.ids[row] for row in mask.nonzero()[0]) if key.only in ("", name)}


# ---- the rest


def _hours(old: Config, new: Config) -> Iterator[str]:
    for line, name in _with_names("hours", old.hours, new.hours):
        used = [
            queue.name
            for queue in new.queues.values()
            if name in (queue.hours, queue.callback.hours if queue.callback else "")
        ]
        yield f"{line}; they are those of {'queue' if len(used) == 1 else 'queues'} {_listed(used)}" if used else line


def _in_section(kind: str, old: Mapping[str, Value], new: Mapping[str, Value]) -> Iterator[str]:
    for line, _ in _with_names(kind, old, new):
        yield line


def _with_names(kind: str, old: Mapping[str, Value], new: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    for name, value in old.items():
        if name not in new:
            yield f"{kind} {name}: gone", name
        elif value != new[name]:
            yield f"{kind} {name}: {_differences(value, new[name])}", name
    for name in new:
        if name not in old:
            yield f"{kind} {name}: new", name


def _skills(old: Config, new: Config) -> Iterator[str]:
    before, after = set(old.skills), set(new.skills)
    for what, names in (
        ("gone", [name for name in old.skills if name not in after]),
        ("new", [name for name in new.skills if name not in before]),
    ):
        if names:
            yield f"{'skill' if len(names) == 1 else 'skills'} {_listed(names)}: {what}"


def _order(old: Config, new: Config) -> Iterator[str]:
    """`fixed_order` and `round_robin` go by the order of agents, and equal places by that of queues."""
    for kind, one, two in (
        ("agents", list(old.agents), list(new.agents)),
        ("queues", list(old.queues), list(new.queues)),
    ):
        before, after = set(one), set(two)
        if [name for name in one if name in after] != [name for name in two if name in before]:
            yield f"{kind}: in another order"


def _differences(old: Value, new: Value) -> str:
    """The fields that differ, with their values where those are short."""
    parts = []
    for field in old.__struct_fields__:
        one, two = getattr(old, field), getattr(new, field)
        if one != two:
            simple = isinstance(one, str | int | float) and isinstance(two, str | int | float)
            shown = f" {_shown(one)} -> {_shown(two)}" if simple else ""
            parts.append(f"{field}{shown}" if len(shown) <= MAX_SHOWN else field)
    return ", ".join(parts)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return (value or "none") if isinstance(value, str) else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(names: list[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")

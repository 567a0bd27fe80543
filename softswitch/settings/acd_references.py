"""Names that must exist: skills, teams, groups of agents, agents, queues and opening hours that other places speak of.

Works on the tree, as `references` does, so that a wrong name is told together with wrong values elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from acd.expression import ExpressionError, parse
from softswitch.settings.acd_models import DEFAULT_TEAM
from softswitch.settings.columns import within
from softswitch.settings.ranges import section
from softswitch.settings.validation import unknown_name
from softswitch.settings.yaml_tree import Entry, Mapping, Mark, Node, Problem, Scalar, Sequence

_SECTIONS = {
    "skill": "skills",
    "team": "teams",
    "group of agents": "agent_groups",
    "agent": "agents",
    "queue": "queues",
    "set of opening hours": "hours",
    "extension": "extensions",
    "context": "dialplan",
}
_WAYS_OUT = {"queue": "queue", "voicemail": "extension"}


class _Reference(NamedTuple):
    """A name, what it names, and where it stands, or is left out."""

    kind: str
    name: str
    mark: Mark
    key: str
    written: bool = True


def check_acd_references(root: Mapping, unread: Collection[str] = ()) -> list[Problem]:
    """Every reference that leads nowhere. `unread`: sections of which something could not be read."""
    known = {kind: list(section(root.entries.get(name)).entries) for kind, name in _SECTIONS.items()}
    if "teams" not in root.entries:
        known["team"].append(DEFAULT_TEAM)
    sets = {kind: frozenset(names) for kind, names in known.items()}
    told: set[tuple[Mark, str]] = set()  # a range says it for many agents at one place
    problems = []
    for each in _references(root):
        what = (each.mark, each.kind)
        if each.name in sets[each.kind] or _SECTIONS[each.kind] in unread or what in told:
            continue
        told.add(what)
        message = unknown_name(each.kind, each.name, known[each.kind]) if each.written else _left_out(each, known)
        problems.append(Problem(each.mark, each.key, message))
    return problems


def _left_out(reference: _Reference, known: dict[str, list[str]]) -> str:
    kind, there = reference.kind, ", ".join(known[reference.kind][:10])
    return f"no {kind} {reference.name!r}, where it names none: expected '{kind}: NAME', one of {there}"


def _references(root: Mapping) -> Iterator[_Reference]:
    for entry in section(root.entries.get("agents")).entries.values():
        yield from _in_agent(section(entry), entry)
    for entry in section(root.entries.get("agent_groups")).entries.values():
        group = section(entry)
        yield from _team(group, entry)
        yield from _named("agent", group.get("administrators"))
    for entry in section(root.entries.get("queues")).entries.values():
        yield from _in_queue(section(entry), entry)


def _in_agent(agent: Mapping, entry: Entry) -> Iterator[_Reference]:
    yield from _team(agent, entry)
    yield from _named("group of agents", agent.get("groups"))
    for kind, key in (("skill", "skills"), ("queue", "weights")):
        for name, each in section(agent.entries.get(key)).entries.items():
            yield _Reference(kind, name, each.mark, each.node.key)
    telephone = agent.get("telephone")
    if isinstance(telephone, Mapping):
        yield from _named("extension", telephone.get("extension"))
        yield from _named("context", telephone.get("context"))
    elif isinstance(telephone, Scalar) and telephone.text != "chosen":
        yield from _named("extension", telephone)


def _in_queue(queue: Mapping, entry: Entry) -> Iterator[_Reference]:
    yield from _team(queue, entry)
    yield from _skills(queue.get("needs"))
    yield from _named("group of agents", queue.get("groups"))
    yield from _named("set of opening hours", queue.get("hours"))
    yield from _named("set of opening hours", section(queue.entries.get("callback")).get("hours"))
    yield from _named("context", queue.get("context"))
    yield from _in_steps(queue.get("relax"), lambda step: _skills(step.get("needs")))
    yield from _in_steps(queue.get("widen"), lambda step: _named("group of agents", step.get("groups")))
    yield from _in_steps(queue.get("limits"), lambda limit: _way_out(limit.get("to")))
    yield from _way_out(queue.get("emptied_to"))
    for each in section(queue.entries.get("exits")).entries.values():
        yield from _way_out(each.node)


def _in_steps(steps: Node | None, look: Callable[[Mapping], Iterator[_Reference]]) -> Iterator[_Reference]:
    for step in steps.items if isinstance(steps, Sequence) else ():
        if isinstance(step, Mapping):
            yield from look(step)


def _team(owner: Mapping, entry: Entry) -> Iterator[_Reference]:
    if "team" in owner.entries:
        yield from _named("team", owner.get("team"))
    else:
        yield _Reference("team", DEFAULT_TEAM, entry.mark, entry.node.key, written=False)


def _way_out(node: Node | None) -> Iterator[_Reference]:
    if isinstance(node, Mapping):
        for key, kind in _WAYS_OUT.items():
            yield from _named(kind, node.get(key))


def _skills(node: Node | None) -> Iterator[_Reference]:
    """Those of an expression, each at its column; what is no expression is told by the model."""
    if not isinstance(node, Scalar) or node.null:
        return
    try:
        found = parse(node.text).skills
    except ExpressionError:
        return
    for skill, column in found.items():
        yield _Reference("skill", skill, within(node, column, node.mark), node.key)


def _named(kind: str, node: Node | None) -> Iterator[_Reference]:
    """A name, or each of a list of names."""
    if isinstance(node, Scalar) and not node.null:
        yield _Reference(kind, node.text, node.mark, node.key)
    elif isinstance(node, Sequence):
        for item in node.items:
            if isinstance(item, Scalar):
                yield from _named(kind, item)

"""Teams never see each other: names of agents, queues and groups that lead from one into another are errors."""

from __future__ import annotations

from collections.abc import Iterator

from softswitch.settings.models import Settings
from softswitch.settings.yaml_tree import Mapping, Problem, Told

_Path = tuple[str | int, ...]


def team_errors(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """Each at the name that belongs to another team."""
    told = Told(root)
    sections = (("agent", settings.agents), ("queue", settings.queues), ("group", settings.agent_groups))
    teams = {(kind, name): each.team for kind, section in sections for name, each in section.items()}
    for path, kind, name, team in _across(settings):
        other = teams[kind, name]
        if other != team:
            yield from told.once(path, f"{kind} {name!r} is of team {other!r}: expected one of team {team!r}")


def _across(settings: Settings) -> Iterator[tuple[_Path, str, str, str]]:
    """Where a name stands, what it names, and the team that it is named in."""
    for name, group in settings.agent_groups.items():
        for index, agent in enumerate(group.administrators):
            yield ("agent_groups", name, "administrators", index), "agent", agent, group.team
    for name, each in settings.agents.items():
        for index, group_name in enumerate(each.groups):
            yield ("agents", name, "groups", index), "group", group_name, each.team
        for queue_name in each.weights:
            yield ("agents", name, "weights", queue_name), "queue", queue_name, each.team
    for name, queue in settings.queues.items():
        for index, group_name in enumerate(queue.groups):
            yield ("queues", name, "groups", index), "group", group_name, queue.team
        for number, step in enumerate(queue.widen):
            for index, group_name in enumerate(step.groups):
                yield ("queues", name, "widen", number, "groups", index), "group", group_name, queue.team
        for path, way in queue.ways_out.items():
            if way.queue is not None:
                yield ("queues", name, *path, "queue"), "queue", way.queue, queue.team

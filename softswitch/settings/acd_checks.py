"""Agents and queues that are allowed but hardly meant, as warnings: who can never meet, steps and limits that change
nothing, ways out that lead in a circle or nowhere."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from acd.config import Queue as Rules
from acd.expression import Bools, Levels, parse
from acd.roster import Roster
from softswitch.acd_wiring import acd_config, address_of
from softswitch.dialplan.decision import Reject
from softswitch.dialplan.routing import Dialplan
from softswitch.settings.models import Settings
from softswitch.settings.queue_models import Limit, Queue
from softswitch.settings.yaml_tree import Mapping, Mark, Problem, Told, place

MAX_MADE_UP = 1 << 14
"""Imaginary agents by which two expressions are compared; of more combinations of levels so many are drawn."""

_LEVEL = re.compile(r"([A-Za-z_][A-Za-z0-9._-]*)(?:[><=!]+([0-9]+))?")


def acd_warnings(settings: Settings, root: Mapping, dialplan: Dialplan) -> Iterator[Problem]:
    """In the order of the configuration, by kind."""
    if not settings.queues:
        return
    told = Told(root)
    yield from _never_meeting(settings, root, told)
    for name, queue in settings.queues.items():
        for path, message in _of_queue(name, queue, dialplan):
            yield from told.once(("queues", name, *path), message)
    yield from _circles(settings, told)
    yield from _telephones(settings, root, told, dialplan)


# ---- agents and queues


def _never_meeting(settings: Settings, root: Mapping, told: Told) -> Iterator[Problem]:
    """Queues that nobody serves, agents whom no queue reaches."""
    config = acd_config(settings)
    roster = Roster(config)
    modes = np.array([agent.mode for agent in roster.agents], np.str_)
    reached = np.zeros(len(roster), np.bool_)
    for name, rules in config.queues.items():
        mode = np.isin(modes, (rules.direction, "both", "self"))
        able = _able(roster, rules)
        if not (able & mode).any():
            yield from told.once(("queues", name), f"nobody can serve it: {_why_nobody(roster, rules, able)}")
        reached |= able & mode
    if not reached.any():
        return  # told of every queue
    lonely: dict[Mark, list[str]] = {}
    for row in np.flatnonzero(~reached):
        mark, _ = place(root, ("agents", roster.ids[row]))
        lonely.setdefault(mark, []).append(roster.ids[row])
    for agents in lonely.values():
        who = "it" if len(agents) == 1 else f"{len(agents)} of these agents, such as {agents[0]!r}"
        message = f"no queue reaches {who}: none asks for their team, groups, skills and mode"
        yield from told.once(("agents", agents[0]), message if len(agents) > 1 else message.replace("their", "its"))


def _able(roster: Roster, rules: Rules) -> Bools:
    """Who may have a contact of a queue, however long it waits: shape (agents,)."""
    widest = len(rules.widen)
    mask = roster.eligible(rules, parse(rules.needs), widest)
    for step in rules.relax:
        mask = mask | roster.eligible(rules, parse(step.needs), widest)
    return mask


def _why_nobody(roster: Roster, rules: Rules, able: Bools) -> str:
    if able.any():
        return f"who could takes no {rules.direction} contacts (see 'mode' of agents)"
    if not roster.team(rules.team).any():
        return f"team {rules.team!r} has no agents"
    if not roster.serving(rules, len(rules.widen)).any():
        return f"no agent is in group {', '.join(map(repr, rules.groups))}"
    return "no agent who serves it has the skills that it needs"


# ---- one queue


def _of_queue(name: str, queue: Queue, dialplan: Dialplan) -> Iterator[tuple[tuple[str | int, ...], str]]:
    yield from _steps(queue)
    yield from _beyond_the_wait(queue)
    yield from _limits(queue)
    if queue.hours is not None and queue.callback is None and all(each.when != "closed" for each in queue.limits):
        yield ("hours",), "closes nobody out: expected a limit with 'when: closed'"
    if queue.emptied_to.queue == name:
        yield ("emptied_to", "queue"), "the queue itself, which is gone then: who waits is hung up"
    for path, way in queue.ways_out.items():
        if way.number is not None:
            yield (*path, "number"), _nowhere(dialplan, queue.context, way.number)


def _steps(queue: Queue) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Steps after which fewer agents may take a contact than before, or the same."""
    before, own = queue.needs, True
    for index, step in enumerate(queue.relax):
        lost = who_loses(before, step.needs)
        message = ""
        if lost is not None:
            levels = ", ".join(f"{skill} {level}" for skill, level in lost.items()) or "no skills"
            message = f"stricter than before: an agent with {levels} was good enough for {before!r}, and is no more"
        elif step.own_needs and not own:
            message = "stricter than before: what a contact needs of its own counts again"
        elif step.own_needs == own and who_loses(step.needs, before) is None:
            message = f"relaxes nothing: it asks for what was asked for before, {before!r}"
        yield ("relax", index, "needs"), message
        before, own = step.needs, step.own_needs
    there = set(queue.groups)
    for number, widen in enumerate(queue.widen):
        for index, group in enumerate(widen.groups):
            known = f"group {group!r} serves the queue by then already" if group in there else ""
            yield ("widen", number, "groups", index), known
        there.update(widen.groups)


def who_loses(before: str, after: str) -> dict[str, int] | None:
    """Levels with which one has what `before` asks for, and not what `after` does; None: nobody loses.

    Looked for among imaginary agents, of all combinations of the levels at which either expression decides.
    """
    one, two = parse(before), parse(after)
    points: dict[str, set[int]] = {}
    for skill, level in _LEVEL.findall(f"{one} ; {two}"):
        if skill in one.skills or skill in two.skills:
            near = (int(level or 1) + offset for offset in (-1, 0, 1))
            points.setdefault(skill, {0, 100}).update(each for each in near if 0 <= each <= 100)
    skills = list(points)
    choices = [np.array(sorted(points[skill]), np.uint8) for skill in skills]
    count = math.prod(map(len, choices))
    if count <= MAX_MADE_UP:
        made_up = [each.ravel() for each in np.meshgrid(*choices, indexing="ij")]
    else:
        draw, count = np.random.default_rng(0), MAX_MADE_UP
        made_up = [draw.choice(each, count) for each in choices]
    columns: dict[str, Levels] = dict(zip(skills, made_up, strict=True))
    lost = np.flatnonzero(one.mask(columns.__getitem__, count) & ~two.mask(columns.__getitem__, count))
    if not len(lost):
        return None
    return {skill: int(column[lost[0]]) for skill, column in columns.items() if column[lost[0]]}


def _beyond_the_wait(queue: Queue) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What would come at a time at which nobody waits any more."""
    ends = [limit.reaches for limit in queue.limits if limit.when == "waited" and limit.reaches is not None]
    if not ends:
        return
    end = min(ends)
    times: list[tuple[tuple[str | int, ...], float]] = [
        *((("relax", index, "after"), step.after) for index, step in enumerate(queue.relax)),
        *((("widen", index, "after"), step.after) for index, step in enumerate(queue.widen)),
        *((("announcements", index, "first"), each.first) for index, each in enumerate(queue.announcements)),
    ]
    for path, at in times:
        if at >= end:
            yield path, f"never comes: a limit with 'when: waited' ends the wait at {end:g} seconds"


def _limits(queue: Queue) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Limits that can never be reached."""
    for index, limit in enumerate(queue.limits):
        if limit.when == "closed" and queue.hours is None:
            yield ("limits", index, "when"), "never reached: the queue has no 'hours', and is always open"
            continue
        for earlier, other in enumerate(queue.limits):
            if earlier != index and _takes_all(other, limit, earlier < index):
                yield ("limits", index, "when"), f"never reached: limits[{earlier}] takes all contacts before it"
                break


def _takes_all(other: Limit, limit: Limit, before: bool) -> bool:
    """Whether whoever would reach `limit` has been sent away by `other`."""
    if other.when == limit.when == "length":
        assert other.reaches is not None
        assert limit.reaches is not None
        return other.reaches < limit.reaches or (before and other.reaches == limit.reaches)
    if not before or (limit.waiting and not other.waiting):
        return False
    if other.when == limit.when:
        return (other.reaches or 0.0) <= (limit.reaches or 0.0)
    # Nobody is ready where nobody is signed in.
    return (other.when, limit.when) == ("none_ready", "no_agents")


# ---- ways out


def _circles(settings: Settings, told: Told) -> Iterator[Problem]:
    """Queues whose limits lead back to themselves: a contact that reaches all of them goes round until it is let go."""
    ways = {
        name: [(index, limit.to.queue) for index, limit in enumerate(queue.limits) if limit.to.queue is not None]
        for name, queue in settings.queues.items()
    }
    done: set[str] = set()
    for start in ways:
        # Depth first without recursion: `path` holds the queues from `start` to here, each with what is left of it.
        path = [] if start in done else [(start, iter(ways[start]))]
        while path:
            name, left = path[-1]
            index, following = next(left, (0, ""))
            names = [entered for entered, _ in path]
            if not following:
                done.add(name)
                path.pop()
            elif following in names:
                circle = " -> ".join([*names[names.index(following) :], following])
                message = f"overflow goes in a circle: {circle}"
                yield from told.once(("queues", name, "limits", index, "to", "queue"), message)
            elif following not in done:
                path.append((following, iter(ways[following])))


def _nowhere(dialplan: Dialplan, context: str, number: str) -> str:
    """Why a number can't be called; "" where it can."""
    *_, last = dialplan.explain(context, number)
    if not last.taken:
        return f"{number!r} leads nowhere in context {context!r}: {last.why}"
    found = dialplan.route(context, number)
    return f"{number!r} leads nowhere: {found.why_in(context)}" if isinstance(found, Reject) else ""


def _telephones(settings: Settings, root: Mapping, told: Told, dialplan: Dialplan) -> Iterator[Problem]:
    """Numbers that lead nowhere, and one telephone for a whole range of agents."""
    shared: dict[tuple[Mark, str], list[str]] = {}
    for name, agent in settings.agents.items():
        telephone = agent.telephone
        if telephone is None:
            continue
        if telephone.number is not None:
            message = _nowhere(dialplan, telephone.context, telephone.number)
            yield from told.once(("agents", name, "telephone", "number"), message)
        mark, _ = place(root, ("agents", name, "telephone"))
        shared.setdefault((mark, address_of(telephone)), []).append(name)
    for agents in shared.values():
        if len(agents) > 1:
            message = (
                f"one telephone for {len(agents)} agents, one of whom can be signed in: expected such as '{{agent}}'"
            )
            yield from told.once(("agents", agents[0], "telephone"), message)

"""Agents as columns: one row for each, in the order of the configuration.

What the one decision asks of thousands of agents at once is here as numpy columns: who is free, since when, how loaded,
how skilled, in which groups. `acd.agent.AgentState` is the truth; `note` copies what has changed of one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from acd.agent import AT_WORK, AgentState
from acd.config import Agent, Config, Queue
from acd.expression import Bools, Expression, Levels

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


class Roster:
    """All agents of all teams. `carried`: such as are in no configuration any more, but still at work."""

    __slots__ = (
        "_groups",
        "_levels",
        "_points",
        "_teams",
        "agents",
        "at_work",
        "calls",
        "config",
        "free_inbound",
        "free_outbound",
        "idle_seq",
        "idle_since",
        "ids",
        "loaded",
        "row",
        "signed_in",
        "talk",
        "works_inbound",
        "works_outbound",
    )

    def __init__(self, config: Config, carried: Iterable[Agent] = ()) -> None:
        self.config = config
        self.agents: list[Agent] = [*config.agents.values(), *carried]
        self.ids = [agent.id for agent in self.agents]
        self.row = {agent: row for row, agent in enumerate(self.ids)}
        count = len(self.ids)
        self.free_inbound = np.zeros(count, np.bool_)
        self.free_outbound = np.zeros(count, np.bool_)
        self.signed_in = np.zeros(count, np.bool_)
        self.at_work = np.zeros(count, np.bool_)
        self.works_inbound = np.zeros(count, np.bool_)
        self.works_outbound = np.zeros(count, np.bool_)
        self.idle_since = np.zeros(count)
        self.idle_seq = np.zeros(count, np.int64)  # in which order they became ready
        self.calls = np.zeros(count)
        self.talk = np.zeros(count)
        self.loaded = np.zeros(count)
        self._teams: dict[str, Bools] = {}
        self._groups: dict[tuple[str, str], Bools] = {}
        self._levels: dict[str, Levels] = {}
        self._points: dict[int, Floats] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def note(self, agent: AgentState) -> None:
        """An agent has changed."""
        row = self.row[agent.id]
        ready, signed_in = agent.state == "ready", agent.state != "signed_out"
        inbound, outbound = agent.mode != "outbound", agent.mode != "inbound"
        self.free_inbound[row], self.free_outbound[row] = ready and inbound, ready and outbound
        self.works_inbound[row], self.works_outbound[row] = signed_in and inbound, signed_in and outbound
        self.signed_in[row] = signed_in
        self.at_work[row] = agent.state in AT_WORK
        if ready:
            self.idle_since[row], self.idle_seq[row] = agent.since, agent.ready_seq
        self.calls[row], self.talk[row], self.loaded[row] = agent.calls, agent.talk, agent.loaded

    def free(self, queue: Queue) -> Bools:
        """Who could be offered a contact of this direction now."""
        return self.free_outbound if queue.direction == "outbound" else self.free_inbound

    def works(self, queue: Queue) -> Bools:
        """Who is signed in, and takes contacts of this direction."""
        return self.works_outbound if queue.direction == "outbound" else self.works_inbound

    def level(self, skill: str) -> Levels:
        """Of each agent in a skill: shape (agents,)."""
        column = self._levels.get(skill)
        if column is None:
            column = np.array([agent.skills.get(skill, 0) for agent in self.agents], np.uint8)
            self._levels[skill] = column
        return column

    def team(self, name: str) -> Bools:
        """Who is of a team: shape (agents,)."""
        mask = self._teams.get(name)
        if mask is None:
            mask = self._teams[name] = np.array([agent.team == name for agent in self.agents], np.bool_)
        return mask

    def serving(self, queue: Queue, widened: int) -> Bools:
        """Who serves a queue that has widened so far: shape (agents,)."""
        names = [*queue.groups, *(group for step in queue.widen[:widened] for group in step.groups)]
        if not queue.groups:
            return self.team(queue.team)
        return np.asarray(np.logical_or.reduce([self._group(queue.team, name) for name in names]))

    def eligible(self, queue: Queue, needs: Expression, widened: int = 0) -> Bools:
        """Who may have such a contact, were it free: shape (agents,)."""
        return self.serving(queue, widened) & needs.mask(self.level, len(self.ids))

    def proficiency(self, needs: Expression) -> NDArray[np.int32]:
        """The sum of levels that an expression asks for, of each agent: shape (agents,)."""
        return needs.proficiency(self.level, len(self.ids))

    def weights(self, queue: str, rows: Rows) -> Floats:
        """Points of these agents for a queue, as weights of a lot: at least a tiny one."""
        return np.array([max(self.agents[row].weights.get(queue, 1.0), 1e-6) for row in rows])

    def points(self, row: int) -> Floats | None:
        """What an agent's weights bring forward its contacts by, in seconds: shape (queues,); None: nothing."""
        agent = self.agents[row]
        if not agent.weights:
            return None
        found = self._points.get(row)
        if found is None:
            ageing = self.config.teams[agent.team].ageing
            found = np.array([agent.weights.get(queue, 0.0) * ageing for queue in self.config.queues])
            self._points[row] = found
        return found

    def loads(self, column: Floats, rows: Rows, window: float, now: float) -> Floats:
        """What is left of `calls` or `talk` of these agents now."""
        return np.asarray(column[rows] * np.exp((self.loaded[rows] - now) / window))

    def _group(self, team: str, name: str) -> Bools:
        mask = self._groups.get((team, name))
        if mask is None:
            mask = np.array([agent.team == team and name in agent.groups for agent in self.agents], np.bool_)
            self._groups[team, name] = mask
        return mask

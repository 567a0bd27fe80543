"""How agents stood to a contact at a moment, in words; and the words themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from acd.agent import AgentState
from acd.config import StrategyName
from acd.contact import ContactState
from acd.expression import Expression, reread
from acd.state import State

NAMES = 8
"""Agents that are named of each kind; of more it is told how many."""
TEXT = 80

RANKS: dict[StrategyName, Callable[[float, float], str]] = {
    "longest_idle": lambda key, now: f"ready for {seconds(now - key)}",
    "ring_all": lambda key, now: f"ready for {seconds(now - key)}",
    "ring_some": lambda key, now: f"ready for {seconds(now - key)}",
    "round_robin": lambda key, now: f"{key + 1:.0f} after the latest one served",
    "least_calls": lambda key, now: f"{key:.2f} calls in the window",
    "least_talk_time": lambda key, now: f"{seconds(key)} of talk in the window",
    "most_skilled": lambda key, now: f"{-key:.0f} in the skills asked for",
    "least_skilled": lambda key, now: f"{key:.0f} in the skills asked for",
    "fixed_order": lambda key, now: f"number {key + 1:.0f} of the configuration",
    "weighted_random": lambda key, now: f"drew {key:.4f}",
}
"""What the key of a candidate says, at a time."""


REACHED = {
    "closed": "as it is closed",
    "no_agents": "as no agent for it is signed in",
    "none_ready": "as no agent for it is at work",
    "length": "as it is full",
    "expected_wait": "as the wait would be too long",
    "waited": "as it has waited for too long",
}
"""What a limit says, by its name."""


def standing(state: State, contact: ContactState, clock: Callable[[float], str], but: str = "") -> list[str]:
    """The agents of the contact's team by what keeps each from it, a line for each kind; `but`: who is not told of."""
    roster, queue = state.roster, state.queue(contact.queue)
    needs = reread(contact.asks)
    serving = roster.serving(queue, contact.widened)
    skilled = needs.mask(roster.level, len(roster))
    kinds: dict[str, list[str]] = {}
    away = 0
    for row in np.flatnonzero(roster.team(queue.team)).tolist():
        agent = state.agents[roster.ids[row]]
        if agent.id == but:
            continue
        if not agent.signed_in:
            away += 1
            continue
        if not serving[row]:
            kind, told = "in none of its groups", agent.id
        elif not skilled[row]:
            kind, told = "not skilled for it", f"{agent.id} ({levels(state, needs, agent.id)})"
        elif contact.only and contact.only != agent.id:
            kind, told = f"not {contact.only}", agent.id
        elif agent.id in contact.skipped:
            kind, told = "skipped", f"{agent.id} (until {clock(contact.skipped[agent.id])})"
        elif not agent.takes(queue.direction):
            kind, told = f"not working {queue.direction}", agent.id
        else:
            kind, told = agent.state.replace("_", " "), state_of(agent)
        kinds.setdefault(kind, []).append(told)
    kinds.pop("ready", None)  # they are told of with their ranks
    lines = [f"{kind}: {names(found)}" for kind, found in kinds.items()]
    return [*lines, f"signed out: {away}"] if away else lines


def state_of(agent: AgentState) -> str:
    """Its name, and what it is about."""
    about = agent.reason or agent.contact or ("a direct call" if agent.state == "talking" else "")
    return f"{agent.id} ({clipped(about)})" if about else agent.id


def levels(state: State, needs: Expression, agent: str) -> str:
    """What an agent has of the skills that an expression names."""
    skills = state.settings(agent).skills
    return ", ".join(f"{skill} {skills.get(skill, 0)}" for skill in needs.skills)


def names(found: Iterable[str]) -> str:
    """The first of them."""
    listed = list(found)
    more = f" and {len(listed) - NAMES} more" if len(listed) > NAMES else ""
    return ", ".join(listed[:NAMES]) + more


def seconds(value: float) -> str:
    """35 s, 1.5 s"""
    return f"{round(value, 1):g} s" if value < 10_000.0 else f"{value:.0f} s"


def plural(count: int, what: str) -> str:
    return f"{'no' if count == 0 else count} {what}{'' if count == 1 else 's'}"


def clipped(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT]}..."

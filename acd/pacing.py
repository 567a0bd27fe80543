"""What a pacer of outbound calls needs to know, and how it gets agents.

A pacer asks `supply` how many agents a queue of direction `outbound` has now and will have soon, dials accordingly, and
tells the engine of calls with `Enqueue`: a `call` whose customer has answered, or a `reservation` for one that is still
being made (preview, progressive). These wait in places like all others, so that inbound and outbound work of blended
agents is shared by priority, weight and the time waited, and by nothing else. A reservation is an offer that rings
nobody: `Answered` when the customer answers, and the agent is rung; `HangUp` of the contact when nobody does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from acd.agent import HANDLING
from acd.contact import ContactState
from acd.state import State, asks
from acd.wait_estimate import at_work


class Supply(NamedTuple):
    """Agents who may have a queue's contacts. `ready`: now; `expected`: free within the time asked for, those who are
    ready included; `at_work`: in all; `waiting`: contacts of the queue that want one already."""

    ready: int
    expected: float
    at_work: int
    waiting: int


def supply(state: State, queue: str, within: float) -> Supply:
    """`within`: seconds from now. Who handles a contact is free by then with the probability of an exponential time of
    the queue's mean; who wraps up by time, when that is over."""
    settings = state.queue(queue)
    row = state.row_of(ContactState("", queue=queue, asks=asks(settings, 0, "")))
    mask = state.classes.mask(row) & at_work(state, settings)
    free = state.roster.free(settings)
    expected = 0.0
    for agent in (state.agents[state.roster.ids[each]] for each in np.flatnonzero(mask & ~free).tolist()):
        if not agent.after:
            expected += _free_within(state, agent.id, within)
    ready = int((mask & free).sum())
    return Supply(ready, ready + expected, int(mask.sum()), state.waiting(queue))


def _free_within(state: State, name: str, within: float) -> float:
    agent = state.agents[name]
    if agent.state == "wrap_up" and agent.until:
        return float(agent.until <= state.now + within)
    handling = state.handling.get(agent.queue)
    if agent.state not in HANDLING or handling is None or handling.mean <= 0.0:
        return 0.0
    return 1.0 - math.exp(-within / handling.mean)

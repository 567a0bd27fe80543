"""Whether a contact may come into a queue, or go on waiting there.

Each limit has a way out of its own; the first that is reached, in the order of the configuration, decides.
"""

from __future__ import annotations

from typing import assert_never

from acd.config import Limit, Queue
from acd.contact import ContactState
from acd.expression import Bools, reread
from acd.hours import is_open, next_change
from acd.state import State, asks
from acd.wait_estimate import estimate

RECHECK = 30.0
"""Seconds after which the expected wait of those who wait is held against its limit again."""

BY_AGENTS = frozenset(("no_agents", "none_ready"))


def at_entry(state: State, queue: Queue, contact: ContactState) -> Limit | None:
    """What keeps a contact out that has just been put into the queue, and stands in no line yet."""
    return next((limit for limit in queue.limits if _reached(state, queue, limit, contact, entry=True)), None)


def while_waiting(state: State, queue: Queue, contact: ContactState) -> Limit | None:
    """What sends a contact out that waits."""
    for limit in queue.limits:
        if (limit.waiting or limit.of == "waited") and _reached(state, queue, limit, contact, entry=False):
            return limit
    return None


def by_agents(queue: Queue) -> bool:
    """Whether those who wait are to go when there are no agents for them."""
    return any(limit.waiting and limit.of in BY_AGENTS for limit in queue.limits)


def without_agents(state: State, queue: Queue, contact: ContactState) -> Limit | None:
    """The same as `while_waiting`, as far as it hangs on who is there."""
    for limit in queue.limits:
        if limit.waiting and limit.of in BY_AGENTS and _reached(state, queue, limit, contact, entry=False):
            return limit
    return None


def look_again(state: State, queue: Queue, contact: ContactState) -> float:
    """When the next limit may be reached by time alone; 0.0: never."""
    times = []
    for limit in queue.limits:
        if limit.of == "waited":
            times.append(contact.since + limit.value)
        elif limit.waiting and limit.of == "closed" and queue.hours:
            times.append(next_change(state.config.hours[queue.hours], state.now))
        elif limit.waiting and limit.of == "expected_wait":
            times.append(state.now + RECHECK)
    return min((at for at in times if at > state.now), default=0.0)


def serving(state: State, queue: Queue, contact: ContactState) -> Bools:
    """Who might have a contact however far it is relaxed and the queue widened: shape (agents,)."""
    widest = len(queue.widen)
    steps = [reread(asks(queue, step, contact.needs)) for step in range(len(queue.relax) + 1)]
    mask = state.roster.eligible(queue, steps[0], widest)
    for needs in steps[1:]:
        mask = mask | state.roster.eligible(queue, needs, widest)
    return mask


def _reached(state: State, queue: Queue, limit: Limit, contact: ContactState, entry: bool) -> bool:
    match limit.of:
        case "closed":
            return bool(queue.hours) and not is_open(state.config.hours[queue.hours], state.now)
        case "no_agents":
            return not (serving(state, queue, contact) & state.roster.signed_in).any()
        case "none_ready":
            return not (serving(state, queue, contact) & state.roster.at_work).any()
        case "length":
            return entry and state.waiting(queue.name) >= limit.value
        case "expected_wait":
            wait = estimate(state, contact)
            return wait is not None and wait.low > limit.value
        case "waited":
            return state.now >= contact.since + limit.value
        case _:
            assert_never(limit.of)

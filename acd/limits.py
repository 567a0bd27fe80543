"""Whether a contact may come into a queue, or go on waiting there.

Each limit has a way out of its own; the first that is reached, in the order of the configuration, decides.
"""

from __future__ import annotations

from typing import assert_never

from acd.config import Limit, Queue
from acd.contact import ContactState
from acd.hours import is_open, next_change
from acd.state import State
from acd.wait_estimate import at_work, estimate

BY_TIME = frozenset(("waited", "expected_wait"))
"""What a caller on the line has to be spared."""

RECHECK = 30.0
"""Seconds after which the expected wait of those who wait is held against its limit again."""


def at_entry(state: State, queue: Queue, contact: ContactState) -> Limit | None:
    """What keeps a contact out that has just been put into the queue, and stands in no line yet."""
    return next((limit for limit in queue.limits if _reached(state, queue, limit, contact, entry=True)), None)


def while_waiting(state: State, queue: Queue, contact: ContactState) -> Limit | None:
    """What sends a contact out that waits."""
    for limit in queue.limits:
        if _holds(limit, contact) and _reached(state, queue, limit, contact, entry=False):
            return limit
    return None


def _holds(limit: Limit, contact: ContactState) -> bool:
    """Whether a limit is looked at for a contact that waits. Who is not on the line waits as long as it takes, but may
    flow over into another queue."""
    if contact.kind != "call" and limit.of in BY_TIME and limit.to.kind != "queue":
        return False
    return limit.waiting or limit.of == "waited"


def _begin(contact: ContactState) -> float:
    """From when on its wait counts. A customer who was called has not waited on the line before."""
    return max(contact.since, contact.reached)


def without_agents(state: State, queue: Queue, needs: str) -> Limit | None:
    """The same as `while_waiting`, as far as it hangs on who is there: the same for all who need the same."""
    for limit in queue.limits:
        if limit.waiting and (
            (limit.of == "no_agents" and nobody_signed_in(state, queue, needs))
            or (limit.of == "none_ready" and nobody_at_work(state, queue, needs))
        ):
            return limit
    return None


def nobody_signed_in(state: State, queue: Queue, needs: str) -> bool:
    """Of those who might have such a contact, in its direction."""
    return not (state.serving(queue, needs) & state.roster.works(queue)).any()


def nobody_at_work(state: State, queue: Queue, needs: str) -> bool:
    return not (state.serving(queue, needs) & at_work(state, queue)).any()


def look_again(state: State, queue: Queue, contact: ContactState) -> float:
    """When the next limit may be reached by time alone; 0.0: never."""
    times = []
    for limit in queue.limits:
        if not _holds(limit, contact):
            continue
        if limit.of == "waited":
            times.append(_begin(contact) + limit.value)
        elif limit.of == "closed" and queue.hours:
            times.append(next_change(state.config.hours[queue.hours], state.now))
        elif limit.of == "expected_wait":
            times.append(state.now + RECHECK)
    return min((at for at in times if at > state.now), default=0.0)


def _reached(state: State, queue: Queue, limit: Limit, contact: ContactState, entry: bool) -> bool:
    match limit.of:
        case "closed":
            return bool(queue.hours) and not is_open(state.config.hours[queue.hours], state.now)
        case "no_agents":
            return nobody_signed_in(state, queue, contact.needs)
        case "none_ready":
            return nobody_at_work(state, queue, contact.needs)
        case "length":
            return entry and state.waiting(queue.name) >= limit.value
        case "expected_wait":
            wait = estimate(state, contact)
            return wait is not None and wait.low > limit.value
        case "waited":
            return state.now >= _begin(contact) + limit.value
        case _:
            assert_never(limit.of)

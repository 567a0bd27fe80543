"""How long a contact that waits is likely to wait still: a range, or unknown.

Before it come the contacts with an earlier place, in its own queue and in others, as far as the same agents may have
them: of another class counts the part of whose agents may have this contact, too (Classes.overlap). All these and the
contact itself go one after the other to the m agents at work who may have it. They all are busy, else it would not
wait, and one of them is free every h / m seconds, h being the mean handling time of the queue lately. So with n
contacts before it the wait is a sum of n + 1 such intervals; taken as exponential they make an Erlang distribution,
mean (n + 1) h / m, standard deviation sqrt(n + 1) h / m, of which the range holds about the middle 80 %.

What it leaves out: contacts that come later and are served sooner, callers who give up before their turn, agents who
come or go. Where a queue's places in its rows are not needed exactly, they are taken as evenly spread between the first
and the last: an estimate costs the same however many wait.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from acd.config import Queue
from acd.contact import ContactState
from acd.expression import Bools
from acd.state import State

ENOUGH = 5
"""Contacts handled in a queue before its times say something."""
SPREAD = 1.28
"""Standard deviations between the mean and either end of the range."""


class Wait(NamedTuple):
    """Seconds from now."""

    low: float
    high: float


def estimate(state: State, contact: ContactState) -> Wait | None:
    """None: nothing is known."""
    handling = state.handling.get(contact.queue)
    classes = state.classes
    row = state.row_of(contact)
    agents = int((classes.mask(row) & at_work(state, state.queue(contact.queue))).sum())
    if handling is None or handling.count < ENOUGH or not agents:
        return None
    turns = ahead(state, contact, row) + 1.0
    each = handling.mean / agents
    spread = SPREAD * math.sqrt(turns) * each
    return Wait(max(turns * each - spread, 0.0), turns * each + spread)


def at_work(state: State, queue: Queue) -> Bools:
    """Who is free for contacts of a queue's direction, or will be: shape (agents,)."""
    return state.roster.at_work & state.roster.works(queue)


def ahead(state: State, contact: ContactState, row: int) -> float:
    """How many contacts come before one, in all queues, as far as the same agents may have them."""
    classes = state.classes
    overlap = classes.overlap(row)
    rows = len(overlap)
    head, tail, count = classes.head[:rows], classes.tail[:rows], classes.count[:rows]
    there = np.flatnonzero((count > 0) & (overlap > 0.0) & (head < contact.place))
    others = there[classes.queue[there] != classes.queue[row]]
    span = np.maximum(tail[others] - head[others], 1e-9)
    part = np.minimum((contact.place - head[others]) / span, 1.0)
    # Rows have no order of their own: a sum whose result hangs on none.
    counted = math.fsum((part * count[others] * overlap[others]).tolist())
    return counted + classes.ahead(contact.queue, contact.waiter)

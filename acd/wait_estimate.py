"""How long a contact that waits is likely to wait still: a range, or unknown.

Before it come the contacts with an earlier place, in its own queue and in others, as far as the same agents may have
them: of another class counts the part of whose agents may have this contact, too (Classes.overlap); who is being rung
for already counts no more. All these and the contact itself go one after the other to the m agents at work who may have
it. They all are busy, else it would not wait, and one of them is free every h / m seconds, h being the mean handling
time of the queue lately. Meanwhile each of those before it gives up at the rate r at which those who wait in this queue
lately did: with k before it the next one goes at the rate m / h + k r. So with n contacts before it the wait is a sum
of n + 1 intervals, taken as exponential, of these rates for k = n, ..., 0 (Whitt 1999, Predicting queueing delays; the
predictor QLm of Ibrahim and Whitt 2009), of which the range, mean and standard deviations, holds about the middle 80 %.

Where one class has waiting more for each of its agents than that, these agents are lost to the others: the wait is then
what it is with the rest of the agents, and without the contacts of that class, if that is shorter.

What it leaves out: contacts that come later and are served sooner, agents who come or go. Where a queue's places in its
rows are not needed exactly, they are taken as evenly spread between the first and the last: an estimate costs the same
however many wait.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from acd.config import Queue
from acd.contact import ContactState
from acd.expression import Bools
from acd.roster import Floats
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
    row = state.row_of(contact)
    mask = state.classes.mask(row) & at_work(state, state.queue(contact.queue))
    agents = int(mask.sum())
    if handling is None or handling.count < ENOUGH or handling.mean <= 0.0 or not agents:
        return None
    line = before(state, contact, row)
    turns = ahead(state, contact, row, line)
    turns, agents = min((turns, agents), _besides(state, row, mask, line, turns), key=lambda each: each[0] / each[1])
    impatience = state.impatience.get(contact.queue)
    mean, variance = passage(turns, agents / handling.mean, 0.0 if impatience is None else impatience.rate)
    spread = SPREAD * math.sqrt(variance)
    return Wait(max(mean - spread, 0.0), mean + spread)


def at_work(state: State, queue: Queue) -> Bools:
    """Who is free for contacts of a queue's direction, or will be: shape (agents,)."""
    return state.roster.at_work & state.roster.works(queue)


def passage(turns: float, served: float, leaving: float) -> tuple[float, float]:
    """Mean and variance of the seconds until one with so many before it is served, at these rates a second: `served`,
    of all together, and `leaving`, of each before it. The sums of 1 / (served + k leaving), and of its squares, for k
    from 1 to `turns` by the midpoint rule."""
    first, each = 1.0 / served, leaving / served
    if each * turns < 1e-6:
        return (turns + 1.0) * first, (turns + 1.0) * first * first
    near, far = 1.0 + each / 2.0, 1.0 + each * (turns + 0.5)
    mean = first * (1.0 + math.log(far / near) / each)
    return mean, first * first * (1.0 + (1.0 / near - 1.0 / far) / each)


def before(state: State, contact: ContactState, row: int) -> Floats:
    """How many contacts of each class that shares agents with this one have an earlier place: shape (rows,)."""
    classes = state.classes
    overlap = classes.overlap(row)
    rows = len(overlap)
    line = np.zeros(rows)
    head, tail, count = classes.head[:rows], classes.tail[:rows], classes.count[:rows]
    there = np.flatnonzero((count > 0) & (overlap > 0.0) & (head < contact.place))
    span = np.maximum(tail[there] - head[there], 1e-9)
    line[there] = np.minimum((contact.place - head[there]) / span, 1.0) * count[there]
    for own in classes.queue_rows.get(contact.queue, ()):
        line[own] = classes.waiting(own).bisect_left(contact.waiter) if overlap[own] else 0.0
    return line


def ahead(state: State, contact: ContactState, row: int, line: Floats) -> float:
    """How many contacts come before one, in all queues, as far as the same agents may have them."""
    # Rows have no order of their own: a sum whose result hangs on none.
    return math.fsum((line * state.classes.overlap(row)).tolist()) + state.classes.alone_before(row, contact.waiter)


def _besides(state: State, row: int, mask: Bools, line: Floats, turns: float) -> tuple[float, int]:
    """Turns and agents without those whom the class with the longest line for each of its agents keeps busy."""
    classes = state.classes
    whole, share = (turns, int(mask.sum())), line / np.maximum(classes.size[: len(line)], 1)
    longest = float(share.max(initial=0.0))
    if longest <= turns / max(int(classes.size[row]), 1):
        return whole
    slow = min(np.flatnonzero(share == longest).tolist(), key=classes.key)
    agents = int((mask & ~classes.mask(slow)).sum())
    if not agents:
        return whole
    lost = classes.overlap(slow)
    kept = np.maximum(classes.overlap(row) - lost, 0.0) / np.maximum(1.0 - lost, 1e-9)
    return math.fsum((line * kept).tolist()), agents

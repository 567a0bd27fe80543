"""How long a contact that waits is likely to wait still: a range, or unknown.

Before it come the contacts with an earlier place, in its own queue and in others, as far as the same agents may have
them: of another class counts the part of whose agents may have this contact, too (Classes.overlap); who is being rung
for already counts no more. All these and the contact itself go one after the other to the m agents at work who may have
it. They all are busy, else it would not wait, and one of them is free every h / m seconds, h being the mean handling
time of the queue lately. Meanwhile each of those before it gives up at the rate r at which those who wait in this queue
lately did: with k before it the next one goes at the rate m / h + k r. So with n contacts before it the wait is a sum
of n + 1 intervals, taken as exponential, of these rates for k = n, ..., 0 (Whitt 1999, Predicting queueing delays; the
predictor QLm of Ibrahim and Whitt 2009), of which the range, mean and standard deviations, holds about the middle 80 %.

Where steps relax the needs or widen the queue it is served by then, or by the agents who may have it from then on: at
once, where one of them has nothing to do now, else after those before it whom they have not served by then.

Where one class has waiting more for each of its agents than that, these agents are lost to the others: the wait is then
what it is with the rest of the agents, and without the contacts of that class, if that is shorter.

Contacts that come later into queues of a higher priority are served sooner, as long as such as come have an earlier
place: they come at the rate at which callers lately did, counted as above, and take a turn each until then, or until
this contact is served.

What it leaves out: the priority of contacts that come later, that of their queue apart, and agents who come or go.
Where a queue's places in its rows are not needed exactly, they are taken as evenly spread between the first and the
last: an estimate costs the same however many wait.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from acd.classes import ClassKey
from acd.config import Queue
from acd.contact import ContactState
from acd.expression import Bools
from acd.roster import Floats
from acd.state import State, asks

CLOSE = 0.01
"""Part of the turns of a wait by which it may be off where others overtake."""
WIDEST = 1.5
"""Standard deviations of a wait in its mean, at most: where more come than are served a busy period has no end."""
MANY = 200.0
"""Turns until a step, of which their number is as good as known."""
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
    if handling is None or handling.count < ENOUGH or handling.mean <= 0.0:
        return None
    impatience = state.impatience.get(contact.queue)
    leaving = 0.0 if impatience is None else impatience.rate
    queue = state.queue(contact.queue)
    stages = _stages(state, queue, contact)
    now = state.classes.mask(stages[0][1])
    after: Moments | None = None
    for index in reversed(range(len(stages))):
        at, row = stages[index]
        if index and (state.classes.mask(row) & state.roster.free(queue) & ~now).any():
            after = Moments(0.0, 0.0)  # somebody is waiting for nothing else
            continue
        own = _in_class(state, contact, queue, row, at, handling.mean, leaving)
        if index + 1 < len(stages) and after is not None:
            after = until(own, stages[index + 1][0] - at, after)
        else:
            after = None if own is None else Moments(own.mean, own.mean * own.mean + own.variance)
    if after is None:
        return None
    spread = SPREAD * math.sqrt(max(after.square - after.mean * after.mean, 0.0))
    return Wait(max(after.mean - spread, 0.0), after.mean + spread)


class Moments(NamedTuple):
    """Of a time that is left: mean, and mean of the square."""

    mean: float
    square: float


class InClass(NamedTuple):
    """What the wait would be if nothing else became of the class: `turns` until it is served."""

    turns: float
    mean: float
    variance: float


def _stages(state: State, queue: Queue, contact: ContactState) -> list[tuple[float, int]]:
    """The class that a contact is of, and those that it will be of: in so many seconds, which row."""
    found = [(0.0, state.row_of(contact))]
    if contact.only or not (queue.relax or queue.widen):
        return found
    steps = {each.after for each in queue.relax} | {each.after for each in queue.widen}
    for after in sorted(each for each in steps if contact.since + each > state.now):
        relaxed = sum(each.after <= after for each in queue.relax)
        widened = sum(each.after <= after for each in queue.widen)
        row = state.classes.row(ClassKey(queue.name, asks(queue, relaxed, contact.needs), widened))
        found.append((contact.since + after - state.now, row))
    return found


def _in_class(
    state: State, contact: ContactState, queue: Queue, row: int, at: float, handling: float, leaving: float
) -> InClass | None:
    """From `at` seconds on, until when its agents have served some of those before it; None: there is nobody."""
    mask = state.classes.mask(row) & at_work(state, queue)
    agents = int(mask.sum())
    if not agents:
        return None
    line = before(state, contact, row)
    turns = ahead(state, contact, row, line)
    turns, agents = min((turns, agents), _besides(state, row, mask, line, turns), key=lambda each: each[0] / each[1])
    coming = overtaking(state, contact, queue, row)
    turns += sum(rate * min(at, seconds) for rate, seconds in coming)
    turns = max(turns - at * agents / handling, 0.0)
    coming = [(rate, seconds - at) for rate, seconds in coming if seconds > at]
    return overtaken(turns, agents / handling, leaving, coming)


def overtaking(state: State, contact: ContactState, queue: Queue, row: int) -> list[tuple[float, float]]:
    """Of each queue from which contacts that come later may be served sooner: how many a second that the same agents
    may have, and for how many seconds from now on such as come have an earlier place."""
    found = []
    ageing = state.config.teams[queue.team].ageing
    for other in state.urgent[queue.team]:
        seconds = contact.place + other.priority * ageing - state.now
        if seconds <= 0.0:
            break  # as for all after it
        arrivals = state.arrivals.get(other.name)
        rate = 0.0 if arrivals is None else arrivals.rate(state.now)
        if rate > 0.0:
            its = state.classes.row(ClassKey(other.name, asks(other, 0, ""), 0))
            found.append((rate * float(state.classes.overlap(row)[its]), seconds))
    return found


def overtaken(turns: float, served: float, leaving: float, coming: list[tuple[float, float]]) -> InClass:
    """As `passage`, with those who come meanwhile at these rates, each for so many seconds: with `theirs` turns of
    them, as many as come, in the mean, until either that is over or this one is served (`lesser`)."""
    most = sum(rate * seconds for rate, seconds in coming)
    low, high, found = 0.0, most, InClass(turns + 1.0, *passage(turns, served, leaving))
    while high - low > CLOSE * (turns + 1.0 + low):
        theirs = (low + high) / 2.0
        mean, variance = passage(turns + theirs, served, leaving)
        variance *= _spread(theirs / (turns + 1.0 + theirs), theirs / most)
        found = InClass(turns + 1.0 + theirs, mean, min(variance, (WIDEST * mean) ** 2))
        if sum(rate * lesser(found.mean, found.variance, seconds) for rate, seconds in coming) > theirs:
            low = theirs
        else:
            high = theirs
    return found


def _spread(part: float, over: float) -> float:
    """How many times the variance of so many turns their sum has, of which that part are of those who overtake. As long
    as they come it is that of a busy period (M/M/1 with the service rate of all agents; Kleinrock 1975, 5.8), and after
    that, `over` of all who could having come, their number is one of a Poisson distribution."""
    return (1.0 + part) * ((1.0 - over) / (1.0 - part) ** 2 + over)


def lesser(mean: float, variance: float, seconds: float) -> float:
    """The mean of the lesser of a time and so many seconds, the time taken as normal."""
    spread = math.sqrt(variance)
    z = (seconds - mean) / spread
    density = math.exp(-z * z / 2.0) / math.sqrt(2.0 * math.pi)
    return max(seconds - (seconds - mean) * math.erfc(-z / math.sqrt(2.0)) / 2.0 - spread * density, 0.0)


def until(own: InClass | None, seconds: float, after: Moments) -> Moments:
    """Of a wait that is `own`, taken as a sum of that many exponential times, but for so many seconds at most, after
    which it is another. With N turns by then, of a Poisson distribution: the mean of the first part is that of
    min(N, turns) of these times, and it comes to the other with the probability that N is less than `turns`."""
    if own is None:
        return Moments(seconds + after.mean, seconds * seconds + 2.0 * seconds * after.mean + after.square)
    turns = max(round(own.turns), 1)
    each = own.mean / turns
    expected = seconds / each
    if expected > MANY or turns > expected + 10.0 * math.sqrt(expected) + 10.0:
        if turns > expected:
            return until(None, seconds, after)
        return Moments(own.mean, own.mean * own.mean + own.variance)
    term = less = math.exp(-expected)  # of N = 0, and of N less than 1
    mean = square = 0.0
    for number in range(turns):
        mean += each * (1.0 - less)  # N > number
        term *= expected / (number + 1)
        if number + 1 < turns:
            less += term
        square += 2.0 * (number + 1) * each * each * (1.0 - less - (term if number + 1 == turns else 0.0))
    return Moments(mean + less * after.mean, square + less * (2.0 * seconds * after.mean + after.square))


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

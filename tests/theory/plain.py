"""The same models as a few lines of recursion, with nothing of the engine: what each single contact has to wait, and so
fast that millions of them can be had.

`time`: when each contact comes, in order; `talk`, `patience`: seconds. The result has a number for each contact: the
seconds that it waited before the answer, or -1 less the seconds after which it gave up.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence

from tests.theory.oracles import Design


def one_queue(
    time: Sequence[float], talk: Sequence[float], patience: Sequence[float] | None, agents: int
) -> list[float]:
    """First come, first served (Kiefer and Wolfowitz 1955): a contact waits for the first agent who is through with all
    that came before; who gives up before that takes nobody's time."""
    free = [-math.inf] * agents
    waits = []
    for row, (came, seconds) in enumerate(zip(time, talk, strict=True)):
        wait = max(free[0] - came, 0.0)
        if patience is not None and wait > patience[row]:
            waits.append(-1.0 - patience[row])
        else:
            waits.append(wait)
            heapq.heapreplace(free, max(came, free[0]) + seconds)
    return waits


def two_queues(time: Sequence[float], talk: Sequence[float], of_b: Sequence[bool], design: Design) -> list[float]:
    """The rule of `Design`. `of_b`: which contacts are B's, the others are A's."""
    own, both = [design.only_a, design.only_b], design.both
    waiting: tuple[deque[int], deque[int]] = (deque(), deque())
    ends: list[tuple[float, int]] = []  # when, and the group: 0 A's own, 1 B's own, 2 both
    waits = [0.0] * len(time)
    for row, came in enumerate(time):
        while ends and ends[0][0] <= came:
            both = _free(ends, own, both, waiting, time, talk, waits)
        queue = int(of_b[row])
        if own[queue]:
            own[queue] -= 1
            heapq.heappush(ends, (came + talk[row], queue))
        elif both:
            both -= 1
            heapq.heappush(ends, (came + talk[row], 2))
        else:
            waiting[queue].append(row)
    while ends:
        both = _free(ends, own, both, waiting, time, talk, waits)
    return waits


def _free(
    ends: list[tuple[float, int]],
    own: list[int],
    both: int,
    waiting: tuple[deque[int], deque[int]],
    time: Sequence[float],
    talk: Sequence[float],
    waits: list[float],
) -> int:
    """The next agent is through, and takes who waits. How many of `both` are free then."""
    now, group = ends[0]
    line = waiting[group] if group < 2 else waiting[0] or waiting[1]
    if line:
        row = line.popleft()
        waits[row] = now - time[row]
        heapq.heapreplace(ends, (now + talk[row], group))
        return both
    heapq.heappop(ends)
    if group < 2:
        own[group] += 1
        return both
    return both + 1

"""Which of the agents who are ready, and may have the contact: `docs/acd.md`, "Strategies".

Each strategy is a key, the least first; ties go to whoever has been ready the longest. A lot is a key, too: the time of
an exponential clock whose rate is the agent's weight, so that who rings first, and who next, is drawn by weight
(Efraimidis and Spirakis 2006).
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

import numpy as np

from acd.config import Queue
from acd.expression import reread
from acd.roster import Floats, Roster, Rows

EVERYBODY = 1_000_000
SORTED_WHOLE = 64
"""Up to so many candidates are sorted; of more only the first ones."""


class Asked(NamedTuple):
    """What a choice depends on besides the agents. `latest`: the row of who was served last in this queue, -1: nobody;
    `lot`: a number of this decision's own."""

    queue: Queue
    needs: str
    now: float
    latest: int = -1
    lot: int = 0


def keys(asked: Asked, roster: Roster, rows: Rows) -> Floats:
    """By what these agents are ranked: shape (rows,)."""
    queue = asked.queue
    window = roster.config.teams[queue.team].window
    match queue.strategy:
        case "longest_idle" | "ring_all" | "ring_some":
            return np.asarray(roster.idle_since[rows])
        case "round_robin":
            return ((rows - asked.latest - 1) % max(len(roster), 1)).astype(np.float64)
        case "fixed_order":
            return rows.astype(np.float64)
        case "least_calls":
            return roster.loads(roster.calls, rows, window, asked.now)
        case "least_talk_time":
            return roster.loads(roster.talk, rows, window, asked.now)
        case "most_skilled":
            return -roster.proficiency(reread(asked.needs))[rows].astype(np.float64)
        case "least_skilled":
            return roster.proficiency(reread(asked.needs))[rows].astype(np.float64)
        case "weighted_random":
            draw = np.random.default_rng((roster.config.seed, asked.lot)).exponential(size=len(rows))
            return np.asarray(draw / roster.weights(queue.name, rows))
        case _:
            assert_never(queue.strategy)


def first(ranks: Floats, sequence: np.ndarray[tuple[int], np.dtype[np.int64]], count: int) -> Rows:
    """The positions of the least `count` ranks in order, ties by `sequence`, in which no two are equal."""
    if len(ranks) > max(SORTED_WHOLE, count):
        last = np.partition(ranks, count - 1)[count - 1]
        chosen = np.flatnonzero(ranks < last)
        tied = np.flatnonzero(ranks == last)
        missing = count - len(chosen)
        if len(tied) > missing:
            tied = tied[np.argpartition(sequence[tied], missing - 1)[:missing]]
        positions = np.concatenate([chosen, tied])
        return np.asarray(positions[np.lexsort((sequence[positions], ranks[positions]))])
    return np.lexsort((sequence, ranks))[:count]


def still_wanted(queue: Queue, offered: int) -> int:
    """How many more agents a contact of a queue may be offered to, that is being offered to so many."""
    match queue.strategy:
        case "ring_all":
            return EVERYBODY
        case "ring_some":
            return max(queue.ring_count - offered, 0)
        case _:
            return 0 if offered else 1

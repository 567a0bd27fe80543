"""The one decision: which ready agent for a contact, which waiting contact for an agent. `docs/acd.md`, "One decision".

Nothing is changed here: `agents_for` and `contact_for` look at columns and say what to offer, with the candidates that
there were.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from acd.classes import NOBODY, Classes
from acd.config import Queue
from acd.facts import Candidate
from acd.inputs import Direction
from acd.roster import Roster
from acd.strategy import Asked, first, keys

CANDIDATES = 5
"""How many candidates a decision names, the best first."""


class Choice(NamedTuple):
    """Whom to offer, or what; of how many, and who else there was."""

    names: tuple[str, ...]
    eligible: int
    ready: int
    candidates: tuple[Candidate, ...]


NOTHING = Choice((), 0, 0, ())


def agents_for(roster: Roster, classes: Classes, row: int, asked: Asked, count: int) -> Choice:
    """The ready agents to whom a contact of that class is offered, at most `count`."""
    mask = classes.mask(row)
    rows = np.flatnonzero(mask & roster.free(asked.queue))
    if not len(rows):
        return NOTHING
    ranks = keys(asked, roster, rows)
    chosen = first(ranks, roster.idle_seq[rows], max(count, CANDIDATES))
    names = [roster.ids[row] for row in rows[chosen].tolist()]
    candidates = tuple(map(Candidate, names[:CANDIDATES], ranks[chosen].tolist()))
    return Choice(tuple(names[:count]), int((mask & roster.signed_in).sum()), len(rows), candidates)


def contact_for(roster: Roster, classes: Classes, agent: int, mode: Direction) -> Choice:
    """The waiting contact that is offered to an agent who is ready; `names` has it, or nothing."""
    open_ = classes.of_agent[agent] & (classes.head < NOBODY)
    if mode != "both":
        open_ &= classes.inbound if mode == "inbound" else ~classes.inbound
    rows = np.flatnonzero(open_)
    if not len(rows):
        return NOTHING
    places = classes.head[rows]
    points = roster.points(agent)
    if points is not None:
        places = places - points[classes.queue[rows]]
    best = np.argpartition(places, CANDIDATES - 1)[:CANDIDATES] if len(rows) > CANDIDATES else np.arange(len(rows))
    least = places.min()
    tied = np.flatnonzero(places == least)
    heads = sorted(
        (float(places[at]), classes.first(int(rows[at])).seq, classes.first(int(rows[at])).contact)
        for at in {*best.tolist(), *(tied.tolist() if len(tied) > 1 else ())}
    )
    rivals = tuple(Candidate(contact, place) for place, _, contact in heads[:CANDIDATES])
    return Choice((heads[0][2],), 0, len(rows), rivals)


def still_wanted(queue: Queue, offered: int) -> int:
    """How many more agents a contact of a queue may be offered to, that is being offered to so many."""
    match queue.strategy:
        case "ring_all":
            return 1_000_000
        case "ring_some":
            return max(queue.ring_count - offered, 0)
        case _:
            return 0 if offered else 1

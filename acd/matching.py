"""The one decision: which ready agent for a contact, which waiting contact for an agent. `docs/acd.md`, "One decision".

Nothing is changed here: `agents_for` and `contact_for` look at columns and say what to offer, with the candidates that
there were. Agents who are skipped for a contact are passed over when it is looked at, as they are few.
"""

from __future__ import annotations

from bisect import insort
from typing import NamedTuple

import numpy as np

from acd.agent import AgentState
from acd.classes import NOBODY
from acd.contact import ContactState
from acd.expression import Bools
from acd.facts import Candidate
from acd.roster import Rows
from acd.state import State
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


def agents_for(state: State, contact: ContactState, asked: Asked, count: int) -> Choice:
    """The ready agents to whom a contact is offered, at most `count`."""
    roster = state.roster
    mask = able(state, contact)
    rows = np.flatnonzero(mask & roster.free(asked.queue))
    if not len(rows):
        return NOTHING
    ranks = keys(asked, roster, rows)
    chosen = first(ranks, roster.idle_seq[rows], max(count, CANDIDATES))
    names = [roster.ids[row] for row in rows[chosen].tolist()]
    candidates = tuple(map(Candidate, names[:CANDIDATES], ranks[chosen[:CANDIDATES]].tolist()))
    return Choice(tuple(names[:count]), int((mask & roster.signed_in).sum()), len(rows), candidates)


def able(state: State, contact: ContactState) -> Bools:
    """Who may have a contact that waits, were it free: shape (agents,)."""
    mask = state.classes.mask(state.row_of(contact))
    if not contact.only and not contact.skipped:
        return mask
    rows = [row for row in map(state.roster.row.get, contact.skipped) if row is not None]
    if contact.only:
        mask = mask & (np.arange(len(mask)) == state.roster.row.get(contact.only, -1))
    else:
        mask = mask.copy()
    mask[rows] = False
    return mask


Rival = tuple[float, int, str]
"""A contact that an agent could be offered, in the order in which it would be: place, seq, id."""


def contact_for(state: State, agent: AgentState) -> Choice:
    """The waiting contact that is offered to an agent who is ready; `names` has it, or nothing."""
    classes, row = state.classes, state.roster.row[agent.id]
    open_ = classes.of_agent[row] & (classes.head < NOBODY)
    if agent.mode != "both":
        open_ &= classes.inbound if agent.mode == "inbound" else ~classes.inbound
    rows = np.flatnonzero(open_)
    rivals = _heads(state, agent.id, row, rows)
    alone = _alone(state, agent)
    if alone is not None:
        insort(rivals, alone)
    if not rivals:
        return NOTHING
    candidates = tuple([Candidate(contact, place) for place, _, contact in rivals[:CANDIDATES]])
    return Choice((rivals[0][2],), 0, len(rows), candidates)


def _heads(state: State, agent: str, row: int, rows: Rows) -> list[Rival]:
    """In order the first contact that an agent may have of each of these classes, from that with the least place on,
    until no other class can have one that is named; those that equal the last one are among them, as rows have no order
    of their own. What its weights bring forward is before others."""
    classes, contacts, points = state.classes, state.contacts, state.roster.points(row)
    places = classes.head[rows]
    if points is not None:
        places = places - points[classes.queue[rows]]
    rivals: list[Rival] = []
    for place, at in sorted(zip(places.tolist(), rows.tolist(), strict=True)):
        if len(rivals) >= CANDIDATES and place > rivals[CANDIDATES - 1][0]:
            break
        by = 0.0 if points is None else float(points[classes.queue[at]])
        waiter = classes.first(at)
        if waiter is not None and agent in contacts[waiter.contact].skipped:
            waiter = next((each for each in classes.waiting(at) if agent not in contacts[each.contact].skipped), None)
        if waiter is not None:
            insort(rivals, (waiter.place - by, waiter.seq, waiter.contact))
    return rivals


def _alone(state: State, agent: AgentState) -> Rival | None:
    """The first contact of those that wait for this agent and nobody else."""
    waiting = state.classes.alone(agent.id)
    if not waiting:
        return None
    row = state.roster.row[agent.id]
    points = state.roster.points(row)
    most = 0.0 if points is None else float(points.max(initial=0.0))
    best: Rival | None = None
    for waiter in waiting:
        if best is not None and waiter.place - most > best[0]:
            break  # nothing brings it before that
        contact = state.contacts[waiter.contact]
        of = state.row_of(contact)
        if (
            agent.takes(state.queue(contact.queue).direction)
            and agent.id not in contact.skipped
            and state.classes.mask(of)[row]
        ):
            sooner = 0.0 if points is None else float(points[state.classes.queue[of]])
            rival = (waiter.place - sooner, waiter.seq, waiter.contact)
            best = rival if best is None else min(best, rival)
    return best

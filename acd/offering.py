"""Offers, from the choice to their end: each a lease of one contact to one agent.

offered --Accept--> accepted: connected; offers of the same contact to others are withdrawn
        --Reject--> rejected
        --Unreachable--> unreachable      the agent is skipped for this contact for a while, and the contact is
        --deadline--> missed              open again in its place
        --caller gone, agent gone--> withdrawn

An agent who is kept for a customer is not rung before that one answers: then the lease has a new deadline, and goes on
as any other.
"""

from __future__ import annotations

from typing import Literal
from zlib import crc32

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.callbacks import agent_answered, agent_kept, is_calling, is_meant_for
from acd.contact import ContactState, OfferState
from acd.leases import end_offer
from acd.matching import NOTHING, Choice, agents_for, contact_for
from acd.queueing import reclass
from acd.state import State
from acd.strategy import Asked, still_wanted
from acd.turn import Refusal, Turn

RESERVED_SECONDS = 60.0
"""How long an agent is kept for a call that is under way, at most."""
KEPT_AGAIN = 5.0
"""Seconds until the same agent is kept for that call again, in vain as it was."""

# ---- the decision, carried out


def match(turn: Turn) -> None:
    """Offer until no ready agent and no open contact that could meet are left.

    Agents who have become free choose first: contacts may wait for them that are before those that have been opened.
    Where the first of all is one of the latter it is left to choose, as others may have been ready for longer.
    """
    state = turn.state
    while state.freed or state.opened:
        _match_agents(turn)
        for contact in sorted(state.opened, key=lambda name: state.contacts[name].waiter):
            _match_contact(turn, contact)
            _match_agents(turn)


def _match_agents(turn: Turn) -> None:
    state = turn.state
    for name in list(state.freed):
        choice = contact_for(state, state.agents[name])
        if not choice.names:
            state.freed.pop(name)
        elif choice.names[0] not in state.opened:
            state.freed.pop(name)
            _make(turn, state.contacts[choice.names[0]], name, choice, "agent")


def _match_contact(turn: Turn, name: str) -> None:
    state = turn.state
    state.opened.pop(name)
    contact = state.contacts[name]
    queue = state.queue(contact.queue)
    if not (state.classes.mask(state.row_of(contact)) & state.roster.free(queue)).any():
        return  # as most often, without a look at who is skipped
    latest = state.roster.row.get(state.latest.get(queue.name, ""), -1)
    lot = _lot(contact, turn.now) if queue.strategy == "weighted_random" else 0
    asked = Asked(queue, contact.asks, turn.now, latest, lot)
    choice = agents_for(state, contact, asked, still_wanted(queue, len(contact.offers)))
    for agent in choice.names:
        _make(turn, contact, agent, choice, "contact")


def _lot(contact: ContactState, now: float) -> int:
    """It hangs on this contact and time alone: in another course of the same day the same is drawn."""
    return crc32(contact.id.encode()) << 64 | round(now * 1e6)


def _make(
    turn: Turn, contact: ContactState, name: str, choice: Choice, by: Literal["agent", "contact", "pick_up"]
) -> None:
    state = turn.state
    queue = state.queue(contact.queue)
    kind = offered_kind(state, contact)
    seconds = RESERVED_SECONDS if kind == "reservation" else queue.ring_seconds
    offered = f.Offered(
        contact=contact.id,
        agent=name,
        deadline=turn.now + seconds,
        queue=queue.name,
        by=by,
        strategy=queue.strategy,
        version=state.config.version,
        eligible=choice.eligible,
        ready=choice.ready,
        candidates=choice.candidates if by == "contact" else (),
        rivals=choice.candidates if by == "agent" else (),
    )
    offer = turn.fact(offered)
    agent = state.agents[name]
    turn.change(agent, "offered", "picked_up" if by == "pick_up" else "offer", contact=contact.id, offer=offer)
    turn.do(e.Offer(offer, contact.id, name, agent.address, offered.deadline, kind, queue.name, contact.number))
    if contact.kind == "callback" and kind == "reservation":
        agent_kept(turn, contact)


def offered_kind(state: State, contact: ContactState) -> i.ContactKind:
    """An agent is only kept, and not rung, for a callback whose customer is called first, or is being called."""
    rules = state.queue(contact.queue).callback
    first = "agent" if rules is None else rules.first
    kept = contact.kind == "callback" and (first == "customer" or is_calling(state, contact))
    return "reservation" if kept else contact.kind


# ---- what becomes of it


def accept(turn: Turn, event: i.Accept) -> None:
    """The first answer wins. What comes too late is told so. Raises `Refusal`."""
    if event.offer not in turn.state.offers:
        turn.do(e.TooLate(event.offer))
    offer = turn.offer(event.offer)
    contact, agent = turn.state.contacts[offer.contact], turn.state.agents[offer.agent]
    if offered_kind(turn.state, contact) == "reservation":
        raise Refusal(f"agent {agent.id} is kept for contact {contact.id}: expected the customer to answer first")
    turn.fact(f.OfferEnded(offer.id, "accepted"))
    turn.fact(f.Connected(contact.id, agent.id, offer.id, turn.now - contact.since))
    turn.change(agent, "talking", "accepted", contact=contact.id)
    for other in list(contact.offers):
        end_offer(turn, turn.state.offers[other], "answered_elsewhere")
    turn.do(e.StopAnnouncing(contact.id))
    if contact.kind == "callback":
        agent_answered(turn, contact, agent)
    else:
        turn.do(e.Connect(offer.id, contact.id, agent.id))


def pick_up(turn: Turn, event: i.PickUp) -> None:
    """An agent wants a contact out of its queue: it is offered it, beside any others. Raises `Refusal`."""
    contact, agent = turn.waiting(event.contact), turn.agent(event.agent)
    if contact.kind != "call":
        raise Refusal(f"contact {contact.id} is a {contact.kind}: expected a caller who waits")
    turn.may_take(agent, contact)
    _make(turn, contact, agent.id, NOTHING, "pick_up")


def reject(turn: Turn, event: i.Reject) -> None:
    """Raises `Refusal`."""
    offer = turn.offer(event.offer)
    _not_taken(turn, offer, "rejected", turn.state.queue(offer.queue).on_reject == "not_responding")


def unreachable(turn: Turn, event: i.Unreachable) -> None:
    """Raises `Refusal`."""
    offer = turn.offer(event.offer)
    _not_taken(turn, offer, "unreachable", _missed_too_often(turn, offer), event.why)


def missed(turn: Turn, number: int) -> None:
    """The deadline of an offer has come."""
    offer = turn.state.offers[number]
    contact = turn.state.contacts[offer.contact]
    if offered_kind(turn.state, contact) == "reservation":
        # The agent has missed nothing: the call for which it was kept did not come.
        end_offer(turn, offer, "missed")
        reclass(turn, contact, skip={offer.agent: turn.now + KEPT_AGAIN})
        return
    turn.do(e.Withdraw(offer.id, offer.contact, offer.agent, "missed"))
    _not_taken(turn, offer, "missed", _missed_too_often(turn, offer))


def _missed_too_often(turn: Turn, offer: OfferState) -> bool:
    agent, team = turn.state.agents[offer.agent], turn.state.team(offer.agent)
    turn.fact(f.MissCounted(agent.id, agent.misses + 1))
    return 0 < team.misses <= agent.misses


def _not_taken(
    turn: Turn, offer: OfferState, how: Literal["rejected", "missed", "unreachable"], out: bool, why: str = ""
) -> None:
    """The agent is skipped for this contact for a while, which is open again: to others, too, where it has waited for
    that one as the latest it talked to."""
    contact, agent = turn.state.contacts[offer.contact], turn.state.agents[offer.agent]
    skip = turn.state.queue(offer.queue).skip
    turn.fact(f.OfferEnded(offer.id, how, why))
    in_vain = contact.only == agent.id and not is_meant_for(turn.state, contact, agent.id)
    if skip > 0.0 or in_vain:
        reclass(turn, contact, skip={agent.id: turn.now + skip}, only="" if in_vain else None)
    if out and not agent.after:
        turn.change(agent, "not_responding", how)
    else:
        turn.leave_contact(agent, offer.queue, contact.id, how, answered=False)

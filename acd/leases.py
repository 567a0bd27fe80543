"""The end of a lease that nobody has taken: an offer is taken back from an agent."""

from __future__ import annotations

from typing import Literal

from acd import effects as e
from acd import facts as f
from acd.contact import ContactState, OfferState
from acd.turn import Turn

Withdrawn = Literal["missed", "answered_elsewhere", "caller_left", "agent_left", "configured"]


def end_offer(turn: Turn, offer: OfferState, why: Withdrawn, rest: bool = True) -> None:
    """Take an offer back. `rest`: the agent has nothing to do then."""
    turn.fact(f.OfferEnded(offer.id, "withdrawn", why))
    turn.do(e.Withdraw(offer.id, offer.contact, offer.agent, why))
    if rest:
        turn.leave_contact(turn.state.agents[offer.agent], offer.queue, offer.contact, "withdrawn", answered=False)


def withdraw_all(turn: Turn, contact: ContactState, why: Withdrawn) -> None:
    """Of a contact that waits no longer. It is out of its queue already, so that it is offered to nobody else."""
    for number in list(contact.offers):
        end_offer(turn, turn.state.offers[number], why)

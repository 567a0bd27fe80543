"""What there has to be outside, as far as the engine knows: for a switch that has recovered it, or has new rules.

    resume(state, now)       the effects that are in force

Offers that ring or keep an agent, customers who are being called, and who talks to whom; what is announced next comes
with its time. Whatever else rings, calls or talks on behalf of the engine leads nowhere and is ended; what is missing
is done anew. Who waits is in `State.contacts`: those of kind `call` with a queue have a caller on the line.
"""

from __future__ import annotations

from collections.abc import Iterator

from acd import effects as e
from acd.callbacks import is_calling
from acd.state import State


def resume(state: State, now: float) -> list[e.AnyEffect]:
    """Offers first, then customers who are being called, with the seconds that are left of the attempt, then those who
    talk, as `Connect` of offer 0."""
    return [*_offers(state), *_calls(state, now), *_talks(state)]


def _offers(state: State) -> Iterator[e.Offer]:
    for offer in state.offers.values():
        contact, agent = state.contacts[offer.contact], state.agents[offer.agent]
        # Before the customer of a callback is called its agent is rung, unless it is kept while that goes on.
        kind = "reservation" if contact.kind == "callback" and is_calling(state, contact) else contact.kind
        yield e.Offer(offer.id, contact.id, agent.id, agent.address, offer.deadline, kind, offer.queue, contact.number)


def _calls(state: State, now: float) -> Iterator[e.CallCustomer]:
    for callback in state.callbacks.values():
        if callback.calling:
            agents = state.contacts[callback.contact].agents
            left = max(callback.calling - now, 0.0)
            agent = agents[0] if agents else ""
            yield e.CallCustomer(callback.id, callback.contact, callback.number, agent, left, callback.queue)


def _talks(state: State) -> Iterator[e.Connect]:
    for contact in state.contacts.values():
        if not is_calling(state, contact):
            for agent in contact.agents:
                yield e.Connect(0, contact.id, agent)

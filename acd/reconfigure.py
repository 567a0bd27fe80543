"""New rules while callers wait and agents talk: what the old rules held and the new ones don't is let go first."""

from __future__ import annotations

from acd import facts as f
from acd.agent import WORK
from acd.callbacks import is_calling, may_serve, rules_of
from acd.config import Config, Queue
from acd.contact import OfferState
from acd.leases import end_offer
from acd.queueing import go, left, let_go, reclass, step
from acd.state import State
from acd.turn import Turn

GONE = "the queue is no longer in the configuration"


def configure(turn: Turn, config: Config) -> None:
    """Swap the rules. Who waits in a queue that is gone leaves it by its way out; who is gone signs out, after its
    contact; offers that go on keep their deadline. Who waits for one agent alone that may have it no more waits for
    anybody."""
    state = turn.state
    for offer in list(state.offers.values()):
        settings, queue = config.agents.get(offer.agent), config.queues.get(offer.queue)
        gone = settings is None or queue is None or settings.team != queue.team
        if gone or _is_to_be_kept(state, offer, queue):
            end_offer(turn, offer, "configured")
    homeless = []
    for contact in [each for each in state.contacts.values() if each.queue and each.queue not in config.queues]:
        way = state.queue(contact.queue).emptied_to
        left(turn, contact, way, "removed", GONE)
        homeless.append((contact, way))
    for agent in list(state.agents.values()):
        if agent.id in config.agents or not agent.signed_in:
            continue
        if agent.state in WORK and agent.contact:
            turn.fact(f.AfterWork(agent.id, "signed_out"))
        else:
            turn.change(agent, "signed_out", "configured")
    changed = _changed(state.config, config)
    turn.fact(f.Configured(config))
    # Before anybody's wait is estimated: nobody stands in line for an agent who is gone.
    for contact in [each for each in state.contacts.values() if each.queue and each.only]:
        if not may_serve(state, state.queue(contact.queue), contact.needs, contact.only):
            reclass(turn, contact, only="")
    for contact in [each for each in state.contacts.values() if each.queue in changed]:
        step(turn, contact.id)
    for queue in state.watchful:
        let_go(turn, queue)  # agents may be able to do less than before
    for contact, way in homeless:
        go(turn, contact, way, GONE)
    # All who wait are looked at anew, and choose by their strategies: nobody is left for whom agents had to look.
    state.freed.clear()


def _is_to_be_kept(state: State, offer: OfferState, queue: Queue | None) -> bool:
    """Whether an agent is being rung for a callback whose customer is called first from now on."""
    contact = state.contacts[offer.contact]
    return contact.kind == "callback" and rules_of(queue).first == "customer" and not is_calling(state, contact)


def _changed(before: Config, after: Config) -> set[str]:
    """Queues that have other rules: those who wait there may be due for other steps and limits."""
    return {
        name
        for name, queue in after.queues.items()
        if before.queues.get(name) != queue or before.hours.get(queue.hours) != after.hours.get(queue.hours)
    }

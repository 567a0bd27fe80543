"""Customers who are called back: they keep their place, and wait as contacts until an agent has them.

kept --due--> queued: a contact of kind `callback`, in its place
queued --an agent answers (agent first)--> the customer is called --answered--> the two talk
       --an agent is kept (customer first)--> the customer is called --answered--> the agent is rung
called --busy, no answer, failed, machine--> kept, due again after the time of that cause; or given up
"""

from __future__ import annotations

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.agent import AgentState
from acd.config import CallbackRules, Queue
from acd.contact import Asking, CallbackState, ContactState
from acd.hours import is_open, next_change
from acd.leases import end_offer
from acd.state import State
from acd.turn import Turn

MAX_CALLBACKS = 100_000
LATEST = 366 * 86_400.0
"""How far ahead a callback may be scheduled."""


def rules_of(queue: Queue | None) -> CallbackRules:
    """Of a queue; also of one that is gone, or has no callbacks any more."""
    return CallbackRules() if queue is None or queue.callback is None else queue.callback


def is_meant_for(state: State, contact: ContactState, agent: str) -> bool:
    """Whether its customer has asked to be called back by this agent, and by nobody else."""
    callback = state.callbacks.get(contact.callback)
    return callback is not None and callback.agent == agent != ""


def may_serve(state: State, queue: Queue, needs: str, agent: str) -> bool:
    """Whether an agent might have a contact of a queue with these needs of its own, however long that waits."""
    settings = state.config.agents.get(agent)
    if settings is None or settings.mode not in ("both", "self", queue.direction):
        return False
    return bool(state.serving(queue, needs)[state.roster.row[agent]])


# ---- asked for


def keep(turn: Turn, event: i.AskCallback, queue: Queue, held: ContactState | Asking | None) -> None:
    """A callback that may be made: `acd.asking` has looked. A contact that waits, or did so, leaves its place to it."""
    if held is not None:
        place, since, needs, priority = held.place, held.since, held.needs, held.priority
    else:
        points = queue.priority + event.priority
        place = turn.now - points * turn.state.config.teams[queue.team].ageing
        since, needs, priority = turn.now, event.needs, event.priority
    due = within_hours(turn, queue, max(event.at, turn.now))
    contact = event.contact if held is not None else ""
    turn.fact(
        f.CallbackKept(
            event.callback, event.number, queue.name, place, since, due, event.agent, needs, priority, contact
        )
    )


def within_hours(turn: Turn, queue: Queue | None, at: float) -> float:
    """The first time from `at` on at which customers of a queue are called."""
    name = rules_of(queue).hours or ("" if queue is None else queue.hours)
    if not name or is_open(turn.state.config.hours[name], at):
        return at
    return next_change(turn.state.config.hours[name], at) or at


# ---- the customer's telephone


def agent_answered(turn: Turn, contact: ContactState, agent: AgentState) -> None:
    """Agent first: now the customer is called."""
    _call(turn, contact, agent.id)


def agent_kept(turn: Turn, contact: ContactState) -> None:
    """Customer first: an agent is kept for whoever answers. Who comes while it rings already calls nobody."""
    if not turn.state.callbacks[contact.callback].calling:
        _call(turn, contact, "")


def _call(turn: Turn, contact: ContactState, agent: str) -> None:
    callback = turn.state.callbacks[contact.callback]
    seconds = rules_of(turn.state.config.queues.get(callback.queue)).ring_seconds
    turn.fact(f.CustomerCalling(callback.id, callback.attempts + 1, turn.now + seconds))
    turn.do(e.CallCustomer(callback.id, contact.id, callback.number, agent, seconds, callback.queue))


def ring_kept(turn: Turn, contact: ContactState, deadline: float) -> None:
    """The customer is on the line: the telephones of those ring who are kept for it. Who does not answer has missed it,
    and the customer waits on in its place."""
    for number in contact.offers:
        offer = turn.state.offers[number]
        address = turn.state.agents[offer.agent].address
        turn.do(e.Offer(number, contact.id, offer.agent, address, deadline, "call", offer.queue, contact.number))


def is_calling(state: State, contact: ContactState) -> bool:
    """Whether its customer is being called, and nobody talks yet."""
    callback = state.callbacks.get(contact.callback)
    return callback is not None and callback.contact == contact.id and callback.calling > 0.0


def stop_calling(turn: Turn, callback: CallbackState) -> None:
    """The customer's telephone is to ring no more."""
    if callback.calling:
        turn.do(e.StopCalling(callback.id, callback.contact))


def not_reached(turn: Turn, callback: CallbackState, outcome: i.CallOutcome) -> None:
    """Agents are free again, and the next attempt has its time."""
    contact = turn.state.contacts[callback.contact]
    tried(turn, callback, outcome)
    if contact.queue:
        turn.fact(f.LeftQueue(contact.id, contact.queue, "removed", turn.now - contact.since, why=outcome))
        for number in list(contact.offers):
            end_offer(turn, turn.state.offers[number], "caller_left")
    for name in list(contact.agents):
        turn.fact(f.HandleEnded(contact.id, name, "hangup"))
        turn.leave_contact(turn.state.agents[name], contact.served_in, contact.id, "customer_left", answered=False)
    turn.fact(f.Ended(contact.id))


def tried(turn: Turn, callback: CallbackState, outcome: i.CallOutcome) -> None:
    """An attempt is over without the customer. One that ended before the customer was called does not count: it is made
    again as often as it takes."""
    queue = turn.state.config.queues.get(callback.queue)
    rules = rules_of(queue)
    retry = rules.retry.get(outcome)
    if retry is None or callback.attempts >= rules.attempts:
        turn.fact(f.CallbackTried(callback.id, outcome))
        turn.fact(f.CallbackEnded(callback.id, "given_up"))
    else:
        turn.fact(f.CallbackTried(callback.id, outcome, within_hours(turn, queue, turn.now + retry)))


def lost(turn: Turn, contact: ContactState) -> None:
    """A contact of a callback ends before the customer was reached: the agent has hung up."""
    callback = turn.state.callbacks.get(contact.callback)
    if callback is not None and callback.contact == contact.id:
        stop_calling(turn, callback)
        tried(turn, callback, "failed")

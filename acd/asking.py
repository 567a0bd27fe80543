"""Callbacks on their way in and out of the queues: who asks for one, whose time has come, who answers, who wants it no
more."""

from __future__ import annotations

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.callbacks import LATEST, MAX_CALLBACKS, keep, may_serve, not_reached, ring_kept, rules_of, stop_calling
from acd.config import Queue
from acd.contact import CallbackState, ContactState
from acd.leases import withdraw_all
from acd.limits import without_agents
from acd.queueing import MAX_POINTS, check_needs, leave, put, reclass, waits_for
from acd.turn import MAX_TEXT, Refusal, Turn


def ask(turn: Turn, event: i.AskCallback) -> None:
    """Raises `Refusal`."""
    state = turn.state
    if not event.callback or len(event.callback) > MAX_TEXT or event.callback in state.callbacks:
        raise Refusal(f"bad callback {event.callback[:MAX_TEXT]!r}: expected an id that is not in use")
    if not event.number or len(event.number) > MAX_TEXT:
        raise Refusal("expected the number to call back")
    asking = state.asking_in(event.contact)
    waiting = turn.waiting(event.contact) if event.contact and asking is None else None
    if waiting is not None and waiting.kind != "call":
        raise Refusal(f"contact {waiting.id} is a {waiting.kind}: expected a caller who waits")
    held = waiting or asking
    name = event.queue if held is None else held.queue
    if event.queue and name not in state.config.queues:
        name = event.queue  # who was sent here by a queue that is gone
    queue = state.config.queues.get(name)
    if queue is None or queue.callback is None:
        raise Refusal(
            f"queue {name[:MAX_TEXT]!r} has no callbacks" if queue else f"there is no queue {name[:MAX_TEXT]!r}"
        )
    _check(turn, event, queue, event.needs if held is None else held.needs)
    if state.kept[name, event.number] >= queue.callback.per_number:
        raise Refusal(f"{event.number} is to be called back already")
    if len(state.callbacks) >= MAX_CALLBACKS:
        raise Refusal("too many callbacks")
    keep(turn, event, queue, held)
    if waiting is not None:
        turn.fact(f.LeftQueue(waiting.id, name, "callback", turn.now - waiting.since, "callback", event.callback))
        withdraw_all(turn, waiting, "caller_left")
        turn.do(e.StopAnnouncing(waiting.id))
        turn.fact(f.Ended(waiting.id))
    if state.callbacks[event.callback].due <= turn.now:
        come(turn, event.callback)


def _check(turn: Turn, event: i.AskCallback, queue: Queue, needs: str) -> None:
    """Raises `Refusal` where by whom, when or for what a customer wants to be called makes no sense."""
    agents = turn.state.config.agents
    if event.agent and (event.agent not in agents or agents[event.agent].team != queue.team):
        where = f" in team {queue.team}" if event.agent in agents else ""
        raise Refusal(f"there is no agent {event.agent[:MAX_TEXT]!r}{where}")
    check_needs(event.needs)
    if event.agent and not may_serve(turn.state, queue, needs, event.agent):
        raise Refusal(f"agent {event.agent} takes no such contacts of queue {queue.name}: expected one who does")
    if not -MAX_POINTS <= event.priority <= MAX_POINTS:
        raise Refusal("bad priority: expected points up to a million")
    if not 0.0 <= event.at <= turn.now + LATEST:
        raise Refusal("bad time: expected Unix seconds, within a year")


def come(turn: Turn, name: str) -> None:
    """The time of a callback has come: to wait for an agent, or to give up ringing the customer."""
    callback = turn.state.callbacks[name]
    if callback.calling:
        stop_calling(turn, callback)
        not_reached(turn, callback, "no_answer")
    else:
        _queue_up(turn, callback)


def _queue_up(turn: Turn, callback: CallbackState) -> None:
    """It waits for an agent from now on, in its place."""
    queue = turn.state.config.queues.get(callback.queue)
    if queue is None:
        turn.fact(f.CallbackEnded(callback.id, "given_up"))
        return
    contact = _name(turn, callback)
    wanted = i.Enqueue(
        contact, queue.name, callback.number, callback.needs, callback.priority, callback.agent, "callback"
    )
    put(turn, contact, queue, wanted, callback.since, place=callback.place)
    turn.fact(f.CallbackQueued(callback.id, contact))
    if callback.agent and may_serve(turn.state, queue, callback.needs, callback.agent):
        patience = turn.now + rules_of(queue).patience
        reclass(turn, turn.state.contacts[contact], only=callback.agent, patience=patience)


def _name(turn: Turn, callback: CallbackState) -> str:
    """Of the contact by which it waits: the next one that nobody has given to another."""
    number = callback.queued + 1
    while f"{callback.id}.{number}" in turn.state.contacts:
        number += 1
    return f"{callback.id}.{number}"


def cancel(turn: Turn, event: i.CancelCallback) -> None:
    """The customer wants it no more. Raises `Refusal`."""
    callback = turn.state.callbacks.get(event.callback)
    if callback is None:
        raise Refusal(f"there is no callback {event.callback[:MAX_TEXT]!r}, or it is over")
    if callback.calling:
        raise Refusal(f"callback {event.callback} is calling the customer now")
    turn.fact(f.CallbackEnded(callback.id, "cancelled"))
    contact = turn.state.contacts.get(callback.contact)
    if contact is not None:
        turn.fact(f.LeftQueue(contact.id, contact.queue, "removed", turn.now - contact.since, why="cancelled"))
        withdraw_all(turn, contact, "caller_left")
        turn.fact(f.Ended(contact.id))


def customer_called(turn: Turn, event: i.CustomerCalled) -> None:
    """Raises `Refusal`."""
    callback = turn.state.callbacks.get(event.callback)
    if callback is None or not callback.calling:
        raise Refusal(f"callback {event.callback[:64]!r} calls nobody now")
    contact = turn.state.contacts[callback.contact]
    if event.outcome != "answered":
        not_reached(turn, callback, event.outcome)
        return
    turn.fact(f.CallbackEnded(callback.id, "answered"))
    if contact.agents:
        turn.do(e.Connect(0, contact.id, contact.agents[0]))
    else:
        _waits_on_the_line(turn, contact)


def answered(turn: Turn, event: i.Answered) -> None:
    """Raises `Refusal`."""
    contact = turn.waiting(event.contact)
    if contact.kind != "reservation":
        raise Refusal(f"contact {contact.id} is a {contact.kind}: expected a reservation, whose customer is called")
    _waits_on_the_line(turn, contact)


def _waits_on_the_line(turn: Turn, contact: ContactState) -> None:
    """From now on a customer waits as any other caller: for the agent who is kept for it and rung now, for the next if
    that one has left. Nobody waits on the line for a certain agent for as long as a callback does."""
    queue = turn.state.queue(contact.queue)
    deadline = turn.now + queue.ring_seconds
    turn.fact(f.CustomerAnswered(contact.id, deadline))
    limit = without_agents(turn.state, queue, contact.needs)
    if limit is not None:
        leave(turn, contact, limit.to, "overflow", limit.of)
        return
    ring_kept(turn, contact, deadline)
    only = contact.only if waits_for(turn, queue, contact, contact.only) else ""
    reclass(turn, contact, only=only, patience=turn.now + queue.affinity)

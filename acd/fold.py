"""The fold over facts: what each changes in the state. Nothing is decided here.

    apply(state, record)        for each record of a journal, in order, gives the state that it leads to

What is applied is looked up by its type, as this is done several times for each decision; inputs, `Refused`, and what
is there for the KPIs alone change nothing but the clock and the count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from acd import facts as f
from acd.agent import AT_WORK, BEGINS, HANDLING, WORK, AgentState
from acd.contact import Arrivals, Asking, CallbackState, ContactState, Handling, Impatience, OfferState, Returning
from acd.state import APART, State, asks
from acd.strategy import still_wanted

MAX_RETURNING = 100_000
"""Callers who hung up whose places are kept; the oldest are forgotten first."""
MAX_ASKING = 100_000
"""The same of those who were sent to a callback."""
ASKING_SECONDS = 600.0
"""For which their places are kept."""


def apply(state: State, record: f.Record) -> None:
    """What is so from now on."""
    state.last_id, state.now = record.id, record.time
    change = CHANGES.get(type(record.what))
    if change is not None:
        change(state, record.what)


# ---- agents


def _signed_in(state: State, fact: f.SignedIn) -> None:
    agent = state.agents[fact.agent]
    agent.address, agent.mode, agent.misses = fact.address, fact.mode, 0
    state.addresses[fact.address] = fact.agent
    agent.calls_share = agent.talk_share = 1.0
    state.load_as_others(agent, state.now)


def _mode_set(state: State, fact: f.ModeSet) -> None:
    agent = state.agents[fact.agent]
    agent.mode = fact.mode
    state.noted(agent)


def _agent_changed(state: State, fact: f.AgentChanged) -> None:
    agent, now = state.agents[fact.agent], state.now
    before = agent.state
    if before in WORK:
        state.load(agent, now, talk=now - agent.since)
    _note_handling(state, agent, fact)
    if before in AT_WORK:
        if fact.state not in AT_WORK:
            state.leave_others(agent, now)
    elif fact.state in AT_WORK and before != "signed_out":
        state.load_as_others(agent, now)
    agent.state, agent.since, agent.reason = fact.state, now, fact.reason
    agent.until, agent.contact, agent.offer = fact.until, fact.contact, fact.offer
    if fact.contact in state.contacts:
        agent.queue = state.contacts[fact.contact].served_in
    match fact.state:
        case "ready":
            agent.ready_seq = state.last_id
        case "wrap_up":
            agent.extended = 0.0
            state.deadlines.add(fact.until, "agent", fact.agent)
        case "paused":
            agent.after = ""
        case "signed_out":
            agent.after = ""
            state.addresses.pop(agent.address, None)
            agent.address, agent.direct = "", False
        case _:
            pass
    state.noted(agent)


def _note_handling(state: State, agent: AgentState, fact: f.AgentChanged) -> None:
    """From the answer to the end of wrap-up an agent has a contact; a direct call after that is none."""
    begins = fact.why in BEGINS
    if agent.handling and (begins or fact.state not in HANDLING or not fact.contact):
        state.handling.setdefault(agent.queue, Handling()).note(state.now - agent.handling)
        agent.handling = 0.0
    if begins:
        agent.handling = state.now


def _after_work(state: State, fact: f.AfterWork) -> None:
    agent = state.agents[fact.agent]
    agent.after, agent.after_reason, agent.after_planned = fact.state, fact.reason, fact.planned


def _miss_counted(state: State, fact: f.MissCounted) -> None:
    state.agents[fact.agent].misses = fact.misses


def _wrap_up_extended(state: State, fact: f.WrapUpExtended) -> None:
    agent = state.agents[fact.agent]
    agent.until, agent.extended = fact.until, fact.extended
    state.deadlines.add(fact.until, "agent", fact.agent)


def _address_changed(state: State, fact: f.AddressChanged) -> None:
    (state.unreachable.discard if fact.reachable else state.unreachable.add)(fact.address)


def _direct_call_changed(state: State, fact: f.DirectCallChanged) -> None:
    state.agents[fact.agent].direct = fact.active


# ---- contacts


def _queued(state: State, fact: f.Queued) -> None:
    contact = state.contacts.setdefault(fact.contact, ContactState(fact.contact))
    queue = state.queue(fact.queue)
    contact.queue = contact.served_in = fact.queue
    contact.kind, contact.number, contact.needs, contact.priority = fact.kind, fact.number, fact.needs, fact.priority
    contact.place, contact.seq, contact.entered, contact.since = fact.place, state.last_id, fact.entered, fact.since
    contact.moves, contact.told = fact.moves, -1.0
    state.begins(contact)
    if fact.kind == "call":
        state.arrivals.setdefault(fact.queue, Arrivals(state.now, state.now)).note(state.now)
    contact.asks = asks(queue, 0, fact.needs)
    contact.relaxed, contact.widened, contact.only, contact.patience, contact.skipped = 0, 0, "", 0.0, {}
    _announce_from(state, contact, fact.entered)
    state.returning.pop((fact.queue, fact.number), None)
    state.asking.pop(fact.contact, None)


def _announce_from(state: State, contact: ContactState, at: float) -> None:
    """When each announcement of its queue is due; never, where nobody is on the line."""
    announcements = state.queue(contact.queue).announcements
    contact.announced = [at + each.first if contact.kind == "call" else 0.0 for each in announcements]
    for due in contact.announced:
        state.deadlines.add(due, "announce", contact.id)


def _classed(state: State, fact: f.Classed) -> None:
    contact = state.contacts[fact.contact]
    stays = (contact.asks, contact.widened, contact.only) == (fact.needs, fact.widened, fact.only)
    moves = not stays or contact.id not in state.rows
    if moves:
        state.out_of_line(contact)
    contact.asks, contact.relaxed, contact.widened, contact.only = fact.needs, fact.relaxed, fact.widened, fact.only
    contact.patience, contact.skipped, contact.until = fact.patience, dict(fact.skipped), fact.until
    state.deadlines.add(fact.until, "contact", fact.contact)
    if moves:
        state.into_line(contact)
    elif state.rows[contact.id] != APART:
        state.opened[contact.id] = None  # somebody may be skipped no longer


def _offered(state: State, fact: f.Offered) -> None:
    number = state.last_id
    state.offers[number] = OfferState(number, fact.contact, fact.agent, fact.queue, fact.deadline, state.now)
    state.deadlines.add(fact.deadline, "offer", number)
    if fact.by != "pick_up":
        state.latest[fact.queue] = fact.agent
    contact = state.contacts[fact.contact]
    contact.offers.append(number)
    if still_wanted(state.queue(fact.queue), len(contact.offers)) == 0:
        state.out_of_line(contact)
        state.into_line(contact)


def _customer_answered(state: State, fact: f.CustomerAnswered) -> None:
    contact = state.contacts[fact.contact]
    contact.kind, contact.entered, contact.reached = "call", state.now, state.now
    _announce_from(state, contact, state.now)
    for number in contact.offers:
        state.offers[number] = msgspec.structs.replace(state.offers[number], deadline=fact.deadline)
        state.deadlines.add(fact.deadline, "offer", number)


def _offer_ended(state: State, fact: f.OfferEnded) -> None:
    contact = state.contacts[state.offers.pop(fact.offer).contact]
    contact.offers.remove(fact.offer)
    if fact.how != "accepted" and state.rows.get(contact.id) == APART:
        state.out_of_line(contact)
        state.into_line(contact)


def _connected(state: State, fact: f.Connected) -> None:
    contact, agent = state.contacts[fact.contact], state.agents[fact.agent]
    _note_wait(state, contact, gave_up=False)
    state.ends(contact)
    contact.agents.append(fact.agent)
    agent.misses = 0
    state.load(agent, state.now, calls=1.0)
    state.roster.note(agent)


def _taken(state: State, fact: f.Taken) -> None:
    state.contacts.setdefault(fact.contact, ContactState(fact.contact)).agents.append(fact.agent)


def _handle_ended(state: State, fact: f.HandleEnded) -> None:
    state.contacts[fact.contact].agents.remove(fact.agent)


def _left_queue(state: State, fact: f.LeftQueue) -> None:
    contact = state.contacts[fact.contact]
    _note_wait(state, contact, gave_up=fact.how == "abandoned")
    if contact.kind == "call" and not contact.reached and contact.entered == state.now:
        state.arrivals[fact.queue].forget()
        if not state.arrivals[fact.queue].number:
            del state.arrivals[fact.queue]
    state.ends(contact)
    queue = state.queue(fact.queue)
    if fact.how == "abandoned" and contact.number and queue.return_within > 0.0:
        while len(state.returning) >= MAX_RETURNING:
            del state.returning[next(iter(state.returning))]
        kept = Returning(contact.place, contact.since, state.now + queue.return_within)
        state.returning[fact.queue, contact.number] = kept
    elif fact.to == "callback" and fact.how != "callback" and contact.kind == "call":
        _asked_back(state, fact.queue, contact)


def _asked_back(state: State, queue: str, contact: ContactState) -> None:
    while state.asking:
        eldest = next(iter(state.asking))
        if len(state.asking) < MAX_ASKING and state.asking[eldest].until > state.now:
            break
        del state.asking[eldest]
    until = state.now + ASKING_SECONDS
    state.asking.pop(contact.id, None)
    state.asking[contact.id] = Asking(queue, contact.place, contact.since, contact.needs, contact.priority, until)


def _note_wait(state: State, contact: ContactState, gave_up: bool) -> None:
    """Of a caller; who is called back does not wait on the line."""
    waited = state.now - contact.entered
    if contact.kind == "call" and waited > 0.0:
        state.impatience.setdefault(contact.queue, Impatience()).note(waited, gave_up)


def _ended(state: State, fact: f.Ended) -> None:
    state.contacts.pop(fact.contact, None)


def _announced(state: State, fact: f.Announced) -> None:
    contact = state.contacts[fact.contact]
    contact.announced[fact.index] = fact.again
    state.deadlines.add(fact.again, "announce", contact.id)
    if fact.high >= 0.0:
        contact.told = state.now + fact.high


# ---- callbacks


def _callback_kept(state: State, fact: f.CallbackKept) -> None:
    state.asking.pop(fact.contact, None)
    state.callbacks[fact.callback] = CallbackState(
        fact.callback,
        fact.number,
        fact.queue,
        fact.place,
        fact.since,
        fact.due,
        fact.agent,
        fact.needs,
        fact.priority,
    )
    state.kept[fact.queue, fact.number] += 1
    state.deadlines.add(fact.due, "callback", fact.callback)


def _callback_queued(state: State, fact: f.CallbackQueued) -> None:
    callback = state.callbacks[fact.callback]
    callback.contact, callback.queued = fact.contact, int(fact.contact.rpartition(".")[2])
    state.contacts[fact.contact].callback = fact.callback


def _customer_calling(state: State, fact: f.CustomerCalling) -> None:
    callback = state.callbacks[fact.callback]
    callback.attempts, callback.calling = fact.attempt, fact.deadline
    state.deadlines.add(fact.deadline, "callback", fact.callback)


def _callback_tried(state: State, fact: f.CallbackTried) -> None:
    callback = state.callbacks[fact.callback]
    callback.calling, callback.latest, callback.contact, callback.due = 0.0, fact.outcome, "", fact.due
    state.deadlines.add(fact.due, "callback", fact.callback)


def _callback_ended(state: State, fact: f.CallbackEnded) -> None:
    callback = state.callbacks.pop(fact.callback)
    state.kept[callback.queue, callback.number] -= 1
    if not state.kept[callback.queue, callback.number]:
        del state.kept[callback.queue, callback.number]
    reached = state.contacts.get(callback.contact)
    if reached is not None and fact.how == "answered":
        reached.kind, reached.callback = "call", ""


def _configured(state: State, fact: f.Configured) -> None:
    state.configure(fact.config)


CHANGES: dict[type, Callable[[State, Any], None]] = {
    f.Configured: _configured,
    f.SignedIn: _signed_in,
    f.ModeSet: _mode_set,
    f.AgentChanged: _agent_changed,
    f.AfterWork: _after_work,
    f.MissCounted: _miss_counted,
    f.WrapUpExtended: _wrap_up_extended,
    f.AddressChanged: _address_changed,
    f.DirectCallChanged: _direct_call_changed,
    f.Queued: _queued,
    f.Classed: _classed,
    f.Offered: _offered,
    f.CustomerAnswered: _customer_answered,
    f.OfferEnded: _offer_ended,
    f.Connected: _connected,
    f.Taken: _taken,
    f.HandleEnded: _handle_ended,
    f.LeftQueue: _left_queue,
    f.Ended: _ended,
    f.Announced: _announced,
    f.CallbackKept: _callback_kept,
    f.CallbackQueued: _callback_queued,
    f.CustomerCalling: _customer_calling,
    f.CallbackTried: _callback_tried,
    f.CallbackEnded: _callback_ended,
}
"""All facts but `Refused`, `Surveyed`, `Attempted` and `Dialled`."""

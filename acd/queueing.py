"""Contacts on their way into queues, within them, and out: limits, steps, keys, hang-ups, ways out."""

from __future__ import annotations

import numpy as np

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd import limits
from acd.agent import AT_WORK
from acd.callbacks import is_calling, is_meant_for, lost
from acd.classes import ClassKey
from acd.config import Queue, WayOut
from acd.contact import ContactState
from acd.expression import ExpressionError, parse
from acd.leases import withdraw_all
from acd.state import asks
from acd.turn import MAX_TEXT, Refusal, Turn

MAX_MOVES = 10
"""Queues that a contact flows over; then it is let go."""
MAX_POINTS = 1_000_000.0
TOO_OFTEN = "it has gone through too many queues"


# ---- in


def enqueue(turn: Turn, event: i.Enqueue) -> None:
    """Raises `Refusal`."""
    queue = _queue(turn, event.queue)
    if not event.contact or max(map(len, (event.contact, event.number, event.last_agent))) > MAX_TEXT:
        raise Refusal(
            f"bad contact {event.contact[:MAX_TEXT]!r}: expected an id, texts of at most {MAX_TEXT} characters"
        )
    known = turn.state.contacts.get(event.contact)
    if known is not None and (known.queue or known.agents):
        where = f"waits in queue {known.queue}" if known.queue else f"is with agent {known.agents[0]}"
        raise Refusal(f"contact {event.contact} {where}")
    if event.kind == "callback":
        raise Refusal("callbacks are asked for: expected no contact of that kind")
    check_needs(event.needs)
    if not -MAX_POINTS <= event.priority <= MAX_POINTS or not 0.0 <= event.waited <= 86_400.0 * 365:
        raise Refusal("bad priority or time waited: expected points up to a million, and seconds")
    put(turn, event.contact, queue, event, turn.now - event.waited)


def check_needs(needs: str) -> None:
    """Raises `Refusal` where that is no skill expression."""
    try:
        parse(needs)
    except ExpressionError as error:
        raise Refusal(f"bad needs, column {error.column}: {error}") from None


def _queue(turn: Turn, name: str) -> Queue:
    queue = turn.state.config.queues.get(name)
    if queue is None:
        raise Refusal(f"there is no queue {name[:MAX_TEXT]!r}")
    return queue


def put(
    turn: Turn, contact: str, queue: Queue, event: i.Enqueue, since: float, moves: int = 0, place: float | None = None
) -> None:
    """Into a queue, if it takes the contact. `since`: when its wait began as far as it counts; `place`: one that it has
    had already."""
    state = turn.state
    points = queue.priority + event.priority + (queue.vip_priority if event.number in queue.vip else 0.0)
    if place is None:
        place = since - points * state.config.teams[queue.team].ageing
    kept = state.returning.get((queue.name, event.number))
    back = kept is not None and kept.until > turn.now and kept.place < place
    if kept is not None and back:
        place = kept.place
    asking = state.asking_in(contact, queue.name)
    if asking is not None:
        place, since, back = asking.place, asking.since, True
    turn.fact(
        f.Queued(
            contact=contact,
            queue=queue.name,
            kind=event.kind,
            number=event.number,
            place=place,
            entered=turn.now,
            since=since,
            needs=event.needs,
            priority=event.priority,
            back=back,
            moves=moves,
        )
    )
    found = state.contacts[contact]
    limit = limits.at_entry(state, queue, found) if event.kind == "call" else None
    if limit is not None:
        leave(turn, found, limit.to, "refused" if not moves else "overflow", limit.of)
        return
    only = event.last_agent if waits_for(turn, queue, found, event.last_agent) else ""
    reclass(turn, found, only=only, patience=turn.now + queue.affinity if only else 0.0)


def waits_for(turn: Turn, queue: Queue, contact: ContactState, name: str) -> bool:
    """Whether a contact waits for the agent that it talked to last: for one who is at work, and may have it as it
    stands."""
    state, agent = turn.state, turn.state.agents.get(name)
    if queue.affinity <= 0.0 or agent is None or agent.state not in AT_WORK or agent.after:
        return False
    if name not in state.config.agents or not agent.takes(queue.direction):
        return False
    relaxed, widened = _steps(queue, contact, turn.now)
    row = state.classes.row(ClassKey(queue.name, asks(queue, relaxed, contact.needs), widened))
    return bool(state.classes.mask(row)[state.roster.row[name]])


# ---- within


def reclass(
    turn: Turn,
    contact: ContactState,
    skip: dict[str, float] | None = None,
    only: str | None = None,
    patience: float = 0.0,
) -> None:
    """Who may have a contact by now: steps whose time has come, who is skipped, whom it waits for."""
    state, now = turn.state, turn.now
    queue = state.queue(contact.queue)
    relaxed, widened = _steps(queue, contact, now)
    if only is None:
        only, patience = contact.only, contact.patience
    if patience <= now:
        only, patience = "", 0.0
    skipped = contact.skipped | skip if skip else contact.skipped
    skipped = {agent: until for agent, until in skipped.items() if until > now} if skipped else {}
    times = [*skipped.values(), patience]
    if queue.limits:
        times.append(limits.look_again(state, queue, contact))
    times += [contact.since + each.after for each in queue.relax]
    times += [contact.since + each.after for each in queue.widen]
    turn.fact(
        f.Classed(
            contact=contact.id,
            needs=asks(queue, relaxed, contact.needs),
            relaxed=relaxed,
            widened=widened,
            only=only,
            patience=patience,
            skipped=tuple(sorted(skipped.items())),
            until=min([at for at in times if at > now], default=0.0),
        )
    )


def _steps(queue: Queue, contact: ContactState, now: float) -> tuple[int, int]:
    """How far a contact is relaxed by now, and its queue widened for it."""
    if not queue.relax and not queue.widen:
        return 0, 0
    relaxed = sum(contact.since + step.after <= now for step in queue.relax)
    return relaxed, sum(contact.since + step.after <= now for step in queue.widen)


def step(turn: Turn, name: str) -> None:
    """The time has come to look at a contact again that waits."""
    contact = turn.state.contacts[name]
    queue = turn.state.queue(contact.queue)
    limit = None if is_calling(turn.state, contact) else limits.while_waiting(turn.state, queue, contact)
    if limit is not None:
        leave(turn, contact, limit.to, "overflow", limit.of)
    else:
        reclass(turn, contact)


def without_agents(turn: Turn, left: list[str]) -> None:
    """Agents have left: who waits for one of them alone does so no longer, and those go who wait for nobody by now."""
    state = turn.state
    for name in left:
        for waiter in list(state.classes.alone(name)):
            contact = state.contacts[waiter.contact]
            if not is_meant_for(state, contact, name):
                reclass(turn, contact, only="")
    rows = [state.roster.row[name] for name in left if name in state.roster.row]
    for index in np.flatnonzero(state.watched[rows].any(axis=0)).tolist():
        let_go(turn, state.watchful[index])


def let_go(turn: Turn, queue: Queue) -> None:
    """Of those who wait in a queue who waits for nobody. Who needs the same waits for the same."""
    reached = {
        needs: limits.without_agents(turn.state, queue, needs) for needs in turn.state.wanted.get(queue.name, ())
    }
    if not any(reached.values()):
        return
    for waiter in turn.state.classes.everybody(queue.name):
        contact = turn.state.contacts[waiter.contact]
        limit = reached.get(contact.needs)
        if limit is not None and not is_calling(turn.state, contact):
            leave(turn, contact, limit.to, "overflow", limit.of)


def press_key(turn: Turn, event: i.PressKey) -> None:
    """A caller chooses a way out. Raises `Refusal`."""
    contact = turn.waiting(event.contact)
    if contact.kind != "call":
        raise Refusal(f"contact {contact.id} is a {contact.kind}: expected a caller who waits")
    way = turn.state.queue(contact.queue).exits.get(event.key)
    if way is None:
        raise Refusal(f"queue {contact.queue} has no way out by key {event.key[:8]!r}")
    leave(turn, contact, way, "exit", event.key)


# ---- out


def leave(turn: Turn, contact: ContactState, way: WayOut, how: f.Leaving, why: str) -> None:
    """Out of the queue it waits in, into another, or out of the engine."""
    left(turn, contact, way, how, why)
    go(turn, contact, way, why)


def left(turn: Turn, contact: ContactState, way: WayOut, how: f.Leaving, why: str) -> None:
    """It waits no longer; offers of it are taken back. `go` has to follow."""
    waited = turn.now - contact.since
    turn.fact(f.LeftQueue(contact.id, contact.queue, how, waited, way.kind, way.name, why))
    withdraw_all(turn, contact, "caller_left")


def go(turn: Turn, contact: ContactState, way: WayOut, why: str) -> None:
    """Into another queue, or out of the engine."""
    queue = turn.state.config.queues.get(way.name) if way.kind == "queue" else None
    if queue is not None and contact.moves < MAX_MOVES:
        since = contact.since if way.keep_wait else turn.now
        again = i.Enqueue(contact.id, queue.name, contact.number, contact.needs, contact.priority, "", contact.kind)
        put(turn, contact.id, queue, again, since, contact.moves + 1)
        return
    turn.do(e.StopAnnouncing(contact.id))
    if contact.kind != "callback":
        nowhere = way.kind == "queue"
        to, why = WayOut(kind="hangup") if nowhere else way, TOO_OFTEN if queue else why
        turn.do(e.SendTo(contact.id, to, why, contact.served_in))
    end(turn, contact)


def end(turn: Turn, contact: ContactState) -> None:
    """Nothing more comes of it."""
    if contact.callback:
        lost(turn, contact)
    turn.fact(f.Ended(contact.id))


def hang_up(turn: Turn, event: i.HangUp) -> None:
    """The customer is gone. Raises `Refusal`."""
    contact = turn.contact(event.contact)
    if contact.queue:
        turn.fact(f.LeftQueue(contact.id, contact.queue, "abandoned", turn.now - contact.since))
        withdraw_all(turn, contact, "caller_left")
        turn.do(e.StopAnnouncing(contact.id))
    for name in list(contact.agents):
        turn.fact(f.HandleEnded(contact.id, name, "hangup"))
        answered = not is_calling(turn.state, contact)
        turn.leave_contact(turn.state.agents[name], contact.served_in, contact.id, "customer_left", answered)
    end(turn, contact)


# ---- with an agent


def hold(turn: Turn, event: i.Hold) -> None:
    """Raises `Refusal`."""
    agent = turn.held_by(event.contact, event.agent)
    if (agent.state == "hold") == event.held:
        raise Refusal(f"agent {agent.id} {'holds' if event.held else 'does not hold'} contact {event.contact}")
    if event.held:
        turn.change(agent, "hold", "hold", contact=event.contact)
    else:
        turn.change(agent, "talking", "resume", contact=event.contact)


def consult(turn: Turn, event: i.Consult) -> None:
    """Raises `Refusal`."""
    agent = turn.held_by(event.contact, event.agent)
    if (agent.state == "consulting") == event.active:
        raise Refusal(f"agent {agent.id} {'consults already' if event.active else 'does not consult'}")
    if event.active:
        turn.change(agent, "consulting", "consult", contact=event.contact)
    else:
        turn.change(agent, "talking", "consult_over", contact=event.contact)


def finish(turn: Turn, event: i.Finish) -> None:
    """Raises `Refusal`."""
    agent = turn.held_by(event.contact, event.agent)
    contact = turn.state.contacts[event.contact]
    if event.how != "hangup" and is_calling(turn.state, contact):
        raise Refusal(f"the customer of callback {contact.callback} is being called: expected no transfer before that")
    turn.fact(f.HandleEnded(event.contact, agent.id, event.how))
    turn.leave_contact(agent, contact.served_in, contact.id, "finished", answered=not is_calling(turn.state, contact))
    if event.how == "hangup" and not contact.agents:
        end(turn, contact)


def take(turn: Turn, event: i.Take) -> None:
    """An agent has a contact by a transfer or a pick-up. Raises `Refusal`."""
    agent = turn.agent(event.agent)
    if not event.contact or len(event.contact) > MAX_TEXT:
        raise Refusal(f"bad contact {event.contact[:MAX_TEXT]!r}: expected an id of at most {MAX_TEXT} characters")
    contact = turn.state.contacts.get(event.contact)
    if contact is not None and contact.queue:
        raise Refusal(f"contact {event.contact} waits in queue {contact.queue}: expected PickUp")
    if contact is not None and is_calling(turn.state, contact):
        raise Refusal(f"the customer of callback {contact.callback} is being called: expected nobody to take it yet")
    turn.may_take(agent, contact)
    turn.fact(f.Taken(event.contact, agent.id))
    turn.change(agent, "talking", "taken", contact=event.contact)

"""What agents want, and what becomes of their telephones: sign-in, pause, ready, mode, wrap-up, direct calls."""

from __future__ import annotations

import math

from acd import facts as f
from acd import inputs as i
from acd.agent import WORK, AgentState
from acd.leases import end_offer
from acd.turn import MAX_TEXT, Refusal, Turn

MAX_REASON = 64
MAX_UNREACHABLE = 100_000
"""Telephones that are known to be out of reach."""


def sign_in(turn: Turn, order: i.SignIn) -> None:
    """Raises `Refusal`."""
    state, settings = turn.state, turn.state.config.agents.get(order.agent)
    if settings is None:
        raise Refusal(f"there is no agent {order.agent[:64]!r}")
    turn.may_order(order.agent, order.by)
    agent = state.agents[order.agent]
    if agent.signed_in:
        raise Refusal(f"agent {agent.id} is signed in already")
    if settings.address and order.address not in ("", settings.address):
        raise Refusal(f"the telephone of agent {agent.id} is {settings.address}: expected no other")
    address = settings.address or order.address
    if not address:
        raise Refusal(f"agent {agent.id} has no telephone of its own: expected an address")
    if len(address) > MAX_TEXT:
        raise Refusal(f"bad telephone {address[:MAX_TEXT]!r}: expected an address of at most {MAX_TEXT} characters")
    if address in state.addresses:
        raise Refusal(f"{address} is the telephone of agent {state.addresses[address]}, who is signed in")
    mode: i.Direction = (order.mode or "inbound") if settings.mode == "self" else settings.mode
    if order.mode and order.mode != mode:
        raise Refusal(f"agent {agent.id} works {settings.mode}: expected no other mode")
    turn.fact(f.SignedIn(agent.id, address, mode))
    if state.config.teams[settings.team].sign_in_as == "paused":
        turn.change(agent, "paused", "sign_in")
    else:
        turn.rest(agent, "sign_in")


def sign_out(turn: Turn, order: i.SignOut) -> None:
    """At once, but after a contact that it has. Raises `Refusal`."""
    agent = turn.ordered(order.agent, order.by)
    if agent.state in WORK and agent.contact:
        turn.fact(f.AfterWork(agent.id, "signed_out"))
        return
    if agent.state == "offered":
        end_offer(turn, turn.state.offers[agent.offer], "agent_left", rest=False)
    turn.change(agent, "signed_out", "sign_out")


def ready(turn: Turn, order: i.Ready) -> None:
    """Raises `Refusal`."""
    agent = turn.ordered(order.agent, order.by)
    if agent.state in ("paused", "not_responding"):
        turn.rest(agent, "ready")
    elif agent.state == "wrap_up":
        if not _is_strict(turn, agent):
            turn.rest(agent, "ready")
        elif agent.after:
            turn.fact(f.AfterWork(agent.id, ""))
        else:
            raise Refusal(f"the wrap-up of agent {agent.id} ends by time: expected nothing before that")
    elif agent.state in ("offered", *WORK) and agent.after:
        turn.fact(f.AfterWork(agent.id, ""))
    else:
        raise Refusal(f"agent {agent.id} is {agent.state.replace('_', ' ')}: expected one who is paused or in wrap-up")


def pause(turn: Turn, order: i.Pause) -> None:
    """At once, but after an offer or contact that it has, and a wrap-up that ends by time alone. Raises `Refusal`."""
    agent = turn.ordered(order.agent, order.by)
    reasons = turn.state.team(agent.id).pause_reasons
    if len(order.reason) > MAX_REASON or (reasons and order.reason not in reasons):
        expected = f"one of {', '.join(reasons)}" if reasons else f"at most {MAX_REASON} characters"
        raise Refusal(f"bad reason {order.reason[:MAX_REASON]!r}: expected {expected}")
    planned = seconds(order.planned)
    if agent.state == "offered" or agent.state in WORK or (agent.state == "wrap_up" and _is_strict(turn, agent)):
        turn.fact(f.AfterWork(agent.id, "paused", order.reason, planned))
    else:
        turn.change(agent, "paused", "pause", order.reason, turn.now + planned if planned else 0.0)


def _is_strict(turn: Turn, agent: AgentState) -> bool:
    """Whether its wrap-up ends by time alone."""
    return turn.wrap_up(agent.id, agent.queue).ends == "timeboxed_strict"


def set_mode(turn: Turn, order: i.SetMode) -> None:
    """Raises `Refusal`."""
    agent = turn.ordered(order.agent, order.by)
    mode = turn.settings(agent.id).mode
    if mode != "self":
        raise Refusal(f"agent {agent.id} works {mode}: expected one of work mode self")
    if agent.mode != order.mode:
        turn.fact(f.ModeSet(agent.id, order.mode))
        turn.left[agent.id] = None


def extend(turn: Turn, order: i.ExtendWrapUp) -> None:
    """Raises `Refusal`."""
    agent = turn.ordered(order.agent, order.by)
    if agent.state != "wrap_up" or not agent.until:
        raise Refusal(f"agent {agent.id} is in no wrap-up that ends by time")
    rule = turn.wrap_up(agent.id, agent.queue)
    more, left = seconds(order.seconds), rule.extension - agent.extended
    if not 0.0 < more <= left:
        raise Refusal(f"agent {agent.id} may make this wrap-up longer by {left:g} s: expected no more, and more than 0")
    turn.fact(f.WrapUpExtended(agent.id, agent.until + more, agent.extended + more))


def reachable(turn: Turn, event: i.Reachable) -> None:
    """A telephone can be called again, or can't any more. Raises `Refusal`."""
    if turn.state.is_reachable(event.address) == event.reachable:
        return
    if not event.reachable and (len(event.address) > MAX_TEXT or len(turn.state.unreachable) >= MAX_UNREACHABLE):
        many = "" if len(event.address) > MAX_TEXT else f", besides {len(turn.state.unreachable)} more"
        raise Refusal(f"{event.address[:MAX_TEXT]!r} can't be reached{many}: expected telephones of agents alone")
    turn.fact(f.AddressChanged(event.address, event.reachable))
    agent = turn.state.agents.get(turn.state.addresses.get(event.address, ""))
    if agent is None:
        return
    if event.reachable and agent.state == "offline":
        turn.rest(agent, "phone_back")
    elif not event.reachable and agent.state == "ready":
        turn.change(agent, "offline", "phone_gone")


def direct_call(turn: Turn, event: i.DirectCall) -> None:
    """Raises `Refusal`."""
    agent = turn.agent(event.agent)
    if agent.direct == event.active:
        raise Refusal(
            f"agent {agent.id} is {'' if event.active else 'not '}in a direct call{' already' if event.active else ''}"
        )
    turn.fact(f.DirectCallChanged(agent.id, event.active))
    if event.active:
        if agent.state == "ready" and turn.settings(agent.id).direct_calls == "busy":
            turn.change(agent, "talking", "direct_call")
    elif in_direct_call(agent):  # also where the settings have come to say that it does not count
        turn.rest(agent, "direct_call_over")


def in_direct_call(agent: AgentState) -> bool:
    return agent.state == "talking" and not agent.contact


def wrap_up_over(turn: Turn, name: str) -> None:
    """The time of an agent's wrap-up is over."""
    turn.rest(turn.state.agents[name], "wrap_up_over")


def seconds(value: float) -> float:
    """Raises `Refusal` where these are no seconds."""
    if not math.isfinite(value) or not 0.0 <= value <= 86_400.0:
        raise Refusal(f"bad time {value}: expected seconds, at most a day")
    return value

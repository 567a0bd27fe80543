"""One input being handled: facts and effects that come of it, and the state that the facts have led to.

What is here is what every part of the engine needs; `acd.engine` says which part an input is for.
"""

from __future__ import annotations

from acd import facts as f
from acd.agent import AT_WORK, AgentState, allowed
from acd.config import Agent, WrapUp
from acd.contact import ContactState, OfferState
from acd.effects import AnyEffect
from acd.fold import apply
from acd.inputs import AnyInput
from acd.state import State

LATEST_TIME = 221_845_392_000.0
"""The beginning of the year 9000, from which calendars know a year more: a time after it is none."""
MAX_TEXT = 128
"""Characters of a name, an id, a number that comes from outside."""


class Refusal(Exception):
    """An input that makes no sense now: one line that says why and what is expected."""


class Turn:
    """`cause` is the id of the input's record."""

    __slots__ = ("cause", "effects", "left", "now", "records", "state")

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = float(now) if state.now < now < LATEST_TIME else state.now  # also where it is no number
        self.cause = 0
        self.records: list[f.Record] = []
        self.effects: list[AnyEffect] = []
        self.left: dict[str, None] = {}
        """Agents who have gone from work, or work in another direction."""

    def begin(self, what: AnyInput) -> None:
        """An input, from which what follows comes."""
        self.cause = 0
        self.cause = self._record(what)

    def fact(self, what: f.AnyFact) -> int:
        """Something is so from now on. The id of its record."""
        return self._record(what)

    def do(self, effect: AnyEffect) -> None:
        self.effects.append(effect)

    def _record(self, what: AnyInput | f.AnyFact) -> int:
        record = f.Record(self.state.last_id + 1, self.now, self.cause, what)
        self.records.append(record)
        apply(self.state, record)
        return record.id

    # ---- look up, or refuse

    def agent(self, name: str) -> AgentState:
        """One who is signed in. Raises `Refusal`."""
        found = self.state.agents.get(name)
        if found is None:
            raise Refusal(f"there is no agent {name[:64]!r}")
        if not found.signed_in:
            raise Refusal(f"agent {name} is not signed in")
        return found

    def ordered(self, name: str, by: str) -> AgentState:
        """The same, where `by` may give it orders. Raises `Refusal`."""
        found = self.agent(name)
        self.may_order(name, by)
        return found

    def may_order(self, name: str, by: str) -> None:
        """Raises `Refusal` where `by` is neither the operator, nor the agent, nor administers a group of its."""
        if by in ("", name):
            return
        settings = self.state.settings(name)
        groups = self.state.config.groups
        if not any(by in groups[group].administrators for group in settings.groups if group in groups):
            raise Refusal(f"{by[:64]!r} may not do that for agent {name}: expected one of its administrators")

    def waiting(self, name: str) -> ContactState:
        """A contact that waits in a queue. Raises `Refusal`."""
        found = self.contact(name)
        if not found.queue:
            raise Refusal(f"contact {name} waits in no queue")
        return found

    def contact(self, name: str) -> ContactState:
        found = self.state.contacts.get(name)
        if found is None:
            raise Refusal(f"there is no contact {name[:64]!r}, or it is over")
        return found

    def held_by(self, name: str, agent: str) -> AgentState:
        """An agent who has that contact. Raises `Refusal`."""
        contact, found = self.contact(name), self.agent(agent)
        if agent not in contact.agents:
            raise Refusal(f"agent {agent} does not have contact {name}")
        return found

    def may_take(self, agent: AgentState, contact: ContactState | None) -> None:
        """Whether an agent is free to take a contact, or one that is not known, without an offer: teams never see each
        other. Who is paused will be again. Raises `Refusal`."""
        if agent.contact and agent.state != "wrap_up":
            raise Refusal(f"agent {agent.id} has contact {agent.contact}, or is being offered it")
        queue = None if contact is None else self.state.config.queues.get(contact.served_in)
        if contact is not None and queue is not None and queue.team != self.settings(agent.id).team:
            raise Refusal(f"contact {contact.id} is of team {queue.team}, and agent {agent.id} is not")
        if agent.state == "paused":
            self.fact(f.AfterWork(agent.id, "paused", agent.reason, max(agent.until - self.now, 0.0)))

    def offer(self, number: int) -> OfferState:
        found = self.state.offers.get(number)
        if found is None:
            raise Refusal(f"offer {number} is over, or there was none")
        return found

    # ---- agents

    def change(
        self,
        agent: AgentState,
        state: f.AgentStateName,
        why: f.Why,
        reason: str = "",
        until: float = 0.0,
        contact: str = "",
        offer: int = 0,
    ) -> None:
        """An agent's state. What the machine does not know is a fault of ours."""
        assert allowed(agent.state, why, state), (agent.id, agent.state, why, state)
        if state not in AT_WORK:
            self.left[agent.id] = None
        self.fact(f.AgentChanged(agent.id, state, why, reason, until, contact, offer))

    def rest(self, agent: AgentState, why: f.Why) -> None:
        """It has nothing to do: see REST in `acd.agent`."""
        settings = self.state.settings(agent.id)
        if agent.id in self.state.carried:
            self.change(agent, "signed_out", "configured")
        elif agent.after == "signed_out":
            self.change(agent, "signed_out", why)
        elif agent.after == "paused":
            planned = self.now + agent.after_planned if agent.after_planned else 0.0
            self.change(agent, "paused", why, agent.after_reason, planned)
        elif agent.direct and settings.direct_calls == "busy":
            self.change(agent, "talking", why)
        elif not self.state.is_reachable(agent.address):
            self.change(agent, "offline", why)
        else:
            self.change(agent, "ready", why)

    def leave_contact(self, agent: AgentState, queue: str, contact: str, why: f.Why, answered: bool) -> None:
        """After a contact, or an offer of one: wrap-up, where the rules say so, else rest."""
        rule = self.wrap_up(agent.id, queue)
        wraps_up = rule.after == "ring" or (answered and rule.after == "answered")
        if not wraps_up or (rule.ends != "manual" and rule.seconds <= 0.0):
            self.rest(agent, why)
            return
        until = 0.0 if rule.ends == "manual" else self.now + rule.seconds
        self.change(agent, "wrap_up", why, until=until, contact=contact)

    def wrap_up(self, agent: str, queue: str) -> WrapUp:
        """By which rule an agent wraps up after a contact of a queue; "" is none."""
        own = self.settings(agent).wrap_up
        if own is not None:
            return own
        found = self.state.config.queues.get(queue)
        return WrapUp() if found is None else found.wrap_up

    def settings(self, agent: str) -> Agent:
        return self.state.settings(agent)

"""What the engine has made of what happened: the events of the journal, which `acd.fold` folds.

A `Record` is one line of the journal, input or fact. A fact says all that changes and nothing that follows from what is
known; times in it are Unix seconds, waits seconds. The id of a record counts up from 1; that of an `Offered` is the
offer's name.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.config import Config, StrategyName, WayOutKind
from acd.inputs import (
    AnyInput,
    AttemptDirection,
    AttemptOutcome,
    CallOutcome,
    ContactKind,
    Direction,
    Parting,
    SurveyQuestion,
)

AgentStateName = Literal[
    "signed_out",
    "ready",
    "paused",
    "offered",
    "talking",
    "hold",
    "consulting",
    "wrap_up",
    "not_responding",
    "offline",
]
Why = Literal[
    "sign_in",
    "sign_out",
    "ready",
    "pause",
    "offer",
    "accepted",
    "rejected",
    "missed",
    "unreachable",
    "withdrawn",
    "hold",
    "resume",
    "consult",
    "consult_over",
    "finished",
    "customer_left",
    "wrap_up_over",
    "phone_gone",
    "phone_back",
    "direct_call",
    "direct_call_over",
    "taken",
    "picked_up",
    "configured",
]
OfferEnd = Literal["accepted", "rejected", "missed", "unreachable", "withdrawn"]
Leaving = Literal["abandoned", "overflow", "exit", "refused", "callback", "removed"]


class Fact(msgspec.Struct, frozen=True, gc=False, tag=True, omit_defaults=True):
    """Something that is so from now on."""


class Refused(Fact, frozen=True, gc=False, tag=True):
    """The input that is the cause made no sense; nothing has changed."""

    why: str


class Configured(Fact, frozen=True, gc=False, tag=True):
    config: Config


# ---- agents


class SignedIn(Fact, frozen=True, gc=False, tag=True):
    """With this telephone and in this direction; the state follows."""

    agent: str
    address: str
    mode: Direction


class ModeSet(Fact, frozen=True, gc=False, tag=True):
    agent: str
    mode: Direction


class AgentChanged(Fact, frozen=True, gc=False, tag=True):
    """An agent's state. `until`: when it ends by itself, or is planned to; 0: never. `contact`, `offer`: what it is
    about; a state of talk without a contact is a direct call."""

    agent: str
    state: AgentStateName
    why: Why
    reason: str = ""
    until: float = 0.0
    contact: str = ""
    offer: int = 0


class AfterWork(Fact, frozen=True, gc=False, tag=True):
    """What an agent will be when it is through with its contact. `state` "": ready, as usual."""

    agent: str
    state: Literal["", "paused", "signed_out"]
    reason: str = ""
    planned: float = 0.0


class MissCounted(Fact, frozen=True, gc=False, tag=True):
    """How many offers in a row the agent has missed."""

    agent: str
    misses: int


class WrapUpExtended(Fact, frozen=True, gc=False, tag=True):
    """`extended`: seconds in all, of this wrap-up."""

    agent: str
    until: float
    extended: float


class AddressChanged(Fact, frozen=True, gc=False, tag=True):
    address: str
    reachable: bool


class DirectCallChanged(Fact, frozen=True, gc=False, tag=True):
    agent: str
    active: bool


# ---- contacts


class Queued(Fact, frozen=True, gc=False, tag=True):
    """A contact waits, or waits in another queue from now on. `place`: the less, the sooner; `entered`: when it came
    into this queue; `since`: when its wait began as far as it counts; `needs`: its own; `back`: it had been there, and
    has its place again; `moves`: from how many queues it has flowed over."""

    contact: str
    queue: str
    kind: ContactKind
    number: str
    place: float
    entered: float
    since: float
    needs: str = ""
    priority: float = 0.0
    back: bool = False
    moves: int = 0


class Classed(Fact, frozen=True, gc=False, tag=True):
    """Who may have a contact from now on: the expression in force, how far it is relaxed and widened, the only agent
    until `patience`, and those who are skipped with the time at which that is over. `until`: when it is to be looked at
    again; 0: not."""

    contact: str
    needs: str
    relaxed: int = 0
    widened: int = 0
    only: str = ""
    patience: float = 0.0
    skipped: tuple[tuple[str, float], ...] = ()
    until: float = 0.0


class Candidate(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An agent who could have been chosen, and the key by which the strategy has ranked it: the least first."""

    agent: str
    key: float


class Offered(Fact, frozen=True, gc=False, tag=True):
    """An offer is made: a lease until `deadline`. `by`: which question chose, that for an agent or that for a contact;
    `pick_up`: the agent itself, and there is no more to say. `eligible`: how many of the class are signed in; `ready`:
    of those ready; `candidates`: the best of them, by `strategy`; `rivals`: contacts, the best first with their places
    as this agent sees them, where an agent became ready. `version`: of the rules."""

    contact: str
    agent: str
    deadline: float
    queue: str
    by: Literal["agent", "contact", "pick_up"]
    strategy: StrategyName
    version: str
    eligible: int = 0
    ready: int = 0
    candidates: tuple[Candidate, ...] = ()
    rivals: tuple[Candidate, ...] = ()


class CustomerAnswered(Fact, frozen=True, gc=False, tag=True):
    """A customer who was called is on the line and waits: the contact is a call from now on, and who was kept for it
    is rung, until `deadline`."""

    contact: str
    deadline: float


class OfferEnded(Fact, frozen=True, gc=False, tag=True):
    offer: int
    how: OfferEnd
    why: str = ""


class Connected(Fact, frozen=True, gc=False, tag=True):
    """An agent has answered a contact of a queue. `waited`: seconds from `since`."""

    contact: str
    agent: str
    offer: int
    waited: float


class Taken(Fact, frozen=True, gc=False, tag=True):
    """An agent has a contact that no queue has brought it."""

    contact: str
    agent: str


class HandleEnded(Fact, frozen=True, gc=False, tag=True):
    """An agent's part in a contact is over, but for its wrap-up."""

    contact: str
    agent: str
    how: Parting


class LeftQueue(Fact, frozen=True, gc=False, tag=True):
    """A contact waits no longer in a queue. Where `how` is not `abandoned`, it goes `to` what is named."""

    contact: str
    queue: str
    how: Leaving
    waited: float
    to: WayOutKind | Literal[""] = ""
    name: str = ""
    why: str = ""


class Ended(Fact, frozen=True, gc=False, tag=True):
    """The customer is gone: nothing more comes of this contact but an agent's wrap-up."""

    contact: str


class Announced(Fact, frozen=True, gc=False, tag=True):
    """The `index`th announcement of its queue is played to a contact. `position` counts from 1; `low`, `high`: the
    expected wait in seconds, -1: unknown. `again`: when it is due again, 0: never."""

    contact: str
    index: int
    position: int = 0
    low: float = -1.0
    high: float = -1.0
    again: float = 0.0


# ---- callbacks


class CallbackKept(Fact, frozen=True, gc=False, tag=True):
    """A customer will be called. `place`: its place in the queue; `due`: not before; `contact`: whose place it was, ""
    where it has not waited."""

    callback: str
    number: str
    queue: str
    place: float
    since: float
    due: float = 0.0
    agent: str = ""
    needs: str = ""
    priority: float = 0.0
    contact: str = ""


class CallbackQueued(Fact, frozen=True, gc=False, tag=True):
    """Its time has come: it waits for an agent as a contact of this id."""

    callback: str
    contact: str


class CustomerCalling(Fact, frozen=True, gc=False, tag=True):
    """The customer's telephone is to ring; `attempt` counts from 1, `deadline` ends the attempt."""

    callback: str
    attempt: int
    deadline: float


class CallbackTried(Fact, frozen=True, gc=False, tag=True):
    """An attempt is over. `due`: of the next one; 0: there is none."""

    callback: str
    outcome: CallOutcome
    due: float = 0.0


class CallbackEnded(Fact, frozen=True, gc=False, tag=True):
    """`answered`: the customer is on the line."""

    callback: str
    how: Literal["answered", "cancelled", "given_up"]


# ---- what becomes of calls outside of the queues: for the KPIs alone


class Surveyed(Fact, frozen=True, gc=False, tag=True):
    """A customer's answer after a contact, in place of what it has answered to the same question before. `score` -1: it
    was asked and gave none."""

    contact: str
    question: SurveyQuestion
    score: int


class Attempted(Fact, frozen=True, gc=False, tag=True):
    """An attempt to call through a trunk is over, or the call is connected."""

    trunk: str
    outcome: AttemptOutcome
    direction: AttemptDirection


class Dialled(Fact, frozen=True, gc=False, tag=True):
    """A call of a campaign. `waited`: seconds from the answer of somebody alive to an agent; -1: no agent, or no such
    answer."""

    campaign: str
    outcome: CallOutcome
    waited: float


AnyFact = (
    Refused
    | Configured
    | SignedIn
    | ModeSet
    | AgentChanged
    | AfterWork
    | MissCounted
    | WrapUpExtended
    | AddressChanged
    | DirectCallChanged
    | Queued
    | Classed
    | Offered
    | CustomerAnswered
    | OfferEnded
    | Connected
    | Taken
    | HandleEnded
    | LeftQueue
    | Ended
    | Announced
    | CallbackKept
    | CallbackQueued
    | CustomerCalling
    | CallbackTried
    | CallbackEnded
    | Surveyed
    | Attempted
    | Dialled
)


class Record(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One line of the journal. `cause`: the id of the record that it follows from; 0: of an input."""

    id: int
    time: float
    cause: int
    what: AnyInput | AnyFact

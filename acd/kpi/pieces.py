"""What a journal says of contacts and agents, piece by piece: each is made once, when it is over.

Times are Unix seconds. `team` and `queue` are names; "" where the journal does not say.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.facts import AgentStateName, Leaving, OfferEnd
from acd.inputs import AttemptDirection, AttemptOutcome, CallOutcome, Parting, SurveyQuestion

Activity = AgentStateName | Literal["direct"]
"""An agent's state; `direct`: it talks in a call that no queue has brought."""

Answered = Literal["answered"]


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Something that is over."""


class Stay(Piece, frozen=True, gc=False):
    """A call was offered to a queue and is in it no more. `entered`: when it came into this queue; `since`: when its
    wait began as far as it counts, not after `entered`; `how`: an agent answered, or as `LeftQueue` says; `to`: the
    kind of place it went to."""

    team: str
    queue: str
    entered: float
    since: float
    ended: float
    how: Leaving | Answered
    to: str = ""


class Journey(Piece, frozen=True, gc=False):
    """A call that came into at least one queue: the first, when, and whether any agent answered it. Made when that is
    known: at the first answer, or at the end."""

    team: str
    queue: str
    came: float
    connected: bool


class Handle(Piece, frozen=True, gc=False):
    """An agent's part in a contact, from its answer to the end of its wrap-up, which is `ended`. Seconds each.

    `answered`: a queue has brought it; False: taken, by a transfer or a pick-up. `reached`: there was a customer;
    False: a callback that reached nobody. `dialling`: from the agent's answer to the customer's, of a callback."""

    team: str
    agent: str
    queue: str
    ended: float
    answered: bool
    reached: bool
    outbound: bool
    how: Parting | Literal[""]
    talk: float
    hold: float
    consult: float
    wrap_up: float
    dialling: float


class Spell(Piece, frozen=True, gc=False):
    """An agent was in one state. `reason`: of a pause."""

    team: str
    agent: str
    activity: Activity
    reason: str
    start: float
    end: float


class OfferOver(Piece, frozen=True, gc=False):
    """An offer to an agent has ended."""

    team: str
    agent: str
    queue: str
    at: float
    how: OfferEnd


CallbackStep = Literal["asked", "attempt", "given_up", "cancelled"] | CallOutcome


class CallbackStepped(Piece, frozen=True, gc=False):
    """Something became of a callback: asked for, an attempt begun and what came of it, given up, cancelled."""

    team: str
    queue: str
    at: float
    step: CallbackStep


class Solved(Piece, frozen=True, gc=False):
    """A contact of a known number that agents had is over; `agent`, `queue`: who had it last, until `at`. It counts as
    solved at the first contact until `Repeated` says otherwise."""

    team: str
    agent: str
    queue: str
    at: float


class Repeated(Piece, frozen=True, gc=False):
    """The same customer has come again within the window: the `Solved` with the same fields is none."""

    team: str
    agent: str
    queue: str
    at: float


class Rated(Piece, frozen=True, gc=False):
    """A customer has answered a question after a contact; `agent`, `queue`: who had it last, until `at`, as in the
    `Solved` of the same contact. `score` -1: it gave no answer. `before`: what it had answered before, which counts no
    longer; None: nothing."""

    team: str
    agent: str
    queue: str
    at: float
    question: SurveyQuestion
    score: int
    before: int | None


class AttemptOver(Piece, frozen=True, gc=False):
    """What became of an attempt on a trunk is known."""

    trunk: str
    at: float
    outcome: AttemptOutcome
    direction: AttemptDirection


class DialOver(Piece, frozen=True, gc=False):
    """What became of a call of a campaign is known. `waited`: seconds from a live answer to an agent, -1: none came."""

    campaign: str
    at: float
    outcome: CallOutcome
    waited: float


AnyPiece = (
    Stay | Journey | Handle | Spell | OfferOver | CallbackStepped | Solved | Repeated | Rated | AttemptOver | DialOver
)

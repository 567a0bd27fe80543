"""What happens outside, as the engine is told it: `Engine.handle(input, now)`.

Agents, queues and addresses are named as the configuration names them; contacts and callbacks by ids that whoever runs
the calls gives them, and an offer by the id of the fact that made it. `by` is the agent who gives an order: itself, or
an administrator of one of its groups; "" is the operator, who may do all.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.config import Config

Direction = Literal["inbound", "outbound", "both"]
ContactKind = Literal["call", "callback", "reservation"]
"""`callback`: the customer is called when an agent has it; `reservation`: an agent is kept for a call under way."""
Parting = Literal["hangup", "blind_transfer", "attended_transfer", "queue_transfer"]
CallOutcome = Literal["answered", "busy", "no_answer", "failed", "machine"]
SurveyQuestion = Literal["csat", "nps"]
AttemptOutcome = Literal[
    "connected",
    "busy",
    "no_answer",
    "rejected",
    "caller_left",
    "no_channel",
    "no_port",
    "network",
    "invalid",
]
"""`no_channel`: the trunk had none free; `no_port`: the switch had no media port; `network`: the way there or the far
end's network failed; `invalid`: there is no such number, so that it was no valid attempt."""
AttemptDirection = Literal["inbound", "outbound"]


class Input(msgspec.Struct, frozen=True, gc=False, tag=True, forbid_unknown_fields=True, omit_defaults=True):
    """Something that has happened."""


# ---- agents


class SignIn(Input, frozen=True, gc=False, tag=True):
    """`address` "": that of its settings. `mode` "": as its settings say; of `self`, inbound."""

    agent: str
    address: str = ""
    mode: Direction | Literal[""] = ""
    by: str = ""


class SignOut(Input, frozen=True, gc=False, tag=True):
    """At once, or after what it is doing."""

    agent: str
    by: str = ""


class Ready(Input, frozen=True, gc=False, tag=True):
    """Out of a pause, of not responding, or of wrap-up."""

    agent: str
    by: str = ""


class Pause(Input, frozen=True, gc=False, tag=True):
    """At once, or after what it is doing. `planned`: seconds, which a wallboard shows; 0: not said."""

    agent: str
    reason: str = ""
    planned: float = 0.0
    by: str = ""


class SetMode(Input, frozen=True, gc=False, tag=True):
    """An agent of work mode `self` says what it works in."""

    agent: str
    mode: Direction
    by: str = ""


class ExtendWrapUp(Input, frozen=True, gc=False, tag=True):
    """More time, in seconds, for the wrap-up that it is in."""

    agent: str
    seconds: float
    by: str = ""


class Reachable(Input, frozen=True, gc=False, tag=True):
    """A telephone can be called, or can't any more. Addresses that nothing was said of can."""

    address: str
    reachable: bool


class DirectCall(Input, frozen=True, gc=False, tag=True):
    """An agent is in a call that no queue has brought, or is no longer in any."""

    agent: str
    active: bool


# ---- contacts


class Enqueue(Input, frozen=True, gc=False, tag=True):
    """A contact wants an agent. One that an agent has comes into the queue by a transfer. `needs`: besides those of the
    queue. `waited`: seconds that it has waited elsewhere, and that count here."""

    contact: str
    queue: str
    number: str = ""
    needs: str = ""
    priority: float = 0.0
    last_agent: str = ""
    kind: ContactKind = "call"
    waited: float = 0.0


class Answered(Input, frozen=True, gc=False, tag=True):
    """The customer of a `reservation` has answered: it is on the line, and waits for whoever is kept for it."""

    contact: str


class HangUp(Input, frozen=True, gc=False, tag=True):
    """The customer is gone, whatever became of it."""

    contact: str


class PressKey(Input, frozen=True, gc=False, tag=True):
    """Of a caller who waits."""

    contact: str
    key: str


class Hold(Input, frozen=True, gc=False, tag=True):
    contact: str
    agent: str
    held: bool


class Consult(Input, frozen=True, gc=False, tag=True):
    """The agent talks to somebody else while the customer waits."""

    contact: str
    agent: str
    active: bool


class Finish(Input, frozen=True, gc=False, tag=True):
    """An agent's part in a contact is over. After a transfer the customer goes on, which is told by `Take`, `Enqueue`
    or, where it leaves for elsewhere, `HangUp`."""

    contact: str
    agent: str
    how: Parting = "hangup"


class PickUp(Input, frozen=True, gc=False, tag=True):
    """An agent wants a contact that waits, before its turn and whatever it needs: an offer beside others."""

    contact: str
    agent: str


class Take(Input, frozen=True, gc=False, tag=True):
    """An agent has a contact that waits in no queue: by a transfer, or a pick-up elsewhere."""

    contact: str
    agent: str


# ---- offers


class Accept(Input, frozen=True, gc=False, tag=True):
    """The agent's telephone was answered."""

    offer: int


class Reject(Input, frozen=True, gc=False, tag=True):
    """The agent has declined."""

    offer: int


class Unreachable(Input, frozen=True, gc=False, tag=True):
    """The agent's telephone could not be called: busy, gone, failed."""

    offer: int
    why: str = ""


# ---- callbacks


class AskCallback(Input, frozen=True, gc=False, tag=True):
    """A customer wants to be called: one that waits (`contact`), or has been sent to a `callback` lately, and keeps its
    place; or one that does not. `at`: when, Unix seconds; 0: as soon as its turn comes. `agent`: by whom; "":
    anybody."""

    callback: str
    number: str
    queue: str = ""
    contact: str = ""
    at: float = 0.0
    agent: str = ""
    needs: str = ""
    priority: float = 0.0


class CancelCallback(Input, frozen=True, gc=False, tag=True):
    callback: str


class CustomerCalled(Input, frozen=True, gc=False, tag=True):
    """What became of the call that `effects.CallCustomer` has asked for."""

    callback: str
    outcome: CallOutcome


# ---- what becomes of calls outside of the queues: for the KPIs alone


class SurveyAnswer(Input, frozen=True, gc=False, tag=True):
    """What a customer has answered in a survey after a contact, or while it goes on. `csat`: 1 to 5, `nps`: 0 to 10;
    -1: it was asked and gave no answer. Told again, the latest counts."""

    contact: str
    question: SurveyQuestion
    score: int = -1


class CallAttempt(Input, frozen=True, gc=False, tag=True):
    """What became of an attempt to call through a trunk, when that is known; once of each."""

    trunk: str
    outcome: AttemptOutcome
    direction: AttemptDirection = "outbound"


class DialledCall(Input, frozen=True, gc=False, tag=True):
    """What became of a call that a campaign has dialled, when that is known; once of each. `answered`: by somebody who
    is alive. `waited`: seconds from that answer until an agent had the call; -1: none ever had."""

    campaign: str
    outcome: CallOutcome
    waited: float = -1.0


# ---- all


class Configure(Input, frozen=True, gc=False, tag=True):
    """From now on these rules; agents and contacts are carried over."""

    config: Config


class Tick(Input, frozen=True, gc=False, tag=True):
    """Time has passed; made by `Engine.tick`."""


AgentInput = SignIn | SignOut | Ready | Pause | SetMode | ExtendWrapUp | Reachable | DirectCall

OutcomeInput = SurveyAnswer | CallAttempt | DialledCall

AnyInput = (
    AgentInput
    | OutcomeInput
    | Enqueue
    | Answered
    | HangUp
    | PressKey
    | Hold
    | Consult
    | Finish
    | PickUp
    | Take
    | Accept
    | Reject
    | Unreachable
    | AskCallback
    | CancelCallback
    | CustomerCalled
    | Configure
    | Tick
)

"""What the switch is to do. Effects are not remembered: the facts are what they follow from."""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.config import WayOut
from acd.inputs import ContactKind


class Effect(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Something to do now."""


class Offer(Effect, frozen=True, gc=False, tag=True):
    """Ring an agent for a contact; answer with `Accept`, `Reject` or `Unreachable`. For a `reservation` nothing rings:
    the agent is kept until `HangUp` of the contact, or `Answered`. Then the same offer comes again, of kind `call`: now
    it rings."""

    offer: int
    contact: str
    agent: str
    address: str
    deadline: float
    kind: ContactKind
    queue: str
    number: str
    """Of the customer, where it is known."""


class Withdraw(Effect, frozen=True, gc=False, tag=True):
    """Stop ringing; an `Accept` that crosses this counts no more."""

    offer: int
    contact: str
    agent: str
    why: Literal["missed", "answered_elsewhere", "caller_left", "agent_left", "configured"]


class Connect(Effect, frozen=True, gc=False, tag=True):
    """Let the two talk: whatever plays to the contact ends."""

    offer: int
    contact: str
    agent: str


class TooLate(Effect, frozen=True, gc=False, tag=True):
    """An answer to an offer that had ended: that call leads nowhere."""

    offer: int


class Announce(Effect, frozen=True, gc=False, tag=True):
    """Play something to who waits. `position` from 1, `low` and `high` seconds of expected wait, -1: unknown."""

    contact: str
    what: Literal["welcome", "position", "expected_wait", "message"]
    sound: str
    position: int
    low: float
    high: float


class StopAnnouncing(Effect, frozen=True, gc=False, tag=True):
    """Whatever is being announced to a contact ends."""

    contact: str


class SendTo(Effect, frozen=True, gc=False, tag=True):
    """The contact does not wait here: it goes elsewhere. Into another queue it goes within the engine, and this is not
    asked for. To a `callback`: its place is kept for `acd.fold.ASKING_SECONDS`, for an `AskCallback` that names it or
    an `Enqueue` of one that would rather wait."""

    contact: str
    to: WayOut
    why: str
    queue: str
    """That it leaves."""


class CallCustomer(Effect, frozen=True, gc=False, tag=True):
    """Call the customer of a callback; answer with `CustomerCalled`. `agent`: who waits on the line; "": one is kept,
    and nobody is on the line yet."""

    callback: str
    contact: str
    number: str
    agent: str
    ring_seconds: float
    queue: str


class StopCalling(Effect, frozen=True, gc=False, tag=True):
    """End the attempt to call the customer of a callback, for which this contact stood, and let go whoever waits on the
    line for it. A `CustomerCalled` that crosses this counts no more."""

    callback: str
    contact: str


AnyEffect = Offer | Withdraw | Connect | TooLate | Announce | StopAnnouncing | SendTo | CallCustomer | StopCalling

"""One contact, one offer, one callback, as they are now. Times are Unix seconds."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from acd.classes import Waiter
from acd.inputs import CallOutcome, ContactKind

HANDLED = 50
"""Contacts after which one counts 1/e in the mean of a queue's handling time."""
WAITED = 200
"""The same of those who waited, in the rate at which they give up."""
COMING = 1_800.0
"""Seconds after which who has come counts 1/e in the rate at which callers come into a queue."""
CAME = 5
"""Callers before that rate says something."""


class ContactState(msgspec.Struct):
    """A contact that waits in `queue`, or that agents have; "" where it does neither just now."""

    id: str
    queue: str = ""
    """Where it waits; "": it does not."""
    served_in: str = ""
    """The queue that it came by, whose rules its agents go by."""
    kind: ContactKind = "call"
    number: str = ""
    place: float = 0.0
    seq: int = 0
    entered: float = 0.0
    since: float = 0.0
    reached: float = 0.0
    """When it was on the line, of a customer who was called; 0: it has come by itself, or is not there yet."""
    needs: str = ""
    priority: float = 0.0
    moves: int = 0
    asks: str = ""
    """The expression in force."""
    relaxed: int = 0
    widened: int = 0
    only: str = ""
    patience: float = 0.0
    """Until when it waits for that one alone."""
    skipped: dict[str, float] = {}
    """By agent: until when."""
    until: float = 0.0
    offers: list[int] = []
    agents: list[str] = []
    """Who has it."""
    announced: list[float] = []
    """When each announcement of the queue is due again, 0: never."""
    told: float = -1.0
    """The longest expected wait that it was told, as the time by which it was to be over; -1: none."""
    callback: str = ""

    @property
    def waiter(self) -> Waiter:
        return Waiter(self.place, self.seq, self.id)


class OfferState(msgspec.Struct, frozen=True):
    """A lease. `id` is that of the record that made it."""

    id: int
    contact: str
    agent: str
    queue: str
    deadline: float
    made: float


class CallbackState(msgspec.Struct):
    """A customer who is to be called. `contact`: by which it waits for an agent; "": its time has not come."""

    id: str
    number: str
    queue: str
    place: float
    since: float
    due: float = 0.0
    agent: str = ""
    needs: str = ""
    priority: float = 0.0
    contact: str = ""
    queued: int = 0
    """The number of its latest contact, mostly how often its time has come."""
    attempts: int = 0
    """How often the customer was called."""
    calling: float = 0.0
    """The deadline of the attempt under way; 0: none is."""
    latest: CallOutcome | Literal[""] = ""


class Asking(msgspec.Struct, frozen=True):
    """The place of who has left a queue by a way out `callback`, and is asked for its number; it may also come back
    instead. Kept until `until`."""

    queue: str
    place: float
    since: float
    needs: str
    priority: float
    until: float


class Returning(msgspec.Struct, frozen=True):
    """Whose place is kept for a while, as it may call again."""

    place: float
    since: float
    until: float


class Handling(msgspec.Struct):
    """How long agents have had the contacts of a queue, wrap-up included: a mean over the latest, in seconds."""

    count: int = 0
    mean: float = 0.0

    def note(self, seconds: float) -> None:
        self.count += 1
        self.mean += (seconds - self.mean) / min(self.count, HANDLED)


class Impatience(msgspec.Struct):
    """How fast those who wait in a queue give up: those who did, and the seconds that all waited, of the latest."""

    gave_up: float = 0.0
    seconds: float = 0.0

    def note(self, seconds: float, gave_up: bool) -> None:
        """The wait of one is over."""
        self.gave_up += float(gave_up) - self.gave_up / WAITED
        self.seconds += seconds - self.seconds / WAITED

    @property
    def rate(self) -> float:
        """A second, of each who waits."""
        return self.gave_up / self.seconds if self.seconds > 0.0 else 0.0


class Arrivals(msgspec.Struct):
    """How fast callers come into a queue lately: how many have come since the first one did, at `begun`, of whom those
    who came `COMING` seconds back count 1/e. `count` is that as it was at `at`; `number` has all, and the first."""

    begun: float
    at: float
    number: int = 0
    count: float = -1.0

    def note(self, now: float) -> None:
        """Another one, or the first."""
        self.count = self.count * math.exp((self.at - now) / COMING) + 1.0
        self.number, self.at = self.number + 1, now

    def forget(self) -> None:
        """The latest one does not stay."""
        self.number, self.count = self.number - 1, self.count - 1.0

    def rate(self, now: float) -> float:
        """A second; 0 where too few have come to say."""
        if self.number < CAME or now <= self.begun:
            return 0.0
        count = max(self.count, 0.0) * math.exp((self.at - now) / COMING)
        return -count / (COMING * math.expm1((self.begun - now) / COMING))

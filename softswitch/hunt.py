"""The hunt: which endpoints ring, in what order, and what it means when none of them takes the call.

A *dial* decision names targets, rung together (`parallel`) or one after another (`sequence`). Each target is a
*branch*: the groups of endpoints that the directory gives for it. The endpoints of a group ring together (an
extension's contacts); the next group is tried when the whole group failed in a way that another gateway may cure.

    next_stage()     -> candidates to call; each is told back by called(candidate, leg). Only now are its targets looked
                        up: who waits in a sequence is not in the call yet. None, and stage_over(): the end
    failed(leg)      -> candidates to call instead; when stage_over(), go on with next_stage()
    timed_out()      -> the legs to release, then as failed; next_stage() in any case
    outcome()        -> what it amounts to when no stage is left

Stages may overlap (`Hunt.in_steps`, `softswitch.hunt_steps`): then timed_out() leaves alone who is to ring on, and
next_stage() may have nobody to call while others ring.

Who answers has the call, unless a key is to be pressed first, so that no mailbox takes it:

    answered(leg)    -> seconds to confirm; 0: it has the call. Others ring on, and the stages go on
    key(leg, digit)  -> "confirmed": it has the call. "refused", and when the seconds are over: failed(leg)

Pure: values in, values out. It holds no leg, only their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Generic, Literal, TypeVar

import msgspec

from softswitch.causes import Cause
from softswitch.hunt_steps import Joining, Step
from softswitch.vocabulary import Endpoint

MAX_BRANCHES = 32
"""Targets of one dial decision; the settings refuse more."""

MAX_LEGS_AT_ONCE = 64
"""Legs ringing at once for one contact: a bound on what one INVITE can set off."""


CONFIRM_KEY = "1"
REFUSE_KEY = "2"


class Outcome(msgspec.Struct, gc=False, frozen=True):
    """How a hunt ended without an answer. `kind` picks the dialplan's continuation."""

    kind: str  # "busy" | "no_answer" | "unavailable" | "rejected"
    cause: int
    status: int
    retry_after: float | None = None
    text: str = ""
    """Why, where it was the switch that could not call; for a Warning header."""


class Target(msgspec.Struct, gc=False):
    """A branch to be: what the directory knows of one dial target."""

    name: str
    groups: tuple[tuple[Endpoint, ...], ...]
    ring_timeout: float
    """Seconds it rings where the dial decision does not say."""
    absent: Outcome
    """What it counts as when there is nobody to ring: not registered, not to be disturbed, as many calls as it may
    have."""
    forward_after: float | None = None
    """Seconds it rings where calls are forwarded that it does not answer; counts only where it is rung alone, since
    whoever rings with others is not forwarded."""


class Candidate(msgspec.Struct, gc=False):
    """An endpoint to call now, and the branch it stands in."""

    branch: int
    endpoint: Endpoint


class Failure(msgspec.Struct, gc=False):
    """How one leg failed."""

    cause: int
    status: int
    retry_after: float | None = None
    text: str = ""


_BUSY = frozenset({Cause.USER_BUSY})
_NO_ANSWER = frozenset({Cause.NO_ANSWER, Cause.NO_USER_RESPONDING, Cause.TIMER_EXPIRED})
_REJECTED = frozenset(
    {
        Cause.CALL_REJECTED,
        Cause.OUTGOING_CALLS_BARRED,
        Cause.INCOMING_CALLS_BARRED,
        Cause.BEARER_NOT_AUTHORISED,
        Cause.FACILITY_REJECTED,
    }
)

UNAVAILABLE = Outcome("unavailable", Cause.SUBSCRIBER_ABSENT, 480)
BUSY = Outcome("busy", Cause.USER_BUSY, 486)
NO_CHANNEL = Outcome("unavailable", Cause.NO_CIRCUIT, 503)
BARRED = Outcome("rejected", Cause.OUTGOING_CALLS_BARRED, 403)
NO_ROUTE = Outcome("unavailable", Cause.NO_ROUTE_TO_DESTINATION, 404)

# Which failure speaks for a hunt where several legs failed: the one that says most about the person called
# (RFC 3261 16.7 step 6 prefers 6xx, then the lowest class; among 4xx the more telling ones).
_WEIGHT = {"busy": 3, "rejected": 2, "no_answer": 1, "unavailable": 0}


def outcome_of(failure: Failure) -> Outcome:
    """What kind of ending a failure is."""
    cause = failure.cause
    if cause in _BUSY:
        kind = "busy"
    elif cause in _NO_ANSWER:
        kind = "no_answer"
    elif cause in _REJECTED:
        kind = "rejected"
    else:
        kind = "unavailable"
    return Outcome(kind, cause, failure.status, failure.retry_after, failure.text)


class _Branch:
    """One target: the groups not tried yet, and the legs of the group that rings."""

    __slots__ = ("absent", "confirm", "confirming", "groups", "legs", "through", "worst")

    def __init__(self, target: Target, through: int, confirm: float) -> None:
        self.through = through
        self.confirm = confirm
        self.confirming: set[int] = set()  # of the legs, those that have answered
        self.groups = list(reversed(target.groups))
        self.absent = target.absent
        self.legs: dict[int, Endpoint] = {}
        self.worst: Outcome | None = None

    def note(self, outcome: Outcome) -> None:
        if self.worst is None or _beats(outcome, self.worst):
            self.worst = outcome


Dialled = TypeVar("Dialled")
"""What a dial decision names: the caller of `next_stage` knows how to look it up."""


class Hunt(Generic[Dialled]):
    """One dial decision being carried out."""

    __slots__ = ("_alone", "_best", "_ringing", "_step", "_waiting", "timeout")

    def __init__(self, targets: Sequence[Dialled], in_sequence: bool, ring_timeout: float | None) -> None:
        chosen = targets[:MAX_BRANCHES]
        stages = [[target] for target in chosen] if in_sequence else [list(chosen)]
        self._waiting: list[Step[Dialled]] = [
            Step(tuple([Joining(target, number) for target in stage]), ring_timeout)
            for number, stage in enumerate(stages)
        ]
        self._waiting.reverse()
        self._alone = len(chosen) == 1
        self._step = -1
        self._ringing: list[_Branch] = []
        self._best: Outcome | None = None
        self.timeout = 0.0
        """Seconds that the stage begun last may ring. Without end where no stage is left, and a key is waited for."""

    @classmethod
    def in_steps(cls, steps: Sequence[Step[Dialled]]) -> Hunt[Dialled]:
        """A hunt whose stages are these steps."""
        hunt: Hunt[Dialled] = cls((), True, None)
        hunt._waiting = list(reversed(steps))
        hunt._alone = sum(len(step.joining) for step in steps) == 1
        return hunt

    def next_stage(self, look_up: Callable[[Dialled], Target]) -> list[Candidate]:
        """Begin the next stage; the endpoints to call now. Empty when there is no further stage, or (not stage_over())
        when others of an earlier one ring on and nobody joins them."""
        while self._waiting:
            step = self._waiting.pop()
            self._step += 1
            if self.stage_over():
                self._conclude()
                self._ringing = []
            first = len(self._ringing)
            joining = step.joining[: max(0, MAX_BRANCHES - first)]
            targets = [look_up(each.target) for each in joining]
            for target, each in zip(targets, joining, strict=True):
                self._ringing.append(_Branch(target, each.through, each.confirm))
            self.timeout = step.lasts or max(map(self._ring_time, targets), default=0.0)
            room = MAX_LEGS_AT_ONCE - len(self.legs())
            found = [each for n in range(first, len(self._ringing)) for each in self._next_group(n)]
            if found or not self.stage_over():
                return found[: max(0, room)]
        self.timeout = inf
        return []

    def _ring_time(self, target: Target) -> float:
        after = target.forward_after
        return after if self._alone and after is not None else target.ring_timeout

    def _next_group(self, number: int) -> list[Candidate]:
        branch = self._ringing[number]
        while branch.groups:
            group = branch.groups.pop()
            if group:
                return [Candidate(number, endpoint) for endpoint in group]
        if branch.worst is None:
            branch.note(branch.absent)
        return []

    def called(self, candidate: Candidate, leg: int) -> None:
        """This leg now calls that candidate."""
        self._ringing[candidate.branch].legs[leg] = candidate.endpoint

    def legs(self) -> list[int]:
        """The legs that ring."""
        return [leg for branch in self._ringing for leg in branch.legs]

    def failed(self, leg: int, failure: Failure, try_next: bool = False) -> list[Candidate]:
        """A leg failed: whom to call instead, when it is worth a try (`try_next`).

        Empty while others of its branch ring, and when the branch is over.
        """
        for number, branch in enumerate(self._ringing):
            endpoint = branch.legs.pop(leg, None)
            if endpoint is None:
                continue
            branch.confirming.discard(leg)
            branch.note(outcome_of(failure))
            if branch.legs:
                return []
            if branch.groups and try_next:
                branch.worst = None  # the gateway that answers last speaks for the trunk
                return self._next_group(number)
            branch.groups.clear()
            return []
        return []

    def declined(self, leg: int) -> list[int]:
        """The other legs of the branch whose leg refused for all of them (RFC 3261 21.6): to be released."""
        for branch in self._ringing:
            if leg in branch.legs:
                branch.groups.clear()
                return [other for other in branch.legs if other != leg]
        return []

    def stage_over(self) -> bool:
        """Whether nothing rings any more."""
        return not any(branch.legs for branch in self._ringing)

    def timed_out(self) -> list[int]:
        """The stage rang long enough: the legs to release, all of which count as not answering.

        Not those that ring through into later stages, nor those that have answered and may still press a key.
        """
        legs = []
        for branch in self._ringing:
            if branch.through > self._step:
                continue
            over = [leg for leg in branch.legs if leg not in branch.confirming]
            if over:
                branch.note(Outcome("no_answer", Cause.NO_ANSWER, 480))
            for leg in over:
                del branch.legs[leg]
            branch.groups.clear()
            legs += over
        return legs

    def confirms(self, leg: int) -> bool:
        """Whether a leg that rings, or has answered, has the call only with a key: what it plays may be a mailbox's."""
        return any(leg in branch.legs and branch.confirm for branch in self._ringing)

    def answered(self, leg: int) -> float:
        """A leg has answered: seconds in which it must press a key; 0: it has the call, which stop() then ends."""
        for branch in self._ringing:
            if leg in branch.legs and branch.confirm:
                branch.confirming.add(leg)
                return branch.confirm
        return 0.0

    def key(self, leg: int, digit: str) -> Literal["confirmed", "refused", ""]:
        """A leg that has answered pressed a key; "" where it says nothing, and of a leg that need not press any."""
        if not any(leg in branch.confirming for branch in self._ringing):
            return ""
        return "confirmed" if digit == CONFIRM_KEY else "refused" if digit == REFUSE_KEY else ""

    def stop(self) -> list[int]:
        """The hunt is off (answered, or the caller left): the legs that still rang."""
        legs = self.legs()
        self._ringing = []
        self._waiting = []
        return legs

    def outcome(self) -> Outcome:
        """What the stages so far amount to."""
        self._conclude()
        return self._best or UNAVAILABLE

    def _conclude(self) -> None:
        for branch in self._ringing:
            worst = branch.worst
            if worst is not None and (self._best is None or _beats(worst, self._best)):
                self._best = worst


def _beats(one: Outcome, other: Outcome) -> bool:
    if (one.status >= 600) != (other.status >= 600):
        return one.status >= 600
    return _WEIGHT[one.kind] > _WEIGHT[other.kind]

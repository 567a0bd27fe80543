"""KPIs of contacts in queues: service level, abandonment, waits, the way out, callbacks.

All of them are of the contacts that came into the queue in the interval, however long it took until they were answered
or gone: A, B, O and what is derived from them are shares of the same contacts. N = A + B + O; who still waits is in
none of them yet, only in `waiting` and in the waits over all contacts.

Calls alone are offered: a callback that waits for its agent has been offered before, as the call that asked for it, and
a reservation is a call of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from acd.kpi.cells import QueueCell, WaitFrom
from acd.kpi.fold import QueueRules
from acd.kpi.policy import DEFAULT, Counts, PolicyName, service_level, share


class Policy(msgspec.Struct, frozen=True):
    """How a report counts. `threshold`: seconds, None: as each queue says; `wait_from`: what of a wait counts."""

    service_level: PolicyName = DEFAULT
    threshold: float | None = None
    wait_from: WaitFrom = "entry"

    def threshold_of(self, rules: QueueRules) -> float:
        return rules.threshold if self.threshold is None else self.threshold


USUAL = Policy()


class QueueKpis(msgspec.Struct, frozen=True):
    """Counts, shares from 0 to 1, seconds. None: there is nothing that it could be of."""

    offered: int
    answered: int
    answered_within: int
    abandoned: int
    abandoned_within: int
    short_abandoned: int
    out: int
    out_by: dict[str, int]
    waiting: int
    service_level: float | None
    abandonment: float | None
    """`B / N`."""
    abandonment_without_short: float | None
    """`(B - S) / (N - S)`."""
    asa: float | None
    """Mean wait of those who were answered."""
    awt: float | None
    """Mean wait of all, those who still wait included as far as they have."""
    longest_wait: float | None
    calls: int
    """Whose first queue it was."""
    connected: int
    connection_rate: float | None
    """Of these calls those that any agent answered, in this queue or a later one."""
    callbacks_asked: int
    callback_attempts: int
    callbacks_reached: int
    callbacks_given_up: int
    callbacks_cancelled: int
    callback_outcomes: dict[str, int]
    """Of attempts that reached nobody: busy, no_answer, failed, machine."""


OUTCOMES = ("busy", "no_answer", "failed", "machine")


def queue_kpis(
    cells: Iterable[tuple[str, QueueCell]], rules: Mapping[str, QueueRules], policy: Policy = USUAL
) -> QueueKpis:
    """Of one queue, or of several together, each with its own threshold. `cells`: by the queue's name."""
    counts = Counts(0, 0, 0, 0, 0, 0)
    total = QueueCell()
    for name, cell in cells:
        counts = Counts(*map(sum, zip(counts, _counts(cell, rules.get(name, QueueRules()), policy), strict=True)))
        total.merge(cell)
    answered = total.answered.of(policy.wait_from)
    waits = [
        *answered,
        *total.abandoned.of(policy.wait_from),
        *total.out.of(policy.wait_from),
        *total.waiting.of(policy.wait_from),
    ]
    steps = total.callbacks
    return QueueKpis(
        offered=counts.offered,
        answered=counts.answered,
        answered_within=counts.answered_within,
        abandoned=counts.abandoned,
        abandoned_within=counts.abandoned_within,
        short_abandoned=counts.short,
        out=len(total.out.entry),
        out_by=dict(sorted(total.out_by.items())),
        waiting=len(total.waiting.entry),
        service_level=service_level(policy.service_level, counts),
        abandonment=share(counts.abandoned, counts.offered),
        abandonment_without_short=share(counts.abandoned - counts.short, counts.offered - counts.short),
        asa=share(sum(answered), len(answered)),
        awt=share(sum(waits), len(waits)),
        longest_wait=max(waits, default=None),
        calls=total.calls,
        connected=total.connected,
        connection_rate=share(total.connected, total.calls),
        callbacks_asked=steps.get("asked", 0),
        callback_attempts=steps.get("attempt", 0),
        callbacks_reached=steps.get("answered", 0),
        callbacks_given_up=steps.get("given_up", 0),
        callbacks_cancelled=steps.get("cancelled", 0),
        callback_outcomes={outcome: steps[outcome] for outcome in OUTCOMES if outcome in steps},
    )


def _counts(cell: QueueCell, rules: QueueRules, policy: Policy) -> Counts:
    threshold = policy.threshold_of(rules)
    answered = cell.answered.of(policy.wait_from)
    abandoned = cell.abandoned.of(policy.wait_from)
    return Counts(
        offered=len(answered) + len(abandoned) + len(cell.out.entry),
        answered=len(answered),
        answered_within=sum(wait <= threshold for wait in answered),
        abandoned=len(abandoned),
        abandoned_within=sum(wait <= threshold for wait in abandoned),
        short=sum(wait < rules.short_abandon for wait in abandoned),
    )

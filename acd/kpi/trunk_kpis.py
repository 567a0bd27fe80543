"""KPIs of attempts to call through a trunk: how many are lost for lack of something of ours.

    valid = attempts - invalid
    lost  = no_channel + no_port + network
    call loss = lost / valid

Who is busy, does not answer, refuses or hangs up has had a channel: none of these is lost, but all of them are attempts
that the trunk was there for. An attempt to a number that there is not is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import msgspec

from acd.inputs import AttemptDirection, AttemptOutcome
from acd.kpi.policy import share

LOST: tuple[AttemptOutcome, ...] = ("no_channel", "no_port", "network")
OUTCOMES: tuple[AttemptOutcome, ...] = get_args(AttemptOutcome)

Counts = Mapping[str, int]
"""By direction and outcome: "outbound busy"."""


class TrunkKpis(msgspec.Struct, frozen=True):
    """Counts, and shares from 0 to 1. None: there was no valid attempt."""

    attempts: int
    attempts_inbound: int
    attempts_outbound: int
    valid: int
    lost: int
    call_loss: float | None
    """`lost / valid`."""
    call_loss_inbound: float | None
    call_loss_outbound: float | None
    lost_or_connected_loss: float | None
    """`lost / (lost + connected)`: without those whom the other end has refused, by whatever means."""
    connected: int
    busy: int
    no_answer: int
    rejected: int
    caller_left: int
    no_channel: int
    no_port: int
    network: int
    invalid: int


def counted(direction: AttemptDirection, outcome: AttemptOutcome) -> str:
    """Under which name an attempt counts."""
    return f"{direction} {outcome}"


def trunk_kpis(counts: Counts) -> TrunkKpis:
    inbound, outbound = _of(counts, "inbound"), _of(counts, "outbound")
    both = {outcome: inbound[outcome] + outbound[outcome] for outcome in OUTCOMES}
    lost = _lost(both)
    return TrunkKpis(
        attempts=sum(both.values()),
        attempts_inbound=sum(inbound.values()),
        attempts_outbound=sum(outbound.values()),
        valid=_valid(both),
        lost=lost,
        call_loss=share(lost, _valid(both)),
        call_loss_inbound=share(_lost(inbound), _valid(inbound)),
        call_loss_outbound=share(_lost(outbound), _valid(outbound)),
        lost_or_connected_loss=share(lost, lost + both["connected"]),
        **both,
    )


def _of(counts: Counts, direction: AttemptDirection) -> dict[AttemptOutcome, int]:
    return {outcome: counts.get(counted(direction, outcome), 0) for outcome in OUTCOMES}


def _lost(of: Mapping[AttemptOutcome, int]) -> int:
    return sum(of[outcome] for outcome in LOST)


def _valid(of: Mapping[AttemptOutcome, int]) -> int:
    return sum(of.values()) - of["invalid"]

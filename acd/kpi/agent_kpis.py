"""KPIs of agents' time and offers, of one agent or of several together; and the score.

    handling  = talking + hold + consulting + wrap_up      with contacts; dialling of callbacks is talking
    idle      = ready + offered                            its telephone rings: it is free until it has answered
    signed in = handling + idle + direct + paused + not_responding + offline

    occupancy    = handling / (handling + idle)
    utilisation  = (handling + idle) / signed in

Seconds are counted in the interval in which they pass, and are divided where a state goes over its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from acd.kpi.cells import AgentCell
from acd.kpi.policy import share

HANDLING = ("talking", "hold", "consulting", "wrap_up")
IDLE = ("ready", "offered")


class AgentKpis(msgspec.Struct, frozen=True):
    """Seconds, counts, and shares from 0 to 1. None: there is nothing that it could be of."""

    signed_in: float
    handling: float
    idle: float
    ringing: float
    """The part of `idle` in which its telephone rang."""
    wrapping_up: float
    """The part of `handling` that was wrap-up, that after offers it did not take included."""
    paused: float
    pauses: dict[str, float]
    """By reason; "": none was given."""
    direct: float
    not_responding: float
    offline: float
    occupancy: float | None
    utilisation: float | None
    offers: int
    """That have ended in the interval."""
    accepted: int
    rejected: int
    missed: int
    unreachable: int
    withdrawn: int


def agent_kpis(cells: Iterable[AgentCell]) -> AgentKpis:
    total = AgentCell()
    for cell in cells:
        total.merge(cell)
    seconds, offers = total.seconds, total.offers
    handling = sum(seconds.get(each, 0.0) for each in HANDLING)
    idle = sum(seconds.get(each, 0.0) for each in IDLE)
    signed_in = sum(seconds.values())
    return AgentKpis(
        signed_in=signed_in,
        handling=handling,
        idle=idle,
        ringing=seconds.get("offered", 0.0),
        wrapping_up=seconds.get("wrap_up", 0.0),
        paused=seconds.get("paused", 0.0),
        pauses=dict(sorted(total.pauses.items())),
        direct=seconds.get("direct", 0.0),
        not_responding=seconds.get("not_responding", 0.0),
        offline=seconds.get("offline", 0.0),
        occupancy=share(handling, handling + idle),
        utilisation=share(handling + idle, signed_in),
        offers=sum(offers.values()),
        accepted=offers.get("accepted", 0),
        rejected=offers.get("rejected", 0),
        missed=offers.get("missed", 0),
        unreachable=offers.get("unreachable", 0),
        withdrawn=offers.get("withdrawn", 0),
    )


# ---- the score

CAP = 2.0
"""What an agent can be better by than the mean in one KPI: nobody makes up for all else by one figure."""


class Weight(msgspec.Struct, frozen=True):
    """`lower`: the less, the better."""

    weight: float
    lower: bool = False


WEIGHTS: Mapping[str, Weight] = {
    "handled": Weight(1.0),
    "aht": Weight(1.0, lower=True),
    "missed": Weight(1.0, lower=True),
    "fcr": Weight(1.0),
}


def scores(
    figures: Mapping[str, Mapping[str, float | None]], weights: Mapping[str, Weight] = WEIGHTS
) -> dict[str, float | None]:
    """One figure for each agent, by its KPIs against the mean of the group: 100 is the mean.

    `figures`: by agent, then by KPI. In each KPI an agent has its figure over the mean of those who have one, or the
    mean over its figure where less is better, at most `CAP`; where the mean is 0 all are alike. The score is the
    weighted mean of that, over the KPIs in which the agent has a figure, times 100; None: in none.
    """
    means = {name: _mean([each[name] for each in figures.values() if name in each]) for name in weights}
    found: dict[str, float | None] = {}
    for agent, own in figures.items():
        points = weight = 0.0
        for name, rule in weights.items():
            value, mean = own.get(name), means[name]
            if value is not None and mean is not None:
                points += rule.weight * _against(value, mean, rule.lower)
                weight += rule.weight
        found[agent] = 100.0 * points / weight if weight > 0.0 else None
    return found


def _mean(values: list[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return share(sum(given), len(given))


def _against(value: float, mean: float, lower: bool) -> float:
    if mean == 0.0:
        return 1.0
    if not lower:
        return min(value / mean, CAP)
    return min(mean / value, CAP) if value > 0.0 else CAP

"""What a study has found, as one plain value: for JSON, tables, pictures and the page alike."""

from __future__ import annotations

import math
from typing import Any

from acd.simulate.staffing import Staffing
from acd.simulate.statistics import CONFIDENCE, ESTIMATE, KPIS, Difference, Estimate, ratio
from acd.simulate.study import Found, Study, compare
from acd.simulate.tally import ALL

Json = dict[str, Any]

TITLES: dict[str, str] = {
    "service_level": "service level",
    "asa": "ASA, s",
    "abandoned": "abandoned",
    "out": "flowed out",
    "occupancy": "occupancy",
    "offered": "contacts",
}
ESTIMATE_TITLES: dict[str, str] = {
    "estimate_known": "known",
    "estimate_held": "wait within it",
    "estimate_wait": "wait, s",
    "estimate_error": "error, s",
    "estimate_bias": "too long by, s",
    "estimate_bias_share": "of the wait",
}
ESTIMATE_NOTE = (
    "of contacts that nobody was free for; error: of the middle of the range; who gave up counts with the wait that it "
    "would have had"
)
SHARES = frozenset(
    ("service_level", "abandoned", "out", "occupancy", "estimate_known", "estimate_held", "estimate_bias_share")
)
"""KPIs that are shown in per cent."""


def results(name: str, study: Study, found: Found) -> Json:
    """Of one configuration: `total` over the whole time, `queues` the same by queue, `intervals` by time of day. Each
    KPI is {value, low, high} with the bounds of its confidence interval, null where there is nothing to tell it from.
    `offered` is the mean number of contacts of a run, by interval that of a day. `expected_wait`: how good the engine's
    estimate was, in all and by queue."""
    days = max(study.days, 1.0)
    return {
        "config": name,
        "days": study.days,
        "runs": study.runs,
        "seed": study.seed,
        "interval_minutes": study.interval / 60.0,
        "confidence": CONFIDENCE,
        "total": {kpi: value(found.total(kpi)) for kpi in KPIS},
        "queues": {
            queue: {kpi: value(found.total(kpi, queue)) for kpi in KPIS if kpi != "occupancy"} for queue in found.queues
        },
        "expected_wait": {
            "total": {kpi: value(found.total(kpi)) for kpi in ESTIMATE},
            "queues": {queue: {kpi: value(found.total(kpi, queue)) for kpi in ESTIMATE} for queue in found.queues},
        },
        "intervals": _intervals(study, found, days),
        "not_taken": found.left,
        "refused": found.refused,
    }


def _intervals(study: Study, found: Found, days: float) -> list[Json]:
    columns = {}
    for kpi in KPIS:
        estimates = [ratio(*each) for each in found.by_interval(kpi)]
        if kpi == "offered":
            estimates = [Estimate(each.value / days, each.half / days) for each in estimates]
        columns[kpi] = estimates
    count = len(columns["asa"])
    return [
        {"start": clock(at * study.interval), **{kpi: value(columns[kpi][at]) for kpi in KPIS}} for at in range(count)
    ]


def value(estimate: Estimate) -> Json:
    return {"value": _finite(estimate.value), "low": _finite(estimate.low), "high": _finite(estimate.high)}


def comparison(name: str, study: Study, first: Found, second: Found) -> Json:
    """The second configuration, and what it differs by, in all and by queue; `p` and `significant` are of paired
    runs."""
    queues = sorted({*first.queues, *second.queues})
    return {
        **results(name, study, second),
        "difference": _differences(first, second, ALL),
        "queue_differences": {queue: _differences(first, second, queue) for queue in queues},
    }


def _differences(first: Found, second: Found, queue: str) -> Json:
    kpis = [kpi for kpi in KPIS if kpi != "offered" and not (queue and kpi == "occupancy")]
    return {kpi: _difference(compare(first, second, kpi, queue)) for kpi in kpis}


def _difference(found: Difference) -> Json:
    return {
        "value": _finite(found.value),
        "low": _finite(found.value - found.half),
        "high": _finite(found.value + found.half),
        "p": _finite(found.p),
        "significant": found.significant,
    }


def staffing(found: Staffing, study: Study, share: float, threshold: float) -> Json:
    """The agents that each interval of the day needs."""
    return {
        "target_share": share,
        "target_seconds": threshold,
        "met": found.met,
        "rounds": found.rounds,
        "agent_hours": sum(found.staff) * study.interval / 3600.0,
        "intervals": [
            {"start": clock(at * study.interval), "agents": n, "by_theory": guess, "service_level": value(level)}
            for at, (n, guess, level) in enumerate(zip(found.staff, found.guess, found.levels, strict=True))
        ],
    }


def estimates(document: Json) -> list[tuple[str, Json]]:
    """How good the expected wait was, by what it is of: each queue, where there are several, and all; none where nobody
    had to wait."""
    found = document["expected_wait"]
    if found["total"]["estimate_known"]["value"] is None:
        return []
    queues = found["queues"] if len(found["queues"]) > 1 else {}
    return [*queues.items(), ("all", found["total"])]


def clock(seconds: float) -> str:
    """HH:MM of the day."""
    minutes = round(seconds / 60.0) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def shown(kpi: str, found: Json, sign: str = "") -> str:
    """The value and half its interval, as people read it: 83.1 % +-1.2; "" where there is none. `sign` "+": a
    difference."""
    if found["value"] is None:
        return ""
    scale, digits, unit = (100.0, 1, " %") if kpi in SHARES else (1.0, 1, "")
    text = f"{found['value'] * scale:{sign}.{digits}f}{unit}"
    if found["low"] is None:
        return text
    return f"{text} \N{PLUS-MINUS SIGN}{(found['high'] - found['low']) / 2.0 * scale:.{digits}f}"


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None

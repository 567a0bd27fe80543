"""What runs say, and how sure that is: ratios of sums over runs, with confidence intervals by Student's t.

Each KPI is a ratio of two sums (answered in time to offered, seconds waited to answered). Over independent runs (or
batches) i with sums y_i and x_i it is estimated by r = sum y / sum x, and its variance by that of the residuals
(y_i - r x_i) / mean x, divided by the number of runs: the ratio estimator (Law and Kelton, Simulation Modeling and
Analysis, 4.5 and 9.5.3). Of two configurations that met the same contacts the residuals are subtracted run by run, and
what both owe to chance goes away with that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, assert_never

import numpy as np

from acd.simulate.tally import Counts, Measures

CONFIDENCE = 0.95
Kpi = Literal[
    "service_level",
    "asa",
    "abandoned",
    "out",
    "occupancy",
    "offered",
    "estimate_known",
    "estimate_held",
    "estimate_error",
    "estimate_bias",
    "estimate_wait",
    "estimate_bias_share",
]
KPIS: tuple[Kpi, ...] = ("service_level", "asa", "abandoned", "out", "occupancy", "offered")
ESTIMATE: tuple[Kpi, ...] = (
    "estimate_known",
    "estimate_held",
    "estimate_wait",
    "estimate_error",
    "estimate_bias",
    "estimate_bias_share",
)
"""Of the expected wait of those who had to wait: how often it was known, how often the wait lay within it; the mean
wait; the mean error of its middle, its bias, seconds, and that by the mean wait."""


class Estimate(NamedTuple):
    """A mean over runs, and half the width of its confidence interval; NaN: there is nothing to tell it from."""

    value: float
    half: float

    @property
    def low(self) -> float:
        return self.value - self.half

    @property
    def high(self) -> float:
        return self.value + self.half

    def holds(self, value: float) -> bool:
        """Whether that lies in the interval."""
        return self.low <= value <= self.high


class Difference(NamedTuple):
    """Of a second configuration to the first, over runs with the same contacts. `p`: how likely a difference at least
    as large would be if there were none (two-sided)."""

    value: float
    half: float
    p: float

    @property
    def significant(self) -> bool:
        """The confidence interval does not hold 0."""
        return abs(self.value) > self.half


def parts(measures: Measures, kpi: Kpi) -> tuple[Counts, Counts]:
    """Numerator and denominator of a KPI, each by interval: KPI.md's defaults."""
    match kpi:
        case "service_level":
            return measures.within, measures.offered - measures.short
        case "asa":
            return measures.waits, measures.answered
        case "abandoned":
            return measures.abandoned, measures.offered
        case "out":
            return measures.out, measures.offered
        case "occupancy":
            return measures.handling, measures.handling + measures.idle
        case "offered":
            return measures.offered, np.ones_like(measures.offered)
        case "estimate_known":
            return measures.estimated, measures.lined_up
        case "estimate_held":
            return measures.in_range, measures.judged
        case "estimate_wait":
            return measures.real, measures.judged
        case "estimate_error":
            return measures.off, measures.judged
        case "estimate_bias":
            return measures.too_long, measures.judged
        case "estimate_bias_share":
            return measures.too_long, measures.real
        case _:
            assert_never(kpi)


def ratio(numerators: Sequence[float], denominators: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Of sums by run."""
    y, x = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if not x.sum():
        return Estimate(math.nan, math.nan)
    return Estimate(float(y.sum() / x.sum()), _half(_residuals(y, x), confidence))


def difference(
    first: tuple[Sequence[float], Sequence[float]],
    second: tuple[Sequence[float], Sequence[float]],
    confidence: float = CONFIDENCE,
) -> Difference:
    """Of two ratios, each numerators and denominators by run, of paired runs."""
    (y, x), (v, u) = [[np.asarray(part, np.float64) for part in each] for each in (first, second)]
    if not x.sum() or not u.sum():
        return Difference(math.nan, math.nan, math.nan)
    value = float(v.sum() / u.sum() - y.sum() / x.sum())
    residuals = _residuals(v, u) - _residuals(y, x)
    half, runs = _half(residuals, confidence), len(residuals)
    if runs < 2:
        return Difference(value, half, math.nan)
    error = float(residuals.std(ddof=1)) / math.sqrt(runs)
    if error <= 1e-12 * max(abs(value), 1e-12):
        return Difference(value, half, 1.0 if value == 0.0 else 0.0)
    return Difference(value, half, 2.0 * (1.0 - student(abs(value) / error, runs - 1)))


def _residuals(y: Counts, x: Counts) -> Counts:
    return np.asarray((y - y.sum() / x.sum() * x) / x.mean())


def _half(residuals: Counts, confidence: float) -> float:
    runs = len(residuals)
    if runs < 2:
        return math.nan
    return student_quantile((1.0 + confidence) / 2.0, runs - 1) * float(residuals.std(ddof=1)) / math.sqrt(runs)


# ---- Student's t


def student(t: float, freedom: int) -> float:
    """The chance that a t of so many degrees of freedom is at most that (Abramowitz and Stegun 26.7.1)."""
    tail = _beta(freedom / (freedom + t * t), freedom / 2.0, 0.5) / 2.0
    return 1.0 - tail if t >= 0.0 else tail


@lru_cache(maxsize=1000)
def student_quantile(chance: float, freedom: int) -> float:
    """The t that is not exceeded with that chance, 0.5 to 1."""
    low, high = 0.0, 1.0
    while student(high, freedom) < chance:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2.0
        low, high = (middle, high) if student(middle, freedom) < chance else (low, middle)
    return high


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b) (Abramowitz and Stegun 26.5.8: its continued fraction)."""
    if x <= 0.0 or x >= 1.0:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _beta(1.0 - x, b, a)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    fraction = 1.0
    for m in range(300, 0, -1):
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        fraction = 1.0 + even / (1.0 + odd / fraction)
    first = -(a + b) * x / (a + 1.0)
    return math.exp(log) / a / (1.0 + first / fraction)

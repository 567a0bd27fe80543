"""Service levels: which contacts count as served in time, and of which it is the share.

For contacts offered to a queue in an interval: A answered, A_T answered within the threshold T, B abandoned, B_T
abandoned within T, S short abandons, N offered. Within T is a wait of T seconds or less; short is a wait of less than
`short_abandon`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, assert_never, get_args

PolicyName = Literal["A_T/(N-S)", "A_T/A", "(A_T+B_T)/N", "A_T/(N-B_T)", "A_T/N"]
POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)
DEFAULT: PolicyName = "A_T/(N-S)"


class Counts(NamedTuple):
    """Of one queue, or of several with a threshold each."""

    offered: int
    answered: int
    answered_within: int
    abandoned: int
    abandoned_within: int
    short: int


def service_level(policy: PolicyName, counts: Counts) -> float | None:
    """A share from 0 to 1; None where there is nothing that it could be a share of."""
    match policy:
        case "A_T/(N-S)":
            return share(counts.answered_within, counts.offered - counts.short)
        case "A_T/A":
            return share(counts.answered_within, counts.answered)
        case "(A_T+B_T)/N":
            return share(counts.answered_within + counts.abandoned_within, counts.offered)
        case "A_T/(N-B_T)":
            return share(counts.answered_within, counts.offered - counts.abandoned_within)
        case "A_T/N":
            return share(counts.answered_within, counts.offered)
        case _:
            assert_never(policy)


def share(part: float, whole: float) -> float | None:
    """None of nothing."""
    return part / whole if whole > 0 else None


def read(text: str) -> PolicyName:
    """A policy as somebody writes it: blanks and case do not count. Raises `ValueError` with what is expected."""
    wanted = "".join(text.split()).upper()
    for policy in POLICIES:
        if policy == wanted:
            return policy
    raise ValueError(f"there is no policy {text[:40]!r}: expected one of {', '.join(POLICIES)}")

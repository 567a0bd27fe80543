"""How long a contact that waits is likely to wait still."""

from __future__ import annotations

from typing import NamedTuple

from acd.contact import ContactState
from acd.state import State


class Wait(NamedTuple):
    """Seconds from now."""

    low: float
    high: float


def estimate(state: State, contact: ContactState) -> Wait | None:
    """None: nothing is known."""
    return None

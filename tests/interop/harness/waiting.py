"""Waiting for what another process does, with a deadline and a message."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_for(look: Callable[[], Value], what: str | Callable[[], str], seconds: float = 10.0) -> Value:
    """Looks until `look()` gives something true, which is returned; fails with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.03)

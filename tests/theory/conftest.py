"""The table of what was simulated against what theory says, below the results of the tests."""

from __future__ import annotations

from typing import Any

import pytest

HEADER = f"{'model':<42}{'of':<12}{'theory':>8}  {'engine':>8}  {'99.9 % interval':<20}of the long run"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        for name, value in getattr(report, "user_properties", ())
        if name == "theory"
    ]
    if rows:
        terminalreporter.section("the simulator against theory")
        terminalreporter.write_line(HEADER)
        for _, line in sorted(rows):
            terminalreporter.write_line(line)


@pytest.fixture
def in_table(record_property: Any) -> Any:
    """Adds a line to the table: its place, then itself."""

    def add(place: tuple[int, int], line: str) -> None:
        record_property("theory", [list(place), line])

    return add

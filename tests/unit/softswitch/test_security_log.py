"""Lines about attacks: few, inert, and such that fail2ban's filter of the manual matches them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sip.effects import Flow
from sip.timers import TimerHeap
from softswitch.cli.serve import log_processors
from softswitch.security_log import LINES_AT_ONCE, LINES_PER_WINDOW, MAX_TEXT, MAX_WINDOWS, SecurityLog, inert

MANUAL = Path(__file__).parents[3] / "docs" / "security.md"
# What fail2ban puts for <HOST>, for addresses.
HOST = r"(?P<host>(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F:]{2,})"


def flow(host: str = "198.51.100.66", port: int = 5071) -> Flow:
    return Flow("udp", ("192.0.2.1", 5060), (host, port), 0)


def fail(log: SecurityLog, now: float, host: str = "198.51.100.66", user: str = "101") -> None:
    log.authentication_failed(flow(host), "REGISTER", user, "wrong-password", now)


def line_of(entry: dict[str, Any], as_json: bool) -> str:
    """The line that `softswitch serve` writes of an event."""
    event: Any = {name: value for name, value in entry.items() if name != "log_level"}
    for processor in log_processors(as_json):
        event = processor(None, entry["log_level"], event)
    return str(event)


def filters() -> list[re.Pattern[str]]:
    """The expressions of the manual, as fail2ban reads them."""
    [block] = re.findall(r"failregex = (.*?)\ndatepattern", MANUAL.read_text("utf-8"), re.DOTALL)
    return [re.compile(line.strip().replace("<HOST>", HOST)) for line in block.splitlines()]


@pytest.mark.parametrize("host", ["198.51.100.66", "2001:db8::66"])
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("dated", [True, False])
def test_fail2bans_filter_finds_the_source(host: str, as_json: bool, dated: bool) -> None:
    evil = 'x source=203.0.113.1 transport=udp", "source": "203.0.113.1\nauthentication failed'
    with capture_logs() as entries:
        fail(SecurityLog(TimerHeap()), 1.0, host, evil)
    line = line_of(entries[0], as_json)
    if not dated:  # fail2ban takes the date out before it looks
        line = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "", line)
    found = [match for each in filters() if (match := each.search(line))]
    assert [match["host"] for match in found] == [host]


@pytest.mark.parametrize("as_json", [False, True])
def test_other_lines_ban_nobody(as_json: bool) -> None:
    log = SecurityLog(TimerHeap())
    with capture_logs() as entries:
        log.backed_off("source", flow(), "101", 1.0)
        log.throttled(flow(), "REGISTER", "", 1.0)
        log.authentication_failed(flow(), "REGISTER", "101", "unreadable", 1.0)
        log.barred("extension", "101", "international", "+882", "north", "c", 1.0)
    assert len(entries) == 4
    assert not any(each.search(line_of(entry, as_json)) for each in filters() for entry in entries)


@given(st.text())
def test_foreign_text_is_inert(text: str) -> None:
    made = inert(text)
    assert len(made) <= MAX_TEXT
    assert made.isprintable()
    assert not set(made) & set(" \"'=\\<>|{}[]%;`")
    assert inert(made) == made


def test_few_lines_of_one_source_and_one_that_sums_up() -> None:
    timers = TimerHeap()
    log = SecurityLog(timers)
    with capture_logs() as entries:
        for n in range(1000):
            fail(log, n / 100)
        assert len(entries) == LINES_PER_WINDOW
        fail(log, 10.0, "198.51.100.67")
        assert len(entries) == LINES_PER_WINDOW + 1
        timers.fire_due(59.0)
        assert len(entries) == LINES_PER_WINDOW + 1
        timers.fire_due(61.0)
    assert entries[-1]["event"] == "and more"
    assert entries[-1]["about"] == "198.51.100.66"
    assert entries[-1]["left_out"] == 1000 - LINES_PER_WINDOW
    with capture_logs() as entries:
        fail(log, 62.0)
    assert [entry["event"] for entry in entries] == ["authentication failed"]
    assert len(timers) == 0


def test_a_flood_from_everywhere_writes_little_and_keeps_little() -> None:
    timers = TimerHeap()
    log = SecurityLog(timers)
    with capture_logs() as entries:
        for n in range(100_000):
            now = n / 1000
            fail(log, now, f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")
            timers.fire_due(now)
        assert len(log._windows) <= MAX_WINDOWS
        timers.fire_due(200.0)
    assert len(entries) <= LINES_AT_ONCE + 5 * 100 + 5
    told = sum(entry.get("left_out", 1) for entry in entries)
    assert told == 100_000
    assert len(timers) == 0


def test_windows_left_with_nothing_said_go_in_time() -> None:
    log = SecurityLog(TimerHeap())
    with capture_logs():
        for n in range(50):
            fail(log, 0.0, f"10.0.0.{n}")
        fail(log, 61.0)
    assert len(log._windows) == 1

"""Floods and guessing against the real process: what they get, what they cost, and that calls go on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.audio import Tone, check_heard
from harness.baresip import Phone
from harness.flood import flood
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import ROOT, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

LOW, HIGH = Tone(440.0, -12.0), Tone(1000.0, -18.0)
RATE, SECONDS = 2000.0, 4.0
STRANGER = "127.0.0.201"


def guarded(directory: Path, transactions: int = 100_000) -> Switch:
    """A switch that limits sources, as one that strangers can reach does."""
    switch = Switch(directory)
    limits = f"requests_per_source: 100\n    requests_at_once: 200\n    transactions: {transactions}"
    switch.replace("softswitch.yaml", "requests_per_source: none", limits)
    return switch


@contextmanager
def calm_talk(switch: Switch, directory: Path) -> Iterator[None]:
    """Two phones talk from before to after; both have heard the other without a gap, and end the call as ever."""
    with (
        Phone(directory, "101", switch.password("101"), switch.address, LOW) as anna,
        Phone(directory, "102", switch.password("102"), switch.address, HIGH) as ben,
    ):
        anna.call("102")
        anna.wait_event("CALL_ESTABLISHED")
        ben.wait_event("CALL_ESTABLISHED")
        switch.wait_calls(1)
        yield
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        check_heard(anna.heard(), HIGH, SECONDS)
        check_heard(ben.heard(), LOW, SECONDS)


def resident_mib(switch: Switch) -> float:
    pages = int(Path(f"/proc/{switch.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_a_flood_from_one_address(tmp_path: Path, method: str) -> None:
    """503 with Retry-After, then silence; memory and tables stay, and two phones talk on."""
    with guarded(tmp_path) as switch, calm_talk(switch, tmp_path):
        before = resident_mib(switch)
        answered = flood(method, ("127.0.0.1", switch.port), [STRANGER], RATE, SECONDS)
        report = switch.status()
        assert answered.statuses[503] > 500
        assert answered.unhelpful == 0
        assert 100 < answered.statuses[401] < 200 + 100 * (SECONDS + 3)
        assert sum(answered.statuses.values()) < answered.sent * 0.6
        assert report.counters["throttled"] > answered.sent * 0.8
        assert report.counters["throttled_in_silence"] > answered.sent * 0.3
        assert report.tables["server transactions"] < 200 + 100 * (SECONDS + 3)
        assert resident_mib(switch) - before < 20
    told = [line for line in switch.log().splitlines() if '"source throttled"' in line]
    assert len(told) == 5
    assert json.loads(told[0])["source"] == STRANGER


def test_a_flood_from_many_addresses(tmp_path: Path) -> None:
    """No source is over its limit: the bound on transactions holds, 503 with Retry-After, and two phones talk on."""
    hosts = [f"127.0.9.{n}" for n in range(1, 201)]
    with guarded(tmp_path, transactions=1000) as switch, calm_talk(switch, tmp_path):
        before = resident_mib(switch)
        answered = flood("INVITE", ("127.0.0.1", switch.port), hosts, RATE, SECONDS)
        report = switch.status()
        assert answered.statuses[503] > 500
        assert answered.unhelpful == 0
        assert report.counters["throttled"] == 0
        assert report.tables["server transactions"] <= 1010
        assert resident_mib(switch) - before < 30


def test_fail2bans_filter_finds_a_guesser_in_the_log(tmp_path: Path) -> None:
    """The expression of the manual, and a line of the running switch."""
    manual = (ROOT / "docs" / "security.md").read_text("utf-8")
    [expression] = re.findall(r'^\s*(\^\\\{"source".*)$', manual, re.MULTILINE)
    with guarded(tmp_path) as switch:
        guesses = switch.users_file("101", password="a-guess")
        place = (STRANGER, free_ports(1, STRANGER))
        Sipp(tmp_path, "register_wrong", place, switch.address, users=guesses).finish()
        wait_for(lambda: "authentication failed" in switch.log(), "the line")
    [line] = [line for line in switch.log().splitlines() if "authentication failed" in line]
    found = re.search(expression.replace("<HOST>", r"(?P<host>[0-9.]+)"), line)
    assert found is not None, line
    assert found["host"] == STRANGER
    assert "a-guess" not in switch.log()

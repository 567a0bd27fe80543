"""OPTIONS keep-alive: pace, reachability, bounds."""

from __future__ import annotations

import pytest

from sip.ids import Ids
from softswitch.qualify import HealthChanged, PingTarget, Qualify, QualifySettings

TARGET = PingTarget("sip:101@192.0.2.9")


def make(**settings: float) -> Qualify[str]:
    return Qualify(QualifySettings(**settings), Ids(1))  # type: ignore[arg-type]


def ping_now(qualify: Qualify[str], place: str = "a") -> int:
    """The id of the next OPTIONS to `place`, and the time moves there."""
    deadline = qualify.next_deadline()
    assert deadline is not None
    (ping,) = [ping for ping in qualify.due(deadline) if ping.place == place]
    return ping.id


def test_first_pings_are_spread_over_the_interval() -> None:
    qualify = make(interval=60.0, in_flight=1000, timeout=1000.0)
    for number in range(600):
        qualify.watch(str(number), TARGET, 100.0)
    counts = [len(qualify.due(100.0 + 6.0 * (step + 1))) for step in range(10)]
    assert sum(counts) == 600
    assert max(counts) < 100


def test_answered_is_asked_again_after_about_the_interval() -> None:
    qualify = make(interval=60.0)
    qualify.watch("a", TARGET, 0.0)
    ping = ping_now(qualify)
    qualify.answered(ping, 200, 0.02, 61.0)
    health = qualify.health("a")
    assert health is not None
    assert (health.reachable, health.rtt, health.answered_at) == (True, 0.02, 61.0)
    assert (qualify.rtt("a"), qualify.rtt("b")) == (0.02, None)
    deadline = qualify.next_deadline()
    assert deadline is not None
    assert 61.0 + 54.0 <= deadline <= 61.0 + 66.0
    assert qualify.due(deadline - 0.001) == []
    assert [ping.target for ping in qualify.due(deadline)] == [TARGET]


@pytest.mark.parametrize("status", [200, 404, 405, 481, 486, 500, 501])
def test_any_answer_is_a_sign_of_life(status: int) -> None:
    """RFC 3261 11.2: the answer is that which an INVITE would get."""
    qualify = make(failures=1)
    qualify.watch("a", TARGET, 0.0)
    qualify.answered(ping_now(qualify), status, 0.1, 1.0)
    assert qualify.reachable("a")
    assert qualify.changes == []


@pytest.mark.parametrize("status", [408, 503])
def test_408_and_503_are_not(status: int) -> None:
    qualify = make(failures=1)
    qualify.watch("a", TARGET, 0.0)
    qualify.answered(ping_now(qualify), status, 0.1, 1.0)
    assert not qualify.reachable("a")


def test_unreachable_after_failures_and_back_at_the_first_answer() -> None:
    qualify = make(interval=60.0, retry=10.0, failures=2)
    qualify.watch("a", TARGET, 0.0)
    qualify.failed(ping_now(qualify), 100.0)
    assert qualify.reachable("a")
    deadline = qualify.next_deadline()
    assert deadline is not None
    assert 109.0 <= deadline <= 111.0
    qualify.failed(ping_now(qualify), 142.0)
    assert not qualify.reachable("a")
    deadline = qualify.next_deadline()
    assert deadline is not None
    assert 142.0 + 54.0 <= deadline <= 142.0 + 66.0
    qualify.failed(ping_now(qualify), 300.0)
    qualify.answered(ping_now(qualify), 200, 0.5, 400.0)
    assert qualify.changes == [HealthChanged("a", False, None), HealthChanged("a", True, 0.5)]


def test_whoever_registers_gets_another_chance_and_is_asked_at_once() -> None:
    qualify = make(failures=2)
    qualify.watch("a", TARGET, 0.0)
    for _ in range(2):
        qualify.failed(ping_now(qualify), 100.0)
    qualify.heard("a", 101.0)
    assert qualify.reachable("a")
    assert qualify.next_deadline() == 101.0
    qualify.failed(ping_now(qualify), 133.0)
    assert not qualify.reachable("a")
    assert [change.reachable for change in qualify.changes] == [False, True, False]
    qualify.heard("b", 101.0)
    assert qualify.places() == ["a"]


def test_in_flight_is_bounded_and_nobody_starves() -> None:
    qualify = make(interval=10.0, in_flight=2, timeout=40.0)
    for place in "abcde":
        qualify.watch(place, TARGET, 0.0)
    first = qualify.due(20.0)
    assert len(first) == 2
    assert qualify.due(21.0) == []
    # full: the next thing to happen is that one of them is given up
    assert qualify.next_deadline() == 60.0
    qualify.answered(first[0].id, 200, 0.1, 22.0)
    (third,) = qualify.due(22.0)
    assert third.place not in (first[0].place, first[1].place)


def test_a_ping_nobody_reports_on_counts_as_failed() -> None:
    qualify = make(interval=60.0, failures=1, timeout=40.0)
    qualify.watch("a", TARGET, 0.0)
    (ping,) = qualify.due(60.0)
    assert qualify.next_deadline() == 100.0
    qualify.due(100.0)
    assert not qualify.reachable("a")
    qualify.answered(ping.id, 200, 0.1, 101.0)
    assert not qualify.reachable("a")


def test_unwatched_is_forgotten_and_its_late_answer_ignored() -> None:
    qualify = make()
    qualify.watch("a", TARGET, 0.0)
    (ping,) = qualify.due(60.0)
    qualify.unwatch("a")
    qualify.unwatch("a")
    qualify.answered(ping.id, 200, 0.1, 61.0)
    qualify.failed(ping.id, 61.0)
    assert (qualify.next_deadline(), qualify.places(), qualify.changes) == (None, [], [])


def test_watching_again_changes_target_and_interval_but_not_health() -> None:
    qualify = make(interval=60.0, failures=1)
    qualify.watch("a", TARGET, 0.0)
    qualify.failed(ping_now(qualify), 60.0)
    before = qualify.next_deadline()
    moved = PingTarget("sip:101@192.0.2.10")
    qualify.watch("a", moved, 61.0)
    assert qualify.next_deadline() == before
    assert not qualify.reachable("a")
    qualify.watch("a", moved, 61.0, 5.0)
    deadline = qualify.next_deadline()
    assert deadline is not None
    assert 61.0 <= deadline <= 66.0
    assert [ping.target for ping in qualify.due(deadline)] == [moved]


def test_interval_zero_asks_nobody() -> None:
    qualify = make(interval=60.0)
    qualify.watch("a", TARGET, 0.0)
    qualify.watch("a", TARGET, 0.0, 0.0)
    assert (qualify.next_deadline(), qualify.due(1e6)) == (None, [])
    assert qualify.reachable("a")


def test_a_day_of_thousand_places_leaves_nothing_behind() -> None:
    qualify = make(interval=60.0, in_flight=50)
    for number in range(200):
        qualify.watch(str(number), TARGET, 0.0)
    now = 0.0
    while now < 3600.0:
        deadline = qualify.next_deadline()
        assert deadline is not None
        now = max(deadline, now)
        for ping in qualify.due(now):
            qualify.answered(ping.id, 200, 0.01, now + 0.01)
    assert len(qualify._waiting) == 200
    assert (len(qualify._flying), len(qualify._timeouts) < 4000) == (0, True)

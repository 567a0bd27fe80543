"""The heap of deadlines, and the timer values of RFC 3261 Table 4."""

from __future__ import annotations

import gc
import random
import weakref

from sip.timers import COMPACT_FLOOR, LANE_GRAIN, SLOT, TimerConfig, TimerHeap


def test_default_values_are_those_of_rfc_3261_table_4() -> None:
    timers = TimerConfig()
    assert (timers.t1, timers.t2, timers.t4) == (0.5, 4.0, 5.0)
    assert timers.b == 32.0
    # 17.1.1.2: Timer D "at least 32 seconds for unreliable transports"
    assert timers.d == 32.0
    assert TimerConfig(t1=0.1).d == 32.0
    assert TimerConfig(t1=1.0).d == 64.0


def test_deadlines_fire_in_order_and_once() -> None:
    heap = TimerHeap()
    fired: list[str] = []
    heap.schedule(2.0, lambda now: fired.append(f"b{now}"))
    heap.schedule(1.0, lambda now: fired.append(f"a{now}"))
    heap.schedule(2.0, lambda now: fired.append(f"c{now}"))
    assert heap.next_deadline() == 1.0
    assert heap.fire_due(0.9) == 0
    assert heap.fire_due(2.5) == 3
    assert fired == ["a2.5", "b2.5", "c2.5"]
    assert heap.next_deadline() is None
    assert heap.fire_due(99.0) == 0


def test_a_cancelled_timer_never_fires_and_cancelling_twice_is_harmless() -> None:
    heap = TimerHeap()
    fired: list[float] = []
    timer = heap.schedule(1.0, fired.append)
    kept = heap.schedule(2.0, fired.append)
    timer.cancel()
    timer.cancel()
    assert not timer.active
    assert kept.active
    assert len(heap) == 1
    assert heap.next_deadline() == 2.0
    heap.fire_due(5.0)
    assert fired == [5.0]
    kept.cancel()
    assert len(heap) == 0
    assert heap.next_deadline() is None


def test_what_a_callback_schedules_for_now_fires_in_the_same_call() -> None:
    heap = TimerHeap()
    fired: list[str] = []

    def first(now: float) -> None:
        fired.append("first")
        heap.schedule(now, lambda _: fired.append("second"))
        heap.schedule(now + 0.1, lambda _: fired.append("later"))

    heap.schedule(1.0, first)
    assert heap.fire_due(1.0) == 2
    assert fired == ["first", "second"]


def test_a_limit_leaves_the_rest_for_the_next_call() -> None:
    heap = TimerHeap()
    fired: list[float] = []
    for _ in range(10):
        heap.schedule(1.0, fired.append)
    assert heap.fire_due(1.0, 4) == 4
    assert heap.fire_due(1.0, 4) == 4
    assert heap.fire_due(1.0, 4) == 2
    assert heap.fire_due(1.0, 4) == 0


def test_a_callback_may_cancel_so_many_that_the_heap_is_compacted_under_it() -> None:
    heap = TimerHeap()
    fired: list[float] = []
    others = [heap.schedule(1.0 + i, fired.append) for i in range(4 * COMPACT_FLOOR)]

    def cancel_most(now: float) -> None:
        for timer in others[1:]:
            timer.cancel()

    heap.schedule(0.5, cancel_most)
    assert heap.fire_due(1e9) == 2
    assert len(fired) == 1
    assert len(heap) == 0


def test_memory_follows_the_live_timers() -> None:
    heap = TimerHeap()
    live = [heap.schedule(1e6 + i, lambda now: None) for i in range(100)]
    for i in range(10_000):
        heap.schedule(float(i), lambda now: None).cancel()
        held = len(heap._entries) + sum(map(len, heap._slots.values()))
        assert held <= 2 * len(live) + COMPACT_FLOOR + 2
        assert len(heap._waiting) == len(heap._slots) <= held
    assert len(heap) == len(live)


def test_order_holds_over_random_schedules_and_cancels() -> None:
    rng = random.Random(7)
    heap = TimerHeap()
    fired: list[float] = []
    expected: list[float] = []
    for _ in range(2_000):
        at = rng.random() * 100
        timer = heap.schedule(at, lambda now, at=at: fired.append(at))  # type: ignore[misc]
        if rng.random() < 0.6:
            timer.cancel()
        else:
            expected.append(at)
    now = 0.0
    while (deadline := heap.next_deadline()) is not None:
        assert deadline >= now
        now = deadline
        heap.fire_due(now)
    assert fired == sorted(expected)


def test_the_wake_is_at_most_a_slot_before_the_deadline_and_then_exact() -> None:
    rng = random.Random(8)
    heap = TimerHeap()
    due: list[float] = []
    for _ in range(500):
        at = rng.random() * 40
        timer = heap.schedule(at, due.append)
        if rng.random() < 0.5:
            timer.cancel()
    left = len(heap)
    wakes = 0
    while (wake := heap.next_wake()) is not None:
        wakes += 1
        before = len(heap)
        fired = heap.fire_due(wake)
        assert len(heap) == before - fired
        deadline = heap.next_deadline() if rng.random() < 0.1 else None
        assert deadline is None or deadline >= wake
    assert due == sorted(due)
    assert len(due) == left
    # one for each timer, cancelled ones too, and one for each slot
    assert wakes <= 500 + 40 / SLOT + 1
    assert heap.next_deadline() is None


def test_a_wake_never_comes_late() -> None:
    heap = TimerHeap()
    assert heap.next_wake() is None
    heap.schedule(10.0, lambda now: None)
    heap.schedule(10.06, lambda now: None)
    assert heap.next_wake() == 10.0
    heap.schedule(3.99, lambda now: None)
    wake = heap.next_wake()
    assert wake is not None
    assert 3.99 - SLOT < wake <= 3.99
    assert heap.fire_due(wake) == 0
    assert heap.next_wake() == 3.99
    # a deadline in a slot that has begun
    heap.schedule(3.98, lambda now: None)
    assert heap.next_wake() == 3.98
    assert heap.fire_due(4.0) == 2


def test_a_fired_or_cancelled_timer_leaves_no_cycle() -> None:
    class Owner:
        def __init__(self, heap: TimerHeap, at: float) -> None:
            self.timer = heap.schedule(at, self.fire)

        def fire(self, now: float) -> None: ...

    heap = TimerHeap()
    gc.disable()
    try:
        fires, cancels = Owner(heap, 1.0), Owner(heap, 2.0)
        gone = [weakref.ref(fires), weakref.ref(cancels)]
        heap.fire_due(1.0)
        cancels.timer.cancel()
        del fires, cancels
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()


class Guest:
    """Something that lingers, and notes when it was told to go."""

    def __init__(self, told: list[tuple[float, str]], name: str) -> None:
        self.told = told
        self.name = name

    def lingered(self, now: float) -> None:
        self.told.append((now, self.name))


def test_what_lingers_is_told_at_its_deadline_in_order() -> None:
    heap, told = TimerHeap(), []
    heap.linger(32.0, Guest(told, "a"), 0.0)
    heap.linger(5.0, Guest(told, "b"), 1.0)
    heap.linger(32.0, Guest(told, "c"), 2.0)
    heap.schedule(20.0, lambda now: told.append((now, "timer")))
    assert len(heap) == 4
    while (at := heap.next_deadline()) is not None:
        assert heap.fire_due(at) == 1
    assert told == [(6.0, "b"), (20.0, "timer"), (32.0, "a"), (34.0, "c")]
    assert len(heap) == 0


def test_one_wake_up_serves_what_lingers_close_together() -> None:
    heap, told = TimerHeap(), []
    for number in range(10):
        heap.linger(32.0, Guest(told, str(number)), number * 0.004)
    assert heap.next_deadline() == 32.0
    wake = heap.next_wake()
    assert wake == 32.0 + LANE_GRAIN
    assert heap.fire_due(wake) == 10
    assert heap.next_wake() is None
    # A timer that is due earlier is not kept waiting for it.
    heap.linger(32.0, Guest(told, "last"), 40.0)
    heap.schedule(72.01, lambda now: None)
    wake = heap.next_wake()
    assert wake is not None
    assert wake <= 72.01


def test_what_lingers_is_told_within_the_limit_too() -> None:
    heap, told = TimerHeap(), []
    for number in range(5):
        heap.linger(1.0, Guest(told, str(number)), 0.0)
        heap.linger(2.0, Guest(told, str(number)), 0.0)
    assert [heap.fire_due(3.0, 4) for _ in range(4)] == [4, 4, 2, 0]
    assert len(told) == 10

"""Concurrent calls counted by holder: limits, and that nothing leaks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from softswitch.call_limits import CallLimits


def test_a_limit_is_a_limit() -> None:
    limits = CallLimits()
    assert limits.acquire("trunk:a", 2, "c1")
    assert limits.acquire("trunk:a", 2, "c2")
    assert not limits.acquire("trunk:a", 2, "c3")
    assert limits.held("trunk:a") == 2
    limits.release("c1")
    assert limits.acquire("trunk:a", 2, "c3")


def test_a_call_counts_once_for_a_holder() -> None:
    limits = CallLimits()
    assert limits.acquire("trunk:a", 1, "c1")
    assert limits.acquire("trunk:a", 1, "c1")
    assert limits.held("trunk:a") == 1
    limits.release("c1")
    limits.release("c1")
    assert (limits.held("trunk:a"), len(limits)) == (0, 0)


def test_zero_is_no_limit() -> None:
    limits = CallLimits()
    assert all(limits.acquire("extension:1", 0, str(call)) for call in range(1000))
    assert limits.held("extension:1") == 1000


def test_leaving_one_holder_keeps_the_others() -> None:
    limits = CallLimits()
    limits.acquire("extension:1", 1, "c1")
    limits.acquire("trunk:a", 1, "c1")
    limits.release("c1", "trunk:a")
    limits.release("c1", "trunk:b")
    assert (limits.held("trunk:a"), limits.held("extension:1"), len(limits)) == (0, 1, 1)


def test_refused_counts_nothing() -> None:
    limits = CallLimits()
    limits.acquire("trunk:a", 1, "c1")
    assert not limits.acquire("trunk:a", 1, "c2")
    limits.release("c2")
    assert (limits.held("trunk:a"), len(limits)) == (1, 1)


@given(
    st.lists(
        st.tuples(st.sampled_from("xyz"), st.sampled_from("123456"), st.sampled_from(["acquire", "release", "leave"]))
    )
)
def test_nothing_leaks_whatever_the_order(steps: list[tuple[str, str, str]]) -> None:
    limits = CallLimits()
    held: set[tuple[str, str]] = set()
    for holder, call, step in steps:
        if step == "acquire":
            full = len([pair for pair in held if pair[0] == holder]) >= 2 and (holder, call) not in held
            assert limits.acquire(holder, 2, call) is not full
            if not full:
                held.add((holder, call))
        elif step == "release":
            limits.release(call)
            held = {pair for pair in held if pair[1] != call}
        else:
            limits.release(call, holder)
            held.discard((holder, call))
        for each in "xyz":
            assert limits.held(each) == len([pair for pair in held if pair[0] == each])
        assert len(limits) == len({pair[1] for pair in held})


def test_room_is_what_acquire_would_find() -> None:
    limits = CallLimits()
    assert limits.has_room("trunk:t", 1, "a")
    assert limits.acquire("trunk:t", 1, "a")
    assert limits.has_room("trunk:t", 1, "a")
    assert not limits.has_room("trunk:t", 1, "b")
    assert limits.has_room("trunk:t", 0, "b")
    assert limits.has_room("trunk:t", 2, "b")

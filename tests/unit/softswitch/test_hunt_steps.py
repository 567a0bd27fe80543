"""Strategies of ring groups and find-me lists: who rings when, and confirmation by a key."""

from __future__ import annotations

from collections import Counter
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.negotiate import AudioPolicy
from softswitch.causes import Cause
from softswitch.hunt import MAX_BRANCHES, MAX_LEGS_AT_ONCE, UNAVAILABLE, Candidate, Failure, Hunt, Target
from softswitch.hunt_steps import Joining, Member, Step, Strategy, scheduled, shuffled, steps_of
from softswitch.vocabulary import Endpoint

BUSY_FAILURE = Failure(Cause.USER_BUSY, 486)


def phone(name: str, contacts: int = 1) -> Target:
    endpoint = Endpoint("extension", name, AudioPolicy(), None)
    return Target(name, ((endpoint,) * contacts,) if contacts else (), 30.0, UNAVAILABLE)


def present(name: str) -> Target:
    return phone(name)


class Line:
    """A hunt as the call drives it; legs are named like their endpoints."""

    def __init__(self, hunt: Hunt[str], absent: str = "") -> None:
        self.hunt = hunt
        self.absent = absent
        self.called: list[str] = []
        self.legs: dict[str, int] = {}

    def ringing(self) -> str:
        names = {leg: name for name, leg in self.legs.items()}
        return "".join(names[leg] for leg in self.hunt.legs())

    def go_on(self) -> str:
        """Begin the next stage; who rings then."""
        self.call(self.hunt.next_stage(lambda name: phone(name, name not in self.absent)))
        return self.ringing()

    def call(self, candidates: list[Candidate]) -> None:
        for candidate in candidates:
            name = candidate.endpoint.name
            self.called.append(name)
            self.legs[name] = len(self.called)
            self.hunt.called(candidate, len(self.called))

    def time_is_up(self) -> str:
        self.hunt.timed_out()
        return self.go_on()

    def fails(self, name: str) -> None:
        self.call(self.hunt.failed(self.legs[name], BUSY_FAILURE))


def group(strategy: Strategy, names: str, ring_time: float | None = 20.0) -> tuple[Step[str], ...]:
    return steps_of(strategy, [Member(name) for name in names], ring_time, Random(3).random)


@pytest.mark.parametrize(
    ("strategy", "stages", "calls"),
    [
        ("simultaneous", ["abc"], "abc"),
        ("sequential", ["a", "b", "c"], "abc"),
        ("memory_hunt", ["a", "ab", "abc"], "abc"),
        ("weighted_random", ["a", "c", "b"], "acb"),
    ],
)
def test_who_rings_in_each_stage(strategy: Strategy, stages: list[str], calls: str) -> None:
    line = Line(Hunt.in_steps(group(strategy, "abc")))
    found = [line.go_on()]
    assert line.hunt.timeout == 20.0
    while line.time_is_up():
        found.append(line.ringing())
    assert found == stages
    assert "".join(line.called) == calls  # nobody is called twice
    assert line.hunt.stage_over()
    assert line.hunt.outcome().kind == "no_answer"


def test_a_stage_without_a_time_rings_as_long_as_its_members() -> None:
    hunt = Hunt.in_steps(group("sequential", "ab", None))
    hunt.next_stage(present)
    assert hunt.timeout == 30.0


def test_memory_hunt_passes_over_who_is_absent_and_goes_on_at_once_when_nobody_rings() -> None:
    line = Line(Hunt.in_steps(group("memory_hunt", "abcd")), absent="b")
    assert line.go_on() == "a"
    # b is not there: a rings on, and the call sets its timer anew.
    assert line.time_is_up() == "a"
    assert (line.hunt.stage_over(), line.hunt.timeout) == (False, 20.0)
    assert line.time_is_up() == "ac"
    line.fails("a")
    assert not line.hunt.stage_over()
    line.fails("c")
    assert line.hunt.stage_over()
    assert line.go_on() == "d"
    assert line.time_is_up() == ""
    assert line.hunt.outcome().kind == "busy"


@pytest.mark.parametrize("weights", [(1.0, 1.0, 2.0), (5.0, 0.5, 1.0)])
def test_the_heavier_is_first_the_more_often(weights: tuple[float, ...]) -> None:
    random = Random(11)
    first = Counter(shuffled("abc", weights, random.random)[0] for _ in range(6000))
    for name, weight in zip("abc", weights, strict=True):
        assert first[name] / 6000 == pytest.approx(weight / sum(weights), abs=0.025)


@given(st.lists(st.floats(0.01, 1000), max_size=32), st.randoms(use_true_random=False))
def test_every_member_is_drawn_once(weights: list[float], random: Random) -> None:
    assert sorted(shuffled(range(len(weights)), weights, random.random)) == list(range(len(weights)))
    # A generator that rounds up to 1 must not leave anybody out.
    assert len(shuffled(range(len(weights)), weights, lambda: 1.0)) == len(weights)


# ---- find me


@pytest.mark.parametrize(
    ("members", "steps"),
    [
        (  # at once
            [Member("a", lasts=20), Member("b", lasts=20)],
            [("ab", 20)],
        ),
        (  # in sequence
            [Member("a", lasts=20), Member("b", after=20, lasts=25)],
            [("a", 20), ("b", 25)],
        ),
        (  # the mobile joins after ten seconds, the desk gives up first
            [Member("a", lasts=20), Member("b", after=10, lasts=25)],
            [("a", 10), ("ab", 10), ("b", 15)],
        ),
        (  # nobody listens to silence between the two
            [Member("a", lasts=5), Member("b", after=30, lasts=5)],
            [("a", 5), ("b", 5)],
        ),
        ([Member("a", after=60, lasts=5)], [("a", 5)]),
    ],
)
def test_find_me_rings_by_its_times(members: list[Member[str]], steps: list[tuple[str, float]]) -> None:
    line = Line(Hunt.in_steps(scheduled(members)))
    line.go_on()
    found = []
    while line.ringing():
        found.append((line.ringing(), line.hunt.timeout))
        line.time_is_up()
    assert found == steps


def test_who_is_busy_makes_way_for_the_next_and_the_times_move_along() -> None:
    line = Line(
        Hunt.in_steps(
            scheduled([Member("a", lasts=20), Member("b", after=20, lasts=20), Member("c", after=30, lasts=20)])
        )
    )
    line.go_on()
    line.fails("a")
    assert (line.go_on(), line.hunt.timeout) == ("b", 10.0)
    assert (line.time_is_up(), line.hunt.timeout) == ("bc", 10.0)
    assert (line.time_is_up(), line.hunt.timeout) == ("c", 10.0)


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 60)).map(lambda times: Member(0, 1.0, *map(float, times))),
        max_size=10,
    )
)
def test_everybody_of_a_find_me_list_joins_once_and_rings_his_time(members: list[Member[int]]) -> None:
    numbered = [Member(number, each.weight, each.after, each.lasts) for number, each in enumerate(members)]
    steps = scheduled(numbered)
    rung = {
        join.target: sum(each.lasts or 0.0 for each in steps[index : join.through + 1])
        for index, step in enumerate(steps)
        for join in step.joining
    }
    assert rung == {each.target: each.lasts for each in numbered}


# ---- confirmation


def confirming() -> Line:
    """A desk phone, and a mobile that must press a key."""
    line = Line(Hunt.in_steps(scheduled([Member("d", lasts=20), Member("m", lasts=30, confirm=10)])))
    line.go_on()
    return line


def test_a_desk_phone_has_the_call_by_answering() -> None:
    line = confirming()
    assert line.hunt.answered(line.legs["d"]) == 0.0
    assert line.hunt.key(line.legs["d"], "1") == ""


def test_others_ring_on_until_the_key_is_pressed() -> None:
    line = confirming()
    mobile = line.legs["m"]
    assert line.hunt.key(mobile, "1") == ""  # it has not answered
    assert line.hunt.answered(mobile) == 10.0
    assert line.ringing() == "dm"
    assert line.hunt.key(mobile, "7") == ""
    assert line.hunt.key(mobile, "1") == "confirmed"
    assert line.hunt.stop() == [line.legs["d"], mobile]


def test_a_mailbox_that_answers_does_not_take_the_call() -> None:
    line = confirming()
    mobile = line.legs["m"]
    line.hunt.answered(mobile)
    line.call(line.hunt.failed(mobile, Failure(Cause.NO_ANSWER, 480)))  # the seconds are over
    assert line.hunt.key(mobile, "1") == ""
    assert line.ringing() == "d"
    assert line.hunt.answered(line.legs["d"]) == 0.0


def test_refusing_by_key_leaves_it_to_the_others() -> None:
    line = confirming()
    line.hunt.answered(line.legs["m"])
    assert line.hunt.key(line.legs["m"], "2") == "refused"
    line.fails("m")
    assert line.ringing() == "d"


def test_the_end_of_the_ringing_does_not_take_the_call_from_who_is_about_to_confirm() -> None:
    line = confirming()
    assert line.time_is_up() == "m"
    line.hunt.answered(line.legs["m"])
    assert line.hunt.timed_out() == []
    assert line.go_on() == "m"
    assert (line.hunt.stage_over(), line.hunt.timeout) == (False, inf)
    line.fails("m")
    assert line.hunt.stage_over()
    assert line.go_on() == ""


def test_the_next_in_turn_rings_while_a_key_is_waited_for() -> None:
    line = Line(Hunt.in_steps(scheduled([Member("m", lasts=10, confirm=15), Member("d", after=10, lasts=10)])))
    line.go_on()
    line.hunt.answered(line.legs["m"])
    assert line.time_is_up() == "md"
    assert line.hunt.key(line.legs["m"], "1") == "confirmed"


def test_while_a_key_is_waited_for_the_next_waits_for_its_time() -> None:
    line = Line(Hunt.in_steps(scheduled([Member("m", lasts=10, confirm=15), Member("d", after=30, lasts=10)])))
    line.go_on()
    line.hunt.answered(line.legs["m"])
    assert (line.time_is_up(), line.hunt.timeout) == ("m", 20.0)
    line.fails("m")
    assert line.go_on() == "d"


# ---- bounds


def test_no_more_branches_and_legs_than_there_may_be() -> None:
    many = tuple(Step((Joining(f"{n}", 99),), 5.0) for n in range(40))
    hunt = Hunt.in_steps(many)
    looked_up: list[str] = []

    def look_up(name: str) -> Target:
        looked_up.append(name)
        return phone(name, 3)

    for leg in range(40):
        for candidate in hunt.next_stage(look_up):
            hunt.called(candidate, leg * 100 + len(hunt.legs()))
        hunt.timed_out()
    assert len(looked_up) == MAX_BRANCHES
    assert len(hunt.legs()) == MAX_LEGS_AT_ONCE

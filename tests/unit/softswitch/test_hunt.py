"""The hunt: order, failover, time-out and what speaks for several failures."""

from media.negotiate import AudioPolicy
from softswitch.causes import Cause
from softswitch.hunt import BUSY, NO_CHANNEL, UNAVAILABLE, Candidate, Failure, Hunt, Target
from softswitch.vocabulary import Endpoint


def as_it_is(target: Target) -> Target:
    return target


def endpoint(name: str, kind: str = "extension") -> Endpoint:
    return Endpoint(kind, name, AudioPolicy(), None)


def target(*groups: tuple[str, ...], ring: float = 30.0, absent: object = UNAVAILABLE) -> Target:
    made = tuple(tuple(endpoint(name) for name in group) for group in groups)
    return Target("t", made, ring, absent)  # type: ignore[arg-type]


def call_all(hunt: Hunt, candidates: list[Candidate], first: int) -> dict[int, str]:
    called = {}
    for leg, candidate in enumerate(candidates, first):
        hunt.called(candidate, leg)
        called[leg] = candidate.endpoint.name
    return called


BUSY_FAILURE = Failure(Cause.USER_BUSY, 486)
DEAD = Failure(Cause.TEMPORARY_FAILURE, 503)


def test_contacts_of_an_extension_ring_together() -> None:
    hunt = Hunt((target(("a", "b")),), in_sequence=False, ring_timeout=None)
    legs = call_all(hunt, hunt.next_stage(as_it_is), 1)
    assert sorted(legs.values()) == ["a", "b"]
    assert hunt.timeout == 30.0
    assert hunt.failed(1, BUSY_FAILURE) == []
    assert not hunt.stage_over()
    assert hunt.failed(2, BUSY_FAILURE) == []
    assert hunt.stage_over()
    assert hunt.next_stage(as_it_is) == []
    assert hunt.outcome().kind == "busy"


def test_gateways_one_after_another_only_where_worth_a_try() -> None:
    hunt = Hunt((target(("g1",), ("g2",), ("g3",)),), in_sequence=False, ring_timeout=20.0)
    call_all(hunt, hunt.next_stage(as_it_is), 1)
    again = hunt.failed(1, DEAD, try_next=True)
    assert [c.endpoint.name for c in again] == ["g2"]
    call_all(hunt, again, 2)
    assert hunt.failed(2, Failure(Cause.UNALLOCATED_NUMBER, 404), try_next=False) == []
    assert hunt.stage_over()
    assert hunt.next_stage(as_it_is) == []


def test_sequence_rings_one_target_at_a_time_and_skips_absent_ones() -> None:
    hunt = Hunt((target(("a",), ring=5.0), target(), target(("c",), ring=7.0)), in_sequence=True, ring_timeout=None)
    assert call_all(hunt, hunt.next_stage(as_it_is), 1) == {1: "a"}
    assert hunt.timeout == 5.0
    assert hunt.timed_out() == [1]
    assert call_all(hunt, hunt.next_stage(as_it_is), 2) == {2: "c"}
    assert hunt.timeout == 7.0
    assert hunt.timed_out() == [2]
    assert hunt.next_stage(as_it_is) == []
    assert hunt.outcome().kind == "no_answer"
    assert hunt.outcome().cause == Cause.NO_ANSWER


def test_nobody_there_says_why() -> None:
    assert Hunt((target(absent=BUSY),), False, None).next_stage(as_it_is) == []
    hunt = Hunt((target(absent=NO_CHANNEL),), False, None)
    assert hunt.next_stage(as_it_is) == []
    assert hunt.outcome() == NO_CHANNEL


def test_rfc3261_16_7_a_6xx_speaks_for_all() -> None:
    hunt = Hunt((target(("a", "b")), target(("c",))), in_sequence=False, ring_timeout=None)
    call_all(hunt, hunt.next_stage(as_it_is), 1)
    assert hunt.declined(1) == [2]
    hunt.failed(2, Failure(Cause.CALL_REJECTED, 603))
    hunt.failed(1, Failure(Cause.CALL_REJECTED, 603))
    assert hunt.legs() == [3]
    hunt.failed(3, BUSY_FAILURE)
    assert hunt.stage_over()
    assert hunt.outcome().status == 603


def test_busy_says_more_than_silence_and_absence() -> None:
    hunt = Hunt((target(("a", "b", "c")),), in_sequence=False, ring_timeout=None)
    call_all(hunt, hunt.next_stage(as_it_is), 1)
    hunt.failed(1, DEAD)
    hunt.failed(2, BUSY_FAILURE)
    hunt.failed(3, Failure(Cause.NO_ANSWER, 480))
    assert hunt.outcome().kind == "busy"


def test_stop_tells_who_still_rang() -> None:
    hunt = Hunt((target(("a", "b")),), in_sequence=False, ring_timeout=None)
    call_all(hunt, hunt.next_stage(as_it_is), 1)
    assert hunt.stop() == [1, 2]
    assert hunt.stage_over()
    assert hunt.next_stage(as_it_is) == []

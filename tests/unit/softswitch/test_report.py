"""Records and the status report, from contacts made by hand."""

from __future__ import annotations

from media.commands import StreamStats
from softswitch.causes import Cause
from softswitch.contact import MAX_LEGS_KEPT, MAX_SEGMENTS_KEPT, Contact, LegRecord
from softswitch.report import cdr_of
from softswitch.vocabulary import Party
from tests.virtual.network import World

WALL = 1_700_000_000.0


def contact() -> Contact:
    made = Contact("c", 50.0, WALL, Party("101", "Ann"), "0123")
    made.context = "internal"
    made.add_leg(LegRecord(1, "in", "extension", "101", "101", 50.0, "udp:192.0.2.1:5060", "x"))
    return made


def test_monotonic_moments_become_wall_clock_times_from_the_start() -> None:
    made = contact()
    out = LegRecord(2, "out", "trunk", "north", "123", 51.0, rang=52.0, answered=55.0, ended=65.5, cause=16)
    out.stats = StreamStats(packets_received=500, packets_sent=400, lost=3, jitter_ms=1.5, round_trip_ms=20.0)
    out.stats.mos, out.stats.mos_min = 4.2, 3.5
    made.add_leg(out)
    made.answered = 55.0
    made.end(Cause.NORMAL_CLEARING, 0, "caller", 65.0)
    record = cdr_of(made)
    assert (record.started, record.answered, record.ended) == (WALL, WALL + 5, WALL + 15)
    assert (record.duration, record.billsec) == (15.0, 10.0)
    assert (record.direction, record.trunk) == ("outbound", "north")
    leg = record.legs[1]
    assert (leg.started, leg.rang, leg.answered, leg.ended) == (WALL + 1, WALL + 2, WALL + 5, WALL + 15.5)
    assert (leg.packets_in, leg.packets_out, leg.lost, leg.jitter_ms, leg.rtt_ms) == (500, 400, 3, 1.5, 20.0)
    assert (leg.mos, leg.mos_min) == (4.2, 3.5)
    assert record.legs[0].jitter_ms is record.legs[0].mos is None


def test_an_unanswered_contact_bills_nothing() -> None:
    made = contact()
    made.end(Cause.USER_BUSY, 486, "switch", 53.0)
    made.end(Cause.NORMAL_CLEARING, 0, "caller", 60.0)  # the first end counts
    record = cdr_of(made)
    assert (record.cause, record.status, record.ended_by) == (17, 486, "switch")
    assert (record.duration, record.billsec, record.answered) == (3.0, 0.0, None)
    assert record.direction == "internal"


def test_segments_in_order_and_the_contact_in_which_it_went_on() -> None:
    made = contact()
    for kind, at in (("route", 50.0), ("ring", 50.5), ("talk", 52.0), ("talk", 53.0), ("hold", 60.0)):
        made.enter(kind, at)
    made.joined = "d"
    made.end(Cause.NORMAL_CLEARING, 0, "transfer", 61.0)
    record = cdr_of(made)
    assert record.joined == "d"
    assert [(each.kind, each.started - WALL, each.ended - WALL) for each in record.segments] == [
        ("route", 0.0, 0.5),
        ("ring", 0.5, 2.0),
        ("talk", 2.0, 10.0),
        ("hold", 10.0, 11.0),
    ]
    assert record.segments[-1].ended == record.ended


def test_a_segment_that_took_no_time_was_only_on_the_way_unless_it_tells_of_an_attempt() -> None:
    made = contact()
    for kind, at in (("ring", 50.0), ("talk", 52.0), ("hold", 53.0), ("talk", 53.0), ("consult", 54.0), ("talk", 54.0)):
        made.enter(kind, at)
    assert [(each.kind, each.started, each.ended) for each in made.segments] == [
        ("ring", 50.0, 52.0),
        ("talk", 52.0, 54.0),
        ("consult", 54.0, 54.0),
        ("talk", 54.0, 0.0),
    ]
    made.end(Cause.NORMAL_CLEARING, 0, "caller", 60.0)
    assert made.segments[-1].ended == 60.0


def test_segments_are_bounded_and_the_last_one_is_true() -> None:
    made = contact()
    for n in range(3 * MAX_SEGMENTS_KEPT):
        made.enter("hold" if n % 2 else "talk", 50.0 + n)
    assert len(made.segments) == MAX_SEGMENTS_KEPT
    last = made.segments[-1]
    assert (last.kind, last.started) == ("hold", 49.0 + 3 * MAX_SEGMENTS_KEPT)
    assert [each.started for each in made.segments[:3]] == [50.0, 51.0, 52.0]


def test_a_gap_that_the_bound_has_left_is_no_part_of_the_segment_before_it() -> None:
    made = contact()
    for n in range(MAX_SEGMENTS_KEPT + 1):
        made.enter("hold" if n % 2 else "talk", 50.0 + n)
    before = made.segments[-2]
    made.enter("hold", 200.0)
    made.enter(before.kind, 200.0)
    assert before.ended == 49.0 + MAX_SEGMENTS_KEPT
    assert (made.segments[-1].kind, made.segments[-1].started) == (before.kind, 200.0)


def test_what_happened_at_one_moment_has_one_time() -> None:
    """Wall clock plus monotonic difference, rounded once: 1 us here or there would put the end before the start."""
    for step in range(1, 500):
        made = Contact("c", 1000.1, WALL + 0.3, Party("101"), "1")
        moment = 1000.1 + step / 97
        made.add_leg(LegRecord(1, "out", "extension", "1", "1", moment, rang=moment, answered=moment, ended=moment))
        made.answered = moment
        made.end(16, 0, "caller", moment)
        record = cdr_of(made)
        leg = record.legs[0]
        assert leg.started == leg.rang == leg.answered == leg.ended == record.answered == record.ended


def test_legs_are_bounded() -> None:
    made = contact()
    for leg in range(2, 100):
        made.add_leg(LegRecord(leg, "out", "extension", "102", "102", 51.0))
    assert len(made.legs) == MAX_LEGS_KEPT
    assert made.uncounted_legs == 99 - MAX_LEGS_KEPT
    assert made.leg(99) is None


def test_segments_follow_one_another() -> None:
    made = contact()
    for kind, now in (("route", 50.0), ("ring", 50.0), ("talk", 55.0), ("talk", 56.0), ("hold", 57.0), ("talk", 60.0)):
        made.enter(kind, now)
    made.end(16, 0, "caller", 70.0)
    assert [(each.kind, each.started, each.ended) for each in made.segments] == [
        ("route", 50.0, 50.0),
        ("ring", 50.0, 55.0),
        ("talk", 55.0, 57.0),
        ("hold", 57.0, 60.0),
        ("talk", 60.0, 70.0),
    ]


def test_statistics_of_both_streams_reach_the_record() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    ann.do(session.hangup)
    world.assert_over()
    assert all(leg.stats is not None for leg in world.node.contacts[0].legs)

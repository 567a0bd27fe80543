"""The plain call and its endings, on the whole switch."""

from __future__ import annotations

import pytest

from sip.ua_events import SessionAnswered, SessionEnded, SessionFailed, SessionProgress
from tests.virtual.network import World, settings


def test_a_call_rings_talks_and_leaves_one_record() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    assert ann.last(SessionProgress).status == 180
    assert len(world.media.bridges) == 2
    a, b = world.legs()
    assert world.media.hear(a) == ben.host
    assert world.media.hear(b) == ann.host
    world.run(10.0)
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert (record.caller_number, record.dialled, record.destination) == ("101", "102", "102")
    assert (record.ended_by, record.cause, len(record.legs)) == ("caller", 16, 2)
    assert 10.0 < record.billsec < 11.0


def test_the_callee_hangs_up() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    world.establish(ann, ben)
    ben.do(ben.called().hangup)
    world.run(1.0)
    assert ann.last(SessionEnded).cause == "bye"
    [record] = world.assert_over()
    assert record.ended_by == "callee"


def test_busy_comes_back_as_busy() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(0.5)
    ben.refuse(486)
    world.run(0.5)
    assert ann.last(SessionFailed).status == 486
    assert dict(ann.last(SessionFailed).headers)["Reason"] == "Q.850;cause=17"
    [record] = world.assert_over()
    assert (record.cause, record.status, record.answered) == (17, 486, None)


def test_rfc3261_13_3_1_4_an_ack_that_never_comes_ends_the_call_after_64_t1() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(0.2)
    world.link.lose("ACK")
    ben.answer()
    world.run(100.0)
    assert len(ann.got("BYE")) + len(ben.got("BYE")) >= 1
    world.link.fate = lambda seen: [0.01]
    world.assert_over(after=80.0)


def test_rfc3262_prack_on_both_legs() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.2)
    ben.ring(183, ben.sdp(), reliable=True)
    world.run(0.5)
    assert len(ben.got("PRACK")) == 1
    assert [seen.receiver for seen in world.link.seen("PRACK")].count(world.node.host) == 1
    assert ann.last(SessionProgress).sdp is not None
    assert len(world.media.bridges) == 2
    ben.answer()
    world.run(0.5)
    assert ann.last(SessionAnswered)
    ann.do(session.hangup)
    world.assert_over()


def test_rfc3261_13_2_1_late_offer() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", offer=None)
    world.run(0.5)
    assert b"m=audio" in ben.invited().body
    ben.answer()
    world.run(0.2)
    assert ann.last(SessionAnswered)
    ann.do(session.answer, ann.sdp(("8 PCMA/8000",)))
    world.run(0.5)
    assert len(world.media.bridges) == 2
    world.run(5.0)
    assert world.runtime.calls
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert (record.cause, record.ended_by) == (16, "caller")


def test_rfc3261_13_2_1_late_offer_in_a_reliable_183() -> None:
    """The offer goes out in 183 where nothing else can be said; it is answered in PRACK."""
    world = World(settings(extensions={"101": {"reliable_provisional": "required"}}))
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", offer=None)
    world.run(0.5)
    ben.ring(180)
    world.run(0.5)
    ben.answer()
    world.run(0.2)
    ann.do(session.answer, ann.sdp(("8 PCMA/8000",)))
    world.run(1.0)
    assert len(world.media.bridges) == 2
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize("number", ["199", "77", "../etc", "101;x=y", "%00"])
def test_nobody_there_is_404_or_480(number: str) -> None:
    world = World()
    ann = world.phone("101")
    ann.dial(number)
    world.run(1.0)
    assert ann.last(SessionFailed).status in (404, 480)
    world.assert_over()

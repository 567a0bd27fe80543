"""CANCEL at every moment, endings of every kind, and what is left afterwards: nothing, and one record."""

from __future__ import annotations

import pytest

from sip.ua_events import Cancelled, SessionArrived, SessionEnded, SessionFailed
from softswitch.causes import Cause
from tests.virtual.network import World, settings
from tests.virtual.test_hunting import ELSEWHERE


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.015, 0.025, 0.035, 0.045, 0.055, 0.065, 0.075, 0.085, 0.3, 1.0])
@pytest.mark.parametrize("answers", [False, True])
def test_rfc3261_9_cancel_at_every_moment(moment: float, answers: bool) -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    if answers:
        ben.on_event = lambda event, now: (
            event.session.accept(ben.sdp(), now) if type(event).__name__ == "SessionArrived" else None
        )
    session = ann.dial("102")
    world.run(moment)
    ann.do(session.hangup)
    world.run(2.0)
    ended = [event for event in ann.events if isinstance(event, SessionFailed | SessionEnded)]
    assert len(ended) == 1
    # A CANCEL that comes before the INVITE with credentials leaves no call to record.
    assert len(world.records) <= 1
    world.assert_over(len(world.records))


def test_the_cancel_tells_the_called_phone_why() -> None:
    world = World()
    caller, ben = world.gateway("192.0.2.60"), world.phone("102")
    session = caller.dial("102")
    world.run(0.5)
    ben.ring()
    world.run(0.5)
    caller.do(session.cancel)
    world.run(0.5)
    assert ben.got("CANCEL")[0].get("Reason") == "Q.850;cause=16"
    world.assert_over()


def test_rfc3326_3_1_completed_elsewhere_is_passed_on_through_us() -> None:
    """A switch before us took the call: the phones behind us must not count it as missed."""
    world = World()
    caller, ben = world.gateway("192.0.2.60"), world.phone("102")
    session = caller.dial("102")
    world.run(0.5)
    ben.ring()
    world.run(0.5)
    caller.do(session.cancel, reason=ELSEWHERE)
    world.run(0.5)
    assert ben.last(Cancelled).reason == ELSEWHERE
    [record] = world.assert_over()
    assert record.cause == Cause.ANSWERED_ELSEWHERE


def test_a_callee_that_says_answered_elsewhere_is_only_busy_to_the_caller() -> None:
    world = World()
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    ann.dial("0123")
    world.run(0.5)
    gateway.refuse(480, (("Reason", "Q.850;cause=26"),))
    world.run(0.5)
    failed = ann.last(SessionFailed)
    assert failed.status == 480
    assert dict(failed.headers)["Reason"] == "Q.850;cause=26"
    world.assert_over()


def test_the_caller_is_gone_before_anything() -> None:
    """An INVITE, then silence: no response of ours arrives, no ACK comes."""
    world = World()
    caller, ben = world.gateway("192.0.2.60"), world.phone("102")
    caller.dial("102")
    del world.link.nodes[caller.host]
    world.run(0.5)
    ben.answer()
    world.run(40.0)
    assert ben.last(SessionEnded).cause == "bye"
    [record] = world.assert_over(after=80.0)
    assert record.cause == Cause.TIMER_EXPIRED


def test_rfc3261_13_3_1_4_no_ack_means_bye_to_both_after_64_t1() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(0.2)
    world.link.fate = lambda seen: [] if seen.what == "ACK" and seen.sender == ann.host else [0.01]
    ben.answer()
    world.run(31.0)
    assert not ben.got("BYE")
    world.run(2.0)
    assert ben.last(SessionEnded).cause == "bye"
    assert ben.got("BYE")[0].get("Reason") == "Q.850;cause=102"
    assert len(ann.got("BYE")) == 1
    world.assert_over(after=80.0)


def test_both_hang_up_at_once() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    ann.do(session.hangup)
    ben.do(ben.called().hangup)
    world.assert_over()


def test_q850_causes_of_a_bye_pass_through() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    world.establish(ann, ben)
    ben.do(ben.called().hangup, reason='Q.850;cause=31;text="unspecified"')
    world.run(0.5)
    assert ann.last(SessionEnded).reason == "Q.850;cause=31"
    [record] = world.assert_over()
    assert record.cause == 31


@pytest.mark.parametrize(("status", "cause"), [(486, 17), (404, 1), (480, 18), (603, 21), (410, 22), (484, 28)])
def test_rfc3398_failures_map_to_causes_and_keep_their_status(status: int, cause: int) -> None:
    world = World()
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    ann.dial("0123")
    world.run(0.5)
    gateway.refuse(status)
    world.run(0.5)
    failed = ann.last(SessionFailed)
    assert (failed.status, dict(failed.headers)["Reason"]) == (status, f"Q.850;cause={cause}")
    [record] = world.assert_over()
    assert (record.cause, record.legs[1].cause) == (cause, cause)


@pytest.mark.parametrize(
    ("dialled", "cause", "status"),
    [("102", 19, 480), ("103", 17, 486), ("199", 1, 404), ("7", 3, 404), ("900", 21, 403)],
)
def test_the_leg_of_a_refused_caller_has_the_cause_that_the_caller_was_told(
    dialled: str, cause: int, status: int
) -> None:
    """Nobody answers, busy, no such extension, no route, not allowed."""
    routes = [{"to": "102", "dial": "102", "ring_timeout": "5s"}, {"to": "900", "reject": "rejected"}]
    world = World(settings(routes=routes))
    ann, _ben, cid = world.phone("101"), world.phone("102"), world.phone("103")
    cid.on_event = lambda event, now: cid.refuse(486) if isinstance(event, SessionArrived) else None
    ann.dial(dialled)
    world.run(10.0)
    failed = ann.last(SessionFailed)
    assert (failed.status, dict(failed.headers)["Reason"]) == (status, f"Q.850;cause={cause}")
    [record] = world.assert_over()
    assert (record.cause, record.status) == (cause, status)
    assert (record.legs[0].cause, record.legs[0].status) == (cause, status)


def test_rfc6432_the_cause_of_a_reason_beats_the_status() -> None:
    world = World()
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    ann.dial("0123")
    world.run(0.5)
    gateway.refuse(480, (("Reason", 'Q.850;cause=20;text="absent"'),))
    world.run(0.5)
    assert dict(ann.last(SessionFailed).headers)["Reason"] == "Q.850;cause=20"
    world.assert_over()


def test_rfc4028_a_session_that_is_not_refreshed_ends_on_both_sides() -> None:
    world = World(settings(sip={"session_timer": {"mode": "offer", "expires": 90}}))
    ann, ben = world.phone("101"), world.phone("102")
    world.establish(ann, ben)
    world.run(30.0)
    del world.link.nodes[ben.host]
    world.run(100.0)
    assert ann.last(SessionEnded).cause == "bye"
    world.assert_over(after=80.0)


def test_rfc4028_refreshes_keep_a_call_for_hours() -> None:
    world = World(settings(sip={"session_timer": {"mode": "offer", "expires": 90}}))
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    world.run(7_000.0)
    assert len(world.runtime.calls) == 1
    assert len(world.media.bridges) == 2
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.billsec > 7_000


def test_silence_hangs_up() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    world.establish(ann, ben)
    a, _ = world.legs()
    stream = world.media.streams[a]
    assert stream is not None
    assert stream.silence_after == 60.0
    world.silence(a, 60.0)
    world.run(0.5)
    assert ann.last(SessionEnded).cause == ben.last(SessionEnded).cause == "bye"
    assert 'text="RTP timeout"' in ann.last(SessionEnded).reason
    [record] = world.assert_over()
    assert record.ended_by == "media"


def test_silence_while_it_rings_is_no_reason_to_hang_up() -> None:
    """Few telephones send anything before the answer, early media or not."""
    world = World()
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    session = ann.dial("0123")
    world.run(0.5)
    gateway.ring(183, gateway.sdp())
    world.run(0.5)
    for stream in world.legs():
        found = world.media.streams[stream]
        assert found is not None
        assert found.silence_after is None
    gateway.answer()
    world.run(0.5)
    for stream in world.legs():
        found = world.media.streams[stream]
        assert found is not None
        assert found.silence_after == 60.0
    ann.do(session.hangup)
    world.assert_over()


def test_rfc3261_16_3_max_forwards_zero_is_483() -> None:
    world = World()
    caller, ben = world.gateway("192.0.2.60"), world.phone("102")
    raw = caller.dial("102")
    [invite] = [seen for seen in world.link.wire if seen.what == "INVITE" and seen.sender == caller.host]
    caller.do(raw.cancel)
    world.run(2.0)
    text = (
        invite.data.decode().replace("Max-Forwards: 70", "Max-Forwards: 0").replace("branch=z9hG4bK", "branch=z9hG4bKx")
    )
    world.node.inject(text.replace("Call-ID: ", "Call-ID: other"), sender=caller.host)
    world.run(1.0)
    assert caller.got("483 INVITE")
    assert len(ben.got("INVITE")) == 1
    world.assert_over(len(world.records))


def test_rfc3261_8_2_2_2_a_merged_request_is_482() -> None:
    world = World()
    caller, ben = world.gateway("192.0.2.60"), world.phone("102")
    session = caller.dial("102")
    [invite] = world.link.seen("INVITE")
    world.run(0.5)
    world.node.inject(invite.data.decode().replace("branch=z9hG4bK", "branch=z9hG4bKother"), sender=caller.host)
    world.run(0.5)
    assert caller.got("482 INVITE")
    assert len(ben.got("INVITE")) == 1
    caller.do(session.cancel)
    world.assert_over()


def test_max_forwards_counts_down() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.5)
    assert ben.invited().max_forwards == 69
    ann.do(session.cancel)
    world.assert_over()


def test_forwards_in_a_circle_end_with_482() -> None:
    world = World(settings(extensions={"102": {"forward": {"always": "103"}}, "103": {"forward": {"always": "102"}}}))
    ann = world.phone("101")
    ann.dial("102")
    world.run(0.5)
    assert ann.last(SessionFailed).status == 482
    world.assert_over()


def test_a_loop_through_a_trunk_ends_by_max_forwards() -> None:
    """A trunk that sends our calls back to us."""
    world = World(settings(routes=[{"to": "_5.", "dial": {"trunk": "south"}}], sip={"max_forwards": 10}))
    ann, south = world.phone("101"), world.gateway("192.0.2.60")

    def send_back(event: object, now: float) -> None:
        if type(event).__name__ == "SessionArrived":
            request = event.request  # type: ignore[attr-defined]
            onward = south.dial("55", headers=(("Max-Forwards", str(request.max_forwards - 1)),))
            sessions[onward.id] = event.session  # type: ignore[attr-defined]
        elif isinstance(event, SessionFailed):
            sessions[event.session.id].reject(event.status, None, (), now)

    sessions: dict[int, object] = {}
    south.on_event = send_back  # type: ignore[assignment]
    ann.dial("55")
    world.run(5.0)
    assert ann.last(SessionFailed).status == 483
    world.assert_over(len(world.records))
    assert len(world.records) <= 6


def test_a_bad_answer_ends_the_called_leg_and_tells_the_caller() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(0.5)
    ben.answer(b"v=0\r\nnonsense")
    world.run(1.0)
    assert ann.last(SessionFailed).status == 488
    assert ben.last(SessionEnded).cause == "bye"
    world.assert_over()


def test_rfc3261_13_3_1_expires_of_the_invite() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102", expires=5.0)
    world.run(0.5)
    ben.ring()
    world.run(6.0)
    assert ben.last(Cancelled)
    assert ann.last(SessionFailed).status == 487
    world.assert_over()


def test_rfc3262_3_no_prack_ends_the_call_with_504() -> None:
    world = World(settings(extensions={"101": {"reliable_provisional": "required"}}))
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(0.5)
    world.link.fate = lambda seen: [] if seen.what == "PRACK" else [0.01]
    ben.ring()
    world.run(29.0)
    ben.ring(183)
    world.run(5.0)
    assert ann.last(SessionFailed).status in (480, 504)
    world.assert_over(after=80.0)


def test_the_clock_on_the_wall_may_jump() -> None:
    """THREATS: a wall clock that jumps an hour bends no record and expires nothing."""
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    world.node.wall_jump = -3_600.0
    world.run(10.0)
    ann.do(session.hangup)
    world.run(1.0)
    second = ann.dial("102")
    world.run(0.5)
    ben.answer()
    world.run(0.5)
    ann.do(second.hangup)
    first, _ = world.assert_over(2)
    assert 10.0 < first.billsec < 11.0

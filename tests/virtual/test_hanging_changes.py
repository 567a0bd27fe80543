"""Changes of a call that one side never answers: whoever asked gets a final answer, and nothing hangs for ever."""

from __future__ import annotations

import pytest

from sip.timers import TimerConfig
from sip.ua_events import AnswerReceived, Offered, OfferFailed, OfferWithdrawn, SessionEnded
from tests.virtual.network import Phone
from tests.virtual.test_changes import ben_session, cancel_of, direction, obliging, talking


def patient(phone: Phone) -> None:
    """It waits for the answer to a re-INVITE as phones do: for longer than the switch."""
    phone.ua.timer_config = TimerConfig(t1=10.0)


@pytest.mark.parametrize("by_callee", [False, True])
def test_rfc3261_9_1_a_reinvite_that_hangs_is_cancelled_and_the_asker_refused(by_callee: bool) -> None:
    """The other side says 100 and no more: it is cancelled, the asker gets a final answer, and the call goes on."""
    world, ann, ben, session = talking()
    asker, asked = (ben, ann) if by_callee else (ann, ben)
    patient(asker)
    before = dict(world.media.streams)
    asker.do(ben_session(asker).offer, asker.sdp(direction="sendonly"), method="INVITE")
    world.run(1.0)
    assert asked.of(Offered)
    world.run(30.5)
    assert asker.events == []
    assert not asked.got("CANCEL")
    world.run(2.0)
    assert asked.got("CANCEL")
    assert asked.of(OfferWithdrawn)
    assert [event.status for event in asker.of(OfferFailed)] == [488]
    assert world.media.streams == before
    obliging(asker)
    obliging(asked)
    for phone in (asked, asker):
        phone.do(ben_session(phone).offer, phone.sdp(direction="sendonly"), method="INVITE")
        world.run(1.0)
        assert direction(phone.last(AnswerReceived).sdp) == "recvonly"
        phone.do(ben_session(phone).offer, phone.sdp(), method="INVITE")
        world.run(1.0)
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert (record.cause, record.ended_by) == (16, "caller")


def test_rfc3261_12_2_1_2_a_reinvite_that_even_its_cancel_does_not_end_ends_the_call() -> None:
    world, ann, ben, session = talking()
    patient(ann)
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="INVITE")
    world.run(1.0)
    assert ben.of(Offered)
    del world.link.nodes[ben.host]
    world.run(62.0)
    assert ben.got("CANCEL")
    assert ann.events == []
    assert len(world.runtime.calls) == 1
    world.run(2.0)
    assert ben.got("BYE")
    assert [event.status for event in ann.of(OfferFailed)] == [487]  # RFC 3261 15.1.2
    assert ann.of(SessionEnded)
    del session
    [record] = world.assert_over()
    assert (record.cause, record.ended_by) == (102, "callee")
    assert [(leg.cause, leg.status) for leg in record.legs] == [(102, 0), (102, 408)]


def test_rfc3261_14_2_changes_while_a_reinvite_hangs() -> None:
    """491 to either side, whether by re-INVITE or UPDATE; nobody is left without a final response."""
    world, ann, ben, session = talking()
    patient(ann)
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="INVITE")
    world.run(1.0)
    content = ("Content-Type", "application/sdp")
    for phone in (ann, ben):
        own = ben_session(phone)
        for method in ("INVITE", "UPDATE"):
            own.ua.stack.send(own.dialog.request(method, (content,), phone.sdp()), world.now)
            world.run(0.5)
    assert [bool(ben.got(f"491 {method}")) for method in ("INVITE", "UPDATE")] == [True, True]
    # RFC 3261 14.2, RFC 3311 5.2: it is the asker's own that waits: 500 with Retry-After.
    assert [ann.got(f"500 {method}")[0].has("Retry-After") for method in ("INVITE", "UPDATE")] == [True, True]
    world.run(40.0)
    assert [event.status for event in ann.of(OfferFailed)] == [488]
    ann.do(session.hangup)
    world.assert_over()


def test_rfc3261_9_2_the_asker_takes_back_what_hangs() -> None:
    """487 at once; what we sent on is cancelled in its time, and the call goes on."""
    world, ann, ben, session = talking()
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="INVITE")
    world.run(0.1)
    [invite] = [seen for seen in world.link.seen("INVITE") if seen.sender == ann.host][-1:]
    world.node.inject(cancel_of(invite.data.decode()), sender=ann.host)
    world.run(0.1)
    assert ann.got("487 INVITE")
    world.run(33.0)
    assert ben.of(OfferWithdrawn)
    obliging(ben)
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="INVITE")
    world.run(1.0)
    assert direction(ann.last(AnswerReceived).sdp) == "recvonly"
    ann.do(session.hangup)
    world.assert_over()

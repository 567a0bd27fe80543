"""Media workers die under calls of the whole switch: calls move, or end with cause 41, and nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Detect, RecordingEnded, RecordingStarted, StartRecording
from sip.invite import InviteSession
from sip.timers import TimerConfig
from sip.ua import UaSettings
from sip.ua_events import AnswerReceived, Offered, ReferAnswered, ReferProgress, SessionEnded, SessionFailed
from softswitch.causes import Cause
from tests.virtual.network import SWITCH, Phone, WorkersMedia, World, settings
from tests.virtual.test_changes import direction, obliging
from tests.virtual_link import Link


class WorkersWorld(World):
    """The switch with two media workers."""

    def __init__(self, workers: int = 2, **sections: Any) -> None:
        self.link = Link(1)
        self.timers = TimerConfig()
        self.media = self.workers = WorkersMedia(workers, lambda: self.link.now)
        self._build(settings(**sections), self.workers)

    def kill(self, index: int, restart: bool = False) -> None:
        self.workers.kill(index, restart)
        self.link.settle()

    def home(self) -> int:
        """The worker that has streams."""
        [index] = [n for n, worker in enumerate(self.workers.workers) if worker.streams]
        return index


def talking(workers: int = 2, **sections: Any) -> tuple[WorkersWorld, Phone, Phone, Any]:
    world = WorkersWorld(workers, **sections)
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    for phone in (ann, ben):
        phone.events.clear()
    return world, ann, ben, session


def port_of(body: bytes | None) -> int:
    assert body is not None
    return next(int(line.split()[1]) for line in body.decode().splitlines() if line.startswith("m=audio"))


def test_streams_of_one_call_are_on_one_worker() -> None:
    world, _, _, _ = talking()
    first = world.legs()
    assert len({world.workers._streams[leg].worker.index for leg in first}) == 1
    assert 0 < first[0] < first[1] < 2**53


def test_a_call_moves_to_the_other_worker() -> None:
    """Both phones are offered the same media at the new address, and hear each other again."""
    world, ann, ben, session = talking()
    obliging(ann)
    obliging(ben)
    before = world.home()
    a, b = world.legs()
    world.kill(before)
    assert world.home() == 1 - before
    world.run(0.5)
    for phone in (ann, ben):
        offers = phone.of(Offered)
        assert len(offers) == 1
        assert direction(offers[0].sdp) == "sendrecv"  # type: ignore[union-attr]
    assert world.legs() == [a, b]
    assert world.media.bridges == {a: b, b: a}
    assert all(settings is not None for settings in world.media.streams.values())
    assert {port_of(phone.last(Offered).sdp) for phone in (ann, ben)} == {
        world.workers.workers[1 - before].pool.port_of(leg) for leg in (a, b)
    }
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.cause == Cause.NORMAL_CLEARING
    assert world.runtime.counters["streams moved to another media worker"] == 2


def test_a_call_on_hold_moves_and_stays_on_hold() -> None:
    world, ann, ben, session = talking()
    obliging(ann)
    obliging(ben)
    ann.do(session.offer, ann.sdp(direction="sendonly"))
    world.run(0.5)
    assert direction(ann.last(AnswerReceived).sdp) == "recvonly"
    ben.events.clear()
    ann.events.clear()
    world.kill(world.home())
    world.run(0.5)
    assert direction(ben.last(Offered).sdp) == "sendonly"
    assert direction(ann.last(Offered).sdp) == "recvonly"
    ann.do(session.offer, ann.sdp())
    world.run(0.5)
    assert direction(ann.last(AnswerReceived).sdp) == "sendrecv"
    ann.do(session.hangup)
    world.assert_over()


def test_the_only_worker_comes_back_after_a_moment() -> None:
    world, ann, ben, session = talking(1)
    obliging(ann)
    obliging(ben)
    world.kill(0)
    world.run(2.0)
    assert len(ann.got("INVITE")) == 0
    world.workers.restart(0)
    world.run(1.0)
    # Ports may happen to be the old ones: the phones are told all the same.
    assert len(ann.got("INVITE")) == 1
    assert len(ben.got("INVITE")) == 2
    a, b = world.legs()
    assert world.media.bridges == {a: b, b: a}
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.cause == Cause.NORMAL_CLEARING


@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_that_moves_is_recorded_and_listened_to_as_before(workers: int) -> None:
    """In another file; once both ends have moved."""
    world, ann, ben, session = talking(workers, extensions={"101": {"record": "always", "dtmf": "inband"}})
    obliging(ann)
    obliging(ben)
    home = world.home()
    a, b = world.legs()
    [first] = [each for each in world.workers.engines[home].audios if isinstance(each, StartRecording)]
    world.kill(home)
    world.run(1.0)
    if workers == 1:
        world.workers.restart(home)
        world.run(2.0)
    [engine] = [each for each in world.workers.engines if each.streams]
    asked = [each for each in engine.audios if isinstance(each, StartRecording | Detect)]
    assert Detect(a, dtmf=True) in asked
    assert Detect(b, dtmf=True) not in asked
    [again] = [each for each in asked if isinstance(each, StartRecording)]
    assert again.recording != first.recording
    assert again.channels == ((a, 0), (b, 1))
    engine.events += [RecordingStarted(again.recording, "/r/2.wav"), RecordingEnded(again.recording, "/r/2.wav", 1.0)]
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.recording == "/r/2.wav"
    assert f"media worker {world.workers.workers[home].terms.name} lost" in record.recording_failed


def test_a_call_for_which_no_worker_comes_ends() -> None:
    world, ann, ben, _ = talking(1)
    world.kill(0)
    world.run(9.0)
    assert ann.of(SessionEnded) == []
    world.run(3.0)
    assert len(ann.of(SessionEnded)) == len(ben.of(SessionEnded)) == 1
    [record] = world.assert_over()
    assert (record.cause, record.ended_by) == (Cause.TEMPORARY_FAILURE, "media")


@pytest.mark.parametrize("who", ["101", "102"])
def test_a_phone_that_refuses_to_move_ends_the_call(who: str) -> None:
    world, ann, ben, _ = talking()
    for phone in (ann, ben):
        if phone.number == who:
            phone.on_event = lambda event, now: (
                event.session.reject_offer(488, now) if isinstance(event, Offered) else None
            )
        else:
            obliging(phone)
    world.kill(world.home())
    world.run(1.0)
    [record] = world.assert_over()
    assert (record.cause, record.ended_by) == (Cause.TEMPORARY_FAILURE, "media")


def test_a_phone_that_never_answers_the_offer_ends_the_call() -> None:
    world, ann, ben, _ = talking()
    obliging(ann)
    world.kill(world.home())
    world.run(200.0)
    [record] = world.assert_over()
    assert record.cause in (Cause.TEMPORARY_FAILURE, Cause.TIMER_EXPIRED)
    assert len(ben.of(Offered)) == 1


def test_a_phone_that_wants_something_itself_is_asked_again() -> None:
    """RFC 3261 14.1: 491 while an offer of the other side is open."""
    world, ann, ben, session = talking()
    obliging(ann)
    asked = []

    def busy_at_first(event: Any, now: float) -> None:
        if isinstance(event, Offered):
            asked.append(event)
            if len(asked) == 1:
                event.session.reject_offer(491, now)
            else:
                event.session.answer(ben.sdp(), now)

    ben.on_event = busy_at_first
    world.kill(world.home())
    world.run(3.0)
    assert len(asked) == 2
    a, b = world.legs()
    assert world.media.bridges == {a: b, b: a}
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.cause == Cause.NORMAL_CLEARING


def test_a_call_that_rings_is_given_up() -> None:
    world = WorkersWorld()
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(0.2)
    ben.ring()
    world.run(0.2)
    world.kill(world.home())
    world.run(0.5)
    assert ann.last(SessionFailed).status == 503
    [record] = world.assert_over()
    assert record.cause == Cause.TEMPORARY_FAILURE


def test_the_echo_moves_too() -> None:
    world = WorkersWorld()
    ann = world.phone("101")
    session = ann.dial("*43")
    world.run(0.5)
    obliging(ann)
    world.kill(world.home())
    world.run(0.5)
    [a] = world.legs()
    assert world.media.bridges == {a: a}
    ann.do(session.hangup)
    world.assert_over()


def test_workers_that_die_again_and_again_leave_nothing() -> None:
    world, ann, ben, session = talking()
    obliging(ann)
    obliging(ben)
    for n in range(12):
        world.kill(world.home(), restart=True)
        world.run((0.0, 0.01, 0.3, 2.0)[n % 4])
    world.run(5.0)
    a, b = world.legs()
    assert world.media.bridges == {a: b, b: a}
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.cause == Cause.NORMAL_CLEARING


def test_a_worker_that_dies_while_the_call_ends_leaves_nothing() -> None:
    world, ann, _, session = talking()
    index = world.home()
    world.workers.cut(index)
    ann.do(session.hangup)
    world.run(0.5)
    assert len(world.records) == 0  # statistics are on their way
    world.kill(index)
    world.run(0.5)
    [record] = world.assert_over()
    assert record.cause == Cause.NORMAL_CLEARING


def test_the_description_of_a_moved_stream_differs_in_port_and_version_alone() -> None:
    world, ann, ben, session = talking()
    obliging(ann)
    obliging(ben)
    [invite] = ben.got("INVITE")
    world.kill(world.home())
    world.run(0.5)
    again = ben.last(Offered).sdp.decode().splitlines()
    # What was offered beyond what was agreed is not offered again.
    before = invite.body.decode().splitlines()
    differing = [line for line in again if line not in before]
    assert sorted(line[:2] for line in differing) == ["m=", "o="]
    assert port_of(invite.body) != port_of(ben.last(Offered).sdp)
    ann.do(session.hangup)
    world.assert_over()


# ---- legs that move between calls on different workers ----------------------------------------------------


class Apart:
    """Telephones 101 to 104 that answer every offer; each new call is on the worker that the latest one is not on."""

    def __init__(self) -> None:
        self.world = WorkersWorld(2)
        self.phones = [self.world.phone(str(number), agent=UaSettings(refer=True)) for number in range(101, 105)]
        for phone in self.phones:
            obliging(phone)

    def hold(self, phone: Phone, session: InviteSession) -> None:
        phone.do(session.offer, phone.sdp(direction="sendonly"))
        self.world.run(0.5)
        assert direction(phone.last(AnswerReceived).sdp) == "recvonly"

    def refer(self, phone: Phone, session: InviteSession, other: InviteSession) -> None:
        workers = self.world.workers.workers
        assert all(worker.streams for worker in workers), "both calls are on one worker"
        call_id, local_tag, remote_tag = other.dialog.id
        replaces = f"{call_id}%3Bto-tag%3D{remote_tag}%3Bfrom-tag%3D{local_tag}"
        phone.do(session.refer, f"<sip:x@{SWITCH}?Replaces={replaces}>", None)
        self.world.run(1.0)

    def assert_talking(self, *phones: Phone) -> None:
        """Two telephones hear each other: both streams are on one worker, and either knows where the other's are."""
        world = self.world
        home = world.workers.virtual[world.home()]
        assert home is not None
        one, other = world.media.streams
        assert world.media.bridges == {one: other, other: one}
        found = {}
        for stream, configured in world.media.streams.items():
            assert configured is not None
            assert configured.send, stream
            assert configured.receive, stream
            found[configured.remote.host] = home.engine.at[stream][0]  # type: ignore[attr-defined]
        assert found == {phone.host: self.told(phone) for phone in phones}

    def told(self, phone: Phone) -> int:
        """Where the latest description that the telephone was sent has it send to."""
        bodies = [
            seen.message.body for seen in self.world.link.wire if seen.receiver == phone.host and seen.message.body
        ]
        return port_of([body for body in bodies if b"m=audio" in body][-1])


@pytest.mark.parametrize("refers_third", [True, False])
@pytest.mark.parametrize("calls", [True, False])
@pytest.mark.parametrize("holds", [True, False])
def test_a_telephone_joins_calls_on_different_workers(holds: bool, calls: bool, refers_third: bool) -> None:
    """Neither of the two who are left stays on the hold of the one who goes."""
    apart = Apart()
    ann, ben, cyd, _ = apart.phones
    session = apart.world.establish(ann, ben)
    if not calls:
        ann, ben, session = ben, ann, ben.called_session()
    if holds:
        apart.hold(ann, session)
    consultation = apart.world.establish(ann, cyd)
    if holds:
        apart.hold(ann, consultation)
    apart.refer(ann, *((consultation, session) if refers_third else (session, consultation)))
    assert [event.status for event in ann.of(ReferAnswered)] == [202]  # type: ignore[union-attr]
    assert ann.last(ReferProgress).status == 200
    assert not ann.ua.sessions
    apart.assert_talking(ben, cyd)
    ben.do(ben.called_session().hangup)
    apart.world.assert_over(2)


def test_a_telephone_leaves_its_call_to_one_that_rings_on_another_worker() -> None:
    """Who rings learns as soon as it has answered that its stream is on the other worker."""
    apart = Apart()
    ann, ben, cyd, _ = apart.phones
    session = apart.world.establish(ann, ben)
    consultation = ann.dial("103")
    apart.world.run(0.3)
    cyd.ring()
    apart.world.run(0.3)
    apart.refer(ann, session, consultation)
    cyd.answer()
    apart.world.run(1.0)
    assert ann.last(ReferProgress).status == 200
    apart.assert_talking(ben, cyd)
    cyd.do(cyd.called_session().hangup)
    apart.world.assert_over(2)


def test_an_invite_with_replaces_comes_to_a_call_on_another_worker() -> None:
    """Its 200 has the address at the worker where the call is (RFC 3891)."""
    apart = Apart()
    ann, ben, _, _ = apart.phones
    apart.world.establish(ann, ben)
    call_id, local_tag, remote_tag = ben.called_session().dialog.id
    desk = apart.world.phone("102", "192.0.2.202")
    obliging(desk)
    desk.dial("101", headers=(("Replaces", f"{call_id};to-tag={remote_tag};from-tag={local_tag}"),))
    apart.world.run(1.0)
    assert not ben.ua.sessions
    assert len(desk.ua.sessions) == 1
    assert not desk.of(Offered)
    apart.assert_talking(ann, desk)
    desk.do(desk.called_session().hangup)
    apart.world.assert_over(1)

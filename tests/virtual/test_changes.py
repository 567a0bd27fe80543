"""What changes in a running call: hold, codecs, addresses, glare, late offers, early UPDATE, on the whole switch."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from media.audio_commands import Play, StopPlay
from media.sdp import parse
from sip.invite import InviteSession
from sip.ua import UaSettings
from sip.ua_events import AnswerReceived, Offered, OfferFailed, OfferWithdrawn, SessionArrived, SessionEnded
from softswitch.holding import Hearing, hearing
from tests.virtual.network import EVENTS, G722, PCMA, PCMU, Phone, World, settings

NO_UPDATE = UaSettings(allow=("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "INFO", "OPTIONS"))


def direction(body: bytes) -> str:
    """sendrecv, sendonly, recvonly or inactive."""
    return next((line[2:] for line in body.decode().splitlines() if line[2:] in WAYS), "sendrecv")


WAYS = ("sendrecv", "sendonly", "recvonly", "inactive")


def talking(**phone_settings: Any) -> tuple[World, Phone, Phone, InviteSession]:
    world = World()
    ann, ben = world.phone("101", **phone_settings), world.phone("102", **phone_settings)
    session = world.establish(ann, ben)
    for phone in (ann, ben):
        phone.events.clear()
    return world, ann, ben, session


REVERSE = {"sendonly": "recvonly", "recvonly": "sendonly", "sendrecv": "sendrecv", "inactive": "inactive"}


def obliging(phone: Phone, answer: str = "") -> None:
    """The phone answers every offer: as a phone does, or with that direction."""

    def on_event(event: Any, now: float) -> None:
        if isinstance(event, Offered):
            way = answer or (REVERSE[direction(event.sdp)] if event.sdp is not None else "sendrecv")
            event.session.answer(phone.sdp(direction=way), now)

    phone.on_event = on_event


@pytest.mark.parametrize("update", [True, False])
def test_rfc3264_8_4_hold_and_resume(update: bool) -> None:
    world, ann, ben, session = talking(**({} if update else {"agent": NO_UPDATE}))
    obliging(ben)
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="UPDATE" if update else "INVITE")
    world.run(0.5)
    assert direction(ben.last(Offered).sdp) == "sendonly"
    assert direction(ann.last(AnswerReceived).sdp) == "recvonly"
    a, b = world.legs()
    held, holder = world.media.streams[b], world.media.streams[a]
    assert held is not None
    assert holder is not None
    assert (holder.send, holder.receive) == (False, True)
    assert (held.send, held.receive) == (True, False)
    assert holder.silence_after is None  # on hold nobody need talk
    ann.do(session.offer, ann.sdp())
    world.run(0.5)
    assert direction(ben.last(Offered).sdp) == "sendrecv"
    assert direction(ann.last(AnswerReceived).sdp) == "sendrecv"
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert [segment.kind for segment in world.node.contacts[0].segments] == ["route", "ring", "talk", "hold", "talk"]
    assert record.cause == 16


@pytest.mark.parametrize("seed", range(8))
def test_with_music_a_hold_is_the_holders_alone_whatever_both_do(seed: int) -> None:
    """Two phones change their minds at random; in the end both talk again, and none was ever offered anything."""
    both = {"music_on_hold": "default"}
    world = World(settings(extensions={"101": both, "102": both}))
    ann, ben = world.phone("101"), world.phone("102")
    session = world.establish(ann, ben)
    sessions = {ann: session, ben: ben.last(SessionArrived).session}
    for phone in (ann, ben):
        phone.events.clear()
    asked = {ann: "sendrecv", ben: "sendrecv"}
    a, b = world.legs()
    random = Random(seed)
    steps = [(random.choice((ann, ben)), random.choice(WAYS)) for _ in range(40)]
    for phone, way in [*steps, (ann, "sendrecv"), (ben, "sendrecv")]:
        phone.do(sessions[phone].offer, phone.sdp(direction=way))
        world.run(0.3)
        assert direction(phone.last(AnswerReceived).sdp) == REVERSE[way]
        asked[phone] = way
        assert not [event for each in (ann, ben) for event in each.events if isinstance(event, Offered)]
        stopped = {command.play for command in world.media.asked(StopPlay)}
        playing = {command.stream for command in world.media.asked(Play) if command.play not in stopped}
        ways = ((a, asked[ann], asked[ben]), (b, asked[ben], asked[ann]))
        assert playing == {leg for leg, own, other in ways if hearing(own, other, True) is Hearing.MUSIC}
        for leg, own, _ in ways:
            stream = world.media.streams[leg]
            assert stream is not None
            assert (stream.send, stream.receive) == (own in ("sendrecv", "recvonly"), own in ("sendrecv", "sendonly"))
    assert world.media.bridges == {a: b, b: a}
    ann.do(session.hangup)
    world.assert_over()


def test_rfc2543_an_old_hold_is_carried_as_a_new_one() -> None:
    world, ann, ben, session = talking()
    obliging(ben)
    ann.do(session.offer, ann.sdp(media_host="0.0.0.0"))
    world.run(0.5)
    offer = ben.last(Offered).sdp
    assert direction(offer) in ("sendonly", "inactive")
    assert b"0.0.0.0" not in offer
    ann.do(session.offer, ann.sdp())
    world.run(0.5)
    assert direction(ben.last(Offered).sdp) == "sendrecv"
    a, b = world.legs()
    assert world.media.hear(a) == ben.host
    assert world.media.hear(b) == ann.host
    ann.do(session.hangup)
    world.assert_over()


def test_both_hold_and_each_resumes() -> None:
    world, ann, ben, session = talking()
    obliging(ann)
    obliging(ben)
    ann.do(session.offer, ann.sdp(direction="sendonly"))
    world.run(0.5)
    ben.do(ben_session(ben).offer, ben.sdp(direction="inactive"))
    world.run(0.5)
    assert direction(ann.last(Offered).sdp) == "inactive"
    obliging(ben, answer="inactive")  # still holds
    ann.do(session.offer, ann.sdp())
    world.run(0.5)
    assert direction(ann.last(AnswerReceived).sdp) == "inactive"
    obliging(ben)
    ben.do(ben_session(ben).offer, ben.sdp())
    world.run(0.5)
    assert direction(ann.last(Offered).sdp) == "sendrecv"
    assert direction(ben.last(AnswerReceived).sdp) == "sendrecv"
    ann.do(session.hangup)
    world.assert_over()


def ben_session(phone: Phone) -> InviteSession:
    (session,) = phone.ua.sessions.values()
    return session


@pytest.mark.parametrize("by_callee", [False, True])
def test_another_codec_is_carried(by_callee: bool) -> None:
    world, ann, ben, session = talking()
    asker, asked = (ben, ann) if by_callee else (ann, ben)
    asked.on_event = lambda event, now: (
        event.session.answer(asked.sdp((PCMU, EVENTS)), now) if isinstance(event, Offered) else None
    )
    asker.do(ben_session(asker).offer, asker.sdp((PCMU, EVENTS)))
    world.run(0.5)
    assert b"m=audio" in asker.last(AnswerReceived).sdp
    for stream in world.media.streams.values():
        assert stream is not None
        assert stream.formats[0][1] == "PCMU"
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_new_address_is_answered_at_once_and_followed(method: Any) -> None:
    world, ann, ben, session = talking()
    ann.do(session.offer, ann.sdp(media_host="198.51.100.9"), method=method)
    world.run(0.5)
    assert ann.last(AnswerReceived)
    assert ben.events == []
    _a, b = world.legs()
    assert world.media.hear(b) == "198.51.100.9"
    ann.do(session.hangup)
    world.assert_over()


def test_no_common_codec_in_a_reoffer_is_488_and_the_call_goes_on() -> None:
    world, ann, ben, session = talking()
    ann.do(session.offer, ann.sdp(("18 G729/8000",)))
    world.run(0.5)
    assert ann.last(OfferFailed).status == 488
    assert ben.events == []
    assert len(world.media.bridges) == 2
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize("status", [488, 500, 606])
def test_rfc3261_14_1_a_refused_change_leaves_both_sides_as_they_were(status: int) -> None:
    world, ann, ben, session = talking()
    ben.on_event = lambda event, now: event.session.reject_offer(status, now) if isinstance(event, Offered) else None
    before = dict(world.media.streams)
    ann.do(session.offer, ann.sdp(direction="sendonly"))
    world.run(1.0)
    assert ann.last(OfferFailed).status == 488
    assert world.media.streams == before
    ann.do(session.hangup)
    world.assert_over()


def test_rfc3261_14_1_glare_of_two_reinvites_is_resolved() -> None:
    world, ann, ben, session = talking()
    obliging(ann)
    obliging(ben)
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="INVITE")
    ben.do(ben_session(ben).offer, ben.sdp(direction="sendonly"), method="INVITE")
    world.run(30.0)
    assert [type(event).__name__ for event in ann.events + ben.events].count("AnswerReceived") == 2
    assert not ann.of(OfferFailed)
    assert not ben.of(OfferFailed)
    ann.do(session.hangup)
    world.assert_over()


def test_an_offer_taken_back_is_undone_on_the_other_side() -> None:
    world, ann, ben, session = talking()
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="INVITE")
    world.run(0.1)
    offered = ben.last(Offered)
    [invite] = [seen for seen in world.link.seen("INVITE") if seen.sender == ann.host][-1:]
    cancel = cancel_of(invite.data.decode())
    world.node.inject(cancel, sender=ann.host)
    world.run(0.1)
    assert ann.got("487 INVITE")
    obliging(ben)
    ben.do(offered.session.answer, ben.sdp(direction="recvonly"))
    world.run(5.0)
    assert direction(ben.last(Offered).sdp) == "sendrecv"
    _, b = world.legs()
    stream = world.media.streams[b]
    assert stream is not None
    assert (stream.send, stream.receive) == (True, True)
    ann.do(session.hangup)
    world.assert_over()


def cancel_of(invite: str) -> str:
    """A CANCEL of that INVITE (RFC 3261 9.1), written by hand: no phone of ours cancels a re-INVITE."""
    keep = ("Via:", "From:", "To:", "Call-ID:", "Max-Forwards:", "CSeq:")
    lines = [line for line in invite.split("\r\n\r\n")[0].split("\r\n") if line.startswith(keep)]
    first = invite.split("\r\n")[0].replace("INVITE", "CANCEL", 1)
    return "\r\n".join([first, *lines, "Content-Length: 0", "", ""]).replace(" INVITE\r\n", " CANCEL\r\n")


def test_an_offerless_reinvite_is_answered_with_what_stands() -> None:
    world, ann, ben, session = talking()
    obliging(ben)
    ann.do(session.offer, None, method="INVITE")
    world.run(0.2)
    offer = ann.last(Offered)
    assert b"PCMA" in offer.sdp
    ann.do(session.answer, ann.sdp(direction="sendonly"))
    world.run(0.5)
    assert direction(ben.last(Offered).sdp) == "sendonly"
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize("by_callee", [False, True])
def test_bye_while_a_reinvite_is_open(by_callee: bool) -> None:
    world, ann, ben, session = talking()
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="INVITE")
    world.run(0.1)
    assert ben.of(Offered)
    leaver = ben_session(ben) if by_callee else session
    (ben if by_callee else ann).do(leaver.hangup)
    world.run(1.0)
    assert (ann if by_callee else ben).of(SessionEnded)
    world.assert_over()


def test_a_reinvite_that_the_other_side_never_answers_ends_the_call() -> None:
    world, ann, ben, session = talking()
    del world.link.nodes[ben.host]
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="INVITE")
    world.run(40.0)
    assert ann.of(SessionEnded)
    del session
    world.assert_over(after=80.0)


def test_rfc3311_update_in_early_media_is_carried_both_ways() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.2)
    ben.ring(183, ben.sdp(), reliable=True)
    world.run(0.5)
    obliging(ann)
    obliging(ben)
    ann.do(session.offer, ann.sdp(direction="sendonly"))
    world.run(0.5)
    assert direction(ben.last(Offered).sdp) == "sendonly"
    assert direction(ann.last(AnswerReceived).sdp) == "recvonly"
    ben.do(ben.called().offer, ben.sdp(direction="inactive"))
    world.run(0.5)
    assert direction(ann.last(Offered).sdp) == "inactive"
    assert direction(ben.last(AnswerReceived).sdp) == "inactive"
    ben.answer()
    world.run(0.5)
    ann.do(session.offer, ann.sdp())
    world.run(0.5)
    assert direction(ben.last(Offered).sdp) == "sendrecv"
    ann.do(session.hangup)
    world.assert_over()


def test_a_change_of_the_callee_before_the_callers_ack() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.2)
    obliging(ann)
    world.link.fate = lambda seen: [1.0] if seen.what == "ACK" and seen.sender == ann.host else [0.01]
    ben.answer()
    world.run(0.1)
    ben.do(ben.called().offer, ben.sdp(direction="sendonly"))
    world.run(10.0)
    assert direction(ann.last(Offered).sdp) == "sendonly"
    assert ben.of(AnswerReceived)
    ann.do(session.hangup)
    world.assert_over()


def test_media_lines_of_a_video_phone_stay_in_their_places() -> None:
    """RFC 3264 8: an m= line refused once stays, refused, in every later description."""
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    video = b"m=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    session = ann.dial("102", ann.sdp() + video)
    world.run(0.2)
    assert b"video" not in ben.invited().body
    ben.answer()
    world.run(0.5)
    obliging(ben)
    ann.do(session.offer, ann.sdp(direction="sendonly") + video)
    world.run(0.5)
    answer = parse(ann.last(AnswerReceived).sdp)
    assert [(media.kind, bool(media.port)) for media in answer.media] == [("audio", True), ("video", False)]
    ann.do(session.hangup)
    world.assert_over()


def test_an_offer_that_both_sides_withdraw_from_leaves_no_answer_open() -> None:
    world, ann, ben, session = talking()
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="INVITE")
    world.run(0.1)
    [invite] = [seen for seen in world.link.seen("INVITE") if seen.sender == ann.host][-1:]
    world.node.inject(cancel_of(invite.data.decode()), sender=ann.host)
    ben.do(ben.last(Offered).session.reject_offer, 488)
    world.run(1.0)
    obliging(ann)
    obliging(ben)
    ben.do(ben_session(ben).offer, ben.sdp(direction="sendonly"))
    world.run(3.0)
    assert direction(ann.last(Offered).sdp) == "sendonly"
    assert not ann.of(OfferWithdrawn)
    ann.do(session.hangup)
    world.assert_over()


def test_g722_is_relayed_by_name() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", ann.sdp((G722, PCMA)))
    world.run(0.2)
    ben.answer(ben.sdp((G722,)))
    world.run(0.2)
    assert all(stream is not None and stream.formats[0][1] == "G722" for stream in world.media.streams.values())
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.legs[0].codec == "G722"


def test_rfc3311_what_an_early_update_agreed_outlives_the_answer() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.2)
    obliging(ann)
    ben.ring(183, ben.sdp(), reliable=True)
    world.run(0.2)
    ben.do(ben.called().offer, ben.sdp(direction="sendonly"))
    world.run(0.2)
    ben.do(ben.called().accept, None)
    world.run(0.5)
    a, b = (world.media.streams[leg] for leg in world.legs())
    assert a is not None
    assert b is not None
    assert (a.send, a.receive, b.send, b.receive) == (True, False, False, True)
    ann.do(session.hangup)
    world.assert_over()


def test_an_offer_taken_back_from_one_who_holds_too_is_not_repeated_for_ever() -> None:
    world, ann, ben, session = talking()
    ann.do(session.offer, ann.sdp(direction="sendonly"), method="INVITE")
    world.run(0.1)
    [invite] = [seen for seen in world.link.seen("INVITE") if seen.sender == ann.host][-1:]
    world.node.inject(cancel_of(invite.data.decode()), sender=ann.host)
    obliging(ann)
    obliging(ben, answer="inactive")
    ben.do(ben.last(Offered).session.answer, ben.sdp(direction="inactive"))
    world.run(20.0)
    assert len(ben.of(Offered)) == 2
    assert direction(ann.last(Offered).sdp) == "inactive"
    ann.do(session.hangup)
    world.assert_over()


def test_phones_that_each_insist_on_their_codec_are_not_asked_for_ever() -> None:
    world, ann, ben, session = talking()
    for phone, formats in ((ann, (PCMA, PCMU)), (ben, (PCMU, PCMA))):
        phone.on_event = lambda event, now, phone=phone, formats=formats: (  # type: ignore[misc]
            event.session.answer(phone.sdp(formats), now) if isinstance(event, Offered) else None
        )
    ann.do(session.offer, None, method="INVITE")
    world.run(60.0)
    assert len(ann.of(Offered)) + len(ben.of(Offered)) <= 6
    ann.do(session.hangup)
    world.assert_over()


def test_an_answer_to_an_offerless_reinvite_is_carried_when_the_callers_ack_is_late() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.2)
    obliging(ann)
    world.link.fate = lambda seen: [1.5] if seen.what == "ACK" and seen.sender == ann.host else [0.01]
    ben.answer(ben.sdp((PCMA,)))
    world.run(0.1)
    ben.do(ben.called().offer, None)
    world.run(0.1)
    ben.do(ben.called().answer, ben.sdp(direction="sendonly"))
    world.run(5.0)
    assert direction(ann.last(Offered).sdp) == "sendonly"
    ann.do(session.hangup)
    world.assert_over()


def test_rfc3264_6_1_numbers_of_the_answerers_own() -> None:
    """The callee maps opus and events to numbers of its own: it is sent those, and sends the offered ones."""
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", ann.sdp(("96 opus/48000/2", "97 telephone-event/48000")))
    world.run(0.2)
    ben.answer(ben.sdp(("111 opus/48000/2", "112 telephone-event/48000")))
    world.run(0.2)
    a, b = (world.media.streams[leg] for leg in world.legs())
    assert a is not None
    assert b is not None
    assert a.formats == ((96, "opus", 48000), (97, "telephone-event", 48000))
    assert a.receives == ()
    assert b.formats == ((111, "opus", 48000), (112, "telephone-event", 48000))
    assert b.receives[:2] == ((96, "opus", 48000), (97, "telephone-event", 48000))
    ann.do(session.hangup)
    world.assert_over()

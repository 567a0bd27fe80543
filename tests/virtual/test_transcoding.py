"""Calls between ends without a common codec: relayed where they can agree, else transcoded, on the whole switch."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from structlog.testing import capture_logs

from media.commands import StreamSettings
from sip.invite import InviteSession
from sip.ua_events import AnswerReceived, Offered, OfferFailed, SessionAnswered, SessionFailed, SessionProgress
from tests.virtual.network import EVENTS, G722, PCMA, PCMU, Phone, World, settings

OPUS = "111 opus/48000/2"
WIDE_EVENTS = "110 telephone-event/48000"
L16 = "120 L16/16000"
G729 = "18 G729/8000"
CODECS = {"PCMU": PCMU, "PCMA": PCMA, "G722": G722, "opus": OPUS, "L16": L16}


def answering(phone: Phone, *formats: str) -> None:
    """The phone answers every later offer with these formats, and the direction that fits."""

    def on_event(event: Any, now: float) -> None:
        if isinstance(event, Offered):
            way = "recvonly" if event.sdp is not None and b"a=sendonly" in event.sdp else "sendrecv"
            event.session.answer(phone.sdp(formats, way), now)

    phone.on_event = on_event


def offered(body: bytes) -> list[str]:
    """Encoding names of a description, in order."""
    return [line.split()[1].split("/")[0] for line in body.decode().splitlines() if line.startswith("a=rtpmap")]


def streams(world: World) -> tuple[StreamSettings, StreamSettings]:
    a, b = (world.media.streams[leg] for leg in world.legs()[:2])
    assert a is not None
    assert b is not None
    return a, b


def sent(stream: StreamSettings) -> str:
    """The codec that the engine sends to this peer."""
    return stream.formats[0][1]


def bridged(world: World, a: str, b: str) -> None:
    """Both legs hear each other, the caller in codec `a`, the called in `b`."""
    assert len(world.media.bridges) == 2
    assert tuple(map(sent, streams(world))) == (a, b)


def call(world: World, caller: Phone, called: Phone, ours: tuple[str, ...], theirs: tuple[str, ...]) -> InviteSession:
    session = caller.dial(called.number, caller.sdp(ours))
    world.run(0.2)
    called.answer(called.sdp(theirs))
    world.run(0.5)
    caller.events.clear()
    called.events.clear()
    return session


def policies(a: list[str], b: list[str], **more: Any) -> World:
    return World(settings(extensions={"101": {"codecs": a}, "102": {"codecs": b}}, **more))


@pytest.mark.parametrize(("a", "b"), list(itertools.product(CODECS, repeat=2)))
def test_every_pair_of_codecs_gets_a_call(a: str, b: str) -> None:
    world = policies([a], [b])
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", ann.sdp((CODECS[a], EVENTS)))
    world.run(0.2)
    names = offered(ben.invited().body)
    assert names[0] == b
    assert "telephone-event" in names
    ben.answer(ben.sdp((CODECS[b], EVENTS)))
    world.run(0.5)
    bridged(world, a, b)
    for stream in streams(world):
        assert "telephone-event" in [name for _, name, _ in stream.formats]
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert [leg.codec for leg in record.legs] == [a, b]


def test_a_relay_comes_first() -> None:
    """B takes G722 too, and is offered it after what the caller has."""
    world = policies(["PCMU"], ["G722", "PCMU"])
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", ann.sdp((PCMU, EVENTS)))
    world.run(0.2)
    assert offered(ben.invited().body)[:2] == ["PCMU", "G722"]
    ben.answer(ben.sdp((PCMU, G722, EVENTS)))
    world.run(0.5)
    bridged(world, "PCMU", "PCMU")
    ann.do(session.hangup)
    world.assert_over()


def test_the_called_may_choose_to_be_transcoded() -> None:
    world = policies(["PCMU"], ["G722", "PCMU"])
    ann, ben = world.phone("101"), world.phone("102")
    session = call(world, ann, ben, (PCMU, EVENTS), (G722, PCMU, EVENTS))
    bridged(world, "PCMU", "G722")
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize(
    "forbidding",
    [
        {"media": {"transcode": False}},
        {"extensions": {"101": {"codecs": ["PCMU"], "transcode": False}, "102": {"codecs": ["G722"]}}},
        {"extensions": {"101": {"codecs": ["PCMU"]}, "102": {"codecs": ["G722"], "transcode": False}}},
    ],
)
def test_488_where_either_end_or_the_switch_forbids_it(forbidding: dict[str, Any]) -> None:
    with capture_logs() as lines:
        refused_for_want_of_a_codec(forbidding)
    [told] = [line for line in lines if line["event"] == "call refused"]
    assert (told["extension"], told["why"]) == ("101", "No common codec")


def refused_for_want_of_a_codec(forbidding: dict[str, Any]) -> None:
    ends = {"101": {"codecs": ["PCMU"]}, "102": {"codecs": ["G722"]}}
    world = World(settings(**{"extensions": ends, **forbidding}))
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102", ann.sdp((PCMU,)))
    world.run(0.5)
    assert ann.last(SessionFailed).status == 488
    # RFC 3261 20.43: "305 Incompatible media format"
    assert dict(ann.last(SessionFailed).headers)["Warning"] == '305 192.0.2.1 "No common codec"'
    assert not ben.got("INVITE")
    world.assert_over()


def test_an_end_may_allow_what_the_switch_does_not() -> None:
    ends = {"101": {"codecs": ["PCMU"], "transcode": True}, "102": {"codecs": ["G722"], "transcode": True}}
    world = World(settings(extensions=ends, media={"transcode": False}))
    ann, ben = world.phone("101"), world.phone("102")
    session = call(world, ann, ben, (PCMU,), (G722,))
    bridged(world, "PCMU", "G722")
    ann.do(session.hangup)
    world.assert_over()


def test_what_can_not_be_decoded_is_488() -> None:
    world = policies(["G729"], ["PCMU"])
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102", ann.sdp((G729,)))
    world.run(0.5)
    assert ann.last(SessionFailed).status == 488
    # RFC 3261 20.43: "305 Incompatible media format"
    assert dict(ann.last(SessionFailed).headers)["Warning"] == '305 192.0.2.1 "No common codec"'
    assert not ben.got("INVITE")
    world.assert_over()


def test_hold_and_resume_across_codecs() -> None:
    world = policies(["PCMU"], ["PCMA", "G722"])
    ann, ben = world.phone("101"), world.phone("102")
    session = call(world, ann, ben, (PCMU, EVENTS), (G722, EVENTS))
    answering(ben, G722, EVENTS)
    ann.do(session.offer, ann.sdp((PCMU, EVENTS), "sendonly"))
    world.run(0.5)
    hold = ben.last(Offered).sdp
    assert b"a=sendonly" in hold
    assert offered(hold)[0] == "G722", "the codec stays through a hold"
    assert b"a=recvonly" in ann.last(AnswerReceived).sdp
    a, b = streams(world)
    assert ((a.send, a.receive), (b.send, b.receive)) == ((False, True), (True, False))
    ann.do(session.offer, ann.sdp((PCMU, EVENTS)))
    world.run(0.5)
    bridged(world, "PCMU", "G722")
    assert all(stream.send and stream.receive for stream in streams(world))
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.cause == 16


def test_a_hold_by_the_transcoded_callee() -> None:
    world = policies(["PCMU"], ["G722"])
    ann, ben = world.phone("101"), world.phone("102")
    session = call(world, ann, ben, (PCMU, EVENTS), (G722, EVENTS))
    answering(ann, PCMU, EVENTS)
    ben.do(ben.called_session().offer, ben.sdp((G722, EVENTS), "sendonly"))
    world.run(0.5)
    assert b"a=sendonly" in ann.last(Offered).sdp
    assert offered(ann.last(Offered).sdp)[0] == "PCMU"
    ann.do(session.hangup)
    world.assert_over()


def test_a_codec_that_the_other_end_has_not_got_is_absorbed() -> None:
    """The caller changes to opus: the called, who has only G.711, is not asked."""
    world = policies(["PCMU", "opus"], ["PCMU"])
    ann, ben = world.phone("101"), world.phone("102")
    session = call(world, ann, ben, (PCMU, OPUS, EVENTS), (PCMU, EVENTS))
    bridged(world, "PCMU", "PCMU")
    ann.do(session.offer, ann.sdp((OPUS, WIDE_EVENTS)))
    world.run(0.5)
    assert offered(ann.last(AnswerReceived).sdp) == ["opus", "telephone-event"]
    assert ben.events == []
    bridged(world, "opus", "PCMU")
    # And back: what the called sends is offered again, so that it is relayed, and the called is not asked again.
    ann.do(session.offer, ann.sdp((OPUS, PCMU, EVENTS)))
    world.run(0.5)
    assert offered(ann.last(AnswerReceived).sdp)[0] == "PCMU"
    assert ben.events == []
    bridged(world, "PCMU", "PCMU")
    ann.do(session.hangup)
    world.assert_over()


def test_one_more_codec_beside_the_one_in_use_does_not_concern_the_other_end() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = call(world, ann, ben, (PCMA, EVENTS), (PCMA, EVENTS))
    ann.do(session.offer, ann.sdp((G722, PCMA, EVENTS)))
    world.run(0.5)
    assert ben.events == []
    bridged(world, "PCMA", "PCMA")
    ann.do(session.hangup)
    world.assert_over()


def test_a_codec_that_the_other_end_may_have_is_offered_to_it_and_transcoded_where_it_refuses() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    session = call(world, ann, ben, (PCMA, EVENTS), (PCMA, EVENTS))
    ben.on_event = lambda event, now: event.session.reject_offer(488, now) if isinstance(event, Offered) else None
    ann.do(session.offer, ann.sdp((G722, EVENTS)))
    world.run(0.5)
    assert ben.of(Offered)
    assert offered(ann.last(AnswerReceived).sdp)[0] == "G722"
    bridged(world, "G722", "PCMA")
    ann.do(session.hangup)
    world.assert_over()


def test_a_codec_that_can_be_neither_relayed_nor_transcoded_is_488_and_the_call_goes_on() -> None:
    world = policies(["PCMU", "G729"], ["PCMU"])
    ann, ben = world.phone("101"), world.phone("102")
    session = call(world, ann, ben, (PCMU, EVENTS), (PCMU, EVENTS))
    ann.do(session.offer, ann.sdp((G729, EVENTS)))
    world.run(0.5)
    assert ann.last(OfferFailed).status == 488
    bridged(world, "PCMU", "PCMU")
    ann.do(session.hangup)
    world.assert_over()


def test_early_media_then_an_answer_in_another_codec_that_both_have() -> None:
    """The early answer binds; one re-INVITE to the caller makes a relay of the rest of the call."""
    world = World()
    ann, desk, mobile = world.phone("101"), world.phone("102"), world.phone("102", "192.0.2.202")
    answering(ann, PCMU, EVENTS)
    session = ann.dial("102", ann.sdp((PCMA, PCMU, EVENTS)))
    world.run(0.2)
    desk.ring(183, desk.sdp((PCMA, EVENTS)))
    world.run(0.2)
    assert offered(ann.last(SessionProgress).sdp)[0] == "PCMA"
    mobile.answer(mobile.sdp((PCMU, EVENTS)))
    world.run(0.5)
    assert offered(ann.last(Offered).sdp)[0] == "PCMU"
    bridged(world, "PCMU", "PCMU")
    ann.do(session.hangup)
    world.assert_over()


def test_early_media_then_an_answer_in_a_codec_that_the_caller_lacks() -> None:
    """No re-INVITE would make a relay: the caller keeps what it was answered with, and is transcoded."""
    world = policies(["opus", "PCMA"], ["PCMA", "G722"])
    ann, desk, mobile = world.phone("101"), world.phone("102"), world.phone("102", "192.0.2.202")
    session = ann.dial("102", ann.sdp((OPUS, PCMA, EVENTS)))
    world.run(0.2)
    desk.ring(183, desk.sdp((PCMA, EVENTS)))
    world.run(0.2)
    mobile.answer(mobile.sdp((G722, EVENTS)))
    world.run(1.0)
    assert not ann.of(Offered)
    assert len(world.media.bridges) == 2
    a, b = (world.media.streams[leg] for leg in sorted(world.media.bridges))
    assert a is not None
    assert b is not None
    assert (sent(a), sent(b)) == ("PCMA", "G722")
    ann.do(session.hangup)
    world.assert_over()


def test_early_media_that_is_transcoded() -> None:
    world = policies(["PCMU"], ["G722"])
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", ann.sdp((PCMU, EVENTS)))
    world.run(0.2)
    ben.ring(183, ben.sdp((G722, EVENTS)), reliable=True)
    world.run(0.2)
    assert offered(ann.last(SessionProgress).sdp)[0] == "PCMU"
    bridged(world, "PCMU", "G722")
    ben.answer(ben.sdp((G722, EVENTS)))
    world.run(0.5)
    assert not ann.of(Offered)
    bridged(world, "PCMU", "G722")
    ann.do(session.hangup)
    world.assert_over()


def test_failover_to_a_trunk_with_other_codecs() -> None:
    """The first trunk begins with early media in PCMA and fails; the second has nothing but G722."""
    routes = [{"to": "_0.", "strip": 1, "dial": [{"trunk": "north"}, {"trunk": "south"}]}]
    trunks = {
        "north": {"codecs": ["PCMA"], "gateways": ["192.0.2.51"]},
        "south": {"codecs": ["G722"]},
    }
    world = World(settings(routes=routes, trunks=trunks, extensions={"101": {"codecs": ["PCMA", "PCMU"]}}))
    ann = world.phone("101")
    north, south = world.gateway("192.0.2.51"), world.gateway("192.0.2.60")
    session = ann.dial("0123", ann.sdp((PCMA, EVENTS)))
    world.run(0.2)
    north.ring(183, north.sdp((PCMA, EVENTS)))
    world.run(0.2)
    north.refuse(503)
    world.run(0.5)
    assert offered(south.invited().body)[0] == "G722"
    south.answer(south.sdp((G722, EVENTS)))
    world.run(0.5)
    assert ann.last(SessionAnswered)
    bridged(world, "PCMA", "G722")
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.trunk == "south"


def test_forwarding_to_a_phone_with_other_codecs() -> None:
    world = World(
        settings(
            extensions={
                "101": {"codecs": ["PCMU"]},
                "102": {"codecs": ["PCMU"], "forward": {"busy": "103"}},
                "103": {"codecs": ["opus"]},
            }
        )
    )
    ann, ben, cem = world.phone("101"), world.phone("102"), world.phone("103")
    session = ann.dial("102", ann.sdp((PCMU, EVENTS)))
    world.run(0.2)
    ben.refuse(486)
    world.run(0.2)
    cem.answer(cem.sdp((OPUS, WIDE_EVENTS)))
    world.run(0.5)
    bridged(world, "PCMU", "opus")
    a, b = streams(world)
    assert [clock for _, name, clock in a.formats if name == "telephone-event"] == [8000]
    assert [clock for _, name, clock in b.formats if name == "telephone-event"] == [48000]
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize("theirs", [PCMU, G722])
def test_an_invite_without_offer(theirs: str) -> None:
    """The caller is offered what the called took, then what can be made of it, and answers as it likes."""
    world = policies(["PCMU", "G722"], ["PCMU"])
    ann, ben = world.phone("101"), world.phone("102")

    def on_event(event: Any, now: float) -> None:
        if isinstance(event, Offered):
            event.session.answer(ann.sdp((theirs,)), now)

    ann.on_event = on_event
    session = ann.dial("102", None)
    world.run(0.2)
    ben.answer(ben.sdp((PCMU,)))
    world.run(1.0)
    assert offered(ann.last(Offered).sdp)[:2] == ["PCMU", "G722"]
    bridged(world, theirs.split()[1].split("/")[0], "PCMU")
    assert not ben.of(Offered)
    ann.do(session.hangup)
    world.assert_over()


def test_an_offerless_reinvite_of_a_transcoded_leg_gets_what_stands() -> None:
    world = policies(["PCMU"], ["G722"])
    ann, ben = world.phone("101"), world.phone("102")
    session = call(world, ann, ben, (PCMU, EVENTS), (G722, EVENTS))
    answering(ben, G722, EVENTS)
    ann.do(session.offer, None, method="INVITE")
    world.run(0.2)
    assert offered(ann.last(Offered).sdp) == ["PCMU", "telephone-event"]
    ann.do(session.answer, ann.sdp((PCMU, EVENTS), "sendonly"))
    world.run(0.5)
    assert b"a=sendonly" in ben.last(Offered).sdp
    assert offered(ben.last(Offered).sdp)[0] == "G722"
    bridged(world, "PCMU", "G722")
    ann.do(session.hangup)
    world.assert_over()


def test_a_new_address_of_a_transcoded_leg_is_answered_at_once() -> None:
    world = policies(["PCMU"], ["G722"])
    ann, ben = world.phone("101"), world.phone("102")
    session = call(world, ann, ben, (PCMU, EVENTS), (G722, EVENTS))
    ann.do(session.offer, ann.sdp((PCMU, EVENTS), media_host="198.51.100.9"))
    world.run(0.5)
    assert ann.last(AnswerReceived)
    assert ben.events == []
    assert world.media.hear(world.legs()[1]) == "198.51.100.9"
    ann.do(session.hangup)
    world.assert_over()


def test_rfc7587_the_peers_parameters_reach_the_engine() -> None:
    world = policies(["opus"], ["PCMU"])
    ann, ben = world.phone("101"), world.phone("102")
    body = ann.sdp((OPUS, WIDE_EVENTS)) + b"a=fmtp:111 maxaveragebitrate=20000;useinbandfec=1\r\na=ptime:40\r\n"
    session = ann.dial("102", body)
    world.run(0.2)
    ben.answer(ben.sdp((PCMU, EVENTS)))
    world.run(0.5)
    a, b = streams(world)
    assert dict(a.fmtps)[111] == "maxaveragebitrate=20000;useinbandfec=1"
    assert b"a=fmtp:111 useinbandfec=1\r\n" in ann.last(SessionAnswered).sdp
    assert (a.ptime, b.ptime) == (40, 20)
    assert b.fmtps == ()
    ann.do(session.hangup)
    world.assert_over()

"""Calls with SRTP keys in their descriptions: each policy against each, in the clear or not, and who sees the keys."""

from __future__ import annotations

import base64
import io
import logging
import traceback
from typing import Any

import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from media.commands import StreamSettings
from media.negotiate import AudioPolicy
from media.sdes import KEYS_IN_CLEAR
from media.sdp import parse
from sip.effects import Flow, Target
from sip.invite import InviteSession
from sip.message import Request
from sip.ua_events import AnswerReceived, Offered, OfferFailed, SessionAnswered, SessionArrived, SessionFailed
from softswitch.cli.serve import log_processors
from softswitch.sdes_policy import keyed, secure
from tests.virtual.network import Phone, World, settings

SUITE = "AES_CM_128_HMAC_SHA1_80"
KEYS = {"101": b"a" * 30, "102": b"b" * 30, "renewed": b"n" * 30}


def crypto(whose: str) -> str:
    return f"a=crypto:1 {SUITE} inline:{base64.b64encode(KEYS[whose]).decode()}\r\n"


def savp(phone: Phone, whose: str = "", **more: Any) -> bytes:
    """The phone's description with SRTP."""
    return phone.sdp(**more).replace(b"RTP/AVP", b"RTP/SAVP") + crypto(whose or phone.number).encode()


def best_effort(phone: Phone) -> bytes:
    return phone.sdp() + crypto(phone.number).encode()


def world_of(**policies: str) -> World:
    """A world where the numbers' `srtp` is as given, and keys may go in the clear."""
    extensions = {
        number.lstrip("_"): {"srtp": srtp, "srtp_over_insecure_signalling": srtp != "never"}
        for number, srtp in policies.items()
    }
    return World(settings(extensions=extensions))


def profile(body: bytes) -> str:
    return parse(body).media[0].proto


def keys_of(world: World) -> list[tuple[bytes | None, bytes | None]]:
    """(in, out) of each stream, by leg."""
    found = []
    for leg in world.legs():
        stream = world.media.streams[leg]
        assert stream is not None
        found.append(keys(stream))
    return found


def keys(stream: StreamSettings) -> tuple[bytes | None, bytes | None]:
    pair = (stream.crypto_in, stream.crypto_out)
    return pair[0] and pair[0].key, pair[1] and pair[1].key  # type: ignore[return-value]


def switch_key(body: bytes) -> bytes:
    """The first key in a description of the switch's."""
    return base64.b64decode(parse(body).media[0].crypto[0].split("inline:")[1])


def answers(phone: Phone) -> None:
    """The phone answers as it is offered: with SRTP, or without."""

    def on_event(event: Any, now: float) -> None:
        if isinstance(event, SessionArrived):
            body = savp(phone) if profile(event.request.body) == "RTP/SAVP" else phone.sdp()
            event.session.accept(body, now)
        elif isinstance(event, Offered) and event.sdp is not None:
            event.session.answer(savp(phone) if profile(event.sdp) == "RTP/SAVP" else phone.sdp(), now)

    phone.on_event = on_event


def refuses_srtp(phone: Phone, status: int = 488) -> None:
    def on_event(event: Any, now: float) -> None:
        if isinstance(event, SessionArrived):
            if profile(event.request.body) == "RTP/SAVP":
                event.session.reject(status, None, (), now)
            else:
                event.session.accept(phone.sdp(), now)

    phone.on_event = on_event


def refuses_plain(phone: Phone) -> None:
    def on_event(event: Any, now: float) -> None:
        if isinstance(event, SessionArrived):
            if profile(event.request.body) == "RTP/SAVP":
                event.session.accept(savp(phone), now)
            else:
                event.session.reject(488, None, (), now)

    phone.on_event = on_event


OFFERS = {"plain": lambda phone: phone.sdp(), "savp": savp, "best effort": best_effort}


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("callee", ["never", "optional", "required"])
@pytest.mark.parametrize("caller", ["never", "optional", "required"])
def test_each_leg_by_its_own_policy(caller: str, callee: str, offer: str) -> None:
    """Two legs are two agreements: plain on one side and SRTP on the other is a relay like any."""
    world = world_of(_101=caller, _102=callee)
    ann, ben = world.phone("101"), world.phone("102")
    answers(ben)
    taken = {
        "never": {"plain": False, "best effort": False},
        "optional": {"plain": False, "best effort": True, "savp": True},
        "required": {"savp": True},
    }[caller].get(offer)
    session = ann.dial("102", OFFERS[offer](ann))
    world.run(1.0)
    if taken is None:
        failed = ann.last(SessionFailed)
        assert failed.status == 488
        assert dict(failed.headers)["Warning"].startswith("302 192.0.2.1 ")
        world.assert_over(0)
        return
    answer = ann.last(SessionAnswered).sdp
    assert profile(answer) == ("RTP/SAVP" if offer == "savp" else "RTP/AVP")
    assert profile(ben.invited().body) == ("RTP/AVP" if callee == "never" else "RTP/SAVP")
    near, far = keys_of(world)
    assert near == ((KEYS["101"], switch_key(answer)) if taken else (None, None))
    assert far == ((None, None) if callee == "never" else (KEYS["102"], switch_key(ben.invited().body)))
    ann.do(session.hangup)
    world.assert_over()


@pytest.mark.parametrize("status", [415, 488, 606])
def test_optional_is_tried_again_without_srtp_where_it_is_refused(status: int) -> None:
    world = world_of(_102="optional")
    ann, ben = world.phone("101"), world.phone("102")
    refuses_srtp(ben, status)
    session = ann.dial("102")
    world.run(1.0)
    arrived = [event for event in ben.events if isinstance(event, SessionArrived)]
    assert [profile(event.request.body) for event in arrived] == ["RTP/SAVP", "RTP/AVP"]
    assert ann.last(SessionAnswered)
    assert keys_of(world) == [(None, None), (None, None)]
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert [leg.endpoint for leg in record.legs] == ["101", "102"]


@pytest.mark.parametrize("status", [486, 603, 480])
def test_other_refusals_are_no_reason_to_try_again(status: int) -> None:
    world = world_of(_102="optional")
    ann, ben = world.phone("101"), world.phone("102")
    refuses_srtp(ben, status)
    ann.dial("102")
    world.run(1.0)
    assert len(ben.got("INVITE")) == 1
    assert ann.last(SessionFailed)
    world.assert_over()


def test_required_is_not_tried_again() -> None:
    world = world_of(_102="required")
    ann, ben = world.phone("101"), world.phone("102")
    refuses_srtp(ben)
    ann.dial("102")
    world.run(1.0)
    assert len(ben.got("INVITE")) == 1
    assert ann.last(SessionFailed).status == 488
    world.assert_over()


def test_a_caller_that_gives_up_cancels_the_second_try() -> None:
    world = world_of(_102="optional")
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102")
    world.run(0.2)
    ben.refuse(488)
    world.run(0.2)
    ben.ring()
    world.run(0.2)
    assert profile(ben.invited().body) == "RTP/AVP"
    ann.do(session.cancel)
    world.run(1.0)
    assert len(ben.got("CANCEL")) == 1
    world.assert_over()


def test_a_phone_that_demands_srtp_is_called_with_it() -> None:
    world = world_of(_102="optional")
    ann, ben = world.phone("101"), world.phone("102")
    refuses_plain(ben)
    session = ann.dial("102")
    world.run(1.0)
    assert keys_of(world)[1][0] == KEYS["102"]
    ann.do(session.hangup)
    world.assert_over()


def test_an_answer_without_keys_to_an_offer_with_keys_ends_the_call() -> None:
    world = world_of(_102="required")
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(0.2)
    ben.do(ben.called().accept, ben.sdp().replace(b"RTP/AVP", b"RTP/SAVP"))
    world.run(1.0)
    assert ann.last(SessionFailed).status == 488
    world.assert_over()


def test_a_caller_without_an_offer_is_offered_what_its_policy_says() -> None:
    """In a 200 there is no second try: `optional` is offered plain RTP."""
    for policy, expected in (("optional", "RTP/AVP"), ("required", "RTP/SAVP")):
        world = world_of(_101=policy)
        ann, ben = world.phone("101"), world.phone("102")
        answers(ben)
        session = ann.dial("102", None)
        world.run(0.5)
        assert profile(ann.last(Offered).sdp) == expected
        ann.do(session.answer, savp(ann) if policy == "required" else ann.sdp())
        world.run(0.5)
        assert (keys_of(world)[0][0] is not None) == (policy == "required")
        ann.do(session.hangup)
        world.assert_over()


def talking() -> tuple[World, Phone, Phone, InviteSession]:
    world = world_of(_101="required", _102="required")
    ann, ben = world.phone("101"), world.phone("102")
    answers(ben)
    session = ann.dial("102", savp(ann))
    world.run(1.0)
    return world, ann, ben, session


def test_hold_and_a_new_address_keep_the_keys_of_both_legs() -> None:
    world, ann, ben, session = talking()
    before = keys_of(world)
    ann.do(session.offer, savp(ann, direction="sendonly"))
    world.run(0.5)
    assert profile(ben.last(Offered).sdp) == "RTP/SAVP"
    assert switch_key(ben.last(Offered).sdp) == before[1][1]
    assert switch_key(ann.last(AnswerReceived).sdp) == before[0][1]
    ann.do(session.offer, savp(ann, direction="sendrecv", media_host="192.0.2.200"))
    world.run(0.5)
    stream = world.media.streams[world.legs()[0]]
    assert stream is not None
    assert stream.remote.host == "192.0.2.200"
    assert keys_of(world) == before
    ann.do(session.hangup)
    world.assert_over()


def test_rfc4568_7_1_4_a_new_key_of_the_peer_is_taken_and_stays_on_its_leg() -> None:
    world, ann, ben, session = talking()
    before = keys_of(world)
    offers = len(ben.of(Offered))
    ann.do(session.offer, savp(ann, "renewed"))
    world.run(0.5)
    assert keys_of(world) == [(KEYS["renewed"], before[0][1]), before[1]]
    assert len(ben.of(Offered)) == offers
    ann.do(session.hangup)
    world.assert_over()


def test_a_secure_call_does_not_go_on_in_the_clear() -> None:
    """Not for an optional policy either: what began secure stays so."""
    world = world_of(_101="optional")
    ann, ben = world.phone("101"), world.phone("102")
    answers(ben)
    session = ann.dial("102", savp(ann))
    world.run(1.0)
    before = keys_of(world)
    ann.do(session.offer, ann.sdp())
    world.run(0.5)
    assert ann.last(OfferFailed).status == 488
    assert keys_of(world) == before
    ann.do(session.offer, savp(ann))
    world.run(0.5)
    assert ann.last(AnswerReceived)
    ann.do(session.hangup)
    world.assert_over()


# --- signalling in the clear ----------------------------------------------------------------------------------


def cautious(srtp: str) -> World:
    """Phone 102 may have SRTP, but there is no TLS, and nothing allows keys in the clear."""
    return World(settings(extensions={"102": {"srtp": srtp}}))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_threats_29_keys_are_not_taken_over_udp_and_tcp(transport: str) -> None:
    world = cautious("optional")
    world.phone("101")
    ben = world.phone("102", transport=transport)
    ben.dial("101", savp(ben))
    world.run(0.5)
    failed = ben.last(SessionFailed)
    assert failed.status == 488
    assert dict(failed.headers)["Warning"] == f'399 192.0.2.1 "{KEYS_IN_CLEAR}"'
    assert (world.runtime.calls, world.media.opened) == ({}, 0)


def test_threats_29_required_refuses_plain_calls_and_those_without_an_offer_too() -> None:
    world = cautious("required")
    ben = world.phone("102")
    for offer in (ben.sdp(), savp(ben), None):
        ben.dial("101", offer)
        world.run(0.5)
        assert ben.last(SessionFailed).status == 488
        assert KEYS_IN_CLEAR in dict(ben.last(SessionFailed).headers)["Warning"]
    world.assert_over(0)


def test_threats_29_required_is_not_called_and_optional_is_called_without_keys() -> None:
    world = cautious("required")
    ann, ben = world.phone("101"), world.phone("102")
    with capture_logs() as lines:
        ann.dial("102")
        world.run(0.5)
    assert ann.last(SessionFailed).status == 488
    assert dict(ann.last(SessionFailed).headers)["Warning"] == f'399 192.0.2.1 "{KEYS_IN_CLEAR}"'
    [told] = [line for line in lines if line["event"] == "call refused"]
    assert (told["extension"], told["why"]) == ("101", KEYS_IN_CLEAR)
    assert ben.got("INVITE") == []
    assert world.runtime.counters["legs failed: signalling in the clear"] == 1
    world.assert_over()
    world = cautious("optional")
    ann, ben = world.phone("101"), world.phone("102")
    answers(ben)
    session = ann.dial("102")
    world.run(0.5)
    assert profile(ben.invited().body) == "RTP/AVP"
    assert parse(ben.invited().body).media[0].crypto == ()
    ann.do(session.hangup)
    world.assert_over()


def test_threats_29_a_sips_request_over_udp_is_refused() -> None:
    world = World()
    ann = world.phone("101")
    request = Request(
        "INVITE", "sips:102@192.0.2.1", [("From", "<sip:101@192.0.2.1>"), ("To", "<sips:102@192.0.2.1>")], ann.sdp()
    )
    ann.ua.invite(request, world.now, Target("udp", "192.0.2.1", 5060), "101", None, None)
    world.link.settle()
    world.run(0.5)
    assert ann.last(SessionFailed).status == 416
    world.assert_over(0)


def test_threats_29_a_sips_contact_is_not_called_without_tls() -> None:
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    known = [
        msgspec.structs.replace(each, uri=each.uri.replace("sip:", "sips:", 1))
        for each in world.switch.registrations.targets("102", world.now)
    ]

    class Registered:
        def targets(self, number: str, now: float) -> Any:
            return known

    world.switch.book._targets._registrations = Registered()  # type: ignore[assignment]
    ann.dial("102")
    world.run(0.5)
    assert ben.got("INVITE") == []
    assert ann.last(SessionFailed).status == 488
    world.assert_over()


def test_keys_may_go_where_tls_goes() -> None:
    policy = AudioPolicy(srtp="optional")
    local = ("192.0.2.1", 5061)
    assert secure(Flow("tls", local, ("192.0.2.9", 5061), 7))
    assert secure((Target("tls", "192.0.2.9", 5061),))
    for way in (None, (), Target("tcp", "192.0.2.9", 5060), Flow("udp", local, ("192.0.2.9", 5060), 0)):
        assert not secure(way)
        assert keyed(policy, way) is policy
    assert not secure((Target("tls", "192.0.2.9", 5061), Target("udp", "192.0.2.9", 5060)))
    assert keyed(policy, Target("tls", "192.0.2.9", 5061)).sdes


# --- who sees the keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [False, True])
def test_threats_29_no_log_status_or_traceback_shows_a_key(as_json: bool) -> None:
    """Everything that a call with SRTP, and calls with SRTP that fail, write at level debug; the status; the record."""
    said = io.StringIO()
    before = structlog.get_config()
    structlog.configure(
        processors=log_processors(as_json),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(said),
        cache_logger_on_first_use=False,
    )
    try:
        world, ann, _, session = talking()
        secrets = {key for pair in keys_of(world) for key in pair if key is not None}
        assert len(secrets) == 4
        ann.do(session.offer, ann.sdp())
        world.run(0.5)
        said.write(repr(world.runtime.legs) + repr(world.media.streams) + repr(list(world.runtime.calls.values())))
        for leg in world.runtime.legs.values():
            said.write(repr(leg.media.agreed) + repr(leg.media._offered) + repr(leg.media._pending))
        world.switch.fault = lambda event, error: structlog.get_logger("test").error(
            "internal error", event_kind=type(event).__name__, exc_info=error
        )
        broken = world.runtime._execute

        def breaks(*args: Any) -> None:
            broken(*args)
            raise RuntimeError(f"broken on purpose: {args[1]} {args[0].call.contact}")

        world.runtime._execute = breaks  # type: ignore[method-assign]
        ann.do(session.offer, savp(ann, direction="sendonly"))
        world.run(0.5)
        world.runtime._execute = broken  # type: ignore[method-assign]
        said.write("".join(traceback.format_exception(None, ValueError(world.media.streams), None)))
        ann.do(session.hangup)
        world.run(40.0)
        said.write(repr(world.records))
    finally:
        structlog.configure(**before)
    text = said.getvalue()
    assert "broken on purpose" in text
    assert SUITE in text
    for secret in secrets:
        for form in (base64.b64encode(secret).decode(), secret.hex(), repr(secret)[2:-1]):
            assert form not in text
    assert "inline:" not in text

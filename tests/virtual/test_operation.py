"""Limits, shortage, drain, reload, and thousands of calls that come to nothing."""

from __future__ import annotations

from typing import Any

import pytest

from sip.ua_events import SessionAnswered, SessionEnded, SessionFailed
from softswitch.causes import Cause
from tests.virtual.network import World, settings


def test_ports_exhausted_is_503_before_answering() -> None:
    world = World(ports=2)
    ann, ben, cat = world.phone("101"), world.phone("102"), world.phone("103")
    session = world.establish(ann, ben)
    cat.dial("101")
    world.run(0.5)
    failed = cat.last(SessionFailed)
    assert failed.status == 503
    assert dict(failed.headers)["Retry-After"]
    assert not cat.of(SessionAnswered)
    ann.do(session.hangup)
    world.assert_over(1)


def test_a_port_for_one_leg_only_is_503_too_and_leaves_nothing() -> None:
    world = World(ports=1)
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(0.5)
    assert ann.last(SessionFailed).status == 503
    assert not ben.got("INVITE")
    world.assert_over()


@pytest.mark.parametrize("ending", ["busy", "cancel", "answered", "callee", "no answer", "redirect", "dead"])
def test_a_call_limit_is_free_again_after_every_ending(ending: str) -> None:
    world = World(
        settings(
            extensions={"101": {"call_limit": 1}, "102": {"call_limit": 1, "ring_timeout": 5}},
        )
    )
    ann, ben, cat = world.phone("101"), world.phone("102"), world.phone("103")
    for _ in range(3):
        session = ann.dial("102")
        world.run(0.5)
        assert world.switch.limits.held("extension:101") == world.switch.limits.held("extension:102") == 1
        match ending:
            case "busy":
                ben.refuse(486)
            case "cancel":
                ann.do(session.cancel)
            case "answered" | "callee":
                ben.answer()
                world.run(0.5)
                other = cat.dial("102")
                world.run(0.5)
                assert cat.last(SessionFailed).status == 486
                assert other.over
                if ending == "callee":
                    ben.do(ben.called().hangup)
                else:
                    ann.do(session.hangup)
            case "no answer":
                world.run(5.0)
            case "redirect":
                ben.refuse(302, (("Contact", "<sip:199@192.0.2.1>"),))
            case "dead":
                del world.link.nodes[ben.host]
                world.run(40.0)
                world.link.nodes[ben.host] = ben
        world.run(40.0)
        assert len(world.switch.limits) == 0
    world.assert_over(len(world.records), after=80.0)


def test_drain_refuses_new_calls_and_hangs_up_at_the_deadline() -> None:
    world = World()
    ann, ben, cat = world.phone("101"), world.phone("102"), world.phone("103")
    world.establish(ann, ben)
    ringing = cat.dial("104")
    del ringing
    world.switch.drain(world.now)
    world.run(0.5)
    dan = world.gateway("192.0.2.60")
    dan.dial("102")
    world.run(0.5)
    failed = dan.last(SessionFailed)
    assert failed.status == 503
    assert int(dict(failed.headers)["Retry-After"]) > 0
    assert not ann.of(SessionEnded)
    world.runtime.hang_up_all(Cause.NETWORK_OUT_OF_ORDER, world.now, "switch shutting down")
    world.link.settle()
    world.run(0.5)
    assert ann.last(SessionEnded).cause == ben.last(SessionEnded).cause == "bye"
    assert ann.last(SessionEnded).reason.startswith("Q.850;cause=38")
    assert not world.switch.saying_goodbye()
    world.assert_over(len(world.records))


def test_drain_in_every_state_of_a_call() -> None:
    world = World(settings(routes=[{"to": "200", "dial": ["102", "103"]}]))
    ann, ben, cat, dan = (world.phone(number) for number in ("101", "102", "103", "104"))
    ann.dial("200")  # ringing at two
    world.run(0.3)
    ben.ring(183, ben.sdp(), reliable=True)
    dan.dial("*43")  # echo
    late = world.gateway("192.0.2.60")
    late.dial("103", offer=None)  # waits for the answer to our offer
    world.run(0.3)
    cat.answer()
    world.run(0.1)
    world.runtime.hang_up_all(Cause.NETWORK_OUT_OF_ORDER, world.now, "switch shutting down")
    world.link.settle()
    world.run(1.0)
    world.assert_over(3, after=80.0)


def test_reload_leaves_calls_alone_and_counts_for_new_ones() -> None:
    world = World()
    ann, ben, cat = world.phone("101"), world.phone("102"), world.phone("103")
    session = world.establish(ann, ben)
    ringing = cat.dial("0123")
    gateway = world.gateway("192.0.2.51")
    world.run(0.5)
    fresh = settings(routes=[{"to": "_1XX", "reject": "busy"}])
    trunks = dict(fresh.trunks)
    del trunks["north"]
    extensions = {number: each for number, each in fresh.extensions.items() if number != "102"}
    world.switch.configure(fresh.model_copy(update={"trunks": trunks, "extensions": extensions}), world.now)
    world.run(5.0)
    assert len(world.media.bridges) == 2
    gateway.refuse(486)
    world.run(0.5)
    assert cat.last(SessionFailed).status == 486
    cat.dial("104")
    world.run(0.5)
    assert cat.last(SessionFailed).status == 486
    assert len(world.records) == 2
    ben.do(ben.called().hangup)
    world.run(0.5)
    assert ann.of(SessionEnded)
    del session, ringing
    world.assert_over(3)


def test_calls_beyond_the_limit_of_the_switch_get_503() -> None:
    world = World(settings(sip={"limits": {"calls": 1}}))
    ann, ben, cat = world.phone("101"), world.phone("102"), world.phone("103")
    session = world.establish(ann, ben)
    cat.dial("101")
    world.run(0.5)
    assert cat.last(SessionFailed).status == 503
    assert "Retry-After" in dict(cat.last(SessionFailed).headers)
    ann.do(session.hangup)
    world.assert_over()


def test_ten_thousand_aborted_calls_leave_nothing() -> None:
    """THREATS: no row, port, timer, limit or transaction is left. Raw INVITEs and CANCELs of a trunk, a callee that
    refuses, is silent or answers, and an ACK that never comes."""
    world = World(settings(extensions={"102": {"ring_timeout": 1}}), ports=10_000)
    trunk, ben = world.gateway("192.0.2.60"), world.phone("102")
    del world.link.nodes[trunk.host]  # what goes there is not looked at
    offer = trunk.sdp().decode()
    count = [0]

    def whim(event: Any, now: float) -> None:
        if type(event).__name__ == "SessionArrived":
            count[0] += 1
            match count[0] % 4:
                case 0:
                    event.session.reject(486, None, (), now)
                case 1:
                    event.session.progress(180, None, now)
                case 2:
                    event.session.progress(183, ben.sdp(), now)
                case 3:
                    event.session.accept(ben.sdp(), now)

    ben.on_event = whim
    for number in range(10_000):
        head = (
            f"Via: SIP/2.0/UDP 192.0.2.60:5060;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:1@192.0.2.60>;tag=t{number}\r\nTo: <sip:102@192.0.2.1>\r\nCall-ID: c{number}\r\n"
        )
        invite = (
            f"INVITE sip:102@192.0.2.1 SIP/2.0\r\n{head}CSeq: 1 INVITE\r\nContact: <sip:1@192.0.2.60>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(offer)}\r\n\r\n{offer}"
        )
        world.node.inject(invite, sender=trunk.host)
        if number % 2:
            world.run(0.005 * (number % 7))
            cancel = f"CANCEL sip:102@192.0.2.1 SIP/2.0\r\n{head}CSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n"
            world.node.inject(cancel, sender=trunk.host)
        else:
            world.run(0.01)
        world.link.wire.clear()
        ben.events.clear()
        if number % 2_000 == 1_999:
            world.run(120.0)
            assert world.node.leftovers() == {}
            assert len(world.records) == number + 1
            world.records.clear()
            world.records.extend([None] * (number + 1))  # type: ignore[list-item]
            world.node.contacts.clear()
            world.link.wire.clear()
            ben.events.clear()
    assert world.media.opened >= 20_000

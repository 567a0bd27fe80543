"""THREATS 23 and 24: where calls through trunks may go, how many, how long, and on whose account."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from sip.ua_events import SessionAnswered, SessionEnded, SessionFailed
from softswitch.causes import Cause
from tests.virtual.network import SWITCH, Phone, World, settings

NORTH = "192.0.2.51"


def outcome(world: World, caller: Phone, number: str, gateway: Phone) -> int:
    """What the caller gets: 200 where the gateway was called (and answers), else the status of the refusal."""
    before = len(gateway.got("INVITE"))
    session = caller.dial(number)
    world.run(0.5)
    if len(gateway.got("INVITE")) == before:
        return int(caller.last(SessionFailed).status)
    gateway.answer()
    world.run(1.0)
    caller.do(session.hangup)
    world.run(1.0)
    return 200


@pytest.mark.parametrize(
    ("more", "number", "status"),
    [
        ({}, "0030123", 200),  # an outside line, then a national number
        ({}, "00044123", 403),
        ({}, "0+44123", 403),
        ({}, "0%2B44123", 403),
        ({}, "00-0-44123", 403),
        ({}, "0011441234", 403),
        ({}, "09001234567", 200),  # 0, then 9001234567: nobody's premium number
        ({}, "009001234567", 403),
        ({}, "0+88213123", 403),
        ({"extensions": {"101": {"may_call": "international"}}}, "00044123", 200),
        ({"extensions": {"101": {"may_call": "international"}}}, "0+88213123", 403),
        ({"extensions": {"101": {"may_call": ["international", "premium"]}}}, "0+88213123", 200),
        ({"extensions": {"102": {"may_call": ["international"]}}}, "00044123", 403),
        ({"barring": {"home": "+44"}}, "00044123", 200),
        ({"barring": {"home": "+44"}}, "0+44123", 200),
        ({"barring": {"home": "+44"}}, "0+45123", 403),
        ({"barring": {"classes": {"international": [], "premium": "_+44."}}}, "0+45123", 200),
        ({"barring": {"classes": {"night": "_0301."}}}, "0030123", 403),
        ({"barring": {"classes": {"night": "_0301."}}, "extensions": {"101": {"may_call": "night"}}}, "0030123", 200),
        ({"routes": [{"to": "_0.", "dial": {"trunk": "north"}, "strip": 1, "allow": "international"}]}, "0+441", 200),
        ({"routes": [{"to": "_0.", "dial": {"trunk": "north"}, "strip": 3}]}, "00044123", 403),
        ({"routes": [{"to": "9", "dial": {"trunk": "north", "number": "+44123"}}]}, "9", 200),
        ({"trunks": {"north": {"rewrite": {"dialled_out": [{"match": r"0(\d+)", "replace": r"+44\1"}]}}}}, "0012", 403),
        ({"trunks": {"north": {"rewrite": {"dialled_out": [{"match": r"00(\d+)", "replace": r"\1"}]}}}}, "00044", 403),
    ],
)
def test_where_an_extension_may_call(more: dict[str, Any], number: str, status: int) -> None:
    world = World(settings(**more))
    ann, gateway = world.phone("101"), world.gateway(NORTH)
    assert outcome(world, ann, number, gateway) == status
    [record] = world.assert_over()
    assert record.cause == (Cause.NORMAL_CLEARING if status == 200 else Cause.OUTGOING_CALLS_BARRED)
    assert record.status == (0 if status == 200 else 403)


def test_a_barred_call_says_why_to_caller_operator_and_record() -> None:
    world = World()
    ann, gateway = world.phone("101"), world.gateway(NORTH)
    with capture_logs() as entries:
        assert outcome(world, ann, "00044123", gateway) == 403
    [refusal] = ann.got("403 INVITE")
    assert "cause=52" in refusal.get("Reason")
    [line] = [entry for entry in entries if entry["event"] == "call barred"]
    [record] = world.assert_over()
    assert (line["extension"], line["number"], line["why"]) == ("101", "0044123", "international")
    assert line["contact"] == record.contact
    assert world.switch.toll.counters["calls barred: international"] == 1
    assert (record.status, record.cause, record.dialled) == (403, Cause.OUTGOING_CALLS_BARRED, "00044123")


def test_what_is_barred_follows_no_fallback_but_the_next_trunk() -> None:
    routes = [
        {
            "to": "_7.",
            "strip": 1,
            "dial": [{"trunk": "north"}, {"extension": "102"}],
            "on_unavailable": {"dial": "103"},
        }
    ]
    world = World(settings(routes=routes))
    ann, ben, cat, gateway = world.phone("101"), world.phone("102"), world.phone("103"), world.gateway(NORTH)
    session = ann.dial("70044123")
    world.run(0.5)
    assert not gateway.got("INVITE")
    assert ben.got("INVITE")
    ben.refuse(480)
    world.run(0.5)
    assert not cat.got("INVITE")
    assert ann.last(SessionFailed).status == 403
    assert session.id not in ann.ua.sessions
    world.assert_over()


@pytest.mark.parametrize("how", ["always", "busy", "no_answer", "unavailable", "302"])
@pytest.mark.parametrize("allowed", [True, False])
def test_a_forward_is_a_call_of_whoever_forwards(how: str, allowed: bool) -> None:
    """THREATS 24: authorised as the referrer; what the caller may call changes nothing."""
    forwarder: dict[str, Any] = {"ring_timeout": 2, "may_call": ["international"] if allowed else []}
    if how != "302":
        forwarder["forward"] = {how: "00044123"}
    caller: dict[str, Any] = {"may_call": [] if allowed else ["international"]}
    world = World(settings(extensions={"102": forwarder, "101": caller}))
    ann, gateway = world.phone("101"), world.gateway(NORTH)
    ben = world.phone("102") if how != "unavailable" else None
    ann.dial("102")
    world.run(0.5)
    if ben is not None and how == "busy":
        ben.refuse(486)
    if ben is not None and how == "302":
        ben.refuse(302, (("Contact", f"<sip:00044123@{SWITCH}>"),))
    world.run(3.0)
    assert bool(gateway.got("INVITE")) == allowed
    if allowed:
        gateway.answer()
        world.run(0.5)
        assert ann.of(SessionAnswered)
        gateway.do(gateway.called().hangup)
    else:
        assert ann.last(SessionFailed).status == 403
    world.run(1.0)
    world.assert_over()


@pytest.mark.parametrize(("may_call", "called"), [([], False), (["international"], True)])
def test_transit_from_trunk_to_trunk_needs_leave_too(may_call: list[str], called: bool) -> None:
    world = World(settings(trunks={"south": {"may_call": may_call}}))
    caller, gateway = world.gateway("192.0.2.60"), world.gateway(NORTH)
    assert outcome(world, caller, "00044123", gateway) == (200 if called else 403)
    assert outcome(world, caller, "0030123", gateway) == 200
    world.assert_over(2)


def test_attempts_a_minute_are_limited_for_extensions_and_trunks() -> None:
    world = World(settings(extensions={"101": {"calls_per_minute": 2}}, trunks={"north": {"calls_per_minute": 3}}))
    ann, ben, gateway = world.phone("101"), world.phone("102"), world.gateway(NORTH)
    assert [outcome(world, ann, "0123", gateway) for _ in range(3)] == [200, 200, 403]
    assert [outcome(world, ben, "0123", gateway) for _ in range(2)] == [200, 403]
    assert outcome(world, ben, "0112", gateway) == 200  # an emergency call
    session = world.establish(ann, ben)  # inside, nothing is counted
    ann.do(session.hangup)
    world.run(60.0)
    assert outcome(world, ann, "0123", gateway) == 200
    world.assert_over(8)


@pytest.mark.parametrize("whose", ["extension", "trunk"])
def test_minutes_used_up_end_the_call_and_refuse_the_next(whose: str) -> None:
    limit: dict[str, Any] = {"minutes_per_day": 5}
    more: dict[str, Any] = {"extensions": {"101": limit}} if whose == "extension" else {"trunks": {"north": limit}}
    world = World(settings(**more, media={"silence_hangup": "none"}))
    ann, ben, gateway = world.phone("101"), world.phone("102"), world.gateway(NORTH)
    assert outcome(world, ann, "0123", gateway) == 200
    session = ann.dial("0123")
    world.run(100.0)  # ringing costs nothing
    gateway.answer()
    world.run(290.0)
    assert session.id in ann.ua.sessions
    with capture_logs() as entries:
        world.run(20.0)
    assert session.id not in ann.ua.sessions
    assert "cause=52" in ann.got("BYE")[-1].get("Reason")
    assert gateway.of(SessionEnded)
    [line] = [entry for entry in entries if entry["event"] == "call barred"]
    assert line[whose] == ("101" if whose == "extension" else "north")
    assert outcome(world, ann, "0123", gateway) == 403
    assert outcome(world, ben, "0123", gateway) == (200 if whose == "extension" else 403)
    inside = world.establish(ann, ben)
    world.run(400.0)
    ann.do(inside.hangup)
    world.run(1.0)
    records = world.assert_over(5)
    assert records[1].cause == Cause.OUTGOING_CALLS_BARRED
    assert 297 < records[1].billsec + records[0].billsec < 301


def test_forwarded_calls_cost_the_forwarder_minutes_and_are_limited_apart() -> None:
    forwarder = {"forward": {"always": "0123"}, "minutes_per_day": 2, "call_limit": 1}
    world = World(settings(extensions={"102": forwarder}, media={"silence_hangup": "none"}))
    ann, cat, gateway = world.phone("101"), world.phone("103"), world.gateway(NORTH)
    ann.dial("102")
    world.run(0.5)
    gateway.answer()
    world.run(0.5)
    assert outcome(world, cat, "102", gateway) == 486  # a second forward at once
    world.run(125.0)
    assert ann.of(SessionEnded)
    assert outcome(world, cat, "102", gateway) == 403
    assert outcome(world, cat, "0123", gateway) == 200
    world.assert_over(4)


def test_a_reload_bars_the_next_call_and_not_the_one_that_runs() -> None:
    world = World(settings(extensions={"101": {"may_call": "international"}}))
    ann, gateway = world.phone("101"), world.gateway(NORTH)
    session = ann.dial("00044123")
    world.run(0.5)
    gateway.answer()
    world.run(0.5)
    world.switch.configure(settings(), world.now)
    assert outcome(world, ann, "00044123", gateway) == 403
    assert session.id in ann.ua.sessions
    ann.do(session.hangup)
    world.run(1.0)
    world.assert_over(2)

"""Who rings, who wins, who is told what: forking, sequences, trunks, forwards, on the whole switch."""

from __future__ import annotations

import pytest

from sip.ua_events import Cancelled, SessionAnswered, SessionArrived, SessionFailed, SessionProgress
from tests.virtual.network import PCMA, PCMU, World, sdp, settings
from tests.virtual_link import answer_by_hand

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


def test_rfc3326_the_first_answer_wins_and_the_losers_learn_that_it_was_taken_elsewhere() -> None:
    world = World()
    ann, desk, mobile = world.phone("101"), world.phone("102"), world.phone("102", "192.0.2.202")
    session = ann.dial("102")
    world.run(0.5)
    desk.ring()
    mobile.ring()
    world.run(0.5)
    mobile.answer()
    world.run(0.5)
    [cancel] = desk.got("CANCEL")
    assert cancel.get("Reason") == ELSEWHERE
    assert desk.last(Cancelled).reason == ELSEWHERE
    assert ann.last(SessionAnswered)
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert len(record.legs) == 3
    assert record.destination == "102"


def test_two_answers_that_cross_make_one_call() -> None:
    world = World()
    ann, desk, mobile = world.phone("101"), world.phone("102"), world.phone("102", "192.0.2.202")
    session = ann.dial("102")
    world.run(0.5)
    desk.answer()
    mobile.answer()
    world.run(1.0)
    assert len(desk.got("BYE")) + len(mobile.got("BYE")) == 1
    assert len(desk.got("ACK")) == len(mobile.got("ACK")) == 1
    assert len(world.media.bridges) == 2
    ann.do(session.hangup)
    world.assert_over()


def test_nobody_answers_within_the_ring_time() -> None:
    world = World(settings(extensions={"102": {"ring_timeout": 10}}))
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(0.5)
    ben.ring()
    world.run(9.0)
    assert not ben.got("CANCEL")
    world.run(1.0)
    [cancel] = ben.got("CANCEL")
    assert cancel.get("Reason") == "Q.850;cause=19"
    assert ann.last(SessionFailed).status == 480
    [record] = world.assert_over()
    assert record.cause == 19


@pytest.mark.parametrize(
    ("kind", "status"), [("busy", 486), ("no_answer", None), ("unavailable", 503), ("unavailable", "absent")]
)
def test_forwards(kind: str, status: int | str | None) -> None:
    world = World(settings(extensions={"102": {"ring_timeout": 5, "forward": {kind: "103"}}}))
    ann, cat = world.phone("101"), world.phone("103")
    if status != "absent":
        ben = world.phone("102")
    session = ann.dial("102")
    world.run(0.5)
    if isinstance(status, int):
        ben.refuse(status)
    elif status is None:
        ben.ring()
        world.run(5.0)
    world.run(0.5)
    assert ann.last(SessionProgress).status == 181
    cat.answer()
    world.run(0.5)
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.destination == "103"


def test_a_list_in_sequence_rings_one_after_another() -> None:
    team = {"to": "200", "dial": ["102", "103", "104"], "mode": "sequence", "ring_timeout": 5}
    world = World(settings(routes=[team]))
    ann, ben, cat, dan = (world.phone(number) for number in ("101", "102", "103", "104"))
    session = ann.dial("200")
    world.run(1.0)
    assert ben.kinds() == ["SessionArrived"]
    assert cat.kinds() == []
    world.run(5.0)
    assert ben.kinds() == ["SessionArrived", "Cancelled"]
    cat.refuse(486)
    world.run(0.5)
    dan.answer()
    world.run(0.5)
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.destination == "104"


def test_who_waits_in_a_sequence_may_call_meanwhile() -> None:
    """A call limit counts calls, not places in a list that may never ring."""
    team = {"to": "200", "dial": ["102", "103"], "mode": "sequence", "ring_timeout": 30}
    world = World(settings(routes=[team], extensions={"103": {"call_limit": 1}}))
    ann, _ben, cat, dan = (world.phone(number) for number in ("101", "102", "103", "104"))
    session = ann.dial("200")
    world.run(1.0)
    other = cat.dial("104")
    world.run(0.5)
    dan.answer()
    world.run(0.5)
    assert cat.last(SessionAnswered)
    cat.do(other.hangup)
    ann.do(session.hangup)
    world.assert_over(2)


@pytest.mark.parametrize("status", [500, 503, 408])
def test_the_next_gateway_is_tried(status: int) -> None:
    world = World()
    ann, first, second = world.phone("101"), world.gateway("192.0.2.51"), world.gateway("192.0.2.52")
    session = ann.dial("0123")
    world.run(0.5)
    first.refuse(status)
    world.run(0.5)
    assert second.invited().uri == "sip:123@192.0.2.52"
    second.answer()
    world.run(0.5)
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.destination == "north"
    assert [leg.status for leg in record.legs][1] == status


def test_failover_keeps_the_channel() -> None:
    world = World(settings(trunks={"north": {"channels": 1}}))
    ann, ben = world.phone("101"), world.phone("102")
    first, second = world.gateway("192.0.2.51"), world.gateway("192.0.2.52")
    session = ann.dial("0123")
    world.run(0.5)
    first.refuse(500)
    world.run(0.5)
    second.answer()
    world.run(0.5)
    assert world.switch.limits.held("trunk:north") == 1
    ben.dial("0456")
    world.run(0.5)
    assert ben.last(SessionFailed).status == 503
    ann.do(session.hangup)
    world.assert_over(2)


def test_the_same_trunk_twice_in_a_sequence_keeps_the_channel() -> None:
    twice = {
        "to": "200",
        "dial": [{"trunk": "north", "number": "1"}, {"trunk": "north", "number": "2"}],
        "mode": "sequence",
    }
    world = World(settings(routes=[twice], trunks={"north": {"channels": 1}}))
    ann, first = world.phone("101"), world.gateway("192.0.2.51")
    session = ann.dial("200")
    world.run(0.5)
    first.refuse(404)
    world.run(0.5)
    first.answer()
    world.run(0.5)
    assert world.switch.limits.held("trunk:north") == 1
    ann.do(session.hangup)
    world.assert_over()


def test_weights_and_a_rest_after_503() -> None:
    gateways = [{"host": "192.0.2.51", "weight": 3}, {"host": "192.0.2.52", "weight": 1}]
    world = World(settings(trunks={"north": {"gateways": gateways, "rest": 60}}))
    ann, first, second = world.phone("101"), world.gateway("192.0.2.51"), world.gateway("192.0.2.52")
    for gateway in (first, second):
        gateway.on_event = lambda event, now: (
            getattr(event, "request", None) and event.session.reject(486, None, (), now)
        )
    for _ in range(80):
        ann.dial("01")
        world.run(0.2)
    counts = len(first.got("INVITE")), len(second.got("INVITE"))
    assert sum(counts) == 80
    assert 48 <= counts[0] <= 72
    first.on_event = lambda event, now: getattr(event, "request", None) and event.session.reject(503, None, (), now)
    for _ in range(20):
        ann.dial("01")
        world.run(0.2)
    assert len(first.got("INVITE")) - counts[0] == 1  # it rests after the first 503
    world.assert_over(100)


def test_a_shortage_of_our_own_ports_is_not_the_gateways_fault() -> None:
    world = World(ports=1)
    ann = world.phone("101")
    world.gateway("192.0.2.51")
    ann.dial("0123")
    world.run(1.0)
    assert ann.last(SessionFailed).status == 503
    assert all(each.resting_for == 0 for each in world.switch.trunks.status(world.now)[0].gateways)
    world.assert_over()


def test_a_302_of_a_phone_is_dialled_with_its_rights() -> None:
    world = World()
    ann, ben, cat = world.phone("101"), world.phone("102"), world.phone("103")
    session = ann.dial("102")
    world.run(0.5)
    ben.refuse(302, (("Contact", "<sip:103@anywhere.example>"),))
    world.run(0.5)
    cat.answer()
    world.run(0.5)
    ann.do(session.hangup)
    [record] = world.assert_over()
    assert record.destination == "103"


@pytest.mark.parametrize(
    ("rule", "number", "followed"),
    [
        ("always", "103", True),
        ("always", "0123456", True),
        ("internal", "103", True),
        ("internal", "0123456", False),
        ("never", "103", False),
    ],
)
def test_a_302_is_followed_by_the_rule_of_its_extension(rule: str, number: str, followed: bool) -> None:
    world = World(settings(extensions={"102": {"obey_redirects": rule}}))
    ann, ben, cyd = (world.phone(each) for each in ("101", "102", "103"))
    gateway = world.gateway("192.0.2.51")
    session = ann.dial("102")
    world.run(0.3)
    ben.refuse(302, (("Contact", f"<sip:{number}@anywhere.example>"),))
    world.run(0.3)
    called = cyd if number == "103" else gateway
    assert bool(called.of(SessionArrived)) == followed
    if followed:
        ann.do(session.cancel)
    else:
        assert ann.last(SessionFailed).status == 480
    world.assert_over()


def test_rfc3261_19_1_2_escapes_in_the_contact_of_a_302_stand_for_characters() -> None:
    world = World(settings(routes=[{"to": "*77", "dial": "103"}]))
    ann, ben, cat = world.phone("101"), world.phone("102"), world.phone("103")
    ann.dial("102")
    world.run(0.5)
    ben.refuse(302, (("Contact", "<sip:%2A77@anywhere.example>"),))
    world.run(0.5)
    assert cat.kinds() == ["SessionArrived"]
    cat.refuse(486)
    world.assert_over()


def test_a_302_of_a_trunk_is_refused() -> None:
    """THREATS: a 302 from a trunk towards the PSTN is toll fraud."""
    world = World()
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    ann.dial("0123")
    world.run(0.5)
    gateway.refuse(302, (("Contact", "<sip:00900123@192.0.2.51>"),))
    world.run(0.5)
    assert ann.last(SessionFailed).status == 403
    assert len(gateway.got("INVITE")) == 1
    world.assert_over()


def test_a_302_that_crosses_the_callers_cancel_leaves_nothing() -> None:
    world = World()
    ann, ben, cat = world.phone("101"), world.phone("102"), world.phone("103")
    session = ann.dial("102")
    world.run(0.5)
    ben.ring()
    world.run(0.5)
    ann.do(session.cancel)
    ben.refuse(302, (("Contact", "<sip:103@anywhere.example>"),))
    world.run(1.0)
    assert cat.kinds() == []
    world.assert_over()


def test_a_late_302_of_a_phone_that_rang_before_does_not_take_the_call_over() -> None:
    team = {"to": "200", "dial": ["102", "103"], "mode": "sequence", "ring_timeout": 5}
    world = World(settings(routes=[team]))
    ann, ben, cat, dan = (world.phone(number) for number in ("101", "102", "103", "104"))
    session = ann.dial("200")
    world.run(0.5)
    ben.ring()
    world.run(4.49)
    ben.refuse(302, (("Contact", "<sip:104@anywhere.example>"),))
    world.link.fate = lambda seen: [0.05] if seen.what == "302 INVITE" else [0.01]
    world.run(1.0)
    cat.answer()
    world.run(1.0)
    assert len(world.media.bridges) == 2
    ann.do(session.hangup)
    del dan
    world.assert_over()


def test_rfc3261_21_6_decline_for_all() -> None:
    world = World()
    ann, desk, mobile = world.phone("101"), world.phone("102"), world.phone("102", "192.0.2.202")
    ann.dial("102")
    world.run(0.5)
    mobile.ring()
    desk.refuse(603)
    world.run(1.0)
    assert ann.last(SessionFailed).status == 603
    assert mobile.last(Cancelled)
    world.assert_over()


@pytest.mark.parametrize("status", [401, 407, 420, 421, 422, 405, 415, 416, 491, 494])
def test_a_refusal_that_speaks_of_our_own_request_is_not_passed_on(status: int) -> None:
    """401 without a challenge, 420 without Unsupported, 422 without Min-SE: RFC 3261 21.4 has them carry headers, which
    would mean our request, not the caller's."""
    world = World()
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    ann.dial("0123")
    world.run(0.5)
    gateway.refuse(status, (("WWW-Authenticate", 'Digest realm="theirs", nonce="x", qop="auth"'),))
    world.run(0.5)
    failed = ann.last(SessionFailed)
    assert failed.status in (403, 480, 488, 500, 501, 503)
    assert "WWW-Authenticate" not in dict(failed.headers)
    world.assert_over()


def test_rfc3960_early_media_then_another_phone_answers_with_another_codec() -> None:
    world = World()
    ann, desk, mobile = world.phone("101"), world.phone("102"), world.phone("102", "192.0.2.202")
    session = ann.dial("102")
    world.run(0.5)
    desk.ring(183, desk.sdp((PCMA,)))
    world.run(0.5)
    assert ann.last(SessionProgress).sdp is not None
    mobile.answer(mobile.sdp((PCMU,)))
    world.run(1.0)
    assert len(ann.got("INVITE")) == 1  # the codec of the early media binds: another one takes a new offer
    ann.do(session.answer, ann.sdp((PCMU,)))
    world.run(0.5)
    a, b = world.legs()
    assert world.media.streams[a].formats[0][1] == world.media.streams[b].formats[0][1] == "PCMU"  # type: ignore[union-attr]
    ann.do(session.hangup)
    world.assert_over()


def test_early_media_of_two_gateways_in_a_row() -> None:
    world = World()
    ann, first, second = world.phone("101"), world.gateway("192.0.2.51"), world.gateway("192.0.2.52")
    session = ann.dial("0123")
    world.run(0.5)
    first.ring(183, first.sdp())
    world.run(0.5)
    first.refuse(500)
    world.run(0.5)
    second.ring(183, second.sdp())
    world.run(0.5)
    a = world.legs()[0]
    assert world.media.hear(a) == second.host
    second.refuse(486)
    world.run(0.5)
    assert world.media.bridges == {}
    assert ann.last(SessionFailed).status == 486
    del session
    world.assert_over()


def test_180_and_183_are_kept_apart() -> None:
    world = World()
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    session = ann.dial("0123")
    world.run(0.5)
    for status in (183, 180, 180):
        gateway.ring(status)
        world.run(0.5)
    assert [event.status for event in ann.of(SessionProgress)] == [183, 180]  # type: ignore[attr-defined]
    ann.do(session.cancel)
    world.assert_over()


def test_progress_without_end_meets_a_bound() -> None:
    """A callee that changes its mind for ever can't make us queue reliable responses for ever (RFC 3262 3: one at a
    time)."""
    world = World(settings(extensions={"101": {"reliable_provisional": "required"}}))
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    world.link.lose("PRACK")
    session = ann.dial("0123")
    world.run(0.5)
    for _ in range(30):
        gateway.ring(182)
        gateway.ring(183)
        world.run(0.1)
    ann.do(session.cancel)
    world.link.fate = lambda seen: [0.01]
    world.assert_over(after=80.0)


def test_rfc3261_13_2_2_4_of_several_far_ends_with_early_media_the_one_that_answers_is_heard() -> None:
    """A gateway forks: both branches bring reliable early media, the one heard first answers without SDP."""
    world = World()
    ann, gateway = world.phone("101"), world.gateway("192.0.2.51")
    session = ann.dial("0123")
    world.run(0.5)
    [invite] = [seen for seen in world.link.seen("INVITE") if seen.receiver == gateway.host]
    del world.link.nodes[gateway.host]
    for tag, host in (("one", "192.0.2.71"), ("two", "192.0.2.72")):
        answer_by_hand(
            world.node, invite, 183, tag, sdp(host), (("Require", "100rel"), ("RSeq", "1")), f"<sip:{tag}@192.0.2.51>"
        )
    a, b = world.legs()
    assert world.media.hear(a) == "192.0.2.72"
    answer_by_hand(world.node, invite, 200, "one", contact="<sip:one@192.0.2.51>")
    world.run(0.5)
    assert world.media.hear(a) == "192.0.2.71"
    assert world.media.streams[b].silence_after == 60.0  # type: ignore[union-attr]
    ann.do(session.hangup)
    world.assert_over(after=80.0)

"""Ring groups on the whole switch: what phones are sent, and who rings."""

from __future__ import annotations

from typing import Any

from sip.ua_events import SessionAnswered, SessionFailed
from tests.virtual.network import World, settings


def world(**group: Any) -> World:
    routes = [{"to": "600", "ring_group": "sales"}]
    return World(settings(routes=routes, ring_groups={"sales": {"members": ["102", "103"], **group}}))


def test_all_ring_with_their_ring_and_the_prefix_and_one_has_the_call() -> None:
    net = world(cid_prefix="Sales: ", alert_info="<http://localhost>;info=sales")
    ann, ben, cid = net.phone("101"), net.phone("102"), net.phone("103")
    session = ann.dial("600")
    net.run(0.5)
    for phone in (ben, cid):
        invite = phone.invited()
        assert invite.get("Alert-Info") == "<http://localhost>;info=sales"
        assert invite.from_.display == "Sales: Phone 101"
        assert invite.from_.uri.user == "101"
    cid.answer()
    net.run(0.5)
    assert ben.got("CANCEL")
    assert ann.last(SessionAnswered)
    ann.do(session.hangup)
    net.assert_over()


def test_the_prefix_stands_before_the_number_where_there_is_no_name() -> None:
    net = world(cid_prefix="Sales: ")
    ben, south = net.phone("102"), net.gateway("192.0.2.60")
    south.dial("600", caller="<sip:030123@192.0.2.60>")
    net.run(0.5)
    assert ben.invited().from_.display == "Sales: 030123"


def test_a_caller_who_withholds_his_number_is_not_given_away_by_the_prefix() -> None:
    net = world(cid_prefix="Sales: ")
    ben, ann = net.phone("102"), net.phone("101")
    ann.dial("600", headers=(("Privacy", "id"),))
    net.run(0.5)
    assert "101" not in str(ben.invited().from_)


def test_one_after_another_each_his_time_and_then_what_follows() -> None:
    net = world(strategy="sequential", ring_time=10, on_no_answer={"dial": "104"})
    ann, ben, cid, dan = (net.phone(number) for number in ("101", "102", "103", "104"))
    ann.dial("600")
    net.run(1.0)
    assert (len(ben.got("INVITE")), len(cid.got("INVITE"))) == (1, 0)
    net.run(10.0)
    assert (len(ben.got("CANCEL")), len(cid.got("INVITE"))) == (1, 1)
    net.run(10.0)
    assert len(cid.got("CANCEL")) == 1
    dan.refuse(486)
    net.run(0.5)
    assert ann.last(SessionFailed).status == 486
    net.assert_over()


def test_whoever_is_in_a_call_is_passed_over_by_a_group_alone() -> None:
    net = world(skip_busy=True)
    ann, ben, cid, dan = (net.phone(number) for number in ("101", "102", "103", "104"))
    ann.dial("102")
    net.run(0.5)
    ben.answer()
    net.run(0.5)
    dan.dial("600")
    net.run(0.5)
    assert (len(ben.got("INVITE")), len(cid.got("INVITE"))) == (1, 1)
    net.phone("101", "192.0.2.201").dial("102")
    net.run(0.5)
    assert len(ben.got("INVITE")) == 2

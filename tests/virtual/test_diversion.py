"""Who has sent a call on, on the wire and in call records (RFC 5806, RFC 7044), on the whole switch."""

from __future__ import annotations

from typing import Any

import pytest

from sip.ua_events import SessionFailed
from softswitch.call_hunting import MAX_DIVERSIONS
from tests.virtual.network import Phone, World, settings


def world(forward: dict[str, str] | None = None, **trunk: Any) -> tuple[World, Phone]:
    """102 sends its calls on to 0171 by the trunk `north`."""
    extensions = {"102": {"forward": forward or {}, "caller_id": {"number": "030100102"}}}
    net = World(settings(extensions=extensions, trunks={"north": trunk, "south": {"caller_id": {"trusted": True}}}))
    return net, net.gateway("192.0.2.51")


def sent(gateway: Phone, name: str = "Diversion") -> list[str]:
    return [str(value) for value in gateway.invited().values(name)]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("always", "unconditional"),
        ("busy", "user-busy"),
        ("no_answer", "no-answer"),
        ("unavailable", "unavailable"),
        ("302", "deflection"),
    ],
)
def test_a_forwarded_call_says_who_and_why(kind: str, reason: str) -> None:
    net, north = world({} if kind == "302" else {kind: "00171"})
    ann = net.phone("101")
    ben = net.phone("102") if kind != "unavailable" else None
    session = ann.dial("102")
    net.run(0.5)
    if ben is not None and kind == "busy":
        ben.refuse(486)
    elif ben is not None and kind == "302":
        ben.refuse(302, (("Contact", "<sip:00171@192.0.2.1>"),))
    net.run(35.0 if kind == "no_answer" else 0.5)
    expected = f'"Phone 102" <sip:030100102@192.0.2.51>;reason={reason};counter=1;privacy=off;screen=yes'
    assert sent(north) == [expected]
    assert north.invited().from_.uri.user == "101"
    ann.do(session.hangup)
    [record] = net.assert_over()
    assert record.diverted == f"102 {reason}"


@pytest.mark.parametrize("style", ["none", "history-info", "both"])
def test_each_trunk_is_told_as_it_wants(style: str) -> None:
    net, north = world({"always": "00171"}, diversion=style)
    ann = net.phone("101")
    session = ann.dial("102")
    net.run(0.5)
    assert bool(sent(north)) == (style == "both")
    history = sent(north, "History-Info")
    if style == "none":
        assert history == []
    else:
        assert history == [
            '"Phone 102" <sip:030100102@192.0.2.51?Reason=SIP%3Bcause%3D302>;index=1',
            "<sip:0171@192.0.2.51>;index=1.1;mp=1",
        ]
    ann.do(session.hangup)
    net.assert_over()


def test_a_number_that_may_not_be_shown_is_not_and_a_call_of_its_own_says_nothing() -> None:
    net, north = world({"always": "00171"}, caller_id={"allowed": "03099.*", "default_number": "0309900"})
    ann = net.phone("101")
    session = ann.dial("102")
    net.run(0.5)
    assert sent(north) == ["<sip:0309900@192.0.2.51>;reason=unconditional;counter=1;privacy=off;screen=yes"]
    ann.do(session.hangup)
    net.run(0.5)
    session = ann.dial("00171")
    net.run(0.5)
    assert sent(north) == []
    ann.do(session.hangup)
    net.assert_over(2)


def test_what_a_trusted_trunk_says_goes_on_and_into_the_record() -> None:
    net, north = world({"always": "00171"})
    south = net.gateway("192.0.2.60")
    before = ("Diversion", '"Tom" <sip:04055@carrier.example>;reason=no-answer')
    hidden = ("Diversion", "<sip:04066@carrier.example>;reason=user-busy;privacy=full")
    session = south.dial("102", headers=(before, hidden), caller="<sip:0891@carrier.example>")
    net.run(0.5)
    own, first, second = sent(north)
    assert own.startswith('"Phone 102" <sip:030100102@192.0.2.51>;reason=unconditional')
    assert first.startswith('"Tom" <sip:04055@192.0.2.51>;reason=no-answer')
    assert second.startswith("<sip:anonymous@anonymous.invalid>;reason=user-busy;counter=1;privacy=full")
    south.do(session.hangup)
    [record] = net.assert_over()
    assert record.diverted == "102 unconditional, 04055 no-answer, 04066 user-busy"


def test_phones_are_told_where_they_want_it_and_a_stranger_is_not_believed() -> None:
    net = World(
        settings(
            extensions={"103": {"diversion": "diversion"}, "102": {"forward": {"always": "103"}}},
            trunks={"south": {"caller_id": {"trusted": False}}},
        )
    )
    cid, dan, south = net.phone("103"), net.phone("104"), net.gateway("192.0.2.60")
    before = (("Diversion", "<sip:04055@carrier.example>;reason=no-answer"),)
    session = south.dial("102", headers=before)
    net.run(0.5)
    assert sent(cid) == ['"Phone 102" <sip:102@192.0.2.1>;reason=unconditional;counter=1;privacy=off;screen=yes']
    south.do(session.hangup)
    net.run(0.5)
    session = south.dial("104", headers=before)
    net.run(0.5)
    assert sent(dan) == []
    south.do(session.hangup)
    assert [record.diverted for record in net.assert_over(2)] == ["102 unconditional", ""]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_call_that_goes_in_a_circle_between_switches_gets_482(trusted: bool) -> None:
    net = World(settings(trunks={"south": {"caller_id": {"trusted": trusted}}}))
    ben, south = net.phone("102"), net.gateway("192.0.2.60")
    for count, status in ((MAX_DIVERSIONS - 1, 0), (MAX_DIVERSIONS, 482)):
        header = ("Diversion", f"<sip:04055@carrier.example>;reason=unconditional;counter={count}")
        session = south.dial("102", headers=(header,))
        net.run(0.5)
        if status:
            assert south.last(SessionFailed).status == status
        else:
            assert ben.got("INVITE")
            south.do(session.hangup)
    net.assert_over(2)


def test_a_find_me_number_is_told_whose_list_it_is_on() -> None:
    net = World(settings(extensions={"102": {"find_me": ["00171"]}}))
    ann, ben, north = net.phone("101"), net.phone("102"), net.gateway("192.0.2.51")
    session = ann.dial("102")
    net.run(0.5)
    assert sent(ben) == []
    assert sent(north) == ['"Phone 102" <sip:102@192.0.2.51>;reason=follow-me;counter=1;privacy=off;screen=yes']
    ann.do(session.hangup)
    net.assert_over()


def test_a_listed_header_is_not_written_twice() -> None:
    net = World(
        settings(
            extensions={"102": {"forward": {"always": "00171"}}},
            trunks={"south": {"caller_id": {"trusted": True}}},
            sip={"pass_headers": ["Diversion"], "qualify": {"interval": "none"}},
        )
    )
    north, south = net.gateway("192.0.2.51"), net.gateway("192.0.2.60")
    session = south.dial("102", headers=(("Diversion", "<sip:04055@carrier.example>;reason=no-answer"),))
    net.run(0.5)
    assert len(sent(north)) == 2
    south.do(session.hangup)
    net.assert_over()

"""Who is told that a call is a transfer (RFC 3892), trunks that are asked to do one themselves (RFC 3515), and calls
that are begun by a REFER outside any call, on the whole switch."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Music, Tone
from sip.digest import Credentials
from sip.effects import RequestReceived
from sip.event_headers import read_sipfrag
from sip.message import Request, response_to
from sip.notifier import Stage
from sip.ua import UaSettings
from sip.ua_events import ReferAnswered, ReferProgress, ReferReceived, RequestAnswered, SessionArrived
from softswitch.store.records import CdrRecord
from tests.virtual.network import PASSWORD, Phone, World, settings

AGENT = UaSettings(refer=True)


def referred_by(phone: Phone) -> list[str]:
    return [str(value) for value in phone.invited().values("Referred-By")]


# ---- Referred-By ----------------------------------------------------------------------------------------


def in_a_call(**configured: Any) -> tuple[World, Phone, Phone]:
    """101 has called 102; both are telephones that may send REFER."""
    world = World(settings(**configured))
    ann, ben = world.phone("101", agent=AGENT), world.phone("102", agent=AGENT)
    world.establish(ann, ben)
    return world, ann, ben


@pytest.mark.parametrize("by", ["caller", "called"])
def test_rfc3892_a_telephone_is_told_who_has_sent_the_caller(by: str) -> None:
    """Whatever the transferor's telephone says of itself: another's number would be believed."""
    world, ann, ben = in_a_call()
    assert referred_by(ben) == []  # no transfer
    cyd = world.phone("103")
    transferor = ann if by == "caller" else ben
    claim = '"The director" <sip:100@192.0.2.1>'
    transferor.do(transferor.called_session().refer, "<sip:103@192.0.2.1>", claim)
    world.run(0.3)
    assert referred_by(cyd) == [f"<sip:{transferor.number}@192.0.2.1>"]
    cyd.answer()
    world.run(0.5)
    cyd.do(cyd.called_session().hangup)
    world.assert_over()


@pytest.mark.parametrize("told", [True, False])
def test_a_trunk_is_told_where_it_is_set_so(told: bool) -> None:
    """The number is the one that the trunk is shown of the extension."""
    world, _, ben = in_a_call(
        trunks={"north": {"referred_by": told}}, extensions={"102": {"caller_id": {"number": "030100102"}}}
    )
    north = world.gateway("192.0.2.51")
    ben.do(ben.called_session().refer, "<sip:00171@192.0.2.1>", "<sip:100@192.0.2.1>")
    world.run(0.3)
    assert referred_by(north) == (["<sip:030100102@192.0.2.51>"] if told else [])
    north.answer()
    world.run(0.5)
    north.do(north.called_session().hangup)
    world.assert_over()


def test_whom_the_transferor_has_not_asked_for_is_told_nothing() -> None:
    """Its own telephone, which rings again, and the fallback."""
    world, ann, ben = in_a_call(transfers={"fallback": "104"})
    dan = world.phone("104")
    ben.do(ben.called_session().refer, "<sip:103@192.0.2.1>", None)
    world.run(0.3)
    ben.do(ben.called_session().refer, "<sip:104@192.0.2.1>", None)
    world.run(0.3)
    assert referred_by(dan) == ["<sip:102@192.0.2.1>"]
    ben.do(ben.called_session().hangup)
    dan.refuse(486)
    world.run(0.3)
    assert referred_by(ben) == []
    ben.refuse(486)
    world.run(0.3)
    assert referred_by(dan) == []
    dan.answer()
    world.run(0.5)
    ann.do(ann.called_session().hangup)
    world.assert_over()


def test_a_consultation_that_is_left_while_it_rings_is_a_transfer_from_then_on() -> None:
    """The second gateway is told what the first one, called on behalf of the consulter, was not."""
    world, ann, ben = in_a_call(trunks={"north": {"referred_by": True}})
    first, second = world.gateway("192.0.2.51"), world.gateway("192.0.2.52")
    [active] = world.runtime.calls.values()
    leg = active.call.leg_of("102")
    assert leg is not None
    world.runtime.carry_out(active, active.call.consult(leg, "00171", world.now), world.now)
    world.run(0.2)
    assert referred_by(first) == []
    world.runtime.carry_out(active, active.call.complete(leg, world.now), world.now)
    world.run(0.2)
    first.refuse(503)
    world.run(0.3)
    assert referred_by(second) == ["<sip:102@192.0.2.52>"]
    second.answer()
    world.run(0.5)
    assert ben.ua.sessions == {}
    ann.do(ann.called_session().hangup)
    world.assert_over()


# ---- REFER towards a trunk ------------------------------------------------------------------------------


class Line:
    """A customer at the trunk `south` talks to 102; numbers after 9 are called by `south`."""

    def __init__(
        self,
        calls: str = "customer",
        agent: UaSettings = AGENT,
        rule: dict[str, Any] | None = None,
        route: dict[str, Any] | None = None,
        **configured: Any,
    ) -> None:
        south = {"transfer_by_refer": rule or {}, "rewrite": {"dialled_out": [{"match": "0(.+)", "replace": r"+49\1"}]}}
        there = {"to": "_9.", "dial": {"trunk": "south"}, "strip": 1} | (route or {})
        configured.setdefault("extensions", {"102": {"may_call": ["international"]}})
        configured.setdefault("trunks", {}).setdefault("south", {}).update(south)
        self.world = World(settings(routes=[there], **configured))
        self.ben = self.world.phone("102", agent=AGENT)
        self.south = self.world.gateway("192.0.2.60", agent)
        if calls == "customer":
            self.world.establish(self.south, self.ben)
        else:
            self.world.establish(self.ben, self.south, "9030456")
        self.customer = self.south.called_session()

    def send_on(self, number: str = "90171") -> None:
        self.ben.do(self.ben.called_session().refer, f"<sip:{number}@192.0.2.1>", None)
        self.world.run(0.2)

    def asked(self) -> ReferReceived | None:
        """The REFER that the trunk was sent."""
        found = self.south.of(ReferReceived)
        return found[-1] if found else None

    def tell(self, *statuses: int) -> None:
        """The trunk accepts the REFER, and tells what comes of it."""
        asked = self.asked()
        assert asked is not None
        if asked.refer.stage is Stage.ASKED:
            self.south.do(asked.refer.accept)
        for status in statuses:
            self.world.run(0.2)
            self.south.do(asked.refer.notify, status, None)
        self.world.run(0.5)

    def told(self) -> list[int]:
        """What the transferor was told."""
        return told(self.ben)

    def legs_of(self, endpoint: str) -> list[int]:
        return [leg.id for leg in self.world.runtime.legs.values() if leg.endpoint == endpoint]

    def answers_and_goes(self) -> None:
        """The third, whom the switch calls, answers and hangs up later."""
        self.south.answer()
        self.world.run(0.5)
        assert len(self.world.media.bridges) == 2
        self.south.do(self.south.called().hangup)
        self.world.run(0.5)

    def third_is_called(self) -> bool:
        """Whether the switch calls the number itself."""
        return any(event.request.request_uri.user == "+49171" for event in self.south.of(SessionArrived))


def told(phone: Phone) -> list[int]:
    """What a telephone has been told of its REFER, the answer first."""
    answers = [event.status for event in phone.of(ReferAnswered)]
    return answers + [event.status for event in phone.of(ReferProgress) if event.status > 100]


@pytest.mark.parametrize("calls", ["customer", "extension"])
def test_a_trunk_does_the_transfer_and_nobody_is_left_here(calls: str) -> None:
    line = Line(calls)
    line.send_on()
    asked = line.asked()
    assert asked is not None
    # The number as the trunk is called for it, at its gateway; who asks is not said unless it is set so.
    assert str(asked.refer_to) == "<sip:+49171@192.0.2.60>"
    assert asked.referred_by is None
    assert line.world.media.playing() == {leg: [Music("default")] for leg in line.legs_of("south")}
    line.tell(180, 200)
    assert line.told() == [202, 180, 200]
    assert not line.third_is_called()
    assert not line.ben.ua.sessions
    assert not line.south.ua.sessions
    [record] = line.world.assert_over()
    assert (record.ended_by, record.cause) == ("transfer", 16)
    assert line.world.runtime.counters["transfers"] == 1


def test_what_is_said_of_who_asks() -> None:
    line = Line(rule={"refer_to": "sip:{number}@sbc.example.com", "referred_by": "<sip:{extension}@{host}>"})
    line.send_on()
    asked = line.asked()
    assert asked is not None
    assert str(asked.refer_to) == "<sip:+49171@sbc.example.com>"
    assert str(asked.referred_by) == "<sip:102@192.0.2.1>"
    line.tell(200)
    line.world.assert_over()


@pytest.mark.parametrize("status", [403, 405, 481, 501, 603])
def test_a_trunk_that_will_not_leaves_it_to_the_switch(status: int) -> None:
    """But 481 says that there is no such call any more."""
    line = Line()
    line.send_on()
    asked = line.asked()
    assert asked is not None
    line.south.do(asked.refer.reject, status)
    line.world.run(0.3)
    assert line.third_is_called() == (status != 481)
    if status != 481:
        line.answers_and_goes()
        assert line.told() == [202, 200]
    line.world.assert_over()


@pytest.mark.parametrize("status", [404, 486, 503])
def test_a_trunk_that_can_not_leaves_it_to_the_switch(status: int) -> None:
    line = Line()
    line.send_on()
    line.tell(180, status)
    assert line.third_is_called()
    line.answers_and_goes()
    assert line.told() == [202, 180, 200]
    line.world.assert_over()


@pytest.mark.parametrize("accepts", [True, False])
def test_a_trunk_that_says_nothing_in_time(accepts: bool) -> None:
    """What it says later is not heard any more."""
    line = Line(rule={"timeout": "5s"})
    line.send_on()
    if accepts:
        line.tell(180)
    line.world.run(6)
    assert line.third_is_called()
    if accepts:
        line.tell(200)
    else:
        asked = line.asked()
        assert asked is not None
        line.south.do(asked.refer.reject, 603)
        line.world.run(0.3)
    line.answers_and_goes()
    assert line.told()[-1] == 200
    line.world.assert_over()


def test_a_trunk_that_never_answers_a_refer() -> None:
    """The switch calls the number, and the two talk on when the REFER is given up (Timer F, 32 s)."""
    line = Line(rule={"timeout": "5s"})
    line.send_on()
    line.world.run(6)
    assert line.third_is_called()
    line.south.answer()
    line.world.run(90)
    assert len(line.world.media.bridges) == 2
    line.south.do(line.south.called().hangup)
    line.world.run(0.5)
    assert line.told()[-1] == 200
    line.world.assert_over()


def test_a_trunk_that_takes_no_refer_is_not_asked() -> None:
    """RFC 3261 20.5: its Allow lists what it takes."""
    line = Line(agent=UaSettings(refer=False))
    line.send_on()
    assert not line.south.got("REFER")
    assert line.third_is_called()
    line.answers_and_goes()
    line.world.assert_over()


@pytest.mark.parametrize("number", ["00171", "103", "777"])
def test_only_what_the_trunk_itself_would_be_called_for(number: str) -> None:
    """Another trunk, an extension, no number at all."""
    line = Line()
    line.world.gateway("192.0.2.51")
    line.send_on(number)
    assert not line.south.got("REFER")
    line.south.do(line.customer.hangup)
    line.world.assert_over()


def test_an_extension_that_may_not_call_there_may_not_have_it_called() -> None:
    """A trunk that carries a transfer out itself is paid for it all the same."""
    line = Line(extensions={})
    line.send_on()
    assert not line.south.got("REFER")
    assert not line.third_is_called()
    assert line.told() == [202, 403]
    assert line.world.switch.toll.counters["calls barred: international"] == 1
    assert not line.customer.over
    line.south.do(line.customer.hangup)
    line.world.assert_over()


def test_a_route_that_is_recorded_keeps_its_calls() -> None:
    line = Line(route={"record": "always"})
    line.send_on()
    assert not line.south.got("REFER")
    assert line.third_is_called()
    line.answers_and_goes()
    line.world.assert_over()


@pytest.mark.parametrize("accepted", [True, False])
def test_the_customer_goes(accepted: bool) -> None:
    """After a 202 the trunk needs us no more, be it that it has told so or not; before, the customer has hung up."""
    line = Line()
    line.send_on()
    if accepted:
        line.tell()
    line.south.do(line.customer.hangup)
    line.world.run(0.5)
    assert line.told() == [202, 200 if accepted else 487]
    assert not line.ben.ua.sessions
    [record] = line.world.assert_over(after=250.0)  # the subscription, of which nothing more is heard, runs out
    assert record.ended_by == ("transfer" if accepted else "caller")


@pytest.mark.parametrize("done", [True, False])
def test_the_transferor_does_not_wait(done: bool) -> None:
    line = Line()
    line.send_on()
    line.ben.do(line.ben.called_session().hangup)
    line.world.run(0.3)
    line.tell(200 if done else 404)
    assert line.third_is_called() != done
    if not done:
        line.answers_and_goes()
    assert line.told() == [202, 200]
    line.world.assert_over()


def test_limits_are_free_and_no_minutes_are_used_after_it() -> None:
    line = Line(trunks={"south": {"minutes_per_day": 10, "channels": 1}}, calls="extension")
    line.send_on()
    line.tell(200)
    line.world.run(0.5)
    assert line.world.switch.limits.held("trunk:south") == 0
    assert len(line.world.switch.toll) == 0
    line.world.assert_over()


def test_it_falls_silent_meanwhile() -> None:
    line = Line()
    line.send_on()
    [leg] = line.legs_of("south")
    line.world.silence(leg, 60.0)
    line.world.run(0.5)
    assert line.told() == [202, 487]
    [record] = line.world.assert_over()
    assert record.ended_by == "media"


# ---- REFER outside a call: click to dial -----------------------------------------------------------------


class Client(Phone):
    """A program that dials for somebody: it never registers, sends REFER and answers NOTIFYs by hand."""

    def __init__(self, world: World) -> None:
        super().__init__(world, "192.0.2.200", "", UaSettings())

    def refer(
        self,
        target: str = "sip:102@192.0.2.1",
        by: str = "101",
        asked: str = "sip:101@192.0.2.1",
        headers: tuple[tuple[str, str], ...] = (),
        password: str = PASSWORD,
    ) -> list[int]:
        """The answer to a REFER, challenges met."""
        request = Request(
            "REFER",
            asked,
            [
                ("From", f"<sip:{by}@192.0.2.1>"),
                ("To", f"<{asked}>"),
                ("Contact", "<sip:client@192.0.2.200>"),
                ("Refer-To", f"<{target}>"),
                *headers,
            ],
        )
        self.take()
        self.ua.request(request, self.link.now, self.switch, by, Credentials(by, password))
        self.world.run(0.3)
        return [event.response.status for event in self.of(RequestAnswered)]

    def pump(self, now: float) -> bool:
        for event in list(self.stack.events):
            if isinstance(event, RequestReceived) and event.request.method == "NOTIFY":
                self.stack.events.remove(event)
                self.stack.respond(event.transaction, response_to(event.request, 200), now)
        return super().pump(now)

    def told(self) -> list[tuple[int, str]]:
        """What NOTIFYs have said, each with the state of the subscription; repetitions left out."""
        said = []
        for notify in self.got("NOTIFY"):
            fragment = read_sipfrag(notify.body)
            assert fragment is not None
            said.append((fragment[0], (notify.get("Subscription-State") or "").partition(";")[0]))
        return list(dict.fromkeys(said))


class Desk:
    """101 has a telephone and a program that dials for it; 102 and a gateway of `north` are there."""

    def __init__(self, allowed: bool = True, **configured: Any) -> None:
        extensions = configured.pop("extensions", {})
        extensions.setdefault("101", {})["click_to_dial"] = allowed
        self.world = World(settings(extensions=extensions, **configured))
        self.ann, self.ben = self.world.phone("101"), self.world.phone("102")
        self.north = self.world.gateway("192.0.2.51")
        self.client = Client(self.world)

    def nobody_is_called(self) -> bool:
        return not any(phone.of(SessionArrived) for phone in (self.ann, self.ben, self.north))

    def over(self, calls: int = 1) -> list[CdrRecord]:
        return self.world.assert_over(calls)


@pytest.mark.parametrize("asked", ["sip:101@192.0.2.1", "sip:192.0.2.1"])
def test_the_own_telephone_rings_then_the_number(asked: str) -> None:
    desk = Desk()
    assert desk.client.refer(asked=asked) == [202]
    assert desk.ann.invited().from_.uri.user == "102"  # whom it is about to talk to
    assert not desk.ben.of(SessionArrived)
    desk.ann.answer()
    desk.world.run(0.3)
    assert desk.ben.invited().from_.uri.user == "101"
    assert not desk.ben.invited().has("Referred-By")
    assert [each for [each] in desk.world.media.playing().values()] == [Music("default")]
    desk.ben.ring()
    desk.world.run(0.3)
    assert [each for [each] in desk.world.media.playing().values()] == [Tone("ringback")]
    desk.ben.answer()
    desk.world.run(0.5)
    assert len(desk.world.media.bridges) == 2
    assert not len(desk.world.runtime.referrals)
    desk.ben.do(desk.ben.called_session().hangup)
    [record] = desk.over()
    assert (record.caller_number, record.dialled, record.destination) == ("101", "102", "102")
    assert desk.world.runtime.counters["calls clicked"] == 1
    assert desk.world.runtime.counters["transfers"] == 0


def test_rfc3515_2_4_the_program_is_told() -> None:
    desk = Desk()
    assert desk.client.refer() == [202]
    assert desk.client.told() == [(100, "active")]
    desk.ann.answer()
    desk.world.run(0.3)
    desk.ben.ring()
    desk.world.run(0.3)
    assert desk.client.told()[-1] == (180, "active")
    desk.ben.answer()
    desk.world.run(0.5)
    assert desk.client.told() == [(100, "active"), (180, "active"), (200, "terminated")]
    desk.ann.do(desk.ann.called_session().hangup)
    desk.over()


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [(486, 0, 486), (480, 0, 480), (603, 0, 603), (0, 486, 486), (0, 404, 404), (0, 603, 603)],
)
def test_the_program_is_told_why_there_is_no_call(own: int, other: int, expected: int) -> None:
    desk = Desk()
    desk.client.refer()
    if own:
        desk.ann.refuse(own)
    else:
        desk.ann.answer()
        desk.world.run(0.3)
        desk.ben.refuse(other)
    desk.world.run(0.5)
    assert desk.client.told()[-1] == (expected, "terminated")
    assert not desk.ann.ua.sessions
    assert bool(desk.ben.of(SessionArrived)) == (not own)
    desk.over()


def test_the_own_telephone_hangs_up_while_the_other_rings() -> None:
    desk = Desk()
    desk.client.refer()
    desk.ann.answer()
    desk.world.run(0.3)
    desk.ben.ring()
    desk.ann.do(desk.ann.called_session().hangup)
    desk.world.run(0.5)
    assert desk.client.told()[-1] == (487, "terminated")
    assert not desk.ben.ua.sessions
    desk.over()


def test_a_number_that_leads_nowhere_calls_nobody() -> None:
    desk = Desk()
    assert desk.client.refer("sip:777@192.0.2.1") == [202]
    assert desk.client.told()[-1] == (404, "terminated")
    assert desk.client.refer("sip:777@192.0.2.1", headers=(("Refer-Sub", "false"),)) == [404]
    assert desk.nobody_is_called()
    desk.over(0)


def test_rfc4488_no_subscription_wanted() -> None:
    desk = Desk()
    assert desk.client.refer(headers=(("Refer-Sub", "false"),)) == [202]
    desk.ann.answer()
    desk.world.run(0.3)
    desk.ben.answer()
    desk.world.run(0.5)
    assert desk.client.told() == []
    assert len(desk.world.media.bridges) == 2
    desk.ann.do(desk.ann.called_session().hangup)
    desk.over()


def test_it_may_not_unless_it_is_set_so() -> None:
    desk = Desk(allowed=False)
    assert desk.client.refer() == [403]
    assert desk.client.refer(password="wrong") == [401]
    assert desk.nobody_is_called()
    desk.over(0)


def test_a_trunk_has_nobody_called() -> None:
    desk = Desk()
    south = desk.world.gateway("192.0.2.60")
    request = Request(
        "REFER",
        "sip:101@192.0.2.1",
        [("From", "<sip:x@y>"), ("To", "<sip:101@192.0.2.1>"), ("Refer-To", "<sip:102@192.0.2.1>")],
    )
    south.ua.request(request, desk.world.now, south.switch, "south")
    desk.world.run(0.3)
    assert [event.response.status for event in south.of(RequestAnswered)] == [403]
    assert desk.nobody_is_called()
    desk.over(0)


@pytest.mark.parametrize(
    ("target", "asked", "headers", "status"),
    [
        ("sip:103@192.0.2.1", "sip:102@192.0.2.1", (), 403),  # 102's telephones
        ("sip:101@192.0.2.1", "sip:101@192.0.2.1", (), 403),  # itself
        ("sip:102@192.0.2.1;method=BYE", "sip:101@192.0.2.1", (), 501),
        ("sip:102@192.0.2.1?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc", "sip:101@192.0.2.1", (), 501),
        ("sip:192.0.2.1", "sip:101@192.0.2.1", (), 501),
        ("sip:102@192.0.2.1", "sip:101@192.0.2.1", (("Target-Dialog", "a;local-tag=b;remote-tag=c"),), 403),
    ],
)
def test_what_a_program_is_refused(target: str, asked: str, headers: tuple[tuple[str, str], ...], status: int) -> None:
    desk = Desk()
    assert desk.client.refer(target, asked=asked, headers=headers) == [status]
    assert desk.nobody_is_called()
    desk.over(0)


def test_the_rights_are_those_of_the_extension() -> None:
    """An international number, which 101 may not call."""
    desk = Desk()
    desk.client.refer("sip:000491@192.0.2.1")
    desk.ann.answer()
    desk.world.run(0.5)
    assert desk.client.told()[-1] == (403, "terminated")
    assert not desk.north.of(SessionArrived)
    desk.over()


def test_forwards_and_find_me_lists_ring_nowhere_else() -> None:
    """Who clicks sits at the telephone; so does one whose calls go elsewhere."""
    desk = Desk(extensions={"101": {"forward": {"busy": "00171"}, "find_me": "102"}})
    desk.client.refer("sip:103@192.0.2.1")
    desk.world.run(1.0)
    desk.ann.refuse(486)
    desk.world.run(1.0)
    assert desk.client.told()[-1] == (486, "terminated")
    assert not desk.ben.of(SessionArrived)
    assert not desk.north.of(SessionArrived)
    desk.over()


def test_as_many_calls_as_it_may_have() -> None:
    desk = Desk(extensions={"101": {"call_limit": 1}})
    desk.world.establish(desk.ann, desk.ben)
    assert desk.client.refer("sip:103@192.0.2.1") == [202]
    assert desk.client.told()[-1] == (486, "terminated")
    desk.ann.do(desk.ann.called_session().hangup)
    desk.world.run(40.0)
    assert desk.world.node.leftovers() == {}
    assert [record.status for record in desk.world.records] == [486, 0]


def test_a_program_that_is_gone_leaves_the_call_alone() -> None:
    """Its NOTIFYs are never answered: the call goes on, and the subscription is not left."""
    desk = Desk()
    assert desk.client.refer() == [202]
    del desk.world.link.nodes[desk.client.host]
    desk.ann.answer()
    desk.world.run(0.3)
    desk.ben.answer()
    desk.world.run(40.0)
    assert len(desk.world.media.bridges) == 2
    assert not len(desk.world.runtime.referrals)
    assert not len(desk.world.node.ua.usages)
    desk.ann.do(desk.ann.called_session().hangup)
    desk.over()

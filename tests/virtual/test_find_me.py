"""Find-me lists, steps of ring groups and confirmation by a key, on the whole switch."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Detect, Digit, Play, Speech, StopPlay, Tone
from sip.ua_events import SessionAnswered, SessionEnded, SessionFailed, SessionProgress
from softswitch.features import FeatureRefused
from tests.virtual.network import Phone, World, settings

MOBILE = "0171555"
SECOND = "0172666"


class Scene:
    """101 calls 102, whose find-me numbers are called through two trunks: `mobile` 017..., `second` 0172..."""

    def __init__(self, find_me: Any, desk: bool = True, **more: Any) -> None:
        routes = [{"to": "_0172.", "dial": {"trunk": "south"}}, {"to": "_0171.", "dial": {"trunk": "north"}}]
        extensions = more.pop("extensions", {})
        extensions.setdefault("102", {})["find_me"] = find_me
        self.net = World(settings(extensions=extensions, routes=[*more.pop("routes", []), *routes], **more))
        self.ann = self.net.phone("101")
        self.desk = self.net.phone("102") if desk else None
        self.mobile = self.net.gateway("192.0.2.51")
        self.second = self.net.gateway("192.0.2.60")

    def dial(self, number: str = "102") -> None:
        self.session = self.ann.dial(number)
        self.net.run(0.5)

    def ringing(self) -> list[int]:
        return [event.status for event in self.ann.of(SessionProgress)]

    def press(self, phone: Phone, digit: str) -> None:
        """A digit of who has answered at a gateway."""
        leg = next(
            leg
            for leg, stream in self.net.media.streams.items()
            if stream is not None and stream.remote.host == phone.host
        )
        self.net.media.events.append(Digit(leg, digit, 100, "rfc4733"))
        self.net.link.settle()
        self.net.run(0.5)

    def asked(self) -> list[Play]:
        return [play for play in self.net.media.asked(Play) if isinstance(play.sources[0], Speech)]


def test_the_caller_hears_ringing_until_the_mobile_presses_1_then_both_are_joined() -> None:
    scene = Scene([MOBILE])
    scene.dial()
    assert scene.desk is not None
    assert scene.desk.got("INVITE")
    assert scene.mobile.invited().request_uri.user == MOBILE
    scene.mobile.ring(183, scene.mobile.sdp())
    scene.net.run(0.5)
    assert scene.ringing() == [180]
    assert scene.ann.last(SessionProgress).sdp is None  # nothing of what the mobile's network plays
    scene.mobile.answer()
    scene.net.run(3.0)
    assert not scene.ann.of(SessionAnswered)
    assert scene.net.media.bridges == {}
    [play] = scene.asked()
    assert "Press 1" in play.sources[0].text  # type: ignore[union-attr]
    scene.press(scene.mobile, "1")
    assert scene.ann.last(SessionAnswered)
    assert scene.desk.got("CANCEL")
    assert len(scene.net.media.bridges) == 2
    assert StopPlay(play.play) in scene.net.media.asked(StopPlay)
    assert scene.net.media.asked(Detect)[-1] == Detect(play.stream)
    scene.net.run(10.0)
    scene.ann.do(scene.session.hangup)
    [record] = scene.net.assert_over()
    assert (record.direction, record.trunk, record.destination) == ("outbound", "north", "north")
    assert 9.0 < record.billsec < 12.0


def test_a_voicemail_that_answers_does_not_swallow_the_call() -> None:
    scene = Scene([MOBILE], extensions={"102": {"forward": {"no_answer": "103"}, "ring_timeout": 30.0}})
    cid = scene.net.phone("103")
    scene.dial()
    scene.mobile.answer()
    scene.net.run(16.0)
    assert scene.mobile.got("BYE")
    assert scene.desk is not None
    assert not scene.desk.got("CANCEL")
    assert not scene.ann.of(SessionAnswered)
    scene.net.run(15.0)
    assert scene.desk.got("CANCEL")
    cid.answer()
    scene.net.run(0.5)
    assert scene.ann.last(SessionAnswered)
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()


def test_the_voicemail_may_be_all_that_is_left_and_then_nobody_has_answered() -> None:
    scene = Scene([{"number": MOBILE, "ring_time": 40.0}], desk=False)
    scene.dial()
    scene.net.run(38.0)
    scene.mobile.answer()
    scene.net.run(10.0)  # its ring time is over, the time for its key is not
    assert not scene.mobile.got("BYE")
    assert not scene.ann.of(SessionFailed)
    scene.net.run(6.0)
    assert scene.mobile.got("BYE")
    assert scene.ann.last(SessionFailed).status == 480
    [record] = scene.net.assert_over()
    assert record.answered is None
    assert record.cause == 19


def test_two_have_answered_and_the_first_key_has_the_call() -> None:
    scene = Scene([MOBILE, SECOND], desk=False)
    scene.dial()
    scene.mobile.answer()
    scene.second.answer()
    scene.net.run(2.0)
    assert len(scene.asked()) == 2
    scene.press(scene.second, "1")
    assert scene.ann.last(SessionAnswered)
    assert scene.mobile.got("BYE")
    assert not scene.second.got("BYE")
    scene.ann.do(scene.session.hangup)
    [record] = scene.net.assert_over()
    assert record.destination == "south"


def test_both_press_at_one_moment() -> None:
    scene = Scene([MOBILE, SECOND], desk=False)
    scene.dial()
    scene.mobile.answer()
    scene.second.answer()
    scene.net.run(2.0)
    for play in scene.asked():
        scene.net.media.events.append(Digit(play.stream, "1", 100, "rfc4733"))
    scene.net.link.settle()
    scene.net.run(1.0)
    assert [bool(phone.got("BYE")) for phone in (scene.mobile, scene.second)] == [False, True]
    assert len(scene.net.media.bridges) == 2
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()


def test_the_caller_hangs_up_while_one_is_asked() -> None:
    scene = Scene([MOBILE])
    scene.dial()
    scene.mobile.answer()
    scene.net.run(2.0)
    scene.ann.do(scene.session.hangup)
    scene.net.run(1.0)
    assert scene.mobile.got("BYE")
    assert scene.desk is not None
    assert scene.desk.got("CANCEL")
    scene.net.assert_over()


def test_a_wrong_key_is_passed_over_and_2_refuses() -> None:
    scene = Scene([MOBILE], desk=False)
    scene.dial()
    scene.mobile.answer()
    scene.net.run(1.0)
    scene.press(scene.mobile, "7")
    assert not scene.mobile.got("BYE")
    scene.press(scene.mobile, "2")
    assert scene.mobile.got("BYE")
    assert scene.ann.last(SessionFailed).status == 480
    scene.net.assert_over()


def test_who_hangs_up_while_asked_leaves_the_call_to_the_others() -> None:
    scene = Scene([MOBILE])
    scene.dial()
    scene.mobile.answer()
    scene.net.run(1.0)
    scene.mobile.do(scene.mobile.called().hangup)
    scene.net.run(1.0)
    assert scene.desk is not None
    scene.desk.answer()
    scene.net.run(0.5)
    assert scene.ann.last(SessionAnswered)
    scene.ann.do(scene.session.hangup)
    [record] = scene.net.assert_over()
    assert record.destination == "102"


def test_a_key_by_info_counts_too_and_a_colleague_need_not_press_any() -> None:
    scene = Scene([MOBILE, "103"], desk=False)
    cid = scene.net.phone("103")
    scene.dial()
    scene.mobile.answer()
    scene.net.run(0.5)
    cid.answer()
    scene.net.run(0.5)
    assert scene.ann.last(SessionAnswered)
    assert scene.mobile.got("BYE")
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()
    scene.dial()
    scene.mobile.answer()
    scene.net.run(0.5)
    session = scene.mobile.called()
    scene.mobile.do(session.send_info, "application/dtmf-relay", b"Signal=1\r\nDuration=100\r\n")
    scene.net.run(0.5)
    assert len(scene.ann.of(SessionAnswered)) == 2
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over(2)


def test_in_turn_and_with_a_delay() -> None:
    in_turn = {"strategy": "sequential", "numbers": [{"number": MOBILE, "ring_time": 10.0}, SECOND]}
    scene = Scene(in_turn, extensions={"102": {"ring_timeout": 20.0}})
    scene.dial()
    scene.net.run(18.0)
    assert not scene.mobile.got("INVITE")
    scene.net.run(3.0)
    assert scene.desk is not None
    assert (len(scene.desk.got("CANCEL")), len(scene.mobile.got("INVITE"))) == (1, 1)
    scene.mobile.refuse(486)
    scene.net.run(1.0)
    assert scene.second.got("INVITE")
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()
    scene = Scene([{"number": MOBILE, "delay": 10.0}])
    scene.dial()
    scene.net.run(8.0)
    assert not scene.mobile.got("INVITE")
    scene.net.run(3.0)
    assert scene.mobile.got("INVITE")
    assert scene.desk is not None
    assert not scene.desk.got("CANCEL")
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()


def test_the_feature_turns_it_off_and_on_and_do_not_disturb_keeps_it_still() -> None:
    scene = Scene({"numbers": [MOBILE], "enabled": False})
    scene.dial()
    assert not scene.mobile.got("INVITE")
    scene.ann.do(scene.session.hangup)
    scene.net.switch.set_feature("102", "find_me", "on")
    scene.dial()
    assert len(scene.mobile.got("INVITE")) == 1
    scene.ann.do(scene.session.hangup)
    scene.net.switch.set_feature("102", "dnd", "on")
    scene.dial()
    assert len(scene.mobile.got("INVITE")) == 1
    assert scene.ann.last(SessionFailed).status == 486
    with pytest.raises(FeatureRefused, match="101 has no find-me list: expected 'find_me' among its settings"):
        scene.net.switch.set_feature("101", "find_me", "on")
    scene.net.switch.set_feature("101", "find_me", "off")
    with pytest.raises(FeatureRefused, match="expected 'on' or 'off'"):
        scene.net.switch.set_feature("102", "find_me", MOBILE)
    scene.net.assert_over(3)


def test_it_is_dialled_with_the_extensions_rights_and_nobody_elses() -> None:
    abroad = "00441234567"
    routes = [{"to": "_00.", "dial": {"trunk": "north"}}]
    scene = Scene([abroad], routes=routes, extensions={"101": {"may_call": ["international"]}})
    scene.dial()
    assert not scene.mobile.got("INVITE")
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()
    scene = Scene([abroad], routes=routes, extensions={"102": {"may_call": ["international"]}})
    scene.dial()
    assert scene.mobile.got("INVITE")
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()


def test_minutes_are_the_extensions_from_the_key_on() -> None:
    scene = Scene([MOBILE], desk=False, extensions={"102": {"minutes_per_day": 60.0}})
    scene.dial()
    scene.mobile.answer()
    scene.net.run(9.0)
    assert scene.net.switch.toll.minutes_used("extension:102", scene.net.now) == 0.0
    scene.press(scene.mobile, "1")
    scene.net.run(60.0)
    assert scene.net.switch.toll.minutes_used("extension:102", scene.net.now) == pytest.approx(1.0, abs=0.05)
    scene.ann.do(scene.session.hangup)
    scene.net.run(1.0)


def test_a_member_of_a_group_rings_alone_and_a_list_leads_to_no_other() -> None:
    groups = {"sales": {"members": ["102", "103"]}}
    routes = [{"to": "600", "ring_group": "sales"}]
    find_me = {"102": {"find_me": ["103"]}, "103": {"find_me": [SECOND]}}
    scene = Scene([MOBILE], routes=routes, ring_groups=groups, extensions={"103": find_me["103"]})
    cid = scene.net.phone("103")
    scene.dial("600")
    assert cid.got("INVITE")
    assert not scene.mobile.got("INVITE")
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()
    scene = Scene(["103", "102"], extensions={"103": find_me["103"]})
    cid = scene.net.phone("103")
    scene.dial()
    assert scene.desk is not None
    assert (len(cid.got("INVITE")), len(scene.desk.got("INVITE")), len(scene.second.got("INVITE"))) == (1, 1, 0)
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()


def test_a_gateway_that_fails_gives_way_to_the_next_and_the_key_is_asked_for_there() -> None:
    scene = Scene([MOBILE], desk=False)
    other = scene.net.gateway("192.0.2.52")
    scene.dial()
    scene.mobile.refuse(503)
    scene.net.run(0.5)
    other.answer()
    scene.net.run(0.5)
    assert not scene.ann.of(SessionAnswered)
    scene.press(other, "1")
    assert scene.ann.last(SessionAnswered)
    scene.ann.do(scene.session.hangup)
    [record] = scene.net.assert_over()
    assert [leg.status for leg in record.legs if leg.direction == "out"] == [503, 0]


def test_a_number_may_be_several_places_and_leads_into_no_conference() -> None:
    routes = [{"to": "77", "dial": ["103", "104", "102"]}, {"to": "78", "answer_and_conference": "lobby"}]
    scene = Scene(["77", "78"], routes=routes)
    cid, dan = scene.net.phone("103"), scene.net.phone("104")
    scene.dial()
    assert scene.desk is not None
    assert [len(phone.got("INVITE")) for phone in (scene.desk, cid, dan)] == [1, 1, 1]
    dan.answer()
    scene.net.run(0.5)
    assert scene.ann.last(SessionAnswered)
    assert cid.got("CANCEL")
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()


def test_ringing_is_played_where_early_media_is_over() -> None:
    scene = Scene([MOBILE])
    scene.dial()
    assert scene.desk is not None
    scene.desk.ring(183, scene.desk.sdp())
    scene.mobile.answer()
    scene.net.run(1.0)
    scene.desk.refuse(486)
    scene.net.run(1.0)
    assert scene.net.media.asked(Play)[-1].sources == (Tone("ringback"),)
    scene.press(scene.mobile, "1")
    assert scene.ann.last(SessionAnswered)
    assert len(scene.net.media.bridges) == 2
    scene.ann.do(scene.session.hangup)
    scene.net.assert_over()


# ---- ring groups in steps


def group(**more: Any) -> World:
    routes = [{"to": "600", "ring_group": "sales"}]
    return World(settings(routes=routes, ring_groups={"sales": {"ring_time": 10.0, **more}}))


def test_memory_hunt_adds_one_after_another() -> None:
    net = group(members=["102", "103", "104"], strategy="memory_hunt", cid_prefix="Sales: ", alert_info="<urn:sales>")
    ann, ben, cid, dan = (net.phone(number) for number in ("101", "102", "103", "104"))
    ann.dial("600")
    counts = []
    for _ in range(3):
        net.run(9.0)
        counts.append([len(phone.got("INVITE")) - len(phone.got("CANCEL")) for phone in (ben, cid, dan)])
        net.run(1.0)
    assert counts == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    for phone in (ben, cid, dan):
        assert phone.invited().from_.display == "Sales: Phone 101"
        assert phone.invited().get("Alert-Info") == "<urn:sales>"
    net.run(1.0)
    assert [len(phone.got("CANCEL")) for phone in (ben, cid, dan)] == [1, 1, 1]
    assert ann.last(SessionFailed).status == 480
    net.assert_over()


def test_a_member_of_a_group_joins_later_and_has_to_confirm() -> None:
    later = {"trunk": "north", "number": MOBILE, "delay": 4.0, "confirm": True}
    net = group(members=["102", later])
    ann, ben, mobile = net.phone("101"), net.phone("102"), net.gateway("192.0.2.51")
    session = ann.dial("600")
    net.run(3.5)
    assert ben.got("INVITE")
    assert not mobile.got("INVITE")
    net.run(1.0)
    mobile.answer()
    net.run(1.0)
    assert not ann.of(SessionAnswered)
    net.media.events.append(Digit(net.media.asked(Play)[-1].stream, "1", 100, "inband"))
    net.link.settle()
    net.run(0.5)
    assert ann.last(SessionAnswered)
    assert ben.got("CANCEL")
    ann.do(session.hangup)
    net.run(0.5)
    assert mobile.last(SessionEnded)
    net.assert_over()

"""What a class of service says is what calls find: routes, number of calls, recording, numbers, codes, PIN."""

from __future__ import annotations

from pathlib import Path

from media.audio_commands import Play, StartRecording
from sip.ua_events import SessionAnswered, SessionFailed
from softswitch.feature_speech import sentence
from softswitch.settings.loader import load
from tests.virtual.network import PASSWORD, Phone, World
from tests.virtual.test_feature_codes import heard, use

CONFIG = f"""
sip: {{qualify: {{interval: none}}, session_timer: {{mode: accept}}}}
feature_codes: {{dnd_on: "*78", dnd_off: "*79"}}
classes:
  office: {{may_call: international, record: always}}
  lobby: {{context: guests, call_limit: 1, record: never, codes: dnd_off}}
  desk: {{pin_for: international, record: on-demand, click_to_dial: true, watch: all}}
defaults: {{extension: {{password: {PASSWORD}}}}}
extensions:
  "101": {{class: office}}
  "102": {{class: lobby}}
  "103": {{class: desk, pin: "2580"}}
  "104": {{}}
trunks: {{north: {{gateways: [192.0.2.51], options_interval: none}}}}
dialplan:
  internal: {{include: guests, routes: [{{to: "_0.", strip: 1, dial: {{trunk: north}}}}]}}
  guests: {{routes: [{{to: "_1XX", dial: "{{number}}"}}]}}
"""
ABROAD = "00033140205050"


def classes(tmp_path: Path) -> World:
    (tmp_path / "a.yaml").write_text(CONFIG)
    return World(load(tmp_path).settings)


def status(world: World, phone: Phone, number: str) -> int:
    """Of the refusal."""
    phone.dial(number)
    world.run(0.5)
    return int(phone.last(SessionFailed).status)


def test_which_routes(tmp_path: Path) -> None:
    world = classes(tmp_path)
    north, ann, ben = world.gateway("192.0.2.51"), world.phone("101"), world.phone("102")
    assert status(world, ben, "0030123") == 404
    ann.dial("0030123")
    world.run(0.5)
    assert north.got("INVITE")


def test_how_many_calls(tmp_path: Path) -> None:
    world = classes(tmp_path)
    ann, ben, dan = world.phone("101"), world.phone("102"), world.phone("104")
    world.establish(ben, dan)
    assert status(world, ann, "102") == 486
    assert status(world, ben, "101") == 486
    world.establish(ann, dan)


def test_whether_calls_are_recorded(tmp_path: Path) -> None:
    world = classes(tmp_path)
    ann, ben, cid, dan = (world.phone(number) for number in ("101", "102", "103", "104"))
    world.establish(ben, dan)
    world.establish(cid, dan)
    assert world.media.asked(StartRecording) == []
    session = world.establish(ann, dan)
    assert len(world.media.asked(StartRecording)) == 1
    ann.do(session.hangup)
    world.run(0.5)
    [contact] = [each for each, active in world.runtime.calls.items() if "103" in str(active.call.contact.legs)]
    world.runtime.record(contact, "start", world.now)
    assert len(world.media.asked(StartRecording)) == 2


def test_which_numbers(tmp_path: Path) -> None:
    world = classes(tmp_path)
    north, ann, cid, dan = world.gateway("192.0.2.51"), *(world.phone(number) for number in ("101", "103", "104"))
    ann.dial(ABROAD)
    world.run(0.5)
    assert len(north.got("INVITE")) == 1
    assert status(world, dan, ABROAD) == 403
    cid.dial(ABROAD)
    world.run(0.5)
    assert cid.last(SessionAnswered)
    assert heard(world) == (sentence("ask_pin", "en"),)
    assert len(north.got("INVITE")) == 1


def test_which_codes(tmp_path: Path) -> None:
    world = classes(tmp_path)
    ann, ben = world.phone("101"), world.phone("102")
    assert use(world, ann, "*78") == (sentence("dnd_on", "en"),)
    assert use(world, ben, "*78") == ("special-information", sentence("not_allowed", "en"))
    assert use(world, ben, "*79") == (sentence("dnd_off", "en"),)
    assert len(world.media.asked(Play)) == 3


def test_click_to_dial(tmp_path: Path) -> None:
    world = classes(tmp_path)
    assert [each for each in ("101", "102", "103", "104") if world.switch.book.may_click(each)] == ["103"]


def test_whom_they_may_watch(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG)
    assert load(tmp_path).settings.extensions["103"].watch is not None
    assert load(tmp_path).settings.extensions["102"].watch is None

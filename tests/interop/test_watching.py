"""Busy lamps and presence with telephones not of ours: SIPp watches a call, baresip a contact and its messages."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from harness.audio import Tone
from harness.baresip import Phone
from harness.capture import Capture
from harness.cases import CALLERS
from harness.ears import MUSIC, wait_hears
from harness.evidence import Traces, kinds, legs
from harness.lamps import Lamp
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import FOR_SIPP, RTP_PORTS, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

WATCHER, WATCHED = "127.0.0.63", "127.0.0.64"
ANNA, BEN = Tone(440.0, -12.0), Tone(1000.0, -18.0)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_busy_lamp_follows_a_call(tmp_path: Path, transport: str) -> None:
    """Idle, trying, early, confirmed, idle, each with the next version; Wireshark reads every document."""
    switch = Switch(tmp_path, trunks=[CALLERS])
    capture = Capture(tmp_path / "lamp.pcapng", f"port {switch.port}")
    with capture, switch:
        place = (WATCHED, free_ports(1, WATCHED))
        Sipp(tmp_path, "register_keep", place, switch.address, users=switch.users_file("102")).finish()
        lamp = Sipp(
            tmp_path,
            "watch_lamp",
            (WATCHER, free_ports(1, WATCHER)),
            switch.address,
            service="102",
            users=switch.users_file("101"),
            transport=transport,
            receive_timeout=15,
            options=("-auth_uri", f"102@{switch.address}"),
        )
        wait_for(lambda: switch.status().subscriptions, "the subscription")
        [row] = switch.status().subscriptions
        assert (row.watcher, row.package, row.resource, row.state) == ("101", "dialog", "102", "idle")
        # Two NOTIFYs within a fifth of a second would be one.
        wait_for(lambda: switch.status().subscriptions[0].expires_in < 119.5, "half a second")
        called = Sipp(tmp_path, "uas_call_slow", place, media_port=6100)
        caller = Sipp(
            tmp_path,
            "uac_call",
            (CALLERS, free_ports(1, CALLERS)),
            switch.address,
            service="102",
            options=("-d", "1000"),
        )
        for each in (caller, called, lamp):
            each.finish()
        assert not switch.status().subscriptions
    counts = capture.check(switch.port, (switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS - 1))
    assert counts["sip"] > 20
    assert capture.dialog_states(switch.port) == [
        ("0", "terminated"),
        ("1", "trying"),
        ("2", "early"),
        ("3", "confirmed"),
        ("4", "terminated"),
        ("5", "terminated"),
    ]


def test_a_softphone_sees_a_contact_and_its_messages(tmp_path: Path) -> None:
    """baresip subscribes to `presence` of its contacts and to `message-summary` of its own number."""
    switch = Switch(tmp_path, extra=FOR_SIPP)
    with (
        switch,
        Phone(
            tmp_path,
            "101",
            switch.password("101"),
            switch.address,
            ANNA,
            contacts=[f'"Ben" <sip:102@{switch.address}>;presence=p2p'],
            watches_messages=True,
        ) as anna,
    ):
        wait_for(lambda: len(switch.status().subscriptions) == 2, anna.log)
        rows = {row.package: (row.watcher, row.resource, row.state) for row in switch.status().subscriptions}
        assert rows == {
            "presence": ("101", "102", "unreachable"),
            "message-summary": ("101", "101", "0 new, 0 old"),
        }
        switch.run_here("mwi", "101", "2", "5", "--config", str(switch.config))
        wait_for(lambda: "Voice-Message: 2/5" in anna.log(), anna.log)
        with Phone(tmp_path, "102", switch.password("102"), switch.address, BEN) as ben:
            wait_for(lambda: _told(switch) == "idle", anna.log)
            anna.call("102")
            ben.wait_event("CALL_ESTABLISHED")
            wait_for(lambda: _told(switch) == "talking", anna.log)
            anna.hang_up()
            wait_for(lambda: _told(switch) == "idle", anna.log)
        anna.press("contacts")
        wait_for(lambda: "Online" in anna.log(), anna.log)


def _told(switch: Switch) -> str:
    return next(row.state for row in switch.status().subscriptions if row.package == "presence")


LOTS = "parking: {main: {slots: 701-702}}\n"
WATCHED_FLOOR = f"""
sip: {{qualify: {{interval: none}}, subscriptions: {{min: 10s}}}}
{LOTS}extensions: {{}}
conferences: {{board: {{entry: none}}}}
defaults: {{extension: {{record: always, music_on_hold: default}}}}
"""
WATCHED_ROUTES = ('{to: _70X, retrieve: "{number}"}', '{to: "800", answer_and_conference: board}')
TONES = {"101": Tone(600.0, -18.0), "102": Tone(900.0, -18.0), "103": Tone(1300.0, -18.0)}


def test_lamps_of_a_telephone_a_slot_a_room_and_a_mailbox(tmp_path: Path) -> None:
    """Ring, talk, hold, park, fetch, and a room; then each subscription ends in its way."""
    switch = Switch(tmp_path, routes_of_own=WATCHED_ROUTES, extra=WATCHED_FLOOR)
    with ExitStack() as stack:
        stack.enter_context(switch)
        anna, ben, cyd = (
            stack.enter_context(
                Phone(tmp_path, number, switch.password(number), switch.address, tone, answers=number != "102")
            )
            for number, tone in TONES.items()
        )
        lamps = {
            "anna": Lamp(tmp_path, switch, "105", "101"),
            "ben": Lamp(tmp_path, switch, "105", "102"),
            "slot": Lamp(tmp_path, switch, "105", "701"),
            "room": Lamp(tmp_path, switch, "105", "800"),
            "presence": Lamp(tmp_path, switch, "105", "102", "presence"),
            "messages": Lamp(tmp_path, switch, "105", "105", "message-summary"),
            "brief": Lamp(tmp_path, switch, "105", "102", expires=10),
        }
        wait_for(lambda: len(switch.status().subscriptions) == len(lamps), "all subscriptions")

        def shows(lamp: str, words: str) -> None:
            wait_for(lambda: lamps[lamp].words()[-1] == words, lambda: f"{words}: {lamps[lamp].words()}")

        anna.call("102")
        # Each lamp is told 0.2 s after the last time at the earliest: who answers before that has not rung for it.
        for lamp, words in (("ben", "early 101"), ("brief", "early 101"), ("anna", "early 102")):
            shows(lamp, words)
        ben.press("accept")
        wait_hears(anna, {"102"}, TONES)
        wait_hears(ben, {"101"}, TONES)
        ben.press("hold")
        shows("ben", "confirmed held 101")
        wait_hears(anna, {MUSIC}, TONES)
        ben.press("resume")
        shows("ben", "confirmed 101")
        wait_hears(anna, {"102"}, TONES)
        switch.run_here("call", "park", "102", "--config", str(switch.config))
        shows("slot", "confirmed held 101")
        ben.wait_event("CALL_CLOSED")
        shows("ben", "terminated")
        wait_hears(anna, {MUSIC}, TONES)
        cyd.call("701")
        shows("slot", "terminated")
        wait_hears(anna, {"103"}, TONES)
        wait_hears(cyd, {"101"}, TONES)
        anna.hang_up()
        cyd.wait_event("CALL_CLOSED")
        cyd.call("800")
        shows("room", "confirmed anonymous")
        cyd.hang_up()
        shows("room", "terminated")
        switch.run_here("mwi", "105", "2", "5", "--config", str(switch.config))
        shows("messages", "yes 2/5 (0/0)")
        switch.wait_calls(0)
        [in_room, record] = wait_for(lambda: len(found := switch.cdrs()) == 2 and found, "two records")
        # Who holds is silent.
        assert Traces.of(switch, record, TONES) == Traces(
            "ring talk hold talk park talk", "101 102 103", "101", "102 102 103"
        )
        assert (" ".join(kinds(in_room)), legs(switch, in_room)) == ("conference", ["103"])
        # No lot is there any more, and 102 alone may be watched.
        watched = WATCHED_FLOOR.replace(LOTS, "").replace("extensions: {}", 'extensions: {"105": {watch: ["102"]}}')
        switch.write("interop.yaml", watched)
        switch.run_here("reload", "--config", str(switch.config))
        for lamp in ("anna", "slot", "room", "brief"):
            lamps[lamp].finish()
    # The switch has stopped.
    for lamp in ("ben", "presence", "messages"):
        lamps[lamp].finish()
    of_ben = ["terminated", "early 101", "confirmed 101", "confirmed held 101", "confirmed 101", "terminated"]
    assert {lamp: each.steps() for lamp, each in lamps.items()} == {
        "anna": ["terminated", "early 102", "confirmed 102", "confirmed 103", "terminated"],
        "ben": of_ben,
        "slot": ["terminated", "confirmed held 101", "terminated"],
        "room": ["terminated", "confirmed anonymous", "terminated"],
        "presence": ["open", "open on-the-phone", "open"],
        "messages": ["no 0/0 (0/0)", "yes 2/5 (0/0)"],
        "brief": of_ben,
    }
    # RFC 6665 4.1.3
    assert {lamp: each.ended() for lamp, each in lamps.items()} == {
        "anna": "terminated;reason=rejected",
        "ben": "terminated;reason=deactivated",
        "slot": "terminated;reason=noresource",
        "room": "terminated;reason=rejected",
        "presence": "terminated;reason=deactivated",
        "messages": "terminated;reason=deactivated",
        "brief": "terminated;reason=timeout",
    }

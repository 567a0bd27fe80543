"""Busy lamps and presence with telephones not of ours: SIPp watches a call, baresip a contact and its messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.audio import Tone
from harness.baresip import Phone
from harness.capture import Capture
from harness.cases import CALLERS
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

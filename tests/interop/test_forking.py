"""An extension with two telephones: both ring, one answers, the other is told why it stops ringing."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.cases import CALLERS
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import Switch

pytestmark = pytest.mark.interop


def test_the_loser_of_a_fork_learns_that_the_call_was_answered_elsewhere(tmp_path: Path) -> None:
    """RFC 3326: the CANCEL to the loser has Reason: SIP;cause=200;text="Call completed elsewhere"."""
    with Switch(tmp_path, trunks=[CALLERS]) as switch:
        users = switch.users_file("101")
        places = [(host, free_ports(1, host)) for host in ("127.0.0.61", "127.0.0.62")]
        for place in places:
            Sipp(tmp_path, "register_keep", place, switch.address, users=users).finish()
        assert len(switch.status().registrations) == 2
        winner = Sipp(tmp_path, "uas_call_slow", places[0], media_port=6100)
        loser = Sipp(tmp_path, "uas_cancelled_elsewhere", places[1], media_port=6200)
        caller = Sipp(
            tmp_path,
            "uac_call",
            (CALLERS, free_ports(1, CALLERS)),
            switch.address,
            service="101",
            options=("-d", "500"),
        )
        for each in (caller, winner, loser):
            each.finish()
        switch.wait_calls(0)

"""A telephone behind a router that masquerades: it comes from an address that its SDP and Contact don't name."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.audio import Tone, check_heard
from harness.baresip import Phone
from harness.namespaces import PHONE, ROUTER_OUTSIDE, SWITCH, BehindNat
from harness.switch import Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

LOW, HIGH = Tone(440.0, -12.0), Tone(1000.0, -18.0)
TALK = 3.0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_phone_behind_nat_is_called_and_calls_and_both_hear(tmp_path: Path, transport: str) -> None:
    """The switch can't reach the address in the phone's Contact and SDP at all: only the received address (RFC 3581)
    and a latched RTP source make this call work. First the phone calls out, then it is called."""
    with BehindNat() as network:
        switch = Switch(tmp_path, host=SWITCH, namespace=network.switch)
        with (
            switch,
            Phone(
                tmp_path,
                "101",
                switch.password("101"),
                switch.address,
                LOW,
                transport=transport,
                host=PHONE,
                namespace=network.phone,
            ) as inner,
            Phone(
                tmp_path,
                "102",
                switch.password("102"),
                switch.address,
                HIGH,
                transport=transport,
                host=SWITCH,
                namespace=network.switch,
            ) as outer,
        ):
            (row,) = [row for row in switch.status().registrations if row.aor == "101"]
            assert row.source.startswith(f"{ROUTER_OUTSIDE}:"), row
            for caller, called in ((inner, outer), (outer, inner)):
                heard = (len(caller.events()), len(called.events()))
                caller.call(called.user)
                caller.wait_event("CALL_ESTABLISHED", since=heard[0])
                called.wait_event("CALL_ESTABLISHED", since=heard[1])
                switch.wait_calls(1)
                wait_for(lambda: (switch.status().calls[0].talking or 0) >= TALK, f"{TALK} s of talk")
                caller.hang_up()
                called.wait_event("CALL_CLOSED", since=heard[1])
                switch.wait_calls(0)
                check_heard(inner.heard(), HIGH, TALK - 1.0)
                check_heard(outer.heard(), LOW, TALK - 1.0)

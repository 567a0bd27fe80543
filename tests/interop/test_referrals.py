"""REFER towards a trunk, and REFER outside a call, against SIPp: every message came, in order, and dissects."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.audio import Tone
from harness.capture import Capture
from harness.evidence import Ears, Traces
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.sipp_phones import notified
from harness.switch import FOR_SIPP, RTP_PORTS, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

CUSTOMERS, OWN, OTHER, PROGRAM = "127.0.0.22", "127.0.0.51", "127.0.0.52", "127.0.0.53"

TONES = {"line": Tone(600.0, -18.0), "101": Tone(900.0, -18.0), "102": Tone(1300.0, -18.0)}

LINE = """
trunks:
  line:
    inbound: {{addresses: [{host}]}}
    gateways: [{{host: {host}, port: {port}}}]
    context: internal
    record: always
    options_interval: none
    transfer_by_refer: {{referred_by: "<sip:{{extension}}@{{host}}>"}}
"""
CLICK = """
defaults: {extension: {click_to_dial: true, record: always}}
"""


def registered(directory: Path, switch: Switch, extension: str, host: str) -> tuple[str, int]:
    """Where an extension is to be called."""
    place = (host, free_ports(1, host))
    Sipp(directory, "register_keep", place, switch.address, users=switch.users_file(extension)).finish()
    return place


def check(capture: Capture, switch: Switch) -> None:
    counts = capture.check(switch.port, (switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS - 1))
    assert counts["sip"] > 15


def test_a_trunk_does_the_transfer(tmp_path: Path) -> None:
    """Both legs are released when it has, and the record says that it was a transfer."""
    port = free_ports(1, CUSTOMERS)
    switch = Switch(
        tmp_path,
        routes_of_own=['{to: "_9XXX", strip: 1, dial: {trunk: line}}'],
        extra=FOR_SIPP + LINE.format(host=CUSTOMERS, port=port),
    )
    capture = Capture(tmp_path / "referred.pcapng", f"port {switch.port}")
    with capture, switch, Ears(tmp_path, switch, TONES) as ears:
        place = registered(tmp_path, switch, "102", OWN)
        called = Sipp(tmp_path, "uas_refer", place, tone=TONES["102"])
        place = (CUSTOMERS, port)
        caller = Sipp(tmp_path, "uac_referred", place, switch.address, service="102", tone=TONES["line"])
        caller.finish()
        called.finish()
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
        assert (ears.heard(caller), ears.heard(called)) == ("102", "line")
    assert notified(called) == [100, 200]
    assert (record["ended_by"], record["cause"], record["destination"]) == ("transfer", "16", "line")
    # The last one: while the trunk is asked.
    assert Traces.of(switch, record, TONES) == Traces("ring talk ring", "line 102", "line", "102")
    check(capture, switch)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_click_to_dial(tmp_path: Path, transport: str) -> None:
    switch = Switch(tmp_path, extra=FOR_SIPP + CLICK)
    capture = Capture(tmp_path / "click.pcapng", f"port {switch.port}")
    with capture, switch, Ears(tmp_path, switch, TONES) as ears:
        own, other = registered(tmp_path, switch, "101", OWN), registered(tmp_path, switch, "102", OTHER)
        called = Sipp(tmp_path, "uas_bye", other, tone=TONES["102"])
        answers = Sipp(tmp_path, "uas_call", own, tone=TONES["101"])
        program = Sipp(
            tmp_path,
            "refer_click",
            (PROGRAM, free_ports(1, PROGRAM)),
            switch.address,
            service="102",
            users=switch.users_file("101"),
            transport=transport,
            options=("-auth_uri", f"101@{switch.address}"),
        )
        for each in (program, called, answers):
            each.finish()
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
        assert (ears.heard(answers), ears.heard(called)) == ("102", "101")
    assert notified(program) == [100, 180, 200]
    # Its own telephones ring, then the number's.
    assert Traces.of(switch, record, TONES) == Traces("ring ring talk", "101 102", "101", "102")
    assert (record["caller_number"], record["dialled"], record["cause"]) == ("101", "102", "16")
    check(capture, switch)

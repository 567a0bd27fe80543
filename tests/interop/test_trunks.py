"""Trunks against other switches: health by OPTIONS, failover, registration with digest at another softswitch."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.cases import CALLED, CALLERS
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import Switch
from harness.waiting import wait_for

from softswitch.control import TrunkRow

pytestmark = pytest.mark.interop

# T1 of 100 ms: an OPTIONS without answer fails after 6.4 s instead of 32.
HEALTH = """
sip:
  qualify: {{interval: none, retry: 1s, failures: 1}}
  timers: {{t1: 100ms, t2: 500ms, t4: 500ms}}
trunks:
  callers:
    inbound: {{addresses: [{callers}]}}
    context: watched
  watched:
    gateways: [{{host: {called}, port: {first}, priority: 0}}, {{host: {called}, port: {second}, priority: 1}}]
    options_interval: 5s
dialplan:
  watched:
    routes:
      - {{name: out, to: "900", dial: {{trunk: watched}}}}
"""


def trunk(switch: Switch, name: str) -> TrunkRow:
    return next(row for row in switch.status().trunks if row.name == name)


def test_a_gateway_is_asked_whether_it_lives_and_skipped_when_it_does_not(tmp_path: Path) -> None:
    """OPTIONS tells that the first gateway lives, with its round-trip time; then it is gone, and calls go to the
    second without waiting for the first."""
    first, second = free_ports(1, CALLED), free_ports(1, CALLED)
    extra = HEALTH.format(callers=CALLERS, called=CALLED, first=first, second=second)
    alive = Sipp(tmp_path, "uas_options", (CALLED, first))
    with Switch(tmp_path, extra=extra) as switch:
        alive.finish(15)
        gateway = wait_for(
            lambda: next((g for g in trunk(switch, "watched").gateways if g.state == "up"), None),
            "a gateway that is up",
        )
        assert f"{CALLED}:{first}" in gateway.address
        assert gateway.rtt_ms is not None
        assert 0 < gateway.rtt_ms < 500
        wait_for(lambda: [g.state for g in trunk(switch, "watched").gateways] == ["down", "down"], "both down", 30)
        answers = Sipp(tmp_path, "uas_options", (CALLED, second))
        answers.finish(30)
        wait_for(lambda: [g.state for g in trunk(switch, "watched").gateways] == ["down", "up"], "the second up", 10)
        called = Sipp(tmp_path, "uas_call", (CALLED, second), media_port=7000)
        caller = Sipp(
            tmp_path,
            "uac_call",
            (CALLERS, free_ports(1, CALLERS)),
            switch.address,
            service="900",
            receive_timeout=3,
            options=("-d", "300"),
        )
        caller.finish()
        called.finish()


REGISTERED = """
sip:
  qualify: {{interval: none}}
trunks:
  callers:
    inbound: {{addresses: [{callers}]}}
    context: out
  uplink:
    gateways: ["{host}:{port}"]
    options_interval: none
    account: {{username: "101", password: "{password}"}}
    register: {{registrar: "{host}:{port}", expires: 60s}}
    context: out
    inbound: {{addresses: [127.0.0.1]}}
dialplan:
  out:
    routes:
      - {{name: echo over there, to: "900", dial: {{trunk: uplink, number: "*43"}}}}
"""


@pytest.mark.parametrize("algorithms", ["[MD5]", "[SHA-256]", "[SHA-256, MD5]"])
def test_a_switch_registers_at_another_and_calls_through_it(tmp_path: Path, algorithms: str) -> None:
    """Both sides of digest are ours here: registration as extension 101 of the other switch, a call to its echo that is
    challenged and answered, and un-registration at the end."""
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
    far = Switch(tmp_path / "far")
    far.replace("softswitch.yaml", "algorithms: [MD5]", f"algorithms: {algorithms}")
    with far:
        extra = REGISTERED.format(callers=CALLERS, host=far.host, port=far.port, password=far.password("101"))
        with Switch(tmp_path / "near", extra=extra) as near:
            wait_for(lambda: trunk(near, "uplink").registration == "registered", "a registration at the other switch")
            assert [row.aor for row in far.status().registrations] == ["101"]
            caller = Sipp(
                tmp_path,
                "uac_call",
                (CALLERS, free_ports(1, CALLERS)),
                near.address,
                service="900",
                options=("-d", "500"),
            )
            caller.finish()
            record = wait_for(far.cdrs, "a record of the call")[0]
            assert (record["caller_number"], record["dialled"]) == ("101", "*43")
        wait_for(lambda: not far.status().registrations, "un-registered when the near switch ended")

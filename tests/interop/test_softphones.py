"""Telephones of another make: Linphone, registered with digest on the default configuration, and baresip."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.audio import Tone, check_heard
from harness.baresip import Phone
from harness.linphone import Linphone
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

LOW, HIGH = Tone(440.0, -12.0), Tone(1000.0, -18.0)
TALK = 2.5


def talk(switch: Switch) -> None:
    switch.wait_calls(1)
    wait_for(lambda: (switch.status().calls[0].talking or 0) >= TALK, f"{TALK:g} s of talk")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_linphone_and_baresip_call_each_other_and_hear_each_other(tmp_path: Path, transport: str) -> None:
    """Each calls the other once, and the called side hangs up."""
    with Switch.of_default_configuration(tmp_path) as switch:
        passwords = {user: switch.new_password(user) for user in ("101", "102")}
        with (
            Linphone(tmp_path, "101", passwords["101"], switch.address, LOW, transport=transport) as linda,
            Phone(tmp_path, "102", passwords["102"], switch.address, HIGH, transport=transport) as ben,
        ):
            (row,) = [row for row in switch.status().registrations if row.aor == "101"]
            assert row.transport == transport
            assert "inphone" in row.user_agent

            ear = linda.listen()
            linda.call("102")
            ben.wait_event("CALL_ESTABLISHED")
            talk(switch)
            ben.hang_up()
            linda.wait_end(1)
            switch.wait_calls(0)
            check_heard(ear, HIGH, TALK - 0.5)
            check_heard(ben.heard(), LOW, TALK - 0.5)

            ear, before = linda.listen(), len(ben.events())
            ben.call("101")
            ben.wait_event("CALL_ESTABLISHED", since=before)
            talk(switch)
            linda.hang_up()
            ben.wait_event("CALL_CLOSED", since=before)
            linda.wait_end(2)
            switch.wait_calls(0)
            check_heard(ear, HIGH, TALK - 0.5)
            check_heard(ben.heard(), LOW, TALK - 0.5)
        records = wait_for(lambda: len(found := switch.cdrs()) == 2 and found, "two records")
        assert [(record["cause"], record["ended_by"]) for record in records] == [("16", "callee"), ("16", "callee")]


@pytest.mark.parametrize(("theirs", "ours"), [("opus", "G722"), ("PCMU", "opus")])
def test_linphone_and_baresip_of_other_codecs_hear_each_other(tmp_path: Path, theirs: str, ours: str) -> None:
    """Transcoded; each calls the other once."""
    extra = f'{FOR_SIPP}extensions:\n  "101": {{codecs: [{theirs}]}}\n  "102": {{codecs: [{ours}]}}\n'
    with (
        Switch(tmp_path, extra=extra) as switch,
        Linphone(tmp_path, "101", switch.password("101"), switch.address, LOW) as linda,
        Phone(tmp_path, "102", switch.password("102"), switch.address, HIGH, codecs=(ours,)) as ben,
    ):
        for calls, caller in enumerate((linda, ben), 1):
            ear, before = linda.listen(), len(ben.events())
            caller.call("102" if caller is linda else "101")
            ben.wait_event("CALL_ESTABLISHED", since=before)
            talk(switch)
            ben.hang_up()
            linda.wait_end(calls)
            switch.wait_calls(0)
            print(f"{theirs} heard {check_heard(ear, HIGH, TALK - 0.5)}")
            print(f"{ours} heard {check_heard(ben.heard(), LOW, TALK - 0.5)}")

"""Running it: restart, reload, drain, status, call records, load."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.audio import Tone, check_heard
from harness.baresip import Phone
from harness.cases import CALLED, CALLERS
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import COMMAND, FOR_SIPP, ROOT, Switch
from harness.waiting import wait_for

from softswitch.control import ControlRefused

pytestmark = pytest.mark.interop

LOW, HIGH = Tone(440.0, -12.0), Tone(1000.0, -18.0)


@contextmanager
def talking(switch: Switch, directory: Path) -> Iterator[tuple[Phone, Phone]]:
    """Two phones in a call."""
    with (
        Phone(directory, "101", switch.password("101"), switch.address, LOW) as anna,
        Phone(directory, "102", switch.password("102"), switch.address, HIGH) as ben,
    ):
        anna.call("102")
        anna.wait_event("CALL_ESTABLISHED")
        ben.wait_event("CALL_ESTABLISHED")
        switch.wait_calls(1)
        yield anna, ben


def talk_until(switch: Switch, seconds: float) -> None:
    wait_for(lambda: (switch.status().calls[0].talking or 0) >= seconds, f"{seconds} s of talk", seconds + 10)


def call_extension(switch: Switch, directory: Path, number: str, scenario: str = "uac_call") -> Sipp:
    place = (CALLERS, free_ports(1, CALLERS))
    return Sipp(directory, scenario, place, switch.address, service=number, options=("-d", "500"))


def register(switch: Switch, directory: Path, users: Path) -> Sipp:
    return Sipp(directory, "register_keep", ("127.0.0.63", free_ports(1, "127.0.0.63")), switch.address, users=users)


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"])
def test_bindings_survive_a_restart(tmp_path: Path, end: str) -> None:
    """A phone registered before the restart is called after it, without registering again."""
    switch = Switch(tmp_path, trunks=[CALLERS])
    with switch:
        with Phone(tmp_path, "101", switch.password("101"), switch.address, LOW) as phone:
            before = switch.status().registrations
            assert [row.aor for row in before] == ["101"]
            if end == "SIGTERM":
                switch.stop()
            else:
                # Bindings are written in groups: the interval that kill -9 may lose.
                wait_for(lambda: bindings_written(switch) == 1, "the binding in the database")
                switch.kill()
            switch.start()
            after = switch.status().registrations
            assert [(row.aor, row.contact, row.source) for row in after] == [
                (row.aor, row.contact, row.source) for row in before
            ]
            assert after[0].expires_in <= before[0].expires_in
            call_extension(switch, tmp_path, "101").finish()
            phone.sign_off()
        wait_for(lambda: not switch.status().registrations, "un-registered by the phone")


def test_features_are_set_while_it_runs_and_survive_a_restart(tmp_path: Path) -> None:
    switch = Switch(tmp_path, trunks=[CALLERS])
    with switch:
        for feature, value in (("dnd", "on"), ("forward_busy", "102"), ("call_waiting", "off")):
            switch.ask("feature", extension="101", feature=feature, value=value)
        assert switch.ask("feature", extension="101", feature="call_waiting", value="default") == {
            "dnd": "on",
            "forward_busy": "102",
        }
        with pytest.raises(ControlRefused, match="101 can't be forwarded to itself"):
            switch.ask("feature", extension="101", feature="forward_busy", value="101")
        with pytest.raises(ControlRefused, match="expected 'feature' and 'value'"):
            switch.ask("feature", extension="101", feature="dnd")
        switch.stop()
        switch.start()
        assert switch.ask("feature", extension="101") == {"dnd": "on", "forward_busy": "102"}


def bindings_written(switch: Switch) -> int:
    import sqlite3

    with sqlite3.connect(f"file:{switch.config}/var/softswitch.db?mode=ro", uri=True) as database:
        (table,) = (
            name
            for (name,) in database.execute("select name from sqlite_master where type='table'")
            if "binding" in name
        )
        return int(database.execute(f"select count(*) from {table}").fetchone()[0])


NEW_EXTENSION = 'extensions:\n  "150": {name: New, password: "secret-of-150"}\n'
BROKEN = 'extensions:\n  "150": {name: New, password: "secret-of-150", colour: red}\n'


def test_an_extension_added_by_a_reload_is_given_a_password_that_is_not_told(tmp_path: Path) -> None:
    """It stands in secrets.yaml and nowhere else, and its phone can sign in with it at once."""
    with Switch(tmp_path) as switch:
        switch.write("zz-late.yaml", "extensions: {'160': {name: Late}}\n")
        done = switch.run("reload", "--config", str(switch.config))
        assert "extension 160: its new password stands in secrets.yaml" in done.stdout + done.stderr
        found = re.search(r"""['"]?160['"]?: *['"]?([a-z0-9-]{20,})""", (switch.config / "secrets.yaml").read_text())
        assert found is not None
        password = found[1]
        assert password not in done.stdout + done.stderr + switch.log()
        users = tmp_path / "users-160.csv"
        users.write_text(
            f"SEQUENTIAL\n160;[authentication username=160 password={password}];{switch.host}\n", encoding="ascii"
        )
        register(switch, tmp_path, users).finish()
        assert "160" in [row.aor for row in switch.status().registrations]


def test_a_reload_leaves_the_call_alone_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    """SIGHUP and `softswitch reload` while two phones talk: what is new works, the audio has no gap; a configuration
    with an error is refused with file, line and column, and the one before it stays in force."""
    switch = Switch(tmp_path, trunks=[CALLERS], expected_errors=["reload refused"])
    with switch:
        users = tmp_path / "users-150.csv"
        users.write_text(
            f"SEQUENTIAL\n150;[authentication username=150 password=secret-of-150];{switch.host}\n", encoding="ascii"
        )
        with talking(switch, tmp_path) as (anna, ben):
            switch.write("zz-new.yaml", NEW_EXTENSION)
            switch.signal(signal.SIGHUP)
            wait_for(lambda: '"reloaded"' in switch.log(), "reloaded by SIGHUP")
            register(switch, tmp_path, users).finish()
            assert "150" in [row.aor for row in switch.status().registrations]

            switch.write("zz-new.yaml", BROKEN)
            refused = switch.run("reload", "--config", str(switch.config), expect=2)
            assert "zz-new.yaml:2:49: extensions.150.colour" in refused.stderr
            switch.signal(signal.SIGHUP)
            wait_for(lambda: "reload refused" in switch.log(), "refused by SIGHUP, too")
            register(switch, tmp_path, users).finish()

            (switch.config / "zz-new.yaml").unlink()
            done = switch.run("reload", "--config", str(switch.config))
            assert done.stdout.startswith("reloaded")
            assert "150" not in [row.aor for row in switch.status().registrations]
            talk_until(switch, 4.0)
            anna.hang_up()
            ben.wait_event("CALL_CLOSED")
            switch.wait_calls(0)
            check_heard(anna.heard(), HIGH, 3.5)
            check_heard(ben.heard(), LOW, 3.5)


def test_sigterm_drains(tmp_path: Path) -> None:
    """New calls get 503 with Retry-After while the call in progress goes on; when it has ended the switch ends."""
    switch = Switch(tmp_path, trunks=[CALLERS])
    with switch, talking(switch, tmp_path) as (anna, ben):
        switch.signal(signal.SIGTERM)
        wait_for(lambda: switch.status().draining, "draining")
        call_extension(switch, tmp_path, "*43", "uac_refused").finish()
        talk_until(switch, 3.0)
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_end(10)
        check_heard(anna.heard(), HIGH, 2.5)
        check_heard(ben.heard(), LOW, 2.5)
    (record,) = switch.cdrs()
    assert record["destination"] == "102"


def test_the_drain_has_a_deadline(tmp_path: Path) -> None:
    """Then the rest is hung up with BYE, and recorded."""
    switch = Switch(tmp_path, extra=FOR_SIPP + "server: {drain: 1s}\n")
    with switch, talking(switch, tmp_path) as (anna, ben):
        switch.signal(signal.SIGTERM)
        anna.wait_event("CALL_CLOSED")
        ben.wait_event("CALL_CLOSED")
        switch.wait_end(10)
    assert len(switch.cdrs()) == 1


def test_status_says_what_is(tmp_path: Path) -> None:
    switch = Switch(tmp_path, trunks=[CALLERS])
    with switch, talking(switch, tmp_path) as (anna, ben):
        talk_until(switch, 1.5)
        text = switch.run("status", "--config", str(switch.config)).stdout
        assert "registrations (2)" in text
        assert "calls (1)" in text
        assert "baresip" in text
        assert "PCMA" in text
        report = json.loads(switch.run("status", "--config", str(switch.config), "--json").stdout)
        assert report["pid"] == switch.pid
        (call,) = report["calls"]
        assert (call["caller"], call["called"], call["state"]) == ("101", "102", "talking")
        assert report["media"]["rows"] == 2
        assert report["media"]["packets_in"] > 100
        assert report["media"]["packets_out"] > 100
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        assert "no calls" in switch.run("status", "--config", str(switch.config)).stdout


@pytest.mark.parametrize("workers", [0, 1])
def test_a_silent_call_is_seen_in_the_status(tmp_path: Path, workers: int) -> None:
    """The caller sends audio, whoever is called sends none: after a few seconds that is told, and nothing else."""
    port = free_ports(1, CALLED)
    media = f"media: {{workers: {workers}}}\n"
    with Switch(tmp_path, trunks=[CALLERS], routes=[f"_9X.={CALLED}:{port}"], extra=FOR_SIPP + media) as switch:
        called = Sipp(tmp_path, "uas_call", (CALLED, port), receive_timeout=30.0)
        place = (CALLERS, free_ports(1, CALLERS))
        caller = Sipp(tmp_path, "uac_call", place, switch.address, service="900", options=("-d", "12000"), tone=LOW)
        switch.wait_calls(1)

        def told() -> list[tuple[bool, bool]]:
            [call] = switch.status().calls
            return [(each.unheard is not None, each.unsent is not None) for each in call.parties]

        talk_until(switch, 2.0)
        assert told() == [(False, False), (False, False)]
        wait_for(lambda: told() == [(False, False), (True, False)], lambda: f"one who is not heard: {told()}", 15)
        text = switch.run("status", "--config", str(switch.config)).stdout
        assert re.search(r"none from trunk \S+ for [5-9] s", text), text
        assert "none to" not in text
        caller.finish(30)
        called.finish()


@pytest.mark.parametrize(
    ("number", "state"), [("*43", "echo"), ("600", "conference"), ("601", "playing"), ("602", "playing")]
)
def test_who_is_heard_by_the_switch_alone_is_not_in_a_silent_call(tmp_path: Path, number: str, state: str) -> None:
    """Echo, alone in a conference, music, and an announcement with a long pause: something goes there all the time."""
    routes = [
        "{to: '600', answer_and_conference: alone}",
        "{to: '601', answer_and_music: default}",
        "{to: '602', answer_and_play: [{silence: 15s}]}",
    ]
    with Switch(tmp_path, trunks=[CALLERS], routes_of_own=routes, extra=FOR_SIPP) as switch:
        place = (CALLERS, free_ports(1, CALLERS))
        caller = Sipp(tmp_path, "uac_call", place, switch.address, service=number, options=("-d", "9000"), tone=LOW)
        switch.wait_calls(1)
        talk_until(switch, 7.5)
        [call] = switch.status().calls
        assert call.state == state
        [party] = call.parties
        assert (party.unheard, party.unsent) == (None, None)
        caller.finish(30)


def test_load_runs_a_scenario_and_tells_the_switch_s_cpu_time(tmp_path: Path) -> None:
    port = free_ports(1, CALLED)
    with Switch(tmp_path, trunks=[CALLERS], routes=[f"_9X.={CALLED}:{port}"]) as switch:
        called = Sipp(tmp_path, "uas_call", (CALLED, port), calls=60, media_port=7000)
        words = [*COMMAND, "load", "uac_call", "--target", switch.address, "--from", CALLERS, "--service", "900"]
        words += ["--calls", "60", "--rate", "30", "--hold", "0.3", "--config", str(switch.config)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        called.finish()
        rows = {
            cells[1].strip(): cells[2].strip() for line in done.stdout.split("\n") if len(cells := line.split("│")) == 4
        }
        assert (rows["calls"], rows["successful"], rows["failed"]) == ("60", "60", "0")
        assert 0 < int(rows["CPU time per call"].removesuffix(" us")) < 100_000
        assert "invite" in done.stdout
        records = wait_for(lambda: (found := switch.cdrs()) and len(found) == 60 and found, "60 call records")
        assert {(r["dialled"], r["cause"], r["ended_by"]) for r in records} == {("900", "16", "caller")}


def test_a_call_without_audio_is_hung_up(tmp_path: Path) -> None:
    """No RTP from either end for `media.silence_hangup`: BYE to both (SIPp sends no audio)."""
    port = free_ports(1, CALLED)
    switch = Switch(tmp_path, trunks=[CALLERS], routes=[f"_9X.={CALLED}:{port}"])
    switch.replace("softswitch.yaml", "media:\n", "media:\n  silence_hangup: 5s\n")
    with switch:
        called = Sipp(tmp_path, "uas_call", (CALLED, port))
        call_extension(switch, tmp_path, "900", "uac_call_bye_by_called").finish(20)
        called.finish()
        switch.wait_calls(0)
        (record,) = wait_for(switch.cdrs, "a call record")
        assert record["ended_by"] == "media"
        assert 4.5 < float(record["billsec"]) < 8


def test_ipv6(tmp_path: Path) -> None:
    """A call over IPv6, signalling and SDP."""
    port = free_ports(1, "::1")
    with Switch(tmp_path, host="[::1]", trunks=["::1"], routes=[f"_9X.=[::1]:{port}"]) as switch:
        called = Sipp(tmp_path, "uas_call", ("::1", port))
        caller = Sipp(
            tmp_path, "uac_call", ("::1", free_ports(1, "::1")), switch.address, service="900", options=("-d", "500")
        )
        caller.finish()
        called.finish()
        assert "c=IN IP6 ::1" in caller.messages()

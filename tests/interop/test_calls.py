"""The main job: two telephones registered with digest call each other and hear each other."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from harness.audio import RATE, Tone, check_heard, decode_alaw, level_at
from harness.baresip import Phone
from harness.capture import Capture
from harness.switch import FOR_SIPP, RTP_PORTS, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

LOW, HIGH = Tone(440.0, -12.0), Tone(1000.0, -18.0)
TALK = 4.0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_two_phones_call_each_other_and_hear_each_other(tmp_path: Path, transport: str) -> None:
    """Registered with digest, called, answered, four seconds of a tone each way, hung up, recorded."""
    switch = Switch(tmp_path)
    packets = f"port {switch.port} or udp portrange {switch.first_rtp_port}-{switch.first_rtp_port + RTP_PORTS - 1}"
    with (
        Capture(tmp_path / "call.pcapng", packets) as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW, transport=transport) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, HIGH, transport=transport) as ben,
    ):
        registered = {row.aor: row for row in switch.status().registrations}
        assert len(registered) == 2
        assert all(row.transport == transport and "baresip" in row.user_agent for row in registered.values())
        anna.call("102")
        anna.wait_event("CALL_ESTABLISHED")
        ben.wait_event("CALL_ESTABLISHED")
        call = switch.wait_calls(1).calls[0]
        assert (call.caller, call.called, call.codec) == ("101", "102", "PCMA")
        assert switch.status().media.rows == 2
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= TALK, "four seconds of talk")
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        wait_for(lambda: switch.status().media.rows == 0, "no rows left")
        # Both recordings are complete once baresip has closed them.
        heard_by_anna = check_heard(anna.heard(), HIGH, TALK - 0.5)
        heard_by_ben = check_heard(ben.heard(), LOW, TALK - 0.5)
        print(f"{transport}: 101 heard {heard_by_anna}\n{transport}: 102 heard {heard_by_ben}")
        record = wait_for(switch.cdrs, "a call record")[0]
        assert (record["caller_number"], record["dialled"], record["destination"]) == ("101", "102", "102")
        dropped = switch.status().media.dropped
        # A call's end is no stranger's. Where the called one sends from is not known before its answer is handled, but
        # baresip sends a report before its 200.
        assert dropped["ended_rtcp"] == 2, dropped
        assert dropped["stray_rtcp"] <= 1, dropped
        assert dropped["bad_rtcp"] == 0, dropped
        print(f"after the end: {dropped['ended']} packets, {dropped['ended_rtcp']} reports")
    counts = capture.check(switch.port, (switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS - 1))
    assert counts["sip"] >= 20
    assert counts["rtp"] >= 4 * TALK * 50 * 0.9
    assert counts["rtcp"] >= 2


def test_phones_talk_with_the_default_configuration(tmp_path: Path) -> None:
    """What `make run` starts on a fresh clone: passwords made and printed at the first start, phones that register with
    them, a call with audio both ways."""
    with Switch.of_default_configuration(tmp_path) as switch:
        passwords = {user: switch.new_password(user) for user in ("101", "102")}
        with (
            Phone(tmp_path, "101", passwords["101"], switch.address, LOW) as anna,
            Phone(tmp_path, "102", passwords["102"], switch.address, HIGH) as ben,
        ):
            anna.call("102")
            anna.wait_event("CALL_ESTABLISHED")
            ben.wait_event("CALL_ESTABLISHED")
            switch.wait_calls(1)
            wait_for(lambda: (switch.status().calls[0].talking or 0) >= 2.0, "two seconds of talk")
            ben.hang_up()
            anna.wait_event("CALL_CLOSED")
            switch.wait_calls(0)
            check_heard(anna.heard(), HIGH, 1.5)
            check_heard(ben.heard(), LOW, 1.5)


def hold_and_resume(switch: Switch, anna: Phone, ben: Phone, held_until: float, until: float) -> None:
    """A call that Anna holds from its first second on, until those of talk."""
    anna.call("102")
    anna.wait_event("CALL_ESTABLISHED")
    ben.wait_event("CALL_ESTABLISHED")
    switch.wait_calls(1)

    def talked(seconds: float) -> None:
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= seconds, f"{seconds} seconds of talk")

    talked(1.0)
    anna.press("hold")
    wait_for(lambda: switch.status().calls[0].state == "on hold", "on hold")
    talked(held_until)
    anna.press("resume")
    wait_for(lambda: switch.status().calls[0].state != "on hold", "no longer on hold")
    talked(until)
    anna.hang_up()
    ben.wait_event("CALL_CLOSED")
    switch.wait_calls(0)


def test_who_is_held_hears_music(tmp_path: Path) -> None:
    """The phone that holds is sent nothing, the other one the built-in melody without a break; both tones after it."""
    switch = Switch(tmp_path, extra=FOR_SIPP + "defaults: {extension: {music_on_hold: default}}\n")
    ports = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)
    with (
        Capture(tmp_path / "music.pcapng", f"udp portrange {ports.start}-{ports.stop - 1}") as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, HIGH) as ben,
    ):
        hold_and_resume(switch, anna, ben, held_until=4.0, until=6.0)
    gaps: dict[Tone, float] = {}
    for packets in capture.audio_from(ports).values():
        times = [time for time, _ in packets]
        last = decode_alaw(b"".join(payload for time, payload in packets if time >= times[-1] - 1.0))
        [tone] = [each for each in (LOW, HIGH) if abs(level_at(last, each.frequency) - each.level) < 1.0]
        gaps[tone] = max(after - before for before, after in pairwise(times))
        if tone is LOW:
            held = decode_alaw(b"".join(payload for time, payload in packets if 1.8 < time - times[0] < 3.8))
            rms = 20 * np.log10(np.sqrt(np.mean(held**2)))
            print(f"music at {rms:.1f} dBFS, longest gap {gaps[tone]:.3f} s")
            assert -45 < rms < -15
            assert level_at(held, LOW.frequency) < LOW.level - 20
    assert gaps.keys() == {LOW, HIGH}
    assert gaps[LOW] < 0.2
    assert gaps[HIGH] > 2.0


def test_a_phone_holds_and_resumes(tmp_path: Path) -> None:
    """baresip's hold (re-INVITE with a=sendonly, then sendrecv): silence in between, both tones after it, measured on
    the wire (baresip's own recording ends with the first re-INVITE)."""
    switch = Switch(tmp_path)
    ports = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)
    with (
        Capture(tmp_path / "hold.pcapng", f"udp portrange {ports.start}-{ports.stop - 1}") as capture,
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, HIGH) as ben,
    ):
        hold_and_resume(switch, anna, ben, held_until=2.5, until=4.5)
    streams = capture.audio_from(ports)
    assert len(streams) == 2, streams.keys()
    tones = set()
    for packets in streams.values():
        times = [time for time, _ in packets]
        gap, resumed = max((after - before, after) for before, after in pairwise(times))
        assert gap > 1.0, "audio during the hold"
        after_it = np.concatenate([decode_alaw(payload) for time, payload in packets if time >= resumed])
        assert len(after_it) > 1.5 * RATE
        tones |= {tone for tone in (LOW, HIGH) if abs(level_at(after_it, tone.frequency) - tone.level) < 1.0}
    assert tones == {LOW, HIGH}

"""Feature codes and PINs with a real telephone: what is heard, what is set, what calls find then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from harness.audio import FRAME, Tone, level_at, read_wave
from harness.baresip import Phone
from harness.cases import CALLED
from harness.evidence import Ears, Traces, kinds, legs, line_of
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

F64 = npt.NDArray[np.float64]

SILENT = Tone(500.0, -90.0)
CYD = Tone(700.0, -15.0)
ANNA = Tone(1300.0, -18.0)
TONES = {"101": ANNA, "103": CYD}
CODES = "feature_codes: {dnd_on: '*78', dnd_off: '*79', forward_always_on: '*72', forward_always_off: '*73'}\n"


def spoken(samples: F64) -> float:
    """Seconds in which something is heard."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return float(np.count_nonzero(np.sqrt(np.mean(frames**2, axis=1)) > 10 ** (-40 / 20))) / 50


def dial(switch: Switch, phone: Phone, code: str, digits: str = "") -> F64:
    """All that is heard until the switch hangs up."""
    since = len(phone.events())
    phone.call(code)
    phone.wait_event("CALL_ESTABLISHED", since=since)
    if digits:
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 1.0, "the question")
        assert switch.status().calls[0].state == "asked"
        phone.press("sndcode", digits)
    phone.wait_event("CALL_CLOSED", 30, since=since)
    switch.wait_calls(0)
    return read_wave(phone.heard())


@pytest.mark.parametrize("workers", [0, 1])
def test_codes_are_heard_and_count(tmp_path: Path, workers: int) -> None:
    recorded = "defaults: {extension: {record: always}}\n"
    switch = Switch(tmp_path, extra=FOR_SIPP + CODES + recorded + f"media: {{workers: {workers}}}\n")
    with (
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, ANNA) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, SILENT) as ben,
        Phone(tmp_path, "103", switch.password("103"), switch.address, CYD) as cyd,
    ):

        def told(feature: str) -> bool:
            return feature in switch.run_here("feature", "102", "--config", str(switch.config))

        on = spoken(dial(switch, ben, "*78"))
        assert told("dnd on")
        since = len(anna.events())
        anna.call("102")
        assert "486" in str(anna.wait_event("CALL_CLOSED", since=since)["param"])
        off = spoken(dial(switch, ben, "*79"))
        assert told("dnd off")
        asked = spoken(dial(switch, ben, "*72", "103#"))
        assert told("forward_always 103")
        refused = dial(switch, ben, "*72102")
        assert told("forward_always 103")
        print(f"on {on} s, off {off} s, asked and done {asked} s, refused {spoken(refused)} s")
        assert 0.6 < on < 4.0
        assert 0.6 < off < 4.0
        assert 1.5 < asked < 10.0
        tones = {frequency: level_at(refused[: 8000 * 3], frequency) for frequency in (950, 1400, 1800)}
        assert min(tones.values()) > -45, "the special information tone"
        since = len(anna.events())
        anna.call("102")
        anna.wait_event("CALL_ESTABLISHED", since=since)
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 2.0, "two seconds with the third")
        anna.hang_up()
        cyd.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        assert level_at(read_wave(anna.heard())[-8000:], CYD.frequency) == pytest.approx(CYD.level, abs=1.0)
        records = wait_for(lambda: len(found := switch.cdrs()) == 6 and found[::-1], "six records")
    assert [(each["dialled"], each["destination"], each["cause"], each["ended_by"]) for each in records] == [
        ("*78", "feature", "16", "switch"),
        ("102", "", "17", "switch"),
        ("*79", "feature", "16", "switch"),
        ("*72", "feature", "16", "switch"),
        ("*72102", "feature", "16", "switch"),
        ("102", "103", "16", "caller"),
    ]
    assert {record["recording"] for record in records[:-1]} == {""}, "who dials a code talks to nobody"
    assert {" ".join(kinds(record)) for record in records if record["dialled"].startswith("*")} == {"feature"}
    assert records[-1]["diverted"] == "102 unconditional"
    assert Traces.of(switch, records[-1], TONES) == Traces("ring talk", "101 103", "101", "103")


def test_a_pin_is_asked_for_and_stands_nowhere(tmp_path: Path) -> None:
    port = free_ports(1, CALLED)
    guarded = (
        "barring: {classes: {guarded: _9X.}}\n"
        "defaults: {extension: {pin: '71930', pin_for: guarded, record: always, codecs: [PCMU]}}\n"
    )
    switch = Switch(tmp_path, routes=[f"_9X.={CALLED}:{port}"], extra=FOR_SIPP + guarded)
    with (
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, ANNA) as anna,
        Ears(tmp_path, switch, TONES) as ears,
    ):
        called = Sipp(tmp_path, "uas_call", (CALLED, port), receive_timeout=40, tone=CYD)
        anna.call("900")
        anna.wait_event("CALL_ESTABLISHED")
        wait_for(lambda: switch.status().calls[0].age >= 2.5, "what is asked, heard")
        assert switch.status().calls[0].state == "asked"
        assert "INVITE" not in called.messages()
        anna.press("sndcode", "71931#")
        anna.wait_event("CALL_RTPESTAB")
        wait_for(lambda: "wrong PIN" in switch.log(), "the line about it")
        assert "INVITE" not in called.messages()
        anna.press("sndcode", "71930#")
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 2.0, "two seconds of talk", 20)
        anna.hang_up()
        called.finish()
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
        log = switch.log()
        assert ears.heard(called) == "101"
    assert (record["cause"], record["ended_by"]) == ("16", "caller")
    assert 2.0 <= float(record["billsec"]) < float(record["duration"]) - 2.0
    assert "7193" not in log
    assert "7193" not in str(record)
    [_, trunk] = legs(switch, record)
    tones = {"101": ANNA, trunk: CYD}
    *asked, talk = line_of(read_wave(anna.heard()), tones).split()
    assert (set(asked), talk) == ({"music"}, trunk), "a voice asks, and then somebody answers"
    # The trunk's side is the customer.
    assert Traces.of(switch, record, tones) == Traces("pin ring talk", f"101 {trunk}", trunk, "101")

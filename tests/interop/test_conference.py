"""Conferences of real phones: who hears whom, by the spectrum."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness.audio import RATE, Tone, level_at, read_wave
from harness.baresip import Phone
from harness.evidence import kinds, legs
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

TONES = {"101": Tone(400.0, -18.0), "102": Tone(700.0, -18.0), "103": Tone(1100.0, -18.0)}
ECHO = "answer_and_echo: true\n"


@pytest.mark.parametrize("workers", [0, 1])
def test_each_of_three_hears_the_two_others_and_not_itself(tmp_path: Path, workers: int) -> None:
    """Three codecs, one conference; then one leaves, and the two others hear each other alone."""
    codecs = {"101": "PCMA", "102": "G722", "103": "opus"}
    with (
        Switch(
            tmp_path,
            routes_of_own=['{to: _8XX, answer_and_conference: "{number}"}'],
            extra=FOR_SIPP + f"media: {{workers: {workers}}}\n",
        ) as switch,
        ExitStack() as stack,
    ):
        phones = {
            user: stack.enter_context(
                Phone(
                    tmp_path,
                    user,
                    switch.password(user),
                    switch.address,
                    TONES[user],
                    codecs=(codec,),
                )
            )
            for user, codec in codecs.items()
        }
        for phone in phones.values():
            phone.call("800")
            phone.wait_event("CALL_ESTABLISHED")
        report = switch.wait_calls(3)
        assert {call.state for call in report.calls} == {"conference"}
        joined = time.monotonic()
        wait_for(lambda: time.monotonic() - joined > 3.5, "three seconds together")
        phones["103"].hang_up()
        switch.wait_calls(2)
        left = time.monotonic()
        wait_for(lambda: time.monotonic() - left > 2.5, "two seconds of two")
        for user in ("101", "102"):
            phones[user].hang_up()
        switch.wait_calls(0)
        wait_for(lambda: switch.status().media.rows == 0, "no streams left")
        records = wait_for(lambda: len(found := switch.cdrs()) == 3 and found, "three records")
        assert [record["destination"] for record in records] == ["conference"] * 3
        assert {(record["caller_number"], *kinds(record), *legs(switch, record)) for record in records} == {
            (user, "conference", user) for user in codecs
        }
    for user, phone in phones.items():
        samples = read_wave(phone.heard())
        # All three, the beeps of joining and leaving aside; then two.
        together = samples[-2 * RATE - RATE // 2 :] if user == "103" else samples[-5 * RATE - RATE // 2 : -3 * RATE]
        levels = {other: level_at(together, tone.frequency) for other, tone in TONES.items()}
        print(user, codecs[user], levels)
        for other, level in levels.items():
            if other == user:
                assert level < TONES[user].level - 40, (user, levels)
            else:
                assert level == pytest.approx(TONES[other].level, abs=1.0), (user, levels)
        if user != "103":
            last = samples[-RATE - RATE // 2 : -RATE // 4]
            levels = {other: level_at(last, tone.frequency) for other, tone in TONES.items()}
            for other, level in levels.items():
                there = other not in (user, "103")
                assert (abs(level - TONES[other].level) < 1.0) if there else (level < TONES[other].level - 40)

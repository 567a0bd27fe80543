"""kill -9 of a media worker under callers whom the switch itself has answered: what their telephones hear then."""

from __future__ import annotations

import itertools
import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from harness.audio import RATE, Tone, level_at, read_wave
from harness.baresip import Phone
from harness.switch import Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

TONES = {"101": Tone(400.0, -18.0), "102": Tone(700.0, -18.0), "103": Tone(1100.0, -18.0)}
SILENT = Tone(500.0, -90.0)
EXTRA = """
media: {{workers: {workers}}}
sip: {{qualify: {{interval: none}}}}
"""
LOST = ("media worker lost",)
STEPS = tuple(range(500, 1700, 100))
"""Hz of each second of the announcement."""


def kill_the_worker(switch: Switch, streams: int) -> None:
    """The one that has so many streams; then they are elsewhere, or in the one that was started instead."""
    [victim] = [row for row in switch.status().media.workers if row.streams == streams]
    os.kill(victim.process, signal.SIGKILL)

    def moved() -> bool:
        rows = switch.status().media.workers
        return any(row.streams == streams and row.process != victim.process for row in rows)

    wait_for(moved, f"{streams} streams in another process", 15)


def wait(seconds: float, why: str) -> None:
    since = time.monotonic()
    wait_for(lambda: time.monotonic() - since > seconds, why, seconds + 5)


@pytest.mark.parametrize("workers", [1, 2])
def test_three_in_conference_hear_each_other_again(tmp_path: Path, workers: int) -> None:
    codecs = {"101": "PCMA", "102": "G722", "103": "opus"}
    routes = ['{to: _8XX, answer_and_conference: "{number}"}']
    switch = Switch(tmp_path, routes_of_own=routes, extra=EXTRA.format(workers=workers), expected_errors=LOST)
    with switch, ExitStack() as stack:
        phones = {}
        for user, codec in codecs.items():
            phone = Phone(tmp_path, user, switch.password(user), switch.address, TONES[user], codecs=(codec,))
            phones[user] = stack.enter_context(phone)
            phone.call("800")
            phone.wait_event("CALL_ESTABLISHED")
        switch.wait_calls(3)
        wait(1.5, "together")
        kill_the_worker(switch, 3)
        wait(3.5, "together again")
        assert {call.state for call in switch.status().calls} == {"conference"}
        for phone in phones.values():
            phone.hang_up()
            phone.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        wait_for(lambda: switch.status().media.rows == 0, "no streams left")
        records = wait_for(lambda: len(found := switch.cdrs()) == 3 and found, "three records")
        assert {record["cause"] for record in records} == {"16"}
    for user, phone in phones.items():
        samples = read_wave(phone.heard())
        together = samples[-int(2.8 * RATE) : -int(0.8 * RATE)]
        levels = {other: level_at(together, tone.frequency) for other, tone in TONES.items()}
        print(user, codecs[user], levels)
        for other, level in levels.items():
            if other == user:
                assert level < TONES[user].level - 40, (user, levels)
            else:
                assert level == pytest.approx(TONES[other].level, abs=1.0), (user, levels)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_announcement_goes_on_at_its_second(tmp_path: Path, workers: int) -> None:
    """Of two sources: a tone of a second is over long since when the worker dies in the other one."""
    routes = ['{to: "*50", answer_and_play: [{tone: busy, seconds: 1}, {file: steps}]}']
    switch = Switch(tmp_path, routes_of_own=routes, extra=EXTRA.format(workers=workers), expected_errors=LOST)
    prompts = switch.config / "prompts"
    prompts.mkdir(exist_ok=True)
    beat = np.arange(RATE) / RATE
    steps = np.concatenate([0.2 * np.sin(2 * np.pi * frequency * beat) for frequency in STEPS])
    soundfile.write(prompts / "steps.wav", steps, RATE, subtype="PCM_16")
    with switch, Phone(tmp_path, "101", switch.password("101"), switch.address, SILENT) as anna:
        anna.call("*50")
        anna.wait_event("CALL_ESTABLISHED")
        wait(5.2, "some seconds of it")
        kill_the_worker(switch, 1)
        anna.wait_event("CALL_CLOSED", 25)
        switch.wait_calls(0)
        [record] = wait_for(switch.cdrs, "a record")
        assert (record["cause"], record["ended_by"]) == ("16", "switch")
        files = sorted(anna.ear.glob("*-dec.wav"))
    samples = np.concatenate([read_wave(file) for file in files])
    heard = [heard_step(samples[at : at + RATE // 10]) for at in range(0, len(samples) - RATE // 10, RATE // 10)]
    tenths = {step: heard.count(step) for step in range(len(STEPS))}
    print(f"{workers} workers, {len(files)} files; tenths of a second of each step: {tenths}")
    # Nothing is left out, and all in its order; only what was heard last may be heard twice.
    order = [step for step in heard if step >= 0]
    assert sorted(set(order)) == list(range(len(STEPS)))
    assert sum(later < before for before, later in itertools.pairwise(order)) <= 1
    assert all(8 <= count <= 14 for count in tenths.values()), tenths
    assert 115 <= sum(tenths.values()) <= 124


def heard_step(samples: npt.NDArray[np.float64]) -> int:
    """Which second of the announcement this is of; -1: of none."""
    levels = [level_at(samples, frequency) for frequency in STEPS]
    best = int(np.argmax(levels))
    return best if levels[best] > -24 else -1

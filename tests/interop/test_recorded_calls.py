"""Recorded calls between real phones: what is on the channels of the file, for how long, and what is told of it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from harness.audio import RATE, Tone, level_at
from harness.baresip import Phone
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

F64 = npt.NDArray[np.float64]

LOW, HIGH = Tone(440.0, -12.0), Tone(1000.0, -18.0)
ALWAYS = FOR_SIPP + 'extensions:\n  "101": {record: always}\n'
FRAME = RATE // 50
APART = 40.0  # dB by which the other side's tone is below this one's on a channel
LOST = 1.1  # seconds that the death of a media process may cost
EDGE = 0.1  # seconds beside a change that are not looked at


def talk_until(switch: Switch, seconds: float) -> None:
    wait_for(lambda: (switch.status().calls[0].talking or 0) >= seconds, f"{seconds:g} s of talk", seconds + 10)


def recordings(switch: Switch) -> list[Path]:
    return sorted((switch.config / "var" / "recordings").rglob("*.wav"))


def described(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return content


def read(path: Path) -> F64:
    """(2, samples)"""
    samples, rate = soundfile.read(str(path), always_2d=True)
    assert (rate, samples.shape[1]) == (RATE, 2)
    return np.asarray(samples.T)


def heard(channel: F64, tone: Tone) -> npt.NDArray[np.bool_]:
    """Of each frame (20 ms): whether the tone is there at its level."""
    frames = channel[: len(channel) // FRAME * FRAME].reshape(-1, FRAME)
    return np.array([abs(level_at(frame, tone.frequency) - tone.level) < 1.5 for frame in frames])


def seconds_heard(samples: F64) -> tuple[float, float]:
    """Seconds of the caller's tone on the left, and of the called one's on the right."""
    left, right = heard(samples[0], LOW), heard(samples[1], HIGH)
    return np.count_nonzero(left) / 50, np.count_nonzero(right) / 50


def assert_apart(samples: F64) -> None:
    """Nobody is on the other one's channel."""
    for channel, mine, other in ((samples[0], LOW, HIGH), (samples[1], HIGH, LOW)):
        assert level_at(channel, mine.frequency) - level_at(channel, other.frequency) > APART


@pytest.mark.parametrize(
    ("workers", "codecs"), [(0, ("PCMA", "PCMA")), (1, ("PCMA", "PCMA")), (0, ("opus", "PCMU")), (1, ("G722", "opus"))]
)
def test_a_call_with_hold_and_pause_is_one_file(tmp_path: Path, workers: int, codecs: tuple[str, str]) -> None:
    """Talk, hold, talk, pause of the recording, talk: the file is as long as the call."""
    switch = Switch(tmp_path, extra=ALWAYS + f"media: {{workers: {workers}}}\n")
    with (
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW, codecs=codecs[:1]) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, HIGH, codecs=codecs[1:]) as ben,
    ):
        anna.call("102")
        anna.wait_event("CALL_ESTABLISHED")
        ben.wait_event("CALL_ESTABLISHED")
        call = switch.wait_calls(1).calls[0]
        talk_until(switch, 1.5)
        anna.press("hold")
        talk_until(switch, 3.0)
        anna.press("resume")
        talk_until(switch, 4.5)
        assert call.contact in switch.run_here("record", "pause", "102", "--config", str(switch.config))
        assert "paused" in switch.run_here("status", "--config", str(switch.config))
        paused_at = switch.status().calls[0].talking or 0.0
        talk_until(switch, 6.0)
        switch.run_here("record", "resume", call.contact, "--config", str(switch.config))
        resumed_at = switch.status().calls[0].talking or 0.0
        talk_until(switch, 7.5)
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        [record] = wait_for(switch.cdrs, "a call record")
        [path] = recordings(switch)
        told = switch.run_here("cdr", "--config", str(switch.config))
    assert record["recording"] == str(path)
    assert record["recording_failed"] == ""
    assert path.name[-20:] in told.replace("\n", "").replace(" ", "")
    samples, content = read(path), described(path)
    seconds = samples.shape[1] / RATE
    tones = "{:.2f} and {:.2f} s of tones".format(*seconds_heard(samples))
    print(f"{workers} workers, {codecs}: talked {record['billsec']} s, recorded {seconds} s, {tones}")
    assert seconds == pytest.approx(float(record["billsec"]), abs=0.2)
    assert (content["state"], content["file"], content["contact"]) == ("ended", path.name, call.contact)
    assert (content["seconds"], content["rate"], content["channels"]) == (seconds, RATE, 2)
    assert [(each["channel"], each["from"], each["to"]) for each in content["stretches"]] == [
        (0, 0.0, seconds),
        (1, 0.0, seconds),
    ]
    assert [(each["who"]["role"], each["who"]["extension"]) for each in content["stretches"]] == [
        ("caller", "101"),
        ("called", "102"),
    ]
    assert (content["call"]["caller"], content["call"]["dialled"]) == ("101", "102")
    [(begin, end)] = content["pauses"]
    assert (begin, end) == pytest.approx((paused_at, resumed_at), abs=0.2)
    assert not samples[:, round(begin * RATE) + FRAME : round(end * RATE) - FRAME].any()
    assert_apart(samples)
    hold = (1.5, 3.0)
    for channel, tone in zip(samples, (LOW, HIGH), strict=True):
        there = heard(channel, tone)
        for first, last in ((0.0, hold[0]), (hold[1], begin), (end, seconds)):
            part = there[round((first + EDGE) * 50) : round((last - EDGE) * 50)]
            assert part.mean() > 0.9, (tone, first, last)
        assert not there[round((hold[0] + EDGE) * 50) : round((hold[1] - EDGE) * 50)].any()


@pytest.mark.parametrize("workers", [0, 1])
def test_what_cannot_be_begun_is_said(tmp_path: Path, workers: int) -> None:
    """`softswitch record start` waits for the engine's word."""
    extra = FOR_SIPP + 'extensions:\n  "101": {record: on-demand}\n'
    no_room = f"media: {{workers: {workers}, recordings: {{minimum_free_mb: 1000000000000}}}}\n"
    switch = Switch(tmp_path, extra=extra + no_room, expected_errors=("recording failed",))
    with (
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, HIGH) as ben,
    ):
        anna.call("102")
        anna.wait_event("CALL_ESTABLISHED")
        ben.wait_event("CALL_ESTABLISHED")
        switch.wait_calls(1)
        refused = switch.run("record", "start", "101", "--config", str(switch.config), expect=1)
        assert "is not recorded: only" in refused.stderr
        assert "minimum_free_mb" in refused.stderr
        assert switch.status().calls[0].recording == ""
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)


@pytest.mark.parametrize("codecs", [("PCMA", "PCMA"), ("G722", "PCMA")])
def test_what_was_recorded_outlives_the_media_process(tmp_path: Path, codecs: tuple[str, str]) -> None:
    """kill -9 of the process that records: its file plays, and once the call has moved there is another."""
    expected = ("media worker lost", "recording failed")
    switch = Switch(tmp_path, extra=ALWAYS + "media: {workers: 1}\n", expected_errors=expected)
    with (
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, LOW, codecs=codecs[:1]) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, HIGH, codecs=codecs[1:]) as ben,
    ):
        anna.call("102")
        anna.wait_event("CALL_ESTABLISHED")
        ben.wait_event("CALL_ESTABLISHED")
        switch.wait_calls(1)
        talk_until(switch, 4.3)
        [worker] = switch.status().media.workers
        os.kill(worker.process, signal.SIGKILL)
        killed_at = switch.status().calls[0].talking or 0.0
        [first] = recordings(switch)
        last = wait_for(lambda: [path for path in recordings(switch) if path != first], "a second recording")[0]
        talk_until(switch, killed_at + 5.0)
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        [record] = wait_for(switch.cdrs, "a call record")
    samples, rest = read(first), read(last)
    seconds = samples.shape[1] / RATE
    print(f"killed after {killed_at:.2f} s: {seconds} s play; then {rest.shape[1] / RATE} s of {record['billsec']}")
    assert killed_at - LOST <= seconds <= killed_at + 0.1
    for each, length in ((samples, seconds), (rest, rest.shape[1] / RATE)):
        assert_apart(each)
        assert min(seconds_heard(each)) > length - 0.3
    # The next process has told of it.
    assert described(first)["state"] == "interrupted"
    assert described(first)["seconds"] == pytest.approx(seconds, abs=0.001)
    assert described(last)["state"] == "ended"
    assert record["recording"] == f"{first}, {last}"
    assert "media worker media-0 lost" in record["recording_failed"]
    assert record["cause"] == "16"

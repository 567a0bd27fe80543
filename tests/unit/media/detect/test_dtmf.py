"""In-band digits at the corners of ITU-T Q.24, from the conditions of `tests/bench/detection_table.py`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[4]))

from media.detect.columns import FRAME
from media.detect.dtmf import DIGITS, DtmfDetector
from tests.bench.detection_table import CORNERS, PLAIN, Condition, any_heard, cost, detected, heard, signals

ACCEPTED = {
    "all digits": PLAIN,
    "-3 dBm0": replace(PLAIN, level=-3),
    "-25 dBm0": replace(PLAIN, level=-25),
    "high +4 dB": replace(PLAIN, twist=4),
    "high -8 dB": replace(PLAIN, twist=-8),
    "+1.5 %": replace(PLAIN, low_offset=0.015, high_offset=0.015),
    "-1.5 %": replace(PLAIN, low_offset=-0.015, high_offset=-0.015),
    "40 ms": replace(PLAIN, duration_ms=40),
    "pause of 40 ms": replace(PLAIN, duration_ms=40, pause_ms=40),
    "15 dB of noise": replace(PLAIN, snr=15),
} | CORNERS
REJECTED = {
    "-29 dBm0": replace(PLAIN, level=-29),
    "20 ms": replace(PLAIN, duration_ms=20),
    "low +3.5 %": replace(PLAIN, low_offset=0.035),
    "low -3.5 %": replace(PLAIN, low_offset=-0.035),
    "high +3.5 %": replace(PLAIN, high_offset=0.035),
    "high -3.5 %": replace(PLAIN, high_offset=-0.035),
    "high +8 dB": replace(PLAIN, twist=8),
    "high -12 dB": replace(PLAIN, twist=-12),
    "hardly more than noise": replace(PLAIN, level=-10, snr=-20),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_must_be_accepted_is_heard_once(name: str) -> None:
    assert detected(ACCEPTED[name], times=8) == 1.0


@pytest.mark.parametrize("name", REJECTED)
def test_what_must_be_rejected_is_not_heard(name: str) -> None:
    assert any_heard(REJECTED[name], times=8) == 0.0


@pytest.mark.parametrize("milliseconds", [2, 5, 10])
def test_an_interruption_of_ten_milliseconds_is_bridged(milliseconds: int) -> None:
    samples, digits = signals(replace(PLAIN, pause_ms=milliseconds), np.random.default_rng(3))
    assert [[d for d, _ in row] for row in heard(samples)] == [[digit] for digit in digits]


@pytest.mark.parametrize("milliseconds", [40, 73, 100, 500])
def test_the_duration_is_right_to_ten_milliseconds(milliseconds: int) -> None:
    samples, _ = signals(Condition(duration_ms=milliseconds), np.random.default_rng(2))
    assert all(abs(duration - milliseconds) <= 10 for row in heard(samples) for _, duration in row)


def test_a_digit_that_another_follows_without_pause_is_heard() -> None:
    first, digits = signals(Condition(duration_ms=60), np.random.default_rng(4), 1)
    second = np.roll(first, 1, axis=0)
    # Each trial has its own place in the frame: cut each where its tone ends.
    for row, (one, other) in enumerate(zip(first, second, strict=True)):
        ends = int(np.flatnonzero(one)[-1]) + 1
        tone = other[other.nonzero()[0][0] :][: 60 * 8]
        one[ends : ends + len(tone)] = tone
        first[row] = one
    found = heard(first)
    assert [[d for d, _ in row] for row in found] == [[digits[n], digits[n - 1]] for n in range(16)]


def test_rows_are_apart_and_a_row_can_be_made_new() -> None:
    samples, digits = signals(PLAIN, np.random.default_rng(5), 1)
    detector = DtmfDetector()
    rows = np.arange(16, dtype=np.int64) * 100  # more than there are at first
    ended = []
    for at in range(0, samples.shape[1], FRAME):
        frames = samples[:, at : at + FRAME].astype(np.int16)
        # Rows in any order, and not the same ones each time; row 0 is made new all along.
        order = np.roll(np.arange(16), at // FRAME)
        detector.reset(0)
        ended += detector.process(rows[order[:8]], frames[order[:8]])
        ended += detector.process(rows[order[8:]], frames[order[8:]])
        if detector.heard(rows).any():
            assert not detector.heard(np.array([1, 50, 2000])).any()
    assert sorted(row for row, _, _ in ended) == rows[1:].tolist()
    assert {row: digit for row, digit, _ in ended} == {int(rows[n]): digits[n] for n in range(1, 16)}
    assert detector.process(rows[:0], samples[:0, :FRAME]) == []
    detector.reset(10**6)


def test_single_tones_are_no_digits() -> None:
    n = np.arange(FRAME * 20)
    for frequency in range(300, 3400, 25):
        wave = (10_000 * np.sin(2 * np.pi * frequency / 8000 * n)).astype(np.float32)
        assert heard(wave[None]) == [[]]


def test_the_letters_stand_where_the_keys_are() -> None:
    """ITU-T Q.23: 697 and 1209 Hz are 1; 941 and 1336 Hz are 0; 852 and 1633 Hz are C."""
    n = np.arange(FRAME * 6)
    for digit, low, high in (("1", 697, 1209), ("0", 941, 1336), ("C", 852, 1633), ("#", 941, 1477)):
        wave = 5000 * (np.sin(2 * np.pi * low / 8000 * n) + np.sin(2 * np.pi * high / 8000 * n))
        found = heard(np.concatenate((wave, np.zeros(480)))[None].astype(np.float32))
        assert [d for d, _ in found[0]] == [digit]
    assert sorted(DIGITS) == sorted("0123456789*#ABCD")


def test_it_costs_less_than_three_microseconds_a_row_and_frame() -> None:
    """With digits on every row at once, which no line does, twice that at most."""
    quiet, busy = np.min([cost(frames=50) for _ in range(3)], axis=0)
    assert quiet < 3.0
    assert busy < 6.0

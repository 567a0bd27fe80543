"""Automatic gain: what it follows, how fast, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from media.automatic_gain import LEAST, MOST, TARGET, AutomaticGain

N = 160


def tone(level: float, index: int = 0) -> np.ndarray:
    """RMS `level`."""
    t = np.arange(N) + index * N
    return (level * np.sqrt(2) * np.sin(2 * np.pi * 500 * t / 8000)).astype(np.float32)


def run(gain: AutomaticGain, level: float, frames: int, row: int = 0) -> np.ndarray:
    return np.concatenate([gain.apply(np.array([row]), tone(level, index)[None].copy())[0] for index in range(frames)])


def rms(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(sound.astype(float) ** 2)))


@pytest.mark.parametrize("level", [TARGET / 3, TARGET / 1.5, TARGET, TARGET * 1.5, TARGET * 3])
def test_a_voice_comes_to_the_target(level: float) -> None:
    assert rms(run(AutomaticGain(), level, 400)[-N * 50 :]) == pytest.approx(TARGET, rel=0.02)


def test_the_gain_has_bounds() -> None:
    assert rms(run(AutomaticGain(), TARGET / 9, 600)[-N:]) == pytest.approx(TARGET / 9 * MOST, rel=0.01)
    assert rms(run(AutomaticGain(), TARGET * 9, 600)[-N:]) == pytest.approx(TARGET * 9 * LEAST, rel=0.01)


def test_silence_is_not_raised_and_changes_nothing() -> None:
    gain = AutomaticGain()
    run(gain, TARGET / 3, 300)
    before = rms(run(gain, TARGET / 3, 1))
    assert rms(run(gain, 60.0, 500)) == pytest.approx(60.0 * before / (TARGET / 3), rel=0.01)
    assert rms(run(gain, TARGET / 3, 1)) == pytest.approx(before, rel=0.01)


def test_downwards_is_faster_than_upwards() -> None:
    up, down = AutomaticGain(), AutomaticGain()
    raised = rms(run(up, TARGET / 3.9, 51)[-N:]) / (TARGET / 3.9)
    lowered = rms(run(down, TARGET * 3.9, 26)[-N:]) / (TARGET * 3.9)
    assert 20 * np.log10(raised) == pytest.approx(3.0, abs=0.1)
    assert 20 * np.log10(lowered) == pytest.approx(-10.2, abs=0.5)


def test_a_change_of_gain_makes_no_step() -> None:
    sound = run(AutomaticGain(), TARGET * 3, 50)
    steps = np.abs(np.diff(sound.astype(float)))
    # The steepest slope of the tone itself.
    assert steps.max() <= TARGET * 3 * np.sqrt(2) * 2 * np.pi * 500 / 8000 * 1.01


def test_rows_are_apart_and_begin_anew_when_reset() -> None:
    gain = AutomaticGain()
    run(gain, TARGET / 3, 200, row=3)
    assert rms(run(gain, TARGET / 3, 1, row=500)) == pytest.approx(TARGET / 3, rel=0.01)
    gain.reset(3)
    assert rms(run(gain, TARGET / 3, 1, row=3)) == pytest.approx(TARGET / 3, rel=0.01)
    frames = gain.apply(np.array([3, 500]), np.stack([tone(900.0), tone(0.0)]))
    assert rms(frames[0]) > 800
    assert not frames[1].any()

"""Speech and silence on noise whose level is known; real voices are in tests/interop/test_voices.py."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest

from media.detect.columns import FRAME
from media.detect.speech import ATTACK, FLOOR_FRAMES, HANGOVER, SILENCE_LEVEL, SpeechDetector

F32 = npt.NDArray[np.float32]
ROW = np.array([70], np.int64)  # beyond the first growth


def noise(frames: int, dbov: float, seed: int = 1) -> F32:
    wave = np.random.default_rng(seed).normal(0, 32768 * 10 ** (dbov / 20), (frames, FRAME))
    return np.clip(wave, -32768, 32767).astype(np.float32)


def sine(frames: int, frequency: float, dbov: float) -> F32:
    n = np.arange(frames * FRAME)
    wave = np.sqrt(2) * 32768 * 10 ** (dbov / 20) * np.sin(2 * np.pi * frequency / 8000 * n)
    return wave.reshape(frames, FRAME).astype(np.float32)


def changes(frames: F32, detector: SpeechDetector | None = None) -> list[tuple[int, bool]]:
    """(frame, talking) of each change."""
    detector = detector or SpeechDetector()
    found = []
    for n, frame in enumerate(frames):
        started, ended = detector.process(ROW, frame[None])
        found += [(n, True) for _ in started] + [(n, False) for _ in ended]
    return found


def test_speech_begins_after_the_attack_and_ends_after_the_hangover() -> None:
    line = np.concatenate((noise(100, -60), noise(50, -20), noise(100, -60)))
    assert changes(line) == [(100 + ATTACK - 1, True), (150 + HANGOVER - 1, False)]


def test_a_click_is_no_speech_and_a_short_gap_no_end() -> None:
    click = np.concatenate((noise(100, -60), noise(ATTACK - 1, -10), noise(100, -60)))
    assert changes(click) == []
    gap = np.concatenate((noise(20, -60), noise(20, -20), noise(HANGOVER - 1, -60), noise(20, -20)))
    assert len(changes(gap)) == 1


@pytest.mark.parametrize("frequency", [50, 60])
def test_hum_and_dc_are_no_speech(frequency: float) -> None:
    assert changes(np.concatenate((noise(100, -60), sine(100, frequency, -20)))) == []
    assert changes(np.concatenate((noise(100, -60), noise(100, -60) + 3000))) == []


def test_a_noise_that_begins_is_silence_two_seconds_later() -> None:
    line = np.concatenate((noise(100, -65), noise(300, -35)))
    begins, ends = changes(line)
    assert begins[1]
    assert not ends[1]
    assert ends[0] <= 100 + 2 * FLOOR_FRAMES + HANGOVER
    # And speech over it is heard.
    assert changes(np.concatenate((line, noise(20, -25))))[-1] == (400 + ATTACK - 1, True)


def test_what_is_too_quiet_is_no_speech() -> None:
    assert changes(np.concatenate((noise(100, -90), noise(100, -55)))) == []


def test_levels_are_dbov() -> None:
    detector = SpeechDetector()
    rows = np.array([3, 1, 2], np.int64)
    square = np.where(np.arange(FRAME) % 8 < 4, 32767, -32768)
    frames = np.array([square, np.zeros(FRAME), sine(1, 1000, -20)[0]]).astype(np.int16)
    detector.process(rows, frames)
    assert detector.level[rows] == pytest.approx([0, SILENCE_LEVEL, -20], abs=0.05)
    assert detector.active[rows].tolist() == [True, False, True]


def test_rows_are_apart_and_can_be_made_new() -> None:
    detector = SpeechDetector()
    rows = np.arange(8, dtype=np.int64)
    loud, quiet = noise(1, -20)[0], noise(1, -70)[0]
    for n in range(10):
        frames = np.array([loud if row % 2 else quiet for row in rows])
        started, ended = detector.process(rows, frames)
        assert started.tolist() == ([1, 3, 5, 7] if n == ATTACK - 1 else [])
        assert not len(ended)
    detector.reset(3)
    assert detector.talking[rows].tolist() == [False, True, False, False, False, True, False, True]
    assert [len(part) for part in detector.process(rows[:0], noise(0, -20))] == [0, 0]


def cost(rows: int = 512, frames: int = 100) -> float:
    """CPU microseconds a row and frame."""
    detector = SpeechDetector()
    line = noise(rows, -40)
    numbers = np.arange(rows, dtype=np.int64)
    begin = time.process_time()
    for _ in range(frames):
        detector.process(numbers, line)
    return (time.process_time() - begin) / rows / frames * 1e6


def test_it_costs_less_than_half_a_microsecond_a_row_and_frame() -> None:
    """0.3 where nothing else runs; a core that is shared with others takes more."""
    assert min(cost() for _ in range(5)) < 0.75

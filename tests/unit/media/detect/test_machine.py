"""Cues of answering machines, on bursts whose place is known; real voices are in tests/interop/test_voices.py."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest

from media.detect.columns import FRAME
from media.detect.machine import (
    AFTER_GREETING,
    BEEP,
    GREETING,
    INITIAL_SILENCE,
    PAUSE,
    WORD,
    Cue,
    Lengths,
    MachineDetector,
)

F32 = npt.NDArray[np.float32]
ROW = 70
NOISE = np.random.default_rng(1).normal(0, 1000, FRAME).astype(np.float32)


def heard(pattern: str, lengths: Lengths | None = None) -> list[tuple[str, float, float]]:
    """`pattern`: a character a frame, `#` speech, `.` silence, a letter: a tone (a: 500 Hz, 500 more each)."""
    detector = MachineDetector(lengths)
    told: list[Cue] = []
    for n, kind in enumerate(pattern):
        frame = NOISE
        if kind.isalpha():
            frequency = 500 * (ord(kind) - ord("a") + 1)
            frame = (5000 * np.sin(2 * np.pi * frequency / 8000 * (np.arange(FRAME) + n * FRAME))).astype(np.float32)
        told += detector.process(np.array([ROW]), frame[None], np.array([kind != "."]))
    assert {row for row, *_ in told} <= {ROW}
    return [(what, round(at, 2), round(seconds, 2)) for _, what, at, seconds in told]


def test_a_person_says_a_word_and_waits() -> None:
    assert heard("." * 25 + "#" * 20 + "." * 60) == [
        (INITIAL_SILENCE, 0.0, 0.5),
        (WORD, 0.5, 0.4),
        (GREETING, 0.5, 0.4),
        (AFTER_GREETING, 0.9, 0.8),
    ]


def test_a_machine_talks_for_long_and_beeps() -> None:
    told = heard("." * 10 + ("#" * 30 + "." * 10) * 4 + "." * 20 + "b" * 20 + "." * 30)
    assert [what for what, _, _ in told] == [
        INITIAL_SILENCE, WORD, PAUSE, WORD, PAUSE, GREETING, WORD, PAUSE, WORD, GREETING, AFTER_GREETING, BEEP,
    ]  # fmt: skip
    assert (PAUSE, 0.8, 0.2) in told
    assert (WORD, 1.0, 0.6) in told
    assert [entry for entry in told if entry[0] == GREETING] == [(GREETING, 0.2, 2.0), (GREETING, 0.2, 3.0)]
    assert (BEEP, 3.8, 0.4) in told
    assert (AFTER_GREETING, 3.2, 1.2) not in told, "it is told when it has lasted 0.8 s"
    assert (AFTER_GREETING, 3.2, 0.8) in told


def test_a_long_initial_silence_is_told_while_it_lasts_and_at_its_end() -> None:
    told = heard("." * 200 + "#" * 10)
    assert told == [(INITIAL_SILENCE, 0.0, 2.5), (INITIAL_SILENCE, 0.0, 4.0)]


def test_speech_from_the_first_frame_is_an_initial_silence_of_nothing() -> None:
    assert heard("#" * 10)[0] == (INITIAL_SILENCE, 0.0, 0.0)


def test_short_gaps_are_part_of_a_word_and_short_bursts_are_none() -> None:
    assert heard("....." + ("###" + "....") * 4 + "." * 3) == [(INITIAL_SILENCE, 0.0, 0.1), (WORD, 0.1, 0.48)]
    assert heard(("##" + "." * 10) * 5) == []


def test_a_greeting_may_follow_another_after_a_long_silence() -> None:
    told = heard("#" * 10 + "." * 50 + "#" * 10 + "." * 50)
    assert [entry for entry in told if entry[0] in (GREETING, PAUSE)] == [
        (GREETING, 0.0, 0.2),
        (PAUSE, 0.2, 1.0),
        (GREETING, 1.2, 0.2),
    ]


@pytest.mark.parametrize(
    ("pattern", "beeps"),
    [
        ("#" * 10 + "." * 10 + "aaa" + "." * 5, [(BEEP, 0.4, 0.06)]),
        ("#" * 10 + "." * 10 + "aa" + "." * 5, []),
        ("#" * 10 + "e" * 150 + ".", [(BEEP, 0.2, 3.0)]),
        ("#" * 10 + "b" * 160 + ".", []),
        ("#" * 10 + "abcdabcdabcd.", []),
        ("#" * 10 + "." * 10 + "ffff" + "." * 5, []),
        ("." * 10 + "b" * 20 + "." * 10, []),
    ],
    ids=["60 ms whole", "too short", "3 s", "too long", "a melody", "3000 Hz", "nobody spoke before"],
)
def test_a_beep_is_a_steady_tone_after_speech(pattern: str, beeps: list[tuple[str, float, float]]) -> None:
    assert [entry for entry in heard(pattern) if entry[0] == BEEP] == beeps


def test_lengths_can_be_set() -> None:
    lengths = Lengths(word=0.04, pause=0.06, after_greeting=0.4, long_initial=0.2, long_greeting=0.5)
    told = heard("." * 15 + "##" + "..." + "##" + "." * 30, lengths)
    assert told == [
        (INITIAL_SILENCE, 0.0, 0.2),
        (INITIAL_SILENCE, 0.0, 0.3),
        (WORD, 0.3, 0.04),
        (PAUSE, 0.34, 0.06),
        (WORD, 0.4, 0.04),
        (GREETING, 0.3, 0.14),
        (AFTER_GREETING, 0.44, 0.4),
    ]


def test_rows_are_apart_and_can_be_made_new() -> None:
    detector = MachineDetector()
    rows = np.array([2, 5], np.int64)
    frames = np.array([NOISE, NOISE])
    told = []
    for n in range(40):
        if n == 20:
            detector.reset(2)
        told += detector.process(rows, frames, np.array([n < 30, n >= 10]))
    began = [(row, round(at, 2), round(seconds, 2)) for row, what, at, seconds in told if what == INITIAL_SILENCE]
    assert began == [(2, 0.0, 0.0), (5, 0.0, 0.2), (2, 0.0, 0.0)]
    assert [(row, round(s, 2)) for row, what, _, s in told if what == WORD] == [(2, 0.2)]
    assert detector.process(rows[:0], frames[:0], np.zeros(0, np.bool_)) == []


def cost(rows: int = 256, frames: int = 50) -> float:
    """CPU microseconds a row and frame, of rows that are listened to."""
    detector = MachineDetector()
    noise = np.random.default_rng(1).normal(0, 1000, (rows, FRAME)).astype(np.float32)
    numbers = np.arange(rows, dtype=np.int64)
    begin = time.process_time()
    for n in range(frames):
        detector.process(numbers, noise, np.full(rows, n // 10 % 2 == 0))
    return (time.process_time() - begin) / rows / frames * 1e6


def test_it_costs_less_than_five_microseconds_a_row_and_frame() -> None:
    assert min(cost() for _ in range(3)) < 5.0

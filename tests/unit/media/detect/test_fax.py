"""CNG and CED at the limits of ITU-T T.30, and what sounds like them."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest

from media.detect.columns import FRAME
from media.detect.dtmf import HIGH, LOW
from media.detect.fax import CED, CNG, FaxDetector

F64 = npt.NDArray[np.float64]


def tone(frequency: float, seconds: float, level: float = -15.0) -> F64:
    """Level in dBm0."""
    n = np.arange(round(seconds * 8000))
    wave: F64 = 32768 * 10 ** ((level - 3.14) / 20) * np.sin(2 * np.pi * frequency / 8000 * n + 1)
    return wave


def silence(seconds: float) -> F64:
    return np.zeros(round(seconds * 8000))


def heard(*parts: F64, snr: float | None = None, shifts: int = 8) -> list[list[tuple[str, float]]]:
    """(tone, second) that is heard, at eight places of the frame; seconds count from the first sample."""
    wave = np.concatenate((*parts, silence(0.5)))
    if snr is not None:
        noise = np.sqrt(np.square(wave[wave != 0]).mean() / 10 ** (snr / 10))
        wave = wave + np.random.default_rng(1).normal(0, noise, wave.shape)
    leads = [20 * n for n in range(shifts)]
    length = -(-(len(wave) + leads[-1]) // FRAME) * FRAME
    lines = np.array([np.pad(wave, (lead, length - len(wave) - lead)) for lead in leads]).astype(np.int16)
    detector = FaxDetector()
    rows = np.arange(shifts, dtype=np.int64) + 60  # across the first growth
    found: list[list[tuple[str, float]]] = [[] for _ in leads]
    for at in range(0, length, FRAME):
        for row, what in detector.process(rows, lines[:, at : at + FRAME]):
            found[row - 60].append((what, (at + FRAME - leads[row - 60]) / 8000))
    return found


def kinds(*parts: F64, snr: float | None = None) -> set[tuple[str, ...]]:
    return {tuple(what for what, _ in row) for row in heard(*parts, snr=snr)}


@pytest.mark.parametrize("seconds", [0.425, 0.5, 0.575])
@pytest.mark.parametrize("offset", [-38, 0, 38])
def test_cng_is_heard_within_its_limits(offset: float, seconds: float) -> None:
    for level in (-43 + 1, -10):
        assert kinds(silence(0.3), tone(1100 + offset, seconds, level), silence(3)) == {(CNG,)}
    assert kinds(silence(0.3), tone(1100 + offset, seconds), silence(3), snr=15) == {(CNG,)}


def test_every_burst_of_cng_is_told_200_ms_after_it() -> None:
    burst = (tone(1100, 0.5), silence(3.0))
    for row in heard(silence(1), *burst, *burst):
        assert [what for what, _ in row] == [CNG, CNG]
        assert [at for _, at in row] == pytest.approx([1.71, 5.21], abs=0.03)


@pytest.mark.parametrize("seconds", [0.1, 0.3, 0.395, 0.605, 1.0, 5.0])
def test_a_tone_too_short_or_too_long_is_no_cng(seconds: float) -> None:
    assert kinds(silence(0.3), tone(1100, seconds), silence(1)) == {()}


@pytest.mark.parametrize("frequency", [950, 1020, 1040, 1160, 1209, 2200, 3300])
def test_another_frequency_is_no_cng(frequency: float) -> None:
    assert kinds(silence(0.3), tone(frequency, 0.5), silence(1)) == {()}


def test_a_gap_of_lost_packets_is_bridged() -> None:
    assert kinds(tone(1100, 0.2), silence(0.01), tone(1100, 0.29), silence(1)) == {(CNG,)}


@pytest.mark.parametrize("offset", [-15, 0, 15])
def test_ced_is_told_once_after_half_a_second(offset: float) -> None:
    for row in heard(silence(0.3), tone(2100 + offset, 3.0), silence(1), tone(2100 + offset, 3.0), snr=15):
        assert [what for what, _ in row] == [CED, CED]
        assert row[0][1] == pytest.approx(0.8, abs=0.03)
    assert kinds(tone(2100 + offset, 0.45)) == {()}


def test_ansam_is_ced() -> None:
    """V.8: phase reversals every 450 ms, amplitude modulated by a fifth with 15 Hz."""
    n = np.arange(8000 * 3)
    turns = 1 - 2 * (n // 3600 % 2)
    wave = tone(2100, 3.0) * turns * (1 + 0.2 * np.sin(2 * np.pi * 15 / 8000 * n))
    assert kinds(silence(0.2), wave) == {(CED,)}


def test_digits_are_no_fax() -> None:
    parts = [part for low in LOW for high in HIGH for part in (tone(low, 0.5) + tone(high, 0.5), silence(0.1))]
    assert kinds(*parts) == {()}


def test_music_is_no_fax() -> None:
    """A melody that touches C sharp 6 (1109 Hz) for half a second, as sines; and with harmonics up to C7 (2093 Hz)."""
    notes = [880.0, 1108.7, 987.8, 1108.7, 1318.5, 1046.5, 1108.7, 740.0]
    assert kinds(*(tone(note, 0.5) for note in notes)) == {()}
    rich = [sum(tone(note * h, 0.5, -15 - 6 * h) for h in (1, 2, 3)) for note in (1108.7, 1046.5, 523.25, 2093.0 / 3)]
    assert kinds(*(part for note in rich for part in (np.asarray(note), silence(0.5)))) == {()}


def test_rows_are_made_new() -> None:
    detector = FaxDetector()
    rows = np.array([5], np.int64)
    wave = tone(2100, 1.0).astype(np.float32).reshape(-1, FRAME)
    found = []
    for n, frame in enumerate(wave):
        if n == 20:
            detector.reset(5)
        found += [n for _ in detector.process(rows, frame[None])]
    assert found == [pytest.approx(45, abs=1)]
    assert detector.process(rows[:0], wave[:0]) == []


def cost(rows: int = 512, frames: int = 100) -> float:
    """CPU microseconds a row and frame."""
    detector = FaxDetector()
    noise = np.random.default_rng(1).normal(0, 1000, (rows, FRAME)).astype(np.float32)
    numbers = np.arange(rows, dtype=np.int64)
    begin = time.process_time()
    for _ in range(frames):
        detector.process(numbers, noise)
    return (time.process_time() - begin) / rows / frames * 1e6


def test_it_costs_less_than_two_microseconds_a_row_and_frame() -> None:
    assert min(cost() for _ in range(3)) < 2.0

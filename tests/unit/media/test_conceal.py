"""Packet loss concealment in the manner of ITU-T G.711 Appendix I."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from media.conceal import Concealer
from media.conceal_loop import MOST_SEARCHES

Samples = npt.NDArray[np.int16]


def voiced(seconds: float, rate: int = 8000, pitch: float = 110.0, level: float = 6000.0) -> Samples:
    """A vowel: harmonics of a pitch, falling by 6 dB an octave."""
    t = np.arange(round(seconds * rate)) / rate
    sound = sum(np.cos(2 * np.pi * pitch * k * t + k * k) / k for k in range(1, 12))
    return (level * sound / np.abs(sound).max()).astype(np.int16)


def heard(signal: Samples, lost: npt.NDArray[np.bool_], rate: int = 8000) -> Samples:
    """What is played when the samples `lost` are missing."""
    n = rate // 50
    concealer = Concealer(rate)
    rows = np.array([3])
    concealer.reset(3)
    out = []
    for at in range(0, len(signal) - n + 1, n):
        holes = lost[at : at + n][None]
        frame = np.where(holes, 0, signal[at : at + n]).astype(np.int16)
        missing = holes.any(axis=1)
        concealer.conceal(rows, frame, missing, holes[missing])
        concealer.heard(rows, frame)
        out.append(frame[0])
    return np.concatenate(out)


def gone(signal: Samples, *spans: tuple[int, int]) -> npt.NDArray[np.bool_]:
    lost = np.zeros(len(signal), np.bool_)
    for begin, end in spans:
        lost[begin:end] = True
    return lost


def rms(samples: npt.NDArray[np.generic]) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("pitch", [80.0, 110.0, 150.0, 190.0])
def test_a_lost_frame_of_a_vowel_is_hardly_different(rate: int, pitch: float) -> None:
    n = rate // 50
    signal = voiced(0.3, rate, pitch)
    played = heard(signal, gone(signal, (6 * n, 7 * n)), rate)
    span = slice(6 * n, 6 * n + n // 2)
    error = rms(played[span].astype(np.int32) - signal[span])
    assert error < 0.25 * rms(signal[span])


def test_full_level_for_10_ms_then_20_percent_less_every_10_ms_silence_after_60() -> None:
    signal = voiced(0.5, pitch=100.0)
    played = heard(signal, gone(signal, (1600, 2600)))
    whole = rms(signal[:1600])
    tenths = [rms(played[1600 + 80 * k : 1680 + 80 * k]) / whole for k in range(9)]
    assert tenths[:7] == pytest.approx([1.0, 0.9, 0.7, 0.5, 0.3, 0.1, 0.0], abs=0.05)
    assert tenths[6:] == [0.0, 0.0, 0.0]


def test_nothing_lost_nothing_changed() -> None:
    signal = voiced(0.2)
    assert (heard(signal, gone(signal)) == signal[:1600]).all()


def test_no_step_where_the_erasure_begins_nor_where_it_ends() -> None:
    signal = voiced(0.5, pitch=123.0)
    steps = np.abs(np.diff(signal.astype(np.int32))).max()
    for length in (160, 320, 480, 800):
        played = heard(signal, gone(signal, (1600, 1600 + length)))
        assert np.abs(np.diff(played.astype(np.int32))).max() < 1.6 * steps


def test_real_samples_are_faded_in_for_10_ms_at_most() -> None:
    signal = voiced(0.5)
    played = heard(signal, gone(signal, (1600, 2080)))
    assert (played[2080:2160] != signal[2080:2160]).any()
    assert (played[2160:] == signal[2160 : len(played)]).all()


def test_samples_missing_in_the_midst_of_a_frame() -> None:
    signal = voiced(0.5)
    played = heard(signal, gone(signal, (1640, 1720), (2000, 2080), (2090, 2100), (2400, 2440)))
    assert (played[:1640] == signal[:1640]).all()
    assert (played[1800:2000] == signal[1800:2000]).all()
    for begin, end in ((1640, 1720), (2000, 2080), (2400, 2440)):
        assert rms(played[begin:end]) > 0.5 * rms(signal[begin:end])
    steps = np.abs(np.diff(signal.astype(np.int32))).max()
    assert np.abs(np.diff(played.astype(np.int32))).max() < 1.6 * steps


def test_silence_is_concealed_by_silence_and_the_loudest_is_not_exceeded() -> None:
    silence = np.zeros(3200, np.int16)
    assert not heard(silence, gone(silence, (1600, 1760))).any()
    loud = voiced(0.3, level=32767.0)
    played = heard(loud, gone(loud, (800, 960)))
    assert played.min() >= -32767


def test_rows_do_not_touch_one_another() -> None:
    signal = voiced(0.3)
    noise = (np.random.default_rng(5).standard_normal(2400) * 2000).astype(np.int16)
    concealer = Concealer(8000)
    rows = np.array([40, 7])
    for row in rows:
        concealer.reset(int(row))
    for at in range(0, 2240, 160):
        frames = np.stack((signal[at : at + 160], noise[at : at + 160]))
        lost = at == 1600
        holes = np.ones((int(lost), 160), np.bool_)
        if lost:
            frames[0] = 0
        concealer.conceal(rows, frames, np.array([lost, False]), holes)
        concealer.heard(rows, frames)
        assert (frames[1] == noise[at : at + 160]).all()
        if lost:
            alone = heard(signal, gone(signal, (1600, 1760)))
            assert (frames[0] == alone[1600:1760]).all()


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_many_rows_are_concealed_as_each_is_alone(rate: int) -> None:
    """Losses of one sample to eight frames, on frames' borders and within them; rows in another order every tick."""
    rng = np.random.default_rng(rate)
    n, count, ticks = rate // 50, 12, 60
    signals = np.stack([voiced(ticks / 50, rate, 70.0 + 11 * row, 300.0 * (row + 1)) for row in range(count)])
    lost = np.zeros(signals.shape, np.bool_)
    for row in range(count):
        at = 0
        while at < ticks * n:
            at += int(rng.integers(1, 4 * n))
            length = int(rng.choice([1, n // 4, n, int(rng.integers(1, 8 * n))]))
            lost[row, at : at + length] = True
            at += length
    concealer = Concealer(rate)
    numbers = rng.permutation(50)[:count]
    for number in numbers:
        concealer.reset(int(number))
    played = np.zeros_like(signals)
    for at in range(0, ticks * n, n):
        order = rng.permutation(count)
        holes = lost[order, at : at + n]
        frames = np.where(holes, 0, signals[order, at : at + n]).astype(np.int16)
        missing = holes.any(axis=1)
        concealer.conceal(numbers[order], frames, missing, holes[missing])
        concealer.heard(numbers[order], frames)
        played[order, at : at + n] = frames
    for row in range(count):
        assert (played[row] == heard(signals[row], lost[row], rate)).all()
    assert (played != np.where(lost, 0, signals)).any(axis=1).all()


def test_where_everybody_loses_a_frame_the_last_pitches_do() -> None:
    """What is sought in a call is bounded; the rows beyond are concealed all the same."""
    count, n = MOST_SEARCHES + 40, 160
    concealer = Concealer(8000)
    rows = np.arange(count)
    voice = (8000 * np.sin(2 * np.pi * 125 * np.arange(10 * n) / 8000)).astype(np.int16)
    for row in rows.tolist():
        concealer.reset(row)
    for k in range(9):
        heard = np.tile(voice[k * n : k * n + n], (count, 1))
        concealer.heard(rows, heard)
    lost = np.zeros((count, n), np.int16)
    concealer.conceal(rows, lost, np.ones(count, np.bool_), np.ones((count, n), np.bool_))
    energy = (lost.astype(float) ** 2).mean(axis=1)
    assert np.abs(lost[: MOST_SEARCHES - 1] - lost[0]).max() <= 1
    assert (lost[MOST_SEARCHES:] != lost[0]).any()
    assert energy[MOST_SEARCHES:].min() > 0.25 * energy[0]


def test_an_erasure_without_end_stays_silent_and_what_follows_is_heard() -> None:
    signal = voiced(4.0)
    played = heard(signal, gone(signal, (1600, 24000)))
    assert not played[1600 + 480 : 24000].any()
    assert (played[24080:] == signal[24080:]).all()


def test_a_row_begun_anew_remembers_nothing() -> None:
    signal = voiced(0.1)
    concealer = Concealer(8000)
    rows = np.array([0])
    concealer.heard(rows, signal[None, :160])
    concealer.reset(0)
    frame = np.zeros((1, 160), np.int16)
    concealer.conceal(rows, frame, np.array([True]), np.ones((1, 160), np.bool_))
    assert not frame.any()


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="11025"):
        Concealer(11025)

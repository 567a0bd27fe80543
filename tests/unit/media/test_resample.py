"""Rows between 8000 and 16000 Hz: the filter's figures, and that frames join without a seam."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from media.resample import DELAY, FRAME, Doubler, Halver, convert, half_band

F32 = npt.NDArray[np.float32]
ROW = np.array([0])


def decibels(taps: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    response = np.abs(np.fft.rfft(taps, 1 << 14))
    hertz = np.fft.rfftfreq(1 << 14, 1 / 16000)
    return 20 * np.log10(response[(hertz >= low) & (hertz <= high)] + 1e-12)


def noise(rows: int, samples: int, seed: int = 1) -> F32:
    return np.random.default_rng(seed).standard_normal((rows, samples)).astype(np.float32)


def tone(rate: int, hertz: float, frames: int = 50) -> F32:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(frames * rate // 50) / rate)).astype(np.float32)


def up(samples: F32, doubler: Doubler | None = None) -> F32:
    doubler = doubler or Doubler()
    return np.concatenate([doubler.up(ROW, frame[None])[0] for frame in samples.reshape(-1, FRAME)])


def down(samples: F32, halver: Halver | None = None) -> F32:
    halver = halver or Halver()
    return np.concatenate([halver.down(ROW, frame[None])[0] for frame in samples.reshape(-1, 2 * FRAME)])


def amplitude(samples: F32, rate: int, hertz: float) -> float:
    part = samples[rate // 2 :]
    return float(2 * abs(np.mean(part * np.exp(-2j * np.pi * hertz * np.arange(len(part)) / rate))))


def test_the_filter_is_flat_in_its_pass_band_and_silent_in_its_stop_band() -> None:
    taps = half_band()
    assert np.abs(decibels(taps, 0, 3400)).max() < 0.01
    assert decibels(taps, 4600, 8000).max() < -62
    assert taps.sum() == pytest.approx(1.0)
    assert np.array_equal(taps, taps[::-1])
    assert np.count_nonzero(taps) == 29


def test_frames_are_the_filter_over_the_whole_signal() -> None:
    samples = noise(1, 10 * FRAME)[0]
    spread = np.zeros(2 * len(samples))
    spread[0::2] = samples
    assert np.allclose(up(samples), 2 * np.convolve(spread, half_band())[: len(spread)], atol=1e-5)
    wide = noise(1, 20 * FRAME, 2)[0]
    assert np.allclose(down(wide), np.convolve(wide, half_band())[: len(wide) : 2], atol=1e-5)


@pytest.mark.parametrize("hertz", [50.0, 300.0, 1000.0, 3400.0])
def test_tones_of_the_telephone_band_keep_their_level(hertz: float) -> None:
    assert amplitude(up(tone(8000, hertz)), 16000, hertz) == pytest.approx(8000, rel=0.002)
    assert amplitude(down(tone(16000, hertz)), 8000, hertz) == pytest.approx(8000, rel=0.002)


@pytest.mark.parametrize("hertz", [1000.0, 3000.0, 3400.0])
def test_images_and_aliases_are_60_db_down(hertz: float) -> None:
    assert amplitude(up(tone(8000, hertz)), 16000, 8000 - hertz) < 8
    assert amplitude(down(tone(16000, 8000 - hertz)), 8000, hertz) < 8


def test_each_direction_delays_by_27_samples_of_16000_hz() -> None:
    impulse = np.zeros(2 * FRAME, np.float32)
    impulse[27] = 1.0
    assert int(np.argmax(up(impulse))) == 2 * 27 + 27
    assert pytest.approx(27 / 16000) == DELAY
    # There and back again: 54 samples of 16000 Hz are 27 of 8000.
    assert int(np.argmax(down(up(impulse)))) == 27 + 27


def test_each_row_is_as_if_it_were_alone_in_whatever_company() -> None:
    """Rows come in any order, some of them not in every frame, and beyond the first capacity."""
    random = np.random.default_rng(3)
    doubler, halver = Doubler(rows=2), Halver(rows=2)
    alone: dict[int, tuple[Doubler, Halver]] = {row: (Doubler(), Halver()) for row in (0, 1, 5, 40)}
    for turn in range(12):
        rows = random.permutation(np.array([0, 1, 5, 40]))[: 1 + turn % 4]
        narrow, wide = noise(len(rows), FRAME, turn), noise(len(rows), 2 * FRAME, turn)
        doubled, halved = doubler.up(rows, narrow), halver.down(rows, wide)
        assert doubled.dtype == halved.dtype == np.float32
        for index, row in enumerate(rows.tolist()):
            one_up, one_down = alone[row]
            assert np.allclose(doubled[index], one_up.up(ROW, narrow[index : index + 1])[0], atol=1e-5)
            assert np.allclose(halved[index], one_down.down(ROW, wide[index : index + 1])[0], atol=1e-5)


def test_a_reset_row_forgets_and_no_other_does() -> None:
    doubler, halver = Doubler(), Halver()
    rows = np.array([0, 1])
    doubler.up(rows, noise(2, FRAME))
    halver.down(rows, noise(2, 2 * FRAME))
    for codec in (doubler, halver):
        codec.reset(0)
        codec.reset(500)
    quiet_up = doubler.up(rows, np.zeros((2, FRAME), np.float32))
    quiet_down = halver.down(rows, np.zeros((2, 2 * FRAME), np.float32))
    for quiet in (quiet_up, quiet_down):
        assert not quiet[0].any()
        assert quiet[1].any()


def test_no_rows_are_no_work() -> None:
    none = np.zeros(0, np.int64)
    assert Doubler().up(none, np.zeros((0, FRAME), np.float32)).shape == (0, 2 * FRAME)
    assert Halver().down(none, np.zeros((0, 2 * FRAME), np.float32)).shape == (0, FRAME)


def test_results_are_the_callers_own() -> None:
    doubler = Doubler()
    first = doubler.up(ROW, noise(1, FRAME))
    kept = first.copy()
    doubler.up(ROW, noise(1, FRAME, 9))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize(("before", "after"), [(44100, 8000), (48000, 16000), (8000, 48000), (22050, 16000)])
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_recordings_are_converted(before: int, after: int, kind: type[np.generic]) -> None:
    samples = (8000 * np.sin(2 * np.pi * 1000 * np.arange(before) / before)).astype(kind)
    converted = convert(samples, before, after)
    assert converted.dtype == kind
    assert len(converted) == pytest.approx(after, abs=2)
    assert amplitude(converted.astype(np.float32), after, 1000.0) == pytest.approx(8000, rel=0.01)


def test_a_recording_at_the_same_rate_is_itself_and_channels_are_not_mixed_up() -> None:
    samples = np.zeros(10, np.int16)
    assert convert(samples, 8000, 8000) is samples
    with pytest.raises(ValueError, match="one channel"):
        convert(np.zeros((10, 2), np.int16), 8000, 16000)

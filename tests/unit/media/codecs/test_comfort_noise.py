"""Comfort noise (RFC 3389): payloads, level and spectrum of what is generated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from media.codecs.comfort_noise import MAX_ORDER, QUIETEST, Noise, NoiseSource, build, impulse_response, parse
from media.codecs.framed import CodecError


def source() -> NoiseSource:
    return NoiseSource(np.random.default_rng(7), rows=4)


def dbov(samples: npt.NDArray[np.int16]) -> float:
    return float(10 * np.log10(np.mean(samples.astype(float) ** 2)) - 20 * np.log10(32767))


def noise_of(made: NoiseSource, row: int, frames: int = 200, samples: int = 160) -> npt.NDArray[np.int16]:
    rows = np.array([row])
    return np.concatenate([made.generate(rows, samples)[0] for _ in range(frames)])


def test_a_payload_is_a_level_and_reflection_coefficients() -> None:
    """RFC 3389 section 3.2: k(N) = 258 * (N - 127), of 32768."""
    assert parse(bytes((30,))) == Noise(30)
    assert parse(bytes((0xFF,))) == Noise(127)  # the highest bit is none of the level
    assert parse(bytes((40, 0, 127, 254))) == Noise(40, (-258 * 127 / 32768, 0.0, 258 * 127 / 32768))
    assert all(abs(k) < 1 for k in parse(bytes((40, 0, 254))).reflection)


def test_a_reserved_coefficient_ends_the_spectrum_and_so_does_the_highest_order() -> None:
    assert parse(bytes((40, 100, 255, 100))).reflection == (258 * -27 / 32768,)
    assert len(parse(bytes((40,)) + bytes((120,)) * 200).reflection) == MAX_ORDER


def test_an_empty_payload_is_refused() -> None:
    with pytest.raises(CodecError, match="comfort noise"):
        parse(b"")


@pytest.mark.parametrize("level", [0, 20, 45, 60, 78])
def test_what_is_built_from_generated_noise_is_the_level_it_was_generated_at(level: int) -> None:
    made = source()
    made.set(1, Noise(level))
    heard = noise_of(made, 1)
    if level:  # the loudest is clipped
        assert dbov(heard) == pytest.approx(-level, abs=0.2)
    assert build(heard) == bytes((level,)) or level == 0


def test_payloads_of_silence_and_of_the_loudest() -> None:
    assert build(np.zeros(160, np.int16)) == bytes((QUIETEST,))
    assert build(np.zeros(0, np.int16)) == bytes((QUIETEST,))
    assert build(np.full(160, -32768, np.int16)) == bytes((0,))
    # RFC 3389 section 3.1: 0 dBov is a square wave at the overload; a sine is 3 dB less.
    assert build(np.rint(32767 * np.sin(np.arange(1600) * np.pi / 8)).astype(np.int16)) == bytes((3,))


def test_a_row_that_was_not_set_or_was_reset_is_quiet() -> None:
    made = source()
    made.set(2, Noise(30, (-0.5,)))
    made.reset(2)
    made.reset(1000)
    assert not made.generate(np.array([0, 2, 3]), 160).any()
    assert made.generate(np.zeros(0, np.int64), 160).shape == (0, 160)


def test_rows_have_noise_of_their_own_and_columns_grow() -> None:
    made = source()
    for row, level in ((0, 30), (3, 40), (900, 50)):
        made.set(row, Noise(level))
    frames = np.concatenate([made.generate(np.array([900, 0, 3]), 160) for _ in range(50)], axis=1)
    assert frames.dtype == np.int16
    assert [round(dbov(frame)) for frame in frames] == [-50, -30, -40]
    correlation = np.corrcoef(frames)
    assert np.all(np.abs(correlation[~np.eye(3, dtype=bool)]) < 0.05)


def test_noise_goes_on_across_frames_of_any_length() -> None:
    long, short = source(), source()
    for made in (long, short):
        made.set(0, Noise(30, (-0.9,)))
    rows = np.array([0])
    pieces = np.concatenate([short.generate(rows, samples)[0] for samples in (160, 80, 320, 80)])
    assert np.array_equal(long.generate(rows, 640)[0], pieces)
    for _ in range(500):  # past the end of the recording
        assert 15 < -dbov(long.generate(rows, 640)[0]) < 45


def test_a_new_level_does_not_begin_the_noise_anew() -> None:
    made, steady = source(), source()
    made.set(0, Noise(30))
    steady.set(0, Noise(30))
    rows = np.array([0])
    made.generate(rows, 160)
    made.set(0, Noise(36))
    louder = np.concatenate([steady.generate(rows, 160)[0] for _ in range(2)])[160:]
    assert np.allclose(made.generate(rows, 160)[0], louder * 10**-0.3, atol=1.5)


def autocorrelation(samples: npt.NDArray[np.int16], lag: int) -> float:
    x = samples.astype(float)
    return float(np.dot(x[lag:], x[:-lag]) / np.dot(x, x))


@pytest.mark.parametrize("k1", [-0.8, -0.3, 0.3, 0.8])
def test_the_first_coefficient_is_minus_the_correlation_of_neighbours(k1: float) -> None:
    made = source()
    made.set(0, Noise(30, (k1,)))
    heard = noise_of(made, 0, frames=400)
    assert autocorrelation(heard, 1) == pytest.approx(-k1, abs=0.03)
    assert dbov(heard) == pytest.approx(-30, abs=0.4)


def test_the_filter_is_the_lattice_of_its_coefficients() -> None:
    """The all-pole lattice, stage by stage and sample by sample."""
    reflection = (-0.7, 0.4, -0.2, 0.1)
    order = len(reflection)
    backward = [0.0] * (order + 1)
    answer = []
    for index in range(256):
        forward = 1.0 if index == 0 else 0.0
        for stage in range(order, 0, -1):
            forward -= reflection[stage - 1] * backward[stage - 1]
            backward[stage] = backward[stage - 1] + reflection[stage - 1] * forward
        backward[0] = forward
        answer.append(forward)
    expected = np.array(answer) / np.sqrt(np.dot(answer, answer))
    assert np.allclose(impulse_response(reflection), expected, atol=1e-4)


def test_a_spectrum_may_be_left_again() -> None:
    made = source()
    made.set(0, Noise(30, (-0.9,)))
    made.set(0, Noise(30))
    assert abs(autocorrelation(noise_of(made, 0), 1)) < 0.03


def test_the_sharpest_spectra_are_still_noise_of_the_level() -> None:
    for reflection in (parse(bytes((40, 0) + (254,) * 11)), parse(bytes((40,) + (0,) * 12))):
        made = source()
        made.set(0, reflection)
        heard = noise_of(made, 0, frames=500)
        assert dbov(heard) == pytest.approx(-40, abs=6)


@pytest.mark.parametrize("samples", [0, -1, 5000])
def test_frames_that_are_none_are_our_mistake(samples: int) -> None:
    with pytest.raises(ValueError, match="comfort noise in frames of"):
        source().generate(np.array([0]), samples)

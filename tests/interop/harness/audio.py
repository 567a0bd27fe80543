"""Tones made and measured.

Levels are dBFS: of a sine's peak against full scale, so that a sine of peak amplitude 1.0 is 0 dBFS.
"""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soxr

RATE = 8000
FRAME = 160  # 20 ms
WINDOW = 1600  # 200 ms


class Tone(NamedTuple):
    frequency: float  # Hz
    level: float  # dBFS


class Measured(NamedTuple):
    """What was heard; `present` is the share of 20 ms frames with the tone, from the first such to the last."""

    frequency: float
    level: float
    purity: float  # dB by which the tone is above all else together, in most of the time
    seconds: float
    present: float


def write_tone(path: Path, tone: Tone, seconds: float, rate: int = RATE, channels: int = 1) -> None:
    """A WAV file of 16 bits, with the tone on all its channels."""
    time = np.arange(int(rate * seconds)) / rate
    samples = 10 ** (tone.level / 20) * np.sin(2 * np.pi * tone.frequency * time)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(samples * 32767).astype("<i2").repeat(channels).tobytes())


def read_wave(path: Path) -> npt.NDArray[np.float64]:
    """Samples from -1 to 1 at 8000 Hz, of the first channel. The file of a phone that was killed may not know its
    length: the rest is read as it is."""
    with wave.open(str(path), "rb") as file:
        assert file.getsampwidth() == 2, f"{path}: {file.getparams()}"
        channels, rate = file.getnchannels(), file.getframerate()
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64) / 32768
    samples = data[::channels]
    return samples if rate == RATE else np.asarray(soxr.resample(samples, rate, RATE))


def decode_alaw(payload: bytes) -> npt.NDArray[np.float64]:
    """G.711 A-law, table 1a: sign, three bits of segment, four of step; even bits inverted."""
    code = np.frombuffer(payload, np.uint8) ^ 0x55
    segment, step = (code >> 4 & 7).astype(np.int64), (code & 15).astype(np.int64)
    magnitude = np.where(segment == 0, 2 * step + 1, (2 * step + 33) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude) / 4096


def tone_in_pcma(tone: Tone) -> bytes:
    """A second of it in PCMA: with whole Hz the second after it goes on where it ends."""
    values = decode_alaw(bytes(range(256)))
    order = np.argsort(values)
    time = np.arange(RATE) / RATE
    samples = 10 ** (tone.level / 20) * np.sin(2 * np.pi * round(tone.frequency) * time)
    between = (values[order][1:] + values[order][:-1]) / 2
    return bytes(order[np.searchsorted(between, samples)].astype(np.uint8))


def level_at(samples: npt.NDArray[np.float64], frequency: float) -> float:
    """dBFS of the sine of this frequency in the samples (Goertzel's sum, with a Hann window against leakage)."""
    window = np.hanning(len(samples))
    turn = np.exp(-2j * np.pi * frequency * np.arange(len(samples)) / RATE)
    amplitude = 2 * abs(np.dot(samples * window, turn)) / window.sum()
    return float(20 * np.log10(max(amplitude, 1e-6)))


def levels_at(parts: npt.NDArray[np.float64], frequencies: Sequence[float]) -> npt.NDArray[np.float64]:
    """The same of several parts, one in each row, and several frequencies, one in each column."""
    window = np.hanning(parts.shape[1])
    turns = np.exp(-2j * np.pi * np.outer(np.arange(parts.shape[1]) / RATE, frequencies)) * window[:, None]
    amplitudes = 2 * np.abs(parts @ turns) / window.sum()
    return np.asarray(20 * np.log10(np.maximum(amplitudes, 1e-6)))


def measure(samples: npt.NDArray[np.float64], expected: Tone) -> Measured:
    """The strongest frequency and its level over the part in which `expected` is heard."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    heard = np.array([level_at(frame, expected.frequency) > expected.level - 6 for frame in frames])
    if not heard.any():
        return Measured(0.0, -120.0, 0.0, 0.0, 0.0)
    first, last = int(heard.argmax()), len(heard) - int(heard[::-1].argmax())
    part = samples[first * FRAME : last * FRAME]
    # The first and last frame may hold the tone's edge.
    part = part[FRAME:-FRAME] if len(part) > 4 * FRAME else part
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    frequency = float(spectrum.argmax() * RATE / len(part))
    # By windows, and their median: a phone's jitter buffer that drops a frame on a busy machine shifts the phase.
    windows = part[: len(part) // WINDOW * WINDOW].reshape(-1, WINDOW) if len(part) >= WINDOW else part[None]
    level = float(np.median([level_at(window, frequency) for window in windows]))
    purity = float(np.median([_purity(window, frequency) for window in windows]))
    return Measured(frequency, level, purity, (last - first) * FRAME / RATE, float(heard[first:last].mean()))


def _purity(samples: npt.NDArray[np.float64], frequency: float) -> float:
    """dB by which the power of the tone is above the power of the rest: what is left when the best fit is taken off."""
    turn = 2 * np.pi * frequency * np.arange(len(samples)) / RATE
    basis = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    tone = basis @ np.linalg.lstsq(basis, samples, rcond=None)[0]
    rest = float(np.mean((samples - tone) ** 2))
    return 10 * float(np.log10(max(float(np.mean(tone**2)), 1e-12) / max(rest, 1e-12)))


def check_heard(path: Path, expected: Tone, seconds: float, least_present: float = 0.95) -> Measured:
    """The recording holds that tone, at that level, for that long, nearly without gaps and without anything else."""
    found = measure(read_wave(path), expected)
    assert abs(found.frequency - expected.frequency) < 3, f"expected {expected}, heard {found} in {path}"
    # G.711 keeps a sine's level within a few tenths of a dB.
    assert abs(found.level - expected.level) < 1.0, f"expected {expected}, heard {found} in {path}"
    assert found.seconds >= seconds, f"expected {seconds} s of {expected}, heard {found} in {path}"
    assert found.present >= least_present, f"gaps: expected {expected}, heard {found} in {path}"
    assert found.purity > 20, f"noise: expected {expected}, heard {found} in {path}"
    return found

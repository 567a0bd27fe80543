"""What a telephone hears at this moment: its recording is read while it is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from harness.audio import RATE, Tone, level_at
from harness.baresip import Phone
from harness.waiting import wait_for

HEADER = 44  # octets of a WAV file before its samples
SAMPLE = 2
SILENT = -60.0  # dBFS
NEAR = 1.5  # dB by which a tone may be off its level

MUSIC, RINGBACK = "music", "ringback"

RINGBACK_TONES = (440.0, 480.0)  # Hz, of the country that is set by default


def _ear(phone: Phone) -> Path | None:
    files = sorted(phone.ear.glob("*-dec.wav"), key=lambda path: path.stat().st_mtime)
    return files[-1] if files else None


def _samples(phone: Phone) -> int:
    path = _ear(phone)
    return 0 if path is None else max(0, path.stat().st_size - HEADER) // SAMPLE


def listen(phone: Phone, seconds: float = 0.6) -> npt.NDArray[np.float64]:
    """What comes to its ear from now on, for so long; empty where nothing comes (no packet, not even of silence)."""
    path, begin = _ear(phone), _samples(phone)
    begun, wanted = time.monotonic(), int(seconds * RATE)
    with suppress(AssertionError):
        wait_for(lambda: _samples(phone) - begin >= wanted or None, "sound", seconds + 0.7)
    if path is None or _ear(phone) != path or _samples(phone) - begin < wanted // 2:
        left = seconds - (time.monotonic() - begun)
        assert left <= 0
        return np.zeros(0)
    data = path.read_bytes()[HEADER + SAMPLE * begin : HEADER + SAMPLE * (begin + wanted)]
    return np.frombuffer(data[: len(data) // SAMPLE * SAMPLE], "<i2").astype(np.float64) / 32768


def told_apart(samples: npt.NDArray[np.float64], tones: Mapping[str, Tone], near: float = NEAR) -> set[str]:
    """Whose tones are in it, `near` their level (dB); else `RINGBACK`, `MUSIC` (whatever else is not silence), or
    nothing."""
    if not len(samples):
        return set()
    found = {who for who, tone in tones.items() if abs(level_at(samples, tone.frequency) - tone.level) < near}
    if found:
        return found
    power = 10 * np.log10(max(float(np.mean(samples**2)), 1e-12))
    if power < SILENT:
        return set()
    # Two tones of equal level together: each has a peak as high as both together have power.
    rings = all(abs(level_at(samples, tone) - power) < NEAR for tone in RINGBACK_TONES)
    return {RINGBACK if rings else MUSIC}


def wait_hears(phone: Phone, expected: set[str], tones: Mapping[str, Tone], seconds: float = 8.0) -> None:
    """Until it hears just that, twice in a row: what changes is heard in parts."""
    had: list[set[str]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        had.append(told_apart(listen(phone, 0.4), tones))
        if had[-2:] == [expected, expected]:
            return
    raise AssertionError(f"phone {phone.user}: expected {expected or 'silence'}, heard {had}")

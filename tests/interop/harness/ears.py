"""What a telephone hears at this moment: its recording is read while it is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from harness.audio import RATE, Tone, levels_at
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


def told_apart(samples: npt.NDArray[np.float64], tones: Mapping[str, Tone]) -> set[str]:
    """Whose tones are in it; else `RINGBACK`, `MUSIC` (whatever else is not silence), or nothing."""
    return told_apart_each(samples[None], tones)[0] if len(samples) else set()


def told_apart_each(parts: npt.NDArray[np.float64], tones: Mapping[str, Tone], near: float = NEAR) -> list[set[str]]:
    """The same of each row. `near`: dB by which a tone may be off its level."""
    wanted = np.array([tone.level for tone in tones.values()])
    heard = np.abs(levels_at(parts, [tone.frequency for tone in tones.values()]) - wanted) < near
    power = 10 * np.log10(np.maximum(np.mean(parts**2, axis=1), 1e-12))
    # Two tones of equal level together: each has a peak as high as both together have power.
    rings = (np.abs(levels_at(parts, RINGBACK_TONES) - power[:, None]) < NEAR).all(axis=1)
    names = list(tones)
    found = [{names[which] for which in np.flatnonzero(row)} for row in heard]
    return [
        who or (set() if loud < SILENT else {RINGBACK if ringing else MUSIC})
        for who, loud, ringing in zip(found, power, rings, strict=True)
    ]


def wait_hears(phone: Phone, expected: set[str], tones: Mapping[str, Tone], seconds: float = 8.0) -> None:
    """Until it hears just that, twice in a row: what changes is heard in parts."""
    had: list[set[str]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        had.append(told_apart(listen(phone, 0.4), tones))
        if had[-2:] == [expected, expected]:
            return
    raise AssertionError(f"phone {phone.user}: expected {expected or 'silence'}, heard {had}")


def heard_by_all(phones: Mapping[str, Phone], tones: Mapping[str, Tone], seconds: float) -> dict[str, str]:
    """What each of several telephones hears from now on, for so long, in one go: "101+102"; "" is silence."""
    begun = {number: (_ear(phone), _samples(phone)) for number, phone in phones.items()}
    wanted = int(seconds * RATE)
    with suppress(AssertionError):
        wait_for(lambda: all(_samples(phones[n]) - at >= wanted for n, (_, at) in begun.items()), "sound", 2 * seconds)
    return {n: "+".join(sorted(told_apart(_read(path, at, wanted), tones))) for n, (path, at) in begun.items()}


def _read(path: Path | None, begin: int, samples: int) -> npt.NDArray[np.float64]:
    """So many samples of a file; nothing where not even half of them have come."""
    if path is None or path.stat().st_size < HEADER + SAMPLE * (begin + samples // 2):
        return np.zeros(0)
    with path.open("rb") as file:
        file.seek(HEADER + SAMPLE * begin)
        data = file.read(SAMPLE * samples)
    return np.frombuffer(data[: len(data) // SAMPLE * SAMPLE], "<i2").astype(np.float64) / 32768

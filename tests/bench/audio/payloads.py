"""What the load of the media benchmarks says: speech-like sound through the codecs that are measured.

The file that audio/load_generator.c reads is made here; streams name their codec by its place in `SETS`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from media.codecs import framed, table
from media.commands import Format

PCMU: Format = (0, "PCMU", 8000)
G722: Format = (9, "G722", 8000)
OPUS: Format = (96, "opus", 48000)
SETS = (PCMU, G722, OPUS)
SILENT = -1  # the set of a stream that sends nothing
SHIFT = 37  # payloads between where one stream begins and where the next one does: audio/load_generator.c
PAYLOADS = 250  # 5 s of each
FRAMES_PER_SECOND = 50
RATES = {"PCMU": 8000, "G722": 16000, "opus": 48000}
PITCH = 130.0  # Hz
FORMANTS = ((500.0, 80.0, 1.0), (1500.0, 120.0, 0.4), (2500.0, 160.0, 0.2))  # Hz, bandwidth, level
SYLLABLES = 4.0  # a second
LEVEL = 6000.0

I16 = npt.NDArray[np.int16]


def speech(rate: int) -> I16:
    """`PAYLOADS` frames of something as loud and as uneven as speech: voiced syllables, hiss, pauses."""
    rng = np.random.default_rng(7)
    t = np.arange(PAYLOADS * rate // FRAMES_PER_SECOND) / rate
    voiced = np.zeros(len(t))
    for harmonic in range(1, int(3800 / PITCH)):
        hertz = harmonic * PITCH
        level = sum(gain / (1 + ((hertz - centre) / width) ** 2) for centre, width, gain in FORMANTS)
        voiced += level * np.sin(2 * np.pi * (hertz * t + 0.004 * hertz * np.sin(2 * np.pi * 0.7 * t)))
    syllables = np.maximum(0.0, np.sin(2 * np.pi * SYLLABLES * t)) ** 0.5
    phrases = (np.sin(2 * np.pi * 0.35 * t) > -0.4).astype(float)
    sound = voiced / np.abs(voiced).max() * syllables * phrases + 0.01 * rng.standard_normal(len(t))
    samples: I16 = (np.clip(sound, -1, 1) * LEVEL).astype(np.int16)
    return samples


def payloads(format_: Format) -> list[bytes]:
    """The sound in packets of 20 ms."""
    rate = RATES[format_[1]]
    frames = speech(rate).reshape(PAYLOADS, -1)
    if format_ is PCMU:
        return [each.tobytes() for each in table.encode("PCMU", frames)]
    codec = framed(format_[1], rate)
    try:
        return [codec.encode(frame) for frame in frames]
    finally:
        codec.close()


def write(path: Path, sealed: Iterable[list[bytes]] = ()) -> None:
    """The sets, one after the other, as the generator reads them; those of secure streams (relay/secure.py) follow."""
    with path.open("wb") as file:
        for format_, of in [(format_, payloads(format_)) for format_ in SETS] + [(PCMU, of) for of in sealed]:
            file.write(struct.pack("=III", format_[0], format_[2] // FRAMES_PER_SECOND, len(of)))
            for each in of:
                file.write(struct.pack("=H", len(each)) + each)

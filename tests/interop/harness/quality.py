"""Speech to send through the engine, and how it sounds at the other end (ITU-T P.862)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from pesq import pesq

from media.codecs import framed, table
from media.resample import convert

I16 = npt.NDArray[np.int16]
F32 = npt.NDArray[np.float32]

TEXT = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. "
    "It is easy to tell the depth of a well. These days a chicken leg is a rare dish."
)
COMMANDS = {
    "espeak": ("espeak-ng", "-v", "en-us", "-s", "150", "-w"),
    "flite": ("flite", "-voice", "slt", "-o"),
}
PEAK = 16000
ROOM = 60.0  # noise at -55 dBov: an office. Without it PESQ compares pauses with the steps of G.711.
FULL_RATE = 48000
RATE = 8000  # everything is judged on the narrow-band scale, the only one all codecs are on
SEARCH_SECONDS = 0.6  # that what is heard may be late by


def speak(talker: str, folder: Path) -> F32:
    """A text in a voice, at 48000 Hz."""
    path = folder / f"{talker}.wav"
    words = ("-t", TEXT) if talker == "flite" else (TEXT,)
    subprocess.run((*COMMANDS[talker], str(path), *words), check=True, timeout=60, capture_output=True)
    samples, rate = soundfile.read(path, dtype="float32")
    samples *= np.float32(PEAK / np.abs(samples).max())
    samples += np.random.default_rng(1).normal(0, ROOM, len(samples)).astype(np.float32)
    return convert(samples, rate, FULL_RATE)


def at_rate(speech: F32, rate: int) -> I16:
    """(n,) in whole frames of 20 ms."""
    samples = np.rint(convert(speech, FULL_RATE, rate)).clip(-32767, 32767).astype(np.int16)
    return samples[: len(samples) * 50 // rate * rate // 50]


def score(speech: F32, heard: I16, rate: int) -> float:
    """PESQ of what was heard, its delay taken out first."""
    reference = at_rate(speech, RATE)
    degraded = convert(heard, rate, RATE)
    size = len(reference) + len(degraded)
    spectra = [np.fft.rfft(samples.astype(float), size) for samples in (reference, degraded)]
    late = int(np.argmax(np.fft.irfft(np.conj(spectra[0]) * spectra[1])[: round(SEARCH_SECONDS * RATE)]))
    degraded = degraded[late : late + len(reference)]
    return float(pesq(RATE, reference[: len(degraded)], degraded, "nb"))


def coded(samples: I16, name: str, rate: int, fmtp: str = "") -> I16:
    """What a codec makes of samples (n,) at its rate."""
    frames = samples.reshape(-1, rate // 50)
    if name in table.OCTETS:
        return table.decode(name, table.encode(name, frames)).reshape(-1)
    codec = framed(name, rate, fmtp)
    heard = np.concatenate([codec.decode(codec.encode(frame)).copy() for frame in frames])
    codec.close()
    return heard


def alone(speech: F32, name: str, rate: int, fmtp: str = "") -> float:
    """PESQ of the codec itself: coded and decoded once."""
    return score(speech, coded(at_rate(speech, rate), name, rate, fmtp), rate)


def in_tandem(speech: F32, first: str, first_rate: int, second: str, second_rate: int) -> float:
    """PESQ of two codecs one after the other, with nothing between them."""
    between = coded(at_rate(speech, first_rate), first, first_rate)
    between = convert(between, first_rate, second_rate)
    between = between[: len(between) * 50 // second_rate * second_rate // 50]
    return score(speech, coded(between, second, second_rate), second_rate)

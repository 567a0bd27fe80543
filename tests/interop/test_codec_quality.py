"""How speech sounds after each codec, by PESQ (ITU-T P.862, P.862.2): eSpeak NG and flite talk, ours codes and decodes.

Figures are what each codec reached when the test was written, less a little. Synthetic voices are harder for an encoder
than a person is, and without the noise of a room, which they get here, PESQ compares their pauses with the steps of
G.711. Everything is narrow band at 8000 Hz, so that every codec is on one scale, and wide band at 16000 Hz.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from pesq import pesq

from media.codecs import framed, table
from media.resample import Doubler, Halver, convert

I16 = npt.NDArray[np.int16]

TEXT = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. These days are rare."
ROOM = 60.0  # noise at -55 dBov: an office
COMMANDS = {
    "espeak": ("espeak-ng", "-v", "en-us", "-s", "150", "-w"),
    "flite": ("flite", "-voice", "slt", "-o"),
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[npt.NDArray[np.float32], int]]:
    """By talker: samples, and their rate."""
    folder: Path = tmp_path_factory.mktemp("speech")
    found = {}
    for talker, command in COMMANDS.items():
        path = folder / f"{talker}.wav"
        words = ("-t", TEXT) if talker == "flite" else (TEXT,)
        subprocess.run((*command, str(path), *words), check=True, timeout=60, capture_output=True)
        samples, rate = soundfile.read(path, dtype="float32")
        samples *= np.float32(16000 / np.abs(samples).max())
        samples += np.random.default_rng(1).normal(0, ROOM, len(samples)).astype(np.float32)
        found[talker] = (samples, rate)
    return found


@pytest.fixture(params=list(COMMANDS))
def talker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def speech(recordings: dict[str, tuple[npt.NDArray[np.float32], int]], talker: str, rate: int) -> I16:
    """(n, 20 ms frames)."""
    samples = convert(*recordings[talker], rate)
    count = len(samples) * 50 // rate
    return np.rint(samples[: count * rate // 50]).astype(np.int16).reshape(count, rate // 50)


def score(sent: I16, heard: I16, rate: int) -> float:
    """PESQ, narrow band at 8000 Hz and else wide band; `heard` is late by a codec's delay, which is taken out first."""
    reference, degraded = sent.reshape(-1), heard.reshape(-1)
    spectra = [np.fft.rfft(samples.astype(float), 2 * len(reference)) for samples in (reference, degraded)]
    late = int(np.argmax(np.fft.irfft(np.conj(spectra[0]) * spectra[1])[: rate // 25]))
    reference, degraded = reference[: len(reference) - late], degraded[late:]
    if rate == 8000:
        return float(pesq(8000, reference, degraded, "nb"))
    return float(pesq(16000, convert(reference, rate, 16000), convert(degraded, rate, 16000), "wb"))


def through(name: str, rate: int, frames: I16, fmtp: str = "") -> I16:
    if name in table.OCTETS:
        return table.decode(name, table.encode(name, frames))
    codec = framed(name, rate, fmtp)
    heard = np.stack([codec.decode(codec.encode(frame)).copy() for frame in frames])
    codec.close()
    return heard


@pytest.mark.parametrize(
    ("name", "fmtp", "least"),
    [
        ("PCMU", "", 4.1),
        ("PCMA", "", 4.1),
        ("L16", "", 4.5),
        ("G722", "", 4.2),
        ("opus", "", 4.1),
        ("opus", "useinbandfec=1", 3.9),
    ],
)
def test_speech_at_8000_hz(recordings, talker: str, name: str, fmtp: str, least: float) -> None:
    frames = speech(recordings, talker, 8000)
    reached = score(frames, through(name, 8000, frames, fmtp), 8000)
    print(f"{talker} {name} {fmtp} at 8000 Hz: {reached:.2f}")
    assert reached >= least


@pytest.mark.parametrize(
    ("name", "rate", "fmtp", "least"),
    [
        ("L16", 16000, "", 4.6),
        ("G722", 16000, "", 3.9),
        ("opus", 16000, "", 3.0),
        ("opus", 16000, "useinbandfec=1", 3.0),
        ("opus", 48000, "", 3.0),
        ("opus", 48000, "useinbandfec=1", 3.0),
    ],
)
def test_speech_at_wider_bands(recordings, talker: str, name: str, rate: int, fmtp: str, least: float) -> None:
    frames = speech(recordings, talker, rate)
    reached = score(frames, through(name, rate, frames, fmtp), rate)
    print(f"{talker} {name} {fmtp} at {rate} Hz: {reached:.2f}")
    assert reached >= least


def test_speech_of_g711_through_a_room_of_16000_hz(recordings, talker: str) -> None:
    """Doubled and halved again it is what it was."""
    frames = speech(recordings, talker, 8000)
    doubler, halver, row = Doubler(), Halver(), np.array([0])
    heard = [halver.down(row, doubler.up(row, f[None].astype(np.float32)))[0] for f in through("PCMA", 8000, frames)]
    coded = through("PCMA", 8000, np.rint(np.stack(heard)).astype(np.int16))
    reached = score(frames, coded, 8000)
    print(f"{talker} PCMA, 16000 Hz, PCMA: {reached:.2f}")
    assert reached >= 4.1


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_with_every_10th_packet_lost_redundancy_beats_concealment_beats_silence(
    recordings, talker: str, rate: int
) -> None:
    frames = speech(recordings, talker, rate)
    samples = rate // 50
    encoder = framed("opus", rate, "useinbandfec=1")
    packets = [encoder.encode(frame) for frame in frames]
    scores = []
    for remedy in ("silence", "concealment", "redundancy"):
        decoder = framed("opus", rate)
        heard = []
        for index, payload in enumerate(packets):
            if index % 10 != 9:
                heard.append(decoder.decode(payload).copy())
                continue
            again = None
            if remedy == "redundancy" and index + 1 < len(packets):
                again = decoder.recover(packets[index + 1], samples)
            if again is None:
                # The decoder is told of the loss either way: what comes after it is not to suffer.
                again = decoder.conceal(samples)
                assert again is not None
            heard.append(np.zeros(samples, np.int16) if remedy == "silence" else again.copy())
        scores.append(score(frames, np.stack(heard), rate))
    silence, concealment, redundancy = scores
    print(
        f"{talker} opus at {rate} Hz: silence {silence:.2f} concealment {concealment:.2f} redundancy {redundancy:.2f}"
    )
    assert redundancy > concealment > silence

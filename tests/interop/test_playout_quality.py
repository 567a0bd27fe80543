"""How lossy speech sounds behind jitter buffer and concealment: PESQ (ITU-T P.862) beside the E-model's estimate.

Speech is spoken by espeak-ng, coded as G.711, sent over a network that loses at random. PESQ compares what is played
with what was sent; it knows no delay, and the delay here costs nothing in the E-model either (below 100 ms).
"""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soxr
from pesq import pesq

from media.conceal import Concealer
from rtp import emodel
from rtp.playout import PlayoutBank
from rtp.quality import StreamQuality

RATE, FRAME = 8000, 160
LOSSES = (0.0, 0.01, 0.03, 0.05, 0.10)
RUNS = 4  # of every sentence, each with losses of its own
TEXTS = (
    ("en-us", "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."),
    ("en-gb+f3", "It is easy to tell the depth of a well. These days a chicken leg is a rare dish."),
    ("de+f2", "Die Rechnung kommt morgen mit der Post. Bitte bleiben Sie einen Augenblick am Apparat."),
    ("en+m3", "Rice is often served in round bowls. The juice of lemons makes fine punch."),
)

Samples = npt.NDArray[np.int16]


def spoken(voice: str, text: str, path: Path) -> Samples:
    subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", str(path), text], check=True, capture_output=True)
    with wave.open(str(path), "rb") as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        rate = file.getframerate()
    sound = soxr.resample(sound.astype(np.float32), rate, RATE)
    sound *= 10 ** (-26 / 20) * 32768 / np.sqrt(np.mean(sound**2))  # P.800: -26 dBov
    padded = np.concatenate((np.zeros(RATE // 2), sound.clip(-30000, 30000), np.zeros(RATE // 2)))
    return ulaw(padded[: len(padded) // FRAME * FRAME])


def ulaw(sound: npt.NDArray[np.float64]) -> Samples:
    """What G.711 mu-law makes of it: steps that double from segment to segment."""
    magnitude = np.minimum(np.abs(sound), 32635) + 132
    step = 2.0 ** (np.floor(np.log2(magnitude)) - 4)
    return (np.sign(sound) * ((np.floor(magnitude / step) + 0.5) * step - 132)).astype(np.int16)


def played(speech: Samples, loss: float, rng: np.random.Generator) -> tuple[list[Samples], npt.NDArray[np.float64]]:
    """What RUNS listeners hear, and the E-model's score for each."""
    bank, concealer = PlayoutBank(RATE), Concealer(RATE)
    quality = StreamQuality(bank)
    rows = np.array([bank.take() for _ in range(RUNS)])
    for row in rows:
        bank.open(int(row), RATE)
        concealer.reset(int(row))
        quality.open(int(row), emodel.CODECS["PCMU"])
    frames = speech.reshape(-1, FRAME)
    heard = []
    for k in range(len(frames) + 2):
        now = 1.0 + 0.02 * k
        if k < len(frames):
            comes = rows[rng.random(RUNS) >= loss]
            same = np.ones(len(comes), np.int64)
            at = bank.arrived(comes, same * k * FRAME, same * k, same < 0, same * FRAME, now - 0.01)
            bank.write(comes, at, np.tile(frames[k], (len(comes), 1)))
        out = bank.play(rows, now)
        concealer.conceal(rows, out.frames, out.missing, out.holes)
        concealer.heard(rows, out.frames)
        heard.append(out.frames)
    scores = quality.measure(rows, np.zeros(RUNS)).mos
    return list(np.concatenate(heard, axis=1)), scores


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[float, tuple[float, float]]:
    """Mean PESQ and mean estimate by loss."""
    directory = tmp_path_factory.mktemp("speech")
    rng = np.random.default_rng(26)
    found: dict[float, tuple[float, float]] = {}
    speeches = [spoken(voice, text, directory / f"{k}.wav") for k, (voice, text) in enumerate(TEXTS)]
    for loss in LOSSES:
        heard, estimated = [], []
        for speech in speeches:
            voices, scores = played(speech, loss, rng)
            heard += [pesq(RATE, speech, voice, "nb") for voice in voices]
            estimated += list(scores)
        found[loss] = float(np.mean(heard)), float(np.mean(estimated))
        print(f"loss {loss:5.0%}: PESQ {found[loss][0]:.2f}, E-model {found[loss][1]:.2f}")
    return found


def test_the_estimate_is_within_half_a_point_of_pesq_on_average(measured: dict[float, tuple[float, float]]) -> None:
    apart = [abs(heard - estimated) for heard, estimated in measured.values()]
    assert np.mean(apart) <= 0.5, measured


def test_both_put_the_losses_in_the_same_order(measured: dict[float, tuple[float, float]]) -> None:
    for scores in zip(*measured.values(), strict=True):
        assert list(scores) == sorted(scores, reverse=True), measured


def test_concealment_is_worth_more_than_silence(measured: dict[float, tuple[float, float]]) -> None:
    """Without concealment G.711 at 3 % loss is bad: Bpl 4.3 (ITU-T G.113)."""
    without = emodel.mos(emodel.rating(bpl=emodel.G711_WITHOUT_CONCEALMENT.bpl, loss=0.03))
    assert measured[0.03][0] > without + 0.5

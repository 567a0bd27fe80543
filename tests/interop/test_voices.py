"""Real voices: how much speech is missed under noise, and what greetings of machines and people are told as."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from harness.voices import RATE, TEXTS, spoken

from media.detect.columns import FRAME, FRAME_SECONDS
from media.detect.machine import AFTER_GREETING, BEEP, GREETING, INITIAL_SILENCE, WORD, MachineDetector
from media.detect.speech import HANGOVER, SpeechDetector

pytestmark = pytest.mark.interop

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
VOICES = ("flite:rms", "flite:slt", "en-gb", "en+f3")
ACTIVE_LEVEL = -26.0  # dBov while somebody speaks (ITU-T P.56 on ordinary lines)


def silence(seconds: float) -> F32:
    return np.zeros(round(seconds * RATE), np.float32)


def at_level(samples: F32) -> F32:
    """With the mean power of what is speech at ACTIVE_LEVEL."""
    power = np.square(samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)).mean(axis=1)
    active = power[power > power.max() / 1000].mean()
    return samples * np.float32(32768 * 10 ** (ACTIVE_LEVEL / 20) / np.sqrt(active))


# ---- speech


@pytest.fixture(scope="module")
def sentences() -> F32:
    """Three and a half minutes: sentences of two men and two women, with pauses of one to two seconds."""
    rng = np.random.default_rng(1)
    parts = []
    for voice in VOICES:
        for text in TEXTS["en"]:
            for sentence in text.split(". "):
                parts += [spoken(sentence, voice), silence(rng.uniform(1, 2))]
    whole = at_level(np.concatenate(parts))
    return whole[: len(whole) // FRAME * FRAME]


def noise(kind: str, size: int) -> F64:
    """White, or falling with 3 dB an octave; power 1."""
    rng = np.random.default_rng(2)
    if kind == "white":
        return rng.normal(size=size)
    frequency = np.fft.rfftfreq(size, 1 / RATE)
    spectrum = rng.normal(size=len(frequency)) + 1j * rng.normal(size=len(frequency))
    wave: F64 = np.fft.irfft(spectrum / np.sqrt(np.maximum(frequency, 50)), size)
    return wave / wave.std()


@pytest.mark.parametrize("kind", ["white", "pink"])
@pytest.mark.parametrize(("snr", "missed"), [(60, 0.015), (20, 0.015), (15, 0.02), (10, 0.03), (5, 0.11)])
def test_speech_is_told_from_noise(sentences: F32, kind: str, snr: float, missed: float) -> None:
    """Missed: of the frames within 20 dB of the active level. False alarms: of the frames since whose last speech the
    hangover is over."""
    power = np.square(sentences.reshape(-1, FRAME)).mean(axis=1)
    active = 32768.0**2 * 10 ** (ACTIVE_LEVEL / 10)
    speech = power > active / 100
    any_speech = np.flatnonzero(power > active / 3000)
    number = np.arange(len(power))
    last = any_speech[np.maximum(np.searchsorted(any_speech, number, "right") - 1, 0)]
    quiet = number - last > HANGOVER + 1
    assert quiet.mean() > 0.1

    line = sentences + noise(kind, len(sentences)) * np.sqrt(active / 10 ** (snr / 10))
    detector = SpeechDetector()
    row = np.zeros(1, np.int64)
    talking = np.zeros(len(power), np.bool_)
    for n, frame in enumerate(line.reshape(-1, 1, FRAME).astype(np.float32)):
        detector.process(row, frame)
        talking[n] = detector.talking[0]
    assert (~talking[speech]).mean() <= missed
    assert talking[quiet].mean() <= 0.005


# ---- greetings


def beep(frequency: float, seconds: float) -> F32:
    n = np.arange(round(seconds * RATE))
    return (6000 * np.sin(2 * np.pi * frequency / RATE * n)).astype(np.float32)


def cues(*parts: F32) -> list[tuple[str, float, float]]:
    """What is told of a call, over noise of a line (-60 dBov)."""
    line = np.concatenate((*parts, silence(1.5)))
    line = line[: len(line) // FRAME * FRAME]
    line = line + np.random.default_rng(3).normal(0, 32.768, len(line))
    speech, machine = SpeechDetector(), MachineDetector()
    row = np.zeros(1, np.int64)
    told = []
    for frame in line.reshape(-1, 1, FRAME).astype(np.float32):
        speech.process(row, frame)
        told += [(what, at, seconds) for _, what, at, seconds in machine.process(row, frame, speech.active[row])]
    return told


GREETINGS = [
    ("flite:slt", "You have reached Mary and John. We are not at home. Please leave a message after the tone."),
    ("flite:rms", "The person you are calling is not available. At the tone, please record your message."),
    ("de", "Guten Tag, leider ist gerade niemand da. Sprechen Sie bitte nach dem Signalton."),
    ("fr+f2", "Bonjour, nous sommes absents pour le moment. Laissez un message après le bip sonore."),
]
PEOPLE = [("flite:slt", "Hello?"), ("flite:rms", "Yes, Miller?"), ("de+f2", "Ja, hallo?"), ("fr", "Allô?")]


@pytest.mark.parametrize(("voice", "text"), GREETINGS)
@pytest.mark.parametrize(("frequency", "seconds"), [(440, 0.2), (1000, 0.4), (1400, 1.0), (2100, 0.1)])
def test_a_machine_talks_for_long_then_beeps(voice: str, text: str, frequency: float, seconds: float) -> None:
    greeting = at_level(spoken(text, voice))
    length = len(greeting) / RATE
    told = cues(silence(0.7), greeting, silence(0.5), beep(frequency, seconds))
    assert told[0] == (INITIAL_SILENCE, 0.0, pytest.approx(0.7, abs=0.08))
    _, at, lasted = next(cue for cue in reversed(told) if cue[0] == GREETING)
    assert at == pytest.approx(0.7, abs=0.08)
    assert lasted == pytest.approx(length, abs=0.2)
    assert sum(cue[2] for cue in told if cue[0] == WORD) > 0.5 * length
    beeps = [cue for cue in told if cue[0] == BEEP]
    assert beeps == [(BEEP, pytest.approx(0.7 + length + 0.5, abs=0.03), pytest.approx(seconds, abs=2 * FRAME_SECONDS))]


@pytest.mark.parametrize(("voice", "text"), PEOPLE)
def test_a_person_says_a_word_and_waits(voice: str, text: str) -> None:
    word = at_level(spoken(text, voice))
    told = cues(silence(0.5), word)
    assert told[0][0] == INITIAL_SILENCE
    greetings = [cue for cue in told if cue[0] == GREETING]
    assert len(greetings) == 1
    assert greetings[0][2] == pytest.approx(len(word) / RATE, abs=0.2)
    assert greetings[0][2] < 1.3
    assert told[-1] == (AFTER_GREETING, pytest.approx(0.5 + len(word) / RATE, abs=0.2), pytest.approx(0.8))
    assert BEEP not in [cue[0] for cue in told]

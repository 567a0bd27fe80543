"""espeak-ng and flite really speak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media.audio_commands import Say, Source, Speech
from media.playable import I16, Playable, SourceError
from media.sound_settings import SoundSettings, SpeechSettings
from tests.sounds import everything, library

pytestmark = pytest.mark.interop


def heard(tmp_path: Path, engine: str, source: Source, rate: int = 8000) -> I16:
    speech = SpeechSettings.model_validate({"engine": engine, "cache_directory": tmp_path / "speech"})
    sounds = library(SoundSettings(prompt_directories=(tmp_path,), speech=speech))
    results: list[Playable | SourceError] = []
    sounds.open(source, rate, results.append)
    assert not isinstance(results[0], SourceError), results[0]
    return everything(results[0])


def is_speech(samples: I16, rate: int) -> bool:
    """Loud and soft in turn, and most of it below 4 kHz, as voices are."""
    block = rate // 50
    loud = np.sqrt(np.mean(samples[: len(samples) // block * block].reshape(-1, block).astype(np.float64) ** 2, axis=1))
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    low = spectrum[: len(spectrum) * 8000 // rate].sum() / spectrum.sum()
    return bool(loud.max() > 1000 and np.median(loud) < loud.max() / 2 and low > 0.5)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("engine", ["espeak-ng", "flite"])
def test_engines_speak(tmp_path: Path, engine: str, rate: int) -> None:
    samples = heard(tmp_path, engine, Speech("You are number three in the queue. Please hold the line.", "en"), rate)
    assert 2 < len(samples) / rate < 8
    assert is_speech(samples, rate)
    longer = heard(tmp_path, engine, Speech("Please hold the line. " * 10, "en"), rate)
    assert len(longer) > 2 * len(samples)


@pytest.mark.parametrize("language", ["en", "en-GB", "de", "fr", "fr-CH", "es", "es-MX", "it"])
def test_espeak_speaks_every_language_of_say(tmp_path: Path, language: str) -> None:
    one = heard(tmp_path, "espeak-ng", Say("number", "7", language))
    more = heard(tmp_path, "espeak-ng", Say("datetime", "2026-11-26 14:03", language))
    assert is_speech(more, 8000)
    assert len(more) > 2 * len(one) > 0


def test_flite_has_voices(tmp_path: Path) -> None:
    kal = heard(tmp_path, "flite", Speech("hello", "en", "kal"))
    slt = heard(tmp_path, "flite", Speech("hello", "en", "slt"))
    assert not np.array_equal(kal[:1000], slt[:1000])
    assert len(list((tmp_path / "speech").iterdir())) == 2


def test_unknown_voice_is_told(tmp_path: Path) -> None:
    speech = SpeechSettings(cache_directory=tmp_path / "speech")
    sounds = library(SoundSettings(prompt_directories=(tmp_path,), speech=speech))
    results: list[Playable | SourceError] = []
    sounds.open(Speech("hello", "xx"), 8000, results.append)
    assert isinstance(results[0], SourceError)
    assert "espeak-ng, asked for language 'xx', failed" in str(results[0])

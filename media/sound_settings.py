"""Settings of what the media engine plays: prompts, tones, hold music, text-to-speech."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from media import say, tones

LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})?")
VOICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,39}")
"""A name: speech engines would open a path, flite even an address."""


def read_language(value: str) -> str:
    """A language, or "". ValueError."""
    if value and not LANGUAGE.fullmatch(value):
        raise ValueError(f"bad language {value[:40]!r}: expected one such as en, de or en-GB")
    return value


def read_voice(value: str) -> str:
    """The name of a voice, or "". ValueError."""
    if value and not VOICE.fullmatch(value):
        raise ValueError(f"bad voice {value[:40]!r}: expected a name of letters, digits, _, + and -, at most 40")
    return value


def read_country(value: str) -> str:
    """A country whose tones are known, in small letters, or "". ValueError."""
    code = value.lower()
    if code and not tones.is_country(code):
        if re.fullmatch("[a-z]{2}", code):
            raise ValueError(f"tones of {value!r} are not known: expected one of {', '.join(tones.countries())}")
        raise ValueError(f"expected a two-letter country code such as de instead of {value[:40]!r}")
    return code


class MusicClassSettings(BaseModel):
    """One class of hold music: a directory of sound files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Path = Field(
        description="Directory whose sound files are played, one after the other, without an end; relative to the "
        "configuration directory."
    )
    order: Literal["name", "random"] = Field("name", description="Order of the files.")


class SpeechSettings(BaseModel):
    """Text-to-speech."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["espeak-ng", "flite", "none"] = Field(
        "espeak-ng", description="Program that speaks texts; it must be installed. flite speaks English only."
    )
    voice: str = Field("", description="Voice of the engine; empty: its own for the language.")
    timeout_seconds: float = Field(10.0, gt=0, le=120, description="A text that takes longer to be spoken fails.")
    max_characters: int = Field(2000, ge=1, le=20000, description="Longer texts are refused.")
    cache_directory: Path = Field(
        Path("speech"),
        description="Where spoken texts are kept, so that each is spoken once; relative to the state directory.",
    )
    cache_mb: int = Field(256, ge=1, le=1_000_000, description="Most that is kept there; the longest unused go first.")

    @field_validator("voice")
    @classmethod
    def _is_a_voice(cls, value: str) -> str:
        return read_voice(value)


class SoundSettings(BaseModel):
    """What is played to callers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_directories: tuple[Path, ...] = Field(
        (Path("prompts"),),
        max_length=16,
        description="Where sound files are looked for, in this order; nothing outside of them is ever played. Relative "
        "ones lie in the configuration directory.",
    )
    language: str = Field("en", description="Language of prompts and speech where a call has none.")
    tone_country: str = Field("us", description="Country (ISO 3166) whose dial, ringback and busy tones are heard.")
    music: dict[str, MusicClassSettings] = Field(
        default_factory=dict,
        description="Classes of hold music. `default` is a built-in melody where it is not given a directory.",
    )
    speech: SpeechSettings = Field(default_factory=SpeechSettings, description="Text-to-speech.")
    cache_mb: int = Field(64, ge=1, le=65536, description="Memory for decoded sound files.")
    stream_above_seconds: float = Field(
        60.0, gt=0, le=3600, description="Longer files are read while they are played, and not kept in memory."
    )
    level_dbm0: float | None = Field(
        None,
        ge=-40,
        le=-3,
        description="Bring every sound file that is kept in memory to this level (dBm0). Empty: as it is.",
    )

    @field_validator("language")
    @classmethod
    def _is_a_language(cls, value: str) -> str:
        if not read_language(value) or not say.speaks(value):
            raise ValueError(f"language {value[:40]!r}: expected one of {', '.join(say.languages())}")
        return value

    @field_validator("tone_country")
    @classmethod
    def _is_a_country(cls, value: str) -> str:
        if not value:
            raise ValueError(f"expected one of {', '.join(tones.countries())}")
        return read_country(value)

"""What `answer_and_play` plays, as operators write it. What no configuration could make playable is refused here; what
depends on other settings, or on files, is looked at by `settings.sound_checks`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from media import say, tones
from media.playable import SourceError
from media.prompts import MELODY, checked_name
from media.sound_settings import read_country, read_language, read_voice
from softswitch.dialplan.patterns import Template
from softswitch.settings.fields import Duration, Section, one_or_many
from softswitch.settings.validation import at_value
from softswitch.spelling import meant

MAX_SOURCES = 32  # of one announcement
MAX_TEXT = 1000  # characters of a text to be spoken
MAX_FILE_NAME = 255  # characters

KINDS = ("file", "tone", "silence", "say", "speech")
_OWNERS = {
    "country": ("tone",),
    "seconds": ("tone",),
    "as_": ("say",),
    "language": ("say", "speech"),
    "voice": ("speech",),
}
"""Keys that go with some kinds only."""


def _spoken(text: str) -> str:
    Template(text)
    return text


def _file(name: str) -> str:
    try:
        checked_name(name)
    except SourceError as problem:
        raise ValueError(str(problem)) from None
    return name


def read_tone(name: str) -> str:
    if name != MELODY:
        try:
            tones.tone_name(name)
        except SourceError:
            close = meant(name, [*tones.names(), MELODY])
            expected = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(
                f"unknown tone {name[:40]!r}: {expected}expected one of {', '.join(tones.names())}"
            ) from None
    return name


SpokenText = Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_spoken)]
SourceName = Annotated[str, Field(min_length=1, max_length=MAX_FILE_NAME), AfterValidator(_file)]
ToneName = Annotated[str, AfterValidator(read_tone), Field(examples=tones.names())]


class SourceModel(Section):
    """Something to be played: exactly one of `file`, `tone`, `silence`, `say` and `speech`."""

    file: SourceName | None = None
    """A sound file below the prompt directories: `welcome`, `en/welcome.wav`."""
    tone: ToneName | None = None
    """A tone: `beep`, `busy`, `congestion`, `ringback`, `special-information`..."""
    country: Annotated[str, AfterValidator(read_country)] = ""
    """With `tone`: the country whose tone it is, `de`; absent, the configured one."""
    seconds: Duration | None = Field(None, gt=0, le=86400)
    """With `tone`: how long; absent, as long as the tone itself lasts, which may be for ever."""
    silence: Duration | None = Field(None, gt=0, le=3600)
    """Nothing, for that long."""
    say: SpokenText | None = None
    """A value spoken from prompts, as `as` says; may hold variables such as {number}."""
    as_: Literal["digits", "number", "ordinal", "date", "time", "datetime", "money", "letters"] = Field(
        "digits", alias="as"
    )
    """With `say`: what the value is. `2026-11-26` is a date, `14:03` a time, `12.50 EUR` money."""
    speech: SpokenText | None = None
    """Text for the text-to-speech engine; may hold variables."""
    language: Annotated[str, AfterValidator(read_language)] = ""
    """With `say` and `speech`: the language; absent, the configured one."""
    voice: Annotated[str, AfterValidator(read_voice)] = ""
    """With `speech`: the voice."""

    @model_validator(mode="after")
    def _one_source(self) -> SourceModel:
        chosen = [name for name in KINDS if getattr(self, name) is not None]
        if len(chosen) != 1:
            found = "found " + " and ".join(f"'{name}'" for name in chosen) if chosen else "found none"
            raise ValueError(f"expected one of 'file', 'tone', 'silence', 'say' and 'speech', {found}")
        for name, owners in _OWNERS.items():
            if name in self.model_fields_set and chosen[0] not in owners:
                words = " and ".join(f"'{owner}'" for owner in owners)
                raise ValueError(f"'{name.rstrip('_')}' goes with {words} only")
        return self

    @model_validator(mode="after")
    def _can_be_said(self) -> SourceModel:
        """Where no language is named, it is enough that one could say it."""
        if self.say is not None:
            if self.language and not say.speaks(self.language):
                message = (
                    f"values are not spoken in {self.language!r}: expected one of {', '.join(say.languages())}, or "
                    "'speech' with a text"
                )
                raise at_value(message, "language")
            refused = [self.unsayable(language) for language in self._languages()]
            if all(refused):
                raise at_value(refused[0], "say")
        return self

    def _languages(self) -> list[str]:
        return [self.language] if self.language else ["en", *say.languages()]

    def unsayable(self, language: str) -> str:
        """Why the value of `say` can't be said in a language; "" where it can, or a call's variables decide."""
        if self.say is None or Template(self.say).constant is None:
            return ""
        try:
            say.phrase(self.as_, self.say, language)
        except SourceError as problem:
            return str(problem)
        return ""

    def endless(self, country: str) -> bool:
        """A tone that goes on until the caller hangs up. `country`: the configured one."""
        if self.tone is None or self.seconds is not None:
            return False
        return self.tone == MELODY or bool(tones.cadence(self.tone, self.country or country).repeated)


def _read_source(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


SourceText = Annotated[SourceModel, BeforeValidator(_read_source, json_schema_input_type=SourceName | SourceModel)]
SourceList = Annotated[
    tuple[SourceText, ...],
    BeforeValidator(one_or_many, json_schema_input_type=SourceText | list[SourceText]),
    Field(min_length=1, max_length=MAX_SOURCES),
]

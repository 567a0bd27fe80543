"""What is said in a conference: `conference/NAME` below the prompt directories, or the same as text for the
text-to-speech engine.

A `Line` has both: where the sound files of it can't be played, its text is spoken as a whole.
"""

from __future__ import annotations

from typing import NamedTuple

from media.audio_commands import File, Say, Source, Speech
from softswitch.conference.texts import TEXTS

FOLDER = "conference/"


class Line(NamedTuple):
    """Something said: sources to be played one after the other, and the same as text ("": there is none)."""

    sources: tuple[Source, ...] = ()
    text: str = ""

    def then(self, *others: Line) -> Line:
        """This, and the others after it."""
        lines = (self, *others)
        sources = tuple(source for line in lines for source in line.sources)
        return Line(sources, " ".join(line.text for line in lines if line.text))


class Voice:
    """Lines in the language of a room; "" is that of the media engine, `default`, where the engine itself looks for
    prompts."""

    __slots__ = ("_folder", "_texts", "language", "spoken")

    def __init__(self, language: str, default: str = "") -> None:
        self.language = language
        spoken = language or default
        base = spoken.replace("_", "-").partition("-")[0]
        self._folder = f"{language}/{FOLDER}" if language else FOLDER
        self._texts = TEXTS.get(base, TEXTS["en"])
        self.spoken = spoken if base in TEXTS else "en"
        """The language that the texts are in."""

    def prompt(self, *names: str) -> Line:
        """Prompts by name, one after the other."""
        sources = tuple(File(self._folder + name) for name in names)
        return Line(sources, " ".join(self._texts[name] for name in names))

    def number(self, value: int) -> Line:
        return Line((Say("number", str(value), self.language),), str(value))

    def digits(self, digits: str) -> Line:
        return Line((Say("digits", digits, self.language),), digits)

    def who(self, path: str, name: str, number: str) -> Line:
        """A member: by its own voice, by its display name, by its number, or as somebody."""
        spoken = name or " ".join(number) or self._texts["somebody"]
        if path:
            return Line((File(path),), spoken)
        if name:
            return Line((self.speech(name),), name)
        return self.digits(number) if number.isdigit() else self.prompt("somebody")

    def speech(self, text: str) -> Speech:
        return Speech(text, self.spoken)

"""Values as phrases: which recordings of a prompt set say a number, a date, an amount. Pure.

`phrase("number", "21", "de")` is the pieces `de/digits/21`; where a recording is missing, its `text` goes to the speech
engine as a whole. Grammar is in `media/say_<language>.py`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from media.playable import SourceError
from media.say_de import German
from media.say_en import English
from media.say_es import Spanish
from media.say_fr import French
from media.say_it import Italian
from media.spoken import Language, Piece, SayError, text_of

LANGUAGES: dict[str, type[Language]] = {
    language.code: language for language in (English, German, French, Spanish, Italian)
}
MAX_VALUE = 999_999_999_999
MAX_SIGNS = 100  # digits or letters spoken at a time
SKIPPED = " -./()"  # in digits: written, not said

_NUMBER = re.compile(r"(-?)([0-9]{1,12})", re.ASCII)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_TIME = re.compile(r"([0-9]{2}):([0-9]{2})", re.ASCII)
_MONEY = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,2}))? ?([A-Z]{3})", re.ASCII)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Phrase(NamedTuple):
    """Pieces to be played one after the other, and the language (with its region) that they are in."""

    language: str
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return text_of(list(self.pieces))


def languages() -> list[str]:
    return sorted(LANGUAGES)


def speaks(language: str) -> bool:
    return _base(language)[0] in LANGUAGES


@lru_cache(64)
def grammar(language: str) -> Language:
    """Of a language as en or en-GB. SayError."""
    base, region = _base(language)
    if base not in LANGUAGES:
        raise SayError(f"language {language[:20]!r}: values are spoken in {', '.join(languages())}")
    return LANGUAGES[base](region)


def _base(language: str) -> tuple[str, str]:
    base, _, region = language.replace("_", "-").partition("-")
    return base.lower(), region.upper()


def say(kind: str, value: str, language: str) -> list[Piece]:
    """The pieces that say a value. SourceError tells what is wrong with it."""
    return list(phrase(kind, value, language).pieces)


def phrase(kind: str, value: str, language: str) -> Phrase:
    """`kind` as in `media.audio_commands.Say`. SourceError."""
    try:
        pieces = _pieces(kind, value.strip(), grammar(language))
    except SayError as problem:
        shown = value if len(value) <= 40 else value[:37] + "..."
        raise SourceError(f"{kind} {shown!r} can't be spoken: {problem}") from None
    return Phrase(language, tuple(pieces))


def _pieces(kind: str, value: str, language: Language) -> list[Piece]:
    match kind:
        case "digits":
            return language.digits(_digits(value))
        case "number":
            return _number(value, language)
        case "ordinal":
            return language.ordinal(_ordinal(value, language))
        case "date":
            return language.date(*_date(value))
        case "time":
            return language.time(*_time(value))
        case "datetime":
            return _datetime(value, language)
        case "money":
            return _money(value, language)
        case "letters":
            return language.letters(_letters(value))
        case _:
            raise SayError("its kind is none of digits, number, ordinal, date, time, datetime, money, letters")


def _digits(value: str) -> str:
    signs = "".join(sign for sign in value if sign not in SKIPPED)
    if not signs or len(signs) > MAX_SIGNS or not re.fullmatch(r"[0-9*#+]+", signs, re.ASCII):
        raise SayError(f"expected 1 to {MAX_SIGNS} of 0-9, *, #, +")
    return signs


def _letters(value: str) -> str:
    signs = "".join(value.split())
    if not 1 <= len(signs) <= MAX_SIGNS:
        raise SayError(f"expected 1 to {MAX_SIGNS} letters")
    return signs


def _number(value: str, language: Language) -> list[Piece]:
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise SayError(f"expected a whole number from -{MAX_VALUE} to {MAX_VALUE}")
    minus, digits = match.groups()
    pieces = language.number(int(digits))
    return [language.word("minus"), *pieces] if minus and int(digits) else pieces


def _ordinal(value: str, language: Language) -> int:
    match = _NUMBER.fullmatch(value)
    if match is None or match[1] or not 1 <= int(match[2]) <= language.MAX_ORDINAL:
        raise SayError(f"expected a whole number from 1 to {language.MAX_ORDINAL}")
    return int(match[2])


def _date(value: str) -> tuple[int, int, int]:
    match = _DATE.fullmatch(value)
    if match is None:
        raise SayError("expected a date as 2026-11-26")
    year, month, day = (int(part) for part in match.groups())
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not (year and 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] + leap):
        raise SayError("there is no such day")
    return year, month, day


def _time(value: str) -> tuple[int, int]:
    match = _TIME.fullmatch(value)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise SayError("expected a time from 00:00 to 23:59")
    return int(match[1]), int(match[2])


def _datetime(value: str, language: Language) -> list[Piece]:
    date, _, time = value.replace("T", " ", 1).partition(" ")
    if not time:
        raise SayError("expected a date and a time as 2026-11-26 14:03")
    return [*language.date(*_date(date)), *language.at(*_time(time))]


def _money(value: str, language: Language) -> list[Piece]:
    match = _MONEY.fullmatch(value)
    if match is None:
        raise SayError("expected an amount and an ISO 4217 currency as 12.50 EUR")
    minus, whole, cents, currency = match.groups()
    hundredths = int((cents or "").ljust(2, "0"))
    pieces = language.money(int(whole), hundredths, currency)
    return [language.word("minus"), *pieces] if minus and (int(whole) or hundredths) else pieces

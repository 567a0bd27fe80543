"""What every spoken language has in common: recordings by name, numbers in groups, the kinds of values. Pure.

A language is one file, `media/say_<language>.py`: its `WORDS` (name of a recording below the language's folder -> what
is said in it) and a subclass of `Language` with its grammar. Nothing is said that is not in `WORDS`, so a prompt set is
complete when it has a recording for each (`Language.recordings`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, NamedTuple


class SayError(ValueError):
    """The value can't be spoken."""


class Piece(NamedTuple):
    """A recording and its text; `glue` stands between the text before and this one (German writes one word)."""

    name: str
    text: str
    glue: str = " "


Pieces = list[Piece]


class Unit(NamedTuple):
    """A unit of money: one, several, its grammatical gender (m, f, n)."""

    one: str
    many: str
    gender: str = "m"


class Currency(NamedTuple):
    """`cent` None: it has no minor unit."""

    unit: Unit
    cent: Unit | None


MARKS = {
    "*": "star", "#": "hash", "+": "plus", "-": "dash", ".": "dot", "@": "at-sign", "_": "underscore", "/": "slash",
}  # fmt: skip
"""Names below `letters/` of what is spelt and is no letter."""


def text_of(pieces: Pieces) -> str:
    """What the pieces say, as it is written."""
    return "".join(piece.text if place == 0 else piece.glue + piece.text for place, piece in enumerate(pieces))


class Language(ABC):
    """`code` of the folder (en); `region` (GB, or ""). Numbers are 0 and above here; genders: "" where one counts,
    m, f, n before a noun."""

    code: ClassVar[str]
    WORDS: ClassVar[Mapping[str, str]]
    CURRENCIES: ClassVar[Mapping[str, Currency]]
    MAX_ORDINAL: ClassVar[int] = 999

    def __init__(self, region: str = "") -> None:
        self.region = region

    # -- grammar

    @abstractmethod
    def number(self, value: int, gender: str = "") -> Pieces: ...

    @abstractmethod
    def ordinal(self, value: int) -> Pieces: ...

    @abstractmethod
    def date(self, year: int, month: int, day: int) -> Pieces: ...

    @abstractmethod
    def time(self, hour: int, minute: int) -> Pieces: ...

    def at(self, hour: int, minute: int) -> Pieces:
        """The time behind a date."""
        return [self.word("at"), *self.time(hour, minute)]

    def is_one(self, value: int) -> bool:
        """The unit behind this number is in the singular."""
        return value == 1

    def amount(self, value: int, name: str, unit: Unit) -> Pieces:
        """A number and its unit, whose recordings are money/`name` and money/`name`-plural."""
        return [*self.number(value, unit.gender), self.unit(value, name)]

    # -- shared

    def unit(self, value: int, name: str, glue: str = " ") -> Piece:
        return self.word(f"money/{name}" if self.is_one(value) else f"money/{name}-plural", glue)

    def word(self, name: str, glue: str = " ", text: str = "") -> Piece:
        """A recording; `text` where it is written otherwise here."""
        return Piece(f"{self.code}/{name}", text or self.WORDS[name], glue)

    def digits(self, value: str) -> Pieces:
        return [self.word(f"digits/{sign}" if sign.isdigit() else f"letters/{MARKS[sign]}") for sign in value]

    def letters(self, value: str) -> Pieces:
        """Spelt; the commas make a speech engine read letters as letters."""
        pieces = []
        for sign in value.lower():
            name = f"digits/{sign}" if sign.isascii() and sign.isdigit() else f"letters/{MARKS.get(sign, sign)}"
            if name not in self.WORDS:
                raise SayError(f"{sign!r} can't be spelt in {self.code}")
            pieces.append(self.word(name, ", "))
        return pieces

    def money(self, whole: int, cents: int, code: str) -> Pieces:
        currency = self.CURRENCIES.get(code)
        if currency is None:
            raise SayError(f"currency {code} can't be spoken in {self.code}: one of {' '.join(self.CURRENCIES)}")
        name = code.lower()
        if cents and currency.cent is None:
            raise SayError(f"{code} has no minor unit: expected a whole amount")
        pieces = [] if cents and not whole else self.amount(whole, name, currency.unit)
        if cents and currency.cent is not None:
            if pieces:
                pieces.append(self.word("and"))
            pieces += self.amount(cents, f"{name}-cent", currency.cent)
        return pieces

    @classmethod
    def recordings(cls) -> dict[str, str]:
        """Every prompt of a complete set, by name, with what is said in it."""
        return {f"{cls.code}/{name}": text for name, text in cls.WORDS.items()}


def money_words(currencies: Mapping[str, Currency]) -> dict[str, str]:
    """The recordings of the units."""
    words = {}
    for code, currency in currencies.items():
        for name, unit in ((code.lower(), currency.unit), (f"{code.lower()}-cent", currency.cent)):
            if unit is not None:
                words[f"money/{name}"] = unit.one
                words[f"money/{name}-plural"] = unit.many
    return words


def listed(texts: str) -> list[str]:
    """Words between spaces."""
    return texts.split()


def numbered(folder: str, texts: str, first: int = 1) -> dict[str, str]:
    """`folder`/1 and so on, of texts between commas."""
    return {f"{folder}/{place}": text.strip() for place, text in enumerate(texts.split(","), first)}


def letter_words(marks: str, others: str = "") -> dict[str, str]:
    """a to z; the texts of `MARKS`, in their order, between commas; `others` as "ä=A Umlaut, ..."."""
    words = {f"letters/{letter}": letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
    words |= {f"letters/{name}": text.strip() for name, text in zip(MARKS.values(), marks.split(","), strict=True)}
    for other in filter(None, others.split(",")):
        sign, _, text = other.strip().partition("=")
        words[f"letters/{sign}"] = text
    return words

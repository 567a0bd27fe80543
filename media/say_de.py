"""German. Everything below a hundred is one recording: einundzwanzig is no twenty and one. Numbers below a million are
written as one word (Duden)."""

from __future__ import annotations

from media.spoken import Currency, Language, Piece, Pieces, Unit, letter_words, listed, money_words, numbered

_CENT = Unit("Cent", "Cent")
CURRENCIES = {
    "EUR": Currency(Unit("Euro", "Euro"), _CENT),
    "USD": Currency(Unit("Dollar", "Dollar"), _CENT),
    "GBP": Currency(Unit("Pfund", "Pfund", "n"), Unit("Penny", "Pence")),
    "CHF": Currency(Unit("Franken", "Franken"), Unit("Rappen", "Rappen")),
    "JPY": Currency(Unit("Yen", "Yen"), None),
    "CAD": Currency(Unit("kanadischer Dollar", "kanadische Dollar"), _CENT),
    "AUD": Currency(Unit("australischer Dollar", "australische Dollar"), _CENT),
    "SEK": Currency(Unit("schwedische Krone", "schwedische Kronen", "f"), Unit("Öre", "Öre", "n")),
    "PLN": Currency(Unit("Zloty", "Zloty"), Unit("Groschen", "Groschen")),
}
_SMALL = listed(
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn "
    "achtzehn neunzehn"
)
_TENS = listed("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")
_IRREGULAR = {1: "erste", 3: "dritte", 7: "siebte", 8: "achte"}


def _below_hundred(value: int) -> str:
    if value < 20:
        return _SMALL[value]
    tens = _TENS[value // 10 - 2]
    unit = "ein" if value % 10 == 1 else _SMALL[value % 10]
    return tens if value % 10 == 0 else f"{unit}und{tens}"


def _ordinal(value: int) -> str:
    return _IRREGULAR.get(value) or _below_hundred(value) + ("te" if value < 20 else "ste")


WORDS = {
    **{f"digits/{value}": _below_hundred(value) for value in range(100)},
    "digits/ein": "ein",
    "digits/eine": "eine",
    **{f"ordinals/{value}": _ordinal(value) for value in range(1, 100)},
    "ordinals/100": "hundertste",
    **numbered(
        "months", "Januar, Februar, März, April, Mai, Juni, Juli, August, September, Oktober, November, Dezember"
    ),
    "hundred": "hundert",
    "thousand": "tausend",
    "million": "Million",
    "millions": "Millionen",
    "billion": "Milliarde",
    "billions": "Milliarden",
    "and": "und",
    "minus": "minus",
    "the": "der",
    "at": "um",
    "oclock": "Uhr",
    **letter_words("Stern, Raute, Plus, Strich, Punkt, At, Unterstrich, Schrägstrich", "ä=Ä, ö=Ö, ü=Ü, ß=scharfes S"),
    **money_words(CURRENCIES),
}


class German(Language):
    code = "de"
    WORDS = WORDS
    CURRENCIES = CURRENCIES

    def number(self, value: int, gender: str = "") -> Pieces:
        """One is eins where it is counted, ein or eine before a noun: ein Euro, eine Krone, hundertein Euro."""
        if value == 0:
            return [self.word("digits/0")]
        pieces: Pieces = []
        for scale, name in ((1_000_000_000, "billion"), (1_000_000, "million")):
            if value >= scale:
                pieces += self._word_of(value // scale, "f")
                pieces.append(self.word(name if value // scale == 1 else name + "s"))
                value %= scale
        return pieces + self._word_of(value, gender)

    def _word_of(self, value: int, gender: str) -> Pieces:
        """Below a million: one written word."""
        pieces: Pieces = []
        if value >= 1000:
            pieces += [*self._hundreds(value // 1000, "n", " "), self.word("thousand", "")]
            value %= 1000
        if value:
            pieces += self._hundreds(value, gender, "" if pieces else " ")
        return pieces

    def _hundreds(self, value: int, gender: str, glue: str) -> Pieces:
        """1 to 999; `glue` before it."""
        pieces: Pieces = []
        if value >= 100:
            pieces += [self._small(value // 100, "n", glue), self.word("hundred", "")]
            value %= 100
        return [*pieces, self._small(value, gender, "" if pieces else glue)] if value else pieces

    def _small(self, value: int, gender: str, glue: str) -> Piece:
        if value == 1 and gender:
            return self.word("digits/eine" if gender == "f" else "digits/ein", glue)
        return self.word(f"digits/{value}", glue)

    def ordinal(self, value: int) -> Pieces:
        """Nominative, as after "der"."""
        rest = value % 100
        if rest == 0:
            before = [] if value == 100 else [self._small(value // 100, "n", " ")]
            return [*before, self.word("ordinals/100", "")]
        pieces = self._word_of(value - rest, "") if value > rest else []
        return [*pieces, self.word(f"ordinals/{rest}", "")]

    def date(self, year: int, month: int, day: int) -> Pieces:
        return [self.word("the"), self.word(f"ordinals/{day}"), self.word(f"months/{month}"), *self._year(year)]

    def _year(self, year: int) -> Pieces:
        """Neunzehnhundertneunundachtzig; from 2000 on as a number."""
        if not 1100 <= year < 2000:
            return self.number(year)
        pieces = [self.word(f"digits/{year // 100}"), self.word("hundred", "")]
        return [*pieces, self.word(f"digits/{year % 100}", "")] if year % 100 else pieces

    def time(self, hour: int, minute: int) -> Pieces:
        """Vierzehn Uhr drei."""
        pieces = [*self.number(hour, "n"), self.word("oclock")]
        return [*pieces, self.word(f"digits/{minute}")] if minute else pieces

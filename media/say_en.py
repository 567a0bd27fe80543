"""English. Regions GB, IE, AU, NZ, ZA, IN say "one hundred and five" and "the first of May"; others as in America."""

from __future__ import annotations

from media.spoken import Currency, Language, Pieces, Unit, letter_words, money_words, numbered

_CENT = Unit("cent", "cents")
CURRENCIES = {
    "EUR": Currency(Unit("euro", "euros"), _CENT),
    "USD": Currency(Unit("dollar", "dollars"), _CENT),
    "GBP": Currency(Unit("pound", "pounds"), Unit("penny", "pence")),
    "CHF": Currency(Unit("Swiss franc", "Swiss francs"), Unit("centime", "centimes")),
    "JPY": Currency(Unit("yen", "yen"), None),
    "CAD": Currency(Unit("Canadian dollar", "Canadian dollars"), _CENT),
    "AUD": Currency(Unit("Australian dollar", "Australian dollars"), _CENT),
    "SEK": Currency(Unit("Swedish krona", "Swedish kronor"), Unit("ore", "ore")),
    "PLN": Currency(Unit("zloty", "zlotys"), Unit("grosz", "groszy")),
}
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WORDS = {
    **numbered(
        "digits",
        "zero, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen, "
        "sixteen, seventeen, eighteen, nineteen",
        0,
    ),
    **{f"digits/{place}0": text for place, text in enumerate(_TENS, 2)},
    **numbered(
        "ordinals",
        "first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh, twelfth, thirteenth, "
        "fourteenth, fifteenth, sixteenth, seventeenth, eighteenth, nineteenth",
    ),
    **{f"ordinals/{place}0": text[:-1] + "ieth" for place, text in enumerate(_TENS, 2)},
    "ordinals/100": "hundredth",
    **numbered(
        "months",
        "January, February, March, April, May, June, July, August, September, October, November, December",
    ),
    "hundred": "hundred",
    "thousand": "thousand",
    "million": "million",
    "billion": "billion",
    "and": "and",
    "minus": "minus",
    "oh": "oh",
    "the": "the",
    "of": "of",
    "at": "at",
    "am": "a.m.",
    "pm": "p.m.",
    **letter_words("star, hash, plus, dash, dot, at, underscore, slash"),
    **money_words(CURRENCIES),
}
SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1000, "thousand"))
BRITISH = {"GB", "UK", "IE", "AU", "NZ", "ZA", "IN"}


class English(Language):
    code = "en"
    WORDS = WORDS
    CURRENCIES = CURRENCIES

    def __init__(self, region: str = "") -> None:
        super().__init__(region)
        self._british = region in BRITISH

    def number(self, value: int, gender: str = "") -> Pieces:
        if value == 0:
            return [self.word("digits/0")]
        pieces: Pieces = []
        for scale, name in SCALES:
            if value >= scale:
                pieces += [*self._hundreds(value // scale), self.word(name)]
                value %= scale
        if value:
            pieces += [*self._and(pieces, value), *self._hundreds(value)]
        return pieces

    def _and(self, pieces: Pieces, rest: int) -> Pieces:
        """Before what is left below a hundred."""
        return [self.word("and")] if self._british and pieces and rest < 100 else []

    def _hundreds(self, value: int) -> Pieces:
        """1 to 999."""
        pieces = [self.word(f"digits/{value // 100}"), self.word("hundred")] if value >= 100 else []
        rest = value % 100
        return [*pieces, *self._and(pieces, rest), *self._tens(rest)] if rest else pieces

    def _tens(self, value: int) -> Pieces:
        """1 to 99."""
        if value < 20 or value % 10 == 0:
            return [self.word(f"digits/{value}")]
        return [self.word(f"digits/{value - value % 10}"), self.word(f"digits/{value % 10}", "-")]

    def ordinal(self, value: int) -> Pieces:
        rest = value % 100
        if rest == 0:
            return [*self.number(value // 100), self.word("ordinals/100")]
        pieces = self.number(value - rest) if value > rest else []
        pieces += self._and(pieces, rest)
        if rest < 20 or rest % 10 == 0:
            return [*pieces, self.word(f"ordinals/{rest}")]
        return [*pieces, self.word(f"digits/{rest - rest % 10}"), self.word(f"ordinals/{rest % 10}", "-")]

    def date(self, year: int, month: int, day: int) -> Pieces:
        named = self.word(f"months/{month}")
        if self._british:
            return [self.word("the"), *self.ordinal(day), self.word("of"), named, *self._year(year)]
        return [named, *self.ordinal(day), *self._year(year)]

    def _year(self, year: int) -> Pieces:
        """Nineteen eighty-four, nineteen oh five, two thousand five, twenty twenty-six."""
        century, rest = divmod(year, 100)
        if year < 1000 or (century % 10 == 0 and rest < 10):
            return self.number(year)
        if rest == 0:
            return [*self._tens(century), self.word("hundred")]
        oh = [self.word("oh")] if rest < 10 else []
        return [*self._tens(century), *oh, *self._tens(rest)]

    def time(self, hour: int, minute: int) -> Pieces:
        """Two oh three p.m."""
        pieces = self._tens(hour % 12 or 12)
        if minute:
            pieces += [*([self.word("oh")] if minute < 10 else []), *self._tens(minute)]
        return [*pieces, self.word("am" if hour < 12 else "pm")]

"""Italian. Everything below a hundred is one recording (ventuno, ventotto are elided); numbers below a million are
written as one word: centotto, duemilatrecento, milletré."""

from __future__ import annotations

from media.spoken import Currency, Language, Piece, Pieces, Unit, letter_words, listed, money_words, numbered

_CENTESIMO = Unit("centesimo", "centesimi")
_CENT = Unit("centesimo", "centesimi")
CURRENCIES = {
    "EUR": Currency(Unit("euro", "euro"), _CENTESIMO),
    "USD": Currency(Unit("dollaro", "dollari"), _CENT),
    "GBP": Currency(Unit("sterlina", "sterline", "f"), Unit("penny", "pence")),
    "CHF": Currency(Unit("franco svizzero", "franchi svizzeri"), _CENTESIMO),
    "JPY": Currency(Unit("yen", "yen"), None),
    "CAD": Currency(Unit("dollaro canadese", "dollari canadesi"), _CENT),
    "AUD": Currency(Unit("dollaro australiano", "dollari australiani"), _CENT),
    "SEK": Currency(Unit("corona svedese", "corone svedesi", "f"), Unit("öre", "öre")),
    "PLN": Currency(Unit("zloty", "zloty"), Unit("grosz", "groszy")),
}
_SMALL = listed(
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici "
    "diciassette diciotto diciannove"
)
_TENS = listed("venti trenta quaranta cinquanta sessanta settanta ottanta novanta")
_FIRST = listed("primo secondo terzo quarto quinto sesto settimo ottavo nono decimo")


def _below_hundred(value: int) -> str:
    if value < 20:
        return _SMALL[value]
    tens, unit = _TENS[value // 10 - 2], value % 10
    if unit == 0:
        return tens
    stem = tens[:-1] if unit in (1, 8) else tens  # the vowels meet: ventuno, ventotto
    return stem + ("tré" if unit == 3 else _SMALL[unit])


def _esimo(text: str) -> str:
    """The regular ordinal: ventunesimo, ventitreesimo, ventiseiesimo."""
    if text.endswith(("tré", "tre")):
        return text[:-1] + "eesimo"
    return (text if text.endswith("sei") else text[:-1]) + "esimo"


WORDS = {
    **{f"digits/{value}": _below_hundred(value) for value in range(100)},
    "digits/1-m": "un",
    "digits/1-f": "una",
    **{f"ordinals/{value}": _esimo(_below_hundred(value)) for value in range(11, 100)},
    **numbered("ordinals", ", ".join(_FIRST)),
    # Behind a hundred: centounesimo.
    **{f"ordinals/{value}-esimo": _esimo(_SMALL[value]) for value in range(1, 10)},
    "ordinals/100": "centesimo",
    **numbered(
        "months",
        "gennaio, febbraio, marzo, aprile, maggio, giugno, luglio, agosto, settembre, ottobre, novembre, dicembre",
    ),
    "hundred": "cento",
    "thousand": "mille",
    "thousands": "mila",
    "million": "milione",
    "millions": "milioni",
    "billion": "miliardo",
    "billions": "miliardi",
    "and": "e",
    "of": "di",
    "minus": "meno",
    "the": "il",
    "the-elided": "l'",
    "at": "alle",
    "hours": "ore",
    **letter_words(
        "asterisco, cancelletto, più, trattino, punto, chiocciola, trattino basso, barra",
        "à=A accentata, è=E accentata, é=E accentata, ì=I accentata, ò=O accentata, ù=U accentata",
    ),
    **money_words(CURRENCIES),
}


class Italian(Language):
    code = "it"
    WORDS = WORDS
    CURRENCIES = CURRENCIES

    def number(self, value: int, gender: str = "") -> Pieces:
        """Uno counted, un before a noun, una before a feminine one."""
        if value == 0:
            return [self.word("digits/0")]
        if value == 1 and gender:
            return [self.word("digits/1-f" if gender == "f" else "digits/1-m")]
        pieces: Pieces = []
        for scale, name in ((1_000_000_000, "billion"), (1_000_000, "million")):
            if value >= scale:
                pieces += self.number(value // scale, "m")
                pieces.append(self.word(name if value // scale == 1 else name + "s"))
                value %= scale
        return pieces + self._word_of(value)

    def _word_of(self, value: int) -> Pieces:
        """0 (nothing) to 999,999: one written word."""
        pieces: Pieces = []
        thousands, rest = divmod(value, 1000)
        if thousands == 1:
            pieces.append(self.word("thousand"))
        elif thousands:
            # The accent of a final tré goes when more is joined: ventitremila.
            pieces += [self._plain(piece) for piece in self._hundreds(thousands, " ")] + [self.word("thousands", "")]
        return pieces + self._hundreds(rest, "" if pieces else " ")

    def _hundreds(self, value: int, glue: str) -> Pieces:
        """0 (nothing) to 999; `glue` before it."""
        pieces: Pieces = []
        hundreds, rest = divmod(value, 100)
        if hundreds:
            if hundreds > 1:
                pieces.append(self.word(f"digits/{hundreds}", glue))
            pieces.append(self._hundred(rest, "" if pieces else glue))
        if rest:
            joined = bool(pieces) or glue == ""
            text = "tré" if rest == 3 and joined else ""
            pieces.append(self.word(f"digits/{rest}", "" if pieces else glue, text))
        return pieces

    def _hundred(self, rest: int, glue: str) -> Piece:
        """Cento, elided before otto and ottanta."""
        return self.word("hundred", glue, "cent" if rest == 8 or 80 <= rest < 90 else "")

    def _plain(self, piece: Piece) -> Piece:
        return piece._replace(text=piece.text.replace("é", "e"))

    def amount(self, value: int, name: str, unit: Unit) -> Pieces:
        """Due milioni di euro."""
        of = [self.word("of")] if value and value % 1_000_000 == 0 else []
        return [*self.number(value, unit.gender), *of, self.unit(value, name)]

    def ordinal(self, value: int) -> Pieces:
        hundreds, rest = divmod(value, 100)
        before = [self.word(f"digits/{hundreds}")] if hundreds > 1 else []
        if rest == 0:
            return [*before, self.word("ordinals/100", "")]
        if hundreds:
            before.append(self._hundred(rest, ""))
        return [*before, self.word(f"ordinals/{rest}-esimo" if before and rest < 10 else f"ordinals/{rest}", "")]

    def date(self, year: int, month: int, day: int) -> Pieces:
        """Il ventisei novembre; il primo; l'otto, l'undici."""
        if day == 1:
            said = [self.word("the"), self.word("ordinals/1")]
        elif day in (8, 11):
            said = [self.word("the-elided"), self.word(f"digits/{day}", "")]
        else:
            said = [self.word("the"), self.word(f"digits/{day}")]
        return [*said, self.word(f"months/{month}"), *self.number(year)]

    def time(self, hour: int, minute: int) -> Pieces:
        """Ore quattordici e tre."""
        pieces = [self.word("hours"), *self.number(hour, "f")]
        return [*pieces, self.word("and"), *self.number(minute)] if minute else pieces

"""French. Everything below a hundred is one recording. Traditional spelling: hyphens below a hundred only. Belgium says
septante and nonante, Switzerland huitante as well."""

from __future__ import annotations

from media.spoken import Currency, Language, Piece, Pieces, Unit, letter_words, listed, money_words, numbered

_CENT = Unit("centime", "centimes")
CURRENCIES = {
    "EUR": Currency(Unit("euro", "euros"), _CENT),
    "USD": Currency(Unit("dollar", "dollars"), Unit("cent", "cents")),
    "GBP": Currency(Unit("livre", "livres", "f"), Unit("penny", "pence")),
    "CHF": Currency(Unit("franc suisse", "francs suisses"), _CENT),
    "JPY": Currency(Unit("yen", "yens"), None),
    "CAD": Currency(Unit("dollar canadien", "dollars canadiens"), Unit("cent", "cents")),
    "AUD": Currency(Unit("dollar australien", "dollars australiens"), Unit("cent", "cents")),
    "SEK": Currency(Unit("couronne suédoise", "couronnes suédoises", "f"), Unit("öre", "öre")),
    "PLN": Currency(Unit("zloty", "zlotys"), Unit("grosz", "groszy")),
}
_SMALL = listed(
    "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit "
    "dix-neuf"
)
_TENS = {2: "vingt", 3: "trente", 4: "quarante", 5: "cinquante", 6: "soixante"}
_REGIONAL = {7: "septante", 8: "huitante", 9: "nonante"}


def _with_tens(tens: str, unit: int) -> str:
    if unit == 0:
        return tens
    return f"{tens} et {_SMALL[unit]}" if unit in (1, 11) else f"{tens}-{_SMALL[unit]}"


def _below_hundred(value: int) -> str:
    if value < 20:
        return _SMALL[value]
    if value < 70:
        return _with_tens(_TENS[value // 10], value % 10)
    if value < 80:
        return _with_tens("soixante", value - 60)
    return "quatre-vingts" if value == 80 else f"quatre-vingt-{_SMALL[value - 80]}"


def _ordinal(text: str) -> str:
    stem = text.removesuffix("s") if text.endswith("vingts") else text.removesuffix("e")
    if stem.endswith("neuf"):
        stem = stem[:-1] + "v"
    return stem + ("uième" if stem.endswith("cinq") else "ième")


def _feminine(value: int) -> bool:
    """It ends in un, which becomes une."""
    return value % 10 == 1 and value not in (11, 71, 91)


WORDS = {
    **{f"digits/{value}": _below_hundred(value) for value in range(100)},
    **{f"digits/{value}-f": _below_hundred(value) + "e" for value in range(100) if _feminine(value)},
    **{f"digits/{_REGIONAL[ten]}-{unit}": _with_tens(_REGIONAL[ten], unit) for ten in _REGIONAL for unit in range(10)},
    **{f"digits/{ten}-1-f": f"{ten} et une" for ten in _REGIONAL.values()},
    **{f"ordinals/{value}": _ordinal(_below_hundred(value)) for value in range(1, 100)},
    "ordinals/1": "premier",
    "ordinals/unieme": "unième",
    "ordinals/100": "centième",
    **numbered(
        "months", "janvier, février, mars, avril, mai, juin, juillet, août, septembre, octobre, novembre, décembre"
    ),
    "hundred": "cent",
    "thousand": "mille",
    "million": "million",
    "billion": "milliard",
    "and": "et",
    "of": "de",
    "minus": "moins",
    "the": "le",
    "at": "à",
    "hour": "heure",
    **letter_words(
        "étoile, dièse, plus, tiret, point, arobase, tiret bas, barre oblique",
        "é=E accent aigu, è=E accent grave, ê=E accent circonflexe, ë=E tréma, à=A accent grave, "
        "â=A accent circonflexe, ç=C cédille, î=I accent circonflexe, ï=I tréma, ô=O accent circonflexe, "
        "ù=U accent grave, û=U accent circonflexe, ü=U tréma",
    ),
    **money_words(CURRENCIES),
}


class French(Language):
    code = "fr"
    WORDS = WORDS
    CURRENCIES = CURRENCIES

    def __init__(self, region: str = "") -> None:
        super().__init__(region)
        self._regional = {"BE": (7, 9), "CH": (7, 8, 9)}.get(region, ())

    def is_one(self, value: int) -> bool:
        return value < 2

    def number(self, value: int, gender: str = "") -> Pieces:
        if value == 0:
            return [self.word("digits/0")]
        pieces: Pieces = []
        for scale, name in ((1_000_000_000, "billion"), (1_000_000, "million")):
            if value >= scale:
                pieces += self._hundreds(value // scale, "m", plural=True)
                text = self.WORDS[name] + ("" if value // scale == 1 else "s")  # which is not heard
                pieces.append(self.word(name, text=text))
                value %= scale
        if value >= 1000:  # mille, never un mille; and no plural before it: deux cent mille
            if value >= 2000:
                pieces += self._hundreds(value // 1000, "m", plural=False)
            pieces.append(self.word("thousand"))
            value %= 1000
        return pieces + self._hundreds(value, gender, plural=True)

    def _hundreds(self, value: int, gender: str, plural: bool) -> Pieces:
        """0 (nothing) to 999; `plural`: deux cents, quatre-vingts, where nothing follows."""
        pieces: Pieces = []
        hundreds, rest = divmod(value, 100)
        if hundreds:
            several = "cents" if hundreds > 1 and not rest and plural else ""
            pieces = [self.word(f"digits/{hundreds}")] if hundreds > 1 else []
            pieces.append(self.word("hundred", text=several))
        if rest:
            pieces.append(self._small(rest, gender, plural))
        return pieces

    def _small(self, value: int, gender: str, plural: bool = True) -> Piece:
        """1 to 99."""
        ten, unit = divmod(value, 10)
        if ten in self._regional:
            return self.word(f"digits/{_REGIONAL[ten]}-{unit}" + ("-f" if gender == "f" and unit == 1 else ""))
        if gender == "f" and _feminine(value):
            return self.word(f"digits/{value}-f")
        return self.word(f"digits/{value}", text="" if plural or value != 80 else "quatre-vingt")

    def amount(self, value: int, name: str, unit: Unit) -> Pieces:
        """Deux millions d'euros, un million de livres."""
        pieces = self.number(value, unit.gender)
        if value and value % 1_000_000 == 0:
            elided = unit.many[0] in "aeiouéö"
            return [
                *pieces,
                self.word("of", text="d'" if elided else ""),
                self.unit(value, name, "" if elided else " "),
            ]
        return [*pieces, self.unit(value, name)]

    def ordinal(self, value: int) -> Pieces:
        rest = value % 100
        if rest == 0:
            before = [] if value == 100 else [self.word(f"digits/{value // 100}")]
            return [*before, self.word("ordinals/100")]
        before = self.number(value - rest) if value > rest else []
        before = [self.word("hundred") if piece.name == "fr/hundred" else piece for piece in before]
        return [*before, self.word("ordinals/unieme" if before and rest == 1 else f"ordinals/{rest}")]

    def date(self, year: int, month: int, day: int) -> Pieces:
        said = self.word("ordinals/1") if day == 1 else self.word(f"digits/{day}")
        return [self.word("the"), said, self.word(f"months/{month}"), *self.number(year)]

    def time(self, hour: int, minute: int) -> Pieces:
        """Quatorze heures trois; hours and minutes are feminine."""
        text = "heure" if hour < 2 else "heures"  # which sounds the same
        pieces = [*self.number(hour, "f"), self.word("hour", text=text)]
        return [*pieces, *self.number(minute, "f")] if minute else pieces

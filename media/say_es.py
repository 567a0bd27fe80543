"""Spanish. Up to 29 each number is one recording, then treinta y uno. Before a noun uno is un or una, and the hundreds
have a gender. Spain says "el uno de mayo", America "el primero de mayo"."""

from __future__ import annotations

from media.spoken import Currency, Language, Piece, Pieces, Unit, letter_words, listed, money_words, numbered

_CENTIMO = Unit("céntimo", "céntimos")
_CENTAVO = Unit("centavo", "centavos")
CURRENCIES = {
    "EUR": Currency(Unit("euro", "euros"), _CENTIMO),
    "USD": Currency(Unit("dólar", "dólares"), _CENTAVO),
    "GBP": Currency(Unit("libra", "libras", "f"), Unit("penique", "peniques")),
    "CHF": Currency(Unit("franco suizo", "francos suizos"), _CENTIMO),
    "JPY": Currency(Unit("yen", "yenes"), None),
    "CAD": Currency(Unit("dólar canadiense", "dólares canadienses"), _CENTAVO),
    "AUD": Currency(Unit("dólar australiano", "dólares australianos"), _CENTAVO),
    "SEK": Currency(Unit("corona sueca", "coronas suecas", "f"), Unit("öre", "öre")),
    "PLN": Currency(Unit("esloti", "eslotis"), Unit("grosz", "groszy")),
}
_HUNDREDS = listed(
    "ciento doscientos trescientos cuatrocientos quinientos seiscientos setecientos ochocientos novecientos"
)
WORDS = {
    **numbered(
        "digits",
        "cero, uno, dos, tres, cuatro, cinco, seis, siete, ocho, nueve, diez, once, doce, trece, catorce, quince, "
        "dieciséis, diecisiete, dieciocho, diecinueve, veinte, veintiuno, veintidós, veintitrés, veinticuatro, "
        "veinticinco, veintiséis, veintisiete, veintiocho, veintinueve, treinta",
        0,
    ),
    "digits/1-m": "un",
    "digits/1-f": "una",
    "digits/21-m": "veintiún",
    "digits/21-f": "veintiuna",
    "digits/40": "cuarenta",
    "digits/50": "cincuenta",
    "digits/60": "sesenta",
    "digits/70": "setenta",
    "digits/80": "ochenta",
    "digits/90": "noventa",
    "digits/100": "cien",
    **{f"hundreds/{place}": text for place, text in enumerate(_HUNDREDS, 1)},
    **{f"hundreds/{place}-f": text[:-2] + "as" for place, text in enumerate(_HUNDREDS, 1) if place > 1},
    **numbered(
        "ordinals",
        "primero, segundo, tercero, cuarto, quinto, sexto, séptimo, octavo, noveno, décimo, undécimo, duodécimo, "
        "decimotercero, decimocuarto, decimoquinto, decimosexto, decimoséptimo, decimoctavo, decimonoveno, vigésimo",
    ),
    "ordinals/30": "trigésimo",
    "ordinals/40": "cuadragésimo",
    "ordinals/50": "quincuagésimo",
    "ordinals/60": "sexagésimo",
    "ordinals/70": "septuagésimo",
    "ordinals/80": "octogésimo",
    "ordinals/90": "nonagésimo",
    "ordinals/100": "centésimo",
    "ordinals/200": "ducentésimo",
    "ordinals/300": "tricentésimo",
    "ordinals/400": "cuadringentésimo",
    "ordinals/500": "quingentésimo",
    "ordinals/600": "sexcentésimo",
    "ordinals/700": "septingentésimo",
    "ordinals/800": "octingentésimo",
    "ordinals/900": "noningentésimo",
    **numbered(
        "months", "enero, febrero, marzo, abril, mayo, junio, julio, agosto, septiembre, octubre, noviembre, diciembre"
    ),
    "thousand": "mil",
    "million": "millón",
    "millions": "millones",
    "and": "y",
    "with": "con",
    "of": "de",
    "minus": "menos",
    "the": "el",
    "at": "a las",
    "at-one": "a la",
    "hour": "hora",
    "hours": "horas",
    "minute": "minuto",
    "minutes": "minutos",
    **letter_words(
        "asterisco, almohadilla, más, guion, punto, arroba, guion bajo, barra",
        "ñ=Ñ, á=A con acento, é=E con acento, í=I con acento, ó=O con acento, ú=U con acento, ü=U con diéresis",
    ),
    **money_words(CURRENCIES),
}


class Spanish(Language):
    code = "es"
    WORDS = WORDS
    CURRENCIES = CURRENCIES

    def number(self, value: int, gender: str = "") -> Pieces:
        if value == 0:
            return [self.word("digits/0")]
        pieces: Pieces = []
        if value >= 1_000_000:  # the long scale: mil millones
            millions = value // 1_000_000
            pieces += [*self._thousands(millions, "m"), self.word("million" if millions == 1 else "millions")]
        return pieces + self._thousands(value % 1_000_000, gender)

    def _thousands(self, value: int, gender: str) -> Pieces:
        """0 (nothing) to 999,999. Mil, never un mil; veintiún mil."""
        pieces: Pieces = []
        if value >= 1000:
            if value >= 2000:
                pieces += self._hundreds(value // 1000, gender or "m")
            pieces.append(self.word("thousand"))
        return pieces + self._hundreds(value % 1000, gender)

    def _hundreds(self, value: int, gender: str) -> Pieces:
        """0 (nothing) to 999. Cien alone, ciento with more."""
        if value == 100:
            return [self.word("digits/100")]
        pieces: Pieces = []
        if value > 100:
            feminine = "-f" if gender == "f" and value >= 200 else ""
            pieces.append(self.word(f"hundreds/{value // 100}{feminine}"))
        rest = value % 100
        return pieces + self._tens(rest, gender) if rest else pieces

    def _tens(self, value: int, gender: str) -> Pieces:
        """1 to 99."""
        if value <= 30 or value % 10 == 0:
            return [self._small(value, gender)]
        return [self.word(f"digits/{value - value % 10}"), self.word("and"), self._small(value % 10, gender)]

    def _small(self, value: int, gender: str) -> Piece:
        if value in (1, 21) and gender:
            return self.word(f"digits/{value}-{'f' if gender == 'f' else 'm'}")
        return self.word(f"digits/{value}")

    def amount(self, value: int, name: str, unit: Unit) -> Pieces:
        """Dos millones de euros."""
        of = [self.word("of")] if value and value % 1_000_000 == 0 else []
        return [*self.number(value, unit.gender), *of, self.unit(value, name)]

    def ordinal(self, value: int) -> Pieces:
        rest = value % 100
        pieces = [self.word(f"ordinals/{value - rest}")] if value > rest else []
        if rest > 20 and rest % 10:
            pieces.append(self.word(f"ordinals/{rest - rest % 10}"))
            rest %= 10
        return [*pieces, self.word(f"ordinals/{rest}")] if rest else pieces

    def date(self, year: int, month: int, day: int) -> Pieces:
        first = day == 1 and self.region not in ("", "ES")
        said = [self.word("ordinals/1")] if first else self.number(day)
        of = self.word("of")
        return [self.word("the"), *said, of, self.word(f"months/{month}"), of, *self.number(year)]

    def time(self, hour: int, minute: int) -> Pieces:
        """Catorce horas y tres minutos."""
        pieces = [*self.number(hour, "f"), self.word("hour" if hour == 1 else "hours")]
        if minute:
            pieces += [self.word("and"), *self.number(minute, "m"), self.word("minute" if minute == 1 else "minutes")]
        return pieces

    def at(self, hour: int, minute: int) -> Pieces:
        return [self.word("at-one" if hour == 1 else "at"), *self.time(hour, minute)]

    def money(self, whole: int, cents: int, code: str) -> Pieces:
        """Doce euros con cincuenta céntimos."""
        joined = super().money(whole, cents, code)
        # The last "y" joins the cents, unless it is the one inside of a number (treinta y uno).
        if whole and cents:
            place = len(self.amount(whole, code.lower(), self.CURRENCIES[code].unit))
            joined[place] = self.word("with")
        return joined

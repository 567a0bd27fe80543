"""Spoken values, against lists written by hand from each language's grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import say
from media.playable import SourceError

NUMBERS: dict[str, dict[int, str]] = {
    "en": {
        0: "zero", 1: "one", 11: "eleven", 12: "twelve", 13: "thirteen", 15: "fifteen", 19: "nineteen", 20: "twenty",
        21: "twenty-one", 40: "forty", 99: "ninety-nine", 100: "one hundred", 101: "one hundred one",
        115: "one hundred fifteen", 342: "three hundred forty-two", 1000: "one thousand",
        1100: "one thousand one hundred", 12345: "twelve thousand three hundred forty-five",
        100_000: "one hundred thousand", 1_000_000: "one million", 2_000_003: "two million three",
        1_000_000_000: "one billion", 7_000_500_000: "seven billion five hundred thousand", -12: "minus twelve",
    },
    "en-GB": {
        100: "one hundred", 101: "one hundred and one", 342: "three hundred and forty-two",
        1001: "one thousand and one", 1100: "one thousand one hundred",
        2345: "two thousand three hundred and forty-five",
        101_000: "one hundred and one thousand", 1_000_021: "one million and twenty-one", 21: "twenty-one",
    },
    "de": {
        0: "null", 1: "eins", 6: "sechs", 7: "sieben", 11: "elf", 12: "zwölf", 16: "sechzehn", 17: "siebzehn",
        20: "zwanzig", 21: "einundzwanzig", 30: "dreißig", 37: "siebenunddreißig", 66: "sechsundsechzig",
        71: "einundsiebzig", 99: "neunundneunzig", 100: "einhundert", 101: "einhunderteins",
        200: "zweihundert", 342: "dreihundertzweiundvierzig", 1000: "eintausend", 1001: "eintausendeins",
        2026: "zweitausendsechsundzwanzig", 21_000: "einundzwanzigtausend", 101_000: "einhunderteintausend",
        1_000_000: "eine Million", 2_000_000: "zwei Millionen", 1_200_001: "eine Million zweihunderttausendeins",
        1_000_000_000: "eine Milliarde", 21_000_000_000: "einundzwanzig Milliarden", -5: "minus fünf",
    },
    "fr": {
        0: "zéro", 1: "un", 16: "seize", 17: "dix-sept", 20: "vingt", 21: "vingt et un", 22: "vingt-deux",
        60: "soixante", 61: "soixante et un", 70: "soixante-dix", 71: "soixante et onze", 72: "soixante-douze",
        79: "soixante-dix-neuf", 80: "quatre-vingts", 81: "quatre-vingt-un", 90: "quatre-vingt-dix",
        91: "quatre-vingt-onze", 99: "quatre-vingt-dix-neuf", 100: "cent", 101: "cent un", 180: "cent quatre-vingts",
        200: "deux cents", 201: "deux cent un", 1000: "mille", 1001: "mille un",
        1789: "mille sept cent quatre-vingt-neuf",
        2000: "deux mille", 80_000: "quatre-vingt mille", 200_000: "deux cent mille", 1_000_000: "un million",
        2_000_000: "deux millions", 80_000_000: "quatre-vingts millions", 200_000_000: "deux cents millions",
        1_000_000_000: "un milliard", 3_000_000_071: "trois milliards soixante et onze", -8: "moins huit",
    },
    "fr-BE": {70: "septante", 71: "septante et un", 80: "quatre-vingts", 95: "nonante-cinq"},
    "fr-CH": {75: "septante-cinq", 80: "huitante", 88: "huitante-huit", 91: "nonante et un"},
    "es": {
        0: "cero", 1: "uno", 15: "quince", 16: "dieciséis", 20: "veinte", 21: "veintiuno", 22: "veintidós",
        23: "veintitrés", 26: "veintiséis", 30: "treinta", 31: "treinta y uno", 45: "cuarenta y cinco",
        99: "noventa y nueve", 100: "cien", 101: "ciento uno", 110: "ciento diez", 200: "doscientos",
        500: "quinientos", 700: "setecientos", 900: "novecientos", 555: "quinientos cincuenta y cinco", 1000: "mil",
        1001: "mil uno", 2026: "dos mil veintiséis", 21_000: "veintiún mil", 31_000: "treinta y un mil",
        100_000: "cien mil", 101_000: "ciento un mil", 200_000: "doscientos mil", 1_000_000: "un millón",
        21_000_000: "veintiún millones", 1_000_000_000: "mil millones", 2_000_000_001: "dos mil millones uno",
        -3: "menos tres",
    },
    "it": {
        0: "zero", 1: "uno", 3: "tre", 17: "diciassette", 18: "diciotto", 20: "venti", 21: "ventuno", 22: "ventidue",
        23: "ventitré", 28: "ventotto", 31: "trentuno", 38: "trentotto", 43: "quarantatré", 81: "ottantuno",
        88: "ottantotto", 100: "cento", 101: "centouno", 103: "centotré", 108: "centotto", 111: "centoundici",
        180: "centottanta", 200: "duecento", 1000: "mille", 1001: "milleuno", 1003: "milletré",
        1861: "milleottocentosessantuno",
        2000: "duemila", 2345: "duemilatrecentoquarantacinque", 3000: "tremila", 21_000: "ventunomila",
        23_000: "ventitremila", 100_000: "centomila", 1_000_000: "un milione", 2_000_000: "due milioni",
        21_000_000: "ventuno milioni", 1_000_000_000: "un miliardo", 5_000_000_000: "cinque miliardi", -2: "meno due",
    },
}  # fmt: skip

OTHERS = [
    ("en", "digits", "20*#", "two zero star hash"),
    ("en", "digits", "+44 (0)20-7946", "plus four four zero two zero seven nine four six"),
    ("en", "ordinal", "1", "first"),
    ("en", "ordinal", "12", "twelfth"),
    ("en", "ordinal", "20", "twentieth"),
    ("en", "ordinal", "42", "forty-second"),
    ("en", "ordinal", "100", "one hundredth"),
    ("en", "ordinal", "103", "one hundred third"),
    ("en-GB", "ordinal", "103", "one hundred and third"),
    ("en", "date", "2026-11-26", "November twenty-sixth twenty twenty-six"),
    ("en-GB", "date", "2026-05-01", "the first of May twenty twenty-six"),
    ("en", "date", "1905-12-31", "December thirty-first nineteen oh five"),
    ("en", "date", "1900-01-02", "January second nineteen hundred"),
    ("en", "date", "2005-01-02", "January second two thousand five"),
    ("en", "date", "2000-02-29", "February twenty-ninth two thousand"),
    ("en", "time", "14:03", "two oh three p.m."),
    ("en", "time", "00:00", "twelve a.m."),
    ("en", "time", "12:30", "twelve thirty p.m."),
    ("en", "datetime", "2026-11-26T09:15", "November twenty-sixth twenty twenty-six at nine fifteen a.m."),
    ("en", "money", "12.50 EUR", "twelve euros and fifty cents"),
    ("en", "money", "1.01 GBP", "one pound and one penny"),
    ("en", "money", "0.05 USD", "five cents"),
    ("en", "money", "0 USD", "zero dollars"),
    ("en", "money", "-3.5USD", "minus three dollars and fifty cents"),
    ("en", "money", "1000 JPY", "one thousand yen"),
    ("en", "letters", "Ab-9@x", "A, B, dash, nine, at, X"),
    ("de", "digits", "0123", "null eins zwei drei"),
    ("de", "ordinal", "1", "erste"),
    ("de", "ordinal", "3", "dritte"),
    ("de", "ordinal", "7", "siebte"),
    ("de", "ordinal", "19", "neunzehnte"),
    ("de", "ordinal", "21", "einundzwanzigste"),
    ("de", "ordinal", "100", "hundertste"),
    ("de", "ordinal", "201", "zweihunderterste"),
    ("de", "date", "2026-11-26", "der sechsundzwanzigste November zweitausendsechsundzwanzig"),
    ("de", "date", "1989-11-09", "der neunte November neunzehnhundertneunundachtzig"),
    ("de", "time", "14:03", "vierzehn Uhr drei"),
    ("de", "time", "01:00", "ein Uhr"),
    ("de", "time", "21:01", "einundzwanzig Uhr eins"),
    ("de", "datetime", "2026-03-01 08:30", "der erste März zweitausendsechsundzwanzig um acht Uhr dreißig"),
    ("de", "money", "1 EUR", "ein Euro"),
    ("de", "money", "21.01 EUR", "einundzwanzig Euro und ein Cent"),
    ("de", "money", "1 SEK", "eine schwedische Krone"),
    ("de", "money", "101 EUR", "einhundertein Euro"),
    ("de", "letters", "Öß1", "Ö, scharfes S, eins"),
    ("fr", "ordinal", "1", "premier"),
    ("fr", "ordinal", "5", "cinquième"),
    ("fr", "ordinal", "9", "neuvième"),
    ("fr", "ordinal", "21", "vingt et unième"),
    ("fr", "ordinal", "71", "soixante et onzième"),
    ("fr", "ordinal", "80", "quatre-vingtième"),
    ("fr", "ordinal", "101", "cent unième"),
    ("fr", "ordinal", "200", "deux centième"),
    ("fr", "date", "2026-05-01", "le premier mai deux mille vingt-six"),
    ("fr", "date", "1998-07-12", "le douze juillet mille neuf cent quatre-vingt-dix-huit"),
    ("fr", "time", "01:00", "une heure"),
    ("fr", "time", "14:03", "quatorze heures trois"),
    ("fr", "time", "21:21", "vingt et une heures vingt et une"),
    ("fr", "datetime", "2026-11-26 09:00", "le vingt-six novembre deux mille vingt-six à neuf heures"),
    ("fr", "money", "12.50 EUR", "douze euros et cinquante centimes"),
    ("fr", "money", "1.80 EUR", "un euro et quatre-vingts centimes"),
    ("fr", "money", "0 EUR", "zéro euro"),
    ("fr", "money", "21 GBP", "vingt et une livres"),
    ("fr", "money", "2000000 EUR", "deux millions d'euros"),
    ("fr", "money", "1000000 USD", "un million de dollars"),
    ("fr", "letters", "é", "E accent aigu"),
    ("es", "ordinal", "1", "primero"),
    ("es", "ordinal", "13", "decimotercero"),
    ("es", "ordinal", "25", "vigésimo quinto"),
    ("es", "ordinal", "100", "centésimo"),
    ("es", "ordinal", "115", "centésimo decimoquinto"),
    ("es", "date", "2026-05-01", "el uno de mayo de dos mil veintiséis"),
    ("es-MX", "date", "2026-05-01", "el primero de mayo de dos mil veintiséis"),
    ("es", "time", "01:01", "una hora y un minuto"),
    ("es", "time", "21:31", "veintiuna horas y treinta y un minutos"),
    ("es", "datetime", "2026-11-26 14:03",
     "el veintiséis de noviembre de dos mil veintiséis a las catorce horas y tres minutos"),
    ("es", "money", "1 EUR", "un euro"),
    ("es", "money", "31.50 EUR", "treinta y un euros con cincuenta céntimos"),
    ("es", "money", "1 GBP", "una libra"),
    ("es", "money", "201 GBP", "doscientas una libras"),
    ("es", "money", "500000 GBP", "quinientas mil libras"),
    ("es", "money", "2000000 EUR", "dos millones de euros"),
    ("es", "letters", "ñ", "Ñ"),
    ("it", "ordinal", "1", "primo"),
    ("it", "ordinal", "11", "undicesimo"),
    ("it", "ordinal", "23", "ventitreesimo"),
    ("it", "ordinal", "26", "ventiseiesimo"),
    ("it", "ordinal", "100", "centesimo"),
    ("it", "ordinal", "108", "centottesimo"),
    ("it", "ordinal", "300", "trecentesimo"),
    ("it", "date", "2026-05-01", "il primo maggio duemilaventisei"),
    ("it", "date", "2026-06-08", "l'otto giugno duemilaventisei"),
    ("it", "date", "2026-06-02", "il due giugno duemilaventisei"),
    ("it", "time", "14:03", "ore quattordici e tre"),
    ("it", "time", "01:00", "ore una"),
    ("it", "datetime", "2026-06-11 08:00", "l'undici giugno duemilaventisei alle ore otto"),
    ("it", "money", "1 EUR", "un euro"),
    ("it", "money", "1 GBP", "una sterlina"),
    ("it", "money", "23.40 EUR", "ventitré euro e quaranta centesimi"),
    ("it", "money", "3000000 EUR", "tre milioni di euro"),
]  # fmt: skip


@pytest.mark.parametrize("language", NUMBERS)
def test_numbers(language: str) -> None:
    spoken = {value: say.phrase("number", str(value), language).text for value in NUMBERS[language]}
    assert spoken == NUMBERS[language]


@pytest.mark.parametrize(("language", "kind", "value", "text"), OTHERS)
def test_other_kinds(language: str, kind: str, value: str, text: str) -> None:
    assert say.phrase(kind, value, language).text == text


def test_pieces_are_prompts_of_the_set() -> None:
    pieces = say.say("number", "721", "en")
    assert [piece.name for piece in pieces] == ["en/digits/7", "en/hundred", "en/digits/20", "en/digits/1"]
    assert [piece.text for piece in pieces] == ["seven", "hundred", "twenty", "one"]
    assert [piece.name for piece in say.say("number", "21", "de")] == ["de/digits/21"]


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("number", "", "whole number"),
        ("number", "1.5", "whole number"),
        ("number", "1000000000000", "whole number"),
        ("number", "٣", "whole number"),
        ("number", "1 2", "whole number"),
        ("ordinal", "0", "from 1 to 999"),
        ("ordinal", "1000", "from 1 to 999"),
        ("ordinal", "-1", "from 1 to 999"),
        ("date", "2026-02-29", "no such day"),
        ("date", "1900-02-29", "no such day"),
        ("date", "2026-13-01", "no such day"),
        ("date", "0000-01-01", "no such day"),
        ("date", "26.11.2026", "as 2026-11-26"),
        ("time", "24:00", "00:00 to 23:59"),
        ("time", "9:00", "00:00 to 23:59"),
        ("datetime", "2026-11-26", "a date and a time"),
        ("datetime", "2026-11-26 25:00", "00:00 to 23:59"),
        ("money", "12,50 EUR", "ISO 4217"),
        ("money", "12.505 EUR", "ISO 4217"),
        ("money", "12 XXX", "one of EUR USD"),
        ("money", "12.5 JPY", "no minor unit"),
        ("digits", "12a", "0-9"),
        ("digits", "", "0-9"),
        ("digits", "1" * 101, "1 to 100"),
        ("letters", "", "1 to 100"),
        ("letters", "日", "can't be spelt"),
        ("letters", "²", "can't be spelt"),
        ("shout", "1", "its kind"),
    ],
)
@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it"])
def test_bad_values_say_what_is_expected(kind: str, value: str, why: str, language: str) -> None:
    with pytest.raises(SourceError, match=why) as refused:
        say.say(kind, value, language)
    assert len(str(refused.value)) < 400


def test_unknown_language() -> None:
    with pytest.raises(SourceError, match="de, en, es, fr, it"):
        say.say("number", "1", "tlh")


@pytest.mark.parametrize("language", ["en", "en-GB", "de", "fr", "fr-BE", "fr-CH", "es", "es-MX", "it"])
@given(st.data())
def test_whatever_is_said_is_in_the_set(language: str, data: st.DataObject) -> None:
    """Every piece has its recording; a set that is complete never needs text-to-speech."""
    kind, value = data.draw(
        st.one_of(
            st.tuples(st.just("number"), st.integers(-say.MAX_VALUE, say.MAX_VALUE).map(str)),
            st.tuples(st.just("ordinal"), st.integers(1, 999).map(str)),
            st.tuples(st.just("date"), st.dates().map(lambda date: date.isoformat())),
            st.tuples(st.just("time"), st.times().map(lambda time: f"{time:%H:%M}")),
            st.tuples(
                st.just("money"),
                st.builds(
                    lambda whole, cents, code: f"{whole}.{cents:02} {code}",
                    st.integers(0, say.MAX_VALUE),
                    st.integers(0, 99),
                    st.sampled_from(["EUR", "USD", "GBP", "CHF", "SEK"]),
                ),
            ),
            st.tuples(st.just("letters"), st.text("abcXYZ019+-._@/*#", min_size=1, max_size=20)),
        )
    )
    phrase = say.phrase(kind, value, language)
    recordings = say.LANGUAGES[language[:2]].recordings()
    assert phrase.pieces
    assert all(piece.name in recordings for piece in phrase.pieces)
    assert phrase.text == phrase.text.strip()
    assert "  " not in phrase.text


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it"])
def test_numbers_are_told_apart(language: str) -> None:
    values = [*range(3000), *range(3000, 10_000_000, 9973)]
    texts = [say.phrase("number", str(value), language).text for value in values]
    assert len(set(texts)) == len(texts)


def test_languages_have_the_same_kinds() -> None:
    recordings = {language: grammar.recordings() for language, grammar in say.LANGUAGES.items()}
    for language, texts in recordings.items():
        assert all(text.strip() == text and text for text in texts.values()), language
        shared = {name.partition("/")[2] for name in texts}
        assert {"minus", "and", "thousand", "months/12", "letters/z", "letters/star", "digits/9", "money/eur"} <= shared

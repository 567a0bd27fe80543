"""RFC 3261 section 25.1."""

import pytest

from sip.grammar import BAD_ESCAPE, FOLD, VERSION, digits, is_token, quote, unquote


@pytest.mark.parametrize("text", ["INVITE", "a", "-.!%*_+`'~", "z9hG4bK77", "100rel"])
def test_tokens(text: str) -> None:
    assert is_token(text)


@pytest.mark.parametrize("text", ["", "a b", "a;b", "a@b", '"a"', "a\n", "é", "a=b", "a/b", "\x00"])
def test_what_is_no_token(text: str) -> None:
    assert not is_token(text)


def test_digits_are_those_of_ascii_only() -> None:
    assert digits("0123")
    assert not digits("")
    assert not digits("-1")
    assert not digits("١٢٣")
    assert not digits("²")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Alice", '"Alice"'),
        ("", '""'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("Ünïcode", '"Ünïcode"'),
        ("bell\x07", '"bell\\\x07"'),
        ("two\r\nlines", '"two  lines"'),
    ],
)
def test_quoting(text: str, quoted: str) -> None:
    assert quote(text) == quoted
    assert unquote(quoted) == text.replace("\r", " ").replace("\n", " ")


def test_unquoting_leaves_what_is_not_quoted() -> None:
    assert unquote("token") == "token"
    assert unquote('"') == '"'
    assert unquote("") == ""


def test_folds_are_white_space() -> None:
    assert FOLD.sub(" ", "a\r\n b\r\n\t\t c") == "a b c"


def test_broken_escapes_are_found() -> None:
    assert BAD_ESCAPE.search("%4")
    assert BAD_ESCAPE.search("%zz")
    assert not BAD_ESCAPE.search("%41%7e")


def test_versions_are_case_insensitive() -> None:
    # RFC 3261 7.1: "The SIP-Version string is case-insensitive"
    assert VERSION.fullmatch("sIp/2.0")
    assert VERSION.fullmatch("SIP/7.10")
    assert not VERSION.fullmatch("SIP/2")
    assert not VERSION.fullmatch("HTTP/1.1")

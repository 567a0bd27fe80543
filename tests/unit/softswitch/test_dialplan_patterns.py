"""Patterns and templates: what they match, what they refuse, and how long matching may take at most."""

from __future__ import annotations

import time

import pytest

from softswitch.dialplan.patterns import MAX_NUMBER, MAX_PATTERN, Template, check_replacement, read_pattern, read_regex

MATCHES = [
    ("101", ["101"], ["1011", "10", "", "1O1"]),
    ("_1XX", ["100", "199"], ["10", "1000", "1a0", "200", ""]),
    ("_ZN[135]", ["121", "993"], ["021", "111", "124"]),
    ("_[*#]X", ["*1", "#9"], ["11", "*a"]),
    ("_[a-c1-3]", ["a", "c", "2"], ["d", "4", "-"]),
    ("_0.", ["00", "0abc", "0;x"], ["0", "1", ""]),
    ("_0!", ["0", "00", "0abc"], ["1", ""]),
    ("_.", ["a", "\n"], [""]),
    ("_!", ["", "a"], []),
    ("_+49-30-XX", ["+493012"], ["+49-30-12"]),
    ("_xzn", ["xzn"], ["123"]),
    ("echo", ["echo"], ["ECHO"]),
    ("*43", ["*43"], ["*4"]),
    (r"regex:0049\d{2,3}", ["004912", "0049123"], ["00491", "00491234", "x004912"]),
    ("regex:(?i)office", ["Office"], ["Office1"]),
    ("regex:a|b", ["a", "b"], ["ab"]),
]


@pytest.mark.parametrize(("text", "yes", "no"), MATCHES)
def test_patterns(text: str, yes: list[str], no: list[str]) -> None:
    pattern = read_pattern(text)
    assert [number for number in yes if not pattern.matches(number)] == []
    assert [number for number in no if pattern.matches(number)] == []


BAD = [
    ("", "empty pattern"),
    ("_", "expected something after '_'"),
    ("1XX", "expected '_1XX'"),
    ("0.", "expected '_0.'"),
    ("[12]3", "expected '_[12]3'"),
    ("_1.2", "expected nothing after '.'"),
    ("_1!!", "expected nothing after '!'"),
    ("_[12", "expected a ']'"),
    ("_[]", "expected characters between"),
    ("_[9-1]", "expected a rising range instead of 9-1"),
    ("_1xx", "small letters stand for themselves: expected '_1XX'"),
    ("_Nxx.", "expected '_NXX.'"),
    ("^1", "expected 'regex:^1'"),
    (r"\d+", "taken literally"),
    ("regex:(", "bad regular expression"),
    ("regex:" + "a" * 300, "expected at most"),
    ("_" + "X" * MAX_PATTERN, "expected at most"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_patterns(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        read_pattern(text)
    assert message in str(caught.value)


CATASTROPHIC = [
    r"(\d+)+x",
    r"(\d*)*x",
    r"(a|a)*x",
    r"(\d|\d\d)+x",
    r".*.*.*.*x",
    r"(\d{1,3}){2,20}x",
    r"(?=(\d+)+x).*",
    r"(?:(?:1?2?)?3?){30}x",
    r"((?:a|b)+c?)*d",
    r"(x+x+)+y",
]


@pytest.mark.parametrize("text", CATASTROPHIC)
def test_regexes_that_may_take_very_long_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="could take very long"):
        read_regex(text)


REASONABLE = [
    r"00(49)?(\d{1,11})",
    r"\+?\d+",
    r"(?P<area>0[1-9]\d{1,3})(\d{4,8})",
    r"[a-z]+\d*",
    r"(ab){2,3}",
    r"\d+x\d+",
]


@pytest.mark.parametrize("text", REASONABLE)
def test_ordinary_regexes_are_taken_and_fast_on_the_worst_number(text: str) -> None:
    regex = read_regex(text)
    start = time.process_time()
    for number in ("0" * MAX_NUMBER, "1" * (MAX_NUMBER - 1) + "!", "ab" * (MAX_NUMBER // 2)):
        regex.fullmatch(number)
    assert time.process_time() - start < 0.1


COVERS = [
    ("_1XX", "101", True),
    ("_1XX", "_1Z[1-3]", True),
    ("_1XX", "_XXX", False),
    ("_1XX", "_1XXX", False),
    ("_0.", "_00.", True),
    ("_0.", "_0!", False),
    ("_0!", "_0.", True),
    ("_0!", "0", True),
    ("_.", "_X", True),
    ("_X.", "_X", False),
    ("_.", "regex:.*", False),
    ("_!", "regex:.*", True),
    ("regex:a.*", "regex:a.*", True),
    ("regex:a.*", "abc", True),
    ("regex:.*", "_1XX", False),
    ("101", "_1XX", False),
    ("_!", "_!", True),
    ("_.", "_!", False),
]


@pytest.mark.parametrize(("first", "second", "covers"), COVERS)
def test_which_pattern_takes_all_of_another(first: str, second: str, covers: bool) -> None:
    assert read_pattern(first).covers(read_pattern(second)) is covers


VALUES = {"number": "123", "dialled": "0123", "caller": "101", "did": ""}


def test_templates_expand_once() -> None:
    """THREATS: what is dialled is literal, whatever it holds; it is never expanded a second time."""
    assert Template("00{number}#{caller}").expand(VALUES) == "00123#101"
    assert Template("{number}").expand(VALUES | {"number": "{caller}${x}%00;a=b"}) == "{caller}${x}%00;a=b"


@pytest.mark.parametrize("text", ["{x}", "{}", "{number", "number}", "{{number}}", "{number.__class__}", "{0}"])
def test_templates_know_a_closed_set_of_variables(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown variable|stray brace"):
        Template(text)


def test_replacements_name_groups_that_exist() -> None:
    check_replacement(r"(\d)(\d)", r"\2\1\g<0>")
    for bad in (r"\3", r"\g<x>", "\\"):
        with pytest.raises(ValueError, match="bad replacement"):
            check_replacement(r"(\d)(\d)", bad)

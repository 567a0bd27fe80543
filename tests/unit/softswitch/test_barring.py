"""Classes of numbers: what is international, what costs more, in whatever form it is dialled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.barring import ANYTHING, Barring, _forms
from softswitch.dialplan.models import Context
from softswitch.dialplan.patterns import read_pattern
from softswitch.dialplan.routing import Dialplan
from softswitch.settings.barring_models import DEFAULT_CLASSES
from softswitch.settings.barring_models import Barring as Written

DEFAULT = Barring(DEFAULT_CLASSES)
GERMAN = Barring(DEFAULT_CLASSES, ["+49"], ["112", "110"])


@pytest.mark.parametrize(
    ("number", "classes"),
    [
        ("9123", []),
        ("101", []),
        ("030123456", []),
        ("+44123456", ["international"]),
        ("0044123456", ["international"]),
        ("01144123456", ["international"]),
        ("+4930123456", ["international"]),
        ("00-44 123", ["international"]),
        ("0(0)44.123", ["international"]),
        ("0-0-4-4-1-2", ["international"]),
        ("+882 13 1234", ["international", "premium"]),
        ("0090012345", ["international"]),
        ("09001234567", ["premium"]),
        ("19005551234", ["premium"]),
        ("+", []),
        ("00", []),
        ("", []),
        ("*43", []),
        ("alice", []),
    ],
)
def test_classes_of_numbers(number: str, classes: list[str]) -> None:
    assert DEFAULT.classes_of(number) == classes


@pytest.mark.parametrize("number", ["+4930123456", "004930123456", "0114930123456", "+49-30-123"])
def test_home_is_not_abroad(number: str) -> None:
    assert DEFAULT.classes_of(number) == ["international"]
    assert GERMAN.classes_of(number) == []


def test_home_is_no_excuse_for_premium() -> None:
    assert GERMAN.classes_of("+499001234567") == ["premium"]
    assert GERMAN.classes_of("+43900") == ["international"]
    assert GERMAN.classes_of("00499001") == ["premium"]


def test_who_may_call_what() -> None:
    assert DEFAULT.barred(["101", "0044123"], ()) == "international"
    assert DEFAULT.barred(["101", "0044123"], ["international"]) == ""
    assert DEFAULT.barred(["+88213"], ["international"]) == "premium"
    assert DEFAULT.barred(["+88213"], [ANYTHING]) == ""
    assert DEFAULT.barred(["0301234"], ()) == ""


def test_classes_are_added_changed_and_switched_off() -> None:
    written = Written.model_validate({"classes": {"international": [], "night": ["_9X.", r"regex:77\d+"]}})
    barring = Barring(written.classes, written.home, written.emergency)
    assert barring.classes_of("0044123") == []
    assert barring.classes_of("912") == barring.classes_of("771") == ["night"]
    assert barring.classes_of("+88213") == ["premium"]
    assert barring.is_emergency("112")
    assert not barring.is_emergency("1120")


@given(st.text("0123456789+*#", max_size=20), st.sampled_from(list(DEFAULT_CLASSES)))
def test_the_compiled_classes_match_what_their_patterns_match(number: str, name: str) -> None:
    one_by_one = any(read_pattern(text).matches(form) for text in DEFAULT_CLASSES[name] for form in _forms(number))
    assert (name in DEFAULT.classes_of(number)) == one_by_one


@pytest.mark.parametrize(
    ("route", "dialled", "number", "hidden"),
    [
        ({}, "0044123", "0044123", ""),
        ({"strip": 1}, "0030123", "030123", ""),  # an outside line's prefix
        ({"strip": 1}, "00044123", "0044123", ""),
        ({"strip": 2}, "0044123", "44123", "0044123"),  # the access code itself
        ({"strip": 3}, "00044123", "44123", "00044123"),
        ({"strip": 1}, "+44123", "44123", "+44123"),
        ({"strip": 2, "prepend": "+"}, "0044123", "+44123", ""),
        ({"strip": 2, "prepend": "1010"}, "0044123", "101044123", "0044123"),
        ({"strip": 2, "prepend": "+49"}, "0030123", "+4930123", ""),
    ],
)
def test_what_rewriting_hides_is_kept(route: dict[str, object], dialled: str, number: str, hidden: str) -> None:
    """Or `strip: 2` would make an international call look like a national one."""
    context = Context.model_validate({"routes": [{"dial": {"trunk": "t"}, **route}]})
    decision = Dialplan({"c": context}, ()).route("c", dialled)
    [target] = decision.targets  # type: ignore[union-attr]
    assert (target.number, target.dialled) == (number, hidden)


def test_what_a_route_allows_its_fallbacks_do_too() -> None:
    written = {
        "dial": {"trunk": "a"},
        "allow": "international",
        "on_busy": {"dial": {"trunk": "b"}},
        "on_no_answer": {"dial": {"trunk": "c"}, "allow": []},
        "on_unavailable": {"dial": {"trunk": "d", "number": "+88212"}},
    }
    decision = Dialplan({"c": Context.model_validate({"routes": [written]})}, ()).route("c", "0044123")
    found = [decision, decision.on_busy, decision.on_no_answer, decision.on_unavailable]  # type: ignore[union-attr]
    allowed = [each.targets[0].allow for each in found]  # type: ignore[union-attr]
    assert allowed == [("international",), ("international",), (), (ANYTHING,)]


@pytest.mark.parametrize(
    ("home", "number", "classes"),
    [
        ("+1", "01119005551234", ["premium"]),
        ("+1", "0019005551234", ["premium"]),
        ("+49", "+49 (0)900 123456", ["premium"]),
        ("+49", "0049(0)9001234567", ["premium"]),
        ("+49", "*31#004412345678", ["international"]),
        ("+49", "#31#004412345678", ["international"]),
        ("+49", "00*4412345678", ["international"]),
        ("+49", "\uff10\uff104412345678", ["international"]),
        ("+49", "00\u00a044\t12345678", ["international"]),
        ("+49", "+493012345678", []),
        ("+49", "*31#03012345678", []),
        ("+1", "2125551234", []),
    ],
)
def test_no_way_of_writing_a_number_hides_its_class(home: str, number: str, classes: list[str]) -> None:
    assert Barring(DEFAULT_CLASSES, (home,)).classes_of(number) == classes


def test_an_access_code_that_the_operator_took_out_is_none() -> None:
    """Turin's area code is 011: its numbers are no calls abroad."""
    barring = Barring({**DEFAULT_CLASSES, "international": ("_+X.", "_00X.")}, ("+39",))
    assert barring.classes_of("0111234567") == []
    assert barring.classes_of("00441234567") == ["international"]

"""Features that people set while the switch runs: commands, bounds, what is written and read back."""

from __future__ import annotations

import pytest

from softswitch.features import FeatureChange, FeatureRefused, Features

EXTENSIONS = frozenset({"101", "102"})


def test_nothing_set_leaves_it_to_the_settings() -> None:
    features = Features(EXTENSIONS)
    assert features.forward("101", "busy") is None
    assert features.flag("101", "dnd") is None
    assert features.no_answer_after("101") is None
    assert features.of("101") == {}
    assert len(features) == 0


def test_what_is_set_is_told_and_each_change_is_for_the_store_once() -> None:
    features = Features(EXTENSIONS)
    features.set("101", "dnd", "on")
    features.set("101", "dnd", "on")
    features.set("101", "forward_busy", "0301234")
    features.set("101", "forward_always", "off")
    features.set("101", "no_answer_after", "015")
    features.set("101", "call_waiting", "off")
    assert features.flag("101", "dnd") is True
    assert features.flag("101", "call_waiting") is False
    assert features.forward("101", "busy") == "0301234"
    assert features.forward("101", "always") == ""
    assert features.no_answer_after("101") == 15.0
    assert features.changes == [
        FeatureChange("101", "dnd", "on"),
        FeatureChange("101", "forward_busy", "0301234"),
        FeatureChange("101", "forward_always", "off"),
        FeatureChange("101", "no_answer_after", "15"),
        FeatureChange("101", "call_waiting", "off"),
    ]
    assert features.flag("102", "dnd") is None


def test_clearing_one_or_all_gives_back_to_the_settings() -> None:
    features = Features(EXTENSIONS)
    features.set("101", "dnd", "on")
    features.set("101", "forward_busy", "102")
    features.set("101", "forward_no_answer", "102")
    features.changes.clear()
    features.clear("101", "dnd")
    features.clear("101", "dnd")
    features.clear("102")
    assert features.changes == [FeatureChange("101", "dnd", None)]
    features.clear("101")
    assert features.changes[1:] == [
        FeatureChange("101", "forward_busy", None),
        FeatureChange("101", "forward_no_answer", None),
    ]
    assert len(features) == 0


@pytest.mark.parametrize(
    ("extension", "feature", "value", "message"),
    [
        ("199", "dnd", "on", "there is no extension '199'"),
        ("101", "dnd", "maybe", "bad dnd 'maybe': expected 'on' or 'off'"),
        ("101", "forward_sometimes", "1", "unknown feature 'forward_sometimes'"),
        ("101", "forward_busy", "", "bad number '' in forward_busy: expected up to 32 letters"),
        ("101", "forward_busy", "1" * 33, "bad number '1"),
        ("101", "forward_busy", "sip:1@example.com", "bad number 'sip:1@example.com' in forward_busy"),
        ("101", "forward_busy", "1\r\nX: y", "bad number "),
        ("101", "forward_busy", "on", "bad number 'on' in forward_busy"),
        ("101", "forward_busy", "default", "bad number 'default' in forward_busy"),
        ("101", "forward_busy", "101", "101 can't be forwarded to itself: expected another number"),
        ("101", "no_answer_after", "0", "bad no_answer_after '0': expected seconds from 1 to 600"),
        ("101", "no_answer_after", "601", "bad no_answer_after '601'"),
        ("101", "no_answer_after", "-5", "bad no_answer_after '-5'"),
        ("101", "no_answer_after", "\u0663", "bad no_answer_after"),
    ],
)
def test_what_can_not_be_set_is_refused_and_changes_nothing(
    extension: str, feature: str, value: str, message: str
) -> None:
    features = Features(EXTENSIONS)
    with pytest.raises(FeatureRefused) as refused:
        features.set(extension, feature, value)
    assert str(refused.value).startswith(message)
    assert (features.changes, len(features)) == ([], 0)


def test_clearing_and_looking_name_what_is_not_there() -> None:
    features = Features(EXTENSIONS)
    with pytest.raises(FeatureRefused, match="there is no extension '199'"):
        features.clear("199")
    with pytest.raises(FeatureRefused, match="unknown feature 'x'"):
        features.clear("101", "x")
    with pytest.raises(FeatureRefused, match="there is no extension"):
        features.of("199")


def test_what_was_written_is_taken_back_and_what_no_longer_fits_is_forgotten() -> None:
    features = Features(EXTENSIONS)
    stored = [
        FeatureChange("101", "dnd", "on"),
        FeatureChange("101", "forward_busy", "102"),
        FeatureChange("199", "dnd", "on"),
        FeatureChange("102", "dnd", "perhaps"),
        FeatureChange("102", "of_another_version", "1"),
    ]
    assert features.restore(stored) == 2
    assert features.of("101") == {"dnd": "on", "forward_busy": "102"}
    assert features.of("102") == {}
    assert features.changes == [FeatureChange(each.extension, each.feature, None) for each in stored[2:]]


def test_an_extension_that_is_gone_leaves_nothing_to_the_next_of_its_number() -> None:
    features = Features(EXTENSIONS)
    features.set("101", "forward_always", "0900123")
    features.set("102", "dnd", "on")
    features.changes.clear()
    features.configure({"102"})
    assert features.changes == [FeatureChange("101", "forward_always", None)]
    features.configure(EXTENSIONS)
    assert features.forward("101", "always") is None
    assert features.flag("102", "dnd") is True

"""Dialled codes: the longest one counts, what follows it, who may use it; and what is said in every language."""

from __future__ import annotations

import pytest

from media.audio_commands import Say, Speech
from media.say import languages, phrase
from softswitch.feature_codes import (
    ASKS_NUMBER,
    DIALLED,
    IN_CALL,
    TAKES_NUMBER,
    Dialled,
    FeatureCodes,
    may_use,
    swallowed,
)
from softswitch.feature_speech import ASK_TONE, DONE_TONE, ERROR_TONE, SENTENCES, asked, done, refused, sentence

CODES = FeatureCodes(
    {"forward_always_on": "*72", "dnd_on": "*7", "dnd_off": "#7#", "pick_up": "**", "own_number": "*721"}
)


@pytest.mark.parametrize(
    ("dialled", "found"),
    [
        ("*7", Dialled("dnd_on")),
        ("*7#", Dialled("dnd_on")),
        ("#7#", Dialled("dnd_off")),
        ("*72", Dialled("forward_always_on")),
        ("*72#", Dialled("forward_always_on")),
        ("*72104", Dialled("forward_always_on", "104")),
        ("*72*104#", Dialled("forward_always_on", "104")),
        ("*72**43", Dialled("forward_always_on", "*43")),
        ("*721", Dialled("own_number")),
        ("*7210", Dialled("forward_always_on", "10")),
        ("**102", Dialled("pick_up", "102")),
        ("*71", None),
        ("*78", None),
        ("#7", None),
        ("*", None),
        ("", None),
        ("102", None),
        ("102*72", None),
    ],
)
def test_what_a_dialled_number_is(dialled: str, found: Dialled | None) -> None:
    assert CODES.find(dialled) == found


def test_without_codes_nothing_is_one() -> None:
    assert FeatureCodes().find("*72") is None


def test_who_may_use_them() -> None:
    for action in (*DIALLED, *IN_CALL):
        assert may_use(("all",), action)
        assert may_use((action,), action)
        assert not may_use(("none",), action)
    assert not may_use(("listen", "dnd_on"), "barge")
    assert ASKS_NUMBER < TAKES_NUMBER < set(DIALLED)


def test_codes_that_can_not_be_told_apart() -> None:
    assert swallowed({"forward_busy_on": "*9", "dnd_on": "*91", "dnd_off": "*8", "pick_up": "*8*"}) == [
        ("dnd_on", "forward_busy_on")
    ]
    assert swallowed({"intercom": "*8", "barge": "*80"}) == [("barge", "intercom")]


def test_every_sentence_is_there_in_every_language_that_values_are_spoken_in() -> None:
    assert sorted(SENTENCES) == languages()
    for language, texts in SENTENCES.items():
        assert texts.keys() == SENTENCES["en"].keys(), language
        assert all(text.strip() == text and 3 < len(text) < 100 for text in texts.values())
        if language != "en":
            assert not set(texts.values()) & set(SENTENCES["en"].values()), "translated"


@pytest.mark.parametrize("action", DIALLED)
def test_what_is_switched_on_and_off_has_a_sentence(action: str) -> None:
    if action.endswith(("_on", "_off")):
        assert sentence(action, "en-GB") == SENTENCES["en"][action]


def test_what_is_said() -> None:
    assert done("forward_busy_on", "de", "0049-30").sources == (
        Speech(SENTENCES["de"]["forward_busy_on"]),
        Say("letters", "0049-30"),
    )
    assert done("own_number", "fr-CA", "+33*#").sources[1] == Say("digits", "+33*#")
    assert phrase("digits", "+33*#", "fr").pieces
    assert phrase("letters", "0049-30", "de").pieces
    assert sentence("dnd_on", "xx") == SENTENCES["en"]["dnd_on"]
    spoken = done("dnd_on", "en")
    assert (spoken.ok, spoken.asks, spoken.tone) == (True, False, DONE_TONE)
    no = refused("not_allowed", "en")
    assert (no.ok, no.tone, no.sources[0]) == (False, ERROR_TONE, ERROR_TONE)
    question = asked("ask_pin", "en", "pin_wrong")
    assert (question.asks, question.tone) == (True, ASK_TONE)
    assert question.sources == (Speech("The PIN is wrong. Please dial your PIN, then the hash key."),)

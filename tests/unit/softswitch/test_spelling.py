"""What was meant by a word that does not exist."""

from __future__ import annotations

from softswitch.spelling import meant, suggestion, unknown_word


def test_a_misspelling_is_recognised() -> None:
    assert meant("lockk", ("lock", "kick")) == ["lock"]
    assert meant("dance", ("lock", "kick")) == []
    assert suggestion("lockk", ("lock",), "expected a word") == ": did you mean 'lock'?"
    assert suggestion("dance", ("lock",), "expected a word") == ": expected a word"


def test_all_words_are_named_and_a_long_one_is_cut() -> None:
    assert unknown_word("action", "lockk", ("lock", "kick")) == (
        "unknown action 'lockk': did you mean 'lock'? expected one of lock, kick"
    )
    assert unknown_word("action", "x" * 500, ("lock",)) == f"unknown action '{'x' * 40}': expected one of lock"

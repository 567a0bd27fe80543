"""Where a character of a text stands in its file, in every way in which YAML writes texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.settings.columns import within
from softswitch.settings.yaml_tree import Mark, Scalar, read_yaml

WRITTEN = [
    "a: es and !x\n",
    "a: 'es and !x'\n",
    'a: "es and !x"\n',
    "a: {b: [es and !x]}\n",
    "a: &anchor 'es and !x'\n",
    'a: "\\x65s\\tand !x"\n',
    'a: "es\\x20and\\u0020 \\U00000020!x"\n',
    'a: "es \\\n  and !x"\n',
    "a: es\n  and\n\n  !x\n",
    "a: 'es and\n  !x'\r\n",
    "a: >-\n  es and\n  !x\n",
    "a: |\n  es and\n    !x\n",
    "# \u00e4\na:    es and !x   # !y\n",
]


def scalar(text: str) -> Scalar:
    problems: list[object] = []
    node: object = read_yaml(text.encode(), "f", problems)  # type: ignore[arg-type]
    assert not problems
    while not isinstance(node, Scalar):
        node = node.items[0] if hasattr(node, "items") else next(iter(node.entries.values())).node  # type: ignore[attr-defined]
    return node


@pytest.mark.parametrize("text", WRITTEN)
def test_a_character_is_found_where_it_is_written(text: str) -> None:
    node = scalar(text)
    line, column = next((n, each.index("!") + 1) for n, each in enumerate(text.split("\n"), 1) if "!" in each)
    assert within(node, node.text.index("!") + 1, node.mark) == Mark("f", line, column)


@pytest.mark.parametrize("text", WRITTEN)
def test_the_end_is_behind_the_last_character(text: str) -> None:
    node = scalar(text)
    line, column = next((n, each.index("!x") + 3) for n, each in enumerate(text.split("\n"), 1) if "!" in each)
    assert within(node, len(node.text.rstrip()) + 1, node.mark) == Mark("f", line, column)


def test_quotes_within_quotes_count_once() -> None:
    node = scalar("a: 'it''s !'\n")
    assert within(node, node.text.index("!") + 1, node.mark) == Mark("f", 1, 11)


def test_an_empty_text_is_where_it_begins() -> None:
    assert within(scalar("a: ''\n"), 1, Mark("f", 1, 1)) == Mark("f", 1, 5)


@given(st.lists(st.sampled_from(["es", "and", "(", "äö", "''"]), min_size=1, max_size=6), st.data())
def test_any_character_of_a_folded_text(words: list[str], data: st.DataObject) -> None:
    """In single quotes, a line break anywhere between words."""
    text = "a: '" + "\n   ".join(words) + "'\n"
    node = scalar(text)
    at = data.draw(st.integers(0, len(node.text) - 1).filter(lambda index: not node.text[index].isspace()))
    mark = within(node, at + 1, node.mark)
    assert text.split("\n")[mark.line - 1][mark.column - 1] == node.text[at]

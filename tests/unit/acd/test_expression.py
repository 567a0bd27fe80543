"""Skill expressions: what is read, what is not, and whom they let through."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd.expression import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, ExpressionError, parse, reread

LEVELS = {"es": [0, 1, 59, 60, 100], "de": [0, 0, 50, 0, 100], "sales": [10, 0, 0, 20, 0]}


def column(skill: str) -> np.ndarray:
    return np.array(LEVELS.get(skill, [0] * 5), np.uint8)


def who(text: str) -> list[int]:
    return np.flatnonzero(parse(text).mask(column, 5)).tolist()


@pytest.mark.parametrize(
    ("text", "agents"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("   ", [0, 1, 2, 3, 4]),
        ("es", [1, 2, 3, 4]),
        ("es>=60", [3, 4]),
        ("es>60", [4]),
        ("es<60", [0, 1, 2]),
        ("es<=59", [0, 1, 2]),
        ("es=60", [3]),
        ("es==60", [3]),
        ("es!=60", [0, 1, 2, 4]),
        ("es>=0", [0, 1, 2, 3, 4]),
        ("not es", [0]),
        ("not not es", [1, 2, 3, 4]),
        ("unheard.of", []),
        ("not unheard_of-2", [0, 1, 2, 3, 4]),
        ("es>=60 and not sales", [4]),
        ("(es)", [1, 2, 3, 4]),
        ("es>=60and de", [4]),
    ],
)
def test_an_expression_lets_those_through_whose_levels_it_asks_for(text: str, agents: list[int]) -> None:
    assert who(text) == agents


def test_and_binds_closer_than_or_and_not_closest() -> None:
    assert who("sales or es and de") == who("sales or (es and de)") == [0, 2, 3, 4]
    assert who("(sales or es) and de") == [2, 4]
    assert who("not sales and es") == who("(not sales) and es") == [1, 2, 4]
    assert who("not (sales and es)") == [0, 1, 2, 4]


def test_words_are_words_whole() -> None:
    assert parse("order and notary or android").skills == {"order": 1, "notary": 11, "android": 21}


def test_keywords_are_written_small() -> None:
    assert parse("And").skills == {"And": 1}


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("es>=", 5, "it ends: expected a level from 0 to 100"),
        ("es>=101", 5, "unexpected '101': expected a level from 0 to 100"),
        ("es>=0100", 5, "unexpected '0100': expected a level from 0 to 100"),
        ("es>=de", 5, "unexpected 'de': expected a level from 0 to 100"),
        ("es de", 4, "unexpected 'de': expected 'and', 'or' or the end"),
        ("es and", 7, "it ends: expected a skill, 'not' or '('"),
        ("and es", 1, "unexpected 'and': expected a skill, 'not' or '('"),
        ("(es", 4, "it ends: expected ')'"),
        ("es)", 3, "unexpected ')': expected 'and', 'or' or the end"),
        ("()", 2, "unexpected ')': expected a skill, 'not' or '('"),
        ("60", 1, "unexpected '60': expected a skill, 'not' or '('"),
        ("es; de", 3, "unexpected ';': expected a skill, a level, a comparison or a bracket"),
        ("__import__('os')", 12, 'unexpected "\'": expected a skill, a level, a comparison or a bracket'),
        ("exec(es)", 5, "unexpected '(': expected 'and', 'or' or the end"),
        ("es > = 5", 6, "unexpected '=': expected a level from 0 to 100"),
        ("größe", 3, "unexpected 'ö': expected a skill, a level, a comparison or a bracket"),
    ],
)
def test_what_is_wrong_is_told_at_its_column(text: str, at: int, says: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert (caught.value.column, str(caught.value)) == (at, says)


def test_length_depth_and_terms_are_bounded() -> None:
    assert parse("a" * MAX_LENGTH)
    with pytest.raises(ExpressionError, match="longer than 500 characters"):
        parse("a" * (MAX_LENGTH + 1))
    assert parse("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH)
    with pytest.raises(ExpressionError, match="more than 16 levels") as deep:
        parse("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1))
    assert deep.value.column == MAX_DEPTH + 2
    with pytest.raises(ExpressionError, match="more than 16 levels"):
        parse("not " * (MAX_DEPTH + 1) + "a")
    assert parse(" or ".join(["a"] * MAX_TERMS))
    with pytest.raises(ExpressionError, match="more than 50 skills") as many:
        parse(" or ".join(["a"] * (MAX_TERMS + 1)))
    assert many.value.column == 5 * MAX_TERMS + 1


def test_its_text_is_the_same_however_it_was_written() -> None:
    assert str(parse(" ( es>=1 )and  not( de == 5 ) ")) == "es and not de=5"
    assert str(parse("a or b and c")) == "a or (b and c)"
    assert parse("((a))") == parse("a>=1")
    assert parse("a") != parse("b")
    assert len({parse("a"), parse("(a)"), parse("a >= 1")}) == 1
    assert str(parse(" ")) == ""


def test_its_own_text_may_be_longer_and_deeper_than_what_comes_from_outside() -> None:
    long = " or ".join(["a_skill and b_skill"] * 21)
    deep = "x and (" * MAX_DEPTH + "a or b and c" + ")" * MAX_DEPTH
    with pytest.raises(ExpressionError):
        parse(str(parse(deep)))
    assert reread(str(parse(deep))) == parse(deep)
    both = f"({deep}) and ({long})"
    assert str(reread(str(reread(both)))) == str(reread(both))


def test_proficiency_sums_each_skill_that_is_asked_for_once() -> None:
    def levels(text: str) -> list[int]:
        return parse(text).proficiency(column, 5).tolist()

    assert levels("") == [0] * 5
    assert levels("es>=60 or es>=30") == LEVELS["es"]
    assert levels("es and de") == [0, 1, 109, 60, 200]
    assert levels("es and not sales") == LEVELS["es"]
    assert levels("es and sales<5") == LEVELS["es"]
    assert levels("not (sales<5)") == LEVELS["sales"]
    assert levels("es!=5") == [0] * 5


# ---- against plain Python


skills = st.sampled_from(["es", "de", "sales", "a.b_c-d"])
terms = st.one_of(
    skills,
    st.builds(
        lambda skill, compare, level: f"{skill}{compare}{level}",
        skills,
        st.sampled_from([">=", ">", "<=", "<", "=", "==", "!="]),
        st.integers(0, 100),
    ),
)
trees = st.recursive(
    terms,
    lambda inner: st.one_of(
        st.builds("not {}".format, inner.map(lambda text: f"({text})")),
        st.builds("{} and {}".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("({})".format, inner),
    ),
    max_leaves=12,
)


def plainly(text: str, has: dict[str, int]) -> bool:
    """The same by Python's own reader, whose precedence is the grammar's."""
    out = []
    for word in text.replace("(", " ( ").replace(")", " ) ").split():
        if word in ("and", "or", "not", "(", ")"):
            out.append(word)
            continue
        name = word
        for compare in (">=", "<=", "==", "!=", ">", "<", "="):
            if compare in word:
                name, level = word.split(compare)
                out.append(f"({has.get(name, 0)} {'==' if compare == '=' else compare} {int(level)})")
                break
        else:
            out.append(f"({has.get(name, 0)} >= 1)")
    return bool(eval(" ".join(out)))


@given(trees, st.lists(st.dictionaries(skills, st.integers(0, 100)), min_size=1, max_size=4))
def test_masks_are_what_plain_evaluation_says(text: str, agents: list[dict[str, int]]) -> None:
    def levels(skill: str) -> np.ndarray:
        return np.array([has.get(skill, 0) for has in agents], np.uint8)

    try:
        read = parse(text)
    except ExpressionError:
        return  # too long or too deep
    assert read.mask(levels, len(agents)).tolist() == [plainly(text, has) for has in agents]


@given(trees)
def test_reading_its_own_text_gives_an_equal_expression(text: str) -> None:
    try:
        read = parse(text)
    except ExpressionError:
        return
    assert reread(str(read)) == read


@given(st.text(max_size=600) | st.text("()<>=! andortes059.-_\n\t", max_size=600))
def test_no_text_raises_anything_but_its_own_error(text: str) -> None:
    column = 1
    try:
        read = parse(text)
    except ExpressionError as error:
        column = error.column
    else:
        assert reread(str(read)) == read
    assert 1 <= column <= MAX_LENGTH + 1

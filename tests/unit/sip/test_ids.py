"""Random values."""

import pytest

from sip.grammar import is_token
from sip.ids import BLOCK, MAGIC_COOKIE, Ids


def test_rfc_3261_8_1_1_7_branches_begin_with_the_magic_cookie_and_are_unique() -> None:
    ids = Ids()
    branches = {ids.branch() for _ in range(10_000)}
    assert len(branches) == 10_000
    assert all(branch.startswith(MAGIC_COOKIE) and is_token(branch) for branch in branches)


def test_rfc_3261_19_3_tags_have_32_bits_of_randomness_or_more() -> None:
    tag = Ids().tag()
    assert len(tag) * 4 >= 32
    assert int(tag, 16) >= 0


def test_the_same_seed_gives_the_same_values_and_another_gives_others() -> None:
    def some(ids: Ids) -> list[object]:
        return [ids.branch(), ids.tag(), ids.call_id("192.0.2.1"), ids.token(5), ids.random(), ids.number(31)]

    assert some(Ids(7)) == some(Ids(7))
    assert some(Ids(7)) != some(Ids(8))
    assert some(Ids()) != some(Ids())


def test_call_ids_end_in_the_host_when_there_is_one() -> None:
    ids = Ids(1)
    assert ids.call_id("192.0.2.1").endswith("@192.0.2.1")
    assert "@" not in ids.call_id("")


@pytest.mark.parametrize("digits", [1, 16, BLOCK * 2, BLOCK * 5])
def test_tokens_are_as_long_as_asked_also_beyond_a_block(digits: int) -> None:
    ids = Ids(1)
    ids.token(3)
    assert len(ids.token(digits)) == digits


@pytest.mark.parametrize("bits", [1, 7, 8, 31, 32, 64])
def test_numbers_fill_their_range_and_stay_in_it(bits: int) -> None:
    ids = Ids(1)
    numbers = [ids.number(bits) for _ in range(500)]
    assert all(0 <= number < 1 << bits for number in numbers)
    assert any(number >> (bits - 1) for number in numbers)
    assert any(not number >> (bits - 1) for number in numbers)


def test_random_is_spread_from_0_to_1() -> None:
    ids = Ids(1)
    drawn = [ids.random() for _ in range(2_000)]
    assert all(0.0 <= number < 1.0 for number in drawn)
    assert 0.45 < sum(drawn) / len(drawn) < 0.55

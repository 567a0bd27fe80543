"""Codes in a call: digits, pauses, prefixes, numbers that follow, and who may use them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from softswitch.call_codes import FIRST_DIGIT, MAX_NUMBER, CallCodes, Code, CodeReader

CODES = {
    "record": "*1",
    "attended_transfer": "*2",
    "blind_transfer": "##",
    "three_way": "*3",
    "swap": "*4",
    "park": "*5",
    "return": "*0",
}
TABLE = CallCodes(CODES, 1.5, 4.0)


def reader(codes: dict[str, str] | None = None) -> CodeReader:
    made = CallCodes(codes or CODES, 1.5, 4.0).reader("extension", ("all",))
    assert made is not None
    return made


def dial(made: CodeReader, digits: str, now: float = 0.0, step: float = 0.2) -> list[Code]:
    """The codes told while these are dialled; pauses that are over on the way count."""
    found = []
    for digit in digits:
        while (at := made.next_deadline()) is not None and at <= now:
            found += [each for each in [made.expire(now)] if each]
        found += [each for each in [made.read(digit, now)] if each]
        now += step
    return found


def wait(made: CodeReader, until: float) -> list[Code]:
    found = []
    while (at := made.next_deadline()) is not None and at <= until:
        found += [each for each in [made.expire(at)] if each]
    return found


def test_a_code_is_told_with_its_last_digit() -> None:
    made = reader()
    assert made.read("*", 0.0) is None
    assert made.next_deadline() == 1.5
    assert made.read("1", 1.0) == Code("record")
    assert made.next_deadline() is None
    assert dial(made, "*4*5*0*3") == [Code("swap"), Code("park"), Code("return"), Code("three_way")]


def test_digits_of_no_code_mean_nothing() -> None:
    made = reader()
    assert dial(made, "1234567890") == []
    assert made.next_deadline() is None
    assert dial(made, "*9*8#1A*7") == []
    assert dial(made, "9*1") == [Code("record")]
    assert dial(made, "**1") == [Code("record")], "a digit too many before it"


def test_a_pause_parts_digits() -> None:
    made = reader()
    assert dial(made, "*1", step=1.6) == []
    assert made.next_deadline() is None
    made.read("*", 10.0)
    assert made.expire(11.0) is None
    assert made.next_deadline() == 11.5, "not over yet"
    assert wait(made, 11.5) == []
    assert made.read("1", 11.6) is None


def test_a_number_is_collected_until_the_hash_key() -> None:
    made = reader()
    assert dial(made, "*2") == []
    assert made.collecting
    assert made.next_deadline() == 0.2 + FIRST_DIGIT
    assert dial(made, "104#", 1.0) == [Code("attended_transfer", "104")]
    assert not made.collecting
    assert made.next_deadline() is None
    assert dial(made, "##*43#") == [Code("blind_transfer", "*43")]


def test_or_until_a_pause() -> None:
    made = reader()
    dial(made, "##10")
    assert made.next_deadline() == 0.6 + 4.0
    assert made.read("4", 2.0) is None
    assert wait(made, 5.9) == []
    assert wait(made, 6.0) == [Code("blind_transfer", "104")]


def test_no_number_is_told_too() -> None:
    made = reader()
    dial(made, "*2")
    assert wait(made, 20.0) == [Code("attended_transfer")]
    dial(made, "*2", 30.0)
    assert made.read("#", 31.0) == Code("attended_transfer")


def test_a_number_has_an_end() -> None:
    made = reader()
    [code] = dial(made, "##" + "7" * 100)
    assert code == Code("blind_transfer", "7" * MAX_NUMBER)
    assert not made.collecting


def test_codes_in_a_number_are_digits_of_it() -> None:
    made = reader()
    assert dial(made, "*2*1*4#") == [Code("attended_transfer", "*1*4")]


def test_where_a_code_begins_another_the_pause_or_the_next_digit_tells() -> None:
    made = reader({"record": "*1", "swap": "*12", "park": "*123"})
    assert dial(made, "*1") == []
    assert wait(made, 1.0) == []
    assert wait(made, 2.0) == [Code("record")]
    assert dial(made, "*12", 10.0) == []
    assert wait(made, 20.0) == [Code("swap")]
    assert dial(made, "*123", 30.0) == [Code("park")]
    assert dial(made, "*15", 40.0) == [Code("record")]
    assert dial(made, "*1*12", 50.0) == [Code("record")]
    assert wait(made, 60.0) == [Code("swap")]


def test_what_stood_there_before_a_wrong_digit_counts_and_what_follows_it_too() -> None:
    made = reader({"record": "*1", "swap": "*1*2", "park": "*3"})
    assert dial(made, "*1*3") == [Code("record")]
    assert made.next_deadline() is not None
    assert wait(made, 0.7) == [Code("park")], "at once"
    made = reader({"blind_transfer": "*1", "swap": "*1234"})
    assert dial(made, "*123") == []
    assert dial(made, "5#", 1.0) == [Code("blind_transfer", "235")], "its number had begun already"
    made = reader({"blind_transfer": "*1", "swap": "*1#4"})
    assert dial(made, "*1#5") == [Code("blind_transfer")]


def test_reset_forgets_all() -> None:
    made = reader()
    made.read("*", 0.0)
    made.reset()
    assert made.read("1", 0.1) is None
    dial(made, "*21", 1.0)
    made.reset()
    assert (made.collecting, made.next_deadline()) == (False, None)


def test_who_may_use_them() -> None:
    assert TABLE.reader("trunk", ("all",)) is None
    assert TABLE.reader("extension", ("none",)) is None
    assert TABLE.reader("extension", ("dnd_on",)) is None
    assert CallCodes().reader("extension", ("all",)) is None
    made = TABLE.reader("extension", ("park", "swap"))
    assert made is not None
    assert dial(made, "*1*4*2104#*5") == [Code("swap"), Code("park")]


CODE_SETS = st.dictionaries(
    st.sampled_from(sorted(CODES)), st.text("*#123", min_size=2, max_size=5), min_size=1, max_size=5
).filter(lambda codes: len(set(codes.values())) == len(codes))


@given(CODE_SETS, st.lists(st.tuples(st.sampled_from("*#0123"), st.sampled_from([0.1, 2.0, 9.0])), max_size=40))
def test_whatever_is_dialled_it_comes_to_rest(codes: dict[str, str], keys: list[tuple[str, float]]) -> None:
    made, now = reader(codes), 0.0
    for digit, pause in keys:
        for _ in range(len(keys) + 8):
            at = made.next_deadline()
            if at is None or at > now:
                break
            made.expire(now)
        else:
            raise AssertionError("a deadline that never passes")
        code = made.read(digit, now)
        assert code is None or code.action in codes
        assert code is None or len(code.number) <= MAX_NUMBER
        now += pause
    wait(made, now + 100.0)
    assert made.next_deadline() is None


@given(CODE_SETS)
def test_every_code_is_found_after_a_pause(codes: dict[str, str]) -> None:
    for action, code in codes.items():
        made = reader(codes)
        told = dial(made, code, step=0.1)
        told += wait(made, 100.0)
        # Another that it contains may have been told first; then what is left is no code of this one.
        others = [each for each in codes.values() if each != code and each in code]
        assert told == [Code(action)] or others

"""PINs: right, wrong, too many wrong ones, forgotten with time, on each extension's own account."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from sip.timers import TimerHeap
from softswitch import pins
from softswitch.digit_entry import DigitEntry
from softswitch.pins import FADE, MAX_WRONG, Pins
from softswitch.security_log import SecurityLog


def made(**numbers: str) -> Pins:
    return Pins({name[1:]: pin for name, pin in numbers.items()}, SecurityLog(TimerHeap()))


def test_right_and_wrong() -> None:
    found = made(x101="2580", x102="1379")
    assert found.check("101", "2580", "c", 0.0)
    with capture_logs():
        for wrong in ("1379", "258", "25800", "2581", ""):
            assert not found.check("101", wrong, "c", 0.0)
    assert found.check("101", "2580", "c", 0.0), "five wrong ones do not keep it out"
    assert not found.may_try("103", 0.0)
    assert not found.check("103", "", "c", 0.0), "no PIN is never the right one"


def test_too_many_wrong_ones_keep_the_right_one_out_for_a_while_and_nobody_else() -> None:
    found = made(x101="2580", x102="1379")
    with capture_logs() as logs:
        for n in range(MAX_WRONG):
            assert found.may_try("101", float(n))
            found.check("101", "0000", f"c{n}", float(n))
    assert not found.may_try("101", 10.0)
    assert not found.check("101", "2580", "c", 10.0)
    assert found.check("102", "1379", "c", 10.0)
    assert not found.may_try("101", FADE - 1)
    assert found.check("101", "2580", "c", FADE + 10.0)
    assert [each["event"] for each in logs][-1] == "backed off"
    assert "0000" not in str(logs)


def test_a_guesser_gets_one_try_in_ten_minutes() -> None:
    found = made(x101="2580")
    tried = 0
    with capture_logs():
        for minute in range(24 * 60):
            if found.may_try("101", minute * 60.0):
                found.check("101", "0000", "c", minute * 60.0)
                tried += 1
    assert tried <= MAX_WRONG + 24 * 3600 / FADE


def test_a_reload_forgets_no_guesses() -> None:
    found = made(x101="2580")
    with capture_logs():
        for _ in range(MAX_WRONG):
            found.check("101", "0000", "c", 0.0)
    found.configure({"101": "4711"})
    assert not found.check("101", "4711", "c", 1.0)
    assert found.check("101", "4711", "c", FADE)


def test_the_comparison_takes_as_long_whatever_is_right_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    constant_time = pins.hmac.compare_digest

    def spy(dialled: bytes, known: bytes) -> bool:
        compared.append((dialled, known))
        return constant_time(dialled, known)

    monkeypatch.setattr(pins.hmac, "compare_digest", spy)
    assert made(x101="2580").check("101", "2580", "c", 0.0)
    assert compared == [(b"2580", b"2580")]


def test_digits_until_the_hash_key_or_enough() -> None:
    entry = DigitEntry(4)
    assert [entry.read(digit) for digit in "1*2"] == [False, False, False]
    assert entry.read("#")
    assert entry.number == "1*2"
    entry = DigitEntry(4)
    assert [entry.read(digit) for digit in "12A34"] == [False, False, False, False, True]
    assert entry.number == "1234"
    assert "1234" not in repr(entry)

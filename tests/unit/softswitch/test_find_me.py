"""Find-me lists as steps of a hunt."""

from __future__ import annotations

from media import say
from softswitch.dialplan.decision import AnyTarget, ExtensionTarget, NumberTarget
from softswitch.find_me import PROMPTS, FindMe, FindMeNumber, prompt, steps
from softswitch.hunt import CONFIRM_KEY, REFUSE_KEY
from softswitch.hunt_steps import Joining, Step


def outside(number: str) -> bool:
    return number.startswith("0")


def joins(found: tuple[Step[AnyTarget], ...]) -> list[tuple[float | None, list[tuple[str, float]]]]:
    """(seconds, [(whose number, seconds to confirm)]) of each step."""
    return [(step.lasts, [(each.target.number, each.confirm) for each in step.joining]) for step in found]


def test_at_once_and_by_delay_and_whoever_is_outside_confirms() -> None:
    wanted = FindMe(numbers=(FindMeNumber(number="0171"), FindMeNumber(number="103", delay=10.0)))
    found = steps("102", wanted, 30.0, outside)
    assert found[0].joining == (
        Joining(ExtensionTarget("102"), 2, 0.0),
        Joining(NumberTarget("102", "0171"), 1, 15.0),
    )
    assert joins(found) == [(10.0, [("102", 0.0), ("0171", 15.0)]), (10.0, [("103", 0.0)]), (10.0, [])]


def test_in_turn_each_rings_its_time_whatever_its_delay() -> None:
    numbers = (FindMeNumber(number="0171", ring_time=15.0, delay=3.0), FindMeNumber(number="103"))
    found = steps("102", FindMe(numbers=numbers, sequential=True, confirm_within=5.0), 30.0, outside)
    assert joins(found) == [(30.0, [("102", 0.0)]), (15.0, [("0171", 5.0)]), (20.0, [("103", 0.0)])]


def test_confirmation_as_the_list_says() -> None:
    numbers = (FindMeNumber(number="0171", confirm=False), FindMeNumber(number="103", confirm=True))
    found = steps("102", FindMe(numbers=numbers), 20.0, outside)
    assert joins(found) == [(20.0, [("102", 0.0), ("0171", 0.0), ("103", 15.0)])]


def test_the_question_is_there_in_every_language_and_names_the_keys() -> None:
    assert set(PROMPTS) == set(say.languages())
    assert all(CONFIRM_KEY in text and REFUSE_KEY in text for text in PROMPTS.values())
    assert prompt("de-AT") == PROMPTS["de"]
    assert prompt("xx") == PROMPTS["en"]

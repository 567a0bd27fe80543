"""Settings of conference rooms: read where they are written, and refused there."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from media import say
from softswitch.conference.phrases import Voice
from softswitch.conference.settings import ACTIONS, ConferenceRoom
from softswitch.conference.texts import TEXTS
from softswitch.settings.models import Settings
from softswitch.settings.validation import problems_of
from softswitch.settings.yaml_tree import Problem, plain, read_yaml


def read(text: str) -> tuple[dict[str, ConferenceRoom], list[str]]:
    problems: list[Problem] = []
    root = read_yaml(text.encode(), "rooms.yaml", problems)
    assert root is not None
    try:
        return dict(Settings.model_validate(plain(root, {})).conferences), []
    except ValidationError as error:
        return {}, [str(problem) for problem in problems_of(error, Settings, root)]


def test_a_room_as_written() -> None:
    rooms, problems = read(
        """conferences:
  board:
    pin: "4711"
    host_pin: "0815"
    wait_for_host: true
    lobby: true
    limit: 20
    lock: yes
    entry: names
    end_with_host: true
    record: true
    music: jazz
    announce_count: true
    mute_guests: true
    language: de
    talkers: true
    guest_menu: {"1": mute}
  open:
"""
    )
    assert problems == []
    board = rooms["board"]
    assert board.pin is not None
    assert board.pin.get_secret_value() == "4711"
    assert (board.limit, board.entry, board.music, board.language) == (20, "names", "jazz", "de")
    assert board.lock
    assert board.guest_menu == {"1": "mute"}
    assert board.host_menu["9"] == "admit"
    assert rooms["open"] == ConferenceRoom()


def test_no_section_is_no_room() -> None:
    assert read("sip: {}\n") == ({}, [])


def test_pins_are_in_no_repr() -> None:
    rooms, _ = read('conferences:\n  a:\n    pin: "4711"\n    host_pin: "0815"\n')
    assert "4711" not in repr(rooms)
    assert "0815" not in repr(rooms)


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        ('pin: "12"', "3:10", "expected 3 to 16 digits"),
        ('pin: "12ab"', "3:10", "expected 3 to 16 digits"),
        ('pin: "4711"\n    host_pin: "4711"', "4:15", "another PIN"),
        ("wait_for_host: true", "3:20", "needs a 'host_pin'"),
        ("lobby: true", "3:12", "needs a 'host_pin'"),
        ("end_with_host: true", "3:20", "needs a 'host_pin'"),
        ("limit: -1", "3:12", "at least 0"),
        ("entry: name", "3:12", "did you mean 'names'"),
        ("lokc: true", "3:5", "did you mean 'lock'"),
        ("language: xx", "3:15", "expected one of de, en"),
        ('guest_menu: {"2": lock}', "3:23", "lock is for hosts"),
        ('host_menu: {"2": lok}', "3:22", "did you mean 'lock'"),
        ('host_menu: {"12": lock}', "3:", ""),
    ],
)
def test_what_is_wrong_is_told_where_it_is(lines: str, place: str, words: str) -> None:
    rooms, problems = read(f"conferences:\n  a:\n    {lines}\n")
    assert rooms == {}
    assert len(problems) == 1
    assert problems[0].startswith(f"rooms.yaml:{place}")
    assert words in problems[0]
    assert "4711" not in problems[0]
    assert "12ab" not in problems[0]


def test_every_field_has_its_documentation() -> None:
    properties = ConferenceRoom.model_json_schema()["properties"]
    assert [name for name, each in properties.items() if not each.get("description")] == []


def test_every_language_has_every_prompt() -> None:
    assert sorted(TEXTS) == say.languages()
    for texts in TEXTS.values():
        assert texts.keys() == TEXTS["en"].keys()
    assert {f"to-{action}" for action in ACTIONS} <= TEXTS["en"].keys()


def test_a_language_without_texts_is_spoken_in_english() -> None:
    voice = Voice("pt")
    assert voice.prompt("full").text == TEXTS["en"]["full"]
    assert voice.spoken == "en"
    assert Voice("de-AT").prompt("full").text == TEXTS["de"]["full"]

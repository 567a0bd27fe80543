"""`softswitch conference`: what is asked of the switch, and how rooms are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from softswitch.cli import make_app
from softswitch.conference.commands import ConferenceList, read_request
from softswitch.conference.vocabulary import MemberView, RoomView
from softswitch.control import ControlRefused
from tests.unit.softswitch.test_cli_status import configure, switch

BOARD = RoomView(
    "board",
    7,
    True,
    "paused",
    True,
    (
        MemberView(41, "host", "in", "Ann \x1b[31m", "101", False, False, True, 0, 0),
        MemberView(42, "guest", "waiting", "", "", True, True, False, 0, 0),
        MemberView(43, "guest", "in", "Cyd", "103", False, False, False, 0, 0, True),
    ),
)


LAST = "109"
"""With whom a conference is over."""


def run(tmp_path: Path, *words: str) -> tuple[Any, list[dict[str, Any]]]:
    config = configure(tmp_path / "config")
    asked: list[dict[str, Any]] = []

    def handler(args: dict[str, Any]) -> Any:
        asked.append(args)
        return ConferenceList(() if args.get("action") == "end" or args.get("member") == LAST else (BOARD,))

    with switch(config, conference=handler):
        return CliRunner().invoke(make_app(), ["conference", *words, "--config", str(config)]), asked


def test_all_are_shown(tmp_path: Path) -> None:
    done, asked = run(tmp_path)
    assert (done.exit_code, asked) == (0, [{}])
    head, ann, other, cyd = done.stdout.splitlines()
    assert head == "board: 3 there, locked, guests muted, recording paused"
    assert ann.split() == ["101", "host,", "talking", "Ann", r"\x1b[31m", "(id", "41)"]
    assert other.split() == ["-", "guest,", "waiting,", "muted,", "deaf", "(id", "42)"]
    assert cyd.split() == ["103", "guest,", "on", "hold", "Cyd", "(id", "43)"]


@pytest.mark.parametrize(
    ("words", "args"),
    [
        (["board"], {"action": "list"}),
        (["board", "mute", "101"], {"action": "mute", "member": "101"}),
        (["board", "admit"], {"action": "admit"}),
        (["board", "record", "pause"], {"action": "record-pause"}),
        (["board", "record"], {"action": "record-start"}),
        (
            ["board", "dial", "0123", "--by", "104", "--host"],
            {"action": "dial", "number": "0123", "rights": "104", "role": "host"},
        ),
    ],
)
def test_what_is_asked(tmp_path: Path, words: list[str], args: dict[str, str]) -> None:
    done, asked = run(tmp_path, *words)
    assert (done.exit_code, asked) == (0, [{"conference": "board"} | args])
    assert read_request(asked[0]).action == args["action"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["end"], "conference board has ended"),
        (["kick", LAST], "nobody is in conference board"),
    ],
)
def test_one_that_is_over(tmp_path: Path, words: list[str], told: str) -> None:
    done, _ = run(tmp_path, "board", *words)
    assert done.stdout == f"{told}\n"


def test_a_refusal_says_why(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")

    def handler(_args: dict[str, Any]) -> Any:
        raise ControlRefused("nobody is in conference 'board'")

    with switch(config, conference=handler):
        refused = CliRunner().invoke(make_app(), ["conference", "board", "lock", "--config", str(config)])
    assert (refused.exit_code, refused.stderr) == (1, "nobody is in conference 'board'\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["board", "lockk"], "unknown action 'lockk': did you mean 'lock'? expected one of list, mute,"),
        (["board", "dance"], "unknown action 'dance': expected one of list, mute,"),
        (["board", "record", "stpo"], "unknown recording action 'stpo': did you mean 'stop'?"),
        (["board", "kick", "101", "--by", "104"], "--by goes with 'dial' only"),
        (["board", "kick", "101", "--host"], "--host goes with 'dial' only"),
    ],
)
def test_wrong_words_are_refused_before_the_switch_is_asked(tmp_path: Path, words: list[str], said: str) -> None:
    done, asked = run(tmp_path, *words)
    assert (done.exit_code, asked) == (2, [])
    assert said in said_by(done)


def said_by(done: Any) -> str:
    """The error, without the box that is drawn around it."""
    return " ".join(done.stderr.replace("\u2502", " ").split())

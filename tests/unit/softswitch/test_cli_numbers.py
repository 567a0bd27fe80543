"""Numbers on the command line: whatever is wrong with one, it is said with the range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from softswitch.cli import make_app
from softswitch.cli.numbers import real, whole


def said_by(done: Any) -> str:
    """The error, without the box that is drawn around it."""
    return " ".join(done.stderr.replace("\u2502", " ").split())


@pytest.mark.parametrize("text", ["0", "11", "-1", "1.5", "x", "", "nan", "1_0", "\u0663", "9" * 5000])
def test_no_whole_number_from_1_to_10(text: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        whole("--rows", 1, 10)(text)
    assert caught.value.message == f"expected a whole number from 1 to 10 instead of {text[:40]!r}"


@pytest.mark.parametrize("text", ["0.4", "-1", "nan", "inf", "x", "", "1e400"])
def test_no_number_of_at_least_a_half(text: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        real("--hold", 0.5)(text)
    assert caught.value.message == f"expected a number of at least 0.5 instead of {text!r}"


def test_numbers() -> None:
    assert [whole("n", 1, 10)(each) for each in ("1", " 10 ", "+7", 3)] == [1, 10, 7, 3]
    assert [real("n", 0)(each) for each in ("0", "1.5", "1e2", 3.0)] == [0.0, 1.5, 100.0, 3.0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "--rows", "-1"], "'--rows': expected a whole number of at least 0 instead of '-1'"),
        (["cdr", "--limit", "many"], "'--limit': expected a whole number of at least 1 instead of 'many'"),
        (["load", "uac_call", "-t", "h", "-r", "0"], "'--rate': expected a number from 0.01 to 100000 instead of '0'"),
        (
            ["load", "uac_call", "-t", "h", "--hold", "nan"],
            "'--hold': expected a number of at least 0 instead",
        ),
        (["load", "uac_call", "-t", "h", "--media-port", "99999"], "whole number from 1 to 65535 instead of '99999'"),
        (["media-worker", "--orphan-time", "-1"], "'--orphan-time': expected a number of at least 0 instead of '-1'"),
    ],
)
def test_commands_say_the_range(words: list[str], said: str) -> None:
    done = CliRunner().invoke(make_app(), words)
    assert done.exit_code == 2
    assert said in said_by(done)
    assert "Input should" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["media-worker", "--log-level", "debgu"], "--log-level: unknown level 'debgu': did you mean 'debug'?"),
        (["media-worker", "--socket", "/proc/none/s"], "/proc/none/s: No such file or directory"),
        (["media-worker", "--socket", "s", "--studio", '{"a": 1}'], "--studio: sounds: Field required; recordings:"),
        (["record", "strt", "101"], "unknown action 'strt': did you mean 'start'? expected one of start, pause,"),
        (["check", "--from", "101"], "--from and --did say who calls"),
        (["check", "--config", "{}", "--route", "internal:"], "--route 'internal:': expected CONTEXT:NUMBER"),
        (["conference", "", "lock"], "expected the name of a conference before 'lock'"),
        (["load", "uac_cal", "-t", "h"], "no scenario 'uac_cal': did you mean 'uac_call'? there is refer_click,"),
    ],
)
def test_wrong_words_are_told_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    # Logs set up here would be those of all tests that follow.
    monkeypatch.setattr("softswitch.cli.serve.set_up_logs", lambda *_: None)
    (tmp_path / "a.yaml").write_text("extensions: {'101': {}}\ndialplan: {internal: {routes: []}}\n")
    done = CliRunner().invoke(make_app(), [word.format(tmp_path) if word == "{}" else word for word in words])
    assert done.exit_code == 2
    assert said in said_by(done)
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_the_schema_is_not_written_beside_a_misspelt_directory(tmp_path: Path) -> None:
    done = CliRunner().invoke(make_app(), ["schema", "--write", "--config", str(tmp_path / "confg")])
    assert (done.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert f"there is no configuration directory {tmp_path / 'confg'}" in done.stderr

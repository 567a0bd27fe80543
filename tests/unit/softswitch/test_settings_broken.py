"""Broken configurations, kept: each is refused with every error at its line and column, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from softswitch.cli import make_app
from softswitch.settings.loader import ConfigError, load

BROKEN = Path(__file__).with_name("broken_configs")
NAMES = sorted(path.name for path in BROKEN.iterdir() if path.is_dir())


def test_there_are_more_than_ten() -> None:
    assert len(NAMES) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_every_error_at_its_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BROKEN / name)
    with pytest.raises(ConfigError) as caught:
        load(Path())
    assert [str(problem) for problem in caught.value.problems] == Path("expected").read_text().splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_check_tells_all_on_stderr_and_exits_with_2(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BROKEN / name)
    result = CliRunner().invoke(make_app(), ["check", "--config", "."])
    expected = Path("expected").read_text().splitlines()
    assert result.exit_code == 2
    assert result.stderr.splitlines()[:-1] == expected
    assert result.stderr.splitlines()[-1] == f".: {len(expected)} error{'s' if len(expected) > 1 else ''}"
    assert result.stdout == ""


def test_passwords_are_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BROKEN / "secrets")
    with pytest.raises(ConfigError) as caught:
        load(Path())
    assert "very-secret" in Path("secrets.yaml").read_text()
    assert "very-secret" not in str(caught.value)
    assert "'abc'" not in str(caught.value)

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


@pytest.mark.parametrize("name", NAMES)
def test_what_secrets_yaml_says_is_not_repeated_whatever_is_wrong_with_it(name: str) -> None:
    assert "not-to-be-seen" not in (BROKEN / name / "expected").read_text()


def test_a_file_of_another_name_is_told_with_the_errors_it_may_explain(tmp_path: Path) -> None:
    (tmp_path / "dialplan.yaml").write_text("dialplan: {internal: {routes: [{to: '1', dial: {trunk: out}}]}}\n")
    (tmp_path / "trunks.yml").write_text("trunks: {out: {gateways: [192.0.2.1]}}\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    unknown, unread = caught.value.problems
    assert unknown.message.startswith("unknown trunk 'out'")
    assert unread.message == "not read: expected the name trunks.yaml"


@pytest.mark.parametrize(
    "data", [b"sip: {realm: \xff}\n", b"a: 1\n---\nb: 2\n", b"sip: *none\n", b"- 1\n", b"sip: [\n"]
)
def test_a_file_that_is_not_read_makes_no_name_unknown(tmp_path: Path, data: bytes) -> None:
    """Whatever keeps it from being read: that alone is told."""
    (tmp_path / "a.yaml").write_bytes(data)
    (tmp_path / "b.yaml").write_text("extensions: {'101': {}}\ntrunks: {out: {register: {registrar: a.example}}}\n")
    (tmp_path / "c.yaml").write_text("secrets: {trunks: {out: secret}}\nmedia: {shared_ports: 200}\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    [problem] = caught.value.problems
    assert problem.mark.file.endswith("a.yaml")


def test_a_file_without_permission_makes_no_name_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    (tmp_path / "b.yaml").write_text("extensions: {'101': {}}\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    [problem] = caught.value.problems
    assert "can't be read" in problem.message

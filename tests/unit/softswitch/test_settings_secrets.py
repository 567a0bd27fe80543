"""Passwords made at the first start: strong, private, made once, and nothing in the file is lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from softswitch.settings import secrets
from softswitch.settings.loader import ConfigError, load
from softswitch.settings.secrets import ensure_secrets, new_password, with_passwords, write_private

CONFIG = "extensions: {101-103: {}}\ndialplan: {internal: {routes: [{dial: '{number}'}]}}\n"


def test_a_password_for_each_extension_without_one(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG)
    made = ensure_secrets(tmp_path)
    assert [number for number, _ in made] == ["101", "102", "103"]
    path = tmp_path / "secrets.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = load(tmp_path)
    assert loaded.warnings == []
    kept = {number: extension.password for number, extension in loaded.settings.extensions.items()}
    assert {number: secret.get_secret_value() for number, secret in kept.items() if secret is not None} == dict(made)


def test_passwords_are_made_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG)
    ensure_secrets(tmp_path)
    before = (tmp_path / "secrets.yaml").read_text()
    assert ensure_secrets(tmp_path) == []
    assert (tmp_path / "secrets.yaml").read_text() == before


def test_a_new_extension_gets_its_own_and_the_others_keep_theirs(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG)
    first = ensure_secrets(tmp_path)
    (tmp_path / "a.yaml").write_text(CONFIG.replace("103", "104"))
    assert [number for number, _ in ensure_secrets(tmp_path)] == ["104"]
    extensions = load(tmp_path).settings.extensions
    for number, password in first:
        secret = extensions[number].password
        assert secret is not None
        assert secret.get_secret_value() == password


def test_an_inline_password_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG.replace("{101-103: {}}", "{'101': {password: inline}}"))
    assert ensure_secrets(tmp_path) == []
    assert not (tmp_path / "secrets.yaml").exists()


def test_a_broken_configuration_gets_no_passwords(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extensions: {'101': {nam: x}}\n")
    with pytest.raises(ConfigError):
        ensure_secrets(tmp_path)
    assert not (tmp_path / "secrets.yaml").exists()


OTHER_STYLES = [
    "secrets:\n  # the boss\n  extensions: {'101': 'typed by hand'}\n",
    "# kept\nsecrets: {trunks: {}}\n",
    "secrets:\n",
    "sip: {realm: x}\n",
    "secrets:\n  extensions:\n",
    "secrets:\n  trunks:\n    out: pw1234\n  extensions:\n    '101': 'typed by hand'\n",
]


@pytest.mark.parametrize("text", OTHER_STYLES)
def test_a_file_in_another_style_keeps_what_it_holds(text: str, tmp_path: Path) -> None:
    out = "trunks: {out: {gateways: [192.0.2.1], account: {username: me}}}\n"
    (tmp_path / "a.yaml").write_text(CONFIG + out)
    (tmp_path / "secrets.yaml").write_text(text)
    made = ensure_secrets(tmp_path)
    settings = load(tmp_path).settings
    assert all(extension.password is not None for extension in settings.extensions.values())
    by_hand = settings.extensions["101"].password
    assert by_hand is not None
    assert (by_hand.get_secret_value() == "typed by hand") == ("typed by hand" in text) == (len(made) == 2)
    written = (tmp_path / "secrets.yaml").read_text()
    for comment in ("# the boss", "# kept"):
        assert (comment in text) == (comment in written)


def test_new_lines_go_to_the_end_of_the_extensions() -> None:
    text = '# mine\nsecrets:\n  extensions:\n    "101": "a"\n  trunks:\n    out: "b"\n'
    assert with_passwords(text, [("102", "c")]) == text.replace('"a"\n', '"a"\n    "102": "c"\n')


def test_passwords_are_long_and_easy_to_read_out() -> None:
    """90 bits at least, and no characters that are taken for one another."""
    passwords = {new_password() for _ in range(1000)}
    assert len(passwords) == 1000
    for password in passwords:
        groups = password.split("-")
        assert [len(group) for group in groups] == [5, 5, 5, 5]
        assert set("".join(groups)) <= set(secrets.ALPHABET)
    assert not set(secrets.ALPHABET) & set("0oO1lIiS5sB8b2zZuvUV")
    assert len(secrets.ALPHABET) ** 20 > 2**90


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secrets.yaml"
    path.write_text("old")

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_private(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]

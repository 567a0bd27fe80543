"""Passwords that nobody had to think of: made once, kept in `secrets.yaml` (mode 0600), readable over a
telephone.

A password is twenty characters of an alphabet without those that are taken for one another (0 O, 1 l I, 5
S, 8 B, 2 Z, u v), in groups of five: 20 * log2(23) = 90 bits, beyond any guessing of a digest that was
overheard.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from softswitch.settings.loader import SECRETS_FILE, load

ALPHABET = "34679acdefghjkmnpqrtwxy"
GROUPS = 4
GROUP_LENGTH = 5

_HEAD = "# Made by softswitch. Passwords of extensions, in clear text: keep this file from others' eyes.\n"


def new_password() -> str:
    """Four groups of five characters, `k7fmn-39qxa-...`."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def ensure_secrets(directory: Path) -> list[tuple[str, str]]:
    """Make a password for each extension without one; return what was made, as (extension, password).

    The file keeps all it holds (comments too); new passwords are put at the end of its `extensions`. Raises
    ConfigError where the configuration is not valid, OSError where the file can't be written.
    """
    settings = load(directory).settings
    lacking = [number for number, extension in settings.extensions.items() if extension.password is None]
    if not lacking:
        return []
    made = [(number, new_password()) for number in lacking]
    path = directory / SECRETS_FILE
    text = path.read_text("utf-8") if path.exists() else ""
    write_private(path, with_passwords(text, made))
    return made


def with_passwords(text: str, made: list[tuple[str, str]]) -> str:
    """`text` of a secrets file with more passwords of extensions in it.

    A second `secrets:` in the same file would be a duplicate key, so the lines go under the `extensions:`
    that is there; where the file is written in another style than ours, it is written anew from its
    contents.
    """
    lines = [f'    "{number}": "{password}"' for number, password in made]
    if not text.strip():
        return _HEAD + "secrets:\n  extensions:\n" + "\n".join(lines) + "\n"
    old = text.rstrip("\n").split("\n")
    at = _end_of_extensions(old)
    if at is None:
        return _rewritten(text, made)
    return "\n".join(old[:at] + lines + old[at:]) + "\n"


def _end_of_extensions(lines: list[str]) -> int | None:
    """The line after the last one of `secrets: extensions:` as we write it, or None where it is not found."""
    try:
        at = lines.index("  extensions:", lines.index("secrets:")) + 1
    except ValueError:
        return None
    while at < len(lines) and lines[at].startswith('    "'):
        at += 1
    return at


def _rewritten(text: str, made: list[tuple[str, str]]) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.compat import StringIO

    yaml = YAML()
    yaml.preserve_quotes = True
    tree = yaml.load(text) or {}
    if tree.get("secrets") is None:
        tree["secrets"] = {}
    if tree["secrets"].get("extensions") is None:
        tree["secrets"]["extensions"] = {}
    tree["secrets"]["extensions"].update(made)
    out = StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:  # mkstemp made it with mode 0600
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

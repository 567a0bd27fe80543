"""Where the running switch of a configuration directory is reached."""

from __future__ import annotations

from pathlib import Path

import typer

from softswitch.control import SOCKET_NAME, ControlError, NotRunning
from softswitch.settings.loader import ConfigError, load
from softswitch.settings.models import ServerSettings
from softswitch.settings.sections import merge_files
from softswitch.settings.yaml_tree import Mapping, Problem, Scalar, read_yaml


def control_socket(config: Path) -> Path:
    """The control socket of the switch that runs with `config`. Raises `NotRunning` where there is no such directory.

    The state directory may be configured, and a switch must be reachable while its configuration is being mended: a
    broken one is read for that one key only.
    """
    if not config.is_dir():
        raise NotRunning(f"there is no configuration directory {config}: expected --config DIR, that of the switch")
    try:
        return load(config).settings.server.state_directory / SOCKET_NAME
    except ConfigError:
        return (config / _state_directory(config)).absolute() / SOCKET_NAME


def _state_directory(config: Path) -> Path:
    problems: list[Problem] = []
    default = ServerSettings().state_directory
    roots = []
    for path in sorted(config.glob("*.yaml")) if config.is_dir() else []:
        try:
            root = read_yaml(path.read_bytes(), str(path), problems)
        except OSError:
            continue  # `softswitch check` says so; the key may stand in another file
        if root is not None:
            roots.append(root)
    if not roots:
        return default
    server = merge_files(roots, problems, set()).entries.get("server")
    if server is None or not isinstance(server.node, Mapping):
        return default
    state = server.node.entries.get("state_directory")
    return Path(state.node.text) if state is not None and isinstance(state.node, Scalar) else default


def fail(error: ControlError) -> typer.Exit:
    """Prints the error in one line, its details below; raise what it returns."""
    from softswitch.cli.printable import printable

    typer.echo(printable(str(error), 1000), err=True)
    for detail in error.details:
        typer.echo(printable(detail, 1000), err=True)
    return typer.Exit(2 if error.details else 1)

"""`softswitch reload`: the running switch reads its configuration again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("reload")(reload)


def reload(
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
) -> None:
    """Have the running switch read its configuration again: applied whole, or not at all. Calls go on.

    Exit code 2: the configuration has errors, each printed as file:line:column, and the old one stays in force.
    """
    from softswitch.cli.printable import printable
    from softswitch.cli.running import control_socket, fail
    from softswitch.control import ControlError, ask

    try:
        # Reading thousands of extensions takes a while, and the switch answers when it is done.
        answer = ask(control_socket(config), "reload", timeout=60.0)
    except ControlError as error:
        raise fail(error) from None
    typer.echo("reloaded")
    for note in answer.get("notes", ()) if isinstance(answer, dict) else ():
        typer.echo(printable(str(note), 1000))

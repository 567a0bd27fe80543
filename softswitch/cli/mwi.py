"""`softswitch mwi`: how many voice messages wait for an extension, as its phone's lamp shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("mwi")(mwi)


def mwi(
    extension: Annotated[str, typer.Argument(help="The extension.")],
    new: Annotated[int, typer.Argument(min=0, help="Messages not heard yet; 0 puts the lamp out.")],
    old: Annotated[int, typer.Argument(min=0, help="Messages that were heard.")] = 0,
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
) -> None:
    """Say how many voice messages wait for an extension; it outlives a restart."""
    from softswitch.cli.printable import printable
    from softswitch.cli.running import control_socket, fail
    from softswitch.control import ControlError, ask

    try:
        ask(control_socket(config), "mwi", extension=extension, new=new, old=old)
    except ControlError as error:
        raise fail(error) from None
    typer.echo(printable(f"{extension}: {new} new, {old} old", 200))

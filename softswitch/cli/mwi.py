"""`softswitch mwi`: how many voice messages wait for an extension, as its phone's lamp shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softswitch.cli.numbers import whole


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    # -1 is a wrong number, not an option that nobody knows.
    app.command("mwi", context_settings={"ignore_unknown_options": True})(mwi)


def mwi(
    extension: Annotated[str, typer.Argument(help="The extension.")],
    new: Annotated[str, typer.Argument(help="Messages not heard yet; 0 puts the lamp out.")],
    old: Annotated[str, typer.Argument(help="Messages that were heard.")] = "0",
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
) -> None:
    """Say how many voice messages wait for an extension; it outlives a restart."""
    from softswitch.cli.printable import printable
    from softswitch.cli.running import control_socket, fail
    from softswitch.control import ControlError, ask
    from softswitch.message_summary import MAX_MESSAGES

    counts = (whole("new", 0, MAX_MESSAGES)(new), whole("old", 0, MAX_MESSAGES)(old))
    try:
        ask(control_socket(config), "mwi", extension=extension, new=counts[0], old=counts[1])
    except ControlError as error:
        raise fail(error) from None
    typer.echo(printable(f"{extension}: {counts[0]} new, {counts[1]} old", 200))

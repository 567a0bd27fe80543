"""`softswitch record`: begin, pause, resume and end the recording of a call in progress."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DONE = {
    "start": "recording",
    "pause": "recording paused: silence is written",
    "resume": "recording again",
    "stop": "recording ended",
}


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("record")(record)


def record(
    action: Annotated[str, typer.Argument(help=f"{', '.join(DONE)}.")],
    call: Annotated[str, typer.Argument(help="The call: its id in `softswitch status`, or an extension in it.")],
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
) -> None:
    """Record a call where its route, extensions or trunks say 'record: on-demand' or 'always'."""
    from softswitch.cli.printable import printable
    from softswitch.cli.running import control_socket, fail
    from softswitch.control import ControlError, ask
    from softswitch.spelling import unknown_word

    if action not in DONE:
        raise typer.BadParameter(unknown_word("action", action, DONE))
    try:
        answer = ask(control_socket(config), "record", action=action, call=call)
    except ControlError as error:
        raise fail(error) from None
    told = answer if isinstance(answer, dict) else {}
    file = f", to {told['path']}" if told.get("path") else ""
    typer.echo(printable(f"{DONE[action]}: call {told.get('contact', '')}{file}", 2000))

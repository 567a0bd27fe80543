"""`softswitch call`: what can be done to a call in progress."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    calls = typer.Typer(help="Do something to a call in progress.", no_args_is_help=True)
    calls.command("transfer")(transfer)
    app.add_typer(calls, name="call")


def transfer(
    call: Annotated[str, typer.Argument(help="The call: its id in `softswitch status`, or an extension in it.")],
    number: Annotated[str, typer.Argument(help="Who is called, as the extension that transfers would dial it.")],
    by: Annotated[
        str, typer.Option("--by", help="The extension that transfers, and leaves; not needed where CALL is that.")
    ] = "",
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
) -> None:
    """Have an extension send the one it talks to elsewhere (blind transfer): music and ringing are heard meanwhile, and
    where nobody takes the call, the two talk again."""
    from softswitch.cli.printable import printable
    from softswitch.cli.running import control_socket, fail
    from softswitch.control import ControlError, ask

    try:
        answer = ask(control_socket(config), "transfer", call=call, by=by or call, number=number)
    except ControlError as error:
        raise fail(error) from None
    told = answer if isinstance(answer, dict) else {}
    typer.echo(printable(f"transferring: call {told.get('contact', '')}", 1000))

"""`softswitch feature`: forwards, do not disturb, call waiting and find-me of an extension, while the switch runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    # -5 is a wrong value, not an option that nobody knows.
    app.command("feature", context_settings={"ignore_unknown_options": True})(feature)


def feature(
    extension: Annotated[str, typer.Argument(help="The extension.")],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="FEATURE",
            help="dnd, call_waiting, forward_always, forward_busy, forward_no_answer, forward_unavailable, "
            "no_answer_after or find_me; without it, what is set is shown.",
        ),
    ] = None,
    value: Annotated[
        str | None,
        typer.Argument(
            metavar="VALUE",
            help="on or off; a number or off; seconds. 'default': as the configuration says.",
        ),
    ] = None,
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
) -> None:
    """Set what an extension wants of its calls; it wins over the configuration and outlives a restart."""
    from softswitch.cli.printable import printable
    from softswitch.cli.running import control_socket, fail
    from softswitch.control import ControlError, ask

    if name is not None and value is None:
        raise typer.BadParameter(f"expected a VALUE after {name!r}: on or off; a number or off; seconds; default")
    wanted: dict[str, Any] = {} if name is None else {"feature": name, "value": value}
    try:
        answer = ask(control_socket(config), "feature", extension=extension, **wanted)
    except ControlError as error:
        raise fail(error) from None
    found = sorted(answer.items()) if isinstance(answer, dict) else []
    for each, word in found:
        typer.echo(printable(f"{each} {word}", 200))
    if not found:
        typer.echo(printable(f"{extension}: nothing set, the configuration counts", 200))

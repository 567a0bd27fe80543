"""`softswitch schema`: the JSON Schema of the configuration, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("schema")(schema)


def schema(
    write: Annotated[bool, typer.Option("--write", help="Write schema/softswitch.json of the directory.")] = False,
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
) -> None:
    """Print the JSON Schema of the configuration files, or write it where editors look for it."""
    from softswitch.settings.schema import SCHEMA_FILE, schema_text

    if not write:
        typer.echo(schema_text(), nl=False)
        return
    if not config.is_dir():
        typer.echo(f"there is no configuration directory {config} (softswitch init makes one)", err=True)
        raise typer.Exit(1)
    path = config / SCHEMA_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        typer.echo(f"{error.filename or path}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{path} written")

"""`softswitch serve`: run the switch in the foreground."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("serve")(serve)


def serve(
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
    log_json: Annotated[bool, typer.Option("--log-json", help="Log as JSON lines instead of text.")] = False,
) -> None:
    """Run the switch. Ctrl-C or SIGTERM drains: calls go on until a deadline, new ones get 503."""
    import structlog
    import uvloop

    from softswitch.app import App, StartError
    from softswitch.settings.loader import ConfigError, load
    from softswitch.settings.secrets import ensure_secrets

    try:
        made = ensure_secrets(config)
        loaded = load(config)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"{error.filename or config}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    set_up_logs(loaded.settings.server.log_level, log_json)
    for warning in loaded.warnings:
        structlog.get_logger("softswitch").warning("configuration", problem=str(warning))
    for extension, password in made:
        typer.echo(f"extension {extension}: new password {password}")
    if made:
        typer.echo(f"(kept in {config / 'secrets.yaml'}, readable by its owner only)")

    async def main() -> None:
        switch = App(config, log_json)
        await switch.start()
        typer.echo(f"softswitch ready: {', '.join(switch.listening())}")
        sys.stdout.flush()
        await switch.run()

    try:
        uvloop.run(main())
    except StartError as error:
        typer.echo(f"softswitch can't start: {error}", err=True)
        raise typer.Exit(1) from None


def set_up_logs(level: str, as_json: bool, file: TextIO | None = None) -> None:
    """Logs go to standard error (or `file`), one event a line; control characters of foreign origin are escaped."""
    import structlog

    structlog.configure(
        processors=log_processors(as_json, colors=sys.stderr.isatty()),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        # A line is one write: media processes have the same standard error.
        logger_factory=structlog.WriteLoggerFactory(file or sys.stderr),
        cache_logger_on_first_use=True,
    )


def log_processors(as_json: bool, colors: bool = False) -> list[Any]:
    """What makes a line of an event."""
    import structlog

    renderer: structlog.types.Processor
    if as_json:
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=colors)
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _printable,
        renderer,
    ]


def _printable(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape what is not printable in values that came from outside: no forged lines, no terminal codes."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception" and not value.isprintable():
            event[key] = value.encode("unicode_escape").decode("ascii")
    return event

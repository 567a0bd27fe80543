"""`softswitch media-worker`: a process that carries RTP. `serve` starts those of its own machine by itself."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO, cast

import typer

from softswitch.cli.numbers import real

if TYPE_CHECKING:
    from media.shell import StudioSettings

LEVELS = ("debug", "info", "warning", "error")

MIN_SECRET = 16
"""Octets: a shorter secret could be guessed by whoever overhears a greeting."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("media-worker")(media_worker)


def media_worker(
    socket: Annotated[Path | None, typer.Option(help="Unix socket to listen on.")] = None,
    listen: Annotated[str, typer.Option(help="TCP address to listen on instead: HOST:PORT.")] = "",
    secret_file: Annotated[
        Path | None, typer.Option(help="File of the secret that media.remote_workers names for this worker.")
    ] = None,
    host: Annotated[list[str] | None, typer.Option(help="Address to bind RTP to; several times for several.")] = None,
    orphan_time: Annotated[
        float,
        typer.Option(
            parser=real("--orphan-time", 0),
            metavar="SECONDS",
            help="How long calls talk on without a signalling process.",
        ),
    ] = 60.0,
    studio: Annotated[
        str, typer.Option(help="What it plays and where it records to, as JSON, or @FILE; empty: neither.")
    ] = "",
    rtcp_xr: Annotated[bool, typer.Option("--rtcp-xr", help="Tell peers in RTCP how they sound (RFC 3611).")] = False,
    spawned: Annotated[bool, typer.Option("--spawned", help="End when that time is over.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log as JSON lines instead of text.")] = False,
    log_level: Annotated[str, typer.Option(help=f"Least level that is logged: {', '.join(LEVELS)}.")] = "info",
) -> None:
    """Carry audio for a switch on another machine (--listen, --secret-file; media.remote_workers there). Those of its
    own machine a switch starts by itself (--socket)."""
    import uvloop

    from media.worker import MediaWorker, WorkerOptions
    from softswitch.cli.serve import set_up_logs
    from softswitch.spelling import unknown_word

    if log_level not in LEVELS:
        raise _fail(f"--log-level: {unknown_word('level', log_level, LEVELS)}")
    if (socket is None) == (not listen):
        raise _fail("expected either --socket or --listen")
    options = WorkerOptions(
        socket=socket,
        listen=_address(listen) if listen else None,
        secret=_secret(secret_file) if listen else b"",
        hosts=tuple(host or ("0.0.0.0",)),
        orphan_time=orphan_time,
        studio=_studio(studio) if studio else None,
        rtcp_xr=rtcp_xr,
        spawned=spawned,
    )
    set_up_logs(log_level, log_json, cast(TextIO, _StandardError()))

    async def main() -> None:
        await MediaWorker(options).run()

    try:
        uvloop.run(main())
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise _fail(f"{place}{error.strerror or error}") from None
    except ValueError as error:
        raise _fail(str(error)) from None


class _StandardError(io.TextIOBase):
    """Standard error, whose reader may end before us: what nobody can read is left out."""

    def write(self, text: str) -> int:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            # Nobody is left to be told of this, either; audio goes on.
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        return len(text)


def _address(text: str) -> tuple[str, int]:
    from softswitch.settings.fields import read_host_port

    try:
        place = read_host_port(text)
    except ValueError as error:
        raise _fail(f"--listen: {error}") from None
    if place.port is None:
        raise _fail("--listen: expected a port, such as 192.0.2.7:5090")
    return place.host, place.port


def _studio(text: str) -> StudioSettings:
    from pydantic import ValidationError

    from media.shell import StudioSettings

    try:
        json = Path(text[1:]).read_text() if text.startswith("@") else text
        return StudioSettings.model_validate_json(json)
    except OSError as error:
        raise _fail(f"--studio: {text[1:]}: {error.strerror}") from None
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)]
        raise _fail(f"--studio: {'; '.join(wrong)}") from None


def _secret(path: Path | None) -> bytes:
    """What the file holds, less the white space around it."""
    if path is None:
        raise _fail("--listen needs --secret-file: whoever can connect could command this worker")
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise _fail(f"{path}: {error.strerror}") from None
    if len(secret) < MIN_SECRET:
        raise _fail(f"{path}: expected a secret of at least {MIN_SECRET} characters")
    return secret


def _fail(why: str) -> typer.Exit:
    typer.echo(f"media worker can't start: {why}", err=True)
    return typer.Exit(2)

"""`softswitch init`: a complete configuration in one command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from softswitch.settings.starter import Plan

PRIVATE_FILES = ("secrets.yaml", "sipp-users.csv")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("init")(init)


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory to write, made where it is missing.")],
    extensions: Annotated[str, typer.Option("--extensions", metavar="N", help="How many extensions.")] = "10",
    sip: Annotated[
        str, typer.Option("--sip", metavar="ADDR:PORT", help="Where to listen, UDP and TCP.")
    ] = "0.0.0.0:5060",
    rtp_ports: Annotated[str, typer.Option("--rtp-ports", metavar="A-B", help="UDP ports for audio.")] = "",
    trunk: Annotated[
        list[str] | None,
        typer.Option(
            "--trunk", metavar="ADDR[/LEN][:PORT]", help="Take calls from there without a password; repeatable."
        ),
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option("--route", metavar="PATTERN=ADDR:PORT", help="Send such numbers there; repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there, passwords too.")] = False,
) -> None:
    """Write a configuration with random passwords, users for SIPp, and say how to connect phones."""
    from softswitch.settings.loader import ConfigError, load
    from softswitch.settings.secrets import new_password
    from softswitch.settings.starter import DEFAULT_RTP_PORTS, files, read_plan

    try:
        if not re.fullmatch(r"-?[0-9]{1,9}", extensions):
            raise ValueError(f"--extensions {extensions[:40]!r}: expected a whole number")
        plan = read_plan(int(extensions), sip, rtp_ports or DEFAULT_RTP_PORTS, trunk or [], route or [])
    except ValueError as wrong:
        typer.echo(str(wrong), err=True)
        raise typer.Exit(2) from None
    passwords = {number: new_password() for number in plan.extensions}
    try:
        _write(directory, files(plan, passwords), force)
    except FileExistsError as error:
        typer.echo(f"{error.filename} is there already: --force overwrites it, passwords too", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"{error.filename or directory}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    try:
        loaded = load(directory)
    except ConfigError as error:  # files of another configuration in the same directory
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(2) from None
    for warning in loaded.warnings:
        typer.echo(f"{warning} (warning)", err=True)
    typer.echo(_how_to_go_on(directory, plan, passwords))


def _write(directory: Path, texts: dict[str, str], force: bool) -> None:
    """Write all files; nothing is written where one of them, or any YAML file, is there and `force` is not
    given."""
    from softswitch.settings.schema import SCHEMA_FILE, schema_text
    from softswitch.settings.secrets import write_private

    if not force:
        for path in sorted([*directory.glob("*.yaml"), *(directory / name for name in texts)]):
            if path.exists():
                raise FileExistsError(17, "File exists", str(path))
    (directory / SCHEMA_FILE).parent.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        if name in PRIVATE_FILES:
            write_private(directory / name, text)
        else:
            (directory / name).write_text(text, encoding="utf-8")
    (directory / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")


def _own_address() -> str:
    """The address that this machine would send from, for phones elsewhere; a socket is connected but
    nothing is sent."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: only the choice of a route matters
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _how_to_go_on(directory: Path, plan: Plan, passwords: dict[str, str]) -> str:
    from softswitch.settings.starter import SIPP_USERS_FILE, reachable_host

    user = plan.extensions[0]
    password = passwords[user]
    host = reachable_host(plan.sip.host, _own_address())
    server = host if plan.sip.port in (None, 5060) else f"{host}:{plan.sip.port}"
    last = plan.extensions[-1]
    text = f"""{directory}: {len(plan.extensions)} extensions, {user} to {last}; passwords are in secrets.yaml

Start:     softswitch serve --config {directory}
Check:     softswitch check --config {directory}

Phones, here as {user} (call *43 for an echo test, or another extension):
MicroSIP   Add account: SIP server {server}, Username {user}, Domain {server},
           Login {user}, Password {password}
Linphone   Use a SIP account: Username {user}, SIP domain {server}, Password {password},
           Transport UDP or TCP
baresip    in ~/.baresip/accounts:
           <sip:{user}@{server}>;auth_user={user};auth_pass={password}

SIPp       sipp -inf {directory / SIPP_USERS_FILE} -sf sipp_scenarios/register.xml {server}
           {SIPP_USERS_FILE} has a line for each extension: [field0] is the user name, [field1] the
           digest answer ([authentication username=... password=...]), [field2] the domain"""
    if plan.trunks:
        peers = ", ".join(str(rule) for rule in plan.trunks)
        text += f"\n\nCalls from {peers} need no password and may dial whatever extensions may dial."
    for route in plan.routes:
        text += f"\nNumbers like {route.pattern} go to {route.gateway.host}:{route.gateway.port or 5060}."
    return text

"""`softswitch explain`: why a contact went to this agent and not to another, out of the ACD journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LONGEST = 1000
"""Characters of a line: eight names with what is said of each."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("explain")(explain)


def explain(
    journal: Annotated[
        Path,
        typer.Argument(metavar="JOURNAL", help="A database of the switch, its configuration, or a file of records."),
    ],
    contact: Annotated[str, typer.Argument(metavar="CONTACT", help="A contact's id, or a callback's.")],
) -> None:
    """Say in plain words what became of a contact that waited for an agent, and why."""
    from acd.explain import explain as explained
    from acd.journal import JournalError
    from softswitch.acd_journals import journal_at, state_at
    from softswitch.cli.printable import printable

    day = since = ""
    try:
        with journal_at(journal) as kept:
            if kept.beginning is not None:
                since = f" since {moment(kept.beginning.time, '%Y-%m-%d %H:%M:%S')}, when the journal begins"
            for line in explained(kept.records, contact, clock, state_at(kept.beginning)):
                if (date := moment(line.time, "%Y-%m-%d")) != day:
                    day = date
                    typer.echo(day)
                typer.echo(f"{clock(line.time)}  {printable(line.text, LONGEST)}")
                for each in line.more:
                    typer.echo(f"{'':10}{printable(each, LONGEST)}")
    except JournalError as error:
        raise _fail(f"journal {journal}: {error}") from None
    if not day:
        raise _fail(f"journal {journal}: there is no contact {contact!r}{since}")


def clock(at: float) -> str:
    """The time of the day, here."""
    return moment(at, "%H:%M:%S")


def moment(at: float, form: str) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(at).strftime(form)


def _fail(text: str) -> typer.Exit:
    """Prints it; raise what it returns."""
    from softswitch.cli.printable import printable

    typer.echo(printable(text, LONGEST), err=True)
    return typer.Exit(1)

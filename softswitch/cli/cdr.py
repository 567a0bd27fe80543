"""`softswitch cdr`: the call records, as a table or as CSV."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from softswitch.cli.numbers import whole
from softswitch.cli.tables import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.text import Text

    from softswitch.store import CdrFilter, CdrRecord, LegRecord, Quality, Store

ROWS = 50
"""Records shown unless asked for more; an export has no limit of its own."""

STDOUT = "-"
PRIVATE = 0o600
"""Who called whom is nobody else's business: a new export is for its owner."""

COLUMNS = (
    Column("started", 1),
    Column("caller", 2, least=14),
    Column("dialled", 3, least=10),
    Column("reached", 6, least=10),
    Column("trunk", 8, least=10),
    Column("talked", 4, right=True),
    Column("ended by", 7),
    Column("why", 5, least=14),
    Column("caller's audio", 9),
    Column("callee's audio", 10),
    Column("recording", 11, least=20),
    Column("course", 12, least=20),
)

LEAST_SECONDS = 0.5
"""Shorter segments are not shown in the table: choosing a route takes a millisecond."""

MAX_PATHS = 9000
"""Characters of a recording's path, or of two where it went on in another file: never cut."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO = re.compile(r"([0-9]{1,6})([smhdw])")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("cdr")(cdr)


def cdr(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="With --csv: where to write; - is the terminal.")
    ] = STDOUT,
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
    since: Annotated[str, typer.Option(help="Started at or after: 2026-01-31, 2026-01-31T10:00, or 2h ago: 2h.")] = "",
    until: Annotated[str, typer.Option(help="Started before: the same forms.")] = "",
    number: Annotated[str, typer.Option(help="Caller, dialled number or destination.")] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            parser=whole("--limit", 1), metavar="N", help=f"Records at most, the latest first; {ROWS} unless --csv."
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV, all records unless --limit is given.")] = False,
    legs: Annotated[bool, typer.Option("--legs", help="With --csv: a line for each leg.")] = False,
    segments: Annotated[
        bool, typer.Option("--segments", help="With --csv: a line for each segment: ring, talk, hold...")
    ] = False,
) -> None:
    """List the calls that have ended, the latest first."""
    import asyncio

    from softswitch.store import CdrFilter, StoreError

    now = time.time()
    wanted = CdrFilter(moment(since, now, "--since"), moment(until, now, "--until"), number or None)
    if not as_csv and (legs or segments or file != STDOUT):
        raise typer.BadParameter("FILE, --legs and --segments need --csv")
    if legs and segments:
        raise typer.BadParameter("either --legs or --segments: their lines have other columns")
    store = _store(config)
    try:
        if as_csv:
            with _output(file) as out:
                asyncio.run(_export(store, wanted, limit, out, "legs" if legs else "segments" if segments else ""))
        else:
            asyncio.run(_show(store, wanted, limit or ROWS))
    except StoreError as error:
        raise _fail(str(error.strerror)) from None
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise  # the reader has had enough (| head): the command line ends quietly
        raise _fail(f"{error.filename or file}: {error.strerror}") from None


def moment(given: str, now: float, option: str) -> float | None:
    """Unix seconds of a date, a time or an age; None for "". Raises BadParameter."""
    from datetime import datetime

    if not given:
        return None
    if ago := _AGO.fullmatch(given):
        return now - int(ago[1]) * UNITS[ago[2]]
    try:
        return datetime.fromisoformat(given).timestamp()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            "expected a date, a time (2026-01-31T10:00) or an age (90s, 15m, 2h, 7d)", param_hint=option
        ) from None


def _store(config: Path) -> Store:
    """The store of a configuration, which must be there: reading makes no database."""
    from sqlalchemy.engine import make_url

    from softswitch.settings.loader import ConfigError, load
    from softswitch.store import Store, StoreError

    try:
        url = load(config).settings.server.database_url
        store = Store(url)
    except ConfigError as error:
        raise _fail(*[str(problem) for problem in error.problems], code=2) from None
    except StoreError as error:
        raise _fail(str(error.strerror)) from None
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise _fail(f"no database at {parsed.database}: the switch has not run with this configuration yet")
    return store


def _fail(*lines: str, code: int = 1) -> typer.Exit:
    """Prints the lines; raise what it returns."""
    from softswitch.cli.printable import printable

    for line in lines:
        typer.echo(printable(line, 1000), err=True)
    return typer.Exit(code)


@contextmanager
def _output(file: str) -> Iterator[TextIO]:
    if file == STDOUT:
        yield sys.stdout
        return
    with open(file, "w", encoding="utf-8", newline="", opener=_private) as out:
        yield out


def _private(path: str, flags: int) -> int:
    import os

    return os.open(path, flags, PRIVATE)


async def _export(store: Store, wanted: CdrFilter, limit: int | None, out: TextIO, lines: str) -> None:
    """`lines`: "legs", "segments" or, for a line for each contact, ""."""
    import csv

    from softswitch.store.export import CONTACTS, LEGS, SEGMENTS

    header, rows = {"legs": LEGS, "segments": SEGMENTS}.get(lines, CONTACTS)
    writer = csv.writer(out)
    writer.writerow(header)
    try:
        async for page in store.pages(wanted, limit):
            for record in page:
                writer.writerows(rows(record))
    finally:
        await store.close()


async def _show(store: Store, wanted: CdrFilter, limit: int) -> None:
    from softswitch.cli.tables import terminal

    try:
        records = await store.cdrs(wanted, limit + 1)
    finally:
        await store.close()
    more = f"there are more: --limit {2 * limit}, --since, --number" if len(records) > limit else ""
    show(records[:limit], terminal(), more)


def show(records: list[CdrRecord], console: Console, more: str = "") -> None:
    """Prints the table, or one line where there is nothing; `more` below it says what is not shown."""
    from softswitch.cli.tables import table

    if not records:
        console.print("no calls", style="dim")
        return
    console.print(table(f"calls ({len(records)})", COLUMNS, map(_row, records), console.width, more))


def _row(record: CdrRecord) -> Sequence[Text]:
    from datetime import datetime

    from softswitch.causes import name_of_cause
    from softswitch.cli.printable import cell
    from softswitch.cli.status import duration
    from softswitch.store.records import sides

    why = f"{record.cause} {name_of_cause(record.cause).lower().replace('_', ' ')}"
    caller, callee = sides(record.legs)
    return (
        cell(datetime.fromtimestamp(record.started).strftime("%Y-%m-%d %H:%M:%S")),
        cell(f"{record.caller_number}  {record.caller_name}".rstrip()),
        cell(record.dialled),
        cell(record.destination),
        cell(record.trunk),
        cell("") if record.answered is None else cell(duration(record.billsec), "green"),
        cell(record.ended_by),
        cell(f"{why} ({record.status})" if record.status else why),
        cell(heard(record.caller, caller)),
        cell(heard(record.callee, callee)),
        recordings(record),
        cell(course(record)),
    )


def course(record: CdrRecord) -> str:
    """What happened, one after the other: "ring 2 s, talk 1:01", without what took no time; and where it went on."""
    from softswitch.cli.status import duration

    lasted = [(each.kind, each.ended - each.started) for each in record.segments]
    told = [f"{kind} {duration(seconds)}" for kind, seconds in lasted if seconds >= LEAST_SECONDS]
    return ", ".join([*told, *([f"went on in {record.joined}"] if record.joined else [])])


def recordings(record: CdrRecord) -> Text:
    """The files, as much as there is of them, and why one is not whole."""
    from rich.text import Text

    from softswitch.cli.printable import cell, printable

    files = Text(printable(record.recording, MAX_PATHS))
    if not record.recording_failed:
        return files
    failed = cell(f"failed: {record.recording_failed}", "bold red")
    return Text("; ").join([files, failed]) if record.recording else failed


def heard(quality: Quality | None, leg: LegRecord | None) -> str:
    """4.3/3.9 0.5 % 12 ms 48 ms: mean opinion score and the worst of it, loss, jitter, round trip. "silent": nothing
    came from somebody who was in the call; "": there was nobody, or another record has it."""
    if quality is None:
        return "silent" if leg is not None and leg.silent else ""
    from softswitch.cli.status import milliseconds

    loss = "" if quality.loss is None else f"{quality.loss:.1%}".replace("%", " %")
    mos = "" if quality.mos is None else f"{quality.mos:.1f}"
    if quality.mos is not None and quality.mos_min is not None:
        mos += f"/{quality.mos_min:.1f}"
    return " ".join(filter(None, (mos, loss, milliseconds(quality.jitter_ms), milliseconds(quality.rtt_ms))))

"""`softswitch report`: KPIs of queues, agents, teams, trunks and campaigns by interval, out of a journal of the ACD."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from softswitch.cli.tables import Column

if TYPE_CHECKING:
    from datetime import tzinfo

    from rich.console import Console
    from rich.text import Text

    from acd.kpi.fold import Fold
    from acd.kpi.queue_kpis import Policy
    from acd.kpi.report import Row, Tally
    from softswitch.store.acd_journal_reading import Beginning

BY = ("queue", "agent", "team", "trunk", "campaign")
INTERVALS = ("15m", "30m", "60m", "day")
FORMATS = ("table", "csv", "json")
WAITS = ("entry", "total")

NOTES = {
    "trunk": "call loss: for lack of channels, ports or network, of attempts to valid numbers",
    "campaign": "abandoned: live answers without an agent within 2 s, of all live answers; in 24 hours and 30 days "
    "up to the end of the interval, or now",
}
NOTES_OF_TEAMS = (
    "FCR: a proxy, contacts after which the same number did not come again. AHT, ACW, transfers, FCR and surveys count "
    "where the contact ended, occupancy where the time passed, all else where the contact came"
)


class Figure(NamedTuple):
    """A column of the table: of which part of a row, "" of itself, and how it is written."""

    title: str
    part: str
    field: str
    form: str
    rank: int
    where_any: bool = False
    """Whether it is there only where some row has a figure."""


CONTACTS = (
    Figure("offered", "contacts", "offered", "count", 3),
    Figure("answered", "contacts", "answered", "count", 4),
    Figure("abandoned", "contacts", "abandoned", "count", 5),
    Figure("short", "contacts", "short_abandoned", "count", 14),
    Figure("out", "contacts", "out", "count", 12),
    Figure("waiting", "contacts", "waiting", "count", 16),
    Figure("service level", "contacts", "service_level", "share", 2),
    Figure("abandoned %", "contacts", "abandonment", "share", 9),
    Figure("ASA", "contacts", "asa", "seconds", 6),
    Figure("AWT", "contacts", "awt", "seconds", 13),
    Figure("longest", "contacts", "longest_wait", "seconds", 10),
    Figure("connected", "contacts", "connection_rate", "share", 15),
    Figure("callbacks", "contacts", "callbacks_asked", "count", 18),
    Figure("reached", "contacts", "callbacks_reached", "count", 19),
)
HANDLES = (
    Figure("handled", "handles", "handled", "count", 7),
    Figure("AHT", "handles", "aht", "seconds", 8),
    Figure("ACW", "handles", "acw", "seconds", 11),
    Figure("transferred", "handles", "transfer_rate", "share", 17),
    Figure("FCR proxy", "handles", "fcr", "share", 20),
    Figure("CSAT", "handles", "csat", "share", 20, where_any=True),
    Figure("CSAT answered", "handles", "csat_response", "share", 22, where_any=True),
    Figure("NPS", "handles", "nps", "points", 20, where_any=True),
    Figure("NPS answered", "handles", "nps_response", "share", 22, where_any=True),
)
TIME = (
    Figure("score", "", "score", "points", 4),
    Figure("occupancy", "time", "occupancy", "share", 2),
    Figure("utilisation", "time", "utilisation", "share", 6),
    Figure("signed in", "time", "signed_in", "clock", 5),
    Figure("paused", "time", "paused", "clock", 9),
    Figure("missed", "time", "missed", "count", 10),
    Figure("answers", "handles", "handled_answers", "count", 12),
    Figure("talk", "handles", "talk", "seconds", 13),
    Figure("hold", "handles", "hold", "seconds", 14),
    Figure("pauses", "time", "pauses", "reasons", 16),
)
ATTEMPTS = (
    Figure("call loss", "attempts", "call_loss", "share", 2),
    Figure("attempts", "attempts", "attempts", "count", 3),
    Figure("valid", "attempts", "valid", "count", 5),
    Figure("lost", "attempts", "lost", "count", 4),
    Figure("no channel", "attempts", "no_channel", "count", 6),
    Figure("no port", "attempts", "no_port", "count", 7),
    Figure("network", "attempts", "network", "count", 8),
    Figure("connected", "attempts", "connected", "count", 9),
    Figure("busy", "attempts", "busy", "count", 12),
    Figure("no answer", "attempts", "no_answer", "count", 13),
    Figure("rejected", "attempts", "rejected", "count", 14),
    Figure("caller left", "attempts", "caller_left", "count", 15),
    Figure("invalid", "attempts", "invalid", "count", 16),
    Figure("loss in", "attempts", "call_loss_inbound", "share", 10),
    Figure("loss out", "attempts", "call_loss_outbound", "share", 11),
)
DIALLED = (
    Figure("abandoned %", "dialled", "abandonment", "share", 2),
    Figure("24 h", "dialled", "abandonment_24h", "share", 3),
    Figure("30 days", "dialled", "abandonment_30d", "share", 4),
    Figure("dialled", "dialled", "dialled", "count", 5),
    Figure("answers", "dialled", "answers", "count", 6),
    Figure("connects", "dialled", "connects", "count", 7),
    Figure("abandoned", "dialled", "abandoned", "count", 8),
    Figure("late", "dialled", "abandoned_late", "count", 13),
    Figure("machine", "dialled", "machine", "count", 9),
    Figure("busy", "dialled", "busy", "count", 10),
    Figure("no answer", "dialled", "no_answer", "count", 11),
    Figure("failed", "dialled", "failed", "count", 12),
)
SHOWN = {
    "queue": (*CONTACTS, *HANDLES),
    "agent": (*TIME, *HANDLES),
    "team": (*CONTACTS, *HANDLES, *TIME[1:5]),
    "trunk": ATTEMPTS,
    "campaign": DIALLED,
}
OF_TEAMS = ("queue", "agent")
"""Rows that say whose they are."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("report")(report)


def report(
    journal: Annotated[
        Path,
        typer.Argument(metavar="JOURNAL", help="A database of the switch, its configuration, or a file of records."),
    ],
    by: Annotated[str, typer.Option(help=f"A row for each: {', '.join(BY)}.")] = "queue",
    interval: Annotated[str, typer.Option(help=f"And each: {', '.join(INTERVALS)}.")] = "day",
    policy: Annotated[
        str,
        typer.Option(
            help="Service level: 'A_T/(N-S)', 'A_T/A', '(A_T+B_T)/N', 'A_T/(N-B_T)', 'A_T/N'; see docs/kpis.md."
        ),
    ] = "A_T/(N-S)",
    threshold: Annotated[
        str, typer.Option(help="T of the service level: 20s, 1m; as each queue says unless given.")
    ] = "",
    wait: Annotated[
        str,
        typer.Option(help="What of a wait counts: entry, in this queue; total, with what was kept of earlier ones."),
    ] = "entry",
    fcr_within: Annotated[str, typer.Option(help="Within which time a further contact counts against FCR.")] = "7d",
    since: Annotated[
        str, typer.Option("--from", help="Quarters of an hour from: 2026-01-31, 2026-01-31T10:00, 2h.")
    ] = "",
    until: Annotated[str, typer.Option("--to", help="And before: the same forms.")] = "",
    zone: Annotated[str, typer.Option(help="Of days and hours, as Europe/Berlin; this machine's unless given.")] = "",
    form: Annotated[str, typer.Option("--format", help=f"As {', '.join(FORMATS)}.")] = "table",
) -> None:
    """KPIs of queues, agents, teams, trunks and campaigns by interval, out of a journal of the ACD."""
    from acd.kpi import report as kpis
    from softswitch.cli.cdr import moment

    for option, word, known in (
        ("--by", by, BY),
        ("--interval", interval, INTERVALS),
        ("--format", form, FORMATS),
        ("--wait", wait, WAITS),
    ):
        _one_of(option, word, known)
    counted = _policy(policy, threshold, wait)
    place, now = _zone(zone), time.time()
    start, end = moment(since, now, "--from"), moment(until, now, "--to")
    tally, begins = _tally(journal, span(fcr_within, "--fcr-within"))
    rows = kpis.report(
        tally,
        by,  # type: ignore[arg-type]
        interval,  # type: ignore[arg-type]
        counted,
        tally.fold.now,
        max(begins, 0.0 if start is None else start),
        float("inf") if end is None else end,
        _offset(place),
    )
    match form:
        case "csv":
            write_csv(rows, counted, place)
        case "json":
            typer.echo(as_json(rows, counted, tally, place, by, interval))
        case _:
            from softswitch.cli.tables import terminal

            show(rows, counted, tally, place, by, interval, terminal())


def _tally(journal: Path, fcr_within: float) -> tuple[Tally, float]:
    """All that a journal says, and from when on it does. Raises Exit."""
    from acd.journal import JournalError
    from acd.kpi.report import Tally
    from softswitch.acd_journals import journal_at

    try:
        with journal_at(journal) as kept:
            fold, begins = _begun(kept.beginning)
            fold.fcr_window = fcr_within
            tally = Tally(fold)
            for record in kept.records:
                tally.add(record)
    except JournalError as error:
        raise _fail(f"journal {journal}: {error}") from None
    return tally, begins


def _begun(beginning: Beginning | None) -> tuple[Fold, float]:
    """What is going on where a journal begins, and the first whole quarter of an hour that it tells of."""
    import msgspec

    from acd.kpi.fold import Fold
    from acd.kpi.intervals import SLOT

    if beginning is None:
        return Fold(), 0.0
    begins = -(-beginning.time // SLOT) * SLOT
    try:
        return Fold() if beginning.kpis is None else Fold.restore(beginning.kpis), begins
    except msgspec.MsgspecError:
        return Fold(), begins


# ---- what was asked for


def _policy(policy: str, threshold: str, wait: str) -> Policy:
    """Raises BadParameter."""
    from acd.kpi.policy import read
    from acd.kpi.queue_kpis import Policy

    try:
        level = read(policy)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--policy") from None
    return Policy(level, span(threshold, "--threshold") if threshold else None, wait)  # type: ignore[arg-type]


def _one_of(option: str, word: str, known: Sequence[str]) -> None:
    """Raises BadParameter."""
    from softswitch.spelling import unknown_word

    if word not in known:
        raise typer.BadParameter(unknown_word("word", word, known), param_hint=option)


def span(given: str, option: str) -> float:
    """Seconds of a time: 20s, 2.5s, 1m, 7d, or plain seconds. Raises BadParameter."""
    import re

    from softswitch.cli.cdr import UNITS

    found = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)([smhdw]?)", given.strip())
    if found is None:
        raise typer.BadParameter(f"expected a time (20s, 1m, 7d) instead of {given[:40]!r}", param_hint=option)
    return float(found[1]) * UNITS[found[2] or "s"]


def _zone(name: str) -> tzinfo | None:
    """None: this machine's. Raises BadParameter."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(
            f"there is no zone {name[:40]!r}: expected one as Europe/Berlin or UTC", param_hint="--zone"
        ) from None


def _offset(place: tzinfo | None) -> Any:
    """Seconds that the wall is ahead of UTC, by the time."""
    from datetime import datetime

    def ahead(at: float) -> float:
        offset = datetime.fromtimestamp(at, place).astimezone(place).utcoffset()
        return 0.0 if offset is None else offset.total_seconds()

    return ahead


def _fail(line: str) -> typer.Exit:
    from softswitch.cli.printable import printable

    typer.echo(printable(line, 1000), err=True)
    return typer.Exit(1)


def _local(at: float, place: tzinfo | None) -> str:
    """2026-01-05T09:00:00+01:00"""
    from datetime import datetime

    return datetime.fromtimestamp(at, place).astimezone(place).isoformat(timespec="seconds")


# ---- CSV and JSON


def flat(row: Row, counted: Policy, place: tzinfo | None) -> dict[str, Any]:
    """All that a row has, by name. What is counted by name is "name=count; name=count"."""
    import msgspec

    found: dict[str, Any] = {
        "start": _local(row.start, place),
        "end": _local(row.end, place),
        "team": row.team,
        "name": row.name,
    }
    if row.attempts is None and row.dialled is None:
        found |= {
            "policy": counted.service_level,
            "threshold": row.threshold,
            "target": row.target,
            "wait_from": counted.wait_from,
            "score": row.score,
        }
    for part in (row.contacts, row.handles, row.time, row.attempts, row.dialled):
        for name, value in ({} if part is None else msgspec.structs.asdict(part)).items():
            named = isinstance(value, dict)
            found[name] = "; ".join(f"{key}={_plain(each)}" for key, each in value.items()) if named else value
    return found


def _plain(value: float | int | None) -> str:
    """Thousandths are enough, and whole numbers stay whole."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6f}".rstrip("0").rstrip(".")


def write_csv(rows: Iterable[Row], counted: Policy, place: tzinfo | None) -> None:
    import csv

    from softswitch.store.export import safe

    writer = csv.writer(sys.stdout)
    header: list[str] = []
    for row in rows:
        cells = flat(row, counted, place)
        if not header:
            header = list(cells)
            writer.writerow(header)
        writer.writerow([safe(each) if isinstance(each, str) else _plain(each) for each in cells.values()])


def as_json(rows: Iterable[Row], counted: Policy, tally: Tally, place: tzinfo | None, by: str, interval: str) -> str:
    """What was asked for, and a list of rows, each with its parts."""
    import msgspec

    whole = {
        "by": by,
        "interval": interval,
        "service_level": counted.service_level,
        "threshold": counted.threshold,
        "wait_from": counted.wait_from,
        "fcr_within": tally.fold.fcr_window,
        "fcr_is_a_proxy": True,
        "until": _local(tally.fold.now, place),
        "left_out": tally.fold.unknown,
        "surveys_left_out": tally.fold.surveys.left_out,
        "rows": [
            msgspec.to_builtins(row) | {"start": _local(row.start, place), "end": _local(row.end, place)}
            for row in rows
        ],
    }
    return msgspec.json.format(msgspec.json.encode(whole)).decode()


# ---- the table


def show(
    rows: Sequence[Row],
    counted: Policy,
    tally: Tally,
    place: tzinfo | None,
    by: str,
    interval: str,
    console: Console,
) -> None:
    from softswitch.cli.printable import printable
    from softswitch.cli.tables import table

    if not rows:
        console.print("the journal tells nothing of that time", style="dim")
        return
    figures = [each for each in SHOWN[by] if not each.where_any or any(_value(row, each) is not None for row in rows)]
    columns = [
        Column("from", 0),
        Column(by, 1, least=10),
        *([Column("team", 21, least=8)] if by in OF_TEAMS else []),
        *(Column(each.title, each.rank, right=True) for each in figures),
    ]
    title = f"by {by}, {interval}" + ("" if by in NOTES else f": {_how(counted)}")
    more = [NOTES.get(by, NOTES_OF_TEAMS), f"up to {_local(tally.fold.now, place)}"]
    if tally.fold.unknown:
        more.append(f"{tally.fold.unknown} records left out, of contacts from before the journal begins")
    lost = tally.fold.surveys.left_out
    if lost and by not in NOTES:
        more.append(f"answers of surveys left out: {lost}, of contacts that no agent had, or that are long over")
    body = (list(_row(row, figures, place, by)) for row in rows)
    console.print(table(printable(title), columns, body, console.width, "\n".join(more)))


def _how(counted: Policy) -> str:
    held = "as each queue says" if counted.threshold is None else f"{counted.threshold:g} s"
    waits = "waits in the queue" if counted.wait_from == "entry" else "waits with what was kept of earlier queues"
    return f"service level {counted.service_level}, T {held}; {waits}"


def _value(row: Row, figure: Figure) -> Any:
    return getattr(getattr(row, figure.part) if figure.part else row, figure.field)


def _row(row: Row, figures: Sequence[Figure], place: tzinfo | None, by: str) -> Iterator[Text]:
    from datetime import datetime

    from softswitch.cli.printable import cell

    yield cell(datetime.fromtimestamp(row.start, place).strftime("%Y-%m-%d %H:%M"))
    yield cell(row.name or "-")
    if by in OF_TEAMS:
        yield cell(row.team)
    for figure in figures:
        value = _value(row, figure)
        style = ""
        if figure.field == "service_level" and value is not None and row.target is not None:
            style = "green" if value >= row.target else "red"
        yield cell(_written(value, figure.form), style)


def _written(value: Any, form: str) -> str:
    from softswitch.cli.status import duration

    if value is None:
        return "-"
    match form:
        case "reasons":
            return ", ".join(f"{reason or 'no reason'} {duration(seconds)}" for reason, seconds in value.items())
        case "points":
            return f"{value:.0f}"
        case "share":
            return f"{100 * value:.1f} %"
        case "seconds":
            return f"{value:.1f} s"
        case "clock":
            return duration(value)
        case _:
            return str(value)

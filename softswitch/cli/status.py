"""`softswitch status`: registrations, trunks and calls of the running switch, as tables or JSON."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softswitch.cli.numbers import whole
from softswitch.cli.tables import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType
    from rich.text import Text

    from softswitch.control import (
        CallRow,
        GatewayRow,
        MediaReport,
        PartyRow,
        RegistrationRow,
        StatusReport,
        SubscriptionRow,
        TrunkRow,
        WorkerRow,
    )

# Rows of each table asked for: of JSON more than anyone reads, and the switch makes them in a few milliseconds; of a
# table what is still looked through.
JSON_ROWS = 1000
ROWS = 40
WATCH_SECONDS = 2.0

REGISTRATIONS = (
    Column("extension", 1),
    Column("contact", 5, least=28),
    Column("from", 2),
    Column("client", 6, least=16),
    Column("expires", 4, right=True),
    Column("round trip", 7, right=True),
    Column("reachable", 3),
)
TRUNKS = (
    Column("trunk", 1, least=12),
    Column("kind", 5),
    Column("registration", 2),
    Column("gateways", 4, least=28),
    Column("calls", 3, right=True),
)
AUDIO = Column("audio", 3, least=20)
"""Of calls, where there is something to tell: a silent call is seen at once."""

AUDIO_BEFORE = Column("for", 6, right=True)

CALLS = (
    Column("caller", 1, least=12),
    Column("called", 2, least=12),
    Column("state", 3),
    Column("who is there", 4, least=20),
    AUDIO_BEFORE,
    Column("talking", 5, right=True),
    Column("codec", 7),
    Column("recording", 8),
    Column("call", 9, least=28),
)


SUBSCRIPTIONS = (
    Column("watcher", 1),
    Column("package", 3),
    Column("watches", 2),
    Column("told", 4),
    Column("from", 6),
    Column("expires", 5, right=True),
)
WORKERS = (
    Column("media worker", 1),
    Column("process", 5, right=True),
    Column("load", 2, right=True),
    Column("streams", 3, right=True),
    Column("adopted", 4, right=True),
    Column("late", 6, right=True),
    Column("restarts", 4, right=True),
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("status")(status)


def status(
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again every two seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows",
            parser=whole("--rows", 0),
            metavar="N",
            help=f"Rows of each table at most; {ROWS}, with --json {JSON_ROWS}.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Counters that are zero, and sizes, too.")] = False,
) -> None:
    """Show what the running switch does: registrations, trunks, calls, counters."""
    import msgspec
    from rich.live import Live

    from softswitch.cli.running import control_socket, fail
    from softswitch.cli.tables import terminal
    from softswitch.control import ControlError, ask_status

    console = terminal()
    limit = rows if rows is not None else JSON_ROWS if as_json else ROWS
    try:
        path = control_socket(config)
        report = ask_status(path, limit=limit)
        if as_json:
            typer.echo(msgspec.json.encode(report).decode())
            return
        if not watch:
            show(report, console, everything)
            return
        first = page(report, console.width, everything)
        with Live(first, console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                time.sleep(WATCH_SECONDS)
                live.update(page(ask_status(path, limit=limit), console.width, everything), refresh=True)
    except ControlError as error:
        raise fail(error) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def show(report: StatusReport, console: Console, everything: bool = False) -> None:
    """Prints the tables, those without rows as one line."""
    console.print(page(report, console.width, everything))


def page(report: StatusReport, width: int, everything: bool = False) -> RenderableType:
    """Everything in the order an operator asks: is it up, who is here, where do calls go, which calls, what is odd."""
    from rich.console import Group

    from softswitch.cli.counters import counters

    totals = report.totals
    parts = [_summary(report)]
    parts.append(_table("registrations", REGISTRATIONS, _registrations(report.registrations), totals, width))
    if report.trunks:
        parts.append(_table("trunks", TRUNKS, _trunks(report.trunks), totals, width))
    parts.append(_table("calls", *_calls(report.calls), totals, width))
    if report.subscriptions:
        parts.append(_table("subscriptions", SUBSCRIPTIONS, _subscriptions(report.subscriptions), totals, width))
    parts.append(_media(report.media))
    if report.media.workers:
        parts.append(_table("media workers", WORKERS, _workers(report.media.workers), totals, width))
    counted = counters(report, everything)
    if counted is not None:
        parts.append(counted)
    return Group(*[each for part in parts for each in (part, "")][:-1])


def duration(seconds: float) -> str:
    """59 s, 4:05, 3:00:00, 12 d 3:00:00"""
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{days} d {hours}:{minutes:02}:{rest:02}"
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


def milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def _summary(report: StatusReport) -> RenderableType:
    from rich.text import Text

    from softswitch.cli.printable import cell

    line = Text.assemble("softswitch ", cell(report.version), " ", ("up", "green"), f" for {duration(report.uptime)}")
    if report.draining:
        line.append_text(Text.assemble(", ", ("draining: no new calls", "bold red")))
    line.append(f", process {report.pid}")
    if report.listening:
        line.append_text(Text.assemble("\nlistening on ", cell(", ".join(report.listening))))
    return line


def _table(
    title: str, columns: Sequence[Column], rows: Sequence[Sequence[Text]], totals: dict[str, int], width: int
) -> RenderableType:
    from rich.text import Text

    from softswitch.cli.tables import table

    shown, total = len(rows), totals.get(title, len(rows))
    heading = f"{title} ({shown} of {total})" if shown < total else f"{title} ({total})"
    if not shown:
        return Text(f"no {title}" if not total else heading, style="dim")
    more = f"{total - shown} more: --rows {total}" if shown < total else ""
    return table(heading, columns, rows, width, more)


def _registrations(rows: list[RegistrationRow]) -> list[Sequence[Text]]:
    from softswitch.cli.printable import cell

    return [
        (
            cell(row.aor),
            cell(row.contact),
            cell(f"{row.transport} {row.source}".strip()),
            cell(row.user_agent),
            cell(duration(row.expires_in)),
            cell(milliseconds(row.rtt_ms)),
            cell("yes", "green") if row.reachable else cell("no", "bold red"),
        )
        for row in rows
    ]


def _trunks(rows: list[TrunkRow]) -> list[Sequence[Text]]:
    from softswitch.cli.printable import cell

    styles = {"registered": "green", "failed": "bold red"}
    return [
        (
            cell(row.name),
            cell(row.kind),
            cell(row.registration, styles.get(row.registration, "yellow")),
            _gateways(row.gateways),
            cell(f"{row.calls} of {row.channels}" if row.channels is not None else str(row.calls)),
        )
        for row in rows
    ]


def _gateways(gateways: list[GatewayRow]) -> Text:
    from rich.text import Text

    from softswitch.cli.printable import cell

    lines = []
    for gateway in gateways:
        style = {"up": "green", "down": "bold red"}.get(gateway.state, "dim")
        line = Text.assemble(cell(gateway.address), " ", cell(gateway.state, style))
        lines.append(line.append(f" {milliseconds(gateway.rtt_ms)}".rstrip()))
    return Text("\n").join(lines)


def _calls(rows: list[CallRow]) -> tuple[Sequence[Column], list[list[Text]]]:
    """The columns, and a cell for each in every row."""
    from softswitch.cli.printable import cell

    cells = [
        [
            cell(row.caller),
            cell(row.called),
            cell(f"{row.state} {row.slot}".rstrip(), "yellow" if row.state == "on hold" else ""),
            cell(", ".join([_party(each) for each in row.parties])),
            cell(duration(row.age)),
            cell("" if row.talking is None else duration(row.talking)),
            cell(row.codec),
            cell(row.recording, "red" if row.recording == "on" else "yellow"),
            cell(row.contact),
        ]
        for row in rows
    ]
    missing = [", ".join([said for each in row.parties for said in _silent(each)]) for row in rows]
    if not any(missing):
        return CALLS, cells
    at = CALLS.index(AUDIO_BEFORE)
    for row, said in zip(cells, missing, strict=True):
        row.insert(at, cell(said, "bold red"))
    return (*CALLS[:at], AUDIO, *CALLS[at:]), cells


def _silent(row: PartyRow) -> list[str]:
    """none from 102 for 12 s"""
    name = row.end.removeprefix("extension ")
    sides = (("from", row.unheard), ("to", row.unsent))
    return [f"none {side} {name} for {duration(seconds)}" for side, seconds in sides if seconds is not None]


def _party(row: PartyRow) -> str:
    """An extension by its number, a trunk with whose number is at its other side."""
    kind, _, name = row.end.partition(" ")
    return f"{name} {row.does}" if kind == "extension" else f"{row.end} {row.number} {row.does}"


def _subscriptions(rows: list[SubscriptionRow]) -> list[Sequence[Text]]:
    from softswitch.cli.printable import cell

    return [
        (
            cell(row.watcher),
            cell(row.package),
            cell(row.resource),
            cell(row.state),
            cell(row.source),
            cell(duration(row.expires_in)),
        )
        for row in rows
    ]


def _media(media: MediaReport) -> RenderableType:
    from rich.text import Text

    streams = "1 stream" if media.rows == 1 else f"{media.rows} streams"
    if media.adopted:
        streams += f" ({media.adopted} adopted: calls from before a restart)"
    return Text(
        f"audio: {streams} on {media.ports} pairs of ports, packets {media.packets_in} in, {media.packets_out} out"
    )


def _workers(rows: list[WorkerRow]) -> list[Sequence[Text]]:
    from softswitch.cli.printable import cell

    return [
        (
            cell(row.name),
            cell(str(row.process)) if row.linked else cell("not there", "bold red"),
            cell(f"{row.cpu * 100:.0f} %"),
            cell(str(row.streams)),
            cell(str(row.adopted)),
            cell(milliseconds(row.late_ms)),
            cell(str(row.restarts), "yellow" if row.restarts else ""),
        )
        for row in rows
    ]

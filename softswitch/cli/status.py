"""`softswitch status`: registrations, trunks and calls of the running switch, as tables or JSON."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType

    from softswitch.control import CallRow, GatewayRow, MediaReport, RegistrationRow, StatusReport, TrunkRow

# Rows of each table asked for: more than anyone reads, and the switch makes them in a few milliseconds.
ROWS = 1000
WATCH_SECONDS = 2.0
# Into a file or pipe, where no terminal says how wide it is: rows stay one line each.
PIPE_WIDTH = 200
# Columns that may be broken where the terminal is narrow; the others are short and stay whole.
LONG_COLUMNS = ("contact", "client", "gateways", "caller", "called")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("status")(status)


def status(
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again every two seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows of each table at most.")] = ROWS,
) -> None:
    """Show what the running switch does: registrations, trunks, calls, counters."""
    import msgspec
    from rich.console import Console
    from rich.live import Live

    from softswitch.cli.running import control_socket, fail
    from softswitch.control import ControlError, ask_status

    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    path = control_socket(config)
    try:
        report = ask_status(path, limit=rows)
        if as_json:
            typer.echo(msgspec.json.encode(report).decode())
            return
        if not watch:
            show(report, console)
            return
        with Live(page(report), console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                time.sleep(WATCH_SECONDS)
                live.update(page(ask_status(path, limit=rows)), refresh=True)
    except ControlError as error:
        raise fail(error) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def show(report: StatusReport, console: Console) -> None:
    """Prints the tables, those without rows as one line."""
    console.print(page(report))


def page(report: StatusReport) -> RenderableType:
    """Everything in the order an operator asks: is it up, who is here, where do calls go, which calls, what is odd."""
    from rich.console import Group

    parts = [_summary(report)]
    parts.append(_registrations(report.registrations, report.totals.get("registrations", len(report.registrations))))
    if report.trunks:
        parts.append(_trunks(report.trunks))
    parts.append(_calls(report.calls, report.totals.get("calls", len(report.calls))))
    parts.append(_media(report.media))
    if report.counters:
        parts.append(_counters("counted", report.counters))
    if report.tables:
        parts.append(_counters("now", report.tables))
    return Group(*parts)


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


def _table(title: str, columns: Iterable[str], shown: int, total: int) -> tuple[RenderableType, bool]:
    from rich.table import Table
    from rich.text import Text

    heading = f"{title} ({shown} of {total})" if shown < total else f"{title} ({total})"
    if not shown:
        return Text(f"no {title}" if not total else heading, style="dim"), False
    table = Table(title=heading, title_justify="left", title_style="bold")
    for column in columns:
        number = column in ("expires", "round trip", "calls", "for", "talking")
        side: Literal["right", "left"] = "right" if number else "left"
        table.add_column(column, justify=side, overflow="fold", no_wrap=column not in LONG_COLUMNS)
    return table, True


def _registrations(rows: list[RegistrationRow], total: int) -> RenderableType:
    from rich.table import Table

    from softswitch.cli.printable import cell

    columns = ("extension", "contact", "from", "client", "expires", "round trip", "reachable")
    table, filled = _table("registrations", columns, len(rows), total)
    if not filled:
        return table
    assert isinstance(table, Table)
    for row in rows:
        reachable = cell("yes", "green") if row.reachable else cell("no", "bold red")
        source = cell(f"{row.transport} {row.source}".strip())
        table.add_row(
            cell(row.aor),
            cell(row.contact),
            source,
            cell(row.user_agent),
            duration(row.expires_in),
            milliseconds(row.rtt_ms),
            reachable,
        )
    return table


def _trunks(rows: list[TrunkRow]) -> RenderableType:
    from rich.table import Table

    from softswitch.cli.printable import cell

    table, _filled = _table("trunks", ("trunk", "kind", "registration", "gateways", "calls"), len(rows), len(rows))
    assert isinstance(table, Table)
    for row in rows:
        style = {"registered": "green", "failed": "bold red"}.get(row.registration, "yellow")
        calls = f"{row.calls} of {row.channels}" if row.channels is not None else str(row.calls)
        table.add_row(
            cell(row.name), cell(row.kind), cell(row.registration, style), _gateways(row.gateways), cell(calls)
        )
    return table


def _gateways(gateways: list[GatewayRow]) -> RenderableType:
    from rich.text import Text

    from softswitch.cli.printable import cell

    lines = []
    for gateway in gateways:
        style = {"up": "green", "down": "bold red"}.get(gateway.state, "dim")
        line = Text.assemble(cell(gateway.address), " ", cell(gateway.state, style))
        lines.append(line.append(f" {milliseconds(gateway.rtt_ms)}".rstrip()))
    return Text("\n").join(lines)


def _calls(rows: list[CallRow], total: int) -> RenderableType:
    from rich.table import Table

    from softswitch.cli.printable import cell

    table, filled = _table("calls", ("caller", "called", "state", "for", "talking", "codec"), len(rows), total)
    if not filled:
        return table
    assert isinstance(table, Table)
    for row in rows:
        caller = row.caller + (f"  {row.caller_leg}" if row.caller_leg else "")
        called = row.called + (f"  {row.called_leg}" if row.called_leg else "")
        state = cell("on hold", "yellow") if row.held else cell(row.state)
        talking = "" if row.talking is None else duration(row.talking)
        table.add_row(cell(caller), cell(called), state, duration(row.age), talking, cell(row.codec))
    return table


def _media(media: MediaReport) -> RenderableType:
    from rich.text import Text

    from softswitch.cli.printable import printable

    line = f"media: {media.rows} streams on {media.ports} ports, {media.packets_in} packets in, {media.packets_out} out"
    dropped = ", ".join(f"{printable(cause)} {count}" for cause, count in sorted(media.dropped.items()) if count)
    return Text(line + (f"; dropped: {dropped}" if dropped else ""))


def _counters(title: str, counters: dict[str, int]) -> RenderableType:
    from rich.text import Text

    from softswitch.cli.printable import printable

    counted = ", ".join(f"{printable(name)} {count}" for name, count in sorted(counters.items()) if count)
    return Text(f"{title}: {counted}" if counted else "", style="dim")

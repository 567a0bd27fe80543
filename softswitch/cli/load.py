"""`softswitch load`: SIPp with one of our scenarios, at a rate, against a switch; progress, then a table."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softswitch.cli.numbers import real, whole

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from softswitch.load import LoadPlan, LoadResult, Progress

# Between two looks at SIPp's statistics, which it writes once a second.
LOOK_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("load")(load)


def load(
    scenario: Annotated[str, typer.Argument(help="Name of a scenario of sipp_scenarios/, or a path.")],
    target: Annotated[str, typer.Option("--target", "-t", help="HOST:PORT of the switch.")],
    rate: Annotated[
        float,
        typer.Option("--rate", "-r", parser=real("--rate", 0.01, 100_000), metavar="N", help="New calls per second."),
    ] = 10.0,
    calls: Annotated[
        int, typer.Option("--calls", "-n", parser=whole("--calls", 1), metavar="N", help="Calls in all.")
    ] = 100,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-l", parser=whole("--limit", 1), metavar="N", help="Calls at once at most."),
    ] = None,
    inf: Annotated[
        Path | None, typer.Option("--inf", help="CSV of users; absent, sipp-users.csv of --config where there is one.")
    ] = None,
    service: Annotated[str, typer.Option("--service", "-s", help="Number to call.")] = "",
    transport: Annotated[str, typer.Option("--transport", help="udp or tcp.")] = "udp",
    hold: Annotated[
        float | None,
        typer.Option("--hold", parser=real("--hold", 0), metavar="SECONDS", help="Seconds each call is held."),
    ] = None,
    source: Annotated[str, typer.Option("--from", help="Our own HOST or HOST:PORT.")] = "",
    media_port: Annotated[
        int | None,
        typer.Option("--media-port", parser=whole("--media-port", 1, 65535), metavar="PORT", help="First RTP port."),
    ] = None,
    answer_timeout: Annotated[
        float, typer.Option(parser=real("--answer-timeout", 0.1), metavar="SECONDS", help="Longest wait for a message.")
    ] = 32.0,
    config: Annotated[
        Path, typer.Option("--config", "-c", help="Configuration directory of the switch, when it runs here.")
    ] = Path("config"),
    pid: Annotated[
        int | None,
        typer.Option(
            "--pid", parser=whole("--pid", 1), metavar="PID", help="Process of the target, when it runs here."
        ),
    ] = None,
    sipp_option: Annotated[
        list[str] | None, typer.Option("--sipp", help="A further word for SIPp's command line; may be repeated.")
    ] = None,
) -> None:
    """Run SIPp against a switch and say what came of it.

    Calls, failures by cause, percentiles of response times, and the CPU time of the switch for each call when it runs
    on this machine. Exit code 1 when a call failed, 2 when the run can't start.
    """
    from rich.console import Console

    from softswitch.load import LoadError, LoadPlan, find_scenario

    if transport not in ("udp", "tcp"):
        typer.echo(f"--transport {transport!r}: expected udp or tcp", err=True)
        raise typer.Exit(2)
    users = config / "sipp-users.csv"
    if inf is None and users.is_file():
        inf = users
    try:
        plan = LoadPlan(
            find_scenario(scenario),
            target,
            rate,
            calls,
            limit,
            inf,
            service,
            transport,
            hold,
            source,
            media_port,
            answer_timeout,
            tuple(sipp_option or ()),
        )
        result = _run(plan, pid or _local_switch(config), Console(stderr=True))
    except LoadError as error:
        from softswitch.cli.printable import printable

        typer.echo(printable(str(error), 1000), err=True)
        raise typer.Exit(2) from None
    show(plan, result, Console())
    if result.progress.failed or result.exit_code:
        raise typer.Exit(1)


def _local_switch(config: Path) -> int | None:
    """The process of the switch that runs with this configuration directory; None when none does."""
    from softswitch.cli.running import control_socket
    from softswitch.control import ControlError, switch_pid

    try:
        return switch_pid(control_socket(config))
    except ControlError:
        return None


def _run(plan: LoadPlan, pid: int | None, console: Console) -> LoadResult:
    from rich.live import Live

    from softswitch.load import LoadRun, cpu_seconds

    with tempfile.TemporaryDirectory(prefix="softswitch-load-") as directory:
        before = cpu_seconds(pid) if pid is not None else 0.0
        with LoadRun(plan, Path(directory)) as run:
            try:
                with Live(progress_line(run.progress, plan), console=console, transient=True) as live:
                    while not run.wait(LOOK_SECONDS):
                        live.update(progress_line(run.poll(), plan))
            except KeyboardInterrupt:
                console.print("stopping: calls in progress may end")
                run.stop()
            return run.finish(cpu_seconds(pid) - before if pid is not None else None)


def progress_line(progress: Progress, plan: LoadPlan) -> Text:
    """12 s  120 of 1000 calls  10.0/s  21 now  119 well  1 failed"""
    from rich.text import Text

    line = Text(f"{progress.elapsed:.0f} s  {progress.created} of {plan.calls} calls  {progress.rate:.1f}/s")
    line.append(f"  {progress.current} now  {progress.successful} well")
    line.append(f"  {progress.failed} failed", style="bold red" if progress.failed else "")
    if progress.retransmissions:
        line.append(f"  {progress.retransmissions} retransmissions", style="yellow")
    return line


def show(plan: LoadPlan, result: LoadResult, console: Console) -> None:
    """Prints what came of the run."""
    console.print(_calls(plan, result))
    if result.times:
        console.print(_times(result))
    if result.errors:
        console.print(_errors(result))


def _calls(plan: LoadPlan, result: LoadResult) -> RenderableType:
    from rich.table import Table

    from softswitch.load import FAILURES

    progress = result.progress
    table = Table(title=f"{plan.scenario.stem} to {plan.target}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    ended = progress.successful + progress.failed
    table.add_row("calls", str(progress.created))
    table.add_row("calls per second", f"{progress.created / progress.elapsed:.1f}" if progress.elapsed > 0 else "")
    table.add_row("successful", str(progress.successful))
    table.add_row("failed", str(progress.failed), style="red" if progress.failed else "")
    for name, count in sorted(progress.causes.items(), key=lambda cause: -cause[1]):
        table.add_row(f"  {FAILURES[name]}", str(count))
    if progress.created > ended:
        table.add_row("not ended", str(progress.created - ended))
    table.add_row("retransmissions", str(progress.retransmissions))
    if result.cpu is None:
        table.add_row("CPU time of the switch", "not on this machine")
    else:
        table.add_row("CPU time of the switch", f"{result.cpu:.2f} s")
        if progress.created:
            table.add_row("CPU time per call", f"{result.cpu / progress.created * 1e6:.0f} us")
    return table


def _times(result: LoadResult) -> RenderableType:
    from rich.table import Table

    from softswitch.cli.printable import cell

    table = Table(title="response times, ms", title_justify="left")
    table.add_column("response to")
    for column in ("measured", "50 %", "90 %", "95 %", "99 %", "longest"):
        table.add_column(column, justify="right")
    for row in result.times:
        values = (row.p50, row.p90, row.p95, row.p99, row.longest)
        table.add_row(cell(row.name), str(row.measured), *(f"{value:g}" for value in values))
    return table


def _errors(result: LoadResult) -> RenderableType:
    from rich.text import Text

    from softswitch.cli.printable import cell

    lines = [Text("first errors", style="bold"), *(cell(error, "red") for error in result.errors)]
    return Text("\n").join(lines)

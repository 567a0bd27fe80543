"""`softswitch simulate`: the ACD engine on a virtual clock, before anybody has to wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softswitch.cli.numbers import real, whole
from softswitch.cli.tables import Column

if TYPE_CHECKING:
    from rich.console import Console

    from acd.config import Config
    from acd.simulate.people import Watch
    from acd.simulate.study import Progress, Study

LEAST_INTERVAL, MOST_INTERVAL = 1, 1440


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("simulate")(simulate)


# ---- what may be given

ConfigArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[CONFIG]", help="Configuration directory; absent, one plain queue of --agents."),
]
ArrivalsOption = Annotated[
    Path | None, typer.Option("--arrivals", help="CSV: contacts expected by interval, or those that came.")
]
RateOption = Annotated[
    list[str] | None,
    typer.Option("--rate", metavar="N/h[:QUEUE][:SKILL=SHARE]", help="Poisson arrivals; may be repeated."),
]
AhtOption = Annotated[
    str,
    typer.Option(metavar="SECONDS", help="Talk: 240 (exponential), constant:240, lognormal:240:0.8 or empirical:FILE."),
]
AcwOption = Annotated[
    str | None, typer.Option(metavar="SECONDS", help="Wrap-up, likewise; absent, as the configuration ends it.")
]
PatienceOption = Annotated[
    str | None, typer.Option(metavar="SECONDS", help="Until a caller gives up, likewise; absent, never.")
]
RingOption = Annotated[str, typer.Option(metavar="SECONDS", help="Until an agent answers, likewise.")]
AgentsOption = Annotated[
    int | None, typer.Option(parser=whole("--agents", 1, 20_000), metavar="N", help="Agents who are there.")
]
DaysOption = Annotated[float, typer.Option(parser=real("--days", 0.01, 366), metavar="N", help="Length of a run.")]
RunsOption = Annotated[int, typer.Option(parser=whole("--runs", 1, 10_000), metavar="N", help="Runs.")]
SeedOption = Annotated[int, typer.Option(parser=whole("--seed", 0), metavar="N", help="Of all chance.")]
IntervalOption = Annotated[
    int,
    typer.Option(
        parser=whole("--interval", LEAST_INTERVAL, MOST_INTERVAL),
        metavar="MINUTES",
        help="Length of an interval; a day has to be a multiple of it.",
    ),
]
CompareOption = Annotated[
    Path | None, typer.Option("--compare", help="Another configuration, which meets the same contacts.")
]
StaffOption = Annotated[
    str | None, typer.Option("--staff", metavar="80/20", help="Find the agents that each interval needs.")
]
JournalOption = Annotated[
    Path | None, typer.Option("--journal", help="A recorded day, under CONFIG instead of its own rules.")
]
ExplainOption = Annotated[
    int,
    typer.Option(parser=whole("--explain", 0), metavar="N", help="With --journal: contacts that fared otherwise."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs.")]
RecordOption = Annotated[
    Path | None,
    typer.Option("--record", metavar="FILE", help="Write the journal of the first run, as report and explain read."),
]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", metavar="DIR", help="Write pictures (PNG) and one page (index.html).")
]


def simulate(
    config: ConfigArgument = None,
    arrivals: ArrivalsOption = None,
    rate: RateOption = None,
    aht: AhtOption = "240",
    acw: AcwOption = None,
    patience: PatienceOption = None,
    ring: RingOption = "0",
    agents: AgentsOption = None,
    days: DaysOption = 1.0,
    runs: RunsOption = 10,
    seed: SeedOption = 1,
    interval: IntervalOption = 30,
    compare: CompareOption = None,
    staff: StaffOption = None,
    journal: JournalOption = None,
    explain: ExplainOption = 10,
    as_json: JsonOption = False,
    record: RecordOption = None,
    plot: PlotOption = None,
) -> None:
    """Simulate queues and agents: service level, waits, abandons and occupancy by time of day.

    The engine that routes real calls runs on a virtual clock. Figures are means over the runs with 95 % confidence
    intervals. Exit code 2 when what was given can't be used.
    """
    from rich.console import Console

    from softswitch.simulation.given import GivenError

    if journal is not None:
        if arrivals or rate or staff or compare or agents or plot or record:
            raise typer.BadParameter("--journal goes with CONFIG, --patience, --seed, --explain and --json alone")
        _replay(journal, config, patience, seed, explain, as_json)
        return
    if staff is not None and compare is not None:
        raise typer.BadParameter("either --staff or --compare")
    if staff is not None and record is not None:
        raise typer.BadParameter("either --staff or --record")
    if staff is not None and agents is not None and config is not None:
        raise typer.BadParameter("either --staff or --agents: it finds them")
    if 1440 % interval:
        raise typer.BadParameter("--interval: expected minutes that a day is a multiple of, such as 15, 30 or 60")
    try:
        base = _config(config, agents, acw is not None, staff is not None)
        study = _study(base, arrivals, rate or [], (aht, acw, patience, ring), days, runs, seed, interval * 60.0)
        name = "plain queue" if config is None else config.name
        with _recorder(record) as watch:
            document = _run(base, name, study, agents, compare, staff, watch, Console(stderr=True))
    except GivenError as error:
        raise _fail(str(error)) from None
    except OSError as error:
        raise _fail(f"{error.filename}: {error.strerror}") from None
    if as_json:
        import json

        typer.echo(json.dumps(document, indent=2))
    else:
        show(document)
    if plot is not None:
        _plot(plot, document)


def load(path: Path) -> Config:
    """The configuration of an ACD: a directory of YAML, or a JSON file of `acd.config.Config`. Raises
    `GivenError`, `OSError`."""
    import msgspec

    from acd.config import Config
    from softswitch.acd_wiring import acd_config
    from softswitch.settings.loader import ConfigError
    from softswitch.settings.loader import load as load_settings
    from softswitch.simulation.given import GivenError

    try:
        if path.is_dir():
            return acd_config(load_settings(path).settings)
        return msgspec.json.decode(path.read_bytes(), type=Config)
    except ConfigError as error:
        raise GivenError("\n".join(map(str, error.problems))) from None
    except msgspec.DecodeError as error:
        raise GivenError(f"{path}: {error}") from None


def _config(path: Path | None, agents: int | None, wraps_up: bool, staffed: bool) -> Config:
    from softswitch.simulation.given import GivenError, plain_config

    if path is not None:
        return load(path)
    if agents is None and not staffed:
        raise GivenError("expected CONFIG, or --agents for one plain queue")
    return plain_config(agents or 1, wraps_up)


def _study(
    config: Config,
    file: Path | None,
    rates: list[str],
    given: tuple[str, str | None, str | None, str],
    days: float,
    runs: int,
    seed: int,
    interval: float,
) -> Study:
    """Raises `GivenError`, `OSError`."""
    from acd.simulate.arrivals import NEVER, Habits, Plan
    from acd.simulate.study import Study
    from softswitch.simulation.given import Arrivals, GivenError, arrivals, check_skills, times
    from softswitch.simulation.given import rate as read_rate

    aht, acw, patience, ring = given
    habits = Habits(
        talk=times("--aht", aht),
        wrap_up=None if acw is None else times("--acw", acw),
        patience=NEVER if patience is None else times("--patience", patience),
        ring=times("--ring", ring),
    )
    if (file is None) == (not rates):
        raise GivenError("expected either --arrivals FILE or --rate N/h")
    queues = list(config.queues)
    if file is not None:
        found = arrivals(file, interval, queues, habits)
    else:
        streams = [stream for each in rates for stream in read_rate(each, interval, queues)]
        found = Arrivals(Plan(interval, tuple(streams)))
    check_skills(found, config)
    return Study(habits, found.plan, found.events, found.days or days, runs, seed, interval, found.start)


def _run(
    config: Config,
    name: str,
    study: Study,
    agents: int | None,
    other: Path | None,
    staff: str | None,
    watch: Watch | None,
    console: Console,
) -> dict[str, Any]:
    """Everything that was asked for. Raises `GivenError`, `OSError`."""
    from acd.simulate.staffing import Unreachable, enlarged, find_staff
    from acd.simulate.study import simulate as simulated
    from softswitch.simulation import results
    from softswitch.simulation.given import GivenError, target

    def run(which: Config, progress: Progress, watch: Watch | None = None) -> Any:
        if agents is None:
            return simulated(which, study, progress=progress, watch=watch)
        more, order = enlarged(which, agents)
        return simulated(more, study, [agents], order, progress, watch)

    try:
        if staff is not None:
            share, seconds = target(staff)
            with _bar(console, None) as (progress, say):

                def told(number: int, numbers: Sequence[int]) -> None:
                    say(f"round {number}: {sum(numbers) * study.interval / 3600:.0f} agent hours a day")

                staffed = find_staff(config, study, share, seconds, progress, told)
            document = results.results(name, study, staffed.found)
            return document | {"staffing": results.staffing(staffed, study, share, seconds)}
        second = None if other is None else load(other)
        with _bar(console, study.expected * (1 if second is None else 2)) as (progress, _):
            found = run(config, progress, watch)
            document = results.results(name, study, found)
            if second is not None and other is not None:
                document["compare"] = results.comparison(other.name, study, found, run(second, progress))
        return document
    except (ValueError, Unreachable) as error:
        raise GivenError(str(error)) from None


@contextmanager
def _recorder(file: Path | None) -> Iterator[Watch | None]:
    """Writes all records that it is given. Raises `OSError`."""
    if file is None:
        yield None
        return
    from acd.journal import encode

    with file.open("wb") as journal:
        yield lambda records: journal.writelines(map(encode, records))


def _replay(journal: Path, config: Path | None, patience: str | None, seed: int, explain: int, as_json: bool) -> None:
    """A recorded day under other rules."""
    from rich.console import Console

    from softswitch.simulation.given import GivenError, times
    from softswitch.simulation.replay import document, replay

    try:
        rules = None if config is None else load(config)
        mean = None if patience is None else times("--patience", patience).average
        with _bar(Console(stderr=True), None) as (progress, _):
            found = replay(journal, rules, seed, mean, progress)
    except GivenError as error:
        raise _fail(str(error)) from None
    except OSError as error:
        raise _fail(f"{error.filename}: {error.strerror}") from None
    told = document("its own rules" if config is None else config.name, found, explain)
    if as_json:
        import json

        typer.echo(json.dumps(told, indent=2))
    else:
        show_replay(told)


@contextmanager
def _bar(console: Console, total: float | None) -> Iterator[tuple[Progress, Any]]:
    """How far it is: contacts that have come, of how many; None: nobody knows."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("contacts", total=total and round(total))
        yield lambda more: shown.advance(task, more), lambda text: shown.update(task, description=text)


def _plot(directory: Path, document: dict[str, Any]) -> None:
    from softswitch.simulation.page import plot

    try:
        written = plot(directory, document)
    except OSError as error:
        raise _fail(f"{error.filename}: {error.strerror}", 1) from None
    typer.echo(f"{written[-1]} and {len(written) - 1} pictures beside it", err=True)


def _fail(line: str, code: int = 2) -> typer.Exit:
    from softswitch.cli.printable import printable

    typer.echo(printable(line, 1000), err=True)
    return typer.Exit(code)


# ---- tables


def show(document: dict[str, Any]) -> None:
    """Prints what was found."""
    from softswitch.cli.tables import terminal

    console = terminal()
    _show_intervals(console, document)
    _show_estimates(console, document)
    if "compare" in document:
        _show_difference(console, document)
    if "staffing" in document:
        _show_staffing(console, document["staffing"])
    for each in (document, document.get("compare")):
        if each and each["not_taken"]:
            console.print(
                f"{each['config']}: {each['not_taken']} contacts had no agent a day after the end", style="yellow"
            )
        if each and each["refused"]:
            console.print(f"{each['config']}: contacts were refused: {each['refused'][0]}", style="bold red")


def _show_intervals(console: Console, document: dict[str, Any]) -> None:
    from softswitch.cli.printable import cell
    from softswitch.cli.tables import table
    from softswitch.simulation.results import TITLES, shown

    kpis = ("offered", "service_level", "asa", "abandoned", "out", "occupancy")
    columns = [Column("", 1), *(Column(TITLES[kpi], n + 2, right=True) for n, kpi in enumerate(kpis))]
    rows = [
        [cell(row["start"]), *(cell(shown(kpi, row[kpi])) for kpi in kpis)]
        for row in document["intervals"]
        if row["offered"]["value"]
    ]
    if len(document["queues"]) > 1:
        for queue, found in document["queues"].items():
            rows.append([cell(queue, "bold"), *(cell(shown(kpi, found[kpi]) if kpi in found else "") for kpi in kpis)])
    rows.append([cell("all", "bold"), *(cell(shown(kpi, document["total"][kpi]), "bold") for kpi in kpis)])
    title = f"{document['config']}: {document['runs']} runs of {document['days']:g} days"
    console.print(table(title, columns, rows, console.width, "contacts: by time of day of one day, below of a run"))


def _show_estimates(console: Console, document: dict[str, Any]) -> None:
    from softswitch.cli.printable import cell
    from softswitch.cli.tables import table
    from softswitch.simulation.results import ESTIMATE_NOTE, ESTIMATE_TITLES, estimates, shown

    columns = [Column("", 1), *(Column(title, n + 2, right=True) for n, title in enumerate(ESTIMATE_TITLES.values()))]
    for each in (document, document.get("compare")):
        if each and (found := estimates(each)):
            rows = [[cell(name), *(cell(shown(kpi, row[kpi])) for kpi in ESTIMATE_TITLES)] for name, row in found]
            title = f"{each['config']}: expected wait"
            console.print(table(title, columns, rows, console.width, ESTIMATE_NOTE))


def _show_difference(console: Console, document: dict[str, Any]) -> None:
    from softswitch.cli.printable import cell
    from softswitch.cli.tables import table
    from softswitch.simulation.results import TITLES, shown

    other = document["compare"]
    columns = (
        Column("", 1),
        Column(document["config"], 4, right=True),
        Column(other["config"], 5, right=True),
        Column("difference", 2, right=True),
        Column("p", 6, right=True),
        Column("significant", 3),
    )
    rows = [
        [
            cell(TITLES[kpi]),
            cell(shown(kpi, document["total"][kpi])),
            cell(shown(kpi, other["total"][kpi])),
            cell(shown(kpi, found, "+")),
            cell("" if found["p"] is None else f"{found['p']:.3f}"),
            cell("yes", "bold green") if found["significant"] else cell("no"),
        ]
        for kpi, found in other["difference"].items()
    ]
    console.print(table("difference, over the same contacts", columns, rows, console.width))


def _show_staffing(console: Console, found: dict[str, Any]) -> None:
    from softswitch.cli.printable import cell
    from softswitch.cli.tables import table
    from softswitch.simulation.results import shown

    columns = (
        Column("from", 1),
        Column("agents", 2, right=True),
        Column("by theory", 4, right=True),
        Column("service level", 3, right=True),
    )
    rows = [
        [
            cell(row["start"]),
            cell(str(row["agents"]), "bold"),
            cell(str(row["by_theory"])),
            cell(shown("service_level", row["service_level"])),
        ]
        for row in found["intervals"]
        if row["agents"] or row["by_theory"]
    ]
    target = f"{found['target_share']:.0%} within {found['target_seconds']:g} s"
    more = f"{found['agent_hours']:g} agent hours a day; {found['rounds']} rounds of simulation"
    more += "" if found["met"] else "; the target was not reached everywhere"
    console.print(table(f"agents needed for {target}", columns, rows, console.width, more))


def show_replay(document: dict[str, Any]) -> None:
    """Prints what would have been otherwise."""
    from softswitch.cli.printable import cell, printable
    from softswitch.cli.tables import table, terminal
    from softswitch.simulation.results import TITLES

    def said(kpi: str, number: float | None) -> str:
        if number is None:
            return ""
        return f"{number:.0f}" if kpi == "contacts" else f"{number:.1f}" if kpi == "asa" else f"{number:.1%}"

    console = terminal()
    columns = (
        Column("", 1),
        Column("journal", 2, right=True),
        Column(document["config"], 3, right=True),
    )
    now = document["under_these_rules"]
    rows = [
        [cell(TITLES.get(kpi, kpi)), cell(said(kpi, number)), cell(said(kpi, now[kpi]))]
        for kpi, number in document["journal"].items()
    ]
    more = (
        f"{document['changed']} contacts fare otherwise: {document['answered_sooner']} are answered sooner, "
        f"{document['answered_later']} later, {document['answered_now']} who were not, and "
        f"{document['answered_no_more']} who were are not"
    )
    console.print(table(f"{document['from']} to {document['until']}", columns, rows, console.width, more))
    for note in document["notes"]:
        console.print(note, style="yellow", markup=False)
    for change in document["changes"]:
        console.print(printable(change["why"], 1000), markup=False, highlight=False)

"""Rates, times and files of arrivals, as people write them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from acd.config import Agent, Config, Queue, Team, WrapUp
from acd.expression import parse
from acd.simulate.arrivals import DAY, MONDAY, Habits, Plan, Recorded, Stream, Times, constant, needs_problem, shared
from softswitch.spelling import suggestion

MAX_ROWS = 5_000_000
MAX_DAYS = 366
UNITS = {"s": 3600.0, "min": 60.0, "h": 1.0, "d": 1.0 / 24.0}
KINDS = ("exponential", "lognormal", "constant", "empirical")
PLANNED = ("start", "queue", "contacts", "needs", "priority", "aht", "day")
YEARS = range(1970, 9000)
"""In which the engine's time is one."""
RECORDED = ("time", "queue", "needs", "priority", "number", "talk", "patience")

_RATE = re.compile(r"(?P<number>[0-9.]+)/(?P<unit>s|min|h|d)")
_CLOCK = re.compile(r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(:(?P<second>[0-9]{2}(\.[0-9]+)?))?")


class GivenError(Exception):
    """What was given can't be used: one line that says where, what, and what is expected."""


class Arrivals(NamedTuple):
    """One of the two; `days`: that the file spans, 0: it says nothing of that; `start`: the midnight before the first
    contact, Unix seconds."""

    plan: Plan | None = None
    events: tuple[Recorded, ...] = ()
    days: int = 0
    start: float = MONDAY


# ---- options


def rate(text: str, interval: float, queues: Sequence[str]) -> list[Stream]:
    """200/h[:QUEUE][:SKILL=SHARE]..., each share of whoever comes. Raises `GivenError`."""
    first, *rest = text.split(":")
    found = _RATE.fullmatch(first)
    if found is None or (number := _number(found["number"])) is None:
        raise GivenError(f"--rate {text!r}: expected a rate such as 200/h, with /s, /min, /h or /d")
    queue = rest.pop(0) if rest and "=" not in rest[0] else ""
    streams = [constant(number * UNITS[found["unit"]], interval, _queue(queue, queues, f"--rate {text!r}"))]
    for part in rest:
        needs, _, share = part.rpartition("=")
        wanted = _number(share)
        if not needs or wanted is None or wanted > 1.0:
            raise GivenError(f"--rate {text!r}: expected SKILL=SHARE, a share from 0 to 1, instead of {part!r}")
        if problem := needs_problem(needs):
            raise GivenError(f"--rate {text!r}: skill {needs!r}, {problem}")
        streams = [half for stream in streams for half in shared(stream, needs, wanted) if half.means[0] > 0.0]
    return streams


def times(option: str, text: str) -> Times:
    """240, constant:240, lognormal:240:0.8 (mean, coefficient of variation), empirical:FILE with a number in each line.
    Raises `GivenError`."""
    kind, _, rest = text.rpartition(":") if text.count(":") < 2 else (text.split(":")[0], "", text.split(":", 1)[1])
    kind = kind or "exponential"
    expected = "expected seconds, or constant:SECONDS, lognormal:MEAN:VARIATION, empirical:FILE"
    match kind:
        case "empirical":
            return Times(kind="empirical", values=_values(option, Path(rest)))
        case "lognormal":
            mean, _, spread = rest.partition(":")
            found, variation = _number(mean), _number(spread or "1")
            if not found or not variation:
                raise GivenError(f"{option} {text!r}: {expected}")
            return Times(kind="lognormal", mean=found, spread=variation)
        case "exponential" | "constant":
            seconds = _number(rest)
            if seconds is None:
                raise GivenError(f"{option} {text!r}: {expected}")
            return Times(kind="constant" if not seconds else kind, mean=seconds)
        case _:
            raise GivenError(f"{option} {text!r}: there are no times {kind!r}; {expected}")


def target(text: str) -> tuple[float, float]:
    """80/20: share, seconds. Raises `GivenError`."""
    percent, slash, seconds = text.partition("/")
    share, threshold = _number(percent), _number(seconds)
    if not slash or share is None or threshold is None or not 0.0 < share < 100.0:
        raise GivenError(f"--staff {text!r}: expected PERCENT/SECONDS, such as 80/20")
    return share / 100.0, threshold


def plain_config(agents: int, wraps_up: bool) -> Config:
    """One queue, whose agents wrap up for as long as they do, or not at all."""
    rule = WrapUp(ends="manual") if wraps_up else WrapUp(after="never")
    return Config(
        version="plain",
        teams={"team": Team(name="team")},
        agents={f"agent{n}": Agent(id=f"agent{n}", team="team") for n in range(1, agents + 1)},
        queues={"queue": Queue(name="queue", team="team", wrap_up=rule)},
    )


# ---- files


def arrivals(path: Path, interval: float, queues: Sequence[str], habits: Habits) -> Arrivals:
    """CSV with a row for each interval (`PLANNED`) or for each contact (`RECORDED`). Raises `GivenError`, `OSError`."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            header = [name.strip() for name in rows.fieldnames or ()]
            rows.fieldnames = header
            table = _Table(path.name, header, queues)
            if "time" in header:
                return _recorded(table, rows)
            return _planned(table, rows, interval, habits)
        except (csv.Error, UnicodeDecodeError) as error:
            raise GivenError(f"{path.name}: row {rows.line_num + 1}: {error}") from None


class _Table:
    """Reads cells, and says where one is wrong."""

    def __init__(self, name: str, header: Sequence[str], queues: Sequence[str]) -> None:
        self.name, self.queues = name, queues
        known = RECORDED if "time" in header else PLANNED
        for column in header:
            if column not in known:
                raise GivenError(f"{name}: row 1, column {column!r}: expected {', '.join(known)}")
        for column in ("time",) if "time" in header else ("start", "contacts"):
            if column not in header:
                raise GivenError(
                    f"{name}: row 1: there is no column {column}: expected {', '.join(PLANNED[:3])} for each "
                    f"interval, or {', '.join(RECORDED[:2])} for each contact"
                )

    def wrong(self, row: int, column: str, expected: str, given: str) -> GivenError:
        return GivenError(f"{self.name}: row {row}, column {column}: expected {expected} instead of {given[:40]!r}")

    def number(self, row: int, column: str, given: str | None, default: float | None) -> float:
        text = (given or "").strip()
        if not text and default is not None:
            return default
        found = _number(text)
        if found is None:
            raise self.wrong(row, column, "a number of at least 0", text)
        return found

    def queue(self, row: int, given: str | None) -> str:
        text = (given or "").strip()
        try:
            return _queue(text, self.queues, "")
        except GivenError:
            raise self.wrong(row, "queue", f"one of {', '.join(self.queues)}", text) from None

    def needs(self, row: int, given: str | None) -> str:
        text = (given or "").strip()
        if problem := needs_problem(text):
            raise self.wrong(row, "needs", f"a skill expression ({problem})", text)
        return text

    def complete(self, row: int, cells: dict[str, str]) -> None:
        if None in cells:
            raise GivenError(f"{self.name}: row {row}: has more cells than the header")


def _planned(table: _Table, rows: csv.DictReader[str], interval: float, habits: Habits) -> Arrivals:
    """Expected contacts by interval, of every day or of day 1, 2... of a cycle."""
    length = round(DAY / interval)
    found: dict[tuple[str, str, float, float], dict[int, float]] = {}
    days = 1
    for cells in rows:
        row = rows.line_num
        table.complete(row, cells)
        day = table.number(row, "day", cells.get("day"), 1.0)
        if not 1 <= day <= MAX_DAYS or day != int(day):
            raise table.wrong(row, "day", f"a day from 1 to {MAX_DAYS}", str(cells.get("day")))
        days = max(days, int(day))
        start = _clock((cells.get("start") or "").strip())
        if start is None or start % interval:
            expected = f"HH:MM at a multiple of --interval, {interval / 60:g} minutes,"
            raise table.wrong(row, "start", expected, str(cells.get("start")))
        kind = (
            table.queue(row, cells.get("queue")),
            table.needs(row, cells.get("needs")),
            table.number(row, "priority", cells.get("priority"), 0.0),
            table.number(row, "aht", cells.get("aht"), 0.0),
        )
        at = int(day - 1) * length + round(start / interval)
        means = found.setdefault(kind, {})
        means[at] = means.get(at, 0.0) + table.number(row, "contacts", cells.get("contacts"), None)
    if not found:
        raise GivenError(f"{table.name}: there are no rows below the header")
    streams = tuple(
        Stream(
            queue,
            tuple(means.get(at, 0.0) for at in range(days * length)),
            needs,
            priority,
            msgspec.structs.replace(habits.talk, mean=aht) if aht else None,
        )
        for (queue, needs, priority, aht), means in found.items()
    )
    return Arrivals(Plan(interval, streams))


def _recorded(table: _Table, rows: csv.DictReader[str]) -> Arrivals:
    events: list[Recorded] = []
    first: datetime | None = None
    for cells in rows:
        row = rows.line_num
        table.complete(row, cells)
        if len(events) >= MAX_ROWS:
            raise GivenError(f"{table.name}: row {row}: expected at most {MAX_ROWS} contacts")
        text = (cells.get("time") or "").strip()
        at = _clock(text)
        if at is None:
            moment = _moment(text)
            if moment is None:
                raise table.wrong(row, "time", "HH:MM:SS or YYYY-MM-DDTHH:MM:SS", text)
            first = first or moment.replace(hour=0, minute=0, second=0, microsecond=0)
            at = (moment - first).total_seconds()
        if not 0.0 <= at < MAX_DAYS * DAY:
            raise table.wrong(row, "time", "a time on the day of the first row or later", text)
        events.append(
            Recorded(
                at,
                table.queue(row, cells.get("queue")),
                table.needs(row, cells.get("needs")),
                table.number(row, "priority", cells.get("priority"), 0.0),
                (cells.get("number") or "").strip(),
                _known(table, row, "talk", cells.get("talk")),
                _known(table, row, "patience", cells.get("patience")),
            )
        )
    if not events:
        raise GivenError(f"{table.name}: there are no rows below the header")
    days = int(max(event.at for event in events) // DAY) + 1
    return Arrivals(events=tuple(events), days=days, start=MONDAY if first is None else first.timestamp())


def _known(table: _Table, row: int, column: str, given: str | None) -> float | None:
    return table.number(row, column, given, None) if given and given.strip() else None


def check_skills(given: Arrivals, config: Config) -> None:
    """Raises `GivenError` where contacts need a skill that the configuration does not have."""
    streams = () if given.plan is None else given.plan.streams
    for needs in dict.fromkeys([*(each.needs for each in streams), *(each.needs for each in given.events)]):
        for skill in parse(needs).skills if config.skills else ():
            if skill not in config.skills:
                raise GivenError(
                    f"there is no skill {skill!r}, which contacts need"
                    + suggestion(skill, config.skills, f"expected one of {', '.join(config.skills)}")
                )


# ---- cells


def _queue(given: str, queues: Iterable[str], where: str) -> str:
    names = list(queues)
    if given in names:
        return given
    if not given and len(names) == 1:
        return names[0]
    what = f"there is no queue {given!r}" if given else "which queue"
    raise GivenError(f"{where}: {what}: expected one of {', '.join(names)}")


def _number(text: str) -> float | None:
    """Finite and at least 0."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value < 1e12 else None


def _values(option: str, path: Path) -> tuple[float, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GivenError(f"{option}: {path}: {error}") from None
    found = []
    for row, line in enumerate(lines, 1):
        if line.strip():
            value = _number(line.strip())
            if value is None:
                raise GivenError(f"{path.name}: row {row}: expected a number of seconds instead of {line[:40]!r}")
            found.append(value)
    if not found:
        raise GivenError(f"{path.name}: expected a number of seconds in each line")
    return tuple(found)


def _clock(text: str) -> float | None:
    """Seconds of the day."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    seconds = int(found["hour"]) * 3600.0 + int(found["minute"]) * 60.0 + float(found["second"] or 0.0)
    return seconds if int(found["minute"]) < 60 and seconds < DAY else None


def _moment(text: str) -> datetime | None:
    """In UTC, as which a time without an offset is taken."""
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year in YEARS else None

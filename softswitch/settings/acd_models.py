"""Skills, teams, groups of agents, opening hours and wrap-up as operators write them: what agents and queues share."""

from __future__ import annotations

import re
import zoneinfo
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from acd.config import MAX_LEVEL, STRICT
from acd.expression import ExpressionError, parse
from softswitch.settings.fields import Duration, Name, Section, one_or_many, read_duration
from softswitch.settings.validation import at_column
from softswitch.spelling import suggestion

DEFAULT_TEAM = "default"
"""Where no team is written, this one is there."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 86_400.0

_SPAN = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])\s*-\s*([01]?[0-9]|2[0-4]):([0-5][0-9])")
_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


def or_empty(value: Any) -> Any:
    """Entries of a section that have nothing below them are there all the same."""
    if not isinstance(value, dict):
        return value
    return {name: {} if each is None else each for name, each in value.items()}


# ---- skills


def _no_word_of_expressions(name: str) -> str:
    if name in ("and", "or", "not"):
        raise ValueError(f"{name!r} is a word of skill expressions: expected another name")
    return name


SkillName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][A-Za-z0-9._-]{0,63}$", examples=["lang.es"]),
    AfterValidator(_no_word_of_expressions),
]
Level = Annotated[int, Field(ge=0, le=MAX_LEVEL)]


def _read_needs(value: Any) -> Any:
    if value is None:
        return ""
    if not isinstance(value, str):
        return value
    try:
        read = parse(value)
    except ExpressionError as error:
        example = ", as in 'lang.es>=60 and billing'" if "expected" in str(error) else ""
        raise at_column(f"{error}{example}", error.column) from None
    try:
        parse(str(read))  # the form in which the engine keeps it
    except ExpressionError as error:
        raise at_column(
            f"{error}, with the brackets and blanks that it stands for: expected a shorter one", 1
        ) from None
    return value


Needs = Annotated[str, BeforeValidator(_read_needs, json_schema_input_type=str), Field(max_length=500)]
"""A skill expression, `acd.expression`."""


class Skill(Section):
    """What agents can have levels in."""

    description: str = Field("", max_length=200)
    """For people."""


def _read_skill(value: Any) -> Any:
    return {"description": value} if isinstance(value, str) else value


SkillText = Annotated[Skill, BeforeValidator(_read_skill, json_schema_input_type=str | Skill)]
Skills = Annotated[dict[SkillName, SkillText], BeforeValidator(or_empty), Field(max_length=5000)]


# ---- teams, groups


def _read_ageing(value: Any) -> Any:
    return STRICT if value == "strict" else read_duration(value)


_AGEING_TEXT = Annotated[
    str, Field(pattern=r"^([0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)?|strict)$", examples=["60s", "strict"])
]
Ageing = Annotated[float, BeforeValidator(_read_ageing, json_schema_input_type=_AGEING_TEXT | float)]

Reason = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]


class Team(Section):
    """A tenant: agents and queues of different teams never meet."""

    ageing: Ageing = Field(60.0, ge=1)
    """Waiting that makes up for one point of priority: with `60s`, one point more comes before whoever has waited less
    than a minute longer; `strict`: whatever the wait, priority comes first."""
    window: Duration = Field(3600.0, ge=60, le=7 * DAY)
    """How far back `least_calls` and `least_talk_time` look: what lies this far back counts 1/e."""
    misses: int = Field(1, ge=0, le=100)
    """Offers missed in a row that make an agent not responding, until it says that it is ready; 0: none do."""
    sign_in_as: Literal["ready", "paused"] = "ready"
    """What agents are when they sign in."""
    pause_reasons: Annotated[
        tuple[Reason, ...],
        BeforeValidator(one_or_many, json_schema_input_type=Reason | list[Reason]),
        Field(max_length=100),
    ] = ()
    """Reasons that agents may give for a pause; empty: any."""


Teams = Annotated[dict[Name, Team], BeforeValidator(or_empty), Field(max_length=10_000)]

AgentId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
GroupNames = Annotated[
    tuple[Name, ...], BeforeValidator(one_or_many, json_schema_input_type=Name | list[Name]), Field(max_length=64)
]


class AgentGroup(Section):
    """Agents who serve queues together. Who is in it, says each agent by its `groups`."""

    team: Name = DEFAULT_TEAM
    """The team that it belongs to."""
    administrators: Annotated[
        tuple[AgentId, ...],
        BeforeValidator(one_or_many, json_schema_input_type=AgentId | list[AgentId]),
        Field(max_length=1000),
    ] = ()
    """Agents who may act for those of the group: sign them in and out, pause them."""


AgentGroups = Annotated[dict[Name, AgentGroup], BeforeValidator(or_empty), Field(max_length=10_000)]


class WrapUp(Section):
    """After-call work: when an agent has it, and how it ends."""

    after: Literal["answered", "ring", "never"] = "answered"
    """`answered`: after calls that it took; `ring`: also after offers that it did not take; `never`."""
    ends: Literal["manual", "timeboxed", "timeboxed_strict"] = "timeboxed"
    """`manual`: when the agent says that it is ready; `timeboxed`: by `time`, or earlier when it says so;
    `timeboxed_strict`: by `time` alone."""
    time: Duration = Field(30.0, ge=0, le=DAY)
    """How long it lasts."""
    extension: Duration = Field(300.0, ge=0, le=DAY)
    """How much longer an agent may make one, in all."""


# ---- opening hours


@lru_cache(1)
def _zones() -> list[str]:
    return sorted(zoneinfo.available_timezones())


def _zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"unknown time zone {name!r}{suggestion(name, _zones(), 'expected one such as Europe/Berlin')}"
        ) from None
    return name


def _days(text: str) -> list[int]:
    """`mon`, `mon-fri`, `sat, sun`: 0 is Monday."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = (each.strip().lower() for each in part.partition("-"))
        ends = [first, last] if dash else [first]
        for each in ends:
            if each not in DAYS:
                wanted = suggestion(
                    each, DAYS, "expected mon, tue, wed, thu, fri, sat or sun, or a range such as mon-fri"
                )
                raise ValueError(f"unknown day {each!r}{wanted}")
        begin, stop = DAYS.index(ends[0]), DAYS.index(ends[-1])
        found += [(begin + ahead) % 7 for ahead in range((stop - begin) % 7 + 1)]
    return sorted(set(found))


def _span(text: Any) -> tuple[float, float]:
    """Seconds of the day of `08:00-17:30`; what ends before it begins goes on into the next day."""
    match = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        shown = f"bad hours {text!r}: " if isinstance(text, str) and len(text) <= 40 else ""
        raise ValueError(f"{shown}expected HH:MM-HH:MM, such as 08:00-17:30")
    start = int(match[1]) * 3600.0 + int(match[2]) * 60.0
    end = int(match[3]) * 3600.0 + int(match[4]) * 60.0
    if start >= DAY or end > DAY or start == end:
        raise ValueError(f"bad hours {text!r}: expected times from 00:00 to 24:00, and two that differ")
    return start, end


def _spans(text: Any) -> tuple[tuple[float, float], ...]:
    many = text if isinstance(text, list | tuple) else [text]
    return tuple([each if isinstance(each, tuple) else _span(each) for each in many])


_SPAN_TEXT = Annotated[str, Field(pattern=r"^[0-9]{1,2}:[0-9]{2}\s*-\s*[0-9]{1,2}:[0-9]{2}$", examples=["08:00-17:30"])]
Spans = Annotated[
    tuple[tuple[float, float], ...], BeforeValidator(_spans, json_schema_input_type=_SPAN_TEXT | list[_SPAN_TEXT])
]


def _checked_days(text: str) -> str:
    _days(text)
    return text


def _checked_date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError(f"bad date {text[:40]!r}: expected YYYY-MM-DD")
    return text


Date = Annotated[str, AfterValidator(_checked_date), Field(examples=["2026-12-25"])]


class OpeningHours(Section):
    """When queues are open that go by them."""

    zone: Annotated[str, AfterValidator(_zone), Field(examples=["Europe/Berlin"])] = "UTC"
    """Time zone of all times here."""
    open: Annotated[dict[Annotated[str, AfterValidator(_checked_days)], Spans], Field(min_length=1, max_length=100)]
    """By days, `mon-fri` or `sat, sun`: `"08:00-17:30"`, or a list; what ends before it begins goes on the next day."""
    closed: Annotated[
        tuple[Date, ...], BeforeValidator(one_or_many, json_schema_input_type=Date | list[Date]), Field(max_length=1000)
    ] = ()
    """Dates on which they are closed all day, `2026-12-25`."""

    @property
    def spans(self) -> list[tuple[tuple[int, ...], float, float]]:
        """Days, first second, last second: what goes on over midnight in two parts."""
        found = []
        for text, spans in self.open.items():
            days = _days(text)
            for start, end in spans:
                if start < end:
                    found.append((tuple(days), start, end))
                    continue
                found.append((tuple(days), start, DAY))
                if end:
                    found.append((tuple(sorted((day + 1) % 7 for day in days)), 0.0, end))
        return found


Hours = Annotated[dict[Name, OpeningHours], BeforeValidator(or_empty), Field(max_length=1000)]

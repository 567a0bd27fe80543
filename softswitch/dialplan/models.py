"""The dialplan as operators write it: contexts of ordered routes; `routing.Dialplan` is made of it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from softswitch.causes import cause_of_status
from softswitch.dialplan.announcement import SourceList
from softswitch.dialplan.patterns import MAX_PATTERN, Template, check_replacement, read_pattern, read_regex
from softswitch.settings.fields import Duration, Name, RecordRule, Section, one_or_many

MAX_TARGETS = 32  # of one dial action; as many branches as the call model rings (softswitch.hunt.MAX_BRANCHES)
MAX_FALLBACKS = 4  # depth of on_busy inside on_busy ... as written

ACTIONS = (
    "dial",
    "ring_group",
    "answer_and_echo",
    "answer_and_play",
    "answer_and_music",
    "answer_and_conference",
    "park",
    "retrieve",
    "page",
    "reject",
    "goto",
)
_WHICH = ", ".join(f"'{name}'" for name in ACTIONS[:-1]) + f" and '{ACTIONS[-1]}'"

_NUMBER_CHARACTERS = re.compile(r"[A-Za-z0-9*#+_.-]+")


def _pattern(text: str) -> str:
    read_pattern(text)
    return text


def _regex(text: str) -> str:
    read_regex(text)
    return text


def _template(text: str) -> str:
    for variable, part in Template(text).parts:
        if not variable and not _NUMBER_CHARACTERS.fullmatch(part):
            raise ValueError(
                f"bad number {text!r}: expected letters, digits, * # + _ . - and variables such as {{number}}"
            )
    return text


PatternText = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN), AfterValidator(_pattern)]
PatternList = Annotated[
    tuple[PatternText, ...],
    BeforeValidator(one_or_many, json_schema_input_type=PatternText | list[PatternText]),
    Field(min_length=1),
]
RegexText = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN), AfterValidator(_regex)]
TemplateText = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN), AfterValidator(_template)]


class Replace(Section):
    """A regular expression and what takes its place."""

    regex: RegexText
    r"""What is looked for, anywhere in the number; its first match is replaced. `^\+49`, `^0(.*)$`."""
    with_: str = Field(alias="with", max_length=MAX_PATTERN)
    r"""The new text; `\1` to `\9` are the groups of the expression."""

    @model_validator(mode="after")
    def _groups_exist(self) -> Replace:
        check_replacement(self.regex, self.with_)
        return self


def read_target(value: Any) -> Any:
    return {"extension": value} if isinstance(value, str) else value


class TargetModel(Section):
    """Where to call: an extension, or a number through a trunk."""

    extension: TemplateText | None = None
    """An extension number; may hold variables such as {number}."""
    trunk: Name | None = None
    """The name of a trunk."""
    number: TemplateText | None = None
    """With `trunk`: the number to call there; {number} when absent."""

    @model_validator(mode="after")
    def _one_kind(self) -> TargetModel:
        if (self.extension is None) == (self.trunk is None):
            raise ValueError("expected either 'extension' or 'trunk'")
        if self.number is not None and self.trunk is None:
            raise ValueError("'number' goes with 'trunk' only: write the number as 'extension'")
        return self


TargetText = Annotated[TargetModel, BeforeValidator(read_target, json_schema_input_type=TemplateText | TargetModel)]
TargetList = Annotated[
    tuple[TargetText, ...],
    BeforeValidator(one_or_many, json_schema_input_type=TargetText | list[TargetText]),
    Field(min_length=1, max_length=MAX_TARGETS),
]

CAUSES = {
    "unallocated": 1,
    "no-route": 3,
    "busy": 17,
    "no-answer": 19,
    "absent": 20,
    "rejected": 21,
    "number-changed": 22,
    "invalid-number": 28,
    "congestion": 42,
    "barred": 52,
}


def _read_reject(value: Any) -> Any:
    """A name, a cause (below 128) or a status, for the mapping with these keys."""
    if isinstance(value, str | int):
        value = str(value)
        if value in CAUSES:
            return {"cause": CAUSES[value]}
        if value.isascii() and value.isdigit() and len(value) <= 3:
            return {"cause": value} if int(value) < 128 else {"status": value}
        raise ValueError(
            f"unknown cause {value!r}: expected a name ({', '.join(CAUSES)}), "
            "a Q.850 cause from 1 to 127, or a SIP status from 400 to 699"
        )
    return value


class RejectModel(Section):
    """A refusal: a Q.850 cause, a SIP status, or both."""

    cause: int = Field(0, ge=0, le=127)
    """Q.850 cause; 0 takes the one that belongs to `status`."""
    status: int | None = Field(None, ge=400, le=699)
    """SIP status; absent, the cause chooses it."""

    @model_validator(mode="after")
    def _something(self) -> RejectModel:
        if not self.cause and self.status is None:
            raise ValueError("expected 'cause', 'status', or both")
        return self

    @property
    def q850(self) -> int:
        """The cause, never 0."""
        return self.cause or int(cause_of_status(self.status or 0))


RejectText = Annotated[RejectModel, BeforeValidator(_read_reject, json_schema_input_type=str | int | RejectModel)]


class GotoModel(Section):
    """Look the number up in another context, from its first route on."""

    context: Name
    """That context."""
    number: TemplateText = "{number}"
    """The number to look up there."""


def _read_goto(value: Any) -> Any:
    return {"context": value} if isinstance(value, str) else value


GotoText = Annotated[GotoModel, BeforeValidator(_read_goto, json_schema_input_type=Name | GotoModel)]


class Action(Section):
    """What to do with a call: `dial`, `ring_group`, one of `answer_and_...`, `park`, `retrieve`, `page`, `reject` or
    `goto`."""

    dial: TargetList | None = None
    """Extensions or trunks to call: one, or a list."""
    mode: Literal["parallel", "sequence"] | None = None
    """How a list is called; absent: in parallel, but in sequence where a trunk is among the targets."""
    ring_timeout: Duration | None = Field(None, ge=1, le=600)
    """How long each attempt may ring; absent, the extension or trunk says."""
    on_busy: Action | None = None
    """What to do when `dial` found all busy."""
    on_no_answer: Action | None = None
    """What to do when nobody answered in time."""
    on_unavailable: Action | None = None
    """What to do when nobody could be reached: not registered, unknown, no channel left, trunk down."""
    allow: Annotated[
        tuple[Name, ...] | None, BeforeValidator(one_or_many, json_schema_input_type=Name | list[Name])
    ] = None
    """With `dial`: classes of `barring` that everybody may call by this, such as `international`."""
    pin: bool | None = None
    """With `dial`: only for extensions that dial their PIN first (`true`)."""
    record: RecordRule | None = None
    """With `dial`: whether its calls are recorded: `never`, `always`, `on-demand`; absent, the ends of the call say."""
    ring_group: Name | None = None
    """Ring the members of that group of `ring_groups`, which says what follows, too."""
    answer_and_echo: bool = False
    """Answer and send the caller's own audio back (`true`)."""
    answer_and_play: SourceList | None = None
    """Answer, play this and hang up: a file, or a list of files, tones, silences, spoken values and texts."""
    answer_and_music: Name | None = None
    """Answer and play music of that class, `default`, until the caller hangs up."""
    answer_and_conference: TemplateText | None = None
    """Answer and join the conference of that name; may hold variables such as {number}."""
    park: Name | None = None
    """Park whoever is transferred here, in a free slot of that lot of `parking`."""
    retrieve: TemplateText | None = None
    """Talk to whoever is parked in that slot; may hold variables, as a rule `{number}`."""
    page: Name | None = None
    """Call all members of that group of `paging`, whose phones answer by themselves, and let them hear the caller."""
    reject: RejectText | None = None
    """Refuse: a name such as `busy`, a Q.850 cause, a SIP status, or `{cause: 21, status: 603}`."""
    goto: GotoText | None = None
    """Go on in another context: its name, or `{context: NAME, number: NUMBER}`."""

    @model_validator(mode="after")
    def _one_action(self) -> Action:
        chosen = [name for name in ACTIONS if getattr(self, name)]
        if len(chosen) != 1:
            found = "found " + " and ".join(f"'{name}'" for name in chosen) if chosen else "found none"
            raise ValueError(f"expected one of {_WHICH}, {found}")
        if self.dial is None:
            for name in ("mode", "ring_timeout", "allow", "pin", "record", "on_busy", "on_no_answer", "on_unavailable"):
                if getattr(self, name) is not None:
                    raise PydanticCustomError("needs_dial", "'{key}' goes with 'dial' only", {"key": name})
        if self.depth > MAX_FALLBACKS:
            raise ValueError(f"fallbacks are nested more than {MAX_FALLBACKS} deep: use goto")
        return self

    @property
    def fallbacks(self) -> tuple[Action | None, Action | None, Action | None]:
        return self.on_busy, self.on_no_answer, self.on_unavailable

    @property
    def depth(self) -> int:
        return 1 + max((action.depth for action in self.fallbacks if action is not None), default=0)


class Route(Action):
    """Conditions, changes to the number, and an action. The first route whose conditions hold decides."""

    name: str = Field("", pattern=r"^[^\x00-\x1f\x7f]{0,64}$")
    """For logs and call records; absent, `CONTEXT/1` for the first route and so on."""
    to: PatternList | None = None
    """Dialled number: a pattern or a list of them; absent, every number."""
    from_: PatternList | None = Field(None, alias="from")
    """Caller's number: a pattern or a list of them; absent, everybody."""
    did: PatternList | None = None
    """The number as a trunk sent it, before any rewriting or goto; never matches calls of extensions."""
    replace: Replace | None = None
    """A regular expression and its replacement, made in the number first."""
    strip: int = Field(0, ge=0, le=32)
    """Characters then taken off the front."""
    prepend: str = Field("", pattern=r"^[A-Za-z0-9*#+_.-]{0,32}$")
    """Put in front of the number at last; always literal."""


class Context(Section):
    """A set of routes under a name: what callers of this context may reach, and nothing else."""

    include: Annotated[tuple[Name, ...], BeforeValidator(one_or_many, json_schema_input_type=Name | list[Name])] = ()
    """Contexts searched, in this order, when no route of this one matches."""
    routes: tuple[Route, ...] = ()
    """Routes in the order they are tried."""

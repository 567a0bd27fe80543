"""Queues as operators write them: whom they ask for, in which order, what becomes of who waits too long."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from acd.config import LimitName, StrategyName, WayOutKind
from softswitch.dialplan.announcement import SourceName
from softswitch.settings.acd_models import DAY, DEFAULT_TEAM, GroupNames, Needs, WrapUp
from softswitch.settings.fields import (
    Duration,
    ExtensionNumber,
    Name,
    OptionalDuration,
    Section,
    one_or_many,
    read_optional_duration,
)
from softswitch.settings.validation import at_value
from softswitch.spelling import meant

MAX_STEPS = 20
"""Of `relax`, `widen`, `limits`, `announcements`: each costs every contact a look."""

WORDS = ("callback", "hangup")

Points = Annotated[float, Field(ge=-1000, le=1000)]


class WayOut(Section):
    """Where a contact goes that waits here no longer: one of these, or `callback` or `hangup` as a word."""

    queue: Name | None = None
    """Another queue, of the same team."""
    number: ExtensionNumber | None = None
    """A number, dialled in the queue's `context`."""
    voicemail: ExtensionNumber | None = None
    """The voicemail of an extension."""
    ivr: Name | None = None
    """A flow of menus."""
    keep_wait: bool = True
    """Into another queue: with the place and the time waited so far; `false`: as if it had just come."""

    @model_validator(mode="after")
    def _one(self) -> WayOut:
        if isinstance(self, Word):
            return self
        chosen = [kind for kind in ("queue", "number", "voicemail", "ivr") if getattr(self, kind) is not None]
        if len(chosen) != 1:
            raise ValueError(f"expected {'only ' if chosen else ''}one of queue, number, voicemail and ivr")
        if "keep_wait" in self.model_fields_set and self.queue is None:
            raise at_value("'keep_wait' goes with 'queue' only", "keep_wait")
        return self

    @property
    def kind(self) -> WayOutKind:
        if self.queue is not None:
            return "queue"
        if self.number is not None:
            return "number"
        return "voicemail" if self.voicemail is not None else "ivr"

    @property
    def name(self) -> str:
        return self.queue or self.number or self.voicemail or self.ivr or ""


class Word(WayOut):
    """A way out that is a single word."""

    word: Literal["callback", "hangup"]

    @property
    def kind(self) -> WayOutKind:
        return self.word


def _read_way_out(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value == "callback" or value == "hangup":
        return Word(word=value)
    near = meant(value, WORDS)
    asked = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"bad way out {value[:40]!r}: {asked}expected callback, hangup, or such as {{queue: NAME}}")


WayOutText = Annotated[
    WayOut, BeforeValidator(_read_way_out, json_schema_input_type=Literal["callback", "hangup"] | WayOut)
]

COUNTED = ("length", "expected_wait", "waited")


def _read_reach(value: Any, info: ValidationInfo) -> Any:
    if info.data.get("when") != "length":
        return read_optional_duration(value)
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 6):
        raise ValueError(f"bad length {value[:40]!r}: expected a whole number of contacts")
    return value


Reach = Annotated[
    float | None, BeforeValidator(_read_reach, json_schema_input_type=Annotated[str, Field(examples=["5m"])] | float)
]


class Limit(Section):
    """A bound of a queue, and where contacts go that meet it."""

    when: LimitName
    """`closed`; `no_agents`: nobody who could serve the contact is signed in; `none_ready`: all of those are paused or
    away; `length`: so many wait; `expected_wait`: it is longer; `waited`: the contact has waited so long."""
    reaches: Reach = Field(None, ge=0)
    """Of `length`, contacts; of `expected_wait` and `waited`, time: `5m`."""
    to: WayOutText
    """The way out."""
    waiting: bool = False
    """Looked at again while contacts wait, not at entry alone. `waited` always is, `length` never."""

    @model_validator(mode="after")
    def _together(self) -> Limit:
        if self.when in COUNTED and self.reaches is None:
            unit = "a number of contacts" if self.when == "length" else "a time"
            raise at_value(f"'when: {self.when}' needs 'reaches': {unit}", "when")
        if self.when not in COUNTED and self.reaches is not None:
            raise at_value(f"'reaches' goes with {', '.join(COUNTED)} only", "reaches")
        if self.when in ("length", "waited") and "waiting" in self.model_fields_set:
            why = "is looked at while contacts wait anyway" if self.when == "waited" else "is looked at on entry alone"
            raise at_value(f"'when: {self.when}' {why}: expected no 'waiting'", "waiting")
        return self


class RelaxStep(Section):
    """Less is enough after a while."""

    after: Duration = Field(gt=0, le=DAY)
    """Since the contact began to wait."""
    needs: Needs
    """What is asked for then, in place of what was asked for before; empty: nothing."""
    own_needs: bool = True
    """Whether what a contact needs besides, as its menu or transfer has said, still counts."""


class WidenStep(Section):
    """More agents may take a contact after a while."""

    after: Duration = Field(gt=0, le=DAY)
    """Since the contact began to wait."""
    groups: Annotated[GroupNames, Field(min_length=1)]
    """Groups of `agent_groups` who serve the queue then, too."""


class Announcement(Section):
    """Something said to who waits."""

    what: Literal["welcome", "position", "expected_wait", "message"]
    """`position`: how many are before; `expected_wait`; `welcome` and `message`: the `sound`."""
    sound: SourceName | None = None
    """A sound file below the prompt directories."""
    first: Duration = Field(0.0, ge=0, le=DAY)
    """After how long it is said for the first time."""
    every: OptionalDuration = Field(None, ge=5, le=DAY)
    """How often again; absent or `none`: once."""

    @model_validator(mode="after")
    def _sound(self) -> Announcement:
        if (self.what in ("welcome", "message")) != (self.sound is not None):
            raise at_value("'welcome' and 'message' need a 'sound', and they alone have one", "what")
        return self


class Retry(Section):
    """When a customer is called again, by what became of the last call; `none`: no more."""

    busy: OptionalDuration = Field(300.0, ge=1, le=30 * DAY)
    """The line was busy."""
    no_answer: OptionalDuration = Field(1800.0, ge=1, le=30 * DAY)
    """Nobody answered."""
    failed: OptionalDuration = Field(900.0, ge=1, le=30 * DAY)
    """The call could not be made."""
    machine: OptionalDuration = Field(3600.0, ge=1, le=30 * DAY)
    """A machine answered."""


class CallbackRules(Section):
    """How customers are called back who have asked for it."""

    first: Literal["agent", "customer"] = "agent"
    """Whose telephone rings first."""
    attempts: int = Field(3, ge=1, le=100)
    """How often a customer is called."""
    retry: Retry = Retry()
    ring_time: Duration = Field(30.0, ge=5, le=600)
    """How long the customer's telephone rings."""
    per_number: int = Field(1, ge=1, le=100)
    """Callbacks of one number at a time."""
    patience: OptionalDuration = Field(DAY, ge=1, le=366 * DAY)
    """How long a customer who has asked for an agent waits for that one, before anybody calls it; `none`: a year."""
    hours: Name | None = None
    """The `hours` in which customers are called; absent, those of the queue."""


def _read_share(value: Any) -> Any:
    text = str(value).strip()
    try:
        share = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"bad share {text[:40]!r}: expected one from 0% to 100%, such as 80%")
    return share


Share = Annotated[
    float,
    BeforeValidator(
        _read_share, json_schema_input_type=Annotated[str, Field(pattern=r"^[0-9.]+\s*%?$", examples=["80%"])] | float
    ),
]


class ServiceLevel(Section):
    """What is aimed at: reports hold against it."""

    share: Share = 0.8
    """How many contacts are to be answered in time: `80%`."""
    within: Duration = Field(20.0, gt=0, le=DAY)
    """The time."""


class Queue(Section):
    """One queue."""

    name: Name
    """Its name; not written, it is the key in `queues`."""
    team: Name = DEFAULT_TEAM
    """Its team: only agents of this one serve it."""
    needs: Needs = ""
    """Skills that an agent has to have: `lang.es>=60 and billing`; empty: none."""
    relax: Annotated[tuple[RelaxStep, ...], Field(max_length=MAX_STEPS)] = ()
    """Steps at which less is enough."""
    groups: GroupNames = ()
    """Groups of `agent_groups` who serve it; empty: the whole team."""
    widen: Annotated[tuple[WidenStep, ...], Field(max_length=MAX_STEPS)] = ()
    """Steps at which more groups serve it."""
    strategy: StrategyName = "longest_idle"
    """Which of the agents who are free: see below."""
    ring_count: int | None = Field(None, ge=1, le=64)
    """Agents at a time, with `ring_some`."""
    ring_time: Duration = Field(20.0, ge=1, le=600)
    """How long an agent's telephone rings for one contact."""
    priority: Points = 0.0
    """Points of its contacts: `ageing` of the team says what one is worth."""
    vip: Annotated[
        tuple[ExtensionNumber, ...],
        BeforeValidator(one_or_many, json_schema_input_type=ExtensionNumber | list[ExtensionNumber]),
        Field(max_length=100_000),
    ] = ()
    """Numbers of callers who have `vip_priority` besides."""
    vip_priority: Points = 10.0
    """Points of these."""
    direction: Literal["inbound", "outbound"] = "inbound"
    """Agents whose `mode` is this or `both` take its contacts."""
    wrap_up: WrapUp = WrapUp()
    affinity: OptionalDuration = Field(None, ge=1, le=DAY)
    """How long a contact waits for the agent whom it talked to last; absent or `none`: it does not."""
    skip: Duration = Field(30.0, ge=0, le=DAY)
    """How long a contact is not offered again to an agent who did not take it."""
    on_reject: Literal["ready", "not_responding"] = "ready"
    """What an agent is who has declined a contact."""
    limits: Annotated[tuple[Limit, ...], Field(max_length=MAX_STEPS)] = ()
    """Bounds, each with its way out; the first that is reached decides."""
    emptied_to: WayOutText = Word(word="hangup")
    """Where those go who wait here when the queue is taken out of the configuration."""
    exits: Annotated[dict[Annotated[str, Field(pattern=r"^[0-9*#]$")], WayOutText], Field(max_length=12)] = {}
    """Ways out by the key that the caller presses."""
    return_within: OptionalDuration = Field(None, ge=1, le=DAY)
    """How long the place of a caller is kept who hung up, and calls again; absent or `none`: it is not."""
    announcements: Annotated[tuple[Announcement, ...], Field(max_length=MAX_STEPS)] = ()
    """What is said to who waits."""
    callback: CallbackRules | None = None
    """Callbacks; absent, none are offered."""
    hours: Name | None = None
    """The `hours` in which it is open, which a limit with `when: closed` holds callers against; absent: always."""
    service_level: ServiceLevel = ServiceLevel()
    short_abandon: Duration = Field(5.0, ge=0, le=600)
    """Callers who hang up earlier are not counted as lost."""
    context: Name = "internal"
    """Dialplan context in which numbers are dialled: those of ways out, and of customers who are called back."""

    @property
    def ways_out(self) -> dict[tuple[str | int, ...], WayOut]:
        """All of them, by where they are written."""
        found: dict[tuple[str | int, ...], WayOut] = {
            ("limits", index, "to"): limit.to for index, limit in enumerate(self.limits)
        }
        found |= {("exits", key): way for key, way in self.exits.items()}
        return found | {("emptied_to",): self.emptied_to}

    @model_validator(mode="after")
    def _together(self) -> Queue:
        timed: dict[str, tuple[RelaxStep | WidenStep, ...]] = {"relax": self.relax, "widen": self.widen}
        for key, steps in timed.items():
            for index, (one, two) in enumerate(pairwise(steps)):
                if two.after <= one.after:
                    message = f"expected later than the step before it, which is at {one.after:g} seconds"
                    raise at_value(message, key, index + 1, "after")
        if self.widen and not self.groups:
            raise at_value("'widen' goes with 'groups': without, the whole team serves the queue at once", "widen")
        if self.ring_count is not None and self.strategy != "ring_some":
            raise at_value("'ring_count' goes with 'strategy: ring_some' only", "ring_count")
        if self.callback is None:
            for path, way in self.ways_out.items():
                if way.kind == "callback":
                    raise at_value(
                        "the queue has no callbacks: expected its 'callback' settings, or another way out", *path
                    )
        if self.emptied_to.kind == "callback":
            raise at_value("a queue that is gone calls nobody back: expected another way out", "emptied_to")
        return self

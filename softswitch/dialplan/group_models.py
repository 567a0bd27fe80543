"""Ring groups and paging groups as operators write them: who rings, in what order, how the call shows, what follows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from media import tones
from softswitch.dialplan.announcement import read_tone
from softswitch.dialplan.models import MAX_TARGETS, Action, TargetModel, TemplateText, read_target
from softswitch.hunt_steps import CONFIRM_SECONDS
from softswitch.settings.fields import Duration, ExtensionNumber, RecordRule, Section, one_or_many
from softswitch.settings.validation import at_value


class RingMember(TargetModel):
    """Who rings: an extension, or a number through a trunk."""

    weight: float = Field(1.0, gt=0, le=1000)
    """With `weighted_random`: how often early; 2 is first twice as often as 1."""
    delay: Duration | None = Field(None, ge=0, le=600)
    """With `simultaneous`: from the beginning of the call until it rings; needs the group's `ring_time`."""
    confirm: bool = False
    """Whether whoever answers has to press 1, or the call goes on without it: for mobiles with a voicemail."""


MAX_PAGED = 64
"""Members of a paging group; as many legs as one call has at once (softswitch.hunt.MAX_LEGS_AT_ONCE)."""

NO_TONE = "none"

MAX_TALKING = 15
"""Members of one where they talk, too: with who pages, as many as talk in one call (softswitch.call_consult)."""

MemberText = Annotated[RingMember, BeforeValidator(read_target, json_schema_input_type=TemplateText | RingMember)]
MemberList = Annotated[
    tuple[MemberText, ...],
    BeforeValidator(one_or_many, json_schema_input_type=MemberText | list[MemberText]),
    Field(min_length=1, max_length=MAX_TARGETS),
]


class RingGroup(Section):
    """Members that ring for one call, and what follows when none of them takes it."""

    members: MemberList
    """Extensions, or `{trunk: NAME, number: NUMBER}`: one, or a list. `weight` goes with each."""
    strategy: Literal["simultaneous", "sequential", "memory_hunt", "weighted_random"] = "simultaneous"
    """All at once; one after another as written; the first, then the second besides it, and so on until all ring; one
    after another by lot, each call anew, by `weight`."""
    ring_time: Duration | None = Field(None, ge=1, le=600)
    """How long they ring, with the other strategies each of them (`memory_hunt`: until the next joins); absent, the
    extension or trunk says."""
    confirm_within: Duration = Field(CONFIRM_SECONDS, ge=3, le=60)
    """How long whoever has answered may take to press a key, of members with `confirm`."""
    skip_busy: bool = False
    """Pass over extensions that are in a call, whatever their `call_limit`."""
    cid_prefix: str = Field("", pattern=r'^[^"\\\x00-\x1f\x7f-\x9f]{0,32}$')
    """Put before the caller's name, or number where there is no name, on the extensions' displays: `"Sales: "`."""
    alert_info: str = Field("", pattern=r"^([\x21-\x7e][\x20-\x7e]{0,254})?$")
    """Alert-Info (RFC 3261 20.4) sent to the extensions, for a ring of its own: `<http://localhost>;info=sales`."""
    record: RecordRule | None = None
    """Whether its calls are recorded: `never`, `always`, `on-demand`; absent, the ends of the call say."""
    on_busy: Action | None = None
    """What to do when all were busy."""
    on_no_answer: Action | None = None
    """What to do when nobody answered in time."""
    on_unavailable: Action | None = None
    """What to do when nobody could be reached."""

    @model_validator(mode="after")
    def _delays(self) -> RingGroup:
        for each in self.members:
            if each.delay is None:
                continue
            if self.strategy != "simultaneous":
                raise ValueError(f"'delay' of members goes with 'strategy: simultaneous', not with {self.strategy!r}")
            if self.ring_time is None:
                raise ValueError("'delay' of members needs 'ring_time' of the group: when all of them cease to ring")
            if each.delay >= self.ring_time:
                raise ValueError(
                    f"'delay' {each.delay:g} is not before the end of the group's 'ring_time' {self.ring_time:g}: "
                    "that member never rings"
                )
        return self

    @property
    def fallbacks(self) -> tuple[Action | None, Action | None, Action | None]:
        return self.on_busy, self.on_no_answer, self.on_unavailable


def _page_tone(name: str) -> str:
    if name == NO_TONE:
        return name
    try:
        return read_tone(name)
    except ValueError as problem:
        raise ValueError(f"{problem}, or {NO_TONE!r}") from None


class PagingGroup(Section):
    """Extensions that are called at once to hear somebody; their phones answer by themselves."""

    members: Annotated[
        tuple[ExtensionNumber, ...],
        BeforeValidator(one_or_many, json_schema_input_type=ExtensionNumber | list[ExtensionNumber]),
        Field(min_length=1, max_length=MAX_PAGED),
    ]
    """Extensions: one, or a list of at most 64, `two-way` of at most 15. Who pages is left out."""
    mode: Literal["one-way", "two-way"] = "one-way"
    """`one-way`: they hear who pages, and nobody hears them; `two-way`: all hear each other."""
    tone: Annotated[str, AfterValidator(_page_tone), Field(examples=[NO_TONE, *tones.names()])] = "beep"
    """The tone that each hears when it comes in, and who pages when it may speak; `none`: no tone."""
    timeout: Duration = Field(60.0, ge=1, le=3600)
    """How long a page lasts at most, from the first answer on."""
    ring_time: Duration = Field(10.0, ge=1, le=60)
    """How long they may take to answer; whose phone does not by then is left out."""
    skip_busy: bool = True
    """Leave alone who is in a call; `false`: call them, too, where their `call_limit` and `call_waiting` allow it."""

    @model_validator(mode="after")
    def _few_talk(self) -> PagingGroup:
        if self.mode == "two-way" and len(self.members) > MAX_TALKING:
            message = f"expected at most {MAX_TALKING} members with 'mode: two-way' instead of {len(self.members)}"
            raise at_value(message, "members")
        return self

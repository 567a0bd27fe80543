"""Ring groups as operators write them: who rings, in what order, how the call shows, and what follows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from softswitch.dialplan.models import MAX_TARGETS, Action, TargetModel, TemplateText, read_target
from softswitch.hunt_steps import CONFIRM_SECONDS
from softswitch.settings.fields import Duration, RecordRule, Section, one_or_many


class RingMember(TargetModel):
    """Who rings: an extension, or a number through a trunk."""

    weight: float = Field(1.0, gt=0, le=1000)
    """With `weighted_random`: how often early; 2 is first twice as often as 1."""
    delay: Duration | None = Field(None, ge=0, le=600)
    """With `simultaneous`: from the beginning of the call until it rings; needs the group's `ring_time`."""
    confirm: bool = False
    """Whether whoever answers has to press 1, or the call goes on without it: for mobiles with a voicemail."""


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

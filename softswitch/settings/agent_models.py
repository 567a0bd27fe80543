"""Agents as operators write them: what they can, which queues they serve, where they are called."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from softswitch.settings.acd_models import DEFAULT_TEAM, AgentId, GroupNames, Level, SkillName, WrapUp
from softswitch.settings.fields import DisplayName, ExtensionNumber, Name, Section

Weight = Annotated[float, Field(ge=-1000, le=1000)]


class Telephone(Section):
    """Where an agent is called: an extension, or a number outside."""

    extension: ExtensionNumber | None = None
    """An extension of this switch, all of whose telephones ring."""
    number: ExtensionNumber | None = None
    """A number that is dialled as an extension of `context` would dial it: a mobile, a telephone at home."""
    context: Name = "internal"
    """Dialplan context in which `number` is dialled."""

    @model_validator(mode="after")
    def _one(self) -> Telephone:
        if (self.extension is None) == (self.number is None):
            raise ValueError("expected one of 'extension' and 'number'")
        if self.extension is not None and "context" in self.model_fields_set:
            raise ValueError("'context' goes with 'number' only")
        return self


def _read_telephone(value: Any) -> Any:
    if value == "chosen":
        return None
    return {"extension": value} if isinstance(value, str) else value


TelephoneText = Annotated[
    Telephone | None,
    BeforeValidator(_read_telephone, json_schema_input_type=ExtensionNumber | Literal["chosen"] | Telephone | None),
]


class Agent(Section):
    """One agent."""

    id: AgentId
    """The name or number that it is known by; not written, it is the key in `agents`."""
    name: DisplayName = ""
    """For people."""
    team: Name = DEFAULT_TEAM
    """Its team: only queues of this one reach it."""
    groups: GroupNames = ()
    """Groups of `agent_groups` that it is in."""
    skills: Annotated[dict[SkillName, Level], Field(max_length=200)] = {}
    """Levels from 0 to 100, by skill: `{lang.es: 80}`; a skill that is not here is one of level 0."""
    weights: Annotated[dict[Name, Weight], Field(max_length=200)] = {}
    """By queue: points of priority that its contacts have for this agent; and, with `weighted_random`, how often it is
    drawn (then 1 where none is written)."""
    mode: Literal["inbound", "outbound", "both", "self"] = "inbound"
    """Which contacts it takes: those of queues with this `direction`, of both, or as it says itself while it works."""
    wrap_up: WrapUp | None = None
    """Its after-call work, in place of what the queue says; absent, as the queue says."""
    telephone: TelephoneText = None
    """Where it is called: an extension, `{number: NUMBER}` outside, or `chosen` when it signs in, as where none is
    written."""
    direct_calls: Literal["busy", "free"] = "busy"
    """Whether calls that no queue has brought keep queues from calling it."""

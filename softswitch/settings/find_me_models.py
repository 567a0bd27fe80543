"""Find-me lists as operators write them: where else an extension's calls are to find it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from softswitch.hunt_steps import CONFIRM_SECONDS
from softswitch.settings.fields import Duration, ExtensionNumber, Section, one_or_many

MAX_NUMBERS = 16  # of one list


class FindMeNumber(Section):
    """A number that is dialled as the extension would dial it: with its rights, and on its account."""

    number: ExtensionNumber
    """What is dialled, in the extension's own context: another extension, or what a route takes to a trunk."""
    delay: Duration | None = Field(None, ge=0, le=600)
    """With `simultaneous`: from the beginning of the call until it rings; absent, at once."""
    ring_time: Duration = Field(20.0, ge=1, le=600)
    """How long it rings."""
    confirm: bool | None = None
    """Whether whoever answers has to press 1, or the call goes on without it; absent, where a trunk is called."""


def _read_number(value: Any) -> Any:
    return {"number": value} if isinstance(value, str) else value


FindMeNumberText = Annotated[
    FindMeNumber, BeforeValidator(_read_number, json_schema_input_type=ExtensionNumber | FindMeNumber)
]


class FindMe(Section):
    """Numbers, and how they ring with the extension's own phones."""

    numbers: Annotated[
        tuple[FindMeNumberText, ...],
        BeforeValidator(one_or_many, json_schema_input_type=FindMeNumberText | list[FindMeNumberText]),
        Field(max_length=MAX_NUMBERS),
    ] = ()
    """Numbers, or mappings with `number`: one, or a list."""
    enabled: bool = True
    """Whether they ring; at run time the feature `find_me` says (`softswitch feature`)."""
    strategy: Literal["simultaneous", "sequential"] = "simultaneous"
    """With the extension's phones, each from its `delay` on; or after them, one after another."""
    confirm_within: Duration = Field(CONFIRM_SECONDS, ge=3, le=60)
    """How long whoever has answered may take to press a key."""

    @model_validator(mode="after")
    def _in_turn(self) -> FindMe:
        if self.strategy == "sequential" and any(each.delay is not None for each in self.numbers):
            raise ValueError("'delay' goes with 'strategy: simultaneous': in turn, one rings after another")
        return self


def _read_list(value: Any) -> Any:
    return value if isinstance(value, dict | FindMe) and "number" not in value else {"numbers": value}


FindMeList = Annotated[
    FindMe, BeforeValidator(_read_list, json_schema_input_type=FindMeNumberText | list[FindMeNumberText] | FindMe)
]

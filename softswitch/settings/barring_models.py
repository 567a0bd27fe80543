"""Which numbers nobody may call through a trunk unless he is allowed to, as operators write it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from softswitch.dialplan.models import PatternText
from softswitch.settings.fields import NUMBER_PATTERN, Name, Section, one_or_many

INTERNATIONAL = "international"
"""The class that numbers of a home country are never in."""

DEFAULT_CLASSES: dict[str, tuple[str, ...]] = {
    INTERNATIONAL: ("_+X.", "_00X.", "_011X."),
    "premium": (
        # International premium rate and satellites (E.164 country codes 979, 881 to 883), shared by every country.
        *("_+979.", "_00979.", "_011979.", "_+88[1-3].", "_0088[1-3].", "_01188[1-3]."),
        # North America, then Germany and others that begin such numbers with 0900.
        *("_1900NXXXXXX", "_+1900NXXXXXX", "_0900.", "_+49900.", "_0049900.", "_0137.", "_+49137.", "_0049137."),
    ),
}

ClassPatterns = Annotated[
    tuple[PatternText, ...],
    BeforeValidator(one_or_many, json_schema_input_type=PatternText | list[PatternText]),
    Field(max_length=1000),
]
HomeCode = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{0,6}$")]
ClassNames = Annotated[
    tuple[Name, ...], BeforeValidator(one_or_many, json_schema_input_type=Name | list[Name]), Field(max_length=64)
]


def _with_defaults(written: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return DEFAULT_CLASSES | written


class Barring(Section):
    """Numbers that cost: barred for calls through trunks, unless caller or route may call their class."""

    home: Annotated[
        tuple[HomeCode, ...], BeforeValidator(one_or_many, json_schema_input_type=HomeCode | list[HomeCode])
    ] = ()
    """Country codes, such as `+49`, whose numbers are not `international` in whatever form they are dialled."""
    emergency: Annotated[
        tuple[Annotated[str, Field(pattern=NUMBER_PATTERN)], ...],
        BeforeValidator(one_or_many, json_schema_input_type=str | list[str]),
    ] = ("112", "110", "911", "999")
    """Numbers, as the dialplan sends them to a trunk, that nothing here keeps from being called or cuts off."""
    classes: Annotated[dict[Name, ClassPatterns], AfterValidator(_with_defaults)] = {}
    """Patterns of numbers by name of class; `international` and `premium` are there unless written anew, empty: off."""

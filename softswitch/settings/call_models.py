"""What operators write about calls that are transferred or parked."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from softswitch.settings.fields import Duration, ExtensionNumber, Name, Section

MAX_SLOTS = 1000
"""Of one parking lot."""

_SLOTS = re.compile(r"([0-9]{1,12})-([0-9]{1,12})")

PickUpRule = Literal["groups", "all", "none"]


def read_slots(value: Any) -> Any:
    """`701-720`, one number, or a list of either, as a list of numbers."""
    written = value if isinstance(value, list | tuple) else [value]
    slots: list[Any] = []
    for each in written:
        text = str(each) if isinstance(each, int) else each
        match = _SLOTS.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            slots.append(text)
            continue
        first, last = int(match[1]), int(match[2])
        if last < first or last - first >= MAX_SLOTS:
            raise ValueError(f"bad slots {text!r}: expected a range FIRST-LAST of at most {MAX_SLOTS} numbers")
        width = len(match[1])
        slots += [str(number).zfill(width) for number in range(first, last + 1)]
    return tuple(slots)


Slots = Annotated[
    tuple[ExtensionNumber, ...],
    BeforeValidator(read_slots, json_schema_input_type=str | int | list[str | int]),
    Field(min_length=1, max_length=MAX_SLOTS),
]


class ParkingLot(Section):
    """Numbered slots in which callers wait until somebody dials the slot."""

    slots: Slots
    """The numbers of its slots: `701-720`, or a list. They are dialled by a route with `retrieve`."""
    timeout: Duration = Field(120.0, ge=5, le=86400)
    """How long a caller waits; then whoever has parked it is rung."""
    fallback: ExtensionNumber | None = None
    """The number that is called where those do not answer, as if they had dialled it; absent, `transfers.fallback`."""
    music: Name | None = None
    """The class of hold music that is heard here; absent, the caller's own, or `default`."""
    announce: bool = True
    """Whoever parks a caller hears the slot."""


class Transfers(Section):
    """What becomes of callers whom nobody takes to whom they were sent on."""

    recall: bool = True
    """The extension that has transferred a caller and has hung up is rung again, where nobody takes the call."""
    fallback: ExtensionNumber | None = None
    """The number that is called where that does not answer either, as if it had dialled it; absent, the call ends."""

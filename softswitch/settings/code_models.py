"""The codes that people dial at their telephones, as operators write them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from softswitch.feature_codes import ALL, DIALLED, IN_CALL, NONE, Allowed, swallowed
from softswitch.settings.fields import Duration, Name, Section, one_or_many
from softswitch.settings.validation import at_value

CODE_PATTERN = "[*#][0-9*#]{1,7}"


def _code(value: object) -> object:
    if value in ("none", "off"):
        return None
    if isinstance(value, str) and not re.fullmatch(CODE_PATTERN, value):
        raise ValueError(f"bad code {value[:20]!r}: expected * or #, and behind it 1 to 7 of 0-9, * and #")
    return value


_CODE_TEXT = Annotated[str, Field(pattern=f"^({CODE_PATTERN}|none|off)$", examples=["*78"])]
Code = Annotated[str | None, BeforeValidator(_code, json_schema_input_type=_CODE_TEXT | None)]
"""`none` and `off`, as no text at all, are no code."""


def _digits(pin: SecretStr) -> SecretStr:
    if not re.fullmatch("[0-9]{4,16}", pin.get_secret_value()):
        raise ValueError("expected a PIN of 4 to 16 digits")
    return pin


Pin = Annotated[SecretStr, AfterValidator(_digits)]


def _none_alone(allowed: tuple[str, ...]) -> tuple[str, ...]:
    if NONE in allowed and len(allowed) > 1:
        raise ValueError(f"expected '{NONE}' alone, or names of codes and '{ALL}'")
    return allowed


AllowedCodes = Annotated[
    tuple[Allowed, ...],
    BeforeValidator(one_or_many, json_schema_input_type=Allowed | list[Allowed]),
    AfterValidator(_none_alone),
    Field(min_length=1, max_length=64),
]


def _check_twice(codes: dict[str, str]) -> None:
    known: dict[str, str] = {}
    for action, code in codes.items():
        other = known.setdefault(code, action)
        if other != action:
            raise at_value(f"{code!r} is the code of {other} already: expected another", action)


class InCallCodes(Section):
    """Codes dialled during a call; none is there unless it is written."""

    record: Code = None
    """Begin, or end, the recording of the call."""
    attended_transfer: Code = None
    """Ask somebody else first, whose number follows."""
    blind_transfer: Code = None
    """Send the other one to the number that follows."""
    three_way: Code = None
    """Talk to both, the one who waits and the one who is asked."""
    swap: Code = None
    """Talk to the one who waits, the other waits."""
    park: Code = None
    """Park the other one."""
    park_lot: Name | None = None
    """Parking lot that `park` parks in; absent, the only one."""
    return_: Code = Field(None, alias="return")
    """Back to the one who waits; whoever is asked is let go."""
    digit_timeout: Duration = Field(1.5, ge=0.2, le=10)
    """Longest pause between two digits of a code."""
    number_timeout: Duration = Field(4.0, ge=0.5, le=30)
    """Pause after which a number that follows is whole; `#` ends it at once."""

    @model_validator(mode="after")
    def _each_once(self) -> InCallCodes:
        _check_twice(self.codes)
        return self

    @property
    def codes(self) -> dict[str, str]:
        """By action."""
        found = {name: getattr(self, name) for name in type(self).model_fields if name.rstrip("_") in IN_CALL}
        return {name.rstrip("_"): code for name, code in found.items() if code is not None}


class FeatureCodes(Section):
    """Codes that extensions dial; none is there unless it is written. `*72 NUMBER` is dialled as `*72102`."""

    forward_always_on: Code = None
    """Forward all calls to the number that follows; where none does, it is asked for."""
    forward_always_off: Code = None
    """Forward them no more."""
    forward_always_query: Code = None
    """Hear where they go."""
    forward_busy_on: Code = None
    """The same for calls that find the extension busy."""
    forward_busy_off: Code = None
    """Forward them no more."""
    forward_busy_query: Code = None
    """Hear where they go."""
    forward_no_answer_on: Code = None
    """The same for calls that nobody takes."""
    forward_no_answer_off: Code = None
    """Forward them no more."""
    forward_no_answer_query: Code = None
    """Hear where they go."""
    forward_unavailable_on: Code = None
    """The same for calls while no phone of the extension is there."""
    forward_unavailable_off: Code = None
    """Forward them no more."""
    forward_unavailable_query: Code = None
    """Hear where they go."""
    dnd_on: Code = None
    """Do not disturb: calls find the extension busy."""
    dnd_off: Code = None
    """Calls ring again."""
    dnd_toggle: Code = None
    """The one or the other."""
    dnd_query: Code = None
    """Hear which."""
    call_waiting_on: Code = None
    """A call rings during another."""
    call_waiting_off: Code = None
    """It finds the extension busy."""
    call_waiting_query: Code = None
    """Hear which."""
    pick_up_group: Code = None
    """Take a call that rings at somebody of the own `groups`."""
    pick_up: Code = None
    """Take the call that rings at the extension that follows."""
    intercom: Code = None
    """Talk to the extension that follows, whose phone answers by itself."""
    listen: Code = None
    """Listen to the call of the extension that follows, as `supervises` of who dials allows; so the next two."""
    whisper: Code = None
    """Listen, and be heard by that extension alone."""
    barge: Code = None
    """Join the call."""
    record_call: Code = None
    """Call the number that follows, and record the call; for extensions with `record: on-demand` or `always`."""
    last_caller: Code = None
    """Call the one who called last."""
    own_number: Code = None
    """Hear the number of the extension."""
    in_call: InCallCodes = InCallCodes()
    """Codes dialled during a call."""

    @model_validator(mode="after")
    def _told_apart(self) -> FeatureCodes:
        codes = self.codes
        _check_twice(codes)
        for action, taker in swallowed(codes):
            raise at_value(
                f"{codes[action]!r} begins with {codes[taker]!r}, the code of {taker}, behind which a number stands: "
                "expected another",
                action,
            )
        return self

    @property
    def codes(self) -> dict[str, str]:
        """By action."""
        found = {action: getattr(self, action) for action in DIALLED}
        return {action: code for action, code in found.items() if code is not None}

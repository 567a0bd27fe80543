"""Subscriptions: how long and how many, and whom an extension may watch."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BeforeValidator, Field, model_validator

from softswitch.settings.fields import Duration, Section, one_or_many

EVERYBODY: Final = "all"
"""Stands for every extension in `watch`."""

WatchedName = Annotated[str, Field(pattern=r"^[A-Za-z0-9*#+_.-]{1,64}$")]
"""An extension's number or a ring group's name."""
WatchList = Annotated[
    tuple[WatchedName, ...],
    BeforeValidator(one_or_many, json_schema_input_type=WatchedName | list[WatchedName]),
    Field(max_length=1000),
]


class SubscriptionBounds(Section):
    """Bounds of subscriptions (RFC 6665): busy lamps, presence, messages waiting."""

    min: Duration = Field(60.0, ge=10, le=3600)
    """Less is answered 423."""
    max: Duration = Field(3600.0, ge=60, le=86400)
    """More is shortened to this, which is also granted where a phone names no time."""
    per_extension: int = Field(500, ge=1, le=100_000)
    """Subscriptions of one extension; one more is answered 403."""
    total: int = Field(20_000, ge=1, le=1_000_000)
    """Subscriptions in all, transfers under way included; one more is answered 503 with Retry-After."""

    @model_validator(mode="after")
    def _rising(self) -> SubscriptionBounds:
        if self.max < self.min:
            raise ValueError("expected 'max' to be at least 'min'")
        return self

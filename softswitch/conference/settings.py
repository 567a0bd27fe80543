"""What an operator can write about a conference room."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from media import say
from media.sound_settings import read_language
from softswitch.settings.fields import ExtensionNumber, Name, Section
from softswitch.settings.validation import at_value

Action = Literal[
    "mute",
    "quieter",
    "louder",
    "lock",
    "kick-last",
    "mute-guests",
    "record",
    "roll-call",
    "admit",
    "refuse",
    "end",
    "leave",
    "help",
]
"""What a digit after `*` can do. quieter, louder: what the member hears; admit, refuse: the first in the lobby."""

GUEST_ACTIONS: tuple[Action, ...] = ("mute", "quieter", "louder", "roll-call", "leave", "help")
"""What guests may be given; the rest is the hosts'."""

Menu = dict[Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], Action]

PIN_LENGTHS = range(3, 17)
"""Digits of a PIN: fewer are guessed within the tries of a few calls, more nobody keeps in mind."""

CONFERENCES = 10_000
"""Rooms of one configuration."""


def _guest_menu() -> Menu:
    return {"1": "mute", "4": "quieter", "6": "louder", "0": "help"}


def _host_menu() -> Menu:
    return {
        "1": "mute",
        "2": "lock",
        "3": "kick-last",
        "4": "quieter",
        "5": "mute-guests",
        "6": "louder",
        "7": "record",
        "8": "roll-call",
        "9": "admit",
        "0": "help",
    }


class ConferenceRoom(Section):
    """A conference room; its numbers are those that the dialplan leads to it."""

    pin: SecretStr | None = None
    """Digits that guests are asked for; absent, anybody may join."""
    host_pin: SecretStr | None = None
    """Digits that make a caller a host; absent, hosts come only by the operator."""
    wait_for_host: bool = False
    """Guests hear music until a host is there, and again when the last host has left."""
    lobby: bool = False
    """Each guest hears music until a host or the operator admits it."""
    limit: int = Field(0, ge=0, le=1000)
    """Members beyond which guests are turned away; hosts are not. 0: no limit."""
    lock: bool = False
    """Begin locked: only hosts come in, and those whom they or the operator bring."""
    entry: Literal["tones", "names", "none"] = "tones"
    """What is heard when somebody comes or goes: a tone, the name that each is asked to say, or nothing."""
    end_with_host: bool = False
    """When the last host leaves, it ends for all."""
    record: bool = False
    """Record it from the first member on; hosts may do so at any time."""
    music: Name = "default"
    """Class of hold music while waiting."""
    announce_count: bool = False
    """Tell newcomers how many are there."""
    mute_guests: bool = False
    """Guests begin muted, until a host unmutes them."""
    language: str = ""
    """Language of prompts and speech; absent, that of `media.sounds`."""
    talkers: bool = False
    """Tell who begins and ends to talk."""
    dial_as: ExtensionNumber | None = None
    """Extension with whose rights the room calls whom the operator wants in it (`softswitch conference NAME dial`), and
    whose number is shown; hosts call with their own."""
    guest_menu: Menu = Field(default_factory=_guest_menu)
    """What the digit after `*` does for guests; replaces all of the usual ones."""
    host_menu: Menu = Field(default_factory=_host_menu)
    """What the digit after `*` does for hosts; replaces all of the usual ones."""

    @field_validator("pin", "host_pin")
    @classmethod
    def _is_a_pin(cls, value: SecretStr | None) -> SecretStr | None:
        # The PIN itself is never repeated.
        text = value.get_secret_value() if value is not None else None
        if text is not None and not (text.isascii() and text.isdigit() and len(text) in PIN_LENGTHS):
            raise ValueError(f"expected {PIN_LENGTHS.start} to {PIN_LENGTHS.stop - 1} digits, in quotes")
        return value

    @field_validator("language")
    @classmethod
    def _is_a_language(cls, value: str) -> str:
        if read_language(value) and not say.speaks(value):
            raise ValueError(f"language {value[:40]!r}: expected one of {', '.join(say.languages())}")
        return value

    @model_validator(mode="after")
    def _goes_together(self) -> ConferenceRoom:
        if self.pin is not None and self.pin == self.host_pin:
            raise at_value("expected another PIN for hosts than for guests", "host_pin")
        for key in ("wait_for_host", "end_with_host", "lobby"):
            if getattr(self, key) and self.host_pin is None:
                raise at_value(f"{key} needs a 'host_pin', or nobody can be the host", key)
        for digit, action in self.guest_menu.items():
            if action not in GUEST_ACTIONS:
                message = f"{action} is for hosts: expected one of {', '.join(sorted(GUEST_ACTIONS))}"
                raise at_value(message, "guest_menu", digit)
        return self


def _with_empty_rooms(written: Any) -> Any:
    """`board:` without anything below it is a room as all are."""
    if not isinstance(written, dict):
        return written
    return {name: {} if room is None else room for name, room in written.items()}


ConferenceRooms = Annotated[
    dict[Name, ConferenceRoom], BeforeValidator(_with_empty_rooms), Field(max_length=CONFERENCES)
]
"""Rooms by name."""


ACTIONS: tuple[Action, ...] = get_args(Action)

"""What people set at their phones while the switch runs: forwards, do not disturb, call waiting, find-me.

    set, clear -> state, and a change for the store to write
    forward, flag, no_answer_after -> what was set; None: nothing, so that the extension's settings count

What is set here wins over the settings until it is cleared, also where it says "off". Pure: the store writes `changes`,
and gives them back at the next start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Literal, get_args

import msgspec

from softswitch.spelling import unknown_word

Feature = Literal[
    "dnd",
    "call_waiting",
    "forward_always",
    "forward_busy",
    "forward_no_answer",
    "forward_unavailable",
    "no_answer_after",
    "find_me",
]
Flag = Literal["dnd", "call_waiting", "find_me"]

FEATURES: tuple[Feature, ...] = get_args(Feature)
FLAGS: tuple[Flag, ...] = get_args(Flag)

ON, OFF = "on", "off"
DEFAULT = "default"
"""No value, but the word by which people ask for the settings' one: no number to forward to."""

MAX_NO_ANSWER_AFTER = 600  # seconds; as ring_timeout of the settings

_NUMBER = re.compile(r"[A-Za-z0-9*#+_.-]{1,32}")  # as the settings' extension numbers
_SECONDS = re.compile(r"[0-9]{1,3}")


class FeatureRefused(ValueError):
    """What was asked for can't be set: one line that says what is wrong and what is expected."""


class FeatureChange(msgspec.Struct, frozen=True, gc=False):
    """One feature of one extension as it is now. `value` None: nothing is set any more."""

    extension: str
    feature: str
    value: str | None


class Features:
    """The features of all extensions of a switch: at most `len(FEATURES)` values for each."""

    __slots__ = ("_extensions", "_values", "changes", "dead_end", "has_list")

    def __init__(self, extensions: Collection[str] = ()) -> None:
        self.changes: list[FeatureChange] = []
        """For the store to write, in order; whoever has written them clears the list."""
        self.dead_end: Callable[[str, str], str] = _leads_on
        """Why a number leads nowhere when an extension dials it, "" where it leads somewhere; whoever knows the
        dialplan sets it."""
        self.has_list: Callable[[str], bool] = lambda _extension: True
        """Whether an extension's settings have a find-me list that could be on; whoever knows them sets it."""
        self._extensions = extensions
        self._values: dict[str, dict[str, str]] = {}

    def __len__(self) -> int:
        """Extensions that have something set."""
        return len(self._values)

    # Commands

    def set(self, extension: str, feature: str, value: str) -> None:
        """Set a feature: "on" or "off", a forward's number or "off", seconds. Raises FeatureRefused."""
        value = self._checked(extension, feature, value)
        if feature.startswith("forward_") and value != OFF:
            # A forward that leads nowhere would only be noticed by those who call.
            why = self.dead_end(extension, value)
            if why:
                raise FeatureRefused(f"{extension} can't be forwarded to {value!r}: {why}")
        if (feature, value) == ("find_me", ON) and not self.has_list(extension):
            raise FeatureRefused(f"{extension} has no find-me list: expected 'find_me' among its settings")
        values = self._values.setdefault(extension, {})
        if values.get(feature) != value:
            values[feature] = value
            self.changes.append(FeatureChange(extension, feature, value))

    def clear(self, extension: str, feature: str | None = None) -> None:
        """Let the settings count again, for one feature or (None) for all of them. Raises FeatureRefused."""
        self._known(extension)
        if feature is not None and feature not in FEATURES:
            raise _unknown(feature)
        values = self._values.get(extension, {})
        for each in list(values) if feature is None else [feature] if feature in values else []:
            del values[each]
            self.changes.append(FeatureChange(extension, each, None))
        if not values:
            self._values.pop(extension, None)

    # Look up

    def forward(self, extension: str, kind: str) -> str | None:
        """Where calls that ended as `kind` go on to; "" where no forward is wanted, None where nothing is set."""
        value = self._value(extension, f"forward_{kind}")
        return "" if value == OFF else value

    def flag(self, extension: str, feature: Flag) -> bool | None:
        """Whether a feature is on; None where nothing is set."""
        value = self._value(extension, feature)
        return None if value is None else value == ON

    def no_answer_after(self, extension: str) -> float | None:
        """Seconds after which `no_answer` is followed; None where nothing is set."""
        value = self._value(extension, "no_answer_after")
        return None if value is None else float(value)

    def of(self, extension: str) -> dict[str, str]:
        """All that is set for an extension. Raises FeatureRefused where there is no such extension."""
        self._known(extension)
        return dict(self._values.get(extension, {}))

    # Store and settings

    def restore(self, records: Iterable[FeatureChange]) -> int:
        """Take over what was set before a restart; returns how many. Of extensions that are gone it is forgotten, and
        so is what can't be read any more. A forward is kept whatever the dialplan says now: it may be being mended."""
        taken = 0
        for record in records:
            try:
                value = self._checked(record.extension, record.feature, record.value or "")
            except FeatureRefused:
                self.changes.append(FeatureChange(record.extension, record.feature, None))
                continue
            self._values.setdefault(record.extension, {})[record.feature] = value
            taken += 1
        return taken

    def configure(self, extensions: Collection[str]) -> None:
        """The extensions that there are now; what others had set is forgotten: whoever gets such a number later must
        not find the forwards of the one before."""
        self._extensions = extensions
        for gone in [each for each in self._values if each not in extensions]:
            self.changes += [FeatureChange(gone, feature, None) for feature in self._values.pop(gone)]

    # Inside

    def _value(self, extension: str, feature: str) -> str | None:
        values = self._values.get(extension)
        return None if values is None else values.get(feature)

    def _known(self, extension: str) -> None:
        if extension not in self._extensions:
            raise FeatureRefused(f"there is no extension {extension[:32]!r}")

    def _checked(self, extension: str, feature: str, value: str) -> str:
        self._known(extension)
        if feature not in FEATURES:
            raise _unknown(feature)
        if feature in FLAGS:
            if value not in (ON, OFF):
                raise FeatureRefused(f"bad {feature} {value[:32]!r}: expected 'on' or 'off'")
        elif feature == "no_answer_after":
            if not _SECONDS.fullmatch(value) or not 1 <= int(value) <= MAX_NO_ANSWER_AFTER:
                raise FeatureRefused(f"bad {feature} {value[:32]!r}: expected seconds from 1 to {MAX_NO_ANSWER_AFTER}")
            value = str(int(value))
        elif value in (ON, DEFAULT) or not _NUMBER.fullmatch(value):
            raise FeatureRefused(
                f"bad number {value[:32]!r} in {feature}: expected up to 32 letters, digits, * # + _ . -, or 'off'"
            )
        elif value == extension:
            raise FeatureRefused(f"{extension} can't be forwarded to itself: expected another number, or 'off'")
        return value


def _unknown(feature: str) -> FeatureRefused:
    return FeatureRefused(unknown_word("feature", feature, FEATURES))


def _leads_on(_extension: str, _number: str) -> str:
    return ""

"""Carries the codes out that set something up, and says what is so then: the same commands as `softswitch feature`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from softswitch.feature_codes import ASKS_NUMBER
from softswitch.feature_speech import Spoken, asked, done, refused
from softswitch.features import OFF, ON, FeatureRefused

SetFeature = Callable[[str, str, str | None], None]
"""(extension, feature, value); raises FeatureRefused."""


class Settled(Protocol):
    """How things are for extensions."""

    def forward(self, extension: str, kind: str) -> str | None: ...

    def do_not_disturb(self, extension: str) -> bool: ...

    def call_waiting(self, extension: str) -> bool: ...


def carry_out(
    book: Settled, set_feature: SetFeature, language: str, extension: str, action: str, number: str
) -> Spoken:
    """Do what a code stands for, for the extension that has dialled it; the caller has seen that it may."""
    if action == "own_number":
        return done("own_number", language, extension)
    if action == "last_caller":
        return refused("no_caller", language)  # with a number, that is a call and does not come here
    if action.startswith("dnd_"):
        wanted = not book.do_not_disturb(extension) if action == "dnd_toggle" else action == "dnd_on"
        if action != "dnd_query":
            set_feature(extension, "dnd", ON if wanted else OFF)
        return done("dnd_on" if book.do_not_disturb(extension) else "dnd_off", language)
    if action.startswith("call_waiting_"):
        if action != "call_waiting_query":
            set_feature(extension, "call_waiting", ON if action == "call_waiting_on" else OFF)
        return done("call_waiting_on" if book.call_waiting(extension) else "call_waiting_off", language)
    if action.startswith("forward_"):
        return _forward(book, set_feature, language, extension, action, number)
    # What goes with an extension has got none, or one that is not there.
    return refused("bad_number" if number else "no_number", language)


def _forward(book: Settled, set_feature: SetFeature, language: str, extension: str, action: str, number: str) -> Spoken:
    feature, _, verb = action.rpartition("_")
    kind = feature.removeprefix("forward_")
    if action in ASKS_NUMBER and not number:
        return asked("ask_number", language)
    if verb != "query":
        try:
            set_feature(extension, feature, number if verb == "on" else OFF)
        except FeatureRefused:
            return refused("bad_number", language)
    now = book.forward(extension, kind)
    return done(f"{feature}_off", language) if now is None else done(f"{feature}_on", language, now)

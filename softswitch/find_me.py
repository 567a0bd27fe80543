"""Find-me: other numbers at which an extension's calls are to find it, called besides its telephones or after them.

    simultaneous   its telephones at once, each number from its `delay` on
    sequential     its telephones, then each number by itself

Whoever answers at a number that a trunk is called for has to press a key first: the mailbox of a mobile answers, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from softswitch.dialplan.decision import AnyTarget, ExtensionTarget, NumberTarget
from softswitch.hunt_steps import CONFIRM_SECONDS, Member, Step, scheduled

PROMPTS: Final = {
    "en": "You have a call. Press 1 to accept it, or 2 to refuse it.",
    "de": "Sie haben einen Anruf. Drücken Sie die 1, um ihn anzunehmen, oder die 2, um ihn abzulehnen.",
    "fr": "Vous avez un appel. Appuyez sur le 1 pour l'accepter, ou sur le 2 pour le refuser.",
    "es": "Tiene una llamada. Pulse 1 para aceptarla, o 2 para rechazarla.",
    "it": "Ha una chiamata. Prema 1 per accettarla, o 2 per rifiutarla.",
}
"""What is said to whom answers, by language; the keys are those of `softswitch.hunt`."""


class FindMeNumber(msgspec.Struct, frozen=True, kw_only=True):
    """One place."""

    number: str
    delay: float = 0.0
    """Seconds from the beginning of the call (`simultaneous`)."""
    ring_time: float = 20.0
    confirm: bool | None = None
    """Whether a key is to be pressed; None: where a trunk is called."""


class FindMe(msgspec.Struct, frozen=True, kw_only=True):
    """The list of one extension."""

    numbers: tuple[FindMeNumber, ...]
    enabled: bool = True
    """Where nothing was set at its phone."""
    sequential: bool = False
    confirm_within: float = CONFIRM_SECONDS
    """Seconds in which a key is to be pressed."""


def steps(
    extension: str, wanted: FindMe, ring_time: float, uses_trunk: Callable[[str], bool]
) -> tuple[Step[AnyTarget], ...]:
    """Who rings when. `ring_time`: seconds for its own telephones; `uses_trunk`: of a number, whether a trunk is called
    for it."""
    members: list[Member[AnyTarget]] = [Member(ExtensionTarget(extension), lasts=ring_time)]
    after = ring_time
    for each in wanted.numbers:
        confirm = uses_trunk(each.number) if each.confirm is None else each.confirm
        begins = after if wanted.sequential else each.delay
        after = begins + each.ring_time
        seconds = wanted.confirm_within if confirm else 0.0
        members.append(
            Member(NumberTarget(extension, each.number), after=begins, lasts=each.ring_time, confirm=seconds)
        )
    return scheduled(members)


def prompt(language: str) -> str:
    """The text in a language ("de", "de-AT"), or in English."""
    return PROMPTS.get(language.partition("-")[0].lower(), PROMPTS["en"])

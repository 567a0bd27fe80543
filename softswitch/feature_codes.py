"""What people dial to set something up or to be connected in a special way: `*78`, `*72102`.

A code stands for an action. Some actions take a number, which follows the code at once (`*72102`; `*72*102` and a hash
key at the end, as GSM telephones write it, mean the same). The longest code that a number begins with counts. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, get_args

import msgspec

ForwardKind = Literal["always", "busy", "no_answer", "unavailable"]

DialledAction = Literal[
    "forward_always_on",
    "forward_always_off",
    "forward_always_query",
    "forward_busy_on",
    "forward_busy_off",
    "forward_busy_query",
    "forward_no_answer_on",
    "forward_no_answer_off",
    "forward_no_answer_query",
    "forward_unavailable_on",
    "forward_unavailable_off",
    "forward_unavailable_query",
    "dnd_on",
    "dnd_off",
    "dnd_toggle",
    "dnd_query",
    "call_waiting_on",
    "call_waiting_off",
    "call_waiting_query",
    "pick_up_group",
    "pick_up",
    "intercom",
    "listen",
    "whisper",
    "barge",
    "record_call",
    "last_caller",
    "own_number",
]
CallAction = Literal["record", "attended_transfer", "blind_transfer", "three_way", "swap", "park", "return"]
Allowed = Literal["all", "none", DialledAction, CallAction]

DIALLED: tuple[DialledAction, ...] = get_args(DialledAction)
IN_CALL: tuple[CallAction, ...] = get_args(CallAction)

ASKS_NUMBER = frozenset(action for action in DIALLED if action.startswith("forward_") and action.endswith("_on"))
"""The number follows, or is asked for."""

TAKES_NUMBER = ASKS_NUMBER | {"pick_up", "intercom", "listen", "whisper", "barge", "record_call"}
"""The number follows."""

ALL: Literal["all"] = "all"
NONE: Literal["none"] = "none"


class Dialled(msgspec.Struct, frozen=True, gc=False):
    """A code that was dialled. `number`: what followed, "" for nothing."""

    action: str
    number: str = ""


class FeatureCodes:
    """The codes that there are. Immutable."""

    __slots__ = ("_actions", "_longest")

    def __init__(self, codes: Mapping[str, str] | None = None) -> None:
        """`codes`: by action."""
        self._actions = {code: action for action, code in (codes or {}).items()}
        self._longest = max(map(len, self._actions), default=0)

    def find(self, dialled: str) -> Dialled | None:
        """The code that a dialled number begins with; None where it is no code, or has more behind it than it takes."""
        for length in range(min(len(dialled), self._longest), 0, -1):
            action = self._actions.get(dialled[:length])
            if action is None:
                continue
            rest = dialled[length:].removesuffix("#")
            if not rest:
                return Dialled(action)
            if action in TAKES_NUMBER:
                return Dialled(action, rest.removeprefix("*"))
        return None


def may_use(allowed: Collection[str], action: str) -> bool:
    """Whether somebody who is allowed these may use the code of an action."""
    return action in allowed or ALL in allowed


def swallowed(codes: Mapping[str, str]) -> list[tuple[str, str]]:
    """(action, action that takes a number) of codes that begin with another's: dialled, they could be either."""
    takers = [(action, code) for action, code in codes.items() if action in TAKES_NUMBER]
    return [
        (action, taker)
        for action, code in codes.items()
        for taker, shorter in takers
        if action != taker and code.startswith(shorter)
    ]

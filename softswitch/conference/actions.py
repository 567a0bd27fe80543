"""What can be done to a conference, by the words of commands; apart from what does it, for the command line's help."""

from __future__ import annotations

from typing import Literal, get_args

Action = Literal[
    "list",
    "mute",
    "unmute",
    "deaf",
    "undeaf",
    "kick",
    "kick-all",
    "mute-guests",
    "unmute-guests",
    "lock",
    "unlock",
    "admit",
    "refuse",
    "record-start",
    "record-pause",
    "record-resume",
    "record-stop",
    "dial",
    "end",
]
ACTIONS: tuple[Action, ...] = get_args(Action)

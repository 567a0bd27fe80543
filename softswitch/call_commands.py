"""What can be done to calls in progress, as typed commands: the command line sends them today, an API would send the
same.

`call` names a call: the id of its contact, or an extension that is in no other. `by` is the extension that does it, and
needs no name where `call` is that extension.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec

from softswitch.spelling import unknown_word

MAX_TEXT = 128
"""Characters of a name or number."""

Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class CallCommand(msgspec.Struct, forbid_unknown_fields=True, tag_field="do", tag=str.lower):
    """Something to be done to a call."""

    call: Text
    by: Text = ""


class Transfer(CallCommand):
    """Send the partner to a number: blind transfer."""

    number: Text = ""


class Consult(CallCommand):
    """Call a number while the others hear music."""

    number: Text = ""


class Complete(CallCommand):
    """Leave those aside to whom was consulted."""


class Return(CallCommand):
    """Go back to those aside, and let go whom was consulted."""


class Swap(CallCommand):
    """Talk to those aside, and leave aside whom was talked to."""


class Conference(CallCommand):
    """Talk to all of them."""


class Drop(CallCommand):
    """Have a party leave the call; the others talk on. `party`: its extension, its trunk, or its number
    on a trunk."""

    party: Text = ""


class Hold(CallCommand):
    """Hold the others, who hear music."""


class Resume(CallCommand):
    """Take up again what is held by command."""


class Park(CallCommand):
    """Park the partner. `lot` "": the only one; `slot` "": the first that is free."""

    lot: Text = ""
    slot: Text = ""


class Supervise(CallCommand):
    """Have `by` listen to the call, whisper to `to` or barge in. Its telephone rings where it does not supervise that
    call already. `to`: an extension in the call; "": the one that `call` names, or the only one."""

    mode: Literal["listen", "whisper", "barge"] = "listen"
    to: Text = ""


class PickUp(CallCommand):
    """Have `by` take a call that rings elsewhere: its telephone rings, and who answers there has the call."""


class HangUp(CallCommand):
    """End the call."""


AnyCallCommand = (
    Transfer
    | Consult
    | Complete
    | Return
    | Swap
    | Conference
    | Drop
    | Hold
    | Resume
    | Park
    | Supervise
    | PickUp
    | HangUp
)


NAMES: tuple[str, ...] = tuple([str(each.__struct_config__.tag) for each in get_args(AnyCallCommand)])
"""What `do` may be."""


class CommandRefused(ValueError):
    """That is no command: `args[0]` says what is wrong, and what was expected."""


def read_command(args: dict[str, Any]) -> AnyCallCommand:
    """A command out of plain values, `do` among them. Raises `CommandRefused`."""
    do = args.get("do")
    if do not in NAMES:
        raise CommandRefused(unknown_word("command", str(do), NAMES))
    for name, value in args.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise CommandRefused(f"{value[:20]!r}... is too long: expected at most {MAX_TEXT} characters in {name!r}")
    try:
        command: AnyCallCommand = msgspec.convert(args, AnyCallCommand)
    except msgspec.ValidationError as error:
        raise CommandRefused(f"not the command {do!r}: {error}") from None
    return command

"""What the dialplan answers: neutral values, ready for the call model.

A `Decision` is complete: numbers are rewritten, variables expanded (once), extensions that do not exist are
gone, and every fall-through is itself a decision. Nothing in it is looked at a second time.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from media.audio_commands import Source, Tone
from softswitch.hunt_steps import Step

# Q.850 causes that the dialplan itself answers with.
UNALLOCATED = 1  # unallocated (unassigned) number
NO_ROUTE = 3  # no route to destination
CALL_REJECTED = 21  # call rejected
ROUTING_ERROR = 25  # exchange routing error: `goto` went round in circles
INVALID_NUMBER = 28  # invalid number format (address incomplete)


class Ring(msgspec.Struct, frozen=True, gc=False):
    """How a ring group, an intercom call or a page rings its extensions."""

    skip_busy: bool = False
    """Whoever is in a call counts as busy."""
    cid_prefix: str = ""
    """Put before the caller's name."""
    alert_info: str = ""
    """Alert-Info header; "" for none."""
    auto_answer: bool = False
    """Its telephones are to answer by themselves."""


class ExtensionTarget(msgspec.Struct, frozen=True, gc=False):
    """Ring an extension: all its contacts at once."""

    number: str
    ring: Ring | None = None
    """As a member of a ring group, or of those who are paged; in an intercom call."""


class TrunkTarget(msgspec.Struct, frozen=True, gc=False):
    """Call `number` through the trunk of that name; its own rewriting comes on top."""

    trunk: str
    number: str
    dialled: str = ""
    """What was dialled, where rewriting has hidden what kind of number it is; else ""."""
    allow: tuple[str, ...] = ()
    """Classes of numbers that the route opens to everybody; `softswitch.barring.ANYTHING`: written in the dialplan."""


Target = ExtensionTarget | TrunkTarget


class NumberTarget(msgspec.Struct, frozen=True, gc=False):
    """Call a number as an extension would dial it, with its rights and on its account: of its find-me list. What that
    comes to is looked up when it is to ring."""

    extension: str
    number: str


AnyTarget = Target | NumberTarget
"""Whatever a hunt calls; decisions of the dialplan name no `NumberTarget`."""


class Dial(msgspec.Struct, frozen=True, gc=False):
    """Ring `targets`, all at once ("parallel", the first answer wins) or one after the other ("sequence").

    `ring_timeout` is in seconds for each attempt; None leaves it to the extension or trunk. `on_busy`,
    `on_no_answer` and `on_unavailable` say what follows when no target answered; None ends the call.
    `record`: "never", "always", "on-demand", or "" where extensions and trunks say.
    """

    targets: tuple[Target, ...]
    mode: Literal["parallel", "sequence"] = "parallel"
    ring_timeout: float | None = None
    on_busy: Decision | None = None
    on_no_answer: Decision | None = None
    on_unavailable: Decision | None = None
    route: str = ""  # name of the route that decided, for logs and call records
    record: str = ""
    pin: bool = False
    """Only for those who dial their PIN."""
    steps: tuple[Step[AnyTarget], ...] = ()
    """Who rings when, where that is neither all at once nor one after the other; of `targets`, which then are the
    members in any order. () leaves it to `mode` and `ring_timeout`."""
    asks_recording: bool = False
    """Whoever calls has asked for the recording, which begins with the talk whatever `record` says."""


class Echo(msgspec.Struct, frozen=True, gc=False):
    """Answer and send the caller's own audio back."""

    route: str = ""


class Announce(msgspec.Struct, frozen=True, gc=False):
    """Answer, play these, and hang up when they have ended (music never does)."""

    sources: tuple[Source, ...]
    route: str = ""


class Confer(msgspec.Struct, frozen=True, gc=False):
    """Answer and put the caller into the conference of that name."""

    name: str
    route: str = ""


class Reject(msgspec.Struct, frozen=True, gc=False):
    """Refuse with a Q.850 cause; `status` is the SIP status to use, None lets the cause choose it."""

    cause: int
    status: int | None = None
    route: str = ""

    def why_in(self, context: str) -> str:
        """Why a number leads nowhere in that context."""
        if self.route:
            return f"route {self.route!r} of context {context!r} rejects it"
        return f"no route of context {context!r} leads there"


class UseFeature(msgspec.Struct, frozen=True, gc=False):
    """Answer, carry out what a feature code stands for (`softswitch.feature_codes`), say what is so then, hang up."""

    action: str
    number: str = ""
    """What followed the code."""


class Park(msgspec.Struct, frozen=True, gc=False):
    """Park whoever is transferred here, in a free slot of that lot."""

    lot: str
    route: str = ""


class Retrieve(msgspec.Struct, frozen=True, gc=False):
    """Talk to whoever is parked in that slot."""

    slot: str
    route: str = ""


class PickUp(msgspec.Struct, frozen=True, gc=False):
    """Take a call that rings elsewhere: at that extension, or (`group`) at one of the caller's groups."""

    extension: str = ""
    group: bool = False


class Intercom(msgspec.Struct, frozen=True, gc=False):
    """Call an extension whose phone is to answer by itself."""

    extension: str


class Page(msgspec.Struct, frozen=True, gc=False):
    """Call all these extensions, whose phones are to answer by themselves, and let them hear who calls."""

    name: str
    members: tuple[str, ...]
    two_way: bool = False
    """They are heard, too, by everybody."""
    tone: Tone | None = None
    """What each hears when it comes in, and the caller when it may speak."""
    timeout: float = 60.0
    """Seconds from the first answer until it is over."""
    ring_time: float = 10.0
    """Seconds in which they may answer."""
    skip_busy: bool = True
    """Whoever is in a call is left alone."""
    route: str = ""


class Supervise(msgspec.Struct, frozen=True, gc=False):
    """Listen to an extension's call, whisper to the extension, or barge in."""

    extension: str
    mode: Literal["listen", "whisper", "barge"]


Decision = (
    Dial | Echo | Announce | Confer | Park | Retrieve | PickUp | Supervise | Reject | UseFeature | Intercom | Page
)

Seeking = Retrieve | PickUp | Supervise
"""Decisions that take the caller into another call."""


def uses_trunk(decision: Decision | None) -> bool:
    """Whether a decision, or one of its fallbacks, may call through a trunk."""
    if not isinstance(decision, Dial):
        return False
    following = (decision.on_busy, decision.on_no_answer, decision.on_unavailable)
    return any(isinstance(target, TrunkTarget) for target in decision.targets) or any(map(uses_trunk, following))


def conference_in(decision: Decision | None) -> str:
    """The conference that a decision, or one of its fallbacks, leads into; "" where none does."""
    if isinstance(decision, Confer):
        return decision.name
    if not isinstance(decision, Dial):
        return ""
    following = (decision.on_busy, decision.on_no_answer, decision.on_unavailable)
    return next((name for name in map(conference_in, following) if name), "")

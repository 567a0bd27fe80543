"""A call in progress, with what the runtime keeps for it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sip.timers import Timer
from softswitch.call import Call
from softswitch.vocabulary import Originate


class Active(msgspec.Struct):
    """A call in progress, with what the runtime keeps for it."""

    call: Call
    timers: dict[str, Timer] = {}
    streams: int = 0
    """Streams that have not told their statistics yet."""
    bridged: tuple[int, int] = (0, 0)
    finished: bool = False
    originated: dict[int, Originate] = {}
    """What the INVITEs of outbound legs were made of, as long as they may be sent again in another form."""
    group: str = ""
    """Streams of one group are on one media worker."""
    told: Callable[[int, str, float], None] | None = None
    """Waits for what becomes of the call that this one began with."""
    waiting: Timer | None = None
    """Ends the wait for the recording's last word."""
    shown: bool = False
    """There has been video."""

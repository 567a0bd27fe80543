"""Hold: who of two legs hears what, as each has last asked for its media. Pure functions.

A telephone holds by offering `sendonly` or `inactive` (RFC 6337 5.3; formerly by c=0.0.0.0, which is read as such).
Where there is music for the one that is held, the hold concerns the holder's leg alone: it is answered as it asks, and
nothing is offered to the other, so that no answer of the other can leave a direction behind when the call is taken up
again.
"""

from __future__ import annotations

from enum import Enum, auto

HOLDS = frozenset({"sendonly", "inactive"})
"""Directions of a peer that does not want to hear."""
_SENDS = frozenset({"sendrecv", "sendonly"})


class Hearing(Enum):
    """What a leg is sent."""

    PEER = auto()
    MUSIC = auto()
    NOTHING = auto()


def hearing(own: str, other: str, music: bool) -> Hearing:
    """What a leg hears that has asked for direction `own`, where its partner has asked for `other`; `music`: there is
    some for it."""
    if own in HOLDS:
        return Hearing.NOTHING
    if other in HOLDS and music:
        return Hearing.MUSIC
    return Hearing.PEER if other in _SENDS else Hearing.NOTHING

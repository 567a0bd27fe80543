"""Payload types from leg to leg: a number on each, and the format that both mean."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rtp.table import DROP, PAYLOAD_TYPES, UNTIMED

Format = tuple[int, str, int]  # payload type, encoding name, clock rate in Hz, as in a=rtpmap


def audio_clock(formats: tuple[Format, ...]) -> int:
    """The clock of the audio: that of the preferred format. Hz."""
    for _, name, clock in formats:
        if clock > 0 and not _untimed(name):
            return clock
    return 8000


def _untimed(name: str) -> bool:
    # RFC 4733 2.5.1.2: every packet of an event bears the timestamp of its beginning.
    return name.lower() == "telephone-event"


@lru_cache(maxsize=1024)
def payload_map(ours: tuple[Format, ...], theirs: tuple[Format, ...]) -> npt.NDArray[np.uint16]:
    """Payload type as it comes from a leg with formats `ours` -> as it goes to one with `theirs`, or DROP."""
    table = np.full(PAYLOAD_TYPES, DROP, np.uint16)
    numbers: dict[tuple[str, int], int] = {}
    for number, name, clock in theirs:
        numbers.setdefault((name.lower(), clock), number)
    for number, name, clock in ours:
        to = numbers.get((name.lower(), clock))
        if to is None or not (_assignable(number) and _assignable(to)) or table[number] != DROP:
            continue
        table[number] = to | UNTIMED if _untimed(name) else to
    table.flags.writeable = False
    return table


def _assignable(number: int) -> bool:
    # RFC 5761 4: payload types 64-95 can't be told from RTCP on a shared port, "and MUST NOT be used".
    return 0 <= number < PAYLOAD_TYPES and not 64 <= number <= 95

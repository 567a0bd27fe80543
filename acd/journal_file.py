"""A journal as a file: records one after the other, as `acd.journal.encode` makes them.

Each is one msgpack object, whose end its own bytes tell: what is here finds that end and reads nothing else
(https://github.com/msgpack/msgpack/blob/master/spec.md, "Formats").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_FIXED = {0xC0: 1, 0xC2: 1, 0xC3: 1, 0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5}
_FIXED |= {0xD3: 9, 0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18}
"""First byte: bytes of the whole object."""
_LENGTH = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)}
_LENGTH |= {0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}
"""First byte: bytes of the length that follows, and what comes besides so many bytes."""
_COUNT = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""First byte: bytes of the count that follows, and objects for each."""


class JournalError(ValueError):
    """What is no journal: where, and why."""


def end_of(data: bytes, at: int) -> int:
    """Where the object ends that begins there; -1: later than `data` does. Raises `JournalError`."""
    left, have = 1, len(data)
    while left:
        if at >= have:
            return -1
        first = data[at]
        left -= 1
        if first < 0x80 or first >= 0xE0:
            at += 1
        elif first < 0x90:
            at, left = at + 1, left + 2 * (first & 0x0F)
        elif first < 0xA0:
            at, left = at + 1, left + (first & 0x0F)
        elif first < 0xC0:
            at += 1 + (first & 0x1F)
        elif first in _FIXED:
            at += _FIXED[first]
        elif first in _LENGTH:
            width, more = _LENGTH[first]
            at += 1 + width + more + int.from_bytes(data[at + 1 : at + 1 + width], "big")
        elif first in _COUNT:
            width, each = _COUNT[first]
            left += each * int.from_bytes(data[at + 1 : at + 1 + width], "big")
            at += 1 + width
        else:
            raise JournalError(f"byte {at}: {first:#x} begins nothing")
    return at if at <= have else -1


def split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The records of a file that is read in pieces. An incomplete last one, as a crash leaves it, is left out. Raises
    `JournalError`."""
    rest = b""
    for chunk in chunks:
        data, at = rest + chunk, 0
        while at < len(data) and (end := end_of(data, at)) >= 0:
            yield data[at:end]
            at = end
        rest = data[at:]

"""The ACD journal in a file: records of msgpack, one after the other, as `acd.journal.encode` makes them.

A message of msgpack says nowhere how long it is: where each ends is found by going over its items (the format's
specification, "Overview" of formats), and the decoder gets one message at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from acd.facts import Record
from acd.journal import JournalError, decode

CHUNK = 1 << 20
MAX_RECORD = 64 << 20
"""Octets. The largest records hold a configuration of thousands of agents, a hundredth of this."""

# Formats whose first octet says it all: octets that follow it, and items within it.
_FIXED: dict[int, int] = {
    0xC0: 0,  # nil
    0xC2: 0,
    0xC3: 0,  # false, true
    0xCA: 4,
    0xCB: 8,  # floats
    0xCC: 1,
    0xCD: 2,
    0xCE: 4,
    0xCF: 8,  # unsigned
    0xD0: 1,
    0xD1: 2,
    0xD2: 4,
    0xD3: 8,  # signed
    0xD4: 2,
    0xD5: 3,
    0xD6: 5,
    0xD7: 9,
    0xD8: 17,  # extensions
}
# Octets of the length that follows, and octets more than that length.
_SIZED: dict[int, tuple[int, int]] = {
    0xC4: (1, 0),
    0xC5: (2, 0),
    0xC6: (4, 0),  # bin
    0xC7: (1, 1),
    0xC8: (2, 1),
    0xC9: (4, 1),  # extensions
    0xD9: (1, 0),
    0xDA: (2, 0),
    0xDB: (4, 0),  # str
}
# Octets of the count that follows, and items for each of it.
_COUNTED: dict[int, tuple[int, int]] = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


def read_file(path: Path) -> Iterator[Record]:
    """The records of a journal, in their order; an incomplete last one, as a crash leaves it, is left out. Raises
    `JournalError`."""
    count = latest = 0
    try:
        with path.open("rb") as file:
            for start, message in _messages(file):
                count += 1
                try:
                    record = decode(message)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise JournalError(f"{_where(count, start)}: no record of the journal: {error}") from None
                if record.id <= latest:
                    raise JournalError(
                        f"{_where(count, start)}: id {record.id} after {latest}: expected ids that count up"
                    )
                latest = record.id
                yield record
    except OSError as error:
        raise JournalError(str(error.strerror)) from None


def _where(count: int, start: int) -> str:
    return f"record {count}, at octet {start}"


def _messages(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each message, and at which octet of the file it begins. Raises `JournalError`."""
    buffer = b""
    base = count = 0
    while chunk := file.read(CHUNK):
        buffer += chunk
        at = 0
        while at < len(buffer):
            try:
                end = message_end(buffer, at)
            except ValueError as error:
                raise JournalError(f"{_where(count + 1, base + at)}: {error}: expected msgpack") from None
            if end < 0:
                break
            yield base + at, buffer[at:end]
            at, count = end, count + 1
        buffer, base = buffer[at:], base + at
        if len(buffer) > MAX_RECORD:
            raise JournalError(f"{_where(count + 1, base)}: longer than {MAX_RECORD} octets: expected a record")


def message_end(data: bytes, at: int) -> int:
    """Where the message ends that begins at `at`; -1: `data` ends before that. Raises `ValueError` where it is none."""
    left = 1
    size = len(data)
    while left:
        if at >= size:
            return -1
        first = data[at]
        at += 1
        left -= 1
        if first <= 0x7F or first >= 0xE0:
            continue  # a small number
        if first <= 0x9F:
            left += (first & 0x0F) * (1 if first >= 0x90 else 2)  # array, map
        elif first <= 0xBF:
            at += first & 0x1F  # str
        elif (octets := _FIXED.get(first)) is not None:
            at += octets
        elif first in _SIZED:
            width, more = _SIZED[first]
            at += width + more + int.from_bytes(data[at : at + width], "big")
        elif first in _COUNTED:
            width, items = _COUNTED[first]
            left += items * int.from_bytes(data[at : at + width], "big")
            at += width
        else:
            raise ValueError(f"octet {first:#04x} begins nothing")
    return at if at <= size else -1

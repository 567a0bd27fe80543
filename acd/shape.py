"""Which version of a snapshot bytes are of."""

from __future__ import annotations

from functools import cache
from zlib import crc32

import msgspec
import msgspec.inspect


@cache
def shape(kept: type) -> int:
    """A number of all fields of a struct and of those in it, and their types: another one where any of them is another.
    Most of them have defaults, and would be read as empty out of a snapshot that does not have them."""
    return crc32(repr(_fields(msgspec.inspect.type_info(kept))).encode())


def _fields(kind: object) -> object:
    """Names and types alone: no class or function, which has another address in each process."""
    match kind:
        case msgspec.inspect.Field():
            return kind.encode_name, _fields(kind.type)
        case msgspec.Struct():
            return type(kind).__name__, [
                _fields(getattr(kind, name)) for name in kind.__struct_fields__ if name != "cls"
            ]
        case tuple():
            return [_fields(each) for each in kind]
        case _:
            return kind

"""The journal as bytes: one record after the other, and what they fold and replay to.

RECORD: msgpack of [id, time, cause, {"type": ..., ...}]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeGuard, get_args

import msgspec

from acd import facts as f
from acd import inputs as i
from acd.engine import Engine
from acd.fold import apply
from acd.state import State


class JournalError(Exception):
    """What is wrong with a journal, and at which record: one line."""


INPUTS: tuple[type, ...] = get_args(i.AnyInput)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(f.Record)


def is_input(what: i.AnyInput | f.AnyFact) -> TypeGuard[i.AnyInput]:
    """Whether it has come from outside."""
    return isinstance(what, INPUTS)


def encode(record: f.Record) -> bytes:
    return _encoder.encode(record)


def decode(line: bytes) -> f.Record:
    """Raises `msgspec.DecodeError`."""
    return _decoder.decode(line)


def fold(records: Iterable[f.Record], state: State | None = None) -> State:
    """The state that a journal leads to, from the beginning or from a snapshot on."""
    state = State() if state is None else state
    for record in records:
        if record.id > state.last_id:
            apply(state, record)
    return state


def replay(records: Iterable[f.Record]) -> Iterator[f.Record]:
    """What a new engine makes of the inputs of a journal, at their times: the same records, if nothing has changed."""
    engine = Engine()
    for record in records:
        if isinstance(record.what, i.Tick):
            yield from engine.tick(record.time).records
        elif is_input(record.what):
            yield from engine.handle(record.what, record.time).records

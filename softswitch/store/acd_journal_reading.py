"""The ACD journal read: rows as records, and for programs that are not the switch all of it, from where it begins.

A journal begins with record 1, or, where older records were taken out, with a snapshot of the state and of the KPIs'
fold after the last of them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from acd.facts import AnyFact, Record
from acd.inputs import AnyInput
from acd.journal import JournalError
from softswitch.store.acd_journal_file import read_file
from softswitch.store.database import StoreError
from softswitch.store.schema import ACD_JOURNAL

SQLITE = b"SQLite format 3\0"

_decode = msgspec.msgpack.Decoder(AnyInput | AnyFact).decode


class Beginning(NamedTuple):
    """Of a journal without its older records: `acd.state.State` and `acd.kpi.fold.Fold` after record `id`, as bytes."""

    id: int
    time: float
    state: bytes
    kpis: bytes | None
    """None: not known."""


class KeptJournal(NamedTuple):
    """`beginning` None: with record 1."""

    beginning: Beginning | None
    records: Iterator[Record]
    """In order. Raises `JournalError`."""


def record_of(number: int, time: float, cause: int, _kind: str, body: bytes) -> Record:
    """Raises `StoreError` where the body is of another version."""
    try:
        return Record(number, time, cause, _decode(body))
    except msgspec.MsgspecError as error:
        raise StoreError(f"acd journal: record {number} can't be read: {error}") from None


async def page_of(connection: AsyncConnection, after: int, count: int) -> list[tuple[Any, ...]]:
    """The next rows, up to so many."""
    query = select(ACD_JOURNAL).where(ACD_JOURNAL.c.id > after).order_by(ACD_JOURNAL.c.id).limit(count)
    return [tuple(row) for row in (await connection.execute(query)).all()]


# ---- by programs that are not the switch


@contextlib.contextmanager
def open_journal(path: Path) -> Iterator[KeptJournal]:
    """A database of the switch (SQLite), or a file of records one after the other. Raises `JournalError`."""
    try:
        with path.open("rb") as file:
            is_database = file.read(len(SQLITE)) == SQLITE
    except OSError as error:
        raise JournalError(str(error.strerror)) from None
    if not is_database:
        yield KeptJournal(None, read_file(path))
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.isolation_level = None
            connection.execute("BEGIN")  # nothing is taken out between the looks at its tables
            beginning = _beginning(connection)
            yield KeptJournal(beginning, _records(connection, 0 if beginning is None else beginning.id))
    except sqlite3.Error as error:
        raise JournalError(str(error)) from None


def read_journal(path: Path) -> Iterator[Record]:
    """Its records alone. Raises `JournalError`."""
    with open_journal(path) as journal:
        yield from journal.records


def _beginning(connection: sqlite3.Connection) -> Beginning | None:
    """While records are taken out there may be some from before it."""
    (first,) = connection.execute("SELECT min(id) FROM acd_journal").fetchone()
    if first == 1 or _is_older(connection):
        return None
    found = connection.execute(
        "SELECT id, time, body, kpis FROM acd_snapshot WHERE beginning AND id >= ? ORDER BY id LIMIT 1",
        (0 if first is None else first - 1,),
    ).fetchone()
    return None if found is None else Beginning(*found)


def _is_older(connection: sqlite3.Connection) -> bool:
    """Whether the database is from before there were beginnings."""
    columns = connection.execute("SELECT name FROM pragma_table_info('acd_snapshot')").fetchall()
    return ("beginning",) not in columns


def _records(connection: sqlite3.Connection, after: int) -> Iterator[Record]:
    query = "SELECT id, time, cause, kind, body FROM acd_journal WHERE id > ? ORDER BY id"
    try:
        for row in connection.execute(query, (after,)):
            yield record_of(*row)
    except (sqlite3.Error, StoreError) as error:
        raise JournalError(str(error)) from None

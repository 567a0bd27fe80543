"""The ACD journal read: rows as records, and for programs that are not the switch all of it, from where it begins.

A journal begins with record 1, or, where older records were taken out, with a snapshot of the state and of the KPIs'
fold after the last of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import func, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from acd.facts import AnyFact, Record
from acd.inputs import AnyInput
from acd.journal import JournalError
from softswitch.store.acd_journal_file import read_file
from softswitch.store.database import UNAVAILABLE, StoreError, open_engine, reason
from softswitch.store.schema import ACD_JOURNAL, ACD_SNAPSHOT

PAGE = 10_000
"""Records read at once."""

Answer = TypeVar("Answer")

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


@contextlib.contextmanager
def open_database(url: str) -> Iterator[KeptJournal]:
    """The database of a URL, read a page at a time as it is at the beginning. Raises `JournalError`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(parsed.database or "")
        if not path.exists():
            raise JournalError(f"there is no database {path} yet")
        with open_journal(path) as journal:
            yield journal
        return
    with asyncio.Runner() as runner:
        database = _Database(runner, url)
        try:
            beginning = database.beginning()
            yield KeptJournal(beginning, database.records(0 if beginning is None else beginning.id))
        finally:
            database.close()


class _Database:
    """One transaction of a PostgreSQL, for who knows no event loop. All raise `JournalError`."""

    def __init__(self, runner: asyncio.Runner, url: str) -> None:
        self._runner = runner
        self._engine = open_engine(url)
        self._connection: AsyncConnection | None = None

    def beginning(self) -> Beginning | None:
        return self._ask(self._begin())

    def records(self, after: int) -> Iterator[Record]:
        assert self._connection is not None
        while page := self._ask(page_of(self._connection, after, PAGE)):
            for row in page:
                yield _readable(row)
            after = page[-1][0]

    def close(self) -> None:
        self._ask(self._end())

    async def _begin(self) -> Beginning | None:
        connection = self._connection = await self._engine.connect()
        await connection.execution_options(isolation_level="REPEATABLE READ")
        first = (await connection.execute(select(func.min(ACD_JOURNAL.c.id)))).scalar()
        if first == 1:
            return None
        kept = ACD_SNAPSHOT.c
        query = select(kept.id, kept.time, kept.body, kept.kpis).where(kept.beginning == 1, kept.id >= (first or 1) - 1)
        row = (await connection.execute(query.order_by(kept.id).limit(1))).one_or_none()
        return None if row is None else Beginning(*row)

    async def _end(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        await self._engine.dispose()

    def _ask(self, question: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            return self._runner.run(question)
        except UNAVAILABLE as error:
            raise JournalError(reason(error)) from None


def _readable(row: tuple[Any, ...]) -> Record:
    try:
        return record_of(*row)
    except StoreError as error:
        raise JournalError(str(error.strerror)) from None


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
            yield _readable(row)
    except sqlite3.Error as error:
        raise JournalError(str(error)) from None

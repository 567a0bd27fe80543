"""The journal of the ACD engine in the database: appended in groups off the call path, read back, and recovered from.

    append, snapshot ---> rows that wait ---every GROUP_SECONDS or GROUP_RECORDS---> one transaction, in order

What a crash may take: the records of the last GROUP_SECONDS and of the commit under way (a few ms), and those that wait
while the database is away. Records are written in the order of their ids, what came of an input in one transaction with
it, and a transaction is taken whole or not at all: what is there is always a beginning of the journal, without gaps,
that ends with an input dealt with. Written again after a commit that was not confirmed they are stored once. A power
failure may take more: see PRAGMAS in `softswitch.store.database`.

Recovery is the latest snapshot and the records after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from acd.facts import AnyFact, Record
from acd.fold import apply
from acd.inputs import AnyInput
from acd.journal import JournalError
from acd.state import State
from softswitch.store.acd_journal_file import read_file
from softswitch.store.database import UNAVAILABLE, StoreError, open_engine, reason, shown
from softswitch.store.group_writer import CLOSE_SECONDS, RETRY_SECONDS, WRITE_SECONDS, GroupWriter
from softswitch.store.migrate import upgrade
from softswitch.store.schema import ACD_JOURNAL, ACD_SNAPSHOT
from softswitch.store.statements import journal_statements

log = structlog.get_logger("softswitch.store.acd_journal")

GROUP_SECONDS = 0.1
GROUP_RECORDS = 5_000

MAX_WAITING = 2_000_000
"""Records that wait while the database is away, some 300 MB: beyond that the journal ends, as it must have no gaps."""

KEPT_SNAPSHOTS = 2
"""The one before is there in case the latest is of another version."""

PAGE = 10_000
"""Records read at once."""

SQLITE = b"SQLite format 3\0"

RecordRow = tuple[int, float, int, str, bytes]
SnapshotRow = tuple[int, float, bytes]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyInput | AnyFact).decode


class AcdJournal:
    """The journal of one engine in one database. All methods belong to one event loop.

    journal = AcdJournal(url)
    await journal.start()
    engine = Engine(await journal.recover())
    journal.append(engine.handle(event, now).records)
    """

    def __init__(self, url: str) -> None:
        """Raises `StoreError` for a URL that can't be used."""
        self.counters = {"written": 0, "snapshots": 0, "groups": 0, "failures": 0, "lost": 0}
        self.last_id = 0
        """Of the latest record that was handed over."""
        self._engine = open_engine(url)
        self._sql = journal_statements(self._engine.dialect)
        self._waiting: deque[RecordRow] = deque()
        self._snapshot: SnapshotRow | None = None
        self._ended = False
        self._writer = GroupWriter(
            "the ACD journal",
            self._write,
            lambda: len(self._waiting) + (self._snapshot is not None),
            self.counters,
            seconds=GROUP_SECONDS,
            records=GROUP_RECORDS,
            retry=RETRY_SECONDS,
        )

    # ---- life

    async def start(self) -> None:
        """Bring the schema up to date and begin to write. Raises `StoreError`."""
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(upgrade)
                last = await connection.execute(select(func.max(ACD_JOURNAL.c.id)))
                taken = await connection.execute(select(func.max(ACD_SNAPSHOT.c.id)))
                self.last_id = max(last.scalar() or 0, taken.scalar() or 0)
        except UNAVAILABLE as error:
            await self._engine.dispose()
            raise error if isinstance(error, StoreError) else self._unreadable(error) from None
        self._writer.start()

    async def close(self) -> None:
        """Write what waits, for CLOSE_SECONDS at most, and close. What could not be written is logged and lost."""
        try:
            if not await self._writer.close(CLOSE_SECONDS):
                log.error("journal cut short: the database is away", records=len(self._waiting))
        finally:
            await self._engine.dispose()

    async def flush(self) -> None:
        """Wait until all that was handed over is written."""
        await self._writer.flush()

    # ---- hand over: never blocks

    def append(self, records: Iterable[Record]) -> None:
        """What has happened, in order: all that came of an input, or of several. Raises `ValueError` where a record
        does not follow the one before."""
        for record in records:
            if record.id != self.last_id + 1:
                raise ValueError(f"record {record.id} after {self.last_id}: expected {self.last_id + 1}")
            self.last_id = record.id
            if self._ended or len(self._waiting) >= MAX_WAITING:
                self._lose(record)
                continue
            what = record.what
            self._waiting.append((record.id, record.time, record.cause, type(what).__name__, _encode(what)))
        self._writer.told()

    def snapshot(self, state: State) -> None:
        """Keep the state as it is after the latest record, from which recovery begins. Where records were lost the
        journal begins anew with it. Raises `ValueError` where that is another record."""
        if state.last_id != self.last_id:
            raise ValueError(f"a state after record {state.last_id}: expected {self.last_id}")
        self._snapshot = (state.last_id, state.now, state.snapshot())
        self._ended = False
        self._writer.told()

    def _lose(self, record: Record) -> None:
        if not self._ended:
            log.error("journal ends: the database is away for too long", waiting=len(self._waiting))
            while record.cause and self._waiting and self._waiting[-1][0] >= record.cause:
                self._waiting.pop()  # the beginning of what came of an input
                self.counters["lost"] += 1
        self._ended = True
        self.counters["lost"] += 1

    # ---- look

    @property
    def waiting(self) -> int:
        """Records handed over and not yet written."""
        return len(self._waiting)

    def status(self) -> dict[str, int]:
        return {**self.counters, "waiting": self.waiting, "last": self.last_id}

    # ---- recover

    async def recover(self) -> State:
        """The state after the latest record that is stored. Raises `StoreError`."""
        try:
            async with self._engine.connect() as connection:
                state = await self._latest(connection)
                while page := await self._page(connection, state.last_id):
                    for record in page:
                        if record.id != state.last_id + 1:
                            raise StoreError(f"acd journal: record {state.last_id + 1} is missing")
                        apply(state, record)
        except UNAVAILABLE as error:
            raise error if isinstance(error, StoreError) else self._unreadable(error) from None
        return state

    async def _latest(self, connection: AsyncConnection) -> State:
        """Of the latest snapshot that this version reads; the state of the beginning, where there is none."""
        query = select(ACD_SNAPSHOT).order_by(ACD_SNAPSHOT.c.id.desc())
        for row in (await connection.execute(query)).all():
            try:
                return State.restore(row.body)
            except msgspec.MsgspecError as error:
                log.warning("snapshot left out: it can't be read", id=row.id, why=str(error))
        return State()

    async def _page(self, connection: AsyncConnection, after: int) -> list[Record]:
        query = select(ACD_JOURNAL).where(ACD_JOURNAL.c.id > after).order_by(ACD_JOURNAL.c.id).limit(PAGE)
        return [_record(*row) for row in (await connection.execute(query)).all()]

    def _unreadable(self, error: BaseException) -> StoreError:
        return StoreError(f"database {shown(self._engine.url)}: {reason(error)}")

    # ---- the writer

    async def _write(self) -> None:
        """The next group, and the snapshot where all before it is written by then. Raises UNAVAILABLE."""
        group = list(islice(self._waiting, _whole(self._waiting, GROUP_RECORDS)))
        snapshot = self._snapshot if self._covers(len(group)) else None
        async with asyncio.timeout(WRITE_SECONDS), self._engine.begin() as connection:
            if group:
                await connection.exec_driver_sql(self._sql.record, group)
            if snapshot is not None:
                await connection.exec_driver_sql(self._sql.snapshot, [snapshot])
                await connection.execute(_OLDER_SNAPSHOTS)
        for _ in group:
            self._waiting.popleft()
        if snapshot is not None and self._snapshot is snapshot:
            self._snapshot = None
        self.counters["groups"] += 1
        self.counters["written"] += len(group)
        self.counters["snapshots"] += snapshot is not None

    def _covers(self, count: int) -> bool:
        """Whether all records before the snapshot are written with the next `count`."""
        if self._snapshot is None:
            return False
        return count == len(self._waiting) or self._waiting[count][0] > self._snapshot[0]


_OLDER_SNAPSHOTS = ACD_SNAPSHOT.delete().where(
    ACD_SNAPSHOT.c.id.not_in(select(ACD_SNAPSHOT.c.id).order_by(ACD_SNAPSHOT.c.id.desc()).limit(KEPT_SNAPSHOTS))
)


def _whole(rows: deque[RecordRow], count: int) -> int:
    """How many of the first rows are about `count`, and end with all that came of an input."""
    while count < len(rows) and rows[count][2]:
        count += 1
    return min(count, len(rows))


def _record(number: int, time: float, cause: int, _kind: str, body: bytes) -> Record:
    """Raises `StoreError` where the body is of another version."""
    try:
        return Record(number, time, cause, _decode(body))
    except msgspec.MsgspecError as error:
        raise StoreError(f"acd journal: record {number} can't be read: {error}") from None


# ---- read, by programs that are not the switch


def read_journal(path: Path) -> Iterator[Record]:
    """The records of a database of the switch (SQLite), or of a file of them one after the other, in order. Raises
    `JournalError`."""
    try:
        with path.open("rb") as file:
            is_database = file.read(len(SQLITE)) == SQLITE
    except OSError as error:
        raise JournalError(str(error.strerror)) from None
    yield from _read_database(path) if is_database else read_file(path)


def _read_database(path: Path) -> Iterator[Record]:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            for row in connection.execute("SELECT id, time, cause, kind, body FROM acd_journal ORDER BY id"):
                yield _record(*row)
    except (sqlite3.Error, StoreError) as error:
        raise JournalError(str(error)) from None

"""The journal of the ACD engine in the database: appended in groups off the call path, read back, and recovered from.

    append, snapshot ---> rows that wait ---every GROUP_SECONDS or GROUP_RECORDS---> one transaction, in order

What a crash may take: the records of the last GROUP_SECONDS and of the commit under way (a few ms), and those that wait
while the database is away. Records are written in the order of their ids, what came of an input in one transaction with
it, and a transaction is taken whole or not at all: what is there is always a beginning of the journal, without gaps,
that ends with an input dealt with. Written again after a commit that was not confirmed they are stored once. A power
failure may take more: see PRAGMAS in `softswitch.store.database`.

Recovery is the latest snapshot and the records after it: few, where one is taken whenever `snapshot_due` says so. What
has become too old is taken out (`acd_journal_pruning`), and read by others from there on (`acd_journal_reading`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice

import msgspec
import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from acd.facts import Record
from acd.fold import apply
from acd.state import State
from softswitch.store.acd_journal_pruning import JournalPruner
from softswitch.store.acd_journal_reading import page_of, record_of
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

SNAPSHOT_RECORDS, SNAPSHOT_SECONDS = 20_000, 86_400.0
"""A snapshot is due after so many records, or so long after the latest one: that bounds what recovery has to fold, and
lets the older part of a quiet journal be taken out."""

PAGE = 10_000
"""Records read at once."""

PRUNE_AFTER_SECONDS, PRUNE_EVERY_SECONDS = 60.0, 3600.0
"""After the start, and then."""

RecordRow = tuple[int, float, int, str, bytes]
SnapshotRow = tuple[int, float, bytes, int, bytes | None]

_encode = msgspec.msgpack.Encoder().encode


class AcdJournal:
    """The journal of one engine in one database. All methods belong to one event loop.

    journal = AcdJournal(url)
    await journal.start()
    engine = Engine(await journal.recover())
    journal.append(engine.handle(event, now).records)
    if journal.snapshot_due:
        journal.snapshot(engine.state)
    """

    def __init__(self, url: str, kept: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        """`kept`: seconds after which a record is taken out, some time later; 0: never. Raises `StoreError` for a URL
        that can't be used."""
        self.counters = {"written": 0, "snapshots": 0, "groups": 0, "failures": 0, "lost": 0, "pruned": 0}
        self.last_id = 0
        """Of the latest record that was handed over."""
        self._kept, self._clock = kept, clock
        self._pruning: asyncio.Task[None] | None = None
        self._covered, self._covered_at, self._time = 0, 0.0, 0.0
        """The latest record that a snapshot covers, its time, and the time of the latest record."""
        self._unread = False
        """Whether there is a snapshot that this version can't read."""
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
                taken = await connection.execute(select(func.max(ACD_SNAPSHOT.c.id), func.max(ACD_SNAPSHOT.c.time)))
                covered, at = taken.one()
                self._covered, self._covered_at = covered or 0, at or 0.0
                self.last_id = max(last.scalar() or 0, self._covered)
        except UNAVAILABLE as error:
            await self._engine.dispose()
            raise error if isinstance(error, StoreError) else self._unreadable(error) from None
        self._writer.start()
        if self._kept > 0.0:
            self._pruning = asyncio.create_task(self._prune(), name="pruning the ACD journal")
            self._pruning.add_done_callback(_tell_death)

    async def close(self) -> None:
        """Write what waits, for CLOSE_SECONDS at most, and close. What could not be written is logged and lost."""
        pruning, self._pruning = self._pruning, None
        if pruning is not None:
            pruning.cancel()
            await asyncio.wait([pruning])
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
            self.last_id, self._time = record.id, record.time
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
        if self._snapshot is not None and self._snapshot[3]:
            return  # the journal begins anew with that one
        begins = int(self._ended or self._unread)
        self._snapshot = (state.last_id, state.now, state.snapshot(), begins, None)
        self._ended = self._unread = False
        self._covered, self._covered_at = state.last_id, state.now
        self._writer.told()

    @property
    def snapshot_due(self) -> bool:
        """Whether it is time for one: after what came of an input was appended."""
        if self._ended:
            return len(self._waiting) < MAX_WAITING // 2
        more = self.last_id - self._covered
        return more >= SNAPSHOT_RECORDS or (more > 0 and self._time >= self._covered_at + SNAPSHOT_SECONDS)

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
                while page := await page_of(connection, state.last_id, PAGE):
                    for row in page:
                        if row[0] != state.last_id + 1:
                            why = "" if state.last_id else ": there is no snapshot that this version can read"
                            raise StoreError(f"acd journal: record {state.last_id + 1} is missing{why}")
                        apply(state, record_of(*row))
        except UNAVAILABLE as error:
            raise error if isinstance(error, StoreError) else self._unreadable(error) from None
        return state

    async def _latest(self, connection: AsyncConnection) -> State:
        """Of the latest snapshot that this version reads; the state of the beginning, where there is none."""
        ids = select(ACD_SNAPSHOT.c.id).order_by(ACD_SNAPSHOT.c.id.desc())
        for number in (await connection.execute(ids)).scalars().all():
            body = select(ACD_SNAPSHOT.c.body).where(ACD_SNAPSHOT.c.id == number)
            try:
                return State.restore((await connection.execute(body)).scalar_one())
            except msgspec.MsgspecError as error:
                self._unread = True
                log.warning("snapshot left out: it can't be read", id=number, why=str(error))
        return State()

    def _unreadable(self, error: BaseException) -> StoreError:
        return StoreError(f"database {shown(self._engine.url)}: {reason(error)}")

    # ---- what is too old

    async def prune(self) -> None:
        """Take out what has become too old. Raises UNAVAILABLE."""
        if self._kept <= 0.0:
            return
        self.counters["pruned"] += await JournalPruner(self._engine).prune(self._clock() - self._kept)

    async def _prune(self) -> None:
        await asyncio.sleep(PRUNE_AFTER_SECONDS)
        while True:
            try:
                await self.prune()
            except UNAVAILABLE as error:
                log.warning("journal not pruned: tried again later", why=reason(error))
            await asyncio.sleep(PRUNE_EVERY_SECONDS)

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


def _tell_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("the journal is pruned no more: a mistake of ours", why=repr(error))


_USUAL = ACD_SNAPSHOT.c.beginning == 0
_LATEST = select(ACD_SNAPSHOT.c.id).where(_USUAL).order_by(ACD_SNAPSHOT.c.id.desc()).limit(KEPT_SNAPSHOTS)
_OLDER_SNAPSHOTS = ACD_SNAPSHOT.delete().where(_USUAL, ACD_SNAPSHOT.c.id.not_in(_LATEST))


def _whole(rows: deque[RecordRow], count: int) -> int:
    """How many of the first rows are about `count`, and end with all that came of an input."""
    while count < len(rows) and rows[count][2]:
        count += 1
    return min(count, len(rows))

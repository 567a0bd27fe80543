"""The older part of the ACD journal taken out, a little at a time, off the call path.

    B0 ...records... C | records that are kept

The records from the beginning to the cut C are folded, into the state and into the KPIs' fold, and both are kept as the
snapshot at which the journal begins from then on; then the records up to C are deleted, the oldest first. Whatever
happens in between, the journal is whole: until record 1 is gone it begins with that, then with the first snapshot that
is a beginning and has all records after it.

The cut is the end of what came of an input, before the oldest snapshot that recovery may begin with.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import msgspec
import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.facts import Record
from acd.fold import apply
from acd.kpi.fold import Fold
from acd.state import State
from softswitch.store.acd_journal_reading import page_of, record_of
from softswitch.store.group_writer import WRITE_SECONDS
from softswitch.store.schema import ACD_JOURNAL, ACD_SNAPSHOT

log = structlog.get_logger("softswitch.store.acd_journal")

PAGE = 500
"""Records folded at once, some 10 ms of CPU in a thread beside the loop."""

STEP = 50_000
"""Records before the next beginning: what a crash leaves to be folded again."""

DELETED = 1_000
"""Records of one transaction."""

PAUSE_SECONDS = 0.02
"""Between transactions, so that the journal's writer comes in between."""


class Bounds(NamedTuple):
    """Ids: of the oldest record, and of the last that may go, before the oldest snapshot for recovery."""

    first: int
    last: int


class JournalPruner:
    """Of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prune(self, before: float) -> int:
        """Take out what happened before that time, Unix seconds; how many records that were. Raises UNAVAILABLE, and
        `StoreError` for a record that this version can't read."""
        taken = 0
        while step := await self._step(before):
            taken += step
        return taken

    async def _step(self, before: float) -> int:
        bounds = await self._bounds()
        if bounds is None:
            return 0
        begun = await self._begin(before, bounds)
        if begun is None:
            return 0
        if begun.at < bounds.first:
            await begun.fold(self._engine, before, bounds.last)
            if begun.at < bounds.first:
                return 0
            await self._keep(begun)
        return await self._take_out(begun.at)

    async def _bounds(self) -> Bounds | None:
        """None: there is nothing that could be taken out."""
        latest = select(func.min(ACD_SNAPSHOT.c.id)).where(ACD_SNAPSHOT.c.beginning == 0)
        async with self._engine.connect() as connection:
            first = (await connection.execute(select(func.min(ACD_JOURNAL.c.id)))).scalar()
            last = (await connection.execute(latest)).scalar()
        return None if first is None or last is None else Bounds(first, last - 1)

    async def _begin(self, before: float, bounds: Bounds) -> _Folding | None:
        """From the latest beginning that is old enough, or from record 1."""
        query = (
            select(ACD_SNAPSHOT)
            .where(ACD_SNAPSHOT.c.beginning == 1, ACD_SNAPSHOT.c.time < before, ACD_SNAPSHOT.c.id <= bounds.last)
            .order_by(ACD_SNAPSHOT.c.id.desc())
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        for row in rows:
            try:
                return _Folding(State.restore(row.body), _kpis(row.kpis))
            except msgspec.MsgspecError as error:
                log.warning("journal not pruned from there: a snapshot can't be read", id=row.id, why=str(error))
        return _Folding(State(), Fold()) if bounds.first == 1 else None

    async def _keep(self, begun: _Folding) -> None:
        """The journal may begin there."""
        row = {"id": begun.at, "time": begun.state.now, "body": begun.state.snapshot(), "beginning": 1}
        async with asyncio.timeout(WRITE_SECONDS), self._engine.begin() as connection:
            await connection.execute(ACD_SNAPSHOT.delete().where(ACD_SNAPSHOT.c.id == begun.at))
            await connection.execute(ACD_SNAPSHOT.insert().values(**row, kpis=begun.kpis.snapshot()))

    async def _take_out(self, cut: int) -> int:
        """All up to the cut, and the beginnings before it."""
        taken = 0
        while True:
            async with asyncio.timeout(WRITE_SECONDS), self._engine.begin() as connection:
                first = (await connection.execute(select(func.min(ACD_JOURNAL.c.id)))).scalar()
                if first is None or first > cut:
                    older = ACD_SNAPSHOT.delete().where(ACD_SNAPSHOT.c.beginning == 1, ACD_SNAPSHOT.c.id < cut)
                    await connection.execute(older)
                    return taken
                end = min(first + DELETED - 1, cut)
                done = await connection.execute(ACD_JOURNAL.delete().where(ACD_JOURNAL.c.id <= end))
                taken += done.rowcount
            await asyncio.sleep(PAUSE_SECONDS)


class _Folding:
    """State and KPIs after a record."""

    def __init__(self, state: State, kpis: Fold) -> None:
        self.state, self.kpis = state, kpis
        self._group: list[Record] = []
        """What has come of an input, so far as it is read."""

    @property
    def at(self) -> int:
        return self.state.last_id

    @property
    def _read(self) -> int:
        return self._group[-1].id if self._group else self.at

    async def fold(self, engine: AsyncEngine, before: float, last: int) -> None:
        """On to the latest end of an input that is before that time, and not after that record."""
        end = self.at + STEP
        while True:
            async with engine.connect() as connection:
                page = await page_of(connection, self._read, PAGE)
            if not page:
                self._apply(last)
                return
            if await asyncio.to_thread(self._page, page, before, last, end):
                return

    def _page(self, page: list[tuple[Any, ...]], before: float, last: int, end: int) -> bool:
        """Whether it ends here."""
        for row in page:
            record = record_of(*row)
            if record.id != self._read + 1:  # a gap, after which it begins anew, with another beginning
                self._apply(last)
                return True
            if not record.cause and (not self._apply(last) or record.time >= before or record.id > end):
                return True
            self._group.append(record)
        return False

    def _apply(self, last: int) -> bool:
        """All that came of an input. False: it goes on after that record."""
        if self._group and self._group[-1].id > last:
            return False
        for record in self._group:
            apply(self.state, record)
            self.kpis.apply(record)
        self._group.clear()
        return True


def _kpis(kept: bytes | None) -> Fold:
    """What is not known of the time before is left out of reports."""
    try:
        return Fold() if kept is None else Fold.restore(kept)
    except msgspec.MsgspecError:
        return Fold()

"""The store: records are handed over in passing and written in groups by one task, off the call path.

    write_cdr, write_binding, write_feature ---> Pending ---every GROUP_SECONDS or GROUP_RECORDS---> one transaction

What a crash may take: whatever was handed over in the last GROUP_SECONDS plus the time of one commit (a few ms), and
what is spooled while the database is away. A transaction is taken whole or not at all, and a record that is written
again (its commit was not confirmed) is stored once, since its contact is unique.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog
from sqlalchemy import Row, Select, Table, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from sip.binding import BindingStored
from softswitch.store.database import FAULTY, UNAVAILABLE, StoreError, is_faulty, open_engine, reason, shown
from softswitch.store.group_writer import CLOSE_SECONDS, RETRY_SECONDS, WRITE_SECONDS, GroupWriter
from softswitch.store.migrate import upgrade
from softswitch.store.pending import Group, Pending
from softswitch.store.records import BindingChange, BindingRecord, CdrFilter, CdrRecord, FeatureChange
from softswitch.store.rows import Row as ValueRow
from softswitch.store.rows import binding_row, cdr_row, leg_rows, read_binding, read_cdr, read_feature
from softswitch.store.schema import BINDING, CDR, CDR_LEG, FEATURE
from softswitch.store.statements import statements

log = structlog.get_logger("softswitch.store")

GROUP_SECONDS = 0.2
GROUP_RECORDS = 500

PAGE = 500
"""Records read at once; also the most places in one statement."""


class Store:
    """CDRs, bindings and features of one database. All methods belong to one event loop."""

    def __init__(self, url: str, pending: Pending | None = None) -> None:
        """Raises `StoreError` for a URL that can't be used. Nothing is opened before start()."""
        self.counters = {
            "cdr_written": 0,
            "cdr_refused": 0,
            "binding_written": 0,
            "binding_refused": 0,
            "feature_written": 0,
            "feature_refused": 0,
            "groups": 0,
            "failures": 0,
        }
        self._engine = open_engine(url)
        self._sql = statements(self._engine.dialect)
        self._pending = pending or Pending()
        self._writer = GroupWriter(
            "records",
            self._write_group,
            self._pending.__len__,
            self.counters,
            seconds=GROUP_SECONDS,
            records=GROUP_RECORDS,
            retry=RETRY_SECONDS,
        )

    # Life

    async def start(self) -> None:
        """Bring the schema up to date and begin to write. Raises `StoreError`."""
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(upgrade)
        except StoreError:
            await self._engine.dispose()
            raise
        except UNAVAILABLE as error:
            await self._engine.dispose()
            raise StoreError(f"database {shown(self._engine.url)}: {reason(error)}") from None
        self._writer.start()

    async def close(self) -> None:
        """Write what waits, for CLOSE_SECONDS at most, and close. What could not be written is logged and lost."""
        try:
            if not await self._writer.close(CLOSE_SECONDS):
                log.error("records lost: the database is away", records=len(self._pending))
        finally:
            await self._engine.dispose()

    async def flush(self) -> None:
        """Wait until all that was handed over is written, however long the database is away."""
        await self._writer.flush()

    # Hand over: never blocks, never fails

    def write_cdr(self, record: CdrRecord) -> None:
        """Have a record written, which the caller will not change any more."""
        self._pending.add_cdr(record)
        self._writer.told()

    def write_binding(self, record: BindingRecord) -> None:
        """Have a binding written, in the place of what is stored of it."""
        self._pending.add_binding((record.aor, record.contact), record)
        self._writer.told()

    def forget_binding(self, aor: str, contact: str) -> None:
        """Have a binding taken out."""
        self._pending.add_binding((aor, contact), None)
        self._writer.told()

    def write_binding_change(self, change: BindingChange) -> None:
        """Follow the registrar."""
        if isinstance(change, BindingStored):
            self.write_binding(change.record)
        else:
            self.forget_binding(change.aor, change.contact)

    def write_feature(self, change: FeatureChange) -> None:
        """Follow what people set at their phones."""
        self._pending.add_feature((change.extension, change.feature), change.value)
        self._writer.told()

    # Look

    @property
    def waiting(self) -> int:
        """Records, bindings and features handed over and not yet written."""
        return len(self._pending)

    def status(self) -> dict[str, int]:
        """Counters, what waits, what was lost."""
        pending = self._pending
        return {
            **self.counters,
            "cdr_lost": pending.lost_cdrs,
            "binding_lost": pending.lost_bindings,
            "feature_lost": pending.lost_features,
            "cdr_spooled": pending.spooled,
            "waiting": len(pending),
        }

    # Read

    async def load_bindings(self) -> list[BindingRecord]:
        """Every binding stored, also those that have run out meanwhile. Raises `StoreError`."""
        return [read_binding(row) for row in await self._all(BINDING)]

    async def load_features(self) -> list[FeatureChange]:
        """Every feature stored. Raises `StoreError`."""
        return [read_feature(row) for row in await self._all(FEATURE)]

    async def _all(self, table: Table) -> Sequence[Row[tuple[Any, ...]]]:
        try:
            async with self._engine.connect() as connection:
                return (await connection.execute(select(table))).all()
        except UNAVAILABLE as error:
            raise self._unreadable(error) from None

    async def cdrs(self, wanted: CdrFilter | None = None, limit: int | None = None) -> list[CdrRecord]:
        """Records with their legs, the latest first. Raises `StoreError`."""
        return [record async for page in self.pages(wanted, limit) for record in page]

    async def pages(self, wanted: CdrFilter | None = None, limit: int | None = None) -> AsyncIterator[list[CdrRecord]]:
        """The same, PAGE at a time, for exports of any size; what is written meanwhile is not seen twice."""
        query = _query(wanted or CdrFilter())
        left = limit
        last: Row[tuple[Any, ...]] | None = None
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = query.limit(size)
            if last is not None:
                page = page.where(tuple_(CDR.c.started, CDR.c.id) < tuple_(last.started, last.id))
            try:
                async with self._engine.connect() as connection:
                    rows = (await connection.execute(page)).all()
                    legs = await _legs(connection, [row.contact for row in rows])
            except UNAVAILABLE as error:
                raise self._unreadable(error) from None
            if rows:
                yield [read_cdr(row[1:], legs.get(row.contact, ())) for row in rows]
                last = rows[-1]
            if len(rows) < size:
                return
            if left is not None:
                left -= len(rows)

    def _unreadable(self, error: BaseException) -> StoreError:
        return StoreError(f"database {shown(self._engine.url)}: {reason(error)}")

    # The writer

    async def _write_group(self) -> None:
        """The next group; what was not written of it waits again. Raises UNAVAILABLE."""
        group = self._pending.take(GROUP_RECORDS)
        try:
            await self._write(group)
        except (asyncio.CancelledError, *UNAVAILABLE):
            self._pending.put_back(group)
            raise

    async def _write(self, group: Group) -> None:
        """Write a group in one transaction; where the fault is in a record, one by one, without the faulty ones. Raises
        UNAVAILABLE, with nothing of the group lost: what is then in it again was not written."""
        try:
            await self._commit(group)
        except (*UNAVAILABLE, *FAULTY) as error:
            if not is_faulty(error):
                raise
            log.error("a record can't be written: writing one by one", why=reason(error))
            await self._write_singly(group)

    async def _write_singly(self, group: Group) -> None:
        while group.cdrs:
            if not await self._accepted(Group([group.cdrs[0]], {}), "record refused"):
                self.counters["cdr_refused"] += 1
            del group.cdrs[0]
        for key in list(group.bindings):
            if not await self._accepted(Group([], {key: group.bindings[key]}), "binding refused"):
                self.counters["binding_refused"] += 1
            del group.bindings[key]
        for key in list(group.features):
            if not await self._accepted(Group([], {}, {key: group.features[key]}), "feature refused"):
                self.counters["feature_refused"] += 1
            del group.features[key]

    async def _accepted(self, single: Group, otherwise: str) -> bool:
        try:
            await self._commit(single)
        except (*UNAVAILABLE, *FAULTY) as error:
            if not is_faulty(error):
                raise
            log.error(otherwise, why=reason(error))
            return False
        return True

    async def _commit(self, group: Group) -> None:
        cdrs = [cdr_row(record) for record in group.cdrs]
        legs = [row for record in group.cdrs for row in leg_rows(record)]
        kept: list[ValueRow] = []
        gone: list[ValueRow] = []
        for key, record in group.bindings.items():
            if record is None:
                gone.append(key)
            else:
                kept.append(binding_row(record))
        features: list[ValueRow] = [(*key, value) for key, value in group.features.items() if value is not None]
        unset: list[ValueRow] = [key for key, value in group.features.items() if value is None]
        async with asyncio.timeout(WRITE_SECONDS), self._engine.begin() as connection:
            for statement, rows in (
                (self._sql.cdr, cdrs),
                (self._sql.leg, legs),
                (self._sql.binding, kept),
                (self._sql.forget, gone),
                (self._sql.feature, features),
                (self._sql.unset, unset),
            ):
                if rows:
                    await connection.exec_driver_sql(statement, rows)
        counters = self.counters
        counters["groups"] += 1
        counters["cdr_written"] += len(cdrs)
        counters["binding_written"] += len(group.bindings)
        counters["feature_written"] += len(group.features)


def _query(wanted: CdrFilter) -> Select[tuple[Any, ...]]:
    query = select(CDR).order_by(CDR.c.started.desc(), CDR.c.id.desc())
    if wanted.since is not None:
        query = query.where(CDR.c.started >= wanted.since)
    if wanted.until is not None:
        query = query.where(CDR.c.started < wanted.until)
    if wanted.number is not None:
        columns = (CDR.c.caller_number, CDR.c.dialled, CDR.c.destination)
        query = query.where(or_(*[column == wanted.number for column in columns]))
    return query


async def _legs(connection: AsyncConnection, contacts: list[str]) -> dict[str, list[Row[tuple[Any, ...]]]]:
    """The legs of each contact, in order."""
    found: dict[str, list[Row[tuple[Any, ...]]]] = {}
    query = select(CDR_LEG).where(CDR_LEG.c.contact.in_(contacts)).order_by(CDR_LEG.c.contact, CDR_LEG.c.seq)
    for row in (await connection.execute(query)).all() if contacts else ():
        found.setdefault(row.contact, []).append(row)
    return found

"""The engine of one database URL: SQLite by default, PostgreSQL by changing the URL."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

BUSY_MS = 2000
"""How long SQLite waits for another process's lock before the group is kept back and tried again."""

# WAL: readers (softswitch cdr) and the writer don't wait for each other. NORMAL: a commit survives the death of the
# process at once; a power failure may take the commits since the last checkpoint, and never harms the file.
PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", f"PRAGMA busy_timeout={BUSY_MS}")

UNAVAILABLE = (SQLAlchemyError, OSError)
"""The database is away, locked, full or damaged: what is to be written is kept, and tried again."""

FAULTY = (DataError, IntegrityError, ValueError, OverflowError, TypeError)
"""The fault of one record: tried again it would fail again, and keep all others from being written."""

# SQLSTATE classes that say the same of asyncpg's errors, which come as plain DBAPIErrors: data exception, integrity
# constraint violation, program limit exceeded (a text too long for an index).
DATA_EXCEPTION = "22"
FAULTY_STATES = (DATA_EXCEPTION, "23", "54")


class StoreError(OSError):
    """The database can't be opened, brought up to date or read; one line, without the URL's password."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EIO, message)


def open_engine(url: str) -> AsyncEngine:
    """An engine on `url`, not yet connected. Raises `StoreError` for a URL that can't be used."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("the database URL can't be read") from None
    if parsed.get_backend_name() not in ASYNC_DRIVERS:
        raise StoreError(f"database {shown(parsed)}: expected sqlite or postgresql")
    parsed = parsed.set(drivername=ASYNC_DRIVERS.get(parsed.drivername, parsed.drivername))
    try:
        engine = create_async_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except ModuleNotFoundError as error:
        raise StoreError(f"database {shown(parsed)}: Python package {error.name} is not installed") from None
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "do_connect", _try_sqlite)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def shown(url: URL) -> str:
    """`url` fit for logs."""
    return url.render_as_string(hide_password=True)


def is_faulty(error: BaseException) -> bool:
    """Whether a record is at fault, and not the database."""
    return isinstance(error, FAULTY) or _state(error).startswith(FAULTY_STATES)


def reason(error: BaseException) -> str:
    """What the driver says, in one line, without statement and parameters: they hold callers' numbers."""
    lines = str(getattr(error, "orig", None) or error).splitlines()
    if not lines:
        return type(error).__name__
    # "invalid input for query argument $1: VALUE (why)", 'invalid input syntax for type integer: "VALUE"'.
    line = lines[0].partition(": ")[0] if _state(error).startswith(DATA_EXCEPTION) else lines[0]
    return line[:200]


def _state(error: BaseException) -> str:
    """The SQLSTATE, where the driver has it."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def _try_sqlite(_dialect: object, _record: object, args: list[Any], keywords: dict[str, Any]) -> None:
    """Open the file once before aiosqlite does.

    Where it can't be opened aiosqlite leaves its thread to end by itself, and that thread prints a traceback if the
    loop is closed first: as it is when the switch can't start.
    """

    def attempt() -> None:
        sqlite3.connect(*args, **keywords).close()

    await_only(asyncio.to_thread(attempt))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    try:
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()
    except BaseException:
        # The pool never sees this connection, so nobody else would end its thread.
        connection.close()
        raise

"""The journal that an operator names: a file, a database of the switch, or a configuration whose database has it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec

from acd.journal import JournalError
from acd.state import State
from softswitch.settings.loader import ConfigError, load
from softswitch.store.acd_journal_reading import Beginning, KeptJournal, open_database, open_journal
from softswitch.store.database import StoreError


@contextmanager
def uncollected() -> Iterator[None]:
    """While millions of records are read: none refers to itself, and to look for such among all that is kept of them
    takes up to a third of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def journal_at(path: Path) -> Iterator[KeptJournal]:
    """Of a directory, the database that its configuration names. Raises `JournalError`."""
    with uncollected(), _opened(path) as journal:
        yield journal


def _opened(path: Path) -> AbstractContextManager[KeptJournal]:
    if not path.is_dir():
        return open_journal(path)
    try:
        url = load(path).settings.server.database_url
        return open_database(url)
    except ConfigError as error:
        raise JournalError(str(error.problems[0])) from None
    except StoreError as error:
        raise JournalError(str(error.strerror)) from None


def state_at(beginning: Beginning | None) -> State:
    """What is going on where a journal begins. Raises `JournalError`."""
    if beginning is None:
        return State()
    try:
        return State.restore(beginning.state)
    except msgspec.MsgspecError as error:
        raise JournalError(f"its beginning, after record {beginning.id}, is of another version: {error}") from None

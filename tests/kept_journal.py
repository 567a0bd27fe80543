"""A journal that was kept, read whole."""

from pathlib import Path

from acd.facts import Record
from softswitch.store.acd_journal_reading import open_journal


def records_of(path: Path) -> list[Record]:
    """From where it begins. Raises `JournalError`."""
    with open_journal(path) as journal:
        return list(journal.records)

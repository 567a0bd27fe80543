"""SQL of the writer, compiled once for a dialect, with its places in the order of `rows`.

It is executed as text with plain tuples (`exec_driver_sql`): SQLAlchemy's way, from a dictionary per row through its
bind processors, takes 95 us of CPU for a record with two legs where this takes 38, SQLite's own work included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Delete, Insert

from softswitch.store.rows import CDR_COLUMNS, LEG_COLUMNS
from softswitch.store.schema import ACD_JOURNAL, ACD_SNAPSHOT, BINDING, CDR, CDR_LEG, FEATURE


class Statements(NamedTuple):
    """`cdr` and `leg` leave alone what is there, so that a record written again is stored once; `binding` and
    `feature` replace, `forget` and `unset` take them out."""

    cdr: str
    leg: str
    binding: str
    forget: str
    feature: str
    unset: str


def statements(dialect: Dialect) -> Statements:
    """Everything the writer says, for SQLite or PostgreSQL."""
    return Statements(
        _text(_insert(CDR, CDR_COLUMNS, dialect).on_conflict_do_nothing(), CDR_COLUMNS, dialect),
        _text(_insert(CDR_LEG, LEG_COLUMNS, dialect).on_conflict_do_nothing(), LEG_COLUMNS, dialect),
        _replace(BINDING, dialect),
        _remove(BINDING, dialect),
        _replace(FEATURE, dialect),
        _remove(FEATURE, dialect),
    )


class JournalStatements(NamedTuple):
    """Both leave alone what is there."""

    record: str
    snapshot: str


def journal_statements(dialect: Dialect) -> JournalStatements:
    """What the writer of the ACD journal says."""
    return JournalStatements(_append(ACD_JOURNAL, dialect), _append(ACD_SNAPSHOT, dialect))


def _append(table: Table, dialect: Dialect) -> str:
    names = [column.name for column in table.columns]
    return _text(_insert(table, names, dialect).on_conflict_do_nothing(), names, dialect)


def _replace(table: Table, dialect: Dialect) -> str:
    """A row, in the place of the one with its key."""
    names = [column.name for column in table.columns]
    insert = _insert(table, names, dialect)
    rest = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    return _text(insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=rest), names, dialect)


def _remove(table: Table, dialect: Dialect) -> str:
    """The row of a key."""
    keys = [column.name for column in table.primary_key]
    return _text(table.delete().where(*[table.c[key] == bindparam(key) for key in keys]), keys, dialect)


def _insert(table: Table, names: Sequence[str], dialect: Dialect) -> sqlite.Insert | postgresql.Insert:
    insert = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    # inline: no RETURNING of the serial key, which many rows at once can't have on PostgreSQL.
    return insert(table).values({name: bindparam(name) for name in names}).inline()


def _text(statement: Insert | Delete, names: Sequence[str], dialect: Dialect) -> str:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    assert list(compiled.positiontup or ()) == list(names), "rows are tuples in this order"
    return str(compiled)

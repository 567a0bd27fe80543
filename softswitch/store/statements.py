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
from softswitch.store.schema import BINDING, CDR, CDR_LEG


class Statements(NamedTuple):
    """`cdr` and `leg` leave alone what is there, so that a record written again is stored once; `binding` replaces."""

    cdr: str
    leg: str
    binding: str
    forget: str


def statements(dialect: Dialect) -> Statements:
    """Everything the writer says, for SQLite or PostgreSQL."""
    names = [column.name for column in BINDING.columns]
    insert = _insert(BINDING, names, dialect)
    rest = {column.name: insert.excluded[column.name] for column in BINDING.columns if not column.primary_key}
    replace = insert.on_conflict_do_update(index_elements=list(BINDING.primary_key), set_=rest)
    keys = [column.name for column in BINDING.primary_key]
    forget = BINDING.delete().where(*[BINDING.c[key] == bindparam(key) for key in keys])
    return Statements(
        _text(_insert(CDR, CDR_COLUMNS, dialect).on_conflict_do_nothing(), CDR_COLUMNS, dialect),
        _text(_insert(CDR_LEG, LEG_COLUMNS, dialect).on_conflict_do_nothing(), LEG_COLUMNS, dialect),
        _text(replace, names, dialect),
        _text(forget, keys, dialect),
    )


def _insert(table: Table, names: Sequence[str], dialect: Dialect) -> sqlite.Insert | postgresql.Insert:
    insert = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
    # inline: no RETURNING of the serial key, which many rows at once can't have on PostgreSQL.
    return insert(table).values({name: bindparam(name) for name in names}).inline()


def _text(statement: Insert | Delete, names: Sequence[str], dialect: Dialect) -> str:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    assert list(compiled.positiontup or ()) == list(names), "rows are tuples in this order"
    return str(compiled)

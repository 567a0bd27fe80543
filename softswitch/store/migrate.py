"""Brings a database to the schema of this version, with Alembic, at start."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from softswitch.store.database import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection) -> None:
    """Run what is missing, in the caller's transaction. Raises `StoreError` for a database of a later version.

    Alembic is loaded here only: nothing else needs it.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"the database's schema is not of this version: {error}") from None

"""Alembic's way in: runs the migrations on the connection that `softswitch.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from softswitch.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite alters tables by copying them
)
with context.begin_transaction():
    context.run_migrations()

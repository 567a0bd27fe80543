"""Where the recording of a call lies, and what became of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("recording", sa.String(1024)))
    op.add_column("cdr", sa.Column("recording_started", sa.Double))
    op.add_column("cdr", sa.Column("recording_failed", sa.String(256)))

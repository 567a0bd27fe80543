"""What people set at their phones: forwards, do not disturb, call waiting."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    op.create_table(
        "extension_feature",
        sa.Column("extension", sa.String(128), primary_key=True),
        sa.Column("feature", sa.String(32), primary_key=True),
        sa.Column("value", sa.String(128), nullable=False),
        sqlite_with_rowid=False,
    )

"""Snapshots at which the journal of the ACD engine begins, where older records were taken out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision: str | None = "0008"


def upgrade() -> None:
    op.add_column("acd_snapshot", sa.Column("beginning", sa.SmallInteger, nullable=False, server_default="0"))
    op.add_column("acd_snapshot", sa.Column("kpis", sa.LargeBinary))


def downgrade() -> None:
    op.drop_column("acd_snapshot", "kpis")
    op.drop_column("acd_snapshot", "beginning")

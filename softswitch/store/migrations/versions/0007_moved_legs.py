"""The contact that a leg went on in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    op.add_column("cdr_leg", sa.Column("joined", sa.String(64)))

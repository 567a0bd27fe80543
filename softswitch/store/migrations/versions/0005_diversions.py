"""Who has sent a call on, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("diverted", sa.String(256)))

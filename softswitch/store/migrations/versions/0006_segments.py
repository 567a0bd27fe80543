"""What a contact was made of, and the one in which it went on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    op.add_column("cdr", sa.Column("segments", sa.String(8192)))
    op.add_column("cdr", sa.Column("joined", sa.String(64)))

"""How each side of a call sounded: mean opinion scores, of the whole call and at its worst."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    for side in ("caller", "callee"):
        op.add_column("cdr", sa.Column(f"{side}_mos", sa.Double))
        op.add_column("cdr", sa.Column(f"{side}_mos_min", sa.Double))
    op.add_column("cdr_leg", sa.Column("mos", sa.Double))
    op.add_column("cdr_leg", sa.Column("mos_min", sa.Double))

"""Call detail records, their legs, and the registrar's bindings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    op.create_table(
        "cdr",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("contact", sa.String(64), nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("answered", sa.Double),
        sa.Column("ended", sa.Double, nullable=False),
        sa.Column("direction", sa.String(32), nullable=False),
        sa.Column("caller_number", sa.String(128), nullable=False),
        sa.Column("caller_name", sa.String(256), nullable=False),
        sa.Column("dialled", sa.String(128), nullable=False),
        sa.Column("destination", sa.String(128), nullable=False),
        sa.Column("context", sa.String(128), nullable=False),
        sa.Column("trunk", sa.String(128), nullable=False),
        sa.Column("cause", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("ended_by", sa.String(32), nullable=False),
        sa.Column("duration", sa.Double, nullable=False),
        sa.Column("billsec", sa.Double, nullable=False),
        sa.Column("caller_loss", sa.Double),
        sa.Column("caller_jitter_ms", sa.Double),
        sa.Column("caller_rtt_ms", sa.Double),
        sa.Column("callee_loss", sa.Double),
        sa.Column("callee_jitter_ms", sa.Double),
        sa.Column("callee_rtt_ms", sa.Double),
        sa.UniqueConstraint("contact", name="cdr_contact"),
    )
    op.create_index("cdr_started", "cdr", ["started"])
    op.create_table(
        "cdr_leg",
        sa.Column("contact", sa.String(64), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("endpoint", sa.String(128), nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("direction", sa.String(32), nullable=False),
        sa.Column("number", sa.String(128), nullable=False),
        sa.Column("address", sa.String(128), nullable=False),
        sa.Column("call_id", sa.String(256), nullable=False),
        sa.Column("rang", sa.Double),
        sa.Column("answered", sa.Double),
        sa.Column("ended", sa.Double),
        sa.Column("cause", sa.SmallInteger, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("packets_in", sa.BigInteger, nullable=False),
        sa.Column("packets_out", sa.BigInteger, nullable=False),
        sa.Column("lost", sa.BigInteger, nullable=False),
        sa.Column("jitter_ms", sa.Double),
        sa.Column("rtt_ms", sa.Double),
        sa.Column("codec", sa.String(32), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "binding",
        sa.Column("aor", sa.String(256), primary_key=True),
        sa.Column("contact", sa.String(1024), primary_key=True),
        sa.Column("params", sa.String(1024), nullable=False),
        sa.Column("q", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("call_id", sa.String(256), nullable=False),
        sa.Column("cseq", sa.BigInteger, nullable=False),
        sa.Column("transport", sa.String(32), nullable=False),
        sa.Column("local_host", sa.String(64), nullable=False),
        sa.Column("local_port", sa.Integer, nullable=False),
        sa.Column("remote_host", sa.String(64), nullable=False),
        sa.Column("remote_port", sa.Integer, nullable=False),
        sa.Column("path", sa.String(8192), nullable=False),
        sa.Column("user_agent", sa.String(1024), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("binding")
    op.drop_table("cdr_leg")
    op.drop_index("cdr_started", "cdr")
    op.drop_table("cdr")

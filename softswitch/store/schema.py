"""The tables, as `migrations/` leaves them. A change here needs a migration there; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

METADATA = MetaData()

# SQLite numbers rows by itself only where the key is exactly INTEGER.
SERIAL = BigInteger().with_variant(Integer, "sqlite")

# Lengths bound what is stored; SQLite doesn't enforce them, so `rows` cuts.
ID, NUMBER, NAME, WORD, PATH = 64, 128, 256, 32, 1024
SEGMENTS = 8192  # of a hundred: a kind, two times, and what JSON writes around them

CDR = Table(
    "cdr",
    METADATA,
    Column("id", SERIAL, primary_key=True),
    Column("contact", String(ID), nullable=False),
    Column("started", Double, nullable=False),
    Column("answered", Double),
    Column("ended", Double, nullable=False),
    Column("direction", String(WORD), nullable=False),
    Column("caller_number", String(NUMBER), nullable=False),
    Column("caller_name", String(NAME), nullable=False),
    Column("dialled", String(NUMBER), nullable=False),
    Column("destination", String(NUMBER), nullable=False),
    Column("context", String(NUMBER), nullable=False),
    Column("trunk", String(NUMBER), nullable=False),
    Column("cause", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("ended_by", String(WORD), nullable=False),
    Column("duration", Double, nullable=False),
    Column("billsec", Double, nullable=False),
    Column("caller_loss", Double),
    Column("caller_jitter_ms", Double),
    Column("caller_rtt_ms", Double),
    Column("callee_loss", Double),
    Column("callee_jitter_ms", Double),
    Column("callee_rtt_ms", Double),
    Column("recording", String(PATH)),
    Column("recording_started", Double),
    Column("recording_failed", String(NAME)),
    Column("caller_mos", Double),
    Column("caller_mos_min", Double),
    Column("callee_mos", Double),
    Column("callee_mos_min", Double),
    Column("diverted", String(NAME)),
    Column("segments", String(SEGMENTS)),
    Column("joined", String(ID)),
    UniqueConstraint("contact", name="cdr_contact"),
    Index("cdr_started", "started"),
)

CDR_LEG = Table(
    "cdr_leg",
    METADATA,
    Column("contact", String(ID), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(WORD), nullable=False),
    Column("endpoint", String(NUMBER), nullable=False),
    Column("started", Double, nullable=False),
    Column("direction", String(WORD), nullable=False),
    Column("number", String(NUMBER), nullable=False),
    Column("address", String(NUMBER), nullable=False),
    Column("call_id", String(NAME), nullable=False),
    Column("rang", Double),
    Column("answered", Double),
    Column("ended", Double),
    Column("cause", SmallInteger, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("packets_in", BigInteger, nullable=False),
    Column("packets_out", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("jitter_ms", Double),
    Column("rtt_ms", Double),
    Column("codec", String(WORD), nullable=False),
    Column("mos", Double),
    Column("mos_min", Double),
    Column("joined", String(ID)),
    sqlite_with_rowid=False,  # the key is the table: one tree to keep instead of two
)

BINDING = Table(
    "binding",
    METADATA,
    Column("aor", String(NAME), primary_key=True),
    Column("contact", String(1024), primary_key=True),
    Column("params", String(1024), nullable=False),
    Column("q", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("call_id", String(NAME), nullable=False),
    Column("cseq", BigInteger, nullable=False),
    Column("transport", String(WORD), nullable=False),
    Column("local_host", String(ID), nullable=False),
    Column("local_port", Integer, nullable=False),
    Column("remote_host", String(ID), nullable=False),
    Column("remote_port", Integer, nullable=False),
    Column("path", String(8192), nullable=False),
    Column("user_agent", String(1024), nullable=False),
    sqlite_with_rowid=False,
)

FEATURE = Table(
    "extension_feature",
    METADATA,
    Column("extension", String(NUMBER), primary_key=True),
    Column("feature", String(WORD), primary_key=True),
    Column("value", String(NUMBER), nullable=False),
    sqlite_with_rowid=False,
)

# What has happened in the ACD engine, and what it made of that: `acd.facts.Record`, one for each row, without gaps.
ACD_JOURNAL = Table(
    "acd_journal",
    METADATA,
    Column("id", SERIAL, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("cause", BigInteger, nullable=False),
    Column("kind", String(WORD), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# `acd.state.State.snapshot` after the record of that id. `beginning` 1: records up to it are gone, or may go, and it
# stays as long as those after it; `kpis`: `acd.kpi.fold.Fold.snapshot` at the same record, where it is known.
ACD_SNAPSHOT = Table(
    "acd_snapshot",
    METADATA,
    Column("id", SERIAL, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("beginning", SmallInteger, nullable=False, server_default="0"),
    Column("kpis", LargeBinary),
)

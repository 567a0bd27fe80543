"""The store: what is handed over is written, once, whatever becomes of the database meanwhile."""

import asyncio
import sqlite3
import sys
from pathlib import Path

import aiosqlite
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.dialects.postgresql.asyncpg import dialect as postgresql_dialect
from sqlalchemy.exc import DatabaseError, OperationalError

import softswitch.store.store as store_module
from sip.binding import BindingRemoved, BindingStored
from softswitch.store import BindingRecord, CdrFilter, CdrRecord, FeatureChange, LegRecord, Quality, Store, StoreError
from softswitch.store.database import reason
from softswitch.store.migrate import MIGRATIONS, upgrade
from softswitch.store.pending import Group, Pending
from softswitch.store.rows import CDR_COLUMNS, cdr_row, leg_rows, read_cdr
from softswitch.store.schema import METADATA
from softswitch.store.statements import statements


def cdr(contact: str, started: float = 1000.0, **fields: object) -> CdrRecord:
    legs = (
        LegRecord("trunk", "carrier", started, "in", "4930123", packets_in=100, packets_out=98, lost=25, jitter_ms=2.5),
        LegRecord("extension", "101", started + 1, answered=started + 3, packets_in=50, rtt_ms=12.0, codec="PCMU"),
    )
    record = CdrRecord(
        contact, started, started + 63, started + 3, "inbound", "4930123", "Ann", "101", "101", legs=legs
    )
    for name, value in fields.items():
        setattr(record, name, value)
    return record


def binding(contact: str, **fields: object) -> BindingRecord:
    values: dict[str, object] = {
        "aor": "101@example.com",
        "contact": contact,
        "params": ";+sip.instance=x",
        "q": 0.5,
        "expires_at": 5000.0,
        "call_id": "c1",
        "cseq": 7,
        "transport": "udp",
        "local_host": "192.0.2.1",
        "local_port": 5060,
        "remote_host": "192.0.2.7",
        "remote_port": 40000,
        "path": ("<sip:edge.example.com;lr>", "<sip:two.example.com;lr>"),
        "user_agent": "phone",
    }
    return BindingRecord(**{**values, **fields})  # type: ignore[arg-type]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/switch.db"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups and retries at once: what is tested is the order of things, not the time they take."""
    monkeypatch.setattr(store_module, "GROUP_SECONDS", 0.0)
    monkeypatch.setattr(store_module, "RETRY_SECONDS", (0.0,))


async def written(store: Store) -> None:
    """Until nothing waits; bounded, so that what never gets written fails the test."""
    async with asyncio.timeout(10):
        await store.flush()
    assert store.waiting == 0


async def stored(url: str) -> list[CdrRecord]:
    store = Store(url)
    try:
        return await store.cdrs()
    finally:
        await store.close()


class Broken:
    """Stands in for `Store._commit`: fails as told, then writes."""

    def __init__(self, store: Store, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tries = 0
        self._commit = store._commit
        store._commit = self  # type: ignore[method-assign]

    async def __call__(self, group: Group) -> None:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        await self._commit(group)


def away() -> OperationalError:
    return OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))


# --- what is written is read --------------------------------------------------------------------------------


async def test_a_record_is_stored_with_its_legs(url: str) -> None:
    store = Store(url)
    await store.start()
    store.write_cdr(cdr("c1"))
    await store.close()
    (record,) = await stored(url)
    assert record.legs == cdr("c1").legs
    assert (record.caller, record.callee) == (Quality(0.2, 2.5, None), Quality(0.0, None, 12.0))
    record.caller = record.callee = None
    assert record == cdr("c1")


async def test_a_summary_that_is_given_is_kept_and_silence_has_none(url: str) -> None:
    store = Store(url)
    await store.start()
    store.write_cdr(cdr("given", 2.0, caller=Quality(0.5, 1.0, 2.0)))
    store.write_cdr(cdr("silent", 1.0, legs=(LegRecord("extension", "1", 1.0, "in"),)))
    await store.close()
    given, silent = await stored(url)
    assert given.caller == Quality(0.5, 1.0, 2.0)
    assert (silent.caller, silent.callee) == (None, None)


async def test_everything_handed_over_before_close_is_written(url: str) -> None:
    store = Store(url)
    await store.start()
    for n in range(1203):
        store.write_cdr(cdr(f"c{n}", float(n)))
    await store.close()
    assert [record.contact for record in await stored(url)] == [f"c{n}" for n in reversed(range(1203))]
    assert store.status()["groups"] == 3
    assert store.waiting == 0


async def test_a_record_written_twice_is_stored_once(url: str) -> None:
    for _ in range(2):
        store = Store(url)
        await store.start()
        store.write_cdr(cdr("same"))
        await store.close()
    assert [record.contact for record in await stored(url)] == ["same"]
    assert len((await stored(url))[0].legs) == 2


async def test_records_are_found_by_time_and_number(url: str) -> None:
    store = Store(url)
    await store.start()
    for n in range(6):
        store.write_cdr(cdr(f"c{n}", float(n), caller_number=str(n), dialled="7", destination=str(n + 10)))
    await written(store)
    try:
        found = {
            "number": await store.cdrs(CdrFilter(number="3")),
            "destination": await store.cdrs(CdrFilter(number="13")),
            "dialled": await store.cdrs(CdrFilter(number="7"), limit=2),
            "span": await store.cdrs(CdrFilter(since=2.0, until=4.0)),
            "injection": await store.cdrs(CdrFilter(number="' OR 1=1 --")),
            "none": await store.cdrs(limit=0),
        }
    finally:
        await store.close()
    assert {name: [record.contact for record in records] for name, records in found.items()} == {
        "number": ["c3"],
        "destination": ["c3"],
        "dialled": ["c5", "c4"],
        "span": ["c3", "c2"],
        "injection": [],
        "none": [],
    }


async def test_pages_see_each_record_once_while_others_are_written(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "PAGE", 3)
    store = Store(url)
    await store.start()
    for n in range(8):
        store.write_cdr(cdr(f"c{n}", 1.0))  # all at the same moment: the order is that of writing
    await written(store)
    seen = []
    async for page in store.pages():
        seen.append([record.contact for record in page])
        store.write_cdr(cdr(f"late{len(seen)}", 2.0))
        await written(store)
    await store.close()
    assert seen == [["c7", "c6", "c5"], ["c4", "c3", "c2"], ["c1", "c0"]]


# --- bindings -----------------------------------------------------------------------------------------------


async def test_bindings_survive_a_restart(url: str) -> None:
    store = Store(url)
    await store.start()
    store.write_binding(binding("sip:101@192.0.2.7"))
    store.write_binding_change(BindingStored(binding("sip:101@192.0.2.8", path=())))
    await store.close()
    store = Store(url)
    await store.start()
    records = sorted(await store.load_bindings(), key=lambda record: record.contact)
    assert records == [binding("sip:101@192.0.2.7"), binding("sip:101@192.0.2.8", path=())]
    store.write_binding(binding("sip:101@192.0.2.7", cseq=8, expires_at=9000.0))
    store.write_binding_change(BindingRemoved("101@example.com", "sip:101@192.0.2.8"))
    await store.close()
    store = Store(url)
    assert await store.load_bindings() == [binding("sip:101@192.0.2.7", cseq=8, expires_at=9000.0)]
    await store.close()


async def test_of_a_binding_only_the_latest_word_is_written(url: str) -> None:
    store = Store(url)
    await store.start()
    for cseq in range(50):
        store.write_binding(binding("sip:a", cseq=cseq))
    store.write_binding(binding("sip:b"))
    store.forget_binding("101@example.com", "sip:b")
    await store.close()
    assert store.status()["binding_written"] == 2
    store = Store(url)
    assert [record.cseq for record in await store.load_bindings()] == [49]
    await store.close()


# --- the database away (locked, full, gone) -----------------------------------------------------------------


async def test_records_outlast_an_outage_and_none_is_doubled(url: str) -> None:
    store = Store(url)
    await store.start()
    broken = Broken(store, *[away() for _ in range(5)], TimeoutError(), OSError(28, "No space left on device"))
    broken.errors.append(DatabaseError("INSERT", {}, sqlite3.DatabaseError("database disk image is malformed")))
    for n in range(10):
        store.write_cdr(cdr(f"c{n}", float(n)))
        store.write_binding(binding(f"sip:{n}"))
        await asyncio.sleep(0)
    await written(store)
    assert store.status()["failures"] == 8
    assert broken.tries >= 9
    assert store.status()["cdr_spooled"] == 0
    await store.close()
    assert [record.contact for record in await stored(url)] == [f"c{n}" for n in reversed(range(10))]


async def test_a_commit_that_was_not_confirmed_is_not_doubled(url: str) -> None:
    store = Store(url)
    await store.start()
    commit = store._commit
    lost = [True]

    async def unconfirmed(group: Group) -> None:
        await commit(group)
        if lost:
            lost.pop()
            raise away()

    store._commit = unconfirmed  # type: ignore[method-assign]
    store.write_cdr(cdr("once"))
    await store.close()
    assert [len(record.legs) for record in await stored(url)] == [2]


async def test_a_database_locked_by_another_process_is_waited_for(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(url)
    await store.start()
    other = sqlite3.connect(tmp_path / "switch.db", isolation_level=None)
    async with store._engine.connect() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout=0")
    kept_back = asyncio.Event()
    put_back = store._pending.put_back

    def put_back_and_tell(_pending: Pending, group: Group) -> None:
        put_back(group)
        kept_back.set()

    monkeypatch.setattr(Pending, "put_back", put_back_and_tell)
    other.execute("BEGIN IMMEDIATE")
    store.write_cdr(cdr("patient"))
    async with asyncio.timeout(10):
        await kept_back.wait()
    assert store.status()["cdr_spooled"] == 1
    other.execute("COMMIT")
    other.close()
    await written(store)
    await store.close()
    assert [record.contact for record in await stored(url)] == ["patient"]


async def test_a_full_disk_keeps_records_until_there_is_room(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(url)
    await store.start()
    full = asyncio.Event()
    put_back = store._pending.put_back

    def put_back_and_tell(_pending: Pending, group: Group) -> None:
        put_back(group)
        full.set()

    monkeypatch.setattr(Pending, "put_back", put_back_and_tell)
    async with store._engine.connect() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count=1")  # no more pages than there are
    for n in range(200):
        store.write_cdr(cdr(f"c{n}", float(n), caller_name="x" * 250))
    async with asyncio.timeout(10):
        await full.wait()
    assert store.waiting == 200
    async with store._engine.connect() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    await written(store)
    await store.close()
    assert len(await stored(url)) == 200


KILLED = """
import asyncio, os, signal, sys
from softswitch.store import CdrRecord, Store

async def main():
    store = Store(sys.argv[1])
    await store.start()
    for n in range(700):
        store.write_cdr(CdrRecord(f"c{n}", float(n), float(n)))
    await store.flush()
    store.write_cdr(CdrRecord("in the window", 1000.0, 1000.0))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_is_committed_survives_a_kill(url: str) -> None:
    """All up to the last committed group are there, the window behind it is lost."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, url)
    assert await process.wait() == -9
    assert [record.contact for record in await stored(url)] == [f"c{n}" for n in reversed(range(700))]


async def test_what_an_outage_leaves_at_close_is_counted_and_close_ends(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "CLOSE_SECONDS", 0.05)
    store = Store(url)
    await store.start()
    Broken(store, *[away() for _ in range(10_000)])
    store.write_cdr(cdr("lost"))
    await store.close()
    assert store.waiting == 1
    assert await stored(url) == []


async def test_one_record_that_no_database_takes_keeps_no_other_from_being_written(url: str) -> None:
    store = Store(url)
    await store.start()
    store.write_cdr(cdr("good1", 1.0))
    store.write_cdr(cdr("bad", 2.0, duration="\ud800"))
    store.write_cdr(cdr("good2", 3.0))
    store.write_binding(binding("sip:\udcff@192.0.2.7"))
    store.write_binding(binding("sip:fine"))
    await store.close()
    assert [record.contact for record in await stored(url)] == ["good2", "good1"]
    assert (store.status()["cdr_refused"], store.status()["binding_refused"]) == (1, 1)
    store = Store(url)
    assert [record.contact for record in await store.load_bindings()] == ["sip:fine"]
    await store.close()


async def test_an_outage_in_the_middle_of_writing_one_by_one_loses_nothing(url: str) -> None:
    store = Store(url)
    await store.start()
    Broken(store, ValueError("bad record somewhere"), away())
    store.write_cdr(cdr("c1", 1.0))
    store.write_cdr(cdr("c2", 2.0))
    await written(store)
    await store.close()
    assert [record.contact for record in await stored(url)] == ["c2", "c1"]


async def test_what_is_written_is_let_go_of(url: str) -> None:
    store = Store(url)
    await store.start()
    record = cdr("c1")
    store.write_cdr(record)
    await written(store)
    await asyncio.sleep(0)
    assert sys.getrefcount(record) == 2  # ours, and the argument's
    await store.close()


async def test_text_of_strangers_is_stored_harmless(url: str) -> None:
    store = Store(url)
    await store.start()
    name = "\x1b[2J=cmd|' /C calc'!A0\r\nAn\u202en \udcff" + "x" * 500
    store.write_cdr(cdr("hostile", caller_name=name, dialled="'; DROP TABLE cdr; --\x00"))
    await store.close()
    (record,) = await stored(url)
    assert record.caller_name.isprintable()
    assert record.caller_name.startswith("\ufffd[2J=cmd|' /C calc'!A0\ufffd\ufffdAn\ufffdn \ufffd")
    assert len(record.caller_name) == 256
    assert record.dialled == "'; DROP TABLE cdr; --\ufffd"


# --- opening ------------------------------------------------------------------------------------------------


async def test_a_database_that_cannot_be_opened_is_one_clear_line(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/missing/switch.db")
    with pytest.raises(StoreError) as caught:
        await store.start()
    assert caught.value.strerror is not None
    assert "unable to open database file" in caught.value.strerror
    assert "\n" not in caught.value.strerror


async def test_a_database_that_cannot_be_opened_leaves_no_thread_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # aiosqlite's thread outlives a failed opening, and ends with a traceback if the loop is closed by then.
    begun: list[object] = []
    monkeypatch.setattr(aiosqlite.Connection, "_connect", begun.append)
    with pytest.raises(StoreError):
        await Store(f"sqlite:///{tmp_path}/missing/switch.db").start()
    assert begun == []


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "switch.db").write_bytes(b"not a database at all, but long enough to be taken for one" * 20)
    with pytest.raises(StoreError, match="not a database"):
        await Store(f"sqlite:///{tmp_path}/switch.db").start()


async def test_a_database_of_a_later_version_is_refused(url: str, tmp_path: Path) -> None:
    store = Store(url)
    await store.start()
    await store.close()
    with sqlite3.connect(tmp_path / "switch.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match=r"not of this version.*9999"):
        await Store(url).start()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "can't be read"),
        ("mysql://switch:secret@host/db", r"mysql://switch:\*\*\*@host/db: expected sqlite or postgresql"),
        (
            "postgresql+psycopg://switch:secret@host/db",
            r"switch:\*\*\*@host/db: Python package psycopg is not installed",
        ),
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as caught:
        Store(url)
    assert "secret" not in str(caught.value)


async def test_reading_without_tables_is_a_clear_error(url: str) -> None:
    store = Store(url)
    with pytest.raises(StoreError, match="no such table"):
        await store.cdrs()
    with pytest.raises(StoreError, match="no such table"):
        await store.load_bindings()
    await store.close()


async def test_the_database_is_in_wal_mode(url: str, tmp_path: Path) -> None:
    store = Store(url)
    await store.start()
    await store.close()
    with sqlite3.connect(tmp_path / "switch.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_the_migrations_make_the_schema_that_the_code_uses() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection)
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        upgrade(connection)  # nothing left to do
    engine.dispose()


NEWER = ("recording", "diverted", "segments", "joined")
"""Columns that a later revision has added."""


def test_records_of_before_recordings_stay_and_are_read(tmp_path: Path) -> None:
    """A database of the first revision, with a call in it, brought to the latest."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        names = [name for name in CDR_COLUMNS if not name.startswith(NEWER) and "_mos" not in name]
        values = cdr_row(CdrRecord("old", 1.0, 2.0))[: len(names)]
        places = ", ".join("?" * len(names))
        connection.exec_driver_sql(f"INSERT INTO cdr ({', '.join(names)}) VALUES ({places})", values)
        upgrade(connection)
        row = connection.exec_driver_sql(f"SELECT {', '.join(CDR_COLUMNS)} FROM cdr").one()
    engine.dispose()
    record = read_cdr(tuple(row), ())
    assert (record.contact, record.recording, record.recording_started, record.recording_failed) == (
        "old",
        "",
        None,
        "",
    )


def test_mean_opinion_scores_are_kept() -> None:
    caller = Quality(0.1, 2.0, None, 4.1, 3.2)
    legs = (
        LegRecord("trunk", "north", 1.0, "in", packets_in=9, mos=4.1, mos_min=3.2),
        LegRecord("extension", "101", 1.0, answered=1.5, packets_in=9, codec="PCMA", mos=4.4, joined="c2"),
    )
    record = CdrRecord("c", 1.0, 2.0, caller=caller, legs=legs)
    read = read_cdr(cdr_row(record), leg_rows(record))
    assert read.caller == caller
    assert read.callee is not None
    assert (read.callee.mos, read.callee.mos_min) == (4.4, None)
    assert [(leg.codec, leg.mos, leg.mos_min) for leg in read.legs] == [("", 4.1, 3.2), ("PCMA", 4.4, None)]
    assert [leg.joined for leg in read.legs] == ["", "c2"]


def test_a_recording_is_kept() -> None:
    record = CdrRecord("c", 1.0, 2.0, recording="/r/1.wav", recording_started=1.5, recording_failed="disk full")
    read = read_cdr(cdr_row(record), ())
    assert (read.recording, read.recording_started, read.recording_failed) == ("/r/1.wav", 1.5, "disk full")


def test_reasons_hold_neither_statement_nor_parameters() -> None:
    error = OperationalError("INSERT INTO cdr", {"number": "4930123"}, sqlite3.OperationalError("disk is full\nmore"))
    assert reason(error) == "disk is full"
    assert reason(TimeoutError()) == "TimeoutError"


def test_the_statements_can_be_said_to_postgresql() -> None:
    sql = statements(postgresql_dialect())  # type: ignore[no-untyped-call]
    assert "$1" in sql.cdr
    assert sql.cdr.endswith("ON CONFLICT DO NOTHING")
    assert "ON CONFLICT (aor, contact) DO UPDATE SET" in sql.binding
    assert sql.forget.startswith("DELETE FROM binding WHERE")


async def test_a_writer_that_dies_says_so(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(url)
    await store.start()
    Broken(store, RuntimeError("a mistake of ours"))
    store.write_cdr(cdr("c1"))
    with pytest.raises(RuntimeError):
        await store.close()
    assert "a mistake of ours" in capsys.readouterr().out


# --- what waits ---------------------------------------------------------------------------------------------


def test_what_waits_is_bounded_and_what_is_lost_is_counted() -> None:
    pending = Pending(max_cdrs=3, max_bindings=2)
    for n in range(5):
        pending.add_cdr(cdr(f"c{n}"))
        pending.add_binding(("aor", f"sip:{n}"), None)
    pending.add_binding(("aor", "sip:0"), binding("sip:0"))  # a later word on one that is there needs no room
    assert (len(pending), pending.lost_cdrs, pending.lost_bindings) == (5, 2, 3)
    group = pending.take(10)
    pending.put_back(group)
    pending.add_cdr(cdr("late"))
    assert pending.lost_cdrs == 3
    assert pending.spooled == 3


def test_groups_are_the_oldest_first_through_outages() -> None:
    pending = Pending()
    for n in range(4):
        pending.add_cdr(cdr(f"c{n}"))
    group = pending.take(2)
    assert [record.contact for record in group.cdrs] == ["c0", "c1"]
    pending.put_back(group)
    pending.add_cdr(cdr("c4"))
    assert [record.contact for record in pending.take(3).cdrs] == ["c0", "c1", "c2"]
    rest = pending.take(500).cdrs
    assert [record.contact for record in rest] == ["c3", "c4"]
    assert rest[0] == cdr("c3")
    assert len(pending) == 0


def test_a_newer_word_on_a_binding_survives_what_is_put_back() -> None:
    pending = Pending()
    key, other = ("aor", "sip:1"), ("aor", "sip:2")
    pending.add_binding(key, binding("sip:1"))
    pending.add_binding(other, binding("sip:2"))
    group = pending.take(500)
    pending.add_binding(key, None)
    pending.put_back(group)
    assert pending.take(500).bindings == {key: None, other: binding("sip:2")}


def test_bindings_come_in_groups_too() -> None:
    pending = Pending()
    for n in range(5):
        pending.add_binding(("aor", f"sip:{n}"), None)
    assert [len(pending.take(2).bindings) for _ in range(4)] == [2, 2, 1, 0]


# --- what people set at their phones ------------------------------------------------------------------------


async def test_a_feature_is_replaced_and_taken_out(url: str) -> None:
    store = Store(url)
    await store.start()
    for change in (
        FeatureChange("101", "dnd", "on"),
        FeatureChange("101", "forward_busy", "102"),
        FeatureChange("102", "dnd", "on"),
    ):
        store.write_feature(change)
    await written(store)
    store.write_feature(FeatureChange("101", "forward_busy", "off"))
    store.write_feature(FeatureChange("102", "dnd", None))
    store.write_feature(FeatureChange("103", "dnd", None))  # nothing of it is stored
    await store.close()
    again = Store(url)
    await again.start()
    stored = await again.load_features()
    await again.close()
    assert sorted(stored, key=str) == [
        FeatureChange("101", "dnd", "on"),
        FeatureChange("101", "forward_busy", "off"),
    ]
    assert store.status()["feature_written"] == 6


async def test_a_faulty_feature_does_not_keep_others_from_being_written(url: str) -> None:
    store = Store(url)
    await store.start()
    store.write_feature(FeatureChange("101", "dnd", "\ud800"))
    store.write_feature(FeatureChange("102", "dnd", "on"))
    await written(store)
    assert await store.load_features() == [FeatureChange("102", "dnd", "on")]
    assert store.status()["feature_refused"] == 1
    await store.close()


def test_features_wait_in_bounds_and_the_newest_word_counts() -> None:
    pending = Pending(max_features=2)
    for n in range(3):
        pending.add_feature((str(n), "dnd"), "on")
    assert (len(pending), pending.lost_features) == (2, 1)
    group = pending.take(1)
    assert group.features == {("0", "dnd"): "on"}
    pending.add_feature(("0", "dnd"), None)
    pending.put_back(group)
    assert pending.take(5).features == {("0", "dnd"): None, ("1", "dnd"): "on"}

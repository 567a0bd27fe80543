"""The ACD engine's journal in a database: whole, in order, read back, and recovered from, whatever happens."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from acd_world import World, agent, queue
from kept_journal import records_of
from sqlalchemy.dialects.postgresql.asyncpg import dialect as postgresql_dialect
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

import softswitch.store.acd_journal as journal_module
from acd import inputs as i
from acd.engine import Engine
from acd.journal import JournalError, encode, fold
from acd.state import State
from softswitch.store.acd_journal import AcdJournal
from softswitch.store.database import StoreError
from softswitch.store.statements import journal_statements


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def busy_day(calls: int = 40) -> World:
    world = World([queue("sales")], [agent("ann"), agent("bob")])
    world.sign_in("ann", "bob")
    for number in range(calls):
        world.call(f"c{number}", "sales", number=f"+49{number}")
        for name in list(world.ringing):
            world.serve(name, 5.0)
    return world


async def opened(path: Path) -> AcdJournal:
    journal = AcdJournal(url(path))
    await journal.start()
    return journal


async def test_what_is_appended_is_read_back_and_recovered(tmp_path: Path) -> None:
    world = busy_day()
    journal = await opened(tmp_path / "db")
    for record in world.journal:
        journal.append([record])
    await journal.flush()
    assert journal.waiting == 0
    assert journal.status()["written"] == len(world.journal)
    recovered = await journal.recover()
    assert recovered.snapshot() == world.state.snapshot()
    await journal.close()
    assert records_of(tmp_path / "db") == world.journal


async def test_close_writes_what_waits_and_the_next_life_goes_on(tmp_path: Path) -> None:
    world = busy_day(5)
    journal = await opened(tmp_path / "db")
    journal.append(world.journal)
    await journal.close()
    journal = await opened(tmp_path / "db")
    assert journal.last_id == world.state.last_id
    engine = Engine(await journal.recover())
    records = engine.handle(i.Enqueue("later", "sales"), world.now + 60.0).records
    journal.append(records)
    await journal.close()
    assert records_of(tmp_path / "db") == [*world.journal, *records]


async def test_recovery_is_the_latest_snapshot_and_the_records_after_it(tmp_path: Path) -> None:
    world = busy_day(10)
    journal = await opened(tmp_path / "db")
    journal.append(world.journal)
    journal.snapshot(world.state)
    done = len(world.journal)
    for number in range(5):
        world.call(f"later{number}", "sales")
    journal.append(world.journal[done:])
    await journal.flush()
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.execute("DELETE FROM acd_journal WHERE id <= ?", (done,))
    connection.close()
    recovered = await journal.recover()
    assert {contact.id for contact in recovered.contacts.values()} == set(world.state.contacts)
    assert recovered.last_id == world.state.last_id
    assert fold([], recovered).classes.everybody("sales") == world.state.classes.everybody("sales")
    await journal.close()


async def test_a_snapshot_is_never_there_without_the_records_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "GROUP_RECORDS", 7)
    world = busy_day(10)
    journal = await opened(tmp_path / "db")
    journal.append(world.journal)
    journal.snapshot(world.state)
    seen = []
    while journal.waiting:
        await asyncio.sleep(0)
        with sqlite3.connect(tmp_path / "db") as connection:
            (count,) = connection.execute("SELECT count(*) FROM acd_journal").fetchone()
            (kept,) = connection.execute("SELECT count(*) FROM acd_snapshot").fetchone()
        connection.close()
        seen.append((count, kept))
    await journal.flush()
    assert all(kept == 0 or count == len(world.journal) for count, kept in seen)
    assert journal.status()["snapshots"] == 1
    assert journal.status()["groups"] > len(world.journal) // 20
    await journal.close()


async def test_what_came_of_an_input_is_stored_with_it_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "GROUP_RECORDS", 3)
    world = busy_day(10)
    journal = await opened(tmp_path / "db")
    ends = []
    write = journal._write

    async def noted() -> None:
        await write()
        ends.append(journal.status()["written"])

    monkeypatch.setattr(journal._writer, "_write", noted)
    journal.append(world.journal)
    await journal.close()
    assert len(ends) > 20
    inputs = [number for number, record in enumerate(world.journal) if not record.cause]
    assert set(ends) <= {*inputs, len(world.journal)}


async def test_two_snapshots_are_kept_and_the_older_one_is_used_where_the_latest_can_not_be_read(
    tmp_path: Path,
) -> None:
    world = World([queue("sales")], [agent("ann")])
    journal = await opened(tmp_path / "db")
    done = 0
    for number in range(4):
        world.call(f"c{number}", "sales")
        journal.append(world.journal[done:])
        done = len(world.journal)
        journal.snapshot(world.state)
        await journal.flush()
    with sqlite3.connect(tmp_path / "db") as connection:
        kept = [row for (row,) in connection.execute("SELECT id FROM acd_snapshot ORDER BY id")]
        connection.execute("UPDATE acd_snapshot SET body = x'90' WHERE id = ?", (kept[-1],))
    connection.close()
    assert len(kept) == 2
    assert kept[-1] == world.state.last_id
    recovered = await journal.recover()
    assert recovered.last_id == world.state.last_id
    assert set(recovered.contacts) == {"c0", "c1", "c2", "c3"}
    await journal.close()


async def test_records_follow_one_another_and_snapshots_the_latest(tmp_path: Path) -> None:
    world = busy_day(3)
    journal = await opened(tmp_path / "db")
    journal.append(world.journal[:3])
    with pytest.raises(ValueError, match="record 5 after 3: expected 4"):
        journal.append(world.journal[4:5])
    with pytest.raises(ValueError, match=f"a state after record {world.state.last_id}: expected 3"):
        journal.snapshot(world.state)
    await journal.close()


async def test_a_gap_is_not_folded_over(tmp_path: Path) -> None:
    world = busy_day(3)
    journal = await opened(tmp_path / "db")
    journal.append(world.journal)
    await journal.flush()
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.execute("DELETE FROM acd_journal WHERE id = 7")
    connection.close()
    with pytest.raises(StoreError, match="record 7 is missing"):
        await journal.recover()
    await journal.close()


async def test_an_outage_is_waited_out_and_nothing_is_lost_or_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", (0.001,))
    world = busy_day(10)
    journal = await opened(tmp_path / "db")
    write, failures = journal._write, iter([OSError("away"), TimeoutError(), None])

    async def sometimes() -> None:
        failure = next(failures, None)
        if isinstance(failure, TimeoutError):
            kept = list(journal._waiting)
            await write()  # written, and not confirmed
            journal._waiting.extendleft(reversed(kept))
        if failure is not None:
            raise failure
        await write()

    monkeypatch.setattr(journal._writer, "_write", sometimes)
    journal.append(world.journal)
    await journal.flush()
    assert journal.status()["failures"] == 2
    await journal.close()
    assert records_of(tmp_path / "db") == world.journal


async def test_a_journal_that_has_lost_records_ends_and_begins_anew_with_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_WAITING", 10)
    world = busy_day(10)
    journal = await opened(tmp_path / "db")
    journal.append(world.journal)
    await journal.flush()
    assert world.journal[9].cause
    whole = max(number for number in range(10) if not world.journal[number].cause)
    assert journal.status()["lost"] == len(world.journal) - whole
    assert records_of(tmp_path / "db") == world.journal[:whole], "whole inputs"
    done = len(world.journal)
    world.call("more", "sales")
    journal.append(world.journal[done:])
    await journal.flush()
    assert len(records_of(tmp_path / "db")) == whole, "nothing after a gap"
    journal.snapshot(world.state)
    done = len(world.journal)
    world.call("again", "sales")
    journal.append(world.journal[done:])
    await journal.flush()
    recovered = await journal.recover()
    assert recovered.last_id == world.state.last_id
    assert set(recovered.contacts) == set(world.state.contacts)
    await journal.close()


def test_both_databases_are_spoken_to_in_their_ways() -> None:
    on_sqlite, on_postgresql = journal_statements(sqlite_dialect()), journal_statements(postgresql_dialect())
    assert on_sqlite.record == (
        "INSERT INTO acd_journal (id, time, cause, kind, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    )
    assert "VALUES ($1::BIGINT, $2::" in on_postgresql.record
    assert on_postgresql.snapshot.endswith("ON CONFLICT DO NOTHING")


# ---- a killed process

KILLED = """
import asyncio, sys
from acd import inputs as i
from acd.config import Agent, Config, Queue, Team
from acd.engine import Engine
from softswitch.store.acd_journal import AcdJournal

async def main():
    journal = AcdJournal(sys.argv[1])
    await journal.start()
    engine = Engine(await journal.recover())
    config = Config(teams={"t": Team(name="t")}, queues={"q": Queue(name="q", team="t")})
    journal.append(engine.handle(i.Configure(config), 1.0).records)
    number = 0
    while True:
        number += 1
        journal.append(engine.handle(i.Enqueue(f"{engine.state.last_id}", "q"), float(number)).records)
        if number % 500 == 0:
            journal.snapshot(engine.state)
        if number % 50 == 0:
            print(journal.last_id - journal.waiting, flush=True)
            await asyncio.sleep(0.002)

asyncio.run(main())
"""


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "db"
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, url(path)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout is not None
        first = int(process.stdout.readline())
        for line in process.stdout:
            committed = int(line)
            if committed > first + 2_000:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        records = records_of(path)
        assert [record.id for record in records] == list(range(1, len(records) + 1))
        assert len(records) >= committed, "what was confirmed is there"

    async def recover() -> State:
        journal = await opened(path)
        try:
            return await journal.recover()
        finally:
            await journal.close()

    recovered = asyncio.run(recover())
    assert recovered.last_id == len(records)
    folded = fold(records)
    assert set(recovered.contacts) == set(folded.contacts)
    assert [each[:2] for each in recovered.classes.everybody("q")] == [
        each[:2] for each in folded.classes.everybody("q")
    ]


# ---- files


def test_a_file_of_records_is_read_as_a_database_is(tmp_path: Path) -> None:
    world = busy_day(5)
    (tmp_path / "day").write_bytes(b"".join(map(encode, world.journal)))
    assert records_of(tmp_path / "day") == world.journal


def test_the_incomplete_last_record_of_a_file_is_left_out(tmp_path: Path) -> None:
    world = busy_day(5)
    (tmp_path / "day").write_bytes(b"".join(map(encode, world.journal))[:-3])
    assert records_of(tmp_path / "day") == world.journal[:-1]


def test_what_is_no_journal_is_told(tmp_path: Path) -> None:
    for content in (b"\xc1rubbish", b"\x01\x02", msgspec.msgpack.encode({"id": 1})):
        (tmp_path / "rubbish").write_bytes(content)
        with pytest.raises(JournalError, match="record 1, at octet 0: "):
            records_of(tmp_path / "rubbish")
    with pytest.raises(JournalError, match="No such file"):
        records_of(tmp_path / "nothing")
    sqlite3.connect(tmp_path / "empty.db").executescript("CREATE TABLE x (y)").connection.close()
    with pytest.raises(JournalError, match="no such table: acd_journal"):
        records_of(tmp_path / "empty.db")


async def test_a_database_that_can_not_be_opened_is_told(tmp_path: Path) -> None:
    journal = AcdJournal(url(tmp_path / "no" / "directory" / "db"))
    with pytest.raises(StoreError, match="unable to open"):
        await journal.start()

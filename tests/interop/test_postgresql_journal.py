"""The journal of the ACD engine on a real PostgreSQL: appended in groups, recovered, the database away for a while,
its older part taken out, and read by reports."""

from __future__ import annotations

import asyncio
import csv
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from acd_world import World, agent, queue
from harness.postgres import Cluster
from harness.running import running, written
from typer.testing import CliRunner

import softswitch.store.acd_journal as journal_module
from acd import inputs as i
from acd.engine import Engine
from softswitch.cli import make_app
from softswitch.store.acd_journal import AcdJournal

pytestmark = pytest.mark.interop


def kept(url: str, seconds: float = 0.0, now: float = 0.0) -> AbstractAsyncContextManager[AcdJournal]:
    return running(AcdJournal(url, seconds, lambda: now))


def a_day(calls: int = 60) -> World:
    """With names that are no ASCII, and a character that no text of PostgreSQL may have."""
    world = World([queue("sales")], [agent("ann"), agent("bob")])
    world.sign_in("ann", "bob")
    for number in range(calls):
        world.call(f"Änne 安\0{number}", "sales", number=f"+49{number}")
        for name in list(world.ringing):
            world.serve(name, 5.0)
    world.call("waits", "sales")
    return world


async def test_the_journal_is_appended_in_groups_and_recovered_page_by_page(
    cluster: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state is the same to the byte in a later life of the switch, which goes on where the journal ends."""
    monkeypatch.setattr(journal_module, "GROUP_RECORDS", 100)
    monkeypatch.setattr(journal_module, "PAGE", 70)
    world = a_day()
    async with kept(cluster.url(database)) as journal:
        journal.append(world.journal)
        await written(journal)
        status = journal.status()
        assert (status["written"], status["waiting"], status["failures"]) == (len(world.journal), 0, 0)
        assert 3 < status["groups"] <= len(world.journal) // 100 + 1
    stored = cluster.sql("SELECT count(*), min(id), max(id) FROM acd_journal", database)
    assert stored == f"{len(world.journal)}|1|{len(world.journal)}"
    async with kept(cluster.url(database)) as journal:
        assert journal.last_id == world.state.last_id
        recovered = await journal.recover()
        assert recovered.snapshot() == world.state.snapshot()
        journal.append(Engine(recovered).handle(i.HangUp("waits"), world.now + 1.0).records)
        await written(journal)
        assert "waits" not in (await journal.recover()).contacts


async def test_the_journal_is_recovered_from_its_snapshot_and_what_came_after(cluster: Cluster, database: str) -> None:
    """Of the snapshots two are kept; the latest that can be read is taken."""
    world = a_day()
    states = []
    async with kept(cluster.url(database)) as journal:
        done = 0
        for number in range(3):
            world.call(f"later{number}", "sales")
            journal.append(world.journal[done:])
            journal.snapshot(world.state)
            states.append(world.state.last_id)
            done = len(world.journal)
            await written(journal)
        world.call("last", "sales")
        journal.append(world.journal[done:])
    assert cluster.sql("SELECT id FROM acd_snapshot ORDER BY id", database).split() == [
        str(each) for each in states[1:]
    ]
    cluster.sql(f"DELETE FROM acd_journal WHERE id <= {states[1]}", database)
    for damage in ("SELECT 1", f"UPDATE acd_snapshot SET body = '\\x90' WHERE id = {states[2]}"):
        cluster.sql(damage, database)
        async with kept(cluster.url(database)) as journal:
            recovered = await journal.recover()
            assert set(recovered.contacts) == set(world.state.contacts)
            assert recovered.last_id == world.state.last_id


@pytest.mark.parametrize("hard", [False, True], ids=["shut down", "killed"])
async def test_the_journal_is_whole_after_the_database_was_away(
    cluster: Cluster, database: str, hard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine goes on all the time while the database stops, in the middle of a transaction as likely as not, is
    away and recovers: its records wait."""
    monkeypatch.setattr(journal_module, "GROUP_SECONDS", 0.002)
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", (0.1,))
    world, calls = a_day(3), count()
    async with kept(cluster.url(database)) as journal:

        async def work(condition: str) -> None:
            """A caller every millisecond, who leaves again, until the status says so; a snapshot now and then."""
            before, have = journal.status()[condition], journal.last_id
            async with asyncio.timeout(20):
                while journal.status()[condition] == before or journal.last_id < have + 1_000:
                    done = len(world.journal)
                    world.call(f"more{done}", "sales")
                    world.tell(i.HangUp(f"more{done}"))
                    journal.append(world.journal[done:])
                    if next(calls) % 10 == 0:
                        journal.snapshot(world.state)
                    await asyncio.sleep(0.001)

        journal.append(world.journal)
        await work("snapshots")
        stopping = asyncio.create_task(asyncio.to_thread(cluster.stop, hard))
        await work("failures")
        await stopping
        await work("failures")
        assert journal.waiting > 1_000
        starting = asyncio.create_task(asyncio.to_thread(cluster.start))
        await work("groups")
        await starting
        await written(journal)
        assert journal.status()["lost"] == 0
        assert (await journal.recover()).contacts.keys() == world.state.contacts.keys()
    stored = cluster.sql("SELECT count(*), min(id), max(id) FROM acd_journal", database)
    assert stored == f"{len(world.journal)}|1|{len(world.journal)}"
    cluster.sql("DELETE FROM acd_snapshot", database)
    async with kept(cluster.url(database)) as journal:
        assert (await journal.recover()).snapshot() == world.state.snapshot(), "each record is what it was"


async def test_a_commit_that_was_not_confirmed_is_not_doubled(
    cluster: Cluster, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database has it, and the connection ends before it says so. More comes meanwhile, and the next group is
    another one."""
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", (0.01,))
    world = a_day()
    half = next(number for number in range(40, len(world.journal)) if not world.journal[number].cause)
    async with kept(cluster.url(database)) as journal:
        dialect = journal._engine.dialect
        commit, losses = dialect.do_commit, iter([True, True])

        def unconfirmed(connection: Any) -> None:
            commit(connection)
            if next(losses, False):
                if journal.last_id == half:
                    journal.append(world.journal[half:])
                    journal.snapshot(world.state)
                raise ConnectionResetError("Connection reset by peer")

        monkeypatch.setattr(dialect, "do_commit", unconfirmed)
        journal.append(world.journal[:half])
        await written(journal)
        status = journal.status()
        assert (status["failures"], status["written"], status["snapshots"]) == (2, len(world.journal), 1)
        assert (await journal.recover()).snapshot() == world.state.snapshot()
    assert (
        cluster.sql("SELECT count(*), max(id) FROM acd_journal", database)
        == f"{len(world.journal)}|{len(world.journal)}"
    )
    assert cluster.sql("SELECT count(*) FROM acd_snapshot", database) == "1"


async def test_the_older_part_of_the_journal_is_taken_out(cluster: Cluster, database: str) -> None:
    """In a later life of the switch, which recovers to the same state, also from where the journal begins then."""
    world = a_day()
    cut = world.journal[len(world.journal) // 2].time
    async with kept(cluster.url(database)) as journal:
        journal.append(world.journal)
        journal.snapshot(world.state)
    done = len(world.journal)
    world.call("later", "sales")
    async with kept(cluster.url(database), 100.0, cut + 100.0) as journal:
        journal.append(world.journal[done:])
        await written(journal)
        await journal.prune()
        assert journal.status()["pruned"] > 0
        assert (await journal.recover()).snapshot() == world.state.snapshot()
    (oldest, begins) = cluster.sql(
        "SELECT (SELECT min(id) FROM acd_journal), (SELECT id FROM acd_snapshot WHERE beginning = 1)", database
    ).split("|")
    assert int(oldest) == int(begins) + 1
    assert world.journal[int(begins) - 1].time < cut <= world.journal[int(begins)].time
    cluster.sql("DELETE FROM acd_snapshot WHERE beginning = 0", database)
    async with kept(cluster.url(database)) as journal:
        assert (await journal.recover()).snapshot() == world.state.snapshot()


def test_reports_and_explanations_read_the_journal_in_postgresql(
    cluster: Cluster, database: str, tmp_path: Path
) -> None:
    """By the configuration that names it; also where its older part is gone, and where there is none."""
    world = a_day()

    async def fill() -> None:
        async with kept(cluster.url(database)) as journal:
            journal.append(world.journal)
            journal.snapshot(world.state)

    async def prune() -> None:
        cut = world.journal[len(world.journal) // 2].time
        async with kept(cluster.url(database), 100.0, cut + 100.0) as journal:
            await journal.prune()

    (tmp_path / "softswitch.yaml").write_text(f"server: {{database_url: '{cluster.url(database)}'}}\n")
    app = make_app()
    words = ["report", str(tmp_path), "--format", "csv", "--zone", "UTC"]
    empty = CliRunner().invoke(app, words)
    says = f'journal {tmp_path}: relation "acd_journal" does not exist\n'
    assert (empty.exit_code, empty.output) == (1, says)
    asyncio.run(fill())
    (row,) = csv.DictReader(CliRunner().invoke(app, words).output.splitlines())
    assert (row["name"], row["offered"], row["answered"]) == ("sales", "60", "60")
    asyncio.run(prune())
    explained = CliRunner().invoke(app, ["explain", str(tmp_path), "waits"])
    assert "comes into queue sales" in explained.output
    gone = CliRunner().invoke(app, ["explain", str(tmp_path), "Änne 安\0" + "0"])
    assert "when the journal begins" in gone.output

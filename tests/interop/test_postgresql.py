"""The store on a real PostgreSQL: what is written is read, faults of one record, the database away for a while; the
journal of the ACD engine there; and a switch that keeps its records and bindings there."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from acd_world import World, agent, queue
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from harness.caller import Caller
from harness.cases import CALLED, CALLERS
from harness.ports import free_ports
from harness.postgres import Cluster
from harness.sipp import Sipp
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for
from sqlalchemy import Connection
from typer.testing import CliRunner

import softswitch.store.acd_journal as journal_module
import softswitch.store.store as store_module
from acd import inputs as i
from acd.engine import Engine
from softswitch.cli import make_app
from softswitch.store import BindingRecord, CdrFilter, CdrRecord, LegRecord, Quality, SegmentRecord, Store, StoreError
from softswitch.store.acd_journal import AcdJournal
from softswitch.store.database import open_engine
from softswitch.store.migrate import MIGRATIONS
from softswitch.store.schema import METADATA

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def database(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database's name."""
    name = f"test{len(cluster.sql('SELECT oid FROM pg_database').splitlines())}"
    cluster.sql(f"CREATE DATABASE {name}")
    yield name
    cluster.start()  # a test that failed may have left it stopped
    cluster.sql(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def started(url: str) -> AsyncIterator[Store]:
    store = Store(url)
    await store.start()
    try:
        yield store
    finally:
        await store.close()


async def written(store: Store, seconds: float = 20.0) -> None:
    """Until nothing waits any more; bounded, so that what never gets written fails the test."""
    async with asyncio.timeout(seconds):
        await store.flush()


def cdr(contact: str, started: float = 1000.0, **fields: object) -> CdrRecord:
    legs = (
        LegRecord("trunk", "carrier", started, "in", "4930123", packets_in=100, packets_out=98, lost=25, jitter_ms=2.5),
        LegRecord("extension", "101", started + 1, rang=started + 2, answered=started + 3, rtt_ms=12.0, codec="PCMU"),
    )
    record = CdrRecord(
        contact, started, started + 63, started + 3, "inbound", "4930123", "Änne 安", "101", "101", legs=legs
    )
    record.caller, record.callee = Quality(0.2, 2.5, None), Quality(0.0, None, 12.0)
    record.segments = (
        SegmentRecord("ring", started + 1, started + 3),
        SegmentRecord("talk", started + 3, started + 63),
    )
    record.joined = "another"
    for name, value in fields.items():
        setattr(record, name, value)
    return record


def binding(contact: str, **fields: object) -> BindingRecord:
    values: dict[str, object] = {
        "aor": "101@example.com",
        "contact": contact,
        "params": ';+sip.instance="<urn:x>"',
        "q": 0.5,
        "expires_at": 5000.25,
        "call_id": "c1",
        "cseq": 7,
        "transport": "udp",
        "local_host": "192.0.2.1",
        "local_port": 5060,
        "remote_host": "2001:db8::7",
        "remote_port": 40000,
        "path": ("<sip:edge.example.com;lr>", "<sip:two.example.com;lr>"),
        "user_agent": "phone",
    }
    return BindingRecord(**{**values, **fields})  # type: ignore[arg-type]


# 3,000 bytes: an index of PostgreSQL takes 2,704 of a row, after compression.
INCOMPRESSIBLE = "".join(map(chr, Random(1).choices(range(0x4E00, 0x9FFF), k=1000)))


# ---- the store --------------------------------------------------------------------------------------


async def test_the_migrations_make_the_schema_that_the_code_uses(cluster: Cluster, database: str) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    for _ in range(2):  # the second time there is nothing left to do
        async with started(cluster.url(database)):
            pass
    engine = open_engine(cluster.url(database))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()
    newest = max(path.name for path in (MIGRATIONS / "versions").glob("0*.py"))
    assert cluster.sql("SELECT version_num FROM alembic_version", database) == newest.partition("_")[0]


async def test_what_is_written_is_read_by_the_next(cluster: Cluster, database: str) -> None:
    """Records with their legs, to the last field; bindings replaced and forgotten; more records than a page has, found
    by time and number."""
    many = store_module.PAGE + 20
    async with started(cluster.url(database)) as store:
        store.write_cdr(cdr("c1"))
        store.write_cdr(cdr("c2", 2000.5, answered=None, dialled="999", legs=(), caller=None, callee=None))
        for n in range(many):
            store.write_cdr(cdr(f"many{n}", 10_000.0 + n // 7))
        store.write_binding(binding("sip:1@192.0.2.7"))
        store.write_binding(binding("sip:2@192.0.2.7"))
        await written(store)
        store.write_binding(binding("sip:1@192.0.2.7", cseq=2**31, path=()))
        store.forget_binding("101@example.com", "sip:2@192.0.2.7")
    async with started(cluster.url(database)) as store:
        second, first = await store.cdrs(CdrFilter(until=10_000.0))
        assert first == cdr("c1")
        assert second == cdr("c2", 2000.5, answered=None, dialled="999", legs=(), caller=None, callee=None)
        assert [record.contact for record in await store.cdrs(CdrFilter(number="999"))] == ["c2"]
        found = await store.cdrs(CdrFilter(since=10_000.0))
        assert sorted(record.contact for record in found) == sorted(f"many{n}" for n in range(many))
        assert [record.started for record in found] == sorted((10_000.0 + n // 7 for n in range(many)), reverse=True)
        assert await store.load_bindings() == [binding("sip:1@192.0.2.7", cseq=2**31, path=())]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(binding("sip:nul@192.0.2.7", params=';x="\\\0"'), id="a character it doesn't take"),
        pytest.param(binding("sip:long@192.0.2.7", call_id="x" * 300), id="too long for its column"),
        pytest.param(binding(f"sip:{INCOMPRESSIBLE}@x"), id="too long for an index"),
        pytest.param(binding("sip:far@192.0.2.7", remote_port=2**40), id="too large a number"),
        pytest.param(cdr("refused", caller=Quality("secret")), id="no number at all"),  # type: ignore[arg-type]
        pytest.param(cdr("refused", ended=None), id="nothing where something must be"),
    ],
)
async def test_a_record_that_is_refused_keeps_no_other_back(
    cluster: Cluster, database: str, fault: CdrRecord | BindingRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is counted and logged, without its contents; the others of its group are written, and so is what follows."""
    async with started(cluster.url(database)) as store:
        for _ in range(2):
            store.write_cdr(cdr("before"))
            store.write_binding(binding("sip:before@192.0.2.7"))
            if isinstance(fault, CdrRecord):
                store.write_cdr(fault)
            else:
                store.write_binding(fault)
            store.write_cdr(cdr("after"))
            await written(store, 5)
        status = store.status()
        assert status["cdr_refused"] + status["binding_refused"] == 2
        assert status["failures"] == 0
        assert sorted(record.contact for record in await store.cdrs()) == ["after", "before"]
        assert [each.contact for each in await store.load_bindings()] == ["sip:before@192.0.2.7"]
    said = capsys.readouterr().out
    assert "refused" in said
    assert "secret" not in said


@pytest.mark.parametrize("hard", [False, True], ids=["shut down", "killed"])
async def test_nothing_is_lost_or_doubled_while_the_database_is_away(
    cluster: Cluster, database: str, hard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records come all the time while the database stops (in the middle of a transaction, as likely as not), is away
    and recovers."""
    monkeypatch.setattr(store_module, "GROUP_SECONDS", 0.002)
    monkeypatch.setattr(store_module, "RETRY_SECONDS", (0.1,))
    contacts: list[str] = []
    async with started(cluster.url(database)) as store:

        async def write(condition: str) -> None:
            """A record and a binding's next word every millisecond until the status says so."""
            before, have = store.status()[condition], len(contacts)
            async with asyncio.timeout(20):
                while store.status()[condition] == before or len(contacts) < have + 200:
                    contacts.append(f"c{len(contacts)}")
                    store.write_cdr(cdr(contacts[-1]))
                    store.write_binding(binding("sip:1@192.0.2.7", cseq=len(contacts)))
                    await asyncio.sleep(0.001)

        await write("groups")
        stopping = asyncio.create_task(asyncio.to_thread(cluster.stop, hard))
        await write("failures")
        await stopping
        await write("failures")
        assert store.waiting > 200
        starting = asyncio.create_task(asyncio.to_thread(cluster.start))
        await write("groups")
        await starting
        await written(store)
        assert store.status()["cdr_lost"] == 0
    assert (
        cluster.sql("SELECT count(*), count(DISTINCT contact) FROM cdr", database) == f"{len(contacts)}|{len(contacts)}"
    )
    assert cluster.sql("SELECT count(*) FROM cdr_leg", database) == f"{2 * len(contacts)}"
    assert cluster.sql("SELECT cseq FROM binding", database) == f"{len(contacts)}"


async def test_a_database_that_cannot_be_opened_is_a_clear_error(cluster: Cluster) -> None:
    for url, says in (
        (cluster.url("nowhere"), 'database "nowhere" does not exist'),
        (cluster.url().replace("postgres@", "stranger:secret@"), 'role "stranger" does not exist'),
        (cluster.url() + "-not", "No such file or directory"),
    ):
        with pytest.raises(StoreError, match=says) as caught:
            await Store(url).start()
        assert "secret" not in str(caught.value)


# ---- the journal of the ACD engine ------------------------------------------------------------------


@asynccontextmanager
async def kept(url: str, seconds: float = 0.0, now: float = 0.0) -> AsyncIterator[AcdJournal]:
    journal = AcdJournal(url, seconds, lambda: now)
    await journal.start()
    try:
        yield journal
    finally:
        await journal.close()


async def appended(journal: AcdJournal, seconds: float = 20.0) -> None:
    """Until nothing waits any more, within a bound."""
    async with asyncio.timeout(seconds):
        await journal.flush()


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
        await appended(journal)
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
        await appended(journal)
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
            await appended(journal)
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
        await appended(journal)
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
        await appended(journal)
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
        await appended(journal)
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


# ---- a switch ---------------------------------------------------------------------------------------

ON_POSTGRESQL = """
server: {{database_url: "{url}"}}
trunks:
  callers:
    inbound: {{addresses: [{callers}]}}
    context: in
dialplan:
  in:
    routes:
      - {{to: "800", answer_and_echo: true}}
      - {{to: _1XX, dial: "{{number}}"}}
"""


def call_echo(caller: Caller, calls: int) -> None:
    for _ in range(calls):
        attempt = caller.finish(caller.call("800"))
        assert (attempt.status, attempt.seconds < 1.0) == (200, True), attempt
        caller.hang_up(attempt)


def recorded(switch: Switch, count: int) -> list[dict[str, str]]:
    def look() -> list[dict[str, str]] | None:
        found = switch.cdrs()
        return found if len(found) == count else None

    return wait_for(look, lambda: f"{count} records; there are {len(switch.cdrs())}", 20)


def test_a_switch_goes_on_while_its_postgresql_is_away(cluster: Cluster, database: str, tmp_path: Path) -> None:
    """Calls are set up as ever, their records are written once it is back, and a phone that registered meanwhile is
    still known after a restart."""
    extra = FOR_SIPP + ON_POSTGRESQL.format(url=cluster.url(database), callers=CALLERS)
    switch = Switch(tmp_path, extra=extra, expected_errors=["database away"])
    phone = (CALLED, free_ports(1, CALLED))
    with switch, Caller(CALLERS, (switch.host, switch.port)) as caller:
        call_echo(caller, 3)
        recorded(switch, 3)
        cluster.stop(hard=True)
        call_echo(caller, 5)
        Sipp(tmp_path, "register_keep", phone, switch.address, users=switch.users_file("101")).finish()
        wait_for(lambda: "database away" in switch.log(), "the outage in the log")
        cluster.start()
        records = recorded(switch, 8)
        assert len({record["contact"] for record in records}) == 8
        assert {(record["dialled"], record["cause"], record["ended_by"]) for record in records} == {
            ("800", "16", "caller")
        }
        wait_for(lambda: cluster.sql("SELECT count(*) FROM binding", database) == "1", "the binding in the database")
        switch.kill()
        switch.start()
        assert [row.aor for row in switch.status().registrations] == ["101"]
        called = Sipp(tmp_path, "uas_call", phone)
        attempt = caller.finish(caller.call("101"))
        assert attempt.status == 200
        caller.hang_up(attempt)
        called.finish()
        recorded(switch, 9)
    assert not (switch.config / "var/softswitch.db").exists()

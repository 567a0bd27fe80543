"""The store on a real PostgreSQL: what is written is read, faults of one record, the database away for a while; and a
switch that keeps its records and bindings there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from harness.caller import Caller
from harness.cases import CALLED, CALLERS
from harness.ports import free_ports
from harness.postgres import Cluster
from harness.running import running, written
from harness.sipp import Sipp
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for
from sqlalchemy import Connection

import softswitch.store.store as store_module
from softswitch.store import BindingRecord, CdrFilter, CdrRecord, LegRecord, Quality, SegmentRecord, Store, StoreError
from softswitch.store.database import open_engine
from softswitch.store.migrate import MIGRATIONS
from softswitch.store.schema import METADATA

pytestmark = pytest.mark.interop


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
        async with running(Store(cluster.url(database))):
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
    async with running(Store(cluster.url(database))) as store:
        store.write_cdr(cdr("c1"))
        store.write_cdr(cdr("c2", 2000.5, answered=None, dialled="999", legs=(), caller=None, callee=None))
        for n in range(many):
            store.write_cdr(cdr(f"many{n}", 10_000.0 + n // 7))
        store.write_binding(binding("sip:1@192.0.2.7"))
        store.write_binding(binding("sip:2@192.0.2.7"))
        await written(store)
        store.write_binding(binding("sip:1@192.0.2.7", cseq=2**31, path=()))
        store.forget_binding("101@example.com", "sip:2@192.0.2.7")
    async with running(Store(cluster.url(database))) as store:
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
    async with running(Store(cluster.url(database))) as store:
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
    async with running(Store(cluster.url(database))) as store:

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

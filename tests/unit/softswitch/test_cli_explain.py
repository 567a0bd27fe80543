"""`softswitch explain` on a journal of its own."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
import typer
from acd_world import World, agent, queue
from typer.testing import CliRunner, Result

from acd import inputs as i
from acd.journal import encode
from softswitch.cli import explain, make_app
from softswitch.store.acd_journal import AcdJournal

app = typer.Typer()
explain.register(app)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def world() -> World:
    start = datetime(2026, 3, 5, 23, 59, 55).timestamp()
    made = World([queue("sales")], [agent("ann")], now=start)
    made.call("c1\x1b[31m", "sales")
    made.wait(10.0)
    made.sign_in("ann")
    made.answer("ann")
    made.tell(i.HangUp("c1\x1b[31m"))
    return made


EXPECTED = """\
2026-03-05
23:59:55  comes into queue sales
          no contacts of the queue are before it
23:59:55  nobody who may have it is ready: it waits
          signed out: 1
2026-03-06
00:00:05  ann is ready, and is offered it until 00:00:25
          nothing else waits that ann may have before it
00:00:05  ann takes the offer
00:00:05  ann answers: it has waited 10 s
00:00:05  ann is through with it: hangup
00:00:05  it is over
"""


def test_a_contact_is_explained_from_a_file(world: World, tmp_path: Path) -> None:
    (tmp_path / "day").write_bytes(b"".join(map(encode, world.journal)))
    result = run(tmp_path / "day", "c1\x1b[31m")
    assert (result.exit_code, result.output) == (0, EXPECTED)


def test_a_contact_is_explained_from_the_database(world: World, tmp_path: Path) -> None:
    async def fill() -> None:
        journal = AcdJournal(f"sqlite:///{tmp_path / 'db'}")
        await journal.start()
        journal.append(world.journal)
        await journal.close()

    asyncio.run(fill())
    assert run(tmp_path / "db", "c1\x1b[31m").output == EXPECTED


def test_a_configuration_stands_for_the_database_that_it_names(world: World, tmp_path: Path) -> None:
    async def fill() -> None:
        journal = AcdJournal(f"sqlite:///{tmp_path / 'var/softswitch.db'}")
        await journal.start()
        journal.append(world.journal)
        await journal.close()

    (tmp_path / "softswitch.yaml").write_text("server: {}\n")
    missing = run(tmp_path, "c1")
    told = f"journal {tmp_path}: there is no database {tmp_path / 'var/softswitch.db'} yet\n"
    assert (missing.exit_code, missing.output) == (1, told)
    (tmp_path / "var").mkdir()
    asyncio.run(fill())
    assert run(tmp_path, "c1\x1b[31m").output == EXPECTED
    (tmp_path / "softswitch.yaml").write_text("server: {drain: -1s}\n")
    assert "softswitch.yaml:1:17: server.drain: bad duration '-1s'" in run(tmp_path, "c1").output


def test_what_can_not_be_explained_is_told(world: World, tmp_path: Path) -> None:
    (tmp_path / "day").write_bytes(b"".join(map(encode, world.journal)))
    (tmp_path / "late").write_bytes(b"".join(map(encode, world.journal[2:])))
    for name, contact, says in (
        ("day", "c9", "there is no contact 'c9'"),
        ("late", "c1", "record 3 where 1 was expected: what was before it is not known"),
        ("none", "c1", "No such file or directory"),
    ):
        result = run(tmp_path / name, contact)
        assert result.exit_code == 1
        assert result.output == f"journal {tmp_path / name}: {says}\n"


def test_the_command_line_has_it() -> None:
    assert "explain" in CliRunner().invoke(make_app(), ["--help"]).output

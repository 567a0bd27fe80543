"""The older part of the ACD journal taken out: what is left is whole, recovers to the same state and tells the same."""

import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import typer
from acd_world import World, agent, queue
from kept_journal import records_of
from typer.testing import CliRunner

import softswitch.store.acd_journal as journal_module
import softswitch.store.acd_journal_pruning as pruning_module
from acd import inputs as i
from acd.config import Announcement, CallbackRules, WrapUp
from acd.facts import Record
from acd.journal import fold
from acd.state import State
from softswitch.acd_wiring import acd_journal
from softswitch.cli import explain, report
from softswitch.settings.loader import load
from softswitch.simulation.replay import replay
from softswitch.store.acd_journal import AcdJournal
from softswitch.store.acd_journal_reading import open_journal

QUARTER = 900.0
app = typer.Typer()
explain.register(app)
report.register(app)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, small in {"PAGE": 50, "STEP": 400, "DELETED": 70, "PAUSE_SECONDS": 0.0}.items():
        monkeypatch.setattr(pruning_module, name, small)


def some_hours(seed: int = 1, steps: int = 300) -> World:
    """Callers who wait, talk, hold, come again and are called back, agents who wrap up and pause: at each moment
    something is under way."""
    rng = random.Random(seed)
    rules = CallbackRules(attempts=2, retry={"busy": 300.0})
    sales = queue(
        "sales",
        wrap_up=WrapUp(seconds=60.0),
        callback=rules,
        announcements=(Announcement(what="position", first=5.0, every=300.0),),
    )
    world = World([sales, queue("help")], [agent(name) for name in ("ann", "bob", "cid")])
    world.sign_in("ann", "bob", "cid")
    for step in range(steps):
        world.wait(rng.uniform(1.0, 60.0))
        name = rng.choice(("ann", "bob", "cid"))
        waiting = [each.id for each in world.state.contacts.values() if each.queue and each.kind == "call"]
        at, has = world.at(name), world.agent(name).contact
        match rng.randrange(8):
            case 0 | 1:
                world.call(f"c{step}", rng.choice(("sales", "help")), number=f"+49{rng.randrange(40)}")
            case 2 if waiting and rng.random() < 0.3:
                world.tell(i.HangUp(rng.choice(waiting)))
            case 3 if waiting and rng.random() < 0.2 and world.contact(waiting[0]).queue == "sales":
                world.tell(i.AskCallback(f"b{step}", f"+43{step}", contact=waiting[0]))
            case 4 if at == "ready":
                world.tell(i.Pause(name, "lunch"))
            case _ if at == "offered" and rng.random() < 0.9:
                world.answer(name)
            case _ if at == "talking" and has:
                world.finish(name) if rng.random() < 0.6 else world.tell(i.Hold(has, name, True))
            case _ if at == "hold":
                world.tell(i.Hold(has, name, False))
            case _ if at in ("paused", "wrap_up", "not_responding"):
                world.tell(i.Ready(name))
            case _:
                pass
        for each in list(world.calling.values()):
            world.tell(i.CustomerCalled(each.callback, rng.choice(("answered", "busy"))))
    return world


@asynccontextmanager
async def kept(path: Path, now: float = 0.0, seconds: float = 0.0) -> AsyncIterator[AcdJournal]:
    journal = AcdJournal(f"sqlite:///{path}", seconds, lambda: now)
    await journal.start()
    try:
        yield journal
    finally:
        await journal.close()


async def filled(path: Path, world: World) -> None:
    """The whole journal, with two snapshots close to its end."""
    ends = [number for number, record in enumerate(world.journal) if not record.cause]
    async with kept(path) as journal:
        done = 0
        for end in (ends[-20], ends[-10]):
            journal.append(world.journal[done:end])
            journal.snapshot(fold(world.journal[:end]))
            await journal.flush()
            done = end
        journal.append(world.journal[done:])


async def pruned(path: Path, before: float) -> int:
    async with kept(path, now=before + 60.0, seconds=60.0) as journal:
        await journal.prune()
        assert (await journal.recover()).last_id == journal.last_id
        return journal.counters["pruned"]


async def recovered(path: Path) -> State:
    async with kept(path) as journal:
        return await journal.recover()


def sql(path: Path, statement: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def told(path: Path, *words: str) -> Any:
    result = CliRunner().invoke(app, ["report", str(path), "--format", "json", "--zone", "UTC", *words])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)["rows"]


def explained(path: Path, contact: str) -> str:
    return CliRunner().invoke(app, ["explain", str(path), contact]).output


def cuts(world: World) -> Iterator[float]:
    """Moments in the midst."""
    first, last = world.journal[0].time, world.journal[-1].time
    return (first + (last - first) * part for part in (0.1, 0.35, 0.6, 0.85))


# ---- what is left


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_left_recovers_to_the_same_state_and_reports_the_same_figures(tmp_path: Path, seed: int) -> None:
    world, path = some_hours(seed), tmp_path / "db"
    await filled(path, world)
    before = {by: told(path, "--by", by, "--interval", "15m") for by in ("queue", "agent", "team")}
    state = (await recovered(path)).snapshot()
    for cut in cuts(world):
        assert await pruned(path, cut) > 0
        (beginning,) = sql(path, "SELECT id, time FROM acd_snapshot WHERE beginning")
        (first,) = sql(path, "SELECT min(id), time FROM acd_journal")
        assert first[0] == beginning[0] + 1
        assert beginning[1] < cut <= first[1]
        assert (await recovered(path)).snapshot() == state
        assert records_of(path) == world.journal[beginning[0] :]
        for by, rows in before.items():
            whole = [row for row in rows if _moment(row) >= beginning[1]]
            assert told(path, "--by", by, "--interval", "15m") == whole
            assert whole


def _moment(row: dict[str, Any]) -> float:
    from datetime import datetime

    return datetime.fromisoformat(row["start"]).timestamp()


async def test_what_is_left_folds_from_its_beginning_to_the_state_at_the_end(tmp_path: Path) -> None:
    world, path = some_hours(), tmp_path / "db"
    await filled(path, world)
    await pruned(path, list(cuts(world))[1])
    sql(path, "DELETE FROM acd_snapshot WHERE NOT beginning")
    assert (await recovered(path)).snapshot() == fold(world.journal).snapshot()


async def test_contacts_that_are_left_are_explained_as_before(tmp_path: Path) -> None:
    world, path = some_hours(), tmp_path / "db"
    await filled(path, world)
    cut = list(cuts(world))[2]
    (later,) = [each for each in _came(world) if each[1] > cut][:1]
    (earlier,) = [each for each in _came(world) if each[1] < cut][:1]
    waits = next(iter(fold(record for record in world.journal if record.time < cut).contacts))
    was, before = explained(path, later[0]), explained(path, waits)
    await pruned(path, cut)
    assert explained(path, later[0]) == was
    assert explained(path, waits).splitlines()[-1] == before.splitlines()[-1], "and of who was there, the rest"
    assert f"there is no contact {earlier[0]!r} since 20" in explained(path, earlier[0])
    assert "when the journal begins" in explained(path, earlier[0])


async def test_what_is_left_is_replayed_by_the_agents_who_were_there(tmp_path: Path) -> None:
    world, path = some_hours(), tmp_path / "db"
    await filled(path, world)
    cut = list(cuts(world))[1]
    before = fold(record for record in world.journal if record.time < cut)
    await pruned(path, cut)
    was = replay(path, None, 1, None).was
    assert was.config == world.state.config
    assert sorted(was.parts) == sorted(name for name, came in _came(world) if came >= cut)
    for name, one in before.agents.items():
        there = was.at(name, cut)
        assert there is not None
        assert (there.state == "paused") == (one.state == "paused")


def _came(world: World) -> list[tuple[str, float]]:
    return [(each.what.contact, each.time) for each in world.journal if isinstance(each.what, i.Enqueue)]


# ---- what is taken out


async def test_nothing_is_taken_out_after_the_oldest_snapshot_for_recovery_or_without_one(tmp_path: Path) -> None:
    world, path = some_hours(), tmp_path / "db"
    await filled(path, world)
    oldest = sql(path, "SELECT min(id) FROM acd_snapshot")[0][0]
    cut = max(record.id for record in world.journal[:oldest] if not record.cause) - 1
    kept_aside = sql(path, "SELECT * FROM acd_snapshot")
    sql(path, "DELETE FROM acd_snapshot")
    assert await pruned(path, world.now + 1e6) == 0
    for row in kept_aside:
        sql(path, "INSERT INTO acd_snapshot VALUES (?, ?, ?, ?, ?)", *row)
    assert await pruned(path, world.now + 1e6) == cut
    assert await pruned(path, world.now + 1e6) == 0
    assert sql(path, "SELECT min(id) FROM acd_journal") == [(cut + 1,)]
    assert len(sql(path, "SELECT id FROM acd_snapshot WHERE NOT beginning")) == 2


async def test_all_that_came_of_an_input_goes_together(tmp_path: Path) -> None:
    world, path = some_hours(steps=100), tmp_path / "db"
    await filled(path, world)
    for record in world.journal[:400:40]:
        await pruned(path, record.time)
        assert sql(path, "SELECT cause FROM acd_journal ORDER BY id LIMIT 1") == [(0,)]


async def test_it_goes_in_small_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, path = some_hours(), tmp_path / "db"
    await filled(path, world)
    seen = []

    async def look(_seconds: float) -> None:
        seen.append(sql(path, "SELECT min(id) FROM acd_journal")[0][0])

    with monkeypatch.context() as patched:
        patched.setattr(pruning_module.asyncio, "sleep", look)
        taken = await pruned(path, list(cuts(world))[2])
    assert len(seen) >= taken / 70
    assert max(after - before for before, after in zip([1, *seen], seen, strict=False)) == 70


async def test_wherever_it_is_cut_short_the_journal_is_whole_and_the_next_run_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, path = some_hours(), tmp_path / "db"
    await filled(path, world)
    state, cut = (await recovered(path)).snapshot(), list(cuts(world))[2]
    begin, count, ends = pruning_module.AsyncEngine.begin, 0, 0

    class Crash(Exception):
        pass

    for ends in range(40):
        count = 0

        def counted(engine: Any, most: int = 1 + ends) -> Any:
            nonlocal count
            count += 1
            if count > most:  # the migration is the first
                raise Crash
            return begin(engine)

        with monkeypatch.context() as patched:
            patched.setattr(pruning_module.AsyncEngine, "begin", counted)
            try:
                await pruned(path, cut)
            except Crash:
                crashed = True
            else:
                crashed = False
        with open_journal(path) as journal:
            first = 0 if journal.beginning is None else journal.beginning.id
            assert list(journal.records) == world.journal[first:]
        assert (await recovered(path)).snapshot() == state
        if not crashed:
            break
    assert ends > 5
    assert sql(path, "SELECT count(*) FROM acd_snapshot WHERE beginning") == [(1,)]


async def test_the_journal_is_written_while_its_older_part_is_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning_module, "DELETED", 10)
    monkeypatch.setattr(journal_module, "GROUP_SECONDS", 0.0)
    world, path = some_hours(), tmp_path / "db"
    await filled(path, world)
    cut = list(cuts(world))[2]
    async with kept(path, now=cut + 60.0, seconds=60.0) as journal:
        pruning = asyncio.create_task(journal.prune())
        groups = journal.status()["groups"]
        while not pruning.done():
            world.call(f"more{journal.last_id}", "help")
            journal.append(world.journal[journal.last_id :])
            await journal.flush()
        await pruning
        status = journal.status()
        assert (status["failures"], status["pruned"] > 500) == (0, True)
        assert status["groups"] > groups + 20, "it was written all the while"
        assert (await journal.recover()).snapshot() == world.state.snapshot()
    with open_journal(path) as left:
        assert left.beginning is not None
        assert list(left.records) == world.journal[left.beginning.id :]


async def test_records_that_were_lost_are_gone_over_with_the_snapshot_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, path = some_hours(), tmp_path / "db"
    gap = next(n for n in range(900, len(world.journal)) if not world.journal[n].cause)
    after = next(n for n in range(gap + 100, len(world.journal)) if not world.journal[n].cause)
    async with kept(path) as journal:
        journal.append(world.journal[:gap])
        await journal.flush()
        monkeypatch.setattr(journal_module, "MAX_WAITING", 0)
        journal.append(world.journal[gap:after])
        monkeypatch.undo()
        assert journal.snapshot_due
        journal.snapshot(fold(world.journal[:after]))
        journal.snapshot(fold(world.journal[:after]))
        done = after
        for end in (len(world.journal) - 20, len(world.journal)):
            await journal.flush()
            journal.append(world.journal[done:end])
            done = end
            journal.snapshot(fold(world.journal[:end]))
    state = (await recovered(path)).snapshot()
    with open_journal(path) as whole:
        assert whole.beginning is None
        assert list(whole.records) == [*world.journal[:gap], *world.journal[after:]]
    for cut in (world.journal[gap - 50].time, world.journal[after + 60].time):
        assert await pruned(path, cut) > 0
        assert (await recovered(path)).snapshot() == state
        with open_journal(path) as left:
            assert left.beginning is not None
            assert left.beginning.time < cut
            assert next(left.records).time >= cut
    (beginning,) = sql(path, "SELECT id, body FROM acd_snapshot WHERE beginning")
    assert beginning[0] > after
    assert State.restore(beginning[1]).snapshot() == fold(world.journal[: beginning[0]]).snapshot()


async def test_a_gap_is_not_folded_over(tmp_path: Path) -> None:
    world, path = some_hours(), tmp_path / "db"
    await filled(path, world)
    gap = next(record.id for record in world.journal[700:] if not record.cause)
    sql(path, "DELETE FROM acd_journal WHERE id = ?", gap)
    assert await pruned(path, world.now) == gap - 1
    assert await pruned(path, world.now) == 0
    [(body,)] = sql(path, "SELECT body FROM acd_snapshot WHERE beginning")
    assert State.restore(body).snapshot() == fold(world.journal[: gap - 1]).snapshot()


async def test_a_database_of_an_older_version_is_read(tmp_path: Path) -> None:
    world, path = some_hours(steps=60), tmp_path / "db"
    await filled(path, world)
    sql(path, "ALTER TABLE acd_snapshot DROP COLUMN kpis")
    sql(path, "ALTER TABLE acd_snapshot DROP COLUMN beginning")
    sql(path, "DELETE FROM acd_journal WHERE id < 10")
    assert records_of(path) == world.journal[9:]


async def test_from_a_beginning_of_another_version_nothing_is_taken_out_until_a_later_one_is_old_enough(
    tmp_path: Path,
) -> None:
    world, path = some_hours(), tmp_path / "db"
    await filled(path, world)
    first, second, *_ = cuts(world)
    await pruned(path, first)
    sql(path, "UPDATE acd_snapshot SET body = x'90'")
    done = len(world.journal)
    async with kept(path) as journal:
        with pytest.raises(OSError, match="record 1 is missing: there is no snapshot that this version can read"):
            await journal.recover()
        world.call("later", "sales")
        journal.append(world.journal[done:])
        journal.snapshot(world.state)
        await journal.flush()
        world.wait(86_400.0)
        world.call("much later", "sales")
        journal.append(world.journal[journal.last_id :])
        journal.snapshot(world.state)
        await journal.flush()
        world.call("last", "sales")
        journal.append(world.journal[journal.last_id :])
        journal.snapshot(world.state)
    assert await pruned(path, second) == 0
    assert await pruned(path, world.now) > 0
    assert "comes into queue sales" in explained(path, "last")


async def test_the_journal_is_pruned_by_itself_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, path = some_hours(), tmp_path / "db"
    await filled(path, world)
    monkeypatch.setattr(journal_module, "PRUNE_AFTER_SECONDS", 0.0)
    async with kept(path, now=world.now, seconds=3600.0) as journal:
        async with asyncio.timeout(10):
            while not journal.status()["pruned"]:
                await asyncio.to_thread(sql, path, "SELECT 1")
    async with kept(path, now=world.now + 1e6) as journal:
        await asyncio.sleep(0.01)
        assert journal.status()["pruned"] == 0, "kept for ever"


@pytest.mark.parametrize(("written", "left"), [("400d", True), ("1h", False), ("0", True)])
async def test_it_is_kept_for_as_long_as_the_settings_say(tmp_path: Path, written: str, left: bool) -> None:
    (tmp_path / "softswitch.yaml").write_text(f"server: {{acd_journal_kept: {written}}}\n")
    (tmp_path / "var").mkdir()
    world = some_hours(steps=60)
    await filled(tmp_path / "var/softswitch.db", world)
    journal = acd_journal(load(tmp_path).settings)
    journal._clock = lambda: world.now + 86_400.0
    await journal.start()
    await journal.prune()
    assert (journal.status()["pruned"] == 0) == left
    await journal.close()


# ---- recovery has little to fold


async def test_a_snapshot_is_due_often_enough_that_recovery_has_little_to_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SNAPSHOT_RECORDS", 100)
    world, path = some_hours(steps=120), tmp_path / "db"
    inputs: list[list[Record]] = []
    for record in world.journal:
        if record.cause:
            inputs[-1].append(record)
        else:
            inputs.append([record])
    longest = max(map(len, inputs))
    taken = 0
    for _ in range(2):  # of the switch
        async with kept(path) as journal:
            for group in inputs[len(inputs) // 2 * _ :][: len(inputs) // 2]:
                journal.append(group)
                if journal.snapshot_due:
                    taken += 1
                    journal.snapshot(fold(world.journal[: journal.last_id]))
                    await journal.flush()
                tail = journal.last_id - (sql(path, "SELECT max(id) FROM acd_snapshot")[0][0] or 0)
                assert tail < 100 + longest
    assert taken == pytest.approx(len(world.journal) / 100, rel=0.2)


async def test_a_snapshot_is_due_after_a_day_even_where_little_happens(tmp_path: Path) -> None:
    world = World([queue("sales")], [agent("ann")])
    async with kept(tmp_path / "db") as journal:
        journal.append(world.journal)
        assert journal.snapshot_due, "the first one"
        journal.snapshot(world.state)
        for seconds, due in ((86_000.0, False), (500.0, True)):
            world.wait(seconds)
            world.call(f"after {seconds}", "sales")
            journal.append(world.journal[journal.last_id :])
            assert journal.snapshot_due is due
        journal.snapshot(world.state)
        assert not journal.snapshot_due

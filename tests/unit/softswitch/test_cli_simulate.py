"""`softswitch simulate` from what is given to what is shown."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from acd.config import Agent, Config, Hours, Limit, Queue, Span, Team, WayOut, WrapUp
from acd.facts import Queued, Record
from acd.journal import encode, replay
from acd.simulate.arrivals import Habits, Plan, Times, constant, draw
from acd.simulate.run import run as simulated
from softswitch.cli import simulate
from softswitch.simulation.given import GivenError, arrivals, rate, target, times
from softswitch.store.acd_journal_file import read_file

app = typer.Typer()
simulate.register(app)

HABITS = Habits(Times(mean=60.0))
SMALL = ("--aht", "60", "--runs", "3", "--days", "0.25", "--interval", "120")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def written(path: Path, agents: int) -> str:
    config = Config(
        version=path.stem,
        teams={"t": Team(name="t")},
        agents={f"a{n}": Agent(id=f"a{n}", team="t", skills={"es": 80} if n % 2 else {}) for n in range(agents)},
        queues={name: Queue(name=name, team="t", wrap_up=WrapUp(after="never")) for name in ("sales", "support")},
    )
    path.write_bytes(msgspec.json.encode(config))
    return str(path)


def parsed(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_plain_queue_is_told_by_time_of_day_and_in_all() -> None:
    result = run("--agents", "2", "--rate", "60/h", *SMALL)
    assert result.exit_code == 0, result.output
    for part in ("00:00", "02:00", "04:00", "all", "service level", "\N{PLUS-MINUS SIGN}"):
        assert part in result.output
    assert "06:00" not in result.output


def test_json_has_what_the_table_has() -> None:
    found = parsed("--agents", "2", "--rate", "60/h", *SMALL)
    assert found["total"]["offered"]["value"] == pytest.approx(360, abs=60)
    level = found["total"]["service_level"]
    assert 0.0 < level["low"] < level["value"] < level["high"] <= 1.1
    assert [row["start"] for row in found["intervals"]] == ["00:00", "02:00", "04:00"]
    assert found == parsed("--agents", "2", "--rate", "60/h", *SMALL)


def test_how_good_the_expected_wait_is_stands_in_table_json_and_page(tmp_path: Path) -> None:
    out, config = tmp_path / "out", written(tmp_path / "one.json", 2)
    given = (config, "--rate", "60/h:sales", "--rate", "40/h:support", *SMALL)
    found = parsed(*given)["expected_wait"]
    assert set(found["queues"]) == {"sales", "support"}
    assert 0.0 < found["total"]["estimate_held"]["low"] < found["total"]["estimate_held"]["value"] < 1.0
    assert found["total"]["estimate_error"]["value"] > abs(found["total"]["estimate_bias"]["value"])
    result = run(*given, "--plot", str(out))
    page = (out / "index.html").read_text("utf-8")
    assert "one.json: expected wait" in result.output
    error = f"{found['total']['estimate_error']['value']:.1f} \N{PLUS-MINUS SIGN}"
    assert error in result.output
    assert error in page
    assert "Expected wait" in page


def test_where_nobody_has_to_wait_nothing_is_said_of_estimates() -> None:
    result = run("--agents", "90", "--rate", "10/h", *SMALL)
    assert result.exit_code == 0, result.output
    assert "expected wait" not in result.output


def test_queues_and_shares_of_skills_come_from_the_configuration(tmp_path: Path) -> None:
    found = parsed(
        written(tmp_path / "one.json", 4), "--rate", "60/h:sales:es>=50=0.5", "--rate", "30/h:support", *SMALL
    )
    assert found["queues"]["sales"]["offered"]["value"] == pytest.approx(360, abs=60)
    assert found["queues"]["support"]["offered"]["value"] == pytest.approx(180, abs=45)


def test_the_configuration_of_the_switch_is_simulated(tmp_path: Path) -> None:
    """Agents who choose their telephone have one of their own."""
    (tmp_path / "acd.yaml").write_text(
        "skills: {es: {}}\nagents: {201-204: {skills: {es: 80}}}\nqueues: {sales: {needs: es, ring_time: 20s}}\n"
    )
    found = parsed(str(tmp_path), "--rate", "60/h:sales", *SMALL)
    assert found["total"]["offered"]["value"] == pytest.approx(360, abs=60)
    assert found["total"]["service_level"]["value"] > 0.9


def test_a_wrong_configuration_is_told_with_all_places(tmp_path: Path) -> None:
    (tmp_path / "acd.yaml").write_text("skills: {es: {}}\nqueues: {a: {needs: en}, b: {needs: 'es >'}}\n")
    result = run(str(tmp_path), "--rate", "60/h", *SMALL)
    assert result.exit_code == 2
    assert "acd.yaml:2:21: queues.a.needs: unknown skill 'en'" in result.output.replace("\n", " ")
    assert "acd.yaml:2:" in result.output
    assert "queues.b.needs" in result.output


def test_a_comparison_says_what_is_significant(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one.json", 2), written(tmp_path / "two.json", 4)
    found = parsed(one, "--rate", "90/h:sales", "--compare", two, *SMALL)
    assert found["compare"]["difference"]["service_level"]["significant"]
    assert found["compare"]["difference"]["service_level"]["value"] > 0.0
    assert found["total"]["offered"]["value"] == found["compare"]["total"]["offered"]["value"]
    same = parsed(one, "--rate", "90/h:sales", "--compare", one, *SMALL)
    assert not same["compare"]["difference"]["service_level"]["significant"]
    assert "significant" in run(one, "--rate", "90/h:sales", "--compare", two, *SMALL).output


def test_staffing_names_the_agents_of_each_interval() -> None:
    found = parsed("--rate", "60/h", "--staff", "80/20", *SMALL)["staffing"]
    assert found["met"]
    assert [row["start"] for row in found["intervals"]] == ["00:00", "02:00", "04:00"]
    assert all(row["agents"] >= 2 and row["service_level"]["value"] >= 0.8 for row in found["intervals"])


def test_pictures_and_a_page_that_has_them_within_itself(tmp_path: Path) -> None:
    out = tmp_path / "out"
    config = written(tmp_path / "<b>.json", 2)
    result = run(config, "--rate", "60/h:sales", "--compare", config, "--plot", str(out), *SMALL)
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {
        "service_level.png", "asa.png", "abandoned.png", "occupancy.png", "index.html"
    }  # fmt: skip
    assert (out / "asa.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "index.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") == 4
    assert "&lt;b&gt;.json" in page
    assert "<b>" not in page
    assert "http" not in page


def test_arrivals_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "arrivals.csv"
    file.write_text("start,queue,contacts,needs\n02:00,sales,50,es\n02:00,support,10,\n")
    found = parsed(written(tmp_path / "one.json", 4), "--arrivals", str(file), *SMALL)
    assert [row["offered"]["value"] > 0 for row in found["intervals"]] == [False, True, False]
    file.write_text("time,queue,talk\n2026-01-31T10:00:00,sales,30\n2026-02-01T10:00:01,support,\n")
    found = parsed(written(tmp_path / "one.json", 4), "--arrivals", str(file), *SMALL)
    assert found["days"] == 2
    assert found["total"]["offered"]["value"] == 2


def test_contacts_come_on_their_own_dates_and_flow_out_where_the_queue_is_closed(tmp_path: Path) -> None:
    """A Friday; a Saturday; a Monday that is closed, and one that is a Sunday where it is said."""
    rules = msgspec.json.decode(Path(written(tmp_path / "one.json", 2)).read_bytes(), type=Config)
    office = Hours(spans=(Span(days=(0, 1, 2, 3, 4), start=8 * 3600.0, end=18 * 3600.0),), closed=("2026-02-02",))
    closed = Limit(of="closed", to=WayOut(kind="hangup"))
    sales = msgspec.structs.replace(rules.queues["sales"], hours="office", limits=(closed,))
    rules = msgspec.structs.replace(rules, hours={"office": office}, queues=rules.queues | {"sales": sales})
    (tmp_path / "two.json").write_bytes(msgspec.json.encode(rules))
    times = {
        "2026-01-30T09:00:00": True,
        "2026-01-31T09:00:00": False,
        "2026-02-02T09:00:00": False,
        "2026-02-03T07:30:00": False,
        "2026-02-03T07:30:00-01:00": True,
        "2026-02-03T18:30:00+01:00": True,
    }
    for time, answered in times.items():
        (tmp_path / "day.csv").write_text(f"time,queue\n{time},sales\n")
        total = parsed(str(tmp_path / "two.json"), "--arrivals", str(tmp_path / "day.csv"), *SMALL)["total"]
        assert (total["offered"]["value"], total["out"]["value"]) == (1.0, 0.0 if answered else 1.0), time


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,queue\n1969-12-31T10:00:00,sales\n", "row 2, column time: expected"),
        ("start,queue,contacts\n08:00,sales,many\n", "a.csv: row 2, column contacts: expected a number"),
        ("start,queue,contacts\n08:00,sales,1\n08:10,sales,1\n", "row 3, column start: expected HH:MM at a multiple"),
        ("start,queue,contacts\n25:00,sales,1\n", "row 2, column start"),
        ("start,queue,contacts\n08:00,sails,1\n", "row 2, column queue: expected one of sales, support"),
        ("start,queue,contacts,needs\n08:00,sales,1,es>=\n", "row 2, column needs: expected a skill expression"),
        ("start,queue,contacts,day\n08:00,sales,1,0\n", "row 2, column day"),
        ("start,queue,contacts\n08:00,sales,-1\n", "row 2, column contacts"),
        ("start,queue,contacts\n08:00,sales,1,2,3\n", "row 2: has more cells"),
        ("start,queue,calls\n", "row 1, column 'calls': expected start, queue, contacts"),
        ("queue,needs\n", "row 1: there is no column start"),
        ("start,queue,contacts\n", "no rows below the header"),
        ("", "row 1: there is no column"),
        ("time,queue\nlater,sales\n", "row 2, column time"),
        ("time,queue,talk\n10:00,sales,nan\n", "row 2, column talk"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(GivenError) as error:
        arrivals(file, 1800.0, ["sales", "support"], HABITS)
    assert said in str(error.value)
    result = run(written(tmp_path / "one.json", 1), "--arrivals", str(file))
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--agents", "2"),
        ("--rate", "10/h"),
        ("--agents", "2", "--rate", "ten/h"),
        ("--agents", "2", "--rate", "10/h:nowhere"),
        ("--agents", "2", "--rate", "10/h", "--aht", "soon"),
        ("--agents", "2", "--rate", "10/h", "--interval", "7"),
        ("--agents", "2", "--rate", "10/h", "--compare", "no-such-file"),
        ("--rate", "10/h", "--staff", "80"),
        ("no-such-file", "--rate", "10/h"),
        ("--agents", "2", "--rate", "100000000/h"),
    ],
)
def test_what_can_not_be_used_is_told_in_a_line(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert result.output.strip()


def test_a_configuration_that_is_none_is_told(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text('{"queues": 1}')
    result = run(str(file), "--rate", "10/h")
    assert result.exit_code == 2
    assert "bad.json: Expected `object`" in result.output


def test_times_and_targets_are_read_as_written(tmp_path: Path) -> None:
    assert times("--aht", "lognormal:240:0.8") == Times(kind="lognormal", mean=240.0, spread=0.8)
    assert times("--aht", "0").kind == "constant"
    file = tmp_path / "times.txt"
    file.write_text("10\n\n20.5\n")
    assert times("--aht", f"empirical:{file}").values == (10.0, 20.5)
    file.write_text("10\nx\n")
    with pytest.raises(GivenError, match=r"times.txt: row 2: expected a number of seconds instead of 'x'"):
        times("--aht", f"empirical:{file}")
    assert target("80/20") == (0.8, 20.0)
    assert [stream.means[0] for stream in rate("2/min:q:es=0.25", 3600.0, ["q"])] == [30.0, 90.0]


# ---- a recorded day


def recorded_day(tmp_path: Path) -> str:
    """A journal of two hours under the rules of two agents."""
    config = msgspec.json.decode(Path(written(tmp_path / "was.json", 2)).read_bytes(), type=Config)
    records: list[Record] = []
    plan = Plan(3600.0, (constant(60.0, 3600.0, "sales"),))
    contacts = draw(plan, Habits(Times(mean=100.0), patience=Times(mean=60.0)), 2.0 / 24.0, 1, 0)
    simulated(config, contacts, 7200.0, watch=records.extend)
    path = tmp_path / "journal"
    path.write_bytes(b"".join(map(encode, records)))
    return str(path)


def test_a_recorded_day_under_its_own_rules_is_the_same(tmp_path: Path) -> None:
    found = parsed("--journal", recorded_day(tmp_path))
    assert found["changed"] == 0
    assert found["journal"] == pytest.approx(found["under_these_rules"], rel=1e-6)
    assert found["journal"]["contacts"] > 80
    assert gc.isenabled()


def test_a_recorded_day_under_other_rules_is_explained_contact_by_contact(tmp_path: Path) -> None:
    journal, more = recorded_day(tmp_path), written(tmp_path / "more.json", 4)
    found = parsed(more, "--journal", journal, "--explain", "5")
    assert found["under_these_rules"]["service_level"] > found["journal"]["service_level"]
    assert len(found["changes"]) == 5
    assert "instead of giving up after" in found["changes"][0]["why"]
    result = run(more, "--journal", journal, "--explain", "5")
    assert result.exit_code == 0, result.output
    assert found["changes"][0]["why"] in result.output
    assert f"{found['changed']} contacts fare otherwise" in result.output


def test_what_is_no_journal_is_told(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    file.write_bytes(b"\xc1nonsense")
    result = run("--journal", str(file))
    assert result.exit_code == 2
    assert "record 1, at octet 0" in result.output
    assert run("--journal", str(tmp_path / "none")).exit_code == 2
    assert run("--journal", str(file), "--rate", "10/h").exit_code == 2


def test_a_skill_that_nobody_knows_is_told(tmp_path: Path) -> None:
    rules = msgspec.json.decode(Path(written(tmp_path / "one.json", 2)).read_bytes(), type=Config)
    (tmp_path / "two.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(rules, skills=("es", "billing"))))
    (tmp_path / "day.csv").write_text("start,queue,contacts,needs\n08:00,sales,1,biling>=3\n")
    for given in (("--rate", "30/h:sales:biling=0.3"), ("--arrivals", str(tmp_path / "day.csv"))):
        result = run(str(tmp_path / "two.json"), *given, *SMALL, "--interval", "30")
        assert result.exit_code == 2
        assert "there is no skill 'biling', which contacts need: did you mean 'billing'?" in result.output


def test_the_first_run_is_recorded_as_a_journal(tmp_path: Path) -> None:
    file = tmp_path / "day"
    found = parsed(written(tmp_path / "one.json", 4), "--rate", "60/h:sales", *SMALL, "--record", str(file))
    records = list(read_file(file))
    queued = [each for each in records if isinstance(each.what, Queued)]
    assert len(queued) == pytest.approx(found["queues"]["sales"]["offered"]["value"], abs=60)
    assert [encode(each) for each in replay(records)] == [encode(each) for each in records]
    again = json.loads(run("--journal", str(file), "--json").stdout)
    assert again["changed"] == 0
    assert run("--rate", "9/h", "--agents", "1", "--staff", "80/20", "--record", str(file)).exit_code == 2

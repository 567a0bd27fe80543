"""`softswitch report` on a journal of two calls. Times are UTC."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from acd import inputs as i
from acd.journal import encode
from softswitch.cli import report
from tests.unit.acd.kpi.floor import Floor

app = typer.Typer()
report.register(app)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """
    09:00:00 ann signs in; c1 comes, is answered at 09:00:10, talk 50 s, wrap-up 20 s until 09:01:20
    09:40:00 c2 comes, hangs up at 09:40:30; ann has been in a pause (=1+1) since 09:30
    """
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help", "555"))
    floor.answer(10, "ann")
    floor.at(60, i.Finish("c1", "ann"))
    floor.at(80, i.Ready("ann"))
    floor.at(1800, i.Pause("ann", "=1+1"))
    floor.at(2400, i.Enqueue("c2", "help"))
    floor.at(2430, i.HangUp("c2"))
    path = tmp_path / "journal"
    path.write_bytes(b"".join(map(encode, floor.records)))
    return str(path)


def csv_of(*arguments: str) -> list[dict[str, str]]:
    result = run(*arguments, "--format", "csv", "--zone", "UTC")
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def json_of(*arguments: str) -> Any:
    result = run(*arguments, "--format", "json", "--zone", "UTC")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_table_names_policy_and_threshold(journal: str) -> None:
    result = run(journal, "--zone", "UTC")
    assert "by queue, day: service level A_T/(N-S), T as each queue says" in result.stdout
    result = run(journal, "--policy", "(a_t + b_t) / n", "--threshold", "30s", "--wait", "total", "--zone", "UTC")
    assert "service level (A_T+B_T)/N, T 30 s; waits with what was kept of earlier queues" in result.stdout
    row = next(line for line in result.stdout.splitlines() if line.startswith("2026-01-05 00:00"))
    assert row.split()[2:6] == ["help", "care", "2", "1"]
    assert "100.0 %" in row


@pytest.mark.parametrize("by", ["queue", "agent", "team"])
def test_every_table_is_shown(journal: str, by: str) -> None:
    result = run(journal, "--by", by, "--interval", "30m", "--zone", "UTC")
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if line.startswith("2026-01-05 09:")]
    assert [row.split()[1] for row in rows] == ["09:00", "09:30"]
    assert "up to 2026-01-05T09:40:30+00:00" in result.stdout


def test_csv_has_policy_and_threshold_in_each_row(journal: str) -> None:
    first, second = csv_of(journal, "--interval", "30m", "--policy", "A_T/A")
    assert (first["start"], first["end"]) == ("2026-01-05T09:00:00+00:00", "2026-01-05T09:30:00+00:00")
    assert (first["team"], first["name"], first["policy"], first["threshold"]) == ("care", "help", "A_T/A", "20")
    assert (first["offered"], first["answered"], first["service_level"], first["asa"]) == ("1", "1", "1", "10")
    assert (first["aht"], first["talk"], first["acw"]) == ("70", "50", "20")
    assert (second["offered"], second["abandoned"], second["service_level"], second["aht"]) == ("1", "1", "", "")


def test_csv_is_no_formula_to_a_spreadsheet(journal: str) -> None:
    """A reason of a pause comes from agents."""
    (row,) = csv_of(journal, "--by", "agent")
    assert row["pauses"] == "'=1+1=630"
    assert row["paused"] == "630"


def test_columns_have_names_of_their_own() -> None:
    from acd.kpi.agent_kpis import AgentKpis
    from acd.kpi.handle_kpis import HandleKpis
    from acd.kpi.queue_kpis import QueueKpis

    names = [name for part in (QueueKpis, HandleKpis, AgentKpis) for name in part.__struct_fields__]
    assert len(names) == len(set(names))


def test_json_says_what_was_asked_for(journal: str) -> None:
    told = json_of(journal, "--by", "team", "--threshold", "5", "--fcr-within", "2h")
    assert (told["by"], told["interval"], told["service_level"]) == ("team", "day", "A_T/(N-S)")
    assert (told["threshold"], told["wait_from"], told["fcr_within"], told["left_out"]) == (5, "entry", 7200, 0)
    assert told["fcr_is_a_proxy"]
    (row,) = told["rows"]
    assert (row["team"], row["threshold"], row["start"]) == ("care", 5, "2026-01-05T00:00:00+00:00")
    assert (row["contacts"]["service_level"], row["contacts"]["abandonment"]) == (0, 0.5)
    assert (row["handles"]["fcr"], row["time"]["pauses"]) == (1, {"=1+1": 630})
    assert row["time"]["occupancy"] == (50 + 20) / 1800


def test_quarters_of_an_hour_from_and_to(journal: str) -> None:
    whole = [row["start"][11:16] for row in csv_of(journal, "--by", "team", "--interval", "15m")]
    assert whole == ["09:00", "09:15", "09:30"]
    part = csv_of(
        journal,
        "--by",
        "team",
        "--interval",
        "15m",
        "--from",
        "2026-01-05T09:15+00:00",
        "--to",
        "2026-01-05T09:30+00:00",
    )
    assert [row["start"][11:16] for row in part] == ["09:15"]
    result = run(journal, "--from", "2026-01-06")
    assert result.stdout.strip() == "the journal tells nothing of that time"


def test_days_are_those_of_the_zone(journal: str) -> None:
    result = run(journal, "--zone", "Pacific/Auckland", "--format", "json")
    assert json.loads(result.stdout)["rows"][0]["start"] == "2026-01-05T00:00:00+13:00"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--by", "quue"), "did you mean 'queue'"),
        (("--interval", "20m"), "expected one of 15m, 30m, 60m, day"),
        (("--format", "xml"), "expected one of table, csv, json"),
        (("--policy", "A/N"), "expected one of A_T/(N-S), A_T/A"),
        (("--threshold", "soon"), "expected a time (20s, 1m, 7d) instead of 'soon'"),
        (("--from", "yesterday"), "expected a date"),
        (("--zone", "Europe/Nowhere"), "there is no zone 'Europe/Nowhere'"),
    ],
)
def test_wrong_words_are_refused_with_what_is_expected(journal: str, arguments: tuple[str, ...], told: str) -> None:
    result = CliRunner(env={"COLUMNS": "300"}).invoke(app, [journal, *arguments])
    assert result.exit_code == 2
    assert told in result.output


def test_a_broken_journal_is_told_by_file_and_record(tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_bytes(b"\xc1")
    result = run(str(path))
    assert result.exit_code == 1
    assert result.output == f"journal {path}: record 1, at octet 0: octet 0xc1 begins nothing: expected msgpack\n"


# ---- surveys, trunks, campaigns


@pytest.fixture
def outside(tmp_path: Path) -> str:
    """
    ann has c1 (09:00:10 to 09:01), which is answered csat 5 and nps 6 at 09:10, and nothing is known of c9 (nps 1)
    main: 09:00 one connected, one busy, one no channel, one bad number, all out; 09:20 one connected, in
    spring: 09:00 a machine, an agent after 1 s, none at all; 09:20 an agent at once
    """
    floor = Floor()
    out = (i.CallAttempt("main", each) for each in ("connected", "busy", "no_channel", "invalid"))  # type: ignore[arg-type]
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help"), *out)
    floor.at(1, i.DialledCall("spring", "machine"), i.DialledCall("spring", "answered", 1.0))
    floor.at(2, i.DialledCall("spring", "answered"))
    floor.answer(10, "ann")
    floor.at(60, i.Finish("c1", "ann"), i.Ready("ann"))
    floor.at(600, i.SurveyAnswer("c1", "csat", 5), i.SurveyAnswer("c1", "nps", 6), i.SurveyAnswer("c9", "nps", 1))
    floor.at(1200, i.CallAttempt("main", "connected", "inbound"), i.DialledCall("spring", "answered", 0.0))
    path = tmp_path / "outside"
    path.write_bytes(b"".join(map(encode, floor.records)))
    return str(path)


def table_of(*arguments: str) -> list[str]:
    result = run(*arguments, "--zone", "UTC")
    assert result.exit_code == 0, result.output
    return [line.strip() for line in result.stdout.splitlines()]


def test_a_table_has_columns_of_surveys_where_there_were_any(journal: str, outside: str) -> None:
    for by in ("queue", "agent", "team"):
        head = table_of(journal, "--by", by)[1]
        assert "FCR proxy" in head
        assert "CSAT" not in head
        assert "NPS" not in head
        _, head, _, row, *notes = table_of(outside, "--by", by)
        assert "FCR proxy CSAT CSAT answered NPS NPS answered" in " ".join(head.split())
        assert "100.0 %" in row
        assert "-100" in row
        assert "answers of surveys left out: 1, of contacts that no agent had, or that are long over" in notes


def test_csv_and_json_have_columns_of_surveys_always(journal: str, outside: str) -> None:
    [row] = csv_of(journal)
    assert (row["csat"], row["csat_answers"], row["nps_response"], row["surveys"]) == ("", "0", "", "")
    [row] = csv_of(outside)
    assert (row["csat"], row["csat_response"], row["nps"], row["nps_answers"]) == ("1", "1", "-100", "1")
    assert row["surveys"] == "csat 5=1; nps 6=1"
    told = json_of(outside)
    assert (told["surveys_left_out"], told["left_out"]) == (1, 0)
    assert told["rows"][0]["handles"]["surveys"] == {"csat 5": 1, "nps 6": 1}


def test_trunks(outside: str) -> None:
    """09:00: lost 1 of 3 valid; 09:15: none of 1."""
    title, head, _, first, second, *notes = table_of(outside, "--by", "trunk", "--interval", "15m")
    assert title == "by trunk, 15m"
    assert head.split()[:4] == ["from", "trunk", "call", "loss"]
    assert first.split()[:7] == ["2026-01-05", "09:00", "main", "33.3", "%", "4", "3"]
    assert second.split()[:7] == ["2026-01-05", "09:15", "main", "0.0", "%", "1", "1"]
    assert not any("surveys" in note for note in notes)
    assert notes[0] == "call loss: for lack of channels, ports or network, of attempts to valid numbers"
    whole, *_ = csv_of(outside, "--by", "trunk")
    assert (whole["name"], whole["attempts"], whole["valid"], whole["lost"], whole["call_loss"]) == (
        "main",
        "5",
        "4",
        "1",
        "0.25",
    )
    assert "policy" not in whole
    assert "offered" not in whole
    [row] = json_of(outside, "--by", "trunk")["rows"]
    assert (row["attempts"]["call_loss_inbound"], row["attempts"]["call_loss_outbound"]) == (0, 1 / 3)


def test_campaigns(outside: str) -> None:
    """09:00: 1 of 2 live answers abandoned; 09:15: none of 1, in 24 hours and 30 days 1 of 3."""
    title, head, _, first, second, *notes = table_of(outside, "--by", "campaign", "--interval", "15m")
    assert title == "by campaign, 15m"
    assert head.split()[:3] == ["from", "campaign", "abandoned"]
    assert first.split()[2:9] == ["spring", "50.0", "%", "50.0", "%", "50.0", "%"]
    assert second.split()[2:9] == ["spring", "0.0", "%", "33.3", "%", "33.3", "%"]
    assert notes[0].startswith("abandoned: live answers without an agent within 2 s, of all live answers")
    [row] = csv_of(outside, "--by", "campaign")
    assert (row["dialled"], row["answers"], row["connects"], row["machine"]) == ("4", "3", "2", "1")
    assert (row["abandonment"], row["abandonment_30d"]) == ("0.333333", "0.333333")

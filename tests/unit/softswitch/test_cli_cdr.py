"""`softswitch cdr` on a database of its own."""

import asyncio
import csv
import io
import re
import stat
from datetime import datetime
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from softswitch.cli import cdr
from softswitch.cli.cdr import heard, moment, recordings, show
from softswitch.cli.tables import terminal
from softswitch.settings.loader import load
from softswitch.store import CdrRecord, LegRecord, Quality, Store

app = typer.Typer()
cdr.register(app)

CONFIG = "server: {log_level: info}\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A directory with a configuration and a database of three calls."""
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "switch.yaml").write_text(CONFIG)
    server = load(directory).settings.server
    server.state_directory.mkdir(parents=True)

    async def fill() -> None:
        store = Store(server.database_url)
        await store.start()
        for n in range(3):
            started = datetime(2026, 1, 10 + n, 12).timestamp()
            legs = (
                LegRecord("extension", str(101 + n), started, "in", packets_in=95, lost=5, jitter_ms=3.0, rtt_ms=48.0),
                LegRecord("extension", "200", started, packets_in=100, answered=started + 2),
            )
            record = CdrRecord(f"c{n}", started, started + 75, started + 2, legs=legs, dialled="200", destination="200")
            record.caller_number, record.caller_name = str(101 + n), "=\x1b[31mAnn [bold]"
            record.billsec, record.cause, record.ended_by = 73.0, 16, "callee"
            store.write_cdr(record)
        await store.close()

    asyncio.run(fill())
    return directory


def test_the_latest_calls_are_listed(config: Path) -> None:
    result = run("--config", str(config), "--limit", "2")
    assert result.exit_code == 0, result.output
    assert "calls (2)" in result.output
    assert "103" in result.output
    assert "102" in result.output
    assert "101" not in result.output
    assert "there are more: --limit 4" in result.output
    assert "there are more" not in run("--config", str(config), "--limit", "3").output


def test_nothing_is_cut_or_broken_where_no_terminal_is_written_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = "/srv/" + "/".join(f"a-directory-with-a-long-name-{n}" for n in range(60)) + "/20260110T120000Z.wav"
    record = CdrRecord("c", 0.0, 0.0, caller_name="Ann " * 30, destination="102", trunk="north")
    record.recording = path
    show([record], terminal())
    lines = capsys.readouterr().out.splitlines()
    [row] = [line for line in lines if "Ann" in line]
    assert row.rstrip().endswith(path)
    assert "Ann " * 30 in row
    assert "no room for" not in "".join(lines)


def test_what_a_caller_calls_itself_moves_no_cursor(config: Path) -> None:
    result = run("--config", str(config))
    assert "\x1b" not in result.output
    out = io.StringIO()
    show([CdrRecord("c", 0.0, 0.0, caller_name="\x1b]0;owned\x07[red]x\u202e")], Console(file=out, width=300))
    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()
    assert "[red]x" in out.getvalue()


def told(width: int) -> list[str]:
    record = CdrRecord("c", datetime(2026, 1, 10, 12).timestamp(), 0.0, answered=2.0, dialled="0301234567")
    record.caller_number, record.caller_name, record.destination, record.trunk = "101", "Ann", "north", "north"
    record.billsec, record.cause, record.status, record.ended_by = 73.0, 102, 408, "callee"
    out = io.StringIO()
    show([record], Console(file=out, width=width))
    return out.getvalue().rstrip("\n").split("\n")


def test_how_a_side_sounded_in_a_few_words() -> None:
    assert heard(Quality(0.005, 12.0, 48.0, 4.32, 3.94), None) == "4.3/3.9 0.5 % 12 ms 48 ms"
    assert heard(Quality(0.0, 2.0), None) == "0.0 % 2.0 ms"
    assert heard(None, LegRecord("extension", "101", 1.0, answered=2.0)) == "silent"


@pytest.mark.parametrize(
    "leg",
    [
        None,
        LegRecord("extension", "101", 1.0, "in"),
        LegRecord("extension", "101", 1.0, answered=2.0, joined="c2"),
    ],
    ids=["nobody", "not answered", "went on elsewhere"],
)
def test_nobody_is_silent_who_could_not_be_heard(leg: LegRecord | None) -> None:
    assert heard(None, leg) == ""


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_a_record_is_readable_at_any_width(width: int) -> None:
    """The most important columns stay, in whole; the others are named."""
    lines = told(width)
    assert max(map(len, lines)) <= width
    titles, row = lines[1], lines[3]
    assert row.startswith("2026-01-10 12:00:00  ")
    for title, value in (("caller", "101  Ann"), ("talked", "1:13"), ("why", "102 timer"), ("trunk", "north")):
        assert (title in titles) == (value in row) or value == "north"
        assert title in titles or title in " ".join(lines[4:])
    assert ("no room for" in " ".join(lines)) == (width < 200)


def test_at_80_columns_when_who_whom_how_long_and_why() -> None:
    titles, row = told(80)[1], told(80)[3]
    assert re.split(" {2,}", titles.strip()) == ["started", "caller", "dialled", "reached", "talked", "why"]
    assert row.split() == [
        "2026-01-10",
        "12:00:00",
        "101",
        "Ann",
        "0301234567",
        "north",
        "1:13",
        "102",
        "timer",
        "expired",
    ]


def test_csv_goes_to_the_terminal(config: Path) -> None:
    result = run("--config", str(config), "--csv")
    assert result.exit_code == 0
    rows = lines(result.stdout)
    assert [row["contact"] for row in rows] == ["c2", "c1", "c0"]
    assert rows[0]["caller_name"] == "'=\ufffd[31mAnn [bold]"
    assert (rows[0]["caller_loss"], rows[0]["caller_jitter_ms"], rows[0]["billsec"]) == ("0.0500", "3.0", "73.000")


def test_csv_goes_to_a_file_that_others_cannot_read(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "calls.csv"
    result = run("--config", str(config), "--csv", str(out))
    assert (result.exit_code, result.output) == (0, "")
    assert len(lines(out.read_text())) == 3
    assert stat.S_IMODE(out.stat().st_mode) & 0o077 == 0


def test_csv_of_legs(config: Path) -> None:
    rows = lines(run("--config", str(config), "--csv", "--legs", "--limit", "1").stdout)
    assert [(row["contact"], row["seq"], row["endpoint"]) for row in rows] == [("c2", "0", "103"), ("c2", "1", "200")]


def test_filters(config: Path) -> None:
    def found(*arguments: str) -> list[str]:
        return [row["contact"] for row in lines(run("--config", str(config), "--csv", *arguments).stdout)]

    assert found("--number", "102") == ["c1"]
    assert found("--number", "200", "--limit", "1") == ["c2"]
    assert found("--since", "2026-01-11") == ["c2", "c1"]
    assert found("--until", "2026-01-11T12:00") == ["c0"]
    assert found("--since", "2026-01-11", "--until", "2026-01-12") == ["c1"]
    assert found("--number", "999") == []


def test_nothing_found_is_said(config: Path) -> None:
    assert "no calls" in run("--config", str(config), "--number", "999").output


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--limit", "0"), ("--legs",), ("calls.csv",)])
def test_a_wrong_option_is_explained(config: Path, arguments: tuple[str, ...]) -> None:
    result = run("--config", str(config), *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_configuration_that_is_missing_or_broken_is_code_2(tmp_path: Path) -> None:
    result = run("--config", str(tmp_path / "nowhere"))
    assert result.exit_code == 2
    assert "expected a configuration directory" in result.output


def test_without_a_database_nothing_is_made(config: Path) -> None:
    database = load(config).settings.server.state_directory / "softswitch.db"
    database.unlink()
    result = run("--config", str(config))
    assert result.exit_code == 1
    assert f"no database at {database}" in result.output
    assert not database.exists()


def test_a_database_that_cannot_be_read_is_one_line(config: Path) -> None:
    (load(config).settings.server.state_directory / "softswitch.db").write_bytes(b"nothing like a database" * 100)
    result = run("--config", str(config))
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_file_that_cannot_be_written_is_one_line(config: Path, tmp_path: Path) -> None:
    result = run("--config", str(config), "--csv", str(tmp_path / "missing" / "calls.csv"))
    assert result.exit_code == 1
    assert result.output.strip().endswith("No such file or directory")


def test_moments() -> None:
    assert moment("", 1000.0, "--since") is None
    assert moment("90s", 1000.0, "--since") == 910.0
    assert moment("2d", 1_000_000.0, "--since") == 1_000_000 - 2 * 86400
    assert moment("2026-01-31T10:00+00:00", 0.0, "--since") == 1769853600.0
    with pytest.raises(typer.BadParameter):
        moment("31.01.2026", 0.0, "--since")


def test_quality_in_words() -> None:
    assert heard(Quality(0.005, 12.0, 48.4), None) == "0.5 % 12 ms 48 ms"
    assert heard(Quality(0.0, None, None), None) == "0.0 %"


def test_the_files_of_a_recording_that_failed_are_shown_too() -> None:
    """What was written before plays; its path is not cut."""
    whole = CdrRecord("c", 1.0, 2.0, recording="/r/1.wav")
    assert recordings(whole).plain == "/r/1.wav"
    first, second = (f"/var/lib/recordings/{'x' * 120}/{n}.wav" for n in (1, 2))
    lost = CdrRecord("c", 1.0, 2.0, recording=f"{first}, {second}", recording_failed="media worker media-0 lost")
    assert recordings(lost).plain == f"{first}, {second}; failed: media worker media-0 lost"
    refused = CdrRecord("c", 1.0, 2.0, recording_failed="only 3 MB are free")
    assert recordings(refused).plain == "failed: only 3 MB are free"
    assert recordings(CdrRecord("c", 1.0, 2.0)).plain == ""

"""The load command without SIPp: its command line, its statistics files, percentiles and tables; and with a stand-in
for SIPp, a script that writes the files that SIPp writes."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from softswitch import load as load_module
from softswitch.cli import load as command
from softswitch.load import (
    FAILURES,
    SCENARIOS,
    LoadError,
    LoadPlan,
    LoadResult,
    LoadRun,
    Progress,
    ResponseTimes,
    command_line,
    cpu_seconds,
    find_scenario,
    first_errors,
    lacking,
    percentile,
    read_progress,
    split_host_port,
    summarise,
)

app = typer.Typer()
command.register(app)

HEADER = (
    "StartTime;LastResetTime;CurrentTime;ElapsedTime(P);ElapsedTime(C);TargetRate;CallRate(P);CallRate(C);"
    "TotalCallCreated;CurrentCall;SuccessfulCall(P);SuccessfulCall(C);FailedCall(P);FailedCall(C);"
    "FailedUnexpectedMessage(P);FailedUnexpectedMessage(C);FailedTimeoutOnRecv(P);FailedTimeoutOnRecv(C);"
    "Retransmissions(P);Retransmissions(C);"
)
ROW = (
    "2026-01-01\t10:00:00.500000\t1000.500000;2026-01-01\t10:00:01.500000\t1001.500000;"
    "2026-01-01\t10:00:03.000000\t1003.000000;00:00:01;00:00:02;30;29.5;28.2;70;4;20;60;2;6;1;4;1;2;0;3;"
)
PROGRESS = Progress(2.5, 29.5, 70, 4, 60, 6, 3, {"FailedUnexpectedMessage": 4, "FailedTimeoutOnRecv": 2})
CALL = ["uac_call", "--target", "127.0.0.1", "--service", "900"]
PLAN = LoadPlan(Path("uac_call.xml"), "127.0.0.1:5060", 10.0, 100)


def test_a_row_of_statistics() -> None:
    assert read_progress(HEADER, ROW) == PROGRESS


@pytest.mark.parametrize("row", ["", "1;2;3", ROW.replace("70", "seventy")])
def test_statistics_that_are_none(row: str) -> None:
    with pytest.raises(LoadError, match="can't be read"):
        read_progress(HEADER, row)


def test_the_command_line_has_each_wish_as_its_own_word() -> None:
    plan = LoadPlan(
        Path("/s/uac.xml"), "10.0.0.1:5070", 12.0, 500, 40, Path("/u.csv"), "1;rm", "tcp", 1.5, "10.0.0.2:6000", 7000
    )
    words = command_line(plan, "/usr/bin/sipp")
    assert words[:4] == ["/usr/bin/sipp", "10.0.0.1:5070", "-sf", "/s/uac.xml"]
    pairs = dict(itertools.pairwise(words))
    wanted = {
        "-r": "12",
        "-rp": "1000",
        "-m": "500",
        "-l": "40",
        "-inf": "/u.csv",
        "-s": "1;rm",
        "-t": "t1",
        "-d": "1500",
        "-i": "10.0.0.2",
        "-p": "6000",
        "-mp": "7000",
        "-recv_timeout": "32000",
    }
    assert {name: pairs[name] for name in wanted} == wanted


@pytest.mark.parametrize(("rate", "r", "rp"), [(10, "10", "1000"), (2.5, "25", "10000"), (0.01, "1", "100000")])
def test_a_rate_below_one_is_calls_in_a_longer_period(rate: float, r: str, rp: str) -> None:
    words = command_line(PLAN._replace(rate=rate), "sipp")
    assert (words[words.index("-r") + 1], words[words.index("-rp") + 1]) == (r, rp)


@pytest.mark.parametrize(
    ("scenario", "changes", "needs"),
    [
        ("uac_call", {}, ["a number to call"]),
        ("uac_call", {"service": "900"}, []),
        ("uac_call", {"extra": ("-s", "900")}, []),
        ("register", {"service": "900"}, ["users"]),
        ("register", {"users": Path("u.csv")}, []),
        ("register", {"extra": ("-inf", "u.csv")}, []),
        ("uac_call_auth", {}, ["users", "a number to call"]),
        ("uas_call", {}, []),
    ],
)
def test_what_a_scenario_needs_is_known_before_it_runs(
    scenario: str, changes: dict[str, object], needs: list[str]
) -> None:
    said = lacking(PLAN._replace(scenario=find_scenario(scenario), **changes))  # type: ignore[arg-type]
    assert [need for need in ("users", "a number to call") if f"needs {need}" in said] == needs
    assert bool(said) == bool(needs)


def test_what_a_comment_speaks_of_is_not_needed(tmp_path: Path) -> None:
    scenario = tmp_path / "s.xml"
    scenario.write_text("<!-- [field0]\n [service] --><scenario/>")
    assert lacking(PLAN._replace(scenario=scenario)) == ""


def test_ipv6_targets_are_bracketed() -> None:
    assert command_line(PLAN._replace(target="[::1]:5070"), "sipp")[1] == "[::1]:5070"
    assert command_line(PLAN._replace(target="::1"), "sipp")[1] == "[::1]:5060"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("a", "a", 5060), ("a:1", "a", 1), ("[::1]", "::1", 5060), ("[::1]:7", "::1", 7), ("::1", "::1", 5060)],
)
def test_host_and_port(text: str, host: str, port: int) -> None:
    assert split_host_port(text) == (host, port)


@pytest.mark.parametrize("text", ["a:b", "a:0", "a:65536", ":5060", "a:", "a:५"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(LoadError, match="bad address"):
        split_host_port(text)


def test_percentiles_are_of_the_nearest_rank() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.9, 0.99, 1.0)] == [50.0, 90.0, 99.0, 100.0]
    assert percentile([7.0], 0.5) == 7.0


def test_response_times_by_name() -> None:
    rows = [
        ["Date_ms", "response_time_ms", "rtd_no"],
        ["1.5", "4", "invite"],
        ["2", "9", "register"],
        ["3", "2", "invite"],
    ]
    assert summarise([*rows, ["4", "torn"]]) == (
        ResponseTimes("invite", 2, 2.0, 4.0, 4.0, 4.0, 4.0),
        ResponseTimes("register", 1, 9.0, 9.0, 9.0, 9.0, 9.0),
    )


def test_first_errors_are_told_once() -> None:
    stamp = "2026-01-01\t10:00:00.000001\t1000.000001: "
    log = (
        "The following events occurred:\n"
        f"{stamp}Aborting call on unexpected message for Call-Id '1-7@10.0.0.1': while expecting '200' (index 3), "
        "received 'SIP/2.0 404 Not Found\nVia: x\n'"
        f"{stamp}Aborting call on unexpected message for Call-Id '2-7@10.0.0.1': while expecting '200' (index 3), "
        "received 'SIP/2.0 404 Not Found\nVia: y\n'"
        f"{stamp}Aborting call on an unexpected BYE for call: 3-7@10.0.0.1"
    )
    assert first_errors(log) == (
        "Aborting call on unexpected message: while expecting '200' (index 3), received 'SIP/2.0 404 Not Found",
        "Aborting call on an unexpected BYE",
    )
    assert first_errors(log, 1) == first_errors(log)[:1]
    assert first_errors("") == ()


def test_cpu_time_counts_children_too() -> None:
    spin = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"
    script = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {spin.format(0.2) + 'print(1, flush=True); input()'!r}],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        + spin.format(0.2)
        + "print('ready', flush=True)\ninput()\nchild.communicate(b'\\n')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        used = cpu_seconds(process.pid)
        process.communicate(b"\n")
    assert 0.38 <= used < 2.0
    with pytest.raises(LoadError, match="gone"):
        cpu_seconds(process.pid)


def test_scenarios_are_found_by_name() -> None:
    assert find_scenario("uac_call") == SCENARIOS / "uac_call.xml"
    assert find_scenario("uac_call.xml") == find_scenario(str(SCENARIOS / "uac_call.xml"))
    with pytest.raises(LoadError, match=r"no scenario 'uac_cal': did you mean 'uac_call'\? there is .*uac_call,"):
        find_scenario("uac_cal")


def shown(result: LoadResult) -> str:
    out = io.StringIO()
    command.show(PLAN, result, Console(file=out, width=120, color_system=None))
    return out.getvalue()


def rows_of(text: str) -> dict[str, str]:
    cells = [[cell.strip() for cell in line.split("│")] for line in text.split("\n") if line.startswith("│")]
    return {row[1]: row[2] for row in cells if len(row) == 4}


def test_the_final_table() -> None:
    times = (ResponseTimes("invite", 60, 2, 4, 5, 9, 12),)
    text = shown(LoadResult(PROGRESS, times, ("said \x1b[2J",), 0.07, 1))
    rows = rows_of(text)
    assert rows["calls"] == "70"
    assert rows["calls per second"] == "28.0"
    assert rows["failed"] == "6"
    assert rows[FAILURES["FailedUnexpectedMessage"]] == "4"
    assert rows["not ended"] == "4"
    assert rows["CPU time per call"] == "1000 us"
    assert "│ invite      │       60 │    2 │    4 │    5 │    9 │      12 │" in text
    assert "said \\x1b[2J" in text


def test_a_switch_elsewhere_has_no_cpu_time() -> None:
    assert rows_of(shown(LoadResult(PROGRESS, (), (), None, 0)))["CPU time of the switch"] == "not on this machine"


def test_the_progress_line() -> None:
    line = command.progress_line(PROGRESS, PLAN).plain
    assert line == "2 s  70 of 100 calls  29.5/s  4 now  60 well  6 failed  3 retransmissions"


def stand_in(directory: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Puts a `sipp` first in PATH that runs `body`, a shell script, in the directory of the run."""
    script = directory / "bin" / "sipp"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")


def write_files(code: int) -> str:
    rtt = "Date_ms;response_time_ms;rtd_no\\n1;5;invite\\n2;7;invite\\n"
    return f"printf '%s\\n%s\\n' '{HEADER}' '{ROW}' > statistics.csv; printf '{rtt}' > uac_1_rtt.csv; exit {code}"


def test_a_run_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, write_files(1))
    arguments = [*CALL, "--calls", "70", "--config", str(tmp_path)]
    result = CliRunner().invoke(app, [*arguments, "--pid", str(os.getpid())], env={"COLUMNS": "120"})
    assert result.exit_code == 1  # the stand-in's calls failed
    rows = rows_of(result.stdout)
    assert rows["successful"] == "60"
    assert rows["CPU time of the switch"].endswith(" s")
    assert "invite" in result.stdout


def test_a_run_without_failures_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ROW.replace(";2;6;1;4;1;2;0;3;", ";0;0;0;0;0;0;0;0;")
    stand_in(tmp_path, monkeypatch, write_files(0).replace(ROW, row))
    result = CliRunner().invoke(app, [*CALL, "--config", str(tmp_path)])
    assert result.exit_code == 0
    assert rows_of(result.stdout)["CPU time of the switch"] == "not on this machine"


def test_sipp_that_breaks_down_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "echo 'Unable to bind main socket'; exit 255")
    result = CliRunner().invoke(app, [*CALL, "--config", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr.strip().endswith("SIPp ended with exit code 255: Unable to bind main socket")


def test_sipp_missing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module.shutil, "which", lambda _name: None)
    result = CliRunner().invoke(app, [*CALL, "--config", str(tmp_path)])
    assert result.exit_code == 2
    assert "apt-get install sip-tester" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["uac_call", "--target", "127.0.0.1:x", "--service", "900"], "bad address"),
        (["uac_call", "--target", "127.0.0.1", "--transport", "tls"], "expected udp or tcp"),
        (["uac_call", "--target", "127.0.0.1", "--inf", "/nowhere.csv"], "/nowhere.csv: no such file"),
        (["uac_call", "--target", "127.0.0.1"], "uac_call needs a number to call: expected --service NUMBER"),
        (["register", "--target", "127.0.0.1"], "register needs users: expected --inf FILE, or --config DIR with a"),
        (
            ["uac_call_auth", "--target", "127.0.0.1"],
            "sipp-users.csv (softswitch init writes one); uac_call_auth needs a",
        ),
        (["no_such", "--target", "127.0.0.1"], "no scenario 'no_such'"),
        (["uac_call", "--target", "127.0.0.1", "--pid", "4194305"], "is gone"),
    ],
)
def test_wrong_wishes_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    stand_in(tmp_path, monkeypatch, write_files(0))
    result = CliRunner().invoke(app, [*words, "--config", str(tmp_path)])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_stopping_asks_sipp_first_and_reads_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(
        tmp_path,
        monkeypatch,
        f"trap '{write_files(0).replace(chr(39), chr(34))}' USR1\ntouch up\nwhile :; do sleep 0.02; done",
    )
    run_directory = tmp_path / "run"
    run_directory.mkdir()
    scenario = tmp_path / "s.xml"
    scenario.write_text("")
    with LoadRun(PLAN._replace(scenario=scenario), run_directory) as run:
        while not (run_directory / "up").exists():
            assert not run.wait(0.02)
        assert run.poll().created == 0
        run.stop()
        assert run.finish(None).progress.created == 70


def test_a_deaf_sipp_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "STOP_SECONDS", 0.1)
    stand_in(tmp_path, monkeypatch, "trap '' USR1\ntouch up\nwhile :; do sleep 0.02; done")
    scenario = tmp_path / "s.xml"
    scenario.write_text("")
    with LoadRun(PLAN._replace(scenario=scenario), tmp_path) as run:
        while not (tmp_path / "up").exists():
            assert not run.wait(0.02)
        run.stop()
        with pytest.raises(LoadError, match="exit code -9"):
            run.finish(None)

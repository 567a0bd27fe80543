"""`softswitch status` and `softswitch reload`, against a control server in a thread of its own."""

from __future__ import annotations

import asyncio
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from media.engine import MediaEngine
from softswitch.cli import feature, mwi, record, reload, status
from softswitch.cli.counters import AUDIO, SIGN_IN, WATCHING
from softswitch.cli.printable import printable
from softswitch.cli.running import control_socket
from softswitch.cli.status import duration, milliseconds, show
from softswitch.control import (
    CallRow,
    ControlRefused,
    ControlServer,
    GatewayRow,
    MediaReport,
    PartyRow,
    RegistrationRow,
    StatusReport,
    SubscriptionRow,
    TrunkRow,
    WorkerRow,
)
from tests.virtual.network import World

app = typer.Typer()
status.register(app)
reload.register(app)
record.register(app)
feature.register(app)
mwi.register(app)

PARTIES = [PartyRow("extension 101", "101", "consults"), PartyRow("trunk north", "0441234", "waits")]
REPORT = StatusReport(
    version="0.1.0",
    pid=4711,
    uptime=3725.0,
    registrations=[
        RegistrationRow(
            aor="101",
            contact="sip:101@10.0.0.1:5062",
            source="10.0.0.1:5062",
            user_agent="baresip",
            expires_in=59,
            rtt_ms=1.54,
        ),
        RegistrationRow(aor="102", contact="sip:102@10.0.0.2", reachable=False),
    ],
    trunks=[
        TrunkRow("north", "address", "", [GatewayRow("10.9.0.1:5060", "up", 12.4), GatewayRow("10.9.0.2:5060")], 3, 30)
    ],
    calls=[CallRow("c1", "consultation", "101", "0441234", PARTIES, "", 75.0, 61.0, "PCMA")],
    counters={"malformed, dropped": 2, "failed": 3, "stale": 0, "never": 0},
    tables={"timers": 12},
    media=MediaReport(4, 16, 1000, 990, {"wrong_source": 7, "overload": 0}),
    totals={"registrations": 2, "trunks": 1, "calls": 1},
    listening=["udp 10.0.0.9:5060"],
)


def shown(report: StatusReport) -> str:
    out = io.StringIO()
    show(report, Console(file=out, width=200, color_system="truecolor", force_terminal=True))
    return out.getvalue()


def plain(report: StatusReport, width: int = 200, everything: bool = False) -> str:
    out = io.StringIO()
    show(report, Console(file=out, width=width, color_system=None), everything)
    return out.getvalue()


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line.strip())


def configure(directory: Path, text: str = "server: {log_level: info}\n") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "softswitch.yaml").write_text(text)
    return directory


@contextmanager
def switch(config: Path, **handlers: Callable[[dict[str, Any]], Any]) -> Iterator[None]:
    """A control server where the switch of this configuration would have its own."""
    path = control_socket(config)
    path.parent.mkdir(exist_ok=True)
    started, stop = threading.Event(), asyncio.Event()
    loop: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loop.append(asyncio.get_running_loop())
        server = ControlServer(path, handlers)
        await server.start()
        started.set()
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(5)
    try:
        yield
    finally:
        loop[0].call_soon_threadsafe(stop.set)
        thread.join()


def test_media_workers_have_a_line_each() -> None:
    workers = [
        WorkerRow("media-0", 501, True, 0.42, 20, 6, 8, 1, 1, 2.5, 0),
        WorkerRow("192.0.2.7:5090", 0, False, restarts=2),
    ]
    text = plain(msgspec.structs.replace(REPORT, media=MediaReport(20, 8, adopted=6, workers=workers)))
    assert "audio: 20 streams (6 adopted: calls from before a restart) on 8 pairs" in text
    lines = [cells(line) for line in text.splitlines()]
    assert ["media-0", "501", "42 %", "20", "6", "2.5 ms", "0"] in lines
    assert any(line[:2] == ["192.0.2.7:5090", "not there"] and line[-1] == "2" for line in lines)
    assert "media worker" not in plain(REPORT)


def test_a_silent_call_is_seen() -> None:
    silent = CallRow("c1", "talking", "101", "0123", [PartyRow("extension 101", "101", "talks", 12.4)], age=75.0)
    silent.parties.append(PartyRow("trunk north", "0123", "talks", 61.0))
    unsent = CallRow("c2", "talking", "103", "104", [PartyRow("extension 103", "103", "talks", None, 7.0)], age=9.0)
    well = CallRow("c3", "talking", "105", "106", [PartyRow("extension 105", "105", "talks")], age=9.0)
    report = msgspec.structs.replace(REPORT, calls=[silent, unsent, well])
    lines = [cells(line) for line in plain(report).splitlines()]
    [heading] = [line for line in lines if line[0] == "caller"]
    at = heading.index("audio")
    shown = {line[0]: line for line in lines}
    assert shown["101"][at] == "none from 101 for 12 s, none from trunk north for 1:01"
    assert shown["103"][at] == "none to 103 for 7 s"
    assert shown["105"][at] == "9 s", "nothing is missing: the next column"
    assert "audio  " not in plain(REPORT), "no column where all are heard"
    narrow = " ".join(plain(report, 80).split())
    assert "none from" in narrow
    told = json.loads(msgspec.json.encode(report))["calls"][0]["parties"][0]
    assert (told["unheard"], told["unsent"]) == (12.4, None)


def test_who_watches_whom_is_shown_where_anybody_does() -> None:
    rows = [SubscriptionRow("101", "dialog", "102", "ringing", "10.0.0.1:5062", 3599.0)]
    text = plain(msgspec.structs.replace(REPORT, subscriptions=rows, totals=REPORT.totals | {"subscriptions": 3}))
    assert "subscriptions (1 of 3)" in text
    assert ["101", "dialog", "102", "ringing", "10.0.0.1:5062", "59:59"] in [cells(line) for line in text.splitlines()]
    assert "subscriptions" not in plain(REPORT)


def test_the_tables_say_what_the_report_says() -> None:
    text = plain(REPORT)
    assert "softswitch 0.1.0 up for 1:02:05, process 4711" in text
    assert "listening on udp 10.0.0.9:5060" in text
    line = next(line for line in text.split("\n") if "sip:101@10.0.0.1:5062" in line)
    assert cells(line) == [
        "101",
        "sip:101@10.0.0.1:5062",
        "udp 10.0.0.1:5062",
        "baresip",
        "59 s",
        "1.5 ms",
        "yes",
    ]
    assert next(line for line in text.split("\n") if "sip:102@" in line).rstrip().endswith("no")
    assert "10.9.0.1:5060 up 12 ms" in text
    assert "3 of 30" in text
    line = next(line for line in text.split("\n") if "PCMA" in line)
    assert "101 consults, trunk north 0441234 waits" in line
    assert "consultation" in line
    assert "1:15" in line
    assert "1:01" in line
    assert "audio: 4 streams on 16 pairs of ports, packets 1000 in, 990 out" in text
    assert "no room for" not in text


def test_what_is_counted_is_said_in_words_under_headings() -> None:
    counted = plain(REPORT).partition("since the start")[2].strip().split("\n")
    assert [cells(line) for line in counted] == [
        ["sign-in", "3", "refused: wrong password, unknown user or wrong realm"],
        ["SIP", "2", "malformed messages, dropped"],
        ["audio packets", "7", "dropped: from a source of no call (a few as a call is answered are usual)"],
    ]


def test_all_shows_what_is_zero_and_the_sizes() -> None:
    text = plain(REPORT, everything=True)
    assert re.search(r"\b0 +asked again: password right, nonce too old", text)
    assert re.search(r"\bkept now +12 +timers", text)
    assert "0 calls begun" in re.sub(" +", " ", text)


def test_a_counter_without_words_is_shown_all_the_same() -> None:
    report = StatusReport(version="1", pid=1, uptime=1.0, counters={"new_thing": 4})
    assert re.search(r"other +4 +new thing", plain(report))


def test_every_counter_of_the_switch_has_words() -> None:
    assert set(World().switch.admission.counters) <= set(SIGN_IN)
    assert set(World().switch.subscriptions.counters) <= set(WATCHING)
    assert set(MediaEngine(Random(1), 0.0, 0.0).counters) <= set(AUDIO)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal_and_rows_stay_whole(width: int) -> None:
    """What has no room is named; what is shown is not broken into columns of single letters."""
    text = plain(REPORT, width)
    assert max(map(len, text.split("\n"))) <= width
    assert re.search(r"^101 ", text, re.MULTILINE)
    assert "udp 10.0.0.1:5062" in text
    assert ("client" in text) == (width >= 100 or "no room for" in text)
    assert text.count("\n") < 70


def test_at_80_columns_an_operator_sees_who_is_unreachable_and_who_talks() -> None:
    text = plain(REPORT, 80)
    registrations, _, rest = text.partition("trunks (1)")
    assert re.search(r"^102 .*\bno *$", registrations, re.MULTILINE)
    assert "no room for: round trip" in registrations
    for title in ("registration", "gateways", "state", "talking", "codec"):
        assert title in rest


def test_an_idle_switch() -> None:
    text = plain(StatusReport(version="0.1.0", pid=1, uptime=1.0))
    assert "no registrations" in text
    assert "no calls" in text


def test_a_switch_that_drains_says_so() -> None:
    assert "draining" in plain(StatusReport(version="0.1.0", pid=1, uptime=1.0, draining=True))


def test_a_cut_list_says_of_how_many() -> None:
    report = StatusReport(version="1", pid=1, uptime=1.0, calls=REPORT.calls, totals={"calls": 600})
    assert "calls (1 of 600)" in plain(report)
    assert "599 more: --rows 600" in plain(report)
    assert "registrations (0 of 9)" in plain(StatusReport(version="1", pid=1, uptime=1, totals={"registrations": 9}))


@pytest.mark.parametrize("evil", ["\x1b[2Jgone", "a\r\nb", "\x9b31m", "\u202eabc", "\x00", "\x7f", "\udcff"])
def test_control_characters_of_foreign_origin_never_reach_the_terminal(evil: str) -> None:
    """A phone that calls itself an escape sequence must not move the operator's cursor."""
    report = StatusReport(
        version="1",
        pid=1,
        uptime=1.0,
        registrations=[RegistrationRow(aor=evil, contact=evil, user_agent=evil, source=evil)],
        trunks=[TrunkRow(evil, evil, evil, [GatewayRow(evil, evil)])],
        calls=[CallRow(evil, evil, evil, evil, [PartyRow(evil, evil, evil)], evil, codec=evil)],
        counters={evil: 1},
        media=MediaReport(dropped={evil: 1}),
    )
    text = shown(report)
    assert evil not in text
    text.encode()
    for character in set(evil) - set("\n\x1b"):  # rich's own colours and line ends
        if not character.isprintable():
            assert character not in text


def test_markup_is_no_markup() -> None:
    call = CallRow("c", "[bold]x[/bold]", "[/nope]", "[red]1", [PartyRow("[b]", "[i]", "[u]x")])
    report = StatusReport(version="1", pid=1, uptime=1.0, calls=[call])
    assert "[bold]x[/bold]" in plain(report)
    assert "[/nope]" in plain(report)


def test_printable_cuts_what_is_too_long() -> None:
    assert printable("x" * 300) == "x" * 199 + "…"
    assert printable("ä\x07\u2028\U000e0001") == "ä\\x07\\u2028\\U000e0001"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (245, "4:05"), (10800, "3:00:00"), (12 * 86400 + 61, "12 d 0:01:01"), (-3, "0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_milliseconds() -> None:
    assert [milliseconds(value) for value in (None, 0.04, 9.96, 120.4)] == ["", "0.0 ms", "10.0 ms", "120 ms"]


def test_status_as_json(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")
    asked: list[dict[str, Any]] = []

    def answer(args: dict[str, Any]) -> StatusReport:
        asked.append(args)
        return REPORT

    with switch(config, status=answer):
        result = CliRunner().invoke(app, ["status", "--config", str(config), "--json", "--rows", "5"])
        CliRunner().invoke(app, ["status", "--config", str(config), "--json"])
        CliRunner().invoke(app, ["status", "--config", str(config)])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["calls"][0]["caller"] == "101"
    assert asked == [{"limit": 5}, {"limit": 1000}, {"limit": 40}]


def test_status_as_tables(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")
    with switch(config, status=lambda _args: REPORT):
        result = CliRunner().invoke(app, ["status", "--config", str(config)])
    assert result.exit_code == 0
    assert "process 4711" in result.stdout


def test_no_switch_is_one_line(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")
    result = CliRunner().invoke(app, ["status", "--config", str(config)])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "no switch is running" in result.stderr


def test_reload_done(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")
    with switch(config, reload=lambda _args: {"notes": ["sip.listen changed: takes effect at the next start"]}):
        result = CliRunner().invoke(app, ["reload", "--config", str(config)])
    assert result.exit_code == 0
    assert result.stdout == "reloaded\nsip.listen changed: takes effect at the next start\n"


def test_reload_refused_prints_each_place_and_exits_2(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")

    def refuse(_args: dict[str, Any]) -> None:
        raise ControlRefused("configuration not loaded", ("a.yaml:7:3: x: unknown key", "a.yaml:9:1: y: missing"))

    with switch(config, reload=refuse):
        result = CliRunner().invoke(app, ["reload", "--config", str(config)])
    assert result.exit_code == 2
    assert result.stderr == "configuration not loaded\na.yaml:7:3: x: unknown key\na.yaml:9:1: y: missing\n"


def test_the_socket_is_found_where_the_configuration_says(tmp_path: Path) -> None:
    config = configure(tmp_path / "config", "server: {state_directory: state}\n")
    assert control_socket(config) == (config / "state" / "control.sock").absolute()


def test_the_socket_is_found_while_the_configuration_is_broken(tmp_path: Path) -> None:
    config = configure(tmp_path / "config", "server: {state_directory: state, nonsense: 1}\n")
    (config / "trunks.yaml").write_text("trunks: {a: [\n")
    assert control_socket(config) == (config / "state" / "control.sock").absolute()


def test_the_socket_is_sought_in_the_default_place_where_nothing_can_be_read(tmp_path: Path) -> None:
    config = configure(tmp_path / "config", "server: [\n")
    assert control_socket(config) == (config / "var" / "control.sock").absolute()
    config = configure(tmp_path / "config", "server: {state_directory: [1]}\n")
    assert control_socket(config) == (config / "var" / "control.sock").absolute()


# ---- softswitch record


def test_record_tells_the_switch_what_to_do(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")
    asked: list[dict[str, Any]] = []

    def handler(args: dict[str, Any]) -> Any:
        asked.append(args)
        return {"contact": "c1\x1b[31m"}

    with switch(config, record=handler):
        done = CliRunner().invoke(app, ["record", "pause", "101", "--config", str(config)])
    assert (done.exit_code, asked) == (0, [{"action": "pause", "call": "101"}])
    assert done.stdout.startswith("recording paused: silence is written: call c1")
    assert "\x1b" not in done.stdout


def test_record_says_why_it_was_refused(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")

    def handler(_args: dict[str, Any]) -> Any:
        raise ControlRefused("this call is not recorded")

    with switch(config, record=handler):
        refused = CliRunner().invoke(app, ["record", "stop", "c1", "--config", str(config)])
    assert (refused.exit_code, refused.stderr) == (1, "this call is not recorded\n")


def test_record_takes_four_words(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")
    assert CliRunner().invoke(app, ["record", "erase", "c1", "--config", str(config)]).exit_code == 2


# ---- wrong directories


@pytest.mark.parametrize(
    "words", [["status"], ["reload"], ["record", "start", "101"], ["feature", "101"], ["mwi", "101", "1"]]
)
def test_a_directory_that_is_not_there_is_named(tmp_path: Path, words: list[str]) -> None:
    done = CliRunner().invoke(app, [*words, "--config", str(tmp_path / "nowhere")])
    assert done.exit_code == 1
    assert done.stderr == (
        f"there is no configuration directory {tmp_path / 'nowhere'}: expected --config DIR, that of the switch\n"
    )


def said_by(done: Any) -> str:
    """The error, without the box that is drawn around it."""
    return " ".join(done.stderr.replace("\u2502", " ").split())


# ---- softswitch feature


def test_feature_sets_and_shows(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")
    asked: list[dict[str, Any]] = []

    def handler(args: dict[str, Any]) -> Any:
        asked.append(args)
        return {"forward_busy": "102", "dnd": "on"} if args["extension"] == "101" else {}

    with switch(config, feature=handler):
        done = CliRunner().invoke(app, ["feature", "101", "dnd", "on", "--config", str(config)])
        shown = CliRunner().invoke(app, ["feature", "102", "--config", str(config)])
        half = CliRunner().invoke(app, ["feature", "101", "dnd", "--config", str(config)])
    assert asked == [{"extension": "101", "feature": "dnd", "value": "on"}, {"extension": "102"}]
    assert (done.exit_code, done.stdout) == (0, "dnd on\nforward_busy 102\n")
    assert (shown.exit_code, shown.stdout) == (0, "102: nothing set, the configuration counts\n")
    assert half.exit_code == 2
    assert "expected a VALUE after 'dnd'" in said_by(half)


def test_a_value_below_zero_reaches_the_switch_which_knows_what_is_right(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")
    with switch(config, feature=lambda args: {args["feature"]: args["value"]}):
        done = CliRunner().invoke(app, ["feature", "101", "no_answer_after", "-5", "--config", str(config)])
    assert (done.exit_code, done.stdout) == (0, "no_answer_after -5\n")


def test_feature_says_why_it_was_refused(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")

    def handler(_args: dict[str, Any]) -> Any:
        raise ControlRefused("there is no extension '199'")

    with switch(config, feature=handler):
        refused = CliRunner().invoke(app, ["feature", "199", "dnd", "on", "--config", str(config)])
    assert (refused.exit_code, refused.stderr) == (1, "there is no extension '199'\n")


# ---- softswitch mwi


def test_mwi_tells_the_switch(tmp_path: Path) -> None:
    config = configure(tmp_path / "config")
    asked: list[dict[str, Any]] = []

    def handler(args: dict[str, Any]) -> Any:
        asked.append(args)
        if args["extension"] != "101":
            raise ControlRefused("there is no extension '199'")
        return {}

    with switch(config, mwi=handler):
        done = CliRunner().invoke(app, ["mwi", "101", "2", "5", "--config", str(config)])
        out = CliRunner().invoke(app, ["mwi", "101", "0", "--config", str(config)])
        refused = CliRunner().invoke(app, ["mwi", "199", "1", "--config", str(config)])
        bad = CliRunner().invoke(app, ["mwi", "101", "many", "--config", str(config)])
    assert asked[:2] == [{"extension": "101", "new": 2, "old": 5}, {"extension": "101", "new": 0, "old": 0}]
    assert (done.exit_code, done.stdout) == (0, "101: 2 new, 5 old\n")
    assert out.exit_code == 0
    assert (refused.exit_code, refused.stderr) == (1, "there is no extension '199'\n")
    assert bad.exit_code == 2


@pytest.mark.parametrize("count", ["-1", "many", "1.5", "10000", "٣", "", "--new"])
@pytest.mark.parametrize("name", ["NEW", "OLD"])
def test_mwi_refuses_what_is_no_number_of_messages(tmp_path: Path, count: str, name: str) -> None:
    config = configure(tmp_path / "config")
    words = [count] if name == "NEW" else ["1", count]
    refused = CliRunner().invoke(app, ["mwi", "101", *words, "--config", str(config)])
    assert refused.exit_code == 2
    wanted = f"Invalid value for '{name.lower()}': expected a whole number from 0 to 9999 instead of {count!r}"
    assert wanted in said_by(refused)

"""`softswitch check`: summary, warnings, routes explained, exit codes. Broken configurations: test_settings_broken."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from acd.engine import Engine
from acd.inputs import Configure, Enqueue
from acd.journal import encode
from softswitch.acd_wiring import acd_config
from softswitch.cli import make_app
from softswitch.settings.loader import load

CONFIG = """
sip: {listen: ["udp:[::1]:5070", "tcp:127.0.0.1:5070"]}
extensions:
  101-103: {}
  "104": {password: made-up-here}
trunks:
  out: {gateways: [192.0.2.1]}
dialplan:
  internal:
    include: outside
    routes:
      - name: extensions
        to: _1XX
        dial: "{number}"
        ring_timeout: 20s
        on_busy: {dial: ["102", "103"], on_no_answer: {reject: busy}}
      - {name: echo test, to: "*43", answer_and_echo: true}
  outside:
    routes:
      - {to: _0., from: "101", strip: 1, dial: {trunk: out}}
      - {did: "7", goto: internal}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "softswitch.yaml").write_text(CONFIG)
    return tmp_path


def check(directory: Path, *options: str) -> Result:
    return CliRunner().invoke(make_app(), ["check", "--config", str(directory), *options])


def test_a_valid_configuration_is_summed_up(directory: Path) -> None:
    result = check(directory)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        f"{directory}: valid",
        "  4 extensions, 1 trunk, 2 contexts with 4 routes",
        "  SIP on udp:[::1]:5070, tcp:127.0.0.1:5070; RTP on UDP ports 10000-10127",
        "  3 extensions without a password: the next start or reload makes them",
    ]


def test_warnings_do_not_fail_the_check(directory: Path) -> None:
    (directory / "more.yaml").write_text("dialplan:\n  spare: {}\n")
    result = check(directory)
    assert result.exit_code == 0
    place = f"{directory}/more.yaml:2:3: dialplan.spare"
    assert result.stderr == f"{place}: never used: no extension, trunk, include or goto leads here (warning)\n"


def test_a_route_is_explained(directory: Path) -> None:
    result = check(directory, "--route", "internal:0301", "--from", "102")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "   internal: extensions: to '_1XX' does not match '0301'",
        "   internal: echo test: to '*43' does not match '0301'",
        "   outside: outside/1: from '101' does not match '102'",
        "   outside: outside/2: did '7' does not match a call that came from no trunk",
        "   internal: no route matches",
        "reject: cause 3 (NO_ROUTE_TO_DESTINATION), SIP status 404",
    ]


def test_decisions_are_told_with_their_fallbacks(directory: Path) -> None:
    assert check(directory, "--route", "internal:0301", "--from", "101").stdout.splitlines()[-2:] == [
        "-> outside: outside/1: to '_0.' matches '0301', rewritten to '301'",
        "dial '301' through trunk 'out'",
    ]
    assert check(directory, "--route", "internal:101", "--did", "7").stdout.splitlines()[1:] == [
        "dial extension '101', ringing at most 20 s",
        "  when busy: dial extension '102', extension '103' in parallel",
        "    when no answer: reject: cause 17 (USER_BUSY), SIP status 486",
    ]
    assert check(directory, "--route", "internal:*43").stdout.splitlines()[-1] == "answer and echo"


REWRITTEN = """
extensions: {"110": {may_call: []}}
trunks:
  e164: {gateways: [192.0.2.9], rewrite: {dialled_out: [{match: '0([1-9].*)', replace: '+49\\1'}]}}
"""


def test_numbers_made_international_by_rewriting_are_a_warning(directory: Path) -> None:
    (directory / "more.yaml").write_text(REWRITTEN)
    told = check(directory).stderr
    assert told.startswith(f"{directory}/more.yaml:4:")
    assert "trunks.e164.rewrite.dialled_out[0]: numbers rewritten to '+49' are international, and barred" in told
    (directory / "home.yaml").write_text("barring: {home: '+49'}\n")
    assert check(directory).stderr == ""


SECURE = """
extensions:
  "101": {srtp: required}
  "102": {srtp: optional}
  "103": {srtp: optional, srtp_over_insecure_signalling: true}
  "105": {srtp_over_insecure_signalling: true}
trunks:
  secure: {gateways: [192.0.2.1], srtp: required, srtp_over_insecure_signalling: true}
"""


def test_srtp_keys_in_the_clear_are_a_warning(directory: Path) -> None:
    (directory / "more.yaml").write_text(SECURE)
    result = check(directory)
    assert result.exit_code == 0
    told = [line.removeprefix(f"{directory}/more.yaml:") for line in result.stderr.splitlines()]
    assert [line.split(":")[0] for line in told] == ["3", "4", "5", "8"]
    assert "extensions.101.srtp: every call is refused: SRTP keys need TLS signalling" in told[0]
    assert "extensions.102.srtp: no call is encrypted" in told[1]
    assert all("srtp_over_insecure_signalling: SRTP keys are sent over UDP or TCP" in line for line in told[2:])


def test_what_is_barred_for_whom_is_told(directory: Path) -> None:
    (directory / "more.yaml").write_text(
        """
barring: {home: "+49"}
dialplan:
  abroad:
    routes:
      - {to: "_0.", dial: [{trunk: out}, {trunk: prefixed}], on_busy: {dial: {trunk: out}, allow: international}}
extensions:
  "110": {context: abroad, may_call: international}
trunks:
  prefixed: {gateways: [192.0.2.9], rewrite: {dialled_out: [{match: '0([1-9].*)', replace: '+44\\1'}]}}
"""
    )
    bars = [line for line in check(directory, "--route", "abroad:0044123").stdout.splitlines() if "barred" in line]
    assert bars == [
        "  barred through trunk 'out' for whoever has no such 'may_call': class 'international'",
        "  barred through trunk 'prefixed' for whoever has no such 'may_call': class 'international'",
    ]
    told = check(directory, "--route", "abroad:0301", "--from", "101").stdout
    assert "  barred through trunk 'prefixed' for extension 101: class 'international'\n" in told
    assert "trunk 'out' for" not in told
    for number, caller in (("0044123", "110"), ("004930", "101")):
        assert "barred" not in check(directory, "--route", f"abroad:{number}", "--from", caller).stdout


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ("internal", "--route 'internal': expected CONTEXT:NUMBER, such as internal:101"),
        ("intrnal:1", "--route 'intrnal:1': unknown context 'intrnal': did you mean 'internal'?"),
    ],
)
def test_a_route_that_can_not_be_asked_for(directory: Path, route: str, message: str) -> None:
    result = check(directory, "--route", route)
    assert (result.exit_code, result.stderr, result.stdout) == (2, message + "\n", "")


def test_control_characters_of_a_number_are_inert(directory: Path) -> None:
    result = check(directory, "--route", "internal:1\x1b[31m\n")
    assert "\x1b" not in result.stdout
    assert r"'1\x1b[31m\n'" in result.stdout


def test_help_does_not_load_what_it_does_not_need() -> None:
    """`softswitch --help` is quick: no settings, no event loop, no numbers library."""
    program = "import sys, softswitch.cli as c; c.make_app(); print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "typer" in modules
    assert not {"pydantic", "ruamel.yaml", "numpy", "uvloop", "sqlalchemy", "structlog"} & set(modules)


def test_all_commands_are_there() -> None:
    names = [command.name for command in make_app().registered_commands]
    assert {"serve", "check", "init", "schema", "reload", "status", "load"} <= set(names)


QUEUES = """
agents:
  ann: {telephone: "101", skills: {es: 80}}
queues:
  spanish: {needs: es>=60}
skills: {es: Spanish}
"""


@pytest.fixture
def at_work(directory: Path) -> Path:
    """A journal of a contact centre by these rules, in which somebody waits."""
    (directory / "softswitch.yaml").write_text(CONFIG + QUEUES)
    engine = Engine()
    made = [
        *engine.handle(Configure(acd_config(load(directory).settings)), 0.0).records,
        *engine.handle(Enqueue("c1", "spanish"), 60.0).records,
    ]
    journal = directory / "journal"
    journal.write_bytes(b"".join(map(encode, made)))
    return journal


def test_whom_changed_queues_would_affect_is_told(directory: Path, at_work: Path) -> None:
    at = datetime.fromtimestamp(60.0).strftime("%Y-%m-%d %H:%M:%S")
    same = check(directory, "--journal", str(at_work))
    assert same.stdout.splitlines()[-1] == f"  agents and queues are as in {at_work} at {at}"
    (directory / "softswitch.yaml").write_text(CONFIG + QUEUES.replace("es: 80", "es: 50"))
    told = check(directory, "--journal", str(at_work))
    assert told.exit_code == 0
    assert told.stdout.splitlines()[-3:] == [
        f"  changes for the contact centre as it is in {at_work} at {at}:",
        "    agent ann: skills es 80 -> 50",
        "    queue spanish: of 1 contact waiting 1 loses agents who may have them (1 all of them)",
    ]


def test_a_journal_that_can_not_be_read_is_told(directory: Path) -> None:
    result = check(directory, "--journal", str(directory / "none"))
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"journal {directory / 'none'}: No such file or directory"

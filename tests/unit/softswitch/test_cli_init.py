"""`softswitch init`: complete, valid, private, and never over somebody's work."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from softswitch.cli import make_app
from softswitch.dialplan.decision import Dial, Echo, ExtensionTarget, Reject, TrunkTarget
from softswitch.dialplan.routing import Dialplan
from softswitch.settings.fields import Listen
from softswitch.settings.loader import Loaded, load
from softswitch.settings.schema import schema_text


def init(directory: Path, *options: str) -> Result:
    return CliRunner().invoke(make_app(), ["init", str(directory), *options])


def made(directory: Path, *options: str) -> Loaded:
    result = init(directory, *options)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return load(directory)


def test_the_result_passes_check_without_warnings(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "etc"
    assert made(directory, "--extensions", "25").warnings == []
    result = CliRunner().invoke(make_app(), ["check", "--config", str(directory)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "25 extensions" in result.stdout
    assert "without a password" not in result.stdout
    assert (directory / "schema/softswitch.json").read_text() == schema_text()


def test_a_load_tester_is_not_limited_by_its_one_address(tmp_path: Path) -> None:
    assert made(tmp_path / "c").settings.sip.limits.requests_per_source is None
    assert "before strangers can reach" in (tmp_path / "c" / "softswitch.yaml").read_text()


@pytest.mark.parametrize(("count", "first", "last"), [(1, "101", "101"), (99, "101", "199"), (100, "1001", "1100")])
def test_extensions_are_numbered_without_gaps(tmp_path: Path, count: int, first: str, last: str) -> None:
    settings = made(tmp_path / "c", "--extensions", str(count)).settings
    assert (len(settings.extensions), min(settings.extensions), max(settings.extensions)) == (count, first, last)
    plan = Dialplan(settings.dialplan, settings.extensions)
    for number in (first, last):
        assert plan.route("internal", number) == Dial((ExtensionTarget(number),), route="extensions")
    assert plan.route("internal", "*43") == Echo("echo test")


def test_passwords_are_random_and_private(tmp_path: Path) -> None:
    one, two = made(tmp_path / "one").settings, made(tmp_path / "two").settings
    passwords = [
        extension.password.get_secret_value()
        for settings in (one, two)
        for extension in settings.extensions.values()
        if extension.password is not None
    ]
    assert len(set(passwords)) == 20
    for name in ("secrets.yaml", "sipp-users.csv"):
        assert stat.S_IMODE((tmp_path / "one" / name).stat().st_mode) == 0o600
        assert name in (tmp_path / "one" / ".gitignore").read_text().split()


def test_sipp_users_are_in_the_injection_form(tmp_path: Path) -> None:
    """SIPp -inf: a line SEQUENTIAL, then fields between semicolons; [field1] holds the digest keyword."""
    settings = made(tmp_path / "c", "--extensions", "2", "--sip", "192.0.2.5:5070").settings
    lines = (tmp_path / "c" / "sipp-users.csv").read_text().split("\n")
    expected = []
    for number in ("101", "102"):
        password = settings.extensions[number].password
        assert password is not None
        secret = password.get_secret_value()
        expected.append(f"{number};[authentication username={number} password={secret}];192.0.2.5")
    assert lines == ["SEQUENTIAL", *expected, ""]


@pytest.mark.parametrize(
    ("sip", "listen", "domain"),
    [
        ("127.0.0.1:5070", ("127.0.0.1", 5070), "127.0.0.1"),
        ("0.0.0.0:5060", ("0.0.0.0", 5060), "127.0.0.1"),
        ("192.0.2.1", ("192.0.2.1", 5060), "192.0.2.1"),
        ("[::]:5061", ("::", 5061), "[::1]"),
        ("[2001:db8::1]:5060", ("2001:db8::1", 5060), "[2001:db8::1]"),
    ],
)
def test_where_to_listen(tmp_path: Path, sip: str, listen: tuple[str, int], domain: str) -> None:
    settings = made(tmp_path / "c", "--sip", sip, "--rtp-ports", "20000-20099").settings
    assert settings.sip.listen == (Listen("udp", *listen), Listen("tcp", *listen))
    assert settings.media.rtp_ports == (20000, 20099)
    assert (tmp_path / "c" / "sipp-users.csv").read_text().splitlines()[1].endswith(";" + domain)


def test_trunks_are_matched_by_address_and_routes_go_through_another(tmp_path: Path) -> None:
    settings = made(
        tmp_path / "c",
        *(
            "--trunk",
            "127.0.9.0/24",
            "--trunk",
            "127.0.0.1:5099",
            "--trunk",
            "[2001:db8::1]:5060",
            "--trunk",
            "192.0.2.7",
        ),
        *("--route", "_9.=127.0.0.1:5090", "--route", "regex:8[0-9]+=127.0.0.1:5090", "--route", "_7X=[::1]:5091"),
    ).settings
    peers = settings.trunks["peers"]
    assert peers.inbound is not None
    assert peers.inbound.username is None
    assert [str(rule) for rule in peers.inbound.addresses] == [
        "127.0.9.0/24",
        "127.0.0.1:5099",
        "[2001:db8::1]:5060",
        "192.0.2.7",
    ]
    plan = Dialplan(settings.dialplan, settings.extensions)
    for context in ("internal", peers.context or ""):
        targets = [getattr(plan.route(context, number), "targets", None) for number in ("9123", "85", "71", "105")]
        assert targets == [
            (TrunkTarget("outside", "9123"),),
            (TrunkTarget("outside", "85"),),
            (TrunkTarget("outside-2", "71"),),
            (ExtensionTarget("105"),),
        ]
        assert isinstance(plan.route(context, "6"), Reject)
    gateways = [
        (trunk.gateways[0].host, trunk.gateways[0].port) for trunk in settings.trunks.values() if trunk.gateways
    ]
    assert gateways == [("127.0.0.1", 5090), ("::1", 5091)]


def test_without_trunks_nobody_calls_without_a_password(tmp_path: Path) -> None:
    settings = made(tmp_path / "c", "--route", "_9.=127.0.0.1:5090").settings
    assert [trunk.inbound for trunk in settings.trunks.values()] == [None]
    assert made(tmp_path / "d").settings.trunks == {}


def test_a_regex_with_quotes_and_backslashes_survives(tmp_path: Path) -> None:
    pattern = r'regex:\+49["\d]{3}=?'
    settings = made(tmp_path / "c", "--route", f"{pattern}=192.0.2.1:5060").settings
    assert settings.dialplan["internal"].routes[0].to == (pattern,)


def test_nothing_is_overwritten_unless_forced(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    made(directory)
    before = {path: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    result = init(directory)
    assert result.exit_code == 2
    assert result.stderr == f"{directory}/.gitignore is there already: --force overwrites it, passwords too\n"
    assert {path: path.read_bytes() for path in directory.iterdir() if path.is_file()} == before
    assert init(directory, "--force", "--extensions", "3").exit_code == 0
    assert len(load(directory).settings.extensions) == 3


def test_a_directory_with_another_configuration_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("sip: {realm: mine}\n")
    result = init(tmp_path)
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [tmp_path / "mine.yaml"])
    assert "mine.yaml is there already" in result.stderr


def test_forced_into_another_configuration_the_clash_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extensions: {102-103: {}}\n")
    result = init(tmp_path, "--force")
    assert result.exit_code == 2
    assert f"{tmp_path}/mine.yaml:1:14: extensions.102-103: overlaps the range '101-110'" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--extensions", "0"], "--extensions 0: expected 1 to 19999"),
        (["--extensions", "ten"], "--extensions 'ten': expected a whole number"),
        (["--extensions", "20000"], "--extensions 20000: expected 1 to 19999"),
        (["--sip", "example.com:5060"], "--sip 'example.com:5060': expected ADDRESS or ADDRESS:PORT"),
        (["--sip", "127.0.0.1:99999"], "--sip '127.0.0.1:99999': expected ADDRESS or ADDRESS:PORT"),
        (["--rtp-ports", "10000"], "--rtp-ports: bad port range '10000': expected 'LOW-HIGH'"),
        (["--trunk", "192.0.2.1/24"], "--trunk '192.0.2.1/24': bad address"),
        (["--trunk", "sip.example.com"], "--trunk 'sip.example.com': bad address"),
        (["--route", "_9."], "--route '_9.': expected PATTERN=ADDRESS:PORT"),
        (["--route", "9XX=192.0.2.1"], "--route '9XX=192.0.2.1': '9XX' is taken literally: expected '_9XX'"),
        (["--route", "_9.=192.0.2.1:x"], "--route '_9.=192.0.2.1:x': bad port 'x'"),
    ],
)
def test_bad_answers_are_one_clear_line_and_nothing_is_written(
    tmp_path: Path, options: list[str], message: str
) -> None:
    result = init(tmp_path / "c", *options)
    assert result.exit_code == 2
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "c").exists()


def test_a_directory_that_can_not_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = init(tmp_path / "file" / "c")
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert "Not a directory" in result.stderr


def test_it_says_how_to_connect_phones_and_sipp(tmp_path: Path) -> None:
    result = init(tmp_path / "c", "--sip", "192.0.2.5:5070", "--trunk", "192.0.2.9", "--route", "_9.=192.0.2.8:5062")
    password = re.search(r'"101": "(.+)"', (tmp_path / "c" / "secrets.yaml").read_text())
    assert password is not None
    for expected in (
        "MicroSIP",
        "Linphone",
        f"<sip:101@192.0.2.5:5070>;auth_user=101;auth_pass={password[1]}",
        "[field0] is the user name, [field1] the",
        "[field2] the domain",
        "Calls from 192.0.2.9 need no password",
        "Numbers like _9. go to 192.0.2.8:5062.",
    ):
        assert expected in result.stdout

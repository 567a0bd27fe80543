"""Loading: files merged, ranges and defaults filled in, secrets in their places, warnings, paths, speed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from softswitch.settings.fields import Listen
from softswitch.settings.loader import ConfigError, Loaded, load
from softswitch.settings.yaml_tree import Problem
from tests import shipped

PLAN = "dialplan:\n  internal:\n    routes:\n      - {to: _XXX, dial: '{number}'}\n"


def loaded(directory: Path, **files: str) -> Loaded:
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return load(directory)


def problems(directory: Path, **files: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        loaded(directory, **files)
    return caught.value.problems


def test_the_default_configuration_is_valid_and_has_no_warnings() -> None:
    """Ten extensions 101-110 in context internal, an echo test at *43, no password."""
    result = load(shipped.CONFIG)
    settings = result.settings
    assert result.warnings == []
    assert list(settings.extensions) == [str(number) for number in range(101, 111)]
    assert {extension.context for extension in settings.extensions.values()} == {"internal"}
    assert settings.sip.listen == (Listen("udp", "0.0.0.0", 5060), Listen("tcp", "0.0.0.0", 5060))
    assert settings.media.silence_hangup == 60.0
    assert settings.media.hold_silence is None
    assert settings.trunks == {}
    assert list(settings.dialplan) == ["internal"]


def test_the_default_configuration_holds_no_password() -> None:
    for path in shipped.CONFIG.glob("*.yaml"):
        lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
        assert "password" not in "\n".join(lines)


def test_sections_are_spread_over_files_and_merged(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        a="extensions: {'101': {}}\nsip: {realm: one}\n",
        b="extensions: {'102': {}}\nmedia: {shared_ports: 8}\n",
        c="dialplan: {internal: {routes: []}}\n",
        d="dialplan: {other: {include: internal}}\nsip: {max_forwards: 50}\n",
    ).settings
    assert list(settings.extensions) == ["101", "102"]
    assert (settings.sip.realm, settings.sip.max_forwards, settings.media.shared_ports) == ("one", 50, 8)
    assert list(settings.dialplan) == ["internal", "other"]


def test_ranges_defaults_and_single_numbers_overlay_each_other(tmp_path: Path) -> None:
    text = """
defaults:
  extension: {ring_timeout: 15s, forward: {busy: "101"}, codecs: [PCMU]}
extensions:
  101-103:
    name: Phone {number}
    forward: {no_answer: "101"}
  "102": {name: Reception, forward: {busy: "103"}}
  0099-0100: {}
"""
    settings = loaded(tmp_path, a=text + PLAN).settings
    extensions = settings.extensions
    assert sorted(extensions) == ["0099", "0100", "101", "102", "103"]
    assert [extensions[number].name for number in ("101", "102", "103")] == ["Phone 101", "Reception", "Phone 103"]
    assert extensions["101"].ring_timeout == 15.0
    assert (extensions["101"].forward.busy, extensions["101"].forward.no_answer) == ("101", "101")
    assert (extensions["102"].forward.busy, extensions["102"].forward.no_answer) == ("103", "101")
    assert extensions["0099"].codecs == ("PCMU",)


def test_unquoted_numbers_keep_their_digits(tmp_path: Path) -> None:
    text = "extensions:\n  0101: {name: 007, password: 00123456}\n"
    extension = loaded(tmp_path, a=text + PLAN).settings.extensions["0101"]
    assert (extension.number, extension.name) == ("0101", "007")
    assert extension.password is not None
    assert extension.password.get_secret_value() == "00123456"


def test_yaml_merge_keys_make_templates(tmp_path: Path) -> None:
    text = "x-desk: &desk {max_contacts: 2, nat: yes}\nextensions:\n  '101': {<<: *desk, name: One}\n"
    extension = loaded(tmp_path, a=text + PLAN).settings.extensions["101"]
    assert (extension.max_contacts, extension.nat, extension.name) == (2, "yes", "One")


def test_secrets_of_extensions_and_trunks(tmp_path: Path) -> None:
    text = """
extensions: {"101": {}, "102": {password: "inline-one"}}
trunks:
  out: {gateways: [192.0.2.1], account: {username: me}}
  both:
    context: internal
    gateways: [192.0.2.2]
    account: {username: us}
    inbound: {username: them}
"""
    secrets = """
secrets:
  extensions: {"101": "secret-101", "999": "left-over"}
  trunks: {out: secret-out, both: {account: secret-us, inbound: secret-them}}
"""
    settings = loaded(tmp_path, a=text + PLAN, secrets=secrets).settings
    out, both = settings.trunks["out"], settings.trunks["both"]
    assert out.account is not None
    assert both.account is not None
    assert both.inbound is not None
    found = [
        settings.extensions["101"].password,
        settings.extensions["102"].password,
        out.account.password,
        both.account.password,
        both.inbound.password,
    ]
    values = ["secret-101", "inline-one", "secret-out", "secret-us", "secret-them"]
    assert [secret.get_secret_value() for secret in found if secret is not None] == values
    for value in values:
        assert value not in repr(settings)
        assert value not in str(settings.extensions)


def test_pins_of_conferences(tmp_path: Path) -> None:
    """In secrets.yaml, for rooms with settings and without."""
    text = """
conferences: {board: {wait_for_host: true}, plain: , inline: {pin: "1357"}}
"""
    secrets = """
secrets: {conferences: {board: {pin: "4711", host_pin: "0815"}, plain: "2468", inline: {host_pin: "9753"}, gone: "111"}}
"""
    rooms = loaded(tmp_path, a=text + PLAN, secrets=secrets).settings.conferences
    found = {
        name: tuple(None if pin is None else pin.get_secret_value() for pin in (room.pin, room.host_pin))
        for name, room in rooms.items()
    }
    assert found == {"board": ("4711", "0815"), "plain": ("2468", None), "inline": ("1357", "9753")}
    assert "4711" not in repr(rooms)


def test_secrets_that_others_may_read_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    path.write_text("secrets: {extensions: {}}\n")
    path.chmod(0o640)
    assert [warning.message for warning in loaded(tmp_path, a=PLAN + "extensions: {'101': {}}").warnings] == [
        "others may read the passwords: expected mode 0600 instead of 0640"
    ]
    path.chmod(0o600)
    assert load(tmp_path).warnings == []


def test_unreachable_routes_are_warned_of(tmp_path: Path) -> None:
    text = """extensions: {"101": {}}
dialplan:
  internal:
    routes:
      - {name: inner, to: _1XX, dial: "{number}"}
      - {to: "101", dial: "101"}
      - {to: "_1[2-4]X", from: "101", dial: "{number}"}
      - {to: [_2X, _1ZX], dial: "{number}"}
      - {to: ["regex:0.*", _0.], reject: busy}
      - {to: "regex:0.*", reject: busy}
      - {name: rest, reject: unallocated}
      - {to: "999", reject: busy}
"""
    warnings = loaded(tmp_path, a=text).warnings
    assert [(warning.mark.line, warning.key) for warning in warnings] == [
        (6, "dialplan.internal.routes[1]"),
        (7, "dialplan.internal.routes[2]"),
        (10, "dialplan.internal.routes[5]"),
        (12, "dialplan.internal.routes[7]"),
    ]
    assert "'inner' at" in warnings[0].message
    assert "'rest' at" in warnings[3].message


def test_unused_contexts_and_dead_forwards_are_warned_of(tmp_path: Path) -> None:
    text = """extensions:
  101-102: {forward: {busy: "555", no_answer: "101"}}
dialplan:
  internal: {include: used}
  used:
    routes:
      - {to: _1XX, dial: "{number}", on_busy: {goto: fallback}}
  fallback: {}
  nobody: {}
"""
    warnings = loaded(tmp_path, a=text).warnings
    assert [(warning.mark.line, warning.mark.column, warning.message) for warning in warnings] == [
        (9, 3, "never used: no extension, trunk, include or goto leads here"),
        (2, 29, "'555' leads nowhere in context 'internal': no route matches"),
    ]


def test_a_misspelt_conference_is_one_that_all_may_enter(tmp_path: Path) -> None:
    text = """extensions:
  "101": {}
conferences:
  board: {pin: "4711"}
ring_groups:
  sales: {members: "101", on_busy: {answer_and_conference: borad}}
dialplan:
  internal:
    routes:
      - {to: "1", answer_and_conference: bord}
      - {to: "2", dial: "101", on_busy: {dial: "101", on_no_answer: {answer_and_conference: boards}}}
      - {to: "3", answer_and_conference: board}
      - {to: "4", answer_and_conference: kitchen}
      - {to: "5", answer_and_conference: "board{number}"}
"""
    warnings = loaded(tmp_path, a=text).warnings
    assert {(warning.mark.line, warning.mark.column) for warning in warnings} == {(6, 60), (10, 42), (11, 93)}
    assert warnings[0].message == ("no conference 'bord' in 'conferences', so all may enter it: did you mean 'board'?")


def test_files_with_another_suffix_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "more.yml").write_text("sip: {}")
    warnings = loaded(tmp_path, a=PLAN + "extensions: {'101': {}}").warnings
    assert [str(warning) for warning in warnings] == [f"{tmp_path}/more.yml:1:1: not read: expected the name more.yaml"]


def test_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("etc").mkdir()
    server = loaded(Path("etc"), a=PLAN + "extensions: {'101': {}}").settings.server
    assert server.state_directory == tmp_path / "etc" / "var"
    assert server.database_url == f"sqlite+aiosqlite:///{tmp_path}/etc/var/softswitch.db"
    text = "server: {state_directory: /srv/switch, database_url: 'postgresql+asyncpg://db/switch'}\n"
    server = loaded(Path("etc"), b=text).settings.server
    assert server.state_directory == Path("/srv/switch")
    assert server.database_url == "postgresql+asyncpg://db/switch"


def test_a_missing_directory_and_an_empty_one(tmp_path: Path) -> None:
    assert "expected a configuration directory" in problems(tmp_path / "none")[0].message
    assert "no file named *.yaml" in problems(tmp_path)[0].message


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    assert [str(problem) for problem in problems(tmp_path)] == [f"{tmp_path}/a.yaml:1:1: can't be read: Is a directory"]


def test_an_error_in_a_range_is_told_once(tmp_path: Path) -> None:
    found = problems(tmp_path, a="extensions:\n  100-999: {codecs: [PCMX], context: nowhere}\n")
    assert [problem.key for problem in found] == ["extensions.100-999.codecs[0]", "extensions.100-999.context"]


def test_an_error_in_the_defaults_is_told_where_it_is_written(tmp_path: Path) -> None:
    found = problems(tmp_path, a="defaults:\n  extension: {ringtime: 5s}\nextensions: {'101': {}}\n" + PLAN)
    assert [(problem.mark.line, problem.key) for problem in found] == [(2, "defaults.extension.ringtime")]


def test_errors_of_all_sections_are_told_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        a="sip: {relm: x}\nextensions: {'101': {context: nowhere}}\n",
        b="trunks: [\n",
        c="dialplan: {internal: {routes: [{dial: '999'}, {to: 1XX, dial: '101'}]}}\n",
    )
    assert [problem.mark.file.rsplit("/", 1)[1] for problem in found] == ["a.yaml", "b.yaml", "c.yaml"]


def test_everything_of_a_trunk_is_read(tmp_path: Path) -> None:
    text = r"""
trunks:
  provider:
    context: internal
    inbound: {addresses: [203.0.113.0/24, "[2001:db8::1]:5070", 198.51.100.7:5062]}
    gateways:
      - sip.example.com
      - tcp:[2001:db8::5]:5080
      - {host: 192.0.2.9, port: 5061, transport: udp, priority: 2, weight: 50}
    account: {username: me, password: pw, realm: example.com}
    register: {registrar: sip.example.com:5070, expires: 10m, contact_user: line1}
    codecs: [alaw, G722]
    channels: 4
    caller_id: {trusted: true, send: p-asserted-identity, allowed: '\+49\d+', default_number: "+4930"}
    rewrite:
      dialled_in: [{match: '\+49(\d+)', replace: '0\1'}]
      caller_out: [{strip: 1, prepend: "+49"}]
    options_interval: none
    failover: [480, 500]
"""
    trunk = loaded(tmp_path, a=text + PLAN).settings.trunks["provider"]
    assert trunk.inbound is not None
    assert [str(rule) for rule in trunk.inbound.addresses] == [
        "203.0.113.0/24",
        "[2001:db8::1]:5070",
        "198.51.100.7:5062",
    ]
    assert [(gateway.host, gateway.port, gateway.transport) for gateway in trunk.gateways] == [
        ("sip.example.com", None, None),
        ("2001:db8::5", 5080, "tcp"),
        ("192.0.2.9", 5061, "udp"),
    ]
    assert trunk.register_ is not None
    assert (trunk.register_.registrar.host, trunk.register_.registrar.port) == ("sip.example.com", 5070)
    assert trunk.register_.expires == 600.0
    assert trunk.codecs == ("PCMA", "G722")
    assert trunk.options_interval is None
    assert trunk.rewrite.dialled_in[0].replace == r"0\1"


def test_settings_can_not_be_changed(tmp_path: Path) -> None:
    settings = loaded(tmp_path, a=PLAN + "extensions: {'101': {}}").settings
    with pytest.raises(ValueError, match="frozen"):
        settings.sip.realm = "other"  # type: ignore[misc]


def test_a_thousand_extensions_load_within_a_second_of_cpu(tmp_path: Path) -> None:
    secrets = "secrets:\n  extensions:\n" + "".join(f'    "{n}": "k7fmn-39qxa-{n}"\n' for n in range(1000, 2000))
    (tmp_path / "secrets.yaml").write_text(secrets)
    start = time.process_time()
    settings = loaded(tmp_path, a="extensions:\n  1000-1999: {name: 'Phone {number}'}\n" + PLAN).settings
    assert time.process_time() - start < 1.0
    assert len(settings.extensions) == 1000
    assert settings.extensions["1999"].password is not None


def test_a_class_of_service_stands_between_defaults_and_what_the_extension_says(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "classes:\n"
        "  office: {call_limit: 4, may_call: international, record: never}\n"
        "  lobby: {call_limit: 1, call_waiting: off, context: guests}\n"
        "  none: {}\n"
        "defaults: {extension: {call_limit: 9, minutes_per_day: 60, class: office}}\n"
        "extensions:\n"
        "  100-102: {record: always}\n"
        "  '101': {call_limit: 2}\n"
        "  '102': {class: lobby}\n"
        "  '103': {class: none}\n"
        "dialplan: {internal: {routes: []}, guests: {routes: []}}\n"
    )
    found = load(tmp_path).settings.extensions
    said = {
        number: (each.class_, each.call_limit, each.record, each.may_call, each.minutes_per_day, each.call_waiting)
        for number, each in found.items()
    }
    assert said == {
        "100": ("office", 4, "always", ("international",), 60.0, True),
        "101": ("office", 2, "always", ("international",), 60.0, True),
        "102": ("lobby", 1, "always", (), 60.0, False),
        "103": ("none", 9, None, (), 60.0, True),
    }
    assert found["102"].context == "guests"

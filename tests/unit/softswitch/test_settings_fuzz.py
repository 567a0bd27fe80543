"""Whatever stands in the files, loading ends in a configuration or in a ConfigError with places, never otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softswitch.dialplan.routing import Dialplan
from softswitch.settings.loader import ConfigError, load
from softswitch.settings.yaml_tree import Problem

SEEDS = [
    """
extensions: {101-103: {name: x, forward: {busy: '102'}}, '102': {codecs: [PCMA]}}
dialplan:
  internal: {routes: [{to: [_1XX, 'regex:a+'], dial: ['{number}', {trunk: t}], on_busy: {goto: b}}]}
  b: {}
trunks:
  t: {context: b, inbound: {addresses: [192.0.2.0/24]}, gateways: 'tcp:[::1]:5060', account: {username: u}}
secrets: {extensions: {'101': abcdefg}, trunks: {t: {account: pw}}}
sip: {listen: ['udp:[::]:5060'], timers: {t1: 500ms}}
media: {rtp_ports: 10000-10127}
""",
    """
skills: {es: Spanish, billing: }
teams: {t: {ageing: strict}}
agent_groups: {own: {team: t, administrators: anna}}
hours: {h: {zone: Europe/Berlin, open: {mon-fri: '08:00-18:00'}}}
defaults: {agent: {team: t}, queue: {team: t}}
agents: {anna: {skills: {es: 80}}, 101-103: {telephone: '{agent}', groups: own, wrap_up: {time: 5s}}}
queues:
  q: {needs: "es>=60 and (billing or not es)", relax: [{after: 5s, needs: >-}], exits: {'1': callback}}
  r: {hours: h, limits: [{when: length, reaches: 3, to: {queue: q}}], widen: [{after: 5s, groups: own}], groups: own}
""".replace(">-}", "'es\n    or billing'}"),
]
_KEYS = """
    sip media server extensions trunks dialplan defaults secrets x-a extension trunk 101 101-105 t internal routes
    include to from did dial goto reject on_busy number context inbound addresses gateways account register username
    password listen codecs forward busy replace regex with strip << name answer_and_echo rewrite dialled_in match
    skills agents queues hours teams agent_groups agent queue needs relax after limits when to telephone groups
"""
KEYS = st.sampled_from(_KEYS.split())
SCALARS = st.one_of(
    KEYS, st.sampled_from(["~", "", "yes", "12", "-1", "_1XX", "{number}", "10s", "192.0.2.1", "regex:(a+)+"])
)
VALUES: Any = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=25
)


def survives(directory: Path, data: bytes) -> None:
    (directory / "a.yaml").write_bytes(data)
    problems: list[Problem] = []
    try:
        loaded = load(directory)
        plan = Dialplan(loaded.settings.dialplan, loaded.settings.extensions)
        for context in loaded.settings.dialplan:
            plan.route(context, "101", "102", "103")
    except ConfigError as error:
        problems = error.problems
    for problem in problems:
        assert problem.mark.file == str(directory / "a.yaml")
        assert problem.mark.line >= 1
        assert problem.mark.column >= 1
        assert problem.message


def written(value: Any) -> str:
    """Flow-style YAML of a made-up value, unquoted where that is possible."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(inner) for inner in value) + "]"
    return f"'{value}'" if "{" in value else str(value)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


@given(st.dictionaries(KEYS, VALUES, max_size=6))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_made_up_structures(directory: Path, value: dict[str, Any]) -> None:
    survives(directory, written(value).encode())


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 700), st.binary(max_size=3)), min_size=1, max_size=4))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_files(directory: Path, seed: str, damages: list[tuple[int, bytes]]) -> None:
    data = seed.encode()
    for at, new in damages:
        at %= len(data)
        data = data[:at] + new + data[at + 1 :]
    survives(directory, data)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_random_bytes(directory: Path, data: bytes) -> None:
    survives(directory, data)


PIECES = [
    "a",
    "101",
    "sip",
    "'",
    '"',
    ":",
    ": ",
    "- ",
    "\t",
    "  ",
    " ",
    "\n",
    "\n  ",
    "\n    ",
    "[",
    "]",
    "{",
    "}",
    ",",
]
PIECES += ["#", " #", "*a", "&a ", "@", "%", "|", ">", "?", "!x", "\r", "\x85", "\u2028", "<<", "---", "..."]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_slips_of_syntax(directory: Path, pieces: list[str]) -> None:
    survives(directory, "".join(pieces).encode())

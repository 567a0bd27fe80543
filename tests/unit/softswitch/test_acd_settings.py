"""Agents, queues and what belongs to them: from the files to the rules that the ACD's engine runs by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from acd import config as c
from acd.engine import Engine
from acd.hours import is_open
from acd.inputs import Configure, Enqueue, SignIn
from softswitch.acd_wiring import acd_config
from softswitch.settings.loader import ConfigError, load

PHONES = """
extensions: {101-120: {}}
dialplan: {internal: {routes: [{to: _1XX, dial: '{number}'}]}}
"""


def read(tmp_path: Path, text: str) -> c.Config:
    (tmp_path / "a.yaml").write_text(PHONES + text)
    return acd_config(load(tmp_path).settings)


def errors(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return [str(each).partition("a.yaml:")[2] for each in caught.value.problems]


def test_a_small_site_writes_next_to_nothing(tmp_path: Path) -> None:
    config = read(tmp_path, "agents: {anna: }\nqueues: {support: }\n")
    assert config.teams == {"default": c.Team(name="default")}
    assert config.agents == {"anna": c.Agent(id="anna", team="default")}
    assert config.queues == {"support": c.Queue(name="support", team="default")}


def test_what_is_left_out_is_as_the_engine_has_it_by_default(tmp_path: Path) -> None:
    """The manual's defaults and the engine's are the same."""
    config = read(tmp_path, "queues: {q: {callback: {}, limits: [{when: no_agents, to: hangup}]}}\n")
    callback = config.queues["q"].callback
    assert callback == c.CallbackRules()
    assert config.queues["q"].limits == (c.Limit(of="no_agents", to=c.WayOut(kind="hangup")),)


def test_a_queue_with_everything(tmp_path: Path) -> None:
    text = """
skills: {lang.es: Spanish, billing: }
agent_groups: {own: , mixed: }
hours: {office: {open: {mon-fri: "08:00-18:00"}}, evening: {open: {mon-fri: "18:00-20:00"}}}
queues:
  other:
  support:
    needs: lang.es>=60 and billing
    relax: [{after: 30s, needs: lang.es>=60}, {after: 1m, needs: "", own_needs: false}]
    groups: own
    widen: [{after: 40s, groups: [mixed]}]
    strategy: ring_some
    ring_count: 3
    ring_time: 15s
    priority: 2
    vip: ["0301234"]
    vip_priority: 20
    direction: outbound
    wrap_up: {after: ring, ends: timeboxed_strict, time: 1m, extension: 0}
    affinity: 25s
    skip: 1m
    on_reject: not_responding
    limits:
      - {when: closed, to: {voicemail: "101"}, waiting: true}
      - {when: length, reaches: 20, to: callback}
      - {when: expected_wait, reaches: 5m, to: {number: "102"}, waiting: true}
      - {when: waited, reaches: 10m, to: {queue: other, keep_wait: false}}
    emptied_to: {ivr: menu}
    exits: {"1": {queue: other}, "#": hangup}
    return_within: 2m
    announcements:
      - {what: position, first: 10s, every: 1m}
      - {what: message, sound: please-hold}
    callback:
      first: customer
      attempts: 5
      retry: {busy: 1m, machine: none}
      ring_time: 25s
      per_number: 2
      patience: 2h
      hours: evening
    hours: office
    service_level: {share: 90%, within: 10s}
    short_abandon: 3s
"""
    assert read(tmp_path, text).queues["support"] == c.Queue(
        name="support",
        team="default",
        needs="lang.es>=60 and billing",
        relax=(c.Relax(after=30.0, needs="lang.es>=60"), c.Relax(after=60.0, needs="", own=False)),
        groups=("own",),
        widen=(c.Widen(after=40.0, groups=("mixed",)),),
        strategy="ring_some",
        ring_count=3,
        ring_seconds=15.0,
        priority=2.0,
        vip=("0301234",),
        vip_priority=20.0,
        direction="outbound",
        wrap_up=c.WrapUp(after="ring", ends="timeboxed_strict", seconds=60.0, extension=0.0),
        affinity=25.0,
        skip=60.0,
        on_reject="not_responding",
        limits=(
            c.Limit(of="closed", to=c.WayOut(kind="voicemail", name="101"), waiting=True),
            c.Limit(of="length", value=20.0, to=c.WayOut(kind="callback")),
            c.Limit(of="expected_wait", value=300.0, to=c.WayOut(kind="number", name="102"), waiting=True),
            c.Limit(of="waited", value=600.0, to=c.WayOut(kind="queue", name="other", keep_wait=False)),
        ),
        emptied_to=c.WayOut(kind="ivr", name="menu"),
        exits={"1": c.WayOut(kind="queue", name="other"), "#": c.WayOut(kind="hangup")},
        return_within=120.0,
        announcements=(
            c.Announcement(what="position", first=10.0, every=60.0),
            c.Announcement(what="message", sound="please-hold"),
        ),
        callback=c.CallbackRules(
            first="customer",
            attempts=5,
            retry={"busy": 60.0, "no_answer": 1800.0, "failed": 900.0},
            ring_seconds=25.0,
            per_number=2,
            patience=7200.0,
            hours="evening",
        ),
        hours="office",
        target_seconds=10.0,
        target_share=0.9,
        short_abandon=3.0,
    )


def test_no_field_of_the_rules_is_out_of_an_operators_reach(tmp_path: Path) -> None:
    """Whoever gives the engine's rules a new field gives it a key, too: the test above writes all of a queue's."""
    written = {name for name in c.Queue.__struct_fields__ if name not in ("name", "team")}
    defaults = c.Queue(name="support", team="default")
    test_a_queue_with_everything(tmp_path)
    queue = acd_config(load(tmp_path).settings).queues["support"]
    assert {name for name in written if getattr(queue, name) == getattr(defaults, name)} == set()


def test_an_agent_with_everything(tmp_path: Path) -> None:
    text = """
skills: {lang.es: }
teams: {north: {ageing: strict, window: 2h, misses: 3, sign_in_as: paused, pause_reasons: [lunch, training]}}
agent_groups: {own: {team: north, administrators: anna}}
queues: {support: {team: north}}
agents:
  anna:
    name: Anna
    team: north
    groups: own
    skills: {lang.es: 80}
    weights: {support: 2.5}
    mode: self
    wrap_up: {after: never}
    telephone: "101"
    direct_calls: free
"""
    config = read(tmp_path, text)
    assert config.agents["anna"] == c.Agent(
        id="anna",
        team="north",
        name="Anna",
        groups=("own",),
        skills={"lang.es": 80},
        weights={"support": 2.5},
        mode="self",
        wrap_up=c.WrapUp(after="never"),
        address="extension:101",
        direct_calls="free",
    )
    assert config.groups == {"own": c.Group(name="own", team="north", administrators=("anna",))}
    assert config.teams == {
        "north": c.Team(
            name="north",
            ageing=c.STRICT,
            window=7200.0,
            misses=3,
            sign_in_as="paused",
            pause_reasons=("lunch", "training"),
        )
    }


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("'101'", "extension:101"),
        ("{extension: '101'}", "extension:101"),
        ("{number: '0170', context: internal}", "number:0170@internal"),
        ("chosen", ""),
        ("", ""),
    ],
)
def test_where_an_agent_is_called(tmp_path: Path, written: str, address: str) -> None:
    assert read(tmp_path, f"agents: {{anna: {{telephone: {written}}}}}\n").agents["anna"].address == address


def test_ranges_defaults_and_single_agents_overlay_each_other_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """
skills: {es: , fr: }
defaults: {agent: {skills: {es: 10}, mode: both}, queue: {ring_time: 7s, wrap_up: {time: 5s}}}
agents:
  zoe: {mode: inbound}
  101-103: {name: "Agent {agent}", telephone: "{agent}", skills: {fr: 20}}
  "102": {skills: {es: 90}}
queues: {q: {wrap_up: {ends: manual}}}
"""
    config = read(tmp_path, text)
    assert list(config.agents) == ["zoe", "101", "102", "103"], "of a range, in its place"
    assert config.agents["102"] == c.Agent(
        id="102", team="default", name="Agent 102", skills={"es": 90, "fr": 20}, mode="both", address="extension:102"
    )
    assert config.agents["zoe"].skills == {"es": 10}
    assert config.queues["q"].ring_seconds == 7.0
    assert config.queues["q"].wrap_up == c.WrapUp(seconds=5.0, ends="manual")


@pytest.mark.parametrize(
    ("days", "times", "spans"),
    [
        ("mon-fri", '"08:00-17:30"', [((0, 1, 2, 3, 4), 28800.0, 63000.0)]),
        ("sat", '["9:00-12:00", "13:00-24:00"]', [((5,), 32400.0, 43200.0), ((5,), 46800.0, 86400.0)]),
        ('"mon, thu-fri"', '"00:00-24:00"', [((0, 3, 4), 0.0, 86400.0)]),
        ("fri-mon", '"10:00-11:00"', [((0, 4, 5, 6), 36000.0, 39600.0)]),
        ("sun", '"22:00-06:00"', [((6,), 79200.0, 86400.0), ((0,), 0.0, 21600.0)]),
        ("sun", '"22:00-00:00"', [((6,), 79200.0, 86400.0)]),
    ],
)
def test_opening_hours(tmp_path: Path, days: str, times: str, spans: list[Any]) -> None:
    hours = read(tmp_path, f"hours: {{h: {{open: {{{days}: {times}}}}}}}\n").hours["h"]
    assert [(span.days, span.start, span.end) for span in hours.spans] == spans


def test_opening_hours_are_those_of_their_zone(tmp_path: Path) -> None:
    text = """
hours: {h: {zone: Europe/Berlin, open: {mon-fri: "08:00-17:00"}, closed: "2026-12-25"}}
"""
    hours = read(tmp_path, text).hours["h"]
    thursday = datetime(2026, 12, 24, 7, tzinfo=UTC).timestamp()
    assert (is_open(hours, thursday - 1), is_open(hours, thursday)) == (False, True)
    assert not is_open(hours, thursday + 86400), "the day after is closed"


def test_the_version_is_a_digest_of_these_rules_alone(tmp_path: Path) -> None:
    one = read(tmp_path, "agents: {anna: , ben: }\n")
    assert len(one.version) == 12
    assert read(tmp_path, "agents: {anna: , ben: }\nsip: {realm: other}\n").version == one.version
    assert read(tmp_path, "agents: {ben: , anna: }\n").version != one.version, "the order counts"
    assert read(tmp_path, "agents: {anna: , ben: {mode: both}}\n").version != one.version


def test_the_engine_runs_by_it(tmp_path: Path) -> None:
    engine = Engine()
    engine.handle(Configure(read(tmp_path, "agents: {anna: {telephone: '101'}}\nqueues: {support: }\n")), 0.0)
    engine.handle(SignIn("anna"), 1.0)
    engine.handle(Enqueue("k", "support"), 2.0)
    assert engine.state.agents["anna"].state == "offered"


def test_what_stands_in_a_file_that_is_not_read_is_not_unknown(tmp_path: Path) -> None:
    (tmp_path / "skills.yaml").write_text("skills: [\n")
    text = "queues: {q: {needs: billing, hours: office, team: north, exits: {'1': {queue: other}}}}\n"
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    [problem] = caught.value.problems
    assert problem.mark.file.endswith("skills.yaml")


def test_of_a_section_that_is_not_one_nothing_is_unknown(tmp_path: Path) -> None:
    assert errors(tmp_path, "queues: {q: {needs: billing}}\nskills: billing\n") == [
        "5:9: skills: expected a mapping (KEY: VALUE, with a space after the colon)"
    ]

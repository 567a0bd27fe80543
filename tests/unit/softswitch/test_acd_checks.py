"""Warnings of `softswitch check` about agents and queues: who never meet, steps and limits that change nothing, ways
out that lead in a circle or nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.settings.acd_checks import who_loses
from softswitch.settings.loader import load

BASE = """
extensions: {101-120: {}}
dialplan: {internal: {routes: [{to: _1XX, dial: '{number}'}]}}
skills: {es: , fr: , billing: }
agent_groups: {own: , mixed: }
hours: {office: {open: {mon-fri: "08:00-18:00"}}}
"""
ANNA = "agents: {anna: {skills: {es: 80, billing: 10}, groups: own}}\n"


def warnings(tmp_path: Path, text: str) -> list[str]:
    """Each without the place."""
    (tmp_path / "a.yaml").write_text(BASE + text)
    return [f"{each.key}: {each.message}" for each in load(tmp_path).warnings]


def queue(tmp_path: Path, *lines: str) -> list[str]:
    """Of one queue `q`, which agent anna serves."""
    return warnings(tmp_path, ANNA + "queues:\n  q:\n" + "".join(f"    {line}\n" for line in lines))


@pytest.mark.parametrize(
    "line",
    [
        "needs: es>=80",
        "groups: own",
        "groups: mixed\n    widen: [{after: 5s, groups: own}]",
        "needs: es>=90\n    relax: [{after: 5s, needs: es}]",
        "direction: inbound",
    ],
)
def test_a_queue_that_somebody_can_serve_by_and_by(tmp_path: Path, line: str) -> None:
    assert queue(tmp_path, line) == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("needs: es>80", "no agent who serves it has the skills that it needs"),
        ("needs: es>95\n    relax: [{after: 5s, needs: es>90}]", "no agent who serves it has the skills that it needs"),
        ("groups: mixed", "no agent is in group 'mixed'"),
        ("direction: outbound", "who could takes no outbound contacts (see 'mode' of agents)"),
    ],
)
def test_a_queue_that_nobody_can_serve(tmp_path: Path, line: str, why: str) -> None:
    assert queue(tmp_path, line) == [f"queues.q: nobody can serve it: {why}"]


def test_a_queue_of_a_team_without_agents(tmp_path: Path) -> None:
    text = "teams: {north: , south: }\nagents: {anna: {team: north}}\nqueues: {n: {team: north}, s: {team: south}}\n"
    text = text.replace("queues", "defaults: {queue: {wrap_up: {time: 1s}}}\nqueues")
    (tmp_path / "a.yaml").write_text(BASE.replace("agent_groups: {own: , mixed: }\n", "") + text)
    assert [each.message for each in load(tmp_path).warnings] == ["nobody can serve it: team 'south' has no agents"]


@pytest.mark.parametrize("mode", ["both", "self", "outbound"])
def test_agents_of_these_modes_serve_outbound_queues(tmp_path: Path, mode: str) -> None:
    assert warnings(tmp_path, f"agents: {{anna: {{mode: {mode}}}}}\nqueues: {{q: {{direction: outbound}}}}\n") == []


def test_an_agent_whom_no_queue_reaches(tmp_path: Path) -> None:
    text = "agents: {anna: {skills: {es: 5}}, ben: , 201-203: }\nqueues: {q: {needs: es}}\n"
    assert warnings(tmp_path, text) == [
        "agents.ben: no queue reaches it: none asks for its team, groups, skills and mode",
        "agents.201-203: no queue reaches 3 of these agents, such as '201': none asks for their team, groups, skills "
        "and mode",
    ]


def test_agents_without_any_queue_are_only_begun(tmp_path: Path) -> None:
    assert warnings(tmp_path, "agents: {anna: {telephone: {number: '999'}}}\n") == []


def test_a_step_that_is_stricter_than_the_one_before(tmp_path: Path) -> None:
    found = queue(
        tmp_path,
        "needs: es>=60 and billing",
        "relax: [{after: 5s, needs: es>=50}, {after: 9s, needs: es>=70}, {after: 12s, needs: ''}]",
    )
    assert found == [
        "queues.q.relax[1].needs: stricter than before: an agent with es 50 was good enough for 'es>=50', and is no "
        "more"
    ]


def test_a_step_of_what_contacts_need_of_their_own(tmp_path: Path) -> None:
    assert queue(tmp_path, "needs: es>=60", "relax: [{after: 5s, needs: es>=60, own_needs: false}]") == []
    steps = "relax: [{after: 5s, needs: es>=60, own_needs: false}, {after: 9s, needs: es>=50}]"
    assert queue(tmp_path, "needs: es>=60", steps) == [
        "queues.q.relax[1].needs: stricter than before: what a contact needs of its own counts again"
    ]


def test_a_step_that_relaxes_nothing(tmp_path: Path) -> None:
    assert queue(tmp_path, "needs: es>=60", "relax: [{after: 5s, needs: not es<60}]") == [
        "queues.q.relax[0].needs: relaxes nothing: it asks for what was asked for before, 'es>=60'"
    ]


def test_a_group_that_is_there_already(tmp_path: Path) -> None:
    assert queue(tmp_path, "groups: own", "widen: [{after: 5s, groups: [mixed, own]}, {after: 6s, groups: mixed}]") == [
        "queues.q.widen[0].groups[1]: group 'own' serves the queue by then already",
        "queues.q.widen[1].groups: group 'mixed' serves the queue by then already",
    ]


def test_what_comes_after_the_end_of_the_wait(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    found = queue(
        tmp_path,
        "needs: es",
        "relax: [{after: 29s, needs: es or fr}, {after: 30s, needs: ''}]",
        "announcements: [{what: position, first: 31s}, {what: position, every: 60s}]",
        "limits: [{when: waited, reaches: 30s, to: hangup}]",
    )
    assert found == [
        f"queues.q.{key}: never comes: a limit with 'when: waited' ends the wait at 30 seconds"
        for key in ("relax[1].after", "announcements[0].first")
    ]


@pytest.mark.parametrize(
    ("limits", "unreached"),
    [
        ("{when: length, reaches: 5, to: hangup}, {when: length, reaches: 9, to: hangup}", {1: 0}),
        ("{when: length, reaches: 9, to: hangup}, {when: length, reaches: 5, to: hangup}", {0: 1}),
        ("{when: length, reaches: 5, to: hangup}, {when: length, reaches: 5, to: hangup}", {1: 0}),
        ("{when: waited, reaches: 5s, to: hangup}, {when: waited, reaches: 9s, to: hangup}", {1: 0}),
        ("{when: waited, reaches: 9s, to: hangup}, {when: waited, reaches: 5s, to: hangup}", {}),
        ("{when: no_agents, to: hangup}, {when: none_ready, to: hangup}", {}),
        ("{when: none_ready, to: hangup}, {when: no_agents, to: hangup}", {1: 0}),
        ("{when: none_ready, to: hangup}, {when: no_agents, waiting: true, to: hangup}", {}),
        ("{when: no_agents, to: hangup}, {when: no_agents, waiting: true, to: hangup}", {}),
        ("{when: no_agents, waiting: true, to: hangup}, {when: no_agents, to: hangup}", {1: 0}),
    ],
)
def test_a_limit_that_is_never_reached(tmp_path: Path, limits: str, unreached: dict[int, int]) -> None:
    assert queue(tmp_path, f"limits: [{limits}]") == [
        f"queues.q.limits[{one}].when: never reached: limits[{other}] takes all contacts before it"
        for one, other in unreached.items()
    ]


def test_hours_and_the_limit_that_goes_by_them(tmp_path: Path) -> None:
    closed = "limits: [{when: closed, to: hangup}]"
    assert queue(tmp_path, closed) == [
        "queues.q.limits[0].when: never reached: the queue has no 'hours', and is always open"
    ]
    assert queue(tmp_path, "hours: office") == [
        "queues.q.hours: closes nobody out: expected a limit with 'when: closed'"
    ]
    assert queue(tmp_path, "hours: office", closed) == []
    assert queue(tmp_path, "hours: office", "callback: {}") == [], "customers are called in them"


def test_overflow_in_a_circle_is_told_once_where_it_closes(tmp_path: Path) -> None:
    text = (
        ANNA
        + """
queues:
  a: {limits: [{when: no_agents, to: hangup}, {when: waited, reaches: 9s, to: {queue: b}}]}
  b: {limits: [{when: waited, reaches: 9s, to: {queue: c}}], exits: {"1": {queue: a}}}
  c: {limits: [{when: none_ready, to: {queue: b}}]}
  alone: {limits: [{when: none_ready, to: {queue: alone}}]}
"""
    )
    assert warnings(tmp_path, text) == [
        "queues.c.limits[0].to.queue: overflow goes in a circle: b -> c -> b",
        "queues.alone.limits[0].to.queue: overflow goes in a circle: alone -> alone",
    ]


def test_numbers_that_lead_nowhere(tmp_path: Path) -> None:
    text = """
agents: {anna: {telephone: {number: "0170"}}, ben: {telephone: {number: "101"}}}
queues: {q: {exits: {"1": {number: "102"}, "2": {number: "555"}}, emptied_to: {number: "556"}}}
"""
    assert warnings(tmp_path, text) == [
        "queues.q.exits.2.number: '555' leads nowhere in context 'internal': no route matches",
        "queues.q.emptied_to.number: '556' leads nowhere in context 'internal': no route matches",
        "agents.anna.telephone.number: '0170' leads nowhere in context 'internal': no route matches",
    ]


def test_numbers_that_a_route_rejects_lead_nowhere_too(tmp_path: Path) -> None:
    text = """
dialplan:
  internal: {routes: [{to: _1XX, dial: '{number}'}]}
  closed: {routes: [{to: _1XX, dial: '{number}'}, {name: the rest, to: "_X.", reject: 21}]}
agents: {anna: {telephone: {number: "0170", context: closed}}, ben: {telephone: {number: "101", context: closed}}}
queues: {q: {context: closed, exits: {"1": {number: "102"}, "2": {number: "555"}}}}
"""
    base = BASE.replace("dialplan: {internal: {routes: [{to: _1XX, dial: '{number}'}]}}\n", "")
    (tmp_path / "a.yaml").write_text(base + text)
    why = "leads nowhere: route 'the rest' of context 'closed' rejects it"
    found = [f"{each.key}: {each.message}" for each in load(tmp_path).warnings]
    assert [each for each in found if "nowhere" in each] == [
        f"queues.q.exits.2.number: '555' {why}",
        f"agents.anna.telephone.number: '0170' {why}",
    ]


def test_a_queue_that_is_to_be_emptied_into_itself(tmp_path: Path) -> None:
    assert queue(tmp_path, "emptied_to: {queue: q}") == [
        "queues.q.emptied_to.queue: the queue itself, which is gone then: who waits is hung up"
    ]


def test_one_telephone_for_a_range(tmp_path: Path) -> None:
    assert warnings(tmp_path, "agents: {101-103: {telephone: '101'}}\nqueues: {q: }\n") == [
        "agents.101-103.telephone: one telephone for 3 agents, one of whom can be signed in: expected such as '{agent}'"
    ]
    assert warnings(tmp_path, "agents: {101-103: {telephone: '{agent}'}}\nqueues: {q: }\n") == []
    assert warnings(tmp_path, "agents: {a: {telephone: '101'}, b: {telephone: '101'}}\nqueues: {q: }\n") == [], "shifts"


def test_a_sound_that_is_not_there(tmp_path: Path) -> None:
    line = "announcements: [{what: welcome, sound: hello}]"
    [found] = queue(tmp_path, line)
    assert found.startswith("queues.q.announcements[0].sound: no sound file 'hello' in the prompt directories")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "hello.wav").write_bytes(b"")
    assert queue(tmp_path, line) == []


def test_what_defaults_say_is_told_once(tmp_path: Path) -> None:
    text = "defaults: {queue: {limits: [{when: closed, to: hangup}]}}\nqueues: {a: , b: }\n"
    assert len(warnings(tmp_path, ANNA + text)) == 1


LEVELS = st.sampled_from([0, 1, 2, 49, 50, 51, 99, 100])
TERMS = st.builds(
    lambda skill, compare, level: f"{skill}{compare}{level}",
    st.sampled_from(["es", "fr", "x"]),
    st.sampled_from([">=", ">", "<=", "<", "=", "!="]),
    LEVELS,
)
EXPRESSIONS = st.recursive(
    TERMS,
    lambda inner: (
        st.builds(lambda one, word, two: f"({one} {word} {two})", inner, st.sampled_from(["and", "or"]), inner)
        | st.builds(lambda one: f"not {one}", inner)
    ),
    max_leaves=5,
)


def holds(text: str, levels: dict[str, int]) -> bool:
    """By Python's own rules, which are not ours, but say the same here."""
    return bool(eval(re.sub("(?<![<>!])=", "==", text), {}, levels))


@given(EXPRESSIONS, EXPRESSIONS, st.fixed_dictionaries({"es": LEVELS, "fr": LEVELS, "x": LEVELS}))
def test_who_loses_does_lose_and_where_nobody_does_nobody_is_found(
    before: str, after: str, somebody: dict[str, int]
) -> None:
    lost = who_loses(before, after)
    if lost is not None:
        levels = dict.fromkeys(("es", "fr", "x"), 0) | lost
        assert holds(before, levels)
        assert not holds(after, levels)
    else:
        assert not holds(before, somebody) or holds(after, somebody)


def test_expressions_of_many_skills_are_compared_by_lot() -> None:
    many = " and ".join(f"s{number}>=50" for number in range(20))
    assert who_loses("", many) is not None
    assert who_loses(many, "s1>=50") is None


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        ("es>50 and es<52", "es=100", {"es": 51}),
        ("es<50", "es=0", {"es": 1}),
        ("es", "es>=2", {"es": 1}),
        ("", "not es", {"es": 1}),
        ("", "es", {}),
    ],
)
def test_levels_between_those_that_are_named_count(before: str, after: str, lost: dict[str, int]) -> None:
    assert who_loses(before, after) == lost

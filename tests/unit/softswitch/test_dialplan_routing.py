"""Looking numbers up: order, includes, conditions, rewriting, fallbacks, gotos, literal input, cost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from media.audio_commands import File, Music, Say, Silence, Speech, Tone
from softswitch.dialplan.decision import (
    INVALID_NUMBER,
    NO_ROUTE,
    ROUTING_ERROR,
    UNALLOCATED,
    Announce,
    Confer,
    Dial,
    Echo,
    ExtensionTarget,
    Reject,
    TrunkTarget,
    conference_in,
)
from softswitch.dialplan.patterns import MAX_NUMBER, read_pattern
from softswitch.dialplan.routing import MAX_GOTOS, Dialplan
from softswitch.settings.models import Settings

EXTENSIONS = [str(number) for number in range(100, 200)]


def dialplan(**contexts: Any) -> Dialplan:
    """Contexts given as lists of routes, or whole."""
    written = {name: each if isinstance(each, dict) else {"routes": each} for name, each in contexts.items()}
    return Dialplan(Settings.model_validate({"dialplan": written}).dialplan, EXTENSIONS)


def dialled(decision: object) -> str:
    """The first number of a dial decision."""
    assert isinstance(decision, Dial)
    return decision.targets[0].number


def test_the_first_match_decides_not_the_most_specific() -> None:
    plan = dialplan(
        c=[{"to": "_1XX", "dial": "101"}, {"to": "150", "dial": "{number}"}, {"to": "_.", "reject": "busy"}]
    )
    assert dialled(plan.route("c", "150")) == "101"
    assert plan.route("c", "9") == Reject(17, None, "c/3")


def test_what_matches_nothing_is_refused() -> None:
    plan = dialplan(c=[{"to": "101", "dial": "101"}])
    assert plan.route("c", "102") == Reject(NO_ROUTE)
    assert plan.route("c", "") == Reject(NO_ROUTE)
    assert plan.route("nowhere", "101") == Reject(NO_ROUTE)


def test_own_routes_come_before_included_ones_which_come_in_order() -> None:
    plan = dialplan(
        a={"include": ["b", "c"], "routes": [{"name": "own", "to": "1", "answer_and_echo": True}]},
        b={"include": "d", "routes": [{"name": "b", "to": "_[12]", "answer_and_echo": True}]},
        c=[{"name": "c", "to": "_X", "answer_and_echo": True}],
        d=[{"name": "d", "to": "_[123]", "answer_and_echo": True}],
    )
    routes = [plan.route("a", number).route for number in "1234"]
    assert routes == ["own", "b", "d", "c"]
    assert plan.route("b", "4") == Reject(NO_ROUTE)


def test_a_context_reached_twice_is_searched_once() -> None:
    plan = dialplan(a={"include": ["b", "c"]}, b={"include": "c"}, c=[{"to": "1", "reject": "busy"}])
    assert [context.name for context in plan.contexts["a"].searched] == ["a", "b", "c"]


def test_from_and_did_are_conditions_too() -> None:
    plan = dialplan(
        c=[
            {"name": "boss", "to": "_X.", "from": ["101", "_15X"], "answer_and_echo": True},
            {"name": "did", "did": r"regex:\+4930\d+", "answer_and_echo": True},
            {"name": "rest", "reject": "unallocated"},
        ]
    )
    assert plan.route("c", "999", "101").route == "boss"
    assert plan.route("c", "999", "155").route == "boss"
    assert plan.route("c", "999", "102").route == "rest"
    assert plan.route("c", "999", "").route == "rest"
    assert plan.route("c", "999", "102", "+49301").route == "did"
    assert plan.route("c", "999", "102", "+4940").route == "rest"


def test_a_did_condition_never_takes_calls_of_extensions() -> None:
    plan = dialplan(c=[{"did": "_!", "answer_and_echo": True}])
    assert plan.route("c", "999") == Reject(NO_ROUTE)
    assert plan.route("c", "999", did="1") == Echo("c/1")


def test_rewriting_is_replace_then_strip_then_prepend() -> None:
    route = {"to": "_0.", "replace": {"regex": r"^00(\d\d)", "with": r"9\1"}, "strip": 1, "prepend": "+"}
    plan = dialplan(c=[route | {"dial": {"trunk": "out"}}])
    assert dialled(plan.route("c", "00491234")) == "+491234"
    assert dialled(plan.route("c", "01234")) == "+1234"


def test_variables_of_targets() -> None:
    route = {"to": "_9.", "strip": 1, "dial": {"trunk": "out", "number": "{number}*{dialled}*{caller}*{did}"}}
    plan = dialplan(c=[route])
    assert dialled(plan.route("c", "955", "101", "77")) == "55*955*101*77"


@pytest.mark.parametrize(
    "number", ["9;x=y", "9&a", "9${number}", "9{number}", "9{caller}", "9../..", "9?X=1", "9%00", "9\r\nVia: x", "9\\1"]
)
def test_dialled_input_is_literal(number: str) -> None:
    """THREATS: dialled `;`, `&`, `${}`, `../`, `?X=`, `%00` are literal, in targets, rewriting and gotos."""
    plan = dialplan(
        a=[{"to": "_9.", "goto": {"context": "b", "number": "{number}"}}],
        b=[{"to": "_9.", "replace": {"regex": "^9", "with": "8"}, "dial": {"trunk": "out"}}],
    )
    assert dialled(plan.route("a", number, "101")) == "8" + number[1:]


def test_targets_modes_and_ring_timeout() -> None:
    plan = dialplan(
        c=[
            {"to": "1", "dial": ["101", {"extension": "102"}], "ring_timeout": "20s"},
            {"to": "2", "dial": [{"trunk": "a"}, {"trunk": "b", "number": "5"}]},
            {"to": "3", "dial": ["101", "102"], "mode": "sequence"},
            {"to": "4", "dial": ["101", {"trunk": "a"}], "mode": "parallel"},
        ]
    )
    assert plan.route("c", "1") == Dial(
        (ExtensionTarget("101"), ExtensionTarget("102")), "parallel", 20.0, None, None, None, "c/1"
    )
    two = plan.route("c", "2")
    assert isinstance(two, Dial)
    assert (two.targets, two.mode) == ((TrunkTarget("a", "2"), TrunkTarget("b", "5", allow=("*",))), "sequence")
    modes = [decision.mode for decision in (plan.route("c", n) for n in "34") if isinstance(decision, Dial)]
    assert modes == ["sequence", "parallel"]


def test_extensions_that_do_not_exist_are_no_targets() -> None:
    plan = dialplan(
        c=[
            {"to": "_1XX", "dial": "{number}"},
            {"to": "_2.", "strip": 1, "dial": ["{number}", "101"]},
            {"to": "_9XX", "dial": "{number}", "on_unavailable": {"dial": "101"}},
            {"to": "_8", "strip": 1, "dial": {"trunk": "out"}},
        ]
    )
    assert plan.route("c", "1") == Reject(NO_ROUTE)
    assert plan.route("c", "2999") == Dial((ExtensionTarget("101"),), route="c/2")
    assert dialled(plan.route("c", "955")) == "101"
    assert plan.route("c", "8") == Reject(UNALLOCATED, route="c/4")


def test_fallbacks_are_decisions_of_their_own() -> None:
    plan = dialplan(
        c=[
            {
                "to": "_1XX",
                "dial": "{number}",
                "on_busy": {"dial": "102", "on_busy": {"reject": "busy"}},
                "on_no_answer": {"goto": {"context": "d", "number": "*{number}"}},
                "on_unavailable": {"reject": {"cause": 20, "status": 480}},
            }
        ],
        d=[{"to": "_*.", "strip": 1, "dial": {"trunk": "out"}}],
    )
    decision = plan.route("c", "101")
    assert isinstance(decision, Dial)
    busy = decision.on_busy
    assert isinstance(busy, Dial)
    assert (dialled(busy), busy.on_busy) == ("102", Reject(17, None, "c/1"))
    assert decision.on_no_answer == Dial((TrunkTarget("out", "101"),), "sequence", route="d/1")
    assert decision.on_unavailable == Reject(20, 480, "c/1")


def test_gotos_that_go_round_in_circles_end() -> None:
    plan = dialplan(a=[{"goto": "b"}], b=[{"goto": "a"}])
    assert isinstance(plan.route("a", "1"), Reject)
    assert plan.route("a", "1").cause == ROUTING_ERROR
    assert "circles" in list(plan.explain("a", "1"))[-1].why


def test_fallbacks_that_multiply_end_too() -> None:
    """Three fallbacks that each lead back: bounded by MAX_GOTOS in all, not in depth."""
    back = {"goto": "c"}
    route = {"dial": "101", "on_busy": back, "on_no_answer": back, "on_unavailable": back}
    waiting: list[object] = [dialplan(c=[route]).route("c", "1")]
    dials = 0
    while waiting:
        decision = waiting.pop()
        if isinstance(decision, Dial):
            dials += 1
            waiting += [decision.on_busy, decision.on_no_answer, decision.on_unavailable]
    assert dials == MAX_GOTOS + 1


def test_numbers_that_are_too_long_are_refused_unlooked_at() -> None:
    plan = dialplan(c=[{"answer_and_echo": True}], d=[{"prepend": "0", "goto": "e"}], e=[{"answer_and_echo": True}])
    assert plan.route("c", "1" * MAX_NUMBER) == Echo("c/1")
    assert plan.route("c", "1" * (MAX_NUMBER + 1)) == Reject(INVALID_NUMBER)
    assert plan.route("d", "1" * MAX_NUMBER) == Reject(INVALID_NUMBER)


def test_a_caller_that_is_too_long_counts_as_anonymous() -> None:
    plan = dialplan(c=[{"from": "_1.", "answer_and_echo": True}])
    assert plan.route("c", "5", "1" * (MAX_NUMBER + 1)) == Reject(NO_ROUTE)


def test_reject_by_name_cause_status_or_both() -> None:
    written = ["busy", 21, "603", {"cause": 21, "status": 607}, {"status": 404}]
    plan = dialplan(c=[{"to": str(n), "reject": each} for n, each in enumerate(written)])
    found = [plan.route("c", str(n)) for n in range(len(written))]
    assert [(each.cause, each.status) for each in found if isinstance(each, Reject)] == [
        (17, None),
        (21, None),
        (21, 603),
        (21, 607),
        (1, 404),
    ]


def test_explanations_follow_gotos_and_say_why() -> None:
    plan = dialplan(
        a=[
            {"name": "one", "to": "_1X", "reject": "busy"},
            {"name": "two", "to": "_2.", "from": "101", "reject": "busy"},
            {"name": "did", "did": "7", "reject": "busy"},
            {"name": "go", "to": ["5", "_2."], "strip": 1, "goto": "b"},
        ],
        b=[{"name": "end", "answer_and_echo": True}],
    )
    steps = [(step.context, step.route, step.taken, step.why) for step in plan.explain("a", "23", "102")]
    assert steps == [
        ("a", "one", False, "to '_1X' does not match '23'"),
        ("a", "two", False, "from '101' does not match '102'"),
        ("a", "did", False, "did '7' does not match a call that came from no trunk"),
        ("a", "go", True, "to '_2.' matches '23', rewritten to '3'"),
        ("b", "end", True, "matches every number"),
    ]
    assert next(iter(plan.explain("b", "1" * 65))).why == "the number is longer than 64 characters"
    assert next(iter(plan.explain("x", "1"))).why == "no route matches"


PIECES = st.sampled_from(["X", "Z", "N", "[12]", "[3-5*]", "0", "1", "2", "5", "a", "*"])
PATTERNS = st.one_of(
    st.builds(
        lambda pieces, tail: "_" + "".join(pieces) + tail, st.lists(PIECES, max_size=4), st.sampled_from(["", ".", "!"])
    ),
    st.text("0125a*", min_size=1, max_size=3),
    st.sampled_from([r"regex:\d+", "regex:1.*", "regex:[0-2]{2}"]),
).filter(lambda text: text != "_")
ROUTES = st.lists(
    st.fixed_dictionaries(
        {"to": st.lists(PATTERNS, min_size=1, max_size=3)}, optional={"from": st.sampled_from(["101", "_1X", "_2."])}
    )
    | st.just({}),
    max_size=12,
)


@given(ROUTES, st.text("0125a*x", max_size=5), st.sampled_from(["", "101", "12", "222"]))
@settings(max_examples=300, deadline=None)
def test_the_index_finds_what_trying_in_turn_finds(routes: list[dict[str, Any]], number: str, caller: str) -> None:
    plan = dialplan(c=[route | {"answer_and_echo": True} for route in routes])
    taken = [step.route for step in plan.explain("c", number, caller) if step.taken]
    assert [plan.route("c", number, caller).route] == (taken or [""])


@given(PATTERNS, PATTERNS, st.lists(st.text("0125a*x", max_size=5), max_size=30))
@settings(max_examples=300, deadline=None)
def test_what_is_covered_is_matched(first: str, second: str, numbers: list[str]) -> None:
    one, other = read_pattern(first), read_pattern(second)
    if one.covers(other):
        assert [number for number in numbers if other.matches(number) and not one.matches(number)] == []


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_nothing_that_is_dialled_raises(number: str, caller: str, did: str) -> None:
    plan = dialplan(
        c=[
            {"to": "_X.", "from": "_!", "dial": {"trunk": "out", "number": "{number}{caller}{did}"}},
            {"to": "regex:[^a]*", "replace": {"regex": r"(\W)", "with": r"\1-"}, "goto": "d"},
        ],
        d=[{"strip": 2, "dial": "{number}"}],
    )
    plan.route("c", number, caller, did)
    list(plan.explain("c", number, caller, did))


def test_hundreds_of_routes_cost_microseconds() -> None:
    """Ten microseconds are aimed at; the bound here leaves room for a busy machine."""
    routes: list[dict[str, Any]] = [{"to": f"_00{n:03d}X.", "dial": {"trunk": "out"}} for n in range(500)]
    routes += [{"to": str(n), "dial": str(n)} for n in range(100, 200)]
    routes += [{"to": "_0.", "strip": 1, "dial": {"trunk": "out"}}]
    plan = dialplan(c=routes)
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(1000):
            plan.route("c", "0049930123456", "101")
        best = min(best, (time.process_time() - start) / 1000)
    assert best < 50e-6


# ---- what the switch answers itself


def test_sources_are_filled_in() -> None:
    sources = [
        "welcome",
        {"tone": "busy", "country": "DE", "seconds": "3s"},
        {"silence": "500ms"},
        {"say": "{caller}"},
        {"say": "2026-11-26", "as": "date", "language": "en"},
        {"speech": "You dialled {number}", "language": "en", "voice": "slt"},
    ]
    plan = dialplan(c=[{"to": "_5X", "answer_and_play": sources}, {"to": "6", "answer_and_play": "x"}])
    assert plan.route("c", "51", "101") == Announce(
        (
            File("welcome"),
            Tone("busy", "de", 3.0),
            Silence(0.5),
            Say("digits", "101"),
            Say("date", "2026-11-26", "en"),
            Speech("You dialled 51", "en", "slt"),
        ),
        "c/1",
    )
    assert plan.route("c", "6") == Announce((File("x"),), "c/2")


def test_music_and_conferences() -> None:
    plan = dialplan(
        c=[
            {"to": "1", "answer_and_music": "jazz"},
            {"to": "_8X", "strip": 1, "answer_and_conference": "{number}"},
            {"to": "9", "strip": 1, "answer_and_conference": "{number}"},
        ]
    )
    assert plan.route("c", "1") == Announce((Music("jazz"),), "c/1")
    assert plan.route("c", "85") == Confer("5", "c/2")
    assert plan.route("c", "9") == Reject(UNALLOCATED, None, "c/3"), "a conference has a name"


def test_conferences_are_found_wherever_a_call_may_end_in_one() -> None:
    assert not dialplan(c=[{"to": "1", "dial": "101"}]).conferences
    plan = dialplan(
        c=[{"to": "1", "dial": "101", "on_busy": {"dial": "102", "on_no_answer": {"answer_and_conference": "x"}}}]
    )
    assert plan.conferences
    assert conference_in(plan.route("c", "1")) == "x"
    assert conference_in(plan.route("c", "2")) == ""
    assert conference_in(None) == ""


def test_whether_to_record_is_passed_on_to_fallbacks() -> None:
    route = {
        "to": "1",
        "dial": "101",
        "record": "always",
        "on_busy": {"dial": "102"},
        "on_no_answer": {"dial": "103", "record": "never"},
    }
    decision = dialplan(c=[route, {"to": "2", "dial": "101"}]).route("c", "1")
    assert isinstance(decision, Dial)
    assert decision.record == "always"
    assert isinstance(decision.on_busy, Dial)
    assert isinstance(decision.on_no_answer, Dial)
    assert (decision.on_busy.record, decision.on_no_answer.record) == ("always", "never")


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"file": "x", "tone": "busy"},
        {"file": "x", "seconds": 3},
        {"tone": "busy", "language": "en"},
        {"say": "1", "voice": "x"},
        {"speech": "x", "as": "digits"},
        {"say": "{nobody}"},
        {"silence": 0},
        {"file": "a\nb"},
    ],
)
def test_sources_that_make_no_sense_are_refused(source: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        dialplan(c=[{"answer_and_play": [source]}])

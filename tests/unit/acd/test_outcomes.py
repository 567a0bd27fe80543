"""What the switch tells for the journal's sake alone: surveys, attempts on trunks, calls of campaigns."""

from __future__ import annotations

from typing import Any

import pytest

from acd import facts as f
from acd import inputs as i
from acd.engine import Engine
from acd.explain import explain
from acd.turn import MAX_TEXT
from tests.unit.acd.kpi.floor import Floor


@pytest.mark.parametrize(
    ("told", "fact"),
    [
        (i.SurveyAnswer("c1", "csat", 5), f.Surveyed("c1", "csat", 5)),
        (i.SurveyAnswer("c1", "csat", 1), f.Surveyed("c1", "csat", 1)),
        (i.SurveyAnswer("c1", "nps", 0), f.Surveyed("c1", "nps", 0)),
        (i.SurveyAnswer("c1", "nps", 10), f.Surveyed("c1", "nps", 10)),
        (i.SurveyAnswer("c1", "nps"), f.Surveyed("c1", "nps", -1)),
        (i.CallAttempt("main", "no_channel"), f.Attempted("main", "no_channel", "outbound")),
        (i.CallAttempt("main", "caller_left", "inbound"), f.Attempted("main", "caller_left", "inbound")),
        (i.DialledCall("spring", "answered", 1.5), f.Dialled("spring", "answered", 1.5)),
        (i.DialledCall("spring", "answered"), f.Dialled("spring", "answered", -1.0)),
        (i.DialledCall("spring", "machine"), f.Dialled("spring", "machine", -1.0)),
    ],
    ids=str,
)
def test_what_is_told_becomes_a_fact_and_changes_nothing_else(told: i.AnyInput, fact: f.AnyFact) -> None:
    engine = Engine()
    before = engine.state.snapshot()
    outcome = engine.handle(told, 1_000.0)
    assert [record.what for record in outcome.records] == [told, fact]
    assert [record.cause for record in outcome.records] == [0, 1]
    assert outcome.effects == []
    engine.state.last_id, engine.state.now = 0, 0.0
    assert engine.state.snapshot() == before


ANYTHING: Any = "anything"
HALF: Any = 4.5
LONG = "x" * (MAX_TEXT + 1)
NAN = float("nan")
REFUSALS: list[tuple[i.AnyInput, str]] = [
    (i.SurveyAnswer("", "csat", 5), "bad contact '': expected an id of at most 128 characters"),
    (i.SurveyAnswer("c1", "csat", 0), "bad answer 0 to csat: expected 1 to 5, or -1 for none"),
    (i.SurveyAnswer("c1", "csat", 6), "bad answer 6 to csat: expected 1 to 5, or -1 for none"),
    (i.SurveyAnswer("c1", "nps", 11), "bad answer 11 to nps: expected 0 to 10, or -1 for none"),
    (i.SurveyAnswer("c1", "nps", -2), "bad answer -2 to nps: expected 0 to 10, or -1 for none"),
    (i.CallAttempt("", "busy"), "bad trunk '': expected its name, of at most 128 characters"),
    (i.DialledCall("", "busy"), "bad campaign '': expected its name, of at most 128 characters"),
    (
        i.DialledCall("spring", "busy", 1.0),
        "bad wait 1 of a call that nobody answered (busy): expected -1",
    ),
    (
        i.DialledCall("spring", "answered", -0.5),
        "bad wait -0.5: expected seconds up to a day, or -1 where no agent came",
    ),
    (
        i.DialledCall("spring", "answered", NAN),
        "bad wait nan: expected seconds up to a day, or -1 where no agent came",
    ),
    (
        i.DialledCall("spring", "answered", 86_401.0),
        "bad wait 86401: expected seconds up to a day, or -1 where no agent came",
    ),
]


@pytest.mark.parametrize(("told", "why"), REFUSALS, ids=lambda value: type(value).__name__)
def test_what_makes_no_sense_is_refused_with_what_is_expected(told: i.AnyInput, why: str) -> None:
    engine = Engine()
    records = engine.handle(told, 1_000.0).records
    assert repr([record.what for record in records]) == repr([told, f.Refused(why)])  # nan is not equal to itself
    assert engine.refused == {type(told).__name__: 1}


@pytest.mark.parametrize(
    "told",
    [
        i.SurveyAnswer("c1", ANYTHING, 5),
        i.SurveyAnswer("c1", "csat", HALF),
        i.CallAttempt("main", ANYTHING),
        i.CallAttempt("main", "busy", ANYTHING),
        i.DialledCall("spring", ANYTHING),
    ],
    ids=str,
)
def test_words_that_the_journal_does_not_know_are_counted_alone(told: i.AnyInput) -> None:
    engine = Engine()
    assert engine.handle(told, 1_000.0).records == []
    assert engine.refused == {type(told).__name__: 1}


@pytest.mark.parametrize(
    "told", [i.SurveyAnswer(LONG, "csat", 5), i.CallAttempt(LONG, "busy"), i.DialledCall(LONG, "busy")], ids=type
)
def test_names_are_bounded(told: i.AnyInput) -> None:
    [_, refused] = Engine().handle(told, 1_000.0).records
    assert isinstance(refused.what, f.Refused)
    assert len(refused.what.why) < 250


def test_explain_tells_what_the_customer_answered_after_the_contact() -> None:
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(70, i.Finish("c1", "ann"))
    floor.at(100, i.SurveyAnswer("c1", "csat", 4), i.SurveyAnswer("c1", "nps"), i.SurveyAnswer("c2", "csat", 1))
    told = [line.text for line in explain(floor.records, "c1", str)]
    assert told[-2:] == [
        "the customer answers the survey, csat: 4",
        "the customer is asked by the survey, nps: no answer",
    ]

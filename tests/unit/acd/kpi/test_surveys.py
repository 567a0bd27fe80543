"""Journals counted by hand: answers of customers after contacts. Times are seconds after nine."""

from __future__ import annotations

import pytest

from acd import facts as f
from acd import inputs as i
from acd.kpi.fold import Fold
from acd.kpi.handle_kpis import HandleKpis
from acd.kpi.report import Tally
from acd.kpi.surveys import SURVEY_WINDOW
from tests.unit.acd.kpi.floor import NINE, Floor, journal, tally_of


def served(floor: Floor, start: float, contact: str, queue: str = "help", agent: str = "ann") -> None:
    """A contact of 50 s, without wrap-up."""
    floor.at(start, i.Enqueue(contact, queue))
    floor.answer(start, agent)
    floor.at(start + 50, i.Finish(contact, agent), i.Ready(agent))


def of(floor: Floor, by: str, name: str, fold: Fold | None = None) -> HandleKpis:
    found = floor.row(by, name, fold=fold).handles  # type: ignore[arg-type]
    assert found is not None
    return found


def csat(kpis: HandleKpis) -> tuple[int, int, float | None]:
    """Asked, answered, share of positive answers."""
    return kpis.csat_asked, kpis.csat_answers, kpis.csat


def test_csat_nps_and_how_many_answered() -> None:
    """
    five contacts of ann's, all are asked both
    csat 5, 4, 3, 1, none: positive 2 of 4 answers = 50 %; 4 answers of 5 asked = 80 %
    nps  10, 9, 8, 6, none: 9-10: 2 of 4 = 50 %, 0-6: 1 of 4 = 25 %: NPS 25
    """
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    for n, (satisfied, recommends) in enumerate([(5, 10), (4, 9), (3, 8), (1, 6), (-1, -1)]):
        served(floor, 100 * n, f"c{n}")
        told = i.SurveyAnswer(f"c{n}", "csat", satisfied), i.SurveyAnswer(f"c{n}", "nps", recommends)
        floor.at(100 * n + 90, *told)
    for by, name in (("agent", "ann"), ("queue", "help"), ("team", "care")):
        kpis = of(floor, by, name)
        assert (kpis.csat_asked, kpis.csat_answers, kpis.csat, kpis.csat_response) == (5, 4, 2 / 4, 4 / 5)
        assert (kpis.nps_asked, kpis.nps_answers, kpis.nps, kpis.nps_response) == (5, 4, 25, 4 / 5)
        assert kpis.surveys == {
            "csat 1": 1,
            "csat 3": 1,
            "csat 4": 1,
            "csat 5": 1,
            "csat none": 1,
            "nps 6": 1,
            "nps 8": 1,
            "nps 9": 1,
            "nps 10": 1,
            "nps none": 1,
        }


@pytest.mark.parametrize(
    ("answers", "figure"),
    [([10, 10], 100), ([0, 6], -100), ([7, 8], 0), ([9, 0], 0), ([9, 7, 0, 0], -25), ([-1], None)],
)
def test_nps_goes_from_minus_100_to_100(answers: list[int], figure: float | None) -> None:
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    for n, score in enumerate(answers):
        served(floor, 100 * n, f"c{n}")
        floor.at(100 * n + 60, i.SurveyAnswer(f"c{n}", "nps", score))
    assert of(floor, "agent", "ann").nps == figure


def test_without_surveys_there_are_no_figures() -> None:
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    served(floor, 0, "c1")
    kpis = of(floor, "agent", "ann")
    assert (kpis.csat, kpis.csat_response, kpis.nps, kpis.nps_response) == (None, None, None, None)
    assert (kpis.csat_asked, kpis.nps_asked, kpis.surveys) == (0, 0, {})


def test_an_answer_is_of_who_had_the_contact_last_and_of_the_queue_that_brought_it() -> None:
    """ann has c1 of help and puts it into second, where bob has it; asked a quarter of an hour later: bob's."""
    floor = Floor(help={}, second={})
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(30, i.Finish("c1", "ann", "queue_transfer"), i.Enqueue("c1", "second"), i.SignIn("bob"))
    floor.answer(40, "bob")
    floor.at(60, i.Finish("c1", "bob"), i.Ready("bob"))
    floor.at(1000, i.SurveyAnswer("c1", "csat", 5))
    assert csat(of(floor, "agent", "bob")) == csat(of(floor, "queue", "second")) == (1, 1, 1)
    assert csat(of(floor, "queue", "help")) == (0, 0, None)


def test_an_answer_counts_in_the_interval_in_which_the_contact_does_for_fcr() -> None:
    """c1 of 555 is over at 09:01; its survey comes at 09:31: in the row of 09:00, beside the FCR, where wrap-up counts
    at 09:16."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help", "555"))
    floor.answer(10, "ann")
    floor.at(60, i.Finish("c1", "ann"))
    floor.at(960, i.Ready("ann"))
    floor.at(1860, i.SurveyAnswer("c1", "csat", 2))
    rows = [row.handles for row in floor.rows("queue", "15m") if row.handles is not None]
    assert [(each.handled, each.fcr, each.csat) for each in rows] == [(0, 1, 0), (1, None, None)]


def test_an_answer_counts_where_the_agent_was_through_though_the_customer_stayed_on() -> None:
    """ann puts c1 into second at 09:01, where the customer hangs up at 09:20: in the row of 09:00."""
    floor = Floor(help={}, second={})
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help", "555"))
    floor.answer(10, "ann")
    floor.at(60, i.Finish("c1", "ann", "queue_transfer"), i.Enqueue("c1", "second"), i.Pause("ann"))
    floor.at(1200, i.HangUp("c1"), i.SurveyAnswer("c1", "csat", 2))
    [row] = [row for row in floor.rows("agent", "15m") if row.handles is not None and row.handles.csat_asked]
    assert row.handles is not None
    assert (row.start, row.handles.csat, row.handles.fcr) == (NINE, 0, 1)


def test_an_answer_during_the_contact_counts_when_that_is_over_and_for_who_had_it_last() -> None:
    """c1 is with ann, who has it asked before she transfers it to bob: nothing counts until bob is through with it."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.SignIn("bob"), i.Pause("bob"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(40, i.SurveyAnswer("c1", "csat", -1), i.SurveyAnswer("c1", "csat", 3))
    floor.at(50, i.Finish("c1", "ann", "attended_transfer"), i.Take("c1", "bob"), i.Ready("ann"))
    assert csat(of(floor, "agent", "ann")) == (0, 0, None)
    floor.at(80, i.Finish("c1", "bob"))
    assert csat(of(floor, "agent", "ann")) == (0, 0, None)
    assert csat(of(floor, "agent", "bob")) == (1, 1, 0)


def test_of_several_answers_to_one_question_the_latest_counts() -> None:
    """Asked without an answer, then 2, then 4: one asked, one answer, a positive one. The other question stays."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    served(floor, 0, "c1")
    floor.at(100, i.SurveyAnswer("c1", "csat"), i.SurveyAnswer("c1", "nps", 9))
    assert csat(of(floor, "agent", "ann")) == (1, 0, None)
    floor.at(200, i.SurveyAnswer("c1", "csat", 2))
    assert csat(of(floor, "agent", "ann")) == (1, 1, 0)
    floor.at(2000, i.SurveyAnswer("c1", "csat", 4))
    kpis = of(floor, "agent", "ann")
    assert csat(kpis) == (1, 1, 1)
    assert kpis.surveys == {"csat 4": 1, "nps 9": 1}


def left_out(floor: Floor) -> int:
    fold = Fold()
    floor.rows("queue", fold=fold)
    assert fold.unknown == 0
    return fold.surveys.left_out


def test_an_answer_that_belongs_to_nobody_is_left_out_and_counted() -> None:
    """c1 hung up in the queue, answering before and after; c9 never was."""
    floor = Floor()
    floor.at(0, i.Enqueue("c1", "help"), i.SurveyAnswer("c1", "csat", 1))
    assert left_out(floor) == 0
    floor.at(30, i.HangUp("c1"))
    assert left_out(floor) == 1
    floor.at(40, i.SurveyAnswer("c1", "csat", 1), i.SurveyAnswer("c9", "nps", 1))
    assert left_out(floor) == 3
    assert of(floor, "queue", "help").csat_asked == 0


@pytest.mark.parametrize(("late", "counted"), [(0.0, 1), (1.0, 0)])
def test_an_answer_is_waited_for_a_day_from_the_end_of_the_contact(late: float, counted: int) -> None:
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    served(floor, 0, "c1")
    floor.at(50 + SURVEY_WINDOW + late, i.SurveyAnswer("c1", "csat", 5))
    fold = Fold()
    asked = [row.handles.csat_asked for row in floor.rows("queue", fold=fold) if row.handles is not None]
    assert (sum(asked), fold.surveys.left_out) == (counted, 1 - counted)


def test_contacts_that_may_be_answered_for_are_bounded_by_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for two: with c2 c0 is forgotten. A day later so are c1 and c2, with the first contact that ends."""
    monkeypatch.setattr("acd.kpi.surveys.MAX_OVER", 2)
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    for n in range(3):
        served(floor, 100 * n, f"c{n}")
    fold = Fold()
    floor.rows("queue", fold=fold)
    assert list(fold.surveys.over) == ["c1", "c2"]
    served(floor, 300 + SURVEY_WINDOW, "c3")
    fold = Fold()
    floor.rows("queue", fold=fold)
    assert list(fold.surveys.over) == ["c3"]


def test_the_same_id_may_come_again_and_is_another_contact() -> None:
    """c1 is ann's, answered 5; c1 comes again, is bob's, answered 1: both count."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    served(floor, 0, "c1")
    floor.at(60, i.SurveyAnswer("c1", "csat", 5), i.Pause("ann"), i.SignIn("bob"))
    served(floor, 100, "c1", agent="bob")
    floor.at(160, i.SurveyAnswer("c1", "csat", 1))
    assert csat(of(floor, "agent", "ann")) == (1, 1, 1)
    assert csat(of(floor, "agent", "bob")) == (1, 1, 0)


def test_the_same_id_may_come_again_and_nobody_have_it() -> None:
    """c1 is ann's, who had it answered 5 meanwhile; c1 comes again and hangs up: nobody is answered 1 for."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(20, i.SurveyAnswer("c1", "csat", 5))
    floor.at(60, i.Finish("c1", "ann"), i.Pause("ann"))
    floor.at(100, i.Enqueue("c1", "help"))
    floor.at(110, i.HangUp("c1"), i.SurveyAnswer("c1", "csat", 1))
    assert csat(of(floor, "agent", "ann")) == (1, 1, 1)
    assert left_out(floor) == 1
    fold = Fold()
    floor.rows("queue", fold=fold)
    assert (fold.surveys.early, fold.surveys.over) == ({}, {})


def test_a_worst_answer_is_replaced_as_any_other() -> None:
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    served(floor, 0, "c1")
    floor.at(60, i.SurveyAnswer("c1", "nps", 0), i.SurveyAnswer("c1", "nps", 10))
    assert of(floor, "agent", "ann").surveys == {"nps 10": 1}


def test_each_question_has_its_own_response_rate() -> None:
    """csat is asked after both contacts and answered after one, nps is asked and answered after one."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    served(floor, 0, "c1")
    served(floor, 100, "c2")
    floor.at(160, i.SurveyAnswer("c1", "csat", 5), i.SurveyAnswer("c2", "csat"), i.SurveyAnswer("c2", "nps", 5))
    kpis = of(floor, "agent", "ann")
    assert (kpis.csat_response, kpis.nps_response) == (1 / 2, 1)


def test_answers_are_in_a_snapshot() -> None:
    """c1 is over, c2 goes on with an answer already: both are answered after the snapshot."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    served(floor, 0, "c1")
    floor.at(60, i.SurveyAnswer("c1", "csat"), i.Enqueue("c2", "help"))
    floor.answer(70, "ann")
    floor.at(80, i.SurveyAnswer("c2", "csat", 4))
    tally = Tally.restore(tally_of(floor.records).snapshot())
    floor.at(90, i.SurveyAnswer("c1", "csat", 1), i.Finish("c2", "ann"), i.SurveyAnswer("c2", "nps", 10))
    for record in floor.records:
        tally.add(record)
    assert tally.snapshot() == tally_of(floor.records).snapshot()


def test_answers_without_the_beginning_of_the_journal_are_left_out() -> None:
    answers: list[tuple[float, f.AnyFact]] = [(0.0, f.Surveyed("c1", question, 5)) for question in ("csat", "nps")]
    tally = tally_of(journal(*answers))
    assert (tally.fold.surveys.left_out, tally.cells.slots) == (2, {})

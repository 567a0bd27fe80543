"""What becomes of calls outside of the queues: answers of surveys, attempts on trunks, calls of campaigns.

Nobody is offered anything for it, and the state learns nothing of it: it is checked, and written down for `acd.kpi`. A
contact that is over is known to the state no more, so a survey's answer is taken for any contact; the fold of the KPIs
knows whose it was, and leaves out an answer that it can give to nobody.
"""

from __future__ import annotations

from typing import assert_never

from acd import facts as f
from acd import inputs as i
from acd.turn import MAX_TEXT, Refusal, Turn

NONE = -1
"""In place of an answer, or of the seconds until an agent came: there was none."""
SCALES: dict[i.SurveyQuestion, range] = {"csat": range(1, 6), "nps": range(11)}
"""The answers to each question."""
LONGEST_WAIT = 86_400.0
"""Seconds from a customer's answer to an agent: more is no wait."""


def note(turn: Turn, told: i.OutcomeInput) -> None:
    """Raises `Refusal`."""
    match told:
        case i.SurveyAnswer():
            _check_answer(told)
            turn.fact(f.Surveyed(told.contact, told.question, told.score))
        case i.CallAttempt():
            _named("trunk", told.trunk)
            turn.fact(f.Attempted(told.trunk, told.outcome, told.direction))
        case i.DialledCall():
            _check_dialled(told)
            turn.fact(f.Dialled(told.campaign, told.outcome, told.waited))
        case _:
            assert_never(told)


def _check_answer(told: i.SurveyAnswer) -> None:
    if not told.contact or len(told.contact) > MAX_TEXT:
        raise Refusal(f"bad contact {told.contact[:MAX_TEXT]!r}: expected an id of at most {MAX_TEXT} characters")
    scale = SCALES[told.question]
    if told.score != NONE and told.score not in scale:
        expected = f"expected {scale[0]} to {scale[-1]}, or {NONE} for none"
        raise Refusal(f"bad answer {told.score} to {told.question}: {expected}")


def _check_dialled(told: i.DialledCall) -> None:
    _named("campaign", told.campaign)
    if told.waited == NONE:
        return
    if told.outcome != "answered":
        raise Refusal(f"bad wait {told.waited:g} of a call that nobody answered ({told.outcome}): expected {NONE}")
    if not 0.0 <= told.waited <= LONGEST_WAIT:
        raise Refusal(f"bad wait {told.waited:g}: expected seconds up to a day, or {NONE} where no agent came")


def _named(what: str, name: str) -> None:
    if not name or len(name) > MAX_TEXT:
        raise Refusal(f"bad {what} {name[:MAX_TEXT]!r}: expected its name, of at most {MAX_TEXT} characters")

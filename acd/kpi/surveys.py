"""Whose a customer's answer is: it belongs to the agent and the queue that had the contact last, and counts where the
contact does for the first contact resolution, so that both are of the same contacts.

An answer during the contact waits for its end. Contacts that are over are kept for a day, `MAX_OVER` of them at most;
an answer that comes later, or after a contact that no agent had, belongs to nobody and is counted in `left_out`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from acd.inputs import SurveyQuestion
from acd.kpi.pieces import Rated

SURVEY_WINDOW = 86_400.0
"""Seconds after the end of a contact in which answers are waited for."""
MAX_OVER = 100_000
"""Contacts whose answers are waited for; the oldest are forgotten first."""

Answers = dict[SurveyQuestion, int]
"""The latest one to each question; -1: asked, and none given."""


class Over(msgspec.Struct, array_like=True):
    """A contact that is over. `agent`, `queue`: who had it last, until `at`; `ended`: when the customer was gone."""

    team: str
    agent: str
    queue: str
    at: float
    ended: float
    answers: Answers = {}


class Surveys(msgspec.Struct):
    early: dict[str, Answers] = {}
    """Of contacts that go on."""
    over: dict[str, Over] = {}
    """The oldest first."""
    left_out: int = 0

    def early_answer(self, contact: str, question: SurveyQuestion, score: int) -> None:
        """One during a contact."""
        self.early.setdefault(contact, {})[question] = score

    def answer(self, contact: str, question: SurveyQuestion, score: int, now: float) -> Iterator[Rated]:
        """One after it."""
        over = self.over.get(contact)
        if over is None or now > over.ended + SURVEY_WINDOW:
            self.left_out += 1
            return
        before = over.answers.get(question)
        over.answers[question] = score
        yield Rated(over.team, over.agent, over.queue, over.at, question, score, before)

    def contact_over(self, contact: str, over: Over | None) -> Iterator[Rated]:
        """`over` None: no agent had it."""
        early = self.early.pop(contact, {})
        self.over.pop(contact, None)  # an id may come again
        if over is None:
            self.left_out += len(early)
            return
        self._forget(over.ended)
        self.over[contact] = over
        for question, score in early.items():
            yield from self.answer(contact, question, score, over.ended)

    def _forget(self, now: float) -> None:
        while self.over:
            oldest = next(iter(self.over))
            if self.over[oldest].ended + SURVEY_WINDOW >= now and len(self.over) < MAX_OVER:
                return
            del self.over[oldest]

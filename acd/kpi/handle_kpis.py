"""KPIs of handles: what agents did with contacts, by queue, agent or team.

A handle is one agent's part in a contact, from its answer to the end of its wrap-up; it counts where that ends. A
contact that goes from one agent to another is a handle of each, and an answer only of whom a queue has brought it to. A
callback that reached no customer is no handle: it is in `unreached`, and its time in the agent's occupancy alone.
What customers answer afterwards stands beside the first contact resolution, and counts where that does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from acd.inputs import SurveyQuestion
from acd.kpi.cells import HandleCell, answer_name, sum_of
from acd.kpi.policy import share
from acd.outcomes import NONE, SCALES


class HandleKpis(msgspec.Struct, frozen=True):
    """Counts, shares from 0 to 1, and seconds: means over `handled`. None: nothing was handled."""

    handled: int
    handled_answers: int
    """Of them those that a queue has brought."""
    handled_outbound: int
    """Of them callbacks and reservations."""
    aht: float | None
    """`(talk + hold + ACW + dialling) / handled`."""
    talk: float | None
    hold: float | None
    """While the customer waits: on hold, or for the agent to have consulted somebody."""
    consult: float | None
    """The part of `hold` that was consultation."""
    acw: float | None
    dialling: float | None
    transferred: int
    transfer_rate: float | None
    blind_rate: float | None
    consult_rate: float | None
    to_queue_rate: float | None
    unreached: int
    unreached_dialling: float
    """Seconds in all."""
    fcr_contacts: int
    fcr: float | None
    """A proxy: contacts of known numbers after which the same number has not come again, of all of them."""
    csat_asked: int
    """Contacts after which the customer was asked, and of them those where it has answered."""
    csat_answers: int
    csat: float | None
    """Positive answers, 4 and 5 of 1 to 5, of all answers."""
    csat_response: float | None
    """Answers of those who were asked."""
    nps_asked: int
    nps_answers: int
    nps: float | None
    """Per cent of answers of 9 and 10 less per cent of 0 to 6: -100 to 100."""
    nps_response: float | None
    surveys: dict[str, int]
    """How often each answer was given: "csat 5", "nps none"."""


POSITIVE = range(4, 6)
PROMOTERS, DETRACTORS = range(9, 11), range(7)


def handle_kpis(cells: Iterable[HandleCell]) -> HandleKpis:
    total = sum_of(cells)
    handled = total.handled
    transfers = total.transfers
    csat, nps = _answers(total, "csat"), _answers(total, "nps")
    promoters, detractors = _share_of(nps, PROMOTERS), _share_of(nps, DETRACTORS)
    busy = total.talk + total.hold + total.consult + total.wrap_up + total.dialling
    return HandleKpis(
        handled=handled,
        handled_answers=total.answered,
        handled_outbound=total.outbound,
        aht=share(busy, handled),
        talk=share(total.talk, handled),
        hold=share(total.hold + total.consult, handled),
        consult=share(total.consult, handled),
        acw=share(total.wrap_up, handled),
        dialling=share(total.dialling, handled),
        transferred=sum(transfers.values()),
        transfer_rate=share(sum(transfers.values()), handled),
        blind_rate=share(transfers.get("blind_transfer", 0), handled),
        consult_rate=share(transfers.get("attended_transfer", 0), handled),
        to_queue_rate=share(transfers.get("queue_transfer", 0), handled),
        unreached=total.unreached,
        unreached_dialling=total.unreached_dialling,
        fcr_contacts=total.contacts,
        fcr=share(total.contacts - total.repeated, total.contacts),
        csat_asked=_asked(total, "csat"),
        csat_answers=sum(csat.values()),
        csat=_share_of(csat, POSITIVE),
        csat_response=share(sum(csat.values()), _asked(total, "csat")),
        nps_asked=_asked(total, "nps"),
        nps_answers=sum(nps.values()),
        nps=None if promoters is None or detractors is None else 100.0 * (promoters - detractors),
        nps_response=share(sum(nps.values()), _asked(total, "nps")),
        surveys={name: count for name, count in total.surveys.items() if count},
    )


def _answers(cell: HandleCell, question: SurveyQuestion) -> dict[int, int]:
    """By score."""
    named = {score: cell.surveys.get(answer_name(question, score), 0) for score in SCALES[question]}
    return {score: count for score, count in named.items() if count}


def _asked(cell: HandleCell, question: SurveyQuestion) -> int:
    return sum(_answers(cell, question).values()) + cell.surveys.get(answer_name(question, NONE), 0)


def _share_of(answers: Mapping[int, int], scores: range) -> float | None:
    return share(sum(count for score, count in answers.items() if score in scores), sum(answers.values()))

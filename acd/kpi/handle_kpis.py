"""KPIs of handles: what agents did with contacts, by queue, agent or team.

A handle is one agent's part in a contact, from its answer to the end of its wrap-up; it counts where that ends. A
contact that goes from one agent to another is a handle of each, and an answer only of whom a queue has brought it to. A
callback that reached no customer is no handle: it is in `unreached`, and its time in the agent's occupancy alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from acd.kpi.cells import HandleCell, sum_of
from acd.kpi.policy import share


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


def handle_kpis(cells: Iterable[HandleCell]) -> HandleKpis:
    total = sum_of(cells)
    handled = total.handled
    transfers = total.transfers
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
    )

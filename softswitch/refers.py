"""REFERs of telephones inside their calls (RFC 3515): transfers that the switch carries out.

Refer-To a number  --call.transfer-->  TransferTold --told--> NOTIFY
Refer-To a dialog  --CallMover.attended (RFC 5589)-->  told
"""

from __future__ import annotations

import structlog

from sip.replacing import find_dialog
from sip.transfer_headers import Replaces
from sip.ua import UserAgent
from sip.ua_events import ReferReceived
from softswitch.active_call import Active
from softswitch.call_mover import CallMover
from softswitch.call_tables import CallRunner, CallTables
from softswitch.call_transfer import TransferRefused
from softswitch.originate import ClickedCall
from softswitch.referrals import Referrals, number_of
from softswitch.sip_leg import SipLeg
from softswitch.vocabulary import TransferTold

log = structlog.get_logger("calls")


class Refers:
    """See the module. `waiting`: those who are still to be told how theirs ends."""

    __slots__ = ("_mover", "_runner", "_tables", "_ua", "waiting")

    def __init__(self, runner: CallRunner, tables: CallTables, mover: CallMover, ua: UserAgent) -> None:
        self._runner = runner
        self._tables = tables
        self._mover = mover
        self._ua = ua
        self.waiting = Referrals()

    def received(self, event: ReferReceived, now: float) -> None:
        """A telephone sends the one it talks to elsewhere (RFC 3515), or to whom it talks to by another dialog (RFC
        5589): a transfer, done by us."""
        user, refer = event.session.user, event.refer
        leg = self._tables.legs.get(user) if isinstance(user, int) else None
        active = self._tables.calls.get(leg.call) if leg is not None else None
        number, replaces = number_of(event), event.refer_to.replaces
        if leg is None or active is None:
            refer.reject(481, now)
        elif replaces is not None:
            self._to_dialog(leg, replaces, event, now)
        elif number:
            self._to_number(active, leg, number, event, now)
        else:
            refer.reject(501, now)

    def _to_number(self, active: Active, leg: SipLeg, number: str, event: ReferReceived, now: float) -> None:
        try:
            effects = active.call.transfer(leg.id, number, now, told=True)
        except TransferRefused as refused:
            log.info("transfer refused", contact=leg.call, why=str(refused))
            event.refer.reject(refused.status, now)
            return
        self.waiting.begin(leg.id, event, now)
        self._runner.carry_out(active, effects, now)

    def _to_dialog(self, leg: SipLeg, replaces: Replaces, event: ReferReceived, now: float) -> None:
        session = find_dialog(self._ua.dialogs, replaces)
        other = session.user if session is not None else None
        contact = leg.call
        if self.waiting.waits(leg.id):
            event.refer.reject(491, now)  # whoever asked before is still to be told how that ends
            return
        self.waiting.begin(leg.id, event, now)
        try:
            if not isinstance(other, int) or session is None or session.over:
                raise TransferRefused("there is no such dialog", 481)
            self._mover.attended(leg.id, other, lambda status: self._told(leg.id, status, now), now)
        except TransferRefused as refused:
            # The REFER itself was fine: what is wrong is told as an INVITE with that Replaces would be answered.
            log.info("transfer refused", contact=contact, why=str(refused))
            self._told(leg.id, refused.status, now)

    def told(self, active: Active, effect: TransferTold, now: float) -> None:
        """How a transfer stands, or a call that was clicked."""
        if isinstance(active.call, ClickedCall) and effect.leg == active.call.asked_by:
            self.waiting.told(effect.leg, effect.status, now)
        else:
            self._told(effect.leg, effect.status, now)

    def _told(self, leg: int, status: int, now: float) -> None:
        if status >= 200:
            self._tables.counters["transfers" if status == 200 else "transfers failed"] += 1
        self.waiting.told(leg, status, now)

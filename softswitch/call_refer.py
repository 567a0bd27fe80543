"""A transfer that the far end is asked to carry out itself, so that the call leaves the switch (RFC 3515, RFC 5589 6).

    A waits, as in any transfer --AskTransfer--> 1xx, 18x: the transferor is told, A hears ringing
        2xx, or A goes after a 1xx          both legs are released: the call is elsewhere
        anything else, or nothing in time   the switch calls the number itself, as if it had not asked
        A goes before                       all are released

A far end that has taken the transfer on needs us no more as soon as it has somebody, and many end the call before, or
without, the NOTIFY that says so.
"""

from __future__ import annotations

from softswitch.call_floor import State
from softswitch.call_transfer import TransferringCall
from softswitch.causes import Cause
from softswitch.dialplan.decision import Decision, Dial
from softswitch.vocabulary import AskTransfer, CancelTimer, SetTimer, TransferAnswered

REFER_TIMER = "refer"


class Asked:
    """What A's far end was asked. `decision`: what is done where it does not do it; `accepted`: it has said that it is
    at work."""

    __slots__ = ("accepted", "decision", "leg")

    def __init__(self, leg: int, decision: Decision) -> None:
        self.leg = leg
        self.decision = decision
        self.accepted = False


class ReferringCall(TransferringCall):
    """The part of a `Call` that asks A's far end to do a transfer."""

    __slots__ = ("_asked_away",)

    _asked_away: Asked | None

    def _end_all(self, cause: int, now: float, by: str, text: str = "", status: int = 0) -> None:
        raise NotImplementedError

    def _send_on(self, decision: Decision, now: float) -> None:
        request = None
        if isinstance(decision, Dial) and not self._others:
            contact = self.contact.id
            request = self._directory.refer(self._a_endpoint, decision, self._caller, self._payer, contact, now)
        if request is None:
            super()._send_on(decision, now)
            return
        self._asked_away = Asked(self.a, decision)
        self.contact.enter("ring", now)
        self._effects.append(SetTimer(REFER_TIMER, now + request.timeout))
        self._effects.append(AskTransfer(self.a, request.refer_to, request.referred_by))

    def _transfer_answered(self, event: TransferAnswered, now: float) -> None:
        """What the far end says of it."""
        asked = self._waits_for_peer()
        if asked is None or event.leg != asked.leg:
            return
        if event.status >= 300:
            self._refer_failed(now)
        elif event.status >= 200:
            self._referred(now)
        else:
            asked.accepted = True
            if event.status >= 180:
                self._wait(rings=True)

    def _taken_over(self, leg: int) -> bool:
        """Whether a leg that is gone is of a far end that has taken the transfer on."""
        asked = self._waits_for_peer()
        return asked is not None and asked.accepted and leg == asked.leg

    def _waits_for_peer(self) -> Asked | None:
        return self._asked_away if self._transfer is not None and self.state is State.HUNTING else None

    def _refer_failed(self, now: float) -> None:
        """It will not, could not, or has not in time: the switch does it."""
        asked = self._waits_for_peer()
        if asked is None:
            return
        self._asked_away = None
        self._effects.append(CancelTimer(REFER_TIMER))
        self._wait(rings=False)
        self._follow(asked.decision, now)

    def _referred(self, now: float) -> None:
        """A's far end has called whom A is to talk to: nobody is needed here any more."""
        transfer, self._transfer, self._asked_away = self._transfer, None, None
        assert transfer is not None
        self._effects.append(CancelTimer(REFER_TIMER))
        self._stop_waiting()
        self._tell_transferor(transfer, 200)
        self.contact.destination = self._a_endpoint.name
        self._end_all(Cause.NORMAL_CLEARING, now, by="transfer", text="transferred")

"""A call that is parked: its caller waits in a slot of a parking lot, with music, until somebody dials the slot.

TALKING P-X, P parks X, or sends it to the lot's number:   PARKED, P hears the slot's number and goes
    somebody dials the slot   --> X talks to them (`call_moves`, "retrieve")
    the time is over          --> P's extension is rung, then the lot's fallback, as after a transfer that failed
    X hangs up                --> the call ends
"""

from __future__ import annotations

from media.audio_commands import Play, PlayEnded, Say, Silence
from softswitch.call_floor import State
from softswitch.call_inviting import InvitingCall
from softswitch.call_transfer import Transfer, TransferRefused
from softswitch.causes import Cause
from softswitch.dialplan.decision import Park
from softswitch.parking import Lot, NoSlot
from softswitch.vocabulary import AnyEffect, Audio, CancelTimer, Payer, SetTimer, TransferTold, Unbridge

PARK_TIMER = "park"


class ParkingCall(InvitingCall):
    """The part of a `Call` that waits in a parking lot."""

    __slots__ = ("_goodbye", "_parked_by", "_parked_in")

    _parked_in: Lot | None
    _parked_by: str  # the extension that is rung when the time is over
    _goodbye: tuple[int, int, int]  # the play that tells the slot, the leg that hears it and goes then, and who is told

    def park(self, leg: int, lot: str, slot: str, now: float) -> list[AnyEffect]:
        """One who talks parks its partner, in that slot ("": any) of that lot ("": the only one). Raises
        `TransferRefused`."""
        endpoint = self._may_send_on(leg)
        if self._conference or self._aside:
            raise TransferRefused("more than two are in that call")
        try:
            where = self._directory.park(lot, slot, self.contact.id)
        except NoSlot as full:
            raise TransferRefused(str(full), 486) from None
        if leg == self.a:
            assert self.b is not None
            self._put_first(self.b)
        assert self.b is not None
        transferor, self.b = self.b, None
        self._effects.append(Unbridge(self.a))
        self._parked(*where, transferor, endpoint.name, now)
        return self._take()

    @property
    def parked_in(self) -> str:
        """The slot, "" where the call is not parked."""
        return self._directory.slot(self.contact.id) if self.state is State.PARKED else ""

    def _park_a(self, decision: Park, now: float) -> None:
        """A has been sent to the lot's number."""
        transfer = self._transfer
        if transfer is None or self._a_session is None or self._others:
            self._give_up(Cause.FACILITY_REJECTED, 403, now, text="a call is parked by being transferred here")
            return
        try:
            where = self._directory.park(decision.lot, "", self.contact.id)
        except NoSlot as full:
            self._give_up(Cause.USER_BUSY, 486, now, text=str(full))
            return
        self._transfer = None
        self._stop_waiting()
        self._parked(*where, transfer.transferor, transfer.by, now, transfer.requested_by)

    def _parked(self, lot: Lot, slot: str, parker: int, by: str, now: float, requested_by: int = 0) -> None:
        """A is in the slot. `parker`: the leg that hears where, 0: nobody does."""
        self.state = State.PARKED
        self._others = []
        self._holders.clear()
        self._parked_in, self._parked_by = lot, by
        self.contact.enter("park", now)
        self._effects.append(SetTimer(PARK_TIMER, now + lot.timeout))
        self._nobody_to_supervise(now)
        self._mix()
        self._tune()
        self._recording_follows()
        told = requested_by or parker
        if parker in self._out and lot.announce and self._hears(parker):
            play = self._new_id()
            self._goodbye = (play, parker, told)
            sources = (Silence(0.3), Say("digits", slot), Silence(0.3))
            self._effects.append(Audio(Play(play, sources, stream=parker)))
            return
        self._effects.append(TransferTold(told, 200))
        if parker in self._out:
            self._release(parker, Cause.NORMAL_CLEARING, now, "parked")

    def _goodbye_said(self, event: PlayEnded, now: float) -> None:
        play, leg, told = self._goodbye
        if not play or event.play != play:
            return
        self._goodbye = (0, 0, 0)
        self._effects.append(TransferTold(told, 200))
        if leg in self._out:
            self._release(leg, Cause.NORMAL_CLEARING, now, "parked")

    def _music_for(self, leg: int) -> str:
        if self.state is State.PARKED and self._parked_in is not None and self._parked_in.music:
            return self._parked_in.music
        return self._own_music(leg)

    def _own_music(self, leg: int) -> str:
        """The class of music that is set for a leg, "" for none."""
        raise NotImplementedError

    def _unpark(self) -> None:
        self._effects.append(CancelTimer(PARK_TIMER))
        self._parked_in = None
        self._directory.unpark(self.contact.id)

    def _parked_too_long(self, now: float) -> None:
        """Back to whoever parked it."""
        lot = self._parked_in
        if self.state is not State.PARKED or lot is None:
            return
        self._unpark()
        self._transfer = Transfer(0, self._parked_by, self.a)
        self._transfer.told, self._transfer.fallback = True, lot.fallback
        self._payer = Payer("extension", self._parked_by, forwarded=True)
        self._caller = self._party(self.a)
        self._hunt_for_a()
        self.contact.enter("ring", now)
        self._transfer_failed(Cause.NO_ANSWER, 480, now, "")

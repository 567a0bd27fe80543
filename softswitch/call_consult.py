"""Consultation, conference and hold by command: one who talks leaves the others aside, talks to somebody else, and then
does one of these.

    TALKING P-X, P consults:   HUNTING, P hears it ring, X hears music        --nobody answers, return--> P talks to X
        Y answers              TALKING P-Y, X aside, with music
        swap                   P talks to X, Y aside
        return, or Y goes      P talks to X; Y is released
        conference             P, X and Y talk, in a room; each may go alone, and two who are left are bridged again
        complete, or P goes    X talks to Y; while it rings, a transfer from then on (`call_transfer`)
        X goes                 P and Y talk on

Those aside may be several, the members of a conference: they talk on meanwhile. P is A all the while.
"""

from __future__ import annotations

from typing import ClassVar

from media.audio_commands import Play, Tone
from softswitch.call_confirm import ConfirmingCall
from softswitch.call_floor import State, Supervision
from softswitch.call_transfer import Transfer, TransferRefused, no_way_to
from softswitch.causes import Cause
from softswitch.dialplan.decision import Dial, ExtensionTarget, Reject
from softswitch.vocabulary import AnyEffect, Audio, CancelTimer, Payer

RING_TIMER = "ring"

FAILED = Tone("congestion", seconds=1.0)
"""What a consulter hears whom nobody has answered, and who is back with the customer."""

BEEP = Tone("beep")

MAX_TALKERS = 16
"""Of a conference in a call; more meet in a conference room."""


class ConsultingCall(ConfirmingCall):
    """The part of a `Call` in which talkers come, go, and leave each other aside."""

    __slots__ = ("_left",)

    _left: set[int]  # whom the consulter has left aside when it began

    REFUSED: ClassVar[str] = "there is no consultation in that call"

    # ---- commands ---------------------------------------------------------------------------------------

    def consult(self, leg: int, number: str, now: float) -> list[AnyEffect]:
        """One who talks calls a number, while the others wait. Raises `TransferRefused`."""
        endpoint = self._may_send_on(leg)
        if self._aside:
            raise TransferRefused("a consultation is under way in that call")
        if len(self.talkers) >= MAX_TALKERS:
            raise TransferRefused(f"{MAX_TALKERS} are in that call: more meet in a conference room")
        caller = self._party(leg)
        context = self._directory.context_of(endpoint.name)
        decision = self._directory.route(context, number, caller, "")
        if isinstance(decision, Reject):
            raise no_way_to(number, context, decision)
        if not isinstance(decision, Dial) or decision.targets == (ExtensionTarget(endpoint.name),):
            raise TransferRefused(f"{number!r} is nobody who can be consulted")
        others = [each for each in self.talkers if each != leg]
        self._put_first(leg)
        self._aside = others
        self._left = set(others)
        self._consulter = leg
        self._caller = caller
        self._payer = Payer("extension", endpoint.name)
        self._diverted = ()
        self._diversions = self._ringing = 0
        self.contact.enter("consult", now)
        self._hunt_for_a()
        self._follow(decision, now)
        return self._take()

    def complete(self, leg: int, now: float) -> list[AnyEffect]:
        """The consulter leaves the others to each other. Raises `TransferRefused`."""
        self._consults(leg, ringing=True)
        self._left_to_others(now)
        self._release(leg, Cause.NORMAL_CLEARING, now, "transferred")
        return self._take()

    def back(self, leg: int, now: float) -> list[AnyEffect]:
        """The consulter returns to those whom it has left, also after a swap; who was consulted goes. Raises
        `TransferRefused`."""
        self._consults(leg, ringing=True)
        there = [each for each in (*self.talkers, *self._aside) if each != leg]
        # Where those have gone meanwhile, whoever is aside is all there is to return to.
        stay = [each for each in there if each in self._left] or self._aside
        self._stop_hunt(now)
        self._others, self._aside = [], stay
        self._returned(now)
        for each in there:
            if each not in stay:
                self._release(each, Cause.NORMAL_CLEARING, now)
        return self._take()

    def swap(self, leg: int, now: float) -> list[AnyEffect]:
        """The consulter talks to those aside, and leaves aside whom it has talked to. Raises `TransferRefused`."""
        self._consults(leg)
        aside, self._aside = self._aside, [each for each in self.talkers if each != leg]
        self._others = []
        self._seat([leg, *aside])
        self._settled(now)
        return self._take()

    def confer(self, leg: int, now: float) -> list[AnyEffect]:
        """All three, or more, talk. Raises `TransferRefused`."""
        self._consults(leg)
        members = [*self.talkers, *self._aside]
        if not all(map(self._hears, members)):
            raise TransferRefused("a codec of that call can't be mixed", 488)
        self._consulter, self._aside = 0, []
        self._seat(members)
        self._settled(now)
        return self._take()

    def drop(self, leg: int, now: float) -> list[AnyEffect]:
        """One of those in the call has to go, and the others talk on. Raises `TransferRefused`."""
        if self.state is State.ENDING or self._session_of(leg) is None:
            raise TransferRefused("that one is not in the call")
        self._release(leg, Cause.NORMAL_CLEARING, now)
        return self._take()

    def hold(self, leg: int, now: float) -> list[AnyEffect]:
        """A talker holds the others, as its telephone might: they hear music, it hears nothing. Raises
        `TransferRefused`."""
        self._may_send_on(leg)
        if leg in self._holders:
            raise TransferRefused("it holds that call already")
        self._holders.add(leg)
        return self._held(now)

    def resume(self, leg: int, now: float) -> list[AnyEffect]:
        """A talker takes up again what it held by `hold`. Raises `TransferRefused`."""
        if self.state is not State.TALKING or leg not in self._holders:
            raise TransferRefused("it does not hold that call by command")
        self._holders.discard(leg)
        return self._held(now)

    def _held(self, now: float) -> list[AnyEffect]:
        self._mix()
        self._tune()
        session = self._session_of(self.b)
        assert session is not None
        self._note_hold(now, session)
        return self._take()

    def _consults(self, leg: int, ringing: bool = False) -> None:
        """Raises `TransferRefused` where this leg does not consult, or (not `ringing`) nobody has answered it."""
        if not self._consulter or leg != self._consulter or not self._aside:
            raise TransferRefused(self.REFUSED)
        if self.state is not State.TALKING and not ringing:
            raise TransferRefused("the one who is consulted has not answered yet")
        if self._moving:
            raise TransferRefused("its media is being changed at this moment: try again", 491)

    # ---- what becomes of a consultation -----------------------------------------------------------------

    def _consulted(self, now: float) -> None:
        """Whom the consulter has called has answered: it is B."""
        self._stop_waiting()
        if not self._aside:  # they have gone meanwhile
            self._consulter = 0
        self._settled(now)

    def _consulted_in_vain(self, cause: int, now: float) -> None:
        """Nobody has answered the consulter."""
        self._stop_waiting()
        if not self._aside:
            self._end_all(cause, now, by="switch", text="nobody was reached")
            return
        if self._hears(self._consulter):
            self._effects.append(Audio(Play(self._new_id(), (FAILED,), stream=self._consulter, over=True)))
        self._returned(now)

    def _returned(self, now: float) -> None:
        """The consulter talks to those aside again."""
        self._stop_waiting()
        members, self._aside = [self._consulter, *self._aside], []
        self._consulter = 0
        self._others = []
        self._seat(members)
        self._settled(now)

    def _left_to_others(self, now: float) -> None:
        """The consulter goes, or is gone: those aside talk to whom it has talked to, or wait for whom it has called."""
        gone, aside = self._consulter, self._aside
        self._consulter, self._aside = 0, []
        self._stop_waiting()
        if self.state is State.HUNTING:
            by = self._a_endpoint.name
            rang = self._waiting_rings
            self._put_first(aside[0])
            self._others = aside[1:]
            self._transfer = Transfer(gone if gone in self._out else 0, by, gone)
            self._payer = Payer("extension", by, forwarded=True)
            self._caller = self._party(self.a)
            self.contact.enter("ring", now)
            self._waiting_rings = False
            self._nobody_to_supervise(now)
            self._mix()
            self._tune()
            self._recording_follows()
            self._wait(rang)
        else:
            members = aside + [leg for leg in self.talkers if leg != gone]
            self._others = []
            self._seat(members)
            self._settled(now)

    def _settled(self, now: float) -> None:
        if not self._consulter:
            # Who it ended with, as far as is known: whoever came last.
            called = [leg for leg in self.talkers if leg != self._caller_leg]
            self.contact.destination = self._endpoint_of(max(called)).name
        self._nobody_to_supervise(now)
        self._settle(now)
        self._recording_follows()

    def _stop_hunt(self, now: float) -> None:
        hunt, self._hunt = self._hunt, None
        if hunt is None:
            return
        self._effects.append(CancelTimer(RING_TIMER))
        for leg in hunt.stop():
            self._release(leg, Cause.NORMAL_CLEARING, now)

    # ---- who goes ---------------------------------------------------------------------------------------

    def _goes_on(self, leg: int, now: float) -> bool:
        """A leg that has talked, waited or supervised is gone: whether the call goes on without it. `leg` is in no
        table of legs any more, but still where it had its place."""
        self._holders.discard(leg)
        supervised = self._supervisors.pop(leg, None)
        if supervised is not None:
            self._mix()
            self._recording_follows()
            return True
        if leg in self._aside:
            self._aside.remove(leg)
            self._nobody_to_supervise(now)
            self._music.pop(leg, None)
            if not self._aside and self.state is State.TALKING:
                self._consulter = 0
            if self.state is State.TALKING:
                self._settled(now)
            else:
                self._mix()
                self._tune()
            return True
        if self._consulter and leg == self._consulter and self._aside:
            self._left_to_others(now)
            return True
        if self.state is not State.TALKING:
            return self._waits_without(leg, now)
        return self._talk_on_without(leg, now)

    def _talk_on_without(self, leg: int, now: float) -> bool:
        rest = [each for each in (self.a, self.b, *self._others) if each and each != leg]
        if self._aside and rest == [self._consulter]:
            self._returned(now)
            return True
        if len(rest) < 2:
            return False
        self._others = []
        self._seat(rest)
        self._settled(now)
        return True

    def _nobody_to_supervise(self, now: float) -> None:
        """Whoever supervises a leg that is in the call no more, goes."""
        there = (*self.talkers, *self._aside)
        for supervisor, how in list(self._supervisors.items()):
            if how.target not in there:
                del self._supervisors[supervisor]
                self._release(supervisor, Cause.NORMAL_CLEARING, now)

    # ---- supervision ------------------------------------------------------------------------------------

    def _supervise(self, leg: int, how: Supervision) -> None:
        self._supervisors[leg] = how
        self._mix()
        self._recording_follows()
        self._listen(leg)
        endpoint = self._endpoint_of(how.target)
        if endpoint.kind == "extension" and self._directory.beeps(endpoint.name):
            self._effects.append(Audio(Play(self._new_id(), (BEEP,), stream=how.target, over=True)))

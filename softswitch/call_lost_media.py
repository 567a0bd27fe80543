"""Streams that are lost with their media process, and opened anew at another one.

stream of X lost  --MoveMedia--> X, then bridged as before; X refuses, or nobody takes the stream: the call ends.
                  A caller whom the switch itself answers is served again instead (`softswitch.call_alone`)
"""

from __future__ import annotations

from media.negotiate import AudioOffer, AudioPolicy, AudioSession
from softswitch.call_floor import State
from softswitch.call_media import LegMedia
from softswitch.causes import Cause
from softswitch.contact import Contact
from softswitch.vocabulary import MediaLost, MoveMedia, ReofferRefused, SetTimer

MOVE_TIMER = "move"
MOVE_AGAIN = 0.25
"""Seconds until a leg whose stream could not be moved (no media worker yet, its own offer open) is tried again."""

MOVE_WITHIN = 10.0
"""Seconds after a loss of streams within which they have to lie elsewhere, or the call ends."""


class MovedMedia(LegMedia):
    """The part of a `Call` that has lost streams opened anew."""

    __slots__ = ("_move_until",)

    def __init__(self, contact: Contact, leg: int, offer: AudioOffer | None, policy: AudioPolicy) -> None:
        super().__init__(contact, leg, offer, policy)
        self._move_until = 0.0

    def _service_lost(self, now: float) -> None:
        """What the switch itself does for A has ended with its media process."""
        raise NotImplementedError

    def _serve_again(self, now: float, answered: bool) -> None:
        """A's stream is open anew; `answered`: A sends to it."""
        raise NotImplementedError

    def _media_lost(self, event: MediaLost, now: float) -> None:
        """A leg's stream is gone. A leg that is answered gets another, whether its call is or waits for others; one
        that is on its way there, or from there, is let go. A call that is not answered yet is given up."""
        established = event.leg in self._there() and self._session_of(event.leg) is not None
        if not self._is_answered() or not established:
            if not self._goes_alone(event.leg, now):
                self._stranded(now)
            return
        if not self._moving:
            self._move_until = now + MOVE_WITHIN
        if self._alone:
            self._service_lost(now)
        self._move(event.leg, now)

    def _is_answered(self) -> bool:
        """Whether A is answered, be it that others are called for it now."""
        return self.state in (State.TALKING, State.PARKED) or self._alone

    def _there(self) -> list[int]:
        """The legs that have a place in the call."""
        return [*self.talkers, *self._aside, *self._supervisors]

    def _goes_alone(self, leg: int, now: float) -> bool:
        """Let a leg go that has no media any more, where the call goes on without it; else False."""
        raise NotImplementedError

    def _move(self, leg: int, now: float) -> None:
        session = self._session_of(leg)
        if session is None:
            return
        self._moving[leg] = True
        self._listening.discard(leg)
        direction = session.direction
        other = self.partner(leg) if self.state is State.TALKING else None
        if other is not None and self._bends(leg) and not self._holds(other):
            # It comes with the hold of somebody it talks to no more.
            self._along.discard(leg)
            direction = "sendrecv"
        self._effects.append(MoveMedia(leg, session.codecs + session.dtmf, direction))
        self._join_again(now)

    def _moved(self, leg: int, session: AudioSession, now: float) -> None:
        """The far end sends to the new address."""
        del self._moving[leg]
        self._join_again(now, answered=True)
        if self._carried is not None or self.state is not State.TALKING:
            return
        if self.partner(leg) is None:
            self._carry_answer(leg, session, now)
        else:
            self._align(leg, now)

    def _join_again(self, now: float, answered: bool = False) -> None:
        if self._alone:
            self._serve_again(now, answered)
            return
        self._mix_anew()
        for leg in self.talkers if self.state is State.TALKING else ():
            self._listen(leg)

    def _move_refused(self, event: ReofferRefused, now: float) -> None:
        if event.status == 491:
            self._not_moved(event.leg, now)
        else:
            self._stranded(now)

    def _not_moved(self, leg: int, now: float) -> None:
        """Not now: perhaps in a moment."""
        if leg in self._moving:
            self._moving[leg] = False
            self._effects.append(SetTimer(MOVE_TIMER, now + MOVE_AGAIN))

    def _move_on(self, now: float) -> None:
        """The timer of legs that could not be moved."""
        waiting = [leg for leg, asked in self._moving.items() if not asked]
        if waiting and now >= self._move_until:
            self._stranded(now)
            return
        for leg in waiting:
            self._move(leg, now)

    def _stranded(self, now: float) -> None:
        self._end_all(Cause.TEMPORARY_FAILURE, now, by="media", text="media worker lost", status=503)

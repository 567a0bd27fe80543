"""Confirmation: who answers has the call only with a key, so that a mobile's voicemail never takes it.

    HUNTING, X answers  --> X is asked ("press 1 to accept the call"), A hears ringing, others ring on
        X presses 1     --> X has the call, all others are released
        X presses 2     --> X is released, as are those who press nothing in time, or hang up: the hunt goes on
        A hangs up      --> all are released

Which legs have to confirm, and what a key means, the hunt knows (`softswitch.hunt`). Nothing that such a leg plays is
heard by A before: neither early media nor the greeting of a mailbox.
"""

from __future__ import annotations

from media.audio_commands import Detect, Play, PlayEnded, Silence, Source, StopPlay, Tone
from media.codec import transcodable
from softswitch.call_floor import OutLeg
from softswitch.call_refer import ReferringCall
from softswitch.causes import Cause
from softswitch.dialplan.decision import AnyTarget
from softswitch.hunt import Failure, Hunt
from softswitch.vocabulary import Audio, CancelTimer, DigitDialled, SetTimer

PAUSE = Silence(2.0)
"""Between two times that one is asked: time to find the key."""

WORDLESS: tuple[Source, ...] = (Tone("beep"), PAUSE)
"""What one hears who can't be asked in words, where the switch has no speech."""

UNCONFIRMED = Failure(Cause.NO_ANSWER, 480)
"""What it counts as when somebody answers and does not take the call: on_no_answer follows, not the caller's end."""

_TIMER = "confirm "  # and the leg


class ConfirmingCall(ReferringCall):
    """The part of a `Call` that asks whoever answers whether it takes the call."""

    __slots__ = ("_confirming", "_hunt", "_ringback")

    _confirming: dict[int, int]  # legs that are asked, and the play that each hears; 0: none
    _hunt: Hunt[AnyTarget] | None
    _ringback: int  # the play by which A hears ringing, where its phone does not ring by itself; 0: none

    def _take_call(self, leg: int, now: float) -> None:
        """A leg that has answered has the call."""
        raise NotImplementedError

    def _try_on(self, leg: int, out: OutLeg, failure: Failure, now: float, by_peer: bool = True) -> None:
        """A candidate failed: go on with the hunt."""
        raise NotImplementedError

    def _tell_ringing(self, status: int) -> None:
        """Pass a provisional status on to A."""
        raise NotImplementedError

    def _ask(self, leg: int, seconds: float, now: float) -> None:
        """Have a leg that has answered press a key."""
        out = self._out[leg]
        self._confirming[leg] = 0
        self._effects.append(SetTimer(f"{_TIMER}{leg}", now + seconds))
        if out.session is not None and transcodable(out.session.codecs[0].codec):
            # A mobile's keys may come as tones, whatever its trunk has agreed on.
            self._effects.append(Audio(Detect(leg, dtmf=True)))
            self._play_to(leg, (*self._directory.confirm_prompt(), PAUSE))
        if self._again:
            self._wait(rings=True)
        else:
            self._ring_caller()

    def _ring_caller(self) -> None:
        """A hears ringing: from its own phone or, where early media that is over has silenced that, from us."""
        codecs = self._a_codecs
        if codecs is None:
            self._tell_ringing(180)
        elif self._early is None and not self._ringback and transcodable(codecs[0].codec):
            self._ringback = self._new_id()
            self._effects.append(Audio(Play(self._ringback, (Tone("ringback"),), stream=self.a)))

    def _stop_ringback(self) -> None:
        if self._ringback:
            self._effects.append(Audio(StopPlay(self._ringback)))
            self._ringback = 0

    def _play_to(self, leg: int, sources: tuple[Source, ...]) -> None:
        play = self._confirming[leg] = self._new_id()
        self._effects.append(Audio(Play(play, sources, stream=leg, loop=True)))

    def _asking_ended(self, event: PlayEnded) -> None:
        """A question that could not be asked in words; whatever else ends one has its own event."""
        leg = next((leg for leg, play in self._confirming.items() if play == event.play), 0)
        if leg:
            self._confirming[leg] = 0
            if event.how == "failed":
                self._play_to(leg, WORDLESS)

    def _key_pressed(self, event: DigitDialled, now: float) -> None:
        """A digit of a leg that is asked; one that means nothing changes nothing."""
        hunt = self._hunt
        said = hunt.key(event.leg, event.digit) if hunt is not None else ""
        if said == "confirmed":
            self._take_call(event.leg, now)
        elif said == "refused":
            self._unconfirmed(event.leg, now)

    def _confirm_timer(self, name: str, now: float) -> None:
        """A timer that has fired, if it is one of those who are asked."""
        leg = name.removeprefix(_TIMER)
        if leg != name and int(leg) in self._confirming:
            self._unconfirmed(int(leg), now)

    def _unconfirmed(self, leg: int, now: float) -> None:
        """A leg has answered and does not take the call: it is let go, and others are tried."""
        self._release(leg, Cause.NORMAL_CLEARING, now, "not confirmed")
        self._try_on(leg, self._out[leg], UNCONFIRMED, now, by_peer=False)

    def _asked_no_more(self, leg: int) -> None:
        """Whatever became of it."""
        play = self._confirming.pop(leg, None)
        if play is None:
            return
        self._effects.append(CancelTimer(f"{_TIMER}{leg}"))
        if play:
            self._effects.append(Audio(StopPlay(play)))
        if leg in self._out and self._policy_of(leg).digits != "inband":
            self._effects.append(Audio(Detect(leg)))
        elif leg in self._out:
            self._listening.add(leg)

    def _waits(self, leg: int) -> bool:
        return leg in self._confirming or super()._waits(leg)

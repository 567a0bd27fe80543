"""Blind transfer, done by the switch itself: the one who stays waits while somebody else is called in the transferor's
place.

    TALKING A-B, B sends A to a number:  HUNTING, B waits in silence, A hears music, then ringing
        somebody answers  --> A talks to them, B is released
        nobody does       --> A talks to B again; where B has hung up, the call ends
        A hangs up        --> all are released

Where the caller is the transferor the legs change places first, so that A is always the one who stays. No leg is asked
for anything but, at the end, for codecs that make a relay: the engine joins whom it is told to join.
"""

from __future__ import annotations

from media.audio_commands import Music, Play, Source, StopPlay, Tone
from media.codec import transcodable
from media.negotiate import AudioOffer, AudioSession, as_offer, flipped, relay_answer, renames
from media.sdp import NO_COMMON_CODEC, NoCommonCodec
from softswitch.call_alone import LoneCaller
from softswitch.call_media import OutLeg, State
from softswitch.causes import Cause
from softswitch.vocabulary import (
    Answer,
    AnyEffect,
    Audio,
    Endpoint,
    RefuseOffer,
    Reoffered,
    TransferEnded,
    Unbridge,
)

WAITING_MUSIC = "default"
"""What A hears until it rings, where no class of music is set for it."""


class TransferRefused(ValueError):
    """A transfer can't be begun: `args[0]` says why."""


class Transfer:
    """One that is under way. `transferor`: its leg, 0 when it has hung up."""

    __slots__ = ("requested_by", "transferor")

    def __init__(self, transferor: int) -> None:
        self.transferor = transferor
        self.requested_by = transferor


class TransferringCall(LoneCaller):
    """The part of a `Call` in which A waits for somebody else."""

    __slots__ = ("_a_endpoint", "_transfer", "_waiting_play", "_waiting_rings")

    _a_endpoint: Endpoint  # who A is, as `OutLeg.endpoint` says of the others
    _transfer: Transfer | None
    _waiting_play: int  # what A hears meanwhile
    _waiting_rings: bool  # and that it is ringing

    def _release(self, leg: int, cause: int, now: float, text: str = "", status: int = 0) -> None:
        raise NotImplementedError

    def _begin_transfer(self, leg: int) -> None:
        """`leg` leaves, its partner waits."""
        if leg == self.a:
            self._change_places()
        assert self.b is not None
        for play in self._music.values():
            self._effects.append(Audio(StopPlay(play)))
        self._music.clear()
        self._transfer = Transfer(self.b)
        self.b = None
        self.state = State.HUNTING
        self._effects.append(Unbridge(self.a))
        self._wait(rings=False)

    def _change_places(self) -> None:
        """B becomes A, whom others are called for."""
        assert self.b is not None
        out = self._out.pop(self.b)
        assert out.session is not None
        before = OutLeg(self._a_endpoint)
        before.session, before.status = self._a_session, 200
        self._out[self.a] = before
        self.a, self.b = self.b, self.a
        self._a_endpoint, self._a_policy, self._a_session = out.endpoint, out.endpoint.policy, out.session
        self._offer = as_offer(out.session, out.endpoint.policy)

    def _wait(self, rings: bool) -> None:
        """Let A hear that it is being served."""
        session = self._a_session
        if session is None or not transcodable(session.codecs[0].codec):
            return
        if self._waiting_play and rings == self._waiting_rings:
            return
        self._stop_waiting()
        self._waiting_rings = rings
        self._waiting_play = self._new_id()
        source = Tone("ringback") if rings else Music(self._music_for(self.a) or WAITING_MUSIC)
        self._effects.append(Audio(Play(self._waiting_play, (source,), stream=self.a)))

    def _stop_waiting(self) -> None:
        if self._waiting_play:
            self._effects.append(Audio(StopPlay(self._waiting_play)))
            self._waiting_play = 0

    def _serve(self, state: State, segment: str, service: AnyEffect | tuple[Source, ...], now: float) -> None:
        transfer, session = self._transfer, self._a_session
        if transfer is None or session is None:
            super()._serve(state, segment, service, now)
            return
        if state is not State.ECHO and not transcodable(session.codecs[0].codec):
            self._give_up(Cause.INCOMPATIBLE_DESTINATION, 488, now, text=NO_COMMON_CODEC)
            return
        self._transfer = None
        self._stop_waiting()
        self._let_go(transfer, now)
        self.contact.destination = segment
        self.contact.enter(segment, now)
        self.state = state
        self._service = service
        self._begin_service(now)

    def _let_go(self, transfer: Transfer, now: float) -> None:
        """The transferor is not needed any more."""
        if transfer.transferor in self._out:
            self._release(transfer.transferor, Cause.NORMAL_CLEARING, now, "transferred")
        self._effects.append(TransferEnded(transfer.requested_by, 200))

    def _reoffered(self, event: Reoffered, now: float) -> None:
        """Who waits, or waits for how it ends, is answered as it asks; other codecs are for later."""
        leg, offer, mine = event.leg, event.offer, self._session_of(event.leg)
        waiting = self._transfer is not None and leg in (self.a, self._transfer.transferor)
        if not waiting or mine is None:
            super()._reoffered(event, now)
        elif offer is None:
            self._effects.append(Answer(leg, mine.codecs + mine.dtmf, "sendrecv"))
        elif renames(mine, offer):
            self._effects.append(RefuseOffer(leg, 491))
        else:
            self._answer_as_asked(leg, offer, mine)

    def _answer_as_asked(self, leg: int, offer: AudioOffer, mine: AudioSession) -> None:
        try:
            codecs = relay_answer(offer, mine)
        except NoCommonCodec:
            self._effects.append(RefuseOffer(leg, 488))
            return
        if leg == self.a:
            self._offer = offer
        self._effects.append(Answer(leg, codecs, flipped(offer.direction)))

    def _transferred(self, leg: int, session: AudioSession, now: float) -> None:
        """Somebody has taken A."""
        transfer, self._transfer = self._transfer, None
        assert transfer is not None
        self._stop_waiting()
        self.state = State.TALKING
        self._join(leg)
        self.contact.enter("talk", now)
        self._let_go(transfer, now)
        self._carry_answer(leg, session, now)
        self._tune(now)

    def _transfer_failed(self, cause: int, status: int, now: float, text: str) -> None:
        """Nobody has: A is back with the transferor, if that is still there."""
        transfer, self._transfer = self._transfer, None
        assert transfer is not None
        self._stop_waiting()
        self._effects.append(TransferEnded(transfer.requested_by, status))
        if transfer.transferor not in self._out:
            self._end_all(cause, now, by="switch", text=text or "transfer failed")
            return
        self.b = transfer.transferor
        self.state = State.TALKING
        self._join(self.b)
        self.contact.enter("talk", now)
        self._tune(now)

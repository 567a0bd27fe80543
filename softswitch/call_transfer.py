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
from softswitch.call_directory import Directory
from softswitch.call_media import OutLeg, State
from softswitch.causes import Cause
from softswitch.dialplan.decision import Decision, Dial, ExtensionTarget
from softswitch.vocabulary import (
    Answer,
    AnyEffect,
    Audio,
    Diverted,
    Endpoint,
    Party,
    Payer,
    RefuseOffer,
    Reoffered,
    Setup,
    TransferTold,
    Unbridge,
)

WAITING_MUSIC = "default"
"""What A hears until it rings, where no class of music is set for it."""


class TransferRefused(ValueError):
    """A transfer can't be begun: `args[0]` says why. `status`: of the answer to a REFER."""

    def __init__(self, why: str, status: int = 403) -> None:
        super().__init__(why)
        self.status = status


class Transfer:
    """One that is under way. `transferor`: its leg, 0 when it has hung up."""

    __slots__ = ("requested_by", "transferor")

    def __init__(self, transferor: int) -> None:
        self.transferor = transferor
        self.requested_by = transferor


class TransferringCall(LoneCaller):
    """The part of a `Call` in which A waits for somebody else."""

    __slots__ = (
        "_a_endpoint",
        "_caller",
        "_caller_leg",
        "_directory",
        "_diversions",
        "_diverted",
        "_payer",
        "_ringing",
        "_transfer",
        "_waiting_play",
        "_waiting_rings",
        "setup",
    )

    setup: Setup
    _a_endpoint: Endpoint  # who A is, as `OutLeg.endpoint` says of the others
    _caller: Party  # who calls, as those are shown who are called
    _caller_leg: int  # the leg that the contact began with
    _directory: Directory
    _diversions: int
    _diverted: tuple[Diverted, ...]  # who has sent the call on, newest first
    _payer: Payer
    _ringing: int  # the provisional status A was told last
    _transfer: Transfer | None
    _waiting_play: int  # what A hears meanwhile
    _waiting_rings: bool  # and that it is ringing

    def _release(self, leg: int, cause: int, now: float, text: str = "", status: int = 0) -> None:
        raise NotImplementedError

    def _follow(self, decision: Decision, now: float) -> None:
        """Carry out what the dialplan decided."""
        raise NotImplementedError

    def _take(self) -> list[AnyEffect]:
        """The effects so far."""
        raise NotImplementedError

    def transfer(self, leg: int, number: str, now: float) -> list[AnyEffect]:
        """One of the two who talk sends the other one to a number, with its own rights. `TransferTold` follows. Raises
        `TransferRefused`."""
        if self.state is not State.TALKING or leg not in (self.a, self.b):
            raise TransferRefused("nobody talks to another in this call", 481)
        if self._moving or self._carried is not None:
            raise TransferRefused("its media is being changed at this moment: try again", 491)
        transferor = self._a_endpoint if leg == self.a else self._out[leg].endpoint
        if transferor.kind != "extension":
            raise TransferRefused(f"{transferor.kind} {transferor.name} may not transfer: expected an extension")
        caller = self._party(self.b if leg == self.a else self.a)
        context = self._directory.context_of(transferor.name)
        decision = self._directory.route(context, number, caller, "")
        if isinstance(decision, Dial) and decision.targets == (ExtensionTarget(transferor.name),):
            raise TransferRefused(f"{number} is the extension that transfers")
        self._begin_transfer(leg)
        self._caller = caller
        self._diverted = ()  # that was on the way to those who have talked
        self._diversions = self._ringing = 0
        self._payer = Payer("extension", transferor.name, forwarded=True)
        self._follow(decision, now)
        return self._take()

    def leg_of(self, endpoint: str) -> int | None:
        """The leg of an extension or trunk in this call, where it has one and no more."""
        ends = [(self.a, self._a_endpoint), *((leg, out.endpoint) for leg, out in self._out.items())]
        found = [leg for leg, end in ends if leg and end.name == endpoint]
        return found[0] if len(found) == 1 else None

    def _party(self, leg: int | None) -> Party:
        """Who is on a leg, as those are shown whom it is connected to."""
        if leg == self._caller_leg:
            return self.setup.caller
        endpoint = self._a_endpoint if leg is None or leg == self.a else self._out[leg].endpoint
        return Party(endpoint.dialled or endpoint.name, self._directory.display_name(endpoint))

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
        if rings and not self._waiting_rings and self._transfer is not None:
            self._effects.append(TransferTold(self._transfer.requested_by, 180))
        if session is None or (self._waiting_play and rings == self._waiting_rings):
            return
        self._stop_waiting()
        self._waiting_rings = rings
        if not transcodable(session.codecs[0].codec):
            return
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
        self._effects.append(TransferTold(transfer.requested_by, 200))
        if transfer.transferor in self._out:
            self._release(transfer.transferor, Cause.NORMAL_CLEARING, now, "transferred")

    def _reoffered(self, event: Reoffered, now: float) -> None:
        """Who waits, or waits for how it ends, is answered as it asks; other codecs are for later."""
        leg, offer, mine = event.leg, event.offer, self._session_of(event.leg)
        if not self._waits(leg) or mine is None:
            super()._reoffered(event, now)
        elif offer is None:
            self._effects.append(Answer(leg, mine.codecs + mine.dtmf, "sendrecv"))
        elif renames(mine, offer):
            self._effects.append(RefuseOffer(leg, 491))
        else:
            self._answer_as_asked(leg, offer, mine)

    def _waits(self, leg: int) -> bool:
        """Whether a leg is in the call without hearing anybody of it."""
        return self._transfer is not None and leg in (self.a, self._transfer.transferor)

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
        self._note_hold(now, session)
        self._let_go(transfer, now)
        self._carry_answer(leg, session, now)

    def _transfer_failed(self, cause: int, status: int, now: float, text: str) -> None:
        """Nobody has: A is back with the transferor, if that is still there."""
        transfer, self._transfer = self._transfer, None
        assert transfer is not None
        self._stop_waiting()
        self._effects.append(TransferTold(transfer.requested_by, status))
        if transfer.transferor not in self._out:
            self._end_all(cause, now, by="switch", text=text or "transfer failed")
            return
        self.b = transfer.transferor
        self.state = State.TALKING
        self._join(self.b)
        session = self._out[self.b].session
        assert session is not None
        self._note_hold(now, session)
        self._tune()

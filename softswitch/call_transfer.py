"""Blind transfer, done by the switch itself: the one who stays waits while somebody else is called in the transferor's
place.

    TALKING A-B, B sends A to a number:  HUNTING, B waits in silence, A hears music, then ringing
        somebody answers  --> A talks to them, B is released
        nobody does       --> A talks to B again; where B has hung up, the call ends
        A hangs up        --> all are released

Where more than two talk, the others talk on meanwhile, and whoever answers talks along: A is one of them.

Where the caller is the transferor the legs change places first, so that A is always the one who stays. No leg is asked
for anything but, at the end, for codecs that make a relay: the engine joins whom it is told to join.
"""

from __future__ import annotations

from collections.abc import Iterable

from media.audio_commands import Music, Play, Source, StopPlay, Tone
from media.codec import transcodable
from media.negotiate import AudioOffer, AudioSession, flipped, relay_answer, renames
from media.sdp import NO_COMMON_CODEC, NoCommonCodec
from softswitch.call_alone import LoneCaller
from softswitch.call_directory import Directory
from softswitch.call_floor import WAITING_MUSIC, State
from softswitch.causes import Cause
from softswitch.dialplan.decision import Decision, Dial, ExtensionTarget, Reject
from softswitch.vocabulary import (
    Answer,
    AnyEffect,
    Audio,
    Diverted,
    Endpoint,
    EnterRoom,
    Party,
    Payer,
    RefuseOffer,
    Reoffered,
    Setup,
    TransferTold,
    Unbridge,
)

NOT_ANSWERED = "the call is not answered yet"


class TransferRefused(ValueError):
    """A transfer can't be begun: `args[0]` says why. `status`: of the answer to a REFER."""

    def __init__(self, why: str, status: int = 403) -> None:
        super().__init__(why)
        self.status = status


def no_way_to(number: str, context: str, decision: Reject) -> TransferRefused:
    """What is said where a context leads to nobody."""
    return TransferRefused(f"{number!r} can't be reached: {decision.why_in(context)}", 404)


class Transfer:
    """One that is under way. `transferor`: its leg, 0 when it has hung up; `by`: its extension, which is rung again
    when nobody else takes the call, and then the fallback (`again`: what is left of these; `fallback`: a number, "" for
    the extension's). `told`: whoever asked for it knows how it ended."""

    __slots__ = ("again", "by", "fallback", "requested_by", "told", "transferor")

    def __init__(self, transferor: int, by: str, requested_by: int = 0) -> None:
        self.transferor = transferor
        self.by = by
        self.requested_by = requested_by or transferor
        self.again = ["fallback", "recall"]
        self.fallback = ""
        self.told = False


class TransferringCall(LoneCaller):
    """The part of a `Call` in which A waits for somebody else."""

    __slots__ = (
        "_a_who",
        "_caller",
        "_caller_leg",
        "_consulter",
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
    _a_who: Party | None  # who A is, as `OutLeg.party`
    _caller: Party  # who calls, as those are shown who are called
    _caller_leg: int  # the leg that the contact began with
    _consulter: int  # the talker who has left the others aside for a consultation, 0: nobody
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

    def _recording_follows(self) -> None:
        """The talkers are others than before."""
        raise NotImplementedError

    def _settled(self, now: float) -> None:
        """The talkers are others than before: let them talk."""
        raise NotImplementedError

    def _take(self) -> list[AnyEffect]:
        """The effects so far."""
        raise NotImplementedError

    def _put_back(self, effects: list[AnyEffect]) -> None:
        """Leave to be carried out what a command, done on behalf of an event, has taken."""
        self._effects[:0] = effects

    def transfer(self, leg: int, number: str, now: float, told: bool = False) -> list[AnyEffect]:
        """One who talks sends the other one to a number, with its own rights; of several others, has that number called
        in its own place. `TransferTold` follows, also (`told`) where no route leads to it: else that is refused. Raises
        `TransferRefused`."""
        transferor = self._may_send_on(leg)
        if self._aside:
            raise TransferRefused("a consultation is under way in that call")
        caller = self._party(next(each for each in self.talkers if each != leg))
        context = self._directory.context_of(transferor.name)
        decision = self._directory.route(context, number, caller, "")
        if isinstance(decision, Dial) and decision.targets == (ExtensionTarget(transferor.name),):
            raise TransferRefused(f"{number} is the extension that transfers")
        if isinstance(decision, Reject) and not told:
            raise no_way_to(number, context, decision)
        self._begin_transfer(leg)
        self._caller = caller
        self._diverted = ()  # that was on the way to those who have talked
        self._diversions = self._ringing = 0
        self._payer = Payer("extension", transferor.name, forwarded=True)
        self._send_on(decision, now)
        return self._take()

    def _send_on(self, decision: Decision, now: float) -> None:
        """A is to talk to somebody else, as was decided."""
        self._follow(decision, now)

    def _why_nobody_talks(self) -> str:
        """For whoever wants something of those who talk, where the call is not that far, or the switch has answered."""
        room = self._service
        if self.state is State.CONFERRING and isinstance(room, EnterRoom):
            return f"the call is in conference room {room.name!r}: expected 'softswitch conference'"
        return "nobody talks to another in this call" if self.contact.answered else NOT_ANSWERED

    def _may_send_on(self, leg: int) -> Endpoint:
        """The extension of a talker who may have something done with its call now. Raises `TransferRefused`."""
        if self.state is not State.TALKING or leg not in self.talkers:
            raise TransferRefused(self._why_nobody_talks())
        if self._moving or self._carried is not None:
            raise TransferRefused("its media is being changed at this moment: try again", 491)
        endpoint = self._endpoint_of(leg)
        if endpoint.kind != "extension":
            raise TransferRefused(f"{endpoint.kind} {endpoint.name} may not transfer: expected an extension")
        return endpoint

    def leg_of(self, end: str) -> int | None:
        """The leg of an extension or trunk in this call, or else of whoever has that number on a trunk, where there is
        one and no more."""
        ends = [(self.a, self._a_endpoint), *((leg, out.endpoint) for leg, out in self._out.items())]
        there = [(leg, endpoint) for leg, endpoint in ends if leg]
        found = [leg for leg, endpoint in there if endpoint.name == end]
        if not found and end:
            found = [leg for leg, endpoint in there if endpoint.kind == "trunk" and self._party(leg).number == end]
        return found[0] if len(found) == 1 else None

    @property
    def _referrer(self) -> str:
        """The extension that has asked for the transfer that others are called for now; "" where nobody has. Whom it
        rings in the end, where that was in vain (recall, fallback), it has not asked for."""
        transfer = self._transfer
        return transfer.by if transfer is not None and not transfer.told else ""

    @property
    def _again(self) -> bool:
        """Others are called for an A that is answered already."""
        return self._transfer is not None or bool(self._consulter)

    def party(self, leg: int) -> Party:
        """Who is on a leg that is not gone, as those are shown whom it is connected to."""
        return self._party(leg)

    def _party(self, leg: int | None) -> Party:
        """Who is on a leg, as those are shown whom it is connected to."""
        leg = self.a if leg is None else leg
        who = self._a_who if leg == self.a else self._out[leg].party
        if who is not None:
            return who
        endpoint = self._endpoint_of(leg)
        return Party(endpoint.dialled or endpoint.name, self._directory.display_name(endpoint))

    def _a_party(self) -> Party | None:
        return self._a_who

    def _take_party(self, party: Party | None) -> None:
        self._a_who = party

    def _begin_transfer(self, leg: int) -> None:
        """`leg` leaves, its partner waits; several others talk on."""
        stay = [each for each in self.talkers if each != leg]
        if leg == self.a:
            self._put_first(stay[0])
        self._transfer = Transfer(leg, self._out[leg].endpoint.name)
        self._hunt_for_a([each for each in stay if each != self.a])

    def _hunt_for_a(self, others: Iterable[int] = ()) -> None:
        """A, which is answered, waits while others are called for it. `others`: they and A talk on meanwhile."""
        self.b = None
        self._others = list(others)
        self._holders &= {self.a, *self._others} if self._others else set()
        self.state = State.HUNTING
        if not self._others:
            self._effects.append(Unbridge(self.a))
        self._mix()
        self._tune()
        self._recording_follows()
        self._waiting_rings = False
        self._wait(rings=False)

    def _wait(self, rings: bool) -> None:
        """Let A hear that it is being served: one who consults, only that it rings."""
        transfer = self._transfer
        if rings and not self._waiting_rings and transfer is not None and not transfer.told:
            self._effects.append(TransferTold(transfer.requested_by, 180))
        if self._others:
            self._waiting_rings = rings  # they talk
            return
        if self._a_session is None or (self._waiting_play and rings == self._waiting_rings):
            return
        self._stop_waiting()
        self._waiting_rings = rings
        if not self._hears(self.a) or (self._consulter and not rings):
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
        if self._consulter:
            # A consultation is with somebody: rooms and announcements are to be dialled, or transferred to.
            self._give_up(Cause.FACILITY_REJECTED, 501, now, text="nobody to be consulted")
            return
        if self._others:
            self._give_up(Cause.FACILITY_REJECTED, 501, now, text="nobody who could talk along")
            return
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
        for supervisor in list(self._supervisors):  # of two who talk: of those is nobody left
            del self._supervisors[supervisor]
            self._release(supervisor, Cause.NORMAL_CLEARING, now)
        self._mix()
        self._service = service
        self._begin_service(now)
        if self._bends(self.a):  # somebody who has held it has left it to us
            self._carry(self.a, session.codecs + session.dtmf, "sendrecv")

    def _let_go(self, transfer: Transfer, now: float) -> None:
        """The transferor is not needed any more."""
        self._tell_transferor(transfer, 200)
        if transfer.transferor in self._out:
            self._release(transfer.transferor, Cause.NORMAL_CLEARING, now, "transferred")

    def _tell_transferor(self, transfer: Transfer, status: int) -> None:
        if not transfer.told:
            transfer.told = True
            self._effects.append(TransferTold(transfer.requested_by, status))

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

    def _is_answered(self) -> bool:
        return super()._is_answered() or (self._again and self.state is State.HUNTING)

    def _there(self) -> list[int]:
        transferor = self._transfer.transferor if self._transfer is not None else 0
        return [*super()._there(), *([transferor] if transferor else [])]

    def _join_again(self, now: float, answered: bool = False) -> None:
        super()._join_again(now, answered)
        if self._again and self.state is State.HUNTING and answered:
            self._wait(self._waiting_rings)

    def _waits(self, leg: int) -> bool:
        """Whether a leg is in the call without hearing anybody of it."""
        if self._transfer is not None:
            return leg == self._transfer.transferor or (leg == self.a and not self._others)
        return self._again and self.state is State.HUNTING and leg == self.a

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
        if self._others and not self._hears(leg):
            self._transfer, self.b = transfer, None
            self._release(leg, Cause.INCOMPATIBLE_DESTINATION, now, NO_COMMON_CODEC, 488)
            self._transfer_failed(Cause.INCOMPATIBLE_DESTINATION, 488, now, NO_COMMON_CODEC)
            return
        self._stop_waiting()
        self._settled(now)
        self._let_go(transfer, now)

    def _transfer_failed(self, cause: int, status: int, now: float, text: str) -> None:
        """Nobody has: A is back with the transferor, if that is still there. Else its extension is rung, then the
        fallback."""
        transfer, self._transfer = self._transfer, None
        assert transfer is not None
        self._stop_waiting()
        self._tell_transferor(transfer, status)
        if transfer.transferor in self._out:
            self.b = transfer.transferor
            self._settled(now)
            return
        if self._others:
            self._seat([self.a, *self._others])
            self._settled(now)
            return
        decision = self._last_resort(transfer)
        if decision is None:
            self._end_all(cause, now, by="switch", text=text or "transfer failed")
            return
        self._transfer = transfer
        self._diversions = self._ringing = 0
        self._waiting_rings = False
        self._wait(rings=False)
        self._follow(decision, now)

    def _waits_without(self, leg: int, now: float) -> bool:
        """One of those is gone who talk on while somebody is called: whether the others still do, or the last one
        waits, as in any transfer."""
        if self._transfer is None or not self._others:
            return False
        stay = [each for each in self.talkers if each != leg]
        self._others = []
        self._put_first(stay[0])
        self.b, self._others = None, [each for each in stay if each != self.a]
        for supervisor, how in list(self._supervisors.items()):
            if how.target == leg:
                del self._supervisors[supervisor]
                self._release(supervisor, Cause.NORMAL_CLEARING, now)
        self._mix()
        self._tune()
        self._recording_follows()
        self._wait(self._waiting_rings)
        return True

    def _last_resort(self, transfer: Transfer) -> Decision | None:
        """Who is still to be rung for A, where nobody has taken it and nobody waits for how that ends."""
        while transfer.again:
            if transfer.again.pop() == "recall":
                if self._directory.recalls(transfer.by):
                    return Dial((ExtensionTarget(transfer.by),), route="recall")
                continue
            number = transfer.fallback or self._directory.fallback(transfer.by)
            if number:
                return self._directory.route(self._directory.context_of(transfer.by), number, self._caller, "")
        return None

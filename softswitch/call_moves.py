"""Legs that move from one call to another: pick-up, retrieval of a parked caller, Replaces, Join, supervision.

    take_in(moving, place)    a leg of another call comes in, by what it comes for (`Place`)
        answered already  --> it has its place at once
        not yet           --> it is answered, and has its place when its ACK is here
    hand_over(leg)            a leg leaves for another call; the rest of this one is for whoever moves legs to end
    give_hunt, take_hunt      those who ring for A of one call ring for A of another (an attended transfer while
                              it rings)

`softswitch.call_mover` moves legs between calls; this says what that is to either of them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from media.audio_commands import Source, StopPlay
from media.codec import transcodable
from media.negotiate import AudioOffer, AudioPolicy, AudioSession, own_answer, own_offer, relay_answer, shares_codec
from media.sdp import NO_COMMON_CODEC, NoCommonCodec, PayloadType
from softswitch.call_consult import MAX_TALKERS, RING_TIMER, ConsultingCall
from softswitch.call_floor import OutLeg, State, Supervision, SupervisionMode
from softswitch.call_transfer import TransferRefused
from softswitch.causes import Cause
from softswitch.contact import LegRecord
from softswitch.dialplan.decision import AnyTarget, Dial
from softswitch.hunt import Hunt
from softswitch.vocabulary import (
    Accept,
    AnyEffect,
    Audio,
    CancelTimer,
    Confirmed,
    LegEffect,
    Party,
    Payer,
    SetTimer,
    Unbridge,
)

MAX_SUPERVISORS = 4
"""Of one call."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """What a leg comes into a call for.

    answer: it takes the call, instead of those who ring. retrieve: it takes the one who is parked. replace: it takes
    the place of `leg`. join: it talks along with the talkers. supervise: it listens to `leg`, as `mode` says. page: it
    hears the page that it is called for.
    """

    kind: Literal["answer", "retrieve", "replace", "join", "supervise", "page"]
    leg: int = 0
    mode: SupervisionMode = "listen"


class MovingLeg(msgspec.Struct, gc=False):
    """A leg on its way from one call to another; `party`: who is on it."""

    leg: int
    out: OutLeg
    party: Party
    record: LegRecord | None


class MovingHunt(msgspec.Struct, gc=False):
    """Those who ring for a call, on their way to another one. `rings`: one of them has told that it does."""

    hunt: Hunt[AnyTarget]
    plan: Dial | None
    sole_target: str
    payer: Payer
    diversions: int
    deadline: float
    legs: list[MovingLeg]
    rings: bool


class MovingCall(ConsultingCall):
    """The part of a `Call` that takes legs in and hands them over."""

    __slots__ = ("_arriving", "_inviting", "_plan", "_ring_deadline", "_sole_target", "moved")

    _arriving: dict[int, Place]  # legs that are answered, and what they come for
    _inviting: dict[int, tuple[Place, float]]  # legs that are called in, what for, and until when they ring
    _plan: Dial | None
    _ring_deadline: float  # when the stage that rings is over
    _sole_target: str
    moved: bool  # all there was of it has gone to another call: nothing is to be written down

    def _connect_answered(self, leg: int, now: float) -> None:
        """This leg has taken the call: it is B."""
        raise NotImplementedError

    def _finish_if_over(self) -> None:
        raise NotImplementedError

    # ---- a leg comes ------------------------------------------------------------------------------------

    def check_place(self, place: Place) -> None:
        """Raises `TransferRefused` where nobody can come in for that now."""
        match place.kind:
            case "answer":
                if self.state is not State.HUNTING or self._hunt is None:
                    raise TransferRefused("nobody rings in that call", 480)
            case "retrieve":
                if self.state is not State.PARKED:
                    raise TransferRefused("nobody is parked there", 404)
            case "replace":
                self._check_replaced(place.leg)
            case _:
                there = place.leg in (*self.talkers, *self._aside)
                if self.state is not State.TALKING or not there or self._moving:
                    raise TransferRefused(self._why_nobody_talks(), 480)
                if not all(map(self._hears, self.talkers)):
                    raise TransferRefused("a codec of that call can't be mixed", 488)
                if place.kind == "join" and len(self.talkers) >= MAX_TALKERS:
                    raise TransferRefused(f"{MAX_TALKERS} are in that call", 486)
                waiting = [leg for leg, (there, _) in self._inviting.items() if there.kind == "supervise"]
                called_in = {self._endpoint_of(leg).name for leg in waiting}
                if place.kind == "supervise" and len(self._supervisors) + len(called_in) >= MAX_SUPERVISORS:
                    raise TransferRefused(f"{MAX_SUPERVISORS} supervise that call", 486)

    def _check_replaced(self, leg: int) -> None:
        talks = self.state is State.TALKING and leg in (*self.talkers, *self._aside)
        waits = self._transfer is not None and leg in self.talkers
        if not talks and not waits:
            raise TransferRefused("who is to be replaced talks to nobody", 480)
        if self._moving or self._carried is not None:
            raise TransferRefused("its media is being changed at this moment: try again", 491)

    def fitting(self, place: Place, offer: AudioOffer | None, policy: AudioPolicy) -> tuple[PayloadType, ...]:
        """What to answer a leg with that comes, or to offer it. Raises `TransferRefused`."""
        mixed = place.kind in ("join", "supervise") or self._conference or bool(self._supervisors)
        try:
            if offer is None:
                codecs = own_offer(policy, None, mixed)
            elif mixed:
                codecs = own_answer(offer, heard=True)
            else:
                codecs = self._fitting_two(place, offer)
        except NoCommonCodec as problem:
            raise TransferRefused(problem.reason, 488) from None
        if not codecs:
            raise TransferRefused(NO_COMMON_CODEC, 488)
        return codecs

    def _fitting_two(self, place: Place, offer: AudioOffer) -> tuple[PayloadType, ...]:
        """For a leg that will talk to one other."""
        other = self.partner(place.leg) if place.kind == "replace" and self.state is State.TALKING else self.a
        session = self._session_of(other)
        if other is not None and session is not None:
            return relay_answer(offer, session, self._policy_of(other))
        theirs = self._offer
        if theirs is None or not shares_codec(offer, self._a_policy):
            return own_answer(offer)
        named = {p.codec for p in theirs.codecs}
        common = tuple([p for p in offer.codecs if p.codec in named])
        return own_answer(msgspec.structs.replace(offer, codecs=common) if common else offer)

    def check_codecs(
        self, place: Place, offer: AudioOffer | None, policy: AudioPolicy, session: AudioSession | None
    ) -> None:
        """Raises `TransferRefused` where a leg with that offer, or with that session, can't come in."""
        if session is None:
            self.fitting(place, offer, policy)
        elif place.kind in ("join", "supervise") and not transcodable(session.codecs[0].codec):
            raise TransferRefused("its codec can't be mixed", 488)

    def take_in(self, moving: MovingLeg, place: Place, now: float) -> list[AnyEffect]:
        """A leg of another call comes in, for which `check_place` and `check_codecs` have passed."""
        out = moving.out
        codecs = self.fitting(place, out.offer, out.endpoint.policy) if out.session is None else ()
        self._admit(moving, now)
        if place.kind == "answer":
            self._stop_hunt_for(moving.leg, now)
        if out.session is None:
            self._arriving[moving.leg] = place
            out.offer = None
            self._effects.append(Accept(moving.leg, codecs))
        else:
            self._arrived(moving.leg, place, now)
        return self.effects()

    def _admit(self, moving: MovingLeg, now: float) -> None:
        moving.out.party = moving.party
        self._out[moving.leg] = moving.out
        record = moving.record
        if record is None:
            return
        record = msgspec.structs.replace(record, ended=0.0, cause=0, status=0)
        if record.answered:  # what it was before is written down where it was
            record.started = record.answered = now
            record.rang = 0.0
        record.started = max(record.started, self.contact.started)
        self.contact.add_leg(record)

    def _stop_hunt_for(self, leg: int, now: float) -> None:
        hunt, self._hunt = self._hunt, None
        if hunt is None:
            return
        self._effects.append(CancelTimer(RING_TIMER))
        for other in hunt.stop():
            if other != leg:
                self._release(other, Cause.ANSWERED_ELSEWHERE, now)

    def _arrived(self, leg: int, place: Place, now: float) -> None:
        """A leg that has come in is answered."""
        record = self.contact.leg(leg)
        if record is not None and not record.answered:
            record.answered = now
        try:
            self._still(place)
        except TransferRefused as refused:
            self._release(leg, Cause.NORMAL_CLEARING, now, str(refused))
            return
        match place.kind:
            case "answer":
                self._stop_hunt_for(leg, now)
                self._uncarry()
                self.b = leg
                self._early = None
                self.contact.destination = self._out[leg].endpoint.name
                self._connect_answered(leg, now)
            case "retrieve":
                self._unpark()
                self._seat([self.a, leg])
                self._settled(now)
            case "replace":
                self._replace(place.leg, leg, now)
            case "join":
                self._seat([*self.talkers, leg])
                self._settled(now)
            case "supervise":
                self._supervise(leg, Supervision(place.leg, place.mode))
            case "page":
                self._paged(leg, now)

    def _paged(self, leg: int, now: float) -> None:
        """One who is paged has answered."""
        raise NotImplementedError

    def _arrival_confirmed(self, event: Confirmed, now: float) -> None:
        """A leg that has come in has seen our answer; where that was an offer, its answer is here."""
        place = self._arriving.pop(event.leg)
        out = self._out.get(event.leg)
        if out is None:
            return
        if event.session is not None:
            self._keep_session(event.leg, event.session)
        if out.session is None:
            self._release(event.leg, Cause.INCOMPATIBLE_DESTINATION, now, "no answer to our offer")
        else:
            self._arrived(event.leg, place, now)

    def _still(self, place: Place) -> None:
        """Raises `TransferRefused` where what a leg has come for is there no more."""
        if place.kind != "answer":
            self.check_place(place)
        elif self.state is not State.HUNTING or self._hunt is not None:  # a hunt: it is another one by now
            raise TransferRefused("the caller waits for that call no more", 480)

    def _unpark(self) -> None:
        """A is parked no more."""
        raise NotImplementedError

    def _replace(self, old: int, new: int, now: float) -> None:
        """`new` has the place of `old`, which is released."""
        mine, theirs = self._endpoint_of(new), self._endpoint_of(old)
        if old == self._caller_leg and (mine.kind, mine.name) == (theirs.kind, theirs.name):
            self._caller_leg = new  # at another telephone
        if self._transfer is not None and self._others:  # who talk on while somebody is called
            stay = [new if leg == old else leg for leg in self.talkers]
            self._others = []
            self._put_first(stay[0])
            self._others = [leg for leg in stay if leg != self.a]
            self._mix()
            self._tune()
        elif self._transfer is not None:  # A, whom others are called for
            self._put_first(new)
            self._waiting_play, play = 0, self._waiting_play
            if play:
                self._effects.append(Audio(StopPlay(play)))
            self._wait(self._waiting_rings)
        elif old in self._aside:
            self._aside[self._aside.index(old)] = new
            self._effects += [Audio(StopPlay(play)) for leg, play in self._music.items() if leg == old]
            self._music.pop(old, None)
            self._mix()
            self._tune()
        else:
            members = [new if leg == old else leg for leg in self.talkers]
            if self._consulter == old:
                self._consulter = new
            self._others = []
            self._seat(members)
            self._settled(now)
        if old in self._left:
            self._left.add(new)
        self._nobody_to_supervise(now)
        self._release(old, Cause.NORMAL_CLEARING, now, "replaced")

    # ---- a leg goes -------------------------------------------------------------------------------------

    def terms_of(self, leg: int) -> tuple[AudioOffer | None, AudioPolicy, AudioSession | None]:
        """What a leg has offered where it is not answered yet, its policy, and what is agreed on it."""
        offer = self._offer if leg == self.a else self._out[leg].offer
        return offer, self._policy_of(leg), self._session_of(leg)

    def rings(self, leg: int) -> bool:
        """Whether this leg is one that rings for A."""
        return self.state is State.HUNTING and self._hunt is not None and leg in self._hunt.legs()

    def check_leaving(self, leg: int) -> None:
        """Raises `TransferRefused` where one who talks can't leave the others to somebody else now."""
        self._may_send_on(leg)
        if self._aside:
            raise TransferRefused("a consultation is under way in that call")

    def serve_instead(self, leg: int, other: MovingCall, now: float) -> list[AnyEffect]:
        """One who talks leaves its partner to what the switch does for A of another call. Raises `TransferRefused`."""
        self.check_leaving(leg)
        if self.partner(leg) is None:
            raise TransferRefused("more than two are in that call")
        service = other.serving(self._partner_of(leg))
        if service is None:
            raise TransferRefused("there is nothing to leave it to", 480)
        self._begin_transfer(leg)
        self._serve(other.state, other.contact.destination, service, now)
        return self.effects()

    def _partner_of(self, leg: int) -> int:
        partner = self.partner(leg)
        assert partner is not None
        return partner

    def serving(self, leg: int) -> AnyEffect | tuple[Source, ...] | None:
        """What the switch does for A, as if it did it for that leg."""
        service = self._service
        if isinstance(service, tuple) or service is None:
            return service
        return msgspec.structs.replace(service, leg=leg) if isinstance(service, LegEffect) else None

    def left_over(self, now: float, status: int = 0) -> list[AnyEffect]:
        """What another call has been for has moved to one: end the rest, if there is any. `status`: of the answer to a
        caller who is not answered yet."""
        if not self.legs():
            self.state = State.ENDING
            self.contact.end(Cause.NORMAL_CLEARING, 0, "transfer", now)
            self._finish_if_over()
        else:
            self._end_all(Cause.NORMAL_CLEARING, now, by="transfer", status=status)
        return self.effects()

    def legs(self) -> list[int]:
        """The legs that are not gone."""
        return [leg for leg in (self.a, *self._out) if leg]

    def effects(self) -> list[AnyEffect]:
        """What has been left to be carried out."""
        return self._take()

    def hand_over(self, leg: int, now: float) -> MovingLeg:
        """A leg leaves for another call. What else there is of this one has to be ended."""
        party = self._party(leg)
        record = self.contact.leg(leg)
        if self._carried is not None and self._carried.leg == leg:
            self._uncarry()
        if leg == self.a:
            out = OutLeg(self._a_endpoint)
            out.session, out.offer, out.status = self._a_session, self._offer, 200
            if self._a_session is not None:
                out.offer = None
            self.a = 0
        else:
            out = self._out.pop(leg)
        for play in self._plays_to(leg):
            self._effects.append(Audio(StopPlay(play)))
        self._music.pop(leg, None)
        self._listening.discard(leg)
        if leg == self.b:
            self.b = None
        self._others = [each for each in self._others if each != leg]
        self._aside = [each for each in self._aside if each != leg]
        moved = MovingLeg(leg, out, party, msgspec.structs.replace(record) if record is not None else None)
        if record is not None:
            record.ended, record.cause = now, Cause.NORMAL_CLEARING
        if self.state is State.TALKING and len(self.talkers) < 2:
            self._effects.append(Unbridge(leg))
        self._mix()
        return moved

    def _plays_to(self, leg: int) -> list[int]:
        plays = [play for each, play in self._music.items() if each == leg]
        if leg == self.a:
            plays += [play for play in (self._waiting_play, self._play) if play]
            self._waiting_play = self._play = 0
        return plays

    def bends(self, leg: int) -> bool:
        """Whether a leg that moves brings a direction along that somebody else had asked for."""
        return self._bends(leg)

    def bent(self, leg: int) -> None:
        """A leg that came in brings such a direction."""
        self._along.add(leg)

    # ---- a hunt moves -----------------------------------------------------------------------------------

    def give_hunt(self, now: float) -> MovingHunt:
        """Those who ring for A are to ring for A of another call. Raises `TransferRefused`."""
        hunt = self._hunt
        if self.state is not State.HUNTING or hunt is None or self._again:
            raise TransferRefused("nobody rings in that call")
        if self._confirming:
            raise TransferRefused("somebody is being asked whether they take the call", 491)
        self._hunt = None
        self._effects.append(CancelTimer(RING_TIMER))
        rings = any(self._out[leg].status >= 180 for leg in hunt.legs() if leg in self._out)
        legs = [self.hand_over(leg, now) for leg in hunt.legs() if leg in self._out]
        return MovingHunt(
            hunt,
            self._plan,
            self._sole_target,
            self._payer,
            self._diversions,
            self._ring_deadline,
            legs,
            rings,
        )

    def take_hunt(self, leg: int, moving: MovingHunt, now: float) -> list[AnyEffect]:
        """`leg`, who talks here, leaves the others to those who ring for it elsewhere."""
        self._begin_transfer(leg)
        self._hunt, self._plan, self._sole_target = moving.hunt, moving.plan, moving.sole_target
        self._payer, self._diversions = moving.payer, moving.diversions
        self._caller = self._party(self.a)  # whom those are shown who are called from now on
        self._ring_deadline = moving.deadline
        for each in moving.legs:
            party = each.out.party
            self._admit(each, now)
            each.out.party = party
        self.contact.enter("ring", now)
        self._effects.append(SetTimer(RING_TIMER, moving.deadline))
        if moving.rings:
            self._wait(rings=True)
        return self._take()

"""The call model: one contact's legs, from the first ring to the last leg's end, as a reducer.

    (event, now) -> effects

States and what moves them:

    ROUTING --route--> HUNTING --Answered--> TALKING --Released--> ENDING --last leg gone--> (Finished)
       |                  |  \\--Answered, caller made no offer--> OFFERING --Confirmed--> TALKING
       |                  \\--all failed--> continuation (forward, fall-through) or ENDING
       |--page--> PAGING --first answer--> TALKING (`softswitch.call_page`)
       |--echo, announcement, conference--> ECHO, ANNOUNCING, CONFERRING --Released, PlayEnded--> ENDING
       |--feature code, PIN--> ASKING (`softswitch.call_asking`)
       \\--reject--> ENDING

The inbound leg is A; the legs of the hunt are candidates, and the one that answers is B. The media of A is anchored
here, so a candidate's early media, its answer, and every later change of either leg are an offer/answer of that leg
alone, which the call carries to the other one where the other one is concerned:

- a re-offer that changes codecs or direction (hold) is offered to the other leg first and answered as that leg answers;
- one that changes only where the media goes is answered at once: the other leg sends to us all the same;
- one without an offer is answered with what stands, and carried on when the peer's answer differs.

The call knows no SIP, opens no socket and reads no clock. It asks its `Directory` (dialplan, registrations, trunks)
and says what it wants as effects; `softswitch/runtime.py` carries them out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from media.audio_commands import PlayEnded
from media.negotiate import AudioOffer, AudioPolicy, flipped, relay_answer
from softswitch.call_asking import ASK_TIMER, PIN_SEGMENT
from softswitch.call_confirm import UNCONFIRMED
from softswitch.call_consult import RING_TIMER
from softswitch.call_digits import DigitPath
from softswitch.call_directory import Directory
from softswitch.call_floor import State
from softswitch.call_hunting import MAX_DIVERSIONS
from softswitch.call_inviting import INVITE_TIMER, SUPERVISOR_KEYS
from softswitch.call_lost_media import MOVE_TIMER
from softswitch.call_media import ALONE, MEND_TIMER
from softswitch.call_moves import Place
from softswitch.call_page import PAGE_TIMER
from softswitch.call_park import PARK_TIMER
from softswitch.call_recording import CallRecorder, RecordingEvent
from softswitch.call_refer import REFER_TIMER
from softswitch.call_roles import RolesCall
from softswitch.causes import Cause, cause_of_status, status_of_cause
from softswitch.contact import Contact
from softswitch.dialplan.decision import (
    Announce,
    Confer,
    Decision,
    Dial,
    Echo,
    Intercom,
    Page,
    Park,
    PickUp,
    Reject,
    Retrieve,
    Seeking,
    Supervise,
    UseFeature,
)
from softswitch.hunt import Failure
from softswitch.vocabulary import (
    Answered,
    AnyEffect,
    AnyLegEvent,
    CancelTimer,
    Confirmed,
    DigitDialled,
    Endpoint,
    Finished,
    MediaFailed,
    MediaLost,
    MediaSilent,
    NotMoved,
    Offer,
    OfferWithdrawn,
    Party,
    Payer,
    Progressed,
    Reanswered,
    Redirected,
    Release,
    Released,
    Reoffered,
    ReofferRefused,
    Seek,
    SeekFailed,
    Setup,
    TransferAnswered,
    TransferTold,
    Unbridge,
)


class Call(RolesCall):
    """One contact being handled. Made when an inbound leg has arrived and its identity is proved."""

    __slots__ = ("_a_answered", "_digits")

    def __init__(
        self,
        contact: Contact,
        leg: int,
        setup: Setup,
        offer: AudioOffer | None,
        policy: AudioPolicy,
        directory: Directory,
        new_leg: Callable[[], int],
    ) -> None:
        super().__init__(contact, leg, offer, policy)
        self.setup = setup
        self._directory = directory
        self._payer = Payer(setup.kind, setup.endpoint)
        self._a_endpoint = Endpoint(setup.kind, setup.endpoint, policy, None, setup.caller.number)
        self._caller = setup.caller
        self._caller_leg = leg
        self._a_who = setup.caller
        self._consulter = 0
        self._left = set()
        self._arriving = {}
        self._inviting = {}
        self._readers = {}
        self._dialling = {}
        self._ring_deadline = 0.0
        self._parked_in = None
        self._parked_by = ""
        self._goodbye = (0, 0, 0)
        self.moved = False
        self._page = None
        self._transfer = None
        self._asked_away = None
        self._waiting_play = 0
        self._waiting_rings = False
        self._new_leg = new_leg
        self._hunt = None
        self._confirming = {}
        contact.diverted = setup.diverted
        self._ringback = 0
        self._plan = None
        self._sole_target = ""
        self._diversions = 0
        self._diverted = setup.diverted
        self._ringing = 0
        self._a_codecs = None
        self._play = 0
        self._heard = self._heard_at = 0.0
        self._service = None
        self._stand = ""
        self._question = None
        self._tone = None
        self._a_answered = False
        self._refit = False
        self._digits = DigitPath()
        self._channels = {}
        self._recorder = CallRecorder(contact, new_leg)

    # ---- inputs -----------------------------------------------------------------------------------------

    def begin(self, now: float) -> list[AnyEffect]:
        """Route the call. Effects to carry out, in order."""
        self.contact.enter("route", now)
        if self.setup.hops <= 0:
            # RFC 3261 16.3 step 3: with Max-Forwards 0 "the element MUST NOT forward the request", and answers 483.
            self._give_up(Cause.EXCHANGE_ROUTING_ERROR, 483, now)
        elif self.setup.diversions >= MAX_DIVERSIONS:
            self._give_up(Cause.EXCHANGE_ROUTING_ERROR, 482, now)
        else:
            setup = self.setup
            code = self._directory.code(setup)
            self._follow(code or self._directory.route(setup.context, setup.dialled, setup.caller, setup.did), now)
        return self._take()

    def handle(self, event: AnyLegEvent, now: float) -> list[AnyEffect]:
        """One leg event to completion. Effects to carry out, in order."""
        match event:
            case Progressed():
                self._progressed(event, now)
            case Answered():
                self._answered(event, now)
            case Confirmed():
                self._confirmed(event, now)
            case Reoffered():
                self._reoffered(event, now)
            case OfferWithdrawn():
                self._offer_withdrawn(event)
            case Reanswered():
                self._reanswered(event, now)
            case ReofferRefused():
                self._reoffer_refused(event, now)
            case Redirected():
                self._redirected(event, now)
            case Released():
                self._released(event, now)
            case MediaSilent(leg=leg) if self._transfer is not None and leg == self._transfer.transferor:
                self._release(leg, Cause.TIMER_EXPIRED, now, "RTP timeout")  # the one who stays waits all the same
            case MediaSilent(leg=leg) if self._conference or self._aside or leg in self._supervisors:
                self._release(leg, Cause.TIMER_EXPIRED, now, "RTP timeout")
            case MediaSilent(leg=leg) if leg in self._confirming:
                self._unconfirmed(leg, now)
            case MediaSilent(leg=leg) if self.state in (State.TALKING, State.PARKED) and leg not in (self.a, self.b):
                self._release(leg, Cause.TIMER_EXPIRED, now, "RTP timeout")  # it comes, or hears where A is parked
            case MediaSilent():
                self._end_all(Cause.TIMER_EXPIRED, now, by="media", text="RTP timeout")
            case MediaFailed():
                self._media_failed(event, now)
            case MediaLost():
                self._media_lost(event, now)
            case NotMoved(leg=leg):
                self._not_moved(leg, now)
            case DigitDialled():
                if not self._asked_digit(event, now):
                    self._digit_dialled(event, now)
            case TransferAnswered():
                self._transfer_answered(event, now)
            case SeekFailed():
                self._give_up(cause_of_status(event.status), event.status, now, text=event.why)
            case _:
                assert_never(event)
        return self._take()

    def audio_event(self, event: PlayEnded | RecordingEvent, now: float) -> list[AnyEffect]:
        """What the engine says of a play or a recording of this call."""
        if isinstance(event, PlayEnded):
            self._play_ended(event, now)
            self._music_ended(event)
            self._goodbye_said(event, now)
            self._asking_ended(event)
            if event.play == self._waiting_play:
                self._waiting_play = 0
        else:
            self._recorder.heard(event, now)
        return self._take()

    def timer_fired(self, name: str, now: float) -> list[AnyEffect]:
        """A timer that this call set."""
        if name == RING_TIMER and self._hunt is not None and self.state is State.HUNTING:
            for leg in self._hunt.timed_out():
                self._release(leg, Cause.NO_ANSWER, now)
            self._next_stage(now)
        elif name == ASK_TIMER:
            self._whole(now)
        elif name == MOVE_TIMER and self._is_answered():
            self._move_on(now)
        elif name == MEND_TIMER and self.state is State.TALKING:
            self._mend(now)
        elif name == INVITE_TIMER:
            self._invited_in_vain(now)
        elif name == PAGE_TIMER:
            self._paged_long_enough(now)
        elif name == REFER_TIMER:
            self._refer_failed(now)
        elif name == PARK_TIMER:
            self._parked_too_long(now)
        elif not self._code_timer(name, now):
            self._confirm_timer(name, now)
        return self._take()

    def hang_up(self, cause: int, now: float, by: str, text: str = "") -> list[AnyEffect]:
        """End the call from outside: an operator, or the end of a drain."""
        self._end_all(cause, now, by=by, text=text)
        return self._take()

    def party(self, leg: int) -> Party:
        """Who is on a leg, as others are shown."""
        return self._party(leg)

    def _new_id(self) -> int:
        return self._new_leg()

    def _own_music(self, leg: int) -> str:
        if leg == self.a:
            return self._directory.music(self._a_endpoint.kind, self._a_endpoint.name)
        out = self._out.get(leg)
        return "" if out is None else self._directory.music(out.endpoint.kind, out.endpoint.name)

    def _take(self) -> list[AnyEffect]:
        effects, self._effects = self._effects, []
        return self._with_video(effects)

    # ---- routing ----------------------------------------------------------------------------------------

    def _follow(self, decision: Decision, now: float) -> None:
        """Carry out what the dialplan decided."""
        self._stop_ringback()
        match decision:
            case Dial():
                self._dial(decision, now)
            case Echo():
                self._echo(now)
            case Announce():
                self._announce(decision, now)
            case Confer():
                self._confer(decision, now)
            case UseFeature():
                self._use_feature(decision, now)
            case Intercom():
                self._intercom(decision, now)
            case Page():
                self._page_all(decision, now)
            case Park():
                self._park_a(decision, now)
            case Retrieve() | PickUp() | Supervise():
                self._seek(decision, now)
            case Reject():
                cause = decision.cause
                self._give_up(cause, decision.status or status_of_cause(cause), now)
            case _:
                assert_never(decision)

    def _seek(self, decision: Seeking, now: float) -> None:
        """A wants to come into another call."""
        if self._again or self._a_codecs is not None:
            self._give_up(Cause.FACILITY_REJECTED, 403, now, text="nobody can be sent there")
        else:
            self._effects.append(Seek(self.a, decision))

    def _digit_dialled(self, event: DigitDialled, now: float) -> None:
        """A digit of one leg: what it was asked for, what a supervisor wants, or where the media does not bring it to
        the other."""
        if event.leg in self._confirming:
            self._key_pressed(event, now)
            return
        mode = SUPERVISOR_KEYS.get(event.digit)
        if mode is not None and self.supervises(event.leg):
            self._put_back(self.set_mode(event.leg, mode))
            return
        if not self._digits.twice(event):
            self._code_digit(event, now)
        other = self.partner(event.leg)
        if other is not None:
            effect = self._digits.pass_on(event, other, self._policy_of(other))
            if effect is not None:
                self._effects.append(effect)

    def _mark_answered(self, now: float, segment: str) -> None:
        if segment != PIN_SEGMENT:
            self.contact.answered = now
        self.contact.enter(segment, now)
        record = self.contact.leg(self.a)
        if record is not None:
            record.answered = now

    def _confirmed(self, event: Confirmed, now: float) -> None:
        """A leg has seen our answer; where that was an offer, its answer is here."""
        if event.leg in self._arriving:
            self._arrival_confirmed(event, now)
            return
        if event.leg != self.a:
            return
        self._a_answered = True
        if event.session is not None:
            self._a_session = event.session
        if self.state is State.OFFERING and self.b is not None:
            if event.session is None:
                self._end_all(Cause.INCOMPATIBLE_DESTINATION, now, by="media", text="no answer to our offer")
                return
            self._talk(self.b, now)
            self._carry_answer(self.a, event.session, now)
        elif self.state in ALONE:
            self._confirmed_alone(now)
        elif self.state is State.PAGING:
            self._pager_confirmed(now)
        elif self._refit and self.b is not None and self._offer is not None:
            self._refit = False
            session = self._out[self.b].session
            if session is not None:
                codecs = relay_answer(self._offer, session, self._policy_of(self.b))
                self._effects.append(Offer(self.a, codecs, flipped(session.direction)))

    # ---- ends -------------------------------------------------------------------------------------------

    def _released(self, event: Released, now: float) -> None:
        leg = event.leg
        out = self._out.get(leg)
        if leg != self.a and out is None:
            return
        talked = leg in (*self.talkers, *self._aside, *self._supervisors)
        asked = leg in self._confirming
        self._leg_gone(leg, event.cause, event.status, now)
        if leg == self.a:
            self.a = 0
            if self._a_endpoint.kind == "trunk":
                self._directory.left(self.contact.id, leg, now)
        if self._taken_over(leg):
            self._referred(now)
        elif self._inviting.pop(leg, None) is not None:
            self._invitee_gone(event, now)
        elif leg in self._arriving:
            self._came_to_nothing(self._arriving.pop(leg), event, now)
        elif self._transfer is not None and leg == self._transfer.transferor:
            self._transfer.transferor = 0
        elif talked:
            if not self._goes_on(leg, now):
                peer = "caller" if leg == self._caller_leg else "callee"
                by = peer if event.by_peer else "switch"
                if leg == self.b:
                    self.b = None
                self._end_all(event.cause, now, by=by, text=event.text if out is not None else "", status=event.status)
        elif self.state is State.HUNTING and self._hunt is not None and out is not None and leg in self._hunt.legs():
            for other in self._hunt.declined(leg) if event.status >= 600 else ():
                self._release(other, Cause.ANSWERED_ELSEWHERE, now)
                self._hunt.failed(other, Failure(Cause.CALL_REJECTED, event.status))
            failure = Failure(event.cause, event.status, event.retry_after, event.text)
            self._try_on(leg, out, UNCONFIRMED if asked else failure, now, event.by_peer and not asked)
        else:
            self._finish_if_over()

    def _came_to_nothing(self, place: Place, event: Released, now: float) -> None:
        """A leg has hung up before it had the place that it came for."""
        if place.kind == "answer" and self.state is State.HUNTING and self._hunt is None:
            self._give_up(Cause.NO_ANSWER, 480, now)
        self._finish_if_over()

    def _media_failed(self, event: MediaFailed, now: float) -> None:
        if self._page is not None and event.leg != self.a:
            self._page_without(event.leg, event.why, now)
        elif not self._goes_alone(event.leg, now):
            self._end_all(Cause.RESOURCE_UNAVAILABLE, now, by="media", text=event.why, status=503)

    def _goes_alone(self, leg: int, now: float) -> bool:
        rest = self._conference or bool(self._aside) or leg not in (self.a, self.b)
        if not rest or self.state is State.OFFERING or leg not in (self.a, *self._out):
            return False
        self._release(leg, Cause.RESOURCE_UNAVAILABLE, now)
        return True

    def _give_up(self, cause: int, status: int, now: float, retry_after: float | None = None, text: str = "") -> None:
        """Refuse A: nobody took the call."""
        if self._transfer is not None:
            self._transfer_failed(cause, status, now, text)
            return
        if self._consulter and self.state is State.HUNTING:
            self._consulted_in_vain(cause, now)
            return
        self.state = State.ENDING
        self.contact.end(cause, status, "switch", now)
        if self.a:
            wait = None if retry_after is None else int(retry_after) + 1
            self._effects.append(Release(self.a, cause, status, text, wait))

    def _end_all(self, cause: int, now: float, by: str, text: str = "", status: int = 0) -> None:
        """The contact is over: release every leg that is left."""
        if self.state is not State.ENDING:
            self.state = State.ENDING
            self.contact.end(cause, status, by, now)
            self._effects.append(CancelTimer(RING_TIMER))
            self._effects += self._recorder.end()
            self._hunt = None
            if self._transfer is not None:
                self._tell_transferor(self._transfer, 487)
                self._transfer = None
            if self._goodbye[0]:
                self._effects.append(TransferTold(self._goodbye[2], 487))
                self._goodbye = (0, 0, 0)
            self._aside, self._others, self._consulter = [], [], 0
            if self._inviting:
                self._inviting.clear()
                self._effects.append(CancelTimer(INVITE_TIMER))
            self._supervisors.clear()
            self._close_room("talk")
            self._close_room("aside")
            if self._parked_in is not None:
                self._unpark()
            for leg in self.legs():
                self._release(leg, cause, now, text, status)
        self._finish_if_over()

    def _release(self, leg: int, cause: int, now: float, text: str = "", status: int = 0) -> None:
        self._asked_no_more(leg)
        self._effects.append(Release(leg, cause, status, text))

    def _leg_gone(self, leg: int, cause: int, status: int, now: float) -> None:
        out = self._out.pop(leg, None)
        self._asked_no_more(leg)
        self._forget_codes(leg)
        if out is not None and out.endpoint.kind == "trunk":
            self._directory.left(self.contact.id, leg, now)
        if self._early == leg:
            self._early = None
            self._uncarry()
            self._effects.append(Unbridge(self.a))
            if self._confirming and self._transfer is None:
                self._ring_caller()
        record = self.contact.leg(leg)
        if record is not None and not record.ended:
            record.ended = now
            record.cause = cause
            record.status = status

    def _finish_if_over(self) -> None:
        if self.state is State.ENDING and not self.a and not self._out:
            self._effects.append(Finished())

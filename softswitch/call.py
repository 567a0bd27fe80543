"""The call model: one contact's legs, from the first ring to the last leg's end, as a reducer.

    (event, now) -> effects

States and what moves them:

    ROUTING --route--> HUNTING --Answered--> TALKING --Released--> ENDING --last leg gone--> (Finished)
       |                  |  \\--Answered, caller made no offer--> OFFERING --Confirmed--> TALKING
       |                  \\--all failed--> continuation (forward, fall-through) or ENDING
       |--echo, announcement, conference--> ECHO, ANNOUNCING, CONFERRING --Released, PlayEnded--> ENDING
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

import msgspec

from media.audio_commands import PlayEnded, StreamLabels
from media.negotiate import (
    AudioOffer,
    AudioPolicy,
    AudioSession,
    as_offer,
    flipped,
    lopsided,
    relay_answer,
    relay_offer,
    relays,
    transcodes,
)
from media.sdp import NO_COMMON_CODEC, NoCommonCodec
from softswitch.call_digits import DigitPath
from softswitch.call_directory import Directory
from softswitch.call_media import ALONE, MEND_AFTER, MEND_TIMER, MOVE_TIMER, OutLeg, State, codec_name, own_media
from softswitch.call_recording import CallRecorder, Channels, RecordingEvent, RecordingRefused, rule_of
from softswitch.call_video import VideoCall
from softswitch.causes import Cause, status_for_caller, status_of_cause
from softswitch.contact import Contact, LegRecord
from softswitch.dialplan.decision import Announce, Confer, Decision, Dial, Echo, ExtensionTarget, Reject, TrunkTarget
from softswitch.hunt import Candidate, Failure, Hunt, Outcome, Target
from softswitch.recording_labels import leg_label
from softswitch.vocabulary import (
    Accept,
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
    Originate,
    Payer,
    Progress,
    Progressed,
    Reanswered,
    Redirected,
    Release,
    Released,
    Reoffered,
    ReofferRefused,
    SetTimer,
    Setup,
    TransferTold,
    Unbridge,
)

MAX_FORWARDS_OF_NUMBER = 5
"""Diversions (call forwarding, 302, fall-through) of one contact: more is a loop."""

RING_TIMER = "ring"


class Call(VideoCall):
    """One contact being handled. Made when an inbound leg has arrived and its identity is proved."""

    __slots__ = (
        "_a_answered",
        "_digits",
        "_diversions",
        "_hunt",
        "_new_leg",
        "_plan",
        "_recorder",
        "_refit",
        "_sole_target",
    )

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
        self._transfer = None
        self._waiting_play = 0
        self._waiting_rings = False
        self._new_leg = new_leg
        self._hunt: Hunt[ExtensionTarget | TrunkTarget] | None = None
        self._plan: Dial | None = None
        self._sole_target = ""
        self._diversions = 0
        self._ringing = 0
        self._a_codecs = None
        self._play = 0
        self._heard = self._heard_at = 0.0
        self._service = None
        self._a_answered = False
        self._refit = False  # A must be re-offered: early media and answer differ in codec
        self._digits = DigitPath()
        self._recorder = CallRecorder(contact, new_leg)

    # ---- inputs -----------------------------------------------------------------------------------------

    def begin(self, now: float) -> list[AnyEffect]:
        """Route the call. Effects to carry out, in order."""
        self.contact.enter("route", now)
        if self.setup.hops <= 0:
            # RFC 3261 16.3 step 3: with Max-Forwards 0 "the element MUST NOT forward the request", and answers 483.
            self._give_up(Cause.EXCHANGE_ROUTING_ERROR, 483, now)
        else:
            self._follow(
                self._directory.route(self.setup.context, self.setup.dialled, self.setup.caller, self.setup.did), now
            )
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
            case MediaSilent():
                self._end_all(Cause.TIMER_EXPIRED, now, by="media", text="RTP timeout")
            case MediaFailed():
                self._media_failed(event, now)
            case MediaLost():
                self._media_lost(event, now)
            case NotMoved(leg=leg):
                self._not_moved(leg, now)
            case DigitDialled():
                self._digit_dialled(event)
            case _:
                assert_never(event)
        return self._take()

    def audio_event(self, event: PlayEnded | RecordingEvent, now: float) -> list[AnyEffect]:
        """What the engine says of a play or a recording of this call."""
        if isinstance(event, PlayEnded):
            self._play_ended(event, now)
            self._music_ended(event)
            if event.play == self._waiting_play:
                self._waiting_play = 0
        else:
            self._recorder.heard(event, now)
        return self._take()

    def record(self, action: str) -> list[AnyEffect]:
        """`start`, `pause`, `resume` or `stop` the recording of a call in progress. Raises `RecordingRefused`."""
        if self.state is not State.TALKING:
            raise RecordingRefused("nobody talks to another in this call")
        self._effects += self._recorder.command(action, *self._recorded())
        return self._take()

    @property
    def recording(self) -> str:
        """Whether the call is being recorded: "on", "paused", or ""."""
        if not self._recorder.recording:
            return ""
        return "paused" if self._recorder.paused else "on"

    def timer_fired(self, name: str, now: float) -> list[AnyEffect]:
        """A timer that this call set."""
        if name == RING_TIMER and self._hunt is not None and self.state is State.HUNTING:
            for leg in self._hunt.timed_out():
                self._release(leg, Cause.NO_ANSWER, now)
            self._next_stage(now)
        elif name == MOVE_TIMER and (self.state is State.TALKING or self._alone):
            self._move_on(now)
        elif name == MEND_TIMER and self.state is State.TALKING:
            session = self._session_of(self._to_mend)
            if self._carried is not None:
                self._effects.append(SetTimer(MEND_TIMER, now + MEND_AFTER))
            elif session is not None:
                self._carry_answer(self._to_mend, session, now)
        return self._take()

    def hang_up(self, cause: int, now: float, by: str, text: str = "") -> list[AnyEffect]:
        """End the call from outside: an operator, or the end of a drain."""
        self._end_all(cause, now, by=by, text=text)
        return self._take()

    def legs(self) -> list[int]:
        """The legs that are not gone."""
        return [leg for leg in (self.a, *self._out) if leg]

    def _new_id(self) -> int:
        return self._new_leg()

    def _music_for(self, leg: int) -> str:
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
        match decision:
            case Dial():
                self._dial(decision, now)
            case Echo():
                self._echo(now)
            case Announce():
                self._announce(decision, now)
            case Confer():
                self._confer(decision, now)
            case Reject():
                cause = decision.cause
                self._give_up(cause, decision.status or status_of_cause(cause), now)
            case _:
                assert_never(decision)

    def _dial(self, plan: Dial, now: float) -> None:
        self.state = State.HUNTING
        self.contact.enter("ring", now)
        self._plan = plan
        first = plan.targets[0]
        self._sole_target = first.number if len(plan.targets) == 1 and isinstance(first, ExtensionTarget) else ""
        if self._sole_target:
            forward = self._directory.forward(self._sole_target, "always")
            if forward is not None:
                self._divert(forward, self._sole_target, now)
                return
        self._hunt = Hunt(plan.targets, plan.mode == "sequence", plan.ring_timeout)
        self._next_stage(now)

    def _next_stage(self, now: float) -> None:
        """Ring the next stage of the hunt; continue after the hunt when none is left."""
        hunt = self._hunt
        assert hunt is not None
        while True:
            candidates = hunt.next_stage(lambda target: self._look_up(target, now))
            if not candidates:
                self._hunted_in_vain(hunt.outcome(), now)
                return
            self._effects.append(SetTimer(RING_TIMER, now + hunt.timeout))
            self._call(candidates, now)
            if not hunt.stage_over():
                return

    def _look_up(self, target: ExtensionTarget | TrunkTarget, now: float) -> Target:
        return self._directory.target(target, self._caller, self._payer, self.contact.id, now)

    def _call(self, candidates: list[Candidate], now: float) -> None:
        """Originate a leg to each candidate that has a codec in common with the caller."""
        hunt = self._hunt
        assert hunt is not None
        waiting = list(reversed(candidates))
        while waiting:
            candidate = waiting.pop()
            endpoint = candidate.endpoint
            leg = self._new_leg()
            hunt.called(candidate, leg)
            try:
                codecs = relay_offer(self._offer or own_media(self._a_policy), endpoint.policy)
            except NoCommonCodec:
                waiting.extend(hunt.failed(leg, Failure(Cause.INCOMPATIBLE_DESTINATION, 488, text=NO_COMMON_CODEC)))
                continue
            self._out[leg] = OutLeg(endpoint)
            self.contact.add_leg(
                LegRecord(leg, "out", endpoint.kind, endpoint.name, endpoint.dialled or endpoint.name, now)
            )
            self._effects.append(
                Originate(
                    leg,
                    endpoint,
                    self._caller,
                    codecs,
                    self._offer.direction if self._offer is not None else "sendrecv",
                    self.setup.hops - 1,
                    self.setup.headers,
                )
            )

    def _hunted_in_vain(self, outcome: Outcome, now: float) -> None:
        """Nobody took the call: the dialplan's continuation, the extension's own forward, or the end."""
        self._effects.append(CancelTimer(RING_TIMER))
        plan = self._plan
        self._hunt = None
        assert plan is not None
        then = {
            "busy": plan.on_busy,
            "no_answer": plan.on_no_answer,
            "unavailable": plan.on_unavailable,
            "rejected": None,
        }[outcome.kind]
        if then is not None:
            if self._count_diversion(now):
                self._follow(then, now)
            return
        if self._sole_target and outcome.kind != "rejected":
            forward = self._directory.forward(self._sole_target, outcome.kind)
            if forward is not None:
                self._divert(forward, self._sole_target, now)
                return
        status = status_for_caller(outcome.status, outcome.cause)
        self._give_up(outcome.cause, status, now, outcome.retry_after, outcome.text)

    def _divert(self, number: str, extension: str, now: float) -> None:
        """Go on with another number, dialled as by the extension and on its account."""
        if self._count_diversion(now):
            self._tell_ringing(181)
            self._payer = Payer("extension", extension, forwarded=True)
            context = self._directory.context_of(extension)
            self._follow(self._directory.route(context, number, self._caller, ""), now)

    def _count_diversion(self, now: float) -> bool:
        self._diversions += 1
        if self._diversions > MAX_FORWARDS_OF_NUMBER:
            self._give_up(Cause.EXCHANGE_ROUTING_ERROR, 482, now)
            return False
        return True

    # ---- the hunt's events ------------------------------------------------------------------------------

    def _progressed(self, event: Progressed, now: float) -> None:
        out = self._out.get(event.leg)
        if out is None or self.state is not State.HUNTING:
            return
        if not out.status:
            self._directory.reached(out.endpoint)
            record = self.contact.leg(event.leg)
            if record is not None:
                record.rang = now
        out.status = event.status
        if event.session is not None:
            out.session = event.session
        if self._transfer is not None:
            self._wait(rings=True)
            return
        if event.session is None or self._offer is None or self._early not in (None, event.leg):
            self._tell_ringing(event.status)
            return
        if self._a_codecs is None:
            try:
                codecs = relay_answer(self._offer, event.session, out.endpoint.policy)
            except NoCommonCodec:
                self._tell_ringing(event.status)
                return
            self._a_codecs = codecs
            self._ringing = event.status
            self._effects.append(Progress(self.a, event.status, codecs, flipped(event.session.direction)))
        else:
            self._tell_ringing(event.status)
        self._early = event.leg
        self._join(event.leg)

    def _tell_ringing(self, status: int) -> None:
        """Pass a provisional status on to A: each once in a row, and no 183 after 180 has told that it rings.

        199 tells of a branch that has failed (RFC 6228), while others may ring: it stays on its leg.
        """
        if self._transfer is not None:
            return  # what A hears tells it
        if status == self._ringing or status == 199 or (status in (182, 183) and self._ringing == 180):
            return
        self._ringing = status
        self._effects.append(Progress(self.a, status))

    def _answered(self, event: Answered, now: float) -> None:
        out = self._out.get(event.leg)
        hunt = self._hunt
        if out is None or self.state is not State.HUNTING or hunt is None:
            self._release(event.leg, Cause.ANSWERED_ELSEWHERE, now)
            return
        out.session = event.session
        if not out.status:
            self._directory.reached(out.endpoint)
        self._directory.answered(out.endpoint, self._payer, self.contact.id, now)
        self._effects.append(CancelTimer(RING_TIMER))
        for leg in hunt.stop():
            if leg != event.leg:
                self._release(leg, Cause.ANSWERED_ELSEWHERE, now)
        self._hunt = None
        self.b = event.leg
        self._early = None
        self.contact.destination = out.endpoint.name
        record = self.contact.leg(event.leg)
        if record is not None:
            record.answered = now
            record.codec = codec_name(event.session)
        self._connect(event.leg, event.session, now)

    def _connect(self, leg: int, session: AudioSession, now: float) -> None:
        """B took the call: answer A."""
        if self._transfer is not None:
            self._transferred(leg, session, now)
            if self.b == leg and not self._recorder.recording:
                self._effects += self._recorder.begin(self._recording_rule(leg), *self._recorded())
            return
        offer = self._offer
        policy = self._policy_of(leg)
        try:
            if offer is None:
                ours = msgspec.structs.replace(self._a_policy, prefer="theirs")
                codecs = relay_offer(as_offer(session, policy), ours)
            else:
                codecs = relay_answer(offer, session, policy)
        except NoCommonCodec:
            self._end_all(Cause.INCOMPATIBLE_DESTINATION, now, by="media", text=NO_COMMON_CODEC, status=488)
            return
        if offer is None:
            self.state = State.OFFERING
            self._effects.append(Accept(self.a, codecs, flipped(session.direction)))
            return
        if self._a_codecs is None:
            self._a_codecs = codecs
            self._effects.append(Accept(self.a, codecs, flipped(session.direction)))
        else:
            # The answer in early media binds (RFC 3264 4, RFC 6337 3.1.1): another codec now needs a new offer to A,
            # but one that B has not got either would not make a relay.
            bound = self._a_codecs
            allowed = offer.transcode and policy.transcode
            absorbed = allowed and not relays(codecs, session) and transcodes(bound, session.codecs)
            early = self._a_session
            self._refit = (codecs[0] != bound[0] and not absorbed) or (early is not None and lopsided(early, session))
            self._effects.append(Accept(self.a, None))
        self._talk(leg, now)

    def _talk(self, leg: int, now: float) -> None:
        """Both sides have answered."""
        self.state = State.TALKING
        self._join(leg)
        self._mark_answered(now, "talk")
        self._effects += self._recorder.begin(self._recording_rule(leg), *self._recorded())

    def _recording_rule(self, leg: int) -> str:
        ends = [
            (end.kind, self._directory.record(end.kind, end.name))
            for end in (self._a_endpoint, self._out[leg].endpoint)
        ]
        return rule_of(self._plan.record if self._plan is not None else "", ends)

    def _recorded(self) -> tuple[Channels, StreamLabels]:
        """Who is on which channel: the customer on the first, who is at the trunk's side, or else has called."""
        assert self.b is not None
        ends = {self.a: self._a_endpoint, self.b: self._out[self.b].endpoint}
        trunks = [leg for leg, end in ends.items() if end.kind == "trunk"]
        callers = [leg for leg in ends if leg == self._caller_leg]
        customer = next(iter(trunks if len(trunks) == 1 else callers), self.a)
        agent = self.b if customer == self.a else self.a
        labels = []
        for leg, end in ends.items():
            party, role = self._party(leg), "caller" if leg == self._caller_leg else "called"
            labels.append((leg, leg_label(role, end.kind, end.name, party.number, party.name)))
        return ((customer, 0), (agent, 1)), tuple(labels)

    def _join(self, leg: int) -> None:
        super()._join(leg)
        if leg == self.b:
            self._effects += self._recorder.follow(*self._recorded())

    def _moved(self, leg: int, session: AudioSession, now: float) -> None:
        super()._moved(leg, session, now)
        if not self._moving and self.state is State.TALKING:
            self._effects += self._recorder.again(*self._recorded())

    def _digit_dialled(self, event: DigitDialled) -> None:
        """A digit of one leg, where the media does not bring it to the other."""
        other = self.partner(event.leg)
        if other is not None:
            effect = self._digits.pass_on(event, other, self._policy_of(other))
            if effect is not None:
                self._effects.append(effect)

    def _mark_answered(self, now: float, segment: str) -> None:
        self.contact.answered = now
        self.contact.enter(segment, now)
        record = self.contact.leg(self.a)
        if record is not None:
            record.answered = now

    def _confirmed(self, event: Confirmed, now: float) -> None:
        """A has seen our answer; where that was an offer, its answer is here."""
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
        elif self._refit and self.b is not None and self._offer is not None:
            self._refit = False
            session = self._out[self.b].session
            if session is not None:
                codecs = relay_answer(self._offer, session, self._policy_of(self.b))
                self._effects.append(Offer(self.a, codecs, flipped(session.direction)))

    # ---- ends -------------------------------------------------------------------------------------------

    def _redirected(self, event: Redirected, now: float) -> None:
        """A phone sends its caller elsewhere: followed with the rights of its extension, never of a trunk's.

        Where others were called together with it, or in its turn, it only does not take the call itself.
        """
        out = self._out.get(event.leg)
        if out is None:
            return
        self._leg_gone(event.leg, event.cause, 302, now)
        if self.state is not State.HUNTING or self._hunt is None:
            self._finish_if_over()
            return
        if out.endpoint.kind != "extension" or not event.number:
            self._try_on(event.leg, out, Failure(Cause.CALL_REJECTED, 403), now)
            return
        if not self._directory.obeys_redirect(out.endpoint.name, event.number, self._caller):
            self._try_on(event.leg, out, Failure(Cause.SUBSCRIBER_ABSENT, 480), now)
            return
        if out.endpoint.name != self._sole_target or event.leg not in self._hunt.legs():
            self._try_on(event.leg, out, Failure(Cause.SUBSCRIBER_ABSENT, 480), now)
            return
        for leg in self._hunt.stop():
            if leg != event.leg:
                self._release(leg, Cause.ANSWERED_ELSEWHERE, now)
        self._hunt = None
        self._effects.append(CancelTimer(RING_TIMER))
        self._divert(event.number, out.endpoint.name, now)

    def _released(self, event: Released, now: float) -> None:
        leg = event.leg
        if leg == self.a:
            self._leg_gone(leg, event.cause, event.status, now)
            self.a = 0
            peer = "caller" if leg == self._caller_leg else "callee"
            self._end_all(event.cause, now, by=peer if event.by_peer else "switch", status=event.status)
            return
        out = self._out.get(leg)
        if out is None:
            return
        self._leg_gone(leg, event.cause, event.status, now)
        if self._transfer is not None and leg == self._transfer.transferor:
            self._transfer.transferor = 0
            return
        if self.state is State.HUNTING and self._hunt is not None:
            for other in self._hunt.declined(leg) if event.status >= 600 else ():
                self._release(other, Cause.ANSWERED_ELSEWHERE, now)
                self._hunt.failed(other, Failure(Cause.CALL_REJECTED, event.status))
            self._try_on(
                leg, out, Failure(event.cause, event.status, event.retry_after, event.text), now, event.by_peer
            )
        elif leg == self.b:
            self.b = None
            peer = "caller" if leg == self._caller_leg else "callee"
            self._end_all(event.cause, now, by=peer if event.by_peer else "switch", text=event.text)
        else:
            self._finish_if_over()

    def _try_on(self, leg: int, out: OutLeg, failure: Failure, now: float, by_peer: bool = True) -> None:
        """A candidate failed: the next gateway (where it was the peer that failed), the next stage, or the end."""
        hunt = self._hunt
        assert hunt is not None
        again = by_peer and self._directory.may_fail_over(out.endpoint, failure, out.status > 0, now)
        self._call(hunt.failed(leg, failure, again), now)
        if hunt.stage_over():
            self._next_stage(now)

    def _media_failed(self, event: MediaFailed, now: float) -> None:
        if event.leg in (self.a, self.b) or self.state is not State.HUNTING:
            self._end_all(Cause.RESOURCE_UNAVAILABLE, now, by="media", text=event.why, status=503)
        elif event.leg in self._out:
            self._release(event.leg, Cause.RESOURCE_UNAVAILABLE, now)

    def _give_up(self, cause: int, status: int, now: float, retry_after: float | None = None, text: str = "") -> None:
        """Refuse A: nobody took the call."""
        if self._transfer is not None:
            self._transfer_failed(cause, status, now, text)
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
                self._effects.append(TransferTold(self._transfer.requested_by, 487))
                self._transfer = None
            for leg in self.legs():
                self._release(leg, cause, now, text, status)
        self._finish_if_over()

    def _release(self, leg: int, cause: int, now: float, text: str = "", status: int = 0) -> None:
        self._effects.append(Release(leg, cause, status, text))

    def _leg_gone(self, leg: int, cause: int, status: int, now: float) -> None:
        self._out.pop(leg, None)
        if self._early == leg:
            self._early = None
            self._effects.append(Unbridge(self.a))
        record = self.contact.leg(leg)
        if record is not None and not record.ended:
            record.ended = now
            record.cause = cause
            record.status = status

    def _finish_if_over(self) -> None:
        if self.state is State.ENDING and not self.a and not self._out:
            self._effects.append(Finished())

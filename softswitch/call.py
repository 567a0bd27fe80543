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
from math import inf
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
from softswitch.call_asking import ASK_TIMER, PIN_SEGMENT
from softswitch.call_coded import CodedCall
from softswitch.call_confirm import UNCONFIRMED
from softswitch.call_consult import RING_TIMER
from softswitch.call_digits import DigitPath
from softswitch.call_directory import Directory
from softswitch.call_floor import OutLeg, State
from softswitch.call_media import ALONE, MEND_TIMER, MOVE_TIMER, codec_name, own_media
from softswitch.call_moves import INVITE_TIMER, SUPERVISOR_KEYS, Place
from softswitch.call_page import PAGE_TIMER, is_intercom
from softswitch.call_park import PARK_TIMER
from softswitch.call_recording import CallRecorder, Channels, RecordingEvent, RecordingRefused, rule_of
from softswitch.call_refer import REFER_TIMER
from softswitch.causes import Cause, cause_of_status, status_for_caller, status_of_cause
from softswitch.contact import Contact, LegRecord
from softswitch.dialplan.decision import (
    Announce,
    AnyTarget,
    Confer,
    Decision,
    Dial,
    Echo,
    ExtensionTarget,
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
    Diverted,
    Endpoint,
    Finished,
    MediaFailed,
    MediaLost,
    MediaSilent,
    NotMoved,
    Offer,
    OfferWithdrawn,
    Originate,
    Party,
    Payer,
    Progress,
    Progressed,
    Reanswered,
    Redirected,
    Release,
    Released,
    Reoffered,
    ReofferRefused,
    Seek,
    SeekFailed,
    SetTimer,
    Setup,
    TransferAnswered,
    TransferTold,
    Unbridge,
)

MAX_FORWARDS_OF_NUMBER = 5
"""Diversions (call forwarding, 302, fall-through) of one contact: more is a loop."""

MAX_DIVERSIONS = 10
"""The same with those of before the call came here, as it says itself (RFC 5806, RFC 7044): a call that goes round
between switches."""

DIVERSION_REASONS = {"always": "unconditional", "busy": "user-busy", "no_answer": "no-answer"}
"""RFC 5806 4; "unavailable" is called so there, too."""


class Call(CodedCall):
    """One contact being handled. Made when an inbound leg has arrived and its identity is proved."""

    __slots__ = (
        "_a_answered",
        "_digits",
        "_new_leg",
        "_recorder",
        "_refit",
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
        self._plan: Dial | None = None
        self._sole_target = ""
        self._diversions = 0
        self._diverted = setup.diverted
        self._ringing = 0
        self._a_codecs = None
        self._play = 0
        self._heard = self._heard_at = 0.0
        self._service = None
        self._question = None
        self._tone = None
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

    def record(self, action: str) -> list[AnyEffect]:
        """`start`, `pause`, `resume` or `stop` the recording of a call in progress. Raises `RecordingRefused`."""
        self._command_recorder(action)
        return self._take()

    def _command_recorder(self, action: str) -> None:
        if self.state is not State.TALKING:
            raise RecordingRefused("nobody talks to another in this call")
        self._effects += self._recorder.command(action, *self._recorded())

    def _toggle_recording(self) -> bool:
        self._command_recorder("stop" if self._recorder.recording else "start")
        return bool(self._recorder.recording)

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

    def _connect_answered(self, leg: int, now: float) -> None:
        session = self._session_of(leg)
        assert session is not None
        self._stop_ringback()
        self._connect(leg, session, now)

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

    def _dial(self, plan: Dial, now: float) -> None:
        if self._held_up(plan, now):
            return
        self.state = State.HUNTING
        if not self._consulter:
            self.contact.enter("ring", now)
        self._plan = plan
        first = plan.targets[0]
        sole = isinstance(first, ExtensionTarget) and len(plan.targets) == 1 and not is_intercom(plan)
        self._sole_target = first.number if sole else ""
        if self._sole_target:
            forward = self._directory.forward(self._sole_target, "always")
            if forward is not None:
                self._divert(forward, self._sole_target, "always", now)
                return
        self._hunt = self._hunt_of(plan)
        self._next_stage(now)

    def _hunt_of(self, plan: Dial) -> Hunt[AnyTarget]:
        """Steps where the dialplan, or the extension that is called alone, has some."""
        if plan.steps:
            return Hunt[AnyTarget].in_steps(plan.steps)
        if self._sole_target:
            steps = self._directory.find_me(self._sole_target, plan.ring_timeout)
            if steps:
                return Hunt[AnyTarget].in_steps(steps)
        return Hunt(plan.targets, plan.mode == "sequence", plan.ring_timeout)

    def _next_stage(self, now: float) -> None:
        """Ring the next stage of the hunt; continue after the hunt when none is left and nobody rings or is asked."""
        hunt = self._hunt
        assert hunt is not None
        while True:
            candidates = hunt.next_stage(lambda target: self._look_up(target, now))
            if not candidates and hunt.stage_over():
                self._hunted_in_vain(hunt.outcome(), now)
                return
            self._ring_deadline = now + hunt.timeout
            timer = CancelTimer(RING_TIMER) if hunt.timeout == inf else SetTimer(RING_TIMER, self._ring_deadline)
            self._effects.append(timer)
            self._call(candidates, now)
            if not hunt.stage_over():
                return

    def _look_up(self, target: AnyTarget, now: float) -> Target:
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
                    self._offer.direction if self._offer is not None and not self._again else "sendrecv",
                    self.setup.hops - 1,
                    self.setup.headers,
                    self._told_of(endpoint),
                    referred_by=self._referrer,
                )
            )

    def _told_of(self, endpoint: Endpoint) -> tuple[Diverted, ...]:
        """Who has sent the call on to an endpoint: for a number of a find-me list, besides others, whose that is."""
        payer = endpoint.payer
        if payer is None:
            return self._diverted
        return (Diverted(payer.name, "follow-me", own=True), *self._diverted)

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
                self._divert(forward, self._sole_target, outcome.kind, now)
                return
        status = status_for_caller(outcome.status, outcome.cause)
        self._give_up(outcome.cause, status, now, outcome.retry_after, outcome.text)

    def _divert(self, number: str, extension: str, kind: str, now: float) -> None:
        """Go on with another number, dialled as by the extension and on its account."""
        if self._count_diversion(now):
            diverted = Diverted(extension, DIVERSION_REASONS.get(kind, kind), own=True)
            self._diverted = (diverted, *self._diverted)
            self.contact.diverted = self._diverted
            self._tell_ringing(181)
            self._payer = Payer("extension", extension, forwarded=True)
            context = self._directory.context_of(extension)
            self._follow(self._directory.route(context, number, self._caller, ""), now)

    def _count_diversion(self, now: float) -> bool:
        self._diversions += 1
        if self._diversions > MAX_FORWARDS_OF_NUMBER or self._diversions + self.setup.diversions > MAX_DIVERSIONS:
            self._give_up(Cause.EXCHANGE_ROUTING_ERROR, 482, now)
            return False
        return True

    # ---- the hunt's events ------------------------------------------------------------------------------

    def _progressed(self, event: Progressed, now: float) -> None:
        out = self._out.get(event.leg)
        if out is not None and event.leg in self._inviting:
            self._invitee_rings(event, now)
            return
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
        if self._again:
            self._wait(rings=True)
            return
        if self._hunt is not None and self._hunt.confirms(event.leg):
            self._ring_caller()  # what a mobile's network plays is not for A, as it may be a mailbox
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
        self._stop_ringback()
        self._join(event.leg)

    def _tell_ringing(self, status: int) -> None:
        """Pass a provisional status on to A: each once in a row, and no 183 after 180 has told that it rings.

        199 tells of a branch that has failed (RFC 6228), while others may ring: it stays on its leg.
        """
        if self._again:
            return  # what A hears tells it
        if status == self._ringing or status == 199 or (status in (182, 183) and self._ringing == 180):
            return
        self._ringing = status
        self._effects.append(Progress(self.a, status))

    def _answered(self, event: Answered, now: float) -> None:
        out = self._out.get(event.leg)
        if event.leg in self._inviting:
            self._invited(event.leg, event.session, now)
            return
        hunt = self._hunt
        if out is None or self.state is not State.HUNTING or hunt is None:
            self._release(event.leg, Cause.ANSWERED_ELSEWHERE, now)
            return
        out.session = event.session
        if not out.status:
            self._directory.reached(out.endpoint)
        seconds = hunt.answered(event.leg)
        if seconds:
            self._ask(event.leg, seconds, now)
        else:
            self._take_call(event.leg, now)

    def _take_call(self, leg: int, now: float) -> None:
        out, hunt = self._out[leg], self._hunt
        assert hunt is not None
        assert out.session is not None
        # What a key was waited for costs nobody: whoever has not confirmed has had no call.
        self._directory.answered(out.endpoint, out.endpoint.payer or self._payer, self.contact.id, now, leg)
        self._effects.append(CancelTimer(RING_TIMER))
        self._stop_ringback()
        self._asked_no_more(leg)
        for other in hunt.stop():
            if other != leg:
                self._release(other, Cause.ANSWERED_ELSEWHERE, now)
        self._hunt = None
        if self._early not in (None, leg):
            self._uncarry()
        self.b = leg
        self._early = None
        if not self._consulter:
            self.contact.destination = out.endpoint.name
        record = self.contact.leg(leg)
        if record is not None:
            record.answered = now
            record.codec = codec_name(out.session)
        self._connect(leg, out.session, now)

    def _connect(self, leg: int, session: AudioSession, now: float) -> None:
        """B took the call: answer A."""
        if self._again:
            if self._consulter:
                self._consulted(now)
            else:
                self._transferred(leg, session, now)
            self._recording_follows()
            self._recording_begins(leg)
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
        self._greet(leg)
        self._mark_answered(now, "talk")
        self._effects += self._recorder.begin(self._recording_rule(), *self._recorded())

    def _arrived(self, leg: int, place: Place, now: float) -> None:
        super()._arrived(leg, place, now)
        self._recording_begins(leg)

    def _recording_begins(self, leg: int) -> None:
        """A leg that talks from now on may have to be recorded, or may not be."""
        if self.state is State.TALKING and leg in self.talkers and not self._recorder.recording:
            self._effects += self._recorder.begin(self._recording_rule(), *self._recorded())

    def _recording_rule(self) -> str:
        ends = [(end.kind, self._directory.record(end.kind, end.name)) for end in map(self._endpoint_of, self.talkers)]
        return rule_of(self._plan.record if self._plan is not None else "", ends)

    def _record_page(self) -> None:
        end = self._a_endpoint
        rule = rule_of("", [(end.kind, self._directory.record(end.kind, end.name))])
        self._effects += self._recorder.begin(rule, *self._recorded())

    def _recorded(self) -> tuple[Channels, StreamLabels]:
        """Who is on which channel: the customer on the first, who is at the trunk's side, or else has called."""
        ends = {leg: self._endpoint_of(leg) for leg in self.talkers}
        trunks = [leg for leg, end in ends.items() if end.kind == "trunk"]
        callers = [leg for leg in ends if leg == self._caller_leg]
        customers = trunks if 0 < len(trunks) < len(ends) else callers or [self.a]
        labels = []
        for leg, end in ends.items():
            party, role = self._party(leg), "caller" if leg == self._caller_leg else "called"
            labels.append((leg, leg_label(role, end.kind, end.name, party.number, party.name)))
        order = [*customers, *[leg for leg in ends if leg not in customers]]
        return tuple([(leg, 0 if leg in customers else 1) for leg in order]), tuple(labels)

    def _recording_follows(self) -> None:
        if self.a and self.state in (State.TALKING, State.PARKED):
            self._effects += self._recorder.follow(*self._recorded())
            if self.state is State.TALKING and not self._moving:
                self._effects += self._recorder.again(*self._recorded())

    def _join(self, leg: int) -> None:
        super()._join(leg)
        if leg == self.b:
            self._recording_follows()

    def _moved(self, leg: int, session: AudioSession, now: float) -> None:
        super()._moved(leg, session, now)
        if not self._moving and self.state is State.TALKING:
            self._effects += self._recorder.again(*self._recorded())

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

    def _redirected(self, event: Redirected, now: float) -> None:
        """A phone sends its caller elsewhere: followed with the rights of its extension, never of a trunk's.

        Where others were called together with it, or in its turn, it only does not take the call itself.
        """
        out = self._out.get(event.leg)
        if out is None:
            return
        self._leg_gone(event.leg, event.cause, 302, now)
        if self._inviting.pop(event.leg, None) is not None:
            self._invitee_gone(event, now)
            return
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
        self._divert(event.number, out.endpoint.name, "deflection", now)

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

    def _try_on(self, leg: int, out: OutLeg, failure: Failure, now: float, by_peer: bool = True) -> None:
        """A candidate failed: the next gateway (where it was the peer that failed), the next stage, or the end."""
        hunt = self._hunt
        assert hunt is not None
        again = by_peer and self._directory.may_fail_over(out.endpoint, failure, out.status > 0, now)
        self._call(hunt.failed(leg, failure, again), now)
        if hunt.stage_over():
            self._next_stage(now)

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

"""Others are called for A: one after the other or at once, with what follows when nobody takes the call, until somebody
has answered and A is answered, too."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import msgspec

from media.negotiate import (
    AudioSession,
    as_offer,
    flipped,
    lopsided,
    own_offer,
    relay_answer,
    relay_offer,
    relays,
    transcodes,
)
from media.sdp import NO_COMMON_CODEC, NoCommonCodec, PayloadType
from softswitch.call_consult import RING_TIMER
from softswitch.call_floor import OutLeg, State
from softswitch.call_media import codec_name, own_media
from softswitch.call_page import is_intercom
from softswitch.call_recorded import RecordedCall
from softswitch.causes import Cause, status_for_caller
from softswitch.contact import LegRecord
from softswitch.dialplan.decision import AnyTarget, Dial, ExtensionTarget
from softswitch.hunt import Candidate, Failure, Hunt, Outcome, Target
from softswitch.vocabulary import (
    Accept,
    Answered,
    CancelTimer,
    Diverted,
    Endpoint,
    Originate,
    Payer,
    Progress,
    Progressed,
    Redirected,
    SetTimer,
)

MAX_FORWARDS_OF_NUMBER = 5
"""Diversions (call forwarding, 302, fall-through) of one contact: more is a loop."""

MAX_DIVERSIONS = 10
"""The same with those of before the call came here, as it says itself (RFC 5806, RFC 7044): a call that goes round
between switches."""

DIVERSION_REASONS = {"always": "unconditional", "busy": "user-busy", "no_answer": "no-answer"}
"""RFC 5806 4; "unavailable" is called so there, too."""


class HuntingCall(RecordedCall):
    """The part of a `Call` that calls others."""

    __slots__ = ("_new_leg", "_refit", "_sole_target")

    _new_leg: Callable[[], int]
    _refit: bool  # A must be re-offered: early media and answer differ in codec
    _sole_target: str  # the extension that is called alone, "" where it is not one

    def _leg_gone(self, leg: int, cause: int, status: int, now: float) -> None:
        """A leg is in no table any more."""
        raise NotImplementedError

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
                codecs = self._offer_to(endpoint)
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

    def _offer_to(self, endpoint: Endpoint) -> tuple[PayloadType, ...]:
        """What somebody is offered who is called: what A has, or what can be mixed where others talk along. Raises
        `NoCommonCodec`."""
        if not self._others:
            return relay_offer(self._offer or own_media(self._a_policy), endpoint.policy)
        codecs = own_offer(endpoint.policy, None, heard=True)
        if not codecs:
            raise NoCommonCodec
        return codecs

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

    def _connect_answered(self, leg: int, now: float) -> None:
        session = self._session_of(leg)
        assert session is not None
        self._stop_ringback()
        self._connect(leg, session, now)

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
        self._effects += self._begin_recording()

    def _try_on(self, leg: int, out: OutLeg, failure: Failure, now: float, by_peer: bool = True) -> None:
        """A candidate failed: the next gateway (where it was the peer that failed), the next stage, or the end."""
        hunt = self._hunt
        assert hunt is not None
        again = by_peer and self._directory.may_fail_over(out.endpoint, failure, out.status > 0, now)
        self._call(hunt.failed(leg, failure, again), now)
        if hunt.stage_over():
            self._next_stage(now)

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

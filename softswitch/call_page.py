"""Calls that telephones answer by themselves: intercom, which is a call like any other from then on, and paging.

    Intercom  --> HUNTING, by its rules; neither forwarded nor sent to other telephones  --Answered--> TALKING
    Page      --> PAGING, all are called  --first answer--> A is answered --> TALKING
                     |                                          |  \\--others answer, in time--> they hear A, too
                     |                                          |--A hangs up, it has lasted long enough,
                     |                                          |  nobody hears it any more--> ENDING
                     \\--nobody answers--> ENDING

Who is paged is B or talks along, in a room from the first on (`softswitch.call_floor`), since others come and go at any
moment: where the page is one-way, as a listener. Nobody comes into a page by another way or is sent on from it.
"""

from __future__ import annotations

from media.audio_commands import Play, Silence, Tone
from media.codec import transcodable
from media.negotiate import AudioSession, own_offer
from media.sdp import NoCommonCodec, PayloadType
from softswitch.call_asking import AskingCall
from softswitch.call_consult import BEEP
from softswitch.call_floor import OutLeg, State
from softswitch.call_moves import Place
from softswitch.call_transfer import TransferRefused
from softswitch.causes import Cause
from softswitch.contact import LegRecord
from softswitch.dialplan.decision import Dial, ExtensionTarget, Intercom, Page, Ring
from softswitch.hunt import BUSY, MAX_LEGS_AT_ONCE, UNAVAILABLE, Failure, Outcome, outcome_of
from softswitch.vocabulary import (
    Accept,
    Audio,
    Endpoint,
    MediaLost,
    Originate,
    Redirected,
    Released,
    SetTimer,
)

PAGE_TIMER = "page"

INTERCOM_SECONDS = 30.0
"""How long an intercom call rings where no telephone answers by itself."""

OPENING = Silence(0.3)
"""What a telephone that has just answered may miss, while it opens its audio."""


class Paging:
    """A page that is under way. `accepted`: A is answered; `busy`: one of those called was; `deaf`: A has offered to
    send and not to receive, as paging equipment does, so that sendonly is no hold of its."""

    __slots__ = ("accepted", "busy", "deaf", "plan")

    def __init__(self, plan: Page, deaf: bool) -> None:
        self.plan = plan
        self.deaf = deaf
        self.accepted = False
        self.busy = False

    def note(self, outcome: Outcome) -> None:
        """One of those called does not come."""
        self.busy = self.busy or outcome.kind == "busy"


def is_intercom(plan: Dial | None) -> bool:
    """Whether a call is one that its telephones answer by themselves."""
    first = plan.targets[0] if plan is not None else None
    return isinstance(first, ExtensionTarget) and first.ring is not None and first.ring.auto_answer


class PagingCall(AskingCall):
    """The part of a `Call` in which telephones answer by themselves."""

    __slots__ = ("_page",)

    _page: Paging | None

    def _record_page(self) -> None:
        """Begin a recording, where A wants its calls recorded."""
        raise NotImplementedError

    # ---- intercom ---------------------------------------------------------------------------------------

    def _intercom(self, decision: Intercom, now: float) -> None:
        """Call an extension that is in no call, and nobody else in its place."""
        caller, extension = self.setup.endpoint, decision.extension
        if not self._directory.may_intercom(caller, extension):
            why = f"{caller} may not call {extension!r} by intercom: see 'may_intercom' and 'groups'"
            self._give_up(Cause.FACILITY_REJECTED, 403, now, text=why)
            return
        target = ExtensionTarget(extension, Ring(skip_busy=True, auto_answer=True))
        self._dial(Dial((target,), ring_timeout=INTERCOM_SECONDS, route="intercom"), now)

    def _greet(self, leg: int) -> None:
        """A and this leg talk from now on: nobody has lifted a receiver, so both are told."""
        if is_intercom(self._plan):
            for each in (self.a, leg):
                self._sound(each, BEEP)

    def _sound(self, leg: int, tone: Tone) -> None:
        # Of A nothing is known here where the answer that it has just been given is not yet written.
        if self._session_of(leg) is None or self._hears(leg):
            self._effects.append(Audio(Play(self._new_id(), (OPENING, tone), stream=leg, over=True)))

    # ---- a page begins ----------------------------------------------------------------------------------

    def _page_all(self, plan: Page, now: float) -> None:
        """Call all who are to hear A."""
        if self._again:
            self._give_up(Cause.FACILITY_REJECTED, 403, now, text="nobody can be sent into a page")
            return
        try:
            self._pager_codecs()
        except NoCommonCodec as problem:
            self._give_up(Cause.INCOMPATIBLE_DESTINATION, 488, now, text=problem.reason)
            return
        page = self._page = Paging(plan, self._offer is not None and self._offer.direction == "sendonly")
        self.state = State.PAGING
        self.contact.destination = plan.name
        self.contact.enter("ring", now)
        for endpoint in self._to_page(page, now):
            codecs = own_offer(endpoint.policy, None, heard=True)
            if codecs:
                self._call_in(endpoint, codecs, now + plan.ring_time, now)
        if self._inviting:
            self._await_invited()
            self._tell_ringing(180)
        else:
            self._page_in_vain(now)

    def _pager_codecs(self) -> tuple[PayloadType, ...]:
        """What A's offer is answered with, or A is offered. Raises `NoCommonCodec`."""
        if self._a_codecs is None:
            return self._own_codecs(self._offer, heard=True)
        if not transcodable(self._a_codecs[0].codec):
            raise NoCommonCodec
        return self._a_codecs

    def _to_page(self, page: Paging, now: float) -> list[Endpoint]:
        """The telephones that are to be called: of each member that is there one, then the second of each..."""
        own = self._a_endpoint.name if self._a_endpoint.kind == "extension" else ""
        ring = Ring(skip_busy=page.plan.skip_busy, auto_answer=True)
        found: list[tuple[int, Endpoint]] = []
        for number in page.plan.members:
            if number == own:
                continue
            member = ExtensionTarget(number, ring)
            target = self._directory.target(member, self._caller, self._payer, self.contact.id, now)
            if not target.groups:
                page.note(target.absent)
            for group in target.groups[:1]:
                found += enumerate(group)
        found.sort(key=lambda each: each[0])
        return [endpoint for _, endpoint in found[:MAX_LEGS_AT_ONCE]]

    def _call_in(self, endpoint: Endpoint, codecs: tuple[PayloadType, ...], until: float, now: float) -> None:
        leg = self._new_id()
        self._out[leg] = OutLeg(endpoint)
        self._inviting[leg] = (Place("page"), until)
        self.contact.add_leg(LegRecord(leg, "out", endpoint.kind, endpoint.name, endpoint.name, now))
        hops = self.setup.hops - 1
        self._effects.append(
            Originate(leg, endpoint, self._caller, codecs, "sendrecv", hops, self.setup.headers, self._diverted)
        )

    # ---- somebody hears it ------------------------------------------------------------------------------

    def check_place(self, place: Place) -> None:
        """Raises `TransferRefused`: who is paged comes into a page, and nobody else."""
        if place.kind == "page":
            if self._page is None or self.state not in (State.PAGING, State.TALKING):
                raise TransferRefused("the page is over", 480)
        elif self._page is not None:
            raise TransferRefused("that call is a page", 480)
        else:
            super().check_place(place)

    def _paged(self, leg: int, now: float) -> None:
        page = self._page
        assert page is not None
        if self.b is None:
            self.b = leg
        else:
            self._others.append(leg)
        if not page.plan.two_way:
            self._listeners.add(leg)
        if self.state is State.TALKING:
            self._heard_by(page, [leg])
            self._recording_follows()
        elif not page.accepted:
            self._accept_pager(page, now)

    def _accept_pager(self, page: Paging, now: float) -> None:
        """Answer A, as soon as anybody hears it; without an offer of its own it has to answer ours first."""
        codecs = self._pager_codecs()
        page.accepted = True
        self._effects.append(Accept(self.a, codecs if self._a_codecs is None else None))
        self._a_codecs = codecs
        if self._offer is not None:
            self._begin_page(page, now)

    def _pager_confirmed(self, now: float) -> None:
        """A has seen the answer, and it can be heard now."""
        page = self._page
        assert page is not None
        if self._a_session is None:
            self._end_all(Cause.INCOMPATIBLE_DESTINATION, now, by="media", text="no answer to our offer")
        else:
            self._begin_page(page, now)

    def _begin_page(self, page: Paging, now: float) -> None:
        self.state = State.TALKING
        self._mark_answered(now, "page")
        self._effects.append(SetTimer(PAGE_TIMER, now + page.plan.timeout))
        self._heard_by(page, self.talkers)
        self._record_page()

    def _heard_by(self, page: Paging, legs: list[int]) -> None:
        """These are there, too."""
        self._mix()
        tone = page.plan.tone
        for leg in legs if tone is not None else ():
            assert tone is not None
            self._sound(leg, tone)

    @property
    def _conference(self) -> bool:
        return self._page is not None or super()._conference

    def _asked(self, leg: int, asker: int, asked: str) -> str:
        way = super()._asked(leg, asker, asked)
        deaf = self._page is not None and self._page.deaf and leg == self.a
        return "sendrecv" if deaf and way == "sendonly" else way

    def _note_hold(self, now: float, session: AudioSession, asker: int = 0, asked: str = "") -> None:
        if self._page is None:  # a page is one, whatever a telephone that hears it does
            super()._note_hold(now, session, asker, asked)

    def _may_send_on(self, leg: int) -> Endpoint:
        if self._page is not None:
            raise TransferRefused("that call is a page: nobody can be sent on from it")
        return super()._may_send_on(leg)

    # ---- it ends ----------------------------------------------------------------------------------------

    def _invitee_gone(self, event: Released | Redirected, now: float) -> None:
        if self._page is None:
            super()._invitee_gone(event, now)
            return
        status = event.status if isinstance(event, Released) else 302
        self._page.note(outcome_of(Failure(event.cause, status)))
        self._page_in_vain(now)

    def _invited_in_vain(self, now: float) -> None:
        super()._invited_in_vain(now)
        if self._page is not None:
            self._page_in_vain(now)

    def _page_in_vain(self, now: float) -> None:
        """The page is over where nobody hears it, and nobody is called who might."""
        page = self._page
        if page is None or self._inviting or self.b is not None or self.state is State.ENDING:
            self._finish_if_over()
        elif page.accepted:
            self._end_all(Cause.NORMAL_CLEARING, now, by="switch", text="nobody hears the page")
        else:
            outcome = BUSY if page.busy else UNAVAILABLE
            self._give_up(outcome.cause, outcome.status, now)

    def _goes_on(self, leg: int, now: float) -> bool:
        if self._page is None:
            return super()._goes_on(leg, now)
        if self.state not in (State.PAGING, State.TALKING) or not self.a:
            return False
        rest = [each for each in self.talkers if each not in (self.a, leg)]
        self._listeners.discard(leg)
        self.b, self._others = (rest[0], rest[1:]) if rest else (None, [])
        if not rest and not self._inviting:
            return False
        if self.state is State.TALKING:
            self._mix()
            self._recording_follows()
        return True

    def _paged_long_enough(self, now: float) -> None:
        if self._page is not None and self.state is State.TALKING:
            self._end_all(Cause.NORMAL_CLEARING, now, by="switch", text="the page has lasted long enough")

    def _media_lost(self, event: MediaLost, now: float) -> None:
        if self._page is not None and event.leg not in self.talkers:
            self._page_without(event.leg, event.why, now)
        else:
            super()._media_lost(event, now)

    def _page_without(self, leg: int, why: str, now: float) -> None:
        """A leg can't hear the page, or is on its way out of it already."""
        if leg in self._out:
            self._release(leg, Cause.RESOURCE_UNAVAILABLE, now, why)

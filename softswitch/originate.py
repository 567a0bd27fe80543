"""Calls that begin here: somebody is called with an extension's rights and, once it has answered, is A of a call that
goes on as was decided before (a conference, an announcement, another number). `ClickedCall`: the extension's own
telephones are called, and it is told how the other number's call ends.

    ROUTING --the number's route--> HUNTING --Answered--> A, and `then` is followed
                                       \\--nobody answers, or it leads to no telephone--> ENDING

`OriginationEnded` says which of the two it was; what follows the answer is no concern of it. While `then` calls
somebody else, A waits as after a transfer: with music, then ringing.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from media.audio_commands import Source
from media.commands import MediaAddress
from media.negotiate import AudioOffer, AudioPolicy, AudioSession, as_offer, own_offer
from softswitch.call import Call
from softswitch.call_directory import Directory
from softswitch.call_floor import State
from softswitch.call_transfer import Transfer
from softswitch.causes import Cause
from softswitch.contact import Contact
from softswitch.dialplan.decision import AnyTarget, Decision, Dial, ExtensionTarget, Reject
from softswitch.hunt import Hunt
from softswitch.vocabulary import AnyEffect, OriginationEnded, Party, Payer, Progressed, Setup, TransferTold

NO_TELEPHONE = "the number leads to nobody who could be called"


class OriginateRefused(ValueError):
    """A call that can't be made: `args[0]` says why."""


class Origination(msgspec.Struct, frozen=True, kw_only=True):
    """A call to be made."""

    number: str
    """As the extension would dial it."""
    extension: str
    """With its rights, on its account, showing its number."""
    then: Decision
    group: str = ""
    """Of streams that must be where others are; "": of its own."""
    told: Callable[[int, str, float], None]
    """(leg, why, now) once: the leg that has answered, before `then` is followed; or 0, and why there is none."""
    clicked: bool = False
    """A `ClickedCall`: not `number` is called but the extension itself; `number` is what `then` leads to."""


class OriginatedCall(Call):
    """One contact that begins with a call of ours."""

    __slots__ = ("_answered_by", "_then")

    def __init__(
        self,
        contact: Contact,
        setup: Setup,
        policy: AudioPolicy,
        directory: Directory,
        new_leg: Callable[[], int],
        then: Decision,
    ) -> None:
        super().__init__(contact, 0, setup, _own_audio(policy), policy, directory, new_leg)
        self._payer = Payer(setup.kind, setup.endpoint, forwarded=True)
        self._answered_by = 0
        self._then = then

    def begin(self, now: float) -> list[AnyEffect]:
        self.contact.enter("route", now)
        decision = self._directory.route(self.setup.context, self.setup.dialled, self.setup.caller, "")
        if isinstance(decision, Dial | Reject):
            self._follow(decision, now)
        else:
            self._give_up(Cause.NO_ROUTE_TO_DESTINATION, 404, now, text=NO_TELEPHONE)
        return self._take()

    # ---- nobody has answered yet

    def _progressed(self, event: Progressed, now: float) -> None:
        out = self._out.get(event.leg)
        if self._answered_by or out is None or self.state is not State.HUNTING:
            super()._progressed(event, now)
            return
        record = self.contact.leg(event.leg)
        if not out.status:
            self._directory.reached(out.endpoint)
            if record is not None:
                record.rang = now
        out.status = event.status

    def _tell_ringing(self, status: int) -> None:
        if self._answered_by:
            super()._tell_ringing(status)

    def _give_up(self, cause: int, status: int, now: float, retry_after: float | None = None, text: str = "") -> None:
        if self._answered_by:
            super()._give_up(cause, status, now, retry_after, text)
        else:
            self._end_all(cause, now, by="switch", text=text, status=status)

    def _end_all(self, cause: int, now: float, by: str, text: str = "", status: int = 0) -> None:
        if not self._answered_by and self.state is not State.ENDING:
            self._effects.append(OriginationEnded(0, text or _words(cause)))
        super()._end_all(cause, now, by, text, status)

    def _serve(self, state: State, segment: str, service: AnyEffect | tuple[Source, ...], now: float) -> None:
        if self._answered_by:
            super()._serve(state, segment, service, now)
        else:
            self._give_up(Cause.NO_ROUTE_TO_DESTINATION, 404, now, text=NO_TELEPHONE)

    # ---- somebody has

    def _connect(self, leg: int, session: AudioSession, now: float) -> None:
        if self._answered_by:
            super()._connect(leg, session, now)
            return
        out = self._out.pop(leg)
        self.a, self.b = leg, None
        self._a_endpoint, self._a_policy, self._a_session = out.endpoint, out.endpoint.policy, session
        self._offer = as_offer(session, out.endpoint.policy)
        self._answered_by = leg
        self._a_answered = True
        self._plan = None
        self._diversions = self._ringing = 0
        self._mark_answered(now, "route")
        self._effects.append(OriginationEnded(leg))
        self._a_who = out.party
        self._transfer = self._then_transfer(leg)
        if isinstance(self._then, Dial):
            self._wait(rings=False)
        self._follow(self._then, now)

    def _then_transfer(self, leg: int) -> Transfer:
        """What the wait for others looks like. Nobody has asked for it, or is rung where it fails."""
        transfer = Transfer(0, self.setup.endpoint, requested_by=leg)
        transfer.told = True
        transfer.again = []
        return transfer


class ClickedCall(OriginatedCall):
    """One that an extension has asked for without a call (click to dial). `asked_by`: whom `TransferTold` means that
    tells how it ends; no leg's number."""

    __slots__ = ("asked_by",)

    def __init__(
        self,
        contact: Contact,
        setup: Setup,
        policy: AudioPolicy,
        directory: Directory,
        new_leg: Callable[[], int],
        then: Decision,
    ) -> None:
        super().__init__(contact, setup, policy, directory, new_leg, then)
        self.asked_by = new_leg()

    def begin(self, now: float) -> list[AnyEffect]:
        self.contact.enter("route", now)
        self._caller = Party(self.setup.dialled)  # whom its telephones are about to talk to
        self._follow(Dial((ExtensionTarget(self.setup.endpoint),), route="click to dial"), now)
        return self._take()

    def _hunt_of(self, plan: Dial) -> Hunt[AnyTarget]:
        # Whoever has clicked sits at its own telephones: other numbers of a find-me list are not rung.
        return super()._hunt_of(plan) if self._answered_by else Hunt(plan.targets, False, plan.ring_timeout)

    def _divert(self, number: str, extension: str, kind: str, now: float) -> None:
        if self._answered_by:
            super()._divert(number, extension, kind, now)
        elif kind == "busy":
            self._give_up(Cause.USER_BUSY, 486, now)
        else:
            self._give_up(Cause.NO_ANSWER, 480, now)

    def _end_all(self, cause: int, now: float, by: str, text: str = "", status: int = 0) -> None:
        if not self._answered_by and self.state is not State.ENDING:
            self._effects.append(TransferTold(self.asked_by, status or 480))
        super()._end_all(cause, now, by, text, status)

    def _connect(self, leg: int, session: AudioSession, now: float) -> None:
        if not self._answered_by:
            self._caller = self.setup.caller
        super()._connect(leg, session, now)

    def _then_transfer(self, leg: int) -> Transfer:
        transfer = Transfer(0, "", requested_by=self.asked_by)
        transfer.again = []
        return transfer


def _own_audio(policy: AudioPolicy) -> AudioOffer:
    """What is offered to whom we call: all that the engine can play and mix."""
    codecs = own_offer(policy, None, heard=True)
    events = tuple(p for p in codecs if p.codec.name == "telephone-event")
    voice = tuple(p for p in codecs if p not in events)
    return AudioOffer(MediaAddress("0.0.0.0", 0, 0), voice, events, "sendrecv")


def _words(cause: int) -> str:
    try:
        return Cause(cause).name.lower().replace("_", " ")
    except ValueError:
        return f"cause {cause}"

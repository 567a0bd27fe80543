"""Somebody is called into a call that is under way: to supervise it, or to take it while it rings.

invite(extension, place)    its telephones ring; who answers has that place (`call_moves.Place`), the others stop
"""

from __future__ import annotations

from media.negotiate import AudioSession, own_offer
from media.sdp import NO_COMMON_CODEC
from softswitch.call_floor import OutLeg, Supervision, SupervisionMode
from softswitch.call_moves import MAX_SUPERVISORS, MovingCall, Place
from softswitch.call_transfer import TransferRefused
from softswitch.causes import Cause
from softswitch.contact import LegRecord
from softswitch.dialplan.decision import ExtensionTarget
from softswitch.vocabulary import AnyEffect, Originate, Progressed, Redirected, Released, SetTimer

INVITE_TIMER = "invite"
INVITE_SECONDS = 30.0
"""How long somebody rings who is called in."""

SUPERVISOR_KEYS: dict[str, SupervisionMode] = {"4": "listen", "5": "whisper", "6": "barge"}
"""What a supervisor dials to do something else."""


class InvitingCall(MovingCall):
    """The part of a `Call` that calls somebody in."""

    __slots__ = ()

    def invite(self, extension: str, place: Place, now: float) -> list[AnyEffect]:
        """Call an extension, and give it that place when it answers. Raises `TransferRefused`."""
        self.check_place(place)
        target = self._directory.target(ExtensionTarget(extension), self._caller, self._payer, self.contact.id, now)
        endpoints = target.groups[0] if target.groups else ()
        if not endpoints:
            raise TransferRefused(f"{extension!r} can't be reached", target.absent.status)
        caller = self._party(place.leg) if place.leg else self._caller
        offers = [(endpoint, own_offer(endpoint.policy, None, heard=True)) for endpoint in endpoints[:MAX_SUPERVISORS]]
        if not any(codecs for _, codecs in offers):
            raise TransferRefused(NO_COMMON_CODEC, 488)
        for endpoint, codecs in offers:
            if not codecs:
                continue
            leg = self._new_id()
            self._out[leg] = OutLeg(endpoint)
            self._inviting[leg] = (place, now + INVITE_SECONDS)
            self.contact.add_leg(LegRecord(leg, "out", endpoint.kind, endpoint.name, endpoint.name, now))
            hops = self.setup.hops - 1
            self._effects.append(Originate(leg, endpoint, caller, codecs, "sendrecv", hops))
        self._await_invited()
        return self.effects()

    def _await_invited(self) -> None:
        if self._inviting:
            self._effects.append(SetTimer(INVITE_TIMER, min(until for _, until in self._inviting.values())))

    def _invited(self, leg: int, session: AudioSession, now: float) -> None:
        """Somebody who was called in has answered."""
        place, until = self._inviting.pop(leg)
        out = self._out[leg]
        out.status = 200
        self._keep_session(leg, session)
        # The other telephones of the same extension.
        called = [each for each, (there, then) in self._inviting.items() if (there, then) == (place, until)]
        for other in called:
            if self._endpoint_of(other).name == out.endpoint.name:
                del self._inviting[other]
                self._release(other, Cause.ANSWERED_ELSEWHERE, now)
        if place.kind == "answer":
            self._stop_hunt_for(leg, now)
        self._arrived(leg, place, now)

    def _invitee_rings(self, event: Progressed, now: float) -> None:
        """Somebody who is called in rings. What its network plays is for nobody."""
        out, record = self._out[event.leg], self.contact.leg(event.leg)
        if not out.status and record is not None:
            record.rang = now
        out.status = event.status

    def _invitee_gone(self, event: Released | Redirected, now: float) -> None:
        """Somebody who was called in does not come."""
        self._finish_if_over()

    def _invited_in_vain(self, now: float) -> None:
        """The time of those who were called in is over."""
        for leg in [leg for leg, (_, until) in self._inviting.items() if until <= now]:
            del self._inviting[leg]
            self._release(leg, Cause.NO_ANSWER, now)
        self._await_invited()

    # ---- supervision ------------------------------------------------------------------------------------

    def supervises(self, leg: int) -> bool:
        """Whether this leg supervises others."""
        return leg in self._supervisors

    def set_mode(self, leg: int, mode: SupervisionMode) -> list[AnyEffect]:
        """A supervisor does something else from now on. Raises `TransferRefused`."""
        how = self._supervisors.get(leg)
        if how is None:
            raise TransferRefused("that one supervises nobody in that call")
        self._supervisors[leg] = Supervision(how.target, mode)
        self._mix()
        self._recording_follows()
        return self._take()

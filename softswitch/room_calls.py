"""What conference rooms want of calls, carried out by the runtime: who is on a leg, hang up, call somebody in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softswitch.causes import Cause
from softswitch.conference import vocabulary as v
from softswitch.dialplan.decision import Confer
from softswitch.holding import HOLDS
from softswitch.originate import OriginateRefused, Origination
from softswitch.rooms import Occupant

if TYPE_CHECKING:
    from softswitch.runtime import Runtime

KICKED_FOR: dict[v.Why, tuple[Cause, str]] = {
    "pin": (Cause.CALL_REJECTED, "wrong conference PIN"),
    "no-pin": (Cause.CALL_REJECTED, "no conference PIN was entered"),
    "full": (Cause.USER_BUSY, "conference full"),
    "locked": (Cause.CALL_REJECTED, "conference locked"),
    "refused": (Cause.CALL_REJECTED, "not admitted to the conference"),
    "kicked": (Cause.NORMAL_CLEARING, "removed from the conference"),
    "ended": (Cause.NORMAL_CLEARING, "conference ended"),
    "left": (Cause.NORMAL_CLEARING, ""),
}
"""Why somebody is hung up: who never came in was refused."""


def conference_group(name: str) -> str:
    """The group of the streams that are in a conference, or may come to it."""
    return f"conference {name}"


class RuntimeRoomCalls:
    """`softswitch.rooms.RoomCalls` of a runtime."""

    __slots__ = ("_dials", "_runtime")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._dials: dict[int, str] = {}  # calls under way into rooms: their contacts

    def occupant(self, leg: int) -> Occupant | None:
        sip = self._runtime.legs.get(leg)
        active = self._runtime.calls.get(sip.call) if sip is not None else None
        if sip is None or active is None:
            return None
        digits, agreed = sip.media.policy.digits, sip.media.agreed
        tones = digits == "inband" or (digits == "auto" and agreed is not None and not agreed.dtmf)
        holds = agreed is not None and agreed.peer_direction in HOLDS
        return Occupant(active.call.contact, active.call.party(leg), sip.kind, sip.endpoint, tones, holds)

    def stands(self, leg: int, stand: v.Stand, now: float) -> None:
        sip = self._runtime.legs.get(leg)
        active = self._runtime.calls.get(sip.call) if sip is not None else None
        if active is not None:
            active.call.stands_in_room(stand, now)

    def hang_up(self, leg: int, why: v.Why, now: float) -> None:
        sip = self._runtime.legs.get(leg)
        if sip is not None:
            cause, text = KICKED_FOR[why]
            self._runtime.end_call(sip.call, text, now, cause)

    def dial(self, conference: str, effect: v.DialOut, now: float) -> None:
        room, dial, role = effect.room, effect.dial, effect.role
        rooms = self._runtime.rooms

        def told(leg: int, why: str, at: float) -> None:
            self._dials.pop(dial, None)
            if leg:
                rooms.expect(leg, role, room, dial)
            else:
                rooms.dial_failed(room, dial, why, at)

        try:
            extension = self._rights(effect)
            wanted = Origination(
                number=effect.number,
                extension=extension,
                then=Confer(conference),
                group=conference_group(conference),
                told=told,
            )
            contact = self._runtime.originate(wanted, now, lambda contact: self._dials.update({dial: contact}))
        except OriginateRefused as refused:
            told(0, str(refused), now)
            return
        if contact not in self._runtime.calls:
            self._dials.pop(dial, None)

    def cancel_dial(self, dial: int, now: float) -> None:
        contact = self._dials.pop(dial, None)
        if contact is not None:
            self._runtime.end_call(contact, "", now, Cause.NORMAL_CLEARING)

    def _rights(self, effect: v.DialOut) -> str:
        """The extension with whose rights is called: that of the host who asks, else the one that was named."""
        if effect.by == v.OPERATOR:
            return effect.rights
        sip = self._runtime.legs.get(effect.by)
        if sip is None or sip.kind != "extension":
            raise OriginateRefused("only a host at an extension of this switch may have others called")
        return sip.endpoint

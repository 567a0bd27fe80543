"""The lines of a call, as those see them who watch its extensions: what `softswitch.presence` is told of a contact.

Made anew from the call and its legs after each input that has concerned the call, so that no event has to be followed,
and a feature of calls that is added later shows by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sip.session_core import State
from softswitch.call import Call
from softswitch.conference.member import State as MemberState
from softswitch.conference.vocabulary import RoomView
from softswitch.holding import HOLDS
from softswitch.presence import Line, Phase, ResourceState
from softswitch.sip_leg import SipLeg
from softswitch.vocabulary import Party

_PHASES: Final[dict[State, Phase]] = {
    State.CALLING: "trying",
    State.EARLY: "early",
    State.ACCEPTED: "confirmed",
    State.CONFIRMED: "confirmed",
}


def lines_of(call: Call, legs: Mapping[int, SipLeg]) -> list[tuple[str, Line]]:
    """The lines of a call's extensions, each with the extension's number. `legs`: those of all calls."""
    lines = []
    for leg_id in call.legs():
        leg = legs.get(leg_id)
        if leg is None or leg.kind != "extension" or leg.over or leg.session is None:
            continue
        session = leg.session
        phase = _PHASES.get(session.state)
        if phase is None:
            continue
        line = Line(
            str(leg_id),
            phase,
            "initiator" if leg.inbound else "recipient",
            _remote(call, leg_id),
            session.call_id,
            session.remote_tag,
            session.local_tag,
            call.holds(leg_id) or (leg.media.agreed is not None and leg.media.agreed.peer_direction in HOLDS),
        )
        lines.append((leg.endpoint, line))
    return lines


def parked_line(call: Call) -> Line:
    """What watchers of a parking slot see: somebody who waits there, on hold."""
    contact = call.contact
    return Line(contact.id, "confirmed", "recipient", call.party(call.a) if call.a else Party(""), held=True)


def conference_state(resource: str, room: RoomView | None) -> ResourceState:
    """What watchers of a conference see: one call, without anybody's name, while somebody is let in."""
    if room is None or not any(member.state == MemberState.IN.value for member in room.members):
        return ResourceState()
    return ResourceState((Line(resource, "confirmed", "recipient", Party("")),))


def _remote(call: Call, leg: int) -> Party:
    """Whom a leg talks to, calls, or is called by; of several talkers the first."""
    other = call.partner(leg)
    if other is None:
        others = call.talkers if leg in call.talkers else [call.a]
        other = next((each for each in others if each not in (0, leg)), None)
    return Party(call.contact.dialled) if other is None else call.party(other)

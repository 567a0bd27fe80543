"""What can be asked of conferences from outside calls: by the command line, and by whatever else speaks to people.

    {"conference": "board", "action": "mute", "member": "101"}     a `ConferenceRequest`, or what msgspec makes one of

Members are named by their number or by the id that the view shows. `carry_out` answers with the room as it is then.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from softswitch.conference import vocabulary as v
from softswitch.conference.actions import ACTIONS, Action
from softswitch.rooms import ConferenceRefused, Rooms
from softswitch.spelling import unknown_word

MAX_NUMBER = 64
"""Characters of a number that is called, or of a name."""

OF_SOME: tuple[Action, ...] = ("admit", "refuse")
"""Those that take a member, and the one who waits longest where none is named."""

OF_ONE: tuple[Action, ...] = ("mute", "unmute", "deaf", "undeaf", "kick")
"""Those that need a member."""


class ConferenceRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to do in one conference."""

    conference: str
    action: Action
    member: str = ""
    """Its number, or its id; "" where the action is about none."""
    number: str = ""
    """Of `dial`: whom to call."""
    rights: str = ""
    """Of `dial`: the extension with whose rights; "": `dial_as` of the room."""
    role: v.Role = "guest"
    """Of `dial`: what whoever answers will be."""


class ConferenceList(msgspec.Struct, frozen=True):
    """The rooms asked for, as they are now."""

    conferences: tuple[v.RoomView, ...] = ()


def read_request(args: dict[str, Any]) -> ConferenceRequest:
    """Raises `ConferenceRefused` where that is no request."""
    action = args.get("action")
    if action not in ACTIONS:
        raise ConferenceRefused(unknown_word("action", str(action), ACTIONS))
    try:
        request = msgspec.convert(args, ConferenceRequest)
    except msgspec.ValidationError as error:
        raise ConferenceRefused(f"not a request about a conference: {error}") from None
    if request.member and request.action not in (*OF_ONE, *OF_SOME):
        raise ConferenceRefused(f"{action!r} is about no member: expected none instead of {request.member[:40]!r}")
    return request


def list_all(rooms: Rooms) -> ConferenceList:
    """All rooms that somebody is in."""
    views = (rooms.view(name) for name in rooms.names())
    return ConferenceList(tuple(view for view in views if view is not None))


def carry_out(rooms: Rooms, request: ConferenceRequest, now: float) -> ConferenceList:
    """Do it; the room afterwards, or nothing where it is over. Raises `ConferenceRefused`."""
    view = rooms.view(request.conference)
    if view is None and request.action != "dial":
        raise ConferenceRefused(_nobody(rooms, request.conference))
    command = _command(request, view)
    if command is not None:
        rooms.command(request.conference, command, now)
    after = rooms.view(request.conference)
    return ConferenceList((after,) if after is not None else ())


def _nobody(rooms: Rooms, name: str) -> str:
    there = ", ".join(rooms.names())
    return f"nobody is in conference {name!r}: expected {f'one of {there}' if there else 'one that somebody is in'}"


def _command(request: ConferenceRequest, view: v.RoomView | None) -> v.AnyCommand | None:
    action = request.action
    named = request.member != "" or action in OF_ONE
    member = _member(request.member, view) if named and view is not None else 0
    match action:
        case "list":
            return None
        case "mute" | "unmute":
            return v.Mute(member=member, muted=action == "mute")
        case "deaf" | "undeaf":
            return v.Deafen(member=member, deaf=action == "deaf")
        case "kick":
            return v.Remove(member=member)
        case "kick-all":
            return v.RemoveAll()
        case "mute-guests" | "unmute-guests":
            return v.MuteGuests(muted=action == "mute-guests")
        case "lock" | "unlock":
            return v.Lock(locked=action == "lock")
        case "admit":
            return v.Admit(member=member)
        case "refuse":
            return v.Refuse(member=member)
        case "record-start":
            return v.Record(what="start")
        case "record-pause":
            return v.Record(what="pause")
        case "record-resume":
            return v.Record(what="resume")
        case "record-stop":
            return v.Record(what="stop")
        case "dial":
            return _dial(request)
        case "end":
            return v.End()
        case _:
            assert_never(action)


def _dial(request: ConferenceRequest) -> v.Dial:
    if not 0 < len(request.number) <= MAX_NUMBER:
        raise ConferenceRefused(f"expected a number to call, of at most {MAX_NUMBER} characters")
    if not 0 < len(request.conference) <= MAX_NUMBER:
        raise ConferenceRefused(f"expected a conference's name, of at most {MAX_NUMBER} characters")
    return v.Dial(number=request.number, role=request.role, rights=request.rights)


def _member(who: str, view: v.RoomView) -> int:
    by_id = [each.member for each in view.members if str(each.member) == who]
    found = by_id or [each.member for each in view.members if who and each.number == who]
    if len(found) == 1:
        return found[0]
    there = ", ".join(each.number or str(each.member) for each in view.members)
    if not who:
        raise ConferenceRefused(f"which member of conference {view.name!r}? expected one of {there}")
    if found:
        ids = ", ".join(map(str, found))
        raise ConferenceRefused(f"{who!r} is in conference {view.name!r} more than once: expected one of {ids}")
    raise ConferenceRefused(f"no member {who!r} in conference {view.name!r}: expected one of {there}")

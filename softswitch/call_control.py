"""What is asked of calls in progress from outside: typed commands, and recordings."""

from __future__ import annotations

import re
from collections import Counter
from typing import assert_never

from softswitch import call_commands as commands
from softswitch.active_call import Active
from softswitch.call import Call
from softswitch.call_commands import AnyCallCommand
from softswitch.call_moves import Place
from softswitch.call_tables import CallRunner, CallTables
from softswitch.call_transfer import NOT_ANSWERED, TransferRefused
from softswitch.causes import Cause
from softswitch.directory import PhoneBook
from softswitch.sip_leg import SipLeg
from softswitch.vocabulary import AnyEffect, Record

LegCommand = (
    commands.Transfer
    | commands.Consult
    | commands.Complete
    | commands.Return
    | commands.Swap
    | commands.Conference
    | commands.Drop
    | commands.Hold
    | commands.Resume
    | commands.Park
    | commands.HangUp
)

_CONTACT_ID = re.compile(r"[0-9a-f]{11}-[0-9a-f]{16}")  # LegMaker.contact_id
_STATUS = "'softswitch status' shows the calls in progress"


class NoSuchCall(ValueError):
    """What was named is no call in progress, or more than one: `args[0]` says which, and what was expected."""


class CallControl:
    """Finds the call that is meant, asks it, and has carried out what it wants."""

    __slots__ = ("_book", "_runner", "_tables")

    def __init__(self, runner: CallRunner, tables: CallTables, book: PhoneBook) -> None:
        self._runner = runner
        self._tables = tables
        self._book = book

    def record(self, call: str, action: str, now: float) -> tuple[str, int]:
        """`start`, `pause`, `resume` or `stop` the recording of a call, named by its contact's id or by the name of one
        of its ends. The contact's id and, of a `start`, the recording's, of which the engine's word is still to come
        (`AudioLine.await_word`), else 0. Raises `RecordingRefused`, `NoSuchCall`."""
        active = self._find(call)
        effects = active.call.record(action)
        self._runner.carry_out(active, effects, now)
        begun = next((effect.recording for effect in effects if isinstance(effect, Record)), 0)
        return active.call.contact.id, begun

    def command(self, command: AnyCallCommand, now: float) -> str:
        """Have something done to a call. The contact's id; raises `TransferRefused`, `NoSuchCall`."""
        active = self._find(command.call)
        by = command.by or command.call
        if isinstance(command, commands.Supervise):
            effects = self._supervise(active, by, command, now)
        elif isinstance(command, commands.PickUp):
            effects = self._pick_up(active, by, now)
        else:
            leg = self._doer(active, by, command)
            if isinstance(command, commands.Drop):
                self._leg_of(active, command.party)
            effects = carry_out(active.call, leg, command, now)
        self._runner.carry_out(active, effects, now)
        return active.call.contact.id

    def _find(self, call: str) -> Active:
        """The call of that name: its contact's id, or one of its ends that is in no other. Raises `NoSuchCall`."""
        found = self._tables.named(call)
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(each.call.contact.id for each in found)
            raise NoSuchCall(f"{call!r} is in more than one call: expected one of {ids}")
        kind = self._book.kind_of(call)
        if kind:
            raise NoSuchCall(f"{kind} {call} is in no call: {_STATUS}")
        if _CONTACT_ID.fullmatch(call):
            raise NoSuchCall(f"call {call} is over, or there was none: {_STATUS}")
        raise NoSuchCall(
            f"{call!r} is neither a call nor an extension: expected an id out of 'softswitch status', or an extension "
            "that is in a call"
        )

    def _doer(self, active: Active, by: str, command: LegCommand) -> int:
        """The leg that does it; 0 for what needs none. Raises `TransferRefused`."""
        if isinstance(command, commands.HangUp) or (isinstance(command, commands.Drop) and not command.by):
            return 0
        if by == active.call.contact.id:
            ends = ", ".join(self._ends(active))
            raise TransferRefused(f"which extension does it? expected 'by' (--by) to be one of {ends}")
        return self._leg_of(active, by)

    def _leg_of(self, active: Active, end: str) -> int:
        """The leg of an extension, a trunk, or whoever has that number on a trunk. Raises `TransferRefused`."""
        leg = active.call.leg_of(end)
        if leg is not None:
            return leg
        ends = self._ends(active)
        expected = f"expected one of {', '.join(ends)}"
        if end not in ends and all(leg.endpoint != end for leg in self._tables.legs_of(active)):
            raise TransferRefused(f"{end!r} is not in that call: {expected}")
        if not active.call.contact.answered:
            raise TransferRefused(NOT_ANSWERED)
        raise TransferRefused(f"{end!r} is in that call more than once" + ("" if end in ends else f": {expected}"))

    def _ends(self, active: Active) -> list[str]:
        """The extensions and trunks of a call; where several are on one trunk, their numbers."""
        legs = self._tables.legs_of(active)
        trunks = Counter(leg.endpoint for leg in legs if leg.kind == "trunk")
        numbers = [active.call.party(leg.id).number if trunks[leg.endpoint] > 1 else "" for leg in legs]
        return list(dict.fromkeys(number or leg.endpoint for number, leg in zip(numbers, legs, strict=True)))

    def _supervise(self, active: Active, by: str, command: commands.Supervise, now: float) -> list[AnyEffect]:
        call = active.call
        leg = call.leg_of(by)
        if leg is not None and call.end(leg).kind == "extension":  # and nobody on a trunk who has that number
            return call.set_mode(leg, command.mode)
        there = self._extensions_in(call)
        to = command.to or (command.call if command.call in [each.endpoint for each in there] else "")
        there = [each for each in there if not to or each.endpoint == to]
        if len(there) != 1:
            named = ", ".join(each.endpoint for each in self._extensions_in(call))
            if not named:
                raise TransferRefused("no extension talks in that call" if call.contact.answered else NOT_ANSWERED)
            asked = f"{to!r} does not talk in that call" if to else "which extension of that call is to be supervised?"
            raise TransferRefused(f"{asked}{':' if to else ''} expected 'to' (--to) to be one of {named}")
        self._known(by)
        if not self._book.may_supervise(by, there[0].endpoint):
            raise TransferRefused(f"{by} may not supervise {there[0].endpoint!r}: see 'supervises' and 'groups'")
        return call.invite(by, Place("supervise", there[0].id, command.mode), now)

    def _pick_up(self, active: Active, by: str, now: float) -> list[AnyEffect]:
        self._known(by)
        ringing = [leg for leg in self._tables.legs_of(active) if active.call.rings(leg.id)]
        if not ringing:
            raise TransferRefused("nobody rings in that call")
        if not any(each.kind == "extension" and self._book.may_pick_up(by, each.endpoint) for each in ringing):
            raise TransferRefused(f"{by} may not pick up that call: see 'pick_up' and 'groups'")
        return active.call.invite(by, Place("answer"), now)

    def _known(self, by: str) -> None:
        """Raises `TransferRefused` where there is no such extension, whose telephone would ring."""
        if self._book.kind_of(by) != "extension":
            raise TransferRefused(f"there is no extension {by[:40]!r}: expected 'by' (--by) to be one")

    def _extensions_in(self, call: Call) -> list[SipLeg]:
        legs = (self._tables.legs.get(leg) for leg in call.talkers)
        return [leg for leg in legs if leg is not None and leg.kind == "extension"]


def carry_out(call: Call, leg: int, command: LegCommand, now: float) -> list[AnyEffect]:
    """What a call does about a command of one of its legs. Raises `TransferRefused`."""
    match command:
        case commands.Transfer(number=number):
            return call.transfer(leg, number, now)
        case commands.Consult(number=number):
            return call.consult(leg, number, now)
        case commands.Complete():
            return call.complete(leg, now)
        case commands.Return():
            return call.back(leg, now)
        case commands.Swap():
            return call.swap(leg, now)
        case commands.Conference():
            return call.confer(leg, now)
        case commands.Drop(party=party):
            dropped = call.leg_of(party)
            if dropped is None:
                raise TransferRefused(f"{party!r} is not one of those in that call")
            return call.drop(dropped, now)
        case commands.Hold():
            return call.hold(leg, now)
        case commands.Resume():
            return call.resume(leg, now)
        case commands.Park(lot=lot, slot=slot):
            return call.park(leg, lot, slot, now)
        case commands.HangUp():
            return call.hang_up(Cause.NORMAL_CLEARING, now, "switch")
        case _:
            assert_never(command)

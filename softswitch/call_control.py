"""Typed commands to what a call does about them."""

from __future__ import annotations

from typing import assert_never

from softswitch import call_commands as commands
from softswitch.call import Call
from softswitch.call_transfer import TransferRefused
from softswitch.causes import Cause
from softswitch.vocabulary import AnyEffect

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

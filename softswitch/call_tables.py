"""The tables that join calls and legs, and what legs have said that their calls have yet to hear."""

from __future__ import annotations

from collections import Counter, deque
from typing import Protocol

from softswitch.active_call import Active
from softswitch.leg_table import LegTable
from softswitch.sip_leg import SipLeg
from softswitch.vocabulary import AnyEffect, AnyLegEvent


class CallRunner(Protocol):
    """Whoever carries out what calls want: the runtime."""

    def carry_out(self, active: Active, effects: list[AnyEffect], now: float) -> None:
        """Have the effects of a call carried out, and what they set off."""

    def work(self, now: float) -> None:
        """Let calls handle the events that are waiting, until there are none."""


class CallTables:
    """All calls and legs, and what is counted of them."""

    __slots__ = ("calls", "counters", "legs", "waiting")

    def __init__(self) -> None:
        self.calls: dict[str, Active] = {}
        """By the id of their contact."""
        self.legs = LegTable()
        self.counters: Counter[str] = Counter()
        self.waiting: deque[tuple[str, AnyLegEvent]] = deque()
        """Contacts, and what they have yet to be told."""

    def call_of(self, leg: int) -> Active | None:
        """The call that a leg is in."""
        found = self.legs.get(leg)
        return self.calls.get(found.call) if found is not None else None

    def legs_of(self, active: Active) -> list[SipLeg]:
        """The legs of a call that are there."""
        return [self.legs[leg] for leg in active.call.legs() if leg in self.legs]

    def tell(self, active: Active, event: AnyLegEvent) -> None:
        """Have a call hear of something in its turn."""
        self.waiting.append((active.call.contact.id, event))

    def named(self, call: str) -> list[Active]:
        """The call whose contact has that id, or those that an extension or trunk is in."""
        active = self.calls.get(call)
        if active is not None:
            return [active]
        legs = [*self.legs.of("extension", call), *self.legs.of("trunk", call)]
        there = dict.fromkeys(leg.call for leg in legs)
        return [self.calls[contact] for contact in there if contact in self.calls]

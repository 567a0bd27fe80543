"""Parking lots: numbered slots in which callers wait until somebody dials the slot. Pure.

take    a free slot for a call, the one that is wanted or the first
at      the call that is parked in a slot
free    a call has left its slot
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class NoSlot(ValueError):
    """A call can't be parked there: `args[0]` says why."""


class Lot(msgspec.Struct, frozen=True, gc=False):
    """A parking lot as it is set. `slots`: the numbers of its slots, in order. `timeout`: seconds until whoever parked
    a call is rung; `fallback`: a number that is called where they do not answer, "" for none. `announce`: whoever parks
    hears the slot."""

    name: str
    slots: tuple[str, ...]
    timeout: float = 120.0
    fallback: str = ""
    music: str = ""
    announce: bool = True


class ParkingLots:
    """All lots of a switch and who is in them."""

    __slots__ = ("_calls", "_lots", "_slots")

    def __init__(self, lots: Iterable[Lot] = ()) -> None:
        self._calls: dict[str, str] = {}  # slot -> contact
        self._slots: dict[str, str] = {}  # contact -> slot
        self._lots: dict[str, Lot] = {}
        self.configure(lots)

    def __len__(self) -> int:
        return len(self._calls)

    def configure(self, lots: Iterable[Lot]) -> None:
        """Other lots; whoever is parked stays, and is found where it is."""
        self._lots = {lot.name: lot for lot in lots}

    def lot(self, name: str) -> Lot | None:
        """The lot of that name; "" for the only one."""
        if not name and len(self._lots) == 1:
            return next(iter(self._lots.values()))
        return self._lots.get(name)

    def take(self, name: str, contact: str, slot: str = "") -> tuple[Lot, str]:
        """Park a call, in the slot that is wanted or ("") in the first free one. Raises `NoSlot`."""
        lot = self.lot(name)
        if lot is None:
            known = ", ".join(sorted(self._lots)) or "none is set"
            raise NoSlot(f"no parking lot {name!r}: expected one of {known}" if name else f"which lot? {known}")
        if slot and slot not in lot.slots:
            raise NoSlot(f"{slot!r} is no slot of parking lot {lot.name}")
        if slot and slot in self._calls:
            raise NoSlot(f"slot {slot} is taken")
        found = slot or next((each for each in lot.slots if each not in self._calls), "")
        if not found:
            raise NoSlot(f"parking lot {lot.name} is full")
        self.free(contact)
        self._calls[found] = contact
        self._slots[contact] = found
        return lot, found

    def at(self, slot: str) -> str:
        """The contact that is parked there, "" for none."""
        return self._calls.get(slot, "")

    def slot(self, contact: str) -> str:
        """Where a contact is parked, "" where it is not."""
        return self._slots.get(contact, "")

    def free(self, contact: str) -> None:
        """The call is parked no more; nothing where it was not."""
        slot = self._slots.pop(contact, None)
        if slot is not None:
            del self._calls[slot]

    def parked(self) -> list[tuple[str, str]]:
        """(slot, contact) of everybody who is parked."""
        return sorted(self._calls.items())

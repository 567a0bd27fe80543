"""What calls through trunks may cost: the brakes on toll fraud, asked before dialling out and kept during calls.

    classes of numbers     softswitch.barring: denied unless caller or route may call them
    calls_per_minute       attempts, in a leaky bucket as large as the limit
    pin_for                classes for which a PIN is asked first
    minutes_per_day        minutes talked through trunks in the last 24 hours; used up, new calls are refused and those
                           that run are ended

Each call has a *payer*, on whose account it goes out: the extension that calls or forwards, or the trunk that the call
came in by. The payer's limits hold, and those of the trunk it goes out by. Emergency numbers know no limit.

The day is a window that moves with monotonic time, in bins of an hour: no jump of the clock frees or takes a minute,
and midnight gives no thief a second day's worth. What was used is forgotten by a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from sip.timers import Timer, TimerHeap
from softswitch.barring import Barring
from softswitch.dialplan.decision import Target, TrunkTarget
from softswitch.pace import Pace
from softswitch.security_log import SecurityLog

if TYPE_CHECKING:
    from softswitch.vocabulary import Payer

DAY = 86400.0
BIN = 3600.0
"""Seconds after which used minutes are given back together."""

ENOUGH = 0.5
"""Seconds short of a limit that count as having reached it."""


class TollTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What one extension or trunk may cost."""

    may_call: frozenset[str] = frozenset()
    """Classes of numbers."""
    pin_for: frozenset[str] = frozenset()
    """Classes of numbers that may be called by those who have dialled the PIN."""
    calls_per_minute: float = 0.0
    """0: no limit."""
    minutes_per_day: float = 0.0
    """0: no limit."""


class TollSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Classes, and the terms of every holder ("extension:101", "trunk:carrier") that has any."""

    barring: Barring
    terms: dict[str, TollTerms]


Talk = tuple[str, int]
"""A contact and the leg of it that uses minutes."""


class _Meter:
    """Seconds that one holder has talked, and the calls that are talking."""

    __slots__ = ("_bins", "limit", "running", "timer")

    def __init__(self) -> None:
        self._bins: dict[int, float] = {}
        self.limit = 0.0
        self.running: dict[Talk, float] = {}
        self.timer: Timer | None = None

    def used(self, now: float) -> float:
        """Seconds of the last day."""
        oldest = int((now - DAY) // BIN)
        for number in [number for number in self._bins if number <= oldest]:
            del self._bins[number]
        return sum(self._bins.values()) + sum(now - since for since in self.running.values())

    def stop(self, talk: Talk, now: float) -> None:
        since = self.running.pop(talk, None)
        if since is not None:
            number = int(now // BIN)
            self._bins[number] = self._bins.get(number, 0.0) + max(0.0, now - since)


class TollGuard:
    """Asked by the phone book for every call that is to leave through a trunk."""

    __slots__ = (
        "_attempts",
        "_barring",
        "_counted",
        "_emergencies",
        "_granted",
        "_meters",
        "_running",
        "_security",
        "_terms",
        "_timers",
        "counters",
        "end_call",
    )

    def __init__(self, settings: TollSettings, timers: TimerHeap, security: SecurityLog) -> None:
        self._timers = timers
        self._security = security
        self.end_call: Callable[[str, str, float], None] = lambda contact, why, now: None
        """Told to end a contact's call, and why; whoever carries calls sets it."""
        self.counters: Counter[str] = Counter()
        self._attempts: dict[str, Pace] = {}  # by holder
        self._counted: dict[str, set[str]] = {}  # contact -> holders that its attempt was counted for
        self._emergencies: set[str] = set()  # contacts
        self._granted: dict[str, set[str]] = {}  # contact -> holders whose PIN was dialled in it
        self._meters: dict[str, _Meter] = {}  # by holder
        # contact -> leg -> whose minutes it uses, since when: of every call, for a limit may be set while it talks
        self._running: dict[str, dict[int, tuple[tuple[str, ...], float]]] = {}
        self.configure(settings, 0.0)

    def configure(self, settings: TollSettings, now: float) -> None:
        """Apply other terms, to calls in progress too."""
        self._barring = settings.barring
        self._terms = settings.terms
        for holder, pace in list(self._attempts.items()):
            rate = self._terms_of(holder).calls_per_minute
            if rate:
                pace.configure(rate / 60.0, rate)
            elif holder not in self._terms:
                del self._attempts[holder]
        for contact, legs in self._running.items():
            for leg, (holders, since) in legs.items():
                for holder in holders:
                    self._begin(holder, (contact, leg), since)
        for holder, meter in list(self._meters.items()):
            meter.limit = self._terms_of(holder).minutes_per_day * 60.0
            self._arm(holder, meter, now)
            # What was used counts for a day, also where the limit is away for a while.
            if not meter.limit and not meter.used(now):
                del self._meters[holder]

    # ---- asked -----------------------------------------------------------------------------------------

    def refuses(self, target: TrunkTarget, sent: str, payer: Payer, contact: str, now: float) -> bool:
        """Whether the call must not go out. `sent`: the number as the gateway would see it."""
        if self._barring.is_emergency(target.number):
            self._emergencies.add(contact)
            return False
        self._emergencies.discard(contact)
        why = self.why_not(target, sent, payer, contact, now)
        if not why:
            return False
        self.counters[f"calls barred: {why}"] += 1
        self._security.barred(payer.kind, payer.name, why, sent, target.trunk, contact, now)
        return True

    def why_not(self, target: TrunkTarget, sent: str, payer: Payer, contact: str, now: float) -> str:
        """Why the call must not go out, "" where it may; nobody is told."""
        return self._barred(target, sent, payer, contact) or self._exhausted(target, payer, contact, now)

    def is_emergency(self, target: Target) -> bool:
        """Whether nothing may keep a target from being called."""
        return isinstance(target, TrunkTarget) and self._barring.is_emergency(target.number)

    def asks_pin(self, payer: Payer) -> bool:
        """Whether there is any class of numbers for which this one needs a PIN."""
        return bool(self._terms_of(payer.holder).pin_for)

    def needs_pin(self, target: TrunkTarget, sent: str, payer: Payer, contact: str) -> bool:
        """Whether the call may go out once the PIN is dialled, and not before."""
        if self.granted(payer, contact) or self._barring.is_emergency(target.number):
            return False
        return bool(self._class_barred(target, sent, payer, False)) and not self._class_barred(
            target, sent, payer, True
        )

    def grant(self, payer: Payer, contact: str) -> None:
        """The payer's PIN was dialled in this contact."""
        self._granted.setdefault(contact, set()).add(payer.holder)

    def granted(self, payer: Payer, contact: str) -> bool:
        """Whether it was."""
        return payer.holder in self._granted.get(contact, ())

    def answered(self, trunk: str, payer: Payer, contact: str, now: float, leg: int = 0) -> None:
        """A leg of a contact is talking through the trunk from now on."""
        legs = self._running.setdefault(contact, {})
        if contact in self._emergencies or leg in legs:
            if not legs:
                del self._running[contact]
            return
        legs[leg] = ((payer.holder, f"trunk:{trunk}"), now)
        self._count(contact, leg, now)

    def left(self, contact: str, leg: int, ended: float, now: float) -> None:
        """A leg has left its contact, which may go on; nothing where it used no minutes."""
        legs = self._running.get(contact, {})
        holders, _ = legs.pop(leg, ((), 0.0))
        if not legs:
            self._running.pop(contact, None)
        for holder in holders:
            meter = self._meters.get(holder)
            if meter is not None:
                meter.stop((contact, leg), ended)
                self._arm(holder, meter, now)

    def moved(self, leg: int, source: str, target: str, now: float) -> None:
        """A leg belongs to another contact from now on, on the same account."""
        holders, _ = self._running.get(source, {}).get(leg, ((), 0.0))
        if not holders:
            return
        self.left(source, leg, now, now)
        self._running.setdefault(target, {})[leg] = (holders, now)
        self._count(target, leg, now)

    def over(self, contact: str, ended: float, now: float) -> None:
        """The contact is over; its call ended at `ended`."""
        self._counted.pop(contact, None)
        self._granted.pop(contact, None)
        self._emergencies.discard(contact)
        for leg in list(self._running.get(contact, ())):
            self.left(contact, leg, ended, now)

    def _count(self, contact: str, leg: int, now: float) -> None:
        holders, since = self._running[contact][leg]
        for holder in holders:
            self._begin(holder, (contact, leg), since)
            if holder in self._meters:
                self._arm(holder, self._meters[holder], now)

    def minutes_used(self, holder: str, now: float) -> float:
        """Minutes of the last day of a holder that has a limit."""
        meter = self._meters.get(holder)
        return 0.0 if meter is None else meter.used(now) / 60.0

    def __len__(self) -> int:
        """Contacts of which something is known."""
        return len(self._emergencies | set(self._running) | set(self._counted) | set(self._granted))

    # ---- inside ----------------------------------------------------------------------------------------

    def _barred(self, target: TrunkTarget, sent: str, payer: Payer, contact: str) -> str:
        return self._class_barred(target, sent, payer, self.granted(payer, contact))

    def _class_barred(self, target: TrunkTarget, sent: str, payer: Payer, granted: bool) -> str:
        """The class that the payer may not call, with or without having dialled the PIN; "" where there is none."""
        forms = dict.fromkeys((target.number, sent, target.dialled) if target.dialled else (target.number, sent))
        terms = self._terms.get(payer.holder)
        allowed = set(target.allow) if terms is None else {*target.allow, *terms.may_call}
        if terms is not None:
            # A class for which a PIN is wanted is closed without it, whoever else opens it.
            allowed = allowed | terms.pin_for if granted else allowed - terms.pin_for
        return self._barring.barred(forms, allowed)

    def _exhausted(self, target: TrunkTarget, payer: Payer, contact: str, now: float) -> str:
        holders = [each for each in (payer.holder, f"trunk:{target.trunk}") if each in self._terms]
        for holder in holders:
            meter = self._meters.get(holder)
            if meter is not None and meter.limit and meter.used(now) >= meter.limit - ENOUGH:
                return "minutes per day"
        for holder in holders:
            rate = self._terms[holder].calls_per_minute
            if rate and not self._may_attempt(holder, rate, contact, now):
                return "calls per minute"
        return ""

    def _may_attempt(self, holder: str, rate: float, contact: str, now: float) -> bool:
        """Each contact counts once, however many trunks it tries."""
        counted = self._counted.setdefault(contact, set())
        if holder in counted:
            return True
        pace = self._attempts.get(holder)
        if pace is None:
            pace = self._attempts[holder] = Pace(rate / 60.0, rate)
        if not pace.take(holder, now):
            return False
        counted.add(holder)
        return True

    def _begin(self, holder: str, talk: Talk, since: float) -> None:
        """Count a leg's minutes for a holder that has a limit."""
        limit = self._terms_of(holder).minutes_per_day * 60.0
        if limit:
            meter = self._meters.setdefault(holder, _Meter())
            meter.limit = limit
            meter.running.setdefault(talk, since)

    def _terms_of(self, holder: str) -> TollTerms:
        return self._terms.get(holder, _NO_TERMS)

    def _arm(self, holder: str, meter: _Meter, now: float) -> None:
        """Look again when what is left would be used up by the calls that are talking."""
        if meter.timer is not None:
            meter.timer.cancel()
            meter.timer = None
        if meter.limit and meter.running:
            left = max(0.0, meter.limit - meter.used(now))
            at = now + left / len(meter.running)
            meter.timer = self._timers.schedule(at, lambda then: self._look(holder, meter, then))

    def _look(self, holder: str, meter: _Meter, now: float) -> None:
        meter.timer = None
        if meter.used(now) < meter.limit - ENOUGH:
            self._arm(holder, meter, now)  # minutes of yesterday have come back meanwhile
            return
        kind, _, name = holder.partition(":")
        talks = list(meter.running)
        for talk in talks:
            meter.stop(talk, now)
        for contact in dict.fromkeys(contact for contact, _ in talks):
            self.counters["calls ended: minutes per day"] += 1
            self._security.barred(kind, name, "minutes per day", "", "", contact, now)
            self.end_call(contact, "minutes per day used up", now)


_NO_TERMS = TollTerms()

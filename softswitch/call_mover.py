"""Moves legs between calls: attended transfer, pick-up, retrieval, Replaces, Join, supervision.

    check --> hand_over (of the one call) --> its tables --> take_in (of the other) --> the rest of the first ends

Nothing has changed where a check fails. What a contact is about goes on in the call that stays: of two that are joined,
the customer's.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from softswitch.active_call import Active
from softswitch.call_floor import State
from softswitch.call_limits import CallLimits
from softswitch.call_moves import Place
from softswitch.call_streams import CallStreams
from softswitch.call_tables import CallRunner, CallTables
from softswitch.call_transfer import TransferRefused
from softswitch.dialplan.decision import PickUp, Retrieve, Seeking, Supervise
from softswitch.directory import PhoneBook
from softswitch.toll import TollGuard

log = structlog.get_logger("calls")


class CallMover:
    """See the module."""

    __slots__ = ("_book", "_limits", "_runner", "_streams", "_tables", "_toll")

    def __init__(
        self,
        runner: CallRunner,
        tables: CallTables,
        streams: CallStreams,
        book: PhoneBook,
        limits: CallLimits,
        toll: TollGuard,
    ) -> None:
        self._runner = runner
        self._tables = tables
        self._streams = streams
        self._book = book
        self._limits = limits
        self._toll = toll

    # ---- attended transfer ------------------------------------------------------------------------------

    def attended(self, leg: int, other: int, told: Callable[[int], None], now: float) -> None:
        """An extension that is in two calls, by `leg` and by `other`, leaves them to each other. `told` is called with
        the status of what it asked for as soon as that is known, unless the call tells it later. Raises
        `TransferRefused`."""
        here, there = self._tables.call_of(leg), self._tables.call_of(other)
        if here is None or there is None:
            raise TransferRefused("the call that is to be replaced is gone", 481)
        if here is there:
            raise TransferRefused("both are the same call")
        if here.call.consults or there.call.consults:
            raise TransferRefused("a consultation is under way")
        mine, theirs = self._tables.legs[leg], self._tables.legs[other]
        if mine.kind != "extension" or (theirs.kind, theirs.endpoint) != (mine.kind, mine.endpoint):
            raise TransferRefused("the dialog that is to be replaced is another's")
        match there.call.state:
            case State.TALKING:
                self._join_two(here, leg, there, other, told, now)
            case State.HUNTING:
                self._leave_to_hunt(here, leg, there, other, now)
            case State.CONFERRING | State.ECHO | State.ANNOUNCING:
                partner = here.call.partner(leg)
                effects = here.call.serve_instead(leg, there.call, now)
                if partner is not None:
                    self._streams.takes_place(other, partner, now)
                self._runner.carry_out(here, effects, now)
                self._end(there, now, here)
            case _:
                raise TransferRefused("the call that is to be replaced is not that far", 480)

    def _join_two(
        self, here: Active, leg: int, there: Active, other: int, told: Callable[[int], None], now: float
    ) -> None:
        mine, theirs = here.call.partner(leg), there.call.partner(other)
        if theirs is not None and not (mine is not None and self._is_customers(there, here)):
            comes, stays, place = theirs, here, Place("replace", leg)
            goes = there
        elif mine is not None:
            comes, stays, place = mine, there, Place("replace", other)
            goes = here
        else:
            raise TransferRefused("more than two are in both calls")
        self.check(comes, stays, place)
        told(200)
        self.bring(comes, goes, stays, place, now)
        self._end(goes, now, stays)

    @staticmethod
    def _is_customers(one: Active, other: Active) -> bool:
        """Whether the first is rather a customer's than the second: a trunk is in it, or it is older."""
        trunks = [any(leg.kind == "trunk" for leg in each.call.contact.legs) for each in (one, other)]
        if trunks[0] != trunks[1]:
            return trunks[0]
        return one.call.contact.started < other.call.contact.started

    def _leave_to_hunt(self, here: Active, leg: int, there: Active, other: int, now: float) -> None:
        if other != there.call.a:
            raise TransferRefused("the dialog that is to be replaced rings", 480)
        here.call.check_leaving(leg)
        moving = there.call.give_hunt(now)
        # To those who ring an address has been said that can't be changed before they answer.
        self._streams.gather(here, there.group, now)
        self._runner.work(now)
        self._runner.carry_out(there, there.call.effects(), now)
        for each in moving.legs:
            self._entered(each.leg, there, here, now)
        self._runner.carry_out(here, here.call.take_hunt(leg, moving, now), now)
        self._end(there, now, here, status=487)

    # ---- one call comes into another --------------------------------------------------------------------

    def seek(self, active: Active, leg: int, what: Seeking, now: float) -> None:
        """Take A of a call that is not answered yet into another. Raises `TransferRefused`."""
        mine = self._tables.legs[leg]
        by = mine.endpoint if mine.kind == "extension" else ""
        match what:
            case Retrieve(slot=slot):
                target = self._tables.calls.get(self._book.parking.at(slot))
                if target is None:
                    raise TransferRefused(f"nobody is parked in {slot!r}", 404)
                place = Place("retrieve")
            case PickUp():
                target = self._ringing(by, what, active)
                place = Place("answer")
            case Supervise(extension=extension, mode=mode):
                target, to = self.supervised(by, extension)
                place = Place("supervise", to, mode)
        self.come(active, leg, target, place, now)

    def come(self, active: Active, leg: int, target: Active, place: Place, now: float) -> None:
        """A leg that is all there is of its call comes into another one. Raises `TransferRefused`."""
        self.check(leg, target, place)
        self.bring(leg, active, target, place, now)
        active.call.moved = True
        self._end(active, now, target)

    def _ringing(self, by: str, what: PickUp, own: Active) -> Active:
        """The call that has rung longest where `by` may pick it up."""
        found = []
        barred = False
        for extension in [what.extension] if what.extension else self._book.group_mates(by):
            for leg in self._tables.legs.of("extension", extension):
                active = self._tables.calls.get(leg.call)
                if active is None or active is own or not active.call.rings(leg.id):
                    continue
                if by and self._book.may_pick_up(by, extension):
                    found.append((leg.id, active))
                else:
                    barred = True
        if found:
            return min(found, key=lambda ringing: ringing[0])[1]
        if barred:
            raise TransferRefused(f"calls of {what.extension!r} may not be picked up from here")
        raise TransferRefused("nothing rings that could be picked up", 480)

    def supervised(self, by: str, extension: str) -> tuple[Active, int]:
        """The call in which an extension talks, the newest of them, and its leg there. Raises `TransferRefused`."""
        if not by or not self._book.may_supervise(by, extension):
            raise TransferRefused(f"{by or 'who calls'} may not supervise {extension!r}: see 'supervises' and 'groups'")
        for leg in reversed(self._tables.legs.of("extension", extension)):
            active = self._tables.calls.get(leg.call)
            if active is not None and active.call.state is State.TALKING and leg.id in active.call.talkers:
                return active, leg.id
        raise TransferRefused(f"{extension!r} talks to nobody", 480)

    def replacing(self, active: Active, leg: int, other: int, joins: bool, now: float) -> None:
        """The INVITE of `leg`, all there is of its call, names the dialog of another leg: to take its place, to take
        the call that rings there, or (`joins`) to talk along. Raises `TransferRefused`."""
        target, mine, theirs = self._tables.call_of(other), self._tables.legs[leg], self._tables.legs.get(other)
        if target is None or theirs is None:
            raise TransferRefused("there is no such dialog", 481)
        own = mine.kind == theirs.kind == "extension" and mine.endpoint == theirs.endpoint
        if joins:
            allowed = own or (mine.kind == "extension" and self._book.may_supervise(mine.endpoint, theirs.endpoint))
            place = Place("join", other)
        elif target.call.rings(other):
            allowed = own or (mine.kind == "extension" and self._book.may_pick_up(mine.endpoint, theirs.endpoint))
            place = Place("answer")
        else:
            allowed = own
            place = Place("replace", other)
        if not allowed:
            raise TransferRefused("that dialog is another's")
        self.come(active, leg, target, place, now)

    # ---- the move ---------------------------------------------------------------------------------------

    def check(self, leg: int, target: Active, place: Place) -> None:
        """Raises `TransferRefused` where a leg can't come into a call."""
        source = self._tables.call_of(leg)
        if source is None or source is target:
            raise TransferRefused("that leg is in no other call", 481)
        offer, policy, session = source.call.terms_of(leg)
        target.call.check_place(place)
        target.call.check_codecs(place, offer, policy, session)

    def bring(self, leg: int, source: Active, target: Active, place: Place, now: float) -> None:
        """Move a leg, for which `check` has passed."""
        bends = source.call.bends(leg)
        moving = source.call.hand_over(leg, now)
        self._runner.carry_out(source, source.call.effects(), now)
        self._entered(leg, source, target, now)
        if bends:
            target.call.bent(leg)
        self._runner.carry_out(target, target.call.take_in(moving, place, now), now)

    def _entered(self, leg: int, source: Active, target: Active, now: float) -> None:
        """Every table has the leg in its new call."""
        mine = self._tables.legs[leg]
        here, there = target.call.contact.id, source.call.contact.id
        holder = f"{mine.kind}:{mine.endpoint}"
        mine.call = here
        record = source.call.contact.leg(leg)
        if record is not None:
            record.joined = here
        self._streams.moved(leg, source, target, now)
        originated = source.originated.pop(leg, None)
        if originated is not None:
            target.originated[leg] = originated
        others = [self._tables.legs.get(each) for each in source.call.legs() if each != leg]
        if not any(each is not None and f"{each.kind}:{each.endpoint}" == holder for each in others):
            self._limits.release(there, holder)
        self._limits.acquire(holder, 0, here)
        if mine.kind == "trunk":
            self._toll.moved(leg, there, here, now)
        log.info("leg moved", contact=here, from_contact=there, **{mine.kind: mine.endpoint})

    def _end(self, active: Active, now: float, joined: Active, status: int = 0) -> None:
        """What is left of a call whose other part has moved to `joined`."""
        active.call.contact.joined = joined.call.contact.id
        effects = active.call.left_over(now, status)
        self._runner.carry_out(active, effects, now)

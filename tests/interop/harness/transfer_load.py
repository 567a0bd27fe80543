"""Transfers by telephones, several at once, while other calls come and go: who is told what, who hears whom, and when.

A transfer takes three telephones that are free. One talks to the second and sends it to the third (blind: REFER with
a number; attended: it talks to the third as well, REFER with Replaces; ringing: the same before the third has
answered). It has to be told 202, then 200, and to lose its calls; the second and the third have to hear each other, and
nobody else, until one of them hangs up.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

from harness.switch import Switch
from harness.telephones import Line, Missed, Office, Telephone

Kind = Literal["blind", "attended", "ringing"]

HEAR_SECONDS = 1.0
"""Until both hear each other at the latest."""

PATIENCE = 5.0
"""Seconds that anything is waited for; what comes after `HEAR_SECONDS` is late, what does not come is missing."""

CLEARED_SECONDS = 40.0
"""Seconds until all calls of a transfer that has failed are over: requests without an answer are given up (Timer F)."""

SETTLE = 0.3
"""Seconds after which nobody else is to be heard, and for which both must be heard then."""

TELEPHONE_HOSTS = "127.0.{}.{}"


@dataclass(frozen=True)
class Case:
    """How one transfer goes."""

    kind: Kind
    called_by_other: bool
    """The one who is transferred has called."""
    holds: bool
    """The transferor holds whom it transfers (and consults, if it does)."""
    leaves: bool
    """The transferor hangs up right after 202."""
    refers_third: bool
    """Of an attended one: the REFER goes out in the call to the third."""
    other_ends: bool
    """At the end the second hangs up, else the third."""

    def __str__(self) -> str:
        told = [name for name in ("called_by_other", "holds", "leaves", "refers_third") if getattr(self, name)]
        return " ".join([self.kind, *told])


def cases(kind: Kind, count: int) -> Iterator[Case]:
    """Every mixture in turn."""
    choices = itertools.cycle(itertools.product((False, True), repeat=5))
    for choice in itertools.islice(choices, count):
        yield Case(kind, *choice)


@dataclass
class Tally:
    """What has become of the transfers of one kind."""

    done: int = 0
    seconds: list[float] = field(default_factory=list)
    """Until both have heard each other: from the REFER, or from the third's answer, whatever is later."""
    gaps: list[float] = field(default_factory=list)
    """The longest pauses between packets that those heard who were left."""
    failed: list[str] = field(default_factory=list)
    one_way: list[str] = field(default_factory=list)

    @property
    def late(self) -> int:
        return sum(each > HEAR_SECONDS for each in self.seconds)

    def part(self, share: float) -> float:
        """Seconds in which that share of the transfers was heard."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class LeftOver:
    """What calls leave behind in a switch and its telephones, beside what there was when this was made."""

    def __init__(self, switch: Switch, office: Office) -> None:
        self._switch = switch
        self._office = office
        self._before = switch.status().tables

    async def after(self, seconds: float) -> dict[str, int]:
        """What is still left when that time is over; {} as soon as there is nothing."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        left = self._now()
        while left and loop.time() < end:
            await asyncio.sleep(0.5)
            left = self._now()
        return left

    def _now(self) -> dict[str, int]:
        report = self._switch.status()
        left = Counter({"calls": len(report.calls), "streams": report.media.rows})
        left.update({name: count - self._before.get(name, 0) for name, count in report.tables.items()})
        for telephone in self._office.telephones:
            left.update({f"telephones' {what}": count for what, count in telephone.left().items()})
        return {what: count for what, count in left.items() if count > 0}


class OneWay(Missed):
    """One of the two who are left does not hear the other."""


class TransferLoad:
    """Telephones of an office that transfer, and others that only talk."""

    def __init__(self, office: Office, at_once: int, calls_per_second: float = 10.0, seed: int = 1) -> None:
        self.office = office
        self.at_once = at_once
        self.rate = calls_per_second
        self.talk = 1.0  # seconds of a call in the background
        self.tallies: dict[Kind, Tally] = {kind: Tally() for kind in get_args(Kind)}
        self.background: Counter[str] = Counter()
        self.problems: list[str] = []
        """Of the calls in the background."""
        self._free: deque[Telephone] = deque()
        self._talkers: list[Telephone] = []
        self._random = random.Random(seed)
        self._calls: set[asyncio.Task[None]] = set()

    async def register(self, passwords: dict[str, str], talkers: int) -> None:
        """A telephone for each extension; the last `talkers` of them are for the calls in the background."""
        for index, (number, password) in enumerate(passwords.items()):
            host = TELEPHONE_HOSTS.format(1 + index // 200, 1 + index % 200)
            await self.office.add(number, password, host)
        everybody = self.office.telephones
        await self.office.until(lambda: all(each.registered for each in everybody), 20.0, "registration of all")
        self._free.extend(everybody[: len(everybody) - talkers])
        self._talkers = everybody[len(everybody) - talkers :]

    async def run(self, kind: Kind, count: int) -> None:
        """So many transfers of that kind, with the background around them."""
        stop = asyncio.Event()
        background = asyncio.create_task(self._background(stop))
        left = cases(kind, count)
        await asyncio.gather(*[self._worker(left) for _ in range(self.at_once)])
        stop.set()
        await background
        await asyncio.gather(*self._calls)

    async def talk_only(self, seconds: float) -> None:
        """The background alone."""
        stop = asyncio.Event()
        background = asyncio.create_task(self._background(stop))
        await asyncio.sleep(seconds)
        stop.set()
        await background

    async def _worker(self, left: Iterator[Case]) -> None:
        for case in left:
            three = [self._free.popleft() for _ in range(3)]
            await self._one(case, *three)
            self._free.extend(three)

    # ---- a transfer ----------------------------------------------------------------------------------

    async def _one(self, case: Case, by: Telephone, other: Telephone, third: Telephone) -> None:
        tally = self.tallies[case.kind]
        third.answer_after = self._random.uniform(0.02, 0.3) + (0.5 if case.kind == "ringing" else 0.0)
        try:
            await self._transfer(case, tally, by, other, third)
        except OneWay as missed:
            tally.one_way.append(f"{case}: {missed}")
        except Missed as missed:
            tally.failed.append(f"{case}: {missed}")
        tally.done += 1
        for telephone in (by, other, third):
            telephone.arrived.clear()
            for line in list(telephone.lines):
                line.hang_up()
        left = [by, other, third]
        try:
            await self.office.until(lambda: not any(each.lines for each in left), CLEARED_SECONDS, "end of all calls")
        except Missed as missed:
            lines = [f"{line!r} {line.session}" for each in left for line in each.lines]
            tally.failed.append(f"{case}: {missed}: {', '.join(lines)}")

    async def _transfer(self, case: Case, tally: Tally, by: Telephone, other: Telephone, third: Telephone) -> None:
        until = self.office.until
        loop = asyncio.get_running_loop()
        if case.called_by_other:
            stays, mine = await self._call(other, by)
        else:
            mine, stays = await self._call(by, other)
        consults = taker = None
        if case.holds:
            await self._hold(mine)
        if case.kind == "attended":
            consults, taker = await self._call(by, third)
            if case.holds:
                await self._hold(consults)
        elif case.kind == "ringing":
            consults = calling = by.dial(third.number)
            await until(lambda: calling.rings, PATIENCE, "ringing")
        refers, replaced = mine, consults
        if case.refers_third and taker is not None and consults is not None:
            refers, replaced = consults, mine
        began = loop.time()
        refers.refer(third.number, replaced)
        await until(lambda: refers.refer_status != 0, PATIENCE, "answer to the REFER")
        if refers.refer_status != 202:
            raise Missed(f"202 (but {refers.refer_status})")
        left = [line for line in (mine, consults) if line is not None]
        if case.leaves:
            for line in left:
                line.hang_up()
        if taker is None:
            await until(lambda: bool(third.arrived), PATIENCE, "answer of the third")
            taker = third.arrived.pop()
            began = taker.answered_at
        tally.seconds.append(await self._heard(stays, taker) - began)
        await until(lambda: bool(refers.told and refers.told[-1][1]), PATIENCE, "last NOTIFY")
        if refers.told[-1] != (200, True):
            raise Missed(f"NOTIFY of 200 (but {refers.told})")
        await until(lambda: all(line.over for line in left), PATIENCE, f"end of the transferor's calls {left}")
        await self._nobody_else(tally, stays, taker)
        first, second = (stays, taker) if case.other_ends else (taker, stays)
        first.hang_up()
        await until(lambda: bool(second.over), PATIENCE, f"end of {second}")

    async def _call(self, caller: Telephone, called: Telephone) -> tuple[Line, Line]:
        line = caller.dial(called.number)
        until = self.office.until
        await until(lambda: bool(called.arrived) and (line.talks or bool(line.over)), PATIENCE, "answer to a call")
        if line.over:
            raise Missed(f"call from {caller.number} to {called.number}: {line.over}")
        other = called.arrived.pop()
        await until(lambda: line.hears(other) and other.hears(line), PATIENCE, f"audio between {line} and {other}")
        return line, other

    async def _hold(self, line: Line) -> None:
        line.hold()
        await self.office.until(lambda: line.exchanges > 0, PATIENCE, f"answer to the hold of {line}")

    async def _heard(self, one: Line, other: Line) -> float:
        """When both have heard each other."""
        try:
            await self.office.until(lambda: one.hears(other) and other.hears(one), PATIENCE, "audio both ways")
        except Missed:
            ways = [f"{a} hears {b}" for a, b in ((one, other), (other, one)) if a.hears(b)]
            ended = [f"{line} {line.over}" for line in (one, other) if line.over]
            raise OneWay(f"after {PATIENCE:g} s {' '.join(ways) or 'neither hears the other'} {ended or ''}") from None
        return max(one.first[other.number], other.first[one.number])

    async def _nobody_else(self, tally: Tally, one: Line, other: Line) -> None:
        """For a while both must hear each other, and nobody else."""
        await asyncio.sleep(SETTLE)
        since = asyncio.get_running_loop().time()
        await asyncio.sleep(SETTLE)
        for listener, partner in ((one, other), (other, one)):
            await self.office.until(
                lambda listener=listener, partner=partner: partner.number in listener.hears_lately(since),
                PATIENCE,
                f"audio at {listener} from {partner}, any more ({listener.over or partner.over or 'neither is over'})",
                OneWay,
            )
            foreign = listener.hears_lately(since) - {partner.number}
            if foreign:
                raise OneWay(f"then {listener} hears {sorted(foreign)} and not only {partner}")
            tally.gaps.append(listener.gaps.get(partner.number, 0.0))

    # ---- the background ------------------------------------------------------------------------------

    async def _background(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self.rate and not stop.is_set():
            caller, called = self._random.sample(self._talkers, 2)
            task = asyncio.create_task(self._background_call(caller, called))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)
            due = max(due + 1.0 / self.rate, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _background_call(self, caller: Telephone, called: Telephone) -> None:
        self.background["calls"] += 1
        line = caller.dial(called.number)
        until = self.office.until

        def both() -> bool:
            return any(each.hears(line) and line.hears(each) for each in called.lines)

        try:
            await until(lambda: both() or bool(line.over), PATIENCE, f"audio of {line} to {called.number}")
            if line.over:
                raise Missed(f"call {line} to {called.number}: {line.over}")
            await asyncio.sleep(self.talk)
            [other] = [each for each in called.lines if each.hears(line)]
            if not (line.talks and other.talks):
                raise Missed(f"call {line} to {called.number} that lasts: {line.over or other.over}")
            line.hang_up()
            await until(lambda: bool(other.over), PATIENCE, f"end of {other}")
        except Missed as missed:
            self.background["failed"] += 1
            self.problems.append(str(missed))
            if line.talks:
                line.hang_up()
        called.arrived.clear()

"""The ACD engine's decisions: CPU time of one input, all of its facts, records and effects included.

    python -m tests.bench.acd_bench [decisions|growth|day|whatif|journal|recovery]

5,000 agents with ten skills each, 500 queues that each want one, 10,000 contacts waiting: every agent who is ready is
offered a contact at once, accepts it (or lets it ring until the deadline, a tenth of them), and finishes, while
contacts come as fast as they are served. A decision is an arrival, an agent ready, or a deadline. The reference
beside it is what the decision can't do without, bare: an AND of two rows of 5,000 booleans, the indices of what is
left, and a place in a sorted list of all who wait.

`day`: 100,000 contacts and 1,000 agents with skills through a simulated day, by the engine itself. `whatif`: the
journal of that day read from a file, replayed under other rules, compared and explained. `journal`: records appended to
a SQLite database in groups of what comes in a tenth of a second, until all are written. `recovery`: a snapshot of
10,000 waiting and 5,000 agents, and the 20,000 records after it.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sortedcontainers import SortedList

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import Agent, Config, Queue, Team, WrapUp
from acd.engine import Engine, Outcome
from acd.journal import decode, encode, fold
from acd.simulate.arrivals import DAY, Contacts, Habits, Plan, Times, constant, draw
from acd.simulate.run import run
from acd.state import State
from softswitch.simulation.replay import document, replay
from softswitch.store.acd_journal import AcdJournal
from tests.bench.rig import line

AGENTS, QUEUES, SKILLS_EACH, WAITING = 5_000, 500, 10, 10_000
DECISIONS = 30_000
RUNS = 3
TAIL = 20_000
"""Records after which there is another snapshot."""
MISSED = 0.1
"""Offers that nobody answers."""


def config(agents: int = AGENTS, queues: int = QUEUES) -> Config:
    lot = random.Random(1)
    return Config(
        version="bench",
        teams={"t": Team(name="t", misses=0)},
        queues={
            f"q{n}": Queue(name=f"q{n}", team="t", needs=f"s{n}>=30", wrap_up=WrapUp(after="never"), ring_seconds=20.0)
            for n in range(queues)
        },
        agents={
            f"a{n}": Agent(
                id=f"a{n}",
                team="t",
                address=f"ext:{n}",
                skills={f"s{skill}": lot.randint(30, 100) for skill in lot.sample(range(queues), SKILLS_EACH)},
            )
            for n in range(agents)
        },
    )


class Floor:
    """Agents and callers, who do what keeps the engine deciding. `took`: CPU seconds by kind of decision."""

    def __init__(self, waiting: int) -> None:
        self.lot = random.Random(2)
        self.engine = Engine()
        self.now = 1_000.0
        self.count = 0
        self.waiting = waiting
        self.took: dict[str, list[float]] = {"arrival": [], "ready": [], "deadline": []}
        self.ringing: list[e.Offer] = []
        self.kept: list[f.Record] | None = None
        self.tell(i.Configure(config()))
        for agent in list(self.engine.state.agents):
            self.tell(i.SignIn(agent))
        self.busy = list(self.engine.state.agents)
        for _ in self.busy:
            self.arrive()
        for _ in range(waiting):
            self.arrive()
        self.answer_all()

    def tell(self, what: i.AnyInput) -> float:
        start = time.thread_time_ns()
        outcome = self.engine.handle(what, self.now)
        took = (time.thread_time_ns() - start) / 1e3
        self.note(outcome)
        return took

    def note(self, outcome: Outcome) -> None:
        if self.kept is not None:
            self.kept += outcome.records
        self.ringing += [effect for effect in outcome.effects if isinstance(effect, e.Offer)]

    def arrive(self) -> float:
        self.count += 1
        self.now += 0.001
        return self.tell(i.Enqueue(f"c{self.count}", f"q{self.lot.randrange(QUEUES)}", number=str(self.count)))

    def answer_all(self, ignore: float = 0.0) -> None:
        for offer in self.ringing:
            if self.lot.random() >= ignore:
                outcome = self.engine.handle(i.Accept(offer.offer), self.now)
                if self.kept is not None:
                    self.kept += outcome.records
        self.ringing.clear()

    def work(self, decisions: int) -> None:
        """Time goes on by a hundredth of a second for each round."""
        state = self.engine.state
        while sum(map(len, self.took.values())) < decisions:
            self.now += 0.01
            while (due := self.engine.next_deadline) is not None and due <= self.now:
                start = time.thread_time_ns()
                outcome = self.engine.tick(due)
                took = (time.thread_time_ns() - start) / 1e3
                if outcome.records:
                    self.took["deadline"].append(took)
                self.note(outcome)
            agent = state.agents[self.lot.choice(self.busy)]
            if agent.state == "talking":
                self.took["ready"].append(self.tell(i.HangUp(agent.contact)))
                self.answer_all(MISSED)
            while len(state.contacts) - AGENTS < self.waiting:
                self.took["arrival"].append(self.arrive())
                self.answer_all(MISSED)


def bare(waiting: int) -> float:
    """Microseconds of the reference."""
    lot = random.Random(3)
    rows = np.array([[lot.random() < 0.02 for _ in range(AGENTS)] for _ in range(2)])
    places = SortedList(lot.random() for _ in range(waiting))
    rounds = 2_000
    start = time.thread_time_ns()
    for _ in range(rounds):
        np.flatnonzero(rows[0] & rows[1])
        place = lot.random()
        places.add(place)
        places.remove(place)
    return (time.thread_time_ns() - start) / 1e3 / rounds


def measured(waiting: int, decisions: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Microseconds of each decision, by kind."""
    floor = Floor(waiting)
    gc.collect()
    gc.freeze()
    floor.work(decisions)
    gc.unfreeze()
    return {kind: np.array(took) for kind, took in floor.took.items()}


def decisions() -> None:
    runs = [measured(WAITING, DECISIONS) for _ in range(RUNS)]
    reference = f"bare look-ups {bare(WAITING):.1f} us"
    for kind in ("arrival", "ready", "deadline"):
        middle = float(np.median([np.median(run[kind]) for run in runs]))
        line(f"acd_{kind}", middle, "us (median)", "<=100", reference)
    everything = [np.concatenate(list(run.values())) for run in runs]
    line("acd_decision", float(np.median([np.median(each) for each in everything])), "us (median)", "<=100", reference)
    worst = float(np.median([np.quantile(each, 0.999) for each in everything]))
    line("acd_decision_999", worst, "us (99.9 %)", "<=1000", f"longest {max(each.max() for each in everything):.0f} us")


def growth() -> None:
    first = 0.0
    for waiting in (100, 1_000, 10_000, 100_000):
        took = np.concatenate(list(measured(waiting, 10_000).values()))
        middle = float(np.median(took))
        first = first or middle
        line(f"acd_waiting_{waiting}", middle, "us (median)", "logarithmic", f"{middle / first:.2f} of the first")


def day_rules(agents: int = 1_000) -> Config:
    queues, each = 50, 10
    lot = random.Random(4)
    return Config(
        version="bench",
        teams={"t": Team(name="t")},
        queues={f"q{n}": Queue(name=f"q{n}", team="t", needs=f"s{n}", ring_seconds=30.0) for n in range(queues)},
        agents={
            f"a{n}": Agent(
                id=f"a{n}",
                team="t",
                address=f"ext:{n}",
                skills={f"s{skill}": 50 for skill in lot.sample(range(queues), each)},
            )
            for n in range(agents)
        },
    )


def day_contacts(rules: Config, number: int) -> Contacts:
    rate = 100_000 / 24 / len(rules.queues)
    plan = Plan(3600.0, tuple(constant(rate, 3600.0, name) for name in rules.queues))
    who = Habits(talk=Times(mean=600.0), wrap_up=Times(mean=120.0), patience=Times(mean=300.0), ring=Times(mean=5.0))
    return draw(plan, who, 1.0, 1, number)


def day() -> None:
    rules, spent = day_rules(), []
    for each_run in range(RUNS):
        contacts = day_contacts(rules, each_run)
        start = time.process_time()
        run(rules, contacts, DAY)
        spent.append((time.process_time() - start) * 100_000 / len(contacts.id))
    line("acd_day", float(np.median(spent)), "s", "<=30", "100,000 contacts, 1,000 agents, 50 skills")


def whatif() -> None:
    rules, spent, changed = day_rules(), [], 0
    contacts = day_contacts(rules, 0)
    with tempfile.NamedTemporaryFile() as file:
        run(rules, contacts, DAY, watch=lambda records: file.writelines(map(encode, records)))
        file.flush()
        for _ in range(RUNS):
            start = time.process_time()
            found = document("bench", replay(Path(file.name), day_rules(700), 1, None), 1_000)
            spent.append((time.process_time() - start) * 100_000 / len(contacts.id))
            changed = found["changed"]
    beside = f"that day under the rules of 700 of the agents: {changed} contacts fare otherwise, 1,000 explained"
    line("acd_whatif", float(np.median(spent)), "s", "<=60", beside)


def journal() -> None:
    records = busy_minute(60.0, WAITING)[1]
    spent, took = asyncio.run(written(records))
    rate = len(records) / spent
    line("acd_journal", rate, "records/s", ">=20000", f"of CPU time; {len(records) / took:.0f} by the clock")


async def written(records: list[f.Record]) -> tuple[float, float]:
    """CPU seconds and seconds until all of them are in a database."""
    with tempfile.TemporaryDirectory() as folder:
        store = AcdJournal(f"sqlite:///{folder}/acd.db")
        await store.start()
        first = records[0].id
        store.last_id = first - 1
        began, start = time.perf_counter(), time.process_time()
        for at in range(0, len(records), 2_000):
            store.append(records[at : at + 2_000])
            await asyncio.sleep(0)
        await store.flush()
        spent, took = time.process_time() - start, time.perf_counter() - began
        await store.close()
    return spent, took


def busy_minute(seconds: float, waiting: int) -> tuple[bytes, list[f.Record]]:
    """A snapshot, and the records of what comes after it."""
    floor = Floor(waiting)
    snapshot = floor.engine.state.snapshot()
    records: list[f.Record] = []
    floor.kept = records
    end = floor.now + seconds
    while floor.now < end:
        floor.took = {"arrival": [], "ready": [], "deadline": []}
        floor.work(100)
    return snapshot, records


def recovery() -> None:
    snapshot, tail = busy_minute(20.0, WAITING)
    lines = [encode(record) for record in tail[:TAIL]]
    spent = []
    for _ in range(RUNS):
        start = time.process_time()
        fold((decode(each) for each in lines), State.restore(snapshot))
        spent.append(time.process_time() - start)
    line("acd_recovery", float(np.median(spent)), "s", "<1", f"{len(snapshot)} bytes and {len(lines)} records")


PARTS: dict[str, Callable[[], None]] = {
    "decisions": decisions,
    "growth": growth,
    "day": day,
    "whatif": whatif,
    "journal": journal,
    "recovery": recovery,
}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()

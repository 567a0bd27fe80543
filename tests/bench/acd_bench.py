"""The ACD engine's decisions: CPU time of one input, all of its facts, records and effects included.

    python -m tests.bench.acd_bench [decisions|growth|journal|recovery]

5,000 agents with ten skills each, 500 queues that each want one, 10,000 contacts waiting: every agent who is ready is
offered a contact at once, accepts it (or lets it ring until the deadline, a tenth of them), and finishes, while
contacts come as fast as they are served. A decision is an arrival, an agent ready, or a deadline. The reference
beside it is what the decision can't do without, bare: an AND of two rows of 5,000 booleans, the indices of what is
left, and a place in a sorted list of all who wait.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable

import numpy as np
from sortedcontainers import SortedList

from acd import effects as e
from acd import inputs as i
from acd.config import Agent, Config, Queue, Team, WrapUp
from acd.engine import Engine, Outcome
from tests.bench.rig import line

AGENTS, QUEUES, SKILLS_EACH, WAITING = 5_000, 500, 10, 10_000
DECISIONS = 30_000
RUNS = 3
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
        self.ignored: set[int] = set()
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
        self.ringing += [effect for effect in outcome.effects if isinstance(effect, e.Offer)]

    def arrive(self) -> float:
        self.count += 1
        self.now += 0.001
        return self.tell(i.Enqueue(f"c{self.count}", f"q{self.lot.randrange(QUEUES)}", number=str(self.count)))

    def answer_all(self, ignore: float = 0.0) -> None:
        for offer in self.ringing:
            if self.lot.random() >= ignore:
                self.engine.handle(i.Accept(offer.offer), self.now)
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


PARTS: dict[str, Callable[[], None]] = {"decisions": decisions, "growth": growth}


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()

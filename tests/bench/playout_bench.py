"""CPU time of the playout bank per row and 20 ms frame: arrival, write and play of one G.711 packet each.

    python -m tests.bench.playout_bench [--rows N] [--seconds S]

Packets come in batches, a third of the rows each, as they do from the sockets. Loss and jitter are off, then on.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np

from media.conceal import Concealer
from rtp.playout import PlayoutBank

ROWS = 300
SECONDS = 20
BATCHES = 3
BUDGET_US = 1.0


def measure(rows: int, ticks: int, loss: float, rate: int = 8000) -> dict[str, float]:
    """Microseconds of CPU time per row and frame, by step."""
    rng = np.random.default_rng(1)
    bank, concealer = PlayoutBank(rate), Concealer(rate)
    n = bank.n
    taken = np.array([bank.take() for _ in range(rows)])
    for row in taken:
        bank.open(int(row), rate)
        concealer.reset(int(row))
    batches = np.array_split(taken, BATCHES)
    speech = (rng.standard_normal((rows, n)) * 3000).astype(np.int16)
    spent = dict.fromkeys(("arrived", "write", "play", "conceal", "heard"), 0.0)
    clock = time.process_time
    for tick in range(ticks):
        now = 100.0 + tick * 0.02
        for part, batch in enumerate(batches):
            batch = batch[rng.random(len(batch)) >= loss]
            stamps = np.full(len(batch), tick * n)
            seqs = np.full(len(batch), tick & 0xFFFF)
            marks = np.zeros(len(batch), np.bool_)
            counts = np.full(len(batch), n)
            samples = speech[: len(batch)]
            at = [clock()]
            positions = bank.arrived(batch, stamps, seqs, marks, counts, now - 0.006 * part)
            at.append(clock())
            bank.write(batch, positions, samples, bounded=True)
            at.append(clock())
            spent["arrived"] += at[1] - at[0]
            spent["write"] += at[2] - at[1]
        at = [clock()]
        played = bank.play(taken, now)
        at.append(clock())
        concealer.conceal(taken, played.frames, played.missing, played.holes)
        at.append(clock())
        concealer.heard(taken, played.frames)
        at.append(clock())
        for step, (begin, end) in zip(("play", "conceal", "heard"), itertools.pairwise(at), strict=True):
            spent[step] += end - begin
    return {step: seconds / rows / ticks * 1e6 for step, seconds in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    print(f"us of CPU time per row and frame of 20 ms, {options.rows} rows")
    print(f"{'':16}{'arrived':>9}{'write':>9}{'play':>9}{'in all':>9}{'conceal':>9}{'heard':>9}")
    for name, loss in (("no loss", 0.0), ("5 % loss", 0.05)):
        spent = measure(options.rows, round(options.seconds * 50), loss)
        steps = [spent[step] for step in ("arrived", "write", "play")]
        values = [*steps, sum(steps), spent["conceal"], spent["heard"]]
        print(f"{name:16}" + "".join(f"{value:9.2f}" for value in values))
    print(f"budget without loss: {BUDGET_US:.2f} in all")


if __name__ == "__main__":
    main()

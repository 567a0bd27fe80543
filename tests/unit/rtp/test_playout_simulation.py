"""Many listeners behind a bad network: how many packets come too late, and how long speech waits."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from rtp.playout import PlayoutBank

ROWS = 40
SECONDS = 30
FRAME = 160


class Outcome(NamedTuple):
    late: float  # fraction of packets that came
    lost: float  # fraction of packets sent
    delay_ms: float  # mean of all rows at the end
    missed: float  # fraction of frames played that were missing
    inserted: float  # frames a row and minute
    dropped: float


@cache
def vowels(rows: int, seconds: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Syllables of voiced sound, 300 ms each with pauses of 100 ms between them: (frames, rows, FRAME)."""
    t = np.arange(seconds * 8000) / 8000
    pitch = 90 + 10 * np.arange(rows)[:, None] % 120
    sound = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 8))
    speech = (4000 * sound * (t % 0.4 < 0.3)).astype(np.int16)
    return speech.reshape(rows, -1, FRAME).swapaxes(0, 1)


def simulate(loss: float, delays: np.ndarray[tuple[int, ...], np.dtype[np.float64]], seed: int) -> Outcome:
    """`delays`: seconds on the way, (frames, rows); packets overtake one another. Batches arrive every 5 ms."""
    rng = np.random.default_rng(seed)
    bank = PlayoutBank(8000)
    rows = np.array([bank.take() for _ in range(ROWS)])
    for row in rows:
        bank.open(int(row), 8000)
    speech = vowels(ROWS, SECONDS)
    count = len(speech)
    offsets = rng.random(ROWS) * 0.02
    arrival = np.arange(count)[:, None] * 0.02 + offsets + delays
    arrival[rng.random(arrival.shape) < loss] = np.inf
    order = np.argsort(arrival, axis=None)
    times = arrival.reshape(-1)[order]
    numbers, who = np.divmod(order, ROWS)
    at = 0
    for step in range(count * 4):
        now = step * 0.005
        end = int(np.searchsorted(times, now, "right"))
        if end > at:
            k, row = numbers[at:end], rows[who[at:end]]
            sizes, marks = np.full(end - at, FRAME), np.zeros(end - at, np.bool_)
            positions = bank.arrived(row, k * FRAME, k & 0xFFFF, marks, sizes, now + 1)
            bank.write(row, positions, speech[k, who[at:end]])
            at = end
        if step % 4 == 0:
            bank.play(rows, now + 1)
    c = bank.columns
    received = int(c.received[rows].sum())
    return Outcome(
        float(c.late[rows].sum()) / received,
        float(bank.lost(rows).sum()) / (count * ROWS),
        float(bank.delay_ms(rows).mean()),
        float(c.missed[rows].sum()) / (count * ROWS),
        float(c.inserted[rows].mean()) * 60 / SECONDS,
        float(c.dropped[rows].mean()) * 60 / SECONDS,
    )


def test_5_percent_loss_and_30_ms_of_jitter_with_reordering() -> None:
    rng = np.random.default_rng(1)
    delays = 0.04 + 0.03 * rng.random((SECONDS * 50, ROWS))
    delays[rng.random(delays.shape) < 0.02] += 0.02  # sent around, and overtaken
    outcome = simulate(0.05, delays, 2)
    print(outcome)
    assert outcome.late < 0.005
    assert outcome.lost == pytest.approx(0.05, abs=0.005)
    assert outcome.missed < 0.055
    # The jitter of 50 ms in all must be waited for; half of it, 25 ms, is the mean of the wait.
    assert outcome.delay_ms < 75


def test_without_jitter_nothing_is_late_and_the_delay_is_small() -> None:
    outcome = simulate(0.0, np.full((SECONDS * 50, ROWS), 0.05), 3)
    print(outcome)
    assert (outcome.late, outcome.lost, outcome.missed, outcome.inserted) == (0, 0, 0, 0)
    assert outcome.delay_ms < 40


def test_jitter_without_bounds_is_followed_and_let_go_again() -> None:
    rng = np.random.default_rng(4)
    delays = 0.04 + rng.exponential(0.02, (SECONDS * 50, ROWS))
    delays[SECONDS * 25 :] = 0.05  # the second half is calm
    outcome = simulate(0.0, delays, 5)
    print(outcome)
    assert outcome.late < 0.01
    assert outcome.dropped > 2
    assert outcome.delay_ms < 50

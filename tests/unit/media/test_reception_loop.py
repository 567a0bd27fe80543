"""Which frames the compiled loop plays by itself, and which it leaves to be concealed or filled."""

from __future__ import annotations

import numpy as np
import pytest

from media.conceal import Concealer
from media.reception_loop import play
from rtp.playout import PlayoutBank
from rtp.playout_columns import CALM_TICKS, FORCE_TICKS, HURRY_TICKS
from rtp.playout_frame import HOLED, IDLING, WHOLE_FRAME

N = 160


class Voice:
    """One row that has played some frames of a level, with five more waiting."""

    def __init__(self, level: int, frames: int = 20) -> None:
        self.bank, self.concealer = PlayoutBank(8000), Concealer(8000)
        self.row = self.bank.take()
        self.bank.open(self.row, 8000)
        self.concealer.reset(self.row)
        self.now = 1.0
        self.noisy = np.zeros(1, np.uint8)
        frame = np.full((1, N), level, np.int16)
        one = np.array([self.row])
        for k in range(frames):
            counts, marks = np.array([N]), np.zeros(1, np.bool_)
            at = self.bank.arrived(one, np.array([k * N]), np.array([k]), marks, counts, self.now - 0.01)
            self.bank.write(one, at, frame)
            if k >= 5:
                self.bank.play(one, self.now)
                self.now += 0.02
        columns = self.bank.columns
        columns.spare[self.row] = columns.pending[self.row] = columns.run[self.row] = columns.busy[self.row] = 0
        self.out = np.zeros((1, N), np.float32)
        self.read = np.zeros((1, N), np.int16)
        self.holes = np.zeros((1, N), np.bool_)

    def left(self) -> int | None:
        """What the next frame is, where it was left; None: it was played."""
        self.bank.begin(self.now)
        c, states, one = self.bank.columns, np.zeros(1, np.int64), np.zeros(1, np.int64)
        count = play(
            np.array([self.row]),
            one,
            self.noisy,
            c.whole,
            c.lows,
            c.delay,
            c.due,
            c.frames,
            c.bucket,
            c.tick,
            self.bank.max_delay,
            self.concealer.ages,
            self.concealer.frames,
            self.concealer.oldest,
            self.out,
            one,
            self.read,
            states,
            self.holes,
            self.now,
        )
        return int(states[0]) if count else None


def test_a_whole_frame_is_played_at_once_and_remembered() -> None:
    voice = Voice(3000)
    past = int(voice.concealer.oldest[voice.row])
    assert voice.left() is None
    assert (voice.out == 3000).all()
    assert (voice.concealer.frames[past] == 3000).all()
    assert voice.bank.columns.due[voice.row] == voice.now + 0.02


@pytest.mark.parametrize(
    ("level", "waited", "dropped"),
    [
        (3000, CALM_TICKS, 0),
        (3000, FORCE_TICKS - 2, 0),
        (3000, FORCE_TICKS + 1, 1),
        (20, CALM_TICKS - 2, 0),
        (20, CALM_TICKS + 1, 1),
    ],
)
def test_a_spare_frame_is_dropped_at_its_moment(level: int, waited: int, dropped: int) -> None:
    voice = Voice(level)
    c = voice.bank.columns
    c.spare[voice.row] = c.busy[voice.row] = 1
    c.lows[:, voice.row] = 5 * N
    c.changed[voice.row] = c.tick + 1 - waited
    head = int(c.head[voice.row])
    assert voice.left() is None
    assert (voice.out == level).all()
    assert c.dropped[voice.row] == dropped
    assert c.head[voice.row] == head + 1 + dropped


def test_a_row_far_behind_is_shortened_soon() -> None:
    voice = Voice(3000)
    c = voice.bank.columns
    c.spare[voice.row] = c.busy[voice.row] = 1
    c.delay[voice.row] = voice.bank.max_delay + N
    c.top[voice.row] += 20 * N
    c.changed[voice.row] = c.tick + 1 - (HURRY_TICKS + 1)
    assert voice.left() is None
    assert c.dropped[voice.row] == 1


def test_an_inserted_frame_is_left_to_be_concealed() -> None:
    voice = Voice(20)
    c = voice.bank.columns
    c.pending[voice.row] = c.busy[voice.row] = 1
    assert voice.left() == HOLED
    assert voice.holes.all()
    assert not voice.read.any()
    assert c.inserted[voice.row] == 1


def test_a_run_of_missing_frames_is_over() -> None:
    voice = Voice(3000)
    c = voice.bank.columns
    c.run[voice.row] = 2
    c.busy[voice.row] = 1
    assert voice.left() is None
    assert (c.run[voice.row], c.missed[voice.row], c.bursts[voice.row], c.busy[voice.row]) == (0, 2, 1, 0)


def test_an_idle_row_is_silent() -> None:
    voice = Voice(3000, frames=0)
    voice.out[:] = 7
    assert voice.left() is None
    assert not voice.out.any()


@pytest.mark.parametrize(("frames", "state"), [(20, WHOLE_FRAME), (0, IDLING)])
def test_where_comfort_noise_stands_all_is_looked_at(frames: int, state: int) -> None:
    voice = Voice(3000, frames)
    voice.noisy[0] = 1
    assert voice.left() == state

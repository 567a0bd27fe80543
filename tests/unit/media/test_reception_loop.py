"""Which frames the compiled loop plays by itself, and which it leaves to be looked at."""

from __future__ import annotations

import numpy as np
import pytest

from media.conceal import Concealer
from media.reception_loop import play
from rtp.playout import PlayoutBank
from rtp.playout_columns import CALM_TICKS, FORCE_TICKS, HURRY_TICKS

N = 160
NONE = np.zeros(1, np.uint8)


class Voice:
    """One row that has played some frames of a tone, with five more waiting."""

    def __init__(self, level: int) -> None:
        self.bank, self.concealer = PlayoutBank(8000), Concealer(8000)
        self.row = self.bank.take()
        self.bank.open(self.row, 8000)
        self.concealer.reset(self.row)
        self.now = 1.0
        frame = np.full((1, N), level, np.int16)
        one = np.array([self.row])
        for k in range(20):
            counts, marks = np.array([N]), np.zeros(1, np.bool_)
            at = self.bank.arrived(one, np.array([k * N]), np.array([k]), marks, counts, self.now - 0.01)
            self.bank.write(one, at, frame)
            if k >= 5:
                self.bank.play(one, self.now)
                self.now += 0.02
        columns = self.bank.columns
        columns.spare[self.row] = columns.pending[self.row] = columns.run[self.row] = columns.busy[self.row] = 0

    def looked_at(self) -> bool:
        """Whether the next frame was left to be looked at."""
        self.bank.begin(self.now)
        c = self.bank.columns
        one, out, near = np.array([self.row]), np.zeros((1, N), np.float32), np.zeros(1, np.int64)
        left = play(
            one,
            np.zeros(1, np.int64),
            NONE,
            c.whole,
            c.due,
            c.delay,
            self.bank.longest,
            c.tick,
            c.frames,
            self.concealer.ages,
            self.concealer.frames,
            self.concealer.oldest,
            out,
            near,
            self.now,
        )
        return bool(left)


def test_a_whole_frame_is_played_at_once() -> None:
    assert not Voice(3000).looked_at()


@pytest.mark.parametrize(
    ("level", "waited", "looked_at"),
    [
        (3000, CALM_TICKS, False),
        (3000, FORCE_TICKS - 2, False),
        (3000, FORCE_TICKS + 1, True),
        (20, CALM_TICKS - 2, False),
        (20, CALM_TICKS + 1, True),
    ],
)
def test_a_spare_frame_is_looked_at_when_it_may_be_dropped(level: int, waited: int, looked_at: bool) -> None:
    voice = Voice(level)
    c = voice.bank.columns
    c.spare[voice.row] = c.busy[voice.row] = 1
    c.changed[voice.row] = c.tick + 1 - waited
    assert voice.looked_at() == looked_at


def test_a_row_far_behind_is_looked_at_soon() -> None:
    voice = Voice(3000)
    c = voice.bank.columns
    c.spare[voice.row] = c.busy[voice.row] = 1
    c.delay[voice.row] = voice.bank.longest
    c.top[voice.row] += 20 * N
    c.changed[voice.row] = c.tick + 1 - (HURRY_TICKS + 1)
    assert voice.looked_at()


@pytest.mark.parametrize("column", ["pending", "run"])
def test_what_is_to_be_inserted_or_was_missing_is_looked_at(column: str) -> None:
    voice = Voice(3000)
    c = voice.bank.columns
    getattr(c, column)[voice.row] = 1
    c.busy[voice.row] = 1
    assert voice.looked_at()


def test_a_note_that_is_out_of_date_is_taken_back() -> None:
    voice = Voice(3000)
    voice.bank.columns.busy[voice.row] = 1
    assert not voice.looked_at()
    assert voice.bank.columns.busy[voice.row] == 0
